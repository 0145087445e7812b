#include "insights.h"

#include "core/address.h"
#include "core/limit_list.h"

void history_begin(struct test *t, struct history *history)
{
    history->t = t;
    kw_arena_init(&history->arena, history->memory, sizeof history->memory, sizeof history->memory);
    history->record = record_typical(&history->arena);
    history->record.scopes = (struct kw_list){.count = 0};
    history->record.created_at_ms = NOON_MS;
    kw_use_init(&history->use, NOON_MS, NOON_MS);
    history->subject = (struct kw_insight_subject){.record = &history->record, .use = &history->use, .now_ms = NOON_MS};
}

void history_add(struct history *history, enum kw_use_kind kind, const char *value, int64_t days_ago, int64_t amount)
{
    struct kw_use_row row = {kind, kw_bytes_of_text(value), NOON_MS / DAY_MS * DAY_MS - days_ago * DAY_MS, false,
                             amount};
    CHECK_STATUS(history->t, kw_use_add(&history->use, &history->arena, &row), KW_OK);
}

void history_add_hour(struct history *history, int64_t hours_ago, int64_t amount)
{
    struct kw_use_row row = {KW_USE_OUTCOME, KW_BYTES("VALID"), NOON_MS - hours_ago * HOUR_MS, true, amount};
    CHECK_STATUS(history->t, kw_use_add(&history->use, &history->arena, &row), KW_OK);
}

void history_scopes(struct history *history, const char *const *scopes, size_t count)
{
    struct kw_bytes items[KW_SCOPE_COUNT_MAX];
    for (size_t i = 0; i < count; i++) {
        items[i] = kw_bytes_of_text(scopes[i]);
    }
    history->record.scopes = list_of(&history->arena, items, count);
}

void history_look(struct history *history)
{
    CHECK_STATUS(history->t, kw_insight_make(&history->subject, &history->arena, &history->insight), KW_OK);
}

const struct kw_recommendation *history_advice(struct history *history, enum kw_advice advice)
{
    history_look(history);
    for (size_t i = 0; i < history->insight.recommendation_count; i++) {
        if (history->insight.recommendations[i].advice == advice) {
            return &history->insight.recommendations[i];
        }
    }
    return NULL;
}

int history_points(struct history *history, enum kw_score_part_kind part)
{
    history_look(history);
    return history->insight.parts[part].points;
}

void history_allow_range(struct history *history, const char *text)
{
    static uint8_t packed[KW_ADDRESS_RANGE_SIZE];
    struct kw_address_range range;
    const char *why = NULL;
    CHECK_STATUS(history->t, kw_address_range_parse(kw_bytes_of_text(text), &range, &why), KW_OK);
    kw_address_range_pack(&range, packed);
    struct kw_bytes items[] = {kw_bytes_of(packed, sizeof packed)};
    history->record.allowed_ips = list_of(&history->arena, items, 1);
}

void history_allow_region(struct history *history)
{
    struct kw_bytes items[] = {KW_BYTES("EU")};
    history->record.allowed_regions = list_of(&history->arena, items, 1);
}

void history_limit(struct history *history)
{
    struct kw_rate_limit limit = {KW_BYTES("default"), 10, 1000};
    CHECK(history->t, kw_rate_limits_pack(&history->arena, &limit, 1, &history->record.rate_limits));
}
