#include "base/bytes.h"
#include "base/json.h"
#include "core/amount.h"
#include "core/id.h"
#include "engine/once.h"
#include "engine/quotas.h"
#include "engine/usage_rows.h"
#include "engine/usage_table.h"

/* Amounts of metrics that a product reports after the request: each report is one batch, and many are one commit. */

/* One report on its way. */
struct filing {
    struct kw_op *op;
    struct kw_store_usage *usages;
    size_t usage_count;
    struct kw_store_request request;
    struct kw_quota_change quotas;
    bool is_open; /* it is to be committed */
};

static enum kw_status answer(struct kw_op *op)
{
    struct kw_json_writer json;
    char id[KW_ID_TEXT_SIZE];
    kw_id_format(&op->id, id);
    kw_buffer_reset(&op->result);
    kw_json_writer_init(&json, &op->result);
    kw_json_begin_object(&json);
    kw_json_name(&json, "keyId");
    kw_json_string(&json, kw_bytes_of(id, sizeof id));
    if (op->report->endpoint.size > 0) {
        kw_json_name(&json, "endpoint");
        kw_json_string(&json, op->report->endpoint);
    }
    kw_json_name(&json, "counted");
    kw_json_begin_object(&json);
    for (size_t i = 0; i < op->report->amount_count; i++) {
        char text[KW_AMOUNT_TEXT_MAX];
        kw_json_name_bytes(&json, op->report->amounts[i].metric);
        kw_json_raw(&json, kw_bytes_of(text, kw_amount_format(op->report->amounts[i].amount, text)));
    }
    kw_json_end_object(&json);
    kw_json_end_object(&json);
    return kw_buffer_status(&op->result) == KW_OK ? KW_OK : kw__store_failed(&op->error, KW_E_UNCERTAIN);
}

/* KW_OK: it was not done before. KW_E_CONFLICT: it was, and op->status says what is answered. */
static enum kw_status look_for_earlier(struct kw_engine *engine, struct kw_op *op)
{
    struct kw_store_request request;
    if (op->once == NULL) {
        return KW_OK;
    }
    enum kw_status status = engine->store->ops->request_find(engine->store, op->once->name, &request);
    if (status == KW_E_NOT_FOUND) {
        return KW_OK;
    }
    if (status != KW_OK) {
        op->status = kw__store_failed(&op->error, status);
    } else if (memcmp(request.digest, op->once->digest, KW_ONCE_SIZE) != 0) {
        op->status = kw_refuse(&op->error, KW_CODE_IDEMPOTENCY_KEY_REUSED, NULL,
                               "the idempotency key was used for another request: use a new one");
    } else {
        op->is_replay = true;
        op->status = answer(op);
    }
    return KW_E_CONFLICT;
}

static enum kw_status refuse_metric(struct kw_op *op, struct kw_bytes metric)
{
    char field[KW_METRIC_MAX + 1] = {0};
    memcpy(field, metric.data, metric.size < KW_METRIC_MAX ? metric.size : KW_METRIC_MAX);
    return kw_refuse(&op->error, KW_CODE_UNKNOWN_FIELD, field,
                     "is no metric of this project: tokens and cost are, and what its \"metrics\" declare");
}

static enum kw_status find_subjects(struct kw_engine *engine, struct filing *filing,
                                    struct kw__use_subjects *subjects_out)
{
    struct kw_op *op = filing->op;
    struct kw_arena *arena = &engine->writer_state->arena;
    struct kw_found found = {.arena = arena};
    struct kw_record record;
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes project;
    if (!kw__project_name(engine, op->project, memory, &project)) {
        return kw__project_gone(&op->error);
    }
    const struct kw_project *metrics = kw_project_by_number(kw__catalog(engine), op->project);
    for (size_t i = 0; i < op->report->amount_count && metrics != NULL; i++) {
        struct kw_bytes metric = op->report->amounts[i].metric; /* requests are what verifications count */
        if (kw_bytes_equal(metric, KW_BYTES(KW_METRIC_REQUESTS)) || !kw_project_has_metric(metrics, metric)) {
            return refuse_metric(op, metric);
        }
    }
    enum kw_status status = engine->store->ops->find_by_id(engine->store, &op->id, kw__found_sink, &found);
    status = status == KW_OK ? kw_record_decode(found.row.record, &record) : status;
    if (status == KW_OK && !kw_bytes_equal(record.project, project)) {
        status = KW_E_NOT_FOUND;
    }
    if (status == KW_OK && !kw__use_subjects_of_record(arena, &record, subjects_out)) {
        status = KW_E_MEMORY;
    }
    status = status == KW_OK ? kw__quotas_report(engine, &found.row, op->report, &filing->quotas) : status;
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}

/* "endpoint", a byte 1, "metric". */
static enum kw_status join(struct kw_arena *arena, struct kw_bytes endpoint, struct kw_bytes metric,
                           struct kw_bytes *out)
{
    uint8_t *text = kw_arena_take(arena, endpoint.size + 1 + metric.size);
    if (text == NULL) {
        return KW_E_MEMORY;
    }
    memcpy(text, endpoint.data, endpoint.size);
    text[endpoint.size] = KW_ENDPOINT_END;
    memcpy(text + endpoint.size + 1, metric.data, metric.size);
    *out = kw_bytes_of(text, endpoint.size + 1 + metric.size);
    return KW_OK;
}

