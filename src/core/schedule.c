#include "core/schedule.h"

#include "core/internal.h"

#define REASON_SCHEDULED KW_BYTES("scheduled")

/* What comes next of a record. */
struct coming {
    int64_t at_ms;
    enum kw_end end;
    bool is_announcement;
    int64_t end_ms; /* what an announcement is of */
};

static int64_t or_never(int64_t time_ms)
{
    return time_ms == 0 ? INT64_MAX : time_ms;
}

int64_t kw_record_ends_at(const struct kw_record *record)
{
    int64_t grace_ms = or_never(record->grace_until_ms);
    int64_t revoke_ms = or_never(record->schedule.revoke_at_ms);
    return grace_ms < revoke_ms ? grace_ms : revoke_ms;
}

int64_t kw_record_lives_until(const struct kw_record *record)
{
    int64_t expiry_ms = or_never(record->expires_at_ms);
    int64_t revoke_ms = or_never(record->schedule.revoke_at_ms);
    return expiry_ms < revoke_ms ? expiry_ms : revoke_ms;
}

const char *kw_end_name(enum kw_end end)
{
    return end == KW_END_DISABLE ? "disable" : end == KW_END_REVOKE ? "revoke" : "expire";
}

/* When an end comes that has not come yet; INT64_MAX: never. */
static int64_t time_of(const struct kw_record *record, enum kw_end end)
{
    switch (end) {
    case KW_END_DISABLE:
        return record->enabled ? or_never(record->schedule.disable_at_ms) : INT64_MAX;
    case KW_END_EXPIRE:
        return record->lapsed_at_ms == 0 ? or_never(record->expires_at_ms) : INT64_MAX;
    case KW_END_REVOKE:
        return kw_record_ends_at(record);
    }
    return INT64_MAX;
}

/* What is announced: nothing that a revocation comes before, and no end of a grace period, which a rotation has told.
 */
static bool is_announced(const struct kw_record *record, enum kw_end end, int64_t end_ms)
{
    bool is_of_grace = end == KW_END_REVOKE && end_ms == record->grace_until_ms;
    return record->schedule.notify_before_ms == 0 || (record->announced & end) != 0 || end_ms == INT64_MAX ||
           end_ms > kw_record_ends_at(record) || is_of_grace;
}

/* The earliest first; of the same time an announcement, then in this order, so that the last of them is a revocation.
 */
static bool find_next(const struct kw_record *record, int64_t now_ms, bool announces, struct coming *coming_out)
{
    static const enum kw_end ends[] = {KW_END_DISABLE, KW_END_EXPIRE, KW_END_REVOKE};
    struct coming found = {.at_ms = INT64_MAX};
    for (size_t i = 0; i < KW_COUNT_OF(ends) && announces && record->revoked_at_ms == 0; i++) {
        int64_t end_ms = time_of(record, ends[i]);
        int64_t at_ms = end_ms > record->schedule.notify_before_ms ? end_ms - record->schedule.notify_before_ms : 1;
        if (!is_announced(record, ends[i], end_ms) && now_ms < end_ms && at_ms < found.at_ms) {
            found = (struct coming){at_ms, ends[i], true, end_ms};
        }
    }
    for (size_t i = 0; i < KW_COUNT_OF(ends) && record->revoked_at_ms == 0; i++) {
        int64_t at_ms = time_of(record, ends[i]);
        if (at_ms < found.at_ms) {
            found = (struct coming){at_ms, ends[i], false, at_ms};
        }
    }
    *coming_out = found;
    return found.at_ms != INT64_MAX;
}

static struct kw_happening revoke(struct kw_record *record)
{
    bool is_grace = record->grace_until_ms != 0 && kw_record_ends_at(record) == record->grace_until_ms;
    record->revoked_at_ms = kw_record_ends_at(record);
    record->revoked_by = is_grace ? KW_ACTOR_SYSTEM : KW_SCHEDULE_ACTOR;
    record->revoke_reason = is_grace ? KW_REASON_ROTATED : REASON_SCHEDULED;
    record->schedule.revoke_at_ms = is_grace ? record->schedule.revoke_at_ms : 0;
    return (struct kw_happening){.action = "key.revoked", .actor = record->revoked_by, .reason = record->revoke_reason};
}

static struct kw_happening take(struct kw_record *record, const struct coming *coming)
{
    if (coming->is_announcement) {
        record->announced |= (uint8_t)coming->end;
        return (struct kw_happening){.action = "key.expiring", .actor = KW_SCHEDULE_ACTOR};
    }
    switch (coming->end) {
    case KW_END_DISABLE:
        record->enabled = false;
        record->schedule.disable_at_ms = 0;
        record->announced &= (uint8_t)~KW_END_DISABLE;
        return (struct kw_happening){.action = "key.disabled", .actor = KW_SCHEDULE_ACTOR, .reason = REASON_SCHEDULED};
    case KW_END_EXPIRE:
        record->lapsed_at_ms = record->expires_at_ms;
        return (struct kw_happening){.action = "key.expired", .actor = KW_ACTOR_SYSTEM};
    case KW_END_REVOKE:
        break;
    }
    return revoke(record);
}

bool kw_schedule_step(struct kw_record *record, int64_t now_ms, bool announces, struct kw_happening *happening_out)
{
    struct coming coming;
    if (!find_next(record, now_ms, announces, &coming) || coming.at_ms > now_ms) {
        return false;
    }
    *happening_out = take(record, &coming);
    happening_out->end = coming.end;
    happening_out->at_ms = coming.end_ms;
    happening_out->is_announcement = coming.is_announcement;
    return true;
}

/* A time to disable a key that somebody had disabled before: it has come, and there was nothing to do. */
static bool has_idle_time(const struct kw_record *record, int64_t now_ms)
{
    return !record->enabled && record->schedule.disable_at_ms != 0 && now_ms >= record->schedule.disable_at_ms;
}

bool kw_schedule_has_passed(const struct kw_record *record, int64_t now_ms)
{
    struct coming coming;
    return (find_next(record, now_ms, false, &coming) && coming.at_ms <= now_ms) || has_idle_time(record, now_ms);
}

void kw_schedule_settle(struct kw_record *record, int64_t now_ms)
{
    struct kw_happening happening;
    while (kw_schedule_step(record, now_ms, false, &happening)) {
    }
    if (has_idle_time(record, now_ms)) {
        record->schedule.disable_at_ms = 0;
        record->announced &= (uint8_t)~KW_END_DISABLE;
    }
}

int64_t kw_record_due(const struct kw_record *record)
{
    struct coming coming;
    return find_next(record, 0, true, &coming) ? coming.at_ms : 0;
}

void kw_schedule_renew(const struct kw_record *before, struct kw_record *after)
{
    bool is_all = before->schedule.notify_before_ms != after->schedule.notify_before_ms;
    unsigned stale = is_all ? KW_END_DISABLE | KW_END_REVOKE | KW_END_EXPIRE : 0U;
    stale |= before->schedule.disable_at_ms != after->schedule.disable_at_ms ? KW_END_DISABLE : 0U;
    stale |= before->schedule.revoke_at_ms != after->schedule.revoke_at_ms ? KW_END_REVOKE : 0U;
    stale |= before->expires_at_ms != after->expires_at_ms ? KW_END_EXPIRE : 0U;
    after->announced &= (uint8_t)~stale;
}
