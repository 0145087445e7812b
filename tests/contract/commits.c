/* Commits: what conflicts, what is atomic, what is refused; settings. */
#include "contract/behaviours.h"

#define ALL 1000

void another_version_is_a_conflict(struct contract *c)
{
    CHECK_STATUS(c->t, contract_commit_put(c, contract_put(c, 1, 3)), KW_E_CONFLICT);
    struct kw_store_put put = contract_put(c, 1, 0);
    REQUIRE_OK(c->t, contract_commit_put(c, put));
    CHECK_STATUS(c->t, contract_commit_put(c, contract_put(c, 1, 2)), KW_E_CONFLICT);
    struct kw_store_put second = contract_put(c, 1, 1);
    REQUIRE_OK(c->t, contract_commit_put(c, second));
    CHECK_STATUS(c->t, contract_commit_put(c, second), KW_E_CONFLICT);
    CHECK_STATUS(c->t, contract_commit_put(c, contract_tombstone(c, 1, 1)), KW_E_CONFLICT);
    contract_check_found(c, 1, &second);
}

void an_id_that_is_there_is_a_conflict(struct contract *c)
{
    struct kw_store_put put = contract_put(c, 1, 0);
    REQUIRE_OK(c->t, contract_commit_put(c, put));
    struct kw_store_put other = contract_put(c, 1, 0);
    other.row.digest = contract_digest(c, 2);
    CHECK_STATUS(c->t, contract_commit_put(c, other), KW_E_CONFLICT);
    contract_check_found(c, 1, &put);
    struct contract_rows found = contract_rows(c);
    CHECK_STATUS(c->t, c->store->ops->find_by_digest(c->store, other.row.digest, contract_keep_row, &found),
                 KW_E_NOT_FOUND);
}

void a_digest_that_is_there_is_a_conflict(struct contract *c)
{
    struct kw_store_put first = contract_put(c, 1, 0);
    struct kw_store_put second = contract_put(c, 2, 0);
    struct kw_store_put third = contract_put(c, 3, 0);
    REQUIRE_OK(c->t, contract_commit_put(c, first));
    REQUIRE_OK(c->t, contract_commit_put(c, second));
    third.row.digest = first.row.digest;
    CHECK_STATUS(c->t, contract_commit_put(c, third), KW_E_CONFLICT);
    contract_check_found(c, 3, NULL);
    struct kw_store_put changed = contract_put(c, 2, 1);
    changed.row.digest = first.row.digest;
    CHECK_STATUS(c->t, contract_commit_put(c, changed), KW_E_CONFLICT);
    contract_check_found(c, 2, &second);
    struct kw_store_put twins[] = {contract_put(c, 4, 0), contract_put(c, 5, 0)};
    twins[1].row.digest = twins[0].row.digest;
    CHECK_STATUS(c->t, contract_commit_puts(c, twins, KW_COUNT_OF(twins)), KW_E_CONFLICT);
    contract_check_found(c, 4, NULL);
}

void a_tombstones_digest_is_taken_for_ever(struct contract *c)
{
    struct kw_store_put first = contract_put(c, 1, 0);
    REQUIRE_OK(c->t, contract_commit_put(c, first));
    REQUIRE_OK(c->t, contract_commit_put(c, contract_tombstone(c, 1, 1)));
    struct kw_store_put second = contract_put(c, 2, 0);
    second.row.digest = first.row.digest;
    CHECK_STATUS(c->t, contract_commit_put(c, second), KW_E_CONFLICT);
    contract_check_found(c, 2, NULL);
}

