/* A process that dies by SIGKILL while it commits: what it was told is written is there, and nothing in half. */
#include "contract/contract.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 6
#define GROUP 3        /* batches in one commit */
#define ACKS_MAX 40    /* commits that are waited for before the kill */
#define COUNTER 0xffff /* the number of a row that every batch changes */
#define PART 3         /* taken by each batch */
#define ALL 1000       /* more than ROUNDS * ACKS_MAX * GROUP */

/* Batch `number` (1, 2, …): two rows of its own, a new version of the counter, a line, an event, a part of an
 * allowance. */
static struct kw_store_batch batch_of(struct contract *c, uint64_t number)
{
    struct kw_store_put *puts = kw_arena_take_array(&c->arena, 3, sizeof *puts);
    struct kw_store_audit *line = kw_arena_take(&c->arena, sizeof *line);
    struct kw_store_event *event = kw_arena_take(&c->arena, sizeof *event);
    struct kw_store_reservation *part = kw_arena_take(&c->arena, sizeof *part);
    if (puts == NULL || line == NULL || event == NULL || part == NULL) {
        _exit(3);
    }
    puts[0] = contract_put(c, 2 * number, 0);
    puts[1] = contract_put(c, 2 * number + 1, 0);
    puts[2] = contract_put(c, COUNTER, number - 1);
    *line = contract_audit(c, number, (int64_t)number);
    *event = contract_event(c, number, (int64_t)number);
    *part = contract_reservation(COUNTER, PART);
    return (struct kw_store_batch){.puts = puts,
                                   .put_count = 3,
                                   .audits = line,
                                   .audit_count = 1,
                                   .events = event,
                                   .event_count = 1,
                                   .reservations = part,
                                   .reservation_count = 1};
}

/* In the child: commits group after group, and says so after each, until it is killed. */
static void commit_for_ever(struct contract *c, uint64_t first, int report)
{
    c->store = NULL;
    if (!contract_open(c)) {
        _exit(1);
    }
    for (uint64_t number = first;; number += GROUP) {
        struct kw_store_batch batches[GROUP];
        for (uint64_t i = 0; i < GROUP; i++) {
            batches[i] = batch_of(c, number + i);
        }
        enum kw_status status = c->store->ops->commit(c->store, batches, GROUP);
        for (uint64_t i = 0; i < GROUP; i++) {
            status = status == KW_OK ? batches[i].outcome : status;
        }
        uint64_t last = number + GROUP - 1;
        if (status != KW_OK || write(report, &last, sizeof last) != (ssize_t)sizeof last) {
            _exit(2);
        }
        kw_arena_reset(&c->arena);
    }
}

/* Starts a child, waits for some acknowledgements, kills it. The last batch it acknowledged; 0: none. */
static uint64_t run_and_kill(struct contract *c, uint64_t first, uint64_t acks)
{
    int ends[2];
    uint64_t last = 0;
    int child_status = 0;
    if (pipe(ends) != 0) {
        return 0;
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        commit_for_ever(c, first, ends[1]);
    }
    close(ends[1]);
    for (uint64_t i = 0; i < acks; i++) {
        if (read(ends[0], &last, sizeof last) != (ssize_t)sizeof last) {
            break;
        }
    }
    kill(child, SIGKILL);
    waitpid(child, &child_status, 0);
    CHECK(c->t, WIFSIGNALED(child_status));
    /* What it still managed to say counts as acknowledged. */
    while (read(ends[0], &last, sizeof last) == (ssize_t)sizeof last) {
    }
    close(ends[0]);
    return last;
}

static uint64_t count_events(struct contract *c)
{
    struct contract_events events = contract_events(c);
    CHECK_STATUS(c->t, c->store->ops->events_claim(c->store, 0, 0, ALL, contract_keep_event, &events), KW_OK);
    return events.count;
}

