/*
 * Requirements: which scopes a call takes, as an expression: "read AND (invoices:read OR admin)". AND binds tighter
 * than OR, both are written in upper case, and so no scope in a requirement can bear these names. Words are parted by
 * spaces; beside a parenthesis none is needed.
 *
 *     either  = both *( "OR" both )
 *     both    = single *( "AND" single )
 *     single  = scope / "(" either ")"
 *
 * Scopes are those of core/scope.h. A requirement is judged straight from its text: nothing is allocated or kept.
 */
#ifndef KW_CORE_REQUIREMENT_H
#define KW_CORE_REQUIREMENT_H

#include <keyward/missing.h>

#define KW_REQUIRE_DEPTH_MAX 8 /* parentheses within each other */

/*
 * KW_OK, or KW_E_INVALID when the text is no requirement, KW_E_LIMIT when it passes a cap. Then `at_out` is the byte
 * where it goes wrong (its size when something is missing at the end) and `why_out` a sentence about that place.
 */
KW_MUST_USE enum kw_status kw_requirement_check(struct kw_bytes text, size_t *at_out, const char **why_out);

/*
 * True when the requirement is met by the scopes of which `holds` says true. It is asked from left to right and not
 * about scopes that make no difference any more. On false, `missing_out` is the smallest part of the text that would
 * have to be met: of an AND the first side that is not, of an OR the whole of it, without parentheses around. A text
 * that kw_requirement_check refuses is not met, and missing as a whole.
 */
KW_MUST_USE bool kw_requirement_met(struct kw_bytes text, bool (*holds)(void *context, struct kw_bytes scope),
                                    void *context, struct kw_bytes *missing_out);

/* Of the scopes in a requirement, in their order, those of which `holds` says false: bit n for the n-th. It is asked
 * about all of them. 0 for a text that kw_requirement_check refuses. */
uint32_t kw_requirement_lacks(struct kw_bytes text, bool (*holds)(void *context, struct kw_bytes scope), void *context);

/*
 * Every part that would have to be met, where just those scopes are not held: of an AND all of its sides that are not
 * met, each for itself, of an OR the whole of it. The first is what kw_requirement_met gives. Returns how many; 0 where
 * it is met, and for a text that kw_requirement_check refuses.
 */
size_t kw_requirement_missing(struct kw_bytes text, uint32_t lacks, struct kw_bytes parts_out[KW_REQUIRE_SCOPE_MAX]);

#endif
