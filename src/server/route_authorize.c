#include "server/inquiry.h"

#include "base/error.h"
#include "core/id.h"
#include "core/profile.h"
#include "core/record.h"
#include "core/scope.h"
#include "core/transition.h"
#include "server/key_place.h"

#define SCOPES_TEXT_MAX 4096 /* what proxies take for one header; further scopes are left out */

/* What a gateway may hand on to what stands behind it. All are in every answer, so that none can be smuggled past it.
 */
enum identity {
    IDENTITY_VALID,
    IDENTITY_CODE,
    IDENTITY_KEY_ID,
    IDENTITY_OWNER,
    IDENTITY_ORG,
    IDENTITY_ENV,
    IDENTITY_NAME,
    IDENTITY_SCOPES,
    IDENTITY_COUNT,
};

static const char *const identity_names[IDENTITY_COUNT] = {
    [IDENTITY_VALID] = "Keyward-Valid", [IDENTITY_CODE] = "Keyward-Code",     [IDENTITY_KEY_ID] = "Keyward-Key-Id",
    [IDENTITY_OWNER] = "Keyward-Owner", [IDENTITY_ORG] = "Keyward-Org",       [IDENTITY_ENV] = "Keyward-Env",
    [IDENTITY_NAME] = "Keyward-Name",   [IDENTITY_SCOPES] = "Keyward-Scopes",
};

static void set_identity(struct kw_call *call, enum identity identity, struct kw_bytes value)
{
    for (size_t i = 0; i < call->answer_header_count; i++) {
        if (call->answer_headers[i].name == identity_names[identity]) {
            call->answer_headers[i].value = value;
        }
    }
}

static void clear_identity(struct kw_call *call)
{
    for (size_t i = 0; i < IDENTITY_COUNT; i++) {
        kw__answer_header(call, identity_names[i], KW_BYTES(""));
    }
    set_identity(call, IDENTITY_VALID, KW_BYTES("false"));
}

static void show_code(struct kw_request *request, enum kw_code code)
{
    set_identity(request->call, IDENTITY_CODE, kw_bytes_of_text(kw_code_info(code)->name));
}

/* The scopes with spaces between them. */
static struct kw_bytes join_scopes(struct kw_arena *arena, const struct kw_list *scopes)
{
    uint8_t memory[SCOPES_TEXT_MAX];
    struct kw_buffer text;
    struct kw_bytes rest = scopes->packed;
    struct kw_bytes scope;
    kw_buffer_init_fixed(&text, memory, sizeof memory);
    while (kw_list_next(&rest, &scope) && scope.size + 1 <= sizeof memory - text.size) {
        kw_buffer_add_text(&text, text.size == 0 ? "" : " ");
        kw_buffer_add(&text, scope);
    }
    struct kw_bytes joined;
    return kw_arena_copy(arena, kw_buffer_bytes(&text), &joined) == KW_OK ? joined : (struct kw_bytes){NULL, 0};
}

static void show_identity(struct kw_call *call, const struct kw_record *record)
{
    /* What encodeURIComponent encodes of visible ASCII, beside '%'. */
    static const char not_in_names[] = "\"#$&+,/:;<=>?@[\\]^`{|}";
    char id[KW_ID_TEXT_SIZE];
    struct kw_arena *arena = &call->arena;
    kw_id_format(&record->id, id);
    set_identity(call, IDENTITY_VALID, KW_BYTES("true"));
    set_identity(call, IDENTITY_KEY_ID, kw__visible(arena, kw_bytes_of(id, sizeof id), ""));
    set_identity(call, IDENTITY_OWNER, kw__visible(arena, record->owner, ""));
    set_identity(call, IDENTITY_ORG, kw__visible(arena, record->org_id, ""));
    set_identity(call, IDENTITY_ENV, kw__visible(arena, record->env, ""));
    set_identity(call, IDENTITY_NAME, kw__visible(arena, record->name, not_in_names));
    set_identity(call, IDENTITY_SCOPES, join_scopes(arena, &record->scopes));
}

/* Whole seconds that are not too few. */
static long long seconds_up(int64_t ms)
{
    return ms <= 0 ? 0 : (long long)((ms + 999) / 1000);
}

/* draft-ietf-httpapi-ratelimit-headers; a name is of a-z, 0-9, '-' and '_', so it needs no escaping. */
static void show_rate_limit(struct kw_request *request, const struct kw_verification *verification, int64_t now_ms)
{
    struct kw_call *call = request->call;
    const struct kw_rate_limit_state *limit = &verification->rate_limit;
    if (!verification->has_rate_limit) {
        return;
    }
    kw__answer_header_format(call, "RateLimit-Policy", "\"%s\";q=%lld;w=%lld", limit->name, (long long)limit->requests,
                             seconds_up(limit->window_ms));
    kw__answer_header_format(call, "RateLimit", "\"%s\";r=%lld;t=%lld", limit->name, (long long)limit->remaining,
                             seconds_up(limit->resets_at_ms - now_ms));
    if (limit->retry_after_ms > 0) {
        kw__answer_header_format(call, "Retry-After", "%lld", seconds_up(limit->retry_after_ms));
    }
}

