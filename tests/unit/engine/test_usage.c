/* What is counted of verifications, from the verdict to the store and back. */
#include "base/bytes.h"
#include "engine/usage_table.h"
#include "support/engine.h"

#include <stdio.h>

#define HOUR_MS (INT64_C(3600) * 1000)
#define DAY_MS (24 * HOUR_MS)

static bool defers; /* what is counted is deferred, however little it is */

struct counting {
    struct test *t;
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key;
};

static bool begin_on(struct test *t, struct counting *c, struct kw_store *store, const struct kw_key_params *params)
{
    *c = (struct counting){.t = t};
    if (!test_engine_open(t, &c->fixture, store)) {
        return false;
    }
    kw_engine_wait_filled(c->fixture.engine);
    if (defers) {
        c->fixture.engine->usage->at_once_max = 0;
    }
    return test_engine_create(t, &c->fixture, params, &c->id, &c->key);
}

static bool begin(struct test *t, struct counting *c)
{
    return begin_on(t, c, NULL, NULL);
}

static void end(struct counting *c)
{
    kw_secret_wipe(&c->key);
    test_engine_close(&c->fixture);
}

/* Verifies as `v` says, with the key. */
static enum kw_code ask(struct counting *c, struct kw_verification v)
{
    v.key = v.key.size > 0 ? v.key : kw_secret_expose(&c->key);
    v.question.project = KW_PROJECT_DEFAULT;
    kw_engine_read_begin();
    kw_engine_verify(c->fixture.engine, &v, kw_engine_now_ms(c->fixture.engine));
    kw_engine_read_end();
    return v.code;
}

static struct kw_bytes read_usage(struct counting *c, struct kw_usage_query query, struct kw_op *op)
{
    kw_op_init(op, KW_OP_USAGE, KW_PROJECT_DEFAULT);
    query.group = query.group == 0 ? KW_USAGE_CODE : query.group;
    op->id = c->id;
    op->usage = &query;
    CHECK_STATUS(c->t, kw_engine_run(c->fixture.engine, op), KW_OK);
    return kw_buffer_bytes(&op->result);
}

/* The totals, and the whole where `expected` begins with '{'. */
static void check_usage(struct counting *c, int line, struct kw_usage_query query, const char *expected)
{
    struct kw_op op;
    struct kw_bytes json = read_usage(c, query, &op);
    struct kw_bytes totals = {NULL, 0};
    const char *begin = json.size == 0 ? NULL : memmem(json.data, json.size, "\"totals\":", 9);
    const char *end =
        begin == NULL ? NULL : memmem(begin, json.size - (size_t)(begin - (const char *)json.data), ",\"series\"", 9);
    if (end != NULL) {
        totals = kw_bytes_of((const uint8_t *)begin + 9, (size_t)(end - begin - 9));
    }
    if (!kw_bytes_equal(totals, kw_bytes_of_text(expected))) {
        test_fail(c->t, __FILE__, line, "%.*s, expected %s", (int)totals.size, (const char *)totals.data, expected);
    }
    kw_op_deinit(&op);
}

#define CHECK_USAGE(c, query, expected) check_usage((c), __LINE__, (query), (expected))
#define OF_KEY ((struct kw_usage_query){.is_of_key = true})

