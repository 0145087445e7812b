/*
 * Decisions about keys under bounds, and what a child may be given, against a model that is slow and obvious: a small
 * world of scopes, resources, addresses and places, in which each record allows a set, and all records together what is
 * in every set.
 */
#include "core/family.h"
#include "core/record.h"
#include "core/verdict.h"
#include "world.h"

#include <stdlib.h>

#define NOW_MS WORLD_NOW_MS
#define LINKS_MAX (2 * (KW_FAMILY_DEPTH_MAX + 1))
#define PROJECT 7

/* A policy over that record, and what it says as sets. False: there is none of the name that the record has. */
static bool draw_policy(struct test *t, struct kw_arena *arena, const struct kw_record *over, struct rule *rule,
                        struct kw_policy *policy)
{
    static const struct kw_bytes envs[] = {{(const uint8_t *)"live", 4}, {(const uint8_t *)"test", 4}};
    struct kw_record record = {.version = 1};
    int64_t age_ms = NOW_MS - over->created_at_ms;
    *rule = (struct rule){.is_policy = true, .ips = ~0U, .regions = ~0U};
    *policy = (struct kw_policy){.bounds_authority = !once_in(t, 3),
                                 .max_ttl_ms = once_in(t, 2) ? 0 : age_ms + (once_in(t, 8) ? 0 : 1),
                                 .require_ip = once_in(t, 8),
                                 .max_resources = once_in(t, 3) ? 0 : -1,
                                 .environments = once_in(t, 8) ? &envs[1] : envs,
                                 .environment_count = test_random_below(t, 2)};
    draw_scopes(t, arena, rule, &record);
    policy->scopes = record.scopes;
    policy->resources = record.resources;
    bool is_missing = once_in(t, 30);
    if (!policy->bounds_authority || is_missing) {
        rule->global = ~0U;
        memset(rule->on, 0xff, sizeof rule->on);
    }
    bool has_env = policy->environment_count == 0 || kw_bytes_equal(policy->environments[0], over->env);
    rule->violated = is_missing || !has_env || (policy->require_ip && over->allowed_ips.count == 0);
    rule->expired = !is_missing && policy->max_ttl_ms == age_ms;
    return !is_missing;
}

static struct kw_entry *entry_of(struct test *t, struct kw_arena *arena, const struct kw_record *record)
{
    struct kw_buffer buffer;
    struct kw_digest digest = {.size = 32};
    struct kw_record decoded;
    kw_buffer_init_fixed(&buffer, kw_arena_take(arena, 2048), 2048);
    CHECK_STATUS(t, kw_record_encode(record, &buffer), KW_OK);
    struct kw_entry *entry = malloc(kw_entry_size(KW_ENTRY_BOUNDED | KW_ENTRY_EXTENDED, buffer.size));
    if (entry == NULL || kw_entry_build(&digest, PROJECT, false, kw_buffer_bytes(&buffer), entry, &decoded) != KW_OK) {
        abort();
    }
    return entry;
}

/* --- Questions --- */

static bool met_both(unsigned held)
{
    return (held & 1) != 0 && (held & 4) != 0;
}

static bool met_either(unsigned held)
{
    return (held & 2) != 0 || (held & 12) == 12;
}

static const struct {
    const char *text;
    bool (*met)(unsigned held);
} requirements[] = {{"a:x AND b", met_both}, {"a:y OR b AND rest", met_either}};

struct asked {
    unsigned scopes;
    int requirement, resource, address, place; /* below 0: none */
    unsigned resource_scopes;
    const char *env;
    struct kw_question question;
    struct kw_bytes scope_texts[SCOPES], resource_scope_texts[SCOPES];
    struct kw_address stated;
    struct kw_place there;
};

static int draw_one(struct test *t, uint64_t count)
{
    return once_in(t, 2) ? -1 : (int)test_random_below(t, count);
}

static size_t name_scopes(unsigned set, struct kw_bytes texts[SCOPES])
{
    size_t count = 0;
    for (unsigned i = 0; i < SCOPES; i++) {
        if ((set >> i & 1) != 0) {
            texts[count++] = kw_bytes_of_text(world_scopes[i]);
        }
    }
    return count;
}

