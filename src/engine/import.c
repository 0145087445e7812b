#include "engine/import.h"

#include "base/bytes.h"
#include "core/family.h"
#include "core/id.h"
#include "engine/writer.h"

/* --- what it stands under, and in which line --- */

static enum kw_status refuse_field(struct kw_work *work, const char *field, const char *why)
{
    return kw_refuse(&work->op->error, KW_CODE_INVALID_FIELD, field, "%s", why);
}

/* The newest key that is here of the line that `id` belongs to. KW_E_NOT_FOUND. */
static enum kw_status load_newest(struct kw_engine *engine, struct kw_id id, struct kw_record *record_out,
                                  struct kw_digest *digest_out)
{
    enum kw_status status = kw__load_key(engine, &id, record_out, digest_out);
    for (size_t step = 0; status == KW_OK && step < KW_LINE_LENGTH_MAX; step++) {
        struct kw_record next;
        struct kw_digest digest;
        if (kw_id_is_none(&record_out->rotated_to)) {
            return KW_OK;
        }
        status = kw__load_key(engine, &record_out->rotated_to, &next, &digest);
        if (status == KW_E_NOT_FOUND) {
            return KW_OK; /* it stands further down in the file, or was erased */
        }
        if (status == KW_OK) {
            *record_out = next;
            *digest_out = digest;
        }
    }
    return status;
}

static enum kw_status check_depth(struct kw_engine *engine, struct kw_work *work)
{
    struct kw_record at = work->parent;
    for (size_t generation = 1; !kw_id_is_none(&at.parent_id); generation++) {
        struct kw_digest digest;
        if (generation == KW_FAMILY_DEPTH_MAX) {
            return refuse_field(work, "parentId",
                                "is too deep in its family: at most 8 generations stand below the first key");
        }
        enum kw_status status = load_newest(engine, at.parent_id, &at, &digest);
        if (status == KW_E_NOT_FOUND) {
            return refuse_field(work, "parentId",
                                "names a key whose own parent is gone: its children would be dead from the start");
        }
        if (status != KW_OK) {
            return kw__store_failed(&work->op->error, status);
        }
    }
    return KW_OK;
}

static enum kw_status find_parent(struct kw_engine *engine, struct kw_work *work, struct kw_record *record)
{
    if (kw_id_is_none(&record->parent_id)) {
        return KW_OK;
    }
    enum kw_status status = load_newest(engine, record->parent_id, &work->parent, &work->parent_digest);
    bool is_ours = status == KW_OK && kw_bytes_equal(work->parent.project, record->project);
    if (status == KW_E_NOT_FOUND || (status == KW_OK && !is_ours)) {
        return refuse_field(work, "parentId",
                            "names no key of this project: in a file parents stand before their children");
    }
    if (status != KW_OK) {
        return kw__store_failed(&work->op->error, status);
    }
    work->has_parent = true;
    record->parent_id = work->parent.lineage_id;
    /* What an export says of a child held when it was made. What its parent has lost since, a verification takes from
     * the child here as it did there. */
    if (work->op->import_one->item->is_own && kw_bytes_equal(record->env, work->parent.env)) {
        return check_depth(engine, work);
    }
    status = kw_family_admits(&work->parent, record, &work->op->error);
    return status == KW_OK ? check_depth(engine, work) : status;
}

/*
 * Whether a key that says it was rotated from another may stand in that line: the line's bound, which its children
 * stand under, is its newest key, so nobody may become that who was not named by the one before.
 */
