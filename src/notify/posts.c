#include "notify/internal.h"
#include "notify/notices.h"

#include "base/bytes.h"

#include <stdio.h>

#define CLAIM_MS INT64_C(3600000) /* longer than anything that is claimed waits here */
#define LOOK_MS 500               /* how often it is looked for retries that have become due */
#define REST_MS 1000
#define SAME_ATTEMPTS 3 /* so often a message that failed is tried as it was; then it goes with others */

static struct kw_bytes project_of(const struct kw__post *post)
{
    return kw_bytes_of(post->project, post->project_size);
}

static struct kw_bytes name_of(const struct kw__post *post)
{
    return kw_bytes_of(post->name, post->name_size);
}

/* --- what the catalog says --- */

struct kw__post *kw__post_find(struct kw__notices *notices, struct kw_bytes project, struct kw_bytes name)
{
    for (size_t i = 0; i < notices->post_count; i++) {
        struct kw__post *post = notices->posts[i];
        if (post->is_there && kw_bytes_equal(name_of(post), name) && kw_bytes_equal(project_of(post), project)) {
            return post;
        }
    }
    return NULL;
}

static struct kw__post *find_or_add(struct kw__notices *notices, uint64_t channel)
{
    for (size_t i = 0; i < notices->post_count; i++) {
        if (notices->posts[i]->channel == channel) {
            return notices->posts[i];
        }
    }
    if (notices->post_count == notices->post_room) {
        size_t room = notices->post_room == 0 ? 16 : 2 * notices->post_room;
        struct kw__post **longer = kw_realloc((void *)notices->posts, room * sizeof(void *));
        if (longer == NULL) {
            return NULL;
        }
        notices->posts = longer;
        notices->post_room = room;
    }
    struct kw__post *post = kw_alloc(1, sizeof *post);
    if (post != NULL) {
        post->channel = channel;
        notices->posts[notices->post_count++] = post;
    }
    return post;
}

static void take_text(struct kw_bytes text, char *out)
{
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    out[text.size] = '\0';
}

static void see_channel(void *context, struct kw_bytes project, const struct kw_document *document)
{
    struct kw__notices *notices = context;
    const struct kw_channel *channel = &document->is.channel;
    struct kw__post *post = find_or_add(notices, channel->subscription.channel);
    if (post == NULL) {
        notices->is_loaded = false; /* no memory: another time */
        return;
    }
    post->is_there = true;
    if (post->version == document->version) {
        return;
    }
    memcpy(post->project, project.data, project.size);
    memcpy(post->name, channel->name.data, channel->name.size);
    post->project_size = project.size;
    post->name_size = channel->name.size;
    post->kind = channel->kind;
    post->to_count = channel->to_count;
    for (size_t i = 0; i < channel->to_count; i++) {
        take_text(channel->to[i], post->to[i]);
    }
    post->to_owner = channel->to_owner;
    take_text(channel->command, post->command);
    post->every_ms = channel->every_ms;
    post->status = channel->subscription.status;
    post->version = document->version;
    /* Whoever changed it may have mended it. */
    post->failures = 0;
    post->look_at_ms = post->rest_until_ms = 0;
    post->knows_quiet = false;
}

void kw__posts_refresh(struct kw__notices *notices)
{
    struct kw_engine *engine = notices->notify->options.engine;
    uint64_t version = kw_engine_catalog_version(engine);
    if (!notices->is_loaded || version != notices->catalog_version) {
        for (size_t i = 0; i < notices->post_count; i++) {
            notices->posts[i]->is_there = false;
        }
        notices->is_loaded = true;
        notices->catalog_version = version;
        kw_engine_channels(engine, see_channel, notices);
    }
    for (size_t i = notices->post_count; i-- > 0;) {
        struct kw__post *post = notices->posts[i];
        if (!post->is_there && post->message == NULL && post->test == NULL) {
            kw__post_drop_rows(post);
            kw_free(post);
            notices->posts[i] = notices->posts[--notices->post_count];
        }
    }
}

/* --- claiming --- */

void kw__post_drop_rows(struct kw__post *post)
{
    while (post->first != NULL) {
        struct kw__row *row = post->first;
        post->first = row->next;
        kw_free(row);
    }
    post->last = NULL;
    post->row_count = 0;
}

static void read_tries(struct kw__row *row)
{
    struct kw_bytes rest = row->tries;
    struct kw_try one;
    size_t count = kw_tries_count(rest);
    size_t before = count > row->attempts ? count - row->attempts : 0; /* those from before a replay */
    for (size_t i = 0; kw_tries_next(&rest, &one); i++) {
        row->first_ms = i == before ? one.at_ms : row->first_ms;
        row->last_ms = i >= before ? one.at_ms : row->last_ms;
    }
}

struct claiming {
    struct kw__post *post;
    size_t count;
    bool is_whole;
};

