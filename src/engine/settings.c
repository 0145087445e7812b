#include "engine/internal.h"

#include "base/bytes.h"

#define NAME_PEPPER "pepper.fingerprint"
#define NAME_SCHEMES "digest.schemes" /* a byte each, that of new keys first */
#define NAME_SALT "digest.salt"

struct settings {
    uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE];
    uint8_t schemes[KW_SCHEMES_MAX];
    size_t scheme_count;
    uint8_t salt[KW_SALT_SIZE];
    struct kw_store_setting changed[3];
    size_t changed_count;
};

/* True in `found_out` when the setting is there; its size must then be between `size_min` and `size`. */
static enum kw_status read_setting(struct kw_engine *engine, const char *name, void *value, size_t size_min,
                                   size_t size, size_t *size_out, struct kw_error *error_out)
{
    *size_out = 0;
    size_t stored = 0;
    enum kw_status status = engine->store->ops->setting(engine->store, kw_bytes_of_text(name), value, size, &stored);
    if (status == KW_E_NOT_FOUND) {
        return KW_OK;
    }
    if (status == KW_OK && (stored < size_min || stored > size)) {
        status = KW_E_CORRUPT;
    }
    if (status != KW_OK) {
        return kw__store_failed(error_out, status);
    }
    *size_out = stored;
    return KW_OK;
}

static void change(struct settings *settings, const char *name, const uint8_t *value, size_t size)
{
    settings->changed[settings->changed_count++] =
        (struct kw_store_setting){kw_bytes_of_text(name), kw_bytes_of(value, size)};
}

static enum kw_status check_pepper(struct kw_engine *engine, const struct kw_secret *pepper, struct settings *settings,
                                   struct kw_error *error_out)
{
    uint8_t stored[KW_PEPPER_FINGERPRINT_SIZE];
    size_t size;
    enum kw_status status = read_setting(engine, NAME_PEPPER, stored, sizeof stored, sizeof stored, &size, error_out);
    if (status != KW_OK) {
        return status;
    }
    kw_pepper_fingerprint(pepper, settings->fingerprint);
    if (size == 0) {
        change(settings, NAME_PEPPER, settings->fingerprint, sizeof settings->fingerprint);
        return KW_OK;
    }
    if (memcmp(stored, settings->fingerprint, sizeof stored) == 0) { /* fingerprints are no secret */
        return KW_OK;
    }
    char expected[2 * sizeof stored + 1] = {0};
    char given[2 * sizeof stored + 1] = {0};
    kw_hex_encode(kw_bytes_of(stored, sizeof stored), expected);
    kw_hex_encode(kw_bytes_of(settings->fingerprint, sizeof stored), given);
    return kw_refuse(error_out, KW_CODE_PEPPER_MISMATCH, NULL,
                     "the keys in this store were made with the pepper of fingerprint %.8s, not with this one (%.8s): "
                     "put the pepper file back that belongs to the data",
                     expected, given);
}

static enum kw_status choose_schemes(struct kw_engine *engine, enum kw_digest_scheme chosen, struct settings *settings,
                                     struct kw_error *error_out)
{
    enum kw_status status = read_setting(engine, NAME_SCHEMES, settings->schemes, 1, sizeof settings->schemes,
                                         &settings->scheme_count, error_out);
    if (status != KW_OK) {
        return status;
    }
    /* Before it is written down: a store that names a scheme of nobody never opens again. */
    if (chosen != 0 && (chosen < KW_DIGEST_HMAC_SHA256 || chosen > KW_DIGEST_SHA512_SALTED)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "digest", "there is no such digest scheme");
    }
    if (settings->scheme_count == 0) {
        settings->schemes[0] = (uint8_t)(chosen == 0 ? KW_DIGEST_HMAC_SHA256 : chosen);
        settings->scheme_count = 1;
        change(settings, NAME_SCHEMES, settings->schemes, 1);
        return KW_OK;
    }
    if (chosen == 0 || settings->schemes[0] == chosen) {
        return KW_OK;
    }
    size_t at = 0;
    while (at < settings->scheme_count && settings->schemes[at] != chosen) {
        at++;
    }
    if (at == KW_SCHEMES_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "digest", "at most %d digest schemes can be in use",
                         KW_SCHEMES_MAX);
    }
    settings->scheme_count += at == settings->scheme_count;
    memmove(settings->schemes + 1, settings->schemes, at);
    settings->schemes[0] = (uint8_t)chosen;
    change(settings, NAME_SCHEMES, settings->schemes, settings->scheme_count);
    return KW_OK;
}

