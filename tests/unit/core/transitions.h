/* States that a key can be in, and commands, for the tests of transitions. */
#ifndef KW_TESTS_UNIT_CORE_TRANSITIONS_H
#define KW_TESTS_UNIT_CORE_TRANSITIONS_H

#include "core/transition.h"
#include "records.h"

#define NOW_MS (RECORD_BORN_MS + 1000000)
#define HOUR_MS INT64_C(3600000)
#define YEAR_MS (INT64_C(365) * 86400 * 1000)

enum state { ACTIVE, DISABLED, EXPIRED, LAPSED, IN_GRACE, PAST_GRACE, REVOKED, STATE_COUNT };

/* A typical record, version 5, that is in that state at NOW_MS. */
struct kw_record record_in(enum state state, struct kw_arena *arena);

extern const struct kw_birth birth;
extern const struct kw_key_params rename_params;
extern const struct kw_key_params expiry_params; /* expiresIn one hour */
extern const struct kw_key_params clear_expiry_params;

/* By "key:admin", for the reason "leaked", with `birth`. */
struct kw_command command_of(enum kw_command_kind kind, const struct kw_key_params *params);

/* Checks that the transition is refused so at NOW_MS, and that nothing was written. */
void refused(struct test *t, const struct kw_record *before, const struct kw_command *command, const char *code,
             const char *field);

#endif
