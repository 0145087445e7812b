#include "core/insight.h"

#include "base/bytes.h"
#include "base/time.h"
#include "core/id.h"
#include "core/internal.h"
#include "core/record.h"

#define ENDPOINTS_SHOWN 5

static const char *const mode_names[] = {
    [KW_MODE_UNKNOWN] = "unknown",
    [KW_MODE_READS] = "mostlyReads",
    [KW_MODE_WRITES] = "mostlyWrites",
    [KW_MODE_MIXED] = "mixed",
};
static const char *const week_names[] = {
    [KW_WEEK_UNKNOWN] = "unknown",
    [KW_WEEK_WEEKDAYS] = "weekdays",
    [KW_WEEK_WEEKENDS] = "weekends",
    [KW_WEEK_EVERY_DAY] = "everyDay",
};
static const char *const trend_names[] = {
    [KW_TREND_UNKNOWN] = "unknown",
    [KW_TREND_GROWING] = "growing",
    [KW_TREND_STEADY] = "steady",
    [KW_TREND_SHRINKING] = "shrinking",
};

/* What to do, and the call that does it, which takes what is suggested as its body. */
static const struct {
    const char *advice, *action;
    bool has_suggestion;
} ways_out[KW_ADVICE_COUNT] = {
    [KW_ADVICE_MANY_COUNTRIES] = {"Find out who uses it. Rotate it if you do not know all of them, and set "
                                  "allowedRegions to where it should be used.",
                                  "rotate"},
    [KW_ADVICE_UNUSED] = {"Disable it, and revoke it when nobody misses it.", "disable"},
    [KW_ADVICE_NO_EXPIRY] = {"Set an expiry, and rotate it before.", "update", true},
    [KW_ADVICE_UNUSED_SCOPES] = {"Take them away: what is suggested are the scopes that were used.", "update", true},
    [KW_ADVICE_ONE_NETWORK] = {"Allow that network only.", "update", true},
    [KW_ADVICE_NO_LIMIT] = {"Set a rate limit: what is suggested is well above its busiest hour.", "update", true},
    [KW_ADVICE_OLD_DIGEST] = {"Its next use moves it, or rotate it.", "rotate", true},
};

static void name_text(struct kw_json_writer *writer, const char *name, const char *text)
{
    kw_json_name(writer, name);
    kw_json_text(writer, text);
}

static void name_number(struct kw_json_writer *writer, const char *name, int64_t number)
{
    kw_json_name(writer, name);
    kw_json_i64(writer, number);
}

static void write_endpoints(const struct kw_use_values *endpoints, struct kw_json_writer *writer)
{
    bool is_told[KW_USE_VALUES_MAX] = {false};
    kw_json_name(writer, "endpoints");
    kw_json_begin_array(writer);
    for (size_t shown = 0; shown < ENDPOINTS_SHOWN && shown < endpoints->count; shown++) {
        size_t most = 0;
        while (is_told[most]) {
            most++;
        }
        for (size_t i = most + 1; i < endpoints->count; i++) {
            most = !is_told[i] && endpoints->items[i].amount > endpoints->items[most].amount ? i : most;
        }
        is_told[most] = true;
        kw_json_begin_object(writer);
        kw_json_name(writer, "endpoint");
        kw_json_string(writer, endpoints->items[most].value);
        name_number(writer, "count", endpoints->items[most].amount);
        kw_json_end_object(writer);
    }
    kw_json_end_array(writer);
}

static void write_week(const struct kw_use_pattern *pattern, struct kw_json_writer *writer)
{
    kw_json_name(writer, "weekdays");
    kw_json_begin_object(writer);
    name_text(writer, "shape", week_names[pattern->week]);
    if (pattern->week != KW_WEEK_UNKNOWN) {
        kw_json_name(writer, "percent");
        kw_json_begin_array(writer);
        for (size_t i = 0; i < 7; i++) {
            kw_json_i64(writer, pattern->weekday_percent[i]);
        }
        kw_json_end_array(writer);
    }
    kw_json_end_object(writer);
}

static void write_growth(const struct kw_use_pattern *pattern, struct kw_json_writer *writer)
{
    kw_json_name(writer, "growth");
    kw_json_begin_object(writer);
    name_text(writer, "trend", trend_names[pattern->trend]);
    if (pattern->trend != KW_TREND_UNKNOWN) {
        name_number(writer, "percent", pattern->growth_percent);
    }
    name_number(writer, "lastWeek", pattern->last_week);
    name_number(writer, "weekBefore", pattern->week_before);
    kw_json_end_object(writer);
}

static void write_pattern(const struct kw_use *use, const struct kw_use_pattern *pattern, struct kw_json_writer *writer)
{
    kw_json_begin_object(writer);
    name_number(writer, "days", KW_USE_DAYS);
    name_number(writer, "passed", use->passed);
    name_number(writer, "refused", use->refused);
    name_text(writer, "kind", mode_names[pattern->mode]);
    if (pattern->mode != KW_MODE_UNKNOWN) {
        name_number(writer, "readPercent", pattern->read_percent);
    }
    if (pattern->knows_peaks) {
        kw_json_name(writer, "peakHours");
        kw_json_begin_array(writer);
        for (unsigned hour = 0; hour < 24; hour++) {
            if ((pattern->peak_hours >> hour & 1) != 0) {
                kw_json_i64(writer, hour);
            }
        }
        kw_json_end_array(writer);
    }
    write_week(pattern, writer);
    write_growth(pattern, writer);
    write_endpoints(&use->endpoints, writer);
    kw_json_end_object(writer);
}

