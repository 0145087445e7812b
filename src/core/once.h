/*
 * Requests that are to be done once, however often they come (the header Idempotency-Key): what names such a request,
 * and what tells that it is the same one. Both are digests, so that nothing of header or body is kept.
 */
#ifndef KW_CORE_ONCE_H
#define KW_CORE_ONCE_H

#include "base/memory.h"
#include <keyward/codes.h>
#include <keyward/record.h>

#define KW_ONCE_SIZE 32
#define KW_ONCE_KEY_MAX 255

struct kw_once {
    uint8_t name[KW_ONCE_SIZE];   /* of who asks, where, and the key of the request */
    uint8_t digest[KW_ONCE_SIZE]; /* of what is asked for */
};

/* Where a key of requests counts: two callers, projects or routes may use the same one. */
struct kw_once_place {
    struct kw_bytes caller, project, route;
};

/*
 * The key in a header: 1 to 255 visible ASCII characters as they are, or as a quoted string (RFC 8941), which means the
 * same key. Writes it to `memory`. INVALID_FIELD, naming `field`.
 */
KW_MUST_USE enum kw_status kw_once_key_read(struct kw_bytes header, const char *field, uint8_t memory[KW_ONCE_KEY_MAX],
                                            struct kw_bytes *key_out, struct kw_error *error_out);
/* The same for a key that stands by itself, without quotes. */
KW_MUST_USE enum kw_status kw_once_key_check(struct kw_bytes key, const char *field, struct kw_error *error_out);

/* `asked`: the parts of what is asked for. */
void kw_once_make(const struct kw_once_place *place, struct kw_bytes key, const struct kw_bytes *asked,
                  size_t asked_count, struct kw_once *once_out);

/*
 * What params ask for, as bytes in the arena: the same for params that say the same. Fails as kw_key_params_check, but
 * for times, which may lie in the past: a request that comes again late is the same request.
 */
KW_MUST_USE enum kw_status kw_once_params(const struct kw_key_params *params, struct kw_arena *arena,
                                          struct kw_bytes *bytes_out, struct kw_error *error_out);

#endif
