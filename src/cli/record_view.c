#include "cli/record_view.h"

#include "base/time.h"

#define VALUE_MAX (256 * 1024)

static const char *const names[KW_SHOWN_COUNT] = {
    [KW_SHOWN_ID] = "id",
    [KW_SHOWN_PROJECT] = "projectId",
    [KW_SHOWN_ENV] = "env",
    [KW_SHOWN_PREFIX] = "prefix",
    [KW_SHOWN_LAST_FOUR] = "lastFour",
    [KW_SHOWN_PUBLIC] = "isPublic",
    [KW_SHOWN_STATUS] = "status",
    [KW_SHOWN_EFFECTIVE] = "effectiveStatus",
    [KW_SHOWN_OWNER] = "owner",
    [KW_SHOWN_ORG] = "orgId",
    [KW_SHOWN_NAME] = "name",
    [KW_SHOWN_DESCRIPTION] = "description",
    [KW_SHOWN_TAGS] = "tags",
    [KW_SHOWN_METADATA] = "metadata",
    [KW_SHOWN_SCOPES] = "scopes",
    [KW_SHOWN_RESOURCES] = "resources",
    [KW_SHOWN_ALLOWED_IPS] = "allowedIPs",
    [KW_SHOWN_BLOCKED_IPS] = "blockedIPs",
    [KW_SHOWN_ALLOWED_REGIONS] = "allowedRegions",
    [KW_SHOWN_BLOCKED_REGIONS] = "blockedRegions",
    [KW_SHOWN_RATE_LIMITS] = "rateLimits",
    [KW_SHOWN_QUOTAS] = "quotas",
    [KW_SHOWN_POLICY] = "policy",
    [KW_SHOWN_TEMPLATE] = "template",
    [KW_SHOWN_PARENT] = "parentId",
    [KW_SHOWN_CREATED_AT] = "createdAt",
    [KW_SHOWN_CREATED_BY] = "createdBy",
    [KW_SHOWN_EXPIRES_AT] = "expiresAt",
    [KW_SHOWN_REVOKED_AT] = "revokedAt",
    [KW_SHOWN_REVOKED_BY] = "revokedBy",
    [KW_SHOWN_REVOKE_REASON] = "revokeReason",
    [KW_SHOWN_ROTATED_FROM] = "rotatedFrom",
    [KW_SHOWN_ROTATED_TO] = "rotatedTo",
    [KW_SHOWN_GRACE_UNTIL] = "graceUntil",
    [KW_SHOWN_SCHEDULE] = "schedule",
    [KW_SHOWN_LAST_USED_AT] = "lastUsedAt",
    [KW_SHOWN_LAST_USED_IP] = "lastUsedIP",
    [KW_SHOWN_LAST_USED_REGION] = "lastUsedRegion",
    [KW_SHOWN_VERSION] = "version",
};

enum kw_status kw_shown_record_read(struct kw_bytes record, struct kw_arena *arena, int64_t now_ms,
                                    struct kw_shown_record *shown_out)
{
    for (size_t i = 0; i < KW_SHOWN_COUNT; i++) {
        shown_out->fields[i].name = names[i];
    }
    shown_out->arena = arena;
    shown_out->now_ms = now_ms;
    enum kw_status status = kw_members_read(record, arena, shown_out->fields, KW_SHOWN_COUNT);
    bool is_record = status == KW_OK && shown_out->fields[KW_SHOWN_ID].type == KW_JSON_STRING;
    return status == KW_OK && !is_record ? KW_E_INVALID : status;
}

const char *kw_status_colour(struct kw_bytes status)
{
    static const struct {
        const char *status;
        const char *colour;
    } colours[] = {
        {"active", KW_COLOUR_GREEN},
        {"disabled", KW_COLOUR_YELLOW},
        {"expired", KW_COLOUR_RED},
        {"revoked", KW_COLOUR_RED},
    };
    for (size_t i = 0; i < KW_COUNT_OF(colours); i++) {
        if (kw_bytes_equal(kw_bytes_of_text(colours[i].status), status)) {
            return colours[i].colour;
        }
    }
    return NULL;
}

