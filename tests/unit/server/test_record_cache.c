/* The records of hot keys, kept as the answers show them. */
#include "server/record_cache.h"
#include "support/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

/* An entry as the cache looks at it. Keys whose numbers differ by 256 have one place. */
static struct kw_entry entry_of(unsigned key, uint64_t version)
{
    struct kw_entry entry = {.version = version};
    memcpy(entry.digest, &key, sizeof key);
    return entry;
}

static size_t text_of(unsigned key, uint64_t version, char text[64])
{
    return (size_t)snprintf(text, 64, "{\"key\":%u,\"version\":%llu}", key, (unsigned long long)version);
}

static void keep(struct kw_record_cache *cache, unsigned key, uint64_t version)
{
    char text[64];
    struct kw_entry entry = entry_of(key, version);
    size_t size = text_of(key, version, text);
    kw_record_cache_keep(cache, &entry, kw_bytes_of(text, size));
}

/* Whether something is kept of it. That is checked to be its own. */
static bool writes(struct test *t, struct kw_record_cache *cache, unsigned key, uint64_t version)
{
    char text[64];
    struct kw_buffer buffer;
    struct kw_json_writer writer;
    struct kw_entry entry = entry_of(key, version);
    kw_buffer_init(&buffer, 4096);
    kw_json_writer_init(&writer, &buffer);
    bool is_kept = kw_record_cache_write(cache, &entry, &writer);
    size_t size = is_kept ? text_of(key, version, text) : 0;
    CHECK_BYTES(t, kw_buffer_bytes(&buffer), kw_bytes_of(text, size));
    kw_buffer_deinit(&buffer);
    return is_kept;
}

/* A thread that moves to another processor in between finds other places there. */
static void stay_here(void)
{
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET((size_t)sched_getcpu(), &here);
    (void)sched_setaffinity(0, sizeof here, &here);
}

static void what_is_wanted_again_is_kept(struct test *t)
{
    struct kw_record_cache *cache;
    stay_here();
    REQUIRE_OK(t, kw_record_cache_new(&cache));
    CHECK(t, !writes(t, cache, 1, 1));
    keep(cache, 1, 1);
    CHECK(t, !writes(t, cache, 1, 1)); /* wanted once */
    keep(cache, 1, 1);
    CHECK(t, writes(t, cache, 1, 1));
    CHECK(t, writes(t, cache, 1, 1));
    CHECK(t, !writes(t, cache, 2, 1));
    CHECK(t, !writes(t, cache, 1 + 256, 1)); /* its place is this one's */
    keep(cache, 1 + 256, 1);
    CHECK(t, !writes(t, cache, 1, 1));
    CHECK(t, !writes(t, cache, 1 + 256, 1));
    kw_record_cache_free(cache);
}

static void a_changed_key_is_not_found(struct test *t)
{
    struct kw_record_cache *cache;
    stay_here();
    REQUIRE_OK(t, kw_record_cache_new(&cache));
    keep(cache, 1, 7);
    keep(cache, 1, 7);
    CHECK(t, writes(t, cache, 1, 7));
    CHECK(t, !writes(t, cache, 1, 8));
    keep(cache, 1, 8);
    keep(cache, 1, 8);
    CHECK(t, writes(t, cache, 1, 8));
    CHECK(t, !writes(t, cache, 1, 7));
    kw_record_cache_free(cache);
}

static void all_of_it_is_forgotten(struct test *t)
{
    struct kw_record_cache *cache;
    stay_here();
    REQUIRE_OK(t, kw_record_cache_new(&cache));
    for (unsigned key = 0; key < 256; key++) {
        keep(cache, key, 1);
        keep(cache, key, 1);
        CHECK(t, writes(t, cache, key, 1));
    }
    kw_record_cache_forget(cache);
    for (unsigned key = 0; key < 256; key++) {
        CHECK(t, !writes(t, cache, key, 1));
        keep(cache, key, 1);
        CHECK(t, !writes(t, cache, key, 1));
    }
    kw_record_cache_free(cache);
}

static void a_long_record_is_not_kept(struct test *t)
{
    static uint8_t text[KW_RECORD_CACHE_TEXT_MAX + 1];
    struct kw_record_cache *cache;
    struct kw_buffer buffer;
    struct kw_json_writer writer;
    struct kw_entry entry = entry_of(1, 1);
    memset(text, '1', sizeof text);
    stay_here();
    REQUIRE_OK(t, kw_record_cache_new(&cache));
    for (size_t size = sizeof text; size >= sizeof text - 1; size--) {
        kw_record_cache_keep(cache, &entry, kw_bytes_of(text, size));
        kw_record_cache_keep(cache, &entry, kw_bytes_of(text, size));
        kw_buffer_init(&buffer, sizeof text);
        kw_json_writer_init(&writer, &buffer);
        CHECK(t, kw_record_cache_write(cache, &entry, &writer) == (size < sizeof text));
        CHECK_I64(t, buffer.size, size < sizeof text ? size : 0);
        kw_buffer_deinit(&buffer);
    }
    kw_record_cache_free(cache);
}

struct crowd {
    struct test *t;
    struct kw_record_cache *cache;
    unsigned found; /* atomic */
};

static void *want(void *context)
{
    struct crowd *crowd = context;
    unsigned found = 0;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned key = i / 8 % 3 * 256;
        uint64_t version = 1 + i / 1000;
        if (writes(crowd->t, crowd->cache, key, version)) {
            found++;
        } else {
            keep(crowd->cache, key, version);
        }
        if (i % 5000 == 0) {
            kw_record_cache_forget(crowd->cache);
        }
    }
    __atomic_fetch_add(&crowd->found, found, __ATOMIC_RELAXED);
    return NULL;
}

/* Three keys at one place, each in twenty versions, wanted by four threads: nobody sees what is another's. */
static void threads_see_whole_records(struct test *t)
{
    struct crowd crowd = {.t = t};
    pthread_t threads[4];
    REQUIRE_OK(t, kw_record_cache_new(&crowd.cache));
    for (size_t i = 0; i < KW_COUNT_OF(threads); i++) {
        REQUIRE(t, pthread_create(&threads[i], NULL, want, &crowd) == 0);
    }
    for (size_t i = 0; i < KW_COUNT_OF(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK(t, crowd.found > 0);
    kw_record_cache_free(crowd.cache);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(threads_see_whole_records),  TEST_CASE(what_is_wanted_again_is_kept),
        TEST_CASE(a_changed_key_is_not_found), TEST_CASE(all_of_it_is_forgotten),
        TEST_CASE(a_long_record_is_not_kept),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
