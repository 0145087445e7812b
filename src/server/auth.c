#include "server/request.h"

#include "base/error.h"
#include "core/id.h"
#include "core/management.h"
#include "core/record.h"
#include "core/transition.h"

#define PROJECT_START "project:"

bool kw__bearer_token(struct kw_bytes header, struct kw_bytes *token_out)
{
    *token_out = (struct kw_bytes){NULL, 0};
    struct kw_bytes scheme, token;
    kw_bytes_split(header, ' ', &scheme, &token);
    if (!kw_bytes_equal_ignoring_case(scheme, KW_BYTES("Bearer"))) {
        return header.size == 0;
    }
    while (token.size > 0 && token.data[0] == ' ') {
        token = kw_bytes_skip(token, 1);
    }
    *token_out = token;
    return true;
}

/* The same answer whether a key is unknown, another project's, or none at all: only its holder learns more. */
static const char *refusal_of(enum kw_code code)
{
    switch (code) {
    case KW_CODE_REVOKED:
        return "The management key was revoked: use another one.";
    case KW_CODE_EXPIRED:
        return "The management key has expired: use another one.";
    case KW_CODE_DISABLED:
        return "The management key is disabled: enable it, or use another one.";
    case KW_CODE_IP_NOT_ALLOWED:
        return "The management key may not be used from this address, or the address is not known.";
    case KW_CODE_REGION_NOT_ALLOWED:
        return "The management key may not be used from this region, or the region is not known.";
    case KW_CODE_RATE_LIMITED:
        return "The management key was used too often: try again after Retry-After.";
    case KW_CODE_QUOTA_EXCEEDED:
        return "A quota of the management key is used up: try again after Retry-After, or give it a larger one.";
    default:
        return "The management key is not known: check that it was copied whole.";
    }
}

static void answer_unauthorized(struct kw_request *request, bool key_was_sent, const char *message)
{
    kw__answer_header(request->call, "WWW-Authenticate",
                      key_was_sent ? KW_BYTES("Bearer realm=\"keyward\", error=\"invalid_token\"")
                                   : KW_BYTES("Bearer realm=\"keyward\""));
    kw__finish_code(request, KW_CODE_UNAUTHORIZED, message);
}

static enum kw_status refuse_scope(struct kw_request *request, struct kw_error *error)
{
    kw__answer_header_format(request->call, "WWW-Authenticate",
                             "Bearer realm=\"keyward\", error=\"insufficient_scope\", scope=\"%s\"",
                             request->route->scope);
    if (request->project == NULL) {
        return kw_refuse(error, KW_CODE_FORBIDDEN, NULL,
                         "This needs a management key with the scope %s in the project that Keyward-Project names.",
                         request->route->scope);
    }
    return kw_refuse(error, KW_CODE_FORBIDDEN, NULL,
                     "This needs a management key with the scope %s in the project \"%.*s\".", request->route->scope,
                     (int)request->project->name.size, (const char *)request->project->name.data);
}

static enum kw_status refuse_project(struct kw_error *error)
{
    return kw_refuse(error, KW_CODE_PROJECT_NOT_FOUND, NULL,
                     "There is no project of the name that Keyward-Project (on the command line --project) gives.");
}

static void set_project(struct kw_request *request, const struct kw_project *project)
{
    request->project = NULL;
    if (project != NULL) {
        struct kw_request_project *kept = &request->project_memory;
        kept->number = project->number;
        kept->name = kw_bytes_of(kept->memory, project->name.size);
        memcpy(kept->memory, project->name.data, project->name.size);
        request->project = kept;
    }
}

bool kw__has_environment(const struct kw_request *request, struct kw_bytes env)
{
    const struct kw_engine *engine = request->api->options.engine;
    kw_engine_read_begin();
    const struct kw_project *project = kw_project_by_number(kw_engine_catalog(engine), request->project->number);
    bool has = project != NULL && kw_project_environment(project, env) != NULL;
    kw_engine_read_end();
    return has;
}

/* The project that the header names; else the one that the key is for; else, with the root key, `default`. */
static const struct kw_project *project_of(const struct kw_request *request, const struct kw_entry *entry)
{
    const struct kw_catalog *catalog = kw_engine_catalog(request->api->options.engine);
    struct kw_bytes name = request->call->headers[KW_HEADER_KEYWARD_PROJECT];
    if (name.size > 0) {
        return kw_project_by_name(catalog, name);
    }
    if (entry == NULL || entry->scope_count > 0) {
        return kw_project_by_number(catalog, KW_PROJECT_DEFAULT);
    }
    struct kw_record record = {
        .resources = {{entry->record + entry->resources_at, entry->resources_size}, entry->resource_count}};
    return kw_management_project(&record, catalog);
}

