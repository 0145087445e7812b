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
    peppers_out->count = 0;
    enum kw_status status = kw_peppers_renew(peppers_out, entropy, error_out);
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
    enum kw_status status =
        is_link(fd, name) ? refuse_link(path, error_out) : write_file(fd, folder, name, peppers, error_out);
    (void)close(fd);
    return status;
}

enum kw_status kw_pepper_keep(const struct kw_data_folder *folder, const struct kw_data_options *options,
                              const struct kw_peppers *peppers, struct kw_error *error_out)
{
    if (options->pepper_file != NULL) {
        return replace_elsewhere(options->pepper_file, peppers, error_out);
    }
    if (options->pepper_hex.size > 0) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, "KEYWARD_PEPPER",
                         "holds the peppers, and only you can change it: give them in a file with --pepper-file, or "
                         "put a new one before the others yourself, between commas");
    }
    if (is_link(folder->fd, PEPPER_FILE)) {
        return refuse_link(PEPPER_FILE, error_out);
    }
    return write_file(folder->fd, folder->path, PEPPER_FILE, peppers, error_out);
}
