#include "core/mail.h"

#include "base/base64.h"
#include "base/bytes.h"
#include "base/time.h"

#define END "\r\n"
#define DAY_MS INT64_C(86400000)
#define WORD_BYTES_MAX 42 /* of text in an encoded word: with what stands around it less than 75 characters */
#define LINE_BYTES 57     /* 76 characters of Base64 */

static bool is_plain(struct kw_bytes text)
{
    bool good = true;
    for (size_t i = 0; i < text.size && good; i++) {
        good = text.data[i] >= 0x20 && text.data[i] < 0x7f;
    }
    /* What looks like an encoded word would be read as one. */
    for (size_t i = 0; i + 1 < text.size && good; i++) {
        good = text.data[i] != '=' || text.data[i + 1] != '?';
    }
    return good;
}

static void add_base64(struct kw_bytes bytes, struct kw_buffer *out)
{
    uint8_t *end = kw_buffer_reserve(out, KW_BASE64_SIZE(bytes.size));
    if (end != NULL) {
        kw_base64_encode(bytes, (char *)end);
        out->size += KW_BASE64_SIZE(bytes.size);
    }
}

/* As many whole characters as one word takes; what is none stands for itself. */
static size_t word_of(struct kw_bytes text)
{
    size_t size = 0;
    while (size < text.size) {
        size_t step = kw_utf8_sequence(kw_bytes_skip(text, size));
        step = step == 0 ? 1 : step;
        if (size + step > WORD_BYTES_MAX) {
            break;
        }
        size += step;
    }
    return size;
}

void kw_mail_write_text(struct kw_bytes text, struct kw_buffer *out)
{
    if (is_plain(text)) {
        kw_buffer_add(out, text);
        return;
    }
    while (text.size > 0) {
        size_t size = word_of(text);
        kw_buffer_add_text(out, "=?UTF-8?B?");
        add_base64(kw_bytes_of(text.data, size), out);
        kw_buffer_add_text(out, "?=");
        text = kw_bytes_skip(text, size);
        kw_buffer_add_text(out, text.size > 0 ? END " " : "");
    }
}

/* "Mon, 23 Nov 2026 00:30:58 +0000" */
static void write_date(int64_t now_ms, struct kw_buffer *out)
{
    static const char days[] = "ThuFriSatSunMonTueWed"; /* the first day of all was a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    unsigned day = (unsigned)(now_ms / DAY_MS);
    unsigned second = (unsigned)(now_ms % DAY_MS / 1000);
    struct kw_date date = kw_date_of_days(day);
    kw_buffer_add_format(out, "Date: %.3s, %u %.3s %u %02u:%02u:%02u +0000" END, days + day % 7 * (size_t)3, date.day,
                         months + (date.month - 1) * (size_t)3, date.year, second / 3600, second / 60 % 60,
                         second % 60);
}

static void write_part(const char *type, struct kw_bytes text, struct kw_buffer *out)
{
    kw_buffer_add_format(out, "Content-Type: %s; charset=utf-8" END "Content-Transfer-Encoding: base64" END END, type);
    while (text.size > 0) {
        size_t size = text.size < LINE_BYTES ? text.size : LINE_BYTES;
        add_base64(kw_bytes_of(text.data, size), out);
        kw_buffer_add_text(out, END);
        text = kw_bytes_skip(text, size);
    }
}

static void write_headers(const struct kw_mail *mail, struct kw_buffer *out)
{
    struct kw_bytes local, domain;
    (void)kw_bytes_split(mail->from, '@', &local, &domain);
    write_date(mail->now_ms, out);
    kw_buffer_add_format(out, "From: Keyward <%.*s>" END, (int)mail->from.size, (const char *)mail->from.data);
    for (size_t i = 0; i < mail->to_count; i++) {
        kw_buffer_add_text(out, i == 0 ? "To: " : "," END " ");
        kw_buffer_add(out, mail->to[i]);
    }
    kw_buffer_add_text(out, END "Subject: ");
    kw_mail_write_text(mail->subject, out);
    kw_buffer_add_format(out, END "Message-ID: <%.*s@%.*s>" END, KW_MAIL_ID_SIZE, mail->id, (int)domain.size,
                         (const char *)domain.data);
    kw_buffer_add_text(out, "Auto-Submitted: auto-generated" END "MIME-Version: 1.0" END);
}

void kw_mail_write(const struct kw_mail *mail, struct kw_buffer *out)
{
    /* Base64 has no '_', so no line of a part is this. */
    char boundary[KW_MAIL_ID_SIZE + 2];
    boundary[0] = '_';
    memcpy(boundary + 1, mail->id, KW_MAIL_ID_SIZE);
    boundary[KW_MAIL_ID_SIZE + 1] = '\0';
    write_headers(mail, out);
    kw_buffer_add_format(out, "Content-Type: multipart/alternative;" END " boundary=\"%s\"" END END "--%s" END,
                         boundary, boundary);
    write_part("text/plain", mail->plain, out);
    kw_buffer_add_format(out, "--%s" END, boundary);
    write_part("text/html", mail->html, out);
    kw_buffer_add_format(out, "--%s--" END, boundary);
}
