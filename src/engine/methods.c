#include "engine/methods.h"

#include "base/bytes.h"
#include "core/import.h"
#include "engine/internal.h"

const struct kw__methods *kw__methods(const struct kw_engine *engine)
{
    return __atomic_load_n(&engine->methods, __ATOMIC_ACQUIRE);
}

bool kw__foreign_admits(const struct kw_engine *engine, const struct kw__methods *methods, uint16_t project,
                        struct kw_bytes key)
{
    if (key.size < KW_FOREIGN_SIZE_MIN || key.size > KW_KEY_SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < methods->foreign_count; i++) {
        const struct kw__foreign *foreign = &methods->foreigns[i];
        for (size_t j = 0; foreign->project == project && j < foreign->count; j++) {
            if (kw_bytes_starts_with(key, kw_bytes_of(foreign->prefixes[j].bytes, foreign->prefixes[j].size))) {
                return !kw_index_complete(engine->index) || kw_index_has_imported(engine->index, project);
            }
        }
    }
    return false;
}

/* --- what is in memory --- */

static struct kw_digester *pepper_digester_of(const struct kw__method_memory *memory, const uint8_t *fingerprint)
{
    for (size_t i = 0; i < memory->pepper_count; i++) {
        if (kw_fingerprint_equal(memory->fingerprints[i], fingerprint)) {
            return memory->pepper_digesters[i];
        }
    }
    return NULL;
}

enum kw_status kw__method_ready(struct kw__method_memory *memory, struct kw__method *method)
{
    if (method->digester != NULL) {
        return KW_OK;
    }
    struct kw_bytes none = {NULL, 0};
    if (kw_digest_scheme_is_salted(method->is.scheme)) {
        return kw_digester_new_salted(method->is.scheme, kw_bytes_of(method->is.salt, method->is.salt_size),
                                      method->is.salt_place, &method->digester);
    }
    if (method->is.scheme != KW_DIGEST_HMAC_SHA256) {
        return kw_digester_new(method->is.scheme, NULL, none, &method->digester);
    }
    method->digester = pepper_digester_of(memory, method->is.fingerprint);
    return KW_OK;
}

bool kw_digest_method_equal(const struct kw_digest_method *a, const struct kw_digest_method *b)
{
    return a->scheme == b->scheme && a->project == b->project && a->salt_size == b->salt_size &&
           (a->salt_size == 0 || a->salt_place == b->salt_place) && memcmp(a->salt, b->salt, a->salt_size) == 0 &&
           memcmp(a->fingerprint, b->fingerprint, sizeof a->fingerprint) == 0;
}

uint8_t kw__method_find(const struct kw__method_memory *memory, const struct kw_digest_method *wanted)
{
    struct kw_digest_method of_all = *wanted;
    of_all.project = KW_PROJECT_NONE;
    for (size_t number = 1; number < KW_METHODS_MAX; number++) {
        const struct kw_digest_method *there = &memory->methods[number].is;
        if (there->scheme != 0 && (kw_digest_method_equal(there, wanted) || kw_digest_method_equal(there, &of_all))) {
            return (uint8_t)number;
        }
    }
    return 0;
}

uint8_t kw__method_free_number(const struct kw__method_memory *memory)
{
    size_t number = KW_METHOD_FIRST_OWN;
    while (number < KW_METHODS_MAX && memory->methods[number].is.scheme != 0) {
        number++;
    }
    return number < KW_METHODS_MAX ? (uint8_t)number : 0;
}

void kw__method_clear(struct kw__method *method)
{
    if (method->is.scheme != KW_DIGEST_HMAC_SHA256) {
        kw_digester_free(method->digester);
    }
    *method = (struct kw__method){.digester = NULL};
}

void kw__method_memory_deinit(struct kw__method_memory *memory)
{
    for (size_t number = 0; number < KW_METHODS_MAX; number++) {
        kw__method_clear(&memory->methods[number]);
    }
    for (size_t i = 0; i < KW_PEPPERS_MAX; i++) {
        kw_digester_free(memory->pepper_digesters[i]);
    }
    kw_free(memory->freshes);
}

struct kw__fresh *kw__fresh_of(struct kw__method_memory *memory, uint16_t project)
{
    for (size_t i = 0; i < memory->fresh_count; i++) {
        if (memory->freshes[i].project == project) {
            return &memory->freshes[i];
        }
    }
    struct kw__fresh *longer = kw_realloc(memory->freshes, (memory->fresh_count + 1) * sizeof *longer);
    if (longer == NULL) {
        return NULL;
    }
    memory->freshes = longer;
    longer[memory->fresh_count] = (struct kw__fresh){.project = project};
    return &longer[memory->fresh_count++];
}