static void verifications_are_counted_by_code(struct test *t)
{
    struct counting c;
    static const struct kw_bytes scope = {(const uint8_t *)"orders:write", 12};
    if (begin(t, &c)) {
        for (int i = 0; i < 3; i++) {
            CHECK_I64(t, ask(&c, (struct kw_verification){.cost = 2}), KW_CODE_NONE);
        }
        struct kw_verification refused = {.question = {.scopes = &scope, .scope_count = 1}};
        CHECK_I64(t, ask(&c, refused), KW_CODE_INSUFFICIENT_SCOPE);
        CHECK_I64(t, ask(&c, (struct kw_verification){.key = KW_BYTES("sk_live_0")}), KW_CODE_INVALID_FORMAT);
        CHECK_USAGE(&c, OF_KEY, "{\"verifications\":4,\"valid\":3,\"counts\":{\"INSUFFICIENT_SCOPE\":1,\"VALID\":3}}");
        const struct kw_usage_query owner = {.owner = KW_BYTES("user:1")};
        check_usage(&c, __LINE__, owner,
                    "{\"verifications\":4,\"valid\":3,\"counts\":{\"INSUFFICIENT_SCOPE\":1,\"VALID\":3}}");
        const struct kw_usage_query nobody = {.owner = KW_BYTES("user:2")};
        check_usage(&c, __LINE__, nobody, "{\"verifications\":0,\"valid\":0,\"counts\":{}}");
        const struct kw_usage_query project = {.from_ms = 0};
        check_usage(&c, __LINE__, project,
                    "{\"verifications\":5,\"valid\":3,\"counts\":{\"INSUFFICIENT_SCOPE\":1,\"INVALID_FORMAT\":1,"
                    "\"VALID\":3}}");
        const struct kw_usage_query metrics = {.is_of_key = true, .group = KW_USAGE_METRIC};
        check_usage(&c, __LINE__, metrics, "{\"verifications\":4,\"valid\":3,\"counts\":{\"requests\":6}}");
    }
    end(&c);
}

static void a_dry_run_is_not_counted(struct test *t)
{
    struct counting c;
    if (begin(t, &c)) {
        struct kw_check checks[KW_RULE_COUNT];
        CHECK_I64(t, ask(&c, (struct kw_verification){.checks = checks}), KW_CODE_NONE);
        struct kw_verification unknown = {.key = KW_BYTES("nothing"), .checks = checks};
        CHECK_I64(t, ask(&c, unknown), KW_CODE_INVALID_FORMAT);
        const struct kw_usage_query project = {.from_ms = 0};
        check_usage(&c, __LINE__, project, "{\"verifications\":0,\"valid\":0,\"counts\":{}}");
    }
    end(&c);
}

static void what_was_counted_before_is_not_counted_again(struct test *t)
{
    struct counting c;
    if (begin(t, &c)) {
        struct kw_verification v = {.key = kw_secret_expose(&c.key), .question = {.project = KW_PROJECT_DEFAULT}};
        kw_engine_read_begin();
        kw_engine_verify(c.fixture.engine, &v, TEST_NOW_MS);
        CHECK(t, v.is_counted);
        kw_engine_verify(c.fixture.engine, &v, TEST_NOW_MS);
        kw_engine_read_end();
        CHECK_USAGE(&c, OF_KEY, "{\"verifications\":1,\"valid\":1,\"counts\":{\"VALID\":1}}");
    }
    end(&c);
}

static void a_refusal_that_waits_for_a_place_is_counted_once(struct test *t)
{
    struct counting c;
    static const struct kw_bytes region = {(const uint8_t *)"CH", 2};
    const struct kw_place there = {.country = KW_BYTES("CH")};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_ALLOWED_REGIONS,
                                   .owner = KW_BYTES("user:1"),
                                   .allowed_regions = &region,
                                   .allowed_region_count = 1};
    if (begin_on(t, &c, NULL, &params)) {
        struct kw_verification v = {
            .key = kw_secret_expose(&c.key), .waits_for_place = true, .question = {.project = KW_PROJECT_DEFAULT}};
        kw_engine_read_begin();
        kw_engine_verify(c.fixture.engine, &v, TEST_NOW_MS);
        CHECK_I64(t, v.code, KW_CODE_REGION_NOT_ALLOWED);
        CHECK(t, v.waits_for_place && !v.is_counted);
        v.question.place = &there;
        kw_engine_verify(c.fixture.engine, &v, TEST_NOW_MS);
        CHECK(t, !v.waits_for_place && v.is_counted);
        v = (struct kw_verification){
            .key = v.key, .waits_for_place = true, .question = {.project = KW_PROJECT_DEFAULT}};
        kw_engine_verify(c.fixture.engine, &v, TEST_NOW_MS);
        kw_engine_count(c.fixture.engine, &v, TEST_NOW_MS);
        kw_engine_read_end();
        CHECK_USAGE(&c, OF_KEY, "{\"verifications\":2,\"valid\":1,\"counts\":{\"REGION_NOT_ALLOWED\":1,\"VALID\":1}}");
    }
    end(&c);
}

