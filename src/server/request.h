/*
 * Inside the interface: one request on its way from its route to its answer, and what the files of the routes share. It
 * lives in the call's arena and dies with the call. Nobody outside src/server's interface half includes this.
 */
#ifndef KW_SERVER_REQUEST_H
#define KW_SERVER_REQUEST_H

#include "base/json.h"
#include "core/project.h"
#include "notify/notify.h"
#include "server/api.h"
#include "server/bodies.h"
#include "server/counters.h"
#include "server/failures.h"
#include "server/record_cache.h"
#include "server/router.h"

struct kw_api {
    struct kw_api_options options;
    struct kw_failures *failures;
    struct kw_counters *counters;
    struct kw_record_cache *record_cache;
    unsigned export_count; /* under way; atomic */
    struct kw_watch *watch;
};

/* A project beyond the read section in which it was found. */
struct kw_request_project {
    uint16_t number;
    struct kw_bytes name;
    uint8_t memory[KW_PROJECT_MAX];
};

struct kw_request {
    struct kw_api *api;
    struct kw_call *call;
    const struct kw_route *route;
    struct kw_bytes parameter;                /* what stands for {id}, {name}, {fingerprint} or {profile} */
    const struct kw_request_project *project; /* that the request is about */
    struct kw_request_project project_memory;
    bool is_root;                  /* the root key, or the operator */
    struct kw_bytes actor;         /* where the route changes something: "key:key_…", "operator" */
    struct kw_bytes refused_actor; /* of one that was refused: the management key, as far as it is known */
    struct kw_bytes authority;     /* where it changes something in `keyward`: the management key's encoded record */
    const struct kw_circumstances *circumstances; /* where the route changes something */
    void *body;                                   /* as route->body says; zeroed where none was sent */
    void *query;
    int64_t now_ms;
    struct kw_address client; /* kw__client_address's own */
    const struct kw_address *client_known;
    bool has_looked_for_client;
    unsigned auth_tries;                       /* of its management key that waited for the store */
    struct kw_op *op;                          /* the operation that is under way */
    void (*go_on)(struct kw_request *request); /* after authentication */
    /* What else an answer must say that is a problem; NULL: nothing. */
    void (*on_problem)(struct kw_request *request, enum kw_code code);
};

/* --- answers (answer.c) --- */

/* Adds an answer header. `name` is static; `value` is static or in the arena. */
void kw__answer_header(struct kw_call *call, const char *name, struct kw_bytes value);
/* The same with a value that is formatted into the arena; left out when there is no memory for it. */
void kw__answer_header_format(struct kw_call *call, const char *name, const char *format, ...) KW_PRINTF(3, 4);

/* `bytes` as visible ASCII: all else, '%' and what `also` names is percent-encoded. No bytes where memory ends. */
struct kw_bytes kw__visible(struct kw_arena *arena, struct kw_bytes bytes, const char *also);

/* Begins an answer of JSON. */
struct kw_json_writer kw__answer_begin(struct kw_call *call, uint16_t status);

/* Hands the call back. Nothing of it may be touched afterwards. */
void kw__finish(struct kw_request *request);
/* The same, after the answer is all written: one that grew too large becomes a problem. */
void kw__finish_written(struct kw_request *request);
/* A problem from an error of any kind; what is the server's own fault is logged with its detail. */
void kw__finish_error(struct kw_request *request, const struct kw_error *error);
void kw__finish_code(struct kw_request *request, enum kw_code code, const char *message);
void kw__finish_no_memory(struct kw_request *request);

/* The code of an error of any kind. */
enum kw_code kw__code_of(const struct kw_error *error);
/* Logs what is the server's own fault. */
void kw__log_failure(const struct kw_request *request, const struct kw_error *error);
/* Ends a call whose change is made; where it cannot be shown (`status`, or no room) that is said. */
void kw__finish_change(struct kw_request *request, enum kw_status status);
/* Writes a record that an operation shows as JSON, with what is known of its ancestors. KW_E_CORRUPT, KW_E_NEWER. */
KW_MUST_USE enum kw_status kw__write_shown(struct kw_json_writer *writer, const struct kw_op *op,
                                           struct kw_bytes encoding);
/* Writes a record as JSON, with what a list knows of it. KW_E_CORRUPT, KW_E_NEWER. */
KW_MUST_USE enum kw_status kw__write_listed(struct kw_json_writer *writer, struct kw_bytes encoding,
                                            const struct kw_listed *listed, int64_t now_ms);
/* The members of an item that was refused: status, code, field and detail (problem.c). */
void kw__write_refusal(struct kw_json_writer *writer, enum kw_code code, const struct kw_error *error);

