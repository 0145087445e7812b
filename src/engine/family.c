#include "engine/internal.h"

#include "base/bytes.h"
#include "core/id.h"
#include "core/management.h"

/* Puts the newest key of a line into the index, from its first one along the rotations. */
static enum kw_status load_line(struct kw_engine *engine, struct kw_arena *arena, struct kw_id id)
{
    for (size_t step = 0; step < KW_LINE_LENGTH_MAX; step++) {
        struct kw_found found = {.arena = arena};
        struct kw_record record;
        enum kw_status status = engine->store->ops->find_by_id(engine->store, &id, kw__found_sink, &found);
        status = status == KW_OK ? kw_record_decode(found.row.record, &record) : status;
        if (status != KW_OK) {
            return status;
        }
        if (kw_id_is_none(&record.rotated_to)) {
            return kw__index_row(engine, &found.row);
        }
        id = record.rotated_to;
        kw_arena_reset(arena);
    }
    return KW_E_NOT_FOUND;
}

enum kw_status kw__load_family(struct kw_engine *engine, const struct kw_id *lineage, size_t *generation_out)
{
    uint8_t memory[2048];
    struct kw_arena arena;
    struct kw_id unknown;
    enum kw_status status = KW_OK;
    kw_arena_init(&arena, memory, sizeof memory, (size_t)2 * KW_RECORD_MAX);
    for (size_t i = 0; !kw_index_ancestry(engine->index, lineage, generation_out, &unknown); i++) {
        bool is_complete = kw_index_complete(engine->index); /* asked first: what is not found after it is gone */
        status = i > KW_FAMILY_DEPTH_MAX ? KW_E_CORRUPT : load_line(engine, &arena, unknown);
        /* A line whose older keys were erased cannot be followed to its newest, which may be there all the same. */
        status = status == KW_E_NOT_FOUND && !is_complete ? KW_E_UNAVAILABLE : status;
        kw_arena_reset(&arena);
        if (status != KW_OK) {
            break;
        }
    }
    return status;
}

enum kw_status kw__within_authority(struct kw_engine *engine, struct kw_arena *arena, struct kw_op *op,
                                    const struct kw_record *record, bool is_made)
{
    struct kw_bytes encoding = op->authority;
    for (size_t generation = 0; generation <= KW_FAMILY_DEPTH_MAX; generation++) {
        struct kw_record caller;
        if (kw_record_decode(encoding, &caller) != KW_OK) {
            return kw_refuse(&op->error, KW_CODE_INTERNAL, NULL, "the management key's own record cannot be read");
        }
        enum kw_status status = kw_management_within(record, &caller, is_made, &op->error);
        if (status != KW_OK || kw_id_is_none(&caller.parent_id)) {
            return status;
        }
        status = kw_index_copy_newest(engine->index, &caller.parent_id, arena, &encoding);
        if (status != KW_OK) {
            break;
        }
    }
    return kw_refuse(&op->error, KW_CODE_FORBIDDEN, NULL,
                     "The management key's parent is gone: nothing is left to it.");
}
