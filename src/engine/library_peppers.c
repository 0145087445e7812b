#include "base/bytes.h"
#include "engine/library.h"
#include "engine/methods.h"

size_t kw_pepper_list(struct keyward *keyward, struct kw_pepper_use *uses_out, size_t count)
{
    return kw_engine_peppers(keyward->engine, uses_out, count);
}

/* Runs the operation and gives it back. */
static enum kw_status run(struct keyward *keyward, struct kw_op *op, struct kw_bytes actor, struct kw_error *error_out)
{
    enum kw_status status = kw__check_texts(actor, (struct kw_bytes){NULL, 0}, error_out);
    if (status == KW_OK) {
        op->actor = actor.size == 0 ? KW_BYTES("library") : actor;
        status = kw_engine_run(keyward->engine, op);
        if (status != KW_OK && error_out != NULL) {
            *error_out = op->error;
        }
    }
    kw_op_deinit(op);
    return status;
}

enum kw_status kw_pepper_add(struct keyward *keyward, const uint8_t *pepper, struct kw_bytes actor,
                             uint8_t fingerprint_out[KW_PEPPER_FINGERPRINT_SIZE], struct kw_error *error_out)
{
    struct kw_secret secret KW_WIPED = {0};
    struct kw_op op;
    kw_op_init(&op, KW_OP_PEPPER_ADD, KW_PROJECT_KEYWARD);
    if (pepper != NULL) {
        enum kw_status status = kw_secret_set(&secret, kw_bytes_of(pepper, KW_PEPPER_SIZE));
        if (status != KW_OK) {
            return status;
        }
        op.pepper = &secret;
    }
    enum kw_status status = run(keyward, &op, actor, error_out);
    if (status == KW_OK && fingerprint_out != NULL) {
        memcpy(fingerprint_out, op.fingerprint, sizeof op.fingerprint);
    }
    return status;
}

static enum kw_status retire(struct keyward *keyward, const uint8_t *fingerprint, bool forgets_erased,
                             struct kw_bytes actor, struct kw_error *error_out)
{
    struct kw_op op;
    kw_op_init(&op, KW_OP_PEPPER_RETIRE, KW_PROJECT_KEYWARD);
    memcpy(op.fingerprint, fingerprint, sizeof op.fingerprint);
    op.forgets_erased = forgets_erased;
    return run(keyward, &op, actor, error_out);
}

enum kw_status kw_pepper_retire(struct keyward *keyward, const uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE],
                                struct kw_bytes actor, struct kw_error *error_out)
{
    return retire(keyward, fingerprint, false, actor, error_out);
}

enum kw_status kw_pepper_retire_and_forget(struct keyward *keyward,
                                           const uint8_t fingerprint[KW_PEPPER_FINGERPRINT_SIZE], struct kw_bytes actor,
                                           struct kw_error *error_out)
{
    return retire(keyward, fingerprint, true, actor, error_out);
}
