/* The live index by itself: what was put is found while it grows, and no older version ever comes back. */
#include "core/id.h"
#include "core/record.h"
#include "engine/index.h"
#include "engine/table.h"
#include "support/test.h"

#include <pthread.h>

#define KEYS 20000

static void digest_of(uint64_t number, struct kw_digest *digest_out)
{
    struct test sequence = {.random = number};
    *digest_out = (struct kw_digest){.size = 32};
    for (size_t i = 0; i < 32; i += 8) {
        uint64_t word = test_random(&sequence);
        memcpy(digest_out->bytes + i, &word, sizeof word);
    }
}

static enum kw_status encode(uint64_t number, uint64_t version, enum kw_digest_scheme scheme,
                             struct kw_buffer *encoding)
{
    struct kw_record record = {.id = {{1}},
                               .lineage_id = {{1}},
                               .version = version,
                               .project = KW_BYTES("default"),
                               .env = KW_BYTES("live"),
                               .prefix = KW_BYTES("sk_live_"),
                               .enabled = true,
                               .digest_scheme = scheme,
                               .owner = KW_BYTES("user:1"),
                               .created_at_ms = 1,
                               .updated_at_ms = 1};
    memcpy(record.id.bytes + 8, &number, sizeof number);
    record.lineage_id = record.id;
    return kw_record_encode(&record, encoding);
}

static enum kw_status put(struct kw_index *index, uint64_t number, uint64_t version, bool erased)
{
    uint8_t memory[256];
    struct kw_buffer encoding;
    struct kw_digest digest;
    kw_buffer_init_fixed(&encoding, memory, sizeof memory);
    enum kw_status status = encode(number, version, KW_DIGEST_SHA256, &encoding);
    digest_of(number, &digest);
    return status != KW_OK ? status : kw_index_put(index, &digest, 1, erased, kw_buffer_bytes(&encoding));
}

/* The version that the index has; 0: none. */
static uint64_t version_of(const struct kw_index *index, uint64_t number)
{
    struct kw_digest digest;
    digest_of(number, &digest);
    kw_index_read_begin();
    const struct kw_entry *entry = kw_index_find(index, &digest);
    uint64_t version = entry == NULL ? 0 : entry->version;
    kw_index_read_end();
    return version;
}

/* The same by the way of many at once. */
static uint64_t expected_version_of(const struct kw_index *index, uint64_t number)
{
    struct kw_digest digest;
    digest_of(number, &digest);
    kw_index_read_begin();
    const struct kw_entry *entry = kw_index_find_expected(index, &digest, kw_index_expect(index, &digest, true));
    uint64_t version = entry == NULL ? 0 : entry->version;
    kw_index_read_end();
    return version;
}

static void what_was_put_is_found_and_nothing_else(struct test *t)
{
    struct kw_index *index;
    REQUIRE_OK(t, kw_index_new(&index));
    for (uint64_t i = 0; i < KEYS; i++) {
        REQUIRE_OK(t, put(index, i, 1 + i % 5, false));
    }
    CHECK_I64(t, kw_index_count(index), KEYS);
    for (uint64_t i = 0; i < KEYS; i++) {
        CHECK_I64(t, version_of(index, i), 1 + i % 5);
        CHECK_I64(t, version_of(index, KEYS + i), 0);
        CHECK_I64(t, expected_version_of(index, i), 1 + i % 5);
        CHECK_I64(t, expected_version_of(index, KEYS + i), 0);
    }
    kw_index_free(index);
}

