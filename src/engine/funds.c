#include "engine/funds.h"

#include "base/bytes.h"
#include "engine/charge.h"
#include "engine/tell.h"
#include "engine/writer.h"

#define NOTE_UNTIL_MS \
    (3 * KW_RATE_LIMIT_WINDOW_MS_MAX + INT64_C(86400000)) /* two epochs of its reserve, and a window */
#define TOGETHER KW_ENGINE_GROUP_MAX
#define ROUNDS_MAX 16 /* of requests of one account that came together */

/* One request, or one word that a verification has left, on its way to its funds. In the group's arena. */
struct funding {
    struct kw_op *op; /* NULL: nobody waits for it */
    struct kw_told_key key;
    struct kw_charge charge;
    struct kw_claim *claims;
    struct kw_want *wants;
    uint64_t places[KW_PER_COUNT];
    struct kw_store_batch *batch; /* NULL: not in this round */
    bool is_done;
    enum kw_status status;
};

/* --- what a request needs --- */

bool kw__fund_keep_names(struct kw_arena *arena, struct kw_claim *claims, size_t count)
{
    bool is_kept = true;
    for (size_t i = 0; i < count && is_kept; i++) {
        struct kw_claim *claim = &claims[i];
        struct kw_bytes *texts[] = {claim->is_quota ? &claim->quota.name : &claim->limit.name, &claim->quota.metric};
        for (size_t j = 0; j < (claim->is_quota ? KW_COUNT_OF(texts) : 1) && is_kept; j++) {
            uint8_t *copy = kw_arena_take(arena, texts[j]->size + 1);
            is_kept = copy != NULL;
            if (is_kept) {
                memcpy(copy, texts[j]->data, texts[j]->size);
                texts[j]->data = copy;
            }
        }
    }
    return is_kept;
}

static bool keep_charge(struct kw_engine *engine, struct funding *funding, const struct kw_digest *digest,
                        uint32_t cost)
{
    struct kw_claim claims[KW_CLAIMS_MAX];
    struct kw_arena *arena = &engine->writer_state->arena;
    kw_index_read_begin();
    struct kw_entry *entry = kw_index_find(engine->index, digest);
    size_t count = 0;
    if (entry != NULL) {
        kw__charge_of(entry, true, cost, kw_engine_now_ms(engine), claims, &funding->charge);
        kw__charge_name(engine, entry, &funding->charge);
        funding->key = (struct kw_told_key){.id = kw_entry_id(entry), .project = entry->project, .digest = *digest};
        count = funding->charge.claim_count;
    }
    bool is_kept = kw__fund_keep_names(arena, claims, count);
    kw_index_read_end();
    for (size_t per = 0; per < KW_PER_COUNT; per++) {
        funding->charge.accounts[per].place = &funding->places[per];
    }
    funding->charge.claim_count = count;
    funding->claims = kw_arena_take_array(arena, count + 1, sizeof *funding->claims);
    funding->wants = kw_arena_take_array(arena, count + 1, sizeof *funding->wants);
    if (!is_kept || funding->claims == NULL || funding->wants == NULL) {
        return false;
    }
    memcpy(funding->claims, claims, count * sizeof *claims);
    funding->charge.claims = funding->claims;
    return true;
}

/* --- notes of earlier lives --- */

struct note_search {
    const struct kw_engine *engine;
    struct kw_bytes name;
    struct kw_want *want;
    bool is_own;
    uint32_t window_ms; /* of another's that was taken */
};

/* When a reserve that a note speaks of was spent at the latest. */
static int64_t dead_by(const struct kw_engine *engine, int64_t life_ms)
{
    return life_ms == engine->clean_life_ms  ? KW_LIMIT_UNSPENT
           : life_ms < engine->clean_life_ms ? engine->clean_life_ms
                                             : engine->life_ms;
}

/*
 * The claim's own note, or that of the longest window: the limit may have another name by now. This life's own notes
 * say nothing: the account was given up since, because it was idle.
 */
