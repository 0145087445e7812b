#include "cli/target.h"

#include "base/time.h"
#include "cli/secret_input.h"
#include "core/transition.h"
#include "engine/data_folder.h"

#include <fcntl.h>

void kw_answer_init(struct kw_answer *answer)
{
    *answer = (struct kw_answer){0};
    kw_buffer_init_secret(&answer->body, KW_CALL_ANSWER_MAX);
}

void kw_answer_deinit(struct kw_answer *answer)
{
    kw_buffer_deinit(&answer->body);
}

/* `keyward pepper retire FINGERPRINT --forget-erased`, where that pepper may be missing. */
static struct kw_bytes forgotten_by(const struct kw_command_line *line)
{
    bool forgets = kw_line_has(line, "forget-erased") && line->operand_count > 1;
    return kw_bytes_of_text(forgets ? line->operands[1] : NULL);
}

static enum kw_status open_folder(struct kw_cli *cli, const struct kw_command_line *line, const char *path,
                                  bool may_make, struct kw_target **target_out, struct kw_error *error_out)
{
    cli->data_path = path;
    struct kw_data_options options = {
        .path = cli->data_path,
        .may_make = may_make,
        .pepper_file = kw_line_value(line, "pepper-file"),
        .pepper_hex = kw_buffer_bytes(&cli->environment.pepper),
        .forgotten = forgotten_by(line),
        .clock = cli->clock,
        .entropy = cli->entropy,
        .log = NULL, /* what went wrong is told as an error */
    };
    return kw_target_folder_open(&options, target_out, error_out);
}

/* The management key: from the file that was named, else from the environment. */
static enum kw_status find_key(struct kw_cli *cli, const struct kw_command_line *line, struct kw_secret *key_out,
                               struct kw_error *error_out)
{
    const char *path = kw_line_value(line, "management-key-file");
    if (path == NULL) {
        *key_out = cli->environment.key;
        return KW_OK;
    }
    struct kw_buffer key;
    kw_buffer_init_secret(&key, KW_SECRET_INPUT_MAX);
    enum kw_status status = kw_secret_from_file(AT_FDCWD, path, "the management key", true, &key, error_out);
    if (status == KW_OK && kw_secret_set(key_out, kw_buffer_bytes(&key)) != KW_OK) {
        status = kw_fail(error_out, KW_E_LIMIT, KW_CLI_FAILED, NULL, "%s does not hold a management key", path);
    }
    kw_buffer_deinit(&key);
    return status;
}

static enum kw_status find_timeout(const struct kw_command_line *line, int64_t *timeout_ms_out,
                                   struct kw_error *error_out)
{
    const char *text = kw_line_value(line, "timeout");
    if (!kw_duration_parse(kw_bytes_of_text(text != NULL ? text : KW_CLI_DEFAULT_TIMEOUT), timeout_ms_out) ||
        *timeout_ms_out < 1000 || *timeout_ms_out > INT64_C(86400) * 1000) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "--timeout must be a duration from 1s to 1d, such as 30s or 15m");
    }
    return KW_OK;
}

/* Nobody is told of an answer that is late who asked for JSON, or for no progress. */
static struct kw_output *notices_of(struct kw_cli *cli, const struct kw_command_line *line)
{
    const char *progress = kw_line_value(line, "progress");
    bool is_quiet = kw_line_has(line, "json") || (progress != NULL && strcmp(progress, "none") == 0);
    return is_quiet ? NULL : &cli->err;
}

static enum kw_status open_http(struct kw_cli *cli, const struct kw_command_line *line, const char *url,
                                struct kw_target **target_out, struct kw_error *error_out)
{
    struct kw_secret key KW_WIPED = {0};
    enum kw_status status = find_key(cli, line, &key, error_out);
    if (status != KW_OK) {
        return status;
    }
    if (key.size == 0) {
        return kw_refuse(error_out, KW_CODE_UNAUTHORIZED, NULL,
                         "a server wants a management key: set KEYWARD_KEY, or give --management-key-file FILE");
    }
    struct kw_http_options options = {
        .url = url, .key = &key, .ca_file = kw_line_value(line, "cacert"), .notices = notices_of(cli, line)};
    status = find_timeout(line, &options.timeout_ms, error_out);
    return status != KW_OK ? status : kw_target_http_open(&options, target_out, error_out);
}

static bool has_key(const struct kw_cli *cli, const struct kw_command_line *line)
{
    return cli->environment.key.size > 0 || kw_line_has(line, "management-key-file");
}

enum kw_status kw_target_open(struct kw_cli *cli, const struct kw_command_line *line, bool may_make,
                              struct kw_target **target_out, struct kw_error *error_out)
{
    const char *url = kw_line_value(line, "url");
    if (url != NULL && kw_line_has(line, "data")) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--url and --data exclude each other: give one");
    }
    if (kw_line_has(line, "data")) {
        return open_folder(cli, line, kw_line_value(line, "data"), may_make, target_out, error_out);
    }
    url = url != NULL ? url : cli->environment.url;
    if (url == NULL && !has_key(cli, line)) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "say where the keys are: --url URL (or KEYWARD_URL) with a management key in KEYWARD_KEY for a "
                       "server, or --data DIR for a data folder that no server holds");
    }
    return open_http(cli, line, url != NULL ? url : KW_CLI_DEFAULT_URL, target_out, error_out);
}

enum kw_status kw_target_open_or_default(struct kw_cli *cli, const struct kw_command_line *line,
                                         struct kw_target **target_out, struct kw_error *error_out)
{
    bool is_said = kw_line_has(line, "data") || kw_line_has(line, "url") || cli->environment.url != NULL;
    return is_said || has_key(cli, line) ? kw_target_open(cli, line, false, target_out, error_out)
                                         : open_folder(cli, line, KW_CLI_DEFAULT_DATA, false, target_out, error_out);
}

void kw_target_close(struct kw_target *target)
{
    if (target != NULL) {
        target->ops->close(target);
    }
}
