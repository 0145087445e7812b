#include "base/json.h"
#include "cli/cli.h"
#include "core/project.h"
#include "core/transition.h"

/* The form that the options ask for: an environment's own, or one of their making. */
static enum kw_status choose_format(const struct kw_command_line *line, struct kw_key_format *format_out,
                                    struct kw_error *error_out)
{
    bool management = kw_line_has(line, "management");
    const struct kw_project *project = kw_project_built_in(management ? KW_PROJECT_KEYWARD : KW_PROJECT_DEFAULT);
    const char *env = kw_line_value(line, "env");
    const struct kw_environment *environment =
        env == NULL ? &project->environments[0] : kw_project_environment(project, kw_bytes_of_text(env));
    if (environment == NULL) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "env", "is not known: live or test");
    }
    *format_out = kw_line_has(line, "public") ? environment->public_keys : environment->secret_keys;
    const char *prefix = kw_line_value(line, "prefix");
    if (prefix != NULL) {
        format_out->prefix = kw_bytes_of_text(prefix);
    }
    const char *alphabet = kw_line_value(line, "alphabet");
    if (alphabet != NULL) {
        format_out->alphabet = kw_bytes_of_text(alphabet);
    }
    uint64_t length;
    enum kw_status status =
        kw_line_number(line, "length", 1, KW_KEY_LENGTH_MAX, format_out->length, &length, error_out);
    format_out->length = (uint32_t)length;
    return status;
}

/* Forms that contradict each other: a management key has its own, a prefix of one's own is of no environment. */
static enum kw_status check_options(const struct kw_command_line *line, struct kw_error *error_out)
{
    static const char *const pairs[][2] = {
        {"management", "prefix"}, {"management", "length"}, {"management", "alphabet"}, {"management", "env"},
        {"management", "public"}, {"prefix", "env"},        {"prefix", "public"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(pairs); i++) {
        if (kw_line_has(line, pairs[i][0]) && kw_line_has(line, pairs[i][1])) {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--%s and --%s exclude each other", pairs[i][0],
                           pairs[i][1]);
        }
    }
    return KW_OK;
}

enum kw_status kw_draw_key(const struct kw_key_format *format, const struct kw_entropy *entropy,
                           struct kw_secret *key_out, struct kw_error *error_out)
{
    enum kw_status status = kw_key_format_check(format, error_out);
    if (status != KW_OK) {
        return status;
    }
    do {
        uint8_t random[KW_KEY_RANDOM_SIZE];
        if (entropy->draw(entropy->context, random, sizeof random) != KW_OK) {
            return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "the operating system gives no random bytes");
        }
        status = kw_key_generate(format, kw_bytes_of(random, sizeof random), key_out);
        kw_wipe(random, sizeof random);
    } while (status == KW_E_LIMIT);
    return status == KW_OK ? KW_OK : kw_fail(error_out, status, KW_CLI_FAILED, NULL, "no key could be made");
}

static void show(struct kw_output *out, const struct kw_secret *key, bool as_json)
{
    if (!as_json) {
        kw_buffer_add(&out->text, kw_secret_expose(key));
        kw_buffer_add_byte(&out->text, '\n');
        return;
    }
    struct kw_json_writer writer;
    kw_json_writer_init(&writer, &out->text);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, "key");
    kw_json_string(&writer, kw_secret_expose(key));
    kw_json_end_object(&writer);
    kw_buffer_add_byte(&out->text, '\n');
}

int kw_cmd_generate(struct kw_cli *cli, const struct kw_command_line *line)
{
    bool as_json = kw_line_has(line, "json");
    struct kw_error error = {0};
    struct kw_key_format format;
    struct kw_secret key KW_WIPED = {0};
    enum kw_status status = check_options(line, &error);
    status = status != KW_OK ? status : choose_format(line, &format, &error);
    status = status != KW_OK ? status : kw_draw_key(&format, &cli->entropy, &key, &error);
    if (status != KW_OK) {
        return kw_report(cli, &error, as_json);
    }
    show(&cli->out, &key, as_json);
    return kw_finish(cli, KW_EXIT_OK, as_json);
}
