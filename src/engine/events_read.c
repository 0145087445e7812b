#include "engine/events_read.h"

#include "base/bytes.h"
#include "core/id.h"
#include "engine/tell.h"

#define DIGITS_MAX 20
#define PRUNE_TOGETHER 500 /* between them changes have their turn */
#define PRUNE_EVERY_MS 600000

struct reading {
    struct kw_op *op;
    struct kw_event_query *query;
    struct kw_json_writer json;
    size_t count;  /* events that were given */
    size_t seen;   /* that were looked at */
    size_t before; /* seen before this call of the store */
    bool is_cut;   /* the page is full */
};

static bool is_meant(const struct kw_event_query *query, const struct kw_store_event *event)
{
    return kw_event_matches_list(query->types, event->type) &&
           (query->owner.size == 0 || kw_bytes_equal(query->owner, event->owner)) &&
           (query->env.size == 0 || kw_bytes_equal(query->env, event->env));
}

static void write_streamed(struct reading *reading, const struct kw_event *event, uint64_t sequence)
{
    struct kw_buffer *result = &reading->op->result;
    kw_buffer_add_text(result, "id: ");
    kw_buffer_add_u64(result, sequence);
    kw_buffer_add_text(result, "\nevent: ");
    kw_buffer_add(result, event->type);
    kw_buffer_add_text(result, "\ndata: ");
    kw_json_writer_init(&reading->json, result);
    kw_event_write(event, &reading->json);
    kw_buffer_add_text(result, "\n\n");
}

static enum kw_status see_event(void *context, const struct kw_store_event *stored)
{
    struct reading *reading = context;
    struct kw_event_query *query = reading->query;
    struct kw_buffer *result = &reading->op->result;
    size_t size_max = query->is_stream ? KW_EVENTS_PIECE_SIZE_MAX : KW_EVENTS_PAGE_SIZE_MAX;
    if (reading->count == query->limit || result->size > size_max) {
        reading->is_cut = true;
        return KW_E_LIMIT;
    }
    reading->seen++;
    query->reached = stored->sequence;
    if (!is_meant(query, stored)) {
        return KW_OK;
    }
    struct kw_event event = kw__event_of(stored);
    reading->count++;
    if (query->is_stream) {
        write_streamed(reading, &event, stored->sequence);
    } else {
        kw_event_write(&event, &reading->json);
    }
    return kw_buffer_status(result) == KW_OK ? KW_OK : KW_E_MEMORY;
}

/* Goes through the log until the page is full, the log ends, or enough was looked at. */
static enum kw_status see_events(struct kw_engine *engine, struct reading *reading, struct kw_bytes project)
{
    struct kw_event_query *query = reading->query;
    bool is_narrowed = query->types.size > 0 || query->owner.size > 0 || query->env.size > 0;
    struct kw_store_event_filter filter = {
        .project = project, .key_id = query->key_id, .from_ms = query->from_ms, .is_back = query->is_back};
    enum kw_status status = KW_OK;
    query->reached = query->after;
    query->has_more = true;
    while (status == KW_OK && query->has_more && !reading->is_cut && reading->count < query->limit &&
           reading->seen < KW_STORE_SCAN_MAX) {
        reading->before = reading->seen;
        filter.after = query->reached;
        filter.limit = is_narrowed ? KW_STORE_LIST_MAX : query->limit - reading->count;
        status = engine->store->ops->events_list(engine->store, &filter, see_event, reading);
        status = reading->is_cut ? KW_OK : status;
        query->has_more = reading->is_cut || reading->seen - reading->before == filter.limit;
    }
    return status;
}

static void write_cursor(struct reading *reading, const char *name)
{
    char text[DIGITS_MAX + 2];
    struct kw_buffer cursor;
    kw_buffer_init_fixed(&cursor, text, sizeof text);
    kw_buffer_add_text(&cursor, reading->query->is_back ? "-" : "");
    kw_buffer_add_u64(&cursor, reading->query->reached);
    kw_json_name(&reading->json, name);
    kw_json_string(&reading->json, kw_buffer_bytes(&cursor));
}

static enum kw_status read_page(struct kw_engine *engine, struct reading *reading, struct kw_bytes project)
{
    kw_json_writer_init(&reading->json, &reading->op->result);
    kw_json_begin_object(&reading->json);
    kw_json_name(&reading->json, "items");
    kw_json_begin_array(&reading->json);
    enum kw_status status = see_events(engine, reading, project);
    kw_json_end_array(&reading->json);
    if (reading->query->has_more) {
        write_cursor(reading, "nextCursor");
    }
    if (!reading->query->is_back) {
        write_cursor(reading, "resume");
    }
    kw_json_end_object(&reading->json);
    return status;
}

static enum kw_status see_last(void *context, const struct kw_store_event *event)
{
    struct kw_event_query *query = context;
    query->reached = event->sequence;
    return KW_OK;
}

/* Nothing of what is there already. */
static enum kw_status go_to_end(struct kw_engine *engine, struct kw_event_query *query, struct kw_bytes project)
{
    struct kw_store_event_filter filter = {.project = project, .is_back = true, .limit = 1};
    query->reached = 0;
    query->has_more = false;
    enum kw_status status = engine->store->ops->events_list(engine->store, &filter, see_last, query);
    query->from_end = status != KW_OK;
    return status;
}

enum kw_status kw__events_read(struct kw_engine *engine, struct kw_op *op)
{
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes project;
    struct reading reading = {.op = op, .query = op->events};
    if (!kw__project_name(engine, op->project, memory, &project)) {
        return kw__project_gone(&op->error);
    }
    enum kw_status status = op->events->from_end    ? go_to_end(engine, op->events, project)
                            : op->events->is_stream ? see_events(engine, &reading, project)
                                                    : read_page(engine, &reading, project);
    status = status == KW_OK ? kw_buffer_status(&op->result) : status;
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}

void kw__events_prune(struct kw_engine *engine)
{
    struct kw_writer *writer = engine->writer_state;
    const struct kw_catalog *catalog = kw__catalog(engine);
    int64_t now_ms = kw_engine_now_ms(engine);
    if (now_ms < writer->events_prune_at_ms) {
        return;
    }
    const struct kw_project *project = kw_project_by_number(catalog, writer->events_pruned);
    uint64_t removed = 0;
    enum kw_status status = KW_OK;
    if (project != NULL) {
        int64_t kept_ms = project->event_retention_ms == 0 ? KW_EVENTS_RETENTION_MS : project->event_retention_ms;
        status =
            engine->store->ops->events_prune(engine->store, project->name, now_ms - kept_ms, PRUNE_TOGETHER, &removed);
    }
    if (status == KW_OK && removed == PRUNE_TOGETHER) {
        return; /* there may be more of it */
    }
    writer->events_pruned++;
    if (writer->events_pruned >= catalog->number_count) {
        writer->events_pruned = KW_PROJECT_DEFAULT;
        writer->events_prune_at_ms = now_ms + PRUNE_EVERY_MS;
    }
}

uint64_t kw_engine_tellings(const struct kw_engine *engine)
{
    return __atomic_load_n(&engine->tellings, __ATOMIC_ACQUIRE);
}
