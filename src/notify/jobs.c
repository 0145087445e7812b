#include "notify/internal.h"
#include "notify/notices.h"

#include "base/bytes.h"
#include "base/time.h"
#include "core/id.h"

#include <stdio.h>

#define LOOK_TIMEOUT_MS 5000
#define PING_BODY_MAX 1024
#define PING_TIMEOUT_MS 10000 /* somebody waits for the answer */

/* A ping or a look under way. */
struct running {
    struct kw_notify *notify;
    struct kw_notify_job *job;
    struct kw_outgoing_request request;
    char url[KW_URL_MAX + 1];
    char headers[3][KW__HEADER_MAX];
    uint8_t body[PING_BODY_MAX];
    int64_t started_ms;
};

static void end(struct kw_notify_job *job, enum kw_status status)
{
    job->status = status;
    job->done(job);
}

static void looked(struct kw_outgoing_request *request)
{
    struct running *running = request->context;
    running->job->refused = request->refused;
    end(running->job, KW_OK);
    kw_free(running);
}

static void write_result(const struct running *running, struct kw_buffer *text)
{
    const struct kw_outgoing_request *request = &running->request;
    struct kw_json_writer json;
    struct kw_buffer tries;
    struct kw_try one = {.at_ms = running->started_ms,
                         .duration_ms = request->duration_ms,
                         .http_status = request->http_status,
                         .error = kw_bytes_of_text(request->error),
                         .answer = kw_bytes_of(request->answer, request->answer_size)};
    kw_buffer_init(&tries, KW_TRIES_SIZE_MAX);
    kw_tries_add((struct kw_bytes){NULL, 0}, &one, &tries);
    kw_json_writer_init(&json, text);
    kw_json_begin_object(&json);
    kw_json_name(&json, "delivered");
    kw_json_bool(&json, request->http_status >= 200 && request->http_status < 300);
    kw_json_name(&json, "tries");
    kw_tries_write(kw_buffer_bytes(&tries), &json);
    kw_json_end_object(&json);
    kw_buffer_deinit(&tries);
}

static void pinged(struct kw_outgoing_request *request)
{
    struct running *running = request->context;
    struct kw_buffer text;
    kw_buffer_init(&text, 2 * KW_TRIES_SIZE_MAX);
    write_result(running, &text);
    running->job->json = kw_buffer_bytes(&text);
    end(running->job, kw_buffer_status(&text));
    kw_buffer_deinit(&text);
    kw_free(running);
}

static void write_ping(const char *id, int64_t now_ms, struct kw_notify_job *job, struct kw_buffer *text)
{
    char time[KW_TIME_TEXT_SIZE];
    struct kw_json_writer json;
    kw_time_format(now_ms, time);
    kw_json_writer_init(&json, text);
    kw_json_begin_object(&json);
    kw_json_name(&json, "id");
    kw_json_string(&json, kw_bytes_of(id, KW_EVENT_ID_TEXT_SIZE));
    kw_json_name(&json, "type");
    kw_json_text(&json, "webhook.ping");
    kw_json_name(&json, "event");
    kw_json_text(&json, "webhook.ping");
    kw_json_name(&json, "timestamp");
    kw_json_string(&json, kw_bytes_of(time, sizeof time));
    kw_json_name(&json, "data");
    kw_json_begin_object(&json);
    kw_json_name(&json, "projectId");
    kw_json_string(&json, job->project);
    kw_json_name(&json, "name");
    kw_json_string(&json, job->name);
    kw_json_end_object(&json);
    kw_json_end_object(&json);
}

