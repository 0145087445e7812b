#include "engine/writer.h"

#include "base/bytes.h"
#include "core/id.h"
#include "core/management.h"
#include "engine/account.h"
#include "engine/import.h"

static uint32_t *touched_bucket(struct kw_writer *writer, const struct kw_id *id)
{
    return &writer->touched[kw_id_hash(id) % KW_TOUCHED_BUCKETS];
}

/* What a work leaves of one of its keys: itself, a successor, a parent that it marks; NULL where there is no such. */
static const struct kw_record *left_by(const struct kw_work *work, uint32_t which)
{
    const struct kw_record *records[] = {
        &work->change.after,
        work->change.has_successor ? &work->change.successor : NULL,
        work->marks_parent ? &work->parent : NULL,
    };
    return records[which];
}

/* Notes what works[index] leaves of its keys, for those that come behind it in the group. */
static void touch(struct kw_writer *writer, size_t index)
{
    struct kw_work *work = &writer->works[index];
    for (uint32_t which = 0; which < KW_COUNT_OF(work->touched_next); which++) {
        const struct kw_record *record = left_by(work, which);
        if (record != NULL) {
            uint32_t *bucket = touched_bucket(writer, &record->id);
            work->touched_next[which] = *bucket;
            *bucket = (uint32_t)(index * KW_COUNT_OF(work->touched_next)) + which + 1;
        }
    }
    if (work->op->kind == KW_OP_IMPORT_ONE) {
        kw__import_note(writer, index);
    }
}

const struct kw_work *kw__touched_before(struct kw_writer *writer, const struct kw_id *id,
                                         const struct kw_record **record_out)
{
    uint32_t at = *touched_bucket(writer, id);
    while (at != 0) {
        const struct kw_work *work = &writer->works[(at - 1) / KW_COUNT_OF(work->touched_next)];
        uint32_t which = (at - 1) % KW_COUNT_OF(work->touched_next);
        const struct kw_record *record = left_by(work, which);
        if (!work->settled && kw_id_equal(&record->id, id)) {
            *record_out = record;
            return work;
        }
        at = work->touched_next[which];
    }
    return NULL;
}

static enum kw_status load_from_store(struct kw_engine *engine, const struct kw_id *id, struct kw_record *record_out,
                                      struct kw_digest *digest_out)
{
    struct kw_found found = {.arena = &engine->writer_state->arena};
    enum kw_status status = engine->store->ops->find_by_id(engine->store, id, kw__found_sink, &found);
    if (status == KW_OK) {
        status = kw_record_decode(found.row.record, record_out);
    }
    if (status == KW_OK) {
        digest_out->size = (uint8_t)found.row.digest.size;
        memcpy(digest_out->bytes, found.row.digest.data, found.row.digest.size);
    }
    return status;
}

/* The digest under which an earlier operation of the group has put that record. */
static const struct kw_digest *digest_in(const struct kw_work *work, const struct kw_record *record)
{
    return record == &work->change.successor ? &work->digests[1]
           : record == &work->parent         ? &work->parent_digest
                                             : &work->digests[0];
}

enum kw_status kw__load_key(struct kw_engine *engine, const struct kw_id *id, struct kw_record *record_out,
                            struct kw_digest *digest_out)
{
    const struct kw_record *record = NULL;
    const struct kw_work *earlier = kw__touched_before(engine->writer_state, id, &record);
    if (earlier == NULL) {
        return load_from_store(engine, id, record_out, digest_out);
    }
    if (record == &earlier->change.after && earlier->change.erased) {
        return KW_E_NOT_FOUND;
    }
    *record_out = *record;
    *digest_out = *digest_in(earlier, record);
    return KW_OK;
}

