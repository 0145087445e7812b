/*
 * Every code that Keyward answers with: one table, from which come the C names, the HTTP statuses, the texts for
 * people and the reference. X(NAME, http_status, what it means, what to do next)
 */
#ifndef KEYWARD_CODES_H
#define KEYWARD_CODES_H

#include <keyward/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Verdicts on a key. */
#define KW_VERDICT_CODES(X) \
    X(MISSING_KEY, 401, "No key was given.", "Send it in one of the headers that the project reads: keyHeaders.") \
    X(INVALID_FORMAT, 401, "This is not a key of this project.", "Check that the key was copied whole.") \
    X(INVALID_KEY, 401, "The key is not known.", "Check that the key belongs to this project, or create one.") \
    X(REVOKED, 401, "The key was revoked.", "Create or rotate to a new key; a revoked key never comes back.") \
    X(EXPIRED, 401, "The key has expired.", "Create a new key or rotate this one with a new expiry.") \
    X(DISABLED, 403, "The key is disabled.", "Enable the key, or ask its owner to.") \
    X(IP_NOT_ALLOWED, 403, "The key may not be used from this address.", \
      "Use it from an address that it allows; a caller states its address as ip.") \
    X(REGION_NOT_ALLOWED, 403, "The key may not be used from this region.", \
      "Use it from a region that it allows; a caller states its region as geo.") \
    X(ENVIRONMENT_MISMATCH, 403, "The key belongs to another environment.", "Use a key of the environment asked for.") \
    X(POLICY_VIOLATION, 403, "The policy does not allow this.", "Keep within the policy, or use another one.") \
    X(INSUFFICIENT_SCOPE, 403, "The key may not do this.", "Use a key that holds the missing scopes.") \
    X(RATE_LIMITED, 429, "The key was used too often.", "Try again after retryAfter.") \
    X(QUOTA_EXCEEDED, 429, "A quota of the key is used up.", "Wait for its next period, or ask for a larger one.")