static void a_newer_version_takes_the_place_an_older_one_never(struct test *t)
{
    struct kw_index *index;
    uint64_t newest[64] = {0};
    REQUIRE_OK(t, kw_index_new(&index));
    for (int i = 0; i < 20000; i++) {
        uint64_t number = test_random_below(t, KW_COUNT_OF(newest));
        uint64_t version = 1 + test_random_below(t, 1000);
        REQUIRE_OK(t, put(index, number, version, test_random_below(t, 2) == 0));
        newest[number] = version > newest[number] ? version : newest[number];
        CHECK_I64(t, version_of(index, number), newest[number]);
    }
    kw_index_reclaim(index);
    for (uint64_t i = 0; i < KW_COUNT_OF(newest); i++) {
        CHECK_I64(t, version_of(index, i), newest[i]);
    }
    kw_index_free(index);
}

/* Digests that fall into one bucket overflow into the next ones, and are all found. */
static void digests_of_one_bucket_are_kept_apart(struct test *t)
{
    struct kw_index *index;
    uint8_t memory[256];
    struct kw_buffer encoding;
    struct kw_record record = {.id = {{1}},
                               .lineage_id = {{1}},
                               .version = 1,
                               .project = KW_BYTES("default"),
                               .env = KW_BYTES("live"),
                               .enabled = true,
                               .digest_scheme = KW_DIGEST_SHA256,
                               .owner = KW_BYTES("user:1"),
                               .created_at_ms = 1,
                               .updated_at_ms = 1};
    kw_buffer_init_fixed(&encoding, memory, sizeof memory);
    REQUIRE_OK(t, kw_index_new(&index));
    REQUIRE_OK(t, kw_record_encode(&record, &encoding));
    struct kw_digest digests[30] = {0};
    for (size_t i = 0; i < KW_COUNT_OF(digests); i++) {
        digests[i] = (struct kw_digest){.size = 32};
        digests[i].bytes[31] = (uint8_t)(i + 1); /* the same hash, another digest */
        REQUIRE_OK(t, kw_index_put(index, &digests[i], (uint16_t)(i + 1), false, kw_buffer_bytes(&encoding)));
    }
    kw_index_read_begin();
    for (size_t i = 0; i < KW_COUNT_OF(digests); i++) {
        const struct kw_entry *entry = kw_index_find(index, &digests[i]);
        REQUIRE(t, entry != NULL);
        CHECK_I64(t, entry->project, i + 1);
        /* Only the first is what is expected: the others have its hash. */
        CHECK(t, kw_index_find_expected(index, &digests[i], kw_index_expect(index, &digests[i], false)) == entry);
    }
    kw_index_read_end();
    kw_index_free(index);
}

/* A store may hold anything: what is no record of a possible size does not get in. */
static void an_impossible_record_is_refused(struct test *t)
{
    struct kw_index *index;
    static uint8_t bytes[100000];
    struct kw_digest digest;
    digest_of(1, &digest);
    REQUIRE_OK(t, kw_index_new(&index));
    CHECK_STATUS(t, kw_index_put(index, &digest, 1, false, kw_bytes_of(bytes, sizeof bytes)), KW_E_CORRUPT);
    CHECK_STATUS(t, kw_index_put(index, &digest, 1, false, kw_bytes_of(bytes, KW_RECORD_MAX + 1)), KW_E_CORRUPT);
    CHECK_STATUS(t, kw_index_put(index, &digest, 1, false, kw_bytes_of(bytes, 0)), KW_E_CORRUPT);
    CHECK_STATUS(t, kw_index_put(index, &digest, 1, false, kw_bytes_of(bytes, 100)), KW_E_CORRUPT);
    CHECK_I64(t, kw_index_count(index), 0);
    kw_index_free(index);
}

struct reading {
    struct kw_index *index;
    uint64_t put_count; /* atomic: all below it were put before */
    int stop;           /* atomic */
    uint64_t missed;
};

static void *read_all_the_time(void *context)
{
    struct reading *reading = context;
    struct test sequence = {.random = 7};
    while (__atomic_load_n(&reading->stop, __ATOMIC_RELAXED) == 0) {
        uint64_t count = __atomic_load_n(&reading->put_count, __ATOMIC_ACQUIRE);
        if (count > 0) {
            reading->missed += version_of(reading->index, test_random_below(&sequence, count)) == 0;
        }
    }
    return NULL;
}

