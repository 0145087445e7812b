/*
 * Digest methods: which digest a key gets, under which it is found, when it moves, and that nothing which has ended
 * comes back under another one.
 */
#include "core/id.h"
#include "house.h"

#define FOREIGN KW_BYTES("legacy-0123456789abcdef")

static struct kw_digest_method salted(const char *salt, enum kw_salt_place place)
{
    struct kw_digest_method method = {.scheme = KW_DIGEST_SHA256_SALTED,
                                      .project = KW_PROJECT_DEFAULT,
                                      .salt_size = (uint8_t)strlen(salt),
                                      .salt_place = place};
    memcpy(method.salt, salt, method.salt_size);
    return method;
}

static uint8_t number_of(struct house *house, uint16_t project)
{
    struct kw_digest_method method = {.number = 0};
    CHECK(house->t, kw_engine_own_method(house->fixture.engine, project, &method));
    return method.number;
}

static void move_with_a_new_pepper(struct test *t, bool on_sqlite)
{
    struct house house;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_record record;
    REQUIRE(t, house_begin(t, &house, on_sqlite));
    REQUIRE_OK(t, house_open(&house, "a"));
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &id, &key));
    struct kw_bytes bytes = kw_secret_expose(&key);
    house_close(&house);

    REQUIRE_OK(t, house_open(&house, "ba"));
    CHECK_I64(t, number_of(&house, KW_PROJECT_DEFAULT), 6);
    struct kw_check checks[KW_RULE_COUNT];
    struct kw_verification dry = {.key = bytes, .question = {.project = KW_PROJECT_DEFAULT}, .checks = checks};
    kw_engine_read_begin();
    kw_engine_verify(house.fixture.engine, &dry, TEST_NOW_MS);
    kw_engine_read_end();
    CHECK_I64(t, dry.code, KW_CODE_NONE);
    house_settle(&house);
    CHECK(t, house_has_digest(&house, 1, bytes)); /* a dry run is no use */

    CHECK_I64(t, house_verify(&house, bytes), KW_CODE_NONE);
    house_settle(&house);
    REQUIRE(t, house_record(&house, &id, &record));
    CHECK_I64(t, record.version, 2);
    CHECK_I64(t, record.digest_scheme, KW_DIGEST_HMAC_SHA256);
    CHECK_I64(t, record.digest_method, 6);
    CHECK(t, !house_has_digest(&house, 1, bytes) && house_has_digest(&house, 6, bytes));
    CHECK_I64(t, house_verify(&house, bytes), KW_CODE_NONE);
    house_settle(&house);
    REQUIRE(t, house_record(&house, &id, &record));
    CHECK_I64(t, record.version, 2); /* once is enough */
    CHECK_I64(t, kw_index_count(kw_engine_index(house.fixture.engine)), 1);

    struct kw_pepper_use uses[3];
    CHECK_I64(t, kw_engine_peppers(house.fixture.engine, uses, 3), 2);
    CHECK(t, uses[0].is_current && uses[0].keys == 1 && !uses[1].is_current && uses[1].keys == 0);
    CHECK_STATUS(t, test_engine_do(&house.fixture, KW_OP_REVOKE, &id, NULL), KW_OK);
    CHECK_I64(t, house_verify(&house, bytes), KW_CODE_REVOKED);
    house_close(&house);
    REQUIRE_OK(t, house_open(&house, "b")); /* nobody needs the other one any more */
    CHECK_I64(t, house_verify(&house, bytes), KW_CODE_REVOKED);
    house_end(&house);
}

static void a_key_moves_to_the_new_pepper_when_it_is_used(struct test *t)
{
    move_with_a_new_pepper(t, false);
    move_with_a_new_pepper(t, true);
}

