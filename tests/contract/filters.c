/* Lists and audit queries by every filter, against a search through an array that cannot be wrong. */
#include "contract/behaviours.h"

#include "core/record.h"

#define ROW_COUNT 120
#define CHANGE_COUNT 60
#define LINE_COUNT 120
#define QUERY_COUNT 60
#define MOMENT_COUNT 50
#define MOMENT_MS 700 /* lines come in disorder by much more than two moments */

static const char *const projects[] = {"", "default", "shop", "shop2"};
static const char *const envs[] = {"", "live", "test"};
static const char *const owners[] = {"", "user:1", "user:2", "team:1", "service:ci"};
static const char *const orgs[] = {"", "acme", "globex"};
static const char *const tags[] = {"", "a", "ab", "b", "billing", "c"};
static const char *const tag_sets[] = {"", "a", "ab", "a,ab", "b,billing", "a,b,c", "a,ab,b,billing,c"};
static const char *const actors[] = {"", "root", "key_1", "system"};
static const char *const actions[] = {"", "key.created", "key.revoked"};

#define DRAW(c, texts, first) draw((c), (texts), (first), KW_COUNT_OF(texts))

/* One of the texts from index `first` on. */
static struct kw_bytes draw(struct contract *c, const char *const *texts, size_t first, size_t count)
{
    return kw_bytes_of_text(texts[first + test_random_below(c->t, count - first)]);
}

static struct kw_store_put random_put(struct contract *c, uint64_t number, uint64_t replaces)
{
    struct kw_store_put put = contract_put(c, number, replaces);
    put.row.project = DRAW(c, projects, 1);
    put.row.env = DRAW(c, envs, 1);
    put.row.owner = DRAW(c, owners, 1);
    put.row.org_id = DRAW(c, orgs, 0);
    put.row.tags = contract_tags(c, tag_sets[test_random_below(c->t, KW_COUNT_OF(tag_sets))]);
    put.row.erased = test_random_below(c->t, 8) == 0;
    return put;
}

/* `rows` is indexed by number, which is the order of ids; number 0 is not used. */
static bool fill(struct contract *c, struct kw_store_row *rows)
{
    struct kw_store_put puts[ROW_COUNT];
    size_t count = 0;
    for (uint64_t number = ROW_COUNT - 1; number > 0; number--) {
        puts[count] = random_put(c, number, 0);
        rows[number] = puts[count++].row;
    }
    if (!test_check_status(c->t, __FILE__, __LINE__, "filling", contract_commit_puts(c, puts, count), KW_OK)) {
        return false;
    }
    for (size_t i = 0; i < CHANGE_COUNT; i++) {
        uint64_t number = 1 + test_random_below(c->t, ROW_COUNT - 1);
        if (rows[number].erased) {
            continue;
        }
        struct kw_store_put put = random_put(c, number, rows[number].version);
        rows[number] = put.row;
        CHECK_STATUS(c->t, contract_commit_put(c, put), KW_OK);
    }
    return true;
}

