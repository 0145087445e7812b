#include "core/document_form.h"
#include "core/transition.h"

/* The environments that a policy or template names; of a project none. */
static size_t environments_in(const struct kw_document *document, const struct kw_bytes **names_out)
{
    if (document == NULL || document->kind == KW_DOCUMENT_PROJECT) {
        return 0;
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
        return KW_OK;
    }
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "fields.preset", "there is no such preset in this project");
}
