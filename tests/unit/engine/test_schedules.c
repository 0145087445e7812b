/*
 * What is due of keys, with a clock that the test sets: written down once, on time or at the next start, whatever call
 * of the store fails and whenever the process ends; and no verdict waits for it.
 */
#include "core/id.h"
#include "core/record.h"
#include "core/schedule.h"
#include "engine/scheduler.h"
#include "engine/writer.h"
#include "shelf.h"
#include "support/engine.h"

#include <sched.h>
#include <stdio.h>

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define CALLS_MAX 60
#define MANY 250 /* more than one operation sees to */

static struct kw_key_params params_of(int64_t disable_ms, int64_t revoke_ms, int64_t notify_ms)
{
    return (struct kw_key_params){.given = KW_GIVEN_OWNER | KW_GIVEN_SCHEDULE,
                                  .owner = KW_BYTES("user:1"),
                                  .schedule = {KW_GIVEN_DISABLE_AT | KW_GIVEN_REVOKE_AT | KW_GIVEN_NOTIFY_BEFORE,
                                               {disable_ms == 0 ? 0 : TEST_NOW_MS + disable_ms,
                                                revoke_ms == 0 ? 0 : TEST_NOW_MS + revoke_ms, notify_ms}}};
}

static void set_clock(struct test_engine *fixture, int64_t after_ms)
{
    __atomic_store_n(&fixture->now_ms, TEST_NOW_MS + after_ms, __ATOMIC_SEQ_CST);
}

/* --- what was told --- */

struct story {
    struct kw_id id;
    char text[512]; /* "created expiring:revoke disabled" */
    size_t events;
};

static void tell(struct story *story, struct kw_bytes action, struct kw_bytes body)
{
    static const char *const ends[] = {"disable", "revoke", "expire"};
    struct kw_bytes name = kw_bytes_skip(action, strlen("key."));
    size_t size = strlen(story->text);
    size += (size_t)snprintf(story->text + size, sizeof story->text - size, "%s%.*s", size > 0 ? " " : "",
                             (int)name.size, (const char *)name.data);
    for (size_t i = 0; i < KW_COUNT_OF(ends); i++) {
        char wanted[64];
        int wanted_size = snprintf(wanted, sizeof wanted, "\"expiring\":{\"action\":\"%s\",\"at\":\"", ends[i]);
        if (memmem(body.data, body.size, wanted, (size_t)wanted_size) != NULL) {
            size += (size_t)snprintf(story->text + size, sizeof story->text - size, ":%s", ends[i]);
        }
    }
}

static enum kw_status take_line(void *context, const struct kw_store_audit *audit)
{
    tell(context, audit->action, audit->body);
    return KW_OK;
}

static enum kw_status take_event(void *context, const struct kw_store_event *event)
{
    struct story *story = context;
    if (kw_id_equal(&event->key_id, &story->id)) {
        tell(story, event->type, event->body);
        story->events++;
    }
    return KW_OK;
}

/* Log and events must tell the same, in the same order. Claims are moved out of the way. */
static void check_told(struct test *t, struct kw_store *store, const struct kw_id *id, const char *expected)
{
    static int64_t claims = 1;
    struct story lines = {.id = *id};
    struct story events = {.id = *id};
    struct kw_store_audit_filter filter = {.key_id = *id, .limit = KW_STORE_LIST_MAX};
    CHECK_STATUS(t, store->ops->audit_query(store, &filter, take_line, &lines), KW_OK);
    claims += 2;
    CHECK_STATUS(t, store->ops->events_claim(store, claims, claims + 1, KW_STORE_LIST_MAX, take_event, &events), KW_OK);
    CHECK_TEXT(t, lines.text, expected);
    CHECK_TEXT(t, events.text, expected);
}

static enum kw_status keep_row(void *context, const struct kw_store_row *row)
{
    struct kw_store_row *kept = context;
    kept->due_at_ms = row->due_at_ms;
    kept->version = row->version;
    return KW_OK;
}

static struct kw_store_row row_of(struct test *t, struct kw_store *store, const struct kw_id *id)
{
    struct kw_store_row kept = {.version = 0};
    CHECK_STATUS(t, store->ops->find_by_id(store, id, keep_row, &kept), KW_OK);
    return kept;
}

/* --- */