static void a_pepper_that_keys_need_must_be_there(struct test *t)
{
    struct house house;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE];
    struct kw_secret pepper KW_WIPED = {0};
    REQUIRE(t, house_begin(t, &house, false));
    REQUIRE_OK(t, house_open(&house, "a"));
    house_close(&house);
    REQUIRE_OK(t, house_open(&house, "b")); /* there are no keys: a is retired */
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &id, &key));
    house_close(&house);
    CHECK_STATUS(t, house_open(&house, "a"), KW_E_INVALID);
    CHECK_TEXT(t, house.error.code, "PEPPER_MISMATCH");
    house_pepper('b', &pepper);
    kw_pepper_fingerprint(&pepper, fingerprint);
    char hex[2 * KW_PEPPER_FINGERPRINT_SIZE];
    kw_hex_encode(kw_bytes_of(fingerprint, sizeof fingerprint), hex);
    CHECK(t, kw_bytes_contains_ignoring_case(kw_bytes_of_text(house.error.message), kw_bytes_of((uint8_t *)hex, 8)));
    REQUIRE_OK(t, house_open(&house, "ab"));
    CHECK_I64(t, number_of(&house, KW_PROJECT_DEFAULT), 1); /* a means what it always meant */
    CHECK_I64(t, house_verify(&house, kw_secret_expose(&key)), KW_CODE_NONE);
    house_settle(&house);
    house_close(&house);
    REQUIRE_OK(t, house_open(&house, "a"));
    CHECK_I64(t, house_verify(&house, kw_secret_expose(&key)), KW_CODE_NONE);
    house_end(&house);
}

static void a_project_says_how_its_digests_are_made(struct test *t)
{
    struct house house;
    struct kw_id old_id;
    struct kw_id new_id;
    struct kw_secret old_key KW_WIPED = {0};
    struct kw_secret new_key KW_WIPED = {0};
    struct kw_record record;
    REQUIRE(t, house_begin(t, &house, true));
    REQUIRE_OK(t, house_open(&house, "a"));
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &old_id, &old_key));
    CHECK_STATUS(t, house_change_project(&house, "{\"digest\":\"md5\"}"), KW_E_INVALID);
    REQUIRE_OK(t, house_change_project(&house, "{\"digest\":\"sha512-salted\"}"));
    CHECK_I64(t, number_of(&house, KW_PROJECT_DEFAULT), KW_DIGEST_SHA512_SALTED);
    CHECK_I64(t, number_of(&house, KW_PROJECT_KEYWARD), KW_DIGEST_HMAC_SHA256);
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &new_id, &new_key));
    REQUIRE(t, house_record(&house, &new_id, &record));
    CHECK_I64(t, record.digest_scheme, KW_DIGEST_SHA512_SALTED);
    CHECK_I64(t, house_verify(&house, kw_secret_expose(&old_key)), KW_CODE_NONE);
    CHECK_I64(t, house_verify(&house, kw_secret_expose(&new_key)), KW_CODE_NONE);
    house_settle(&house);
    REQUIRE(t, house_record(&house, &old_id, &record));
    CHECK_I64(t, record.digest_scheme, KW_DIGEST_SHA512_SALTED);
    house_close(&house);
    REQUIRE_OK(t, house_open(&house, "a"));
    CHECK_I64(t, number_of(&house, KW_PROJECT_DEFAULT), KW_DIGEST_SHA512_SALTED);
    REQUIRE_OK(t, house_change_project(&house, "{\"digest\":null}"));
    CHECK_I64(t, number_of(&house, KW_PROJECT_DEFAULT), KW_DIGEST_HMAC_SHA256);
    CHECK_I64(t, house_verify(&house, kw_secret_expose(&old_key)), KW_CODE_NONE);
    house_settle(&house);
    REQUIRE(t, house_record(&house, &old_id, &record));
    CHECK_I64(t, record.digest_scheme, KW_DIGEST_HMAC_SHA256); /* and back */
    CHECK_I64(t, record.version, 3);
    CHECK_I64(t, house_verify(&house, kw_secret_expose(&old_key)), KW_CODE_NONE);
    house_end(&house);
}

