/*
 * A record's encoding as it might come out of a damaged store. What is read must be canonical, must become an entry, an
 * answer in JSON and a decision without harm, and must survive every command in a state that can be kept again.
 */
#include "base/bytes.h"
#include "core/internal.h"
#include "core/record.h"
#include "core/scope.h"
#include "core/transition.h"
#include "core/verdict.h"

#include <stdio.h>

#define NOW_MS INT64_C(1767225600000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "not true: %s\n", what);
        abort();
    }
}

static void check_encodes(const struct kw_record *record, const struct kw_bytes *expected)
{
    struct kw_buffer buffer;
    kw_buffer_init(&buffer, 2 * KW_RECORD_MAX);
    unsigned version = expected == NULL ? KW_RECORD_ENCODING_VERSION : expected->data[0];
    require(kw__record_encode_as(record, version, &buffer) == KW_OK, "a record can be encoded");
    require(expected == NULL || kw_bytes_equal(kw_buffer_bytes(&buffer), *expected), "a record has one form");
    struct kw_record again;
    require(buffer.size > KW_RECORD_MAX || kw_record_decode(kw_buffer_bytes(&buffer), &again) == KW_OK,
            "what was encoded can be decoded");
    kw_buffer_deinit(&buffer);
}

static void check_decides(const struct kw_record *record, struct kw_bytes encoding)
{
    struct kw_digest digest = {.size = 32};
    struct kw_record record_again;
    struct kw_entry *entry = malloc(kw_entry_size(KW_ENTRY_BOUNDED | KW_ENTRY_EXTENDED, encoding.size));
    require(entry != NULL, "memory");
    require(kw_entry_build(&digest, 1, false, encoding, entry, &record_again) == KW_OK, "a record becomes an entry");
    struct kw_bytes scopes[] = {KW_BYTES("keys:read"), KW_BYTES("*")};
    struct kw_question question = {.project = 1, .env = KW_BYTES("live"), .scopes = scopes, .scope_count = 2};
    (void)kw_decide(entry, &question, NOW_MS);
    question = (struct kw_question){
        .project = 1, .resource = KW_BYTES("website:1"), .resource_scopes = scopes, .resource_scope_count = 2};
    (void)kw_decide(entry, &question, NOW_MS);
    question = (struct kw_question){.project = 1, .resource = KW_BYTES("website:1")};
    (void)kw_decide(entry, &question, NOW_MS);
    question = (struct kw_question){.project = 1};
    struct kw_decision decision = kw_decide(entry, &question, NOW_MS);
    bool active = kw_record_status(record, NOW_MS) == KW_KEY_ACTIVE;
    bool has_rules = (record->allowed_ips.count | record->blocked_ips.count | record->allowed_regions.count |
                      record->blocked_regions.count) != 0;
    require(has_rules || active == (decision.code == KW_CODE_NONE), "decision and status agree");
    struct kw_check checks[KW_RULE_COUNT];
    kw_decide_each(entry, &question, NOW_MS, checks);
    for (size_t i = 0; i < KW_RULE_COUNT; i++) {
        if (checks[i].outcome == KW_OUTCOME_REFUSED) {
            require(checks[i].decision.code == decision.code, "the first refusal is the decision");
            break;
        }
    }
    free(entry);
}

static void check_shows(const struct kw_record *record)
{
    struct kw_buffer buffer;
    struct kw_json_writer writer;
    kw_buffer_init(&buffer, 1 << 20);
    kw_json_writer_init(&writer, &buffer);
    kw_record_write_json(record, NOW_MS, &writer);
    require(kw_buffer_status(&buffer) == KW_OK, "a record can be shown");
    kw_buffer_reset(&buffer);
    kw_json_writer_init(&writer, &buffer);
    kw_record_write_changes(record, record, &writer);
    require(kw_bytes_equal(kw_buffer_bytes(&buffer), KW_BYTES("{}")), "a record does not differ from itself");
    kw_buffer_deinit(&buffer);
}

static void check_changes(const struct kw_record *record)
{
    static const struct kw_birth birth = {.id = {{1}},
                                          .env = {(const uint8_t *)"live", 4},
                                          .prefix = {(const uint8_t *)"sk_", 3},
                                          .digest_scheme = KW_DIGEST_SHA256};
    for (int kind = KW_COMMAND_UPDATE; kind <= KW_COMMAND_END_GRACE; kind++) {
        struct kw_command command = {.kind = (enum kw_command_kind)kind, .birth = &birth, .grace_ms = kind * 1000};
        struct kw_arena arena;
        struct kw_change change;
        kw_arena_init(&arena, NULL, 0, 1 << 16);
        if (kw_transition(record, &command, NOW_MS, &arena, &change, NULL) == KW_OK) {
            bool dead = kw_record_status(record, NOW_MS) == KW_KEY_REVOKED;
            require(!dead || kw_record_status(&change.after, 1) == KW_KEY_REVOKED, "the revoked stay revoked");
            if (change.after.version != 0) { /* 2^64 changes end in 0, which no store will see */
                check_encodes(&change.after, NULL);
            }
            if (change.has_successor) {
                require(kw_authority_within(&change.successor.scopes, &change.successor.resources, &record->scopes,
                                            &record->resources),
                        "a rotation never widens");
                check_encodes(&change.successor, NULL);
            }
        }
        kw_arena_reset(&arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kw_bytes encoding = kw_bytes_of(data, size);
    struct kw_record record;
    enum kw_status status = kw_record_decode(encoding, &record);
    require(status == KW_OK || status == KW_E_CORRUPT || status == KW_E_NEWER, "decoding ends in three ways");
    if (status == KW_OK) {
        check_encodes(&record, &encoding);
        check_decides(&record, encoding);
        check_shows(&record);
        check_changes(&record);
    }
    return 0;
}
