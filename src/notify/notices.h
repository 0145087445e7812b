/*
 * Notices to people: what goes to channels (core/channel.h). One thread claims the deliveries of all channels, makes
 * messages of them and hands those on: to a relay, to a chat, to a command. A channel has one message under way at a
 * time; after one that arrived it is quiet for as long as it asks, and what comes in the meantime becomes one message.
 * One that fails rests, and holds up nobody else. Nothing is kept here that the store has not.
 */
#ifndef KW_NOTIFY_NOTICES_H
#define KW_NOTIFY_NOTICES_H

#include "core/mail.h"
#include "core/notice.h"
#include "engine/channels.h"
#include "notify/notify.h"
#include "notify/outgoing.h"
#include "notify/program.h"

#include <pthread.h>

#define KW__NOTICE_GATHER_MS 300 /* what comes right behind the first belongs to the same message */
#define KW__NOTICE_PROGRAMS_MAX 8

/* One delivery, claimed. */
struct kw__row {
    struct kw__row *next;
    uint64_t sequence;
    uint32_t attempts;
    int64_t first_ms, last_ms;        /* of its tries; 0: there was none */
    struct kw_bytes tries;            /* behind it */
    char to[KW_MAIL_ADDRESS_MAX + 1]; /* the owner's address, where the channel goes to owners; else empty */
    struct kw_notice notice;
};

/* A message on its way, or what a test sends. */
struct kw__message {
    struct kw__post *post;
    struct kw__row *rows;      /* in order; none: a test */
    struct kw_notify_job *job; /* of a test */
    size_t count;
    char id[KW_MAIL_ID_SIZE + 1];
    char subject[KW_NOTICE_SUBJECT_MAX + 1];
    struct kw_buffer text;
    char url[KW_URL_MAX + 1];
    const char *to[KW_CHANNEL_ADDRESSES_MAX];
    struct kw_outgoing_mail mail;
    struct kw_outgoing_request request;
    struct kw_program_run run;
    char members[5][KW_NOTICE_SUBJECT_MAX + 64];
    int64_t started_ms;
    bool has_ended, is_settled_late;
    struct kw_try result; /* texts in `error`, request and run */
    char error[KW_TRY_ERROR_MAX];
};

/* A channel as the sender knows it. */
struct kw__post {
    uint64_t channel, version;
    uint8_t project[KW_PROJECT_MAX], name[KW_DOCUMENT_NAME_MAX];
    size_t project_size, name_size;
    enum kw_channel_kind kind;
    char to[KW_CHANNEL_ADDRESSES_MAX][KW_MAIL_ADDRESS_MAX + 1];
    size_t to_count;
    bool to_owner;
    char command[KW_COMMAND_NAME_MAX + 1];
    int64_t every_ms;
    enum kw_subscription_status status;
    bool is_there, is_released, knows_quiet;
    struct kw__row *first, *last; /* claimed, and not in a message yet */
    size_t row_count;
    struct kw__message *message; /* under way, or to be settled */
    struct kw__message *test;
    unsigned failures; /* since the last success */
    int64_t look_at_ms, gather_until_ms, rest_until_ms, quiet_until_ms;
};

struct kw__notices {
    struct kw_notify *notify; /* for its clock, engine and whether it stops */
    const struct kw_notify_setup *setup;
    struct kw_outgoing *outgoing;
    pthread_t thread;
    bool is_running;
    pthread_mutex_t lock;
    struct kw_notify_job *jobs; /* under the lock */
    size_t job_count;
    struct kw__post **posts;
    size_t post_count, post_room;
    uint64_t catalog_version, seen_fans;
    bool is_loaded;
    size_t program_count; /* that run */
};

KW_MUST_USE enum kw_status kw__notices_start(struct kw_notify *notify, struct kw__notices **notices_out);
void kw__notices_stop(struct kw__notices *notices);
void kw__notices_wake(struct kw__notices *notices);
/* As kw_notify_submit. */
void kw__notices_submit(struct kw__notices *notices, struct kw_notify_job *job);

/* --- messages.c --- */

/* Makes a message of rows (taken) or, without them, of a test, and sends it. KW_E_MEMORY: it was not begun, and the
 * rows are the caller's. What cannot be sent at all has ended at once. */
KW_MUST_USE enum kw_status kw__message_begin(struct kw__notices *notices, struct kw__post *post, struct kw__row *rows,
                                             struct kw__message **message_out);
/* Goes on with what is not told by `done`. True when it has ended. */
KW_MUST_USE bool kw__message_step(struct kw__notices *notices, struct kw__message *message);
void kw__message_free(struct kw__message *message);

/* --- posts.c --- */

void kw__posts_refresh(struct kw__notices *notices);
struct kw__post *kw__post_find(struct kw__notices *notices, struct kw_bytes project, struct kw_bytes name);
/* Claims what is due, and begins a message where it is time for one. */
void kw__post_claim(struct kw__notices *notices, struct kw__post *post);
void kw__post_send(struct kw__notices *notices, struct kw__post *post);
/* Tells the store what became of a message that has ended, and forgets it; where the store cannot be told it stays. */
void kw__post_settle(struct kw__notices *notices, struct kw__post *post);
void kw__post_drop_rows(struct kw__post *post);
/* Gives claims back that are in no message: the channel stopped, or is gone. */
void kw__post_give_back(struct kw__notices *notices, struct kw__post *post);

#endif
