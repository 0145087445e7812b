/*
 * Notices: events as people read them. Each event has a text that says what happened, to which key (its name and last
 * four characters), and what to do next; what comes together becomes one message, in which the events of a kind stand
 * together and are counted. The same message is written as plain text, as HTML, and in the markup of Slack. What users
 * have named is data in each of them: it ends no line and makes no markup. Pure.
 */
#ifndef KW_CORE_NOTICE_H
#define KW_CORE_NOTICE_H

#include "core/event.h"

#define KW_NOTICE_TEXT_MAX 96         /* bytes of a name as it is shown; what is longer is cut */
#define KW_NOTICE_SUBJECT_MAX 200     /* bytes */
#define KW_NOTICE_SHOWN_MAX 10        /* keys that stand under one kind of event; the rest is counted */
#define KW_NOTICE_SHOWN_IN_ALL_MAX 40 /* keys that stand in a message */
#define KW_NOTICE_MESSAGE_MAX 32768   /* bytes of a message as plain text or in Slack's markup */
#define KW_NOTICE_HTML_MAX 131072
#define KW_NOTICE_MESSAGES_MAX 500 /* events of one message */

/* The places of what a notice may show. */
enum kw_notice_part {
    KW_NOTICE_KEY_ID,
    KW_NOTICE_NAME,
    KW_NOTICE_LAST_FOUR,
    KW_NOTICE_ENV,
    KW_NOTICE_OWNER,
    KW_NOTICE_ACTOR,
    KW_NOTICE_REASON,
    KW_NOTICE_REVOKED_BY,
    KW_NOTICE_GRACE_UNTIL,
    KW_NOTICE_EXPIRES_AT,
    KW_NOTICE_QUOTA,
    KW_NOTICE_PERIOD,
    KW_NOTICE_PERCENT,
    KW_NOTICE_LIMIT,
    KW_NOTICE_COUNT,
    KW_NOTICE_CHANGE,
    KW_NOTICE_FINGERPRINT,
    KW_NOTICE_LAST_USED_AT,
    KW_NOTICE_ENDING, /* of `expiring`: "revoke" */
    KW_NOTICE_ENDING_AT,
    KW_NOTICE_PART_COUNT
};

/* What a notice says of one event; texts end in NUL and have no control characters. Empty: the event does not say. */
struct kw_notice {
    char event[KW_EVENT_NAME_MAX + 1];
    int64_t at_ms;
    char parts[KW_NOTICE_PART_COUNT][KW_NOTICE_TEXT_MAX + 1];
};

/* Reads an event as it is sent (kw_event_write, kw_event_write_message). KW_E_CORRUPT, KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_notice_read(struct kw_bytes body, struct kw_notice *notice_out);

/*
 * The texts of an event. In a sentence "{name}" stands for what the notice says of it, "{key}" for the key's name and
 * last four characters; what stands in brackets is left out where something in it is not said.
 */
struct kw_notice_text {
    const char *event;
    const char *one;  /* what happened */
    const char *many; /* the same of several, behind their number */
    const char *next; /* what to do next */
};

/* Of an event of that name; one for all where it has none of its own. */
const struct kw_notice_text *kw_notice_text(const char *event);
/* Whether an event has a text of its own. */
KW_MUST_USE bool kw_notice_text_is_own(const char *event);
/* Appends the sentence of it, as plain text. */
void kw_notice_fill(const char *sentence, const struct kw_notice *notice, struct kw_buffer *out);

/* What becomes one message. */
struct kw_notice_batch {
    struct kw_bytes project;
    const struct kw_notice *const *notices; /* in the order in which they happened */
    size_t count;                           /* 1 to KW_NOTICE_MESSAGES_MAX */
    bool is_test;                           /* it says so, and stands for no event */
};

/* One line of at most KW_NOTICE_SUBJECT_MAX bytes. */
void kw_notice_subject(const struct kw_notice_batch *batch, struct kw_buffer *out);
/* The message. Each ends in a line feed; KW_E_LIMIT of the buffer cannot be with the sizes above. */
void kw_notice_write_plain(const struct kw_notice_batch *batch, struct kw_buffer *out);
void kw_notice_write_html(const struct kw_notice_batch *batch, struct kw_buffer *out);
void kw_notice_write_slack(const struct kw_notice_batch *batch, struct kw_buffer *out);

#endif
