#include "engine/sealer.h"

#include "base/bytes.h"
#include "core/transition.h"
#include "engine/attempts.h"
#include "engine/audit_jobs.h"

#include <errno.h>

#define ROUND_MS 250         /* how long a line waits at most until somebody looks for it */
#define LINES_TOGETHER 500   /* that are sealed by one batch: the writer has it between two groups of changes */
#define BATCHES_AT_STOP 2000 /* what is left then is sealed by the next life */
#define RETENTION_PAUSE_MS (INT64_C(60) * 60 * 1000)
#define NS_A_SECOND UINT64_C(1000000000)

/* A project's chain. */
struct head {
    struct kw_audit_chain chain;
    bool is_moved;            /* by this batch */
    uint64_t signed_place;    /* of the last checkpoint */
    int64_t waiting_since_ms; /* when lines behind that were first seen */
    uint8_t project_size;
    uint8_t project[KW_PROJECT_MAX];
};

struct kw_sealer {
    struct kw_engine *engine;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool is_stopping;
    struct kw_op *jobs, **jobs_end; /* under the lock */
    int64_t retained_ms;            /* when retentions were last looked at */

    struct head *heads;
    size_t head_count, head_capacity;
    size_t head_last;  /* where the last line's was found: many lines of one project follow each other */
    bool has_heads;    /* they are what the store has, as far as is known */
    uint64_t sequence; /* of the last line that was looked at */

    struct kw_store_seal seals[LINES_TOGETHER];
    uint8_t seal_bytes[LINES_TOGETHER][KW_AUDIT_SEAL_MAX];
    uint8_t salts[LINES_TOGETHER][KW_AUDIT_SALT_SIZE];
    struct kw_store_setting *settings; /* room for as many as there are heads */
    uint8_t (*setting_values)[KW_AUDIT_HEAD_SIZE];
    uint8_t (*setting_names)[sizeof KW_AUDIT_HEAD_SETTING + KW_PROJECT_MAX];
    size_t seal_count, seen_count;
};

/* --- heads --- */

static enum kw_status grow(struct kw_sealer *sealer)
{
    size_t capacity = sealer->head_capacity == 0 ? 16 : 2 * sealer->head_capacity;
    struct head *heads = kw_realloc(sealer->heads, capacity * sizeof *heads);
    if (heads == NULL) {
        return KW_E_MEMORY;
    }
    sealer->heads = heads;
    void *settings = kw_realloc(sealer->settings, capacity * sizeof *sealer->settings);
    sealer->settings = settings != NULL ? settings : sealer->settings;
    void *values = kw_realloc(sealer->setting_values, capacity * sizeof *sealer->setting_values);
    sealer->setting_values = values != NULL ? values : sealer->setting_values;
    void *names = kw_realloc(sealer->setting_names, capacity * sizeof *sealer->setting_names);
    sealer->setting_names = names != NULL ? names : sealer->setting_names;
    if (settings == NULL || values == NULL || names == NULL) {
        return KW_E_MEMORY;
    }
    sealer->head_capacity = capacity;
    return KW_OK;
}

static struct kw_bytes project_of(const struct head *head)
{
    return kw_bytes_of(head->project, head->project_size);
}

static bool is_of(const struct head *head, struct kw_bytes project)
{
    return kw_bytes_equal(project_of(head), project);
}

static bool has_seed(const struct kw_sealer *sealer)
{
    return sealer->engine->audit_seed.size > 0;
}

/* The head of that project, which may be new. NULL: no memory. */
static struct head *head_of(struct kw_sealer *sealer, struct kw_bytes project)
{
    if (sealer->head_last < sealer->head_count && is_of(&sealer->heads[sealer->head_last], project)) {
        return &sealer->heads[sealer->head_last];
    }
    size_t at = 0;
    while (at < sealer->head_count && !is_of(&sealer->heads[at], project)) {
        at++;
    }
    if (at == sealer->head_count) {
        if (project.size > KW_PROJECT_MAX || (at == sealer->head_capacity && grow(sealer) != KW_OK)) {
            return NULL;
        }
        struct head *head = &sealer->heads[sealer->head_count++];
        *head = (struct head){.project_size = (uint8_t)project.size};
        if (project.size > 0) {
            memcpy(head->project, project.data, project.size);
        }
    }
    sealer->head_last = at;
    return &sealer->heads[at];
}

static enum kw_status take_head(void *context, const struct kw_store_setting *setting)
{
    struct kw_sealer *sealer = context;
    struct head *head = head_of(sealer, kw_bytes_skip(setting->name, sizeof KW_AUDIT_HEAD_SETTING - 1));
    if (head == NULL) {
        return KW_E_MEMORY;
    }
    if (!kw_audit_head_decode(setting->value, &head->chain)) {
        return KW_E_CORRUPT;
    }
    sealer->sequence = head->chain.sequence > sealer->sequence ? head->chain.sequence : sealer->sequence;
    return KW_OK;
}

