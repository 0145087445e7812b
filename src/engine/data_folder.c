#include "engine/data_folder.h"

#include "core/project.h"
#include "core/transition.h"
#include "engine/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATABASE_FILE "keyward.db"
#define LOCK_FILE "lock"

static enum kw_status cannot_open(const struct kw_data_options *options, int reason, struct kw_error *error_out)
{
    if (reason == ENOENT && !options->may_make) {
        return kw_fail(error_out, KW_E_NOT_FOUND, KW_FILE_UNUSABLE, NULL,
                       "there is no data folder %s: 'keyward serve' and 'keyward create' make one", options->path);
    }
    return kw_fail(error_out, KW_E_SYSTEM, KW_FILE_UNUSABLE, NULL, "cannot open the data folder %s: %s", options->path,
                   strerror(reason));
}

/* Makes the folder's entry in its parent last, as the files in it will. */
static void sync_parent(int folder_fd)
{
    int parent = openat(folder_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0) {
        (void)fsync(parent);
        (void)close(parent);
    }
}

static enum kw_status open_folder(const struct kw_data_options *options, struct kw_data_folder *folder,
                                  struct kw_error *error_out)
{
    bool made = options->may_make && mkdir(options->path, 0700) == 0;
    if (!made && options->may_make && errno != EEXIST) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_FILE_UNUSABLE, NULL, "cannot make the data folder %s: %s",
                       options->path, strerror(errno));
    }
    folder->fd = open(options->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0) {
        return cannot_open(options, errno, error_out);
    }
    if (made) {
        sync_parent(folder->fd);
    }
    /* Before the lock is made: nothing is left behind in a folder that is not Keyward's. */
    if (!options->may_make && !kw_file_exists(folder->fd, DATABASE_FILE)) {
        return kw_fail(error_out, KW_E_NOT_FOUND, KW_FILE_UNUSABLE, NULL,
                       "%s is not a data folder of Keyward: it holds no " DATABASE_FILE, options->path);
    }
    return KW_OK;
}

static enum kw_status held(const struct kw_data_folder *folder, struct kw_error *error_out)
{
    char digits[16];
    ssize_t size = pread(folder->lock_fd, digits, sizeof digits, 0);
    struct kw_bytes pid = kw_bytes_of(digits, size < 0 ? 0 : (size_t)size);
    struct kw_bytes rest;
    uint64_t number;
    (void)kw_bytes_split(pid, '\n', &pid, &rest);
    if (!kw_bytes_to_u64(pid, &number)) {
        return kw_refuse(error_out, KW_CODE_DATA_IN_USE, NULL, "another process holds %s: stop it first", folder->path);
    }
    return kw_refuse(error_out, KW_CODE_DATA_IN_USE, NULL, "another process (pid %llu) holds %s: stop it first",
                     (unsigned long long)number, folder->path);
}

static enum kw_status take_lock(struct kw_data_folder *folder, struct kw_error *error_out)
{
    folder->lock_fd = openat(folder->fd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (folder->lock_fd < 0) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_FILE_UNUSABLE, NULL, "cannot open %s/" LOCK_FILE ": %s", folder->path,
                       strerror(errno));
    }
    if (flock(folder->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return held(folder, error_out);
        }
        return kw_fail(error_out, KW_E_SYSTEM, KW_FILE_UNUSABLE, NULL, "cannot lock %s/" LOCK_FILE ": %s", folder->path,
                       strerror(errno));
    }
    char line[16];
    int size = snprintf(line, sizeof line, "%ld\n", (long)getpid());
    /* The number only helps the message; the lock itself does not need it. */
    if (ftruncate(folder->lock_fd, 0) == 0 && pwrite(folder->lock_fd, line, (size_t)size, 0) != size) {
        (void)!ftruncate(folder->lock_fd, 0);
    }
    return KW_OK;
}

/*
 * SQLite takes an empty file for a new database: one that was cut to nothing would silently begin anew. Only a crash in
 * the very moment of making the database leaves an empty file that is none of that.
 */
static enum kw_status check_not_empty(const struct kw_data_folder *folder, struct kw_error *error_out)
{
    struct stat about;
    if (fstatat(folder->fd, DATABASE_FILE, &about, 0) != 0 || about.st_size > 0) {
        return KW_OK;
    }
    return kw_refuse(error_out, KW_CODE_STORE_CORRUPT, NULL,
                     "%s/" DATABASE_FILE " is empty: restore it from a backup, or remove it if it never held a key",
                     folder->path);
}

