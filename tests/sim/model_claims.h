/* What a request of a key is held to: its own limits and quotas, and those from above that they do not keep it within.
 */
#ifndef KW_TESTS_SIM_MODEL_CLAIMS_H
#define KW_TESTS_SIM_MODEL_CLAIMS_H

#include "sim/model_spent.h"

void model_find_claims(const struct model *model, int key, struct model_weighed *weighed);

#endif
