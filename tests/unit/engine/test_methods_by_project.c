/*
 * Digest methods are counted by project: what the keys of one have takes no place in another and costs its
 * verifications nothing, and what is held back for any of them is held back.
 */
#include "core/id.h"
#include "drawer.h"
#include "shelf.h"

#include <stdio.h>

#define ANY ((struct kw_bytes){NULL, 0})
#define SALTS_MAX (KW_METHODS_OF_PROJECT_MAX - 1) /* beside the project's own method */
#define LISTED KW_BYTES("legacy-0123456789abcdef")
#define PROBE KW_BYTES("legacy-of-sha512-probing")

static uint16_t add_project(struct house *house, const char *json)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_DOCUMENT_CREATE, KW_PROJECT_NONE);
    op.document = KW_DOCUMENT_PROJECT;
    op.json = kw_bytes_of_text(json);
    op.actor = KW_BYTES("test");
    CHECK_STATUS(house->t, kw_engine_run(house->fixture.engine, &op), KW_OK);
    kw_op_deinit(&op);
    kw_engine_read_begin();
    size_t count = kw_engine_catalog(house->fixture.engine)->number_count;
    kw_engine_read_end();
    return (uint16_t)(count - 1); /* the newest has the highest number */
}

static bool create_in(struct house *house, uint16_t project, struct kw_id *id_out, struct kw_secret *key_out)
{
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("user:1")};
    struct kw_record record = {.version = 0};
    struct kw_op op;
    kw_op_init(&op, KW_OP_CREATE, project);
    op.params = &params;
    op.actor = KW_BYTES("test");
    bool is_made = kw_engine_run(house->fixture.engine, &op) == KW_OK &&
                   kw_record_decode(kw_buffer_bytes(&op.result), &record) == KW_OK;
    CHECK(house->t, is_made);
    *id_out = record.id;
    *key_out = op.secret;
    kw_op_deinit(&op);
    return is_made;
}

static enum kw_status do_in(struct house *house, uint16_t project, enum kw_op_kind kind, const struct kw_id *id)
{
    struct kw_op op;
    kw_op_init(&op, kind, project);
    op.id = *id;
    op.actor = KW_BYTES("test");
    enum kw_status status = kw_engine_run(house->fixture.engine, &op);
    kw_op_deinit(&op);
    return status;
}

/* What the index alone says. */
static enum kw_code verify_in(struct house *house, uint16_t project, struct kw_bytes key)
{
    struct kw_verification v = {.key = key, .question = {.project = project}};
    kw_engine_read_begin();
    kw_engine_verify(house->fixture.engine, &v, TEST_NOW_MS);
    kw_engine_read_end();
    CHECK(house->t, !v.needs_store);
    return v.code;
}

/* A method of one salt, taken for a project. */
static enum kw_status take_salt(struct house *house, uint16_t project, const char *salt, uint8_t *number_out)
{
    struct kw_digest_method method = {.scheme = KW_DIGEST_SHA256_SALTED,
                                      .project = project,
                                      .salt_size = (uint8_t)strlen(salt),
                                      .salt_place = KW_SALT_AFTER_KEY};
    memcpy(method.salt, salt, method.salt_size);
    house->error = (struct kw_error){0};
    return kw_engine_method_take(house->fixture.engine, project, &method, false, number_out, &house->error);
}

/* How many salts more the project may have, which are taken for it. */
static int take_all(struct house *house, uint16_t project, char first)
{
    int count = 0;
    uint8_t number;
    char salt[] = {first, '0', '\0'};
    while (count <= KW_METHODS_OF_PROJECT_MAX && take_salt(house, project, salt, &number) == KW_OK) {
        salt[1] = (char)('0' + ++count);
    }
    CHECK_TEXT(house->t, house->error.code, "LIMIT_REACHED");
    return count;
}

/*
 * Puts a row into the store whose digest is one that the key has by SHA-512, though its record names the pepper's
 * method, and counts for that: whoever finds it has looked the key up by SHA-512.
 */