static enum kw_status count_keys(struct kw_store *store, uint64_t *count_out)
{
    uint64_t all;
    uint64_t management;
    enum kw_status status = store->ops->count(store, (struct kw_bytes){0}, &all);
    if (status != KW_OK) {
        return status;
    }
    status = store->ops->count(store, kw_project_built_in(KW_PROJECT_KEYWARD)->name, &management);
    if (status == KW_OK) {
        *count_out = all > management ? all - management : 0;
    }
    return status;
}

static enum kw_status open_store(struct kw_data_folder *folder, struct kw_store **store_out, struct kw_error *error_out)
{
    char path[4096];
    int size = snprintf(path, sizeof path, "%s/" DATABASE_FILE, folder->path);
    if (size < 0 || (size_t)size >= sizeof path) {
        return kw_fail(error_out, KW_E_LIMIT, KW_FILE_UNUSABLE, NULL, "the folder's path is too long");
    }
    struct kw_store *store;
    enum kw_status status = kw_store_sqlite_open(path, &store, error_out);
    if (status != KW_OK) {
        return status;
    }
    status = count_keys(store, &folder->key_count);
    if (status != KW_OK) {
        store->ops->close(store);
        return kw_fail(error_out, status, KW_FILE_UNUSABLE, NULL, "%s cannot be read", path);
    }
    *store_out = store;
    return KW_OK;
}

static enum kw_status open_engine(struct kw_data_folder *folder, const struct kw_data_options *options,
                                  struct kw_error *error_out)
{
    struct kw_peppers peppers KW_PEPPERS_WIPED = {.count = 0};
    enum kw_status status = check_not_empty(folder, error_out);
    if (status == KW_OK) {
        status = kw_pepper_find(folder, options, &peppers, error_out);
    }
    if (status != KW_OK) {
        return status;
    }
    struct kw_pepper_keeper keeper;
    struct kw_sealing_keeper sealing;
    if (kw_pepper_place_new(folder, options, &folder->peppers, &keeper) != KW_OK ||
        kw_sealing_place_new(folder, options, &folder->sealing, &sealing) != KW_OK) {
        return kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL, "there is no memory left to start with");
    }
    struct kw_store *store = NULL;
    struct kw_secret seed KW_WIPED = {.size = 0};
    status = kw_audit_seed_find(folder->fd, folder->path, options->audit_key_file, &options->entropy, &seed, error_out);
    if (status == KW_OK && options->checkpoint_file != NULL) {
        status = kw_checkpoint_file_open(options->checkpoint_file, options->log, &folder->checkpoints, error_out);
    }
    status = status != KW_OK ? status : open_store(folder, &store, error_out);
    if (status != KW_OK) {
        return status;
    }
    struct kw_engine_options engine = {
        .seals_audit = true,
        .runs_schedules = !options->schedules_by_hand,
        .audit_seed = &seed,
        .checkpoint_keeper = {folder->checkpoints, folder->checkpoints == NULL ? NULL : kw_checkpoint_file_keep},
        .pepper = peppers.items,
        .pepper_count = peppers.count,
        .pepper_keeper = &keeper,
        .sealing_keeper = sealing,
        .guard = options->guard,
        .forgotten = options->forgotten,
        .digest_scheme = options->digest_scheme,
        .clock = options->clock,
        .entropy = options->entropy,
        .log = options->log,
    };
    return kw_engine_open(&engine, store, &folder->engine, error_out);
}

enum kw_status kw_data_folder_open(const struct kw_data_options *options, struct kw_data_folder *folder_out,
                                   struct kw_error *error_out)
{
    struct kw_data_folder folder = {.path = options->path, .fd = -1, .lock_fd = -1};
    enum kw_status status = open_folder(options, &folder, error_out);
    if (status == KW_OK) {
        status = take_lock(&folder, error_out);
    }
    if (status == KW_OK) {
        folder.was_there = kw_file_exists(folder.fd, DATABASE_FILE);
        status = open_engine(&folder, options, error_out);
    }
    status = status != KW_OK ? status : kw_pepper_tidy(&folder, error_out);
    if (status != KW_OK) {
        kw_data_folder_close(&folder);
        return status;
    }
    *folder_out = folder;
    return KW_OK;
}

void kw_data_folder_close(struct kw_data_folder *folder)
{
    if (folder->engine != NULL) {
        kw_engine_close(folder->engine);
    }
    kw_pepper_place_free(folder->peppers);
    kw_checkpoint_file_close(folder->checkpoints);
    kw_sealing_place_free(folder->sealing);
    /* The lock goes last, when nothing of the folder is in use any more. */
    if (folder->fd >= 0) {
        (void)close(folder->fd);
    }
    if (folder->lock_fd >= 0) {
        (void)close(folder->lock_fd);
    }
    *folder = (struct kw_data_folder){.fd = -1, .lock_fd = -1};
}
