#include "cli/cli.h"

#include "core/key.h"

#define WORD_MAX 40

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * Edits that make one word the other: letters put in, taken out, changed, or two neighbours swapped (optimal string
 * alignment). Rows of the usual table, three of which are alive at a time.
 */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= b_size; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(change, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], rows[(i - 2) % 3][j - 2] + 1);
            }
        }
    }
    return rows[a_size % 3][b_size];
}

const char *kw_suggest(const char *const *names, const char *word)
{
    size_t size = strlen(word);
    if (size == 0 || size > WORD_MAX) {
        return NULL;
    }
    const char *best = NULL;
    size_t best_distance = size < 4 ? 1 : size / 3 + 1;
    for (; *names != NULL; names++) {
        size_t name_size = strlen(*names);
        bool begins = size >= 3 && strncmp(*names, word, size) == 0;
        size_t edits = name_size > WORD_MAX ? WORD_MAX : begins ? 1 : distance(word, size, *names, name_size);
        if (edits < best_distance || (best == NULL && edits == best_distance)) {
            best = *names;
            best_distance = edits;
        }
    }
    return best;
}

bool kw_looks_like_key(const char *text)
{
    /* A run of 22 letters and digits has the 128 bits that a key must have; words and ids of ours are told apart. */
    size_t run = 0;
    bool is_id = strncmp(text, "key_", 4) == 0;
    for (const char *at = text; *at != '\0'; at++) {
        bool letter = (*at >= '0' && *at <= '9') || (*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z');
        run = letter ? run + 1 : 0;
        if (run >= 22 && !is_id) {
            return true;
        }
    }
    return kw_key_well_formed(kw_bytes_of_text(text));
}