static enum kw_status see_note(void *context, const struct kw_store_reservation *row)
{
    struct note_search *search = context;
    int64_t life_ms;
    struct kw_bytes note = kw__fund_note_read(row, &life_ms);
    uint32_t window_ms = kw_limit_note_window(note);
    bool is_own = kw_bytes_equal(row->name, search->name);
    if (window_ms == 0 || life_ms == search->engine->life_ms ||
        (!is_own && (search->is_own || window_ms <= search->window_ms))) {
        return KW_OK;
    }
    search->is_own = search->want->is_own = is_own;
    search->window_ms = window_ms;
    search->want->dead_by_ms = dead_by(search->engine, life_ms);
    search->want->note_size = note.size;
    memcpy(search->want->note, note.data, note.size);
    return KW_OK;
}

enum kw_status kw__fund_find_note(struct kw_engine *engine, struct kw_arena *arena, const struct kw_id *account,
                                  uint32_t claim, struct kw_want *want)
{
    struct note_search search = {.engine = engine, .name = kw__fund_name(arena, 'r', claim), .want = want};
    return search.name.data == NULL ? KW_E_MEMORY
                                    : engine->store->ops->reservations_read(
                                          engine->store, account, (struct kw_bytes){NULL, 0}, 0, see_note, &search);
}

/* Reads what the claims of a request ask for, and gives it to the ledger. */
static enum kw_status read_notes(struct kw_engine *engine, struct funding *funding)
{
    bool any = false;
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < funding->charge.claim_count && status == KW_OK; i++) {
        struct kw_want *want = &funding->wants[i];
        const struct kw_claim *claim = &funding->claims[i];
        if (want->kind != KW_WANT_NOTE) {
            continue;
        }
        any = true;
        status = kw__fund_find_note(engine, &engine->writer_state->arena, &funding->charge.accounts[claim->per].id,
                                    claim->id, want);
    }
    for (size_t i = 0; any && i < funding->charge.claim_count; i++) { /* the store has not been asked for these */
        struct kw_want *want = &funding->wants[i];
        want->kind = want->kind == KW_WANT_NOTE ? KW_WANT_NOTE : KW_WANT_NOTHING;
    }
    if (any && status == KW_OK) {
        kw_ledger_fund(engine->ledger, &funding->charge, funding->wants, true);
        bool wants_more;
        status = kw_ledger_want(engine->ledger, &funding->charge, funding->wants, &wants_more);
    }
    return status;
}

/* --- reserves --- */

static bool add_reservation(struct kw_engine *engine, const struct funding *funding, size_t at,
                            struct kw_store_reservation *reservation)
{
    const struct kw_want *want = &funding->wants[at];
    const struct kw_claim *claim = &funding->claims[at];
    struct kw_arena *arena = &engine->writer_state->arena;
    bool is_quota = want->kind == KW_WANT_QUOTA;
    *reservation = (struct kw_store_reservation){.lineage_id = funding->charge.accounts[claim->per].id,
                                                 .name = kw__fund_name(arena, is_quota ? 'q' : 'r', claim->id)};
    if (reservation->name.data == NULL) {
        return false;
    }
    if (is_quota) {
        reservation->period_start_ms = want->period.start_ms;
        reservation->until_ms = want->period.end_ms;
        reservation->amount = want->amount;
        reservation->limit = kw_quota_ceiling(&claim->quota);
        return true;
    }
    reservation->note = kw__fund_note(engine, kw_bytes_of(want->note, want->note_size));
    reservation->until_ms = funding->charge.now_ms + NOTE_UNTIL_MS;
    return reservation->note.data != NULL;
}

