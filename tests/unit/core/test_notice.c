#include "base/bytes.h"
#include "core/channel.h"
#include "core/mail.h"
#include "core/notice.h"
#include "support/test.h"

#include <stdio.h>

/* A check that says what it saw. */
#define EXPECT(t, condition, ...) ((condition) ? (void)0 : test_fail((t), __FILE__, __LINE__, __VA_ARGS__))
#define TEXT_MAX ((size_t)256 * 1024)

static struct kw_notice notice_of(const char *event, unsigned number, const char *name)
{
    struct kw_notice notice = {.at_ms = INT64_C(1767225600000)};
    (void)snprintf(notice.event, sizeof notice.event, "%s", event);
    (void)snprintf(notice.parts[KW_NOTICE_KEY_ID], KW_NOTICE_TEXT_MAX, "key_%026u", number);
    (void)snprintf(notice.parts[KW_NOTICE_NAME], KW_NOTICE_TEXT_MAX, "%s", name);
    (void)snprintf(notice.parts[KW_NOTICE_LAST_FOUR], KW_NOTICE_TEXT_MAX, "%04u", number % 10000);
    return notice;
}

static bool has(const struct kw_buffer *text, const char *what)
{
    return kw_bytes_contains_ignoring_case(kw_buffer_bytes(text), kw_bytes_of_text(what));
}

static size_t count_of(const struct kw_buffer *text, const char *what)
{
    struct kw_bytes wanted = kw_bytes_of_text(what);
    size_t count = 0;
    for (size_t i = 0; i + wanted.size <= text->size; i++) {
        count += kw_bytes_equal(kw_bytes_of(text->data + i, wanted.size), wanted);
    }
    return count;
}

typedef void writer(const struct kw_notice_batch *batch, struct kw_buffer *out);
static writer *const writers[] = {kw_notice_write_plain, kw_notice_write_html, kw_notice_write_slack,
                                  kw_notice_subject};

static struct kw_notice_batch batch_of(const struct kw_notice *const *notices, size_t count)
{
    return (struct kw_notice_batch){.project = KW_BYTES("shop"), .notices = notices, .count = count};
}

/* No sentence may be left with a hole: each of the catalogue is filled with all that its events always say. */
static void each_event_has_a_text(struct test *t)
{
    size_t count = 0;
    size_t member_count = 0;
    const struct kw_event_kind *kinds = kw_event_kinds(&count);
    const struct kw_event_member *members = kw_event_members(&member_count);
    for (size_t i = 0; i < count; i++) {
        struct kw_buffer json, text;
        struct kw_json_writer out;
        struct kw_notice notice;
        EXPECT(t, kw_notice_text_is_own(kinds[i].name), "%s has no text of its own", kinds[i].name);
        const struct kw_notice_text *words = kw_notice_text(kinds[i].name);
        EXPECT(t, strlen(words->many) > 0 && strlen(words->next) > 0, "%s", kinds[i].name);
        kw_buffer_init(&json, TEXT_MAX);
        kw_buffer_init(&text, TEXT_MAX);
        kw_json_writer_init(&out, &json);
        kw_json_begin_object(&out);
        kw_json_name(&out, "event");
        kw_json_text(&out, kinds[i].name);
        kw_json_name(&out, "timestamp");
        kw_json_text(&out, "2026-01-01T00:00:00.000Z");
        kw_json_name(&out, "data");
        kw_json_begin_object(&out);
        for (size_t m = 0; m < member_count; m++) {
            if ((kinds[i].always >> m & 1) != 0) {
                kw_json_name(&out, members[m].name);
                kw_json_raw(&out, members[m].value == KW_EVENT_OBJECT
                                      ? KW_BYTES("{\"action\":\"END\",\"x\":[1],\"at\":\"VALUE\"}")
                                      : KW_BYTES("\"VALUE\""));
            }
        }
        kw_json_end_object(&out);
        kw_json_end_object(&out);
        CHECK_I64(t, kw_notice_read(kw_buffer_bytes(&json), &notice), KW_OK);
        kw_notice_fill(words->one, &notice, &text);
        bool is_of_key = kw_bytes_starts_with(kw_bytes_of_text(kinds[i].name), KW_BYTES("key."));
        EXPECT(t, has(&text, "VALUE") || !is_of_key, "%s does not say which key", kinds[i].name);
        bool ends = strcmp(kinds[i].name, "key.expiring") == 0;
        EXPECT(t, !ends || has(&text, "END, at VALUE"), "%.*s", (int)text.size, (const char *)text.data);
        bool has_hole = has(&text, "  ") || has(&text, " .") || has(&text, "{") || has(&text, "[") || has(&text, "]");
        EXPECT(t, !has_hole, "%s: %.*s", kinds[i].name, (int)text.size, (const char *)text.data);
        EXPECT(t, text.size > 0 && text.data[text.size - 1] == '.', "%s is no sentence", kinds[i].name);
        kw_buffer_deinit(&json);
        kw_buffer_deinit(&text);
    }
}

