#include "engine/method_table.h"

#include "base/bytes.h"

/*
 * How methods and prefixes are kept. A version byte; then for each method its number, scheme, flags, project (big end
 * first), the place of its salt, a size and so many bytes of salt or fingerprint; for each prefix a size and its bytes.
 */
#define ENCODING_VERSION 1
#define HEAD_SIZE 7
#define FLAG_RETIRED 1

static struct kw_bytes material_of(const struct kw_digest_method *method)
{
    return method->scheme == KW_DIGEST_HMAC_SHA256 ? kw_bytes_of(method->fingerprint, sizeof method->fingerprint)
                                                   : kw_bytes_of(method->salt, method->salt_size);
}

/* Of those that are there from the start only that the first pepper is gone for good. */
static bool is_kept(const struct kw__method *method)
{
    return method->is.scheme != 0 && (method->is.number >= KW_METHOD_FIRST_OWN || method->is_retired);
}

enum kw_status kw__methods_encode(const struct kw__method_memory *memory, struct kw_buffer *buffer)
{
    kw_buffer_add_byte(buffer, ENCODING_VERSION);
    for (size_t number = 1; number < KW_METHODS_MAX; number++) {
        const struct kw__method *method = &memory->methods[number];
        if (!is_kept(method)) {
            continue;
        }
        struct kw_bytes material = material_of(&method->is);
        uint8_t head[HEAD_SIZE] = {(uint8_t)number,
                                   (uint8_t)method->is.scheme,
                                   method->is_retired ? FLAG_RETIRED : 0,
                                   (uint8_t)(method->is.project >> 8),
                                   (uint8_t)method->is.project,
                                   (uint8_t)method->is.salt_place,
                                   (uint8_t)material.size};
        kw_buffer_add(buffer, kw_bytes_of(head, sizeof head));
        kw_buffer_add(buffer, material);
    }
    return kw_buffer_status(buffer);
}

static enum kw_status take_version(struct kw_bytes *rest)
{
    if (rest->size == 0 || rest->data[0] == 0) {
        return KW_E_CORRUPT;
    }
    enum kw_status status = rest->data[0] == ENCODING_VERSION ? KW_OK : KW_E_NEWER;
    *rest = kw_bytes_skip(*rest, 1);
    return status;
}

static enum kw_status take_method(struct kw_bytes *rest, struct kw__method *method_out)
{
    if (rest->size < HEAD_SIZE) {
        return KW_E_CORRUPT;
    }
    const uint8_t *head = rest->data;
    size_t size = head[6];
    struct kw__method method = {.is = {.number = head[0],
                                       .scheme = (enum kw_digest_scheme)head[1],
                                       .project = (uint16_t)(head[3] << 8 | head[4]),
                                       .salt_place = (enum kw_salt_place)head[5]},
                                .is_retired = (head[2] & FLAG_RETIRED) != 0};
    *rest = kw_bytes_skip(*rest, HEAD_SIZE);
    if (kw_digest_scheme_name(method.is.scheme) == NULL || (head[2] & ~FLAG_RETIRED) != 0 ||
        head[5] > KW_SALT_AFTER_KEY) {
        return KW_E_NEWER;
    }
    bool is_hmac = method.is.scheme == KW_DIGEST_HMAC_SHA256;
    bool is_salted = kw_digest_scheme_is_salted(method.is.scheme);
    size_t least = is_hmac ? KW_PEPPER_FINGERPRINT_SIZE : is_salted ? 1 : 0;
    size_t most = is_salted ? KW_SALT_MAX : least;
    if (size < least || size > most || size > rest->size || method.is.number == 0) {
        return KW_E_CORRUPT;
    }
    if (size > 0) {
        memcpy(is_hmac ? method.is.fingerprint : method.is.salt, rest->data, size);
    }
    method.is.salt_size = is_salted ? (uint8_t)size : 0;
    *rest = kw_bytes_skip(*rest, size);
    *method_out = method;
    return KW_OK;
}

enum kw_status kw__methods_decode(struct kw_bytes setting, struct kw__method_memory *memory)
{
    enum kw_status status = take_version(&setting);
    while (status == KW_OK && setting.size > 0) {
        struct kw__method method;
        status = take_method(&setting, &method);
        if (status != KW_OK) {
            break;
        }
        struct kw__method *place = &memory->methods[method.is.number];
        if (place->is.scheme == 0) {
            *place = method;
        }
    }
    return status;
}

enum kw_status kw__methods_read(struct kw_store *store, struct kw__method_memory *memory)
{
    uint8_t *value = kw_alloc(1, KW_METHODS_SETTING_MAX);
    size_t size = 0;
    if (value == NULL) {
        return KW_E_MEMORY;
    }
    enum kw_status status =
        store->ops->setting(store, KW_BYTES(KW_METHODS_SETTING), value, KW_METHODS_SETTING_MAX, &size);
    if (status == KW_OK) {
        status = size > KW_METHODS_SETTING_MAX ? KW_E_CORRUPT : kw__methods_decode(kw_bytes_of(value, size), memory);
    }
    kw_free(value);
    return status == KW_E_NOT_FOUND ? KW_OK : status;
}

enum kw_status kw__foreign_encode(const struct kw__foreign *foreign, struct kw_buffer *buffer)
{
    kw_buffer_add_byte(buffer, ENCODING_VERSION);
    for (size_t i = 0; i < foreign->count; i++) {
        kw_buffer_add_byte(buffer, foreign->prefixes[i].size);
        kw_buffer_add(buffer, kw_bytes_of(foreign->prefixes[i].bytes, foreign->prefixes[i].size));
    }
    return kw_buffer_status(buffer);
}

enum kw_status kw__foreign_decode(struct kw_bytes setting, struct kw__foreign *foreign_out)
{
    struct kw__foreign foreign = {.project = foreign_out->project};
    enum kw_status status = take_version(&setting);
    while (status == KW_OK && setting.size > 0) {
        size_t size = setting.data[0];
        setting = kw_bytes_skip(setting, 1);
        if (size > KW_PREFIX_MAX || size > setting.size || foreign.count == KW_FOREIGN_COUNT_MAX) {
            return KW_E_CORRUPT;
        }
        foreign.prefixes[foreign.count].size = (uint8_t)size;
        if (size > 0) {
            memcpy(foreign.prefixes[foreign.count].bytes, setting.data, size);
        }
        foreign.count++;
        setting = kw_bytes_skip(setting, size);
    }
    if (status == KW_OK) {
        *foreign_out = foreign;
    }
    return status;
}