void a_tombstone_is_never_replaced(struct contract *c)
{
    REQUIRE_OK(c->t, contract_commit_put(c, contract_put(c, 1, 0)));
    REQUIRE_OK(c->t, contract_commit_put(c, contract_tombstone(c, 1, 1)));
    CHECK_STATUS(c->t, contract_commit_put(c, contract_put(c, 1, 2)), KW_E_CONFLICT);
    CHECK_STATUS(c->t, contract_commit_put(c, contract_put(c, 1, 0)), KW_E_CONFLICT);
    CHECK_STATUS(c->t, contract_commit_put(c, contract_tombstone(c, 1, 2)), KW_E_CONFLICT);
    contract_check_found(c, 1, NULL);
    /* One that was never a living row can be put, as an import may. */
    REQUIRE_OK(c->t, contract_commit_put(c, contract_tombstone(c, 2, 0)));
    contract_check_found(c, 2, NULL);
}

void a_digest_can_be_changed_and_is_free_again(struct contract *c)
{
    struct kw_store_put put = contract_put(c, 1, 0);
    REQUIRE_OK(c->t, contract_commit_put(c, put));
    struct kw_store_put changed = contract_put(c, 1, 1);
    changed.row.digest = contract_digest(c, 77);
    changed.row.digest_scheme = KW_DIGEST_SHA512;
    REQUIRE_OK(c->t, contract_commit_put(c, changed));
    contract_check_found(c, 1, &changed);
    struct contract_rows found = contract_rows(c);
    CHECK_STATUS(c->t, c->store->ops->find_by_digest(c->store, put.row.digest, contract_keep_row, &found),
                 KW_E_NOT_FOUND);
    CHECK_STATUS(c->t, c->store->ops->find_by_digest(c->store, changed.row.digest, contract_keep_row, &found), KW_OK);
    struct kw_store_put other = contract_put(c, 2, 0);
    other.row.digest = put.row.digest;
    CHECK_STATUS(c->t, contract_commit_put(c, other), KW_OK);
    contract_check_found(c, 2, &other);
}

/* Row 2 is put, with something of every kind beside it, and row 1 at a version that is not there. */
static struct kw_store_batch batch_with_conflict(struct contract *c)
{
    struct kw_store_put *puts = kw_arena_take_array(&c->arena, 2, sizeof *puts);
    struct kw_store_audit *audit = kw_arena_take(&c->arena, sizeof *audit);
    struct kw_store_event *event = kw_arena_take(&c->arena, sizeof *event);
    struct kw_store_setting *setting = kw_arena_take(&c->arena, sizeof *setting);
    if (puts == NULL || audit == NULL || event == NULL || setting == NULL) {
        return (struct kw_store_batch){0};
    }
    puts[0] = contract_put(c, 2, 0);
    puts[0].row.tags = contract_tags(c, "ci");
    puts[1] = contract_put(c, 1, 5);
    *audit = contract_audit(c, 2, 1000);
    *event = contract_event(c, 2, 1000);
    *setting = (struct kw_store_setting){KW_BYTES("half"), KW_BYTES("written")};
    return (struct kw_store_batch){.puts = puts,
                                   .put_count = 2,
                                   .audits = audit,
                                   .audit_count = 1,
                                   .events = event,
                                   .event_count = 1,
                                   .settings = setting,
                                   .setting_count = 1};
}

static void check_row_2_left_no_trace(struct contract *c)
{
    const struct kw_store_ops *ops = c->store->ops;
    struct contract_rows rows = contract_rows(c);
    struct contract_audits audits = contract_audits(c);
    struct contract_events events = contract_events(c);
    struct kw_store_filter by_tag = {
        .project = KW_BYTES("default"), .tags = &KW_BYTES("ci"), .tag_count = 1, .limit = ALL};
    struct kw_id id_2 = contract_id(2);
    struct kw_store_audit_filter of_key_2 = {.key_id = id_2, .limit = ALL};
    size_t size = 0;
    contract_check_found(c, 2, NULL);
    CHECK_STATUS(c->t, ops->find_by_digest(c->store, contract_digest(c, 2), contract_keep_row, &rows), KW_E_NOT_FOUND);
    CHECK_STATUS(c->t, ops->list(c->store, &by_tag, contract_keep_row, &rows), KW_OK);
    CHECK_STATUS(c->t, ops->audit_query(c->store, &of_key_2, contract_keep_audit, &audits), KW_OK);
    CHECK_STATUS(c->t, ops->events_claim(c->store, 0, 0, ALL, contract_keep_event, &events), KW_OK);
    CHECK_STATUS(c->t, ops->setting(c->store, KW_BYTES("half"), NULL, 0, &size), KW_E_NOT_FOUND);
    CHECK_I64(c->t, rows.count, 0);
    CHECK_I64(c->t, audits.count, 0);
    CHECK_I64(c->t, events.count, 0);
}

