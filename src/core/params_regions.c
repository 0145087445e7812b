#include "base/error.h"
#include "core/internal.h"
#include "core/region.h"
#include "core/transition.h"

struct regions {
    const struct kw_bytes *items;
    size_t count;
};

static bool has(const struct regions *regions, struct kw_bytes wanted)
{
    for (size_t i = 0; i < regions->count; i++) {
        if (kw_bytes_equal(regions->items[i], wanted)) {
            return true;
        }
    }
    return false;
}

static enum kw_status check(struct regions now, struct regions before, const char *field, struct kw_error *error_out)
{
    for (size_t i = 0; i < now.count; i++) {
        struct kw_bytes region = now.items[i];
        if (!kw_region_valid(region) || kw_region_known(region) || has(&before, region)) {
            continue;
        }
        char item[KW_ERROR_FIELD_MAX];
        kw__name_item(kw_bytes_of_text(field), i, item);
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, item,
                         "is no part of %.2s in ISO 3166-2: name one that is, or all of it as \"%.2s\"",
                         (const char *)region.data, (const char *)region.data);
    }
    return KW_OK;
}

enum kw_status kw_key_regions_check(const struct kw_key_params *params, const struct kw_key_params *before,
                                    struct kw_error *error_out)
{
    static const struct kw_key_params nothing = {.given = 0};
    before = before == NULL ? &nothing : before;
    enum kw_status status =
        check((struct regions){params->allowed_regions, params->allowed_region_count},
              (struct regions){before->allowed_regions, before->allowed_region_count}, "allowedRegions", error_out);
    if (status != KW_OK) {
        return status;
    }
    return check((struct regions){params->blocked_regions, params->blocked_region_count},
                 (struct regions){before->blocked_regions, before->blocked_region_count}, "blockedRegions", error_out);
}
