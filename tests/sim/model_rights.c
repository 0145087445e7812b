#include "sim/model_rights.h"

#include <string.h>

const char *const model_scopes[SCOPES] = {"*", "admin", "invoices:*", "invoices:read", "read", "write"};
const char *const model_resources[RESOURCES] = {"*", "app:1", "website:*", "website:1", "website:2"};
const char *const model_ranges[RANGES] = {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "192.0.2.0/24", "2001:db8::/32"};
const char *const model_regions[REGIONS] = {"DE", "EU", "JP", "US", "US-CA"};
const char *const model_tags[TAGS] = {"blue", "green", "red"};
const char *const model_addresses[ADDRESSES] = {"10.1.2.3", "10.1.9.9", "::ffff:10.2.0.1", "192.0.2.7", "2001:db8::7"};
const char *const model_places[PLACES][2] = {{"DE", ""}, {"FR", ""}, {"US", ""}, {"US", "US-CA"}, {"JP", ""}};

/* Which ranges lie in which, and hold which of the addresses; by hand. */
static const unsigned range_within[RANGES] = {0x01, 0x03, 0x07, 0x08, 0x10};  /* of range i: those that cover it */
static const unsigned address_in[ADDRESSES] = {0x07, 0x03, 0x01, 0x08, 0x10}; /* of address i */
static const unsigned region_within[REGIONS] = {0x03, 0x02, 0x04, 0x08, 0x18};
static const unsigned place_in[PLACES] = {0x03, 0x02, 0x08, 0x18, 0x04};
static const unsigned place_may_be_in[PLACES] = {0x03, 0x02, 0x18, 0x18, 0x04}; /* California, if nobody says */

/* "read:*" covers what begins with "read:", "*" everything; scopes and resources alike. */
static bool covers(const char *granted, const char *wanted)
{
    size_t size = strlen(granted);
    if (granted[size - 1] == '*') {
        return strncmp(granted, wanted, size - 1) == 0;
    }
    return strcmp(granted, wanted) == 0;
}

bool model_allows(unsigned granted, int wanted)
{
    for (int i = 0; i < SCOPES; i++) {
        if ((granted >> i & 1) != 0 && covers(model_scopes[i], model_scopes[wanted])) {
            return true;
        }
    }
    return false;
}

bool model_allows_on(const struct model_rights *rights, int resource, int wanted)
{
    for (int i = 0; i < RESOURCES; i++) {
        if (rights->resources[i] != 0 && covers(model_resources[i], model_resources[resource]) &&
            model_allows(rights->resources[i], wanted)) {
            return true;
        }
    }
    return model_allows(rights->scopes, wanted);
}

bool model_scopes_within(const struct model_rights *inner, const struct model_rights *outer)
{
    for (int i = 0; i < SCOPES; i++) {
        if ((inner->scopes >> i & 1) != 0 && !model_allows(outer->scopes, i)) {
            return false;
        }
    }
    for (int resource = 0; resource < RESOURCES; resource++) {
        for (int i = 0; i < SCOPES; i++) {
            if ((inner->resources[resource] >> i & 1) != 0 && !model_allows_on(outer, resource, i)) {
                return false;
            }
        }
    }
    return true;
}

/* Every one of `inner` lies in one of `outer`. */
static bool set_within(const unsigned *within, unsigned inner, unsigned outer)
{
    for (int i = 0; inner >> i != 0; i++) {
        if ((inner >> i & 1) != 0 && (within[i] & outer) == 0) {
            return false;
        }
    }
    return true;
}

bool model_lists_within(const struct model_rights *inner, const struct model_rights *outer)
{
    return (inner->allowed_ips == 0 || outer->allowed_ips == 0 ||
            set_within(range_within, inner->allowed_ips, outer->allowed_ips)) &&
           (inner->allowed_regions == 0 || outer->allowed_regions == 0 ||
            set_within(region_within, inner->allowed_regions, outer->allowed_regions));
}

bool model_places_within(const struct model_rights *inner, const struct model_rights *outer)
{
    bool frees_ips = outer->allowed_ips != 0 && inner->allowed_ips == 0;
    bool frees_regions = outer->allowed_regions != 0 && inner->allowed_regions == 0;
    return !frees_ips && !frees_regions && model_lists_within(inner, outer) &&
           set_within(range_within, outer->blocked_ips, inner->blocked_ips) &&
           set_within(region_within, outer->blocked_regions, inner->blocked_regions);
}

bool model_address_passes(const struct model_rights *rights, int address)
{
    if ((rights->allowed_ips | rights->blocked_ips) == 0) {
        return true;
    }
    return address >= 0 && (address_in[address] & rights->blocked_ips) == 0 &&
           (rights->allowed_ips == 0 || (address_in[address] & rights->allowed_ips) != 0);
}

bool model_place_passes(const struct model_rights *rights, int place)
{
    if ((rights->allowed_regions | rights->blocked_regions) == 0) {
        return true;
    }
    return place >= 0 && (place_may_be_in[place] & rights->blocked_regions) == 0 &&
           (rights->allowed_regions == 0 || (place_in[place] & rights->allowed_regions) != 0);
}

/* Whether the key has anything on the resource. */
static bool has_any_on(const struct model_rights *rights, int resource)
{
    bool has = rights->scopes != 0;
    for (int i = 0; i < RESOURCES; i++) {
        has = has || (rights->resources[i] != 0 && covers(model_resources[i], model_resources[resource]));
    }
    return has;
}

bool model_holds(const struct model_rights *rights, const struct model_question *question)
{
    for (int i = 0; i < SCOPES; i++) {
        if (((question->scopes >> i & 1) != 0 && !model_allows(rights->scopes, i)) ||
            (question->resource >= 0 && (question->resource_scopes >> i & 1) != 0 &&
             !model_allows_on(rights, question->resource, i))) {
            return false;
        }
    }
    return question->resource < 0 || question->resource_scopes != 0 || has_any_on(rights, question->resource);
}

/* Each word of the requirement must be held by all of them. */
static bool all_allow(const struct model_rights *const *links, int count, int scope)
{
    for (int i = 0; i < count; i++) {
        if (!model_allows(links[i]->scopes, scope)) {
            return false;
        }
    }
    return true;
}

bool model_meets(const struct model_rights *const *links, int count, const struct model_question *question)
{
    bool first = all_allow(links, count, question->words[0]);
    bool second = all_allow(links, count, question->words[1]);
    bool third = all_allow(links, count, question->words[2]);
    switch (question->require) {
    case REQUIRE_BOTH:
        return first && second;
    case REQUIRE_EITHER:
        return first || second;
    case REQUIRE_NESTED:
        return first && (second || third);
    default:
        return true;
    }
}

bool model_share_a_scope(const struct model_rights *const *links, int count, int resource)
{
    for (int scope = 0; scope < SCOPES; scope++) {
        bool shared = true;
        for (int i = 0; i < count; i++) {
            shared = shared && model_allows_on(links[i], resource, scope);
        }
        if (shared) {
            return true;
        }
    }
    return false;
}
