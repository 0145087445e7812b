/*
 * Insight: what a key's record and its use tell about it. Plain rules with the thresholds that stand here and in
 * docs/insights.md: a name for it, the shape of its use, a score of how well it is bounded, and what to do about it.
 * All of it follows from what is handed in; nothing is looked up, guessed, or learned.
 */
#ifndef KW_CORE_INSIGHT_H
#define KW_CORE_INSIGHT_H

#include "base/json.h"
#include "core/use.h"
#include <keyward/record.h>

#define KW_INSIGHT_DAY_MS INT64_C(86400000)
#define KW_INSIGHT_UNUSED_DAYS 60   /* without use: UNUSED */
#define KW_INSIGHT_IDLE_DAYS 30     /* without use: half of the points for use */
#define KW_INSIGHT_EVIDENCE 100     /* verifications that it takes to say something from them */
#define KW_INSIGHT_NETWORK_DAYS 7   /* days on which the one network was seen */
#define KW_INSIGHT_COUNTRIES 5      /* that many are many */
#define KW_INSIGHT_SOON_DAYS 90     /* an expiry within that is near; it is also what is suggested */
#define KW_INSIGHT_YEAR_DAYS 365    /* and within that not too far */
#define KW_INSIGHT_WIDE_IPV4_BITS 8 /* a range of a shorter prefix bounds little */
#define KW_INSIGHT_WIDE_IPV6_BITS 32
#define KW_INSIGHT_LIMIT_TIMES 4 /* the busiest hour: what is suggested as a limit */
#define KW_INSIGHT_LIMIT_MIN 1000
#define KW_INSIGHT_MOSTLY_PERCENT 80   /* of reads or writes: mostly */
#define KW_INSIGHT_FEW 20              /* reads and writes, or verifications of a week, that it takes */
#define KW_INSIGHT_PEAK_TIMES 2        /* the average of an hour: a peak */
#define KW_INSIGHT_SHAPE_DAYS 28       /* whole days that the shape of a week is taken from */
#define KW_INSIGHT_SHAPE_HISTORY 14    /* days since the first of these with use */
#define KW_INSIGHT_WEEKDAYS_PERCENT 90 /* from Monday to Friday */
#define KW_INSIGHT_WEEKENDS_PERCENT 60 /* on Saturday and Sunday */
#define KW_INSIGHT_GROWTH_PERCENT 20   /* from week to week, up or down */
#define KW_INSIGHT_TOPIC_PERCENT 20    /* of an endpoint's uses, to stand in the name */
#define KW_INSIGHT_TEXT_MAX 256

/* What is looked at. */
struct kw_insight_subject {
    const struct kw_record *record;
    const struct kw_use *use;  /* of its line of rotations */
    bool has_old_digest;       /* its digest is not made as its project's new keys are */
    int64_t max_expires_in_ms; /* of its project; 0: any */
    int64_t now_ms;
};

/* --- The shape of use --- */

enum kw_use_mode { KW_MODE_UNKNOWN, KW_MODE_READS, KW_MODE_WRITES, KW_MODE_MIXED };
enum kw_use_week { KW_WEEK_UNKNOWN, KW_WEEK_WEEKDAYS, KW_WEEK_WEEKENDS, KW_WEEK_EVERY_DAY };
enum kw_use_trend { KW_TREND_UNKNOWN, KW_TREND_GROWING, KW_TREND_STEADY, KW_TREND_SHRINKING };

struct kw_use_pattern {
    enum kw_use_mode mode;
    int read_percent; /* where the mode is known */
    bool knows_peaks;
    uint32_t peak_hours; /* a bit for each hour of the day, in UTC */
    enum kw_use_week week;
    int weekday_percent[7]; /* from Monday on, where the week is known */
    enum kw_use_trend trend;
    int64_t growth_percent;         /* where the trend is known */
    int64_t last_week, week_before; /* what passed in the seven whole days before today, and in the seven before */
};

struct kw_use_pattern kw_use_pattern(const struct kw_use *use);

