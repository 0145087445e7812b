#include "engine/webhooks.h"

#include "base/bytes.h"
#include "core/id.h"
#include "core/sealing.h"
#include "core/transition.h"
#include "engine/writer.h"

#define SETTING_START "sealed/"

enum kw_status kw__webhook_name(struct kw_engine *engine, struct kw_op *op, struct kw_bytes *name_out)
{
    uint8_t random[KW_ID_RANDOM_SIZE];
    char text[KW_ID_TEXT_SIZE];
    enum kw_status status = engine->entropy.draw(engine->entropy.context, random, sizeof random);
    if (status != KW_OK) {
        return kw__store_failed(&op->error, KW_E_MEMORY);
    }
    struct kw_id id = kw_id_make(op->now_ms, random);
    kw_id_format(&id, text);
    memcpy(text, "whk_", 4); /* in the place of "key_" */
    status = kw_arena_copy(&engine->writer_state->arena, kw_bytes_of(text, sizeof text), name_out);
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, KW_E_MEMORY);
}

const struct kw_guard *kw_engine_guard(const struct kw_engine *engine)
{
    return &engine->guard;
}

enum kw_status kw__webhook_check(const struct kw_engine *engine, const struct kw_document *before,
                                 const struct kw_document *after, struct kw_error *error_out)
{
    struct kw_url url;
    const char *why = NULL;
    struct kw_bytes text = after->is.webhook.url;
    if (before != NULL && kw_bytes_equal(before->is.webhook.url, text)) {
        return KW_OK;
    }
    bool good = kw_url_parse(text, &url, &why);
    const char *what = good ? kw_guard_refuses_url(&engine->guard, &url) : NULL;
    if (what != NULL) {
        return kw_refuse(error_out, KW_CODE_ADDRESS_NOT_ALLOWED, "url",
                         "leads to %s: only public addresses are sent to, unless the operator opens a range with "
                         "--allow-private",
                         what);
    }
    return good ? KW_OK : kw_refuse(error_out, KW_CODE_INVALID_FIELD, "url", "%s", why);
}

/* --- secrets --- */

static void write_setting_name(enum kw_document_kind kind, struct kw_bytes project, struct kw_bytes name,
                               struct kw_buffer *text)
{
    kw_buffer_add_text(text, SETTING_START);
    kw_buffer_add_text(text, kw_document_kind_name(kind));
    kw_buffer_add_byte(text, '/');
    kw_buffer_add(text, project);
    kw_buffer_add_byte(text, '/');
    kw_buffer_add(text, name);
}

enum kw_status kw__webhook_setting_name(struct kw_engine *engine, const struct kw_document *webhook,
                                        struct kw_bytes *name_out)
{
    uint8_t memory[KW_STORE_SETTING_NAME_MAX];
    struct kw_buffer name;
    kw_buffer_init_fixed(&name, memory, sizeof memory);
    write_setting_name(webhook->kind, webhook->project, webhook->name, &name);
    return kw_arena_copy(&engine->writer_state->arena, kw_buffer_bytes(&name), name_out);
}

static enum kw_status find_key(struct kw_engine *engine, bool may_make, struct kw_secret *key_out,
                               struct kw_error *error_out)
{
    const struct kw_sealing_keeper *keeper = &engine->sealing_keeper;
    if (keeper->find == NULL) {
        return kw_refuse(error_out, KW_CODE_FILE_UNUSABLE, NULL,
                         "there is no place for the key that the secrets of webhooks are sealed under");
    }
    return keeper->find(keeper->context, may_make, key_out, error_out);
}

enum kw_status kw__unseal_setting(struct kw_engine *engine, struct kw_bytes place, struct kw_secret *secret_out)
{
    uint8_t sealed[KW_SEALED_MAX];
    struct kw_secret key KW_WIPED = {.size = 0};
    struct kw_error error;
    size_t size = 0;
    enum kw_status status = engine->store->ops->setting(engine->store, place, sealed, sizeof sealed, &size);
    status = status == KW_OK ? find_key(engine, false, &key, &error) : status;
    if (status == KW_OK && size > sizeof sealed) {
        status = KW_E_CORRUPT;
    }
    return status == KW_OK ? kw_unseal(&key, place, kw_bytes_of(sealed, size), secret_out) : status;
}

