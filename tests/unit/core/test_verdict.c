#include "core/record.h"
#include "core/verdict.h"
#include "records.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW_MS (RECORD_BORN_MS + 100000)

/* An entry in memory of exactly its size. The caller frees it. */
static struct kw_entry *entry_of(struct test *t, const struct kw_record *record, bool erased)
{
    static uint8_t room[2 * KW_RECORD_MAX];
    struct kw_buffer buffer;
    struct kw_digest digest = {.size = 32};
    memset(digest.bytes, 0xd1, 32);
    kw_buffer_init_fixed(&buffer, room, sizeof room);
    CHECK_STATUS(t, kw_record_encode(record, &buffer), KW_OK);
    struct kw_record decoded;
    struct kw_entry *entry = malloc(kw_entry_size(KW_ENTRY_BOUNDED | KW_ENTRY_EXTENDED, buffer.size));
    if (entry == NULL || kw_entry_build(&digest, 7, erased, kw_buffer_bytes(&buffer), entry, &decoded) != KW_OK) {
        abort();
    }
    return entry;
}

static void a_good_key_is_valid(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = record_typical(&arena);
    struct kw_entry *entry = entry_of(t, &record, false);
    struct kw_question question = {.project = 7};
    struct kw_decision decision = kw_decide(entry, &question, NOW_MS);
    CHECK_I64(t, decision.code, KW_CODE_NONE);
    CHECK(t, decision.missing.size == 0 && !decision.lapsed);
    free(entry);
    kw_arena_reset(&arena);
}

enum {
    OTHER_PROJECT = 1 << 0,
    ERASED = 1 << 1,
    REVOKED = 1 << 2,
    GRACE_PAST = 1 << 3,
    LAPSED = 1 << 4,
    EXPIRED = 1 << 5,
    DISABLED = 1 << 6,
    OTHER_ENV = 1 << 7,
    NO_SCOPE = 1 << 8,
    FACTS = 1 << 9,
};

static const struct {
    unsigned facts;
    enum kw_code code;
} precedence[] = {
    {OTHER_PROJECT | ERASED, KW_CODE_INVALID_KEY}, {REVOKED | GRACE_PAST, KW_CODE_REVOKED},
    {LAPSED | EXPIRED, KW_CODE_EXPIRED},           {DISABLED, KW_CODE_DISABLED},
    {OTHER_ENV, KW_CODE_ENVIRONMENT_MISMATCH},     {NO_SCOPE, KW_CODE_INSUFFICIENT_SCOPE},
};

static bool notices_lapse(unsigned facts)
{
    if ((facts & (OTHER_PROJECT | ERASED | REVOKED)) != 0) {
        return false;
    }
    if ((facts & GRACE_PAST) != 0) {
        return true;
    }
    return (facts & EXPIRED) != 0 && (facts & LAPSED) == 0;
}

static struct kw_entry *entry_with(struct test *t, unsigned facts, struct kw_arena *arena)
{
    struct kw_record record = record_typical(arena);
    record.enabled = (facts & DISABLED) == 0;
    record.revoked_at_ms = (facts & REVOKED) != 0 ? NOW_MS + 50 : 0;
    record.grace_until_ms = (facts & GRACE_PAST) != 0 ? NOW_MS : NOW_MS + 1;
    record.lapsed_at_ms = (facts & LAPSED) != 0 ? NOW_MS + 50 : 0;
    record.expires_at_ms = (facts & EXPIRED) != 0 ? NOW_MS : NOW_MS + 1;
    return entry_of(t, &record, (facts & ERASED) != 0);
}

static enum kw_code first_refusal(unsigned facts)
{
    for (size_t i = 0; i < KW_COUNT_OF(precedence); i++) {
        if ((facts & precedence[i].facts) != 0) {
            return precedence[i].code;
        }
    }
    return KW_CODE_NONE;
}