static void lay_probe(struct house *house, struct kw_bytes key, bool is_erased)
{
    struct kw_digest digest;
    struct kw_record record = {.id = {{2}},
                               .lineage_id = {{2}},
                               .version = 1,
                               .project = KW_BYTES("default"),
                               .env = KW_BYTES("live"),
                               .enabled = true,
                               .digest_scheme = KW_DIGEST_HMAC_SHA256,
                               .owner = is_erased ? ANY : KW_BYTES("user:7"),
                               .created_at_ms = 1,
                               .updated_at_ms = 1,
                               .revoked_at_ms = is_erased ? 2 : 0};
    uint8_t memory[512];
    struct kw_buffer encoding;
    struct kw_store *store = house->fixture.store;
    kw_buffer_init_fixed(&encoding, memory, sizeof memory);
    CHECK(house->t, kw_engine_digest(house->fixture.engine, KW_DIGEST_SHA512, key, &digest));
    CHECK_STATUS(house->t, kw_record_encode(&record, &encoding), KW_OK);
    struct kw_store_put put = {.row = {.id = record.id,
                                       .digest = kw_bytes_of(digest.bytes, digest.size),
                                       .digest_scheme = KW_DIGEST_HMAC_SHA256,
                                       .project = record.project,
                                       .env = record.env,
                                       .owner = record.owner,
                                       .version = 1,
                                       .erased = is_erased,
                                       .record = kw_buffer_bytes(&encoding)}};
    struct kw_store_batch batch = {.puts = &put, .put_count = 1};
    CHECK_STATUS(house->t, store->ops->commit(store, &batch, 1), KW_OK);
    CHECK_STATUS(house->t, batch.outcome, KW_OK);
}

static void reopen(struct house *house, const char *peppers)
{
    house_close(house);
    REQUIRE_OK(house->t, house_open(house, peppers));
}

/* In the default project a key that was imported under the pepper, in another one a key by SHA-512. */
static void prepare_probe(struct test *t, struct house *house, bool is_erased)
{
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    REQUIRE(t, house_begin(t, house, false));
    REQUIRE_OK(t, house_open(house, "a"));
    REQUIRE_OK(t, kw_engine_foreign_add(house->fixture.engine, KW_PROJECT_DEFAULT, ANY, &house->error));
    (void)house_import(house, LISTED, KW_DIGEST_HMAC_SHA256, 1, HOUSE_ACTIVE);
    lay_probe(house, is_erased ? LISTED : PROBE, is_erased);
    uint16_t other = add_project(house, "{\"name\":\"other\",\"digest\":\"sha512\"}");
    REQUIRE(t, create_in(house, other, &id, &key));
    for (int start = 0; start < 2; start++) {
        CHECK_I64(t, verify_in(house, other, kw_secret_expose(&key)), KW_CODE_NONE);
        reopen(house, "a");
    }
    if (is_erased) {
        CHECK_STATUS(t, do_in(house, other, KW_OP_REVOKE, &id), KW_OK);
        CHECK_STATUS(t, do_in(house, other, KW_OP_ERASE, &id), KW_OK);
    }
}

static void no_key_is_looked_for_under_what_another_project_has(struct test *t)
{
    struct house house;
    prepare_probe(t, &house, false);
    CHECK_I64(t, verify_in(&house, KW_PROJECT_DEFAULT, PROBE), KW_CODE_INVALID_KEY);
    (void)house_import(&house, KW_BYTES("legacy-fedcba9876543210"), KW_DIGEST_SHA512, 3, HOUSE_ACTIVE);
    reopen(&house, "a"); /* which brings a key by SHA-512 into this project */
    CHECK_I64(t, verify_in(&house, KW_PROJECT_DEFAULT, PROBE), KW_CODE_NONE);
    house_end(&house);
}

static void nor_under_what_was_erased_there(struct test *t)
{
    struct house house;
    prepare_probe(t, &house, true);
    CHECK_I64(t, house_verify(&house, LISTED), KW_CODE_NONE);
    (void)house_import(&house, KW_BYTES("legacy-fedcba9876543210"), KW_DIGEST_SHA512, 3, HOUSE_ERASED);
    reopen(&house, "a");
    CHECK_I64(t, house_verify(&house, LISTED), KW_CODE_INVALID_KEY);
    house_end(&house);
}

