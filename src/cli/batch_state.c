#include "cli/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/files.h"

#define STATE_MAX ((size_t)64 * 1024)
#define PATH_SIZE 4096
#define STATE_VERSION 1

static enum kw_status cannot(const char *what, const char *path, struct kw_error *error_out)
{
    return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "the state of this run, %s, cannot be %s: %s", path,
                   what, strerror(errno));
}

/* --- writing --- */

static void write_number(struct kw_json_writer *writer, const char *name, uint64_t value)
{
    kw_json_name(writer, name);
    kw_json_i64(writer, (int64_t)value);
}

static void write_text(struct kw_json_writer *writer, const char *name, const char *text)
{
    kw_json_name(writer, name);
    kw_json_text(writer, text);
}

static void write_state(const struct kw_batch_terms *terms, const struct kw_batch_state *state, struct kw_buffer *text)
{
    struct kw_json_writer writer;
    char digest[2 * KW_BATCH_DIGEST_SIZE];
    kw_hex_encode(kw_bytes_of(state->digest, sizeof state->digest), digest);
    kw_json_writer_init(&writer, text);
    kw_json_begin_object(&writer);
    write_number(&writer, "version", STATE_VERSION);
    write_text(&writer, "run", state->run);
    write_text(&writer, "action", terms->action);
    write_text(&writer, "format", terms->format);
    write_text(&writer, "outFormat", terms->out_format);
    write_text(&writer, "place", terms->place);
    write_text(&writer, "project", terms->project);
    kw_json_name(&writer, "map");
    kw_json_string(&writer, terms->map);
    kw_json_name(&writer, "atomic");
    kw_json_bool(&writer, terms->atomic);
    write_number(&writer, "chunk", terms->chunk_size);
    write_number(&writer, "items", state->item_count);
    write_number(&writer, "done", state->done_count);
    write_number(&writer, "refused", state->refused_count);
    write_number(&writer, "lost", state->lost_count);
    write_number(&writer, "outSize", state->out_size);
    kw_json_name(&writer, "mayBeUnderWay");
    kw_json_bool(&writer, state->may_be_under_way);
    write_number(&writer, "writtenMs", (uint64_t)state->written_ms);
    kw_json_name(&writer, "digest");
    kw_json_string(&writer, kw_bytes_of(digest, sizeof digest));
    kw_json_end_object(&writer);
    kw_buffer_add_byte(text, '\n');
}

static bool replace(const char *path, struct kw_bytes content)
{
    char temporary[PATH_SIZE];
    int size = snprintf(temporary, sizeof temporary, "%s.tmp", path);
    if (size < 0 || (size_t)size >= sizeof temporary) {
        errno = ENAMETOOLONG;
        return false;
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool is_written = kw_write_whole(fd, content) && fsync(fd) == 0;
    is_written = close(fd) == 0 && is_written;
    return is_written && rename(temporary, path) == 0 && kw_sync_folder_of(path);
}

enum kw_status kw_batch_state_write(const char *path, const struct kw_batch_terms *terms,
                                    const struct kw_batch_state *state, struct kw_error *error_out)
{
    struct kw_buffer text;
    kw_buffer_init(&text, STATE_MAX);
    write_state(terms, state, &text);
    enum kw_status status = kw_buffer_status(&text);
    if (status != KW_OK) {
        status =
            kw_fail(error_out, status, KW_CLI_FAILED, NULL, "the state of this run is too large: give shorter --map");
    } else if (!replace(path, kw_buffer_bytes(&text))) {
        status = cannot("written", path, error_out);
    }
    kw_buffer_deinit(&text);
    return status;
}

enum kw_status kw_batch_state_remove(const char *path, struct kw_error *error_out)
{
    return unlink(path) == 0 || errno == ENOENT ? KW_OK : cannot("removed", path, error_out);
}

/* --- reading --- */

enum {
    VERSION,
    RUN,
    ACTION,
    FORMAT,
    OUT_FORMAT,
    PLACE,
    PROJECT,
    MAP,
    ATOMIC,
    CHUNK,
    ITEMS,
    DONE,
    REFUSED,
    LOST,
    OUT_SIZE,
    MAY_BE_UNDER_WAY,
    WRITTEN_MS,
    DIGEST,
    MEMBER_COUNT
};

static const char *const member_names[MEMBER_COUNT] = {
    "version", "run",   "action", "format",  "outFormat", "place",   "project",       "map",       "atomic",
    "chunk",   "items", "done",   "refused", "lost",      "outSize", "mayBeUnderWay", "writtenMs", "digest"};

static enum kw_status read_file(const char *path, struct kw_buffer *text, struct kw_error *error_out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) {
        return kw_fail(
            error_out, KW_E_NOT_FOUND, KW_CLI_FAILED, NULL,
            "there is no run to go on with: %s is not there. One that has ended leaves none; leave out --resume "
            "to begin",
            path);
    }
    enum kw_status status = fd < 0 ? KW_E_SYSTEM : kw_file_drain(fd, text);
    int reason = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = reason;
    return status == KW_OK ? KW_OK : cannot("read", path, error_out);
}

