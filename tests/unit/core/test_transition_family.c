/* Children when they are born, changed and rotated; and rotations, which never widen the places of a key. */
#include "core/family.h"
#include "core/id.h"
#include "core/internal.h"
#include "core/record.h"
#include "transitions.h"

#define PARENT_ID KW_BYTES("key_05000000000000000000000000") /* found by others, not by the transition */

static const struct kw_bytes parent_ips[] = {{(const uint8_t *)"10.0.0.0/8", 10}};
static const struct kw_bytes parent_regions[] = {{(const uint8_t *)"EU", 2}, {(const uint8_t *)"US-CA", 5}};

/* A key of team:9 in acme with two scopes, a resource, an expiry and rules on places, as a store would keep it. */
static struct kw_record make_parent(struct test *t, struct kw_arena *arena)
{
    struct kw_bytes scopes[] = {KW_BYTES("a:*"), KW_BYTES("b")};
    struct kw_bytes write = KW_BYTES("write");
    struct kw_resource_scopes on = {KW_BYTES("website:1"), &write, 1};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_ORG | KW_GIVEN_SCOPES | KW_GIVEN_RESOURCES |
                                            KW_GIVEN_EXPIRES_IN | KW_GIVEN_ALLOWED_IPS | KW_GIVEN_ALLOWED_REGIONS,
                                   .owner = KW_BYTES("team:9"),
                                   .org_id = KW_BYTES("acme"),
                                   .scopes = scopes,
                                   .scope_count = 2,
                                   .resources = &on,
                                   .resource_count = 1,
                                   .expires_in_ms = HOUR_MS,
                                   .allowed_ips = parent_ips,
                                   .allowed_ip_count = 1,
                                   .allowed_regions = parent_regions,
                                   .allowed_region_count = 2};
    struct kw_command command = command_of(KW_COMMAND_CREATE, &params);
    struct kw_change change = {.action = NULL};
    CHECK_STATUS(t, kw_transition(NULL, &command, NOW_MS, arena, &change, NULL), KW_OK);
    change.after.lineage_id = (struct kw_id){{7}}; /* it was rotated once */
    return change.after;
}

static void a_child_has_what_it_is_not_given_from_its_parent(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record parent = make_parent(t, &arena);
    struct kw_key_params params = {.given = KW_GIVEN_PARENT, .parent = PARENT_ID};
    struct kw_command command = command_of(KW_COMMAND_CREATE, &params);
    command.parent = &parent;
    REQUIRE_OK(t, kw_transition(NULL, &command, NOW_MS, &arena, &change, NULL));
    CHECK(t, kw_id_equal(&change.after.parent_id, &parent.lineage_id)); /* the line, not the key */
    CHECK(t, kw_id_equal(&change.after.lineage_id, &birth.id));
    CHECK_BYTES(t, change.after.owner, parent.owner);
    CHECK_BYTES(t, change.after.org_id, parent.org_id);
    CHECK_I64(t, change.after.expires_at_ms, parent.expires_at_ms);
    CHECK_I64(t, change.after.scopes.count, 0); /* nothing is held that was not given */
    CHECK_I64(t, change.after.resources.count, 0);
    CHECK_I64(t, change.after.allowed_ips.count, 0); /* and no rule is repeated */
    CHECK(t, !change.after.has_children);
    params.given |= KW_GIVEN_OWNER | KW_GIVEN_EXPIRES_IN;
    params.owner = KW_BYTES("user:1");
    params.expires_in_ms = HOUR_MS - 1;
    REQUIRE_OK(t, kw_transition(NULL, &command, NOW_MS, &arena, &change, NULL));
    CHECK_BYTES(t, change.after.owner, KW_BYTES("user:1"));
    CHECK_I64(t, change.after.expires_at_ms, NOW_MS + HOUR_MS - 1);
    kw_arena_reset(&arena);
}

static void a_parent_that_has_ended_gets_no_children(struct test *t)
{
    static const bool ended[STATE_COUNT] = {[EXPIRED] = true, [LAPSED] = true, [PAST_GRACE] = true, [REVOKED] = true};
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    for (int state = 0; state < STATE_COUNT; state++) {
        struct kw_record parent = record_in((enum state)state, &arena);
        struct kw_key_params params = {.given = KW_GIVEN_PARENT, .parent = PARENT_ID};
        struct kw_command command = command_of(KW_COMMAND_CREATE, &params);
        struct kw_change change;
        command.parent = &parent;
        if (ended[state]) {
            refused(t, NULL, &command, "INVALID_FIELD", "parentId");
        } else {
            CHECK_STATUS(t, kw_transition(NULL, &command, NOW_MS, &arena, &change, NULL), KW_OK);
        }
    }
    kw_arena_reset(&arena);
}

