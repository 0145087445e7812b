#include "engine/internal.h"

#include "base/bytes.h"

#define NAME_PEPPER "pepper.fingerprint" /* of the first pepper, whatever became of it */
#define NAME_SCHEMES "digest.schemes"    /* a byte each, the store's default first */
#define NAME_SALT "digest.salt"
#define SCHEMES_MAX 8
#define CHANGES_MAX 4

/* What a store says of digests, on its way into memory. */
struct settings {
    struct kw_engine *engine;
    struct kw__method_memory *memory;
    struct kw_error *error;
    uint8_t first_fingerprint[KW_PEPPER_FINGERPRINT_SIZE];
    uint8_t schemes[SCHEMES_MAX];
    uint8_t salt[KW_SALT_SIZE];
    struct kw_buffer methods;
    bool methods_changed;
    struct kw_bytes forgotten;
    struct kw_store_setting changed[CHANGES_MAX];
    size_t changed_count;
};

/* `size_out` is 0 when the setting is not there; else it must be between `size_min` and `size`. */
static enum kw_status read_setting(const struct settings *settings, const char *name, void *value, size_t size_min,
                                   size_t size, size_t *size_out)
{
    struct kw_store *store = settings->engine->store;
    *size_out = 0;
    size_t stored = 0;
    enum kw_status status = store->ops->setting(store, kw_bytes_of_text(name), value, size, &stored);
    if (status == KW_E_NOT_FOUND) {
        return KW_OK;
    }
    if (status == KW_OK && (stored < size_min || stored > size)) {
        status = KW_E_CORRUPT;
    }
    if (status != KW_OK) {
        return kw__store_failed(settings->error, status);
    }
    *size_out = stored;
    return KW_OK;
}

static void change(struct settings *settings, const char *name, struct kw_bytes value)
{
    settings->changed[settings->changed_count++] = (struct kw_store_setting){kw_bytes_of_text(name), value};
}

static enum kw_status digest_peppers(struct settings *settings, const struct kw_engine_options *options)
{
    struct kw__method_memory *memory = settings->memory;
    size_t count = options->pepper_count == 0 ? 1 : options->pepper_count;
    if (count > KW_PEPPERS_MAX) {
        return kw_refuse(settings->error, KW_CODE_PEPPER_MISMATCH, NULL, "there are more than %d peppers: retire some",
                         KW_PEPPERS_MAX);
    }
    struct kw_bytes none = {NULL, 0};
    memory->pepper_count = count;
    for (size_t i = 0; i < count; i++) {
        kw_pepper_fingerprint(&options->pepper[i], memory->fingerprints[i]);
        enum kw_status status =
            kw_digester_new(KW_DIGEST_HMAC_SHA256, &options->pepper[i], none, &memory->pepper_digesters[i]);
        if (status != KW_OK) {
            return kw__store_failed(settings->error, status);
        }
    }
    return KW_OK;
}

static enum kw_status choose_first_pepper(struct settings *settings)
{
    size_t size;
    enum kw_status status = read_setting(settings, NAME_PEPPER, settings->first_fingerprint, KW_PEPPER_FINGERPRINT_SIZE,
                                         KW_PEPPER_FINGERPRINT_SIZE, &size);
    if (status == KW_OK && size == 0) {
        memcpy(settings->first_fingerprint, settings->memory->fingerprints[0], KW_PEPPER_FINGERPRINT_SIZE);
        change(settings, NAME_PEPPER, kw_bytes_of(settings->first_fingerprint, KW_PEPPER_FINGERPRINT_SIZE));
    }
    return status;
}

static enum kw_status choose_scheme(struct settings *settings, enum kw_digest_scheme chosen)
{
    size_t count;
    enum kw_status status =
        read_setting(settings, NAME_SCHEMES, settings->schemes, 1, sizeof settings->schemes, &count);
    if (status != KW_OK) {
        return status;
    }
    /* Before it is written down: a store that names a scheme of nobody never opens again. */
    if (chosen != 0 && (chosen < KW_DIGEST_HMAC_SHA256 || chosen > KW_DIGEST_SHA512_SALTED)) {
        return kw_refuse(settings->error, KW_CODE_INVALID_FIELD, "digest", "there is no such digest scheme");
    }
    if (count > 0 && kw_digest_scheme_name((enum kw_digest_scheme)settings->schemes[0]) == NULL) {
        return kw__store_failed(settings->error, KW_E_NEWER);
    }
    uint8_t before = count == 0 ? 0 : settings->schemes[0];
    uint8_t wanted = chosen != 0 ? (uint8_t)chosen : before != 0 ? before : KW_DIGEST_HMAC_SHA256;
    settings->memory->default_scheme = (enum kw_digest_scheme)wanted;
    if (wanted == before) {
        return KW_OK;
    }
    size_t at = 0;
    while (at < count && settings->schemes[at] != wanted) {
        at++;
    }
    count += at == count && count < SCHEMES_MAX;
    memmove(settings->schemes + 1, settings->schemes, at < SCHEMES_MAX ? at : SCHEMES_MAX - 1);
    settings->schemes[0] = wanted;
    change(settings, NAME_SCHEMES, kw_bytes_of(settings->schemes, count));
    return KW_OK;
}

