/*
 * The ways in which a filter's rows can be reached: each is a range of one index. A walk goes along one of them, row by
 * row in its order, and hands out more than the filter finds: what else is asked of a row, store/filter.h says.
 */
#ifndef KW_STORE_SQLITE_WALK_H
#define KW_STORE_SQLITE_WALK_H

#include "store/sqlite/sqlite.h"

enum kw__way_kind {
    KW__WAY_PLAIN,  /* wants nothing but the project */
    KW__WAY_TEXT,   /* `wanted`, and `second` */
    KW__WAY_BLOB,   /* `wanted` */
    KW__WAY_TAGS,   /* any of the tags: several ranges, merged */
    KW__WAY_EXPIRY, /* in the order of expiry; all others but the next are in that of ids */
    KW__WAY_USE,    /* in the order of the latest use */
};

struct kw__way {
    enum kw__way_kind kind;
    enum kw__sql list, back, count;
    struct kw_bytes wanted, second;
    const struct kw_bytes *tags;
    size_t tag_count;
};

#define KW__WAYS_MAX (6 + KW_TAG_COUNT_MAX)

extern const struct kw__way kw__way_scan; /* all rows of the store: it has no count */
extern const struct kw__way kw__way_project;
extern const struct kw__way kw__way_expiry;
extern const struct kw__way kw__way_use;

/* The ways that the filter's members open within its project, but for those of expiry and use. Each alone leads to all
 * rows. */
size_t kw__ways_of(const struct kw_store_filter *filter, struct kw__way ways_out[KW__WAYS_MAX]);

/* How many rows lie on a way, `most` at most. `from_after`: behind the filter's position, where it is on this way. */
KW_MUST_USE enum kw_status kw__way_count(struct kw__connection *reader, const struct kw_store_filter *filter,
                                         const struct kw__way *way, bool from_after, int64_t most, int64_t *count_out);

/* Ids strictly between two bounds; an upper bound longer than an id is above all of them. */
struct kw__id_range {
    struct kw_id low;
    uint8_t high[sizeof(struct kw_id) + 1];
    size_t high_size;
};

/* Statements borrow from it: it must not be moved while it is open. */
struct kw__walk {
    struct kw__connection *reader;
    const struct kw_store_filter *filter;
    const struct kw__way *way;
    bool back;
    bool has_row; /* `query` is open */
    struct kw__id_range range;
    struct kw__query query;
    struct kw_id heads[KW_TAG_COUNT_MAX]; /* of each tag the next id; none: no more */
};

/* Begins at the filter's position, where that is on this way, or at the way's begin. Close it also after a failure. */
KW_MUST_USE enum kw_status kw__walk_open(struct kw__walk *walk, struct kw__connection *reader,
                                         const struct kw_store_filter *filter, const struct kw__way *way,
                                         bool from_after);
/* KW_OK and false: the way ends here. The row is borrowed until the next call. */
KW_MUST_USE enum kw_status kw__walk_next(struct kw__walk *walk, struct kw_store_row *row_out, bool *is_there_out);
void kw__walk_close(struct kw__walk *walk);

#endif
