/*
 * The table of digest methods as the engine has it: published as a whole like the catalog, replaced by the writer
 * alone. The methods themselves live as long as the engine, at one place, so that tables only point to them.
 */
#ifndef KW_ENGINE_METHOD_TABLE_H
#define KW_ENGINE_METHOD_TABLE_H

#include "engine/method_set.h"
#include "engine/methods.h"
#include "engine/peppers.h"

#define KW_METHOD_FIRST_OWN 6 /* below, a method has its scheme's number and is there from the start */

struct kw__method {
    struct kw_digest_method is;
    struct kw_digester *digester; /* NULL: its pepper is not here; hmac-sha256: the pepper's, borrowed */
    bool is_retired;              /* no record needed it when its pepper was first missing, or was taken out */
};

/* Prefixes of foreign keys. */
struct kw__foreign {
    uint16_t project;
    uint8_t count;
    struct {
        uint8_t size;
        uint8_t bytes[KW_PREFIX_MAX];
    } prefixes[KW_FOREIGN_COUNT_MAX];
};

struct kw__methods {
    const struct kw__method *by_number[KW_METHODS_MAX]; /* NULL: there is none that keys can be looked for under */
    uint8_t numbers[KW_METHODS_MAX];                    /* of those that are there, ascending */
    size_t count;
    struct kw_method_set all;                    /* the same */
    uint8_t own_of[KW_DIGEST_SHA512_SALTED + 1]; /* by scheme; 0: the store's default */
    struct kw__foreign *foreigns;
    size_t foreign_count;
    uint8_t fingerprints[KW_PEPPERS_MAX][KW_PEPPER_FINGERPRINT_SIZE]; /* of the peppers that are here, in their order */
    size_t pepper_count;
    /* What a number means, or meant before its pepper was retired; NULL: nothing yet. */
    const struct kw_digest_method *meant[KW_METHODS_MAX];
};

/* What was taken for a project since the start: it counts as in use there, though no key may have it yet. */
struct kw__fresh {
    uint16_t project;
    struct kw_method_set methods;
};

/* What the engine keeps beside the table. The writer's, once there are threads. */
struct kw__method_memory {
    struct kw__method methods[KW_METHODS_MAX]; /* by number; one of scheme 0 is none */
    /* What is kept of the peppers: the states that they lead to, which methods borrow. The first is that of new keys.
     * One whose method is retired, and which is here all the same, is on its way out: only its file still has it. */
    struct kw_digester *pepper_digesters[KW_PEPPERS_MAX];
    uint8_t fingerprints[KW_PEPPERS_MAX][KW_PEPPER_FINGERPRINT_SIZE];
    size_t pepper_count;
    enum kw_digest_scheme default_scheme;
    struct kw__fresh *freshes;
    size_t fresh_count;
};

/* For the writer, and for whoever is inside read_begin and read_end. */
const struct kw__methods *kw__methods(const struct kw_engine *engine);

/* NULL when there is no such project. */
static inline const struct kw__method *kw__own_method(const struct kw__methods *methods,
                                                      const struct kw_project *project)
{
    return methods->by_number[methods->own_of[project->digest_scheme]];
}

/* Whether keys of the project may have the method. */
static inline bool kw__method_serves(const struct kw__method *method, uint16_t project)
{
    return method->is.project == KW_PROJECT_NONE || method->is.project == project;
}

/* Whether a key that is not of our form is looked up in that project. */
bool kw__foreign_admits(const struct kw_engine *engine, const struct kw__methods *methods, uint16_t project,
                        struct kw_bytes key);

/* Makes a method's digester where there is none and its pepper is here. KW_E_MEMORY, KW_E_INVALID. */
KW_MUST_USE enum kw_status kw__method_ready(struct kw__method_memory *memory, struct kw__method *method);
/* The number of the method that is equal but for its number; 0: none. */
uint8_t kw__method_find(const struct kw__method_memory *memory, const struct kw_digest_method *wanted);
/* The lowest number that is free; 0: none is. */
uint8_t kw__method_free_number(const struct kw__method_memory *memory);
/* What was taken for the project, which is noted there. NULL: no memory. Until the next call. */
struct kw__fresh *kw__fresh_of(struct kw__method_memory *memory, uint16_t project);
/* The method is in use nowhere for that it was taken. */
void kw__fresh_forget(struct kw__method_memory *memory, uint8_t number);
/* PEPPER_MISMATCH: the method's pepper is not here. */
enum kw_status kw__pepper_missing(const struct kw_digest_method *method, struct kw_error *error_out);
/* Lets go of the digester of a method that did not come about. */
void kw__method_clear(struct kw__method *method);
void kw__method_memory_deinit(struct kw__method_memory *memory);

/* The setting "digest.methods": all methods but those that are there from the start. */
KW_MUST_USE enum kw_status kw__methods_encode(const struct kw__method_memory *memory, struct kw_buffer *buffer);
/* Puts in what the setting says; a method that is there already stays as it is. KW_E_CORRUPT, KW_E_NEWER. */
KW_MUST_USE enum kw_status kw__methods_decode(struct kw_bytes setting, struct kw__method_memory *memory);
/* Reads that setting of a store. None is no failure. */
KW_MUST_USE enum kw_status kw__methods_read(struct kw_store *store, struct kw__method_memory *memory);

/* "foreign.PROJECT". */
KW_MUST_USE enum kw_status kw__foreign_encode(const struct kw__foreign *foreign, struct kw_buffer *buffer);
KW_MUST_USE enum kw_status kw__foreign_decode(struct kw_bytes setting, struct kw__foreign *foreign_out);

/* Makes a table of what is in memory and of these prefixes, which are copied. NULL: no memory. */
KW_MUST_USE struct kw__methods *kw__methods_make(const struct kw__method_memory *memory,
                                                 const struct kw__foreign *foreigns, size_t foreign_count);
void kw__methods_free(struct kw__methods *methods);
/* Puts a table in the place of the one before, and frees that as soon as nobody looks into it. */
void kw__methods_publish(struct kw_engine *engine, struct kw__methods *next_take);
/* Reads the prefixes from the store and publishes a table: after the catalog was loaded. */
KW_MUST_USE enum kw_status kw__methods_load(struct kw_engine *engine, struct kw_error *error_out);

/* An operation on methods, foreign prefixes or peppers, done by the writer, and handed back. */
void kw__method_write(struct kw_engine *engine, struct kw_op *op);
/* The two on peppers (pepper_write.c). Fail with op->error set. */
KW_MUST_USE enum kw_status kw__pepper_add(struct kw_engine *engine, struct kw_op *op);
KW_MUST_USE enum kw_status kw__pepper_retire(struct kw_engine *engine, struct kw_op *op);

#define KW_METHODS_SETTING "digest.methods"
#define KW_FOREIGN_PREFIX "foreign."
#define KW_METHODS_SETTING_MAX ((size_t)KW_METHODS_MAX * (KW_SALT_MAX + 16))

#endif
