#include "core/event.h"

#include "base/time.h"
#include "core/id.h"
#include "core/transition.h"

#define ID_START "evt_"
#define ID_START_SIZE (sizeof ID_START - 1)
#define KEY_START "key."
#define FITS_ARENA_MAX ((size_t)4 * 1024 * 1024)

/* The places of members in their table. */
enum {
    PROJECT_ID,
    KEY_ID,
    ENV,
    OWNER,
    OWNER_ID,
    ORG_ID,
    NAME,
    LAST_FOUR,
    ACTOR,
    REASON,
    CHANGED,
    REVOKED_BY,
    ROTATED_TO,
    GRACE_UNTIL,
    EXPIRES_AT,
    EXPIRING,
    SCHEDULED,
    LAST_USED_AT,
    CREATED_AT,
    KEY_IDS,
    COUNT,
    QUOTA,
    METRIC,
    PERIOD,
    PER,
    PERCENT,
    LIMIT,
    USED,
    RESETS_AT,
    CREDITED,
    CHANGE,
    VERSION,
    FINGERPRINT,
    FORGET_ERASED,
    CHECKPOINT,
    MEMBER_COUNT
};

static const struct kw_event_member members[MEMBER_COUNT] = {
    [PROJECT_ID] = {"projectId", KW_EVENT_TEXT, "the project that it happened in"},
    [KEY_ID] = {"keyId", KW_EVENT_KEY_ID, "the key"},
    [ENV] = {"env", KW_EVENT_TEXT, "the key's environment"},
    [OWNER] = {"owner", KW_EVENT_TEXT, "who holds the key: `user:1`"},
    [OWNER_ID] = {"ownerId", KW_EVENT_TEXT, "the same of a user, without `user:`"},
    [ORG_ID] = {"orgId", KW_EVENT_TEXT, "the key's organisation"},
    [NAME] = {"name", KW_EVENT_TEXT, "the name of the key, or of the project, policy, template or webhook"},
    [LAST_FOUR] = {"lastFour", KW_EVENT_TEXT, "the last four characters of the key"},
    [ACTOR] = {"actor", KW_EVENT_TEXT, "who did it"},
    [REASON] = {"reason", KW_EVENT_TEXT, "why, as far as it was said"},
    [CHANGED] = {"changed", KW_EVENT_TEXTS, "the fields that have another value now; the audit log has the values"},
    [REVOKED_BY] = {"revokedBy", KW_EVENT_TEXT, "who revoked it"},
    [ROTATED_TO] = {"rotatedTo", KW_EVENT_KEY_ID, "the key that takes its place"},
    [GRACE_UNTIL] = {"graceUntil", KW_EVENT_TIME, "until when the key that was rotated works on"},
    [EXPIRES_AT] = {"expiresAt", KW_EVENT_TIME, "the key's expiry"},
    [EXPIRING] = {"expiring", KW_EVENT_OBJECT,
                  "what is to come of the key: `action` (`disable`, `revoke`, `expire`) and `at`"},
    [SCHEDULED] = {"scheduled", KW_EVENT_OBJECT, "what of the key's times has come: `action` and `at`"},
    [LAST_USED_AT] = {"lastUsedAt", KW_EVENT_TIME, "when the key was last used; missing where it never was"},
    [CREATED_AT] = {"createdAt", KW_EVENT_TIME, "when the key was made"},
    [KEY_IDS] = {"keyIds", KW_EVENT_TEXTS, "the keys, a thousand at most"},
    [COUNT] = {"count", KW_EVENT_NUMBER, "how many"},
    [QUOTA] = {"quota", KW_EVENT_TEXT, "the quota's name"},
    [METRIC] = {"metric", KW_EVENT_TEXT, "what it counts"},
    [PERIOD] = {"period", KW_EVENT_TEXT, "of how long: `day`, `month`"},
    [PER] = {"per", KW_EVENT_TEXT, "who shares it: `key`, `owner`, `org`"},
    [PERCENT] = {"percent", KW_EVENT_NUMBER, "the mark that was reached"},
    [LIMIT] = {"limit", KW_EVENT_NUMBER, "what the quota admits in a period"},
    [USED] = {"used", KW_EVENT_NUMBER, "what is used of that"},
    [RESETS_AT] = {"resetsAt", KW_EVENT_TIME, "when the period ends"},
    [CREDITED] = {"credited", KW_EVENT_NUMBER, "what was given back"},
    [CHANGE] = {"change", KW_EVENT_TEXT, "`created`, `updated` or `deleted`"},
    [VERSION] = {"version", KW_EVENT_NUMBER, "of the document; of one that was deleted its last"},
    [FINGERPRINT] = {"fingerprint", KW_EVENT_TEXT, "of the pepper"},
    [FORGET_ERASED] = {"forgetErased", KW_EVENT_BOOL, "although erased keys still need it"},
    [CHECKPOINT] = {"checkpoint", KW_EVENT_OBJECT, "how far the log had come, signed: to be kept elsewhere"},
};
_Static_assert(MEMBER_COUNT <= 64, "a kind names its members by bits");

