#include "cli/cli.h"

#include <stdio.h>

/* True for the option whose name is the first `size` bytes of `text`. */
static bool is_named(const struct kw_option *option, const char *text, size_t size)
{
    return strlen(option->name) == size && memcmp(option->name, text, size) == 0;
}

static const struct kw_option *find_option(const struct kw_cli_command *command, const char *text, size_t size)
{
    for (size_t g = 0; g < KW_CLI_GROUPS_MAX && command->groups[g] != NULL; g++) {
        for (size_t i = 0; i < command->groups[g]->count; i++) {
            if (is_named(&command->groups[g]->options[i], text, size)) {
                return &command->groups[g]->options[i];
            }
        }
    }
    return NULL;
}

const struct kw_option *kw_command_option(const struct kw_cli_command *command, const char *name)
{
    return find_option(command, name, strlen(name));
}

#define OPTION_NAMES_MAX 64

static enum kw_status unknown_option(const struct kw_cli_command *command, const char *text, size_t size,
                                     struct kw_error *error_out)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%.*s", (int)size, text);
    if (kw_looks_like_key(wanted)) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "'%s' does not have such an option", command->name);
    }
    const char *names[OPTION_NAMES_MAX + 1] = {NULL};
    size_t count = 0;
    for (size_t g = 0; g < KW_CLI_GROUPS_MAX && command->groups[g] != NULL; g++) {
        for (size_t i = 0; i < command->groups[g]->count && count < OPTION_NAMES_MAX; i++) {
            names[count++] = command->groups[g]->options[i].name;
        }
    }
    const char *near = kw_suggest(names, wanted);
    return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "'%s' has no option --%s%s%s%s", command->name, wanted,
                   near == NULL ? "" : ": did you mean --", near == NULL ? "" : near, near == NULL ? "" : "?");
}

static bool is_given(const struct kw_command_line *line, const struct kw_option *option)
{
    for (size_t i = 0; i < line->given_count; i++) {
        if (line->given[i].option == option) {
            return true;
        }
    }
    return false;
}

/* One argument that begins with "--". `next` is the argument behind it or NULL; sets `used_next_out`. */
static enum kw_status take_option(struct kw_command_line *line, const char *argument, const char *next,
                                  bool *used_next_out, struct kw_error *error_out)
{
    const char *name = argument + 2;
    const char *equals = strchr(name, '=');
    size_t size = equals == NULL ? strlen(name) : (size_t)(equals - name);
    if (size == strlen("help") && memcmp(name, "help", size) == 0) {
        line->wants_help = true;
        return KW_OK;
    }
    const struct kw_option *option = find_option(line->command, name, size);
    if (option == NULL) {
        return unknown_option(line->command, name, size, error_out);
    }
    if (!option->repeats && is_given(line, option)) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--%s stands twice: keep one", option->name);
    }
    if (option->argument == NULL && equals != NULL) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--%s takes no value", option->name);
    }
    const char *value = equals == NULL ? NULL : equals + 1;
    if (option->argument != NULL && value == NULL) {
        if (next == NULL || strncmp(next, "--", 2) == 0) {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--%s needs a value: --%s %s", option->name,
                           option->name, option->argument);
        }
        value = next;
        *used_next_out = true;
    }
    line->given[line->given_count++] = (struct kw_given_option){option, value};
    return KW_OK;
}

static enum kw_status check_operands(const struct kw_command_line *line, struct kw_error *error_out)
{
    const struct kw_cli_command *command = line->command;
    if (line->operand_count < command->operands_min) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "'%s' needs %s", command->name, command->operands);
    }
    if (line->operand_count <= command->operands_max) {
        return KW_OK;
    }
    const char *extra = line->operands[command->operands_max];
    if (kw_looks_like_key(extra)) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "a key does not belong on the command line, where the shell's history and the list of processes "
                       "show it");
    }
    return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "'%s' does not know what to do with '%s'",
                   command->name, extra);
}

static enum kw_status take_arguments(struct kw_command_line *line, int count, char **arguments,
                                     struct kw_error *error_out)
{
    bool options_end = false;
    for (int i = 0; i < count; i++) {
        const char *argument = arguments[i];
        if (!kw_utf8_valid(kw_bytes_of_text(argument))) {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "argument %d is not valid UTF-8", i + 1);
        }
        if (!options_end && strcmp(argument, "--") == 0) {
            options_end = true;
            continue;
        }
        if (options_end || argument[0] != '-' || argument[1] == '\0') {
            line->operands[line->operand_count++] = argument;
            continue;
        }
        if (strcmp(argument, "-h") == 0) {
            line->wants_help = true;
            continue;
        }
        if (argument[1] != '-') {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "options begin with two dashes: --%s",
                           kw_looks_like_key(argument) ? "…" : argument + 1);
        }
        bool used_next = false;
        const char *next = i + 1 < count ? arguments[i + 1] : NULL;
        enum kw_status status = take_option(line, argument, next, &used_next, error_out);
        if (status != KW_OK) {
            return status;
        }
        if (used_next && !kw_utf8_valid(kw_bytes_of_text(next))) {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "argument %d is not valid UTF-8", i + 2);
        }
        i += used_next;
    }
    return line->wants_help ? KW_OK : check_operands(line, error_out);
}

enum kw_status kw_command_line_parse(const struct kw_cli_command *command, int count, char **arguments,
                                     struct kw_command_line *line_out, struct kw_error *error_out)
{
    struct kw_command_line line = {.command = command};
    size_t room = (size_t)count + 1;
    line.given = kw_alloc(room, sizeof *line.given);
    line.operands = kw_alloc(room, sizeof *line.operands);
    if (line.given == NULL || line.operands == NULL) {
        kw_command_line_free(&line);
        return kw_fail(error_out, KW_E_MEMORY, KW_CLI_FAILED, NULL, "not enough memory");
    }
    enum kw_status status = take_arguments(&line, count, arguments, error_out);
    if (status != KW_OK) {
        kw_command_line_free(&line);
        return status;
    }
    *line_out = line;
    return KW_OK;
}

void kw_command_line_free(struct kw_command_line *line)
{
    kw_free(line->given);
    kw_free(line->operands);
    *line = (struct kw_command_line){0};
}

static const struct kw_given_option *find_given(const struct kw_command_line *line, const char *option)
{
    for (size_t i = 0; i < line->given_count; i++) {
        if (strcmp(line->given[i].option->name, option) == 0) {
            return &line->given[i];
        }
    }
    return NULL;
}

bool kw_line_has(const struct kw_command_line *line, const char *option)
{
    return find_given(line, option) != NULL;
}

const char *kw_line_value(const struct kw_command_line *line, const char *option)
{
    const struct kw_given_option *given = find_given(line, option);
    return given == NULL ? NULL : given->value;
}

enum kw_status kw_line_number(const struct kw_command_line *line, const char *option, uint64_t low, uint64_t high,
                              uint64_t otherwise, uint64_t *value_out, struct kw_error *error_out)
{
    const char *text = kw_line_value(line, option);
    if (text == NULL) {
        *value_out = otherwise;
        return KW_OK;
    }
    uint64_t value;
    if (!kw_bytes_to_u64(kw_bytes_of_text(text), &value) || value < low || value > high) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--%s must be a whole number from %llu to %llu",
                       option, (unsigned long long)low, (unsigned long long)high);
    }
    *value_out = value;
    return KW_OK;
}
