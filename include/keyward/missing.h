/*
 * What a key that was refused with INSUFFICIENT_SCOPE lacks: all of it, not only the first. A verdict carries bits, one
 * for each scope of the request at its place, so that it is of one size; the texts stand in the request.
 */
#ifndef KEYWARD_MISSING_H
#define KEYWARD_MISSING_H

#include <keyward/record.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KW_REQUIRE_SCOPE_MAX 32 /* scopes in a requirement, the same one twice counting twice */

/* Bit n of word m stands for scope 64 * m + n. kw_missing_list (keyward.h) reads it. */
struct kw_lacks {
    uint64_t scopes[KW_SCOPE_COUNT_MAX / 64];          /* of `scopes`: these are not held */
    uint64_t resource_scopes[KW_SCOPE_COUNT_MAX / 64]; /* of `resource_scopes`: not held on the resource */
    uint32_t required; /* of the scopes in `require`, as they stand there: these are not held. Of an OR all may be */
    bool has_nothing_there; /* no scope was asked for on the resource, and none is held there */
};

/* One thing of them; the texts are the request's own. */
struct kw_missing {
    struct kw_bytes scope;    /* that is not held */
    struct kw_bytes resource; /* on it; empty: everywhere. With an empty `scope`: any scope on it would do */
    struct kw_bytes require;  /* instead of both: a part of `require` that can be met in several ways: "a OR b" */
};
#define KW_MISSING_MAX (2 * KW_SCOPE_COUNT_MAX + 1 + KW_REQUIRE_SCOPE_MAX) /* things that one request can lack */

#ifdef __cplusplus
}
#endif
#endif