#define BIT(member) (UINT64_C(1) << (member))
#define OF_KEY (BIT(PROJECT_ID) | BIT(KEY_ID) | BIT(ENV))
#define OF_CHANGE (OF_KEY | BIT(ACTOR))
#define SHOWN (BIT(OWNER) | BIT(OWNER_ID) | BIT(ORG_ID) | BIT(NAME) | BIT(LAST_FOUR))
#define AROUND (SHOWN | BIT(REASON))
#define OF_QUOTA \
    (BIT(PROJECT_ID) | BIT(KEY_ID) | BIT(QUOTA) | BIT(METRIC) | BIT(PERIOD) | BIT(PER) | BIT(PERCENT) | BIT(LIMIT) | \
     BIT(USED) | BIT(RESETS_AT))
#define OF_DOCUMENT (BIT(PROJECT_ID) | BIT(NAME) | BIT(VERSION) | BIT(CHANGE) | BIT(ACTOR))
#define OF_PEPPER (BIT(PROJECT_ID) | BIT(FINGERPRINT) | BIT(ACTOR))

static const struct kw_event_kind kinds[] = {
    {"key.created", "a key was created", OF_CHANGE, AROUND | BIT(EXPIRES_AT)},
    {"key.updated", "fields of a key were changed", OF_CHANGE | BIT(CHANGED), AROUND},
    {"key.enabled", "a key was enabled", OF_CHANGE, AROUND},
    {"key.disabled", "a key was disabled", OF_CHANGE, AROUND | BIT(SCHEDULED)},
    {"key.revoked", "a key was revoked, by somebody, its schedule or the end of its grace period",
     OF_CHANGE | BIT(REVOKED_BY), AROUND | BIT(SCHEDULED)},
    {"key.rotated", "a key got a successor", OF_CHANGE | BIT(ROTATED_TO), AROUND | BIT(GRACE_UNTIL)},
    {"key.expiring", "a key will be disabled, be revoked or expire in `notifyBefore`", OF_CHANGE | BIT(EXPIRING),
     AROUND},
    {"key.expired", "the expiry of a key has passed", OF_CHANGE | BIT(EXPIRES_AT), AROUND | BIT(SCHEDULED)},
    {"key.unused", "an active key was not used for as long as the project's `unusedAfter` says",
     OF_KEY | BIT(CREATED_AT), SHOWN | BIT(LAST_USED_AT)},
    {"key.erased", "a revoked key was erased; its owner and its names are not told", OF_CHANGE,
     BIT(LAST_FOUR) | BIT(REASON)},
    {"key.imported", "an import brought or changed a key", OF_CHANGE, AROUND},
    {"keys.imported", "an import brought new keys, which have no events of their own",
     BIT(PROJECT_ID) | BIT(ACTOR) | BIT(COUNT) | BIT(KEY_IDS), 0},
    {"key.digest_moved", "the digest of a key was made anew by the method of new keys", OF_CHANGE, AROUND},
    {"key.quota.warning", "a mark of a quota was reached, before its end", OF_QUOTA, SHOWN | BIT(ENV)},
    {"key.quota.exceeded", "all that a quota admits was used", OF_QUOTA, SHOWN | BIT(ENV)},
    {"key.quota.credited", "a quota got back what was used of it", OF_CHANGE | BIT(QUOTA) | BIT(CREDITED), AROUND},
    {"project.changed", "a project was created, changed or deleted", OF_DOCUMENT, 0},
    {"policy.changed", "a policy was created, changed or deleted", OF_DOCUMENT, 0},
    {"template.changed", "a template was created, changed or deleted", OF_DOCUMENT, 0},
    {"webhook.changed", "a webhook was created, changed or deleted", OF_DOCUMENT, 0},
    {"channel.changed", "a channel for people was created, changed or deleted", OF_DOCUMENT, 0},
    {"webhook.paused", "Keyward paused a webhook that has failed for long", OF_DOCUMENT | BIT(REASON), 0},
    {"webhook.disabled", "Keyward switched off a webhook whose endpoint said that it is gone",
     OF_DOCUMENT | BIT(REASON), 0},
    {"pepper.added", "a pepper became that of new keys", OF_PEPPER, 0},
    {"pepper.retired", "a pepper was taken out", OF_PEPPER, BIT(FORGET_ERASED)},
    {"audit.checkpoint", "a checkpoint of the audit log was signed", BIT(PROJECT_ID) | BIT(CHECKPOINT), 0},
};

