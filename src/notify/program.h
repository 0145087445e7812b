/*
 * A command of the operator's, run for a notice: without a shell, with the text on its standard input, in an
 * environment of Keyward's making, as a process group that ends when its time has passed. What it prints is read, and
 * its first bytes are kept. Nothing here blocks: it is looked after by calls, from one thread.
 */
#ifndef KW_NOTIFY_PROGRAM_H
#define KW_NOTIFY_PROGRAM_H

#include "core/tries.h"
#include "notify/setup.h"

#include <sys/types.h>

struct kw_program_run {
    pid_t pid; /* 0: none runs */
    int input, output;
    struct kw_bytes text; /* what is not written yet; borrowed until it has ended */
    int64_t until_ms;
    bool is_killed;
    /* What became of it. */
    char error[KW_TRY_ERROR_MAX]; /* empty: it ended with 0 */
    uint8_t answer[KW_TRY_ANSWER_MAX];
    size_t answer_size;
};

/* The environment's own members beside PATH and LANG: "NAME=value", NULL behind the last. */
#define KW_PROGRAM_MEMBERS_MAX 8

/* Starts it; `now_ms` and what follows are of any clock that runs on. KW_E_SYSTEM: it could not, and `error` says why.
 */
KW_MUST_USE enum kw_status kw_program_start(const struct kw_notice_command *command, const char *const *members,
                                            struct kw_bytes text, int64_t now_ms, struct kw_program_run *run_out);
/* Goes on with it; true when it has ended. */
KW_MUST_USE bool kw_program_step(struct kw_program_run *run, int64_t now_ms);
/* Ends it at once, and waits for that. */
void kw_program_kill(struct kw_program_run *run);

#endif
