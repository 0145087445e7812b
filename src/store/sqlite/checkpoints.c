#include "store/sqlite/sqlite.h"

#include "store/check.h"

enum kw_status kw__sqlite_set_checkpoint(struct kw__connection *writer, const struct kw_store_checkpoint *checkpoint)
{
    bool removes = checkpoint->bytes.size == 0;
    struct kw__query query = kw__query_open(writer, removes ? KW__SQL_CHECKPOINT_DELETE : KW__SQL_CHECKPOINT_WRITE);
    kw__query_text(&query, checkpoint->project);
    kw__query_i64(&query, (int64_t)checkpoint->place);
    if (!removes) {
        kw__query_blob(&query, checkpoint->bytes);
    }
    return kw__query_run(&query);
}

/* Before the first, or behind the last where the list goes back, is outside of every place. */
static int64_t bound_of(uint64_t after, bool is_back)
{
    bool is_open = after > INT64_MAX || (is_back && after == 0);
    return is_open ? INT64_MAX : (int64_t)after;
}

static enum kw_status list_with(struct kw__connection *reader, struct kw_bytes project, int64_t bound, bool is_back,
                                size_t limit, kw_store_checkpoint_sink *sink, void *context)
{
    struct kw__query query = kw__query_open(reader, is_back ? KW__SQL_CHECKPOINT_LIST_BACK : KW__SQL_CHECKPOINT_LIST);
    bool is_there = false;
    kw__query_text(&query, project);
    kw__query_i64(&query, bound);
    kw__query_i64(&query, (int64_t)limit);
    enum kw_status status = kw__query_next(&query, &is_there);
    while (status == KW_OK && is_there) {
        struct kw_store_checkpoint checkpoint = {project, (uint64_t)sqlite3_column_int64(query.statement, 0),
                                                 kw__column_bytes(&query, 1)};
        status = sink(context, &checkpoint);
        status = status == KW_OK ? kw__query_next(&query, &is_there) : status;
    }
    kw__query_close(&query);
    return status;
}

enum kw_status kw__sqlite_audit_checkpoints(struct kw_store *store, struct kw_bytes project, uint64_t after,
                                            bool is_back, size_t limit, kw_store_checkpoint_sink *sink, void *context)
{
    struct kw__sqlite *sqlite = (struct kw__sqlite *)store;
    enum kw_status status = kw__store_check_limit(limit);
    if (status != KW_OK) {
        return status;
    }
    struct kw__connection *reader = kw__reader_take(sqlite);
    status = list_with(reader, project, bound_of(after, is_back), is_back, limit, sink, context);
    kw__reader_give(sqlite, reader);
    return status;
}

static enum kw_status run_on_one(struct kw__connection *writer, struct kw__query *query)
{
    enum kw_status status = kw__query_run(query);
    return status == KW_OK && sqlite3_changes64(writer->db) != 1 ? KW_E_CONFLICT : status;
}

enum kw_status kw__sqlite_erase(struct kw__connection *writer, const struct kw_store_erasure *erasure)
{
    struct kw__query seal = kw__query_open(writer, KW__SQL_SEAL_REPLACE);
    kw__query_i64(&seal, (int64_t)erasure->sequence);
    kw__query_blob(&seal, erasure->seal);
    enum kw_status status = run_on_one(writer, &seal);
    if (status != KW_OK) {
        return status;
    }
    struct kw__query line = kw__query_open(writer, KW__SQL_AUDIT_ERASE);
    kw__query_i64(&line, (int64_t)erasure->sequence);
    kw__query_i64(&line, erasure->owner);
    kw__query_i64(&line, erasure->actor);
    kw__query_i64(&line, erasure->context);
    kw__query_i64(&line, erasure->body);
    return run_on_one(writer, &line);
}
