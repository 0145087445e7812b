#include "engine/quotas.h"

#include "base/bytes.h"
#include "base/time.h"
#include "core/amount.h"
#include "core/id.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "engine/account.h"
#include "engine/charge.h"
#include "engine/funds.h"
#include "engine/tell.h"

/* Which claims of a key are meant: the quotas whose metric is reported, or one by its name, or all that there are. */
struct selection {
    const struct kw_usage_report *report;
    struct kw_bytes name;
    bool has_limits;
};

static int64_t amount_of(const struct kw_usage_report *report, struct kw_bytes metric)
{
    for (size_t i = 0; i < report->amount_count; i++) {
        if (kw_bytes_equal(report->amounts[i].metric, metric)) {
            return report->amounts[i].amount;
        }
    }
    return 0;
}

static bool is_meant(const struct selection *selection, const struct kw_claim *claim)
{
    if (!claim->is_quota) {
        return selection->has_limits;
    }
    if (selection->report != NULL) { /* what several quotas share is spent once */
        return claim->second == 0 && amount_of(selection->report, claim->quota.metric) > 0;
    }
    return selection->name.size == 0 || kw_bytes_equal(claim->quota.name, selection->name);
}

/* The claims that are meant, beyond the read section. No claims where the key is not in the index. */
static enum kw_status select_claims(struct kw_engine *engine, const struct selection *selection, struct kw_arena *arena,
                                    struct kw_quota_change *change)
{
    struct kw_claim claims[KW_CLAIMS_MAX];
    size_t count = 0;
    kw_index_read_begin();
    struct kw_entry *entry = kw_index_find(engine->index, &change->digest);
    if (entry != NULL) {
        kw__charge_of(entry, true, 1, kw_engine_now_ms(engine), claims, &change->charge);
        kw__charge_name(engine, entry, &change->charge);
        for (size_t i = 0; i < change->charge.claim_count; i++) {
            if (is_meant(selection, &claims[i])) {
                claims[count++] = claims[i];
            }
        }
    }
    bool is_kept = kw__fund_keep_names(arena, claims, count);
    kw_index_read_end();
    change->claims = kw_arena_take_array(arena, count + 1, sizeof *change->claims);
    change->wants = kw_arena_take_array(arena, count + 1, sizeof *change->wants);
    change->reservations = kw_arena_take_array(arena, count + 1, sizeof *change->reservations);
    if (!is_kept || change->claims == NULL || change->wants == NULL || change->reservations == NULL) {
        return KW_E_MEMORY;
    }
    memcpy(change->claims, claims, count * sizeof *claims);
    for (size_t i = 0; selection->name.size > 0 && i < count; i++) {
        change->claims[i].second = 0; /* the others are not among them */
    }
    change->charge.claims = change->claims;
    change->charge.claim_count = count;
    for (size_t per = 0; per < KW_PER_COUNT; per++) {
        change->charge.accounts[per].place = &change->places[per];
    }
    return KW_OK;
}

/* How much of each quota is to be taken, or below 0 to be given. The store is asked in the period that is running. */
static enum kw_status reserve(struct kw_engine *engine, struct kw_quota_change *change, const int64_t *amounts)
{
    bool any;
    enum kw_status status = kw_ledger_want(engine->ledger, &change->charge, change->wants, &any);
    for (size_t i = 0; i < change->charge.claim_count && status == KW_OK; i++) {
        const struct kw_claim *claim = &change->claims[i];
        struct kw_want *want = &change->wants[i];
        want->kind = KW_WANT_QUOTA;
        want->marks = 0;
        struct kw_store_reservation *reservation = &change->reservations[change->reservation_count++];
        *reservation = (struct kw_store_reservation){
            .lineage_id = change->charge.accounts[claim->per].id,
            .name = kw__fund_name(&engine->writer_state->arena, 'q', claim->id),
            .period_start_ms = want->period.start_ms,
            .until_ms = want->period.end_ms,
            .amount = amounts[i],
            .limit = KW_STORE_AMOUNT_MAX,
            .is_credit = amounts[i] < 0,
        };
        status = reservation->name.data == NULL ? KW_E_MEMORY : KW_OK;
    }
    return status;
}

/* What the store said, for the ledger. */
static void take_answers(struct kw_quota_change *change)
{
    for (size_t i = 0; i < change->reservation_count; i++) {
        change->wants[i].granted = change->reservations[i].granted;
        change->wants[i].taken = change->reservations[i].taken;
    }
}

/* --- reports --- */

