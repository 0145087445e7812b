#include "engine/audit_jobs.h"

#include "base/bytes.h"
#include "base/time.h"
#include "core/id.h"
#include "engine/sealer.h"

#define ARENA_MAX ((size_t)65536)
#define DETAILS_SIZE 256

enum kw_status kw__audit_commit(struct kw_engine *engine, const struct kw_store_batch *batch,
                                struct kw__pruning *pruning)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_SEAL, KW_PROJECT_KEYWARD);
    op.seals = batch;
    op.pruning = pruning;
    enum kw_status status = kw_engine_run(engine, &op);
    kw_op_deinit(&op);
    return status;
}

/* --- the line that tells of it --- */

enum kw_status kw__audit_write_who(struct kw__audit_work *job, struct kw_store_audit *line)
{
    const struct kw_op *op = job->op;
    const struct kw_circumstances *circumstances = op == NULL ? NULL : op->circumstances;
    struct kw_audit_context known = {.actor = op == NULL ? KW_BYTES("system") : op->actor};
    struct kw_buffer text;
    if (circumstances != NULL) {
        known.address = circumstances->address;
        known.user_agent = circumstances->user_agent;
    }
    known.reason = op == NULL ? known.reason : op->reason;
    kw_buffer_init(&text, KW_STORE_CONTEXT_MAX);
    kw_engine_read_begin();
    const struct kw_project *project = op == NULL ? NULL : kw_project_by_name(kw__catalog(job->engine), job->project);
    kw_audit_context_write(circumstances == NULL ? NULL : &circumstances->said, &known,
                           project == NULL ? NULL : &project->audit_context, &text, &line->actor);
    enum kw_status status = kw_buffer_status(&text);
    status = status == KW_OK ? kw_arena_copy(&job->arena, line->actor, &line->actor) : status;
    kw_engine_read_end();
    status = status == KW_OK ? kw_arena_copy(&job->arena, kw_buffer_bytes(&text), &line->context) : status;
    kw_buffer_deinit(&text);
    return status == KW_OK ? KW_OK : KW_E_MEMORY;
}

/* --- pruning --- */

struct cutting {
    int64_t before_ms;
    struct kw_audit_chain last; /* the last line that may go */
    size_t count;
    bool has_ended;
};

static enum kw_status cut_line(void *context, const struct kw_store_audit *audit)
{
    struct cutting *cutting = context;
    struct kw_audit_seal seal;
    cutting->count++;
    if (audit->at_ms >= cutting->before_ms || !kw_audit_seal_decode(audit->seal, &seal)) {
        cutting->has_ended = true;
        return KW_E_LIMIT;
    }
    cutting->last.place = seal.place;
    cutting->last.sequence = audit->sequence;
    memcpy(cutting->last.link, seal.link, sizeof seal.link);
    return KW_OK;
}

/* The last line of those at the begin of the log that are older; place 0: none is. */
static enum kw_status find_cut(struct kw__audit_work *job, uint64_t after, int64_t before_ms,
                               struct kw_audit_chain *last_out)
{
    struct cutting cutting = {.before_ms = before_ms};
    struct kw_store_audit_filter filter = {.project = job->project, .after = after, .limit = KW_STORE_LIST_MAX};
    struct kw_store *store = job->engine->store;
    enum kw_status status = KW_OK;
    do {
        cutting.count = 0;
        status = store->ops->audit_query(store, &filter, cut_line, &cutting);
        filter.after = cutting.last.sequence;
    } while (status == KW_OK && cutting.count == filter.limit);
    *last_out = cutting.last;
    return cutting.has_ended ? KW_OK : status;
}