/* Every combination of what may speak against a key: the first in the order of DESIGN, section 5, is the answer. */
static void refusals_come_in_their_order(struct test *t)
{
    static const struct kw_bytes held[] = {{(const uint8_t *)"keys:read", 9}, {(const uint8_t *)"billing:all", 11}};
    static const struct kw_bytes lacking[] = {
        {(const uint8_t *)"keys:read", 9}, {(const uint8_t *)"keys:erase", 10}, {(const uint8_t *)"other", 5}};
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    for (unsigned facts = 0; facts < FACTS; facts++) {
        struct kw_entry *entry = entry_with(t, facts, &arena);
        struct kw_question question = {
            .project = (facts & OTHER_PROJECT) != 0 ? 8 : 7,
            .env = (facts & OTHER_ENV) != 0 ? KW_BYTES("test") : KW_BYTES("live"),
            .scopes = (facts & NO_SCOPE) != 0 ? lacking : held,
            .scope_count = (facts & NO_SCOPE) != 0 ? 3 : 2,
        };
        enum kw_code expected = first_refusal(facts);
        struct kw_decision decision = kw_decide(entry, &question, NOW_MS);
        if (decision.code != expected || (decision.lapsed != NULL) != notices_lapse(facts)) {
            test_fail(t, __FILE__, __LINE__, "facts 0x%x: %s%s", facts, kw_code_info(decision.code)->name,
                      decision.lapsed != NULL ? ", lapse noticed" : "");
        }
        CHECK_BYTES(t, decision.missing, expected == KW_CODE_INSUFFICIENT_SCOPE ? lacking[1] : (struct kw_bytes){0});
        free(entry);
        kw_arena_reset(&arena);
    }
}

static void the_unknown_is_invalid(struct test *t)
{
    struct kw_question question = {.project = 7};
    struct kw_decision decision = kw_decide(NULL, &question, NOW_MS);
    CHECK_I64(t, decision.code, KW_CODE_INVALID_KEY);
    CHECK(t, !decision.lapsed);
}

/* More scopes than one word has bits, and all of them that are not held, in their order. */
static void all_that_is_missing_is_named(struct test *t)
{
    char names[2 * KW_SCOPE_COUNT_MAX][8];
    struct kw_bytes scopes[2 * KW_SCOPE_COUNT_MAX];
    struct kw_missing missing[KW_MISSING_MAX];
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_record record = record_typical(&arena);
    struct kw_entry *entry = entry_of(t, &record, false);
    for (unsigned i = 0; i < KW_COUNT_OF(scopes); i++) {
        (void)snprintf(names[i], sizeof names[i], "s%u", i);
        scopes[i] = i % 3 == 0 ? KW_BYTES("billing:all") : kw_bytes_of_text(names[i]); /* it holds that everywhere */
    }
    struct kw_question question = {.project = 7,
                                   .scopes = scopes,
                                   .scope_count = KW_SCOPE_COUNT_MAX,
                                   .require = KW_BYTES("keys:read AND (a OR b) AND c"),
                                   .resource = KW_BYTES("website:1"),
                                   .resource_scopes = scopes + KW_SCOPE_COUNT_MAX,
                                   .resource_scope_count = KW_SCOPE_COUNT_MAX};
    struct kw_decision decision = kw_decide(entry, &question, NOW_MS);
    CHECK_I64(t, decision.code, KW_CODE_INSUFFICIENT_SCOPE);
    size_t count = kw_lacks_list(&decision.lacks, &question, missing, KW_MISSING_MAX);
    size_t at = 0;
    for (unsigned i = 0; i < KW_COUNT_OF(scopes); i++) {
        if (i % 3 != 0) {
            CHECK_BYTES(t, missing[at].scope, kw_bytes_of_text(names[i]));
            CHECK_BYTES(t, missing[at].resource, i < KW_SCOPE_COUNT_MAX ? KW_BYTES("") : KW_BYTES("website:1"));
            at++;
        }
    }
    CHECK_BYTES(t, missing[at].require, KW_BYTES("a OR b"));
    CHECK_BYTES(t, missing[at + 1].scope, KW_BYTES("c"));
    CHECK_I64(t, count, at + 2);
    missing[1].scope = KW_BYTES("untouched");
    CHECK_I64(t, kw_lacks_list(&decision.lacks, &question, missing, 1), count);
    CHECK_BYTES(t, missing[1].scope, KW_BYTES("untouched"));
    free(entry);
    kw_arena_reset(&arena);
}

