#include "engine/audit_prove.h"

#include "base/bytes.h"
#include "engine/sealer.h"

#define PROVED_TOGETHER ((size_t)5 * KW_STORE_LIST_MAX) /* before others have their turn */
#define READ_MAX ((size_t)16384)                        /* that reading one checkpoint takes */

/* --- what is signed --- */

struct knowing {
    const struct kw_engine *engine;
    struct kw_audit_query *query;
    struct kw__known *known;
    uint64_t last_place; /* of those that a page of lines may have */
};

static enum kw_status keep_known(void *context, const struct kw_store_checkpoint *stored)
{
    struct knowing *knowing = context;
    struct kw_checkpoint checkpoint;
    struct kw_arena arena;
    if (stored->place > knowing->query->signed_until) {
        return KW_E_LIMIT;
    }
    kw_arena_init(&arena, NULL, 0, READ_MAX);
    bool is_one = kw_checkpoint_read(stored->bytes, &arena, &checkpoint, NULL) == KW_OK && !checkpoint.is_start &&
                  checkpoint.chain.place == stored->place && kw_bytes_equal(checkpoint.project, stored->project);
    bool is_ours = is_one && kw__checkpoint_is_ours(knowing->engine, &checkpoint);
    kw_arena_reset(&arena);
    knowing->query->has_foreign = knowing->query->has_foreign || !is_ours;
    if (!is_one || (!is_ours && !knowing->query->takes_foreign)) {
        return KW_OK;
    }
    checkpoint.project = (struct kw_bytes){NULL, 0};
    knowing->known->items[knowing->known->count++] = checkpoint;
    return stored->place > knowing->last_place ? KW_E_LIMIT : KW_OK;
}

enum kw_status kw__audit_know(struct kw_engine *engine, struct kw_audit_query *query, struct kw_bytes project,
                              uint64_t place, struct kw__known *known_out)
{
    struct knowing knowing = {engine, query, known_out, place + KW_STORE_LIST_MAX};
    known_out->count = 0;
    enum kw_status status = engine->store->ops->audit_checkpoints(engine->store, project, place, false,
                                                                  KW_STORE_LIST_MAX, keep_known, &knowing);
    return status == KW_E_LIMIT ? KW_OK : status;
}

static enum kw_status take_place(void *context, const struct kw_store_checkpoint *stored)
{
    *(uint64_t *)context = stored->place;
    return KW_OK;
}

/* What the store says of the chain's head. */
static enum kw_status read_head(struct kw_engine *engine, struct kw_bytes project, struct kw_audit_chain *head_out)
{
    uint8_t name[KW__AUDIT_SETTING_MAX];
    uint8_t value[KW_AUDIT_HEAD_SIZE];
    size_t size = 0;
    enum kw_status status = engine->store->ops->setting(
        engine->store, kw__audit_setting(KW_AUDIT_HEAD_SETTING, project, name), value, sizeof value, &size);
    if (status == KW_OK && (size != sizeof value || !kw_audit_head_decode(kw_bytes_of(value, size), head_out))) {
        return KW_E_CORRUPT;
    }
    return status;
}

/* In this order: what is signed was sealed before it, and lines are read after all of them. */
enum kw_status kw__audit_begin(struct kw_engine *engine, struct kw_audit_query *query, struct kw_bytes project)
{
    struct kw_audit_chain head;
    struct kw_checkpoint start;
    enum kw_status status =
        engine->store->ops->audit_checkpoints(engine->store, project, 0, true, 1, take_place, &query->signed_until);
    status = status == KW_OK ? read_head(engine, project, &head) : status;
    if (status != KW_OK && status != KW_E_NOT_FOUND) {
        return status;
    }
    kw_audit_proof_begin(&query->proof, status == KW_OK ? &head : NULL);
    if (engine->audit_seed.size > 0) {
        kw_audit_proof_trust(&query->proof, engine->audit_public);
    }
    status = kw__audit_start(engine, project, &start);
    if (status == KW_OK && start.chain.place > 0 && kw__checkpoint_is_ours(engine, &start)) {
        query->start = start;
        query->start.project = (struct kw_bytes){NULL, 0};
        kw_audit_proof_start(&query->proof, &start.chain);
    }
    query->has_begun = status == KW_OK;
    return status;
}

