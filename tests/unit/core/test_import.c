#include "base/error.h"
#include "core/id.h"
#include "core/import.h"
#include "core/record.h"
#include "support/test.h"

#define SHA256 "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define SHA512 \
    "ee26b0dd4af7e749aa1a8ee3c10ae9923f618980772e473f8819a5d4940e0db27ac185f8a0e1d5f84f88bc887fd67b143732c304cc5fa9ad" \
    "8e6f57f50028a8ff"
#define ID "key_01JD5W3K2M8Q4T6V9X0Z1B3D5F"
#define OWN_RECORD \
    "\"record\":{\"id\":\"" ID "\",\"projectId\":\"default\",\"env\":\"live\",\"prefix\":\"sk_live_\"," \
    "\"status\":\"active\",\"enabled\":true,\"ownerId\":\"1\",\"owner\":\"user:1\",\"createdAt\":" \
    "\"2026-01-01T00:00:00.000Z\",\"version\":3"
#define OWN_DIGEST "\"digest\":{\"scheme\":\"sha256\",\"value\":\"" SHA256 "\"}"

struct reading {
    struct kw_arena arena;
    struct kw_import_options options;
    struct kw_import_item item;
    struct kw_error error;
};

static enum kw_status read_text(struct reading *reading, const char *json)
{
    kw_arena_init(&reading->arena, NULL, 0, (size_t)4 * 1024 * 1024);
    return kw_import_read(kw_bytes_of_text(json), &reading->options, &reading->arena, &reading->item, &reading->error);
}

static void forget(struct reading *reading)
{
    kw_arena_reset(&reading->arena);
}

static void own_lines_are_read_whole(struct test *t)
{
    struct reading reading = {.options.owner = {NULL, 0}};
    REQUIRE_OK(t,
               read_text(&reading,
                         "{" OWN_RECORD ",\"tags\":[\"b\",\"a\"],\"scopes\":[\"read\"],\"metadata\":{\"name\":\"x\"},"
                         "\"rateLimits\":[{\"name\":\"b\",\"requests\":5,\"window\":\"1s\"},{\"name\":\"a\","
                         "\"requests\":100,\"window\":\"1m\"}],"
                         "\"quotas\":[{\"limit\":1.5,\"period\":\"day\",\"metric\":\"cost\"}],"
                         "\"allowedIPs\":[\"192.0.2.0/24\"],\"parentId\":\"key_01JD5W3K2M8Q4T6V9X0Z1B3D5E\","
                         "\"rotatedTo\":\"key_01JD5W3K2M8Q4T6V9X0Z1B3D5H\",\"graceUntil\":"
                         "\"2027-01-01T00:00:00Z\"}," OWN_DIGEST ",\"kept\":{\"hasChildren\":true}}"));
    const struct kw_record *record = &reading.item.record;
    char id[KW_ID_TEXT_SIZE];
    CHECK(t, reading.item.is_own);
    kw_id_format(&record->id, id);
    CHECK_BYTES(t, kw_bytes_of(id, sizeof id), KW_BYTES(ID));
    CHECK(t, kw_id_equal(&record->id, &record->lineage_id));
    CHECK_BYTES(t, record->owner, KW_BYTES("user:1"));
    CHECK_BYTES(t, record->metadata, KW_BYTES("{\"name\":\"x\"}"));
    CHECK_I64(t, record->tags.count, 2);
    CHECK_I64(t, record->allowed_ips.count, 1);
    struct kw_bytes limits = record->rate_limits.packed;
    struct kw_rate_limit limit;
    CHECK_I64(t, record->rate_limits.count, 2);
    REQUIRE(t, kw_rate_limits_next(&limits, &limit));
    CHECK_BYTES(t, limit.name, KW_BYTES("a"));
    CHECK(t, limit.requests == 100 && limit.window_ms == 60000);
    struct kw_bytes quotas = record->quotas.packed;
    struct kw_quota_rule quota;
    REQUIRE(t, kw_quota_rules_next(&quotas, &quota));
    CHECK_BYTES(t, quota.name, KW_BYTES("cost-day"));
    CHECK_I64(t, quota.limit, 1500000);
    CHECK_I64(t, record->grace_until_ms, INT64_C(1798761600000));
    CHECK(t, record->has_children && record->enabled);
    CHECK_I64(t, reading.item.scheme, KW_DIGEST_SHA256);
    CHECK_I64(t, reading.item.digest.size, 32);
    CHECK_I64(t, reading.item.digest.bytes[0], 0x9f);
    forget(&reading);
}

