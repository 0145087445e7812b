/* Which digest is whose, wherever it is kept: what waits in memory, what is in the table, what a crash leaves. */
#include "contract/contract.h"
#include "store/sqlite/pile.h"
#include "store/sqlite/sieve.h"
#include "store/sqlite/sqlite.h"

#include <stdio.h>

#define DIGESTS 60
#define KEYS 80
#define STEPS 400
#define BATCHES_MAX 4
#define PUTS_MAX 3
#define FULL_AT_MAX 40 /* the size of piles is drawn anew with each opening */

/* What a store must hold: of each key its version (0: not there) and digest, of each digest its key (0: nobody's). */
struct model {
    uint64_t versions[KEYS + 1];
    size_t digests[KEYS + 1];
    uint64_t keys[DIGESTS];
    bool erased[KEYS + 1];
};

/* Some begin like others, and some are of the greater size. */
static struct kw_bytes digest_of(struct contract *c, size_t number)
{
    uint8_t bytes[64];
    size_t size = number % 5 == 0 ? 64 : 32;
    struct kw_bytes drawn = contract_digest(c, 1000 + number / 2);
    memcpy(bytes, drawn.data, 32);
    memcpy(bytes + 32, drawn.data, 32);
    bytes[31] ^= (uint8_t)(number % 2);
    return contract_copy(c, kw_bytes_of(bytes, size));
}

/* The model's own idea of one put; false: a conflict. */
static bool put_into_model(struct model *model, uint64_t key, size_t digest, bool erases, uint64_t replaces)
{
    uint64_t holder = model->keys[digest];
    if (model->versions[key] != replaces || model->erased[key] || (holder != 0 && holder != key)) {
        return false;
    }
    if (replaces != 0) {
        model->keys[model->digests[key]] = 0;
    }
    model->keys[digest] = key;
    model->digests[key] = digest;
    model->versions[key] = replaces + 1;
    model->erased[key] = erases;
    return true;
}

static struct kw_store_put draw_put(struct contract *c, const struct model *model, uint64_t *key_out,
                                    size_t *digest_out)
{
    uint64_t key = 1 + test_random_below(c->t, KEYS);
    uint64_t replaces = model->versions[key];
    bool moves = replaces == 0 || test_random_below(c->t, 3) == 0;
    bool erases = replaces != 0 && test_random_below(c->t, 40) == 0;
    struct kw_store_put put = erases ? contract_tombstone(c, key, replaces) : contract_put(c, key, replaces);
    *digest_out = moves && !erases ? test_random_below(c->t, DIGESTS) : model->digests[key];
    put.row.digest = digest_of(c, *digest_out);
    *key_out = key;
    return put;
}

/* A commit of some batches; each must end as the model says, and the model goes on from those that are written. */
static void step(struct contract *c, struct model *model)
{
    struct kw_store_put puts[BATCHES_MAX][PUTS_MAX];
    struct kw_store_batch batches[BATCHES_MAX];
    bool fits[BATCHES_MAX];
    size_t count = 1 + test_random_below(c->t, BATCHES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct model tried = *model;
        size_t put_count = 1 + test_random_below(c->t, PUTS_MAX);
        fits[i] = true;
        for (size_t j = 0; j < put_count; j++) {
            uint64_t key;
            size_t digest;
            puts[i][j] = draw_put(c, &tried, &key, &digest);
            fits[i] = fits[i] && put_into_model(&tried, key, digest, puts[i][j].row.erased, puts[i][j].replaces);
        }
        batches[i] = (struct kw_store_batch){.puts = puts[i], .put_count = put_count};
        *model = fits[i] ? tried : *model;
    }
    CHECK_STATUS(c->t, c->store->ops->commit(c->store, batches, count), KW_OK);
    for (size_t i = 0; i < count; i++) {
        CHECK_STATUS(c->t, batches[i].outcome, fits[i] ? KW_OK : KW_E_CONFLICT);
    }
}

static void check_digests(struct contract *c, const struct model *model)
{
    for (size_t i = 0; i < DIGESTS; i++) {
        struct contract_rows rows = contract_rows(c);
        enum kw_status status = c->store->ops->find_by_digest(c->store, digest_of(c, i), contract_keep_row, &rows);
        CHECK_STATUS(c->t, status, model->keys[i] == 0 ? KW_E_NOT_FOUND : KW_OK);
        CHECK_I64(c->t, rows.count, model->keys[i] == 0 ? 0 : 1);
        if (rows.count == 1) {
            CHECK(c->t, contract_id_equal(rows.items[0].id, contract_id(model->keys[i])));
            CHECK_I64(c->t, rows.items[0].version, model->versions[model->keys[i]]);
        }
    }
}