static void draw_question(struct test *t, struct asked *asked)
{
    *asked = (struct asked){.scopes = once_in(t, 2) ? 0 : 1U << test_random_below(t, SCOPES),
                            .requirement = draw_one(t, KW_COUNT_OF(requirements)),
                            .resource = draw_one(t, RESOURCES),
                            .address = (int)test_random_below(t, ADDRESSES + 1) - 1,
                            .place = (int)test_random_below(t, PLACES + 1) - 1,
                            .env = once_in(t, 3)   ? "live"
                                   : once_in(t, 8) ? "test"
                                                   : ""};
    struct kw_question *question = &asked->question;
    asked->scopes |= once_in(t, 4) ? 1U << test_random_below(t, SCOPES) : 0;
    asked->resource_scopes = asked->resource >= 0 && once_in(t, 2) ? 1U << test_random_below(t, SCOPES) : 0;
    *question = (struct kw_question){.project = PROJECT,
                                     .env = kw_bytes_of_text(asked->env),
                                     .scopes = asked->scope_texts,
                                     .resource_scopes = asked->resource_scope_texts};
    question->scope_count = name_scopes(asked->scopes, asked->scope_texts);
    question->resource_scope_count = name_scopes(asked->resource_scopes, asked->resource_scope_texts);
    if (asked->requirement >= 0) {
        question->require = kw_bytes_of_text(requirements[asked->requirement].text);
    }
    if (asked->resource >= 0) {
        question->resource = kw_bytes_of_text(world_resources[asked->resource]);
    }
    if (asked->address >= 0) {
        CHECK(t, kw_address_parse(kw_bytes_of_text(world_addresses[asked->address]), &asked->stated));
        question->address = &asked->stated;
    }
    if (asked->place >= 0) {
        asked->there = (struct kw_place){kw_bytes_of_text(world_places[asked->place].country),
                                         kw_bytes_of_text(world_places[asked->place].region)};
        question->place = &asked->there;
    }
}

/* --- The model --- */

static bool refuses(const struct rule *rule, const struct asked *asked, enum kw_rule which)
{
    switch (which) {
    case KW_RULE_REVOKED:
        return rule->revoked;
    case KW_RULE_EXPIRED:
        return rule->expired;
    case KW_RULE_DISABLED:
        return rule->disabled;
    case KW_RULE_POLICY:
        return rule->violated;
    case KW_RULE_ADDRESS:
        return rule->has_ips && (asked->address < 0 || (rule->ips >> asked->address & 1) == 0);
    case KW_RULE_REGION:
        return rule->has_regions && (asked->place < 0 || (rule->regions >> asked->place & 1) == 0);
    default:
        return false;
    }
}

static bool lacks(const struct rule *rules, size_t count, const struct asked *asked)
{
    unsigned global = ~0U;
    unsigned there = ~0U;
    for (size_t i = 0; i < count; i++) {
        global &= rules[i].global;
        there &= asked->resource < 0 ? 0 : rules[i].on[asked->resource];
    }
    bool needs_any = asked->resource >= 0 && asked->resource_scopes == 0;
    return (asked->scopes & ~global) != 0 || (asked->resource_scopes & ~there) != 0 || (needs_any && there == 0) ||
           (asked->requirement >= 0 && !requirements[asked->requirement].met(global));
}

/* All that the refusing link lacks of what was named, then what the requirement takes of it and those before it. */
static void check_missing(struct test *t, const struct rule *rules, size_t link, const struct asked *asked,
                          const struct kw_decision *decision)
{
    struct kw_missing missing[KW_MISSING_MAX];
    size_t count = kw_lacks_list(&decision->lacks, &asked->question, missing, KW_COUNT_OF(missing));
    unsigned on = asked->resource < 0 ? 0 : rules[link].on[asked->resource];
    unsigned global = ~0U;
    size_t at = 0;
    for (size_t i = 0; i <= link; i++) {
        global &= rules[i].global;
    }
    for (unsigned list = 0; list < 2; list++) {
        unsigned lacked = list == 0 ? asked->scopes & ~rules[link].global : asked->resource_scopes & ~on;
        for (unsigned i = 0; i < SCOPES; i++) {
            if ((lacked >> i & 1) != 0 && at < count) {
                CHECK_BYTES(t, missing[at].scope, kw_bytes_of_text(world_scopes[i]));
                CHECK_BYTES(t, missing[at].resource, list == 0 ? KW_BYTES("") : asked->question.resource);
            }
            at += lacked >> i & 1;
        }
    }
    if (asked->resource >= 0 && asked->resource_scopes == 0 && on == 0) {
        CHECK(t, at < count && missing[at].scope.size == 0);
        CHECK_BYTES(t, missing[at++].resource, asked->question.resource);
    }
    bool is_met = asked->requirement < 0 || requirements[asked->requirement].met(global);
    CHECK(t, is_met ? count == at : count > at);
    for (; at < count; at++) {
        CHECK(t, missing[at].resource.size == 0 && (missing[at].scope.size == 0) != (missing[at].require.size == 0));
    }
    struct kw_bytes first = missing[0].scope.size > 0     ? missing[0].scope
                            : missing[0].require.size > 0 ? missing[0].require
                                                          : missing[0].resource;
    CHECK_BYTES(t, decision->missing, first);
}

