#include "base/json.h"
#include "cli/cli.h"
#include "core/transition.h"
#include "engine/data_folder.h"
#include "engine/files.h"
#include "engine/methods.h"
#include "engine/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FINGERPRINT_TEXT ((size_t)2 * KW_PEPPER_FINGERPRINT_SIZE)
#define FINGERPRINT_TEXT_MIN 8 /* what messages show of one, and what is enough to name it */

/* One run of `keyward pepper`: the folder is held, so that no server changes what is looked at. */
struct work {
    struct kw_cli *cli;
    const struct kw_command_line *line;
    bool as_json;
    struct kw_data_options options;
    struct kw_data_folder folder;
    struct kw_peppers peppers;
    struct kw_pepper_use uses[KW_PEPPERS_MAX];
    size_t use_count;
    struct kw_error error;
};

static void write_fingerprint(const struct kw_pepper_use *use, char out[FINGERPRINT_TEXT + 1])
{
    kw_hex_encode(kw_bytes_of(use->fingerprint, sizeof use->fingerprint), out);
    out[FINGERPRINT_TEXT] = '\0';
}

static const char *operand(const struct work *work)
{
    return work->line->operand_count > 1 ? work->line->operands[1] : NULL;
}

/* --- list --- */

static void list_json(const struct work *work)
{
    struct kw_json_writer json;
    kw_json_writer_init(&json, &work->cli->out.text);
    kw_json_begin_object(&json);
    kw_json_name(&json, "items");
    kw_json_begin_array(&json);
    for (size_t i = 0; i < work->use_count; i++) {
        char fingerprint[FINGERPRINT_TEXT + 1];
        write_fingerprint(&work->uses[i], fingerprint);
        kw_json_begin_object(&json);
        kw_json_name(&json, "fingerprint");
        kw_json_text(&json, fingerprint);
        kw_json_name(&json, "current");
        kw_json_bool(&json, work->uses[i].is_current);
        kw_json_name(&json, "keys");
        kw_json_i64(&json, (int64_t)work->uses[i].keys);
        kw_json_end_object(&json);
    }
    kw_json_end_array(&json);
    kw_json_end_object(&json);
    kw_buffer_add_byte(&work->cli->out.text, '\n');
}

static enum kw_status list(struct work *work)
{
    if (work->as_json) {
        list_json(work);
        return KW_OK;
    }
    kw_buffer_add_text(&work->cli->out.text, "FINGERPRINT                       CURRENT  KEYS\n");
    for (size_t i = 0; i < work->use_count; i++) {
        char fingerprint[FINGERPRINT_TEXT + 1];
        write_fingerprint(&work->uses[i], fingerprint);
        kw_buffer_add_format(&work->cli->out.text, "%s  %-7s  %llu\n", fingerprint,
                             work->uses[i].is_current ? "yes" : "no", (unsigned long long)work->uses[i].keys);
    }
    return KW_OK;
}

/* --- changes of the file --- */

/* Says what was done, as a line for people or an object for programs. */
static void say(struct work *work, const char *what, const char *json_name, const char *value, const char *advice)
{
    struct kw_buffer *text = &work->cli->out.text;
    if (!work->as_json) {
        kw_buffer_add_format(text, "%s %s. %s\n", what, value, advice);
        return;
    }
    struct kw_json_writer json;
    kw_json_writer_init(&json, text);
    kw_json_begin_object(&json);
    kw_json_name(&json, json_name);
    kw_json_text(&json, value);
    kw_json_end_object(&json);
    kw_buffer_add_byte(text, '\n');
}

static enum kw_status keep(struct work *work)
{
    return kw_pepper_keep(&work->folder, &work->options, &work->peppers, &work->error);
}

static enum kw_status rotate(struct work *work)
{
    enum kw_status status = kw_peppers_renew(&work->peppers, &work->cli->entropy, &work->error);
    status = status != KW_OK ? status : keep(work);
    if (status == KW_OK) {
        struct kw_pepper_use made = {.is_current = true};
        char fingerprint[FINGERPRINT_TEXT + 1];
        kw_pepper_fingerprint(&work->peppers.items[0], made.fingerprint);
        write_fingerprint(&made, fingerprint);
        say(work, "New keys get the pepper", "fingerprint", fingerprint,
            "Keys of the others move to it at their next use. Back the file up, apart from the data.");
    }
    return status;
}

/* The one pepper whose fingerprint begins so; else NULL. */
static const struct kw_pepper_use *find_use(struct work *work)
{
    const struct kw_pepper_use *found = NULL;
    struct kw_bytes wanted = kw_bytes_of_text(operand(work));
    size_t count = 0;
    for (size_t i = 0; i < work->use_count; i++) {
        char fingerprint[FINGERPRINT_TEXT + 1];
        write_fingerprint(&work->uses[i], fingerprint);
        if (wanted.size >= FINGERPRINT_TEXT_MIN && kw_bytes_starts_with(kw_bytes_of_text(fingerprint), wanted)) {
            found = &work->uses[i];
            count++;
        }
    }
    return count == 1 ? found : NULL;
}

