#include "sim/model_policy.h"

#define GIVEN_EXPIRY (KW_GIVEN_EXPIRES_AT | KW_GIVEN_EXPIRES_IN)
#define FIXED (KW_GIVEN_ENV | KW_GIVEN_PUBLIC | KW_GIVEN_OWNER | KW_GIVEN_PARENT)

enum kw_key_status model_status(const struct model_key *key, int64_t now)
{
    if (key->revoked_at != 0 || now >= model_ends_at(key)) {
        return KW_KEY_REVOKED;
    }
    if (key->lapsed_at != 0 || (key->expires_at != 0 && now >= key->expires_at)) {
        return KW_KEY_EXPIRED;
    }
    return model_is_enabled(key, now) ? KW_KEY_ACTIVE : KW_KEY_DISABLED;
}

static int last_of(const struct model *model, int line)
{
    while (model->keys[line].rotated_to >= 0) {
        line = model->keys[line].rotated_to;
    }
    return line;
}

int model_newest(const struct model *model, int line)
{
    int at = last_of(model, line);
    return model->keys[at].erased ? -1 : at;
}

/* A key and its ancestors. False where one of them is gone. */
static bool links_of(const struct model *model, int key, int *links, int *count)
{
    *count = 0;
    while (key >= 0) {
        links[(*count)++] = key;
        int parent = model->keys[key].parent;
        key = parent < 0 ? -1 : model_newest(model, parent);
        if (parent >= 0 && key < 0) {
            return false;
        }
    }
    return true;
}

enum kw_key_status model_status_above(const struct model *model, const struct model_key *key)
{
    enum kw_key_status worst = model_outlived(model, key) ? KW_KEY_EXPIRED : KW_KEY_ACTIVE;
    while (key->parent >= 0) {
        int newest = model_newest(model, key->parent);
        if (newest < 0) {
            return KW_KEY_REVOKED;
        }
        key = &model->keys[newest];
        enum kw_key_status status = model_status(key, model->now);
        status = status < KW_KEY_EXPIRED && model_outlived(model, key) ? KW_KEY_EXPIRED : status;
        worst = status > worst ? status : worst;
    }
    return worst;
}

static void touch(struct model *model, struct model_key *key)
{
    key->version++;
    key->updated_at = model->now > key->updated_at ? model->now : key->updated_at;
    key->touched = true;
}

static void end(struct model *model, struct model_key *key, int64_t at, const char *by, const char *reason)
{
    touch(model, key);
    key->revoked_at = at;
    key->revoked_by = by;
    key->reason = reason;
}

/* --- commands --- */

static int add(struct model *model, const struct model_key *key, const char *actor)
{
    int at = model->count++;
    struct model_key *made = &model->keys[at];
    *made = *key;
    made->version = 1;
    made->created_by = actor;
    made->created_at = made->updated_at = model->now;
    made->lapsed_at = 0;
    made->told_of_disabling = made->told_of_expiry = made->told_of_revocation = false;
    made->noted_first = made->noted_last = 0;
    made->first_use_told = false;
    made->touched = true;
    made->acknowledged_dead = false;
    made->text[0] = '\0';
    return at;
}

static enum kw_code create(struct model *model, const struct model_command *command, int *made)
{
    struct model_params taken = command->params;
    const struct model_params *params = &taken;
    struct model_key key = {.enabled = true, .env = "live", .owner = "", .org = "", .name = "", .parent = -1};
    struct model_key *parent = NULL;
    key.rotated_from = key.rotated_to = -1;
    key.revoked_by = key.reason = "";
    key.policy = -1;
    bool names_policy = (params->given & KW_GIVEN_POLICY) != 0 && params->policy >= 0;
    if (names_policy && !model->policies[params->policy].is_there) {
        return KW_CODE_INVALID_FIELD;
    }
    if ((params->given & KW_GIVEN_PARENT) != 0) {
        int links[MODEL_DEPTH_MAX + 1] = {0};
        int generations;
        for (int at = params->parent; at >= 0; at = model->keys[at].rotated_to) {
            if (model->keys[at].erased) {
                return KW_CODE_INVALID_FIELD;
            }
        }
        int newest = model_newest(model, model->keys[params->parent].line);
        if (newest < 0 || !links_of(model, newest, links, &generations) || generations > MODEL_DEPTH_MAX) {
            return KW_CODE_INVALID_FIELD;
        }
        parent = &model->keys[newest];
        key.env = parent->env;
        key.owner = parent->owner;
        key.org = parent->org;
        key.expires_at = parent->expires_at;
        key.limits = parent->limits;
        key.parent = parent->line;
    } else if ((params->given & KW_GIVEN_OWNER) == 0) {
        return KW_CODE_MISSING_FIELD;
    }
    bool has_dead_above = parent != NULL && model_first_ended(model, (int)(parent - model->keys)) >= 0;
    model_take_from_policy(model, parent, &taken);
    if (model_params_are_bad(model, params) || has_dead_above) {
        return KW_CODE_INVALID_FIELD;
    }
    model_set_params(model, params, &key);
    if (model_lacks_org(&key)) {
        return KW_CODE_INVALID_FIELD;
    }
    if (parent != NULL && model_exceeds(&key, parent, UINT32_MAX)) {
        return KW_CODE_EXCEEDS_PARENT;
    }
    enum kw_code code = model_admits(model, &key, model->now, true);
    if (code != KW_CODE_NONE) {
        return code;
    }
    if (parent != NULL && (!parent->has_children || parent->touched)) {
        parent->has_children = true;
        parent->version++;
        parent->touched = true;
    }
    key.line = model->count;
    *made = add(model, &key, command->actor);
    return KW_CODE_NONE;
}

