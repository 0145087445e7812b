/*
 * A key with a history, for the tests of insight: use is added as rows, days and hours before a fixed time.
 */
#ifndef KW_TESTS_UNIT_CORE_INSIGHTS_H
#define KW_TESTS_UNIT_CORE_INSIGHTS_H

#include "core/insight.h"
#include "records.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define NOON_MS (RECORD_BORN_MS + 200 * DAY_MS + 12 * HOUR_MS) /* Monday, 2026-07-20 */

/* Begins in place: it must not move afterwards. */
struct history {
    struct test *t;
    struct kw_record record;
    struct kw_use use;
    struct kw_insight_subject subject;
    struct kw_insight insight;
    struct kw_arena arena;
    uint8_t memory[32768];
};

/* A secret key of user:42 with nothing that bounds it, made and last used just now, and no use. */
void history_begin(struct test *t, struct history *history);
/* So much of it in a row of a day, that many days ago. */
void history_add(struct history *history, enum kw_use_kind kind, const char *value, int64_t days_ago, int64_t amount);
/* What passed in an hour, that many hours ago. */
void history_add_hour(struct history *history, int64_t hours_ago, int64_t amount);
void history_scopes(struct history *history, const char *const *scopes, size_t count);
/* From now on the record has this one rule. */
void history_allow_range(struct history *history, const char *text);
void history_allow_region(struct history *history);
void history_limit(struct history *history);
/* Makes the insight anew. */
void history_look(struct history *history);
/* The recommendation after a look; NULL when it is not there. */
const struct kw_recommendation *history_advice(struct history *history, enum kw_advice advice);
/* The points of a part after a look. */
int history_points(struct history *history, enum kw_score_part_kind part);

#endif