void kw_shown_key(const struct kw_shown_record *record, struct kw_buffer *text)
{
    kw_text_clean(text, record->fields[KW_SHOWN_PREFIX].text);
    kw_buffer_add_text(text, "…");
    kw_text_clean(text, record->fields[KW_SHOWN_LAST_FOUR].text);
}

/* --- one function a kind of value: appends it, or nothing when it is not there --- */

/* A line of the card in the making. */
struct line {
    const struct kw_shown_record *record;
    const struct kw_member *field;
    const char *label;
    size_t indent;
    bool colour;
    struct kw_buffer *text;
};

static void show_text(const struct line *line)
{
    kw_text_clean(line->text, line->field->text);
}

static void show_status(const struct line *line)
{
    const char *colour = line->colour ? kw_status_colour(line->field->text) : NULL;
    kw_buffer_add_text(line->text, colour);
    kw_text_clean(line->text, line->field->text);
    kw_buffer_add_text(line->text, colour == NULL ? NULL : KW_COLOUR_RESET);
    const struct kw_member *effective = &line->record->fields[KW_SHOWN_EFFECTIVE];
    if (effective->type == KW_JSON_STRING && !kw_bytes_equal(effective->text, line->field->text)) {
        bool has_parent = line->record->fields[KW_SHOWN_PARENT].type == KW_JSON_STRING;
        bool has_policy = line->record->fields[KW_SHOWN_POLICY].type == KW_JSON_STRING;
        kw_buffer_add_text(line->text, !has_policy   ? ", but stopped by a parent: "
                                       : !has_parent ? ", but stopped by its policy: "
                                                     : ", but stopped by a parent or its policy: ");
        kw_text_clean(line->text, effective->text);
    }
}

static void show_key(const struct line *line)
{
    kw_shown_key(line->record, line->text);
    kw_buffer_add_text(line->text,
                       line->record->fields[KW_SHOWN_PUBLIC].type == KW_JSON_TRUE ? " (public)" : " (secret)");
}

static enum kw_status add_item(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    struct kw_buffer *text = context;
    kw_buffer_add_text(text, ", ");
    kw_text_clean(text, item->type == KW_JSON_STRING ? item->text : raw);
    return kw_buffer_status(text);
}

/* "read, write" of a list. */
static void join(const struct kw_shown_record *record, struct kw_bytes array, struct kw_buffer *text)
{
    struct kw_buffer items;
    kw_buffer_init(&items, VALUE_MAX);
    if (kw_items_each(array, record->arena, add_item, &items) == KW_OK) {
        kw_buffer_add(text, kw_bytes_skip(kw_buffer_bytes(&items), strlen(", ")));
    }
    kw_buffer_deinit(&items);
}

static void show_list(const struct line *line)
{
    join(line->record, line->field->text, line->text);
}

static void new_line(const struct line *line)
{
    kw_buffer_add_byte(line->text, '\n');
    for (size_t i = 0; i < line->indent; i++) {
        kw_buffer_add_byte(line->text, ' ');
    }
}

/* {"website:1":["read"]}: a line for each resource. */
static void show_resources(const struct line *line)
{
    struct kw_json_reader reader;
    struct kw_json_token name, value;
    struct kw_bytes raw;
    kw_json_reader_init(&reader, line->field->text, line->record->arena);
    if (kw_json_next(&reader, &name, NULL) != KW_OK || name.type != KW_JSON_OBJECT_BEGIN) {
        return;
    }
    bool first = true;
    while (kw_json_next(&reader, &name, NULL) == KW_OK && name.type == KW_JSON_NAME) {
        if (kw_json_next(&reader, &value, NULL) != KW_OK || kw_json_skip(&reader, &value, &raw, NULL) != KW_OK) {
            return;
        }
        if (!first) {
            new_line(line);
        }
        first = false;
        kw_text_clean(line->text, name.text);
        kw_buffer_add_text(line->text, ": ");
        join(line->record, raw, line->text);
    }
}

/* How a limit or quota is told: each member with what stands before it, unless it is what `silent` says. */
struct telling {
    const char *name, *joint, *silent;
};
#define TELLING_MAX 7

struct tellings {
    const struct line *line;
    const struct telling *parts;
    size_t count;
    bool has_one;
};

