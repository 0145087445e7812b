#include "engine/documents.h"

#include "base/bytes.h"
#include "base/error.h"
#include "core/id.h"
#include "engine/channels.h"
#include "engine/narrowed.h"
#include "engine/tell.h"

#define SETTING_NAME_MAX KW_STORE_SETTING_NAME_MAX
#define BODY_MAX ((size_t)4 * KW_DOCUMENT_MAX) /* both states of a document, and who changed it */

bool kw__op_is_document(const struct kw_op *op)
{
    return op->kind == KW_OP_DOCUMENT_CREATE || op->kind == KW_OP_DOCUMENT_UPDATE || op->kind == KW_OP_DOCUMENT_DELETE;
}

static enum kw_status no_memory(const struct kw__edit *edit)
{
    return kw__store_failed(&edit->op->error, KW_E_MEMORY);
}

/* --- what may be done --- */

static enum kw_status refuse_missing(const struct kw__edit *edit)
{
    static const enum kw_code codes[] = {
        [KW_DOCUMENT_PROJECT] = KW_CODE_PROJECT_NOT_FOUND,   [KW_DOCUMENT_POLICY] = KW_CODE_POLICY_NOT_FOUND,
        [KW_DOCUMENT_TEMPLATE] = KW_CODE_TEMPLATE_NOT_FOUND, [KW_DOCUMENT_WEBHOOK] = KW_CODE_WEBHOOK_NOT_FOUND,
        [KW_DOCUMENT_CHANNEL] = KW_CODE_CHANNEL_NOT_FOUND,
    };
    return kw_refuse(&edit->op->error, codes[edit->op->document], NULL, "there is no such %s",
                     kw_document_kind_name(edit->op->document));
}

static enum kw_status find_before(struct kw__edit *edit)
{
    static const char *const plurals[] = {[KW_DOCUMENT_PROJECT] = "projects",
                                          [KW_DOCUMENT_POLICY] = "policies",
                                          [KW_DOCUMENT_TEMPLATE] = "templates",
                                          [KW_DOCUMENT_WEBHOOK] = "webhooks",
                                          [KW_DOCUMENT_CHANNEL] = "channels"};
    struct kw_op *op = edit->op;
    const struct kw_catalog *catalog = kw__catalog(edit->engine);
    if (op->document != KW_DOCUMENT_PROJECT) {
        const struct kw_project *project = kw_project_by_number(catalog, op->project);
        if (project == NULL) {
            return kw__project_gone(&op->error);
        }
        if (project->number == KW_PROJECT_KEYWARD) {
            return kw_refuse(&op->error, KW_CODE_BUILT_IN, NULL, "the project of management keys has no %s of its own",
                             plurals[op->document]);
        }
        edit->project = project->name;
    }
    if (op->kind == KW_OP_DOCUMENT_CREATE) {
        return KW_OK;
    }
    edit->before = kw_catalog_find(catalog, op->document, edit->project, op->name);
    if (edit->before == NULL || edit->before->is_deleted) {
        return refuse_missing(edit);
    }
    if (op->document == KW_DOCUMENT_PROJECT) {
        edit->project = edit->before->name;
        uint16_t number = edit->before->is.project.number;
        if (number == KW_PROJECT_KEYWARD || (number == KW_PROJECT_DEFAULT && op->kind == KW_OP_DOCUMENT_DELETE)) {
            return kw_refuse(&op->error, KW_CODE_BUILT_IN, NULL, "the project \"%.*s\" cannot be %s",
                             (int)edit->project.size, (const char *)edit->project.data,
                             op->kind == KW_OP_DOCUMENT_DELETE ? "deleted" : "changed");
        }
    }
    if (op->if_version != 0 && op->if_version != edit->before->version) {
        return kw_refuse(&op->error, KW_CODE_VERSION_CONFLICT, NULL,
                         "it was changed in the meantime: read it again and repeat the change");
    }
    return KW_OK;
}

/* --- the document as it is to be --- */

