#include "core/id.h"
#include "core/limit_list.h"
#include "core/quota_list.h"
#include "core/record.h"
#include "records.h"

static uint8_t room[65536];

static struct kw_bytes to_json(struct test *t, const struct kw_record *record, int64_t now_ms)
{
    struct kw_buffer buffer;
    struct kw_json_writer writer;
    kw_buffer_init_fixed(&buffer, room, sizeof room);
    kw_json_writer_init(&writer, &buffer);
    kw_record_write_json(record, now_ms, &writer);
    CHECK_STATUS(t, kw_buffer_status(&buffer), KW_OK);
    return kw_buffer_bytes(&buffer);
}

static struct kw_bytes to_changes(struct test *t, const struct kw_record *before, const struct kw_record *after)
{
    struct kw_buffer buffer;
    struct kw_json_writer writer;
    kw_buffer_init_fixed(&buffer, room, sizeof room);
    kw_json_writer_init(&writer, &buffer);
    kw_record_write_changes(before, after, &writer);
    CHECK_STATUS(t, kw_buffer_status(&buffer), KW_OK);
    return kw_buffer_bytes(&buffer);
}

#define RANGE "\x11\0\0\0\0\0\0\0\0\0\0\xff\xff" /* of IPv4, packed */
#define ID "key_01KDVDNA00041061050R3GG28A"

static void a_typical_record_shows_what_it_has(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = record_typical(&arena);
    CHECK_BYTES(t, to_json(t, &record, RECORD_BORN_MS),
                KW_BYTES("{\"id\":\"" ID "\",\"projectId\":\"default\",\"env\":\"live\",\"prefix\":\"sk_live_\","
                         "\"lastFour\":\"wXy9\",\"isPublic\":false,\"status\":\"active\",\"enabled\":true,"
                         "\"ownerId\":\"42\",\"owner\":\"user:42\",\"name\":\"Production key\",\"tags\":[\"backend\"],"
                         "\"scopes\":[\"billing:*\",\"keys:read\",\"keys:write\"],\"resources\":{},"
                         "\"digest\":\"hmac-sha256\",\"createdAt\":\"2026-01-01T00:00:00.000Z\",\"createdBy\":\"cli\","
                         "\"updatedAt\":\"2026-01-01T00:00:00.000Z\",\"lineageId\":\"" ID "\",\"version\":1}"));
    kw_arena_reset(&arena);
}

static struct kw_record full_record(struct kw_arena *arena)
{
    struct kw_bytes read[] = {KW_BYTES("read")};
    struct resource_of pairs[] = {{KW_BYTES("website:*"), list_of(arena, read, 1)}};
    struct kw_record record = record_typical(arena);
    record.is_public = true;
    record.enabled = false;
    record.owner = KW_BYTES("team:a:\"b\"");
    record.org_id = KW_BYTES("org");
    record.description = KW_BYTES("two\nlines");
    record.metadata = KW_BYTES("{\"plan\":[1,2]}");
    record.resources = resources_of(arena, pairs, 1);
    record.digest_scheme = KW_DIGEST_SHA512_SALTED;
    record.expires_at_ms = RECORD_BORN_MS + 1000;
    record.lapsed_at_ms = RECORD_BORN_MS + 1000;
    record.revoked_at_ms = RECORD_BORN_MS + 2000;
    record.revoked_by = KW_BYTES("system");
    record.revoke_reason = KW_BYTES("leaked");
    record.rotated_from = (struct kw_id){{0}};
    record.rotated_from.bytes[15] = 1;
    record.rotated_to.bytes[15] = 2;
    record.lineage_id = record.rotated_from;
    record.grace_until_ms = RECORD_BORN_MS + 3000;
    record.version = 12;
    return record;
}

static void what_is_rare_shows_where_it_is_true(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = record_typical(&arena);
    struct kw_bytes plain = to_json(t, &record, RECORD_BORN_MS);
    CHECK(t, !kw_bytes_contains_ignoring_case(plain, KW_BYTES("endGraceOnFirstUse")));
    record.ends_grace = true;
    struct kw_bytes shown = to_json(t, &record, RECORD_BORN_MS);
    CHECK(t, kw_bytes_contains_ignoring_case(shown, KW_BYTES(",\"version\":1,\"endGraceOnFirstUse\":true}")));
    kw_arena_reset(&arena);
}

