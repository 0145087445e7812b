#include "engine/audit_prove.h"

#include "base/bytes.h"
#include "engine/sealer.h"

#define PIECE_SIZE ((size_t)256 * 1024) /* a piece that has so many bytes ends there */

/* A piece under way. */
struct copying {
    struct kw_op *op;
    struct kw_bytes project;
    struct kw__known known;
    size_t known_at; /* those before it are written */
    size_t count;
    bool is_cut; /* the piece has bytes enough */
    /* The lines without a seal that stand last: how much was there before the first of them. */
    bool ends_unsealed;
    size_t size_before, count_before;
    uint64_t last_before;
};

static void end_line(struct kw_buffer *text)
{
    kw_buffer_add_byte(text, '\n');
}

static void write_checkpoint(struct copying *copying, const struct kw_checkpoint *from)
{
    struct kw_json_writer json;
    struct kw_checkpoint checkpoint = *from;
    checkpoint.project = copying->project;
    kw_json_writer_init(&json, &copying->op->result);
    kw_checkpoint_write(&checkpoint, &json);
    end_line(&copying->op->result);
}

/* Those of the line that was just written. */
static void write_known(struct copying *copying, uint64_t place)
{
    for (; copying->known_at < copying->known.count && copying->known.items[copying->known_at].chain.place <= place;
         copying->known_at++) {
        write_checkpoint(copying, &copying->known.items[copying->known_at]);
    }
}

static enum kw_status copy_line(void *context, const struct kw_store_audit *audit)
{
    struct copying *copying = context;
    struct kw_audit_query *query = copying->op->audit;
    struct kw_buffer *text = &copying->op->result;
    struct kw_audit_line line = kw__audit_line_of(audit);
    struct kw_audit_seal seal;
    struct kw_json_writer json;
    if (text->size > PIECE_SIZE) {
        copying->is_cut = true;
        return KW_E_LIMIT;
    }
    bool is_sealed = kw_audit_seal_decode(audit->seal, &seal) && !query->is_tail;
    if (!is_sealed && !copying->ends_unsealed) {
        copying->size_before = text->size;
        copying->count_before = copying->count;
        copying->last_before = query->after;
    }
    copying->ends_unsealed = !is_sealed;
    kw_json_writer_init(&json, text);
    kw_audit_line_write(&line, is_sealed ? &seal : NULL, &json);
    end_line(text);
    copying->count++;
    query->after = audit->sequence;
    if (is_sealed) {
        query->place = seal.place;
        write_known(copying, seal.place);
    }
    return kw_buffer_status(text) == KW_OK ? KW_OK : KW_E_MEMORY;
}

/*
 * Lines get their seals between two pieces, and one without a seal before one that has one would be a fault. So lines
 * without a seal at the end of a piece are left to the next one; where that has none with a seal, it is the tail of the
 * log, and no seal is shown from there on.
 */
static bool settle_end(struct copying *copying)
{
    struct kw_audit_query *query = copying->op->audit;
    if (!copying->ends_unsealed || query->is_tail) {
        return false;
    }
    if (copying->count_before == 0) {
        query->is_tail = true;
        return false;
    }
    copying->op->result.size = copying->size_before;
    copying->count = copying->count_before;
    query->after = copying->last_before;
    return true;
}

static void write_begin(const struct kw_engine *engine, struct copying *copying)
{
    struct kw_json_writer json;
    char hex[2 * KW_PUBLIC_KEY_SIZE];
    kw_hex_encode(kw_bytes_of(engine->audit_public, sizeof engine->audit_public), hex);
    kw_json_writer_init(&json, &copying->op->result);
    kw_json_begin_object(&json);
    kw_json_name(&json, "keyward");
    kw_json_text(&json, "audit");
    kw_json_name(&json, "version");
    kw_json_i64(&json, 1);
    kw_json_name(&json, "projectId");
    kw_json_string(&json, copying->project);
    if (engine->audit_seed.size > 0) {
        kw_json_name(&json, "publicKey");
        kw_json_string(&json, kw_bytes_of(hex, sizeof hex));
    }
    kw_json_end_object(&json);
    end_line(&copying->op->result);
    if (copying->op->audit->start.chain.place > 0) {
        write_checkpoint(copying, &copying->op->audit->start);
    }
}

static void write_end(struct copying *copying)
{
    struct kw_audit_query *query = copying->op->audit;
    write_known(copying, UINT64_MAX);
    kw_buffer_add_format(&copying->op->result, "{\"keyward\":\"end\",\"entries\":%llu}\n",
                         (unsigned long long)query->entries);
    query->has_ended = true;
}

static enum kw_status copy_piece(struct kw_engine *engine, struct copying *copying)
{
    struct kw_audit_query *query = copying->op->audit;
    struct kw_store_audit_filter filter = {
        .project = copying->project, .after = query->after, .limit = KW_STORE_LIST_MAX};
    enum kw_status status = kw__audit_know(engine, query, copying->project, query->place, &copying->known);
    status = status == KW_OK ? engine->store->ops->audit_query(engine->store, &filter, copy_line, copying) : status;
    if (status != KW_OK && !copying->is_cut) {
        return status;
    }
    bool more = copying->is_cut || copying->count == filter.limit;
    more = settle_end(copying) || more;
    query->entries += copying->count;
    if (!more) {
        write_end(copying);
    }
    return KW_OK;
}

enum kw_status kw__audit_copy(struct kw_engine *engine, struct kw_op *op, struct kw_bytes project)
{
    struct kw_audit_query *query = op->audit;
    struct copying *copying = kw_alloc(1, sizeof *copying);
    if (copying == NULL) {
        return KW_E_MEMORY;
    }
    copying->op = op;
    copying->project = project;
    enum kw_status status = KW_OK;
    query->takes_foreign = true;
    if (!query->has_begun) {
        status = kw__audit_begin(engine, query, project);
        query->after = query->proof.start.sequence;
        query->place = query->proof.start.place;
        write_begin(engine, copying);
    }
    status = status == KW_OK ? copy_piece(engine, copying) : status;
    kw_free(copying);
    return status;
}
