#include "base/error.h"
#include "base/time.h"
#include "core/audit.h"
#include "core/document_form.h"
#include "core/id.h"
#include "core/internal.h"
#include "core/transition.h"

#define ENTRY_START "audit_"
#define DIGITS_MAX 20
#define DETAILS_MAX 1048576 /* as a store takes */

/* --- lines --- */

static void write_text(struct kw_json_writer *json, const char *name, struct kw_bytes text)
{
    if (text.size > 0) {
        kw_json_name(json, name);
        kw_json_string(json, text);
    }
}

static void write_raw(struct kw_json_writer *json, const char *name, struct kw_bytes value)
{
    if (value.size > 0) {
        kw_json_name(json, name);
        kw_json_raw(json, value);
    }
}

static void write_hex(struct kw_json_writer *json, const char *name, struct kw_bytes bytes)
{
    char hex[2 * KW_SIGNATURE_SIZE];
    kw_hex_encode(bytes, hex);
    kw_json_name(json, name);
    kw_json_string(json, kw_bytes_of(hex, 2 * bytes.size));
}

static const char *const veiled_names[KW_AUDIT_VEILED_COUNT] = {"owner", "actor", "context", "details"};

/* Of a line from which something was erased: digests of what is gone, salts of what is there. */
static void write_veils(const struct kw_audit_seal *seal, bool is_gone, const char *name, struct kw_json_writer *json)
{
    kw_json_name(json, name);
    kw_json_begin_object(json);
    for (size_t i = 0; i < KW_AUDIT_VEILED_COUNT; i++) {
        if (((seal->erased >> i & 1) != 0) == is_gone) {
            write_hex(json, veiled_names[i],
                      kw_bytes_of(seal->veils[i], is_gone ? KW_AUDIT_LINK_SIZE : KW_AUDIT_SALT_SIZE));
        }
    }
    kw_json_end_object(json);
}

static void write_seal(const struct kw_audit_seal *seal, struct kw_json_writer *json)
{
    kw_json_name(json, "seal");
    kw_json_begin_object(json);
    kw_json_name(json, "place");
    kw_json_i64(json, (int64_t)seal->place);
    if (seal->erased == 0) {
        write_hex(json, "salt", kw_bytes_of(seal->salt, sizeof seal->salt));
    } else {
        write_veils(seal, true, "erased", json);
        write_veils(seal, false, "salts", json);
        write_hex(json, "signature", kw_bytes_of(seal->signature, sizeof seal->signature));
    }
    write_hex(json, "link", kw_bytes_of(seal->link, sizeof seal->link));
    kw_json_end_object(json);
}

void kw_audit_line_write(const struct kw_audit_line *line, const struct kw_audit_seal *seal,
                         struct kw_json_writer *json)
{
    char id[sizeof ENTRY_START + DIGITS_MAX];
    char time[KW_TIME_TEXT_SIZE + 1] = "";
    struct kw_buffer id_text;
    kw_buffer_init_fixed(&id_text, id, sizeof id);
    kw_buffer_add_text(&id_text, ENTRY_START);
    kw_buffer_add_u64(&id_text, line->sequence);
    kw_time_format(line->at_ms, time);
    kw_json_begin_object(json);
    kw_json_name(json, "id");
    kw_json_string(json, kw_buffer_bytes(&id_text));
    kw_json_name(json, "sequence");
    kw_json_i64(json, (int64_t)line->sequence);
    kw_json_name(json, "timestamp");
    kw_json_string(json, kw_bytes_of(time, KW_TIME_TEXT_SIZE));
    write_text(json, "projectId", line->project);
    write_text(json, "action", line->action);
    if (!kw_id_is_none(&line->key_id)) {
        char text[KW_ID_TEXT_SIZE];
        kw_id_format(&line->key_id, text);
        write_text(json, "keyId", kw_bytes_of(text, sizeof text));
    }
    write_text(json, "owner", line->owner);
    write_text(json, "actor", line->actor);
    write_raw(json, "context", line->context);
    write_raw(json, "details", line->details);
    if (seal != NULL) {
        write_seal(seal, json);
    }
    kw_json_end_object(json);
}

/* What is read, as it stands in the text. */
struct veils_body {
    struct kw_bytes fields[KW_AUDIT_VEILED_COUNT];
};
struct seal_body {
    int64_t place;
    struct kw_bytes salt, link, signature;
    struct veils_body erased, salts;
};
struct line_body {
    struct kw_bytes id, project, action, key_id, owner, actor, context, details;
    int64_t sequence, at_ms;
    struct seal_body seal;
};