static void foreign_lists_are_understood(struct test *t)
{
    struct reading reading = {.options.owner = {NULL, 0}};
    REQUIRE_OK(
        t, read_text(&reading,
                     "{\"id\":\"abc\",\"keyHash\":\"" SHA512 "\",\"metadata\":{\"ownerId\":\"u1\",\"name\":"
                     "\"ci\",\"scopes\":[\"read\",\"write\"],\"resources\":{\"website:1\":[\"read\"]},\"expiresAt\":"
                     "null,\"createdAt\":\"2025-01-01T00:00:00.000Z\",\"enabled\":false,\"revokedAt\":"
                     "\"2025-06-01T00:00:00.000Z\",\"rotatedTo\":\"def\",\"plan\":{\"a\":[1,2]}}}"));
    const struct kw_record *record = &reading.item.record;
    CHECK(t, !reading.item.is_own);
    CHECK_BYTES(t, record->owner, KW_BYTES("user:u1"));
    CHECK_BYTES(t, record->name, KW_BYTES("ci"));
    CHECK_I64(t, record->scopes.count, 2);
    CHECK_I64(t, record->resources.count, 1);
    CHECK_I64(t, record->expires_at_ms, 0);
    CHECK_I64(t, record->created_at_ms, INT64_C(1735689600000));
    CHECK(t, !record->enabled && record->revoked_at_ms != 0);
    CHECK_BYTES(t, record->metadata, KW_BYTES("{\"rotatedTo\":\"def\",\"plan\":{\"a\":[1,2]},\"importId\":\"abc\"}"));
    CHECK_I64(t, reading.item.scheme, KW_DIGEST_SHA512);
    struct kw_id first = record->id;
    forget(&reading);
    /* Every import gives a foreign id the same one of ours, and another foreign id another. */
    REQUIRE_OK(t, read_text(&reading, "{\"metadata\":{\"ownerId\":\"u9\",\"createdAt\":\"2025-01-01T00:00:00Z\"},"
                                      "\"keyHash\":\"" SHA256 "\",\"id\":\"abc\"}"));
    CHECK(t, kw_id_equal(&first, &reading.item.record.id));
    forget(&reading);
    REQUIRE_OK(t, read_text(&reading, "{\"metadata\":{\"ownerId\":\"u9\",\"createdAt\":\"2025-01-01T00:00:00Z\"},"
                                      "\"keyHash\":\"" SHA256 "\",\"id\":\"abd\"}"));
    CHECK(t, !kw_id_equal(&first, &reading.item.record.id));
    forget(&reading);
}

static void options_fill_in(struct test *t)
{
    struct reading reading = {.options = {.owner = KW_BYTES("team:9"),
                                          .env = KW_BYTES("test"),
                                          .prefix = KW_BYTES("old_"),
                                          .salt = KW_BYTES("pinch"),
                                          .salt_before = true}};
    REQUIRE_OK(t, read_text(&reading, "{\"keyHash\":\"" SHA256 "\"}"));
    CHECK_BYTES(t, reading.item.record.owner, KW_BYTES("team:9"));
    CHECK_BYTES(t, reading.item.record.env, KW_BYTES("test"));
    CHECK_BYTES(t, reading.item.record.prefix, KW_BYTES("old_"));
    CHECK_I64(t, reading.item.scheme, KW_DIGEST_SHA256_SALTED);
    CHECK_BYTES(t, kw_bytes_of(reading.item.salt, reading.item.salt_size), KW_BYTES("pinch"));
    CHECK(t, reading.item.salt_before);
    CHECK(t, kw_id_is_none(&reading.item.record.id));
    forget(&reading);
    /* What an item says itself counts. */
    REQUIRE_OK(t, read_text(&reading, "{\"keyHash\":\"" SHA256 "\",\"salt\":\"s\",\"saltPlace\":\"after\",\"ownerId\":"
                                      "\"1\",\"env\":\"live\",\"prefix\":\"new_\"}"));
    CHECK_BYTES(t, reading.item.record.owner, KW_BYTES("user:1"));
    CHECK_BYTES(t, reading.item.record.env, KW_BYTES("live"));
    CHECK_BYTES(t, reading.item.record.prefix, KW_BYTES("new_"));
    CHECK_BYTES(t, kw_bytes_of(reading.item.salt, reading.item.salt_size), KW_BYTES("s"));
    CHECK(t, !reading.item.salt_before);
    forget(&reading);
}

