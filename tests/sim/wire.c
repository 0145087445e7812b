#include "sim/wire.h"

#include <stdio.h>

/* The words of a set, as the library takes them. */
static size_t spell(unsigned set, const char *const *words, struct kw_bytes *out)
{
    size_t count = 0;
    for (int i = 0; set >> i != 0; i++) {
        if ((set >> i & 1) != 0) {
            out[count++] = kw_text(words[i]);
        }
    }
    return count;
}

static void wire_rights(const struct model_rights *rights, struct wire *wire)
{
    struct kw_key_params *params = &wire->params;
    params->scopes = wire->scopes;
    params->scope_count = spell(rights->scopes, model_scopes, wire->scopes);
    params->allowed_ips = wire->allowed_ips;
    params->allowed_ip_count = spell(rights->allowed_ips, model_ranges, wire->allowed_ips);
    params->blocked_ips = wire->blocked_ips;
    params->blocked_ip_count = spell(rights->blocked_ips, model_ranges, wire->blocked_ips);
    params->allowed_regions = wire->allowed_regions;
    params->allowed_region_count = spell(rights->allowed_regions, model_regions, wire->allowed_regions);
    params->blocked_regions = wire->blocked_regions;
    params->blocked_region_count = spell(rights->blocked_regions, model_regions, wire->blocked_regions);
    params->resources = wire->resources;
    for (int i = 0; i < RESOURCES; i++) {
        if (rights->resources[i] != 0) {
            wire->resources[params->resource_count++] = (struct kw_resource_scopes){
                .resource = kw_text(model_resources[i]),
                .scopes = wire->resource_scopes[i],
                .scope_count = spell(rights->resources[i], model_scopes, wire->resource_scopes[i])};
        }
    }
}

static void wire_limits(const struct model_limits *limits, struct wire *wire)
{
    for (int i = 0; i < limits->limit_count; i++) {
        const struct model_limit *limit = &limits->limits[i];
        wire->limits[i] = (struct kw_rate_limit){
            .name = kw_text(limit->name), .requests = limit->requests, .window_ms = limit->window, .per = limit->per};
    }
    for (int i = 0; i < limits->quota_count; i++) {
        const struct model_quota *quota = &limits->quotas[i];
        wire->quotas[i] = (struct kw_quota_rule){
            .name = kw_text(quota->name),
            .metric = kw_text(quota->metric),
            .limit = quota->limit * KW_AMOUNT_ONE,
            .period = quota->period,
            .anchor = quota->anchor,
            .on_exceeded = quota->on_exceeded,
            .per = quota->per,
            .throttle = {.requests = quota->throttle.requests, .window_ms = quota->throttle.window}};
    }
    wire->params.rate_limits = wire->limits;
    wire->params.rate_limit_count = (size_t)limits->limit_count;
    wire->params.quotas = wire->quotas;
    wire->params.quota_count = (size_t)limits->quota_count;
}

struct kw_change_request wire_command(const struct model *model, const struct model_command *command, struct wire *wire)
{
    const struct model_params *params = &command->params;
    wire->params = (struct kw_key_params){.given = params->given,
                                          .env = kw_text(params->env),
                                          .is_public = params->is_public,
                                          .owner = kw_text(params->owner),
                                          .org_id = kw_text(params->org),
                                          .name = kw_text(params->name),
                                          .tags = wire->tags,
                                          .tag_count = spell(params->tags, model_tags, wire->tags),
                                          .expires_at_ms = params->expires_at,
                                          .expires_in_ms = params->expires_in,
                                          .schedule = {.given = params->scheduled,
                                                       .to = {.disable_at_ms = params->disable_at,
                                                              .revoke_at_ms = params->revoke_at,
                                                              .notify_before_ms = params->notify_before}},
                                          .policy = kw_text(params->policy < 0 ? "" : model_policies[params->policy])};
    wire_rights(&params->rights, wire);
    wire_limits(&params->limits, wire);
    if ((params->given & KW_GIVEN_PARENT) != 0) {
        kw_id_to_text(&model->keys[params->parent].id, wire->parent);
        wire->params.parent = kw_text(wire->parent);
    }
    return (struct kw_change_request){.id = command->kind == KW_CHANGE_CREATE ? (struct kw_id){{0}}
                                                                              : model->keys[command->key].id,
                                      .params = &wire->params,
                                      .actor = kw_text(command->actor),
                                      .reason = kw_text(command->reason),
                                      .grace_ms = command->grace,
                                      .end_grace_on_first_use = command->ends_grace,
                                      .no_cascade = command->no_cascade,
                                      .if_version = command->if_version};
}

