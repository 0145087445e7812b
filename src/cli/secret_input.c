#include "cli/secret_input.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

/*
 * Waits until the terminal has a line. Gives the signal that came instead, or 0: signals arrive through a descriptor,
 * so that the terminal is put right again before one of them ends the process.
 */
static int wait_for_line(int in, int signals)
{
    struct pollfd waits[2] = {{.fd = in, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    while (poll(waits, 2, -1) < 0 && errno == EINTR) {
    }
    struct signalfd_siginfo came;
    if ((waits[1].revents & POLLIN) != 0 && read(signals, &came, sizeof came) == (ssize_t)sizeof came) {
        return (int)came.ssi_signo;
    }
    return 0;
}

/* Asks, and reads one line, while echo is off: the question comes after that, so that nothing typed early is shown. */
static enum kw_status ask_quietly(struct kw_cli *cli, const char *prompt, int signals, struct kw_buffer *secret,
                                  int *came_out)
{
    struct termios echoing, silent;
    if (tcgetattr(cli->in, &echoing) != 0) {
        return KW_E_SYSTEM;
    }
    silent = echoing;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    if (tcsetattr(cli->in, TCSANOW, &silent) != 0) {
        return KW_E_SYSTEM;
    }
    kw_buffer_add_text(&cli->err.text, prompt);
    kw_output_say(&cli->err);
    *came_out = wait_for_line(cli->in, signals);
    uint8_t line[KW_SECRET_INPUT_MAX];
    ssize_t size = *came_out == 0 ? read(cli->in, line, sizeof line) : -1;
    (void)tcsetattr(cli->in, TCSANOW, &echoing);
    kw_buffer_add_byte(&cli->err.text, '\n');
    kw_output_say(&cli->err);
    kw_buffer_add(secret, kw_trim(kw_bytes_of(line, size < 0 ? 0 : (size_t)size)));
    kw_wipe(line, sizeof line);
    return size < 0 ? KW_E_SYSTEM : kw_buffer_status(secret);
}

enum kw_status kw_secret_from_input(struct kw_cli *cli, const char *prompt, struct kw_buffer *secret,
                                    struct kw_error *error_out)
{
    if (isatty(cli->in) != 1) {
        return kw_secret_drain(cli->in, "standard input", secret, error_out);
    }
    sigset_t caught, before;
    sigemptyset(&caught);
    sigaddset(&caught, SIGINT);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGHUP);
    sigaddset(&caught, SIGTSTP);
    int signals = signalfd(-1, &caught, SFD_CLOEXEC);
    int came = 0;
    enum kw_status status = KW_E_SYSTEM;
    if (signals >= 0 && sigprocmask(SIG_BLOCK, &caught, &before) == 0) {
        status = ask_quietly(cli, prompt, signals, secret, &came);
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
    }
    if (signals >= 0) {
        (void)close(signals);
    }
    if (came != 0) {
        (void)raise(came);
    }
    if (status != KW_OK) {
        return kw_fail(error_out, status, KW_CLI_FAILED, NULL, "nothing could be read from the terminal");
    }
    return KW_OK;
}
