/*
 * What keys were used for, and what that and their records tell. Use is counted with each verification, by hour and by
 * day; what is known only after a request is reported.
 */
#ifndef KEYWARD_USAGE_H
#define KEYWARD_USAGE_H

#include <keyward/record.h>

#ifdef __cplusplus
extern "C" {
#endif

struct keyward; /* keyward.h, as is the next */
struct kw_held_document;

/* Of what, and when. All borrowed for the call. */
struct kw_usage_request {
    struct kw_bytes project;       /* "default" when empty */
    struct kw_id id;               /* a key, with its whole line of rotations; none: what follows */
    struct kw_bytes owner, org_id; /* one of them; neither: all of the project */
    int64_t from_ms, until_ms;     /* hours or days that begin in [from, until); 0: the last day or thirty, and now */
    bool by_day;                   /* else by hour: these are kept for two days */
    enum kw_usage_dimension group; /* KW_USAGE_CODE, _ENDPOINT, _REGION or _METRIC; 0: by code */
};

/*
 * What was counted, as JSON: {"from":…,"until":…,"by":"hour","group":"code","totals":{"verifications":…,"valid":…,
 * "counts":{"VALID":…}},"series":[{"at":…, as in totals}]}. What was verified before the call is in it, and is durable.
 * KEY_NOT_FOUND, INVALID_FIELD for a time that cannot be asked for. Clear `held_out` with kw_held_document_clear.
 */
KW_API KW_MUST_USE enum kw_status kw_usage(struct keyward *keyward, const struct kw_usage_request *request,
                                           struct kw_held_document *held_out, struct kw_error *error_out);

/* An amount of a metric, in millionths: 1,500 tokens are 1500000000, a cost of 0.002 is 2000. */
struct kw_usage_amount {
    struct kw_bytes metric; /* "tokens", "cost" */
    int64_t amount;
};
#define KW_USAGE_AMOUNTS_MAX 15

/* What a key used, known only after the request. All borrowed for the call. */
struct kw_report_request {
    struct kw_bytes project; /* "default" when empty */
    struct kw_id id;
    struct kw_bytes endpoint; /* what it was used for, at most 64 bytes; may be empty */
    const struct kw_usage_amount *amounts;
    size_t amount_count;             /* 1 to KW_USAGE_AMOUNTS_MAX, no metric twice */
    struct kw_bytes actor;           /* as in struct kw_change_request, and so is the next */
    struct kw_bytes idempotency_key; /* counted once, for a day at least */
};

/* Adds the amounts to the key's counts; durable when it returns. */
KW_API KW_MUST_USE enum kw_status kw_report_usage(struct keyward *keyward, const struct kw_report_request *request,
                                                  struct kw_error *error_out);

/* What a quota of a key is to get back of what was used of it in this period. All borrowed for the call. */
struct kw_credit_request {
    struct kw_bytes project; /* "default" when empty */
    struct kw_id id;
    struct kw_bytes quota; /* its name: "requests-month" */
    int64_t amount;        /* in millionths, above 0 */
    bool refill;           /* all that was used, instead of an amount */
    struct kw_bytes actor; /* as in struct kw_change_request, and so is the next */
    struct kw_bytes reason;
};

/*
 * Takes an amount off what was used of a quota; there may be more to use than the limit then, until the period ends.
 * Durable and in force when it returns, and told as "key.quota.credited". `held_out`, which may be NULL, is how the
 * quota stands then, as JSON; clear it with kw_held_document_clear. KEY_NOT_FOUND, MISSING_FIELD, INVALID_FIELD for a
 * quota that the key does not have.
 */
KW_API KW_MUST_USE enum kw_status kw_credit(struct keyward *keyward, const struct kw_credit_request *request,
                                            struct kw_held_document *held_out, struct kw_error *error_out);

/* What insight is asked of: one key, or a project's keys as far as all that is given holds. */
struct kw_insights_request {
    struct kw_bytes project; /* "default" when empty */
    const struct kw_id *id;  /* one key; NULL: the keys to look at first, and what follows */
    struct kw_bytes owner, org_id, env;
    const struct kw_bytes *tags; /* at most KW_TAG_COUNT_MAX, in lower case */
    size_t tag_count;
    bool all_tags;
    size_t limit; /* keys to tell of, 1 to KW_INSIGHTS_MAX; 0: 20 */
};
#define KW_INSIGHTS_MAX 100

/* What records and use tell, as JSON: as the interface answers GET /v1/keys/{id}/insights, or without an id GET
 * /v1/insights. KEY_NOT_FOUND. Clear with kw_held_document_clear. */
KW_API KW_MUST_USE enum kw_status kw_insights(struct keyward *keyward, const struct kw_insights_request *request,
                                              struct kw_held_document *held_out, struct kw_error *error_out);

#ifdef __cplusplus
}
#endif
#endif
