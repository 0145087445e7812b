#include "sim/model.h"

/* --- who would be orphaned --- */

/* Whether such a change would stop the key, or the key with a parent that it is made to. */
static bool would_suffer(const struct model *model, const struct model_key *key, enum kw_change_kind kind)
{
    return !key->erased && model_status(key, model->now) != KW_KEY_REVOKED &&
           (kind == KW_CHANGE_REVOKE || (kind == KW_CHANGE_DISABLE && model_is_enabled(key, model->now)));
}

bool model_leaves_orphan(const struct model *model, const struct model_key *key, enum kw_change_kind kind,
                         const struct model_where *where)
{
    for (int i = 0; i < model->count && key->rotated_to < 0 && would_suffer(model, key, kind); i++) {
        const struct model_key *child = &model->keys[i];
        if (child->parent == key->line && would_suffer(model, child, kind) &&
            (where == NULL || !model_matches(child, where))) {
            return true;
        }
    }
    return false;
}

/* --- who may have no children any more --- */

int model_first_ended(const struct model *model, int key)
{
    int first = -1;
    int generations = 0;
    while (key >= 0) {
        const struct model_key *at = &model->keys[key];
        enum kw_key_status status = model_status(at, model->now);
        bool has_ended = status == KW_KEY_REVOKED || status == KW_KEY_EXPIRED;
        first = first < 0 && has_ended ? key : first;
        generations++;
        key = at->parent < 0 ? -1 : model_newest(model, at->parent);
        if (at->parent >= 0 && key < 0) {
            return -1;
        }
    }
    return generations > MODEL_DEPTH_MAX ? -1 : first;
}

/* --- what refusals have met --- */

void model_note(struct model *model, int index)
{
    struct model_key *key = &model->keys[index];
    if (model_has_passed(model, key)) {
        key->noted_first = key->noted_first == 0 ? key->version : key->noted_first;
        key->noted_last = key->version;
    }
}

void model_note_refusal(struct model *model, const struct model_command *command)
{
    int seen = command->key;
    if (command->kind == KW_CHANGE_CREATE) {
        const struct model_params *params = &command->params;
        bool names_policy = (params->given & KW_GIVEN_POLICY) != 0 && params->policy >= 0;
        /* A policy that is not there is refused before anybody looks at the parent. */
        bool names_parent =
            (params->given & KW_GIVEN_PARENT) != 0 && (!names_policy || model->policies[params->policy].is_there);
        seen = -1;
        for (int at = names_parent ? command->params.parent : -1; at >= 0; at = model->keys[at].rotated_to) {
            seen = model->keys[at].erased ? -1 : at;
            if (seen < 0) {
                break; /* the line cannot be followed to its newest key */
            }
        }
    }
    if (seen >= 0) {
        model_note(model, seen);
    }
    int ended = seen >= 0 && command->kind == KW_CHANGE_CREATE ? model_first_ended(model, seen) : -1;
    if (ended >= 0) {
        model_note(model, ended);
    }
}

void model_keep_notes(const struct model *model, struct model *before)
{
    for (int i = 0; i < before->count; i++) {
        before->keys[i].noted_first = model->keys[i].noted_first;
        before->keys[i].noted_last = model->keys[i].noted_last;
    }
}

void model_write_noted(struct model *model)
{
    for (int i = 0; i < model->count; i++) {
        struct model_key *key = &model->keys[i];
        bool is_as_noted = key->noted_first == key->version || key->noted_last == key->version;
        if (is_as_noted) {
            model_lapse(model, key);
        }
        key->noted_first = key->noted_last = 0;
    }
}
