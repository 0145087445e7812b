/*
 * Errors in the making. Every failure has two messages: one for the caller, which says what to do, and one for the
 * log, which may name files and library codes. `struct kw_error` itself is public (keyward/types.h).
 */
#ifndef KW_BASE_ERROR_H
#define KW_BASE_ERROR_H

#include <keyward/types.h>
#include <stdarg.h>

/*
 * Fills `error_out` (which may be NULL) and returns `status`, so that a guard is one line:
 *     return kw_fail(error_out, KW_E_INVALID, "INVALID_FIELD", "name", "is too long: at most %d characters", 100);
 * `code` must be static; `field` may be NULL. Texts are cut, never overrun, and stay valid UTF-8.
 */
enum kw_status kw_fail(struct kw_error *error_out, enum kw_status status, const char *code, const char *field,
                       const char *message, ...) KW_PRINTF(5, 6);

/* The same for a function that takes its arguments as `...` itself. */
enum kw_status kw_fail_va(struct kw_error *error_out, enum kw_status status, const char *code, const char *field,
                          const char *message, va_list arguments) KW_PRINTF(5, 0);

/* Adds what only the operator's log may see to an error that `kw_fail` filled. */
void kw_error_detail(struct kw_error *error, const char *detail, ...) KW_PRINTF(2, 3);

/* Puts `parent` before the field of an error: "[2]" under "tags" becomes "tags[2]", "read" under "resources"
 * "resources.read". */
void kw_error_nest(struct kw_error *error, const char *parent);

/* Sets everything to "no error". */
void kw_error_clear(struct kw_error *error);

#endif
