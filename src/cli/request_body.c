#include "cli/keys.h"

#include "core/amount.h"
#include "engine/files.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* A body in the making. */
struct body {
    const struct kw_command_line *line;
    struct kw_json_writer writer;
    struct kw_error *error;
};

/* The next value given for `option` from index `at` on; NULL behind the last. */
static const char *next_value(const struct body *body, const struct kw_option *option, size_t *at)
{
    while (*at < body->line->given_count) {
        const struct kw_given_option *given = &body->line->given[(*at)++];
        if (given->option == option) {
            return given->value;
        }
    }
    return NULL;
}

/* --- one function a place --- */

static enum kw_status write_text(struct body *body, const struct kw_option *option)
{
    kw_json_text(&body->writer, kw_line_value(body->line, option->name));
    return KW_OK;
}

static enum kw_status write_list(struct body *body, const struct kw_option *option)
{
    size_t at = 0;
    kw_json_begin_array(&body->writer);
    for (const char *value; (value = next_value(body, option, &at)) != NULL;) {
        kw_json_text(&body->writer, value);
    }
    kw_json_end_array(&body->writer);
    return KW_OK;
}

static enum kw_status write_true(struct body *body, const struct kw_option *option)
{
    (void)option;
    kw_json_bool(&body->writer, true);
    return KW_OK;
}

static enum kw_status write_false(struct body *body, const struct kw_option *option)
{
    (void)option;
    kw_json_bool(&body->writer, false);
    return KW_OK;
}

/* One complete value, so that nothing beside it can slip into the body. */
static enum kw_status check_json(struct kw_bytes json, const struct kw_option *option, struct kw_error *error_out)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, KW_CALL_ARENA_MAX);
    struct kw_json_reader reader;
    struct kw_json_token token;
    struct kw_bytes raw;
    kw_json_reader_init(&reader, json, &arena);
    enum kw_status status = kw_json_next(&reader, &token, error_out);
    if (status == KW_OK) {
        status = kw_json_skip(&reader, &token, &raw, error_out);
    }
    if (status == KW_OK) {
        status = kw_json_next(&reader, &token, error_out);
    }
    kw_arena_reset(&arena);
    if (status != KW_OK) {
        kw_error_nest(error_out, option->field);
    }
    return status;
}

static enum kw_status read_json_file(const char *path, struct kw_buffer *json, struct kw_error *error_out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    enum kw_status status = fd < 0 ? KW_E_SYSTEM : kw_file_drain(fd, json);
    int reason = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (status == KW_E_SYSTEM) {
        return kw_fail(error_out, status, KW_CLI_FAILED, NULL, "%s cannot be read: %s", path, strerror(reason));
    }
    if (status != KW_OK) {
        return kw_fail(error_out, status, KW_CLI_FAILED, NULL, "%s is too large", path);
    }
    return KW_OK;
}

static enum kw_status write_json(struct body *body, const struct kw_option *option)
{
    const char *value = kw_line_value(body->line, option->name);
    struct kw_buffer file;
    kw_buffer_init(&file, KW_CALL_BODY_MAX);
    enum kw_status status = value[0] == '@' ? read_json_file(value + 1, &file, body->error) : KW_OK;
    struct kw_bytes json = value[0] == '@' ? kw_buffer_bytes(&file) : kw_bytes_of_text(value);
    if (status == KW_OK) {
        status = check_json(json, option, body->error);
    }
    if (status == KW_OK) {
        kw_json_raw(&body->writer, json);
    }
    kw_buffer_deinit(&file);
    return status;
}

/* "read,write" as items of a list that has begun. */
static void write_scopes(struct body *body, struct kw_bytes scopes)
{
    struct kw_bytes scope;
    while (scopes.size > 0) {
        (void)kw_bytes_split(scopes, ',', &scope, &scopes);
        kw_json_string(&body->writer, scope);
    }
}

static enum kw_status bad_form(const struct kw_option *option, struct kw_error *error_out)
{
    return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--%s must read %s", option->name, option->argument);
}

/* True when `given` grants scopes on `resource`. */
static bool grants_on(const struct kw_given_option *given, const struct kw_option *option, struct kw_bytes resource,
                      struct kw_bytes *scopes_out)
{
    struct kw_bytes named;
    return given->option == option && kw_bytes_split(kw_bytes_of_text(given->value), '=', &named, scopes_out) &&
           kw_bytes_equal(named, resource);
}

