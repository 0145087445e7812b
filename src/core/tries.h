/*
 * What became of each try of a delivery: kept with it as one text of bytes, and shown as JSON. The latest
 * KW_TRIES_KEPT_MAX are kept.
 */
#ifndef KW_CORE_TRIES_H
#define KW_CORE_TRIES_H

#include "base/json.h"

#define KW_TRIES_KEPT_MAX 16
#define KW_TRY_ANSWER_MAX 512 /* bytes of an answer that are kept */
#define KW_TRY_ERROR_MAX 160
#define KW_TRY_SIZE_MAX ((size_t)8 + 4 + 2 + 2 + 2 + KW_TRY_ANSWER_MAX + KW_TRY_ERROR_MAX)
#define KW_TRIES_SIZE_MAX (KW_TRIES_KEPT_MAX * KW_TRY_SIZE_MAX)

struct kw_try {
    int64_t at_ms;
    uint32_t duration_ms;
    uint16_t http_status;   /* 0: there was no answer */
    struct kw_bytes error;  /* why not, or why the answer did not count; empty: nothing was wrong */
    struct kw_bytes answer; /* its first bytes */
};

/* Appends a try to those of `kept` that may stay; what is too long of it is cut. */
void kw_tries_add(struct kw_bytes kept, const struct kw_try *one, struct kw_buffer *out);
/* The next one, borrowed; false behind the last, and for what are none. Begin with all of them as `rest`. */
KW_MUST_USE bool kw_tries_next(struct kw_bytes *rest, struct kw_try *try_out);
size_t kw_tries_count(struct kw_bytes kept);
/* [{"at":…,"durationMs":…,"status":…,"error":…,"answer":…}]; of an answer U+FFFD stands for what is no UTF-8. */
void kw_tries_write(struct kw_bytes kept, struct kw_json_writer *json);

#endif
