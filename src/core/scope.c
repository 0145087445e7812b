#include "core/scope.h"

#include "core/internal.h"

enum {
    IN_SCOPE = 1 << 0,
    IN_TYPE = 1 << 1,
    IN_ID = 1 << 2,
};

#define ALL (IN_SCOPE | IN_TYPE | IN_ID)
#define BOTH (IN_SCOPE | IN_ID)

/* A table, since scopes are checked on the way of every verification that names some. */
static const uint8_t classes[256] = {
    ['a'] = ALL,  ['b'] = ALL,  ['c'] = ALL,  ['d'] = ALL,  ['e'] = ALL,   ['f'] = ALL,  ['g'] = ALL,  ['h'] = ALL,
    ['i'] = ALL,  ['j'] = ALL,  ['k'] = ALL,  ['l'] = ALL,  ['m'] = ALL,   ['n'] = ALL,  ['o'] = ALL,  ['p'] = ALL,
    ['q'] = ALL,  ['r'] = ALL,  ['s'] = ALL,  ['t'] = ALL,  ['u'] = ALL,   ['v'] = ALL,  ['w'] = ALL,  ['x'] = ALL,
    ['y'] = ALL,  ['z'] = ALL,  ['0'] = ALL,  ['1'] = ALL,  ['2'] = ALL,   ['3'] = ALL,  ['4'] = ALL,  ['5'] = ALL,
    ['6'] = ALL,  ['7'] = ALL,  ['8'] = ALL,  ['9'] = ALL,  ['_'] = ALL,   ['-'] = ALL,  ['A'] = BOTH, ['B'] = BOTH,
    ['C'] = BOTH, ['D'] = BOTH, ['E'] = BOTH, ['F'] = BOTH, ['G'] = BOTH,  ['H'] = BOTH, ['I'] = BOTH, ['J'] = BOTH,
    ['K'] = BOTH, ['L'] = BOTH, ['M'] = BOTH, ['N'] = BOTH, ['O'] = BOTH,  ['P'] = BOTH, ['Q'] = BOTH, ['R'] = BOTH,
    ['S'] = BOTH, ['T'] = BOTH, ['U'] = BOTH, ['V'] = BOTH, ['W'] = BOTH,  ['X'] = BOTH, ['Y'] = BOTH, ['Z'] = BOTH,
    ['.'] = BOTH, ['/'] = BOTH, ['@'] = BOTH, ['+'] = BOTH, [':'] = IN_ID,
};

#undef ALL
#undef BOTH

/* The classes that every byte is in. Without a branch a byte: most texts are short, and right. */
static uint8_t common_classes(struct kw_bytes text)
{
    uint8_t common = text.size == 0 ? 0 : UINT8_MAX;
    for (size_t i = 0; i < text.size; i++) {
        common &= classes[text.data[i]];
    }
    return common;
}

static bool is_of_class(struct kw_bytes text, uint8_t class)
{
    return (common_classes(text) & class) != 0;
}

static bool is_star(struct kw_bytes text)
{
    return text.size == 1 && text.data[0] == '*';
}

/* Segments between colons, none of them empty, the last one possibly a star. */
static bool segments_valid(struct kw_bytes scope)
{
    bool at_segment = true; /* a segment begins here */
    for (size_t i = 0; i < scope.size; i++) {
        uint8_t c = scope.data[i];
        if ((classes[c] & IN_SCOPE) != 0) {
            at_segment = false;
        } else if (c == ':' && !at_segment) {
            at_segment = true;
        } else {
            return c == '*' && at_segment && i + 1 == scope.size;
        }
    }
    return !at_segment;
}

bool kw_scope_valid(struct kw_bytes scope)
{
    if (scope.size == 0 || scope.size > KW_SCOPE_MAX) {
        return false;
    }
    return is_of_class(scope, IN_SCOPE) || segments_valid(scope);
}

bool kw_resource_valid(struct kw_bytes resource)
{
    if (resource.size == 0 || resource.size > KW_RESOURCE_MAX) {
        return false;
    }
    size_t type_size = 0;
    while (type_size < resource.size && (classes[resource.data[type_size]] & IN_TYPE) != 0) {
        type_size++;
    }
    if (type_size == 0 || type_size == resource.size || resource.data[type_size] != ':') {
        return is_star(resource);
    }
    struct kw_bytes id = kw_bytes_skip(resource, type_size + 1);
    return is_of_class(id, IN_ID) || is_star(id);
}