static void a_full_record_shows_everything_in_order(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = full_record(&arena);
    CHECK_BYTES(t, to_json(t, &record, RECORD_BORN_MS),
                KW_BYTES("{\"id\":\"" ID "\",\"projectId\":\"default\",\"env\":\"live\",\"prefix\":\"sk_live_\","
                         "\"lastFour\":\"wXy9\",\"isPublic\":true,\"status\":\"revoked\",\"enabled\":false,"
                         "\"owner\":\"team:a:\\\"b\\\"\",\"orgId\":\"org\",\"name\":\"Production key\","
                         "\"description\":\"two\\nlines\",\"tags\":[\"backend\"],\"metadata\":{\"plan\":[1,2]},"
                         "\"scopes\":[\"billing:*\",\"keys:read\",\"keys:write\"],"
                         "\"resources\":{\"website:*\":[\"read\"]},\"digest\":\"sha512-salted\","
                         "\"createdAt\":\"2026-01-01T00:00:00.000Z\",\"createdBy\":\"cli\","
                         "\"updatedAt\":\"2026-01-01T00:00:00.000Z\",\"expiresAt\":\"2026-01-01T00:00:01.000Z\","
                         "\"revokedAt\":\"2026-01-01T00:00:02.000Z\",\"revokedBy\":\"system\","
                         "\"revokeReason\":\"leaked\",\"rotatedFrom\":\"key_00000000000000000000000001\","
                         "\"rotatedTo\":\"key_00000000000000000000000002\",\"graceUntil\":\"2026-01-01T00:00:03.000Z\","
                         "\"lineageId\":\"key_00000000000000000000000001\",\"version\":12}"));
    kw_arena_reset(&arena);
}

static struct kw_bytes to_kept(struct test *t, const struct kw_record *record)
{
    struct kw_buffer buffer;
    struct kw_json_writer writer;
    kw_buffer_init_fixed(&buffer, room, sizeof room);
    kw_json_writer_init(&writer, &buffer);
    kw_record_write_kept(record, &writer);
    CHECK_STATUS(t, kw_buffer_status(&buffer), KW_OK);
    return kw_buffer_bytes(&buffer);
}

static void what_is_not_shown_can_be_had(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = record_typical(&arena);
    CHECK_BYTES(t, to_kept(t, &record), KW_BYTES("{}"));
    record.has_children = true;
    CHECK_BYTES(t, to_kept(t, &record), KW_BYTES("{\"hasChildren\":true}"));
    record.lapsed_at_ms = RECORD_BORN_MS;
    record.digest_method = 200;
    CHECK_BYTES(t, to_kept(t, &record), KW_BYTES("{\"lapsedAt\":\"2026-01-01T00:00:00.000Z\",\"hasChildren\":true}"));
    kw_arena_reset(&arena);
}

static bool holds(struct kw_bytes json, const char *part)
{
    return kw_bytes_contains_ignoring_case(json, kw_bytes_of_text(part));
}

static void a_past_grace_reads_as_a_revocation(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = record_typical(&arena);
    record.grace_until_ms = RECORD_BORN_MS + 5000;
    struct kw_bytes json = to_json(t, &record, RECORD_BORN_MS + 4999);
    CHECK(t, holds(json, "\"status\":\"active\"") && !holds(json, "revoked"));
    json = to_json(t, &record, RECORD_BORN_MS + 5000);
    CHECK(t, holds(json, "\"status\":\"revoked\""));
    CHECK(t, holds(json, "\"revokedAt\":\"2026-01-01T00:00:05.000Z\",\"revokedBy\":\"system\","
                         "\"revokeReason\":\"rotated\""));
    CHECK_I64(t, record.revoked_at_ms, 0);
    kw_arena_reset(&arena);
}