static enum kw_status check_line(struct kw_engine *engine, struct kw_work *work, const struct kw_record *record)
{
    bool is_first = kw_id_equal(&record->lineage_id, &record->id);
    if (is_first != kw_id_is_none(&record->rotated_from)) {
        return refuse_field(work, "lineageId", "and rotatedFrom belong together: give both or none");
    }
    if (is_first) {
        return KW_OK;
    }
    const struct kw_id starts[] = {record->lineage_id, record->rotated_from};
    for (size_t i = 0; i < KW_COUNT_OF(starts); i++) {
        struct kw_record newest;
        struct kw_digest digest;
        enum kw_status status = load_newest(engine, starts[i], &newest, &digest);
        if (status != KW_OK && status != KW_E_NOT_FOUND) {
            return kw__store_failed(&work->op->error, status);
        }
        if (status == KW_OK &&
            (kw_id_is_none(&newest.rotated_to) || !kw_id_equal(&newest.lineage_id, &record->lineage_id) ||
             !kw_bytes_equal(newest.project, record->project))) {
            return refuse_field(work, "rotatedFrom", "names a line whose last key here was not rotated to this one");
        }
    }
    struct kw_bytes encoding;
    struct kw_record newest;
    enum kw_status status =
        kw_index_copy_newest(engine->index, &record->lineage_id, &engine->writer_state->arena, &encoding);
    bool is_led = status == KW_OK && kw_record_decode(encoding, &newest) == KW_OK;
    return is_led && kw_id_is_none(&newest.rotated_to)
               ? refuse_field(work, "lineageId", "names a line whose last key here was not rotated to this one")
               : KW_OK;
}

static enum kw_status check_successor(struct kw_engine *engine, struct kw_work *work, const struct kw_record *record)
{
    struct kw_record successor;
    struct kw_digest digest;
    if (kw_id_is_none(&record->rotated_to)) {
        return KW_OK;
    }
    enum kw_status status = kw__load_key(engine, &record->rotated_to, &successor, &digest);
    if (status == KW_OK && (!kw_id_equal(&successor.lineage_id, &record->lineage_id) ||
                            !kw_bytes_equal(successor.project, record->project))) {
        return refuse_field(work, "rotatedTo", "names a key that is of another line here");
    }
    return status == KW_OK || status == KW_E_NOT_FOUND ? KW_OK : kw__store_failed(&work->op->error, status);
}

/* --- the record --- */

static enum kw_status check_names(struct kw_engine *engine, struct kw_work *work, const struct kw_record *record)
{
    const struct kw_catalog *catalog = kw__catalog(engine);
    struct kw_error *error = &work->op->error;
    if (record->policy.size > 0 && kw_policy_by_name(catalog, record->project, record->policy) == NULL) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "policy",
                         "there is no policy \"%.*s\" in this project: make it first", (int)record->policy.size,
                         (const char *)record->policy.data);
    }
    if (record->template_name.size > 0 &&
        kw_template_by_name(catalog, record->project, record->template_name) == NULL) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "template",
                         "there is no template \"%.*s\" in this project: make it first",
                         (int)record->template_name.size, (const char *)record->template_name.data);
    }
    return KW_OK;
}

/* What a key that may be used must obey, as one that is created here. */
static enum kw_status check_rules(struct kw_engine *engine, struct kw_work *work, const struct kw_record *record)
{
    struct kw_op *op = work->op;
    if (kw_record_status(record, op->now_ms) == KW_KEY_REVOKED) {
        return KW_OK;
    }
    struct kw_key_params params = {.given = KW_GIVEN_EXPIRES_AT, .expires_at_ms = record->expires_at_ms};
    enum kw_status status = kw_project_admits_expiry(work->project, &params, op->now_ms, &op->error);
    if (status == KW_OK && !op->import_one->item->is_own) {
        status = kw_project_admits_record(work->project, record, &op->error);
    }
    return status == KW_OK ? kw__check_policy(engine, work) : status;
}

static enum kw_status complete(struct kw_engine *engine, struct kw_work *work, struct kw_record *record)
{
    struct kw_op *op = work->op;
    const struct kw_import_one *one = op->import_one;
    *record = one->item->record;
    record->project = work->project->name;
    const struct kw_environment *environment =
        record->env.size == 0 ? &work->project->environments[0] : kw_project_environment(work->project, record->env);
    if (environment == NULL) {
        return kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "env",
                         "there is no environment \"%.*s\" in this project: make it first", (int)record->env.size,
                         (const char *)record->env.data);
    }
    struct kw_digest_method method;
    if (!kw_engine_method(engine, one->method, &method)) {
        return kw_refuse(&op->error, KW_CODE_TOO_BUSY, NULL,
                         "the pepper that its digest was made with was retired meanwhile: import it again");
    }
    record->env = environment->name;
    record->digest_scheme = method.scheme;
    record->digest_method = one->method == (uint8_t)method.scheme ? 0 : one->method;
    record->imported = true;
    record->version = 1;
    record->created_at_ms = record->created_at_ms == 0 ? op->now_ms : record->created_at_ms;
    record->updated_at_ms = record->updated_at_ms == 0 ? record->created_at_ms : record->updated_at_ms;
    record->created_by = record->created_by.size == 0 ? op->actor : record->created_by;
    if (record->revoked_at_ms != 0 && record->revoked_by.size == 0) {
        record->revoked_by = KW_BYTES("import");
    }
    return KW_OK;
}