/* What the store says; after a failure too, when it may be ahead of what is known here, or behind it. */
static enum kw_status load_heads(struct kw_sealer *sealer)
{
    struct kw_store *store = sealer->engine->store;
    sealer->head_count = sealer->head_last = 0;
    sealer->sequence = 0;
    enum kw_status status = store->ops->settings_list(store, KW_BYTES(KW_AUDIT_HEAD_SETTING), take_head, sealer);
    for (size_t i = 0; i < sealer->head_count && status == KW_OK && has_seed(sealer); i++) {
        struct head *head = &sealer->heads[i];
        status = kw__checkpoint_last(sealer->engine, project_of(head), &head->signed_place);
        head->waiting_since_ms = kw_engine_now_ms(sealer->engine);
    }
    sealer->has_heads = status == KW_OK;
    return status;
}

/* --- sealing --- */

struct kw_audit_line kw__audit_line_of(const struct kw_store_audit *audit)
{
    return (struct kw_audit_line){.sequence = audit->sequence,
                                  .at_ms = audit->at_ms,
                                  .project = audit->project,
                                  .key_id = audit->key_id,
                                  .owner = audit->owner,
                                  .actor = audit->actor,
                                  .action = audit->action,
                                  .context = audit->context,
                                  .details = audit->body};
}

static enum kw_status take_line(void *context, const struct kw_store_audit *audit)
{
    struct kw_sealer *sealer = context;
    struct head *head = head_of(sealer, audit->project);
    struct kw_audit_seal seal;
    if (head == NULL) {
        return KW_E_MEMORY;
    }
    sealer->seen_count++;
    sealer->sequence = audit->sequence;
    if (audit->seal.size > 0) { /* its head is lost: the chain goes on from here */
        if (kw_audit_seal_decode(audit->seal, &seal)) {
            head->chain.place = seal.place;
            head->chain.sequence = audit->sequence;
            memcpy(head->chain.link, seal.link, sizeof seal.link);
        }
        return KW_OK;
    }
    struct kw_audit_line line = kw__audit_line_of(audit);
    size_t at = sealer->seal_count++;
    kw_audit_seal(&head->chain, &line, sealer->salts[at], &seal);
    size_t size = kw_audit_seal_encode(&seal, sealer->seal_bytes[at]);
    sealer->seals[at] = (struct kw_store_seal){audit->sequence, kw_bytes_of(sealer->seal_bytes[at], size)};
    head->is_moved = true;
    return KW_OK;
}

/* The heads that moved, as settings. */
static size_t write_heads(struct kw_sealer *sealer)
{
    static const char start[] = KW_AUDIT_HEAD_SETTING;
    size_t count = 0;
    for (size_t i = 0; i < sealer->head_count; i++) {
        struct head *head = &sealer->heads[i];
        if (!head->is_moved) {
            continue;
        }
        head->is_moved = false;
        uint8_t *name = sealer->setting_names[count];
        memcpy(name, start, sizeof start - 1);
        memcpy(name + sizeof start - 1, head->project, head->project_size);
        kw_audit_head_encode(&head->chain, sealer->setting_values[count]);
        sealer->settings[count] =
            (struct kw_store_setting){kw_bytes_of(name, sizeof start - 1 + head->project_size),
                                      kw_bytes_of(sealer->setting_values[count], KW_AUDIT_HEAD_SIZE)};
        count++;
    }
    return count;
}

static enum kw_status commit(struct kw_sealer *sealer)
{
    struct kw_store_batch batch = {.seals = sealer->seals, .seal_count = sealer->seal_count};
    struct kw_op op;
    batch.settings = sealer->settings;
    batch.setting_count = write_heads(sealer);
    kw_op_init(&op, KW_OP_SEAL, KW_PROJECT_KEYWARD);
    op.seals = &batch;
    enum kw_status status = kw_engine_run(sealer->engine, &op);
    kw_op_deinit(&op);
    return status;
}

/* The next lines; `more_out` says that there may be others behind them. */
static enum kw_status seal_some(struct kw_sealer *sealer, bool *more_out)
{
    struct kw_engine *engine = sealer->engine;
    struct kw_store_audit_filter filter = {.after = sealer->sequence, .limit = LINES_TOGETHER};
    sealer->seal_count = sealer->seen_count = 0;
    enum kw_status status = engine->entropy.draw(engine->entropy.context, sealer->salts[0], sizeof sealer->salts);
    status = status == KW_OK ? engine->store->ops->audit_query(engine->store, &filter, take_line, sealer) : status;
    if (status == KW_OK && sealer->seal_count > 0) {
        status = commit(sealer);
    }
    sealer->has_heads = status == KW_OK; /* else they say what is not there, or may not be */
    *more_out = status == KW_OK && sealer->seen_count == LINES_TOGETHER;
    return status;
}

