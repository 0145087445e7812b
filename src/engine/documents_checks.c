#include "engine/documents.h"

#include "base/bytes.h"
#include "base/error.h"
#include "engine/narrowed.h"

static enum kw_status see_one(void *context, const struct kw_store_row *row)
{
    (void)row;
    *(bool *)context = true;
    return KW_OK;
}

/* Whether a project, or an environment of it, has keys. */
static enum kw_status find_keys(const struct kw__edit *edit, struct kw_bytes env, bool *has_keys_out)
{
    struct kw_store_filter filter = {.project = edit->project, .env = env, .limit = 1};
    *has_keys_out = false;
    enum kw_status status = edit->engine->store->ops->list(edit->engine->store, &filter, see_one, has_keys_out);
    return status == KW_OK ? KW_OK : kw__store_failed(&edit->op->error, status);
}

static bool keeps_prefixes(const struct kw_environment *before, const struct kw_environment *after)
{
    if (after == NULL) {
        return false;
    }
    const struct kw_key_format *had[] = {&before->secret_keys, &before->public_keys};
    const struct kw_key_format *has[] = {&after->secret_keys, &after->public_keys};
    for (size_t i = 0; i < KW_COUNT_OF(had); i++) {
        if (had[i]->prefix.size > 0 && !kw_bytes_equal(had[i]->prefix, has[i]->prefix)) {
            return false;
        }
    }
    return true;
}

/* An environment that goes, or whose prefixes change, takes its keys with it: so it must have none. */
enum kw_status kw__edit_check_environments(const struct kw__edit *edit)
{
    const struct kw_project *before = &edit->before->is.project;
    for (size_t i = 0; i < before->environment_count; i++) {
        const struct kw_environment *environment = &before->environments[i];
        if (keeps_prefixes(environment, kw_project_environment(&edit->after->is.project, environment->name))) {
            continue;
        }
        bool has_keys = false;
        enum kw_status status = find_keys(edit, environment->name, &has_keys);
        if (status != KW_OK) {
            return status;
        }
        if (has_keys) {
            return kw_refuse(&edit->op->error, KW_CODE_IN_USE, "environments",
                             "there are keys in the environment \"%.*s\": it must stay, with its prefixes",
                             (int)environment->name.size, (const char *)environment->name.data);
        }
    }
    return KW_OK;
}

enum kw_status kw__edit_check_no_keys(const struct kw__edit *edit)
{
    bool has_keys = false;
    enum kw_status status = find_keys(edit, (struct kw_bytes){NULL, 0}, &has_keys);
    if (status == KW_OK && has_keys) {
        return kw_refuse(&edit->op->error, KW_CODE_IN_USE, NULL,
                         "the project has keys, be they revoked or not: erase them first");
    }
    return status;
}

/* A key without its policy would be bound by nothing, or by whatever gets that name next. */
enum kw_status kw__edit_check_no_keys_under(const struct kw__edit *edit)
{
    uint64_t count = 0;
    bool is_exact = true;
    enum kw_status status = kw__policy_count_keys(edit->engine, edit->project, edit->before->name, &count, &is_exact);
    if (status != KW_OK) {
        return kw__store_failed(&edit->op->error, status);
    }
    return count == 0 ? KW_OK
                      : kw_refuse(&edit->op->error, KW_CODE_POLICY_IN_USE, NULL,
                                  "%s%llu key%s that %s not revoked: give them another policy or none, or revoke them",
                                  is_exact ? "it has " : "it has at least ", (unsigned long long)count,
                                  count == 1 ? "" : "s", count == 1 ? "is" : "are");
}
