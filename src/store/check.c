#include "store/check.h"

#include "base/bytes.h"
#include "core/id.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

enum kw_status kw__store_check_limit(size_t limit)
{
    return limit >= 1 && limit <= KW_STORE_LIST_MAX ? KW_OK : KW_E_LIMIT;
}

static bool tags_fit(const struct kw_list *tags)
{
    struct kw_bytes rest = tags->packed;
    struct kw_bytes tag;
    uint32_t count = 0;
    while (kw_list_next(&rest, &tag)) {
        if (tag.size > KW_TAG_MAX) {
            return false;
        }
        count++;
    }
    return count == tags->count && count <= KW_TAG_COUNT_MAX;
}

static enum kw_status check_row(const struct kw_store_row *row)
{
    if (kw_id_is_none(&row->id) || row->digest.size == 0 || row->version == 0) {
        return KW_E_INVALID;
    }
    bool fits = row->digest.size <= KW_STORE_DIGEST_MAX && row->project.size <= KW_PROJECT_MAX &&
                row->env.size <= KW_ENV_MAX && row->policy.size <= KW_POLICY_MAX && row->owner.size <= KW_OWNER_MAX &&
                row->org_id.size <= KW_OWNER_MAX && row->record.size <= KW_RECORD_MAX && row->version <= INT64_MAX &&
                row->due_at_ms >= 0 && tags_fit(&row->tags);
    return fits ? KW_OK : KW_E_LIMIT;
}

static enum kw_status check_audit(const struct kw_store_audit *audit)
{
    bool fits = audit->project.size <= KW_PROJECT_MAX && audit->owner.size <= KW_OWNER_MAX &&
                audit->actor.size <= KW_ACTOR_MAX && audit->action.size <= KW_STORE_NAME_MAX &&
                audit->body.size <= KW_STORE_BODY_MAX && audit->context.size <= KW_STORE_CONTEXT_MAX;
    return fits ? KW_OK : KW_E_LIMIT;
}

static enum kw_status check_seal(const struct kw_store_seal *seal)
{
    bool fits = seal->seal.size >= 1 && seal->seal.size <= KW_STORE_SEAL_MAX && seal->sequence <= INT64_MAX;
    return fits ? KW_OK : KW_E_LIMIT;
}

static enum kw_status check_erasure(const struct kw_store_erasure *erasure)
{
    return check_seal(&(struct kw_store_seal){erasure->sequence, erasure->seal});
}

static enum kw_status check_checkpoint(const struct kw_store_checkpoint *checkpoint)
{
    bool fits = checkpoint->project.size <= KW_PROJECT_MAX && checkpoint->bytes.size <= KW_STORE_CHECKPOINT_MAX &&
                checkpoint->place >= 1 && checkpoint->place <= INT64_MAX;
    return fits ? KW_OK : KW_E_LIMIT;
}

static enum kw_status check_event(const struct kw_store_event *event)
{
    if (kw_id_is_none(&event->id)) {
        return KW_E_INVALID;
    }
    bool fits = event->project.size <= KW_PROJECT_MAX && event->env.size <= KW_ENV_MAX &&
                event->owner.size <= KW_OWNER_MAX && event->type.size <= KW_STORE_NAME_MAX &&
                event->body.size <= KW_STORE_BODY_MAX;
    return fits ? KW_OK : KW_E_LIMIT;
}

enum kw_status kw__store_check_setting_name(struct kw_bytes name)
{
    return name.size >= 1 && name.size <= KW_STORE_SETTING_NAME_MAX ? KW_OK : KW_E_LIMIT;
}

static enum kw_status check_setting(const struct kw_store_setting *setting)
{
    return setting->value.size <= KW_STORE_SETTING_MAX ? kw__store_check_setting_name(setting->name) : KW_E_LIMIT;
}

static enum kw_status check_reservation(const struct kw_store_reservation *reservation)
{
    bool fits = reservation->name.size <= KW_STORE_NAME_MAX && reservation->note.size <= KW_STORE_NOTE_MAX &&
                reservation->amount <= KW_STORE_AMOUNT_MAX && reservation->amount >= -KW_STORE_AMOUNT_MAX;
    if (!fits) {
        return KW_E_LIMIT;
    }
    return reservation->limit < 0 || reservation->name.size == 0 ? KW_E_INVALID : KW_OK;
}

enum kw_status kw__store_check_batch(const struct kw_store_batch *batch)
{
    enum kw_status status = batch->reservation_count <= KW_STORE_RESERVATIONS_MAX ? KW_OK : KW_E_LIMIT;
    for (size_t i = 0; i < batch->put_count && status == KW_OK; i++) {
        status = check_row(&batch->puts[i].row);
    }
    for (size_t i = 0; i < batch->audit_count && status == KW_OK; i++) {
        status = check_audit(&batch->audits[i]);
    }
    for (size_t i = 0; i < batch->event_count && status == KW_OK; i++) {
        status = check_event(&batch->events[i]);
    }
    for (size_t i = 0; i < batch->setting_count && status == KW_OK; i++) {
        status = check_setting(&batch->settings[i]);
    }
    for (size_t i = 0; i < batch->request_count && status == KW_OK; i++) {
        status = kw_id_is_none(&batch->requests[i].key_id) ? KW_E_INVALID : KW_OK;
    }
    for (size_t i = 0; i < batch->reservation_count && status == KW_OK; i++) {
        status = check_reservation(&batch->reservations[i]);
    }
    for (size_t i = 0; i < batch->seal_count && status == KW_OK; i++) {
        status = check_seal(&batch->seals[i]);
    }
    for (size_t i = 0; i < batch->erasure_count && status == KW_OK; i++) {
        status = check_erasure(&batch->erasures[i]);
    }
    for (size_t i = 0; i < batch->checkpoint_count && status == KW_OK; i++) {
        status = check_checkpoint(&batch->checkpoints[i]);
    }
    return status == KW_OK ? kw__store_check_usages(batch->usages, batch->usage_count) : status;
}