/* --- signing --- */

/* Whether the project is to have a checkpoint now; `is_last`: wherever something is not signed. */
static bool is_due(struct head *head, int64_t now_ms, bool is_last)
{
    uint64_t behind = head->chain.place > head->signed_place ? head->chain.place - head->signed_place : 0;
    if (behind == 0 || head->waiting_since_ms == 0 || head->waiting_since_ms > now_ms) {
        head->waiting_since_ms = now_ms;
    }
    return behind >= KW_CHECKPOINT_LINES ||
           (behind > 0 && (is_last || now_ms - head->waiting_since_ms >= KW_CHECKPOINT_PAUSE_MS));
}

/* What one commit made of heads from `*at` on; goes on there. */
static enum kw_status sign_some(struct kw_sealer *sealer, bool is_last, size_t *at)
{
    struct kw__reached reached[KW_CHECKPOINTS_TOGETHER];
    struct head *heads[KW_CHECKPOINTS_TOGETHER];
    size_t count = 0;
    int64_t now_ms = kw_engine_now_ms(sealer->engine);
    for (; *at < sealer->head_count && count < KW_CHECKPOINTS_TOGETHER; (*at)++) {
        struct head *head = &sealer->heads[*at];
        if (is_due(head, now_ms, is_last)) {
            reached[count] = (struct kw__reached){project_of(head), head->chain};
            heads[count++] = head;
        }
    }
    enum kw_status status = count == 0 ? KW_OK : kw__checkpoints_make(sealer->engine, reached, count);
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        heads[i]->signed_place = reached[i].chain.place;
        heads[i]->waiting_since_ms = now_ms;
    }
    return status;
}

/* Makes the checkpoints that are due. */
static enum kw_status sign(struct kw_sealer *sealer, bool is_last)
{
    enum kw_status status = KW_OK;
    for (size_t at = 0; at < sealer->head_count && status == KW_OK && has_seed(sealer);) {
        status = sign_some(sealer, is_last, &at);
    }
    return status;
}

static enum kw_status seal_all(struct kw_sealer *sealer, size_t batches_max)
{
    enum kw_status status = sealer->has_heads ? KW_OK : load_heads(sealer);
    bool more = true;
    for (size_t i = 0; i < batches_max && more && status == KW_OK; i++) {
        status = seal_some(sealer, &more);
        status = status == KW_OK ? sign(sealer, false) : status;
    }
    return status;
}

void kw__seal_write(struct kw_engine *engine, struct kw_op *op)
{
    struct kw_store *store = engine->store;
    struct kw__pruning *pruning = op->pruning;
    if (pruning != NULL) {
        op->status =
            store->ops->audit_prune(store, pruning->project, pruning->sequence, KW_STORE_LIST_MAX, &pruning->removed);
    } else {
        struct kw_store_batch batch = *op->seals;
        enum kw_status status = store->ops->commit(store, &batch, 1);
        op->status = status == KW_OK ? batch.outcome : status;
        if (batch.audit_count > 0) { /* they are to be sealed */
            __atomic_add_fetch(&engine->commits, 1, __ATOMIC_RELEASE);
        }
    }
    op->done(op);
}

/* --- the thread --- */

static void free_sealer(struct kw_sealer *sealer)
{
    kw_free(sealer->heads);
    kw_free(sealer->settings);
    kw_free(sealer->setting_values);
    kw_free(sealer->setting_names);
    kw_free(sealer);
}

static struct kw_sealer *new_sealer(struct kw_engine *engine)
{
    struct kw_sealer *sealer = kw_alloc(1, sizeof *sealer);
    if (sealer != NULL) {
        sealer->engine = engine;
        sealer->jobs_end = &sealer->jobs;
        sealer->retained_ms = INT64_MIN;
        if (grow(sealer) != KW_OK) {
            free_sealer(sealer);
            sealer = NULL;
        }
    }
    return sealer;
}

enum kw_status kw_engine_seal(struct kw_engine *engine)
{
    struct kw_sealer *sealer = new_sealer(engine);
    if (sealer == NULL) {
        return KW_E_MEMORY;
    }
    enum kw_status status = seal_all(sealer, SIZE_MAX);
    status = status == KW_OK ? sign(sealer, true) : status;
    free_sealer(sealer);
    return status;
}

