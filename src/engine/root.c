#include "engine/internal.h"

#include "base/bytes.h"
#include "core/id.h"

/* What the search for root keys found. */
struct roots {
    struct kw_id others[64]; /* root keys to retire; more are left to the next start */
    size_t other_count;
    struct kw_id chosen;
    bool found; /* the chosen one is there and active; without a chosen one: any */
};

static enum kw_status check_chosen(const struct kw_secret *chosen, struct kw_error *error_out)
{
    const struct kw_project *project = kw_project_built_in(KW_PROJECT_KEYWARD);
    struct kw_bytes key = kw_secret_expose(chosen);
    struct kw_bytes prefix = project->environments[0].secret_keys.prefix;
    size_t size_min = prefix.size + KW_KEY_LENGTH_DEFAULT + KW_KEY_CHECKSUM_SIZE;
    if (!kw_key_well_formed(key) || !kw_project_has_prefix_of(project, key) || key.size < size_min) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "KEYWARD_ROOT_KEY",
                         "this is no management key: make one with `keyward generate --management`");
    }
    return KW_OK;
}

struct chosen_row {
    bool is_there, is_active_root;
    struct kw_id id;
    int64_t now_ms;
};

static enum kw_status chosen_sink(void *context, const struct kw_store_row *row)
{
    struct chosen_row *chosen = context;
    struct kw_record record;
    chosen->is_there = true;
    chosen->id = row->id;
    if (row->erased || kw_record_decode(row->record, &record) != KW_OK) {
        return KW_OK;
    }
    chosen->is_active_root = kw_bytes_equal(record.owner, KW_BYTES(KW_ROOT_OWNER)) &&
                             kw_record_status(&record, chosen->now_ms) == KW_KEY_ACTIVE;
    return KW_OK;
}

static enum kw_status look_up_chosen(struct kw_engine *engine, const struct kw_secret *chosen, struct roots *roots,
                                     struct kw_error *error_out)
{
    struct chosen_row found = {.now_ms = kw_engine_now_ms(engine)};
    enum kw_status status = KW_E_NOT_FOUND;
    for (size_t i = 1; i < KW_METHODS_MAX && status == KW_E_NOT_FOUND; i++) {
        struct kw_digest digest;
        if (!kw_engine_digest(engine, (uint8_t)i, kw_secret_expose(chosen), &digest)) {
            continue;
        }
        status = engine->store->ops->find_by_digest(engine->store, kw_bytes_of(digest.bytes, digest.size), chosen_sink,
                                                    &found);
    }
    if (status != KW_OK && status != KW_E_NOT_FOUND) {
        return kw__store_failed(error_out, status);
    }
    if (found.is_there && !found.is_active_root) {
        return kw_refuse(
            error_out, KW_CODE_INVALID_FIELD, "KEYWARD_ROOT_KEY",
            "this key was used before and is retired: make a new one with `keyward generate --management`");
    }
    roots->found = found.is_active_root;
    roots->chosen = found.id;
    return KW_OK;
}

/* One page of root keys that are not revoked. With a chosen one, all others are to be retired. */
static enum kw_status find_page(struct kw_engine *engine, const struct kw_list_query *query, bool has_chosen,
                                struct roots *roots, struct kw_op *op)
{
    op->query = query;
    enum kw_status status = kw_engine_run(engine, op);
    struct kw_bytes rest = kw_buffer_bytes(&op->result);
    struct kw_bytes encoding;
    while (status == KW_OK && roots->other_count < KW_COUNT_OF(roots->others) && kw_op_next(&rest, &encoding)) {
        struct kw_record record;
        if (kw_record_decode(encoding, &record) != KW_OK) {
            continue;
        }
        enum kw_key_status state = kw_record_status(&record, op->now_ms);
        if (!has_chosen) {
            roots->found = roots->found || state == KW_KEY_ACTIVE;
        } else if (state != KW_KEY_REVOKED && !(roots->found && kw_id_equal(&record.id, &roots->chosen))) {
            roots->others[roots->other_count++] = record.id;
        }
    }
    return status;
}

static enum kw_status find_roots(struct kw_engine *engine, const struct kw_secret *chosen, struct roots *roots,
                                 struct kw_error *error_out)
{
    struct kw_list_query query = {.owner = KW_BYTES(KW_ROOT_OWNER), .limit = 100};
    enum kw_status status = KW_OK;
    bool has_more = true;
    while (has_more && status == KW_OK) {
        struct kw_op op;
        kw_op_init(&op, KW_OP_LIST, KW_PROJECT_KEYWARD);
        status = find_page(engine, &query, chosen != NULL, roots, &op);
        if (status != KW_OK && error_out != NULL) {
            *error_out = op.error;
        }
        has_more = op.has_more;
        query.after = op.cursor;
        kw_op_deinit(&op);
    }
    return status;
}

static enum kw_status create_root(struct kw_engine *engine, const struct kw_secret *chosen, struct kw_secret *made_out,
                                  struct kw_error *error_out)
{
    struct kw_bytes all = KW_BYTES("*");
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_NAME | KW_GIVEN_SCOPES,
                                   .owner = KW_BYTES(KW_ROOT_OWNER),
                                   .name = KW_BYTES("Root key"),
                                   .scopes = &all,
                                   .scope_count = 1};
    struct kw_op op;
    kw_op_init(&op, KW_OP_CREATE, KW_PROJECT_KEYWARD);
    op.params = &params;
    op.is_root = true;
    op.chosen_key = chosen;
    op.actor = KW_BYTES("operator");
    enum kw_status status = kw_engine_run(engine, &op);
    if (status == KW_OK && chosen == NULL) {
        *made_out = op.secret;
    }
    if (status != KW_OK && error_out != NULL) {
        *error_out = op.error;
    }
    kw_op_deinit(&op);
    return status;
}

static enum kw_status retire(struct kw_engine *engine, const struct kw_id *id, struct kw_error *error_out)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_REVOKE, KW_PROJECT_KEYWARD);
    op.id = *id;
    op.actor = KW_BYTES("operator");
    op.reason = KW_BYTES("another root key was set");
    enum kw_status status = kw_engine_run(engine, &op);
    if (status != KW_OK && error_out != NULL) {
        *error_out = op.error;
    }
    kw_op_deinit(&op);
    return status;
}

enum kw_status kw_engine_root_key(struct kw_engine *engine, const struct kw_secret *chosen, struct kw_secret *made_out,
                                  struct kw_error *error_out)
{
    struct roots roots = {0};
    made_out->size = 0;
    enum kw_status status = KW_OK;
    if (chosen != NULL) {
        status = check_chosen(chosen, error_out);
        status = status != KW_OK ? status : look_up_chosen(engine, chosen, &roots, error_out);
    }
    status = status != KW_OK ? status : find_roots(engine, chosen, &roots, error_out);
    if (status == KW_OK && !roots.found) {
        status = create_root(engine, chosen, made_out, error_out);
    }
    for (size_t i = 0; i < roots.other_count && status == KW_OK; i++) {
        status = retire(engine, &roots.others[i], error_out);
    }
    return status;
}
