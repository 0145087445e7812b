#include "base/time.h"

#include "base/bytes.h"
#include "base/memory.h"

#define DAY_MS INT64_C(86400000)

/*
 * Days and dates after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"
 * (https://howardhinnant.github.io/date_algorithms.html): years begin in March, so that the leap day is a year's last,
 * and repeat in eras of 400 years, 146097 days; 719468 is the day number of 1970-01-01 counted from 0000-03-01. All
 * our years are at least 0, so a year of January or February may be -1: one era is added and taken off again.
 */
int64_t kw_date_to_days(struct kw_date date)
{
    unsigned year = date.year, month = date.month;
    unsigned march_year = year + 400 - (month <= 2);
    unsigned era = march_year / 400;
    unsigned year_of_era = march_year % 400;
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + date.day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)(era - 1) * 146097 + day_of_era - 719468;
}

struct kw_date kw_date_of_days(unsigned days)
{
    unsigned shifted = days + 719468;
    unsigned era = shifted / 146097;
    unsigned day_of_era = shifted % 146097;
    unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month_from_march = (5 * day_of_year + 2) / 153;
    unsigned month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    return (struct kw_date){
        .year = year_of_era + era * 400 + (month <= 2),
        .month = month,
        .day = day_of_year - (153 * month_from_march + 2) / 5 + 1,
    };
}

unsigned kw_days_of_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Takes `count` digits off the front of `text`. */
static bool take_digits(struct kw_bytes *text, size_t count, unsigned *value_out)
{
    if (text->size < count) {
        return false;
    }
    unsigned value = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)text->data[i] - '0';
        if (digit > 9) {
            return false;
        }
        value = value * 10 + digit;
    }
    *text = kw_bytes_skip(*text, count);
    *value_out = value;
    return true;
}

static bool take_byte(struct kw_bytes *text, uint8_t byte)
{
    if (text->size == 0 || text->data[0] != byte) {
        return false;
    }
    *text = kw_bytes_skip(*text, 1);
    return true;
}

static bool take_date(struct kw_bytes *text, int64_t *days_out)
{
    unsigned year, month, day;
    if (!take_digits(text, 4, &year) || !take_byte(text, '-') || !take_digits(text, 2, &month) ||
        !take_byte(text, '-') || !take_digits(text, 2, &day)) {
        return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > kw_days_of_month(year, month)) {
        return false;
    }
    *days_out = kw_date_to_days((struct kw_date){year, month, day});
    return true;
}

/* What follows the seconds: nothing, or a point and one to nine digits. */
static bool take_fraction(struct kw_bytes *text, unsigned *ms_out)
{
    static const unsigned ms_per_unit[] = {100, 10, 1};
    if (!take_byte(text, '.')) {
        *ms_out = 0;
        return true;
    }
    unsigned ms = 0, digit;
    size_t count = 0;
    while (count < 9 && take_digits(text, 1, &digit)) {
        ms += count < KW_COUNT_OF(ms_per_unit) ? digit * ms_per_unit[count] : 0;
        count++;
    }
    *ms_out = ms;
    return count > 0;
}

static bool take_time_of_day(struct kw_bytes *text, int64_t *ms_out)
{
    unsigned hour, minute, second, ms;
    if (!take_digits(text, 2, &hour) || !take_byte(text, ':') || !take_digits(text, 2, &minute) ||
        !take_byte(text, ':') || !take_digits(text, 2, &second) || !take_fraction(text, &ms)) {
        return false;
    }
    *ms_out = (int64_t)(hour * 3600 + minute * 60 + second) * 1000 + ms;
    return hour <= 23 && minute <= 59 && second <= 59;
}

