/*
 * Random commands, verifications and jumps of the clock, through the library and the model (model.h) at once, on every
 * store, with calls of the store that fail and with restarts. What differs is printed with the seed that repeats it.
 * Held whatever the model says: what was revoked is never valid again (sim.c), a child is never valid for what an
 * ancestor is refused for (sim.c), and a rotation makes no key that may do what the old one could not (here).
 */
#include "sim/sim.h"

#include <stdio.h>

#define STEPS 250
#define ROOM 10 /* keys that one step can make at most */
#define MINUTE INT64_C(60000)
#define QUESTIONS 4

static const char *const actors[] = {"alice", "bob", "library"};
static const char *const owners[] = {"user:1", "user:2", "team:9"};
static const char *const orgs[] = {"", "acme", "globex"};
static const char *const envs[] = {"live", "test"};

static int below(struct sim *sim, int bound)
{
    return (int)test_random_below(sim->t, (uint64_t)bound);
}

static bool chance(struct sim *sim, int percent)
{
    return below(sim, 100) < percent;
}

/* A few of `count` words; more than two seldom, so that most sets differ. */
static unsigned draw_set(struct sim *sim, int count)
{
    unsigned set = 0;
    for (int i = below(sim, 4); i > 0; i--) {
        set |= 1U << below(sim, count);
    }
    return set;
}

static unsigned draw_wide_set(struct sim *sim, int count)
{
    unsigned set = draw_set(sim, count);
    return set | draw_set(sim, count);
}

/* For the most part what the model key (NULL: nobody) has, or less. */
static struct model_rights draw_rights(struct sim *sim, const struct model_key *like)
{
    struct model_rights rights = {.scopes = draw_set(sim, SCOPES)};
    rights.resources[below(sim, RESOURCES)] = draw_set(sim, SCOPES);
    rights.resources[below(sim, RESOURCES)] = draw_set(sim, SCOPES);
    rights.allowed_ips = chance(sim, 40) ? draw_set(sim, RANGES) : 0;
    rights.blocked_ips = chance(sim, 30) ? draw_set(sim, RANGES) : 0;
    rights.allowed_regions = chance(sim, 30) ? draw_set(sim, REGIONS) : 0;
    rights.blocked_regions = chance(sim, 30) ? draw_set(sim, REGIONS) : 0;
    if (like != NULL && chance(sim, 60)) {
        rights.scopes &= like->rights.scopes;
        for (int i = 0; i < RESOURCES; i++) {
            rights.resources[i] &= like->rights.resources[i];
        }
        rights.allowed_ips = like->rights.allowed_ips;
        rights.allowed_regions = like->rights.allowed_regions;
        rights.blocked_ips |= chance(sim, 80) ? like->rights.blocked_ips : 0;
        rights.blocked_regions |= chance(sim, 80) ? like->rights.blocked_regions : 0;
    }
    return rights;
}

