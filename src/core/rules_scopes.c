#include "core/rules.h"

#include "core/internal.h"
#include "core/requirement.h"
#include "core/scope.h"

struct kw_list kw__scopes_of(const struct kw_entry *entry)
{
    return (struct kw_list){{entry->record + entry->scopes_at, entry->scopes_size}, entry->scope_count};
}

struct kw_list kw__resources_of(const struct kw_entry *entry)
{
    return (struct kw_list){{entry->record + entry->resources_at, entry->resources_size}, entry->resource_count};
}

/* What may be done as far as one key or policy goes. */
struct authority {
    struct kw_list scopes, resources;
};

/* False where it does not say: a policy that bounds something else. */
static bool authority_of(const struct kw__link *link, struct authority *authority_out)
{
    if (link->bound == NULL) {
        *authority_out = (struct authority){kw__scopes_of(link->entry), kw__resources_of(link->entry)};
        return true;
    }
    if (link->policy == NULL || !link->policy->bounds_authority) {
        return false;
    }
    *authority_out = (struct authority){link->policy->scopes, link->policy->resources};
    return true;
}

static bool holds_grant_on(struct kw_bytes rest, struct kw_bytes wanted)
{
    struct kw_bytes resource;
    struct kw_list scopes;
    while (kw_resources_next(&rest, &resource, &scopes)) {
        if (kw_resource_covers(resource, wanted)) {
            return true;
        }
    }
    return false;
}

/* A scope that is not held, and the resource on which it was asked for; empty: on none. */
struct lack {
    struct kw_bytes scope, resource;
};

/* What is missing may be empty: that is no scope. */
static bool lacks_named_scope(const struct authority *authority, const struct kw_question *question,
                              struct lack *lack_out)
{
    for (size_t i = 0; i < question->scope_count; i++) {
        if (!kw_scopes_allow(authority->scopes.packed, question->scopes[i])) {
            *lack_out = (struct lack){.scope = question->scopes[i]};
            return true;
        }
    }
    for (size_t i = 0; i < question->resource_scope_count; i++) {
        if (!kw_resources_allow(authority->scopes.packed, authority->resources.packed, question->resource,
                                question->resource_scopes[i])) {
            *lack_out = (struct lack){question->resource_scopes[i], question->resource};
            return true;
        }
    }
    return false;
}

/* Any would do, and none is held. */
static bool lacks_any_scope(const struct authority *authority, const struct kw_question *question)
{
    bool needs_any = question->resource.size != 0 && question->resource_scope_count == 0;
    return needs_any && authority->scopes.count == 0 &&
           !holds_grant_on(authority->resources.packed, question->resource);
}

static bool lacks_scope(const struct authority *authority, const struct kw_question *question, struct lack *lack_out)
{
    if (lacks_named_scope(authority, question, lack_out)) {
        return true;
    }
    *lack_out = (struct lack){.scope = question->resource};
    return lacks_any_scope(authority, question);
}

