#include "notify/internal.h"
#include "notify/notices.h"

#include "base/bytes.h"
#include "core/digest.h"

#include <stdio.h>

#define SEND_TIMEOUT_MS 30000
#define MAIL_TIMEOUT_MS 60000
#define RANDOM_SIZE 16

static struct kw_bytes project_of(const struct kw__post *post)
{
    return kw_bytes_of(post->project, post->project_size);
}

static void fail(struct kw__message *message, const char *why)
{
    (void)snprintf(message->error, sizeof message->error, "%s", why);
    message->has_ended = true;
}

/* --- what is sent --- */

/* Of the channel, whom it goes to and what is told: the same rows have the same one. A test's is drawn. */
static enum kw_status name_message(const struct kw__notices *notices, struct kw__message *message)
{
    uint8_t digest[32];
    uint8_t random[RANDOM_SIZE];
    const struct kw_notify_options *options = &notices->notify->options;
    struct kw_buffer sequences;
    kw_buffer_init(&sequences, KW_NOTICE_MESSAGES_MAX * sizeof(uint64_t));
    for (const struct kw__row *row = message->rows; row != NULL; row = row->next) {
        kw_buffer_add(&sequences, kw_bytes_of(&row->sequence, sizeof row->sequence));
    }
    enum kw_status status = kw_buffer_status(&sequences);
    if (message->rows == NULL) {
        status = options->entropy.draw(options->entropy.context, random, sizeof random);
        kw_buffer_add(&sequences, kw_bytes_of(random, sizeof random));
    }
    const struct kw_bytes parts[] = {
        KW_BYTES("notice"), kw_bytes_of(&message->post->channel, sizeof message->post->channel),
        kw_bytes_of_text(message->rows == NULL ? "" : message->rows->to), kw_buffer_bytes(&sequences)};
    kw_digest_parts(parts, KW_COUNT_OF(parts), digest);
    kw_hex_encode(kw_bytes_of(digest, KW_MAIL_ID_SIZE / 2), message->id);
    kw_buffer_deinit(&sequences);
    return status;
}

static enum kw_status write_mail(struct kw__notices *notices, struct kw__message *message,
                                 const struct kw_notice_batch *batch)
{
    const struct kw__post *post = message->post;
    struct kw_buffer plain, html;
    struct kw_bytes to[KW_CHANNEL_ADDRESSES_MAX];
    kw_buffer_init(&plain, KW_NOTICE_MESSAGE_MAX);
    kw_buffer_init(&html, KW_NOTICE_HTML_MAX);
    kw_notice_write_plain(batch, &plain);
    kw_notice_write_html(batch, &html);
    for (size_t i = 0; i < message->mail.to_count; i++) {
        to[i] = kw_bytes_of_text(message->to[i]);
    }
    struct kw_mail mail = {.from = kw_bytes_of_text(notices->setup->relay.from),
                           .to = to,
                           .to_count = message->mail.to_count,
                           .subject = kw_bytes_of_text(message->subject),
                           .now_ms = message->started_ms,
                           .plain = kw_buffer_bytes(&plain),
                           .html = kw_buffer_bytes(&html)};
    memcpy(mail.id, message->id, sizeof mail.id);
    enum kw_status status = kw_buffer_status(&plain);
    status = status == KW_OK ? kw_buffer_status(&html) : status;
    if (status == KW_OK && post->kind == KW_CHANNEL_EMAIL) {
        kw_mail_write(&mail, &message->text);
    }
    kw_buffer_deinit(&plain);
    kw_buffer_deinit(&html);
    return status;
}

static enum kw_status write_slack(struct kw__message *message, const struct kw_notice_batch *batch)
{
    struct kw_buffer markup;
    struct kw_json_writer json;
    kw_buffer_init(&markup, KW_NOTICE_MESSAGE_MAX);
    kw_notice_write_slack(batch, &markup);
    kw_json_writer_init(&json, &message->text);
    kw_json_begin_object(&json);
    kw_json_name(&json, "text");
    kw_json_string(&json, kw_buffer_bytes(&markup));
    kw_json_end_object(&json);
    enum kw_status status = kw_buffer_status(&markup);
    kw_buffer_deinit(&markup);
    return status;
}

