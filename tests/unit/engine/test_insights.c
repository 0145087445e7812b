/*
 * Insight as the engine gathers it: from the rows of a store, whose records and counts the test puts there itself.
 */
#include "core/id.h"
#include "engine/insights.h"
#include "support/engine.h"

#define DAY_MS KW_INSIGHT_DAY_MS
#define HOUR_MS INT64_C(3600000)
#define BORN_MS (TEST_NOW_MS - 100 * DAY_MS)
#define BATCH 500

static struct kw_record plain_record(uint64_t number)
{
    uint8_t random[KW_ID_RANDOM_SIZE];
    memset(random, 0, sizeof random);
    memcpy(random + 2, &(uint64_t){__builtin_bswap64(number)}, sizeof number);
    struct kw_record record = {
        .id = kw_id_make(BORN_MS, random),
        .version = 1,
        .project = KW_BYTES("default"),
        .env = KW_BYTES("live"),
        .prefix = KW_BYTES("sk_live_"),
        .last_four = {'a', 'b', 'c', 'd'},
        .enabled = true,
        .digest_scheme = KW_DIGEST_HMAC_SHA256,
        .owner = KW_BYTES("user:1"),
        .created_at_ms = BORN_MS,
        .updated_at_ms = BORN_MS,
        .expires_at_ms = TEST_NOW_MS + DAY_MS,
    };
    record.lineage_id = record.id;
    return record;
}

/* Straight into the store, as an engine would have put them. */
static void put(struct test *t, struct test_engine *fixture, const struct kw_record *records, size_t count)
{
    static struct kw_store_put puts[BATCH];
    static uint8_t encodings[BATCH][32768];
    static uint8_t digests[BATCH][32];
    REQUIRE(t, count <= BATCH);
    for (size_t i = 0; i < count; i++) {
        struct kw_buffer encoding;
        kw_buffer_init_fixed(&encoding, encodings[i], sizeof encodings[i]);
        REQUIRE_OK(t, kw_record_encode(&records[i], &encoding));
        memcpy(digests[i], records[i].id.bytes, sizeof records[i].id.bytes);
        puts[i] = (struct kw_store_put){.row = {.id = records[i].id,
                                                .digest = kw_bytes_of(digests[i], sizeof digests[i]),
                                                .digest_scheme = kw_record_digest_method(&records[i]),
                                                .project = records[i].project,
                                                .env = records[i].env,
                                                .owner = records[i].owner,
                                                .version = 1,
                                                .record = kw_buffer_bytes(&encoding)}};
    }
    struct kw_store_batch batch = {.puts = puts, .put_count = count};
    REQUIRE_OK(t, fixture->store->ops->commit(fixture->store, &batch, 1));
    CHECK_STATUS(t, batch.outcome, KW_OK);
}

static void count_use(struct test *t, struct test_engine *fixture, const struct kw_record *record,
                      enum kw_usage_dimension dimension, const char *value, int64_t hours_ago, int64_t amount)
{
    struct kw_store_usage usage = {.lineage_id = record->lineage_id,
                                   .value = kw_bytes_of_text(value),
                                   .bucket_start_ms = TEST_NOW_MS - hours_ago * HOUR_MS,
                                   .amount = amount,
                                   .project = record->project,
                                   .dimension = (uint8_t)dimension};
    struct kw_store_use use = {.key_id = record->id, .at_ms = usage.bucket_start_ms};
    CHECK_STATUS(t, fixture->store->ops->usage_add(fixture->store, &usage, 1, &use, 1), KW_OK);
}

static bool holds(const struct kw_op *op, const char *part)
{
    return kw_bytes_contains_ignoring_case(kw_buffer_bytes(&op->result), kw_bytes_of_text(part));
}

static enum kw_status look_at_key(struct test_engine *fixture, const struct kw_id *id, uint16_t project,
                                  struct kw_op *op)
{
    kw_op_init(op, KW_OP_INSIGHT, project);
    op->id = *id;
    return kw_engine_run(fixture->engine, op);
}

