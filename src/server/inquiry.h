/*
 * Asking the engine for verdicts from a route: at once where the index knows the keys, after fetching them from the
 * store where it is still filling.
 */
#ifndef KW_SERVER_INQUIRY_H
#define KW_SERVER_INQUIRY_H

#include "server/request.h"

struct kw_inquiry {
    struct kw_request *request;
    struct kw_verification *verifications; /* keys and questions are the caller's */
    size_t count;
    const struct kw_error *const *faults; /* by verification: not NULL where nothing is asked; NULL: all are asked */
    /* Writes the answer, inside read_begin and read_end, perhaps on another thread. The call is finished after it. */
    void (*decided)(struct kw_inquiry *inquiry);
    int64_t now_ms; /* of the decision */

    struct kw_op *loads; /* inside: for keys that the index does not know yet, or that have nothing to spend */
    size_t load_count, loads_left;
    unsigned tries;
    uint64_t started_ns; /* 0: it is not timed */
};

/* `inquiry` lies in the call's arena. Ends the call: after `decided`, or with a problem where the store does not
 * answer. */
void kw__inquire(struct kw_inquiry *inquiry);

#endif
