#include "cli/batch.h"
#include "cli/text.h"

#include "core/digest.h"
#include "core/transition.h"
#include "server/bodies.h"
#include "server/router.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_SIZE ((size_t)64 * 1024)
#define ITEM_ARENA_MAX ((size_t)4 * 1024 * 1024)

bool kw_batch_is_stopped(int signals)
{
    struct pollfd wait = {.fd = signals, .events = POLLIN};
    return poll(&wait, 1, 0) > 0 && (wait.revents & POLLIN) != 0;
}

/* --- opening --- */

/* The schema of one item of the route's body. */
static const struct kw_schema *item_schema(const char *path)
{
    const struct kw_schema *body = kw_route_find(KW_POST, kw_bytes_of_text(path)).route->body;
    for (size_t i = 0; i < body->field_count; i++) {
        if (kw_bytes_equal(body->fields[i].name, KW_BYTES("items"))) {
            return body->fields[i].items;
        }
    }
    return NULL;
}

static enum kw_status choose_format(const struct kw_command_line *line, const char *path, bool *is_csv_out,
                                    struct kw_error *error_out)
{
    const char *format = kw_line_value(line, "format");
    if (format != NULL && strcmp(format, "csv") != 0 && strcmp(format, "ndjson") != 0) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--format must be csv or ndjson");
    }
    if (format == NULL && kw_text_ends_with(path, ".csv")) {
        format = "csv";
    } else if (format == NULL && (kw_text_ends_with(path, ".ndjson") || kw_text_ends_with(path, ".jsonl"))) {
        format = "ndjson";
    } else if (format == NULL) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "%s does not say what it holds: give --format csv or --format ndjson", path);
    }
    *is_csv_out = strcmp(format, "csv") == 0;
    if (!*is_csv_out && kw_line_has(line, "map")) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--map is about the columns of a CSV");
    }
    return KW_OK;
}

static enum kw_status open_file(const char *path, struct kw_batch_input *input, struct kw_error *error_out)
{
    struct stat file;
    bool is_standard = strcmp(path, "-") == 0;
    input->fd = is_standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (input->fd < 0 || fstat(input->fd, &file) != 0 || S_ISDIR(file.st_mode)) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be read: %s", input->name,
                       strerror(input->fd < 0 ? errno : EISDIR));
    }
    input->size = S_ISREG(file.st_mode) ? (uint64_t)file.st_size : 0;
    return KW_OK;
}

/* --- reading --- */

/* Waits for more of the input, or for a signal. */
static enum kw_status read_block(struct kw_batch_input *input, struct kw_error *error_out)
{
    struct pollfd waits[2] = {{.fd = input->fd, .events = POLLIN}, {.fd = input->signals, .events = POLLIN}};
    while (poll(waits, 2, -1) < 0 && errno == EINTR) {
    }
    if ((waits[1].revents & POLLIN) != 0) {
        input->is_stopped = true;
        return KW_OK;
    }
    ssize_t size;
    do {
        size = read(input->fd, input->block, BLOCK_SIZE);
    } while (size < 0 && errno == EINTR);
    if (size < 0) {
        return kw_fail(error_out, KW_E_SYSTEM, KW_CLI_FAILED, NULL, "%s cannot be read: %s", input->name,
                       strerror(errno));
    }
    input->is_end = size == 0;
    input->rest = kw_bytes_of(input->block, (size_t)size);
    input->size_read += (uint64_t)size;
    return KW_OK;
}

/* A row of CSV. What is wrong with it alone comes back in `error_out` with KW_OK and `is_bad_out`. */
static enum kw_status next_row(struct kw_batch_input *input, bool *has_row_out, bool *is_bad_out,
                               struct kw_error *error_out)
{
    *is_bad_out = *has_row_out = false;
    for (;;) {
        enum kw_status status = kw_csv_read(&input->csv, &input->rest, input->is_end, has_row_out, error_out);
        if (status == KW_E_INVALID) {
            *is_bad_out = *has_row_out = true;
            return KW_OK;
        }
        if (status != KW_OK || *has_row_out || input->is_end) {
            return status;
        }
        status = read_block(input, error_out);
        if (status != KW_OK || input->is_stopped) {
            return status;
        }
    }
}

/* Moves what the block has of the line; true when that was the end of it. */
static bool take_line_piece(struct kw_batch_input *input)
{
    struct kw_bytes piece, rest;
    bool is_whole = kw_bytes_split(input->rest, '\n', &piece, &rest);
    input->rest = rest;
    if (input->text_line.size + piece.size > KW_BATCH_ITEM_MAX) {
        input->line_is_too_long = true;
    } else {
        kw_buffer_add(&input->text_line, piece);
    }
    return is_whole;
}

static bool is_blank(struct kw_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != ' ' && text.data[i] != '\t' && text.data[i] != '\r') {
            return false;
        }
    }
    return true;
}