static void readers_miss_nothing_while_it_grows(struct test *t)
{
    struct reading reading = {0};
    pthread_t reader;
    REQUIRE_OK(t, kw_index_new(&reading.index));
    REQUIRE(t, pthread_create(&reader, NULL, read_all_the_time, &reading) == 0);
    for (uint64_t i = 0; i < KEYS; i++) {
        CHECK_STATUS(t, put(reading.index, i, 1, false), KW_OK);
        __atomic_store_n(&reading.put_count, i + 1, __ATOMIC_RELEASE);
        if (i % 3 == 0) {
            CHECK_STATUS(t, put(reading.index, i / 2, 2 + i, false), KW_OK);
        }
    }
    __atomic_store_n(&reading.stop, 1, __ATOMIC_RELAXED);
    pthread_join(reader, NULL);
    CHECK_I64(t, reading.missed, 0);
    kw_index_free(reading.index);
}

/* Digests of one key, by numbers that are no other's. */
static enum kw_status move(struct kw_index *index, uint64_t from, uint64_t to, uint64_t version)
{
    uint8_t memory[256];
    struct kw_buffer encoding;
    struct kw_digest before;
    struct kw_digest after;
    kw_buffer_init_fixed(&encoding, memory, sizeof memory);
    enum kw_status status = encode(0, version, KW_DIGEST_SHA512, &encoding);
    digest_of(from, &before);
    digest_of(to, &after);
    return status != KW_OK ? status : kw_index_move(index, &before, &after, 1, false, kw_buffer_bytes(&encoding));
}

static void a_moved_key_is_found_by_every_digest_it_had(struct test *t)
{
    struct kw_index *index;
    struct kw_digest former;
    struct kw_id id = {{1}};
    struct kw_id other = {{2}};
    REQUIRE_OK(t, kw_index_new(&index));
    REQUIRE_OK(t, put(index, 0, 1, false));
    CHECK_I64(t, kw_index_method_keys(index, KW_DIGEST_SHA256), 1);
    REQUIRE_OK(t, move(index, 0, 1001, 2));
    CHECK_I64(t, kw_index_method_keys(index, KW_DIGEST_SHA256), 0);
    CHECK_I64(t, kw_index_method_keys(index, KW_DIGEST_SHA512), 1);
    REQUIRE_OK(t, put(index, 0, 1, false)); /* a slow loader */
    CHECK_I64(t, version_of(index, 0), 2);
    CHECK_I64(t, version_of(index, 1001), 2);
    REQUIRE_OK(t, move(index, 1001, 1002, 3));
    REQUIRE_OK(t, move(index, 1001, 1002, 3)); /* again, as after doubt */
    REQUIRE_OK(t, move(index, 0, 1001, 2));    /* and late */
    for (uint64_t number = 1000; number <= 1002; number++) {
        CHECK_I64(t, version_of(index, number == 1000 ? 0 : number), 3);
    }
    digest_of(1001, &former);
    CHECK(t, kw_index_was_moved(index, &former, &other) && !kw_index_was_moved(index, &former, &id));
    REQUIRE_OK(t, move(index, 1002, 0, 4)); /* and back */
    for (uint64_t number = 1000; number <= 1002; number++) {
        CHECK_I64(t, version_of(index, number == 1000 ? 0 : number), 4);
        CHECK_I64(t, expected_version_of(index, number == 1000 ? 0 : number), 4);
    }
    digest_of(0, &former);
    CHECK(t, !kw_index_was_moved(index, &former, &other));
    CHECK_I64(t, kw_index_count(index), 1);
    CHECK_I64(t, kw_index_method_keys(index, KW_DIGEST_SHA512), 1);
    kw_index_reclaim(index);
    CHECK_I64(t, version_of(index, 1001), 4);
    kw_index_free(index);
}

