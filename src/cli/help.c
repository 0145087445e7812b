#include "cli/cli.h"

#include "cli/text.h"

#include <stdio.h>

#define COMMANDS_MAX 32

static void heading(struct kw_output *output, const char *text)
{
    kw_buffer_add_text(&output->text, output->colour ? KW_COLOUR_BOLD : "");
    kw_buffer_add_text(&output->text, text);
    kw_buffer_add_text(&output->text, output->colour ? KW_COLOUR_RESET "\n" : "\n");
}

/* Two columns, the first as wide as its widest entry. */
static void entry(struct kw_output *output, const char *left, size_t width, const char *right)
{
    kw_buffer_add_format(&output->text, "  %-*s  %s\n", (int)width, left, right);
}

void kw_help_overview(struct kw_output *output)
{
    size_t width = 0;
    const struct kw_cli_command *command;
    for (size_t i = 0; (command = kw_cli_command_at(i)) != NULL; i++) {
        size_t size = strlen(command->name);
        width = size > width ? size : width;
    }
    kw_buffer_add_text(&output->text, "keyward issues, verifies and revokes API keys.\n\n");
    heading(output, "Usage");
    kw_buffer_add_text(&output->text, "  keyward COMMAND [options]\n\n");
    heading(output, "Commands");
    for (size_t i = 0; (command = kw_cli_command_at(i)) != NULL; i++) {
        entry(output, command->name, width, command->summary);
    }
    kw_buffer_add_text(&output->text, "\n'keyward COMMAND --help' shows a command's options and an example.\n");
}

static void option_label(const struct kw_option *option, char *label, size_t size)
{
    snprintf(label, size, "--%s%s%s", option->name, option->argument == NULL ? "" : " ",
             option->argument == NULL ? "" : option->argument);
}

static size_t label_width(const struct kw_cli_command *command)
{
    size_t width = strlen("--help");
    for (size_t g = 0; g < KW_CLI_GROUPS_MAX && command->groups[g] != NULL; g++) {
        for (size_t i = 0; i < command->groups[g]->count; i++) {
            char label[64];
            option_label(&command->groups[g]->options[i], label, sizeof label);
            width = strlen(label) > width ? strlen(label) : width;
        }
    }
    return width;
}

static void option_entry(struct kw_output *output, const struct kw_option *option, size_t width)
{
    char label[64];
    char help[160];
    option_label(option, label, sizeof label);
    snprintf(help, sizeof help, "%s%s", option->help, option->repeats ? " (may be repeated)" : "");
    entry(output, label, width, help);
}

void kw_help_page(struct kw_output *output, const struct kw_cli_command *command)
{
    struct kw_buffer *text = &output->text;
    kw_buffer_add_format(text, "%s\n\n", command->summary);
    heading(output, "Usage");
    kw_buffer_add_format(text, "  keyward %s%s%s%s\n", command->name, command->operands == NULL ? "" : " ",
                         command->operands == NULL ? "" : command->operands,
                         command->groups[0] == NULL ? "" : " [options]");
    if (command->about != NULL) {
        kw_buffer_add_format(text, "\n%s\n", command->about);
    }
    size_t width = label_width(command);
    for (size_t g = 0; g < KW_CLI_GROUPS_MAX && command->groups[g] != NULL; g++) {
        kw_buffer_add_byte(text, '\n');
        heading(output, command->groups[g]->title);
        for (size_t i = 0; i < command->groups[g]->count; i++) {
            option_entry(output, &command->groups[g]->options[i], width);
        }
    }
    kw_buffer_add_byte(text, '\n');
    heading(output, "Example");
    kw_buffer_add_format(text, "  %s\n", command->example);
}

enum kw_status kw_unknown_command(const char *name, struct kw_error *error_out)
{
    const char *names[COMMANDS_MAX + 1] = {NULL};
    const struct kw_cli_command *command;
    for (size_t i = 0; i < COMMANDS_MAX && (command = kw_cli_command_at(i)) != NULL; i++) {
        names[i] = command->name;
    }
    if (kw_looks_like_key(name) || !kw_utf8_valid(kw_bytes_of_text(name))) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "there is no such command");
    }
    const char *near = kw_suggest(names, name);
    return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "there is no command '%s'%s%s%s", name,
                   near == NULL ? "" : ": did you mean '", near == NULL ? "" : near, near == NULL ? "" : "'?");
}
