#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0600

static enum kw_status fail_system(struct kw_error *error_out, const char *what, const char *path)
{
    int number = errno;
    kw_fail(error_out, KW_E_UNAVAILABLE, "STORE_UNAVAILABLE", NULL,
            "The store cannot be opened. Check that its folder exists and may be written.");
    kw_error_detail(error_out, "%s %s: %s", what, path, strerror(number));
    return KW_E_UNAVAILABLE;
}

/* Where a file that is not there yet will be: its folder is resolved, its name kept. */
static bool resolve_new(const char *path, char *path_out)
{
    char folder[PATH_MAX];
    char resolved[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    int folder_size = slash == NULL ? 0 : (int)(slash - path);
    const char *text = slash == NULL ? "." : folder;
    if (folder_size >= PATH_MAX || name[0] == '\0') {
        errno = name[0] == '\0' ? EISDIR : ENAMETOOLONG;
        return false;
    }
    snprintf(folder, sizeof folder, "%.*s/", folder_size, path);
    if (realpath(text, resolved) == NULL) {
        return false;
    }
    const char *separator = strcmp(resolved, "/") == 0 ? "" : "/";
    int size = snprintf(path_out, KW__SQLITE_PATH_MAX, "%s%s%s", resolved, separator, name);
    errno = ENAMETOOLONG;
    return size < KW__SQLITE_PATH_MAX;
}

static bool resolve(const char *path, char *path_out)
{
    char resolved[PATH_MAX];
    if (realpath(path, resolved) != NULL) {
        return snprintf(path_out, KW__SQLITE_PATH_MAX, "%s", resolved) < KW__SQLITE_PATH_MAX;
    }
    return errno == ENOENT && resolve_new(path, path_out);
}

/* Asked before there is a lock file beside it, which a folder or a device should not get. */
static bool may_be_a_store(const char *path)
{
    struct stat info;
    bool is_other = lstat(path, &info) == 0 && !S_ISREG(info.st_mode);
    errno = EINVAL;
    return !is_other;
}

/* A new file's name is durable only once its folder is. */
static bool sync_folder_of(const char *path)
{
    char folder[KW__SQLITE_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return is_synced;
}

/*
 * Made here and not by SQLite, which would let everybody read it. Closing the descriptor drops every lock of this
 * process on the file, so that this must not run while the process has it open: the lock is taken first.
 */
static enum kw_status make_file(const char *path, struct kw_error *error_out)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return errno == EEXIST ? KW_OK : fail_system(error_out, "making", path);
    }
    close(fd);
    return sync_folder_of(path) ? KW_OK : fail_system(error_out, "syncing the folder of", path);
}

enum kw_status kw__sqlite_lock(const char *path, char path_out[KW__SQLITE_PATH_MAX], int *lock_fd_out,
                               struct kw_error *error_out)
{
    char lock_path[KW__SQLITE_PATH_MAX + sizeof ".lock"];
    if (!resolve(path, path_out) || !may_be_a_store(path_out)) {
        return fail_system(error_out, "finding", path);
    }
    snprintf(lock_path, sizeof lock_path, "%s.lock", path_out);
    int fd = open(lock_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return fail_system(error_out, "opening", lock_path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        bool is_held = errno == EWOULDBLOCK;
        enum kw_status status = is_held ? KW_E_BUSY : fail_system(error_out, "locking", lock_path);
        close(fd);
        if (is_held) {
            kw_fail(error_out, KW_E_BUSY, "DATA_IN_USE", NULL,
                    "Another process holds the data folder. Stop it, or talk to it with --url.");
            kw_error_detail(error_out, "%s is locked", lock_path);
        }
        return status;
    }
    enum kw_status status = make_file(path_out, error_out);
    if (status != KW_OK) {
        close(fd);
        return status;
    }
    *lock_fd_out = fd;
    return KW_OK;
}
