/* SQLite on files that fail: every read, write, sync and truncation of a workload, one after the other. */
#include "contract/faulty_files.h"
#include "contract/script.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct failure {
    unsigned operations;
    int result;
    bool stays;
    bool may_be_uncertain;
};

static size_t run_from(struct contract *c, size_t first, enum kw_status *status_out)
{
    *status_out = KW_OK;
    for (size_t step = first; step < script_step_count; step++) {
        *status_out = script_step(c, step);
        if (*status_out != KW_OK) {
            return step;
        }
    }
    return script_step_count;
}

/* What the store holds after a step that failed, now or after a reopening: as before it, or as after it. */
static void look(struct contract *c, size_t failed, enum kw_status status, bool reopens,
                 const struct kw_bytes *expected)
{
    if (reopens && !contract_reopen(c)) {
        return;
    }
    struct kw_bytes picture = script_picture(c);
    if (status != KW_E_UNCERTAIN || !kw_bytes_equal(picture, expected[failed + 1])) {
        CHECK_BYTES(c->t, picture, expected[failed]);
    }
}

enum look { LOOK_NOW, LOOK_REOPENED, GO_ON };

/* One run with the n-th operation failing. False when there was no such operation. */
static bool fail_operation(struct test *t, struct faulty_files *files, const struct failure *failure, int64_t nth,
                           enum look then, const struct kw_bytes *expected)
{
    struct contract c;
    enum kw_status status = KW_OK;
    bool has_failed = false;
    if (contract_begin(&c, t, &contract_sqlite) && contract_open(&c)) {
        faulty_files_arm(files, failure->operations, nth, failure->result, failure->stays);
        size_t failed = run_from(&c, 0, &status);
        has_failed = files->has_failed;
        faulty_files_arm(files, 0, 0, SQLITE_OK, false);
        enum kw_status expected_failure = failure->result == SQLITE_FULL ? KW_E_FULL : KW_E_UNAVAILABLE;
        bool is_failure = status == expected_failure || (status == KW_E_UNCERTAIN && failure->may_be_uncertain);
        CHECK(t, is_failure || failed == script_step_count);
        if (failed < script_step_count && then != GO_ON) {
            look(&c, failed, status, then == LOOK_REOPENED, expected);
        } else if (status != KW_E_UNCERTAIN) {
            CHECK(t, run_from(&c, failed, &status) == script_step_count);
            CHECK_BYTES(t, script_picture(&c), expected[script_step_count]);
        }
    }
    contract_end(&c);
    return has_failed;
}

static void fail_every_operation(struct test *t, const struct failure *failure)
{
    struct faulty_files files;
    struct contract model;
    REQUIRE(t, faulty_files_register(&files));
    if (contract_begin(&model, t, &contract_memory)) {
        const struct kw_bytes *expected = script_expectations(&model);
        int64_t nth = 1;
        bool has_failed = expected != NULL;
        for (; has_failed && t->failures == 0; nth++) {
            has_failed = false;
            for (int then = LOOK_NOW; then <= GO_ON; then++) {
                has_failed |= fail_operation(t, &files, failure, nth, (enum look)then, expected);
            }
        }
        CHECK(t, nth > 2);
        if (t->failures > 0) {
            test_fail(t, __FILE__, __LINE__, "with operation %d failing", (int)nth - 1);
        }
    }
    contract_end(&model);
    faulty_files_unregister(&files);
}

static void a_full_disk_changes_nothing(struct test *t)
{
    fail_every_operation(t, &(struct failure){FAULTY_WRITE, SQLITE_FULL, true, false});
}

static void a_write_that_fails_once_changes_nothing(struct test *t)
{
    fail_every_operation(t, &(struct failure){FAULTY_WRITE, SQLITE_IOERR_WRITE, false, false});
}

static void a_sync_that_fails_leaves_all_or_nothing(struct test *t)
{
    fail_every_operation(t, &(struct failure){FAULTY_SYNC, SQLITE_IOERR_FSYNC, false, true});
}

static void a_read_that_fails_changes_nothing(struct test *t)
{
    fail_every_operation(t, &(struct failure){FAULTY_READ, SQLITE_IOERR_READ, false, true});
}

