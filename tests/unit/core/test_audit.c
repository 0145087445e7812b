/* The chain of the audit log: every kind of edit to every field is found, and its JSON says all of it. */
#include "core/audit.h"

#include "core/id.h"
#include "support/test.h"

#include <string.h>

#define LINES 6

struct entry {
    struct kw_audit_line line;
    struct kw_audit_seal seal;
    bool has_seal;
};

struct log {
    struct entry entries[LINES + 1];
    size_t count;
    struct kw_audit_chain head;
};

static struct kw_id id_of(uint8_t number)
{
    struct kw_id id = {{0}};
    id.bytes[15] = number;
    return id;
}

static struct kw_audit_line line_of(size_t number)
{
    return (struct kw_audit_line){
        .sequence = 10 * (uint64_t)number,
        .at_ms = 1700000000000 + (int64_t)number,
        .project = KW_BYTES("default"),
        .key_id = id_of((uint8_t)number),
        .owner = KW_BYTES("user:1"),
        .actor = KW_BYTES("key:key_00000000000000000000000001"),
        .action = KW_BYTES("key.updated"),
        .context = KW_BYTES("{\"reason\":\"moved\"}"),
        .details = KW_BYTES("{\"changes\":{\"name\":{\"from\":\"a\",\"to\":\"b\"}}}"),
    };
}

static void seal_all(struct log *log)
{
    log->head = (struct kw_audit_chain){.place = 0};
    for (size_t i = 0; i < log->count; i++) {
        uint8_t salt[KW_AUDIT_SALT_SIZE];
        memset(salt, (int)(i + 1), sizeof salt);
        kw_audit_seal(&log->head, &log->entries[i].line, salt, &log->entries[i].seal);
        log->entries[i].has_seal = true;
    }
}

static struct log log_of(size_t count)
{
    struct log log = {.count = count};
    for (size_t i = 0; i < count; i++) {
        log.entries[i].line = line_of(i + 1);
    }
    seal_all(&log);
    return log;
}

static struct kw_audit_proof prove(const struct log *log, const struct kw_audit_chain *expected)
{
    struct kw_audit_proof proof;
    kw_audit_proof_begin(&proof, expected);
    for (size_t i = 0; i < log->count; i++) {
        const struct entry *entry = &log->entries[i];
        kw_audit_proof_add(&proof, &entry->line, entry->has_seal ? &entry->seal : NULL);
    }
    kw_audit_proof_end(&proof);
    return proof;
}

static void check_fault(struct test *t, const struct kw_audit_proof *proof, enum kw_audit_fault fault,
                        uint64_t sequence, uint64_t place)
{
    CHECK_TEXT(t, kw_audit_fault_name(proof->fault), kw_audit_fault_name(fault));
    CHECK_I64(t, proof->fault_sequence, sequence);
    CHECK_I64(t, proof->fault_place, place);
}

static void a_log_as_it_was_written_is_whole(struct test *t)
{
    struct log log = log_of(LINES);
    struct kw_audit_proof proof = prove(&log, &log.head);
    CHECK_I64(t, proof.fault, KW_AUDIT_WHOLE);
    CHECK_I64(t, proof.proved, LINES);
    CHECK_I64(t, proof.chain.place, LINES);
    CHECK(t, memcmp(&proof.chain, &log.head, sizeof log.head) == 0);
    struct log empty = {.count = 0};
    proof = prove(&empty, NULL);
    CHECK_I64(t, proof.fault, KW_AUDIT_WHOLE);
}

/* Each of them edits one field of a line or of its seal. */
static void edit(struct entry *entry, size_t which)
{
    switch (which) {
    case 0:
        entry->line.at_ms++;
        break;
    case 1:
        entry->line.project = KW_BYTES("other");
        break;
    case 2:
        entry->line.key_id = id_of(99);
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
        for (size_t i = 0; i < LINES; i++) {
            struct log log = log_of(LINES);
            edit(&log.entries[i], which);
            struct kw_audit_proof proof = prove(&log, &log.head);
            check_fault(t, &proof, KW_AUDIT_CHANGED, log.entries[i].line.sequence, i + 1);
            CHECK_I64(t, proof.proved, i);
        }
    }
}

