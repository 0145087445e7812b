/*
 * What happened, as it is told: one event for each change to a key, policy, template or project, and for what was seen
 * of their use. docs/events.md lists them with their data.
 */
#ifndef KEYWARD_EVENTS_H
#define KEYWARD_EVENTS_H

#include <keyward/record.h>

#ifdef __cplusplus
extern "C" {
#endif

struct keyward; /* keyward.h, as is the next */
struct kw_held_document;

#define KW_EVENTS_LIST_MAX 1000

/* Which events. All borrowed for the call; empty, none or 0: any. */
struct kw_events_request {
    struct kw_bytes project; /* "default" when empty */
    struct kw_bytes types;   /* patterns with commas between them: "revoked,quota.*,policy.changed"; at most 32 */
    struct kw_id key_id;
    struct kw_bytes owner, env;
    int64_t since_ms;  /* from then on */
    bool latest_first; /* else in the order in which they were committed */
    uint64_t after;    /* events behind the one that a cursor stands for; 0: from the first, or the latest, on */
    size_t limit;      /* 1 to KW_EVENTS_LIST_MAX; 0: 50 */
};

/* How far a list came. */
struct kw_events_reached {
    uint64_t after; /* where to go on, also for events that are yet to come */
    bool has_more;  /* there may be more already */
};

/*
 * Events as JSON, as the interface answers GET /v1/events: {"items":[{"id":…,"event":"key.created","timestamp":…,
 * "data":{…}}]}. `reached_out` may be NULL. INVALID_FIELD for a type that no event has. Clear with
 * kw_held_document_clear.
 */
KW_API KW_MUST_USE enum kw_status kw_events(struct keyward *keyward, const struct kw_events_request *request,
                                            struct kw_held_document *held_out, struct kw_events_reached *reached_out,
                                            struct kw_error *error_out);

#ifdef __cplusplus
}
#endif
#endif
