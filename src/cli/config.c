#include "cli/config.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "cli/cli.h"
#include "core/document.h"
#include "core/schema.h"
#include "core/transition.h"
#include "engine/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_MAX ((size_t)1024 * 1024)
#define ARGUMENT_MAX 1024
#define NAME(text) \
    { \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

struct command_body {
    struct kw_bytes name, program;
    const struct kw_bytes *arguments;
    size_t argument_count;
    int64_t timeout_ms;
};

struct smtp_body {
    struct kw_bytes host, from, user, password, password_file, ca_file;
    int64_t port;
    enum kw_mail_tls tls;
    const struct kw_bytes *allowed;
    size_t allowed_count;
};

struct config_body {
    const struct smtp_body *smtp;
    size_t smtp_count;
    const struct command_body *commands;
    size_t command_count;
};

#define TEXT(label, body, member, max) \
    { \
        .name = NAME(label), .kind = KW_FIELD_TEXT, .offset = offsetof(struct body, member), .size_min = 1, \
        .size_max = (max) \
    }
#define TEXTS(label, body, member, count, max, most) \
    { \
        .name = NAME(label), .kind = KW_FIELD_TEXTS, .offset = offsetof(struct body, member), \
        .count_offset = offsetof(struct body, count), .size_max = (max), .count_max = (most) \
    }

static const struct kw_bytes tls_choices[] = {NAME("starttls"), NAME("tls"), NAME("none")};

static const struct kw_field command_fields[] = {
    TEXT("name", command_body, name, KW_COMMAND_NAME_MAX),
    TEXT("program", command_body, program, ARGUMENT_MAX),
    TEXTS("arguments", command_body, arguments, argument_count, ARGUMENT_MAX, KW_COMMAND_ARGUMENTS_MAX),
    {.name = NAME("timeout"), .kind = KW_FIELD_DURATION, .offset = offsetof(struct command_body, timeout_ms)},
};
static const struct kw_schema command_schema = {.name = "command",
                                                .size = sizeof(struct command_body),
                                                .given_offset = SIZE_MAX,
                                                .required = 1U << 0 | 1U << 1,
                                                .fields = command_fields,
                                                .field_count = KW_COUNT_OF(command_fields)};

static const struct kw_field smtp_fields[] = {
    TEXT("host", smtp_body, host, KW_HOST_MAX),
    TEXT("from", smtp_body, from, KW_MAIL_ADDRESS_MAX),
    {.name = NAME("port"),
     .kind = KW_FIELD_INTEGER,
     .offset = offsetof(struct smtp_body, port),
     .low = 1,
     .high = UINT16_MAX},
    {.name = NAME("tls"),
     .kind = KW_FIELD_CHOICE,
     .offset = offsetof(struct smtp_body, tls),
     .low = KW_MAIL_STARTTLS,
     .choices = tls_choices,
     .choice_count = KW_COUNT_OF(tls_choices)},
    TEXT("user", smtp_body, user, KW_MAIL_ADDRESS_MAX),
    TEXT("password", smtp_body, password, KW_SECRET_MAX),
    TEXT("passwordFile", smtp_body, password_file, ARGUMENT_MAX),
    TEXT("caFile", smtp_body, ca_file, ARGUMENT_MAX),
    TEXTS("allowPrivate", smtp_body, allowed, allowed_count, 64, KW_CONFIG_RANGES_MAX),
};
static const struct kw_schema smtp_schema = {.name = "smtp",
                                             .size = sizeof(struct smtp_body),
                                             .given_offset = SIZE_MAX,
                                             .required = 1U << 0 | 1U << 1,
                                             .fields = smtp_fields,
                                             .field_count = KW_COUNT_OF(smtp_fields)};

static const struct kw_field config_fields[] = {
    {.name = NAME("smtp"),
     .kind = KW_FIELD_ONE,
     .offset = offsetof(struct config_body, smtp),
     .count_offset = offsetof(struct config_body, smtp_count),
     .items = &smtp_schema},
    {.name = NAME("commands"),
     .kind = KW_FIELD_OBJECTS,
     .offset = offsetof(struct config_body, commands),
     .count_offset = offsetof(struct config_body, command_count),
     .count_max = KW_COMMANDS_MAX,
     .items = &command_schema},
};
static const struct kw_schema config_schema = {.name = "config",
                                               .size = sizeof(struct config_body),
                                               .given_offset = SIZE_MAX,
                                               .fields = config_fields,
                                               .field_count = KW_COUNT_OF(config_fields)};

/* What is being read. */
struct reading {
    const char *path;
    struct kw_config *config;
    struct kw_bytes json;
    struct kw_error *error;
};

static enum kw_status refuse(const struct reading *reading, const char *field, const char *why)
{
    return kw_fail(reading->error, KW_E_INVALID, KW_CLI_USAGE, NULL, "%s: %s %s", reading->path, field, why);
}

static enum kw_status no_memory(const struct reading *reading)
{
    return kw_fail(reading->error, KW_E_MEMORY, KW_CLI_FAILED, NULL, "there is no memory left to start with");
}

/* --- the file --- */

static enum kw_status load(struct reading *reading)
{
    uint8_t *text = kw_arena_take(&reading->config->arena, KW_CONFIG_MAX + 1);
    size_t size = 0;
    if (text == NULL) {
        return no_memory(reading);
    }
    int fd = open(reading->path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? -1 : 1;
    while (count > 0 && size <= KW_CONFIG_MAX) {
        count = read(fd, text + size, KW_CONFIG_MAX + 1 - size);
        size += count > 0 ? (size_t)count : 0;
    }
    int failed = errno;
    struct stat about;
    bool is_open_to_all = fd >= 0 && fstat(fd, &about) == 0 && (about.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (fd < 0 || count < 0) {
        return kw_fail(reading->error, KW_E_INVALID, KW_CLI_USAGE, NULL, "%s cannot be read: %s", reading->path,
                       failed == ENOENT   ? "there is no such file"
                       : failed == EACCES ? "permission is denied"
                                          : "it is no file");
    }
    if (size > KW_CONFIG_MAX) {
        return kw_fail(reading->error, KW_E_INVALID, KW_CLI_USAGE, NULL, "%s has more than %d bytes", reading->path,
                       KW_CONFIG_MAX);
    }
    if (is_open_to_all) {
        return kw_fail(reading->error, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "%s names programs that are run, and others may write to it: chmod go-w %s", reading->path,
                       reading->path);
    }
    reading->json = kw_bytes_of(text, size);
    return KW_OK;
}

/* Where it stops being JSON. */
static size_t line_of_fault(struct reading *reading)
{
    struct kw_json_reader reader;
    struct kw_json_token token = {.type = KW_JSON_NULL};
    struct kw_arena arena;
    size_t line = 1;
    kw_arena_init(&arena, NULL, 0, MEMORY_MAX);
    kw_json_reader_init(&reader, reading->json, &arena);
    while (kw_json_next(&reader, &token, NULL) == KW_OK && token.type != KW_JSON_END) {
    }
    for (size_t i = 0; i < reader.at && i < reading->json.size; i++) {
        line += reading->json.data[i] == '\n';
    }
    kw_arena_reset(&arena);
    return line;
}

static enum kw_status bind(struct reading *reading, struct config_body *body)
{
    struct kw_error error = {.code = ""};
    enum kw_status status = kw_schema_bind_json(&config_schema, reading->json, &reading->config->arena, body, &error);
    if (status == KW_OK || status == KW_E_MEMORY) {
        return status == KW_OK ? KW_OK : no_memory(reading);
    }
    if (kw_code_of_name(error.code) == KW_CODE_INVALID_JSON) {
        return kw_fail(reading->error, status, KW_CLI_USAGE, NULL, "%s, line %zu: %s", reading->path,
                       line_of_fault(reading), error.message);
    }
    return kw_fail(reading->error, status, KW_CLI_USAGE, NULL, "%s: %s%s%s", reading->path, error.field,
                   error.field[0] != '\0' ? " " : "", error.message);
}

/* --- what it says --- */

/* With a NUL at its end; NULL where there is no memory, or a NUL inside. */
static const char *text_of(struct reading *reading, struct kw_bytes text)
{
    char *out = kw_arena_take(&reading->config->arena, text.size + 1);
    if (out != NULL && text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    return out;
}

static enum kw_status take_password(struct reading *reading, const struct smtp_body *body, struct kw_mail_relay *relay)
{
    struct kw_buffer secret;
    enum kw_status status = KW_OK;
    if ((body->user.size > 0) != (body->password.size > 0 || body->password_file.size > 0) ||
        (body->password.size > 0 && body->password_file.size > 0)) {
        return refuse(reading, "smtp.user", "goes with one of password and passwordFile");
    }
    if (body->password.size > 0) {
        status = kw_secret_set(&relay->password, body->password);
    }
    if (body->password_file.size > 0) {
        kw_buffer_init_secret(&secret, KW_SECRET_INPUT_MAX);
        status = kw_secret_from_file(AT_FDCWD, text_of(reading, body->password_file), "the password of the relay", true,
                                     &secret, reading->error);
        if (status == KW_OK && kw_secret_set(&relay->password, kw_buffer_bytes(&secret)) != KW_OK) {
            status = refuse(reading, "smtp.passwordFile", "holds more than a password");
        }
        kw_buffer_deinit(&secret);
    }
    return status;
}

static enum kw_status take_ranges(struct reading *reading, const struct smtp_body *body, struct kw_mail_relay *relay)
{
    for (size_t i = 0; i < body->allowed_count; i++) {
        const char *why = NULL;
        if (kw_address_range_parse(body->allowed[i], &reading->config->allowed[i], &why) != KW_OK) {
            return refuse(reading, "smtp.allowPrivate", why);
        }
    }
    relay->guard = (struct kw_guard){reading->config->allowed, body->allowed_count};
    return KW_OK;
}

/* A name or an address, and nothing that would be another part of a URL. */
static bool is_host(struct kw_bytes text)
{
    bool good = true;
    for (size_t i = 0; i < text.size && good; i++) {
        uint8_t c = text.data[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (c != '\0' && strchr(".-:_", c) != NULL);
    }
    return good;
}

static enum kw_status take_relay(struct reading *reading, const struct smtp_body *body)
{
    static const uint16_t ports[] = {[KW_MAIL_STARTTLS] = 587, [KW_MAIL_TLS] = 465, [KW_MAIL_NO_TLS] = 25};
    struct kw_mail_relay *relay = &reading->config->setup.relay;
    if (!is_host(body->host)) {
        return refuse(reading, "smtp.host", "must be a name or an address");
    }
    if (!kw_mail_address_valid(body->from)) {
        return refuse(reading, "smtp.from", "must be a mail address, such as keyward@example.com");
    }
    if (kw_bytes_has_control(body->user) || kw_bytes_has_control(body->password)) {
        return refuse(reading, "smtp.user", "and password must have no control characters");
    }
    if (body->tls == KW_MAIL_NO_TLS && body->user.size > 0) {
        return refuse(reading, "smtp.tls", "must not be none where a password is sent");
    }
    relay->host = text_of(reading, body->host);
    relay->from = text_of(reading, body->from);
    relay->user = body->user.size > 0 ? text_of(reading, body->user) : NULL;
    relay->ca_file = body->ca_file.size > 0 ? text_of(reading, body->ca_file) : NULL;
    relay->tls = body->tls;
    relay->port = body->port != 0 ? (uint16_t)body->port : ports[body->tls];
    bool has_memory = relay->host != NULL && relay->from != NULL && (body->user.size == 0 || relay->user != NULL) &&
                      (body->ca_file.size == 0 || relay->ca_file != NULL);
    enum kw_status status = has_memory ? take_ranges(reading, body, relay) : no_memory(reading);
    return status == KW_OK ? take_password(reading, body, relay) : status;
}

static enum kw_status take_command(struct reading *reading, const struct command_body *body, size_t index)
{
    struct kw_notice_command *command = &reading->config->commands[index];
    char field[48];
    (void)snprintf(field, sizeof field, "commands[%zu]", index);
    if (!kw_document_name_valid(KW_DOCUMENT_CHANNEL, body->name)) {
        return refuse(reading, field, "must have a name of letters, digits, '-' and '_', starting with a letter");
    }
    for (size_t i = 0; i < index; i++) {
        if (kw_bytes_equal(kw_bytes_of_text(reading->config->commands[i].name), body->name)) {
            return refuse(reading, field, "has the name of another command");
        }
    }
    if (body->program.data[0] != '/') {
        return refuse(reading, field, "must name its program by a whole path, such as /usr/local/bin/page-us");
    }
    if (body->timeout_ms > KW_COMMAND_TIMEOUT_MAX_MS) {
        return refuse(reading, field, "must have a timeout of at most 60s");
    }
    command->timeout_ms = body->timeout_ms == 0 ? KW_COMMAND_TIMEOUT_MS : body->timeout_ms;
    command->name = text_of(reading, body->name);
    command->arguments[0] = text_of(reading, body->program);
    bool has_memory = command->name != NULL && command->arguments[0] != NULL;
    for (size_t i = 0; i < body->argument_count && has_memory; i++) {
        command->arguments[i + 1] = text_of(reading, body->arguments[i]);
        has_memory = command->arguments[i + 1] != NULL;
    }
    if (has_memory && access(command->arguments[0], X_OK) != 0) {
        return refuse(reading, field, "names a program that is not there, or may not be run");
    }
    return has_memory ? KW_OK : no_memory(reading);
}

static enum kw_status take(struct reading *reading)
{
    struct config_body body = {.smtp = NULL};
    enum kw_status status = load(reading);
    status = status == KW_OK ? bind(reading, &body) : status;
    if (status == KW_OK && body.smtp_count > 0) {
        status = take_relay(reading, body.smtp);
    }
    for (size_t i = 0; i < body.command_count && status == KW_OK; i++) {
        status = take_command(reading, &body.commands[i], i);
        reading->config->setup.command_count += status == KW_OK;
    }
    return status;
}

enum kw_status kw_config_read(const char *path, struct kw_config *config_out, struct kw_error *error_out)
{
    struct reading reading = {.path = path, .config = config_out, .error = error_out};
    memset(config_out, 0, sizeof *config_out);
    kw_arena_init(&config_out->arena, NULL, 0, MEMORY_MAX);
    config_out->setup.commands = config_out->commands;
    enum kw_status status = take(&reading);
    if (status != KW_OK) {
        kw_config_deinit(config_out);
    }
    return status;
}

void kw_config_deinit(struct kw_config *config)
{
    kw_secret_wipe(&config->setup.relay.password);
    kw_arena_reset(&config->arena);
    memset(config, 0, sizeof *config);
}
