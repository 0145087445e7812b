#include "sim/sim.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define START_MS INT64_C(1767225600000) /* 2026-01-01 */
#define MANY_MAX 8
#define PAGE 7

static int64_t now_of(void *context)
{
    return __atomic_load_n(&((struct sim *)context)->now, __ATOMIC_RELAXED);
}

void sim_set_clock(struct sim *sim, int64_t now)
{
    __atomic_store_n(&sim->now, now, __ATOMIC_RELAXED);
    sim->model.now = now;
    model_spent_clock(&sim->spent, now);
}

static bool open_library(struct sim *sim)
{
    static const uint8_t pepper[32] = {7};
    struct test *t = sim->t;
    struct kw_store *store = NULL;
    struct kw_error error = {0};
    char path[96];
    snprintf(path, sizeof path, "%s/keys.db", sim->folder);
    enum kw_status status =
        sim->kind.is_sqlite ? kw_store_sqlite_open(path, &store, &error) : kw_store_memory_open(&store);
    if (status == KW_OK && sim->kind.has_faults) {
        status = kw_store_fault_open(store, test_random(t), &sim->fault);
        store = sim->fault;
    }
    sim->store = store;
    struct kw_options options = {.store_take = store, .pepper = pepper, .now_ms = now_of, .now_context = sim};
    status = status == KW_OK ? kw_open(&options, &sim->keyward, &error) : status;
    CHECK_STATUS(t, status, KW_OK);
    if (status == KW_OK) {
        kw_wait_filled(sim->keyward);
    }
    return status == KW_OK;
}

bool sim_open(struct sim *sim, struct test *t, struct sim_kind kind)
{
    const char *place = getenv("TMPDIR");
    memset(sim, 0, sizeof *sim); /* it is large */
    sim->t = t;
    sim->kind = kind;
    model_spent_begin(&sim->spent, START_MS);
    sim_set_clock(sim, START_MS);
    snprintf(sim->folder, sizeof sim->folder, "%.40s/keyward-XXXXXX", place == NULL ? "/tmp" : place);
    if (mkdtemp(sim->folder) == NULL) {
        test_fail(t, __FILE__, __LINE__, "no folder %s", sim->folder);
        return false;
    }
    return open_library(sim);
}

static int remove_one(const char *path, const struct stat *state, int kind, struct FTW *walk)
{
    (void)state;
    (void)kind;
    (void)walk;
    return remove(path);
}