static void plain_keys_show_their_last_four(struct test *t)
{
    struct reading reading = {.options.owner = KW_BYTES("user:1")};
    REQUIRE_OK(t, read_text(&reading, "{\"key\":\"legacy_0123456789abcdef\"}"));
    CHECK_BYTES(t, reading.item.key, KW_BYTES("legacy_0123456789abcdef"));
    CHECK_BYTES(t, kw_bytes_of(reading.item.record.last_four, 4), KW_BYTES("cdef"));
    forget(&reading);
    REQUIRE_OK(t, read_text(&reading, "{\"key\":\"tooshort\"}"));
    CHECK_I64(t, reading.item.record.last_four[0], 0); /* four of eight would tell half of it */
    forget(&reading);
}

#define LIMITS(limits) "{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"rateLimits\":" limits "}"

#define QUOTAS(quotas) "{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"quotas\":" quotas "}"

static const struct {
    const char *json;
    const char *code, *field;
} bad_items[] = {
    {"", "INVALID_JSON", ""},
    {"[]", "INVALID_JSON", ""},
    {"{}", "MISSING_FIELD", "keyHash"},
    {"{\"keyHash\":\"" SHA256 "\"} {}", "INVALID_JSON", ""},
    {"{\"keyHash\":\"" SHA256 "\"}", "MISSING_FIELD", "ownerId"},
    {"{\"keyHash\":\"" SHA256 "\",\"key\":\"0123456789\",\"ownerId\":\"1\"}", "INVALID_FIELD", "keyHash"},
    {"{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"allowedRegions\":[\"US-CA\",\"US-ZZ\"]}", "INVALID_FIELD",
     "allowedRegions[1]"},
    {"{\"keyHash\":\"abc\",\"ownerId\":\"1\"}", "INVALID_FIELD", "keyHash"},
    {"{\"keyHash\":\"" SHA256 "\",\"algorithm\":\"sha512\",\"ownerId\":\"1\"}", "INVALID_FIELD", "keyHash"},
    {"{\"keyHash\":\"" SHA256 "\",\"algorithm\":\"md5\",\"ownerId\":\"1\"}", "INVALID_FIELD", "algorithm"},
    {"{\"keyHash\":\"" SHA256 "\",\"saltPlace\":\"middle\",\"ownerId\":\"1\"}", "INVALID_FIELD", "saltPlace"},
    {"{\"keyHash\":\"" SHA256 "\",\"ownerid\":\"1\"}", "UNKNOWN_FIELD", "ownerid"},
    {"{\"keyHash\":\"" SHA256 "\",\"keyHash\":\"" SHA256 "\"}", "DUPLICATE_FIELD", "keyHash"},
    {"{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"metadata\":{\"ownerId\":\"2\"}}", "DUPLICATE_FIELD", "ownerId"},
    {"{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"metadata\":[]}", "INVALID_FIELD", "metadata"},
    {"{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"metadata\":{\"a\":1,\"a\":2}}", "INVALID_FIELD", "metadata"},
    {"{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"scopes\":\"read\"}", "INVALID_FIELD", "scopes"},
    {"{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"scopes\":[\"re ad\"]}", "INVALID_FIELD", "scopes[0]"},
    {"{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"tags\":[\"a\",\"b c\"]}", "INVALID_FIELD", "tags[1]"},
    {"{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"enabled\":\"yes\"}", "INVALID_FIELD", "enabled"},
    {"{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"expiresAt\":\"tomorrow\"}", "INVALID_FIELD", "expiresAt"},
    {"{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"allowedIPs\":[\"300.0.0.1\"]}", "INVALID_FIELD", "allowedIPs[0]"},
    {LIMITS("5"), "INVALID_FIELD", "rateLimits"},
    {LIMITS("[{\"requests\":5,\"window\":\"1s\",\"per\":\"org\"}]"), "INVALID_FIELD", "rateLimits[0].per"},
    {QUOTAS("{}"), "INVALID_FIELD", "quotas"},
    {QUOTAS("[{\"limit\":5}]"), "MISSING_FIELD", "quotas[0].period"},
    {QUOTAS("[{\"limit\":5,\"period\":\"day\",\"size\":1}]"), "UNKNOWN_FIELD", "quotas[0].size"},
    {QUOTAS("[{\"limit\":-5,\"period\":\"day\"}]"), "INVALID_FIELD", "quotas[0].limit"},
    {QUOTAS("[{\"limit\":5,\"period\":\"day\"},{\"limit\":6,\"period\":\"day\"}]"), "DUPLICATE_FIELD",
     "quotas[1].name"},
    {QUOTAS("[{\"limit\":5,\"period\":\"day\",\"per\":\"org\"}]"), "INVALID_FIELD", "quotas[0].per"},
    {LIMITS("[5]"), "INVALID_FIELD", "rateLimits[0]"},
    {LIMITS("[{\"requests\":5}]"), "MISSING_FIELD", "rateLimits[0].window"},
    {LIMITS("[{\"requests\":5,\"window\":\"1s\",\"burst\":1}]"), "UNKNOWN_FIELD", "rateLimits[0].burst"},
    {LIMITS("[{\"requests\":0,\"window\":\"1s\"}]"), "INVALID_FIELD", "rateLimits[0].requests"},
    {LIMITS("[{\"requests\":5,\"window\":\"1s\"},{\"requests\":6,\"window\":\"1m\"}]"), "DUPLICATE_FIELD",
     "rateLimits[1].name"},
    {"{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"parentId\":\"key_1\"}", "INVALID_FIELD", "parentId"},
    {"{\"keyHash\":\"" SHA256 "\",\"owner\":\"group:1\"}", "INVALID_FIELD", "owner"},
    {"{\"keyHash\":\"" SHA256 "\",\"ownerId\":\"1\",\"name\":5}", "INVALID_FIELD", "name"},
    {"{\"key\":\"short\",\"ownerId\":\"1\"}", "INVALID_FIELD", "key"},
    {"{\"key\":5,\"ownerId\":\"1\"}", "INVALID_FIELD", "key"},
    {"{" OWN_RECORD "}}", "MISSING_FIELD", "digest"},
    {"{" OWN_DIGEST ",\"record\":{\"id\":\"" ID "\",\"ownerId\":\"1\"}}", "MISSING_FIELD", "record.env"},
    {"{" OWN_RECORD ",\"rights\":[]}," OWN_DIGEST "}", "UNKNOWN_FIELD", "record.rights"},
    {"{" OWN_RECORD "}," OWN_DIGEST ",\"more\":1}", "UNKNOWN_FIELD", "more"},
    {"{" OWN_RECORD "},\"digest\":{\"scheme\":\"md5\",\"value\":\"00\"}}", "INVALID_FIELD", "digest.scheme"},
    {"{" OWN_RECORD "},\"digest\":{\"scheme\":\"sha512\",\"value\":\"" SHA256 "\"}}", "INVALID_FIELD", "digest.value"},
    {"{" OWN_RECORD "},\"digest\":{\"scheme\":\"hmac-sha256\",\"value\":\"" SHA256 "\"}}", "INVALID_FIELD",
     "digest.pepper"},
    {"{" OWN_RECORD "},\"digest\":{\"scheme\":\"sha256-salted\",\"value\":\"" SHA256 "\"}}", "INVALID_FIELD",
     "digest.salt"},
    {"{" OWN_RECORD ",\"graceUntil\":\"2027-01-01T00:00:00Z\"}," OWN_DIGEST "}", "INVALID_FIELD", "record.graceUntil"},
    {"{\"keyward\":\"export\",\"version\":2}", "STORE_NEWER", "version"},
    {"{\"keyward\":\"export\",\"version\":1,\"keys\":[]}", "INVALID_JSON", ""},
    {"{\"keyward\":\"import\"}", "INVALID_FIELD", "keyward"},
};