static void everything_happens_once_and_on_time(struct test *t)
{
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_key_params params = params_of(2 * HOUR_MS, 4 * HOUR_MS, HOUR_MS);
    params.given |= KW_GIVEN_EXPIRES_AT;
    params.expires_at_ms = TEST_NOW_MS + 3 * HOUR_MS;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, &params, &id, &key));
    static const struct {
        int64_t at_ms;
        const char *told;
        enum kw_code code;
    } times[] = {
        {HOUR_MS - 1, "created", KW_CODE_NONE},
        {HOUR_MS, "created expiring:disable", KW_CODE_NONE},
        {2 * HOUR_MS - 1, "created expiring:disable", KW_CODE_NONE},
        {2 * HOUR_MS, "created expiring:disable expiring:expire disabled", KW_CODE_DISABLED},
        {3 * HOUR_MS, "created expiring:disable expiring:expire disabled expiring:revoke expired", KW_CODE_EXPIRED},
        {4 * HOUR_MS, "created expiring:disable expiring:expire disabled expiring:revoke expired revoked",
         KW_CODE_REVOKED},
        {5 * HOUR_MS, "created expiring:disable expiring:expire disabled expiring:revoke expired revoked",
         KW_CODE_REVOKED},
        {0, "created expiring:disable expiring:expire disabled expiring:revoke expired revoked", KW_CODE_REVOKED},
    };
    for (size_t i = 0; i < KW_COUNT_OF(times); i++) {
        set_clock(&fixture, times[i].at_ms);
        CHECK_STATUS(t, kw_engine_run_schedules(fixture.engine), KW_OK);
        CHECK_STATUS(t, kw_engine_run_schedules(fixture.engine), KW_OK);
        check_told(t, fixture.store, &id, times[i].told);
        CHECK_I64(t, test_engine_verify(&fixture, &key), times[i].code);
    }
    CHECK_I64(t, row_of(t, fixture.store, &id).due_at_ms, 0);
    test_engine_close(&fixture);
}

/* Asked without anybody having looked: the verdict knows. Then the clock steps back, and what was seen stays. */
static void a_verdict_waits_for_nobody(struct test *t)
{
    static const struct {
        int64_t disable_ms, revoke_ms;
        enum kw_code code;
        const char *told;
    } cases[] = {{HOUR_MS, 0, KW_CODE_DISABLED, "created disabled"}, {0, HOUR_MS, KW_CODE_REVOKED, "created revoked"}};
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct test_engine fixture;
        struct kw_id id;
        struct kw_secret key KW_WIPED = {0};
        struct kw_key_params params = params_of(cases[i].disable_ms, cases[i].revoke_ms, 0);
        REQUIRE(t, test_engine_open(t, &fixture, NULL));
        REQUIRE(t, test_engine_create(t, &fixture, &params, &id, &key));
        set_clock(&fixture, HOUR_MS - 1);
        CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_NONE);
        set_clock(&fixture, HOUR_MS);
        CHECK_I64(t, test_engine_verify(&fixture, &key), cases[i].code);
        set_clock(&fixture, 0);
        CHECK_I64(t, test_engine_verify(&fixture, &key), cases[i].code);
        while (row_of(t, fixture.store, &id).due_at_ms != 0 && t->failures == 0) {
            (void)sched_yield(); /* the verification has left word */
        }
        check_told(t, fixture.store, &id, cases[i].told);
        CHECK_I64(t, test_engine_verify(&fixture, &key), cases[i].code);
        CHECK_STATUS(t, kw_engine_run_schedules(fixture.engine), KW_OK);
        check_told(t, fixture.store, &id, cases[i].told);
        test_engine_close(&fixture);
    }
}

static void a_child_stops_with_its_parents_schedule(struct test *t)
{
    struct test_engine fixture;
    struct kw_id parent_id, child_id;
    struct kw_secret parent KW_WIPED = {0};
    struct kw_secret child KW_WIPED = {0};
    char text[KW_ID_TEXT_SIZE];
    struct kw_key_params params = params_of(HOUR_MS, 2 * HOUR_MS, 0);
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, &params, &parent_id, &parent));
    kw_id_format(&parent_id, text);
    struct kw_key_params below = {.given = KW_GIVEN_PARENT, .parent = kw_bytes_of(text, sizeof text)};
    REQUIRE(t, test_engine_create(t, &fixture, &below, &child_id, &child));
    CHECK_I64(t, test_engine_verify(&fixture, &child), KW_CODE_NONE);
    set_clock(&fixture, HOUR_MS);
    CHECK_I64(t, test_engine_verify(&fixture, &child), KW_CODE_DISABLED);
    CHECK_STATUS(t, test_engine_do(&fixture, KW_OP_ENABLE, &parent_id, NULL), KW_OK);
    CHECK_I64(t, test_engine_verify(&fixture, &child), KW_CODE_NONE);
    CHECK_STATUS(t, kw_engine_run_schedules(fixture.engine), KW_OK);
    CHECK_I64(t, test_engine_verify(&fixture, &child), KW_CODE_NONE); /* it is not disabled a second time */
    check_told(t, fixture.store, &parent_id, "created disabled enabled");
    set_clock(&fixture, 2 * HOUR_MS);
    CHECK_I64(t, test_engine_verify(&fixture, &child), KW_CODE_REVOKED);
    struct kw_op op;
    kw_op_init(&op, KW_OP_CREATE, KW_PROJECT_DEFAULT);
    op.params = &below;
    op.actor = KW_BYTES("test");
    CHECK_STATUS(t, kw_engine_run(fixture.engine, &op), KW_E_INVALID);
    CHECK_TEXT(t, op.error.field, "parentId");
    kw_op_deinit(&op);
    test_engine_close(&fixture);
}