static enum kw_status choose_salt(struct settings *settings)
{
    const struct kw_entropy *entropy = &settings->engine->entropy;
    size_t size;
    enum kw_status status =
        read_setting(settings, NAME_SALT, settings->salt, sizeof settings->salt, sizeof settings->salt, &size);
    if (status != KW_OK || size != 0) {
        return status;
    }
    if (entropy->draw(entropy->context, settings->salt, sizeof settings->salt) != KW_OK) {
        return kw_refuse(settings->error, KW_CODE_INTERNAL, NULL, "the system gave no random bytes");
    }
    change(settings, NAME_SALT, kw_bytes_of(settings->salt, sizeof settings->salt));
    return KW_OK;
}

/* The methods that need no taking: one for each scheme. */
static void add_built_in(struct settings *settings)
{
    for (unsigned scheme = KW_DIGEST_HMAC_SHA256; scheme <= KW_DIGEST_SHA512_SALTED; scheme++) {
        struct kw__method *method = &settings->memory->methods[scheme];
        bool is_retired = method->is_retired;
        *method = (struct kw__method){.is = {.number = (uint8_t)scheme, .scheme = (enum kw_digest_scheme)scheme},
                                      .is_retired = is_retired};
        if (kw_digest_scheme_is_salted(method->is.scheme)) {
            memcpy(method->is.salt, settings->salt, sizeof settings->salt);
            method->is.salt_size = sizeof settings->salt;
        } else if (scheme == KW_DIGEST_HMAC_SHA256) {
            memcpy(method->is.fingerprint, settings->first_fingerprint, sizeof method->is.fingerprint);
        }
    }
}

/* The method of the pepper that new keys get. */
static enum kw_status add_current(struct settings *settings)
{
    struct kw__method_memory *memory = settings->memory;
    struct kw_digest_method current = {.scheme = KW_DIGEST_HMAC_SHA256};
    memcpy(current.fingerprint, memory->fingerprints[0], sizeof current.fingerprint);
    if (kw__method_find(memory, &current) != 0) {
        return KW_OK;
    }
    current.number = kw__method_free_number(memory);
    if (current.number == 0) {
        return kw_refuse(settings->error, KW_CODE_LIMIT_REACHED, NULL,
                         "there are as many digest methods as there may be: give the former pepper first");
    }
    memory->methods[current.number] = (struct kw__method){.is = current};
    settings->methods_changed = true;
    return KW_OK;
}

struct census {
    uint64_t keys[KW_METHODS_MAX], erased[KW_METHODS_MAX];
    struct kw_id last;
    size_t on_page;
};

static enum kw_status count_row(void *context, const struct kw_store_row *row)
{
    struct census *census = context;
    (row->erased ? census->erased : census->keys)[row->digest_scheme]++;
    census->last = row->id;
    census->on_page++;
    return KW_OK;
}

/* Asks the store for all of its rows: only where a pepper is missing, since nobody else has counted them yet. */
static enum kw_status count_records(struct kw_store *store, struct census *census)
{
    struct kw_store_filter filter = {.limit = KW_STORE_LIST_MAX};
    enum kw_status status;
    do {
        census->on_page = 0;
        status = store->ops->list(store, &filter, count_row, census);
        filter.after.id = census->last;
    } while (status == KW_OK && census->on_page == filter.limit);
    census->last = (struct kw_id){{0}};
    census->on_page = KW_STORE_LIST_MAX;
    while (status == KW_OK && census->on_page == KW_STORE_LIST_MAX) {
        struct kw_id after = census->last;
        census->on_page = 0;
        status = store->ops->tombstones(store, &after, KW_STORE_LIST_MAX, count_row, census);
    }
    return status;
}

/* Without it nobody could tell any more what was erased from what never was here. */
static enum kw_status refuse_forgetting(const struct settings *settings, const struct kw__method *method,
                                        uint64_t count)
{
    char missing[2 * KW_PEPPER_FINGERPRINT_SIZE + 1] = {0};
    kw_hex_encode(kw_bytes_of(method->is.fingerprint, KW_PEPPER_FINGERPRINT_SIZE), missing);
    return kw_refuse(
        settings->error, KW_CODE_PEPPER_MISMATCH, NULL,
        "%llu erased key%s %s kept away by the pepper of fingerprint %.8s, which is not given: put it back; "
        "or let imports bring %s in anew (forget_erased, \"keyward pepper retire %.8s --forget-erased "
        "--data DIR\")",
        (unsigned long long)count, count == 1 ? "" : "s", count == 1 ? "is" : "are", missing,
        count == 1 ? "it" : "them", missing);
}

