#include "core/key.h"

#include "base/bytes.h"
#include "base/error.h"

#include <assert.h>

#define PREFIX_SIZE_MIN 2 /* a letter and '_' */
#define LENGTH_MIN 22     /* 62^21 < 2^128 <= 62^22 */
#define KEY_SIZE_MIN (PREFIX_SIZE_MIN + LENGTH_MIN + KW_KEY_CHECKSUM_SIZE)
#define KEY_SIZE_MAX (KW_PREFIX_MAX + KW_KEY_LENGTH_MAX + KW_KEY_CHECKSUM_SIZE)
#define BASE62_SIZE 62

_Static_assert(KEY_SIZE_MAX <= KW_KEY_SIZE_MAX, "every key can be digested");
_Static_assert(KEY_SIZE_MAX <= KW_SECRET_MAX, "every key fits its type");

static const char base62[BASE62_SIZE + 1] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* The value of a digit plus one, so that every other byte reads 0. */
static const uint8_t base62_values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,  ['8'] = 9,
    ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16, ['G'] = 17, ['H'] = 18,
    ['I'] = 19, ['J'] = 20, ['K'] = 21, ['L'] = 22, ['M'] = 23, ['N'] = 24, ['O'] = 25, ['P'] = 26, ['Q'] = 27,
    ['R'] = 28, ['S'] = 29, ['T'] = 30, ['U'] = 31, ['V'] = 32, ['W'] = 33, ['X'] = 34, ['Y'] = 35, ['Z'] = 36,
    ['a'] = 37, ['b'] = 38, ['c'] = 39, ['d'] = 40, ['e'] = 41, ['f'] = 42, ['g'] = 43, ['h'] = 44, ['i'] = 45,
    ['j'] = 46, ['k'] = 47, ['l'] = 48, ['m'] = 49, ['n'] = 50, ['o'] = 51, ['p'] = 52, ['q'] = 53, ['r'] = 54,
    ['s'] = 55, ['t'] = 56, ['u'] = 57, ['v'] = 58, ['w'] = 59, ['x'] = 60, ['y'] = 61, ['z'] = 62,
};

static enum kw_status check_prefix(struct kw_bytes prefix, struct kw_error *error_out)
{
    bool well_formed = prefix.size >= PREFIX_SIZE_MIN && prefix.size <= KW_PREFIX_MAX && prefix.data[0] >= 'a' &&
                       prefix.data[0] <= 'z' && prefix.data[prefix.size - 1] == '_';
    for (size_t i = 0; well_formed && i < prefix.size; i++) {
        uint8_t c = prefix.data[i];
        well_formed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    }
    if (!well_formed) {
        return kw_fail(error_out, KW_E_INVALID, "INVALID_FIELD", "prefix",
                       "must be %d to %d of a-z, 0-9, '_' and '-', start with a letter and end with '_'",
                       PREFIX_SIZE_MIN, KW_PREFIX_MAX);
    }
    return KW_OK;
}

static enum kw_status check_alphabet(struct kw_bytes alphabet, struct kw_error *error_out)
{
    uint64_t seen = 0;
    bool well_formed = alphabet.size == 0 || (alphabet.size >= 2 && alphabet.size <= BASE62_SIZE);
    for (size_t i = 0; well_formed && i < alphabet.size; i++) {
        uint8_t value = base62_values[alphabet.data[i]];
        well_formed = value != 0 && (seen >> value & 1) == 0;
        seen |= UINT64_C(1) << value;
    }
    if (!well_formed) {
        return kw_fail(error_out, KW_E_INVALID, "INVALID_FIELD", "alphabet",
                       "must be 2 to %d different characters of 0-9, A-Z and a-z", BASE62_SIZE);
    }
    return KW_OK;
}

/* True when base^length >= 2^128: the product is kept in 128 bits, and a carry out of them is the answer. */
static bool has_strength(uint32_t base, uint32_t length)
{
    _Static_assert(KW_KEY_STRENGTH_BITS_MIN == 4 * 32, "the limbs hold exactly the strength asked for");
    uint32_t limbs[4] = {1};
    for (uint32_t i = 0; i < length; i++) {
        uint64_t carry = 0;
        for (int limb = 0; limb < 4; limb++) {
            carry += (uint64_t)limbs[limb] * base;
            limbs[limb] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry != 0) {
            return true;
        }
    }
    return false;
}

static uint32_t alphabet_size(const struct kw_key_format *format)
{
    return format->alphabet.size == 0 ? BASE62_SIZE : (uint32_t)format->alphabet.size;
}

