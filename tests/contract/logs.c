/* The audit log and the events on their way out. */
#include "contract/behaviours.h"

#define ALL 1000

static enum kw_status commit_lines(struct contract *c, const struct kw_store_audit *lines, size_t count)
{
    struct kw_store_batch batch = {.audits = lines, .audit_count = count};
    return contract_commit(c, &batch);
}

static struct contract_audits query_all(struct contract *c)
{
    struct contract_audits lines = contract_audits(c);
    struct kw_store_audit_filter filter = {.limit = ALL};
    CHECK_STATUS(c->t, c->store->ops->audit_query(c->store, &filter, contract_keep_audit, &lines), KW_OK);
    return lines;
}

void audit_lines_are_in_order(struct contract *c)
{
    struct kw_store_audit first[] = {contract_audit(c, 3, 30), contract_audit(c, 1, 10)};
    struct kw_store_audit second[] = {contract_audit(c, 2, 20)};
    REQUIRE_OK(c->t, commit_lines(c, first, KW_COUNT_OF(first)));
    REQUIRE(c->t, contract_reopen(c));
    REQUIRE_OK(c->t, commit_lines(c, second, KW_COUNT_OF(second)));
    struct contract_audits lines = query_all(c);
    REQUIRE(c->t, lines.count == 3);
    CHECK_I64(c->t, lines.items[0].at_ms, 30);
    CHECK_I64(c->t, lines.items[1].at_ms, 10);
    CHECK_I64(c->t, lines.items[2].at_ms, 20);
    CHECK(c->t, lines.items[0].sequence < lines.items[1].sequence);
    CHECK(c->t, lines.items[1].sequence < lines.items[2].sequence);

    struct kw_store_audit_filter rest = {.after = lines.items[1].sequence, .limit = ALL};
    struct contract_audits after = contract_audits(c);
    REQUIRE_OK(c->t, c->store->ops->audit_query(c->store, &rest, contract_keep_audit, &after));
    CHECK_I64(c->t, after.count, 1);
    rest.after = UINT64_MAX;
    REQUIRE_OK(c->t, c->store->ops->audit_query(c->store, &rest, contract_keep_audit, &after));
    CHECK_I64(c->t, after.count, 1);
}

static uint64_t prune(struct contract *c, const char *project, uint64_t sequence, size_t limit)
{
    uint64_t removed = 0;
    CHECK_STATUS(c->t, c->store->ops->audit_prune(c->store, kw_bytes_of_text(project), sequence, limit, &removed),
                 KW_OK);
    return removed;
}

void pruned_lines_are_gone_and_their_sequences_stay_used(struct contract *c)
{
    struct kw_store_audit lines[] = {contract_audit(c, 1, 10), contract_audit(c, 2, 30), contract_audit(c, 3, 20)};
    lines[1].project = KW_BYTES("other");
    REQUIRE_OK(c->t, commit_lines(c, lines, KW_COUNT_OF(lines)));
    uint64_t last = query_all(c).items[2].sequence;
    CHECK_I64(c->t, prune(c, "default", 0, ALL), 0);
    CHECK_I64(c->t, prune(c, "nobody", UINT64_MAX, ALL), 0);
    CHECK_I64(c->t, prune(c, "default", last - 1, ALL), 1);
    struct contract_audits left = query_all(c);
    REQUIRE(c->t, left.count == 2);
    CHECK_BYTES(c->t, left.items[0].project, KW_BYTES("other"));
    CHECK_I64(c->t, left.items[1].sequence, last);
    CHECK_I64(c->t, prune(c, "default", UINT64_MAX, ALL), 1);
    CHECK_I64(c->t, prune(c, "other", last, ALL), 1);
    REQUIRE(c->t, contract_reopen(c));
    REQUIRE_OK(c->t, commit_lines(c, lines, 1));
    left = query_all(c);
    REQUIRE(c->t, left.count == 1);
    CHECK(c->t, left.items[0].sequence > last);
}

