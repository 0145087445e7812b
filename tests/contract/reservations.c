/* Allowances that are taken ahead of use, as part of a batch. */
#include "contract/behaviours.h"

/* Commits one reservation; it as the commit left it. */
static struct kw_store_reservation reserve_of(struct contract *c, struct kw_store_reservation reservation)
{
    struct kw_store_batch batch = {.reservations = &reservation, .reservation_count = 1};
    reservation.granted = -99;
    reservation.taken = -99;
    CHECK_STATUS(c->t, contract_commit(c, &batch), KW_OK);
    return reservation;
}

static void check_reserve(struct contract *c, struct kw_store_reservation wanted, int64_t granted, int64_t taken)
{
    struct kw_store_reservation done = reserve_of(c, wanted);
    CHECK_I64(c->t, done.granted, granted);
    CHECK_I64(c->t, done.taken, taken);
}

static void check_take(struct contract *c, int64_t limit, int64_t amount, int64_t granted, int64_t taken)
{
    check_reserve(c, contract_reservation(limit, amount), granted, taken);
}

static struct kw_store_reservation credit_of(int64_t amount)
{
    struct kw_store_reservation credit = contract_reservation(0, -amount);
    credit.is_credit = true;
    return credit;
}

static struct contract_reservations read_rows(struct contract *c, uint64_t lineage, struct kw_bytes name,
                                              int64_t from_ms)
{
    struct contract_reservations rows = contract_reservations(c);
    struct kw_id id = contract_id(lineage);
    CHECK_STATUS(c->t, c->store->ops->reservations_read(c->store, &id, name, from_ms, contract_keep_reservation, &rows),
                 KW_OK);
    return rows;
}

void a_reservation_takes_what_is_left(struct contract *c)
{
    check_take(c, 100, 0, 0, 0);
    check_take(c, 100, 30, 30, 30);
    check_take(c, 100, 60, 60, 90);
    REQUIRE(c->t, contract_reopen(c));
    check_take(c, 100, 30, 10, 100);
    check_take(c, 100, 30, 0, 100);
    check_take(c, 105, KW_STORE_AMOUNT_MAX, 5, 105);
    check_take(c, 0, 0, 0, 105);
}

void a_reservation_gives_back_no_more_than_was_taken(struct contract *c)
{
    check_take(c, 100, -10, 0, 0);
    CHECK_I64(c->t, read_rows(c, 1, KW_BYTES("day"), INT64_MIN).count, 0);
    check_take(c, 100, 100, 100, 100);
    check_take(c, 100, -40, -40, 60);
    check_take(c, 100, 50, 40, 100);
    check_take(c, 100, -500, -100, 0);
    check_take(c, 100, -KW_STORE_AMOUNT_MAX, 0, 0);
    REQUIRE(c->t, contract_reopen(c));
    check_take(c, 100, KW_STORE_AMOUNT_MAX, 100, 100);
    check_take(c, 100, -KW_STORE_AMOUNT_MAX, -100, 0);
}

void a_credit_goes_below_nothing(struct contract *c)
{
    check_take(c, 100, 80, 80, 80);
    check_reserve(c, credit_of(200), -200, -120);
    check_take(c, 100, -5, 0, -120); /* no credit: there is nothing to give back */
    REQUIRE(c->t, contract_reopen(c));
    check_take(c, 100, 0, 0, -120);
    check_take(c, 100, 500, 220, 100);
    check_take(c, 100, 1, 0, 100);
    check_reserve(c, credit_of(0), 0, 100);
    struct kw_store_reservation taken_as_credit = contract_reservation(150, 60);
    taken_as_credit.is_credit = true;
    check_reserve(c, taken_as_credit, 50, 150);
}

static void check_same_rows(struct contract *c, const struct contract_reservations *rows,
                            const struct contract_reservations *expected)
{
    REQUIRE(c->t, rows->count == expected->count);
    for (size_t i = 0; i < rows->count; i++) {
        CHECK_I64(c->t, rows->items[i].period_start_ms, expected->items[i].period_start_ms);
        CHECK_I64(c->t, rows->items[i].taken, expected->items[i].taken);
        CHECK_I64(c->t, rows->items[i].until_ms, expected->items[i].until_ms);
    }
}

