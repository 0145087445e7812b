/*
 * What time does to keys by itself: struct kw_schedule of a record, its expiry, the end of a grace period. A verdict
 * goes by these at once; they are written down, with audit line and event, by a thread that looks four times a second.
 */
#ifndef KEYWARD_SCHEDULE_H
#define KEYWARD_SCHEDULE_H

#include <keyward/record.h>

#ifdef __cplusplus
extern "C" {
#endif

struct keyward; /* keyward.h */
struct kw_error;

/*
 * Sees to all that is due now. For programs that keep time themselves (`now_ms` in struct kw_options), which have no
 * such thread: in any other it is KW_E_INVALID (INVALID_REQUEST). STORE_UNAVAILABLE and the like, OUTCOME_UNCERTAIN:
 * what was not done stays due. `error_out` may be NULL.
 */
KW_API KW_MUST_USE enum kw_status kw_schedules_run(struct keyward *keyward, struct kw_error *error_out);

#ifdef __cplusplus
}
#endif
#endif