static void bad_items_name_their_field(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(bad_items); i++) {
        struct reading reading = {.options.owner = {NULL, 0}};
        enum kw_status status = read_text(&reading, bad_items[i].json);
        if (status == KW_OK || strcmp(reading.error.code, bad_items[i].code) != 0 ||
            strcmp(reading.error.field, bad_items[i].field) != 0) {
            test_fail(t, __FILE__, __LINE__, "%s: %s %s", bad_items[i].json,
                      status == KW_OK ? "OK" : reading.error.code, status == KW_OK ? "" : reading.error.field);
        }
        forget(&reading);
    }
}

static void no_refusal_repeats_a_key(struct test *t)
{
    static const char *const cases[] = {
        "{\"key\":\"CANARYCANARYCANARY\\n\",\"ownerId\":\"1\"}",
        "{\"key\":\"CANARYCANARYCANARYCANARYCANARYCANARY\",\"keyHash\":\"00\"}",
        "{\"key\":[\"CANARYCANARYCANARY\"],\"ownerId\":\"1\"}",
        "{\"CANARYCANARYCANARYCANARYCANARYCANARY\":1}",
        "{\"key\":\"CANARYCANARYCANARY",
        "{\"keyHash\":\"CANARYCANARYCANARY\",\"ownerId\":\"1\"}",
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct reading reading = {.options.owner = {NULL, 0}};
        CHECK(t, read_text(&reading, cases[i]) != KW_OK);
        CHECK(t, strstr(reading.error.message, "CANARY") == NULL && strstr(reading.error.field, "CANARY") == NULL &&
                     strstr(reading.error.detail, "CANARY") == NULL);
        forget(&reading);
    }
}