/* Which link refuses; `count` when none does. */
static size_t first_refusal(const struct rule *rules, size_t count, const struct asked *asked, enum kw_rule which)
{
    if (which == KW_RULE_ENVIRONMENT) {
        return asked->env[0] != '\0' && strcmp(asked->env, rules[0].env) != 0 ? 0 : count;
    }
    if (which == KW_RULE_SCOPES) {
        size_t link = 0;
        while (link < count && !lacks(rules, link + 1, asked)) {
            link++;
        }
        return link;
    }
    size_t link = 0;
    while (link < count && !refuses(&rules[link], asked, which)) {
        link++;
    }
    return link;
}

static const enum kw_code codes[KW_RULE_COUNT] = {
    [KW_RULE_REVOKED] = KW_CODE_REVOKED,           [KW_RULE_EXPIRED] = KW_CODE_EXPIRED,
    [KW_RULE_DISABLED] = KW_CODE_DISABLED,         [KW_RULE_ADDRESS] = KW_CODE_IP_NOT_ALLOWED,
    [KW_RULE_REGION] = KW_CODE_REGION_NOT_ALLOWED, [KW_RULE_ENVIRONMENT] = KW_CODE_ENVIRONMENT_MISMATCH,
    [KW_RULE_SCOPES] = KW_CODE_INSUFFICIENT_SCOPE, [KW_RULE_POLICY] = KW_CODE_POLICY_VIOLATION,
};

struct chain {
    struct rule rules[LINKS_MAX];
    struct kw_record records[LINKS_MAX]; /* at the place of a policy: of the key that stands under it */
    struct kw_entry *entries[LINKS_MAX]; /* the same */
    struct kw_bound bounds[LINKS_MAX];
    struct kw_policy policies[LINKS_MAX]; /* at the place of a policy */
    struct kw_policy_bound policy_bounds[LINKS_MAX];
    size_t count;
    bool is_open;
};

/* What the policy at this place says from now on. */
static void change_policy(struct test *t, struct kw_arena *arena, struct chain *chain, size_t at)
{
    bool is_there = draw_policy(t, arena, &chain->records[at], &chain->rules[at], &chain->policies[at]);
    chain->policy_bounds[at].policy = is_there ? &chain->policies[at] : NULL;
    chain->policy_bounds[at].changes++;
    chain->policy_bounds[at].name = KW_BYTES("partners");
}

static void add_policy(struct test *t, struct kw_arena *arena, struct chain *chain)
{
    size_t at = chain->count++;
    chain->records[at] = chain->records[at - 1];
    chain->entries[at] = chain->entries[at - 1];
    kw_entry_bounds(chain->entries[at])->policy = &chain->policy_bounds[at];
    change_policy(t, arena, chain, at);
}