static enum kw_status load(struct kw_engine *engine, size_t index)
{
    struct kw_work *work = &engine->writer_state->works[index];
    enum kw_status status =
        work->is_loaded ? KW_OK : kw__load_key(engine, &work->op->id, &work->before, &work->before_digest);
    if (status != KW_OK) {
        return kw__store_failed(&work->op->error, status);
    }
    if (!kw_bytes_equal(work->before.project, work->project->name)) {
        return kw__store_failed(&work->op->error, KW_E_NOT_FOUND);
    }
    int64_t seen_ms = work->op->kind == KW_OP_LAPSE ? 0 : kw__seen_until(engine, &work->before_digest, &work->before);
    work->op->now_ms = seen_ms > work->op->now_ms ? seen_ms : work->op->now_ms;
    work->has_before = true;
    return KW_OK;
}

static enum kw_status draw_key(struct kw_engine *engine, const struct kw_key_format *format, struct kw_secret *key_out)
{
    uint8_t random[KW_KEY_RANDOM_SIZE];
    size_t size = (size_t)2 * format->length; /* twice what a full alphabet takes; a small one may need another round */
    size = format->alphabet.size != 0 || size > sizeof random ? sizeof random : size;
    enum kw_status status = KW_E_LIMIT;
    while (status == KW_E_LIMIT) {
        status = engine->entropy.draw(engine->entropy.context, random, size);
        if (status == KW_OK) {
            status = kw_key_generate(format, kw_bytes_of(random, size), key_out);
        }
        kw_wipe(random, sizeof random);
    }
    return status;
}

/* The environment of a key that is to be born: the one asked for, that of the key it follows, or the project's first.
 */
static const struct kw_environment *environment_of(const struct kw_work *work)
{
    const struct kw_project *project = work->project;
    const struct kw_key_params *params = work->params;
    if (work->has_before) {
        return kw_project_environment(project, work->before.env);
    }
    if (work->has_parent && (params->given & KW_GIVEN_ENV) == 0) {
        return kw_project_environment(project, work->parent.env);
    }
    if (params != NULL && (params->given & KW_GIVEN_ENV) != 0) {
        return kw_project_environment(project, params->env);
    }
    return &project->environments[0];
}

#define STEP_SIZE 4 /* bytes of what a further id is beyond the last one */

/*
 * Ids ascend in the order of commits, also within a millisecond and when the clock steps back (after a start: as soon
 * as all keys were read), so that a cursor misses nothing (the ULID specification's monotonicity). By how much is
 * random: the life before may have gone on from the same key, with the ids of events.
 */
static struct kw_id next_id(struct kw_engine *engine, int64_t now_ms, const uint8_t random[KW_ID_RANDOM_SIZE])
{
    struct kw_writer *writer = engine->writer_state;
    struct kw_id id = kw_id_make(now_ms, random);
    if (__atomic_load_n(&engine->fill_ended, __ATOMIC_ACQUIRE) &&
        kw_id_compare(&writer->last_id, &engine->newest) < 0) {
        writer->last_id = engine->newest;
    }
    if (kw_id_compare(&id, &writer->last_id) <= 0) {
        unsigned carry = 1;
        for (size_t i = sizeof id.bytes; i-- > 0;) {
            bool is_step = i >= sizeof id.bytes - STEP_SIZE;
            carry += writer->last_id.bytes[i] + (is_step ? random[i - (sizeof id.bytes - KW_ID_RANDOM_SIZE)] : 0U);
            id.bytes[i] = (uint8_t)carry;
            carry >>= 8;
        }
    }
    writer->last_id = id;
    return id;
}

enum kw_status kw__draw_id(struct kw_engine *engine, int64_t now_ms, struct kw_id *id_out)
{
    uint8_t random[KW_ID_RANDOM_SIZE];
    enum kw_status status = engine->entropy.draw(engine->entropy.context, random, sizeof random);
    if (status == KW_OK) {
        *id_out = next_id(engine, now_ms, random);
    }
    return status;
}

/* What a record says of its method beside the scheme. */
static uint8_t beyond_scheme(const struct kw_digest_method *method)
{
    return method->number == (uint8_t)method->scheme ? 0 : method->number;
}

