#include "cli/cli.h"

int kw_cmd_help(struct kw_cli *cli, const struct kw_command_line *line)
{
    if (line->operand_count == 0) {
        kw_help_overview(&cli->out);
        return kw_finish(cli, KW_EXIT_OK, false);
    }
    const struct kw_cli_command *command = kw_cli_command_by_name(line->operands[0]);
    if (command == NULL) {
        struct kw_error error = {0};
        enum kw_status status = kw_unknown_command(line->operands[0], &error);
        return status == KW_OK ? KW_EXIT_OK : kw_report(cli, &error, false);
    }
    kw_help_page(&cli->out, command);
    return kw_finish(cli, KW_EXIT_OK, false);
}

int kw_cmd_version(struct kw_cli *cli, const struct kw_command_line *line)
{
    (void)line;
    kw_buffer_add_text(&cli->out.text, "keyward " KEYWARD_VERSION "\n");
    return kw_finish(cli, KW_EXIT_OK, false);
}