static void write_parts(const struct kw_insight *insight, struct kw_json_writer *writer)
{
    kw_json_begin_array(writer);
    for (unsigned part = 0; part < KW_PART_COUNT; part++) {
        kw_json_begin_object(writer);
        name_text(writer, "part", kw_score_part_name((enum kw_score_part_kind)part));
        name_number(writer, "points", insight->parts[part].points);
        name_number(writer, "of", insight->parts[part].of);
        name_text(writer, "why", insight->parts[part].why);
        kw_json_end_object(writer);
    }
    kw_json_end_array(writer);
}

static void write_scopes(const struct kw_insight *insight, struct kw_json_writer *writer)
{
    struct kw_bytes rest = insight->scopes.packed;
    struct kw_bytes scope;
    kw_json_name(writer, "scopes");
    kw_json_begin_array(writer);
    while (kw__list_next(&rest, &scope)) {
        kw_json_string(writer, scope);
    }
    kw_json_end_array(writer);
}

/* The body of the call that follows the recommendation. */
static void write_suggested(const struct kw_insight *insight, enum kw_advice advice, struct kw_json_writer *writer)
{
    char duration[KW_DURATION_TEXT_MAX];
    kw_json_name(writer, "suggested");
    kw_json_begin_object(writer);
    if (advice == KW_ADVICE_NO_EXPIRY) {
        kw_duration_format(insight->expires_in_ms, duration);
        name_text(writer, "expiresIn", duration);
    } else if (advice == KW_ADVICE_UNUSED_SCOPES) {
        write_scopes(insight, writer);
    } else if (advice == KW_ADVICE_ONE_NETWORK) {
        kw_json_name(writer, "allowedIPs");
        kw_json_begin_array(writer);
        kw_json_string(writer, kw_bytes_of(insight->network, insight->network_size));
        kw_json_end_array(writer);
    } else if (advice == KW_ADVICE_NO_LIMIT) {
        kw_json_name(writer, "rateLimits");
        kw_json_begin_array(writer);
        kw_json_begin_object(writer);
        name_number(writer, "requests", insight->requests_an_hour);
        name_text(writer, "window", "1h");
        kw_json_end_object(writer);
        kw_json_end_array(writer);
    } else if (advice == KW_ADVICE_OLD_DIGEST) {
        name_text(writer, "gracePeriod", "1d");
    }
    kw_json_end_object(writer);
}

static void write_recommendations(const struct kw_insight_subject *subject, const struct kw_insight *insight,
                                  struct kw_json_writer *writer)
{
    kw_json_begin_array(writer);
    for (size_t i = 0; i < insight->recommendation_count; i++) {
        const struct kw_recommendation *recommendation = &insight->recommendations[i];
        const char *advice = ways_out[recommendation->advice].advice;
        const char *action = ways_out[recommendation->advice].action;
        if (recommendation->advice == KW_ADVICE_UNUSED && !subject->record->enabled) {
            advice = "It is disabled: revoke it if nobody misses it.";
            action = "revoke";
        }
        kw_json_begin_object(writer);
        name_text(writer, "code", kw_advice_name(recommendation->advice));
        name_text(writer, "urgency", kw_urgency_name(recommendation->urgency));
        name_text(writer, "message", recommendation->message);
        name_text(writer, "advice", advice);
        name_text(writer, "action", action);
        if (ways_out[recommendation->advice].has_suggestion) {
            write_suggested(insight, recommendation->advice, writer);
        }
        kw_json_end_object(writer);
    }
    kw_json_end_array(writer);
}

void kw_insight_write_json(const struct kw_insight_subject *subject, const struct kw_insight *insight,
                           struct kw_json_writer *writer)
{
    char id[KW_ID_TEXT_SIZE];
    char name[KW_NAME_MAX];
    char last_used[KW_TIME_TEXT_SIZE];
    enum kw_key_status status = kw_record_status(subject->record, subject->now_ms);
    kw_id_format(&subject->record->id, id);
    kw_json_begin_object(writer);
    kw_json_name(writer, "id");
    kw_json_string(writer, kw_bytes_of(id, sizeof id));
    if (subject->record->name.size != 0) {
        kw_json_name(writer, "name");
        kw_json_string(writer, subject->record->name);
    }
    kw_json_name(writer, "owner");
    kw_json_string(writer, subject->record->owner);
    kw_json_name(writer, "env");
    kw_json_string(writer, subject->record->env);
    name_text(writer, "status", kw_key_status_name(status));
    if (subject->use->last_used_ms != 0) {
        kw_time_format(subject->use->last_used_ms, last_used);
        kw_json_name(writer, "lastUsedAt");
        kw_json_string(writer, kw_bytes_of(last_used, sizeof last_used));
    }
    kw_json_name(writer, "suggestedName");
    kw_json_string(writer, kw_bytes_of(name, kw_insight_name(subject, name)));
    kw_json_name(writer, "usagePattern");
    write_pattern(subject->use, &insight->pattern, writer);
    name_number(writer, "securityScore", insight->score);
    kw_json_name(writer, "scoreParts");
    write_parts(insight, writer);
    kw_json_name(writer, "recommendations");
    write_recommendations(subject, insight, writer);
    kw_json_end_object(writer);
}
