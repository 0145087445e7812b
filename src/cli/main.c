#include "cli/cli.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_LEAK_CHECKER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_LEAK_CHECKER 1
#endif
#endif

/* Keys and peppers pass through this memory: no core file of it, and no other process of the same user looks in. */
static void hide_memory(void)
{
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
#ifndef HAS_LEAK_CHECKER /* it attaches to its own process, which this would forbid */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/* Closed streams would otherwise hand their numbers to the database, and messages would be written into it. */
static bool streams_are_open(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY) != fd) {
            return false;
        }
    }
    return true;
}

static bool wants_json(int count, char **arguments)
{
    for (int i = 0; i < count && strcmp(arguments[i], "--") != 0; i++) {
        if (strcmp(arguments[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

static int run_command(struct kw_cli *cli, const struct kw_cli_command *command, int count, char **arguments)
{
    struct kw_command_line line;
    struct kw_error error = {0};
    cli->command = command;
    if (kw_command_line_parse(command, count, arguments, &line, &error) != KW_OK) {
        return kw_report(cli, &error, wants_json(count, arguments));
    }
    int code;
    if (line.wants_help) {
        kw_help_page(&cli->out, command);
        code = kw_finish(cli, KW_EXIT_OK, false);
    } else {
        code = command->run(cli, &line);
    }
    kw_command_line_free(&line);
    return code;
}

static int run(struct kw_cli *cli, int count, char **arguments)
{
    if (count < 2) {
        kw_help_overview(&cli->err);
        kw_output_say(&cli->err);
        return KW_EXIT_FAILED;
    }
    const char *name = arguments[1];
    name = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ? "help" : name;
    name = strcmp(name, "--version") == 0 ? "version" : name;
    const struct kw_cli_command *command = kw_cli_command_by_name(name);
    if (command != NULL) {
        return run_command(cli, command, count - 2, arguments + 2);
    }
    struct kw_error error = {0};
    return kw_unknown_command(name, &error) == KW_OK ? KW_EXIT_OK : kw_report(cli, &error, false);
}

int main(int count, char **arguments)
{
    hide_memory();
    if (!streams_are_open()) {
        return KW_EXIT_FAILED;
    }
    /* A file that may not grow is a full disk to us: an error to be told, not a signal to die of. */
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    struct kw_cli cli = {.in = STDIN_FILENO, .clock = kw_clock_system(), .entropy = kw_entropy_system()};
    struct kw_error error = {0};
    enum kw_status status = kw_environment_take(&cli.environment, &error);
    kw_output_init(&cli.out, STDOUT_FILENO, cli.environment.no_colour);
    kw_output_init(&cli.err, STDERR_FILENO, cli.environment.no_colour);
    int code = status == KW_OK ? run(&cli, count, arguments) : kw_report(&cli, &error, false);
    kw_buffer_deinit(&cli.environment.pepper);
    kw_output_deinit(&cli.out);
    kw_output_deinit(&cli.err);
    kw_wipe(&cli, sizeof cli);
    return code;
}