static void a_field_cannot_lend_bytes_to_its_neighbour(struct test *t)
{
    struct log log = log_of(1);
    log.entries[0].line.project = KW_BYTES("defaultk");
    log.entries[0].line.action = KW_BYTES("ey.updated");
    struct kw_audit_proof proof = prove(&log, &log.head);
    check_fault(t, &proof, KW_AUDIT_CHANGED, 10, 1);
}

static void a_line_that_is_gone_is_missed(struct test *t)
{
    for (size_t i = 0; i < LINES; i++) {
        struct log log = log_of(LINES);
        memmove(&log.entries[i], &log.entries[i + 1], (LINES - 1 - i) * sizeof log.entries[0]);
        log.count--;
        struct kw_audit_proof proof = prove(&log, &log.head);
        bool is_last = i == LINES - 1;
        check_fault(t, &proof, KW_AUDIT_MISSING, is_last ? 0 : log.entries[i].line.sequence, i + 1);
        proof = prove(&log, NULL);
        CHECK_I64(t, proof.fault, is_last ? KW_AUDIT_WHOLE : KW_AUDIT_MISSING);
    }
}

static void a_line_that_was_added_is_named(struct test *t)
{
    for (size_t i = 0; i < LINES; i++) {
        struct log log = log_of(LINES);
        memmove(&log.entries[i + 1], &log.entries[i], (LINES - i) * sizeof log.entries[0]);
        log.count++;
        log.entries[i].line = line_of(i);
        log.entries[i].line.sequence = 10 * i + 5;
        log.entries[i].has_seal = false;
        struct kw_audit_proof proof = prove(&log, &log.head);
        check_fault(t, &proof, KW_AUDIT_ADDED, 10 * i + 5, i + 1);
        log.entries[i].has_seal = true; /* with a seal that another one has */
        log.entries[i].seal = log.entries[i == 0 ? 1 : i - 1].seal;
        proof = prove(&log, &log.head);
        check_fault(t, &proof, i == 0 ? KW_AUDIT_CHANGED : KW_AUDIT_ADDED, 10 * i + 5, i == 0 ? 1 : i);
    }
}

static void a_line_that_lost_its_seal_is_named(struct test *t)
{
    for (size_t i = 0; i < LINES; i++) {
        struct log log = log_of(LINES);
        log.entries[i].has_seal = false;
        struct kw_audit_proof proof = prove(&log, &log.head);
        check_fault(t, &proof, KW_AUDIT_CHANGED, 10 * (i + 1), i + 1);
    }
}

static void lines_that_changed_places_are_found(struct test *t)
{
    for (size_t i = 0; i + 1 < LINES; i++) {
        struct log log = log_of(LINES);
        struct entry first = log.entries[i];
        log.entries[i] = log.entries[i + 1];
        log.entries[i + 1] = first;
        struct kw_audit_proof proof = prove(&log, &log.head);
        check_fault(t, &proof, KW_AUDIT_MOVED, 10 * (i + 1), i + 1); /* it comes behind the second */
        /* Sequences and places stay where they were, and all else changes places. */
        log = log_of(LINES);
        struct kw_audit_line line = log.entries[i].line;
        log.entries[i].line = log.entries[i + 1].line;
        log.entries[i + 1].line = line;
        log.entries[i + 1].line.sequence = log.entries[i].line.sequence;
        log.entries[i].line.sequence = line.sequence;
        proof = prove(&log, &log.head);
        check_fault(t, &proof, KW_AUDIT_CHANGED, 10 * (i + 1), i + 1);
    }
    struct log log = log_of(LINES);
    log.entries[LINES] = log.entries[1];
    log.count++;
    struct kw_audit_proof proof = prove(&log, &log.head);
    check_fault(t, &proof, KW_AUDIT_MOVED, 20, 2);
}