static enum kw_status look_at_project(struct test_engine *fixture, const struct kw_list_query *query, struct kw_op *op,
                                      size_t *pieces_out)
{
    struct kw_insights insights = {.query = query};
    enum kw_status status = KW_OK;
    kw_op_init(op, KW_OP_INSIGHTS, KW_PROJECT_DEFAULT);
    op->insights = &insights;
    *pieces_out = 0;
    while (status == KW_OK && !insights.has_ended) {
        status = kw_engine_run(fixture->engine, op);
        ++*pieces_out;
    }
    op->insights = NULL;
    return status;
}

static void a_key_is_told_with_its_use(struct test *t)
{
    struct test_engine fixture;
    struct kw_op op;
    struct kw_record record = plain_record(1);
    record.digest_scheme = KW_DIGEST_SHA512;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    put(t, &fixture, &record, 1);
    count_use(t, &fixture, &record, KW_USAGE_CODE, "VALID", 3, 120);
    count_use(t, &fixture, &record, KW_USAGE_CODE, "RATE_LIMITED", 3, 7);
    count_use(t, &fixture, &record, KW_USAGE_ENDPOINT, "GET /v1/invoices", 3, 120);
    count_use(t, &fixture, &record, KW_USAGE_METRIC, "tokens", 3, 5000);
    count_use(t, &fixture, &record, KW_USAGE_ENDPOINT_METRIC, "GET /v1/x\1tokens", 3, 5000);
    const char *const places[] = {"US-CA", "US-NY", "US", "DE", "FR", "JP"};
    for (size_t i = 0; i < KW_COUNT_OF(places); i++) {
        count_use(t, &fixture, &record, KW_USAGE_REGION, places[i], 30 + (int64_t)i, 1);
    }
    REQUIRE_OK(t, look_at_key(&fixture, &record.id, KW_PROJECT_DEFAULT, &op));
    CHECK(t, holds(&op, "\"passed\":120,\"refused\":7,\"kind\":\"mostlyReads\""));
    CHECK(t, holds(&op, "\"suggestedName\":\"user 1: reads invoices (live)\""));
    CHECK(t, holds(&op, "\"lastUsedAt\":\"2025-12-31T21:00:00.000Z\""));
    CHECK(t, holds(&op, "\"endpoints\":[{\"endpoint\":\"GET /v1/invoices\",\"count\":120}]"));
    CHECK(t, holds(&op, "OLD_DIGEST"));
    CHECK(t, !holds(&op, "MANY_COUNTRIES")); /* four: the parts of one are one */
    kw_op_deinit(&op);
    count_use(t, &fixture, &record, KW_USAGE_REGION, "BR", 59 * 24, 1);
    REQUIRE_OK(t, look_at_key(&fixture, &record.id, KW_PROJECT_DEFAULT, &op));
    CHECK(t, holds(&op, "MANY_COUNTRIES"));
    kw_op_deinit(&op);
    test_engine_close(&fixture);
}

/* A good verification from an address, at the fixture's time. */
static void use_key(struct test *t, struct test_engine *fixture, const struct kw_secret *key,
                    const struct kw_question *question, const char *address)
{
    struct kw_address from;
    struct kw_verification v = {.key = kw_secret_expose(key), .question = *question};
    v.question.project = KW_PROJECT_DEFAULT;
    if (address != NULL) {
        CHECK(t, kw_address_parse(kw_bytes_of_text(address), &from));
        v.question.address = &from;
    }
    kw_engine_read_begin();
    kw_engine_verify(fixture->engine, &v, kw_engine_now_ms(fixture->engine));
    kw_engine_read_end();
    CHECK_I64(t, v.code, KW_CODE_NONE);
}

