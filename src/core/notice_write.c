#include "core/notice.h"

#include "base/bytes.h"
#include "base/time.h"

#define LINE_MAX 1024 /* bytes of a line before it is escaped */
#define TEST_TEXT "This is a test: messages of this channel arrive here."
#define TEST_NEXT "Nothing is left to do."

/* How a message is marked up. Texts go through `add`; what stands around them does not. */
struct form {
    const char *begin, *end;             /* of all */
    const char *title_begin, *title_end; /* of what happened */
    const char *list_begin, *list_end;
    const char *item_begin, *item_end;
    const char *next_begin, *next_end;
    void (*add)(struct kw_buffer *out, struct kw_bytes text);
};

static const struct {
    char c;
    const char *as;
    bool is_quote;
} escapes[] = {
    {'&', "&amp;", false}, {'<', "&lt;", false}, {'>', "&gt;", false}, {'"', "&quot;", true}, {'\'', "&#39;", true}};

static void add_escaped(struct kw_buffer *out, struct kw_bytes text, bool with_quotes)
{
    for (size_t i = 0; i < text.size; i++) {
        const char *as = NULL;
        for (size_t e = 0; e < KW_COUNT_OF(escapes) && as == NULL; e++) {
            bool fits = text.data[i] == (uint8_t)escapes[e].c && (with_quotes || !escapes[e].is_quote);
            as = fits ? escapes[e].as : NULL;
        }
        kw_buffer_add(out, as != NULL ? kw_bytes_of_text(as) : kw_bytes_of(text.data + i, 1));
    }
}

static void add_html(struct kw_buffer *out, struct kw_bytes text)
{
    add_escaped(out, text, true);
}

static void add_slack(struct kw_buffer *out, struct kw_bytes text)
{
    add_escaped(out, text, false);
}

static const struct form plain = {.begin = "",
                                  .end = "",
                                  .title_begin = "",
                                  .title_end = "\n",
                                  .list_begin = "",
                                  .list_end = "",
                                  .item_begin = "  - ",
                                  .item_end = "\n",
                                  .next_begin = "What to do: ",
                                  .next_end = "\n\n",
                                  .add = kw_buffer_add};
static const struct form html = {.begin = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><body "
                                          "style=\"font-family:sans-serif;line-height:1.4\">\n",
                                 .end = "</body></html>\n",
                                 .title_begin = "<p><strong>",
                                 .title_end = "</strong></p>\n",
                                 .list_begin = "<ul>\n",
                                 .list_end = "</ul>\n",
                                 .item_begin = "<li>",
                                 .item_end = "</li>\n",
                                 .next_begin = "<p>What to do: ",
                                 .next_end = "</p>\n",
                                 .add = add_html};
static const struct form slack = {.begin = "",
                                  .end = "",
                                  .title_begin = "*",
                                  .title_end = "*\n",
                                  .list_begin = "",
                                  .list_end = "",
                                  .item_begin = "\xe2\x80\xa2 ",
                                  .item_end = "\n",
                                  .next_begin = "_What to do:_ ",
                                  .next_end = "\n\n",
                                  .add = add_slack};

/* --- what stands together --- */

static bool is_same_event(const struct kw_notice *a, const struct kw_notice *b)
{
    return kw_bytes_equal(kw_bytes_of_text(a->event), kw_bytes_of_text(b->event));
}

static const char *subject_of(const struct kw_notice *notice)
{
    const char *id = notice->parts[KW_NOTICE_KEY_ID];
    return id[0] != '\0' ? id : notice->parts[KW_NOTICE_NAME];
}

static bool is_same(const struct kw_notice *a, const struct kw_notice *b)
{
    return is_same_event(a, b) && kw_bytes_equal(kw_bytes_of_text(subject_of(a)), kw_bytes_of_text(subject_of(b)));
}

/* Whether none before the one at `index` is the same, in the given sense. */
static bool is_first(const struct kw_notice_batch *batch, size_t index,
                     bool (*same)(const struct kw_notice *a, const struct kw_notice *b))
{
    bool first = true;
    for (size_t i = 0; i < index && first; i++) {
        first = !same(batch->notices[i], batch->notices[index]);
    }
    return first;
}