static void endpoints_and_regions_are_counted(struct test *t)
{
    struct counting c;
    const struct kw_place places[] = {{.country = KW_BYTES("CH")}, {KW_BYTES("US"), KW_BYTES("US-CA")}};
    if (begin(t, &c)) {
        CHECK_I64(t, ask(&c, (struct kw_verification){.endpoint = KW_BYTES("GET /v1/things")}), KW_CODE_NONE);
        struct kw_verification there = {.endpoint = KW_BYTES("GET /v1/things"), .question.place = &places[0]};
        CHECK_I64(t, ask(&c, there), KW_CODE_NONE);
        there = (struct kw_verification){.endpoint = KW_BYTES("POST /v1/things"), .question.place = &places[1]};
        CHECK_I64(t, ask(&c, there), KW_CODE_NONE);
        const struct kw_usage_query endpoints = {.is_of_key = true, .group = KW_USAGE_ENDPOINT};
        check_usage(&c, __LINE__, endpoints,
                    "{\"verifications\":3,\"valid\":3,\"counts\":{\"GET /v1/things\":2,\"POST /v1/things\":1},"
                    "\"amounts\":{}}");
        const struct kw_usage_query regions = {.is_of_key = true, .group = KW_USAGE_REGION};
        check_usage(&c, __LINE__, regions, "{\"verifications\":3,\"valid\":3,\"counts\":{\"CH\":1,\"US\":1}}");
    }
    end(&c);
}

/* A count of a text in JSON. */
static size_t occurrences(struct kw_bytes json, const char *text)
{
    size_t count = 0;
    const uint8_t *at = json.data;
    const uint8_t *end = json.data + json.size;
    while (at < end && (at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
        at++;
        count++;
    }
    return count;
}

static void too_many_endpoints_are_others(struct test *t)
{
    struct counting c;
    if (begin(t, &c)) {
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < KW_ENDPOINTS_OF_KEY + 6; i++) {
                char text[32];
                int size = snprintf(text, sizeof text, "GET /%d", i);
                struct kw_verification v = {.endpoint = kw_bytes_of((const uint8_t *)text, (size_t)size)};
                CHECK_I64(t, ask(&c, v), KW_CODE_NONE);
            }
            CHECK_STATUS(t, kw_usage_flush(c.fixture.engine), KW_OK);
        }
        struct kw_op op;
        struct kw_usage_query query = {.is_of_key = true, .group = KW_USAGE_ENDPOINT};
        struct kw_bytes json = read_usage(&c, query, &op);
        CHECK_I64(t, occurrences(json, "\"GET /"), 2 * KW_ENDPOINTS_OF_KEY); /* in totals and in the one hour */
        CHECK_I64(t, occurrences(json, "\"other\":12"), 2);
        kw_op_deinit(&op);
        query.is_of_key = false;
        json = read_usage(&c, query, &op);
        CHECK_I64(t, occurrences(json, "\"GET /"), 2 * (KW_ENDPOINTS_OF_KEY + 6));
        CHECK_I64(t, occurrences(json, "\"other\""), 0);
        kw_op_deinit(&op);
    }
    end(&c);
}

static struct kw_record shown(struct counting *c, struct kw_op *op)
{
    struct kw_record record = {.version = 0};
    kw_op_init(op, KW_OP_GET, KW_PROJECT_DEFAULT);
    op->id = c->id;
    CHECK_STATUS(c->t, kw_engine_run(c->fixture.engine, op), KW_OK);
    CHECK_STATUS(c->t, kw_record_decode(kw_buffer_bytes(&op->result), &record), KW_OK);
    kw_last_use_show(&op->last_use, &record);
    return record;
}