enum kw_status kw__quotas_report(struct kw_engine *engine, const struct kw_store_row *row,
                                 const struct kw_usage_report *report, struct kw_quota_change *change_out)
{
    struct kw_arena *arena = &engine->writer_state->arena;
    const struct selection selection = {.report = report};
    *change_out = (struct kw_quota_change){.claims = NULL};
    enum kw_status status = kw__row_digest(row, &change_out->digest);
    status = status == KW_OK ? kw__index_row(engine, row) : status; /* it may not have come there yet */
    status = status == KW_OK ? select_claims(engine, &selection, arena, change_out) : status;
    int64_t *amounts =
        status == KW_OK ? kw_arena_take_array(arena, change_out->charge.claim_count + 1, sizeof *amounts) : NULL;
    for (size_t i = 0; amounts != NULL && i < change_out->charge.claim_count; i++) {
        amounts[i] = amount_of(report, change_out->claims[i].quota.metric);
    }
    status = status == KW_OK && amounts == NULL ? KW_E_MEMORY : status;
    return status == KW_OK && change_out->charge.claim_count > 0 ? reserve(engine, change_out, amounts) : status;
}

void kw__quotas_reported(struct kw_engine *engine, const struct kw_quota_change *change)
{
    struct kw_quota_change told = *change;
    if (told.charge.claim_count == 0) {
        return;
    }
    take_answers(&told);
    kw_ledger_report(engine->ledger, &told.charge, told.wants);
    kw_index_read_begin();
    const struct kw_entry *entry = kw_index_find(engine->index, &told.digest);
    if (entry != NULL) {
        kw__note_funds(engine, entry); /* which tells of the marks that were reached */
    }
    kw_index_read_end();
}

/* --- how quotas and limits stand --- */

struct taken_search {
    int64_t period_start_ms, taken;
};

static enum kw_status see_taken(void *context, const struct kw_store_reservation *row)
{
    struct taken_search *search = context;
    search->taken = row->period_start_ms == search->period_start_ms ? row->taken : search->taken;
    return KW_OK;
}

/* Of a quota that nobody has asked for since the start: what the store has as taken, and nothing beside it. */
static enum kw_status look_in_store(struct kw_engine *engine, struct kw_arena *arena,
                                    const struct kw_quota_change *change, size_t at, struct kw_quota_answer *answer_out)
{
    const struct kw_claim *claim = &change->claims[at];
    struct kw_quota_state state = {.is_known = false};
    struct kw_span period = kw_quota_period(&state, &claim->quota, change->charge.now_ms);
    struct taken_search search = {.period_start_ms = period.start_ms};
    struct kw_bytes name = kw__fund_name(arena, 'q', claim->id);
    enum kw_status status =
        name.data == NULL ? KW_E_MEMORY
                          : engine->store->ops->reservations_read(
                                engine->store, &change->charge.accounts[claim->per].id, name, 0, see_taken, &search);
    if (status == KW_OK && kw_quota_grant(&state, &claim->quota, period.start_ms, 0, search.taken)) {
        *answer_out = kw_quota_look(&state, &claim->quota, change->charge.now_ms, 0);
    }
    return status;
}

/* What the ledger does not know is asked of the store. */
static enum kw_status look(struct kw_engine *engine, struct kw_arena *arena, const struct kw_quota_change *change,
                           union kw_claim_answer *answers)
{
    enum kw_status status = kw_ledger_look(engine->ledger, &change->charge, answers);
    for (size_t i = 0; status == KW_OK && i < change->charge.claim_count; i++) {
        const struct kw_claim *claim = &change->claims[i];
        if (claim->is_quota && answers[i].quota.outcome == KW_QUOTA_UNFUNDED) {
            status = look_in_store(engine, arena, change, i, &answers[i].quota);
        } else if (!claim->is_quota && !answers[i].limit.is_asked) {
            struct kw_want *want = &change->wants[i];
            *want = (struct kw_want){.kind = KW_WANT_NOTE};
            status = kw__fund_find_note(engine, arena, &change->charge.accounts[claim->per].id, claim->id, want);
            answers[i].limit = kw_ledger_look_at_note(engine->ledger, &claim->limit, want, change->charge.now_ms);
        }
    }
    return status;
}

/* Whether a single request is held to the limit: what a quota throttles, only beyond the quota. */
static bool is_held_to(const struct kw_quota_change *change, const union kw_claim_answer *answers, size_t at)
{
    const struct kw_claim *claim = &change->claims[at];
    if (claim->throttles == 0) {
        return true;
    }
    bool counts_requests = kw_bytes_equal(change->claims[claim->throttles - 1].quota.metric, KW_BYTES("requests"));
    return answers[claim->throttles - 1].quota.remaining < (counts_requests ? KW_AMOUNT_ONE : 1);
}

