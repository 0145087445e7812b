#include "core/tries.h"

#include "base/bytes.h"
#include "base/time.h"

#define HEAD_SIZE 18 /* time, duration, status, size of the error, size of the answer */

static void put(uint8_t *out, size_t size, uint64_t value)
{
    for (size_t i = size; i-- > 0; value >>= 8) {
        out[i] = (uint8_t)value;
    }
}

static uint64_t get(const uint8_t *from, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | from[i];
    }
    return value;
}

/* At most `max` bytes, and no part of a character at their end. */
static struct kw_bytes cut(struct kw_bytes text, size_t max)
{
    size_t size = text.size < max ? text.size : max;
    while (size < text.size && size > 0 && (text.data[size] & 0xc0) == 0x80) {
        size--;
    }
    return kw_bytes_of(text.data, size);
}

bool kw_tries_next(struct kw_bytes *rest, struct kw_try *try_out)
{
    if (rest->size < HEAD_SIZE) {
        return false;
    }
    const uint8_t *head = rest->data;
    size_t error_size = get(head + 14, 2);
    size_t answer_size = get(head + 16, 2);
    if (rest->size - HEAD_SIZE < error_size + answer_size) {
        return false;
    }
    *try_out = (struct kw_try){.at_ms = (int64_t)get(head, 8),
                               .duration_ms = (uint32_t)get(head + 8, 4),
                               .http_status = (uint16_t)get(head + 12, 2),
                               .error = kw_bytes_of(head + HEAD_SIZE, error_size),
                               .answer = kw_bytes_of(head + HEAD_SIZE + error_size, answer_size)};
    *rest = kw_bytes_skip(*rest, HEAD_SIZE + error_size + answer_size);
    return true;
}

size_t kw_tries_count(struct kw_bytes kept)
{
    struct kw_try one;
    size_t count = 0;
    while (kw_tries_next(&kept, &one)) {
        count++;
    }
    return count;
}

static void add(const struct kw_try *one, struct kw_buffer *out)
{
    uint8_t head[HEAD_SIZE];
    struct kw_bytes error = cut(one->error, KW_TRY_ERROR_MAX);
    struct kw_bytes answer = cut(one->answer, KW_TRY_ANSWER_MAX);
    put(head, 8, (uint64_t)one->at_ms);
    put(head + 8, 4, one->duration_ms);
    put(head + 12, 2, one->http_status);
    put(head + 14, 2, error.size);
    put(head + 16, 2, answer.size);
    kw_buffer_add(out, kw_bytes_of(head, sizeof head));
    kw_buffer_add(out, error);
    kw_buffer_add(out, answer);
}

void kw_tries_add(struct kw_bytes kept, const struct kw_try *one, struct kw_buffer *out)
{
    struct kw_try old;
    size_t count = kw_tries_count(kept);
    while (kw_tries_next(&kept, &old)) {
        if (count < KW_TRIES_KEPT_MAX) {
            add(&old, out);
        } else {
            count--;
        }
    }
    add(one, out);
}

/* What came from elsewhere may be anything. */
static void write_shown(struct kw_json_writer *json, struct kw_bytes text)
{
    uint8_t memory[3 * KW_TRY_ANSWER_MAX];
    struct kw_buffer clean;
    kw_buffer_init_fixed(&clean, memory, sizeof memory);
    while (text.size > 0) {
        size_t size = kw_utf8_sequence(text);
        if (size == 0 || text.data[0] == 0) {
            kw_buffer_add_text(&clean, "\xef\xbf\xbd");
            size = 1;
        } else {
            kw_buffer_add(&clean, kw_bytes_of(text.data, size));
        }
        text = kw_bytes_skip(text, size);
    }
    kw_json_string(json, kw_buffer_bytes(&clean));
}

void kw_tries_write(struct kw_bytes kept, struct kw_json_writer *json)
{
    struct kw_try one;
    kw_json_begin_array(json);
    while (kw_tries_next(&kept, &one)) {
        char time[KW_TIME_TEXT_SIZE];
        kw_time_format(one.at_ms, time);
        kw_json_begin_object(json);
        kw_json_name(json, "at");
        kw_json_string(json, kw_bytes_of(time, sizeof time));
        kw_json_name(json, "durationMs");
        kw_json_i64(json, one.duration_ms);
        if (one.http_status != 0) {
            kw_json_name(json, "status");
            kw_json_i64(json, one.http_status);
        }
        if (one.error.size > 0) {
            kw_json_name(json, "error");
            write_shown(json, one.error);
        }
        if (one.answer.size > 0) {
            kw_json_name(json, "answer");
            write_shown(json, one.answer);
        }
        kw_json_end_object(json);
    }
    kw_json_end_array(json);
}