void a_batch_with_a_conflict_changes_nothing(struct contract *c)
{
    struct kw_store_put put = contract_put(c, 1, 0);
    REQUIRE_OK(c->t, contract_commit_put(c, put));
    struct kw_store_batch batch = batch_with_conflict(c);
    REQUIRE(c->t, batch.put_count == 2);
    CHECK_STATUS(c->t, contract_commit(c, &batch), KW_E_CONFLICT);
    contract_check_found(c, 1, &put);
    check_row_2_left_no_trace(c);
    REQUIRE(c->t, contract_reopen(c));
    check_row_2_left_no_trace(c);
    uint64_t count = 0;
    CHECK_STATUS(c->t, c->store->ops->count(c->store, KW_BYTES("default"), &count), KW_OK);
    CHECK_I64(c->t, count, 1);
}

void neighbours_of_a_conflict_are_committed(struct contract *c)
{
    struct kw_store_put put = contract_put(c, 1, 0);
    REQUIRE_OK(c->t, contract_commit_put(c, put));
    struct kw_store_put before = contract_put(c, 10, 0);
    struct kw_store_put after = contract_put(c, 11, 0);
    struct kw_store_audit line = contract_audit(c, 11, 5);
    struct kw_store_put oversized = contract_put(c, 12, 0);
    oversized.row.project = (struct kw_bytes){oversized.row.record.data, KW_PROJECT_MAX + 1};
    struct kw_store_batch batches[] = {
        {.puts = &before, .put_count = 1},
        batch_with_conflict(c),
        {.puts = &oversized, .put_count = 1},
        {.puts = &after, .put_count = 1, .audits = &line, .audit_count = 1},
    };
    REQUIRE_OK(c->t, c->store->ops->commit(c->store, batches, KW_COUNT_OF(batches)));
    CHECK_STATUS(c->t, batches[0].outcome, KW_OK);
    CHECK_STATUS(c->t, batches[1].outcome, KW_E_CONFLICT);
    CHECK_STATUS(c->t, batches[2].outcome, KW_E_LIMIT);
    CHECK_STATUS(c->t, batches[3].outcome, KW_OK);
    CHECK(c->t, batches[0].sequence < batches[3].sequence);
    REQUIRE(c->t, contract_reopen(c));
    contract_check_found(c, 1, &put);
    contract_check_found(c, 10, &before);
    contract_check_found(c, 11, &after);
    contract_check_found(c, 12, NULL);
    check_row_2_left_no_trace(c);
}

#define CROWD 40

