/*
 * JSON (RFC 8259, within I-JSON, RFC 7493): a bounded pull reader and an append writer. Used everywhere that JSON is
 * read or written. The reader refuses what the standard refuses, and more: duplicate names are the caller's to refuse
 * (a table of seen fields), but invalid UTF-8, lone surrogates, NUL in strings, numbers beyond a double, more
 * than KW_JSON_DEPTH_MAX levels, and bytes after the value are refused here.
 */
#ifndef KW_BASE_JSON_H
#define KW_BASE_JSON_H

#include "base/bytes.h"
#include "base/memory.h"

#define KW_JSON_DEPTH_MAX 32

enum kw_json_type {
    KW_JSON_NULL,
    KW_JSON_FALSE,
    KW_JSON_TRUE,
    KW_JSON_NUMBER, /* text is the number as written */
    KW_JSON_STRING, /* text is decoded */
    KW_JSON_OBJECT_BEGIN,
    KW_JSON_OBJECT_END,
    KW_JSON_ARRAY_BEGIN,
    KW_JSON_ARRAY_END,
    KW_JSON_NAME, /* of an object's member; text is decoded */
    KW_JSON_END,  /* the one value is complete and nothing follows it */
};

struct kw_json_token {
    enum kw_json_type type;
    struct kw_bytes text; /* in the input where nothing was escaped, else in the reader's arena */
    size_t offset;        /* where the token starts in the input */
};

struct kw_json_reader {
    struct kw_bytes input;
    struct kw_arena *arena; /* borrowed; holds strings that had escapes */
    size_t at;
    uint32_t depth;
    uint32_t objects; /* bit per level: 1 object, 0 array */
    uint8_t state;
};

void kw_json_reader_init(struct kw_json_reader *reader, struct kw_bytes input, struct kw_arena *arena);

/*
 * The next token. KW_E_INVALID with code "INVALID_JSON" and a message that names the byte and the reason;
 * KW_E_LIMIT when nested too deep (code "INVALID_JSON") or the arena is full ("BODY_TOO_LARGE"). After KW_JSON_END it
 * stays there; after a failure it gives the same failure again.
 */
KW_MUST_USE enum kw_status kw_json_next(struct kw_json_reader *reader, struct kw_json_token *token_out,
                                        struct kw_error *error_out);

/*
 * Reads past the rest of a value whose first token is `first` and gives its text as written (white space inside kept).
 * Duplicate names inside are refused as INVALID_JSON, since they would mean different things to different readers. Each
 * name inside costs some 50 bytes of the arena. On failure the reader stays behind `first`.
 */
KW_MUST_USE enum kw_status kw_json_skip(struct kw_json_reader *reader, const struct kw_json_token *first,
                                        struct kw_bytes *raw_out, struct kw_error *error_out);

/* Reads past the rest of a value whose first token is `first`, whatever names stand twice in it. Fails as kw_json_next.
 */
KW_MUST_USE enum kw_status kw_json_pass(struct kw_json_reader *reader, const struct kw_json_token *first,
                                        struct kw_error *error_out);

/* A number token as a whole number: false when it has a fraction or exponent or does not fit. -0 is 0. */
KW_MUST_USE bool kw_json_to_i64(struct kw_bytes number, int64_t *value_out);

/* Appends `text` (valid UTF-8) as a JSON string with its quotes; control characters, quote and backslash are escaped.
 */
void kw_json_write_string(struct kw_buffer *buffer, struct kw_bytes text);

/*
 * An append writer that puts the commas. `{"a":1,"b":[true]}` is
 *     begin_object, name "a", i64 1, name "b", begin_array, bool true, end_array, end_object.
 * Failures show in the buffer (kw_buffer_status).
 */
struct kw_json_writer {
    struct kw_buffer *buffer;
    bool needs_comma;
};

static inline void kw_json_writer_init(struct kw_json_writer *writer, struct kw_buffer *buffer)
{
    *writer = (struct kw_json_writer){.buffer = buffer};
}

void kw_json_begin_object(struct kw_json_writer *writer);
void kw_json_end_object(struct kw_json_writer *writer);
void kw_json_begin_array(struct kw_json_writer *writer);
void kw_json_end_array(struct kw_json_writer *writer);
void kw_json_name_bytes(struct kw_json_writer *writer, struct kw_bytes name);
void kw_json_string(struct kw_json_writer *writer, struct kw_bytes text);
void kw_json_i64(struct kw_json_writer *writer, int64_t value);
void kw_json_bool(struct kw_json_writer *writer, bool value);
void kw_json_null(struct kw_json_writer *writer);
void kw_json_raw(struct kw_json_writer *writer, struct kw_bytes json); /* a complete value, trusted */

/* `name` needs no escaping. Inline, so that for a literal the compiler makes a few plain stores of this. */
static inline void kw_json_name(struct kw_json_writer *writer, const char *name)
{
    size_t comma = writer->needs_comma;
    size_t name_size = strlen(name);
    uint8_t *out = kw_buffer_reserve(writer->buffer, name_size + 3 + comma);
    writer->needs_comma = false;
    if (out == NULL) {
        return;
    }
    *out = ',';
    out[comma] = '"';
    memcpy(out + comma + 1, name, name_size);
    memcpy(out + comma + 1 + name_size, "\":", 2);
    writer->buffer->size += name_size + 3 + comma;
}

/* A string that ends in NUL; NULL gives "". */
static inline void kw_json_text(struct kw_json_writer *writer, const char *text)
{
    kw_json_string(writer, kw_bytes_of_text(text));
}

#endif
