/*
 * Where a house's peppers are kept, as a data folder's file keeps them, and what a machine does that stops in the
 * middle: from the n-th write on, be it to the drawer or to the shelf, nothing has an effect. One at a time.
 */
#ifndef KW_TESTS_UNIT_ENGINE_DRAWER_H
#define KW_TESTS_UNIT_ENGINE_DRAWER_H

#include "engine/peppers.h"
#include "house.h"

struct drawer {
    struct kw_peppers kept;
    struct kw_pepper_keeper keeper;
    unsigned writes;   /* tried so far */
    unsigned fails_at; /* this write fails; 0: none does */
    bool fails_lately; /* but has happened */
    bool is_out_of_reach;
    void (*on_write)(void *context); /* by the writer, ahead of each write */
    void *context;
};

/* A house on a shelf, whose drawer holds the peppers that letters name. */
bool drawer_begin(struct test *t, struct house *house, struct drawer *drawer, const char *peppers);
void drawer_end(struct house *house, struct drawer *drawer);
/* What is in it, as letters; "?" for one that was drawn. */
void drawer_show(const struct drawer *drawer, char letters[KW_PEPPERS_MAX + 1]);

/* The machine stops with the n-th write from now on, which happens or not. 0: it goes on. */
void drawer_stop_machine(unsigned nth, bool happens);
/* How many writes there were since then. */
unsigned drawer_machine_writes(void);

/* One operation on peppers. `letter` 0: one that is drawn. */
enum kw_status drawer_add(struct house *house, char letter, struct kw_error *error_out);
enum kw_status drawer_retire(struct house *house, const uint8_t *fingerprint, struct kw_error *error_out);
enum kw_status drawer_retire_letter(struct house *house, char letter, struct kw_error *error_out);

#endif