static void write_details(const struct kw__audit_work *job, const struct kw_audit_chain *last, int64_t before_ms,
                          uint64_t entries, struct kw_buffer *text)
{
    struct kw_json_writer json;
    char time[KW_TIME_TEXT_SIZE];
    (void)job;
    kw_time_format(before_ms, time);
    kw_json_writer_init(&json, text);
    kw_json_begin_object(&json);
    kw_json_name(&json, "before");
    kw_json_string(&json, kw_bytes_of(time, sizeof time));
    kw_json_name(&json, "entries");
    kw_json_i64(&json, (int64_t)entries);
    kw_json_name(&json, "place");
    kw_json_i64(&json, (int64_t)last->place);
    kw_json_end_object(&json);
}

/* From now on the log begins behind that line, and says so. */
static enum kw_status commit_start(struct kw__audit_work *job, const struct kw_audit_chain *last, int64_t before_ms,
                                   uint64_t entries)
{
    struct kw_checkpoint start = {.is_start = true, .project = job->project, .chain = *last, .at_ms = job->now_ms};
    struct kw_store_audit line = {.at_ms = job->now_ms, .project = job->project, .action = KW_BYTES("audit.pruned")};
    char details_memory[DETAILS_SIZE], start_memory[KW_CHECKPOINT_JSON_MAX];
    uint8_t name[KW__AUDIT_SETTING_MAX];
    struct kw_buffer details, text;
    struct kw_json_writer json;
    enum kw_status status = kw_checkpoint_sign(&start, &job->engine->audit_seed);
    kw_buffer_init_fixed(&text, start_memory, sizeof start_memory);
    kw_json_writer_init(&json, &text);
    kw_checkpoint_write(&start, &json);
    kw_buffer_init_fixed(&details, details_memory, sizeof details_memory);
    write_details(job, last, before_ms, entries, &details);
    line.body = kw_buffer_bytes(&details);
    status = status == KW_OK ? kw_buffer_status(&text) : status;
    status = status == KW_OK ? kw_buffer_status(&details) : status;
    status = status == KW_OK ? kw__audit_write_who(job, &line) : status;
    if (status != KW_OK) {
        return status;
    }
    struct kw_store_setting setting = {kw__audit_setting(KW_AUDIT_START_SETTING, job->project, name),
                                       kw_buffer_bytes(&text)};
    const struct kw_store_batch batch = {.settings = &setting, .setting_count = 1, .audits = &line, .audit_count = 1};
    return kw__audit_commit(job->engine, &batch, NULL);
}

struct forgetting {
    struct kw_store_checkpoint items[KW_CHECKPOINTS_TOGETHER];
    size_t count;
    uint64_t until;
    struct kw_bytes project;
};

static enum kw_status forget_one(void *context, const struct kw_store_checkpoint *stored)
{
    struct forgetting *forgetting = context;
    if (stored->place <= forgetting->until) {
        forgetting->items[forgetting->count++] = (struct kw_store_checkpoint){forgetting->project, stored->place, {0}};
    }
    return KW_OK;
}

/* Checkpoints of lines that are gone. */
static enum kw_status forget_checkpoints(struct kw__audit_work *job, uint64_t until)
{
    struct kw_store *store = job->engine->store;
    struct forgetting forgetting = {.until = until, .project = job->project};
    enum kw_status status = KW_OK;
    do {
        forgetting.count = 0;
        status = store->ops->audit_checkpoints(store, job->project, 0, false, KW_CHECKPOINTS_TOGETHER, forget_one,
                                               &forgetting);
        const struct kw_store_batch batch = {.checkpoints = forgetting.items, .checkpoint_count = forgetting.count};
        status = status == KW_OK && forgetting.count > 0 ? kw__audit_commit(job->engine, &batch, NULL) : status;
    } while (status == KW_OK && forgetting.count == KW_CHECKPOINTS_TOGETHER);
    return status;
}

/* Takes out all that stands before the start. */
static enum kw_status remove_before(struct kw__audit_work *job, const struct kw_audit_chain *start)
{
    struct kw__pruning pruning = {.project = job->project, .sequence = start->sequence, .removed = KW_STORE_LIST_MAX};
    enum kw_status status = KW_OK;
    while (status == KW_OK && pruning.removed == KW_STORE_LIST_MAX) {
        status = kw__audit_commit(job->engine, NULL, &pruning);
    }
    return status == KW_OK ? forget_checkpoints(job, start->place) : status;
}

