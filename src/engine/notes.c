#include "base/bytes.h"
#include "core/schedule.h"
#include "engine/writer.h"

/* What verifications see by the way and leave to the writer. */

#define TRIES_MAX 64 /* at a list that others are just writing to */

/* Leaves word for the writer; false while the list is taken or full. Never waits. */
static bool leave_word(struct kw_lapses *lapses, const struct kw_lapse *lapse)
{
    if (__atomic_exchange_n(&lapses->lock, 1, __ATOMIC_ACQUIRE) != 0) {
        return false;
    }
    bool fits = lapses->count < KW_LAPSES_MAX;
    if (fits) {
        lapses->items[lapses->count++] = *lapse;
    }
    __atomic_store_n(&lapses->lock, 0, __ATOMIC_RELEASE);
    return fits;
}

/* When what a code says has passed did. */
static int64_t passed_at(const struct kw_record *record, enum kw_code code)
{
    return code == KW_CODE_REVOKED   ? kw_record_ends_at(record)
           : code == KW_CODE_EXPIRED ? record->expires_at_ms
                                     : record->schedule.disable_at_ms;
}

/*
 * Marks the entry, so that what has passed stays passed though the clock steps back, and leaves word for the writer.
 * Never waits: while the list is taken or full the entry is not marked as noted, and the next verification tries again.
 */
void kw__note_lapse(struct kw_engine *engine, struct kw_entry *entry, enum kw_code code, int64_t now_ms)
{
    static const uint8_t seen[] = {KW_ENTRY_SEEN_ENDED, KW_ENTRY_SEEN_LAPSED, KW_ENTRY_DISABLED};
    struct kw_record record;
    if (kw_record_decode(kw_entry_record(entry), &record) != KW_OK) {
        return;
    }
    int64_t passed_ms = passed_at(&record, code);
    struct kw_lapse lapse = {.id = kw_entry_id(entry),
                             .kind = KW_OP_LAPSE,
                             .digest.size = sizeof entry->digest,
                             .project = entry->project,
                             .version = entry->version,
                             .noticed_ms = now_ms > passed_ms ? now_ms : passed_ms};
    memcpy(lapse.digest.bytes, entry->digest, sizeof entry->digest);
    if (code == KW_CODE_DISABLED) {
        __atomic_fetch_or(&entry->marks, KW_ENTRY_SEEN_DISABLED, __ATOMIC_RELAXED);
    }
    kw_entry_tell_off(entry, seen[code == KW_CODE_REVOKED ? 0 : code == KW_CODE_EXPIRED ? 1 : 2]);
    if (leave_word(&engine->lapses, &lapse)) {
        __atomic_fetch_or(&entry->flags, KW_ENTRY_NOTED, __ATOMIC_RELAXED);
    }
}

/* What has passed of an entry that nothing says so of yet: REVOKED, EXPIRED, DISABLED, or KW_CODE_NONE. */
static enum kw_code passed_of(const struct kw_entry *entry, const struct kw_record *record, int64_t now_ms)
{
    unsigned flags = kw_entry_flags(entry);
    if ((flags & (KW_ENTRY_REVOKED | KW_ENTRY_ERASED | KW_ENTRY_NOTED)) != 0) {
        return KW_CODE_NONE;
    }
    if ((flags & KW_ENTRY_SEEN_ENDED) != 0 || now_ms >= kw_entry_ends_at_ms(entry)) {
        return KW_CODE_REVOKED;
    }
    bool has_expired = record->expires_at_ms != 0 && now_ms >= record->expires_at_ms;
    if ((flags & KW_ENTRY_LAPSED) == 0 && ((flags & KW_ENTRY_SEEN_LAPSED) != 0 || has_expired)) {
        return KW_CODE_EXPIRED;
    }
    bool has_stopped = record->enabled && !kw_record_is_enabled(record, now_ms);
    bool was_seen = (kw_entry_marks(entry) & KW_ENTRY_SEEN_DISABLED) != 0;
    return has_stopped || was_seen ? KW_CODE_DISABLED : KW_CODE_NONE;
}

void kw__note_passed(struct kw_engine *engine, const struct kw_digest *digest, uint16_t project,
                     const struct kw_record *record, int64_t now_ms)
{
    kw_index_read_begin();
    struct kw_entry *entry = kw_index_find(engine->index, digest);
    bool is_here = entry != NULL;
    enum kw_code code = is_here && entry->version == record->version ? passed_of(entry, record, now_ms)
                                                                     : KW_CODE_NONE; /* else changed since */
    if (code != KW_CODE_NONE) {
        kw__note_lapse(engine, entry, code, now_ms);
    }
    kw_index_read_end();
    /* The index is still filling. */
    if (!is_here && kw_schedule_has_passed(record, now_ms)) {
        struct kw_lapse lapse = {.id = record->id,
                                 .kind = KW_OP_LAPSE,
                                 .digest = *digest,
                                 .project = project,
                                 .version = record->version,
                                 .noticed_ms = now_ms};
        (void)leave_word(&engine->lapses, &lapse);
    }
}

