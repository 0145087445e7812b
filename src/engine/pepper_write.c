#include "base/bytes.h"
#include "base/json.h"
#include "core/id.h"
#include "engine/account.h"
#include "engine/tell.h"

/*
 * Peppers that come and go while everything runs. The writer does it between groups of changes, so that no record is
 * made meanwhile. What is kept comes before what is used:
 *
 *     adding    1. the file has it   2. the store knows its method   3. the table is published: keys are made with it
 *     retiring  1. the store knows that its method is retired   2. the table is published   3. the file has it no more
 *
 * A start on what a crash has left behind each of these comes up: a pepper of the file that has no method, or a retired
 * one, gets it; a method without its pepper is retired, since no record has it.
 */

#define FINGERPRINT_TEXT ((size_t)2 * KW_PEPPER_FINGERPRINT_SIZE)

/* One of the two on its way. */
struct change {
    struct kw_engine *engine;
    struct kw_op *op;
    struct kw__method_memory *memory;
    struct kw_peppers kept; /* where somebody keeps them: what is there now, then what is to be there */
    struct kw_buffer setting;
    struct kw_store_audit audit;
    struct kw_store_event event;
    struct kw__methods *next;
};

/* What adding changes in memory, as it was. */
struct former {
    struct kw__method *place;
    struct kw__method method;
    struct kw_digester *digesters[KW_PEPPERS_MAX];
    uint8_t fingerprints[KW_PEPPERS_MAX][KW_PEPPER_FINGERPRINT_SIZE];
    size_t count;
};

static void write_text(const uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE], char out[FINGERPRINT_TEXT + 1])
{
    kw_hex_encode(kw_bytes_of(fingerprint, KW_PEPPER_FINGERPRINT_SIZE), out);
    out[FINGERPRINT_TEXT] = '\0';
}

static bool is_kept(const struct change *change)
{
    return change->engine->pepper_keeper.read != NULL;
}

/* Where the pepper stands among those that are here; behind the last when it is not. */
static size_t place_of(const struct kw__method_memory *memory, const uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE])
{
    size_t at = 0;
    while (at < memory->pepper_count && !kw_fingerprint_equal(memory->fingerprints[at], fingerprint)) {
        at++;
    }
    return at;
}

/* Whether the pepper was retired already, but where it is kept that could not be written. */
static bool is_ending(const struct kw__method_memory *memory, const uint8_t *fingerprint)
{
    bool is_retired = false;
    for (size_t number = 1; number < KW_METHODS_MAX && !is_retired; number++) {
        const struct kw__method *method = &memory->methods[number];
        is_retired = method->is_retired && method->is.scheme == KW_DIGEST_HMAC_SHA256 &&
                     kw_fingerprint_equal(method->is.fingerprint, fingerprint);
    }
    return is_retired;
}

/* Reads what is kept. Somebody else may have changed it: what this process works with must be there, but for `but`. */
static enum kw_status read_kept(struct change *change, const uint8_t *but)
{
    const struct kw_pepper_keeper *keeper = &change->engine->pepper_keeper;
    struct kw_error *error = &change->op->error;
    enum kw_status status = is_kept(change) ? keeper->read(keeper->context, &change->kept, error) : KW_OK;
    for (size_t i = 0; is_kept(change) && status == KW_OK && i < change->memory->pepper_count; i++) {
        const uint8_t *here = change->memory->fingerprints[i];
        bool is_spared = (but != NULL && kw_fingerprint_equal(here, but)) || is_ending(change->memory, here);
        if (!is_spared && !kw_peppers_has(&change->kept, here)) {
            char text[FINGERPRINT_TEXT + 1];
            write_text(here, text);
            status = kw_refuse(error, KW_CODE_PEPPER_MISMATCH, NULL,
                               "the peppers' file was changed and no longer holds the one of fingerprint %.8s, which "
                               "this process works with: put it back first",
                               text);
        }
    }
    return status;
}

static enum kw_status write_kept(struct change *change, const struct kw_peppers *peppers)
{
    const struct kw_pepper_keeper *keeper = &change->engine->pepper_keeper;
    return is_kept(change) ? keeper->write(keeper->context, peppers, &change->op->error) : KW_OK;
}

/* --- the store --- */