void kw__fresh_forget(struct kw__method_memory *memory, uint8_t number)
{
    for (size_t i = 0; i < memory->fresh_count; i++) {
        kw_method_set_remove(&memory->freshes[i].methods, number);
    }
}

/* --- tables --- */

/* The method of the first pepper that was given; of each other scheme its own. */
static void choose_own(const struct kw__method_memory *memory, struct kw__methods *methods)
{
    struct kw_digest_method current = {.scheme = KW_DIGEST_HMAC_SHA256};
    memcpy(current.fingerprint, memory->fingerprints[0], sizeof current.fingerprint);
    for (unsigned scheme = KW_DIGEST_SHA256; scheme <= KW_DIGEST_SHA512_SALTED; scheme++) {
        methods->own_of[scheme] = (uint8_t)scheme;
    }
    methods->own_of[KW_DIGEST_HMAC_SHA256] = kw__method_find(memory, &current);
    methods->own_of[0] = methods->own_of[memory->default_scheme];
}

struct kw__methods *kw__methods_make(const struct kw__method_memory *memory, const struct kw__foreign *foreigns,
                                     size_t foreign_count)
{
    struct kw__methods *methods = kw_alloc(1, sizeof *methods);
    struct kw__foreign *copies = foreign_count == 0 ? NULL : kw_alloc(foreign_count, sizeof *copies);
    if (methods == NULL || (foreign_count != 0 && copies == NULL)) {
        kw_free(methods);
        kw_free(copies);
        return NULL;
    }
    if (foreign_count != 0) {
        memcpy(copies, foreigns, foreign_count * sizeof *copies);
    }
    methods->foreigns = copies;
    methods->foreign_count = foreign_count;
    for (size_t number = 1; number < KW_METHODS_MAX; number++) {
        const struct kw__method *method = &memory->methods[number];
        methods->meant[number] = method->is.scheme == 0 ? NULL : &method->is;
        if (method->digester != NULL && !method->is_retired) {
            methods->by_number[number] = method;
            methods->numbers[methods->count++] = (uint8_t)number;
            kw_method_set_add(&methods->all, (uint8_t)number);
        }
    }
    memcpy(methods->fingerprints, memory->fingerprints, sizeof methods->fingerprints);
    methods->pepper_count = memory->pepper_count;
    choose_own(memory, methods);
    return methods;
}

void kw__methods_free(struct kw__methods *methods)
{
    if (methods != NULL) {
        kw_free(methods->foreigns);
        kw_free(methods);
    }
}

void kw__methods_publish(struct kw_engine *engine, struct kw__methods *next_take)
{
    struct kw__methods *old = engine->methods;
    __atomic_store_n(&engine->methods, next_take, __ATOMIC_RELEASE);
    if (old != NULL) {
        kw_index_read_wait();
        kw__methods_free(old);
    }
}

struct loading {
    struct kw_engine *engine;
    struct kw__foreign *foreigns;
    size_t count;
};

static enum kw_status load_foreign(void *context, const struct kw_store_setting *setting)
{
    struct loading *loading = context;
    struct kw_bytes project = kw_bytes_skip(setting->name, sizeof KW_FOREIGN_PREFIX - 1);
    struct kw__foreign *longer = kw_realloc(loading->foreigns, (loading->count + 1) * sizeof *longer);
    if (longer == NULL) {
        return KW_E_MEMORY;
    }
    loading->foreigns = longer;
    struct kw__foreign *foreign = &longer[loading->count];
    *foreign = (struct kw__foreign){.project = kw_project_number(kw__catalog(loading->engine), project)};
    enum kw_status status = kw__foreign_decode(setting->value, foreign);
    loading->count += status == KW_OK && foreign->project != KW_PROJECT_NONE;
    return status;
}

enum kw_status kw__methods_load(struct kw_engine *engine, struct kw_error *error_out)
{
    struct kw_store *store = engine->store;
    struct loading loading = {.engine = engine};
    enum kw_status status = store->ops->settings_list(store, KW_BYTES(KW_FOREIGN_PREFIX), load_foreign, &loading);
    status = status != KW_OK ? status : kw__methods_read(store, &engine->method_memory);
    for (size_t number = 1; number < KW_METHODS_MAX && status == KW_OK; number++) {
        struct kw__method *method = &engine->method_memory.methods[number];
        status = method->is.scheme == 0 ? KW_OK : kw__method_ready(&engine->method_memory, method);
    }
    struct kw__methods *methods =
        status == KW_OK ? kw__methods_make(&engine->method_memory, loading.foreigns, loading.count) : NULL;
    kw_free(loading.foreigns);
    if (methods == NULL) {
        return kw__store_failed(error_out, status != KW_OK ? status : KW_E_MEMORY);
    }
    kw__methods_publish(engine, methods);
    return KW_OK;
}

