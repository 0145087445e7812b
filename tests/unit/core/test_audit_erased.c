/*
 * Lines from which something was erased: the log is as provable as before, only whoever signs can do it, and every edit
 * of such a line is found.
 */
#include "audit_log.h"

#include <string.h>

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
static void erase(struct test *t, struct audit_entry *entry, unsigned fields)
{
    struct kw_secret seed = seed_of(7);
    CHECK_STATUS(t, kw_audit_erase(&entry->line, (uint8_t)fields, &seed, &entry->seal), KW_OK);
    take_out(&entry->line, fields);
}

static struct kw_audit_proof prove_trusting(struct test *t, const struct audit_log *log, uint8_t seed_byte)
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
            struct audit_log log = audit_log_new(AUDIT_LOG_LINES);
            erase(t, &log.entries[2], first);
            if (second > 0) {
                erase(t, &log.entries[2], second);
            }
            erase(t, &log.entries[AUDIT_LOG_LINES - 1], first);
            CHECK_I64(t, log.entries[2].seal.erased, first | second);
            struct kw_audit_proof proof = prove_trusting(t, &log, 7);
            CHECK_I64(t, proof.fault, KW_AUDIT_WHOLE);
            CHECK_I64(t, proof.proved, AUDIT_LOG_LINES);
            proof = prove_trusting(t, &log, 8); /* somebody else's signature */
            audit_log_fault(t, &proof, KW_AUDIT_CHANGED, 30, 3);
            proof = audit_log_prove(&log, &log.head); /* nobody's */
            audit_log_fault(t, &proof, KW_AUDIT_CHANGED, 30, 3);
        }
    }
}

/* What somebody does to a line from which something was erased, or to make one look so. */
static bool tamper(struct audit_entry *entry, unsigned fields, size_t which)
{
    struct kw_audit_line line = audit_log_line(3);
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
            struct audit_log log = audit_log_new(AUDIT_LOG_LINES);
            erase(t, &log.entries[2], fields);
            if (tamper(&log.entries[2], fields, which)) {
                struct kw_audit_proof proof = prove_trusting(t, &log, 7);
                audit_log_fault(t, &proof, KW_AUDIT_CHANGED, 30, 3);
            }
        }
    }
    /* A field that is only taken out, or taken out with the signature of another line. */
    struct audit_log log = audit_log_new(AUDIT_LOG_LINES);
    take_out(&log.entries[2].line, 2);
    struct kw_audit_proof proof = prove_trusting(t, &log, 7);
    audit_log_fault(t, &proof, KW_AUDIT_CHANGED, 30, 3);
    log = audit_log_new(AUDIT_LOG_LINES);
    struct audit_entry other = log.entries[3];
    erase(t, &other, 2);
    erase(t, &log.entries[2], 2);
    memcpy(log.entries[2].seal.signature, other.seal.signature, sizeof other.seal.signature);
    proof = prove_trusting(t, &log, 7);
    audit_log_fault(t, &proof, KW_AUDIT_CHANGED, 30, 3);
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
        struct audit_log log = audit_log_new(AUDIT_LOG_LINES);
        uint8_t bytes[KW_AUDIT_SEAL_MAX];
        struct audit_entry *entry = &log.entries[2];
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
        struct audit_entry read = {.has_seal = false};
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

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_log_is_as_provable_whatever_was_erased),
        TEST_CASE(every_edit_of_an_erased_line_is_found),
        TEST_CASE(what_tells_of_a_person_is_known),
        TEST_CASE(an_erased_line_comes_back_from_bytes_and_json),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
