/* Lists and audit queries by every filter, against a search through an array that cannot be wrong. */
#include "contract/behaviours.h"

#include "base/bytes.h"
#include "core/record.h"

#define ROW_COUNT 120
#define CHANGE_COUNT 60
#define LINE_COUNT 120
#define QUERY_COUNT 150
#define TAGS_AT_MOST 3
#define PARENT_COUNT 4
#define TIME_COUNT 9 /* of expiry and of use; the first is none */
#define FIRST_MS INT64_C(1700000000000)
#define STEP_MS 1000
#define MOMENT_COUNT 50
#define MOMENT_MS 700 /* lines come in disorder by much more than two moments */

static const char *const projects[] = {"", "default", "shop", "shop2"};
static const char *const envs[] = {"", "live", "test"};
static const char *const owners[] = {"", "user:1", "user:2", "team:1", "service:ci"};
static const char *const orgs[] = {"", "acme", "globex"};
static const char *const tags[] = {"", "a", "ab", "b", "billing", "c"};
static const char *const tag_sets[] = {"", "a", "ab", "a,ab", "b,billing", "a,b,c", "a,ab,b,billing,c"};
static const char *const policies[] = {"", "internal", "partner"};
static const char *const last_fours[] = {"", "Zz09", "zZ09", "0000"};
static const char *const actors[] = {"", "root", "key_1", "system"};
static const char *const actions[] = {"", "key.created", "key.revoked"};

#define DRAW(c, texts, first) draw((c), (texts), (first), KW_COUNT_OF(texts))

/* One of the texts from index `first` on. */
static struct kw_bytes draw(struct contract *c, const char *const *texts, size_t first, size_t count)
{
    return kw_bytes_of_text(texts[first + test_random_below(c->t, count - first)]);
}

/* Several rows are made in one millisecond, so that a range of times may part neighbours, and may not. */
static struct kw_id id_of(uint64_t number)
{
    struct kw_id id = contract_id(number);
    int64_t time_ms = FIRST_MS + (int64_t)(number / 3) * STEP_MS;
    for (size_t i = 6; i-- > 0; time_ms >>= 8) {
        id.bytes[i] = (uint8_t)time_ms;
    }
    return id;
}

static int64_t draw_created(struct contract *c)
{
    return test_random_below(c->t, 2) == 0
               ? 0
               : FIRST_MS - STEP_MS + (int64_t)test_random_below(c->t, ROW_COUNT / 3 * STEP_MS + 3 * STEP_MS);
}

static struct kw_store_put random_put(struct contract *c, uint64_t number, uint64_t replaces)
{
    struct kw_store_put put = contract_put(c, number, replaces);
    uint64_t parent = test_random_below(c->t, PARENT_COUNT + 2);
    put.row.id = id_of(number);
    put.row.project = DRAW(c, projects, 1);
    put.row.env = DRAW(c, envs, 1);
    put.row.owner = DRAW(c, owners, 1);
    put.row.org_id = DRAW(c, orgs, 0);
    put.row.tags = contract_tags(c, tag_sets[test_random_below(c->t, KW_COUNT_OF(tag_sets))]);
    put.row.policy = DRAW(c, policies, 0);
    put.row.parent_id = parent > PARENT_COUNT ? (struct kw_id){0} : id_of(parent + 1);
    const char *last_four = last_fours[1 + test_random_below(c->t, KW_COUNT_OF(last_fours) - 1)];
    memcpy(put.row.last_four, last_four, sizeof put.row.last_four);
    put.row.expires_at_ms = (int64_t)test_random_below(c->t, TIME_COUNT) * STEP_MS;
    put.row.erased = test_random_below(c->t, 8) == 0;
    return put;
}