static void a_chain_that_was_made_anew_is_not_the_known_one(struct test *t)
{
    struct log log = log_of(LINES);
    struct kw_audit_chain known = log.head;
    log.entries[2].line.actor = KW_BYTES("somebody");
    seal_all(&log);
    struct kw_audit_proof proof = prove(&log, &known);
    check_fault(t, &proof, KW_AUDIT_CHANGED, 10 * LINES, LINES);
    proof = prove(&log, NULL);
    CHECK_I64(t, proof.fault, KW_AUDIT_WHOLE);
}

static void lines_behind_the_chain_wait_for_their_seal(struct test *t)
{
    struct log log = log_of(LINES);
    struct kw_audit_chain known = log_of(LINES - 2).head;
    log.entries[LINES - 2].has_seal = log.entries[LINES - 1].has_seal = false;
    struct kw_audit_proof proof = prove(&log, &known);
    CHECK_I64(t, proof.fault, KW_AUDIT_WHOLE);
    CHECK_I64(t, proof.proved, LINES - 2);
    CHECK_I64(t, proof.unsealed, 2);
}

static void what_is_kept_of_a_chain_comes_back(struct test *t)
{
    struct log log = log_of(2);
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
    CHECK(t, memcmp(&seal, &log.entries[1].seal, sizeof seal) == 0);
    seal_bytes[0] = 9;
    CHECK(t, !kw_audit_seal_decode(kw_bytes_of(seal_bytes, size), &seal));
}

/* --- erasing --- */

static struct kw_secret seed_of(uint8_t byte)
{
    uint8_t bytes[KW_SIGNING_SEED_SIZE];
    struct kw_secret seed;
    memset(bytes, byte, sizeof bytes);
    return kw_secret_set(&seed, kw_bytes_of(bytes, sizeof bytes)) == KW_OK ? seed : (struct kw_secret){.size = 0};
}

static void take_out(struct kw_audit_line *line, unsigned fields)
{
    struct kw_bytes *const all[KW_AUDIT_VEILED_COUNT] = {&line->owner, &line->actor, &line->context, &line->details};
    for (size_t i = 0; i < KW_AUDIT_VEILED_COUNT; i++) {
        *all[i] = (fields >> i & 1) != 0 ? (struct kw_bytes){NULL, 0} : *all[i];
    }
}

/* Erases these fields of a line, as its holder does. */
static void erase(struct test *t, struct entry *entry, unsigned fields)
{
    struct kw_secret seed = seed_of(7);
    CHECK_STATUS(t, kw_audit_erase(&entry->line, (uint8_t)fields, &seed, &entry->seal), KW_OK);
    take_out(&entry->line, fields);
}

static struct kw_audit_proof prove_trusting(struct test *t, const struct log *log, uint8_t seed_byte)
{
    struct kw_audit_proof proof;
    struct kw_secret seed = seed_of(seed_byte);
    uint8_t signer[KW_PUBLIC_KEY_SIZE];
    CHECK_STATUS(t, kw_signing_public(&seed, signer), KW_OK);
    kw_audit_proof_begin(&proof, &log->head);
    kw_audit_proof_trust(&proof, signer);
    for (size_t i = 0; i < log->count; i++) {
        kw_audit_proof_add(&proof, &log->entries[i].line, &log->entries[i].seal);
    }
    kw_audit_proof_end(&proof);
    return proof;
}

