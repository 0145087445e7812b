#include "engine/data_folder.h"

#include "base/bytes.h"
#include "core/sealing.h"
#include "core/transition.h"
#include "engine/files.h"
#include "engine/secret_file.h"

#include <pthread.h>
#include <stdio.h>

#define SEALING_FILE "sealing-key"

/* The key that secrets are sealed under: 64 hexadecimal digits in a file of the folder. */
struct kw_sealing_place {
    int folder_fd;
    char folder[4096]; /* its path, for messages */
    struct kw_entropy entropy;
    pthread_mutex_t lock;
    struct kw_secret key; /* size 0: it was not read yet */
};

static enum kw_status read_key(const struct kw_sealing_place *place, struct kw_secret *key_out,
                               struct kw_error *error_out)
{
    uint8_t bytes[KW_SEALING_KEY_SIZE];
    struct kw_buffer hex;
    kw_buffer_init_secret(&hex, KW_SECRET_INPUT_MAX);
    enum kw_status status =
        kw_secret_from_file(place->folder_fd, SEALING_FILE, "the sealing key", true, &hex, error_out);
    if (status == KW_OK && !kw_hex_decode(kw_buffer_bytes(&hex), bytes, sizeof bytes)) {
        status =
            kw_refuse(error_out, KW_CODE_FILE_UNUSABLE, NULL,
                      "%s/" SEALING_FILE " must hold 64 hexadecimal digits: restore it from its backup", place->folder);
    }
    kw_buffer_deinit(&hex);
    status = status == KW_OK ? kw_secret_set(key_out, kw_bytes_of(bytes, sizeof bytes)) : status;
    kw_wipe(bytes, sizeof bytes);
    return status;
}

/* Durable before anything is sealed under it. */
static enum kw_status make_key(const struct kw_sealing_place *place, struct kw_error *error_out)
{
    uint8_t bytes[KW_SEALING_KEY_SIZE];
    char hex[2 * KW_SEALING_KEY_SIZE + 1];
    enum kw_status status = place->entropy.draw(place->entropy.context, bytes, sizeof bytes);
    if (status != KW_OK) {
        return kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "the system gives no random bytes");
    }
    kw_hex_encode(kw_bytes_of(bytes, sizeof bytes), hex);
    hex[sizeof hex - 1] = '\n';
    status = kw_file_replace(place->folder_fd, place->folder, SEALING_FILE, kw_bytes_of(hex, sizeof hex), error_out);
    kw_wipe(bytes, sizeof bytes);
    kw_wipe(hex, sizeof hex);
    return status;
}

static enum kw_status find_key(void *context, bool may_make, struct kw_secret *key_out, struct kw_error *error_out)
{
    struct kw_sealing_place *place = context;
    enum kw_status status = KW_OK;
    pthread_mutex_lock(&place->lock);
    if (place->key.size == 0) {
        bool is_there = kw_file_exists(place->folder_fd, SEALING_FILE);
        status = is_there ? KW_OK
                 : may_make
                     ? make_key(place, error_out)
                     : kw_fail(error_out, KW_E_NOT_FOUND, KW_FILE_UNUSABLE, NULL,
                               "%s/" SEALING_FILE " is missing: restore it from its backup, or renew the secrets "
                               "of the webhooks",
                               place->folder);
        status = status == KW_OK ? read_key(place, &place->key, error_out) : status;
    }
    *key_out = status == KW_OK ? place->key : (struct kw_secret){.size = 0};
    pthread_mutex_unlock(&place->lock);
    return status;
}

enum kw_status kw_sealing_place_new(const struct kw_data_folder *folder, const struct kw_data_options *options,
                                    struct kw_sealing_place **place_out, struct kw_sealing_keeper *keeper_out)
{
    struct kw_sealing_place *place = kw_alloc(1, sizeof *place);
    if (place == NULL) {
        return KW_E_MEMORY;
    }
    place->folder_fd = folder->fd;
    (void)snprintf(place->folder, sizeof place->folder, "%s", folder->path);
    place->entropy = options->entropy;
    pthread_mutex_init(&place->lock, NULL);
    *place_out = place;
    *keeper_out = (struct kw_sealing_keeper){place, find_key};
    return KW_OK;
}

void kw_sealing_place_free(struct kw_sealing_place *place)
{
    if (place != NULL) {
        kw_secret_wipe(&place->key);
        pthread_mutex_destroy(&place->lock);
        kw_free(place);
    }
}