/* Not kw_buffer_reset, which wipes all that a long line once made it grow to. */
static void forget_line(struct kw_batch_input *input)
{
    kw_wipe(input->text_line.data, input->text_line.size);
    input->text_line.size = 0;
}

/* A line that is not blank, in text_line. */
static enum kw_status next_line(struct kw_batch_input *input, bool *has_line_out, struct kw_error *error_out)
{
    *has_line_out = false;
    forget_line(input);
    input->line_is_too_long = false;
    for (;;) {
        bool is_whole = input->rest.size > 0 && take_line_piece(input);
        bool is_over = is_whole || (input->is_end && input->rest.size == 0);
        bool holds_something = input->line_is_too_long || !is_blank(kw_buffer_bytes(&input->text_line));
        if (is_over) {
            input->line_number++;
        }
        if (is_over && holds_something) {
            *has_line_out = true;
            return KW_OK;
        }
        if (is_over && !is_whole) {
            return KW_OK;
        }
        if (is_over) {
            forget_line(input);
        }
        enum kw_status status = input->rest.size > 0 || input->is_end ? KW_OK : read_block(input, error_out);
        if (status != KW_OK || input->is_stopped) {
            return status;
        }
    }
}

static struct kw_bytes without_mark(const struct kw_batch_input *input, struct kw_bytes line)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    bool has_mark = input->line_number == 1 && kw_bytes_starts_with(line, kw_bytes_of(mark, sizeof mark));
    return has_mark ? kw_bytes_skip(line, sizeof mark) : line;
}

/* --- items --- */

void kw_batch_refuse(struct kw_batch_chunk *chunk, struct kw_batch_item *item, const char *code, const char *message)
{
    struct kw_bytes text = {NULL, 0};
    item->result = (struct kw_batch_result){.is_known = true, .code = kw_bytes_of_text(code)};
    if (kw_arena_copy(&chunk->arena, kw_bytes_of_text(message), &text) == KW_OK) {
        item->result.message = text;
    }
}

static void refuse(struct kw_batch_chunk *chunk, struct kw_batch_item *item, const struct kw_error *error)
{
    char message[sizeof error->message + sizeof error->field + 4];
    bool has_field = error->field[0] != '\0';
    const char *field = kw_looks_like_key(error->field) ? "a field" : error->field;
    snprintf(message, sizeof message, "%s%s%s", field, has_field ? ": " : "", error->message);
    kw_batch_refuse(chunk, item, error->code, message);
    item->size = 0;
}

/* Whether the server would understand it, and whether it has a name of its own. */
static enum kw_status check_item(const struct kw_batch_input *input, struct kw_bytes json, bool *has_name_out,
                                 struct kw_error *error_out)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, ITEM_ARENA_MAX);
    void *bound = kw_arena_take(&arena, input->schema->size);
    enum kw_status status =
        bound == NULL ? KW_E_MEMORY : kw_schema_bind_json(input->schema, json, &arena, bound, error_out);
    if (status != KW_OK && error_out->code != NULL && strcmp(error_out->code, "INVALID_REQUEST") == 0) {
        status = kw_refuse(error_out, KW_CODE_INVALID_REQUEST, NULL, "an item must be a JSON object");
    }
    *has_name_out = status == KW_OK && input->action->changes && ((const struct kw_key_body *)bound)->once.size > 0;
    kw_arena_reset(&arena);
    return status;
}

/* Puts the item's name in before the brace that closes it. */
static void add_name(const struct kw_batch_input *input, struct kw_batch_item *item, struct kw_buffer *text)
{
    while (text->data[text->size - 1] != '}') {
        text->size--;
    }
    text->size--;
    size_t last = text->size;
    while (is_blank(kw_bytes_of(&text->data[last - 1], 1))) {
        last--;
    }
    kw_buffer_add_format(text, "%s\"idempotencyKey\":\"%s-%llu\"}", text->data[last - 1] == '{' ? "" : ",", input->run,
                         (unsigned long long)item->number);
    item->is_named = true;
}

/* Takes in the text that was just added to the chunk, from item->at on. */
static void take_item(struct kw_batch_input *input, struct kw_batch_chunk *chunk, struct kw_batch_item *item)
{
    struct kw_error error = {0};
    struct kw_bytes json = kw_bytes_of(chunk->text.data + item->at, chunk->text.size - item->at);
    bool has_name = false;
    enum kw_status status = check_item(input, json, &has_name, &error);
    const struct kw_bytes parts[] = {kw_bytes_of(input->digest, sizeof input->digest), json};
    kw_digest_parts(parts, KW_COUNT_OF(parts), input->digest);
    if (status == KW_OK && json.size > KW_BATCH_ITEM_MAX) {
        status = kw_refuse(&error, KW_CODE_BODY_TOO_LARGE, NULL, "is too large: at most %zu bytes", KW_BATCH_ITEM_MAX);
    }
    if (status != KW_OK) {
        chunk->text.size = item->at;
        refuse(chunk, item, &error);
        return;
    }
    if (input->action->changes && !has_name) {
        add_name(input, item, &chunk->text);
    }
    item->size = chunk->text.size - item->at;
}