static enum kw_status prune(struct kw__audit_work *job, int64_t before_ms, uint64_t *entries_out)
{
    struct kw_checkpoint start;
    struct kw_audit_chain last;
    enum kw_status status = kw__audit_start(job->engine, job->project, &start);
    /* One that is not signed is somebody else's, and no lines go by it. */
    bool has_start = status == KW_OK && start.chain.place > 0 && kw__checkpoint_is_ours(job->engine, &start);
    status = has_start ? remove_before(job, &start.chain) : status;
    status = status == KW_OK ? find_cut(job, has_start ? start.chain.sequence : 0, before_ms, &last) : status;
    *entries_out = 0;
    if (status != KW_OK || last.place == 0) {
        return status;
    }
    uint64_t entries = last.place - (has_start ? start.chain.place : 0);
    status = commit_start(job, &last, before_ms, entries);
    *entries_out = status == KW_OK ? entries : 0;
    return status == KW_OK ? remove_before(job, &last) : status;
}

static enum kw_status run(struct kw_engine *engine, const struct kw_op *op, struct kw_bytes project,
                          const struct kw_audit_job *wanted, uint64_t *entries_out)
{
    struct kw__audit_work job = {.engine = engine, .op = op, .project = project, .now_ms = kw_engine_now_ms(engine)};
    kw_arena_init(&job.arena, NULL, 0, ARENA_MAX);
    bool prunes = op == NULL || op->kind == KW_OP_AUDIT_PRUNE;
    enum kw_status status = prunes ? prune(&job, wanted->before_ms, entries_out)
                                   : kw__audit_erase_person(&job, &wanted->person, entries_out);
    kw_arena_reset(&job.arena);
    return status;
}

void kw__audit_job(struct kw_engine *engine, struct kw_op *op)
{
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes project;
    if (!kw__project_name(engine, op->project, memory, &project)) {
        op->status = kw__project_gone(&op->error);
        return;
    }
    if (engine->audit_seed.size == 0) {
        op->status = kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "audit_key",
                               "is missing: only a log whose checkpoints are signed can be proved afterwards");
        return;
    }
    enum kw_status status = run(engine, op, project, op->audit_job, &op->audit_job->entries);
    op->status = status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}

/* --- retentions --- */

/* The next project with a retention, from `number` on. False behind the last. */
static bool next_retention(struct kw_engine *engine, uint16_t *number, uint8_t memory[KW_PROJECT_MAX],
                           struct kw_bytes *name_out, int64_t *retention_out)
{
    bool is_found = false;
    kw_engine_read_begin();
    const struct kw_catalog *catalog = kw__catalog(engine);
    for (; *number < catalog->number_count && !is_found; (*number)++) {
        const struct kw_project *project = kw_project_by_number(catalog, *number);
        if (project != NULL && project->audit_retention_ms > 0) {
            memcpy(memory, project->name.data, project->name.size);
            *name_out = kw_bytes_of(memory, project->name.size);
            *retention_out = project->audit_retention_ms;
            is_found = true;
        }
    }
    kw_engine_read_end();
    return is_found;
}

enum kw_status kw__audit_keep_retentions(struct kw_engine *engine)
{
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes name;
    int64_t retention_ms;
    uint64_t entries;
    enum kw_status status = KW_OK;
    if (engine->audit_seed.size == 0) {
        return KW_OK;
    }
    for (uint16_t number = 1; status == KW_OK && next_retention(engine, &number, memory, &name, &retention_ms);) {
        struct kw_audit_job job = {.before_ms = kw_engine_now_ms(engine) - retention_ms};
        status = run(engine, NULL, name, &job, &entries);
    }
    return status;
}
