/*
 * A memory store that outlives its engine, for tests that open it again. While it is held back the index does not fill;
 * its commits can be stopped, so that what is handed in meanwhile becomes one group, and the first batch of the next
 * group can be lost. One at a time.
 */
#ifndef KW_TESTS_UNIT_ENGINE_SHELF_H
#define KW_TESTS_UNIT_ENGINE_SHELF_H

#include <keyward/store.h>

KW_MUST_USE bool shelf_open(struct kw_store **store_out);
void shelf_close(struct kw_store *store);

void shelf_hold_back(bool held_back);
/* Commits wait before they are made, or when they are made and nobody has heard of it yet. */
void shelf_stop_commits(void);
void shelf_stop_after_commits(void);
/* Waits until a commit stands at the gate. */
void shelf_wait_for_commit(void);
/* The next change of keys is made and answered with KW_E_UNCERTAIN; from then on nothing is found by its digest. */
void shelf_doubt_next_change(void);
void shelf_end_doubt(void);
/* `lose_first`: of the next group of two or more, the first is not written, and KW_E_UNAVAILABLE. */
void shelf_let_commits_go(bool lose_first);

#endif
