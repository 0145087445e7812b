#include "cli/keys.h"
#include "cli/text.h"

#include <errno.h>
#include <unistd.h>

#define ANSWER_LINE_MAX 64

static const struct {
    const char *option;
    const char *words; /* before its value, for people */
} filters[] = {{"owner", "of "}, {"org", "of the organization "}, {"tag", "with the tag "}};

static bool has_filter(const struct kw_command_line *line)
{
    for (size_t i = 0; i < KW_COUNT_OF(filters); i++) {
        if (kw_line_has(line, filters[i].option)) {
            return true;
        }
    }
    return false;
}

bool kw_line_means_many(const struct kw_command_line *line)
{
    return line->command->key_call->many != NULL && (line->operand_count != 1 || has_filter(line));
}

/* What a command line that means many keys must be like. */
static enum kw_status check_line(const struct kw_command_line *line, struct kw_error *error_out)
{
    const char *name = line->command->name;
    if (line->operand_count == 0 && !has_filter(line)) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "'%s' needs to know which keys: give ids, or --owner, --org or --tag", name);
    }
    if (line->operand_count > 0 && has_filter(line)) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "ids and --owner, --org or --tag exclude each other: give one of both");
    }
    if (kw_line_has(line, "if-version")) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--if-version is about one key: give one id");
    }
    return KW_OK;
}

static void ask(struct kw_cli *cli, const struct kw_command_line *line)
{
    struct kw_buffer *text = &cli->err.text;
    kw_buffer_add_format(text, "Go on and %s every key", line->command->name);
    for (size_t i = 0; i < KW_COUNT_OF(filters); i++) {
        const char *value = kw_line_value(line, filters[i].option);
        if (value != NULL) {
            kw_buffer_add_format(text, " %s", filters[i].words);
            kw_text_clean(text, kw_bytes_of_text(value));
        }
    }
    kw_buffer_add_text(text, "? [y/N] ");
    kw_output_say(&cli->err);
}

/* One line of the terminal. */
static struct kw_bytes read_answer(int in, uint8_t line[ANSWER_LINE_MAX])
{
    ssize_t size;
    do {
        size = read(in, line, ANSWER_LINE_MAX);
    } while (size < 0 && errno == EINTR);
    size = size < 0 ? 0 : size;
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r' || line[size - 1] == ' ')) {
        size--;
    }
    return kw_bytes_of(line, (size_t)size);
}

/* A filter may mean more than its writer thinks: where somebody can be asked, they are, and else --yes must say it. */
static enum kw_status confirm(struct kw_cli *cli, const struct kw_command_line *line, struct kw_error *error_out)
{
    if (!has_filter(line) || kw_line_has(line, "yes")) {
        return KW_OK;
    }
    if (isatty(cli->in) != 1) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "this changes every key that the filter means, and nobody can be asked: give --yes");
    }
    uint8_t text[ANSWER_LINE_MAX];
    ask(cli, line);
    struct kw_bytes answer = read_answer(cli->in, text);
    if (kw_bytes_equal_ignoring_case(answer, KW_BYTES("y")) || kw_bytes_equal_ignoring_case(answer, KW_BYTES("yes"))) {
        return KW_OK;
    }
    return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL, "nothing was changed");
}

enum { CHANGED, MATCHED, MEMBER_COUNT };

/* "Revoked 3 keys." */
static enum kw_status show(struct kw_cli *cli, const struct kw_command_line *line, const struct kw_answer *answer)
{
    struct kw_buffer *text = &cli->out.text;
    if (kw_line_has(line, "json")) {
        kw_buffer_add(text, kw_buffer_bytes(&answer->body));
        kw_buffer_add_byte(text, '\n');
        return KW_OK;
    }
    struct kw_member members[MEMBER_COUNT] = {[CHANGED] = {"changed"}, [MATCHED] = {"matched"}};
    struct kw_arena arena;
    uint64_t changed, matched;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = kw_members_read(kw_buffer_bytes(&answer->body), &arena, members, MEMBER_COUNT);
    bool is_counted = status == KW_OK && kw_bytes_to_u64(members[CHANGED].text, &changed) &&
                      kw_bytes_to_u64(members[MATCHED].text, &matched);
    if (is_counted && matched == 0) {
        kw_buffer_add_text(text, "No key matches.\n");
    } else if (is_counted) {
        kw_buffer_add_format(text, "%s %llu %s", line->command->key_call->done, (unsigned long long)changed,
                             changed == 1 ? "key" : "keys");
        if (changed < matched) {
            kw_buffer_add_format(text, " of the %llu that match; the others are so already, or revoked",
                                 (unsigned long long)matched);
        }
        kw_buffer_add_text(text, ".\n");
    }
    kw_arena_reset(&arena);
    return is_counted ? KW_OK : KW_E_INVALID;
}

static int change_many(struct kw_cli *cli, const struct kw_command_line *line)
{
    bool as_json = kw_line_has(line, "json");
    struct kw_error error = {0};
    enum kw_status status = check_line(line, &error);
    status = status == KW_OK ? confirm(cli, line, &error) : status;
    if (status != KW_OK) {
        return kw_report(cli, &error, as_json);
    }
    int code = KW_EXIT_FAILED;
    struct kw_target *target = NULL;
    struct kw_formed_request formed = {0};
    struct kw_answer answer;
    kw_answer_init(&answer);
    bool is_begun = kw_key_begin(cli, line, (struct kw_bytes){0}, &formed, &target);
    formed.request.if_unknown = "trying again is safe: keys that are so already are left alone";
    if (is_begun && kw_key_send(cli, line, target, &formed, &answer)) {
        bool is_shown = show(cli, line, &answer) == KW_OK;
        code = is_shown ? kw_finish(cli, KW_EXIT_OK, as_json) : kw_report_nonsense(cli, as_json);
    }
    kw_answer_deinit(&answer);
    kw_formed_request_deinit(&formed);
    kw_target_close(target);
    return code;
}

int kw_cmd_change(struct kw_cli *cli, const struct kw_command_line *line)
{
    return kw_line_means_many(line) ? change_many(cli, line) : kw_cmd_key(cli, line);
}
