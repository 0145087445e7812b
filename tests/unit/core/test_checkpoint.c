/*
 * Checkpoints: they hold for what was signed and for nothing else, and a chain that was reckoned anew, cut off at its
 * end or begun too late is found by them.
 */
#include "core/checkpoint.h"

#include "base/bytes.h"
#include "support/test.h"

#include <string.h>

#define LINES 9

static struct kw_secret seed_of(uint8_t byte)
{
    uint8_t bytes[KW_SIGNING_SEED_SIZE];
    struct kw_secret seed;
    memset(bytes, byte, sizeof bytes);
    return kw_secret_set(&seed, kw_bytes_of(bytes, sizeof bytes)) == KW_OK ? seed : (struct kw_secret){.size = 0};
}

/* Of RFC 8032, section 7.1: tests 1 and 2. */
static void signatures_are_those_of_the_standard(struct test *t)
{
    static const struct {
        const char *seed, *public_key, *message, *signature;
    } rows[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bb"
         "e"
         "24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "r",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302"
         "a"
         "eeb00d291612bb0c00"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        uint8_t bytes[KW_SIGNING_SEED_SIZE];
        uint8_t expected[KW_SIGNATURE_SIZE], made[KW_SIGNATURE_SIZE], public_key[KW_PUBLIC_KEY_SIZE];
        struct kw_secret seed;
        struct kw_bytes message = kw_bytes_of_text(rows[i].message);
        REQUIRE(t, kw_hex_decode(kw_bytes_of_text(rows[i].seed), bytes, sizeof bytes));
        REQUIRE_OK(t, kw_secret_set(&seed, kw_bytes_of(bytes, sizeof bytes)));
        REQUIRE(t, kw_hex_decode(kw_bytes_of_text(rows[i].public_key), expected, sizeof public_key));
        REQUIRE_OK(t, kw_signing_public(&seed, public_key));
        CHECK(t, memcmp(public_key, expected, sizeof public_key) == 0);
        REQUIRE(t, kw_hex_decode(kw_bytes_of_text(rows[i].signature), expected, sizeof expected));
        REQUIRE_OK(t, kw_sign(&seed, message, made));
        CHECK(t, memcmp(made, expected, sizeof made) == 0);
        CHECK(t, kw_signature_holds(public_key, message, made));
        CHECK(t, !kw_signature_holds(public_key, KW_BYTES("s"), made));
        made[40] ^= 1;
        CHECK(t, !kw_signature_holds(public_key, message, made));
    }
    struct kw_secret short_one = seed_of(1);
    short_one.size--;
    uint8_t none[KW_SIGNATURE_SIZE];
    CHECK_STATUS(t, kw_sign(&short_one, KW_BYTES("r"), none), KW_E_INVALID);
    CHECK_STATUS(t, kw_signing_public(&short_one, none), KW_E_INVALID);
}

static struct kw_checkpoint checkpoint_of(struct test *t, const struct kw_audit_chain *chain, bool is_start)
{
    struct kw_secret seed = seed_of(7);
    struct kw_checkpoint checkpoint = {
        .is_start = is_start, .project = KW_BYTES("default"), .chain = *chain, .at_ms = 1700000000000};
    CHECK_STATUS(t, kw_checkpoint_sign(&checkpoint, &seed), KW_OK);
    return checkpoint;
}

static struct kw_checkpoint some_checkpoint(struct test *t)
{
    struct kw_audit_chain chain = {.place = 7, .sequence = 12, .link = {1, 2, 3}};
    return checkpoint_of(t, &chain, false);
}

static void change(struct kw_checkpoint *checkpoint, size_t which)
{
    const struct kw_audit_chain old = checkpoint->chain;
    checkpoint->is_start ^= which == 0;
    checkpoint->project = which == 1 ? KW_BYTES("defaul") : checkpoint->project;
    checkpoint->chain.place += which == 2;
    checkpoint->chain.sequence += which == 3;
    checkpoint->chain.link[31] ^= which == 4;
    checkpoint->at_ms += which == 5;
    checkpoint->signature[0] ^= which == 6;
    checkpoint->public_key[0] ^= which == 7;
    if (which == 8) { /* place and sequence change places */
        checkpoint->chain.place = old.sequence;
        checkpoint->chain.sequence = old.place;
    }
}