const struct kw_event_kind *kw_event_kinds(size_t *count_out)
{
    *count_out = KW_COUNT_OF(kinds);
    return kinds;
}

const struct kw_event_member *kw_event_members(size_t *count_out)
{
    *count_out = MEMBER_COUNT;
    return members;
}

const struct kw_event_kind *kw_event_kind(struct kw_bytes name)
{
    const struct kw_event_kind *found = NULL;
    for (size_t i = 0; i < KW_COUNT_OF(kinds) && found == NULL; i++) {
        found = kw_bytes_equal(name, kw_bytes_of_text(kinds[i].name)) ? &kinds[i] : NULL;
    }
    return found;
}

/* --- filters --- */

/* A whole name, or what stands before the '*' of "key.*". */
static bool matches_as_it_is(struct kw_bytes pattern, struct kw_bytes name)
{
    bool is_start = pattern.size >= 2 && pattern.data[pattern.size - 1] == '*' && pattern.data[pattern.size - 2] == '.';
    return is_start ? kw_bytes_starts_with(name, kw_bytes_of(pattern.data, pattern.size - 1))
                    : kw_bytes_equal(pattern, name);
}

bool kw_event_matches(struct kw_bytes pattern, struct kw_bytes name)
{
    if (kw_bytes_equal(pattern, KW_BYTES("*")) || matches_as_it_is(pattern, name)) {
        return true;
    }
    return kw_bytes_starts_with(name, KW_BYTES(KEY_START)) &&
           matches_as_it_is(pattern, kw_bytes_skip(name, sizeof KEY_START - 1));
}

bool kw_event_pattern_valid(struct kw_bytes pattern)
{
    bool is_valid = false;
    for (size_t i = 0; i < KW_COUNT_OF(kinds) && !is_valid; i++) {
        is_valid = pattern.size <= KW_EVENT_PATTERN_MAX && kw_event_matches(pattern, kw_bytes_of_text(kinds[i].name));
    }
    return is_valid;
}