static struct model_params draw_params(struct sim *sim, const struct model_key *like)
{
    static const uint32_t fields[] = {KW_GIVEN_NAME,
                                      KW_GIVEN_TAGS,
                                      KW_GIVEN_SCOPES,
                                      KW_GIVEN_RESOURCES,
                                      KW_GIVEN_ALLOWED_IPS,
                                      KW_GIVEN_BLOCKED_IPS,
                                      KW_GIVEN_EXPIRES_IN,
                                      KW_GIVEN_ALLOWED_REGIONS,
                                      KW_GIVEN_BLOCKED_REGIONS,
                                      KW_GIVEN_EXPIRES_AT};
    static const int64_t times[] = {1, MINUTE, 60 * MINUTE, 1440 * MINUTE};
    static const char *const names[] = {"", "first", "second"};
    struct model_params params = {.env = envs[below(sim, 2)],
                                  .owner = owners[below(sim, 3)],
                                  .org = orgs[below(sim, 3)],
                                  .name = names[below(sim, 3)],
                                  .tags = draw_set(sim, TAGS),
                                  .is_public = chance(sim, 50),
                                  .rights = draw_rights(sim, like),
                                  .limits = sim_draw_limits(sim, like),
                                  .expires_in = times[below(sim, 4)],
                                  .expires_at = chance(sim, 30) ? 0 : sim->model.now + times[below(sim, 4)] - 1,
                                  .parent = -1,
                                  .policy = below(sim, POLICIES + 1) - 1};
    for (size_t i = 0; i < KW_COUNT_OF(fields); i++) {
        bool is_expiry = (fields[i] & (KW_GIVEN_EXPIRES_IN | KW_GIVEN_EXPIRES_AT)) != 0;
        params.given |= chance(sim, is_expiry ? 12 : 35) ? fields[i] : 0;
    }
    sim_draw_schedule(sim, &params);
    params.given |= chance(sim, 35) ? (uint32_t)KW_GIVEN_RATE_LIMITS : 0;
    params.given |= chance(sim, 25) ? (uint32_t)KW_GIVEN_QUOTAS : 0;
    return params;
}

static void draw_birth(struct sim *sim, struct model_command *command)
{
    const struct model_key *parent = NULL;
    int parent_index = -1;
    if (sim->model.count > 0 && chance(sim, 60)) {
        parent_index = below(sim, sim->model.count);
        parent = &sim->model.keys[parent_index];
    }
    struct model_params *params = &command->params;
    *params = draw_params(sim, parent);
    params->parent = parent_index;
    params->given |= parent != NULL ? (uint32_t)KW_GIVEN_PARENT : 0;
    params->given |= parent == NULL ? (uint32_t)KW_GIVEN_SCOPES | KW_GIVEN_RESOURCES : 0;
    params->given |= chance(sim, parent == NULL ? 97 : 10) ? (uint32_t)KW_GIVEN_OWNER : 0;
    params->given |= chance(sim, 50) ? (uint32_t)KW_GIVEN_ORG : 0;
    params->given |= chance(sim, parent == NULL ? 40 : 10) ? (uint32_t)KW_GIVEN_ENV : 0;
    params->given |= chance(sim, 20) ? (uint32_t)KW_GIVEN_PUBLIC : 0;
    params->given |= chance(sim, 45) ? (uint32_t)KW_GIVEN_POLICY : 0;
}

static struct model_command draw_command(struct sim *sim, enum kw_change_kind kind)
{
    static const int64_t graces[] = {0, 0, MINUTE, 60 * MINUTE};
    static const char *const reasons[] = {"", "leaked"};
    struct model_command command = {
        .kind = kind,
        .key = -1,
        .params = {.env = "", .owner = "", .org = "", .name = "", .parent = -1, .policy = -1},
        .actor = actors[below(sim, 3)],
        .reason = reasons[below(sim, 2)]};
    if (kind == KW_CHANGE_CREATE) {
        draw_birth(sim, &command);
        return command;
    }
    command.key = below(sim, sim->model.count);
    const struct model_key *key = &sim->model.keys[command.key];
    command.if_version = chance(sim, 10) ? key->version + test_random_below(sim->t, 2) : 0;
    command.no_cascade = chance(sim, 50);
    if (kind == KW_CHANGE_UPDATE || (kind == KW_CHANGE_ROTATE && chance(sim, 60))) {
        command.params = draw_params(sim, key);
        command.params.given |= chance(sim, 4) ? (uint32_t)KW_GIVEN_OWNER : 0;
        command.params.given |= chance(sim, 8) ? (uint32_t)KW_GIVEN_ORG : 0;
        command.params.given |= chance(sim, kind == KW_CHANGE_UPDATE ? 15 : 3) ? (uint32_t)KW_GIVEN_POLICY : 0;
    }
    if (kind == KW_CHANGE_ROTATE) {
        command.grace = graces[below(sim, 4)];
        command.ends_grace = chance(sim, command.grace == 0 ? 3 : 50);
    }
    return command;
}