/* Many keys of all kinds that came due while nobody was there. */
static void a_start_catches_up(struct test *t)
{
    struct kw_store *store = NULL;
    struct test_engine fixture;
    static struct kw_id ids[MANY];
    static struct kw_secret keys[MANY];
    REQUIRE(t, shelf_open(&store));
    REQUIRE(t, test_engine_open(t, &fixture, store));
    for (size_t i = 0; i < MANY; i++) {
        struct kw_key_params params = params_of(i % 3 == 0 ? HOUR_MS : 0, i % 3 == 1 ? HOUR_MS : 0, MINUTE_MS);
        params.given |= i % 3 == 2 ? (uint32_t)KW_GIVEN_EXPIRES_AT : 0;
        params.expires_at_ms = TEST_NOW_MS + HOUR_MS;
        REQUIRE(t, test_engine_create(t, &fixture, &params, &ids[i], &keys[i]));
    }
    test_engine_close(&fixture);
    REQUIRE(t, test_engine_open(t, &fixture, store));
    set_clock(&fixture, 3 * HOUR_MS);
    CHECK_STATUS(t, kw_engine_run_schedules(fixture.engine), KW_OK);
    for (size_t i = 0; i < MANY && t->failures == 0; i++) {
        static const char *const told[] = {"disabled", "revoked", "expired"};
        struct story story = {.id = ids[i]};
        struct kw_store_audit_filter filter = {.key_id = ids[i], .limit = KW_STORE_LIST_MAX};
        CHECK_STATUS(t, store->ops->audit_query(store, &filter, take_line, &story), KW_OK);
        CHECK(t, strcmp(story.text + strlen("created "), told[i % 3]) == 0); /* too late to tell of it beforehand */
        CHECK_I64(t, row_of(t, store, &ids[i]).due_at_ms, 0);
        kw_secret_wipe(&keys[i]);
    }
    test_engine_close(&fixture);
    shelf_close(store);
}

/* Takes from a row that it says when it is due, as if a Keyward of before had written it. */
static void make_old(struct test *t, struct kw_store *store, const struct kw_id *id)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 20);
    struct kw_found found = {.arena = &arena};
    struct kw_record record = {.version = 0};
    struct kw_digest digest;
    CHECK_STATUS(t, store->ops->find_by_id(store, id, kw__found_sink, &found), KW_OK);
    CHECK_STATUS(t, kw_record_decode(found.row.record, &record), KW_OK);
    CHECK_STATUS(t, kw__row_digest(&found.row, &digest), KW_OK);
    struct kw_store_put put = {.row = kw__row_of(&record, &digest, found.row.record), .replaces = record.version};
    put.row.due_at_ms = 0;
    struct kw_store_setting unknown = {KW_BYTES(KW_SCHEDULE_SETTING), {NULL, 0}};
    struct kw_store_batch batch = {.puts = &put, .put_count = 1, .settings = &unknown, .setting_count = 1};
    CHECK_STATUS(t, store->ops->commit(store, &batch, 1), KW_OK);
    CHECK_STATUS(t, batch.outcome, KW_OK);
    kw_arena_reset(&arena);
}

/* Rows that were written before rows said when they are due: the first round of the next life finds them. */
static void rows_of_before_are_learned_once(struct test *t)
{
    struct kw_store *store = NULL;
    struct test_engine fixture;
    static struct kw_id ids[MANY];
    struct kw_key_params params = params_of(0, HOUR_MS, 0);
    REQUIRE(t, shelf_open(&store));
    REQUIRE(t, test_engine_open(t, &fixture, store));
    for (size_t i = 0; i < MANY; i++) {
        struct kw_secret key KW_WIPED = {0};
        REQUIRE(t, test_engine_create(t, &fixture, i % 2 == 0 ? &params : NULL, &ids[i], &key));
    }
    test_engine_close(&fixture);
    for (size_t i = 0; i < MANY; i++) {
        make_old(t, store, &ids[i]);
    }
    REQUIRE(t, test_engine_open(t, &fixture, store));
    CHECK_STATUS(t, kw_engine_run_schedules(fixture.engine), KW_OK);
    for (size_t i = 0; i < MANY; i++) {
        CHECK_I64(t, row_of(t, store, &ids[i]).due_at_ms, i % 2 == 0 ? TEST_NOW_MS + HOUR_MS : 0);
        CHECK_I64(t, row_of(t, store, &ids[i]).version, 1);
    }
    uint8_t value;
    size_t size = 0;
    CHECK_STATUS(t, store->ops->setting(store, KW_BYTES(KW_SCHEDULE_SETTING), &value, sizeof value, &size), KW_OK);
    set_clock(&fixture, HOUR_MS);
    CHECK_STATUS(t, kw_engine_run_schedules(fixture.engine), KW_OK);
    check_told(t, store, &ids[0], "created revoked");
    check_told(t, store, &ids[1], "created");
    test_engine_close(&fixture);
    shelf_close(store);
}

