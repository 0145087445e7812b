/*
 * What the engine does for webhooks beside keeping them as documents: it sees to it that their URLs may be sent to,
 * draws and seals their secrets, and makes deliveries of events. Whoever sends them (notify/) claims and settles them
 * here, since the engine alone talks to the store.
 *
 * The process that holds the store is the only one that delivers, so a claim says no more than that a delivery is under
 * way in this life of it: a start takes up what the last one left.
 */
#ifndef KW_ENGINE_WEBHOOKS_H
#define KW_ENGINE_WEBHOOKS_H

#include "core/guard.h"
#include "core/tries.h"
#include "core/webhook.h"
#include "core/webhook_signing.h"
#include "engine/internal.h"

#define KW_DELIVERY_RETENTION_MS INT64_C(604800000) /* seven days; more than tries take */
#define KW_DELIVERIES_JSON_MAX ((size_t)16 * 1024 * 1024)
#define KW_FAN_TOGETHER 200 /* events */

/* --- for the writer (webhooks.c) --- */

/* A name for a webhook that was given none: "whk_" and 26 characters, in the writer's arena. */
KW_MUST_USE enum kw_status kw__webhook_name(struct kw_engine *engine, struct kw_op *op, struct kw_bytes *name_out);
/* INVALID_FIELD where the guard refuses the URL of a webhook that is new or goes elsewhere than before. */
KW_MUST_USE enum kw_status kw__webhook_check(const struct kw_engine *engine, const struct kw_document *before,
                                             const struct kw_document *after, struct kw_error *error_out);
/*
 * Makes the setting that keeps the secrets of a webhook: new ones, or with op->renews_secret one more before those that
 * are there. What the caller is shown goes into op->secret and op->other. Fails with op->error set.
 */
KW_MUST_USE enum kw_status kw__webhook_seal(struct kw_engine *engine, struct kw_op *op,
                                            const struct kw_document *webhook, struct kw_store_setting *setting_out);
/* The name of that setting, or that of a channel, in the writer's arena. */
KW_MUST_USE enum kw_status kw__webhook_setting_name(struct kw_engine *engine, const struct kw_document *webhook,
                                                    struct kw_bytes *name_out);

/* Seals a secret into setting->value, for the place setting->name. Fails with op->error set. */
KW_MUST_USE enum kw_status kw__seal_setting(struct kw_engine *engine, struct kw_op *op, const struct kw_secret *secret,
                                            struct kw_store_setting *setting);
/* What is sealed under that name. KW_E_NOT_FOUND; KW_E_CORRUPT where it was not sealed under this key. */
KW_MUST_USE enum kw_status kw__unseal_setting(struct kw_engine *engine, struct kw_bytes place,
                                              struct kw_secret *secret_out);

/* --- for readers (deliveries.c) --- */

/* What KW_OP_DELIVERIES and KW_OP_REPLAY are about: deliveries of the webhook, or with op->document KW_DOCUMENT_CHANNEL
 * the channel, `op->name`. */
struct kw_delivery_query {
    uint64_t sequence; /* one alone; 0: all of them */
    uint64_t before;   /* a list's cursor; 0: from the latest on */
    int64_t from_ms;
    uint32_t states; /* as in struct kw_store_delivery_filter */
    size_t limit;
};

/* Both fail with op->error set: WEBHOOK_NOT_FOUND, CHANNEL_NOT_FOUND, DELIVERY_NOT_FOUND. The answer is JSON in
 * op->result. */
KW_MUST_USE enum kw_status kw__deliveries_read(struct kw_engine *engine, struct kw_op *op);
KW_MUST_USE enum kw_status kw__deliveries_replay(struct kw_engine *engine, struct kw_op *op);
/* The state of that name as answers show it ("waiting", "sending", "held", "delivered", "failed"). */
KW_MUST_USE bool kw_delivery_state_of_name(struct kw_bytes name, enum kw_delivery_state *state_out);

/* --- for the senders (outbox.c); from one thread at a time each --- */

/* Grows with every change of a project, policy, template or webhook. */
uint64_t kw_engine_catalog_version(const struct kw_engine *engine);
/* Grows with every commit: an event may have come. */
uint64_t kw_engine_commit_count(const struct kw_engine *engine);

/* Calls `each` with every webhook there is and the name of its project, borrowed for the call; it must not block. */
typedef void kw_webhook_sink(void *context, struct kw_bytes project, const struct kw_document *webhook);
void kw_engine_webhooks(struct kw_engine *engine, kw_webhook_sink *each, void *context);
/* The same for documents of another kind than projects. */
void kw__documents_each(struct kw_engine *engine, enum kw_document_kind kind, kw_webhook_sink *each, void *context);

/* Makes deliveries of the next KW_FAN_TOGETHER events; `count_out` is how many there were. Fails as the store does. */
KW_MUST_USE enum kw_status kw_engine_fan_out(struct kw_engine *engine, size_t *count_out);

/* The secrets of a webhook. KW_E_NOT_FOUND; KW_E_CORRUPT where they were not sealed under this key. */
KW_MUST_USE enum kw_status kw_engine_signing(struct kw_engine *engine, struct kw_bytes project, struct kw_bytes name,
                                             struct kw_signing *signing_out);

/* As the store's functions of these names (keyward/store.h), at the engine's time. */
KW_MUST_USE enum kw_status kw_engine_deliveries_claim(struct kw_engine *engine, uint64_t channel, int64_t until_ms,
                                                      size_t limit, kw_store_delivery_sink *sink, void *context);
KW_MUST_USE enum kw_status kw_engine_deliveries_settle(struct kw_engine *engine, const struct kw_store_settled *settled,
                                                       size_t count);
KW_MUST_USE enum kw_status kw_engine_deliveries_release(struct kw_engine *engine, uint64_t channel);
/* Removes what is older than KW_DELIVERY_RETENTION_MS, a thousand messages at most. */
KW_MUST_USE enum kw_status kw_engine_deliveries_prune(struct kw_engine *engine, uint64_t *removed_out);
/* The time of the latest try of the channel that succeeded, among its last hundred that did; 0: there is none. */
KW_MUST_USE enum kw_status kw_engine_last_delivered(struct kw_engine *engine, uint64_t channel, int64_t *at_ms_out);

/* The operator's ranges, as they were given at the start. */
const struct kw_guard *kw_engine_guard(const struct kw_engine *engine);

#endif
