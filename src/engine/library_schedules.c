#include "engine/library.h"
#include "engine/scheduler.h"

enum kw_status kw_schedules_run(struct keyward *keyward, struct kw_error *error_out)
{
    if (keyward->engine->scheduler != NULL) {
        return kw_refuse(error_out, KW_CODE_INVALID_REQUEST, NULL,
                         "a thread sees to schedules: only a program that keeps time itself says when");
    }
    enum kw_status status = kw_engine_run_schedules(keyward->engine);
    return status == KW_OK ? KW_OK : kw__store_failed(error_out, status);
}