/* Every random record's JSON is JSON, by the reader that everybody uses. */
static void every_record_is_well_formed_json(struct test *t)
{
    struct kw_arena arena;
    struct kw_arena strings;
    kw_arena_init(&arena, NULL, 0, 1 << 20);
    kw_arena_init(&strings, NULL, 0, 1 << 20);
    for (int i = 0; i < 500; i++) {
        struct kw_record record = record_random(t, &arena);
        for (int changes = 0; changes < 3; changes++) {
            struct kw_record other = record_random(t, &arena);
            struct kw_bytes json = changes == 0   ? to_json(t, &record, RECORD_BORN_MS)
                                   : changes == 1 ? to_changes(t, NULL, &record)
                                                  : to_changes(t, &other, &record);
            struct kw_json_reader reader;
            struct kw_json_token token;
            struct kw_bytes raw;
            kw_json_reader_init(&reader, json, &strings);
            REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
            REQUIRE_OK(t, kw_json_skip(&reader, &token, &raw, NULL));
            REQUIRE_OK(t, kw_json_next(&reader, &token, NULL));
            CHECK_I64(t, token.type, KW_JSON_END);
        }
        kw_arena_reset(&arena);
        kw_arena_reset(&strings);
    }
}

static void changes_name_what_differs_and_nothing_else(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record before = record_typical(&arena);
    struct kw_record after = before;
    CHECK_BYTES(t, to_changes(t, &before, &after), KW_BYTES("{}"));
    after.version = 2;
    after.updated_at_ms += 1000;
    CHECK_BYTES(t, to_changes(t, &before, &after), KW_BYTES("{}"));
    after.name = KW_BYTES("b");
    after.description = KW_BYTES("d");
    after.enabled = false;
    after.tags = (struct kw_list){.count = 0};
    after.expires_at_ms = RECORD_BORN_MS + 1;
    after.lapsed_at_ms = RECORD_BORN_MS + 1;
    CHECK_BYTES(t, to_changes(t, &before, &after),
                KW_BYTES("{\"enabled\":{\"from\":true,\"to\":false},"
                         "\"name\":{\"from\":\"Production key\",\"to\":\"b\"},"
                         "\"description\":{\"from\":null,\"to\":\"d\"},\"tags\":{\"from\":[\"backend\"],\"to\":[]},"
                         "\"expiresAt\":{\"from\":null,\"to\":\"2026-01-01T00:00:00.001Z\"},"
                         "\"lapsedAt\":{\"from\":null,\"to\":\"2026-01-01T00:00:00.001Z\"}}"));
    CHECK_BYTES(t, to_changes(t, &after, &before),
                KW_BYTES("{\"enabled\":{\"from\":false,\"to\":true},"
                         "\"name\":{\"from\":\"b\",\"to\":\"Production key\"},"
                         "\"description\":{\"from\":\"d\",\"to\":null},\"tags\":{\"from\":[],\"to\":[\"backend\"]},"
                         "\"expiresAt\":{\"from\":\"2026-01-01T00:00:00.001Z\",\"to\":null},"
                         "\"lapsedAt\":{\"from\":\"2026-01-01T00:00:00.001Z\",\"to\":null}}"));
    kw_arena_reset(&arena);
}

static void a_birth_changes_everything_that_is_set(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = record_typical(&arena);
    CHECK_BYTES(
        t, to_changes(t, NULL, &record),
        KW_BYTES("{\"id\":{\"from\":null,\"to\":\"" ID "\"},\"projectId\":{\"from\":null,\"to\":\"default\"},"
                 "\"env\":{\"from\":null,\"to\":\"live\"},\"prefix\":{\"from\":null,\"to\":\"sk_live_\"},"
                 "\"lastFour\":{\"from\":null,\"to\":\"wXy9\"},\"isPublic\":{\"from\":null,\"to\":false},"
                 "\"enabled\":{\"from\":null,\"to\":true},\"owner\":{\"from\":null,\"to\":\"user:42\"},"
                 "\"name\":{\"from\":null,\"to\":\"Production key\"},\"tags\":{\"from\":null,\"to\":[\"backend\"]},"
                 "\"scopes\":{\"from\":null,\"to\":[\"billing:*\",\"keys:read\",\"keys:write\"]},"
                 "\"digest\":{\"from\":null,\"to\":\"hmac-sha256\"},"
                 "\"createdAt\":{\"from\":null,\"to\":\"2026-01-01T00:00:00.000Z\"},"
                 "\"createdBy\":{\"from\":null,\"to\":\"cli\"},\"lineageId\":{\"from\":null,\"to\":\"" ID "\"}}"));
    kw_arena_reset(&arena);
}