bool kw_event_matches_any(const struct kw_bytes *patterns, size_t count, struct kw_bytes name)
{
    bool is_any = count == 0;
    for (size_t i = 0; i < count && !is_any; i++) {
        is_any = kw_event_matches(patterns[i], name);
    }
    return is_any;
}

bool kw_event_matches_list(struct kw_bytes list, struct kw_bytes name)
{
    bool is_any = list.size == 0;
    while (list.size > 0 && !is_any) {
        struct kw_bytes pattern;
        kw_bytes_split(list, ',', &pattern, &list);
        is_any = kw_event_matches(pattern, name);
    }
    return is_any;
}

enum kw_status kw_event_list_check(struct kw_bytes list, const char *field, struct kw_error *error_out)
{
    struct kw_bytes rest = list;
    bool goes_on = list.size > 0;
    if (list.size > KW_EVENT_LIST_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field, "must be at most %d bytes", KW_EVENT_LIST_MAX);
    }
    for (size_t count = 0; goes_on; count++) {
        struct kw_bytes pattern;
        goes_on = kw_bytes_split(rest, ',', &pattern, &rest);
        if (count == KW_EVENT_PATTERN_COUNT_MAX) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field, "must be at most %d types",
                             KW_EVENT_PATTERN_COUNT_MAX);
        }
        if (!kw_event_pattern_valid(pattern)) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field,
                             "names no event: docs/events.md lists them, such as key.revoked, key.* or policy.*");
        }
    }
    return KW_OK;
}

/* --- events --- */

void kw_event_id_format(const struct kw_id *id, char *out)
{
    kw_id_format(id, out);
    memcpy(out, ID_START, ID_START_SIZE); /* as long as what ids of keys begin with */
}

bool kw_event_id_parse(struct kw_bytes text, struct kw_id *id_out)
{
    char as_key[KW_ID_TEXT_SIZE];
    if (text.size != sizeof as_key || !kw_bytes_starts_with(text, KW_BYTES(ID_START))) {
        return false;
    }
    memcpy(as_key, text.data, sizeof as_key);
    memcpy(as_key, "key_", ID_START_SIZE);
    return kw_id_parse(kw_bytes_of(as_key, sizeof as_key), id_out);
}

static void write_text(struct kw_json_writer *json, unsigned member, struct kw_bytes text)
{
    if (text.size > 0) {
        kw_json_name(json, members[member].name);
        kw_json_string(json, text);
    }
}

void kw_event_write_data(const struct kw_event *event, struct kw_json_writer *json)
{
    kw_json_begin_object(json);
    write_text(json, PROJECT_ID, event->project);
    if (!kw_id_is_none(&event->key_id)) {
        char id[KW_ID_TEXT_SIZE];
        kw_id_format(&event->key_id, id);
        write_text(json, KEY_ID, kw_bytes_of(id, sizeof id));
    }
    write_text(json, ENV, event->env);
    write_text(json, OWNER, event->owner);
    if (kw_bytes_starts_with(event->owner, KW_BYTES("user:"))) {
        write_text(json, OWNER_ID, kw_bytes_skip(event->owner, sizeof "user:" - 1));
    }
    if (event->details.size > sizeof "{}" - 1) {
        if (json->needs_comma) {
            kw_buffer_add_byte(json->buffer, ',');
        }
        kw_buffer_add(json->buffer, kw_bytes_of(event->details.data + 1, event->details.size - 2));
        json->needs_comma = true;
    }
    kw_json_end_object(json);
}

static void write_event(const struct kw_event *event, bool has_type, struct kw_json_writer *json)
{
    char id[KW_EVENT_ID_TEXT_SIZE];
    char time[KW_TIME_TEXT_SIZE];
    kw_event_id_format(&event->id, id);
    kw_time_format(event->at_ms, time);
    kw_json_begin_object(json);
    kw_json_name(json, "id");
    kw_json_string(json, kw_bytes_of(id, sizeof id));
    if (has_type) {
        kw_json_name(json, "type");
        kw_json_string(json, event->type);
    }
    kw_json_name(json, "event");
    kw_json_string(json, event->type);
    kw_json_name(json, "timestamp");
    kw_json_string(json, kw_bytes_of(time, sizeof time));
    kw_json_name(json, "data");
    kw_event_write_data(event, json);
    kw_json_end_object(json);
}