static int draw_cost(struct sim *sim)
{
    return chance(sim, 75) ? below(sim, 2) : 1 + below(sim, chance(sim, 70) ? 6 : MODEL_COST_MAX);
}

/* For the most part what the key holds. */
static struct model_question draw_question(struct sim *sim, const struct model_key *key)
{
    struct model_question question = {.env = chance(sim, 80) ? "" : envs[below(sim, 2)],
                                      .resource = chance(sim, 60) ? -1 : below(sim, RESOURCES),
                                      .address = chance(sim, 15) ? -1 : below(sim, ADDRESSES),
                                      .place = chance(sim, 15) ? -1 : below(sim, PLACES),
                                      .cost = draw_cost(sim)};
    question.scopes = chance(sim, 60) ? 0 : draw_set(sim, SCOPES);
    question.scopes &= chance(sim, 50) ? key->rights.scopes : ~0U;
    if (question.resource >= 0 && chance(sim, 60)) {
        question.resource_scopes = draw_set(sim, SCOPES);
    }
    if (chance(sim, 25)) {
        question.require = (enum model_require)(REQUIRE_BOTH + below(sim, 3));
        for (int i = 0; i < 3; i++) {
            question.words[i] = below(sim, SCOPES);
        }
    }
    return question;
}

/* The new key is asked what the old one was asked before. */
static void rotate(struct sim *sim)
{
    struct model_command command = draw_command(sim, KW_CHANGE_ROTATE);
    struct model_question questions[QUESTIONS];
    enum kw_code before[QUESTIONS];
    bool extends = (command.params.given & (KW_GIVEN_EXPIRES_AT | KW_GIVEN_EXPIRES_IN)) != 0;
    bool names_ips = (command.params.given & KW_GIVEN_ALLOWED_IPS) != 0; /* which a policy may want to be named */
    for (int i = 0; i < QUESTIONS; i++) {
        questions[i] = draw_question(sim, &sim->model.keys[command.key]);
        before[i] = sim_verify(sim, command.key, &questions[i]);
    }
    int made = sim->model.count;
    sim_command(sim, &command);
    for (int i = 0; i < QUESTIONS && made < sim->model.count && sim->t->failures == 0; i++) {
        enum kw_code after = sim_verify(sim, made, &questions[i]);
        bool may = before[i] == KW_CODE_NONE || (before[i] == KW_CODE_EXPIRED && extends) ||
                   (before[i] == KW_CODE_POLICY_VIOLATION && names_ips) || before[i] == KW_CODE_RATE_LIMITED ||
                   before[i] == KW_CODE_QUOTA_EXCEEDED;
        CHECK(sim->t, before[i] == KW_CODE_INTERNAL || after != KW_CODE_NONE || may);
    }
}

/* For the most part wider than most keys, so that some can be made under it. */
static struct model_policy draw_policy(struct sim *sim)
{
    static const int64_t times[] = {2 * MINUTE, 60 * MINUTE, 1440 * MINUTE};
    struct model_policy policy = {.bounds_rights = chance(sim, 60),
                                  .requires_ip = chance(sim, 15),
                                  .env = chance(sim, 20) ? envs[below(sim, 2)] : NULL,
                                  .ttl = chance(sim, 40) ? times[below(sim, 3)] : 0,
                                  .resources = chance(sim, 30) ? below(sim, 3) : -1};
    if (policy.bounds_rights) {
        policy.rights.scopes = draw_wide_set(sim, SCOPES);
        for (int i = below(sim, 4); i > 0; i--) {
            policy.rights.resources[below(sim, RESOURCES)] = draw_wide_set(sim, SCOPES);
        }
    }
    if (chance(sim, 40)) {
        policy.limits = sim_draw_limits(sim, NULL);
    }
    return policy;
}