/* Every field of a record is among its differences: none was forgotten in the table. */
static void places_and_families_are_shown_where_there_are_any(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record before = record_typical(&arena);
    struct kw_record after = before;
    after.allowed_ips = (struct kw_list){KW_BYTES(RANGE "\x0a\0\0\0\x68" RANGE "\xc0\0\x02\x01\x80"), 2};
    after.blocked_ips = (struct kw_list){KW_BYTES("\x11\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0\x20"), 1};
    after.allowed_regions = (struct kw_list){KW_BYTES("\x02"
                                                      "EU"),
                                             1};
    after.blocked_regions = (struct kw_list){KW_BYTES("\x02"
                                                      "DE"
                                                      "\x05"
                                                      "US-CA"),
                                             2};
    after.policy = KW_BYTES("partners");
    after.template_name = KW_BYTES("reader");
    after.parent_id = after.id;
    after.has_children = true; /* of no use to anybody outside */
    CHECK(t, holds(to_json(t, &after, RECORD_BORN_MS),
                   ",\"version\":1,\"allowedIPs\":[\"10.0.0.0/8\",\"192.0.2.1\"],\"blockedIPs\":[\"2001:db8::/32\"],"
                   "\"allowedRegions\":[\"EU\"],\"blockedRegions\":[\"DE\",\"US-CA\"],\"policy\":\"partners\","
                   "\"template\":\"reader\",\"parentId\":\"" ID "\"}"));
    CHECK_BYTES(t, to_changes(t, &before, &after),
                KW_BYTES("{\"allowedIPs\":{\"from\":null,\"to\":[\"10.0.0.0/8\",\"192.0.2.1\"]},"
                         "\"blockedIPs\":{\"from\":null,\"to\":[\"2001:db8::/32\"]},"
                         "\"allowedRegions\":{\"from\":null,\"to\":[\"EU\"]},"
                         "\"blockedRegions\":{\"from\":null,\"to\":[\"DE\",\"US-CA\"]},"
                         "\"policy\":{\"from\":null,\"to\":\"partners\"},"
                         "\"template\":{\"from\":null,\"to\":\"reader\"},"
                         "\"parentId\":{\"from\":null,\"to\":\"" ID "\"}}"));
    kw_arena_reset(&arena);
}

static void limits_and_quotas_are_shown_as_they_are_given(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 14);
    struct kw_record before = record_typical(&arena);
    struct kw_record after = before;
    const struct kw_rate_limit limits[] = {{.requests = 5, .window_ms = 1000},
                                           {KW_BYTES("team"), 100, 60000, KW_PER_OWNER}};
    const struct kw_quota_rule quotas[] = {
        {.limit = 2500, .metric = KW_BYTES("cost"), .period = KW_PERIOD_DAY, .per = KW_PER_ORG},
        {.name = KW_BYTES("soft"),
         .limit = 10000 * KW_AMOUNT_ONE,
         .period = KW_PERIOD_MONTH,
         .anchor = KW_ANCHOR_CREATED,
         .on_exceeded = KW_QUOTA_THROTTLE,
         .marks = {50},
         .mark_count = 1,
         .throttle = {.requests = 10, .window_ms = 60000}}};
    REQUIRE(t, kw_rate_limits_pack(&arena, limits, 2, &after.rate_limits));
    REQUIRE(t, kw_quotas_pack(&arena, quotas, 2, &after.quotas));
#define LIMITS \
    "[{\"name\":\"default\",\"requests\":5,\"window\":\"1s\"}," \
    "{\"name\":\"team\",\"requests\":100,\"window\":\"1m\",\"per\":\"owner\"}]"
