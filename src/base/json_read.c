#include "base/error.h"
#include "base/json_scan.h"

/* Keeps what good input does not need out of the way of what it does. */
#define COLD __attribute__((cold, noinline))
#define HOT __attribute__((always_inline)) static inline

/* Numbers of this many characters without an exponent are below the largest double, 1.79e308. */
#define DIGITS_ALWAYS_FIT 308

/* What may come next. */
enum state {
    STATE_VALUE,       /* a value: the only one, or one behind a comma of an array */
    STATE_COLON,       /* what follows a name */
    STATE_FIRST_VALUE, /* a value or the end of the array that just began */
    STATE_FIRST_NAME,  /* a name or the end of the object that just began */
    STATE_AFTER_VALUE, /* a comma or the end of what is open; at depth 0 the end of the input */
};

COLD enum kw_status kw__json_refuse(const struct kw_json_reader *reader, size_t offset, const char *reason,
                                    struct kw_error *error_out)
{
    return kw_fail(error_out, KW_E_INVALID, "INVALID_JSON", NULL, "This is not valid JSON at byte %zu: %s.", offset,
                   offset == reader->input.size ? KW__JSON_ENDS_EARLY : reason);
}

COLD enum kw_status kw__json_refuse_size(const struct kw_json_reader *reader, size_t size, struct kw_error *error_out)
{
    enum kw_status status = reader->arena == NULL ? KW_E_LIMIT : kw_arena_refusal(reader->arena, size);
    if (status == KW_E_LIMIT) {
        return kw_fail(error_out, status, "BODY_TOO_LARGE", NULL,
                       "This JSON needs more memory to read than is allowed: send less of it.");
    }
    return kw_fail(error_out, status, "INTERNAL", NULL, "There is not enough memory to read this JSON.");
}

static COLD enum kw_status refuse_depth(size_t offset, struct kw_error *error_out)
{
    return kw_fail(error_out, KW_E_LIMIT, "INVALID_JSON", NULL,
                   "This JSON is nested too deep at byte %zu: at most %d levels are read.", offset, KW_JSON_DEPTH_MAX);
}

HOT size_t skip_space(struct kw_bytes input, size_t at)
{
    while (at < input.size && input.data[at] <= ' ' &&
           (input.data[at] == ' ' || input.data[at] == '\n' || input.data[at] == '\r' || input.data[at] == '\t')) {
        at++;
    }
    return at;
}

HOT uint8_t byte_at(struct kw_bytes input, size_t at)
{
    return at < input.size ? input.data[at] : 0;
}

/* The token from `start` to `end` is complete. Nothing of the reader or the token is touched before. */
HOT enum kw_status accept(struct kw_json_reader *reader, size_t start, size_t end, enum state state,
                          enum kw_json_type type, struct kw_bytes text, struct kw_json_token *token_out)
{
    reader->at = end;
    reader->state = (uint8_t)state;
    token_out->type = type;
    token_out->text = text;
    token_out->offset = start;
    return KW_OK;
}

static __attribute__((noinline)) enum kw_status read_any_string(struct kw_json_reader *reader, size_t start,
                                                                enum kw_json_type type, enum state state,
                                                                struct kw_json_token *token_out,
                                                                struct kw_error *error_out)
{
    struct kw_bytes text;
    size_t end;
    enum kw_status status = kw__json_read_string(reader, start + 1, &text, &end, error_out);
    if (status != KW_OK) {
        return status;
    }
    return accept(reader, start, end, state, type, text, token_out);
}

/* Most strings have nothing special before their closing quote. */
HOT enum kw_status read_string(struct kw_json_reader *reader, size_t start, enum kw_json_type type, enum state state,
                               struct kw_json_token *token_out, struct kw_error *error_out)
{
    struct kw_bytes input = reader->input;
    const uint8_t *text = input.data + start + 1;
    size_t run = kw__json_plain_run(text, input.size - start - 1, true);
    if (byte_at(input, start + 1 + run) != '"') {
        return read_any_string(reader, start, type, state, token_out, error_out);
    }
    return accept(reader, start, start + run + 2, state, type, kw_bytes_of(text, run), token_out);
}