/* True when it is to stop. */
static bool wait_a_round(struct kw_sealer *sealer)
{
    uint64_t until_ns = kw_monotonic_ns() + ROUND_MS * UINT64_C(1000000);
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_A_SECOND), .tv_nsec = (long)(until_ns % NS_A_SECOND)};
    pthread_mutex_lock(&sealer->lock);
    int result = 0;
    while (!sealer->is_stopping && sealer->jobs == NULL && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&sealer->told, &sealer->lock, &until);
    }
    bool is_stopping = sealer->is_stopping;
    pthread_mutex_unlock(&sealer->lock);
    return is_stopping;
}

/* --- jobs --- */

void kw__sealer_submit(struct kw_engine *engine, struct kw_op *op)
{
    struct kw_sealer *sealer = engine->sealer;
    if (sealer == NULL) {
        op->status = kw_refuse(&op->error, KW_CODE_TOO_BUSY, NULL, "nobody looks after the audit log");
        op->done(op);
        return;
    }
    pthread_mutex_lock(&sealer->lock);
    op->next = NULL;
    *sealer->jobs_end = op;
    sealer->jobs_end = &op->next;
    pthread_cond_signal(&sealer->told);
    pthread_mutex_unlock(&sealer->lock);
}

static struct kw_op *take_job(struct kw_sealer *sealer)
{
    pthread_mutex_lock(&sealer->lock);
    struct kw_op *op = sealer->jobs;
    if (op != NULL) {
        sealer->jobs = op->next;
        sealer->jobs_end = sealer->jobs == NULL ? &sealer->jobs : sealer->jobs_end;
    }
    pthread_mutex_unlock(&sealer->lock);
    return op;
}

enum kw_status kw_engine_audit_job(struct kw_engine *engine, struct kw_op *op)
{
    enum kw_status status = kw_engine_seal(engine);
    if (status == KW_OK) {
        kw__audit_job(engine, op);
        return op->status;
    }
    return kw__store_failed(&op->error, status);
}

static void do_jobs(struct kw_sealer *sealer, bool is_sealed)
{
    struct kw_op *op;
    while ((op = take_job(sealer)) != NULL) {
        if (is_sealed) {
            kw__audit_job(sealer->engine, op);
        } else {
            op->status = kw__store_failed(&op->error, KW_E_UNAVAILABLE);
        }
        op->done(op);
    }
}

static void keep_retentions(struct kw_sealer *sealer)
{
    int64_t now_ms = kw_engine_now_ms(sealer->engine);
    bool is_early = sealer->retained_ms <= now_ms && sealer->retained_ms > now_ms - RETENTION_PAUSE_MS;
    if (!is_early && kw__audit_keep_retentions(sealer->engine) == KW_OK) {
        sealer->retained_ms = now_ms;
    }
}

static void *sealer_main(void *context)
{
    struct kw_sealer *sealer = context;
    uint64_t seen = 0;
    bool is_done = false; /* nothing was committed since all of it was sealed */
    bool is_stopping = false;
    while (!is_stopping) {
        is_stopping = wait_a_round(sealer);
        if (kw__attempts_write(sealer->engine, is_stopping) != KW_OK) {
            is_done = false; /* it may be there all the same */
        }
        uint64_t commits = __atomic_load_n(&sealer->engine->commits, __ATOMIC_ACQUIRE);
        if (!is_done || commits != seen) {
            seen = commits;
            is_done = seal_all(sealer, is_stopping ? BATCHES_AT_STOP : SIZE_MAX) == KW_OK;
        }
        if (sealer->has_heads && sign(sealer, is_stopping) != KW_OK) {
            is_done = false;
        }
        do_jobs(sealer, is_done);
        if (!is_stopping && is_done) {
            keep_retentions(sealer);
        }
    }
    return NULL;
}

enum kw_status kw__sealer_start(struct kw_engine *engine)
{
    struct kw_sealer *sealer = new_sealer(engine);
    if (sealer == NULL) {
        return KW_E_MEMORY;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&sealer->lock, NULL);
    pthread_cond_init(&sealer->told, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&sealer->thread, NULL, sealer_main, sealer) != 0) {
        pthread_cond_destroy(&sealer->told);
        pthread_mutex_destroy(&sealer->lock);
        free_sealer(sealer);
        return KW_E_SYSTEM;
    }
    engine->sealer = sealer;
    return KW_OK;
}

void kw__sealer_stop(struct kw_engine *engine)
{
    struct kw_sealer *sealer = engine->sealer;
    if (sealer == NULL) {
        return;
    }
    pthread_mutex_lock(&sealer->lock);
    sealer->is_stopping = true;
    pthread_cond_signal(&sealer->told);
    pthread_mutex_unlock(&sealer->lock);
    pthread_join(sealer->thread, NULL);
    pthread_cond_destroy(&sealer->told);
    pthread_mutex_destroy(&sealer->lock);
    free_sealer(sealer);
    engine->sealer = NULL;
}
