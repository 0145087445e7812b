#include "core/requirement.h"
#include "records.h"

/* --- A slow model: a random tree, which is printed to a text --- */

#define NODES_MAX 64
#define SIDES_MAX 3
#define LEVELS_MAX 3
#define TEXT_SIZE 1024

static const char *const names[] = {"a", "b", "c", "d:*", "e:f", "and", "ANDY", "OR:x"};

enum kind { SCOPE, AND, OR };

struct node {
    enum kind kind;
    size_t name; /* of a scope: its place in names */
    size_t sides[SIDES_MAX];
    size_t side_count;
    size_t start, end; /* in the text, without the parentheses around it */
};

struct tree {
    struct node nodes[NODES_MAX];
    size_t node_count, scope_count;
    char text[TEXT_SIZE];
    size_t size;
};

static void print(struct tree *tree, const char *text)
{
    size_t size = strlen(text);
    if (tree->size + size < TEXT_SIZE) {
        memcpy(tree->text + tree->size, text, size);
        tree->size += size;
    }
}

static void print_spaces(struct test *t, struct tree *tree, uint64_t count_min)
{
    for (uint64_t count = count_min + (test_random_below(t, 5) == 0); count > 0; count--) {
        print(tree, " ");
    }
}

static size_t grow(struct test *t, struct tree *tree, size_t level)
{
    size_t at = tree->node_count++;
    struct node *node = &tree->nodes[at];
    node->kind = level == LEVELS_MAX ? SCOPE : (enum kind)test_random_below(t, 3);
    if (node->kind == SCOPE) {
        node->name = test_random_below(t, KW_COUNT_OF(names));
        tree->scope_count++;
        return at;
    }
    node->side_count = 2 + test_random_below(t, SIDES_MAX - 1);
    for (size_t i = 0; i < node->side_count; i++) {
        node->sides[i] = grow(t, tree, level + 1);
    }
    return at;
}

/* With the parentheses that it needs, and at times with one more pair. */
static void print_node(struct test *t, struct tree *tree, size_t at, bool needs)
{
    struct node *node = &tree->nodes[at];
    size_t pairs = (needs ? 1 : 0) + (test_random_below(t, 4) == 0 ? 1 : 0);
    for (size_t i = 0; i < pairs; i++) {
        print(tree, "(");
        print_spaces(t, tree, 0);
    }
    node->start = tree->size;
    if (node->kind == SCOPE) {
        print(tree, names[node->name]);
    }
    for (size_t i = 0; i < node->side_count; i++) {
        if (i != 0) {
            bool close = tree->text[tree->size - 1] == ')';
            print_spaces(t, tree, close ? 0 : 1);
            print(tree, node->kind == AND ? "AND" : "OR");
            print_spaces(t, tree, 1);
        }
        print_node(t, tree, node->sides[i], node->kind == AND && tree->nodes[node->sides[i]].kind == OR);
    }
    node->end = tree->size;
    for (size_t i = 0; i < pairs; i++) {
        print_spaces(t, tree, 0);
        print(tree, ")");
    }
}

static bool model_met(const struct tree *tree, size_t at, unsigned held)
{
    const struct node *node = &tree->nodes[at];
    if (node->kind == SCOPE) {
        return (held & 1U << node->name) != 0;
    }
    size_t met = 0;
    for (size_t i = 0; i < node->side_count; i++) {
        met += model_met(tree, node->sides[i], held);
    }
    return node->kind == AND ? met == node->side_count : met != 0;
}

/* Of a node that is not met. */
static const struct node *model_missing(const struct tree *tree, size_t at, unsigned held)
{
    const struct node *node = &tree->nodes[at];
    for (size_t i = 0; node->kind == AND && i < node->side_count; i++) {
        if (!model_met(tree, node->sides[i], held)) {
            return model_missing(tree, node->sides[i], held);
        }
    }
    return node;
}

