/* Several threads at one store. Threads note what they see; the checks are made when they have ended. */
#include "contract/contract.h"

#include <pthread.h>

#define THREADS 4
#define ROUNDS 60
#define LIMIT 100

struct worker {
    struct kw_store *store;
    unsigned number;
    enum kw_status status; /* the first failure */
    int64_t sum;
};

static void note(struct worker *worker, enum kw_status status)
{
    worker->status = worker->status == KW_OK ? status : worker->status;
}

static void run_workers(struct test *t, struct kw_store *store, void *(*work)(void *worker), struct worker *workers)
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = store, .number = i};
        CHECK_I64(t, pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_STATUS(t, workers[i].status, KW_OK);
    }
}

static const struct contract_kind *const kinds[] = {&contract_memory, &contract_sqlite};

/* Takes in odd pieces, gives some back, and adds up what it holds. */
static void *reserve_pieces(void *argument)
{
    struct worker *worker = argument;
    for (int i = 0; i < ROUNDS; i++) {
        struct kw_store_reservation piece = contract_reservation(LIMIT, (i * 7 + worker->number) % 9);
        struct kw_store_batch batch = {.reservations = &piece, .reservation_count = 1};
        if (i % 5 == 4) {
            piece.amount = worker->sum > 2 ? -2 : 0;
        }
        note(worker, worker->store->ops->commit(worker->store, &batch, 1));
        note(worker, batch.outcome);
        worker->sum += piece.granted;
        bool is_sound = piece.granted <= (piece.amount > 0 ? piece.amount : 0) && piece.taken <= LIMIT;
        note(worker, is_sound ? KW_OK : KW_E_LIMIT);
    }
    return NULL;
}

static void a_limit_is_never_passed(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(kinds); i++) {
        struct contract c;
        if (contract_begin(&c, t, kinds[i]) && contract_open(&c)) {
            struct worker workers[THREADS];
            int64_t sum = 0;
            run_workers(t, c.store, reserve_pieces, workers);
            for (size_t worker = 0; worker < THREADS; worker++) {
                sum += workers[worker].sum;
            }
            struct kw_store_reservation rest = contract_reservation(LIMIT, KW_STORE_AMOUNT_MAX);
            struct kw_store_batch batch = {.reservations = &rest, .reservation_count = 1};
            CHECK_STATUS(t, contract_commit(&c, &batch), KW_OK);
            CHECK_I64(t, sum + rest.granted, LIMIT);
            CHECK_I64(t, rest.taken, LIMIT);
        }
        contract_end(&c);
    }
}

/* What is taken of two periods, as one read saw it. */
struct taken {
    int64_t sums[2];
    size_t count;
};

static enum kw_status keep_taken(void *context, const struct kw_store_reservation *row)
{
    struct taken *taken = context;
    taken->sums[taken->count++ % 2] = row->taken;
    return KW_OK;
}

/* Thread 0 takes of both periods in one batch; the others read, and must see both or neither, and never less again. */
static void *reserve_or_read_pairs(void *argument)
{
    struct worker *worker = argument;
    struct kw_id id = contract_id(1);
    for (int i = 0; i < ROUNDS; i++) {
        if (worker->number == 0) {
            struct kw_store_reservation pair[] = {contract_reservation(LIMIT, 1), contract_reservation(LIMIT, 1)};
            struct kw_store_batch batch = {.reservations = pair, .reservation_count = 2};
            pair[1].period_start_ms++;
            note(worker, worker->store->ops->commit(worker->store, &batch, 1));
            note(worker, batch.outcome);
            continue;
        }
        struct taken taken = {0};
        note(worker, worker->store->ops->reservations_read(worker->store, &id, KW_BYTES("day"), 0, keep_taken, &taken));
        bool is_whole = taken.count % 2 == 0 && taken.sums[0] == taken.sums[1] && taken.sums[0] >= worker->sum;
        note(worker, is_whole ? KW_OK : KW_E_CORRUPT);
        worker->sum = taken.sums[0];
    }
    return NULL;
}

static void readers_see_whole_reservations(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(kinds); i++) {
        struct contract c;
        if (contract_begin(&c, t, kinds[i]) && contract_open(&c)) {
            struct worker workers[THREADS];
            struct kw_id id = contract_id(1);
            struct taken taken = {0};
            run_workers(t, c.store, reserve_or_read_pairs, workers);
            CHECK_STATUS(t, c.store->ops->reservations_read(c.store, &id, KW_BYTES("day"), 0, keep_taken, &taken),
                         KW_OK);
            CHECK_I64(t, taken.count, 2);
            CHECK_I64(t, taken.sums[0], ROUNDS);
            CHECK_I64(t, taken.sums[1], ROUNDS);
        }
        contract_end(&c);
    }
}

