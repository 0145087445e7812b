/* The chain of the audit log: every kind of edit to every field is found, and its JSON says all of it. */
#include "audit_log.h"
#include "core/id.h"

#include <string.h>

static void a_log_as_it_was_written_is_whole(struct test *t)
{
    struct audit_log log = audit_log_new(AUDIT_LOG_LINES);
    struct kw_audit_proof proof = audit_log_prove(&log, &log.head);
    CHECK_I64(t, proof.fault, KW_AUDIT_WHOLE);
    CHECK_I64(t, proof.proved, AUDIT_LOG_LINES);
    CHECK_I64(t, proof.chain.place, AUDIT_LOG_LINES);
    CHECK(t, memcmp(&proof.chain, &log.head, sizeof log.head) == 0);
    struct audit_log empty = {.count = 0};
    proof = audit_log_prove(&empty, NULL);
    CHECK_I64(t, proof.fault, KW_AUDIT_WHOLE);
}

/* Each of them edits one field of a line or of its seal. */
static void edit(struct audit_entry *entry, size_t which)
{
    switch (which) {
    case 0:
        entry->line.at_ms++;
        break;
    case 1:
        entry->line.project = KW_BYTES("other");
        break;
    case 2:
        entry->line.key_id = audit_log_id(99);
        break;
    case 3:
        entry->line.key_id = (struct kw_id){{0}};
        break;
    case 4:
        entry->line.owner = KW_BYTES("user:2");
        break;
    case 5:
        entry->line.owner = (struct kw_bytes){NULL, 0};
        break;
    case 6:
        entry->line.actor = KW_BYTES("operator");
        break;
    case 7:
        entry->line.action = KW_BYTES("key.enabled");
        break;
    case 8:
        entry->line.context = KW_BYTES("{\"reason\":\"movee\"}");
        break;
    case 9:
        entry->line.context = (struct kw_bytes){NULL, 0};
        break;
    case 10:
        entry->line.details = KW_BYTES("{\"changes\":{\"name\":{\"from\":\"a\",\"to\":\"c\"}}}");
        break;
    case 11: /* what stood in one field stands in its neighbour */
        entry->line.context = entry->line.details;
        entry->line.details = KW_BYTES("{\"reason\":\"moved\"}");
        break;
    case 12:
        entry->seal.salt[3] ^= 1;
        break;
    case 13:
        entry->seal.link[31] ^= 1;
        break;
    default:
        entry->line.sequence++;
        break;
    }
}

static void every_edit_of_every_field_is_found(struct test *t)
{
    for (size_t which = 0; which < 15; which++) {
        for (size_t i = 0; i < AUDIT_LOG_LINES; i++) {
            struct audit_log log = audit_log_new(AUDIT_LOG_LINES);
            edit(&log.entries[i], which);
            struct kw_audit_proof proof = audit_log_prove(&log, &log.head);
            audit_log_fault(t, &proof, KW_AUDIT_CHANGED, log.entries[i].line.sequence, i + 1);
            CHECK_I64(t, proof.proved, i);
        }
    }
}

static void a_field_cannot_lend_bytes_to_its_neighbour(struct test *t)
{
    struct audit_log log = audit_log_new(1);
    log.entries[0].line.project = KW_BYTES("defaultk");
    log.entries[0].line.action = KW_BYTES("ey.updated");
    struct kw_audit_proof proof = audit_log_prove(&log, &log.head);
    audit_log_fault(t, &proof, KW_AUDIT_CHANGED, 10, 1);
}

static void a_line_that_is_gone_is_missed(struct test *t)
{
    for (size_t i = 0; i < AUDIT_LOG_LINES; i++) {
        struct audit_log log = audit_log_new(AUDIT_LOG_LINES);
        memmove(&log.entries[i], &log.entries[i + 1], (AUDIT_LOG_LINES - 1 - i) * sizeof log.entries[0]);
        log.count--;
        struct kw_audit_proof proof = audit_log_prove(&log, &log.head);
        bool is_last = i == AUDIT_LOG_LINES - 1;
        audit_log_fault(t, &proof, KW_AUDIT_MISSING, is_last ? 0 : log.entries[i].line.sequence, i + 1);
        proof = audit_log_prove(&log, NULL);
        CHECK_I64(t, proof.fault, is_last ? KW_AUDIT_WHOLE : KW_AUDIT_MISSING);
    }
}

