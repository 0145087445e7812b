#include "server/transport.h"

#include "base/bytes.h"

static uint64_t sum(const struct kw_server *server, enum kw__counter counter)
{
    uint64_t total = 0;
    for (unsigned i = 0; server->loops != NULL && i < server->loop_count; i++) {
        total += kw__counter_of(&server->loops[i], counter);
    }
    return total;
}

/* Loops count apart, so a difference read meanwhile may be off by what is under way; never below zero. */
static uint64_t difference(const struct kw_server *server, enum kw__counter more, enum kw__counter less)
{
    uint64_t subtracted = sum(server, less);
    uint64_t total = sum(server, more);
    return total > subtracted ? total - subtracted : 0;
}

static void write_head(struct kw_buffer *text, const char *name, const char *type, const char *help)
{
    kw_buffer_add_format(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_one(struct kw_buffer *text, const char *name, const char *type, const char *help, uint64_t value)
{
    write_head(text, name, type, help);
    kw_buffer_add_format(text, "%s %llu\n", name, (unsigned long long)value);
}

static void write_labelled(struct kw_buffer *text, const char *name, const char *label, const char *value,
                           uint64_t count)
{
    kw_buffer_add_format(text, "%s{%s=\"%s\"} %llu\n", name, label, value, (unsigned long long)count);
}

static void write_answers(const struct kw_server *server, struct kw_buffer *text)
{
    static const char *const classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    const char *name = "keyward_http_answers_total";
    write_head(text, name, "counter", "Answers sent, by class of status.");
    for (unsigned i = 1; i < KW_COUNT_OF(classes); i++) {
        write_labelled(text, name, "class", classes[i], sum(server, KW__COUNT_ANSWERS_1XX + i));
    }
}

static void write_timeouts(const struct kw_server *server, struct kw_buffer *text)
{
    static const struct {
        const char *name;
        enum kw__counter counter;
    } kinds[] = {
        {"head", KW__COUNT_TIMED_OUT_HEAD},
        {"body", KW__COUNT_TIMED_OUT_BODY},
        {"idle", KW__COUNT_TIMED_OUT_IDLE},
        {"write", KW__COUNT_TIMED_OUT_WRITE},
    };
    const char *name = "keyward_http_timeouts_total";
    write_head(text, name, "counter", "Connections ended by a deadline, by what did not come in time.");
    for (size_t i = 0; i < KW_COUNT_OF(kinds); i++) {
        write_labelled(text, name, "kind", kinds[i].name, sum(server, kinds[i].counter));
    }
}

void kw__metrics_write(void *context, struct kw_buffer *text)
{
    const struct kw_server *server = context;
    write_one(text, "keyward_http_connections", "gauge", "Connections that are open.",
              difference(server, KW__COUNT_ACCEPTED, KW__COUNT_CLOSED));
    write_one(text, "keyward_http_connections_max", "gauge", "Connections that may be open.", server->connection_max);
    write_one(text, "keyward_http_connections_accepted_total", "counter", "Connections taken.",
              sum(server, KW__COUNT_ACCEPTED));
    write_one(text, "keyward_http_connections_refused_total", "counter", "Connections closed for being one too many.",
              sum(server, KW__COUNT_OVER_CAP));
    write_one(text, "keyward_http_calls_in_engine", "gauge", "Calls that wait for the engine.",
              difference(server, KW__COUNT_HANDED_ON, KW__COUNT_CAME_BACK));
    write_one(text, "keyward_http_streams_cut_total", "counter",
              "Answers in pieces that were not whole when they ended, or whose client left.",
              sum(server, KW__COUNT_STREAMS_CUT));
    write_one(text, "keyward_http_received_bytes_total", "counter", "Bytes received.", sum(server, KW__COUNT_BYTES_IN));
    write_one(text, "keyward_http_sent_bytes_total", "counter", "Bytes sent.", sum(server, KW__COUNT_BYTES_OUT));
    write_one(text, "keyward_http_malformed_total", "counter", "Requests refused for their form.",
              sum(server, KW__COUNT_MALFORMED));
    write_one(text, "keyward_http_tls_failures_total", "counter", "Connections on which TLS failed.",
              sum(server, KW__COUNT_TLS_FAILED));
    write_answers(server, text);
    write_timeouts(server, text);
}
