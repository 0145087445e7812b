/*
 * A mail as it is handed to a relay: headers and two parts that say the same, plain text and HTML (RFC 5322, RFC 2046).
 * Whatever the texts hold, they end no header and no part: texts in headers are encoded where they are more than
 * printable ASCII (RFC 2047), and parts are Base64. Pure.
 */
#ifndef KW_CORE_MAIL_H
#define KW_CORE_MAIL_H

#include "base/memory.h"

#define KW_MAIL_ID_SIZE 32 /* hexadecimal digits before the '@' of a Message-ID */
#define KW_MAIL_MAX 524288

struct kw_mail {
    struct kw_bytes from;      /* addresses, as kw_mail_address_valid wants them */
    const struct kw_bytes *to; /* one or more */
    size_t to_count;
    struct kw_bytes subject;
    char id[KW_MAIL_ID_SIZE]; /* the same for the same message, so that one that comes twice is seen to */
    int64_t now_ms;
    struct kw_bytes plain, html;
};

/* Appends the mail, its lines ended by CR LF. */
void kw_mail_write(const struct kw_mail *mail, struct kw_buffer *out);

/* Appends `text` as a header's value: as it is where it is printable ASCII, else as encoded words with folds. */
void kw_mail_write_text(struct kw_bytes text, struct kw_buffer *out);

#endif
