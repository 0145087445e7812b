#include "store/memory/memory.h"

#include "base/bytes.h"
#include "store/check.h"

/* At most: six trees for a row put in, and five for the one taken out, which is no tombstone, three for an event, two
 * changes for a setting, two trees for a request, two trees for a reservation's row and the one before. */
#define CHANGES_PER_PUT 13
#define CHANGES_PER_AUDIT 1
#define CHANGES_PER_SEAL 1
#define CHANGES_PER_ERASURE 4
#define CHANGES_PER_CHECKPOINT 2
#define CHANGES_PER_EVENT 3
#define CHANGES_PER_SETTING 2
#define CHANGES_PER_REQUEST 2
#define CHANGES_PER_RESERVATION 4

static struct kw__memory_row *row_new(const struct kw_store_row *from, uint64_t sequence)
{
    size_t text_size = from->digest.size + from->project.size + from->env.size + from->owner.size + from->org_id.size +
                       from->tags.packed.size + from->policy.size + from->record.size;
    uint8_t *text = NULL;
    struct kw__memory_row *made = kw__memory_object(sizeof *made, text_size, &text);
    if (made == NULL) {
        return NULL;
    }
    made->row = *from;
    made->row.sequence = sequence;
    made->row.digest = kw__memory_keep(&text, from->digest);
    made->row.project = kw__memory_keep(&text, from->project);
    made->row.env = kw__memory_keep(&text, from->env);
    made->row.owner = kw__memory_keep(&text, from->owner);
    made->row.org_id = kw__memory_keep(&text, from->org_id);
    made->row.tags.packed = kw__memory_keep(&text, from->tags.packed);
    made->row.policy = kw__memory_keep(&text, from->policy);
    made->row.record = kw__memory_keep(&text, from->record);
    made->row.due_at_ms = from->erased ? 0 : from->due_at_ms;
    made->row.used_at_ms = 0;
    made->row.used_address = made->row.used_region = (struct kw_bytes){NULL, 0};
    return made;
}

static enum kw_status put(struct kw__memory *memory, struct kw__memory_journal *journal,
                          const struct kw_store_put *wanted, uint64_t sequence)
{
    struct kw__memory_row probe = {.row = wanted->row};
    struct kw__tree_node *by_id = kw__tree_find(&memory->rows_by_id, &probe.by_id);
    struct kw__tree_node *by_digest = kw__tree_find(&memory->rows_by_digest, &probe.by_digest);
    struct kw__memory_row *old = by_id == NULL ? NULL : KW__TREE_OWNER(by_id, struct kw__memory_row, by_id);
    bool as_expected =
        wanted->replaces == 0 ? old == NULL : old != NULL && !old->row.erased && old->row.version == wanted->replaces;
    bool digest_is_free = by_digest == NULL || (old != NULL && by_digest == &old->by_digest);
    if (!as_expected || !digest_is_free) {
        return KW_E_CONFLICT;
    }
    struct kw__memory_row *made = row_new(&wanted->row, sequence);
    if (made == NULL) {
        return KW_E_MEMORY;
    }
    if (old != NULL && !made->row.erased) {
        kw__memory_note_use(made, old->row.used_at_ms, old->row.used_address, old->row.used_region);
    }
    if (old != NULL) {
        kw__memory_unlink(journal, &memory->rows_by_digest, &old->by_digest, NULL);
        kw__memory_unlink(journal, &memory->rows_by_sequence, &old->by_sequence, NULL);
        kw__memory_unlink(journal, &memory->rows_by_expiry, &old->by_expiry, NULL);
        kw__memory_unlink(journal, &memory->rows_by_use, &old->by_use, NULL);
        if (old->row.due_at_ms != 0) {
            kw__memory_unlink(journal, &memory->rows_by_due, &old->by_due, NULL);
        }
        kw__memory_unlink(journal, &memory->rows_by_id, &old->by_id, old);
    }
    kw__memory_link(journal, &memory->rows_by_digest, &made->by_digest, NULL);
    kw__memory_link(journal, &memory->rows_by_sequence, &made->by_sequence, NULL);
    kw__memory_link(journal, &memory->rows_by_expiry, &made->by_expiry, NULL);
    kw__memory_link(journal, &memory->rows_by_use, &made->by_use, NULL);
    if (made->row.due_at_ms != 0) {
        kw__memory_link(journal, &memory->rows_by_due, &made->by_due, NULL);
    }
    if (made->row.erased) {
        kw__memory_link(journal, &memory->tombstones, &made->by_erased, NULL);
    }
    kw__memory_link(journal, &memory->rows_by_id, &made->by_id, made);
    return KW_OK;
}

