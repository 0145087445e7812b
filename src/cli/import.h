/* What the files of `keyward import` share: the counts, and the report by line (import_report.c). */
#ifndef KW_CLI_IMPORT_H
#define KW_CLI_IMPORT_H

#include "cli/keys.h"
#include "cli/progress.h"
#include "core/import.h"

#define KW_IMPORT_SHOWN_MAX 50 /* refusals on standard error; a report file has them all */

struct kw_import_report {
    struct kw_cli *cli;
    bool as_json;
    int fd; /* of the report file, or the standard output's; -1: none */
    const char *path;
    struct kw_buffer text; /* on its way there */
    struct kw_progress *progress;
    uint64_t created, overwritten, skipped, refused;
    uint64_t shown;
};

KW_MUST_USE enum kw_status kw_import_report_open(struct kw_import_report *report, const char *path,
                                                 struct kw_error *error_out);
void kw_import_report_close(struct kw_import_report *report);

/* A line that was refused here, before it was sent. */
void kw_import_report_bad(struct kw_import_report *report, uint64_t line, const struct kw_error *error);
/*
 * Takes over the answer to a chunk, of whose items `lines` has the places in the input. KW_E_INVALID where it is no
 * such answer.
 */
KW_MUST_USE enum kw_status kw_import_report_answer(struct kw_import_report *report, struct kw_bytes answer,
                                                   const uint64_t *lines, size_t count);
/* Writes what waits for the file. */
KW_MUST_USE enum kw_status kw_import_report_flush(struct kw_import_report *report, struct kw_error *error_out);
/* The last words: counts, and what is worth knowing. They go to standard error where the report is on the output. */
void kw_import_report_summary(struct kw_import_report *report, bool is_dry, bool is_cut);

#endif