static void a_line_that_was_added_is_named(struct test *t)
{
    for (size_t i = 0; i < AUDIT_LOG_LINES; i++) {
        struct audit_log log = audit_log_new(AUDIT_LOG_LINES);
        memmove(&log.entries[i + 1], &log.entries[i], (AUDIT_LOG_LINES - i) * sizeof log.entries[0]);
        log.count++;
        log.entries[i].line = audit_log_line(i);
        log.entries[i].line.sequence = 10 * i + 5;
        log.entries[i].has_seal = false;
        struct kw_audit_proof proof = audit_log_prove(&log, &log.head);
        audit_log_fault(t, &proof, KW_AUDIT_ADDED, 10 * i + 5, i + 1);
        log.entries[i].has_seal = true; /* with a seal that another one has */
        log.entries[i].seal = log.entries[i == 0 ? 1 : i - 1].seal;
        proof = audit_log_prove(&log, &log.head);
        audit_log_fault(t, &proof, i == 0 ? KW_AUDIT_CHANGED : KW_AUDIT_ADDED, 10 * i + 5, i == 0 ? 1 : i);
    }
}

static void a_line_that_lost_its_seal_is_named(struct test *t)
{
    for (size_t i = 0; i < AUDIT_LOG_LINES; i++) {
        struct audit_log log = audit_log_new(AUDIT_LOG_LINES);
        log.entries[i].has_seal = false;
        struct kw_audit_proof proof = audit_log_prove(&log, &log.head);
        audit_log_fault(t, &proof, KW_AUDIT_CHANGED, 10 * (i + 1), i + 1);
    }
}

static void lines_that_changed_places_are_found(struct test *t)
{
    for (size_t i = 0; i + 1 < AUDIT_LOG_LINES; i++) {
        struct audit_log log = audit_log_new(AUDIT_LOG_LINES);
        struct audit_entry first = log.entries[i];
        log.entries[i] = log.entries[i + 1];
        log.entries[i + 1] = first;
        struct kw_audit_proof proof = audit_log_prove(&log, &log.head);
        audit_log_fault(t, &proof, KW_AUDIT_MOVED, 10 * (i + 1), i + 1); /* it comes behind the second */
        /* Sequences and places stay where they were, and all else changes places. */
        log = audit_log_new(AUDIT_LOG_LINES);
        struct kw_audit_line line = log.entries[i].line;
        log.entries[i].line = log.entries[i + 1].line;
        log.entries[i + 1].line = line;
        log.entries[i + 1].line.sequence = log.entries[i].line.sequence;
        log.entries[i].line.sequence = line.sequence;
        proof = audit_log_prove(&log, &log.head);
        audit_log_fault(t, &proof, KW_AUDIT_CHANGED, 10 * (i + 1), i + 1);
    }
    struct audit_log log = audit_log_new(AUDIT_LOG_LINES);
    log.entries[AUDIT_LOG_LINES] = log.entries[1];
    log.count++;
    struct kw_audit_proof proof = audit_log_prove(&log, &log.head);
    audit_log_fault(t, &proof, KW_AUDIT_MOVED, 20, 2);
}

static void a_chain_that_was_made_anew_is_not_the_known_one(struct test *t)
{
    struct audit_log log = audit_log_new(AUDIT_LOG_LINES);
    struct kw_audit_chain known = log.head;
    log.entries[2].line.actor = KW_BYTES("somebody");
    audit_log_seal(&log);
    struct kw_audit_proof proof = audit_log_prove(&log, &known);
    audit_log_fault(t, &proof, KW_AUDIT_CHANGED, 10 * AUDIT_LOG_LINES, AUDIT_LOG_LINES);
    proof = audit_log_prove(&log, NULL);
    CHECK_I64(t, proof.fault, KW_AUDIT_WHOLE);
}

