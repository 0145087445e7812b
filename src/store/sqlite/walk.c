#include "store/sqlite/walk.h"

#include "base/bytes.h"
#include "core/id.h"

#define ID_TIME_MAX ((INT64_C(1) << 48) - 1)

#define WAY(name) .list = KW__SQL_LIST_##name, .back = KW__SQL_LIST_##name##_BACK, .count = KW__SQL_COUNT_##name

const struct kw__way kw__way_scan = {.kind = KW__WAY_PLAIN, .list = KW__SQL_ROW_SCAN, .back = KW__SQL_ROW_SCAN_BACK};
const struct kw__way kw__way_project = {.kind = KW__WAY_PLAIN, WAY(PROJECT)};
const struct kw__way kw__way_expiry = {
    .kind = KW__WAY_EXPIRY, .list = KW__SQL_LIST_EXPIRY, .back = KW__SQL_LIST_EXPIRY, .count = KW__SQL_COUNT_EXPIRY};
const struct kw__way kw__way_use = {
    .kind = KW__WAY_USE, .list = KW__SQL_LIST_USE, .back = KW__SQL_LIST_USE, .count = KW__SQL_COUNT_USE};

static size_t add_tags(const struct kw_store_filter *filter, struct kw__way *ways)
{
    struct kw__way way = {.kind = KW__WAY_TAGS,
                          .list = KW__SQL_TAG_NEXT,
                          .back = KW__SQL_TAG_NEXT_BACK,
                          .count = KW__SQL_COUNT_TAG,
                          .tags = filter->tags,
                          .tag_count = filter->all_tags ? 1 : filter->tag_count};
    size_t count = filter->all_tags || filter->tag_count == 0 ? filter->tag_count : 1;
    for (size_t i = 0; i < count; i++) {
        ways[i] = way;
        ways[i].tags = &filter->tags[i];
    }
    return count;
}

size_t kw__ways_of(const struct kw_store_filter *filter, struct kw__way ways_out[KW__WAYS_MAX])
{
    struct kw_bytes parent = kw_bytes_of(filter->parent_id.bytes, sizeof filter->parent_id.bytes);
    struct kw_bytes none = {NULL, 0};
    bool has_both = filter->owner.size > 0 && filter->org_id.size > 0;
    const struct kw__way ways[] = {
        {.kind = KW__WAY_TEXT, WAY(ORG_OWNER), .wanted = has_both ? filter->org_id : none, .second = filter->owner},
        {.kind = KW__WAY_TEXT, WAY(OWNER), .wanted = has_both ? none : filter->owner},
        {.kind = KW__WAY_TEXT, WAY(ORG), .wanted = has_both ? none : filter->org_id},
        {.kind = KW__WAY_TEXT, WAY(ENV), .wanted = filter->env},
        {.kind = KW__WAY_TEXT, WAY(POLICY), .wanted = filter->policy},
        {.kind = KW__WAY_BLOB, WAY(PARENT), .wanted = kw_id_is_none(&filter->parent_id) ? none : parent},
    };
    size_t count = 0;
    for (size_t i = 0; i < KW_COUNT_OF(ways); i++) {
        if (ways[i].wanted.size > 0) {
            ways_out[count] = ways[i];
            count++;
        }
    }
    return count + add_tags(filter, ways_out + count);
}

static struct kw_id id_before(struct kw_id id)
{
    for (size_t i = sizeof id.bytes; i-- > 0 && id.bytes[i]-- == 0;) {
    }
    return id;
}

static void set_high(struct kw__id_range *range, const struct kw_id *id)
{
    bool is_lower = memcmp(id->bytes, range->high, sizeof id->bytes) < 0;
    if (is_lower) {
        memcpy(range->high, id->bytes, sizeof id->bytes);
        range->high_size = sizeof id->bytes;
    }
}

