#include "engine/import.h"

#include "base/bytes.h"
#include "engine/writer.h"

#include <semaphore.h>

#define CHUNK_MEMORY_MAX ((size_t)256 * 1024 * 1024)
#define CHUNK_MEMORY_ENOUGH ((size_t)8 * 1024 * 1024) /* then a chunk is closed, however few items it has */

/* An item of a chunk: its operation, or why it is none. */
struct slot {
    uint64_t line;
    struct kw_op *part;
    const struct kw_error *error;
};

/* Items on their way to the writer. */
struct chunk {
    struct kw_arena arena; /* wiped when it is reset: plain keys may lie in it */
    struct slot slots[KW_IMPORT_TOGETHER_MAX];
    size_t slot_count;
    struct kw_op *parts;
    struct kw_import_one *ones;
    struct kw_import_item *items;
    size_t part_count;
    struct kw_op op;
    sem_t done;
    bool is_under_way, is_back; /* from the writer; not told of yet */
};

struct import {
    struct kw_engine *engine;
    struct kw_op *op;
    struct kw_import_job *job;
    uint8_t project_memory[KW_PROJECT_MAX];
    struct kw_bytes project;
    struct kw_import_forms forms;
    uint64_t item_count, tail_count;
    bool has_head, has_tail;
    struct chunk *chunks[2]; /* one is read while the other is committed */
    size_t at;
};

/* --- chunks --- */

static void chunk_done(struct kw_op *op)
{
    (void)sem_post(op->context);
}

static struct chunk *chunk_new(void)
{
    struct chunk *chunk = kw_alloc(1, sizeof *chunk);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->parts = kw_alloc(KW_IMPORT_TOGETHER_MAX, sizeof *chunk->parts);
    chunk->ones = kw_alloc(KW_IMPORT_TOGETHER_MAX, sizeof *chunk->ones);
    chunk->items = kw_alloc(KW_IMPORT_TOGETHER_MAX, sizeof *chunk->items);
    kw_arena_init(&chunk->arena, NULL, 0, CHUNK_MEMORY_MAX);
    (void)sem_init(&chunk->done, 0, 0);
    return chunk;
}

static void chunk_clear(struct chunk *chunk)
{
    for (size_t i = 0; i < chunk->part_count; i++) {
        kw_op_deinit(&chunk->parts[i]);
    }
    chunk->part_count = chunk->slot_count = 0;
    kw_arena_reset(&chunk->arena);
}

static void chunk_free(struct chunk *chunk)
{
    if (chunk == NULL) {
        return;
    }
    chunk_clear(chunk);
    kw_free(chunk->parts);
    kw_free(chunk->ones);
    kw_free(chunk->items);
    (void)sem_destroy(&chunk->done);
    kw_free(chunk);
}

static bool is_whole(const struct chunk *chunk)
{
    return chunk != NULL && chunk->parts != NULL && chunk->ones != NULL && chunk->items != NULL;
}

static void chunk_submit(struct import *import, struct chunk *chunk)
{
    kw_op_init(&chunk->op, KW_OP_TOGETHER, import->op->project);
    chunk->op.parts = chunk->parts;
    chunk->op.part_count = chunk->part_count;
    chunk->op.done = chunk_done;
    chunk->op.context = &chunk->done;
    chunk->is_under_way = true;
    if (chunk->part_count == 0) {
        (void)sem_post(&chunk->done);
        return;
    }
    kw_engine_submit(import->engine, &chunk->op);
}

static void chunk_wait(struct chunk *chunk)
{
    if (!chunk->is_under_way || chunk->is_back) {
        return;
    }
    while (sem_wait(&chunk->done) != 0) { /* a signal came in between */
    }
    chunk->is_back = true;
}

/* What says something of one item; all else is about the store, and ends the import. */
static bool is_of_item(enum kw_status status)
{
    return status == KW_E_INVALID || status == KW_E_NOT_FOUND || status == KW_E_CONFLICT || status == KW_E_DENIED ||
           status == KW_E_LIMIT;
}

/* Nothing in a chunk that has come back ends the import. */
static bool went_well(const struct chunk *chunk)
{
    bool is_well = chunk->part_count == 0 || chunk->op.status == KW_OK;
    for (size_t i = 0; i < chunk->part_count && is_well; i++) {
        is_well = chunk->parts[i].status == KW_OK || is_of_item(chunk->parts[i].status);
    }
    return is_well;
}