/* Keys of nine peppers in the default project, and one of the newest in another. */
static void peppers_of_one_project_take_no_place_in_another(struct test *t)
{
    static const char peppers[] = "ihgfedcba";
    struct house house;
    struct kw_id ids[KW_COUNT_OF(peppers)];
    struct kw_secret keys[KW_COUNT_OF(peppers)] = {{{0}, 0}};
    uint8_t number;
    REQUIRE(t, house_begin(t, &house, true));
    for (size_t i = 0; i < 9; i++) {
        REQUIRE_OK(t, house_open(&house, peppers + 8 - i));
        REQUIRE(t, create_in(&house, KW_PROJECT_DEFAULT, &ids[i], &keys[i]));
        house_close(&house);
    }
    REQUIRE_OK(t, house_open(&house, peppers));
    uint16_t other = add_project(&house, "{\"name\":\"other\"}");
    REQUIRE(t, create_in(&house, other, &ids[9], &keys[9]));
    for (int start = 0; start < 2; start++) {
        CHECK_STATUS(t, take_salt(&house, KW_PROJECT_DEFAULT, "one more", &number), KW_E_CONFLICT);
        CHECK_TEXT(t, house.error.code, "LIMIT_REACHED");
        CHECK_I64(t, take_all(&house, other, 'o'), SALTS_MAX);
        reopen(&house, peppers);
    }
    for (size_t i = 0; i < 10; i++) {
        uint16_t mine = i < 9 ? KW_PROJECT_DEFAULT : other;
        CHECK_I64(t, verify_in(&house, mine, kw_secret_expose(&keys[i])), KW_CODE_NONE);
        house_settle(&house);
    }
    reopen(&house, "i"); /* all of them have moved by now */
    CHECK_I64(t, take_all(&house, KW_PROJECT_DEFAULT, 'd'), SALTS_MAX);
    for (size_t i = 0; i < 10; i++) {
        uint16_t mine = i < 9 ? KW_PROJECT_DEFAULT : other;
        uint16_t strange = i < 9 ? other : KW_PROJECT_DEFAULT;
        CHECK_I64(t, verify_in(&house, mine, kw_secret_expose(&keys[i])), KW_CODE_NONE);
        CHECK_I64(t, verify_in(&house, strange, kw_secret_expose(&keys[i])), KW_CODE_INVALID_KEY);
    }
    house_end(&house);
}

static void a_project_has_eight_of_its_own(struct test *t)
{
    struct house house;
    uint8_t number;
    struct kw_digest_method plain = {.scheme = KW_DIGEST_SHA512};
    REQUIRE(t, house_begin(t, &house, false));
    REQUIRE_OK(t, house_open(&house, "a"));
    uint16_t other = add_project(&house, "{\"name\":\"other\",\"digest\":\"sha512\"}");
    CHECK_I64(t, take_all(&house, KW_PROJECT_DEFAULT, 'd'), SALTS_MAX);
    CHECK_I64(t, take_all(&house, other, 'o'), SALTS_MAX);
    /* One of all projects has its place in those alone that it was taken for; the other one has it as its own. */
    CHECK_STATUS(t,
                 kw_engine_method_take(house.fixture.engine, KW_PROJECT_DEFAULT, &plain, false, &number, &house.error),
                 KW_E_CONFLICT);
    CHECK_TEXT(t, house.error.code, "LIMIT_REACHED");
    REQUIRE_OK(t, kw_engine_method_take(house.fixture.engine, other, &plain, false, &number, &house.error));
    CHECK_I64(t, number, KW_DIGEST_SHA512);
    reopen(&house, "a"); /* none of them has a record: so none is in use */
    REQUIRE_OK(t,
               kw_engine_method_take(house.fixture.engine, KW_PROJECT_DEFAULT, &plain, false, &number, &house.error));
    CHECK_I64(t, take_all(&house, KW_PROJECT_DEFAULT, 'd'), SALTS_MAX - 1);
    CHECK_I64(t, take_all(&house, other, 'o'), SALTS_MAX);
    struct kw_digest_method strange = {
        .scheme = KW_DIGEST_SHA256_SALTED, .project = other, .salt = "x", .salt_size = 1};
    CHECK_STATUS(
        t, kw_engine_method_take(house.fixture.engine, KW_PROJECT_DEFAULT, &strange, false, &number, &house.error),
        KW_E_NOT_FOUND);
    CHECK_TEXT(t, house.error.code, "PROJECT_NOT_FOUND");
    house_end(&house);
}

