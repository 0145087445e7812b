/*
 * Keys with several quotas and limits, held against an exact log of all that was let through. Quotas that block are
 * never exceeded; one that warns refuses nothing, and each of its marks is told of once a period; one that throttles
 * lets all through before it is exceeded, and from then on no more than its rate in any window. Whatever is refused had
 * to be.
 */
#include "core/amount.h"
#include "support/engine.h"

#include <stdio.h>

#define RUNS 120
#define ARRIVALS 300
#define REQUIREMENTS_MAX 4 /* of quotas, and of limits */
#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define NEVER_MS (INT64_C(1) << 50)

/* --- the model: nothing but a log --- */

struct request {
    int64_t at_ms;
    uint32_t cost;
    int64_t tokens;     /* that were reported; then it is no verification */
    unsigned throttled; /* by which quotas, a bit each */
};

struct model_quota {
    struct kw_quota_rule rule;
    char name[24];
    bool counts_tokens;
    int64_t limit; /* whole ones */
    unsigned told; /* of its marks in the period, a bit each */
    int64_t period;
};

struct model {
    struct test *t;
    struct test_engine *fixture;
    struct kw_id id;
    struct kw_secret key;
    struct model_quota quotas[REQUIREMENTS_MAX];
    size_t quota_count;
    struct kw_rate_limit limits[REQUIREMENTS_MAX];
    char limit_names[REQUIREMENTS_MAX][24];
    size_t limit_count;
    struct request log[ARRIVALS];
    size_t log_count;
    uint64_t told, missed; /* marks, in all runs */
};

/* Which one of the calendar's. */
static int64_t period_at(enum kw_period period, int64_t at_ms)
{
    return period == KW_PERIOD_HOUR  ? at_ms / HOUR_MS
           : period == KW_PERIOD_DAY ? at_ms / DAY_MS
                                     : (at_ms / DAY_MS + 3) / 7; /* 1970 began with a Thursday */
}

static int64_t used_of(const struct model *model, const struct model_quota *quota, int64_t now_ms)
{
    int64_t period = period_at(quota->rule.period, now_ms), used = 0;
    for (size_t i = 0; i < model->log_count; i++) {
        const struct request *request = &model->log[i];
        if (period_at(quota->rule.period, request->at_ms) == period) {
            used += quota->counts_tokens ? request->tokens : request->cost;
        }
    }
    return used;
}

/* In the window that ends now, of those that the quota throttled where one is given (counted from 1). */
static int64_t spent_in(const struct model *model, int64_t window_ms, size_t throttled_by, int64_t now_ms)
{
    int64_t spent = 0;
    for (size_t i = 0; i < model->log_count; i++) {
        const struct request *request = &model->log[i];
        bool counts = throttled_by == 0 || (request->throttled >> (throttled_by - 1) & 1) != 0;
        spent += counts && request->at_ms > now_ms - window_ms ? request->cost : 0;
    }
    return spent;
}

/* What there is to say of a request. */
struct expected {
    bool is_over;     /* a quota that blocks */
    bool is_fast;     /* for a limit */
    bool may_be_fast; /* for a limit that counts a sixtieth more */
    unsigned throttled;
};

static void expect_limit(struct expected *expected, const struct model *model, const struct kw_rate_limit *limit,
                         size_t throttled_by, int64_t now_ms, uint32_t cost)
{
    int64_t after = spent_in(model, limit->window_ms, throttled_by, now_ms) + cost;
    expected->is_fast = expected->is_fast || after > limit->requests;
    expected->may_be_fast = expected->may_be_fast || after + limit->requests / 60 > limit->requests;
}

static struct expected expect(const struct model *model, int64_t now_ms, uint32_t cost)
{
    struct expected expected = {.is_over = false};
    for (size_t i = 0; i < model->limit_count; i++) {
        expect_limit(&expected, model, &model->limits[i], 0, now_ms, cost);
    }
    for (size_t i = 0; i < model->quota_count; i++) {
        const struct model_quota *quota = &model->quotas[i];
        int64_t used = used_of(model, quota, now_ms);
        bool is_exceeded = quota->counts_tokens ? used >= quota->limit : used + cost > quota->limit;
        if (is_exceeded && quota->rule.on_exceeded == KW_QUOTA_BLOCK) {
            expected.is_over = true;
        } else if (is_exceeded && quota->rule.on_exceeded == KW_QUOTA_THROTTLE) {
            expected.throttled |= 1U << i;
            expect_limit(&expected, model, &quota->rule.throttle, i + 1, now_ms, cost);
        }
    }
    return expected;
}

