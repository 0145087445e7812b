#include "support/engine.h"

static int64_t now_of(void *context)
{
    return __atomic_load_n(&((struct test_engine *)context)->now_ms, __ATOMIC_RELAXED);
}

bool test_engine_open(struct test *t, struct test_engine *fixture, struct kw_store *store_take)
{
    return test_engine_open_small(t, fixture, store_take, 0);
}

static bool open_with(struct test *t, struct test_engine *fixture, struct kw_store *store_take, size_t bulk_max,
                      const struct kw_secret *audit_seed)
{
    *fixture = (struct test_engine){.store = store_take, .now_ms = TEST_NOW_MS};
    if (store_take == NULL && kw_store_memory_open(&fixture->store) != KW_OK) {
        test_fail(t, __FILE__, __LINE__, "no memory store");
        return false;
    }
    uint8_t bytes[KW_PEPPER_SIZE] = "the pepper of the engine's tests";
    struct kw_secret pepper KW_WIPED = {0};
    struct kw_error error = {0};
    if (kw_secret_set(&pepper, kw_bytes_of(bytes, sizeof bytes)) != KW_OK) {
        return false;
    }
    struct kw_engine_options options = {.pepper = &pepper,
                                        .clock = {now_of, fixture},
                                        .entropy = kw_entropy_system(),
                                        .reader_count = 2,
                                        .bulk_max = bulk_max,
                                        .audit_seed = audit_seed,
                                        .counts_by_hand = true};
    if (kw_engine_open(&options, fixture->store, &fixture->engine, &error) != KW_OK) {
        test_fail(t, __FILE__, __LINE__, "no engine: %s", error.message);
        return false;
    }
    return true;
}

bool test_engine_open_small(struct test *t, struct test_engine *fixture, struct kw_store *store_take, size_t bulk_max)
{
    return open_with(t, fixture, store_take, bulk_max, NULL);
}

bool test_engine_open_signing(struct test *t, struct test_engine *fixture, struct kw_store *store_take)
{
    uint8_t bytes[32] = "the seed of the engine's tests";
    struct kw_secret seed KW_WIPED = {0};
    return kw_secret_set(&seed, kw_bytes_of(bytes, sizeof bytes)) == KW_OK &&
           open_with(t, fixture, store_take, 0, &seed);
}

void test_engine_close(struct test_engine *fixture)
{
    kw_engine_close(fixture->engine);
    fixture->engine = NULL;
}

bool test_engine_create(struct test *t, struct test_engine *fixture, const struct kw_key_params *params,
                        struct kw_id *id_out, struct kw_secret *key_out)
{
    struct kw_key_params plain = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:1")};
    struct kw_op op;
    kw_op_init(&op, KW_OP_CREATE, KW_PROJECT_DEFAULT);
    op.params = params == NULL ? &plain : params;
    op.actor = KW_BYTES("test");
    enum kw_status status = kw_engine_run(fixture->engine, &op);
    struct kw_record record;
    if (status != KW_OK || kw_record_decode(kw_buffer_bytes(&op.result), &record) != KW_OK) {
        test_fail(t, __FILE__, __LINE__, "not created: %s: %s", kw_status_name(status), op.error.message);
        kw_op_deinit(&op);
        return false;
    }
    *id_out = record.id;
    *key_out = op.secret;
    kw_op_deinit(&op);
    return true;
}

enum kw_status test_engine_do(struct test_engine *fixture, enum kw_op_kind kind, const struct kw_id *id,
                              struct kw_error *error_out)
{
    struct kw_op op;
    kw_op_init(&op, kind, KW_PROJECT_DEFAULT);
    op.id = *id;
    op.actor = KW_BYTES("test");
    enum kw_status status = kw_engine_run(fixture->engine, &op);
    if (error_out != NULL) {
        *error_out = op.error;
    }
    kw_op_deinit(&op);
    return status;
}

static enum kw_code verify_once(struct test_engine *fixture, struct kw_bytes key, bool *needs_store_out)
{
    struct kw_verification v = {.key = key, .question = {.project = KW_PROJECT_DEFAULT}};
    kw_engine_read_begin();
    kw_engine_verify(fixture->engine, &v, kw_engine_now_ms(fixture->engine));
    kw_engine_read_end();
    *needs_store_out = v.needs_store;
    return v.code;
}

enum kw_code test_engine_verify(struct test_engine *fixture, const struct kw_secret *key)
{
    bool needs_store;
    enum kw_code code = verify_once(fixture, kw_secret_expose(key), &needs_store);
    if (!needs_store) {
        return code;
    }
    struct kw_op op;
    kw_op_init(&op, KW_OP_LOAD, KW_PROJECT_NONE);
    op.key = kw_secret_expose(key);
    enum kw_status status = kw_engine_run(fixture->engine, &op);
    kw_op_deinit(&op);
    code = verify_once(fixture, kw_secret_expose(key), &needs_store);
    return status == KW_OK || status == KW_E_NOT_FOUND ? code : KW_CODE_STORE_UNAVAILABLE;
}
