#include "sim/model.h"

/*
 * Time as the model has it: what has passed is applied in the order of its times. It is written apart from the
 * library's way of it, by looking for the earliest time again and again.
 */

enum coming { NOTHING, DISABLES, EXPIRES, REVOKES };

int64_t model_ends_at(const struct model_key *key)
{
    int64_t ends = key->grace_until != 0 ? key->grace_until : INT64_MAX;
    return key->revoke_at != 0 && key->revoke_at < ends ? key->revoke_at : ends;
}

bool model_is_enabled(const struct model_key *key, int64_t now)
{
    return key->enabled && (key->disable_at == 0 || now < key->disable_at);
}

/* What of it has passed and is not written down, the earliest first. */
static enum coming first_passed(const struct model *model, const struct model_key *key)
{
    enum coming first = NOTHING;
    int64_t at = model->now;
    if (key->revoked_at != 0) {
        return NOTHING;
    }
    if (model_ends_at(key) <= at) {
        first = REVOKES;
        at = model_ends_at(key);
    }
    if (key->expires_at != 0 && key->lapsed_at == 0 && key->expires_at <= at) {
        first = EXPIRES;
        at = key->expires_at;
    }
    if (key->disable_at != 0 && key->enabled && key->disable_at <= at) {
        first = DISABLES;
    }
    return first;
}

bool model_has_passed(const struct model *model, const struct model_key *key)
{
    return !key->erased && first_passed(model, key) != NOTHING;
}

bool model_pass(const struct model *model, struct model_key *key)
{
    bool any = false;
    for (enum coming coming; (coming = first_passed(model, key)) != NOTHING; any = true) {
        key->version++;
        bool by_grace = key->grace_until != 0 && model_ends_at(key) == key->grace_until;
        switch (coming) {
        case DISABLES:
            key->enabled = false;
            key->disable_at = 0;
            key->told_of_disabling = false;
            break;
        case EXPIRES:
            key->lapsed_at = key->expires_at;
            break;
        default:
            key->revoked_at = model_ends_at(key);
            key->revoked_by = by_grace ? "system" : "system:schedule";
            key->reason = by_grace ? "rotated" : "scheduled";
            key->revoke_at = by_grace ? key->revoke_at : 0;
            break;
        }
    }
    if (!key->enabled && key->disable_at != 0 && key->disable_at <= model->now) {
        key->disable_at = 0; /* somebody was quicker */
        key->told_of_disabling = false;
    }
    return any;
}

/* Whether an end that lies ahead is near enough to be told of. */
static bool is_near(const struct model *model, const struct model_key *key, int64_t end)
{
    return key->notify_before != 0 && end != 0 && end > model->now && end - key->notify_before <= model->now &&
           end <= model_ends_at(key);
}

/* What is near now and was not told of. */
static bool tell(const struct model *model, struct model_key *key)
{
    bool tells_disabling =
        key->enabled && !key->told_of_disabling && is_near(model, key, key->disable_at) && key->revoked_at == 0;
    bool tells_expiry =
        key->lapsed_at == 0 && !key->told_of_expiry && is_near(model, key, key->expires_at) && key->revoked_at == 0;
    bool tells_revocation = !key->told_of_revocation && key->revoke_at != key->grace_until &&
                            is_near(model, key, key->revoke_at) && key->revoked_at == 0;
    key->told_of_disabling = key->told_of_disabling || tells_disabling;
    key->told_of_expiry = key->told_of_expiry || tells_expiry;
    key->told_of_revocation = key->told_of_revocation || tells_revocation;
    key->version += (uint64_t)(tells_disabling + tells_expiry + tells_revocation);
    return tells_disabling || tells_expiry || tells_revocation;
}

void model_lapse(struct model *model, struct model_key *key)
{
    if (key->erased) {
        return;
    }
    bool has_told = tell(model, key);
    struct model_key after = *key;
    bool has_passed = model_pass(model, &after);
    if (!has_told && !has_passed) {
        return;
    }
    *key = after;
    key->touched = true;
    if (has_passed) {
        key->updated_at = model->now > key->updated_at ? model->now : key->updated_at;
    }
}

void model_run_schedules(struct model *model)
{
    for (int i = 0; i < model->count; i++) {
        model_lapse(model, &model->keys[i]);
    }
}
