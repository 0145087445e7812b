/*
 * What a filter means, in one place for both adapters: which rows it finds, and which of them come behind a position.
 * An adapter's indices only spare it looking at rows. Pure.
 */
#ifndef KW_STORE_FILTER_H
#define KW_STORE_FILTER_H

#include <keyward/store.h>

/* KW_E_INVALID or KW_E_LIMIT as the contract says; of all that is said of lists, nothing is looked at. */
KW_MUST_USE enum kw_status kw__filter_check(const struct kw_store_filter *filter);
/* The same, and what is said of lists. */
KW_MUST_USE enum kw_status kw__filter_check_list(const struct kw_store_filter *filter);

/* Whether the filter finds the row, whatever the order and the place. */
bool kw__filter_finds(const struct kw_store_filter *filter, const struct kw_store_row *row);

/* Where a row stands in the order: below 0 before the position, above 0 behind it. */
int kw__position_compare(enum kw_order order, const struct kw_store_row *row, const struct kw_position *position);
/* Whether the order has a place for the row, and it is behind where the filter goes on. */
bool kw__filter_is_behind(const struct kw_store_filter *filter, const struct kw_store_row *row);
struct kw_position kw__position_of(const struct kw_store_row *row);

#endif