static bool take_state(const struct kw_member *members, struct kw_batch_state *state)
{
    struct kw_bytes run = members[RUN].text;
    uint64_t version = 0, written_ms = 0;
    bool is_good = kw_bytes_to_u64(members[VERSION].text, &version) && version == STATE_VERSION;
    is_good = is_good && run.size == KW_BATCH_RUN_SIZE && !kw_bytes_has_control(run);
    is_good = is_good && kw_bytes_to_u64(members[ITEMS].text, &state->item_count) &&
              kw_bytes_to_u64(members[DONE].text, &state->done_count) &&
              kw_bytes_to_u64(members[REFUSED].text, &state->refused_count) &&
              kw_bytes_to_u64(members[LOST].text, &state->lost_count) &&
              kw_bytes_to_u64(members[OUT_SIZE].text, &state->out_size) &&
              kw_bytes_to_u64(members[WRITTEN_MS].text, &written_ms);
    is_good = is_good && kw_hex_decode(members[DIGEST].text, state->digest, sizeof state->digest);
    if (is_good) {
        memcpy(state->run, run.data, run.size);
        state->run[run.size] = '\0';
        state->may_be_under_way = members[MAY_BE_UNDER_WAY].type != KW_JSON_FALSE;
        state->written_ms = (int64_t)written_ms;
    }
    return is_good;
}

/* The first of the terms that is another one now; NULL: none is. */
static const char *find_difference(const struct kw_member *members, const struct kw_batch_terms *terms)
{
    const struct {
        int member;
        struct kw_bytes now;
        const char *name;
    } texts[] = {
        {ACTION, kw_bytes_of_text(terms->action), "the action"},
        {FORMAT, kw_bytes_of_text(terms->format), "--format"},
        {OUT_FORMAT, kw_bytes_of_text(terms->out_format), "--out-format"},
        {PLACE, kw_bytes_of_text(terms->place), "the place, or the management key,"},
        {PROJECT, kw_bytes_of_text(terms->project), "--project"},
        {MAP, terms->map, "--map"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(texts); i++) {
        if (!kw_bytes_equal(members[texts[i].member].text, texts[i].now)) {
            return texts[i].name;
        }
    }
    uint64_t chunk_size = 0;
    if ((members[ATOMIC].type == KW_JSON_TRUE) != terms->atomic) {
        return "--atomic";
    }
    return kw_bytes_to_u64(members[CHUNK].text, &chunk_size) && chunk_size == terms->chunk_size ? NULL : "--chunk";
}

enum kw_status kw_batch_state_read(const char *path, const struct kw_batch_terms *terms,
                                   struct kw_batch_state *state_out, struct kw_error *error_out)
{
    struct kw_member members[MEMBER_COUNT];
    struct kw_batch_state state = {0};
    struct kw_buffer text;
    struct kw_arena arena;
    kw_buffer_init(&text, STATE_MAX);
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        members[i].name = member_names[i];
    }
    enum kw_status status = read_file(path, &text, error_out);
    bool is_read = status == KW_OK;
    status = is_read ? kw_members_read(kw_buffer_bytes(&text), &arena, members, MEMBER_COUNT) : status;
    if (is_read && (status != KW_OK || !take_state(members, &state))) {
        status =
            kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL, "%s is not the state of a run of this version", path);
    }
    const char *other = status == KW_OK ? find_difference(members, terms) : NULL;
    if (other != NULL) {
        status = kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL,
                         "%s was another one when this run began: give the same options to go on with it", other);
    }
    if (status == KW_OK) {
        *state_out = state;
    }
    kw_arena_reset(&arena);
    kw_buffer_deinit(&text);
    return status;
}