static void a_rehearsal_takes_no_place(struct test *t)
{
    struct house house;
    uint8_t number;
    struct kw_digest_method salted = {
        .scheme = KW_DIGEST_SHA256_SALTED, .project = KW_PROJECT_DEFAULT, .salt = "r", .salt_size = 1};
    struct kw_digest_method plain = {.scheme = KW_DIGEST_SHA512};
    REQUIRE(t, house_begin(t, &house, false));
    REQUIRE_OK(t, house_open(&house, "a"));
    struct kw_engine *engine = house.fixture.engine;
    REQUIRE_OK(t, kw_engine_method_take(engine, KW_PROJECT_DEFAULT, &salted, true, &number, &house.error));
    CHECK_I64(t, number, KW_DIGEST_SHA256_SALTED);
    REQUIRE_OK(t, kw_engine_method_take(engine, KW_PROJECT_DEFAULT, &plain, true, &number, &house.error));
    CHECK_I64(t, number, KW_DIGEST_SHA512);
    CHECK_I64(t, take_all(&house, KW_PROJECT_DEFAULT, 'd'), SALTS_MAX);
    for (int i = 0; i < 2; i++) { /* and says what would be refused */
        const struct kw_digest_method *method = i == 0 ? &salted : &plain;
        CHECK_STATUS(t, kw_engine_method_take(engine, KW_PROJECT_DEFAULT, method, true, &number, &house.error),
                     KW_E_CONFLICT);
        CHECK_TEXT(t, house.error.code, "LIMIT_REACHED");
    }
    house_end(&house);
}

static void salts_leave_numbers_for_peppers(struct test *t)
{
    struct house house;
    uint8_t number;
    uint16_t project = KW_PROJECT_DEFAULT;
    REQUIRE(t, house_begin(t, &house, false));
    REQUIRE_OK(t, house_open(&house, "a"));
    for (int i = 0; i < KW_METHODS_SALTED_MAX; i++) {
        char text[32];
        if (i % SALTS_MAX == 0) {
            snprintf(text, sizeof text, "{\"name\":\"p%d\"}", i);
            project = add_project(&house, text);
        }
        snprintf(text, sizeof text, "%d", i);
        REQUIRE_OK(t, take_salt(&house, project, text, &number));
    }
    for (int start = 0; start < 2; start++) {
        CHECK_STATUS(t, take_salt(&house, KW_PROJECT_DEFAULT, "one more", &number), KW_E_CONFLICT);
        CHECK_TEXT(t, house.error.code, "LIMIT_REACHED");
        CHECK_TEXT(t, house.error.field, "salt");
        REQUIRE_OK(t, take_salt(&house, project, "199", &number)); /* which it knows */
        reopen(&house, start == 0 ? "ba" : "cba");
        struct kw_digest_method own;
        REQUIRE(t, kw_engine_own_method(house.fixture.engine, KW_PROJECT_DEFAULT, &own));
        CHECK_I64(t, own.number, KW_METHODS_SALTED_MAX + 6 + start);
    }
    house_end(&house);
}

/* While the index is filling, nobody knows what a project has. */
static void who_cannot_count_says_so(struct test *t)
{
    static const char peppers[] = "ihgfedcba";
    struct house house;
    uint8_t number;
    REQUIRE(t, house_begin(t, &house, false));
    for (size_t i = 0; i < 9; i++) {
        REQUIRE_OK(t, house_open(&house, peppers + 8 - i));
        house_close(&house);
    }
    shelf_hold_back(true);
    house.opens_at_once = true;
    REQUIRE_OK(t, house_open(&house, peppers));
    CHECK_STATUS(t, take_salt(&house, KW_PROJECT_DEFAULT, "s", &number), KW_E_BUSY);
    CHECK_TEXT(t, house.error.code, "TOO_BUSY");
    shelf_hold_back(false);
    kw_engine_wait_filled(house.fixture.engine);
    CHECK_STATUS(t, take_salt(&house, KW_PROJECT_DEFAULT, "s", &number), KW_OK);
    house_end(&house);
}

