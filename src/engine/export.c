#include "engine/export.h"

#include "base/bytes.h"
#include "base/time.h"
#include "core/import.h"
#include "engine/account.h"
#include "engine/methods.h"
#include "engine/peppers.h"

#define NOTE_MAX ((size_t)64 * 1024) /* of a line of the audit log: the filter's texts, escaped */

bool kw__export_writes(const struct kw_export *export)
{
    return export->gives_up || export->stage != KW_EXPORT_RECORDS;
}

/* --- the text --- */

static void write_hex(struct kw_json_writer *json, struct kw_bytes bytes)
{
    char hex[2 * KW_DIGEST_MAX];
    kw_hex_encode(bytes, hex);
    kw_json_string(json, kw_bytes_of(hex, 2 * bytes.size));
}

/* How a digest is made and what it is: all that somebody else needs to check keys by it, but for the pepper. */
static void write_digest(const struct kw_digest_method *method, struct kw_bytes digest, struct kw_json_writer *json)
{
    _Static_assert(KW_SALT_MAX <= KW_DIGEST_MAX, "write_hex takes it");
    kw_json_begin_object(json);
    kw_json_name(json, "scheme");
    kw_json_text(json, kw_digest_scheme_name(method->scheme));
    kw_json_name(json, "value");
    write_hex(json, digest);
    if (method->scheme == KW_DIGEST_HMAC_SHA256) {
        kw_json_name(json, "pepper");
        write_hex(json, kw_bytes_of(method->fingerprint, sizeof method->fingerprint));
    }
    if (method->salt_size > 0) {
        kw_json_name(json, "salt");
        write_hex(json, kw_bytes_of(method->salt, method->salt_size));
        kw_json_name(json, "saltPlace");
        kw_json_text(json, method->salt_place == KW_SALT_BEFORE_KEY ? "before" : "after");
    }
    kw_json_end_object(json);
}

static void write_peppers(const struct kw_engine *engine, struct kw_json_writer *json)
{
    struct kw_pepper_use peppers[KW_PEPPERS_MAX];
    size_t count = kw_engine_peppers(engine, peppers, KW_COUNT_OF(peppers));
    kw_json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        write_hex(json, kw_bytes_of(peppers[i].fingerprint, sizeof peppers[i].fingerprint));
    }
    kw_json_end_array(json);
}

/* The members that tell what this is; the object stays open. */
static void write_head(const struct kw_engine *engine, const struct kw_op *op, struct kw_bytes project,
                       struct kw_json_writer *json)
{
    char time[KW_TIME_TEXT_SIZE];
    kw_time_format(op->now_ms, time);
    kw_json_begin_object(json);
    kw_json_name(json, "keyward");
    kw_json_text(json, "export");
    kw_json_name(json, "version");
    kw_json_i64(json, KW_EXPORT_VERSION);
    kw_json_name(json, "project");
    kw_json_string(json, project);
    kw_json_name(json, "exportedAt");
    kw_json_string(json, kw_bytes_of(time, sizeof time));
    kw_json_name(json, "peppers");
    write_peppers(engine, json);
}

/* In both forms each key has a line of its own, and as many line breaks stand before the end. */
static void write_begin(const struct kw_engine *engine, struct kw_op *op, struct kw_bytes project)
{
    struct kw_json_writer json;
    kw_json_writer_init(&json, &op->result);
    write_head(engine, op, project, &json);
    if (op->export->format == KW_EXPORT_JSON) {
        kw_json_name(&json, "keys");
        kw_json_begin_array(&json);
    } else {
        kw_json_end_object(&json);
    }
}

static void write_end(struct kw_op *op)
{
    struct kw_json_writer json;
    bool is_json = op->export->format == KW_EXPORT_JSON;
    kw_json_writer_init(&json, &op->result);
    kw_buffer_add_byte(&op->result, '\n');
    if (is_json) {
        kw_json_end_array(&json);
    } else {
        kw_json_begin_object(&json);
        kw_json_name(&json, "keyward");
        kw_json_text(&json, "end");
    }
    kw_json_name(&json, is_json ? "count" : "keys");
    kw_json_i64(&json, (int64_t)op->export->count);
    kw_json_end_object(&json);
    kw_buffer_add_byte(&op->result, '\n');
}

/* --- keys, as a reader --- */

struct exporting {
    const struct kw_engine *engine;
    struct kw_op *op;
    struct kw_digest_method method; /* of the last key: most have the same */
    uint64_t count;
    struct kw_position last;
    bool is_full;
};

/* False where nobody knows how the digest was made. */
static bool find_method(struct exporting *exporting, const struct kw_store_row *row)
{
    bool is_known = exporting->method.number == row->digest_scheme ||
                    kw_engine_method_meant(exporting->engine, row->digest_scheme, &exporting->method);
    return is_known && row->digest.size <= KW_DIGEST_MAX;
}

static enum kw_status export_sink(void *context, const struct kw_store_row *row)
{
    struct exporting *exporting = context;
    struct kw_op *op = exporting->op;
    struct kw_buffer *text = &op->result;
    struct kw_record record;
    struct kw_json_writer json;
    enum kw_status status = find_method(exporting, row) ? kw_record_decode(row->record, &record) : KW_E_CORRUPT;
    if (status != KW_OK) {
        return status;
    }
    bool is_first = exporting->count == 0;
    kw_json_writer_init(&json, text);
    kw_buffer_add(text, op->export->format == KW_EXPORT_JSON && !is_first ? KW_BYTES(",\n") : KW_BYTES("\n"));
    kw_json_begin_object(&json);
    kw_json_name(&json, "record");
    kw_record_write_json(&record, op->now_ms, &json);
    kw_json_name(&json, "digest");
    write_digest(&exporting->method, row->digest, &json);
    kw_json_name(&json, "kept");
    kw_record_write_kept(&record, &json);
    kw_json_end_object(&json);
    exporting->count++;
    exporting->last = (struct kw_position){.id = row->id};
    exporting->is_full = text->size >= KW_EXPORT_PIECE;
    status = kw_buffer_status(text);
    return status == KW_OK && exporting->is_full ? KW_E_LIMIT : status;
}

