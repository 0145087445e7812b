#include "store/sqlite/inserts.h"

#include "base/bytes.h"

static void bind_row(struct kw__query *query, const struct kw__waiting *waiting)
{
    const struct kw_store_row *row = waiting->item;
    kw__query_id(query, &row->id);
    kw__query_i64(query, (int64_t)waiting->sequence);
    kw__query_i64(query, (int64_t)row->version);
    kw__query_row_rest(query, row);
}

static void bind_tag(struct kw__query *query, const struct kw__waiting *waiting)
{
    const struct kw_store_row *row = waiting->item;
    kw__query_text(query, row->project);
    kw__query_text(query, waiting->text);
    kw__query_id(query, &row->id);
}

static void bind_audit(struct kw__query *query, const struct kw__waiting *waiting)
{
    const struct kw_store_audit *audit = waiting->item;
    kw__query_i64(query, (int64_t)waiting->sequence);
    kw__query_i64(query, audit->at_ms);
    kw__query_text(query, audit->project);
    kw__query_id_or_null(query, &audit->key_id);
    kw__query_text(query, audit->owner);
    kw__query_text(query, audit->actor);
    kw__query_text(query, audit->action);
    kw__query_blob(query, audit->body);
    kw__query_blob(query, audit->context);
    kw__query_i64(query, waiting->high_ms);
}

static void bind_seal(struct kw__query *query, const struct kw__waiting *waiting)
{
    const struct kw_store_seal *seal = waiting->item;
    kw__query_i64(query, (int64_t)seal->sequence);
    kw__query_blob(query, seal->seal);
}

static void bind_event(struct kw__query *query, const struct kw__waiting *waiting)
{
    const struct kw_store_event *event = waiting->item;
    kw__query_i64(query, (int64_t)waiting->sequence);
    kw__query_id(query, &event->id);
    kw__query_i64(query, event->at_ms);
    kw__query_text(query, event->project);
    kw__query_id_or_null(query, &event->key_id);
    kw__query_text(query, event->env);
    kw__query_text(query, event->owner);
    kw__query_text(query, event->type);
    kw__query_blob(query, event->body);
}

static void bind_claim(struct kw__query *query, const struct kw__waiting *waiting)
{
    kw__query_i64(query, (int64_t)waiting->sequence);
}

static void bind_digest(struct kw__query *query, const struct kw__waiting *waiting)
{
    kw__query_blob(query, kw__digest_start(waiting->text));
    kw__query_id(query, waiting->item);
}

static const struct {
    enum kw__sql one, some, many;
    void (*bind)(struct kw__query *query, const struct kw__waiting *waiting);
} kinds[KW__INSERT_KINDS] = {
    [KW__INSERT_ROW] = {KW__SQL_ROW_INSERT, KW__SQL_ROW_INSERT_SOME, KW__SQL_ROW_INSERT_MANY, bind_row},
    [KW__INSERT_TAG] = {KW__SQL_TAG_INSERT, KW__SQL_TAG_INSERT_SOME, KW__SQL_TAG_INSERT_MANY, bind_tag},
    [KW__INSERT_AUDIT] = {KW__SQL_AUDIT_INSERT, KW__SQL_AUDIT_INSERT_SOME, KW__SQL_AUDIT_INSERT_MANY, bind_audit},
    [KW__INSERT_SEAL] = {KW__SQL_SEAL_INSERT, KW__SQL_SEAL_INSERT_SOME, KW__SQL_SEAL_INSERT_MANY, bind_seal},
    [KW__INSERT_EVENT] = {KW__SQL_EVENT_INSERT, KW__SQL_EVENT_INSERT_SOME, KW__SQL_EVENT_INSERT_MANY, bind_event},
    [KW__INSERT_CLAIM] = {KW__SQL_EVENT_CLAIM_INSERT, KW__SQL_EVENT_CLAIM_INSERT_SOME, KW__SQL_EVENT_CLAIM_INSERT_MANY,
                          bind_claim},
    [KW__INSERT_DIGEST] = {KW__SQL_DIGEST_INSERT, KW__SQL_DIGEST_INSERT_SOME, KW__SQL_DIGEST_INSERT_MANY, bind_digest},
};

/* The statement that takes the most of `left` lines, and how many that are. */
static enum kw__sql statement_for(enum kw__insert kind, size_t left, size_t *together_out)
{
    if (left >= KW__SQL_ROWS_TOGETHER) {
        *together_out = KW__SQL_ROWS_TOGETHER;
        return kinds[kind].many;
    }
    *together_out = left >= KW__SQL_ROWS_SOME ? KW__SQL_ROWS_SOME : 1;
    return left >= KW__SQL_ROWS_SOME ? kinds[kind].some : kinds[kind].one;
}