void pruning_removes_no_more_than_asked(struct contract *c)
{
    struct kw_store_audit lines[5];
    for (size_t i = 0; i < KW_COUNT_OF(lines); i++) {
        lines[i] = contract_audit(c, i, (int64_t)i);
    }
    REQUIRE_OK(c->t, commit_lines(c, lines, KW_COUNT_OF(lines)));
    struct contract_audits before = query_all(c);
    const uint64_t expected[] = {2, 2, 0};
    for (size_t i = 0; i < KW_COUNT_OF(expected); i++) {
        CHECK_I64(c->t, prune(c, "default", before.items[3].sequence, 2), expected[i]);
        CHECK_I64(c->t, query_all(c).items[0].sequence, before.items[i == 0 ? 2 : 4].sequence); /* the earliest first */
    }
    CHECK_I64(c->t, query_all(c).count, 1);
}

static enum kw_status commit_events(struct contract *c, uint64_t first, size_t count)
{
    struct kw_store_event events[8];
    for (size_t i = 0; i < count; i++) {
        events[i] = contract_event(c, first + i, (int64_t)(first + i));
    }
    struct kw_store_batch batch = {.events = events, .event_count = count};
    return contract_commit(c, &batch);
}

static struct contract_events claim(struct contract *c, int64_t now_ms, int64_t until_ms, size_t limit)
{
    struct contract_events events = contract_events(c);
    CHECK_STATUS(c->t, c->store->ops->events_claim(c->store, now_ms, until_ms, limit, contract_keep_event, &events),
                 KW_OK);
    return events;
}

void events_are_handed_out_in_order_and_once(struct contract *c)
{
    REQUIRE_OK(c->t, commit_events(c, 5, 2));
    REQUIRE_OK(c->t, commit_events(c, 1, 2));
    struct contract_events first = claim(c, 100, 200, 3);
    REQUIRE(c->t, first.count == 3);
    struct kw_store_event expected = contract_event(c, 5, 5);
    CHECK(c->t, contract_id_equal(first.items[0].id, expected.id));
    CHECK(c->t, contract_id_equal(first.items[0].key_id, expected.key_id));
    CHECK_I64(c->t, first.items[0].at_ms, 5);
    CHECK_BYTES(c->t, first.items[0].project, expected.project);
    CHECK_BYTES(c->t, first.items[0].env, expected.env);
    CHECK_BYTES(c->t, first.items[0].owner, expected.owner);
    CHECK_BYTES(c->t, first.items[0].type, expected.type);
    CHECK_BYTES(c->t, first.items[0].body, expected.body);
    CHECK_I64(c->t, first.items[0].attempts, 1);
    CHECK(c->t, contract_id_equal(first.items[1].id, contract_id(6)));
    CHECK(c->t, contract_id_equal(first.items[2].id, contract_id(1)));
    CHECK(c->t, first.items[0].sequence < first.items[1].sequence);
    CHECK(c->t, first.items[1].sequence < first.items[2].sequence);
    struct contract_events rest = claim(c, 100, 200, ALL);
    REQUIRE(c->t, rest.count == 1);
    CHECK(c->t, contract_id_equal(rest.items[0].id, contract_id(2)));
    CHECK_I64(c->t, claim(c, 100, 200, ALL).count, 0);
    REQUIRE(c->t, contract_reopen(c));
    CHECK_I64(c->t, claim(c, 100, 200, ALL).count, 0);
}