/* A resource may be named more than once: its scopes come together where it stands first. */
static enum kw_status write_resources(struct body *body, const struct kw_option *option)
{
    const struct kw_given_option *given = body->line->given;
    struct kw_bytes resource, scopes;
    kw_json_begin_object(&body->writer);
    for (size_t i = 0; i < body->line->given_count; i++) {
        if (given[i].option != option) {
            continue;
        }
        if (!kw_bytes_split(kw_bytes_of_text(given[i].value), '=', &resource, &scopes)) {
            return bad_form(option, body->error);
        }
        size_t first = 0;
        while (!grants_on(&given[first], option, resource, &scopes)) {
            first++;
        }
        if (first < i) {
            continue;
        }
        kw_json_name_bytes(&body->writer, resource);
        kw_json_begin_array(&body->writer);
        for (size_t j = i; j < body->line->given_count; j++) {
            write_scopes(body, grants_on(&given[j], option, resource, &scopes) ? scopes : (struct kw_bytes){0});
        }
        kw_json_end_array(&body->writer);
    }
    kw_json_end_object(&body->writer);
    return KW_OK;
}

static void write_member(struct body *body, const char *name, struct kw_bytes text)
{
    kw_json_name(&body->writer, name);
    kw_json_string(&body->writer, text);
}

/* "100/1m" as members of an object. */
static bool write_rate(struct body *body, struct kw_bytes text)
{
    struct kw_bytes requests, window;
    int64_t number;
    if (!kw_bytes_split(text, '/', &requests, &window) || !kw_json_to_i64(requests, &number)) {
        return false;
    }
    kw_json_name(&body->writer, "requests");
    kw_json_i64(&body->writer, number);
    write_member(body, "window", window);
    return true;
}

/* What the words behind a comma mean, each for the field that it is a value of. */
static const struct {
    const char *word, *field;
    bool of_rate_limits;
} limit_words[] = {
    {"key", "per", true},           {"owner", "per", true},        {"org", "per", true},
    {"block", "onExceeded", false}, {"warn", "onExceeded", false}, {"created", "anchor", false},
    {"utc", "anchor", false},
};

static bool write_words(struct body *body, struct kw_bytes words, bool of_rate_limits)
{
    bool good = true;
    while (good && words.size > 0) {
        struct kw_bytes word, kind, rate;
        good = !kw_bytes_split(words, ',', &word, &words) || words.size > 0; /* no comma stands at the end */
        size_t i = 0;
        while (i < KW_COUNT_OF(limit_words) && (!kw_bytes_equal(word, kw_bytes_of_text(limit_words[i].word)) ||
                                                (of_rate_limits && !limit_words[i].of_rate_limits))) {
            i++;
        }
        if (i < KW_COUNT_OF(limit_words)) {
            write_member(body, limit_words[i].field, word);
            continue;
        }
        good = good && !of_rate_limits && kw_bytes_split(word, '=', &kind, &rate) &&
               kw_bytes_equal(kind, KW_BYTES("throttle"));
        if (good) {
            write_member(body, "onExceeded", kind);
            kw_json_name(&body->writer, "throttle");
            kw_json_begin_object(&body->writer);
            good = write_rate(body, rate);
            kw_json_end_object(&body->writer);
        }
    }
    return good;
}

/* "10000/month" as members of an object. */
static bool write_amount(struct body *body, struct kw_bytes text)
{
    struct kw_bytes limit, period;
    const char *why;
    int64_t amount;
    if (!kw_bytes_split(text, '/', &limit, &period) || kw_amount_parse(limit, &amount, &why) != KW_OK) {
        return false;
    }
    kw_json_name(&body->writer, "limit");
    kw_json_raw(&body->writer, limit);
    write_member(body, "period", period);
    return true;
}

/* One limit or quota in the short form; `label` is the member that stands before its '='. */
static bool write_short(struct body *body, struct kw_bytes text, const char *label, bool of_rate_limits)
{
    struct kw_bytes main, words, name, rest;
    bool has_words = kw_bytes_split(text, ',', &main, &words);
    main = has_words ? main : text;
    bool has_name = kw_bytes_split(main, '=', &name, &rest);
    kw_json_begin_object(&body->writer);
    if (has_name) {
        write_member(body, label, name);
    }
    main = has_name ? rest : main;
    bool good = of_rate_limits ? write_rate(body, main) : write_amount(body, main);
    good = good && (!has_words || (words.size > 0 && write_words(body, words, of_rate_limits)));
    kw_json_end_object(&body->writer);
    return good;
}

