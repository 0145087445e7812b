/*
 * What the engine does for channels beside keeping them as documents: it keeps the URL of a chat sealed, and finds the
 * address of a key's owner. Deliveries to channels are claimed and settled as those to webhooks (webhooks.h).
 */
#ifndef KW_ENGINE_CHANNELS_H
#define KW_ENGINE_CHANNELS_H

#include "core/channel.h"
#include "engine/webhooks.h"

/* --- for the writer --- */

/*
 * Takes the URL out of what a caller wants a channel to be: `json_out` (in the writer's arena, or op->json) has in its
 * place where it leads, and op->secret has all of it. Size 0: it stays as it was. Fails with op->error set.
 */
KW_MUST_USE enum kw_status kw__channel_take_url(struct kw_engine *engine, struct kw_op *op,
                                                const struct kw_document *before, struct kw_bytes *json_out);
/* Whether the channel may be so: a kind stays, and a URL leads where the guard lets it. Fails with op->error set. */
KW_MUST_USE enum kw_status kw__channel_check(const struct kw_engine *engine, const struct kw_document *before,
                                             const struct kw_document *after, struct kw_op *op);
/* Makes the setting that keeps the URL in op->secret, which is wiped. Fails with op->error set. */
KW_MUST_USE enum kw_status kw__channel_seal(struct kw_engine *engine, struct kw_op *op,
                                            const struct kw_document *channel, struct kw_store_setting *setting_out);

/* --- for the senders --- */

/* Calls `each` with every channel, as kw_engine_webhooks. */
void kw_engine_channels(struct kw_engine *engine, kw_webhook_sink *each, void *context);
/* The URL of a channel. KW_E_NOT_FOUND; KW_E_CORRUPT where it was not sealed under this key. */
KW_MUST_USE enum kw_status kw_engine_channel_url(struct kw_engine *engine, struct kw_bytes project,
                                                 struct kw_bytes name, struct kw_secret *url_out);
/* The mail address of a key's owner: KW_CHANNEL_OWNER_MEMBER of the key's metadata, with a NUL. KW_E_NOT_FOUND: there
 * is none, or it is no address. */
KW_MUST_USE enum kw_status kw_engine_owner_address(struct kw_engine *engine, const struct kw_id *key_id,
                                                   char address_out[KW_MAIL_ADDRESS_MAX + 1]);

#endif
