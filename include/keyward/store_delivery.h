/*
 * For authors of store adapters: what is sent of events to those who asked for them, as an adapter keeps it (store.h).
 */
#ifndef KEYWARD_STORE_DELIVERY_H
#define KEYWARD_STORE_DELIVERY_H

#include <keyward/record.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KW_STORE_TARGETS_MAX 1000 /* channels that one message goes to */
#define KW_STORE_TRIES_MAX 16384  /* bytes of what is kept of a delivery's tries */

/*
 * What is sent of an event, kept once for all who get it. A channel is whom it goes to, an endpoint or a person: a
 * number of the engine's, from 1 to INT64_MAX.
 */
struct kw_store_message {
    struct kw_id id; /* of the event */
    int64_t at_ms;
    struct kw_bytes type;
    struct kw_bytes body; /* as it is sent */
    struct kw_id key_id;  /* none: it is about no key */
};

struct kw_store_target {
    uint64_t channel;
    bool is_ordered; /* one of the same key at a time, in order of their sequence */
};

/* An event that becomes deliveries, none where there are no targets; no channel stands twice. */
struct kw_store_fan {
    struct kw_store_message message;
    const struct kw_store_target *targets;
    size_t target_count; /* at most KW_STORE_TARGETS_MAX */
};

enum kw_delivery_state {
    KW_DELIVERY_WAITING, /* until it is due */
    KW_DELIVERY_CLAIMED, /* somebody tries it */
    KW_DELIVERY_HELD,    /* another of its key comes first */
    KW_DELIVERY_DONE,
    KW_DELIVERY_FAILED, /* it was tried often enough */
};

/* A message on its way to one channel. */
struct kw_store_delivery {
    uint64_t channel;
    uint64_t sequence; /* that of the event: unique in its channel */
    enum kw_delivery_state state;
    int64_t due_ms; /* when it may be tried; of one that is claimed: when the claim ends */
    uint32_t attempts;
    struct kw_bytes tries; /* what became of them; bytes that mean nothing to the store */
    bool is_ordered;
    struct kw_store_message message;
};

/* What became of one that was claimed. */
struct kw_store_settled {
    uint64_t channel, sequence;
    enum kw_delivery_state state; /* WAITING until `due_ms`, DONE or FAILED */
    int64_t due_ms;
    uint32_t attempts;
    struct kw_bytes tries;
};

/* Deliveries of one channel, the latest first. */
struct kw_store_delivery_filter {
    uint64_t channel;
    uint64_t sequence; /* this one alone; 0: any */
    uint64_t before;   /* those of a lesser sequence; 0: all */
    int64_t from_ms;   /* messages at this time or after it */
    uint32_t states;   /* a bit (1 << enum kw_delivery_state) for each that is wanted; 0: all */
    size_t limit;      /* 1 to KW_STORE_LIST_MAX */
};

/* Receives one delivery; KW_OK for the next, anything else ends the call, which then returns that. */
typedef enum kw_status kw_store_delivery_sink(void *context, const struct kw_store_delivery *delivery);

#ifdef __cplusplus
}
#endif
#endif