/* What an import took and brought no key of is in use, until its pepper goes. */
static void a_retired_pepper_leaves_its_place(struct test *t)
{
    struct house house;
    struct drawer drawer;
    struct kw_error error = {0};
    struct kw_digest_method older = {.scheme = KW_DIGEST_HMAC_SHA256};
    uint8_t number;
    REQUIRE(t, drawer_begin(t, &house, &drawer, "ba"));
    REQUIRE_OK(t, house_open(&house, NULL));
    struct kw_secret pepper KW_WIPED = {0};
    house_pepper('a', &pepper);
    kw_pepper_fingerprint(&pepper, older.fingerprint);
    REQUIRE_OK(t,
               kw_engine_method_take(house.fixture.engine, KW_PROJECT_DEFAULT, &older, false, &number, &house.error));
    uint16_t other = add_project(&house, "{\"name\":\"other\"}");
    CHECK_I64(t, take_all(&house, other, 'o'), SALTS_MAX);
    CHECK_STATUS(t, take_salt(&house, KW_PROJECT_DEFAULT, "s", &number), KW_OK);
    REQUIRE_OK(t, drawer_retire_letter(&house, 'a', &error));
    REQUIRE_OK(t, drawer_add(&house, 'a', &error)); /* it comes back, and is one of older keys again */
    REQUIRE_OK(t, drawer_add(&house, 'c', &error));
    CHECK_I64(t, take_all(&house, KW_PROJECT_DEFAULT, 'd'), SALTS_MAX - 1);
    drawer_end(&house, &drawer);
}

/* Whichever project has the keys, be they erased. */
static void a_pepper_stays_as_long_as_any_project_needs_it(struct test *t)
{
    struct house house;
    struct drawer drawer;
    struct kw_id ids[2];
    struct kw_secret keys[2] = {{{0}, 0}};
    struct kw_error error = {0};
    REQUIRE(t, drawer_begin(t, &house, &drawer, "a"));
    REQUIRE_OK(t, house_open(&house, NULL));
    uint16_t other = add_project(&house, "{\"name\":\"other\"}");
    REQUIRE(t, create_in(&house, KW_PROJECT_DEFAULT, &ids[0], &keys[0]));
    REQUIRE(t, create_in(&house, other, &ids[1], &keys[1]));
    REQUIRE_OK(t, drawer_add(&house, 'b', &error));
    CHECK_I64(t, verify_in(&house, KW_PROJECT_DEFAULT, kw_secret_expose(&keys[0])), KW_CODE_NONE);
    house_settle(&house); /* the default project has no key of it any more */
    for (int start = 0; start < 2; start++) {
        CHECK_STATUS(t, drawer_retire_letter(&house, 'a', &error), KW_E_CONFLICT);
        CHECK_TEXT(t, error.code, "PEPPER_IN_USE");
        CHECK(t, strstr(error.message, "still needed by 1 key:") != NULL);
        reopen(&house, NULL);
    }
    CHECK_STATUS(t, do_in(&house, other, KW_OP_REVOKE, &ids[1]), KW_OK);
    CHECK_STATUS(t, do_in(&house, other, KW_OP_ERASE, &ids[1]), KW_OK);
    for (int start = 0; start < 2; start++) {
        CHECK_STATUS(t, drawer_retire_letter(&house, 'a', &error), KW_E_CONFLICT);
        CHECK_TEXT(t, error.code, "PEPPER_IN_USE");
        CHECK(t, strstr(error.message, "still needed by 1 erased key:") != NULL);
        reopen(&house, NULL);
    }
    house.forgets_erased = true;
    CHECK_STATUS(t, drawer_retire_letter(&house, 'a', &error), KW_OK);
    CHECK_I64(t, verify_in(&house, KW_PROJECT_DEFAULT, kw_secret_expose(&keys[0])), KW_CODE_NONE);
    CHECK_I64(t, verify_in(&house, other, kw_secret_expose(&keys[1])), KW_CODE_INVALID_KEY);
    drawer_end(&house, &drawer);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(no_key_is_looked_for_under_what_another_project_has),
        TEST_CASE(nor_under_what_was_erased_there),
        TEST_CASE(peppers_of_one_project_take_no_place_in_another),
        TEST_CASE(a_project_has_eight_of_its_own),
        TEST_CASE(a_rehearsal_takes_no_place),
        TEST_CASE(salts_leave_numbers_for_peppers),
        TEST_CASE(who_cannot_count_says_so),
        TEST_CASE(a_retired_pepper_leaves_its_place),
        TEST_CASE(a_pepper_stays_as_long_as_any_project_needs_it),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