static void write_limit(const struct kw_claim *claim, const struct kw_limit_answer *answer, struct kw_json_writer *json)
{
    const struct kw_rate_limit *limit = &claim->limit;
    char window[KW_DURATION_TEXT_MAX];
    char resets_at[KW_TIME_TEXT_SIZE];
    int64_t used = KW_RATE_LIMIT_REQUESTS_MAX - answer->remaining;
    kw_duration_format(limit->window_ms, window);
    kw_time_format(answer->resets_at_ms, resets_at);
    kw_json_begin_object(json);
    kw_json_name(json, "name");
    kw_json_string(json, limit->name);
    kw_json_name(json, "per");
    kw_json_text(json, kw_limit_per_name(limit->per));
    kw_json_name(json, "limit");
    kw_json_i64(json, limit->requests);
    kw_json_name(json, "window");
    kw_json_text(json, window);
    kw_json_name(json, "used");
    kw_json_i64(json, used);
    kw_json_name(json, "remaining");
    kw_json_i64(json, used < limit->requests ? limit->requests - used : 0);
    kw_json_name(json, "resetsAt");
    kw_json_string(json, kw_bytes_of(resets_at, sizeof resets_at));
    kw_json_end_object(json);
}

static void write_standings(const struct kw_quota_change *change, const union kw_claim_answer *answers,
                            struct kw_json_writer *json)
{
    kw_json_name(json, "quotas");
    kw_json_begin_array(json);
    for (size_t i = 0; i < change->charge.claim_count; i++) {
        if (change->claims[i].is_quota) {
            struct kw_quota_status standing;
            kw__quota_status(&change->claims[i].quota, &answers[i].quota, &standing);
            kw_quota_status_write_json(&standing, json);
        }
    }
    kw_json_end_array(json);
    kw_json_name(json, "rateLimits");
    kw_json_begin_array(json);
    for (size_t i = 0; i < change->charge.claim_count; i++) {
        if (!change->claims[i].is_quota && is_held_to(change, answers, i)) {
            write_limit(&change->claims[i], &answers[i].limit, json);
        }
    }
    kw_json_end_array(json);
}

enum kw_status kw__standings_write_json(struct kw_engine *engine, const struct kw_digest *digest,
                                        struct kw_json_writer *json)
{
    struct kw_arena arena;
    struct kw_quota_change change = {.digest = *digest};
    const struct selection all = {.has_limits = true};
    kw_arena_init(&arena, NULL, 0, (size_t)1 << 20);
    enum kw_status status = select_claims(engine, &all, &arena, &change);
    union kw_claim_answer *answers =
        status == KW_OK ? kw_arena_take_array(&arena, change.charge.claim_count + 1, sizeof *answers) : NULL;
    status = status == KW_OK && answers == NULL ? KW_E_MEMORY : status;
    status = status == KW_OK ? look(engine, &arena, &change, answers) : status;
    if (status == KW_OK) {
        write_standings(&change, answers, json);
    }
    kw_arena_reset(&arena);
    return status;
}

/* --- credits --- */

static enum kw_status refuse_no_quota(struct kw_op *op)
{
    return kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "quota",
                     "is none of this key's: \"quotas\" of its usage lists them by name");
}

static void write_credit(const struct kw_quota_change *change, struct kw_json_writer *json)
{
    kw__tell_text(json, "quota", change->claims[0].quota.name);
    kw_amount_write_json(json, "credited", -change->reservations[0].amount);
}

/* The audit line and the event of a credit. */
static enum kw_status account(struct kw_engine *engine, const struct kw_op *op, const struct kw_record *record,
                              const struct kw_quota_change *change, struct kw_store_batch *batch)
{
    struct kw_writer *writer = engine->writer_state;
    struct kw_store_audit *audit = kw_arena_take(&writer->arena, sizeof *audit);
    struct kw_store_event *event = kw_arena_take(&writer->arena, sizeof *event);
    struct kw_json_writer json;
    if (audit == NULL || event == NULL) {
        return KW_E_MEMORY;
    }
    *audit = (struct kw_store_audit){.at_ms = op->now_ms,
                                     .project = record->project,
                                     .key_id = record->id,
                                     .owner = record->owner,
                                     .action = KW_BYTES("quota.credited")};
    *event = (struct kw_store_event){
        .at_ms = op->now_ms, .project = record->project, .key_id = record->id, .type = KW_BYTES("key.quota.credited")};
    kw__line_begin(engine, &json);
    kw__tell_id(&json, "keyId", &op->id);
    write_credit(change, &json);
    enum kw_status status = kw__line_end(engine, &json, &audit->body);
    if (status == KW_OK) {
        kw__tell_begin(engine, record, false, &json, event);
        kw__tell_text(&json, "actor", kw__tell_actor(op));
        kw__tell_text(&json, "reason", op->reason);
        write_credit(change, &json);
        status = kw__tell_end(engine, &json, event);
    }
    if (status != KW_OK) {
        return status;
    }
    *batch = (struct kw_store_batch){.audits = audit,
                                     .audit_count = 1,
                                     .events = event,
                                     .event_count = 1,
                                     .reservations = change->reservations,
                                     .reservation_count = change->reservation_count};
    status = kw__account_who(engine, op, audit);
    return status != KW_OK ? status : kw__draw_id(engine, op->now_ms, &event->id);
}

