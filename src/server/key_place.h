/*
 * Where in a request a customer's key stands: the project says in which headers to look, in which order, and whether
 * the query counts.
 */
#ifndef KW_SERVER_KEY_PLACE_H
#define KW_SERVER_KEY_PLACE_H

#include "core/project.h"
#include "server/call.h"

/*
 * The key of the first place that holds one: what stands in later ones is not looked at. It lies in the call; no bytes
 * when there is none. INVALID_REQUEST when that place, a header or parameter that stands twice, holds different keys,
 * or is not encoded as addresses are (RFC 3986); TOO_BUSY without memory.
 */
KW_MUST_USE enum kw_status kw__key_of_call(struct kw_call *call, const struct kw_project *project,
                                           struct kw_bytes *key_out, struct kw_error *error_out);

#endif
