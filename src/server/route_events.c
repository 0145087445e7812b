#include "engine/events_read.h"
#include "server/request.h"
#include "server/watch.h"

#include "base/clock.h"
#include "core/id.h"

#define STREAM_TYPE "text/event-stream"
#define GREETING "retry: 2000\n: events of Keyward\n\n" /* a client that is cut off asks again after two seconds */
#define BEAT ": still here\n\n"

/* A stream of events, in the call's arena. */
struct stream {
    struct kw_watched watched; /* first: the watch knows it by this */
    struct kw_event_query query;
    struct kw_op *op;
    uint64_t tellings; /* before the log was last read */
};

/* --- what is asked for --- */

/* A sequence; '-' stands before it where the list goes back. */
static bool parse_cursor(struct kw_bytes text, bool is_back, uint64_t *after_out)
{
    if (is_back && (text.size == 0 || text.data[0] != '-')) {
        return false;
    }
    text = is_back ? kw_bytes_skip(text, 1) : text;
    return kw_bytes_to_u64(text, after_out) && *after_out <= INT64_MAX && (!is_back || *after_out > 0);
}

static enum kw_status take_params(const struct kw_events_params *params, struct kw_event_query *query,
                                  struct kw_error *error)
{
    query->types = params->types;
    query->owner = params->owner;
    query->env = params->env;
    query->from_ms = params->since_ms;
    query->is_back = kw_bytes_equal(params->sort, KW_BYTES("-timestamp"));
    query->limit = (size_t)params->limit;
    if (params->key.size > 0 && (!kw_id_parse(params->key, &query->key_id) || kw_id_is_none(&query->key_id))) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "key", "must be the id of a key: key_ and 26 characters");
    }
    if (params->cursor.size > 0 && !parse_cursor(params->cursor, query->is_back, &query->after)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "cursor",
                         "is not one that this list gave in this order: use nextCursor of the answer before, or start "
                         "without");
    }
    return kw_event_list_check(params->types, "type", error);
}

static struct kw_bytes trimmed(struct kw_bytes text)
{
    while (text.size > 0 && strchr(" \t", text.data[0]) != NULL) {
        text = kw_bytes_skip(text, 1);
    }
    while (text.size > 0 && strchr(" \t\r", text.data[text.size - 1]) != NULL) {
        text.size--;
    }
    return text;
}

/* Of a header that no other route reads; the first of its name. The transport has seen to the form of the head. */
static struct kw_bytes header_of(const struct kw_call *call, struct kw_bytes wanted)
{
    struct kw_bytes line, name, value;
    struct kw_bytes rest = call->head;
    while (rest.size > 0) {
        struct kw_bytes from = rest;
        kw_bytes_split(from, '\n', &line, &rest);
        if (kw_bytes_split(line, ':', &name, &value) && kw_bytes_equal_ignoring_case(name, wanted)) {
            return trimmed(value);
        }
    }
    return (struct kw_bytes){NULL, 0};
}

/* Whether the client names the type of a stream among those that it accepts. */
static bool wants_stream(const struct kw_call *call)
{
    struct kw_bytes rest = header_of(call, KW_BYTES("Accept"));
    bool wants = false;
    while (rest.size > 0 && !wants) {
        struct kw_bytes from = rest;
        struct kw_bytes range, type, parameters;
        kw_bytes_split(from, ',', &range, &rest);
        kw_bytes_split(range, ';', &type, &parameters);
        wants = kw_bytes_equal_ignoring_case(trimmed(type), KW_BYTES(STREAM_TYPE));
    }
    return wants && call->method == KW_GET;
}

/* Where a stream begins: behind the last event that its client saw, where the query says, or now. */
static enum kw_status take_start(const struct kw_request *request, struct kw_event_query *query, struct kw_error *error)
{
    const struct kw_events_params *params = request->query;
    struct kw_bytes last = header_of(request->call, KW_BYTES("Last-Event-ID"));
    if (query->is_back) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "sort", "must be timestamp where events are followed");
    }
    if (last.size > 0 && !parse_cursor(last, false, &query->after)) {
        return kw_refuse(error, KW_CODE_INVALID_FIELD, "Last-Event-ID", "is not the id of an event of a stream");
    }
    query->is_stream = true;
    query->limit = KW_STORE_LIST_MAX;
    query->from_end = last.size == 0 && params->cursor.size == 0 && params->since_ms == 0;
    return KW_OK;
}

/* --- the stream --- */

static struct stream *stream_of(const struct kw_op *op)
{
    return (struct stream *)((char *)op->events - offsetof(struct stream, query));
}

static void read_on(struct stream *stream, void (*done)(struct kw_op *op))
{
    struct kw_engine *engine = kw__op_request(stream->op)->api->options.engine;
    stream->tellings = kw_engine_tellings(engine);
    stream->query.after = stream->query.reached > stream->query.after ? stream->query.reached : stream->query.after;
    stream->op->done = done;
    kw_engine_submit(engine, stream->op);
}

