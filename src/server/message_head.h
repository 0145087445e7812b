/* Inside the transport: one complete head becomes the fields of a request, or a refusal. */
#ifndef KW_SERVER_MESSAGE_HEAD_H
#define KW_SERVER_MESSAGE_HEAD_H

#include "server/message.h"

/* `head` is complete and passed kw__section_scan; false with `refusal` and `reason` set. */
KW_MUST_USE bool kw__message_take_head(struct kw_message *message, struct kw_bytes head);

/* True when a chunked body follows the head. */
bool kw__message_is_chunked(const struct kw_message *message);

/*
 * Undoes the chunks of `input`, body bytes into the body's buffer: KW_PARSE_MORE, KW_PARSE_REFUSED, or
 * KW_PARSE_REQUEST behind the line of the last chunk, where the trailer section begins.
 */
KW_MUST_USE enum kw_parse kw__message_take_chunks(struct kw_message *message, struct kw_bytes input, size_t *taken_out);

/* Sets why; returns KW_PARSE_REFUSED. The first reason stays. */
enum kw_parse kw__message_refuse(struct kw_message *message, enum kw_code code, const char *reason);

#endif
