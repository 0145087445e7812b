#include "core/insight.h"

#include "base/bytes.h"
#include "core/internal.h"

#define TOPICS_MAX 2
#define TOPIC_SIZE_MAX 20
#define OWNER_KIND_MAX 8 /* all parts of a name together are within KW_NAME_MAX */
#define OWNER_ID_MAX 24

static bool is_one_of(struct kw_bytes word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (kw_bytes_equal_ignoring_case(word, kw_bytes_of_text(words[i]))) {
            return true;
        }
    }
    return false;
}

/* --- Reads and writes --- */

static enum kw_use_mode mode_of_method(struct kw_bytes endpoint)
{
    static const char *const reads[] = {"GET", "HEAD", "OPTIONS", "QUERY"};
    static const char *const writes[] = {"POST", "PUT", "PATCH", "DELETE"};
    struct kw_bytes method, rest;
    (void)kw_bytes_split(endpoint, ' ', &method, &rest);
    return is_one_of(method, reads, KW_COUNT_OF(reads))     ? KW_MODE_READS
           : is_one_of(method, writes, KW_COUNT_OF(writes)) ? KW_MODE_WRITES
                                                            : KW_MODE_UNKNOWN;
}

/* The first of its segments that says it. */
static enum kw_use_mode mode_of_scope(struct kw_bytes scope)
{
    static const char *const reads[] = {"read", "list", "get", "view", "search"};
    static const char *const writes[] = {"write", "create", "update", "delete", "manage", "admin", "edit"};
    while (scope.size != 0) {
        struct kw_bytes segment, rest;
        (void)kw_bytes_split(scope, ':', &segment, &rest);
        if (is_one_of(segment, reads, KW_COUNT_OF(reads))) {
            return KW_MODE_READS;
        }
        if (is_one_of(segment, writes, KW_COUNT_OF(writes))) {
            return KW_MODE_WRITES;
        }
        scope = rest;
    }
    return KW_MODE_UNKNOWN;
}

static void find_mode(struct kw_use_pattern *pattern, const struct kw_use_values *values,
                      enum kw_use_mode (*mode_of)(struct kw_bytes value))
{
    int64_t reads = 0;
    int64_t writes = 0;
    for (size_t i = 0; i < values->count; i++) {
        enum kw_use_mode mode = mode_of(values->items[i].value);
        reads += mode == KW_MODE_READS ? values->items[i].amount : 0;
        writes += mode == KW_MODE_WRITES ? values->items[i].amount : 0;
    }
    int64_t both = reads + writes;
    if (both < KW_INSIGHT_FEW) {
        return;
    }
    pattern->read_percent = (int)(reads * 100 / both);
    pattern->mode = reads * 100 >= both * KW_INSIGHT_MOSTLY_PERCENT    ? KW_MODE_READS
                    : writes * 100 >= both * KW_INSIGHT_MOSTLY_PERCENT ? KW_MODE_WRITES
                                                                       : KW_MODE_MIXED;
}

/* --- Hours, weekdays, weeks --- */

static void find_peaks(struct kw_use_pattern *pattern, const struct kw_use *use)
{
    int64_t sum = 0;
    for (size_t hour = 0; hour < 24; hour++) {
        sum += use->hours[hour];
    }
    pattern->knows_peaks = sum >= KW_INSIGHT_EVIDENCE;
    for (size_t hour = 0; hour < 24 && pattern->knows_peaks; hour++) {
        bool is_peak = use->hours[hour] * 24 >= sum * KW_INSIGHT_PEAK_TIMES;
        pattern->peak_hours |= is_peak ? UINT32_C(1) << hour : 0;
    }
}

/* 0: Monday. The first day of 1970 was a Thursday. */
static size_t weekday_of(int64_t time_ms)
{
    return (size_t)((time_ms / KW_INSIGHT_DAY_MS + 3) % 7);
}