static void a_taken_method_keeps_its_number(struct test *t)
{
    struct house house;
    uint8_t number = 0;
    uint8_t again = 0;
    struct kw_error error = {0};
    struct kw_digest_method before = salted("salt", KW_SALT_BEFORE_KEY);
    struct kw_digest_method after = salted("salt", KW_SALT_AFTER_KEY);
    struct kw_digest_method plain = {.scheme = KW_DIGEST_SHA512, .project = KW_PROJECT_DEFAULT};
    struct kw_digest_method strange = {.scheme = KW_DIGEST_HMAC_SHA256, .fingerprint = "no such pepper"};
    REQUIRE(t, house_begin(t, &house, true));
    REQUIRE_OK(t, house_open(&house, "a"));
    REQUIRE_OK(t, kw_engine_method_take(house.fixture.engine, KW_PROJECT_DEFAULT, &plain, false, &number, &error));
    CHECK_I64(t, number, KW_DIGEST_SHA512); /* there from the start */
    REQUIRE_OK(t, kw_engine_method_take(house.fixture.engine, KW_PROJECT_DEFAULT, &before, false, &number, &error));
    REQUIRE_OK(t, kw_engine_method_take(house.fixture.engine, KW_PROJECT_DEFAULT, &after, false, &again, &error));
    CHECK_I64(t, number, 6);
    CHECK_I64(t, again, 7);
    CHECK_STATUS(t, kw_engine_method_take(house.fixture.engine, KW_PROJECT_DEFAULT, &strange, false, &again, &error),
                 KW_E_INVALID);
    CHECK_TEXT(t, error.code, "PEPPER_MISMATCH");
    plain.salt_size = 4;
    CHECK_STATUS(t, kw_engine_method_take(house.fixture.engine, KW_PROJECT_DEFAULT, &plain, false, &again, &error),
                 KW_E_INVALID);
    CHECK_TEXT(t, error.field, "salt");
    house_close(&house);
    REQUIRE_OK(t, house_open(&house, "a"));
    REQUIRE_OK(t, kw_engine_method_take(house.fixture.engine, KW_PROJECT_DEFAULT, &after, false, &again, &error));
    CHECK_I64(t, again, 7);
    struct kw_digest_method read;
    CHECK(t, kw_engine_method(house.fixture.engine, 6, &read));
    CHECK(t, read.salt_size == 4 && read.salt_place == KW_SALT_BEFORE_KEY && read.project == KW_PROJECT_DEFAULT);
    CHECK(t, !kw_engine_method(house.fixture.engine, 8, &read) && !kw_engine_method(house.fixture.engine, 0, &read));
    house_end(&house);
}

static void a_project_has_eight_methods_at_most(struct test *t)
{
    struct house house;
    struct kw_error error = {0};
    uint8_t number;
    REQUIRE(t, house_begin(t, &house, false));
    REQUIRE_OK(t, house_open(&house, "a"));
    for (int i = 0; i < KW_METHODS_OF_PROJECT_MAX; i++) {
        char salt[] = {(char)('a' + i), '\0'};
        struct kw_digest_method method = salted(salt, KW_SALT_AFTER_KEY);
        enum kw_status status =
            kw_engine_method_take(house.fixture.engine, KW_PROJECT_DEFAULT, &method, false, &number, &error);
        CHECK_STATUS(t, status, i < KW_METHODS_OF_PROJECT_MAX - 1 ? KW_OK : KW_E_CONFLICT);
    }
    CHECK_TEXT(t, error.code, "LIMIT_REACHED");
    struct kw_digest_method known = salted("a", KW_SALT_AFTER_KEY);
    CHECK_STATUS(t, kw_engine_method_take(house.fixture.engine, KW_PROJECT_DEFAULT, &known, false, &number, &error),
                 KW_OK);
    struct kw_digest_method other = salted("z", KW_SALT_AFTER_KEY);
    other.project = KW_PROJECT_KEYWARD;
    CHECK_STATUS(t, kw_engine_method_take(house.fixture.engine, other.project, &other, false, &number, &error), KW_OK);
    house_close(&house);
    REQUIRE_OK(t, house_open(&house, "a")); /* none of them has a record: so none is in use */
    other.project = KW_PROJECT_DEFAULT;
    CHECK_STATUS(t, kw_engine_method_take(house.fixture.engine, other.project, &other, false, &number, &error), KW_OK);
    house_end(&house);
}

static void imported_keys_are_found_under_their_method_and_move(struct test *t)
{
    struct house house;
    struct kw_error error = {0};
    uint8_t numbers[2];
    struct kw_record record;
    struct kw_bytes keys[] = {KW_BYTES("legacy-key-one"), KW_BYTES("legacy-key-two")};
    struct kw_id ids[2];
    REQUIRE(t, house_begin(t, &house, false));
    REQUIRE_OK(t, house_open(&house, "a"));
    REQUIRE_OK(t, kw_engine_foreign_add(house.fixture.engine, KW_PROJECT_DEFAULT, KW_BYTES("legacy-"), &error));
    for (size_t i = 0; i < 2; i++) {
        struct kw_digest_method method = salted("pinch", i == 0 ? KW_SALT_BEFORE_KEY : KW_SALT_AFTER_KEY);
        REQUIRE_OK(
            t, kw_engine_method_take(house.fixture.engine, KW_PROJECT_DEFAULT, &method, false, &numbers[i], &error));
        ids[i] = house_import(&house, keys[i], numbers[i], (uint8_t)(i + 1), HOUSE_ACTIVE);
    }
    house_close(&house);
    REQUIRE_OK(t, house_open(&house, "a"));
    CHECK_I64(t, house_verify(&house, KW_BYTES("legacy-key-three")), KW_CODE_INVALID_KEY);
    for (size_t i = 0; i < 2; i++) {
        CHECK_I64(t, house_verify(&house, keys[i]), KW_CODE_NONE);
        house_settle(&house);
        REQUIRE(t, house_record(&house, &ids[i], &record));
        CHECK(t, record.imported && record.digest_scheme == KW_DIGEST_HMAC_SHA256 && record.digest_method == 0);
        CHECK_I64(t, house_verify(&house, keys[i]), KW_CODE_NONE);
    }
    house_end(&house);
}