static void write_details(const struct kw_op *op, struct kw_json_writer *json)
{
    char fingerprint[FINGERPRINT_TEXT + 1];
    write_text(op->fingerprint, fingerprint);
    kw__tell_text(json, "fingerprint", kw_bytes_of_text(fingerprint));
    if (op->forgets_erased) {
        kw_json_name(json, "forgetErased");
        kw_json_bool(json, true);
    }
}

/* The audit entry and the event, which are committed with the change or not at all (DESIGN, invariant 7). */
static enum kw_status add_account(struct change *change, const char *action)
{
    struct kw_engine *engine = change->engine;
    struct kw_op *op = change->op;
    struct kw_bytes project = kw_project_built_in(KW_PROJECT_KEYWARD)->name;
    struct kw_bytes name = kw_bytes_of_text(action);
    struct kw_json_writer json;
    change->audit = (struct kw_store_audit){.at_ms = op->now_ms, .project = project, .action = name};
    change->event = (struct kw_store_event){.at_ms = op->now_ms, .project = project, .type = name};
    enum kw_status status = kw__draw_id(engine, op->now_ms, &change->event.id);
    kw__line_begin(engine, &json);
    write_details(op, &json);
    status = status == KW_OK ? kw__line_end(engine, &json, &change->audit.body) : status;
    kw__tell_begin(engine, NULL, false, &json, &change->event);
    write_details(op, &json);
    kw__tell_text(&json, "actor", kw__tell_actor(op));
    status = status == KW_OK ? kw__tell_end(engine, &json, &change->event) : status;
    return status == KW_OK ? kw__account_who(engine, op, &change->audit) : status;
}

/* Makes of what is in memory all that can fail ahead of the commit. */
static enum kw_status make_next(struct change *change, const char *action)
{
    const struct kw__methods *before = kw__methods(change->engine);
    enum kw_status status = kw__methods_encode(change->memory, &change->setting);
    status = status != KW_OK ? status : add_account(change, action);
    if (status == KW_OK) {
        change->next = kw__methods_make(change->memory, before->foreigns, before->foreign_count);
        status = change->next == NULL ? KW_E_MEMORY : KW_OK;
    }
    return status == KW_OK ? KW_OK : kw__store_failed(&change->op->error, status);
}

/* True when the write is there. That it is not there proves nothing (see the writer). */
static bool has_happened(struct change *change)
{
    struct kw_store *store = change->engine->store;
    struct kw_bytes setting = kw_buffer_bytes(&change->setting);
    uint8_t *value = kw_arena_take(&change->engine->writer_state->arena, KW_METHODS_SETTING_MAX);
    size_t size = 0;
    return value != NULL &&
           store->ops->setting(store, KW_BYTES(KW_METHODS_SETTING), value, KW_METHODS_SETTING_MAX, &size) == KW_OK &&
           size <= KW_METHODS_SETTING_MAX && kw_bytes_equal(kw_bytes_of(value, size), setting);
}

/* `trusts_eyes`: a write of unknown outcome that is there to be seen counts as one that will stay. */
static enum kw_status commit(struct change *change, bool trusts_eyes)
{
    struct kw_engine *engine = change->engine;
    struct kw_store_setting setting = {KW_BYTES(KW_METHODS_SETTING), kw_buffer_bytes(&change->setting)};
    struct kw_store_batch batch = {.audits = &change->audit,
                                   .audit_count = 1,
                                   .events = &change->event,
                                   .event_count = 1,
                                   .settings = &setting,
                                   .setting_count = 1};
    enum kw_status status = engine->store->ops->commit(engine->store, &batch, 1);
    kw__tell_committed(engine);
    __atomic_store_n(&engine->writable, status == KW_OK, __ATOMIC_RELAXED);
    __atomic_fetch_add(&engine->commits, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&engine->commit_ops, 1, __ATOMIC_RELAXED);
    if (batch.outcome == KW_OK || (batch.outcome == KW_E_UNCERTAIN && trusts_eyes && has_happened(change))) {
        return KW_OK;
    }
    engine->methods_doubted = engine->methods_doubted || batch.outcome == KW_E_UNCERTAIN;
    return batch.outcome == KW_E_UNCERTAIN
               ? kw_refuse(&change->op->error, KW_CODE_OUTCOME_UNCERTAIN, NULL,
                           "the change may or may not have happened: list the peppers, and try again")
               : kw__store_failed(&change->op->error, batch.outcome);
}

