#include "engine/channels.h"

#include "base/bytes.h"
#include "core/sealing.h"
#include "core/transition.h"
#include "engine/writer.h"

#define SETTING_START "sealed/channel/"
#define SCRATCH_MAX ((size_t)4 * 1024 * 1024)

/* --- the URL of a chat --- */

/* Where the value of "url" stands in an object, if it is a text. What is no object is somebody else's to refuse. */
static bool find_url(struct kw_bytes json, struct kw_arena *arena, struct kw_bytes *raw_out, struct kw_bytes *text_out)
{
    struct kw_error error;
    struct kw_json_reader reader;
    struct kw_json_token token;
    kw_json_reader_init(&reader, json, arena);
    bool goes_on = kw_json_next(&reader, &token, &error) == KW_OK && token.type == KW_JSON_OBJECT_BEGIN;
    while (goes_on && kw_json_next(&reader, &token, &error) == KW_OK && token.type == KW_JSON_NAME) {
        bool is_url = kw_bytes_equal(token.text, KW_BYTES("url"));
        struct kw_bytes raw;
        goes_on = kw_json_next(&reader, &token, &error) == KW_OK;
        struct kw_json_token value = token;
        goes_on = goes_on && kw_json_skip(&reader, &token, &raw, &error) == KW_OK;
        if (goes_on && is_url) {
            *raw_out = raw;
            *text_out = value.text;
            return value.type == KW_JSON_STRING;
        }
    }
    return false;
}

static enum kw_status put_mask(struct kw_engine *engine, struct kw_op *op, struct kw_bytes raw, struct kw_bytes text,
                               struct kw_bytes *json_out)
{
    struct kw_buffer json, mask;
    uint8_t memory[KW_CHANNEL_URL_MAX + 8];
    size_t before = (size_t)(raw.data - op->json.data);
    kw_buffer_init_fixed(&mask, memory, sizeof memory);
    kw_buffer_init(&json, op->json.size + sizeof memory * 2);
    kw_channel_mask_url(text, &mask);
    kw_buffer_add(&json, kw_bytes_of(op->json.data, before));
    kw_json_write_string(&json, kw_buffer_bytes(&mask));
    kw_buffer_add(&json, kw_bytes_skip(op->json, before + raw.size));
    enum kw_status status = kw_buffer_status(&json);
    status = status == KW_OK ? kw_arena_copy(&engine->writer_state->arena, kw_buffer_bytes(&json), json_out) : status;
    kw_buffer_deinit(&json);
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, KW_E_MEMORY);
}

enum kw_status kw__channel_take_url(struct kw_engine *engine, struct kw_op *op, const struct kw_document *before,
                                    struct kw_bytes *json_out)
{
    struct kw_arena arena;
    struct kw_bytes raw, text;
    struct kw_url url;
    const char *why = NULL;
    enum kw_status status = KW_OK;
    kw_arena_init(&arena, NULL, 0, SCRATCH_MAX);
    *json_out = op->json;
    bool is_there = find_url(op->json, &arena, &raw, &text) && text.size > 0;
    if (is_there && before != NULL && kw_bytes_equal(text, before->is.channel.url)) {
        is_there = false; /* as it was shown */
    }
    if (is_there && text.size > KW_CHANNEL_URL_MAX) {
        status = kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "url", "must have at most %d bytes", KW_CHANNEL_URL_MAX);
    } else if (is_there && !kw_url_parse(text, &url, &why)) {
        status = kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "url", "%s", why);
    } else if (is_there) {
        status = kw_secret_set(&op->secret, text);
        status = status == KW_OK ? put_mask(engine, op, raw, text, json_out) : status;
    }
    kw_arena_reset(&arena);
    return status;
}

enum kw_status kw__channel_check(const struct kw_engine *engine, const struct kw_document *before,
                                 const struct kw_document *after, struct kw_op *op)
{
    struct kw_url url;
    const char *why = NULL;
    const struct kw_channel *channel = &after->is.channel;
    if (before != NULL && before->is.channel.kind != channel->kind) {
        return kw_refuse(&op->error, KW_CODE_CANNOT_CHANGE_FIELD, "kind", "cannot be changed: create another channel");
    }
    bool is_given = channel->kind == KW_CHANNEL_SLACK && op->secret.size > 0;
    bool is_same =
        channel->kind != KW_CHANNEL_SLACK || (before != NULL && kw_bytes_equal(before->is.channel.url, channel->url));
    if (!is_given && !is_same) {
        return kw_refuse(&op->error, KW_CODE_INVALID_FIELD, "url", "must be a whole URL");
    }
    const char *what =
        is_given && kw_url_parse(channel->url, &url, &why) ? kw_guard_refuses_url(&engine->guard, &url) : NULL;
    return what == NULL ? KW_OK
                        : kw_refuse(&op->error, KW_CODE_ADDRESS_NOT_ALLOWED, "url",
                                    "leads to %s: only public addresses are sent to, unless the operator opens a "
                                    "range with --allow-private",
                                    what);
}

