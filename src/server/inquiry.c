#include "server/inquiry.h"

static void verify(struct kw_inquiry *inquiry)
{
    const struct kw_api *api = inquiry->request->api;
    struct kw_engine *engine = api->options.engine;
    for (size_t i = 0; i < inquiry->count; i++) {
        inquiry->verifications[i].waits_for_place = api->options.origins.geo != NULL;
    }
    if (inquiry->count == 1) {
        kw_engine_verify(engine, &inquiry->verifications[0], inquiry->now_ms);
    } else {
        kw_engine_verify_many(engine, inquiry->verifications, inquiry->count, inquiry->now_ms);
    }
    for (size_t i = 0; i < inquiry->count; i++) {
        struct kw_verification *verification = &inquiry->verifications[i];
        struct kw_place place;
        if (kw__needs_place(api, verification, &place)) {
            verification->question.place = &place;
            kw_engine_verify(engine, verification, inquiry->now_ms);
            verification->question.place = NULL;
        } else if (verification->waits_for_place) {
            kw_engine_count(engine, verification, inquiry->now_ms);
        }
    }
}

/* Between read_begin and here nobody may keep what a verification handed out. */
static void answer(struct kw_inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->count; i++) {
        if (inquiry->faults == NULL || inquiry->faults[i] == NULL) {
            kw_counters_verified(inquiry->request->api->counters, inquiry->verifications[i].code);
        }
    }
    inquiry->decided(inquiry);
    kw_engine_read_end();
    if (inquiry->started_ns != 0) {
        kw_counters_took(inquiry->request->api->counters, kw_monotonic_ns() - inquiry->started_ns);
    }
    kw__finish_written(inquiry->request);
}

static const struct kw_op *failed_load(const struct kw_inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->load_count; i++) {
        if (inquiry->loads[i].status != KW_OK && inquiry->loads[i].status != KW_E_NOT_FOUND) {
            return &inquiry->loads[i];
        }
    }
    return NULL;
}

static void ask(struct kw_inquiry *inquiry);

/*
 * What was missing is there; or something else is by now. What is still not known to the index after it was loaded does
 * not exist, and is INVALID_KEY as the engine has it.
 */
static void finish_loads(struct kw_inquiry *inquiry)
{
    const struct kw_op *failed = failed_load(inquiry);
    struct kw_error error;
    if (failed != NULL) {
        error = failed->error;
    }
    for (size_t i = 0; i < inquiry->load_count; i++) {
        kw_op_deinit(&inquiry->loads[i]);
    }
    if (failed != NULL) {
        kw__finish_error(inquiry->request, &error);
        return;
    }
    inquiry->now_ms = kw_engine_now_ms(inquiry->request->api->options.engine);
    ask(inquiry);
}

static void loaded(struct kw_op *op)
{
    struct kw_inquiry *inquiry = op->context;
    if (__atomic_sub_fetch(&inquiry->loads_left, 1, __ATOMIC_ACQ_REL) == 0) {
        finish_loads(inquiry);
    }
}

/* Whether a verification is to be asked again once something is there. A key is loaded once. */
static bool is_open(const struct kw_inquiry *inquiry, const struct kw_verification *verification)
{
    return verification->needs_funds || (verification->needs_store && inquiry->tries == 0);
}

/* The last of them to be done goes on, perhaps before this returns: nothing is touched after its submission. */
static void load(struct kw_inquiry *inquiry, size_t count)
{
    struct kw_request *request = inquiry->request;
    struct kw_engine *engine = request->api->options.engine;
    struct kw_op *loads = kw_arena_take_array(&request->call->arena, count, sizeof *loads);
    if (loads == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < inquiry->count; i++) {
        if (is_open(inquiry, &inquiry->verifications[i])) {
            kw_op_init(&loads[at], KW_OP_LOAD, inquiry->verifications[i].question.project);
            kw_op_ask_missing(&loads[at], &inquiry->verifications[i]);
            loads[at].done = loaded;
            loads[at++].context = inquiry;
        }
    }
    inquiry->tries++;
    inquiry->loads = loads;
    inquiry->load_count = inquiry->loads_left = count;
    for (size_t i = 0; i < count; i++) {
        kw_engine_submit(engine, &loads[i]);
    }
}

static void ask(struct kw_inquiry *inquiry)
{
    size_t open = 0;
    kw_engine_read_begin();
    verify(inquiry);
    for (size_t i = 0; i < inquiry->count; i++) {
        open += is_open(inquiry, &inquiry->verifications[i]);
    }
    if (open == 0) {
        answer(inquiry);
        return;
    }
    kw_engine_read_end();
    if (inquiry->tries == KW_TRIES_MAX) {
        struct kw_error error;
        (void)kw_refuse(&error, KW_CODE_TOO_BUSY, NULL,
                        "many requests spend from one allowance at once: try again after a moment");
        kw__finish_error(inquiry->request, &error);
        return;
    }
    load(inquiry, open);
}

void kw__inquire(struct kw_inquiry *inquiry)
{
    inquiry->now_ms = inquiry->request->now_ms;
    inquiry->tries = 0;
    inquiry->started_ns = kw_counters_samples(inquiry->request->api->counters) ? kw_monotonic_ns() : 0;
    ask(inquiry);
}
