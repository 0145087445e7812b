/*
 * What every adapter refuses in the same words, before it touches anything: sizes beyond their caps, rows that no
 * later call could find. Pure; an adapter of an outsider may do without it.
 */
#ifndef KW_STORE_CHECK_H
#define KW_STORE_CHECK_H

#include <keyward/store.h>

/* KW_E_LIMIT when outside 1 to KW_STORE_LIST_MAX. */
KW_MUST_USE enum kw_status kw__store_check_limit(size_t limit);
/* KW_E_LIMIT for a size beyond its cap, KW_E_INVALID for a row without id, digest or version, or another thing without
 * id. */
KW_MUST_USE enum kw_status kw__store_check_batch(const struct kw_store_batch *batch);
/* The same of one of `batch_count` that are committed together. */
KW_MUST_USE enum kw_status kw__store_check_batch_of(const struct kw_store_batch *batch, size_t batch_count);
/*
 * The next piece of a batch, checked; its puts are 0 where there is none any more. KW_E_LIMIT or KW_E_INVALID also for
 * a piece that holds what none may.
 */
KW_MUST_USE enum kw_status kw__store_next_piece(const struct kw_store_batch *batch, struct kw_store_batch *piece_out);
KW_MUST_USE enum kw_status kw__store_check_setting_name(struct kw_bytes name);
KW_MUST_USE enum kw_status kw__store_check_usages(const struct kw_store_usage *usages, size_t count);
KW_MUST_USE enum kw_status kw__store_check_reservation_name(struct kw_bytes name);
KW_MUST_USE enum kw_status kw__store_check_deferred(const struct kw_store_deferred *pieces, size_t count);
KW_MUST_USE enum kw_status kw__store_check_uses(const struct kw_store_use *uses, size_t count);

KW_MUST_USE enum kw_status kw__store_check_fans(const struct kw_store_fan *fans, size_t count);
KW_MUST_USE enum kw_status kw__store_check_settled(const struct kw_store_settled *settled, size_t count);
KW_MUST_USE enum kw_status kw__store_check_channel(uint64_t channel);
/* Whether a filter's `states` mean this one. */
bool kw__store_wants_state(const struct kw_store_delivery_filter *filter, enum kw_delivery_state state);

/* What a checked reservation gets when `taken` is gone already: 0 to amount, or below 0 what goes back. */
int64_t kw__store_grant(const struct kw_store_reservation *reservation, int64_t taken);

/* The begin of the day (of UTC) that a time lies in. */
int64_t kw__store_day_of(int64_t time_ms);

/* Gives every batch the same outcome, and returns it. */
enum kw_status kw__store_outcome_for_all(struct kw_store_batch *batches, size_t count, enum kw_status outcome);

#endif