static void what_is_not_known_is_told_all_the_same(struct test *t)
{
    struct kw_notice notice = notice_of("key.from.the.future", 7, "ci");
    const struct kw_notice *list[] = {&notice};
    struct kw_notice_batch batch = batch_of(list, 1);
    struct kw_buffer text;
    kw_buffer_init(&text, TEXT_MAX);
    kw_notice_write_plain(&batch, &text);
    EXPECT(t, has(&text, "key.from.the.future") && has(&text, "\"ci\"") && has(&text, "0007"), "%.*s", (int)text.size,
           (const char *)text.data);
    kw_buffer_deinit(&text);
}

static void names_are_data(struct test *t)
{
    static const char evil[] =
        "{\"event\":\"key.revoked\",\"timestamp\":\"2026-01-01T00:00:00.000Z\",\"data\":{"
        "\"keyId\":\"key_1\",\"lastFour\":\"AbC4\",\"revokedBy\":\"{name}[x]\","
        "\"name\":\"<!channel> & <script>\\\"'\\r\\nBcc: x\\u2028\\u202e\\u200b\\u0085\\u001b\"}}";
    static const char turn[] = {(char)0xe2, (char)0x80, (char)0xae, 0}; /* U+202E: what follows runs to the left */
    struct kw_notice notice;
    CHECK_I64(t, kw_notice_read(KW_BYTES(evil), &notice), KW_OK);
    const struct kw_notice *list[] = {&notice};
    struct kw_notice_batch batch = batch_of(list, 1);
    for (size_t i = 0; i < KW_COUNT_OF(writers); i++) {
        struct kw_buffer text;
        kw_buffer_init(&text, TEXT_MAX);
        writers[i](&batch, &text);
        EXPECT(t,
               !has(&text, "\r") && !has(&text, "\nBcc") && !has(&text, "\xe2\x80\xa8") && !has(&text, turn) &&
                   !has(&text, "\xe2\x80\x8b") && !has(&text, "\xc2\x85") && !has(&text, "\x1b"),
               "writer %zu lets hidden characters through", i);
        EXPECT(t, has(&text, "{name}[x]"), "writer %zu takes a value for a template", i);
        bool is_marked_up = writers[i] == kw_notice_write_html || writers[i] == kw_notice_write_slack;
        EXPECT(t, is_marked_up == has(&text, "&lt;!channel&gt; &amp; &lt;script&gt;"), "writer %zu", i);
        EXPECT(t, !is_marked_up || (!has(&text, "<!channel") && !has(&text, "<script")), "writer %zu", i);
        kw_buffer_deinit(&text);
    }
    struct kw_buffer html;
    kw_buffer_init(&html, TEXT_MAX);
    kw_notice_write_html(&batch, &html);
    EXPECT(t, has(&html, "&quot;") && has(&html, "&#39;"), "quotes");
    kw_buffer_deinit(&html);
}

static void long_names_are_cut_at_a_character(struct test *t)
{
    uint8_t memory[4096];
    struct kw_buffer json;
    struct kw_notice notice;
    for (size_t size = KW_NOTICE_TEXT_MAX - 4; size < KW_NOTICE_TEXT_MAX + 4; size++) {
        kw_buffer_init_fixed(&json, memory, sizeof memory);
        kw_buffer_add_text(&json, "{\"event\":\"key.created\",\"data\":{\"name\":\"");
        for (size_t i = 0; i < size - 2; i++) {
            kw_buffer_add_byte(&json, 'x');
        }
        kw_buffer_add_text(&json, "\xc3\xbc\"}}");
        CHECK_I64(t, kw_notice_read(kw_buffer_bytes(&json), &notice), KW_OK);
        const char *name = notice.parts[KW_NOTICE_NAME];
        EXPECT(t, strlen(name) <= KW_NOTICE_TEXT_MAX && kw_utf8_valid(kw_bytes_of_text(name)), "size %zu", size);
        EXPECT(t, (size > KW_NOTICE_TEXT_MAX) == (strstr(name, "\xe2\x80\xa6") != NULL), "size %zu: %s", size, name);
    }
    CHECK_I64(t, kw_notice_read(KW_BYTES("[]"), &notice), KW_E_CORRUPT);
    CHECK_I64(t, kw_notice_read(KW_BYTES("{\"data\":{}}"), &notice), KW_E_CORRUPT);
    CHECK_I64(t, kw_notice_read(KW_BYTES("{\"event\":\"key.created\",\"data\":[]}"), &notice), KW_E_CORRUPT);
}