#define QUOTAS \
    "[{\"name\":\"cost-day\",\"limit\":0.0025,\"metric\":\"cost\",\"period\":\"day\",\"anchor\":\"utc\",\"per\":" \
    "\"org\"," \
    "\"onExceeded\":\"block\",\"warnAt\":[80,100]}," \
    "{\"name\":\"soft\",\"limit\":10000,\"metric\":\"requests\",\"period\":\"month\",\"anchor\":\"created\"," \
    "\"per\":\"key\",\"onExceeded\":\"throttle\",\"throttle\":{\"requests\":10,\"window\":\"1m\"},\"warnAt\":[50]}]"
    CHECK(t, holds(to_json(t, &after, RECORD_BORN_MS), ",\"rateLimits\":" LIMITS ",\"quotas\":" QUOTAS "}"));
    CHECK_BYTES(
        t, to_changes(t, &before, &after),
        KW_BYTES("{\"rateLimits\":{\"from\":null,\"to\":" LIMITS "},\"quotas\":{\"from\":null,\"to\":" QUOTAS "}}"));
    kw_arena_reset(&arena);
}

static void every_single_difference_is_named(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record before = record_typical(&arena);
    struct kw_record full = full_record(&arena);
    static const char *const names[] = {"isPublic",   "enabled",   "owner",        "orgId",       "description",
                                        "metadata",   "resources", "digest",       "expiresAt",   "lapsedAt",
                                        "revokedAt",  "revokedBy", "revokeReason", "rotatedFrom", "rotatedTo",
                                        "graceUntil", "lineageId"};
    struct kw_bytes changes = to_changes(t, &before, &full);
    for (size_t i = 0; i < KW_COUNT_OF(names); i++) {
        char label[64];
        size_t size = strlen(names[i]);
        label[0] = '"';
        memcpy(label + 1, names[i], size);
        memcpy(label + 1 + size, "\":{", 4);
        CHECK(t, holds(changes, label));
    }
    kw_arena_reset(&arena);
}

static void a_full_buffer_is_never_overrun(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    struct kw_record record = full_record(&arena);
    size_t whole = to_json(t, &record, RECORD_BORN_MS).size;
    static uint8_t bytes[4096];
    for (size_t size = 0; size <= whole; size++) {
        struct kw_buffer buffer;
        struct kw_json_writer writer;
        kw_buffer_init_fixed(&buffer, bytes, size);
        bytes[size] = 0xee;
        kw_json_writer_init(&writer, &buffer);
        kw_record_write_json(&record, RECORD_BORN_MS, &writer);
        CHECK_STATUS(t, kw_buffer_status(&buffer), size == whole ? KW_OK : KW_E_LIMIT);
        CHECK_I64(t, bytes[size], 0xee);
    }
    kw_arena_reset(&arena);
}

static void a_tombstone_shows_nothing_personal(struct test *t)
{
    struct kw_record tombstone = {.version = 9,
                                  .project = KW_BYTES("default"),
                                  .digest_scheme = KW_DIGEST_SHA256,
                                  .revoked_at_ms = RECORD_BORN_MS};
    tombstone.id.bytes[15] = 1;
    tombstone.lineage_id.bytes[15] = 1;
    CHECK_BYTES(t, to_json(t, &tombstone, RECORD_BORN_MS),
                KW_BYTES("{\"id\":\"key_00000000000000000000000001\",\"projectId\":\"default\",\"isPublic\":false,"
                         "\"status\":\"revoked\",\"enabled\":false,\"tags\":[],\"scopes\":[],\"resources\":{},"
                         "\"digest\":\"sha256\",\"revokedAt\":\"2026-01-01T00:00:00.000Z\","
                         "\"lineageId\":\"key_00000000000000000000000001\",\"version\":9}"));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_typical_record_shows_what_it_has),
        TEST_CASE(what_is_rare_shows_where_it_is_true),
        TEST_CASE(a_full_record_shows_everything_in_order),
        TEST_CASE(what_is_not_shown_can_be_had),
        TEST_CASE(a_past_grace_reads_as_a_revocation),
        TEST_CASE(every_record_is_well_formed_json),
        TEST_CASE(changes_name_what_differs_and_nothing_else),
        TEST_CASE(a_birth_changes_everything_that_is_set),
        TEST_CASE(places_and_families_are_shown_where_there_are_any),
        TEST_CASE(limits_and_quotas_are_shown_as_they_are_given),
        TEST_CASE(every_single_difference_is_named),
        TEST_CASE(a_full_buffer_is_never_overrun),
        TEST_CASE(a_tombstone_shows_nothing_personal),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