static enum kw_status tell(struct import *import, const struct slot *slot)
{
    struct kw_import_job *job = import->job;
    struct kw_import_line line = {.line = slot->line, .outcome = KW_IMPORT_REFUSED, .error = slot->error};
    if (slot->part != NULL && slot->part->status != KW_OK && !is_of_item(slot->part->status)) {
        import->op->error = slot->part->error;
        return slot->part->status;
    }
    if (slot->part != NULL) {
        const struct kw_import_one *one = slot->part->import_one;
        bool is_put = slot->part->status == KW_OK;
        line.outcome = is_put || one->outcome == KW_IMPORT_SKIPPED ? one->outcome : KW_IMPORT_REFUSED;
        line.id = one->id;
        line.error = is_put ? NULL : &slot->part->error;
    }
    job->counts.created += line.outcome == KW_IMPORT_CREATED;
    job->counts.overwritten += line.outcome == KW_IMPORT_OVERWRITTEN;
    job->counts.skipped += line.outcome == KW_IMPORT_SKIPPED;
    job->counts.refused += line.outcome == KW_IMPORT_REFUSED;
    if (job->sink != NULL) {
        job->sink(job->context, &line);
    }
    return KW_OK;
}

/* Waits for a chunk that is under way, and tells what became of its items. */
static enum kw_status chunk_finish(struct import *import, struct chunk *chunk)
{
    if (!chunk->is_under_way) {
        return KW_OK;
    }
    chunk_wait(chunk);
    chunk->is_under_way = chunk->is_back = false;
    enum kw_status status = chunk->op.status;
    if (chunk->part_count > 0 && status != KW_OK) {
        import->op->error = chunk->op.error;
    } else {
        status = KW_OK;
        for (size_t i = 0; i < chunk->slot_count && status == KW_OK; i++) {
            status = tell(import, &chunk->slots[i]);
        }
    }
    kw_op_deinit(&chunk->op);
    chunk_clear(chunk);
    return status;
}

/* --- items --- */

static enum kw_status add_bad(struct chunk *chunk, struct slot *slot, const struct kw_error *error)
{
    struct kw_error *kept = kw_arena_take(&chunk->arena, sizeof *kept);
    if (kept == NULL) {
        return KW_E_MEMORY;
    }
    *kept = *error;
    slot->error = kept;
    return KW_OK;
}

/* Reads an item into the chunk's next place. KW_OK also for one that is refused; then nothing is left of it there. */
static enum kw_status add_item(struct import *import, struct chunk *chunk, struct kw_bytes json, uint64_t number)
{
    struct kw_import_item *item = &chunk->items[chunk->part_count];
    struct kw_import_one *one = &chunk->ones[chunk->part_count];
    const struct kw_import_options *options = import->job->options;
    struct kw_error error;
    *one = (struct kw_import_one){.item = item, .on_conflict = options->on_conflict, .dry_run = options->dry_run};
    enum kw_status status = kw_import_read(json, options, &chunk->arena, item, &error);
    if (status == KW_OK && item->kind != KW_IMPORT_KEY) {
        import->has_head = import->has_head || item->kind == KW_IMPORT_HEAD;
        import->has_tail = import->has_tail || item->kind == KW_IMPORT_TAIL;
        import->tail_count += item->tail_count;
        return KW_OK;
    }
    import->item_count++;
    status = status == KW_OK ? kw__import_take_form(&import->forms, &chunk->arena, item, &error) : status;
    status = status == KW_OK ? kw__import_take_digest(&import->forms, &chunk->arena, one, item, &error) : status;
    struct slot *slot = &chunk->slots[chunk->slot_count++];
    *slot = (struct slot){.line = number};
    if (status != KW_OK) {
        bool is_fatal = !is_of_item(status) && kw_code_of_name(error.code) != KW_CODE_PEPPER_MISMATCH &&
                        kw_code_of_name(error.code) != KW_CODE_STORE_NEWER;
        import->op->error = is_fatal ? error : import->op->error;
        return is_fatal ? status : add_bad(chunk, slot, &error);
    }
    struct kw_op *part = &chunk->parts[chunk->part_count++];
    kw_op_init(part, KW_OP_IMPORT_ONE, import->op->project);
    part->actor = import->op->actor;
    part->circumstances = import->op->circumstances;
    part->authority = import->op->authority;
    part->import_one = one;
    slot->part = part;
    return KW_OK;
}