static enum kw_status write_limits(struct body *body, const struct kw_option *option, const char *label,
                                   bool of_rate_limits)
{
    size_t at = 0;
    kw_json_begin_array(&body->writer);
    for (const char *value; (value = next_value(body, option, &at)) != NULL;) {
        struct kw_bytes text = kw_bytes_of_text(value);
        if (value[0] == '{') {
            enum kw_status status = check_json(text, option, body->error);
            if (status != KW_OK) {
                return status;
            }
            kw_json_raw(&body->writer, text);
        } else if (!write_short(body, text, label, of_rate_limits)) {
            return bad_form(option, body->error);
        }
    }
    kw_json_end_array(&body->writer);
    return KW_OK;
}

static enum kw_status write_rate_limits(struct body *body, const struct kw_option *option)
{
    return write_limits(body, option, "name", true);
}

static enum kw_status write_quotas(struct body *body, const struct kw_option *option)
{
    return write_limits(body, option, "metric", false);
}

static enum kw_status write_resource(struct body *body, const struct kw_option *option)
{
    struct kw_bytes value = kw_bytes_of_text(kw_line_value(body->line, option->name));
    struct kw_bytes resource, scopes, type, id;
    bool has_scopes = kw_bytes_split(value, '=', &resource, &scopes);
    if (!kw_bytes_split(resource, ':', &type, &id)) {
        return bad_form(option, body->error);
    }
    kw_json_begin_object(&body->writer);
    kw_json_name(&body->writer, "type");
    kw_json_string(&body->writer, type);
    kw_json_name(&body->writer, "id");
    kw_json_string(&body->writer, id);
    if (has_scopes) {
        kw_json_name(&body->writer, "scopes");
        kw_json_begin_array(&body->writer);
        write_scopes(body, scopes);
        kw_json_end_array(&body->writer);
    }
    kw_json_end_object(&body->writer);
    return KW_OK;
}

/* A part of a country begins with the country. */
static enum kw_status write_geo(struct body *body, const struct kw_option *option)
{
    struct kw_bytes value = kw_bytes_of_text(kw_line_value(body->line, option->name));
    struct kw_bytes country, part;
    bool has_part = kw_bytes_split(value, '-', &country, &part);
    kw_json_begin_object(&body->writer);
    kw_json_name(&body->writer, "country");
    kw_json_string(&body->writer, has_part ? country : value);
    if (has_part) {
        kw_json_name(&body->writer, "region");
        kw_json_string(&body->writer, value);
    }
    kw_json_end_object(&body->writer);
    return KW_OK;
}

/* A member of its own for each; that it is a number, and of a metric, is the other side's to say. */
static enum kw_status write_amounts(struct body *body, const struct kw_option *option)
{
    size_t at = 0;
    for (const char *value; (value = next_value(body, option, &at)) != NULL;) {
        struct kw_bytes metric, amount;
        if (!kw_bytes_split(kw_bytes_of_text(value), '=', &metric, &amount) || metric.size == 0) {
            return bad_form(option, body->error);
        }
        enum kw_status status = check_json(amount, option, body->error);
        if (status != KW_OK) {
            return bad_form(option, body->error);
        }
        kw_json_name_bytes(&body->writer, metric);
        kw_json_raw(&body->writer, amount);
    }
    return KW_OK;
}

static enum kw_status (*const place_writers[])(struct body *, const struct kw_option *) = {
    [KW_PLACE_TEXT] = write_text,
    [KW_PLACE_LIST] = write_list,
    [KW_PLACE_TRUE] = write_true,
    [KW_PLACE_FALSE] = write_false,
    [KW_PLACE_JSON] = write_json,
    [KW_PLACE_RESOURCES] = write_resources,
    [KW_PLACE_RATE_LIMITS] = write_rate_limits,
    [KW_PLACE_QUOTAS] = write_quotas,
    [KW_PLACE_RESOURCE] = write_resource,
    [KW_PLACE_GEO] = write_geo,
    [KW_PLACE_AMOUNTS] = write_amounts,
    [KW_PLACE_SCHEDULE] = write_text,
    [KW_PLACE_CLEAR] = NULL,
};

/* --- the whole --- */