static void a_log_is_as_provable_whatever_was_erased(struct test *t)
{
    for (unsigned first = 1; first < 16; first++) {
        for (unsigned second = 0; second < 16; second++) { /* of what is left */
            struct log log = log_of(LINES);
            erase(t, &log.entries[2], first);
            if (second > 0) {
                erase(t, &log.entries[2], second);
            }
            erase(t, &log.entries[LINES - 1], first);
            CHECK_I64(t, log.entries[2].seal.erased, first | second);
            struct kw_audit_proof proof = prove_trusting(t, &log, 7);
            CHECK_I64(t, proof.fault, KW_AUDIT_WHOLE);
            CHECK_I64(t, proof.proved, LINES);
            proof = prove_trusting(t, &log, 8); /* somebody else's signature */
            check_fault(t, &proof, KW_AUDIT_CHANGED, 30, 3);
            proof = prove(&log, &log.head); /* nobody's */
            check_fault(t, &proof, KW_AUDIT_CHANGED, 30, 3);
        }
    }
}

/* What somebody does to a line from which something was erased, or to make one look so. */
static bool tamper(struct entry *entry, unsigned fields, size_t which)
{
    struct kw_audit_line line = line_of(3);
    unsigned kept = ~fields & 15U;
    switch (which) {
    case 0: /* what is gone comes back */
        entry->line = line;
        return true;
    case 1: /* something else goes, without a signature */
        take_out(&entry->line, 15);
        return kept != 0;
    case 2:
        entry->seal.erased = 15;
        take_out(&entry->line, 15);
        return kept != 0;
    case 3:
        entry->seal.veils[0][0] ^= 1;
        return true;
    case 4:
        entry->seal.veils[3][0] ^= 1;
        return true;
    case 5:
        entry->seal.signature[0] ^= 1;
        return true;
    case 6:
        entry->line.action = KW_BYTES("key.revoked");
        return true;
    case 7:
        entry->line.details = KW_BYTES("{}");
        return true;
    default:
        entry->seal.link[0] ^= 1;
        return true;
    }
}

static void every_edit_of_an_erased_line_is_found(struct test *t)
{
    for (unsigned fields = 1; fields < 16; fields++) {
        for (size_t which = 0; which < 9; which++) {
            struct log log = log_of(LINES);
            erase(t, &log.entries[2], fields);
            if (tamper(&log.entries[2], fields, which)) {
                struct kw_audit_proof proof = prove_trusting(t, &log, 7);
                check_fault(t, &proof, KW_AUDIT_CHANGED, 30, 3);
            }
        }
    }
    /* A field that is only taken out, or taken out with the signature of another line. */
    struct log log = log_of(LINES);
    take_out(&log.entries[2].line, 2);
    struct kw_audit_proof proof = prove_trusting(t, &log, 7);
    check_fault(t, &proof, KW_AUDIT_CHANGED, 30, 3);
    log = log_of(LINES);
    struct entry other = log.entries[3];
    erase(t, &other, 2);
    erase(t, &log.entries[2], 2);
    memcpy(log.entries[2].seal.signature, other.seal.signature, sizeof other.seal.signature);
    proof = prove_trusting(t, &log, 7);
    check_fault(t, &proof, KW_AUDIT_CHANGED, 30, 3);
}

static void what_tells_of_a_person_is_known(struct test *t)
{
    const struct {
        const char *owner, *actor;
        struct kw_audit_line line;
        unsigned fields;
    } rows[] = {
        {"user:1", "", {.owner = KW_BYTES("user:1"), .details = KW_BYTES("{}")}, 1 | 8},
        {"user:1", "", {.owner = KW_BYTES("user:1")}, 1},
        {"user:1", "", {.owner = KW_BYTES("user:11"), .actor = KW_BYTES("user:1"), .details = KW_BYTES("{}")}, 0},
        {"", "user:1", {.owner = KW_BYTES("user:1"), .actor = KW_BYTES("user:1"), .context = KW_BYTES("{}")}, 2 | 4},
        {"", "user:1", {.context = KW_BYTES("{\"via\":{\"actor\":\"user:1\"}}"), .details = KW_BYTES("{}")}, 4},
        {"user:1", "", {.details = KW_BYTES("{\"changes\":{\"owner\":{\"from\":\"user:1\"}}}")}, 8},
        {"user:1", "", {.details = KW_BYTES("{\"owner\":\"user:11\"}"), .context = KW_BYTES("{}")}, 0},
        {"user:1", "user:2", {.owner = KW_BYTES("user:1"), .actor = KW_BYTES("user:2")}, 1 | 2},
        {"a\"b", "", {.details = KW_BYTES("{\"owner\":\"a\\\"b\"}")}, 8},
        {"", "", {.owner = KW_BYTES(""), .actor = KW_BYTES(""), .details = KW_BYTES("{\"owner\":\"\"}")}, 0},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_audit_person person = {kw_bytes_of_text(rows[i].owner), kw_bytes_of_text(rows[i].actor)};
        CHECK_I64(t, kw_audit_tells_of(&rows[i].line, &person), rows[i].fields);
    }
}

