#include "server/request.h"

/* --- for whoever runs the server: open, and without names --- */

void kw__health(struct kw_request *request)
{
    struct kw_json_writer writer = kw__answer_begin(request->call, 200);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "status");
    kw_json_text(&writer, "ok");
    kw_json_end_object(&writer);
    kw__finish_written(request);
}

void kw__ready(struct kw_request *request)
{
    const struct kw_api_options *options = &request->api->options;
    struct kw_engine_stats stats;
    kw_engine_stats(options->engine, &stats);
    bool draining = options->draining != NULL && options->draining(options->transport_context);
    bool ready = stats.writable && !draining;
    struct kw_json_writer writer = kw__answer_begin(request->call, ready ? 200 : 503);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "ready");
    kw_json_bool(&writer, ready);
    kw_json_name(&writer, "reasons");
    kw_json_begin_array(&writer);
    if (draining) {
        kw_json_text(&writer, "The server is shutting down.");
    }
    if (!stats.writable) {
        kw_json_text(&writer, "The store cannot be written.");
    }
    kw_json_end_array(&writer);
    kw_json_end_object(&writer);
    kw__finish_written(request);
}

struct metric {
    const char *name;
    const char *type;
    const char *help;
    uint64_t value;
};

static void write_metric(struct kw_buffer *text, const struct metric *metric)
{
    kw_buffer_add_format(text, "# HELP %s %s\n", metric->name, metric->help);
    kw_buffer_add_format(text, "# TYPE %s %s\n", metric->name, metric->type);
    kw_buffer_add_format(text, "%s %llu\n", metric->name, (unsigned long long)metric->value);
}

static void write_engine(const struct kw_engine *engine, struct kw_buffer *text)
{
    struct kw_engine_stats stats;
    kw_engine_stats(engine, &stats);
    const struct metric metrics[] = {
        {"keyward_index_keys", "gauge", "Keys in the index.", stats.index_keys},
        {"keyward_index_bytes", "gauge", "Memory of the index.", stats.index_bytes},
        {"keyward_index_complete", "gauge", "1 when every key of the store is in the index.", stats.index_complete},
        {"keyward_store_loads_total", "counter", "Keys that were fetched from the store on demand.", stats.store_loads},
        {"keyward_store_commits_total", "counter", "Commits to the store.", stats.commits},
        {"keyward_store_committed_operations_total", "counter", "Operations in those commits.", stats.commit_ops},
        {"keyward_store_writable", "gauge", "1 when the last commit did not fail.", stats.writable},
        {"keyward_uses_counted_total", "counter", "Verifications that were taken in to be counted.",
         stats.uses_counted},
        {"keyward_uses_written_total", "counter", "Those of them whose counts are in the store.", stats.uses_written},
        {"keyward_uses_dropped_total", "counter", "Verifications that are counted nowhere.", stats.uses_dropped},
        {"keyward_uses_unattributed_total", "counter", "Verifications that count for their project and not their key.",
         stats.uses_unattributed},
        {"keyward_uses_deferred_bytes", "gauge", "What is in the store and not yet added to counts.",
         stats.uses_deferred},
        {"keyward_ledger_accounts", "gauge", "Keys, owners and organizations that have spent of limits or quotas.",
         stats.accounts},
        {"keyward_ledger_bytes", "gauge", "Memory of what they have spent.", stats.ledger_bytes},
        {"keyward_allowance_reserved_total", "counter", "Parts of limits and quotas written down ahead of use.",
         stats.reserved},
        {"keyward_allowance_returned_total", "counter", "Parts of quotas given back that nobody had spent.",
         stats.returned},
        {"keyward_allowance_waits_total", "counter", "Verifications that waited for such a part.", stats.funds_waited},
        {"keyward_queue_depth", "gauge", "Operations that wait.", stats.queue_depth},
    };
    for (size_t i = 0; i < KW_COUNT_OF(metrics); i++) {
        write_metric(text, &metrics[i]);
    }
}

void kw__metrics(struct kw_request *request)
{
    const struct kw_api_options *options = &request->api->options;
    struct kw_buffer *text = &request->call->answer;
    request->call->status = 200;
    request->call->content_type = "text/plain; version=0.0.4; charset=utf-8";
    kw_counters_write(request->api->counters, text);
    write_engine(options->engine, text);
    if (options->transport_metrics != NULL) {
        options->transport_metrics(options->transport_context, text);
    }
    kw__finish_written(request);
}

void kw__openapi(struct kw_request *request)
{
    (void)kw__answer_begin(request->call, 200);
    kw_buffer_add(&request->call->answer, kw_bytes_of(kw__openapi_json, kw__openapi_json_size));
    kw__finish_written(request);
}