static bool holds_name(void *context, struct kw_bytes scope)
{
    const unsigned *held = context;
    for (size_t i = 0; i < KW_COUNT_OF(names); i++) {
        if (kw_bytes_equal(scope, kw_bytes_of_text(names[i]))) {
            return (*held & 1U << i) != 0;
        }
    }
    return false;
}

static bool holds_all(void *context, struct kw_bytes scope)
{
    return context == NULL && scope.size != 0;
}

/* All parts of a node that is not met. */
static void model_all_missing(const struct tree *tree, size_t at, unsigned held, const struct node **parts,
                              size_t *count)
{
    const struct node *node = &tree->nodes[at];
    if (model_met(tree, at, held)) {
        return;
    }
    if (node->kind != AND) {
        parts[(*count)++] = node;
        return;
    }
    for (size_t i = 0; i < node->side_count; i++) {
        model_all_missing(tree, node->sides[i], held, parts, count);
    }
}

static void check_all_missing(struct test *t, const struct tree *tree, unsigned held)
{
    const struct node *expected[KW_REQUIRE_SCOPE_MAX];
    struct kw_bytes parts[KW_REQUIRE_SCOPE_MAX];
    size_t expected_count = 0;
    struct kw_bytes text = kw_bytes_of(tree->text, tree->size);
    uint32_t lacks = kw_requirement_lacks(text, holds_name, &held);
    size_t count = kw_requirement_missing(text, lacks, parts);
    model_all_missing(tree, 0, held, expected, &expected_count);
    CHECK_I64(t, count, expected_count);
    for (size_t i = 0; i < count && count == expected_count; i++) {
        CHECK_BYTES(t, parts[i], kw_bytes_of(tree->text + expected[i]->start, expected[i]->end - expected[i]->start));
        CHECK(t, parts[i].data == text.data + expected[i]->start);
    }
}

static void judging_agrees_with_the_model(struct test *t)
{
    int met_count = 0;
    for (int i = 0; i < 4000; i++) {
        struct tree tree = {.size = 0};
        size_t at = 0;
        const char *why = NULL;
        (void)grow(t, &tree, 0);
        print_spaces(t, &tree, 0);
        print_node(t, &tree, 0, false);
        print_spaces(t, &tree, 0);
        struct kw_bytes text = kw_bytes_of(tree.text, tree.size);
        if (tree.size > KW_REQUIRE_MAX) {
            CHECK_STATUS(t, kw_requirement_check(text, &at, &why), KW_E_LIMIT);
            continue;
        }
        if (kw_requirement_check(text, &at, &why) != KW_OK) {
            test_fail(t, __FILE__, __LINE__, "\"%s\": %zu, %s", tree.text, at, why);
        }
        for (int n = 0; n < 10; n++) {
            unsigned held = (unsigned)test_random_below(t, 1U << KW_COUNT_OF(names));
            bool expected = model_met(&tree, 0, held);
            met_count += expected;
            struct kw_bytes missing = {NULL, 0};
            if (kw_requirement_met(text, holds_name, &held, &missing) != expected) {
                test_fail(t, __FILE__, __LINE__, "\"%s\", %x", tree.text, held);
            } else if (expected) {
                CHECK(t, missing.data == NULL);
            } else {
                const struct node *node = model_missing(&tree, 0, held);
                CHECK_BYTES(t, missing, kw_bytes_of(tree.text + node->start, node->end - node->start));
                CHECK(t, missing.data == text.data + node->start);
            }
            check_all_missing(t, &tree, held);
        }
    }
    CHECK(t, met_count > 5000 && met_count < 35000);
}

/* Each is its column of the table: bit n is its value in row n. So an expression of them is the column of it. */
#define A 0xaaaaU
#define B 0xccccU
#define C 0xf0f0U
#define D 0xff00U