/* Nor does any other that is granted nothing. */
void a_look_changes_nothing(struct contract *c)
{
    struct kw_store_reservation later[] = {contract_reservation(100, 0), contract_reservation(0, 10),
                                           contract_reservation(100, -10)};
    for (size_t i = 0; i < KW_COUNT_OF(later); i++) {
        check_reserve(c, later[i], 0, 0);
    }
    CHECK_I64(c->t, read_rows(c, 1, KW_BYTES("day"), INT64_MIN).count, 0);
    check_take(c, 100, 40, 40, 40);
    struct contract_reservations before = read_rows(c, 1, KW_BYTES("day"), INT64_MIN);
    REQUIRE(c->t, before.count == 1);
    for (size_t i = 0; i < 2; i++) {
        later[i].until_ms = 9000;
        check_reserve(c, later[i], 0, 40);
    }
    struct contract_reservations after = read_rows(c, 1, KW_BYTES("day"), INT64_MIN);
    check_same_rows(c, &after, &before);
}

void reservations_of_other_names_periods_and_lineages_are_apart(struct contract *c)
{
    struct kw_store_reservation others[6];
    for (size_t i = 0; i < KW_COUNT_OF(others); i++) {
        others[i] = contract_reservation(10, 10);
    }
    others[1].lineage_id = contract_id(2);
    others[2].name = KW_BYTES("da");
    others[3].name = KW_BYTES("days");
    others[4].period_start_ms = 2000;
    others[5].period_start_ms = INT64_MIN;
    for (size_t i = 0; i < KW_COUNT_OF(others); i++) {
        check_reserve(c, others[i], 10, 10);
    }
    for (size_t i = 0; i < KW_COUNT_OF(others); i++) {
        check_reserve(c, others[i], 0, 10);
    }
    CHECK_I64(c->t, read_rows(c, 1, KW_BYTES("day"), INT64_MIN).count, 3);
    CHECK_I64(c->t, read_rows(c, 2, KW_BYTES("day"), INT64_MIN).count, 1);
    CHECK_I64(c->t, read_rows(c, 1, KW_BYTES(""), INT64_MIN).count, 5);
    CHECK_I64(c->t, read_rows(c, 2, KW_BYTES("da"), INT64_MIN).count, 0);
}

static enum kw_status see_note(void *context, const struct kw_store_reservation *reservation)
{
    struct kw_buffer *seen = context;
    kw_buffer_add(seen, reservation->name);
    kw_buffer_add(seen, KW_BYTES("="));
    kw_buffer_add(seen, reservation->note);
    kw_buffer_add(seen, KW_BYTES(" "));
    return kw_buffer_status(seen);
}

static void check_notes(struct contract *c, const char *expected)
{
    uint8_t memory[256];
    struct kw_buffer seen;
    struct kw_id id = contract_id(1);
    kw_buffer_init_fixed(&seen, memory, sizeof memory);
    CHECK_STATUS(c->t, c->store->ops->reservations_read(c->store, &id, KW_BYTES(""), INT64_MIN, see_note, &seen),
                 KW_OK);
    CHECK(c->t, kw_bytes_equal(kw_buffer_bytes(&seen), kw_bytes_of_text(expected)));
}

void a_note_stays_until_another_comes(struct contract *c)
{
    struct kw_store_reservation noted = contract_reservation(100, 0);
    noted.note = KW_BYTES("first");
    check_reserve(c, noted, 0, 0);
    check_notes(c, "day=first ");
    check_take(c, 100, 30, 30, 30);
    check_notes(c, "day=first ");
    noted.name = KW_BYTES("hour");
    check_reserve(c, noted, 0, 0);
    noted.name = KW_BYTES("day");
    noted.note = KW_BYTES("2nd");
    noted.amount = 5;
    check_reserve(c, noted, 5, 35);
    check_notes(c, "day=2nd hour=first ");
    REQUIRE(c->t, contract_reopen(c));
    check_take(c, 100, 0, 0, 35);
    check_notes(c, "day=2nd hour=first ");
}

void a_limit_that_was_lowered_grants_nothing(struct contract *c)
{
    check_take(c, 100, 80, 80, 80);
    check_take(c, 50, 10, 0, 80);
    check_take(c, 0, 10, 0, 80);
    check_take(c, 50, -20, -20, 60);
    check_take(c, 100, 50, 40, 100);
}

