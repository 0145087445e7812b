/*
 * What lines of the audit log say of a call: who asked, from where and why, whatever the change was; what the caller
 * says wins over what is known, and both over what the project gives.
 */
#include "core/audit.h"
#include "core/id.h"
#include "support/engine.h"

#include <string.h>

#define LINES_MAX 16
#define TEXT_MAX 512

struct line {
    char action[KW_AUDIT_ACTION_MAX + 1], actor[TEXT_MAX], context[TEXT_MAX], body[8 * TEXT_MAX];
};

struct log {
    struct line lines[LINES_MAX];
    size_t count;
};

static void copy(char *out, size_t size, struct kw_bytes text)
{
    size_t kept = text.size < size ? text.size : size - 1;
    memcpy(out, text.data == NULL ? (const uint8_t *)"" : text.data, kept);
    out[kept] = '\0';
}

static enum kw_status keep(void *context, const struct kw_store_audit *audit)
{
    struct log *log = context;
    struct line *line = &log->lines[log->count++];
    copy(line->action, sizeof line->action, audit->action);
    copy(line->actor, sizeof line->actor, audit->actor);
    copy(line->context, sizeof line->context, audit->context);
    copy(line->body, sizeof line->body, audit->body);
    return KW_OK;
}

static const struct line *line_of(struct test *t, struct test_engine *fixture, const char *action)
{
    static struct log log;
    struct kw_store_audit_filter filter = {.action = kw_bytes_of_text(action), .limit = LINES_MAX};
    log = (struct log){.count = 0};
    CHECK_STATUS(t, fixture->store->ops->audit_query(fixture->store, &filter, keep, &log), KW_OK);
    CHECK_I64(t, log.count, 1);
    return &log.lines[0];
}

static const struct kw_circumstances from_somewhere = {.address = {(const uint8_t *)"192.0.2.1", 9},
                                                       .user_agent = {(const uint8_t *)"sdk/1", 5}};
#define SOMEWHERE "{\"address\":\"192.0.2.1\",\"userAgent\":\"sdk/1\""

static enum kw_status run(struct test_engine *fixture, struct kw_op *op, const struct kw_circumstances *circumstances)
{
    op->actor = KW_BYTES("key:1");
    op->circumstances = circumstances;
    return kw_engine_run(fixture->engine, op);
}

static void set_project(struct test *t, struct test_engine *fixture, const char *json)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_DOCUMENT_UPDATE, KW_PROJECT_DEFAULT);
    op.document = KW_DOCUMENT_PROJECT;
    op.name = KW_BYTES("default");
    op.json = kw_bytes_of_text(json);
    CHECK_STATUS(t, run(fixture, &op, &from_somewhere), KW_OK);
    kw_op_deinit(&op);
}

static void a_line_says_who_asked_from_where_and_why(struct test *t)
{
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_op op;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &key));
    CHECK_TEXT(t, line_of(t, &fixture, "key.created")->context, "");
    kw_op_init(&op, KW_OP_REVOKE, KW_PROJECT_DEFAULT);
    op.id = id;
    op.reason = KW_BYTES("leaked");
    REQUIRE_OK(t, run(&fixture, &op, &from_somewhere));
    kw_op_deinit(&op);
    const struct line *line = line_of(t, &fixture, "key.revoked");
    CHECK_TEXT(t, line->actor, "key:1");
    CHECK_TEXT(t, line->context, SOMEWHERE ",\"reason\":\"leaked\"}");
    CHECK(t, strstr(line->body, "\"revokedBy\":{\"from\":null,\"to\":\"key:1\"}") != NULL);
    test_engine_close(&fixture);
}

static void what_the_caller_says_of_itself_wins(struct test *t)
{
    const struct kw_circumstances circumstances = {
        .said = {.actor = KW_BYTES("user:7"), .reason = KW_BYTES("asked for"), .metadata = KW_BYTES("{\"ticket\":4}")},
        .address = KW_BYTES("192.0.2.1")};
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_op op;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &key));
    kw_op_init(&op, KW_OP_DISABLE, KW_PROJECT_DEFAULT);
    op.id = id;
    REQUIRE_OK(t, run(&fixture, &op, &circumstances));
    kw_op_deinit(&op);
    const struct line *line = line_of(t, &fixture, "key.disabled");
    CHECK_TEXT(t, line->actor, "user:7");
    CHECK_TEXT(t, line->context,
               "{\"address\":\"192.0.2.1\",\"reason\":\"asked for\",\"metadata\":{\"ticket\":4},\"via\":{\"actor\":"
               "\"key:1\"}}");
    test_engine_close(&fixture);
}