/* One call of the store fails; then the process ends, and another life goes on. False when there was no such call. */
static bool run_with_fault(struct test *t, enum kw_fault_kind kind, uint64_t nth)
{
    struct kw_store *store = NULL;
    struct kw_store *fault = NULL;
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_key_params params = params_of(HOUR_MS, 2 * HOUR_MS, MINUTE_MS);
    if (!shelf_open(&store) || kw_store_fault_open(store, t->seed + nth, &fault) != KW_OK ||
        !test_engine_open(t, &fixture, fault)) {
        test_fail(t, __FILE__, __LINE__, "no engine");
        return false;
    }
    kw_engine_wait_filled(fixture.engine);
    bool is_made = test_engine_create(t, &fixture, &params, &id, &key);
    set_clock(&fixture, HOUR_MS - MINUTE_MS);
    kw_store_fault_arm(fault, kind, nth);
    for (int64_t after_ms = HOUR_MS - MINUTE_MS; is_made && after_ms <= HOUR_MS; after_ms += MINUTE_MS) {
        set_clock(&fixture, after_ms);
        (void)!kw_engine_run_schedules(fixture.engine);
    }
    bool came_to_pass = kw_store_fault_calls(fault) >= nth;
    kw_store_fault_arm(fault, kind, 0);
    test_engine_close(&fixture);
    if (is_made && test_engine_open(t, &fixture, store)) {
        set_clock(&fixture, HOUR_MS);
        CHECK_STATUS(t, kw_engine_run_schedules(fixture.engine), KW_OK);
        struct story story = {.id = id};
        struct kw_store_audit_filter filter = {.key_id = id, .limit = KW_STORE_LIST_MAX};
        CHECK_STATUS(t, store->ops->audit_query(store, &filter, take_line, &story), KW_OK);
        /* Told beforehand, unless that failed until it was too late. */
        CHECK(t, strcmp(story.text, "created expiring:disable disabled") == 0 ||
                     (came_to_pass && strcmp(story.text, "created disabled") == 0));
        check_told(t, store, &id, story.text);
        CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_DISABLED);
        set_clock(&fixture, 2 * HOUR_MS);
        CHECK_STATUS(t, kw_engine_run_schedules(fixture.engine), KW_OK);
        CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_REVOKED);
        test_engine_close(&fixture);
    }
    shelf_close(store);
    return came_to_pass;
}

static void whatever_fails_it_happens_once(struct test *t)
{
    for (int kind = KW_FAULT_UNAVAILABLE; kind <= KW_FAULT_UNCERTAIN; kind++) {
        uint64_t nth = 1;
        while (nth < CALLS_MAX && t->failures == 0 && run_with_fault(t, (enum kw_fault_kind)kind, nth)) {
            nth++;
        }
        CHECK(t, nth > 8);
        CHECK(t, nth < CALLS_MAX);
    }
}

static void a_thread_sees_to_it_and_a_clock_may_jump(struct test *t)
{
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_key_params params = params_of(HOUR_MS, 0, MINUTE_MS);
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE_OK(t, kw__scheduler_start(fixture.engine));
    REQUIRE(t, test_engine_create(t, &fixture, &params, &id, &key));
    set_clock(&fixture, -HOUR_MS);
    set_clock(&fixture, HOUR_MS - 1);
    while (row_of(t, fixture.store, &id).version == 1 && t->failures == 0) {
        (void)sched_yield();
    }
    set_clock(&fixture, -5 * HOUR_MS);
    CHECK_I64(t, test_engine_verify(&fixture, &key), KW_CODE_NONE);
    set_clock(&fixture, 50 * HOUR_MS);
    while (row_of(t, fixture.store, &id).due_at_ms != 0 && t->failures == 0) {
        (void)sched_yield();
    }
    check_told(t, fixture.store, &id, "created expiring:disable disabled");
    test_engine_close(&fixture);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(everything_happens_once_and_on_time),      TEST_CASE(a_verdict_waits_for_nobody),
        TEST_CASE(a_child_stops_with_its_parents_schedule),  TEST_CASE(a_start_catches_up),
        TEST_CASE(rows_of_before_are_learned_once),          TEST_CASE(whatever_fails_it_happens_once),
        TEST_CASE(a_thread_sees_to_it_and_a_clock_may_jump),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