static void change_policy(struct sim *sim)
{
    int which = below(sim, POLICIES);
    struct model_policy policy = draw_policy(sim);
    bool goes = sim->model.policies[which].is_there && chance(sim, 20);
    sim_policy(sim, which, goes ? NULL : &policy, chance(sim, 25));
}

static void change_many(struct sim *sim)
{
    struct model_command commands[4];
    int count = 1 + below(sim, 4);
    for (int i = 0; i < count; i++) {
        commands[i] = draw_command(sim, (enum kw_change_kind)below(sim, KW_CHANGE_ERASE + 1));
        if (i > 0 && commands[i].key >= 0 && commands[i - 1].key >= 0 && chance(sim, 40)) {
            commands[i].key = commands[i - 1].key; /* which finds what the one before it left */
        }
    }
    bool atomic = chance(sim, 50);
    for (int i = 0; i < count && !atomic; i++) { /* one that changes nothing shows what those behind it have left */
        uint32_t *given = &commands[i].params.given;
        *given |= commands[i].kind == KW_CHANGE_UPDATE && *given == 0 ? (uint32_t)KW_GIVEN_NAME : 0;
    }
    sim_many(sim, commands, count, atomic);
}

static struct model_where draw_where(struct sim *sim)
{
    struct model_where where = {.tag = -1, .actor = actors[below(sim, 3)], .reason = "gone"};
    where.kind = chance(sim, 15) ? KW_CHANGE_REVOKE : chance(sim, 50) ? KW_CHANGE_ENABLE : KW_CHANGE_DISABLE;
    where.owner = chance(sim, 50) ? owners[below(sim, 3)] : NULL;
    where.org = chance(sim, 50) ? orgs[1 + below(sim, 2)] : NULL;
    where.tag = where.owner == NULL && where.org == NULL ? below(sim, TAGS) : -1;
    where.no_cascade = chance(sim, 50);
    return where;
}

static void list(struct sim *sim)
{
    struct sim_filter filter = {.where = draw_where(sim), .parent = -1, .policy = -1, .status = -1};
    if (chance(sim, 40)) {
        filter.where = (struct model_where){.tag = -1};
    }
    filter.env = chance(sim, 20) ? envs[below(sim, 2)] : NULL;
    filter.parent = chance(sim, 20) ? sim->model.keys[below(sim, sim->model.count)].line : -1;
    filter.policy = chance(sim, 20) ? below(sim, POLICIES) : -1;
    filter.status = chance(sim, 30) ? below(sim, 4) : -1;
    filter.is_backwards = chance(sim, 50);
    sim_list(sim, &filter);
}

/* A little, to about a moment that means something to a key, far, or back. */
static void move_clock(struct sim *sim)
{
    const struct model_key *key = &sim->model.keys[below(sim, sim->model.count)];
    int64_t moment = sim_draw_moment(sim, key);
    int64_t now = sim->model.now + below(sim, 2000);
    if (chance(sim, 40) && moment > sim->model.now) {
        now = moment - 1 + below(sim, 3);
    } else if (chance(sim, 15)) {
        now = sim->model.now + below(sim, 100) * MINUTE;
    } else if (!sim->keeps_time && chance(sim, 25)) {
        now = sim->model.now - below(sim, 120) * MINUTE;
    }
    sim_set_clock(sim, now);
    if (chance(sim, 50)) {
        sim_run_schedules(sim);
    }
}

/* A key that has limits, of a few that are drawn; -1: none had. */
static int draw_limited(struct sim *sim)
{
    for (int tries = 0; tries < 12; tries++) {
        int at = below(sim, sim->model.count);
        const struct model_key *key = &sim->model.keys[at];
        bool has_any = key->limits.limit_count + key->limits.quota_count > 0 || key->parent >= 0 || key->policy >= 0;
        if (has_any && !key->erased && key->text[0] != '\0' && key->rights.allowed_ips == 0 &&
            key->rights.allowed_regions == 0 && model_status(key, sim->model.now) == KW_KEY_ACTIVE) {
            return at;
        }
    }
    return -1;
}