/* Who has used a quota up may come again in its next period. */
static void show_quota(struct kw_request *request, const struct kw_verification *verification, int64_t now_ms)
{
    if (verification->code == KW_CODE_QUOTA_EXCEEDED) {
        kw__answer_header_format(request->call, "Retry-After", "%lld",
                                 seconds_up(verification->quota.resets_at_ms - now_ms));
    }
}

#define DETAIL_MAX 240 /* for what is missing, of KW_ERROR_TEXT_MAX */

/* "write, read on website:1, a OR b"; what has no room is counted. */
static void list_missing(const struct kw_missing *missing, size_t count, struct kw_buffer *text)
{
    for (size_t i = 0; i < count; i++) {
        struct kw_bytes what = missing[i].require.size > 0 ? missing[i].require : missing[i].scope;
        struct kw_bytes on = missing[i].resource;
        what = what.size > 0 ? what : KW_BYTES("any scope");
        if (i > 0 && text->size + what.size + on.size + 30 > DETAIL_MAX) {
            kw_buffer_add_format(text, ", and %zu more", count - i);
            return;
        }
        kw_buffer_add_text(text, i > 0 ? ", " : "");
        kw_buffer_add(text, what);
        kw_buffer_add_text(text, on.size > 0 ? " on " : "");
        kw_buffer_add(text, on);
    }
}

/* The attribute of RFC 6750 for those that stand alone, all or as many as fit; what can be met in several ways it has
 * no form for. */
static struct kw_bytes challenge_of(struct kw_arena *arena, const struct kw_missing *missing, size_t count)
{
    uint8_t memory[SCOPES_TEXT_MAX];
    struct kw_buffer text;
    struct kw_bytes challenge;
    bool has_any = false;
    kw_buffer_init_fixed(&text, memory, sizeof memory);
    kw_buffer_add_text(&text, "Bearer realm=\"keyward\", error=\"insufficient_scope\"");
    for (size_t i = 0; i < count && missing[i].scope.size + 16 < sizeof memory - text.size; i++) {
        if (missing[i].scope.size == 0) {
            continue;
        }
        kw_buffer_add_text(&text, has_any ? " " : ", scope=\"");
        kw_buffer_add(&text, missing[i].scope);
        has_any = true;
    }
    kw_buffer_add_text(&text, has_any ? "\"" : "");
    return kw_arena_copy(arena, kw_buffer_bytes(&text), &challenge) == KW_OK ? challenge : KW_BYTES("Bearer");
}

/* Names all that the profile asks for and the key does not hold, as a verification's body does. */
static const struct kw_error *show_missing(struct kw_call *call, const struct kw_verification *verification,
                                           struct kw_error *error)
{
    struct kw_missing missing[KW_MISSING_MAX];
    uint8_t memory[KW_ERROR_TEXT_MAX + KW_REQUIRE_MAX];
    struct kw_buffer text;
    size_t count = kw_lacks_list(&verification->lacks, &verification->question, missing, KW_COUNT_OF(missing));
    kw_buffer_init_fixed(&text, memory, sizeof memory);
    list_missing(missing, count, &text);
    kw__answer_header(call, "WWW-Authenticate", challenge_of(&call->arena, missing, count));
    kw_error_clear(error);
    (void)kw_refuse(error, KW_CODE_INSUFFICIENT_SCOPE, NULL, "The key lacks what is asked of it here: %.*s",
                    (int)text.size, (const char *)text.data);
    return error;
}

/* "Authorization: Bearer, X-API-Key or X-Shop-Key": where the project that was asked looks, and nowhere else. */
static const struct kw_error *show_places(struct kw_request *request, uint16_t number, struct kw_error *error)
{
    uint8_t memory[KW_ERROR_TEXT_MAX];
    struct kw_buffer text;
    const struct kw_project *project = kw_project_by_number(kw_engine_catalog(request->api->options.engine), number);
    kw_buffer_init_fixed(&text, memory, sizeof memory);
    for (size_t i = 0; project != NULL && i < project->key_place_count; i++) {
        const struct kw_key_place *place = &project->key_places[i];
        bool is_last = i + 1 == project->key_place_count && project->key_parameter.size == 0;
        kw_buffer_add_text(&text, i == 0 ? "" : is_last ? " or " : ", ");
        if (place->kind == KW_KEY_IN_HEADER) {
            kw_buffer_add(&text, place->header);
        } else {
            kw_buffer_add_text(&text, place->kind == KW_KEY_IN_X_API_KEY ? "X-API-Key" : "Authorization: Bearer");
        }
    }
    if (project != NULL && project->key_parameter.size > 0) {
        kw_buffer_add_text(&text, text.size == 0 ? "the parameter " : " or the parameter ");
        kw_buffer_add(&text, project->key_parameter);
    }
    if (project == NULL || kw_buffer_status(&text) != KW_OK) {
        return NULL;
    }
    kw_error_clear(error);
    (void)kw_refuse(error, KW_CODE_MISSING_KEY, NULL, "No key was given: send it as %.*s.", (int)text.size,
                    (const char *)text.data);
    return error;
}

