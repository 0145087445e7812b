#include "base/bytes.h"
#include "core/id.h"
#include "store/filter.h"
#include "store/sqlite/walk.h"

#include <stdlib.h>

#define PROBE_LIMIT 1000           /* rows that are counted to learn which way is the narrowest */
#define SORT_MAX (2 * PROBE_LIMIT) /* a way that was narrow when it was probed may have grown */
#define COUNT_SCAN_MAX (10 * KW_STORE_COUNT_MAX)

/* How a list reaches its rows. */
struct plan {
    struct kw__way way;
    bool sorts; /* the way is narrow, and in another order than the list: all of it is read, and put in order */
};

/* The way with the fewest rows, PROBE_LIMIT at most. With one way there is nothing to compare. */
static enum kw_status find_narrowest(struct kw__connection *reader, const struct kw_store_filter *filter,
                                     bool from_after, struct kw__way *way_out, int64_t *fewest_out)
{
    struct kw__way ways[KW__WAYS_MAX];
    size_t way_count = kw__ways_of(filter, ways);
    enum kw_status status = KW_OK;
    *way_out = kw__way_project;
    *fewest_out = INT64_MAX;
    for (size_t i = 0; i < way_count && status == KW_OK; i++) {
        int64_t count = 0;
        status = kw__way_count(reader, filter, &ways[i], from_after, PROBE_LIMIT, &count);
        *way_out = count < *fewest_out ? ways[i] : *way_out;
        *fewest_out = count < *fewest_out ? count : *fewest_out;
    }
    return status;
}

/* Takes a way instead, where fewer rows lie on it. */
static enum kw_status prefer(struct kw__connection *reader, const struct kw_store_filter *filter,
                             const struct kw__way *other, struct kw__way *way, int64_t *fewest)
{
    int64_t count = 0;
    enum kw_status status = kw__way_count(reader, filter, other, false, PROBE_LIMIT, &count);
    if (status == KW_OK && count < PROBE_LIMIT && count < *fewest) {
        *way = *other;
        *fewest = count;
    }
    return status;
}

static bool is_by_use(const struct kw_store_filter *filter)
{
    return filter->used_before_ms != 0 || filter->used_from_ms != 0;
}

/* Which of all ways, those of expiry and use too. */
static enum kw_status find_narrowest_of_all(struct kw__connection *reader, const struct kw_store_filter *filter,
                                            bool from_after, struct kw__way *way_out, int64_t *fewest_out)
{
    enum kw_status status = find_narrowest(reader, filter, from_after, way_out, fewest_out);
    if (status == KW_OK && filter->expires_before_ms != 0) {
        status = prefer(reader, filter, &kw__way_expiry, way_out, fewest_out);
    }
    if (status == KW_OK && is_by_use(filter)) {
        status = prefer(reader, filter, &kw__way_use, way_out, fewest_out);
    }
    return status;
}

/* The way that is in the order of a list. */
static const struct kw__way *way_in_order(enum kw_order order)
{
    return order == KW_ORDER_EXPIRES ? &kw__way_expiry : order == KW_ORDER_USED ? &kw__way_use : &kw__way_project;
}

static enum kw_status make_plan(struct kw__connection *reader, const struct kw_store_filter *filter,
                                struct plan *plan_out)
{
    struct kw__way ways[KW__WAYS_MAX];
    *plan_out = (struct plan){.way = *way_in_order(filter->order)};
    if (filter->project.size == 0) {
        plan_out->way = kw__way_scan;
        return KW_OK;
    }
    size_t way_count = kw__ways_of(filter, ways);
    bool is_by_expiry = filter->expires_before_ms != 0;
    int64_t fewest = 0;
    enum kw_status status = KW_OK;
    if (filter->order == KW_ORDER_EXPIRES || filter->order == KW_ORDER_USED) {
        enum kw__way_kind own = plan_out->way.kind;
        struct kw__way narrowest = plan_out->way;
        bool has_others = way_count > 0 || (own == KW__WAY_EXPIRY ? is_by_use(filter) : is_by_expiry);
        status = has_others ? find_narrowest_of_all(reader, filter, false, &narrowest, &fewest) : KW_OK;
        if (status == KW_OK && narrowest.kind != own && fewest < PROBE_LIMIT) {
            *plan_out = (struct plan){narrowest, true};
        }
    } else if (way_count == 1 && !is_by_expiry && !is_by_use(filter)) {
        plan_out->way = ways[0];
    } else if (way_count > 0 || is_by_expiry || is_by_use(filter)) {
        status = find_narrowest_of_all(reader, filter, true, &plan_out->way, &fewest);
        plan_out->sorts = plan_out->way.kind == KW__WAY_EXPIRY || plan_out->way.kind == KW__WAY_USE;
    }
    return status;
}

