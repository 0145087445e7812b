#include "store/sqlite/digests.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "store/sqlite/inserts.h"

#define SLICES_MAX 128 /* a pile goes into the table in no more parts than that */

enum kw_status kw__digests_init(struct kw__digests *digests)
{
    *digests = (struct kw__digests){.full_at = KW__DIGESTS_FULL_AT, .many_at = KW__DIGESTS_MANY_AT};
    pthread_mutex_init(&digests->mutex, NULL);
    digests->open = &digests->piles[0];
    digests->closed = &digests->piles[1];
    digests->order = kw_alloc(KW__PILE_ENTRIES_MAX, sizeof *digests->order);
    bool has_memory = kw__pile_init(digests->open) && kw__pile_init(digests->closed) && digests->order != NULL;
    return has_memory ? KW_OK : KW_E_MEMORY;
}

struct kw_bytes kw__digest_start(struct kw_bytes digest)
{
    return kw_bytes_of(digest.data, KW__DIGEST_START_SIZE);
}

void kw__digests_deinit(struct kw__digests *digests)
{
    kw__pile_deinit(&digests->piles[0]);
    kw__pile_deinit(&digests->piles[1]);
    kw__sieve_deinit(&digests->sieve);
    kw_free(digests->order);
    pthread_mutex_destroy(&digests->mutex);
}

/* In either pile, of the open one among the first `count`. */
static struct kw__pile_entry *find(const struct kw__digests *digests, struct kw_bytes digest, size_t count,
                                   uint64_t sequence)
{
    if (digest.size != KW__PILE_DIGEST_SIZE) {
        return NULL;
    }
    struct kw__pile_entry *entry = kw__pile_find(digests->open, digest, count, sequence);
    return entry != NULL ? entry : kw__pile_find(digests->closed, digest, digests->closed->count, sequence);
}

/* As the transaction has it that is being written. */
static struct kw__pile_entry *find_now(const struct kw__digests *digests, struct kw_bytes digest)
{
    return find(digests, digest, digests->open->count, UINT64_MAX);
}

struct kw_id kw__digests_find(struct kw__digests *digests, struct kw_bytes digest)
{
    pthread_mutex_lock(&digests->mutex);
    const struct kw__pile_entry *entry = find(digests, digest, digests->settled_count, digests->settled);
    struct kw_id id = {0};
    if (entry != NULL) {
        id = entry->id;
    }
    pthread_mutex_unlock(&digests->mutex);
    return id;
}

static void close_pile(struct kw__digests *digests, uint64_t last_commit)
{
    struct kw__pile *full = digests->open;
    kw__pile_sort(full, digests->order);
    pthread_mutex_lock(&digests->mutex);
    digests->open = digests->closed;
    digests->closed = full;
    digests->settled_count = 0;
    pthread_mutex_unlock(&digests->mutex);
    digests->row_count = 0;
    digests->has_closed = true;
    digests->next = 0;
    digests->next_tried = 0;
    digests->credit = 0;
    digests->closed_at = last_commit;
}

void kw__digests_begin(struct kw__digests *digests, uint64_t last_commit)
{
    if (!digests->has_closed && digests->row_count >= digests->full_at) {
        close_pile(digests, last_commit);
    }
}

static enum kw_status fill_sieve(struct kw__sqlite *sqlite)
{
    struct kw__query query = kw__query_open(&sqlite->writer, KW__SQL_DIGEST_ALL);
    bool is_there = false;
    enum kw_status status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        struct kw_bytes start = kw__column_bytes(&query, 0);
        kw__sieve_add(&sqlite->digests.sieve, start);
        status = kw__query_next(&query, &is_there);
    }
    kw__query_close(&query);
    return status;
}

/* Without a sieve the table is looked into for every digest. Reading all of a very large one would take too long. */
void kw__digests_expect(struct kw__sqlite *sqlite, size_t row_count)
{
    struct kw__digests *digests = &sqlite->digests;
    if (digests->has_sieved || row_count < digests->many_at) {
        return;
    }
    struct kw__query query = kw__query_open(&sqlite->writer, KW__SQL_COUNT_READ_ALL);
    bool is_there = false;
    enum kw_status status = kw__query_next(&query, &is_there);
    bool is_small = is_there && sqlite3_column_int64(query.statement, 0) <= KW__SIEVE_FILL_MAX;
    kw__query_close(&query);
    digests->has_sieved = true;
    if (status == KW_OK && is_small && kw__sieve_init(&digests->sieve) && fill_sieve(sqlite) != KW_OK) {
        kw__sieve_deinit(&digests->sieve);
    }
}

