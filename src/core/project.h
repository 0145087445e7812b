/*
 * Projects: which environments they have, what their keys look like, how long they live, where a request carries them.
 * Two are there from the start: `default`, and `keyward`, whose keys (management keys) guard Keyward's own interface
 * and which cannot be changed. A project is read from its document (document.h) and never changes in place.
 */
#ifndef KW_CORE_PROJECT_H
#define KW_CORE_PROJECT_H

#include "core/key.h"
#include <keyward/audit.h>
#include <keyward/document.h>

/* Numbers stand for projects where names would cost too much. They are never given twice. */
enum { KW_PROJECT_NONE = 0, KW_PROJECT_DEFAULT = 1, KW_PROJECT_KEYWARD = 2 };

#define KW_ROOT_OWNER "service:root" /* holds the root key, in the project `keyward` */

/* The limits and quotas of keys that name none. */
struct kw_default_limits {
    const struct kw_rate_limit *limits;
    size_t count;
    bool is_given; /* also where there are none */
    const struct kw_quota_rule *quotas;
    size_t quota_count;
    bool has_quotas; /* the same of quotas */
};

struct kw_environment {
    struct kw_bytes name;
    struct kw_key_format secret_keys;
    struct kw_key_format public_keys;        /* an empty prefix: this environment has no public keys */
    struct kw_default_limits default_limits; /* where given, instead of the project's */
};

/* Where a request may carry a project's key. */
enum kw_key_place_kind { KW_KEY_IN_AUTHORIZATION, KW_KEY_IN_X_API_KEY, KW_KEY_IN_HEADER };

struct kw_key_place {
    enum kw_key_place_kind kind;
    struct kw_bytes header; /* as the project writes it; case does not matter */
};

/* What /v1/authorize asks of a key (profile.h), as a verification asks it. */
struct kw_profile {
    struct kw_bytes name;
    struct kw_bytes env; /* empty: any */
    const struct kw_bytes *scopes;
    size_t scope_count;
    struct kw_bytes require;
    struct kw_bytes resource; /* "website:123" */
    const struct kw_bytes *resource_scopes;
    size_t resource_scope_count;
};

#define KW_PROFILE_DEFAULT "default" /* the profile that the project's name alone stands for */

struct kw_project {
    uint16_t number;
    struct kw_bytes name;
    const struct kw_environment *environments; /* the first is what a creation gets that names none */
    size_t environment_count;
    enum kw_digest_scheme digest_scheme; /* of new keys; 0: as the store says */
    int64_t default_expires_in_ms;       /* of a key that names no expiry; 0: it has none */
    int64_t max_expires_in_ms;           /* 0: any */
    int64_t usage_retention_ms;          /* how long the days of its use are kept; 0: as usage.h says */
    int64_t event_retention_ms;          /* the same of events */
    int64_t unused_after_ms;             /* of a key without use, until key.unused is told; 0: it is not */
    struct kw_default_limits default_limits;
    const struct kw_resource_scopes *presets; /* the project's own; a preset's name stands for `resource` */
    size_t preset_count;
    const struct kw_key_place *key_places; /* in the order in which they are looked at */
    size_t key_place_count;
    struct kw_bytes key_parameter;  /* of a query; empty: never there */
    const struct kw_bytes *metrics; /* that it declares, beside those of every project */
    size_t metric_count;
    const struct kw_profile *profiles;
    size_t profile_count;
    int64_t audit_retention_ms;            /* how long the lines of its audit log are kept; 0: for ever */
    struct kw_audit_context audit_context; /* of calls that say nothing themselves */
};

/* `default` or `keyward` as they are from the start: for keys that are made before there is any store. */
const struct kw_project *kw_project_built_in(uint16_t number);

/* Whether it may be counted: requests, tokens, cost, or what the project declares. */
bool kw_project_has_metric(const struct kw_project *project, struct kw_bytes metric);

/* INVALID_FIELD, naming "quotas[1].metric", for one that the project does not have. */
KW_MUST_USE enum kw_status kw_project_admits_quotas(const struct kw_project *project,
                                                    const struct kw_quota_rule *quotas, size_t count,
                                                    struct kw_error *error_out);
/* The same of a record, whose quotas are not in the order in which they were given: it names "quotas". */
KW_MUST_USE enum kw_status kw_project_admits_record(const struct kw_project *project, const struct kw_record *record,
                                                    struct kw_error *error_out);

/* NULL when there is none. */
const struct kw_environment *kw_project_environment(const struct kw_project *project, struct kw_bytes name);

/* NULL when there is none. */
const struct kw_profile *kw_project_profile(const struct kw_project *project, struct kw_bytes name);

/* True when the key begins with a prefix of the project. */
bool kw_project_has_prefix_of(const struct kw_project *project, struct kw_bytes key);

/*
 * The scopes that a preset stands for: the project's own, or one that is built in: readOnly ("read" and "read:*") and
 * fullAccess ("*"). False when there is none of that name.
 */
KW_MUST_USE bool kw_project_preset(const struct kw_project *project, struct kw_bytes name,
                                   struct kw_resource_scopes *preset_out);

#endif
