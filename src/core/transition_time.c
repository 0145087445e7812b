#include "base/error.h"
#include "core/internal.h"
#include "core/transition_parts.h"

struct kw_record kw__step_next_version(const struct kw__step *step)
{
    struct kw_record after = *step->before;
    after.version++;
    after.updated_at_ms = step->now_ms > after.updated_at_ms ? step->now_ms : after.updated_at_ms;
    return after;
}

enum kw_status kw__step_done(const struct kw__step *step, const char *action, const struct kw_record *after)
{
    *step->change = (struct kw_change){
        .after = *after, .action = action, .passed = step->passed, .passed_count = step->passed_count};
    return KW_OK;
}

enum kw_status kw__step_refuse_expired(const struct kw__step *step, const char *message)
{
    return kw_refuse(step->error, KW_CODE_ALREADY_EXPIRED, NULL, "%s", message);
}

enum kw_status kw_record_settle(const struct kw_record *before, int64_t now_ms, bool announces, struct kw_arena *arena,
                                const struct kw_record **settled_out, const struct kw_passed **passed_out,
                                size_t *count_out)
{
    struct kw_record settled = *before;
    struct kw_passed passed[KW_SCHEDULE_STEPS_MAX];
    size_t count = 0;
    while (count < KW_SCHEDULE_STEPS_MAX && kw_schedule_step(&settled, now_ms, announces, &passed[count].happening)) {
        settled.version++; /* which counts what was told of a key */
        passed[count++].after = settled;
    }
    if (count == 0 && !kw_schedule_has_passed(before, now_ms)) {
        *settled_out = before;
        *passed_out = NULL;
        *count_out = 0;
        return KW_OK;
    }
    kw_schedule_settle(&settled, now_ms); /* also a time to disable what was disabled before */
    struct kw_record *kept = kw_arena_take(arena, sizeof *kept);
    struct kw_passed *list = kw_arena_take_array(arena, count, sizeof *list);
    if (kept == NULL || list == NULL) {
        return KW_E_MEMORY;
    }
    *kept = settled;
    memcpy(list, passed, count * sizeof *list);
    *settled_out = kept;
    *passed_out = list;
    *count_out = count;
    return KW_OK;
}

enum kw_status kw__step_settle(struct kw__step *step)
{
    bool announces = step->command->kind == KW_COMMAND_LAPSE;
    enum kw_status status = kw_record_settle(step->before, step->now_ms, announces, step->arena, &step->before,
                                             &step->passed, &step->passed_count);
    return status == KW_OK ? KW_OK : kw__no_memory(step->error);
}

/* The last thing that time did is what the change is called by. What is only announced changes nothing of the key. */
static enum kw_status tell_passed(const struct kw__step *step)
{
    struct kw_record after = *step->before;
    bool is_only_said = true;
    for (size_t i = 0; i < step->passed_count; i++) {
        is_only_said = is_only_said && step->passed[i].happening.is_announcement;
    }
    if (!is_only_said && step->now_ms > after.updated_at_ms) {
        after.updated_at_ms = step->now_ms;
    }
    const struct kw_happening *last = &step->passed[step->passed_count - 1].happening;
    enum kw_status status = kw__step_done(step, last->action, &after);
    step->change->passed_count--;
    step->change->happening = *last;
    return status;
}

enum kw_status kw__step_lapse(const struct kw__step *step)
{
    const struct kw_record *before = step->before;
    if (step->passed_count > 0) {
        return tell_passed(step);
    }
    if (before->revoked_at_ms != 0) {
        return kw_refuse(step->error, KW_CODE_ALREADY_REVOKED, NULL, "The key is revoked already.");
    }
    return before->lapsed_at_ms != 0
               ? kw__step_refuse_expired(step, "The key's expiry is written down already.")
               : kw_refuse(step->error, KW_CODE_VERSION_CONFLICT, NULL, "No time of this key has passed.");
}

enum kw_status kw__step_end_grace(const struct kw__step *step)
{
    if (step->before->revoked_at_ms != 0 && step->passed_count > 0) {
        /* A period that has passed is written down too: the clock may step back, and the first use is told only once.
         */
        return tell_passed(step);
    }
    if (step->before->revoked_at_ms != 0) {
        return kw_refuse(step->error, KW_CODE_ALREADY_REVOKED, NULL, "The key is revoked already.");
    }
    if (step->before->grace_until_ms == 0) {
        return kw_refuse(step->error, KW_CODE_VERSION_CONFLICT, NULL, "The key is in no grace period.");
    }
    struct kw_record after = kw__step_next_version(step);
    after.revoked_at_ms = step->now_ms;
    after.revoked_by = KW_ACTOR_SYSTEM;
    after.revoke_reason = KW_REASON_ROTATED;
    return kw__step_done(step, "key.revoked", &after);
}
