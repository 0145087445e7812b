#include "base/error.h"
#include "core/transition.h"
#include "support/test.h"

static void every_code_has_its_words(struct test *t)
{
    for (int code = KW_CODE_NONE; code < KW_CODE_COUNT; code++) {
        const struct kw_code_info *info = kw_code_info((enum kw_code)code);
        CHECK(t, info->name != NULL && info->name[0] != 0);
        CHECK(t, info->meaning != NULL && info->meaning[strlen(info->meaning) - 1] == '.');
        CHECK(t, info->advice != NULL && info->advice[strlen(info->advice) - 1] == '.');
        CHECK(t, info->http_status >= 200 && info->http_status < 600);
        if (code != KW_CODE_NONE) {
            CHECK_I64(t, kw_code_of_name(info->name), code);
        }
    }
}

static void the_table_and_the_names_agree(struct test *t)
{
    CHECK_TEXT(t, kw_code_info(KW_CODE_NONE)->name, "VALID");
    CHECK_I64(t, kw_code_info(KW_CODE_NONE)->http_status, 200);
    CHECK_TEXT(t, kw_code_info(KW_CODE_INVALID_KEY)->name, "INVALID_KEY");
    CHECK_I64(t, kw_code_info(KW_CODE_INVALID_KEY)->http_status, 401);
    CHECK_I64(t, kw_code_info(KW_CODE_INSUFFICIENT_SCOPE)->http_status, 403);
    CHECK_TEXT(t, kw_code_info(KW_CODE_INTERNAL)->name, "INTERNAL");
    CHECK_TEXT(t, kw_code_info((enum kw_code)9999)->name, "INTERNAL");
    CHECK_I64(t, kw_code_of_name("NO_SUCH_CODE"), KW_CODE_NONE);
    CHECK_I64(t, kw_code_of_name("invalid_key"), KW_CODE_NONE);
    CHECK_I64(t, kw_code_of_name(""), KW_CODE_NONE);
    CHECK_I64(t, kw_code_of_name(NULL), KW_CODE_NONE);
}

static void a_refusal_s_status_follows_from_its_code(struct test *t)
{
    static const struct {
        enum kw_code code;
        enum kw_status status;
    } rows[] = {
        {KW_CODE_INVALID_FIELD, KW_E_INVALID},
        {KW_CODE_WEAK_KEY_FORMAT, KW_E_INVALID},
        {KW_CODE_UNAUTHORIZED, KW_E_DENIED},
        {KW_CODE_FORBIDDEN, KW_E_DENIED},
        {KW_CODE_KEY_NOT_FOUND, KW_E_NOT_FOUND},
        {KW_CODE_VERSION_CONFLICT, KW_E_CONFLICT},
        {KW_CODE_NOT_REVOKED, KW_E_CONFLICT},
        {KW_CODE_CANNOT_CHANGE_FIELD, KW_E_INVALID},
        {KW_CODE_BODY_TOO_LARGE, KW_E_LIMIT},
        {KW_CODE_URI_TOO_LONG, KW_E_LIMIT},
        {KW_CODE_HEADERS_TOO_LARGE, KW_E_LIMIT},
        {KW_CODE_STORE_UNAVAILABLE, KW_E_UNAVAILABLE},
        {KW_CODE_STORE_FULL, KW_E_FULL},
        {KW_CODE_TOO_BUSY, KW_E_BUSY},
        {KW_CODE_OUTCOME_UNCERTAIN, KW_E_UNCERTAIN},
        {KW_CODE_STORE_CORRUPT, KW_E_CORRUPT},
        {KW_CODE_STORE_NEWER, KW_E_NEWER},
        {KW_CODE_DATA_IN_USE, KW_E_BUSY},
        {KW_CODE_PEPPER_MISMATCH, KW_E_INVALID},
        {KW_CODE_INTERNAL, KW_E_SYSTEM},
        {KW_CODE_TOO_MANY_FAILURES, KW_E_BUSY},
        {KW_CODE_IDEMPOTENCY_KEY_REUSED, KW_E_INVALID},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_error error;
        CHECK_STATUS(t, kw_refuse(&error, rows[i].code, "name", "is %d too long", 3), rows[i].status);
        CHECK_STATUS(t, error.status, rows[i].status);
        CHECK_TEXT(t, error.code, kw_code_info(rows[i].code)->name);
        CHECK_TEXT(t, error.field, "name");
        CHECK_TEXT(t, error.message, "is 3 too long");
        CHECK_TEXT(t, error.detail, "");
    }
    /* No code may be left without a status: an answer of 4xx never reads as the server's own failure. */
    for (int code = KW_CODE_NONE + 1; code < KW_CODE_COUNT; code++) {
        if (kw_code_info((enum kw_code)code)->http_status < 400) {
            continue; /* no refusal */
        }
        enum kw_status status = kw_refuse(NULL, (enum kw_code)code, NULL, "no");
        CHECK(t, status != KW_OK && (status != KW_E_SYSTEM || kw_code_info((enum kw_code)code)->http_status >= 500));
    }
}

static void long_messages_are_cut_between_characters(struct test *t)
{
    char text[3 * KW_ERROR_TEXT_MAX] = "";
    for (size_t i = 0; i < 2 * (size_t)KW_ERROR_TEXT_MAX - 2; i += 2) {
        memcpy(text + i, "\xc3\xa4", 3);
    }
    for (int shift = 0; shift < 2; shift++) {
        struct kw_error error;
        CHECK_STATUS(t, kw_refuse(&error, KW_CODE_INVALID_FIELD, NULL, "%s%s", shift == 0 ? "" : "x", text),
                     KW_E_INVALID);
        CHECK(t, strlen(error.message) >= KW_ERROR_TEXT_MAX - 8);
        CHECK(t, kw_utf8_valid(kw_bytes_of_text(error.message)));
        CHECK_TEXT(t, error.field, "");
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(every_code_has_its_words),
        TEST_CASE(the_table_and_the_names_agree),
        TEST_CASE(a_refusal_s_status_follows_from_its_code),
        TEST_CASE(long_messages_are_cut_between_characters),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
