#include "core/retry.h"

#include "base/bytes.h"
#include "base/time.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* Each is so much longer than the one before that even the shortest of it is longer than the longest of that. */
static const int64_t pauses_ms[KW_RETRY_COUNT] = {5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE,
                                                  HOUR,       3 * HOUR,    7 * HOUR,   20 * HOUR,   40 * HOUR};

bool kw_retry_next(const struct kw_retry *retry, int64_t *due_ms_out)
{
    if (retry->attempts > KW_RETRY_COUNT) {
        return false;
    }
    int64_t pause_ms = pauses_ms[retry->attempts == 0 ? 0 : retry->attempts - 1];
    int64_t fifth_ms = pause_ms / 5;
    pause_ms -= (int64_t)((uint64_t)fifth_ms * retry->random >> 32);
    int64_t asked_ms = retry->retry_after_ms < KW_RETRY_AFTER_MAX_MS ? retry->retry_after_ms : KW_RETRY_AFTER_MAX_MS;
    pause_ms = asked_ms > pause_ms ? asked_ms : pause_ms;
    if (retry->now_ms + pause_ms > retry->first_ms + KW_RETRY_SPAN_MS) {
        return false;
    }
    *due_ms_out = retry->now_ms + pause_ms;
    return true;
}

/* Two digits at `at`, or a number beyond all that are meant. */
static int64_t two_digits(struct kw_bytes text, size_t at)
{
    uint64_t value = 0;
    struct kw_bytes digits = kw_bytes_of(text.data + at, 2);
    uint8_t skip = digits.data[0] == '0';
    return kw_bytes_to_u64(kw_bytes_skip(digits, skip), &value) ? (int64_t)value : INT64_C(1000);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool read_date(struct kw_bytes text, int64_t *at_ms_out)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (text.size != 29 || !kw_bytes_equal(kw_bytes_skip(text, 25), KW_BYTES(" GMT")) || text.data[3] != ',') {
        return false;
    }
    int64_t month = 0;
    while (month < 12 && memcmp(months + 3 * month, text.data + 8, 3) != 0) {
        month++;
    }
    int64_t day = two_digits(text, 5);
    int64_t year = 100 * two_digits(text, 12) + two_digits(text, 14);
    int64_t hour = two_digits(text, 17);
    int64_t minute = two_digits(text, 20);
    int64_t second = two_digits(text, 23);
    if (month == 12 || day < 1 || day > 31 || year < 1970 || year > 9999 || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    int64_t days = kw_date_to_days((struct kw_date){(unsigned)year, (unsigned)month + 1, (unsigned)day});
    *at_ms_out = days * DAY + hour * HOUR + minute * MINUTE + second * SECOND;
    return true;
}

int64_t kw_retry_after(struct kw_bytes value, int64_t now_ms)
{
    uint64_t seconds = 0;
    int64_t at_ms = 0;
    if (kw_bytes_to_u64(value, &seconds)) {
        return seconds > (uint64_t)(KW_RETRY_AFTER_MAX_MS / SECOND) ? KW_RETRY_AFTER_MAX_MS : (int64_t)seconds * SECOND;
    }
    return read_date(value, &at_ms) && at_ms > now_ms ? at_ms - now_ms : 0;
}