void a_claim_that_ran_out_is_handed_out_again(struct contract *c)
{
    REQUIRE_OK(c->t, commit_events(c, 1, 3));
    CHECK_I64(c->t, claim(c, 100, 200, 1).count, 1);
    CHECK_I64(c->t, claim(c, 100, 150, 1).count, 1);
    CHECK_I64(c->t, claim(c, 149, 300, 1).count, 1);
    CHECK_I64(c->t, claim(c, 149, 300, ALL).count, 0);
    struct contract_events second = claim(c, 150, 300, ALL);
    REQUIRE(c->t, second.count == 1);
    CHECK(c->t, contract_id_equal(second.items[0].id, contract_id(2)));
    CHECK_I64(c->t, second.items[0].attempts, 2);
    REQUIRE(c->t, contract_reopen(c));
    struct contract_events again = claim(c, 300, 400, ALL);
    REQUIRE(c->t, again.count == 3);
    CHECK(c->t, contract_id_equal(again.items[0].id, contract_id(1)));
    CHECK(c->t, contract_id_equal(again.items[1].id, contract_id(2)));
    CHECK_I64(c->t, again.items[0].attempts, 2);
    CHECK_I64(c->t, again.items[1].attempts, 3);
}

void a_settled_event_never_comes_back(struct contract *c)
{
    REQUIRE_OK(c->t, commit_events(c, 1, 3));
    struct kw_id second = contract_id(2);
    struct kw_id none = contract_id(77);
    CHECK_I64(c->t, claim(c, 0, 10, ALL).count, 3);
    CHECK_STATUS(c->t, c->store->ops->events_settle(c->store, &second), KW_OK);
    CHECK_STATUS(c->t, c->store->ops->events_settle(c->store, &second), KW_E_NOT_FOUND);
    CHECK_STATUS(c->t, c->store->ops->events_settle(c->store, &none), KW_E_NOT_FOUND);
    REQUIRE(c->t, contract_reopen(c));
    struct contract_events left = claim(c, 20, 30, ALL);
    REQUIRE(c->t, left.count == 2);
    CHECK(c->t, contract_id_equal(left.items[0].id, contract_id(1)));
    CHECK(c->t, contract_id_equal(left.items[1].id, contract_id(3)));
    /* One that was never claimed can be settled too. */
    struct kw_id fourth = contract_id(4);
    REQUIRE_OK(c->t, commit_events(c, 4, 1));
    CHECK_STATUS(c->t, c->store->ops->events_settle(c->store, &fourth), KW_OK);
    CHECK_I64(c->t, claim(c, 100, 200, ALL).count, 2);
}

void events_a_stopped_sink_did_not_see_stay_claimed(struct contract *c)
{
    REQUIRE_OK(c->t, commit_events(c, 1, 3));
    struct contract_events events = {.c = c, .stop_after = 1, .answer = KW_E_BUSY};
    CHECK_STATUS(c->t, c->store->ops->events_claim(c->store, 0, 100, ALL, contract_keep_event, &events), KW_E_BUSY);
    CHECK_I64(c->t, events.count, 1);
    CHECK_I64(c->t, claim(c, 99, 200, ALL).count, 0);
    struct contract_events again = claim(c, 100, 200, ALL);
    REQUIRE(c->t, again.count == 3);
    CHECK_I64(c->t, again.items[2].attempts, 2);
}

void an_event_in_the_log_keeps_its_id(struct contract *c)
{
    REQUIRE_OK(c->t, commit_events(c, 1, 1));
    CHECK_STATUS(c->t, commit_events(c, 1, 2), KW_E_CONFLICT);
    CHECK_I64(c->t, claim(c, 0, 0, ALL).count, 1);
    struct kw_id id = contract_id(1);
    REQUIRE_OK(c->t, c->store->ops->events_settle(c->store, &id));
    CHECK_STATUS(c->t, commit_events(c, 1, 2), KW_E_CONFLICT);
    uint64_t removed = 0;
    REQUIRE_OK(c->t, c->store->ops->events_prune(c->store, KW_BYTES("default"), INT64_MAX, ALL, &removed));
    CHECK_I64(c->t, removed, 1);
    CHECK_STATUS(c->t, commit_events(c, 1, 2), KW_OK);
    CHECK_I64(c->t, claim(c, 0, 0, ALL).count, 2);
}
