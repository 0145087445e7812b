/*
 * The usual charge against the full one: two ledgers live through the same requests, of which one is always charged in
 * full and the other in the usual way wherever that takes it. Whatever is asked of what accounts, under limits that
 * change, reserves that run low, marks, reports, credits and sweeps, both say the same.
 */
#include "core/amount.h"
#include "engine/index.h"
#include "engine/ledger.h"
#include "support/engine.h"
#include "support/test.h"

#define ACCOUNTS 4
#define KEYS 3 /* of an account: each with claims of its own, as while a rotated one lives on, or after a change */
#define STEPS 1000000
#define CLAIMS_MAX 6

#define REQUESTS(units, exceeded, count, first, second) \
    { \
        .is_quota = true, .id = 71, .quota = { \
            .limit = (units)*KW_AMOUNT_ONE, \
            .period = KW_PERIOD_HOUR, \
            .anchor_ms = KW_PERIOD_UTC, \
            .metric = {(const uint8_t *)"requests", 8}, \
            .on_exceeded = (exceeded), \
            .mark_count = (count), \
            .marks = {(first), (second)} \
        } \
    }
#define TOKENS(units) \
    { \
        .is_quota = true, .id = 72, .quota = { \
            .limit = (units)*KW_AMOUNT_ONE, \
            .period = KW_PERIOD_HOUR, \
            .anchor_ms = KW_PERIOD_UTC, \
            .metric = {(const uint8_t *)"tokens", 6}, \
            .on_exceeded = KW_QUOTA_BLOCK, \
            .mark_count = 1, \
            .marks = {50} \
        } \
    }
#define THROTTLE(count, length_ms) \
    { \
        .throttles = 1, .id = 99, .limit = {.requests = (count), .window_ms = (length_ms) } \
    }
#define LIMIT(number, count, length_ms) \
    { \
        .id = (number), .limit = {.requests = (count), .window_ms = (length_ms) } \
    }

/* Four by four such as keys of one account may have at a time: a little apart from each other. */
#define ALIKE 4
static const struct terms {
    struct kw_claim claims[CLAIMS_MAX];
    size_t count;
} all_terms[][ALIKE] = {
    {
        {{REQUESTS(3000, KW_QUOTA_BLOCK, 0, 0, 0), LIMIT(11, 5000, 3600000), LIMIT(12, 300, 60000)}, 3},
        {{REQUESTS(900, KW_QUOTA_WARN, 2, 50, 80), LIMIT(11, 5000, 60000)}, 2},
        {{REQUESTS(900, KW_QUOTA_WARN, 2, 60, 90), LIMIT(11, 5000, 60000)}, 2},
        {{REQUESTS(9000, KW_QUOTA_BLOCK, 2, 60, 90), LIMIT(11, 4000, 3600000)}, 2},
    },
    {
        {{LIMIT(11, 600, 5000), LIMIT(12, 2000, 90000)}, 2},
        {{LIMIT(11, 900, 5000), LIMIT(12, 2000, 90000)}, 2},
        {{LIMIT(11, 600, 3000), LIMIT(12, 2000, 90000)}, 2},
        {{LIMIT(12, 2000, 90000)}, 1},
    },
    {
        {{TOKENS(40), LIMIT(13, 100000, 86400000)}, 2},
        {{TOKENS(30), LIMIT(13, 100000, 86400000)}, 2},
        {{TOKENS(40), REQUESTS(700, KW_QUOTA_WARN, 2, 30, 100), LIMIT(13, 50, 20000)}, 3},
        {{LIMIT(13, 50, 20000)}, 1},
    },
    {
        {{REQUESTS(400, KW_QUOTA_THROTTLE, 0, 0, 0), THROTTLE(3, 1000), LIMIT(11, 100000, 60000)}, 3},
        {{REQUESTS(400, KW_QUOTA_THROTTLE, 0, 0, 0), THROTTLE(5, 1000), LIMIT(11, 100000, 60000)}, 3},
        {{REQUESTS(400, KW_QUOTA_BLOCK, 1, 70, 0), LIMIT(11, 100000, 60000)}, 2},
        {{REQUESTS(800, KW_QUOTA_BLOCK, 1, 70, 0), LIMIT(11, 100000, 60000)}, 2},
    },
};

