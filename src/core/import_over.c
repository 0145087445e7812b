#include "base/bytes.h"
#include "core/id.h"
#include "core/import.h"
#include "core/internal.h"
#include "core/record.h"

static enum kw_status refuse_fixed(const struct kw_record *before, const struct kw_record *imported,
                                   struct kw_error *error_out)
{
    const char *field = NULL;
    if (!kw_bytes_equal(before->env, imported->env)) {
        field = "env";
    } else if (before->is_public != imported->is_public) {
        field = "isPublic";
    } else if (!kw_bytes_equal(before->owner, imported->owner)) {
        field = "owner";
    } else if (!kw_id_equal(&before->parent_id, &imported->parent_id)) {
        field = "parentId";
    }
    return field == NULL ? KW_OK
                         : kw_refuse(error_out, KW_CODE_CANNOT_CHANGE_FIELD, field,
                                     "is another one than that of the key that is here, and cannot be changed");
}

/* What has passed stays passed: neither a later expiry nor none brings the key back. */
static enum kw_status take_expiry(const struct kw_record *before, const struct kw_record *imported, int64_t now_ms,
                                  struct kw_record *after, struct kw_error *error_out)
{
    bool has_expired = before->lapsed_at_ms != 0 || (before->expires_at_ms != 0 && now_ms >= before->expires_at_ms);
    if (!has_expired) {
        after->lapsed_at_ms = imported->lapsed_at_ms;
        return KW_OK;
    }
    bool ends_later = imported->expires_at_ms == 0 || imported->expires_at_ms > before->expires_at_ms;
    if (ends_later && imported->revoked_at_ms == 0) {
        return kw_refuse(error_out, KW_CODE_ALREADY_EXPIRED, "expiresAt",
                         "would bring back a key that has expired here: rotate that one with a new expiry");
    }
    after->expires_at_ms = before->expires_at_ms;
    after->lapsed_at_ms = before->lapsed_at_ms;
    return KW_OK;
}

/* A rotation that is here stays, and the earlier end of a grace period counts. */
static void take_links(const struct kw_record *before, const struct kw_record *imported, struct kw_record *after)
{
    bool was_rotated = !kw_id_is_none(&before->rotated_to);
    after->lineage_id = before->lineage_id;
    after->rotated_from = before->rotated_from;
    after->ends_grace = before->ends_grace;
    after->has_children = before->has_children || imported->has_children;
    after->rotated_to = was_rotated ? before->rotated_to : imported->rotated_to;
    int64_t grace_ms = imported->grace_until_ms;
    if (before->grace_until_ms != 0 && (grace_ms == 0 || grace_ms > before->grace_until_ms)) {
        grace_ms = before->grace_until_ms;
    }
    after->grace_until_ms = kw_id_is_none(&after->rotated_to) ? 0 : grace_ms;
}

enum kw_status kw_import_over(const struct kw_record *before, const struct kw_record *imported, int64_t now_ms,
                              struct kw_record *after_out, struct kw_error *error_out)
{
    if (kw_record_status(before, now_ms) == KW_KEY_REVOKED) {
        return kw_refuse(error_out, KW_CODE_CANNOT_MODIFY_REVOKED, NULL,
                         "the key is revoked here, and nothing that is imported brings it back");
    }
    enum kw_status status = refuse_fixed(before, imported, error_out);
    struct kw_record after = *imported;
    status = status == KW_OK ? take_expiry(before, imported, now_ms, &after, error_out) : status;
    if (status != KW_OK) {
        return status;
    }
    after.id = before->id;
    after.project = before->project;
    after.prefix = before->prefix;
    after.digest_scheme = before->digest_scheme;
    after.digest_method = before->digest_method;
    memcpy(after.last_four, before->last_four, sizeof after.last_four);
    after.created_at_ms = before->created_at_ms;
    after.created_by = before->created_by;
    after.template_name = imported->template_name.size > 0 ? imported->template_name : before->template_name;
    take_links(before, imported, &after);
    after.imported = true;
    after.version = before->version + 1;
    after.updated_at_ms = now_ms > before->updated_at_ms ? now_ms : before->updated_at_ms;
    *after_out = after;
    return KW_OK;
}
