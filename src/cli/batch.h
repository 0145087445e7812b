/*
 * Many keys from a file (keyward batch): items are read one at a time, sent a chunk at a time by the interface's batch
 * routes, and each gets one line of output. Memory does not grow with the file. A chunk's lines are on the disk before
 * the state says that the chunk is done, and every item has a name that the server knows it by (idempotencyKey): so a
 * run that was stopped, or killed, goes on where it was and does nothing twice.
 */
#ifndef KW_CLI_BATCH_H
#define KW_CLI_BATCH_H

#include "base/csv.h"
#include "cli/keys.h"
#include "core/schema.h"

#define KW_BATCH_CHUNK_MAX 1000                       /* KW_BATCH_MAX of the interface */
#define KW_BATCH_ITEM_MAX ((size_t)128 * 1024)        /* bytes of a row or line, and of the JSON made of it */
#define KW_BATCH_BODY_ROOM (KW_CALL_BODY_MAX - 65536) /* of the items of a request */
#define KW_BATCH_RUN_SIZE 16
#define KW_BATCH_DIGEST_SIZE 32
#define KW_BATCH_INVALID_ROW "INVALID_ROW" /* a line of CSV that is no row, or has other cells than the header */

/* One of the four: a row of a table in cmd_batch.c. */
struct kw_batch_action {
    const char *name; /* "create" */
    const char *path; /* of the route */
    const char *done; /* "Created" */
    bool makes_keys;
    bool changes; /* items have names, which the server remembers */
};

/* What became of an item. Texts lie in the chunk's arena. */
struct kw_batch_result {
    bool is_known, is_ok;
    bool is_failed; /* not for what the item is: the server could not do it now */
    bool is_unseen; /* the key was made by an earlier attempt of this run, and its secret was never written */
    struct kw_bytes id, key, code, message;
    struct kw_bytes rotated_from;
};

struct kw_batch_item {
    uint64_t number; /* of all items, from 1 */
    uint64_t line;
    size_t at, size; /* its JSON in the chunk's text; size 0: it never came to that */
    bool is_named;   /* by this run, and not by the file itself */
    struct kw_batch_result result;
};

struct kw_batch_chunk {
    struct kw_batch_item items[KW_BATCH_CHUNK_MAX];
    size_t count;
    struct kw_buffer text;
    struct kw_arena arena;
};

/* What is known of how far a run has come; kept in a file beside the output. */
struct kw_batch_state {
    char run[KW_BATCH_RUN_SIZE + 1]; /* begins the names of its items */
    uint64_t item_count;             /* that are done, one way or the other */
    uint64_t done_count, refused_count, lost_count;
    uint64_t out_size; /* bytes of the output that belong to them */
    bool may_be_under_way;
    int64_t written_ms;
    uint8_t digest[KW_BATCH_DIGEST_SIZE]; /* of those items */
};

/* --- reading items (batch_input.c) --- */

struct kw_batch_input {
    const struct kw_batch_action *action;
    const struct kw_command_line *line;
    const struct kw_schema *schema; /* of an item */
    const char *run;                /* begins names */
    const char *name;               /* of the file, for messages */
    int fd, signals;
    bool is_csv, is_end, has_header, is_stopped;
    uint8_t *block;
    struct kw_bytes rest; /* of the block */
    uint64_t size_read;
    uint64_t size; /* of the file; 0: not known */
    uint64_t item_count;
    uint8_t digest[KW_BATCH_DIGEST_SIZE];
    struct kw_csv csv;
    const struct kw_field *columns[KW_CSV_COLUMNS_MAX]; /* NULL: left out */
    size_t column_count;
    struct kw_buffer text_line; /* NDJSON */
    bool line_is_too_long;
    uint64_t line_number;
};

/* Opens the file, or standard input for "-". `signals` is a signalfd: whatever comes there stops the reading. */
KW_MUST_USE enum kw_status kw_batch_input_open(const struct kw_command_line *line, const struct kw_batch_action *action,
                                               struct kw_batch_input *input, struct kw_error *error_out);
void kw_batch_input_close(struct kw_batch_input *input);

/*
 * Adds the next item to the chunk, with a result where it is refused already: what is wrong with one item is no
 * failure. Without one (`has_item_out`) the input has ended, or is_stopped. Fails where nothing can be read, where a
 * CSV's header does not fit, or when there is no memory.
 */
KW_MUST_USE enum kw_status kw_batch_input_next(struct kw_batch_input *input, struct kw_batch_chunk *chunk,
                                               bool *has_item_out, struct kw_error *error_out);

