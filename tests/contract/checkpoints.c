/* What is told of lines of the audit log that are there: checkpoints of a chain, and what is erased. */
#include "contract/behaviours.h"

#define ALL 1000
#define PLACES 7

static enum kw_status set(struct contract *c, const char *project, uint64_t place, struct kw_bytes bytes)
{
    struct kw_store_checkpoint checkpoint = {kw_bytes_of_text(project), place, bytes};
    struct kw_store_batch batch = {.checkpoints = &checkpoint, .checkpoint_count = 1};
    return contract_commit(c, &batch);
}

static struct contract_checkpoints list(struct contract *c, const char *project, uint64_t after, bool is_back,
                                        size_t limit)
{
    struct contract_checkpoints kept = contract_checkpoints(c);
    CHECK_STATUS(c->t,
                 c->store->ops->audit_checkpoints(c->store, kw_bytes_of_text(project), after, is_back, limit,
                                                  contract_keep_checkpoint, &kept),
                 KW_OK);
    return kept;
}

static struct contract_audits lines_of(struct contract *c)
{
    struct contract_audits lines = contract_audits(c);
    struct kw_store_audit_filter filter = {.limit = ALL};
    CHECK_STATUS(c->t, c->store->ops->audit_query(c->store, &filter, contract_keep_audit, &lines), KW_OK);
    return lines;
}

void checkpoints_are_listed_by_project_and_place(struct contract *c)
{
    for (uint64_t place = PLACES; place >= 1; place--) {
        REQUIRE_OK(c->t, set(c, place % 2 == 0 ? "even" : "odd", place, contract_format(c, "at %u", (unsigned)place)));
    }
    REQUIRE_OK(c->t, set(c, "oddly", 1, KW_BYTES("another")));
    REQUIRE(c->t, contract_reopen(c));
    struct contract_checkpoints odd = list(c, "odd", 0, false, ALL);
    REQUIRE(c->t, odd.count == 4);
    for (size_t i = 0; i < odd.count; i++) {
        CHECK_I64(c->t, odd.items[i].place, 2 * i + 1);
        CHECK_BYTES(c->t, odd.items[i].project, KW_BYTES("odd"));
        CHECK_BYTES(c->t, odd.items[i].bytes, contract_format(c, "at %u", (unsigned)(2 * i + 1)));
    }
    struct contract_checkpoints some = list(c, "odd", 1, false, 2);
    REQUIRE(c->t, some.count == 2);
    CHECK_I64(c->t, some.items[0].place, 3);
    struct contract_checkpoints last = list(c, "odd", 0, true, 1);
    REQUIRE(c->t, last.count == 1);
    CHECK_I64(c->t, last.items[0].place, 7);
    struct contract_checkpoints before = list(c, "even", 6, true, ALL);
    REQUIRE(c->t, before.count == 2);
    CHECK_I64(c->t, before.items[0].place, 4);
    CHECK_I64(c->t, list(c, "even", UINT64_MAX, false, ALL).count, 0);
    CHECK_I64(c->t, list(c, "nobody", 0, true, ALL).count, 0);
    struct contract_checkpoints stopped = {.c = c, .stop_after = 2, .answer = KW_E_DENIED};
    CHECK_STATUS(
        c->t,
        c->store->ops->audit_checkpoints(c->store, KW_BYTES("odd"), 0, false, ALL, contract_keep_checkpoint, &stopped),
        KW_E_DENIED);
    CHECK_I64(c->t, stopped.count, 2);
}

void a_checkpoint_is_replaced_and_removed(struct contract *c)
{
    REQUIRE_OK(c->t, set(c, "default", 3, KW_BYTES("first")));
    REQUIRE_OK(c->t, set(c, "default", 3, KW_BYTES("second")));
    struct contract_checkpoints kept = list(c, "default", 0, false, ALL);
    REQUIRE(c->t, kept.count == 1);
    CHECK_BYTES(c->t, kept.items[0].bytes, KW_BYTES("second"));
    REQUIRE_OK(c->t, set(c, "default", 3, KW_BYTES("")));
    REQUIRE_OK(c->t, set(c, "default", 3, KW_BYTES(""))); /* it is gone already */
    CHECK_I64(c->t, list(c, "default", 0, false, ALL).count, 0);
}

void checkpoints_beyond_the_caps_are_refused(struct contract *c)
{
    uint8_t bytes[KW_STORE_CHECKPOINT_MAX + 1] = {0};
    char name[KW_PROJECT_MAX + 2] = "";
    memset(name, 'p', sizeof name - 1);
    CHECK_STATUS(c->t, set(c, "default", 1, kw_bytes_of(bytes, sizeof bytes)), KW_E_LIMIT);
    CHECK_STATUS(c->t, set(c, "default", 0, KW_BYTES("x")), KW_E_LIMIT);
    CHECK_STATUS(c->t, set(c, "default", (uint64_t)INT64_MAX + 1, KW_BYTES("x")), KW_E_LIMIT);
    CHECK_STATUS(c->t, set(c, name, 1, KW_BYTES("x")), KW_E_LIMIT);
    REQUIRE_OK(c->t, set(c, "default", INT64_MAX, kw_bytes_of(bytes, KW_STORE_CHECKPOINT_MAX)));
    CHECK_I64(c->t, list(c, "default", 0, false, ALL).count, 1);
}

