/*
 * Imports, the pure part: a text is parted into items, an item is read into what is to be put (a record and its digest,
 * or a plain key that is still to be digested), and what is to be put is held against what is here. Which method a
 * digest has, where keys stand and when, the engine knows.
 */
#ifndef KW_CORE_IMPORT_H
#define KW_CORE_IMPORT_H

#include "base/csv.h"
#include "base/memory.h"
#include "core/digest.h"
#include "core/transition.h"
#include <keyward/import.h>

#define KW_EXPORT_VERSION 1   /* of the text's form */
#define KW_FOREIGN_SIZE_MIN 8 /* bytes of a key that may be of another form than ours */

/* --- parting a text into items --- */

/* What a column of CSV means. */
struct kw_import_column {
    struct kw_bytes name;
    struct kw_bytes field; /* empty: the column is left out */
    bool is_metadata;      /* a member of metadata */
};

/* A text that comes in pieces. */
struct kw_import_source {
    const struct kw_import_options *options; /* borrowed */
    uint64_t line;                           /* of the last item; of JSON: its number */
    bool is_cut;                             /* JSON: it ended before its array did */
    /* The source's own. */
    uint8_t state;
    uint8_t after; /* of an array of JSON: what came last */
    uint64_t lines_read;
    struct kw_csv *csv;
    struct kw_buffer row; /* as JSON; wiped */
    struct kw_arena names;
    struct kw_import_column columns[KW_IMPORT_COLUMNS_MAX];
    size_t column_count;
};

enum kw_import_part {
    KW_IMPORT_PART_ITEM, /* `item_out` is JSON, good until the next call */
    KW_IMPORT_PART_BAD,  /* a line that is none, as `error_out` says; the next call goes on behind it */
    KW_IMPORT_PART_MORE, /* what is there holds no whole item: call again with more behind it */
    KW_IMPORT_PART_END,
};

/* KW_E_MEMORY. Free with kw_import_source_deinit, also on failure. */
KW_MUST_USE enum kw_status kw_import_source_init(struct kw_import_source *source,
                                                 const struct kw_import_options *options, struct kw_error *error_out);
void kw_import_source_deinit(struct kw_import_source *source);

/*
 * The next item of `text`, which goes on from where the last call stopped, and from which is cut off what was read.
 * `is_last`: nothing comes behind it. Empty lines are passed over. Fails where the text as a whole is not of its
 * format: INVALID_JSON; INVALID_FIELD for a CSV header with a column that nobody knows, that stands twice or is one too
 * many; KW_E_MEMORY.
 */
KW_MUST_USE enum kw_status kw_import_source_next(struct kw_import_source *source, struct kw_bytes *text, bool is_last,
                                                 enum kw_import_part *part_out, struct kw_bytes *item_out,
                                                 struct kw_error *error_out);

/* --- reading an item --- */

enum kw_import_kind {
    KW_IMPORT_KEY,  /* an item */
    KW_IMPORT_HEAD, /* the first line of an export */
    KW_IMPORT_TAIL, /* its last line: `tail_count` keys stand before it */
};

/* What is to be put. All bytes lie in the item's text or in the arena. */
struct kw_import_item {
    enum kw_import_kind kind;
    uint64_t tail_count;
    bool is_own; /* a line of Keyward's own export */
    /* Without project, digest method and version; id, env, prefix and times as far as they are given. */
    struct kw_record record;
    struct kw_bytes foreign_id; /* an id that is none of Keyward's; `record.id` is then made of it */
    struct kw_bytes key;        /* the key itself: to be digested, and wiped; empty: `digest` */
    struct kw_digest digest;
    enum kw_digest_scheme scheme;                    /* of `digest`, with what belongs to it: */
    uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE]; /* hmac-sha256 */
    uint8_t salt[KW_IMPORT_SALT_MAX];                /* salted schemes */
    uint8_t salt_size;
    bool salt_before;
};

/*
 * Reads one item. Fails with INVALID_JSON, or INVALID_FIELD, UNKNOWN_FIELD, DUPLICATE_FIELD, MISSING_FIELD, which name
 * the field; STORE_NEWER for an export of a newer form; KW_E_MEMORY. No message holds what stands in `key`.
 */
KW_MUST_USE enum kw_status kw_import_read(struct kw_bytes json, const struct kw_import_options *options,
                                          struct kw_arena *arena, struct kw_import_item *item_out,
                                          struct kw_error *error_out);

/* Checks options as a whole: owner, env, prefix, salt, algorithm. INVALID_FIELD. */
KW_MUST_USE enum kw_status kw_import_options_check(const struct kw_import_options *options, struct kw_error *error_out);

/* --- what becomes of the key that is here --- */

/*
 * The record that is here as an import leaves it: nothing that has ended comes back, what may never change stays, links
 * to other keys are added and never taken. CANNOT_MODIFY_REVOKED, ALREADY_EXPIRED, CANNOT_CHANGE_FIELD.
 */
KW_MUST_USE enum kw_status kw_import_over(const struct kw_record *before, const struct kw_record *imported,
                                          int64_t now_ms, struct kw_record *after_out, struct kw_error *error_out);

#endif
