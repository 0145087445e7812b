/*
 * Refused attempts on the management interface, on their way to the audit log: gathered in a table of fixed size, in
 * which the same attempt again only counts, and written at most once a minute. So a flood costs the log a bounded
 * number of lines, whoever sends it and from wherever.
 */
#ifndef KW_ENGINE_ATTEMPTS_H
#define KW_ENGINE_ATTEMPTS_H

#include "core/audit.h"
#include "engine/engine.h"

#define KW_ATTEMPTS_KINDS 64 /* that are told apart between two writes; the others are counted together */
#define KW_ATTEMPTS_PAUSE_MS 60000

struct kw_attempt {
    struct kw_bytes project; /* that it was about, as its name; empty: `keyward` */
    struct kw_bytes actor;   /* "key:key_…", as far as a key was known; may be empty, as may be the next ones */
    struct kw_bytes address, user_agent;
    const char *code;  /* "FORBIDDEN"; static, as is the next */
    const char *route; /* "POST /v1/keys" */
    int64_t at_ms;
};

struct kw_attempts;

KW_MUST_USE enum kw_status kw__attempts_new(struct kw_attempts **attempts_out);
void kw__attempts_free(struct kw_attempts *attempts);

/* Notes one; any thread, and does not wait for the store. */
void kw_engine_note_attempt(struct kw_engine *engine, const struct kw_attempt *attempt);

/* Writes what was noted, if the last time is long enough ago or `is_last`. By one thread. Fails as the store does; then
 * it is kept for the next time. */
KW_MUST_USE enum kw_status kw__attempts_write(struct kw_engine *engine, bool is_last);

#endif