static void the_last_use_is_shown(struct test *t)
{
    struct counting c;
    const struct kw_place place = {KW_BYTES("US"), KW_BYTES("CA")};
    struct kw_address address;
    struct kw_op op;
    REQUIRE(t, kw_address_parse(KW_BYTES("192.0.2.7"), &address));
    if (begin(t, &c)) {
        CHECK_I64(t, shown(&c, &op).last_used_at_ms, 0);
        kw_op_deinit(&op);
        CHECK_I64(t, ask(&c, (struct kw_verification){.question = {.address = &address, .place = &place}}),
                  KW_CODE_NONE);
        CHECK_STATUS(t, kw_usage_flush(c.fixture.engine), KW_OK);
        struct kw_record record = shown(&c, &op);
        CHECK_I64(t, record.last_used_at_ms, TEST_NOW_MS);
        CHECK_BYTES(t, record.last_used_ip, kw_bytes_of(address.bytes, sizeof address.bytes));
        CHECK_BYTES(t, record.last_used_region, KW_BYTES("US-CA"));
        CHECK_I64(t, record.version, 1);
        kw_op_deinit(&op);
        /* A refused use is none. */
        __atomic_store_n(&c.fixture.now_ms, TEST_NOW_MS + 5, __ATOMIC_RELAXED);
        CHECK_STATUS(t, test_engine_do(&c.fixture, KW_OP_DISABLE, &c.id, NULL), KW_OK);
        CHECK_I64(t, ask(&c, (struct kw_verification){.cost = 0}), KW_CODE_DISABLED);
        CHECK_STATUS(t, kw_usage_flush(c.fixture.engine), KW_OK);
        CHECK_I64(t, shown(&c, &op).last_used_at_ms, TEST_NOW_MS);
        kw_op_deinit(&op);
    }
    end(&c);
}

static void hours_and_days_are_apart(struct test *t)
{
    struct counting c;
    if (begin(t, &c)) {
        for (int i = 0; i < 5; i++) {
            CHECK_I64(t, ask(&c, (struct kw_verification){.cost = 1}), KW_CODE_NONE);
            __atomic_fetch_add(&c.fixture.now_ms, 6 * HOUR_MS, __ATOMIC_RELAXED);
        }
        struct kw_op op;
        struct kw_bytes json = read_usage(&c, OF_KEY, &op);
        CHECK_I64(t, occurrences(json, "\"at\":"), 4); /* the first hour is a day ago */
        kw_op_deinit(&op);
        const struct kw_usage_query days = {.is_of_key = true, .by_day = true};
        json = read_usage(&c, days, &op);
        CHECK_I64(t, occurrences(json, "\"at\":"), 2);
        CHECK_I64(t, occurrences(json, "\"at\":\"2026-01-01T00:00:00.000Z\",\"verifications\":4"), 1);
        kw_op_deinit(&op);
        struct kw_usage_query old = {.is_of_key = true, .from_ms = TEST_NOW_MS - 10 * DAY_MS};
        kw_op_init(&op, KW_OP_USAGE, KW_PROJECT_DEFAULT);
        op.id = c.id;
        op.usage = &old;
        CHECK_STATUS(t, kw_engine_run(c.fixture.engine, &op), KW_E_INVALID);
        CHECK_TEXT(t, op.error.field, "from");
        kw_op_deinit(&op);
    }
    end(&c);
}

static enum kw_status report(struct counting *c, const struct kw_usage_report *report, const struct kw_once *once,
                             bool *is_replay_out)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_REPORT, KW_PROJECT_DEFAULT);
    op.id = c->id;
    op.report = report;
    op.once = once;
    enum kw_status status = kw_engine_run(c->fixture.engine, &op);
    *is_replay_out = op.is_replay;
    kw_op_deinit(&op);
    return status;
}