static enum kw_status write_text(struct kw__notices *notices, struct kw__message *message)
{
    const struct kw__post *post = message->post;
    const struct kw_notice *notices_of[KW_NOTICE_MESSAGES_MAX];
    struct kw_buffer subject;
    for (const struct kw__row *row = message->rows; row != NULL; row = row->next) {
        notices_of[message->count++] = &row->notice;
    }
    struct kw_notice_batch batch = {
        .project = project_of(post), .notices = notices_of, .count = message->count, .is_test = message->rows == NULL};
    kw_buffer_init_fixed(&subject, message->subject, sizeof message->subject - 1);
    kw_notice_subject(&batch, &subject);
    message->subject[subject.size] = '\0';
    enum kw_status status = KW_OK;
    switch (post->kind) {
    case KW_CHANNEL_EMAIL:
        status = write_mail(notices, message, &batch);
        break;
    case KW_CHANNEL_SLACK:
        status = write_slack(message, &batch);
        break;
    case KW_CHANNEL_COMMAND:
        kw_notice_write_plain(&batch, &message->text);
        break;
    }
    return status == KW_OK ? kw_buffer_status(&message->text) : status;
}

/* --- sending --- */

static void sent(struct kw_outgoing_request *request)
{
    struct kw__message *message = request->context;
    uint16_t status = request->http_status;
    message->has_ended = true;
    message->result.http_status = status;
    message->result.duration_ms = request->duration_ms;
    message->result.answer = kw_bytes_of(request->answer, request->answer_size);
    if (status == 0) {
        (void)snprintf(message->error, sizeof message->error, "%s", request->error);
    } else if (status < 200 || status >= 300) {
        (void)snprintf(message->error, sizeof message->error, "%s answered with %u",
                       request->mail != NULL ? "the relay" : "the chat", status);
    }
}

static enum kw_status send_mail(struct kw__notices *notices, struct kw__message *message)
{
    const struct kw_mail_relay *relay = &notices->setup->relay;
    struct kw_bytes local, domain;
    (void)kw_bytes_split(kw_bytes_of_text(relay->from), '@', &local, &domain);
    bool is_ipv6 = strchr(relay->host, ':') != NULL;
    (void)snprintf(message->url, sizeof message->url, "%s://%s%s%s:%u/%.*s",
                   relay->tls == KW_MAIL_TLS ? "smtps" : "smtp", is_ipv6 ? "[" : "", relay->host, is_ipv6 ? "]" : "",
                   relay->port, (int)domain.size, (const char *)domain.data);
    message->request.mail = &message->mail;
    message->request.timeout_ms = MAIL_TIMEOUT_MS;
    return kw_outgoing_send(notices->outgoing, &message->request);
}

static enum kw_status send_slack(struct kw__notices *notices, struct kw__message *message)
{
    const struct kw__post *post = message->post;
    struct kw_secret url KW_WIPED = {.size = 0};
    enum kw_status status = kw_engine_channel_url(notices->notify->options.engine, project_of(post),
                                                  kw_bytes_of(post->name, post->name_size), &url);
    if (status == KW_E_MEMORY) {
        return status;
    }
    if (status != KW_OK) {
        fail(message, "its URL cannot be read: restore the sealing key, or give it its URL again");
        return KW_OK;
    }
    struct kw_bytes text = kw_secret_expose(&url);
    memcpy(message->url, text.data, text.size);
    message->url[text.size] = '\0';
    message->request.timeout_ms = SEND_TIMEOUT_MS;
    return kw_outgoing_send(notices->outgoing, &message->request);
}

static const struct kw_notice_command *find_command(const struct kw__notices *notices, const char *name)
{
    for (size_t i = 0; notices->setup != NULL && i < notices->setup->command_count; i++) {
        if (strcmp(notices->setup->commands[i].name, name) == 0) {
            return &notices->setup->commands[i];
        }
    }
    return NULL;
}

