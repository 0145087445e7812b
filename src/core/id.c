#include "core/id.h"

#include "base/bytes.h"
#include "base/time.h"

#define ID_TIME_MAX ((INT64_C(1) << 48) - 1)
#define ID_DIGITS 26
#define ID_PREFIX "key_"

static const char digits[32] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* The value of a digit plus one, so that every other byte reads 0. */
static const uint8_t values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    ['G'] = 17, ['H'] = 18, ['J'] = 19, ['K'] = 20, ['M'] = 21, ['N'] = 22, ['P'] = 23, ['Q'] = 24,
    ['R'] = 25, ['S'] = 26, ['T'] = 27, ['V'] = 28, ['W'] = 29, ['X'] = 30, ['Y'] = 31, ['Z'] = 32,
};

static uint64_t load_u64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static void store_u64(uint64_t value, uint8_t *bytes)
{
    for (int i = 7; i >= 0; i--, value >>= 8) {
        bytes[i] = (uint8_t)value;
    }
}

struct kw_id kw_id_make(int64_t now_ms, const uint8_t random[KW_ID_RANDOM_SIZE])
{
    int64_t time_ms = now_ms < 0 ? 0 : now_ms > ID_TIME_MAX ? ID_TIME_MAX : now_ms;
    struct kw_id id;
    store_u64((uint64_t)time_ms << 16, id.bytes);
    memcpy(id.bytes + sizeof id.bytes - KW_ID_RANDOM_SIZE, random, KW_ID_RANDOM_SIZE);
    return id;
}

bool kw_id_equal(const struct kw_id *a, const struct kw_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

int kw_id_compare(const struct kw_id *a, const struct kw_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

int64_t kw_id_time_ms(const struct kw_id *id)
{
    int64_t time_ms = (int64_t)(load_u64(id->bytes) >> 16);
    return time_ms > KW_TIME_MS_MAX ? KW_TIME_MS_MAX : time_ms;
}

void kw_id_format(const struct kw_id *id, char *out)
{
    uint64_t high = load_u64(id->bytes);
    uint64_t low = load_u64(id->bytes + 8);
    memcpy(out, ID_PREFIX, sizeof ID_PREFIX - 1);
    out += sizeof ID_PREFIX - 1;
    for (int i = ID_DIGITS - 1; i >= 0; i--) {
        out[i] = digits[low & 31];
        low = low >> 5 | high << 59;
        high >>= 5;
    }
}

bool kw_id_parse(struct kw_bytes text, struct kw_id *id_out)
{
    if (text.size != KW_ID_TEXT_SIZE || !kw_bytes_starts_with(text, KW_BYTES(ID_PREFIX))) {
        return false;
    }
    const uint8_t *at = text.data + sizeof ID_PREFIX - 1;
    if (*at > '7') {
        return false; /* 26 digits hold 130 bits */
    }
    uint64_t high = 0;
    uint64_t low = 0;
    for (int i = 0; i < ID_DIGITS; i++) {
        uint8_t value = values[at[i]];
        if (value == 0) {
            return false;
        }
        high = high << 5 | low >> 59;
        low = low << 5 | (uint64_t)(value - 1);
    }
    store_u64(high, id_out->bytes);
    store_u64(low, id_out->bytes + 8);
    return true;
}
