/*
 * Words of imports: what a source looks like, what is to happen where a key is here already, and what became of each
 * line. docs/import.md says exactly which forms are understood.
 */
#ifndef KEYWARD_IMPORT_H
#define KEYWARD_IMPORT_H

#include <keyward/record.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KW_IMPORT_TOGETHER_MAX 3000          /* items that are committed together */
#define KW_IMPORT_ITEM_MAX ((size_t)65536)   /* bytes of one line or item */
#define KW_IMPORT_COLUMNS_MAX 64             /* of CSV */
#define KW_IMPORT_SALT_MAX 64                /* bytes of a salt */
#define KW_IMPORT_MAP_MAX 4096               /* bytes of all mappings of columns */
#define KW_IMPORT_FOREIGN_ID_MAX 256         /* bytes of an id that is not Keyward's */
#define KW_IMPORT_FOREIGN_ID_NAME "importId" /* where metadata keeps such an id */

enum kw_import_format {
    KW_IMPORT_NDJSON, /* a JSON object a line */
    KW_IMPORT_JSON,   /* an array of them, or an object that has them as "keys" */
    KW_IMPORT_CSV,    /* RFC 4180 with a header line */
};

/* What is to happen to an item whose id or digest a key has that is here. */
enum kw_import_conflict {
    KW_IMPORT_SKIP,      /* it is left alone */
    KW_IMPORT_OVERWRITE, /* the key that is here becomes what the item says, as far as keys may change */
    KW_IMPORT_ERROR,     /* the item is refused, and the refusal says which key is in the way */
};

struct kw_import_options {
    enum kw_import_format format;
    enum kw_import_conflict on_conflict;
    bool dry_run; /* the same report, and nothing is changed */
    /* For items that do not say: */
    struct kw_bytes owner;           /* "user:1"; empty: such items are refused */
    struct kw_bytes env;             /* empty: the project's first */
    struct kw_bytes prefix;          /* what keys of another form than Keyward's begin with; empty: anything */
    enum kw_digest_scheme algorithm; /* of keyHash: KW_DIGEST_SHA256 or KW_DIGEST_SHA512; 0: by its length */
    struct kw_bytes salt;            /* of keyHash; empty: none */
    bool salt_before;                /* the hash is of salt and key, else of key and salt */
    /* CSV: "column=field", "column=metadata.NAME", or "column=-" for one that is left out. A column that is named as a
     * field needs none. */
    const struct kw_bytes *map;
    size_t map_count;
};

enum kw_import_outcome {
    KW_IMPORT_CREATED,
    KW_IMPORT_OVERWRITTEN,
    KW_IMPORT_SKIPPED,
    KW_IMPORT_REFUSED,
};

/* What became of one item. */
struct kw_import_line {
    uint64_t line; /* 1 is the first; of JSON: the item's number */
    enum kw_import_outcome outcome;
    struct kw_id id;              /* of the key that is here now, or is in the way; none where there is none */
    const struct kw_error *error; /* why it was skipped or refused; else NULL. Never holds a key */
};

/* Called for each item, in their order; what it is handed is borrowed for the call. */
typedef void kw_import_sink(void *context, const struct kw_import_line *line);

struct kw_import_counts {
    uint64_t created, overwritten, skipped, refused;
    bool is_cut; /* it begins as an export and lacks its end, or the number of keys that it ends with */
};

#ifdef __cplusplus
}
#endif
#endif