/* --- the product --- */

/* With `checks` a dry run. */
static void verify(struct model *model, uint32_t cost, struct kw_check *checks, struct kw_verification *v)
{
    struct test_engine *fixture = model->fixture;
    *v = (struct kw_verification){.key = kw_secret_expose(&model->key),
                                  .cost = cost,
                                  .checks = checks,
                                  .question = {.project = KW_PROJECT_DEFAULT}};
    for (int tries = 0; tries < KW_TRIES_MAX; tries++) {
        kw_engine_read_begin();
        kw_engine_verify(fixture->engine, v, kw_engine_now_ms(fixture->engine));
        kw_engine_read_end();
        if (!v->needs_store) {
            return;
        }
        struct kw_op op;
        kw_op_init(&op, KW_OP_LOAD, KW_PROJECT_DEFAULT);
        kw_op_ask_missing(&op, v);
        CHECK_STATUS(model->t, kw_engine_run(fixture->engine, &op), KW_OK);
        kw_op_deinit(&op);
    }
    test_fail(model->t, __FILE__, __LINE__, "undecided");
}

static void report(struct model *model, int64_t tokens)
{
    const struct kw_usage_amount amount = {KW_BYTES("tokens"), tokens * KW_AMOUNT_ONE};
    const struct kw_usage_report reported = {.amounts = &amount, .amount_count = 1};
    struct kw_op op;
    kw_op_init(&op, KW_OP_REPORT, KW_PROJECT_DEFAULT);
    op.id = model->id;
    op.report = &reported;
    CHECK_STATUS(model->t, kw_engine_run(model->fixture->engine, &op), KW_OK);
    kw_op_deinit(&op);
}

/* Whatever word was left is done when two operations that change nothing have gone through. */
static void let_the_writer_work(struct model *model)
{
    const struct kw_key_params none = {.given = 0};
    for (int i = 0; i < 2; i++) {
        struct kw_op op;
        kw_op_init(&op, KW_OP_UPDATE, KW_PROJECT_DEFAULT);
        op.id = model->id;
        op.params = &none;
        CHECK_STATUS(model->t, kw_engine_run(model->fixture->engine, &op), KW_OK);
        kw_op_deinit(&op);
    }
}

/* --- marks --- */

/* Those that are reached, and nobody was told of in this period. */
static unsigned untold(const struct model *model, const struct model_quota *quota, int64_t now_ms)
{
    unsigned reached = 0;
    int64_t used = used_of(model, quota, now_ms);
    for (unsigned i = 0; i < quota->rule.mark_count; i++) {
        reached |= used * 100 >= quota->limit * quota->rule.marks[i] ? 1U << i : 0;
    }
    return reached & ~quota->told;
}

static enum kw_status see_event(void *context, const struct kw_store_event *event)
{
    struct model *model = context;
    char body[512] = "", wanted[48];
    if (!kw_bytes_equal(event->type, KW_BYTES("key.quota.warning")) &&
        !kw_bytes_equal(event->type, KW_BYTES("key.quota.exceeded"))) {
        return KW_OK;
    }
    memcpy(body, event->body.data, event->body.size < sizeof body ? event->body.size : sizeof body - 1);
    for (size_t i = 0; i < model->quota_count; i++) {
        struct model_quota *quota = &model->quotas[i];
        unsigned open = untold(model, quota, model->fixture->now_ms);
        (void)snprintf(wanted, sizeof wanted, "\"quota\":\"%s\"", quota->name);
        if (strstr(body, wanted) == NULL) {
            continue;
        }
        unsigned highest = open == 0 ? 0 : 31U - (unsigned)__builtin_clz(open);
        (void)snprintf(wanted, sizeof wanted, "\"percent\":%d,", quota->rule.marks[highest]);
        if (open == 0 || strstr(body, wanted) == NULL) {
            test_fail(model->t, __FILE__, __LINE__, "%s, while %x are to be told of", body, open);
        }
        quota->told |= open;
        model->told++;
        return KW_OK;
    }
    test_fail(model->t, __FILE__, __LINE__, "no such quota: %s", body);
    return KW_OK;
}

static void read_events(struct model *model)
{
    struct kw_store *store = model->fixture->store;
    CHECK_STATUS(model->t,
                 store->ops->events_claim(store, model->fixture->now_ms, NEVER_MS, KW_STORE_LIST_MAX, see_event, model),
                 KW_OK);
}