/* A key, perhaps a policy, its parent, and so on; the last bound may be one that nobody knows. */
static void build_chain(struct test *t, struct kw_arena *arena, struct chain *chain)
{
    size_t generations = 1 + test_random_below(t, once_in(t, 2) ? KW_FAMILY_DEPTH_MAX + 1 : 2);
    uint64_t trouble = once_in(t, 3) ? 6 : 200;
    *chain = (struct chain){.count = 0};
    for (size_t i = 0; i < generations && !chain->is_open; i++) {
        struct kw_entry *child = i == 0 ? NULL : chain->entries[chain->count - 1];
        size_t at = chain->count++;
        chain->records[at] = draw_record(t, arena, trouble, &chain->rules[at]);
        chain->records[at].has_children = at > 0;
        bool has_policy = once_in(t, 3);
        chain->records[at].policy = has_policy ? KW_BYTES("partners") : KW_BYTES("");
        chain->records[at].parent_id = (struct kw_id){.bytes = {i + 1 < generations}};
        chain->entries[at] = entry_of(t, arena, &chain->records[at]);
        chain->is_open = at > 0 && once_in(t, 30);
        chain->bounds[at] = (struct kw_bound){.id = chain->records[at].id};
        if (child != NULL) {
            kw_entry_bounds(child)->parent = &chain->bounds[at];
        }
        if (has_policy && !chain->is_open) {
            add_policy(t, arena, chain);
        }
    }
    for (size_t at = 0; at < chain->count; at++) {
        bool is_unknown = chain->is_open && at + 1 == chain->count;
        if (!chain->rules[at].is_policy) {
            if (at > 0 && !once_in(t, 10)) {
                kw_entry_extra(chain->entries[at])->line = &chain->bounds[at];
            }
            kw_bound_show(&chain->bounds[at], is_unknown ? NULL : chain->entries[at]);
        }
    }
}

static void free_chain(struct chain *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        if (!chain->rules[i].is_policy) {
            free(chain->entries[i]);
        }
    }
}

static void check_decision(struct test *t, struct chain *chain, const struct asked *asked, size_t seen[KW_RULE_COUNT])
{
    struct kw_decision decision = kw_decide(chain->entries[0], &asked->question, NOW_MS);
    struct kw_check checks[KW_RULE_COUNT];
    kw_decide_each(chain->entries[0], &asked->question, NOW_MS, checks);
    if (chain->is_open) {
        CHECK(t, decision.is_open && decision.code == KW_CODE_NONE && decision.bound == NULL);
        return;
    }
    CHECK(t, !decision.is_open);
    bool is_refused = false;
    for (enum kw_rule rule = KW_RULE_REVOKED; rule < KW_RULE_COUNT; rule++) {
        size_t link = first_refusal(chain->rules, chain->count, asked, rule);
        bool refused = link < chain->count;
        const struct kw_entry *bound = refused ? chain->entries[link] : NULL;
        bound = bound == chain->entries[0] ? NULL : bound;
        bool by_policy = refused && chain->rules[link].is_policy;
        CHECK_I64(t, checks[rule].outcome == KW_OUTCOME_REFUSED, refused);
        CHECK_I64(t, checks[rule].decision.code, refused ? codes[rule] : KW_CODE_NONE);
        CHECK(t, checks[rule].outcome != KW_OUTCOME_SKIPPED);
        /* Where any scope on a resource would do, it can be several together that leave none. */
        bool is_shared = rule == KW_RULE_SCOPES && asked->resource >= 0 && asked->resource_scopes == 0;
        bound = is_shared && refused ? checks[rule].decision.bound : bound;
        by_policy = is_shared && refused ? checks[rule].decision.policy.size != 0 : by_policy;
        if (refused && rule == KW_RULE_SCOPES && !is_shared) {
            check_missing(t, chain->rules, link, asked, &checks[rule].decision);
        }
        CHECK(t, checks[rule].decision.bound == bound);
        CHECK_BYTES(t, checks[rule].decision.policy, by_policy ? KW_BYTES("partners") : KW_BYTES(""));
        if (refused && !is_refused) { /* the first of them is the verdict */
            CHECK_I64(t, decision.code, codes[rule]);
            CHECK(t, decision.bound == bound && decision.lapsed == checks[rule].decision.lapsed);
            CHECK(t, (rule == KW_RULE_SCOPES || rule == KW_RULE_POLICY) == (decision.missing.size != 0));
            CHECK_BYTES(t, decision.policy, checks[rule].decision.policy);
            CHECK_BYTES(t, decision.missing, checks[rule].decision.missing);
            seen[rule]++;
        }
        is_refused = is_refused || refused;
    }
    if (!is_refused) {
        CHECK_I64(t, decision.code, KW_CODE_NONE);
        CHECK(t, decision.missing.size == 0 && decision.bound == NULL && decision.lapsed == NULL);
        seen[KW_RULE_FORMAT]++;
    }
}