/* One batch each that creates a row with a tag, a line and an event; one with a digest that another has; one change. */
void a_conflict_in_a_crowd_of_batches_stays_alone(struct contract *c)
{
    enum { CHANGES = 24, CONFLICTS = 30 };
    struct kw_store_put puts[CROWD];
    struct kw_store_audit lines[CROWD];
    struct kw_store_event events[CROWD];
    struct kw_store_batch batches[CROWD] = {0};
    for (uint64_t i = 0; i < CROWD; i++) {
        puts[i] = i == CHANGES ? contract_put(c, 4, 1) : contract_put(c, i + 1, 0);
        puts[i].row.tags = contract_tags(c, "crowd");
        lines[i] = contract_audit(c, i + 1, 1000);
        events[i] = contract_event(c, i + 1, 1000);
        batches[i] = (struct kw_store_batch){&puts[i], 1, &lines[i], 1, &events[i], 1, NULL, 0, KW_OK, 0};
    }
    puts[CONFLICTS].row.digest = contract_digest(c, 8);
    REQUIRE_OK(c->t, c->store->ops->commit(c->store, batches, CROWD));
    for (uint64_t i = 0; i < CROWD; i++) {
        CHECK_STATUS(c->t, batches[i].outcome, i == CONFLICTS ? KW_E_CONFLICT : KW_OK);
    }
    contract_check_found(c, 4, &puts[CHANGES]);
    contract_check_found(c, 8, &puts[7]);
    contract_check_found(c, CONFLICTS + 1, NULL);
    contract_check_found(c, CROWD, &puts[CROWD - 1]);
    struct contract_rows rows = contract_rows(c);
    struct contract_audits audits = contract_audits(c);
    struct contract_events handed_out = contract_events(c);
    struct kw_store_filter by_tag = {
        .project = KW_BYTES("default"), .tags = &KW_BYTES("crowd"), .tag_count = 1, .limit = ALL};
    uint64_t count = 0;
    CHECK_STATUS(c->t, c->store->ops->list(c->store, &by_tag, contract_keep_row, &rows), KW_OK);
    CHECK_STATUS(c->t,
                 c->store->ops->audit_query(c->store, &(struct kw_store_audit_filter){.limit = ALL},
                                            contract_keep_audit, &audits),
                 KW_OK);
    CHECK_STATUS(c->t, c->store->ops->events_claim(c->store, 0, 0, ALL, contract_keep_event, &handed_out), KW_OK);
    CHECK_STATUS(c->t, c->store->ops->count(c->store, KW_BYTES("default"), &count), KW_OK);
    CHECK_I64(c->t, rows.count, CROWD - 2);
    CHECK_I64(c->t, audits.count, CROWD - 1);
    CHECK_I64(c->t, handed_out.count, CROWD - 1);
    CHECK_I64(c->t, count, CROWD - 2);
}

void a_later_batch_sees_an_earlier_one(struct contract *c)
{
    struct kw_store_put created = contract_put(c, 1, 0);
    struct kw_store_put changed = contract_put(c, 1, 1);
    struct kw_store_put doubled = contract_put(c, 1, 0);
    struct kw_store_put erased = contract_tombstone(c, 1, 2);
    struct kw_store_batch batches[] = {
        {.puts = &created, .put_count = 1},
        {.puts = &changed, .put_count = 1},
        {.puts = &doubled, .put_count = 1},
        {.puts = &erased, .put_count = 1},
    };
    REQUIRE_OK(c->t, c->store->ops->commit(c->store, batches, 3));
    CHECK_STATUS(c->t, batches[0].outcome, KW_OK);
    CHECK_STATUS(c->t, batches[1].outcome, KW_OK);
    CHECK_STATUS(c->t, batches[2].outcome, KW_E_CONFLICT);
    contract_check_found(c, 1, &changed);
    REQUIRE_OK(c->t, c->store->ops->commit(c->store, &batches[3], 1));
    CHECK_STATUS(c->t, batches[3].outcome, KW_OK);
    contract_check_found(c, 1, NULL);
}

void a_row_may_be_put_twice_in_a_batch(struct contract *c)
{
    struct kw_store_put puts[] = {contract_put(c, 1, 0), contract_put(c, 2, 0), contract_put(c, 1, 1)};
    puts[2].row.owner = KW_BYTES("user:2");
    REQUIRE_OK(c->t, contract_commit_puts(c, puts, KW_COUNT_OF(puts)));
    contract_check_found(c, 1, &puts[2]);
    /* The second half fails: the first half goes with it, and version 2 stays. */
    struct kw_store_put more[] = {contract_put(c, 1, 2), contract_put(c, 1, 3), contract_put(c, 2, 7)};
    CHECK_STATUS(c->t, contract_commit_puts(c, more, KW_COUNT_OF(more)), KW_E_CONFLICT);
    contract_check_found(c, 1, &puts[2]);
    contract_check_found(c, 2, &puts[1]);
}