static enum kw_status check_new(const struct kw__edit *edit)
{
    const struct kw_catalog *catalog = kw__catalog(edit->engine);
    struct kw_op *op = edit->op;
    const struct kw_document *there = kw_catalog_find(catalog, op->document, edit->project, edit->after->name);
    if (there != NULL) {
        return kw_refuse(&op->error, KW_CODE_ALREADY_EXISTS, "name", "%s",
                         there->is_deleted ? "was a project's that is deleted, and is not given again"
                                           : "is taken already");
    }
    int most = op->document == KW_DOCUMENT_WEBHOOK   ? KW_WEBHOOK_COUNT_MAX
               : op->document == KW_DOCUMENT_CHANNEL ? KW_CHANNEL_COUNT_MAX
                                                     : KW_DOCUMENT_COUNT_MAX;
    if (kw_catalog_count(catalog, op->document, edit->project) >= (size_t)most ||
        (op->document == KW_DOCUMENT_PROJECT && catalog->number_count > UINT16_MAX)) {
        return kw_refuse(&op->error, KW_CODE_LIMIT_REACHED, NULL, "there may be %d of this kind, and there are", most);
    }
    return KW_OK;
}

/* A policy or template counts and names what its project has. What the project has forgotten since may stay. */
static enum kw_status check_against_project(const struct kw__edit *edit)
{
    const struct kw_catalog *catalog = kw__catalog(edit->engine);
    const struct kw_project *project = kw_project_by_number(catalog, edit->op->project);
    if (project == NULL) {
        return KW_OK;
    }
    enum kw_status status = kw_document_fits(project, edit->before, edit->after, &edit->op->error);
    struct kw_bytes policy = kw_document_new_policy(edit->before, edit->after);
    if (status == KW_OK && policy.size > 0 && kw_policy_by_name(catalog, project->name, policy) == NULL) {
        return kw_document_refuse_policy(&edit->op->error);
    }
    return status;
}

static enum kw_status make_after(struct kw__edit *edit)
{
    struct kw_op *op = edit->op;
    if (op->kind == KW_OP_DOCUMENT_DELETE && edit->before != NULL) {
        enum kw_status status = op->document == KW_DOCUMENT_PROJECT  ? kw__edit_check_no_keys(edit)
                                : op->document == KW_DOCUMENT_POLICY ? kw__edit_check_no_keys_under(edit)
                                                                     : KW_OK;
        return status != KW_OK || op->document != KW_DOCUMENT_PROJECT
                   ? status
                   : kw_document_tombstone(edit->before, op->now_ms, &edit->after, &op->error);
    }
    size_t number = kw__catalog(edit->engine)->number_count;
    struct kw_document_change change = {.kind = op->document,
                                        .before = edit->before,
                                        .json = op->json,
                                        .project = edit->project,
                                        .number = (uint16_t)(number <= UINT16_MAX ? number : 0),
                                        .now_ms = op->now_ms};
    enum kw_status status = KW_OK;
    if (op->document == KW_DOCUMENT_WEBHOOK && edit->before == NULL) {
        status = kw__webhook_name(edit->engine, op, &change.name);
    } else if (op->document == KW_DOCUMENT_CHANNEL) {
        status = kw__channel_take_url(edit->engine, op, edit->before, &change.json);
    }
    status = status != KW_OK ? status : kw_document_make(&change, &edit->after, &op->error);
    status = status != KW_OK ? status : check_against_project(edit);
    if (status == KW_OK && op->document == KW_DOCUMENT_WEBHOOK) {
        status = kw__webhook_check(edit->engine, edit->before, edit->after, &op->error);
    } else if (status == KW_OK && op->document == KW_DOCUMENT_CHANNEL) {
        status = kw__channel_check(edit->engine, edit->before, edit->after, op);
    }
    if (status == KW_OK && edit->before == NULL) {
        status = check_new(edit);
    } else if (status == KW_OK && op->document == KW_DOCUMENT_PROJECT) {
        status = kw__edit_check_environments(edit);
    }
    return status;
}

/* Which keys a policy takes something from. */
static enum kw_status find_narrowed(const struct kw__edit *edit)
{
    if (edit->op->document != KW_DOCUMENT_POLICY || edit->after == NULL) {
        return KW_OK;
    }
    const struct kw_policy *before = edit->before == NULL ? NULL : &edit->before->is.policy;
    enum kw_status status =
        kw__narrowed_write(edit->engine, edit->project, before, &edit->after->is.policy, &edit->op->other);
    return status == KW_OK ? KW_OK : kw__store_failed(&edit->op->error, status);
}

