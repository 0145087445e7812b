#include "sim/model_policy.h"
#include "sim/sim.h"

#include <stdio.h>
#include <string.h>

#define TEXT_SIZE 16384

static const char *const excess_fields[EXCESSES] = {
    [BEYOND_ENV] = "env",
    [BEYOND_EXPIRY] = "expiresAt",
    [BEYOND_IPS] = "allowedIPs",
    [BEYOND_RESOURCE_COUNT] = "resources",
    [BEYOND_SCOPES] = "scopes",
    [BEYOND_RESOURCES] = "resources",
    [BEYOND_RATE_LIMITS] = "rateLimits",
    [BEYOND_QUOTAS] = "quotas",
};

/* Text that grows; all of it fits. */
struct text {
    char at[TEXT_SIZE];
    size_t size;
};

static void add(struct text *text, const char *more)
{
    size_t size = strlen(more);
    if (text->size + size < sizeof text->at) {
        memcpy(text->at + text->size, more, size + 1);
        text->size += size;
    }
}

static void add_words(struct text *text, unsigned set)
{
    const char *between = "[";
    for (int i = 0; i < SCOPES; i++) {
        if ((set >> i & 1) != 0) {
            add(text, between);
            add(text, "\"");
            add(text, model_scopes[i]);
            add(text, "\"");
            between = ",";
        }
    }
    add(text, set == 0 ? "[]" : "]");
}

static const char *name_of(enum kw_limit_per per)
{
    return per == KW_PER_KEY ? "key" : per == KW_PER_OWNER ? "owner" : "org";
}

static void add_limits(struct text *text, const struct model_limits *limits)
{
    static const char *const exceeded[] = {"block", "warn", "throttle"};
    char member[256];
    add(text, ",\"rateLimits\":");
    for (int i = 0; i < limits->limit_count; i++) {
        const struct model_limit *limit = &limits->limits[i];
        snprintf(member, sizeof member, "%s{\"name\":\"%s\",\"requests\":%lld,\"window\":\"%lldms\",\"per\":\"%s\"}",
                 i == 0 ? "[" : ",", limit->name, (long long)limit->requests, (long long)limit->window,
                 name_of(limit->per));
        add(text, member);
    }
    add(text, limits->limit_count == 0 ? "null" : "]");
    add(text, ",\"quotas\":");
    for (int i = 0; i < limits->quota_count; i++) {
        const struct model_quota *quota = &limits->quotas[i];
        snprintf(member, sizeof member,
                 "%s{\"name\":\"%s\",\"metric\":\"%s\",\"limit\":%lld,\"period\":\"%s\",\"anchor\":\"%s\","
                 "\"onExceeded\":\"%s\",\"per\":\"%s\"",
                 i == 0 ? "[" : ",", quota->name, quota->metric, (long long)quota->limit,
                 quota->period == KW_PERIOD_HOUR ? "hour" : "day",
                 quota->anchor == KW_ANCHOR_CREATED ? "created" : "utc", exceeded[quota->on_exceeded],
                 name_of(quota->per));
        add(text, member);
        snprintf(member, sizeof member, ",\"throttle\":{\"requests\":%lld,\"window\":\"%lldms\"}}",
                 (long long)quota->throttle.requests, (long long)quota->throttle.window);
        add(text, quota->on_exceeded == KW_QUOTA_THROTTLE ? member : "}");
    }
    add(text, limits->quota_count == 0 ? "null" : "]");
}

/* Every setting, so that nothing is left of what was before. */
static void write_policy(const struct model_policy *policy, const char *name, struct text *text)
{
    char number[64];
    text->size = 0;
    add(text, "{\"name\":\"");
    add(text, name);
    add(text, "\",\"scopes\":");
    if (policy->bounds_rights) {
        add_words(text, policy->rights.scopes);
    } else {
        add(text, "null");
    }
    add(text, ",\"resources\":{");
    const char *between = "";
    for (int i = 0; i < RESOURCES && policy->bounds_rights; i++) {
        if (policy->rights.resources[i] != 0) {
            add(text, between);
            add(text, "\"");
            add(text, model_resources[i]);
            add(text, "\":");
            add_words(text, policy->rights.resources[i]);
            between = ",";
        }
    }
    add(text, "}");
    if (!policy->bounds_rights) {
        text->size -= 2; /* no resources at all, instead of none */
        add(text, "null");
    }
    snprintf(number, sizeof number, ",\"maxTtl\":\"%lldms\"", (long long)policy->ttl);
    add(text, policy->ttl == 0 ? ",\"maxTtl\":null" : number);
    add(text, policy->requires_ip ? ",\"requireIP\":true" : ",\"requireIP\":null");
    snprintf(number, sizeof number, ",\"maxResources\":%d", policy->resources);
    add(text, policy->resources < 0 ? ",\"maxResources\":null" : number);
    snprintf(number, sizeof number, ",\"environments\":[\"%s\"]", policy->env == NULL ? "" : policy->env);
    add(text, policy->env == NULL ? ",\"environments\":null" : number);
    add_limits(text, &policy->limits);
    add(text, "}");
}