void sequences_ascend_with_commits(struct contract *c)
{
    uint64_t last = 0;
    for (uint64_t number = 1; number <= 4; number++) {
        struct kw_store_put put = contract_put(c, number, 0);
        struct kw_store_batch batch = {.puts = &put, .put_count = 1};
        REQUIRE_OK(c->t, contract_commit(c, &batch));
        CHECK(c->t, batch.sequence > last);
        last = batch.sequence;
        CHECK_STATUS(c->t, contract_commit_put(c, put), KW_E_CONFLICT);
        REQUIRE(c->t, contract_reopen(c));
    }
}

void nothing_to_commit_is_fine(struct contract *c)
{
    struct kw_store_batch empty = {.outcome = KW_E_SYSTEM};
    CHECK_STATUS(c->t, c->store->ops->commit(c->store, NULL, 0), KW_OK);
    CHECK_STATUS(c->t, c->store->ops->commit(c->store, &empty, 1), KW_OK);
    CHECK_STATUS(c->t, empty.outcome, KW_OK);
    CHECK_STATUS(c->t, c->store->ops->usage_add(c->store, NULL, 0, NULL, 0), KW_OK);
}

static void check_batch_refused(struct contract *c, struct kw_store_batch batch, enum kw_status expected)
{
    CHECK_STATUS(c->t, contract_commit(c, &batch), expected);
}

void sizes_beyond_the_caps_are_refused(struct contract *c)
{
    const struct kw_store_ops *ops = c->store->ops;
    uint8_t *bytes = kw_arena_take(&c->arena, KW_STORE_BODY_MAX + 1);
    REQUIRE(c->t, bytes != NULL);
    const struct kw_bytes name = {bytes, KW_STORE_NAME_MAX + 1};
    struct kw_store_put put = contract_put(c, 1, 0);
    put.row.record = kw_bytes_of(bytes, KW_RECORD_MAX + 1);
    check_batch_refused(c, (struct kw_store_batch){.puts = &put, .put_count = 1}, KW_E_LIMIT);
    put = contract_put(c, 1, 0);
    put.row.digest = kw_bytes_of(bytes, KW_STORE_DIGEST_MAX + 1);
    check_batch_refused(c, (struct kw_store_batch){.puts = &put, .put_count = 1}, KW_E_LIMIT);
    struct kw_store_audit audit = contract_audit(c, 1, 1);
    audit.body = kw_bytes_of(bytes, KW_STORE_BODY_MAX + 1);
    check_batch_refused(c, (struct kw_store_batch){.audits = &audit, .audit_count = 1}, KW_E_LIMIT);
    audit = contract_audit(c, 1, 1);
    audit.context = kw_bytes_of(bytes, KW_STORE_CONTEXT_MAX + 1);
    check_batch_refused(c, (struct kw_store_batch){.audits = &audit, .audit_count = 1}, KW_E_LIMIT);
    struct kw_store_event event = contract_event(c, 1, 1);
    event.type = name;
    check_batch_refused(c, (struct kw_store_batch){.events = &event, .event_count = 1}, KW_E_LIMIT);
    struct kw_store_setting setting = {kw_bytes_of(bytes, KW_STORE_SETTING_NAME_MAX + 1), KW_BYTES("x")};
    check_batch_refused(c, (struct kw_store_batch){.settings = &setting, .setting_count = 1}, KW_E_LIMIT);
    setting = (struct kw_store_setting){KW_BYTES("x"), {bytes, KW_STORE_SETTING_MAX + 1}};
    check_batch_refused(c, (struct kw_store_batch){.settings = &setting, .setting_count = 1}, KW_E_LIMIT);

    struct contract_rows rows = contract_rows(c);
    struct contract_audits audits = contract_audits(c);
    struct contract_events events = contract_events(c);
    struct contract_checkpoints checkpoints = contract_checkpoints(c);
    uint64_t removed = 0;
    uint8_t value[KW_STORE_USAGE_VALUE_MAX + 1] = {0};
    struct kw_store_usage use = {contract_id(1), kw_bytes_of(value, sizeof value), 0, 1};
    CHECK_STATUS(c->t, ops->usage_add(c->store, &use, 1, NULL, 0), KW_E_LIMIT);
    const size_t limits[] = {0, KW_STORE_LIST_MAX + 1, SIZE_MAX};
    for (size_t i = 0; i < KW_COUNT_OF(limits); i++) {
        struct kw_store_filter filter = {.limit = limits[i]};
        struct kw_store_audit_filter audit_filter = {.limit = limits[i]};
        CHECK_STATUS(c->t, ops->list(c->store, &filter, contract_keep_row, &rows), KW_E_LIMIT);
        CHECK_STATUS(c->t, ops->changes(c->store, 0, limits[i], contract_keep_row, &rows), KW_E_LIMIT);
        CHECK_STATUS(c->t, ops->audit_query(c->store, &audit_filter, contract_keep_audit, &audits), KW_E_LIMIT);
        CHECK_STATUS(c->t, ops->audit_prune(c->store, KW_BYTES("default"), 1, limits[i], &removed), KW_E_LIMIT);
        CHECK_STATUS(c->t,
                     ops->audit_checkpoints(c->store, KW_BYTES("default"), 0, false, limits[i],
                                            contract_keep_checkpoint, &checkpoints),
                     KW_E_LIMIT);
        CHECK_STATUS(c->t, ops->events_claim(c->store, 0, 1, limits[i], contract_keep_event, &events), KW_E_LIMIT);
    }
}

