#include "core/quota_list.h"

#include "base/error.h"
#include "base/time.h"
#include "core/document_form.h"
#include "core/internal.h"
#include "core/limit_list.h"
#include "core/record.h"
#include "core/transition.h"

/*
 * A packed quota: what it does in one byte, its limit, its marks, what it throttles to, a number for what it counts,
 * then its metric behind a size, then its name. Numbers are big end first.
 */
#define AT_LIMIT 1
#define AT_MARKS 9 /* their number, then four places */
#define AT_REQUESTS 14
#define AT_WINDOW 18
#define AT_NUMBER 22 /* that stands for metric, period and anchor */
#define AT_METRIC 26 /* its size, then itself */

_Static_assert(AT_METRIC + 1 + KW_METRIC_MAX + KW_QUOTA_NAME_MAX == KW_QUOTA_PACKED_MAX, "all of it fits");
_Static_assert(KW_RATE_LIMIT_REQUESTS_MAX <= UINT32_MAX && KW_RATE_LIMIT_WINDOW_MS_MAX <= UINT32_MAX, "as do these");

#define METRIC_OTHERWISE KW_BYTES("requests")

static const uint8_t marks_otherwise[] = {80, 100};

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint64_t read_u64(const uint8_t *bytes)
{
    return (uint64_t)read_u32(bytes) << 32 | read_u32(bytes + 4);
}

static void write_number(uint8_t *bytes, size_t size, uint64_t value)
{
    for (size_t i = size; i > 0; i--, value >>= 8) {
        bytes[i - 1] = (uint8_t)value;
    }
}

const char *kw_quota_exceeded_name(enum kw_quota_exceeded on_exceeded)
{
    static const char *const names[] = {
        [KW_QUOTA_BLOCK] = "block", [KW_QUOTA_WARN] = "warn", [KW_QUOTA_THROTTLE] = "throttle"};
    return names[on_exceeded];
}

struct kw_bytes kw_quota_metric(const struct kw_quota_rule *rule)
{
    return rule->metric.size == 0 ? METRIC_OTHERWISE : rule->metric;
}

/* Of a rule that names none. */
static struct kw_bytes name_of(const struct kw_quota_rule *rule, uint8_t memory[KW_QUOTA_NAME_MAX])
{
    if (rule->name.size > 0) {
        return rule->name;
    }
    struct kw_buffer name;
    kw_buffer_init_fixed(&name, memory, KW_QUOTA_NAME_MAX);
    kw_buffer_add(&name, kw_quota_metric(rule));
    kw_buffer_add_byte(&name, '-');
    kw_buffer_add_text(&name, kw_period_name(rule->period));
    return kw_buffer_bytes(&name);
}

/* --- reading --- */

/* Trusts the bytes: those of a record were looked at when it was decoded. */
static void read_packed(struct kw_bytes packed, struct kw_quota *quota)
{
    const uint8_t *at = packed.data;
    size_t metric_size = at[AT_METRIC];
    quota->period = (enum kw_period)(at[0] & 7);
    quota->on_exceeded = (enum kw_quota_exceeded)(at[0] >> 3 & 3);
    quota->per = (enum kw_limit_per)(at[0] >> 6);
    quota->limit = (int64_t)read_u64(at + AT_LIMIT);
    quota->mark_count = at[AT_MARKS];
    memcpy(quota->marks, at + AT_MARKS + 1, sizeof quota->marks);
    quota->throttle_requests = read_u32(at + AT_REQUESTS);
    quota->throttle_window_ms = read_u32(at + AT_WINDOW);
    quota->number = read_u32(at + AT_NUMBER);
    quota->metric = kw_bytes_of(at + AT_METRIC + 1, metric_size);
    quota->name = kw_bytes_skip(packed, AT_METRIC + 1 + metric_size);
}

static bool is_anchored(struct kw_bytes packed)
{
    return (packed.data[0] >> 5 & 1) != 0;
}

bool kw_quotas_next(struct kw_bytes *packed, int64_t born_ms, struct kw_quota *quota_out)
{
    struct kw_bytes item;
    if (!kw__list_next(packed, &item)) {
        return false;
    }
    read_packed(item, quota_out);
    quota_out->anchor_ms = is_anchored(item) ? born_ms : KW_PERIOD_UTC;
    return true;
}