HOT size_t skip_digits(struct kw_bytes input, size_t at)
{
    while ((uint8_t)(byte_at(input, at) - '0') <= 9) {
        at++;
    }
    return at;
}

static enum kw_status read_number(struct kw_json_reader *reader, size_t start, struct kw_json_token *token_out,
                                  struct kw_error *error_out)
{
    struct kw_bytes input = reader->input;
    size_t digits = start + (input.data[start] == '-');
    size_t at = skip_digits(input, digits);
    if (at == digits) {
        return kw__json_refuse(reader, at, "a digit must stand here", error_out);
    }
    if (input.data[digits] == '0' && at > digits + 1) {
        return kw__json_refuse(reader, digits, "a number has no leading zero", error_out);
    }
    if (byte_at(input, at) == '.') {
        size_t fraction = at + 1;
        at = skip_digits(input, fraction);
        if (at == fraction) {
            return kw__json_refuse(reader, at, "a digit must follow the point", error_out);
        }
    }
    bool has_exponent = (byte_at(input, at) | 0x20) == 'e';
    if (has_exponent) {
        at++;
        size_t exponent = at + (byte_at(input, at) == '-' || byte_at(input, at) == '+');
        at = skip_digits(input, exponent);
        if (at == exponent) {
            return kw__json_refuse(reader, at, "the exponent needs a digit", error_out);
        }
    }
    struct kw_bytes text = kw_bytes_of(input.data + start, at - start);
    if ((has_exponent || text.size > DIGITS_ALWAYS_FIT) && !kw__json_number_fits(text)) {
        return kw__json_refuse(reader, start, "the number is beyond a double", error_out);
    }
    return accept(reader, start, at, STATE_AFTER_VALUE, KW_JSON_NUMBER, text, token_out);
}

static enum kw_status read_literal(struct kw_json_reader *reader, size_t start, struct kw_json_token *token_out,
                                   struct kw_error *error_out)
{
    static const struct {
        enum kw_json_type type;
        struct kw_bytes name;
    } literals[] = {
        {KW_JSON_TRUE, {(const uint8_t *)"true", 4}},
        {KW_JSON_FALSE, {(const uint8_t *)"false", 5}},
        {KW_JSON_NULL, {(const uint8_t *)"null", 4}},
    };
    struct kw_bytes rest = kw_bytes_skip(reader->input, start);
    for (size_t i = 0; i < KW_COUNT_OF(literals); i++) {
        if (kw_bytes_starts_with(rest, literals[i].name)) {
            return accept(reader, start, start + literals[i].name.size, STATE_AFTER_VALUE, literals[i].type,
                          (struct kw_bytes){NULL, 0}, token_out);
        }
    }
    return kw__json_refuse(reader, start, "a value must stand here", error_out);
}

HOT enum kw_status begin(struct kw_json_reader *reader, size_t start, bool object, struct kw_json_token *token_out,
                         struct kw_error *error_out)
{
    if (reader->depth == KW_JSON_DEPTH_MAX) {
        return refuse_depth(start, error_out);
    }
    uint32_t bit = UINT32_C(1) << reader->depth++;
    reader->objects = object ? reader->objects | bit : reader->objects & ~bit;
    return accept(reader, start, start + 1, object ? STATE_FIRST_NAME : STATE_FIRST_VALUE,
                  object ? KW_JSON_OBJECT_BEGIN : KW_JSON_ARRAY_BEGIN, (struct kw_bytes){NULL, 0}, token_out);
}

