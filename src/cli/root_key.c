#include "cli/root_key.h"

#include "cli/secret_input.h"
#include "core/project.h"
#include "engine/files.h"

#include <stdio.h>

/* The announcement of a root key that is being made. While it is there, nobody is sure to have seen that key. */
#define PENDING_FILE "root-key.new"

/* Looks for an active root key. */
static enum kw_status find_root(struct kw_engine *engine, bool *found_out, int64_t *created_at_ms_out,
                                struct kw_error *error_out)
{
    struct kw_list_query query = {
        .owner = KW_BYTES(KW_ROOT_OWNER), .has_status = true, .status = KW_KEY_ACTIVE, .limit = 1};
    struct kw_op op;
    kw_op_init(&op, KW_OP_LIST, KW_PROJECT_KEYWARD);
    op.query = &query;
    enum kw_status status = kw_engine_run(engine, &op);
    struct kw_bytes rest = kw_buffer_bytes(&op.result);
    struct kw_bytes encoding;
    struct kw_record record;
    if (status != KW_OK) {
        *error_out = op.error;
    } else if (kw_op_next(&rest, &encoding) && kw_record_decode(encoding, &record) == KW_OK) {
        *found_out = true;
        *created_at_ms_out = record.created_at_ms;
    }
    kw_op_deinit(&op);
    return status;
}

static enum kw_status announce(const struct kw_data_folder *folder, bool on_terminal, const struct kw_secret *key,
                               struct kw_error *error_out)
{
    struct kw_buffer line;
    kw_buffer_init_secret(&line, KW_SECRET_MAX + 1);
    if (!on_terminal) {
        kw_buffer_add(&line, kw_secret_expose(key));
        kw_buffer_add_byte(&line, '\n');
    }
    enum kw_status status = kw_buffer_status(&line);
    if (status == KW_OK) {
        status = kw_file_replace(folder->fd, folder->path, PENDING_FILE, kw_buffer_bytes(&line), error_out);
    }
    kw_buffer_deinit(&line);
    return status;
}

static enum kw_status make(const struct kw_data_folder *folder, const struct kw_root_key_wish *wish,
                           struct kw_root_key *root, struct kw_error *error_out)
{
    const struct kw_project *keyward = kw_project_built_in(KW_PROJECT_KEYWARD);
    struct kw_secret unused KW_WIPED = {0};
    enum kw_status status = kw_draw_key(&keyward->environments[0].secret_keys, &wish->entropy, &root->key, error_out);
    status = status != KW_OK ? status : announce(folder, wish->on_terminal, &root->key, error_out);
    if (status != KW_OK) {
        return status;
    }
    status = kw_engine_root_key(folder->engine, &root->key, &unused, error_out);
    if (status != KW_OK) {
        /* The announcement stays: if the store took the key after all, the next start makes another one. */
        return status;
    }
    if (wish->on_terminal) {
        root->place = KW_ROOT_KEY_TERMINAL;
        return kw_file_remove(folder->fd, folder->path, KW_ROOT_KEY_FILE_NAME, error_out);
    }
    root->place = KW_ROOT_KEY_FILE;
    kw_secret_wipe(&root->key);
    return kw_file_rename(folder->fd, folder->path, PENDING_FILE, KW_ROOT_KEY_FILE_NAME, error_out);
}

/* True when DIR/root-key holds another key than `chosen`: one that is retired now. */
static bool file_is_stale(const struct kw_data_folder *folder, const struct kw_secret *chosen)
{
    struct kw_buffer kept;
    struct kw_error ignored;
    kw_buffer_init_secret(&kept, KW_SECRET_INPUT_MAX);
    bool read = kw_secret_from_file(folder->fd, KW_ROOT_KEY_FILE_NAME, "the root key", false, &kept, &ignored) == KW_OK;
    bool same = read && kw_constant_time_equal(kw_buffer_bytes(&kept), kw_secret_expose(chosen));
    kw_buffer_deinit(&kept);
    return read && !same;
}

static enum kw_status choose(const struct kw_data_folder *folder, const struct kw_secret *chosen,
                             struct kw_root_key *root, struct kw_error *error_out)
{
    struct kw_secret unused KW_WIPED = {0};
    enum kw_status status = kw_engine_root_key(folder->engine, chosen, &unused, error_out);
    if (status != KW_OK) {
        return status;
    }
    root->place = KW_ROOT_KEY_CHOSEN;
    if (file_is_stale(folder, chosen)) {
        status = kw_file_remove(folder->fd, folder->path, KW_ROOT_KEY_FILE_NAME, error_out);
    }
    return status != KW_OK ? status : kw_root_key_shown(folder, error_out);
}

enum kw_status kw_root_key_settle(const struct kw_data_folder *folder, const struct kw_root_key_wish *wish,
                                  struct kw_root_key *root_out, struct kw_error *error_out)
{
    struct kw_root_key root = {.place = KW_ROOT_KEY_FOUND};
    bool found = false;
    enum kw_status status = KW_OK;
    if (wish->chosen->size > 0) {
        status = choose(folder, wish->chosen, &root, error_out);
    } else {
        status = find_root(folder->engine, &found, &root.created_at_ms, error_out);
        bool pending = kw_file_exists(folder->fd, PENDING_FILE);
        root.again = pending && found && !wish->make_new;
        if (status == KW_OK && (!found || pending || wish->make_new)) {
            status = make(folder, wish, &root, error_out);
        }
    }
    status = status != KW_OK ? status : kw_file_tidy(folder->fd, folder->path, PENDING_FILE, error_out);
    root.has_file = kw_file_exists(folder->fd, KW_ROOT_KEY_FILE_NAME);
    if (status == KW_OK) {
        *root_out = root;
    }
    kw_secret_wipe(&root.key);
    return status;
}

enum kw_status kw_root_key_shown(const struct kw_data_folder *folder, struct kw_error *error_out)
{
    return kw_file_remove(folder->fd, folder->path, PENDING_FILE, error_out);
}