/* The parent that an update or rotation is held against; NULL where there is none, or no way is left to it. */
static const struct model_key *parent_of(const struct model *model, int key)
{
    int links[MODEL_DEPTH_MAX + 1] = {0};
    int count;
    bool is_whole = links_of(model, key, links, &count);
    return is_whole && count > 1 ? &model->keys[links[1]] : NULL;
}

bool model_has_expired(const struct model *model, const struct model_key *key)
{
    return key->lapsed_at != 0 || (key->expires_at != 0 && model->now >= key->expires_at);
}

static enum kw_code update(struct model *model, const struct model_command *command)
{
    struct model_key *key = &model->keys[command->key];
    const struct model_key *parent = parent_of(model, command->key);
    uint32_t given = command->params.given;
    if ((given & FIXED) != 0) {
        return KW_CODE_CANNOT_CHANGE_FIELD;
    }
    if (model_params_are_bad(model, &command->params)) {
        return KW_CODE_INVALID_FIELD;
    }
    if ((given & GIVEN_EXPIRY) != 0 && model_has_expired(model, key)) {
        return KW_CODE_ALREADY_EXPIRED;
    }
    if (given == 0) {
        return KW_CODE_NONE; /* judge() leaves the key as it was */
    }
    struct model_key after = *key;
    model_set_params(model, &command->params, &after);
    if (model_lacks_org(&after)) {
        return KW_CODE_INVALID_FIELD;
    }
    if (parent != NULL && model_exceeds(&after, parent, given)) {
        return KW_CODE_EXCEEDS_PARENT;
    }
    enum kw_code code = model_admits(model, &after, key->created_at, (given & KW_GIVEN_POLICY) != 0);
    if (code != KW_CODE_NONE) {
        return code;
    }
    *key = after;
    touch(model, key);
    return KW_CODE_NONE;
}

static enum kw_code rotate(struct model *model, const struct model_command *command, int *made)
{
    struct model_key *key = &model->keys[command->key];
    const struct model_key *parent = parent_of(model, command->key);
    uint32_t given = command->params.given;
    if (key->rotated_to >= 0) {
        return KW_CODE_ALREADY_ROTATED;
    }
    if ((given & (FIXED | KW_GIVEN_ORG | KW_GIVEN_POLICY)) != 0) {
        return KW_CODE_CANNOT_CHANGE_FIELD;
    }
    if (model_params_are_bad(model, &command->params) || (command->ends_grace && command->grace == 0)) {
        return KW_CODE_INVALID_FIELD;
    }
    if ((given & GIVEN_EXPIRY) == 0 && model_has_expired(model, key)) {
        return KW_CODE_ALREADY_EXPIRED;
    }
    struct model_key after = *key;
    model_set_params(model, &command->params, &after);
    bool is_wider =
        !model_scopes_within(&after.rights, &key->rights) || !model_places_within(&after.rights, &key->rights) ||
        !model_rates_within(&after.limits, &key->limits) || !model_quotas_within(&after.limits, &key->limits);
    if (is_wider || model_lacks_org(&after)) {
        return KW_CODE_INVALID_FIELD;
    }
    if (parent != NULL && model_exceeds(&after, parent, given)) {
        return KW_CODE_EXCEEDS_PARENT;
    }
    enum kw_code code = model_admits(model, &after, (given & GIVEN_EXPIRY) != 0 ? model->now : key->created_at, false);
    if (code != KW_CODE_NONE) {
        return code;
    }
    if (key->parent >= 0 && model_status_above(model, key) == KW_KEY_REVOKED) {
        return KW_CODE_INVALID_FIELD; /* the new key would be dead from the start */
    }
    after.rotated_from = command->key;
    after.ends_grace = command->ends_grace;
    *made = add(model, &after, command->actor);
    key->rotated_to = *made;
    if (command->grace == 0) {
        end(model, key, model->now, command->actor, "rotated");
    } else {
        touch(model, key);
        key->grace_until = model->now + command->grace;
    }
    return KW_CODE_NONE;
}