static uint32_t number_of(struct kw_bytes metric, enum kw_period period, bool is_anchored)
{
    uint8_t kind[] = {(uint8_t)period, !is_anchored};
    uint64_t hash = kw__claim_hash(KW__CLAIM_HASH_BEGIN, kw_bytes_of(kind, sizeof kind));
    return (uint32_t)(kw__claim_hash(hash, metric) >> 32);
}

static bool unpack(struct kw_bytes packed, struct kw_quota_rule *rule)
{
    if (packed.size < AT_METRIC + 1 || packed.size < (size_t)AT_METRIC + 1 + packed.data[AT_METRIC]) {
        return false;
    }
    struct kw_quota quota = {.limit = 0};
    read_packed(packed, &quota);
    if (quota.number != number_of(quota.metric, quota.period, is_anchored(packed))) {
        return false;
    }
    *rule = (struct kw_quota_rule){
        .name = quota.name,
        .metric = quota.metric,
        .limit = quota.limit,
        .period = quota.period,
        .anchor = is_anchored(packed) ? KW_ANCHOR_CREATED : KW_ANCHOR_UTC,
        .on_exceeded = quota.on_exceeded,
        .per = quota.per,
        .mark_count = quota.mark_count,
        .throttle = {.requests = quota.throttle_requests, .window_ms = quota.throttle_window_ms}};
    memcpy(rule->marks, quota.marks, sizeof rule->marks);
    return true;
}

bool kw_quota_rules_next(struct kw_bytes *rest, struct kw_quota_rule *quota_out)
{
    struct kw_bytes item;
    return kw__list_next(rest, &item) && unpack(item, quota_out);
}

/* --- what a quota may be --- */

static bool is_word(struct kw_bytes word, size_t size_max)
{
    bool good = word.size >= 1 && word.size <= size_max && word.data[0] >= 'a' && word.data[0] <= 'z';
    for (size_t i = 0; good && i < word.size; i++) {
        uint8_t c = word.data[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    }
    return good;
}

bool kw_metric_valid(struct kw_bytes metric)
{
    return is_word(metric, KW_METRIC_MAX);
}

static bool are_marks(const struct kw_quota_rule *rule)
{
    bool good = rule->mark_count <= KW_QUOTA_MARK_COUNT_MAX;
    for (size_t i = 0; good && i < rule->mark_count; i++) {
        good = rule->marks[i] >= 1 && rule->marks[i] <= 100 && (i == 0 || rule->marks[i] > rule->marks[i - 1]);
    }
    return good;
}

static enum kw_status check_throttle(const struct kw_quota_rule *rule, struct kw_error *error_out)
{
    const struct kw_rate_limit *throttle = &rule->throttle;
    bool is_given = throttle->requests != 0 || throttle->window_ms != 0;
    if (rule->on_exceeded != KW_QUOTA_THROTTLE) {
        return !is_given ? KW_OK
                         : kw_refuse(error_out, KW_CODE_INVALID_FIELD, "throttle",
                                     "is for onExceeded \"throttle\": leave it out, or say that");
    }
    if (!is_given) {
        return kw_refuse(error_out, KW_CODE_MISSING_FIELD, "throttle",
                         "is required where onExceeded is \"throttle\", such as {\"requests\": 10, \"window\": "
                         "\"1m\"}");
    }
    if (throttle->requests < 1 || throttle->requests > KW_RATE_LIMIT_REQUESTS_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "throttle.requests", "must be 1 to %d",
                         KW_RATE_LIMIT_REQUESTS_MAX);
    }
    if (throttle->window_ms < 1 || throttle->window_ms > KW_RATE_LIMIT_WINDOW_MS_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "throttle.window",
                         "must be a duration of \"31d\" at most, such as \"1m\"");
    }
    return KW_OK;
}

