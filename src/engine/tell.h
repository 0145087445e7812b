/*
 * Events as the engine writes them, of the catalogue (core/event.h). Everything is made in the writer's arena, on its
 * thread, and committed with the change that it tells of, or not at all.
 */
#ifndef KW_ENGINE_TELL_H
#define KW_ENGINE_TELL_H

#include "core/event.h"
#include "engine/writer.h"

/*
 * Begins an event with its id, time, project, key and type: what says which key it was, where `record` is one (NULL:
 * none) and, unless `is_erased`, whose it is. What else its data has is written behind it, up to kw__tell_end. Uses the
 * writer's scratch.
 */
void kw__tell_begin(struct kw_engine *engine, const struct kw_record *record, bool is_erased,
                    struct kw_json_writer *json, struct kw_store_event *event);
void kw__tell_text(struct kw_json_writer *json, const char *name, struct kw_bytes text); /* left out where empty */
/* Who did it: the system, where the operation names nobody. */
struct kw_bytes kw__tell_actor(const struct kw_op *op);
void kw__tell_id(struct kw_json_writer *json, const char *name, const struct kw_id *id);
void kw__tell_time(struct kw_json_writer *json, const char *name, int64_t time_ms); /* left out where 0 */
/* KW_E_MEMORY. What the catalogue does not have so is a mistake of whoever tells it. */
KW_MUST_USE enum kw_status kw__tell_end(struct kw_engine *engine, struct kw_json_writer *json,
                                        struct kw_store_event *event);

/* The details of a line of the audit log, which says by itself who did it, when, and why. Uses the writer's scratch. */
void kw__line_begin(struct kw_engine *engine, struct kw_json_writer *json);
/* KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw__line_end(struct kw_engine *engine, struct kw_json_writer *json,
                                        struct kw_bytes *details_out);

/* The event as the catalogue sees it. */
struct kw_event kw__event_of(const struct kw_store_event *event);

/* Says to whoever waits for events that there may be new ones: after a commit. Any thread. */
void kw__tell_committed(struct kw_engine *engine);

#endif
