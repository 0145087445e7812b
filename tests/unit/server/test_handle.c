/* Calls handed to the interface without a transport: on a full index, on one that is still filling, and without memory.
 */
#include "server/api.h"
#include "support/engine.h"

#include <pthread.h>
#include <stdio.h>

#define ARENA_BLOCK 65536

/* A memory store that outlives its engine. While it is held back the index does not fill; while it is down, nothing is
 * found in it. One at a time. */
static struct {
    struct kw_store_ops ops;
    const struct kw_store_ops *inner;
    bool held_back, down; /* atomic */
} shelf;

static enum kw_status shelf_list(struct kw_store *store, const struct kw_store_filter *filter, kw_store_row_sink *sink,
                                 void *context)
{
    return __atomic_load_n(&shelf.held_back, __ATOMIC_RELAXED) ? KW_E_UNAVAILABLE
                                                               : shelf.inner->list(store, filter, sink, context);
}

static enum kw_status shelf_find(struct kw_store *store, struct kw_bytes digest, kw_store_row_sink *sink, void *context)
{
    return __atomic_load_n(&shelf.down, __ATOMIC_RELAXED) ? KW_E_UNAVAILABLE
                                                          : shelf.inner->find_by_digest(store, digest, sink, context);
}

static void shelf_keep(struct kw_store *store)
{
    (void)store;
}

static bool shelf_open(struct kw_store **store_out)
{
    if (kw_store_memory_open(store_out) != KW_OK) {
        return false;
    }
    shelf.inner = (*store_out)->ops;
    shelf.ops = *shelf.inner;
    shelf.ops.list = shelf_list;
    shelf.ops.find_by_digest = shelf_find;
    shelf.ops.close = shelf_keep;
    (*store_out)->ops = &shelf.ops;
    return true;
}

static void set(bool *flag, bool value)
{
    __atomic_store_n(flag, value, __ATOMIC_RELAXED);
}

/* An interface on an engine, and one call at a time. */
struct fixture {
    struct test_engine engine;
    struct kw_api *api;
    struct kw_secret root;
    bool draining;
    struct kw_call call;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_done;
    uint8_t block[ARENA_BLOCK];
};

static bool is_draining(void *context)
{
    return ((struct fixture *)context)->draining;
}

static void add_metrics(void *context, struct kw_buffer *text)
{
    (void)context;
    kw_buffer_add_text(text, "transport_metric 1\n");
}

static void done(struct kw_call *call)
{
    struct fixture *f = call->context;
    pthread_mutex_lock(&f->lock);
    f->is_done = true;
    pthread_cond_signal(&f->ended);
    pthread_mutex_unlock(&f->lock);
}

static bool open_on(struct test *t, struct fixture *f, struct kw_store *store)
{
    struct kw_error error;
    struct kw_secret wanted = f->root;
    f->draining = false;
    if (!test_engine_open(t, &f->engine, store)) {
        return false;
    }
    struct kw_api_options options = {
        .engine = f->engine.engine, .transport_metrics = add_metrics, .draining = is_draining, .transport_context = f};
    if (kw_api_new(&options, &f->api) != KW_OK) {
        return false;
    }
    return wanted.size > 0 || kw_engine_root_key(f->engine.engine, NULL, &f->root, &error) == KW_OK;
}

static struct fixture *fixture_new(struct test *t, struct kw_store *store)
{
    struct fixture *f = kw_alloc(1, sizeof *f);
    if (f == NULL) {
        return NULL;
    }
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->ended, NULL);
    kw_buffer_init(&f->call.answer, KW_CALL_ANSWER_MAX);
    return open_on(t, f, store) ? f : NULL;
}

static void close_engine(struct fixture *f)
{
    kw_api_free(f->api);
    test_engine_close(&f->engine);
}

static void fixture_free(struct fixture *f)
{
    close_engine(f);
    kw_buffer_deinit(&f->call.answer);
    kw_secret_wipe(&f->root);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->ended);
    kw_free(f);
}

struct asked {
    enum kw_method method;
    const char *path;
    const char *body;
    struct kw_bytes key; /* of Authorization; empty: none */
    int64_t fail_after;  /* which allocation fails; 0: none */
};

