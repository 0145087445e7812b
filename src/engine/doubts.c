/*
 * Keys whose last write had no known outcome: what the index says of them may be too kind. They are looked up until the
 * store has answered for each.
 */
#include "engine/writer.h"

#include "base/bytes.h"

void kw__condemn(struct kw_engine *engine, const struct kw_digest *digest)
{
    kw_index_read_begin();
    struct kw_entry *entry = kw_index_find(engine->index, digest);
    if (entry != NULL) {
        kw_entry_tell_off(entry, KW_ENTRY_DISABLED);
    }
    kw_index_read_end();
}

static struct kw_doubt *find_doubt(const struct kw_engine *engine, const struct kw_digest *digest)
{
    struct kw_doubt *doubt = engine->doubts;
    while (doubt != NULL && memcmp(doubt->digest.bytes, digest->bytes, sizeof digest->bytes) != 0) {
        doubt = doubt->next;
    }
    return doubt;
}

void kw__doubt(struct kw_engine *engine, const struct kw_digest *digest, const struct kw_digest *before)
{
    struct kw_doubt *known = find_doubt(engine, digest);
    if (known != NULL) {
        known->before = before != NULL ? *before : known->before;
        known->is_move = known->is_move || before != NULL;
        return;
    }
    struct kw_doubt *doubt = engine->doubt_count < KW_DOUBTS_MAX ? kw_alloc(1, sizeof *doubt) : NULL;
    if (doubt == NULL) {
        kw__condemn(engine, before != NULL ? before : digest);
        return;
    }
    *doubt = (struct kw_doubt){.digest = *digest, .is_move = before != NULL, .next = engine->doubts};
    if (before != NULL) {
        doubt->before = *before;
    }
    engine->doubts = doubt;
    engine->doubt_count++;
}

const struct kw_digest *kw__doubted_move(const struct kw_engine *engine, const struct kw_digest *digest)
{
    const struct kw_doubt *doubt = engine->doubts == NULL ? NULL : find_doubt(engine, digest);
    return doubt != NULL && doubt->is_move ? &doubt->before : NULL;
}

static void condemn_piece(struct kw_engine *engine, const struct kw_crowd_piece *piece)
{
    for (size_t i = 0; i < piece->count; i++) {
        kw__condemn(engine, &piece->keys[i].digest);
    }
}

/* The keys have their memory already, so that no doubt is lost for want of it. */
void kw__doubt_crowd(struct kw_engine *engine, struct kw_crowd *crowd)
{
    struct kw_crowd_piece *left = crowd->first;
    crowd->first = NULL;
    while (left != NULL) {
        struct kw_crowd_piece *piece = left;
        left = piece->next;
        kw_buffer_deinit(&piece->records);
        if (engine->doubted_count + piece->count <= engine->bulk_max) {
            piece->next = engine->doubted;
            engine->doubted = piece;
            engine->doubted_count += piece->count;
        } else {
            piece->next = NULL;
            condemn_piece(engine, piece);
            kw_crowd_free_pieces(piece);
        }
    }
    kw_crowd_end(crowd);
}

bool kw__has_doubts(const struct kw_engine *engine)
{
    return engine->doubts != NULL || engine->doubted != NULL;
}

void kw__doubts_free(struct kw_engine *engine)
{
    while (engine->doubts != NULL) {
        struct kw_doubt *doubt = engine->doubts;
        engine->doubts = doubt->next;
        kw_free(doubt);
    }
    kw_crowd_free_pieces(engine->doubted);
    engine->doubted = NULL;
}

/* Whether the store has said what there is to say. */
static bool is_settled(enum kw_status status)
{
    return status == KW_OK || status == KW_E_NOT_FOUND || status == KW_E_CORRUPT;
}

static enum kw_status resolve(struct kw_engine *engine, const struct kw_digest *digest, const struct kw_digest *before,
                              const struct kw_store_row *row)
{
    return kw__show_row(engine, kw_project_number(kw__catalog(engine), row->project), row, digest, before);
}

static enum kw_status find(struct kw_engine *engine, const struct kw_digest *digest, struct kw_store_row *row_out)
{
    struct kw_found found = {.arena = &engine->writer_state->arena};
    struct kw_bytes bytes = kw_bytes_of(digest->bytes, digest->size);
    enum kw_status status = engine->store->ops->find_by_digest(engine->store, bytes, kw__found_sink, &found);
    *row_out = found.row;
    return status;
}

/* From the last key on, so that what is left stays a piece. False when the store does not answer. */
static bool resolve_piece(struct kw_engine *engine, struct kw_crowd_piece *piece)
{
    enum kw_status status = KW_OK;
    while (piece->count > 0 && is_settled(status)) {
        struct kw_store_row row;
        status = find(engine, &piece->keys[piece->count - 1].digest, &row);
        status = status == KW_OK ? resolve(engine, &piece->keys[piece->count - 1].digest, NULL, &row) : status;
        if (is_settled(status)) {
            piece->count--;
            engine->doubted_count--;
        }
    }
    kw_arena_reset(&engine->writer_state->arena);
    return is_settled(status);
}

static void resolve_crowds(struct kw_engine *engine)
{
    while (engine->doubted != NULL && resolve_piece(engine, engine->doubted)) {
        struct kw_crowd_piece *piece = engine->doubted;
        engine->doubted = piece->next;
        piece->next = NULL;
        kw_crowd_free_pieces(piece);
    }
    kw_index_reclaim(engine->index);
}

void kw__doubts_resolve(struct kw_engine *engine)
{
    struct kw_doubt **place = &engine->doubts;
    enum kw_status status = KW_OK;
    while (*place != NULL && status != KW_E_UNAVAILABLE) {
        struct kw_doubt *doubt = *place;
        struct kw_store_row row;
        status = find(engine, &doubt->digest, &row);
        if (status == KW_OK) {
            status = resolve(engine, &doubt->digest, doubt->is_move ? &doubt->before : NULL, &row);
        }
        if (!is_settled(status)) {
            place = &doubt->next;
            continue;
        }
        *place = doubt->next;
        engine->doubt_count--;
        kw_free(doubt);
    }
    kw_arena_reset(&engine->writer_state->arena);
    if (engine->doubted != NULL) {
        resolve_crowds(engine);
    }
}