/* Reads the header of a CSV, so that one that does not fit is told before anything happens (batch_columns.c). */
KW_MUST_USE enum kw_status kw_batch_header(struct kw_batch_input *input, struct kw_error *error_out);
/* The JSON of a row. Fails with what is wrong, naming field and column. */
KW_MUST_USE enum kw_status kw_batch_row(const struct kw_batch_input *input, struct kw_buffer *json,
                                        struct kw_error *error_out);

/* A signal has come: the run is to end when the chunk under way is done. */
bool kw_batch_is_stopped(int signals);

/* --- chunks (batch_send.c) --- */

void kw_batch_chunk_init(struct kw_batch_chunk *chunk);
void kw_batch_chunk_reset(struct kw_batch_chunk *chunk);
void kw_batch_chunk_deinit(struct kw_batch_chunk *chunk);

/* Sets an item's result to a refusal. `field` may be NULL. */
void kw_batch_refuse(struct kw_batch_chunk *chunk, struct kw_batch_item *item, const char *code, const char *message);

struct kw_batch_sender {
    const struct kw_batch_action *action;
    struct kw_target *target;
    const char *project;
    const char *run;
    bool atomic, rotates_unseen;
    struct kw_answer *answer; /* of the last call: the problem, where that is why sending failed without a code */
};

/*
 * Sends what has no result yet, and gives every item one. Fails where the other side cannot be asked, or refuses the
 * whole request for a reason that is none of its items': then what became of them is not known.
 */
KW_MUST_USE enum kw_status kw_batch_send(const struct kw_batch_sender *sender, struct kw_batch_chunk *chunk,
                                         struct kw_error *error_out);
/* Replaces keys whose secret nobody has seen (batch_rotate.c). Fails as kw_batch_send. */
KW_MUST_USE enum kw_status kw_batch_rotate_unseen(const struct kw_batch_sender *sender, struct kw_batch_chunk *chunk,
                                                  struct kw_error *error_out);

/* --- output (batch_output.c) --- */

struct kw_batch_output {
    const char *path; /* NULL: standard output */
    int fd;
    bool is_csv;
    uint64_t size;
    struct kw_buffer text;
    /* Lines that stand behind what the state knew, of a chunk whose end it did not see. */
    uint64_t found_lines[KW_BATCH_CHUNK_MAX];
    size_t found_count, found_done, found_lost;
};

/* Opens standard output, or makes the file (0600), which must not be there. */
KW_MUST_USE enum kw_status kw_batch_output_open(const char *path, bool is_csv, struct kw_batch_output *output,
                                                struct kw_error *error_out);
/* Opens what an earlier run left, finds what stands behind `size`, and cuts off a line that was not finished. */
KW_MUST_USE enum kw_status kw_batch_output_reopen(const char *path, bool is_csv, uint64_t size, bool atomic,
                                                  struct kw_batch_output *output, struct kw_error *error_out);
/* Writes a line for each item, and waits for the disk. */
KW_MUST_USE enum kw_status kw_batch_output_write(struct kw_batch_output *output, const struct kw_batch_chunk *chunk,
                                                 struct kw_error *error_out);
void kw_batch_output_close(struct kw_batch_output *output);

/* --- the state (batch_state.c) --- */

/* What must be the same when a run goes on; texts are borrowed. */
struct kw_batch_terms {
    const char *action, *format, *out_format, *project, *place;
    struct kw_bytes map;
    bool atomic;
    uint64_t chunk_size;
};

KW_MUST_USE enum kw_status kw_batch_state_write(const char *path, const struct kw_batch_terms *terms,
                                                const struct kw_batch_state *state, struct kw_error *error_out);
/* Fails where the file is not there or is none of ours, and where the terms were others: the message says which. */
KW_MUST_USE enum kw_status kw_batch_state_read(const char *path, const struct kw_batch_terms *terms,
                                               struct kw_batch_state *state_out, struct kw_error *error_out);
KW_MUST_USE enum kw_status kw_batch_state_remove(const char *path, struct kw_error *error_out);

/* --- the summary (batch_summary.c) --- */

struct kw_batch_summary {
    const struct kw_batch_action *action;
    const struct kw_batch_state *state;
    bool is_dry, is_stopped;
};

void kw_batch_summary(const struct kw_batch_summary *summary, struct kw_buffer *text);
void kw_batch_summary_json(const struct kw_batch_summary *summary, struct kw_buffer *text);

#endif