static enum kw_status refuse_missing(const struct settings *settings, const struct kw__method *method, uint64_t count)
{
    char missing[2 * KW_PEPPER_FINGERPRINT_SIZE + 1] = {0};
    char given[2 * KW_PEPPER_FINGERPRINT_SIZE + 1] = {0};
    kw_hex_encode(kw_bytes_of(method->is.fingerprint, KW_PEPPER_FINGERPRINT_SIZE), missing);
    kw_hex_encode(kw_bytes_of(settings->memory->fingerprints[0], KW_PEPPER_FINGERPRINT_SIZE), given);
    return kw_refuse(settings->error, KW_CODE_PEPPER_MISMATCH, NULL,
                     "%llu key%s in this store %s made with the pepper of fingerprint %.8s, which is not given (%.8s "
                     "is): put the pepper file back that belongs to the data",
                     (unsigned long long)count, count == 1 ? "" : "s", count == 1 ? "was" : "were", missing, given);
}

static bool may_forget(const struct settings *settings, const struct kw__method *method)
{
    char missing[2 * KW_PEPPER_FINGERPRINT_SIZE];
    kw_hex_encode(kw_bytes_of(method->is.fingerprint, KW_PEPPER_FINGERPRINT_SIZE), missing);
    return settings->forgotten.size > 0 &&
           kw_bytes_starts_with(kw_bytes_of(missing, sizeof missing), settings->forgotten);
}

/* A pepper that is missing is refused as long as keys need it, be they erased, and is retired once none does. */
static enum kw_status check_missing(struct settings *settings)
{
    struct census *census = NULL;
    enum kw_status status = KW_OK;
    for (size_t number = 1; number < KW_METHODS_MAX && status == KW_OK; number++) {
        struct kw__method *method = &settings->memory->methods[number];
        bool is_here = method->digester != NULL;
        if (method->is.scheme == 0 || is_here == !method->is_retired) {
            continue;
        }
        if (!is_here && census == NULL) {
            census = kw_alloc(1, sizeof *census);
            status = census == NULL ? KW_E_MEMORY : count_records(settings->engine->store, census);
            if (status != KW_OK) {
                status = kw__store_failed(settings->error, status);
                break;
            }
        }
        if (!is_here && census->keys[number] > 0) {
            status = refuse_missing(settings, method, census->keys[number]);
        } else if (!is_here && census->erased[number] > 0 && !may_forget(settings, method)) {
            status = refuse_forgetting(settings, method, census->erased[number]);
        }
        method->is_retired = !is_here;
        settings->methods_changed = true;
    }
    kw_free(census);
    return status;
}

static enum kw_status prepare_methods(struct settings *settings)
{
    struct kw__method_memory *memory = settings->memory;
    enum kw_status status = kw__methods_read(settings->engine->store, memory);
    if (status != KW_OK) {
        return kw__store_failed(settings->error, status);
    }
    add_built_in(settings);
    status = add_current(settings);
    for (size_t number = 1; number < KW_METHODS_MAX && status == KW_OK; number++) {
        struct kw__method *method = &memory->methods[number];
        status = method->is.scheme == 0 ? KW_OK : kw__method_ready(memory, method);
        status = status == KW_OK ? KW_OK : kw__store_failed(settings->error, status);
    }
    return status != KW_OK ? status : check_missing(settings);
}

static enum kw_status keep(struct settings *settings)
{
    struct kw_store *store = settings->engine->store;
    enum kw_status status = KW_OK;
    if (settings->methods_changed) {
        status = kw__methods_encode(settings->memory, &settings->methods);
        change(settings, KW_METHODS_SETTING, kw_buffer_bytes(&settings->methods));
    }
    if (status == KW_OK && settings->changed_count > 0) {
        struct kw_store_batch batch = {.settings = settings->changed, .setting_count = settings->changed_count};
        status = store->ops->commit(store, &batch, 1);
        status = status != KW_OK ? status : batch.outcome;
    }
    return status == KW_OK ? KW_OK : kw__store_failed(settings->error, status);
}

enum kw_status kw__settings_open(struct kw_engine *engine, const struct kw_engine_options *options,
                                 struct kw_error *error_out)
{
    struct settings settings = {
        .engine = engine, .memory = &engine->method_memory, .error = error_out, .forgotten = options->forgotten};
    kw_buffer_init(&settings.methods, KW_METHODS_SETTING_MAX);
    enum kw_status status = digest_peppers(&settings, options);
    status = status != KW_OK ? status : choose_first_pepper(&settings);
    status = status != KW_OK ? status : choose_scheme(&settings, options->digest_scheme);
    status = status != KW_OK ? status : choose_salt(&settings);
    status = status != KW_OK ? status : prepare_methods(&settings);
    status = status != KW_OK ? status : keep(&settings);
    kw_buffer_deinit(&settings.methods);
    return status;
}

void kw__digest_new_key(const struct kw_engine *engine, const struct kw_project *project, struct kw_bytes key,
                        struct kw_digest *digest_out)
{
    kw_digest_key(kw__own_method(kw__methods(engine), project)->digester, key, digest_out);
}
