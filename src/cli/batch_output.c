#include "cli/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUT_TEXT_MAX ((size_t)32 * 1024 * 1024)

#define HEADER KW_BYTES("line,ok,id,key,code,message,rotatedFrom\r\n")
enum { LINE, OK, ID, KEY, CODE, MESSAGE, ROTATED_FROM, COLUMN_COUNT };
static const char *const names[COLUMN_COUNT] = {"line", "ok", "id", "key", "code", "message", "rotatedFrom"};

static enum kw_status cannot(const char *what, const char *path, struct kw_error *error_out)
{
    return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be %s: %s",
                   path == NULL ? "standard output" : path, what, strerror(errno));
}

/* Writes what was gathered, and waits for the disk where there is one. */
static enum kw_status flush(struct kw_batch_output *output, struct kw_error *error_out)
{
    if (kw_buffer_status(&output->text) != KW_OK) {
        return kw_fail(error_out, KW_E_MEMORY, KW_CLI_FAILED, NULL, "not enough memory for the output");
    }
    bool is_written = kw_write_whole(output->fd, kw_buffer_bytes(&output->text));
    is_written = is_written && (output->path == NULL || fsync(output->fd) == 0);
    enum kw_status status = is_written ? KW_OK : cannot("written", output->path, error_out);
    output->size += output->text.size;
    kw_buffer_reset(&output->text);
    return status;
}

/* --- opening --- */

static enum kw_status lock(struct kw_batch_output *output, struct kw_error *error_out)
{
    if (flock(output->fd, LOCK_EX | LOCK_NB) == 0) {
        return KW_OK;
    }
    return kw_fail(error_out, KW_E_BUSY, KW_CLI_FAILED, NULL, "%s is being written by another run", output->path);
}

enum kw_status kw_batch_output_open(const char *path, bool is_csv, struct kw_batch_output *output,
                                    struct kw_error *error_out)
{
    output->path = path;
    output->is_csv = is_csv;
    output->fd = STDOUT_FILENO;
    kw_buffer_init_secret(&output->text, OUT_TEXT_MAX);
    if (path != NULL) {
        output->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
        if (output->fd < 0 && errno == EEXIST) {
            return kw_fail(
                error_out, KW_E_INVALID, KW_CLI_FAILED, NULL,
                "%s is there already, and may hold keys: give --out another name, or --resume if it is of a run "
                "that was stopped",
                path);
        }
        if (output->fd < 0) {
            return cannot("made", path, error_out);
        }
        enum kw_status status = lock(output, error_out);
        if (status != KW_OK) {
            return status;
        }
    }
    if (is_csv) {
        kw_buffer_add(&output->text, HEADER);
    }
    return flush(output, error_out);
}

/* --- what an earlier run left --- */

/* What one line says; false where it is none of ours. */
static bool read_ndjson(struct kw_bytes line, uint64_t *number_out, bool *is_ok_out, bool *is_lost_out)
{
    struct kw_member members[COLUMN_COUNT];
    struct kw_arena arena;
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        members[i].name = names[i];
    }
    kw_arena_init(&arena, NULL, 0, KW_ANSWER_ARENA_MAX);
    bool is_read = kw_members_read(line, &arena, members, COLUMN_COUNT) == KW_OK &&
                   kw_bytes_to_u64(members[LINE].text, number_out);
    if (is_read) {
        *is_ok_out = members[OK].type == KW_JSON_TRUE;
        *is_lost_out = kw_bytes_equal(members[CODE].text, KW_BYTES("SECRET_ALREADY_SHOWN"));
    }
    kw_arena_reset(&arena);
    return is_read;
}

static bool read_csv(struct kw_bytes line, uint64_t *number_out, bool *is_ok_out, bool *is_lost_out)
{
    struct kw_csv csv;
    bool has_row = false;
    kw_csv_init(&csv, KW_BATCH_ITEM_MAX);
    bool is_read = kw_csv_read(&csv, &line, true, &has_row, NULL) == KW_OK && has_row &&
                   csv.cell_count == COLUMN_COUNT && kw_bytes_to_u64(kw_csv_cell(&csv, LINE), number_out);
    if (is_read) {
        *is_ok_out = kw_bytes_equal(kw_csv_cell(&csv, OK), KW_BYTES("true"));
        *is_lost_out = kw_bytes_equal(kw_csv_cell(&csv, CODE), KW_BYTES("SECRET_ALREADY_SHOWN"));
    }
    kw_csv_deinit(&csv);
    return is_read;
}

/*
 * Counts whole lines behind `size`. Each was written after its item was done; one that is not whole is cut off, and its
 * item is asked about again. All-or-none chunks that were refused did nothing: their lines are written anew.
 */
static void find_lines(struct kw_batch_output *output, struct kw_bytes tail, bool atomic)
{
    struct kw_bytes line, rest;
    while (output->found_count < KW_BATCH_CHUNK_MAX && kw_bytes_split(tail, '\n', &line, &rest)) {
        uint64_t number;
        bool is_ok, is_lost;
        bool is_read =
            output->is_csv ? read_csv(line, &number, &is_ok, &is_lost) : read_ndjson(line, &number, &is_ok, &is_lost);
        if (!is_read || (atomic && !is_ok && !is_lost)) {
            return;
        }
        output->found_lines[output->found_count++] = number;
        output->found_done += is_ok;
        output->found_lost += is_lost;
        output->size += line.size + 1;
        tail = rest;
    }
}