void amounts_of_any_size_stay_in_their_bounds(struct contract *c)
{
    const int64_t most = KW_STORE_AMOUNT_MAX;
    check_reserve(c, credit_of(most), -most, -most);
    check_reserve(c, credit_of(1), 0, -most);
    check_reserve(c, credit_of(most), 0, -most);
    check_take(c, INT64_MAX, most, most, 0);
    for (int64_t i = 1; i <= 9; i++) {
        check_take(c, INT64_MAX, most, most, i * most);
    }
    check_take(c, INT64_MAX, most, INT64_MAX - 9 * most, INT64_MAX);
    check_take(c, INT64_MAX, most, 0, INT64_MAX);
    check_reserve(c, credit_of(most), -most, INT64_MAX - most);
    check_take(c, INT64_MAX, 1, 1, INT64_MAX - most + 1);
}

void batches_of_one_commit_share_a_limit(struct contract *c)
{
    const int64_t amounts[] = {30, 30, -20, 30, 30, 30, 0};
    const int64_t granted[] = {30, 30, -20, 30, 30, 0, 0};
    struct kw_store_reservation reservations[2 * KW_COUNT_OF(amounts)];
    struct kw_store_batch batches[KW_COUNT_OF(amounts)] = {0};
    for (size_t i = 0; i < KW_COUNT_OF(amounts); i++) {
        reservations[2 * i] = contract_reservation(100, amounts[i]);
        reservations[2 * i + 1] = contract_reservation(100, 0);
        batches[i] = (struct kw_store_batch){.reservations = &reservations[2 * i], .reservation_count = 2};
    }
    REQUIRE_OK(c->t, c->store->ops->commit(c->store, batches, KW_COUNT_OF(batches)));
    int64_t sum = 0;
    for (size_t i = 0; i < KW_COUNT_OF(amounts); i++) {
        sum += granted[i];
        CHECK_STATUS(c->t, batches[i].outcome, KW_OK);
        CHECK_I64(c->t, reservations[2 * i].granted, granted[i]);
        CHECK_I64(c->t, reservations[2 * i].taken, sum);
        CHECK_I64(c->t, reservations[2 * i + 1].granted, 0);
        CHECK_I64(c->t, reservations[2 * i + 1].taken, sum);
    }
    REQUIRE(c->t, contract_reopen(c));
    check_take(c, 100, 0, 0, 100);
}

void a_batch_that_failed_has_taken_nothing(struct contract *c)
{
    struct kw_store_put twice = contract_put(c, 1, 0);
    struct kw_store_request none = {.at_ms = 1};
    struct kw_store_reservation reservations[4];
    for (size_t i = 0; i < KW_COUNT_OF(reservations); i++) {
        reservations[i] = contract_reservation(100, 40);
    }
    struct kw_store_batch batches[KW_COUNT_OF(reservations)] = {
        {.puts = &twice, .put_count = 1},
        {.puts = &twice, .put_count = 1},
        {.requests = &none, .request_count = 1},
    };
    const enum kw_status outcomes[] = {KW_OK, KW_E_CONFLICT, KW_E_INVALID, KW_OK};
    for (size_t i = 0; i < KW_COUNT_OF(reservations); i++) {
        batches[i].reservations = &reservations[i];
        batches[i].reservation_count = 1;
    }
    REQUIRE_OK(c->t, c->store->ops->commit(c->store, batches, KW_COUNT_OF(batches)));
    for (size_t i = 0; i < KW_COUNT_OF(batches); i++) {
        CHECK_STATUS(c->t, batches[i].outcome, outcomes[i]);
    }
    CHECK_I64(c->t, reservations[0].taken, 40);
    CHECK_I64(c->t, reservations[3].granted, 40);
    CHECK_I64(c->t, reservations[3].taken, 80);
    CHECK_STATUS(c->t, contract_commit(c, &batches[1]), KW_E_CONFLICT); /* alone, too */
    REQUIRE(c->t, contract_reopen(c));
    check_take(c, 100, 0, 0, 80);
}