static void reports_are_counted_once(struct test *t)
{
    struct counting c;
    const struct kw_usage_amount amounts[] = {{KW_BYTES("tokens"), 1500 * INT64_C(1000000)}, {KW_BYTES("cost"), 2000}};
    struct kw_usage_report what = {KW_BYTES("POST /chat"), amounts, 2};
    struct kw_once once = {.name = "one", .digest = "this"};
    struct kw_once other = {.name = "one", .digest = "that"};
    bool is_replay = true;
    if (begin(t, &c)) {
        CHECK_STATUS(t, report(&c, &what, &once, &is_replay), KW_OK);
        CHECK(t, !is_replay);
        CHECK_STATUS(t, report(&c, &what, &once, &is_replay), KW_OK);
        CHECK(t, is_replay);
        CHECK_STATUS(t, report(&c, &what, &other, &is_replay), KW_E_INVALID);
        what.endpoint = (struct kw_bytes){NULL, 0};
        what.amount_count = 1;
        CHECK_STATUS(t, report(&c, &what, NULL, &is_replay), KW_OK);
        const struct kw_usage_query metrics = {.is_of_key = true, .group = KW_USAGE_METRIC};
        check_usage(&c, __LINE__, metrics,
                    "{\"verifications\":0,\"valid\":0,\"counts\":{\"cost\":0.002,\"tokens\":3000}}");
        const struct kw_usage_query endpoints = {.owner = KW_BYTES("user:1"), .group = KW_USAGE_ENDPOINT};
        check_usage(&c, __LINE__, endpoints,
                    "{\"verifications\":0,\"valid\":0,\"counts\":{},\"amounts\":{\"POST /chat\":{\"cost\":0.002,"
                    "\"tokens\":1500}}}");
        c.id.bytes[15] ^= 1;
        CHECK_STATUS(t, report(&c, &what, NULL, &is_replay), KW_E_NOT_FOUND);
    }
    end(&c);
}

static void a_rotated_key_counts_for_its_line(struct test *t)
{
    struct counting c;
    if (begin(t, &c)) {
        CHECK_I64(t, ask(&c, (struct kw_verification){.cost = 1}), KW_CODE_NONE);
        struct kw_op op;
        kw_op_init(&op, KW_OP_ROTATE, KW_PROJECT_DEFAULT);
        op.id = c.id;
        op.actor = KW_BYTES("test");
        REQUIRE(t, kw_engine_run(c.fixture.engine, &op) == KW_OK);
        CHECK_I64(t, ask(&c, (struct kw_verification){.key = kw_secret_expose(&op.secret)}), KW_CODE_NONE);
        CHECK_I64(t, ask(&c, (struct kw_verification){.cost = 1}), KW_CODE_REVOKED);
        CHECK_USAGE(&c, OF_KEY, "{\"verifications\":3,\"valid\":2,\"counts\":{\"REVOKED\":1,\"VALID\":2}}");
        kw_op_deinit(&op);
    }
    end(&c);
}

static void old_hours_are_added_up_and_old_days_removed(struct test *t)
{
    struct counting c;
    const struct kw_usage_query days = {.is_of_key = true, .by_day = true, .from_ms = TEST_NOW_MS - DAY_MS};
    if (begin(t, &c)) {
        CHECK_I64(t, ask(&c, (struct kw_verification){.cost = 1}), KW_CODE_NONE);
        CHECK_STATUS(t, kw_usage_flush(c.fixture.engine), KW_OK);
        __atomic_fetch_add(&c.fixture.now_ms, 4 * DAY_MS, __ATOMIC_RELAXED);
        CHECK(t, !kw_usage_tend(c.fixture.engine));
        check_usage(&c, __LINE__, days, "{\"verifications\":1,\"valid\":1,\"counts\":{\"VALID\":1}}");
        __atomic_fetch_add(&c.fixture.now_ms, 86 * DAY_MS, __ATOMIC_RELAXED);
        CHECK(t, !kw_usage_tend(c.fixture.engine));
        check_usage(&c, __LINE__, days, "{\"verifications\":1,\"valid\":1,\"counts\":{\"VALID\":1}}");
        __atomic_fetch_add(&c.fixture.now_ms, 1 * DAY_MS, __ATOMIC_RELAXED);
        CHECK(t, !kw_usage_tend(c.fixture.engine));
        check_usage(&c, __LINE__, days, "{\"verifications\":0,\"valid\":0,\"counts\":{}}");
    }
    end(&c);
}

