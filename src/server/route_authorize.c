#include "server/inquiry.h"

#include "base/error.h"
#include "core/id.h"
#include "core/record.h"
#include "core/transition.h"

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

/* A profile: settings of the server, so that nothing a client sends can weaken what is asked. */
struct profile {
    struct kw_bytes name;
    struct kw_question question;
};

static const struct profile profiles[] = {
    {.name = {(const uint8_t *)"default", 7}, .question = {.project = KW_PROJECT_DEFAULT}},
};

static const struct profile *find_profile(struct kw_bytes name)
{
    for (size_t i = 0; i < KW_COUNT_OF(profiles); i++) {
        if (kw_bytes_equal(profiles[i].name, name)) {
            return &profiles[i];
        }
    }
    return NULL;
}

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

static void answer_refusal(struct kw_request *request, const struct kw_verification *verification)
{
    struct kw_call *call = request->call;
    enum kw_code code = verification->code;
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
    show_code(request, code);
    kw_api_problem(call, code, NULL);
}

static void decided(struct kw_inquiry *inquiry)
{
    struct kw_request *request = inquiry->request;
    struct kw_call *call = request->call;
    const struct kw_verification *verification = &inquiry->verifications[0];
    struct kw_record record;
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

/* The customer's own key. False when two different ones were sent. */
static bool find_key(const struct kw_call *call, struct kw_bytes *key_out)
{
    struct kw_bytes own = call->headers[KW_HEADER_X_API_KEY];
    bool is_bearer = kw__bearer_token(call->headers[KW_HEADER_AUTHORIZATION], key_out);
    if (!is_bearer || key_out->size == 0) {
        *key_out = own; /* another scheme is meant for somebody else */
        return true;
    }
    return own.size == 0 || kw_constant_time_equal(own, *key_out);
}

void kw__authorize(struct kw_request *request)
{
    struct kw_call *call = request->call;
    clear_identity(call);
    request->on_problem = show_code;
    const struct profile *profile = find_profile(request->parameter);
    if (profile == NULL) {
        kw__finish_code(request, KW_CODE_PROFILE_NOT_FOUND, kw_code_info(KW_CODE_PROFILE_NOT_FOUND)->meaning);
        return;
    }
    struct kw_bytes key;
    if (!find_key(call, &key)) {
        kw__finish_code(request, KW_CODE_INVALID_REQUEST,
                        "Authorization and X-API-Key hold different keys: send one of them, or the same key in both.");
        return;
    }
    struct kw_inquiry *inquiry = kw_arena_take(&call->arena, sizeof *inquiry);
    struct kw_verification *verification = kw_arena_take(&call->arena, sizeof *verification);
    if (inquiry == NULL || verification == NULL) {
        kw__finish_no_memory(request);
        return;
    }
    verification->key = key;
    verification->question = profile->question;
    verification->question.address = kw__client_address(request);
    *inquiry = (struct kw_inquiry){.request = request, .verifications = verification, .count = 1, .decided = decided};
    kw__inquire(inquiry);
}
