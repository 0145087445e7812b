#include "base/bytes.h"
#include "base/json.h"
#include "base/time.h"
#include "core/amount.h"
#include "core/id.h"
#include "engine/quotas.h"
#include "engine/usage_rows.h"
#include "engine/usage_table.h"

#include <stdlib.h>

/* What was counted, as JSON. */

#define ITEMS_MAX ((size_t)1 << 18)
#define TEXT_MAX ((size_t)16 << 20)
#define DAYS_MAX 3660

/* One amount of one hour or day. */
struct item {
    int64_t at_ms, amount;
    struct kw_bytes value;
    uint8_t dimension;
};

struct reading {
    struct kw_engine *engine;
    struct kw_digest digest; /* of a key */
    const struct kw_usage_query *query;
    int64_t from_ms, until_ms;
    struct kw_buffer items;
    struct kw_arena arena;
};

static enum kw_status keep(void *context, const struct kw_store_usage *usage)
{
    struct reading *reading = context;
    if (usage->is_day && !reading->query->by_day) {
        return KW_OK;
    }
    struct item item = {.at_ms = reading->query->by_day ? kw_usage_day(usage->bucket_start_ms) : usage->bucket_start_ms,
                        .amount = usage->amount,
                        .dimension = usage->dimension};
    bool is_wanted = usage->dimension == KW_USAGE_CODE || usage->dimension == (uint8_t)reading->query->group ||
                     (usage->dimension == KW_USAGE_ENDPOINT_METRIC && reading->query->group == KW_USAGE_ENDPOINT);
    if (!is_wanted) {
        return KW_OK;
    }
    enum kw_status status = kw_arena_copy(&reading->arena, usage->value, &item.value);
    kw_buffer_add(&reading->items, kw_bytes_of(&item, sizeof item));
    return status == KW_OK ? kw_buffer_status(&reading->items) : status;
}

/* By what they are told apart by, but for the time. */
static int by_value(const void *a, const void *b)
{
    const struct item *left = a;
    const struct item *right = b;
    int order = left->dimension - right->dimension;
    return order != 0 ? order : kw_bytes_compare(left->value, right->value);
}

static int by_time(const void *a, const void *b)
{
    const struct item *left = a;
    const struct item *right = b;
    int order = (left->at_ms > right->at_ms) - (left->at_ms < right->at_ms);
    return order != 0 ? order : by_value(a, b);
}

/* Adds up what `compare` takes for the same; how many are left. */
static size_t merge(struct item *items, size_t count, int (*compare)(const void *a, const void *b))
{
    size_t kept = 0;
    if (count > 1) {
        qsort(items, count, sizeof *items, compare);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && compare(&items[kept - 1], &items[i]) == 0) {
            int64_t *sum = &items[kept - 1].amount;
            *sum = *sum <= INT64_MAX - items[i].amount ? *sum + items[i].amount : INT64_MAX;
        } else {
            items[kept++] = items[i];
        }
    }
    return kept;
}

static void write_amount(struct kw_json_writer *json, int64_t amount, bool is_metric)
{
    char text[KW_AMOUNT_TEXT_MAX];
    if (is_metric) {
        kw_json_raw(json, kw_bytes_of(text, kw_amount_format(amount, text)));
    } else {
        kw_json_i64(json, amount);
    }
}

/* "amounts": {"POST /v1/chat": {"tokens": 1500}}, of items of that dimension, which stand in a row. */
static void write_at_endpoints(struct kw_json_writer *json, const struct item *items, size_t count)
{
    struct kw_bytes open = {NULL, 0};
    kw_json_name(json, "amounts");
    kw_json_begin_object(json);
    for (size_t i = 0; i < count; i++) {
        struct kw_bytes endpoint = kw_usage_endpoint_of(items[i].value);
        if (items[i].dimension != KW_USAGE_ENDPOINT_METRIC) {
            continue;
        }
        if (open.data == NULL || !kw_bytes_equal(open, endpoint)) {
            if (open.data != NULL) {
                kw_json_end_object(json);
            }
            open = endpoint;
            kw_json_name_bytes(json, endpoint);
            kw_json_begin_object(json);
        }
        kw_json_name_bytes(json, kw_bytes_skip(items[i].value, endpoint.size + 1));
        write_amount(json, items[i].amount, true);
    }
    if (open.data != NULL) {
        kw_json_end_object(json);
    }
    kw_json_end_object(json);
}

