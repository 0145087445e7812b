#include "engine/data_folder.h"

#include "core/transition.h"
#include "engine/files.h"
#include "engine/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEPPER_FILE "pepper"
#define PATH_SIZE 4096

static enum kw_status read_peppers(const char *path, struct kw_peppers *peppers_out, struct kw_error *error_out)
{
    struct kw_buffer hex;
    kw_buffer_init_secret(&hex, KW_SECRET_INPUT_MAX);
    enum kw_status status = kw_secret_from_file(AT_FDCWD, path, "the pepper", true, &hex, error_out);
    if (status == KW_OK) {
        status = kw_peppers_parse(kw_buffer_bytes(&hex), path, peppers_out, error_out);
    }
    kw_buffer_deinit(&hex);
    return status;
}

static enum kw_status write_file(int folder_fd, const char *folder, const char *name, const struct kw_peppers *peppers,
                                 struct kw_error *error_out)
{
    struct kw_buffer text;
    kw_buffer_init_secret(&text, KW_PEPPERS_TEXT_MAX);
    enum kw_status status = kw_peppers_write(peppers, &text);
    if (status == KW_OK) {
        status = kw_file_replace(folder_fd, folder, name, kw_buffer_bytes(&text), error_out);
    } else {
        status = kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "there is no memory left for this: try again later");
    }
    kw_buffer_deinit(&text);
    return status;
}

static enum kw_status make_pepper(const struct kw_data_folder *folder, const struct kw_entropy *entropy,
                                  struct kw_peppers *peppers_out, struct kw_error *error_out)
{
    struct kw_secret drawn KW_WIPED = {0};
    peppers_out->count = 0;
    enum kw_status status = kw_pepper_draw(entropy, &drawn, error_out);
    status = status != KW_OK ? status : kw_peppers_put_first(peppers_out, &drawn, error_out);
    return status != KW_OK ? status : write_file(folder->fd, folder->path, PEPPER_FILE, peppers_out, error_out);
}

enum kw_status kw_pepper_find(const struct kw_data_folder *folder, const struct kw_data_options *options,
                              struct kw_peppers *peppers_out, struct kw_error *error_out)
{
    if (options->pepper_file != NULL) {
        return read_peppers(options->pepper_file, peppers_out, error_out);
    }
    if (options->pepper_hex.size > 0) {
        return kw_peppers_parse(options->pepper_hex, "KEYWARD_PEPPER", peppers_out, error_out);
    }
    if (kw_file_exists(folder->fd, PEPPER_FILE)) {
        char path[PATH_SIZE];
        int size = snprintf(path, sizeof path, "%s/" PEPPER_FILE, folder->path);
        if (size < 0 || (size_t)size >= sizeof path) {
            return kw_fail(error_out, KW_E_LIMIT, KW_FILE_UNUSABLE, NULL, "the folder's path is too long");
        }
        return read_peppers(path, peppers_out, error_out);
    }
    if (folder->was_there) {
        return kw_refuse(error_out, KW_CODE_PEPPER_MISMATCH, NULL,
                         "%s/" PEPPER_FILE " is missing, and without it no key in %s/keyward.db can be verified: "
                         "restore it from its backup, or give it with --pepper-file or KEYWARD_PEPPER",
                         folder->path, folder->path);
    }
    return make_pepper(folder, &options->entropy, peppers_out, error_out);
}

enum kw_status kw_pepper_tidy(const struct kw_data_folder *folder, struct kw_error *error_out)
{
    return kw_file_tidy(folder->fd, folder->path, PEPPER_FILE, error_out);
}

static enum kw_status refuse_link(const char *path, struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "pepper-file",
                     "%s is a link: name the file that it points to, so that it can be replaced", path);
}