static enum kw_status tell(void *context, const struct kw_json_token *item, struct kw_bytes raw)
{
    struct tellings *tellings = context;
    struct kw_member members[TELLING_MAX] = {{0}};
    (void)item;
    for (size_t i = 0; i < tellings->count; i++) {
        members[i].name = tellings->parts[i].name;
    }
    enum kw_status status = kw_members_read(raw, tellings->line->record->arena, members, tellings->count);
    if (status != KW_OK) {
        return status;
    }
    if (tellings->has_one) {
        new_line(tellings->line);
    }
    tellings->has_one = true;
    for (size_t i = 0; i < tellings->count; i++) {
        const char *silent = tellings->parts[i].silent;
        bool is_told = members[i].text.size > 0 && members[i].type != KW_JSON_NULL &&
                       (silent == NULL || !kw_bytes_equal(members[i].text, kw_bytes_of_text(silent)));
        if (is_told) {
            kw_buffer_add_text(tellings->line->text, tellings->parts[i].joint);
            kw_text_clean(tellings->line->text, members[i].text);
        }
    }
    return KW_OK;
}

/* A line each. */
static void tell_all(const struct line *line, const struct telling *parts, size_t count)
{
    struct tellings tellings = {line, parts, count, false};
    if (kw_items_each(line->field->text, line->record->arena, tell, &tellings) != KW_OK) {
        kw_buffer_reset(line->text); /* what is no list of them is not shown */
    }
}

/* "default: 100 in 1m, per owner" */
static void show_rate_limits(const struct line *line)
{
    static const struct telling parts[] = {
        {"name", "", NULL}, {"requests", ": ", NULL}, {"window", " in ", NULL}, {"per", ", per ", "key"}};
    tell_all(line, parts, KW_COUNT_OF(parts));
}

/* "monthly: 10000 requests a month, then warn" */
static void show_quotas(const struct line *line)
{
    static const struct telling parts[] = {
        {"name", "", NULL},
        {"limit", ": ", NULL},
        {"metric", " ", NULL},
        {"period", " each ", NULL},
        {"per", ", per ", "key"},
        {"onExceeded", ", then ", "block"},
        {"anchor", ", from when it was ", "utc"},
    };
    _Static_assert(KW_COUNT_OF(parts) <= TELLING_MAX, "all of them are read");
    tell_all(line, parts, KW_COUNT_OF(parts));
}

static void show_time(const struct line *line)
{
    int64_t time_ms;
    if (line->field->type != KW_JSON_STRING || !kw_time_parse(line->field->text, &time_ms)) {
        return;
    }
    kw_text_time(line->text, time_ms);
    kw_buffer_add_text(line->text, " (");
    kw_text_relative(line->text, time_ms, line->record->now_ms);
    kw_buffer_add_byte(line->text, ')');
}

/* "revoked at 2027-01-31 00:00 (in 20 days)", a line each */
static void show_schedule(const struct line *line)
{
    static const char *const words[] = {"disabled at ", "revoked at ", "told of before: "};
    struct kw_member members[] = {{.name = "disableAt"}, {.name = "revokeAt"}, {.name = "notifyBefore"}};
    if (kw_members_read(line->field->text, line->record->arena, members, KW_COUNT_OF(members)) != KW_OK) {
        return;
    }
    bool has_one = false;
    for (size_t i = 0; i < KW_COUNT_OF(members); i++) {
        if (members[i].type != KW_JSON_STRING) {
            continue;
        }
        if (has_one) {
            new_line(line);
        }
        has_one = true;
        kw_buffer_add_text(line->text, words[i]);
        struct line member = *line;
        member.field = &members[i];
        if (i < 2) {
            show_time(&member);
        } else {
            kw_text_clean(line->text, members[i].text);
        }
    }
}

static void show_expiry(const struct line *line)
{
    if (line->field->type == KW_JSON_NULL) {
        kw_buffer_add_text(line->text, "never");
        return;
    }
    show_time(line);
}

static void add_by(const struct line *line, const char *word, enum kw_shown_field field)
{
    const struct kw_member *member = &line->record->fields[field];
    if (member->type == KW_JSON_STRING && member->text.size > 0) {
        kw_buffer_add_text(line->text, word);
        kw_text_clean(line->text, member->text);
    }
}