void rows_that_could_not_be_found_are_refused(struct contract *c)
{
    struct kw_store_put puts[] = {contract_put(c, 1, 0), contract_put(c, 1, 0), contract_put(c, 1, 0)};
    puts[0].row.id = (struct kw_id){0};
    puts[1].row.digest.size = 0;
    puts[2].row.version = 0;
    for (size_t i = 0; i < KW_COUNT_OF(puts); i++) {
        check_batch_refused(c, (struct kw_store_batch){.puts = &puts[i], .put_count = 1}, KW_E_INVALID);
    }
    struct kw_store_event event = contract_event(c, 1, 1);
    event.id = (struct kw_id){0};
    check_batch_refused(c, (struct kw_store_batch){.events = &event, .event_count = 1}, KW_E_INVALID);
    struct kw_store_usage use = {contract_id(1), KW_BYTES("verify"), 0, -1};
    CHECK_STATUS(c->t, c->store->ops->usage_add(c->store, &use, 1, NULL, 0), KW_E_INVALID);
}

static void check_setting(struct contract *c, struct kw_bytes name, struct kw_bytes expected)
{
    uint8_t value[16] = {0};
    size_t size = 0;
    CHECK_STATUS(c->t, c->store->ops->setting(c->store, name, value, sizeof value, &size), KW_OK);
    CHECK_BYTES(c->t, kw_bytes_of(value, size < sizeof value ? size : sizeof value), expected);
}

void settings_are_kept_and_removed(struct contract *c)
{
    struct kw_store_setting first[] = {{KW_BYTES("pepper"), KW_BYTES("abc")}, {KW_BYTES("site"), KW_BYTES("x")}};
    struct kw_store_setting second[] = {{KW_BYTES("pepper"), KW_BYTES("one")}, {KW_BYTES("pepper"), KW_BYTES("two")}};
    struct kw_store_setting none[] = {{KW_BYTES("site"), {NULL, 0}}, {KW_BYTES("never"), {NULL, 0}}};
    struct kw_store_batch batch = {.settings = first, .setting_count = 2};
    size_t size = 0;
    CHECK_STATUS(c->t, c->store->ops->setting(c->store, KW_BYTES("pepper"), NULL, 0, &size), KW_E_NOT_FOUND);
    CHECK_STATUS(c->t, c->store->ops->setting(c->store, (struct kw_bytes){NULL, 0}, NULL, 0, &size), KW_E_LIMIT);
    REQUIRE_OK(c->t, contract_commit(c, &batch));
    check_setting(c, KW_BYTES("pepper"), KW_BYTES("abc"));
    batch.settings = second;
    REQUIRE_OK(c->t, contract_commit(c, &batch));
    batch.settings = none;
    REQUIRE_OK(c->t, contract_commit(c, &batch));
    REQUIRE(c->t, contract_reopen(c));
    check_setting(c, KW_BYTES("pepper"), KW_BYTES("two"));
    CHECK_STATUS(c->t, c->store->ops->setting(c->store, KW_BYTES("site"), NULL, 0, &size), KW_E_NOT_FOUND);

    uint8_t part[2] = {0};
    REQUIRE_OK(c->t, c->store->ops->setting(c->store, KW_BYTES("pepper"), part, sizeof part, &size));
    CHECK_I64(c->t, size, 3);
    CHECK_BYTES(c->t, kw_bytes_of(part, sizeof part), KW_BYTES("tw"));
}

