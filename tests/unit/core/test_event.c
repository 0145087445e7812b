/* Events: the catalogue is as documented, patterns mean what they say, and what does not fit is seen. */
#include "core/event.h"

#include "core/id.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define PAGE_MAX ((size_t)256 * 1024)
#define LINE_MAX_SIZE 1024

static struct kw_id id_of(uint8_t number)
{
    struct kw_id id = {{0}};
    id.bytes[15] = number;
    return id;
}

/* Empty where it cannot be read. */
static const char *read_page(void)
{
    static char page[PAGE_MAX];
    FILE *file = fopen(EVENTS_PAGE, "re");
    if (file != NULL) {
        size_t size = fread(page, 1, sizeof page - 1, file);
        page[size] = '\0';
        (void)fclose(file);
    }
    return page;
}

static void add_names(struct kw_buffer *line, uint64_t bits)
{
    size_t count;
    const struct kw_event_member *members = kw_event_members(&count);
    bool is_first = true;
    for (size_t i = 0; i < count; i++) {
        if ((bits >> i & 1) != 0) {
            kw_buffer_add_format(line, is_first ? "`%s`" : ", `%s`", members[i].name);
            is_first = false;
        }
    }
}

static void check_line(struct test *t, const char *page, struct kw_buffer *line)
{
    kw_buffer_add_byte(line, '\0');
    if (strstr(page, (const char *)line->data) == NULL) {
        test_fail(t, __FILE__, __LINE__, "docs/events.md lacks the line %s", (const char *)line->data);
    }
}

/* Every event and every member has its line, and there is no line of another. */
static void the_page_shows_the_catalogue(struct test *t)
{
    static const char *const values[] = {
        [KW_EVENT_TEXT] = "text",     [KW_EVENT_KEY_ID] = "id of a key", [KW_EVENT_TIME] = "time",
        [KW_EVENT_NUMBER] = "number", [KW_EVENT_BOOL] = "boolean",       [KW_EVENT_TEXTS] = "texts",
        [KW_EVENT_OBJECT] = "object"};
    const char *page = read_page();
    size_t kind_count, member_count;
    const struct kw_event_kind *kinds = kw_event_kinds(&kind_count);
    const struct kw_event_member *members = kw_event_members(&member_count);
    char memory[LINE_MAX_SIZE];
    struct kw_buffer line;
    for (size_t i = 0; i < kind_count; i++) {
        kw_buffer_init_fixed(&line, memory, sizeof memory);
        kw_buffer_add_format(&line, "\n| `%s` | %s | ", kinds[i].name, kinds[i].means);
        add_names(&line, kinds[i].always);
        kw_buffer_add_text(&line, " | ");
        add_names(&line, kinds[i].sometimes);
        kw_buffer_add_text(&line, kinds[i].sometimes == 0 ? "|\n" : " |\n");
        check_line(t, page, &line);
    }
    for (size_t i = 0; i < member_count; i++) {
        kw_buffer_init_fixed(&line, memory, sizeof memory);
        kw_buffer_add_format(&line, "\n| `%s` | %s | %s |\n", members[i].name, values[members[i].value],
                             members[i].means);
        check_line(t, page, &line);
    }
    size_t rows = 0;
    for (const char *at = strstr(page, "\n| `"); at != NULL; at = strstr(at + 1, "\n| `")) {
        rows++;
    }
    CHECK_I64(t, rows, kind_count + member_count);
}

static void names_are_unique_and_fit(struct test *t)
{
    size_t count;
    const struct kw_event_kind *kinds = kw_event_kinds(&count);
    for (size_t i = 0; i < count; i++) {
        CHECK(t, strlen(kinds[i].name) <= KW_EVENT_NAME_MAX);
        CHECK(t, kw_event_kind(kw_bytes_of_text(kinds[i].name)) == &kinds[i]);
        CHECK_I64(t, kinds[i].always & kinds[i].sometimes, 0);
    }
    CHECK(t, kw_event_kind(KW_BYTES("key.flown")) == NULL);
    CHECK(t, kw_event_kind(KW_BYTES("")) == NULL);
}

