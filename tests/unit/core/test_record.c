#include "core/id.h"
#include "core/internal.h"
#include "core/record.h"
#include "records.h"

static uint8_t room[2 * KW_RECORD_MAX];

static struct kw_bytes encode_as(struct test *t, const struct kw_record *record, unsigned version)
{
    struct kw_buffer buffer;
    kw_buffer_init_fixed(&buffer, room, sizeof room);
    CHECK_STATUS(t, kw__record_encode_as(record, version, &buffer), KW_OK);
    return kw_buffer_bytes(&buffer);
}

static struct kw_bytes encode(struct test *t, const struct kw_record *record)
{
    struct kw_buffer buffer;
    kw_buffer_init_fixed(&buffer, room, sizeof room);
    CHECK_STATUS(t, kw_record_encode(record, &buffer), KW_OK);
    return kw_buffer_bytes(&buffer);
}

static void every_record_round_trips(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 20);
    for (int i = 0; i < 3000; i++) {
        struct kw_record record = record_random(t, &arena);
        struct kw_record older = record; /* version 1 has no words for these */
        older.digest_method = 0;
        older.imported = false;
        older.rate_limits = (struct kw_list){.count = 0};
        older.quotas = (struct kw_list){.count = 0};
        older.schedule = (struct kw_schedule){0, 0, 0};
        older.announced = 0;
        for (unsigned version = 1; version <= KW_RECORD_ENCODING_VERSION; version++) {
            struct kw_bytes encoding = encode_as(t, &record, version);
            REQUIRE(t, encoding.size <= KW_RECORD_MAX && encoding.data[0] == version);
            struct kw_record again;
            REQUIRE_OK(t, kw_record_decode(encoding, &again));
            check_records_equal(t, &again, version == 1 ? &older : &record);
            CHECK_STATUS(t, decode_exactly(t, encoding.data, encoding.size), KW_OK);
        }
        CHECK_I64(t, encode(t, &record).data[0], KW_RECORD_ENCODING_VERSION);
        kw_arena_reset(&arena);
    }
}

static void a_typical_record_is_small(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = record_typical(&arena);
    CHECK(t, encode(t, &record).size <= 150);
    kw_arena_reset(&arena);
}

/* A record with these fields is written as `expected` in that version, and read from it. */
static void check_bytes(struct test *t, unsigned version, const char *expected)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = record_typical(&arena);
    record.is_public = true;
    record.version = 300;
    record.updated_at_ms = RECORD_BORN_MS + 1;
    record.expires_at_ms = RECORD_BORN_MS + 1000;
    record.lineage_id = (struct kw_id){{7}};
    uint8_t bytes[256];
    size_t size = strlen(expected) / 2;
    REQUIRE(t, size <= sizeof bytes);
    REQUIRE(t, kw_hex_decode(kw_bytes_of_text(expected), bytes, size));
    struct kw_record again;
    CHECK_BYTES(t, encode_as(t, &record, version), kw_bytes_of(bytes, size));
    REQUIRE_OK(t, kw_record_decode(kw_bytes_of(bytes, size), &again));
    check_records_equal(t, &again, &record);
    CHECK(t, memcmp(bytes + KW_RECORD_ID_AT, record.id.bytes, sizeof record.id.bytes) == 0);
    kw_arena_reset(&arena);
}

/* What was written once must be read for ever: these bytes may never change. */
static void the_bytes_of_a_record_stay_the_same(struct test *t)
{
    static const char expected[] =
        "0101019b76daa8000102030405060708090a020764656661756c7403046c6976650408736b5f6c6976655f0577587939"
        "060a07757365723a34320c0e50726f64756374696f6e206b65790e01076261636b656e6410030962696c6c696e673a2a"
        "096b6579733a726561640a6b6579733a7772697465120113019b76daa8001403636c6915019b76daa80116019b76daab"
        "e81e070000000000000000000000000000001fac02";
    check_bytes(t, 1, expected);
}

static void the_bytes_of_a_record_of_version_2_stay_the_same(struct test *t)
{
    static const char expected[] =
        "0201019b76daa8000102030405060708090a03046c69766510030962696c6c696e673a2a096b6579733a726561640a"
        "6b6579733a7772697465020764656661756c740408736b5f6c6976655f0577587939060a07757365723a34320c0e50"
        "726f64756374696f6e206b65790e01076261636b656e64120113019b76daa8001403636c6915019b76daa80116019b"
        "76daabe81e070000000000000000000000000000001fac02";
    check_bytes(t, 2, expected);
}

static void damage_is_never_taken_for_a_record(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 20);
    for (int i = 0; i < 30; i++) {
        struct kw_record record = i == 0 ? record_typical(&arena) : record_random(t, &arena);
        struct kw_bytes encoding = encode_as(t, &record, 1 + (unsigned)i % KW_RECORD_ENCODING_VERSION);
        if (encoding.size > 1500) {
            continue; /* the flips below are quadratic */
        }
        uint8_t damaged[1501];
        memcpy(damaged, encoding.data, encoding.size);
        for (size_t size = 0; size < encoding.size; size++) {
            CHECK(t, decode_exactly(t, damaged, size) != KW_OK);
        }
        damaged[encoding.size] = 0;
        CHECK(t, decode_exactly(t, damaged, encoding.size + 1) != KW_OK);
        for (size_t at = 0; at < encoding.size; at++) {
            uint8_t kept = damaged[at];
            for (unsigned bit = 0; bit < 9; bit++) {
                damaged[at] = bit < 8 ? (uint8_t)(kept ^ 1U << bit) : (uint8_t)test_random(t);
                (void)decode_exactly(t, damaged, encoding.size); /* a text may differ; its bytes must then come back */
            }
            damaged[at] = kept;
        }
        kw_arena_reset(&arena);
    }
    kw_arena_reset(&arena);
}

