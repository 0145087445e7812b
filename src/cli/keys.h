/*
 * Commands about keys: which call of the interface a command line is, and how the answer is shown. Both are made from
 * the command's row and its tables of options.
 */
#ifndef KW_CLI_KEYS_H
#define KW_CLI_KEYS_H

#include "base/json.h"
#include "cli/cli.h"
#include "cli/target.h"

/* How people see an answer that went well. */
enum kw_view {
    KW_VIEW_RECORD,  /* the record as a card */
    KW_VIEW_CREATED, /* the new key, once, then its record */
    KW_VIEW_DONE,    /* one line: what was done to which key */
};

struct kw_key_call {
    enum kw_method method;
    const char *path;       /* with "{id}" where the command's operand goes */
    const char *count_path; /* instead, with --count */
    const char *bare_path;  /* instead, without an operand; NULL: there is one */
    bool has_body;          /* at least "{}" */
    bool sends_key;         /* the key that was read, in the body, unless --digest is given */
    bool is_dry_run;        /* dryRun, in the body */
    bool may_make;          /* on a data folder that is not there: make it */
    enum kw_view view;
    const char *done; /* KW_VIEW_DONE: "Revoked" */
    const char *many; /* the path for several keys at once (cmd_many.c); NULL: one key at a time */
};

/* Whether a command line means other than one key by its id: several ids, or a filter. */
bool kw_line_means_many(const struct kw_command_line *line);

/* A request with the memory it stands in. */
struct kw_formed_request {
    struct kw_request request;
    struct kw_buffer path, query, body;
    char if_version[24];
};

/*
 * Forms the call of a command line. `key` is the key to be verified; empty for all other commands. `cursor` is where a
 * list goes on; NULL: from the start. Fails with KW_CLI_USAGE, INVALID_JSON, or what a file's reading failed with.
 * Give back with kw_formed_request_deinit, also on failure.
 */
KW_MUST_USE enum kw_status kw_request_form(const struct kw_command_line *line, struct kw_bytes key, const char *cursor,
                                           struct kw_formed_request *formed_out, struct kw_error *error_out);
void kw_formed_request_deinit(struct kw_formed_request *formed);

/* The body of a command line (request_body.c). */
KW_MUST_USE enum kw_status kw_request_body(const struct kw_command_line *line, struct kw_bytes key,
                                           struct kw_buffer *body, struct kw_error *error_out);

/*
 * Forms the (first) call of a command, then opens where it goes: a command line that is wrong touches nothing. False:
 * it failed and was reported. Give back with kw_formed_request_deinit in any case, and with kw_target_close.
 */
bool kw_key_begin(struct kw_cli *cli, const struct kw_command_line *line, struct kw_bytes key,
                  struct kw_formed_request *formed_out, struct kw_target **target_out);
/* Makes the call, and shows a problem if that is the answer. False: it failed and was reported. */
bool kw_key_send(struct kw_cli *cli, const struct kw_command_line *line, struct kw_target *target,
                 const struct kw_formed_request *formed, struct kw_answer *answer_out);

/*
 * A whole command that makes one call: `check` (NULL: nothing to check) looks at the command line before anything is
 * touched, `show` writes the answer, and fails where it is not understood. Returns the exit code.
 */
int kw_key_ask(struct kw_cli *cli, const struct kw_command_line *line,
               enum kw_status (*check)(const struct kw_command_line *line, struct kw_error *error_out),
               enum kw_status (*show)(struct kw_cli *cli, const struct kw_command_line *line,
                                      const struct kw_answer *answer));

/* The key of a command that sends one: from --key-file or standard input (cmd_verify.c). */
KW_MUST_USE enum kw_status kw_key_read(struct kw_cli *cli, const struct kw_command_line *line, struct kw_buffer *key,
                                       struct kw_error *error_out);

/* --- answers --- */

/* A member of an object in an answer. Absent members are of type KW_JSON_NULL. */
struct kw_member {
    const char *name;
    enum kw_json_type type;
    struct kw_bytes text; /* strings decoded; all others as they are written */
};

#define KW_ANSWER_ARENA_MAX (32 * 1024 * 1024)

/* Looks the named members up; others are passed over. `object` must be one object. */
KW_MUST_USE enum kw_status kw_members_read(struct kw_bytes object, struct kw_arena *arena, struct kw_member *members,
                                           size_t count);
/* Calls `each` with every item of an array, as it is written; stops when that fails. */
KW_MUST_USE enum kw_status kw_items_each(struct kw_bytes array, struct kw_arena *arena,
                                         enum kw_status (*each)(void *context, const struct kw_json_token *item,
                                                                struct kw_bytes raw),
                                         void *context);

/* Shows a page of items, each by `each` with `cli`, and where to go on; with --json the answer as it is. */
KW_MUST_USE enum kw_status
kw_page_show(struct kw_cli *cli, const struct kw_command_line *line, const struct kw_answer *answer,
             enum kw_status (*each)(void *context, const struct kw_json_token *item, struct kw_bytes raw));

/* The problem (RFC 9457) as an error for people or programs. */
int kw_report_problem(struct kw_cli *cli, const struct kw_answer *answer, bool as_json);
/* The same with further members of the JSON, as text; empty: none. */
int kw_report_problem_with(struct kw_cli *cli, const struct kw_answer *answer, bool as_json, struct kw_bytes members);
int kw_report_nonsense(struct kw_cli *cli, bool as_json);

#endif
