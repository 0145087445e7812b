/*
 * The command line. A command about keys is a call of the HTTP interface: it is formed once, and either sent to a
 * server or handed to the same routes in this process, on a data folder that no server holds. So both ways behave
 * alike, and one piece of code shows the answer. What differs between commands is data: a row in a table, from which
 * parsing, calls and help pages come. Nothing in this room decides what a key may do.
 */
#ifndef KW_CLI_CLI_H
#define KW_CLI_CLI_H

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"

#define KW_CLI_DEFAULT_LISTEN "127.0.0.1:7411"
#define KW_CLI_DEFAULT_URL "http://127.0.0.1:7411"
#define KW_CLI_DEFAULT_DATA "data"
#define KW_CLI_DEFAULT_TIMEOUT "15m"

enum kw_exit {
    KW_EXIT_OK = 0,
    KW_EXIT_NOT_VALID = 1,
    KW_EXIT_FAILED = 2,
    KW_EXIT_DONE_BEFORE = 3, /* a request that came again: its key was shown then */
    KW_EXIT_STOPPED = 4,     /* by a signal, between two chunks of a batch: --resume goes on */
};

/* Codes of errors that only the command line makes; they stand in no table, and people are not shown them. */
#define KW_CLI_FAILED "FAILED" /* the message says it all */
#define KW_CLI_USAGE "USAGE"   /* the command line itself is wrong: --help helps */

/* A stream on its way out: gathered, then written in one go, so that key material lies in memory that is wiped. */
struct kw_output {
    int fd;
    bool is_terminal;
    bool colour;
    struct kw_buffer text;
};

/* What comes from the environment. Secrets are moved out of it before anything else happens. */
struct kw_environment_values {
    struct kw_secret key;      /* KEYWARD_KEY: the management key for --url */
    struct kw_secret root_key; /* KEYWARD_ROOT_KEY */
    struct kw_buffer pepper;   /* KEYWARD_PEPPER: 64 hexadecimal characters, or several of these with commas */
    const char *url;           /* KEYWARD_URL */
    bool no_colour;
};

/* One run of the program. */
struct kw_cli {
    struct kw_environment_values environment;
    int in;
    struct kw_output out, err;
    struct kw_clock clock;
    struct kw_entropy entropy;
    const struct kw_cli_command *command; /* that runs; NULL before one is known */
    const char *data_path;                /* the data folder that it works on; NULL: none */
};

/* Moves the secrets out of the process's environment. Fails when one is longer than a secret may be. */
KW_MUST_USE enum kw_status kw_environment_take(struct kw_environment_values *values_out, struct kw_error *error_out);

/* --- options --- */

/* Where the value of an option goes. */
enum kw_option_place {
    KW_PLACE_LOCAL,       /* the command reads it itself */
    KW_PLACE_QUERY,       /* `field` of the query */
    KW_PLACE_TEXT,        /* `field` of the body: a string */
    KW_PLACE_LIST,        /* a list of strings */
    KW_PLACE_TRUE,        /* true */
    KW_PLACE_FALSE,       /* false */
    KW_PLACE_JSON,        /* JSON as it is, or a file of it: @FILE */
    KW_PLACE_RATE_LIMITS, /* [NAME=]100/1m[,owner] as [{"name":…,"requests":100,"window":"1m","per":…}] */
    KW_PLACE_QUOTAS,      /* [METRIC=]100/month[,warn] as [{"metric":…,"limit":100,"period":"month",…}] */
    KW_PLACE_RESOURCES,   /* TYPE:ID=SCOPE,… as {"type:id": [...]} */
    KW_PLACE_RESOURCE,    /* TYPE:ID=SCOPE,… as {"type": …, "id": …, "scopes": [...]} */
    KW_PLACE_GEO,         /* "US" or "US-CA" as {"country": …, "region": …} */
    KW_PLACE_AMOUNTS,     /* METRIC=N as a member of the body itself: "METRIC": N */
    KW_PLACE_SCHEDULE,    /* `field` of the body's "schedule": a string */
    KW_PLACE_CLEAR,       /* names another option whose field is to be null */
};

struct kw_option {
    const char *name;     /* "owner" */
    const char *argument; /* "TYPE:ID"; NULL: a flag */
    const char *help;
    enum kw_option_place place;
    const char *field;
    bool repeats;
};

struct kw_option_group {
    const char *title;
    const struct kw_option *options;
    size_t count;
};

#define KW_CLI_GROUPS_MAX 4

struct kw_command_line;
struct kw_key_call; /* keys.h */