#define TEXT_FIELD(name_, body, member, most) \
    { \
        .name = KW__NAME(name_), .kind = KW_FIELD_TEXT, KW__AT(body, member), .size_max = (most) \
    }
#define JSON_FIELD(name_, body, member, most) \
    { \
        .name = KW__NAME(name_), .kind = KW_FIELD_JSON, KW__AT(body, member), .size_max = (most) \
    }

#define VEIL_FIELD(name_, number) \
    { \
        .name = KW__NAME(name_), .kind = KW_FIELD_TEXT, \
        .offset = offsetof(struct veils_body, fields) + (number) * sizeof(struct kw_bytes), \
        .size_max = 2 * KW_AUDIT_LINK_SIZE \
    }
static const struct kw_field veils_fields[] = {
    VEIL_FIELD("owner", KW_AUDIT_OWNER),
    VEIL_FIELD("actor", KW_AUDIT_ACTOR),
    VEIL_FIELD("context", KW_AUDIT_CONTEXT),
    VEIL_FIELD("details", KW_AUDIT_DETAILS),
};
static const struct kw_schema veils_schema = {.name = "veils",
                                              .size = sizeof(struct veils_body),
                                              .given_offset = SIZE_MAX,
                                              .fields = veils_fields,
                                              .field_count = KW_COUNT_OF(veils_fields)};

static const struct kw_field seal_fields[] = {
    {.name = KW__NAME("place"), .kind = KW_FIELD_INTEGER, KW__AT(seal_body, place), .low = 1, .high = INT64_MAX},
    TEXT_FIELD("salt", seal_body, salt, 2 * KW_AUDIT_SALT_SIZE),
    TEXT_FIELD("link", seal_body, link, 2 * KW_AUDIT_LINK_SIZE),
    TEXT_FIELD("signature", seal_body, signature, 2 * KW_SIGNATURE_SIZE),
    {.name = KW__NAME("erased"), .kind = KW_FIELD_OBJECT, KW__AT(seal_body, erased), .items = &veils_schema},
    {.name = KW__NAME("salts"), .kind = KW_FIELD_OBJECT, KW__AT(seal_body, salts), .items = &veils_schema},
};
static const struct kw_schema seal_schema = {.name = "seal",
                                             .size = sizeof(struct seal_body),
                                             .given_offset = SIZE_MAX,
                                             .required = 1U << 0 | 1U << 2,
                                             .fields = seal_fields,
                                             .field_count = KW_COUNT_OF(seal_fields)};

static const struct kw_field line_fields[] = {
    {.name = KW__NAME("sequence"), .kind = KW_FIELD_INTEGER, KW__AT(line_body, sequence), .low = 1, .high = INT64_MAX},
    {.name = KW__NAME("timestamp"), .kind = KW_FIELD_TIME, KW__AT(line_body, at_ms)},
    TEXT_FIELD("action", line_body, action, KW_AUDIT_ACTION_MAX),
    TEXT_FIELD("id", line_body, id, sizeof ENTRY_START + DIGITS_MAX),
    TEXT_FIELD("projectId", line_body, project, KW_PROJECT_MAX),
    TEXT_FIELD("keyId", line_body, key_id, KW_ID_TEXT_SIZE),
    TEXT_FIELD("owner", line_body, owner, KW_OWNER_MAX),
    TEXT_FIELD("actor", line_body, actor, KW_ACTOR_MAX),
    JSON_FIELD("context", line_body, context, DETAILS_MAX),
    JSON_FIELD("details", line_body, details, DETAILS_MAX),
    {.name = KW__NAME("seal"), .kind = KW_FIELD_OBJECT, KW__AT(line_body, seal), .items = &seal_schema},
};
static const struct kw_schema line_schema = {.name = "entry",
                                             .size = sizeof(struct line_body),
                                             .given_offset = SIZE_MAX,
                                             .required = 1U << 0 | 1U << 1 | 1U << 2,
                                             .fields = line_fields,
                                             .field_count = KW_COUNT_OF(line_fields)};

/* The id says nothing that the sequence does not, and must not say anything else. */
static bool names_sequence(struct kw_bytes id, int64_t sequence)
{
    uint64_t number = 0;
    struct kw_bytes start = KW_BYTES(ENTRY_START);
    return kw_bytes_starts_with(id, start) && kw_bytes_to_u64(kw_bytes_skip(id, start.size), &number) &&
           number == (uint64_t)sequence;
}