static void lines_behind_the_chain_wait_for_their_seal(struct test *t)
{
    struct audit_log log = audit_log_new(AUDIT_LOG_LINES);
    struct kw_audit_chain known = audit_log_new(AUDIT_LOG_LINES - 2).head;
    log.entries[AUDIT_LOG_LINES - 2].has_seal = log.entries[AUDIT_LOG_LINES - 1].has_seal = false;
    struct kw_audit_proof proof = audit_log_prove(&log, &known);
    CHECK_I64(t, proof.fault, KW_AUDIT_WHOLE);
    CHECK_I64(t, proof.proved, AUDIT_LOG_LINES - 2);
    CHECK_I64(t, proof.unsealed, 2);
}

static void what_is_kept_of_a_chain_comes_back(struct test *t)
{
    struct audit_log log = audit_log_new(2);
    uint8_t bytes[KW_AUDIT_HEAD_SIZE];
    uint8_t seal_bytes[KW_AUDIT_SEAL_MAX];
    struct kw_audit_chain chain;
    struct kw_audit_seal seal;
    kw_audit_head_encode(&log.head, bytes);
    REQUIRE(t, kw_audit_head_decode(kw_bytes_of(bytes, sizeof bytes), &chain));
    CHECK(t, memcmp(&chain, &log.head, sizeof chain) == 0);
    CHECK(t, !kw_audit_head_decode(kw_bytes_of(bytes, sizeof bytes - 1), &chain));
    size_t size = kw_audit_seal_encode(&log.entries[1].seal, seal_bytes);
    REQUIRE(t, kw_audit_seal_decode(kw_bytes_of(seal_bytes, size), &seal));
    uint8_t again[KW_AUDIT_SEAL_MAX];
    CHECK_BYTES(t, kw_bytes_of(again, kw_audit_seal_encode(&seal, again)), kw_bytes_of(seal_bytes, size));
    seal_bytes[0] = 9;
    CHECK(t, !kw_audit_seal_decode(kw_bytes_of(seal_bytes, size), &seal));
}

/* --- JSON --- */

static uint8_t arena_block[65536];

/* The link was reckoned a second time by another program. */
static void a_line_comes_back_from_its_json(struct test *t)
{
    struct audit_log log = audit_log_new(2);
    struct kw_buffer text;
    struct kw_json_writer json;
    kw_buffer_init(&text, 4096);
    kw_json_writer_init(&json, &text);
    kw_audit_line_write(&log.entries[1].line, &log.entries[1].seal, &json);
    CHECK_TEXT(
        t, (kw_buffer_add_byte(&text, 0), (const char *)text.data),
        "{\"id\":\"audit_20\",\"sequence\":20,\"timestamp\":\"2023-11-14T22:13:20.002Z\",\"projectId\":\"default\","
        "\"action\":\"key.updated\",\"keyId\":\"key_00000000000000000000000002\",\"owner\":\"user:1\","
        "\"actor\":\"key:key_00000000000000000000000001\",\"context\":{\"reason\":\"moved\"},"
        "\"details\":{\"changes\":{\"name\":{\"from\":\"a\",\"to\":\"b\"}}},"
        "\"seal\":{\"place\":2,\"salt\":\"02020202020202020202020202020202\",\"link\":"
        "\"513c5c49c033d3f1231d728854afed2c653a11a547390d243a33bbe3e75ac937\"}}");
    struct kw_arena arena;
    struct kw_error error = {0};
    struct audit_entry read = {.has_seal = false};
    kw_arena_init(&arena, arena_block, sizeof arena_block, sizeof arena_block);
    REQUIRE_OK(t, kw_audit_line_read(kw_bytes_of(text.data, text.size - 1), &arena, &read.line, &read.seal,
                                     &read.has_seal, &error));
    CHECK(t, read.has_seal);
    log.entries[1] = read;
    struct kw_audit_proof proof = audit_log_prove(&log, &log.head);
    CHECK_I64(t, proof.fault, KW_AUDIT_WHOLE);
    kw_buffer_deinit(&text);
}

