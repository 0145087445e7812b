#include "base/secret.h"

#include <string.h>

enum kw_status kw_secret_set(struct kw_secret *secret_out, struct kw_bytes bytes)
{
    if (bytes.size > KW_SECRET_MAX) {
        return KW_E_LIMIT;
    }
    if (bytes.size != 0) {
        memmove(secret_out->hidden, bytes.data, bytes.size);
    }
    kw_wipe(secret_out->hidden + bytes.size, KW_SECRET_MAX - bytes.size);
    secret_out->size = bytes.size;
    return KW_OK;
}

/* What the compiler may not see through: otherwise it could leave the loop at the first difference. */
static inline uint64_t opaque(uint64_t value)
{
    __asm__ volatile("" : "+r"(value));
    return value;
}

bool kw_constant_time_equal(struct kw_bytes a, struct kw_bytes b)
{
    if (a.size != b.size) {
        return false;
    }
    uint64_t difference = 0;
    size_t at = 0;
    for (; a.size - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t left;
        uint64_t right;
        memcpy(&left, a.data + at, sizeof left);
        memcpy(&right, b.data + at, sizeof right);
        difference = opaque(difference | (left ^ right));
    }
    for (; at < a.size; at++) {
        difference = opaque(difference | (uint64_t)(a.data[at] ^ b.data[at]));
    }
    return difference == 0;
}
