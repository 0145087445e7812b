#include "engine/unused.h"

#include "base/bytes.h"
#include "core/id.h"
#include "engine/tell.h"

#define TOLD_TOGETHER 200
#define LOOK_EVERY_MS INT64_C(600000)
#define SETTING "unused.told:"
#define MARK_VERSION 1

/* How far it came: the newest key that never was used, and the place in the order of use. All zero: nowhere. */
struct mark {
    struct kw_id created; /* of keys without use */
    struct kw_id used;
    int64_t used_at_ms;
};
#define MARK_SIZE (1 + 2 * sizeof(struct kw_id) + 8)

struct telling {
    struct kw_engine *engine;
    const struct kw_project *project;
    int64_t now_ms;
    struct mark mark;
    struct kw_store_event *events;
    size_t event_count, row_count;
};

/* --- the mark --- */

static struct kw_bytes mark_name(const struct kw_project *project, uint8_t memory[sizeof SETTING + KW_PROJECT_MAX])
{
    memcpy(memory, SETTING, sizeof SETTING - 1);
    memcpy(memory + sizeof SETTING - 1, project->name.data, project->name.size);
    return kw_bytes_of(memory, sizeof SETTING - 1 + project->name.size);
}

static void encode_mark(const struct mark *mark, uint8_t out[MARK_SIZE])
{
    uint64_t at = (uint64_t)mark->used_at_ms;
    *out++ = MARK_VERSION;
    memcpy(out, mark->created.bytes, sizeof mark->created.bytes);
    memcpy(out + sizeof mark->created.bytes, mark->used.bytes, sizeof mark->used.bytes);
    out += sizeof mark->created.bytes + sizeof mark->used.bytes;
    for (size_t i = 8; i-- > 0; at >>= 8) {
        out[i] = (uint8_t)at;
    }
}

static enum kw_status read_mark(struct telling *telling)
{
    struct kw_store *store = telling->engine->store;
    uint8_t memory[sizeof SETTING + KW_PROJECT_MAX];
    uint8_t value[MARK_SIZE];
    size_t size = 0;
    enum kw_status status = store->ops->setting(store, mark_name(telling->project, memory), value, sizeof value, &size);
    telling->mark = (struct mark){.used_at_ms = 0};
    if (status == KW_E_NOT_FOUND) {
        return KW_OK;
    }
    if (status != KW_OK || size != sizeof value || value[0] != MARK_VERSION) {
        return status != KW_OK ? status : KW_E_CORRUPT;
    }
    const uint8_t *at = value + 1;
    memcpy(telling->mark.created.bytes, at, sizeof telling->mark.created.bytes);
    memcpy(telling->mark.used.bytes, at + sizeof(struct kw_id), sizeof telling->mark.used.bytes);
    uint64_t used_at = 0;
    for (size_t i = 0; i < 8; i++) {
        used_at = used_at << 8 | at[2 * sizeof(struct kw_id) + i];
    }
    telling->mark.used_at_ms = (int64_t)used_at;
    return KW_OK;
}

/* --- keys --- */

static enum kw_status tell(struct telling *telling, const struct kw_record *record, int64_t used_at_ms)
{
    struct kw_store_event *event = &telling->events[telling->event_count];
    struct kw_json_writer json;
    *event = (struct kw_store_event){.at_ms = telling->now_ms,
                                     .project = telling->project->name,
                                     .key_id = record->id,
                                     .type = KW_BYTES("key.unused")};
    enum kw_status status = kw__draw_id(telling->engine, telling->now_ms, &event->id);
    if (status != KW_OK) {
        return status;
    }
    kw__tell_begin(telling->engine, record, false, &json, event);
    kw__tell_time(&json, "lastUsedAt", used_at_ms);
    kw__tell_time(&json, "createdAt", record->created_at_ms);
    status = kw__tell_end(telling->engine, &json, event);
    telling->event_count += status == KW_OK;
    return status;
}