static enum kw_status add(struct kw_engine *engine, struct filing *filing, const struct kw__use_subjects *subjects,
                          struct kw_store_usage usage)
{
    size_t count = 0;
    struct kw_store_usage *rows = filing->usages + filing->usage_count;
    enum kw_status status = kw__use_spread(engine, engine->usage->rows, subjects, usage, rows, &count);
    for (size_t i = 0; i < count && status == KW_OK; i++) { /* what was said instead lives as long as the rows */
        status = kw_arena_copy(&engine->writer_state->arena, rows[i].value, &rows[i].value);
    }
    filing->usage_count += count;
    return status;
}

/* The rows of a report. */
static enum kw_status fill(struct kw_engine *engine, struct filing *filing, const struct kw__use_subjects *subjects)
{
    const struct kw_usage_report *report = filing->op->report;
    struct kw_arena *arena = &engine->writer_state->arena;
    filing->usages =
        kw_arena_take_array(arena, 2 * report->amount_count * KW__USE_SUBJECTS_MAX, sizeof *filing->usages);
    enum kw_status status = filing->usages == NULL ? KW_E_MEMORY : KW_OK;
    pthread_mutex_lock(&engine->usage->writing);
    for (size_t i = 0; i < report->amount_count && status == KW_OK; i++) {
        struct kw_store_usage usage = {.value = report->amounts[i].metric,
                                       .bucket_start_ms = kw_usage_hour(filing->op->now_ms),
                                       .amount = report->amounts[i].amount,
                                       .dimension = KW_USAGE_METRIC};
        status = add(engine, filing, subjects, usage);
        if (status == KW_OK && report->endpoint.size > 0) {
            usage.dimension = KW_USAGE_ENDPOINT_METRIC;
            status = join(arena, report->endpoint, report->amounts[i].metric, &usage.value);
            status = status == KW_OK ? add(engine, filing, subjects, usage) : status;
        }
    }
    pthread_mutex_unlock(&engine->usage->writing);
    return status == KW_OK ? KW_OK : kw__store_failed(&filing->op->error, status);
}

/* Decides on one report; false: op->status says how it ended. */
static bool prepare(struct kw_engine *engine, struct filing *filing)
{
    struct kw_op *op = filing->op;
    struct kw__use_subjects subjects;
    op->now_ms = kw_engine_now_ms(engine);
    if (look_for_earlier(engine, op) != KW_OK) {
        return false;
    }
    op->status = find_subjects(engine, filing, &subjects);
    op->status = op->status == KW_OK ? fill(engine, filing, &subjects) : op->status;
    if (op->status == KW_OK && op->once != NULL) {
        filing->request = (struct kw_store_request){.key_id = op->id, .at_ms = op->now_ms};
        memcpy(filing->request.name, op->once->name, sizeof op->once->name);
        memcpy(filing->request.digest, op->once->digest, sizeof op->once->digest);
    }
    return op->status == KW_OK;
}

static void settle(struct kw_engine *engine, struct filing *filing, enum kw_status outcome)
{
    struct kw_op *op = filing->op;
    if (outcome == KW_OK) {
        kw__quotas_reported(engine, &filing->quotas);
        op->status = answer(op);
    } else if (outcome != KW_E_CONFLICT || look_for_earlier(engine, op) == KW_OK) {
        op->status = kw__store_failed(&op->error, outcome == KW_E_CONFLICT ? KW_E_UNAVAILABLE : outcome);
    }
}

static void file_all(struct kw_engine *engine, struct filing *filings, struct kw_store_batch *batches, size_t count)
{
    size_t batch_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct filing *filing = &filings[i];
        filing->is_open = prepare(engine, filing);
        if (filing->is_open) {
            batches[batch_count++] = (struct kw_store_batch){.requests = &filing->request,
                                                             .request_count = filing->op->once == NULL ? 0 : 1,
                                                             .usages = filing->usages,
                                                             .usage_count = filing->usage_count,
                                                             .reservations = filing->quotas.reservations,
                                                             .reservation_count = filing->quotas.reservation_count};
        }
    }
    if (batch_count == 0) {
        return;
    }
    enum kw_status status = engine->store->ops->commit(engine->store, batches, batch_count);
    __atomic_store_n(&engine->writable, status == KW_OK, __ATOMIC_RELAXED);
    __atomic_fetch_add(&engine->commits, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&engine->commit_ops, batch_count, __ATOMIC_RELAXED);
    for (size_t i = 0, at = 0; i < count; i++) {
        if (filings[i].is_open) {
            settle(engine, &filings[i], batches[at++].outcome);
        }
    }
}

void kw__reports_write(struct kw_engine *engine, struct kw_op *chain)
{
    struct kw_writer *writer = engine->writer_state;
    size_t count = 0;
    for (struct kw_op *op = chain; op != NULL; op = op->next) {
        count++;
    }
    struct filing *filings = kw_arena_take_array(&writer->arena, count, sizeof *filings);
    count = 0;
    for (struct kw_op *op = chain; op != NULL; op = op->next) {
        if (filings == NULL) {
            op->status = kw__store_failed(&op->error, KW_E_MEMORY);
        } else {
            filings[count++] = (struct filing){.op = op};
        }
    }
    if (filings != NULL) {
        file_all(engine, filings, writer->batches, count);
    }
    for (struct kw_op *op = chain, *next; op != NULL; op = next) {
        next = op->next;
        op->done(op);
    }
    kw_arena_reset(&writer->arena);
}