/* Nobody waits to leave word, so one may be lost; what comes next leaves it again. */
static void tell(struct model *model)
{
    bool any = false;
    for (size_t i = 0; i < model->quota_count; i++) {
        any = any || untold(model, &model->quotas[i], model->fixture->now_ms) != 0;
    }
    if (any) {
        let_the_writer_work(model);
    }
    read_events(model);
}

static void go_on_to(struct model *model, int64_t now_ms)
{
    for (size_t i = 0; i < model->quota_count; i++) {
        struct model_quota *quota = &model->quotas[i];
        int64_t period = period_at(quota->rule.period, now_ms);
        if (period != quota->period) {
            model->missed += untold(model, quota, model->fixture->now_ms) != 0;
            quota->told = 0;
            quota->period = period;
        }
    }
    __atomic_store_n(&model->fixture->now_ms, now_ms, __ATOMIC_RELAXED);
}

/* --- arrivals --- */

static void check_verdict(struct model *model, const struct kw_verification *v, const struct expected *expected,
                          int64_t now_ms, uint32_t cost)
{
    struct test *t = model->t;
    switch (v->code) {
    case KW_CODE_NONE:
        CHECK(t, !expected->is_over && !expected->is_fast);
        model->log[model->log_count++] = (struct request){now_ms, cost, 0, expected->throttled};
        break;
    case KW_CODE_QUOTA_EXCEEDED:
        /* A throttle may not have been asked: of its quota nothing is known when a period begins, and another refuses.
         */
        CHECK(t, expected->is_over && (!expected->is_fast || expected->throttled != 0));
        break;
    case KW_CODE_RATE_LIMITED:
        CHECK(t, expected->may_be_fast);
        break;
    default:
        test_fail(t, __FILE__, __LINE__, "verdict %d", (int)v->code);
    }
    for (size_t i = 0; i < model->quota_count && v->has_quota; i++) {
        if (strcmp(v->quota.name, model->quotas[i].name) == 0) {
            int64_t used = used_of(model, &model->quotas[i], now_ms);
            CHECK_I64(t, v->quota.used, used * KW_AMOUNT_ONE);
        }
    }
}

/* All is known of a key that was just let through: a dry run says what the next one would be told. */
static void try_dry(struct model *model, int64_t now_ms, uint32_t cost)
{
    struct kw_check checks[KW_RULE_COUNT];
    struct kw_verification v;
    struct expected expected = expect(model, now_ms, cost);
    verify(model, cost, checks, &v);
    CHECK(model->t, v.code != KW_CODE_NONE || !(expected.is_over || expected.is_fast));
    CHECK(model->t, v.code == KW_CODE_NONE || expected.is_over || expected.may_be_fast);
}

static struct kw_verification arrive(struct model *model, uint32_t cost)
{
    struct kw_verification v;
    int64_t now_ms = model->fixture->now_ms;
    struct expected expected = expect(model, now_ms, cost);
    verify(model, cost, NULL, &v);
    check_verdict(model, &v, &expected, now_ms, cost);
    if (v.code == KW_CODE_NONE) {
        try_dry(model, now_ms, 1 + (uint32_t)test_random_below(model->t, 6));
    }
    tell(model);
    return v;
}

static void run_arrivals(struct model *model)
{
    struct test *t = model->t;
    uint64_t mean_ms = (uint64_t[]){2, 300, 10000, 120000}[test_random_below(t, 4)];
    uint32_t cost_max = 1 + (uint32_t)test_random_below(t, 6);
    while (model->log_count < ARRIVALS - 1 && test_random_below(t, ARRIVALS) > 0 && t->failures == 0) {
        uint64_t leap_ms = test_random_below(t, 40) == 0 ? test_random_below(t, DAY_MS) : 0;
        int64_t now_ms = model->fixture->now_ms + (int64_t)(test_random_below(t, 2 * mean_ms) + leap_ms);
        go_on_to(model, now_ms);
        if (test_random_below(t, 6) == 0) {
            int64_t tokens = 1 + (int64_t)test_random_below(t, 40);
            report(model, tokens);
            model->log[model->log_count++] = (struct request){.at_ms = now_ms, .tokens = tokens};
            tell(model);
            continue;
        }
        uint32_t cost = 1 + (uint32_t)test_random_below(t, cost_max);
        struct kw_verification v = arrive(model, cost);
        bool is_throttled = expect(model, now_ms, cost).throttled != 0;
        if (v.code == KW_CODE_RATE_LIMITED && v.rate_limit.retry_after_ms > 0 && !is_throttled) {
            go_on_to(model, now_ms + v.rate_limit.retry_after_ms);
            CHECK(t, arrive(model, cost).code != KW_CODE_RATE_LIMITED); /* who waits so long is let through */
        }
    }
}