static bool take_offset(struct kw_bytes *text, int64_t *ms_out)
{
    *ms_out = 0;
    if (take_byte(text, 'Z')) {
        return true;
    }
    bool behind = take_byte(text, '-');
    if (!behind && !take_byte(text, '+')) {
        return false;
    }
    unsigned hour, minute;
    if (!take_digits(text, 2, &hour) || !take_byte(text, ':') || !take_digits(text, 2, &minute)) {
        return false;
    }
    int64_t ms = (int64_t)(hour * 60 + minute) * 60000;
    *ms_out = behind ? -ms : ms;
    return hour <= 23 && minute <= 59;
}

bool kw_time_parse(struct kw_bytes text, int64_t *time_ms_out)
{
    int64_t days, ms_of_day, offset_ms;
    if (!take_date(&text, &days) || !take_byte(&text, 'T') || !take_time_of_day(&text, &ms_of_day) ||
        !take_offset(&text, &offset_ms) || text.size != 0) {
        return false;
    }
    int64_t time_ms = days * DAY_MS + ms_of_day - offset_ms;
    if (time_ms < 0 || time_ms > KW_TIME_MS_MAX) {
        return false;
    }
    *time_ms_out = time_ms;
    return true;
}

static void put_two(char *out, unsigned value)
{
    memcpy(out, kw__digit_pairs + 2 * value, 2);
}

void kw_time_format(int64_t time_ms, char *out)
{
    time_ms = time_ms < 0 ? 0 : time_ms > KW_TIME_MS_MAX ? KW_TIME_MS_MAX : time_ms;
    struct kw_date date = kw_date_of_days((unsigned)(time_ms / DAY_MS));
    unsigned ms_of_day = (unsigned)(time_ms % DAY_MS);
    unsigned second_of_day = ms_of_day / 1000;
    unsigned ms = ms_of_day % 1000;
    memcpy(out, "YYYY-MM-DDThh:mm:ss.mmmZ", KW_TIME_TEXT_SIZE);
    put_two(out, date.year / 100);
    put_two(out + 2, date.year % 100);
    put_two(out + 5, date.month);
    put_two(out + 8, date.day);
    put_two(out + 11, second_of_day / 3600);
    put_two(out + 14, second_of_day / 60 % 60);
    put_two(out + 17, second_of_day % 60);
    out[20] = (char)('0' + ms / 100);
    put_two(out + 21, ms % 100);
}

/* Longest first: the first that divides a duration gives its shortest text. */
static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {
    {"y", 365 * DAY_MS}, {"w", 7 * DAY_MS}, {"d", DAY_MS}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static const struct unit *find_unit(struct kw_bytes name)
{
    for (size_t i = 0; i < KW_COUNT_OF(units); i++) {
        if (kw_bytes_equal(name, kw_bytes_of_text(units[i].name))) {
            return &units[i];
        }
    }
    return NULL;
}

bool kw_duration_parse(struct kw_bytes text, int64_t *duration_ms_out)
{
    size_t digit_count = 0;
    while (digit_count < text.size && text.data[digit_count] >= '0' && text.data[digit_count] <= '9') {
        digit_count++;
    }
    const struct unit *unit = find_unit(kw_bytes_skip(text, digit_count));
    uint64_t count;
    if (unit == NULL || !kw_bytes_to_u64(kw_bytes_of(text.data, digit_count), &count)) {
        return false;
    }
    if (count == 0 || count > (uint64_t)(KW_DURATION_MS_MAX / unit->ms)) {
        return false;
    }
    *duration_ms_out = (int64_t)count * unit->ms;
    return true;
}

void kw_duration_format(int64_t duration_ms, char *out)
{
    const struct unit *unit = &units[0];
    while (unit->ms > 1 && (duration_ms <= 0 || duration_ms % unit->ms != 0)) {
        unit++;
    }
    struct kw_buffer text;
    kw_buffer_init_fixed(&text, out, KW_DURATION_TEXT_MAX - 1);
    kw_buffer_add_i64(&text, duration_ms / unit->ms);
    kw_buffer_add(&text, kw_bytes_of_text(unit->name));
    out[text.size] = '\0';
}
