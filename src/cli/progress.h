/*
 * How far a long command has come, on standard error: one line that is drawn over and over on a terminal, or plain
 * lines from time to time where --progress=plain asks for them. Only counts stand in it, nothing of what is worked on.
 *
 *     struct kw_progress progress;
 *     status = kw_progress_init(&progress, cli, line, "keys", &error);
 *     kw_progress_aim(&progress, file_size);              once known, and whenever it is known better
 *     kw_progress_show(&progress, keys_done, bytes_read);  as often as one likes
 *     kw_progress_clear(&progress);                        before anything else is written to the terminal
 *     kw_progress_end(&progress);
 */
#ifndef KW_CLI_PROGRESS_H
#define KW_CLI_PROGRESS_H

#include "cli/cli.h"

/* The option that a command's table takes. */
#define KW_OPTION_PROGRESS \
    { \
        .name = "progress", .argument = "WAY", .help = "bar (if it is not given, on a terminal), plain or none" \
    }

enum kw_progress_way {
    KW_PROGRESS_NONE,
    KW_PROGRESS_BAR,
    KW_PROGRESS_PLAIN,
};

struct kw_progress {
    struct kw_output *output;
    const char *noun; /* "keys" */
    enum kw_progress_way way;
    uint64_t size;       /* of all the work, in whatever it is measured by; 0: not known */
    uint64_t size_first; /* of what earlier runs did */
    uint64_t item_count, item_first, size_done;
    uint64_t began_ns, shown_ns; /* shown_ns 0: not yet */
    bool is_drawn;               /* a bar stands on the terminal's last line */
};

/* Reads --progress. Fails with KW_CLI_USAGE. `noun` is what is counted, in the plural. */
KW_MUST_USE enum kw_status kw_progress_init(struct kw_progress *progress, struct kw_cli *cli,
                                            const struct kw_command_line *line, const char *noun,
                                            struct kw_error *error_out);
/* How much work there is. 0: not known, and then no time is foretold. */
void kw_progress_aim(struct kw_progress *progress, uint64_t size);
/* What was done before this run: it counts as done, and not into the rate. Before anything is shown. */
void kw_progress_start_at(struct kw_progress *progress, uint64_t item_count, uint64_t size_done);
/* Items done, and how much of the size that was. Draws at most ten times a second, and plain lines every 5 seconds. */
void kw_progress_show(struct kw_progress *progress, uint64_t item_count, uint64_t size_done);
/* Takes the bar off the terminal; the next kw_progress_show draws it again. */
void kw_progress_clear(struct kw_progress *progress);
/* Shows the last state: a bar is taken away, since the command's own summary follows; a plain line is written. */
void kw_progress_end(struct kw_progress *progress);

/* One line of it without colours or line break, `columns` wide at most. */
void kw_progress_line(const struct kw_progress *progress, uint64_t elapsed_ns, size_t columns, struct kw_buffer *text);

#endif
