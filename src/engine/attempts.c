#include "engine/attempts.h"

#include "base/bytes.h"
#include "base/time.h"
#include "engine/internal.h"

#define LINE_MAX ((size_t)4096)
#define TEXTS_MAX ((size_t)(KW_ATTEMPTS_KINDS + 1) * LINE_MAX)

struct text {
    uint8_t size;
    uint8_t bytes[KW_AUDIT_USER_AGENT_MAX - 1];
};

/* Attempts that are alike: all but the user agent is the same, which is that of the last one. */
struct kind {
    struct text project, actor, address, user_agent;
    const char *code, *route; /* NULL: of several */
    uint64_t count;
    int64_t first_ms, last_ms;
};

struct kw_attempts {
    pthread_mutex_t lock;
    struct kind kinds[KW_ATTEMPTS_KINDS + 1]; /* the last is all others */
    size_t count;
    int64_t written_ms;
    struct kind taken[KW_ATTEMPTS_KINDS + 1]; /* whoever writes has them */
};

enum kw_status kw__attempts_new(struct kw_attempts **attempts_out)
{
    struct kw_attempts *attempts = kw_alloc(1, sizeof *attempts);
    if (attempts == NULL) {
        return KW_E_MEMORY;
    }
    pthread_mutex_init(&attempts->lock, NULL);
    attempts->written_ms = INT64_MIN;
    *attempts_out = attempts;
    return KW_OK;
}

void kw__attempts_free(struct kw_attempts *attempts)
{
    if (attempts != NULL) {
        pthread_mutex_destroy(&attempts->lock);
        kw_free(attempts);
    }
}

static void set_text(struct text *text, struct kw_bytes bytes)
{
    size_t size = bytes.size;
    if (size > sizeof text->bytes) {
        size = sizeof text->bytes;
        while (size > 0 && (bytes.data[size] & 0xc0) == 0x80) { /* the cut lies within a character */
            size--;
        }
    }
    text->size = (uint8_t)size;
    if (size > 0) {
        memcpy(text->bytes, bytes.data, size);
    }
}

static struct kw_bytes bytes_of(const struct text *text)
{
    return kw_bytes_of(text->bytes, text->size);
}

static bool are_alike(const struct kind *a, const struct kind *b)
{
    return a->code == b->code && a->route == b->route && kw_bytes_equal(bytes_of(&a->project), bytes_of(&b->project)) &&
           kw_bytes_equal(bytes_of(&a->actor), bytes_of(&b->actor)) &&
           kw_bytes_equal(bytes_of(&a->address), bytes_of(&b->address));
}

/* Under the lock. */
static void add(struct kw_attempts *attempts, const struct kind *kind)
{
    size_t at = 0;
    while (at < attempts->count && at < KW_ATTEMPTS_KINDS && !are_alike(&attempts->kinds[at], kind)) {
        at++;
    }
    struct kind *into = &attempts->kinds[at];
    if (at == attempts->count) {
        attempts->count++;
        *into = *kind;
        if (at == KW_ATTEMPTS_KINDS) {
            *into = (struct kind){.count = kind->count, .first_ms = kind->first_ms, .last_ms = kind->last_ms};
        }
        return;
    }
    into->count += kind->count;
    into->first_ms = kind->first_ms < into->first_ms ? kind->first_ms : into->first_ms;
    into->last_ms = kind->last_ms > into->last_ms ? kind->last_ms : into->last_ms;
    if (at < KW_ATTEMPTS_KINDS) {
        into->user_agent = kind->user_agent;
    }
}

void kw_engine_note_attempt(struct kw_engine *engine, const struct kw_attempt *attempt)
{
    struct kind kind = {.code = attempt->code,
                        .route = attempt->route,
                        .count = 1,
                        .first_ms = attempt->at_ms,
                        .last_ms = attempt->at_ms};
    if (engine->attempts == NULL) {
        return;
    }
    set_text(&kind.project, attempt->project);
    set_text(&kind.actor, attempt->actor);
    set_text(&kind.address, attempt->address);
    set_text(&kind.user_agent, attempt->user_agent);
    pthread_mutex_lock(&engine->attempts->lock);
    add(engine->attempts, &kind);
    pthread_mutex_unlock(&engine->attempts->lock);
}