/* --- operations --- */

/* Prepares request->op; NULL when there is no memory (then the call is finished). */
struct kw_op *kw__op_begin(struct kw_request *request, enum kw_op_kind kind, void (*done)(struct kw_op *op));
/* Ends the call where the operation failed, and gives the operation back; true when it did. */
KW_MUST_USE bool kw__op_failed(struct kw_op *op);
/* The request that an operation belongs to. */
static inline struct kw_request *kw__op_request(const struct kw_op *op)
{
    return op->context;
}

/* Submits what is to be done once, where its header says so; gives the operation back where that is wrong. */
void kw__submit_once(struct kw_request *request, struct kw_op *op);

/* `done` of an operation whose result is one record: answers with it. */
void kw__answer_record(struct kw_op *op);
/* `done` of an operation that leaves nothing to show: answers 204. */
void kw__answer_nothing(struct kw_op *op);
/* The same where the operation's result is the answer, as JSON. */
void kw__answer_result(struct kw_op *op);

/* --- exports: answers of any size (export_answer.c) --- */

#define KW__TOO_MANY_EXPORTS "Too many exports are under way: try again when one has ended."

/* Counts one that begins; false when there are too many already. */
KW_MUST_USE bool kw__export_enter(struct kw_api *api);
/* It is over. */
void kw__export_leave(struct kw_api *api);
/* Makes the answer one that comes in pieces: `go_on` is asked for the next one. */
void kw__begin_export(struct kw_request *request, const char *content_type, void (*go_on)(struct kw_call *call));
/* The piece goes to the call without a copy; its empty buffer is for the next one. */
void kw__hand_over(struct kw_op *op);
/* `go_on` of an answer to HEAD: there are no pieces. */
void kw__export_left_alone(struct kw_call *call);

/* --- authentication (auth.c) --- */

/* Sees to it that whoever asks may, then calls request->route's handler by way of `go_on`; else answers. */
void kw__authenticate(struct kw_request *request, void (*go_on)(struct kw_request *request));

/* Whether whoever was admitted still is: of an answer that goes on for long. Spends and counts nothing. Any thread. */
KW_MUST_USE bool kw__still_admitted(struct kw_request *request);

/* The token of "Authorization: Bearer TOKEN"; empty when there is none. False when there is something else. */
KW_MUST_USE bool kw__bearer_token(struct kw_bytes header, struct kw_bytes *token_out);

/* --- where requests come from (origin.c) --- */

/* The address of whoever sent the request, behind the proxies that are trusted; NULL: not known. */
const struct kw_address *kw__client_address(struct kw_request *request);

/*
 * Of a verification that was answered: whether it hangs on the place of its address, which nobody stated, and which the
 * database knows. Then it is to be asked again with `place_out`. So the many keys without a rule on regions cost no
 * look-up. Within read_begin and read_end.
 */
KW_MUST_USE bool kw__needs_place(const struct kw_api *api, const struct kw_verification *verification,
                                 struct kw_place *place_out);

/*
 * Notes for the audit log where the request comes from, and what its Keyward-Context says. INVALID_FIELD,
 * naming members of that.
 */
KW_MUST_USE enum kw_status kw__note_circumstances(struct kw_request *request, struct kw_error *error);

/* Tells the audit log that the request is answered with 401 or 403. */
void kw__note_attempt(struct kw_request *request);

/* The keys that a list, count or export means (route_find.c); NULL when the call was answered instead. */
struct kw_list_query *kw__list_query(struct kw_request *request);

/* Whether the request's project has an environment of that name. */
KW_MUST_USE bool kw__has_environment(const struct kw_request *request, struct kw_bytes env);

/* Answers with a list, or one, of documents of a kind; changes one of them, after `look` (NULL: at once), which submits
 * the operation or ends it (route_documents.c). */
void kw__documents_list(struct kw_request *request, enum kw_document_kind kind);
void kw__documents_get(struct kw_request *request, enum kw_document_kind kind);
void kw__documents_change(struct kw_request *request, enum kw_op_kind what, enum kw_document_kind kind,
                          void (*look)(struct kw_request *request, struct kw_op *op));
/* The same with a change of ours. */
void kw__documents_update_with(struct kw_request *request, enum kw_document_kind kind, struct kw_bytes json);
/* Sends one message to the webhook (KW_NOTIFY_PING) or channel (KW_NOTIFY_TEST) that the request names, and answers
 * with what became of it; answers with what was sent to it; sends that again (route_webhooks.c). */
