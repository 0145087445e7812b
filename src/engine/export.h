/*
 * An export: keys with their digests as text, a piece at a time, so that neither this process nor a client ever holds
 * all of it. Whoever wants one submits the same operation (KW_OP_EXPORT) again and again; each gives a piece of the
 * text. The first writes down who takes what before any key leaves; the last writes down how many it were, and only
 * then comes the end of the text, so that an export without its line in the audit log never looks whole. Between two
 * pieces nothing of the store is held.
 */
#ifndef KW_ENGINE_EXPORT_H
#define KW_ENGINE_EXPORT_H

#include "engine/internal.h"
#include <keyward/keyward.h>

#define KW_EXPORT_PIECE ((size_t)256 * 1024)          /* a piece ends with the record that reaches it */
#define KW_EXPORT_PIECE_MAX ((size_t)2 * 1024 * 1024) /* with the largest record's JSON behind it */

enum kw_export_stage {
    KW_EXPORT_BEGINS,
    KW_EXPORT_RECORDS,
    KW_EXPORT_ENDS,
    KW_EXPORT_ENDED,
};

/* In the memory of whoever exports, with the first three members set and all others zero. */
struct kw_export {
    const struct kw_list_query *query; /* owner, org_id, env and tags of it */
    enum kw_export_format format;
    bool gives_up; /* nobody wants the rest, or a piece failed: the next operation writes that down and is the last */

    enum kw_export_stage stage;
    uint64_t count; /* keys in the pieces so far */
    struct kw_position after;
};

/* Whether the next operation is one for the writer. */
bool kw__export_writes(const struct kw_export *export);
/* As the writer: an export's begin or end. Hands the operation back. */
void kw__export_write(struct kw_engine *engine, struct kw_op *op);
/* As a reader: the next keys. */
KW_MUST_USE enum kw_status kw__export_read(struct kw_engine *engine, struct kw_op *op);

#endif