/* Most rows that are changed were used, some of them more than once; the others never were. */
static void use(struct contract *c, struct kw_store_row *row)
{
    struct kw_store_use note = {.key_id = row->id, .at_ms = (int64_t)test_random_below(c->t, TIME_COUNT) * STEP_MS};
    if (note.at_ms > 0) {
        CHECK_STATUS(c->t, c->store->ops->usage_add(c->store, NULL, 0, &note, 1), KW_OK);
        row->used_at_ms = row->erased || note.at_ms < row->used_at_ms ? row->used_at_ms : note.at_ms;
    }
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
        int64_t used_at_ms = rows[number].used_at_ms;
        rows[number] = put.row;
        rows[number].used_at_ms = put.row.erased ? 0 : used_at_ms;
        CHECK_STATUS(c->t, contract_commit_put(c, put), KW_OK);
        use(c, &rows[number]);
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

static bool tags_match(const struct kw_store_filter *filter, const struct kw_store_row *row)
{
    bool any = false;
    bool all = true;
    for (size_t i = 0; i < filter->tag_count; i++) {
        bool has = has_tag(&row->tags, filter->tags[i]);
        any = any || has;
        all = all && has;
    }
    return filter->tag_count == 0 || (filter->all_tags ? all : any);
}

/* The row's number gives the time it was made, whatever its id says. */
static bool row_matches(const struct kw_store_filter *filter, const struct kw_store_row *rows, size_t number)
{
    const struct kw_store_row *row = &rows[number];
    int64_t created_ms = FIRST_MS + (int64_t)(number / 3) * STEP_MS;
    bool any_parent = contract_id_equal(filter->parent_id, (struct kw_id){0});
    if (filter->created_from_ms != 0 && created_ms < filter->created_from_ms) {
        return false;
    }
    if (filter->created_until_ms != 0 && created_ms >= filter->created_until_ms) {
        return false;
    }
    if (filter->expires_before_ms != 0 &&
        (row->expires_at_ms == 0 || row->expires_at_ms >= filter->expires_before_ms)) {
        return false;
    }
    if (filter->used_before_ms != 0 && row->used_at_ms >= filter->used_before_ms) {
        return false;
    }
    return row->used_at_ms >= filter->used_from_ms && !row->erased && is_wanted(filter->project, row->project) &&
           is_wanted(filter->owner, row->owner) && is_wanted(filter->org_id, row->org_id) &&
           is_wanted(filter->env, row->env) && is_wanted(filter->policy, row->policy) &&
           is_wanted(filter->last_four, kw_bytes_of(row->last_four, sizeof row->last_four)) &&
           (any_parent || contract_id_equal(filter->parent_id, row->parent_id)) && tags_match(filter, row);
}

/* The numbers of what must come, in order: sorted by the dullest of methods. */
static size_t search_plainly(const struct kw_store_filter *filter, const struct kw_store_row *rows,
                             size_t found[ROW_COUNT])
{
    size_t count = 0;
    for (size_t number = 1; number < ROW_COUNT; number++) {
        bool has_place = filter->order != KW_ORDER_EXPIRES || rows[number].expires_at_ms > 0;
        if (!has_place || !row_matches(filter, rows, number)) {
            continue;
        }
        size_t at = count++;
        for (; at > 0; at--) {
            const struct kw_store_row *other = &rows[found[at - 1]];
            bool goes_before =
                filter->order == KW_ORDER_CREATED_BACK ||
                (filter->order == KW_ORDER_EXPIRES && rows[number].expires_at_ms < other->expires_at_ms) ||
                (filter->order == KW_ORDER_USED && rows[number].used_at_ms < other->used_at_ms);
            if (!goes_before) {
                break;
            }
            found[at] = found[at - 1];
        }
        found[at] = number;
    }
    return count;
}

/* Pages through the filter to its end, with and without saying how far it came, and counts. */
static void check_filter(struct contract *c, struct kw_store_filter filter, const struct kw_store_row *rows)
{
    size_t expected[ROW_COUNT];
    size_t expected_count = search_plainly(&filter, rows, expected);
    size_t at = 0;
    struct kw_store_reached reached = {.ended = false};
    filter.reached = test_random_below(c->t, 2) == 0 ? &reached : NULL;
    for (bool has_more = true; has_more;) {
        struct contract_rows page = contract_rows(c);
        REQUIRE_OK(c->t, c->store->ops->list(c->store, &filter, contract_keep_row, &page));
        REQUIRE(c->t, page.count <= filter.limit && page.count <= expected_count - at);
        for (size_t i = 0; i < page.count; i++, at++) {
            contract_check_row(c, &page.items[i], &rows[expected[at]]);
        }
        has_more = page.count == filter.limit;
        if (filter.reached != NULL) {
            CHECK(c->t, page.count == filter.limit || reached.ended);
            has_more = !reached.ended;
            filter.after = reached.position;
        } else if (page.count > 0) {
            const struct kw_store_row *last = &page.items[page.count - 1];
            filter.after = (struct kw_position){last->id, last->expires_at_ms, last->used_at_ms};
        }
    }
    CHECK_I64(c->t, at, expected_count);
    uint64_t count = ROW_COUNT + 1;
    bool is_exact = false;
    filter.order = KW_ORDER_CREATED;
    REQUIRE_OK(c->t, c->store->ops->count_found(c->store, &filter, &count, &is_exact));
    CHECK_I64(c->t, count, search_plainly(&filter, rows, expected));
    CHECK(c->t, is_exact);
}

/* Each member is left out half of the time, so that all combinations come about. */
static struct kw_store_filter random_filter(struct contract *c, struct kw_bytes wanted_tags[TAGS_AT_MOST])
{
    enum kw_order order = (enum kw_order)test_random_below(c->t, KW_ORDER_USED + 1);
    struct kw_store_filter filter = {.project = DRAW(c, projects, order >= KW_ORDER_EXPIRES),
                                     .tags = wanted_tags,
                                     .all_tags = test_random_below(c->t, 2) == 0,
                                     .created_from_ms = draw_created(c),
                                     .created_until_ms = draw_created(c),
                                     .order = order,
                                     .limit = 1 + test_random_below(c->t, 40)};
    const struct {
        struct kw_bytes *member;
        const char *const *texts;
        size_t count;
    } texts[] = {{&filter.owner, owners, KW_COUNT_OF(owners)},
                 {&filter.org_id, orgs, KW_COUNT_OF(orgs)},
                 {&filter.env, envs, KW_COUNT_OF(envs)},
                 {&filter.policy, policies, KW_COUNT_OF(policies)},
                 {&filter.last_four, last_fours, KW_COUNT_OF(last_fours)}};
    for (size_t i = 0; i < KW_COUNT_OF(texts); i++) {
        *texts[i].member =
            test_random_below(c->t, 4) > 0 ? (struct kw_bytes){NULL, 0} : draw(c, texts[i].texts, 1, texts[i].count);
    }
    filter.tag_count = test_random_below(c->t, 2) == 0 ? 0 : test_random_below(c->t, TAGS_AT_MOST + 1);
    for (size_t i = 0; i < filter.tag_count; i++) {
        wanted_tags[i] = DRAW(c, tags, 1);
    }
    if (test_random_below(c->t, 4) == 0) {
        filter.parent_id = id_of(1 + test_random_below(c->t, PARENT_COUNT + 1));
    }
    if (test_random_below(c->t, 3) == 0) {
        filter.expires_before_ms = (int64_t)test_random_below(c->t, TIME_COUNT + 1) * STEP_MS + 1;
    }
    if (test_random_below(c->t, 3) == 0) {
        filter.used_from_ms = (int64_t)test_random_below(c->t, TIME_COUNT + 1) * STEP_MS;
        filter.used_before_ms = (int64_t)test_random_below(c->t, TIME_COUNT + 1) * STEP_MS;
    }
    return filter;
}

void every_filter_agrees_with_a_plain_search(struct contract *c)
{
    struct kw_store_row *rows = kw_arena_take_array(&c->arena, ROW_COUNT, sizeof *rows);
    REQUIRE(c->t, rows != NULL && fill(c, rows));
    for (size_t i = 0; i < QUERY_COUNT; i++) {
        struct kw_bytes wanted_tags[TAGS_AT_MOST];
        check_filter(c, random_filter(c, wanted_tags), rows);
    }
    /* Each filter by itself, in every order. */
    const struct kw_bytes two[] = {KW_BYTES("ab"), KW_BYTES("billing")};
    const struct kw_bytes shop = KW_BYTES("shop");
    const struct kw_store_filter single[] = {
        {.project = shop},
        {.project = shop, .env = KW_BYTES("test")},
        {.project = shop, .owner = KW_BYTES("team:1")},
        {.project = shop, .org_id = KW_BYTES("globex")},
        {.project = shop, .org_id = KW_BYTES("globex"), .owner = KW_BYTES("user:2")},
        {.project = shop, .tags = two, .tag_count = 1},
        {.project = shop, .tags = two, .tag_count = 2},
        {.project = shop, .tags = two, .tag_count = 2, .all_tags = true},
        {.project = shop, .policy = KW_BYTES("internal")},
        {.project = shop, .last_four = KW_BYTES("Zz09")},
        {.project = shop, .parent_id = id_of(1)},
        {.project = shop, .created_from_ms = FIRST_MS + 10 * STEP_MS},
        {.project = shop, .created_until_ms = FIRST_MS + 10 * STEP_MS},
        {.project = shop, .created_until_ms = INT64_MAX},
        {.project = shop, .created_from_ms = INT64_MAX},
        {.project = shop, .expires_before_ms = 3 * STEP_MS},
        {.project = shop, .expires_before_ms = INT64_MAX},
        {.project = shop, .used_from_ms = 2 * STEP_MS},
        {.project = shop, .used_before_ms = 6 * STEP_MS},
        {.project = shop, .used_from_ms = STEP_MS, .used_before_ms = INT64_MAX},
        {.project = {NULL, 0}},
        {.owner = KW_BYTES("user:2")},
        {.org_id = KW_BYTES("acme")},
        {.tags = two, .tag_count = 1},
        {.env = KW_BYTES("live")},
    };
    for (size_t i = 0; i < KW_COUNT_OF(single); i++) {
        for (int order = KW_ORDER_CREATED; order <= KW_ORDER_USED; order++) {
            struct kw_store_filter filter = single[i];
            filter.order = (enum kw_order)order;
            filter.limit = 7;
            if (filter.project.size > 0 || order < KW_ORDER_EXPIRES) {
                check_filter(c, filter, rows);
            }
        }
    }
}

void a_filter_that_cannot_be_is_refused(struct contract *c)
{
    struct kw_bytes many[KW_TAG_COUNT_MAX + 1];
    for (size_t i = 0; i < KW_COUNT_OF(many); i++) {
        many[i] = contract_format(c, "tag%u", (unsigned)i);
    }
    const struct {
        struct kw_store_filter filter;
        enum kw_status expected;
        bool may_count;
    } cases[] = {
        {{.last_four = KW_BYTES("abc"), .limit = 1}, KW_E_INVALID, false},
        {{.last_four = KW_BYTES("abcde"), .limit = 1}, KW_E_INVALID, false},
        {{.tags = many, .tag_count = KW_COUNT_OF(many), .limit = 1}, KW_E_LIMIT, false},
        {{.tags = many, .tag_count = KW_TAG_COUNT_MAX, .limit = 1}, KW_OK, true},
        {{.order = KW_ORDER_EXPIRES, .limit = 1}, KW_E_INVALID, true},
        {{.order = KW_ORDER_USED, .limit = 1}, KW_E_INVALID, true},
        {{.limit = 0}, KW_E_LIMIT, true},
        {{.limit = KW_STORE_LIST_MAX + 1}, KW_E_LIMIT, true},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        struct contract_rows rows = contract_rows(c);
        uint64_t count = 0;
        bool is_exact = false;
        const struct kw_store_ops *ops = c->store->ops;
        CHECK_STATUS(c->t, ops->list(c->store, &cases[i].filter, contract_keep_row, &rows), cases[i].expected);
        CHECK_STATUS(c->t, ops->count_found(c->store, &cases[i].filter, &count, &is_exact),
                     cases[i].may_count ? KW_OK : cases[i].expected);
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
    CHECK_BYTES(c->t, actual->context, expected->context);
    CHECK_BYTES(c->t, actual->body, expected->body);
}

static void check_audit_filter(struct contract *c, struct kw_store_audit_filter filter,
                               const struct kw_store_audit *lines)
{
    size_t at = 0; /* lines that were passed, from the end where the list goes back */
    size_t page_count = 0;
#define LINE(i) (&lines[filter.is_back ? LINE_COUNT - 1 - (i) : (i)])
    do {
        struct contract_audits page = contract_audits(c);
        CHECK_STATUS(c->t, c->store->ops->audit_query(c->store, &filter, contract_keep_audit, &page), KW_OK);
        for (size_t i = 0; i < page.count; i++, at++) {
            while (at < LINE_COUNT && !line_matches(&filter, LINE(at))) {
                at++;
            }
            REQUIRE(c->t, at < LINE_COUNT);
            check_line(c, &page.items[i], LINE(at));
            CHECK(c->t, filter.is_back ? filter.after == 0 || page.items[i].sequence < filter.after
                                       : page.items[i].sequence > filter.after);
            filter.after = page.items[i].sequence;
        }
        page_count = page.count;
    } while (page_count == filter.limit);
    for (; at < LINE_COUNT; at++) {
        CHECK(c->t, !line_matches(&filter, LINE(at)));
    }
#undef LINE
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
    struct kw_bytes project = lines[0].project;
    struct contract_audits before = contract_audits(c);
    struct kw_store_audit_filter everything = {.limit = KW_STORE_LIST_MAX};
    REQUIRE_OK(c->t, c->store->ops->audit_query(c->store, &everything, contract_keep_audit, &before));
    REQUIRE(c->t, before.count == LINE_COUNT);
    for (size_t until = 0; until < LINE_COUNT; until += 37) {
        uint64_t removed = 1;
        while (removed > 0) {
            REQUIRE_OK(c->t, c->store->ops->audit_prune(c->store, project, before.items[until].sequence, 7, &removed));
            REQUIRE(c->t, removed <= 7);
        }
        /* What is left is all of the others, and all that came later. */
        struct contract_audits left = contract_audits(c);
        REQUIRE_OK(c->t, c->store->ops->audit_query(c->store, &everything, contract_keep_audit, &left));
        size_t at = 0;
        for (size_t i = 0; i < LINE_COUNT; i++) {
            if (i > until || !kw_bytes_equal(lines[i].project, project)) {
                CHECK(c->t, at < left.count && left.items[at].sequence == before.items[i].sequence);
                at++;
            }
        }
        CHECK_I64(c->t, left.count, at);
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
        filter.is_back = i % 2 == 1;
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
