#include "base/json.h"
#include "cli/pepper.h"
#include "core/transition.h"
#include "engine/data_folder.h"
#include "engine/files.h"
#include "engine/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const struct kw_option options[] = {
    {.name = "url",
     .argument = "URL",
     .help = "a server's address (KEYWARD_URL; " KW_CLI_DEFAULT_URL " if KEYWARD_KEY is set)"},
    {.name = "management-key-file", .argument = "FILE", .help = "the server's root key, instead of KEYWARD_KEY"},
    {.name = "cacert", .argument = "FILE", .help = "trust the server's certificate by this one (PEM)"},
    {.name = "timeout",
     .argument = "DURATION",
     .help = "how long to wait for a server that is busy (" KW_CLI_DEFAULT_TIMEOUT ")"},
    {.name = "data", .argument = "DIR", .help = "a data folder, when no server holds it (" KW_CLI_DEFAULT_DATA ")"},
    {.name = "pepper-file",
     .argument = "FILE",
     .help = "the folder's peppers, instead of KEYWARD_PEPPER or DIR/pepper"},
    {.name = "forget-erased", .help = "retire: though erased keys need it, so that an import may bring them in anew"},
    {.name = "reveal", .help = "export: onto standard output, if no file is named"},
};

const struct kw_option_group kw__pepper_group = {"Options", options, KW_COUNT_OF(options)};

/* One run on a folder, which is held, so that no server changes what is looked at. */
struct work {
    struct kw_cli *cli;
    const struct kw_command_line *line;
    struct kw_data_options options;
    struct kw_data_folder folder;
    struct kw_peppers peppers;
    struct kw_error error;
};

static const char *operand(const struct work *work)
{
    return work->line->operand_count > 1 ? work->line->operands[1] : NULL;
}

static enum kw_status open_folder(struct work *work)
{
    const char *path = kw_line_value(work->line, "data");
    if (kw_line_has(work->line, "url")) {
        return kw_fail(&work->error, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "no server shows or takes peppers: stop it, and give its folder with --data");
    }
    work->cli->data_path = path == NULL ? KW_CLI_DEFAULT_DATA : path;
    work->options = (struct kw_data_options){
        .path = work->cli->data_path,
        .pepper_file = kw_line_value(work->line, "pepper-file"),
        .pepper_hex = kw_buffer_bytes(&work->cli->environment.pepper),
        .clock = work->cli->clock,
        .entropy = work->cli->entropy,
    };
    enum kw_status status = kw_data_folder_open(&work->options, &work->folder, &work->error);
    return status != KW_OK ? status : kw_pepper_find(&work->folder, &work->options, &work->peppers, &work->error);
}

static int run(struct kw_cli *cli, const struct kw_command_line *line, enum kw_status (*act)(struct work *work))
{
    struct work work = {.cli = cli, .line = line, .folder = {.fd = -1, .lock_fd = -1}};
    bool as_json = kw_line_has(line, "json");
    enum kw_status status = open_folder(&work);
    status = status != KW_OK ? status : act(&work);
    kw_data_folder_close(&work.folder);
    kw_peppers_wipe(&work.peppers);
    return status == KW_OK ? kw_finish(cli, KW_EXIT_OK, as_json) : kw_report(cli, &work.error, as_json);
}

static void say_added(struct work *work, size_t added)
{
    struct kw_buffer *text = &work->cli->out.text;
    if (kw_line_has(work->line, "json")) {
        kw_buffer_add_format(text, "{\"added\":%zu}\n", added);
        return;
    }
    kw_buffer_add_format(text, "%zu pepper%s added. Records that were made with %s can be imported now.\n", added,
                         added == 1 ? "" : "s", added == 1 ? "it" : "them");
}

static enum kw_status take_in(struct work *work)
{
    struct kw_peppers more KW_PEPPERS_WIPED = {.count = 0};
    struct kw_buffer text;
    size_t added = 0;
    kw_buffer_init_secret(&text, KW_SECRET_INPUT_MAX);
    enum kw_status status = kw_secret_from_file(AT_FDCWD, operand(work), "the peppers", true, &text, &work->error);
    if (status == KW_OK) {
        status = kw_peppers_parse(kw_buffer_bytes(&text), operand(work), &more, &work->error);
    }
    kw_buffer_deinit(&text);
    status = status != KW_OK ? status : kw_peppers_join(&work->peppers, &more, &added, &work->error);
    if (status == KW_OK && added > 0) {
        status = kw_pepper_keep(&work->folder, &work->options, &work->peppers, &work->error);
    }
    if (status == KW_OK) {
        say_added(work, added);
    }
    return status;
}

static enum kw_status write_new_file(struct work *work, const char *path, struct kw_bytes text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return kw_fail(&work->error, KW_E_SYSTEM, KW_FILE_UNUSABLE, NULL, "cannot make %s: %s", path, strerror(errno));
    }
    bool is_written = true;
    while (is_written && text.size > 0) {
        ssize_t size = write(fd, text.data, text.size);
        is_written = size > 0 || (size < 0 && errno == EINTR);
        text = kw_bytes_skip(text, size > 0 ? (size_t)size : 0);
    }
    is_written = is_written && fsync(fd) == 0;
    int reason = errno;
    is_written = close(fd) == 0 && is_written;
    if (is_written) {
        return KW_OK;
    }
    (void)unlink(path);
    return kw_fail(&work->error, KW_E_SYSTEM, KW_FILE_UNUSABLE, NULL, "cannot write %s: %s", path, strerror(reason));
}

static void say_written(struct work *work, const char *path)
{
    struct kw_buffer *text = &work->cli->out.text;
    if (!kw_line_has(work->line, "json")) {
        kw_buffer_add_format(text,
                             "Wrote the peppers to %s. Whoever has them and a copy of the data can try keys against "
                             "it: move the file over a safe way, and remove it.\n",
                             path);
        return;
    }
    struct kw_json_writer json;
    kw_json_writer_init(&json, text);
    kw_json_begin_object(&json);
    kw_json_name(&json, "file");
    kw_json_text(&json, path);
    kw_json_end_object(&json);
    kw_buffer_add_byte(text, '\n');
}

static enum kw_status give_out(struct work *work)
{
    const char *path = operand(work);
    if (path == NULL && !kw_line_has(work->line, "reveal")) {
        return kw_fail(&work->error, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "name a file, which is made for you alone; or say --reveal, to have the peppers on standard "
                       "output");
    }
    if (path == NULL) {
        enum kw_status written = kw_peppers_write(&work->peppers, &work->cli->out.text);
        return written == KW_OK ? KW_OK : kw_fail(&work->error, written, KW_CLI_FAILED, NULL, "not enough memory");
    }
    struct kw_buffer text;
    kw_buffer_init_secret(&text, KW_PEPPERS_TEXT_MAX);
    enum kw_status status = kw_peppers_write(&work->peppers, &text);
    status = status == KW_OK ? write_new_file(work, path, kw_buffer_bytes(&text))
                             : kw_fail(&work->error, status, KW_CLI_FAILED, NULL, "not enough memory");
    kw_buffer_deinit(&text);
    if (status == KW_OK) {
        say_written(work, path);
    }
    return status;
}

int kw_pepper_export(struct kw_cli *cli, const struct kw_command_line *line)
{
    return run(cli, line, give_out);
}

int kw_pepper_import(struct kw_cli *cli, const struct kw_command_line *line)
{
    return run(cli, line, take_in);
}