/* What is on the disk now, as if the process had ended here. */
static void check_after_a_crash(struct contract *c, const struct model *model)
{
    struct contract crashed;
    char wal[CONTRACT_PATH_MAX + 8];
    char wal_copy[CONTRACT_PATH_MAX + 8];
    if (contract_begin(&crashed, c->t, &contract_sqlite)) {
        snprintf(wal, sizeof wal, "%s-wal", c->path);
        snprintf(wal_copy, sizeof wal_copy, "%s-wal", crashed.path);
        CHECK(c->t, contract_copy_file(c->path, crashed.path) && contract_copy_file(wal, wal_copy));
        if (contract_open(&crashed)) {
            struct model later = *model;
            check_digests(&crashed, &later);
            for (int i = 0; i < 10; i++) {
                step(&crashed, &later);
            }
            check_digests(&crashed, &later);
        }
    }
    contract_end(&crashed);
}

static void draw_size(struct contract *c)
{
    if (c->kind->is_file) {
        ((struct kw__sqlite *)c->store)->digests.full_at = 1 + test_random_below(c->t, FULL_AT_MAX);
    }
}

/* In a file that was closed the table has each row's digest, and nothing else. */
static void check_table(struct contract *c)
{
    static const char count_wrong[] =
        "SELECT (SELECT count(*) FROM digest) + (SELECT count(*) FROM record) - 2 * (SELECT count(*) FROM record AS r "
        "JOIN digest AS d ON d.id = r.id AND d.start = substr(r.digest, 1, 6))";
    sqlite3 *db = NULL;
    sqlite3_stmt *count = NULL;
    c->store->ops->close(c->store);
    c->store = NULL;
    CHECK_I64(c->t, sqlite3_open(c->path, &db), SQLITE_OK);
    CHECK_I64(c->t, sqlite3_prepare_v2(db, count_wrong, -1, &count, NULL), SQLITE_OK);
    CHECK_I64(c->t, sqlite3_step(count), SQLITE_ROW);
    CHECK_I64(c->t, sqlite3_column_int64(count, 0), 0);
    sqlite3_finalize(count);
    sqlite3_close(db);
}

static void run_random(struct test *t, const struct contract_kind *kind)
{
    struct contract c;
    struct model model = {.versions = {0}};
    if (contract_begin(&c, t, kind) && contract_open(&c)) {
        draw_size(&c);
        for (int i = 0; i < STEPS && t->failures == 0; i++) {
            step(&c, &model);
            check_digests(&c, &model);
            bool is_time = kind->is_file && i % 10 == 9;
            if (is_time) {
                check_after_a_crash(&c, &model);
            }
            if (test_random_below(t, 40) == 0 && kind->is_file) {
                CHECK(t, contract_reopen(&c));
                draw_size(&c);
            }
            kw_arena_reset(&c.arena);
        }
        if (kind->is_file) {
            check_table(&c);
        }
    }
    contract_end(&c);
}

static void every_digest_is_its_keys_in_memory(struct test *t)
{
    run_random(t, &contract_memory);
}

static void every_digest_is_its_keys_in_a_file(struct test *t)
{
    run_random(t, &contract_sqlite);
}

static void draw_digest(struct test *t, uint8_t digest[KW__PILE_DIGEST_SIZE])
{
    for (size_t i = 0; i < KW__PILE_DIGEST_SIZE; i++) {
        digest[i] = (uint8_t)test_random(t);
    }
}

