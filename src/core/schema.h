/*
 * Binding of request bodies and queries to C structs, by tables that tools/generate_api.py makes from the description.
 * What the tables do not know is refused; what they know is checked for type, size and number before a handler sees it.
 * What it means is the core's to judge.
 */
#ifndef KW_SERVER_SCHEMA_H
#define KW_SERVER_SCHEMA_H

#include "base/memory.h"
#include <keyward/record.h>

enum kw_field_kind {
    KW_FIELD_TEXT,      /* struct kw_bytes */
    KW_FIELD_TEXTS,     /* const struct kw_bytes * and a size_t */
    KW_FIELD_BOOL,      /* bool */
    KW_FIELD_INTEGER,   /* int64_t */
    KW_FIELD_TIME,      /* int64_t, milliseconds; RFC 3339 outside */
    KW_FIELD_DURATION,  /* int64_t, milliseconds; "90d" outside */
    KW_FIELD_JSON,      /* struct kw_bytes: an object's text without white space */
    KW_FIELD_RESOURCES, /* const struct kw_resource_scopes * and a size_t; {"website:123": ["read"]} outside */
    KW_FIELD_OBJECT,    /* a struct inside the struct */
    KW_FIELD_OBJECTS,   /* a pointer to structs and a size_t */
    KW_FIELD_ONE,       /* the same, of an object that stands alone: one struct, and a count of 1 */
    KW_FIELD_VALUE,     /* struct kw_bytes: any value's text without white space */
    KW_FIELD_AMOUNT,    /* int64_t, millionths; a decimal outside */
    KW_FIELD_CHOICE,    /* an enum: `low` for the first of the choices, one more for each further one */
    KW_FIELD_BYTES,     /* uint8_t[count_max] and a uint8_t; whole numbers from `low` to `high` outside */
};

/* Grammars that a text can be held to beyond its size. */
enum kw_field_format {
    KW_FORMAT_NONE,
    KW_FORMAT_SCOPE,
    KW_FORMAT_OWNER, /* "user:1" */
};

struct kw_schema;

struct kw_field {
    struct kw_bytes name;
    uint8_t kind;   /* enum kw_field_kind */
    uint8_t format; /* enum kw_field_format; of each text */
    bool is_nullable;
    uint16_t offset;                /* of the member */
    uint16_t count_offset;          /* of the member that holds how many there are */
    uint32_t given;                 /* bit that is set in the struct's `given` */
    uint32_t size_min, size_max;    /* bytes of a text, of each text, of JSON; 0: no limit */
    uint32_t count_min, count_max;  /* items */
    int64_t low, high, otherwise;   /* of an integer, and what it is when it is not given */
    struct kw_bytes before;         /* put before the text: "user:" */
    const struct kw_bytes *choices; /* the texts that are allowed; NULL: any */
    size_t choice_count;
    const struct kw_schema *items; /* of an object or of objects */
};

/* Fields of which one at most may be given, or exactly one. */
struct kw_field_group {
    uint32_t fields; /* bit per index */
    bool is_required;
    const char *advice; /* "expiresAt or expiresIn" */
};

#define KW_SCHEMA_FIELDS_MAX 32

struct kw_schema {
    const char *name;
    size_t size;         /* of the struct */
    size_t given_offset; /* of its uint32_t `given`; SIZE_MAX: none */
    /*
     * Of its `const struct kw_error *`, in objects that stand in an array and are answered one by one: what is wrong
     * with one of them is put there, and the rest of it is zero. 0: there is none, and one fault is that of all.
     */
    size_t fault_offset;
    uint32_t required; /* bit per index */
    const struct kw_field *fields;
    size_t field_count;
    const struct kw_field_group *groups;
    size_t group_count;
    bool takes_all; /* the body as it is, which somebody else reads: the struct begins with a struct kw_bytes for it */
};

/*
 * Binds a body that must be one JSON object. `out` (schema->size bytes, zeroed) borrows from body and arena. Fails with
 * INVALID_JSON, UNKNOWN_FIELD, DUPLICATE_FIELD, MISSING_FIELD, INVALID_FIELD, BODY_TOO_LARGE, naming the field by its
 * path ("tags[2]"); of an item that has a place for its own fault, by its path in the item.
 */
KW_MUST_USE enum kw_status kw_schema_bind_json(const struct kw_schema *schema, struct kw_bytes body,
                                               struct kw_arena *arena, void *out, struct kw_error *error_out);

/*
 * Binds a query string (application/x-www-form-urlencoded, so '+' is a space). Only texts, integers and times
 * occur in queries. Fails as above, but for INVALID_JSON.
 */
KW_MUST_USE enum kw_status kw_schema_bind_query(const struct kw_schema *schema, struct kw_bytes query,
                                                struct kw_arena *arena, void *out, struct kw_error *error_out);

#endif