/* What is taken of the allowance. */
static int64_t read_taken(struct contract *c)
{
    struct contract_reservations rows = contract_reservations(c);
    struct kw_id id = contract_id(1);
    CHECK_STATUS(c->t,
                 c->store->ops->reservations_read(c->store, &id, KW_BYTES("day"), 0, contract_keep_reservation, &rows),
                 KW_OK);
    return rows.count == 0 ? 0 : rows.items[0].taken;
}

/* The last batch that is there; every one up to it must be whole, and nothing of a later one. */
static uint64_t look_at_what_is_left(struct contract *c)
{
    struct contract_rows counter = contract_rows(c);
    struct kw_id id = contract_id(COUNTER);
    enum kw_status status = c->store->ops->find_by_id(c->store, &id, contract_keep_row, &counter);
    CHECK(c->t, status == KW_OK || status == KW_E_NOT_FOUND);
    uint64_t last = counter.count == 0 ? 0 : counter.items[0].version;
    uint64_t count = 0;
    CHECK_STATUS(c->t, c->store->ops->count(c->store, KW_BYTES("default"), &count), KW_OK);
    CHECK_I64(c->t, count, last == 0 ? 0 : 2 * last + 1);
    for (uint64_t number = 1; number <= last; number++) {
        struct kw_store_batch batch = batch_of(c, number);
        contract_check_found(c, 2 * number, &batch.puts[0]);
        contract_check_found(c, 2 * number + 1, &batch.puts[1]);
    }
    contract_check_found(c, 2 * last + 2, NULL);
    struct kw_store_audit_filter filter = {.limit = ALL};
    struct contract_audits lines = contract_audits(c);
    uint64_t line_count = 0;
    do {
        lines.count = 0;
        CHECK_STATUS(c->t, c->store->ops->audit_query(c->store, &filter, contract_keep_audit, &lines), KW_OK);
        line_count += lines.count;
        filter.after = lines.count > 0 ? lines.items[lines.count - 1].sequence : filter.after;
    } while (lines.count == ALL);
    CHECK_I64(c->t, line_count, last);
    CHECK_I64(c->t, count_events(c), last);
    CHECK_I64(c->t, read_taken(c), PART * last);
    return last;
}

static void what_was_acknowledged_survives_a_kill(struct test *t)
{
    struct contract c;
    uint64_t last = 0;
    if (contract_begin(&c, t, &contract_sqlite)) {
        for (int round = 0; round < ROUNDS && t->failures == 0; round++) {
            uint64_t acknowledged = run_and_kill(&c, last + 1, test_random_below(t, ACKS_MAX));
            REQUIRE(t, contract_open(&c));
            uint64_t found = look_at_what_is_left(&c);
            CHECK(t, found >= acknowledged && found >= last);
            CHECK(t, acknowledged == 0 || found <= acknowledged + GROUP);
            last = found;
            c.store->ops->close(c.store);
            c.store = NULL;
            kw_arena_reset(&c.arena);
        }
        CHECK(t, last > 0);
    }
    contract_end(&c);
}

static void another_process_is_held_off_until_the_first_is_dead(struct test *t)
{
    struct contract c;
    int ends[2];
    char ready = 0;
    if (contract_begin(&c, t, &contract_sqlite) && pipe(ends) == 0) {
        pid_t child = fork();
        if (child == 0) {
            ready = contract_open(&c) ? 'y' : 'n';
            (void)!write(ends[1], &ready, 1);
            for (;;) {
                pause();
            }
        }
        CHECK_I64(t, read(ends[0], &ready, 1), 1);
        CHECK_I64(t, ready, 'y');
        struct kw_error error = {0};
        CHECK_STATUS(t, kw_store_sqlite_open(c.path, &c.store, &error), KW_E_BUSY);
        CHECK_TEXT(t, error.code, "DATA_IN_USE");
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(ends[0]);
        close(ends[1]);
        CHECK(t, contract_open(&c));
    }
    contract_end(&c);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(what_was_acknowledged_survives_a_kill),
        TEST_CASE(another_process_is_held_off_until_the_first_is_dead),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