static enum kw_status make_next(struct kw__edit *edit)
{
    enum kw_status status = kw_catalog_copy(kw__catalog(edit->engine), &edit->next);
    if (status == KW_OK) {
        status =
            edit->after != NULL ? kw_catalog_put(edit->next, edit->after) : kw_catalog_remove(edit->next, edit->before);
    }
    return status == KW_OK ? KW_OK : no_memory(edit);
}

/* --- what is written --- */

static enum kw_status add_setting(struct kw__edit *edit, const struct kw_document *document, struct kw_bytes value)
{
    uint8_t memory[SETTING_NAME_MAX];
    struct kw_buffer name;
    kw_buffer_init_fixed(&name, memory, sizeof memory);
    kw_buffer_add_text(&name, kw_document_kind_name(document->kind));
    kw_buffer_add_byte(&name, '/');
    if (document->kind != KW_DOCUMENT_PROJECT) {
        kw_buffer_add(&name, document->project);
        kw_buffer_add_byte(&name, '/');
    }
    kw_buffer_add(&name, document->name);
    struct kw_store_setting *setting = &edit->settings[edit->setting_count++];
    setting->value = value;
    return kw_arena_copy(&edit->engine->writer_state->arena, kw_buffer_bytes(&name), &setting->name);
}

static bool has_secrets(enum kw_document_kind kind)
{
    return kind == KW_DOCUMENT_WEBHOOK || kind == KW_DOCUMENT_CHANNEL;
}

/* What is sealed of a webhook or channel that goes. */
static enum kw_status drop_secrets(struct kw__edit *edit, const struct kw_document *webhook)
{
    struct kw_store_setting *setting = &edit->settings[edit->setting_count++];
    return kw__webhook_setting_name(edit->engine, webhook, &setting->name);
}

/* All policies, templates, webhooks or channels of a project that goes. */
static enum kw_status remove_all(struct kw__edit *edit, enum kw_document_kind kind)
{
    const struct kw_catalog *catalog = kw__catalog(edit->engine);
    enum kw_status status = KW_OK;
    struct kw_document *document = kw_catalog_after(catalog, kind, edit->project, (struct kw_bytes){NULL, 0});
    while (document != NULL && status == KW_OK) {
        status = add_setting(edit, document, (struct kw_bytes){NULL, 0});
        if (status == KW_OK && has_secrets(kind)) {
            status = drop_secrets(edit, document);
        }
        document = kw_catalog_after(catalog, kind, edit->project, document->name);
    }
    return status;
}

static enum kw_status add_settings(struct kw__edit *edit)
{
    const struct kw_catalog *catalog = kw__catalog(edit->engine);
    bool takes_all = edit->after != NULL && edit->after->is_deleted;
    size_t count = 2;
    if (takes_all) {
        count += 2 * kw_catalog_count(catalog, KW_DOCUMENT_WEBHOOK, edit->project) +
                 2 * kw_catalog_count(catalog, KW_DOCUMENT_CHANNEL, edit->project) +
                 kw_catalog_count(catalog, KW_DOCUMENT_POLICY, edit->project) +
                 kw_catalog_count(catalog, KW_DOCUMENT_TEMPLATE, edit->project);
    }
    edit->settings = kw_arena_take_array(&edit->engine->writer_state->arena, count, sizeof *edit->settings);
    if (edit->settings == NULL) {
        return KW_E_MEMORY;
    }
    enum kw_status status = edit->after != NULL ? add_setting(edit, edit->after, edit->after->json)
                                                : add_setting(edit, edit->before, (struct kw_bytes){NULL, 0});
    for (int kind = KW_DOCUMENT_POLICY; takes_all && kind <= KW_DOCUMENT_CHANNEL && status == KW_OK; kind++) {
        status = remove_all(edit, (enum kw_document_kind)kind);
    }
    if (status == KW_OK && has_secrets(edit->op->document) && edit->after == NULL) {
        status = drop_secrets(edit, edit->before);
    }
    return status;
}