void kw_event_write(const struct kw_event *event, struct kw_json_writer *json)
{
    write_event(event, false, json);
}

void kw_event_write_message(const struct kw_event *event, struct kw_json_writer *json)
{
    write_event(event, true, json);
}

/* --- what fits the catalogue --- */

static bool value_fits(enum kw_event_value value, const struct kw_json_token *token)
{
    struct kw_id id;
    int64_t time_ms;
    switch (value) {
    case KW_EVENT_TEXT:
        return token->type == KW_JSON_STRING;
    case KW_EVENT_KEY_ID:
        return token->type == KW_JSON_STRING && kw_id_parse(token->text, &id);
    case KW_EVENT_TIME:
        return token->type == KW_JSON_STRING && kw_time_parse(token->text, &time_ms);
    case KW_EVENT_NUMBER:
        return token->type == KW_JSON_NUMBER;
    case KW_EVENT_BOOL:
        return token->type == KW_JSON_TRUE || token->type == KW_JSON_FALSE;
    case KW_EVENT_TEXTS:
        return token->type == KW_JSON_ARRAY_BEGIN;
    case KW_EVENT_OBJECT:
        return token->type == KW_JSON_OBJECT_BEGIN;
    }
    return false;
}

/* The bit of the member of that name, or 0. */
static uint64_t bit_of(struct kw_bytes name, enum kw_event_value *value_out)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        if (kw_bytes_equal(name, kw_bytes_of_text(members[i].name))) {
            *value_out = members[i].value;
            return BIT(i);
        }
    }
    return 0;
}

/* The members that the data has; false where one of them is unknown, doubled or of another kind. */
static bool read_members(struct kw_json_reader *reader, uint64_t *seen_out)
{
    struct kw_error error;
    struct kw_json_token token;
    struct kw_bytes raw;
    uint64_t seen = 0;
    bool fits = kw_json_next(reader, &token, &error) == KW_OK && token.type == KW_JSON_OBJECT_BEGIN;
    while (fits && kw_json_next(reader, &token, &error) == KW_OK && token.type == KW_JSON_NAME) {
        enum kw_event_value value = KW_EVENT_TEXT;
        uint64_t bit = bit_of(token.text, &value);
        fits = bit != 0 && (seen & bit) == 0 && kw_json_next(reader, &token, &error) == KW_OK &&
               value_fits(value, &token) && kw_json_skip(reader, &token, &raw, &error) == KW_OK;
        seen |= bit;
    }
    *seen_out = seen;
    return fits && token.type == KW_JSON_OBJECT_END;
}

bool kw_event_fits(const struct kw_event *event)
{
    const struct kw_event_kind *kind = kw_event_kind(event->type);
    struct kw_buffer text;
    struct kw_json_writer json;
    struct kw_json_reader reader;
    struct kw_arena arena;
    uint64_t seen = 0;
    kw_buffer_init(&text, FITS_ARENA_MAX);
    kw_arena_init(&arena, NULL, 0, FITS_ARENA_MAX);
    kw_json_writer_init(&json, &text);
    kw_event_write_data(event, &json);
    kw_json_reader_init(&reader, kw_buffer_bytes(&text), &arena);
    bool fits = kind != NULL && kw_buffer_status(&text) == KW_OK && read_members(&reader, &seen) &&
                (kind->always & ~seen) == 0 && (seen & ~(kind->always | kind->sometimes)) == 0;
    kw_arena_reset(&arena);
    kw_buffer_deinit(&text);
    return fits;
}