static void publish(struct change *change)
{
    kw__methods_publish(change->engine, change->next);
    change->next = NULL;
}

static void begin(struct change *change)
{
    change->op->now_ms = kw_engine_now_ms(change->engine);
    kw_buffer_init(&change->setting, KW_METHODS_SETTING_MAX);
}

static void end(struct change *change)
{
    kw__methods_free(change->next);
    kw_buffer_deinit(&change->setting);
    kw_peppers_wipe(&change->kept);
    kw_arena_reset(&change->engine->writer_state->arena);
}

/* --- adding --- */

static enum kw_status choose(const struct change *change, struct kw_secret *pepper_out)
{
    struct kw_op *op = change->op;
    enum kw_status status = KW_OK;
    if (op->pepper != NULL) {
        *pepper_out = *op->pepper;
    } else if (is_kept(change)) {
        status = kw_pepper_draw(&change->engine->entropy, pepper_out, &op->error);
    } else {
        return kw_refuse(&op->error, KW_CODE_MISSING_FIELD, "pepper",
                         "is required, %d random bytes that you keep from now on: with a store of your own nobody "
                         "would have a drawn one after the next start",
                         KW_PEPPER_SIZE);
    }
    if (status == KW_OK) {
        kw_pepper_fingerprint(pepper_out, op->fingerprint);
    }
    return status;
}

/* The place of the pepper's method: its own, or a free one. NULL: there is none. */
static struct kw__method *find_place(struct kw__method_memory *memory, const uint8_t *fingerprint)
{
    struct kw_digest_method wanted = {.scheme = KW_DIGEST_HMAC_SHA256};
    memcpy(wanted.fingerprint, fingerprint, sizeof wanted.fingerprint);
    uint8_t number = kw__method_find(memory, &wanted);
    number = number != 0 ? number : kw__method_free_number(memory);
    return number == 0 ? NULL : &memory->methods[number];
}

static void remember(const struct kw__method_memory *memory, struct kw__method *place, struct former *former_out)
{
    former_out->place = place;
    former_out->method = *place;
    former_out->count = memory->pepper_count;
    memcpy(former_out->digesters, memory->pepper_digesters, sizeof former_out->digesters);
    memcpy(former_out->fingerprints, memory->fingerprints, sizeof former_out->fingerprints);
}

static void restore(struct kw__method_memory *memory, const struct former *former)
{
    if (memory->pepper_count > former->count) { /* the first is new */
        kw_digester_free(memory->pepper_digesters[0]);
    }
    if (former->method.is.scheme == 0) {
        *former->place = former->method;
    } else { /* what it means may be read just now, and is the same */
        former->place->is_retired = former->method.is_retired;
        former->place->digester = former->method.digester;
    }
    memory->pepper_count = former->count;
    memcpy(memory->pepper_digesters, former->digesters, sizeof former->digesters);
    memcpy(memory->fingerprints, former->fingerprints, sizeof former->fingerprints);
}

/* Puts it before the others. Its method is not in the table yet, or stays what it is: nobody reads what changes. */
static enum kw_status put_first(struct kw__method_memory *memory, const struct kw_secret *pepper,
                                const uint8_t *fingerprint, struct kw__method *place)
{
    size_t at = place_of(memory, fingerprint);
    bool is_new = at == memory->pepper_count;
    struct kw_digester *digester = is_new ? NULL : memory->pepper_digesters[at];
    struct kw_bytes none = {NULL, 0};
    enum kw_status status = is_new ? kw_digester_new(KW_DIGEST_HMAC_SHA256, pepper, none, &digester) : KW_OK;
    if (status != KW_OK) {
        return status;
    }
    for (size_t i = at; i > 0; i--) {
        memory->pepper_digesters[i] = memory->pepper_digesters[i - 1];
    }
    memmove(memory->fingerprints + 1, memory->fingerprints, at * sizeof *memory->fingerprints);
    memory->pepper_digesters[0] = digester;
    memcpy(memory->fingerprints[0], fingerprint, sizeof memory->fingerprints[0]);
    memory->pepper_count += is_new;
    if (place->is.scheme == 0) {
        place->is.number = (uint8_t)(place - memory->methods);
        place->is.scheme = KW_DIGEST_HMAC_SHA256;
        memcpy(place->is.fingerprint, fingerprint, sizeof place->is.fingerprint);
    }
    place->is_retired = false;
    return kw__method_ready(memory, place);
}

