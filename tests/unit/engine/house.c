#include "house.h"

#include "core/id.h"
#include "shelf.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool house_begin(struct test *t, struct house *house, bool on_sqlite)
{
    *house = (struct house){.t = t};
    if (!on_sqlite) {
        bool is_open = shelf_open(&house->shelf);
        CHECK(t, is_open);
        return is_open;
    }
    snprintf(house->folder, sizeof house->folder, "/tmp/keyward-house-XXXXXX");
    bool is_made = mkdtemp(house->folder) != NULL;
    CHECK(t, is_made);
    return is_made;
}

static void path_of(const struct house *house, const char *name, char path[96])
{
    snprintf(path, 96, "%s/%s", house->folder, name);
}

void house_end(struct house *house)
{
    static const char *const names[] = {"k.db", "k.db-wal", "k.db-shm", "k.db-journal"};
    house_close(house);
    if (house->shelf != NULL) {
        shelf_close(house->shelf);
        return;
    }
    for (size_t i = 0; i < KW_COUNT_OF(names); i++) {
        char path[96];
        path_of(house, names[i], path);
        (void)unlink(path);
    }
    (void)rmdir(house->folder);
}

void house_pepper(char letter, struct kw_secret *pepper_out)
{
    uint8_t bytes[KW_PEPPER_SIZE];
    memset(bytes, letter, sizeof bytes);
    enum kw_status status = kw_secret_set(pepper_out, kw_bytes_of(bytes, sizeof bytes));
    (void)status; /* they always fit */
}

static int64_t now_of(void *context)
{
    return __atomic_load_n((const int64_t *)context, __ATOMIC_RELAXED);
}

enum kw_status house_open(struct house *house, const char *peppers)
{
    struct test_engine *fixture = &house->fixture;
    struct kw_secret secrets[16] = {{{0}, 0}};
    *fixture = (struct test_engine){.store = house->shelf, .now_ms = TEST_NOW_MS};
    for (size_t i = 0; peppers != NULL && peppers[i] != '\0'; i++) {
        house_pepper(peppers[i], &secrets[i]);
    }
    if (house->shelf == NULL) {
        char path[96];
        path_of(house, "k.db", path);
        enum kw_status status = kw_store_sqlite_open(path, &fixture->store, &house->error);
        if (status != KW_OK) {
            return status;
        }
    }
    struct kw_engine_options options = {.pepper = peppers != NULL ? secrets : house->kept->items,
                                        .pepper_count = peppers != NULL ? strlen(peppers) : house->kept->count,
                                        .pepper_keeper = house->keeper,
                                        .clock = {now_of, &fixture->now_ms},
                                        .entropy = kw_entropy_system()};
    enum kw_status status = kw_engine_open(&options, fixture->store, &fixture->engine, &house->error);
    if (status == KW_OK && !house->opens_at_once) {
        kw_engine_wait_filled(fixture->engine);
    }
    return status;
}

void house_close(struct house *house)
{
    kw_engine_close(house->fixture.engine);
    house->fixture.engine = NULL;
}

/* The writer writes down what was noted after each group: so before it takes the second of these. */
void house_settle(struct house *house)
{
    for (int i = 0; i < 2; i++) {
        struct kw_id nobody = {{0xff}};
        CHECK_STATUS(house->t, test_engine_do(&house->fixture, KW_OP_REVOKE, &nobody, NULL), KW_E_NOT_FOUND);
    }
}

struct kept {
    struct house *house;
    struct kw_record record;
};

static enum kw_status keep(void *context, const struct kw_store_row *row)
{
    struct kept *kept = context;
    if (row->record.size > sizeof kept->house->record_memory) {
        return KW_E_LIMIT;
    }
    memcpy(kept->house->record_memory, row->record.data, row->record.size);
    enum kw_status status = kw_record_decode(kw_bytes_of(kept->house->record_memory, row->record.size), &kept->record);
    CHECK_I64(kept->house->t, row->digest_scheme, kw_record_digest_method(&kept->record));
    return status;
}

bool house_record(struct house *house, const struct kw_id *id, struct kw_record *record_out)
{
    struct kept kept = {.house = house};
    struct kw_store *store = house->fixture.store;
    bool is_there = store->ops->find_by_id(store, id, keep, &kept) == KW_OK;
    *record_out = kept.record;
    return is_there;
}

bool house_has_digest(struct house *house, uint8_t method, struct kw_bytes key)
{
    struct kept kept = {.house = house};
    struct kw_digest digest;
    struct kw_store *store = house->fixture.store;
    return kw_engine_digest(house->fixture.engine, method, key, &digest) &&
           store->ops->find_by_digest(store, kw_bytes_of(digest.bytes, digest.size), keep, &kept) == KW_OK;
}

struct kw_id house_import(struct house *house, struct kw_bytes key, uint8_t method, uint8_t number,
                          enum house_state state)
{
    struct kw_digest digest;
    struct kw_digest_method meant;
    struct kw_store *store = house->fixture.store;
    struct kw_record record = {
        .id = {{1, number}},
        .lineage_id = {{1, number}},
        .version = 1,
        .project = KW_BYTES("default"),
        .env = KW_BYTES("live"),
        .enabled = true,
        .owner = KW_BYTES("user:7"),
        .created_at_ms = 1,
        .updated_at_ms = 1,
        .revoked_at_ms = state == HOUSE_ACTIVE ? 0 : 2,
        .imported = state != HOUSE_ERASED,
    };
    bool is_known = kw_engine_digest(house->fixture.engine, method, key, &digest) &&
                    kw_engine_method(house->fixture.engine, method, &meant);
    CHECK(house->t, is_known);
    if (!is_known) {
        return record.id;
    }
    record.digest_scheme = meant.scheme;
    record.digest_method = method == (uint8_t)meant.scheme ? 0 : method;
    record.owner = state == HOUSE_ERASED ? (struct kw_bytes){NULL, 0} : record.owner;
    uint8_t memory[1024];
    struct kw_buffer encoding;
    kw_buffer_init_fixed(&encoding, memory, sizeof memory);
    CHECK_STATUS(house->t, kw_record_encode(&record, &encoding), KW_OK);
    struct kw_store_put put = {.row = {.id = record.id,
                                       .digest = kw_bytes_of(digest.bytes, digest.size),
                                       .digest_scheme = method,
                                       .project = record.project,
                                       .env = record.env,
                                       .owner = record.owner,
                                       .version = 1,
                                       .erased = state == HOUSE_ERASED,
                                       .record = kw_buffer_bytes(&encoding)}};
    struct kw_store_batch batch = {.puts = &put, .put_count = 1};
    CHECK_STATUS(house->t, store->ops->commit(store, &batch, 1), KW_OK);
    CHECK_STATUS(house->t, batch.outcome, KW_OK);
    return record.id;
}

enum kw_code house_verify(struct house *house, struct kw_bytes key)
{
    struct kw_secret secret KW_WIPED = {0};
    CHECK_STATUS(house->t, kw_secret_set(&secret, key), KW_OK);
    return test_engine_verify(&house->fixture, &secret);
}

enum kw_status house_change_project(struct house *house, const char *json)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_DOCUMENT_UPDATE, KW_PROJECT_NONE);
    op.document = KW_DOCUMENT_PROJECT;
    op.name = KW_BYTES("default");
    op.json = kw_bytes_of_text(json);
    op.actor = KW_BYTES("test");
    enum kw_status status = kw_engine_run(house->fixture.engine, &op);
    kw_op_deinit(&op);
    return status;
}
