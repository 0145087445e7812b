#include "engine/internal.h"

#include "core/id.h"
#include "core/policy.h"

static bool has_outlived_policy(const struct kw_engine *engine, const struct kw_record *record, int64_t now_ms)
{
    if (record->policy.size == 0) {
        return false;
    }
    kw_index_read_begin();
    const struct kw_policy *policy = kw_policy_by_name(kw__catalog(engine), record->project, record->policy);
    bool has_outlived = policy != NULL && kw_policy_has_outlived(policy, record->created_at_ms, now_ms);
    kw_index_read_end();
    return has_outlived;
}

bool kw_engine_look_above(struct kw_engine *engine, const struct kw_record *record, int64_t now_ms,
                          struct kw_above *above_out)
{
    enum kw_key_status family = KW_KEY_ACTIVE;
    enum kw_key_status policy = has_outlived_policy(engine, record, now_ms) ? KW_KEY_EXPIRED : KW_KEY_ACTIVE;
    bool is_child = !kw_id_is_none(&record->parent_id);
    bool is_known = !is_child || kw_index_family_status(engine->index, &record->parent_id, now_ms, &family);
    *above_out = (struct kw_above){.has_word = is_known && (is_child || policy != KW_KEY_ACTIVE),
                                   .status = family > policy ? family : policy};
    return is_known;
}

/* Of an encoded record, whose ancestors are fetched where they are not known yet. */
static struct kw_above look_above(struct kw_engine *engine, struct kw_bytes encoding)
{
    struct kw_above above = {.has_word = false};
    struct kw_record record;
    size_t generation;
    int64_t now_ms = kw_engine_now_ms(engine);
    bool is_read = encoding.size > 0 && kw_record_decode(encoding, &record) == KW_OK;
    bool is_known = is_read && (kw_engine_look_above(engine, &record, now_ms, &above) ||
                                (kw__load_family(engine, &record.parent_id, &generation) == KW_OK &&
                                 kw_engine_look_above(engine, &record, now_ms, &above)));
    above.has_word = is_known && above.has_word;
    return above;
}

void kw__look_above(struct kw_engine *engine, struct kw_op *op)
{
    op->above = look_above(engine, kw_buffer_bytes(&op->result));
    if (op->kind == KW_OP_ROTATE) {
        op->above_old = look_above(engine, kw_buffer_bytes(&op->other));
    }
}