static void a_chain_allows_what_all_of_it_allows(struct test *t)
{
    size_t seen[KW_RULE_COUNT] = {0};
    size_t open = 0;
    for (int i = 0; i < 6000 && t->failures < 20; i++) {
        struct kw_arena arena;
        struct chain chain;
        kw_arena_init(&arena, NULL, 0, 1 << 20);
        build_chain(t, &arena, &chain);
        open += chain.is_open;
        for (int n = 0; n < 20 && t->failures < 20; n++) {
            struct asked asked;
            size_t at = test_random_below(t, chain.count);
            if (chain.rules[at].is_policy && once_in(t, 4)) { /* from then on, whatever was found out before */
                change_policy(t, &arena, &chain, at);
            }
            draw_question(t, &asked);
            check_decision(t, &chain, &asked, seen);
        }
        free_chain(&chain);
        kw_arena_reset(&arena);
    }
    for (size_t rule = 0; rule < KW_RULE_RATE_LIMITS; rule++) {
        CHECK(t, rule == KW_RULE_KNOWN || seen[rule] > 100); /* each was the verdict at times, and FORMAT: "valid" */
    }
    CHECK(t, open > 100);
}

/* Nothing that a child is admitted with lets it do by itself what its parent may not: places apart, which it stands
 * under whatever it says. */
static void no_child_is_admitted_beyond_its_parent(struct test *t)
{
    size_t admitted = 0;
    for (int i = 0; i < 20000 && t->failures < 20; i++) {
        struct kw_arena arena;
        struct rule rules[2];
        struct kw_error error = {0};
        kw_arena_init(&arena, NULL, 0, 1 << 20);
        struct kw_record child = draw_record(t, &arena, UINT64_MAX, &rules[0]);
        struct kw_record parent = draw_record(t, &arena, UINT64_MAX, &rules[1]);
        bool env = strcmp(rules[0].env, rules[1].env) == 0;
        bool global = (rules[0].global & ~rules[1].global) == 0;
        bool local = true;
        for (size_t n = 0; n < RESOURCES; n++) {
            local = local && (rules[0].on[n] & ~rules[1].on[n]) == 0;
        }
        bool expiry =
            parent.expires_at_ms == 0 || (child.expires_at_ms != 0 && child.expires_at_ms <= parent.expires_at_ms);
        enum kw_status status = kw_family_admits(&parent, &child, &error);
        if (status == KW_OK) {
            CHECK(t, env && global && local && expiry);
            CHECK(t, child.allowed_ips.count == 0 || parent.allowed_ips.count == 0 ||
                         kw_addresses_within(&child.allowed_ips, &parent.allowed_ips));
            admitted++;
        } else {
            CHECK_TEXT(t, error.code, "EXCEEDS_PARENT");
            CHECK(t, strcmp(error.field, "env") != 0 || !env);
            CHECK(t, strcmp(error.field, "expiresAt") != 0 || !expiry);
        }
        kw_arena_reset(&arena);
    }
    CHECK(t, admitted > 200);
}

static void no_place_is_beyond_that_is_not_named(struct test *t)
{
    size_t within = 0;
    for (int i = 0; i < 20000 && t->failures < 20; i++) {
        struct kw_arena arena;
        struct rule rules[2];
        struct kw_record records[2];
        kw_arena_init(&arena, NULL, 0, 1 << 20);
        for (size_t n = 0; n < 2; n++) {
            records[n] = record_typical(&arena);
            rules[n] = (struct rule){.revoked = false};
            draw_places(t, &arena, &rules[n], &records[n]);
        }
        if (kw_places_beyond(&records[0], &records[1]) == NULL) {
            CHECK(t, !rules[1].has_ips || rules[0].has_ips); /* so that one who states nothing stays outside */
            CHECK(t, !rules[1].has_regions || rules[0].has_regions);
            CHECK(t, (rules[0].ips & ~rules[1].ips & 31) == 0 && (rules[0].regions & ~rules[1].regions & 31) == 0);
            within++;
        }
        CHECK(t, kw_places_beyond(&records[0], &records[0]) == NULL);
        kw_arena_reset(&arena);
    }
    CHECK(t, within > 200);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_chain_allows_what_all_of_it_allows),
        TEST_CASE(no_child_is_admitted_beyond_its_parent),
        TEST_CASE(no_place_is_beyond_that_is_not_named),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
