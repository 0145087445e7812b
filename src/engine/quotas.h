/*
 * Quotas beside verifications: amounts that are reported afterwards, credits, and how the quotas and rate limits of a
 * key stand. What needs the store is done as funds.h does it.
 */
#ifndef KW_ENGINE_QUOTAS_H
#define KW_ENGINE_QUOTAS_H

#include "base/json.h"
#include "engine/internal.h"

/* What a change of a key's quotas is about; in the writer's arena. */
struct kw_quota_change {
    struct kw_charge charge; /* quotas; where it is asked how a key stands, limits too */
    struct kw_claim *claims;
    struct kw_want *wants;
    uint64_t places[KW_PER_COUNT];
    struct kw_digest digest; /* of the key's entry */
    struct kw_store_reservation *reservations;
    size_t reservation_count;
};

/*
 * As the writer: what a report of those amounts takes from the quotas of the key, limits or not: it has happened. The
 * reservations are for the report's batch. The key is that of a row of the store. KW_E_MEMORY.
 */
KW_MUST_USE enum kw_status kw__quotas_report(struct kw_engine *engine, const struct kw_store_row *row,
                                             const struct kw_usage_report *report, struct kw_quota_change *change_out);
/* After the batch was committed. */
void kw__quotas_reported(struct kw_engine *engine, const struct kw_quota_change *change);

/* As the writer: does one KW_OP_CREDIT, and hands it back. */
void kw__credit_write(struct kw_engine *engine, struct kw_op *op);

/*
 * The members `quotas` and `rateLimits`: how each of a key stands, of those from above too, and spends nothing. Reads
 * the store where nothing was spent since the start. Nothing is written where it fails: KW_E_MEMORY, or as the store.
 */
KW_MUST_USE enum kw_status kw__standings_write_json(struct kw_engine *engine, const struct kw_digest *digest,
                                                    struct kw_json_writer *json);

#endif
