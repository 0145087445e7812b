#include "core/once.h"

#include "core/digest.h"
#include "core/internal.h"
#include "core/record.h"
#include "core/transition.h"

/* Every time lies after it. */
#define LONG_AGO_MS 1

static enum kw_status refuse_key(const char *field, struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field,
                     "must be 1 to %d visible ASCII characters, as they are or as a quoted string", KW_ONCE_KEY_MAX);
}

enum kw_status kw_once_key_check(struct kw_bytes key, const char *field, struct kw_error *error_out)
{
    bool is_good = key.size >= 1 && key.size <= KW_ONCE_KEY_MAX;
    for (size_t i = 0; i < key.size && is_good; i++) {
        is_good = key.data[i] > 0x20 && key.data[i] < 0x7f;
    }
    return is_good ? KW_OK : refuse_key(field, error_out);
}

/* Between its quotes, a backslash stands before a quote or another one, and nowhere else. */
static bool unquote(struct kw_bytes quoted, uint8_t memory[KW_ONCE_KEY_MAX], struct kw_bytes *text_out)
{
    size_t size = 0;
    size_t at = 1;
    while (at < quoted.size && quoted.data[at] != '"' && size < KW_ONCE_KEY_MAX) {
        if (quoted.data[at] == '\\') {
            at++;
            if (at == quoted.size || (quoted.data[at] != '"' && quoted.data[at] != '\\')) {
                return false;
            }
        }
        memory[size++] = quoted.data[at++];
    }
    *text_out = kw_bytes_of(memory, size);
    return at + 1 == quoted.size && quoted.data[at] == '"';
}

enum kw_status kw_once_key_read(struct kw_bytes header, const char *field, uint8_t memory[KW_ONCE_KEY_MAX],
                                struct kw_bytes *key_out, struct kw_error *error_out)
{
    struct kw_bytes key = header;
    if (header.size > 0 && header.data[0] == '"' && !unquote(header, memory, &key)) {
        return refuse_key(field, error_out);
    }
    enum kw_status status = kw_once_key_check(key, field, error_out);
    if (status != KW_OK) {
        return status;
    }
    memmove(memory, key.data, key.size);
    *key_out = kw_bytes_of(memory, key.size);
    return KW_OK;
}

void kw_once_make(const struct kw_once_place *place, struct kw_bytes key, const struct kw_bytes *asked,
                  size_t asked_count, struct kw_once *once_out)
{
    const struct kw_bytes name[] = {place->caller, place->project, place->route, key};
    kw_digest_parts(name, KW_COUNT_OF(name), once_out->name);
    kw_digest_parts(asked, asked_count, once_out->digest);
}

/* Env and parent, which no params put into a record by themselves, then the bits of what is given, then the record. */
static enum kw_status add_params(const struct kw_key_params *params, const struct kw_record *record,
                                 struct kw_buffer *buffer)
{
    kw_list_add(buffer, (params->given & KW_GIVEN_ENV) != 0 ? params->env : (struct kw_bytes){NULL, 0});
    kw_list_add(buffer, (params->given & KW_GIVEN_PARENT) != 0 ? params->parent : (struct kw_bytes){NULL, 0});
    kw_buffer_add_u64(buffer, params->given);
    kw_buffer_add_byte(buffer, ' ');
    if ((params->given & KW_GIVEN_SCHEDULE) != 0) { /* which of its members are cleared no record says */
        kw_buffer_add_u64(buffer, params->schedule.given);
        kw_buffer_add_byte(buffer, ' ');
    }
    return kw_record_encode(record, buffer);
}

enum kw_status kw_once_params(const struct kw_key_params *params, struct kw_arena *arena, struct kw_bytes *bytes_out,
                              struct kw_error *error_out)
{
    struct kw_record record = {.enabled = true};
    enum kw_status status = kw_key_params_check(params, LONG_AGO_MS, arena, error_out);
    status = status == KW_OK ? kw__params_apply(params, LONG_AGO_MS, arena, &record, error_out) : status;
    if (status != KW_OK) {
        return status;
    }
    struct kw_buffer buffer;
    kw_buffer_init(&buffer, (size_t)16 * KW_RECORD_MAX);
    status = add_params(params, &record, &buffer);
    status = status == KW_OK ? kw_arena_copy(arena, kw_buffer_bytes(&buffer), bytes_out) : status;
    kw_buffer_deinit(&buffer);
    return status == KW_OK ? KW_OK : kw__no_memory(error_out);
}