/* A live record under one method, and under another what has ended. */
static void ended_elsewhere(struct test *t, uint8_t live_method, uint8_t ended_method, enum house_state state)
{
    struct house house;
    struct kw_error error = {0};
    REQUIRE(t, house_begin(t, &house, false));
    REQUIRE_OK(t, house_open(&house, "a"));
    REQUIRE_OK(t, kw_engine_foreign_add(house.fixture.engine, KW_PROJECT_DEFAULT, (struct kw_bytes){NULL, 0}, &error));
    struct kw_id live = house_import(&house, FOREIGN, live_method, 1, HOUSE_ACTIVE);
    (void)house_import(&house, FOREIGN, ended_method, 2, state);
    house_close(&house);
    for (int start = 0; start < 2; start++) {
        REQUIRE_OK(t, house_open(&house, "a"));
        for (int use = 0; use < 3; use++) {
            CHECK_I64(t, house_verify(&house, FOREIGN), state == HOUSE_ERASED ? KW_CODE_INVALID_KEY : KW_CODE_REVOKED);
            house_settle(&house);
        }
        struct kw_record record;
        CHECK(t, house_record(&house, &live, &record) && record.version == 1); /* it did not move, either */
        house_close(&house);
    }
    house_end(&house);
}

static void what_has_ended_does_not_come_back_under_another_method(struct test *t)
{
    static const uint8_t pairs[][2] = {{1, 2}, {2, 1}, {2, 3}, {3, 2}};
    for (size_t i = 0; i < KW_COUNT_OF(pairs); i++) {
        ended_elsewhere(t, pairs[i][0], pairs[i][1], HOUSE_REVOKED);
        ended_elsewhere(t, pairs[i][0], pairs[i][1], HOUSE_ERASED);
    }
}

static void foreign_forms_are_looked_up_while_there_are_imported_keys(struct test *t)
{
    struct house house;
    struct kw_error error = {0};
    REQUIRE(t, house_begin(t, &house, true));
    REQUIRE_OK(t, house_open(&house, "a"));
    struct kw_engine *engine = house.fixture.engine;
    CHECK_I64(t, house_verify(&house, FOREIGN), KW_CODE_INVALID_FORMAT);
    REQUIRE_OK(t, kw_engine_foreign_add(engine, KW_PROJECT_DEFAULT, KW_BYTES("legacy-"), &error));
    CHECK_I64(t, house_verify(&house, FOREIGN), KW_CODE_INVALID_FORMAT); /* none was imported */
    struct kw_id id = house_import(&house, FOREIGN, KW_DIGEST_SHA256, 1, HOUSE_ACTIVE);
    house_close(&house);
    REQUIRE_OK(t, house_open(&house, "a"));
    engine = house.fixture.engine;
    CHECK_I64(t, house_verify(&house, FOREIGN), KW_CODE_NONE);
    CHECK_I64(t, house_verify(&house, KW_BYTES("legacy-nobody")), KW_CODE_INVALID_KEY);
    CHECK_I64(t, house_verify(&house, KW_BYTES("legacy-")), KW_CODE_INVALID_FORMAT); /* seven bytes */
    CHECK_I64(t, house_verify(&house, KW_BYTES("Legacy-0123456789abcdef")), KW_CODE_INVALID_FORMAT);
    struct kw_verification elsewhere = {.key = FOREIGN, .question = {.project = KW_PROJECT_KEYWARD}};
    kw_engine_read_begin();
    kw_engine_verify(engine, &elsewhere, TEST_NOW_MS);
    kw_engine_read_end();
    CHECK_I64(t, elsewhere.code, KW_CODE_INVALID_FORMAT);
    for (int i = 0; i < KW_FOREIGN_COUNT_MAX; i++) {
        char prefix[] = {'p', (char)('0' + i), '\0'};
        CHECK_STATUS(t, kw_engine_foreign_add(engine, KW_PROJECT_DEFAULT, kw_bytes_of_text(prefix), &error),
                     i < KW_FOREIGN_COUNT_MAX - 1 ? KW_OK : KW_E_CONFLICT);
    }
    CHECK_STATUS(t, kw_engine_foreign_add(engine, KW_PROJECT_DEFAULT, KW_BYTES("legacy-2"), &error), KW_OK);
    CHECK_STATUS(t, kw_engine_foreign_add(engine, KW_PROJECT_DEFAULT, (struct kw_bytes){NULL, 0}, &error), KW_OK);
    CHECK_I64(t, house_verify(&house, KW_BYTES("\x01 anything at all \xff")), KW_CODE_INVALID_KEY);
    CHECK_STATUS(t, test_engine_do(&house.fixture, KW_OP_REVOKE, &id, NULL), KW_OK);
    CHECK_I64(t, house_verify(&house, FOREIGN), KW_CODE_REVOKED);
    CHECK_STATUS(t, test_engine_do(&house.fixture, KW_OP_ERASE, &id, NULL), KW_OK);
    CHECK_I64(t, house_verify(&house, FOREIGN), KW_CODE_INVALID_FORMAT); /* there is none left */
    house_end(&house);
}

