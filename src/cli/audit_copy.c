#include "cli/audit_copy.h"

#include "base/bytes.h"
#include "cli/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define OWN_NAME "\"keyward\""
#define CHUNK_SIZE ((size_t)65536)
#define ENTRY_ARENA_MAX ((size_t)4 * KW_AUDIT_LINE_JSON_MAX)
#define HELD_MAX ((size_t)1000000) /* checkpoints of one project in a file */

void kw_copy_begin(struct kw_copy_proof *copy, const struct kw_audit_chain *head, const uint8_t *public_key,
                   const char *held_path, struct kw_error *error)
{
    *copy = (struct kw_copy_proof){.held_path = held_path, .error = error};
    kw_audit_proof_begin(&copy->proof, head);
    kw_buffer_init(&copy->unread, KW_AUDIT_LINE_JSON_MAX + CHUNK_SIZE);
    if (public_key != NULL) {
        copy->has_key = true;
        memcpy(copy->public_key, public_key, sizeof copy->public_key);
        kw_audit_proof_trust(&copy->proof, public_key);
    }
}

void kw_copy_deinit(struct kw_copy_proof *copy)
{
    kw_free(copy->held);
    kw_buffer_deinit(&copy->unread);
}

static enum kw_status fail(struct kw_copy_proof *copy, const char *why)
{
    return kw_fail(copy->error, KW_E_INVALID, KW_CLI_FAILED, NULL, "line %llu of the copy %s",
                   (unsigned long long)copy->line_count, why);
}

/* --- lines of text, wherever they come from --- */

/* Each whole line of what was read so far; what is left of the last one moves to the front. */
static enum kw_status each_line(struct kw_buffer *read, bool is_last,
                                enum kw_status (*each)(void *context, struct kw_bytes line), void *context)
{
    struct kw_bytes rest = kw_buffer_bytes(read);
    enum kw_status status = KW_OK;
    while (status == KW_OK && rest.size > 0 && (is_last || memchr(rest.data, '\n', rest.size) != NULL)) {
        struct kw_bytes line;
        kw_bytes_split(rest, '\n', &line, &rest);
        status = each(context, line);
    }
    if (rest.size > 0) {
        memmove(read->data, rest.data, rest.size);
    }
    read->size = rest.size;
    return status;
}

static enum kw_status drain_file(const char *path, struct kw_error *error,
                                 enum kw_status (*add)(void *context, struct kw_bytes piece), void *context)
{
    static uint8_t chunk[CHUNK_SIZE];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return kw_fail(error, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be read: %s", path, strerror(errno));
    }
    enum kw_status status = KW_OK;
    for (size_t size = 1; status == KW_OK && size > 0;) {
        size = fread(chunk, 1, sizeof chunk, file);
        status = size > 0 ? add(context, kw_bytes_of(chunk, size)) : KW_OK;
    }
    if (status == KW_OK && ferror(file) != 0) {
        status = kw_fail(error, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be read", path);
    }
    (void)fclose(file);
    return status;
}

/* --- checkpoints that were kept elsewhere --- */

struct holding {
    struct kw_copy_proof *copy;
    struct kw_buffer read;
    uint64_t line_count;
};

static enum kw_status fail_held(const struct holding *holding, const char *why)
{
    return kw_fail(holding->copy->error, KW_E_INVALID, KW_CLI_FAILED, NULL, "line %llu of %s %s",
                   (unsigned long long)holding->line_count, holding->copy->held_path, why);
}

static enum kw_status hold(struct holding *holding, const struct kw_checkpoint *checkpoint)
{
    struct kw_copy_proof *copy = holding->copy;
    if (!copy->has_key) { /* whoever kept the file trusts it */
        copy->has_key = true;
        memcpy(copy->public_key, checkpoint->public_key, sizeof copy->public_key);
        kw_audit_proof_trust(&copy->proof, copy->public_key);
    }
    if (!kw_checkpoint_holds(checkpoint, copy->public_key)) {
        return fail_held(holding, "is not signed by the key that is trusted");
    }
    if (!kw_bytes_equal(checkpoint->project, copy->project) || checkpoint->is_start) {
        return KW_OK;
    }
    if (copy->held_count == copy->held_capacity) {
        size_t capacity = copy->held_capacity == 0 ? 64 : 2 * copy->held_capacity;
        struct kw_audit_chain *held =
            capacity > 2 * HELD_MAX ? NULL : kw_realloc(copy->held, capacity * sizeof *copy->held);
        if (held == NULL) {
            return fail_held(holding, "is more than can be held in memory");
        }
        copy->held = held;
        copy->held_capacity = capacity;
    }
    copy->held[copy->held_count++] = checkpoint->chain;
    return KW_OK;
}

static enum kw_status hold_line(void *context, struct kw_bytes line)
{
    struct holding *holding = context;
    struct kw_checkpoint checkpoint;
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, ENTRY_ARENA_MAX);
    holding->line_count++;
    enum kw_status status = kw_checkpoint_read(line, &arena, &checkpoint, NULL) == KW_OK
                                ? hold(holding, &checkpoint)
                                : fail_held(holding, "is no checkpoint");
    kw_arena_reset(&arena);
    return status;
}