enum kw_status kw__channel_seal(struct kw_engine *engine, struct kw_op *op, const struct kw_document *channel,
                                struct kw_store_setting *setting_out)
{
    struct kw_store_setting setting = {.name = {NULL, 0}};
    enum kw_status status = kw__webhook_setting_name(engine, channel, &setting.name);
    status =
        status == KW_OK ? kw__seal_setting(engine, op, &op->secret, &setting) : kw__store_failed(&op->error, status);
    kw_secret_wipe(&op->secret);
    if (status == KW_OK) {
        *setting_out = setting;
    }
    return status;
}

/* --- for the senders --- */

void kw_engine_channels(struct kw_engine *engine, kw_webhook_sink *each, void *context)
{
    kw__documents_each(engine, KW_DOCUMENT_CHANNEL, each, context);
}

enum kw_status kw_engine_channel_url(struct kw_engine *engine, struct kw_bytes project, struct kw_bytes name,
                                     struct kw_secret *url_out)
{
    uint8_t memory[KW_STORE_SETTING_NAME_MAX];
    struct kw_buffer place;
    kw_buffer_init_fixed(&place, memory, sizeof memory);
    kw_buffer_add_text(&place, SETTING_START);
    kw_buffer_add(&place, project);
    kw_buffer_add_byte(&place, '/');
    kw_buffer_add(&place, name);
    return kw__unseal_setting(engine, kw_buffer_bytes(&place), url_out);
}

/* --- the owner --- */

static enum kw_status take_metadata(void *context, const struct kw_store_row *row)
{
    struct kw_buffer *metadata = context;
    struct kw_record record;
    enum kw_status status = kw_record_decode(row->record, &record);
    if (status == KW_OK) {
        kw_buffer_add(metadata, record.metadata);
        status = kw_buffer_status(metadata);
    }
    return status;
}

static enum kw_status read_address(struct kw_bytes metadata, char address_out[KW_MAIL_ADDRESS_MAX + 1])
{
    struct kw_arena arena;
    struct kw_error error;
    struct kw_json_reader reader;
    struct kw_json_token token;
    bool found = false;
    kw_arena_init(&arena, NULL, 0, SCRATCH_MAX);
    kw_json_reader_init(&reader, metadata, &arena);
    bool goes_on = kw_json_next(&reader, &token, &error) == KW_OK && token.type == KW_JSON_OBJECT_BEGIN;
    while (goes_on && !found && kw_json_next(&reader, &token, &error) == KW_OK && token.type == KW_JSON_NAME) {
        bool is_it = kw_bytes_equal(token.text, KW_BYTES(KW_CHANNEL_OWNER_MEMBER));
        goes_on = kw_json_next(&reader, &token, &error) == KW_OK;
        found = goes_on && is_it && token.type == KW_JSON_STRING && kw_mail_address_valid(token.text);
        if (found) {
            memcpy(address_out, token.text.data, token.text.size);
            address_out[token.text.size] = '\0';
        }
        goes_on = goes_on && (found || kw_json_pass(&reader, &token, &error) == KW_OK);
    }
    kw_arena_reset(&arena);
    return found ? KW_OK : KW_E_NOT_FOUND;
}

enum kw_status kw_engine_owner_address(struct kw_engine *engine, const struct kw_id *key_id,
                                       char address_out[KW_MAIL_ADDRESS_MAX + 1])
{
    struct kw_buffer metadata;
    if (kw_id_is_none(key_id)) {
        return KW_E_NOT_FOUND;
    }
    kw_buffer_init(&metadata, KW_RECORD_MAX);
    enum kw_status status = engine->store->ops->find_by_id(engine->store, key_id, take_metadata, &metadata);
    status = status == KW_OK ? read_address(kw_buffer_bytes(&metadata), address_out) : status;
    kw_buffer_deinit(&metadata);
    return status;
}
