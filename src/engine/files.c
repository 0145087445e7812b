#include "engine/files.h"

#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define NAME_SIZE 64

static enum kw_status cannot(const char *what, const char *folder, const char *name, struct kw_error *error_out)
{
    int reason = errno;
    return kw_fail(error_out, KW_E_UNAVAILABLE, KW_FILE_UNUSABLE, NULL, "cannot %s %s/%s: %s", what, folder, name,
                   strerror(reason));
}

static bool write_and_sync(int fd, struct kw_bytes content)
{
    while (content.size > 0) {
        ssize_t written = write(fd, content.data, content.size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        content = kw_bytes_skip(content, (size_t)written);
    }
    return fsync(fd) == 0;
}

static void name_temporary(const char *name, char temporary[NAME_SIZE])
{
    snprintf(temporary, NAME_SIZE, "%s.tmp", name);
}

enum kw_status kw_file_replace(int folder_fd, const char *folder, const char *name, struct kw_bytes content,
                               struct kw_error *error_out)
{
    char temporary[NAME_SIZE];
    name_temporary(name, temporary);
    /* One that a crash left behind: the folder is ours alone. */
    (void)unlinkat(folder_fd, temporary, 0);
    int fd = openat(folder_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return cannot("make", folder, name, error_out);
    }
    bool written = write_and_sync(fd, content);
    int reason = errno;
    written = close(fd) == 0 && written;
    if (!written) {
        (void)unlinkat(folder_fd, temporary, 0);
        errno = reason;
        return cannot("write", folder, name, error_out);
    }
    enum kw_status status = kw_file_rename(folder_fd, folder, temporary, name, error_out);
    if (status != KW_OK) {
        (void)unlinkat(folder_fd, temporary, 0);
    }
    return status;
}

enum kw_status kw_file_rename(int folder_fd, const char *folder, const char *from, const char *to,
                              struct kw_error *error_out)
{
    if (renameat(folder_fd, from, folder_fd, to) != 0 || fsync(folder_fd) != 0) {
        return cannot("put in place", folder, to, error_out);
    }
    return KW_OK;
}

enum kw_status kw_file_remove(int folder_fd, const char *folder, const char *name, struct kw_error *error_out)
{
    if (unlinkat(folder_fd, name, 0) != 0) {
        return errno == ENOENT ? KW_OK : cannot("remove", folder, name, error_out);
    }
    return fsync(folder_fd) == 0 ? KW_OK : cannot("remove", folder, name, error_out);
}

enum kw_status kw_file_tidy(int folder_fd, const char *folder, const char *name, struct kw_error *error_out)
{
    char temporary[NAME_SIZE];
    name_temporary(name, temporary);
    return kw_file_remove(folder_fd, folder, temporary, error_out);
}

bool kw_file_exists(int folder_fd, const char *name)
{
    return faccessat(folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

enum kw_status kw_file_drain(int fd, struct kw_buffer *content)
{
    for (;;) {
        uint8_t piece[1024];
        ssize_t size = read(fd, piece, sizeof piece);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            int reason = errno;
            kw_wipe(piece, sizeof piece);
            errno = reason;
            return size == 0 ? KW_OK : KW_E_SYSTEM;
        }
        kw_buffer_add(content, kw_bytes_of(piece, (size_t)size));
        kw_wipe(piece, sizeof piece);
        if (kw_buffer_status(content) != KW_OK) {
            return kw_buffer_status(content);
        }
    }
}