static void patterns_mean_what_they_say(struct test *t)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"key.revoked", "key.revoked", true},
        {"revoked", "key.revoked", true},
        {"key.revoked", "key.rotated", false},
        {"key.*", "key.quota.warning", true},
        {"key.*", "keys.imported", false},
        {"*", "policy.changed", true},
        {"quota.*", "key.quota.exceeded", true},
        {"quota.exceeded", "key.quota.exceeded", true},
        {"key.quota.*", "key.quota.exceeded", true},
        {"policy.*", "policy.changed", true},
        {"policy.*", "key.created", false},
        {"changed", "policy.changed", false},
        {"key.", "key.created", false},
        {"key*", "key.created", false},
        {".*", "key.created", false},
        {"", "key.created", false},
        {"key.key.created", "key.created", false},
        {"KEY.CREATED", "key.created", false},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct kw_bytes pattern = kw_bytes_of_text(cases[i].pattern);
        if (kw_event_matches(pattern, kw_bytes_of_text(cases[i].name)) != cases[i].matches) {
            test_fail(t, __FILE__, __LINE__, "'%s' on %s", cases[i].pattern, cases[i].name);
        }
        CHECK(t, !cases[i].matches || kw_event_pattern_valid(pattern));
    }
    static const char *const none[] = {"", "flown", "key.flown", "flown.*", "key", "**", "k*", ".", "*.created"};
    for (size_t i = 0; i < KW_COUNT_OF(none); i++) {
        CHECK(t, !kw_event_pattern_valid(kw_bytes_of_text(none[i])));
    }
}