static bool has_tag(const struct kw_list *list, struct kw_bytes wanted)
{
    struct kw_bytes rest = list->packed;
    struct kw_bytes tag;
    while (kw_list_next(&rest, &tag)) {
        if (kw_bytes_equal(tag, wanted)) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(struct kw_bytes wanted, struct kw_bytes text)
{
    return wanted.size == 0 || kw_bytes_equal(wanted, text);
}

static bool row_matches(const struct kw_store_filter *filter, const struct kw_store_row *row)
{
    return !row->erased && is_wanted(filter->project, row->project) && is_wanted(filter->owner, row->owner) &&
           is_wanted(filter->org_id, row->org_id) && is_wanted(filter->env, row->env) &&
           (filter->tag.size == 0 || has_tag(&row->tags, filter->tag));
}

/* Pages through the filter to its end, and finds in `rows` what must come, in order. */
static void check_filter(struct contract *c, struct kw_store_filter filter, const struct kw_store_row *rows)
{
    size_t at = 1;
    size_t page_count = 0;
    do {
        struct contract_rows page = contract_rows(c);
        CHECK_STATUS(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &page), KW_OK);
        CHECK(c->t, page.count <= filter.limit);
        for (size_t i = 0; i < page.count; i++, at++) {
            while (at < ROW_COUNT && !row_matches(&filter, &rows[at])) {
                at++;
            }
            REQUIRE(c->t, at < ROW_COUNT);
            contract_check_row(c, &page.items[i], &rows[at]);
        }
        page_count = page.count;
        filter.after = page.count > 0 ? page.items[page.count - 1].id : filter.after;
    } while (page_count == filter.limit);
    for (; at < ROW_COUNT; at++) {
        CHECK(c->t, !row_matches(&filter, &rows[at]));
    }
}

void every_filter_agrees_with_a_plain_search(struct contract *c)
{
    struct kw_store_row *rows = kw_arena_take_array(&c->arena, ROW_COUNT, sizeof *rows);
    REQUIRE(c->t, rows != NULL && fill(c, rows));
    for (size_t i = 0; i < QUERY_COUNT; i++) {
        struct kw_store_filter filter = {.project = DRAW(c, projects, 0),
                                         .owner = DRAW(c, owners, 0),
                                         .org_id = DRAW(c, orgs, 0),
                                         .tag = DRAW(c, tags, 0),
                                         .env = DRAW(c, envs, 0),
                                         .limit = 1 + test_random_below(c->t, 40)};
        check_filter(c, filter, rows);
    }
    /* Each filter by itself. */
    const struct kw_store_filter single[] = {
        {.limit = 7},
        {.project = KW_BYTES("shop"), .limit = 7},
        {.project = KW_BYTES("shop"), .env = KW_BYTES("test"), .limit = 7},
        {.project = KW_BYTES("shop"), .owner = KW_BYTES("team:1"), .limit = 7},
        {.project = KW_BYTES("shop"), .org_id = KW_BYTES("globex"), .limit = 7},
        {.project = KW_BYTES("shop"), .tag = KW_BYTES("ab"), .limit = 7},
        {.owner = KW_BYTES("user:2"), .limit = 7},
        {.org_id = KW_BYTES("acme"), .limit = 7},
        {.tag = KW_BYTES("c"), .limit = 7},
        {.env = KW_BYTES("live"), .limit = 7},
    };
    for (size_t i = 0; i < KW_COUNT_OF(single); i++) {
        check_filter(c, single[i], rows);
    }
}

static struct kw_store_audit random_line(struct contract *c, uint64_t number)
{
    struct kw_store_audit line = contract_audit(c, number, MOMENT_MS * (int64_t)test_random_below(c->t, MOMENT_COUNT));
    uint64_t key = test_random_below(c->t, 6);
    line.project = DRAW(c, projects, 1);
    line.owner = DRAW(c, owners, 0);
    line.actor = DRAW(c, actors, 1);
    line.action = DRAW(c, actions, 1);
    line.key_id = key == 0 ? (struct kw_id){0} : contract_id(key);
    return line;
}

static bool line_matches(const struct kw_store_audit_filter *filter, const struct kw_store_audit *line)
{
    bool any_key = contract_id_equal(filter->key_id, (struct kw_id){0});
    return is_wanted(filter->project, line->project) && is_wanted(filter->owner, line->owner) &&
           is_wanted(filter->actor, line->actor) && is_wanted(filter->action, line->action) &&
           (any_key || contract_id_equal(filter->key_id, line->key_id)) && line->at_ms >= filter->from_ms &&
           (filter->until_ms == 0 || line->at_ms < filter->until_ms);
}

static void check_line(struct contract *c, const struct kw_store_audit *actual, const struct kw_store_audit *expected)
{
    CHECK_I64(c->t, actual->at_ms, expected->at_ms);
    CHECK_BYTES(c->t, actual->project, expected->project);
    CHECK(c->t, contract_id_equal(actual->key_id, expected->key_id));
    CHECK_BYTES(c->t, actual->owner, expected->owner);
    CHECK_BYTES(c->t, actual->actor, expected->actor);
    CHECK_BYTES(c->t, actual->action, expected->action);
    CHECK_BYTES(c->t, actual->body, expected->body);
}

static void check_audit_filter(struct contract *c, struct kw_store_audit_filter filter,
                               const struct kw_store_audit *lines)
{
    size_t at = 0;
    size_t page_count = 0;
    do {
        struct contract_audits page = contract_audits(c);
        CHECK_STATUS(c->t, c->store->ops->audit_query(c->store, &filter, contract_keep_audit, &page), KW_OK);
        for (size_t i = 0; i < page.count; i++, at++) {
            while (at < LINE_COUNT && !line_matches(&filter, &lines[at])) {
                at++;
            }
            REQUIRE(c->t, at < LINE_COUNT);
            check_line(c, &page.items[i], &lines[at]);
            CHECK(c->t, page.items[i].sequence > filter.after);
            filter.after = page.items[i].sequence;
        }
        page_count = page.count;
    } while (page_count == filter.limit);
    for (; at < LINE_COUNT; at++) {
        CHECK(c->t, !line_matches(&filter, &lines[at]));
    }
}

static struct kw_store_audit *fill_log(struct contract *c)
{
    struct kw_store_audit *lines = kw_arena_take_array(&c->arena, LINE_COUNT, sizeof *lines);
    for (size_t i = 0; i < LINE_COUNT && lines != NULL; i++) {
        lines[i] = random_line(c, i);
    }
    struct kw_store_batch halves[] = {{.audits = lines, .audit_count = LINE_COUNT / 2},
                                      {.audits = lines + LINE_COUNT / 2, .audit_count = LINE_COUNT - LINE_COUNT / 2}};
    bool is_filled = lines != NULL && c->store->ops->commit(c->store, halves, KW_COUNT_OF(halves)) == KW_OK;
    return is_filled ? lines : NULL;
}

void pruning_agrees_with_a_plain_search(struct contract *c)
{
    const struct kw_store_audit *lines = fill_log(c);
    REQUIRE(c->t, lines != NULL);
    for (int64_t before_ms = 0; before_ms <= MOMENT_COUNT * MOMENT_MS; before_ms += 9 * MOMENT_MS) {
        uint64_t removed = 1;
        while (removed > 0) {
            REQUIRE_OK(c->t, c->store->ops->audit_prune(c->store, before_ms, 7, &removed));
            REQUIRE(c->t, removed <= 7);
        }
        /* What is left is what a query from that time on gives, and nothing else is there. */
        struct contract_audits left = contract_audits(c);
        struct kw_store_audit_filter everything = {.limit = KW_STORE_LIST_MAX};
        REQUIRE_OK(c->t, c->store->ops->audit_query(c->store, &everything, contract_keep_audit, &left));
        size_t expected = 0;
        for (size_t i = 0; i < LINE_COUNT; i++) {
            expected += lines[i].at_ms >= before_ms;
        }
        CHECK_I64(c->t, left.count, expected);
        check_audit_filter(c, (struct kw_store_audit_filter){.from_ms = before_ms, .limit = 9}, lines);
    }
}

void audit_filters_agree_with_a_plain_search(struct contract *c)
{
    const struct kw_store_audit *lines = fill_log(c);
    REQUIRE(c->t, lines != NULL);
    for (size_t i = 0; i < QUERY_COUNT; i++) {
        uint64_t key = test_random_below(c->t, 6);
        struct kw_store_audit_filter filter = {.project = DRAW(c, projects, 0),
                                               .key_id = contract_id(key),
                                               .owner = DRAW(c, owners, 0),
                                               .actor = DRAW(c, actors, 0),
                                               .action = DRAW(c, actions, 0),
                                               .from_ms = MOMENT_MS * (int64_t)test_random_below(c->t, 20),
                                               .until_ms = MOMENT_MS * (int64_t)test_random_below(c->t, 60),
                                               .limit = 1 + test_random_below(c->t, 20)};
        if (test_random_below(c->t, 2) == 0) {
            filter.key_id = (struct kw_id){0};
        }
        check_audit_filter(c, filter, lines);
    }
    const struct kw_store_audit_filter single[] = {
        {.limit = 9},
        {.project = KW_BYTES("shop"), .limit = 9},
        {.project = KW_BYTES("shop"), .owner = KW_BYTES("user:1"), .limit = 9},
        {.project = KW_BYTES("shop"), .actor = KW_BYTES("root"), .limit = 9},
        {.project = KW_BYTES("shop"), .action = KW_BYTES("key.revoked"), .limit = 9},
        {.key_id = contract_id(3), .limit = 9},
        {.owner = KW_BYTES("user:1"), .limit = 9},
        {.actor = KW_BYTES("system"), .limit = 9},
        {.from_ms = 25 * MOMENT_MS, .limit = 9},
        {.until_ms = 25 * MOMENT_MS, .limit = 9},
        {.until_ms = INT64_MAX, .limit = 9},
    };
    for (size_t i = 0; i < KW_COUNT_OF(single); i++) {
        check_audit_filter(c, single[i], lines);
    }
}
