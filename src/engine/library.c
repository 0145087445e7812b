#include "engine/library.h"

#include "base/bytes.h"
#include "core/id.h"

#define LIST_LIMIT_DEFAULT 50
#define FINGERPRINT_TEXT ((size_t)2 * KW_PEPPER_FINGERPRINT_SIZE)

enum kw_status kw__no_such_project(struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_PROJECT_NOT_FOUND, "project", "there is no such project");
}

static struct kw_clock clock_of(const struct kw_options *options)
{
    return options->now_ms == NULL ? kw_clock_system()
                                   : (struct kw_clock){.now_ms = options->now_ms, .context = options->now_context};
}

static void write_forgotten(const struct kw_options *options, char out[FINGERPRINT_TEXT + 1])
{
    out[0] = out[FINGERPRINT_TEXT] = '\0';
    if (options->forget_erased != NULL) {
        kw_hex_encode(kw_bytes_of(options->forget_erased, KW_PEPPER_FINGERPRINT_SIZE), out);
    }
}

static enum kw_status open_folder(const struct kw_options *options, struct keyward *keyward, struct kw_error *error_out)
{
    char forgotten[FINGERPRINT_TEXT + 1];
    write_forgotten(options, forgotten);
    struct kw_data_options data = {.path = options->data,
                                   .may_make = true,
                                   .audit_key_file = options->audit.key_file,
                                   .checkpoint_file = options->audit.checkpoint_file,
                                   .digest_scheme = options->digest,
                                   .forgotten = kw_bytes_of_text(forgotten),
                                   .schedules_by_hand = options->now_ms != NULL,
                                   .clock = clock_of(options),
                                   .entropy = kw_entropy_system()};
    enum kw_status status = kw_data_folder_open(&data, &keyward->folder, error_out);
    keyward->has_folder = status == KW_OK;
    keyward->engine = keyward->has_folder ? keyward->folder.engine : NULL;
    return status;
}

static enum kw_status open_store(const struct kw_options *options, struct keyward *keyward, struct kw_error *error_out)
{
    struct kw_peppers peppers KW_PEPPERS_WIPED = {.count = 0};
    struct kw_secret pepper KW_WIPED = {0};
    for (size_t i = options->pepper_count == 0 ? 1 : options->pepper_count; i-- > 0;) {
        enum kw_status status =
            kw_secret_set(&pepper, kw_bytes_of(options->pepper + i * KW_PEPPER_SIZE, KW_PEPPER_SIZE));
        status = status != KW_OK ? status : kw_peppers_put_first(&peppers, &pepper, error_out);
        if (status != KW_OK) {
            return status;
        }
    }
    struct kw_secret seed KW_WIPED = {0};
    if (options->audit.key != NULL &&
        kw_secret_set(&seed, kw_bytes_of(options->audit.key, KW_AUDIT_KEY_SIZE)) != KW_OK) {
        return KW_E_LIMIT; /* it fits */
    }
    char forgotten[FINGERPRINT_TEXT + 1];
    write_forgotten(options, forgotten);
    struct kw_engine_options engine = {.pepper = peppers.items,
                                       .seals_audit = true,
                                       .runs_schedules = options->now_ms == NULL,
                                       .audit_seed = seed.size > 0 ? &seed : NULL,
                                       .pepper_count = peppers.count,
                                       .digest_scheme = options->digest,
                                       .forgotten = kw_bytes_of_text(forgotten),
                                       .clock = clock_of(options),
                                       .entropy = kw_entropy_system()};
    return kw_engine_open(&engine, options->store_take, &keyward->engine, error_out);
}

static void close_store(struct kw_store *store)
{
    if (store != NULL) {
        store->ops->close(store);
    }
}

