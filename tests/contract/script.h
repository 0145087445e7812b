/*
 * A workload of single calls, and a picture of all that a store holds, so that a test can fail any call, or anything
 * below a call, and look whether the store is where it was before the call or where it must be after it.
 */
#ifndef KW_TESTS_CONTRACT_SCRIPT_H
#define KW_TESTS_CONTRACT_SCRIPT_H

#include "contract/contract.h"

extern const size_t script_step_count;

/* Makes the one call of that step: its status, or the worst outcome of its batches that is not a conflict. */
enum kw_status script_step(struct contract *c, size_t step);
/* True when all of a failed step's call is undone by the store; a commit of several batches may be done in part. */
bool script_is_single(size_t step);

/*
 * Everything in the store as text in the arena. Claims events and prunes reservations to see them, alike in every
 * store: take the picture last, or of a copy.
 */
struct kw_bytes script_picture(struct contract *c);

/* The pictures of a sound store after 0, 1, … steps: script_step_count + 1 of them, in the arena of `c`. */
struct kw_bytes *script_expectations(struct contract *c);

#endif