void a_credit_comes_with_its_audit_line(struct contract *c)
{
    struct kw_store_reservation credit = credit_of(30);
    struct kw_store_audit line = contract_audit(c, 1, 1);
    struct kw_store_put put = contract_put(c, 1, 0);
    struct kw_store_batch batch = {.puts = &put,
                                   .put_count = 1,
                                   .audits = &line,
                                   .audit_count = 1,
                                   .reservations = &credit,
                                   .reservation_count = 1};
    REQUIRE_OK(c->t, contract_commit(c, &batch));
    CHECK_STATUS(c->t, contract_commit(c, &batch), KW_E_CONFLICT);
    REQUIRE(c->t, contract_reopen(c));
    struct kw_store_audit_filter filter = {.limit = 10};
    struct contract_audits lines = contract_audits(c);
    REQUIRE_OK(c->t, c->store->ops->audit_query(c->store, &filter, contract_keep_audit, &lines));
    CHECK_I64(c->t, lines.count, 1);
    check_take(c, 100, 0, 0, -30);
}

#define SUMS 8 /* two lineages, two names, two periods */
#define BATCHES_MAX 4
#define RESERVATIONS_MAX 3

static struct kw_store_reservation random_reservation(struct contract *c, size_t *sum_out)
{
    size_t sum = test_random_below(c->t, SUMS);
    struct kw_store_reservation reservation =
        contract_reservation((int64_t)test_random_below(c->t, 60), (int64_t)test_random_below(c->t, 60) - 20);
    reservation.lineage_id = contract_id(1 + sum % 2);
    reservation.name = sum / 2 % 2 == 0 ? KW_BYTES("day") : KW_BYTES("month");
    reservation.period_start_ms = (int64_t)(sum / 4);
    reservation.is_credit = test_random_below(c->t, 4) == 0;
    *sum_out = sum;
    return reservation;
}

/* In words that are not the store's. */
static int64_t plain_sum(int64_t taken, const struct kw_store_reservation *reservation)
{
    int64_t step = reservation->amount < 0 ? -1 : 1;
    for (int64_t i = 0; i < reservation->amount * step; i++) {
        bool may_go_on = step > 0 ? taken < reservation->limit : taken > 0 || reservation->is_credit;
        taken += may_go_on ? step : 0;
    }
    return taken;
}

/* One commit of random batches, of which some come to nothing, against sums that are kept beside. */
static void commit_some(struct contract *c, int64_t sums[SUMS])
{
    struct kw_store_put there = contract_put(c, 1, 0);
    struct kw_store_reservation reservations[BATCHES_MAX][RESERVATIONS_MAX];
    struct kw_store_batch batches[BATCHES_MAX] = {0};
    int64_t granted[BATCHES_MAX][RESERVATIONS_MAX] = {{0}};
    int64_t taken[BATCHES_MAX][RESERVATIONS_MAX] = {{0}};
    size_t batch_count = 1 + test_random_below(c->t, BATCHES_MAX);
    for (size_t i = 0; i < batch_count; i++) {
        bool fails = test_random_below(c->t, 4) == 0;
        batches[i] = (struct kw_store_batch){.puts = &there,
                                             .put_count = fails,
                                             .reservations = reservations[i],
                                             .reservation_count = 1 + test_random_below(c->t, RESERVATIONS_MAX)};
        for (size_t j = 0; j < batches[i].reservation_count; j++) {
            size_t sum = 0;
            reservations[i][j] = random_reservation(c, &sum);
            int64_t before = sums[sum];
            sums[sum] = fails ? before : plain_sum(before, &reservations[i][j]);
            granted[i][j] = sums[sum] - before;
            taken[i][j] = sums[sum];
        }
    }
    REQUIRE_OK(c->t, c->store->ops->commit(c->store, batches, batch_count));
    for (size_t i = 0; i < batch_count; i++) {
        CHECK_STATUS(c->t, batches[i].outcome, batches[i].put_count > 0 ? KW_E_CONFLICT : KW_OK);
        for (size_t j = 0; j < batches[i].reservation_count && batches[i].put_count == 0; j++) {
            CHECK_I64(c->t, reservations[i][j].granted, granted[i][j]);
            CHECK_I64(c->t, reservations[i][j].taken, taken[i][j]);
        }
    }
}