/* What goes beyond the parent, and what does not, one field at a time. */
struct step {
    const char *field;
    struct kw_key_params within, beyond;
};

/* Lists of one. */
#define ONLY(name, text) static const struct kw_bytes only_##name[] = {{(const uint8_t *)(text), sizeof(text) - 1}}
ONLY(write, "write");
ONLY(a_c, "a:c");
ONLY(a_b, "a:b");
ONLY(b_all, "b:*");
ONLY(a_all, "a:*");
ONLY(_all, "*");
ONLY(10_9_0_0_16, "10.9.0.0/16");
ONLY(10_0_0_0_7, "10.0.0.0/7");
ONLY(2001_db8__1, "2001:db8::1");
ONLY(de, "DE");
ONLY(eea, "EEA");
ONLY(us_ca, "US-CA");
ONLY(us, "US");
ONLY(10_1_0_0_16, "10.1.0.0/16");
ONLY(11_0_0_0_8, "11.0.0.0/8");
ONLY(10_2_0_0_15, "10.2.0.0/15");
ONLY(10_2_0_0_17, "10.2.0.0/17");
ONLY(fr, "FR");
ONLY(no, "NO");
ONLY(de_by, "DE-BY");
ONLY(10_2_0_0_16, "10.2.0.0/16");

static const struct kw_resource_scopes own_site[] = {{{(const uint8_t *)"website:1", 9}, only_write, 1}};
static const struct kw_resource_scopes global_there[] = {{{(const uint8_t *)"website:2", 9}, only_a_c, 1}};
static const struct kw_resource_scopes all_sites[] = {{{(const uint8_t *)"website:*", 9}, only_write, 1}};

static const struct step steps[] = {
    {"scopes",
     {.given = KW_GIVEN_SCOPES, .scopes = only_a_b, .scope_count = 1},
     {.given = KW_GIVEN_SCOPES, .scopes = only_b_all, .scope_count = 1}},
    {"scopes",
     {.given = KW_GIVEN_SCOPES, .scopes = only_a_all, .scope_count = 1},
     {.given = KW_GIVEN_SCOPES, .scopes = only__all, .scope_count = 1}},
    {"scopes", /* what it holds on a resource, it does not hold everywhere */
     {.given = KW_GIVEN_SCOPES},
     {.given = KW_GIVEN_SCOPES, .scopes = only_write, .scope_count = 1}},
    {"resources",
     {.given = KW_GIVEN_RESOURCES, .resources = own_site, .resource_count = 1},
     {.given = KW_GIVEN_RESOURCES, .resources = all_sites, .resource_count = 1}},
    {"resources",
     {.given = KW_GIVEN_RESOURCES, .resources = global_there, .resource_count = 1},
     {.given = KW_GIVEN_RESOURCES, .resources = all_sites, .resource_count = 1}},
    {"expiresAt",
     {.given = KW_GIVEN_EXPIRES_IN, .expires_in_ms = HOUR_MS},
     {.given = KW_GIVEN_EXPIRES_IN, .expires_in_ms = HOUR_MS + 1}},
    {"expiresAt",
     {.given = KW_GIVEN_EXPIRES_AT, .expires_at_ms = NOW_MS + 1},
     {.given = KW_GIVEN_EXPIRES_AT}}, /* none at all */
    {"allowedIPs",
     {.given = KW_GIVEN_ALLOWED_IPS, .allowed_ips = only_10_9_0_0_16, .allowed_ip_count = 1},
     {.given = KW_GIVEN_ALLOWED_IPS, .allowed_ips = only_10_0_0_0_7, .allowed_ip_count = 1}},
    {"allowedIPs",
     {.given = KW_GIVEN_ALLOWED_IPS},
     {.given = KW_GIVEN_ALLOWED_IPS, .allowed_ips = only_2001_db8__1, .allowed_ip_count = 1}},
    {"allowedRegions",
     {.given = KW_GIVEN_ALLOWED_REGIONS, .allowed_regions = only_de, .allowed_region_count = 1},
     {.given = KW_GIVEN_ALLOWED_REGIONS, .allowed_regions = only_eea, .allowed_region_count = 1}},
    {"allowedRegions",
     {.given = KW_GIVEN_ALLOWED_REGIONS, .allowed_regions = only_us_ca, .allowed_region_count = 1},
     {.given = KW_GIVEN_ALLOWED_REGIONS, .allowed_regions = only_us, .allowed_region_count = 1}},
};

