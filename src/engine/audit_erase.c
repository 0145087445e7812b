#include "engine/audit_jobs.h"

#include "base/bytes.h"
#include "engine/sealer.h"

#define TOGETHER 200 /* lines that are erased by one batch */
#define DETAILS_SIZE 256

/* A piece: what goes of a page of lines. */
struct erasing {
    struct kw__audit_work *work;
    const struct kw_audit_person *person;
    struct kw_store_erasure erasures[TOGETHER];
    uint8_t seals[TOGETHER][KW_AUDIT_SEAL_MAX];
    size_t count, seen;
    uint64_t first, last; /* places */
    uint64_t after;       /* the last line that was looked at */
    uint64_t until;       /* the last line there was at the begin */
    bool has_ended;
};

static enum kw_status look_at(void *context, const struct kw_store_audit *audit)
{
    struct erasing *erasing = context;
    struct kw_audit_line line = kw__audit_line_of(audit);
    struct kw_audit_seal seal;
    if (audit->sequence > erasing->until || erasing->count == TOGETHER) {
        erasing->has_ended = audit->sequence > erasing->until;
        return KW_E_LIMIT;
    }
    erasing->seen++;
    erasing->after = audit->sequence;
    uint8_t fields = kw_audit_tells_of(&line, erasing->person);
    /* One without a seal that is one of ours was tampered with: it stays, for whoever proves the log. */
    if (fields == 0 || !kw_audit_seal_decode(audit->seal, &seal)) {
        return KW_OK;
    }
    enum kw_status status = kw_audit_erase(&line, fields, &erasing->work->engine->audit_seed, &seal);
    if (status != KW_OK) {
        return status;
    }
    size_t at = erasing->count++;
    size_t size = kw_audit_seal_encode(&seal, erasing->seals[at]);
    erasing->erasures[at] = (struct kw_store_erasure){.sequence = audit->sequence,
                                                      .owner = (fields >> KW_AUDIT_OWNER & 1) != 0,
                                                      .actor = (fields >> KW_AUDIT_ACTOR & 1) != 0,
                                                      .context = (fields >> KW_AUDIT_CONTEXT & 1) != 0,
                                                      .body = (fields >> KW_AUDIT_DETAILS & 1) != 0,
                                                      .seal = kw_bytes_of(erasing->seals[at], size)};
    erasing->first = at == 0 ? seal.place : erasing->first;
    erasing->last = seal.place;
    return KW_OK;
}

/* What goes, with the line that says so; whose data it was, nothing says. */
static enum kw_status commit(struct erasing *erasing)
{
    struct kw__audit_work *work = erasing->work;
    struct kw_store_audit line = {.at_ms = work->now_ms, .project = work->project, .action = KW_BYTES("audit.erased")};
    char memory[DETAILS_SIZE];
    struct kw_buffer details;
    struct kw_json_writer json;
    kw_buffer_init_fixed(&details, memory, sizeof memory);
    kw_json_writer_init(&json, &details);
    kw_json_begin_object(&json);
    kw_json_name(&json, "entries");
    kw_json_i64(&json, (int64_t)erasing->count);
    kw_json_name(&json, "firstPlace");
    kw_json_i64(&json, (int64_t)erasing->first);
    kw_json_name(&json, "lastPlace");
    kw_json_i64(&json, (int64_t)erasing->last);
    kw_json_end_object(&json);
    line.body = kw_buffer_bytes(&details);
    enum kw_status status = kw__audit_write_who(work, &line);
    const struct kw_store_batch batch = {
        .erasures = erasing->erasures, .erasure_count = erasing->count, .audits = &line, .audit_count = 1};
    return status == KW_OK ? kw__audit_commit(work->engine, &batch, NULL) : status;
}

static enum kw_status erase_some(struct erasing *erasing)
{
    struct kw_store *store = erasing->work->engine->store;
    struct kw_store_audit_filter filter = {
        .project = erasing->work->project, .after = erasing->after, .limit = KW_STORE_LIST_MAX};
    erasing->count = erasing->seen = 0;
    enum kw_status status = store->ops->audit_query(store, &filter, look_at, erasing);
    bool is_cut = status == KW_E_LIMIT;
    erasing->has_ended = erasing->has_ended || (!is_cut && erasing->seen < filter.limit);
    status = is_cut ? KW_OK : status;
    return status == KW_OK && erasing->count > 0 ? commit(erasing) : status;
}

static enum kw_status take_sequence(void *context, const struct kw_store_audit *audit)
{
    *(uint64_t *)context = audit->sequence;
    return KW_OK;
}

enum kw_status kw__audit_erase_person(struct kw__audit_work *work, const struct kw_audit_person *person,
                                      uint64_t *entries_out)
{
    struct erasing *erasing = kw_alloc(1, sizeof *erasing);
    struct kw_store *store = work->engine->store;
    struct kw_store_audit_filter last = {.project = work->project, .is_back = true, .limit = 1};
    if (erasing == NULL) {
        return KW_E_MEMORY;
    }
    erasing->work = work;
    erasing->person = person;
    *entries_out = 0;
    enum kw_status status = store->ops->audit_query(store, &last, take_sequence, &erasing->until);
    while (status == KW_OK && !erasing->has_ended) {
        status = erase_some(erasing);
        *entries_out += status == KW_OK ? erasing->count : 0;
    }
    kw_free(erasing);
    return status;
}
