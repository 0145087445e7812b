#include "cli/keys.h"

#include "cli/text.h"

#include <stdio.h>

enum { CODE, DETAIL, TITLE, ADVICE, REQUEST_ID, MEMBER_COUNT };

/* "Try again." is not said twice. */
static bool says_already(struct kw_bytes text, struct kw_bytes advice)
{
    bool ends = advice.size > 0 && advice.data[advice.size - 1] == '.';
    return kw_bytes_contains_ignoring_case(text, kw_bytes_of(advice.data, advice.size - ends));
}

void kw_report_advice(struct kw_cli *cli, struct kw_bytes text, struct kw_bytes advice)
{
    if (advice.size > 0 && !says_already(text, advice)) {
        kw_buffer_add_text(&cli->err.text, "  ");
        kw_text_clean(&cli->err.text, advice);
        kw_buffer_add_byte(&cli->err.text, '\n');
    }
}

static void write_for_people(struct kw_cli *cli, const struct kw_member *members, uint16_t status)
{
    struct kw_buffer *text = &cli->err.text;
    const struct kw_member *what = members[DETAIL].text.size > 0 ? &members[DETAIL] : &members[TITLE];
    kw_buffer_add_text(text, "keyward: ");
    kw_text_clean(text, what->text);
    kw_buffer_add_text(text, " (");
    kw_text_clean(text, members[CODE].text);
    kw_buffer_add_text(text, ")\n");
    kw_report_advice(cli, what->text, members[ADVICE].text);
    if (status >= 500 && members[REQUEST_ID].text.size > 0) {
        kw_buffer_add_text(text, "  Request id: ");
        kw_text_clean(text, members[REQUEST_ID].text);
        kw_buffer_add_byte(text, '\n');
    }
    char code[64];
    snprintf(code, sizeof code, "%.*s", (int)members[CODE].text.size, (const char *)members[CODE].text.data);
    kw_report_room(cli, code);
}

static int report_nonsense(struct kw_cli *cli, bool as_json, struct kw_bytes members)
{
    struct kw_error error = {0};
    (void)kw_fail(&error, KW_E_INVALID, KW_CLI_FAILED, NULL,
                  "the answer is not what Keyward answers: is the server of another version?");
    return kw_report_with(cli, &error, as_json, members);
}

int kw_report_nonsense(struct kw_cli *cli, bool as_json)
{
    return report_nonsense(cli, as_json, (struct kw_bytes){NULL, 0});
}

/* The problem as it came, which is an object, with these members at its end. */
static void write_for_programs(struct kw_buffer *text, struct kw_bytes problem, struct kw_bytes members)
{
    while (members.size > 0 && problem.data[problem.size - 1] != '}') {
        problem.size--;
    }
    problem.size -= members.size > 0;
    kw_buffer_add(text, problem);
    if (members.size > 0) {
        kw_buffer_add_byte(text, ',');
        kw_buffer_add(text, members);
        kw_buffer_add_byte(text, '}');
    }
    kw_buffer_add_byte(text, '\n');
}

int kw_report_problem(struct kw_cli *cli, const struct kw_answer *answer, bool as_json)
{
    return kw_report_problem_with(cli, answer, as_json, (struct kw_bytes){NULL, 0});
}

int kw_report_problem_with(struct kw_cli *cli, const struct kw_answer *answer, bool as_json,
                           struct kw_bytes members_too)
{
    struct kw_member members[MEMBER_COUNT] = {
        [CODE] = {"code"},     [DETAIL] = {"detail"},        [TITLE] = {"title"},
        [ADVICE] = {"advice"}, [REQUEST_ID] = {"requestId"},
    };
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    enum kw_status status = kw_members_read(kw_buffer_bytes(&answer->body), &arena, members, MEMBER_COUNT);
    if (status != KW_OK || members[CODE].type != KW_JSON_STRING) {
        kw_arena_reset(&arena);
        return report_nonsense(cli, as_json, members_too);
    }
    if (as_json) {
        write_for_programs(&cli->err.text, kw_buffer_bytes(&answer->body), members_too);
    } else {
        write_for_people(cli, members, answer->status);
    }
    kw_arena_reset(&arena);
    kw_output_say(&cli->err);
    return KW_EXIT_FAILED;
}
