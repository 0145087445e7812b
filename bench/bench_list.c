/*
 * Listing a million keys in SQLite: page 1 against page 10,000, by each filter that the store keeps an index for, and
 * in each order. Every filter finds more than half of the keys, scattered among the others.
 */
#include "base/bytes.h"
#include "core/id.h"
#include "measure.h"
#include "rows.h"
#include <keyward/keyward.h>

#include <stdlib.h>
#include <unistd.h>

#define KEYS 1000000
#define TOGETHER 1000
#define PAGE 50
#define LATE_PAGE 10000
#define ROUNDS 201

static void fail(const char *what, enum kw_status status)
{
    fprintf(stderr, "bench list: %s: %s\n", what, kw_status_name(status));
    exit(2);
}

/* One in four keys is of somebody else, of another one for each field. */
static bool is_ours(uint64_t *state)
{
    return (bench_random(state) & 3) != 0;
}

static struct kw_id id_at(uint64_t number)
{
    uint8_t random[KW_ID_RANDOM_SIZE] = {0};
    return kw_id_make(BENCH_NOW_MS + (int64_t)number, random);
}

static void make_row(const struct kw_digester *digester, uint64_t number, uint64_t *state, struct bench_row *made)
{
    static const uint8_t last_four[] = {'a', 'b', 'c', 'd'};
    bench_row_make(digester, number, BENCH_PLAIN, made);
    struct kw_store_row *row = &made->row;
    row->id = id_at(number + 1);
    row->owner = is_ours(state) ? KW_BYTES("user:42") : row->owner;
    row->org_id = is_ours(state) ? KW_BYTES("acme") : KW_BYTES("globex");
    row->env = is_ours(state) ? KW_BYTES("live") : KW_BYTES("test");
    row->policy = is_ours(state) ? KW_BYTES("internal") : (struct kw_bytes){NULL, 0};
    row->parent_id = is_ours(state) ? id_at(1) : (struct kw_id){0};
    row->tags = is_ours(state) ? row->tags : (struct kw_list){{NULL, 0}, 0};
    memcpy(row->last_four, is_ours(state) ? last_four : row->digest.data, sizeof row->last_four);
    /* A month to come, by the second, in no order of the ids. */
    row->expires_at_ms = is_ours(state) ? BENCH_NOW_MS + (int64_t)(bench_random(state) % (30 * 86400)) * 1000 : 0;
}

/* The first quarter of the keys was given up before anybody counted; of the others most are in use. */
static void note_uses(struct kw_store *store, uint64_t first, uint64_t *state)
{
    static struct kw_store_use uses[TOGETHER];
    size_t count = 0;
    for (uint64_t number = first; number < first + TOGETHER; number++) {
        if (number >= KEYS / 4 && bench_random(state) % 8 != 0) {
            int64_t ago_ms = (int64_t)(bench_random(state) % (30 * 86400)) * 1000;
            uses[count++] = (struct kw_store_use){.key_id = id_at(number + 1), .at_ms = BENCH_NOW_MS - ago_ms};
        }
    }
    enum kw_status status = count == 0 ? KW_OK : store->ops->usage_add(store, NULL, 0, uses, count);
    if (status != KW_OK) {
        fail("noting uses", status);
    }
}

static void load(struct kw_store *store)
{
    static struct bench_row rows[TOGETHER];
    static struct kw_store_put puts[TOGETHER];
    struct kw_digester *digester;
    uint64_t state = 1;
    enum kw_status status = kw_digester_new(KW_DIGEST_SHA256, NULL, (struct kw_bytes){NULL, 0}, &digester);
    if (status != KW_OK) {
        fail("digests", status);
    }
    for (uint64_t first = 0; first < KEYS; first += TOGETHER) {
        for (size_t i = 0; i < TOGETHER; i++) {
            make_row(digester, first + i, &state, &rows[i]);
            puts[i] = (struct kw_store_put){.row = rows[i].row};
        }
        struct kw_store_batch batch = {.puts = puts, .put_count = TOGETHER};
        status = store->ops->commit(store, &batch, 1);
        if (status != KW_OK || batch.outcome != KW_OK) {
            fail("loading", batch.outcome);
        }
        note_uses(store, first, &state);
        if ((first + TOGETHER) % (KEYS / 10) == 0) {
            bench_progress("%llu keys written", (unsigned long long)(first + TOGETHER));
        }
    }
    kw_digester_free(digester);
}

struct page {
    struct kw_position last;
    size_t count;
};

static enum kw_status take(void *context, const struct kw_store_row *row)
{
    struct page *page = context;
    page->last = (struct kw_position){row->id, row->expires_at_ms, row->used_at_ms};
    page->count++;
    return KW_OK;
}

static struct page list(struct kw_store *store, const struct kw_store_filter *filter)
{
    struct page page = {.count = 0};
    enum kw_status status = store->ops->list(store, filter, take, &page);
    if (status != KW_OK || page.count != filter->limit) {
        fail("a page that is not full", status);
    }
    return page;
}

static double time_page(struct kw_store *store, const struct kw_store_filter *filter)
{
    double began = bench_thread_ns();
    (void)list(store, filter);
    return (bench_thread_ns() - began) / 1e3;
}