/* --- parting --- */

/* All items with a bar behind each, bad lines as "!", whatever the pieces that the text comes in. */
static void part(struct test *t, const struct kw_import_options *options, struct kw_bytes text, size_t piece,
                 struct kw_buffer *items, struct kw_import_source *source)
{
    struct kw_error error;
    size_t given = 0;
    struct kw_bytes rest = {text.data, 0};
    REQUIRE_OK(t, kw_import_source_init(source, options, &error));
    for (;;) {
        enum kw_import_part part;
        struct kw_bytes item;
        enum kw_status status = kw_import_source_next(source, &rest, given == text.size, &part, &item, &error);
        if (status != KW_OK) {
            kw_buffer_add_text(items, error.code);
            return;
        }
        if (part == KW_IMPORT_PART_END) {
            return;
        }
        if (part == KW_IMPORT_PART_MORE) {
            size_t more = text.size - given < piece ? text.size - given : piece;
            rest = kw_bytes_of(text.data + given - rest.size, rest.size + more);
            given += more;
        } else {
            kw_buffer_add_u64(items, source->line);
            kw_buffer_add(items, part == KW_IMPORT_PART_BAD ? KW_BYTES("!") : item);
            kw_buffer_add_byte(items, '|');
        }
    }
}

static void texts_are_parted(struct test *t)
{
    static const struct kw_bytes map[] = {
        {(const uint8_t *)"who=ownerId", 11}, {(const uint8_t *)"x=metadata.x", 12}, {(const uint8_t *)"no=-", 4}};
    static const struct {
        enum kw_import_format format;
        const char *text, *items;
        bool is_cut;
    } cases[] = {
        {KW_IMPORT_NDJSON, "", "", false},
        {KW_IMPORT_NDJSON, "\xef\xbb\xbf{a}\r\n\n  {b}", "1{a}|3{b}|", false},
        {KW_IMPORT_JSON, " [ {\"a\":\"]}\\\"\"} ,\n[1], 5 ,\"x,\"]  ", "1{\"a\":\"]}\\\"\"}|2[1]|35|4\"x,\"|", false},
        {KW_IMPORT_JSON, "[]", "", false},
        {KW_IMPORT_JSON, "{\"keyward\":\"export\",\"a\":[{\"keys\":1}],\"keys\":[{},{}],\"count\":2}", "1{}|2{}|",
         false},
        {KW_IMPORT_JSON, "[{},{\"a\":", "1{}|", true},
        {KW_IMPORT_JSON, "[{},]", "1{}|INVALID_JSON", false},
        {KW_IMPORT_JSON, "[ , {}]", "INVALID_JSON", false},
        {KW_IMPORT_JSON, "[{}, ,{}]", "1{}|INVALID_JSON", false},
        {KW_IMPORT_JSON, "[{} {}]", "1{}|INVALID_JSON", false},
        {KW_IMPORT_JSON, "[1,2 3]", "11|22|INVALID_JSON", false},
        {KW_IMPORT_JSON, "[{},", "1{}|", true},
        {KW_IMPORT_JSON, "{\"items\":[]}", "INVALID_JSON", false},
        {KW_IMPORT_JSON, "5", "INVALID_JSON", false},
        {KW_IMPORT_JSON, "", "INVALID_JSON", false},
        {KW_IMPORT_JSON, "{\"keys\":5}", "INVALID_JSON", false},
        {KW_IMPORT_CSV, "keyHash,who,x,no\r\nab,1,\"a,\nb\",zz\n\ncd,2,,\n",
         "2{\"keyHash\":\"ab\",\"ownerId\":\"1\",\"metadata\":{\"x\":\"a,\\nb\"}}|5{\"keyHash\":\"cd\",\"ownerId\":"
         "\"2\"}|",
         false},
        {KW_IMPORT_CSV, "who,x,no,tags,enabled,resources,scopes\n1,,,a;b,TRUE,{\"w:1\": [\"r\"]},\"[\"\"r\"\"]\"\n",
         "2{\"ownerId\":\"1\",\"tags\":[\"a\",\"b\"],\"enabled\":true,\"resources\":{\"w:1\": "
         "[\"r\"]},\"scopes\":[\"r\"]}|",
         false},
        {KW_IMPORT_CSV, "who,x,no,enabled\n1,,,maybe\n2,,,\n1,2,3,4,5\n3,,,\n4,,\n5",
         "2!|3{\"ownerId\":\"2\"}|4!|5{\"ownerId\":\"3\"}|6!|7!|", false},
        {KW_IMPORT_CSV, "who,x,no,colour\n", "INVALID_FIELD", false},
        {KW_IMPORT_CSV, "who,x,no,ownerId\n", "DUPLICATE_FIELD", false},
        {KW_IMPORT_CSV, "who,x\n", "INVALID_FIELD", false}, /* a mapping of a column that is not there */
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct kw_bytes text = kw_bytes_of_text(cases[i].text);
        for (size_t piece = 1; piece <= text.size + 1; piece = piece < 4 ? piece + 1 : piece * 3) {
            struct kw_import_options options = {
                .format = cases[i].format, .map = map, .map_count = cases[i].format == KW_IMPORT_CSV ? 3 : 0};
            struct kw_import_source source;
            struct kw_buffer items;
            kw_buffer_init(&items, 65536);
            part(t, &options, text, piece, &items, &source);
            CHECK_BYTES(t, kw_buffer_bytes(&items), kw_bytes_of_text(cases[i].items));
            CHECK_I64(t, source.is_cut, cases[i].is_cut);
            kw_import_source_deinit(&source);
            kw_buffer_deinit(&items);
        }
    }
}

