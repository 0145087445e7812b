/* The log of events. */
#include "contract/behaviours.h"

#define ALL 1000
#define EVENTS 60
#define ROUNDS 200

static const struct kw_bytes projects[] = {{(const uint8_t *)"default", 7}, {(const uint8_t *)"other", 5}};

static struct contract_events list(struct contract *c, const struct kw_store_event_filter *filter)
{
    struct contract_events events = contract_events(c);
    CHECK_STATUS(c->t, c->store->ops->events_list(c->store, filter, contract_keep_event, &events), KW_OK);
    return events;
}

static struct kw_store_event draw_event(struct contract *c, uint64_t number)
{
    struct kw_store_event event = contract_event(c, number, (int64_t)(test_random(c->t) % 50));
    event.project = projects[test_random(c->t) % KW_COUNT_OF(projects)];
    uint64_t key = test_random(c->t) % 4;
    event.key_id = key == 0 ? (struct kw_id){{0}} : contract_id(key);
    return event;
}

static void commit_some(struct contract *c, struct kw_store_event *events, uint64_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        events[i] = draw_event(c, first + i);
    }
    struct kw_store_batch batch = {.events = events, .event_count = count};
    CHECK_STATUS(c->t, contract_commit(c, &batch), KW_OK);
}

void a_settled_event_stays_in_the_list(struct contract *c)
{
    struct kw_store_event events[] = {contract_event(c, 1, 10), contract_event(c, 2, 5), contract_event(c, 3, 20)};
    struct kw_store_batch batch = {.events = events, .event_count = KW_COUNT_OF(events)};
    struct kw_id second = contract_id(2);
    struct contract_events claimed = contract_events(c);
    REQUIRE_OK(c->t, contract_commit(c, &batch));
    REQUIRE_OK(c->t, c->store->ops->events_claim(c->store, 0, 100, 2, contract_keep_event, &claimed));
    REQUIRE_OK(c->t, c->store->ops->events_settle(c->store, &second));
    REQUIRE(c->t, contract_reopen(c));
    struct contract_events found = list(c, &(struct kw_store_event_filter){.limit = ALL});
    REQUIRE(c->t, found.count == KW_COUNT_OF(events));
    for (size_t i = 0; i < found.count; i++) {
        CHECK(c->t, contract_id_equal(found.items[i].id, events[i].id));
        CHECK(c->t, contract_id_equal(found.items[i].key_id, events[i].key_id));
        CHECK_I64(c->t, found.items[i].at_ms, events[i].at_ms);
        CHECK_BYTES(c->t, found.items[i].project, events[i].project);
        CHECK_BYTES(c->t, found.items[i].env, events[i].env);
        CHECK_BYTES(c->t, found.items[i].owner, events[i].owner);
        CHECK_BYTES(c->t, found.items[i].type, events[i].type);
        CHECK_BYTES(c->t, found.items[i].body, events[i].body);
        CHECK_I64(c->t, found.items[i].attempts, 0);
        CHECK(c->t, i == 0 || found.items[i].sequence > found.items[i - 1].sequence);
    }
}

static bool matches(const struct kw_store_event_filter *filter, const struct kw_store_event *event)
{
    bool is_behind =
        filter->is_back ? filter->after == 0 || event->sequence < filter->after : event->sequence > filter->after;
    bool of_project =
        filter->project.size == 0 || (filter->project.size == event->project.size &&
                                      memcmp(filter->project.data, event->project.data, filter->project.size) == 0);
    bool of_key =
        contract_id_equal(filter->key_id, (struct kw_id){{0}}) || contract_id_equal(filter->key_id, event->key_id);
    return is_behind && of_project && of_key && event->at_ms >= filter->from_ms;
}

static void check_filter(struct contract *c, const struct contract_events *all,
                         const struct kw_store_event_filter *filter)
{
    struct contract_events found = list(c, filter);
    size_t expected = 0;
    for (size_t i = 0; i < all->count && expected < filter->limit; i++) {
        const struct kw_store_event *event = &all->items[filter->is_back ? all->count - 1 - i : i];
        if (matches(filter, event)) {
            CHECK(c->t, expected < found.count && found.items[expected].sequence == event->sequence);
            expected++;
        }
    }
    CHECK_I64(c->t, found.count, expected);
}

void lists_of_events_agree_with_a_plain_search(struct contract *c)
{
    struct kw_store_event events[EVENTS];
    commit_some(c, events, 1, EVENTS);
    struct contract_events all = list(c, &(struct kw_store_event_filter){.limit = ALL});
    REQUIRE(c->t, all.count == EVENTS);
    for (size_t i = 0; i < ROUNDS; i++) {
        struct kw_store_event_filter filter = {.is_back = test_random(c->t) % 2 == 0,
                                               .limit = 1 + test_random(c->t) % 20};
        if (test_random(c->t) % 3 > 0) {
            filter.project = projects[test_random(c->t) % KW_COUNT_OF(projects)];
        }
        if (test_random(c->t) % 3 == 0) {
            filter.key_id = contract_id(1 + test_random(c->t) % 4);
        }
        filter.from_ms = test_random(c->t) % 2 == 0 ? 0 : (int64_t)(test_random(c->t) % 60);
        filter.after = test_random(c->t) % 2 == 0 ? 0 : all.items[test_random(c->t) % EVENTS].sequence;
        check_filter(c, &all, &filter);
    }
}

