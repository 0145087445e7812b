#include "core/transition.h"

#include "base/error.h"
#include "base/time.h"
#include "core/family.h"
#include "core/id.h"
#include "core/internal.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "core/record.h"
#include "core/scope.h"
#include "core/transition_parts.h"

#include <assert.h>

#define GRACE_MS_MAX (INT64_C(365) * 86400 * 1000)

static const struct {
    uint32_t given;
    const char *field;
} fixed_fields[] = {
    {KW_GIVEN_PROJECT, "projectId"}, {KW_GIVEN_ENV, "env"},       {KW_GIVEN_PUBLIC, "isPublic"},
    {KW_GIVEN_OWNER_ID, "ownerId"},  {KW_GIVEN_OWNER, "owner"},   {KW_GIVEN_ORG, "orgId"},
    {KW_GIVEN_PARENT, "parentId"},   {KW_GIVEN_POLICY, "policy"},
};

#define FIXED_IN_UPDATE \
    (KW_GIVEN_PROJECT | KW_GIVEN_ENV | KW_GIVEN_PUBLIC | KW_GIVEN_OWNER_ID | KW_GIVEN_OWNER | KW_GIVEN_PARENT)
#define FIXED_IN_ROTATION (FIXED_IN_UPDATE | KW_GIVEN_ORG | KW_GIVEN_POLICY)
#define GIVEN_EXPIRY (KW_GIVEN_EXPIRES_AT | KW_GIVEN_EXPIRES_IN)

static bool is_revoked(const struct kw__step *step)
{
    return kw_record_status(step->before, step->now_ms) == KW_KEY_REVOKED;
}

/* Whether its expiry has passed, also of a key that is revoked. */
static bool has_expired(const struct kw__step *step)
{
    const struct kw_record *before = step->before;
    return before->lapsed_at_ms != 0 || (before->expires_at_ms != 0 && step->now_ms >= before->expires_at_ms);
}

static enum kw_status refuse_revoked(const struct kw__step *step)
{
    if (!is_revoked(step)) {
        return KW_OK;
    }
    return kw_refuse(step->error, KW_CODE_CANNOT_MODIFY_REVOKED, NULL,
                     "A revoked key cannot be changed: create a new key.");
}

static enum kw_status refuse_fixed(const struct kw__step *step, uint32_t fixed)
{
    for (size_t i = 0; i < KW_COUNT_OF(fixed_fields); i++) {
        if ((step->params->given & fixed & fixed_fields[i].given) != 0) {
            bool updates = (fixed_fields[i].given & FIXED_IN_UPDATE) == 0;
            return kw_refuse(step->error, KW_CODE_CANNOT_CHANGE_FIELD, fixed_fields[i].field,
                             updates ? "cannot be changed by a rotation: update the key before or after it"
                                     : "cannot be changed: create a new key for another value");
        }
    }
    return KW_OK;
}

/* What a key has from its birth. */
static struct kw_record born(const struct kw__step *step)
{
    const struct kw_birth *birth = step->command->birth;
    struct kw_record record = {
        .id = birth->id,
        .lineage_id = birth->id,
        .version = 1,
        .env = birth->env,
        .prefix = birth->prefix,
        .digest_scheme = birth->digest_scheme,
        .digest_method = birth->digest_method,
        .enabled = true,
        .created_by = step->command->actor,
        .created_at_ms = step->now_ms,
        .updated_at_ms = step->now_ms,
    };
    memcpy(record.last_four, birth->last_four, sizeof record.last_four);
    return record;
}

/* What a child has from its parent where it was given nothing else. */
static enum kw_status descend(const struct kw__step *step, struct kw_record *record)
{
    const struct kw_record *parent = step->command->parent;
    if (kw_record_status(parent, step->now_ms) == KW_KEY_REVOKED ||
        kw_record_status(parent, step->now_ms) == KW_KEY_EXPIRED) {
        return kw_refuse(step->error, KW_CODE_INVALID_FIELD, "parentId",
                         "names a key that has ended: its children would be dead from the start");
    }
    record->parent_id = parent->lineage_id;
    record->owner = parent->owner;
    record->org_id = parent->org_id;
    record->expires_at_ms = parent->expires_at_ms;
    record->rate_limits = parent->rate_limits;
    record->quotas = parent->quotas;
    return KW_OK;
}

/*
 * All of a child that is born; later only what is given. What a parent lost since, the verdict sees to: it must not
 * keep its children from being renamed or rotated.
 */