/* Writes down what is in memory, and lets everybody have it. `is_written_out`: what is kept was changed, or may be. */
static enum kw_status add_first(struct change *change, const struct kw_secret *pepper, bool *is_written_out)
{
    enum kw_status status = make_next(change, "pepper.added");
    status = status != KW_OK ? status : kw_peppers_put_first(&change->kept, pepper, &change->op->error);
    if (status == KW_OK) {
        *is_written_out = true;
        status = write_kept(change, &change->kept);
    }
    status = status != KW_OK ? status : commit(change, true);
    if (status == KW_OK) {
        publish(change);
    }
    return status;
}

static enum kw_status add(struct change *change, const struct kw_secret *pepper)
{
    struct kw__method_memory *memory = change->memory;
    struct kw_op *op = change->op;
    struct former former;
    size_t at = place_of(memory, op->fingerprint);
    if (at == 0) {
        return KW_OK;
    }
    if (at == KW_PEPPERS_MAX) {
        return kw_refuse(&op->error, KW_CODE_LIMIT_REACHED, NULL,
                         "there are %d peppers, and may be no more: retire those that no key needs", KW_PEPPERS_MAX);
    }
    struct kw__method *place = find_place(memory, op->fingerprint);
    if (place == NULL) {
        return kw_refuse(&op->error, KW_CODE_LIMIT_REACHED, NULL, "the store knows as many digest methods as it can");
    }
    enum kw_status status = read_kept(change, NULL);
    if (status != KW_OK) {
        return status;
    }
    struct kw_peppers before KW_PEPPERS_WIPED = change->kept;
    bool is_written = false;
    remember(memory, place, &former);
    status = put_first(memory, pepper, op->fingerprint, place);
    status = status != KW_OK ? kw__store_failed(&op->error, status) : add_first(change, pepper, &is_written);
    if (status != KW_OK) {
        struct kw_error why = op->error;
        restore(memory, &former);
        if (is_written) {
            (void)!write_kept(change, &before); /* where it stays, the next start has one more, that is all */
        }
        op->error = why;
    }
    return status;
}

enum kw_status kw__pepper_add(struct kw_engine *engine, struct kw_op *op)
{
    struct change change = {.engine = engine, .op = op, .memory = &engine->method_memory};
    struct kw_secret pepper KW_WIPED = {0};
    begin(&change);
    enum kw_status status = choose(&change, &pepper);
    status = status != KW_OK ? status : add(&change, &pepper);
    end(&change);
    return status;
}

/* --- retiring --- */

static enum kw_status check_unneeded(const struct change *change, size_t at)
{
    struct kw_op *op = change->op;
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    size_t count = kw_engine_peppers(change->engine, uses, KW_COUNT_OF(uses));
    if (at >= count) {
        return kw_refuse(&op->error, KW_CODE_PEPPER_NOT_FOUND, "fingerprint",
                         "is that of no pepper that is here: list those there are");
    }
    if (uses[at].is_current) {
        return kw_refuse(&op->error, KW_CODE_PEPPER_IN_USE, "fingerprint",
                         "is that of new keys: rotate to a new pepper first, then retire this one");
    }
    if (uses[at].keys > 0) {
        return kw_refuse(&op->error, KW_CODE_PEPPER_IN_USE, "fingerprint",
                         "is still needed by %llu key%s: those in use move at their next use; rotate the others, and "
                         "erase what is revoked, which forgetErased (--forget-erased) lets go then",
                         (unsigned long long)uses[at].keys, uses[at].keys == 1 ? "" : "s");
    }
    /* A write of unknown outcome may have made one that the index does not count. */
    if (!uses[at].is_counted || kw__has_doubts(change->engine)) {
        return kw_refuse(&op->error, KW_CODE_TOO_BUSY, NULL,
                         "not all keys are counted yet, so that some may need it: try again after a moment");
    }
    if (uses[at].erased > 0 && !op->forgets_erased) {
        bool is_one = uses[at].erased == 1;
        return kw_refuse(&op->error, KW_CODE_PEPPER_IN_USE, "fingerprint",
                         "is still needed by %llu erased key%s: without it nothing tells %s from a new one, so that an "
                         "import may bring %s in anew. Keep it as long as you import; or retire it with forgetErased "
                         "(--forget-erased), if that may be",
                         (unsigned long long)uses[at].erased, is_one ? "" : "s", is_one ? "it" : "them",
                         is_one ? "it" : "them");
    }
    if (__atomic_load_n(&change->engine->fill_skipped, __ATOMIC_ACQUIRE)) {
        return kw_refuse(&op->error, KW_CODE_STORE_CORRUPT, NULL,
                         "the store holds records that cannot be read, and that may need it: the log of the last start "
                         "names them");
    }
    return KW_OK;
}

