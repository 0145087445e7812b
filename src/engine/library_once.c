#include "engine/library.h"

#include "base/bytes.h"
#include "core/once.h"

#define ONCE_MEMORY_MAX ((size_t)4 * 1024 * 1024)

/* Where keys of requests are apart; NULL for operations that take none. */
static const char *once_route(enum kw_op_kind kind)
{
    switch (kind) {
    case KW_OP_CREATE:
        return "kw_create";
    case KW_OP_ROTATE:
        return "kw_rotate";
    case KW_OP_UPDATE:
        return "kw_update";
    case KW_OP_REVOKE:
        return "kw_revoke";
    default:
        return NULL;
    }
}

/* What names the request, and tells it from others. */
static enum kw_status name_once(const struct kw_change_request *request, const struct kw_op *op, struct kw_arena *arena,
                                struct kw_once *once_out, struct kw_error *error_out)
{
    static const struct kw_key_params nothing;
    bool creates = op->kind == KW_OP_CREATE;
    struct kw_once_place place = {.caller = op->actor,
                                  .project = request->project.size == 0 ? KW_BYTES("default") : request->project,
                                  .route = kw_bytes_of_text(once_route(op->kind))};
    struct kw_bytes params;
    enum kw_status status = kw_once_key_check(request->idempotency_key, "idempotency_key", error_out);
    status = status != KW_OK ? status
                             : kw_once_params(op->params == NULL ? &nothing : op->params, arena, &params, error_out);
    if (status != KW_OK) {
        return status;
    }
    const struct kw_bytes asked[] = {
        params,
        kw_bytes_of(op->id.bytes, creates ? 0 : sizeof op->id.bytes),
        kw_bytes_of((const uint8_t *)&op->grace_ms, sizeof op->grace_ms),
        op->ends_grace ? KW_BYTES("endGraceOnFirstUse") : KW_BYTES(""),
        op->template_name,
        op->preset,
        op->reason,
        op->spares_children ? KW_BYTES("noCascade") : KW_BYTES(""),
    };
    /* The last two are of revocations alone: what stands for the others is as it always was. */
    size_t count = KW_COUNT_OF(asked) - (op->kind == KW_OP_REVOKE ? 0 : 2);
    kw_once_make(&place, request->idempotency_key, asked, count, once_out);
    return KW_OK;
}

enum kw_status kw__op_name_once(const struct kw_change_request *request, struct kw_op *op, struct kw_once *once,
                                struct kw_error *error_out)
{
    if (request->idempotency_key.size == 0 || once_route(op->kind) == NULL) {
        return KW_OK;
    }
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, ONCE_MEMORY_MAX);
    enum kw_status status = name_once(request, op, &arena, once, error_out);
    kw_arena_reset(&arena);
    op->once = once;
    return status;
}