static enum kw_status give_birth(struct kw_engine *engine, struct kw_work *work, struct kw_birth *birth_out)
{
    struct kw_op *op = work->op;
    const struct kw_environment *environment = environment_of(work);
    if (environment == NULL) {
        return kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "env", "there is no such environment in this project");
    }
    const struct kw_key_params *params = work->params;
    bool asks_public = params != NULL && (params->given & KW_GIVEN_PUBLIC) != 0 && params->is_public;
    bool is_public = work->has_before ? work->before.is_public : asks_public;
    const struct kw_key_format *format = is_public ? &environment->public_keys : &environment->secret_keys;
    if (format->prefix.size == 0) {
        return kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "isPublic",
                         "this environment has no public keys: give it a publicPrefix first");
    }
    uint8_t random[KW_ID_RANDOM_SIZE];
    enum kw_status status = op->chosen_key == NULL ? draw_key(engine, format, &op->secret)
                                                   : kw_secret_set(&op->secret, kw_secret_expose(op->chosen_key));
    if (status == KW_OK) {
        status = engine->entropy.draw(engine->entropy.context, random, sizeof random);
    }
    if (status != KW_OK) {
        return kw_refuse(&op->error, KW_CODE_INTERNAL, NULL, "the system gave no random bytes");
    }
    struct kw_bytes key = kw_secret_expose(&op->secret);
    const struct kw_digest_method *own = &kw__own_method(kw__methods(engine), work->project)->is;
    *birth_out = (struct kw_birth){.id = next_id(engine, op->now_ms, random),
                                   .env = environment->name,
                                   .prefix = format->prefix,
                                   .digest_scheme = own->scheme,
                                   .digest_method = beyond_scheme(own)};
    memcpy(birth_out->last_four, key.data + key.size - sizeof birth_out->last_four, sizeof birth_out->last_four);
    return KW_OK;
}

/* What the management interface's own keys must obey beside the rules for every key. */
static enum kw_status check_management(struct kw_engine *engine, const struct kw_work *work)
{
    struct kw_op *op = work->op;
    if (op->project != KW_PROJECT_KEYWARD || op->is_root || op->kind == KW_OP_LAPSE) {
        return KW_OK;
    }
    const struct kw_record *made = work->change.has_successor ? &work->change.successor : &work->change.after;
    bool shapes = op->kind == KW_OP_CREATE || op->kind == KW_OP_UPDATE || op->kind == KW_OP_ROTATE ||
                  op->kind == KW_OP_IMPORT_ONE;
    enum kw_status status = shapes ? kw_management_check(made, kw__catalog(engine), &op->error) : KW_OK;
    if (status != KW_OK || op->authority.size == 0) {
        return status;
    }
    struct kw_arena *arena = &engine->writer_state->arena;
    if (work->has_before) {
        status = kw__within_authority(engine, arena, op, &work->before, false);
    }
    bool is_made = !work->has_before || work->change.has_successor ||
                   kw_record_lives_until(made) != kw_record_lives_until(&work->before);
    return status != KW_OK || !shapes ? status : kw__within_authority(engine, arena, op, made, is_made);
}

struct kw_store_row kw__row_of(const struct kw_record *record, const struct kw_digest *digest, struct kw_bytes encoding)
{
    struct kw_store_row row = {.id = record->id,
                               .digest = kw_bytes_of(digest->bytes, digest->size),
                               .digest_scheme = kw_record_digest_method(record),
                               .project = record->project,
                               .env = record->env,
                               .owner = record->owner,
                               .org_id = record->org_id,
                               .tags = record->tags,
                               .parent_id = record->parent_id,
                               .policy = record->policy,
                               .expires_at_ms = record->expires_at_ms,
                               .due_at_ms = kw_record_due(record),
                               .version = record->version,
                               .record = encoding};
    memcpy(row.last_four, record->last_four, sizeof row.last_four);
    return row;
}