static enum kw_status refuse_beyond_parent(const struct kw__step *step, const struct kw_record *record)
{
    static const struct kw_list none;
    const struct kw_record *parent = step->command->parent;
    if (parent == NULL) {
        return KW_OK;
    }
    struct kw_record asked = *record;
    uint32_t given = step->before == NULL ? UINT32_MAX : step->params->given;
    asked.scopes = (given & KW_GIVEN_SCOPES) != 0 ? asked.scopes : none;
    asked.resources = (given & KW_GIVEN_RESOURCES) != 0 ? asked.resources : none;
    asked.expires_at_ms = (given & GIVEN_EXPIRY) != 0 ? asked.expires_at_ms : parent->expires_at_ms;
    asked.allowed_ips = (given & KW_GIVEN_ALLOWED_IPS) != 0 ? asked.allowed_ips : none;
    asked.allowed_regions = (given & KW_GIVEN_ALLOWED_REGIONS) != 0 ? asked.allowed_regions : none;
    asked.rate_limits = (given & KW_GIVEN_RATE_LIMITS) != 0 ? asked.rate_limits : parent->rate_limits;
    asked.quotas = (given & KW_GIVEN_QUOTAS) != 0 ? asked.quotas : parent->quotas;
    return kw_family_admits(parent, &asked, step->error);
}

static enum kw_status apply(const struct kw__step *step, struct kw_record *record)
{
    const struct kw_record was = *record;
    enum kw_status status = kw__params_apply(step->params, step->now_ms, step->arena, record, step->error);
    kw_schedule_renew(&was, record);
    return status != KW_OK ? status : kw__org_check(step->params, record, step->error);
}

static enum kw_status check_params(const struct kw__step *step)
{
    enum kw_status status = kw_key_params_check(step->params, step->now_ms, step->arena, step->error);
    return status == KW_OK ? kw_key_regions_check(step->params, NULL, step->error) : status;
}

static enum kw_status create(const struct kw__step *step)
{
    bool names_owner = (step->params->given & KW_GIVEN_OWNER) != 0 && step->params->owner.size != 0;
    if (!names_owner && step->command->parent == NULL) {
        return kw_refuse(
            step->error, KW_CODE_MISSING_FIELD, "ownerId",
            "is required: say who holds the key, as owner \"user:ID\", \"team:ID\" or \"service:ID\", or as "
            "ownerId for a user");
    }
    enum kw_status status = check_params(step);
    if (status != KW_OK) {
        return status;
    }
    struct kw_record record = born(step);
    record.project = step->command->project;
    record.template_name = step->command->template_name;
    status = step->command->parent == NULL ? KW_OK : descend(step, &record);
    if (status == KW_OK) {
        status = apply(step, &record);
    }
    if (status == KW_OK) {
        status = refuse_beyond_parent(step, &record);
    }
    return status == KW_OK ? kw__step_done(step, "key.created", &record) : status;
}

static enum kw_status update(const struct kw__step *step)
{
    enum kw_status status = refuse_revoked(step);
    if (status == KW_OK) {
        status = refuse_fixed(step, FIXED_IN_UPDATE);
    }
    if (status == KW_OK) {
        status = check_params(step);
    }
    if (status != KW_OK) {
        return status;
    }
    if ((step->params->given & GIVEN_EXPIRY) != 0 && has_expired(step)) {
        return kw__step_refuse_expired(
            step, "The key has expired, and its expiry cannot be changed any more: rotate it with a "
                  "new expiry.");
    }
    struct kw_record after = kw__step_next_version(step);
    status = apply(step, &after);
    if (status == KW_OK) {
        status = refuse_beyond_parent(step, &after);
    }
    return status == KW_OK ? kw__step_done(step, "key.updated", &after) : status;
}

static enum kw_status enable(const struct kw__step *step)
{
    enum kw_status status = refuse_revoked(step);
    if (status != KW_OK) {
        return status;
    }
    if (step->before->enabled) {
        return kw_refuse(step->error, KW_CODE_ALREADY_ENABLED, NULL, "The key is enabled already.");
    }
    struct kw_record after = kw__step_next_version(step);
    after.enabled = true;
    return kw__step_done(step, "key.enabled", &after);
}