void reservations_agree_with_a_plain_sum(struct contract *c)
{
    int64_t sums[SUMS] = {0};
    REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, 1, 0)));
    for (size_t round = 0; round < 60 && c->t->failures == 0; round++) {
        commit_some(c, sums);
    }
    REQUIRE(c->t, contract_reopen(c));
    for (size_t sum = 0; sum < SUMS; sum++) {
        struct contract_reservations rows =
            read_rows(c, 1 + sum % 2, sum / 2 % 2 == 0 ? KW_BYTES("day") : KW_BYTES("month"), 0);
        int64_t taken = 0;
        for (size_t i = 0; i < rows.count; i++) {
            taken += rows.items[i].period_start_ms == (int64_t)(sum / 4) ? rows.items[i].taken : 0;
        }
        CHECK_I64(c->t, taken, sums[sum]);
    }
}

void reservations_are_read_in_order_until_their_end(struct contract *c)
{
    const int64_t starts[] = {30, -10, INT64_MIN, 20, 0};
    const int64_t in_order[] = {INT64_MIN, -10, 0, 20, 30};
    for (size_t i = 0; i < KW_COUNT_OF(starts); i++) {
        struct kw_store_reservation row = contract_reservation(100, (int64_t)i + 1);
        row.period_start_ms = starts[i];
        row.until_ms = starts[i] == INT64_MIN ? INT64_MAX : starts[i] + 10;
        check_reserve(c, row, (int64_t)i + 1, (int64_t)i + 1);
    }
    REQUIRE(c->t, contract_reopen(c));
    struct contract_reservations all = read_rows(c, 1, KW_BYTES("day"), INT64_MIN);
    REQUIRE(c->t, all.count == KW_COUNT_OF(in_order));
    for (size_t i = 0; i < all.count; i++) {
        CHECK_I64(c->t, all.items[i].period_start_ms, in_order[i]);
        CHECK_BYTES(c->t, all.items[i].name, KW_BYTES("day"));
        CHECK(c->t, contract_id_equal(all.items[i].lineage_id, contract_id(1)));
        CHECK_I64(c->t, all.items[i].limit | all.items[i].amount | all.items[i].granted, 0);
    }
    CHECK_I64(c->t, all.items[0].taken, 3);
    CHECK_I64(c->t, all.items[0].until_ms, INT64_MAX);
    CHECK_I64(c->t, all.items[4].taken, 1);
    CHECK_I64(c->t, read_rows(c, 1, KW_BYTES("day"), 9).count, 4);
    struct contract_reservations some = read_rows(c, 1, KW_BYTES("day"), 10);
    REQUIRE(c->t, some.count == 3);
    CHECK_I64(c->t, some.items[1].period_start_ms, 20);
    CHECK_I64(c->t, read_rows(c, 3, KW_BYTES("day"), INT64_MIN).count, 0);

    struct contract_reservations stopped = contract_reservations(c);
    struct kw_id id = contract_id(1);
    stopped.stop_after = 2;
    stopped.answer = KW_E_LIMIT;
    CHECK_STATUS(
        c->t, c->store->ops->reservations_read(c->store, &id, KW_BYTES("day"), 0, contract_keep_reservation, &stopped),
        KW_E_LIMIT);
    CHECK_I64(c->t, stopped.count, 2);
}

void the_latest_end_of_a_reservation_stays(struct contract *c)
{
    const int64_t ends[] = {2000, 5000, 3000, INT64_MIN};
    uint64_t removed = 99;
    for (size_t i = 0; i < KW_COUNT_OF(ends); i++) {
        struct kw_store_reservation row = contract_reservation(100, i == 2 ? -1 : 2);
        row.until_ms = ends[i];
        CHECK_I64(c->t, reserve_of(c, row).granted, row.amount);
    }
    REQUIRE(c->t, contract_reopen(c));
    struct contract_reservations rows = read_rows(c, 1, KW_BYTES("day"), 4999);
    REQUIRE(c->t, rows.count == 1);
    CHECK_I64(c->t, rows.items[0].until_ms, 5000);
    CHECK_I64(c->t, rows.items[0].taken, 5);
    REQUIRE_OK(c->t, c->store->ops->reservations_prune(c->store, 4999, 10, &removed));
    CHECK_I64(c->t, removed, 0);
    REQUIRE_OK(c->t, c->store->ops->reservations_prune(c->store, 5000, 10, &removed));
    CHECK_I64(c->t, removed, 1);
    check_take(c, 100, 1, 1, 1); /* the row begins again */
}