/* All but its name. */
static enum kw_status check_rule(const struct kw_quota_rule *rule, struct kw_error *error_out)
{
    if (!kw_metric_valid(kw_quota_metric(rule))) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "metric",
                         "must be 1 to %d of a-z, 0-9, '_', '.' and '-', starting with a letter", KW_METRIC_MAX);
    }
    if (rule->limit < 0 || rule->limit > KW_AMOUNT_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "limit", "must be 0 to %lld",
                         (long long)(KW_AMOUNT_MAX / KW_AMOUNT_ONE));
    }
    if (kw_period_name(rule->period) == NULL) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "period", "must be hour, day, week, month or year");
    }
    if ((unsigned)rule->on_exceeded > KW_QUOTA_THROTTLE) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "onExceeded", "must be block, warn or throttle");
    }
    if ((unsigned)rule->per > KW_PER_ORG) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "per", "must be key, owner or org");
    }
    if ((unsigned)rule->anchor > KW_ANCHOR_CREATED) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "anchor", "must be utc or created");
    }
    if (rule->anchor == KW_ANCHOR_CREATED && rule->per != KW_PER_KEY) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "anchor",
                         "must be utc where several keys share the quota: they were created at different times");
    }
    if (!are_marks(rule)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "warnAt",
                         "must be up to %d whole percentages from 1 to 100, each above the one before",
                         KW_QUOTA_MARK_COUNT_MAX);
    }
    return check_throttle(rule, error_out);
}

static enum kw_status check_name(const struct kw_quota_rule *rules, size_t index, struct kw_error *error_out)
{
    uint8_t memory[2][KW_QUOTA_NAME_MAX];
    struct kw_bytes name = name_of(&rules[index], memory[0]);
    if (!is_word(name, KW_QUOTA_NAME_MAX)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "name",
                         "must be 1 to %d of a-z, 0-9, '_', '.' and '-', starting with a letter", KW_QUOTA_NAME_MAX);
    }
    for (size_t i = 0; i < index; i++) {
        if (kw_bytes_equal(name_of(&rules[i], memory[1]), name)) {
            return kw_refuse(error_out, KW_CODE_DUPLICATE_FIELD, "name",
                             "stands twice: give each quota a name of its own");
        }
    }
    return KW_OK;
}

enum kw_status kw_quotas_check(const struct kw_quota_rule *rules, size_t count, const char *field,
                               struct kw_error *error_out)
{
    if (count > KW_QUOTA_COUNT_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field, "are too many: at most %d", KW_QUOTA_COUNT_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        enum kw_status status = check_rule(&rules[i], error_out);
        status = status != KW_OK ? status : check_name(rules, i, error_out);
        if (status != KW_OK) {
            return kw__document_under(status, field, i, error_out);
        }
    }
    return KW_OK;
}

/* --- packing --- */

static void add_packed(struct kw_buffer *packed, const struct kw_quota_rule *rule)
{
    uint8_t memory[KW_QUOTA_NAME_MAX];
    uint8_t item[KW_QUOTA_PACKED_MAX] = {0};
    struct kw_bytes metric = kw_quota_metric(rule);
    struct kw_bytes name = name_of(rule, memory);
    bool names_marks = rule->mark_count > 0;
    size_t mark_count = names_marks ? rule->mark_count : sizeof marks_otherwise;
    item[0] = (uint8_t)(rule->period | (unsigned)rule->on_exceeded << 3 | (unsigned)rule->anchor << 5 |
                        (unsigned)rule->per << 6);
    write_number(item + AT_LIMIT, 8, (uint64_t)rule->limit);
    item[AT_MARKS] = (uint8_t)mark_count;
    memcpy(item + AT_MARKS + 1, names_marks ? rule->marks : marks_otherwise, mark_count);
    write_number(item + AT_REQUESTS, 4, (uint64_t)rule->throttle.requests);
    write_number(item + AT_WINDOW, 4, (uint64_t)rule->throttle.window_ms);
    write_number(item + AT_NUMBER, 4, number_of(metric, rule->period, rule->anchor == KW_ANCHOR_CREATED));
    item[AT_METRIC] = (uint8_t)metric.size;
    memcpy(item + AT_METRIC + 1, metric.data, metric.size);
    memcpy(item + AT_METRIC + 1 + metric.size, name.data, name.size);
    kw_list_add(packed, kw_bytes_of(item, AT_METRIC + 1 + metric.size + name.size));
}