/*
 * One rule for scopes and resources: both are valid, so a star stands only where everything after it is meant, and what
 * stands before it ("read:", "website:", nothing) is a prefix of what it covers.
 */
static inline bool covers(struct kw_bytes granted, struct kw_bytes wanted)
{
    if (granted.data[granted.size - 1] == '*') {
        return wanted.size >= granted.size && kw__same(wanted.data, granted.data, granted.size - 1);
    }
    return kw_bytes_equal(wanted, granted);
}

/* What equals a grant is a scope as it is; only what a star lets pass has to be looked at, from the star's place on. */
static inline bool scope_covers(struct kw_bytes granted, struct kw_bytes wanted)
{
    return covers(granted, wanted) &&
           (granted.data[granted.size - 1] != '*' ||
            (wanted.size <= KW_SCOPE_MAX && kw_scope_valid(kw_bytes_skip(wanted, granted.size - 1))));
}

bool kw_scope_covers(struct kw_bytes granted, struct kw_bytes wanted)
{
    return granted.size != 0 && scope_covers(granted, wanted);
}

bool kw_resource_covers(struct kw_bytes granted, struct kw_bytes wanted)
{
    return granted.size != 0 && covers(granted, wanted);
}

static __attribute__((noinline)) bool any_covers(struct kw_bytes rest, struct kw_bytes wanted)
{
    struct kw_bytes granted;
    while (kw__list_next(&rest, &granted)) {
        if (granted.size != 0 && scope_covers(granted, wanted)) {
            return true;
        }
    }
    return false;
}

/*
 * Most scopes are short, and most of those that are held do not cover what is asked for: so each is looked at in as few
 * steps as can be, without a call. Where a star lets the text's beginning pass, no other scope says more of its end.
 */
bool kw_scopes_allow(struct kw_bytes granted, struct kw_bytes wanted)
{
    const uint8_t *at = granted.data;
    const uint8_t *end = at + granted.size;
    while (wanted.size <= KW__SHORT && at < end && *at < 0x80) {
        size_t size = *at++;
        if (size > (size_t)(end - at)) {
            return false;
        }
        if (size == wanted.size && size != 0 && kw__same_short(at, wanted.data, size)) {
            return true;
        }
        if (size <= wanted.size && at[(ptrdiff_t)size - 1] == '*' && kw__same_short(at, wanted.data, size - 1)) {
            return kw_scope_valid(kw_bytes_skip(wanted, size - 1));
        }
        at += size;
    }
    return at < end && any_covers(kw_bytes_of(at, (size_t)(end - at)), wanted);
}

bool kw_resources_allow(struct kw_bytes scopes, struct kw_bytes resources, struct kw_bytes resource,
                        struct kw_bytes wanted)
{
    if (kw_scopes_allow(scopes, wanted)) {
        return true;
    }
    struct kw_bytes granted;
    struct kw_bytes packed;
    while (kw__list_next(&resources, &granted) && kw__list_next(&resources, &packed)) {
        if (kw_resource_covers(granted, resource) && kw_scopes_allow(packed, wanted)) {
            return true;
        }
    }
    return false;
}

bool kw_resources_next(struct kw_bytes *rest, struct kw_bytes *resource_out, struct kw_list *scopes_out)
{
    struct kw_bytes after = *rest;
    struct kw_bytes resource;
    struct kw_list scopes = {.count = 0};
    if (!kw__list_next(&after, &resource) || !kw__list_next(&after, &scopes.packed)) {
        return false;
    }
    struct kw_bytes left = scopes.packed;
    struct kw_bytes scope;
    while (kw__list_next(&left, &scope)) {
        scopes.count++;
    }
    *rest = after;
    *resource_out = resource;
    *scopes_out = scopes;
    return true;
}

/*
 * One by one is enough: there are always more scopes and resources than any list names, so what a wildcard grants can
 * not be put together from grants that are narrower than it.
 */