struct key {
    const struct terms *terms;
    uint64_t places[2]; /* in each ledger */
    uint32_t stamp;     /* in the first */
};

struct twins {
    struct kw_ledger *ledgers[2]; /* charged in the usual way; in full */
    int64_t now_ms;
    struct key keys[ACCOUNTS][KEYS];
    int64_t taken[ACCOUNTS][2]; /* of the quotas, as a store would have it */
    int64_t period_ms[ACCOUNTS][2];
    size_t account, key; /* that asks now */
    uint64_t usual, full, given_back;
};

static struct kw_id account_of(size_t account)
{
    struct kw_id id = {{1}};
    id.bytes[15] = (uint8_t)(account + 1);
    return id;
}

static struct kw_charge charge_of(struct twins *twins, size_t account, struct key *key, size_t ledger, uint32_t cost)
{
    return (struct kw_charge){.accounts = {{account_of(account), &key->places[ledger]}},
                              .claims = key->terms->claims,
                              .claim_count = key->terms->count,
                              .now_ms = twins->now_ms,
                              .cost = cost,
                              .stamp = ledger == 0 ? &key->stamp : NULL};
}

/* As a store grants it: all that is wanted, to both the same. Others may have taken some meanwhile. */
static void grant(struct test *t, struct twins *twins, size_t account, struct kw_want *want, size_t which)
{
    if (twins->period_ms[account][which] != want->period.start_ms) {
        twins->period_ms[account][which] = want->period.start_ms;
        twins->taken[account][which] = 0;
    }
    int64_t others = test_random_below(t, 4) == 0 ? (int64_t)test_random_below(t, 60) * KW_AMOUNT_ONE : 0;
    twins->taken[account][which] += want->amount + others;
    want->granted = want->amount;
    want->taken = twins->taken[account][which];
}

/* What both want is the same, and so is what they get. */
static void fund(struct test *t, struct twins *twins, size_t account, struct key *key, uint32_t cost)
{
    static struct kw_want wants[2][KW_CLAIMS_MAX];
    for (bool any = true; any;) {
        struct kw_charge charges[2];
        for (size_t i = 0; i < 2; i++) {
            bool any_here;
            charges[i] = charge_of(twins, account, key, i, cost);
            REQUIRE_OK(t, kw_ledger_want(twins->ledgers[i], &charges[i], wants[i], &any_here));
            CHECK(t, i == 0 || any_here == any);
            any = any_here;
        }
        bool is_note = false;
        for (size_t i = 0; any && i < charges[0].claim_count; i++) {
            CHECK_I64(t, wants[0][i].kind, wants[1][i].kind);
            CHECK_I64(t, wants[0][i].amount, wants[1][i].amount);
            CHECK_I64(t, wants[0][i].marks, wants[1][i].marks);
            CHECK_I64(t, wants[0][i].reserve, wants[1][i].reserve);
            is_note = is_note || wants[0][i].kind == KW_WANT_NOTE;
            if (wants[0][i].kind == KW_WANT_QUOTA) {
                grant(t, twins, account, &wants[0][i], charges[0].claims[i].id == 72);
                wants[1][i].granted = wants[0][i].granted;
                wants[1][i].taken = wants[0][i].taken;
            }
        }
        for (size_t i = 0; any && i < 2; i++) {
            kw_ledger_fund(twins->ledgers[i], &charges[i], wants[i], true);
        }
        any = any && is_note;
    }
}

/* Which of the claims that were asked stands closest to refusing; CLAIMS_MAX: none of the kind. */
static size_t closest(const struct kw_charge *charge, const struct kw_charged *charged, bool is_quota)
{
    size_t closest = CLAIMS_MAX;
    double least = 0;
    for (size_t i = 0; i < charge->claim_count; i++) {
        const struct kw_claim *claim = &charge->claims[i];
        if (claim->is_quota != is_quota || (claim->throttles > 0 && !charged->answers[i].limit.is_asked)) {
            continue;
        }
        double left = is_quota ? (double)charged->answers[i].quota.remaining / ((double)claim->quota.limit + 1)
                               : (double)charged->answers[i].limit.remaining;
        if (closest == CLAIMS_MAX || left < least) {
            closest = i;
            least = left;
        }
    }
    return closest;
}

