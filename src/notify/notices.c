#include "notify/notices.h"

#include "base/bytes.h"
#include "notify/internal.h"

#define WAIT_MS 25

/* --- what is set up --- */

bool kw_notify_has_command(const struct kw_notify *notify, struct kw_bytes name)
{
    const struct kw_notify_setup *setup = notify->options.setup;
    bool found = false;
    for (size_t i = 0; setup != NULL && i < setup->command_count && !found; i++) {
        found = kw_bytes_equal(name, kw_bytes_of_text(setup->commands[i].name));
    }
    return found;
}

bool kw_notify_has_relay(const struct kw_notify *notify)
{
    return notify->options.setup != NULL && notify->options.setup->relay.host != NULL;
}

/* --- tests of channels --- */

static void end_job(struct kw_notify_job *job, enum kw_status status)
{
    job->status = status;
    job->done(job);
}

static void finish_test(struct kw__message *message)
{
    struct kw_buffer text, tries;
    struct kw_json_writer json;
    struct kw_try one = message->result;
    one.error = kw_bytes_of_text(message->error);
    kw_buffer_init(&text, 2 * KW_TRIES_SIZE_MAX);
    kw_buffer_init(&tries, KW_TRIES_SIZE_MAX);
    kw_tries_add((struct kw_bytes){NULL, 0}, &one, &tries);
    kw_json_writer_init(&json, &text);
    kw_json_begin_object(&json);
    kw_json_name(&json, "delivered");
    kw_json_bool(&json, one.error.size == 0);
    kw_json_name(&json, "tries");
    kw_tries_write(kw_buffer_bytes(&tries), &json);
    kw_json_end_object(&json);
    message->job->json = kw_buffer_bytes(&text);
    end_job(message->job, kw_buffer_status(&text));
    kw_buffer_deinit(&tries);
    kw_buffer_deinit(&text);
    kw__message_free(message);
}

static void begin_test(struct kw__notices *notices, struct kw_notify_job *job)
{
    struct kw__post *post = kw__post_find(notices, job->project, job->name);
    if (post == NULL) {
        end_job(job, KW_E_NOT_FOUND);
    } else if (post->test != NULL ||
               (post->kind == KW_CHANNEL_COMMAND && notices->program_count >= KW__NOTICE_PROGRAMS_MAX)) {
        end_job(job, KW_E_BUSY);
    } else if (kw__message_begin(notices, post, NULL, &post->test) != KW_OK) {
        end_job(job, KW_E_MEMORY);
    } else {
        post->test->job = job;
    }
}

static struct kw_notify_job *take_jobs(struct kw__notices *notices)
{
    pthread_mutex_lock(&notices->lock);
    struct kw_notify_job *jobs = notices->jobs;
    notices->jobs = NULL;
    notices->job_count = 0;
    pthread_mutex_unlock(&notices->lock);
    return jobs;
}

void kw__notices_submit(struct kw__notices *notices, struct kw_notify_job *job)
{
    pthread_mutex_lock(&notices->lock);
    bool is_full = notices->job_count == KW_NOTIFY_JOBS_MAX || kw__notify_stops(notices->notify);
    if (!is_full) {
        job->next = notices->jobs;
        notices->jobs = job;
        notices->job_count++;
    }
    pthread_mutex_unlock(&notices->lock);
    if (is_full) {
        end_job(job, KW_E_BUSY);
        return;
    }
    kw_outgoing_wake(notices->outgoing);
}

/* --- the thread --- */

static void look_at(struct kw__notices *notices, struct kw__post *post, bool is_new)
{
    post->look_at_ms = is_new && (post->message == NULL || !post->message->is_settled_late) ? 0 : post->look_at_ms;
    if (post->message != NULL && kw__message_step(notices, post->message)) {
        kw__post_settle(notices, post);
    }
    if (post->test != NULL && kw__message_step(notices, post->test)) {
        struct kw__message *test = post->test;
        post->test = NULL;
        finish_test(test);
    }
    if (!post->is_there || post->status != KW_SUBSCRIPTION_ACTIVE) {
        kw__post_give_back(notices, post);
        return;
    }
    kw__post_claim(notices, post);
    kw__post_send(notices, post);
}

static void *notices_main(void *context)
{
    struct kw__notices *notices = context;
    while (!kw__notify_stops(notices->notify)) {
        struct kw_notify_job *next;
        uint64_t fans = __atomic_load_n(&notices->notify->fan_count, __ATOMIC_ACQUIRE);
        bool is_new = fans != notices->seen_fans;
        notices->seen_fans = fans;
        kw__posts_refresh(notices);
        for (struct kw_notify_job *job = take_jobs(notices); job != NULL; job = next) {
            next = job->next;
            begin_test(notices, job);
        }
        for (size_t i = 0; i < notices->post_count; i++) {
            look_at(notices, notices->posts[i], is_new);
        }
        kw_outgoing_run(notices->outgoing, WAIT_MS);
    }
    return NULL;
}

void kw__notices_wake(struct kw__notices *notices)
{
    kw_outgoing_wake(notices->outgoing);
}

/* --- life --- */

enum kw_status kw__notices_start(struct kw_notify *notify, struct kw__notices **notices_out)
{
    struct kw__notices *notices = kw_alloc(1, sizeof *notices);
    if (notices == NULL) {
        return KW_E_MEMORY;
    }
    pthread_mutex_init(&notices->lock, NULL);
    notices->notify = notify;
    notices->setup = notify->options.setup;
    struct kw_outgoing_options outgoing = {.guard = kw_engine_guard(notify->options.engine), .user_agent = "Keyward"};
    enum kw_status status = kw_outgoing_new(&outgoing, &notices->outgoing);
    notices->is_running = status == KW_OK && pthread_create(&notices->thread, NULL, notices_main, notices) == 0;
    if (!notices->is_running) {
        kw__notices_stop(notices);
        return status != KW_OK ? status : KW_E_SYSTEM;
    }
    *notices_out = notices;
    return KW_OK;
}

void kw__notices_stop(struct kw__notices *notices)
{
    if (notices == NULL) {
        return;
    }
    if (notices->is_running) {
        kw_outgoing_wake(notices->outgoing);
        pthread_join(notices->thread, NULL);
    }
    struct kw_notify_job *next;
    for (struct kw_notify_job *job = take_jobs(notices); job != NULL; job = next) {
        next = job->next;
        end_job(job, KW_E_BUSY);
    }
    kw_outgoing_free(notices->outgoing); /* tells all that is under way, which is then let go of */
    for (size_t i = 0; i < notices->post_count; i++) {
        struct kw__post *post = notices->posts[i];
        if (post->test != NULL) {
            end_job(post->test->job, KW_E_BUSY);
        }
        kw__message_free(post->test);
        kw__message_free(post->message);
        kw__post_drop_rows(post);
        kw_free(post);
    }
    kw_free((void *)notices->posts);
    pthread_mutex_destroy(&notices->lock);
    kw_free(notices);
}