/* The members that totals and each part of the series have. */
static void write_counts(struct kw_json_writer *json, const struct item *items, size_t count,
                         enum kw_usage_dimension group)
{
    int64_t all = 0;
    int64_t valid = 0;
    for (size_t i = 0; i < count; i++) {
        if (items[i].dimension == KW_USAGE_CODE) {
            all += items[i].amount;
            valid += kw_bytes_equal(items[i].value, KW_BYTES("VALID")) ? items[i].amount : 0;
        }
    }
    kw_json_name(json, "verifications");
    kw_json_i64(json, all);
    kw_json_name(json, "valid");
    kw_json_i64(json, valid);
    kw_json_name(json, "counts");
    kw_json_begin_object(json);
    for (size_t i = 0; i < count; i++) {
        if (items[i].dimension == (uint8_t)group) {
            kw_json_name_bytes(json, items[i].value);
            write_amount(json, items[i].amount, group == KW_USAGE_METRIC);
        }
    }
    kw_json_end_object(json);
    if (group == KW_USAGE_ENDPOINT) {
        write_at_endpoints(json, items, count);
    }
}

static void write_time(struct kw_json_writer *json, const char *name, int64_t time_ms)
{
    char text[KW_TIME_TEXT_SIZE];
    kw_time_format(time_ms, text);
    kw_json_name(json, name);
    kw_json_string(json, kw_bytes_of(text, sizeof text));
}

static void write_series(struct kw_json_writer *json, const struct item *items, size_t count,
                         enum kw_usage_dimension group)
{
    kw_json_name(json, "series");
    kw_json_begin_array(json);
    for (size_t i = 0; i < count;) {
        size_t end = i;
        while (end < count && items[end].at_ms == items[i].at_ms) {
            end++;
        }
        kw_json_begin_object(json);
        write_time(json, "at", items[i].at_ms);
        write_counts(json, items + i, end - i, group);
        kw_json_end_object(json);
        i = end;
    }
    kw_json_end_array(json);
}

static enum kw_status write_all(const struct reading *reading, struct kw_buffer *result)
{
    struct item *items = (struct item *)(void *)reading->items.data;
    size_t count = reading->items.size / sizeof *items;
    struct item *sums = count == 0 ? NULL : kw_alloc(count, sizeof *sums);
    struct kw_json_writer json;
    if (count > 0 && sums == NULL) {
        return KW_E_MEMORY;
    }
    if (count > 0) {
        memcpy(sums, items, count * sizeof *sums);
    }
    size_t sum_count = merge(sums, count, by_value);
    count = merge(items, count, by_time);
    kw_json_writer_init(&json, result);
    kw_json_begin_object(&json);
    write_time(&json, "from", reading->from_ms);
    write_time(&json, "until", reading->until_ms);
    kw_json_name(&json, "by");
    kw_json_text(&json, reading->query->by_day ? "day" : "hour");
    kw_json_name(&json, "group");
    kw_json_text(&json, kw_usage_dimension_name(reading->query->group));
    kw_json_name(&json, "totals");
    kw_json_begin_object(&json);
    write_counts(&json, sums, sum_count, reading->query->group);
    kw_json_end_object(&json);
    write_series(&json, items, count, reading->query->group);
    enum kw_status status =
        reading->query->is_of_key ? kw__standings_write_json(reading->engine, &reading->digest, &json) : KW_OK;
    kw_json_end_object(&json);
    kw_free(sums);
    return status == KW_OK ? kw_buffer_status(result) : status;
}