static enum kw_status retire(struct work *work)
{
    const struct kw_pepper_use *use = find_use(work);
    enum kw_status status = KW_OK;
    if (use == NULL) {
        return kw_refuse(&work->error, KW_CODE_INVALID_FIELD, "FINGERPRINT",
                         "must be that of one pepper, or its first %d characters at least: 'keyward pepper list' "
                         "shows them",
                         FINGERPRINT_TEXT_MIN);
    }
    char fingerprint[FINGERPRINT_TEXT + 1];
    write_fingerprint(use, fingerprint);
    if (use->is_current) {
        return kw_refuse(&work->error, KW_CODE_IN_USE, "FINGERPRINT",
                         "is that of new keys: make another one first, with 'keyward pepper rotate'");
    }
    if (use->keys > 0) {
        return kw_refuse(&work->error, KW_CODE_IN_USE, "FINGERPRINT",
                         "is still needed by %llu key%s: those in use move at their next use; rotate or revoke the "
                         "others, and erase what is revoked",
                         (unsigned long long)use->keys, use->keys == 1 ? "" : "s");
    }
    if (kw_peppers_remove(&work->peppers, use->fingerprint)) {
        status = keep(work);
    }
    if (status == KW_OK) {
        say(work, "Retired the pepper", "fingerprint", fingerprint, "No key needs it.");
    }
    return status;
}

static void say_added(struct work *work, size_t added)
{
    struct kw_buffer *text = &work->cli->out.text;
    if (work->as_json) {
        kw_buffer_add_format(text, "{\"added\":%zu}\n", added);
        return;
    }
    kw_buffer_add_format(text, "%zu pepper%s added. Records that were made with %s can be imported now.\n", added,
                         added == 1 ? "" : "s", added == 1 ? "it" : "them");
}

static enum kw_status import(struct work *work)
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
    status = status != KW_OK || added == 0 ? status : keep(work);
    if (status == KW_OK) {
        say_added(work, added);
    }
    return status;
}

/* --- export --- */

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

static enum kw_status export(struct work *work) {
    const char *path = operand(work); if (path == NULL && !kw_line_has(work->line, "reveal")){
        return kw_fail(&work->error, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "name a file, which is made for you alone; or say --reveal, to have the peppers on standard "
                       "output");}
if (path == NULL)
{
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
    say(work, "Wrote the peppers to", "file", path,
        "Whoever has them and a copy of the data can try keys against it: move the file over a safe way, and "
        "remove it.");
}
return status;
}

/* --- the command --- */

static const struct action {
    const char *name;
    size_t operands_min, operands_max; /* its name counted */
    enum kw_status (*run)(struct work *work);
} actions[] = {
    {"list", 1, 1, list},     {"rotate", 1, 1, rotate}, {"retire", 2, 2, retire},
    {"export", 1, 2, export}, {"import", 2, 2, import},
};

static const struct action *find_action(const struct kw_command_line *line)
{
    for (size_t i = 0; i < KW_COUNT_OF(actions); i++) {
        const struct action *action = &actions[i];
        if (strcmp(action->name, line->operands[0]) == 0 && line->operand_count >= action->operands_min &&
            line->operand_count <= action->operands_max) {
            return action;
        }
    }
    return NULL;
}

static enum kw_status open_folder(struct work *work)
{
    const char *path = kw_line_value(work->line, "data");
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

/* Counts the keys of each pepper. */
static enum kw_status look(struct work *work)
{
    struct kw_engine_stats stats;
    kw_engine_wait_filled(work->folder.engine);
    kw_engine_stats(work->folder.engine, &stats);
    if (!stats.index_complete) {
        return kw_refuse(&work->error, KW_CODE_TOO_BUSY, NULL, "there is no memory to count all keys: try again later");
    }
    work->use_count = kw_engine_peppers(work->folder.engine, work->uses, KW_COUNT_OF(work->uses));
    return KW_OK;
}

int kw_cmd_pepper(struct kw_cli *cli, const struct kw_command_line *line)
{
    struct work work = {.cli = cli, .line = line, .as_json = kw_line_has(line, "json"), .folder = {.fd = -1}};
    const struct action *action = find_action(line);
    work.folder.lock_fd = -1;
    if (action == NULL) {
        (void)kw_fail(&work.error, KW_E_INVALID, KW_CLI_USAGE, NULL,
                      "say list, rotate, retire FINGERPRINT, export [FILE] or import FILE");
        return kw_report(cli, &work.error, work.as_json);
    }
    enum kw_status status = open_folder(&work);
    status = status != KW_OK ? status : look(&work);
    status = status != KW_OK ? status : action->run(&work);
    kw_data_folder_close(&work.folder);
    kw_peppers_wipe(&work.peppers);
    return status == KW_OK ? kw_finish(cli, KW_EXIT_OK, work.as_json) : kw_report(cli, &work.error, work.as_json);
}
