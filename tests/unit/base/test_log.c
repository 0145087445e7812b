#include "base/log.h"

#include "base/error.h"
#include "support/test.h"

#include <fcntl.h>
#include <unistd.h>

static int64_t fixed_now_ms(void *context)
{
    (void)context;
    return INT64_C(1769903999999);
}

/* A log whose lines are packets: each read gives what one write gave, so that a line in two writes shows. */
struct sink {
    int read_fd;
    struct kw_log log;
    char line[KW_LOG_LINE_MAX + 1];
};

static bool open_sink(struct sink *sink, enum kw_log_level level_min)
{
    int fds[2];
    if (pipe2(fds, O_DIRECT | O_NONBLOCK) != 0) {
        return false;
    }
    sink->read_fd = fds[0];
    sink->log = (struct kw_log){.fd = fds[1], .level_min = level_min, .clock = {.now_ms = fixed_now_ms}};
    return true;
}

static void close_sink(struct sink *sink)
{
    close(sink->read_fd);
    close(sink->log.fd);
}

static struct kw_bytes next_line(struct sink *sink)
{
    ssize_t size = read(sink->read_fd, sink->line, sizeof sink->line);
    return kw_bytes_of(sink->line, size < 0 ? 0 : (size_t)size);
}

/* One JSON object and a line feed, of at most KW_LOG_LINE_MAX bytes. */
static void check_line(struct test *t, struct kw_bytes line)
{
    REQUIRE(t, line.size > 0 && line.size <= KW_LOG_LINE_MAX);
    CHECK_I64(t, line.data[line.size - 1], '\n');
    CHECK(t, memchr(line.data, '\n', line.size - 1) == NULL);
    struct kw_arena arena;
    struct kw_json_reader reader;
    struct kw_json_token token;
    struct kw_bytes raw;
    struct kw_error error = {.status = KW_OK};
    kw_arena_init(&arena, NULL, 0, 1 << 20);
    kw_json_reader_init(&reader, line, &arena);
    CHECK_STATUS(t, kw_json_next(&reader, &token, &error), KW_OK);
    CHECK_STATUS(t, kw_json_skip(&reader, &token, &raw, &error), KW_OK);
    CHECK_STATUS(t, kw_json_next(&reader, &token, &error), KW_OK);
    CHECK_I64(t, token.type, KW_JSON_END);
    CHECK_TEXT(t, error.message, "");
    kw_arena_reset(&arena);
}

static void a_line_holds_its_fields_in_order(struct test *t)
{
    struct sink sink;
    REQUIRE(t, open_sink(&sink, KW_LOG_INFO));
    struct kw_log_line line;
    kw_log_begin(&line, &sink.log, KW_LOG_WARN, "request");
    kw_log_text(&line, "path", "/v1/\"keys\"\n");
    kw_log_i64(&line, "status", -401);
    kw_log_bytes(&line, "empty", (struct kw_bytes){NULL, 0});
    kw_log_end(&line);
    CHECK_BYTES(t, next_line(&sink),
                KW_BYTES("{\"time\":\"2026-01-31T23:59:59.999Z\",\"level\":\"warn\",\"event\":\"request\","
                         "\"path\":\"/v1/\\\"keys\\\"\\n\",\"status\":-401,\"empty\":\"\"}\n"));
    CHECK_I64(t, next_line(&sink).size, 0);
    close_sink(&sink);
}

static void lines_below_the_level_are_not_written(struct test *t)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (int min = KW_LOG_DEBUG; min <= KW_LOG_ERROR; min++) {
        struct sink sink;
        REQUIRE(t, open_sink(&sink, (enum kw_log_level)min));
        for (int level = KW_LOG_DEBUG; level <= KW_LOG_ERROR; level++) {
            struct kw_log_line line;
            kw_log_begin(&line, &sink.log, (enum kw_log_level)level, "x");
            kw_log_text(&line, "a", "b");
            kw_log_i64(&line, "c", 1);
            kw_log_end(&line);
            struct kw_bytes written = next_line(&sink);
            CHECK(t, (written.size > 0) == (level >= min));
            CHECK(t, written.size == 0 || kw_bytes_contains_ignoring_case(written, kw_bytes_of_text(names[level])));
        }
        close_sink(&sink);
    }
}