enum kw_status kw_open(const struct kw_options *options, struct keyward **keyward_out, struct kw_error *error_out)
{
    bool brings_store = options->store_take != NULL;
    if (brings_store && options->store_take->ops->version != KW_STORE_VERSION) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "store_take",
                         "follows version %u of the contract, and this library %d: build it with this store.h",
                         options->store_take->ops->version, KW_STORE_VERSION);
    }
    if (brings_store == (options->data != NULL) || brings_store != (options->pepper != NULL)) {
        close_store(options->store_take);
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "options",
                         "give either a data folder, or a store and the pepper that belongs to it");
    }
    if (options->pepper_count > KW_PEPPERS_MAX) {
        close_store(options->store_take);
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "pepper_count", "must be at most %d", KW_PEPPERS_MAX);
    }
    struct keyward *keyward = kw_alloc(1, sizeof *keyward);
    if (keyward == NULL) {
        close_store(options->store_take);
        return kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "there is no memory left");
    }
    enum kw_status status =
        brings_store ? open_store(options, keyward, error_out) : open_folder(options, keyward, error_out);
    if (status != KW_OK) {
        kw_free(keyward);
        return status;
    }
    *keyward_out = keyward;
    return KW_OK;
}

void kw_close(struct keyward *keyward)
{
    if (keyward == NULL) {
        return;
    }
    if (keyward->has_folder) {
        kw_data_folder_close(&keyward->folder);
    } else {
        kw_engine_close(keyward->engine);
    }
    kw_free(keyward);
}

bool kw_id_from_text(struct kw_bytes text, struct kw_id *id_out)
{
    return kw_id_parse(text, id_out);
}

bool kw_range_to_text(struct kw_bytes packed, char text_out[KW_RANGE_TEXT_SIZE])
{
    _Static_assert(KW_RANGE_TEXT_SIZE == KW_ADDRESS_RANGE_TEXT_MAX + 1, "the text and a NUL");
    struct kw_address_range range;
    if (!kw_address_range_unpack(packed, &range)) {
        return false;
    }
    text_out[kw_address_range_format(&range, text_out)] = '\0';
    return true;
}

void kw_id_to_text(const struct kw_id *id, char *out)
{
    kw_id_format(id, out);
    out[KW_ID_TEXT_SIZE] = '\0';
}

void kw_held_record_clear(struct kw_held_record *held)
{
    if (held == NULL) {
        return;
    }
    kw_free(held->memory);
    *held = (struct kw_held_record){0};
}

void kw_new_key_clear(struct kw_new_key *made)
{
    if (made == NULL) {
        return;
    }
    kw_wipe(made->key, sizeof made->key);
    kw_held_record_clear(&made->held);
    kw_held_record_clear(&made->previous);
}

static enum kw_status hold_used(struct kw_bytes encoding, const struct kw_last_use *use,
                                struct kw_held_record *held_out)
{
    if (encoding.size == 0) {
        return KW_E_CORRUPT;
    }
    struct kw_held_record held = {.memory = kw_alloc(1, sizeof *use + encoding.size)};
    if (held.memory == NULL) {
        return KW_E_MEMORY;
    }
    struct kw_last_use *kept = held.memory;
    uint8_t *bytes = (uint8_t *)held.memory + sizeof *use;
    *kept = *use;
    memcpy(bytes, encoding.data, encoding.size);
    enum kw_status status = kw_record_decode(kw_bytes_of(bytes, encoding.size), &held.record);
    kw_last_use_show(kept, &held.record);
    if (status != KW_OK) {
        kw_free(held.memory);
        return status;
    }
    *held_out = held;
    return KW_OK;
}

enum kw_status kw__hold(struct kw_bytes encoding, struct kw_held_record *held_out)
{
    return hold_used(encoding, &(struct kw_last_use){.at_ms = 0}, held_out);
}