static enum kw_status write_body(struct kw__edit *edit, struct kw_bytes *body_out)
{
    const struct kw_document *shown = edit->after != NULL ? edit->after : edit->before;
    struct kw_buffer text;
    struct kw_json_writer json;
    enum kw_status status = KW_OK;
    kw_buffer_init(&text, BODY_MAX);
    kw_json_writer_init(&json, &text);
    kw_json_begin_object(&json);
    kw_json_name(&json, "name");
    kw_json_string(&json, shown->name);
    kw_json_name(&json, "version");
    kw_json_i64(&json, (int64_t)shown->version);
    kw_json_name(&json, "changes");
    status = kw_document_write_changes(edit->op->document, edit->before, edit->after, &json);
    kw_json_end_object(&json);
    status = status != KW_OK ? status : kw_buffer_status(&text);
    if (status == KW_OK) {
        status = kw_arena_copy(&edit->engine->writer_state->arena, kw_buffer_bytes(&text), body_out);
    }
    kw_buffer_deinit(&text);
    return status;
}

static enum kw_status tell_event(struct kw__edit *edit)
{
    static const char *const types[] = {[KW_DOCUMENT_PROJECT] = "project.changed",
                                        [KW_DOCUMENT_POLICY] = "policy.changed",
                                        [KW_DOCUMENT_TEMPLATE] = "template.changed",
                                        [KW_DOCUMENT_WEBHOOK] = "webhook.changed",
                                        [KW_DOCUMENT_CHANNEL] = "channel.changed"};
    static const char *const changes[] = {"created", "updated", "deleted"};
    const struct kw_document *shown = edit->after != NULL ? edit->after : edit->before;
    struct kw_json_writer json;
    edit->event.type = kw_bytes_of_text(types[edit->op->document]);
    if (edit->op->is_stopped) {
        bool is_paused = shown->is.webhook.subscription.status == KW_SUBSCRIPTION_PAUSED;
        edit->event.type = is_paused ? KW_BYTES("webhook.paused") : KW_BYTES("webhook.disabled");
    }
    kw__tell_begin(edit->engine, NULL, false, &json, &edit->event);
    kw__tell_text(&json, "name", shown->name);
    kw_json_name(&json, "version");
    kw_json_i64(&json, (int64_t)shown->version);
    kw__tell_text(&json, "change", kw_bytes_of_text(changes[edit->op->kind - KW_OP_DOCUMENT_CREATE]));
    kw__tell_text(&json, "actor", kw__tell_actor(edit->op));
    kw__tell_text(&json, "reason", edit->op->is_stopped ? edit->op->reason : (struct kw_bytes){NULL, 0});
    return kw__tell_end(edit->engine, &json, &edit->event);
}

/* The audit entry and the event, which are committed with the change or not at all (DESIGN, invariant 7). */
static enum kw_status add_account(struct kw__edit *edit)
{
    static const char *const actions[][3] = {
        [KW_DOCUMENT_PROJECT] = {"project.created", "project.updated", "project.deleted"},
        [KW_DOCUMENT_POLICY] = {"policy.created", "policy.updated", "policy.deleted"},
        [KW_DOCUMENT_TEMPLATE] = {"template.created", "template.updated", "template.deleted"},
        [KW_DOCUMENT_WEBHOOK] = {"webhook.created", "webhook.updated", "webhook.deleted"},
        [KW_DOCUMENT_CHANNEL] = {"channel.created", "channel.updated", "channel.deleted"},
    };
    struct kw_op *op = edit->op;
    struct kw_bytes action = kw_bytes_of_text(actions[op->document][op->kind - KW_OP_DOCUMENT_CREATE]);
    const struct kw_document *any = edit->after != NULL ? edit->after : edit->before;
    uint8_t random[KW_ID_RANDOM_SIZE];
    edit->audit = (struct kw_store_audit){.at_ms = op->now_ms, .project = any->project, .action = action};
    edit->event = (struct kw_store_event){.at_ms = op->now_ms, .project = any->project};
    enum kw_status status = edit->engine->entropy.draw(edit->engine->entropy.context, random, sizeof random);
    if (status == KW_OK) {
        edit->event.id = kw_id_make(op->now_ms, random);
        status = write_body(edit, &edit->audit.body);
    }
    status = status == KW_OK ? kw__account_who(edit->engine, op, &edit->audit) : status;
    return status != KW_OK ? status : tell_event(edit);
}

/* --- committing --- */

