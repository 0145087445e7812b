#include "engine/insights.h"

#include "core/id.h"
#include "engine/internal.h"
#include "engine/methods.h"

#define PIECE 250 /* keys at a time */
#define HOUR_MS INT64_C(3600000)
#define COUNTRY_SIZE 2
#define ROW_MEMORY_MAX ((size_t)2 * KW_RECORD_MAX)
#define USE_MEMORY_MAX ((size_t)4 * KW_USE_VALUES_MAX * (KW_USE_VALUE_SIZE + 16) + KW_RECORD_MAX)

/* What looking at a key needs, beside the key. */
struct looking {
    struct kw_engine *engine;
    struct kw_op *op;
    struct kw_bytes project;
    uint8_t project_memory[KW_PROJECT_MAX];
    uint8_t own_method; /* of the project's new keys; 0: not known */
    int64_t max_expires_in_ms;
    bool is_of_many; /* a key without use of its own of late is not asked for that of its line */
    struct kw_record record;
    struct kw_use use;
    struct kw_arena arena;
    struct kw_insight_subject subject;
    struct kw_insight insight;
};

/* NULL, with the error set, when there is no memory or no such project. */
static struct looking *looking_new(struct kw_engine *engine, struct kw_op *op)
{
    struct looking *looking = kw_alloc(1, sizeof *looking);
    struct kw_digest_method own;
    if (looking == NULL) {
        (void)kw__store_failed(&op->error, KW_E_MEMORY);
        return NULL;
    }
    *looking = (struct looking){.engine = engine, .op = op};
    if (!kw__project_name(engine, op->project, looking->project_memory, &looking->project)) {
        (void)kw__project_gone(&op->error);
        kw_free(looking);
        return NULL;
    }
    looking->own_method = kw_engine_own_method(engine, op->project, &own) ? own.number : 0;
    kw_index_read_begin();
    const struct kw_project *project = kw_project_by_number(kw__catalog(engine), op->project);
    looking->max_expires_in_ms = project == NULL ? 0 : project->max_expires_in_ms;
    kw_index_read_end();
    kw_arena_init(&looking->arena, NULL, 0, USE_MEMORY_MAX);
    return looking;
}

static void looking_free(struct looking *looking)
{
    kw_arena_reset(&looking->arena);
    kw_free(looking);
}

static enum kw_status use_sink(void *context, const struct kw_store_usage *usage)
{
    struct looking *looking = context;
    struct kw_use_row row = {
        .value = usage->value, .start_ms = usage->bucket_start_ms, .is_hour = !usage->is_day, .amount = usage->amount};
    switch ((enum kw_usage_dimension)usage->dimension) {
    case KW_USAGE_CODE:
        row.kind = KW_USE_OUTCOME;
        break;
    case KW_USAGE_ENDPOINT:
        row.kind = KW_USE_ENDPOINT;
        break;
    case KW_USAGE_REGION: /* "US-CA" */
        row.kind = KW_USE_COUNTRY;
        row.value.size =
            !kw_bytes_equal(row.value, KW_USE_OTHER) && row.value.size > COUNTRY_SIZE ? COUNTRY_SIZE : row.value.size;
        break;
    case KW_USAGE_NETWORK:
        row.kind = KW_USE_NETWORK;
        break;
    case KW_USAGE_SCOPE:
        row.kind = KW_USE_SCOPE;
        break;
    default: /* what was reported */
        return KW_OK;
    }
    return kw_use_add(&looking->use, &looking->arena, &row);
}

