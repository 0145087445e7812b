/* Seals: what is put beside lines of the audit log once they are chained. */
#include "contract/behaviours.h"

#define ALL 1000
#define CROWD 100

static struct contract_audits lines_of(struct contract *c, bool is_back)
{
    struct contract_audits lines = contract_audits(c);
    struct kw_store_audit_filter filter = {.is_back = is_back, .limit = ALL};
    CHECK_STATUS(c->t, c->store->ops->audit_query(c->store, &filter, contract_keep_audit, &lines), KW_OK);
    return lines;
}

static bool commit_lines(struct contract *c, size_t count)
{
    struct kw_store_audit lines[CROWD];
    for (size_t i = 0; i < count; i++) {
        lines[i] = contract_audit(c, i + 1, (int64_t)i);
    }
    struct kw_store_batch batch = {.audits = lines, .audit_count = count};
    return contract_commit(c, &batch) == KW_OK;
}

static enum kw_status seal(struct contract *c, uint64_t sequence, struct kw_bytes bytes)
{
    struct kw_store_seal seal = {sequence, bytes};
    struct kw_store_setting setting = {KW_BYTES("head"), bytes};
    struct kw_store_batch batch = {.seals = &seal, .seal_count = 1, .settings = &setting, .setting_count = 1};
    return contract_commit(c, &batch);
}

void a_seal_stands_beside_its_line(struct contract *c)
{
    REQUIRE(c->t, commit_lines(c, 3));
    struct contract_audits lines = lines_of(c, false);
    REQUIRE(c->t, lines.count == 3);
    CHECK_BYTES(c->t, lines.items[1].context, KW_BYTES("{\"reason\":\"2\"}"));
    CHECK_BYTES(c->t, lines.items[1].seal, KW_BYTES(""));
    const uint8_t bytes[] = {0, 1, 255, 0};
    REQUIRE_OK(c->t, seal(c, lines.items[1].sequence, kw_bytes_of(bytes, sizeof bytes)));
    REQUIRE(c->t, contract_reopen(c));
    lines = lines_of(c, false);
    REQUIRE(c->t, lines.count == 3);
    CHECK_BYTES(c->t, lines.items[0].seal, KW_BYTES(""));
    CHECK_BYTES(c->t, lines.items[1].seal, kw_bytes_of(bytes, sizeof bytes));
    CHECK_BYTES(c->t, lines.items[2].seal, KW_BYTES(""));
    lines = lines_of(c, true);
    REQUIRE(c->t, lines.count == 3);
    CHECK_I64(c->t, lines.items[0].at_ms, 2);
    CHECK_BYTES(c->t, lines.items[1].seal, kw_bytes_of(bytes, sizeof bytes));
}

void a_line_is_sealed_once(struct contract *c)
{
    REQUIRE(c->t, commit_lines(c, 2));
    struct contract_audits lines = lines_of(c, false);
    REQUIRE(c->t, lines.count == 2);
    REQUIRE_OK(c->t, seal(c, lines.items[0].sequence, KW_BYTES("first")));
    struct kw_store_seal seals[] = {{lines.items[1].sequence, KW_BYTES("other")},
                                    {lines.items[0].sequence, KW_BYTES("second")}};
    struct kw_store_setting setting = {KW_BYTES("head"), KW_BYTES("second")};
    struct kw_store_batch batch = {
        .seals = seals, .seal_count = KW_COUNT_OF(seals), .settings = &setting, .setting_count = 1};
    CHECK_STATUS(c->t, contract_commit(c, &batch), KW_E_CONFLICT);
    lines = lines_of(c, false);
    CHECK_BYTES(c->t, lines.items[0].seal, KW_BYTES("first"));
    CHECK_BYTES(c->t, lines.items[1].seal, KW_BYTES(""));
    uint8_t value[16];
    size_t size = 0;
    CHECK_STATUS(c->t, c->store->ops->setting(c->store, KW_BYTES("head"), value, sizeof value, &size), KW_OK);
    CHECK_BYTES(c->t, kw_bytes_of(value, size), KW_BYTES("first"));
}

void many_lines_are_sealed_at_once(struct contract *c)
{
    struct kw_store_seal seals[CROWD];
    REQUIRE(c->t, commit_lines(c, CROWD));
    struct contract_audits lines = lines_of(c, false);
    REQUIRE(c->t, lines.count == CROWD);
    for (size_t i = 0; i < CROWD; i++) {
        seals[i] = (struct kw_store_seal){lines.items[i].sequence, contract_format(c, "seal %u", (unsigned)i)};
    }
    struct kw_store_batch batch = {.seals = seals, .seal_count = CROWD};
    REQUIRE_OK(c->t, contract_commit(c, &batch));
    lines = lines_of(c, false);
    REQUIRE(c->t, lines.count == CROWD);
    for (size_t i = 0; i < CROWD; i++) {
        CHECK_BYTES(c->t, lines.items[i].seal, seals[i].seal);
    }
}

void a_pruned_line_takes_its_seal_along(struct contract *c)
{
    uint64_t removed = 0;
    REQUIRE(c->t, commit_lines(c, 3));
    struct contract_audits lines = lines_of(c, false);
    REQUIRE(c->t, lines.count == 3);
    uint64_t last = lines.items[1].sequence;
    for (size_t i = 0; i < 3; i++) {
        REQUIRE_OK(c->t, seal(c, lines.items[i].sequence, contract_format(c, "seal %u", (unsigned)i)));
    }
    REQUIRE_OK(c->t, c->store->ops->audit_prune(c->store, KW_BYTES("default"), last, 1, &removed));
    CHECK_I64(c->t, removed, 1);
    lines = lines_of(c, false);
    REQUIRE(c->t, lines.count == 2);
    CHECK_BYTES(c->t, lines.items[0].seal, KW_BYTES("seal 1"));
    REQUIRE_OK(c->t, c->store->ops->audit_prune(c->store, KW_BYTES("default"), last, ALL, &removed));
    lines = lines_of(c, false);
    REQUIRE(c->t, lines.count == 1);
    CHECK_BYTES(c->t, lines.items[0].seal, KW_BYTES("seal 2"));
}

void seals_beyond_the_caps_are_refused(struct contract *c)
{
    uint8_t bytes[KW_STORE_SEAL_MAX + 1] = {0};
    REQUIRE(c->t, commit_lines(c, 1));
    uint64_t sequence = lines_of(c, false).items[0].sequence;
    CHECK_STATUS(c->t, seal(c, sequence, kw_bytes_of(bytes, sizeof bytes)), KW_E_LIMIT);
    CHECK_STATUS(c->t, seal(c, sequence, KW_BYTES("")), KW_E_LIMIT);
    CHECK_STATUS(c->t, seal(c, UINT64_MAX, KW_BYTES("x")), KW_E_LIMIT);
    REQUIRE_OK(c->t, seal(c, sequence, kw_bytes_of(bytes, KW_STORE_SEAL_MAX)));
    CHECK_BYTES(c->t, lines_of(c, false).items[0].seal, kw_bytes_of(bytes, KW_STORE_SEAL_MAX));
}