static enum kw_code change(struct model *model, const struct model_command *command, int *made)
{
    struct model_key *key = &model->keys[command->key];
    bool is_revoked = model_status(key, model->now) == KW_KEY_REVOKED;
    if (command->kind == KW_CHANGE_REVOKE) {
        if (is_revoked) {
            return KW_CODE_ALREADY_REVOKED;
        }
        end(model, key, model->now, command->actor, command->reason);
        return KW_CODE_NONE;
    }
    if (command->kind == KW_CHANGE_ERASE) {
        key->erased = is_revoked;
        key->touched = key->touched || is_revoked;
        return is_revoked ? KW_CODE_NONE : KW_CODE_NOT_REVOKED;
    }
    if (is_revoked) {
        return KW_CODE_CANNOT_MODIFY_REVOKED;
    }
    if (command->kind == KW_CHANGE_UPDATE || command->kind == KW_CHANGE_ROTATE) {
        return command->kind == KW_CHANGE_UPDATE ? update(model, command) : rotate(model, command, made);
    }
    bool enabled = command->kind == KW_CHANGE_ENABLE;
    if (key->enabled == enabled) {
        return enabled ? KW_CODE_ALREADY_ENABLED : KW_CODE_ALREADY_DISABLED;
    }
    touch(model, key);
    key->enabled = enabled;
    return KW_CODE_NONE;
}

static enum kw_code judge(struct model *model, const struct model_command *command, int *made)
{
    *made = -1;
    if (command->kind == KW_CHANGE_CREATE) {
        return create(model, command, made);
    }
    const struct model_key *key = &model->keys[command->key];
    if (key->erased) {
        return KW_CODE_KEY_NOT_FOUND;
    }
    if (command->no_cascade && model_leaves_orphan(model, key, command->kind, NULL)) {
        return KW_CODE_HAS_CHILDREN;
    }
    if (command->if_version != 0 && command->if_version != key->version) {
        return KW_CODE_VERSION_CONFLICT;
    }
    /* What has passed has passed for every command, and is written down with it. */
    struct model_key *changed = &model->keys[command->key];
    struct model_key before = *changed;
    (void)model_pass(model, changed);
    enum kw_code code = change(model, command, made);
    bool is_idle = command->kind == KW_CHANGE_UPDATE && command->params.given == 0;
    if (code != KW_CODE_NONE || is_idle) {
        *changed = before;
    }
    return code;
}

static enum kw_code apply(struct model *model, const struct model_command *command, int *made)
{
    enum kw_code code = judge(model, command, made);
    if (code != KW_CODE_NONE) {
        model_note_refusal(model, command);
    }
    return code;
}

static void begin(struct model *model)
{
    for (int i = 0; i < model->count; i++) {
        model->keys[i].touched = false;
        model->keys[i].noted_first = model->keys[i].noted_last = 0;
    }
}

enum kw_code model_apply(struct model *model, const struct model_command *command, int *made_out)
{
    begin(model);
    return apply(model, command, made_out);
}

void model_apply_many(struct model *model, const struct model_command *commands, int count, bool atomic,
                      enum kw_code *codes_out, int *made_out)
{
    static struct model before;
    bool failed = false;
    before = *model;
    begin(model);
    for (int i = 0; i < count; i++) {
        codes_out[i] = apply(model, &commands[i], &made_out[i]);
        failed = failed || codes_out[i] != KW_CODE_NONE;
    }
    if (atomic && failed) {
        model_keep_notes(model, &before);
        *model = before;
        for (int i = 0; i < count; i++) {
            codes_out[i] = codes_out[i] == KW_CODE_NONE ? KW_CODE_NOT_DONE : codes_out[i];
        }
    }
}

bool model_matches(const struct model_key *key, const struct model_where *where)
{
    return !key->erased && (where->owner == NULL || strcmp(where->owner, key->owner) == 0) &&
           (where->org == NULL || strcmp(where->org, key->org) == 0) &&
           (where->tag < 0 || (key->tags >> where->tag & 1) != 0);
}

/* One that is enabled or disabled already is not even looked at. */
static bool has_ended_unseen(const struct model *model, const struct model_key *key, const struct model_where *where)
{
    bool is_so =
        where->kind != KW_CHANGE_REVOKE && model_is_enabled(key, model->now) == (where->kind == KW_CHANGE_ENABLE);
    return !is_so && key->revoked_at == 0 && model_status(key, model->now) == KW_KEY_REVOKED;
}