static void a_line_without_end_is_refused(struct test *t)
{
    static uint8_t text[KW_IMPORT_ITEM_MAX + 2];
    memset(text, 'x', sizeof text);
    for (enum kw_import_format format = KW_IMPORT_NDJSON; format <= KW_IMPORT_JSON; format++) {
        struct kw_import_options options = {.format = format};
        struct kw_import_source source;
        struct kw_bytes item, rest = kw_bytes_of(text, sizeof text);
        enum kw_import_part part;
        struct kw_error error;
        text[0] = format == KW_IMPORT_JSON ? '[' : 'x';
        REQUIRE_OK(t, kw_import_source_init(&source, &options, &error));
        CHECK_STATUS(t, kw_import_source_next(&source, &rest, false, &part, &item, &error), KW_E_INVALID);
        kw_import_source_deinit(&source);
    }
}

/* --- what is here already --- */

#define NOW INT64_C(1767225600000)

static struct kw_record key_here(void)
{
    return (struct kw_record){.id = {{1}},
                              .lineage_id = {{1}},
                              .version = 4,
                              .env = KW_BYTES("live"),
                              .owner = KW_BYTES("user:1"),
                              .name = KW_BYTES("old"),
                              .enabled = true,
                              .created_at_ms = 1,
                              .updated_at_ms = 2};
}

