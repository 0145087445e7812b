#include "base/error.h"

#include "support/test.h"

static void failing_fills_everything_in_one_line(struct test *t)
{
    struct kw_error error;
    memset(&error, 'x', sizeof error);
    enum kw_status status =
        kw_fail(&error, KW_E_INVALID, "INVALID_FIELD", "name", "is too long: at most %d characters", 100);
    CHECK_STATUS(t, status, KW_E_INVALID);
    CHECK_STATUS(t, error.status, KW_E_INVALID);
    CHECK_TEXT(t, error.code, "INVALID_FIELD");
    CHECK_TEXT(t, error.field, "name");
    CHECK_TEXT(t, error.message, "is too long: at most 100 characters");
    CHECK_TEXT(t, error.detail, "");
    CHECK_STATUS(t, kw_fail(&error, KW_E_LIMIT, "TOO", NULL, "many"), KW_E_LIMIT);
    CHECK_TEXT(t, error.field, "");
    CHECK_STATUS(t, kw_fail(NULL, KW_E_BUSY, "X", NULL, "nobody listens"), KW_E_BUSY);
}

static void long_texts_are_cut_between_code_points(struct test *t)
{
    /* Three bytes each, so that the cut falls into one whatever the size. */
    char text[1200];
    for (size_t i = 0; i + 3 < sizeof text; i += 3) {
        memcpy(text + i, "\xe2\x82\xac", 4);
    }
    for (size_t shift = 0; shift < 3; shift++) {
        struct kw_error error;
        (void)kw_fail(&error, KW_E_INVALID, "X", text, "%.*s%s", (int)shift, "aaa", text);
        kw_error_detail(&error, "%.*s%s", (int)shift, "aaa", text);
        kw_error_nest(&error, "parent");
        CHECK(t, kw_utf8_valid(kw_bytes_of_text(error.field)));
        CHECK(t, kw_utf8_valid(kw_bytes_of_text(error.message)));
        CHECK(t, kw_utf8_valid(kw_bytes_of_text(error.detail)));
        CHECK(t, strchr(error.message, '?') == NULL && strchr(error.field, '?') == NULL);
        CHECK(t, strlen(error.message) > KW_ERROR_TEXT_MAX - 4 && strlen(error.message) < KW_ERROR_TEXT_MAX);
        CHECK(t, strlen(error.detail) > KW_ERROR_TEXT_MAX - 4 && strlen(error.detail) < KW_ERROR_TEXT_MAX);
        CHECK(t, strlen(error.field) > KW_ERROR_FIELD_MAX - 4 && strlen(error.field) < KW_ERROR_FIELD_MAX);
    }
}

static void stray_bytes_become_question_marks(struct test *t)
{
    struct kw_error error;
    (void)kw_fail(&error, KW_E_INVALID, "X", "caf\xe9s", "%s",
                  "a\xff"
                  "b\xc3(\xed\xa0\x80 fin");
    CHECK_TEXT(t, error.field, "caf?s");
    CHECK_TEXT(t, error.message, "a?b?(??? fin");
    (void)kw_fail(&error, KW_E_INVALID, "X", NULL, "%s", "beyond \xf4\x90\x80\x80");
    CHECK_TEXT(t, error.message, "beyond ????");
}

static void texts_may_be_made_of_the_error_itself(struct test *t)
{
    struct kw_error error;
    (void)kw_fail(&error, KW_E_SYSTEM, "X", "field", "inner");
    (void)kw_fail(&error, KW_E_SYSTEM, "Y", error.field, "outer: %s", error.message);
    CHECK_TEXT(t, error.message, "outer: inner");
    CHECK_TEXT(t, error.field, "field");
    kw_error_detail(&error, "errno 5");
    kw_error_detail(&error, "write: %s", error.detail);
    CHECK_TEXT(t, error.detail, "write: errno 5");
    CHECK_TEXT(t, error.message, "outer: inner");
}

static void nesting_joins_as_the_caller_would_write_it(struct test *t)
{
    static const struct {
        const char *field, *parent, *nested;
    } examples[] = {
        {"[2]", "tags", "tags[2]"},
        {"read", "resources", "resources.read"},
        {"tags[2]", "items[0]", "items[0].tags[2]"},
        {"", "metadata", "metadata"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(examples); i++) {
        struct kw_error error;
        (void)kw_fail(&error, KW_E_INVALID, "X", examples[i].field, "wrong");
        kw_error_nest(&error, examples[i].parent);
        CHECK_TEXT(t, error.field, examples[i].nested);
        CHECK_TEXT(t, error.message, "wrong");
    }
    kw_error_nest(NULL, "parent");
    kw_error_detail(NULL, "nobody");
}

static void clearing_leaves_no_error(struct test *t)
{
    struct kw_error error;
    (void)kw_fail(&error, KW_E_SYSTEM, "X", "field", "message");
    kw_error_detail(&error, "detail");
    kw_error_clear(&error);
    CHECK_STATUS(t, error.status, KW_OK);
    CHECK(t, error.code == NULL);
    CHECK_TEXT(t, error.field, "");
    CHECK_TEXT(t, error.message, "");
    CHECK_TEXT(t, error.detail, "");
}

static void every_status_has_its_own_name(struct test *t)
{
    CHECK_TEXT(t, kw_status_name(KW_OK), "KW_OK");
    CHECK_TEXT(t, kw_status_name(KW_E_BUSY), "KW_E_BUSY");
    CHECK_TEXT(t, kw_status_name(KW_E_SYSTEM), "KW_E_SYSTEM");
    for (int a = KW_OK; a <= KW_E_SYSTEM; a++) {
        REQUIRE(t, kw_status_name((enum kw_status)a) != NULL);
        for (int b = KW_OK; b < a; b++) {
            CHECK(t, strcmp(kw_status_name((enum kw_status)a), kw_status_name((enum kw_status)b)) != 0);
        }
    }
    CHECK(t, kw_status_name((enum kw_status)(KW_E_SYSTEM + 1)) != NULL);
    CHECK(t, kw_status_name((enum kw_status)1000) != NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(failing_fills_everything_in_one_line),
        TEST_CASE(long_texts_are_cut_between_code_points),
        TEST_CASE(stray_bytes_become_question_marks),
        TEST_CASE(texts_may_be_made_of_the_error_itself),
        TEST_CASE(nesting_joins_as_the_caller_would_write_it),
        TEST_CASE(clearing_leaves_no_error),
        TEST_CASE(every_status_has_its_own_name),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