/* Nothing was counted before the line of rotations began, nor is looked at in the days that insight leaves out. */
static enum kw_status read_use(struct looking *looking)
{
    struct kw_store *store = looking->engine->store;
    int64_t now_ms = looking->op->now_ms;
    int64_t born_ms = kw_id_time_ms(&looking->record.lineage_id);
    int64_t from_ms = now_ms / KW_INSIGHT_DAY_MS * KW_INSIGHT_DAY_MS - (KW_USE_DAYS - 1) * KW_INSIGHT_DAY_MS;
    born_ms -= born_ms % KW_INSIGHT_DAY_MS;
    if (looking->is_of_many && looking->use.last_used_ms < from_ms) {
        return KW_OK;
    }
    from_ms = born_ms <= now_ms && born_ms > from_ms ? born_ms : from_ms;
    return store->ops->usage_read(store, looking->project, &looking->record.lineage_id, from_ms, now_ms + HOUR_MS,
                                  use_sink, looking);
}

/* The row's bytes stay the caller's. */
static enum kw_status look_at(struct looking *looking, const struct kw_store_row *row)
{
    struct kw_record *record = &looking->record;
    kw_arena_reset(&looking->arena);
    enum kw_status status = kw_record_decode(row->record, record);
    if (status != KW_OK) {
        return status;
    }
    kw_use_init(&looking->use, looking->op->now_ms, row->used_at_ms);
    if (row->used_address.size == sizeof looking->use.last_address.bytes) {
        looking->use.has_last_address = true;
        memcpy(looking->use.last_address.bytes, row->used_address.data, row->used_address.size);
    }
    status = read_use(looking);
    if (status != KW_OK) {
        return status;
    }
    looking->subject = (struct kw_insight_subject){
        .record = record,
        .use = &looking->use,
        .has_old_digest = looking->own_method != 0 && kw_record_digest_method(record) != looking->own_method,
        .max_expires_in_ms = looking->max_expires_in_ms,
        .now_ms = looking->op->now_ms,
    };
    return kw_insight_make(&looking->subject, &looking->arena, &looking->insight);
}

/* Looks at one key, and writes what there is to see. KW_E_NOT_FOUND also for one of another project. */
static enum kw_status write_one(struct looking *looking, const struct kw_id *id, struct kw_json_writer *writer)
{
    const struct kw_store *store = looking->engine->store;
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, ROW_MEMORY_MAX);
    struct kw_found found = {.arena = &arena};
    enum kw_status status = store->ops->find_by_id(looking->engine->store, id, kw__found_sink, &found);
    if (status == KW_OK && (found.row.erased || !kw_bytes_equal(found.row.project, looking->project))) {
        status = KW_E_NOT_FOUND;
    }
    status = status == KW_OK ? look_at(looking, &found.row) : status;
    if (status == KW_OK) {
        kw_insight_write_json(&looking->subject, &looking->insight, writer);
    }
    kw_arena_reset(&arena);
    return status;
}

enum kw_status kw__insight_read(struct kw_engine *engine, struct kw_op *op)
{
    struct kw_json_writer writer;
    struct looking *looking = looking_new(engine, op);
    if (looking == NULL) {
        return op->error.status;
    }
    kw_json_writer_init(&writer, &op->result);
    enum kw_status status = kw_usage_flush(engine);
    status = status == KW_OK ? write_one(looking, &op->id, &writer) : status;
    status = status == KW_OK ? kw_buffer_status(&op->result) : status;
    looking_free(looking);
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}

/* --- A project's --- */

/* A sink must not call the store: so the rows of a piece are copied first. */
struct page {
    struct kw_arena arena;
    struct kw_store_row rows[PIECE];
    size_t count;
};

static enum kw_status page_sink(void *context, const struct kw_store_row *row)
{
    struct page *page = context;
    struct kw_store_row *copy = &page->rows[page->count];
    *copy = *row;
    enum kw_status status = kw_arena_copy(&page->arena, row->record, &copy->record);
    status = status == KW_OK ? kw_arena_copy(&page->arena, row->used_address, &copy->used_address) : status;
    page->count += status == KW_OK;
    return status;
}

static enum kw_status look_at_page(struct looking *looking, struct kw_insights *insights, const struct page *page)
{
    enum kw_status status = KW_OK;
    looking->is_of_many = true;
    for (size_t i = 0; status == KW_OK && i < page->count; i++) {
        status = look_at(looking, &page->rows[i]);
        if (status == KW_OK && kw_insight_is_needed(&looking->subject)) {
            kw_attention_add(&insights->attention, &looking->record.id, &looking->insight);
        }
    }
    looking->is_of_many = false;
    insights->looked_at += page->count;
    return status;
}