/* A key of a project, by a method that is put in under its number. */
static enum kw_status put_in(struct kw_index *index, uint16_t project, enum kw_digest_scheme method, uint64_t version,
                             bool erased)
{
    uint8_t memory[256];
    struct kw_buffer encoding;
    struct kw_digest digest;
    uint64_t number = (uint64_t)project * 16 + (uint64_t)method;
    kw_buffer_init_fixed(&encoding, memory, sizeof memory);
    enum kw_status status = encode(number, version, method, &encoding);
    digest_of(number, &digest);
    return status != KW_OK ? status : kw_index_put(index, &digest, project, erased, kw_buffer_bytes(&encoding));
}

/* The methods that keys of the project have, or what was erased of it, as the digits of a decimal number. */
static int64_t methods_of(const struct kw_index *index, uint16_t project, bool of_erased)
{
    struct kw_method_set methods;
    int64_t digits = 0;
    uint8_t number;
    kw_index_methods(index, project, of_erased, &methods);
    while (kw_method_set_take(&methods, &number)) {
        digits = digits * 10 + number;
    }
    return digits;
}

static void methods_are_counted_by_project(struct test *t)
{
    static const uint16_t projects[] = {1, 2, 255, 256, UINT16_MAX};
    struct kw_index *index;
    REQUIRE_OK(t, kw_index_new(&index));
    for (size_t i = 0; i < KW_COUNT_OF(projects); i++) {
        CHECK_I64(t, methods_of(index, projects[i], false), 0);
        for (size_t method = 1; method <= i + 1; method++) {
            REQUIRE_OK(t, put_in(index, projects[i], (enum kw_digest_scheme)method, 1, false));
        }
    }
    CHECK_I64(t, methods_of(index, 1, false), 1);
    CHECK_I64(t, methods_of(index, 2, false), 12);
    CHECK_I64(t, methods_of(index, 3, false), 0);
    CHECK_I64(t, methods_of(index, 255, false), 123);
    CHECK_I64(t, methods_of(index, 256, false), 1234);
    CHECK_I64(t, methods_of(index, UINT16_MAX, false), 12345);
    CHECK_I64(t, kw_index_method_keys(index, 1), 5);
    REQUIRE_OK(t, put_in(index, 2, KW_DIGEST_HMAC_SHA256, 2, false)); /* a change of it is not one more */
    REQUIRE_OK(t, put_in(index, 2, KW_DIGEST_HMAC_SHA256, 3, true));
    REQUIRE_OK(t, put_in(index, 256, KW_DIGEST_SHA512, 2, true));
    CHECK_I64(t, methods_of(index, 1, false), 1);
    CHECK_I64(t, methods_of(index, 1, true), 0);
    CHECK_I64(t, methods_of(index, 2, false), 2);
    CHECK_I64(t, methods_of(index, 2, true), 1);
    CHECK_I64(t, methods_of(index, 256, false), 124);
    CHECK_I64(t, methods_of(index, 256, true), 3);
    CHECK_I64(t, kw_index_method_keys(index, 1), 4);
    CHECK_I64(t, kw_index_method_erased(index, 1), 1);
    kw_index_free(index);
}

static void a_move_takes_the_method_along(struct test *t)
{
    struct kw_index *index;
    REQUIRE_OK(t, kw_index_new(&index));
    REQUIRE_OK(t, put(index, 0, 1, false));
    REQUIRE_OK(t, put(index, 1, 1, false));
    REQUIRE_OK(t, move(index, 0, 1001, 2));
    CHECK_I64(t, methods_of(index, 1, false), 23); /* the other key is by SHA-256 still */
    REQUIRE_OK(t, put(index, 1, 2, true));
    CHECK_I64(t, methods_of(index, 1, false), 3);
    CHECK_I64(t, methods_of(index, 1, true), 2);
    kw_index_free(index);
}

