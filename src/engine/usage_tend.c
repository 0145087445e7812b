#include "base/bytes.h"
#include "engine/usage_table.h"

/* Hours become days, and what is older than a project keeps it goes. */

#define TEND_ROWS_MAX 1000 /* at once */

/* The names of all projects that there are: one after the other, `number` from 1 on. False behind the last. */
static bool next_project(struct kw_engine *engine, uint16_t *number, uint8_t memory[KW_PROJECT_MAX],
                         struct kw_bytes *name_out, int64_t *retention_out)
{
    bool is_found = false;
    kw_index_read_begin();
    const struct kw_catalog *catalog = kw__catalog(engine);
    for (; *number < catalog->number_count && !is_found; (*number)++) {
        const struct kw_project *project = kw_project_by_number(catalog, *number);
        if (project != NULL) {
            memcpy(memory, project->name.data, project->name.size);
            *name_out = kw_bytes_of(memory, project->name.size);
            *retention_out = project->usage_retention_ms == 0 ? KW_USAGE_RETENTION_MS : project->usage_retention_ms;
            is_found = true;
        }
    }
    kw_index_read_end();
    return is_found;
}

bool kw_usage_tend(struct kw_engine *engine)
{
    const struct kw_store_ops *ops = engine->store->ops;
    int64_t now_ms = kw_engine_now_ms(engine);
    uint8_t memory[KW_PROJECT_MAX];
    struct kw_bytes name;
    int64_t retention_ms;
    bool more = false;
    for (uint16_t number = 1; next_project(engine, &number, memory, &name, &retention_ms);) {
        uint64_t rolled = 0;
        uint64_t removed = 0;
        int64_t kept_from_ms = kw_usage_day(now_ms - retention_ms);
        enum kw_status status =
            ops->usage_roll(engine->store, name, kw_usage_hours_from(now_ms), TEND_ROWS_MAX, &rolled);
        status =
            status != KW_OK ? status : ops->usage_prune(engine->store, name, kept_from_ms, TEND_ROWS_MAX, &removed);
        more = more || (status == KW_OK && (rolled == TEND_ROWS_MAX || removed == TEND_ROWS_MAX));
    }
    return more;
}
