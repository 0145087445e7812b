#include "kin.h"

#include "core/id.h"

static const struct kw_bytes read_and_write[] = {{(const uint8_t *)"read", 4}, {(const uint8_t *)"write", 5}};
const struct kw_key_params kin_reads = {.given = KW_GIVEN_SCOPES, .scopes = read_and_write, .scope_count = 1};
const struct kw_key_params kin_reads_and_writes = {
    .given = KW_GIVEN_SCOPES, .scopes = read_and_write, .scope_count = 2};

static enum kw_status run(struct test_engine *fixture, struct kw_op *op, struct kin *made_out,
                          struct kw_error *error_out)
{
    struct kw_record record;
    op->actor = KW_BYTES("test");
    enum kw_status status = kw_engine_run(fixture->engine, op);
    if (status == KW_OK && op->secret.size != 0 && kw_record_decode(kw_buffer_bytes(&op->result), &record) == KW_OK) {
        *made_out = (struct kin){record.id, op->secret};
    }
    if (error_out != NULL) {
        *error_out = op->error;
    }
    kw_op_deinit(op);
    return status;
}

enum kw_status kin_change(struct test_engine *fixture, struct kin *kin, enum kw_op_kind kind,
                          const struct kw_key_params *params, int64_t grace_ms, struct kw_error *error_out)
{
    struct kw_op op;
    kw_op_init(&op, kind, KW_PROJECT_DEFAULT);
    op.id = kin->id;
    op.params = params;
    op.grace_ms = grace_ms;
    return run(fixture, &op, kin, error_out);
}

enum kw_status kin_try(struct test_engine *fixture, const struct kin *parent, const struct kw_key_params *params,
                       struct kin *made_out, struct kw_error *error_out)
{
    struct kw_key_params asked = params == NULL ? (struct kw_key_params){0} : *params;
    char parent_id[KW_ID_TEXT_SIZE];
    struct kw_op op;
    kw_op_init(&op, KW_OP_CREATE, KW_PROJECT_DEFAULT);
    if (parent != NULL) {
        asked.given |= KW_GIVEN_PARENT;
        kw_id_format(&parent->id, parent_id);
        asked.parent = kw_bytes_of(parent_id, sizeof parent_id);
    } else {
        asked.given |= KW_GIVEN_OWNER;
        asked.owner = KW_BYTES("user:1");
    }
    op.params = &asked;
    return run(fixture, &op, made_out, error_out);
}

bool kin_make(struct test *t, struct test_engine *fixture, const struct kin *parent, const struct kw_key_params *params,
              struct kin *made_out)
{
    struct kw_error error;
    enum kw_status status = kin_try(fixture, parent, params, made_out, &error);
    if (status != KW_OK) {
        test_fail(t, __FILE__, __LINE__, "not made: %s: %s %s", kw_status_name(status), error.field, error.message);
    }
    return status == KW_OK;
}

static enum kw_code ask(struct test_engine *fixture, const struct kin *kin, const char *scope, struct kw_id *bound_out,
                        bool *needs_store_out)
{
    struct kw_bytes wanted = kw_bytes_of_text(scope == NULL ? "" : scope);
    struct kw_verification v = {
        .key = kw_secret_expose(&kin->key),
        .question = {.project = KW_PROJECT_DEFAULT, .scopes = &wanted, .scope_count = scope == NULL ? 0 : 1}};
    kw_engine_read_begin();
    kw_engine_verify(fixture->engine, &v, kw_engine_now_ms(fixture->engine));
    if (bound_out != NULL) {
        *bound_out = v.bound == NULL ? (struct kw_id){{0}} : kw_entry_id(v.bound);
    }
    kw_engine_read_end();
    *needs_store_out = v.needs_store;
    return v.code;
}

enum kw_code kin_verify(struct test_engine *fixture, const struct kin *kin, const char *scope, struct kw_id *bound_out)
{
    bool needs_store;
    enum kw_code code = ask(fixture, kin, scope, bound_out, &needs_store);
    if (!needs_store) {
        return code;
    }
    struct kw_op op;
    kw_op_init(&op, KW_OP_LOAD, KW_PROJECT_NONE);
    op.key = kw_secret_expose(&kin->key);
    enum kw_status status = kw_engine_run(fixture->engine, &op);
    kw_op_deinit(&op);
    code = ask(fixture, kin, scope, bound_out, &needs_store);
    return status == KW_OK || status == KW_E_NOT_FOUND ? code : KW_CODE_STORE_UNAVAILABLE;
}

enum kw_code kin_explain(struct test_engine *fixture, const struct kin *kin)
{
    struct kw_check checks[KW_RULE_COUNT];
    struct kw_verification v = {
        .key = kw_secret_expose(&kin->key), .question = {.project = KW_PROJECT_DEFAULT}, .checks = checks};
    kw_engine_read_begin();
    kw_engine_verify(fixture->engine, &v, kw_engine_now_ms(fixture->engine));
    kw_engine_read_end();
    for (size_t rule = 0; rule < KW_RULE_COUNT; rule++) {
        if (checks[rule].outcome == KW_OUTCOME_REFUSED) {
            return checks[rule].decision.code;
        }
    }
    return KW_CODE_NONE;
}

struct found {
    struct kw_record *record;
    uint8_t *memory;
};

static enum kw_status keep(void *context, const struct kw_store_row *row)
{
    const struct found *found = context;
    if (row->record.size > 4096) {
        return KW_E_LIMIT;
    }
    memcpy(found->memory, row->record.data, row->record.size);
    return kw_record_decode(kw_bytes_of(found->memory, row->record.size), found->record);
}

bool kin_record(struct test_engine *fixture, const struct kw_id *id, struct kw_record *record_out, uint8_t memory[4096])
{
    struct found found = {record_out, memory};
    return fixture->store->ops->find_by_id(fixture->store, id, keep, &found) == KW_OK;
}
