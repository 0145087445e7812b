/* What the model knows of policies, and of the rules that hold or not whatever the time. */
#ifndef KW_TESTS_SIM_MODEL_POLICY_H
#define KW_TESTS_SIM_MODEL_POLICY_H

#include "sim/model_rights.h"

/* The fields by which a key can go beyond a policy, in the order in which they are named. */
enum model_excess {
    BEYOND_ENV,
    BEYOND_EXPIRY,
    BEYOND_IPS,
    BEYOND_RESOURCE_COUNT,
    BEYOND_SCOPES,
    BEYOND_RESOURCES,
    BEYOND_RATE_LIMITS,
    BEYOND_QUOTAS,
    EXCESSES
};
unsigned model_excess(const struct model_policy *policy, const struct model_key *key, int64_t born);

/* A key as a change leaves it, whose life began at `born`. `is_given`: the change names the policy. */
enum kw_code model_admits(const struct model *model, const struct model_key *key, int64_t born, bool is_given);
/* What a creation gets from its policy, if it names one. */
void model_take_from_policy(const struct model *model, const struct model_key *parent, struct model_params *params);

/* Whether the key has outlived its policy. */
bool model_outlived(const struct model *model, const struct model_key *key);

/* The first of the rules on places, environment, policy and scopes that refuses; `link_out` is whose it is. */
enum kw_code model_ask_rules(const struct model *model, const int *links, int count,
                             const struct model_question *question, int *link_out, bool *by_policy_out);

/* Keys from which a change of a policy takes something, in the order in which they are told, and by what. */
struct model_narrowed {
    int count;
    int keys[MODEL_KEYS_MAX];
    unsigned excess[MODEL_KEYS_MAX];
    int ancestors[MODEL_KEYS_MAX]; /* the nearest above that names the policy; -1: the key does */
};
void model_find_narrowed(const struct model *model, int policy, const struct model_policy *after,
                         struct model_narrowed *narrowed_out);
/* Keys under it that are not revoked. */
int model_policy_keys(const struct model *model, int policy);

#endif