static void spell_requirement(const struct model_question *question, struct wire *wire)
{
    const char *first = model_scopes[question->words[0]];
    const char *second = model_scopes[question->words[1]];
    const char *third = model_scopes[question->words[2]];
    if (question->require == REQUIRE_NESTED) {
        snprintf(wire->require, sizeof wire->require, "%s AND (%s OR %s)", first, second, third);
    } else {
        const char *between = question->require == REQUIRE_BOTH ? "AND" : "OR";
        snprintf(wire->require, sizeof wire->require, "%s %s %s", first, between, second);
    }
}

struct kw_verify_request wire_question(const char *key, const struct model_question *question, struct wire *wire)
{
    struct kw_verify_request request = {.key = kw_text(key),
                                        .env = kw_text(question->env),
                                        .cost = (uint32_t)question->cost,
                                        .scopes = wire->scopes,
                                        .scope_count = spell(question->scopes, model_scopes, wire->scopes)};
    if (question->resource >= 0) {
        request.resource = kw_text(model_resources[question->resource]);
        request.resource_scopes = wire->resource_scopes[0];
        request.resource_scope_count = spell(question->resource_scopes, model_scopes, wire->resource_scopes[0]);
    }
    if (question->require != REQUIRE_NOTHING) {
        spell_requirement(question, wire);
        request.require = kw_text(wire->require);
    }
    if (question->address >= 0) {
        request.ip = kw_text(model_addresses[question->address]);
    }
    if (question->place >= 0) {
        request.country = kw_text(model_places[question->place][0]);
        request.region = kw_text(model_places[question->place][1]);
    }
    return request;
}

#define UNKNOWN_WORD (1U << 31)

static unsigned bit_of(struct kw_bytes item, const char *const *words, int count)
{
    for (int i = 0; i < count; i++) {
        if (kw_bytes_equal(item, kw_text(words[i]))) {
            return 1U << i;
        }
    }
    return UNKNOWN_WORD;
}

static unsigned read_words(struct kw_list list, const char *const *words, int count)
{
    struct kw_bytes item;
    unsigned set = 0;
    while (kw_list_next(&list.packed, &item)) {
        set |= bit_of(item, words, count);
    }
    return set;
}

static unsigned read_ranges(struct kw_list list)
{
    struct kw_bytes item;
    char text[KW_RANGE_TEXT_SIZE];
    unsigned set = 0;
    while (kw_list_next(&list.packed, &item)) {
        set |= kw_range_to_text(item, text) ? bit_of(kw_text(text), model_ranges, RANGES) : UNKNOWN_WORD;
    }
    return set;
}

static void check_rights(struct test *t, const struct model_rights *rights, const struct kw_record *record)
{
    unsigned resources[RESOURCES] = {0};
    struct kw_bytes rest = record->resources.packed;
    struct kw_bytes resource;
    struct kw_list scopes = {.count = 0};
    while (kw_list_next(&rest, &resource) && kw_list_next(&rest, &scopes.packed)) {
        for (int i = 0; i < RESOURCES; i++) {
            if (kw_bytes_equal(resource, kw_text(model_resources[i]))) {
                resources[i] = read_words(scopes, model_scopes, SCOPES);
            }
        }
    }
    for (int i = 0; i < RESOURCES; i++) {
        CHECK_I64(t, resources[i], rights->resources[i]);
    }
    CHECK_I64(t, read_words(record->scopes, model_scopes, SCOPES), rights->scopes);
    CHECK_I64(t, read_ranges(record->allowed_ips), rights->allowed_ips);
    CHECK_I64(t, read_ranges(record->blocked_ips), rights->blocked_ips);
    CHECK_I64(t, read_words(record->allowed_regions, model_regions, REGIONS), rights->allowed_regions);
    CHECK_I64(t, read_words(record->blocked_regions, model_regions, REGIONS), rights->blocked_regions);
}

static void check_id(struct test *t, const struct model *model, int key, struct kw_id actual)
{
    static const struct kw_id none;
    CHECK(t, memcmp(&actual, key < 0 ? &none : &model->keys[key].id, sizeof actual) == 0);
}