enum kw_status kw__check_texts(struct kw_bytes actor, struct kw_bytes reason, struct kw_error *error_out)
{
    const struct {
        const char *field;
        struct kw_bytes text;
        size_t size_max;
    } texts[] = {{"actor", actor, KW_ACTOR_MAX}, {"reason", reason, KW_REASON_MAX}};
    for (size_t i = 0; i < KW_COUNT_OF(texts); i++) {
        if (texts[i].text.size > texts[i].size_max || !kw_utf8_valid(texts[i].text) ||
            kw_bytes_has_control(texts[i].text)) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, texts[i].field,
                             "must be UTF-8 text without control characters, at most %zu bytes", texts[i].size_max);
        }
    }
    return KW_OK;
}

enum kw_status kw__op_of_request(const struct keyward *keyward, const struct kw_change_request *request,
                                 enum kw_op_kind kind, struct kw_op *op, struct kw_error *error_out)
{
    uint16_t project = kw__project_of(keyward, request->project);
    kw_op_init(op, kind, project);
    if (project == KW_PROJECT_NONE) {
        return kw__no_such_project(error_out);
    }
    op->id = request->id;
    op->params = request->params;
    op->actor = request->actor.size == 0 ? KW_BYTES("library") : request->actor;
    op->reason = request->reason;
    op->template_name = request->template_name;
    op->preset = request->preset;
    op->grace_ms = request->grace_ms;
    op->spares_children = request->no_cascade;
    op->ends_grace = request->end_grace_on_first_use;
    op->if_version = request->if_version;
    return kw__check_texts(request->actor, request->reason, error_out);
}

/* Runs a change; on KW_OK the caller reads `op` and then gives it back, else it is given back already. */
static enum kw_status run(struct keyward *keyward, const struct kw_change_request *request, enum kw_op_kind kind,
                          struct kw_op *op, struct kw_error *error_out)
{
    struct kw_once once;
    enum kw_status status = kw__op_of_request(keyward, request, kind, op, error_out);
    status = status == KW_OK ? kw__op_name_once(request, op, &once, error_out) : status;
    if (status != KW_OK) {
        kw_op_deinit(op);
        return status;
    }
    status = kw_engine_run(keyward->engine, op);
    op->once = NULL;
    if (status != KW_OK) {
        if (error_out != NULL) {
            *error_out = op->error;
        }
        kw_op_deinit(op);
    }
    return status;
}

enum kw_status kw__result_lost(struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_OUTCOME_UNCERTAIN, NULL,
                     "the change was made, but there was no memory to hand out its record: read the key");
}

static enum kw_status change(struct keyward *keyward, const struct kw_change_request *request, enum kw_op_kind kind,
                             struct kw_held_record *held_out, struct kw_error *error_out)
{
    struct kw_op op = {.kind = kind};
    enum kw_status status = run(keyward, request, kind, &op, error_out);
    if (status != KW_OK) {
        return status;
    }
    if (held_out != NULL && hold_used(kw_buffer_bytes(&op.result), &op.last_use, held_out) != KW_OK) {
        status = kw__result_lost(error_out);
    }
    kw_op_deinit(&op);
    return status;
}

enum kw_status kw__hand_out_key(const struct kw_op *op, struct kw_new_key *made_out, struct kw_error *error_out)
{
    struct kw_new_key made = {.is_replay = op->is_replay};
    struct kw_bytes key = kw_secret_expose(&op->secret);
    if (key.size > 0) {
        memcpy(made.key, key.data, key.size);
    }
    enum kw_status status = kw__hold(kw_buffer_bytes(&op->result), &made.held);
    if (status == KW_OK && op->other.size > 0) {
        status = kw__hold(kw_buffer_bytes(&op->other), &made.previous);
    }
    if (status == KW_OK) {
        *made_out = made;
        kw_wipe(made.key, sizeof made.key);
        return KW_OK;
    }
    kw_new_key_clear(&made);
    return kw__result_lost(error_out);
}

static enum kw_status make(struct keyward *keyward, const struct kw_change_request *request, enum kw_op_kind kind,
                           struct kw_new_key *made_out, struct kw_error *error_out)
{
    struct kw_op op = {.kind = kind};
    enum kw_status status = run(keyward, request, kind, &op, error_out);
    if (status != KW_OK) {
        return status;
    }
    status = kw__hand_out_key(&op, made_out, error_out);
    kw_op_deinit(&op);
    return status;
}

