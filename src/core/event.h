/*
 * Events: what is told of what happened. The catalogue is one table: each event by its name, what it tells of, and the
 * fields of its data; the reference (docs/events.md) is held against it, and so is each event that the engine writes.
 * An event is the same JSON wherever it goes: in the list, in a stream, to a webhook.
 */
#ifndef KW_CORE_EVENT_H
#define KW_CORE_EVENT_H

#include "base/json.h"
#include <keyward/record.h>

#define KW_EVENT_NAME_MAX 64
#define KW_EVENT_PATTERN_MAX 64
#define KW_EVENT_PATTERN_COUNT_MAX 32 /* of a filter */
#define KW_EVENT_LIST_MAX 2048        /* bytes of several with commas between them */
#define KW_EVENT_ID_TEXT_SIZE KW_ID_TEXT_SIZE

/* --- the catalogue --- */

enum kw_event_value {
    KW_EVENT_TEXT,
    KW_EVENT_KEY_ID, /* "key_" and 26 characters */
    KW_EVENT_TIME,   /* RFC 3339 */
    KW_EVENT_NUMBER,
    KW_EVENT_BOOL,
    KW_EVENT_TEXTS, /* an array */
    KW_EVENT_OBJECT,
};

/* A member of an event's data. It means the same in each event that has it. */
struct kw_event_member {
    const char *name; /* "keyId" */
    enum kw_event_value value;
    const char *means; /* for the reference */
};

/* A kind of event; the bits of `always` and `sometimes` are the places of members in their table. */
struct kw_event_kind {
    const char *name;  /* "key.created" */
    const char *means; /* for the reference */
    uint64_t always;   /* members that each event of this kind has */
    uint64_t sometimes;
};

/* All that there are, in the order of the reference. */
const struct kw_event_kind *kw_event_kinds(size_t *count_out);
const struct kw_event_member *kw_event_members(size_t *count_out);
/* NULL when there is none of that name. */
const struct kw_event_kind *kw_event_kind(struct kw_bytes name);

/* --- filters --- */

/*
 * A pattern is an event's name ("key.revoked", or "revoked" without the "key." in front), what names begin with
 * ("key.*", "quota.*" for "key.quota.*", "policy.*"), or "*" for all. False where it means no event of the catalogue.
 */
KW_MUST_USE bool kw_event_pattern_valid(struct kw_bytes pattern);
bool kw_event_matches(struct kw_bytes pattern, struct kw_bytes name);
/* Whether one of the patterns matches; without patterns all do. */
bool kw_event_matches_any(const struct kw_bytes *patterns, size_t count, struct kw_bytes name);

/* Patterns with commas between them: "revoked,policy.*"; empty: all events. Whether one of them matches. */
bool kw_event_matches_list(struct kw_bytes list, struct kw_bytes name);
/* INVALID_FIELD, naming `field`, for a pattern that means no event, and beyond KW_EVENT_PATTERN_COUNT_MAX of them. */
KW_MUST_USE enum kw_status kw_event_list_check(struct kw_bytes list, const char *field, struct kw_error *error_out);

/* --- events --- */

struct kw_event {
    struct kw_id id;
    int64_t at_ms;
    struct kw_bytes type; /* a name of the catalogue */
    struct kw_bytes project;
    struct kw_id key_id;        /* none where it is not about one key */
    struct kw_bytes env, owner; /* of that key; may be empty */
    struct kw_bytes details;    /* a JSON object: the other members of its data */
};

/*
 * {"id":"evt_…","event":"key.created","timestamp":…,"data":{"projectId":…,"keyId":…,"env":…,"owner":…,"ownerId":…,
 * and the details}}. What is empty is left out; `ownerId` stands beside the `owner` that is a user.
 */
void kw_event_write(const struct kw_event *event, struct kw_json_writer *json);
/* The same as it is sent: with its name once more as `type`, which the Standard Webhooks specification wants. */
void kw_event_write_message(const struct kw_event *event, struct kw_json_writer *json);
/* The object of its data alone. */
void kw_event_write_data(const struct kw_event *event, struct kw_json_writer *json);

/* Writes "evt_" and 26 characters, KW_EVENT_ID_TEXT_SIZE in all, no NUL. */
void kw_event_id_format(const struct kw_id *id, char *out);
/* Strict, as kw_id_parse. */
KW_MUST_USE bool kw_event_id_parse(struct kw_bytes text, struct kw_id *id_out);

/* Whether the catalogue has it so: its name, all members that its data must have, none that it may not, each of its
 * kind. */
KW_MUST_USE bool kw_event_fits(const struct kw_event *event);

#endif