static enum kw_status hold_piece(void *context, struct kw_bytes piece)
{
    struct holding *holding = context;
    kw_buffer_add(&holding->read, piece);
    return kw_buffer_status(&holding->read) == KW_OK ? each_line(&holding->read, false, hold_line, holding)
                                                     : fail_held(holding, "is longer than any checkpoint");
}

static int by_place(const void *a, const void *b)
{
    const struct kw_audit_chain *left = a;
    const struct kw_audit_chain *right = b;
    return left->place < right->place ? -1 : left->place > right->place;
}

/* What a server writes one by one may have begun anew, from a backup: then it goes back. */
static enum kw_status read_held(struct kw_copy_proof *copy)
{
    struct holding holding = {.copy = copy};
    kw_buffer_init(&holding.read, 2 * CHUNK_SIZE);
    enum kw_status status = drain_file(copy->held_path, copy->error, hold_piece, &holding);
    status = status == KW_OK ? each_line(&holding.read, true, hold_line, &holding) : status;
    kw_buffer_deinit(&holding.read);
    if (status == KW_OK && copy->held_count > 0) {
        qsort(copy->held, copy->held_count, sizeof *copy->held, by_place);
        kw_audit_proof_know(&copy->proof, copy->held, copy->held_count);
    }
    return status;
}

/* --- lines of the copy --- */

/* The first line that says whose log it is decides; a copy is of one project. */
static enum kw_status take_project(struct kw_copy_proof *copy, struct kw_bytes project)
{
    if (copy->has_project) {
        return kw_bytes_equal(copy->project, project)
                   ? KW_OK
                   : kw_fail(copy->error, KW_E_INVALID, KW_CLI_FAILED, NULL,
                             "these are entries of several projects: each has a chain of its own, so verify them one "
                             "by one");
    }
    copy->has_project = true;
    copy->project = kw_bytes_of(copy->memory, project.size);
    if (project.size > 0) {
        memcpy(copy->memory, project.data, project.size);
    }
    return copy->held_path == NULL ? KW_OK : read_held(copy);
}

static enum kw_status take_entry(struct kw_copy_proof *copy, struct kw_bytes text, struct kw_arena *arena)
{
    struct kw_audit_line line;
    struct kw_audit_seal seal;
    bool has_seal = false;
    enum kw_status status = kw_audit_line_read(text, arena, &line, &seal, &has_seal, copy->error);
    status = status == KW_OK ? take_project(copy, line.project) : status;
    if (status == KW_OK) {
        kw_audit_proof_add(&copy->proof, &line, has_seal ? &seal : NULL);
        copy->entries++;
    }
    return status;
}

/* What the copy is of, and which key it says to be right: that is believed where nobody knows better. */
static enum kw_status take_head(struct kw_copy_proof *copy, struct kw_bytes text, struct kw_arena *arena)
{
    enum { PROJECT, PUBLIC_KEY, COUNT };
    struct kw_member members[COUNT] = {[PROJECT] = {"projectId"}, [PUBLIC_KEY] = {"publicKey"}};
    if (copy->line_count != 1 || kw_members_read(text, arena, members, COUNT) != KW_OK ||
        members[PROJECT].text.size > KW_PROJECT_MAX) {
        return fail(copy, "is no first line of a copy");
    }
    enum kw_status status = take_project(copy, members[PROJECT].text);
    if (status == KW_OK && !copy->has_key) {
        copy->has_key = kw_hex_decode(members[PUBLIC_KEY].text, copy->public_key, sizeof copy->public_key);
        if (copy->has_key) {
            kw_audit_proof_trust(&copy->proof, copy->public_key);
        }
    }
    return status;
}