static bool create_with_scopes(struct test *t, struct test_engine *fixture, struct kw_id *id_out,
                               struct kw_secret *key_out)
{
    static const struct kw_bytes scopes[] = {{(const uint8_t *)"billing:*", 9},
                                             {(const uint8_t *)"read", 4},
                                             {(const uint8_t *)"write", 5},
                                             {(const uint8_t *)"other:read", 10}};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_SCOPES,
                                   .owner = KW_BYTES("user:1"),
                                   .scopes = scopes,
                                   .scope_count = KW_COUNT_OF(scopes)};
    return test_engine_create(t, fixture, &params, id_out, key_out);
}

static void set_hour(struct test_engine *fixture, int64_t hours)
{
    __atomic_store_n(&fixture->now_ms, TEST_NOW_MS + hours * HOUR_MS, __ATOMIC_RELAXED);
}

/* Which of the suggestions a look at the key finds. */
static void check_suggestions(struct test *t, struct test_engine *fixture, const struct kw_id *id, const char *network,
                              const char *scopes)
{
    struct kw_op op;
    CHECK_STATUS(t, look_at_key(fixture, id, KW_PROJECT_DEFAULT, &op), KW_OK);
    CHECK(t, holds(&op, "ONE_NETWORK") == (network != NULL) && (network == NULL || holds(&op, network)));
    CHECK(t, holds(&op, "UNUSED_SCOPES") == (scopes != NULL) && (scopes == NULL || holds(&op, scopes)));
    kw_op_deinit(&op);
}

static void networks_and_scopes_come_from_verifications(struct test *t)
{
    static const struct kw_bytes billing = {(const uint8_t *)"billing:pay", 11};
    static const struct kw_bytes read = {(const uint8_t *)"read", 4};
    const struct kw_question questions[] = {
        {.scopes = &read, .scope_count = 1},
        {.require = KW_BYTES("(read AND billing:card)")},
        {.resource = KW_BYTES("website:1"), .resource_scopes = &billing, .resource_scope_count = 1},
        {.project = 0},
    };
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, create_with_scopes(t, &fixture, &id, &key));
    for (int64_t day = 0; day < 7; day++) {
        for (int64_t i = 0; i < 20; i++) { /* several hours between two writes */
            set_hour(&fixture, 24 * day + i / 5);
            use_key(t, &fixture, &key, &questions[i % 4], i % 2 == 0 ? "192.0.2.1" : "192.0.2.254");
        }
        check_suggestions(t, &fixture, &id, day == 6 ? "{\"allowedIPs\":[\"192.0.2.0/24\"]}" : NULL,
                          day >= 4 ? "{\"scopes\":[\"billing:*\",\"read\"]}" : NULL); /* 20 asked for a day */
    }
    const struct kw_question other = {.require = KW_BYTES("other:read OR write")};
    use_key(t, &fixture, &key, &other, "192.0.2.3");
    check_suggestions(t, &fixture, &id, "{\"allowedIPs\":[\"192.0.2.0/24\"]}", NULL);
    use_key(t, &fixture, &key, &questions[3], "198.51.100.1");
    use_key(t, &fixture, &key, &questions[3], "192.0.2.1");
    check_suggestions(t, &fixture, &id, NULL, NULL);
    test_engine_close(&fixture);
}

static void what_is_not_known_suggests_nothing(struct test *t)
{
    static const struct kw_bytes read = {(const uint8_t *)"read", 4};
    static const uint8_t text[] = "billing:0123456789012345678901234567890123456789";
    const struct kw_bytes many[] = {{text, sizeof text - 1}, {text, sizeof text - 2}};
    const struct kw_question question = {.scopes = &read, .scope_count = 1};
    const struct kw_question long_question = {.scopes = many, .scope_count = 2};
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, create_with_scopes(t, &fixture, &id, &key));
    for (int64_t day = 0; day < 7; day++) {
        for (int64_t i = 0; i < 20; i++) {
            set_hour(&fixture, 24 * day);
            use_key(t, &fixture, &key, &question, day == 6 && i == 7 ? NULL : "192.0.2.1");
        }
    }
    check_suggestions(t, &fixture, &id, NULL, "{\"scopes\":[\"read\"]}"); /* one use was from anywhere */
    use_key(t, &fixture, &key, &long_question, "192.0.2.1");
    check_suggestions(t, &fixture, &id, NULL, NULL); /* not all that was asked for is known */
    test_engine_close(&fixture);
}