/* What the answer should say of the keys. */
static void write_narrowed(const struct model *model, const struct model_narrowed *narrowed, struct text *text)
{
    char id[KW_ID_TEXT_SIZE + 1];
    char end[64];
    text->size = 0;
    add(text, "{\"items\":[");
    for (int i = 0; i < narrowed->count; i++) {
        const struct model_key *key = &model->keys[narrowed->keys[i]];
        const char *between = "";
        bool has_resources = false;
        kw_id_to_text(&key->id, id);
        add(text, i == 0 ? "{\"id\":\"" : ",{\"id\":\"");
        add(text, id);
        add(text, key->name[0] != '\0' ? "\",\"name\":\"" : "");
        add(text, key->name);
        if (narrowed->ancestors[i] >= 0) {
            kw_id_to_text(&model->keys[narrowed->ancestors[i]].id, id);
            add(text, "\",\"ancestorId\":\"");
            add(text, id);
        }
        add(text, "\",\"fields\":[");
        for (int n = 0; n < EXCESSES; n++) {
            bool is_resources = n == BEYOND_RESOURCE_COUNT || n == BEYOND_RESOURCES;
            if ((narrowed->excess[i] >> n & 1) != 0 && !(is_resources && has_resources)) {
                add(text, between);
                add(text, "\"");
                add(text, excess_fields[n]);
                add(text, "\"");
                between = ",";
                has_resources = has_resources || is_resources;
            }
        }
        add(text, "]}");
    }
    snprintf(end, sizeof end, "],\"count\":%d,\"exact\":true,\"more\":false}", narrowed->count);
    add(text, end);
}

/* The version that the library has of a policy; 0: there is none. */
static uint64_t kept_version(struct sim *sim, int policy)
{
    struct kw_held_document held = {.memory = NULL};
    struct kw_document_request request = {.kind = KW_DOCUMENT_POLICY, .name = kw_text(model_policies[policy])};
    uint64_t version = 0;
    if (kw_document_get(sim->keyward, &request, &held, NULL) == KW_OK) {
        static const char member[] = "\"version\":";
        char json[4096] = "";
        size_t size = held.json.size < sizeof json ? held.json.size : sizeof json - 1;
        memcpy(json, held.json.data, size);
        const char *at = strstr(json, member);
        for (at = at == NULL ? "" : at + strlen(member); *at >= '0' && *at <= '9'; at++) {
            version = version * 10 + (uint64_t)(*at - '0');
        }
    }
    kw_held_document_clear(&held);
    return version;
}

static enum kw_code expected_code(const struct model *model, int policy, const struct model_policy *after)
{
    return after == NULL && model_policy_keys(model, policy) != 0 ? KW_CODE_POLICY_IN_USE : KW_CODE_NONE;
}

/* The same to the library. */
static enum kw_code send(struct sim *sim, int policy, const struct model_policy *after, bool is_dry_run,
                         struct kw_held_document *held)
{
    static struct text json;
    struct kw_error error = {0};
    struct kw_document_request request = {
        .kind = KW_DOCUMENT_POLICY, .name = kw_text(model_policies[policy]), .is_dry_run = is_dry_run};
    enum kw_status status;
    if (after == NULL) {
        status = kw_document_delete(sim->keyward, &request, &error);
    } else {
        write_policy(after, model_policies[policy], &json);
        request.json = kw_bytes_of(json.at, json.size);
        status = sim->model.policies[policy].is_there ? kw_document_update(sim->keyward, &request, held, &error)
                                                      : kw_document_create(sim->keyward, &request, held, &error);
    }
    return status == KW_OK ? KW_CODE_NONE : kw_code_of_name(error.code);
}

void sim_policy(struct sim *sim, int policy, const struct model_policy *after, bool is_dry_run)
{
    static struct text expected;
    static struct model_narrowed narrowed;
    struct model_policy *before = &sim->model.policies[policy];
    struct kw_held_document held = {.memory = NULL};
    sim_arm(sim);
    enum kw_code code = send(sim, policy, after, is_dry_run, &held);
    sim_disarm(sim);
    enum kw_code wanted = expected_code(&sim->model, policy, after);
    uint64_t version = after == NULL ? 0 : before->version + 1;
    bool is_fault = sim_is_fault(sim, code);
    if (!is_fault) {
        CHECK_TEXT(sim->t, kw_code_info(code)->name, kw_code_info(wanted)->name);
    }
    if (code == KW_CODE_NONE && after != NULL) {
        model_find_narrowed(&sim->model, policy, after, &narrowed);
        write_narrowed(&sim->model, &narrowed, &expected);
        CHECK_BYTES(sim->t, held.narrowed, kw_bytes_of(expected.at, expected.size));
    }
    bool is_done = code == KW_CODE_NONE && !is_dry_run;
    if (code == KW_CODE_OUTCOME_UNCERTAIN && wanted == KW_CODE_NONE) {
        is_done = kept_version(sim, policy) == version;
    }
    if (is_done && after == NULL) {
        *before = (struct model_policy){.resources = -1};
    } else if (is_done) {
        *before = *after;
        before->is_there = true;
        before->version = version;
    }
    CHECK_I64(sim->t, kept_version(sim, policy), before->version);
    kw_held_document_clear(&held);
}