static enum kw_status prepare_ping(struct kw_notify *notify, struct running *running)
{
    uint8_t random[KW_ID_RANDOM_SIZE];
    char id_text[KW_EVENT_ID_TEXT_SIZE];
    struct kw_buffer text;
    struct kw__endpoint *endpoint = kw__endpoint_find(notify, running->job->project, running->job->name);
    if (endpoint == NULL) {
        return KW_E_NOT_FOUND;
    }
    enum kw_status status = kw__endpoint_signing(notify, endpoint);
    status =
        status == KW_OK ? notify->options.entropy.draw(notify->options.entropy.context, random, sizeof random) : status;
    if (status != KW_OK) {
        return status == KW_E_NOT_FOUND ? KW_E_CORRUPT : status;
    }
    struct kw_id id = kw_id_make(running->started_ms, random);
    kw_event_id_format(&id, id_text);
    kw_buffer_init_fixed(&text, running->body, sizeof running->body);
    write_ping(id_text, running->started_ms, running->job, &text);
    memcpy(running->url, endpoint->url, sizeof running->url);
    running->request.body = kw_buffer_bytes(&text);
    running->request.timeout_ms = endpoint->timeout_ms < PING_TIMEOUT_MS ? endpoint->timeout_ms : PING_TIMEOUT_MS;
    status = kw__sign(endpoint, kw_bytes_of(id_text, sizeof id_text), kw_buffer_bytes(&text), running->started_ms,
                      running->headers);
    for (size_t i = 0; i < 3; i++) {
        running->request.headers[i] = running->headers[i];
    }
    return status;
}

static void prepare_look(struct running *running)
{
    size_t size = running->job->url.size < KW_URL_MAX ? running->job->url.size : KW_URL_MAX;
    memcpy(running->url, running->job->url.data, size);
    running->url[size] = '\0';
    running->request.is_look = true;
    running->request.timeout_ms = LOOK_TIMEOUT_MS;
}

static void run(struct kw_notify *notify, struct kw_notify_job *job)
{
    struct running *running = kw_alloc(1, sizeof *running);
    if (running == NULL) {
        end(job, KW_E_MEMORY);
        return;
    }
    running->notify = notify;
    running->job = job;
    running->started_ms = kw__notify_now(notify);
    running->request = (struct kw_outgoing_request){
        .url = running->url, .context = running, .done = job->kind == KW_NOTIFY_PING ? pinged : looked};
    enum kw_status status = KW_OK;
    if (job->kind == KW_NOTIFY_PING) {
        status = prepare_ping(notify, running);
    } else {
        prepare_look(running);
    }
    status = status == KW_OK ? kw_outgoing_send(notify->outgoing, &running->request) : status;
    if (status != KW_OK) {
        end(job, status);
        kw_free(running);
    }
}

static struct kw_notify_job *take_jobs(struct kw_notify *notify)
{
    pthread_mutex_lock(&notify->lock);
    struct kw_notify_job *jobs = notify->jobs;
    notify->jobs = NULL;
    notify->job_count = 0;
    pthread_mutex_unlock(&notify->lock);
    return jobs;
}

void kw__jobs_run(struct kw_notify *notify)
{
    struct kw_notify_job *next;
    for (struct kw_notify_job *job = take_jobs(notify); job != NULL; job = next) {
        next = job->next;
        run(notify, job);
    }
}

void kw__jobs_refuse(struct kw_notify *notify)
{
    struct kw_notify_job *next;
    for (struct kw_notify_job *job = take_jobs(notify); job != NULL; job = next) {
        next = job->next;
        end(job, KW_E_BUSY);
    }
}

void kw_notify_submit(struct kw_notify *notify, struct kw_notify_job *job)
{
    if (job->kind == KW_NOTIFY_TEST) {
        kw__notices_submit(notify->notices, job);
        return;
    }
    pthread_mutex_lock(&notify->lock);
    bool is_full = notify->job_count == KW_NOTIFY_JOBS_MAX || kw__notify_stops(notify);
    if (!is_full) {
        job->next = notify->jobs;
        notify->jobs = job;
        notify->job_count++;
    }
    pthread_mutex_unlock(&notify->lock);
    if (is_full) {
        end(job, KW_E_BUSY);
        return;
    }
    kw_outgoing_wake(notify->outgoing);
}
