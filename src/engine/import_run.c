#include "engine/import.h"

#include "base/bytes.h"
#include "core/id.h"
#include "core/key.h"
#include "engine/writer.h"

#include <semaphore.h>

#define CHUNK_MEMORY_MAX ((size_t)256 * 1024 * 1024)
#define CHUNK_MEMORY_ENOUGH ((size_t)8 * 1024 * 1024) /* then a chunk is closed, however few items it has */
#define METHODS_KNOWN_MAX 16

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
    bool is_under_way;
};

/* A method that an item of this import has, and its number. */
struct known_method {
    struct kw_digest_method method;
    uint8_t number;
};

struct import {
    struct kw_engine *engine;
    struct kw_op *op;
    struct kw_import_job *job;
    uint8_t project_memory[KW_PROJECT_MAX];
    struct kw_bytes project;
    uint8_t own_method;
    struct known_method known[METHODS_KNOWN_MAX];
    size_t known_count;
    uint8_t prefixes[KW_FOREIGN_COUNT_MAX][KW_PREFIX_MAX]; /* that keys of foreign form have */
    size_t prefix_sizes[KW_FOREIGN_COUNT_MAX];
    size_t prefix_count;
    uint64_t item_count, tail_count;
    bool has_head, has_tail;
    struct chunk *chunks[2]; /* one is read while the other is committed */
    size_t at;
};

/* --- methods --- */

static bool is_same_method(const struct kw_digest_method *a, const struct kw_digest_method *b)
{
    return a->scheme == b->scheme && a->project == b->project && a->salt_size == b->salt_size &&
           (a->salt_size == 0 || a->salt_place == b->salt_place) && memcmp(a->salt, b->salt, sizeof a->salt) == 0 &&
           memcmp(a->fingerprint, b->fingerprint, sizeof a->fingerprint) == 0; /* none of this is secret */
}

static struct kw_digest_method method_of(const struct import *import, const struct kw_import_item *item)
{
    struct kw_digest_method method = {.scheme = item->scheme, .salt_size = item->salt_size};
    if (item->salt_size > 0) {
        method.project = import->op->project;
        method.salt_place = item->salt_before ? KW_SALT_BEFORE_KEY : KW_SALT_AFTER_KEY;
        memcpy(method.salt, item->salt, item->salt_size);
    }
    if (item->scheme == KW_DIGEST_HMAC_SHA256) {
        memcpy(method.fingerprint, item->fingerprint, sizeof method.fingerprint);
    }
    return method;
}

/* The equal method that is there already; 0: none. */
static uint8_t find_method(const struct import *import, const struct kw_digest_method *wanted)
{
    struct kw_digest_method method;
    for (unsigned number = 1; number <= UINT8_MAX; number++) {
        if (kw_engine_method(import->engine, (uint8_t)number, &method) && is_same_method(&method, wanted)) {
            return (uint8_t)number;
        }
    }
    return 0;
}

static enum kw_status refuse_pepper(const struct kw_digest_method *method, struct kw_error *error_out)
{
    char text[2 * KW_PEPPER_FINGERPRINT_SIZE + 1] = {0};
    kw_hex_encode(kw_bytes_of(method->fingerprint, sizeof method->fingerprint), text);
    return kw_refuse(error_out, KW_CODE_PEPPER_MISMATCH, "digest.pepper",
                     "was made under the pepper %s, which is not here: take it there with \"keyward pepper export\", "
                     "and bring it here with \"keyward pepper import\"",
                     text);
}

static enum kw_status take_method(struct import *import, const struct kw_import_item *item, uint8_t *number_out,
                                  struct kw_error *error_out)
{
    struct kw_digest_method method = method_of(import, item);
    for (size_t i = 0; i < import->known_count; i++) {
        if (is_same_method(&import->known[i].method, &method)) {
            *number_out = import->known[i].number;
            return KW_OK;
        }
    }
    enum kw_status status = KW_OK;
    uint8_t number = find_method(import, &method);
    if (number == 0 && method.scheme == KW_DIGEST_HMAC_SHA256) {
        return refuse_pepper(&method, error_out);
    }
    if (number == 0 && import->job->options->dry_run) {
        number = (uint8_t)method.scheme; /* nothing is kept, and nothing has the method yet */
    } else {
        status = kw_engine_method_take(import->engine, &method, &number, error_out);
    }
    if (status == KW_OK && import->known_count < METHODS_KNOWN_MAX) {
        import->known[import->known_count++] = (struct known_method){method, number};
    }
    *number_out = number;
    return status;
}

/* --- keys of another form than Keyward's --- */

static enum kw_status admit_prefix(struct import *import, struct kw_bytes prefix, struct kw_error *error_out)
{
    for (size_t i = 0; i < import->prefix_count; i++) {
        if (kw_bytes_equal(kw_bytes_of(import->prefixes[i], import->prefix_sizes[i]), prefix)) {
            return KW_OK;
        }
    }
    enum kw_status status = import->job->options->dry_run
                                ? KW_OK
                                : kw_engine_foreign_add(import->engine, import->op->project, prefix, error_out);
    if (status == KW_OK && import->prefix_count < KW_FOREIGN_COUNT_MAX) {
        if (prefix.size > 0) {
            memcpy(import->prefixes[import->prefix_count], prefix.data, prefix.size);
        }
        import->prefix_sizes[import->prefix_count++] = prefix.size;
    }
    return status;
}