static void show_creation(const struct line *line)
{
    show_time(line);
    add_by(line, " by ", KW_SHOWN_CREATED_BY);
}

static void show_revocation(const struct line *line)
{
    if (line->field->type == KW_JSON_NULL) {
        return;
    }
    show_time(line);
    add_by(line, " by ", KW_SHOWN_REVOKED_BY);
    add_by(line, ": ", KW_SHOWN_REVOKE_REASON);
}

static const struct {
    const char *label;
    enum kw_shown_field field;
    void (*show)(const struct line *line);
} card_lines[] = {
    {"ID", KW_SHOWN_ID, show_text},
    {"Status", KW_SHOWN_STATUS, show_status},
    {"Name", KW_SHOWN_NAME, show_text},
    {"Description", KW_SHOWN_DESCRIPTION, show_text},
    {"Key", KW_SHOWN_PREFIX, show_key},
    {"Project", KW_SHOWN_PROJECT, show_text},
    {"Environment", KW_SHOWN_ENV, show_text},
    {"Owner", KW_SHOWN_OWNER, show_text},
    {"Organization", KW_SHOWN_ORG, show_text},
    {"Scopes", KW_SHOWN_SCOPES, show_list},
    {"Resources", KW_SHOWN_RESOURCES, show_resources},
    {"Only from", KW_SHOWN_ALLOWED_IPS, show_list},
    {"Never from", KW_SHOWN_BLOCKED_IPS, show_list},
    {"Only in", KW_SHOWN_ALLOWED_REGIONS, show_list},
    {"Never in", KW_SHOWN_BLOCKED_REGIONS, show_list},
    {"At most", KW_SHOWN_RATE_LIMITS, show_rate_limits},
    {"Quotas", KW_SHOWN_QUOTAS, show_quotas},
    {"Policy", KW_SHOWN_POLICY, show_text},
    {"Template", KW_SHOWN_TEMPLATE, show_text},
    {"Parent", KW_SHOWN_PARENT, show_text},
    {"Tags", KW_SHOWN_TAGS, show_list},
    {"Metadata", KW_SHOWN_METADATA, show_text},
    {"Created", KW_SHOWN_CREATED_AT, show_creation},
    {"Expires", KW_SHOWN_EXPIRES_AT, show_expiry},
    {"Schedule", KW_SHOWN_SCHEDULE, show_schedule},
    {"Revoked", KW_SHOWN_REVOKED_AT, show_revocation},
    {"Grace until", KW_SHOWN_GRACE_UNTIL, show_time},
    {"Last used", KW_SHOWN_LAST_USED_AT, show_time},
    {"Used from", KW_SHOWN_LAST_USED_IP, show_text},
    {"Used in", KW_SHOWN_LAST_USED_REGION, show_text},
    {"Rotated from", KW_SHOWN_ROTATED_FROM, show_text},
    {"Rotated to", KW_SHOWN_ROTATED_TO, show_text},
    {"Version", KW_SHOWN_VERSION, show_text},
};

#define LABEL_WIDTH 14

void kw_record_card(const struct kw_shown_record *record, struct kw_output *out)
{
    struct kw_buffer value;
    kw_buffer_init(&value, VALUE_MAX);
    for (size_t i = 0; i < KW_COUNT_OF(card_lines); i++) {
        struct line line = {
            .record = record,
            .field = &record->fields[card_lines[i].field],
            .label = card_lines[i].label,
            .indent = LABEL_WIDTH,
            .colour = out->colour,
            .text = &value,
        };
        kw_buffer_reset(&value);
        card_lines[i].show(&line);
        if (value.size == 0) {
            continue;
        }
        kw_buffer_add_text(&out->text, out->colour ? KW_COLOUR_DIM : "");
        kw_buffer_add_format(&out->text, "%-*s", LABEL_WIDTH, line.label);
        kw_buffer_add_text(&out->text, out->colour ? KW_COLOUR_RESET : "");
        kw_buffer_add(&out->text, kw_buffer_bytes(&value));
        kw_buffer_add_byte(&out->text, '\n');
    }
    kw_buffer_deinit(&value);
}