static bool holds_what_is_named(struct kw_bytes scopes, struct kw_bytes resources, const struct kw_question *question)
{
    for (size_t i = 0; i < question->scope_count; i++) {
        if (!kw_scopes_allow(scopes, question->scopes[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < question->resource_scope_count; i++) {
        if (!kw_resources_allow(scopes, resources, question->resource, question->resource_scopes[i])) {
            return false;
        }
    }
    return true;
}

bool kw__holds_what_is_asked(const struct kw_entry *entry, const struct kw_question *question)
{
    struct kw_bytes resources = kw__resources_of(entry).packed;
    bool needs_any = question->resource.size != 0 && question->resource_scope_count == 0;
    return holds_what_is_named(kw__scopes_of(entry).packed, resources, question) &&
           (!needs_any || entry->scope_count != 0 || holds_grant_on(resources, question->resource));
}

bool kw__leaves_what_is_asked(const struct kw_policy *policy, const struct kw_question *question)
{
    return holds_what_is_named(policy->scopes.packed, policy->resources.packed, question);
}

static bool all_allow(const struct kw__hearing *hearing, struct kw_bytes scope)
{
    for (size_t i = 0; i < hearing->link_count; i++) {
        struct authority authority;
        if (authority_of(&hearing->links[i], &authority) &&
            !kw_resources_allow(authority.scopes.packed, authority.resources.packed, hearing->question->resource,
                                scope)) {
            return false;
        }
    }
    return true;
}

static bool one_is_allowed_by_all(const struct kw__hearing *hearing, struct kw_list scopes)
{
    struct kw_bytes scope;
    while (kw__list_next(&scopes.packed, &scope)) {
        if (all_allow(hearing, scope)) {
            return true;
        }
    }
    return false;
}

/*
 * Whether any scope is left on the resource by all links together. What two scopes with wildcards have in common is one
 * of the two or nothing, so it is enough to ask about those that some link names.
 */
static bool shares_a_scope(const struct kw__hearing *hearing)
{
    for (size_t i = 0; i < hearing->link_count; i++) {
        struct authority authority;
        struct kw_bytes resource;
        struct kw_list scopes;
        if (!authority_of(&hearing->links[i], &authority)) {
            continue;
        }
        if (one_is_allowed_by_all(hearing, authority.scopes)) {
            return true;
        }
        while (kw_resources_next(&authority.resources.packed, &resource, &scopes)) {
            if (kw_resource_covers(resource, hearing->question->resource) && one_is_allowed_by_all(hearing, scopes)) {
                return true;
            }
        }
    }
    return false;
}

/* All links up to and with the one that is asked about. */
struct holding {
    const struct kw__hearing *hearing;
    size_t link;
};

static bool holds_up_to(void *context, struct kw_bytes scope)
{
    const struct holding *holding = context;
    for (size_t i = 0; i <= holding->link; i++) {
        struct authority authority;
        if (authority_of(&holding->hearing->links[i], &authority) && !kw_scopes_allow(authority.scopes.packed, scope)) {
            return false;
        }
    }
    return true;
}

static void note_lack(uint64_t words[KW_SCOPE_COUNT_MAX / 64], size_t at)
{
    if (at < KW_SCOPE_COUNT_MAX) {
        words[at / 64] |= UINT64_C(1) << (at % 64);
    }
}

/* All that this link lacks, for whoever was refused by it. */
static struct kw_lacks lacks_of(const struct authority *authority, struct holding *holding)
{
    const struct kw_question *question = holding->hearing->question;
    struct kw_lacks lacks = {.required = 0};
    for (size_t i = 0; i < question->scope_count; i++) {
        if (!kw_scopes_allow(authority->scopes.packed, question->scopes[i])) {
            note_lack(lacks.scopes, i);
        }
    }
    for (size_t i = 0; i < question->resource_scope_count; i++) {
        if (!kw_resources_allow(authority->scopes.packed, authority->resources.packed, question->resource,
                                question->resource_scopes[i])) {
            note_lack(lacks.resource_scopes, i);
        }
    }
    lacks.has_nothing_there = lacks_any_scope(authority, question);
    if (question->require.size != 0) {
        lacks.required = kw_requirement_lacks(question->require, holds_up_to, holding);
    }
    return lacks;
}

bool kw__refuses_scopes(const struct kw__hearing *hearing, struct kw_decision *decision)
{
    const struct kw_question *question = hearing->question;
    size_t last = 0; /* that says anything */
    for (size_t i = 0; i < hearing->link_count; i++) {
        struct holding holding = {hearing, i};
        struct authority authority;
        if (!authority_of(&hearing->links[i], &authority)) {
            continue;
        }
        last = i;
        struct lack lack = {.scope.size = 0};
        if (lacks_scope(&authority, question, &lack) ||
            (question->require.size != 0 &&
             !kw_requirement_met(question->require, holds_up_to, &holding, &lack.scope))) {
            kw__refuse(hearing, i, KW_CODE_INSUFFICIENT_SCOPE, decision);
            decision->missing = lack.scope;
            decision->missing_on = lack.resource;
            decision->lacks = lacks_of(&authority, &holding);
            return true;
        }
    }
    bool needs_any = question->resource.size != 0 && question->resource_scope_count == 0 && hearing->link_count > 1;
    if (needs_any && !shares_a_scope(hearing)) {
        kw__refuse(hearing, last, KW_CODE_INSUFFICIENT_SCOPE, decision);
        decision->missing = question->resource;
        decision->lacks.has_nothing_there = true;
        return true;
    }
    return false;
}

bool kw__asks_scopes(const struct kw__hearing *hearing)
{
    const struct kw_question *question = hearing->question;
    return (question->scope_count | question->resource_scope_count | question->resource.size |
            question->require.size) != 0;
}

/* Takes note of one more; what has no room is only counted. */
struct missing_list {
    struct kw_missing *items;
    size_t count, count_max;
};

static void add_missing(struct missing_list *list, struct kw_missing missing)
{
    if (list->count < list->count_max) {
        list->items[list->count] = missing;
    }
    list->count++;
}

static void add_scopes(struct missing_list *list, const uint64_t words[KW_SCOPE_COUNT_MAX / 64],
                       const struct kw_bytes *scopes, size_t scope_count, struct kw_bytes resource)
{
    for (size_t i = 0; i < scope_count && i < KW_SCOPE_COUNT_MAX; i++) {
        if ((words[i / 64] >> (i % 64) & 1) != 0) {
            add_missing(list, (struct kw_missing){.scope = scopes[i], .resource = resource});
        }
    }
}

size_t kw_lacks_list(const struct kw_lacks *lacks, const struct kw_question *question, struct kw_missing *missing_out,
                     size_t count_max)
{
    struct missing_list list = {missing_out, 0, count_max};
    struct kw_bytes parts[KW_REQUIRE_SCOPE_MAX];
    add_scopes(&list, lacks->scopes, question->scopes, question->scope_count, (struct kw_bytes){NULL, 0});
    add_scopes(&list, lacks->resource_scopes, question->resource_scopes, question->resource_scope_count,
               question->resource);
    if (lacks->has_nothing_there) {
        add_missing(&list, (struct kw_missing){.resource = question->resource});
    }
    size_t part_count = lacks->required == 0 ? 0 : kw_requirement_missing(question->require, lacks->required, parts);
    for (size_t i = 0; i < part_count; i++) {
        struct kw_missing one = {.scope = parts[i]};
        if (!kw_scope_valid(parts[i])) {
            one = (struct kw_missing){.require = parts[i]};
        }
        add_missing(&list, one);
    }
    return list.count;
}