/* One decision and one status: what the record's JSON says is what its verification says. */
static void decisions_agree_with_the_status(struct test *t)
{
    static const enum kw_code codes[] = {KW_CODE_NONE, KW_CODE_DISABLED, KW_CODE_EXPIRED, KW_CODE_REVOKED};
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 20);
    for (int i = 0; i < 2000; i++) {
        struct kw_record record = record_random(t, &arena);
        if (test_random_below(t, 2) == 0) {
            record.revoked_at_ms = 0;
        }
        record.allowed_ips = record.blocked_ips = (struct kw_list){.count = 0};
        record.allowed_regions = record.blocked_regions = (struct kw_list){.count = 0};
        struct kw_entry *entry = entry_of(t, &record, false);
        struct kw_question question = {.project = 7};
        for (int n = 0; n < 10; n++) {
            int64_t now_ms = RECORD_BORN_MS + (int64_t)test_random_below(t, INT64_C(1) << 36);
            struct kw_decision decision = kw_decide(entry, &question, now_ms);
            CHECK_I64(t, decision.code, codes[kw_record_status(&record, now_ms)]);
        }
        free(entry);
        kw_arena_reset(&arena);
    }
}

static struct kw_record resource_record(struct kw_arena *arena)
{
    struct kw_record record = record_typical(arena);
    struct kw_bytes write[] = {KW_BYTES("write")};
    struct kw_bytes all[] = {KW_BYTES("*")};
    struct resource_of pairs[] = {{KW_BYTES("website:*"), list_of(arena, write, 1)},
                                  {KW_BYTES("website:1"), list_of(arena, all, 1)}};
    record.resources = resources_of(arena, pairs, 2);
    return record;
}

static void scopes_on_resources_are_decided(struct test *t)
{
    static const struct {
        const char *resource, *scope;
        enum kw_code code;
    } rows[] = {
        {"website:1", "anything:at:all", KW_CODE_NONE},    {"website:2", "write", KW_CODE_NONE},
        {"website:2", "read", KW_CODE_INSUFFICIENT_SCOPE}, {"project:1", "write", KW_CODE_INSUFFICIENT_SCOPE},
        {"project:1", "keys:read", KW_CODE_NONE}, /* a global scope holds everywhere */
        {"website:2", "billing:x", KW_CODE_NONE},          {"website:*", "write", KW_CODE_NONE},
        {"website:*", "read", KW_CODE_INSUFFICIENT_SCOPE}, {"*", "write", KW_CODE_INSUFFICIENT_SCOPE},
    };
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = resource_record(&arena);
    struct kw_entry *entry = entry_of(t, &record, false);
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_bytes scope = kw_bytes_of_text(rows[i].scope);
        struct kw_question question = {.project = 7,
                                       .resource = kw_bytes_of_text(rows[i].resource),
                                       .resource_scopes = &scope,
                                       .resource_scope_count = 1};
        struct kw_decision decision = kw_decide(entry, &question, NOW_MS);
        CHECK_I64(t, decision.code, rows[i].code);
        CHECK(t, (decision.missing.data == scope.data) == (rows[i].code != KW_CODE_NONE));
    }
    struct kw_bytes global = KW_BYTES("write");
    struct kw_question question = {.project = 7, .scopes = &global, .scope_count = 1};
    CHECK_I64(t, kw_decide(entry, &question, NOW_MS).code, KW_CODE_INSUFFICIENT_SCOPE); /* held on resources only */
    free(entry);
    kw_arena_reset(&arena);
}