static enum kw_status keep_version(void *context, const struct kw_store_row *row)
{
    *(uint64_t *)context = row->version;
    return KW_OK;
}

static struct kw_store_put bare_put(uint64_t number, uint64_t replaces, const struct kw_id *digest)
{
    return (struct kw_store_put){.row = {.id = contract_id(number),
                                         .digest = kw_bytes_of(digest->bytes, sizeof digest->bytes),
                                         .project = KW_BYTES("default"),
                                         .version = replaces + 1},
                                 .replaces = replaces};
}

/* Reads the version of row 1, and tries to replace it: of those who saw the same one, one succeeds. */
static void *race_for_a_version(void *argument)
{
    struct worker *worker = argument;
    struct kw_id id = contract_id(1);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t version = 0;
        note(worker, worker->store->ops->find_by_id(worker->store, &id, keep_version, &version));
        struct kw_store_put put = bare_put(1, version, &id);
        struct kw_store_batch batch = {.puts = &put, .put_count = 1};
        note(worker, worker->store->ops->commit(worker->store, &batch, 1));
        note(worker, batch.outcome == KW_E_CONFLICT ? KW_OK : batch.outcome);
        worker->sum += batch.outcome == KW_OK;
    }
    return NULL;
}

static void each_version_is_replaced_once(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(kinds); i++) {
        struct contract c;
        if (contract_begin(&c, t, kinds[i]) && contract_open(&c)) {
            struct worker workers[THREADS];
            struct kw_id id = contract_id(1);
            uint64_t version = 0;
            int64_t sum = 0;
            CHECK_STATUS(t, contract_commit_put(&c, bare_put(1, 0, &id)), KW_OK);
            run_workers(t, c.store, race_for_a_version, workers);
            for (size_t worker = 0; worker < THREADS; worker++) {
                sum += workers[worker].sum;
            }
            CHECK(t, sum >= ROUNDS);
            CHECK_STATUS(t, c.store->ops->find_by_id(c.store, &id, keep_version, &version), KW_OK);
            CHECK_I64(t, version, sum + 1);
        }
        contract_end(&c);
    }
}

/* Versions of rows 1 and 2 as one list saw them. */
struct pair {
    uint64_t versions[2];
    size_t count;
};

static enum kw_status keep_pair(void *context, const struct kw_store_row *row)
{
    struct pair *pair = context;
    pair->versions[pair->count++ % 2] = row->version;
    return KW_OK;
}

/* Thread 0 changes both rows in one batch; the others list, and must see both or neither. */
static void *change_or_list_pairs(void *argument)
{
    struct worker *worker = argument;
    struct kw_id ids[] = {contract_id(1), contract_id(2)};
    for (uint64_t version = 1; version <= ROUNDS; version++) {
        if (worker->number == 0) {
            struct kw_store_put puts[] = {bare_put(1, version, &ids[0]), bare_put(2, version, &ids[1])};
            struct kw_store_batch batch = {.puts = puts, .put_count = 2};
            note(worker, worker->store->ops->commit(worker->store, &batch, 1));
            note(worker, batch.outcome);
            continue;
        }
        struct kw_store_filter filter = {.project = KW_BYTES("default"), .limit = 10};
        struct pair pair = {0};
        note(worker, worker->store->ops->list(worker->store, &filter, keep_pair, &pair));
        note(worker, pair.count == 2 && pair.versions[0] == pair.versions[1] ? KW_OK : KW_E_CORRUPT);
    }
    return NULL;
}

static void readers_see_whole_batches(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(kinds); i++) {
        struct contract c;
        if (contract_begin(&c, t, kinds[i]) && contract_open(&c)) {
            struct worker workers[THREADS];
            struct kw_id ids[] = {contract_id(1), contract_id(2)};
            struct kw_store_put puts[] = {bare_put(1, 0, &ids[0]), bare_put(2, 0, &ids[1])};
            CHECK_STATUS(t, contract_commit_puts(&c, puts, 2), KW_OK);
            run_workers(t, c.store, change_or_list_pairs, workers);
        }
        contract_end(&c);
    }
}

