/*
 * Where a call goes: to a server (target_http.c) or into this process, on a data folder (target_folder.c). Whoever
 * makes the call cannot tell the difference.
 */
#ifndef KW_CLI_TARGET_H
#define KW_CLI_TARGET_H

#include "cli/cli.h"
#include "server/call.h"

struct kw_request {
    enum kw_method method;
    const char *path;       /* "/v1/keys" */
    struct kw_bytes query;  /* encoded, without '?'; may be empty */
    struct kw_bytes body;   /* JSON, or empty */
    const char *project;    /* Keyward-Project; NULL: not sent */
    const char *if_version; /* If-Match; NULL: not sent */
    const char *once;       /* Idempotency-Key; NULL: not sent */
    /*
     * Takes the body of an answer that went well piece by piece, so that it may be of any size; NULL: all of it stands
     * in the answer. Where it fails, with the error set, or the answer is cut, the call fails.
     */
    enum kw_status (*take)(void *context, struct kw_bytes piece, struct kw_error *error_out);
    void *take_context;
    bool follows;           /* the answer is to be a stream of events (server-sent events), of a server only */
    const char *last_event; /* where that goes on: Last-Event-ID; NULL: not sent */
    int signals;            /* of a stream: a signalfd that ends it */
    bool counts_keys;       /* all keys of a data folder are to be in memory first; a server takes its time */
    bool changes_nothing;   /* whatever its method */
    const char *if_unknown; /* what to do where a change was sent and no answer came; NULL: look */
};

struct kw_answer {
    uint16_t status;
    struct kw_buffer body; /* may hold a key: wiped */
};

struct kw_target;

struct kw_target_ops {
    uint32_t version; /* KW_TARGET_VERSION */
    const char *name;
    /* `answer_out->body` is initialized and empty. Fails when there is no answer; a refusal is an answer. */
    enum kw_status (*send)(struct kw_target *target, const struct kw_request *request, struct kw_answer *answer_out,
                           struct kw_error *error_out);
    void (*close)(struct kw_target *target);
};

#define KW_TARGET_VERSION 1
#define KW_TARGET_PLACE_SIZE 4200

struct kw_target {
    const struct kw_target_ops *ops;
    /* Where it is, and who asks there: the address and the management key's last four characters, or the folder. */
    char place[KW_TARGET_PLACE_SIZE];
};

void kw_answer_init(struct kw_answer *answer);
void kw_answer_deinit(struct kw_answer *answer);

/* Finds out from options and environment where to go, and opens that. `may_make`: a data folder is made if missing. */
KW_MUST_USE enum kw_status kw_target_open(struct kw_cli *cli, const struct kw_command_line *line, bool may_make,
                                          struct kw_target **target_out, struct kw_error *error_out);
/* The same, but where neither says anything it is the data folder that `keyward serve` has by default. */
KW_MUST_USE enum kw_status kw_target_open_or_default(struct kw_cli *cli, const struct kw_command_line *line,
                                                     struct kw_target **target_out, struct kw_error *error_out);
void kw_target_close(struct kw_target *target);

struct kw_http_options {
    const char *url;             /* http or https, the interface's address without /v1 */
    const struct kw_secret *key; /* the management key */
    const char *ca_file;         /* NULL: the system's */
    int64_t timeout_ms;          /* how long a server that is up may take to answer (patience.h) */
    struct kw_output *notices;   /* where it is said that one does; NULL: nowhere */
};

KW_MUST_USE enum kw_status kw_target_http_open(const struct kw_http_options *options, struct kw_target **target_out,
                                               struct kw_error *error_out);

struct kw_data_options;
KW_MUST_USE enum kw_status kw_target_folder_open(const struct kw_data_options *options, struct kw_target **target_out,
                                                 struct kw_error *error_out);

#endif