static enum kw_status disable(const struct kw__step *step)
{
    enum kw_status status = refuse_revoked(step);
    if (status != KW_OK) {
        return status;
    }
    if (!step->before->enabled) {
        return kw_refuse(step->error, KW_CODE_ALREADY_DISABLED, NULL, "The key is disabled already.");
    }
    struct kw_record after = kw__step_next_version(step);
    after.enabled = false;
    return kw__step_done(step, "key.disabled", &after);
}

static enum kw_status revoke(const struct kw__step *step)
{
    if (is_revoked(step)) {
        return kw_refuse(step->error, KW_CODE_ALREADY_REVOKED, NULL, "The key is revoked already.");
    }
    struct kw_record after = kw__step_next_version(step);
    after.revoked_at_ms = step->now_ms;
    after.revoked_by = step->command->actor;
    after.revoke_reason = step->command->reason;
    return kw__step_done(step, "key.revoked", &after);
}

static enum kw_status refuse_wider(const struct kw__step *step, const struct kw_record *successor)
{
    const struct kw_record *before = step->before;
    static const struct kw_list none;
    const char *field = kw_places_beyond(successor, before);
    if (!kw_authority_within(&successor->scopes, &none, &before->scopes, &before->resources)) {
        field = "scopes";
    } else if (!kw_authority_within(&none, &successor->resources, &before->scopes, &before->resources)) {
        field = "resources";
    } else if (!kw_rate_limits_within(&successor->rate_limits, &before->rate_limits)) {
        field = "rateLimits";
    } else if (!kw_quotas_within(&successor->quotas, &before->quotas)) {
        field = "quotas";
    }
    return field == NULL ? KW_OK
                         : kw_refuse(step->error, KW_CODE_INVALID_FIELD, field,
                                     "would let the new key do more than the old one: create a new key for that");
}

static enum kw_status admit_rotation(const struct kw__step *step)
{
    enum kw_status status = refuse_revoked(step);
    if (status != KW_OK) {
        return status;
    }
    if (!kw_id_is_none(&step->before->rotated_to)) {
        char successor[KW_ID_TEXT_SIZE];
        kw_id_format(&step->before->rotated_to, successor);
        return kw_refuse(step->error, KW_CODE_ALREADY_ROTATED, NULL,
                         "The key was rotated already: rotate its successor %.*s.", (int)sizeof successor, successor);
    }
    status = refuse_fixed(step, FIXED_IN_ROTATION);
    if (status == KW_OK) {
        status = check_params(step);
    }
    if (status != KW_OK) {
        return status;
    }
    if (step->command->grace_ms < 0 || step->command->grace_ms > GRACE_MS_MAX) {
        return kw_refuse(
            step->error, KW_CODE_INVALID_FIELD, "gracePeriod",
            "must be at most \"1y\" (365 days): a number and its unit, such as \"90s\", \"15m\", \"24h\" or \"7d\"");
    }
    if (step->command->ends_grace && step->command->grace_ms == 0) {
        return kw_refuse(step->error, KW_CODE_INVALID_FIELD, "endGraceOnFirstUse",
                         "needs a gracePeriod: without one the old key is revoked at once");
    }
    if ((step->params->given & GIVEN_EXPIRY) == 0 && has_expired(step)) {
        return kw__step_refuse_expired(step, "The key has expired: give expiresAt or expiresIn for the new one.");
    }
    return KW_OK;
}

/* The new key of the line: what the old one was, but for what the params change. */
static struct kw_record succeed(const struct kw__step *step)
{
    const struct kw_record *before = step->before;
    struct kw_record birth = born(step);
    struct kw_record successor = *before;
    successor.id = birth.id;
    successor.version = birth.version;
    successor.prefix = birth.prefix;
    successor.digest_scheme = birth.digest_scheme;
    successor.digest_method = birth.digest_method;
    successor.imported = false; /* nobody else has ever had this one */
    memcpy(successor.last_four, birth.last_four, sizeof successor.last_four);
    successor.created_by = birth.created_by;
    successor.created_at_ms = birth.created_at_ms;
    successor.updated_at_ms = birth.updated_at_ms;
    successor.lapsed_at_ms = 0;
    successor.announced = 0; /* another key, of which nothing was told yet */
    successor.rotated_from = before->id;
    successor.ends_grace = step->command->ends_grace;
    return successor;
}

