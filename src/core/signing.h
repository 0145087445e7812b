/*
 * Ed25519 (RFC 8032): what one holder of a seed says, and everybody can check. The seed is a secret of
 * KW_SIGNING_SEED_SIZE random bytes; whoever draws it keeps it.
 */
#ifndef KW_CORE_SIGNING_H
#define KW_CORE_SIGNING_H

#include "base/secret.h"

#define KW_SIGNING_SEED_SIZE 32
#define KW_PUBLIC_KEY_SIZE 32
#define KW_SIGNATURE_SIZE 64

/* The public key that goes with a seed. KW_E_INVALID for a seed of another size, KW_E_MEMORY. */
KW_MUST_USE enum kw_status kw_signing_public(const struct kw_secret *seed, uint8_t public_out[KW_PUBLIC_KEY_SIZE]);
/* Fails as the one before. */
KW_MUST_USE enum kw_status kw_sign(const struct kw_secret *seed, struct kw_bytes message,
                                   uint8_t signature_out[KW_SIGNATURE_SIZE]);
/* False also where there is no memory to find out. */
KW_MUST_USE bool kw_signature_holds(const uint8_t public_key[KW_PUBLIC_KEY_SIZE], struct kw_bytes message,
                                    const uint8_t signature[KW_SIGNATURE_SIZE]);

#endif
