#include "base/bytes.h"
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

/*
 * Marks the entry, so that what has passed stays passed though the clock steps back, and leaves word for the writer.
 * Never waits: while the list is taken or full the entry is not marked as noted, and the next verification tries again.
 */
void kw__note_lapse(struct kw_engine *engine, struct kw_entry *entry, enum kw_code code, int64_t now_ms)
{
    uint8_t seen = code == KW_CODE_REVOKED ? KW_ENTRY_SEEN_ENDED : KW_ENTRY_SEEN_LAPSED;
    int64_t passed_ms = code == KW_CODE_REVOKED ? kw_entry_grace_until_ms(entry) : kw_entry_expires_at_ms(entry);
    struct kw_lapse lapse = {.id = kw_entry_id(entry),
                             .kind = KW_OP_LAPSE,
                             .digest.size = sizeof entry->digest,
                             .project = entry->project,
                             .version = entry->version,
                             .noticed_ms = now_ms > passed_ms ? now_ms : passed_ms};
    memcpy(lapse.digest.bytes, entry->digest, sizeof entry->digest);
    kw_entry_tell_off(entry, seen);
    if (leave_word(&engine->lapses, &lapse)) {
        __atomic_fetch_or(&entry->flags, KW_ENTRY_NOTED, __ATOMIC_RELAXED);
    }
}

/* What has passed of an entry that nothing says so of yet: REVOKED for a grace period, EXPIRED, or KW_CODE_NONE. */
static enum kw_code passed_of(const struct kw_entry *entry, int64_t now_ms)
{
    unsigned flags = kw_entry_flags(entry);
    if ((flags & (KW_ENTRY_REVOKED | KW_ENTRY_ERASED | KW_ENTRY_NOTED)) != 0) {
        return KW_CODE_NONE;
    }
    if ((flags & KW_ENTRY_SEEN_ENDED) != 0 || now_ms >= kw_entry_grace_until_ms(entry)) {
        return KW_CODE_REVOKED;
    }
    bool is_news = (flags & KW_ENTRY_LAPSED) == 0;
    return is_news && ((flags & KW_ENTRY_SEEN_LAPSED) != 0 || now_ms >= kw_entry_expires_at_ms(entry)) ? KW_CODE_EXPIRED
                                                                                                       : KW_CODE_NONE;
}

void kw__note_passed(struct kw_engine *engine, const struct kw_digest *digest, uint16_t project,
                     const struct kw_record *record, int64_t now_ms)
{
    kw_index_read_begin();
    struct kw_entry *entry = kw_index_find(engine->index, digest);
    bool is_here = entry != NULL;
    enum kw_code code =
        is_here && entry->version == record->version ? passed_of(entry, now_ms) : KW_CODE_NONE; /* else changed since */
    if (code != KW_CODE_NONE) {
        kw__note_lapse(engine, entry, code, now_ms);
    }
    kw_index_read_end();
    int64_t passed_ms = record->grace_until_ms != 0 && now_ms >= record->grace_until_ms ? record->grace_until_ms
                        : record->lapsed_at_ms == 0                                     ? record->expires_at_ms
                                                                                        : 0;
    /* The index is still filling. */
    if (!is_here && record->revoked_at_ms == 0 && passed_ms != 0 && now_ms >= passed_ms) {
        struct kw_lapse lapse = {.id = record->id,
                                 .kind = KW_OP_LAPSE,
                                 .digest = *digest,
                                 .project = project,
                                 .version = record->version,
                                 .noticed_ms = now_ms};
        (void)leave_word(&engine->lapses, &lapse);
    }
}

void kw__apply_seen(struct kw_engine *engine, const struct kw_digest *digest, struct kw_record *record)
{
    kw_index_read_begin();
    const struct kw_entry *entry = kw_index_find(engine->index, digest);
    unsigned flags = entry == NULL || entry->version != record->version ? 0 : kw_entry_flags(entry);
    kw_index_read_end();
    if ((flags & KW_ENTRY_SEEN_LAPSED) != 0 && record->lapsed_at_ms == 0) {
        record->lapsed_at_ms = record->expires_at_ms;
    }
    if ((flags & KW_ENTRY_SEEN_ENDED) != 0 && record->revoked_at_ms == 0) {
        record->revoked_at_ms = record->grace_until_ms;
    }
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
