#include "notify/program.h"

#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_one(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* Signals as a program expects them: the server ignores some and blocks others. */
static bool set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    return posix_spawnattr_setsigmask(attributes, &none) == 0 && posix_spawnattr_setsigdefault(attributes, &all) == 0 &&
           posix_spawnattr_setpgroup(attributes, 0) == 0 &&
           posix_spawnattr_setflags(attributes,
                                    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP) == 0;
}

static int spawn(const struct kw_notice_command *command, const char *const *members, const int in[2], const int out[2],
                 pid_t *pid_out)
{
    const char *environment[KW_PROGRAM_MEMBERS_MAX + 3] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    for (size_t i = 0; i < KW_PROGRAM_MEMBERS_MAX && members[i] != NULL; i++) {
        environment[i + 2] = members[i];
    }
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return ENOMEM;
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    bool ready = set_attributes(&attributes) && posix_spawn_file_actions_adddup2(&actions, in[0], 0) == 0 &&
                 posix_spawn_file_actions_adddup2(&actions, out[1], 1) == 0 &&
                 posix_spawn_file_actions_adddup2(&actions, out[1], 2) == 0 &&
                 posix_spawn_file_actions_addclosefrom_np(&actions, 3) == 0 &&
                 posix_spawn_file_actions_addchdir_np(&actions, "/") == 0;
    int failed = ready
                     ? posix_spawn(pid_out, command->arguments[0], &actions, &attributes,
                                   (char *const *)(uintptr_t)command->arguments, (char *const *)(uintptr_t)environment)
                     : ENOMEM;
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return failed;
}

enum kw_status kw_program_start(const struct kw_notice_command *command, const char *const *members,
                                struct kw_bytes text, int64_t now_ms, struct kw_program_run *run_out)
{
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    *run_out =
        (struct kw_program_run){.input = -1, .output = -1, .text = text, .until_ms = now_ms + command->timeout_ms};
    int failed = pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 ? errno : 0;
    failed = failed != 0 ? failed : spawn(command, members, in, out, &run_out->pid);
    close_one(&in[0]);
    close_one(&out[1]);
    if (failed != 0) {
        close_one(&in[1]);
        close_one(&out[0]);
        run_out->pid = 0;
        (void)snprintf(run_out->error, sizeof run_out->error, "the command could not be started: %s", strerror(failed));
        return KW_E_SYSTEM;
    }
    (void)fcntl(in[1], F_SETFL, O_NONBLOCK);
    (void)fcntl(out[0], F_SETFL, O_NONBLOCK);
    run_out->input = in[1];
    run_out->output = out[0];
    return KW_OK;
}

static void write_some(struct kw_program_run *run)
{
    while (run->input >= 0 && run->text.size > 0) {
        ssize_t count = write(run->input, run->text.data, run->text.size);
        if (count < 0) {
            /* One that does not read has heard enough. */
            run->text.size = errno == EAGAIN ? run->text.size : 0;
            break;
        }
        run->text = kw_bytes_skip(run->text, (size_t)count);
    }
    if (run->text.size == 0) {
        close_one(&run->input);
    }
}

/* All that it prints, so that it does not wait for a reader; the first of it is kept. */
static void read_some(struct kw_program_run *run)
{
    uint8_t some[4096];
    /* As much as a pipe holds, then it is somebody else's turn. */
    for (int i = 0; i < 16 && run->output >= 0; i++) {
        ssize_t count = read(run->output, some, sizeof some);
        if (count <= 0) {
            if (count == 0) {
                close_one(&run->output);
            }
            return;
        }
        size_t room = sizeof run->answer - run->answer_size;
        size_t kept = (size_t)count < room ? (size_t)count : room;
        memcpy(run->answer + run->answer_size, some, kept);
        run->answer_size += kept;
    }
}

static void say_end(struct kw_program_run *run, int status)
{
    if (run->is_killed) {
        (void)snprintf(run->error, sizeof run->error, "the command took too long, and was ended");
    } else if (WIFSIGNALED(status)) {
        (void)snprintf(run->error, sizeof run->error, "the command was ended by signal %d", WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0) {
        (void)snprintf(run->error, sizeof run->error, "the command ended with %d", WEXITSTATUS(status));
    }
}

bool kw_program_step(struct kw_program_run *run, int64_t now_ms)
{
    int status = 0;
    write_some(run);
    read_some(run);
    if (now_ms >= run->until_ms && !run->is_killed) {
        run->is_killed = true;
        (void)kill(-run->pid, SIGKILL);
    }
    siginfo_t ended = {.si_pid = 0};
    if (waitid(P_PID, (id_t)run->pid, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) {
        return false;
    }
    read_some(run);
    /* What it has left running would outlive its time. As long as nobody has waited for it, its number is its own. */
    (void)kill(-run->pid, SIGKILL);
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR) {
    }
    say_end(run, status);
    close_one(&run->input);
    close_one(&run->output);
    run->pid = 0;
    return true;
}

void kw_program_kill(struct kw_program_run *run)
{
    if (run->pid > 0) {
        (void)kill(-run->pid, SIGKILL);
        while (waitpid(run->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        run->pid = 0;
    }
    close_one(&run->input);
    close_one(&run->output);
}
