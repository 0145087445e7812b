/*
 * The keys under a policy and below such keys: those from which a change of it takes something, and whether there are
 * any under it that are not revoked. The writer looks through the store's lists of them ahead of the change, so that
 * what it says is so when the change is made.
 */
#ifndef KW_ENGINE_NARROWED_H
#define KW_ENGINE_NARROWED_H

#include "base/json.h"
#include "engine/internal.h"

#define KW_NARROWED_ITEMS_MAX 100   /* keys that an answer names */
#define KW_NARROWED_SCAN_MAX 20000  /* keys that one change looks at; behind them it only knows that there are more */
#define KW_NARROWED_BELOW_MAX 20000 /* their descendants that it looks at: the same */
#define KW_NARROWED_JSON_MAX 131072 /* bytes of the answer */

/*
 * Writes {"count":…,"exact":…,"items":[{"id":…,"name":…,"ancestorId":…,"fields":[…]}],"more":…}: keys that are not
 * revoked and go beyond `after` in what it allows less than `before` did (NULL: there was none); behind them, with the
 * key under the policy that they are below, descendants that the change takes something from, too. Fails as the store
 * does.
 */
KW_MUST_USE enum kw_status kw__narrowed_write(struct kw_engine *engine, struct kw_bytes project,
                                              const struct kw_policy *before, const struct kw_policy *after,
                                              struct kw_buffer *json);

/* Keys under the policy that are not revoked. Not exact: there may be more, but never none where there are some. */
KW_MUST_USE enum kw_status kw__policy_count_keys(struct kw_engine *engine, struct kw_bytes project,
                                                 struct kw_bytes policy, uint64_t *count_out, bool *exact_out);

#endif