static enum kw_status next_page(struct looking *looking, struct kw_insights *insights, struct page *page)
{
    struct kw_store_reached reached = {.position = insights->after};
    uint64_t left = KW_INSIGHTS_KEYS_MAX - insights->looked_at;
    struct kw_store_filter filter = kw__filter_of(insights->query, looking->project);
    filter.order = KW_ORDER_CREATED;
    filter.after = insights->after;
    filter.limit = left < PIECE ? left : PIECE;
    filter.reached = &reached;
    struct kw_store *store = looking->engine->store;
    enum kw_status status = store->ops->list(store, &filter, page_sink, page);
    status = status == KW_OK ? look_at_page(looking, insights, page) : status;
    if (status == KW_OK) {
        insights->after = reached.position;
        insights->has_more = !reached.ended && insights->looked_at == KW_INSIGHTS_KEYS_MAX;
        insights->has_ended = reached.ended || insights->has_more;
    }
    return status;
}

/* Keys that were erased meanwhile are left out. */
static enum kw_status write_items(struct looking *looking, const struct kw_attention_list *list,
                                  struct kw_json_writer *writer)
{
    enum kw_status status = KW_OK;
    kw_json_begin_array(writer);
    for (size_t i = 0; status == KW_OK && i < list->count; i++) {
        status = write_one(looking, &list->items[i].id, writer);
        status = status == KW_E_NOT_FOUND ? KW_OK : status;
    }
    kw_json_end_array(writer);
    return status;
}

static enum kw_status write_all(struct looking *looking, const struct kw_insights *insights)
{
    const struct kw_attention_list *list = &insights->attention;
    struct kw_json_writer writer;
    kw_json_writer_init(&writer, &looking->op->result);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "keys");
    kw_json_i64(&writer, (int64_t)list->looked_at);
    kw_json_name(&writer, "complete");
    kw_json_bool(&writer, !insights->has_more);
    if (list->looked_at != 0) {
        kw_json_name(&writer, "averageScore");
        kw_json_i64(&writer, (int64_t)(list->score_sum / list->looked_at));
    }
    kw_json_name(&writer, "recommended");
    kw_json_begin_object(&writer);
    for (unsigned advice = 0; advice < KW_ADVICE_COUNT; advice++) {
        if (list->advice_counts[advice] != 0) {
            kw_json_name(&writer, kw_advice_name((enum kw_advice)advice));
            kw_json_i64(&writer, (int64_t)list->advice_counts[advice]);
        }
    }
    kw_json_end_object(&writer);
    kw_json_name(&writer, "items");
    enum kw_status status = write_items(looking, list, &writer);
    kw_json_end_object(&writer);
    return status == KW_OK ? kw_buffer_status(&looking->op->result) : status;
}

enum kw_status kw__insights_read(struct kw_engine *engine, struct kw_op *op)
{
    struct kw_insights *insights = op->insights;
    struct page *page = kw_alloc(1, sizeof *page);
    if (page == NULL) {
        return kw__store_failed(&op->error, KW_E_MEMORY);
    }
    struct looking *looking = looking_new(engine, op);
    if (looking == NULL) {
        kw_free(page);
        return op->error.status;
    }
    enum kw_status status = KW_OK;
    if (!insights->has_begun) {
        kw_attention_init(&insights->attention, insights->query->limit);
        insights->has_begun = true;
        status = kw_usage_flush(engine);
    }
    kw_arena_init(&page->arena, NULL, 0, PIECE * ROW_MEMORY_MAX);
    status = status == KW_OK ? next_page(looking, insights, page) : status;
    status = status == KW_OK && insights->has_ended ? write_all(looking, insights) : status;
    looking_free(looking);
    kw_arena_reset(&page->arena);
    kw_free(page);
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}
