#include "core/id.h"
#include "records.h"

static struct kw_bytes format(const struct kw_id *id, char text[KW_ID_TEXT_SIZE])
{
    kw_id_format(id, text);
    return kw_bytes_of(text, KW_ID_TEXT_SIZE);
}

static void the_specification_s_example_reads_as_its_time(struct test *t)
{
    /* 01ARZ3NDEKTSV4RRFFQ69G5FAV, from the ULID specification. */
    static const uint8_t random[KW_ID_RANDOM_SIZE] = {0xd6, 0x76, 0x4c, 0x61, 0xef, 0xb9, 0x93, 0x02, 0xbd, 0x5b};
    struct kw_id id = kw_id_make(INT64_C(1469922850259), random);
    char text[KW_ID_TEXT_SIZE];
    CHECK_BYTES(t, format(&id, text), KW_BYTES("key_01ARZ3NDEKTSV4RRFFQ69G5FAV"));
}

static void every_id_round_trips(struct test *t)
{
    for (int i = 0; i < 5000; i++) {
        struct kw_id id;
        for (size_t at = 0; at < sizeof id.bytes; at++) {
            id.bytes[at] = (uint8_t)test_random(t);
        }
        char text[KW_ID_TEXT_SIZE];
        struct kw_id again = {{0}};
        CHECK(t, kw_id_parse(format(&id, text), &again));
        CHECK(t, kw_id_equal(&id, &again) && kw_id_compare(&id, &again) == 0);
    }
}

static void ids_sort_by_the_time_they_were_made(struct test *t)
{
    struct kw_id last = random_id(t);
    int64_t time_ms = RECORD_BORN_MS + 1000000;
    for (int i = 0; i < 2000; i++) {
        uint8_t random[KW_ID_RANDOM_SIZE];
        for (size_t at = 0; at < sizeof random; at++) {
            random[at] = (uint8_t)test_random(t);
        }
        time_ms += 1 + (int64_t)test_random_below(t, 1000000);
        struct kw_id id = kw_id_make(time_ms, random);
        CHECK_I64(t, kw_id_time_ms(&id), time_ms);
        char text[KW_ID_TEXT_SIZE];
        char last_text[KW_ID_TEXT_SIZE];
        CHECK(t, kw_id_compare(&last, &id) < 0 && kw_id_compare(&id, &last) > 0);
        CHECK(t, kw_bytes_compare(format(&last, last_text), format(&id, text)) < 0);
        last = id;
    }
}

static void times_beyond_48_bits_stay_at_the_edge(struct test *t)
{
    static const uint8_t zeros[KW_ID_RANDOM_SIZE];
    struct kw_id first = kw_id_make(-1, zeros);
    struct kw_id last = kw_id_make(INT64_MAX, zeros);
    char text[KW_ID_TEXT_SIZE];
    CHECK(t, kw_id_is_none(&first));
    CHECK_BYTES(t, format(&last, text), KW_BYTES("key_7ZZZZZZZZZ0000000000000000"));
    CHECK(t, !kw_id_is_none(&last));
}

static void parsing_is_strict(struct test *t)
{
    static const char *const refused[] = {
        "",
        "key_",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "key_01ARZ3NDEKTSV4RRFFQ69G5FA",
        "key_01ARZ3NDEKTSV4RRFFQ69G5FAVA",
        "KEY_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "key-01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "key_01arz3ndektsv4rrffq69g5fav",
        "key_01ARZ3NDEKTSV4RRFFQ69G5FAI",
        "key_01ARZ3NDEKTSV4RRFFQ69G5FAL",
        "key_01ARZ3NDEKTSV4RRFFQ69G5FAO",
        "key_01ARZ3NDEKTSV4RRFFQ69G5FAU",
        "key_01ARZ3NDEKTSV4RRFFQ69G5FA ",
        "key_01ARZ3NDEKTSV4RRFFQ69G5FA\xff",
        "key_80000000000000000000000000",
        "key_:0000000000000000000000000",
    };
    for (size_t i = 0; i < KW_COUNT_OF(refused); i++) {
        struct kw_id id = {{7}};
        CHECK(t, !kw_id_parse(kw_bytes_of_text(refused[i]), &id));
        CHECK(t, id.bytes[0] == 7); /* untouched */
    }
    struct kw_id greatest;
    REQUIRE(t, kw_id_parse(KW_BYTES("key_7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), &greatest));
    for (size_t i = 0; i < sizeof greatest.bytes; i++) {
        CHECK_I64(t, greatest.bytes[i], 0xff);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_specification_s_example_reads_as_its_time),
        TEST_CASE(every_id_round_trips),
        TEST_CASE(ids_sort_by_the_time_they_were_made),
        TEST_CASE(times_beyond_48_bits_stay_at_the_edge),
        TEST_CASE(parsing_is_strict),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