static void a_project_says_what_nobody_else_does(struct test *t)
{
    const struct kw_circumstances circumstances = {.said = {.reason = KW_BYTES("asked for")}};
    const struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_EXPIRES_AT,
                                         .owner = KW_BYTES("user:1"),
                                         .expires_at_ms = TEST_NOW_MS + 1000};
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_op op;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    set_project(t, &fixture, "{\"auditContext\":{\"reason\":\"routine\",\"metadata\":{\"team\": \"a\"}}}");
    const struct line *line = line_of(t, &fixture, "project.updated");
    CHECK_TEXT(t, line->context, SOMEWHERE "}"); /* what it gave before */
    CHECK(t, strstr(line->body, "\"auditContext\":") != NULL);
    REQUIRE(t, test_engine_create(t, &fixture, &params, &id, &key));
    CHECK_TEXT(t, line_of(t, &fixture, "key.created")->context,
               "{\"reason\":\"routine\",\"metadata\":{\"team\":\"a\"}}");
    kw_op_init(&op, KW_OP_DISABLE, KW_PROJECT_DEFAULT);
    op.id = id;
    REQUIRE_OK(t, run(&fixture, &op, &circumstances));
    kw_op_deinit(&op);
    CHECK_TEXT(t, line_of(t, &fixture, "key.disabled")->context,
               "{\"reason\":\"asked for\",\"metadata\":{\"team\":\"a\"}}");
    /* What happens by itself was nobody's routine. */
    kw_op_init(&op, KW_OP_LAPSE, KW_PROJECT_DEFAULT);
    op.id = id;
    __atomic_store_n(&fixture.now_ms, TEST_NOW_MS + 2000, __ATOMIC_RELAXED);
    op.now_ms = TEST_NOW_MS + 2000;
    REQUIRE_OK(t, run(&fixture, &op, NULL));
    kw_op_deinit(&op);
    CHECK_TEXT(t, line_of(t, &fixture, "key.expired")->context, "");
    test_engine_close(&fixture);
}

static void changes_on_a_filter_and_in_a_batch_say_it_too(struct test *t)
{
    const struct kw_where where = {.owner = KW_BYTES("user:1")};
    struct test_engine fixture;
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    struct kw_op op;
    struct kw_op part;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, test_engine_create(t, &fixture, NULL, &id, &key));
    kw_op_init(&op, KW_OP_WHERE, KW_PROJECT_DEFAULT);
    op.then = KW_OP_DISABLE;
    op.where = &where;
    op.reason = KW_BYTES("left");
    REQUIRE_OK(t, run(&fixture, &op, &from_somewhere));
    kw_op_deinit(&op);
    CHECK_TEXT(t, line_of(t, &fixture, "key.disabled")->context, SOMEWHERE ",\"reason\":\"left\"}");
    kw_op_init(&part, KW_OP_ENABLE, KW_PROJECT_DEFAULT);
    part.id = id;
    part.actor = KW_BYTES("key:2");
    part.circumstances = &from_somewhere;
    kw_op_init(&op, KW_OP_TOGETHER, KW_PROJECT_DEFAULT);
    op.parts = &part;
    op.part_count = 1;
    op.atomic = true;
    REQUIRE_OK(t, run(&fixture, &op, NULL));
    CHECK_STATUS(t, part.status, KW_OK);
    kw_op_deinit(&part);
    kw_op_deinit(&op);
    CHECK_TEXT(t, line_of(t, &fixture, "key.enabled")->context, SOMEWHERE "}");
    CHECK_TEXT(t, line_of(t, &fixture, "key.enabled")->actor, "key:2");
    test_engine_close(&fixture);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_line_says_who_asked_from_where_and_why),
        TEST_CASE(what_the_caller_says_of_itself_wins),
        TEST_CASE(a_project_says_what_nobody_else_does),
        TEST_CASE(changes_on_a_filter_and_in_a_batch_say_it_too),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
