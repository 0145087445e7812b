/* Use that is kept in the store as it was counted, and added to the counts afterwards: it is counted once, whatever
 * happens in between. */
#include "base/bytes.h"
#include "core/amount.h"
#include "engine/usage_defer.h"
#include "support/engine.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KEYS 4

struct line {
    struct test *t;
    struct test_engine fixture;
    struct kw_id ids[KEYS];
    struct kw_secret keys[KEYS];
    int64_t used[KEYS];
    char folder[32];
};

static struct kw_store *open_file(struct line *line)
{
    struct kw_store *store = NULL;
    struct kw_error error = {0};
    char path[64];
    snprintf(path, sizeof path, "%s/keys.db", line->folder);
    CHECK_STATUS(line->t, kw_store_sqlite_open(path, &store, &error), KW_OK);
    return store;
}

static void defer_all(struct line *line)
{
    line->fixture.engine->usage->at_once_max = 0;
}

static bool open_engine(struct line *line, struct kw_store *store)
{
    if (!test_engine_open(line->t, &line->fixture, store)) {
        return false;
    }
    kw_engine_wait_filled(line->fixture.engine);
    defer_all(line);
    return true;
}

static bool begin(struct test *t, struct line *line, struct kw_store *store)
{
    line->t = t;
    bool is_open = open_engine(line, store);
    for (size_t i = 0; i < KEYS && is_open; i++) {
        is_open = test_engine_create(t, &line->fixture, NULL, &line->ids[i], &line->keys[i]);
    }
    return is_open;
}

static void end(struct line *line)
{
    for (size_t i = 0; i < KEYS; i++) {
        kw_secret_wipe(&line->keys[i]);
    }
    test_engine_close(&line->fixture);
}

static void use_from(struct line *line, size_t key, const struct kw_place *place)
{
    struct kw_verification v = {.key = kw_secret_expose(&line->keys[key]),
                                .question = {.project = KW_PROJECT_DEFAULT, .place = place}};
    kw_engine_read_begin();
    kw_engine_verify(line->fixture.engine, &v, kw_engine_now_ms(line->fixture.engine));
    kw_engine_read_end();
    CHECK_I64(line->t, v.code, KW_CODE_NONE);
    line->used[key]++;
}

static void use_all(struct line *line)
{
    for (size_t i = 0; i < KEYS; i++) {
        for (size_t times = 0; times <= i; times++) {
            use_from(line, i, NULL);
        }
    }
}

/* What the writing thread does each second, without what it does in between. */
static enum kw_status write_only(struct line *line)
{
    struct kw_usage *usage = line->fixture.engine->usage;
    enum kw_status status = KW_OK;
    bool more = true;
    pthread_mutex_lock(&usage->writing);
    while (more && status == KW_OK) {
        status = kw__usage_write_part(line->fixture.engine, KW__USAGE_SLOTS / 2, &more);
    }
    pthread_mutex_unlock(&usage->writing);
    return status;
}

static uint64_t waiting(struct line *line)
{
    struct kw_engine_stats stats;
    kw_engine_stats(line->fixture.engine, &stats);
    return stats.uses_deferred;
}

static enum kw_status add_up(void *context, const struct kw_store_usage *usage)
{
    int64_t *sums = context;
    sums[usage->dimension] += usage->amount;
    return KW_OK;
}

static void check_sums(struct line *line, const struct kw_id *id, int64_t expected)
{
    int64_t sums[KW_USAGE_SCOPE + 1] = {0};
    const struct kw_store_ops *ops = line->fixture.store->ops;
    CHECK_STATUS(line->t,
                 ops->usage_read(line->fixture.store, KW_BYTES("default"), id, INT64_MIN, INT64_MAX, add_up, sums),
                 KW_OK);
    CHECK_I64(line->t, sums[KW_USAGE_CODE], expected);
    CHECK_I64(line->t, sums[KW_USAGE_METRIC], expected * KW_AMOUNT_ONE);
}

static void check_all(struct line *line)
{
    int64_t sum = 0;
    for (size_t i = 0; i < KEYS; i++) {
        check_sums(line, &line->ids[i], line->used[i]);
        sum += line->used[i];
    }
    check_sums(line, &(struct kw_id){{0}}, sum);
}

static void remove_folder(const char *folder)
{
    DIR *directory = opendir(folder);
    if (directory != NULL) {
        for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
        }
        closedir(directory);
    }
    (void)rmdir(folder);
}

static void what_was_deferred_is_added_in_another_life(struct test *t)
{
    struct line line = {.folder = "/tmp/keyward-defer-XXXXXX"};
    REQUIRE(t, mkdtemp(line.folder) != NULL);
    line.t = t;
    if (begin(t, &line, open_file(&line))) {
        for (int life = 0; life < 3; life++) {
            use_all(&line);
            CHECK_STATUS(t, write_only(&line), KW_OK);
            CHECK(t, waiting(&line) > 0);
            use_all(&line); /* an end writes it too, and adds nothing up either */
            test_engine_close(&line.fixture);
            REQUIRE(t, open_engine(&line, open_file(&line)));
            if (life > 0) {
                CHECK_STATUS(t, kw_usage_flush(line.fixture.engine), KW_OK);
                CHECK_I64(t, waiting(&line), 0);
                check_all(&line);
            }
        }
    }
    end(&line);
    remove_folder(line.folder);
}

