#include "engine/secret_file.h"

#include "base/bytes.h"
#include "core/transition.h"
#include "engine/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

struct kw_bytes kw_trim(struct kw_bytes text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text = kw_bytes_skip(text, 1);
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

enum kw_status kw_secret_drain(int fd, const char *what, struct kw_buffer *secret, struct kw_error *error_out)
{
    struct kw_buffer raw;
    kw_buffer_init_secret(&raw, KW_SECRET_INPUT_MAX);
    enum kw_status status = kw_file_drain(fd, &raw);
    int reason = errno;
    kw_buffer_add(secret, kw_trim(kw_buffer_bytes(&raw)));
    kw_buffer_deinit(&raw);
    if (status == KW_E_SYSTEM) {
        return kw_fail(error_out, status, KW_FILE_UNUSABLE, NULL, "%s cannot be read: %s", what, strerror(reason));
    }
    if (status == KW_E_LIMIT) {
        return kw_fail(error_out, status, KW_FILE_UNUSABLE, NULL, "%s is longer than %d bytes: is it the right file?",
                       what, KW_SECRET_INPUT_MAX);
    }
    return status == KW_OK ? kw_buffer_status(secret) : status;
}

static enum kw_status check_file(int fd, const char *path, const char *what, bool is_private,
                                 struct kw_error *error_out)
{
    struct stat about;
    if (fstat(fd, &about) != 0) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_FILE_UNUSABLE, NULL, "%s cannot be read: %s", path, strerror(errno));
    }
    if (S_ISDIR(about.st_mode)) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_FILE_UNUSABLE, NULL, "%s is a folder, not a file with %s", path,
                       what);
    }
    if (is_private && S_ISREG(about.st_mode) && (about.st_mode & 077) != 0) {
        return kw_fail(error_out, KW_E_DENIED, KW_FILE_UNUSABLE, NULL,
                       "%s holds %s and is open to others (mode %04o): chmod 600 %s", path, what,
                       (unsigned)(about.st_mode & 07777), path);
    }
    return KW_OK;
}

enum kw_status kw_secret_from_file(int folder_fd, const char *path, const char *what, bool is_private,
                                   struct kw_buffer *secret, struct kw_error *error_out)
{
    int fd = openat(folder_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_FILE_UNUSABLE, NULL, "%s cannot be read: %s", path, strerror(errno));
    }
    enum kw_status status = check_file(fd, path, what, is_private, error_out);
    if (status == KW_OK) {
        status = kw_secret_drain(fd, what, secret, error_out);
    }
    (void)close(fd);
    return status;
}
