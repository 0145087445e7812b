#include "base/error.h"
#include "core/document_form.h"
#include "core/internal.h"
#include "core/quota_list.h"
#include "core/transition.h"

#define SCRATCH_MAX ((size_t)64 * 1024)

/* The environments that a policy, template, webhook or channel names; of a project none. */
static size_t environments_in(const struct kw_document *document, const struct kw_bytes **names_out)
{
    if (document == NULL || document->kind == KW_DOCUMENT_PROJECT) {
        return 0;
    }
    if (document->kind == KW_DOCUMENT_WEBHOOK) {
        *names_out = document->is.webhook.subscription.environments;
        return document->is.webhook.subscription.environment_count;
    }
    if (document->kind == KW_DOCUMENT_CHANNEL) {
        *names_out = document->is.channel.subscription.environments;
        return document->is.channel.subscription.environment_count;
    }
    bool is_policy = document->kind == KW_DOCUMENT_POLICY;
    const struct kw_bytes *one = &document->is.template.params.env;
    *names_out = is_policy ? document->is.policy.environments : one;
    return is_policy ? document->is.policy.environment_count : one->size > 0;
}

static bool names_environment(const struct kw_document *document, struct kw_bytes name)
{
    const struct kw_bytes *names = NULL;
    size_t count = environments_in(document, &names);
    for (size_t i = 0; i < count; i++) {
        if (kw_bytes_equal(names[i], name)) {
            return true;
        }
    }
    return false;
}

static struct kw_bytes preset_in(const struct kw_document *document)
{
    return document != NULL && document->kind == KW_DOCUMENT_TEMPLATE ? document->is.template.preset
                                                                      : (struct kw_bytes){NULL, 0};
}

struct quotas {
    const struct kw_quota_rule *rules;
    size_t count;
};

static struct quotas quotas_in(const struct kw_document *document)
{
    if (document == NULL || (document->kind != KW_DOCUMENT_POLICY && document->kind != KW_DOCUMENT_TEMPLATE)) {
        return (struct quotas){NULL, 0};
    }
    const struct kw_key_params *fields = &document->is.template.params;
    const struct kw_default_limits *limits = &document->is.policy.default_limits;
    return document->kind == KW_DOCUMENT_POLICY ? (struct quotas){limits->quotas, limits->quota_count}
                                                : (struct quotas){fields->quotas, fields->quota_count};
}

/* False without memory. */
static bool are_equal(const struct quotas *a, const struct quotas *b, bool *equal_out)
{
    struct kw_list packed[2];
    struct kw_arena scratch;
    kw_arena_init(&scratch, NULL, 0, SCRATCH_MAX);
    bool has_memory = kw_quotas_pack(&scratch, a->rules, a->count, &packed[0]) &&
                      kw_quotas_pack(&scratch, b->rules, b->count, &packed[1]);
    *equal_out = has_memory && kw_bytes_equal(packed[0].packed, packed[1].packed);
    kw_arena_reset(&scratch);
    return has_memory;
}

static enum kw_status check_quotas(const struct kw_project *project, const struct kw_document *before,
                                   const struct kw_document *after, struct kw_error *error_out)
{
    struct quotas had = quotas_in(before);
    struct quotas has = quotas_in(after);
    bool equal = false;
    if (!are_equal(&had, &has, &equal)) {
        return kw__no_memory(error_out);
    }
    enum kw_status status = equal ? KW_OK : kw_project_admits_quotas(project, has.rules, has.count, error_out);
    if (status != KW_OK && after->kind == KW_DOCUMENT_TEMPLATE) {
        kw_error_nest(error_out, "fields");
    }
    return status;
}

static enum kw_status check_regions(const struct kw_document *before, const struct kw_document *after,
                                    struct kw_error *error_out)
{
    if (after->kind != KW_DOCUMENT_TEMPLATE) {
        return KW_OK;
    }
    enum kw_status status = kw_key_regions_check(&after->is.template.params,
                                                 before == NULL ? NULL : &before->is.template.params, error_out);
    if (status != KW_OK) {
        kw_error_nest(error_out, "fields");
    }
    return status;
}

static struct kw_bytes policy_in(const struct kw_document *document)
{
    return document != NULL && document->kind == KW_DOCUMENT_TEMPLATE ? document->is.template.params.policy
                                                                      : (struct kw_bytes){NULL, 0};
}

struct kw_bytes kw_document_new_policy(const struct kw_document *before, const struct kw_document *after)
{
    struct kw_bytes policy = policy_in(after);
    return kw_bytes_equal(policy, policy_in(before)) ? (struct kw_bytes){NULL, 0} : policy;
}

enum kw_status kw_document_refuse_policy(struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, KW_DOCUMENT_POLICY_FIELD,
                     "there is no such policy in this project");
}

enum kw_status kw_document_fits(const struct kw_project *project, const struct kw_document *before,
                                const struct kw_document *after, struct kw_error *error_out)
{
    const struct kw_bytes *names = NULL;
    size_t count = environments_in(after, &names);
    for (size_t i = 0; i < count; i++) {
        if (kw_project_environment(project, names[i]) != NULL || names_environment(before, names[i])) {
            continue;
        }
        if (after->kind == KW_DOCUMENT_TEMPLATE) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "fields.env",
                             "there is no such environment in this project");
        }
        return kw__document_under(
            kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "there is no such environment in this project"),
            "environments", i, error_out);
    }
    struct kw_resource_scopes scopes;
    struct kw_bytes preset = preset_in(after);
    if (preset.size == 0 || kw_bytes_equal(preset, preset_in(before)) || kw_project_preset(project, preset, &scopes)) {
        enum kw_status status = check_quotas(project, before, after, error_out);
        return status == KW_OK ? check_regions(before, after, error_out) : status;
    }
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "fields.preset", "there is no such preset in this project");
}