/* A command: a row of the table in commands.c. */
struct kw_cli_command {
    const char *name;
    const char *summary;  /* one line, for the overview */
    const char *operands; /* "ID", "[COMMAND]" or NULL */
    unsigned operands_min, operands_max;
    const char *about; /* a paragraph, or NULL */
    const char *example;
    const struct kw_option_group *groups[KW_CLI_GROUPS_MAX]; /* up to the first NULL */
    int (*run)(struct kw_cli *cli, const struct kw_command_line *line);
    const struct kw_key_call *key_call; /* commands about keys; else NULL */
};

struct kw_given_option {
    const struct kw_option *option;
    const char *value; /* NULL for a flag */
};

/* A command line that was understood. Texts are the process's arguments, and valid UTF-8. */
struct kw_command_line {
    const struct kw_cli_command *command;
    struct kw_given_option *given;
    size_t given_count;
    const char **operands;
    size_t operand_count;
    bool wants_help;
};

/* Reads the arguments that follow the command's name. Fails with KW_CLI_USAGE. Free with kw_command_line_free. */
KW_MUST_USE enum kw_status kw_command_line_parse(const struct kw_cli_command *command, int count, char **arguments,
                                                 struct kw_command_line *line_out, struct kw_error *error_out);
void kw_command_line_free(struct kw_command_line *line);

bool kw_line_has(const struct kw_command_line *line, const char *option);
/* The value of an option that is given once; NULL when it is not given. */
const char *kw_line_value(const struct kw_command_line *line, const char *option);
/* The option of that name in the command's table; NULL when there is none. */
const struct kw_option *kw_command_option(const struct kw_cli_command *command, const char *name);

/* A whole number from `low` to `high`; `otherwise` when the option is not given. */
KW_MUST_USE enum kw_status kw_line_number(const struct kw_command_line *line, const char *option, uint64_t low,
                                          uint64_t high, uint64_t otherwise, uint64_t *value_out,
                                          struct kw_error *error_out);

/* The name in `names` (an array that ends in NULL) that is most like `word`; NULL when none is. */
const char *kw_suggest(const char *const *names, const char *word);
/* True when `text` looks as if a key stood in it: then it must not be repeated in a message. */
bool kw_looks_like_key(const char *text);

struct kw_key_format;
/* A fresh key of that form, if it is strong enough (WEAK_KEY_FORMAT). */
KW_MUST_USE enum kw_status kw_draw_key(const struct kw_key_format *format, const struct kw_entropy *entropy,
                                       struct kw_secret *key_out, struct kw_error *error_out);

/* --- the table of commands --- */

const struct kw_cli_command *kw_cli_command_at(size_t index); /* NULL behind the last */
const struct kw_cli_command *kw_cli_command_by_name(const char *name);

int kw_cmd_serve(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_generate(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_key(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_change(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_find(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_list(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_analyze(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_export(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_import(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_apply(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_pepper(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_documents(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_batch(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_verify(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_audit(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_usage(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_report(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_credit(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_version(struct kw_cli *cli, const struct kw_command_line *line);
int kw_cmd_help(struct kw_cli *cli, const struct kw_command_line *line);

/* --- help --- */

void kw_help_overview(struct kw_output *output);
void kw_help_page(struct kw_output *output, const struct kw_cli_command *command);
/* "no command 'lst': did you mean 'list'?", as an error of usage. */
KW_MUST_USE enum kw_status kw_unknown_command(const char *name, struct kw_error *error_out);

/* --- output --- */

void kw_output_init(struct kw_output *output, int fd, bool no_colour);
void kw_output_deinit(struct kw_output *output);
/* Writes what was gathered. KW_E_SYSTEM when not all of it could be written. */
KW_MUST_USE enum kw_status kw_output_flush(struct kw_output *output, struct kw_error *error_out);
/* The same for messages: when they cannot be written there is nowhere left to say so. */
void kw_output_say(struct kw_output *output);
/* All of the bytes; false, with errno set, when they cannot be written. */
KW_MUST_USE bool kw_write_whole(int fd, struct kw_bytes bytes);
/* Syncs the folder that a file is in, so that the file's name outlives a crash. False with errno set. */
KW_MUST_USE bool kw_sync_folder_of(const char *path);

/* Writes an error to standard error; as one JSON object with `as_json`. Returns KW_EXIT_FAILED. */
int kw_report(struct kw_cli *cli, const struct kw_error *error, bool as_json);
/* The same with further members of the JSON, as text; empty: none. */
int kw_report_with(struct kw_cli *cli, const struct kw_error *error, bool as_json, struct kw_bytes members);
/* Adds what room a data folder's disk has left, where the code is one that a full disk or quota leads to. */
void kw_report_room(struct kw_cli *cli, const char *code);
/* Adds a line with the advice, unless the text says it already. */
void kw_report_advice(struct kw_cli *cli, struct kw_bytes text, struct kw_bytes advice);
/* Ends a command that went well: what was gathered goes out, and `code` is the exit code unless that failed. */
int kw_finish(struct kw_cli *cli, int code, bool as_json);

#endif
