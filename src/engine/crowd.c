#include "engine/crowd.h"

#include "base/bytes.h"
#include "core/id.h"

static struct kw_crowd_piece *piece_with_room(struct kw_crowd *crowd)
{
    if (crowd->last != NULL && crowd->last->count < KW_CROWD_PIECE) {
        return crowd->last;
    }
    struct kw_crowd_piece *piece = kw_alloc(1, sizeof *piece);
    if (piece == NULL) {
        return NULL;
    }
    kw_buffer_init(&piece->records, KW_CROWD_MEMORY_MAX);
    if (crowd->last == NULL) {
        crowd->first = crowd->next = piece;
    } else {
        crowd->last->next = piece;
    }
    crowd->last = piece;
    crowd->size += sizeof *piece;
    return piece;
}

enum kw_status kw_crowd_add(struct kw_crowd *crowd, const struct kw_id *id, const struct kw_digest *digest,
                            struct kw_bytes record)
{
    struct kw_crowd_piece *piece = piece_with_room(crowd);
    if (piece == NULL) {
        return KW_E_MEMORY;
    }
    size_t before = piece->records.capacity;
    kw_buffer_add(&piece->records, record);
    if (kw_buffer_status(&piece->records) != KW_OK) {
        return kw_buffer_status(&piece->records);
    }
    crowd->size += piece->records.capacity - before;
    if (crowd->size > KW_CROWD_MEMORY_MAX) {
        return KW_E_LIMIT;
    }
    piece->keys[piece->count++] = (struct kw_crowd_key){.id = *id, .digest = *digest, .size = (uint32_t)record.size};
    crowd->count++;
    return KW_OK;
}

bool kw_crowd_has(const struct kw_crowd *crowd, const struct kw_id *id)
{
    const struct kw_crowd_piece *piece = crowd->first;
    while (piece != NULL && kw_id_compare(&piece->keys[piece->count - 1].id, id) < 0) {
        piece = piece->next;
    }
    size_t from = 0;
    size_t until = piece == NULL ? 0 : piece->count;
    while (from < until) {
        size_t middle = from + (until - from) / 2;
        int order = kw_id_compare(&piece->keys[middle].id, id);
        if (order == 0) {
            return true;
        }
        from = order < 0 ? middle + 1 : from;
        until = order < 0 ? until : middle;
    }
    return false;
}

void kw_crowd_free_pieces(struct kw_crowd_piece *pieces)
{
    while (pieces != NULL) {
        struct kw_crowd_piece *next = pieces->next;
        kw_buffer_deinit(&pieces->records);
        kw_free(pieces);
        pieces = next;
    }
}

void kw_crowd_end(struct kw_crowd *crowd)
{
    kw_crowd_free_pieces(crowd->first);
    kw_buffer_deinit(&crowd->former);
    *crowd = (struct kw_crowd){.count = 0};
}

struct kw_bytes kw_crowd_record(const struct kw_crowd_key *key, struct kw_bytes *rest)
{
    if (key->size == 0) {
        return (struct kw_bytes){NULL, 0};
    }
    struct kw_bytes record = kw_bytes_of(rest->data, key->size);
    *rest = kw_bytes_of(rest->data + key->size, rest->size - key->size);
    return record;
}