/* Whether the key holds the route's scope: in the project, or everywhere where there is no such project. */
static bool holds_scope(const struct kw_request *request, const struct kw_verification *verification)
{
    uint8_t resource[sizeof PROJECT_START + KW_PROJECT_MAX] = PROJECT_START;
    struct kw_bytes scope = kw_bytes_of_text(request->route->scope);
    struct kw_question question = verification->question;
    if (request->project == NULL) {
        question.scopes = &scope;
        question.scope_count = 1;
    } else {
        struct kw_bytes name = request->project->name;
        memcpy(resource + sizeof PROJECT_START - 1, name.data, name.size);
        question.resource = kw_bytes_of(resource, sizeof PROJECT_START - 1 + name.size);
        question.resource_scopes = &scope;
        question.resource_scope_count = 1;
    }
    struct kw_decision decision = kw_decide(verification->entry, &question, request->now_ms);
    return decision.code == KW_CODE_NONE && !decision.is_open;
}

/* Whose key it is that will not do; not known where there is no memory for it. */
static void note_refused_actor(struct kw_request *request, const struct kw_entry *entry)
{
    struct kw_record record;
    char text[4 + KW_ID_TEXT_SIZE] = "key:";
    if (entry == NULL || kw_record_decode(kw_entry_record(entry), &record) != KW_OK) {
        return;
    }
    kw_id_format(&record.id, text + 4);
    if (kw_arena_copy(&request->call->arena, kw_bytes_of(text, sizeof text), &request->refused_actor) != KW_OK) {
        request->refused_actor = (struct kw_bytes){NULL, 0};
    }
}

/* Writes down who asks, where that will be asked for. */
static enum kw_status note_actor(struct kw_request *request, const struct kw_entry *entry, struct kw_error *error)
{
    struct kw_record record;
    struct kw_arena *arena = &request->call->arena;
    if (kw_record_decode(kw_entry_record(entry), &record) != KW_OK) {
        return kw_refuse(error, KW_CODE_STORE_CORRUPT, NULL, "The record of the management key is damaged.");
    }
    char text[4 + KW_ID_TEXT_SIZE] = "key:";
    kw_id_format(&record.id, text + 4);
    enum kw_status status = kw_arena_copy(arena, kw_bytes_of(text, sizeof text), &request->actor);
    if (status == KW_OK && request->project->number == KW_PROJECT_KEYWARD) {
        status = kw_arena_copy(arena, kw_entry_record(entry), &request->authority);
    }
    if (status != KW_OK) {
        return kw_refuse(error, KW_CODE_TOO_BUSY, NULL, "There is no memory left for this request: try again later.");
    }
    return KW_OK;
}

/* The key is valid: may it do this, and in which project? */
static enum kw_status admit(struct kw_request *request, const struct kw_verification *verification,
                            struct kw_error *error)
{
    set_project(request, project_of(request, verification->entry));
    request->is_root = verification->entry->scope_count > 0;
    if (!holds_scope(request, verification)) {
        return refuse_scope(request, error);
    }
    if (request->project == NULL) {
        return refuse_project(error);
    }
    return request->route->changes ? note_actor(request, verification->entry, error) : KW_OK;
}

bool kw__still_admitted(struct kw_request *request)
{
    struct kw_engine *engine = request->api->options.engine;
    struct kw_bytes token;
    struct kw_place place;
    if (request->call->is_operator) {
        return true;
    }
    if (!kw__bearer_token(request->call->headers[KW_HEADER_AUTHORIZATION], &token)) {
        return false;
    }
    struct kw_verification verification = {
        .key = token,
        .question = {.project = KW_PROJECT_KEYWARD, .address = kw__client_address(request)},
        .has_paid = true,
        .is_counted = true};
    request->now_ms = kw_engine_now_ms(engine);
    kw_engine_read_begin();
    kw_engine_verify(engine, &verification, request->now_ms);
    if (kw__needs_place(request->api, &verification, &place)) {
        verification.question.place = &place;
        kw_engine_verify(engine, &verification, request->now_ms);
    }
    bool is_admitted =
        !verification.needs_store && verification.code == KW_CODE_NONE && holds_scope(request, &verification);
    kw_engine_read_end();
    return is_admitted;
}

static void load(struct kw_request *request, const struct kw_verification *verification);