/* Other limits for a key that is in use; or a key that shares them. Returns the key to go on with. */
static int change_limits(struct sim *sim, int key)
{
    const struct model_key *spent = &sim->model.keys[key];
    bool has_room = sim->model.count + ROOM < MODEL_KEYS_MAX;
    struct model_command command = draw_command(sim, KW_CHANGE_UPDATE);
    int made = sim->model.count;
    command.key = key;
    command.if_version = 0;
    command.params.given = chance(sim, 80) ? KW_GIVEN_RATE_LIMITS : KW_GIVEN_QUOTAS;
    command.params.limits = sim_draw_limits(sim, chance(sim, 30) ? spent : NULL);
    if (has_room && spent->rotated_to < 0 && chance(sim, 40)) {
        command.kind = KW_CHANGE_ROTATE;
        command.params.given = chance(sim, 50) ? command.params.given : 0;
        command.params.limits = sim_draw_limits(sim, spent);
        command.grace = 60 * MINUTE;
    }
    sim_command(sim, &command);
    bool goes_on_with_new = sim->model.count > made && sim->model.keys[made].text[0] != '\0' && chance(sim, 70);
    return goes_on_with_new ? made : key;
}

/* Many requests of one key, and some just when there is something to be had again. */
static void spend(struct sim *sim)
{
    static const int64_t jumps[] = {0, 0, 1, 500, 2000, MINUTE - 1, MINUTE, 10 * MINUTE};
    int key = draw_limited(sim);
    struct model_question question = {.env = "", .resource = -1, .address = -1, .place = -1};
    for (int i = 2 + below(sim, 12); i > 0 && key >= 0 && sim->keyward != NULL && sim->t->failures == 0; i--) {
        question.cost =
            chance(sim, 20) ? 1 + below(sim, MODEL_COST_MAX) : draw_cost(sim); /* which one limit may admit */
        enum kw_code code = sim_spend(sim, key, &question);
        /* After a crash a limit that was given up meanwhile may wait anew. */
        bool is_true = sim->retry_after > 0 && sim->fault == NULL && !sim->spent.may_wait;
        if (code == KW_CODE_RATE_LIMITED && is_true && chance(sim, 20)) {
            sim_set_clock(sim, sim->model.now + sim->retry_after);
            CHECK(sim->t, sim_spend(sim, key, &question) != KW_CODE_RATE_LIMITED); /* nobody else has spent */
        }
        if (chance(sim, 15)) {
            sim_set_clock(sim, sim->model.now + jumps[below(sim, 8)]);
        }
        if (chance(sim, 8)) {
            sim_report(sim, key, below(sim, 6));
        }
        if (chance(sim, 10)) {
            key = change_limits(sim, key);
        }
        if (sim->kind.is_sqlite && chance(sim, sim->kind.spends ? 12 : 3)) {
            sim_reopen(sim, chance(sim, 40));
        }
    }
}

static void verify(struct sim *sim)
{
    int key = below(sim, sim->model.count);
    struct model_question question = draw_question(sim, &sim->model.keys[key]);
    (void)sim_verify(sim, key, &question);
}

static void change(struct sim *sim, enum kw_change_kind kind)
{
    struct model_command command = draw_command(sim, kind);
    sim_command(sim, &command);
}

static void import_erased(struct sim *sim)
{
    for (int at = below(sim, sim->model.count), tries = 0; tries < sim->model.count; at++, tries++) {
        const struct model_key *key = &sim->model.keys[at % sim->model.count];
        if (key->erased && key->text[0] != '\0') {
            sim_import_erased(sim, at % sim->model.count, chance(sim, 50), (enum kw_import_conflict)below(sim, 3),
                              chance(sim, 30));
            return;
        }
    }
}

