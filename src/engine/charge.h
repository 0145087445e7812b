/* What a key that every other rule lets through has to spend (verify.c), and what that needs of the store (funds.c). */
#ifndef KW_ENGINE_CHARGE_H
#define KW_ENGINE_CHARGE_H

#include "engine/internal.h"

/*
 * What a good key's limits and quotas say. A dry run only looks. Where there is no memory to write down what is spent
 * nobody is let through: it is tried again after a second. Where the store is to be asked first nothing is decided, and
 * the verification says so.
 */
enum kw_code kw__charge(struct kw_engine *engine, struct kw_verification *v, struct kw_entry *entry, bool has_above,
                        int64_t now_ms);

/* How a quota stands, in the words of its own. */
void kw__quota_status(const struct kw_quota *quota, const struct kw_quota_answer *answer,
                      struct kw_quota_status *status_out);

/* What a verification of that cost asks of the ledger. `claims` has room for KW_CLAIMS_MAX. */
void kw__charge_of(struct kw_entry *entry, bool has_above, uint32_t cost, int64_t now_ms, struct kw_claim *claims,
                   struct kw_charge *charge_out);
/* Names the accounts that are not the key's own, which the ledger needs where it does not know their places. */
void kw__charge_name(const struct kw_engine *engine, const struct kw_entry *entry, struct kw_charge *charge);

#endif
