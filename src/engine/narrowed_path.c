#include "engine/narrowed_path.h"

#include "base/bytes.h"
#include "core/id.h"
#include "core/scope.h"

#define COMPARISONS_MAX 100000
#define AUTHORITY ((unsigned)(KW_EXCESS_SCOPES | KW_EXCESS_RESOURCES))
#define REFUSING ((unsigned)(KW_EXCESS_ENV | KW_EXCESS_ADDRESSES)) /* whoever goes beyond takes all below him along */
#define COMPARED ((unsigned)(KW_EXCESS_EXPIRY | KW_EXCESS_RATE_LIMITS | KW_EXCESS_QUOTAS))

void kw__narrowed_path_init(struct kw__narrowed_path *path, const struct kw_policy *policy, unsigned tightened,
                            int64_t now_ms)
{
    path->policy = policy;
    path->tightened = tightened;
    path->now_ms = now_ms;
    path->budget = COMPARISONS_MAX;
    for (size_t i = 0; i < KW__NARROWED_PATH_MAX; i++) {
        kw_arena_init(&path->steps[i].arena, NULL, 0, KW_RECORD_MAX + 64);
    }
}

void kw__narrowed_path_deinit(struct kw__narrowed_path *path)
{
    for (size_t i = 0; i < KW__NARROWED_PATH_MAX; i++) {
        kw_arena_reset(&path->steps[i].arena);
    }
}

static bool lies_within(const struct kw_record *inner, const struct kw_record *outer)
{
    return kw_authority_within(&inner->scopes, &inner->resources, &outer->scopes, &outer->resources);
}

/* What the policy says nothing of, or what one that was made a parent's narrower has lost before, is not lost again. */
static bool loses_authority(struct kw__narrowed_path *path, size_t at)
{
    struct kw_authority links[KW__NARROWED_PATH_MAX];
    const struct kw_authority bound = {path->policy->scopes, path->policy->resources};
    size_t count = 0;
    if (path->steps[at].is_nested) {
        return true; /* it holds all that it names */
    }
    for (size_t i = 0; i <= at; i++) {
        const struct kw_record *record = &path->steps[i].record;
        if (path->steps[i].by != NULL) {
            links[count++] = (struct kw_authority){record->scopes, record->resources};
        }
    }
    return kw_authority_shared_beyond(links, count, &bound, &path->budget);
}

/* By what it stands below. In what the one above it loses nothing, there is nothing for it to lose. */
static unsigned inherit(struct kw__narrowed_path *path, size_t at)
{
    const struct kw__narrowed_step *step = &path->steps[at];
    unsigned lost = path->steps[at - 1].fields;
    unsigned excess =
        (lost & (COMPARED | AUTHORITY)) == 0 ? 0 : kw_policy_excess(path->policy, &step->record, step->born_ms);
    unsigned fields = (lost & REFUSING) | (lost & excess & COMPARED);
    bool may_lose = (lost & AUTHORITY) != 0 && (excess & AUTHORITY) != 0;
    return may_lose && loses_authority(path, at) ? fields | (excess & AUTHORITY) : fields;
}

/* Of a step whose record is there, as those before it are. */
static void weigh(struct kw__narrowed_path *path, size_t at)
{
    struct kw__narrowed_step *step = &path->steps[at];
    const struct kw__narrowed_step *above = at > 0 && path->steps[at - 1].by != NULL ? &path->steps[at - 1] : NULL;
    const struct kw_record *record = &step->record;
    bool names_it = kw_bytes_equal(record->policy, path->policy->name);
    int64_t born_ms = names_it ? record->created_at_ms : INT64_MAX;
    step->by = names_it ? &record->id : above != NULL ? above->by : NULL;
    step->born_ms = above != NULL && above->born_ms < born_ms ? above->born_ms : born_ms;
    step->is_nested = above == NULL || (above->is_nested && lies_within(record, &above->record));
    step->after = (struct kw_id){{0}};
    step->fields = names_it ? kw_policy_excess(path->policy, record, record->created_at_ms) & path->tightened : 0;
    step->fields |= above != NULL ? inherit(path, at) : 0;
}

enum kw_status kw__narrowed_step(struct kw__narrowed_path *path, size_t at, struct kw_bytes encoding)
{
    enum kw_status status = kw_record_decode(encoding, &path->steps[at].record);
    if (status == KW_OK) {
        weigh(path, at);
    }
    return status;
}

enum kw_status kw__narrowed_keep(struct kw__narrowed_path *path, size_t at, struct kw_bytes encoding)
{
    struct kw__narrowed_step *step = &path->steps[at];
    struct kw_bytes copy;
    kw_arena_reset(&step->arena);
    enum kw_status status = kw_arena_copy(&step->arena, encoding, &copy);
    return status == KW_OK ? kw_record_decode(copy, &step->record) : status;
}

/* Fills the steps from that one up to the first: the newest keys of a line, and of those that it stands under. */
static enum kw_status copy_up(struct kw__narrowed_path *path, struct kw_engine *engine, struct kw_id line, size_t from)
{
    for (size_t at = from + 1; at-- > 0;) {
        struct kw__narrowed_step *step = &path->steps[at];
        struct kw_bytes encoding;
        kw_arena_reset(&step->arena);
        enum kw_status status = kw_index_copy_newest(engine->index, &line, &step->arena, &encoding);
        status = status == KW_OK ? kw_record_decode(encoding, &step->record) : status;
        if (status != KW_OK) {
            return status;
        }
        if (kw_record_status(&step->record, path->now_ms) == KW_KEY_REVOKED) {
            return KW_E_NOT_FOUND;
        }
        line = step->record.parent_id;
    }
    return kw_id_is_none(&line) ? KW_OK : KW_E_NOT_FOUND;
}

enum kw_status kw__narrowed_path_to(struct kw__narrowed_path *path, struct kw_engine *engine, struct kw_bytes encoding,
                                    size_t *at_out)
{
    struct kw_record record;
    size_t above = 0; /* how many stand above it */
    *at_out = 0;
    enum kw_status status = kw_record_decode(encoding, &record);
    if (status == KW_OK && !kw_id_is_none(&record.parent_id)) {
        size_t generation = 0;
        status = kw__load_family(engine, &record.parent_id, &generation);
        above = generation + 1;
        if (status == KW_OK) {
            status = above < KW__NARROWED_PATH_MAX ? copy_up(path, engine, record.parent_id, generation) : KW_E_CORRUPT;
        }
    }
    if (status != KW_OK) {
        return status;
    }
    for (size_t at = 0; at < above; at++) {
        weigh(path, at);
    }
    *at_out = above;
    status = kw__narrowed_keep(path, above, encoding);
    if (status == KW_OK) {
        weigh(path, above);
    }
    return status;
}
