/* Refused attempts: what is alike is counted, there is no end of kinds, and a store that fails loses none. */
#include "engine/attempts.h"

#include "core/id.h"
#include "support/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sum {
    size_t lines, others;
    uint64_t count;
    char context[256];
};

static enum kw_status add(void *context, const struct kw_store_audit *audit)
{
    static const char start[] = "\"count\":";
    struct sum *sum = context;
    const char *at = memmem(audit->body.data, audit->body.size, start, sizeof start - 1);
    if (at == NULL) {
        return KW_E_CORRUPT;
    }
    sum->lines++;
    sum->others += audit->context.size == 0;
    sum->count += strtoull(at + sizeof start - 1, NULL, 10); /* a comma follows */
    snprintf(sum->context, sizeof sum->context, "%.*s", (int)audit->context.size, (const char *)audit->context.data);
    return KW_OK;
}

static struct sum sum_of(struct test *t, struct test_engine *fixture)
{
    struct sum sum = {.lines = 0};
    struct kw_store_audit_filter filter = {.action = KW_BYTES("access.refused"), .limit = KW_STORE_LIST_MAX};
    CHECK_STATUS(t, fixture->store->ops->audit_query(fixture->store, &filter, add, &sum), KW_OK);
    return sum;
}

static void note(struct test_engine *fixture, unsigned address)
{
    char text[16];
    snprintf(text, sizeof text, "10.0.%u.%u", address >> 8, address & 255);
    kw_engine_note_attempt(fixture->engine, &(struct kw_attempt){.address = kw_bytes_of_text(text),
                                                                 .user_agent = KW_BYTES("flood/1"),
                                                                 .code = "UNAUTHORIZED",
                                                                 .route = "GET /v1/keys",
                                                                 .at_ms = TEST_NOW_MS});
}

static void what_is_alike_is_one_line(struct test *t)
{
    struct test_engine fixture;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE_OK(t, kw__attempts_write(fixture.engine, false)); /* there is nothing yet */
    for (unsigned i = 0; i < 1000; i++) {
        note(&fixture, i % 2);
    }
    REQUIRE_OK(t, kw__attempts_write(fixture.engine, false));
    struct sum sum = sum_of(t, &fixture);
    CHECK_I64(t, sum.lines, 2);
    CHECK_I64(t, sum.count, 1000);
    CHECK_TEXT(t, sum.context, "{\"address\":\"10.0.0.1\",\"userAgent\":\"flood/1\"}");
    test_engine_close(&fixture);
}

static void a_flood_from_everywhere_is_a_few_lines_a_minute(struct test *t)
{
    struct test_engine fixture;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (unsigned i = 0; i < 10000; i++) {
        note(&fixture, i);
        CHECK_STATUS(t, kw__attempts_write(fixture.engine, false), KW_OK);
    }
    CHECK_I64(t, sum_of(t, &fixture).lines, 1); /* the first one was written at once */
    __atomic_store_n(&fixture.now_ms, TEST_NOW_MS + KW_ATTEMPTS_PAUSE_MS, __ATOMIC_RELAXED);
    REQUIRE_OK(t, kw__attempts_write(fixture.engine, false));
    struct sum sum = sum_of(t, &fixture);
    CHECK_I64(t, sum.lines, 1 + KW_ATTEMPTS_KINDS + 1);
    CHECK_I64(t, sum.others, 1);
    CHECK_I64(t, sum.count, 10000);
    note(&fixture, 1);
    REQUIRE_OK(t, kw__attempts_write(fixture.engine, true)); /* the last time nothing waits */
    CHECK_I64(t, sum_of(t, &fixture).count, 10001);
    test_engine_close(&fixture);
}

static void what_could_not_be_written_is_kept(struct test *t)
{
    struct kw_store *inner = NULL;
    struct kw_store *fault = NULL;
    struct test_engine fixture;
    REQUIRE(t, kw_store_memory_open(&inner) == KW_OK && kw_store_fault_open(inner, t->seed, &fault) == KW_OK);
    REQUIRE(t, test_engine_open(t, &fixture, fault));
    kw_engine_wait_filled(fixture.engine);
    for (unsigned i = 0; i < 100; i++) {
        note(&fixture, i);
    }
    kw_store_fault_arm(fault, KW_FAULT_UNAVAILABLE, 1);
    CHECK_STATUS(t, kw__attempts_write(fixture.engine, true), KW_E_UNAVAILABLE);
    kw_store_fault_arm(fault, KW_FAULT_UNAVAILABLE, 0);
    CHECK_I64(t, sum_of(t, &fixture).lines, 0);
    note(&fixture, 3);
    note(&fixture, 300);
    REQUIRE_OK(t, kw__attempts_write(fixture.engine, true));
    struct sum sum = sum_of(t, &fixture);
    CHECK_I64(t, sum.lines, KW_ATTEMPTS_KINDS + 1);
    CHECK_I64(t, sum.count, 102);
    test_engine_close(&fixture);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(what_is_alike_is_one_line),
        TEST_CASE(a_flood_from_everywhere_is_a_few_lines_a_minute),
        TEST_CASE(what_could_not_be_written_is_kept),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
