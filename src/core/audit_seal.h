/* What the chain (audit.c) and seals (audit_seal.c) share among themselves. */
#ifndef KW_CORE_AUDIT_SEAL_H
#define KW_CORE_AUDIT_SEAL_H

#include "core/audit.h"

static inline void kw__store_u64(uint64_t value, uint8_t out[8])
{
    for (size_t i = 8; i-- > 0; value >>= 8) {
        out[i] = (uint8_t)value;
    }
}

static inline uint64_t kw__load_u64(const uint8_t in[8])
{
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++) {
        value = value << 8 | in[i];
    }
    return value;
}

/* The salt of a field of a line from which nothing was erased: its first KW_AUDIT_SALT_SIZE bytes. */
void kw__audit_field_salt(const uint8_t salt[KW_AUDIT_SALT_SIZE], uint8_t number, uint8_t out[KW_AUDIT_LINK_SIZE]);
/* A field as it goes into the link. */
void kw__audit_veil(const struct kw_audit_seal *seal, uint8_t number, struct kw_bytes value,
                    uint8_t out[KW_AUDIT_LINK_SIZE]);
/* A field by its number. */
struct kw_bytes kw__audit_veiled(const struct kw_audit_line *line, size_t number);
/* Whether that key has signed what is erased, and it is. */
KW_MUST_USE bool kw__audit_erasure_holds(const struct kw_audit_line *line, const struct kw_audit_seal *seal,
                                         const uint8_t signer[KW_PUBLIC_KEY_SIZE]);

#endif