enum kw_status kw__export_read(struct kw_engine *engine, struct kw_op *op)
{
    struct kw_export *export = op->export;
    struct exporting exporting = {.engine = engine, .op = op, .count = export->count};
    struct kw_store_reached reached;
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes project;
    if (!kw__project_name(engine, op->project, memory, &project)) {
        return kw__project_gone(&op->error);
    }
    struct kw_store_filter filter = kw__filter_of(export->query, project);
    filter.order = KW_ORDER_CREATED;
    filter.after = export->after;
    filter.reached = &reached;
    enum kw_status status = engine->store->ops->list(engine->store, &filter, export_sink, &exporting);
    if (kw_buffer_status(&op->result) != KW_OK || (status != KW_OK && !exporting.is_full)) {
        return kw__store_failed(&op->error, status);
    }
    export->count = exporting.count;
    export->after = exporting.is_full ? exporting.last : reached.position;
    export->stage = !exporting.is_full && reached.ended ? KW_EXPORT_ENDS : KW_EXPORT_RECORDS;
    return KW_OK;
}

/* --- who took what, as the writer --- */

static void write_text(struct kw_json_writer *json, const char *name, struct kw_bytes text)
{
    if (text.size > 0) {
        kw_json_name(json, name);
        kw_json_string(json, text);
    }
}

static void write_filter(const struct kw_list_query *query, struct kw_json_writer *json)
{
    kw_json_begin_object(json);
    write_text(json, "owner", query->owner);
    write_text(json, "org", query->org_id);
    write_text(json, "env", query->env);
    if (query->tag_count > 0) {
        kw_json_name(json, "tags");
        kw_json_begin_array(json);
        for (size_t i = 0; i < query->tag_count; i++) {
            kw_json_string(json, query->tags[i]);
        }
        kw_json_end_array(json);
        write_text(json, "tagMode", query->all_tags ? KW_BYTES("all") : KW_BYTES("any"));
    }
    kw_json_end_object(json);
}

static void write_note(const struct kw_op *op, struct kw_buffer *body)
{
    const struct kw_export *export = op->export;
    struct kw_json_writer json;
    kw_json_writer_init(&json, body);
    kw_json_begin_object(&json);
    kw_json_name(&json, "format");
    kw_json_text(&json, export->format == KW_EXPORT_JSON ? "json" : "ndjson");
    kw_json_name(&json, "filter");
    write_filter(export->query, &json);
    if (export->stage != KW_EXPORT_BEGINS) {
        kw_json_name(&json, "keys");
        kw_json_i64(&json, (int64_t) export->count);
        kw_json_name(&json, "complete");
        kw_json_bool(&json, !export->gives_up);
    }
    kw_json_end_object(&json);
}

static enum kw_status note(struct kw_engine *engine, struct kw_op *op, struct kw_bytes project)
{
    struct kw_buffer body;
    kw_buffer_init(&body, NOTE_MAX);
    write_note(op, &body);
    struct kw_store_audit audit = {
        .at_ms = op->now_ms,
        .project = project,
        .action = op->export->stage == KW_EXPORT_BEGINS ? KW_BYTES("export.started") : KW_BYTES("export.ended"),
        .body = kw_buffer_bytes(&body),
    };
    struct kw_store_batch batch = {.audits = &audit, .audit_count = 1};
    enum kw_status status = kw_buffer_status(&body);
    status = status == KW_OK ? kw__account_who(engine, op, &audit) : status;
    if (status == KW_OK) {
        status = engine->store->ops->commit(engine->store, &batch, 1);
        __atomic_store_n(&engine->writable, status == KW_OK, __ATOMIC_RELAXED);
        __atomic_fetch_add(&engine->commits, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&engine->commit_ops, 1, __ATOMIC_RELAXED);
        status = status == KW_OK ? batch.outcome : status;
    }
    kw_buffer_deinit(&body);
    return status;
}

/* An outcome that is not known is a failure too: nothing was taken yet, or the end does not come. */
static enum kw_status refuse_unnoted(struct kw_op *op, enum kw_status status)
{
    if (status != KW_E_UNCERTAIN) {
        return kw__store_failed(&op->error, status);
    }
    return kw_refuse(&op->error, KW_CODE_STORE_UNAVAILABLE, NULL,
                     "the audit log cannot be written, and without it nothing is exported: try again");
}

static enum kw_status write_step(struct kw_engine *engine, struct kw_op *op)
{
    struct kw_export *export = op->export;
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes project;
    if (!kw__project_name(engine, op->project, memory, &project)) {
        return kw__project_gone(&op->error);
    }
    enum kw_status status = note(engine, op, project);
    if (status != KW_OK) {
        return refuse_unnoted(op, status);
    }
    if (export->stage == KW_EXPORT_BEGINS) {
        write_begin(engine, op, project);
        export->stage = KW_EXPORT_RECORDS;
    } else {
        if (!export->gives_up) {
            write_end(op);
        }
        export->stage = KW_EXPORT_ENDED;
    }
    status = kw_buffer_status(&op->result);
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status);
}

void kw__export_write(struct kw_engine *engine, struct kw_op *op)
{
    op->now_ms = kw_engine_now_ms(engine);
    op->status = write_step(engine, op);
    kw_arena_reset(&engine->writer_state->arena);
    op->done(op);
}