static void find_week(struct kw_use_pattern *pattern, const struct kw_use *use)
{
    int64_t days[7] = {0};
    int64_t sum = 0;
    unsigned history = 0;
    for (unsigned back = 1; back <= KW_INSIGHT_SHAPE_DAYS; back++) {
        /* 28 days are four weeks: counted forward, no time before 1970 is met. */
        days[(weekday_of(use->now_ms) + KW_INSIGHT_SHAPE_DAYS - back) % 7] += use->days[back];
        sum += use->days[back];
        history = use->days[back] > 0 ? back : history;
    }
    if (sum < KW_INSIGHT_EVIDENCE || history < KW_INSIGHT_SHAPE_HISTORY) {
        return;
    }
    int64_t weekend = days[5] + days[6];
    for (size_t i = 0; i < 7; i++) {
        pattern->weekday_percent[i] = (int)(days[i] * 100 / sum);
    }
    pattern->week = (sum - weekend) * 100 >= sum * KW_INSIGHT_WEEKDAYS_PERCENT ? KW_WEEK_WEEKDAYS
                    : weekend * 100 >= sum * KW_INSIGHT_WEEKENDS_PERCENT       ? KW_WEEK_WEEKENDS
                                                                               : KW_WEEK_EVERY_DAY;
}

static void find_trend(struct kw_use_pattern *pattern, const struct kw_use *use)
{
    pattern->last_week = kw_use_of_days(use, 1, 7);
    pattern->week_before = kw_use_of_days(use, 8, 7);
    if (pattern->week_before < KW_INSIGHT_FEW) {
        return;
    }
    pattern->growth_percent = (pattern->last_week - pattern->week_before) * 100 / pattern->week_before;
    pattern->trend = pattern->growth_percent >= KW_INSIGHT_GROWTH_PERCENT    ? KW_TREND_GROWING
                     : pattern->growth_percent <= -KW_INSIGHT_GROWTH_PERCENT ? KW_TREND_SHRINKING
                                                                             : KW_TREND_STEADY;
}

struct kw_use_pattern kw_use_pattern(const struct kw_use *use)
{
    struct kw_use_pattern pattern = {.mode = KW_MODE_UNKNOWN};
    find_mode(&pattern, &use->endpoints, mode_of_method);
    if (pattern.mode == KW_MODE_UNKNOWN) {
        find_mode(&pattern, &use->scopes, mode_of_scope);
    }
    find_peaks(&pattern, use);
    find_week(&pattern, use);
    find_trend(&pattern, use);
    return pattern;
}

/* --- The name --- */

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A word that people gave to something: no number, id, placeholder or version. */
static bool is_topic(struct kw_bytes word)
{
    static const char *const empty[] = {"api", "rest", "rpc", "graphql"};
    size_t digits = 0;
    for (size_t i = 0; i < word.size; i++) {
        uint8_t c = word.data[i];
        bool is_digit = c >= '0' && c <= '9';
        digits += is_digit;
        if (!is_letter(c) && !is_digit && c != '-' && c != '_') {
            return false;
        }
    }
    return word.size >= 2 && word.size <= TOPIC_SIZE_MAX && is_letter(word.data[0]) && digits * 4 <= word.size &&
           !is_one_of(word, empty, KW_COUNT_OF(empty));
}

/* "invoices" of "GET /v1/invoices/{id}"; no bytes where there is none. */
static struct kw_bytes topic_of(struct kw_bytes text, uint8_t separator)
{
    while (text.size != 0) {
        struct kw_bytes segment, rest;
        (void)kw_bytes_split(text, separator, &segment, &rest);
        if (is_topic(segment)) {
            return segment;
        }
        text = rest;
    }
    return (struct kw_bytes){NULL, 0};
}

static struct kw_bytes topic_of_endpoint(struct kw_bytes endpoint)
{
    struct kw_bytes method, path;
    bool has_method = kw_bytes_split(endpoint, ' ', &method, &path) && mode_of_method(endpoint) != KW_MODE_UNKNOWN;
    return topic_of(has_method ? path : endpoint, '/');
}

/* "invoices" of "invoices:read" and of "read:invoices". */
static struct kw_bytes topic_of_scope(struct kw_bytes scope)
{
    struct kw_bytes segment, rest;
    (void)kw_bytes_split(scope, ':', &segment, &rest);
    bool says_what_is_done = mode_of_scope(segment) != KW_MODE_UNKNOWN;
    return topic_of(says_what_is_done ? rest : scope, ':');
}

/* Up to two, in alphabetical order. */
struct topics {
    struct kw_use_value items[KW_USE_VALUES_MAX];
    size_t count;
};

