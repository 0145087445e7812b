#include "server/message.h"

#include "base/bytes.h"
#include "server/message_head.h"
#include "server/section.h"

/* A request line and its headers. */
static const struct kw_section_limits head_limits = {
    .first_line_max = KW_MESSAGE_LINE_MAX,
    .size_max = KW_MESSAGE_HEAD_MAX,
    .line_max = 1 + KW_MESSAGE_HEADERS_MAX,
};
static const struct kw_section_limits trailer_limits = {
    .first_line_max = SIZE_MAX,
    .size_max = KW_MESSAGE_TRAILERS_MAX,
    .line_max = KW_MESSAGE_HEADERS_MAX,
};

void kw_message_init(struct kw_message *message)
{
    message->head_size = 0;
    kw_buffer_init_secret(&message->body_buffer, KW_CALL_BODY_MAX);
    kw_message_reset(message);
}

void kw_message_reset(struct kw_message *message)
{
    kw_wipe(message->head, message->head_size);
    /* Not kw_buffer_reset, which wipes all that a large body once made it grow to. */
    kw_wipe(message->body_buffer.data, message->body_buffer.size);
    message->body_buffer.size = 0;
    message->body_buffer.failed = KW_OK;
    if (message->body_buffer.capacity > KW_MESSAGE_HEAD_MAX) {
        kw_buffer_deinit(&message->body_buffer);
    }
    message->method = KW_OTHER_METHOD;
    message->path = message->query = message->body = (struct kw_bytes){NULL, 0};
    memset(message->fields, 0, sizeof message->fields);
    message->forwarded.count = 0;
    message->keep_alive = message->is_http10 = message->head_complete = message->expects_continue = false;
    message->refusal = KW_CODE_NONE;
    message->reason = NULL;
    message->field = KW_FIELD_NONE;
    message->seen = 0;
    message->head_size = message->content_length = message->extension_size = message->chunked_size = 0;
}

void kw_message_deinit(struct kw_message *message)
{
    kw_message_reset(message);
    kw_buffer_deinit(&message->body_buffer);
}

static enum kw_parse refuse_section(struct kw_message *message, enum kw_section why)
{
    if (why == KW_SECTION_LONG_FIRST_LINE) {
        return kw__message_refuse(message, KW_CODE_URI_TOO_LONG, "The request line is longer than 8 KiB.");
    }
    if (why == KW_SECTION_TOO_LARGE) {
        return kw__message_refuse(message, KW_CODE_HEADERS_TOO_LARGE, "Headers take more than 16 KiB or 64 lines.");
    }
    return kw__message_refuse(message, KW_CODE_INVALID_REQUEST,
                              "A header line is malformed: lines end in CR LF, are not folded, and hold no control "
                              "characters.");
}

static enum kw_parse complete(struct kw_message_parser *parser, struct kw_message *message)
{
    *parser = (struct kw_message_parser){.stage = KW_STAGE_HEAD};
    message->body = kw_buffer_bytes(&message->body_buffer);
    return KW_PARSE_REQUEST;
}

static void enter(struct kw_message_parser *parser, enum kw_parse_stage stage)
{
    *parser = (struct kw_message_parser){.stage = stage};
}

/* One empty line before a request is passed over (RFC 9112, section 2.2). */
static void skip_blank_line(struct kw_message_parser *parser, struct kw_bytes input, size_t *taken)
{
    if (!parser->skipped_blank_line && kw_bytes_starts_with(input, KW_BYTES("\r\n"))) {
        parser->skipped_blank_line = true;
        parser->scanned = 0;
        *taken += 2;
    }
}

/* KW_PARSE_REQUEST when the head is complete and taken, whatever follows it. */
static enum kw_parse take_head(struct kw_message_parser *parser, struct kw_message *message, struct kw_bytes input,
                               size_t *taken)
{
    skip_blank_line(parser, input, taken);
    input = kw_bytes_skip(input, *taken);
    enum kw_section found = kw__section_scan(parser, input, &head_limits);
    if (found == KW_SECTION_MORE) {
        return KW_PARSE_MORE;
    }
    if (found != KW_SECTION_COMPLETE) {
        return refuse_section(message, found);
    }
    size_t size = parser->scanned;
    if (!kw__message_take_head(message, kw_bytes_of(input.data, size))) {
        return KW_PARSE_REFUSED;
    }
    *taken += size;
    enter(parser, kw__message_is_chunked(message) ? KW_STAGE_CHUNKED : KW_STAGE_SIZED);
    return KW_PARSE_REQUEST;
}

static enum kw_parse take_sized(struct kw_message_parser *parser, struct kw_message *message, struct kw_bytes input,
                                size_t *taken)
{
    size_t missing = message->content_length - message->body_buffer.size;
    size_t step = input.size < missing ? input.size : missing;
    kw_buffer_add(&message->body_buffer, kw_bytes_of(input.data, step));
    if (kw_buffer_status(&message->body_buffer) != KW_OK) {
        return kw__message_refuse(message, KW_CODE_TOO_BUSY, "There is no memory for the body.");
    }
    *taken += step;
    return step == missing ? complete(parser, message) : KW_PARSE_MORE;
}

/* Trailers are dropped; that they end where the client thinks they do still matters. */
static enum kw_parse take_trailers(struct kw_message_parser *parser, struct kw_message *message, struct kw_bytes input,
                                   size_t *taken)
{
    enum kw_section found = kw__section_scan(parser, input, &trailer_limits);
    if (found == KW_SECTION_MORE) {
        return KW_PARSE_MORE;
    }
    if (found != KW_SECTION_COMPLETE) {
        return refuse_section(message, found);
    }
    *taken += parser->scanned;
    return complete(parser, message);
}

static enum kw_parse take_chunked(struct kw_message_parser *parser, struct kw_message *message, struct kw_bytes input,
                                  size_t *taken)
{
    size_t step = 0;
    enum kw_parse result = kw__message_take_chunks(message, input, &step);
    *taken += step;
    if (result != KW_PARSE_REQUEST) {
        return result;
    }
    enter(parser, KW_STAGE_TRAILERS);
    return take_trailers(parser, message, kw_bytes_skip(input, step), taken);
}

enum kw_parse kw_message_feed(struct kw_message_parser *parser, struct kw_message *message, struct kw_bytes input,
                              size_t *taken_out)
{
    size_t taken = 0;
    enum kw_parse result = KW_PARSE_REQUEST;
    if (parser->stage == KW_STAGE_HEAD) {
        result = take_head(parser, message, input, &taken);
    }
    struct kw_bytes rest = kw_bytes_skip(input, taken);
    if (result == KW_PARSE_REQUEST && parser->stage == KW_STAGE_SIZED) {
        result = take_sized(parser, message, rest, &taken);
    } else if (result == KW_PARSE_REQUEST && parser->stage == KW_STAGE_CHUNKED) {
        result = take_chunked(parser, message, rest, &taken);
    } else if (result == KW_PARSE_REQUEST && parser->stage == KW_STAGE_TRAILERS) {
        result = take_trailers(parser, message, rest, &taken);
    }
    *taken_out = taken;
    bool wants_body = parser->stage == KW_STAGE_SIZED || parser->stage == KW_STAGE_CHUNKED;
    if (result == KW_PARSE_MORE && wants_body && message->expects_continue) {
        message->expects_continue = false;
        bool has_begun = message->body_buffer.size > 0 || message->chunked_size > 0;
        return has_begun ? KW_PARSE_MORE : KW_PARSE_CONTINUE;
    }
    return result;
}
