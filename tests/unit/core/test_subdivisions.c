/* Subdivisions against a slow model: the list itself, read as text, and every text of the form of a subdivision. */
#include "core/region.h"
#include "core/transition.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define LIST_SIZE_MAX ((size_t)16 * 1024 * 1024)
#define CODE_COUNT_MAX 20000

static const char characters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* The codes of the list, each in quotes behind "code". */
struct model {
    char codes[CODE_COUNT_MAX][8];
    size_t count;
};

static int in_order(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool model_read(struct model *model)
{
    FILE *file = fopen(SUBDIVISIONS_JSON, "rb");
    char *text = calloc(1, LIST_SIZE_MAX);
    size_t size = file == NULL || text == NULL ? 0 : fread(text, 1, LIST_SIZE_MAX - 1, file);
    model->count = 0;
    for (const char *at = size == 0 ? NULL : strstr(text, "\"code\""); at != NULL && model->count < CODE_COUNT_MAX;
         at = strstr(at, "\"code\"")) {
        at = strchr(at + strlen("\"code\""), '"') + 1;
        size_t code_size = strcspn(at, "\"");
        if (code_size < sizeof model->codes[0]) {
            memcpy(model->codes[model->count++], at, code_size);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    free(text);
    qsort(model->codes, model->count, sizeof model->codes[0], in_order);
    return model->count > 0;
}

static bool model_has(const struct model *model, const char *code)
{
    return bsearch(code, model->codes, model->count, sizeof model->codes[0], in_order) != NULL;
}

/* Of a country that has none, all are known. */
static bool model_has_any(const struct model *model, const char *country)
{
    for (size_t i = 0; i < model->count; i++) {
        if (strncmp(model->codes[i], country, 2) == 0) {
            return true;
        }
    }
    return false;
}

static size_t check_country(struct test *t, const struct model *model, const char *country)
{
    bool has_any = model_has_any(model, country);
    size_t known = 0;
    for (size_t n = 0; n < 37 * 37 * 36; n++) {
        char code[8] = {country[0], country[1], '-', characters[n / (37 * 37)]};
        size_t second = n / 37 % 37;
        size_t third = n % 37;
        if (second == 0 && third != 0) {
            continue;
        }
        if (second > 0) {
            code[4] = characters[second - 1];
        }
        if (third > 0) {
            code[5] = characters[third - 1];
        }
        bool is_known = kw_region_known(kw_bytes_of_text(code));
        if (is_known != (!has_any || model_has(model, code))) {
            test_fail(t, __FILE__, __LINE__, "%s", code);
        }
        known += has_any && is_known;
    }
    return known;
}

static void the_table_is_the_list(struct test *t)
{
    static struct model model;
    REQUIRE(t, model_read(&model));
    size_t known = 0;
    const char *letters = strchr(characters, 'A');
    for (size_t first = 0; first < 26; first++) {
        for (size_t second = 0; second < 26; second++) {
            const char country[] = {letters[first], letters[second], 0};
            if (kw_region_valid(kw_bytes_of_text(country)) && strcmp(country, "EU") != 0) {
                known += check_country(t, &model, country);
            }
        }
    }
    CHECK_I64(t, known, model.count);
    CHECK(t, model.count > 4000 && model.count < CODE_COUNT_MAX);
}

static void examples(struct test *t)
{
    static const struct {
        const char *region;
        bool is_known;
    } rows[] = {{"US-CA", true},  {"US-ZZ", false},  {"US-C", false},  {"DE-BY", true},
                {"FR-IDF", true}, {"FR-ZZZ", false}, {"GB-ENG", true}, {"US", true},
                {"EU", true},     {"EEA", true},     {"PR-1", true}}; /* PR has none */
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        if (kw_region_known(kw_bytes_of_text(rows[i].region)) != rows[i].is_known) {
            test_fail(t, __FILE__, __LINE__, "%s", rows[i].region);
        }
    }
}

static void params_are_held_to_it(struct test *t)
{
    const struct kw_bytes good[] = {KW_BYTES("EU"), KW_BYTES("US-CA"), KW_BYTES("no region")};
    const struct kw_bytes bad[] = {KW_BYTES("US-CA"), KW_BYTES("US-ZZ")};
    struct kw_error error;
    struct kw_key_params params = {.allowed_regions = good, .allowed_region_count = 3};
    CHECK_STATUS(t, kw_key_regions_check(&params, NULL, &error), KW_OK);
    params.blocked_regions = bad;
    params.blocked_region_count = 2;
    CHECK_STATUS(t, kw_key_regions_check(&params, NULL, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.code, "INVALID_FIELD");
    CHECK_TEXT(t, error.field, "blockedRegions[1]");
    CHECK_TEXT(t, error.message, "is no part of US in ISO 3166-2: name one that is, or all of it as \"US\"");
    CHECK_STATUS(t, kw_key_regions_check(&params, &params, &error), KW_OK); /* what stood there may stay */
    params.allowed_regions = bad;
    params.allowed_region_count = 2;
    CHECK_STATUS(t, kw_key_regions_check(&params, NULL, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.field, "allowedRegions[1]");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_table_is_the_list),
        TEST_CASE(examples),
        TEST_CASE(params_are_held_to_it),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