static void only_what_is_valid_moves(struct test *t)
{
    struct house house;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_record record;
    REQUIRE(t, house_begin(t, &house, false));
    REQUIRE_OK(t, house_open(&house, "a"));
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &id, &key));
    REQUIRE_OK(t, house_change_project(&house, "{\"digest\":\"sha256\"}"));
    REQUIRE_OK(t, test_engine_do(&house.fixture, KW_OP_DISABLE, &id, NULL));
    CHECK_I64(t, house_verify(&house, kw_secret_expose(&key)), KW_CODE_DISABLED);
    house_settle(&house);
    REQUIRE(t, house_record(&house, &id, &record));
    CHECK_I64(t, record.version, 2);
    CHECK_I64(t, record.digest_scheme, KW_DIGEST_HMAC_SHA256);
    REQUIRE_OK(t, test_engine_do(&house.fixture, KW_OP_ENABLE, &id, NULL));
    CHECK_I64(t, house_verify(&house, kw_secret_expose(&key)), KW_CODE_NONE);
    house_settle(&house);
    REQUIRE(t, house_record(&house, &id, &record));
    CHECK_I64(t, record.digest_scheme, KW_DIGEST_SHA256);
    house_end(&house);
}

/* Another record has the digest that the key would get: the key works on under its own. */
static void a_digest_that_is_taken_is_no_outage(struct test *t)
{
    struct house house;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_record record;
    REQUIRE(t, house_begin(t, &house, false));
    REQUIRE_OK(t, house_open(&house, "a"));
    REQUIRE(t, test_engine_create(t, &house.fixture, NULL, &id, &key));
    REQUIRE_OK(t, house_change_project(&house, "{\"digest\":\"sha256\"}"));
    (void)house_import(&house, kw_secret_expose(&key), KW_DIGEST_SHA256, 9, HOUSE_ACTIVE); /* the index does not know */
    for (int use = 0; use < 3; use++) {
        CHECK_I64(t, house_verify(&house, kw_secret_expose(&key)), KW_CODE_NONE);
        house_settle(&house);
    }
    REQUIRE(t, house_record(&house, &id, &record));
    CHECK_I64(t, record.version, 1);
    CHECK_I64(t, record.digest_scheme, KW_DIGEST_HMAC_SHA256);
    house_end(&house);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_key_moves_to_the_new_pepper_when_it_is_used),
        TEST_CASE(a_pepper_that_keys_need_must_be_there),
        TEST_CASE(a_project_says_how_its_digests_are_made),
        TEST_CASE(a_taken_method_keeps_its_number),
        TEST_CASE(a_project_has_eight_methods_at_most),
        TEST_CASE(imported_keys_are_found_under_their_method_and_move),
        TEST_CASE(what_has_ended_does_not_come_back_under_another_method),
        TEST_CASE(foreign_forms_are_looked_up_while_there_are_imported_keys),
        TEST_CASE(only_what_is_valid_moves),
        TEST_CASE(a_digest_that_is_taken_is_no_outage),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