static void a_checkpoint_holds_for_nothing_else(struct test *t)
{
    struct kw_checkpoint checkpoint = some_checkpoint(t);
    uint8_t public_key[KW_PUBLIC_KEY_SIZE], other[KW_PUBLIC_KEY_SIZE];
    struct kw_secret seed = seed_of(7), other_seed = seed_of(8);
    REQUIRE_OK(t, kw_signing_public(&seed, public_key));
    REQUIRE_OK(t, kw_signing_public(&other_seed, other));
    CHECK(t, kw_checkpoint_holds(&checkpoint, public_key));
    CHECK(t, !kw_checkpoint_holds(&checkpoint, other));
    for (size_t which = 0; which <= 8; which++) {
        struct kw_checkpoint changed = checkpoint;
        change(&changed, which);
        CHECK(t, !kw_checkpoint_holds(&changed, public_key));
    }
    struct kw_checkpoint forged = checkpoint;
    REQUIRE_OK(t, kw_checkpoint_sign(&forged, &other_seed));
    CHECK(t, !kw_checkpoint_holds(&forged, public_key));
}

static uint8_t arena_block[16384];

static void a_checkpoint_comes_back_from_its_json(struct test *t)
{
    for (int is_start = 0; is_start < 2; is_start++) {
        struct kw_checkpoint some = some_checkpoint(t);
        struct kw_checkpoint made = checkpoint_of(t, &some.chain, is_start == 1);
        struct kw_checkpoint read;
        struct kw_arena arena;
        struct kw_buffer text;
        struct kw_json_writer json;
        struct kw_error error = {0};
        kw_buffer_init(&text, KW_CHECKPOINT_JSON_MAX);
        kw_json_writer_init(&json, &text);
        kw_checkpoint_write(&made, &json);
        REQUIRE_OK(t, kw_buffer_status(&text));
        kw_arena_init(&arena, arena_block, sizeof arena_block, sizeof arena_block);
        REQUIRE_OK(t, kw_checkpoint_read(kw_buffer_bytes(&text), &arena, &read, &error));
        CHECK(t, read.is_start == (is_start == 1));
        CHECK(t, kw_checkpoint_holds(&read, made.public_key));
        CHECK_BYTES(t, read.project, made.project);
        CHECK(t, memcmp(&read.chain, &made.chain, sizeof read.chain) == 0);
        CHECK_I64(t, read.at_ms, made.at_ms);
        for (size_t size = 0; size < text.size; size++) {
            CHECK(t, kw_checkpoint_read(kw_bytes_of(text.data, size), &arena, &read, &error) != KW_OK);
        }
        kw_buffer_deinit(&text);
    }
}

/* --- with a chain --- */

struct log {
    struct kw_audit_line lines[LINES];
    struct kw_audit_seal seals[LINES];
    struct kw_audit_chain chains[LINES + 1]; /* how far it had come behind so many lines */
    struct kw_audit_chain known[LINES];
};

static void seal_all(struct log *log)
{
    for (size_t i = 0; i < LINES; i++) {
        const uint8_t salt[KW_AUDIT_SALT_SIZE] = {(uint8_t)i};
        log->chains[i + 1] = log->chains[i];
        kw_audit_seal(&log->chains[i + 1], &log->lines[i], salt, &log->seals[i]);
    }
}

static struct log new_log(void)
{
    struct log log = {.chains = {{.place = 0}}};
    for (size_t i = 0; i < LINES; i++) {
        log.lines[i] = (struct kw_audit_line){
            .sequence = 3 * i + 2, .project = KW_BYTES("default"), .action = KW_BYTES("key.created")};
    }
    seal_all(&log);
    memcpy(log.known, &log.chains[1], sizeof log.known);
    return log;
}

