/* The library beside the model: every step does the same to both, and compares them. */
#ifndef KW_TESTS_SIM_SIM_H
#define KW_TESTS_SIM_SIM_H

#include "sim/model_spent.h"
#include "sim/wire.h"

struct sim_kind {
    bool is_sqlite; /* and is closed and opened again now and then */
    bool has_faults;
    bool spends; /* for the most part */
};

/* What the store does at one of the next calls. */
enum sim_armed { SIM_IS_WELL, SIM_FAILS, SIM_IS_UNCERTAIN };

struct sim {
    struct test *t;
    struct sim_kind kind;
    struct keyward *keyward;
    struct kw_store *store; /* the library's */
    struct kw_store *fault; /* the same; NULL: no faults */
    enum sim_armed armed;
    char folder[64];
    int64_t now; /* atomic */
    struct model model;
    struct model_spent spent;
    bool keeps_time;     /* the clock of this round never steps back */
    int64_t retry_after; /* that the last refusal named; 0: none */
};

bool sim_open(struct sim *sim, struct test *t, struct sim_kind kind);
void sim_end(struct sim *sim);
/* After a clean stop; or the process was killed. */
void sim_reopen(struct sim *sim, bool crashes);
void sim_set_clock(struct sim *sim, int64_t now);
/* Has the library see to what is due. */
void sim_run_schedules(struct sim *sim);

void sim_command(struct sim *sim, const struct model_command *command);
void sim_many(struct sim *sim, const struct model_command *commands, int count, bool atomic);
void sim_where(struct sim *sim, const struct model_where *where);

/* What becomes of a policy: NULL: it goes. */
void sim_policy(struct sim *sim, int policy, const struct model_policy *after, bool is_dry_run);
/* A call of the store may fail from now on, and none any more. */
void sim_arm(struct sim *sim);
void sim_disarm(struct sim *sim);
/* What verifications left for the writer is written. */
void sim_settle(struct sim *sim);
void sim_check_code(struct sim *sim, enum kw_code actual, enum kw_code expected);
bool sim_is_fault(const struct sim *sim, enum kw_code code);

/* Asks the key, then its parent the same, and so on. */
enum kw_code sim_verify(struct sim *sim, int key, const struct model_question *question);

/* Now and then, for the most part in the future. */
void sim_draw_schedule(struct sim *sim, struct model_params *params);
/* A time that means something to the key; 0 or less: none. */
int64_t sim_draw_moment(struct sim *sim, const struct model_key *key);
/* Some of three names each; or what the model key has (NULL: nobody), for the most part with less. */
struct model_limits sim_draw_limits(struct sim *sim, const struct model_key *like);
/* Asks the key alone; where calls fail, twice. */
enum kw_code sim_spend(struct sim *sim, int key, const struct model_question *question);
/* Reports so many tokens of it. */
void sim_report(struct sim *sim, int key, int64_t amount);

/* Somebody imports a key that was erased, by its id too or not. */
void sim_import_erased(struct sim *sim, int key, bool names_id, enum kw_import_conflict on_conflict, bool is_dry_run);

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