static enum kw_status take_checkpoint(struct kw_copy_proof *copy, struct kw_bytes text, struct kw_arena *arena)
{
    struct kw_checkpoint checkpoint;
    enum kw_status status = kw_checkpoint_read(text, arena, &checkpoint, copy->error);
    status = status == KW_OK ? take_project(copy, checkpoint.project) : status;
    if (status != KW_OK) {
        return status;
    }
    if (!copy->has_key || !kw_checkpoint_holds(&checkpoint, copy->public_key)) {
        copy->has_foreign = true;
    } else if (!checkpoint.is_start) {
        kw_audit_proof_meet(&copy->proof, &checkpoint.chain);
    } else if (copy->entries > 0 || copy->proof.start.place > 0) {
        return fail(copy, "says that the log begins behind what was there already");
    } else {
        kw_audit_proof_start(&copy->proof, &checkpoint.chain);
        kw_audit_proof_know(&copy->proof, copy->held, copy->held_count);
    }
    return KW_OK;
}

/* The last line says how many there are, so that a copy which was cut off is not taken for the whole. */
static enum kw_status take_end(struct kw_copy_proof *copy, struct kw_bytes text, struct kw_arena *arena)
{
    struct kw_member number = {.name = "entries"};
    uint64_t entries = 0;
    if (kw_members_read(text, arena, &number, 1) != KW_OK || !kw_bytes_to_u64(number.text, &entries) ||
        entries != copy->entries) {
        return kw_fail(copy->error, KW_E_INVALID, KW_CLI_FAILED, NULL,
                       "the copy is not whole: it has %llu entries, and its last line says otherwise",
                       (unsigned long long)copy->entries);
    }
    copy->has_ended = true;
    return KW_OK;
}

static struct kw_bytes skip_blank(struct kw_bytes text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = kw_bytes_skip(text, 1);
    }
    return text;
}

/* Whether it is about the copy, and no entry: then "keyward" stands first. */
static bool is_about_copy(struct kw_bytes text)
{
    text = skip_blank(text);
    return text.size > 0 && text.data[0] == '{' &&
           kw_bytes_starts_with(skip_blank(kw_bytes_skip(text, 1)), KW_BYTES(OWN_NAME));
}

static enum kw_status take_about_copy(struct kw_copy_proof *copy, struct kw_bytes text, struct kw_arena *arena)
{
    struct kw_member kind = {.name = "keyward"};
    if (kw_members_read(text, arena, &kind, 1) != KW_OK) {
        return fail(copy, "is no JSON");
    }
    return kw_bytes_equal(kind.text, KW_BYTES("end"))     ? take_end(copy, text, arena)
           : kw_bytes_equal(kind.text, KW_BYTES("audit")) ? take_head(copy, text, arena)
                                                          : take_checkpoint(copy, text, arena);
}

static enum kw_status take_line(void *context, struct kw_bytes text)
{
    struct kw_copy_proof *copy = context;
    struct kw_arena arena;
    copy->line_count++;
    if (copy->has_ended) {
        return fail(copy, "stands behind its end");
    }
    kw_arena_init(&arena, NULL, 0, ENTRY_ARENA_MAX);
    enum kw_status status = is_about_copy(text) ? take_about_copy(copy, text, &arena) : take_entry(copy, text, &arena);
    kw_arena_reset(&arena);
    return status;
}

enum kw_status kw_copy_add(struct kw_copy_proof *copy, struct kw_bytes piece)
{
    enum kw_status status = KW_OK;
    while (status == KW_OK && piece.size > 0) {
        size_t size = piece.size < CHUNK_SIZE ? piece.size : CHUNK_SIZE;
        kw_buffer_add(&copy->unread, kw_bytes_of(piece.data, size));
        piece = kw_bytes_skip(piece, size);
        copy->line_count++;
        status = kw_buffer_status(&copy->unread) == KW_OK ? KW_OK : fail(copy, "is longer than any entry");
        copy->line_count--;
        status = status == KW_OK ? each_line(&copy->unread, false, take_line, copy) : status;
    }
    return status;
}

enum kw_status kw_copy_end(struct kw_copy_proof *copy)
{
    enum kw_status status = each_line(&copy->unread, true, take_line, copy);
    if (status == KW_OK && !copy->has_ended) {
        status =
            kw_fail(copy->error, KW_E_INVALID, KW_CLI_FAILED, NULL, "the copy is cut off: its last line is missing");
    }
    if (status == KW_OK) {
        kw_audit_proof_end(&copy->proof);
    }
    return status;
}

static enum kw_status add_piece(void *context, struct kw_bytes piece)
{
    return kw_copy_add(context, piece);
}

enum kw_status kw_copy_of_file(struct kw_copy_proof *copy, const char *path)
{
    enum kw_status status = drain_file(path, copy->error, add_piece, copy);
    return status == KW_OK ? kw_copy_end(copy) : status;
}