static void a_log_to_nowhere_takes_everything(struct test *t)
{
    struct kw_log nowhere = {.fd = -1, .clock = {.now_ms = fixed_now_ms}};
    const struct kw_log *logs[] = {&nowhere, NULL};
    struct kw_error error;
    (void)kw_fail(&error, KW_E_SYSTEM, "X", "f", "m");
    for (size_t i = 0; i < KW_COUNT_OF(logs); i++) {
        struct kw_log_line line;
        kw_log_begin(&line, logs[i], KW_LOG_ERROR, "x");
        CHECK(t, line.log == NULL);
        kw_log_text(&line, "a", "b");
        kw_log_error(&line, &error);
        kw_log_end(&line);
    }
}

static void errors_are_logged_with_their_detail(struct test *t)
{
    struct sink sink;
    REQUIRE(t, open_sink(&sink, KW_LOG_DEBUG));
    struct kw_error error;
    struct kw_log_line line;
    (void)kw_fail(&error, KW_E_UNAVAILABLE, "STORE_UNAVAILABLE", "name", "try again");
    kw_error_detail(&error, "errno 28");
    kw_log_begin(&line, &sink.log, KW_LOG_ERROR, "commit");
    kw_log_error(&line, &error);
    kw_log_end(&line);
    struct kw_bytes written = next_line(&sink);
    check_line(t, written);
    CHECK(t, kw_bytes_contains_ignoring_case(written, KW_BYTES("\"event\":\"commit\",\"code\":\"STORE_UNAVAILABLE\","
                                                               "\"field\":\"name\",\"message\":\"try again\","
                                                               "\"detail\":\"errno 28\"}")));
    kw_error_clear(&error);
    kw_log_begin(&line, &sink.log, KW_LOG_ERROR, "commit");
    kw_log_error(&line, &error);
    kw_log_end(&line);
    CHECK(t, !kw_bytes_contains_ignoring_case(next_line(&sink), KW_BYTES("message")));
    close_sink(&sink);
}

static void invalid_utf8_and_nul_are_replaced(struct test *t)
{
    struct sink sink;
    REQUIRE(t, open_sink(&sink, KW_LOG_DEBUG));
    struct kw_log_line line;
    kw_log_begin(&line, &sink.log, KW_LOG_INFO, "x");
    kw_log_bytes(&line, "v", KW_BYTES("a\xff\xed\xa0\x80\xc3\xa4\0z\xe2\x82"));
    kw_log_end(&line);
    struct kw_bytes written = next_line(&sink);
    check_line(t, written);
    CHECK(t, kw_bytes_contains_ignoring_case(
                 written, KW_BYTES("\"v\":\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xc3\xa4\xef\xbf\xbdz"
                                   "\xef\xbf\xbd\xef\xbf\xbd\"}\n")));
    close_sink(&sink);
}