/* What is not in for want of memory is not counted, and comes in later. */
static void without_memory_nothing_is_counted(struct test *t)
{
    struct kw_index *index;
    REQUIRE_OK(t, kw_index_new(&index));
    REQUIRE_OK(t, put_in(index, 1, KW_DIGEST_SHA256, 1, false));
    for (int64_t nth = 1; nth <= 2; nth++) { /* the block of the project, then the method in it */
        kw_alloc_fail_after(nth);
        CHECK_STATUS(t, put_in(index, 256, KW_DIGEST_SHA512, 1, false), KW_E_MEMORY);
        kw_alloc_fail_after(-1);
        CHECK_I64(t, methods_of(index, 256, false), 0);
        CHECK_I64(t, kw_index_method_keys(index, KW_DIGEST_SHA512), 0);
        CHECK_I64(t, kw_index_count(index), 1);
    }
    REQUIRE_OK(t, put_in(index, 256, KW_DIGEST_SHA512, 1, false));
    CHECK_I64(t, methods_of(index, 256, false), 3);
    kw_index_free(index);
}

static uint32_t hint_of(const struct kw_table *table, const struct kw_entry *entry)
{
    uint64_t slot;
    const uint64_t *place = kw_table_find(table, entry->digest, &slot);
    return table->hints == NULL ? 0 : table->hints[place - table->buckets[0].slots];
}

/* A hint leads to what it was made of, to the sixteen bytes, and is still that of its entry in a bigger table. */
static void hints_stay_with_their_entries(struct test *t)
{
    enum { ENTRIES = 200 };
    static _Alignas(16) uint8_t memory[ENTRIES][(sizeof(struct kw_entry) + 15) / 16 * 16];
    struct kw_entry *entries[ENTRIES];
    static _Alignas(16) uint8_t others[ENTRIES][48];
    struct kw_table *table = kw_table_new(64);
    REQUIRE(t, table != NULL);
    for (size_t i = 0; i < ENTRIES; i++) {
        struct kw_digest digest;
        uint64_t slot;
        digest_of(i, &digest);
        entries[i] = (struct kw_entry *)(void *)memory[i];
        memcpy(entries[i]->digest, digest.bytes, sizeof entries[i]->digest);
        uint64_t *place = kw_table_find(table, entries[i]->digest, &slot);
        *place = kw_table_slot(entries[i]);
        CHECK_I64(t, hint_of(table, entries[i]), 0);
        if (i % 2 == 0) {
            kw_table_set_hint(table, place, kw_table_hint(others[i], i % 4 == 0 ? KW_TABLE_HINT_RUN : 0));
        }
    }
    struct kw_table *bigger = kw_table_bigger(table);
    REQUIRE(t, bigger != NULL);
    for (size_t i = 0; i < ENTRIES; i++) {
        uint32_t hint = hint_of(bigger, entries[i]);
        CHECK_I64(t, hint, hint_of(table, entries[i]));
        CHECK(t, i % 2 == 0 ? kw_table_hinted(entries[i], hint) == others[i] : hint == 0);
        CHECK_I64(t, (hint & KW_TABLE_HINT_RUN) != 0, i % 4 == 0);
    }
    kw_table_free(table);
    kw_table_free(bigger);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(hints_stay_with_their_entries),
        TEST_CASE(what_was_put_is_found_and_nothing_else),
        TEST_CASE(a_newer_version_takes_the_place_an_older_one_never),
        TEST_CASE(digests_of_one_bucket_are_kept_apart),
        TEST_CASE(an_impossible_record_is_refused),
        TEST_CASE(readers_miss_nothing_while_it_grows),
        TEST_CASE(a_moved_key_is_found_by_every_digest_it_had),
        TEST_CASE(methods_are_counted_by_project),
        TEST_CASE(a_move_takes_the_method_along),
        TEST_CASE(without_memory_nothing_is_counted),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