static bool is_full(const struct chunk *chunk)
{
    return chunk->slot_count == KW_IMPORT_TOGETHER_MAX || chunk->arena.total >= CHUNK_MEMORY_ENOUGH;
}

static enum kw_status add_next(struct import *import, struct kw_import_source *source, struct kw_bytes *text,
                               bool *ended_out)
{
    enum kw_import_part part;
    struct kw_bytes json = {NULL, 0};
    struct kw_error error;
    struct chunk *chunk = import->chunks[import->at];
    enum kw_status status = kw_import_source_next(source, text, true, &part, &json, &error);
    if (status != KW_OK) {
        import->op->error = error;
        return status;
    }
    *ended_out = part == KW_IMPORT_PART_END || part == KW_IMPORT_PART_MORE;
    if (part == KW_IMPORT_PART_BAD) {
        import->item_count++;
        chunk->slots[chunk->slot_count] = (struct slot){.line = source->line};
        return add_bad(chunk, &chunk->slots[chunk->slot_count++], &error);
    }
    if (part == KW_IMPORT_PART_ITEM && source->options->format == KW_IMPORT_CSV) {
        struct kw_bytes kept; /* the source's own memory goes on with the next row */
        status = kw_arena_copy(&chunk->arena, json, &kept);
        json = kept;
    }
    return status == KW_OK && part == KW_IMPORT_PART_ITEM ? add_item(import, chunk, json, source->line) : status;
}

/* The writer has the next chunk before the last one is told of and wiped, so that it does not wait for that. */
static enum kw_status hand_on(struct import *import)
{
    struct chunk *last = import->chunks[1 - import->at];
    chunk_wait(last);
    if (!last->is_under_way || went_well(last)) {
        chunk_submit(import, import->chunks[import->at]);
        import->at = 1 - import->at;
    }
    return chunk_finish(import, last);
}

static enum kw_status go_through(struct import *import, struct kw_import_source *source)
{
    struct kw_bytes text = import->job->text;
    enum kw_status status = KW_OK;
    bool ended = false;
    while (status == KW_OK && !ended) {
        status = add_next(import, source, &text, &ended);
        if (status == KW_OK && (ended || is_full(import->chunks[import->at]))) {
            status = hand_on(import);
        }
    }
    /* What is under way is waited for in any case: it works on memory of the chunk. */
    enum kw_status last = chunk_finish(import, import->chunks[1 - import->at]);
    return status != KW_OK ? status : last;
}

static enum kw_status no_memory(struct kw_op *op)
{
    return kw__store_failed(&op->error, KW_E_MEMORY);
}

static enum kw_status begin(struct import *import)
{
    struct kw_digest_method method;
    struct kw_op *op = import->op;
    enum kw_status status = kw_import_options_check(import->job->options, &op->error);
    if (status != KW_OK) {
        return status;
    }
    if (!kw__project_name(import->engine, op->project, import->project_memory, &import->project) ||
        !kw_engine_own_method(import->engine, op->project, &method)) {
        return kw__project_gone(&op->error);
    }
    import->forms = (struct kw_import_forms){.engine = import->engine,
                                             .project = op->project,
                                             .dry_run = import->job->options->dry_run,
                                             .own_method = method.number};
    import->chunks[0] = chunk_new();
    import->chunks[1] = chunk_new();
    return is_whole(import->chunks[0]) && is_whole(import->chunks[1]) ? KW_OK : no_memory(op);
}

enum kw_status kw__import_run(struct kw_engine *engine, struct kw_op *op)
{
    struct import import = {.engine = engine, .op = op, .job = op->import};
    struct kw_import_source source;
    op->import->counts = (struct kw_import_counts){.created = 0};
    enum kw_status status = begin(&import);
    if (status == KW_OK) {
        status = kw_import_source_init(&source, op->import->options, &op->error);
        status = status == KW_OK ? go_through(&import, &source) : status;
        op->import->counts.is_cut =
            source.is_cut || (import.has_head && (!import.has_tail || import.tail_count != import.item_count));
        kw_import_source_deinit(&source);
    }
    chunk_free(import.chunks[0]);
    chunk_free(import.chunks[1]);
    return status == KW_E_MEMORY ? no_memory(op) : status;
}