static void a_thread_with_much_to_do_takes_notice_of_some_scopes(struct test *t)
{
    static const struct kw_bytes read = {(const uint8_t *)"read", 4};
    const struct kw_question question = {.scopes = &read, .scope_count = 1};
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, create_with_scopes(t, &fixture, &id, &key));
    for (int tick = 1; tick <= 2; tick++) {
        set_hour(&fixture, tick);
        for (int i = 0; i < 64; i++) {
            use_key(t, &fixture, &key, &question, NULL);
        }
    }
    check_suggestions(t, &fixture, &id, NULL, "{\"scopes\":[\"read\"]}");
    use_key(t, &fixture, &key, &question, NULL); /* of the same tick: one more than are looked at */
    check_suggestions(t, &fixture, &id, NULL, NULL);
    test_engine_close(&fixture);
}

/* Counts hang on the line of rotations, the last use on the key. */
static void a_rotated_key_goes_on_with_the_use_of_its_line(struct test *t)
{
    struct test_engine fixture;
    struct kw_op op;
    struct kw_record records[] = {plain_record(1), plain_record(2)};
    records[1].lineage_id = records[0].id;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    put(t, &fixture, records, 2);
    count_use(t, &fixture, &records[0], KW_USAGE_CODE, "VALID", 70, 11);
    REQUIRE_OK(t, look_at_key(&fixture, &records[1].id, KW_PROJECT_DEFAULT, &op));
    CHECK(t, holds(&op, "\"passed\":11,"));
    CHECK(t, !holds(&op, "lastUsedAt"));
    kw_op_deinit(&op);
    test_engine_close(&fixture);
}

static void keys_that_are_not_there_are_not_found(struct test *t)
{
    struct test_engine fixture;
    struct kw_op op;
    struct kw_record records[] = {plain_record(1), plain_record(2)};
    records[1].project = KW_BYTES("keyward");
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    put(t, &fixture, records, 2);
    struct kw_id none = plain_record(3).id;
    CHECK_STATUS(t, look_at_key(&fixture, &none, KW_PROJECT_DEFAULT, &op), KW_E_NOT_FOUND);
    CHECK_TEXT(t, op.error.code, "KEY_NOT_FOUND");
    kw_op_deinit(&op);
    CHECK_STATUS(t, look_at_key(&fixture, &records[1].id, KW_PROJECT_DEFAULT, &op), KW_E_NOT_FOUND);
    CHECK_I64(t, op.result.size, 0);
    kw_op_deinit(&op);
    CHECK_STATUS(t, look_at_key(&fixture, &records[1].id, KW_PROJECT_KEYWARD, &op), KW_OK);
    kw_op_deinit(&op);
    CHECK_STATUS(t, look_at_key(&fixture, &records[0].id, 77, &op), KW_E_NOT_FOUND);
    CHECK_TEXT(t, op.error.code, "PROJECT_NOT_FOUND");
    kw_op_deinit(&op);
    test_engine_close(&fixture);
}

static void check_first(struct test *t, struct kw_op *op, const struct kw_record *record)
{
    char first[64] = "\"items\":[{\"id\":\"";
    char *end = first + strlen(first);
    kw_id_format(&record->id, end);
    end[KW_ID_TEXT_SIZE] = '\0';
    CHECK(t, holds(op, first));
}

