#include "base/error.h"

#include "base/bytes.h"

#include <stdio.h>

const char *kw_status_name(enum kw_status status)
{
    static const char *const names[] = {
        [KW_OK] = "KW_OK",
        [KW_E_INVALID] = "KW_E_INVALID",
        [KW_E_NOT_FOUND] = "KW_E_NOT_FOUND",
        [KW_E_CONFLICT] = "KW_E_CONFLICT",
        [KW_E_LIMIT] = "KW_E_LIMIT",
        [KW_E_DENIED] = "KW_E_DENIED",
        [KW_E_BUSY] = "KW_E_BUSY",
        [KW_E_UNAVAILABLE] = "KW_E_UNAVAILABLE",
        [KW_E_FULL] = "KW_E_FULL",
        [KW_E_UNCERTAIN] = "KW_E_UNCERTAIN",
        [KW_E_CORRUPT] = "KW_E_CORRUPT",
        [KW_E_NEWER] = "KW_E_NEWER",
        [KW_E_MEMORY] = "KW_E_MEMORY",
        [KW_E_SYSTEM] = "KW_E_SYSTEM",
    };
    return (size_t)status < KW_COUNT_OF(names) ? names[status] : "KW_E_UNKNOWN";
}

/* True for a first byte and fewer following ones than it announces: what is left of a code point that was cut. */
static bool is_cut_code_point(struct kw_bytes text)
{
    size_t following = 1;
    while (following < text.size && (text.data[following] & 0xc0) == 0x80) {
        following++;
    }
    return following == text.size && text.size < 4 && text.data[0] >= 0xc2;
}

/* Makes `text` valid UTF-8 within its own length: a code point cut by the end goes, other stray bytes become '?'. */
static void clean_utf8(char *text)
{
    struct kw_bytes rest = kw_bytes_of_text(text);
    char *at = text;
    while (rest.size > 0) {
        size_t length = kw_utf8_sequence(rest);
        if (length == 0 && is_cut_code_point(rest)) {
            *at = '\0';
            return;
        }
        if (length == 0) {
            *at = '?';
            length = 1;
        }
        at += length;
        rest = kw_bytes_skip(rest, length);
    }
}

/* By way of a copy: the arguments may point into the very text that is written. */
static KW_PRINTF(3, 0) void format_text(char *out, size_t size, const char *format, va_list arguments)
{
    char text[KW_ERROR_TEXT_MAX];
    vsnprintf(text, size < sizeof text ? size : sizeof text, format, arguments);
    clean_utf8(text);
    memcpy(out, text, strlen(text) + 1);
}

static KW_PRINTF(3, 4) void put_text(char *out, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    format_text(out, size, format, arguments);
    va_end(arguments);
}

enum kw_status kw_fail_va(struct kw_error *error_out, enum kw_status status, const char *code, const char *field,
                          const char *message, va_list arguments)
{
    if (error_out == NULL) {
        return status;
    }
    char text[KW_ERROR_TEXT_MAX];
    format_text(text, sizeof text, message, arguments);
    put_text(error_out->field, sizeof error_out->field, "%s", field == NULL ? "" : field);
    memcpy(error_out->message, text, strlen(text) + 1);
    error_out->detail[0] = '\0';
    error_out->code = code;
    error_out->status = status;
    return status;
}

enum kw_status kw_fail(struct kw_error *error_out, enum kw_status status, const char *code, const char *field,
                       const char *message, ...)
{
    va_list arguments;
    va_start(arguments, message);
    kw_fail_va(error_out, status, code, field, message, arguments);
    va_end(arguments);
    return status;
}

void kw_error_detail(struct kw_error *error, const char *detail, ...)
{
    if (error == NULL) {
        return;
    }
    va_list arguments;
    va_start(arguments, detail);
    format_text(error->detail, sizeof error->detail, detail, arguments);
    va_end(arguments);
}

void kw_error_nest(struct kw_error *error, const char *parent)
{
    if (error == NULL) {
        return;
    }
    bool joined = error->field[0] == '\0' || error->field[0] == '[';
    put_text(error->field, sizeof error->field, "%s%s%s", parent, joined ? "" : ".", error->field);
}

void kw_error_clear(struct kw_error *error)
{
    if (error == NULL) {
        return;
    }
    *error = (struct kw_error){.status = KW_OK};
}
