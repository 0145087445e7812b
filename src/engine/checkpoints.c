#include "engine/checkpoints.h"

#include "base/bytes.h"
#include "core/id.h"

#define READ_MAX ((size_t)16384)         /* that reading one takes */
#define DETAILS_START "{\"checkpoint\":" /* and behind it the checkpoint, and a brace */
#define DETAILS_START_SIZE (sizeof DETAILS_START - 1)

struct kw_bytes kw__audit_setting(const char *start, struct kw_bytes project, uint8_t memory[KW__AUDIT_SETTING_MAX])
{
    size_t size = strlen(start);
    memcpy(memory, start, size);
    if (project.size > 0) {
        memcpy(memory + size, project.data, project.size);
    }
    return kw_bytes_of(memory, size + project.size);
}

/* --- making --- */

/* Of one commit; as much as there may be together. */
struct making {
    struct kw_store_checkpoint checkpoints[KW_CHECKPOINTS_TOGETHER];
    struct kw_store_event events[KW_CHECKPOINTS_TOGETHER];
    char texts[KW_CHECKPOINTS_TOGETHER][sizeof DETAILS_START + KW_CHECKPOINT_JSON_MAX]; /* of the event's details */
    uint8_t random[KW_CHECKPOINTS_TOGETHER][KW_ID_RANDOM_SIZE];
};

static enum kw_status make_one(struct kw_engine *engine, const struct kw__reached *reached, struct making *making,
                               size_t at, int64_t now_ms)
{
    struct kw_checkpoint checkpoint = {.project = reached->project, .chain = reached->chain, .at_ms = now_ms};
    struct kw_buffer text;
    struct kw_json_writer json;
    enum kw_status status = kw_checkpoint_sign(&checkpoint, &engine->audit_seed);
    kw_buffer_init_fixed(&text, making->texts[at], sizeof making->texts[at]);
    kw_json_writer_init(&json, &text);
    kw_json_begin_object(&json);
    kw_json_name(&json, "checkpoint");
    kw_checkpoint_write(&checkpoint, &json);
    kw_json_end_object(&json);
    struct kw_bytes details = kw_buffer_bytes(&text);
    if (kw_buffer_status(&text) != KW_OK) {
        return KW_E_LIMIT;
    }
    struct kw_bytes signed_text = kw_bytes_of(details.data + DETAILS_START_SIZE, details.size - DETAILS_START_SIZE - 1);
    making->checkpoints[at] = (struct kw_store_checkpoint){reached->project, reached->chain.place, signed_text};
    making->events[at] = (struct kw_store_event){.id = kw_id_make(now_ms, making->random[at]),
                                                 .at_ms = now_ms,
                                                 .project = reached->project,
                                                 .type = KW_BYTES("audit.checkpoint"),
                                                 .body = details};
    return status;
}

static enum kw_status commit(struct kw_engine *engine, const struct making *making, size_t count)
{
    const struct kw_store_batch batch = {
        .checkpoints = making->checkpoints, .checkpoint_count = count, .events = making->events, .event_count = count};
    struct kw_op op;
    kw_op_init(&op, KW_OP_SEAL, KW_PROJECT_KEYWARD);
    op.seals = &batch;
    enum kw_status status = kw_engine_run(engine, &op);
    kw_op_deinit(&op);
    return status;
}

enum kw_status kw__checkpoints_make(struct kw_engine *engine, const struct kw__reached *reached, size_t count)
{
    struct making *making = kw_alloc(1, sizeof *making);
    if (making == NULL) {
        return KW_E_MEMORY;
    }
    int64_t now_ms = kw_engine_now_ms(engine);
    enum kw_status status = engine->entropy.draw(engine->entropy.context, making->random[0], sizeof making->random);
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        status = make_one(engine, &reached[i], making, i, now_ms);
    }
    status = status == KW_OK ? commit(engine, making, count) : status;
    for (size_t i = 0; i < count && status == KW_OK && engine->checkpoint_keeper.keep != NULL; i++) {
        engine->checkpoint_keeper.keep(engine->checkpoint_keeper.context, making->checkpoints[i].bytes);
    }
    kw_free(making);
    return status;
}

/* --- reading --- */

bool kw__checkpoint_is_ours(const struct kw_engine *engine, const struct kw_checkpoint *checkpoint)
{
    return engine->audit_seed.size > 0 && kw_checkpoint_holds(checkpoint, engine->audit_public);
}

struct last {
    const struct kw_engine *engine;
    uint64_t place;
};

static enum kw_status take_last(void *context, const struct kw_store_checkpoint *stored)
{
    struct last *last = context;
    struct kw_checkpoint checkpoint;
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, READ_MAX);
    enum kw_status status = kw_checkpoint_read(stored->bytes, &arena, &checkpoint, NULL);
    if (status == KW_OK && kw__checkpoint_is_ours(last->engine, &checkpoint)) {
        last->place = stored->place;
    }
    kw_arena_reset(&arena);
    return KW_OK; /* one that is none is as good as missing: the next one is made sooner */
}

enum kw_status kw__checkpoint_last(struct kw_engine *engine, struct kw_bytes project, uint64_t *place_out)
{
    struct last last = {.engine = engine};
    enum kw_status status = engine->store->ops->audit_checkpoints(engine->store, project, 0, true, 1, take_last, &last);
    *place_out = last.place;
    return status;
}

enum kw_status kw__audit_start(struct kw_engine *engine, struct kw_bytes project, struct kw_checkpoint *start_out)
{
    uint8_t memory[KW__AUDIT_SETTING_MAX];
    uint8_t value[KW_CHECKPOINT_JSON_MAX];
    size_t size = 0;
    struct kw_arena arena;
    struct kw_checkpoint start = {.is_start = true, .project = project};
    enum kw_status status = engine->store->ops->setting(
        engine->store, kw__audit_setting(KW_AUDIT_START_SETTING, project, memory), value, sizeof value, &size);
    if (status == KW_E_NOT_FOUND) {
        *start_out = start;
        return KW_OK;
    }
    if (status != KW_OK || size > sizeof value) {
        return status != KW_OK ? status : KW_E_CORRUPT;
    }
    kw_arena_init(&arena, NULL, 0, READ_MAX);
    status = kw_checkpoint_read(kw_bytes_of(value, size), &arena, &start, NULL);
    status = status == KW_OK && start.is_start && kw_bytes_equal(start.project, project) ? KW_OK : KW_E_CORRUPT;
    kw_arena_reset(&arena);
    if (status == KW_OK) {
        *start_out = start;
        start_out->project = project;
    }
    return status;
}
