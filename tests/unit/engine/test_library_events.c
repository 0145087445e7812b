/*
 * The log of events through the library: what it tells, where it goes on, and how long it is kept.
 */
#include "library_fixture.h"
#include <keyward/events.h>

#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define TRIES_MAX 200000

static size_t count_of(struct kw_bytes json, const char *part)
{
    size_t count = 0;
    struct kw_bytes wanted = kw_bytes_of_text(part);
    for (size_t i = 0; i + wanted.size <= json.size; i++) {
        count += memcmp(json.data + i, wanted.data, wanted.size) == 0;
    }
    return count;
}

/* How many events a request gives. */
static size_t ask(struct test *t, struct library *library, struct kw_events_request *request,
                  struct kw_events_reached *reached_out)
{
    struct kw_held_document held = {.memory = NULL};
    struct kw_error error;
    CHECK_STATUS(t, kw_events(library->keyward, request, &held, reached_out, &error), KW_OK);
    size_t count = count_of(held.json, "{\"id\":\"evt_");
    kw_held_document_clear(&held);
    return count;
}

static void make_key(struct test *t, struct library *library, bool is_revoked)
{
    struct kw_new_key made;
    struct kw_error error;
    REQUIRE(t, library_create(t, library, &made));
    struct kw_change_request revoke = {.id = made.held.record.id, .reason = KW_BYTES("done")};
    if (is_revoked) {
        CHECK_STATUS(t, kw_revoke(library->keyward, &revoke, NULL, &error), KW_OK);
    }
    kw_new_key_clear(&made);
}

static void what_happened_is_told(struct test *t)
{
    struct library library;
    REQUIRE(t, library_open(t, &library));
    make_key(t, &library, true);
    make_key(t, &library, false);
    struct kw_events_reached reached;
    CHECK_I64(t, ask(t, &library, &(struct kw_events_request){.limit = 0}, &reached), 3);
    CHECK(t, !reached.has_more);
    CHECK_I64(t, ask(t, &library, &(struct kw_events_request){.types = KW_BYTES("revoked,policy.*")}, NULL), 1);
    CHECK_I64(t,
              ask(t, &library, &(struct kw_events_request){.owner = KW_BYTES("user:1"), .env = KW_BYTES("live")}, NULL),
              3);
    CHECK_I64(t, ask(t, &library, &(struct kw_events_request){.owner = KW_BYTES("user:2")}, NULL), 0);
    struct kw_events_request page = {.limit = 2};
    CHECK_I64(t, ask(t, &library, &page, &reached), 2);
    CHECK(t, reached.has_more);
    page.after = reached.after;
    CHECK_I64(t, ask(t, &library, &page, &reached), 1);
    make_key(t, &library, false);
    page.after = reached.after;
    CHECK_I64(t, ask(t, &library, &page, &reached), 1);
    library_end(&library);
}

static void what_cannot_be_asked_is_refused(struct test *t)
{
    struct library library;
    struct kw_held_document held;
    struct kw_error error;
    REQUIRE(t, library_open(t, &library));
    char wide[KW_OWNER_MAX + 1];
    memset(wide, 'a', sizeof wide);
    const struct {
        struct kw_events_request request;
        const char *field;
    } cases[] = {{{.types = KW_BYTES("key.flown")}, "types"},
                 {{.owner = kw_bytes_of(wide, sizeof wide)}, "owner"},
                 {{.env = kw_bytes_of(wide, sizeof wide)}, "env"},
                 {{.limit = KW_EVENTS_LIST_MAX + 1}, "limit"},
                 {{.after = UINT64_MAX}, "after"}};
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        CHECK_REFUSED(t, kw_events(library.keyward, &cases[i].request, &held, NULL, &error), error, KW_E_INVALID,
                      "INVALID_FIELD", cases[i].field);
    }
    struct kw_events_request elsewhere = {.project = KW_BYTES("none")};
    CHECK_REFUSED(t, kw_events(library.keyward, &elsewhere, &held, NULL, &error), error, KW_E_NOT_FOUND,
                  "PROJECT_NOT_FOUND", "project");
    library_end(&library);
}

/* The writer looks for old events now and then; how many looks that takes is not the test's to know. */
static bool becomes(struct test *t, struct library *library, size_t wanted)
{
    struct kw_events_request all = {.types = KW_BYTES("created"), .limit = KW_EVENTS_LIST_MAX};
    size_t count = SIZE_MAX;
    for (size_t i = 0; i < TRIES_MAX && count != wanted; i++) {
        count = ask(t, library, &all, NULL);
    }
    return count == wanted;
}

