/* What the files behind keyward.h share. */
#ifndef KW_ENGINE_LIBRARY_H
#define KW_ENGINE_LIBRARY_H

#include "engine/data_folder.h"
#include "engine/engine.h"
#include <keyward/keyward.h>

struct keyward {
    struct kw_engine *engine;
    struct kw_data_folder folder; /* owns the engine, unless the program brought a store of its own */
    bool has_folder;
};

/* The number of a project; KW_PROJECT_NONE when there is none of that name. Empty: `default`. */
static inline uint16_t kw__project_of(const struct keyward *keyward, struct kw_bytes name)
{
    if (name.size == 0) {
        return KW_PROJECT_DEFAULT;
    }
    kw_engine_read_begin();
    const struct kw_project *project = kw_project_by_name(kw_engine_catalog(keyward->engine), name);
    uint16_t number = project == NULL ? KW_PROJECT_NONE : project->number;
    kw_engine_read_end();
    return number;
}

#endif