/* What times of creation, and with `from_after` the position, leave of the ids. */
static struct kw__id_range range_of(const struct kw_store_filter *filter, bool from_after)
{
    static const uint8_t zeros[KW_ID_RANDOM_SIZE];
    struct kw__id_range range = {.high_size = sizeof range.high};
    memset(range.high, 0xff, sizeof range.high);
    if (filter->created_from_ms > 0) {
        range.low = id_before(kw_id_make(filter->created_from_ms, zeros));
    }
    if (filter->created_until_ms != 0 && filter->created_until_ms <= ID_TIME_MAX) {
        struct kw_id until = kw_id_make(filter->created_until_ms, zeros);
        set_high(&range, &until);
    }
    if (!from_after || kw_id_is_none(&filter->after.id)) {
        return range;
    }
    if (filter->order == KW_ORDER_CREATED && kw_id_compare(&filter->after.id, &range.low) > 0) {
        range.low = filter->after.id;
    }
    if (filter->order == KW_ORDER_CREATED_BACK) {
        set_high(&range, &filter->after.id);
    }
    return range;
}

/* The parameters that all statements on ways share, in their order (sql.c). */
static void bind(struct kw__query *query, const struct kw_store_filter *filter, const struct kw__id_range *range,
                 int64_t most)
{
    kw__query_text(query, filter->project);
    kw__query_id(query, &range->low);
    kw__query_blob(query, kw_bytes_of(range->high, range->high_size));
    kw__query_i64(query, most);
}

static void bind_wanted(struct kw__query *query, const struct kw_store_filter *filter, const struct kw__way *way,
                        int64_t from_ms)
{
    if (way->kind == KW__WAY_TEXT) {
        kw__query_text(query, way->wanted);
    }
    if (way->kind == KW__WAY_TEXT && way->second.size > 0) {
        kw__query_text(query, way->second);
    }
    if (way->kind == KW__WAY_BLOB) {
        kw__query_blob(query, way->wanted);
    }
    if (way->kind == KW__WAY_EXPIRY) {
        kw__query_i64(query, from_ms);
        kw__query_i64(query, filter->expires_before_ms == 0 ? INT64_MAX : filter->expires_before_ms - 1);
    }
    if (way->kind == KW__WAY_USE) {
        kw__query_i64(query, from_ms);
        kw__query_i64(query, filter->used_before_ms == 0 ? INT64_MAX : filter->used_before_ms - 1);
    }
}

static enum kw_status run_count(struct kw__query *query, int64_t *count_out)
{
    bool is_there = false;
    enum kw_status status = kw__query_next(query, &is_there);
    *count_out = is_there ? sqlite3_column_int64(query->statement, 0) : 0;
    kw__query_close(query);
    return status;
}

enum kw_status kw__way_count(struct kw__connection *reader, const struct kw_store_filter *filter,
                             const struct kw__way *way, bool from_after, int64_t most, int64_t *count_out)
{
    struct kw__id_range range = range_of(filter, from_after);
    enum kw_status status = KW_OK;
    *count_out = 0;
    if (way->kind != KW__WAY_TAGS) {
        struct kw__query query = kw__query_open(reader, way->count);
        bind(&query, filter, &range, most);
        bind_wanted(&query, filter, way, way->kind == KW__WAY_USE ? filter->used_from_ms : 0);
        return run_count(&query, count_out);
    }
    for (size_t i = 0; i < way->tag_count && status == KW_OK && *count_out < most; i++) {
        struct kw__query query = kw__query_open(reader, way->count);
        int64_t count = 0;
        bind(&query, filter, &range, most - *count_out);
        kw__query_text(&query, way->tags[i]);
        status = run_count(&query, &count);
        *count_out += count;
    }
    return status;
}

/* The next id of one tag, behind the one that it has. */
static enum kw_status advance(struct kw__walk *walk, size_t tag)
{
    struct kw__id_range range = walk->range;
    struct kw_id *head = &walk->heads[tag];
    if (!kw_id_is_none(head) && walk->back) {
        set_high(&range, head);
    } else if (!kw_id_is_none(head)) {
        range.low = *head;
    }
    struct kw__query query = kw__query_open(walk->reader, walk->back ? walk->way->back : walk->way->list);
    bool is_there = false;
    bind(&query, walk->filter, &range, 1);
    kw__query_text(&query, walk->way->tags[tag]);
    enum kw_status status = kw__query_next(&query, &is_there);
    *head = (struct kw_id){0};
    if (status == KW_OK && is_there && (!kw__column_id(&query, 0, head) || kw_id_is_none(head))) {
        status = KW_E_CORRUPT;
    }
    kw__query_close(&query);
    return status;
}