/* Reads what stands behind `size`. */
static enum kw_status read_tail(struct kw_batch_output *output, uint64_t size, struct kw_buffer *tail,
                                struct kw_error *error_out)
{
    struct stat file;
    if (fstat(output->fd, &file) != 0 || !S_ISREG(file.st_mode)) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL, "%s is no file", output->path);
    }
    if ((uint64_t)file.st_size < size) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL,
                       "%s is shorter than this run left it: without its lines it cannot be gone on with",
                       output->path);
    }
    size_t left = (uint64_t)file.st_size - size > OUT_TEXT_MAX ? OUT_TEXT_MAX : (size_t)((uint64_t)file.st_size - size);
    while (tail->size < left) {
        uint8_t *place = kw_buffer_reserve(tail, left - tail->size);
        ssize_t count = place == NULL ? -1 : pread(output->fd, place, left - tail->size, (off_t)(size + tail->size));
        if (count < 0 && place != NULL && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return cannot("read", output->path, error_out);
        }
        tail->size += (size_t)count;
    }
    return KW_OK;
}

static enum kw_status cut(struct kw_batch_output *output, struct kw_error *error_out)
{
    bool is_cut = ftruncate(output->fd, (off_t)output->size) == 0 && fsync(output->fd) == 0 &&
                  lseek(output->fd, 0, SEEK_END) >= 0;
    return is_cut ? KW_OK : cannot("written", output->path, error_out);
}

enum kw_status kw_batch_output_reopen(const char *path, bool is_csv, uint64_t size, bool atomic,
                                      struct kw_batch_output *output, struct kw_error *error_out)
{
    bool is_file = path != NULL && access(path, F_OK) == 0;
    if (!is_file && size > 0 && path != NULL) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL, "%s, which this run has written to, is not there",
                       path);
    }
    if (!is_file) {
        return kw_batch_output_open(path, is_csv, output, error_out);
    }
    output->path = path;
    output->is_csv = is_csv;
    output->size = size;
    kw_buffer_init_secret(&output->text, OUT_TEXT_MAX);
    output->fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
    enum kw_status status = output->fd < 0 ? cannot("opened", path, error_out) : lock(output, error_out);
    if (status != KW_OK) {
        return status;
    }
    struct kw_buffer tail;
    kw_buffer_init_secret(&tail, OUT_TEXT_MAX);
    status = read_tail(output, size, &tail, error_out);
    struct kw_bytes lines = kw_buffer_bytes(&tail);
    if (status == KW_OK && is_csv && size == 0 && kw_bytes_starts_with(lines, HEADER)) {
        lines = kw_bytes_skip(lines, HEADER.size);
        output->size = HEADER.size;
    }
    if (status == KW_OK) {
        find_lines(output, lines, atomic);
        status = cut(output, error_out);
    }
    kw_buffer_deinit(&tail);
    if (status == KW_OK && is_csv && output->size == 0) {
        kw_buffer_add(&output->text, HEADER);
        status = flush(output, error_out);
    }
    return status;
}

void kw_batch_output_close(struct kw_batch_output *output)
{
    if (output->fd > STDERR_FILENO) {
        (void)close(output->fd);
    }
    kw_buffer_deinit(&output->text);
    output->fd = -1;
}

/* --- lines --- */

static void write_ndjson(struct kw_buffer *text, const struct kw_batch_item *item, const struct kw_bytes *values)
{
    struct kw_json_writer writer;
    kw_json_writer_init(&writer, text);
    kw_json_begin_object(&writer);
    kw_json_name(&writer, names[LINE]);
    kw_json_i64(&writer, (int64_t)item->line);
    kw_json_name(&writer, names[OK]);
    kw_json_bool(&writer, item->result.is_ok);
    for (size_t i = ID; i < COLUMN_COUNT; i++) {
        if (values[i].size > 0) {
            kw_json_name(&writer, names[i]);
            kw_json_string(&writer, values[i]);
        }
    }
    kw_json_end_object(&writer);
    kw_buffer_add_byte(text, '\n');
}

static void write_csv(struct kw_buffer *text, const struct kw_batch_item *item, const struct kw_bytes *values)
{
    kw_buffer_add_u64(text, item->line);
    kw_buffer_add_text(text, item->result.is_ok ? ",true" : ",false");
    for (size_t i = ID; i < COLUMN_COUNT; i++) {
        kw_buffer_add_byte(text, ',');
        kw_csv_write_cell(text, values[i]);
    }
    kw_buffer_add_text(text, "\r\n");
}

enum kw_status kw_batch_output_write(struct kw_batch_output *output, const struct kw_batch_chunk *chunk,
                                     struct kw_error *error_out)
{
    for (size_t i = 0; i < chunk->count; i++) {
        const struct kw_batch_item *item = &chunk->items[i];
        const struct kw_batch_result *result = &item->result;
        const struct kw_bytes values[COLUMN_COUNT] = {[ID] = result->id,
                                                      [KEY] = result->key,
                                                      [CODE] = result->code,
                                                      [MESSAGE] = result->message,
                                                      [ROTATED_FROM] = result->rotated_from};
        if (output->is_csv) {
            write_csv(&output->text, item, values);
        } else {
            write_ndjson(&output->text, item, values);
        }
    }
    return flush(output, error_out);
}