static enum kw_status run(struct kw__inserts *inserts, enum kw__insert kind)
{
    size_t count = inserts->counts[kind];
    enum kw_status status = KW_OK;
    inserts->counts[kind] = 0;
    for (size_t i = 0, together; i < count && status == KW_OK; i += together) {
        enum kw__sql sql = statement_for(kind, count - i, &together);
        struct kw__query query = kw__query_open(inserts->writer, sql);
        for (size_t j = i; j < i + together; j++) {
            kinds[kind].bind(&query, &inserts->waiting[kind][j]);
        }
        status = kw__query_run(&query);
    }
    return status;
}

static enum kw_status add(struct kw__inserts *inserts, enum kw__insert kind, const struct kw__waiting *waiting)
{
    inserts->waiting[kind][inserts->counts[kind]++] = *waiting;
    return inserts->counts[kind] == KW__SQL_ROWS_TOGETHER ? run(inserts, kind) : KW_OK;
}

enum kw_status kw__inserts_add_row(struct kw__inserts *inserts, const struct kw_store_row *row, uint64_t sequence)
{
    enum kw_status status = kw__digests_put(inserts, row->digest, &row->id);
    status = status == KW_OK ? add(inserts, KW__INSERT_ROW, &(struct kw__waiting){.item = row, .sequence = sequence})
                             : status;
    return status == KW_OK ? kw__inserts_show_row(inserts, row) : status;
}

enum kw_status kw__inserts_count(struct kw__inserts *inserts, struct kw_bytes project, int64_t change)
{
    struct kw__query query = kw__query_open(inserts->writer, KW__SQL_COUNT_ADD);
    kw__query_text(&query, project);
    kw__query_i64(&query, change);
    return kw__query_run(&query);
}

static enum kw_status count_added(struct kw__inserts *inserts)
{
    int64_t added = inserts->added;
    struct kw_bytes project = inserts->project;
    inserts->added = 0;
    inserts->project = (struct kw_bytes){NULL, 0};
    return added == 0 ? KW_OK : kw__inserts_count(inserts, project, added);
}

enum kw_status kw__inserts_show_row(struct kw__inserts *inserts, const struct kw_store_row *row)
{
    if (row->erased) {
        return KW_OK;
    }
    bool is_same_run = kw_bytes_equal(inserts->project, row->project);
    enum kw_status status = is_same_run ? KW_OK : count_added(inserts);
    inserts->project = row->project;
    inserts->added++;
    struct kw_bytes packed_tags = row->tags.packed;
    struct kw_bytes tag;
    while (status == KW_OK && kw_list_next(&packed_tags, &tag)) {
        status = add(inserts, KW__INSERT_TAG, &(struct kw__waiting){.item = row, .text = tag});
    }
    return status;
}

enum kw_status kw__inserts_add_audit(struct kw__inserts *inserts, const struct kw_store_audit *audit,
                                     const struct kw__sequences *last)
{
    return add(inserts, KW__INSERT_AUDIT,
               &(struct kw__waiting){.item = audit, .sequence = last->audit, .high_ms = last->audit_high_ms});
}

enum kw_status kw__inserts_add_seal(struct kw__inserts *inserts, const struct kw_store_seal *seal)
{
    return add(inserts, KW__INSERT_SEAL, &(struct kw__waiting){.item = seal});
}

enum kw_status kw__inserts_add_event(struct kw__inserts *inserts, const struct kw_store_event *event, uint64_t sequence)
{
    struct kw__waiting waiting = {.item = event, .sequence = sequence};
    enum kw_status status = add(inserts, KW__INSERT_EVENT, &waiting);
    return status == KW_OK ? add(inserts, KW__INSERT_CLAIM, &waiting) : status;
}

enum kw_status kw__inserts_add_digest(struct kw__inserts *inserts, struct kw_bytes digest, const struct kw_id *id)
{
    kw__sieve_add(&inserts->digests->sieve, kw__digest_start(digest));
    return add(inserts, KW__INSERT_DIGEST, &(struct kw__waiting){.item = id, .text = digest});
}

enum kw_status kw__inserts_run_digests(struct kw__inserts *inserts)
{
    return run(inserts, KW__INSERT_DIGEST);
}

enum kw_status kw__inserts_run_rows(struct kw__inserts *inserts)
{
    enum kw_status status = run(inserts, KW__INSERT_ROW);
    return status == KW_OK ? run(inserts, KW__INSERT_TAG) : status;
}

enum kw_status kw__inserts_run_all(struct kw__inserts *inserts)
{
    enum kw_status status = KW_OK;
    for (size_t kind = 0; kind < KW__INSERT_KINDS && status == KW_OK; kind++) {
        status = run(inserts, (enum kw__insert)kind);
    }
    return status == KW_OK ? count_added(inserts) : status;
}

void kw__inserts_drop(struct kw__inserts *inserts)
{
    memset(inserts->counts, 0, sizeof inserts->counts);
    inserts->added = 0;
    inserts->project = (struct kw_bytes){NULL, 0};
}