static bool is_link(int folder_fd, const char *name)
{
    struct stat about;
    return fstatat(folder_fd, name, &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(about.st_mode);
}

/* Whether it is for this process to change them. */
static enum kw_status check_ours(const struct kw_data_folder *folder, const struct kw_data_options *options,
                                 struct kw_error *error_out)
{
    if (options->pepper_file != NULL) {
        return is_link(AT_FDCWD, options->pepper_file) ? refuse_link(options->pepper_file, error_out) : KW_OK;
    }
    if (options->pepper_hex.size > 0) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "KEYWARD_PEPPER",
                         "is where this process has its peppers from, and no process can change another's environment: "
                         "put them in a file and name that with --pepper-file; or set the variable yourself, a new "
                         "pepper before the others, between commas, and start again");
    }
    return is_link(folder->fd, PEPPER_FILE) ? refuse_link(PEPPER_FILE, error_out) : KW_OK;
}

/* A file that stands somewhere else: its folder, then its name in there. */
static enum kw_status replace_elsewhere(const char *path, const struct kw_peppers *peppers, struct kw_error *error_out)
{
    char folder[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    int size = slash == NULL ? snprintf(folder, sizeof folder, ".")
                             : snprintf(folder, sizeof folder, "%.*s", (int)(slash - path + 1), path);
    if (size < 0 || (size_t)size >= sizeof folder) {
        return kw_fail(error_out, KW_E_LIMIT, KW_FILE_UNUSABLE, NULL, "the path of the pepper's file is too long");
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_FILE_UNUSABLE, NULL, "cannot open the folder %s: %s", folder,
                       strerror(errno));
    }
    enum kw_status status = write_file(fd, folder, name, peppers, error_out);
    (void)close(fd);
    return status;
}

enum kw_status kw_pepper_keep(const struct kw_data_folder *folder, const struct kw_data_options *options,
                              const struct kw_peppers *peppers, struct kw_error *error_out)
{
    enum kw_status status = check_ours(folder, options, error_out);
    if (status != KW_OK) {
        return status;
    }
    return options->pepper_file != NULL ? replace_elsewhere(options->pepper_file, peppers, error_out)
                                        : write_file(folder->fd, folder->path, PEPPER_FILE, peppers, error_out);
}

/* --- while an engine runs --- */

/* What was said when the folder was opened, as far as it is asked for later. */
struct kw_pepper_place {
    struct kw_data_folder folder;
    struct kw_data_options options;
    char path[PATH_SIZE], file[PATH_SIZE];
};

static enum kw_status read_kept(void *context, struct kw_peppers *peppers_out, struct kw_error *error_out)
{
    const struct kw_pepper_place *place = context;
    enum kw_status status = check_ours(&place->folder, &place->options, error_out);
    return status != KW_OK ? status : kw_pepper_find(&place->folder, &place->options, peppers_out, error_out);
}

static enum kw_status write_kept(void *context, const struct kw_peppers *peppers, struct kw_error *error_out)
{
    const struct kw_pepper_place *place = context;
    return kw_pepper_keep(&place->folder, &place->options, peppers, error_out);
}

enum kw_status kw_pepper_place_new(const struct kw_data_folder *folder, const struct kw_data_options *options,
                                   struct kw_pepper_place **place_out, struct kw_pepper_keeper *keeper_out)
{
    struct kw_pepper_place *place = kw_alloc(1, sizeof *place);
    if (place == NULL) {
        return KW_E_MEMORY;
    }
    /* Both were opened by these, so they fit. */
    (void)snprintf(place->path, sizeof place->path, "%s", folder->path);
    (void)snprintf(place->file, sizeof place->file, "%s", options->pepper_file == NULL ? "" : options->pepper_file);
    place->folder = (struct kw_data_folder){.path = place->path, .fd = folder->fd, .lock_fd = -1, .was_there = true};
    place->options = (struct kw_data_options){
        .pepper_file = options->pepper_file == NULL ? NULL : place->file,
        /* That they came so is all that is kept of it. */
        .pepper_hex = options->pepper_hex.size == 0 ? (struct kw_bytes){NULL, 0} : KW_BYTES("given"),
        .entropy = options->entropy,
    };
    *place_out = place;
    *keeper_out = (struct kw_pepper_keeper){place, read_kept, write_kept};
    return KW_OK;
}

void kw_pepper_place_free(struct kw_pepper_place *place)
{
    kw_free(place);
}