static void answer_refusal(struct kw_request *request, const struct kw_verification *verification)
{
    struct kw_call *call = request->call;
    enum kw_code code = verification->code;
    struct kw_error error;
    const struct kw_error *detail = NULL;
    unsigned wait_s = 0;
    if (kw_code_info(code)->http_status == 401) {
        /* Where the client is not known, it counts with whoever did not say. */
        const struct kw_address *client = kw__client_address(request);
        client = client == NULL ? call->peer_address : client;
        wait_s = client == NULL ? 0 : kw_failures_count(request->api->failures, client, request->now_ms);
    }
    if (wait_s > 0) {
        code = KW_CODE_TOO_MANY_FAILURES;
        kw__answer_header_format(call, "Retry-After", "%u", wait_s);
    } else if (kw_code_info(code)->http_status == 401) {
        kw__answer_header(call, "WWW-Authenticate",
                          verification->key.size == 0 ? KW_BYTES("Bearer realm=\"keyward\"")
                                                      : KW_BYTES("Bearer realm=\"keyward\", error=\"invalid_token\""));
    }
    if (code == KW_CODE_INSUFFICIENT_SCOPE) {
        detail = show_missing(call, verification, &error);
    } else if (code == KW_CODE_MISSING_KEY) {
        detail = show_places(request, verification->question.project, &error);
    }
    show_code(request, code);
    kw_api_problem(call, code, detail);
}

static void decided(struct kw_inquiry *inquiry)
{
    struct kw_request *request = inquiry->request;
    struct kw_call *call = request->call;
    const struct kw_verification *verification = &inquiry->verifications[0];
    struct kw_record record;
    show_rate_limit(request, verification, inquiry->now_ms);
    show_quota(request, verification, inquiry->now_ms);
    if (verification->code != KW_CODE_NONE) {
        answer_refusal(request, verification);
        return;
    }
    if (kw_record_decode(kw_entry_record(verification->entry), &record) != KW_OK) {
        show_code(request, KW_CODE_STORE_CORRUPT);
        kw_api_problem(call, KW_CODE_STORE_CORRUPT, NULL);
        return;
    }
    call->status = 200;
    show_code(request, KW_CODE_NONE);
    show_identity(call, &record);
}

/* What is asked is the profile's, so that nothing a client sends can weaken it. */
static enum kw_status ask(const struct kw_request *request, struct kw_verification *verification,
                          struct kw_error *error)
{
    const struct kw_catalog *catalog = kw_engine_catalog(request->api->options.engine);
    const struct kw_project *project;
    const struct kw_profile *profile;
    if (!kw_profile_find(catalog, request->parameter, &project, &profile)) {
        return kw_refuse(error, KW_CODE_PROFILE_NOT_FOUND, NULL,
                         "There is no such authorization profile: name a project, or PROJECT.PROFILE as its authorize "
                         "has it.");
    }
    enum kw_status status = kw__key_of_call(request->call, project, &verification->key, error);
    if (status != KW_OK) {
        return status;
    }
    if (kw_profile_question(project, profile, &request->call->arena, &verification->question) != KW_OK) {
        return kw_refuse(error, KW_CODE_TOO_BUSY, NULL, "There is no memory left for this request: try again later.");
    }
    return KW_OK;
}

void kw__authorize(struct kw_request *request)
{
    struct kw_call *call = request->call;
    clear_identity(call);
    request->on_problem = show_code;
    struct kw_inquiry *inquiry = kw_arena_take(&call->arena, sizeof *inquiry);
    struct kw_verification *verification = kw_arena_take(&call->arena, sizeof *verification);
    if (inquiry == NULL || verification == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    struct kw_error error;
    kw_engine_read_begin();
    enum kw_status status = ask(request, verification, &error);
    kw_engine_read_end();
    if (status != KW_OK) {
        kw__finish_error(request, &error);
        return;
    }
    verification->question.address = kw__client_address(request);
    *inquiry = (struct kw_inquiry){.request = request, .verifications = verification, .count = 1, .decided = decided};
    kw__inquire(inquiry);
}
