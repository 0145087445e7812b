/*
 * Insight into the keys of a store (core/insight.h): gathers records and what is known of their use. That of a project
 * comes in pieces, so that many keys do not hold a reader for long: KW_OP_INSIGHTS is handed in again until it has
 * ended.
 */
#ifndef KW_ENGINE_INSIGHTS_H
#define KW_ENGINE_INSIGHTS_H

#include "core/insight.h"
#include "engine/engine.h"

#define KW_INSIGHTS_KEYS_MAX 20000 /* that are looked at, the oldest first */

#define KW_INSIGHTS_JSON_MAX ((size_t)8 << 20) /* KW_ATTENTION_MAX of the largest, and more */

/* How far an operation came. Begin with `query` alone: owner, organisation, environment and tags count; its limit is
 * how many keys are told of, 1 to KW_ATTENTION_MAX. */
struct kw_insights {
    const struct kw_list_query *query;
    struct kw_attention_list attention;
    struct kw_position after;
    uint64_t looked_at; /* also those that have ended */
    bool has_begun;
    bool has_more;  /* keys that were not looked at */
    bool has_ended; /* the operation's result is the whole, as JSON */
};

/* As a reader. Fail with op->error set. */
KW_MUST_USE enum kw_status kw__insight_read(struct kw_engine *engine, struct kw_op *op);
KW_MUST_USE enum kw_status kw__insights_read(struct kw_engine *engine, struct kw_op *op);

#endif