void a_cursor_of_events_stays_right_while_they_are_added(struct contract *c)
{
    struct kw_store_event events[3];
    struct kw_store_event_filter filter = {.limit = 2};
    uint64_t seen = 0;
    for (uint64_t round = 0; round < 5; round++) {
        commit_some(c, events, 1 + 3 * round, KW_COUNT_OF(events));
        struct contract_events page = list(c, &filter);
        for (size_t i = 0; i < page.count; i++) {
            CHECK(c->t, contract_id_equal(page.items[i].id, contract_id(++seen)));
            filter.after = page.items[i].sequence;
        }
    }
    for (bool more = true; more;) {
        struct contract_events page = list(c, &filter);
        for (size_t i = 0; i < page.count; i++) {
            CHECK(c->t, contract_id_equal(page.items[i].id, contract_id(++seen)));
            filter.after = page.items[i].sequence;
        }
        more = page.count > 0;
    }
    CHECK_I64(c->t, seen, 15);
}

void pruning_events_agrees_with_a_plain_search(struct contract *c)
{
    struct kw_store_event events[EVENTS];
    commit_some(c, events, 1, EVENTS);
    for (size_t round = 0; round < 30; round++) {
        struct contract_events before = list(c, &(struct kw_store_event_filter){.limit = ALL});
        struct kw_bytes project = projects[test_random(c->t) % KW_COUNT_OF(projects)];
        int64_t before_ms = (int64_t)(test_random(c->t) % 50);
        size_t limit = 1 + test_random(c->t) % 5;
        uint64_t removed = 99;
        REQUIRE_OK(c->t, c->store->ops->events_prune(c->store, project, before_ms, limit, &removed));
        struct contract_events left = list(c, &(struct kw_store_event_filter){.limit = ALL});
        size_t gone = 0;
        size_t at = 0;
        for (size_t i = 0; i < before.count; i++) {
            struct kw_store_event_filter of_project = {.project = project};
            bool is_old = matches(&of_project, &before.items[i]) && before.items[i].at_ms < before_ms;
            if (is_old && gone < limit) {
                gone++;
                continue;
            }
            CHECK(c->t, at < left.count && left.items[at].sequence == before.items[i].sequence);
            at++;
        }
        CHECK_I64(c->t, left.count, at);
        CHECK_I64(c->t, removed, gone);
    }
}

void a_pruned_event_is_handed_out_no_more(struct contract *c)
{
    struct kw_store_event events[] = {contract_event(c, 1, 10), contract_event(c, 2, 20)};
    struct kw_store_batch batch = {.events = events, .event_count = KW_COUNT_OF(events)};
    struct kw_id first = contract_id(1);
    uint64_t removed = 0;
    REQUIRE_OK(c->t, contract_commit(c, &batch));
    uint64_t last = list(c, &(struct kw_store_event_filter){.limit = ALL}).items[1].sequence;
    REQUIRE_OK(c->t, c->store->ops->events_prune(c->store, KW_BYTES("default"), 11, ALL, &removed));
    CHECK_I64(c->t, removed, 1);
    CHECK_STATUS(c->t, c->store->ops->events_settle(c->store, &first), KW_E_NOT_FOUND);
    struct contract_events claimed = contract_events(c);
    REQUIRE_OK(c->t, c->store->ops->events_claim(c->store, 0, 0, ALL, contract_keep_event, &claimed));
    REQUIRE(c->t, claimed.count == 1);
    CHECK(c->t, contract_id_equal(claimed.items[0].id, contract_id(2)));
    REQUIRE_OK(c->t, c->store->ops->events_prune(c->store, KW_BYTES("default"), INT64_MAX, ALL, &removed));
    REQUIRE(c->t, contract_reopen(c));
    REQUIRE_OK(c->t, contract_commit(c, &(struct kw_store_batch){.events = events, .event_count = 1}));
    struct contract_events left = list(c, &(struct kw_store_event_filter){.limit = ALL});
    REQUIRE(c->t, left.count == 1);
    CHECK(c->t, left.items[0].sequence > last); /* a sequence is never given twice */
}

void a_list_of_events_keeps_to_its_bounds(struct contract *c)
{
    struct contract_events events = contract_events(c);
    const size_t limits[] = {0, KW_STORE_LIST_MAX + 1};
    uint64_t removed = 7;
    for (size_t i = 0; i < KW_COUNT_OF(limits); i++) {
        struct kw_store_event_filter filter = {.limit = limits[i]};
        CHECK_STATUS(c->t, c->store->ops->events_list(c->store, &filter, contract_keep_event, &events), KW_E_LIMIT);
        CHECK_STATUS(c->t, c->store->ops->events_prune(c->store, projects[0], 1, limits[i], &removed), KW_E_LIMIT);
    }
    CHECK_I64(c->t, removed, 7);
    uint8_t text[KW_OWNER_MAX + 1];
    memset(text, 'a', sizeof text);
    struct kw_store_event wide_owner = contract_event(c, 1, 1);
    wide_owner.owner = kw_bytes_of(text, KW_OWNER_MAX + 1);
    struct kw_store_event wide_env = contract_event(c, 1, 1);
    wide_env.env = kw_bytes_of(text, KW_ENV_MAX + 1);
    const struct kw_store_event *wide[] = {&wide_owner, &wide_env};
    for (size_t i = 0; i < KW_COUNT_OF(wide); i++) {
        struct kw_store_batch batch = {.events = wide[i], .event_count = 1};
        CHECK_STATUS(c->t, contract_commit(c, &batch), KW_E_LIMIT);
    }
    CHECK_I64(c->t, list(c, &(struct kw_store_event_filter){.limit = ALL}).count, 0);
}
