#include "engine/audit_read.h"

#include "base/bytes.h"
#include "base/time.h"
#include "engine/audit_prove.h"
#include "engine/sealer.h"

#define ACTIONS_MAX 64
#define DIGITS_MAX 20

/* What a query has given so far. */
struct reading {
    struct kw_op *op;
    struct kw_json_writer json;
    size_t count;
    uint64_t last; /* sequence */
    bool is_cut;   /* the page has bytes enough */
    int64_t latest_ms;
    size_t by_action[ACTIONS_MAX], of_others;
};

static struct kw_store_audit_filter filter_of(const struct kw_audit_query *query, struct kw_bytes project)
{
    return (struct kw_store_audit_filter){.project = project,
                                          .key_id = query->key_id,
                                          .owner = query->owner,
                                          .actor = query->actor,
                                          .action = query->action,
                                          .from_ms = query->from_ms,
                                          .until_ms = query->until_ms,
                                          .is_back = query->is_back,
                                          .after = query->after,
                                          .limit = query->limit};
}

/* --- pages --- */

static enum kw_status list_line(void *context, const struct kw_store_audit *audit)
{
    struct reading *reading = context;
    struct kw_buffer *result = &reading->op->result;
    struct kw_audit_seal seal;
    struct kw_audit_line line = kw__audit_line_of(audit);
    if (result->size > KW_AUDIT_PAGE_SIZE_MAX) {
        reading->is_cut = true;
        return KW_E_LIMIT;
    }
    kw_audit_line_write(&line, kw_audit_seal_decode(audit->seal, &seal) ? &seal : NULL, &reading->json);
    reading->count++;
    reading->last = audit->sequence;
    return kw_buffer_status(result) == KW_OK ? KW_OK : KW_E_MEMORY;
}

void kw__audit_write_cursor(struct kw_json_writer *json, bool is_back, uint64_t last)
{
    char text[DIGITS_MAX + 2];
    struct kw_buffer cursor;
    kw_buffer_init_fixed(&cursor, text, sizeof text);
    kw_buffer_add_text(&cursor, is_back ? "-" : "");
    kw_buffer_add_u64(&cursor, last);
    kw_json_name(json, "nextCursor");
    kw_json_string(json, kw_buffer_bytes(&cursor));
}

static enum kw_status list(struct kw_engine *engine, struct kw_op *op, struct kw_bytes project)
{
    const struct kw_audit_query *query = op->audit;
    struct reading reading = {.op = op};
    struct kw_store_audit_filter filter = filter_of(query, project);
    kw_json_writer_init(&reading.json, &op->result);
    kw_json_begin_object(&reading.json);
    kw_json_name(&reading.json, "items");
    kw_json_begin_array(&reading.json);
    enum kw_status status = engine->store->ops->audit_query(engine->store, &filter, list_line, &reading);
    if (status != KW_OK && !reading.is_cut) {
        return status;
    }
    kw_json_end_array(&reading.json);
    if (reading.is_cut || reading.count == query->limit) {
        kw__audit_write_cursor(&reading.json, query->is_back, reading.last);
    }
    kw_json_end_object(&reading.json);
    return KW_OK;
}

/* --- how much there is --- */

static enum kw_status count_line(void *context, const struct kw_store_audit *audit)
{
    struct reading *reading = context;
    size_t count;
    const struct kw_audit_action *actions = kw_audit_actions(&count);
    size_t at = 0;
    while (at < count && at < ACTIONS_MAX && !kw_bytes_equal(audit->action, kw_bytes_of_text(actions[at].name))) {
        at++;
    }
    if (at < count && at < ACTIONS_MAX) {
        reading->by_action[at]++;
    } else {
        reading->of_others++;
    }
    reading->count++;
    reading->last = audit->sequence;
    reading->latest_ms = reading->count == 1 || audit->at_ms > reading->latest_ms ? audit->at_ms : reading->latest_ms;
    return KW_OK;
}

static void write_stats(struct reading *reading)
{
    size_t count;
    const struct kw_audit_action *actions = kw_audit_actions(&count);
    struct kw_json_writer *json = &reading->json;
    kw_json_name(json, "actions");
    kw_json_begin_object(json);
    for (size_t i = 0; i < count && i < ACTIONS_MAX; i++) {
        if (reading->by_action[i] > 0) {
            kw_json_name(json, actions[i].name);
            kw_json_i64(json, (int64_t)reading->by_action[i]);
        }
    }
    if (reading->of_others > 0) {
        kw_json_name(json, "others");
        kw_json_i64(json, (int64_t)reading->of_others);
    }
    kw_json_end_object(json);
    if (reading->count > 0) {
        char time[KW_TIME_TEXT_SIZE];
        kw_time_format(reading->latest_ms, time);
        kw_json_name(json, "lastActivityAt");
        kw_json_string(json, kw_bytes_of(time, sizeof time));
    }
}

/* From the latest on, so that what is not counted is what is oldest. */
static enum kw_status count(struct kw_engine *engine, struct kw_op *op, struct kw_bytes project)
{
    struct reading reading = {.op = op};
    struct kw_store_audit_filter filter = filter_of(op->audit, project);
    filter.is_back = true;
    filter.after = 0;
    filter.limit = KW_STORE_LIST_MAX;
    size_t before = 0;
    enum kw_status status = KW_OK;
    do {
        before = reading.count;
        status = engine->store->ops->audit_query(engine->store, &filter, count_line, &reading);
        filter.after = reading.last;
    } while (status == KW_OK && reading.count == before + filter.limit && reading.count < KW_AUDIT_COUNT_MAX);
    if (status != KW_OK) {
        return status;
    }
    kw_json_writer_init(&reading.json, &op->result);
    kw_json_begin_object(&reading.json);
    kw_json_name(&reading.json, "count");
    kw_json_i64(&reading.json, (int64_t)reading.count);
    kw_json_name(&reading.json, "atLeast");
    kw_json_bool(&reading.json, reading.count >= KW_AUDIT_COUNT_MAX);
    if (op->audit->what == KW_AUDIT_STATS) {
        write_stats(&reading);
    }
    kw_json_end_object(&reading.json);
    return KW_OK;
}

enum kw_status kw__audit_read(struct kw_engine *engine, struct kw_op *op)
{
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes project;
    if (!kw__project_name(engine, op->project, memory, &project)) {
        return kw__project_gone(&op->error);
    }
    enum kw_audit_what what = op->audit->what;
    enum kw_status status = what == KW_AUDIT_LIST          ? list(engine, op, project)
                            : what == KW_AUDIT_VERIFY      ? kw__audit_prove(engine, op, project)
                            : what == KW_AUDIT_CHECKPOINTS ? kw__audit_checkpoints(engine, op, project)
                            : what == KW_AUDIT_EXPORT      ? kw__audit_copy(engine, op, project)
                                                           : count(engine, op, project);
    status = status == KW_OK ? kw_buffer_status(&op->result) : status;
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}
