/*
 * What a caller says of itself for the audit log. Everything is borrowed for the call that it is handed to.
 */
#ifndef KEYWARD_AUDIT_H
#define KEYWARD_AUDIT_H

#include <keyward/record.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KW_AUDIT_ADDRESS_MAX 64
#define KW_AUDIT_USER_AGENT_MAX 256
#define KW_AUDIT_METADATA_MAX 4096 /* JSON text */
#define KW_AUDIT_ACTION_MAX 64

/* Each member may be empty: then the log has what is known otherwise, or what the project gives. */
struct kw_audit_context {
    struct kw_bytes actor;   /* on whose behalf, as "user:42"; at most KW_ACTOR_MAX */
    struct kw_bytes address; /* at most KW_AUDIT_ADDRESS_MAX, as the next ones by their own caps */
    struct kw_bytes user_agent;
    struct kw_bytes reason;   /* at most KW_REASON_MAX */
    struct kw_bytes metadata; /* a JSON object */
};

#ifdef __cplusplus
}
#endif
#endif