static void truth_by_table(struct test *t)
{
    static const struct {
        const char *text;
        unsigned column;
    } rows[] = {
        {"a", A},
        {"(d:*)", D},
        {"a AND b", A & B},
        {"a OR b", A | B},
        {"a OR b AND c", A | (B & C)},
        {"a AND b OR c", (A & B) | C},
        {"(a OR b) AND c", (A | B) & C},
        {"a AND (b OR c)", A & (B | C)},
        {"a AND b OR c AND d:*", (A & B) | (C & D)},
        {"a OR b AND c OR d:*", A | (B & C) | D},
        {"a AND (b OR c) AND d:*", A & (B | C) & D},
        {"((a OR b)AND(c OR d:*))", (A | B) & (C | D)},
        {"a AND b AND c AND d:*", A & B & C & D},
        {"a OR AND", 0}, /* no requirement */
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        for (unsigned held = 0; held < 16; held++) {
            struct kw_bytes missing;
            bool met = kw_requirement_met(kw_bytes_of_text(rows[i].text), holds_name, &held, &missing);
            if (met != (rows[i].column >> held & 1)) {
                test_fail(t, __FILE__, __LINE__, "\"%s\", %x", rows[i].text, held);
            }
        }
    }
}

#undef A
#undef B
#undef C
#undef D

static void missing_by_example(struct test *t)
{
    static const struct {
        const char *text;
        unsigned held; /* bits: a, b, c */
        const char *missing;
    } rows[] = {
        {"a", 0, "a"},
        {" ( (a) ) ", 0, "a"},
        {"a AND b AND c", 1, "b"},
        {"a AND b AND c", 3, "c"},
        {"a OR b", 0, "a OR b"},
        {" ( a  OR b ) ", 0, "a  OR b"},
        {"c AND (a OR b)", 4, "a OR b"},
        {"c AND (a OR b)", 0, "c"},
        {"c AND ((a OR (b)) )", 4, "a OR (b)"},
        {"a AND b OR c", 1, "a AND b OR c"},
        {"(a AND b) OR c", 1, "(a AND b) OR c"},
        {"a AND (b AND (c OR e:f))", 3, "c OR e:f"},
        {"a AND", 1, "a AND"}, /* no requirement */
        {"", 7, ""},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_bytes missing = KW_BYTES("untouched");
        unsigned held = rows[i].held;
        CHECK(t, !kw_requirement_met(kw_bytes_of_text(rows[i].text), holds_name, &held, &missing));
        CHECK_BYTES(t, missing, kw_bytes_of_text(rows[i].missing));
    }
}

/* --- What is a requirement --- */