/* The how-manieth of its kind a claim is, among those of the key's own. */
static size_t order_of(const struct kw_charge *charge, size_t claim)
{
    size_t before = 0;
    for (size_t i = 0; i < claim; i++) {
        before += charge->claims[i].is_quota == charge->claims[claim].is_quota && charge->claims[i].throttles == 0;
    }
    return before;
}

static void check_spent(struct test *t, const struct kw_spent *spent, const struct kw_charge *charge,
                        const struct kw_charged *charged)
{
    size_t limit = closest(charge, charged, false);
    size_t quota = closest(charge, charged, true);
    CHECK_I64(t, charged->outcome, KW_CHARGE_ADMITTED);
    CHECK(t, !charged->wants_funds);
    CHECK_I64(t, spent->has_limit, limit < CLAIMS_MAX);
    CHECK_I64(t, spent->has_quota, quota < CLAIMS_MAX);
    if (limit < CLAIMS_MAX) {
        CHECK_I64(t, spent->limit_at, order_of(charge, limit));
        CHECK_I64(t, spent->limit.remaining, charged->answers[limit].limit.remaining);
        CHECK_I64(t, spent->limit.resets_at_ms, charged->answers[limit].limit.resets_at_ms);
    }
    if (quota < CLAIMS_MAX) {
        CHECK_I64(t, spent->quota_at, order_of(charge, quota));
        CHECK_I64(t, spent->quota.used, charged->answers[quota].quota.used);
        CHECK_I64(t, spent->quota.remaining, charged->answers[quota].quota.remaining);
        CHECK_I64(t, spent->quota.resets_at_ms, charged->answers[quota].quota.resets_at_ms);
    }
}

static void check_charged(struct test *t, const struct kw_charge *charge, const struct kw_charged *one,
                          const struct kw_charged *other)
{
    CHECK_I64(t, one->outcome, other->outcome);
    CHECK_I64(t, one->wants_funds, other->wants_funds);
    for (size_t i = 0; i < charge->claim_count; i++) {
        const union kw_claim_answer *a = &one->answers[i], *b = &other->answers[i];
        if (charge->claims[i].is_quota) {
            CHECK_I64(t, a->quota.outcome, b->quota.outcome);
            CHECK_I64(t, a->quota.used, b->quota.used);
            CHECK_I64(t, a->quota.marks, b->quota.marks);
        } else {
            CHECK_I64(t, a->limit.is_admitted, b->limit.is_admitted);
            CHECK_I64(t, a->limit.remaining, b->limit.remaining);
            CHECK_I64(t, a->limit.retry_after_ms, b->limit.retry_after_ms);
        }
    }
}

static void verify(struct test *t, struct twins *twins, size_t account, struct key *key, uint32_t cost)
{
    static struct kw_charged charged[2];
    struct kw_spent spent;
    struct kw_charge full = charge_of(twins, account, key, 1, cost);
    bool has_above = test_random_below(t, 300) == 0; /* as of a key that keeps to more than its own, for once */
    kw_index_read_begin();
    bool is_usual =
        !has_above && kw_ledger_spend(twins->ledgers[0], key->places[0], key->stamp, cost, twins->now_ms, &spent);
    REQUIRE_OK(t, kw_ledger_charge(twins->ledgers[1], &full, &charged[1]));
    if (is_usual) {
        check_spent(t, &spent, &full, &charged[1]);
        twins->usual++;
    } else {
        struct kw_charge first = charge_of(twins, account, key, 0, cost);
        first.stamp = has_above ? NULL : first.stamp;
        REQUIRE_OK(t, kw_ledger_charge(twins->ledgers[0], &first, &charged[0]));
        check_charged(t, &full, &charged[0], &charged[1]);
        twins->full++;
    }
    kw_index_read_end();
    if (charged[1].outcome == KW_CHARGE_UNFUNDED || (charged[1].wants_funds && test_random_below(t, 2) == 0)) {
        fund(t, twins, account, key, cost);
    }
}