/*
 * "user 42: reads invoices and reports (live)". The topics are those of the endpoints that have a good part of the
 * use, else of the scopes; in alphabetical order, so that the name stays when their shares change a little. Returns its
 * size; no NUL is written.
 */
size_t kw_insight_name(const struct kw_insight_subject *subject, char out[KW_NAME_MAX]);

/* --- The score --- */

enum kw_score_part_kind {
    KW_PART_EXPIRY,
    KW_PART_SCOPES,
    KW_PART_PLACES,
    KW_PART_LIMITS,
    KW_PART_DIGEST,
    KW_PART_USE,
    KW_PART_COUNT
};

struct kw_score_part {
    int points, of;
    const char *why;
};

/* --- What to do --- */

enum kw_urgency { KW_URGENCY_NONE, KW_URGENCY_LOW, KW_URGENCY_MEDIUM, KW_URGENCY_HIGH };

/* In the order in which they are told where they are as urgent. */
enum kw_advice {
    KW_ADVICE_MANY_COUNTRIES,
    KW_ADVICE_UNUSED,
    KW_ADVICE_NO_EXPIRY,
    KW_ADVICE_UNUSED_SCOPES,
    KW_ADVICE_ONE_NETWORK,
    KW_ADVICE_NO_LIMIT,
    KW_ADVICE_OLD_DIGEST,
    KW_ADVICE_COUNT
};

struct kw_recommendation {
    enum kw_advice advice;
    enum kw_urgency urgency;
    char message[KW_INSIGHT_TEXT_MAX]; /* what was seen; ends in NUL */
};

struct kw_insight {
    struct kw_use_pattern pattern;
    int score; /* 0 to 100: the sum of the parts */
    struct kw_score_part parts[KW_PART_COUNT];
    struct kw_recommendation recommendations[KW_ADVICE_COUNT]; /* the most urgent first */
    size_t recommendation_count;
    /* What is suggested, where the recommendation is there. */
    int64_t expires_in_ms;
    struct kw_list scopes; /* those that were used */
    char network[KW_ADDRESS_RANGE_TEXT_MAX];
    size_t network_size;
    int64_t requests_an_hour;
};

/* False where the key has ended, or ends because another took its place: nothing is recommended then. */
bool kw_insight_is_needed(const struct kw_insight_subject *subject);

/* Borrows from subject and arena. KW_E_LIMIT or KW_E_MEMORY when the arena has no room for the scopes. */
KW_MUST_USE enum kw_status kw_insight_make(const struct kw_insight_subject *subject, struct kw_arena *arena,
                                           struct kw_insight *insight_out);

const char *kw_advice_name(enum kw_advice advice); /* "NO_EXPIRY" */
const char *kw_urgency_name(enum kw_urgency urgency);
const char *kw_score_part_name(enum kw_score_part_kind part);

/* {"id":"key_…","suggestedName":…,"usagePattern":{…},"securityScore":…,"scoreParts":[…],"recommendations":[…]} */
void kw_insight_write_json(const struct kw_insight_subject *subject, const struct kw_insight *insight,
                           struct kw_json_writer *writer);

/* --- Over many keys: those to look at first --- */

#define KW_ATTENTION_MAX 100 /* KW_INSIGHTS_MAX of the library */

struct kw_attention {
    struct kw_id id;
    int score;
    enum kw_urgency urgency; /* of its most urgent recommendation */
    uint32_t advices;        /* a bit for each enum kw_advice */
};

struct kw_attention_list {
    struct kw_attention items[KW_ATTENTION_MAX]; /* the most urgent first, then the worst score, then the older key */
    size_t count, limit;
    uint64_t looked_at;
    uint64_t score_sum;
    uint64_t advice_counts[KW_ADVICE_COUNT]; /* keys that it is recommended for */
};

/* `limit` is 1 to KW_ATTENTION_MAX. */
void kw_attention_init(struct kw_attention_list *list, size_t limit);
/* Counts the key, and keeps it if it is among the first. A key that nothing is recommended for is counted only. */
void kw_attention_add(struct kw_attention_list *list, const struct kw_id *id, const struct kw_insight *insight);

#endif