/* --- the proof --- */

struct proving {
    struct kw_audit_query *query;
    struct kw__known known;
    struct kw_audit_chain chains[KW_STORE_LIST_MAX + 1];
    size_t seen;
};

/*
 * A line without a seal before one that has one is a fault, unless it got its seal since it was looked at: it is looked
 * at once more.
 */
static bool is_torn(struct kw_audit_query *query, const struct kw_store_audit *audit)
{
    struct kw_audit_proof *proof = &query->proof;
    if (proof->fault != KW_AUDIT_WHOLE || proof->unsealed == 0 || audit->seal.size == 0 ||
        query->torn_at == proof->first_unsealed) {
        return false;
    }
    query->torn_at = proof->first_unsealed;
    proof->unsealed = 0;
    proof->last_sequence = query->torn_at - 1;
    return true;
}

static enum kw_status prove_line(void *context, const struct kw_store_audit *audit)
{
    struct proving *proving = context;
    struct kw_audit_query *query = proving->query;
    struct kw_audit_seal seal;
    struct kw_audit_line line = kw__audit_line_of(audit);
    proving->seen++;
    if (is_torn(query, audit)) {
        return KW_E_LIMIT;
    }
    if (audit->seal.size > 0 && !kw_audit_seal_decode(audit->seal, &seal)) {
        seal = (struct kw_audit_seal){.place = query->proof.chain.place + 1}; /* no seal of ours: it proves nothing */
    }
    kw_audit_proof_add(&query->proof, &line, audit->seal.size > 0 ? &seal : NULL);
    return KW_OK;
}

/* A page of lines; `more_out` says that there may be others behind them. */
static enum kw_status prove_some(struct kw_engine *engine, struct proving *proving, struct kw_bytes project,
                                 bool *more_out)
{
    struct kw_audit_proof *proof = &proving->query->proof;
    enum kw_status status = kw__audit_know(engine, proving->query, project, proof->chain.place, &proving->known);
    if (status != KW_OK) {
        return status;
    }
    for (size_t i = 0; i < proving->known.count; i++) {
        proving->chains[i] = proving->known.items[i].chain;
    }
    kw_audit_proof_know(proof, proving->chains, proving->known.count);
    struct kw_store_audit_filter filter = {
        .project = project, .after = proof->last_sequence, .limit = KW_STORE_LIST_MAX};
    proving->seen = 0;
    status = engine->store->ops->audit_query(engine->store, &filter, prove_line, proving);
    bool is_again = status == KW_E_LIMIT;
    *more_out = is_again || (proving->seen == filter.limit && kw_audit_proof_goes_on(proof));
    return is_again ? KW_OK : status;
}

static void write_chain(const struct kw_audit_chain *chain, struct kw_json_writer *json)
{
    char link[2 * KW_AUDIT_LINK_SIZE];
    kw_hex_encode(kw_bytes_of(chain->link, sizeof chain->link), link);
    kw_json_begin_object(json);
    kw_json_name(json, "place");
    kw_json_i64(json, (int64_t)chain->place);
    kw_json_name(json, "sequence");
    kw_json_i64(json, (int64_t)chain->sequence);
    kw_json_name(json, "link");
    kw_json_string(json, kw_bytes_of(link, sizeof link));
    kw_json_end_object(json);
}

static void write_count(struct kw_json_writer *json, const char *name, uint64_t value)
{
    kw_json_name(json, name);
    kw_json_i64(json, (int64_t)value);
}

static void write_public_key(const struct kw_engine *engine, struct kw_json_writer *json)
{
    char hex[2 * KW_PUBLIC_KEY_SIZE];
    if (engine->audit_seed.size > 0) {
        kw_hex_encode(kw_bytes_of(engine->audit_public, sizeof engine->audit_public), hex);
        kw_json_name(json, "publicKey");
        kw_json_string(json, kw_bytes_of(hex, sizeof hex));
    }
}