/* What was added is found again, and nothing of what was taken out. */
static void check_pile(struct test *t, struct kw__pile *pile)
{
    static uint8_t digests[KW__PILE_ENTRIES_MAX][KW__PILE_DIGEST_SIZE];
    const struct kw_id id = {.bytes = {1}};
    size_t wrong = 0;
    while (pile->count < KW__PILE_ENTRIES_MAX) {
        uint8_t *digest = digests[pile->count];
        draw_digest(t, digest);
        wrong += !kw__pile_add(pile, kw_bytes_of(digest, KW__PILE_DIGEST_SIZE), &id);
        size_t cut = test_random_below(t, 8) == 0 ? test_random_below(t, 4) : 0;
        size_t before = pile->count;
        kw__pile_cut(pile, cut > before ? 0 : before - cut);
        for (size_t i = pile->count; i < before; i++) {
            wrong += kw__pile_find(pile, kw_bytes_of(digests[i], KW__PILE_DIGEST_SIZE), before, UINT64_MAX) != NULL;
        }
    }
    CHECK(t, !kw__pile_add(pile, kw_bytes_of(digests[0], KW__PILE_DIGEST_SIZE), &id));
    for (size_t i = 0; i < KW__PILE_ENTRIES_MAX; i++) {
        struct kw_bytes digest = kw_bytes_of(digests[i], KW__PILE_DIGEST_SIZE);
        wrong += kw__pile_find(pile, digest, i + 1, UINT64_MAX) != &pile->entries[i];
        wrong += kw__pile_find(pile, digest, i, UINT64_MAX) != NULL;
    }
    CHECK_I64(t, wrong, 0);
}

static void a_pile_finds_what_it_holds(struct test *t)
{
    static struct kw__pile_place places[KW__PILE_ENTRIES_MAX];
    struct kw__pile pile;
    if (kw__pile_init(&pile)) {
        size_t wrong = 0;
        check_pile(t, &pile);
        kw__pile_sort(&pile, places);
        for (size_t i = 1; i < pile.count; i++) {
            wrong += memcmp(pile.entries[places[i - 1].at].digest, pile.entries[places[i].at].digest, 8) > 0;
        }
        CHECK_I64(t, wrong, 0);
        kw__pile_clear(&pile);
        struct kw_bytes first = {pile.entries[0].digest, KW__PILE_DIGEST_SIZE};
        CHECK(t, kw__pile_find(&pile, first, 0, UINT64_MAX) == NULL);
    }
    kw__pile_deinit(&pile);
}

static void an_entry_that_is_gone_stands_until_then(struct test *t)
{
    struct kw__pile pile;
    uint8_t bytes[KW__PILE_DIGEST_SIZE];
    const struct kw_id ids[] = {{.bytes = {1}}, {.bytes = {2}}};
    draw_digest(t, bytes);
    struct kw_bytes digest = {bytes, sizeof bytes};
    if (kw__pile_init(&pile)) {
        CHECK(t, kw__pile_add(&pile, digest, &ids[0]));
        pile.entries[0].gone_at = 7;
        CHECK(t, kw__pile_find(&pile, digest, 1, 6) == &pile.entries[0]);
        CHECK(t, kw__pile_find(&pile, digest, 1, 7) == NULL);
        CHECK(t, kw__pile_find(&pile, digest, 1, UINT64_MAX) == NULL);
        CHECK(t, kw__pile_add(&pile, digest, &ids[1]));
        CHECK(t, kw__pile_find(&pile, digest, 2, UINT64_MAX) == &pile.entries[1]);
    }
    kw__pile_deinit(&pile);
}

static void a_sieve_holds_back_most_that_is_new_and_nothing_else(struct test *t)
{
    struct kw__sieve sieve;
    struct test again = *t;
    size_t held_back = 0;
    size_t passed = 0;
    if (kw__sieve_init(&sieve)) {
        for (size_t i = 0; i < 1000000; i++) {
            uint64_t start = test_random(t);
            kw__sieve_add(&sieve, kw_bytes_of(&start, 6));
        }
        for (size_t i = 0; i < 1000000; i++) {
            uint64_t start = test_random(&again);
            held_back += !kw__sieve_passes(&sieve, kw_bytes_of(&start, 6));
        }
        for (size_t i = 0; i < 100000; i++) {
            uint64_t start = test_random(t);
            passed += kw__sieve_passes(&sieve, kw_bytes_of(&start, 6));
        }
        CHECK_I64(t, held_back, 0);
        CHECK(t, passed < 200);
    }
    kw__sieve_deinit(&sieve);
    CHECK(t, kw__sieve_passes(&sieve, KW_BYTES("123456")));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(every_digest_is_its_keys_in_memory),
        TEST_CASE(every_digest_is_its_keys_in_a_file),
        TEST_CASE(a_pile_finds_what_it_holds),
        TEST_CASE(an_entry_that_is_gone_stands_until_then),
        TEST_CASE(a_sieve_holds_back_most_that_is_new_and_nothing_else),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
