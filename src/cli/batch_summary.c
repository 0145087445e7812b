#include "cli/batch.h"

void kw_batch_summary_json(const struct kw_batch_summary *summary, struct kw_buffer *text)
{
    const struct kw_batch_state *state = summary->state;
    struct kw_json_writer writer;
    kw_json_writer_init(&writer, text);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "items");
    kw_json_i64(&writer, (int64_t)state->item_count);
    kw_json_name(&writer, "done");
    kw_json_i64(&writer, (int64_t)state->done_count);
    kw_json_name(&writer, "refused");
    kw_json_i64(&writer, (int64_t)state->refused_count);
    kw_json_name(&writer, "lost");
    kw_json_i64(&writer, (int64_t)state->lost_count);
    kw_json_name(&writer, "stopped");
    kw_json_bool(&writer, summary->is_stopped);
    kw_json_end_object(&writer);
    kw_buffer_add_byte(text, '\n');
}

void kw_batch_summary(const struct kw_batch_summary *summary, struct kw_buffer *text)
{
    const struct kw_batch_state *state = summary->state;
    bool verifies = !summary->action->changes;
    unsigned long long done = state->done_count, refused = state->refused_count, lost = state->lost_count;
    if (summary->is_dry) {
        kw_buffer_add_format(text, "Nothing was sent: %llu of %llu items look right", done,
                             (unsigned long long)state->item_count);
    } else if (verifies) {
        kw_buffer_add_format(text, "Verified %llu %s: %llu %s valid", (unsigned long long)state->item_count,
                             state->item_count == 1 ? "key" : "keys", done, done == 1 ? "is" : "are");
    } else {
        kw_buffer_add_format(text, "%s %llu %s", summary->action->done, done, done == 1 ? "key" : "keys");
    }
    if (refused > 0) {
        kw_buffer_add_format(text, ", %llu %s", refused,
                             verifies && refused == 1 ? "is not"
                             : verifies               ? "are not"
                             : refused == 1           ? "item was refused"
                                                      : "items were refused");
    }
    kw_buffer_add_text(text, ".\n");
    if (lost > 0) {
        kw_buffer_add_format(text,
                             "%llu more %s made, but the run broke off before the secret was written (code "
                             "SECRET_ALREADY_SHOWN): rotate %s.\n",
                             lost, lost == 1 ? "key was" : "keys were", lost == 1 ? "it" : "them");
    }
}