static void a_text_that_is_no_line_is_refused(struct test *t)
{
    static const struct {
        const char *text, *field;
    } rows[] = {
        {"{}", "sequence"},
        {"{\"sequence\":0,\"timestamp\":\"2023-11-14T22:13:20Z\",\"action\":\"a\"}", "sequence"},
        {"{\"sequence\":2,\"timestamp\":\"yesterday\",\"action\":\"a\"}", "timestamp"},
        {"{\"sequence\":2,\"timestamp\":\"2023-11-14T22:13:20Z\",\"action\":\"a\",\"id\":\"audit_3\"}", "id"},
        {"{\"sequence\":2,\"timestamp\":\"2023-11-14T22:13:20Z\",\"action\":\"a\",\"keyId\":\"key_1\"}", "keyId"},
        {"{\"sequence\":2,\"timestamp\":\"2023-11-14T22:13:20Z\",\"action\":\"a\",\"details\":[]}", "details"},
        {"{\"sequence\":2,\"timestamp\":\"2023-11-14T22:13:20Z\",\"action\":\"a\",\"seal\":{\"place\":1}}",
         "seal.link"},
        {"{\"sequence\":2,\"timestamp\":\"2023-11-14T22:13:20Z\",\"action\":\"a\",\"seal\":{\"place\":1,\"salt\":\"0\","
         "\"link\":\"0\"}}",
         "seal"},
        {"{\"sequence\":2,\"timestamp\":\"2023-11-14T22:13:20Z\",\"action\":\"a\",\"other\":1}", "other"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_arena arena;
        struct kw_error error = {0};
        struct audit_entry read;
        kw_arena_init(&arena, arena_block, sizeof arena_block, sizeof arena_block);
        CHECK_STATUS(
            t,
            kw_audit_line_read(kw_bytes_of_text(rows[i].text), &arena, &read.line, &read.seal, &read.has_seal, &error),
            KW_E_INVALID);
        CHECK_TEXT(t, error.field, rows[i].field);
    }
}

/* --- context --- */

static void check_context(struct test *t, const struct kw_audit_context *said, const struct kw_audit_context *known,
                          const struct kw_audit_context *project, const char *actor, const char *expected)
{
    struct kw_buffer text;
    struct kw_bytes found = {NULL, 0};
    kw_buffer_init(&text, 4096);
    kw_audit_context_write(said, known, project, &text, &found);
    CHECK_BYTES(t, kw_buffer_bytes(&text), kw_bytes_of_text(expected));
    CHECK_BYTES(t, found, kw_bytes_of_text(actor));
    kw_buffer_deinit(&text);
}

static void what_a_caller_says_wins_and_what_is_known_stays(struct test *t)
{
    const struct kw_audit_context known = {
        .actor = KW_BYTES("key:1"), .address = KW_BYTES("192.0.2.1"), .user_agent = KW_BYTES("sdk/1")};
    const struct kw_audit_context said = {
        .actor = KW_BYTES("user:7"), .address = KW_BYTES("203.0.113.9"), .metadata = KW_BYTES("{\"ticket\":4}")};
    const struct kw_audit_context same = {.actor = KW_BYTES("key:1"), .reason = KW_BYTES("asked")};
    const struct kw_audit_context project = {.reason = KW_BYTES("routine"), .metadata = KW_BYTES("{\"team\":\"a\"}")};
    check_context(t, NULL, NULL, NULL, "", "");
    check_context(t, NULL, &known, NULL, "key:1", "{\"address\":\"192.0.2.1\",\"userAgent\":\"sdk/1\"}");
    check_context(t, &said, &known, NULL, "user:7",
                  "{\"address\":\"203.0.113.9\",\"userAgent\":\"sdk/1\",\"metadata\":{\"ticket\":4},"
                  "\"via\":{\"actor\":\"key:1\",\"address\":\"192.0.2.1\"}}");
    check_context(t, NULL, NULL, &project, "", "{\"reason\":\"routine\",\"metadata\":{\"team\":\"a\"}}");
    check_context(t, &said, NULL, &project, "user:7",
                  "{\"address\":\"203.0.113.9\",\"reason\":\"routine\",\"metadata\":{\"ticket\":4}}");
    check_context(
        t, &same, &known, &project, "key:1",
        "{\"address\":\"192.0.2.1\",\"userAgent\":\"sdk/1\",\"reason\":\"asked\",\"metadata\":{\"team\":\"a\"}}");
}

static void a_context_is_read_and_checked_alike(struct test *t)
{
    struct kw_arena arena;
    struct kw_error error = {0};
    struct kw_audit_context context;
    struct kw_audit_context clean;
    kw_arena_init(&arena, arena_block, sizeof arena_block, sizeof arena_block);
    REQUIRE_OK(t, kw_audit_context_read(KW_BYTES("{\"actor\":\"user:7\",\"metadata\":{ \"a\" : 1 }}"),
                                        "Keyward-Context", &arena, &context, &error));
    CHECK_BYTES(t, context.actor, KW_BYTES("user:7"));
    CHECK_BYTES(t, context.metadata, KW_BYTES("{\"a\":1}"));
    CHECK_STATUS(t, kw_audit_context_read(KW_BYTES("{\"who\":1}"), "Keyward-Context", &arena, &context, &error),
                 KW_E_INVALID);
    CHECK_TEXT(t, error.field, "Keyward-Context.who");
    CHECK_TEXT(t, error.code, "INVALID_FIELD");
    CHECK_STATUS(t, kw_audit_context_read(KW_BYTES("user:7"), "Keyward-Context", &arena, &context, &error),
                 KW_E_INVALID);
    struct kw_audit_context given = {.metadata = KW_BYTES("{ \"b\" : [ 2 ] }"), .reason = KW_BYTES("because")};
    REQUIRE_OK(t, kw_audit_context_check(&given, &arena, &clean, &error));
    CHECK_BYTES(t, clean.metadata, KW_BYTES("{\"b\":[2]}"));
    CHECK_BYTES(t, clean.reason, KW_BYTES("because"));
    given.metadata = KW_BYTES("[1]");
    CHECK_STATUS(t, kw_audit_context_check(&given, &arena, &clean, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "context.metadata");
    static uint8_t long_text[KW_AUDIT_METADATA_MAX * 3];
    memset(long_text, 'x', sizeof long_text);
    given = (struct kw_audit_context){.metadata = kw_bytes_of(long_text, sizeof long_text)};
    CHECK_STATUS(t, kw_audit_context_check(&given, &arena, &clean, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "context.metadata");
    given = (struct kw_audit_context){.user_agent = kw_bytes_of(long_text, KW_AUDIT_USER_AGENT_MAX + 1)};
    CHECK_STATUS(t, kw_audit_context_check(&given, &arena, &clean, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "context.userAgent");
}

static void actions_are_known_by_their_names(struct test *t)
{
    size_t count = 0;
    const struct kw_audit_action *actions = kw_audit_actions(&count);
    CHECK(t, count > 0);
    for (size_t i = 0; i < count; i++) {
        CHECK(t, kw_audit_action_known(kw_bytes_of_text(actions[i].name)));
        CHECK(t, strlen(actions[i].name) <= KW_AUDIT_ACTION_MAX);
    }
    CHECK(t, !kw_audit_action_known(KW_BYTES("key.create")));
    CHECK(t, !kw_audit_action_known(KW_BYTES("")));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_log_as_it_was_written_is_whole),
        TEST_CASE(every_edit_of_every_field_is_found),
        TEST_CASE(a_field_cannot_lend_bytes_to_its_neighbour),
        TEST_CASE(a_line_that_is_gone_is_missed),
        TEST_CASE(a_line_that_was_added_is_named),
        TEST_CASE(a_line_that_lost_its_seal_is_named),
        TEST_CASE(lines_that_changed_places_are_found),
        TEST_CASE(a_chain_that_was_made_anew_is_not_the_known_one),
        TEST_CASE(lines_behind_the_chain_wait_for_their_seal),
        TEST_CASE(what_is_kept_of_a_chain_comes_back),
        TEST_CASE(a_line_comes_back_from_its_json),
        TEST_CASE(a_text_that_is_no_line_is_refused),
        TEST_CASE(what_a_caller_says_wins_and_what_is_known_stays),
        TEST_CASE(a_context_is_read_and_checked_alike),
        TEST_CASE(actions_are_known_by_their_names),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
