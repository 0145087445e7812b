/*
 * Base64 with padding (RFC 4648, 4), for secrets and signatures of webhooks.
 */
#ifndef KW_BASE_BASE64_H
#define KW_BASE_BASE64_H

#include <keyward/types.h>

#define KW_BASE64_SIZE(size) (((size) + 2) / 3 * 4)

/* Writes KW_BASE64_SIZE(bytes.size) characters, no NUL. */
void kw_base64_encode(struct kw_bytes bytes, char *out);

#endif
