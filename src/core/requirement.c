#include "core/requirement.h"

#include "base/bytes.h"
#include "core/scope.h"

#define TEXT_OF_VALUE(value) #value
#define TEXT_OF(macro) TEXT_OF_VALUE(macro)

enum token { TOKEN_END, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_AND, TOKEN_OR, TOKEN_SCOPE };

/* Reading and judging are one pass over the text, so that there is one grammar. */
struct reader {
    struct kw_bytes text;
    size_t at; /* the token to be read next: where it begins, what it is, its bytes */
    enum token token;
    struct kw_bytes word;
    size_t end; /* of the token that was read last */
    size_t scope_count;
    size_t depth;
    bool (*holds)(void *context, struct kw_bytes scope); /* NULL when the text is only looked at */
    void *context;
    bool asks_all;          /* also where it makes no difference any more */
    struct kw_bytes *parts; /* NULL, or room for what is missing; of what has turned out to be met, nothing stays */
    size_t part_count;
    enum kw_status status; /* once it is not KW_OK, nothing is read any more */
    size_t wrong_at;
    const char *why;
};

/* What an expression came to. */
struct outcome {
    bool met;
    size_t start, end; /* of what is missing; when it is met, of nothing in particular */
};

static struct outcome refuse(struct reader *reader, enum kw_status status, size_t at, const char *why)
{
    if (reader->status == KW_OK) {
        reader->status = status;
        reader->wrong_at = at;
        reader->why = why;
    }
    return (struct outcome){.met = false};
}

static bool is_apart(uint8_t c)
{
    return c == ' ' || c == '(' || c == ')';
}

static enum token token_of(struct kw_bytes word)
{
    if (kw_bytes_equal(word, KW_BYTES("("))) {
        return TOKEN_OPEN;
    }
    if (kw_bytes_equal(word, KW_BYTES(")"))) {
        return TOKEN_CLOSE;
    }
    if (kw_bytes_equal(word, KW_BYTES("AND"))) {
        return TOKEN_AND;
    }
    return kw_bytes_equal(word, KW_BYTES("OR")) ? TOKEN_OR : TOKEN_SCOPE;
}

/* Looks at the next token, after `from`. */
static void look(struct reader *reader, size_t from)
{
    struct kw_bytes text = reader->text;
    while (from < text.size && text.data[from] == ' ') {
        from++;
    }
    size_t end = from;
    while (end < text.size && !is_apart(text.data[end])) {
        end++;
    }
    if (end == from && end < text.size) {
        end++; /* a parenthesis */
    }
    reader->at = from;
    reader->word = kw_bytes_skip(text, from);
    reader->word.size = end - from;
    reader->token = end == from ? TOKEN_END : token_of(reader->word);
}

static void take(struct reader *reader)
{
    reader->end = reader->at + reader->word.size;
    look(reader, reader->end);
}

static struct outcome read_scope(struct reader *reader, bool matters)
{
    struct outcome outcome = {.start = reader->at, .end = reader->at + reader->word.size};
    if (reader->scope_count == KW_REQUIRE_SCOPE_MAX) {
        return refuse(reader, KW_E_LIMIT, reader->at, "there are more than " TEXT_OF(KW_REQUIRE_SCOPE_MAX) " scopes");
    }
    if (!kw_scope_valid(reader->word)) {
        return refuse(reader, KW_E_INVALID, reader->at, "this is no scope");
    }
    reader->scope_count++;
    outcome.met = matters && reader->holds != NULL && reader->holds(reader->context, reader->word);
    if (!outcome.met && reader->parts != NULL) {
        reader->parts[reader->part_count++] = reader->word;
    }
    take(reader);
    return outcome;
}

static struct outcome read_either(struct reader *reader, bool matters);

static struct outcome read_single(struct reader *reader, bool matters)
{
    if (reader->token == TOKEN_SCOPE) {
        return read_scope(reader, matters);
    }
    if (reader->token != TOKEN_OPEN) {
        return refuse(reader, KW_E_INVALID, reader->at, "a scope or '(' is missing here");
    }
    if (reader->depth == KW_REQUIRE_DEPTH_MAX) {
        return refuse(reader, KW_E_LIMIT, reader->at,
                      "there are more than " TEXT_OF(KW_REQUIRE_DEPTH_MAX) " parentheses within each other");
    }
    size_t open_at = reader->at;
    reader->depth++;
    take(reader);
    struct outcome outcome = read_either(reader, matters);
    reader->depth--;
    if (reader->token == TOKEN_END) {
        return refuse(reader, KW_E_INVALID, open_at, "this '(' is not closed");
    }
    if (reader->token != TOKEN_CLOSE) {
        return refuse(reader, KW_E_INVALID, reader->at, "AND, OR or ')' is missing here");
    }
    take(reader);
    return outcome;
}