/* Gives the operation back: the stream is over. */
static void leave(struct stream *stream)
{
    struct kw_request *request = kw__op_request(stream->op);
    kw_watch_leave(request->api->watch, request->project->number);
    kw_op_deinit(stream->op);
}

static void end(struct stream *stream, enum kw_stream how)
{
    struct kw_call *call = kw__op_request(stream->op)->call;
    leave(stream);
    call->stream = how;
    call->done(call);
}

static void wait(struct stream *stream)
{
    stream->watched.seen = stream->tellings;
    kw_watch_wait(kw__op_request(stream->op)->api->watch, &stream->watched);
}

static void renew_beat(struct stream *stream)
{
    stream->watched.beat_ns = kw_monotonic_ns() + KW_STREAM_BEAT_MS * UINT64_C(1000000);
}

/* The text goes to the call without a copy; its empty buffer is for the next piece. */
static void hand_over(struct stream *stream)
{
    struct kw_call *call = kw__op_request(stream->op)->call;
    struct kw_buffer piece = stream->op->result;
    stream->op->result = call->answer;
    call->answer = piece;
    kw_buffer_reset(&stream->op->result);
    renew_beat(stream);
}

static void piece_read(struct kw_op *op)
{
    struct stream *stream = stream_of(op);
    struct kw_request *request = kw__op_request(op);
    if (op->status != KW_OK) {
        request->call->code = kw__code_of(&op->error);
        kw__log_failure(request, &op->error);
        end(stream, KW_STREAM_CUT);
    } else if (!kw__still_admitted(request)) { /* asked after reading: whoever may not see it never does */
        end(stream, KW_STREAM_END);
    } else if (op->result.size > 0) {
        hand_over(stream);
        request->call->done(request->call);
    } else if (stream->query.has_more) {
        read_on(stream, piece_read);
    } else {
        wait(stream);
    }
}

static void wake(struct kw_watched *watched, enum kw_wake why)
{
    struct stream *stream = (struct stream *)watched;
    struct kw_request *request = kw__op_request(stream->op);
    if (why == KW_WAKE_NEWS) {
        read_on(stream, piece_read);
    } else if (why == KW_WAKE_END || !kw__still_admitted(request)) {
        end(stream, KW_STREAM_END);
    } else {
        kw_buffer_add_text(&request->call->answer, BEAT);
        renew_beat(stream);
        request->call->done(request->call);
    }
}

/* The client has taken what there was. */
static void go_on(struct kw_call *call)
{
    struct kw_request *request = call->route_state;
    struct stream *stream = stream_of(request->op);
    if (call->is_left) {
        end(stream, KW_STREAM_CUT);
    } else if (stream->query.has_more) {
        read_on(stream, piece_read);
    } else {
        wait(stream);
    }
}

/* The head leaves with what there is by now: until then whatever fails is answered like anything else. */
static void first_read(struct kw_op *op)
{
    struct stream *stream = stream_of(op);
    struct kw_request *request = kw__op_request(op);
    struct kw_call *call = request->call;
    if (op->status != KW_OK) {
        struct kw_error error = op->error;
        leave(stream);
        kw__finish_error(request, &error);
        return;
    }
    call->status = 200;
    call->content_type = STREAM_TYPE;
    call->stream = KW_STREAM_MORE;
    call->go_on = go_on;
    call->route_state = request;
    kw__answer_header(call, "X-Accel-Buffering", KW_BYTES("no")); /* nginx hands each piece on at once */
    kw_buffer_add_text(&call->answer, GREETING);
    kw_buffer_add(&call->answer, kw_buffer_bytes(&op->result));
    kw_buffer_reset(&op->result);
    renew_beat(stream);
    kw__finish(request);
}

static void begin_stream(struct kw_request *request, struct stream *stream)
{
    struct kw_error error;
    enum kw_status status = take_start(request, &stream->query, &error);
    status = status == KW_OK ? kw_watch_enter(request->api->watch, request->project->number, &error) : status;
    if (status != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    uint16_t project = request->project->number;
    struct kw_op *op = kw_arena_take(&request->call->arena, sizeof *op);
    if (op == NULL) {
        kw_watch_leave(request->api->watch, project);
        kw__finish_no_memory(request);
        return;
    }
    kw_op_init(op, KW_OP_EVENTS, project);
    op->context = request;
    op->events = &stream->query;
    request->op = stream->op = op;
    stream->watched.call = request->call;
    stream->watched.wake = wake;
    read_on(stream, first_read);
}

void kw__events_list(struct kw_request *request)
{
    struct kw_error error;
    struct stream *stream = kw_arena_take(&request->call->arena, sizeof *stream);
    if (stream == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    if (take_params(request->query, &stream->query, &error) != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    if (wants_stream(request->call)) {
        begin_stream(request, stream);
        return;
    }
    struct kw_op *op = kw__op_begin(request, KW_OP_EVENTS, kw__answer_result);
    if (op != NULL) {
        op->events = &stream->query;
        kw_engine_submit(request->api->options.engine, op);
    }
}