static void a_resource_alone_needs_something_that_holds_there(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = resource_record(&arena);
    record.scopes = (struct kw_list){.count = 0};
    struct kw_entry *entry = entry_of(t, &record, false);
    struct kw_question question = {.project = 7, .resource = KW_BYTES("website:9")};
    CHECK_I64(t, kw_decide(entry, &question, NOW_MS).code, KW_CODE_NONE);
    question.resource = KW_BYTES("project:9");
    struct kw_decision decision = kw_decide(entry, &question, NOW_MS);
    CHECK_I64(t, decision.code, KW_CODE_INSUFFICIENT_SCOPE);
    CHECK_BYTES(t, decision.missing, KW_BYTES("project:9"));
    free(entry);
    record = record_typical(&arena);
    entry = entry_of(t, &record, false);
    CHECK_I64(t, kw_decide(entry, &question, NOW_MS).code, KW_CODE_NONE); /* by its global scopes */
    free(entry);
    kw_arena_reset(&arena);
}

static void environments_must_be_the_same(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = record_typical(&arena);
    static const char *const others[] = {"liv", "lives", "Live", "test", "x"};
    struct kw_entry *entry = entry_of(t, &record, false);
    for (size_t i = 0; i < KW_COUNT_OF(others); i++) {
        struct kw_question question = {.project = 7, .env = kw_bytes_of_text(others[i])};
        CHECK_I64(t, kw_decide(entry, &question, NOW_MS).code, KW_CODE_ENVIRONMENT_MISMATCH);
    }
    free(entry);
    kw_arena_reset(&arena);
}

static void only_a_valid_use_is_a_first_use(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 16);
    struct kw_question question = {.project = 7};
    struct kw_question other = {.project = 7, .env = KW_BYTES("nowhere")};
    struct kw_record record = record_typical(&arena);
    for (int ends = 0; ends < 2; ends++) {
        for (int enabled = 0; enabled < 2; enabled++) {
            record.ends_grace = ends != 0;
            record.enabled = enabled != 0;
            struct kw_entry *entry = entry_of(t, &record, false);
            CHECK(t, kw_decide(entry, &question, NOW_MS).first_use == (record.ends_grace && record.enabled));
            CHECK(t, !kw_decide(entry, &other, NOW_MS).first_use);
            entry->flags &= (uint8_t)~KW_ENTRY_ENDS_GRACE; /* it was told */
            CHECK(t, !kw_decide(entry, &question, NOW_MS).first_use);
            free(entry);
        }
    }
    kw_arena_reset(&arena);
}

static void entries_keep_their_record(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 20);
    for (int i = 0; i < 300; i++) {
        struct kw_record record = record_random(t, &arena);
        struct kw_entry *entry = entry_of(t, &record, false);
        struct kw_record again;
        REQUIRE_OK(t, kw_record_decode(kw_entry_record(entry), &again));
        check_records_equal(t, &again, &record);
        CHECK(t, entry->version == record.version && entry->project == 7);
        CHECK(t, entry->method == kw_record_digest_method(&record) && entry->digest[31] == 0xd1);
        CHECK(t, ((entry->flags & KW_ENTRY_ENDS_GRACE) != 0) == record.ends_grace);
        struct kw_id id = kw_entry_id(entry);
        CHECK_BYTES(t, kw_bytes_of(id.bytes, 16), kw_bytes_of(record.id.bytes, 16));
        free(entry);
        kw_arena_reset(&arena);
    }
    struct kw_digest digest = {.size = 32};
    struct kw_record decoded;
    union {
        struct kw_entry entry;
        uint8_t bytes[256];
    } place;
    CHECK_STATUS(t, kw_entry_build(&digest, 7, false, KW_BYTES("\x01"), &place.entry, &decoded), KW_E_CORRUPT);
    CHECK_STATUS(t, kw_entry_build(&digest, 7, false, KW_BYTES("\x03"), &place.entry, &decoded), KW_E_NEWER);
    CHECK(t, kw_entry_size(0, 150) <= 84 + 150);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_good_key_is_valid),
        TEST_CASE(refusals_come_in_their_order),
        TEST_CASE(all_that_is_missing_is_named),
        TEST_CASE(the_unknown_is_invalid),
        TEST_CASE(decisions_agree_with_the_status),
        TEST_CASE(scopes_on_resources_are_decided),
        TEST_CASE(a_resource_alone_needs_something_that_holds_there),
        TEST_CASE(environments_must_be_the_same),
        TEST_CASE(only_a_valid_use_is_a_first_use),
        TEST_CASE(entries_keep_their_record),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