static struct outcome read_both(struct reader *reader, bool matters)
{
    struct outcome outcome = read_single(reader, matters);
    while (reader->status == KW_OK && reader->token == TOKEN_AND) {
        take(reader);
        struct outcome next = read_single(reader, matters && (outcome.met || reader->asks_all));
        outcome = outcome.met ? next : outcome;
    }
    return outcome;
}

static struct outcome read_either(struct reader *reader, bool matters)
{
    size_t start = reader->at;
    size_t part_count = reader->part_count;
    struct outcome outcome = read_both(reader, matters);
    bool is_choice = reader->token == TOKEN_OR;
    while (reader->status == KW_OK && reader->token == TOKEN_OR) {
        take(reader);
        struct outcome next = read_both(reader, matters && (!outcome.met || reader->asks_all));
        outcome = (struct outcome){outcome.met || next.met, start, reader->end};
    }
    if (is_choice && reader->parts != NULL && reader->status == KW_OK) {
        reader->part_count = part_count + !outcome.met;
        reader->parts[part_count] = kw_bytes_of(reader->text.data + start, reader->end - start);
    }
    return outcome;
}

static struct outcome read_all(struct reader *reader)
{
    if (reader->text.size > KW_REQUIRE_MAX) {
        return refuse(reader, KW_E_LIMIT, KW_REQUIRE_MAX, "it is longer than " TEXT_OF(KW_REQUIRE_MAX) " bytes");
    }
    look(reader, 0);
    struct outcome outcome = read_either(reader, true);
    if (reader->token == TOKEN_CLOSE) {
        return refuse(reader, KW_E_INVALID, reader->at, "this ')' closes nothing");
    }
    if (reader->token != TOKEN_END) {
        return refuse(reader, KW_E_INVALID, reader->at, "AND or OR is missing here; both are written in upper case");
    }
    return outcome;
}

enum kw_status kw_requirement_check(struct kw_bytes text, size_t *at_out, const char **why_out)
{
    struct reader reader = {.text = text};
    read_all(&reader);
    if (reader.status != KW_OK) {
        *at_out = reader.wrong_at;
        *why_out = reader.why;
    }
    return reader.status;
}

bool kw_requirement_met(struct kw_bytes text, bool (*holds)(void *context, struct kw_bytes scope), void *context,
                        struct kw_bytes *missing_out)
{
    struct reader reader = {.text = text, .holds = holds, .context = context};
    struct outcome outcome = read_all(&reader);
    if (reader.status != KW_OK) {
        *missing_out = text;
        return false;
    }
    if (!outcome.met) {
        *missing_out = kw_bytes_of(text.data + outcome.start, outcome.end - outcome.start);
    }
    return outcome.met;
}

/* Notes what is not held, by how many scopes were read before. */
struct notes {
    const struct reader *reader;
    bool (*holds)(void *context, struct kw_bytes scope);
    void *context;
    uint32_t lacks;
};

_Static_assert(KW_REQUIRE_SCOPE_MAX <= 32, "a bit for each");

static uint32_t bit_of(const struct reader *reader)
{
    return UINT32_C(1) << (reader->scope_count - 1);
}

static bool note(void *context, struct kw_bytes scope)
{
    struct notes *notes = context;
    bool is_held = notes->holds(notes->context, scope);
    notes->lacks |= is_held ? 0 : bit_of(notes->reader);
    return is_held;
}

uint32_t kw_requirement_lacks(struct kw_bytes text, bool (*holds)(void *context, struct kw_bytes scope), void *context)
{
    struct reader reader = {.text = text, .holds = note, .asks_all = true};
    struct notes notes = {&reader, holds, context, 0};
    reader.context = &notes;
    read_all(&reader);
    return reader.status == KW_OK ? notes.lacks : 0;
}

static bool is_noted(void *context, struct kw_bytes scope)
{
    const struct notes *notes = context;
    (void)scope;
    return (notes->lacks & bit_of(notes->reader)) == 0;
}

size_t kw_requirement_missing(struct kw_bytes text, uint32_t lacks, struct kw_bytes parts_out[KW_REQUIRE_SCOPE_MAX])
{
    struct reader reader = {.text = text, .holds = is_noted, .asks_all = true, .parts = parts_out};
    struct notes notes = {.reader = &reader, .lacks = lacks};
    reader.context = &notes;
    read_all(&reader);
    return reader.status == KW_OK ? reader.part_count : 0;
}
