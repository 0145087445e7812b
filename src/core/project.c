#include "core/project.h"

#include "base/bytes.h"
#include "core/document_form.h"
#include "core/quota_list.h"
#include "core/transition.h"

#define FORMAT(text) \
    { \
        .prefix = {(const uint8_t *)(text), sizeof(text) - 1}, .length = KW_KEY_LENGTH_DEFAULT, \
    }
#define NAME(text) \
    { \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

static const struct kw_environment default_environments[] = {
    {.name = NAME("live"), .secret_keys = FORMAT("sk_live_"), .public_keys = FORMAT("pk_live_")},
    {.name = NAME("test"), .secret_keys = FORMAT("sk_test_"), .public_keys = FORMAT("pk_test_")},
};

static const struct kw_environment keyward_environments[] = {
    {.name = NAME("live"), .secret_keys = FORMAT("kw_live_")},
};

static const struct kw_project projects[] = {
    {.number = KW_PROJECT_DEFAULT,
     .name = NAME("default"),
     .environments = default_environments,
     .environment_count = KW_COUNT_OF(default_environments)},
    {.number = KW_PROJECT_KEYWARD,
     .name = NAME("keyward"),
     .environments = keyward_environments,
     .environment_count = KW_COUNT_OF(keyward_environments)},
};

static const struct kw_bytes read_only[] = {NAME("read"), NAME("read:*")};
static const struct kw_bytes full_access[] = {NAME("*")};

static const struct kw_resource_scopes presets[] = {
    {NAME("readOnly"), read_only, KW_COUNT_OF(read_only)},
    {NAME("fullAccess"), full_access, KW_COUNT_OF(full_access)},
};

const struct kw_project *kw_project_built_in(uint16_t number)
{
    for (size_t i = 0; i < KW_COUNT_OF(projects); i++) {
        if (projects[i].number == number) {
            return &projects[i];
        }
    }
    return NULL;
}

const struct kw_environment *kw_project_environment(const struct kw_project *project, struct kw_bytes name)
{
    for (size_t i = 0; i < project->environment_count; i++) {
        if (kw_bytes_equal(project->environments[i].name, name)) {
            return &project->environments[i];
        }
    }
    return NULL;
}

const struct kw_profile *kw_project_profile(const struct kw_project *project, struct kw_bytes name)
{
    for (size_t i = 0; i < project->profile_count; i++) {
        if (kw_bytes_equal(project->profiles[i].name, name)) {
            return &project->profiles[i];
        }
    }
    return NULL;
}

bool kw_project_has_prefix_of(const struct kw_project *project, struct kw_bytes key)
{
    for (size_t i = 0; i < project->environment_count; i++) {
        const struct kw_environment *environment = &project->environments[i];
        struct kw_bytes of_public = environment->public_keys.prefix;
        if (kw_bytes_starts_with(key, environment->secret_keys.prefix) ||
            (of_public.size > 0 && kw_bytes_starts_with(key, of_public))) {
            return true;
        }
    }
    return false;
}

static bool find_preset(const struct kw_resource_scopes *list, size_t count, struct kw_bytes name,
                        struct kw_resource_scopes *preset_out)
{
    for (size_t i = 0; i < count; i++) {
        if (kw_bytes_equal(list[i].resource, name)) {
            *preset_out = list[i];
            return true;
        }
    }
    return false;
}

bool kw_project_preset(const struct kw_project *project, struct kw_bytes name, struct kw_resource_scopes *preset_out)
{
    return find_preset(project->presets, project->preset_count, name, preset_out) ||
           find_preset(presets, KW_COUNT_OF(presets), name, preset_out);
}

bool kw_project_has_metric(const struct kw_project *project, struct kw_bytes metric)
{
    static const struct kw_bytes everywhere[] = {NAME("requests"), NAME("tokens"), NAME("cost")};
    bool found = false;
    for (size_t i = 0; !found && i < KW_COUNT_OF(everywhere); i++) {
        found = kw_bytes_equal(everywhere[i], metric);
    }
    for (size_t i = 0; !found && i < project->metric_count; i++) {
        found = kw_bytes_equal(project->metrics[i], metric);
    }
    return found;
}

/* The metric passed its check, or stands in a record: it holds nothing that may not be shown. */
static enum kw_status refuse_metric(const char *field, struct kw_bytes metric, struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, field,
                     "\"%.*s\" is no metric of this project: say requests, tokens or cost, or add it to the project's "
                     "metrics",
                     (int)metric.size, (const char *)metric.data);
}

enum kw_status kw_project_admits_quotas(const struct kw_project *project, const struct kw_quota_rule *quotas,
                                        size_t count, struct kw_error *error_out)
{
    for (size_t i = 0; i < count; i++) {
        struct kw_bytes metric = kw_quota_metric(&quotas[i]);
        /* What is no name of a metric at all is refused with the rest of the quota. */
        if (kw_metric_valid(metric) && !kw_project_has_metric(project, metric)) {
            return kw__document_under(refuse_metric("metric", metric, error_out), "quotas", i, error_out);
        }
    }
    return KW_OK;
}

enum kw_status kw_project_admits_record(const struct kw_project *project, const struct kw_record *record,
                                        struct kw_error *error_out)
{
    struct kw_bytes rest = record->quotas.packed;
    struct kw_quota_rule quota;
    while (kw_quota_rules_next(&rest, &quota)) {
        if (!kw_project_has_metric(project, quota.metric)) {
            return refuse_metric("quotas", quota.metric, error_out);
        }
    }
    return KW_OK;
}