HOT enum kw_status end(struct kw_json_reader *reader, size_t start, bool object, struct kw_json_token *token_out)
{
    reader->depth--;
    return accept(reader, start, start + 1, STATE_AFTER_VALUE, object ? KW_JSON_OBJECT_END : KW_JSON_ARRAY_END,
                  (struct kw_bytes){NULL, 0}, token_out);
}

static enum kw_status read_value(struct kw_json_reader *reader, size_t at, struct kw_json_token *token_out,
                                 struct kw_error *error_out)
{
    uint8_t first = byte_at(reader->input, at);
    if (first == '"') {
        return read_string(reader, at, KW_JSON_STRING, STATE_AFTER_VALUE, token_out, error_out);
    }
    if (first == '{' || first == '[') {
        return begin(reader, at, first == '{', token_out, error_out);
    }
    if (first == '-' || (uint8_t)(first - '0') <= 9) {
        return read_number(reader, at, token_out, error_out);
    }
    return read_literal(reader, at, token_out, error_out);
}

static enum kw_status read_name(struct kw_json_reader *reader, size_t at, struct kw_json_token *token_out,
                                struct kw_error *error_out)
{
    if (byte_at(reader->input, at) != '"') {
        return kw__json_refuse(reader, at, "a name in quotes must stand here", error_out);
    }
    return read_string(reader, at, KW_JSON_NAME, STATE_COLON, token_out, error_out);
}

static enum kw_status read_end(struct kw_json_reader *reader, size_t at, struct kw_json_token *token_out,
                               struct kw_error *error_out)
{
    if (at < reader->input.size) {
        return kw__json_refuse(reader, at, "nothing may follow the value", error_out);
    }
    return accept(reader, at, at, STATE_AFTER_VALUE, KW_JSON_END, (struct kw_bytes){NULL, 0}, token_out);
}

HOT enum kw_status read_after_value(struct kw_json_reader *reader, size_t at, struct kw_json_token *token_out,
                                    struct kw_error *error_out)
{
    if (reader->depth == 0) {
        return read_end(reader, at, token_out, error_out);
    }
    uint8_t byte = byte_at(reader->input, at);
    bool in_object = (reader->objects >> (reader->depth - 1) & 1) != 0;
    if (byte == ',') {
        at = skip_space(reader->input, at + 1);
        return in_object ? read_name(reader, at, token_out, error_out) : read_value(reader, at, token_out, error_out);
    }
    if (byte == (in_object ? '}' : ']')) {
        return end(reader, at, in_object, token_out);
    }
    return kw__json_refuse(reader, at, in_object ? "a comma or } must stand here" : "a comma or ] must stand here",
                           error_out);
}

void kw_json_reader_init(struct kw_json_reader *reader, struct kw_bytes input, struct kw_arena *arena)
{
    *reader = (struct kw_json_reader){
        .input = input.data == NULL ? KW_BYTES("") : input,
        .arena = arena,
        .state = STATE_VALUE,
    };
}

enum kw_status kw_json_next(struct kw_json_reader *reader, struct kw_json_token *token_out, struct kw_error *error_out)
{
    struct kw_bytes input = reader->input;
    size_t at = skip_space(input, reader->at);
    uint8_t byte = byte_at(input, at);
    switch ((enum state)reader->state) {
    case STATE_VALUE:
        return read_value(reader, at, token_out, error_out);
    case STATE_COLON:
        if (byte != ':') {
            return kw__json_refuse(reader, at, "a colon must follow the name", error_out);
        }
        return read_value(reader, skip_space(input, at + 1), token_out, error_out);
    case STATE_FIRST_VALUE:
        return byte == ']' ? end(reader, at, false, token_out) : read_value(reader, at, token_out, error_out);
    case STATE_FIRST_NAME:
        return byte == '}' ? end(reader, at, true, token_out) : read_name(reader, at, token_out, error_out);
    case STATE_AFTER_VALUE:
        break;
    }
    return read_after_value(reader, at, token_out, error_out);
}
