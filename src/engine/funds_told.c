#include "base/time.h"
#include "core/amount.h"
#include "core/limit_list.h"
#include "engine/funds.h"
#include "engine/tell.h"

#define ALL_OF_IT 100 /* the mark, in percent, at which nothing is left */

static void write_quota(const struct kw_quota *quota, const struct kw_want *want, int64_t percent,
                        struct kw_json_writer *json)
{
    kw__tell_text(json, "quota", quota->name);
    kw__tell_text(json, "metric", quota->metric);
    kw__tell_text(json, "period", kw_bytes_of_text(kw_period_name(quota->period)));
    kw__tell_text(json, "per", kw_bytes_of_text(kw_limit_per_name(quota->per)));
    kw_json_name(json, "percent");
    kw_json_i64(json, percent);
    kw_amount_write_json(json, "limit", quota->limit);
    kw_amount_write_json(json, "used", want->used);
    kw__tell_time(json, "resetsAt", want->period.end_ms);
}

/* The key's record, beyond the read section; false where it is not in the index any more. */
static bool find_record(struct kw_engine *engine, const struct kw_digest *digest, struct kw_record *record_out)
{
    struct kw_bytes encoding = {NULL, 0};
    kw_index_read_begin();
    const struct kw_entry *entry = kw_index_find(engine->index, digest);
    bool is_found =
        entry != NULL && kw_arena_copy(&engine->writer_state->arena, kw_entry_record(entry), &encoding) == KW_OK;
    kw_index_read_end();
    return is_found && kw_record_decode(encoding, record_out) == KW_OK;
}

static bool add_event(struct kw_engine *engine, const struct kw_record *record, const struct kw_claim *claim,
                      const struct kw_want *want, struct kw_store_event *event)
{
    struct kw_json_writer json;
    unsigned mark = 31U - (unsigned)__builtin_clz(want->marks);
    uint8_t percent = claim->quota.marks[mark];
    event->type = percent >= ALL_OF_IT ? KW_BYTES("key.quota.exceeded") : KW_BYTES("key.quota.warning");
    if (kw__draw_id(engine, event->at_ms, &event->id) != KW_OK) {
        return false;
    }
    kw__tell_begin(engine, record, false, &json, event);
    write_quota(&claim->quota, want, percent, &json);
    return kw__tell_end(engine, &json, event) == KW_OK;
}

bool kw__fund_tell(struct kw_engine *engine, const struct kw_told_key *key, const struct kw_charge *charge,
                   const struct kw_want *wants, struct kw_store_batch *batch)
{
    const struct kw_project *told = kw_project_by_number(kw__catalog(engine), key->project);
    struct kw_store_event *events = NULL;
    struct kw_record record;
    bool has_record = false;
    for (size_t i = 0; i < charge->claim_count && told != NULL; i++) {
        if (wants[i].kind != KW_WANT_QUOTA || wants[i].marks == 0) {
            continue;
        }
        if (events == NULL) {
            events = kw_arena_take_array(&engine->writer_state->arena, charge->claim_count, sizeof *events);
            batch->events = events;
            has_record = find_record(engine, &key->digest, &record);
        }
        if (events == NULL) {
            return false;
        }
        struct kw_store_event *event = &events[batch->event_count++];
        *event = (struct kw_store_event){.at_ms = charge->now_ms, .key_id = key->id, .project = told->name};
        if (!add_event(engine, has_record ? &record : NULL, &charge->claims[i], &wants[i], event)) {
            return false;
        }
    }
    return true;
}