bool kw_quotas_pack(struct kw_arena *arena, const struct kw_quota_rule *rules, size_t count, struct kw_list *list_out)
{
    const struct kw_quota_rule *sorted[KW_QUOTA_COUNT_MAX];
    uint8_t memory[2][KW_QUOTA_NAME_MAX];
    size_t size = count * (KW_QUOTA_PACKED_MAX + 1);
    void *bytes = kw_arena_take(arena, size);
    if (bytes == NULL || count > KW_QUOTA_COUNT_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct kw_bytes name = name_of(&rules[i], memory[0]);
        size_t at = i;
        for (; at > 0 && kw_bytes_compare(name, name_of(sorted[at - 1], memory[1])) < 0; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = &rules[i];
    }
    struct kw_buffer packed;
    kw_buffer_init_fixed(&packed, bytes, size);
    for (size_t i = 0; i < count; i++) {
        add_packed(&packed, sorted[i]);
    }
    list_out->packed = count == 0 ? (struct kw_bytes){NULL, 0} : kw_buffer_bytes(&packed);
    list_out->count = (uint32_t)count;
    return true;
}

/* What packing would have written otherwise: places behind the last mark. */
static bool is_filled(const struct kw_quota_rule *rule)
{
    bool good = rule->mark_count > 0 && rule->mark_count <= KW_QUOTA_MARK_COUNT_MAX;
    for (size_t i = rule->mark_count; good && i < KW_QUOTA_MARK_COUNT_MAX; i++) {
        good = rule->marks[i] == 0;
    }
    return good;
}

bool kw_quotas_valid(const struct kw_list *list)
{
    struct kw_bytes rest = list->packed;
    struct kw_bytes item;
    struct kw_quota_rule rule;
    struct kw_bytes last = {NULL, 0};
    while (kw__list_next(&rest, &item)) {
        if (!unpack(item, &rule) || rule.metric.size == 0 || check_rule(&rule, NULL) != KW_OK || !is_filled(&rule) ||
            !is_word(rule.name, KW_QUOTA_NAME_MAX) || kw_bytes_compare(rule.name, last) <= 0) {
            return false;
        }
        last = rule.name;
    }
    return rest.size == 0;
}

/* --- within --- */

static bool has_more_of(const struct kw_quota_rule *inner, const struct kw_quota_rule *outer)
{
    bool may_lie_in_two = outer->period == KW_PERIOD_WEEK && inner->period > KW_PERIOD_WEEK;
    int64_t periods = may_lie_in_two ? 2 : 1;
    return inner->limit * periods > outer->limit; /* both factors are small: KW_AMOUNT_MAX is below 2^60 */
}

static bool implies(const struct kw_quota_rule *inner, const struct kw_quota_rule *outer)
{
    if (!kw_bytes_equal(inner->metric, outer->metric) || inner->anchor != outer->anchor ||
        !kw_limit_per_within(inner->per, outer->per) || inner->period < outer->period || has_more_of(inner, outer)) {
        return false;
    }
    bool throttles_alike = inner->on_exceeded == KW_QUOTA_THROTTLE && outer->on_exceeded == KW_QUOTA_THROTTLE &&
                           kw_rate_limit_implies(&inner->throttle, &outer->throttle);
    return inner->on_exceeded == KW_QUOTA_BLOCK || throttles_alike;
}

bool kw_quotas_within(const struct kw_list *inner, const struct kw_list *outer)
{
    struct kw_bytes outer_rest = outer->packed;
    struct kw_quota_rule wanted;
    while (kw_quota_rules_next(&outer_rest, &wanted)) {
        struct kw_bytes rest = inner->packed;
        struct kw_quota_rule rule;
        bool is_implied = wanted.on_exceeded == KW_QUOTA_WARN;
        while (!is_implied && kw_quota_rules_next(&rest, &rule)) {
            is_implied = implies(&rule, &wanted);
        }
        if (!is_implied) {
            return false;
        }
    }
    return true;
}