/* Encodes one record as a row of the batch. */
static enum kw_status add_put(struct kw_engine *engine, struct kw_work *work, const struct kw_record *record,
                              const struct kw_digest *digest, bool erased, uint64_t replaces)
{
    struct kw_writer *writer = engine->writer_state;
    kw_buffer_reset(&writer->scratch);
    struct kw_bytes encoding;
    enum kw_status status = kw_record_encode(record, &writer->scratch);
    if (status == KW_OK && writer->scratch.size > KW_RECORD_MAX) {
        return kw_refuse(&work->op->error, KW_CODE_INVALID_FIELD, "metadata",
                         "the whole record may take at most %d bytes: shorten metadata or description", KW_RECORD_MAX);
    }
    if (status == KW_OK) {
        status = kw_arena_copy(&writer->arena, kw_buffer_bytes(&writer->scratch), &encoding);
    }
    if (status != KW_OK) {
        return kw__store_failed(&work->op->error, KW_E_MEMORY);
    }
    struct kw_digest *kept = &work->digests[work->put_count];
    *kept = *digest;
    struct kw_store_put *put = &work->puts[work->put_count++];
    *put = (struct kw_store_put){.row = kw__row_of(record, kept, encoding), .replaces = replaces};
    put->row.erased = erased;
    return KW_OK;
}

static const enum kw_command_kind command_of[] = {
    [KW_OP_CREATE] = KW_COMMAND_CREATE,   [KW_OP_UPDATE] = KW_COMMAND_UPDATE, [KW_OP_ENABLE] = KW_COMMAND_ENABLE,
    [KW_OP_DISABLE] = KW_COMMAND_DISABLE, [KW_OP_REVOKE] = KW_COMMAND_REVOKE, [KW_OP_ROTATE] = KW_COMMAND_ROTATE,
    [KW_OP_ERASE] = KW_COMMAND_ERASE,     [KW_OP_LAPSE] = KW_COMMAND_LAPSE,   [KW_OP_END_GRACE] = KW_COMMAND_END_GRACE,
    [KW_OP_MOVE] = KW_COMMAND_MOVE,
};

static enum kw_status decide(struct kw_engine *engine, struct kw_work *work)
{
    struct kw_op *op = work->op;
    bool bears = op->kind == KW_OP_CREATE || op->kind == KW_OP_ROTATE;
    if (op->kind == KW_OP_IMPORT_ONE) {
        enum kw_status status = kw__import_decide(engine, (size_t)(work - engine->writer_state->works));
        return status == KW_OK ? check_management(engine, work) : status;
    }
    struct kw_birth *birth = kw_arena_take(&engine->writer_state->arena, sizeof *birth);
    if (birth == NULL) {
        return kw__store_failed(&op->error, KW_E_MEMORY);
    }
    enum kw_status status = bears ? give_birth(engine, work, birth) : KW_OK;
    if (status != KW_OK) {
        return status;
    }
    struct kw_command command = {.kind = command_of[op->kind],
                                 .project = work->project->name,
                                 .params = work->params,
                                 .birth = bears ? birth : NULL,
                                 .parent = work->has_parent ? &work->parent : NULL,
                                 .template_name = op->template_name,
                                 .actor = op->actor,
                                 .reason = op->reason,
                                 .grace_ms = op->grace_ms,
                                 .ends_grace = op->ends_grace,
                                 .if_version = op->if_version};
    if (op->kind == KW_OP_MOVE) {
        const struct kw__method *method = kw__methods(engine)->by_number[op->method_number];
        status = kw__admit_move(engine, work);
        if (method == NULL || status != KW_OK) {
            /* Retired since word was left: the key's next use leaves word of what its project has then. */
            return method == NULL ? kw__store_failed(&op->error, KW_E_UNAVAILABLE) : status;
        }
        command.moved_scheme = method->is.scheme;
        command.moved_method = beyond_scheme(&method->is);
    }
    status = kw_transition(work->has_before ? &work->before : NULL, &command, op->now_ms, &engine->writer_state->arena,
                           &work->change, &op->error);
    status = status != KW_OK ? status : kw__check_policy(engine, work);
    status = status == KW_OK && op->kind == KW_OP_ROTATE ? kw__admit_rotation(engine, work) : status;
    return status != KW_OK ? status : check_management(engine, work);
}