static enum kw_status find_record(struct kw_engine *engine, struct kw_op *op, struct kw_found *found,
                                  struct kw_record *record)
{
    const struct kw_project *project = kw_project_by_number(kw__catalog(engine), op->project);
    found->arena = &engine->writer_state->arena;
    if (project == NULL) {
        return kw__project_gone(&op->error);
    }
    enum kw_status status = engine->store->ops->find_by_id(engine->store, &op->id, kw__found_sink, found);
    status = status == KW_OK ? kw_record_decode(found->row.record, record) : status;
    if (status == KW_OK && !kw_bytes_equal(record->project, project->name)) {
        status = KW_E_NOT_FOUND;
    }
    if (status == KW_OK) {
        status = kw__index_row(engine, &found->row);
    }
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}

/* All that was used, where the credit says no amount. */
static enum kw_status used_of(struct kw_engine *engine, const struct kw_quota_change *change, int64_t *used_out)
{
    union kw_claim_answer answers[1] = {{.quota = {.used = 0}}};
    enum kw_status status = kw_ledger_look(engine->ledger, &change->charge, answers);
    if (status == KW_OK && answers[0].quota.outcome == KW_QUOTA_UNFUNDED) {
        status = look_in_store(engine, &engine->writer_state->arena, change, 0, &answers[0].quota);
    }
    *used_out = answers[0].quota.used;
    return status;
}

static enum kw_status credit(struct kw_engine *engine, struct kw_op *op)
{
    struct kw_found found = {.arena = NULL};
    struct kw_record record;
    struct kw_quota_change change = {.claims = NULL};
    const struct selection selection = {.name = op->credit->quota};
    struct kw_store_batch batch;
    op->now_ms = kw_engine_now_ms(engine);
    enum kw_status status = find_record(engine, op, &found, &record);
    if (status != KW_OK) {
        return status;
    }
    status = kw__row_digest(&found.row, &change.digest);
    status = status == KW_OK ? select_claims(engine, &selection, &engine->writer_state->arena, &change) : status;
    if (status == KW_OK && change.charge.claim_count == 0) {
        return refuse_no_quota(op);
    }
    change.charge.claim_count = 1; /* names are those of one quota, or of what came from above as well: the first */
    int64_t amount = op->credit->amount;
    status = status == KW_OK && amount == 0 ? used_of(engine, &change, &amount) : status;
    amount = -amount;
    status = status == KW_OK ? reserve(engine, &change, &amount) : status;
    status = status == KW_OK ? account(engine, op, &record, &change, &batch) : status;
    status = status == KW_OK ? engine->store->ops->commit(engine->store, &batch, 1) : status;
    kw__tell_committed(engine);
    status = status == KW_OK ? batch.outcome : status;
    if (status == KW_OK) {
        take_answers(&change);
        change.wants[0].granted = 0; /* it is nobody's reserve, but less is taken */
        kw_ledger_fund(engine->ledger, &change.charge, change.wants, true);
        struct kw_json_writer json;
        kw_json_writer_init(&json, &op->result);
        union kw_claim_answer answers[1] = {{.quota = {.used = 0}}};
        struct kw_quota_status standing;
        status = kw_ledger_look(engine->ledger, &change.charge, answers);
        kw__quota_status(&change.claims[0].quota, &answers[0].quota, &standing);
        kw_quota_status_write_json(&standing, &json);
        status = status == KW_OK ? kw_buffer_status(&op->result) : status;
    }
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}

void kw__credit_write(struct kw_engine *engine, struct kw_op *op)
{
    op->status = credit(engine, op);
    kw_arena_reset(&engine->writer_state->arena);
    op->done(op);
}
