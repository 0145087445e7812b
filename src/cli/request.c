#include "cli/keys.h"

#include "core/id.h"
#include "core/once.h"

#include <stdio.h>

#define PATH_MAX_SIZE 256
#define QUERY_MAX_SIZE 32768
/* Large enough that calls do not count, small enough that a page of the largest records fits an answer. */
#define ALL_PAGE_LIMIT "200"

static bool is_unreserved(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

static void add_query_value(struct kw_buffer *query, const char *value)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *value != '\0'; value++) {
        uint8_t byte = (uint8_t)*value;
        if (is_unreserved(byte)) {
            kw_buffer_add_byte(query, byte);
            continue;
        }
        kw_buffer_add_byte(query, '%');
        kw_buffer_add_byte(query, (uint8_t)digits[byte >> 4]);
        kw_buffer_add_byte(query, (uint8_t)digits[byte & 15]);
    }
}

static void add_query(struct kw_buffer *query, const char *name, const char *value)
{
    kw_buffer_add_text(query, query->size > 0 ? "&" : "");
    kw_buffer_add_text(query, name);
    kw_buffer_add_byte(query, '=');
    add_query_value(query, value);
}

/* The values of an option that repeats stand in one field, with commas between them. */
static void add_query_option(struct kw_buffer *query, const struct kw_command_line *line, size_t first)
{
    const struct kw_option *option = line->given[first].option;
    for (size_t i = 0; i < first; i++) {
        if (line->given[i].option == option) {
            return;
        }
    }
    add_query(query, option->field, line->given[first].value);
    for (size_t i = first + 1; i < line->given_count; i++) {
        if (line->given[i].option == option) {
            kw_buffer_add_byte(query, ',');
            add_query_value(query, line->given[i].value);
        }
    }
}

/* Checked here and not by the server: a key given by mistake must not travel in an address, which is logged. */
static enum kw_status check_id(const char *id, struct kw_error *error_out)
{
    struct kw_id parsed;
    if (kw_id_parse(kw_bytes_of_text(id), &parsed)) {
        return KW_OK;
    }
    if (kw_looks_like_key(id)) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "give the key's id (key_ and 26 characters), not the key itself: the shell's history and the "
                       "list of processes show it now, so rotate it");
    }
    return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                   "'%s' is not the id of a key: key_ and 26 characters, as 'keyward list' shows them", id);
}

static enum kw_status form_path(const struct kw_command_line *line, struct kw_buffer *path, struct kw_error *error_out)
{
    static const char mark[] = "{id}";
    const struct kw_key_call *call = line->command->key_call;
    bool is_many = kw_line_means_many(line);
    for (size_t i = 0; i < line->operand_count && is_many; i++) {
        enum kw_status status = check_id(line->operands[i], error_out);
        if (status != KW_OK) {
            return status;
        }
    }
    bool counts = call->count_path != NULL && kw_line_has(line, "count");
    bool is_bare = call->bare_path != NULL && line->operand_count == 0;
    const char *form = is_many ? call->many : counts ? call->count_path : is_bare ? call->bare_path : call->path;
    const char *at = strstr(form, mark);
    if (at == NULL) {
        kw_buffer_add_text(path, form);
    } else {
        enum kw_status status = check_id(line->operands[0], error_out);
        if (status != KW_OK) {
            return status;
        }
        kw_buffer_add(path, kw_bytes_of(form, (size_t)(at - form)));
        kw_buffer_add_text(path, line->operands[0]);
        kw_buffer_add_text(path, at + strlen(mark));
    }
    kw_buffer_add_byte(path, '\0');
    return KW_OK;
}

static void form_query(const struct kw_command_line *line, const char *cursor, struct kw_buffer *query)
{
    for (size_t i = 0; i < line->given_count; i++) {
        const struct kw_option *option = line->given[i].option;
        bool replaced = cursor != NULL && strcmp(option->name, "cursor") == 0;
        if (option->place == KW_PLACE_QUERY && !replaced) {
            add_query_option(query, line, i);
        }
    }
    if (cursor != NULL) {
        add_query(query, "cursor", cursor);
    }
    if (kw_line_has(line, "all") && !kw_line_has(line, "limit")) {
        add_query(query, "limit", ALL_PAGE_LIMIT);
    }
}

/* The version as If-Match wants it: a quoted tag. */
static enum kw_status form_version(const struct kw_command_line *line, struct kw_formed_request *formed,
                                   struct kw_error *error_out)
{
    uint64_t version;
    enum kw_status status = kw_line_number(line, "if-version", 1, INT64_MAX, 0, &version, error_out);
    if (status == KW_OK && version > 0) {
        snprintf(formed->if_version, sizeof formed->if_version, "\"%llu\"", (unsigned long long)version);
    }
    return status;
}

/* Checked here too: it goes into a line of the request's head, where a line break would begin another one. */
static enum kw_status check_once(const struct kw_command_line *line, struct kw_error *error_out)
{
    uint8_t memory[KW_ONCE_KEY_MAX];
    struct kw_bytes key;
    const char *value = kw_line_value(line, "idempotency-key");
    if (value == NULL || kw_once_key_read(kw_bytes_of_text(value), NULL, memory, &key, NULL) == KW_OK) {
        return KW_OK;
    }
    return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                   "--idempotency-key takes 1 to %d visible ASCII characters", KW_ONCE_KEY_MAX);
}

enum kw_status kw_request_form(const struct kw_command_line *line, struct kw_bytes key, const char *cursor,
                               struct kw_formed_request *formed_out, struct kw_error *error_out)
{
    const struct kw_key_call *call = line->command->key_call;
    kw_buffer_init(&formed_out->path, PATH_MAX_SIZE);
    kw_buffer_init(&formed_out->query, QUERY_MAX_SIZE);
    kw_buffer_init_secret(&formed_out->body, KW_CALL_BODY_MAX);
    enum kw_status status = form_path(line, &formed_out->path, error_out);
    if (status != KW_OK) {
        return status;
    }
    form_query(line, cursor, &formed_out->query);
    status = form_version(line, formed_out, error_out);
    status = status == KW_OK ? check_once(line, error_out) : status;
    if (status != KW_OK) {
        return status;
    }
    status = call->has_body ? kw_request_body(line, key, &formed_out->body, error_out) : KW_OK;
    if (status != KW_OK) {
        return status;
    }
    if (kw_buffer_status(&formed_out->path) != KW_OK || kw_buffer_status(&formed_out->query) != KW_OK ||
        kw_buffer_status(&formed_out->body) != KW_OK) {
        return kw_fail(error_out, KW_E_LIMIT, KW_CLI_FAILED, NULL, "the request is too long");
    }
    formed_out->request = (struct kw_request){
        .method = call->method,
        .path = (const char *)formed_out->path.data,
        .query = kw_buffer_bytes(&formed_out->query),
        .body = kw_buffer_bytes(&formed_out->body),
        .project = kw_line_value(line, "project"),
        .if_version = formed_out->if_version[0] != '\0' ? formed_out->if_version : NULL,
        .once = kw_line_value(line, "idempotency-key"),
        .changes_nothing = call->sends_key,
    };
    return KW_OK;
}

void kw_formed_request_deinit(struct kw_formed_request *formed)
{
    kw_buffer_deinit(&formed->path);
    kw_buffer_deinit(&formed->query);
    kw_buffer_deinit(&formed->body);
    *formed = (struct kw_formed_request){0};
}
