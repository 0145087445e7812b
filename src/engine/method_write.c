#include "base/bytes.h"
#include "engine/writer.h"

/*
 * Operations on methods and on prefixes of foreign keys. Each is one setting that is written, and one table that is
 * published, before anybody is told.
 */

/*
 * What counts against the methods that a project may have in use: its own, those of its keys, and those that were taken
 * for it. No key is looked for under one that only its erased keys had, unless another one is found (verify.c).
 */
static struct kw_method_set in_use(const struct kw_engine *engine, const struct kw__fresh *fresh)
{
    const struct kw__methods *methods = kw__methods(engine);
    const struct kw_project *project = kw_project_by_number(kw__catalog(engine), fresh->project);
    struct kw_method_set counted = methods->all;
    struct kw_method_set used = {{0}};
    uint8_t number;
    for (number = 0; number < KW_METHOD_FIRST_OWN; number++) {
        kw_method_set_remove(&counted, number);
    }
    if (kw_index_complete(engine->index)) {
        kw_index_methods(engine->index, fresh->project, false, &counted);
    }
    kw_method_set_add_all(&counted, &fresh->methods);
    kw_method_set_add(&counted, kw__own_method(methods, project)->is.number);
    while (kw_method_set_take(&counted, &number)) {
        const struct kw__method *method = methods->by_number[number];
        if (method != NULL && kw__method_serves(method, fresh->project)) {
            kw_method_set_add(&used, number);
        }
    }
    return used;
}

static size_t count_of(struct kw_method_set methods)
{
    size_t count = 0;
    uint8_t number;
    while (kw_method_set_take(&methods, &number)) {
        count++;
    }
    return count;
}

/* One more in the project. Until all keys are counted it is not known which it has. */
static enum kw_status refuse_one_more(const struct kw_engine *engine, struct kw_error *error_out)
{
    if (!kw_index_complete(engine->index)) {
        return kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL,
                         "not all keys are counted yet, so that the project may have %d digest methods in use already: "
                         "try again after a moment",
                         KW_METHODS_OF_PROJECT_MAX);
    }
    return kw_refuse(error_out, KW_CODE_LIMIT_REACHED, NULL,
                     "the project's keys are of %d digest methods already, old peppers among them, and may be of no "
                     "more: use them, so that they move to the project's own, or erase what is revoked",
                     KW_METHODS_OF_PROJECT_MAX);
}

static enum kw_status check_method(const struct kw_engine *engine, uint16_t project,
                                   const struct kw_digest_method *method, struct kw_error *error_out)
{
    if (kw_digest_scheme_name(method->scheme) == NULL) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "digest", "there is no such digest scheme");
    }
    bool is_salted = kw_digest_scheme_is_salted(method->scheme);
    if (is_salted != (method->salt_size > 0) || method->salt_size > KW_SALT_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "salt", "must be 1 to %d bytes where the scheme has a salt",
                         KW_SALT_MAX);
    }
    enum kw_status status = kw_engine_pepper_check(engine, method, error_out);
    if (status != KW_OK) {
        return status;
    }
    bool serves = method->project == KW_PROJECT_NONE || method->project == project;
    return serves && kw_project_by_number(kw__catalog(engine), project) != NULL ? KW_OK : kw__project_gone(error_out);
}

static enum kw_status commit(struct kw_engine *engine, struct kw_bytes name, struct kw_bytes value)
{
    struct kw_store_setting setting = {name, value};
    struct kw_store_batch batch = {.settings = &setting, .setting_count = 1};
    enum kw_status status = engine->store->ops->commit(engine->store, &batch, 1);
    __atomic_store_n(&engine->writable, status == KW_OK, __ATOMIC_RELAXED);
    engine->methods_doubted = engine->methods_doubted || batch.outcome == KW_E_UNCERTAIN;
    return batch.outcome;
}

/* Writes and publishes what is in memory with the new method; takes it out again where that fails. */
static enum kw_status add_method(struct kw_engine *engine, const struct kw_digest_method *wanted)
{
    struct kw__method_memory *memory = &engine->method_memory;
    const struct kw__methods *before = kw__methods(engine);
    struct kw__method *method = &memory->methods[wanted->number];
    struct kw_buffer encoding;
    *method = (struct kw__method){.is = *wanted};
    kw_buffer_init(&encoding, KW_METHODS_SETTING_MAX);
    enum kw_status status = kw__method_ready(memory, method);
    status = status != KW_OK ? status : kw__methods_encode(memory, &encoding);
    struct kw__methods *next =
        status == KW_OK ? kw__methods_make(memory, before->foreigns, before->foreign_count) : NULL;
    status = status == KW_OK && next == NULL ? KW_E_MEMORY : status;
    status = status != KW_OK ? status : commit(engine, KW_BYTES(KW_METHODS_SETTING), kw_buffer_bytes(&encoding));
    if (status == KW_OK) {
        kw__methods_publish(engine, next);
    } else {
        kw__methods_free(next);
        kw__method_clear(method);
    }
    kw_buffer_deinit(&encoding);
    return status;
}