/* Errors of calls. */
#define KW_ERROR_CODES(X) \
    X(INVALID_FIELD, 400, "A field is not acceptable.", "Correct the field that is named.") \
    X(UNKNOWN_FIELD, 400, "A field is not known.", "Remove it, or check its spelling.") \
    X(DUPLICATE_FIELD, 400, "A field stands twice.", "Keep one of them.") \
    X(MISSING_FIELD, 400, "A required field is missing.", "Add the field that is named.") \
    X(INVALID_JSON, 400, "The body is not JSON.", "Correct the body at the byte that is named.") \
    X(INVALID_ROW, 400, "A line of CSV is no row.", "Correct the line that is named.") \
    X(INVALID_REQUEST, 400, "The request is not acceptable.", "Correct it as the detail says.") \
    X(WEAK_KEY_FORMAT, 400, "Keys of this form could be guessed.", \
      "Ask for a length and alphabet of 128 bits or more.") \
    X(UNAUTHORIZED, 401, "A management key is required.", "Send one as Authorization: Bearer.") \
    X(FORBIDDEN, 403, "The management key may not do this.", "Use one that may: the detail says which.") \
    X(KEY_NOT_FOUND, 404, "There is no such key in this project.", "Check the id and the project.") \
    X(PROJECT_NOT_FOUND, 404, "There is no such project.", "Check its name; GET /v1/projects lists what there is.") \
    X(PROFILE_NOT_FOUND, 404, "There is no such authorization profile.", \
      "Name a project, or PROJECT.PROFILE as its authorize has it.") \
    X(NOT_FOUND, 404, "There is nothing at this address.", "See /openapi.json for what there is.") \
    X(PEPPER_NOT_FOUND, 404, "There is no such pepper.", \
      "Check the fingerprint; GET /v1/peppers lists what there is.") \
    X(NOT_SENDING, 409, "This process sends nothing out.", "Ask a running server, with --url.") \
    X(WEBHOOK_NOT_FOUND, 404, "There is no such webhook in this project.", "Check the name and the project.") \
    X(CHANNEL_NOT_FOUND, 404, "There is no such channel in this project.", "Check the name and the project.") \
    X(DELIVERY_NOT_FOUND, 404, "There is no such delivery to this webhook or channel.", \
      "List them; what is older than seven days is gone.") \
    X(ADDRESS_NOT_ALLOWED, 400, "Nothing is sent to this address.", \
      "Name a public one, or let the operator open its range with --allow-private.") \
    X(POLICY_NOT_FOUND, 404, "There is no such policy in this project.", "Check the name and the project.") \
    X(TEMPLATE_NOT_FOUND, 404, "There is no such template in this project.", "Check the name and the project.") \
    X(METHOD_NOT_ALLOWED, 405, "This address does not take this method.", "See the Allow header.") \
    X(ALREADY_REVOKED, 409, "The key is revoked already.", "Nothing is left to do.") \
    X(ALREADY_ENABLED, 409, "The key is enabled already.", "Nothing is left to do.") \
    X(ALREADY_DISABLED, 409, "The key is disabled already.", "Nothing is left to do.") \
    X(ALREADY_ROTATED, 409, "The key was rotated already.", "Rotate its successor, which rotatedTo names.") \
    X(ALREADY_EXPIRED, 409, "The key has expired.", "Rotate it with a new expiry, or create a new one.") \
    X(CANNOT_MODIFY_REVOKED, 409, "A revoked key cannot be changed.", "Create a new key.") \
    X(NOT_REVOKED, 409, "Only a revoked key can be erased.", "Revoke the key first.") \
    X(VERSION_CONFLICT, 409, "It was changed in the meantime.", "Read it again and repeat the change.") \
    X(EXCEEDS_PARENT, 400, "A child key may not do more than its parent.", \
      "Give it less, or make it a key without a parent.") \
    X(HAS_CHILDREN, 409, "The key has children that are alive.", \
      "Revoke or disable them first, or leave cascade out: then they stop with it.") \
    X(NOT_DONE, 409, "It was left alone, because another of the same batch could not be done.", \
      "Correct the one that was refused, and send all of them again.") \
    X(TOO_MANY_KEYS, 409, "More keys match than one action may change.", \
      "Narrow it by owner, org or tag, or name ids.") \
    X(CANNOT_CHANGE_FIELD, 400, "This field cannot be changed.", "Leave it out, or do as the detail says.") \
    X(IDEMPOTENCY_KEY_REUSED, 422, "The Idempotency-Key was used for another request.", \
      "Send a new one with a new request, and the same request with the same one.") \
    X(FIELD_LOCKED, 400, "The template does not let this field be given.", "Leave it out, or use another template.") \
    X(ALREADY_EXISTS, 409, "There is, or was, something of this name.", "Change it, or choose another name.") \
    X(BUILT_IN, 409, "This is Keyward's own and stays as it is.", "Make a project of your own.") \
    X(IN_USE, 409, "There are keys that need this.", "Erase those keys first.") \
    X(PEPPER_IN_USE, 409, "There are keys that need this pepper.", \
      "Rotate to a new one first, and retire this one when no key needs it.") \
    X(POLICY_IN_USE, 409, "There are keys under this policy.", "Give them another policy, or revoke them.") \
    X(LIMIT_REACHED, 409, "There are as many as there may be.", "Delete one that is not needed.") \
    X(BODY_TOO_LARGE, 413, "The body is too large.", "Send it in smaller parts.") \
    X(HEADERS_TOO_LARGE, 431, "The request's head is too large.", "Send fewer or shorter headers.") \
    X(URI_TOO_LONG, 414, "The address is too long.", "Shorten the query.") \
    X(UNSUPPORTED_MEDIA_TYPE, 415, "The body's type is not taken here.", "Send it as a type that the detail names.") \
    X(TOO_MANY_FAILURES, 429, "Too many keys from this address were refused.", \
      "Wait as long as Retry-After says; a valid key is let through meanwhile.") \
    X(REQUEST_TIMEOUT, 408, "The request took too long to arrive.", "Send it again.") \
    X(TOO_BUSY, 503, "The server has too much to do.", "Try again after a moment.") \
    X(STORE_UNAVAILABLE, 503, "The store cannot be reached or cannot write.", "Try again; nothing was changed.") \
    X(STORE_FULL, 507, "The disk that the store is on is full.", \
      "Make room on it, then try again; nothing was changed.") \
    X(OUTCOME_UNCERTAIN, 503, "The change may or may not have happened.", \
      "Read what was to change before trying again; with an Idempotency-Key trying again is safe.") \
    X(STORE_CORRUPT, 500, "The store holds damaged data.", "Restore it from a backup; the log says which part.") \
    X(STORE_NEWER, 500, "The store was written by a newer version.", "Start that version or a later one.") \
    X(FILE_UNUSABLE, 500, "A file or folder cannot be used.", "Do what the message says.") \
    X(DATA_IN_USE, 409, "Another process holds the data folder.", "Stop it, or talk to it with --url.") \
    X(PEPPER_MISMATCH, 500, "The pepper is not the one these keys were made with.", \
      "Give the pepper that belongs to the data.") \
    X(INTERNAL, 500, "Something failed that should not.", "Look into the server's log for this request id.")

/* What an answer says that is neither. */
#define KW_NOTE_CODES(X) \
    X(SECRET_ALREADY_SHOWN, 200, "This was done before. The key was shown then, and is not shown again.", \
      "Use the key from the first answer; where that is lost, rotate this one.")

/* clang-format off */
enum kw_code {
    KW_CODE_NONE = 0,
#define X(name, http, meaning, advice) KW_CODE_##name,
    KW_VERDICT_CODES(X)
    KW_ERROR_CODES(X)
    KW_NOTE_CODES(X)
#undef X
    KW_CODE_COUNT
};
/* clang-format on */

struct kw_code_info {
    const char *name; /* "INVALID_KEY" */
    uint16_t http_status;
    const char *meaning;
    const char *advice;
};

/* What is to be said of a code; KW_CODE_NONE gives the name "VALID" and status 200. Never NULL. */
KW_API const struct kw_code_info *kw_code_info(enum kw_code code);

/* The code of that name, KW_CODE_NONE when there is none. */
KW_API enum kw_code kw_code_of_name(const char *name);

#ifdef __cplusplus
}
#endif
#endif