static void the_keys_to_look_at_first_come_in_pieces(struct test *t)
{
    static struct kw_record records[BATCH];
    struct test_engine fixture;
    struct kw_op op;
    size_t pieces;
    struct kw_list_query query = {.limit = 2};
    for (size_t i = 0; i < KW_COUNT_OF(records); i++) {
        records[i] = plain_record(i);
    }
    records[3].revoked_at_ms = TEST_NOW_MS;
    records[4].owner = KW_BYTES("team:1");
    records[350].expires_at_ms = 0; /* what is most urgent of all but one */
    records[420].expires_at_ms = 0;
    records[420].digest_scheme = KW_DIGEST_SHA256; /* and a worse score */
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    put(t, &fixture, records, KW_COUNT_OF(records));
    for (size_t i = 0; i < KW_COUNT_OF(records); i++) {
        count_use(t, &fixture, &records[i], KW_USAGE_CODE, "VALID", 1, 1);
    }
    REQUIRE_OK(t, look_at_project(&fixture, &query, &op, &pieces));
    CHECK(t, pieces >= 2);
    CHECK(t, holds(&op, "{\"keys\":499,\"complete\":true,\"averageScore\":"));
    CHECK(t, holds(&op, "\"recommended\":{\"NO_EXPIRY\":2,\"NO_LIMIT\":499,\"OLD_DIGEST\":1}"));
    check_first(t, &op, &records[420]);
    kw_op_deinit(&op);
    query.owner = KW_BYTES("team:1");
    REQUIRE_OK(t, look_at_project(&fixture, &query, &op, &pieces));
    CHECK(t, holds(&op, "{\"keys\":1,\"complete\":true,\"averageScore\":65,\"recommended\":{\"NO_LIMIT\":1}"));
    check_first(t, &op, &records[4]);
    kw_op_deinit(&op);
    query.owner = KW_BYTES("team:2");
    REQUIRE_OK(t, look_at_project(&fixture, &query, &op, &pieces));
    CHECK_BYTES(t, kw_buffer_bytes(&op.result),
                KW_BYTES("{\"keys\":0,\"complete\":true,\"recommended\":{},\"items\":[]}"));
    kw_op_deinit(&op);
    test_engine_close(&fixture);
}

/* All that can be told of as many keys as can be asked for. */
static void the_largest_answer_is_whole(struct test *t)
{
    static struct kw_record records[KW_ATTENTION_MAX];
    static uint8_t scopes[KW_SCOPE_COUNT_MAX * (KW_SCOPE_MAX + 2)];
    struct test_engine fixture;
    struct kw_op op;
    size_t pieces;
    struct kw_buffer packed;
    struct kw_list_query query = {.limit = KW_ATTENTION_MAX};
    kw_buffer_init_fixed(&packed, scopes, sizeof scopes);
    for (size_t i = 0; i < KW_SCOPE_COUNT_MAX; i++) {
        uint8_t scope[KW_SCOPE_MAX];
        memset(scope, 'a', sizeof scope);
        scope[0] = (uint8_t)('0' + i / 16);
        scope[1] = (uint8_t)('0' + i % 16);
        kw_list_add(&packed, kw_bytes_of(scope, sizeof scope));
    }
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (size_t i = 0; i < KW_COUNT_OF(records); i++) {
        records[i] = plain_record(i);
        records[i].scopes = (struct kw_list){kw_buffer_bytes(&packed), KW_SCOPE_COUNT_MAX};
        put(t, &fixture, &records[i], 1);
        struct kw_bytes rest = kw_buffer_bytes(&packed);
        struct kw_bytes scope;
        while (kw_list_next(&rest, &scope) && rest.size != 0) { /* all but the last */
            char text[KW_SCOPE_MAX + 1] = {0};
            memcpy(text, scope.data, scope.size);
            count_use(t, &fixture, &records[i], KW_USAGE_SCOPE, text, 1, KW_INSIGHT_EVIDENCE);
        }
    }
    REQUIRE_OK(t, look_at_project(&fixture, &query, &op, &pieces));
    CHECK(t, holds(&op, "\"UNUSED_SCOPES\":100"));
    CHECK(t, op.result.size > (size_t)KW_ATTENTION_MAX * (KW_SCOPE_COUNT_MAX - 1) * KW_SCOPE_MAX);
    kw_op_deinit(&op);
    test_engine_close(&fixture);
}