static void random_bytes_are_refused_or_canonical(struct test *t)
{
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[64] = {(uint8_t)(1 + test_random_below(t, KW_RECORD_ENCODING_VERSION))};
        size_t size = test_random_below(t, sizeof bytes);
        for (size_t at = 1; at < size; at++) {
            bytes[at] = (uint8_t)(test_random(t) >> (test_random_below(t, 2) * 5 + 3) & (at % 2 == 0 ? 0xff : 31));
        }
        (void)decode_exactly(t, bytes, size);
    }
}

static void lists_are_read_to_their_end_and_no_further(struct test *t)
{
    struct kw_bytes rest = KW_BYTES("\x02"
                                    "ab"
                                    "\x00"
                                    "\x01"
                                    "c");
    struct kw_bytes item;
    REQUIRE(t, kw_list_next(&rest, &item));
    CHECK_BYTES(t, item, KW_BYTES("ab"));
    REQUIRE(t, kw_list_next(&rest, &item));
    CHECK_I64(t, item.size, 0);
    REQUIRE(t, kw_list_next(&rest, &item));
    CHECK_BYTES(t, item, KW_BYTES("c"));
    CHECK(t, !kw_list_next(&rest, &item));
    static const struct kw_bytes damaged[] = {
        {(const uint8_t *)"\x02"
                          "a",
         2},
        {(const uint8_t *)"\x80", 1},
        {(const uint8_t *)"\x81\x00"
                          "a",
         3},
        {(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                          "a",
         11},
    };
    for (size_t i = 0; i < KW_COUNT_OF(damaged); i++) {
        rest = damaged[i];
        CHECK(t, !kw_list_next(&rest, &item));
        CHECK(t, rest.size == damaged[i].size); /* what is left tells damage from the end */
    }
    uint8_t bytes[400];
    struct kw_buffer buffer;
    uint8_t text[300];
    memset(text, 'z', sizeof text);
    kw_buffer_init_fixed(&buffer, bytes, sizeof bytes);
    kw_list_add(&buffer, kw_bytes_of(text, sizeof text));
    CHECK_I64(t, buffer.size, 302);
    rest = kw_buffer_bytes(&buffer);
    REQUIRE(t, kw_list_next(&rest, &item));
    CHECK_BYTES(t, item, kw_bytes_of(text, sizeof text));
}

static void a_full_buffer_says_so(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = record_typical(&arena);
    size_t whole = encode(t, &record).size;
    for (size_t size = 0; size <= whole; size++) {
        uint8_t bytes[512];
        struct kw_buffer buffer;
        kw_buffer_init_fixed(&buffer, bytes, size);
        CHECK_STATUS(t, kw_record_encode(&record, &buffer), size == whole ? KW_OK : KW_E_LIMIT);
    }
    kw_arena_reset(&arena);
}

static void status_is_computed_in_its_order(struct test *t)
{
    /* Every combination of what may have happened to a key. */
    for (unsigned bits = 0; bits < 64; bits++) {
        struct kw_record record = {.enabled = (bits & 1) == 0,
                                   .expires_at_ms = (bits & 2) != 0   ? 1000
                                                    : (bits & 4) != 0 ? 1001
                                                                      : 0,
                                   .lapsed_at_ms = (bits & 8) != 0 ? 1 : 0,
                                   .grace_until_ms = (bits & 16) != 0 ? 1000 : 1001,
                                   .revoked_at_ms = (bits & 32) != 0 ? 5000 : 0};
        enum kw_key_status expected = (bits & 48) != 0   ? KW_KEY_REVOKED
                                      : (bits & 10) != 0 ? KW_KEY_EXPIRED
                                      : (bits & 1) != 0  ? KW_KEY_DISABLED
                                                         : KW_KEY_ACTIVE;
        CHECK_I64(t, kw_record_status(&record, 1000), expected);
    }
    static const char *const names[] = {"active", "disabled", "expired", "revoked"};
    for (int i = 0; i < 4; i++) {
        enum kw_key_status status = KW_KEY_ACTIVE;
        CHECK_TEXT(t, kw_key_status_name((enum kw_key_status)i), names[i]);
        CHECK(t, kw_key_status_of_name(kw_bytes_of_text(names[i]), &status) && status == (enum kw_key_status)i);
    }
    enum kw_key_status untouched = KW_KEY_EXPIRED;
    CHECK(t, !kw_key_status_of_name(KW_BYTES("Active"), &untouched) && untouched == KW_KEY_EXPIRED);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(every_record_round_trips),
        TEST_CASE(a_typical_record_is_small),
        TEST_CASE(the_bytes_of_a_record_stay_the_same),
        TEST_CASE(the_bytes_of_a_record_of_version_2_stay_the_same),
        TEST_CASE(damage_is_never_taken_for_a_record),
        TEST_CASE(random_bytes_are_refused_or_canonical),
        TEST_CASE(lists_are_read_to_their_end_and_no_further),
        TEST_CASE(a_full_buffer_says_so),
        TEST_CASE(status_is_computed_in_its_order),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
