/*
 * What the two binders (schema.c for JSON, schema_query.c for queries) share. Nobody else includes this.
 */
#ifndef KW_SERVER_SCHEMA_PARTS_H
#define KW_SERVER_SCHEMA_PARTS_H

#include "base/bytes.h"
#include "core/schema.h"
#include "core/transition.h"

/* Why the arena had no room for `size` bytes: BODY_TOO_LARGE or TOO_BUSY. */
KW_MUST_USE enum kw_status kw__schema_no_room(const struct kw_arena *arena, size_t size, struct kw_error *error_out);

/* Index of the field of that name; schema->field_count when there is none. */
size_t kw__schema_find(const struct kw_schema *schema, struct kw_bytes name);

/*
 * Refuses with `code` and names a field as the caller wrote it, unless it is so long that it might be a key: that is
 * not repeated.
 */
KW_MUST_USE enum kw_status kw__schema_refuse_name(enum kw_code code, struct kw_bytes name, const char *message,
                                                  struct kw_error *error_out);

/* Puts `parent` before the field of an error that is about a field. Returns `status`. */
KW_MUST_USE enum kw_status kw__schema_under(enum kw_status status, const char *parent, struct kw_error *error_out);

/* "[3]", with a NUL. */
void kw__schema_index(size_t index, char text_out[32]);

/* Copies JSON, which is well-formed, without the white space between its tokens; gives the size. */
size_t kw__schema_compact(struct kw_bytes json, uint8_t *out);

/* What integers are when they are not given. */
void kw__schema_prefill(const struct kw_schema *schema, void *out);

/* After the last field: is what is required there, and is nothing there that excludes another? */
KW_MUST_USE enum kw_status kw__schema_complete(const struct kw_schema *schema, uint32_t seen,
                                               struct kw_error *error_out);

/* Holds a text to its field's size, grammar and choices, and gives it with what stands before it. Names no field. */
KW_MUST_USE enum kw_status kw__schema_text(const struct kw_field *field, struct kw_bytes text, struct kw_arena *arena,
                                           struct kw_bytes *text_out, struct kw_error *error_out);

/* Names no field. */
KW_MUST_USE enum kw_status kw__schema_integer(const struct kw_field *field, bool is_whole, int64_t value,
                                              int64_t *value_out, struct kw_error *error_out);

/* Gives the index of the field's choice that the text is. Names no field. */
KW_MUST_USE enum kw_status kw__schema_choice(const struct kw_field *field, struct kw_bytes text, size_t *index_out,
                                             struct kw_error *error_out);

/* Names no field. */
KW_MUST_USE enum kw_status kw__schema_time(struct kw_bytes text, int64_t *time_ms_out, struct kw_error *error_out);

#endif