static void what_exceeds_the_parent_is_named(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 18);
    struct kw_record parent = make_parent(t, &arena);
    for (size_t i = 0; i < KW_COUNT_OF(steps); i++) {
        struct kw_key_params within = steps[i].within;
        struct kw_key_params beyond = steps[i].beyond;
        struct kw_command good = command_of(KW_COMMAND_CREATE, &within);
        struct kw_command bad = command_of(KW_COMMAND_CREATE, &beyond);
        within.given |= KW_GIVEN_PARENT;
        within.parent = PARENT_ID;
        beyond.given |= KW_GIVEN_PARENT;
        beyond.parent = PARENT_ID;
        good.parent = bad.parent = &parent;
        CHECK_STATUS(t, kw_transition(NULL, &good, NOW_MS, &arena, &change, NULL), KW_OK);
        refused(t, NULL, &bad, "EXCEEDS_PARENT", steps[i].field);
        struct kw_record child = change.after;
        good = command_of(KW_COMMAND_UPDATE, &steps[i].within);
        bad = command_of(KW_COMMAND_UPDATE, &steps[i].beyond);
        good.parent = bad.parent = &parent;
        CHECK_STATUS(t, kw_transition(&child, &good, NOW_MS, &arena, &change, NULL), KW_OK);
        refused(t, &child, &bad, "EXCEEDS_PARENT", steps[i].field);
        CHECK(t, kw_id_equal(&change.after.parent_id, &parent.lineage_id));
        struct kw_command rotate = command_of(KW_COMMAND_ROTATE, &steps[i].within);
        struct kw_birth later = birth;
        later.id = (struct kw_id){{9}};
        rotate.birth = &later;
        rotate.parent = &parent;
        CHECK_STATUS(t, kw_transition(&child, &rotate, NOW_MS, &arena, &change, NULL), KW_OK);
        CHECK(t, kw_id_equal(&change.successor.parent_id, &parent.lineage_id));
        CHECK(t, kw_id_equal(&change.successor.lineage_id, &child.lineage_id));
        rotate.params = &steps[i].beyond;
        struct kw_error error = {.code = "none"};
        CHECK(t, kw_transition(&child, &rotate, NOW_MS, &arena, &change, &error) != KW_OK);
        CHECK_TEXT(t, error.field, steps[i].field); /* wider than the old key, or than the parent */
    }
    kw_arena_reset(&arena);
}

/* Quotas and limits of a parent that has some, and whose spending they count. */
static void what_is_spent_lies_within_the_parents(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    struct kw_error error = {.code = ""};
    kw_arena_init(&arena, NULL, 0, 1 << 18);
    struct kw_record parent = make_parent(t, &arena);
    struct kw_quota_rule quota = {.limit = 100, .period = KW_PERIOD_DAY, .per = KW_PER_OWNER};
    struct kw_rate_limit limit = {.requests = 10, .window_ms = 1000, .per = KW_PER_OWNER};
    struct kw_key_params params = {.given = KW_GIVEN_QUOTAS | KW_GIVEN_RATE_LIMITS,
                                   .quotas = &quota,
                                   .quota_count = 1,
                                   .rate_limits = &limit,
                                   .rate_limit_count = 1};
    REQUIRE_OK(t, kw__params_apply(&params, NOW_MS, &arena, &parent, &error));
    struct kw_key_params own = {.given = KW_GIVEN_PARENT, .parent = PARENT_ID};
    struct kw_command command = command_of(KW_COMMAND_CREATE, &own);
    command.parent = &parent;
    REQUIRE_OK(t, kw_transition(NULL, &command, NOW_MS, &arena, &change, &error)); /* then it has its parent's */
    CHECK_BYTES(t, change.after.quotas.packed, parent.quotas.packed);
    CHECK_BYTES(t, change.after.rate_limits.packed, parent.rate_limits.packed);
    struct kw_record child = change.after;
    own = params;
    own.given |= KW_GIVEN_PARENT;
    own.parent = PARENT_ID;
    quota.limit = 101;
    refused(t, NULL, &command, "EXCEEDS_PARENT", "quotas");
    quota = (struct kw_quota_rule){.limit = 100, .period = KW_PERIOD_DAY};
    refused(t, NULL, &command, "EXCEEDS_PARENT", "quotas"); /* its own does not bound its owner's */
    quota.per = KW_PER_OWNER;
    limit.per = KW_PER_KEY;
    refused(t, NULL, &command, "EXCEEDS_PARENT", "rateLimits");
    limit.per = KW_PER_OWNER;
    quota.limit = 99;
    CHECK_STATUS(t, kw_transition(NULL, &command, NOW_MS, &arena, &change, &error), KW_OK);
    struct kw_command rotate = command_of(KW_COMMAND_ROTATE, &params);
    struct kw_birth later = birth;
    later.id = (struct kw_id){{9}};
    rotate.birth = &later;
    rotate.parent = &parent;
    CHECK_STATUS(t, kw_transition(&child, &rotate, NOW_MS, &arena, &change, &error), KW_OK);
    quota.limit = 101;
    refused(t, &child, &rotate, "INVALID_FIELD", "quotas");
    kw_arena_reset(&arena);
}