static void run_command(struct kw__notices *notices, struct kw__message *message)
{
    const struct kw__post *post = message->post;
    const struct kw_notice_command *command = find_command(notices, post->command);
    const char *members[6] = {NULL};
    if (command == NULL) {
        fail(message, "the server's configuration has no command of this name");
        return;
    }
    size_t size = sizeof message->members[0];
    (void)snprintf(message->members[0], size, "KEYWARD_PROJECT=%.*s", (int)post->project_size,
                   (const char *)post->project);
    (void)snprintf(message->members[1], size, "KEYWARD_CHANNEL=%.*s", (int)post->name_size, (const char *)post->name);
    (void)snprintf(message->members[2], size, "KEYWARD_MESSAGE_ID=%s", message->id);
    (void)snprintf(message->members[3], size, "KEYWARD_SUBJECT=%s", message->subject);
    (void)snprintf(message->members[4], size, "KEYWARD_EVENT_COUNT=%zu", message->count);
    for (size_t i = 0; i < 5; i++) {
        members[i] = message->members[i];
    }
    if (kw_program_start(command, members, kw_buffer_bytes(&message->text), message->started_ms, &message->run) ==
        KW_OK) {
        notices->program_count++;
    } else {
        fail(message, message->run.error);
    }
}

bool kw__message_step(struct kw__notices *notices, struct kw__message *message)
{
    if (message->run.pid == 0 || message->has_ended) {
        return message->has_ended;
    }
    int64_t now_ms = kw__notify_now(notices->notify);
    if (!kw_program_step(&message->run, now_ms)) {
        return false;
    }
    notices->program_count--;
    message->has_ended = true;
    message->result.duration_ms = (uint32_t)(now_ms - message->started_ms);
    message->result.answer = kw_bytes_of(message->run.answer, message->run.answer_size);
    (void)snprintf(message->error, sizeof message->error, "%s", message->run.error);
    return true;
}

/* Whom a mail goes to; false where it can go to nobody. */
static bool choose_addresses(const struct kw__notices *notices, struct kw__message *message)
{
    const struct kw__post *post = message->post;
    if (notices->setup == NULL || notices->setup->relay.host == NULL) {
        fail(message, "the server's configuration has no relay for mail");
        return false;
    }
    message->mail.relay = &notices->setup->relay;
    for (size_t i = 0; i < post->to_count && !post->to_owner; i++) {
        message->to[message->mail.to_count++] = post->to[i];
    }
    if (post->to_owner && message->rows != NULL && message->rows->to[0] != '\0') {
        message->to[message->mail.to_count++] = message->rows->to;
    } else if (post->to_owner) {
        fail(message, message->rows == NULL ? "it goes to the owners of keys: a test has none"
                                            : "the key has no " KW_CHANNEL_OWNER_MEMBER " in its metadata");
        return false;
    }
    message->mail.to = message->to;
    return true;
}

static enum kw_status begin(struct kw__notices *notices, struct kw__message *message)
{
    if (message->post->kind == KW_CHANNEL_EMAIL && !choose_addresses(notices, message)) {
        return KW_OK;
    }
    enum kw_status status = name_message(notices, message);
    status = status == KW_OK ? write_text(notices, message) : status;
    if (status != KW_OK) {
        return KW_E_MEMORY;
    }
    message->request = (struct kw_outgoing_request){
        .url = message->url, .body = kw_buffer_bytes(&message->text), .done = sent, .context = message};
    switch (message->post->kind) {
    case KW_CHANNEL_EMAIL:
        return send_mail(notices, message);
    case KW_CHANNEL_SLACK:
        return send_slack(notices, message);
    case KW_CHANNEL_COMMAND:
        run_command(notices, message);
        break;
    }
    return KW_OK;
}

enum kw_status kw__message_begin(struct kw__notices *notices, struct kw__post *post, struct kw__row *rows,
                                 struct kw__message **message_out)
{
    struct kw__message *message = kw_alloc(1, sizeof *message);
    if (message == NULL) {
        return KW_E_MEMORY;
    }
    message->post = post;
    message->rows = rows;
    message->started_ms = kw__notify_now(notices->notify);
    message->result.at_ms = message->started_ms;
    kw_buffer_init(&message->text, KW_MAIL_MAX);
    enum kw_status status = begin(notices, message);
    if (status != KW_OK) {
        message->rows = NULL;
        kw__message_free(message);
        return status;
    }
    *message_out = message;
    return KW_OK;
}

void kw__message_free(struct kw__message *message)
{
    if (message == NULL) {
        return;
    }
    if (message->run.pid > 0) {
        kw_program_kill(&message->run);
    }
    while (message->rows != NULL) {
        struct kw__row *row = message->rows;
        message->rows = row->next;
        kw_free(row);
    }
    kw_buffer_deinit(&message->text);
    kw_wipe(message->url, sizeof message->url);
    kw_free(message);
}