/* What was seen of an entry of that version. */
static unsigned seen_of(struct kw_engine *engine, const struct kw_digest *digest, uint64_t version,
                        bool *is_stopped_out)
{
    kw_index_read_begin();
    const struct kw_entry *entry = kw_index_find(engine->index, digest);
    bool is_same = entry != NULL && entry->version == version;
    unsigned flags = is_same ? kw_entry_flags(entry) : 0;
    *is_stopped_out = is_same && (kw_entry_marks(entry) & KW_ENTRY_SEEN_DISABLED) != 0;
    kw_index_read_end();
    return flags;
}

void kw__apply_seen(struct kw_engine *engine, const struct kw_digest *digest, struct kw_record *record)
{
    bool is_stopped;
    unsigned flags = seen_of(engine, digest, record->version, &is_stopped);
    if ((flags & KW_ENTRY_SEEN_LAPSED) != 0 && record->lapsed_at_ms == 0) {
        record->lapsed_at_ms = record->expires_at_ms;
    }
    if ((flags & KW_ENTRY_SEEN_ENDED) != 0 && record->revoked_at_ms == 0) {
        record->revoked_at_ms = kw_record_ends_at(record);
    }
}

int64_t kw__seen_until(struct kw_engine *engine, const struct kw_digest *digest, const struct kw_record *record)
{
    bool is_stopped;
    unsigned flags = seen_of(engine, digest, record->version, &is_stopped);
    const struct {
        bool was_seen;
        int64_t at_ms;
    } times[] = {{(flags & KW_ENTRY_SEEN_LAPSED) != 0, record->expires_at_ms},
                 {(flags & KW_ENTRY_SEEN_ENDED) != 0, kw_record_ends_at(record)},
                 {is_stopped, record->schedule.disable_at_ms}};
    int64_t until_ms = 0;
    for (size_t i = 0; i < KW_COUNT_OF(times); i++) {
        until_ms = times[i].was_seen && times[i].at_ms > until_ms ? times[i].at_ms : until_ms;
    }
    return until_ms;
}

/*
 * The first use of a key that ends the grace period of the one before it. Told once: whoever takes the flag away leaves
 * word, and puts it back where that was not possible. A key may be used once only, so it is tried more than once.
 */
void kw__note_first_use(struct kw_engine *engine, struct kw_entry *entry, int64_t now_ms)
{
    struct kw_record record;
    unsigned flags = __atomic_fetch_and(&entry->flags, (uint8_t)~KW_ENTRY_ENDS_GRACE, __ATOMIC_RELAXED);
    if ((flags & KW_ENTRY_ENDS_GRACE) == 0 || kw_record_decode(kw_entry_record(entry), &record) != KW_OK) {
        return;
    }
    struct kw_lapse lapse = {.id = record.rotated_from,
                             .kind = KW_OP_END_GRACE,
                             .digest.size = sizeof entry->digest,
                             .project = entry->project,
                             .noticed_ms = now_ms};
    memcpy(lapse.digest.bytes, entry->digest, sizeof entry->digest);
    for (int i = 0; i < TRIES_MAX; i++) {
        if (leave_word(&engine->lapses, &lapse)) {
            return;
        }
    }
    __atomic_fetch_or(&entry->flags, KW_ENTRY_ENDS_GRACE, __ATOMIC_RELAXED);
}

/* Told once, like a first use; but there is no haste, so that one try will do. */
void kw__note_move(struct kw_engine *engine, struct kw_entry *entry, const struct kw__method *own,
                   const struct kw_digest *moved, int64_t now_ms)
{
    unsigned marks = __atomic_fetch_or(&entry->marks, KW_ENTRY_MOVING, __ATOMIC_RELAXED);
    if ((marks & KW_ENTRY_MOVING) != 0) {
        return;
    }
    struct kw_lapse lapse = {.id = kw_entry_id(entry),
                             .kind = KW_OP_MOVE,
                             .digest.size = sizeof entry->digest,
                             .project = entry->project,
                             .version = entry->version,
                             .noticed_ms = now_ms,
                             .moved = *moved,
                             .method = own->is.number};
    memcpy(lapse.digest.bytes, entry->digest, sizeof entry->digest);
    if (!leave_word(&engine->lapses, &lapse)) {
        __atomic_fetch_and(&entry->marks, (uint8_t)~KW_ENTRY_MOVING, __ATOMIC_RELAXED);
    }
}