static enum kw_status take(void *context, const struct kw_store_delivery *delivery)
{
    struct claiming *claiming = context;
    struct kw__post *post = claiming->post;
    struct kw__row *row = kw_alloc(1, sizeof *row + delivery->tries.size);
    claiming->count++;
    if (row == NULL) {
        claiming->is_whole = false;
        return KW_OK; /* its claim is ended below */
    }
    if (delivery->tries.size > 0) {
        memcpy(row + 1, delivery->tries.data, delivery->tries.size);
    }
    row->tries = kw_bytes_of(row + 1, delivery->tries.size);
    row->sequence = delivery->sequence;
    row->attempts = delivery->attempts;
    read_tries(row);
    if (kw_notice_read(delivery->message.body, &row->notice) != KW_OK) {
        /* Told all the same, as far as it is known. */
        row->notice = (struct kw_notice){.at_ms = delivery->message.at_ms};
        (void)snprintf(row->notice.event, sizeof row->notice.event, "%.*s", (int)delivery->message.type.size,
                       (const char *)delivery->message.type.data);
    }
    struct kw__row **place = &post->first;
    while (*place != NULL && (*place)->sequence < row->sequence) {
        place = &(*place)->next;
    }
    row->next = *place;
    *place = row;
    post->last = row->next == NULL ? row : post->last;
    post->row_count++;
    return KW_OK;
}

/* Its last message that arrived, of an earlier life too. */
static void find_quiet(struct kw__notices *notices, struct kw__post *post)
{
    int64_t at_ms = 0;
    if (!post->knows_quiet &&
        kw_engine_last_delivered(notices->notify->options.engine, post->channel, &at_ms) == KW_OK) {
        post->knows_quiet = true;
        post->quiet_until_ms = at_ms == 0 ? 0 : at_ms + post->every_ms;
    }
}

/* The ids of keys by which owners are found are in what is told. */
static void find_owners(struct kw__notices *notices, struct kw__post *post)
{
    for (struct kw__row *row = post->first; post->to_owner && row != NULL; row = row->next) {
        struct kw_id id;
        if (row->to[0] == '\0' && kw_id_parse(kw_bytes_of_text(row->notice.parts[KW_NOTICE_KEY_ID]), &id)) {
            (void)!kw_engine_owner_address(notices->notify->options.engine, &id, row->to);
        }
    }
}

void kw__post_claim(struct kw__notices *notices, struct kw__post *post)
{
    struct kw_engine *engine = notices->notify->options.engine;
    int64_t now_ms = kw__notify_now(notices->notify);
    if (post->message != NULL || post->row_count >= KW_NOTICE_MESSAGES_MAX || now_ms < post->look_at_ms) {
        return;
    }
    find_quiet(notices, post);
    if (!post->knows_quiet || now_ms < post->rest_until_ms || now_ms < post->quiet_until_ms) {
        return;
    }
    post->is_released = post->is_released || kw_engine_deliveries_release(engine, post->channel) == KW_OK;
    struct claiming claiming = {.post = post, .is_whole = true};
    enum kw_status status = KW_E_UNAVAILABLE;
    if (post->is_released) {
        status = kw_engine_deliveries_claim(engine, post->channel, now_ms + CLAIM_MS,
                                            KW_NOTICE_MESSAGES_MAX - post->row_count, take, &claiming);
    }
    if (claiming.count > 0 && post->gather_until_ms == 0) {
        post->gather_until_ms = now_ms + KW__NOTICE_GATHER_MS;
    }
    if (!claiming.is_whole) {
        /* Without memory for all of them none is kept: the store has them. */
        kw__post_drop_rows(post);
        post->is_released = false;
        post->rest_until_ms = now_ms + REST_MS;
        post->gather_until_ms = 0;
    }
    post->look_at_ms = status == KW_OK ? now_ms + LOOK_MS / 2 : now_ms + LOOK_MS;
    find_owners(notices, post);
}

/* --- sending --- */

/* What a message that failed is known again by. */
static int64_t group_of(const struct kw__row *row)
{
    return row->attempts < SAME_ATTEMPTS ? row->last_ms : 0;
}

/* Takes the rows out that go with the first one. */
static struct kw__row *take_group(struct kw__post *post)
{
    struct kw__row *group = NULL;
    struct kw__row **end = &group;
    struct kw__row **place = &post->first;
    const struct kw__row first = *post->first;
    post->last = NULL;
    while (*place != NULL) {
        struct kw__row *row = *place;
        if (group_of(row) != group_of(&first) || strcmp(row->to, first.to) != 0) {
            post->last = row;
            place = &row->next;
            continue;
        }
        *place = row->next;
        row->next = NULL;
        *end = row;
        end = &row->next;
        post->row_count--;
    }
    return group;
}