/* Numbers are not used again, and peppers need some, too. */
static bool has_all_salts(const struct kw__method_memory *memory)
{
    size_t count = 0;
    for (size_t number = KW_METHOD_FIRST_OWN; number < KW_METHODS_MAX; number++) {
        count += kw_digest_scheme_is_salted(memory->methods[number].is.scheme);
    }
    return count >= KW_METHODS_SALTED_MAX;
}

static enum kw_status make_method(struct kw_engine *engine, struct kw_digest_method *wanted, struct kw_op *op)
{
    wanted->number = kw__method_free_number(&engine->method_memory);
    if (wanted->number == 0) {
        return kw_refuse(&op->error, KW_CODE_LIMIT_REACHED, NULL, "the store knows as many digest methods as it can");
    }
    if (kw_digest_scheme_is_salted(wanted->scheme) && has_all_salts(&engine->method_memory)) {
        return kw_refuse(&op->error, KW_CODE_LIMIT_REACHED, "salt",
                         "is one more than the %d that imports may bring into all projects of a store, those of keys "
                         "that are gone among them: import the plain keys, or into another store",
                         KW_METHODS_SALTED_MAX);
    }
    if (op->is_dry_run) {
        wanted->number = (uint8_t)wanted->scheme; /* nothing is kept, and nothing has the method yet */
        return KW_OK;
    }
    enum kw_status status = add_method(engine, wanted);
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}

static enum kw_status take_method(struct kw_engine *engine, struct kw_op *op)
{
    struct kw__method_memory *memory = &engine->method_memory;
    struct kw_digest_method wanted = *op->method;
    wanted.project = wanted.scheme == KW_DIGEST_HMAC_SHA256 ? KW_PROJECT_NONE : wanted.project;
    if (wanted.scheme != KW_DIGEST_HMAC_SHA256) {
        memset(wanted.fingerprint, 0, sizeof wanted.fingerprint);
    }
    enum kw_status status = check_method(engine, op->project, &wanted, &op->error);
    if (status != KW_OK) {
        return status;
    }
    uint8_t number = kw__method_find(memory, &wanted);
    if (number != 0 && memory->methods[number].is_retired) { /* its pepper is on its way out */
        return kw__pepper_missing(&wanted, &op->error);
    }
    struct kw__fresh *fresh = kw__fresh_of(memory, op->project);
    if (fresh == NULL) {
        return kw__store_failed(&op->error, KW_E_MEMORY);
    }
    struct kw_method_set used = in_use(engine, fresh);
    bool is_in_use_already = number != 0 && kw_method_set_has(&used, number);
    if (!is_in_use_already && count_of(used) >= KW_METHODS_OF_PROJECT_MAX) {
        return refuse_one_more(engine, &op->error);
    }
    if (number == 0) {
        status = make_method(engine, &wanted, op);
        number = wanted.number;
    }
    if (status == KW_OK && !op->is_dry_run) {
        kw_method_set_add(&fresh->methods, number);
    }
    op->method_number = number;
    return status;
}

/* --- foreign prefixes --- */

static struct kw__foreign foreign_of(const struct kw__methods *methods, uint16_t project)
{
    for (size_t i = 0; i < methods->foreign_count; i++) {
        if (methods->foreigns[i].project == project) {
            return methods->foreigns[i];
        }
    }
    return (struct kw__foreign){.project = project};
}

/* Whether all keys that begin so are looked up already. */
static bool has_prefix(const struct kw__foreign *foreign, struct kw_bytes prefix)
{
    for (size_t i = 0; i < foreign->count; i++) {
        if (kw_bytes_starts_with(prefix, kw_bytes_of(foreign->prefixes[i].bytes, foreign->prefixes[i].size))) {
            return true;
        }
    }
    return false;
}

