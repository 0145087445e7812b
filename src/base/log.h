/*
 * Structured logs: one JSON object a line, written whole with one write(2), so that lines of several threads do not
 * mix. Secrets have no way in: there is no field type for them.
 */
#ifndef KW_BASE_LOG_H
#define KW_BASE_LOG_H

#include "base/clock.h"
#include "base/json.h"

enum kw_log_level { KW_LOG_DEBUG, KW_LOG_INFO, KW_LOG_WARN, KW_LOG_ERROR };

/*
 * Where lines go. Owned by whoever starts the process. A value longer than KW_LOG_VALUE_MAX bytes is cut and ends in
 * U+2026; fields that do not fit into a line of KW_LOG_LINE_MAX are left out, and the line then ends in "cut":true.
 */
#define KW_LOG_LINE_MAX 4096
#define KW_LOG_VALUE_MAX 1024
struct kw_log {
    int fd; /* -1: nowhere */
    enum kw_log_level level_min;
    struct kw_clock clock;
};

/* A line in the making, in the caller's memory: begin, fields, end. Nothing is written below the log's level. */
struct kw_log_line {
    const struct kw_log *log; /* NULL when the line is below the level */
    struct kw_buffer buffer;
    struct kw_json_writer writer;
    bool cut; /* a field did not fit */
    uint8_t memory[KW_LOG_LINE_MAX];
};

/* Starts {"time":"…Z","level":"info","event":"<event>"; `event` is a short stable name such as "request". */
void kw_log_begin(struct kw_log_line *line, const struct kw_log *log, enum kw_log_level level, const char *event);
void kw_log_text(struct kw_log_line *line, const char *name, const char *value);
/* U+FFFD takes the place of invalid UTF-8 and of NUL. */
void kw_log_bytes(struct kw_log_line *line, const char *name, struct kw_bytes value);
void kw_log_i64(struct kw_log_line *line, const char *name, int64_t value);
/* code, field, message and detail of an error. */
void kw_log_error(struct kw_log_line *line, const struct kw_error *error);
void kw_log_end(struct kw_log_line *line);

#endif
