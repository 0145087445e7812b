#include "core/document_form.h"

#include "base/error.h"
#include "base/time.h"
#include "core/internal.h"
#include "core/schema_parts.h"

#define SCRATCH_MAX ((size_t)4 * 1024 * 1024)

/* A document that is being written: the fields' texts, and memory that dies with it. */
struct making {
    const struct kw_document_change *change;
    const struct kw_schema *schema;
    struct kw_arena scratch;
    struct kw_bytes before[KW_SCHEMA_FIELDS_MAX], given[KW_SCHEMA_FIELDS_MAX];
    struct kw_error *error;
};

static bool is_null(struct kw_bytes raw)
{
    return kw_bytes_equal(raw, KW_BYTES("null"));
}

/* What Keyward writes itself may not be given; a name only as it is. */
static enum kw_status check_envelope(const struct making *making)
{
    for (size_t i = 0; i < KW__ENVELOPE_COUNT; i++) {
        const char *name = (const char *)making->schema->fields[i].name.data;
        if (making->given[i].size == 0) {
            continue;
        }
        if (i != 0) {
            return kw_refuse(making->error, KW_CODE_CANNOT_CHANGE_FIELD, name, "is set by Keyward: leave it out");
        }
        if (making->change->before != NULL && !kw_bytes_equal(making->given[0], making->before[0])) {
            return kw_refuse(making->error, KW_CODE_CANNOT_CHANGE_FIELD, name, "cannot be changed: create another one");
        }
    }
    return KW_OK;
}

static enum kw_status split_both(struct making *making)
{
    const struct kw_document_change *change = making->change;
    enum kw_status status =
        kw__document_split(making->schema, change->json, &making->scratch, making->given, making->error);
    if (status == KW_OK && change->before != NULL) {
        status =
            kw__document_split(making->schema, change->before->json, &making->scratch, making->before, making->error);
    }
    return status != KW_OK ? status : check_envelope(making);
}

static void write_time(struct kw_json_writer *writer, const char *name, int64_t time_ms)
{
    char text[KW_TIME_TEXT_SIZE];
    kw_time_format(time_ms, text);
    kw_json_name(writer, name);
    kw_json_string(writer, kw_bytes_of(text, sizeof text));
}

static void write_raw(struct kw_json_writer *writer, struct making *making, struct kw_bytes raw)
{
    uint8_t *text = kw_arena_take(&making->scratch, raw.size);
    if (text == NULL) {
        writer->buffer->failed = KW_E_MEMORY;
        return;
    }
    kw_json_raw(writer, kw_bytes_of(text, kw__schema_compact(raw, text)));
}

/* Name and numbers first, then the settings in the order of their table. */
static void write_envelope(struct making *making, struct kw_json_writer *writer)
{
    const struct kw_document_change *change = making->change;
    const struct kw_document *before = change->before;
    if (making->given[0].size > 0 || before != NULL) {
        kw_json_name(writer, "name");
        write_raw(writer, making, making->given[0].size > 0 ? making->given[0] : making->before[0]);
    } else if (change->name.size > 0) {
        kw_json_name(writer, "name");
        kw_json_string(writer, change->name);
    }
    if (change->kind == KW_DOCUMENT_PROJECT) {
        kw_json_name(writer, "number");
        kw_json_i64(writer, before != NULL ? before->is.project.number : change->number);
    }
    kw_json_name(writer, "version");
    kw_json_i64(writer, before != NULL ? (int64_t)before->version + 1 : 1);
    if (before == NULL) {
        write_time(writer, "createdAt", change->now_ms);
    } else if (making->before[3].size > 0) {
        kw_json_name(writer, "createdAt");
        write_raw(writer, making, making->before[3]);
    }
    write_time(writer, "updatedAt", change->now_ms);
}

static void write_settings(struct making *making, struct kw_json_writer *writer)
{
    const struct kw__form *form = kw__form_of(making->change->kind);
    for (size_t i = KW__ENVELOPE_COUNT; i < making->schema->field_count; i++) {
        struct kw_bytes raw = making->given[i].size > 0 ? making->given[i] : making->before[i];
        if (raw.size == 0 || is_null(raw)) {
            raw = kw_bytes_of_text(form->otherwise[i]);
        }
        if (raw.size > 0) {
            kw_json_name_bytes(writer, making->schema->fields[i].name);
            write_raw(writer, making, raw);
        }
    }
}