static void events_are_kept_as_long_as_the_project_says(struct test *t)
{
    struct library library;
    REQUIRE(t, library_open(t, &library));
    make_key(t, &library, false);
    library_set_clock(&library, LIBRARY_NOW_MS + 29 * DAY_MS);
    make_key(t, &library, false);
    CHECK_I64(t, ask(t, &library, &(struct kw_events_request){.limit = 0}, NULL), 2);
    library_set_clock(&library, LIBRARY_NOW_MS + 30 * DAY_MS + 1);
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK(t, becomes(t, &library, 1));
    library_set_clock(&library, LIBRARY_NOW_MS + 60 * DAY_MS);
    REQUIRE(t, library_reopen(t, &library, 0));
    CHECK(t, becomes(t, &library, 0));
    library_end(&library);
}

static void set_project(struct test *t, struct library *library, const char *json)
{
    struct kw_error error;
    struct kw_document_request request = {
        .kind = KW_DOCUMENT_PROJECT, .name = KW_BYTES("default"), .json = kw_bytes_of_text(json)};
    CHECK_STATUS(t, kw_document_update(library->keyward, &request, NULL, &error), KW_OK);
}

static size_t count_unused(struct test *t, struct library *library)
{
    return ask(t, library, &(struct kw_events_request){.types = KW_BYTES("unused"), .limit = 1000}, NULL);
}

/* The writer looks for them when it has begun, and then every ten minutes; it has come to its end by a second look. */
static bool tells(struct test *t, struct library *library, int64_t now_ms, size_t wanted)
{
    size_t count = SIZE_MAX;
    library_set_clock(library, now_ms);
    if (!library_reopen(t, library, 0)) {
        return false;
    }
    for (size_t i = 0; i < TRIES_MAX && count != wanted; i++) {
        count = count_unused(t, library);
    }
    return count == wanted;
}

static void a_key_that_nobody_uses_is_told_of_once(struct test *t)
{
    struct library library;
    struct kw_new_key used;
    REQUIRE(t, library_open(t, &library));
    set_project(t, &library, "{\"unusedAfter\":\"7d\",\"eventRetention\":\"1y\"}");
    make_key(t, &library, false);
    make_key(t, &library, true); /* revoked: nobody is to use it */
    REQUIRE(t, library_create(t, &library, &used));
    library_set_clock(&library, LIBRARY_NOW_MS + 6 * DAY_MS);
    CHECK_CODE(t, library_verify(t, &library, used.key), KW_CODE_NONE);
    CHECK(t, tells(t, &library, LIBRARY_NOW_MS + 8 * DAY_MS, 1));  /* the one that was never used */
    CHECK(t, tells(t, &library, LIBRARY_NOW_MS + 14 * DAY_MS, 2)); /* and the other one, a week after its use */
    CHECK_CODE(t, library_verify(t, &library, used.key), KW_CODE_NONE);
    CHECK(t, tells(t, &library, LIBRARY_NOW_MS + 15 * DAY_MS, 2));
    CHECK(t, tells(t, &library, LIBRARY_NOW_MS + 22 * DAY_MS, 3)); /* once more, and the first one not */
    CHECK_I64(
        t,
        ask(t, &library, &(struct kw_events_request){.types = KW_BYTES("unused"), .key_id = used.held.record.id}, NULL),
        2);
    kw_new_key_clear(&used);
    library_end(&library);
}

static void many_unused_keys_are_told_of_each_once(struct test *t)
{
    struct library library;
    REQUIRE(t, library_open(t, &library));
    set_project(t, &library, "{\"unusedAfter\":\"1d\"}");
    for (size_t i = 0; i < 450; i++) { /* more than are looked at together */
        make_key(t, &library, false);
    }
    CHECK(t, tells(t, &library, LIBRARY_NOW_MS + 2 * DAY_MS, 450));
    struct kw_new_key last; /* what is told of twice would be so before this one */
    REQUIRE(t, library_create(t, &library, &last));
    CHECK(t, tells(t, &library, LIBRARY_NOW_MS + 4 * DAY_MS, 451));
    struct kw_events_request of_last = {.types = KW_BYTES("unused"), .key_id = last.held.record.id};
    CHECK_I64(t, ask(t, &library, &of_last, NULL), 1);
    kw_new_key_clear(&last);
    library_end(&library);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(what_happened_is_told),
        TEST_CASE(what_cannot_be_asked_is_refused),
        TEST_CASE(events_are_kept_as_long_as_the_project_says),
        TEST_CASE(a_key_that_nobody_uses_is_told_of_once),
        TEST_CASE(many_unused_keys_are_told_of_each_once),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