enum kw_status kw__memory_add_audit(struct kw__memory *memory, struct kw__memory_journal *journal,
                                    const struct kw_store_audit *from, uint64_t sequence)
{
    size_t text_size = from->project.size + from->owner.size + from->actor.size + from->action.size +
                       from->context.size + from->body.size;
    uint8_t *text = NULL;
    struct kw__memory_audit *made = kw__memory_object(sizeof *made, text_size, &text);
    if (made == NULL) {
        return KW_E_MEMORY;
    }
    made->audit = *from;
    made->audit.sequence = sequence;
    made->audit.project = kw__memory_keep(&text, from->project);
    made->audit.owner = kw__memory_keep(&text, from->owner);
    made->audit.actor = kw__memory_keep(&text, from->actor);
    made->audit.action = kw__memory_keep(&text, from->action);
    made->audit.context = kw__memory_keep(&text, from->context);
    made->audit.body = kw__memory_keep(&text, from->body);
    made->audit.seal = (struct kw_bytes){NULL, 0};
    kw__memory_link(journal, &memory->audits, &made->by_sequence, made);
    return KW_OK;
}

enum kw_status kw__memory_add_seal(struct kw__memory *memory, struct kw__memory_journal *journal,
                                   const struct kw_store_seal *from)
{
    struct kw__memory_audit line = {.audit.sequence = from->sequence};
    struct kw__memory_seal probe = {.seal.sequence = from->sequence};
    bool is_there = kw__tree_find(&memory->audits, &line.by_sequence) != NULL;
    if (!is_there || kw__tree_find(&memory->seals, &probe.by_sequence) != NULL) {
        return KW_E_CONFLICT;
    }
    uint8_t *text = NULL;
    struct kw__memory_seal *made = kw__memory_object(sizeof *made, from->seal.size, &text);
    if (made == NULL) {
        return KW_E_MEMORY;
    }
    made->seal.sequence = from->sequence;
    made->seal.seal = kw__memory_keep(&text, from->seal);
    kw__memory_link(journal, &memory->seals, &made->by_sequence, made);
    return KW_OK;
}

static enum kw_status add_event(struct kw__memory *memory, struct kw__memory_journal *journal,
                                const struct kw_store_event *from, uint64_t sequence)
{
    struct kw__memory_event probe = {.event.id = from->id};
    if (kw__tree_find(&memory->events_by_id, &probe.by_id) != NULL) {
        return KW_E_CONFLICT;
    }
    uint8_t *text = NULL;
    size_t text_size = from->project.size + from->env.size + from->owner.size + from->type.size + from->body.size;
    struct kw__memory_event *made = kw__memory_object(sizeof *made, text_size, &text);
    if (made == NULL) {
        return KW_E_MEMORY;
    }
    made->event = *from;
    made->event.sequence = sequence;
    made->event.attempts = 0;
    made->event.project = kw__memory_keep(&text, from->project);
    made->event.env = kw__memory_keep(&text, from->env);
    made->event.owner = kw__memory_keep(&text, from->owner);
    made->event.type = kw__memory_keep(&text, from->type);
    made->event.body = kw__memory_keep(&text, from->body);
    made->claimed_until_ms = INT64_MIN;
    kw__memory_link(journal, &memory->events, &made->by_sequence, made);
    kw__memory_link(journal, &memory->events_by_id, &made->by_id, NULL);
    kw__memory_link(journal, &memory->events_waiting, &made->by_claim, NULL);
    return KW_OK;
}

static enum kw_status set(struct kw__memory *memory, struct kw__memory_journal *journal,
                          const struct kw_store_setting *from)
{
    struct kw__memory_setting probe = {.setting = *from};
    struct kw__tree_node *old = kw__tree_find(&memory->settings, &probe.by_name);
    if (old != NULL) {
        kw__memory_unlink(journal, &memory->settings, old, KW__TREE_OWNER(old, struct kw__memory_setting, by_name));
    }
    if (from->value.size == 0) {
        return KW_OK;
    }
    uint8_t *text = NULL;
    struct kw__memory_setting *made = kw__memory_object(sizeof *made, from->name.size + from->value.size, &text);
    if (made == NULL) {
        return KW_E_MEMORY;
    }
    made->setting.name = kw__memory_keep(&text, from->name);
    made->setting.value = kw__memory_keep(&text, from->value);
    kw__memory_link(journal, &memory->settings, &made->by_name, made);
    return KW_OK;
}

static size_t changes_of(const struct kw_store_batch *batch)
{
    return batch->put_count * CHANGES_PER_PUT + batch->audit_count * CHANGES_PER_AUDIT +
           batch->event_count * CHANGES_PER_EVENT + batch->setting_count * CHANGES_PER_SETTING +
           batch->request_count * CHANGES_PER_REQUEST + batch->reservation_count * CHANGES_PER_RESERVATION +
           batch->seal_count * CHANGES_PER_SEAL + batch->erasure_count * CHANGES_PER_ERASURE +
           batch->checkpoint_count * CHANGES_PER_CHECKPOINT + batch->usage_count;
}

