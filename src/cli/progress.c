#include "cli/progress.h"

#include "base/bytes.h"

#include <stdio.h>
#include <sys/ioctl.h>

#define NS_A_SECOND UINT64_C(1000000000)
#define BAR_EVERY_NS (NS_A_SECOND / 10)
#define PLAIN_EVERY_NS (5 * NS_A_SECOND)
/* What a rate is told from: before that it says nothing. */
#define RATE_AFTER_NS (NS_A_SECOND / 2)
#define BAR_COLUMNS 24
#define COLUMNS_OTHERWISE 80
#define BAR_FROM_COLUMNS (COLUMNS_OTHERWISE - 1) /* the last column stays free */
#define COLUMNS_MAX 200

enum kw_status kw_progress_init(struct kw_progress *progress, struct kw_cli *cli, const struct kw_command_line *line,
                                const char *noun, struct kw_error *error_out)
{
    const char *given = kw_line_value(line, "progress");
    enum kw_progress_way way = cli->err.is_terminal ? KW_PROGRESS_BAR : KW_PROGRESS_NONE;
    if (given != NULL && strcmp(given, "plain") == 0) {
        way = KW_PROGRESS_PLAIN;
    } else if (given != NULL && strcmp(given, "none") == 0) {
        way = KW_PROGRESS_NONE;
    } else if (given != NULL && strcmp(given, "bar") != 0) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--progress must be bar, plain or none");
    }
    *progress = (struct kw_progress){.output = &cli->err, .noun = noun, .way = way, .began_ns = kw_monotonic_ns()};
    return KW_OK;
}

void kw_progress_aim(struct kw_progress *progress, uint64_t size)
{
    progress->size = size;
}

void kw_progress_start_at(struct kw_progress *progress, uint64_t item_count, uint64_t size_done)
{
    progress->item_first = progress->item_count = item_count;
    progress->size_first = progress->size_done = size_done;
    progress->began_ns = kw_monotonic_ns();
}

/* 1234567 as 1,234,567. */
static void add_count(struct kw_buffer *text, uint64_t count)
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    for (int i = 0; i < size; i++) {
        kw_buffer_add_text(text, i > 0 && (size - i) % 3 == 0 ? "," : "");
        kw_buffer_add_byte(text, (uint8_t)digits[i]);
    }
}

static void add_duration(struct kw_buffer *text, uint64_t seconds)
{
    unsigned long long all = seconds;
    if (all >= 3600) {
        kw_buffer_add_format(text, "%lluh %02llum", all / 3600, all / 60 % 60);
    } else if (all >= 60) {
        kw_buffer_add_format(text, "%llum %02llus", all / 60, all % 60);
    } else {
        kw_buffer_add_format(text, "%llus", all);
    }
}

/* From 0 to 1, as far as the size is known: an input may grow while it is read. */
static double share_done(const struct kw_progress *progress)
{
    double share = (double)progress->size_done / (double)progress->size;
    return share > 1.0 ? 1.0 : share;
}

static void add_bar(const struct kw_progress *progress, struct kw_buffer *text)
{
    size_t full = (size_t)(share_done(progress) * BAR_COLUMNS);
    kw_buffer_add_byte(text, '[');
    for (size_t i = 0; i < BAR_COLUMNS; i++) {
        kw_buffer_add_byte(text, i < full ? '#' : '.');
    }
    kw_buffer_add_text(text, "] ");
}

static void add_rate(const struct kw_progress *progress, uint64_t elapsed_ns, struct kw_buffer *text)
{
    double seconds = (double)elapsed_ns / (double)NS_A_SECOND;
    double rate = (double)(progress->item_count - progress->item_first) / seconds;
    kw_buffer_add_text(text, ", ");
    add_count(text, (uint64_t)(rate + 0.5));
    kw_buffer_add_text(text, "/s");
    if (progress->size > progress->size_done && progress->size_done > progress->size_first) {
        uint64_t done = progress->size_done - progress->size_first;
        double left = seconds * (double)(progress->size - progress->size_done) / (double)done;
        kw_buffer_add_text(text, ", ");
        add_duration(text, (uint64_t)(left + 0.5));
        kw_buffer_add_text(text, " left");
    }
}

void kw_progress_line(const struct kw_progress *progress, uint64_t elapsed_ns, size_t columns, struct kw_buffer *text)
{
    size_t before = text->size;
    if (progress->size > 0) {
        if (progress->way == KW_PROGRESS_BAR && columns >= BAR_FROM_COLUMNS) {
            add_bar(progress, text);
        }
        kw_buffer_add_format(text, "%3d%%  ", (int)(share_done(progress) * 100.0));
    }
    add_count(text, progress->item_count);
    kw_buffer_add_format(text, " %s", progress->noun);
    if (elapsed_ns >= RATE_AFTER_NS) {
        add_rate(progress, elapsed_ns, text);
    }
    if (kw_buffer_status(text) == KW_OK && text->size - before > columns) {
        text->size = before + columns; /* all of it is ASCII */
    }
}

static size_t terminal_columns(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) {
        return COLUMNS_OTHERWISE;
    }
    return size.ws_col > COLUMNS_MAX ? COLUMNS_MAX : size.ws_col;
}

static void draw(struct kw_progress *progress, uint64_t now_ns)
{
    struct kw_buffer *text = &progress->output->text;
    uint64_t elapsed_ns = now_ns - progress->began_ns;
    if (progress->way == KW_PROGRESS_BAR) {
        /* Without the last column, where some terminals begin a new line. */
        kw_buffer_add_byte(text, '\r');
        kw_progress_line(progress, elapsed_ns, terminal_columns(progress->output->fd) - 1, text);
        kw_buffer_add_text(text, "\033[K");
        progress->is_drawn = true;
    } else {
        kw_progress_line(progress, elapsed_ns, COLUMNS_MAX, text);
        kw_buffer_add_byte(text, '\n');
    }
    kw_output_say(progress->output);
    progress->shown_ns = now_ns;
}

void kw_progress_show(struct kw_progress *progress, uint64_t item_count, uint64_t size_done)
{
    progress->item_count = item_count;
    progress->size_done = size_done;
    if (progress->way == KW_PROGRESS_NONE) {
        return;
    }
    uint64_t now_ns = kw_monotonic_ns();
    bool is_bar = progress->way == KW_PROGRESS_BAR;
    uint64_t since = progress->shown_ns == 0 ? progress->began_ns : progress->shown_ns;
    bool is_first = is_bar && progress->shown_ns == 0;
    if (is_first || now_ns - since >= (is_bar ? BAR_EVERY_NS : PLAIN_EVERY_NS)) {
        draw(progress, now_ns);
    }
}

void kw_progress_clear(struct kw_progress *progress)
{
    if (progress->is_drawn) {
        kw_buffer_add_text(&progress->output->text, "\r\033[K");
        kw_output_say(progress->output);
        progress->is_drawn = false;
    }
    if (progress->way == KW_PROGRESS_BAR) {
        progress->shown_ns = 0;
    }
}

void kw_progress_end(struct kw_progress *progress)
{
    kw_progress_clear(progress);
    if (progress->way == KW_PROGRESS_PLAIN) {
        draw(progress, kw_monotonic_ns());
    }
}
