/* Quotas as records keep them: packed and read again, refused by name, within one another as the calendar says. */
#include "core/quota_list.h"

#include "core/claims.h"
#include "core/id.h"
#include "core/limit_list.h"
#include "records.h"

#include <stdlib.h>

#define ONE KW_AMOUNT_ONE
#define DAY_MS INT64_C(86400000)
#define BORN_MS INT64_C(1769862896789) /* 2026-01-31T12:34:56.789Z */

static struct kw_quota_rule rule_of(const char *name, int64_t limit, enum kw_period period)
{
    return (struct kw_quota_rule){.name = kw_bytes_of_text(name), .limit = limit, .period = period};
}

static void quotas_are_packed_by_name(struct test *t)
{
    struct kw_arena arena;
    struct kw_list list;
    struct kw_quota_rule rule;
    kw_arena_init(&arena, NULL, 0, 65536);
    const struct kw_quota_rule rules[] = {
        {.limit = 10000 * ONE, .period = KW_PERIOD_MONTH},
        {.name = KW_BYTES("all.of_it-0123456789-0123456789-0123456789-01234"),
         .metric = KW_BYTES("a.metric-of_thirty-two-bytes-012"),
         .limit = KW_AMOUNT_MAX,
         .period = KW_PERIOD_YEAR,
         .anchor = KW_ANCHOR_CREATED,
         .on_exceeded = KW_QUOTA_THROTTLE,
         .marks = {1, 50, 99, 100},
         .mark_count = 4,
         .throttle = {.requests = KW_RATE_LIMIT_REQUESTS_MAX, .window_ms = KW_RATE_LIMIT_WINDOW_MS_MAX}},
        {.metric = KW_BYTES("cost"),
         .limit = 2000,
         .period = KW_PERIOD_DAY,
         .on_exceeded = KW_QUOTA_WARN,
         .per = KW_PER_ORG,
         .marks = {90},
         .mark_count = 1},
    };
    REQUIRE_OK(t, kw_quotas_check(rules, KW_COUNT_OF(rules), "quotas", NULL));
    REQUIRE(t, kw_quotas_pack(&arena, rules, KW_COUNT_OF(rules), &list));
    CHECK_I64(t, list.count, KW_COUNT_OF(rules));
    CHECK(t, kw_quotas_valid(&list));
    struct kw_bytes rest = list.packed;
    REQUIRE(t, kw_quota_rules_next(&rest, &rule));
    CHECK_BYTES(t, rule.name, rules[1].name);
    CHECK_BYTES(t, rule.metric, rules[1].metric);
    CHECK_I64(t, rule.limit, KW_AMOUNT_MAX);
    CHECK(t, rule.period == KW_PERIOD_YEAR && rule.anchor == KW_ANCHOR_CREATED && rule.per == KW_PER_KEY);
    CHECK_I64(t, rule.on_exceeded, KW_QUOTA_THROTTLE);
    CHECK_I64(t, rule.throttle.requests, KW_RATE_LIMIT_REQUESTS_MAX);
    CHECK_I64(t, rule.throttle.window_ms, KW_RATE_LIMIT_WINDOW_MS_MAX);
    CHECK_BYTES(t, kw_bytes_of(rule.marks, rule.mark_count), kw_bytes_of(rules[1].marks, 4));
    REQUIRE(t, kw_quota_rules_next(&rest, &rule));
    CHECK_BYTES(t, rule.name, KW_BYTES("cost-day"));
    CHECK(t, rule.on_exceeded == KW_QUOTA_WARN && rule.per == KW_PER_ORG && rule.mark_count == 1);
    REQUIRE(t, kw_quota_rules_next(&rest, &rule));
    CHECK_BYTES(t, rule.name, KW_BYTES("requests-month"));
    CHECK_BYTES(t, rule.metric, KW_BYTES("requests"));
    CHECK_BYTES(t, kw_bytes_of(rule.marks, rule.mark_count), KW_BYTES("\x50\x64"));
    CHECK_I64(t, rest.size, 0);
    REQUIRE(t, kw_quotas_pack(&arena, NULL, 0, &list));
    CHECK_I64(t, list.count + list.packed.size, 0);
    kw_arena_reset(&arena);
}