/*
 * Whether verifications find the key by its form: then they need no word from an import. What only names a prefix of
 * ours does not say that its keys end in our checksum, but for our own exports. `prefix_out`: that of the environment.
 */
static bool has_our_form(const struct import *import, const struct kw_import_item *item, struct kw_bytes *prefix_out)
{
    bool is_ours = false;
    if (item->key.size > 0 ? !kw_key_well_formed(item->key) : !item->is_own) {
        return false;
    }
    kw_engine_read_begin();
    const struct kw_project *project = kw_project_by_number(kw_engine_catalog(import->engine), import->op->project);
    for (size_t i = 0; project != NULL && i < project->environment_count; i++) {
        const struct kw_environment *environment = &project->environments[i];
        const struct kw_key_format *format =
            item->record.is_public ? &environment->public_keys : &environment->secret_keys;
        bool has_prefix = item->key.size > 0 ? kw_bytes_starts_with(item->key, format->prefix)
                                             : kw_bytes_equal(item->record.prefix, format->prefix);
        if (has_prefix && format->prefix.size > 0) {
            is_ours = true;
            *prefix_out = format->prefix;
        }
    }
    kw_engine_read_end();
    return is_ours;
}

static enum kw_status take_form(struct import *import, struct chunk *chunk, struct kw_import_item *item,
                                struct kw_error *error_out)
{
    struct kw_bytes prefix = {NULL, 0};
    if (has_our_form(import, item, &prefix)) {
        return item->key.size == 0 ? KW_OK : kw_arena_copy(&chunk->arena, prefix, &item->record.prefix);
    }
    if (item->key.size > 0 && !kw_bytes_starts_with(item->key, item->record.prefix)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "prefix", "is not what the key begins with");
    }
    return admit_prefix(import, item->record.prefix, error_out);
}

/* --- digests --- */

/* All digests that the project may know a plain key by. Its own method's is the one that is kept. */
static enum kw_status digest_key(struct import *import, struct kw_import_one *one, struct kw_error *error_out)
{
    struct kw_bytes key = one->item->key;
    one->method = import->own_method;
    if (!kw_engine_digest(import->engine, one->method, key, &one->digests[0])) {
        return kw_refuse(error_out, KW_CODE_INTERNAL, NULL, "the digest's method is gone");
    }
    one->digest_count = 1;
    for (unsigned number = 1; number <= UINT8_MAX && one->digest_count < KW_COUNT_OF(one->digests); number++) {
        struct kw_digest_method method;
        bool is_there = number != one->method && kw_engine_method(import->engine, (uint8_t)number, &method);
        if (is_there && (method.project == KW_PROJECT_NONE || method.project == import->op->project) &&
            kw_engine_digest(import->engine, (uint8_t)number, key, &one->digests[one->digest_count])) {
            one->digest_count++;
        }
    }
    return KW_OK;
}

/*
 * An item without an id gets one of its digest, so that a second import finds the key though it was used in between and
 * has another digest now. Under the pepper: ids are shown, and must not help to guess a weak key.
 */
static void take_id(struct import *import, struct kw_import_item *item)
{
    char hex[2 * KW_DIGEST_MAX];
    struct kw_digest secret;
    if (!kw_id_is_none(&item->record.id)) {
        return;
    }
    kw_hex_encode(kw_bytes_of(item->digest.bytes, item->digest.size), hex);
    if (kw_engine_digest(import->engine, KW_DIGEST_HMAC_SHA256, kw_bytes_of(hex, 2U * item->digest.size), &secret)) {
        item->record.id = item->record.lineage_id = kw_id_make(item->record.created_at_ms, secret.bytes);
    }
}

static enum kw_status take_digest(struct import *import, struct kw_import_one *one, struct kw_import_item *item,
                                  struct kw_error *error_out)
{
    if (item->key.size > 0) {
        return digest_key(import, one, error_out);
    }
    take_id(import, item);
    one->digests[0] = item->digest;
    one->digest_count = 1;
    return take_method(import, one->item, &one->method, error_out);
}

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

/* What says something of one item; all else is about the store, and ends the import. */
static bool is_of_item(enum kw_status status)
{
    return status == KW_E_INVALID || status == KW_E_NOT_FOUND || status == KW_E_CONFLICT || status == KW_E_DENIED ||
           status == KW_E_LIMIT;
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
    while (sem_wait(&chunk->done) != 0) { /* a signal came in between */
    }
    chunk->is_under_way = false;
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
    status = status == KW_OK ? take_form(import, chunk, item, &error) : status;
    status = status == KW_OK ? take_digest(import, one, item, &error) : status;
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

static enum kw_status go_through(struct import *import, struct kw_import_source *source)
{
    struct kw_bytes text = import->job->text;
    enum kw_status status = KW_OK;
    bool ended = false;
    while (status == KW_OK && !ended) {
        status = add_next(import, source, &text, &ended);
        if (status == KW_OK && (ended || is_full(import->chunks[import->at]))) {
            status = chunk_finish(import, import->chunks[1 - import->at]);
            if (status == KW_OK) {
                chunk_submit(import, import->chunks[import->at]);
                import->at = 1 - import->at;
            }
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
    import->own_method = method.number;
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
