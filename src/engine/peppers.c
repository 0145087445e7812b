#include "engine/peppers.h"

#include "base/bytes.h"
#include "core/transition.h"
#include "engine/secret_file.h"

#define HEX_SIZE ((size_t)KW_PEPPER_SIZE * 2)

void kw_peppers_wipe(struct kw_peppers *peppers)
{
    kw_wipe(peppers, sizeof *peppers);
}

static enum kw_status refuse_text(const char *where, struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_PEPPER_MISMATCH, NULL,
                     "%s does not hold a pepper, which is %zu hexadecimal characters (several stand on lines of their "
                     "own, %d at most): restore it from its backup",
                     where, HEX_SIZE, KW_PEPPERS_MAX);
}

static enum kw_status refuse_many(struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_LIMIT_REACHED, NULL,
                     "there are %d peppers, and may be no more: retire those that no key needs", KW_PEPPERS_MAX);
}

static void fingerprint_of(const struct kw_peppers *peppers, size_t at, uint8_t out[KW_PEPPER_FINGERPRINT_SIZE])
{
    kw_pepper_fingerprint(&peppers->items[at], out);
}

/* Where the one of that fingerprint stands; behind the last when it is not there. */
static size_t place_of(const struct kw_peppers *peppers, const uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE])
{
    size_t at = 0;
    for (; at < peppers->count; at++) {
        uint8_t here[KW_PEPPER_FINGERPRINT_SIZE];
        fingerprint_of(peppers, at, here);
        if (kw_fingerprint_equal(here, fingerprint)) {
            break;
        }
    }
    return at;
}

/* False when there are too many. */
static bool add(struct kw_peppers *peppers, const struct kw_secret *one, size_t *added)
{
    uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE];
    kw_pepper_fingerprint(one, fingerprint);
    if (place_of(peppers, fingerprint) < peppers->count) {
        return true;
    }
    if (peppers->count == KW_PEPPERS_MAX) {
        return false;
    }
    peppers->items[peppers->count++] = *one;
    (*added)++;
    return true;
}

static bool is_end(uint8_t byte)
{
    return byte == ',' || byte == '\n';
}

static bool read_one(struct kw_bytes hex, struct kw_secret *one_out)
{
    uint8_t bytes[KW_PEPPER_SIZE];
    bool is_good = hex.size == HEX_SIZE && kw_hex_decode(hex, bytes, sizeof bytes) &&
                   kw_secret_set(one_out, kw_bytes_of(bytes, sizeof bytes)) == KW_OK;
    kw_wipe(bytes, sizeof bytes);
    return is_good;
}

enum kw_status kw_peppers_parse(struct kw_bytes text, const char *where, struct kw_peppers *peppers_out,
                                struct kw_error *error_out)
{
    struct kw_peppers peppers KW_PEPPERS_WIPED = {.count = 0};
    struct kw_secret one KW_WIPED = {0};
    size_t added = 0;
    while (text.size > 0) {
        size_t size = 0;
        while (size < text.size && !is_end(text.data[size])) {
            size++;
        }
        struct kw_bytes hex = kw_trim(kw_bytes_of(text.data, size));
        text = kw_bytes_skip(text, size < text.size ? size + 1 : size);
        if (hex.size > 0 && !(read_one(hex, &one) && add(&peppers, &one, &added))) {
            return refuse_text(where, error_out);
        }
    }
    if (peppers.count == 0) {
        return refuse_text(where, error_out);
    }
    *peppers_out = peppers;
    return KW_OK;
}

enum kw_status kw_peppers_write(const struct kw_peppers *peppers, struct kw_buffer *text)
{
    for (size_t i = 0; i < peppers->count; i++) {
        char hex[HEX_SIZE];
        kw_hex_encode(kw_secret_expose(&peppers->items[i]), hex);
        kw_buffer_add(text, kw_bytes_of(hex, sizeof hex));
        kw_buffer_add_byte(text, '\n');
        kw_wipe(hex, sizeof hex);
    }
    return kw_buffer_status(text);
}

enum kw_status kw_pepper_draw(const struct kw_entropy *entropy, struct kw_secret *pepper_out,
                              struct kw_error *error_out)
{
    uint8_t bytes[KW_PEPPER_SIZE];
    if (entropy->draw(entropy->context, bytes, sizeof bytes) != KW_OK) {
        return kw_refuse(error_out, KW_CODE_INTERNAL, NULL, "the operating system gives no random bytes");
    }
    enum kw_status status = kw_secret_set(pepper_out, kw_bytes_of(bytes, sizeof bytes));
    kw_wipe(bytes, sizeof bytes);
    return status;
}

enum kw_status kw_peppers_put_first(struct kw_peppers *peppers, const struct kw_secret *pepper,
                                    struct kw_error *error_out)
{
    uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE];
    kw_pepper_fingerprint(pepper, fingerprint);
    size_t before = place_of(peppers, fingerprint);
    if (before == KW_PEPPERS_MAX) {
        return refuse_many(error_out);
    }
    peppers->count += before == peppers->count;
    memmove(peppers->items + 1, peppers->items, before * sizeof *peppers->items);
    peppers->items[0] = *pepper;
    return KW_OK;
}

enum kw_status kw_peppers_join(struct kw_peppers *peppers, const struct kw_peppers *more, size_t *added_out,
                               struct kw_error *error_out)
{
    *added_out = 0;
    for (size_t i = 0; i < more->count; i++) {
        if (!add(peppers, &more->items[i], added_out)) {
            return refuse_many(error_out);
        }
    }
    return KW_OK;
}

bool kw_peppers_has(const struct kw_peppers *peppers, const uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE])
{
    return place_of(peppers, fingerprint) < peppers->count;
}

bool kw_peppers_remove(struct kw_peppers *peppers, const uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE])
{
    size_t at = place_of(peppers, fingerprint);
    if (at == peppers->count) {
        return false;
    }
    peppers->count--;
    memmove(peppers->items + at, peppers->items + at + 1, (peppers->count - at) * sizeof *peppers->items);
    kw_secret_wipe(&peppers->items[peppers->count]);
    return true;
}