enum kw_status kw__import_draw(struct kw_engine *engine, uint8_t random[KW_ID_RANDOM_SIZE])
{
    struct kw_writer *writer = engine->writer_state;
    if (writer->drawn_left == 0) {
        enum kw_status status = engine->entropy.draw(engine->entropy.context, writer->drawn, sizeof writer->drawn);
        if (status != KW_OK) {
            return status;
        }
        writer->drawn_left = sizeof writer->drawn / KW_ID_RANDOM_SIZE;
    }
    memcpy(random, writer->drawn + --writer->drawn_left * KW_ID_RANDOM_SIZE, KW_ID_RANDOM_SIZE);
    return KW_OK;
}

static enum kw_status decide(struct kw_engine *engine, struct kw_work *work)
{
    struct kw_op *op = work->op;
    struct kw_change *change = &work->change;
    struct kw_record record;
    enum kw_status status = complete(engine, work, &record);
    status = status == KW_OK ? check_names(engine, work, &record) : status;
    if (status != KW_OK) {
        return status;
    }
    if (kw_id_is_none(&record.id)) {
        status = kw__draw_id(engine, op->now_ms, &record.id);
        record.lineage_id = record.id;
    }
    if (status != KW_OK) {
        return kw__store_failed(&op->error, status);
    }
    change->action = "key.imported";
    if (work->has_before) {
        const struct kw_record *before;
        status = kw_record_settle(&work->before, op->now_ms, false, &engine->writer_state->arena, &before,
                                  &change->passed, &change->passed_count);
        status = status == KW_OK ? kw_import_over(before, &record, op->now_ms, &change->after, &op->error)
                                 : kw__store_failed(&op->error, KW_E_MEMORY);
        bool ends = status == KW_OK && change->after.revoked_at_ms != 0;
        change->action = ends ? "key.revoked" : change->action;
    } else {
        status = find_parent(engine, work, &record);
        status = status == KW_OK ? check_line(engine, work, &record) : status;
        change->after = record;
    }
    status = status == KW_OK ? check_successor(engine, work, &change->after) : status;
    status = status == KW_OK ? check_rules(engine, work, &change->after) : status;
    if (status == KW_OK) {
        op->import_one->id = change->after.id;
        op->import_one->outcome = work->has_before ? KW_IMPORT_OVERWRITTEN : KW_IMPORT_CREATED;
    }
    return status;
}

enum kw_status kw__import_decide(struct kw_engine *engine, size_t index)
{
    struct kw_work *work = &engine->writer_state->works[index];
    struct kw_import_one *one = work->op->import_one;
    enum kw_status status = decide(engine, work);
    if (status == KW_OK || work->has_before || one->meets_conflict || kw_id_is_none(&one->item->record.id)) {
        return status;
    }
    /* What is refused as a new key may be one that is here, under another digest by now. */
    struct kw_error refusal = work->op->error;
    one->meets_conflict = true;
    enum kw_status found = kw__import_find(engine, index);
    work->has_parent = false;
    if (found != KW_OK || work->has_before) {
        return found != KW_OK ? found : decide(engine, work);
    }
    work->op->error = refusal;
    return status;
}

bool kw__is_rehearsal(const struct kw_op *op)
{
    const struct kw_op *first = op->kind == KW_OP_TOGETHER && op->part_count > 0 ? op->parts : op;
    return first->kind == KW_OP_IMPORT_ONE && first->import_one->dry_run;
}

enum kw_status kw__import_conflict(struct kw_error *error_out, enum kw_status status)
{
    (void)status;
    return kw_refuse(error_out, KW_CODE_VERSION_CONFLICT, "id",
                     "is that of a key that others keep changing: import it again");
}
