/*
 * The record's compact encoding, its JSON and its differences: all three come from one table of fields
 * (record_fields.c), so that a new field is one row. An encoding is a version byte, then for each field that is
 * present its tag and its value, in the order of that version of the encoding. The record's version comes last, so that
 * what was cut off is no record: else it could lose a rule that it is refused by. An unknown tag or version means
 * "written by a newer Keyward": it is refused, never dropped.
 *
 * Version 1 has the tags ascending. Version 2 begins with what a verification reads, behind the id: so that it lies in
 * the cache lines that are fetched with the entry. Records of version 1 are read for ever, and become version 2 when
 * they are next changed.
 */
#ifndef KW_CORE_RECORD_H
#define KW_CORE_RECORD_H

#include "base/json.h"
#include <keyward/record.h>

#define KW_RECORD_ENCODING_VERSION 2
#define KW_RECORD_ID_AT 2 /* every encoding: its version, the tag of the id, the id's 16 bytes */

/* The number that a store keeps beside the digest (engine/methods.h). */
static inline uint8_t kw_record_digest_method(const struct kw_record *record)
{
    return record->digest_method != 0 ? record->digest_method : (uint8_t)record->digest_scheme;
}

/* Appends. Equal records give equal bytes. Fails only as the buffer does. */
KW_MUST_USE enum kw_status kw_record_encode(const struct kw_record *record, struct kw_buffer *buffer);

/*
 * `record_out` borrows from `encoding`. Every length and count is checked against what is there and against the caps.
 * KW_E_CORRUPT, KW_E_NEWER. No allocation.
 */
KW_MUST_USE enum kw_status kw_record_decode(struct kw_bytes encoding, struct kw_record *record_out);

enum kw_key_status kw_record_status(const struct kw_record *record, int64_t now_ms);
const char *kw_key_status_name(enum kw_key_status status); /* "active" … */
KW_MUST_USE bool kw_key_status_of_name(struct kw_bytes name, enum kw_key_status *status_out);

/*
 * The record as the interface shows it: {"id":"key_…","projectId":"default","status":"active",…}. Absent fields are
 * left out, lists are always there. `ownerId` stands beside `owner` for a user. `digest` is the scheme's name. Revoked
 * by a past grace reads as such.
 */
void kw_record_write_json(const struct kw_record *record, int64_t now_ms, struct kw_json_writer *writer);
/* The same with `effectiveStatus`: the worse of its own status and `above`, what ancestors and policy make of it. */
void kw_record_write_json_under(const struct kw_record *record, enum kw_key_status above, int64_t now_ms,
                                struct kw_json_writer *writer);

/* {"lapsedAt":"…","hasChildren":true}: what is kept and not shown, as far as it is there. For exports:
 * but for the digest's method, whose number means something in its own store only, and for what was announced from
 * there. */
void kw_record_write_kept(const struct kw_record *record, struct kw_json_writer *writer);

/* {"name":{"from":"a","to":"b"},…}: the fields that differ, without version and updatedAt. `before` NULL: all that are
 * set, from null. */
void kw_record_write_changes(const struct kw_record *before, const struct kw_record *after,
                             struct kw_json_writer *writer);
/* ["name","scopes"]: the same fields by their names alone. */
void kw_record_write_changed(const struct kw_record *before, const struct kw_record *after,
                             struct kw_json_writer *writer);

/* Appends one string of a packed list (a length in LEB128, then the bytes). */
void kw_list_add(struct kw_buffer *packed, struct kw_bytes item);

#endif