static void what_the_store_did_not_take_is_tried_again(struct test *t)
{
    struct counting c;
    struct kw_store *memory;
    struct kw_store *fault;
    struct kw_engine_stats stats;
    REQUIRE(t, kw_store_memory_open(&memory) == KW_OK && kw_store_fault_open(memory, 1, &fault) == KW_OK);
    if (begin_on(t, &c, fault, NULL)) {
        CHECK_I64(t, ask(&c, (struct kw_verification){.cost = 1}), KW_CODE_NONE);
        kw_store_fault_arm(fault, KW_FAULT_UNAVAILABLE, 1);
        CHECK_STATUS(t, kw_usage_flush(c.fixture.engine), KW_E_UNAVAILABLE);
        kw_engine_stats(c.fixture.engine, &stats);
        CHECK_I64(t, stats.uses_counted, 1);
        CHECK_I64(t, stats.uses_written, 0);
        CHECK_I64(t, ask(&c, (struct kw_verification){.cost = 1}), KW_CODE_NONE);
        CHECK_USAGE(&c, OF_KEY, "{\"verifications\":2,\"valid\":2,\"counts\":{\"VALID\":2}}");
        kw_engine_stats(c.fixture.engine, &stats);
        CHECK_I64(t, stats.uses_written, 2);
        CHECK_I64(t, stats.uses_dropped, 0);
    }
    end(&c);
}

static void a_key_that_was_erased_counts_for_its_project(struct test *t)
{
    struct counting c;
    if (begin(t, &c)) {
        CHECK_I64(t, ask(&c, (struct kw_verification){.cost = 1}), KW_CODE_NONE);
        CHECK_STATUS(t, test_engine_do(&c.fixture, KW_OP_REVOKE, &c.id, NULL), KW_OK);
        CHECK_STATUS(t, test_engine_do(&c.fixture, KW_OP_ERASE, &c.id, NULL), KW_OK);
        const struct kw_usage_query project = {.from_ms = 0};
        check_usage(&c, __LINE__, project, "{\"verifications\":1,\"valid\":1,\"counts\":{\"VALID\":1}}");
    }
    end(&c);
}

#define CASES(X) \
    X(verifications_are_counted_by_code) \
    X(a_dry_run_is_not_counted) \
    X(what_was_counted_before_is_not_counted_again) \
    X(a_refusal_that_waits_for_a_place_is_counted_once) \
    X(endpoints_and_regions_are_counted) \
    X(too_many_endpoints_are_others) \
    X(the_last_use_is_shown) \
    X(hours_and_days_are_apart) \
    X(reports_are_counted_once) \
    X(a_rotated_key_counts_for_its_line) \
    X(old_hours_are_added_up_and_old_days_removed) \
    X(what_the_store_did_not_take_is_tried_again) \
    X(a_key_that_was_erased_counts_for_its_project)

#define X(name) \
    static void name##_when_deferred(struct test *t) \
    { \
        defers = true; \
        name(t); \
        defers = false; \
    }
CASES(X)
#undef X

int main(int argc, char **argv)
{
#define X(name) TEST_CASE(name), TEST_CASE(name##_when_deferred),
    static const struct test_case cases[] = {CASES(X)};
#undef X
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