static void say_reached(const struct kw_store_filter *filter, const struct kw_position *position, bool ended)
{
    if (filter->reached != NULL) {
        *filter->reached = (struct kw_store_reached){*position, ended};
    }
}

/* Along a way that is in the list's order. */
static enum kw_status list_along(struct kw__connection *reader, const struct kw_store_filter *filter,
                                 const struct kw__way *way, kw_store_row_sink *sink, void *context)
{
    struct kw__walk walk;
    struct kw_position position = filter->after;
    size_t given = 0;
    size_t looked_at = 0;
    bool is_there = true;
    enum kw_status status = kw__walk_open(&walk, reader, filter, way, true);
    while (status == KW_OK && given < filter->limit && (filter->reached == NULL || looked_at < KW_STORE_SCAN_MAX)) {
        struct kw_store_row row;
        status = kw__walk_next(&walk, &row, &is_there);
        if (status != KW_OK || !is_there) {
            break;
        }
        looked_at++;
        position = kw__position_of(&row);
        if (kw__filter_is_behind(filter, &row) && kw__filter_finds(filter, &row)) {
            status = sink(context, &row);
            given++;
        }
    }
    kw__walk_close(&walk);
    say_reached(filter, &position, !is_there);
    return status;
}

/* Positions as they were collected, for qsort. */
static int by_id(const void *a, const void *b)
{
    return kw_id_compare(&((const struct kw_position *)a)->id, &((const struct kw_position *)b)->id);
}

static int by_id_back(const void *a, const void *b)
{
    return by_id(b, a);
}

static int by_expiry(const void *a, const void *b)
{
    const struct kw_position *left = a;
    const struct kw_position *right = b;
    int order = (left->expires_at_ms > right->expires_at_ms) - (left->expires_at_ms < right->expires_at_ms);
    return order != 0 ? order : by_id(a, b);
}

static int by_use(const void *a, const void *b)
{
    const struct kw_position *left = a;
    const struct kw_position *right = b;
    int order = (left->used_at_ms > right->used_at_ms) - (left->used_at_ms < right->used_at_ms);
    return order != 0 ? order : by_id(a, b);
}

struct collection {
    struct kw_position positions[SORT_MAX];
    size_t count;
};

/* The places of all rows on the way that are wanted, in the list's order. KW_E_LIMIT: they are too many. */
static enum kw_status collect(struct kw__connection *reader, const struct kw_store_filter *filter,
                              const struct kw__way *way, struct collection *collection)
{
    static int (*const orders[])(const void *a, const void *b) = {
        [KW_ORDER_CREATED] = by_id,
        [KW_ORDER_CREATED_BACK] = by_id_back,
        [KW_ORDER_EXPIRES] = by_expiry,
        [KW_ORDER_USED] = by_use,
    };
    struct kw__walk walk;
    bool is_there = true;
    collection->count = 0;
    enum kw_status status = kw__walk_open(&walk, reader, filter, way, false);
    while (status == KW_OK && is_there) {
        struct kw_store_row row;
        status = kw__walk_next(&walk, &row, &is_there);
        bool is_wanted =
            status == KW_OK && is_there && kw__filter_is_behind(filter, &row) && kw__filter_finds(filter, &row);
        if (is_wanted && collection->count == SORT_MAX) {
            status = KW_E_LIMIT;
        } else if (is_wanted) {
            collection->positions[collection->count++] = kw__position_of(&row);
        }
    }
    kw__walk_close(&walk);
    qsort(collection->positions, collection->count, sizeof collection->positions[0], orders[filter->order]);
    return status;
}

/* Gives the row of that place if it is still what is wanted; `given` counts it. */
static enum kw_status give_one(struct kw__connection *reader, const struct kw_store_filter *filter,
                               const struct kw_position *position, kw_store_row_sink *sink, void *context,
                               size_t *given)
{
    struct kw__query query = kw__query_open(reader, KW__SQL_ROW_BY_ID);
    struct kw_store_row row;
    bool is_there = false;
    kw__query_id(&query, &position->id);
    enum kw_status status = kw__query_next(&query, &is_there);
    status = status == KW_OK && is_there ? kw__row_read(&query, &row) : status;
    if (status == KW_OK && is_there && kw__filter_is_behind(filter, &row) && kw__filter_finds(filter, &row)) {
        (*given)++;
        status = sink(context, &row);
    }
    kw__query_close(&query);
    return status;
}