static void an_organisations_limit_needs_one(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    struct kw_error error = {.code = ""};
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = record_in(ACTIVE, &arena);
    struct kw_quota_rule quotas[] = {{.limit = 1, .period = KW_PERIOD_DAY},
                                     {.limit = 1, .period = KW_PERIOD_HOUR, .per = KW_PER_ORG}};
    struct kw_rate_limit limit = {.requests = 1, .window_ms = 1, .per = KW_PER_ORG};
    struct kw_key_params params = {.given = KW_GIVEN_QUOTAS,
                                   .quotas = quotas,
                                   .quota_count = 2,
                                   .rate_limits = &limit,
                                   .rate_limit_count = 1,
                                   .org_id = KW_BYTES("acme")};
    struct kw_command command = command_of(KW_COMMAND_UPDATE, &params);
    before.org_id = (struct kw_bytes){NULL, 0};
    refused(t, &before, &command, "INVALID_FIELD", "quotas[1].per");
    params.given = KW_GIVEN_RATE_LIMITS;
    refused(t, &before, &command, "INVALID_FIELD", "rateLimits[0].per");
    params.given = KW_GIVEN_QUOTAS | KW_GIVEN_ORG;
    REQUIRE_OK(t, kw_transition(&before, &command, NOW_MS, &arena, &change, &error));
    struct kw_record after = change.after;
    params = (struct kw_key_params){.given = KW_GIVEN_ORG};
    refused(t, &after, &command, "INVALID_FIELD", "orgId");
    params.given = KW_GIVEN_ORG | KW_GIVEN_QUOTAS; /* both at once */
    CHECK_STATUS(t, kw_transition(&after, &command, NOW_MS, &arena, &change, &error), KW_OK);
    kw_arena_reset(&arena);
}

static void another_environment_is_beyond_the_parent(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record parent = make_parent(t, &arena);
    struct kw_key_params params = {
        .given = KW_GIVEN_PARENT | KW_GIVEN_ENV, .parent = PARENT_ID, .env = KW_BYTES("test")};
    struct kw_birth elsewhere = birth;
    struct kw_command command = command_of(KW_COMMAND_CREATE, &params);
    elsewhere.env = KW_BYTES("test");
    command.birth = &elsewhere;
    command.parent = &parent;
    refused(t, NULL, &command, "EXCEEDS_PARENT", "env");
    kw_arena_reset(&arena);
}

/* A narrowed parent keeps its children from widening, not from changing. */
static void only_what_is_given_is_held_against_the_parent(struct test *t)
{
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record parent = make_parent(t, &arena);
    struct kw_key_params params = {
        .given = KW_GIVEN_PARENT | KW_GIVEN_SCOPES, .parent = PARENT_ID, .scopes = only_a_b, .scope_count = 1};
    struct kw_command command = command_of(KW_COMMAND_CREATE, &params);
    command.parent = &parent;
    REQUIRE_OK(t, kw_transition(NULL, &command, NOW_MS, &arena, &change, NULL));
    struct kw_record child = change.after;
    parent.scopes = parent.resources = (struct kw_list){.count = 0};
    parent.expires_at_ms = NOW_MS + 5;
    const struct kw_key_params *rows[] = {&rename_params, NULL};
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        command = command_of(i == 0 ? KW_COMMAND_UPDATE : KW_COMMAND_ROTATE, rows[i]);
        command.parent = &parent;
        CHECK_STATUS(t, kw_transition(&child, &command, NOW_MS, &arena, &change, NULL), KW_OK);
    }
    params.given = KW_GIVEN_SCOPES;
    command = command_of(KW_COMMAND_UPDATE, &params);
    command.parent = &parent;
    refused(t, &child, &command, "EXCEEDS_PARENT", "scopes");
    kw_arena_reset(&arena);
}

