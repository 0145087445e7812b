/* Keys of a family, for the engine's tests: making children, changing them, asking about them. */
#ifndef KW_TESTS_UNIT_ENGINE_KIN_H
#define KW_TESTS_UNIT_ENGINE_KIN_H

#include "support/engine.h"

struct kin {
    struct kw_id id;
    struct kw_secret key;
};

/* An operation on `kin`; a rotation puts the new key in its place. `grace_ms` of a rotation. */
enum kw_status kin_change(struct test_engine *fixture, struct kin *kin, enum kw_op_kind kind,
                          const struct kw_key_params *params, int64_t grace_ms, struct kw_error *error_out);
/* A key of user:1, or with `parent` a child of that; `params` may be NULL. What it is refused with is in `error_out`.
 */
enum kw_status kin_try(struct test_engine *fixture, const struct kin *parent, const struct kw_key_params *params,
                       struct kin *made_out, struct kw_error *error_out);
/* As above; false, and a failed check, when it was refused. */
bool kin_make(struct test *t, struct test_engine *fixture, const struct kin *parent, const struct kw_key_params *params,
              struct kin *made_out);
/* With the scope "read" only, or "read" and "write". */
extern const struct kw_key_params kin_reads, kin_reads_and_writes;

/* What a verification says now, as test_engine_verify; `bound_out`: the id of what refuses, where it is not the key. */
enum kw_code kin_verify(struct test_engine *fixture, const struct kin *kin, const char *scope, struct kw_id *bound_out);
/* A dry run on a full index: its first refusal. */
enum kw_code kin_explain(struct test_engine *fixture, const struct kin *kin);
/* The record as the store has it. False when it has none. */
bool kin_record(struct test_engine *fixture, const struct kw_id *id, struct kw_record *record_out,
                uint8_t memory[4096]);

#define CHECK_KIN(t, fixture, kin, expected) \
    CHECK_TEXT((t), kw_code_info(kin_verify((fixture), (kin), NULL, NULL))->name, kw_code_info(expected)->name)

#endif