static bool bind(struct kw_engine *engine, struct funding *funding, struct kw_store_batch *batch)
{
    struct kw_arena *arena = &engine->writer_state->arena;
    struct kw_store_reservation *reservations =
        kw_arena_take_array(arena, funding->charge.claim_count + 1, sizeof *reservations);
    *batch = (struct kw_store_batch){.reservations = reservations};
    for (size_t i = 0; reservations != NULL && i < funding->charge.claim_count; i++) {
        enum kw_want_kind kind = funding->wants[i].kind;
        if (kind == KW_WANT_RESERVE || kind == KW_WANT_QUOTA) {
            if (!add_reservation(engine, funding, i, &reservations[batch->reservation_count++])) {
                return false;
            }
        }
    }
    return reservations != NULL && kw__fund_tell(engine, &funding->key, &funding->charge, funding->wants, batch);
}

/* What of one account is under way in this round is not asked for twice: the second would not know of the first. */
static bool is_under_way(const struct funding *fundings, size_t index)
{
    const struct funding *funding = &fundings[index];
    for (size_t i = 0; i < index; i++) {
        for (size_t per = 0; per < KW_PER_COUNT && fundings[i].batch != NULL; per++) {
            const struct kw_id *id = &fundings[i].charge.accounts[per].id;
            if (!kw_id_is_none(id) && kw_id_equal(id, &funding->charge.accounts[per].id)) {
                return true;
            }
        }
    }
    return false;
}

static void end(struct funding *funding, enum kw_status status)
{
    funding->is_done = true;
    funding->status = status;
}

/* Ends it, or gives it a batch of this round. */
static void prepare(struct kw_engine *engine, struct funding *fundings, size_t index)
{
    struct funding *funding = &fundings[index];
    struct kw_writer *writer = engine->writer_state;
    bool wants_any = false;
    funding->batch = NULL;
    if (is_under_way(fundings, index)) {
        return;
    }
    enum kw_status status = kw_ledger_want(engine->ledger, &funding->charge, funding->wants, &wants_any);
    status = status == KW_OK && wants_any ? read_notes(engine, funding) : status;
    struct kw_store_batch *batch = &writer->batches[writer->batch_count];
    if (status == KW_OK && !bind(engine, funding, batch)) {
        status = KW_E_MEMORY;
    }
    bool has_mark = status == KW_OK && !kw_ledger_is_open(engine->ledger) && writer->batch_count == 0;
    if (has_mark && !kw__fund_mark(engine, batch)) {
        status = KW_E_MEMORY;
    }
    if (status != KW_OK) {
        end(funding, status);
    } else if (batch->reservation_count > 0 || has_mark) {
        funding->batch = batch;
        writer->batch_count++;
    } else {
        kw_ledger_fund(engine->ledger, &funding->charge, funding->wants, true);
        end(funding, KW_OK);
    }
}

static void settle(struct kw_engine *engine, struct funding *funding)
{
    const struct kw_store_batch *batch = funding->batch;
    bool is_done = batch->outcome == KW_OK;
    for (size_t i = 0, at = 0; i < funding->charge.claim_count; i++) {
        struct kw_want *want = &funding->wants[i];
        if (want->kind == KW_WANT_RESERVE || want->kind == KW_WANT_QUOTA) {
            want->granted = batch->reservations[at].granted;
            want->taken = batch->reservations[at++].taken;
        }
    }
    if (is_done && batch->setting_count > 0) {
        kw_ledger_open(engine->ledger);
    }
    kw_ledger_fund(engine->ledger, &funding->charge, funding->wants, is_done);
    __atomic_fetch_add(&engine->reservations, is_done ? batch->reservation_count : 0, __ATOMIC_RELAXED);
    end(funding, is_done ? KW_OK : batch->outcome);
}

/* The mark is durable before any of the others counts: it stands in the first batch, and they are written in order. */
static size_t do_round(struct kw_engine *engine, struct funding *fundings, size_t count)
{
    struct kw_writer *writer = engine->writer_state;
    size_t left = 0;
    writer->batch_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!fundings[i].is_done) {
            prepare(engine, fundings, i);
        }
    }
    enum kw_status status = writer->batch_count == 0
                                ? KW_OK
                                : engine->store->ops->commit(engine->store, writer->batches, writer->batch_count);
    __atomic_store_n(&engine->writable, status == KW_OK, __ATOMIC_RELAXED);
    kw__tell_committed(engine);
    for (size_t i = 0; i < count; i++) {
        if (!fundings[i].is_done && fundings[i].batch != NULL) {
            settle(engine, &fundings[i]);
        }
        left += !fundings[i].is_done;
        fundings[i].batch = NULL;
    }
    return left;
}