static const char *step(struct sim *sim)
{
    bool has_room = sim->model.count + ROOM < MODEL_KEYS_MAX;
    int what = sim->model.count < 5 ? 0 : below(sim, 100);
    if (sim->kind.spends && sim->model.count >= 10 && what >= 30) {
        return spend(sim), "spend";
    }
    if (what < 18) {
        return has_room ? (change(sim, KW_CHANGE_CREATE), "create") : (verify(sim), "verify");
    }
    if (what < 26) {
        return has_room ? (rotate(sim), "rotate") : (verify(sim), "verify");
    }
    if (what < 34) {
        return change(sim, KW_CHANGE_UPDATE), "update";
    }
    if (what < 45) {
        return change(sim, (enum kw_change_kind)(KW_CHANGE_ENABLE + below(sim, 3))), "enable, disable or revoke";
    }
    if (what < 48) {
        return change(sim, KW_CHANGE_ERASE), "erase";
    }
    if (what < 54 && has_room && !sim->kind.has_faults) {
        return change_many(sim), "change many";
    }
    if (what < 56) {
        struct model_where where = draw_where(sim);
        return sim_where(sim, &where), "change where";
    }
    if (what < 70) {
        return what < 66 ? (move_clock(sim), "clock") : (list(sim), "list");
    }
    if (what < 80) {
        return change_policy(sim), "policy";
    }
    if (what < 82 && sim->kind.is_sqlite) {
        return sim_reopen(sim, chance(sim, 40)), "restart";
    }
    if (what < 90) {
        return spend(sim), "spend";
    }
    if (what < 92) {
        return import_erased(sim), "import what was erased";
    }
    return verify(sim), "verify";
}

static void run(struct test *t, struct sim_kind kind, int rounds)
{
    static struct sim sim;
    static const struct sim_filter all = {.where = {.tag = -1}, .parent = -1, .policy = -1, .status = -1};
    int steps = kind.spends ? STEPS / 3 : STEPS;
    for (int round = 0; round < rounds && t->failures == 0; round++) {
        if (!sim_open(&sim, t, kind)) {
            return;
        }
        sim.keeps_time = chance(&sim, 60);
        for (int i = 0; i < steps && t->failures == 0 && sim.keyward != NULL; i++) {
            const char *what = step(&sim);
            if (t->failures != 0) {
                printf("# round %d, step %d: %s\n", round, i, what);
            }
        }
        if (t->failures == 0) {
            sim_list(&sim, &all);
        }
        sim_end(&sim);
    }
}

static void memory_agrees_with_the_model(struct test *t)
{
    printf("# seed %llu\n", (unsigned long long)t->seed);
    run(t, (struct sim_kind){.is_sqlite = false}, 4);
}

static void memory_agrees_on_what_was_spent(struct test *t)
{
    run(t, (struct sim_kind){.spends = true}, 5);
}

static void sqlite_agrees_on_what_was_spent(struct test *t)
{
    run(t, (struct sim_kind){.is_sqlite = true, .spends = true}, 4);
}

static void memory_agrees_where_calls_fail(struct test *t)
{
    run(t, (struct sim_kind){.has_faults = true}, 4);
}

static void sqlite_agrees_over_restarts(struct test *t)
{
    run(t, (struct sim_kind){.is_sqlite = true}, 2);
}

static void sqlite_agrees_where_calls_fail(struct test *t)
{
    run(t, (struct sim_kind){.is_sqlite = true, .has_faults = true}, 2);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(memory_agrees_with_the_model),    TEST_CASE(memory_agrees_where_calls_fail),
        TEST_CASE(sqlite_agrees_over_restarts),     TEST_CASE(sqlite_agrees_where_calls_fail),
        TEST_CASE(memory_agrees_on_what_was_spent), TEST_CASE(sqlite_agrees_on_what_was_spent),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
