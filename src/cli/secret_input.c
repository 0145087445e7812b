#include "cli/secret_input.h"

#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

struct kw_bytes kw_trim(struct kw_bytes text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text = kw_bytes_skip(text, 1);
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

/* Reads all of `fd`, trimmed. */
static enum kw_status take_all(int fd, const char *what, struct kw_buffer *secret, struct kw_error *error_out)
{
    struct kw_buffer raw;
    kw_buffer_init_secret(&raw, KW_SECRET_INPUT_MAX);
    enum kw_status status = kw_file_drain(fd, &raw);
    int reason = errno;
    kw_buffer_add(secret, kw_trim(kw_buffer_bytes(&raw)));
    kw_buffer_deinit(&raw);
    if (status == KW_E_SYSTEM) {
        return kw_fail(error_out, status, KW_CLI_FAILED, NULL, "%s cannot be read: %s", what, strerror(reason));
    }
    if (status == KW_E_LIMIT) {
        return kw_fail(error_out, status, KW_CLI_FAILED, NULL, "%s is longer than %d bytes: is it the right file?",
                       what, KW_SECRET_INPUT_MAX);
    }
    return status == KW_OK ? kw_buffer_status(secret) : status;
}

static enum kw_status check_file(int fd, const char *path, const char *what, bool is_private,
                                 struct kw_error *error_out)
{
    struct stat about;
    if (fstat(fd, &about) != 0) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be read: %s", path, strerror(errno));
    }
    if (S_ISDIR(about.st_mode)) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s is a folder, not a file with %s", path, what);
    }
    if (is_private && S_ISREG(about.st_mode) && (about.st_mode & 077) != 0) {
        return kw_fail(error_out, KW_E_DENIED, KW_CLI_FAILED, NULL,
                       "%s holds %s and is open to others (mode %04o): chmod 600 %s", path, what,
                       (unsigned)(about.st_mode & 07777), path);
    }
    return KW_OK;
}

enum kw_status kw_secret_from_file(int folder_fd, const char *path, const char *what, bool is_private,
                                   struct kw_buffer *secret, struct kw_error *error_out)
{
    int fd = openat(folder_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be read: %s", path, strerror(errno));
    }
    enum kw_status status = check_file(fd, path, what, is_private, error_out);
    if (status == KW_OK) {
        status = take_all(fd, what, secret, error_out);
    }
    (void)close(fd);
    return status;
}

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

/* One line of the terminal, with echo switched off. */
static enum kw_status take_line(int in, struct kw_buffer *secret)
{
    sigset_t caught, before;
    sigemptyset(&caught);
    sigaddset(&caught, SIGINT);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGHUP);
    sigaddset(&caught, SIGTSTP);
    struct termios echoing, silent;
    if (tcgetattr(in, &echoing) != 0 || sigprocmask(SIG_BLOCK, &caught, &before) != 0) {
        return KW_E_SYSTEM;
    }
    int signals = signalfd(-1, &caught, SFD_CLOEXEC);
    silent = echoing;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    bool quiet = signals >= 0 && tcsetattr(in, TCSAFLUSH, &silent) == 0;
    int came = quiet ? wait_for_line(in, signals) : 0;
    uint8_t line[KW_SECRET_INPUT_MAX];
    ssize_t size = quiet && came == 0 ? read(in, line, sizeof line) : -1;
    if (quiet) {
        (void)tcsetattr(in, TCSAFLUSH, &echoing);
    }
    (void)close(signals);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (came != 0) {
        (void)raise(came);
    }
    kw_buffer_add(secret, kw_trim(kw_bytes_of(line, size < 0 ? 0 : (size_t)size)));
    kw_wipe(line, sizeof line);
    return size < 0 ? KW_E_SYSTEM : kw_buffer_status(secret);
}

enum kw_status kw_secret_from_input(struct kw_cli *cli, const char *prompt, struct kw_buffer *secret,
                                    struct kw_error *error_out)
{
    if (isatty(cli->in) != 1) {
        return take_all(cli->in, "standard input", secret, error_out);
    }
    kw_buffer_add_text(&cli->err.text, prompt);
    enum kw_status status = kw_output_flush(&cli->err, error_out);
    if (status != KW_OK) {
        return status;
    }
    status = take_line(cli->in, secret);
    kw_buffer_add_byte(&cli->err.text, '\n');
    if (kw_output_flush(&cli->err, error_out) != KW_OK || status != KW_OK) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "nothing could be read from the terminal");
    }
    return KW_OK;
}
