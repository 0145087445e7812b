/*
 * A record of an answer, for people: as a card and as a row of a table.
 */
#ifndef KW_CLI_RECORD_VIEW_H
#define KW_CLI_RECORD_VIEW_H

#include "cli/keys.h"
#include "cli/text.h"

/* Fields that are shown. The interface may know more: they are passed over. */
enum kw_shown_field {
    KW_SHOWN_ID,
    KW_SHOWN_PROJECT,
    KW_SHOWN_ENV,
    KW_SHOWN_PREFIX,
    KW_SHOWN_LAST_FOUR,
    KW_SHOWN_PUBLIC,
    KW_SHOWN_STATUS,
    KW_SHOWN_EFFECTIVE,
    KW_SHOWN_OWNER,
    KW_SHOWN_ORG,
    KW_SHOWN_NAME,
    KW_SHOWN_DESCRIPTION,
    KW_SHOWN_TAGS,
    KW_SHOWN_METADATA,
    KW_SHOWN_SCOPES,
    KW_SHOWN_RESOURCES,
    KW_SHOWN_ALLOWED_IPS,
    KW_SHOWN_BLOCKED_IPS,
    KW_SHOWN_ALLOWED_REGIONS,
    KW_SHOWN_BLOCKED_REGIONS,
    KW_SHOWN_RATE_LIMITS,
    KW_SHOWN_QUOTAS,
    KW_SHOWN_POLICY,
    KW_SHOWN_TEMPLATE,
    KW_SHOWN_PARENT,
    KW_SHOWN_CREATED_AT,
    KW_SHOWN_CREATED_BY,
    KW_SHOWN_EXPIRES_AT,
    KW_SHOWN_REVOKED_AT,
    KW_SHOWN_REVOKED_BY,
    KW_SHOWN_REVOKE_REASON,
    KW_SHOWN_ROTATED_FROM,
    KW_SHOWN_ROTATED_TO,
    KW_SHOWN_GRACE_UNTIL,
    KW_SHOWN_SCHEDULE,
    KW_SHOWN_LAST_USED_AT,
    KW_SHOWN_LAST_USED_IP,
    KW_SHOWN_LAST_USED_REGION,
    KW_SHOWN_VERSION,
    KW_SHOWN_COUNT,
};

struct kw_shown_record {
    struct kw_member fields[KW_SHOWN_COUNT];
    struct kw_arena *arena;
    int64_t now_ms;
};

/* `record` is an object; the result borrows from it and from the arena. */
KW_MUST_USE enum kw_status kw_shown_record_read(struct kw_bytes record, struct kw_arena *arena, int64_t now_ms,
                                                struct kw_shown_record *shown_out);

/* A line for each field that is set. */
void kw_record_card(const struct kw_shown_record *record, struct kw_output *out);

/* The columns of a list. */
void kw_list_table_init(struct kw_table *table);
/* Adds a page: `items` is an array of records. With `with_head` the names of the columns stand above. */
KW_MUST_USE enum kw_status kw_list_page(struct kw_table *table, struct kw_bytes items, bool with_head, int64_t now_ms,
                                        struct kw_output *out);

/* "sk_live_…Ab3x". */
void kw_shown_key(const struct kw_shown_record *record, struct kw_buffer *text);
/* The escape sequence of a status, or NULL. */
const char *kw_status_colour(struct kw_bytes status);

#endif
