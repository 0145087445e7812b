#include "engine/internal.h"

#include "base/bytes.h"

/* How documents are kept: "project/NAME", "policy/PROJECT/NAME", "template/PROJECT/NAME", "webhook/PROJECT/NAME",
 * "channel/PROJECT/NAME". */
static const struct {
    enum kw_document_kind kind;
    const char *prefix;
} shelves[] = {
    {KW_DOCUMENT_PROJECT, "project/"}, /* first: the others belong to one */
    {KW_DOCUMENT_POLICY, "policy/"},   {KW_DOCUMENT_TEMPLATE, "template/"},
    {KW_DOCUMENT_WEBHOOK, "webhook/"}, {KW_DOCUMENT_CHANNEL, "channel/"},
};

struct loading {
    struct kw_engine *engine;
    struct kw_catalog *catalog;
    enum kw_document_kind kind;
    size_t prefix_size;
};

const struct kw_catalog *kw_engine_catalog(const struct kw_engine *engine)
{
    return kw__catalog(engine);
}

static void log_unreadable(struct kw_engine *engine, struct kw_bytes name, enum kw_status status)
{
    struct kw_log_line line;
    kw_log_begin(&line, &engine->log, KW_LOG_ERROR, "document_unreadable");
    kw_log_bytes(&line, "setting", name);
    kw_log_text(&line, "status", kw_status_name(status));
    kw_log_end(&line);
}

static enum kw_status load_sink(void *context, const struct kw_store_setting *setting)
{
    struct loading *loading = context;
    struct kw_bytes project = {NULL, 0};
    struct kw_bytes name = kw_bytes_skip(setting->name, loading->prefix_size);
    if (loading->kind != KW_DOCUMENT_PROJECT) {
        struct kw_bytes rest = name;
        kw_bytes_split(rest, '/', &project, &name);
    }
    struct kw_document *document = NULL;
    enum kw_status status = kw_document_read(loading->kind, project, setting->value, &document);
    if (status == KW_OK) {
        bool is_sound = kw_bytes_equal(document->name, name) &&
                        (loading->kind != KW_DOCUMENT_PROJECT || document->is.project.number != KW_PROJECT_NONE);
        status = is_sound ? kw_catalog_put(loading->catalog, document) : KW_E_CORRUPT;
        status = status == KW_E_NOT_FOUND ? KW_E_CORRUPT : status;
    }
    kw_document_release(document);
    if (status != KW_OK) {
        log_unreadable(loading->engine, setting->name, status);
    }
    return status;
}

enum kw_status kw__catalog_load(struct kw_engine *engine, struct kw_error *error_out)
{
    struct kw_catalog *catalog = NULL;
    enum kw_status status = kw_catalog_new(&catalog);
    for (size_t i = 0; i < KW_COUNT_OF(shelves) && status == KW_OK; i++) {
        struct kw_bytes prefix = kw_bytes_of_text(shelves[i].prefix);
        struct loading loading = {
            .engine = engine, .catalog = catalog, .kind = shelves[i].kind, .prefix_size = prefix.size};
        status = engine->store->ops->settings_list(engine->store, prefix, load_sink, &loading);
    }
    if (status != KW_OK) {
        kw_catalog_free(catalog);
        return kw__store_failed(error_out, status);
    }
    kw__catalog_publish(engine, catalog);
    return KW_OK;
}

void kw__catalog_publish(struct kw_engine *engine, struct kw_catalog *next_take)
{
    struct kw_catalog *old = engine->catalog;
    __atomic_store_n(&engine->catalog, next_take, __ATOMIC_RELEASE);
    __atomic_fetch_add(&engine->catalog_version, 1, __ATOMIC_RELEASE);
    if (engine->index != NULL) {
        kw_index_set_catalog(engine->index, next_take);
    }
    if (old != NULL) {
        kw_index_read_wait();
        kw_catalog_free(old);
    }
}

bool kw__project_name(const struct kw_engine *engine, uint16_t number, uint8_t memory[KW_PROJECT_MAX],
                      struct kw_bytes *name_out)
{
    kw_index_read_begin();
    const struct kw_project *project = kw_project_by_number(kw__catalog(engine), number);
    if (project != NULL) {
        memcpy(memory, project->name.data, project->name.size);
        *name_out = kw_bytes_of(memory, project->name.size);
    }
    kw_index_read_end();
    return project != NULL;
}

enum kw_status kw__project_gone(struct kw_error *error_out)
{
    return kw_refuse(error_out, KW_CODE_PROJECT_NOT_FOUND, NULL, "there is no such project any more");
}
