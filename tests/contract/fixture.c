#include "contract/contract.h"
#include "store/sqlite/sqlite.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#define ARENA_MAX (64U * 1024 * 1024)
#define FIRST_BLOCK_SIZE (256U * 1024)
/* Behaviours of very many calls fail at each of the first, then at some of the rest. */
#define EVERY_CALL_UNTIL 64
#define CALLS_SKIPPED_MAX 97
/* Few, so that what waits in memory goes into its table all the time. */
#define DIGESTS_FULL_AT 3
#define DIGESTS_MANY_AT 2

const struct contract_kind contract_memory = {"memory", false, false};
const struct contract_kind contract_sqlite = {"sqlite", true, false};
const struct contract_kind contract_faulty_memory = {"faulty memory", false, true};
const struct contract_kind contract_faulty_sqlite = {"faulty sqlite", true, true};

/* Syncs cost nothing in /dev/shm, and no test of ours can cut the power anyway. */
static const char *temporary_root(void)
{
    const char *chosen = getenv("TMPDIR");
    if (chosen != NULL) {
        return chosen;
    }
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

bool contract_begin(struct contract *c, struct test *t, const struct contract_kind *kind)
{
    *c = (struct contract){.t = t, .kind = kind};
    c->first_block = malloc(FIRST_BLOCK_SIZE);
    kw_arena_init(&c->arena, c->first_block, c->first_block == NULL ? 0 : FIRST_BLOCK_SIZE, ARENA_MAX);
    snprintf(c->folder, sizeof c->folder, "%.200s/keyward-contract-XXXXXX", temporary_root());
    if (mkdtemp(c->folder) == NULL) {
        test_fail(t, __FILE__, __LINE__, "no folder %s", c->folder);
        return false;
    }
    snprintf(c->path, sizeof c->path, "%.240s/keys.db", c->folder);
    return true;
}

static void remove_folder(const char *folder)
{
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        return;
    }
    for (const struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        (void)unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
    (void)rmdir(folder);
}

void contract_end(struct contract *c)
{
    if (c->store != NULL) {
        c->store->ops->close(c->store);
    }
    kw_arena_reset(&c->arena);
    free(c->first_block);
    remove_folder(c->folder);
}

static bool open_plain(struct contract *c, struct kw_store **store_out)
{
    struct kw_error error = {0};
    enum kw_status status =
        c->kind->is_file ? kw_store_sqlite_open(c->path, store_out, &error) : kw_store_memory_open(store_out);
    if (status != KW_OK) {
        test_fail(c->t, __FILE__, __LINE__, "opening gave %s: %s %s", kw_status_name(status), error.message,
                  error.detail);
    } else if (c->kind->is_file) {
        ((struct kw__sqlite *)*store_out)->digests.full_at = DIGESTS_FULL_AT;
        ((struct kw__sqlite *)*store_out)->digests.many_at = DIGESTS_MANY_AT;
    }
    return status == KW_OK;
}

bool contract_open(struct contract *c)
{
    struct kw_store *plain = NULL;
    if (!open_plain(c, &plain)) {
        return false;
    }
    if (!c->kind->is_faulty) {
        c->store = plain;
        return true;
    }
    if (!test_check_status(c->t, __FILE__, __LINE__, "fault", kw_store_fault_open(plain, c->t->seed, &c->fault),
                           KW_OK)) {
        return false;
    }
    c->store = contract_retry_open(c->fault);
    return c->store != NULL;
}

bool contract_reopen(struct contract *c)
{
    if (!c->kind->is_file || c->kind->is_faulty) {
        return true;
    }
    c->store->ops->close(c->store);
    c->store = NULL;
    return contract_open(c);
}

bool contract_copy_file(const char *from, const char *to)
{
    FILE *source = fopen(from, "rb");
    FILE *target = fopen(to, "wb");
    char block[4096];
    bool is_done = source != NULL && target != NULL;
    for (size_t size = is_done ? fread(block, 1, sizeof block, source) : 0; size > 0 && is_done;
         size = fread(block, 1, sizeof block, source)) {
        is_done = fwrite(block, 1, size, target) == size;
    }
    if (source != NULL) {
        fclose(source);
    }
    return target != NULL && fclose(target) == 0 && is_done;
}

/* One run with the n-th call failing. True when there was an n-th call. */
static bool run_failing(struct test *t, const struct contract_kind *kind, contract_behaviour *behaviour, uint64_t nth)
{
    struct contract c;
    bool was_reached = false;
    uint64_t random = t->random;
    if (contract_begin(&c, t, kind) && contract_open(&c)) {
        kw_store_fault_arm(c.fault, KW_FAULT_UNAVAILABLE, nth);
        behaviour(&c);
        was_reached = kw_store_fault_calls(c.fault) >= nth;
    }
    contract_end(&c);
    if (t->failures > 0) {
        test_fail(t, __FILE__, __LINE__, "with call %d failing", (int)nth);
        return false;
    }
    t->random = random; /* every run draws the same */
    return was_reached;
}

void contract_run(struct test *t, const struct contract_kind *kind, contract_behaviour *behaviour)
{
    if (kind->is_faulty) {
        uint64_t nth = 1;
        uint64_t step_random = t->random;
        while (run_failing(t, kind, behaviour, nth)) {
            struct test steps = {.random = step_random + nth};
            nth += nth < EVERY_CALL_UNTIL ? 1 : 1 + test_random_below(&steps, CALLS_SKIPPED_MAX);
        }
        CHECK(t, nth > 1);
        return;
    }
    struct contract c;
    if (contract_begin(&c, t, kind) && contract_open(&c)) {
        behaviour(&c);
    }
    contract_end(&c);
}
