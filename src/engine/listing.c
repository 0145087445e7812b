#include "engine/listing.h"

#include "base/bytes.h"
#include "core/id.h"

#define SCAN_MAX 20000   /* rows that one list looks through for a status or text; then it answers with a cursor */
#define ROWS_UNASKED 256 /* that a search looks at before it asks, and asks again, whether anybody waits for it */

struct listing {
    struct kw_engine *engine;
    struct kw_op *op;
    struct kw_position last; /* looked at */
    struct kw_store_reached reached;
    size_t looked_at, kept;
    int64_t now_ms;
    struct kw_id line;    /* that has to be loaded before the list can go on: none */
    struct kw_id unknown; /* the line that could not be */
};

/*
 * What the row stands under says of it. False: the index does not know its ancestors yet, and the store cannot be asked
 * while it shows the row. A damaged record is told by whoever shows it.
 */
static bool look_above(struct listing *listing, const struct kw_store_row *row, struct kw_record *record_out,
                       struct kw_listed *listed_out)
{
    *listed_out = (struct kw_listed){.use = kw__last_use_of(row), .above.status = KW_KEY_ACTIVE};
    if (kw_record_decode(row->record, record_out) != KW_OK) {
        *record_out = (struct kw_record){.version = 0};
        return true;
    }
    if (!kw_engine_look_above(listing->engine, record_out, listing->now_ms, &listed_out->above) &&
        !kw_id_equal(&row->parent_id, &listing->unknown)) {
        listing->line = row->parent_id;
        return false;
    }
    return true;
}

/* By what a verification would say of its state. */
static bool wanted(const struct kw_list_query *query, const struct kw_record *record, const struct kw_listed *listed,
                   int64_t now_ms)
{
    if (!query->has_status && query->text.size == 0) {
        return true;
    }
    if (record->version == 0) {
        return false;
    }
    enum kw_key_status status = kw_record_status(record, now_ms);
    status = listed->above.status > status ? listed->above.status : status;
    if (query->has_status && status != query->status) {
        return false;
    }
    return query->text.size == 0 || kw_bytes_contains_ignoring_case(record->name, query->text) ||
           kw_bytes_contains_ignoring_case(record->description, query->text);
}

static bool is_left(const struct listing *listing)
{
    const struct kw_op *op = listing->op;
    bool asks = listing->looked_at > 0 && listing->looked_at % ROWS_UNASKED == 0;
    return asks && op->is_left != NULL && op->is_left(op);
}

static enum kw_status list_sink(void *context, const struct kw_store_row *row)
{
    struct listing *listing = context;
    struct kw_op *op = listing->op;
    if (listing->kept == op->query->limit || is_left(listing)) {
        op->has_more = true;
        return KW_E_LIMIT; /* enough: one more than asked for tells that there is more */
    }
    struct kw_listed listed;
    struct kw_record record;
    if (!look_above(listing, row, &record, &listed)) {
        return KW_E_CONFLICT;
    }
    listing->last = (struct kw_position){row->id, row->expires_at_ms, row->used_at_ms};
    listing->looked_at++;
    if (!wanted(op->query, &record, &listed, listing->now_ms)) {
        return KW_OK;
    }
    listing->kept++;
    kw_list_add(&op->result, row->record);
    kw_buffer_add(&op->other, kw_bytes_of(&listed, sizeof listed));
    return kw_buffer_status(&op->other) != KW_OK    ? KW_E_MEMORY
           : kw_buffer_status(&op->result) == KW_OK ? KW_OK
                                                    : KW_E_MEMORY;
}

struct kw_store_filter kw__filter_of(const struct kw_list_query *query, struct kw_bytes project)
{
    return (struct kw_store_filter){
        .project = project,
        .owner = query->owner,
        .org_id = query->org_id,
        .env = query->env,
        .policy = query->policy,
        .tags = query->tags,
        .tag_count = query->tag_count,
        .all_tags = query->all_tags,
        .last_four = query->last_four,
        .parent_id = query->parent_id,
        .created_from_ms = query->created_from_ms,
        .created_until_ms = query->created_until_ms,
        .expires_before_ms = query->expires_before_ms,
        .used_before_ms = query->used_before_ms,
        .used_from_ms = query->used_from_ms,
        .limit = KW_STORE_LIST_MAX,
    };
}

/* The ancestors that the list stopped at, for the index. Without them nothing can be said of a status; it is left out
 * of what is shown. */
static enum kw_status load_line_above(struct listing *listing)
{
    size_t generation;
    enum kw_status status = kw__load_family(listing->engine, &listing->line, &generation);
    listing->unknown = listing->line;
    listing->line = (struct kw_id){{0}};
    bool is_shown_only = !listing->op->query->has_status && status == KW_E_UNAVAILABLE;
    return status == KW_E_NOT_FOUND || is_shown_only ? KW_OK : status;
}