enum kw_status kw__store_check_batch_of(const struct kw_store_batch *batch, size_t batch_count)
{
    return batch->next != NULL && batch_count != 1 ? KW_E_INVALID : kw__store_check_batch(batch);
}

enum kw_status kw__store_next_piece(const struct kw_store_batch *batch, struct kw_store_batch *piece_out)
{
    *piece_out = (struct kw_store_batch){.put_count = 0};
    enum kw_status status = batch->next(batch->context, piece_out);
    if (status != KW_OK) {
        return status;
    }
    size_t others = piece_out->setting_count + piece_out->request_count + piece_out->reservation_count +
                    piece_out->usage_count + piece_out->seal_count + piece_out->erasure_count +
                    piece_out->checkpoint_count + (piece_out->next != NULL);
    return others > 0 ? KW_E_INVALID : kw__store_check_batch(piece_out);
}

enum kw_status kw__store_check_usages(const struct kw_store_usage *usages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (usages[i].value.size > KW_STORE_USAGE_VALUE_MAX || usages[i].project.size > KW_PROJECT_MAX) {
            return KW_E_LIMIT;
        }
        if (usages[i].amount < 0) {
            return KW_E_INVALID;
        }
    }
    return KW_OK;
}

enum kw_status kw__store_check_uses(const struct kw_store_use *uses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (uses[i].region.size > KW_STORE_USE_REGION_MAX) {
            return KW_E_LIMIT;
        }
        bool has_size = uses[i].address.size == 0 || uses[i].address.size == KW_STORE_USE_ADDRESS_SIZE;
        if (kw_id_is_none(&uses[i].key_id) || uses[i].at_ms <= 0 || !has_size) {
            return KW_E_INVALID;
        }
    }
    return KW_OK;
}

enum kw_status kw__store_check_deferred(const struct kw_store_deferred *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].bytes.size == 0 || pieces[i].bytes.size > KW_STORE_DEFERRED_MAX) {
            return KW_E_LIMIT;
        }
    }
    return KW_OK;
}

enum kw_status kw__store_check_channel(uint64_t channel)
{
    return channel >= 1 && channel <= INT64_MAX ? KW_OK : KW_E_LIMIT;
}

static enum kw_status check_targets(const struct kw_store_target *targets, size_t count)
{
    enum kw_status status = count <= KW_STORE_TARGETS_MAX ? KW_OK : KW_E_LIMIT;
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        status = kw__store_check_channel(targets[i].channel);
    }
    return status;
}

enum kw_status kw__store_check_fans(const struct kw_store_fan *fans, size_t count)
{
    enum kw_status status = count <= KW_STORE_LIST_MAX ? KW_OK : KW_E_LIMIT;
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        const struct kw_store_message *message = &fans[i].message;
        bool fits = message->type.size <= KW_STORE_NAME_MAX && message->body.size <= KW_STORE_BODY_MAX;
        status = kw_id_is_none(&message->id) ? KW_E_INVALID : fits ? KW_OK : KW_E_LIMIT;
        status = status == KW_OK ? check_targets(fans[i].targets, fans[i].target_count) : status;
    }
    return status;
}

enum kw_status kw__store_check_settled(const struct kw_store_settled *settled, size_t count)
{
    enum kw_status status = count <= KW_STORE_LIST_MAX ? KW_OK : KW_E_LIMIT;
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        bool ends = settled[i].state == KW_DELIVERY_DONE || settled[i].state == KW_DELIVERY_FAILED;
        status = !ends && settled[i].state != KW_DELIVERY_WAITING ? KW_E_INVALID
                 : settled[i].tries.size > KW_STORE_TRIES_MAX     ? KW_E_LIMIT
                                                                  : kw__store_check_channel(settled[i].channel);
    }
    return status;
}

bool kw__store_wants_state(const struct kw_store_delivery_filter *filter, enum kw_delivery_state state)
{
    return filter->states == 0 || (filter->states & UINT32_C(1) << state) != 0;
}

int64_t kw__store_day_of(int64_t time_ms)
{
    int64_t into = time_ms % DAY_MS;
    return time_ms - (into < 0 ? into + DAY_MS : into);
}

enum kw_status kw__store_check_reservation_name(struct kw_bytes name)
{
    return name.size <= KW_STORE_NAME_MAX ? KW_OK : KW_E_LIMIT;
}

int64_t kw__store_grant(const struct kw_store_reservation *reservation, int64_t taken)
{
    int64_t amount = reservation->amount;
    if (amount <= 0) {
        int64_t lowest = reservation->is_credit ? -KW_STORE_AMOUNT_MAX : 0;
        int64_t after = taken + amount > lowest ? taken + amount : lowest;
        return after < taken ? after - taken : 0;
    }
    int64_t after = taken > INT64_MAX - amount ? INT64_MAX : taken + amount;
    after = after < reservation->limit ? after : reservation->limit;
    /* A limit may be lowered below what is taken already. */
    return after > taken ? after - taken : 0;
}

enum kw_status kw__store_outcome_for_all(struct kw_store_batch *batches, size_t count, enum kw_status outcome)
{
    for (size_t i = 0; i < count; i++) {
        batches[i].outcome = outcome;
    }
    return outcome;
}
