/*
 * Sealing: what Keyward must be able to read again, and a thief of the database must not (the secrets that sign
 * webhooks). AES-256-GCM (NIST SP 800-38D) under a key that lies in a file of its own; what is sealed is bound to the
 * place it belongs to, so that one cannot stand for another. The nonce is handed in, and must be random.
 */
#ifndef KW_CORE_SEALING_H
#define KW_CORE_SEALING_H

#include "base/secret.h"

#define KW_SEALING_KEY_SIZE 32
#define KW_SEALING_NONCE_SIZE 12
#define KW_SEALED_MORE 29 /* bytes that a sealed text has more: version, nonce, tag */
#define KW_SEALED_MAX (KW_SECRET_MAX + KW_SEALED_MORE)

/*
 * Fills `out` with KW_SEALED_MORE bytes more than the secret has. `place` is what it belongs to
 * ("webhook/shop/orders"). KW_E_INVALID for a key of another size, KW_E_SYSTEM where OpenSSL fails.
 */
KW_MUST_USE enum kw_status kw_seal(const struct kw_secret *key, const uint8_t nonce[KW_SEALING_NONCE_SIZE],
                                   struct kw_bytes place, const struct kw_secret *secret, uint8_t out[KW_SEALED_MAX],
                                   size_t *size_out);
/* KW_E_CORRUPT: it was not sealed under this key, or for another place, or was changed. KW_E_SYSTEM. */
KW_MUST_USE enum kw_status kw_unseal(const struct kw_secret *key, struct kw_bytes place, struct kw_bytes sealed,
                                     struct kw_secret *secret_out);

#endif
