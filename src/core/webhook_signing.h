/*
 * Signing what is sent to endpoints, as the Standard Webhooks specification says
 * (https://github.com/standard-webhooks/standard-webhooks): the signature is over "ID.TIMESTAMP.BODY", by HMAC-SHA-256
 * ("v1,") or Ed25519 ("v1a,"), in base64. An endpoint has one set of secrets, and for a while after a rotation those
 * before it too; each signs, so that a receiver takes what it knows. Random bytes are handed in.
 */
#ifndef KW_CORE_WEBHOOK_SIGNING_H
#define KW_CORE_WEBHOOK_SIGNING_H

#include "base/memory.h"
#include "base/secret.h"

#define KW_SIGNING_SIZE 32     /* of an HMAC secret, and of an Ed25519 seed and public key */
#define KW_SIGNING_SETS_MAX 3  /* that sign at once */
#define KW_SIGNING_TEXT_MAX 51 /* "whsec_" or "whpk_" and base64, without NUL */
/* "v1," or "v1a,", base64 and a space, of each set by both methods */
#define KW_SIGNATURES_MAX ((size_t)KW_SIGNING_SETS_MAX * (48 + 93))
#define KW_SIGNING_PACKED_MAX ((size_t)1 + (size_t)KW_SIGNING_SETS_MAX * (8 + 2 * KW_SIGNING_SIZE))

enum kw_signature { KW_SIGNATURE_HMAC, KW_SIGNATURE_ED25519, KW_SIGNATURE_BOTH };

struct kw_signing_set {
    uint8_t hmac[KW_SIGNING_SIZE], seed[KW_SIGNING_SIZE];
    int64_t until_ms; /* it signs until then; 0: it is the one in use */
};

/* The newest first. Wipe it with kw_signing_wipe. */
struct kw_signing {
    struct kw_signing_set sets[KW_SIGNING_SETS_MAX];
    size_t count;
};

void kw_signing_wipe(struct kw_signing *signing);

/*
 * Begins with a set made of `random`, before what is there: the one in use so far goes on until `now_ms + overlap_ms`
 * (0: it ends at once), what has ended goes, and of more than KW_SIGNING_SETS_MAX the oldest.
 */
void kw_signing_rotate(struct kw_signing *signing, const uint8_t random[2 * KW_SIGNING_SIZE], int64_t now_ms,
                       int64_t overlap_ms);

/* As they are kept, sealed, and back; false for what is none. `packed` has as many bytes as the secret holds. */
KW_MUST_USE enum kw_status kw_signing_pack(const struct kw_signing *signing, struct kw_secret *packed_out);
KW_MUST_USE bool kw_signing_unpack(const struct kw_secret *packed, struct kw_signing *signing_out);

/* The secret in use as receivers take it: "whsec_…". KW_E_SYSTEM where OpenSSL fails, as in the next two. */
KW_MUST_USE enum kw_status kw_signing_secret_text(const struct kw_signing *signing, struct kw_secret *text_out);
/* The public key in use: "whpk_…", which is no secret; `size_out` bytes, no NUL. */
KW_MUST_USE enum kw_status kw_signing_public_text(const struct kw_signing *signing, char out[KW_SIGNING_TEXT_MAX],
                                                  size_t *size_out);

struct kw_signed_message {
    struct kw_bytes id;
    int64_t timestamp_s;
    struct kw_bytes body;
};

/* Appends the value of webhook-signature: of each set that signs at `now_ms`, the newest first. KW_E_MEMORY too. */
KW_MUST_USE enum kw_status kw_signing_sign(const struct kw_signing *signing, enum kw_signature kind,
                                           const struct kw_signed_message *message, int64_t now_ms,
                                           struct kw_buffer *value);

#endif
