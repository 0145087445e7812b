/* Which limits and quotas a request of a key is held to. */
#include "sim/model_claims.h"

#include <stdio.h>

/* Where limits are from: the key itself, policies, ancestors. */
struct source {
    const struct model_limits *limits;
    char name[24];        /* "" for the key itself */
    int ancestor, policy; /* as in a claim */
    bool gives_limits, gives_quotas;
};

#define SOURCES_MAX (2 * (MODEL_DEPTH_MAX + 2))

/* Beside the key's own those that these do not keep it within. */
static struct source *add_source(struct source *sources, int *count, const struct model_limits *limits,
                                 const char *name)
{
    struct source *source = &sources[(*count)++];
    source->ancestor = source->policy = -1;
    snprintf(source->name, sizeof source->name, "%s", name);
    source->limits = limits;
    source->gives_limits = *count == 1 || !model_rates_within(sources[0].limits, limits);
    source->gives_quotas = *count == 1 || !model_quotas_within(sources[0].limits, limits);
    return source;
}

static int find_sources(const struct model *model, int key, struct source *sources)
{
    char name[24];
    int count = 0, ancestor = -1;
    (void)add_source(sources, &count, &model->keys[key].limits, "");
    while (key >= 0) {
        int policy = model->keys[key].policy;
        if (policy >= 0 && model->policies[policy].is_there) {
            snprintf(name, sizeof name, "policy:%d:", policy);
            struct source *source = add_source(sources, &count, &model->policies[policy].limits, name);
            source->policy = policy;
            source->ancestor = ancestor;
        }
        int parent = model->keys[key].parent;
        key = ancestor = parent < 0 ? -1 : model_newest(model, parent);
        if (key >= 0) {
            snprintf(name, sizeof name, "parent:%d:", parent);
            add_source(sources, &count, &model->keys[key].limits, name)->ancestor = key;
        }
    }
    return count;
}

/* Those of one name are told apart by how many came before. */
static struct model_claim *add(struct model_weighed *weighed, const struct model_key *key, enum kw_limit_per per,
                               const char *source, const char *name)
{
    struct model_claim *claim = &weighed->claims[weighed->count++];
    int before = 0;
    *claim = (struct model_claim){.throttled_by = -1};
    if (per == KW_PER_KEY) {
        snprintf(claim->account, sizeof claim->account, "key %d", key->line);
    } else if (per == KW_PER_OWNER) {
        snprintf(claim->account, sizeof claim->account, "owner %s", key->owner);
    } else { /* who has no organisation is one by itself */
        snprintf(claim->account, sizeof claim->account, "org %s", key->org[0] == '\0' ? key->owner : key->org);
    }
    for (int i = 0; i < weighed->count - 1; i++) {
        const struct model_claim *other = &weighed->claims[i];
        size_t size = strcspn(other->id, "#");
        before += strcmp(other->account, claim->account) == 0 && strlen(source) + strlen(name) == size &&
                  strncmp(other->id, source, strlen(source)) == 0 &&
                  strncmp(other->id + strlen(source), name, strlen(name)) == 0;
    }
    int size = snprintf(claim->id, sizeof claim->id, "%s%s", source, name);
    if (before > 0) {
        snprintf(claim->id + size, sizeof claim->id - (size_t)size, "#%d", before);
    }
    return claim;
}

static void set_owner(struct model_claim *claim, const struct source *source)
{
    claim->ancestor = source->ancestor;
    claim->policy = source->policy;
}

static struct model_claim *add_quota(struct model_weighed *weighed, const struct model_key *key, int64_t born,
                                     const struct model_quota *quota)
{
    char what[48];
    snprintf(what, sizeof what, "%s/%d/%d", quota->metric, (int)quota->period, (int)quota->anchor);
    struct model_claim *claim = add(weighed, key, quota->per, "", what);
    claim->is_quota = true;
    claim->quota = *quota;
    claim->born = quota->anchor == KW_ANCHOR_CREATED ? born : 0;
    claim->is_second = strchr(claim->id, '#') != NULL; /* it counts the same */
    *(claim->id + strcspn(claim->id, "#")) = '\0';
    return claim;
}

/* A quota that throttles brings a limit. Where two on the same do, nobody says which is which. */
static void add_throttle(struct model_weighed *weighed, const struct model_key *key, int at)
{
    struct model_quota quota = weighed->claims[at].quota;
    char what[72];
    snprintf(what, sizeof what, "%.40s", weighed->claims[at].id);
    struct model_claim *claim = add(weighed, key, quota.per, "~", what);
    claim->limit = quota.throttle;
    claim->limit.name = quota.name;
    claim->throttled_by = at;
    claim->ancestor = weighed->claims[at].ancestor;
    claim->policy = weighed->claims[at].policy;
    claim->is_ambiguous = strchr(claim->id, '#') != NULL;
    *(claim->id + strcspn(claim->id, "#")) = '\0';
    for (int i = 0; i < weighed->count - 1 && claim->is_ambiguous; i++) {
        struct model_claim *other = &weighed->claims[i];
        bool is_same = strcmp(other->id, claim->id) == 0 && strcmp(other->account, claim->account) == 0;
        other->is_ambiguous = other->is_ambiguous || is_same;
    }
}

void model_find_claims(const struct model *model, int key, struct model_weighed *weighed)
{
    struct source sources[SOURCES_MAX];
    int count = find_sources(model, key, sources);
    const struct model_key *asked = &model->keys[key];
    int64_t born = 0; /* of the first of its line, as its id says */
    for (int i = 0; i < 6; i++) {
        born = born << 8 | model->keys[asked->line].id.bytes[i];
    }
    weighed->count = 0;
    for (int i = 0; i < count; i++) {
        for (int n = 0; sources[i].gives_quotas && n < sources[i].limits->quota_count; n++) {
            set_owner(add_quota(weighed, asked, born, &sources[i].limits->quotas[n]), &sources[i]);
        }
    }
    int quotas = weighed->count;
    for (int i = 0; i < quotas; i++) {
        if (weighed->claims[i].quota.on_exceeded == KW_QUOTA_THROTTLE) {
            add_throttle(weighed, asked, i);
        }
    }
    for (int i = 0; i < count; i++) {
        for (int n = 0; sources[i].gives_limits && n < sources[i].limits->limit_count; n++) {
            const struct model_limit *limit = &sources[i].limits->limits[n];
            struct model_claim *claim = add(weighed, asked, limit->per, sources[i].name, limit->name);
            claim->limit = *limit;
            set_owner(claim, &sources[i]);
        }
    }
}