/* Where page 10,000 begins, as whoever turns all pages before it comes to know it. */
static struct kw_position find_late_page(struct kw_store *store, struct kw_store_filter filter)
{
    filter.limit = TOGETHER - TOGETHER % PAGE;
    for (size_t left = (size_t)(LATE_PAGE - 1) * PAGE; left > 0;) {
        filter.limit = left < filter.limit ? left : filter.limit;
        filter.after = list(store, &filter).last;
        left -= filter.limit;
    }
    return filter.after;
}

static void measure(struct bench *bench, struct kw_store *store, const char *name, const struct kw_store_filter *filter)
{
    struct kw_store_filter first = *filter;
    first.limit = PAGE;
    struct kw_store_filter late = first;
    late.after = find_late_page(store, first);
    double first_us[ROUNDS];
    double late_us[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        first_us[i] = time_page(store, &first);
        late_us[i] = time_page(store, &late);
    }
    char label[96];
    double first_median = bench_median(first_us, ROUNDS);
    double late_median = bench_median(late_us, ROUNDS);
    snprintf(label, sizeof label, "page 1 by %s", name);
    bench_figure(bench, label, first_median, "us");
    snprintf(label, sizeof label, "page 10,000 against it");
    bench_budget(bench, label, late_median / first_median, "times", BENCH_AT_MOST, 2);
}

static void measure_all(struct bench *bench, struct kw_store *store)
{
    static const struct kw_bytes tags[] = {{(const uint8_t *)"production", 10}, {(const uint8_t *)"none", 4}};
    const struct kw_bytes project = KW_BYTES("default");
    const struct {
        const char *name;
        struct kw_store_filter filter;
    } cases[] = {
        {"project", {.project = project}},
        {"project, the latest first", {.project = project, .order = KW_ORDER_CREATED_BACK}},
        {"project, in the order of expiry", {.project = project, .order = KW_ORDER_EXPIRES}},
        {"time of creation", {.project = project, .created_from_ms = BENCH_NOW_MS + KEYS / 4}},
        {"owner", {.project = project, .owner = KW_BYTES("user:42")}},
        {"owner, the latest first", {.project = project, .owner = KW_BYTES("user:42"), .order = KW_ORDER_CREATED_BACK}},
        {"organisation", {.project = project, .org_id = KW_BYTES("acme")}},
        {"owner within an organisation",
         {.project = project, .org_id = KW_BYTES("acme"), .owner = KW_BYTES("user:42")}},
        {"environment", {.project = project, .env = KW_BYTES("live")}},
        {"tag", {.project = project, .tags = tags, .tag_count = 1}},
        {"any of two tags", {.project = project, .tags = tags, .tag_count = 2}},
        {"last four", {.project = project, .last_four = KW_BYTES("abcd")}},
        {"parent", {.project = project, .parent_id = id_at(1)}},
        {"policy", {.project = project, .policy = KW_BYTES("internal")}},
        {"expiry",
         {.project = project, .expires_before_ms = BENCH_NOW_MS + INT64_C(28) * 86400000, .order = KW_ORDER_EXPIRES}},
        {"latest use",
         {.project = project, .used_from_ms = BENCH_NOW_MS - INT64_C(28) * 86400000, .order = KW_ORDER_USED}},
        {"no use since",
         {.project = project, .used_before_ms = BENCH_NOW_MS - INT64_C(7) * 86400000, .order = KW_ORDER_USED}},
        {"owner and environment", {.project = project, .owner = KW_BYTES("user:42"), .env = KW_BYTES("live")}},
    };
    for (size_t i = 0; i < KW_COUNT_OF(cases); i++) {
        measure(bench, store, cases[i].name, &cases[i].filter);
    }
}

static void measure_counts(struct bench *bench, struct kw_store *store)
{
    const struct kw_store_filter filters[] = {
        {.project = KW_BYTES("default"), .owner = KW_BYTES("user:42")},
        {.project = KW_BYTES("default"), .owner = KW_BYTES("user:42"), .env = KW_BYTES("live")},
    };
    static const char *const names[] = {"counting 100,000 keys by owner", "by owner and environment"};
    for (size_t i = 0; i < KW_COUNT_OF(filters); i++) {
        uint64_t count = 0;
        bool is_exact = true;
        double began = bench_now_ns();
        enum kw_status status = store->ops->count_found(store, &filters[i], &count, &is_exact);
        if (status != KW_OK || count != KW_STORE_COUNT_MAX || is_exact) {
            fail("counting", status);
        }
        bench_figure(bench, names[i], (bench_now_ns() - began) / 1e6, "ms");
    }
}

int main(void)
{
    struct bench bench;
    struct kw_store *store;
    struct kw_error error;
    char folder[BENCH_FOLDER_SIZE];
    char path[4200];
    bench_init(&bench, "list");
    bench_folder_make(&bench, folder);
    snprintf(path, sizeof path, "%s/keyward.db", folder);
    enum kw_status status = kw_store_sqlite_open(path, &store, &error);
    if (status != KW_OK) {
        fail(error.message, status);
    }
    load(store);
    measure_all(&bench, store);
    measure_counts(&bench, store);
    store->ops->close(store);
    bench_folder_remove(folder);
    return bench_end(&bench);
}