static enum kw_status see_row(void *context, const struct kw_store_row *row)
{
    struct telling *telling = context;
    struct kw_bytes encoding;
    struct kw_record record;
    enum kw_status status = kw_arena_copy(&telling->engine->writer_state->arena, row->record, &encoding);
    if (status != KW_OK) {
        return status;
    }
    telling->row_count++;
    if (row->used_at_ms == 0) {
        telling->mark.created = row->id;
    } else {
        telling->mark.used = row->id;
        telling->mark.used_at_ms = row->used_at_ms;
    }
    bool is_active =
        kw_record_decode(encoding, &record) == KW_OK && kw_record_status(&record, telling->now_ms) == KW_KEY_ACTIVE;
    return is_active ? tell(telling, &record, row->used_at_ms) : KW_OK;
}

/* The next keys without use, then those whose use is the longest ago. */
static enum kw_status see_keys(struct telling *telling)
{
    struct kw_store *store = telling->engine->store;
    int64_t until_ms = telling->now_ms - telling->project->unused_after_ms;
    struct kw_store_reached reached;
    struct kw_store_filter filter = {.project = telling->project->name,
                                     .order = KW_ORDER_USED,
                                     .after = {.id = telling->mark.created},
                                     .created_until_ms = until_ms,
                                     .used_before_ms = 1, /* never */
                                     .limit = TOLD_TOGETHER,
                                     .reached = &reached};
    enum kw_status status = store->ops->list(store, &filter, see_row, telling);
    if (status != KW_OK || telling->row_count == TOLD_TOGETHER) {
        return status;
    }
    filter.after = (struct kw_position){.id = telling->mark.used, .used_at_ms = telling->mark.used_at_ms};
    filter.created_until_ms = 0;
    filter.used_from_ms = telling->mark.used_at_ms > 0 ? telling->mark.used_at_ms : 1;
    filter.used_before_ms = until_ms;
    filter.limit = TOLD_TOGETHER - telling->row_count;
    return store->ops->list(store, &filter, see_row, telling);
}

static enum kw_status commit(struct telling *telling)
{
    struct kw_engine *engine = telling->engine;
    uint8_t memory[sizeof SETTING + KW_PROJECT_MAX];
    uint8_t value[MARK_SIZE];
    encode_mark(&telling->mark, value);
    struct kw_store_setting setting = {mark_name(telling->project, memory), kw_bytes_of(value, sizeof value)};
    struct kw_store_batch batch = {
        .events = telling->events, .event_count = telling->event_count, .settings = &setting, .setting_count = 1};
    enum kw_status status = engine->store->ops->commit(engine->store, &batch, 1);
    kw__tell_committed(engine);
    return status == KW_OK ? batch.outcome : status;
}

/* True when there may be more of this project. What fails is tried again, from the mark that the store has then. */
static bool tell_some(struct kw_engine *engine, const struct kw_project *project, int64_t now_ms)
{
    struct telling telling = {.engine = engine, .project = project, .now_ms = now_ms};
    struct kw_arena *arena = &engine->writer_state->arena;
    telling.events = kw_arena_take_array(arena, TOLD_TOGETHER, sizeof *telling.events);
    enum kw_status status = telling.events == NULL ? KW_E_MEMORY : read_mark(&telling);
    status = status == KW_OK ? see_keys(&telling) : status;
    status = status == KW_OK && telling.row_count > 0 ? commit(&telling) : status;
    kw_arena_reset(arena);
    return status == KW_OK && telling.row_count == TOLD_TOGETHER;
}

void kw__unused_tell(struct kw_engine *engine)
{
    struct kw_writer *writer = engine->writer_state;
    const struct kw_catalog *catalog = kw__catalog(engine);
    int64_t now_ms = kw_engine_now_ms(engine);
    if (now_ms < writer->unused_look_at_ms) {
        return;
    }
    if (writer->unused_project < KW_PROJECT_DEFAULT) {
        writer->unused_project = KW_PROJECT_DEFAULT;
    }
    const struct kw_project *project = kw_project_by_number(catalog, writer->unused_project);
    if (project != NULL && project->unused_after_ms > 0 && tell_some(engine, project, now_ms)) {
        return;
    }
    writer->unused_project++;
    if (writer->unused_project >= catalog->number_count) {
        writer->unused_project = KW_PROJECT_DEFAULT;
        writer->unused_look_at_ms = now_ms + LOOK_EVERY_MS;
    }
}
