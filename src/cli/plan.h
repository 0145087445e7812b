/*
 * What the parts of a plan share among themselves: asking the other side about one document. plan.c compares a file
 * with what is there, plan_rehearse.c has each change checked before any is made, plan_foresee.c checks what the other
 * side cannot know yet, plan_room.c whether all of it will fit in.
 */
#ifndef KW_CLI_PLAN_H
#define KW_CLI_PLAN_H

#include "cli/documents.h"

/* A file on its way into a plan. */
struct kw_planning {
    struct kw_plan *plan;
    struct kw_target *target;
    const char *project; /* of items that name none; may be NULL */
    struct kw_bytes file;
    size_t line; /* in it, up to the next; 0: none was counted yet */
    const uint8_t *counted_to;
    const struct kw_document_words *words;
    size_t item_count; /* of this kind */
    struct kw_answer *answer;
    struct kw_error *error;
};

KW_MUST_USE enum kw_status kw_plan_no_memory(const struct kw_planning *planning);
/* The text with a NUL behind it; NULL without memory. */
const char *kw_plan_text(struct kw_planning *planning, struct kw_bytes text);

/* Asks for, makes or changes the document of a change. A refusal is an answer. */
KW_MUST_USE enum kw_status kw_plan_send(const struct kw_planned_change *change, enum kw_method method,
                                        const char *query, struct kw_bytes body, struct kw_target *target,
                                        struct kw_answer *answer, struct kw_error *error_out);
/* A new document whole, of one that is there the fields that differ. */
KW_MUST_USE enum kw_status kw_plan_send_fields(const struct kw_planned_change *change, const char *query,
                                               struct kw_target *target, struct kw_answer *answer,
                                               struct kw_error *error_out);

/* Whether the plan has a change to this document already. */
bool kw_plan_has(const struct kw_plan *plan, const struct kw_planned_change *wanted);

/*
 * Has the other side check the change, so that nothing is made of a file that holds something wrong, and of a policy
 * that changes learns which keys it takes something from. A management key that may only read is not told. What hangs
 * on what the same file does before is checked here, against what that will be.
 */
KW_MUST_USE enum kw_status kw_plan_rehearse(struct kw_planning *planning, struct kw_planned_change *change);

/*
 * Whether there may be one more of its kind when what the plan makes before it is there: each rehearsal counts only
 * what is there now. LIMIT_REACHED, and then it is foreseen.
 */
KW_MUST_USE enum kw_status kw_plan_find_room(struct kw_planning *planning, const struct kw_planned_change *change);

#endif