static void add_topic(struct topics *topics, struct kw_bytes topic, int64_t amount)
{
    for (size_t i = 0; i < topics->count; i++) {
        if (kw_bytes_equal(topics->items[i].value, topic)) {
            topics->items[i].amount += amount;
            return;
        }
    }
    if (topic.size != 0 && topics->count < KW_USE_VALUES_MAX) {
        topics->items[topics->count++] = (struct kw_use_value){topic, amount};
    }
}

static bool is_before(const struct kw_use_value *a, const struct kw_use_value *b)
{
    return a->amount != b->amount ? a->amount > b->amount : kw_bytes_compare(a->value, b->value) < 0;
}

/* Keeps those of `share` percent of `total` at least, two at most. */
static void keep_first(struct topics *topics, int64_t total)
{
    struct kw_use_value kept[TOPICS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < topics->count; i++) {
        const struct kw_use_value *topic = &topics->items[i];
        size_t at = count;
        if (topic->amount * 100 < total * KW_INSIGHT_TOPIC_PERCENT) {
            continue;
        }
        for (; at > 0 && is_before(topic, &kept[at - 1]); at--) {
            if (at < TOPICS_MAX) {
                kept[at] = kept[at - 1];
            }
        }
        if (at < TOPICS_MAX) {
            kept[at] = *topic;
            count += count < TOPICS_MAX;
        }
    }
    bool is_turned = count == TOPICS_MAX && kw_bytes_compare(kept[0].value, kept[1].value) > 0;
    for (size_t i = 0; i < count; i++) {
        topics->items[i] = kept[is_turned ? count - 1 - i : i];
    }
    topics->count = count;
}

static void find_topics(struct topics *topics, const struct kw_insight_subject *subject)
{
    const struct kw_use_values *endpoints = &subject->use->endpoints;
    topics->count = 0;
    for (size_t i = 0; i < endpoints->count; i++) {
        add_topic(topics, topic_of_endpoint(endpoints->items[i].value), endpoints->items[i].amount);
    }
    keep_first(topics, endpoints->total);
    if (topics->count != 0) {
        return;
    }
    struct kw_bytes rest = subject->record->scopes.packed;
    struct kw_bytes scope;
    while (kw__list_next(&rest, &scope)) {
        add_topic(topics, topic_of_scope(scope), 1);
    }
    if (topics->count > TOPICS_MAX) { /* two of many would tell something wrong */
        topics->count = 0;
    }
    keep_first(topics, 0);
}

/* Whole characters only; all or as much as fits. */
static void add_cut(struct kw_buffer *out, struct kw_bytes text, size_t size_max)
{
    size_t size = 0;
    size_t step = kw_utf8_sequence(text);
    while (step != 0 && size + step <= size_max) {
        size += step;
        step = kw_utf8_sequence(kw_bytes_skip(text, size));
    }
    kw_buffer_add(out, kw_bytes_of(text.data, size));
}

size_t kw_insight_name(const struct kw_insight_subject *subject, char out[KW_NAME_MAX])
{
    static const char *const verbs[] = {
        [KW_MODE_UNKNOWN] = "uses", [KW_MODE_READS] = "reads", [KW_MODE_WRITES] = "writes", [KW_MODE_MIXED] = "uses"};
    struct topics topics;
    struct kw_bytes kind, id;
    struct kw_buffer name;
    kw_buffer_init_fixed(&name, out, KW_NAME_MAX);
    find_topics(&topics, subject);
    if (kw_bytes_split(subject->record->owner, ':', &kind, &id)) {
        add_cut(&name, kind, OWNER_KIND_MAX);
        kw_buffer_add_byte(&name, ' ');
        add_cut(&name, id, OWNER_ID_MAX);
    } else {
        add_cut(&name, subject->record->owner, OWNER_ID_MAX);
    }
    for (size_t i = 0; i < topics.count; i++) {
        kw_buffer_add_text(&name, i == 0 ? ": " : " and ");
        kw_buffer_add_text(&name, i == 0 ? verbs[kw_use_pattern(subject->use).mode] : "");
        kw_buffer_add_text(&name, i == 0 ? " " : "");
        kw_buffer_add(&name, topics.items[i].value);
    }
    if (subject->record->env.size != 0) {
        kw_buffer_add_text(&name, " (");
        kw_buffer_add(&name, subject->record->env);
        kw_buffer_add_byte(&name, ')');
    }
    return name.size;
}