/* Goes through what the filter finds until the sink has enough, all was seen, or SCAN_MAX rows were looked at. */
static enum kw_status scan(struct kw_engine *engine, struct listing *listing, struct kw_store_filter *filter,
                           kw_store_row_sink *sink, bool *ended_out)
{
    const struct kw_op *op = listing->op;
    struct kw_store_reached *reached = &listing->reached;
    bool goes_on = true;
    *reached = (struct kw_store_reached){.position = filter->after};
    filter->reached = reached;
    while (goes_on) {
        size_t before = listing->looked_at;
        filter->after = reached->position;
        enum kw_status status = engine->store->ops->list(engine->store, filter, sink, listing);
        if (op->has_more) {
            *ended_out = false;
            return KW_OK;
        }
        if (!kw_id_is_none(&listing->line)) {
            status = load_line_above(listing);
            *reached = (struct kw_store_reached){.position = listing->last};
            if (status != KW_OK) {
                return status;
            }
            continue;
        }
        if (status != KW_OK) {
            return status;
        }
        listing->last = reached->position;
        /* A page that is not full, with more behind it, was a long search already. */
        bool is_full = listing->looked_at - before == filter->limit;
        goes_on = !reached->ended && is_full && listing->looked_at < SCAN_MAX;
    }
    *ended_out = reached->ended;
    return KW_OK;
}

/* Children name their parent's line: whoever looks for them may name any key of it, since rotations go on with it. */
static enum kw_status find_line(struct kw_engine *engine, struct kw_bytes project, struct kw_id *id)
{
    uint8_t memory[2048];
    struct kw_arena arena;
    struct kw_found found = {.arena = &arena};
    struct kw_record record;
    if (kw_id_is_none(id)) {
        return KW_OK;
    }
    kw_arena_init(&arena, memory, sizeof memory, (size_t)2 * KW_RECORD_MAX);
    enum kw_status status = engine->store->ops->find_by_id(engine->store, id, kw__found_sink, &found);
    status = status == KW_OK ? kw_record_decode(found.row.record, &record) : status;
    if (status == KW_OK && kw_bytes_equal(record.project, project)) {
        *id = record.lineage_id;
    }
    kw_arena_reset(&arena);
    return status == KW_E_NOT_FOUND ? KW_OK : status;
}

enum kw_status kw__run_list(struct kw_engine *engine, struct kw_op *op)
{
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes project;
    if (!kw__project_name(engine, op->project, memory, &project)) {
        return kw__project_gone(&op->error);
    }
    const struct kw_list_query *query = op->query;
    struct listing listing = {.engine = engine, .op = op, .last = query->after, .now_ms = op->now_ms};
    struct kw_store_filter filter = kw__filter_of(op->query, project);
    bool ended = false;
    filter.order = query->order;
    filter.after = query->after;
    filter.limit = query->limit < KW_STORE_LIST_MAX ? query->limit + 1 : KW_STORE_LIST_MAX;
    enum kw_status status = find_line(engine, project, &filter.parent_id);
    status = status == KW_OK ? scan(engine, &listing, &filter, list_sink, &ended) : status;
    op->has_more = status == KW_OK && !ended;
    op->cursor = listing.last;
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}

static enum kw_status count_sink(void *context, const struct kw_store_row *row)
{
    struct listing *listing = context;
    if (is_left(listing)) {
        listing->op->has_more = true;
        return KW_E_LIMIT;
    }
    struct kw_listed listed;
    struct kw_record record;
    if (!look_above(listing, row, &record, &listed)) {
        return KW_E_CONFLICT;
    }
    listing->last = (struct kw_position){row->id, row->expires_at_ms, row->used_at_ms};
    listing->looked_at++;
    listing->kept += wanted(listing->op->query, &record, &listed, listing->now_ms);
    return KW_OK;
}

/* A status and a text are in no index: they are looked for in the records, as far as a list looks. */
enum kw_status kw__run_count(struct kw_engine *engine, struct kw_op *op)
{
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes project;
    if (!kw__project_name(engine, op->project, memory, &project)) {
        return kw__project_gone(&op->error);
    }
    struct listing listing = {.engine = engine, .op = op, .now_ms = op->now_ms};
    struct kw_store_filter filter = kw__filter_of(op->query, project);
    enum kw_status status = find_line(engine, project, &filter.parent_id);
    if (status != KW_OK) {
        return kw__store_failed(&op->error, status);
    }
    if (op->query->has_status || op->query->text.size > 0) {
        status = scan(engine, &listing, &filter, count_sink, &op->is_exact);
        op->count = listing.kept;
    } else {
        status = engine->store->ops->count_found(engine->store, &filter, &op->count, &op->is_exact);
    }
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}