static void a_list_matches_as_its_patterns_do(struct test *t)
{
    static const char *const patterns[] = {"key.created", "revoked", "policy.*", "quota.*", "keys.imported", "key.*"};
    size_t count;
    const struct kw_event_kind *kinds = kw_event_kinds(&count);
    for (size_t round = 0; round < 300; round++) {
        char memory[KW_EVENT_LIST_MAX];
        struct kw_bytes chosen[4];
        struct kw_buffer list;
        struct kw_error error;
        size_t chosen_count = test_random(t) % 5;
        kw_buffer_init_fixed(&list, memory, sizeof memory);
        for (size_t i = 0; i < chosen_count; i++) {
            chosen[i] = kw_bytes_of_text(patterns[test_random(t) % KW_COUNT_OF(patterns)]);
            kw_buffer_add_text(&list, i == 0 ? "" : ",");
            kw_buffer_add(&list, chosen[i]);
        }
        CHECK_STATUS(t, kw_event_list_check(kw_buffer_bytes(&list), "type", &error), KW_OK);
        for (size_t i = 0; i < count; i++) {
            struct kw_bytes name = kw_bytes_of_text(kinds[i].name);
            CHECK(t, kw_event_matches_list(kw_buffer_bytes(&list), name) ==
                         kw_event_matches_any(chosen, chosen_count, name));
        }
    }
    struct kw_error error;
    CHECK_STATUS(t, kw_event_list_check(KW_BYTES("created,"), "type", &error), KW_E_INVALID);
    CHECK_STATUS(t, kw_event_list_check(KW_BYTES(",created"), "type", &error), KW_E_INVALID);
    char many[33 * 2];
    for (size_t i = 0; i < sizeof many; i++) {
        many[i] = i % 2 == 0 ? '*' : ',';
    }
    CHECK_STATUS(t, kw_event_list_check(kw_bytes_of(many, 63), "type", &error), KW_OK);
    CHECK_STATUS(t, kw_event_list_check(kw_bytes_of(many, 65), "type", &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "type");
}

static struct kw_event event_of(struct kw_bytes type, struct kw_bytes details)
{
    return (struct kw_event){.id = id_of(7),
                             .at_ms = 1700000000000,
                             .type = type,
                             .project = KW_BYTES("default"),
                             .key_id = id_of(1),
                             .env = KW_BYTES("live"),
                             .owner = KW_BYTES("user:1"),
                             .details = details};
}

static void an_event_is_one_object(struct test *t)
{
    char memory[1024];
    struct kw_buffer text;
    struct kw_json_writer json;
    struct kw_event event = event_of(KW_BYTES("key.enabled"), KW_BYTES("{\"actor\":\"operator\"}"));
    kw_buffer_init_fixed(&text, memory, sizeof memory);
    kw_json_writer_init(&json, &text);
    kw_event_write(&event, &json);
    CHECK_BYTES(t, kw_buffer_bytes(&text),
                KW_BYTES("{\"id\":\"evt_00000000000000000000000007\",\"event\":\"key.enabled\","
                         "\"timestamp\":\"2023-11-14T22:13:20.000Z\",\"data\":{\"projectId\":\"default\","
                         "\"keyId\":\"key_00000000000000000000000001\",\"env\":\"live\",\"owner\":\"user:1\","
                         "\"ownerId\":\"1\",\"actor\":\"operator\"}}"));
    struct kw_id id;
    CHECK(t, kw_event_id_parse(KW_BYTES("evt_00000000000000000000000007"), &id) && kw_id_equal(&id, &event.id));
    CHECK(t, !kw_event_id_parse(KW_BYTES("key_00000000000000000000000007"), &id));
    CHECK(t, !kw_event_id_parse(KW_BYTES("evt_0000000000000000000000000"), &id));
}

static void what_does_not_fit_is_seen(struct test *t)
{
    static const struct {
        const char *type, *details;
        bool fits;
    } cases[] = {
        {"key.enabled", "{\"actor\":\"a\"}", true},
        {"key.enabled", "{\"actor\":\"a\",\"reason\":\"b\",\"name\":\"c\"}", true},
        {"key.enabled", "{}", false},                                 /* who did it */
        {"key.enabled", "{\"actor\":7}", false},                      /* another kind */
        {"key.enabled", "{\"actor\":\"a\",\"actor\":\"b\"}", false},  /* twice */
        {"key.enabled", "{\"actor\":\"a\",\"count\":1}", false},      /* another event's */
        {"key.enabled", "{\"actor\":\"a\",\"colour\":\"b\"}", false}, /* nobody's */
        {"key.flown", "{\"actor\":\"a\"}", false},                    /* no event */
        {"key.updated", "{\"actor\":\"a\",\"changed\":[\"name\"]}", true},
        {"key.updated", "{\"actor\":\"a\",\"changed\":\"name\"}", false},
        {"key.expired", "{\"actor\":\"a\",\"expiresAt\":\"2023-11-14T22:13:20.000Z\"}", true},
        {"key.expired", "{\"actor\":\"a\",\"expiresAt\":\"soon\"}", false},
        {"key.rotated", "{\"actor\":\"a\",\"rotatedTo\":\"key_00000000000000000000000001\"}", true},
        {"key.rotated", "{\"actor\":\"a\",\"rotatedTo\":\"key_1\"}", false},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct kw_event event = event_of(kw_bytes_of_text(cases[i].type), kw_bytes_of_text(cases[i].details));
        if (kw_event_fits(&event) != cases[i].fits) {
            test_fail(t, __FILE__, __LINE__, "%s %s", cases[i].type, cases[i].details);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_page_shows_the_catalogue), TEST_CASE(names_are_unique_and_fit),
        TEST_CASE(patterns_mean_what_they_say),  TEST_CASE(a_list_matches_as_its_patterns_do),
        TEST_CASE(an_event_is_one_object),       TEST_CASE(what_does_not_fit_is_seen),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