static void fund_all(struct kw_engine *engine, struct funding *fundings, size_t count)
{
    size_t left = count;
    for (int round = 0; round < ROUNDS_MAX && left > 0; round++) {
        left = do_round(engine, fundings, count);
    }
}

void kw__funds_write(struct kw_engine *engine, struct kw_op *chain)
{
    struct kw_arena *arena = &engine->writer_state->arena;
    struct funding *fundings = kw_arena_take_array(arena, TOGETHER, sizeof *fundings);
    size_t count = 0;
    for (struct kw_op *op = chain; op != NULL; op = op->next) {
        __atomic_fetch_add(&engine->funds_waited, 1, __ATOMIC_RELAXED);
        op->status = fundings == NULL ? KW_E_MEMORY : KW_OK;
        if (fundings != NULL) {
            fundings[count] = (struct funding){.op = op};
            bool is_kept = keep_charge(engine, &fundings[count], &op->entry_digest, op->cost);
            fundings[count].charge.is_trial = op->is_trial;
            op->status = is_kept ? KW_OK : KW_E_MEMORY;
            count += is_kept;
        }
    }
    if (count > 0) {
        fund_all(engine, fundings, count);
    }
    for (size_t i = 0; i < count; i++) {
        fundings[i].op->status = fundings[i].status;
    }
    for (struct kw_op *op = chain, *next; op != NULL; op = next) {
        next = op->next;
        if (op->status != KW_OK) {
            op->status = kw__store_failed(&op->error, op->status);
        }
        op->done(op);
    }
    kw_arena_reset(arena);
}

/* --- ahead of use --- */

void kw__note_funds(struct kw_engine *engine, const struct kw_entry *entry)
{
    struct kw_fund_notes *notes = &engine->fund_notes;
    if (__atomic_exchange_n(&notes->lock, 1, __ATOMIC_ACQUIRE) != 0) {
        return; /* the next one that finds too little waits for it */
    }
    if (notes->count < KW_FUND_NOTES_MAX) {
        struct kw_digest *digest = &notes->items[notes->count++];
        digest->size = sizeof entry->digest;
        memcpy(digest->bytes, entry->digest, sizeof entry->digest);
    }
    __atomic_store_n(&notes->lock, 0, __ATOMIC_RELEASE);
}

/* At most TOGETHER of them; 0 also when somebody is just writing to the list. */
static size_t take_notes(struct kw_engine *engine, struct kw_digest *digests_out)
{
    struct kw_fund_notes *notes = &engine->fund_notes;
    size_t count = 0;
    if (__atomic_exchange_n(&notes->lock, 1, __ATOMIC_ACQUIRE) != 0) {
        return 0;
    }
    while (count < TOGETHER && notes->count > 0) {
        digests_out[count++] = notes->items[--notes->count];
    }
    __atomic_store_n(&notes->lock, 0, __ATOMIC_RELEASE);
    return count;
}

void kw__funds_fill(struct kw_engine *engine)
{
    struct kw_arena *arena = &engine->writer_state->arena;
    struct kw_digest digests[TOGETHER];
    size_t taken;
    while ((taken = take_notes(engine, digests)) > 0) {
        struct funding *fundings = kw_arena_take_array(arena, taken, sizeof *fundings);
        size_t count = 0;
        for (size_t i = 0; i < taken && fundings != NULL; i++) {
            fundings[count] = (struct funding){.op = NULL};
            count += keep_charge(engine, &fundings[count], &digests[i], 1);
        }
        if (count > 0) {
            fund_all(engine, fundings, count);
        }
        kw_arena_reset(arena);
    }
}
