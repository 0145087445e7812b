#include "base/json.h"
#include "cli/cli.h"
#include "cli/text.h"
#include "server/call.h"

#include <errno.h>
#include <fcntl.h>
#include <keyward/codes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define OUTPUT_MAX (64 * 1024 * 1024)

void kw_output_init(struct kw_output *output, int fd, bool no_colour)
{
    bool is_terminal = isatty(fd) == 1;
    *output = (struct kw_output){.fd = fd, .is_terminal = is_terminal, .colour = is_terminal && !no_colour};
    kw_buffer_init_secret(&output->text, OUTPUT_MAX);
}

void kw_output_deinit(struct kw_output *output)
{
    kw_buffer_deinit(&output->text);
}

bool kw_write_whole(int fd, struct kw_bytes bytes)
{
    while (bytes.size > 0) {
        ssize_t written = write(fd, bytes.data, bytes.size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        bytes = kw_bytes_skip(bytes, (size_t)written);
    }
    return true;
}

bool kw_sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
    if (size >= sizeof folder) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(folder, slash == NULL ? "." : path, size);
    folder[size] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_synced = fd >= 0 && fsync(fd) == 0;
    int reason = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = reason;
    return is_synced;
}

enum kw_status kw_output_flush(struct kw_output *output, struct kw_error *error_out)
{
    if (kw_buffer_status(&output->text) != KW_OK) {
        return kw_fail(error_out, KW_E_MEMORY, KW_CLI_FAILED, NULL, "not enough memory for the output");
    }
    bool written = kw_write_whole(output->fd, kw_buffer_bytes(&output->text));
    int reason = errno;
    kw_buffer_reset(&output->text);
    if (!written) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "the output could not be written: %s",
                       strerror(reason));
    }
    return KW_OK;
}

void kw_output_say(struct kw_output *output)
{
    struct kw_error ignored;
    enum kw_status status = kw_output_flush(output, &ignored);
    (void)status;
}

/* As a server's problem, where the code is one of the table. */
static void report_json(struct kw_output *err, const struct kw_error *error, struct kw_bytes members)
{
    struct kw_json_writer writer;
    enum kw_code code = kw_code_of_name(error->code);
    const struct kw_code_info *info = code == KW_CODE_NONE ? NULL : kw_code_info(code);
    kw_json_writer_init(&writer, &err->text);
    kw_json_begin_object(&writer);
    if (info != NULL) {
        char type[KW_PROBLEM_TYPE_SIZE];
        snprintf(type, sizeof type, KW_PROBLEM_TYPE_START "%s", info->name);
        kw_json_name(&writer, "type");
        kw_json_text(&writer, type);
        kw_json_name(&writer, "title");
        kw_json_text(&writer, info->meaning);
        kw_json_name(&writer, "status");
        kw_json_i64(&writer, info->http_status);
    }
    kw_json_name(&writer, "code");
    kw_json_text(&writer, error->code);
    char detail[KW_ERROR_FIELD_MAX + KW_ERROR_TEXT_MAX + 2];
    bool has_field = info != NULL && error->field[0] != '\0';
    snprintf(detail, sizeof detail, "%s%s%s", has_field ? error->field : "", has_field ? ": " : "", error->message);
    kw_json_name(&writer, "detail");
    kw_json_text(&writer, detail);
    if (error->field[0] != '\0') {
        kw_json_name(&writer, "field");
        kw_json_text(&writer, error->field);
    }
    if (info != NULL) {
        kw_json_name(&writer, "advice");
        kw_json_text(&writer, info->advice);
    }
    kw_buffer_add_text(&err->text, members.size > 0 ? "," : "");
    kw_buffer_add(&err->text, members);
    kw_json_end_object(&writer);
    kw_buffer_add_byte(&err->text, '\n');
}

static bool may_be_full(enum kw_code code)
{
    return code == KW_CODE_STORE_FULL || code == KW_CODE_STORE_UNAVAILABLE;
}

void kw_report_room(struct kw_cli *cli, const char *code)
{
    struct statvfs disk;
    if (cli->data_path == NULL || !may_be_full(kw_code_of_name(code)) || statvfs(cli->data_path, &disk) != 0) {
        return;
    }
    unsigned long long left_kib = (unsigned long long)disk.f_bavail * disk.f_frsize / 1024;
    kw_buffer_add_format(&cli->err.text, "  The disk of %s has %llu KiB left.\n", cli->data_path, left_kib);
}

static void report_text(struct kw_cli *cli, const struct kw_error *error)
{
    struct kw_output *err = &cli->err;
    kw_buffer_add_text(&err->text, "keyward: ");
    if (error->field[0] != '\0') {
        kw_text_clean(&err->text, kw_bytes_of_text(error->field));
        kw_buffer_add_text(&err->text, ": ");
    }
    kw_text_clean(&err->text, kw_bytes_of_text(error->message));
    if (kw_code_of_name(error->code) != KW_CODE_NONE) {
        kw_buffer_add_format(&err->text, " (%s)", error->code);
    }
    kw_buffer_add_byte(&err->text, '\n');
    if (error->detail[0] != '\0') {
        kw_buffer_add_text(&err->text, "  ");
        kw_text_clean(&err->text, kw_bytes_of_text(error->detail));
        kw_buffer_add_byte(&err->text, '\n');
    }
    enum kw_code code = kw_code_of_name(error->code);
    if (code != KW_CODE_NONE) {
        kw_report_advice(cli, kw_bytes_of_text(error->message), kw_bytes_of_text(kw_code_info(code)->advice));
    }
    kw_report_room(cli, error->code);
    if (error->code != NULL && strcmp(error->code, KW_CLI_USAGE) == 0) {
        kw_buffer_add_format(&err->text, "  'keyward %s%s' shows what there is.\n",
                             cli->command == NULL ? "help" : cli->command->name, cli->command == NULL ? "" : " --help");
    }
}

int kw_report(struct kw_cli *cli, const struct kw_error *error, bool as_json)
{
    return kw_report_with(cli, error, as_json, (struct kw_bytes){NULL, 0});
}

int kw_report_with(struct kw_cli *cli, const struct kw_error *error, bool as_json, struct kw_bytes members)
{
    if (as_json) {
        report_json(&cli->err, error, members);
    } else {
        report_text(cli, error);
    }
    kw_output_say(&cli->err);
    return KW_EXIT_FAILED;
}

int kw_finish(struct kw_cli *cli, int code, bool as_json)
{
    struct kw_error error = {0};
    if (kw_output_flush(&cli->out, &error) != KW_OK) {
        return kw_report(cli, &error, as_json);
    }
    return code;
}
