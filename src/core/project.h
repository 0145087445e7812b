/*
 * Projects and their environments: which prefixes their keys carry. Two projects are built in: `default`, and
 * `keyward`, whose keys (management keys) guard Keyward's own interface.
 */
#ifndef KW_CORE_PROJECT_H
#define KW_CORE_PROJECT_H

#include "core/key.h"

/* Numbers stand for projects where names would cost too much. */
enum { KW_PROJECT_NONE = 0, KW_PROJECT_DEFAULT = 1, KW_PROJECT_KEYWARD = 2 };

#define KW_ROOT_OWNER "service:root" /* holds the root key, in the project `keyward` */

struct kw_environment {
    struct kw_bytes name;
    struct kw_key_format secret_keys;
    struct kw_key_format public_keys; /* an empty prefix: this environment has no public keys */
};

struct kw_project {
    uint16_t number;
    struct kw_bytes name;
    const struct kw_environment *environments; /* the first is what a creation gets that names none */
    size_t environment_count;
};

/* NULL when there is none. */
const struct kw_project *kw_project_by_name(struct kw_bytes name);
const struct kw_project *kw_project_by_number(uint16_t number);
const struct kw_environment *kw_project_environment(const struct kw_project *project, struct kw_bytes name);

/* True when the key begins with a prefix of the project. */
bool kw_project_has_prefix_of(const struct kw_project *project, struct kw_bytes key);

#endif
