#include "base/log.h"

#include "base/time.h"

#include <errno.h>
#include <unistd.h>

/* Kept free for the end of the line. */
#define LINE_END_CUT ",\"cut\":true}\n"
#define LINE_END "}\n"

#define REPLACEMENT "\xef\xbf\xbd"
#define ELLIPSIS "\xe2\x80\xa6"
/* What a byte may become: U+FFFD. */
#define REPLACED_MAX 3

void kw_log_begin(struct kw_log_line *line, const struct kw_log *log, enum kw_log_level level, const char *event)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    bool wanted = log != NULL && log->fd >= 0 && level >= log->level_min;
    line->log = wanted ? log : NULL;
    if (!wanted) {
        return;
    }
    char time[KW_TIME_TEXT_SIZE];
    kw_time_format(log->clock.now_ms(log->clock.context), time);
    line->cut = false;
    kw_buffer_init_fixed(&line->buffer, line->memory, sizeof line->memory - (sizeof LINE_END_CUT - 1));
    kw_json_writer_init(&line->writer, &line->buffer);
    kw_json_begin_object(&line->writer);
    kw_json_name(&line->writer, "time");
    kw_json_string(&line->writer, kw_bytes_of(time, sizeof time));
    kw_log_text(line, "level", names[level]);
    kw_log_text(line, "event", event);
}

/* Takes a field back that did not fit, so that the line stays JSON. */
static void keep_or_take_back(struct kw_log_line *line, size_t size_before)
{
    if (kw_buffer_status(&line->buffer) == KW_OK) {
        return;
    }
    line->buffer.failed = KW_OK;
    line->buffer.size = size_before;
    line->writer.needs_comma = true;
    line->cut = true;
}

/* NUL is valid UTF-8 and can be escaped, but many readers of JSON, ours among them, do not take it. */
static bool is_clean(struct kw_bytes value)
{
    return value.size == 0 ||
           (value.size <= KW_LOG_VALUE_MAX && memchr(value.data, 0, value.size) == NULL && kw_utf8_valid(value));
}

/* Makes clean text of at most KW_LOG_VALUE_MAX bytes of `value`, in `out`. */
static struct kw_bytes clean(struct kw_bytes value, struct kw_buffer *out)
{
    struct kw_bytes rest = value;
    size_t taken = 0;
    while (rest.size > 0) {
        size_t length = rest.data[0] == 0 ? 0 : kw_utf8_sequence(rest);
        size_t step = length == 0 ? 1 : length;
        if (taken + step > KW_LOG_VALUE_MAX) {
            kw_buffer_add_text(out, ELLIPSIS);
            break;
        }
        kw_buffer_add(out, length == 0 ? KW_BYTES(REPLACEMENT) : kw_bytes_of(rest.data, length));
        taken += step;
        rest = kw_bytes_skip(rest, step);
    }
    return kw_buffer_bytes(out);
}

void kw_log_bytes(struct kw_log_line *line, const char *name, struct kw_bytes value)
{
    if (line->log == NULL) {
        return;
    }
    uint8_t memory[KW_LOG_VALUE_MAX * REPLACED_MAX + sizeof ELLIPSIS];
    struct kw_buffer cleaned;
    kw_buffer_init_fixed(&cleaned, memory, sizeof memory);
    size_t size_before = line->buffer.size;
    kw_json_name(&line->writer, name);
    kw_json_string(&line->writer, is_clean(value) ? value : clean(value, &cleaned));
    keep_or_take_back(line, size_before);
}

void kw_log_text(struct kw_log_line *line, const char *name, const char *value)
{
    kw_log_bytes(line, name, kw_bytes_of_text(value));
}

void kw_log_i64(struct kw_log_line *line, const char *name, int64_t value)
{
    if (line->log == NULL) {
        return;
    }
    size_t size_before = line->buffer.size;
    kw_json_name(&line->writer, name);
    kw_json_i64(&line->writer, value);
    keep_or_take_back(line, size_before);
}

void kw_log_error(struct kw_log_line *line, const struct kw_error *error)
{
    if (error->code != NULL) {
        kw_log_text(line, "code", error->code);
    }
    if (error->field[0] != '\0') {
        kw_log_text(line, "field", error->field);
    }
    if (error->message[0] != '\0') {
        kw_log_text(line, "message", error->message);
    }
    if (error->detail[0] != '\0') {
        kw_log_text(line, "detail", error->detail);
    }
}

void kw_log_end(struct kw_log_line *line)
{
    if (line->log == NULL) {
        return;
    }
    struct kw_bytes end = line->cut ? KW_BYTES(LINE_END_CUT) : KW_BYTES(LINE_END);
    memcpy(line->memory + line->buffer.size, end.data, end.size);
    ssize_t written;
    do {
        written = write(line->log->fd, line->memory, line->buffer.size + end.size);
    } while (written < 0 && errno == EINTR);
    line->log = NULL;
}