static void what_is_no_quota_is_refused_by_field(struct test *t)
{
    static const struct {
        const char *field;
        struct kw_quota_rule rule;
    } rows[] = {
#define ROW(field_, ...) \
    { \
        "quotas[1]." field_, \
        { \
            .limit = 1, .period = KW_PERIOD_DAY, __VA_ARGS__ \
        } \
    }
        ROW("name", .name = {(const uint8_t *)"A", 1}),
        ROW("name", .name = {(const uint8_t *)"1a", 2}),
        ROW("name", .name = {(const uint8_t *)"requests-month", 14}), /* what the first one has unasked */
        ROW("metric", .metric = {(const uint8_t *)"Tokens", 6}),
        ROW("metric", .metric = {(const uint8_t *)"a-metric-of-more-than-32-bytes-is", 33}),
        {"quotas[1].limit", {.limit = -1, .period = KW_PERIOD_DAY}},
        {"quotas[1].limit", {.limit = KW_AMOUNT_MAX + 1, .period = KW_PERIOD_DAY}},
        {"quotas[1].period", {.limit = 1}},
        {"quotas[1].period", {.limit = 1, .period = (enum kw_period)(KW_PERIOD_YEAR + 1)}},
        ROW("onExceeded", .on_exceeded = (enum kw_quota_exceeded)3),
        ROW("per", .per = (enum kw_limit_per)3),
        ROW("anchor", .anchor = (enum kw_quota_anchor)2),
        ROW("anchor", .anchor = KW_ANCHOR_CREATED, .per = KW_PER_OWNER),
        ROW("anchor", .anchor = KW_ANCHOR_CREATED, .per = KW_PER_ORG),
        ROW("warnAt", .marks = {0}, .mark_count = 1),
        ROW("warnAt", .marks = {101}, .mark_count = 1),
        ROW("warnAt", .marks = {80, 80}, .mark_count = 2),
        ROW("warnAt", .marks = {80, 79}, .mark_count = 2),
        ROW("warnAt", .mark_count = KW_QUOTA_MARK_COUNT_MAX + 1),
        ROW("throttle", .throttle = {.requests = 1, .window_ms = 1}),
        ROW("throttle", .on_exceeded = KW_QUOTA_WARN, .throttle = {.requests = 1, .window_ms = 1}),
        ROW("throttle", .on_exceeded = KW_QUOTA_THROTTLE),
        ROW("throttle.requests", .on_exceeded = KW_QUOTA_THROTTLE, .throttle = {.window_ms = 1}),
        ROW("throttle.window", .on_exceeded = KW_QUOTA_THROTTLE, .throttle = {.requests = 1}),
        ROW("throttle.window", .on_exceeded = KW_QUOTA_THROTTLE,
            .throttle = {.requests = 1, .window_ms = KW_RATE_LIMIT_WINDOW_MS_MAX + 1}),
#undef ROW
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_error error = {.code = ""};
        const struct kw_quota_rule rules[] = {rule_of("", 1, KW_PERIOD_MONTH), rows[i].rule};
        CHECK_STATUS(t, kw_quotas_check(rules, 2, "quotas", &error), KW_E_INVALID);
        CHECK_TEXT(t, error.field, rows[i].field);
    }
    struct kw_quota_rule many[KW_QUOTA_COUNT_MAX + 1] = {{.limit = 1, .period = KW_PERIOD_DAY}};
    struct kw_error error = {.code = ""};
    CHECK_STATUS(t, kw_quotas_check(many, KW_COUNT_OF(many), "quotas", &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "quotas");
}

static void they_are_kept_to_as_they_are_written(struct test *t)
{
    struct kw_arena arena;
    struct kw_list list;
    struct kw_quota quota;
    kw_arena_init(&arena, NULL, 0, 65536);
    const struct kw_quota_rule rules[] = {
        {.name = KW_BYTES("a"), .limit = 7 * ONE, .period = KW_PERIOD_WEEK, .anchor = KW_ANCHOR_CREATED},
        {.name = KW_BYTES("b"),
         .metric = KW_BYTES("tokens"),
         .limit = 5,
         .period = KW_PERIOD_HOUR,
         .per = KW_PER_OWNER,
         .on_exceeded = KW_QUOTA_THROTTLE,
         .throttle = {.requests = 9, .window_ms = 60000}}};
    REQUIRE(t, kw_quotas_pack(&arena, rules, 2, &list));
    struct kw_bytes rest = list.packed;
    REQUIRE(t, kw_quotas_next(&rest, BORN_MS, &quota));
    CHECK_I64(t, quota.anchor_ms, BORN_MS);
    CHECK(t, quota.limit == 7 * ONE && quota.period == KW_PERIOD_WEEK && quota.on_exceeded == KW_QUOTA_BLOCK);
    CHECK_BYTES(t, quota.metric, KW_BYTES("requests"));
    CHECK_I64(t, quota.throttle_requests + quota.throttle_window_ms, 0);
    REQUIRE(t, kw_quotas_next(&rest, BORN_MS, &quota));
    CHECK(t, quota.anchor_ms == KW_PERIOD_UTC && quota.per == KW_PER_OWNER && quota.limit == 5);
    CHECK(t, quota.throttle_requests == 9 && quota.throttle_window_ms == 60000);
    CHECK_BYTES(t, quota.name, KW_BYTES("b"));
    CHECK(t, quota.mark_count == 2 && quota.marks[0] == 80 && quota.marks[1] == 100);
    CHECK(t, !kw_quotas_next(&rest, BORN_MS, &quota));
    kw_arena_reset(&arena);
}

static void a_keys_birth_is_in_its_id(struct test *t)
{
    static const uint8_t random[KW_ID_RANDOM_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct kw_id id = kw_id_make(BORN_MS, random);
    CHECK_I64(t, kw_id_time_ms(&id), BORN_MS);
    id = kw_id_make(INT64_MAX, random);
    CHECK_I64(t, kw_id_time_ms(&id), INT64_C(253402300799999)); /* the last that can be written */
}

/* --- within --- */

/* How many periods of one kind a single one of another can touch, over thirty years. */
static int64_t most_touched(enum kw_period inner, enum kw_period outer, int64_t anchor_ms)
{
    int64_t most = 0;
    struct kw_span span = kw_period_at(outer, anchor_ms, BORN_MS);
    for (int i = 0; i < 400; i++) {
        int64_t count = 0;
        for (int64_t at = span.start_ms; at < span.end_ms; count++) {
            at = kw_period_at(inner, anchor_ms, at).end_ms;
        }
        most = count > most ? count : most;
        span = kw_period_at(outer, anchor_ms, span.end_ms);
    }
    return most;
}

static void within_is_what_the_calendar_lets_pass(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, (size_t)1 << 20);
    for (int anchor = KW_ANCHOR_UTC; anchor <= KW_ANCHOR_CREATED; anchor++) {
        for (int in = KW_PERIOD_HOUR; in <= KW_PERIOD_YEAR; in++) {
            for (int out = KW_PERIOD_HOUR; out <= KW_PERIOD_YEAR; out++) {
                int64_t anchor_ms = anchor == KW_ANCHOR_UTC ? KW_PERIOD_UTC : BORN_MS;
                int64_t touched = most_touched((enum kw_period)in, (enum kw_period)out, anchor_ms);
                for (int64_t limit = 99; limit <= 201; limit++) {
                    struct kw_list lists[2];
                    struct kw_quota_rule inner = rule_of("a", 100, (enum kw_period)in);
                    struct kw_quota_rule outer = rule_of("b", limit, (enum kw_period)out);
                    inner.anchor = outer.anchor = (enum kw_quota_anchor)anchor;
                    REQUIRE(t, kw_quotas_pack(&arena, &inner, 1, &lists[0]));
                    REQUIRE(t, kw_quotas_pack(&arena, &outer, 1, &lists[1]));
                    bool keeps_to_it = touched * 100 <= limit;
                    bool expected = in >= out && keeps_to_it; /* shorter periods are not added up */
                    if (kw_quotas_within(&lists[0], &lists[1]) != expected) {
                        test_fail(t, __FILE__, __LINE__, "100 each %s within %lld each %s", kw_period_name(in),
                                  (long long)limit, kw_period_name(out));
                    }
                }
                kw_arena_reset(&arena);
                kw_arena_init(&arena, NULL, 0, (size_t)1 << 20);
            }
        }
    }
    kw_arena_reset(&arena);
}

static void within_asks_for_the_same_and_for_as_much(struct test *t)
{
    const struct kw_quota_rule plain = rule_of("q", 100, KW_PERIOD_DAY);
    struct kw_quota_rule tokens = plain, warns = plain, owner = plain, org = plain, created = plain, slow = plain,
                         slower = plain;
    tokens.metric = KW_BYTES("tokens");
    warns.on_exceeded = KW_QUOTA_WARN;
    owner.per = KW_PER_OWNER;
    org.per = KW_PER_ORG;
    created.anchor = KW_ANCHOR_CREATED;
    slow.on_exceeded = slower.on_exceeded = KW_QUOTA_THROTTLE;
    slow.throttle = (struct kw_rate_limit){.requests = 10, .window_ms = 1000};
    slower.throttle = (struct kw_rate_limit){.requests = 9, .window_ms = 1000};
    const struct {
        const struct kw_quota_rule *inner, *outer;
        bool is_within;
    } rows[] = {
        {&plain, &plain, true},    {&tokens, &plain, false},   {&plain, &tokens, false}, {&plain, &warns, true},
        {&warns, &plain, false},   {NULL, &warns, true},       {NULL, &plain, false},    {&plain, NULL, true},
        {&owner, &plain, true},    {&org, &plain, true},       {&plain, &owner, false},  {&plain, &org, false},
        {&owner, &owner, true},    {&owner, &org, false},      {&org, &owner, false},    {&created, &plain, false},
        {&plain, &created, false}, {&created, &created, true}, {&slow, &plain, false},   {&plain, &slow, true},
        {&slow, &slow, true},      {&slower, &slow, true},     {&slow, &slower, false},  {&warns, &slow, false},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_arena arena;
        struct kw_list lists[2];
        kw_arena_init(&arena, NULL, 0, 65536);
        REQUIRE(t, kw_quotas_pack(&arena, rows[i].inner, rows[i].inner == NULL ? 0 : 1, &lists[0]));
        REQUIRE(t, kw_quotas_pack(&arena, rows[i].outer, rows[i].outer == NULL ? 0 : 1, &lists[1]));
        if (kw_quotas_within(&lists[0], &lists[1]) != rows[i].is_within) {
            test_fail(t, __FILE__, __LINE__, "row %zu", i);
        }
        kw_arena_reset(&arena);
    }
}

/* --- entries --- */

static struct kw_entry *entry_of(struct test *t, const struct kw_record *record)
{
    uint8_t memory[4096];
    struct kw_buffer buffer;
    struct kw_digest digest = {.size = 32};
    struct kw_record decoded;
    kw_buffer_init_fixed(&buffer, memory, sizeof memory);
    CHECK_STATUS(t, kw_record_encode(record, &buffer), KW_OK);
    struct kw_entry *entry = malloc(kw_entry_size(KW_ENTRY_BOUNDED | KW_ENTRY_EXTENDED, buffer.size));
    if (entry == NULL || kw_entry_build(&digest, 1, false, kw_buffer_bytes(&buffer), entry, &decoded) != KW_OK) {
        abort();
    }
    return entry;
}

static void an_entry_gives_what_its_record_has(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 65536);
    const struct kw_quota_rule rules[] = {rule_of("a", 1, KW_PERIOD_DAY), rule_of("b", 2, KW_PERIOD_YEAR)};
    const struct kw_rate_limit limits[] = {{.name = KW_BYTES("x"), .requests = 5, .window_ms = 6}};
    for (unsigned has = 0; has < 8; has++) {
        struct kw_record record = record_typical(&arena);
        REQUIRE(t, kw_quotas_pack(&arena, rules, (has & 1) != 0 ? 2 : 0, &record.quotas));
        REQUIRE(t, kw_rate_limits_pack(&arena, limits, (has & 2) != 0 ? 1 : 0, &record.rate_limits));
        record.has_children = (has & 4) != 0;
        struct kw_entry *entry = entry_of(t, &record);
        struct kw_list quotas = kw_entry_quotas(entry);
        struct kw_list of_limits = kw_entry_limits(entry);
        CHECK(t, kw_entry_is_limited(entry) == ((has & 3) != 0));
        CHECK_I64(t, quotas.count, record.quotas.count);
        CHECK_BYTES(t, quotas.packed, record.quotas.packed);
        CHECK_I64(t, of_limits.count, record.rate_limits.count);
        CHECK_BYTES(t, of_limits.packed, record.rate_limits.packed);
        free(entry);
    }
    kw_arena_reset(&arena);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(quotas_are_packed_by_name),
        TEST_CASE(what_is_no_quota_is_refused_by_field),
        TEST_CASE(they_are_kept_to_as_they_are_written),
        TEST_CASE(a_keys_birth_is_in_its_id),
        TEST_CASE(within_is_what_the_calendar_lets_pass),
        TEST_CASE(within_asks_for_the_same_and_for_as_much),
        TEST_CASE(an_entry_gives_what_its_record_has),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