static void more_keys_than_are_looked_at_are_told(struct test *t)
{
    static struct kw_record records[BATCH];
    struct test_engine fixture;
    struct kw_op op;
    size_t pieces;
    struct kw_list_query query = {.limit = 1};
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    for (uint64_t first = 0; first < KW_INSIGHTS_KEYS_MAX; first += BATCH) {
        for (size_t i = 0; i < BATCH; i++) {
            records[i] = plain_record(first + i);
        }
        put(t, &fixture, records, BATCH);
    }
    REQUIRE_OK(t, look_at_project(&fixture, &query, &op, &pieces));
    CHECK(t, holds(&op, "{\"keys\":20000,\"complete\":true,"));
    kw_op_deinit(&op);
    records[0] = plain_record(KW_INSIGHTS_KEYS_MAX);
    put(t, &fixture, records, 1);
    REQUIRE_OK(t, look_at_project(&fixture, &query, &op, &pieces));
    CHECK(t, holds(&op, "{\"keys\":20000,\"complete\":false,"));
    kw_op_deinit(&op);
    test_engine_close(&fixture);
}

static void a_store_that_fails_is_told(struct test *t)
{
    struct kw_store *inner = NULL;
    struct kw_store *fault = NULL;
    struct test_engine fixture;
    struct kw_record record = plain_record(1);
    struct kw_list_query query = {.limit = 1};
    REQUIRE_OK(t, kw_store_memory_open(&inner));
    REQUIRE_OK(t, kw_store_fault_open(inner, 1, &fault));
    REQUIRE(t, test_engine_open(t, &fixture, fault));
    kw_engine_wait_filled(fixture.engine);
    put(t, &fixture, &record, 1);
    count_use(t, &fixture, &record, KW_USAGE_CODE, "VALID", 1, 1);
    REQUIRE_OK(t, kw_usage_flush(fixture.engine)); /* it asks once what waits, and again where it got no answer */
    for (int of_project = 0; of_project <= 1; of_project++) {
        enum kw_status status = KW_E_UNAVAILABLE;
        uint64_t nth = 1;
        for (; status != KW_OK && nth < 10; nth++) {
            struct kw_op op;
            size_t pieces;
            kw_store_fault_arm(fault, KW_FAULT_UNAVAILABLE, nth);
            status = of_project != 0 ? look_at_project(&fixture, &query, &op, &pieces)
                                     : look_at_key(&fixture, &record.id, KW_PROJECT_DEFAULT, &op);
            CHECK(t, status == KW_OK || strcmp(op.error.code, "STORE_UNAVAILABLE") == 0);
            kw_op_deinit(&op);
        }
        CHECK_I64(t, nth, of_project != 0 ? 6 : 4); /* list, use; then the key and its use */
    }
    test_engine_close(&fixture);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_key_is_told_with_its_use),
        TEST_CASE(networks_and_scopes_come_from_verifications),
        TEST_CASE(what_is_not_known_suggests_nothing),
        TEST_CASE(a_thread_with_much_to_do_takes_notice_of_some_scopes),
        TEST_CASE(a_rotated_key_goes_on_with_the_use_of_its_line),
        TEST_CASE(keys_that_are_not_there_are_not_found),
        TEST_CASE(the_keys_to_look_at_first_come_in_pieces),
        TEST_CASE(the_largest_answer_is_whole),
        TEST_CASE(more_keys_than_are_looked_at_are_told),
        TEST_CASE(a_store_that_fails_is_told),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