/* Of rows in the table the one that the query is at may have only begun alike. */
static enum kw_status compare(struct kw__inserts *inserts, const struct kw__query *found, struct kw_bytes digest)
{
    enum kw_status status = kw__inserts_run_rows(inserts);
    if (status != KW_OK) {
        return status;
    }
    struct kw__query query = kw__query_open(inserts->writer, KW__SQL_DIGEST_COMPARE);
    bool is_same = false;
    kw__query_blob(&query, kw__column_bytes(found, 0));
    kw__query_blob(&query, digest);
    status = kw__query_next(&query, &is_same);
    kw__query_close(&query);
    return status == KW_OK && is_same ? KW_E_CONFLICT : status;
}

static enum kw_status check_table(struct kw__inserts *inserts, struct kw_bytes digest)
{
    if (!kw__sieve_passes(&inserts->digests->sieve, kw__digest_start(digest))) {
        return KW_OK;
    }
    struct kw__query query = kw__query_open(inserts->writer, KW__SQL_DIGEST_READ);
    bool is_there = false;
    kw__query_blob(&query, kw__digest_start(digest));
    enum kw_status status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        status = compare(inserts, &query, digest);
        status = status == KW_OK ? kw__query_next(&query, &is_there) : status;
    }
    kw__query_close(&query);
    return status;
}

static bool pile_up(struct kw__digests *digests, struct kw_bytes digest, const struct kw_id *id)
{
    if (digest.size != KW__PILE_DIGEST_SIZE) {
        return false;
    }
    pthread_mutex_lock(&digests->mutex);
    bool is_piled = kw__pile_add(digests->open, digest, id);
    pthread_mutex_unlock(&digests->mutex);
    return is_piled;
}

/* Those of another size, and those that no room is left for, go where the others will. */
static enum kw_status pile_up_or_insert(struct kw__inserts *inserts, struct kw_bytes digest, const struct kw_id *id)
{
    if (pile_up(inserts->digests, digest, id)) {
        return KW_OK;
    }
    enum kw_status status = kw__inserts_add_digest(inserts, digest, id);
    return status == KW_OK ? kw__inserts_run_digests(inserts) : status;
}

enum kw_status kw__digests_put(struct kw__inserts *inserts, struct kw_bytes digest, const struct kw_id *id)
{
    if (find_now(inserts->digests, digest) != NULL) {
        return KW_E_CONFLICT;
    }
    enum kw_status status = check_table(inserts, digest);
    return status == KW_OK ? pile_up_or_insert(inserts, digest, id) : status;
}

/* It may stand in both: what a slice has put into the table stays in its pile until that is done with. */
enum kw_status kw__digests_take(struct kw__inserts *inserts, struct kw_bytes digest, const struct kw_id *id,
                                uint64_t sequence)
{
    struct kw__digests *digests = inserts->digests;
    struct kw__pile_entry *entry = find_now(digests, digest);
    if (entry != NULL) {
        pthread_mutex_lock(&digests->mutex);
        entry->gone_at = sequence;
        pthread_mutex_unlock(&digests->mutex);
        digests->has_gone = true;
    }
    struct kw__query query = kw__query_open(inserts->writer, KW__SQL_DIGEST_DELETE);
    kw__query_blob(&query, kw__digest_start(digest));
    kw__query_id(&query, id);
    return kw__query_run(&query);
}

/* Twice as fast as the open pile fills, so that the closed one is done with before that is full. */
enum kw_status kw__digests_merge(struct kw__inserts *inserts, size_t row_count, struct kw__sequences *last)
{
    struct kw__digests *digests = inserts->digests;
    digests->row_count += row_count;
    digests->credit += 2 * row_count;
    size_t left = digests->closed->count - digests->next;
    bool is_due = digests->credit >= left || digests->credit >= digests->full_at / SLICES_MAX;
    if (!digests->has_closed || !is_due) {
        return KW_OK;
    }
    size_t end = digests->next + (digests->credit < left ? digests->credit : left);
    enum kw_status status = KW_OK;
    for (size_t i = digests->next; i < end && status == KW_OK; i++) {
        const struct kw__pile_entry *entry = &digests->closed->entries[digests->order[i].at];
        struct kw_bytes digest = {entry->digest, sizeof entry->digest};
        status = entry->gone_at == 0 ? kw__inserts_add_digest(inserts, digest, &entry->id) : KW_OK;
    }
    status = status == KW_OK ? kw__inserts_run_digests(inserts) : status;
    digests->next_tried = end;
    digests->credit = 0;
    last->digests = end == digests->closed->count ? digests->closed_at : last->digests;
    return status;
}