static void the_parent_and_policy_of_a_key_stay(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record before = record_in(ACTIVE, &arena);
    struct kw_key_params params = {.given = KW_GIVEN_PARENT, .parent = PARENT_ID};
    struct kw_command update = command_of(KW_COMMAND_UPDATE, &params);
    struct kw_command rotate = command_of(KW_COMMAND_ROTATE, &params);
    refused(t, &before, &update, "CANNOT_CHANGE_FIELD", "parentId");
    refused(t, &before, &rotate, "CANNOT_CHANGE_FIELD", "parentId");
    params.given = KW_GIVEN_POLICY;
    refused(t, &before, &rotate, "CANNOT_CHANGE_FIELD", "policy");
    kw_arena_reset(&arena);
}

static void a_rotation_widens_no_place(struct test *t)
{
    static const struct {
        const char *field;
        struct kw_key_params narrower, wider;
    } rows[] = {
        {"allowedIPs",
         {.given = KW_GIVEN_ALLOWED_IPS, .allowed_ips = only_10_1_0_0_16, .allowed_ip_count = 1},
         {.given = KW_GIVEN_ALLOWED_IPS, .allowed_ips = only_11_0_0_0_8, .allowed_ip_count = 1}},
        {"allowedIPs", {.given = 0}, {.given = KW_GIVEN_ALLOWED_IPS}}, /* no rule at all */
        {"blockedIPs",
         {.given = KW_GIVEN_BLOCKED_IPS, .blocked_ips = only_10_2_0_0_15, .blocked_ip_count = 1},
         {.given = KW_GIVEN_BLOCKED_IPS, .blocked_ips = only_10_2_0_0_17, .blocked_ip_count = 1}},
        {"blockedIPs", {.given = 0}, {.given = KW_GIVEN_BLOCKED_IPS}},
        {"allowedRegions",
         {.given = KW_GIVEN_ALLOWED_REGIONS, .allowed_regions = only_fr, .allowed_region_count = 1},
         {.given = KW_GIVEN_ALLOWED_REGIONS, .allowed_regions = only_no, .allowed_region_count = 1}},
        {"allowedRegions", {.given = 0}, {.given = KW_GIVEN_ALLOWED_REGIONS}},
        {"blockedRegions",
         {.given = KW_GIVEN_BLOCKED_REGIONS, .blocked_regions = only_eea, .blocked_region_count = 1},
         {.given = KW_GIVEN_BLOCKED_REGIONS, .blocked_regions = only_de_by, .blocked_region_count = 1}},
        {"blockedRegions", {.given = 0}, {.given = KW_GIVEN_BLOCKED_REGIONS}},
    };
    struct kw_arena arena;
    struct kw_change change;
    kw_arena_init(&arena, NULL, 0, 1 << 18);
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_ALLOWED_IPS | KW_GIVEN_BLOCKED_IPS |
                                            KW_GIVEN_ALLOWED_REGIONS | KW_GIVEN_BLOCKED_REGIONS,
                                   .owner = KW_BYTES("user:1"),
                                   .allowed_ips = parent_ips,
                                   .allowed_ip_count = 1,
                                   .blocked_ips = only_10_2_0_0_16,
                                   .blocked_ip_count = 1,
                                   .allowed_regions = parent_regions,
                                   .allowed_region_count = 2,
                                   .blocked_regions = only_de,
                                   .blocked_region_count = 1};
    struct kw_command command = command_of(KW_COMMAND_CREATE, &params);
    REQUIRE_OK(t, kw_transition(NULL, &command, NOW_MS, &arena, &change, NULL));
    struct kw_record before = change.after;
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        command = command_of(KW_COMMAND_ROTATE, &rows[i].narrower);
        CHECK_STATUS(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL), KW_OK);
        CHECK(t, kw_places_beyond(&change.successor, &before) == NULL);
        command = command_of(KW_COMMAND_ROTATE, &rows[i].wider);
        refused(t, &before, &command, "INVALID_FIELD", rows[i].field);
        command = command_of(KW_COMMAND_UPDATE, &rows[i].wider); /* which may be widened, as its scopes may */
        CHECK_STATUS(t, kw_transition(&before, &command, NOW_MS, &arena, &change, NULL), KW_OK);
    }
    kw_arena_reset(&arena);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_child_has_what_it_is_not_given_from_its_parent),
        TEST_CASE(a_parent_that_has_ended_gets_no_children),
        TEST_CASE(what_exceeds_the_parent_is_named),
        TEST_CASE(what_is_spent_lies_within_the_parents),
        TEST_CASE(an_organisations_limit_needs_one),
        TEST_CASE(another_environment_is_beyond_the_parent),
        TEST_CASE(only_what_is_given_is_held_against_the_parent),
        TEST_CASE(the_parent_and_policy_of_a_key_stay),
        TEST_CASE(a_rotation_widens_no_place),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