static void an_overwritten_key_keeps_what_never_changes(struct test *t)
{
    struct kw_record before = key_here(), imported = key_here(), after;
    struct kw_error error;
    imported.id = (struct kw_id){{9}};
    imported.name = KW_BYTES("new");
    imported.version = 1;
    imported.created_at_ms = 77;
    REQUIRE_OK(t, kw_import_over(&before, &imported, NOW, &after, &error));
    CHECK(t, kw_id_equal(&after.id, &before.id) && kw_id_equal(&after.lineage_id, &before.lineage_id));
    CHECK_I64(t, after.version, 5);
    CHECK_I64(t, after.created_at_ms, 1);
    CHECK_I64(t, after.updated_at_ms, NOW);
    CHECK_BYTES(t, after.name, KW_BYTES("new"));
    CHECK(t, after.imported);
    imported.owner = KW_BYTES("user:2");
    CHECK_STATUS(t, kw_import_over(&before, &imported, NOW, &after, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.code, "CANNOT_CHANGE_FIELD");
    CHECK_TEXT(t, error.field, "owner");
}

static void what_has_ended_does_not_come_back(struct test *t)
{
    struct kw_record before = key_here(), imported = key_here(), after;
    struct kw_error error;
    before.revoked_at_ms = 5;
    CHECK_STATUS(t, kw_import_over(&before, &imported, NOW, &after, &error), KW_E_CONFLICT);
    CHECK_TEXT(t, error.code, "CANNOT_MODIFY_REVOKED");
    before = key_here();
    before.rotated_to = (struct kw_id){{2}};
    before.grace_until_ms = NOW; /* it has just passed */
    CHECK_STATUS(t, kw_import_over(&before, &imported, NOW, &after, &error), KW_E_CONFLICT);
    before.grace_until_ms = NOW + 5;
    imported.grace_until_ms = NOW + 500;
    imported.rotated_to = (struct kw_id){{3}};
    REQUIRE_OK(t, kw_import_over(&before, &imported, NOW, &after, &error));
    CHECK_I64(t, after.grace_until_ms, NOW + 5); /* the earlier end counts, and the rotation that is here */
    CHECK(t, kw_id_equal(&after.rotated_to, &before.rotated_to));
    before = key_here();
    imported = key_here();
    before.expires_at_ms = NOW - 1;
    CHECK_STATUS(t, kw_import_over(&before, &imported, NOW, &after, &error), KW_E_CONFLICT);
    CHECK_TEXT(t, error.code, "ALREADY_EXPIRED");
    imported.revoked_at_ms = 7;
    REQUIRE_OK(t, kw_import_over(&before, &imported, NOW, &after, &error));
    CHECK_I64(t, after.revoked_at_ms, 7);
    CHECK_I64(t, after.expires_at_ms, NOW - 1);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(own_lines_are_read_whole),
        TEST_CASE(foreign_lists_are_understood),
        TEST_CASE(options_fill_in),
        TEST_CASE(plain_keys_show_their_last_four),
        TEST_CASE(bad_items_name_their_field),
        TEST_CASE(no_refusal_repeats_a_key),
        TEST_CASE(texts_are_parted),
        TEST_CASE(a_line_without_end_is_refused),
        TEST_CASE(an_overwritten_key_keeps_what_never_changes),
        TEST_CASE(what_has_ended_does_not_come_back),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