/* Each field has either a digest, and is erased, or a salt. */
static bool take_veils(const struct seal_body *body, struct kw_audit_seal *seal)
{
    bool is_good = kw_hex_decode(body->signature, seal->signature, sizeof seal->signature);
    for (size_t i = 0; i < KW_AUDIT_VEILED_COUNT; i++) {
        struct kw_bytes gone = body->erased.fields[i];
        struct kw_bytes salt = body->salts.fields[i];
        is_good = is_good && (gone.size == 0 || salt.size == 0) &&
                  (gone.size > 0 ? kw_hex_decode(gone, seal->veils[i], KW_AUDIT_LINK_SIZE)
                                 : kw_hex_decode(salt, seal->veils[i], KW_AUDIT_SALT_SIZE));
        seal->erased |= (uint8_t)(gone.size > 0 ? 1U << i : 0);
    }
    return is_good && seal->erased != 0;
}

static enum kw_status take_seal(const struct seal_body *body, struct kw_audit_seal *seal_out,
                                struct kw_error *error_out)
{
    struct kw_audit_seal seal = {.place = (uint64_t)body->place};
    bool is_hex = kw_hex_decode(body->link, seal.link, sizeof seal.link) &&
                  (body->signature.size > 0 ? body->salt.size == 0 && take_veils(body, &seal)
                                            : kw_hex_decode(body->salt, seal.salt, sizeof seal.salt));
    if (is_hex) {
        *seal_out = seal;
    }
    return is_hex
               ? KW_OK
               : kw_refuse(error_out, KW_CODE_INVALID_FIELD, "seal",
                           "must have a link of %d hex digits, and a salt of %d or what is erased with its signature",
                           2 * KW_AUDIT_LINK_SIZE, 2 * KW_AUDIT_SALT_SIZE);
}

enum kw_status kw_audit_line_read(struct kw_bytes text, struct kw_arena *arena, struct kw_audit_line *line_out,
                                  struct kw_audit_seal *seal_out, bool *has_seal_out, struct kw_error *error_out)
{
    struct line_body body = {.sequence = 0};
    enum kw_status status = kw_schema_bind_json(&line_schema, text, arena, &body, error_out);
    if (status != KW_OK) {
        return status;
    }
    struct kw_audit_line line = {.sequence = (uint64_t)body.sequence,
                                 .at_ms = body.at_ms,
                                 .project = body.project,
                                 .owner = body.owner,
                                 .actor = body.actor,
                                 .action = body.action,
                                 .context = body.context,
                                 .details = body.details};
    if (body.id.size > 0 && !names_sequence(body.id, body.sequence)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "id", "is not that of the sequence");
    }
    if (body.key_id.size > 0 && !kw_id_parse(body.key_id, &line.key_id)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "keyId", "must be a key's id, such as key_01J…");
    }
    bool has_seal = body.seal.place > 0;
    status = has_seal ? take_seal(&body.seal, seal_out, error_out) : KW_OK;
    if (status == KW_OK) {
        *line_out = line;
        *has_seal_out = has_seal;
    }
    return status;
}

/* --- context --- */

static const struct kw_field context_fields[] = {
    TEXT_FIELD("actor", kw_audit_context, actor, KW_ACTOR_MAX),
    TEXT_FIELD("address", kw_audit_context, address, KW_AUDIT_ADDRESS_MAX),
    TEXT_FIELD("userAgent", kw_audit_context, user_agent, KW_AUDIT_USER_AGENT_MAX),
    TEXT_FIELD("reason", kw_audit_context, reason, KW_REASON_MAX),
    JSON_FIELD("metadata", kw_audit_context, metadata, KW_AUDIT_METADATA_MAX),
};
const struct kw_schema kw__audit_context_schema = {.name = "context",
                                                   .size = sizeof(struct kw_audit_context),
                                                   .given_offset = SIZE_MAX,
                                                   .fields = context_fields,
                                                   .field_count = KW_COUNT_OF(context_fields)};

enum kw_status kw_audit_context_read(struct kw_bytes json, const char *field, struct kw_arena *arena,
                                     struct kw_audit_context *context_out, struct kw_error *error_out)
{
    struct kw_audit_context context = {.actor = {NULL, 0}};
    struct kw_error why = {.message = ""};
    enum kw_status status = kw_schema_bind_json(&kw__audit_context_schema, json, arena, &context, &why);
    if (status == KW_OK) {
        *context_out = context;
        return KW_OK;
    }
    if (why.field[0] == '\0') {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field,
                         "must be a JSON object with any of actor, address, userAgent, reason and metadata");
    }
    status = kw_refuse(error_out, KW_CODE_INVALID_FIELD, why.field, "%s", why.message);
    if (error_out != NULL) {
        kw_error_nest(error_out, field);
    }
    return status;
}

