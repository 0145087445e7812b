#include "engine/tell.h"

#include "base/time.h"

#include <assert.h>

void kw__tell_text(struct kw_json_writer *json, const char *name, struct kw_bytes text)
{
    if (text.size > 0) {
        kw_json_name(json, name);
        kw_json_string(json, text);
    }
}

struct kw_bytes kw__tell_actor(const struct kw_op *op)
{
    return op->actor.size > 0 ? op->actor : KW_BYTES("system");
}

void kw__tell_id(struct kw_json_writer *json, const char *name, const struct kw_id *id)
{
    char text[KW_ID_TEXT_SIZE];
    kw_id_format(id, text);
    kw__tell_text(json, name, kw_bytes_of(text, sizeof text));
}

void kw__tell_time(struct kw_json_writer *json, const char *name, int64_t time_ms)
{
    char text[KW_TIME_TEXT_SIZE];
    if (time_ms != 0) {
        kw_time_format(time_ms, text);
        kw__tell_text(json, name, kw_bytes_of(text, sizeof text));
    }
}

void kw__line_begin(struct kw_engine *engine, struct kw_json_writer *json)
{
    struct kw_writer *writer = engine->writer_state;
    kw_buffer_reset(&writer->scratch);
    kw_json_writer_init(json, &writer->scratch);
    kw_json_begin_object(json);
}

enum kw_status kw__line_end(struct kw_engine *engine, struct kw_json_writer *json, struct kw_bytes *details_out)
{
    struct kw_writer *writer = engine->writer_state;
    kw_json_end_object(json);
    enum kw_status status = kw_buffer_status(&writer->scratch);
    return status == KW_OK ? kw_arena_copy(&writer->arena, kw_buffer_bytes(&writer->scratch), details_out)
                           : KW_E_MEMORY;
}

void kw__tell_begin(struct kw_engine *engine, const struct kw_record *record, bool is_erased,
                    struct kw_json_writer *json, struct kw_store_event *event)
{
    static const uint8_t none[sizeof record->last_four] = {0};
    kw__line_begin(engine, json);
    if (record == NULL) {
        return;
    }
    event->env = record->env;
    if (memcmp(record->last_four, none, sizeof none) != 0) {
        kw__tell_text(json, "lastFour", kw_bytes_of(record->last_four, sizeof record->last_four));
    }
    if (!is_erased) {
        event->owner = record->owner;
        kw__tell_text(json, "name", record->name);
        kw__tell_text(json, "orgId", record->org_id);
    }
}

struct kw_event kw__event_of(const struct kw_store_event *event)
{
    return (struct kw_event){.id = event->id,
                             .at_ms = event->at_ms,
                             .type = event->type,
                             .project = event->project,
                             .key_id = event->key_id,
                             .env = event->env,
                             .owner = event->owner,
                             .details = event->body};
}

enum kw_status kw__tell_end(struct kw_engine *engine, struct kw_json_writer *json, struct kw_store_event *event)
{
    enum kw_status status = kw__line_end(engine, json, &event->body);
#ifndef NDEBUG
    struct kw_event told = kw__event_of(event);
    assert(status != KW_OK || kw_event_fits(&told));
#endif
    return status == KW_OK ? KW_OK : KW_E_MEMORY;
}

void kw__tell_committed(struct kw_engine *engine)
{
    __atomic_fetch_add(&engine->tellings, 1, __ATOMIC_RELEASE);
}