static size_t count_same(const struct kw_notice_batch *batch, size_t index,
                         bool (*same)(const struct kw_notice *a, const struct kw_notice *b))
{
    size_t count = 0;
    for (size_t i = index; i < batch->count; i++) {
        count += same(batch->notices[i], batch->notices[index]);
    }
    return count;
}

/* --- lines --- */

static void write_title(const struct kw_notice_batch *batch, size_t index, struct kw_buffer *out)
{
    const struct kw_notice *notice = batch->notices[index];
    const struct kw_notice_text *text = kw_notice_text(notice->event);
    size_t count = count_same(batch, index, is_same_event);
    if (count == 1 || count == count_same(batch, index, is_same)) {
        kw_notice_fill(text->one, notice, out);
    } else {
        kw_buffer_add_u64(out, count);
        kw_buffer_add_format(out, " %s.", text->many);
    }
}

/* Which one it was, whose, when, and how often. */
static void write_item(const struct kw_notice_batch *batch, size_t index, struct kw_buffer *out)
{
    const struct kw_notice *notice = batch->notices[index];
    static const enum kw_notice_part told[] = {KW_NOTICE_ENV, KW_NOTICE_OWNER, KW_NOTICE_QUOTA, KW_NOTICE_KEY_ID};
    char time[KW_TIME_TEXT_SIZE];
    size_t times = count_same(batch, index, is_same);
    bool is_key = notice->parts[KW_NOTICE_KEY_ID][0] != '\0';
    kw_time_format(notice->at_ms, time);
    if (is_key) {
        kw_notice_fill("{key}, ", notice, out);
    } else if (notice->parts[KW_NOTICE_NAME][0] != '\0') {
        kw_notice_fill("{name}, ", notice, out);
    }
    for (size_t i = 0; i < KW_COUNT_OF(told); i++) {
        if (notice->parts[told[i]][0] != '\0') {
            kw_buffer_add_format(out, "%s, ", notice->parts[told[i]]);
        }
    }
    kw_buffer_add(out, kw_bytes_of(time, sizeof time));
    if (times > 1) {
        kw_buffer_add_format(out, " and %zu more time%s", times - 1, times == 2 ? "" : "s");
    }
}

typedef void write_line(const struct kw_notice_batch *batch, size_t index, struct kw_buffer *out);

static void add_line(const struct form *form, const char *begin, const char *end, struct kw_bytes text,
                     struct kw_buffer *out)
{
    kw_buffer_add_text(out, begin);
    form->add(out, text);
    kw_buffer_add_text(out, end);
}

static void add_written(const struct form *form, const char *begin, const char *end, write_line *write,
                        const struct kw_notice_batch *batch, size_t index, struct kw_buffer *out)
{
    uint8_t memory[LINE_MAX];
    struct kw_buffer line;
    kw_buffer_init_fixed(&line, memory, sizeof memory);
    write(batch, index, &line);
    add_line(form, begin, end, kw_buffer_bytes(&line), out);
}

/* --- messages --- */

/* The events of one kind, the first of which is at `index`. */
static void write_group(const struct form *form, const struct kw_notice_batch *batch, size_t index, size_t *shown,
                        struct kw_buffer *out)
{
    size_t here = 0;
    size_t left = 0;
    add_written(form, form->title_begin, form->title_end, write_title, batch, index, out);
    kw_buffer_add_text(out, form->list_begin);
    for (size_t i = index; i < batch->count; i++) {
        if (!is_same_event(batch->notices[i], batch->notices[index]) || !is_first(batch, i, is_same)) {
            continue;
        }
        if (here == KW_NOTICE_SHOWN_MAX || *shown == KW_NOTICE_SHOWN_IN_ALL_MAX) {
            left++;
            continue;
        }
        here++;
        (*shown)++;
        add_written(form, form->item_begin, form->item_end, write_item, batch, i, out);
    }
    if (left > 0) {
        char more[64];
        struct kw_buffer line;
        kw_buffer_init_fixed(&line, more, sizeof more);
        kw_buffer_add_format(&line, "%s%zu more; the log of events has them all", here > 0 ? "and " : "", left);
        add_line(form, form->item_begin, form->item_end, kw_buffer_bytes(&line), out);
    }
    kw_buffer_add_text(out, form->list_end);
    const char *next = kw_notice_text(batch->notices[index]->event)->next;
    add_line(form, form->next_begin, form->next_end, kw_bytes_of_text(next), out);
}