static enum kw_status rotate(const struct kw__step *step)
{
    enum kw_status status = admit_rotation(step);
    if (status != KW_OK) {
        return status;
    }
    struct kw_record successor = succeed(step);
    status = apply(step, &successor);
    if (status == KW_OK) {
        status = refuse_wider(step, &successor);
    }
    if (status == KW_OK) {
        status = refuse_beyond_parent(step, &successor);
    }
    if (status != KW_OK) {
        return status;
    }
    struct kw_record after = kw__step_next_version(step);
    after.rotated_to = successor.id;
    if (step->command->grace_ms == 0) {
        after.revoked_at_ms = step->now_ms;
        after.revoked_by = step->command->actor;
        after.revoke_reason = KW_REASON_ROTATED;
    } else {
        int64_t until_ms = step->now_ms + step->command->grace_ms;
        after.grace_until_ms = until_ms > KW_TIME_MS_MAX ? KW_TIME_MS_MAX : until_ms;
    }
    status = kw__step_done(step, "key.rotated", &after);
    step->change->successor = successor;
    step->change->has_successor = true;
    return status;
}

static enum kw_status erase(const struct kw__step *step)
{
    const struct kw_record *before = step->before;
    if (!is_revoked(step)) {
        return kw_refuse(step->error, KW_CODE_NOT_REVOKED, NULL,
                         "Only a revoked key can be erased: revoke the key first.");
    }
    struct kw_record tombstone = {
        .id = before->id,
        .project = before->project,
        .digest_scheme = before->digest_scheme,
        .digest_method = before->digest_method,
        .revoked_at_ms = before->revoked_at_ms,
        .version = before->version + 1,
        .lineage_id = before->lineage_id,
    };
    enum kw_status status = kw__step_done(step, "key.erased", &tombstone);
    step->change->erased = true;
    return status;
}

static enum kw_status move_digest(const struct kw__step *step)
{
    enum kw_status status = refuse_revoked(step);
    if (status != KW_OK) {
        return status;
    }
    struct kw_record after = kw__step_next_version(step);
    after.digest_scheme = step->command->moved_scheme;
    after.digest_method = step->command->moved_method;
    return kw__step_done(step, "key.digest_moved", &after);
}

static enum kw_status admit(const struct kw__step *step)
{
    const struct kw_command *command = step->command;
    const struct kw_record *before = step->before;
    if (before != NULL && before->owner.size == 0) {
        return kw_refuse(step->error, KW_CODE_KEY_NOT_FOUND, NULL, "The key was erased.");
    }
    if (before != NULL && command->if_version != 0 && command->if_version != before->version) {
        return kw_refuse(step->error, KW_CODE_VERSION_CONFLICT, NULL,
                         "The key was changed in the meantime: read it again and repeat the change.");
    }
    enum kw_status status = kw__text_check(command->actor, KW_ACTOR_MAX, "actor", step->error);
    if (status != KW_OK) {
        return status;
    }
    return kw__text_check(command->reason, KW_REASON_MAX, "reason", step->error);
}

enum kw_status kw_transition(const struct kw_record *before, const struct kw_command *command, int64_t now_ms,
                             struct kw_arena *arena, struct kw_change *change_out, struct kw_error *error_out)
{
    static enum kw_status (*const transitions[])(const struct kw__step *step) = {
        [KW_COMMAND_CREATE] = create,
        [KW_COMMAND_UPDATE] = update,
        [KW_COMMAND_ENABLE] = enable,
        [KW_COMMAND_DISABLE] = disable,
        [KW_COMMAND_REVOKE] = revoke,
        [KW_COMMAND_ROTATE] = rotate,
        [KW_COMMAND_ERASE] = erase,
        [KW_COMMAND_LAPSE] = kw__step_lapse,
        [KW_COMMAND_END_GRACE] = kw__step_end_grace,
        [KW_COMMAND_MOVE] = move_digest,
    };
    static const struct kw_key_params nothing;
    assert((size_t)command->kind < KW_COUNT_OF(transitions));
    assert((before == NULL) == (command->kind == KW_COMMAND_CREATE));
    struct kw__step step = {
        .before = before,
        .command = command,
        .params = command->params == NULL ? &nothing : command->params,
        /* 0 means "never" in a record: a key must not come out unrevoked from a clock that stands there. */
        .now_ms = now_ms < 1                ? 1
                  : now_ms > KW_TIME_MS_MAX ? KW_TIME_MS_MAX
                                            : now_ms,
        .arena = arena,
        .change = change_out,
        .error = error_out,
    };
    enum kw_status status = admit(&step);
    status = status == KW_OK && before != NULL ? kw__step_settle(&step) : status;
    return status == KW_OK ? transitions[command->kind](&step) : status;
}