/* Behind which place a way in the order of a time is walked. No id is as low as none, so all of the first time are. */
static struct kw_position begin_of(const struct kw_store_filter *filter, const struct kw__way *way, bool from_after)
{
    struct kw_position begin = from_after ? filter->after : (struct kw_position){.used_at_ms = 0};
    if (way->kind == KW__WAY_USE && (kw_id_is_none(&begin.id) || begin.used_at_ms < filter->used_from_ms)) {
        begin = (struct kw_position){.used_at_ms = filter->used_from_ms};
    }
    return begin;
}

enum kw_status kw__walk_open(struct kw__walk *walk, struct kw__connection *reader, const struct kw_store_filter *filter,
                             const struct kw__way *way, bool from_after)
{
    bool back = filter->order == KW_ORDER_CREATED_BACK;
    *walk = (struct kw__walk){
        .reader = reader, .filter = filter, .way = way, .back = back, .range = range_of(filter, from_after)};
    enum kw_status status = KW_OK;
    if (way->kind == KW__WAY_TAGS) {
        for (size_t i = 0; i < way->tag_count && status == KW_OK; i++) {
            status = advance(walk, i);
        }
        return status;
    }
    struct kw_position begin = begin_of(filter, way, from_after);
    if (way->kind == KW__WAY_EXPIRY || way->kind == KW__WAY_USE) {
        walk->range.low = begin.id;
    }
    walk->query = kw__query_open(reader, back ? way->back : way->list);
    walk->has_row = true;
    bind(&walk->query, filter, &walk->range, -1);
    bind_wanted(&walk->query, filter, way, way->kind == KW__WAY_USE ? begin.used_at_ms : begin.expires_at_ms);
    return KW_OK;
}

/* The id that comes first of all tags' heads; none: no more. Heads that have it go on. */
static enum kw_status take_head(struct kw__walk *walk, struct kw_id *id_out)
{
    struct kw_id best = {0};
    for (size_t i = 0; i < walk->way->tag_count; i++) {
        int order = kw_id_compare(&walk->heads[i], &best);
        bool is_first = kw_id_is_none(&best) || (walk->back ? order > 0 : order < 0);
        best = !kw_id_is_none(&walk->heads[i]) && is_first ? walk->heads[i] : best;
    }
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < walk->way->tag_count && status == KW_OK && !kw_id_is_none(&best); i++) {
        status = kw_id_equal(&walk->heads[i], &best) ? advance(walk, i) : KW_OK;
    }
    *id_out = best;
    return status;
}

/* A tag whose row is gone again since was put there by another commit than the one that is read now. */
static enum kw_status next_of_tags(struct kw__walk *walk, struct kw_store_row *row_out, bool *is_there_out)
{
    enum kw_status status = KW_OK;
    *is_there_out = false;
    while (status == KW_OK && !*is_there_out) {
        struct kw_id id;
        kw__walk_close(walk);
        status = take_head(walk, &id);
        if (status != KW_OK || kw_id_is_none(&id)) {
            return status;
        }
        walk->query = kw__query_open(walk->reader, KW__SQL_ROW_BY_ID);
        walk->has_row = true;
        kw__query_id(&walk->query, &id);
        status = kw__query_next(&walk->query, is_there_out);
    }
    return status == KW_OK ? kw__row_read(&walk->query, row_out) : status;
}

enum kw_status kw__walk_next(struct kw__walk *walk, struct kw_store_row *row_out, bool *is_there_out)
{
    if (walk->way->kind == KW__WAY_TAGS) {
        return next_of_tags(walk, row_out, is_there_out);
    }
    enum kw_status status = kw__query_next(&walk->query, is_there_out);
    return status == KW_OK && *is_there_out ? kw__row_read(&walk->query, row_out) : status;
}

void kw__walk_close(struct kw__walk *walk)
{
    if (walk->has_row) {
        kw__query_close(&walk->query);
    }
    walk->has_row = false;
}
