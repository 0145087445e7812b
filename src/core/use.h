/*
 * What a key was used for, as far as insight asks: its rows of usage, added up over the last sixty days. Whoever reads
 * usage hands in row after row, in any order; nothing here knows where they come from. Sums are bounded, and so is the
 * number of different values that are told apart: what is beyond counts as other.
 */
#ifndef KW_CORE_USE_H
#define KW_CORE_USE_H

#include "base/memory.h"
#include "core/address.h"

#define KW_USE_DAYS 60        /* today and the 59 days before it, in UTC */
#define KW_USE_HOURS 48       /* whole hours before this one: each hour of the day twice */
#define KW_USE_VALUES_MAX 128 /* different endpoints, countries, scopes each */
#define KW_USE_VALUE_SIZE 128 /* of one: a longer one counts as other */
#define KW_USE_AMOUNT_MAX INT64_C(10000000000000)

/* What a row counts by. */
enum kw_use_kind {
    KW_USE_OUTCOME, /* "VALID", or the code of a refusal */
    KW_USE_ENDPOINT,
    KW_USE_COUNTRY,
    KW_USE_NETWORK, /* of verifications that passed: KW_NETWORK_USES, KW_NETWORK_MARKS */
    KW_USE_SCOPE,   /* a scope of the key that covers one that was asked for in a verification that passed */
};
#define KW_USE_OTHER KW_BYTES("other") /* the values beyond those that usage tells apart */

/*
 * Networks are not told apart, only whether it was one: each use that states an address adds the mark of its network to
 * a sum. Where all were of one network, the sum is as many times the mark of the last one. Other networks come to the
 * same sum once in some 65,000 times.
 */
#define KW_NETWORK_USES KW_BYTES("uses")   /* with an address */
#define KW_NETWORK_MARKS KW_BYTES("marks") /* the sum */
#define KW_NETWORK_MARK_MAX 65536
#define KW_NETWORK_IPV4_BITS 24
#define KW_NETWORK_IPV6_BITS 48

/* The network that an address lies in. */
struct kw_address_range kw_network_of(const struct kw_address *address);
/* 1 to KW_NETWORK_MARK_MAX. It is kept in stores: it never changes. */
uint32_t kw_network_mark(const struct kw_address *address);

struct kw_use_row {
    enum kw_use_kind kind;
    struct kw_bytes value;
    int64_t start_ms; /* of the hour or day */
    bool is_hour;
    int64_t amount; /* below 0 counts as 0 */
};

struct kw_use_value {
    struct kw_bytes value;
    int64_t amount;
};

struct kw_use_values {
    struct kw_use_value items[KW_USE_VALUES_MAX]; /* in the order in which they came */
    size_t count;
    int64_t other, total; /* the total has the others in it */
};

/* All zero but for the times: nothing was used. */
struct kw_use {
    int64_t now_ms;
    int64_t last_used_ms; /* 0: never, or not known */
    bool has_last_address;
    struct kw_address last_address;
    int64_t addressed, network_marks; /* uses that stated an address, and the marks of their networks */
    int64_t passed, refused;
    int64_t days[KW_USE_DAYS]; /* what passed, from today backwards */
    int64_t hours[24];         /* what passed, by the hour of the day, in the last KW_USE_HOURS */
    int64_t hour_max;          /* the busiest of these hours, once */
    int64_t each_hour[KW_USE_HOURS];
    struct kw_use_values endpoints, countries, scopes;
};

void kw_use_init(struct kw_use *use, int64_t now_ms, int64_t last_used_ms);

/* Rows before the sixty days are left out; one of a later time than now counts as of today. Values are copied into the
 * arena. KW_E_LIMIT or KW_E_MEMORY, and nothing was added. */
KW_MUST_USE enum kw_status kw_use_add(struct kw_use *use, struct kw_arena *arena, const struct kw_use_row *row);

/* Days on which something passed. */
unsigned kw_use_day_count(const struct kw_use *use);

/* What passed on the days from the `first`-th before today on (0: today), `count` of them. */
int64_t kw_use_of_days(const struct kw_use *use, unsigned first, unsigned count);

#endif
