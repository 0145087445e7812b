#include "engine/audit_files.h"

#include "base/bytes.h"
#include "core/signing.h"
#include "engine/files.h"
#include "engine/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define HEX_SIZE ((size_t)2 * KW_SIGNING_SEED_SIZE)
#define PATH_SIZE 4096

/* --- the seed --- */

static enum kw_status read_seed(int folder_fd, const char *path, struct kw_secret *seed_out, struct kw_error *error_out)
{
    struct kw_buffer hex;
    uint8_t bytes[KW_SIGNING_SEED_SIZE];
    kw_buffer_init_secret(&hex, KW_SECRET_INPUT_MAX);
    enum kw_status status = kw_secret_from_file(folder_fd, path, "the key of the audit log", true, &hex, error_out);
    if (status == KW_OK && !kw_hex_decode(kw_buffer_bytes(&hex), bytes, sizeof bytes)) {
        status = kw_fail(error_out, KW_E_INVALID, KW_FILE_UNUSABLE, NULL,
                         "%s does not hold the key of the audit log: that is %zu hexadecimal digits", path, HEX_SIZE);
    }
    status = status == KW_OK ? kw_secret_set(seed_out, kw_bytes_of(bytes, sizeof bytes)) : status;
    kw_wipe(bytes, sizeof bytes);
    kw_buffer_deinit(&hex);
    return status;
}

static enum kw_status make_seed(int folder_fd, const char *folder, const char *name, const struct kw_entropy *entropy,
                                struct kw_secret *seed_out, struct kw_error *error_out)
{
    uint8_t bytes[KW_SIGNING_SEED_SIZE];
    char hex[HEX_SIZE + 1];
    enum kw_status status = entropy->draw(entropy->context, bytes, sizeof bytes);
    if (status != KW_OK) {
        return kw_fail(error_out, status, KW_FILE_UNUSABLE, NULL, "the system gives no random bytes for %s", name);
    }
    kw_hex_encode(kw_bytes_of(bytes, sizeof bytes), hex);
    hex[HEX_SIZE] = '\n';
    status = kw_file_replace(folder_fd, folder, name, kw_bytes_of(hex, sizeof hex), error_out);
    status = status == KW_OK ? kw_secret_set(seed_out, kw_bytes_of(bytes, sizeof bytes)) : status;
    kw_wipe(hex, sizeof hex);
    kw_wipe(bytes, sizeof bytes);
    return status;
}

/* A file that stands somewhere else: made in its own folder. */
static enum kw_status make_elsewhere(const char *path, const struct kw_entropy *entropy, struct kw_secret *seed_out,
                                     struct kw_error *error_out)
{
    char folder[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    int size = slash == NULL ? snprintf(folder, sizeof folder, ".")
                             : snprintf(folder, sizeof folder, "%.*s", (int)(slash - path + 1), path);
    if (size < 0 || (size_t)size >= sizeof folder) {
        return kw_fail(error_out, KW_E_LIMIT, KW_FILE_UNUSABLE, NULL, "the path of the audit log's key is too long");
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_FILE_UNUSABLE, NULL, "cannot open the folder %s: %s", folder,
                       strerror(errno));
    }
    enum kw_status status = make_seed(fd, folder, slash == NULL ? path : slash + 1, entropy, seed_out, error_out);
    (void)close(fd);
    return status;
}

enum kw_status kw_audit_seed_find(int folder_fd, const char *folder, const char *path, const struct kw_entropy *entropy,
                                  struct kw_secret *seed_out, struct kw_error *error_out)
{
    if (path != NULL) {
        return kw_file_exists(AT_FDCWD, path) ? read_seed(AT_FDCWD, path, seed_out, error_out)
                                              : make_elsewhere(path, entropy, seed_out, error_out);
    }
    enum kw_status status = kw_file_tidy(folder_fd, folder, KW_AUDIT_KEY_FILE, error_out);
    if (status != KW_OK) {
        return status;
    }
    return kw_file_exists(folder_fd, KW_AUDIT_KEY_FILE)
               ? read_seed(folder_fd, KW_AUDIT_KEY_FILE, seed_out, error_out)
               : make_seed(folder_fd, folder, KW_AUDIT_KEY_FILE, entropy, seed_out, error_out);
}

/* --- copies --- */

struct kw_checkpoint_file {
    int fd;
    const struct kw_log *log;
};

enum kw_status kw_checkpoint_file_open(const char *path, const struct kw_log *log, struct kw_checkpoint_file **file_out,
                                       struct kw_error *error_out)
{
    struct kw_checkpoint_file *file = kw_alloc(1, sizeof *file);
    if (file == NULL) {
        return kw_fail(error_out, KW_E_MEMORY, KW_FILE_UNUSABLE, NULL, "there is no memory left to open %s", path);
    }
    *file = (struct kw_checkpoint_file){open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600), log};
    if (file->fd < 0) {
        int reason = errno;
        kw_free(file);
        return kw_fail(error_out, KW_E_SYSTEM, KW_FILE_UNUSABLE, NULL, "checkpoints cannot be appended to %s: %s", path,
                       strerror(reason));
    }
    *file_out = file;
    return KW_OK;
}

void kw_checkpoint_file_close(struct kw_checkpoint_file *file)
{
    if (file != NULL) {
        (void)close(file->fd);
        kw_free(file);
    }
}

void kw_checkpoint_file_keep(void *context, struct kw_bytes json)
{
    const struct kw_checkpoint_file *file = context;
    struct kw_buffer line;
    kw_buffer_init(&line, json.size + 1);
    kw_buffer_add(&line, json);
    kw_buffer_add_byte(&line, '\n');
    bool is_kept = kw_buffer_status(&line) == KW_OK && write(file->fd, line.data, line.size) == (ssize_t)line.size &&
                   fdatasync(file->fd) == 0;
    int reason = errno;
    kw_buffer_deinit(&line);
    if (!is_kept && file->log != NULL) {
        struct kw_log_line told;
        kw_log_begin(&told, file->log, KW_LOG_WARN, "a checkpoint of the audit log was not appended to its file");
        kw_log_text(&told, "reason", strerror(reason));
        kw_log_end(&told);
    }
}
