/* The library beside the model: every step does the same to both, and compares them. */
#ifndef KW_TESTS_SIM_SIM_H
#define KW_TESTS_SIM_SIM_H

#include "sim/wire.h"

struct sim_kind {
    bool is_sqlite; /* and is closed and opened again now and then */
    bool has_faults;
};

struct sim {
    struct test *t;
    struct sim_kind kind;
    struct keyward *keyward;
    struct kw_store *fault; /* the library's; NULL: no faults */
    char folder[64];
    int64_t now; /* atomic */
    struct model model;
};

bool sim_open(struct sim *sim, struct test *t, struct sim_kind kind);
void sim_end(struct sim *sim);
void sim_reopen(struct sim *sim);
void sim_set_clock(struct sim *sim, int64_t now);

void sim_command(struct sim *sim, const struct model_command *command);
void sim_many(struct sim *sim, const struct model_command *commands, int count, bool atomic);
void sim_where(struct sim *sim, const struct model_where *where);

/* What becomes of a policy: NULL: it goes. */
void sim_policy(struct sim *sim, int policy, const struct model_policy *after, bool is_dry_run);
/* A call of the store may fail from now on, and none any more. */
void sim_arm(struct sim *sim);
void sim_disarm(struct sim *sim);
bool sim_is_fault(const struct sim *sim, enum kw_code code);

/* Asks the key, then its parent the same, and so on. */
enum kw_code sim_verify(struct sim *sim, int key, const struct model_question *question);

/* All records by list and count, of a filter or not. */
struct sim_filter {
    struct model_where where; /* owner, org, tag */
    const char *env;          /* NULL: any */
    int parent;               /* -1: any */
    int policy;               /* -1: any */
    int status;               /* -1: any */
    bool is_backwards;
};
void sim_list(struct sim *sim, const struct sim_filter *filter);

#endif