static void check_texts(struct test *t, const struct model_key *key, const struct kw_record *record)
{
    char prefix[16];
    snprintf(prefix, sizeof prefix, "%s_%s_", key->is_public ? "pk" : "sk", key->env);
    CHECK_BYTES(t, record->project, kw_text("default"));
    CHECK_BYTES(t, record->env, kw_text(key->env));
    CHECK_BYTES(t, record->prefix, kw_text(prefix));
    CHECK_BYTES(t, record->owner, kw_text(key->owner));
    CHECK_BYTES(t, record->org_id, kw_text(key->org));
    CHECK_BYTES(t, record->name, kw_text(key->name));
    CHECK_BYTES(t, record->created_by, kw_text(key->created_by));
    CHECK_BYTES(t, record->revoked_by, kw_text(key->revoked_by));
    CHECK_BYTES(t, record->revoke_reason, kw_text(key->reason));
    CHECK_BYTES(t, record->policy, kw_text(key->policy < 0 ? "" : model_policies[key->policy]));
    if (key->text[0] != '\0') {
        CHECK_BYTES(t, kw_bytes_of(record->last_four, sizeof record->last_four),
                    kw_text(key->text + strlen(key->text) - sizeof record->last_four));
    }
}

static void check_limits(struct test *t, const struct model_limits *limits, const struct kw_record *record)
{
    struct kw_bytes rest = record->rate_limits.packed;
    struct kw_rate_limit limit;
    struct kw_quota_rule quota;
    int count = 0;
    for (; kw_rate_limits_next(&rest, &limit) && count < limits->limit_count; count++) {
        const struct model_limit *expected = &limits->limits[count];
        CHECK_BYTES(t, limit.name, kw_text(expected->name));
        CHECK_I64(t, limit.requests, expected->requests);
        CHECK_I64(t, limit.window_ms, expected->window);
        CHECK_I64(t, limit.per, expected->per);
    }
    CHECK_I64(t, record->rate_limits.count, limits->limit_count);
    CHECK_I64(t, count, limits->limit_count);
    rest = record->quotas.packed;
    for (count = 0; kw_quota_rules_next(&rest, &quota) && count < limits->quota_count; count++) {
        const struct model_quota *expected = &limits->quotas[count];
        CHECK_BYTES(t, quota.name, kw_text(expected->name));
        CHECK_BYTES(t, quota.metric, kw_text(expected->metric));
        CHECK_I64(t, quota.limit, expected->limit * KW_AMOUNT_ONE);
        CHECK_I64(t, quota.period, expected->period);
        CHECK_I64(t, quota.anchor, expected->anchor);
        CHECK_I64(t, quota.on_exceeded, expected->on_exceeded);
        CHECK_I64(t, quota.per, expected->per);
        CHECK_I64(t, quota.throttle.requests, expected->throttle.requests);
        CHECK_I64(t, quota.throttle.window_ms, expected->throttle.window);
    }
    CHECK_I64(t, record->quotas.count, limits->quota_count);
    CHECK_I64(t, count, limits->quota_count);
}

void check_record(struct test *t, const struct model *model, int index, const struct kw_record *record)
{
    const struct model_key *key = &model->keys[index];
    check_id(t, model, index, record->id);
    check_id(t, model, key->rotated_from, record->rotated_from);
    check_id(t, model, key->rotated_to, record->rotated_to);
    check_id(t, model, key->line, record->lineage_id);
    check_id(t, model, key->parent, record->parent_id);
    CHECK_I64(t, record->version, key->version);
    CHECK_I64(t, record->is_public, key->is_public);
    CHECK_I64(t, record->enabled, key->enabled);
    CHECK_I64(t, record->has_children, key->has_children);
    CHECK_I64(t, record->ends_grace, key->ends_grace);
    CHECK_I64(t, record->created_at_ms, key->created_at);
    CHECK_I64(t, record->updated_at_ms, key->updated_at);
    CHECK_I64(t, record->expires_at_ms, key->expires_at);
    CHECK_I64(t, record->lapsed_at_ms, key->lapsed_at);
    CHECK_I64(t, record->revoked_at_ms, key->revoked_at);
    CHECK_I64(t, record->grace_until_ms, key->grace_until);
    CHECK_I64(t, record->schedule.disable_at_ms, key->disable_at);
    CHECK_I64(t, record->schedule.revoke_at_ms, key->revoke_at);
    CHECK_I64(t, record->schedule.notify_before_ms, key->notify_before);
    CHECK_I64(t, (record->announced & KW_END_DISABLE) != 0, key->told_of_disabling);
    CHECK_I64(t, (record->announced & KW_END_REVOKE) != 0, key->told_of_revocation);
    CHECK_I64(t, (record->announced & KW_END_EXPIRE) != 0, key->told_of_expiry);
    CHECK_I64(t, read_words(record->tags, model_tags, TAGS), key->tags);
    check_texts(t, key, record);
    check_rights(t, &key->rights, record);
    check_limits(t, &key->limits, record);
}
