/*
 * What the two halves of a transition share: what callers ask for (transition.c) and what time brings
 * (transition_time.c). Nobody else includes this.
 */
#ifndef KW_CORE_TRANSITION_PARTS_H
#define KW_CORE_TRANSITION_PARTS_H

#include "core/transition.h"

/* One transition on its way. */
struct kw__step {
    const struct kw_record *before; /* with all that has passed */
    const struct kw_passed *passed;
    size_t passed_count;
    const struct kw_command *command;
    const struct kw_key_params *params; /* never NULL */
    int64_t now_ms;
    struct kw_arena *arena;
    struct kw_change *change;
    struct kw_error *error;
};

/* The record as it was, one version later. */
struct kw_record kw__step_next_version(const struct kw__step *step);
/* Makes the change, with what had passed before. Always KW_OK. */
enum kw_status kw__step_done(const struct kw__step *step, const char *action, const struct kw_record *after);
/* ALREADY_EXPIRED. */
enum kw_status kw__step_refuse_expired(const struct kw__step *step, const char *message);

/* Takes what has passed into the record that the command meets. A lapse takes what is announced, too. KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw__step_settle(struct kw__step *step);

/* The commands that write down what time has done. Fail with KW_E_CONFLICT where there is nothing. */
KW_MUST_USE enum kw_status kw__step_lapse(const struct kw__step *step);
KW_MUST_USE enum kw_status kw__step_end_grace(const struct kw__step *step);

#endif
