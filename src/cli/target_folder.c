#include "cli/target.h"

#include "core/transition.h"
#include "engine/data_folder.h"
#include "server/api.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>

struct folder_target {
    struct kw_target target;
    struct kw_data_folder folder;
    struct kw_api *api;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool is_answered;
};

static void on_done(struct kw_call *call)
{
    struct folder_target *self = call->context;
    pthread_mutex_lock(&self->lock);
    self->is_answered = true;
    pthread_cond_signal(&self->answered);
    pthread_mutex_unlock(&self->lock);
}

static void fill_call(struct folder_target *self, const struct kw_request *request, struct kw_call *call)
{
    call->method = request->method;
    call->path = kw_bytes_of_text(request->path);
    call->query = request->query;
    call->body = request->body;
    call->headers[KW_HEADER_KEYWARD_PROJECT] = kw_bytes_of_text(request->project);
    call->headers[KW_HEADER_IF_MATCH] = kw_bytes_of_text(request->if_version);
    call->headers[KW_HEADER_IDEMPOTENCY_KEY] = kw_bytes_of_text(request->once);
    if (request->body.size > 0) {
        call->headers[KW_HEADER_CONTENT_TYPE] = KW_BYTES("application/json");
    }
    call->is_operator = true;
    call->now_ms = kw_engine_now_ms(self->folder.engine);
    call->done = on_done;
    call->context = self;
}

static void wait_for_answer(struct folder_target *self)
{
    pthread_mutex_lock(&self->lock);
    while (!self->is_answered) {
        pthread_cond_wait(&self->answered, &self->lock);
    }
    self->is_answered = false;
    pthread_mutex_unlock(&self->lock);
}

/* Takes what there is of the body, and asks for more until it has ended. */
static enum kw_status take_pieces(struct folder_target *self, const struct kw_request *request, struct kw_call *call,
                                  struct kw_error *error_out)
{
    enum kw_status status = KW_OK;
    while (status == KW_OK) {
        if (call->stream != KW_STREAM_CUT && call->answer.size > 0) {
            status = request->take(request->take_context, kw_buffer_bytes(&call->answer), error_out);
        }
        kw_buffer_reset(&call->answer);
        if (call->stream != KW_STREAM_MORE) {
            break;
        }
        call->is_left = status != KW_OK;
        call->go_on(call);
        wait_for_answer(self);
    }
    if (status == KW_OK && call->stream == KW_STREAM_CUT) {
        enum kw_code code = call->code == KW_CODE_NONE ? KW_CODE_INTERNAL : call->code;
        return kw_refuse(error_out, code, NULL, "the answer broke off, and what came of it is not whole: %s",
                         kw_code_info(code)->meaning);
    }
    return status;
}

static enum kw_status folder_send(struct kw_target *target, const struct kw_request *request,
                                  struct kw_answer *answer_out, struct kw_error *error_out)
{
    struct folder_target *self = (struct folder_target *)target;
    struct kw_call call = {0};
    kw_arena_init(&call.arena, NULL, 0, KW_CALL_ARENA_MAX);
    kw_buffer_init_secret(&call.answer, KW_CALL_ANSWER_MAX);
    if (request->counts_keys) {
        kw_engine_wait_filled(self->folder.engine);
    }
    fill_call(self, request, &call);
    self->is_answered = false;
    kw_api_handle(self->api, &call);
    wait_for_answer(self);
    enum kw_status status = KW_OK;
    if (request->take != NULL && call.status == 200) {
        status = take_pieces(self, request, &call, error_out);
    }
    answer_out->status = call.status;
    kw_buffer_add(&answer_out->body, kw_buffer_bytes(&call.answer));
    kw_buffer_deinit(&call.answer);
    kw_arena_reset(&call.arena);
    if (status != KW_OK) {
        return status;
    }
    if (kw_buffer_status(&answer_out->body) != KW_OK) {
        return kw_fail(error_out, KW_E_MEMORY, KW_CLI_FAILED, NULL, "not enough memory for the answer");
    }
    return KW_OK;
}

static void folder_close(struct kw_target *target)
{
    struct folder_target *self = (struct folder_target *)target;
    kw_api_free(self->api);
    kw_data_folder_close(&self->folder);
    pthread_cond_destroy(&self->answered);
    pthread_mutex_destroy(&self->lock);
    kw_free(self);
}

static const struct kw_target_ops folder_ops = {KW_TARGET_VERSION, "folder", folder_send, folder_close};

/* Whoever holds the folder may be a server, and then there is another way. */
static void say_other_way(struct kw_error *error)
{
    if (error->code != NULL && kw_code_of_name(error->code) == KW_CODE_DATA_IN_USE) {
        size_t size = strlen(error->message);
        (void)snprintf(error->message + size, sizeof error->message - size, ", or use --url");
    }
}

enum kw_status kw_target_folder_open(const struct kw_data_options *options, struct kw_target **target_out,
                                     struct kw_error *error_out)
{
    struct folder_target *self = kw_alloc(1, sizeof *self);
    if (self == NULL) {
        return kw_fail(error_out, KW_E_MEMORY, KW_CLI_FAILED, NULL, "not enough memory");
    }
    self->target.ops = &folder_ops;
    enum kw_status status = kw_data_folder_open(options, &self->folder, error_out);
    if (status != KW_OK) {
        say_other_way(error_out);
        kw_free(self);
        return status;
    }
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->answered, NULL);
    char path[PATH_MAX];
    (void)snprintf(self->target.place, sizeof self->target.place, "%s",
                   realpath(options->path, path) == NULL ? options->path : path);
    struct kw_api_options api = {.engine = self->folder.engine, .log = options->log};
    status = kw_api_new(&api, &self->api);
    if (status != KW_OK) {
        folder_close(&self->target);
        return kw_fail(error_out, status, KW_CLI_FAILED, NULL, "the interface cannot be set up");
    }
    *target_out = &self->target;
    return KW_OK;
}