static void answer_too_much(struct kw_request *request, const struct kw_verification *verification)
{
    enum kw_code code = verification->code;
    int64_t wait_ms = code == KW_CODE_RATE_LIMITED ? verification->rate_limit.retry_after_ms
                                                   : verification->quota.resets_at_ms - request->now_ms;
    if (wait_ms > 0) {
        kw__answer_header_format(request->call, "Retry-After", "%lld", (long long)(wait_ms + 999) / 1000);
    }
    kw__finish_code(request, code, refusal_of(code));
}

static void decide(struct kw_request *request, struct kw_bytes token)
{
    struct kw_verification verification = {
        .key = token,
        .question = {.project = KW_PROJECT_KEYWARD, .address = kw__client_address(request)},
        .waits_for_place = request->api->options.origins.geo != NULL};
    struct kw_place place;
    struct kw_error error;
    enum kw_status status = KW_OK;
    kw_engine_read_begin();
    kw_engine_verify(request->api->options.engine, &verification, request->now_ms);
    if (kw__needs_place(request->api, &verification, &place)) {
        verification.question.place = &place;
        kw_engine_verify(request->api->options.engine, &verification, request->now_ms);
    } else if (verification.waits_for_place) {
        kw_engine_count(request->api->options.engine, &verification, request->now_ms);
    }
    bool wants_load = verification.needs_funds || (verification.needs_store && request->auth_tries == 0);
    if (!wants_load && verification.code == KW_CODE_NONE) {
        status = admit(request, &verification, &error);
    }
    if (!wants_load && (verification.code != KW_CODE_NONE || status != KW_OK)) {
        note_refused_actor(request, verification.entry);
    }
    kw_engine_read_end();
    if (wants_load) {
        load(request, &verification);
    } else if (verification.code == KW_CODE_IP_NOT_ALLOWED || verification.code == KW_CODE_REGION_NOT_ALLOWED) {
        kw__finish_code(request, verification.code, refusal_of(verification.code));
    } else if (verification.code == KW_CODE_RATE_LIMITED || verification.code == KW_CODE_QUOTA_EXCEEDED) {
        answer_too_much(request, &verification);
    } else if (verification.code != KW_CODE_NONE) {
        answer_unauthorized(request, true, refusal_of(verification.code));
    } else if (status != KW_OK) {
        kw__finish_error(request, &error);
    } else {
        request->go_on(request);
    }
}

static void loaded(struct kw_op *op)
{
    struct kw_request *request = kw__op_request(op);
    struct kw_bytes token = op->key;
    if (op->status != KW_OK && op->status != KW_E_NOT_FOUND) {
        struct kw_error error = op->error;
        kw_op_deinit(op);
        kw__finish_error(request, &error);
        return;
    }
    kw_op_deinit(op);
    request->now_ms = kw_engine_now_ms(request->api->options.engine);
    decide(request, token);
}

static void load(struct kw_request *request, const struct kw_verification *verification)
{
    if (request->auth_tries++ == KW_TRIES_MAX) {
        kw__finish_code(request, KW_CODE_TOO_BUSY,
                        "Many requests spend from this key's limits: try again after a moment.");
        return;
    }
    set_project(request, kw_project_built_in(KW_PROJECT_KEYWARD));
    struct kw_op *op = kw__op_begin(request, KW_OP_LOAD, loaded);
    if (op != NULL) {
        kw_op_ask_missing(op, verification);
        kw_engine_submit(request->api->options.engine, op);
    }
}

static void admit_operator(struct kw_request *request)
{
    request->actor = KW_BYTES("operator");
    request->is_root = true;
    kw_engine_read_begin();
    set_project(request, project_of(request, NULL));
    kw_engine_read_end();
    if (request->project == NULL) {
        struct kw_error error;
        (void)refuse_project(&error);
        kw__finish_error(request, &error);
        return;
    }
    request->go_on(request);
}

void kw__authenticate(struct kw_request *request, void (*go_on)(struct kw_request *request))
{
    request->go_on = go_on;
    if (request->call->is_operator) {
        admit_operator(request);
        return;
    }
    struct kw_bytes token;
    if (!kw__bearer_token(request->call->headers[KW_HEADER_AUTHORIZATION], &token)) {
        answer_unauthorized(request, false, "Send the management key as Authorization: Bearer, not in another scheme.");
        return;
    }
    if (token.size == 0) {
        answer_unauthorized(request, false, "A management key is required: send it as Authorization: Bearer KEY.");
        return;
    }
    request->auth_tries = 0;
    decide(request, token);
}