static enum kw_status choose_salt(struct kw_engine *engine, struct settings *settings, struct kw_error *error_out)
{
    size_t size;
    enum kw_status status =
        read_setting(engine, NAME_SALT, settings->salt, sizeof settings->salt, sizeof settings->salt, &size, error_out);
    if (status != KW_OK || size != 0) {
        return status;
    }
    if (engine->entropy.draw(engine->entropy.context, settings->salt, sizeof settings->salt) != KW_OK) {
        return kw_refuse(error_out, KW_CODE_INTERNAL, NULL, "the system gave no random bytes");
    }
    change(settings, NAME_SALT, settings->salt, sizeof settings->salt);
    return KW_OK;
}

static enum kw_status keep(struct kw_engine *engine, const struct settings *settings, struct kw_error *error_out)
{
    if (settings->changed_count == 0) {
        return KW_OK;
    }
    struct kw_store_batch batch = {.settings = settings->changed, .setting_count = settings->changed_count};
    enum kw_status status = engine->store->ops->commit(engine->store, &batch, 1);
    status = status != KW_OK ? status : batch.outcome;
    return status == KW_OK ? KW_OK : kw__store_failed(error_out, status);
}

enum kw_status kw__settings_open(struct kw_engine *engine, const struct kw_engine_options *options,
                                 struct kw_error *error_out)
{
    struct settings settings = {0};
    enum kw_status status = check_pepper(engine, options->pepper, &settings, error_out);
    status = status != KW_OK ? status : choose_schemes(engine, options->digest_scheme, &settings, error_out);
    status = status != KW_OK ? status : choose_salt(engine, &settings, error_out);
    status = status != KW_OK ? status : keep(engine, &settings, error_out);
    for (size_t i = 0; i < settings.scheme_count && status == KW_OK; i++) {
        status = kw_digester_new((enum kw_digest_scheme)settings.schemes[i], options->pepper,
                                 kw_bytes_of(settings.salt, sizeof settings.salt), &engine->digesters[i]);
        if (status != KW_OK) {
            return kw__store_failed(error_out, status == KW_E_INVALID ? KW_E_NEWER : status);
        }
        engine->digester_count++;
    }
    return status;
}

enum kw_status kw__digest_origin(struct kw_engine *engine, struct kw_digest_origin *origin_out,
                                 struct kw_error *error_out)
{
    uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE];
    uint8_t salt[KW_SALT_SIZE];
    size_t size;
    enum kw_status status =
        read_setting(engine, NAME_PEPPER, fingerprint, sizeof fingerprint, sizeof fingerprint, &size, error_out);
    if (status == KW_OK && size > 0) {
        status = read_setting(engine, NAME_SALT, salt, sizeof salt, sizeof salt, &size, error_out);
    }
    if (status == KW_OK && size == 0) {
        status = kw__store_failed(error_out, KW_E_CORRUPT); /* they were there when the engine was opened */
    }
    if (status == KW_OK) {
        kw_hex_encode(kw_bytes_of(fingerprint, sizeof fingerprint), origin_out->pepper);
        kw_hex_encode(kw_bytes_of(salt, sizeof salt), origin_out->salt);
    }
    return status;
}

void kw__digest_new_key(const struct kw_engine *engine, struct kw_bytes key, struct kw_digest *digest_out)
{
    kw_digest_key(engine->digesters[0], key, digest_out);
}