/* What was used, or is given back. */
static void report(struct test *t, struct twins *twins, size_t account, size_t which, int64_t amount)
{
    static const struct kw_claim claims[] = {REQUESTS(9000, KW_QUOTA_WARN, 2, 50, 80), TOKENS(40)};
    struct kw_want want = {.kind = KW_WANT_QUOTA,
                           .period = kw_period_at(claims[which].quota.period, KW_PERIOD_UTC, twins->now_ms),
                           .amount = amount};
    grant(t, twins, account, &want, which);
    for (size_t i = 0; i < 2; i++) {
        uint64_t place = 0;
        struct kw_charge charge = {.accounts = {{account_of(account), &place}},
                                   .claims = &claims[which],
                                   .claim_count = 1,
                                   .now_ms = twins->now_ms,
                                   .cost = 1};
        kw_ledger_report(twins->ledgers[i], &charge, &want);
    }
}

/* What nobody used for long goes back to the store. */
static void sweep(struct test *t, struct twins *twins)
{
    const struct kw_aside *aside[2];
    size_t counts[2];
    for (size_t i = 0; i < 2; i++) {
        kw_ledger_sweep(twins->ledgers[i], twins->now_ms);
        counts[i] = kw_ledger_aside(twins->ledgers[i], &aside[i]);
    }
    REQUIRE(t, counts[0] == counts[1]);
    for (size_t i = 0; i < counts[0]; i++) {
        int64_t unspent = kw_quota_unspent(&aside[0][i].state);
        CHECK_I64(t, unspent, kw_quota_unspent(&aside[1][i].state));
        twins->taken[aside[0][i].account.bytes[15] - 1][aside[0][i].claim == 72] -= unspent;
        twins->given_back++;
    }
    kw_ledger_aside_end(twins->ledgers[0], false);
    kw_ledger_aside_end(twins->ledgers[1], false);
}

static void step(struct test *t, struct twins *twins)
{
    static const int64_t ahead[] = {500, 500, 1000, 5000, -500, -500};
    if (test_random_below(t, 12) == 0) {
        twins->account = test_random_below(t, ACCOUNTS);
        twins->key = test_random_below(t, KEYS);
    }
    size_t account = twins->account;
    struct key *key = &twins->keys[account][twins->key];
    uint64_t what = test_random_below(t, 1000);
    twins->now_ms += test_random_below(t, 12) == 0 ? ahead[test_random_below(t, KW_COUNT_OF(ahead))] : 0;
    if (what < 2) { /* a change: an entry that knows nothing yet */
        size_t kind = test_random_below(t, 4) == 0 ? test_random_below(t, KW_COUNT_OF(all_terms)) : account;
        *key = (struct key){.terms = &all_terms[kind][test_random_below(t, ALIKE)]};
    } else if (what < 4) {
        twins->now_ms += (int64_t)test_random_below(t, 4000000);
    } else if (what < 5) {
        twins->now_ms += KW_UNUSED_MS;
        sweep(t, twins);
        twins->now_ms += KW_UNUSED_MS - 100000;
        for (int i = 0; i < 4; i++) {
            verify(t, twins, account, key, 1);
        }
        twins->now_ms += 101000;
        sweep(t, twins);
    } else if (what < 20) {
        report(t, twins, account, test_random_below(t, 2), ((int64_t)test_random_below(t, 40) - 20) * KW_AMOUNT_ONE);
    } else {
        verify(t, twins, account, key, test_random_below(t, 5) == 0 ? 1 + (uint32_t)test_random_below(t, 40) : 1);
    }
}

static void the_usual_charge_is_the_full_one(struct test *t)
{
    static struct twins twins;
    twins = (struct twins){.now_ms = TEST_NOW_MS};
    for (size_t i = 0; i < 2; i++) {
        REQUIRE_OK(t, kw_ledger_new(true, &twins.ledgers[i]));
        kw_ledger_begin(twins.ledgers[i], TEST_NOW_MS, false, 0);
        kw_ledger_open(twins.ledgers[i]);
    }
    for (size_t i = 0; i < ACCOUNTS * KEYS; i++) {
        twins.keys[i / KEYS][i % KEYS].terms = &all_terms[i / KEYS][i % KEYS];
    }
    for (size_t i = 0; i < STEPS; i++) {
        step(t, &twins);
    }
    CHECK(t, twins.usual > STEPS / 5);
    CHECK(t, twins.full > STEPS / 20);
    CHECK(t, twins.given_back > 0);
    for (size_t i = 0; i < 2; i++) {
        kw_ledger_free(twins.ledgers[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_usual_charge_is_the_full_one),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