static void a_hundred_become_one_readable_message(struct test *t)
{
    static struct kw_notice notices[100];
    const struct kw_notice *list[100];
    for (unsigned i = 0; i < 100; i++) {
        notices[i] = notice_of(i % 20 == 0 ? "key.created" : "key.revoked", i % 10 == 9 ? 9 : i, "ci");
        list[i] = &notices[i];
    }
    struct kw_notice_batch batch = batch_of(list, 100);
    struct kw_buffer text, subject;
    kw_buffer_init(&text, TEXT_MAX);
    kw_buffer_init(&subject, TEXT_MAX);
    kw_notice_write_plain(&batch, &text);
    kw_notice_subject(&batch, &subject);
    EXPECT(t, has(&text, "95 keys were revoked.") && has(&text, "5 keys were created."), "%.*s", (int)text.size,
           (const char *)text.data);
    EXPECT(t,
           has(&text, "(\xe2\x80\xa6"
                      "0009), key_00000000000000000000000009, 2026-01-01T00:00:00.000Z and 9 more times"),
           "%.*s", (int)text.size, (const char *)text.data);
    /* 85 keys besides the one: ten of them all are shown. */
    EXPECT(t, has(&text, "and 76 more; the log"), "%.*s", (int)text.size, (const char *)text.data);
    CHECK_I64(t, (int64_t)count_of(&text, "  - "), 10 + 1 + 5);
    CHECK_I64(t, (int64_t)count_of(&text, "What to do: "), 2);
    EXPECT(t, text.size < 4096, "%zu bytes", text.size);
    EXPECT(t, has(&subject, "100 events") && !has(&subject, "\n"), "%.*s", (int)subject.size,
           (const char *)subject.data);
    kw_buffer_deinit(&text);
    kw_buffer_deinit(&subject);
}

/* The worst that can come: as many events as there may be, of all kinds, with the longest of names, all to be escaped.
 */
static void messages_are_bounded(struct test *t)
{
    static struct kw_notice notices[KW_NOTICE_MESSAGES_MAX];
    static const struct kw_notice *list[KW_NOTICE_MESSAGES_MAX];
    static const size_t most[] = {KW_NOTICE_MESSAGE_MAX, KW_NOTICE_HTML_MAX, KW_NOTICE_MESSAGE_MAX,
                                  KW_NOTICE_SUBJECT_MAX};
    size_t kind_count = 0;
    const struct kw_event_kind *kinds = kw_event_kinds(&kind_count);
    for (unsigned i = 0; i < KW_NOTICE_MESSAGES_MAX; i++) {
        notices[i] = notice_of(kinds[i % kind_count].name, i, "");
        for (size_t part = 0; part < KW_NOTICE_PART_COUNT; part++) {
            if (part != KW_NOTICE_KEY_ID) {
                memset(notices[i].parts[part], '\'', KW_NOTICE_TEXT_MAX);
            }
        }
        list[i] = &notices[i];
    }
    struct kw_notice_batch batch = batch_of(list, KW_NOTICE_MESSAGES_MAX);
    for (size_t i = 0; i < KW_COUNT_OF(writers); i++) {
        struct kw_buffer text;
        kw_buffer_init(&text, most[i]);
        writers[i](&batch, &text);
        CHECK_I64(t, kw_buffer_status(&text), KW_OK);
        EXPECT(t, text.size > 0, "writer %zu wrote nothing", i);
        kw_buffer_deinit(&text);
    }
}

