/* A batch that comes in pieces, since it is too much to be held at once: it is one batch like any other. */
#include "contract/behaviours.h"

#define KEYS 300
#define KEYS_IN_A_PIECE 7

/* Gives the keys from 1 on, each with its line and its event. */
struct pieces {
    struct contract *c;
    uint64_t replaces;
    size_t given, asked;
    size_t wrong_at;        /* the key that is of another version; 0: none */
    size_t refuse_at;       /* the piece that is not given; 0: none */
    struct kw_arena memory; /* of one piece: a store that looks into an earlier one is seen by the sanitizer */
};

static enum kw_status next_piece(void *context, struct kw_store_batch *piece_out)
{
    struct pieces *pieces = context;
    size_t left = KEYS - pieces->given;
    size_t count = left < KEYS_IN_A_PIECE ? left : KEYS_IN_A_PIECE;
    struct contract c = *pieces->c;
    if (++pieces->asked == pieces->refuse_at) {
        return KW_E_DENIED;
    }
    kw_arena_reset(&pieces->memory);
    if (count == 0) {
        return KW_OK;
    }
    c.arena = pieces->memory;
    struct kw_store_put *puts = kw_arena_take_array(&c.arena, count, sizeof *puts);
    struct kw_store_audit *audits = kw_arena_take_array(&c.arena, count, sizeof *audits);
    struct kw_store_event *events = kw_arena_take_array(&c.arena, count, sizeof *events);
    for (size_t i = 0; i < count; i++) {
        uint64_t number = ++pieces->given;
        puts[i] = contract_put(&c, number, number == pieces->wrong_at ? 77 : pieces->replaces);
        audits[i] = contract_audit(&c, number, (int64_t)number);
        events[i] = contract_event(&c, number + KEYS * pieces->replaces, 0);
    }
    pieces->memory = c.arena;
    *piece_out = (struct kw_store_batch){.puts = puts,
                                         .put_count = count,
                                         .audits = audits,
                                         .audit_count = count,
                                         .events = events,
                                         .event_count = count};
    return KW_OK;
}

static enum kw_status commit_pieces(struct pieces *pieces, uint64_t *sequence_out)
{
    struct kw_store_batch batch = {.next = next_piece, .context = pieces};
    kw_arena_init(&pieces->memory, NULL, 0, 1048576);
    enum kw_status status = contract_commit(pieces->c, &batch);
    kw_arena_reset(&pieces->memory);
    *sequence_out = batch.sequence;
    return status;
}

static void check_all(struct contract *c, uint64_t version, size_t told)
{
    struct contract_audits audits = contract_audits(c);
    struct kw_store_audit_filter lines = {.limit = KW_STORE_LIST_MAX};
    for (uint64_t number = 1; number <= KEYS; number++) {
        struct kw_store_put put = contract_put(c, number, version - 1);
        contract_check_found(c, number, version == 0 ? NULL : &put);
    }
    CHECK_STATUS(c->t, c->store->ops->audit_query(c->store, &lines, contract_keep_audit, &audits), KW_OK);
    CHECK_I64(c->t, audits.count, told);
    for (size_t i = 1; i < audits.count; i++) {
        CHECK(c->t, audits.items[i].sequence > audits.items[i - 1].sequence);
    }
    struct contract_events events = contract_events(c);
    CHECK_STATUS(c->t, c->store->ops->events_claim(c->store, 0, 0, KW_STORE_LIST_MAX, contract_keep_event, &events),
                 KW_OK);
    CHECK_I64(c->t, events.count, told);
}

void a_batch_may_come_in_pieces(struct contract *c)
{
    uint64_t first = 0;
    uint64_t second = 0;
    uint64_t count = 0;
    struct pieces made = {.c = c};
    struct pieces changed = {.c = c, .replaces = 1};
    REQUIRE_OK(c->t, commit_pieces(&made, &first));
    check_all(c, 1, KEYS);
    REQUIRE_OK(c->t, commit_pieces(&changed, &second));
    REQUIRE(c->t, contract_reopen(c));
    check_all(c, 2, 2 * (size_t)KEYS);
    CHECK(c->t, second > first);
    CHECK_STATUS(c->t, c->store->ops->count(c->store, KW_BYTES("default"), &count), KW_OK);
    CHECK_I64(c->t, count, KEYS);
    /* All of it is of one sequence: a follower never sees a part. */
    struct contract_rows rows = contract_rows(c);
    CHECK_STATUS(c->t, c->store->ops->changes(c->store, first, 1, contract_keep_row, &rows), KW_OK);
    CHECK_I64(c->t, rows.count, KEYS);
    CHECK(c->t, rows.count > 0 && rows.items[0].sequence == second);
}

void what_is_wrong_with_a_late_piece_takes_all_back(struct contract *c)
{
    uint64_t sequence = 0;
    struct pieces made = {.c = c};
    struct pieces wrong = {.c = c, .replaces = 1, .wrong_at = KEYS - 1};
    struct pieces refused = {.c = c, .replaces = 1, .refuse_at = 9};
    struct pieces good = {.c = c, .replaces = 1};
    REQUIRE_OK(c->t, commit_pieces(&made, &sequence));
    CHECK_STATUS(c->t, commit_pieces(&wrong, &sequence), KW_E_CONFLICT);
    check_all(c, 1, KEYS);
    /* Who gives the pieces may stop: that is the batch's own outcome, and no failure of the store. */
    struct kw_store_batch batch = {.next = next_piece, .context = &refused};
    kw_arena_init(&refused.memory, NULL, 0, 1048576);
    CHECK_STATUS(c->t, c->store->ops->commit(c->store, &batch, 1), KW_OK);
    CHECK_STATUS(c->t, batch.outcome, KW_E_DENIED);
    kw_arena_reset(&refused.memory);
    CHECK_I64(c->t, refused.asked, 9);
    REQUIRE(c->t, contract_reopen(c));
    check_all(c, 1, KEYS);
    REQUIRE_OK(c->t, commit_pieces(&good, &sequence));
    check_all(c, 2, 2 * (size_t)KEYS);
}

void a_batch_in_pieces_is_committed_alone(struct contract *c)
{
    struct pieces pieces = {.c = c};
    struct kw_store_put put = contract_put(c, KEYS + 1, 0);
    struct kw_store_batch batches[] = {{.puts = &put, .put_count = 1}, {.next = next_piece, .context = &pieces}};
    kw_arena_init(&pieces.memory, NULL, 0, 1048576);
    REQUIRE_OK(c->t, c->store->ops->commit(c->store, batches, 2));
    CHECK_STATUS(c->t, batches[0].outcome, KW_OK);
    CHECK_STATUS(c->t, batches[1].outcome, KW_E_INVALID);
    CHECK_I64(c->t, pieces.asked, 0);
    check_all(c, 0, 0);
    /* Beside its pieces it may have a part of its own. */
    struct kw_store_put own = contract_put(c, KEYS + 2, 0);
    struct kw_store_batch both = {.puts = &own, .put_count = 1, .next = next_piece, .context = &pieces};
    CHECK_STATUS(c->t, contract_commit(c, &both), KW_OK);
    kw_arena_reset(&pieces.memory);
    contract_check_found(c, KEYS + 2, &own);
    check_all(c, 1, KEYS);
}