/* --- keys --- */

static struct kw_rate_limit random_rate(struct test *t)
{
    static const int64_t windows_ms[] = {1000, 60000, 600000, 2 * HOUR_MS}; /* with a store, and without */
    return (struct kw_rate_limit){.requests =
                                      1 + (int64_t)test_random_below(t, test_random_below(t, 2) == 0 ? 12 : 150),
                                  .window_ms = windows_ms[test_random_below(t, KW_COUNT_OF(windows_ms))]};
}

static void choose_quota(struct model *model, size_t at)
{
    static const enum kw_period periods[] = {KW_PERIOD_HOUR, KW_PERIOD_DAY, KW_PERIOD_WEEK};
    struct test *t = model->t;
    struct model_quota *quota = &model->quotas[at];
    *quota = (struct model_quota){.counts_tokens = test_random_below(t, 4) == 0,
                                  .limit = (int64_t)test_random_below(t, test_random_below(t, 2) == 0 ? 20 : 400)};
    (void)snprintf(quota->name, sizeof quota->name, "q%zu", at);
    quota->rule = (struct kw_quota_rule){.name = kw_bytes_of_text(quota->name),
                                         .limit = quota->limit * KW_AMOUNT_ONE,
                                         .period = periods[test_random_below(t, KW_COUNT_OF(periods))],
                                         .on_exceeded = (enum kw_quota_exceeded)test_random_below(t, 3),
                                         .metric = quota->counts_tokens ? KW_BYTES("tokens") : KW_BYTES("requests")};
    uint8_t mark = 0;
    for (uint64_t left = 1 + test_random_below(t, KW_QUOTA_MARK_COUNT_MAX); left > 0 && quota->limit > 0; left--) {
        mark = (uint8_t)(mark + 1 + test_random_below(t, 24));
        quota->rule.marks[quota->rule.mark_count++] = mark;
    }
    if (quota->rule.on_exceeded == KW_QUOTA_THROTTLE) {
        quota->rule.throttle = random_rate(t);
    }
    quota->period = period_at(quota->rule.period, model->fixture->now_ms);
}

static bool begin_key(struct model *model)
{
    struct test *t = model->t;
    struct kw_quota_rule quotas[REQUIREMENTS_MAX];
    model->log_count = 0;
    model->quota_count = 1 + test_random_below(t, REQUIREMENTS_MAX);
    model->limit_count = test_random_below(t, 3);
    for (size_t i = 0; i < model->quota_count; i++) {
        choose_quota(model, i);
        quotas[i] = model->quotas[i].rule;
    }
    for (size_t i = 0; i < model->limit_count; i++) {
        (void)snprintf(model->limit_names[i], sizeof model->limit_names[i], "r%zu", i);
        model->limits[i] = random_rate(t);
        model->limits[i].name = kw_bytes_of_text(model->limit_names[i]);
    }
    const struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_QUOTAS | KW_GIVEN_RATE_LIMITS,
                                         .owner = KW_BYTES("user:1"),
                                         .quotas = quotas,
                                         .quota_count = model->quota_count,
                                         .rate_limits = model->limits,
                                         .rate_limit_count = model->limit_count};
    return test_engine_create(t, model->fixture, &params, &model->id, &model->key);
}

static void all_of_a_key_is_kept_to(struct test *t)
{
    static struct model model;
    struct test_engine fixture;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    kw_engine_wait_filled(fixture.engine);
    model = (struct model){.t = t, .fixture = &fixture};
    for (int run = 0; run < RUNS && t->failures == 0; run++) {
        REQUIRE(t, begin_key(&model));
        run_arrivals(&model);
        go_on_to(&model, fixture.now_ms + 7 * DAY_MS);
        kw_secret_wipe(&model.key);
    }
    CHECK(t, model.told > RUNS / 6);
    CHECK(t, model.missed * 20 <= model.told);
    test_engine_close(&fixture);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(all_of_a_key_is_kept_to),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