/*
 * With its first child a parent's record says so: then the index keeps a bound for its line from the start. A mark that
 * an earlier operation of the group is to make may be lost with it, and is made again.
 */
static enum kw_status mark_parent(struct kw_engine *engine, size_t index)
{
    struct kw_work *work = &engine->writer_state->works[index];
    const struct kw_record *record = NULL;
    if (work->parent.has_children && kw__touched_before(engine->writer_state, &work->parent.id, &record) == NULL) {
        return KW_OK;
    }
    uint64_t version = work->parent.version++;
    work->parent.has_children = true;
    work->marks_parent = true;
    return add_put(engine, work, &work->parent, &work->parent_digest, false, version);
}

/* The digest that a change gives to a key: to a new one, or in place of another. */
static struct kw_digest born_digest(struct kw_engine *engine, const struct kw_work *work)
{
    const struct kw_op *op = work->op;
    struct kw_digest born = {.size = 0};
    if (op->kind == KW_OP_IMPORT_ONE) {
        born = op->import_one->digests[0];
    } else if (op->kind == KW_OP_MOVE) {
        born = kw__moved_digest(op);
    } else if (op->kind == KW_OP_CREATE || work->change.has_successor) {
        kw__digest_new_key(engine, work->project, kw_secret_expose(&op->secret), &born);
    }
    return born;
}

static enum kw_status show_unchanged(const struct kw_work *work)
{
    struct kw_op *op = work->op;
    kw_buffer_reset(&op->result);
    enum kw_status status = kw_record_encode(&work->before, &op->result);
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, KW_E_MEMORY);
}

enum kw_status kw__prepare(struct kw_engine *engine, size_t index)
{
    struct kw_work *work = &engine->writer_state->works[index];
    struct kw_op *op = work->op;
    if (op->kind != KW_OP_LAPSE && !work->is_loaded) { /* an action on a filter happens at one time */
        op->now_ms = kw_engine_now_ms(engine);
    }
    work->project = kw_project_by_number(kw__catalog(engine), op->project);
    if (work->project == NULL) {
        return kw__project_gone(&op->error);
    }
    bool is_import = op->kind == KW_OP_IMPORT_ONE;
    enum kw_status status = op->kind == KW_OP_CREATE ? KW_OK
                            : is_import              ? kw__import_find(engine, index)
                                                     : load(engine, index);
    status = status != KW_OK ? status : kw__choose_params(engine, work);
    status = status != KW_OK ? status : kw__find_parent(engine, index);
    status = status != KW_OK ? status : kw__leave_expiry_to_parent(engine, work);
    status = status != KW_OK ? status : kw__refuse_orphans(engine, work);
    status = status != KW_OK ? status : decide(engine, work);
    if (status != KW_OK) {
        return status;
    }
    if (kw__changes_nothing(op)) {
        return show_unchanged(work);
    }
    struct kw_digest born = born_digest(engine, work);
    bool has_own_digest = work->has_before && op->kind != KW_OP_MOVE;
    const struct kw_digest *digest = has_own_digest ? &work->before_digest : &born;
    status = add_put(engine, work, &work->change.after, digest, work->change.erased,
                     work->has_before ? work->before.version : 0);
    if (status == KW_OK && work->change.has_successor) {
        status = add_put(engine, work, &work->change.successor, &born, false, 0);
    }
    if (status == KW_OK && (op->kind == KW_OP_CREATE || is_import) && work->has_parent) {
        status = mark_parent(engine, index);
    }
    work->is_shared = work->may_share && !work->has_before;
    status = status != KW_OK || work->is_shared ? status : kw__account_work(engine, work);
    if (status == KW_OK) {
        touch(engine->writer_state, index);
    }
    return status;
}