bool kw_authority_beyond(const struct kw_list *inner_scopes, const struct kw_list *inner_resources,
                         const struct kw_list *outer_scopes, const struct kw_list *outer_resources,
                         struct kw_bytes *scope_out, struct kw_bytes *resource_out)
{
    struct kw_bytes rest = inner_scopes->packed;
    struct kw_bytes scope;
    while (kw__list_next(&rest, &scope)) {
        if (!kw_scopes_allow(outer_scopes->packed, scope)) {
            *scope_out = scope;
            *resource_out = KW_BYTES("");
            return true;
        }
    }
    rest = inner_resources->packed;
    struct kw_bytes resource;
    struct kw_bytes scopes;
    while (kw__list_next(&rest, &resource) && kw__list_next(&rest, &scopes)) {
        while (kw__list_next(&scopes, &scope)) {
            if (!kw_resources_allow(outer_scopes->packed, outer_resources->packed, resource, scope)) {
                *scope_out = scope;
                *resource_out = resource;
                return true;
            }
        }
    }
    return false;
}

bool kw_authority_within(const struct kw_list *inner_scopes, const struct kw_list *inner_resources,
                         const struct kw_list *outer_scopes, const struct kw_list *outer_resources)
{
    struct kw_bytes scope;
    struct kw_bytes resource;
    return !kw_authority_beyond(inner_scopes, inner_resources, outer_scopes, outer_resources, &scope, &resource);
}

/* --- what several leave together --- */

struct sharing {
    const struct kw_authority *links;
    size_t count;
    const struct kw_authority *outer;
    size_t *budget;
};

/* On the resource, or on none where it is empty. */
static bool holds(const struct kw_authority *authority, struct kw_bytes resource, struct kw_bytes scope)
{
    return resource.size == 0
               ? kw_scopes_allow(authority->scopes.packed, scope)
               : kw_resources_allow(authority->scopes.packed, authority->resources.packed, resource, scope);
}

static bool is_shared_beyond(const struct sharing *sharing, struct kw_bytes resource, struct kw_bytes scope)
{
    if (*sharing->budget == 0) {
        return true;
    }
    --*sharing->budget;
    bool is_beyond = !holds(sharing->outer, resource, scope);
    for (size_t i = 0; i < sharing->count && is_beyond; i++) {
        is_beyond = holds(&sharing->links[i], resource, scope);
    }
    return is_beyond;
}

/* The scope on no resource, and on all that any of the links names. */
static bool is_scope_beyond(const struct sharing *sharing, struct kw_bytes scope)
{
    bool is_beyond = is_shared_beyond(sharing, (struct kw_bytes){NULL, 0}, scope);
    for (size_t i = 0; i < sharing->count && !is_beyond; i++) {
        struct kw_bytes rest = sharing->links[i].resources.packed;
        struct kw_bytes resource;
        struct kw_bytes scopes;
        while (!is_beyond && kw__list_next(&rest, &resource) && kw__list_next(&rest, &scopes)) {
            is_beyond = is_shared_beyond(sharing, resource, scope);
        }
    }
    return is_beyond;
}

static bool are_scopes_beyond(const struct sharing *sharing, struct kw_bytes packed)
{
    struct kw_bytes scope;
    bool is_beyond = false;
    while (!is_beyond && kw__list_next(&packed, &scope)) {
        is_beyond = is_scope_beyond(sharing, scope);
    }
    return is_beyond;
}

/* Where two wildcards both hold, the narrower one is what they share. So all that links share is made of a scope that
 * one of them names, on a resource that one of them names. */
bool kw_authority_shared_beyond(const struct kw_authority *links, size_t count, const struct kw_authority *outer,
                                size_t *budget)
{
    const struct sharing sharing = {links, count, outer, budget};
    bool is_beyond = false;
    for (size_t i = 0; i < count && !is_beyond; i++) {
        struct kw_bytes rest = links[i].resources.packed;
        struct kw_bytes resource;
        struct kw_bytes scopes;
        is_beyond = are_scopes_beyond(&sharing, links[i].scopes.packed);
        while (!is_beyond && kw__list_next(&rest, &resource) && kw__list_next(&rest, &scopes)) {
            is_beyond = are_scopes_beyond(&sharing, scopes);
        }
    }
    return is_beyond;
}