static void bring_back(struct kw__pile *pile, uint64_t sequence)
{
    for (size_t i = 0; i < pile->count; i++) {
        struct kw__pile_entry *entry = &pile->entries[i];
        entry->gone_at = entry->gone_at > sequence ? 0 : entry->gone_at;
    }
}

void kw__digests_undo(struct kw__digests *digests, size_t count, uint64_t sequence)
{
    pthread_mutex_lock(&digests->mutex);
    kw__pile_cut(digests->open, count);
    if (digests->has_gone) {
        bring_back(digests->open, sequence);
        bring_back(digests->closed, sequence);
    }
    pthread_mutex_unlock(&digests->mutex);
}

void kw__digests_end(struct kw__digests *digests, bool is_committed, uint64_t last_commit)
{
    if (!is_committed) {
        kw__digests_undo(digests, digests->settled_count, digests->settled);
        digests->next_tried = digests->next;
        digests->has_gone = false;
        return;
    }
    bool is_done = digests->has_closed && digests->next_tried == digests->closed->count;
    pthread_mutex_lock(&digests->mutex);
    digests->settled = last_commit;
    digests->settled_count = digests->open->count;
    if (is_done) {
        kw__pile_clear(digests->closed);
    }
    pthread_mutex_unlock(&digests->mutex);
    digests->has_gone = false;
    digests->has_closed = digests->has_closed && !is_done;
    digests->next = digests->has_closed ? digests->next_tried : 0;
    digests->next_tried = digests->next;
}

/* A row of the statement KW__SQL_DIGEST_UNMERGED. */
static enum kw_status load_row(struct kw__inserts *inserts, const struct kw__query *query, uint64_t *sequence)
{
    struct kw__digests *digests = inserts->digests;
    struct kw_id id;
    if (!kw__column_id(query, 2, &id)) {
        return KW_E_CORRUPT;
    }
    uint64_t before = *sequence;
    *sequence = (uint64_t)sqlite3_column_int64(query->statement, 0);
    if (*sequence != before) { /* the rows of a commit stay together */
        kw__digests_begin(digests, before);
    }
    digests->row_count++;
    return pile_up_or_insert(inserts, kw__column_bytes(query, 1), &id);
}

static enum kw_status load_rows(struct kw__sqlite *sqlite)
{
    struct kw__inserts inserts = {.writer = &sqlite->writer, .digests = &sqlite->digests};
    struct kw__query query = kw__query_open(&sqlite->writer, KW__SQL_DIGEST_UNMERGED);
    uint64_t sequence = sqlite->last.digests;
    bool is_there = false;
    kw__query_i64(&query, (int64_t)sequence);
    enum kw_status status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        status = load_row(&inserts, &query, &sequence);
        status = status == KW_OK ? kw__query_next(&query, &is_there) : status;
    }
    kw__query_close(&query);
    return status;
}

enum kw_status kw__digests_load(struct kw__sqlite *sqlite)
{
    if (sqlite->last.digests == sqlite->last.commit) {
        sqlite->digests.settled = sqlite->last.commit;
        sqlite->digests.is_loaded = true;
        return KW_OK;
    }
    enum kw_status status = kw__write_begin(sqlite);
    if (status != KW_OK) {
        return status;
    }
    status = load_rows(sqlite);
    status = kw__write_end(sqlite, status, NULL);
    sqlite->digests.is_loaded = status == KW_OK;
    return status;
}

static enum kw_status merge_pile(struct kw__sqlite *sqlite)
{
    struct kw__inserts inserts = {.writer = &sqlite->writer, .digests = &sqlite->digests};
    struct kw__sequences last = sqlite->last;
    enum kw_status status = kw__write_begin(sqlite);
    if (status != KW_OK) {
        return status;
    }
    status = kw__digests_merge(&inserts, KW__PILE_ENTRIES_MAX, &last);
    status = status == KW_OK ? kw__sequences_write(&sqlite->writer, &last) : status;
    return kw__write_end(sqlite, status, &last);
}

void kw__digests_merge_all(struct kw__sqlite *sqlite)
{
    struct kw__digests *digests = &sqlite->digests;
    if (!digests->is_loaded) {
        return;
    }
    enum kw_status status = digests->has_closed ? merge_pile(sqlite) : KW_OK;
    if (status == KW_OK && sqlite->last.digests != sqlite->last.commit) {
        close_pile(digests, sqlite->last.commit);
        (void)merge_pile(sqlite);
    }
}
