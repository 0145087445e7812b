/*
 * What the files that read an item of an import share: the fields that a source may give, and where they go. Nobody
 * else includes this.
 */
#ifndef KW_CORE_IMPORT_PARTS_H
#define KW_CORE_IMPORT_PARTS_H

#include "base/json.h"
#include "core/import.h"

#define KW__SHA256_HEX 64 /* characters of a digest */
#define KW__SHA512_HEX 128

/* Where a field may stand. */
enum {
    KW__IN_RECORD = 1 << 0,  /* `record` of Keyward's own export */
    KW__IN_KEPT = 1 << 1,    /* its `kept` */
    KW__IN_FOREIGN = 1 << 2, /* an item of another form, and its metadata */
};

/* An item on its way. */
struct kw__draft {
    struct kw_json_reader reader;
    struct kw_arena *arena;
    struct kw_error *error;
    const struct kw_import_options *options;
    struct kw_import_item *item;
    struct kw_key_params params; /* what is checked and packed as that of a key that is created */
    uint64_t seen;               /* fields, by their place in the table */
    uint8_t name_room[KW_OWNER_MAX];
};

/* What is said of an item's hash beside the options. */
struct kw__hash {
    struct kw_bytes text; /* hexadecimal */
    enum kw_digest_scheme algorithm;
    struct kw_bytes salt;
    bool has_place, salt_before;
};

/* Members of an item's metadata that are no fields. */
struct kw__rest {
    struct kw_buffer json;
    struct kw_json_writer writer;
};

/* Takes a member of an item of another form than Keyward's; then what follows of all of them. */
KW_MUST_USE enum kw_status kw__foreign_member(struct kw__draft *draft, struct kw_bytes name,
                                              const struct kw_json_token *token, struct kw__hash *hash,
                                              struct kw__rest *rest);
KW_MUST_USE enum kw_status kw__foreign_finish(struct kw__draft *draft, const struct kw__hash *hash,
                                              struct kw__rest *rest);

KW_MUST_USE enum kw_status kw__draft_next(struct kw__draft *draft, struct kw_json_token *token_out);

/* INVALID_FIELD. */
enum kw_status kw__draft_refuse(struct kw__draft *draft, const char *field, const char *why);

/*
 * Takes the value of the member `name`, whose first token is read, if it is a field that may stand there
 * (`where`: one of the above); else `is_known_out` is false and nothing is read. A null is as if it were not given.
 */
KW_MUST_USE enum kw_status kw__draft_field(struct kw__draft *draft, struct kw_bytes name, unsigned where,
                                           const struct kw_json_token *token, bool *is_known_out);

/* Whether a field of that name was taken. */
KW_MUST_USE bool kw__draft_has(const struct kw__draft *draft, const char *name);

/* Whether `name` is a field that may stand in `where`. For columns of CSV also: how its cells read. */
enum kw__cell_kind { KW__CELL_NONE, KW__CELL_TEXT, KW__CELL_LIST, KW__CELL_BOOL, KW__CELL_JSON };
enum kw__cell_kind kw__field_cell(struct kw_bytes name);

/* kw_import_source_next for CSV (import_csv.c). */
KW_MUST_USE enum kw_status kw__import_next_row(struct kw_import_source *source, struct kw_bytes *text, bool is_last,
                                               enum kw_import_part *part_out, struct kw_bytes *item_out,
                                               struct kw_error *error_out);

/* A text with a bound; names `field` when it is none. */
KW_MUST_USE enum kw_status kw__draft_text(struct kw__draft *draft, const char *field, const struct kw_json_token *token,
                                          size_t size_max, struct kw_bytes *text_out);

#endif