/* As one member of a text of its own, so that it is held to what any JSON is held to, and loses its white space. */
static enum kw_status check_metadata(struct kw_bytes metadata, struct kw_arena *arena,
                                     struct kw_audit_context *context_out, struct kw_error *error_out)
{
    struct kw_buffer text;
    struct kw_json_writer json;
    struct kw_bytes kept;
    kw_buffer_init(&text, (size_t)2 * KW_AUDIT_METADATA_MAX);
    kw_json_writer_init(&json, &text);
    kw_json_begin_object(&json);
    write_raw(&json, "metadata", metadata);
    kw_json_end_object(&json);
    enum kw_status status = kw_buffer_status(&text);
    if (status == KW_E_LIMIT) {
        status = kw_refuse(error_out, KW_CODE_INVALID_FIELD, "context.metadata",
                           "is too long: at most %d bytes of JSON", KW_AUDIT_METADATA_MAX);
    } else if (status != KW_OK || kw_arena_copy(arena, kw_buffer_bytes(&text), &kept) != KW_OK) {
        status = kw__no_memory(error_out);
    } else {
        status = kw_audit_context_read(kept, "context", arena, context_out, error_out);
    }
    kw_buffer_deinit(&text);
    return status;
}

enum kw_status kw_audit_context_check(const struct kw_audit_context *context, struct kw_arena *arena,
                                      struct kw_audit_context *context_out, struct kw_error *error_out)
{
    const struct {
        struct kw_bytes text;
        size_t size_max;
        const char *field;
    } rows[] = {
        {context->actor, KW_ACTOR_MAX, "context.actor"},
        {context->address, KW_AUDIT_ADDRESS_MAX, "context.address"},
        {context->user_agent, KW_AUDIT_USER_AGENT_MAX, "context.userAgent"},
        {context->reason, KW_REASON_MAX, "context.reason"},
    };
    struct kw_audit_context checked = {.actor = {NULL, 0}};
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < KW_COUNT_OF(rows) && status == KW_OK; i++) {
        status = kw__text_check(rows[i].text, rows[i].size_max, rows[i].field, error_out);
    }
    if (status == KW_OK && context->metadata.size > 0) {
        status = check_metadata(context->metadata, arena, &checked, error_out);
    }
    if (status == KW_OK) {
        struct kw_bytes metadata = checked.metadata;
        *context_out = *context;
        context_out->metadata = metadata;
    }
    return status;
}

static struct kw_bytes first_of(struct kw_bytes a, struct kw_bytes b, struct kw_bytes c)
{
    return a.size > 0 ? a : b.size > 0 ? b : c;
}

/* What is known of the call where the caller says something else. */
static void write_via(const struct kw_audit_context *said, const struct kw_audit_context *known,
                      struct kw_json_writer *json)
{
    const struct {
        const char *name;
        struct kw_bytes said, known;
    } rows[] = {
        {"actor", said->actor, known->actor},
        {"address", said->address, known->address},
        {"userAgent", said->user_agent, known->user_agent},
    };
    bool has_begun = false;
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        bool differs = rows[i].said.size > 0 && rows[i].known.size > 0 && !kw_bytes_equal(rows[i].said, rows[i].known);
        if (differs && !has_begun) {
            kw_json_name(json, "via");
            kw_json_begin_object(json);
            has_begun = true;
        }
        if (differs) {
            write_text(json, rows[i].name, rows[i].known);
        }
    }
    if (has_begun) {
        kw_json_end_object(json);
    }
}

void kw_audit_context_write(const struct kw_audit_context *said, const struct kw_audit_context *known,
                            const struct kw_audit_context *project, struct kw_buffer *buffer,
                            struct kw_bytes *actor_out)
{
    static const struct kw_audit_context nothing = {.actor = {NULL, 0}};
    said = said == NULL ? &nothing : said;
    known = known == NULL ? &nothing : known;
    project = project == NULL ? &nothing : project;
    struct kw_bytes address = first_of(said->address, known->address, project->address);
    struct kw_bytes user_agent = first_of(said->user_agent, known->user_agent, project->user_agent);
    struct kw_bytes reason = first_of(known->reason, said->reason, project->reason);
    struct kw_bytes metadata = first_of(said->metadata, known->metadata, project->metadata);
    *actor_out = first_of(said->actor, known->actor, project->actor);
    bool is_other = said->actor.size > 0 && !kw_bytes_equal(said->actor, known->actor);
    if (address.size + user_agent.size + reason.size + metadata.size == 0 && !is_other) {
        return;
    }
    struct kw_json_writer json;
    kw_json_writer_init(&json, buffer);
    kw_json_begin_object(&json);
    write_text(&json, "address", address);
    write_text(&json, "userAgent", user_agent);
    write_text(&json, "reason", reason);
    write_raw(&json, "metadata", metadata);
    write_via(said, known, &json);
    kw_json_end_object(&json);
}