enum kw_status kw_engine_signing(struct kw_engine *engine, struct kw_bytes project, struct kw_bytes name,
                                 struct kw_signing *signing_out)
{
    uint8_t place_memory[KW_STORE_SETTING_NAME_MAX];
    struct kw_buffer place;
    struct kw_secret packed KW_WIPED = {.size = 0};
    kw_buffer_init_fixed(&place, place_memory, sizeof place_memory);
    write_setting_name(KW_DOCUMENT_WEBHOOK, project, name, &place);
    enum kw_status status = kw__unseal_setting(engine, kw_buffer_bytes(&place), &packed);
    return status == KW_OK && !kw_signing_unpack(&packed, signing_out) ? KW_E_CORRUPT : status;
}

/* Draws one more set, before those that are there where the secret is renewed. */
static enum kw_status draw(struct kw_engine *engine, struct kw_op *op, const struct kw_document *webhook,
                           struct kw_signing *signing)
{
    uint8_t random[2 * KW_SIGNING_SIZE];
    enum kw_status status = KW_OK;
    *signing = (struct kw_signing){.count = 0};
    if (op->renews_secret) {
        status = kw_engine_signing(engine, webhook->project, webhook->name, signing);
    }
    /* Those that cannot be read are lost, and this is the way out. */
    status = status == KW_E_CORRUPT || status == KW_E_NOT_FOUND ? KW_OK : status;
    status = status == KW_OK ? engine->entropy.draw(engine->entropy.context, random, sizeof random) : status;
    if (status == KW_OK) {
        kw_signing_rotate(signing, random, op->now_ms, op->grace_ms);
    }
    kw_wipe(random, sizeof random);
    return status;
}

enum kw_status kw__seal_setting(struct kw_engine *engine, struct kw_op *op, const struct kw_secret *secret,
                                struct kw_store_setting *setting)
{
    uint8_t nonce[KW_SEALING_NONCE_SIZE];
    uint8_t sealed[KW_SEALED_MAX];
    size_t size = 0;
    struct kw_secret key KW_WIPED = {.size = 0};
    enum kw_status status = find_key(engine, true, &key, &op->error);
    if (status != KW_OK) {
        return status;
    }
    status = engine->entropy.draw(engine->entropy.context, nonce, sizeof nonce);
    status = status == KW_OK ? kw_seal(&key, nonce, setting->name, secret, sealed, &size) : status;
    status = status == KW_OK ? kw_arena_copy(&engine->writer_state->arena, kw_bytes_of(sealed, size), &setting->value)
                             : status;
    return status == KW_OK ? KW_OK : kw__store_failed(&op->error, status == KW_E_SYSTEM ? KW_E_MEMORY : status);
}

/* The secret, and the public key, which is no secret. */
static enum kw_status show(struct kw_op *op, const struct kw_signing *signing)
{
    char text[KW_SIGNING_TEXT_MAX];
    size_t size = 0;
    enum kw_status status = kw_signing_secret_text(signing, &op->secret);
    status = status == KW_OK ? kw_signing_public_text(signing, text, &size) : status;
    if (status == KW_OK) {
        kw_buffer_reset(&op->other);
        kw_buffer_add(&op->other, kw_bytes_of(text, size));
        status = kw_buffer_status(&op->other);
    }
    return status;
}

enum kw_status kw__webhook_seal(struct kw_engine *engine, struct kw_op *op, const struct kw_document *webhook,
                                struct kw_store_setting *setting_out)
{
    struct kw_secret packed KW_WIPED = {.size = 0};
    struct kw_store_setting setting = {.name = {NULL, 0}};
    struct kw_signing signing;
    enum kw_status status = kw__webhook_setting_name(engine, webhook, &setting.name);
    status = status == KW_OK ? draw(engine, op, webhook, &signing) : status;
    if (status == KW_OK) {
        status = kw_signing_pack(&signing, &packed);
        status = status == KW_OK ? show(op, &signing) : status;
        kw_signing_wipe(&signing);
    }
    if (status != KW_OK) {
        return kw__store_failed(&op->error, status == KW_E_SYSTEM ? KW_E_MEMORY : status);
    }
    status = kw__seal_setting(engine, op, &packed, &setting);
    if (status == KW_OK) {
        *setting_out = setting;
    }
    return status;
}