/* Each call of the store fails once, wherever that is. */
static void a_store_that_fails_loses_and_doubles_nothing(struct test *t)
{
    struct kw_store *memory;
    struct kw_store *fault;
    struct line line = {.t = t};
    REQUIRE(t, kw_store_memory_open(&memory) == KW_OK && kw_store_fault_open(memory, 1, &fault) == KW_OK);
    bool goes_on = begin(t, &line, fault);
    uint64_t nth = 1;
    for (; goes_on && nth < 100; nth++) {
        use_all(&line);
        CHECK_STATUS(t, write_only(&line), KW_OK);
        use_all(&line);
        kw_store_fault_arm(fault, KW_FAULT_UNAVAILABLE, nth);
        enum kw_status status = kw_usage_flush(line.fixture.engine);
        goes_on = kw_store_fault_calls(fault) >= nth;
        CHECK(t, status == KW_OK || status == KW_E_UNAVAILABLE);
        kw_store_fault_arm(fault, KW_FAULT_UNAVAILABLE, 0);
        CHECK_STATUS(t, kw_usage_flush(line.fixture.engine), KW_OK);
        CHECK_I64(t, waiting(&line), 0);
        check_all(&line);
    }
    CHECK(t, nth > 2 * KEYS && nth < 100);
    end(&line);
}

static void what_waits_is_added_up_first(struct test *t)
{
    struct line line = {.t = t};
    bool found = false;
    uint32_t part = 0;
    if (begin(t, &line, NULL)) {
        for (int second = 0; second < 20; second++) {
            use_from(&line, 2, NULL);
            CHECK_STATUS(t, write_only(&line), KW_OK);
            __atomic_fetch_add(&line.fixture.now_ms, 1000, __ATOMIC_RELAXED);
        }
        pthread_mutex_lock(&line.fixture.engine->usage->writing);
        CHECK_STATUS(t, kw__settle_some(line.fixture.engine, &part, &found), KW_OK);
        pthread_mutex_unlock(&line.fixture.engine->usage->writing);
        CHECK(t, found && part > 0);
        CHECK_I64(t, waiting(&line), 0); /* all twenty with one write */
        check_all(&line);
    }
    end(&line);
}

/* Of one key, more different counts than one write takes. */
static void what_is_too_much_for_one_write_comes_in_several(struct test *t)
{
    struct line line = {.t = t};
    bool found = false;
    uint32_t part = 0;
    if (begin(t, &line, NULL)) {
        for (int hour = 0; hour < 6; hour++) {
            for (int i = 0; i < 26 * 26; i++) {
                const uint8_t name[2] = {(uint8_t)('A' + i / 26), (uint8_t)('A' + i % 26)};
                const struct kw_place place = {.country = kw_bytes_of(name, sizeof name)};
                use_from(&line, 1, &place);
            }
            CHECK_STATUS(t, write_only(&line), KW_OK);
            __atomic_fetch_add(&line.fixture.now_ms, KW_HOUR_MS, __ATOMIC_RELAXED);
        }
        uint64_t before = waiting(&line);
        pthread_mutex_lock(&line.fixture.engine->usage->writing);
        CHECK_STATUS(t, kw__settle_some(line.fixture.engine, &part, &found), KW_OK);
        pthread_mutex_unlock(&line.fixture.engine->usage->writing);
        CHECK(t, found && waiting(&line) > 0 && waiting(&line) < before);
        CHECK_STATUS(t, kw_usage_flush(line.fixture.engine), KW_OK);
        CHECK_I64(t, waiting(&line), 0);
        check_all(&line);
    }
    end(&line);
}

static void no_more_waits_than_may(struct test *t)
{
    struct line line = {.t = t};
    if (begin(t, &line, NULL)) {
        use_all(&line);
        CHECK_STATUS(t, write_only(&line), KW_OK);
        uint64_t before = waiting(&line);
        line.fixture.engine->usage->deferred_max = before;
        use_all(&line);
        CHECK_STATUS(t, write_only(&line), KW_OK);
        CHECK_I64(t, waiting(&line), (int64_t)before);
        struct kw_engine_stats stats;
        kw_engine_stats(line.fixture.engine, &stats);
        CHECK_I64(t, stats.uses_written, (int64_t)stats.uses_counted);
        CHECK_STATUS(t, kw_usage_flush(line.fixture.engine), KW_OK);
        check_all(&line);
    }
    end(&line);
}

struct taken {
    uint8_t bytes[4096];
    size_t size;
};

static enum kw_status take(void *context, const struct kw_store_deferred *piece)
{
    struct taken *taken = context;
    if (piece->bytes.size > sizeof taken->bytes) {
        return KW_E_LIMIT;
    }
    memcpy(taken->bytes, piece->bytes.data, piece->bytes.size);
    taken->size = piece->bytes.size;
    return KW_OK;
}

