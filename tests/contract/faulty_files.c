#include "contract/faulty_files.h"

struct faulty_file {
    sqlite3_file base;
    struct faulty_files *files;
    sqlite3_file real[]; /* the real one, of its own size */
};

static bool fails(sqlite3_file *file, enum faulty_operation operation)
{
    struct faulty_files *files = ((struct faulty_file *)file)->files;
    if (files->left < 0 || (files->operations & operation) == 0) {
        return false;
    }
    if (files->left > 0) {
        files->left--;
    }
    bool now = files->left == 0;
    if (now && !files->stays) {
        files->left = -1;
    }
    files->has_failed = files->has_failed || now;
    return now;
}

static int result_of(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->files->result;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->real;
}

#define PASS(name, ...) return real_of(file)->pMethods->name(real_of(file), __VA_ARGS__)
#define FAIL_OR_PASS(operation, name, ...) \
    if (fails(file, operation)) { \
        return result_of(file); \
    } \
    PASS(name, __VA_ARGS__)

static int close_file(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int read_file(sqlite3_file *file, void *data, int size, sqlite3_int64 offset)
{
    FAIL_OR_PASS(FAULTY_READ, xRead, data, size, offset);
}

static int write_file(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    FAIL_OR_PASS(FAULTY_WRITE, xWrite, data, size, offset);
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size)
{
    FAIL_OR_PASS(FAULTY_TRUNCATE, xTruncate, size);
}

static int sync_file(sqlite3_file *file, int flags)
{
    FAIL_OR_PASS(FAULTY_SYNC, xSync, flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size_out)
{
    PASS(xFileSize, size_out);
}

static int lock_file(sqlite3_file *file, int level)
{
    PASS(xLock, level);
}

static int unlock_file(sqlite3_file *file, int level)
{
    PASS(xUnlock, level);
}

static int check_reserved_lock(sqlite3_file *file, int *is_reserved_out)
{
    PASS(xCheckReservedLock, is_reserved_out);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    PASS(xFileControl, operation, argument);
}

static int sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int device_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **memory_out)
{
    FAIL_OR_PASS(FAULTY_SHARED, xShmMap, region, size, extend, memory_out);
}

static int shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    PASS(xShmLock, offset, count, flags);
}

static void shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int shm_unmap(sqlite3_file *file, int removes)
{
    PASS(xShmUnmap, removes);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = file_size,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_reserved_lock,
    .xFileControl = file_control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = device_characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *flags_out)
{
    struct faulty_files *files = (struct faulty_files *)vfs;
    struct faulty_file *faulty = (struct faulty_file *)file;
    faulty->files = files;
    faulty->base.pMethods = NULL;
    int result = files->real->xOpen(files->real, name, faulty->real, flags, flags_out);
    if (faulty->real->pMethods != NULL) {
        faulty->base.pMethods = &methods;
    }
    return result;
}

bool faulty_files_register(struct faulty_files *files)
{
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    if (real == NULL) {
        return false;
    }
    *files = (struct faulty_files){.vfs = *real, .real = real, .left = -1};
    files->vfs.zName = "keyward-faulty";
    files->vfs.szOsFile = (int)sizeof(struct faulty_file) + real->szOsFile;
    files->vfs.xOpen = open_file;
    files->vfs.pNext = NULL;
    return sqlite3_vfs_register(&files->vfs, 1) == SQLITE_OK;
}

void faulty_files_unregister(struct faulty_files *files)
{
    sqlite3_vfs_unregister(&files->vfs);
    sqlite3_vfs_register(files->real, 1);
}

void faulty_files_arm(struct faulty_files *files, unsigned operations, int64_t nth, int result, bool stays)
{
    files->operations = operations;
    files->left = nth > 0 ? nth : -1;
    files->stays = stays;
    files->result = result;
    files->has_failed = false;
}