static void mail_has_lines_that_nothing_ends(struct test *t)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"plain", "plain"},
        {"\xc3\xbc", "=?UTF-8?B?w7w=?="},
        {"a\r\nBcc: x", "=?UTF-8?B?YQ0KQmNjOiB4?="},
        {"=?utf-8?q?x?=", "=?UTF-8?B?PT91dGYtOD9xP3g/PQ==?="},
        {"", ""},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct kw_buffer out;
        kw_buffer_init(&out, TEXT_MAX);
        kw_mail_write_text(kw_bytes_of_text(cases[i].text), &out);
        EXPECT(t, kw_bytes_equal(kw_buffer_bytes(&out), kw_bytes_of_text(cases[i].want)), "%s: %.*s", cases[i].text,
               (int)out.size, (const char *)out.data);
        kw_buffer_deinit(&out);
    }
    char text[601];
    for (size_t i = 0; i < 600; i += 3) {
        memcpy(text + i, "\xe2\x82\xac", 3);
    }
    text[600] = '\0';
    const struct kw_bytes to[] = {KW_BYTES("a@example.com"), KW_BYTES("b@example.com")};
    struct kw_mail mail = {.from = KW_BYTES("k@example.com"),
                           .to = to,
                           .to_count = 2,
                           .subject = kw_bytes_of_text(text),
                           .now_ms = INT64_C(1795393858000),
                           .plain = kw_bytes_of_text(text),
                           .html = KW_BYTES(".\r\n.\r\n")};
    memset(mail.id, 'a', sizeof mail.id);
    struct kw_buffer out;
    kw_buffer_init(&out, TEXT_MAX);
    kw_mail_write(&mail, &out);
    CHECK_I64(t, kw_buffer_status(&out), KW_OK);
    EXPECT(t, has(&out, "Date: Mon, 23 Nov 2026 00:30:58 +0000\r\n"), "%.200s", (const char *)out.data);
    size_t from = 0;
    for (size_t i = 0; i + 1 < out.size; i++) {
        EXPECT(t, out.data[i] != '\n' || (i > 0 && out.data[i - 1] == '\r'), "a bare line feed at %zu", i);
        EXPECT(t, out.data[i] < 0x7f, "byte %zu", i);
        if (out.data[i] == '\n') {
            EXPECT(t, i - from < 80 && out.data[from] != '.', "a line of %zu", i - from);
            from = i + 1;
        }
    }
    kw_buffer_deinit(&out);
}

static void addresses_are_held_to_a_form(struct test *t)
{
    static const char *const good[] = {"a@b", "ann.lee+x@mail.example.com", "o'neil@example.com", "a@1.example"};
    static const char *const bad[] = {"",        "a",        "@b",    "a@",        "a@b@c",   "a b@c",
                                      "a@b c",   ".a@b",     "a.@b",  "a..b@c",    "a@.b",    "a@b..c",
                                      "<a@b>",   "a@b>",     "a\r@b", "a@b\n",     "\"a\"@b", "a,b@c",
                                      "a@[::1]", "a@-b.com", "a;b@c", "a@b\tRCPT", "a:b@c",   "\xc3\xbc@b"};
    for (size_t i = 0; i < KW_COUNT_OF(good); i++) {
        EXPECT(t, kw_mail_address_valid(kw_bytes_of_text(good[i])), "%s", good[i]);
    }
    for (size_t i = 0; i < KW_COUNT_OF(bad); i++) {
        EXPECT(t, !kw_mail_address_valid(kw_bytes_of_text(bad[i])), "%s", bad[i]);
    }
}

static void urls_are_masked(struct test *t)
{
    static const char *const cases[][2] = {{"https://hooks.example.com/a/b?c", "https://hooks.example.com/..."},
                                           {"https://h:8443?token=x", "https://h:8443/..."},
                                           {"https://h", "https://h/..."},
                                           {"https://[::1]/secret", "https://[::1]/..."}};
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct kw_buffer out;
        struct kw_url url;
        const char *why = NULL;
        kw_buffer_init(&out, TEXT_MAX);
        kw_channel_mask_url(kw_bytes_of_text(cases[i][0]), &out);
        EXPECT(t, kw_bytes_equal(kw_buffer_bytes(&out), kw_bytes_of_text(cases[i][1])), "%s", cases[i][0]);
        EXPECT(t, kw_url_parse(kw_buffer_bytes(&out), &url, &why), "%s: %s", cases[i][1], why);
        kw_buffer_deinit(&out);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(each_event_has_a_text),
        TEST_CASE(what_is_not_known_is_told_all_the_same),
        TEST_CASE(names_are_data),
        TEST_CASE(long_names_are_cut_at_a_character),
        TEST_CASE(a_hundred_become_one_readable_message),
        TEST_CASE(messages_are_bounded),
        TEST_CASE(mail_has_lines_that_nothing_ends),
        TEST_CASE(addresses_are_held_to_a_form),
        TEST_CASE(urls_are_masked),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
