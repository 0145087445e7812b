#include "drawer.h"

#include "core/transition.h"

static struct {
    struct kw_store_ops ops;
    const struct kw_store_ops *inner;
    unsigned writes, stops_at; /* atomic, as the next */
    bool happens;
} machine;

/* One write: whether it has an effect, and whether anybody lives to see that. */
static void write_down(bool *happens_out, bool *lives_out)
{
    unsigned now = __atomic_add_fetch(&machine.writes, 1, __ATOMIC_RELAXED);
    unsigned stops_at = __atomic_load_n(&machine.stops_at, __ATOMIC_ACQUIRE);
    *lives_out = stops_at == 0 || now < stops_at;
    *happens_out = *lives_out || (now == stops_at && __atomic_load_n(&machine.happens, __ATOMIC_RELAXED));
}

static enum kw_status machine_commit(struct kw_store *store, struct kw_store_batch *batches, size_t batch_count)
{
    bool happens;
    bool lives;
    write_down(&happens, &lives);
    enum kw_status status = happens ? machine.inner->commit(store, batches, batch_count) : KW_E_UNAVAILABLE;
    for (size_t i = 0; i < batch_count && !lives; i++) {
        batches[i].outcome = KW_E_UNAVAILABLE;
    }
    return lives ? status : KW_E_UNAVAILABLE;
}

static enum kw_status refuse(struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_FILE_UNUSABLE, NULL, "the drawer is stuck");
}

static enum kw_status drawer_read(void *context, struct kw_peppers *peppers_out, struct kw_error *error_out)
{
    const struct drawer *drawer = context;
    if (drawer->is_out_of_reach) {
        return refuse(error_out);
    }
    *peppers_out = drawer->kept;
    return KW_OK;
}

static enum kw_status drawer_write(void *context, const struct kw_peppers *peppers, struct kw_error *error_out)
{
    struct drawer *drawer = context;
    bool happens;
    bool lives;
    if (drawer->on_write != NULL) {
        drawer->on_write(drawer->context);
    }
    write_down(&happens, &lives);
    if (++drawer->writes == drawer->fails_at) {
        happens = happens && drawer->fails_lately;
        lives = false;
    }
    if (happens) {
        drawer->kept = *peppers;
    }
    return lives ? KW_OK : refuse(error_out);
}

bool drawer_begin(struct test *t, struct house *house, struct drawer *drawer, const char *peppers)
{
    *drawer = (struct drawer){.kept = {.count = strlen(peppers)}, .keeper = {drawer, drawer_read, drawer_write}};
    for (size_t i = 0; i < drawer->kept.count; i++) {
        house_pepper(peppers[i], &drawer->kept.items[i]);
    }
    if (!house_begin(t, house, false)) {
        return false;
    }
    house->keeper = &drawer->keeper;
    house->kept = &drawer->kept;
    machine.inner = house->shelf->ops;
    machine.ops = *machine.inner;
    machine.ops.commit = machine_commit;
    house->shelf->ops = &machine.ops;
    drawer_stop_machine(0, false);
    return true;
}

void drawer_end(struct house *house, struct drawer *drawer)
{
    house_close(house);
    house->shelf->ops = machine.inner;
    house_end(house);
    kw_peppers_wipe(&drawer->kept);
}

void drawer_show(const struct drawer *drawer, char letters[KW_PEPPERS_MAX + 1])
{
    for (size_t i = 0; i < drawer->kept.count; i++) {
        letters[i] = '?';
        for (const char *letter = "abcdefghijklmnopqrstuvwxyz"; *letter != '\0'; letter++) {
            struct kw_secret known KW_WIPED = {0};
            house_pepper(*letter, &known);
            if (kw_constant_time_equal(kw_secret_expose(&known), kw_secret_expose(&drawer->kept.items[i]))) {
                letters[i] = *letter;
            }
        }
    }
    letters[drawer->kept.count] = '\0';
}

void drawer_stop_machine(unsigned nth, bool happens)
{
    __atomic_store_n(&machine.writes, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&machine.happens, happens, __ATOMIC_RELAXED);
    __atomic_store_n(&machine.stops_at, nth, __ATOMIC_RELEASE);
}

unsigned drawer_machine_writes(void)
{
    return __atomic_load_n(&machine.writes, __ATOMIC_RELAXED);
}

static enum kw_status run(struct house *house, struct kw_op *op, struct kw_error *error_out)
{
    op->actor = KW_BYTES("test");
    enum kw_status status = kw_engine_run(house->fixture.engine, op);
    if (error_out != NULL) {
        *error_out = op->error;
    }
    kw_op_deinit(op);
    return status;
}

enum kw_status drawer_add(struct house *house, char letter, struct kw_error *error_out)
{
    struct kw_secret pepper KW_WIPED = {0};
    struct kw_op op;
    kw_op_init(&op, KW_OP_PEPPER_ADD, KW_PROJECT_KEYWARD);
    if (letter != '\0') {
        house_pepper(letter, &pepper);
        op.pepper = &pepper;
    }
    return run(house, &op, error_out);
}

enum kw_status drawer_retire(struct house *house, const uint8_t *fingerprint, struct kw_error *error_out)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_PEPPER_RETIRE, KW_PROJECT_KEYWARD);
    memcpy(op.fingerprint, fingerprint, sizeof op.fingerprint);
    op.forgets_erased = house->forgets_erased;
    return run(house, &op, error_out);
}

enum kw_status drawer_retire_letter(struct house *house, char letter, struct kw_error *error_out)
{
    uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE];
    struct kw_secret pepper KW_WIPED = {0};
    house_pepper(letter, &pepper);
    kw_pepper_fingerprint(&pepper, fingerprint);
    return drawer_retire(house, fingerprint, error_out);
}
