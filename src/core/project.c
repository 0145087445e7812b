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
    {KW_PROJECT_DEFAULT, NAME("default"), default_environments, KW_COUNT_OF(default_environments)},
    {KW_PROJECT_KEYWARD, NAME("keyward"), keyward_environments, KW_COUNT_OF(keyward_environments)},
};

const struct kw_project *kw_project_by_name(struct kw_bytes name)
{
    for (size_t i = 0; i < KW_COUNT_OF(projects); i++) {
        if (kw_bytes_equal(projects[i].name, name)) {
            return &projects[i];
        }
    }
    return NULL;
}

const struct kw_project *kw_project_by_number(uint16_t number)
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
