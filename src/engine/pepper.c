#include "engine/data_folder.h"

#include "core/digest.h"
#include "core/transition.h"
#include "engine/files.h"
#include "engine/secret_file.h"

#include <fcntl.h>
#include <stdio.h>

#define PEPPER_FILE "pepper"
#define PEPPER_HEX_SIZE ((size_t)KW_PEPPER_SIZE * 2)

static enum kw_status of_hex(struct kw_bytes hex, const char *where, struct kw_secret *pepper_out,
                             struct kw_error *error_out)
{
    uint8_t pepper[KW_PEPPER_SIZE];
    if (!kw_hex_decode(hex, pepper, sizeof pepper)) {
        return kw_refuse(error_out, KW_CODE_PEPPER_MISMATCH, NULL,
                         "%s does not hold a pepper, which is %zu hexadecimal characters: restore it from its backup",
                         where, PEPPER_HEX_SIZE);
    }
    enum kw_status status = kw_secret_set(pepper_out, kw_bytes_of(pepper, sizeof pepper));
    kw_wipe(pepper, sizeof pepper);
    return status;
}

static enum kw_status read_pepper(const char *path, struct kw_secret *pepper_out, struct kw_error *error_out)
{
    struct kw_buffer hex;
    kw_buffer_init_secret(&hex, KW_SECRET_INPUT_MAX);
    enum kw_status status = kw_secret_from_file(AT_FDCWD, path, "the pepper", true, &hex, error_out);
    if (status == KW_OK) {
        status = of_hex(kw_buffer_bytes(&hex), path, pepper_out, error_out);
    }
    kw_buffer_deinit(&hex);
    return status;
}

static enum kw_status make_pepper(const struct kw_data_folder *folder, const struct kw_entropy *entropy,
                                  struct kw_secret *pepper_out, struct kw_error *error_out)
{
    uint8_t pepper[KW_PEPPER_SIZE];
    char line[PEPPER_HEX_SIZE + 1];
    if (entropy->draw(entropy->context, pepper, sizeof pepper) != KW_OK) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_FILE_UNUSABLE, NULL, "the operating system gives no random bytes");
    }
    kw_hex_encode(kw_bytes_of(pepper, sizeof pepper), line);
    line[PEPPER_HEX_SIZE] = '\n';
    enum kw_status status =
        kw_file_replace(folder->fd, folder->path, PEPPER_FILE, kw_bytes_of(line, sizeof line), error_out);
    if (status == KW_OK) {
        status = kw_secret_set(pepper_out, kw_bytes_of(pepper, sizeof pepper));
    }
    kw_wipe(pepper, sizeof pepper);
    kw_wipe(line, sizeof line);
    return status;
}

enum kw_status kw_pepper_find(const struct kw_data_folder *folder, const struct kw_data_options *options,
                              struct kw_secret *pepper_out, struct kw_error *error_out)
{
    if (options->pepper_file != NULL) {
        return read_pepper(options->pepper_file, pepper_out, error_out);
    }
    if (options->pepper_hex != NULL && options->pepper_hex->size > 0) {
        return of_hex(kw_secret_expose(options->pepper_hex), "KEYWARD_PEPPER", pepper_out, error_out);
    }
    if (kw_file_exists(folder->fd, PEPPER_FILE)) {
        char path[4096];
        int size = snprintf(path, sizeof path, "%s/" PEPPER_FILE, folder->path);
        if (size < 0 || (size_t)size >= sizeof path) {
            return kw_fail(error_out, KW_E_LIMIT, KW_FILE_UNUSABLE, NULL, "the folder's path is too long");
        }
        return read_pepper(path, pepper_out, error_out);
    }
    if (folder->was_there) {
        return kw_refuse(error_out, KW_CODE_PEPPER_MISMATCH, NULL,
                         "%s/" PEPPER_FILE " is missing, and without it no key in %s/keyward.db can be verified: "
                         "restore it from its backup, or give it with --pepper-file or KEYWARD_PEPPER",
                         folder->path, folder->path);
    }
    return make_pepper(folder, &options->entropy, pepper_out, error_out);
}