static void offer(struct line *line, const uint8_t *bytes, size_t size)
{
    const struct kw_store_ops *ops = line->fixture.store->ops;
    uint8_t *copy = malloc(size); /* so that reading beyond its end is seen */
    struct kw_store_deferred piece = {.part = 5, .bytes = kw_bytes_of(copy, size)};
    uint64_t bytes_waiting = 0;
    REQUIRE(line->t, copy != NULL);
    memcpy(copy, bytes, size);
    CHECK_STATUS(line->t, ops->usage_defer(line->fixture.store, &piece, 1, &bytes_waiting), KW_OK);
    free(copy);
    line->fixture.engine->usage->knows_deferred = false;
    CHECK_STATUS(line->t, kw_usage_flush(line->fixture.engine), KW_OK);
    CHECK_I64(line->t, waiting(line), 0);
}

static void damage_piece_of_use(struct line *line)
{
    struct taken taken = {.size = 0};
    const struct kw_place place = {KW_BYTES("US"), KW_BYTES("CA")};
    struct test *t = line->t;
    use_from(line, 0, &place);
    CHECK_STATUS(t, write_only(line), KW_OK);
    REQUIRE(t, line->fixture.store->ops->usage_deferred(line->fixture.store, 0, 1, take, &taken) == KW_OK);
    REQUIRE(t, taken.size > 20);
    CHECK_STATUS(t, kw_usage_flush(line->fixture.engine), KW_OK);
    check_all(line);
    struct kw_engine_stats stats;
    for (size_t size = 1; size < taken.size; size++) {
        offer(line, taken.bytes, size);
    }
    kw_engine_stats(line->fixture.engine, &stats);
    CHECK(t, stats.uses_dropped > 0);
    for (int i = 0; i < 2000; i++) {
        struct taken damaged = taken;
        for (uint64_t changes = 1 + test_random_below(t, 4); changes > 0; changes--) {
            damaged.bytes[test_random_below(t, damaged.size)] = (uint8_t)test_random_below(t, 256);
        }
        offer(line, damaged.bytes, damaged.size);
    }
}

/* A piece that cannot be read must not keep the others waiting. */
static void a_piece_that_is_damaged_goes(struct test *t)
{
    struct line line = {.t = t};
    if (begin(t, &line, NULL)) {
        damage_piece_of_use(&line); /* of what came through a ring */
    }
    end(&line);
}

static void a_piece_of_what_an_entry_counted_goes_too(struct test *t)
{
    struct line line = {.t = t};
    const struct kw_place place = {KW_BYTES("US"), KW_BYTES("CA")};
    if (begin(t, &line, NULL)) {
        use_from(&line, 0, &place);
        CHECK_STATUS(t, kw_usage_flush(line.fixture.engine), KW_OK);
        damage_piece_of_use(&line); /* from the same place as before */
    }
    end(&line);
}

/* As many keys as nobody has set a bound for: each is counted for itself and for all. */
static void more_keys_than_one_write_takes_are_deferred(struct test *t)
{
    struct line line = {.t = t};
    int64_t sum = 0;
    if (begin(t, &line, NULL)) {
        line.fixture.engine->usage->at_once_max = KW_USAGE_AT_ONCE;
        use_all(&line);
        CHECK_STATUS(t, write_only(&line), KW_OK);
        CHECK_I64(t, waiting(&line), 0);
        for (int i = 0; i < KW_USAGE_AT_ONCE; i++) {
            struct kw_id id;
            struct kw_secret key KW_WIPED = {0};
            REQUIRE(t, test_engine_create(t, &line.fixture, NULL, &id, &key));
            CHECK_I64(t, test_engine_verify(&line.fixture, &key), KW_CODE_NONE);
            sum++;
        }
        use_all(&line);
        CHECK_STATUS(t, write_only(&line), KW_OK);
        CHECK(t, waiting(&line) > KW_USAGE_AT_ONCE * sizeof(struct kw_id));
        CHECK_STATUS(t, kw_usage_flush(line.fixture.engine), KW_OK);
        CHECK_I64(t, waiting(&line), 0);
        for (size_t i = 0; i < KEYS; i++) {
            check_sums(&line, &line.ids[i], line.used[i]);
            sum += line.used[i];
        }
        check_sums(&line, &(struct kw_id){{0}}, sum);
    }
    end(&line);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(what_was_deferred_is_added_in_another_life),
        TEST_CASE(a_store_that_fails_loses_and_doubles_nothing),
        TEST_CASE(what_waits_is_added_up_first),
        TEST_CASE(what_is_too_much_for_one_write_comes_in_several),
        TEST_CASE(no_more_waits_than_may),
        TEST_CASE(a_piece_that_is_damaged_goes),
        TEST_CASE(a_piece_of_what_an_entry_counted_goes_too),
        TEST_CASE(more_keys_than_one_write_takes_are_deferred),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