/* --- writing --- */

static enum kw_status copy_of(struct kw_buffer *text, struct kw_arena *arena, struct kw_bytes *out)
{
    enum kw_status status = kw_buffer_status(text);
    status = status == KW_OK ? kw_arena_copy(arena, kw_buffer_bytes(text), out) : status;
    kw_buffer_reset(text);
    return status;
}

static void write_details(const struct kind *kind, struct kw_buffer *text)
{
    struct kw_json_writer json;
    char last[KW_TIME_TEXT_SIZE];
    kw_json_writer_init(&json, text);
    kw_json_begin_object(&json);
    if (kind->code != NULL) {
        kw_json_name(&json, "code");
        kw_json_text(&json, kind->code);
        kw_json_name(&json, "route");
        kw_json_text(&json, kind->route);
    }
    kw_json_name(&json, "count");
    kw_json_i64(&json, (int64_t)kind->count);
    kw_time_format(kind->last_ms, last);
    kw_json_name(&json, "lastAt");
    kw_json_string(&json, kw_bytes_of(last, sizeof last));
    kw_json_end_object(&json);
}

static enum kw_status make_line(const struct kind *kind, struct kw_arena *arena, struct kw_store_audit *line_out)
{
    const struct kw_audit_context known = {.actor = bytes_of(&kind->actor),
                                           .address = bytes_of(&kind->address),
                                           .user_agent = bytes_of(&kind->user_agent)};
    struct kw_buffer text;
    kw_buffer_init(&text, LINE_MAX);
    *line_out = (struct kw_store_audit){
        .at_ms = kind->first_ms,
        .project = kind->project.size > 0 ? bytes_of(&kind->project) : kw_project_built_in(KW_PROJECT_KEYWARD)->name,
        .action = KW_BYTES("access.refused")};
    kw_audit_context_write(NULL, &known, NULL, &text, &line_out->actor);
    enum kw_status status = copy_of(&text, arena, &line_out->context);
    write_details(kind, &text);
    status = status == KW_OK ? copy_of(&text, arena, &line_out->body) : status;
    kw_buffer_deinit(&text);
    return status;
}

static enum kw_status write_kinds(struct kw_engine *engine, const struct kind *kinds, size_t count)
{
    struct kw_store_audit lines[KW_ATTEMPTS_KINDS + 1];
    struct kw_arena arena;
    enum kw_status status = KW_OK;
    kw_arena_init(&arena, NULL, 0, TEXTS_MAX);
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        status = make_line(&kinds[i], &arena, &lines[i]);
    }
    if (status == KW_OK) {
        const struct kw_store_batch batch = {.audits = lines, .audit_count = count};
        struct kw_op op;
        kw_op_init(&op, KW_OP_SEAL, KW_PROJECT_KEYWARD);
        op.seals = &batch;
        status = kw_engine_run(engine, &op);
        kw_op_deinit(&op);
    }
    kw_arena_reset(&arena);
    return status;
}

enum kw_status kw__attempts_write(struct kw_engine *engine, bool is_last)
{
    struct kw_attempts *attempts = engine->attempts;
    int64_t now_ms = kw_engine_now_ms(engine);
    pthread_mutex_lock(&attempts->lock);
    bool is_early = attempts->written_ms != INT64_MIN && now_ms >= attempts->written_ms &&
                    now_ms - attempts->written_ms < KW_ATTEMPTS_PAUSE_MS && !is_last;
    size_t count = is_early ? 0 : attempts->count;
    memcpy(attempts->taken, attempts->kinds, count * sizeof *attempts->taken);
    attempts->count -= count;
    pthread_mutex_unlock(&attempts->lock);
    if (count == 0) {
        return KW_OK;
    }
    attempts->written_ms = now_ms;
    enum kw_status status = write_kinds(engine, attempts->taken, count);
    if (status != KW_OK && status != KW_E_UNCERTAIN) {
        pthread_mutex_lock(&attempts->lock);
        for (size_t i = 0; i < count; i++) {
            add(attempts, &attempts->taken[i]);
        }
        pthread_mutex_unlock(&attempts->lock);
    }
    return status;
}