enum kw_status kw_create(struct keyward *keyward, const struct kw_change_request *request, struct kw_new_key *made_out,
                         struct kw_error *error_out)
{
    return make(keyward, request, KW_OP_CREATE, made_out, error_out);
}

enum kw_status kw_rotate(struct keyward *keyward, const struct kw_change_request *request, struct kw_new_key *made_out,
                         struct kw_error *error_out)
{
    return make(keyward, request, KW_OP_ROTATE, made_out, error_out);
}

enum kw_status kw_update(struct keyward *keyward, const struct kw_change_request *request,
                         struct kw_held_record *held_out, struct kw_error *error_out)
{
    return change(keyward, request, KW_OP_UPDATE, held_out, error_out);
}

enum kw_status kw_enable(struct keyward *keyward, const struct kw_change_request *request,
                         struct kw_held_record *held_out, struct kw_error *error_out)
{
    return change(keyward, request, KW_OP_ENABLE, held_out, error_out);
}

enum kw_status kw_disable(struct keyward *keyward, const struct kw_change_request *request,
                          struct kw_held_record *held_out, struct kw_error *error_out)
{
    return change(keyward, request, KW_OP_DISABLE, held_out, error_out);
}

enum kw_status kw_revoke(struct keyward *keyward, const struct kw_change_request *request,
                         struct kw_held_record *held_out, struct kw_error *error_out)
{
    return change(keyward, request, KW_OP_REVOKE, held_out, error_out);
}

enum kw_status kw_erase(struct keyward *keyward, const struct kw_change_request *request, struct kw_error *error_out)
{
    return change(keyward, request, KW_OP_ERASE, NULL, error_out);
}

enum kw_status kw_get(struct keyward *keyward, struct kw_bytes project, const struct kw_id *id,
                      struct kw_held_record *held_out, struct kw_error *error_out)
{
    return change(keyward, &(struct kw_change_request){.project = project, .id = *id}, KW_OP_GET, held_out, error_out);
}

static enum kw_status hand_out(const struct kw_op *op,
                               enum kw_status (*sink)(void *context, const struct kw_record *record), void *context,
                               struct kw_error *error_out)
{
    struct kw_bytes rest = kw_buffer_bytes(&op->result);
    struct kw_bytes encoding;
    struct kw_bytes others = kw_buffer_bytes(&op->other);
    enum kw_status status = KW_OK;
    while (status == KW_OK && kw_op_next(&rest, &encoding)) {
        struct kw_record record;
        struct kw_listed listed = kw_op_next_listed(&others);
        if (kw_record_decode(encoding, &record) != KW_OK) {
            return kw_refuse(error_out, KW_CODE_STORE_CORRUPT, NULL, "the store holds a record that cannot be read");
        }
        kw_last_use_show(&listed.use, &record);
        status = sink(context, &record);
    }
    return status;
}

/* KW_E_INVALID for what no key can be found by. */
static enum kw_status check_request(const struct kw_list_request *request, struct kw_error *error_out)
{
    if (request->limit > KW_STORE_LIST_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "limit", "must be at most %d", KW_STORE_LIST_MAX);
    }
    if (request->tag_count > KW_TAG_COUNT_MAX) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "tags", "must be at most %d", KW_TAG_COUNT_MAX);
    }
    if (request->last_four.size != 0 && request->last_four.size != KW_STORE_LAST_FOUR_SIZE) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "last_four", "must be %d bytes", KW_STORE_LAST_FOUR_SIZE);
    }
    if (request->order != KW_ORDER_CREATED && request->order != KW_ORDER_CREATED_BACK &&
        request->order != KW_ORDER_EXPIRES && request->order != KW_ORDER_USED) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "order", "is no order");
    }
    return KW_OK;
}

