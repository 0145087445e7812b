#include "base/json.h"
#include "base/time.h"
#include "core/amount.h"
#include "core/limit_list.h"
#include "engine/funds.h"
#include "engine/writer.h"

static void write_body(const struct kw_quota *quota, const struct kw_want *want, int64_t percent,
                       struct kw_buffer *body)
{
    struct kw_json_writer json;
    char resets_at[KW_TIME_TEXT_SIZE];
    kw_time_format(want->period.end_ms, resets_at);
    kw_json_writer_init(&json, body);
    kw_json_begin_object(&json);
    kw_json_name(&json, "quota");
    kw_json_string(&json, quota->name);
    kw_json_name(&json, "metric");
    kw_json_string(&json, quota->metric);
    kw_json_name(&json, "period");
    kw_json_text(&json, kw_period_name(quota->period));
    kw_json_name(&json, "per");
    kw_json_text(&json, kw_limit_per_name(quota->per));
    kw_json_name(&json, "percent");
    kw_json_i64(&json, percent);
    kw_amount_write_json(&json, "limit", quota->limit);
    kw_amount_write_json(&json, "used", want->used);
    kw_json_name(&json, "resetsAt");
    kw_json_string(&json, kw_bytes_of(resets_at, sizeof resets_at));
    kw_json_end_object(&json);
}

static bool add_event(struct kw_engine *engine, struct kw_bytes project, const struct kw_claim *claim,
                      const struct kw_want *want, struct kw_store_event *event)
{
    struct kw_writer *writer = engine->writer_state;
    unsigned mark = 31U - (unsigned)__builtin_clz(want->marks);
    event->project = project;
    event->type = KW_BYTES("quota.reached");
    kw_buffer_reset(&writer->scratch);
    write_body(&claim->quota, want, claim->quota.marks[mark], &writer->scratch);
    return kw__draw_id(engine, event->at_ms, &event->id) == KW_OK && kw_buffer_status(&writer->scratch) == KW_OK &&
           kw_arena_copy(&writer->arena, kw_buffer_bytes(&writer->scratch), &event->body) == KW_OK;
}

bool kw__fund_tell(struct kw_engine *engine, uint16_t project, const struct kw_id *key_id,
                   const struct kw_charge *charge, const struct kw_want *wants, struct kw_store_batch *batch)
{
    const struct kw_project *told = kw_project_by_number(kw__catalog(engine), project);
    struct kw_store_event *events = NULL;
    for (size_t i = 0; i < charge->claim_count && told != NULL; i++) {
        if (wants[i].kind != KW_WANT_QUOTA || wants[i].marks == 0) {
            continue;
        }
        if (events == NULL) {
            events = kw_arena_take_array(&engine->writer_state->arena, charge->claim_count, sizeof *events);
            batch->events = events;
        }
        if (events == NULL) {
            return false;
        }
        struct kw_store_event *event = &events[batch->event_count++];
        *event = (struct kw_store_event){.at_ms = charge->now_ms, .key_id = *key_id};
        if (!add_event(engine, told->name, &charge->claims[i], &wants[i], event)) {
            return false;
        }
    }
    return true;
}