static enum kw_status tell(const struct kw__edit *edit)
{
    kw_buffer_add(&edit->op->result, edit->after != NULL ? edit->after->json : (struct kw_bytes){NULL, 0});
    return kw_buffer_status(&edit->op->result);
}

static enum kw_status publish(struct kw__edit *edit)
{
    kw__catalog_publish(edit->engine, edit->next);
    edit->next = NULL;
    return tell(edit) == KW_OK ? KW_OK : kw__store_failed(&edit->op->error, KW_E_UNCERTAIN);
}

/* True when the write is there. That it is not there proves nothing (see the writer). */
static bool has_happened(const struct kw__edit *edit)
{
    const struct kw_store_setting *setting = &edit->settings[0];
    uint8_t *value = kw_arena_take(&edit->engine->writer_state->arena, KW_DOCUMENT_MAX);
    size_t size = 0;
    if (value == NULL) {
        return false;
    }
    enum kw_status status =
        edit->engine->store->ops->setting(edit->engine->store, setting->name, value, KW_DOCUMENT_MAX, &size);
    if (setting->value.size == 0) {
        return status == KW_E_NOT_FOUND;
    }
    return status == KW_OK && size <= KW_DOCUMENT_MAX && kw_bytes_equal(kw_bytes_of(value, size), setting->value);
}

static enum kw_status commit(struct kw__edit *edit)
{
    struct kw_engine *engine = edit->engine;
    struct kw_store_batch batch = {.audits = &edit->audit,
                                   .audit_count = 1,
                                   .events = &edit->event,
                                   .event_count = 1,
                                   .settings = edit->settings,
                                   .setting_count = edit->setting_count};
    enum kw_status status = engine->store->ops->commit(engine->store, &batch, 1);
    kw__tell_committed(engine);
    __atomic_store_n(&engine->writable, status == KW_OK, __ATOMIC_RELAXED);
    __atomic_fetch_add(&engine->commits, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&engine->commit_ops, 1, __ATOMIC_RELAXED);
    if (batch.outcome == KW_OK || (batch.outcome == KW_E_UNCERTAIN && has_happened(edit))) {
        return publish(edit);
    }
    engine->catalog_doubted = engine->catalog_doubted || batch.outcome == KW_E_UNCERTAIN;
    return kw__store_failed(&edit->op->error, batch.outcome);
}

static enum kw_status prepare(struct kw__edit *edit)
{
    enum kw_status status = find_before(edit);
    status = status != KW_OK ? status : make_after(edit);
    status = status != KW_OK ? status : find_narrowed(edit);
    if (status != KW_OK || edit->op->is_dry_run) {
        return status;
    }
    status = make_next(edit);
    if (status != KW_OK) {
        return status;
    }
    status = add_settings(edit);
    status = status != KW_OK ? status : add_account(edit);
    if (status != KW_OK) {
        return no_memory(edit);
    }
    struct kw_op *op = edit->op;
    bool is_webhook = op->document == KW_DOCUMENT_WEBHOOK && (op->kind == KW_OP_DOCUMENT_CREATE || op->renews_secret);
    if (is_webhook) {
        return kw__webhook_seal(edit->engine, op, edit->after, &edit->settings[edit->setting_count++]);
    }
    bool is_channel = op->document == KW_DOCUMENT_CHANNEL && op->secret.size > 0;
    return is_channel ? kw__channel_seal(edit->engine, op, edit->after, &edit->settings[edit->setting_count++]) : KW_OK;
}

void kw__document_write(struct kw_engine *engine, struct kw_op *op)
{
    struct kw__edit edit = {.engine = engine, .op = op};
    op->now_ms = kw_engine_now_ms(engine);
    op->status = prepare(&edit);
    if (op->status == KW_OK && op->is_dry_run) {
        op->status = tell(&edit) == KW_OK ? KW_OK : no_memory(&edit);
    } else if (op->status == KW_OK) {
        op->status = commit(&edit);
    }
    if (op->document == KW_DOCUMENT_CHANNEL) {
        kw_secret_wipe(&op->secret); /* the caller's own: it is not shown */
    }
    kw_catalog_free(edit.next);
    kw_document_release(edit.after);
    kw_arena_reset(&engine->writer_state->arena);
    op->done(op);
}
