/*
 * A small world of scopes, resources, addresses and places, in which a record is a few sets: what a slow and obvious
 * model decides by. Records are drawn together with their sets.
 */
#ifndef KW_TESTS_UNIT_CORE_WORLD_H
#define KW_TESTS_UNIT_CORE_WORLD_H

#include "records.h"

#define WORLD_NOW_MS (RECORD_BORN_MS + 100000)

enum { SCOPES = 4, RESOURCES = 3, ADDRESSES = 5, PLACES = 5 };
extern const char *const world_scopes[SCOPES];
extern const char *const world_resources[RESOURCES];
extern const char *const world_addresses[ADDRESSES];
extern const struct world_place {
    const char *country, *region;
} world_places[PLACES];

/* One record of the chain, as sets. */
struct rule {
    bool revoked, expired, disabled;
    bool is_policy, violated; /* what the key's policy says, which the key itself violates */
    bool has_ips, has_regions;
    unsigned ips, regions; /* that are let in */
    unsigned global;       /* scopes that hold everywhere */
    unsigned on[RESOURCES];
    const char *env;
    int64_t expires_at_ms;
};

bool once_in(struct test *t, uint64_t n);

/* Scopes and resources, and which they cover, are added to the rule. */
void draw_scopes(struct test *t, struct kw_arena *arena, struct rule *rule, struct kw_record *record);
void draw_places(struct test *t, struct kw_arena *arena, struct rule *rule, struct kw_record *record);
/* `trouble`: one in how many has it. */
struct kw_record draw_record(struct test *t, struct kw_arena *arena, uint64_t trouble, struct rule *rule);

#endif
