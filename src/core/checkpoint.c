#include "core/checkpoint.h"

#include "base/bytes.h"
#include "base/time.h"
#include "core/document_form.h"
#include "core/transition.h"

#define SIGNED_MAX 512
#define CHECKPOINT "checkpoint"
#define START "start"

/* What is signed: lines of text, so that anybody can make them by hand. */
static struct kw_bytes signed_text(const struct kw_checkpoint *checkpoint, char memory[SIGNED_MAX])
{
    char time[KW_TIME_TEXT_SIZE];
    char link[2 * KW_AUDIT_LINK_SIZE];
    struct kw_buffer text;
    kw_buffer_init_fixed(&text, memory, SIGNED_MAX);
    kw_buffer_add_text(&text, "keyward audit ");
    kw_buffer_add_text(&text, checkpoint->is_start ? START : CHECKPOINT);
    kw_buffer_add_text(&text, ", version 1\n");
    kw_buffer_add(&text, checkpoint->project);
    kw_buffer_add_byte(&text, '\n');
    kw_buffer_add_u64(&text, checkpoint->chain.place);
    kw_buffer_add_byte(&text, '\n');
    kw_buffer_add_u64(&text, checkpoint->chain.sequence);
    kw_buffer_add_byte(&text, '\n');
    kw_hex_encode(kw_bytes_of(checkpoint->chain.link, sizeof checkpoint->chain.link), link);
    kw_buffer_add(&text, kw_bytes_of(link, sizeof link));
    kw_buffer_add_byte(&text, '\n');
    kw_time_format(checkpoint->at_ms, time);
    kw_buffer_add(&text, kw_bytes_of(time, sizeof time));
    kw_buffer_add_byte(&text, '\n');
    return kw_buffer_bytes(&text);
}

enum kw_status kw_checkpoint_sign(struct kw_checkpoint *checkpoint, const struct kw_secret *seed)
{
    char memory[SIGNED_MAX];
    enum kw_status status = kw_signing_public(seed, checkpoint->public_key);
    return status == KW_OK ? kw_sign(seed, signed_text(checkpoint, memory), checkpoint->signature) : status;
}

bool kw_checkpoint_holds(const struct kw_checkpoint *checkpoint, const uint8_t public_key[KW_PUBLIC_KEY_SIZE])
{
    char memory[SIGNED_MAX];
    return memcmp(checkpoint->public_key, public_key, KW_PUBLIC_KEY_SIZE) == 0 &&
           kw_signature_holds(public_key, signed_text(checkpoint, memory), checkpoint->signature);
}

/* --- as JSON --- */

static void write_hex(struct kw_json_writer *json, const char *name, const uint8_t *bytes, size_t size)
{
    char hex[2 * KW_SIGNATURE_SIZE];
    kw_hex_encode(kw_bytes_of(bytes, size), hex);
    kw_json_name(json, name);
    kw_json_string(json, kw_bytes_of(hex, 2 * size));
}

void kw_checkpoint_write(const struct kw_checkpoint *checkpoint, struct kw_json_writer *json)
{
    char time[KW_TIME_TEXT_SIZE];
    kw_time_format(checkpoint->at_ms, time);
    kw_json_begin_object(json);
    kw_json_name(json, "keyward");
    kw_json_text(json, checkpoint->is_start ? START : CHECKPOINT);
    kw_json_name(json, "projectId");
    kw_json_string(json, checkpoint->project);
    kw_json_name(json, "place");
    kw_json_i64(json, (int64_t)checkpoint->chain.place);
    kw_json_name(json, "sequence");
    kw_json_i64(json, (int64_t)checkpoint->chain.sequence);
    write_hex(json, "link", checkpoint->chain.link, sizeof checkpoint->chain.link);
    kw_json_name(json, "timestamp");
    kw_json_string(json, kw_bytes_of(time, sizeof time));
    write_hex(json, "publicKey", checkpoint->public_key, sizeof checkpoint->public_key);
    write_hex(json, "signature", checkpoint->signature, sizeof checkpoint->signature);
    kw_json_end_object(json);
}

struct checkpoint_body {
    struct kw_bytes kind, project, link, public_key, signature;
    int64_t place, sequence, at_ms;
};

#define TEXT_FIELD(name_, member, most) \
    { \
        .name = KW__NAME(name_), .kind = KW_FIELD_TEXT, KW__AT(checkpoint_body, member), .size_max = (most) \
    }
#define NUMBER_FIELD(name_, member) \
    { \
        .name = KW__NAME(name_), .kind = KW_FIELD_INTEGER, KW__AT(checkpoint_body, member), .low = 1, \
        .high = INT64_MAX \
    }
static const struct kw_field fields[] = {
    TEXT_FIELD("keyward", kind, sizeof CHECKPOINT - 1),
    TEXT_FIELD("projectId", project, KW_PROJECT_MAX),
    NUMBER_FIELD("place", place),
    NUMBER_FIELD("sequence", sequence),
    TEXT_FIELD("link", link, 2 * KW_AUDIT_LINK_SIZE),
    {.name = KW__NAME("timestamp"), .kind = KW_FIELD_TIME, KW__AT(checkpoint_body, at_ms)},
    TEXT_FIELD("publicKey", public_key, 2 * KW_PUBLIC_KEY_SIZE),
    TEXT_FIELD("signature", signature, 2 * KW_SIGNATURE_SIZE),
};
static const struct kw_schema schema = {.name = "checkpoint",
                                        .size = sizeof(struct checkpoint_body),
                                        .given_offset = SIZE_MAX,
                                        .required = (1U << KW_COUNT_OF(fields)) - 1,
                                        .fields = fields,
                                        .field_count = KW_COUNT_OF(fields)};

enum kw_status kw_checkpoint_read(struct kw_bytes text, struct kw_arena *arena, struct kw_checkpoint *checkpoint_out,
                                  struct kw_error *error_out)
{
    struct checkpoint_body body = {.place = 0};
    enum kw_status status = kw_schema_bind_json(&schema, text, arena, &body, error_out);
    if (status != KW_OK) {
        return status;
    }
    struct kw_checkpoint checkpoint = {.is_start = kw_bytes_equal(body.kind, KW_BYTES(START)),
                                       .project = body.project,
                                       .chain = {.place = (uint64_t)body.place, .sequence = (uint64_t)body.sequence},
                                       .at_ms = body.at_ms};
    if (!checkpoint.is_start && !kw_bytes_equal(body.kind, KW_BYTES(CHECKPOINT))) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "keyward", "must be checkpoint or start");
    }
    bool is_hex = kw_hex_decode(body.link, checkpoint.chain.link, sizeof checkpoint.chain.link) &&
                  kw_hex_decode(body.public_key, checkpoint.public_key, sizeof checkpoint.public_key) &&
                  kw_hex_decode(body.signature, checkpoint.signature, sizeof checkpoint.signature);
    if (!is_hex) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "signature",
                         "link, publicKey and signature must be hex digits: %d, %d and %d", 2 * KW_AUDIT_LINK_SIZE,
                         2 * KW_PUBLIC_KEY_SIZE, 2 * KW_SIGNATURE_SIZE);
    }
    *checkpoint_out = checkpoint;
    return KW_OK;
}