void kw__notify_try(struct kw_request *request, enum kw_notify_job_kind kind);
void kw__deliveries_answer(struct kw_request *request, enum kw_document_kind kind);
void kw__deliveries_replay_from(struct kw_request *request, enum kw_document_kind kind);
/* `done` of such a change. */
void kw__answer_document(struct kw_op *op);
/* The text of a member of an object; empty where there is none. */
struct kw_bytes kw__member_of(struct kw_bytes json, const char *name, struct kw_arena *arena);

/* The version of If-Match: "3", or W/"3"; 0 for none and for "*". INVALID_FIELD. */
KW_MUST_USE enum kw_status kw__if_match(const struct kw_call *call, uint64_t *version_out, struct kw_error *error_out);

/* --- handlers, named by x-handler in api/keyward.yaml --- */

void kw__keys_create(struct kw_request *request);
void kw__keys_list(struct kw_request *request);
void kw__keys_count(struct kw_request *request);
void kw__keys_look_up(struct kw_request *request);
void kw__keys_insights(struct kw_request *request);
void kw__insights(struct kw_request *request);
void kw__keys_get(struct kw_request *request);
void kw__keys_update(struct kw_request *request);
void kw__keys_erase(struct kw_request *request);
void kw__keys_revoke(struct kw_request *request);
void kw__keys_enable(struct kw_request *request);
void kw__keys_disable(struct kw_request *request);
void kw__keys_rotate(struct kw_request *request);
void kw__keys_export(struct kw_request *request);
void kw__keys_create_many(struct kw_request *request);
void kw__keys_update_many(struct kw_request *request);
void kw__keys_revoke_many(struct kw_request *request);
void kw__keys_revoke_where(struct kw_request *request);
void kw__keys_disable_where(struct kw_request *request);
void kw__keys_enable_where(struct kw_request *request);
void kw__keys_verify(struct kw_request *request);
void kw__keys_verify_many(struct kw_request *request);
void kw__projects_list(struct kw_request *request);
void kw__projects_create(struct kw_request *request);
void kw__projects_get(struct kw_request *request);
void kw__projects_update(struct kw_request *request);
void kw__projects_delete(struct kw_request *request);
void kw__policies_list(struct kw_request *request);
void kw__policies_create(struct kw_request *request);
void kw__policies_get(struct kw_request *request);
void kw__policies_update(struct kw_request *request);
void kw__policies_delete(struct kw_request *request);
void kw__templates_list(struct kw_request *request);
void kw__templates_create(struct kw_request *request);
void kw__templates_get(struct kw_request *request);
void kw__templates_update(struct kw_request *request);
void kw__templates_delete(struct kw_request *request);
void kw__channels_list(struct kw_request *request);
void kw__channels_create(struct kw_request *request);
void kw__channels_get(struct kw_request *request);
void kw__channels_update(struct kw_request *request);
void kw__channels_delete(struct kw_request *request);
void kw__channels_enable(struct kw_request *request);
void kw__channels_disable(struct kw_request *request);
void kw__channels_test(struct kw_request *request);
void kw__channels_deliveries(struct kw_request *request);
void kw__channels_replay(struct kw_request *request);
void kw__webhooks_list(struct kw_request *request);
void kw__webhooks_create(struct kw_request *request);
void kw__webhooks_get(struct kw_request *request);
void kw__webhooks_update(struct kw_request *request);
void kw__webhooks_delete(struct kw_request *request);
void kw__webhooks_enable(struct kw_request *request);
void kw__webhooks_disable(struct kw_request *request);
void kw__webhooks_renew(struct kw_request *request);
void kw__webhooks_ping(struct kw_request *request);
void kw__webhooks_deliveries(struct kw_request *request);
void kw__webhooks_replay(struct kw_request *request);
void kw__peppers_list(struct kw_request *request);
void kw__peppers_add(struct kw_request *request);
void kw__peppers_retire(struct kw_request *request);
void kw__usage_of_key(struct kw_request *request);
void kw__usage_of_others(struct kw_request *request);
void kw__usage_report(struct kw_request *request);
void kw__quota_credit(struct kw_request *request);
void kw__import(struct kw_request *request);
void kw__audit_list(struct kw_request *request);
void kw__audit_count(struct kw_request *request);
void kw__audit_stats(struct kw_request *request);
void kw__audit_verify(struct kw_request *request);
void kw__events_list(struct kw_request *request);
void kw__audit_checkpoint_list(struct kw_request *request);
void kw__audit_export(struct kw_request *request);
void kw__audit_prune(struct kw_request *request);
void kw__audit_erase(struct kw_request *request);
void kw__authorize(struct kw_request *request);
void kw__health(struct kw_request *request);
void kw__ready(struct kw_request *request);
void kw__metrics(struct kw_request *request);
void kw__openapi(struct kw_request *request);

#endif
