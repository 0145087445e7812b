#include "engine/import.h"

#include "base/bytes.h"
#include "core/id.h"
#include "core/key.h"
#include "engine/writer.h"

/* --- methods --- */

static struct kw_digest_method method_of(const struct kw_import_forms *forms, const struct kw_import_item *item)
{
    struct kw_digest_method method = {.scheme = item->scheme, .salt_size = item->salt_size};
    if (item->salt_size > 0) {
        method.project = forms->project;
        method.salt_place = item->salt_before ? KW_SALT_BEFORE_KEY : KW_SALT_AFTER_KEY;
        memcpy(method.salt, item->salt, item->salt_size);
    }
    if (item->scheme == KW_DIGEST_HMAC_SHA256) {
        memcpy(method.fingerprint, item->fingerprint, sizeof method.fingerprint);
    }
    return method;
}

static enum kw_status take_method(struct kw_import_forms *forms, const struct kw_import_item *item, uint8_t *number_out,
                                  struct kw_error *error_out)
{
    struct kw_digest_method method = method_of(forms, item);
    for (size_t i = 0; i < forms->known_count; i++) {
        if (kw_digest_method_equal(&forms->known[i].method, &method)) {
            *number_out = forms->known[i].number;
            return KW_OK;
        }
    }
    uint8_t number = 0;
    enum kw_status status =
        kw_engine_method_take(forms->engine, forms->project, &method, forms->dry_run, &number, error_out);
    if (status == KW_OK && forms->known_count < KW_IMPORT_METHODS_KNOWN_MAX) {
        forms->known[forms->known_count].method = method;
        forms->known[forms->known_count++].number = number;
    }
    *number_out = number;
    return status;
}

/* --- keys of another form than Keyward's --- */

static enum kw_status admit_prefix(struct kw_import_forms *forms, struct kw_bytes prefix, struct kw_error *error_out)
{
    for (size_t i = 0; i < forms->prefix_count; i++) {
        if (kw_bytes_equal(kw_bytes_of(forms->prefixes[i], forms->prefix_sizes[i]), prefix)) {
            return KW_OK;
        }
    }
    enum kw_status status =
        forms->dry_run ? KW_OK : kw_engine_foreign_add(forms->engine, forms->project, prefix, error_out);
    if (status == KW_OK && forms->prefix_count < KW_FOREIGN_COUNT_MAX) {
        if (prefix.size > 0) {
            memcpy(forms->prefixes[forms->prefix_count], prefix.data, prefix.size);
        }
        forms->prefix_sizes[forms->prefix_count++] = prefix.size;
    }
    return status;
}

/*
 * Whether verifications find the key by its form: then they need no word from an import. What only names a prefix of
 * ours does not say that its keys end in our checksum, but for our own exports. `prefix_out`: that of the environment.
 */
static bool has_our_form(const struct kw_import_forms *forms, const struct kw_import_item *item,
                         struct kw_bytes *prefix_out)
{
    bool is_ours = false;
    if (item->key.size > 0 ? !kw_key_well_formed(item->key) : !item->is_own) {
        return false;
    }
    kw_engine_read_begin();
    const struct kw_project *project = kw_project_by_number(kw_engine_catalog(forms->engine), forms->project);
    for (size_t i = 0; project != NULL && i < project->environment_count; i++) {
        const struct kw_environment *environment = &project->environments[i];
        const struct kw_key_format *format =
            item->record.is_public ? &environment->public_keys : &environment->secret_keys;
        bool has_prefix = item->key.size > 0 ? kw_bytes_starts_with(item->key, format->prefix)
                                             : kw_bytes_equal(item->record.prefix, format->prefix);
        if (has_prefix && format->prefix.size > 0) {
            is_ours = true;
            *prefix_out = format->prefix;
        }
    }
    kw_engine_read_end();
    return is_ours;
}

enum kw_status kw__import_take_form(struct kw_import_forms *forms, struct kw_arena *arena, struct kw_import_item *item,
                                    struct kw_error *error_out)
{
    struct kw_bytes prefix = {NULL, 0};
    if (has_our_form(forms, item, &prefix)) {
        return item->key.size == 0 ? KW_OK : kw_arena_copy(arena, prefix, &item->record.prefix);
    }
    if (item->key.size > 0 && !kw_bytes_starts_with(item->key, item->record.prefix)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "prefix", "is not what the key begins with");
    }
    return admit_prefix(forms, item->record.prefix, error_out);
}

/* --- digests --- */

/* Of the methods that the project may know a key by, those that keys were kept under, erased ones too. */
static size_t list_methods(const struct kw_import_forms *forms, uint8_t numbers[UINT8_MAX])
{
    size_t count = 0;
    for (unsigned number = 1; number <= UINT8_MAX; number++) {
        struct kw_digest_method method;
        bool is_there = kw_engine_method(forms->engine, (uint8_t)number, &method);
        if (is_there && (method.project == KW_PROJECT_NONE || method.project == forms->project) &&
            kw_engine_method_has_keys(forms->engine, (uint8_t)number)) {
            numbers[count++] = (uint8_t)number;
        }
    }
    return count;
}

/* All digests that the project may know a plain key by. Its own method's is the one that is kept. */
static enum kw_status digest_key(struct kw_import_forms *forms, struct kw_arena *arena, struct kw_import_one *one,
                                 struct kw_error *error_out)
{
    struct kw_bytes key = one->item->key;
    struct kw_digest_method own;
    uint8_t numbers[UINT8_MAX];
    size_t count = list_methods(forms, numbers);
    one->digests = kw_arena_take_array(arena, 1 + count, sizeof *one->digests);
    if (one->digests == NULL) {
        return KW_E_MEMORY;
    }
    while (!kw_engine_digest(forms->engine, forms->own_method, key, &one->digests[0])) {
        /* Its pepper was retired since the import began: there is another one, then. */
        if (!kw_engine_own_method(forms->engine, forms->project, &own)) {
            return kw__project_gone(error_out);
        }
        forms->own_method = own.number;
    }
    one->method = forms->own_method;
    one->digest_count = 1;
    for (size_t i = 0; i < count; i++) {
        bool is_other = numbers[i] != one->method;
        one->digest_count +=
            is_other && kw_engine_digest(forms->engine, numbers[i], key, &one->digests[one->digest_count]);
    }
    return KW_OK;
}

/*
 * An item without an id gets one of its digest, so that a second import finds the key though it was used in between and
 * has another digest now. With the store's salt: ids are shown, and must not help to guess a weak key. Not under the
 * pepper, since that may be retired.
 */
static void take_id(struct kw_import_forms *forms, struct kw_import_item *item)
{
    char hex[2 * KW_DIGEST_MAX];
    struct kw_digest salted;
    if (!kw_id_is_none(&item->record.id)) {
        return;
    }
    kw_hex_encode(kw_bytes_of(item->digest.bytes, item->digest.size), hex);
    if (kw_engine_digest(forms->engine, KW_DIGEST_SHA256_SALTED, kw_bytes_of(hex, 2U * item->digest.size), &salted)) {
        item->record.id = item->record.lineage_id = kw_id_make(item->record.created_at_ms, salted.bytes);
    }
}

enum kw_status kw__import_take_digest(struct kw_import_forms *forms, struct kw_arena *arena, struct kw_import_one *one,
                                      struct kw_import_item *item, struct kw_error *error_out)
{
    if (item->key.size > 0) {
        return digest_key(forms, arena, one, error_out);
    }
    take_id(forms, item);
    one->digests = &item->digest;
    one->digest_count = 1;
    return take_method(forms, one->item, &one->method, error_out);
}