/* One call from beginning to end; the answer stays until the next. `header` outlives the call. */
static void ask(struct fixture *f, const struct asked *asked)
{
    struct kw_buffer answer = f->call.answer;
    char header[KW_SECRET_MAX + 8] = "Bearer ";
    kw_buffer_reset(&answer);
    memcpy(header + 7, asked->key.data == NULL ? (const uint8_t *)"" : asked->key.data, asked->key.size);
    f->call = (struct kw_call){.method = asked->method,
                               .path = kw_bytes_of_text(asked->path),
                               .body = kw_bytes_of_text(asked->body),
                               .peer = KW_BYTES("192.0.2.1"),
                               .now_ms = TEST_NOW_MS,
                               .request_id = "id",
                               .answer = answer,
                               .done = done,
                               .context = f};
    f->call.headers[KW_HEADER_CONTENT_TYPE] = KW_BYTES("application/json");
    if (asked->key.size > 0) {
        f->call.headers[KW_HEADER_AUTHORIZATION] = kw_bytes_of(header, 7 + asked->key.size);
    }
    kw_arena_init(&f->call.arena, asked->fail_after > 1 ? NULL : f->block, sizeof f->block, KW_CALL_ARENA_MAX);
    f->is_done = false;
    kw_alloc_fail_after(asked->fail_after == 0 ? -1 : asked->fail_after);
    kw_api_handle(f->api, &f->call);
    kw_alloc_fail_after(-1);
    pthread_mutex_lock(&f->lock);
    while (!f->is_done) {
        pthread_cond_wait(&f->ended, &f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    kw_arena_reset(&f->call.arena);
    kw_wipe(header, sizeof header);
}

static bool answer_holds(const struct fixture *f, const char *text)
{
    return f->call.answer.size > 0 && memmem(f->call.answer.data, f->call.answer.size, text, strlen(text)) != NULL;
}

/* The values of identity headers are static or literals, so they outlive the call's arena. */
static bool has_header(const struct fixture *f, const char *name, const char *value)
{
    for (size_t i = 0; i < f->call.answer_header_count; i++) {
        if (strcmp(f->call.answer_headers[i].name, name) == 0) {
            return kw_bytes_equal(f->call.answer_headers[i].value, kw_bytes_of_text(value));
        }
    }
    return false;
}

/* {"key":"…"} with what follows. */
static const char *key_body(char *out, size_t size, const struct kw_secret *key, const char *after)
{
    struct kw_bytes text = kw_secret_expose(key);
    snprintf(out, size, "{\"key\":\"%.*s\"%s}", (int)text.size, (const char *)text.data, after);
    return out;
}

static void a_verification_allocates_nothing(struct test *t)
{
    struct fixture *f = fixture_new(t, NULL);
    REQUIRE(t, f != NULL);
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    char body[512];
    REQUIRE(t, test_engine_create(t, &f->engine, NULL, &id, &key));
    kw_engine_wait_filled(f->engine.engine);
    struct asked asked = {KW_POST, "/v1/keys/verify",
                          key_body(body, sizeof body, &key, ",\"scopes\":[],\"env\":\"live\""),
                          kw_secret_expose(&f->root), 0};
    ask(f, &asked); /* makes room for the answer, and the thread known to those who wait for readers */
    CHECK_I64(t, f->call.status, 200);
    CHECK(t, answer_holds(f, "{\"valid\":true,\"record\":{"));
    asked.fail_after = 1;
    ask(f, &asked);
    CHECK_I64(t, f->call.status, 200);
    CHECK(t, answer_holds(f, "{\"valid\":true,\"record\":{"));
    asked = (struct asked){KW_GET, "/v1/authorize/default", NULL, kw_secret_expose(&key), 1};
    ask(f, &asked);
    CHECK_I64(t, f->call.status, 200);
    fixture_free(f);
}

static void keys_that_are_not_in_the_index_yet_are_fetched(struct test *t)
{
    struct kw_store *store;
    struct kw_id id;
    struct kw_secret keys[3] = {0};
    REQUIRE(t, shelf_open(&store));
    struct fixture *f = fixture_new(t, store);
    REQUIRE(t, f != NULL);
    for (size_t i = 0; i < KW_COUNT_OF(keys); i++) {
        REQUIRE(t, test_engine_create(t, &f->engine, NULL, &id, &keys[i]));
    }
    close_engine(f);
    set(&shelf.held_back, true);
    REQUIRE(t, open_on(t, f, store));

    char body[1024];
    struct asked asked = {KW_POST, "/v1/keys/verify", key_body(body, sizeof body, &keys[0], ""),
                          kw_secret_expose(&f->root), 0};
    ask(f, &asked);
    CHECK_I64(t, f->call.status, 200);
    CHECK(t, answer_holds(f, "{\"valid\":true,\"record\":{"));

    struct kw_bytes first = kw_secret_expose(&keys[0]), second = kw_secret_expose(&keys[1]);
    snprintf(body, sizeof body, "{\"items\":[{\"key\":\"%.*s\"},{\"key\":\"%.*s\"},{\"key\":\"%.*s\"},{\"key\":\"\"}]}",
             (int)second.size, (const char *)second.data, (int)first.size, (const char *)first.data, (int)second.size,
             (const char *)second.data);
    asked = (struct asked){KW_POST, "/v1/keys/batch/verify", body, kw_secret_expose(&f->root), 0};
    ask(f, &asked);
    CHECK_I64(t, f->call.status, 200);
    CHECK(t, answer_holds(f, "{\"items\":[{\"valid\":true,"));
    CHECK(t, answer_holds(f, "{\"valid\":false,\"code\":\"MISSING_KEY\",\"message\":\"No key was given.\"}]}"));

    asked = (struct asked){KW_POST, "/v1/authorize/default/x", NULL, kw_secret_expose(&keys[2]), 0};
    ask(f, &asked);
    CHECK_I64(t, f->call.status, 200);
    set(&shelf.held_back, false);
    fixture_free(f);
    shelf.inner->close(store);
}

static void what_is_in_no_store_is_unknown(struct test *t)
{
    static const char stranger[] = "sk_live_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    struct kw_store *store;
    char key[64], body[128];
    uint32_t sum = kw_crc32(KW_BYTES(stranger));
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    int size = snprintf(key, sizeof key, "%s", stranger);
    for (int i = 5; i >= 0; i--, sum /= 62) {
        key[size + i] = digits[sum % 62];
    }
    key[size + 6] = '\0';
    REQUIRE(t, kw_key_well_formed(kw_bytes_of_text(key)));
    REQUIRE(t, shelf_open(&store));
    struct fixture *f = fixture_new(t, store);
    REQUIRE(t, f != NULL);
    close_engine(f);
    set(&shelf.held_back, true);
    REQUIRE(t, open_on(t, f, store));
    snprintf(body, sizeof body, "{\"key\":\"%s\"}", key);
    struct asked asked = {KW_POST, "/v1/keys/verify", body, kw_secret_expose(&f->root), 0};
    ask(f, &asked);
    CHECK(t, answer_holds(f, "{\"valid\":false,\"code\":\"INVALID_KEY\",\"message\":\"The key is not known.\"}"));

    set(&shelf.down, true); /* no answer of the store is no verdict */
    ask(f, &asked);
    CHECK_I64(t, f->call.status, 503);
    CHECK_I64(t, f->call.code, KW_CODE_STORE_UNAVAILABLE);
    asked = (struct asked){KW_GET, "/v1/authorize/default", NULL, kw_bytes_of_text(key), 0};
    ask(f, &asked);
    CHECK_I64(t, f->call.status, 503);
    CHECK(t, has_header(f, "Keyward-Valid", "false"));
    CHECK(t, has_header(f, "Keyward-Code", "STORE_UNAVAILABLE"));
    CHECK(t, has_header(f, "Keyward-Key-Id", ""));
    close_engine(f);
    REQUIRE(t, open_on(t, f, store)); /* forgets the root key that was fetched */
    asked = (struct asked){KW_GET, "/v1/keys", NULL, kw_secret_expose(&f->root), 0};
    ask(f, &asked);
    CHECK_I64(t, f->call.status, 503);
    set(&shelf.down, false);
    ask(f, &asked);
    CHECK_I64(t, f->call.status, 503); /* listing is held back, but the key is known again */
    set(&shelf.held_back, false);
    ask(f, &asked);
    CHECK_I64(t, f->call.status, 200);
    fixture_free(f);
    shelf.inner->close(store);
}

/* Whatever cannot be allocated: an answer comes, it is no false one, and nothing is lost. */
static void every_allocation_may_fail(struct test *t)
{
    struct fixture *f = fixture_new(t, NULL);
    REQUIRE(t, f != NULL);
    struct kw_id id;
    struct kw_secret key KW_WIPED = {0};
    char body[512];
    REQUIRE(t, test_engine_create(t, &f->engine, NULL, &id, &key));
    kw_engine_wait_filled(f->engine.engine);
    const struct asked calls[] = {
        {KW_POST, "/v1/keys", "{\"ownerId\":\"1\",\"tags\":[\"a\"]}", kw_secret_expose(&f->root), 0},
        {KW_GET, "/v1/keys", NULL, kw_secret_expose(&f->root), 0},
        {KW_POST, "/v1/keys/verify",
         key_body(body, sizeof body, &key, ",\"resource\":{\"type\":\"w\",\"id\":\"1\",\"scopes\":[\"a\"]}"),
         kw_secret_expose(&f->root), 0},
        {KW_POST, "/v1/keys/batch/verify", "{\"items\":[{\"key\":\"\"}]}", kw_secret_expose(&f->root), 0},
        {KW_GET, "/v1/keys/x", NULL, kw_secret_expose(&f->root), 0},
        {KW_GET, "/v1/authorize/default", NULL, kw_secret_expose(&key), 0},
        {KW_GET, "/v1/nowhere", NULL, kw_secret_expose(&key), 0},
        {KW_PUT, "/v1/keys", NULL, kw_secret_expose(&key), 0},
        {KW_GET, "/metrics", NULL, {NULL, 0}, 0},
        {KW_GET, "/openapi.json", NULL, {NULL, 0}, 0},
    };
    for (size_t i = 0; i < KW_COUNT_OF(calls); i++) {
        struct asked asked = calls[i];
        ask(f, &asked);
        uint16_t expected = f->call.status;
        kw_buffer_deinit(&f->call.answer);
        uint16_t status = 0;
        for (asked.fail_after = 2; asked.fail_after < 40; asked.fail_after++) {
            ask(f, &asked);
            status = f->call.status;
            CHECK(t, status == expected || status == 503);
            kw_buffer_deinit(&f->call.answer);
        }
        CHECK_I64(t, status, expected);
    }
    fixture_free(f);
}

static void the_operator_needs_no_key(struct test *t)
{
    struct fixture *f = fixture_new(t, NULL);
    REQUIRE(t, f != NULL);
    struct kw_buffer answer = f->call.answer;
    for (int round = 0; round < 2; round++) {
        f->call = (struct kw_call){.method = KW_POST,
                                   .path = KW_BYTES("/v1/keys"),
                                   .body = KW_BYTES("{\"owner\":\"service:ci\","
                                                    "\"resources\":{\"project:default\":[\"keys:*\"]}}"),
                                   .is_operator = true,
                                   .now_ms = TEST_NOW_MS,
                                   .answer = answer,
                                   .done = done,
                                   .context = f};
        f->call.headers[KW_HEADER_CONTENT_TYPE] = KW_BYTES("application/json");
        f->call.headers[KW_HEADER_KEYWARD_PROJECT] = round == 0 ? KW_BYTES("keyward") : KW_BYTES("nowhere");
        kw_arena_init(&f->call.arena, f->block, sizeof f->block, KW_CALL_ARENA_MAX);
        f->is_done = false;
        kw_api_handle(f->api, &f->call);
        pthread_mutex_lock(&f->lock);
        while (!f->is_done) {
            pthread_cond_wait(&f->ended, &f->lock);
        }
        pthread_mutex_unlock(&f->lock);
        CHECK_I64(t, f->call.status, round == 0 ? 201 : 404);
        CHECK(t, round == 1 || f->call.answer.secret);
        CHECK(t, answer_holds(f, round == 0 ? "\"createdBy\":\"operator\"" : "PROJECT_NOT_FOUND"));
        kw_arena_reset(&f->call.arena);
        answer = f->call.answer;
        kw_buffer_reset(&answer);
    }
    fixture_free(f);
}

static void a_draining_server_is_not_ready(struct test *t)
{
    struct fixture *f = fixture_new(t, NULL);
    REQUIRE(t, f != NULL);
    struct asked asked = {KW_GET, "/readyz", NULL, {NULL, 0}, 0};
    ask(f, &asked);
    CHECK_I64(t, f->call.status, 200);
    f->draining = true;
    ask(f, &asked);
    CHECK_I64(t, f->call.status, 503);
    CHECK(t, answer_holds(f, "{\"ready\":false,\"reasons\":[\"The server is shutting down.\"]}"));
    asked.path = "/metrics";
    ask(f, &asked);
    CHECK(t, answer_holds(f, "transport_metric 1\n"));
    fixture_free(f);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_verification_allocates_nothing), TEST_CASE(keys_that_are_not_in_the_index_yet_are_fetched),
        TEST_CASE(what_is_in_no_store_is_unknown),   TEST_CASE(every_allocation_may_fail),
        TEST_CASE(the_operator_needs_no_key),        TEST_CASE(a_draining_server_is_not_ready),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