static void write_fault(const struct kw_audit_proof *proof, struct kw_json_writer *json)
{
    kw_json_name(json, "fault");
    kw_json_begin_object(json);
    kw_json_name(json, "kind");
    kw_json_text(json, kw_audit_fault_name(proof->fault));
    if (proof->fault_place > 0) {
        write_count(json, "place", proof->fault_place);
    }
    if (proof->fault_sequence > 0) {
        write_count(json, "sequence", proof->fault_sequence);
    }
    kw_json_end_object(json);
}

static void write_proof(const struct kw_engine *engine, const struct kw_audit_query *query, struct kw_json_writer *json)
{
    const struct kw_audit_proof *proof = &query->proof;
    kw_json_begin_object(json);
    kw_json_name(json, "whole");
    kw_json_bool(json, proof->fault == KW_AUDIT_WHOLE);
    write_count(json, "proved", proof->proved);
    write_count(json, "unsealed", proof->unsealed);
    write_count(json, "checkpoints", proof->signed_count);
    if (proof->signed_place > 0) {
        write_count(json, "signedPlace", proof->signed_place);
    }
    write_public_key(engine, json);
    if (query->has_foreign) {
        kw_json_name(json, "foreignCheckpoints");
        kw_json_bool(json, true);
    }
    if (proof->start.place > 0) {
        kw_json_name(json, "start");
        write_chain(&proof->start, json);
    }
    if (proof->chain.place > 0) {
        kw_json_name(json, "head");
        write_chain(&proof->chain, json);
    }
    if (proof->fault != KW_AUDIT_WHOLE) {
        write_fault(proof, json);
    }
    kw_json_end_object(json);
}

enum kw_status kw__audit_prove(struct kw_engine *engine, struct kw_op *op, struct kw_bytes project)
{
    struct kw_audit_query *query = op->audit;
    struct proving *proving = kw_alloc(1, sizeof *proving);
    if (proving == NULL) {
        return KW_E_MEMORY;
    }
    proving->query = query;
    enum kw_status status = query->has_begun ? KW_OK : kw__audit_begin(engine, query, project);
    bool more = true;
    for (size_t seen = 0; seen < PROVED_TOGETHER && more && status == KW_OK; seen += KW_STORE_LIST_MAX) {
        status = prove_some(engine, proving, project, &more);
    }
    if (status == KW_OK && !more) {
        struct kw_json_writer json;
        kw_audit_proof_end(&query->proof);
        query->has_ended = true;
        kw_json_writer_init(&json, &op->result);
        write_proof(engine, query, &json);
    }
    query->proof.known = NULL;
    query->proof.known_count = 0;
    kw_free(proving);
    return status;
}

/* --- the checkpoints themselves --- */

struct listing {
    struct kw_json_writer json;
    size_t count;
    uint64_t last;
};

static enum kw_status list_one(void *context, const struct kw_store_checkpoint *stored)
{
    struct listing *listing = context;
    kw_json_raw(&listing->json, stored->bytes);
    listing->count++;
    listing->last = stored->place;
    return KW_OK;
}

enum kw_status kw__audit_checkpoints(struct kw_engine *engine, struct kw_op *op, struct kw_bytes project)
{
    const struct kw_audit_query *query = op->audit;
    struct kw_checkpoint start;
    struct listing listing = {.count = 0};
    enum kw_status status = kw__audit_start(engine, project, &start);
    kw_json_writer_init(&listing.json, &op->result);
    kw_json_begin_object(&listing.json);
    write_public_key(engine, &listing.json);
    if (status == KW_OK && start.chain.place > 0) {
        kw_json_name(&listing.json, "start");
        kw_checkpoint_write(&start, &listing.json);
    }
    kw_json_name(&listing.json, "items");
    kw_json_begin_array(&listing.json);
    status = status == KW_OK ? engine->store->ops->audit_checkpoints(engine->store, project, query->after,
                                                                     query->is_back, query->limit, list_one, &listing)
                             : status;
    kw_json_end_array(&listing.json);
    if (listing.count == query->limit) {
        kw__audit_write_cursor(&listing.json, query->is_back, listing.last);
    }
    kw_json_end_object(&listing.json);
    return status;
}