/* The batch's own part, or a piece of it. */
static enum kw_status apply(struct kw__memory *memory, struct kw__memory_journal *journal,
                            const struct kw_store_batch *batch, struct kw__memory_sequences *next)
{
    enum kw_status status = kw__memory_journal_reserve(journal, changes_of(batch));
    for (size_t i = 0; i < batch->put_count && status == KW_OK; i++) {
        status = put(memory, journal, &batch->puts[i], next->commit);
    }
    for (size_t i = 0; i < batch->audit_count && status == KW_OK; i++) {
        status = kw__memory_add_audit(memory, journal, &batch->audits[i], ++next->audit);
    }
    for (size_t i = 0; i < batch->seal_count && status == KW_OK; i++) {
        status = kw__memory_add_seal(memory, journal, &batch->seals[i]);
    }
    for (size_t i = 0; i < batch->erasure_count && status == KW_OK; i++) {
        status = kw__memory_erase(memory, journal, &batch->erasures[i]);
    }
    for (size_t i = 0; i < batch->checkpoint_count && status == KW_OK; i++) {
        status = kw__memory_set_checkpoint(memory, journal, &batch->checkpoints[i]);
    }
    for (size_t i = 0; i < batch->event_count && status == KW_OK; i++) {
        status = add_event(memory, journal, &batch->events[i], ++next->event);
    }
    for (size_t i = 0; i < batch->setting_count && status == KW_OK; i++) {
        status = set(memory, journal, &batch->settings[i]);
    }
    for (size_t i = 0; i < batch->request_count && status == KW_OK; i++) {
        status = kw__memory_request_add(memory, journal, &batch->requests[i]);
    }
    for (size_t i = 0; i < batch->reservation_count && status == KW_OK; i++) {
        status = kw__memory_reserve(memory, journal, &batch->reservations[i]);
    }
    return status;
}

static enum kw_status apply_pieces(struct kw__memory *memory, struct kw__memory_journal *journal,
                                   const struct kw_store_batch *batch, struct kw__memory_sequences *next)
{
    struct kw_store_batch piece = {.put_count = 1};
    enum kw_status status = KW_OK;
    while (status == KW_OK && batch->next != NULL && piece.put_count > 0) {
        status = kw__store_next_piece(batch, &piece);
        status = status == KW_OK ? apply(memory, journal, &piece, next) : status;
    }
    return status;
}

static enum kw_status commit_one(struct kw__memory *memory, struct kw_store_batch *batch, size_t batch_count)
{
    enum kw_status status = kw__store_check_batch_of(batch, batch_count);
    if (status != KW_OK) {
        return status;
    }
    struct kw__memory_journal journal = {.count = 0};
    struct kw__memory_sequences next = memory->last;
    next.commit++;
    status = apply(memory, &journal, batch, &next);
    status = status == KW_OK ? apply_pieces(memory, &journal, batch, &next) : status;
    /* The last, since what was added up is not taken back. */
    status = status == KW_OK ? kw__memory_count_uses(memory, &journal, batch->usages, batch->usage_count) : status;
    status = kw__memory_journal_end(&journal, status);
    if (status == KW_OK) {
        memory->last = next;
        batch->sequence = next.commit;
    }
    return status;
}

enum kw_status kw__memory_commit(struct kw_store *store, struct kw_store_batch *batches, size_t batch_count)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    pthread_rwlock_wrlock(&memory->lock);
    for (size_t i = 0; i < batch_count; i++) {
        batches[i].outcome = commit_one(memory, &batches[i], batch_count);
    }
    pthread_rwlock_unlock(&memory->lock);
    return KW_OK;
}

enum kw_status kw__memory_setting(struct kw_store *store, struct kw_bytes name, void *value, size_t size,
                                  size_t *size_out)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_setting probe = {.setting.name = name};
    enum kw_status status = kw__store_check_setting_name(name);
    if (status != KW_OK) {
        return status;
    }
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__tree_node *node = kw__tree_find(&memory->settings, &probe.by_name);
    if (node != NULL) {
        struct kw_bytes found = KW__TREE_OWNER(node, struct kw__memory_setting, by_name)->setting.value;
        if (size > 0) {
            memcpy(value, found.data, found.size < size ? found.size : size);
        }
        *size_out = found.size;
    }
    pthread_rwlock_unlock(&memory->lock);
    return node == NULL ? KW_E_NOT_FOUND : KW_OK;
}

enum kw_status kw__memory_settings_list(struct kw_store *store, struct kw_bytes prefix, kw_store_setting_sink *sink,
                                        void *context)
{
    struct kw__memory *memory = (struct kw__memory *)store;
    struct kw__memory_setting probe = {.setting.name = prefix};
    if (prefix.size > KW_STORE_SETTING_NAME_MAX) {
        return KW_E_LIMIT;
    }
    enum kw_status status = KW_OK;
    pthread_rwlock_rdlock(&memory->lock);
    const struct kw__tree_node *node = kw__tree_find(&memory->settings, &probe.by_name);
    node = node != NULL ? node : kw__tree_after(&memory->settings, &probe.by_name);
    while (status == KW_OK && node != NULL) {
        const struct kw_store_setting *setting = &KW__TREE_OWNER(node, struct kw__memory_setting, by_name)->setting;
        if (!kw_bytes_starts_with(setting->name, prefix)) {
            break;
        }
        status = sink(context, setting);
        node = kw__tree_after(&memory->settings, node);
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}
