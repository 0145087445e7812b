#include "store/filter.h"

#include "base/bytes.h"
#include "core/id.h"
#include "store/check.h"

#define ID_TIME_SIZE 6

enum kw_status kw__filter_check(const struct kw_store_filter *filter)
{
    if (filter->last_four.size != 0 && filter->last_four.size != KW_STORE_LAST_FOUR_SIZE) {
        return KW_E_INVALID;
    }
    return filter->tag_count <= KW_TAG_COUNT_MAX ? KW_OK : KW_E_LIMIT;
}

enum kw_status kw__filter_check_list(const struct kw_store_filter *filter)
{
    enum kw_status status = kw__store_check_limit(filter->limit);
    bool is_by_time = filter->order == KW_ORDER_EXPIRES || filter->order == KW_ORDER_USED;
    if (status == KW_OK && is_by_time && filter->project.size == 0) {
        status = KW_E_INVALID;
    }
    return status == KW_OK ? kw__filter_check(filter) : status;
}

static bool text_matches(struct kw_bytes wanted, struct kw_bytes text)
{
    return wanted.size == 0 || kw_bytes_equal(wanted, text);
}

static bool has_tag(const struct kw_list *tags, struct kw_bytes wanted)
{
    struct kw_bytes rest = tags->packed;
    struct kw_bytes tag;
    while (kw_list_next(&rest, &tag)) {
        if (kw_bytes_equal(wanted, tag)) {
            return true;
        }
    }
    return false;
}

static bool tags_match(const struct kw_store_filter *filter, const struct kw_list *tags)
{
    size_t found = 0;
    for (size_t i = 0; i < filter->tag_count; i++) {
        found += has_tag(tags, filter->tags[i]);
    }
    return filter->tag_count == 0 || (filter->all_tags ? found == filter->tag_count : found > 0);
}

static int64_t time_of(const struct kw_id *id)
{
    int64_t time_ms = 0;
    for (size_t i = 0; i < ID_TIME_SIZE; i++) {
        time_ms = time_ms << 8 | id->bytes[i];
    }
    return time_ms;
}

static bool times_match(const struct kw_store_filter *filter, const struct kw_store_row *row)
{
    int64_t created_ms = time_of(&row->id);
    bool expires_before = row->expires_at_ms > 0 && row->expires_at_ms < filter->expires_before_ms;
    return (filter->created_from_ms == 0 || created_ms >= filter->created_from_ms) &&
           (filter->created_until_ms == 0 || created_ms < filter->created_until_ms) &&
           (filter->expires_before_ms == 0 || expires_before) &&
           (filter->used_before_ms == 0 || row->used_at_ms < filter->used_before_ms) &&
           (filter->used_from_ms == 0 || row->used_at_ms >= filter->used_from_ms);
}

bool kw__filter_finds(const struct kw_store_filter *filter, const struct kw_store_row *row)
{
    bool is_child = kw_id_is_none(&filter->parent_id) || kw_id_equal(&filter->parent_id, &row->parent_id);
    return !row->erased && is_child && text_matches(filter->project, row->project) &&
           text_matches(filter->owner, row->owner) && text_matches(filter->org_id, row->org_id) &&
           text_matches(filter->env, row->env) && text_matches(filter->policy, row->policy) &&
           text_matches(filter->last_four, kw_bytes_of(row->last_four, sizeof row->last_four)) &&
           tags_match(filter, &row->tags) && times_match(filter, row);
}

int kw__position_compare(enum kw_order order, const struct kw_store_row *row, const struct kw_position *position)
{
    int by_id = kw_id_compare(&row->id, &position->id);
    if (order == KW_ORDER_CREATED || order == KW_ORDER_CREATED_BACK) {
        return order == KW_ORDER_CREATED_BACK ? -by_id : by_id;
    }
    int64_t left = order == KW_ORDER_USED ? row->used_at_ms : row->expires_at_ms;
    int64_t right = order == KW_ORDER_USED ? position->used_at_ms : position->expires_at_ms;
    int by_time = (left > right) - (left < right);
    return by_time != 0 ? by_time : by_id;
}

bool kw__filter_is_behind(const struct kw_store_filter *filter, const struct kw_store_row *row)
{
    bool has_place = filter->order != KW_ORDER_EXPIRES || row->expires_at_ms > 0;
    return has_place &&
           (kw_id_is_none(&filter->after.id) || kw__position_compare(filter->order, row, &filter->after) > 0);
}

struct kw_position kw__position_of(const struct kw_store_row *row)
{
    return (struct kw_position){row->id, row->expires_at_ms, row->used_at_ms};
}
