/* Between the model's words and the library's: what a command or question is sent as, and what a record should be. */
#ifndef KW_TESTS_SIM_WIRE_H
#define KW_TESTS_SIM_WIRE_H

#include "sim/model.h"
#include "support/test.h"

/* What a request borrows. */
struct wire {
    struct kw_key_params params;
    struct kw_bytes scopes[SCOPES], tags[TAGS];
    struct kw_bytes allowed_ips[RANGES], blocked_ips[RANGES], allowed_regions[REGIONS], blocked_regions[REGIONS];
    struct kw_resource_scopes resources[RESOURCES];
    struct kw_bytes resource_scopes[RESOURCES][SCOPES];
    struct kw_rate_limit limits[MODEL_LIMITS_MAX];
    struct kw_quota_rule quotas[MODEL_QUOTAS_MAX];
    char parent[KW_ID_TEXT_SIZE + 1];
    char require[KW_REQUIRE_MAX];
};

struct kw_change_request wire_command(const struct model *model, const struct model_command *command,
                                      struct wire *wire);
struct kw_verify_request wire_question(const char *key, const struct model_question *question, struct wire *wire);

/* Every field. */
void check_record(struct test *t, const struct model *model, int index, const struct kw_record *record);

#endif