static void refusals_say_where_and_why(struct test *t)
{
    static const struct {
        const char *text;
        size_t at;
        const char *why; /* a part of it */
    } rows[] = {
        {"", 0, "a scope or '(' is missing"},
        {"   ", 3, "a scope or '(' is missing"},
        {"AND", 0, "a scope or '(' is missing"},
        {"OR", 0, "a scope or '(' is missing"},
        {"a AND", 5, "a scope or '(' is missing"},
        {"a OR  ", 6, "a scope or '(' is missing"},
        {"a AND AND b", 6, "a scope or '(' is missing"},
        {"a AND OR b", 6, "a scope or '(' is missing"},
        {"a OR)", 4, "a scope or '(' is missing"},
        {"()", 1, "a scope or '(' is missing"},
        {"(", 1, "a scope or '(' is missing"},
        {")", 0, "a scope or '(' is missing"},
        {"a b", 2, "AND or OR is missing"},
        {"a and b", 2, "upper case"},
        {"a (b)", 2, "AND or OR is missing"},
        {"(a)(b)", 3, "AND or OR is missing"},
        {"(a) b", 4, "AND or OR is missing"},
        {"(a b)", 3, "AND, OR or ')' is missing"},
        {"(a (b))", 3, "AND, OR or ')' is missing"},
        {"(a", 0, "not closed"},
        {"a AND (b OR (c)", 6, "not closed"},
        {"((a)", 0, "not closed"},
        {"a)", 1, "closes nothing"},
        {"(a))", 3, "closes nothing"},
        {"a AND b:", 6, "no scope"},
        {"a:*:b", 0, "no scope"},
        {"a,b", 0, "no scope"},
        {"a AND !b", 6, "no scope"},
        {"a\tAND b", 0, "no scope"},
        {"a && b", 2, "AND or OR is missing"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        size_t at = SIZE_MAX;
        const char *why = "";
        enum kw_status status = kw_requirement_check(kw_bytes_of_text(rows[i].text), &at, &why);
        if (status != KW_E_INVALID || at != rows[i].at || strstr(why, rows[i].why) == NULL) {
            test_fail(t, __FILE__, __LINE__, "\"%s\": %zu, %s", rows[i].text, at, why);
        }
    }
    size_t at = SIZE_MAX;
    const char *why = NULL;
    CHECK_STATUS(t, kw_requirement_check((struct kw_bytes){NULL, 0}, &at, &why), KW_E_INVALID);
    CHECK_STATUS(t, kw_requirement_check(KW_BYTES("a\0"), &at, &why), KW_E_INVALID);
    CHECK_STATUS(t, kw_requirement_check(KW_BYTES("read AND (invoices:read OR admin)"), &at, &why), KW_OK);
}

/* Accepted when the tokens can be rewritten to one scope: S AND S, S OR S and ( S ) each become S. */
static bool model_accepts(const char *tokens)
{
    char left[16] = {0};
    memcpy(left, tokens, strlen(tokens));
    for (size_t i = 0; i + 2 < strlen(left);) {
        const char *part = left + i;
        bool joins = part[0] == 'S' && (part[1] == '&' || part[1] == '|') && part[2] == 'S';
        bool wraps = part[0] == '(' && part[1] == 'S' && part[2] == ')';
        if (joins || wraps) {
            left[i] = 'S';
            memmove(left + i + 1, left + i + 3, strlen(left + i + 3) + 1);
            i = 0;
        } else {
            i++;
        }
    }
    return strcmp(left, "S") == 0;
}

static void grammar_agrees_with_rewriting(struct test *t)
{
    static const char symbols[] = "S&|()S";
    static const char *const words[] = {"scope", "AND", "OR", "(", ")", "s:*"};
    int accepted = 0;
    for (int i = 0; i < 300000; i++) {
        char tokens[16] = {0};
        struct tree tree = {.size = 0};
        size_t count = 1 + test_random_below(t, 9);
        for (size_t n = 0; n < count; n++) {
            size_t symbol = test_random_below(t, KW_COUNT_OF(words));
            tokens[n] = symbols[symbol];
            print(&tree, n == 0 ? "" : " ");
            print(&tree, words[symbol]);
        }
        size_t at = 0;
        const char *why = NULL;
        bool expected = model_accepts(tokens);
        accepted += expected;
        enum kw_status status = kw_requirement_check(kw_bytes_of(tree.text, tree.size), &at, &why);
        if ((status == KW_OK) != expected || at > tree.size) {
            test_fail(t, __FILE__, __LINE__, "\"%s\"", tree.text);
        }
    }
    CHECK(t, accepted > 2000);
}

/* Whatever stands there: a place within the text and a reason, or a requirement that all scopes meet and none does not.
 */
static void any_bytes_are_judged(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    int accepted = 0;
    for (int i = 0; i < 60000; i++) {
        static const char *const alphabets[] = {"a ()", "ab: ANDOR()*", "a\xff\t\x01 OR"};
        struct kw_bytes text = random_text(t, &arena, alphabets[i % 3], 0, 12);
        size_t at = 0;
        const char *why = NULL;
        unsigned none = 0;
        struct kw_bytes missing = {NULL, 0};
        bool valid = kw_requirement_check(text, &at, &why) == KW_OK;
        accepted += valid;
        CHECK(t, valid ? why == NULL : at <= text.size && why != NULL && why[0] != 0);
        CHECK(t, !kw_requirement_met(text, holds_name, &none, &missing));
        CHECK(t, kw_requirement_met(text, holds_all, NULL, &missing) == valid);
        CHECK(t, missing.size <= text.size && (missing.size != 0) == (text.size != 0));
        struct kw_bytes parts[KW_REQUIRE_SCOPE_MAX];
        size_t count = kw_requirement_missing(text, kw_requirement_lacks(text, holds_name, &none), parts);
        CHECK(t, (count != 0) == valid);
        CHECK_I64(t, kw_requirement_lacks(text, holds_all, NULL), 0);
        kw_arena_reset(&arena);
    }
    CHECK(t, accepted > 1000);
}

static void caps_are_kept(struct test *t)
{
    struct tree tree = {.size = 0};
    size_t at = 0;
    const char *why = NULL;
    for (int i = 0; i < KW_REQUIRE_SCOPE_MAX; i++) {
        print(&tree, i == 0 ? "s" : " OR s");
    }
    CHECK_STATUS(t, kw_requirement_check(kw_bytes_of(tree.text, tree.size), &at, &why), KW_OK);
    print(&tree, " OR s");
    CHECK_STATUS(t, kw_requirement_check(kw_bytes_of(tree.text, tree.size), &at, &why), KW_E_LIMIT);
    CHECK_I64(t, at, tree.size - 1);
    CHECK(t, why != NULL && strstr(why, "32 scopes") != NULL);

    static const char deep[] = "(((((((((s)))))))))"; /* 9 */
    CHECK_STATUS(t, kw_requirement_check(kw_bytes_of(deep + 1, 17), &at, &why), KW_OK);
    CHECK_STATUS(t, kw_requirement_check(kw_bytes_of(deep, 19), &at, &why), KW_E_LIMIT);
    CHECK_I64(t, at, 8);
    CHECK(t, strstr(why, "8 parentheses") != NULL);
    CHECK_STATUS(t,
                 kw_requirement_check(KW_BYTES("(a) AND (b) AND (c) AND (d) AND (e) AND (f) AND (g) AND (h) AND (i)"),
                                      &at, &why),
                 KW_OK);

    char spaced[KW_REQUIRE_MAX + 1];
    memset(spaced, ' ', sizeof spaced);
    spaced[0] = 's';
    CHECK_STATUS(t, kw_requirement_check(kw_bytes_of(spaced, KW_REQUIRE_MAX), &at, &why), KW_OK);
    CHECK_STATUS(t, kw_requirement_check(kw_bytes_of(spaced, KW_REQUIRE_MAX + 1), &at, &why), KW_E_LIMIT);
    CHECK_I64(t, at, KW_REQUIRE_MAX);
}

struct asked {
    char names[16];
    size_t count;
};

/* Scopes of one letter; those in upper case are held. */
static bool note_asked(void *context, struct kw_bytes scope)
{
    struct asked *asked = context;
    if (asked->count + 1 < sizeof asked->names) {
        asked->names[asked->count++] = (char)scope.data[0];
    }
    return scope.data[0] >= 'A' && scope.data[0] <= 'Z';
}

static void nothing_is_asked_in_vain(struct test *t)
{
    static const struct {
        const char *text, *asked;
    } rows[] = {
        {"a AND b", "a"},       {"A AND b AND C", "Ab"},       {"A OR b OR C", "A"},
        {"a OR b OR C", "abC"}, {"a AND (b OR c) OR D", "aD"}, {"(A OR b) AND (c OR (D AND e)) AND F", "AcDe"},
    };
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct asked asked = {.count = 0};
        struct kw_bytes missing;
        (void)!kw_requirement_met(kw_bytes_of_text(rows[i].text), note_asked, &asked, &missing);
        CHECK_TEXT(t, asked.names, rows[i].asked);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(judging_agrees_with_the_model),
        TEST_CASE(truth_by_table),
        TEST_CASE(missing_by_example),
        TEST_CASE(refusals_say_where_and_why),
        TEST_CASE(grammar_agrees_with_rewriting),
        TEST_CASE(any_bytes_are_judged),
        TEST_CASE(caps_are_kept),
        TEST_CASE(nothing_is_asked_in_vain),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
