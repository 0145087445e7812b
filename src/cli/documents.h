/*
 * Projects, policies and templates on the command line: listing, showing, deleting, and bringing them to what a file
 * says. They are asked for and changed by the same calls as everywhere else; what is compared here is only what is
 * shown.
 */
#ifndef KW_CLI_DOCUMENTS_H
#define KW_CLI_DOCUMENTS_H

#include "cli/keys.h"
#include "core/document.h"
#include "core/transition.h"

/* One kind, as the interface and a file name it. */
struct kw_document_words {
    enum kw_document_kind kind;
    const char *plural; /* "policies": the command, and the member of a file */
    const char *path;   /* "/v1/policies" */
};
extern const struct kw_document_words kw_document_words[3]; /* those that a file may hold */

/* One field that differs: JSON in its shortest form; empty where it is not there. */
struct kw_planned_field {
    struct kw_bytes name, from, to;
};

/* What is to become of one document. */
struct kw_planned_change {
    const struct kw_document_words *words;
    size_t number, line; /* in its list, from 0; in the file, from 1 */
    const char *project; /* that it belongs to; NULL: the one that the management key is for */
    const char *name;
    uint64_t version; /* that was seen; 0: it is new */
    struct kw_planned_field *fields;
    size_t field_count;
    struct kw_bytes there;        /* as it is, as JSON; empty: it is new */
    struct kw_document *foreseen; /* of a project: as it would be, held by the plan; NULL: not known */
    size_t there_count;           /* of a new one: others of its kind and project that are there; known where the plan
                                     has another new one behind it */
    struct kw_bytes narrowed;     /* of a policy: what a dry run says of the keys under it, as JSON; empty: nothing */
};

/* All that a file asks for and is not so already. Everything lies in the arena. */
struct kw_plan {
    struct kw_arena arena;
    struct kw_planned_change *changes;
    size_t change_count, room;
    struct kw_planned_change refused; /* what a failure is about, as far as it is known; no `words`: no document */
    bool is_foreseen;                 /* and the other side would say the same, when its turn came */
};

void kw_plan_init(struct kw_plan *plan);
void kw_plan_deinit(struct kw_plan *plan);

/*
 * Compares a file's JSON with what is there. INVALID_FIELD, UNKNOWN_FIELD, INVALID_JSON. `answer` holds the problem
 * when KW_E_DENIED comes back without a code: the other side refused a question.
 */
KW_MUST_USE enum kw_status kw_plan_make(struct kw_bytes json, const char *project, struct kw_target *target,
                                        struct kw_plan *plan, struct kw_answer *answer, struct kw_error *error_out);
/* A project from the other side's answer to a dry run; NULL: it cannot be read here. */
struct kw_document *kw_plan_foresee_project(struct kw_bytes answer, struct kw_arena *arena);
/*
 * Checks a policy or template against its project as that will be by then, just as the other side will. `body` is what
 * would be sent; `policy_out` is the policy that must be there. The codes of kw_document_make and kw_document_fits.
 */
KW_MUST_USE enum kw_status kw_plan_foresee(const struct kw_planned_change *change, const struct kw_document *project,
                                           struct kw_bytes body, struct kw_arena *arena, struct kw_bytes *policy_out,
                                           struct kw_error *error_out);
/* "project shop", "policy shop/partners" */
void kw_plan_name(const struct kw_planned_change *change, struct kw_buffer *text);
/* {"kind":"policy","project":"shop","name":"partners","place":"policies[0]","line":7} */
void kw_plan_name_json(const struct kw_planned_change *change, struct kw_json_writer *writer);
/* For people, or as {"changes":[…]}. */
void kw_plan_show(const struct kw_plan *plan, struct kw_output *out);
void kw_plan_write_json(const struct kw_plan *plan, bool is_applied, struct kw_buffer *text);
/* Makes one change. A refusal is an answer. */
KW_MUST_USE enum kw_status kw_plan_apply_one(const struct kw_planned_change *change, struct kw_target *target,
                                             struct kw_answer *answer, struct kw_error *error_out);

/* Appends one JSON value in its shortest form, so that equal values are equal texts. */
KW_MUST_USE enum kw_status kw_json_shorten(struct kw_bytes json, struct kw_arena *arena, struct kw_buffer *text);

/* Calls `each` with every member of an object, in order; stops when that fails. */
typedef enum kw_status kw_member_sink(void *context, struct kw_bytes name, struct kw_bytes raw);
KW_MUST_USE enum kw_status kw_members_each(struct kw_bytes object, struct kw_arena *arena, kw_member_sink *each,
                                           void *context, struct kw_error *error_out);

#endif
