#include "engine/audit_read.h"

#include "base/bytes.h"
#include "base/time.h"
#include "engine/sealer.h"

#define PROVED_TOGETHER ((size_t)5 * KW_STORE_LIST_MAX) /* before others have their turn */
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
        char text[DIGITS_MAX + 2];
        struct kw_buffer cursor;
        kw_buffer_init_fixed(&cursor, text, sizeof text);
        kw_buffer_add_text(&cursor, query->is_back ? "-" : "");
        kw_buffer_add_u64(&cursor, reading.last);
        kw_json_name(&reading.json, "nextCursor");
        kw_json_string(&reading.json, kw_buffer_bytes(&cursor));
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

/* --- the proof --- */

static enum kw_status prove_line(void *context, const struct kw_store_audit *audit)
{
    struct kw_audit_query *query = context;
    struct kw_audit_seal seal;
    struct kw_audit_line line = kw__audit_line_of(audit);
    if (audit->seal.size > 0 && !kw_audit_seal_decode(audit->seal, &seal)) {
        seal = (struct kw_audit_seal){.place = query->proof.chain.place + 1}; /* no seal of ours: it proves nothing */
    }
    kw_audit_proof_add(&query->proof, &line, audit->seal.size > 0 ? &seal : NULL);
    query->limit++;
    return KW_OK;
}

/* What the store says of the chain's head; read before the lines, which may be more by then. */
static enum kw_status begin_proof(struct kw_engine *engine, struct kw_audit_query *query, struct kw_bytes project)
{
    uint8_t name[sizeof KW_AUDIT_HEAD_SETTING + KW_PROJECT_MAX] = KW_AUDIT_HEAD_SETTING;
    uint8_t value[KW_AUDIT_HEAD_SIZE];
    size_t size = 0;
    struct kw_audit_chain head;
    memcpy(name + sizeof KW_AUDIT_HEAD_SETTING - 1, project.data, project.size);
    enum kw_status status = engine->store->ops->setting(
        engine->store, kw_bytes_of(name, sizeof KW_AUDIT_HEAD_SETTING - 1 + project.size), value, sizeof value, &size);
    if (status != KW_OK && status != KW_E_NOT_FOUND) {
        return status;
    }
    if (status == KW_OK && (size != sizeof value || !kw_audit_head_decode(kw_bytes_of(value, size), &head))) {
        return KW_E_CORRUPT;
    }
    kw_audit_proof_begin(&query->proof, status == KW_OK ? &head : NULL);
    query->has_begun = true;
    return KW_OK;
}

static void write_chain(const struct kw_audit_chain *chain, struct kw_json_writer *json)
{
    char link[2 * KW_AUDIT_LINK_SIZE];
    kw_hex_encode(kw_bytes_of(chain->link, sizeof chain->link), link);
    kw_json_begin_object(json);
    kw_json_name(json, "place");
    kw_json_i64(json, (int64_t)chain->place);
    kw_json_name(json, "sequence");
    kw_json_i64(json, (int64_t)chain->sequence);
    kw_json_name(json, "link");
    kw_json_string(json, kw_bytes_of(link, sizeof link));
    kw_json_end_object(json);
}

static void write_proof(const struct kw_audit_proof *proof, struct kw_json_writer *json)
{
    kw_json_begin_object(json);
    kw_json_name(json, "whole");
    kw_json_bool(json, proof->fault == KW_AUDIT_WHOLE);
    kw_json_name(json, "proved");
    kw_json_i64(json, (int64_t)proof->proved);
    kw_json_name(json, "unsealed");
    kw_json_i64(json, (int64_t)proof->unsealed);
    if (proof->chain.place > 0) {
        kw_json_name(json, "head");
        write_chain(&proof->chain, json);
    }
    if (proof->fault != KW_AUDIT_WHOLE) {
        kw_json_name(json, "fault");
        kw_json_begin_object(json);
        kw_json_name(json, "kind");
        kw_json_text(json, kw_audit_fault_name(proof->fault));
        if (proof->fault_place > 0) {
            kw_json_name(json, "place");
            kw_json_i64(json, (int64_t)proof->fault_place);
        }
        if (proof->fault_sequence > 0) {
            kw_json_name(json, "sequence");
            kw_json_i64(json, (int64_t)proof->fault_sequence);
        }
        kw_json_end_object(json);
    }
    kw_json_end_object(json);
}

static enum kw_status verify(struct kw_engine *engine, struct kw_op *op, struct kw_bytes project)
{
    struct kw_audit_query *query = op->audit;
    enum kw_status status = query->has_begun ? KW_OK : begin_proof(engine, query, project);
    struct kw_store_audit_filter filter = {.project = project, .limit = KW_STORE_LIST_MAX};
    bool more = true;
    for (size_t seen = 0; seen < PROVED_TOGETHER && more && status == KW_OK; seen += filter.limit) {
        filter.after = query->proof.last_sequence;
        query->limit = 0; /* counts the lines of this call */
        status = engine->store->ops->audit_query(engine->store, &filter, prove_line, query);
        more = query->limit == filter.limit && query->proof.fault == KW_AUDIT_WHOLE;
    }
    if (status != KW_OK || more) {
        return status;
    }
    struct kw_json_writer json;
    kw_audit_proof_end(&query->proof);
    query->has_ended = true;
    kw_json_writer_init(&json, &op->result);
    write_proof(&query->proof, &json);
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
    enum kw_status status = what == KW_AUDIT_LIST     ? list(engine, op, project)
                            : what == KW_AUDIT_VERIFY ? verify(engine, op, project)
                                                      : count(engine, op, project);
    status = status == KW_OK ? kw_buffer_status(&op->result) : status;
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}