static struct kw__methods *with_foreign(struct kw_engine *engine, const struct kw__foreign *changed)
{
    const struct kw__methods *before = kw__methods(engine);
    struct kw__foreign *foreigns = kw_alloc(before->foreign_count + 1, sizeof *foreigns);
    size_t count = 0;
    if (foreigns == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < before->foreign_count; i++) {
        if (before->foreigns[i].project != changed->project) {
            foreigns[count++] = before->foreigns[i];
        }
    }
    foreigns[count++] = *changed;
    struct kw__methods *next = kw__methods_make(&engine->method_memory, foreigns, count);
    kw_free(foreigns);
    return next;
}

static enum kw_status write_foreign(struct kw_engine *engine, struct kw_bytes project,
                                    const struct kw__foreign *foreign)
{
    uint8_t name_memory[KW_PROJECT_MAX + sizeof KW_FOREIGN_PREFIX];
    uint8_t memory[1 + KW_FOREIGN_COUNT_MAX * (1 + KW_PREFIX_MAX)];
    struct kw_buffer name;
    struct kw_buffer encoding;
    kw_buffer_init_fixed(&name, name_memory, sizeof name_memory);
    kw_buffer_init_fixed(&encoding, memory, sizeof memory);
    kw_buffer_add_text(&name, KW_FOREIGN_PREFIX);
    kw_buffer_add(&name, project);
    enum kw_status status = kw__foreign_encode(foreign, &encoding);
    status = status != KW_OK ? status : kw_buffer_status(&name);
    struct kw__methods *next = status == KW_OK ? with_foreign(engine, foreign) : NULL;
    if (next == NULL) {
        return KW_E_MEMORY;
    }
    status = commit(engine, kw_buffer_bytes(&name), kw_buffer_bytes(&encoding));
    if (status == KW_OK) {
        kw__methods_publish(engine, next);
    } else {
        kw__methods_free(next);
    }
    return status;
}

static enum kw_status add_foreign(struct kw_engine *engine, struct kw_op *op)
{
    const struct kw_project *project = kw_project_by_number(kw__catalog(engine), op->project);
    if (project == NULL) {
        return kw__project_gone(&op->error);
    }
    if (op->name.size > KW_PREFIX_MAX) {
        return kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "prefix", "must be at most %d bytes", KW_PREFIX_MAX);
    }
    struct kw__foreign foreign = foreign_of(kw__methods(engine), op->project);
    if (has_prefix(&foreign, op->name)) {
        return KW_OK;
    }
    foreign.count = op->name.size == 0 ? 0 : foreign.count; /* which takes in all others */
    if (foreign.count == KW_FOREIGN_COUNT_MAX) {
        return kw_refuse(&op->error, KW_CODE_LIMIT_REACHED, "prefix",
                         "a project admits foreign keys of at most %d prefixes: give an empty one, which is any",
                         KW_FOREIGN_COUNT_MAX);
    }
    foreign.prefixes[foreign.count].size = (uint8_t)op->name.size;
    if (op->name.size > 0) {
        memcpy(foreign.prefixes[foreign.count].bytes, op->name.data, op->name.size);
    }
    foreign.count++;
    enum kw_status status = write_foreign(engine, project->name, &foreign);
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}

void kw__method_write(struct kw_engine *engine, struct kw_op *op)
{
    op->now_ms = kw_engine_now_ms(engine);
    switch (op->kind) {
    case KW_OP_METHOD_TAKE:
        op->status = take_method(engine, op);
        break;
    case KW_OP_PEPPER_ADD:
        op->status = kw__pepper_add(engine, op);
        break;
    case KW_OP_PEPPER_RETIRE:
        op->status = kw__pepper_retire(engine, op);
        break;
    default:
        op->status = add_foreign(engine, op);
        break;
    }
    op->done(op);
}

/* --- for callers --- */

enum kw_status kw_engine_method_take(struct kw_engine *engine, uint16_t project, const struct kw_digest_method *method,
                                     bool is_dry_run, uint8_t *number_out, struct kw_error *error_out)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_METHOD_TAKE, project);
    op.is_dry_run = is_dry_run;
    op.method = method;
    enum kw_status status = kw_engine_run(engine, &op);
    if (status == KW_OK) {
        *number_out = op.method_number;
    } else {
        *error_out = op.error;
    }
    kw_op_deinit(&op);
    return status;
}

enum kw_status kw_engine_foreign_add(struct kw_engine *engine, uint16_t project, struct kw_bytes prefix,
                                     struct kw_error *error_out)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_FOREIGN_ADD, project);
    op.name = prefix;
    enum kw_status status = kw_engine_run(engine, &op);
    if (status != KW_OK) {
        *error_out = op.error;
    }
    kw_op_deinit(&op);
    return status;
}
