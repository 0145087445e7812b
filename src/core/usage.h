/*
 * What is counted of use: when hours and days begin, what an endpoint may be called, and who a count is of. Counts hang
 * on a lineage; owners, organizations and projects have counts of their own, under ids that no key has.
 */
#ifndef KW_CORE_USAGE_H
#define KW_CORE_USAGE_H

#include <keyward/record.h>

#define KW_HOUR_MS (INT64_C(3600) * 1000)
#define KW_DAY_MS (24 * KW_HOUR_MS)
#define KW_ENDPOINT_MAX 64
#define KW_ENDPOINTS_OF_KEY 64     /* different ones a day; what comes after them is counted as "other" */
#define KW_ENDPOINTS_OF_OTHERS 256 /* of an owner, an organization, a project */
#define KW_ENDPOINT_OTHER "other"
#define KW_METRIC_REQUESTS "requests" /* what good verifications cost */
#define KW_METRIC_MAX 32
#define KW_ENDPOINT_END 1 /* the byte between an endpoint and a metric */
#define KW_HOURS_KEPT_MS (2 * KW_DAY_MS)
#define KW_USAGE_RETENTION_MS (90 * KW_DAY_MS) /* of a project that says nothing */

/* The begin of the hour or day (of UTC) that a time lies in. */
int64_t kw_usage_hour(int64_t time_ms);
int64_t kw_usage_day(int64_t time_ms);
/* From here on hours are kept; before they are added up to days. */
int64_t kw_usage_hours_from(int64_t now_ms);

/* 1 to KW_ENDPOINT_MAX bytes of UTF-8 without control characters: "GET /v1/things". */
KW_MUST_USE bool kw_endpoint_valid(struct kw_bytes endpoint);

/* The endpoint that a value of either dimension begins with. */
struct kw_bytes kw_usage_endpoint_of(struct kw_bytes value);

/* The ids that stand for an owner ("user:1") and an organization; that of a project is none. */
struct kw_id kw_usage_owner(struct kw_bytes owner);
struct kw_id kw_usage_org(struct kw_bytes org_id);

/* "code", "endpoint", "region", "metric"; false when it is none of them. */
KW_MUST_USE bool kw_usage_dimension_of_name(struct kw_bytes name, enum kw_usage_dimension *dimension_out);
const char *kw_usage_dimension_name(enum kw_usage_dimension dimension);

#endif