static bool commit_sealed_lines(struct contract *c, size_t count)
{
    struct kw_store_audit lines[PLACES];
    struct kw_store_seal seals[PLACES];
    for (size_t i = 0; i < count; i++) {
        lines[i] = contract_audit(c, i + 1, (int64_t)i);
        seals[i] = (struct kw_store_seal){i + 1, contract_format(c, "seal %u", (unsigned)i)};
    }
    struct kw_store_batch batch = {.audits = lines, .audit_count = count, .seals = seals, .seal_count = count - 1};
    return contract_commit(c, &batch) == KW_OK;
}

static enum kw_status erase(struct contract *c, const struct kw_store_erasure *erasures, size_t count)
{
    struct kw_store_setting setting = {KW_BYTES("told"), KW_BYTES("yes")};
    struct kw_store_batch batch = {
        .erasures = erasures, .erasure_count = count, .settings = &setting, .setting_count = 1};
    return contract_commit(c, &batch);
}

void what_is_erased_is_gone_and_the_rest_stays(struct contract *c)
{
    REQUIRE(c->t, commit_sealed_lines(c, PLACES));
    struct contract_audits before = lines_of(c);
    REQUIRE(c->t, before.count == PLACES);
    for (unsigned mask = 0; mask < 16; mask++) {
        const struct kw_store_erasure erasure = {before.items[1].sequence, (mask & 1) != 0,
                                                 (mask & 2) != 0,          (mask & 4) != 0,
                                                 (mask & 8) != 0,          contract_format(c, "%u", mask)};
        REQUIRE_OK(c->t, erase(c, &erasure, 1));
        struct contract_audits lines = lines_of(c);
        REQUIRE(c->t, lines.count == PLACES);
        unsigned gone = mask == 0 ? 0 : mask == 1 ? 1 : mask == 2 ? 3 : mask < 8 ? (mask < 4 ? 3 : 7) : 15;
        const struct kw_store_audit *old = &before.items[1];
        CHECK_BYTES(c->t, lines.items[1].owner, (gone & 1) != 0 ? KW_BYTES("") : old->owner);
        CHECK_BYTES(c->t, lines.items[1].actor, (gone & 2) != 0 ? KW_BYTES("") : old->actor);
        CHECK_BYTES(c->t, lines.items[1].context, (gone & 4) != 0 ? KW_BYTES("") : old->context);
        CHECK_BYTES(c->t, lines.items[1].body, (gone & 8) != 0 ? KW_BYTES("") : old->body);
        CHECK_BYTES(c->t, lines.items[1].seal, erasure.seal);
        CHECK_BYTES(c->t, lines.items[1].action, old->action);
        CHECK_BYTES(c->t, lines.items[0].owner, before.items[0].owner);
    }
    REQUIRE(c->t, contract_reopen(c));
    struct contract_audits found = contract_audits(c);
    struct kw_store_audit_filter of_owner = {
        .project = KW_BYTES("default"), .owner = before.items[1].owner, .limit = ALL};
    REQUIRE_OK(c->t, c->store->ops->audit_query(c->store, &of_owner, contract_keep_audit, &found));
    CHECK_I64(c->t, found.count, PLACES - 1);
}

void only_a_sealed_line_is_erased(struct contract *c)
{
    REQUIRE(c->t, commit_sealed_lines(c, 3));
    struct contract_audits before = lines_of(c);
    REQUIRE(c->t, before.count == 3);
    const uint64_t wrong[] = {before.items[2].sequence, before.items[2].sequence + 1};
    for (size_t i = 0; i < KW_COUNT_OF(wrong); i++) {
        const struct kw_store_erasure erasures[] = {
            {.sequence = before.items[0].sequence, .actor = true, .seal = KW_BYTES("anew")},
            {.sequence = wrong[i], .actor = true, .seal = KW_BYTES("anew")}};
        CHECK_STATUS(c->t, erase(c, erasures, KW_COUNT_OF(erasures)), KW_E_CONFLICT);
        struct contract_audits lines = lines_of(c);
        CHECK_BYTES(c->t, lines.items[0].actor, before.items[0].actor);
        CHECK_BYTES(c->t, lines.items[0].seal, before.items[0].seal);
        CHECK_STATUS(c->t, c->store->ops->setting(c->store, KW_BYTES("told"), NULL, 0, &(size_t){0}), KW_E_NOT_FOUND);
    }
    struct kw_store_erasure unsealed = {.sequence = before.items[0].sequence};
    CHECK_STATUS(c->t, erase(c, &unsealed, 1), KW_E_LIMIT);
}