/* --- for callers --- */

bool kw_engine_method(const struct kw_engine *engine, uint8_t number, struct kw_digest_method *method_out)
{
    kw_index_read_begin();
    const struct kw__method *method = kw__methods(engine)->by_number[number];
    if (method != NULL) {
        *method_out = method->is;
    }
    kw_index_read_end();
    return method != NULL;
}

bool kw_engine_method_meant(const struct kw_engine *engine, uint8_t number, struct kw_digest_method *method_out)
{
    kw_index_read_begin();
    const struct kw_digest_method *method = kw__methods(engine)->meant[number];
    if (method != NULL) {
        *method_out = *method;
    }
    kw_index_read_end();
    return method != NULL;
}

bool kw_engine_method_has_keys(const struct kw_engine *engine, uint8_t number)
{
    return !kw_index_complete(engine->index) || kw_index_method_keys(engine->index, number) != 0 ||
           kw_index_method_erased(engine->index, number) != 0;
}

bool kw_engine_own_method(const struct kw_engine *engine, uint16_t project, struct kw_digest_method *method_out)
{
    kw_index_read_begin();
    const struct kw_project *found = kw_project_by_number(kw__catalog(engine), project);
    if (found != NULL) {
        *method_out = kw__own_method(kw__methods(engine), found)->is;
    }
    kw_index_read_end();
    return found != NULL;
}

bool kw_engine_digest(const struct kw_engine *engine, uint8_t number, struct kw_bytes key, struct kw_digest *digest_out)
{
    kw_index_read_begin();
    const struct kw__method *method = kw__methods(engine)->by_number[number];
    if (method != NULL) {
        kw_digest_key(method->digester, key, digest_out);
    }
    kw_index_read_end();
    return method != NULL;
}

enum kw_status kw_engine_pepper_check(const struct kw_engine *engine, const struct kw_digest_method *method,
                                      struct kw_error *error_out)
{
    kw_index_read_begin();
    const struct kw__methods *methods = kw__methods(engine);
    bool is_here = method->scheme != KW_DIGEST_HMAC_SHA256;
    for (size_t i = 0; i < methods->pepper_count && !is_here; i++) {
        is_here = kw_fingerprint_equal(methods->fingerprints[i], method->fingerprint);
    }
    kw_index_read_end();
    return is_here ? KW_OK : kw__pepper_missing(method, error_out);
}

enum kw_status kw__pepper_missing(const struct kw_digest_method *method, struct kw_error *error_out)
{
    char fingerprint[2 * KW_PEPPER_FINGERPRINT_SIZE + 1] = {0};
    kw_hex_encode(kw_bytes_of(method->fingerprint, sizeof method->fingerprint), fingerprint);
    return kw_refuse(error_out, KW_CODE_PEPPER_MISMATCH, "digest.pepper",
                     "was made under the pepper %s, which is not here: take it there with \"keyward pepper export\", "
                     "and bring it here with \"keyward pepper import\"",
                     fingerprint);
}

size_t kw_engine_peppers(const struct kw_engine *engine, struct kw_pepper_use *uses_out, size_t count)
{
    bool is_counted = kw_index_complete(engine->index); /* asked first: what is counted after it is all there is */
    kw_index_read_begin();
    const struct kw__methods *methods = kw__methods(engine);
    count = count < methods->pepper_count ? count : methods->pepper_count;
    for (size_t i = 0; i < count; i++) {
        struct kw_pepper_use *use = &uses_out[i];
        *use = (struct kw_pepper_use){.is_current = i == 0, .is_counted = is_counted};
        memcpy(use->fingerprint, methods->fingerprints[i], sizeof use->fingerprint);
        for (size_t j = 0; j < methods->count; j++) {
            const struct kw_digest_method *method = &methods->by_number[methods->numbers[j]]->is;
            if (method->scheme == KW_DIGEST_HMAC_SHA256 &&
                kw_fingerprint_equal(method->fingerprint, use->fingerprint)) {
                use->keys += kw_index_method_keys(engine->index, method->number);
                use->erased += kw_index_method_erased(engine->index, method->number);
            }
        }
    }
    kw_index_read_end();
    return count;
}

bool kw_engine_digest_was_moved(const struct kw_engine *engine, const struct kw_digest *digest, const struct kw_id *id)
{
    return kw_index_was_moved(engine->index, digest, id);
}
