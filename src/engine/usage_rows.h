/*
 * The rows of one write of counts: what was added up by key becomes counts of its line, owner, organization and
 * project, equal ones together.
 */
#ifndef KW_ENGINE_USAGE_ROWS_H
#define KW_ENGINE_USAGE_ROWS_H

#include "core/record.h"
#include "core/usage.h"
#include "engine/internal.h"

#define KW__USE_ROWS_MAX 8192 /* a write ends once there are half as many */
#define KW__USES_MAX 2048     /* keys of one write */

/* Whom a count is of. All texts are valid as long as the rows. */
struct kw__use_subjects {
    struct kw_bytes project;
    struct kw_id key_id; /* none: of the project alone */
    struct kw_id lineage_id, owner, org;
    bool has_org;
};

struct kw__use_rows;

/* Forgets what was written. */
void kw__use_rows_reset(struct kw__use_rows *rows);
bool kw__use_rows_are_many(const struct kw__use_rows *rows);
/* Where what rows need lives, as long as they do. */
struct kw_arena *kw__use_rows_arena(struct kw__use_rows *rows);
/* Writes all of them, and takes that piece and those before it off what is deferred, both or neither. */
KW_MUST_USE enum kw_status kw__use_rows_settle(struct kw_engine *engine, const struct kw__use_rows *rows,
                                               const struct kw_store_deferred *settled);
/* Writes all of them, if there are any. `codes_out`: how many verifications the counts are of. */
KW_MUST_USE enum kw_status kw__use_rows_write(struct kw_engine *engine, struct kw__use_rows *rows, uint64_t *codes_out);

/* Finds out whom a key's use counts for, by the digest that the index knows it by. False: it is not there any more. */
KW_MUST_USE bool kw__use_subjects_of(struct kw_engine *engine, struct kw__use_rows *rows, const uint8_t *digest,
                                     struct kw__use_subjects *subjects_out);
/* The same of a record. False when there is no memory. */
KW_MUST_USE bool kw__use_subjects_of_record(struct kw_arena *arena, const struct kw_record *record,
                                            struct kw__use_subjects *subjects_out);
/* The same of a project alone. False: there is none. */
KW_MUST_USE bool kw__use_subjects_of_project(struct kw_engine *engine, struct kw__use_rows *rows, uint16_t project,
                                             struct kw__use_subjects *subjects_out);

#define KW__USE_SUBJECTS_MAX 4
/*
 * An amount as a row for each of the subjects. `usage` says all but whose it is, and its value is borrowed. Where
 * somebody has too many endpoints that day the rest is "other". Fails as reading the store does.
 */
KW_MUST_USE enum kw_status kw__use_spread(struct kw_engine *engine, struct kw__use_rows *rows,
                                          const struct kw__use_subjects *subjects, struct kw_store_usage usage,
                                          struct kw_store_usage out[KW__USE_SUBJECTS_MAX], size_t *count_out);

/* Adds an amount to the counts of all subjects. Fails as the above. */
KW_MUST_USE enum kw_status kw__use_rows_add(struct kw_engine *engine, struct kw__use_rows *rows,
                                            const struct kw__use_subjects *subjects, struct kw_store_usage usage);
/* Adds the amount of a scope that was asked for to each of the key's own that covers it. */
KW_MUST_USE enum kw_status kw__use_rows_add_scope(struct kw_engine *engine, struct kw__use_rows *rows,
                                                  const struct kw__use_subjects *subjects, const uint8_t *digest,
                                                  const struct kw_store_usage *usage);
/* Notes a key's latest use; its texts are copied. */
void kw__use_rows_note(struct kw__use_rows *rows, const struct kw_store_use *use);

#endif