static enum kw_status write_document(struct making *making, struct kw_document *document)
{
    struct kw_buffer text;
    struct kw_json_writer writer;
    kw_buffer_init(&text, KW_DOCUMENT_MAX);
    kw_json_writer_init(&writer, &text);
    kw_json_begin_object(&writer);
    write_envelope(making, &writer);
    write_settings(making, &writer);
    kw_json_end_object(&writer);
    enum kw_status status = kw_buffer_status(&text);
    if (status == KW_OK) {
        status = kw_arena_copy(&document->arena, kw_buffer_bytes(&text), &document->json);
    }
    kw_buffer_deinit(&text);
    if (status == KW_E_LIMIT) {
        return kw_refuse(making->error, KW_CODE_BODY_TOO_LARGE, NULL, "a %s may take at most %d bytes of JSON",
                         kw_document_kind_name(document->kind), KW_DOCUMENT_MAX);
    }
    return status == KW_OK ? KW_OK : kw__no_memory(making->error);
}

static enum kw_status make(struct making *making, struct kw_document *document)
{
    enum kw_status status = split_both(making);
    status = status != KW_OK ? status : write_document(making, document);
    if (status == KW_OK && kw_arena_copy(&document->arena, making->change->project, &document->project) != KW_OK) {
        status = kw__no_memory(making->error);
    }
    return status != KW_OK ? status : kw__document_parse(document, making->error);
}

enum kw_status kw_document_make(const struct kw_document_change *change, struct kw_document **document_out,
                                struct kw_error *error_out)
{
    struct kw_document *document = kw__document_new(change->kind);
    if (document == NULL) {
        return kw__no_memory(error_out);
    }
    struct making making = {.change = change, .schema = kw__form_of(change->kind)->schema, .error = error_out};
    kw_arena_init(&making.scratch, NULL, 0, SCRATCH_MAX);
    enum kw_status status = make(&making, document);
    kw_arena_reset(&making.scratch);
    if (status != KW_OK) {
        kw_document_release(document);
        return status;
    }
    *document_out = document;
    return KW_OK;
}

enum kw_status kw_document_tombstone(const struct kw_document *project, int64_t now_ms,
                                     struct kw_document **document_out, struct kw_error *error_out)
{
    uint8_t memory[512];
    struct kw_buffer text;
    struct kw_json_writer writer;
    kw_buffer_init_fixed(&text, memory, sizeof memory);
    kw_json_writer_init(&writer, &text);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "name");
    kw_json_string(&writer, project->name);
    kw_json_name(&writer, "number");
    kw_json_i64(&writer, project->is.project.number);
    kw_json_name(&writer, "version");
    kw_json_i64(&writer, (int64_t)project->version + 1);
    write_time(&writer, "deletedAt", now_ms);
    kw_json_end_object(&writer);
    enum kw_status status = kw_buffer_status(&text);
    if (status == KW_OK) {
        status = kw_document_read(KW_DOCUMENT_PROJECT, project->name, kw_buffer_bytes(&text), document_out);
    }
    return status == KW_OK ? KW_OK : kw__no_memory(error_out);
}

static void write_side(struct kw_json_writer *writer, const char *name, struct kw_bytes raw)
{
    kw_json_name(writer, name);
    kw_json_raw(writer, raw.size > 0 ? raw : KW_BYTES("null"));
}

enum kw_status kw_document_write_changes(enum kw_document_kind kind, const struct kw_document *before,
                                         const struct kw_document *after, struct kw_json_writer *writer)
{
    const struct kw_schema *schema = kw__form_of(kind)->schema;
    struct kw_bytes sides[2][KW_SCHEMA_FIELDS_MAX] = {{{NULL, 0}}};
    struct kw_arena scratch;
    enum kw_status status = KW_OK;
    kw_arena_init(&scratch, NULL, 0, SCRATCH_MAX);
    if (before != NULL) {
        status = kw__document_split(schema, before->json, &scratch, sides[0], NULL);
    }
    if (after != NULL && status == KW_OK) {
        status = kw__document_split(schema, after->json, &scratch, sides[1], NULL);
    }
    kw_json_begin_object(writer);
    for (size_t i = KW__ENVELOPE_COUNT; i < schema->field_count && status == KW_OK; i++) {
        if (!kw_bytes_equal(sides[0][i], sides[1][i])) {
            kw_json_name_bytes(writer, schema->fields[i].name);
            kw_json_begin_object(writer);
            write_side(writer, "from", sides[0][i]);
            write_side(writer, "to", sides[1][i]);
            kw_json_end_object(writer);
        }
    }
    kw_json_end_object(writer);
    kw_arena_reset(&scratch);
    return status;
}