void kw__post_send(struct kw__notices *notices, struct kw__post *post)
{
    int64_t now_ms = kw__notify_now(notices->notify);
    bool may_run = post->kind != KW_CHANNEL_COMMAND || notices->program_count < KW__NOTICE_PROGRAMS_MAX;
    if (post->message != NULL || post->first == NULL || !may_run || now_ms < post->rest_until_ms ||
        (now_ms < post->gather_until_ms && post->row_count < KW_NOTICE_MESSAGES_MAX)) {
        return;
    }
    struct kw__row *group = take_group(post);
    if (kw__message_begin(notices, post, group, &post->message) == KW_OK) {
        return;
    }
    /* Back to where they were. */
    post->rest_until_ms = now_ms + REST_MS;
    while (group != NULL) {
        struct kw__row *row = group;
        group = row->next;
        row->next = post->first;
        post->first = row;
        post->row_count++;
    }
}

/* --- what became of it --- */

struct settling {
    struct kw_store_settled settled[KW_NOTICE_MESSAGES_MAX];
    struct kw_buffer tries[KW_NOTICE_MESSAGES_MAX];
    size_t count;
};

static void add_row(struct settling *settling, const struct kw__message *message, const struct kw__row *row,
                    int64_t now_ms, uint32_t random)
{
    struct kw_try one = message->result;
    struct kw_buffer *tries = &settling->tries[settling->count];
    struct kw_store_settled *settled = &settling->settled[settling->count++];
    one.error = kw_bytes_of_text(message->error);
    kw_buffer_init(tries, KW_STORE_TRIES_MAX);
    kw_tries_add(row->tries, &one, tries);
    *settled = (struct kw_store_settled){.channel = message->post->channel,
                                         .sequence = row->sequence,
                                         .state = KW_DELIVERY_DONE,
                                         .attempts = row->attempts + 1,
                                         .tries = kw_buffer_bytes(tries)};
    if (one.error.size > 0) {
        struct kw_retry retry = {.first_ms = row->first_ms == 0 ? message->started_ms : row->first_ms,
                                 .now_ms = now_ms,
                                 .attempts = row->attempts + 1,
                                 .retry_after_ms =
                                     kw_retry_after(kw_bytes_of_text(message->request.retry_after), now_ms),
                                 .random = random};
        settled->state = kw_retry_next(&retry, &settled->due_ms) ? KW_DELIVERY_WAITING : KW_DELIVERY_FAILED;
    }
}

/* All of its rows together: they wait until the same moment, or are done at once. */
static enum kw_status settle_rows(struct kw__notices *notices, struct kw__message *message, int64_t now_ms)
{
    const struct kw_notify_options *options = &notices->notify->options;
    struct settling *settling = kw_alloc(1, sizeof *settling);
    uint32_t random = 0;
    if (settling == NULL) {
        return KW_E_MEMORY;
    }
    if (options->entropy.draw(options->entropy.context, (uint8_t *)&random, sizeof random) != KW_OK) {
        random = 0;
    }
    for (const struct kw__row *row = message->rows; row != NULL; row = row->next) {
        add_row(settling, message, row, now_ms, random);
    }
    enum kw_status status = kw_engine_deliveries_settle(options->engine, settling->settled, settling->count);
    for (size_t i = 0; i < settling->count; i++) {
        kw_buffer_deinit(&settling->tries[i]);
    }
    kw_free(settling);
    return status;
}

void kw__post_settle(struct kw__notices *notices, struct kw__post *post)
{
    struct kw__message *message = post->message;
    int64_t now_ms = kw__notify_now(notices->notify);
    if (now_ms < post->look_at_ms && message->is_settled_late) {
        return;
    }
    /* Where the store cannot say whether it was done, it is told once more: what was done stays so. */
    if (settle_rows(notices, message, now_ms) != KW_OK) {
        message->is_settled_late = true;
        post->look_at_ms = now_ms + LOOK_MS;
        return;
    }
    if (message->error[0] == '\0') {
        post->failures = 0;
        post->quiet_until_ms = now_ms + post->every_ms;
    } else if (!post->to_owner) {
        unsigned more = post->failures++;
        post->rest_until_ms = now_ms + (more >= 6 ? KW_NOTIFY_REST_MAX_MS : (int64_t)REST_MS << more);
    }
    post->look_at_ms = 0;
    if (post->first == NULL) {
        post->gather_until_ms = 0;
    }
    post->message = NULL;
    kw__message_free(message);
}

void kw__post_give_back(struct kw__notices *notices, struct kw__post *post)
{
    if (post->first == NULL) {
        return;
    }
    /* Those of its message are settled when that has ended, released or not. */
    if (post->message == NULL &&
        kw_engine_deliveries_release(notices->notify->options.engine, post->channel) == KW_OK) {
        kw__post_drop_rows(post);
        post->gather_until_ms = 0;
    }
}