/* This process has taken it back, but the log still holds it: a crash now would bring it to light. */
static void a_commit_whose_sync_failed_may_show_after_a_crash(struct test *t)
{
    struct faulty_files files;
    struct contract c;
    struct contract crashed;
    REQUIRE(t, faulty_files_register(&files));
    bool has_folder = contract_begin(&crashed, t, &contract_sqlite);
    if (contract_begin(&c, t, &contract_sqlite) && contract_open(&c) && has_folder) {
        char wal[CONTRACT_PATH_MAX + 8];
        char wal_copy[CONTRACT_PATH_MAX + 8];
        struct kw_store_put first = contract_put(&c, 1, 0);
        struct kw_store_put second = contract_put(&c, 2, 0);
        snprintf(wal, sizeof wal, "%s-wal", c.path);
        snprintf(wal_copy, sizeof wal_copy, "%s-wal", crashed.path);
        CHECK_STATUS(t, contract_commit_put(&c, first), KW_OK);
        faulty_files_arm(&files, FAULTY_SYNC, 1, SQLITE_IOERR_FSYNC, false);
        CHECK_STATUS(t, contract_commit_put(&c, second), KW_E_UNCERTAIN);
        CHECK(t, files.has_failed);
        contract_check_found(&c, 2, NULL);
        CHECK(t, contract_copy_file(c.path, crashed.path) && contract_copy_file(wal, wal_copy));
        CHECK(t, contract_open(&crashed));
        contract_check_found(&crashed, 1, &first);
        contract_check_found(&crashed, 2, &second);
        CHECK_STATUS(t, contract_commit_put(&c, second), KW_OK);
        contract_check_found(&c, 2, &second);
    }
    contract_end(&c);
    contract_end(&crashed);
    faulty_files_unregister(&files);
}

/* The whole opening, with any operation failing: an error with a message, and the next opening succeeds. */
static void an_opening_that_fails_can_be_made_again(struct test *t)
{
    struct faulty_files files;
    REQUIRE(t, faulty_files_register(&files));
    bool has_failed = true;
    int64_t nth = 1;
    for (; has_failed && t->failures == 0; nth++) {
        struct contract c;
        if (contract_begin(&c, t, &contract_sqlite)) {
            struct kw_error error = {0};
            unsigned operations = FAULTY_READ | FAULTY_WRITE | FAULTY_SYNC | FAULTY_TRUNCATE | FAULTY_SHARED;
            faulty_files_arm(&files, operations, nth, SQLITE_IOERR, false);
            enum kw_status status = kw_store_sqlite_open(c.path, &c.store, &error);
            has_failed = files.has_failed;
            faulty_files_arm(&files, 0, 0, SQLITE_OK, false);
            if (status != KW_OK) {
                CHECK(t, status == KW_E_UNAVAILABLE || status == KW_E_UNCERTAIN);
                CHECK_STATUS(t, error.status, status);
                CHECK_TEXT(t, error.code, "STORE_UNAVAILABLE");
                CHECK(t, error.message[0] != '\0' && error.detail[0] != '\0');
                CHECK(t, contract_open(&c));
            }
            CHECK(t, c.store != NULL && contract_commit_put(&c, contract_put(&c, 1, 0)) == KW_OK);
        }
        contract_end(&c);
    }
    CHECK(t, nth > 10);
    faulty_files_unregister(&files);
}

/* The system's own limit on a file's size, where no test code stands between. */
static void a_file_at_its_limit_is_unavailable_and_readable(struct test *t)
{
    struct contract c;
    struct rlimit before;
    struct stat info;
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    struct sigaction handler_before;
    char wal_path[CONTRACT_PATH_MAX + 8];
    if (contract_begin(&c, t, &contract_sqlite) && contract_open(&c)) {
        struct kw_store_put first = contract_put(&c, 1, 0);
        struct kw_store_put second = contract_put(&c, 2, 0);
        CHECK_STATUS(t, contract_commit_put(&c, first), KW_OK);
        snprintf(wal_path, sizeof wal_path, "%s-wal", c.path);
        CHECK_I64(t, stat(wal_path, &info), 0);
        sigaction(SIGXFSZ, &ignored, &handler_before);
        getrlimit(RLIMIT_FSIZE, &before);
        struct rlimit limit = {.rlim_cur = (rlim_t)info.st_size + 100, .rlim_max = before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        enum kw_status status = contract_commit_put(&c, second);
        contract_check_found(&c, 1, &first);
        contract_check_found(&c, 2, NULL);
        setrlimit(RLIMIT_FSIZE, &before);
        sigaction(SIGXFSZ, &handler_before, NULL);
        CHECK_STATUS(t, status, KW_E_UNAVAILABLE);
        CHECK_STATUS(t, contract_commit_put(&c, second), KW_OK);
        contract_check_found(&c, 2, &second);
    }
    contract_end(&c);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_full_disk_changes_nothing),
        TEST_CASE(a_write_that_fails_once_changes_nothing),
        TEST_CASE(a_sync_that_fails_leaves_all_or_nothing),
        TEST_CASE(a_read_that_fails_changes_nothing),
        TEST_CASE(a_commit_whose_sync_failed_may_show_after_a_crash),
        TEST_CASE(an_opening_that_fails_can_be_made_again),
        TEST_CASE(a_file_at_its_limit_is_unavailable_and_readable),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