/* From when until when; INVALID_FIELD. */
static enum kw_status find_range(const struct kw_usage_query *query, int64_t now_ms, struct reading *reading,
                                 struct kw_error *error_out)
{
    int64_t until_ms = query->until_ms == 0 ? now_ms + 1 : query->until_ms;
    int64_t usual_ms = query->by_day ? 30 * KW_DAY_MS : KW_DAY_MS;
    int64_t from_ms = query->from_ms != 0 ? query->from_ms : until_ms > usual_ms ? until_ms - usual_ms : 0;
    from_ms = query->by_day ? kw_usage_day(from_ms) : kw_usage_hour(from_ms);
    if (from_ms >= until_ms) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "from", "must lie before until");
    }
    if (until_ms - from_ms > DAYS_MAX * KW_DAY_MS) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "from", "must lie at most %d days before until", DAYS_MAX);
    }
    int64_t hours_from_ms = kw_usage_hours_from(now_ms);
    if (!query->by_day && from_ms < hours_from_ms) {
        char text[KW_TIME_TEXT_SIZE];
        kw_time_format(hours_from_ms, text);
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "from",
                         "must be %.*s or later: hours are kept for two days; ask for days with by=day",
                         (int)sizeof text, text);
    }
    reading->from_ms = from_ms;
    reading->until_ms = until_ms;
    return KW_OK;
}

struct lineage_search {
    struct reading *reading;
    struct kw_bytes project;
    struct kw_id id;
};

static enum kw_status find_lineage(void *context, const struct kw_store_row *row)
{
    struct lineage_search *found = context;
    struct kw_record record;
    enum kw_status status = kw_record_decode(row->record, &record);
    if (status == KW_OK && !kw_bytes_equal(row->project, found->project)) {
        status = KW_E_NOT_FOUND;
    }
    if (status == KW_OK) {
        found->id = kw_id_is_none(&record.lineage_id) ? record.id : record.lineage_id;
        status = kw__row_digest(row, &found->reading->digest);
    }
    if (status == KW_OK) {
        status = kw__index_row(found->reading->engine, row); /* its quotas and limits are read from there */
    }
    return status;
}

/* Whose counts are asked for. */
static enum kw_status find_subject(struct kw_engine *engine, struct kw_op *op, struct kw_bytes project,
                                   struct reading *reading, struct kw_id *id_out)
{
    const struct kw_usage_query *query = op->usage;
    struct lineage_search found = {.reading = reading, .project = project};
    *id_out = (struct kw_id){{0}};
    if (query->is_of_key) {
        enum kw_status status = engine->store->ops->find_by_id(engine->store, &op->id, find_lineage, &found);
        *id_out = found.id;
        return status;
    }
    if (query->owner.size > 0) {
        *id_out = kw_usage_owner(query->owner);
    } else if (query->org_id.size > 0) {
        *id_out = kw_usage_org(query->org_id);
    }
    return KW_OK;
}

enum kw_status kw__usage_read(struct kw_engine *engine, struct kw_op *op)
{
    struct reading reading = {.engine = engine, .query = op->usage};
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes project;
    struct kw_id subject;
    enum kw_status status = find_range(op->usage, op->now_ms, &reading, &op->error);
    if (status != KW_OK) {
        return status;
    }
    if (!kw__project_name(engine, op->project, memory, &project)) {
        return kw__project_gone(&op->error);
    }
    kw_buffer_init(&reading.items, ITEMS_MAX * sizeof(struct item));
    kw_arena_init(&reading.arena, NULL, 0, TEXT_MAX);
    status = find_subject(engine, op, project, &reading, &subject);
    status = status == KW_OK ? kw_usage_flush(engine) : status;
    status = status == KW_OK ? engine->store->ops->usage_read(engine->store, project, &subject, reading.from_ms,
                                                              reading.until_ms, keep, &reading)
                             : status;
    status = status == KW_OK ? write_all(&reading, &op->result) : status;
    kw_buffer_deinit(&reading.items);
    kw_arena_reset(&reading.arena);
    if (status == KW_E_LIMIT) {
        return kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "from", "asks for too much at once: take a shorter time");
    }
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}