static void mark(struct kw__method_memory *memory, const uint8_t *fingerprint, bool is_retired)
{
    for (size_t number = 1; number < KW_METHODS_MAX; number++) {
        struct kw__method *method = &memory->methods[number];
        if (method->is.scheme == KW_DIGEST_HMAC_SHA256 && kw_fingerprint_equal(method->is.fingerprint, fingerprint)) {
            method->is_retired = is_retired;
            kw__fresh_forget(memory, (uint8_t)number);
        }
    }
}

/* Takes a pepper's fingerprint out of a row of them. */
static void close_gap(uint8_t fingerprints[KW_PEPPERS_MAX][KW_PEPPER_FINGERPRINT_SIZE], size_t at, size_t count)
{
    memmove(fingerprints + at, fingerprints + at + 1, (count - at - 1) * sizeof *fingerprints);
}

/* What nobody looks keys up with any more. */
static void forget(struct kw__method_memory *memory, size_t at)
{
    struct kw_digester *digester = memory->pepper_digesters[at];
    for (size_t number = 1; number < KW_METHODS_MAX; number++) {
        struct kw__method *method = &memory->methods[number];
        if (method->digester == digester) {
            method->digester = NULL;
        }
    }
    kw_digester_free(digester);
    for (size_t i = at; i + 1 < memory->pepper_count; i++) {
        memory->pepper_digesters[i] = memory->pepper_digesters[i + 1];
    }
    close_gap(memory->fingerprints, at, memory->pepper_count);
    memory->pepper_digesters[--memory->pepper_count] = NULL;
}

/* A table that does not list the pepper, either: for when nobody keeps it any more. NULL: no memory. */
static struct kw__methods *make_last(const struct change *change, size_t at)
{
    const struct kw__methods *before = kw__methods(change->engine);
    struct kw__methods *last = kw__methods_make(change->memory, before->foreigns, before->foreign_count);
    if (last != NULL) {
        close_gap(last->fingerprints, at, last->pepper_count);
        last->pepper_count--;
    }
    return last;
}

/* Where it cannot be taken out of what is kept, it is still listed, so that it can be retired again. */
static enum kw_status take_out(struct change *change, size_t at)
{
    enum kw_status status = KW_OK;
    if (kw_peppers_remove(&change->kept, change->op->fingerprint)) {
        status = write_kept(change, &change->kept);
    }
    if (status == KW_OK) {
        forget(change->memory, at);
        publish(change);
    }
    return status;
}

static enum kw_status retire(struct change *change, size_t at)
{
    struct kw_op *op = change->op;
    bool was_ending = is_ending(change->memory, op->fingerprint);
    mark(change->memory, op->fingerprint, true);
    enum kw_status status = make_next(change, "pepper.retired");
    struct kw__methods *last = status == KW_OK ? make_last(change, at) : NULL;
    if (status == KW_OK && last == NULL) {
        status = kw__store_failed(&op->error, KW_E_MEMORY);
    }
    /* An earlier write that was given up could come back under the pepper, until one is known to stand in its place. */
    status = status != KW_OK ? status : commit(change, false);
    if (status != KW_OK) {
        mark(change->memory, op->fingerprint, was_ending);
        kw__methods_free(last);
        return status;
    }
    publish(change);
    change->next = last;
    return take_out(change, at);
}

enum kw_status kw__pepper_retire(struct kw_engine *engine, struct kw_op *op)
{
    struct change change = {.engine = engine, .op = op, .memory = &engine->method_memory};
    begin(&change);
    size_t at = place_of(change.memory, op->fingerprint);
    enum kw_status status = check_unneeded(&change, at);
    status = status != KW_OK ? status : read_kept(&change, op->fingerprint);
    status = status != KW_OK ? status : retire(&change, at);
    end(&change);
    return status;
}