static enum kw_status list_sorted(struct kw__connection *reader, const struct kw_store_filter *filter,
                                  const struct kw__way *way, kw_store_row_sink *sink, void *context)
{
    struct collection found;
    enum kw_status status = collect(reader, filter, way, &found);
    if (status == KW_E_LIMIT) {
        return list_along(reader, filter, way_in_order(filter->order), sink, context);
    }
    size_t given = 0;
    size_t at = 0;
    for (; at < found.count && given < filter->limit && status == KW_OK; at++) {
        status = give_one(reader, filter, &found.positions[at], sink, context, &given);
    }
    say_reached(filter, at == 0 ? &filter->after : &found.positions[at - 1], at == found.count);
    return status;
}

enum kw_status kw__sqlite_list(struct kw_store *store, const struct kw_store_filter *filter, kw_store_row_sink *sink,
                               void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__filter_check_list(filter);
    if (status != KW_OK) {
        return status;
    }
    struct plan plan;
    struct kw__connection *reader = kw__reader_take(sqlite);
    status = make_plan(reader, filter, &plan);
    if (status == KW_OK) {
        status = plan.sorts ? list_sorted(reader, filter, &plan.way, sink, context)
                            : list_along(reader, filter, &plan.way, sink, context);
    }
    kw__reader_give(sqlite, reader);
    return status;
}

/* The one way on which everything is wanted, if there is such a one. */
static bool find_whole_way(const struct kw_store_filter *filter, struct kw__way *way_out)
{
    struct kw__way ways[KW__WAYS_MAX];
    size_t way_count = kw__ways_of(filter, ways);
    bool is_by_creation = filter->created_from_ms != 0 || filter->created_until_ms != 0;
    bool is_by_expiry = filter->expires_before_ms != 0;
    bool is_by_time = is_by_expiry || is_by_use(filter);
    if (filter->project.size == 0 || filter->last_four.size > 0 ||
        way_count + (size_t)is_by_expiry + (size_t)is_by_use(filter) > 1) {
        return false;
    }
    *way_out = way_count == 1      ? ways[0]
               : is_by_expiry      ? kw__way_expiry
               : is_by_use(filter) ? kw__way_use
                                   : kw__way_project;
    return !(is_by_time && is_by_creation) && !(way_out->kind == KW__WAY_TAGS && way_out->tag_count > 1);
}

/* Counts row by row along the narrowest way. */
static enum kw_status count_along(struct kw__connection *reader, const struct kw_store_filter *filter,
                                  int64_t *count_out, bool *exact_out)
{
    struct kw__way way = kw__way_scan;
    struct kw__walk walk;
    size_t looked_at = 0;
    bool is_there = true;
    int64_t fewest = 0;
    enum kw_status status =
        filter->project.size == 0 ? KW_OK : find_narrowest_of_all(reader, filter, false, &way, &fewest);
    if (status != KW_OK) {
        return status;
    }
    *count_out = 0;
    status = kw__walk_open(&walk, reader, filter, &way, false);
    while (status == KW_OK && is_there && *count_out <= KW_STORE_COUNT_MAX && looked_at++ < COUNT_SCAN_MAX) {
        struct kw_store_row row;
        status = kw__walk_next(&walk, &row, &is_there);
        *count_out += status == KW_OK && is_there && kw__filter_finds(filter, &row);
    }
    kw__walk_close(&walk);
    *exact_out = !is_there;
    return status;
}

enum kw_status kw__sqlite_count_found(struct kw_store *store, const struct kw_store_filter *filter, uint64_t *count_out,
                                      bool *exact_out)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__filter_check(filter);
    if (status != KW_OK) {
        return status;
    }
    struct kw_store_filter counted = *filter;
    struct kw__way way;
    int64_t count = 0;
    bool exact = true;
    counted.order = KW_ORDER_CREATED;
    struct kw__connection *reader = kw__reader_take(sqlite);
    if (find_whole_way(&counted, &way)) {
        status = kw__way_count(reader, &counted, &way, false, KW_STORE_COUNT_MAX + 1, &count);
    } else {
        status = count_along(reader, &counted, &count, &exact);
    }
    kw__reader_give(sqlite, reader);
    if (status == KW_OK) {
        *exact_out = exact && count <= KW_STORE_COUNT_MAX;
        *count_out = count <= KW_STORE_COUNT_MAX ? (uint64_t)count : KW_STORE_COUNT_MAX;
    }
    return status;
}