static void check_listed(struct contract *c, const char *prefix, const char *expected)
{
    struct contract_settings found = contract_settings(c);
    struct kw_bytes names = {NULL, 0};
    CHECK_STATUS(c->t, c->store->ops->settings_list(c->store, kw_bytes_of_text(prefix), contract_keep_setting, &found),
                 KW_OK);
    for (size_t i = 0; i < found.count; i++) {
        names = contract_format(c, "%.*s%.*s=%.*s ", (int)names.size, (const char *)names.data,
                                (int)found.items[i].name.size, (const char *)found.items[i].name.data,
                                (int)found.items[i].value.size, (const char *)found.items[i].value.data);
    }
    CHECK_BYTES(c->t, names, kw_bytes_of_text(expected));
}

void settings_are_listed_by_what_they_begin_with(struct contract *c)
{
    struct kw_store_setting settings[] = {
        {KW_BYTES("policy/a/two"), KW_BYTES("2")},    {KW_BYTES("policy/a/one"), KW_BYTES("1")},
        {KW_BYTES("policy/ab/one"), KW_BYTES("3")},   {KW_BYTES("policy/"), KW_BYTES("0")},
        {KW_BYTES("policy0"), KW_BYTES("4")},         {KW_BYTES("polic"), KW_BYTES("5")},
        {KW_BYTES("policy/\xc3\xa9"), KW_BYTES("6")},
    };
    struct kw_store_setting removed = {KW_BYTES("policy/a/two"), {NULL, 0}};
    struct kw_store_batch batch = {.settings = settings, .setting_count = KW_COUNT_OF(settings)};
    check_listed(c, "policy/", "");
    REQUIRE_OK(c->t, contract_commit(c, &batch));
    check_listed(c, "policy/a/", "policy/a/one=1 policy/a/two=2 ");
    batch = (struct kw_store_batch){.settings = &removed, .setting_count = 1};
    REQUIRE_OK(c->t, contract_commit(c, &batch));
    REQUIRE(c->t, contract_reopen(c));
    check_listed(c, "policy/", "policy/=0 policy/a/one=1 policy/ab/one=3 policy/\xc3\xa9=6 ");
    check_listed(c, "policy/b", "");
    check_listed(c, "q", "");

    struct contract_settings stopped = contract_settings(c);
    stopped.stop_after = 2;
    stopped.answer = KW_E_LIMIT;
    CHECK_STATUS(c->t,
                 c->store->ops->settings_list(c->store, (struct kw_bytes){NULL, 0}, contract_keep_setting, &stopped),
                 KW_E_LIMIT);
    CHECK_I64(c->t, stopped.count, 2);
    static const uint8_t long_name[KW_STORE_SETTING_NAME_MAX + 1] = {'x'};
    struct kw_bytes too_long = kw_bytes_of(long_name, sizeof long_name);
    CHECK_STATUS(c->t, c->store->ops->settings_list(c->store, too_long, contract_keep_setting, &stopped), KW_E_LIMIT);
}