enum kw_code model_apply_where(struct model *model, const struct model_where *where, uint64_t *matched,
                               uint64_t *changed)
{
    *matched = *changed = 0;
    begin(model);
    for (int i = 0; i < model->count; i++) {
        if (model_matches(&model->keys[i], where) && has_ended_unseen(model, &model->keys[i], where)) {
            model_note(model, i); /* should the action come to nothing */
        }
    }
    for (int i = 0; i < model->count && where->no_cascade; i++) {
        if (model_matches(&model->keys[i], where) && model_leaves_orphan(model, &model->keys[i], where->kind, where)) {
            return KW_CODE_HAS_CHILDREN;
        }
    }
    for (int i = 0; i < model->count; i++) {
        if (model_matches(&model->keys[i], where)) {
            struct model_command command = {
                .kind = where->kind, .key = i, .actor = where->actor, .reason = where->reason};
            int made;
            ++*matched;
            if (has_ended_unseen(model, &model->keys[i], where)) {
                model_lapse(model, &model->keys[i]);
            } else {
                struct model_key before = model->keys[i];
                (void)model_pass(model, &model->keys[i]);
                bool is_done = change(model, &command, &made) == KW_CODE_NONE;
                *changed += is_done;
                model->keys[i] = is_done ? model->keys[i] : before;
            }
        }
    }
    return KW_CODE_NONE;
}

/* --- verdicts --- */

/* The first of the links that has that status, or is seen to have it. */
static int first_that(const struct model *model, const int *links, int count, enum kw_key_status status)
{
    for (int i = 0; i < count; i++) {
        const struct model_key *key = &model->keys[links[i]];
        bool is_so = status == KW_KEY_REVOKED   ? model_status(key, model->now) == KW_KEY_REVOKED
                     : status == KW_KEY_EXPIRED ? model_has_expired(model, key) || model_outlived(model, key)
                                                : !model_is_enabled(key, model->now);
        if (is_so) {
            return i;
        }
    }
    return -1;
}

/* Whether the key has that status by time alone. */
static bool is_unwritten(const struct model *model, const struct model_key *key, enum kw_key_status status)
{
    return status == KW_KEY_REVOKED   ? key->revoked_at == 0
           : status == KW_KEY_EXPIRED ? key->lapsed_at == 0
                                      : key->enabled && !model_is_enabled(key, model->now);
}

void model_use(struct model *model, int index)
{
    struct model_key *key = &model->keys[index];
    if (!key->ends_grace || key->first_use_told) {
        return;
    }
    struct model_key *old = &model->keys[key->rotated_from];
    key->first_use_told = true;
    if (!old->erased && old->revoked_at == 0) {
        (void)model_pass(model, old);
        if (old->revoked_at != 0) {
            old->version--;
            touch(model, old); /* it had ended by itself, which its version has counted */
        } else {
            end(model, old, model->now, "system", "rotated");
        }
    }
}

enum kw_code model_verify(struct model *model, int key, const struct model_question *question,
                          struct model_refusal *refusal_out)
{
    static const enum kw_key_status statuses[] = {KW_KEY_REVOKED, KW_KEY_EXPIRED, KW_KEY_DISABLED};
    static const enum kw_code codes[] = {KW_CODE_REVOKED, KW_CODE_EXPIRED, KW_CODE_DISABLED};
    int links[MODEL_DEPTH_MAX + 1] = {0};
    int count;
    int link;
    *refusal_out = (struct model_refusal){.ancestor = -1};
    if (model->keys[key].erased) {
        return KW_CODE_INVALID_KEY;
    }
    if (!links_of(model, key, links, &count)) {
        const struct model_key *gone = &model->keys[last_of(model, model->keys[links[count - 1]].parent)];
        link = first_that(model, links, count, KW_KEY_REVOKED);
        if (link >= 0 && !gone->is_forgotten && is_unwritten(model, &model->keys[links[link]], KW_KEY_REVOKED)) {
            model_lapse(model, &model->keys[links[link]]);
        }
        return KW_CODE_REVOKED;
    }
    for (int i = 0; i < 3; i++) {
        link = first_that(model, links, count, statuses[i]);
        if (link >= 0) {
            struct model_key *refusing = &model->keys[links[link]];
            refusal_out->by_policy = statuses[i] == KW_KEY_EXPIRED && !model_has_expired(model, refusing);
            /* What a verdict meets is written down, and with it all that is due. */
            if (!refusal_out->by_policy && is_unwritten(model, refusing, statuses[i])) {
                model_lapse(model, refusing);
            }
            refusal_out->ancestor = link == 0 ? -1 : links[link];
            return codes[i];
        }
    }
    enum kw_code code = model_ask_rules(model, links, count, question, &link, &refusal_out->by_policy);
    if (code != KW_CODE_NONE) {
        refusal_out->ancestor = link == 0 ? -1 : links[link];
    }
    return code;
}
