/* What the files behind keyward.h share. */
#ifndef KW_ENGINE_LIBRARY_H
#define KW_ENGINE_LIBRARY_H

#include "engine/data_folder.h"
#include "engine/engine.h"
#include <keyward/keyward.h>

struct keyward {
    struct kw_engine *engine;
    struct kw_data_folder folder; /* owns the engine, unless the program brought a store of its own */
    bool has_folder;
};

/* The number of a project; KW_PROJECT_NONE when there is none of that name. Empty: `default`. */
static inline uint16_t kw__project_of(const struct keyward *keyward, struct kw_bytes name)
{
    if (name.size == 0) {
        return KW_PROJECT_DEFAULT;
    }
    kw_engine_read_begin();
    const struct kw_project *project = kw_project_by_name(kw_engine_catalog(keyward->engine), name);
    uint16_t number = project == NULL ? KW_PROJECT_NONE : project->number;
    kw_engine_read_end();
    return number;
}

enum kw_status kw__no_such_project(struct kw_error *error_out);
/* The change is made; only handing out its result has failed, which must not read as "not made". */
enum kw_status kw__result_lost(struct kw_error *error_out);
/* Whether actor and reason are texts that a record may hold. */
KW_MUST_USE enum kw_status kw__check_texts(struct kw_bytes actor, struct kw_bytes reason, struct kw_error *error_out);
/* Prepares the operation that a request asks for. Also on failure it can be given back, and need not be. */
KW_MUST_USE enum kw_status kw__op_of_request(const struct keyward *keyward, const struct kw_change_request *request,
                                             enum kw_op_kind kind, struct kw_op *op, struct kw_error *error_out);
/* Gives `op->once` what it borrows, `once`, where the request is to be done once. INVALID_FIELD, or what is wrong with
 * the params. */
KW_MUST_USE enum kw_status kw__op_name_once(const struct kw_change_request *request, struct kw_op *op,
                                            struct kw_once *once, struct kw_error *error_out);
/* A copy of a document's JSON that stands on its own. KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw__hold_document(struct kw_bytes json, struct kw_bytes narrowed,
                                             struct kw_held_document *held_out);
/* A copy of a record that stands on its own. */
KW_MUST_USE enum kw_status kw__hold(struct kw_bytes encoding, struct kw_held_record *held_out);
/* What an operation made: its key, if it made one, and the records. */
KW_MUST_USE enum kw_status kw__hand_out_key(const struct kw_op *op, struct kw_new_key *made_out,
                                            struct kw_error *error_out);

#endif
