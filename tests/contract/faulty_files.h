/*
 * Files whose n-th operation fails: a layer between SQLite and the file system, registered as its default. Counts only
 * while it is armed.
 */
#ifndef KW_TESTS_CONTRACT_FAULTY_FILES_H
#define KW_TESTS_CONTRACT_FAULTY_FILES_H

#include <keyward/types.h>
#include <sqlite3.h>

enum faulty_operation { FAULTY_READ = 1, FAULTY_WRITE = 2, FAULTY_SYNC = 4, FAULTY_TRUNCATE = 8, FAULTY_SHARED = 16 };

struct faulty_files {
    sqlite3_vfs vfs; /* first: SQLite hands it back */
    sqlite3_vfs *real;
    unsigned operations; /* of enum faulty_operation: those that count */
    int64_t left;        /* until one fails; below 0: none does */
    bool stays;          /* so do all after it, as on a full disk */
    int result;          /* what it fails with */
    bool has_failed;
};

bool faulty_files_register(struct faulty_files *files);
void faulty_files_unregister(struct faulty_files *files);
/* The n-th of these operations from now on gives `result`; 0 ends it. */
void faulty_files_arm(struct faulty_files *files, unsigned operations, int64_t nth, int result, bool stays);

#endif