static enum kw_status next_csv(struct kw_batch_input *input, struct kw_batch_chunk *chunk, struct kw_batch_item *item,
                               bool *has_item_out, struct kw_error *error_out)
{
    bool is_bad = false;
    enum kw_status status = next_row(input, has_item_out, &is_bad, error_out);
    if (status != KW_OK || !*has_item_out) {
        return status;
    }
    struct kw_error error = {0};
    item->line = input->csv.line;
    status = is_bad ? KW_E_INVALID : kw_batch_row(input, &chunk->text, &error);
    if (status == KW_OK) {
        take_item(input, chunk, item);
    } else {
        chunk->text.size = item->at;
        refuse(chunk, item, is_bad ? error_out : &error);
    }
    return KW_OK;
}

static enum kw_status next_ndjson(struct kw_batch_input *input, struct kw_batch_chunk *chunk,
                                  struct kw_batch_item *item, bool *has_item_out, struct kw_error *error_out)
{
    enum kw_status status = next_line(input, has_item_out, error_out);
    if (status != KW_OK || !*has_item_out) {
        return status;
    }
    item->line = input->line_number;
    if (kw_buffer_status(&input->text_line) != KW_OK) {
        return kw_fail(error_out, KW_E_MEMORY, KW_CLI_FAILED, NULL, "not enough memory for a line");
    }
    if (input->line_is_too_long) {
        struct kw_error error = {0};
        (void)kw_refuse(&error, KW_CODE_BODY_TOO_LARGE, NULL, "is too long: at most %zu bytes", KW_BATCH_ITEM_MAX);
        refuse(chunk, item, &error);
        return KW_OK;
    }
    kw_buffer_add(&chunk->text, without_mark(input, kw_buffer_bytes(&input->text_line)));
    take_item(input, chunk, item);
    return KW_OK;
}

enum kw_status kw_batch_input_next(struct kw_batch_input *input, struct kw_batch_chunk *chunk, bool *has_item_out,
                                   struct kw_error *error_out)
{
    struct kw_batch_item *item = &chunk->items[chunk->count];
    *item = (struct kw_batch_item){.number = input->item_count + 1, .at = chunk->text.size};
    *has_item_out = false;
    enum kw_status status = input->is_csv ? next_csv(input, chunk, item, has_item_out, error_out)
                                          : next_ndjson(input, chunk, item, has_item_out, error_out);
    if (status == KW_OK && kw_buffer_status(&chunk->text) != KW_OK) {
        status = kw_fail(error_out, KW_E_MEMORY, KW_CLI_FAILED, NULL, "not enough memory for the items");
    }
    if (status == KW_OK && *has_item_out) {
        input->item_count++;
        chunk->count++;
    }
    return status;
}

/* --- opening and closing --- */

static enum kw_status read_header(struct kw_batch_input *input, struct kw_error *error_out)
{
    bool has_row = false, is_bad = false;
    enum kw_status status = next_row(input, &has_row, &is_bad, error_out);
    if (status != KW_OK || input->is_stopped) {
        return status;
    }
    if (!has_row) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_FAILED, NULL,
                       "%s is empty: its first line must name the fields, such as ownerId,name", input->name);
    }
    return is_bad ? KW_E_INVALID : kw_batch_header(input, error_out);
}

enum kw_status kw_batch_input_open(const struct kw_command_line *line, const struct kw_batch_action *action,
                                   struct kw_batch_input *input, struct kw_error *error_out)
{
    const char *path = line->operands[1];
    input->action = action;
    input->line = line;
    input->schema = item_schema(action->path);
    input->name = strcmp(path, "-") == 0 ? "standard input" : path;
    input->fd = -1;
    kw_csv_init(&input->csv, KW_BATCH_ITEM_MAX);
    kw_buffer_init_secret(&input->text_line, KW_BATCH_ITEM_MAX);
    input->block = kw_alloc(1, BLOCK_SIZE);
    if (input->block == NULL) {
        return kw_fail(error_out, KW_E_MEMORY, KW_CLI_FAILED, NULL, "not enough memory");
    }
    if (kw_looks_like_key(path)) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "give a file of keys, not a key: the shell's history and the list of processes show it now, so "
                       "rotate it");
    }
    enum kw_status status = choose_format(line, path, &input->is_csv, error_out);
    status = status == KW_OK ? open_file(path, input, error_out) : status;
    return status == KW_OK && input->is_csv ? read_header(input, error_out) : status;
}

void kw_batch_input_close(struct kw_batch_input *input)
{
    if (input->block != NULL) {
        kw_wipe(input->block, BLOCK_SIZE);
        kw_free(input->block);
    }
    if (input->fd > STDIN_FILENO) {
        (void)close(input->fd);
    }
    kw_csv_deinit(&input->csv);
    kw_buffer_deinit(&input->text_line);
    *input = (struct kw_batch_input){.fd = -1};
}