static void a_long_value_is_cut_and_later_fields_stay(struct test *t)
{
    struct sink sink;
    REQUIRE(t, open_sink(&sink, KW_LOG_DEBUG));
    char value[3 * KW_LOG_VALUE_MAX + 1];
    for (size_t i = 0; i + 2 < sizeof value; i += 3) {
        memcpy(value + i, "\xe2\x82\xac", 3);
    }
    value[sizeof value - 1] = '\0';
    struct kw_log_line line;
    kw_log_begin(&line, &sink.log, KW_LOG_INFO, "x");
    kw_log_text(&line, "v", "");
    kw_log_i64(&line, "status", 200);
    kw_log_end(&line);
    size_t other_size = next_line(&sink).size;
    for (size_t shift = 0; shift < 3; shift++) {
        kw_log_begin(&line, &sink.log, KW_LOG_INFO, "x");
        kw_log_bytes(&line, "v", kw_bytes_of(value + shift, KW_LOG_VALUE_MAX + 10));
        kw_log_i64(&line, "status", 200);
        kw_log_end(&line);
        struct kw_bytes written = next_line(&sink);
        check_line(t, written);
        CHECK(t, kw_bytes_contains_ignoring_case(written, KW_BYTES("\xe2\x80\xa6\",\"status\":200}\n")));
        /* The bytes of a code point that the value begins within become three each. */
        size_t stray = (3 - shift) % 3;
        CHECK(t, written.size <= other_size + KW_LOG_VALUE_MAX + 2 * stray + sizeof "\xe2\x80\xa6" - 1);
    }
    close_sink(&sink);
}

static void fields_that_do_not_fit_leave_a_valid_line(struct test *t)
{
    struct sink sink;
    REQUIRE(t, open_sink(&sink, KW_LOG_DEBUG));
    for (int round = 0; round < 3000 && t->failures == 0; round++) {
        struct kw_log_line line;
        size_t expected_fields = 0;
        kw_log_begin(&line, &sink.log, KW_LOG_INFO, "x");
        for (size_t fields = test_random_below(t, 40); fields > 0; fields--) {
            uint8_t value[1200];
            size_t size = test_random_below(t, test_random_below(t, 3) == 0 ? sizeof value : 40);
            for (size_t i = 0; i < size; i++) {
                value[i] = (uint8_t)test_random_below(t, round % 2 == 0 ? 256 : 128);
            }
            kw_log_bytes(&line, "value", kw_bytes_of(value, size));
            kw_log_i64(&line, "number", (int64_t)test_random(t));
            expected_fields += 2;
        }
        /* Names of a line may repeat here; only its form is looked at. */
        bool cut = line.cut;
        kw_log_end(&line);
        struct kw_bytes written = next_line(&sink);
        REQUIRE(t, written.size > 0 && written.size <= KW_LOG_LINE_MAX);
        CHECK(t, kw_bytes_contains_ignoring_case(written, KW_BYTES(",\"cut\":true}\n")) == cut);
        CHECK(t, !cut || expected_fields > 0);
        struct kw_json_reader reader;
        struct kw_json_token token = {.type = KW_JSON_NULL};
        struct kw_arena arena;
        kw_arena_init(&arena, NULL, 0, 1 << 20);
        kw_json_reader_init(&reader, written, &arena);
        while (token.type != KW_JSON_END) {
            REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
        }
        kw_arena_reset(&arena);
    }
    close_sink(&sink);
}

static void a_line_at_its_limit_is_full(struct test *t)
{
    struct sink sink;
    REQUIRE(t, open_sink(&sink, KW_LOG_DEBUG));
    struct kw_log_line line;
    kw_log_begin(&line, &sink.log, KW_LOG_INFO, "x");
    for (int i = 0; i < 2000; i++) {
        kw_log_i64(&line, "n", 1);
    }
    kw_log_end(&line);
    struct kw_bytes written = next_line(&sink);
    CHECK(t, written.size > KW_LOG_LINE_MAX - 10 && written.size <= KW_LOG_LINE_MAX);
    CHECK(t, kw_bytes_contains_ignoring_case(written, KW_BYTES("\"n\":1,\"cut\":true}\n")));
    close_sink(&sink);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_line_holds_its_fields_in_order),          TEST_CASE(lines_below_the_level_are_not_written),
        TEST_CASE(a_log_to_nowhere_takes_everything),         TEST_CASE(errors_are_logged_with_their_detail),
        TEST_CASE(invalid_utf8_and_nul_are_replaced),         TEST_CASE(a_long_value_is_cut_and_later_fields_stay),
        TEST_CASE(fields_that_do_not_fit_leave_a_valid_line), TEST_CASE(a_line_at_its_limit_is_full),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