/* Fields may be named as options ("tag") or as in the interface ("tags"). */
static const struct kw_option *find_field(const struct kw_cli_command *command, const char *name)
{
    for (size_t g = 0; g < KW_CLI_GROUPS_MAX && command->groups[g] != NULL; g++) {
        for (size_t i = 0; i < command->groups[g]->count; i++) {
            const struct kw_option *option = &command->groups[g]->options[i];
            if (place_writers[option->place] != NULL &&
                (strcmp(option->name, name) == 0 || strcmp(option->field, name) == 0)) {
                return option;
            }
        }
    }
    return NULL;
}

static enum kw_status write_cleared(struct body *body, const char *name)
{
    const struct kw_option *option = find_field(body->line->command, name);
    if (option == NULL) {
        return kw_fail(body->error, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "--clear does not know '%s': it takes the name of an option, such as name or expires-at", name);
    }
    if (kw_line_has(body->line, option->name)) {
        return kw_fail(body->error, KW_E_INVALID, KW_CLI_USAGE, NULL, "--clear %s and --%s contradict each other", name,
                       option->name);
    }
    kw_json_name(&body->writer, option->field);
    kw_json_null(&body->writer);
    return KW_OK;
}

/* Whether an option says something of the schedule: sets a member of it, or clears one. */
static bool is_of_schedule(const struct body *body, const struct kw_given_option *given)
{
    const struct kw_option *option =
        given->option->place == KW_PLACE_CLEAR ? find_field(body->line->command, given->value) : given->option;
    return option != NULL && option->place == KW_PLACE_SCHEDULE;
}

/* All of them as one object, where the first of them stands. */
static enum kw_status write_schedule(struct body *body, size_t index)
{
    enum kw_status status = KW_OK;
    for (size_t i = 0; i < index; i++) {
        if (is_of_schedule(body, &body->line->given[i])) {
            return KW_OK;
        }
    }
    kw_json_name(&body->writer, "schedule");
    kw_json_begin_object(&body->writer);
    for (size_t i = index; i < body->line->given_count && status == KW_OK; i++) {
        const struct kw_given_option *given = &body->line->given[i];
        if (!is_of_schedule(body, given)) {
            continue;
        }
        if (given->option->place == KW_PLACE_CLEAR) {
            status = write_cleared(body, given->value);
        } else {
            write_member(body, given->option->field, kw_bytes_of_text(given->value));
        }
    }
    kw_json_end_object(&body->writer);
    return status;
}

/* What one given option adds; the values of one that repeats come together where it stands first. */
static enum kw_status write_given(struct body *body, size_t index)
{
    const struct kw_given_option *given = &body->line->given[index];
    if (is_of_schedule(body, given)) {
        return write_schedule(body, index);
    }
    if (given->option->place == KW_PLACE_CLEAR) {
        return write_cleared(body, given->value);
    }
    size_t first = 0;
    while (body->line->given[first].option != given->option) {
        first++;
    }
    if (place_writers[given->option->place] == NULL || first < index) {
        return KW_OK;
    }
    if (given->option->place != KW_PLACE_AMOUNTS) {
        kw_json_name(&body->writer, given->option->field);
    }
    return place_writers[given->option->place](body, given->option);
}

static void write_ids(struct body *body)
{
    kw_json_name(&body->writer, "ids");
    kw_json_begin_array(&body->writer);
    for (size_t i = 0; i < body->line->operand_count; i++) {
        kw_json_text(&body->writer, body->line->operands[i]);
    }
    kw_json_end_array(&body->writer);
}

enum kw_status kw_request_body(const struct kw_command_line *line, struct kw_bytes key, struct kw_buffer *buffer,
                               struct kw_error *error_out)
{
    struct body body = {.line = line, .error = error_out};
    kw_json_writer_init(&body.writer, buffer);
    kw_json_begin_object(&body.writer);
    if (line->command->key_call->sends_key && !kw_line_has(line, "digest")) {
        kw_json_name(&body.writer, "key");
        kw_json_string(&body.writer, key);
    }
    if (line->command->key_call->is_dry_run) {
        kw_json_name(&body.writer, "dryRun");
        kw_json_bool(&body.writer, true);
    }
    if (kw_line_means_many(line) && line->operand_count > 0) {
        write_ids(&body);
    }
    for (size_t i = 0; i < line->given_count; i++) {
        enum kw_status status = write_given(&body, i);
        if (status != KW_OK) {
            return status;
        }
    }
    kw_json_end_object(&body.writer);
    return KW_OK;
}
