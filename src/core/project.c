#include "core/project.h"

#include "base/bytes.h"

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
