/*
 * What time does to a key by itself: it is disabled or revoked as its schedule says, its expiry passes, its grace
 * period ends; and people are told of it beforehand. Pure: what a time has done to a record counts for every verdict at
 * that instant, whether it is written down already or not. Who writes it down is a transition (KW_COMMAND_LAPSE, or any
 * other that comes first), which takes these steps one after the other, in the order of their times.
 */
#ifndef KW_CORE_SCHEDULE_H
#define KW_CORE_SCHEDULE_H

#include <keyward/record.h>

#define KW_SCHEDULE_STEPS_MAX 6 /* of one record at one time: each end is announced once and comes once */
#define KW_SCHEDULE_ACTOR KW_BYTES("system:schedule")
#define KW_ACTOR_SYSTEM KW_BYTES("system")
#define KW_REASON_ROTATED KW_BYTES("rotated")

/* One step, and who is said to have taken it. */
struct kw_happening {
    const char *action; /* "key.expiring": names audit entry and event alike; NULL: none */
    struct kw_bytes actor, reason;
    enum kw_end end; /* which of the times; of an announcement: of what is to come */
    int64_t at_ms;   /* that time */
    bool is_announcement;
};

static inline bool kw_schedule_is_empty(const struct kw_schedule *schedule)
{
    return (schedule->disable_at_ms | schedule->revoke_at_ms | schedule->notify_before_ms) == 0;
}

static inline bool kw_schedule_equal(const struct kw_schedule *a, const struct kw_schedule *b)
{
    return a->disable_at_ms == b->disable_at_ms && a->revoke_at_ms == b->revoke_at_ms &&
           a->notify_before_ms == b->notify_before_ms;
}

/* Whether a key is enabled then: nobody has disabled it, nor has its schedule. */
static inline bool kw_record_is_enabled(const struct kw_record *record, int64_t now_ms)
{
    return record->enabled && (record->schedule.disable_at_ms == 0 || now_ms < record->schedule.disable_at_ms);
}

/* From when on a key counts as revoked by time: the end of its grace period or `revokeAt`. INT64_MAX: there is none. */
int64_t kw_record_ends_at(const struct kw_record *record);

/* How long it may live at most, its grace period aside: its expiry or `revokeAt`. INT64_MAX: for ever. */
int64_t kw_record_lives_until(const struct kw_record *record);

/*
 * Takes the next step of those whose time is not after `now_ms`, the earliest first; false when there is none. An
 * announcement is left out where what it announces has come already, and all of them are unless `announces`.
 */
KW_MUST_USE bool kw_schedule_step(struct kw_record *record, int64_t now_ms, bool announces,
                                  struct kw_happening *happening_out);

/* Whether anything has passed that the record does not say yet; announcements are no such thing. */
KW_MUST_USE bool kw_schedule_has_passed(const struct kw_record *record, int64_t now_ms);
/* All steps but announcements. */
void kw_schedule_settle(struct kw_record *record, int64_t now_ms);

/* When somebody is to look after the record next: the earliest time of any step; 0: none is left. Depends on the record
 * alone. */
int64_t kw_record_due(const struct kw_record *record);

/* What was announced of times that are others now is to be announced anew. */
void kw_schedule_renew(const struct kw_record *before, struct kw_record *after);

/* "disable", "revoke", "expire" */
const char *kw_end_name(enum kw_end end);

#endif