static void add_project(const struct form *form, const struct kw_notice_batch *batch, struct kw_buffer *out)
{
    char memory[160];
    struct kw_buffer line;
    kw_buffer_init_fixed(&line, memory, sizeof memory);
    kw_buffer_add_format(&line, "Keyward, project %.*s", (int)batch->project.size, (const char *)batch->project.data);
    add_line(form, form == &html ? "<p>" : "", form == &html ? "</p>\n" : "\n", kw_buffer_bytes(&line), out);
}

static void write_message(const struct form *form, const struct kw_notice_batch *batch, struct kw_buffer *out)
{
    size_t shown = 0;
    kw_buffer_add_text(out, form->begin);
    if (batch->is_test) {
        add_line(form, form->title_begin, form->title_end, KW_BYTES(TEST_TEXT), out);
        add_line(form, form->next_begin, form->next_end, KW_BYTES(TEST_NEXT), out);
    }
    for (size_t i = 0; i < batch->count && !batch->is_test; i++) {
        if (is_first(batch, i, is_same_event)) {
            write_group(form, batch, i, &shown, out);
        }
    }
    add_project(form, batch, out);
    kw_buffer_add_text(out, form->end);
}

void kw_notice_write_plain(const struct kw_notice_batch *batch, struct kw_buffer *out)
{
    write_message(&plain, batch, out);
}

void kw_notice_write_html(const struct kw_notice_batch *batch, struct kw_buffer *out)
{
    write_message(&html, batch, out);
}

void kw_notice_write_slack(const struct kw_notice_batch *batch, struct kw_buffer *out)
{
    write_message(&slack, batch, out);
}

/* "Keyward shop: The key "ci" (…AbC4) was revoked.", "Keyward shop: 100 events: 98 keys were revoked, …" */
static void write_subject(const struct kw_notice_batch *batch, size_t index, struct kw_buffer *out)
{
    size_t kinds = 0;
    (void)index;
    kw_buffer_add_format(out, "Keyward %.*s: ", (int)batch->project.size, (const char *)batch->project.data);
    if (batch->is_test) {
        kw_buffer_add_text(out, "a test");
        return;
    }
    bool is_mixed = count_same(batch, 0, is_same_event) < batch->count;
    if (!is_mixed) {
        write_title(batch, 0, out);
        out->size -= out->size > 0 && out->data[out->size - 1] == '.';
        return;
    }
    kw_buffer_add_format(out, "%zu events: ", batch->count);
    for (size_t i = 0; i < batch->count && kinds < 4; i++) {
        if (is_first(batch, i, is_same_event)) {
            kw_buffer_add_format(out, "%s%s", kinds == 0 ? "" : ", ", kinds == 3 ? "\xe2\x80\xa6" : "");
            kw_buffer_add_text(out, kinds == 3 ? "" : batch->notices[i]->event);
            kinds++;
        }
    }
}

void kw_notice_subject(const struct kw_notice_batch *batch, struct kw_buffer *out)
{
    uint8_t memory[LINE_MAX];
    struct kw_buffer line;
    kw_buffer_init_fixed(&line, memory, sizeof memory);
    write_subject(batch, 0, &line);
    size_t size = line.size;
    if (size > KW_NOTICE_SUBJECT_MAX) {
        size = KW_NOTICE_SUBJECT_MAX;
        while (size > 0 && (line.data[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    kw_buffer_add(out, kw_bytes_of(memory, size));
}