/* Lines from `first` on, `count` of them, against what is known of the places of `mask`. */
static struct kw_audit_proof prove(const struct log *log, size_t first, size_t count, unsigned mask)
{
    struct kw_audit_chain known[LINES];
    struct kw_audit_proof proof;
    size_t known_count = 0;
    for (size_t i = 0; i < LINES; i++) {
        known[known_count] = log->known[i];
        known_count += mask >> i & 1;
    }
    kw_audit_proof_begin(&proof, NULL);
    if (first > 0) {
        kw_audit_proof_start(&proof, &log->chains[first]);
    }
    kw_audit_proof_know(&proof, known, known_count);
    for (size_t i = first; i < first + count; i++) {
        kw_audit_proof_add(&proof, &log->lines[i], &log->seals[i]);
    }
    kw_audit_proof_end(&proof);
    proof.known = NULL;
    return proof;
}

static uint64_t last_of(unsigned mask)
{
    uint64_t last = 0;
    for (uint64_t i = 0; i < LINES; i++) {
        last = (mask >> i & 1) != 0 ? i + 1 : last;
    }
    return last;
}

static void any_checkpoints_agree_with_the_log_that_they_are_of(struct test *t)
{
    struct log log = new_log();
    for (unsigned mask = 0; mask < 1U << LINES; mask++) {
        for (size_t first = 0; first < LINES; first += 4) {
            struct kw_audit_proof proof = prove(&log, first, LINES - first, mask);
            CHECK_TEXT(t, kw_audit_fault_name(proof.fault), "whole");
            CHECK_I64(t, proof.proved, LINES - first);
            CHECK_I64(t, proof.signed_place, last_of(mask) > first ? last_of(mask) : 0);
        }
    }
}

/* The first checkpoint at the changed line or behind it finds it; without one nobody could. */
static void a_chain_that_was_reckoned_anew_is_found(struct test *t)
{
    for (size_t changed = 0; changed < LINES; changed++) {
        struct log log = new_log();
        log.lines[changed].actor = KW_BYTES("somebody else");
        seal_all(&log);
        for (unsigned mask = 0; mask < 1U << LINES; mask++) {
            struct kw_audit_proof proof = prove(&log, 0, LINES, mask);
            size_t at = changed;
            while (at < LINES && (mask >> at & 1) == 0) {
                at++;
            }
            CHECK_TEXT(t, kw_audit_fault_name(proof.fault), at == LINES ? "whole" : "changed");
            CHECK_I64(t, proof.fault_place, at == LINES ? 0 : at + 1);
        }
    }
}

static void a_log_that_lost_its_end_is_found(struct test *t)
{
    struct log log = new_log();
    for (unsigned mask = 0; mask < 1U << LINES; mask++) {
        for (size_t count = 0; count <= LINES; count++) {
            struct kw_audit_proof proof = prove(&log, 0, count, mask);
            bool is_short = last_of(mask) > count;
            CHECK_TEXT(t, kw_audit_fault_name(proof.fault), is_short ? "missing" : "whole");
            CHECK_I64(t, proof.fault_place, is_short ? count + 1 : 0);
        }
    }
}

static void a_log_begins_where_its_start_says(struct test *t)
{
    struct log log = new_log();
    for (size_t first = 1; first < LINES; first++) {
        struct kw_audit_proof proof = prove(&log, first, LINES - first, 0);
        CHECK_TEXT(t, kw_audit_fault_name(proof.fault), "whole");
        for (size_t other = 1; other < LINES; other++) {
            struct kw_audit_proof begun;
            kw_audit_proof_begin(&begun, NULL);
            kw_audit_proof_start(&begun, &log.chains[other]);
            kw_audit_proof_add(&begun, &log.lines[first], &log.seals[first]);
            kw_audit_proof_end(&begun);
            const char *name = first == other ? "whole" : first > other ? "missing" : "moved";
            CHECK_TEXT(t, kw_audit_fault_name(begun.fault), name);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(signatures_are_those_of_the_standard),
        TEST_CASE(a_checkpoint_holds_for_nothing_else),
        TEST_CASE(a_checkpoint_comes_back_from_its_json),
        TEST_CASE(any_checkpoints_agree_with_the_log_that_they_are_of),
        TEST_CASE(a_chain_that_was_reckoned_anew_is_found),
        TEST_CASE(a_log_that_lost_its_end_is_found),
        TEST_CASE(a_log_begins_where_its_start_says),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