static uint8_t arena_block[65536];

static void an_erased_line_comes_back_from_bytes_and_json(struct test *t)
{
    for (unsigned fields = 1; fields < 16; fields++) {
        struct log log = log_of(LINES);
        uint8_t bytes[KW_AUDIT_SEAL_MAX];
        struct entry *entry = &log.entries[2];
        struct kw_audit_seal seal;
        erase(t, entry, fields);
        size_t size = kw_audit_seal_encode(&entry->seal, bytes);
        for (size_t less = 0; less < size; less++) {
            CHECK(t, !kw_audit_seal_decode(kw_bytes_of(bytes, less), &seal));
        }
        REQUIRE(t, kw_audit_seal_decode(kw_bytes_of(bytes, size), &seal));
        entry->seal = seal;
        CHECK_I64(t, prove_trusting(t, &log, 7).fault, KW_AUDIT_WHOLE);
        struct kw_buffer text;
        struct kw_json_writer json;
        struct kw_arena arena;
        struct kw_error error = {0};
        struct entry read = {.has_seal = false};
        kw_buffer_init(&text, 4096);
        kw_json_writer_init(&json, &text);
        kw_audit_line_write(&entry->line, &entry->seal, &json);
        kw_arena_init(&arena, arena_block, sizeof arena_block, sizeof arena_block);
        REQUIRE_OK(t,
                   kw_audit_line_read(kw_buffer_bytes(&text), &arena, &read.line, &read.seal, &read.has_seal, &error));
        *entry = read;
        CHECK_I64(t, prove_trusting(t, &log, 7).fault, KW_AUDIT_WHOLE);
        kw_buffer_deinit(&text);
    }
}

/* --- JSON --- */

/* The link was reckoned a second time by another program. */
static void a_line_comes_back_from_its_json(struct test *t)
{
    struct log log = log_of(2);
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
    struct entry read = {.has_seal = false};
    kw_arena_init(&arena, arena_block, sizeof arena_block, sizeof arena_block);
    REQUIRE_OK(t, kw_audit_line_read(kw_bytes_of(text.data, text.size - 1), &arena, &read.line, &read.seal,
                                     &read.has_seal, &error));
    CHECK(t, read.has_seal);
    log.entries[1] = read;
    struct kw_audit_proof proof = prove(&log, &log.head);
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
        struct entry read;
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
        TEST_CASE(a_log_is_as_provable_whatever_was_erased),
        TEST_CASE(every_edit_of_an_erased_line_is_found),
        TEST_CASE(what_tells_of_a_person_is_known),
        TEST_CASE(an_erased_line_comes_back_from_bytes_and_json),
        TEST_CASE(a_line_comes_back_from_its_json),
        TEST_CASE(a_text_that_is_no_line_is_refused),
        TEST_CASE(what_a_caller_says_wins_and_what_is_known_stays),
        TEST_CASE(a_context_is_read_and_checked_alike),
        TEST_CASE(actions_are_known_by_their_names),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