void reservations_are_pruned_in_steps(struct contract *c)
{
    const uint64_t expected[] = {2, 1, 0};
    uint64_t removed = 99;
    for (int64_t i = 1; i <= 5; i++) {
        struct kw_store_reservation row = contract_reservation(100, i);
        row.period_start_ms = i;
        row.until_ms = 6 - i;
        check_reserve(c, row, i, i);
    }
    CHECK_STATUS(c->t, c->store->ops->reservations_prune(c->store, 3, 0, &removed), KW_E_LIMIT);
    CHECK_STATUS(c->t, c->store->ops->reservations_prune(c->store, 3, KW_STORE_LIST_MAX + 1, &removed), KW_E_LIMIT);
    CHECK_I64(c->t, removed, 99);
    for (size_t i = 0; i < KW_COUNT_OF(expected); i++) {
        REQUIRE_OK(c->t, c->store->ops->reservations_prune(c->store, 3, 2, &removed));
        CHECK_I64(c->t, removed, expected[i]);
    }
    REQUIRE(c->t, contract_reopen(c));
    struct contract_reservations rows = read_rows(c, 1, KW_BYTES("day"), INT64_MIN);
    REQUIRE(c->t, rows.count == 2);
    CHECK_I64(c->t, rows.items[0].taken, 1);
    CHECK_I64(c->t, rows.items[1].taken, 2);
    REQUIRE_OK(c->t, c->store->ops->reservations_prune(c->store, INT64_MAX, KW_STORE_LIST_MAX, &removed));
    CHECK_I64(c->t, removed, 2);
}

static void check_refused(struct contract *c, struct kw_store_reservation reservation, enum kw_status expected)
{
    struct kw_store_reservation both[] = {contract_reservation(100, 10), reservation};
    struct kw_store_batch batch = {.reservations = both, .reservation_count = 2};
    CHECK_STATUS(c->t, contract_commit(c, &batch), expected);
}

void reservations_beyond_the_caps_are_refused(struct contract *c)
{
    static const uint8_t name[KW_STORE_NAME_MAX + 1] = {'x'};
    struct kw_store_reservation *many =
        kw_arena_take_array(&c->arena, KW_STORE_RESERVATIONS_MAX + 1, sizeof(struct kw_store_reservation));
    REQUIRE(c->t, many != NULL);
    check_refused(c, contract_reservation(-1, 1), KW_E_INVALID);
    check_refused(c, contract_reservation(100, KW_STORE_AMOUNT_MAX + 1), KW_E_LIMIT);
    check_refused(c, contract_reservation(100, -KW_STORE_AMOUNT_MAX - 1), KW_E_LIMIT);
    check_refused(c, contract_reservation(100, INT64_MIN), KW_E_LIMIT);
    struct kw_store_reservation named = contract_reservation(100, 1);
    named.name = kw_bytes_of(name, sizeof name);
    check_refused(c, named, KW_E_LIMIT);
    struct contract_reservations rows = contract_reservations(c);
    struct kw_id id = contract_id(1);
    CHECK_STATUS(c->t, c->store->ops->reservations_read(c->store, &id, named.name, 0, contract_keep_reservation, &rows),
                 KW_E_LIMIT);
    named.name.size--;
    check_reserve(c, named, 1, 1);

    for (size_t i = 0; i <= KW_STORE_RESERVATIONS_MAX; i++) {
        many[i] = contract_reservation(2 * KW_STORE_RESERVATIONS_MAX, 1);
    }
    struct kw_store_batch batch = {.reservations = many, .reservation_count = KW_STORE_RESERVATIONS_MAX + 1};
    CHECK_STATUS(c->t, contract_commit(c, &batch), KW_E_LIMIT);
    check_take(c, 100, 0, 0, 0);
    batch.reservation_count = KW_STORE_RESERVATIONS_MAX;
    REQUIRE_OK(c->t, contract_commit(c, &batch));
    CHECK_I64(c->t, many[KW_STORE_RESERVATIONS_MAX - 1].taken, KW_STORE_RESERVATIONS_MAX);
}