void sim_end(struct sim *sim)
{
    kw_close(sim->keyward);
    (void)nftw(sim->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static enum kw_status take_nothing(struct kw_store *store, struct kw_store_batch *batches, size_t count)
{
    (void)store;
    for (size_t i = 0; i < count; i++) {
        batches[i].outcome = KW_E_UNAVAILABLE;
    }
    return KW_E_UNAVAILABLE;
}

/* To the next life a process that could write down nothing at its end is one that was killed. */
static void kill_library(struct sim *sim)
{
    struct kw_store_ops ops = *sim->store->ops;
    ops.commit = take_nothing;
    __atomic_store_n(&sim->store->ops, &ops, __ATOMIC_RELEASE);
    kw_close(sim->keyward);
    model_spent_crash(&sim->spent);
}

void sim_reopen(struct sim *sim, bool crashes)
{
    if (crashes) {
        kill_library(sim);
    } else {
        kw_close(sim->keyward);
        model_spent_stop(&sim->spent);
    }
    sim->keyward = NULL;
    for (int i = 0; i < sim->model.count; i++) {
        sim->model.keys[i].first_use_told = false;
        sim->model.keys[i].is_forgotten = sim->model.keys[i].erased;
    }
    (void)open_library(sim);
}

void sim_arm(struct sim *sim)
{
    struct test *t = sim->t;
    if (sim->fault != NULL && test_random_below(t, 3) == 0) {
        enum kw_fault_kind kind = test_random_below(t, 2) == 0 ? KW_FAULT_UNAVAILABLE : KW_FAULT_UNCERTAIN;
        sim->armed = kind == KW_FAULT_UNAVAILABLE ? SIM_FAILS : SIM_IS_UNCERTAIN;
        kw_store_fault_arm(sim->fault, kind, 1 + test_random_below(t, 5));
    }
}

/*
 * What a verification left for the writer is written after the next change, before the one behind it: so two changes
 * that come to nothing wait for it.
 */
void sim_settle(struct sim *sim)
{
    struct kw_change_request nobody = {.id = {{1}}};
    for (int i = 0; i < 2; i++) {
        CHECK(sim->t, kw_revoke(sim->keyward, &nobody, NULL, NULL) != KW_OK);
    }
}

void sim_disarm(struct sim *sim)
{
    if (sim->fault != NULL) {
        kw_store_fault_arm(sim->fault, KW_FAULT_UNAVAILABLE, 0);
        sim->armed = SIM_IS_WELL;
        sim_settle(sim);
    }
}

static void check_key(struct sim *sim, int index)
{
    struct kw_held_record held = {.memory = NULL};
    enum kw_status status = kw_get(sim->keyward, (struct kw_bytes){NULL, 0}, &sim->model.keys[index].id, &held, NULL);
    CHECK_STATUS(sim->t, status, sim->model.keys[index].erased ? KW_E_NOT_FOUND : KW_OK);
    if (status == KW_OK && !sim->model.keys[index].erased) {
        check_record(sim->t, &sim->model, index, &held.record);
    }
    kw_held_record_clear(&held);
}

/* Those that the last command changed. */
static void check_touched(struct sim *sim)
{
    for (int i = 0; i < sim->model.count; i++) {
        if (sim->model.keys[i].touched) {
            check_key(sim, i);
        }
    }
}

/* What refusals have met is written down by now; where calls fail, it is when it was met once more. */
static void take_notes(struct sim *sim)
{
    for (int i = 0; i < sim->model.count && sim->fault != NULL; i++) {
        const struct kw_key_params other = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:9")};
        const struct kw_change_request request = {.id = sim->model.keys[i].id, .params = &other};
        if (sim->model.keys[i].noted_last != 0) {
            CHECK(sim->t, kw_update(sim->keyward, &request, NULL, NULL) != KW_OK);
        }
    }
    sim_settle(sim);
    model_write_noted(&sim->model);
}

static void take_key(struct sim *sim, int made, const struct kw_new_key *key)
{
    sim->model.keys[made].id = key->held.record.id;
    memcpy(sim->model.keys[made].text, key->key, sizeof key->key);
}

void sim_check_code(struct sim *sim, enum kw_code actual, enum kw_code expected)
{
    CHECK_TEXT(sim->t, kw_code_info(actual)->name, kw_code_info(expected)->name);
}

static enum kw_code code_of(enum kw_status status, const struct kw_error *error)
{
    return status == KW_OK ? KW_CODE_NONE : kw_code_of_name(error->code);
}

static enum kw_code send(struct sim *sim, const struct model_command *command, struct kw_new_key *made)
{
    static enum kw_status (*const changes[])(struct keyward *, const struct kw_change_request *,
                                             struct kw_held_record *, struct kw_error *) = {
        [KW_CHANGE_UPDATE] = kw_update,
        [KW_CHANGE_ENABLE] = kw_enable,
        [KW_CHANGE_DISABLE] = kw_disable,
        [KW_CHANGE_REVOKE] = kw_revoke,
    };
    struct wire wire;
    struct kw_error error = {0};
    struct kw_change_request request = wire_command(&sim->model, command, &wire);
    enum kw_status status;
    switch (command->kind) {
    case KW_CHANGE_CREATE:
        status = kw_create(sim->keyward, &request, made, &error);
        break;
    case KW_CHANGE_ROTATE:
        status = kw_rotate(sim->keyward, &request, made, &error);
        break;
    case KW_CHANGE_ERASE:
        status = kw_erase(sim->keyward, &request, &error);
        break;
    default:
        status = changes[command->kind](sim->keyward, &request, &made->held, &error);
        break;
    }
    return code_of(status, &error);
}

static enum kw_status find_unknown(void *context, const struct kw_record *record)
{
    struct sim *sim = context;
    struct model_key *last = &sim->model.keys[sim->model.count - 1];
    bool is_known = false;
    for (int i = 0; i < sim->model.count - 1; i++) {
        is_known = is_known || memcmp(&sim->model.keys[i].id, &record->id, sizeof record->id) == 0;
    }
    last->id = is_known ? last->id : record->id;
    return KW_OK;
}

/* Whether a command of no known outcome has happened; then the key that it made is known by its id. */
static bool has_happened(struct sim *sim, const struct model_command *command, int made)
{
    static const struct kw_id none;
    if (command->kind == KW_CHANGE_CREATE) {
        bool more;
        struct kw_position cursor;
        sim->model.keys[made].id = none;
        CHECK_STATUS(
            sim->t,
            kw_list(sim->keyward, &(struct kw_list_request){.limit = 1000}, find_unknown, sim, &more, &cursor, NULL),
            KW_OK);
        return memcmp(&sim->model.keys[made].id, &none, sizeof none) != 0;
    }
    struct kw_held_record held = {.memory = NULL};
    const struct model_key *key = &sim->model.keys[command->key];
    enum kw_status status = kw_get(sim->keyward, (struct kw_bytes){NULL, 0}, &key->id, &held, NULL);
    bool happened = key->erased ? status == KW_E_NOT_FOUND : status == KW_OK && held.record.version == key->version;
    if (happened && made >= 0) {
        sim->model.keys[made].id = held.record.rotated_to;
    }
    kw_held_record_clear(&held);
    return happened;
}

bool sim_is_fault(const struct sim *sim, enum kw_code code)
{
    return sim->fault != NULL && (code == KW_CODE_STORE_UNAVAILABLE || code == KW_CODE_OUTCOME_UNCERTAIN);
}

void sim_command(struct sim *sim, const struct model_command *command)
{
    static struct model before;
    int made;
    struct kw_new_key new_key = {.is_replay = false};
    before = sim->model;
    sim_arm(sim);
    enum kw_code code = send(sim, command, &new_key);
    sim_disarm(sim);
    enum kw_code expected = model_apply(&sim->model, command, &made);
    if (sim_is_fault(sim, code)) {
        bool happened =
            expected == KW_CODE_NONE && code == KW_CODE_OUTCOME_UNCERTAIN && has_happened(sim, command, made);
        if (!happened) {
            sim->model = before;
        }
    } else {
        sim_check_code(sim, code, expected);
    }
    if (code == KW_CODE_NONE && expected == KW_CODE_NONE) {
        if (made >= 0) {
            take_key(sim, made, &new_key);
            check_record(sim->t, &sim->model, made, &new_key.held.record);
        } else if (command->kind != KW_CHANGE_ERASE) {
            check_record(sim->t, &sim->model, command->key, &new_key.held.record);
        }
        if (command->kind == KW_CHANGE_REVOKE || (command->kind == KW_CHANGE_ROTATE && command->grace == 0)) {
            sim->model.keys[command->key].acknowledged_dead = true;
        }
    }
    take_notes(sim);
    check_touched(sim);
    if (command->kind != KW_CHANGE_CREATE) {
        check_key(sim, command->key);
    }
    kw_new_key_clear(&new_key);
}

void sim_many(struct sim *sim, const struct model_command *commands, int count, bool atomic)
{
    struct wire wires[MANY_MAX];
    struct kw_change_item items[MANY_MAX] = {{.kind = KW_CHANGE_CREATE}};
    struct kw_outcome outcomes[MANY_MAX] = {{.status = KW_OK}};
    enum kw_code expected[MANY_MAX];
    int made[MANY_MAX];
    for (int i = 0; i < count; i++) {
        items[i] = (struct kw_change_item){commands[i].kind, wire_command(&sim->model, &commands[i], &wires[i])};
    }
    (void)!kw_change_many(sim->keyward, items, (size_t)count, atomic, outcomes);
    model_apply_many(&sim->model, commands, count, atomic, expected, made);
    for (int i = 0; i < count; i++) {
        enum kw_code code = code_of(outcomes[i].status, &outcomes[i].error);
        sim_check_code(sim, code, expected[i]);
        if (code == KW_CODE_NONE && expected[i] == KW_CODE_NONE && made[i] >= 0) {
            take_key(sim, made[i], &outcomes[i].made);
        }
    }
    take_notes(sim);
    check_touched(sim);
    kw_outcomes_clear(outcomes, (size_t)count);
}

void sim_where(struct sim *sim, const struct model_where *where)
{
    static struct model before;
    bool revokes = where->kind == KW_CHANGE_REVOKE;
    struct kw_where_request request = {.owner = kw_text(where->owner),
                                       .org_id = kw_text(where->org),
                                       .tag = kw_text(where->tag < 0 ? NULL : model_tags[where->tag]),
                                       .actor = kw_text(where->actor),
                                       .reason = kw_text(where->reason),
                                       .no_cascade = where->no_cascade};
    struct kw_where_result result = {0};
    struct kw_error error = {0};
    uint64_t matched;
    uint64_t changed;
    before = sim->model;
    sim_arm(sim);
    enum kw_status status = revokes ? kw_revoke_where(sim->keyward, &request, &result, &error)
                            : where->kind == KW_CHANGE_ENABLE
                                ? kw_enable_where(sim->keyward, &request, &result, &error)
                                : kw_disable_where(sim->keyward, &request, &result, &error);
    sim_disarm(sim);
    enum kw_code code = model_apply_where(&sim->model, where, &matched, &changed);
    if (sim_is_fault(sim, code_of(status, &error))) {
        struct model_command first = {.kind = where->kind, .key = -1};
        for (int i = 0; i < sim->model.count; i++) {
            const struct model_key *key = &sim->model.keys[i];
            /* That may be written down though all else failed. */
            bool was_seen = strcmp(key->revoked_by, "system") == 0;
            first.key = key->touched && !was_seen ? i : first.key;
        }
        if (status != KW_E_UNCERTAIN || first.key < 0 || !has_happened(sim, &first, -1)) {
            model_keep_notes(&sim->model, &before); /* keys that were left alone may have been seen for what they are */
            sim->model = before;
        }
    } else {
        sim_check_code(sim, code_of(status, &error), code);
        CHECK_I64(sim->t, result.matched, matched);
        CHECK_I64(sim->t, result.changed, changed);
    }
    for (int i = 0; i < sim->model.count; i++) {
        struct model_key *key = &sim->model.keys[i];
        bool is_dead = revokes && status == KW_OK && model_matches(key, where);
        key->acknowledged_dead = key->acknowledged_dead || is_dead;
    }
    take_notes(sim);
    check_touched(sim);
}

/* Whatever fails on the way: once all is well again, everything has happened once. */
void sim_run_schedules(struct sim *sim)
{
    sim_arm(sim);
    enum kw_status status = kw_schedules_run(sim->keyward, NULL);
    CHECK(sim->t, status == KW_OK || sim->fault != NULL);
    sim_disarm(sim);
    CHECK_STATUS(sim->t, kw_schedules_run(sim->keyward, NULL), KW_OK);
    for (int i = 0; i < sim->model.count; i++) {
        sim->model.keys[i].touched = false;
    }
    model_run_schedules(&sim->model);
    check_touched(sim);
}

/* --- lists --- */

struct listing {
    struct sim *sim;
    int expected[MODEL_KEYS_MAX];
    int count, at;
};

/* What a verification would say. */
static enum kw_key_status effective_status(const struct model *model, const struct model_key *key)
{
    enum kw_key_status own = model_status(key, model->now);
    enum kw_key_status above = model_status_above(model, key);
    return above > own ? above : own;
}

static enum kw_status compare_next(void *context, const struct kw_record *record)
{
    struct listing *listing = context;
    const struct model *model = &listing->sim->model;
    CHECK(listing->sim->t, listing->at < listing->count);
    if (listing->at < listing->count) {
        enum kw_key_status status = KW_KEY_ACTIVE;
        CHECK(listing->sim->t, kw_effective_status(listing->sim->keyward, record, model->now, &status));
        CHECK_I64(listing->sim->t, status, effective_status(model, &model->keys[listing->expected[listing->at]]));
        check_record(listing->sim->t, &listing->sim->model, listing->expected[listing->at++], record);
    }
    return KW_OK;
}

static void expect(struct listing *listing, const struct sim_filter *filter)
{
    const struct model *model = &listing->sim->model;
    for (int i = 0; i < model->count; i++) {
        int at = filter->is_backwards ? model->count - 1 - i : i;
        const struct model_key *key = &model->keys[at];
        if (model_matches(key, &filter->where) && (filter->env == NULL || strcmp(filter->env, key->env) == 0) &&
            (filter->parent < 0 || filter->parent == key->parent) &&
            (filter->policy < 0 || filter->policy == key->policy) &&
            (filter->status < 0 || filter->status == (int)effective_status(model, key))) {
            listing->expected[listing->count++] = at;
        }
    }
}

void sim_list(struct sim *sim, const struct sim_filter *filter)
{
    struct listing listing = {.sim = sim};
    struct kw_bytes tag = kw_text(filter->where.tag < 0 ? NULL : model_tags[filter->where.tag]);
    struct kw_list_request request = {.owner = kw_text(filter->where.owner),
                                      .org_id = kw_text(filter->where.org),
                                      .env = kw_text(filter->env),
                                      .policy = kw_text(filter->policy < 0 ? NULL : model_policies[filter->policy]),
                                      .tags = &tag,
                                      .tag_count = filter->where.tag < 0 ? 0 : 1,
                                      .has_status = filter->status >= 0,
                                      .status = filter->status < 0 ? KW_KEY_ACTIVE : (enum kw_key_status)filter->status,
                                      .order = filter->is_backwards ? KW_ORDER_CREATED_BACK : KW_ORDER_CREATED,
                                      .limit = PAGE};
    if (filter->parent >= 0) {
        request.parent_id = sim->model.keys[filter->parent].id;
    }
    bool more = true;
    bool exact;
    uint64_t count;
    expect(&listing, filter);
    while (more && sim->t->failures == 0) {
        CHECK_STATUS(sim->t, kw_list(sim->keyward, &request, compare_next, &listing, &more, &request.after, NULL),
                     KW_OK);
    }
    CHECK_I64(sim->t, listing.at, listing.count);
    CHECK_STATUS(sim->t, kw_count(sim->keyward, &request, &count, &exact, NULL), KW_OK);
    CHECK_I64(sim->t, count, listing.count);
}