/* Everything else at once, for the thread sanitizer. */
static void *use_everything(void *argument)
{
    struct worker *worker = argument;
    const struct kw_store_ops *ops = worker->store->ops;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct kw_id id = contract_id(worker->number * 1000 + i + 1);
        struct kw_store_put put = bare_put(worker->number * 1000 + i + 1, 0, &id);
        struct kw_store_audit line = {.at_ms = (int64_t)i, .project = KW_BYTES("default"), .key_id = id};
        struct kw_store_event event = {.id = id, .project = KW_BYTES("default")};
        struct kw_store_setting setting = {KW_BYTES("name"), KW_BYTES("value")};
        struct kw_store_request request = contract_request(worker->number * 1000 + i + 1, (int64_t)i);
        struct kw_store_reservation reservation = contract_reservation(LIMIT, 1);
        struct kw_store_batch batch = {.puts = &put,
                                       .put_count = 1,
                                       .audits = &line,
                                       .audit_count = 1,
                                       .events = &event,
                                       .event_count = 1,
                                       .settings = &setting,
                                       .setting_count = 1,
                                       .requests = &request,
                                       .request_count = 1,
                                       .reservations = &reservation,
                                       .reservation_count = 1};
        struct taken taken = {0};
        struct kw_store_usage use = {contract_id(1), KW_BYTES("verify"), 0, 1};
        uint64_t number = 0;
        size_t size = 0;
        note(worker, ops->commit(worker->store, &batch, 1));
        note(worker, batch.outcome);
        note(worker, ops->usage_add(worker->store, &use, 1, NULL, 0));
        note(worker, ops->count(worker->store, KW_BYTES("default"), &number));
        note(worker, ops->setting(worker->store, KW_BYTES("name"), NULL, 0, &size));
        note(worker, ops->find_by_digest(worker->store, put.row.digest, keep_version, &number));
        note(worker, ops->events_settle(worker->store, &id));
        note(worker, ops->audit_prune(worker->store, KW_BYTES("default"), 1, 10, &number));
        struct kw_store_request found;
        note(worker, ops->request_find(worker->store, request.name, &found));
        note(worker, ops->request_prune(worker->store, 0, 10, &number));
        note(worker, ops->reservations_read(worker->store, &id, KW_BYTES("day"), 0, keep_taken, &taken));
        note(worker, ops->reservations_prune(worker->store, 2000, 10, &number));
    }
    return NULL;
}

static enum kw_status add_up(void *context, const struct kw_store_usage *usage)
{
    *(int64_t *)context += usage->amount;
    return KW_OK;
}

static void everything_may_be_done_at_once(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(kinds); i++) {
        struct contract c;
        if (contract_begin(&c, t, kinds[i]) && contract_open(&c)) {
            struct worker workers[THREADS];
            struct kw_id id = contract_id(1);
            uint64_t count = 0;
            int64_t use = 0;
            run_workers(t, c.store, use_everything, workers);
            CHECK_STATUS(t, c.store->ops->count(c.store, KW_BYTES("default"), &count), KW_OK);
            CHECK_I64(t, count, THREADS * ROUNDS);
            CHECK_STATUS(t, c.store->ops->usage_read(c.store, KW_BYTES(""), &id, 0, 1, add_up, &use), KW_OK);
            CHECK_I64(t, use, THREADS * ROUNDS);
        }
        contract_end(&c);
    }
}

struct commit_beside {
    struct contract *c;
    bool was_committed;
};

static void *commit_one(void *argument)
{
    struct commit_beside *beside = argument;
    struct kw_id id = contract_id(2);
    struct kw_store_put put = bare_put(2, 0, &id);
    struct kw_store_batch batch = {.puts = &put, .put_count = 1};
    enum kw_status status = beside->c->store->ops->commit(beside->c->store, &batch, 1);
    beside->was_committed = status == KW_OK && batch.outcome == KW_OK;
    return NULL;
}

/* Waits, inside the sink, for another thread's commit: with a lock in common neither would ever end. */
static enum kw_status wait_for_a_commit(void *context, const struct kw_store_row *row)
{
    pthread_t thread;
    (void)row;
    return pthread_create(&thread, NULL, commit_one, context) == 0 && pthread_join(thread, NULL) == 0 ? KW_OK
                                                                                                      : KW_E_SYSTEM;
}

static void sqlite_reads_beside_the_writer(struct test *t)
{
    struct contract c;
    if (contract_begin(&c, t, &contract_sqlite) && contract_open(&c)) {
        struct commit_beside beside = {.c = &c};
        struct kw_id id = contract_id(1);
        uint64_t count = 0;
        CHECK_STATUS(t, contract_commit_put(&c, bare_put(1, 0, &id)), KW_OK);
        CHECK_STATUS(t, c.store->ops->find_by_id(c.store, &id, wait_for_a_commit, &beside), KW_OK);
        CHECK(t, beside.was_committed);
        CHECK_STATUS(t, c.store->ops->count(c.store, KW_BYTES("default"), &count), KW_OK);
        CHECK_I64(t, count, 2);
    }
    contract_end(&c);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_limit_is_never_passed),        TEST_CASE(readers_see_whole_reservations),
        TEST_CASE(each_version_is_replaced_once),  TEST_CASE(readers_see_whole_batches),
        TEST_CASE(everything_may_be_done_at_once), TEST_CASE(sqlite_reads_beside_the_writer),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