/* Runs a list or a count; `op` is the caller's to give back in any case. */
static enum kw_status search(struct keyward *keyward, const struct kw_list_request *request, enum kw_op_kind kind,
                             struct kw_op *op, struct kw_error *error_out)
{
    uint16_t project = kw__project_of(keyward, request->project);
    enum kw_status status =
        project == KW_PROJECT_NONE ? kw__no_such_project(error_out) : check_request(request, error_out);
    if (status != KW_OK) {
        kw_op_init(op, kind, KW_PROJECT_NONE);
        return status;
    }
    struct kw_list_query query = {.owner = request->owner,
                                  .org_id = request->org_id,
                                  .env = request->env,
                                  .policy = request->policy,
                                  .tags = request->tags,
                                  .tag_count = request->tag_count,
                                  .all_tags = request->all_tags,
                                  .last_four = request->last_four,
                                  .parent_id = request->parent_id,
                                  .created_from_ms = request->created_from_ms,
                                  .created_until_ms = request->created_until_ms,
                                  .expires_before_ms = request->expires_before_ms,
                                  .used_before_ms = request->used_before_ms,
                                  .used_from_ms = request->used_from_ms,
                                  .has_status = request->has_status,
                                  .status = request->status,
                                  .text = request->text,
                                  .order = request->order,
                                  .after = request->after,
                                  .limit = request->limit == 0 ? LIST_LIMIT_DEFAULT : request->limit};
    kw_op_init(op, kind, project);
    op->query = &query;
    status = kw_engine_run(keyward->engine, op);
    op->query = NULL;
    if (status != KW_OK && error_out != NULL) {
        *error_out = op->error;
    }
    return status;
}

enum kw_status kw_list(struct keyward *keyward, const struct kw_list_request *request,
                       enum kw_status (*sink)(void *context, const struct kw_record *record), void *context,
                       bool *has_more_out, struct kw_position *cursor_out, struct kw_error *error_out)
{
    struct kw_op op;
    enum kw_status status = search(keyward, request, KW_OP_LIST, &op, error_out);
    status = status == KW_OK ? hand_out(&op, sink, context, error_out) : status;
    if (status == KW_OK) {
        *has_more_out = op.has_more;
        *cursor_out = op.cursor;
    }
    kw_op_deinit(&op);
    return status;
}

enum kw_status kw_count(struct keyward *keyward, const struct kw_list_request *request, uint64_t *count_out,
                        bool *exact_out, struct kw_error *error_out)
{
    struct kw_op op;
    enum kw_status status = search(keyward, request, KW_OP_COUNT, &op, error_out);
    if (status == KW_OK) {
        *count_out = op.count;
        *exact_out = op.is_exact;
    }
    kw_op_deinit(&op);
    return status;
}

enum kw_status kw_find(struct keyward *keyward, struct kw_bytes project, struct kw_bytes key, struct kw_bytes digest,
                       struct kw_held_record *held_out, struct kw_error *error_out)
{
    uint16_t number = kw__project_of(keyward, project);
    if (number == KW_PROJECT_NONE) {
        return kw__no_such_project(error_out);
    }
    struct kw_op op;
    kw_op_init(&op, KW_OP_FIND, number);
    op.key = key;
    op.digest = key.size > 0 ? (struct kw_bytes){NULL, 0} : digest;
    enum kw_status status = kw_engine_run(keyward->engine, &op);
    if (status != KW_OK && error_out != NULL) {
        *error_out = op.error;
    }
    enum kw_status held = status == KW_OK ? hold_used(kw_buffer_bytes(&op.result), &op.last_use, held_out) : KW_OK;
    if (held == KW_E_MEMORY) {
        status = kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "there is no memory left for the record");
    } else if (held != KW_OK) {
        status = kw_refuse(error_out, KW_CODE_STORE_CORRUPT, NULL, "the store holds a record that cannot be read");
    }
    kw_op_deinit(&op);
    return status;
}

void kw_wait_filled(struct keyward *keyward)
{
    kw_engine_wait_filled(keyward->engine);
}