enum kw_status kw_key_format_check(const struct kw_key_format *format, struct kw_error *error_out)
{
    enum kw_status status = check_prefix(format->prefix, error_out);
    if (status != KW_OK) {
        return status;
    }
    status = check_alphabet(format->alphabet, error_out);
    if (status != KW_OK) {
        return status;
    }
    if (format->length == 0 || format->length > KW_KEY_LENGTH_MAX) {
        return kw_fail(error_out, KW_E_INVALID, "INVALID_FIELD", "length", "must be 1 to %d characters",
                       KW_KEY_LENGTH_MAX);
    }
    if (!has_strength(alphabet_size(format), format->length)) {
        return kw_fail(error_out, KW_E_INVALID, "WEAK_KEY_FORMAT", "length",
                       "is too short for this alphabet: keys need %d bits, so make it longer or the alphabet larger",
                       KW_KEY_STRENGTH_BITS_MIN);
    }
    return KW_OK;
}

static void write_checksum(uint32_t crc, uint8_t out[KW_KEY_CHECKSUM_SIZE])
{
    for (int i = KW_KEY_CHECKSUM_SIZE - 1; i >= 0; i--, crc /= BASE62_SIZE) {
        out[i] = (uint8_t)base62[crc % BASE62_SIZE];
    }
}

enum kw_status kw_key_generate(const struct kw_key_format *format, struct kw_bytes random, struct kw_secret *key_out)
{
    uint32_t count = alphabet_size(format);
    const char *letters = format->alphabet.size == 0 ? base62 : (const char *)format->alphabet.data;
    assert(format->prefix.size <= KW_PREFIX_MAX && format->length <= KW_KEY_LENGTH_MAX && count <= BASE62_SIZE);

    uint32_t mask = 1;
    while (mask < count - 1) {
        mask = mask << 1 | 1;
    }
    struct kw_secret key KW_WIPED = {.size = format->prefix.size};
    memcpy(key.hidden, format->prefix.data, format->prefix.size);
    size_t end = format->prefix.size + format->length;
    /* A draw beyond the alphabet is thrown away: folding it back would make some characters likelier. */
    for (size_t i = 0; i < random.size && key.size < end; i++) {
        uint32_t drawn = random.data[i] & mask;
        if (drawn < count) {
            key.hidden[key.size++] = (uint8_t)letters[drawn];
        }
    }
    if (key.size < end) {
        return KW_E_LIMIT;
    }
    write_checksum(kw_crc32(kw_bytes_of(key.hidden, key.size)), key.hidden + key.size);
    key.size += KW_KEY_CHECKSUM_SIZE;
    *key_out = key;
    return KW_OK;
}

typedef uint8_t chars __attribute__((vector_size(16)));

/* Every lane 255 where the character is one that keys have. */
static inline chars are_key_characters(const uint8_t *text)
{
    chars c;
    memcpy(&c, text, sizeof c);
    return (chars)(((c | 0x20) - 'a' < 26) | (c - '0' < 10) | (c == '_') | (c == '-'));
}

static inline bool has_key_characters_only(struct kw_bytes text)
{
    /* The last sixteen may overlap those before them: that is cheaper than a loop over the rest. */
    chars good = are_key_characters(text.data + text.size - sizeof(chars));
    for (size_t at = 0; at + sizeof(chars) < text.size; at += sizeof(chars)) {
        good &= are_key_characters(text.data + at);
    }
    uint64_t halves[2];
    memcpy(halves, &good, sizeof halves);
    return (halves[0] & halves[1]) == UINT64_MAX;
}

/*
 * The number that the checksum's digits stand for; more than 32 bits when one is no digit. Reading them, rather than
 * writing the CRC in digits, does not wait for the CRC.
 */
static inline uint64_t read_checksum(const uint8_t digits[KW_KEY_CHECKSUM_SIZE])
{
    uint64_t value = 0;
    uint64_t bad = 0;
    for (int i = 0; i < KW_KEY_CHECKSUM_SIZE; i++) {
        uint64_t digit = (uint64_t)base62_values[digits[i]] - 1;
        bad |= digit;
        value = value * BASE62_SIZE + digit;
    }
    return value | (bad & UINT64_C(1) << 63);
}

bool kw_key_well_formed(struct kw_bytes text)
{
    if (text.size < KEY_SIZE_MIN || text.size > KEY_SIZE_MAX || !has_key_characters_only(text)) {
        return false;
    }
    size_t body_size = text.size - KW_KEY_CHECKSUM_SIZE;
    return read_checksum(text.data + body_size) == kw_crc32(kw_bytes_of(text.data, body_size));
}
