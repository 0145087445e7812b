#include "core/region.h"
#include "records.h"

#include <regex.h>

/* --- A slow model: a region is the set of all places in it --- */

/* The second letters of the assigned codes, by the first; another's table, in another form. */
static const struct {
    char first;
    const char *seconds;
} assigned[] = {
    {'A', "DEFGILMOQRSTUWXZ"},
    {'B', "ABDEFGHIJLMNOQRSTVWYZ"},
    {'C', "ACDFGHIKLMNORUVWXYZ"},
    {'D', "EJKMOZ"},
    {'E', "CEGHRST"},
    {'F', "IJKMOR"},
    {'G', "ABDEFGHILMNPQRSTUWY"},
    {'H', "KMNRTU"},
    {'I', "DELMNOQRST"},
    {'J', "EMOP"},
    {'K', "EGHIMNPRWYZ"},
    {'L', "ABCIKRSTUVY"},
    {'M', "ACDEFGHKLMNOPQRSTUVWXYZ"},
    {'N', "ACEFGILOPRUZ"},
    {'O', "M"},
    {'P', "AEFGHKLMNRSTWY"},
    {'Q', "A"},
    {'R', "EOSUW"},
    {'S', "ABCDEGHIJKLMNORSTVXYZ"},
    {'T', "CDFGHJKLMNORTVWZ"},
    {'U', "AGMSYZ"},
    {'V', "ACEGINU"},
    {'W', "FS"},
    {'Y', "ET"},
    {'Z', "AMW"},
};

/* States by name, so that they can be held against the treaties. */
static const char *const eu[] = {
    "AT" /* Austria */, "BE" /* Belgium */,   "BG" /* Bulgaria */,   "HR" /* Croatia */,  "CY" /* Cyprus */,
    "CZ" /* Czechia */, "DK" /* Denmark */,   "EE" /* Estonia */,    "FI" /* Finland */,  "FR" /* France */,
    "DE" /* Germany */, "GR" /* Greece */,    "HU" /* Hungary */,    "IE" /* Ireland */,  "IT" /* Italy */,
    "LV" /* Latvia */,  "LT" /* Lithuania */, "LU" /* Luxembourg */, "MT" /* Malta */,    "NL" /* Netherlands */,
    "PL" /* Poland */,  "PT" /* Portugal */,  "RO" /* Romania */,    "SK" /* Slovakia */, "SI" /* Slovenia */,
    "ES" /* Spain */,   "SE" /* Sweden */,
};
static const char *const eea_only[] = {"IS", "LI", "NO"};

static bool model_is_country(const char *code)
{
    for (size_t i = 0; i < KW_COUNT_OF(assigned); i++) {
        if (code[0] == assigned[i].first) {
            return code[1] != 0 && strchr(assigned[i].seconds, code[1]) != NULL;
        }
    }
    return false;
}

static bool model_is_among(const char *const *codes, size_t count, const char *code)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(codes[i], code) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a place in a subdivision of a country lies in a region; "" stands for subdivisions that nobody names. */
static bool model_lies_in(const char *country, const char *suffix, const char *region)
{
    bool in_eu = model_is_among(eu, KW_COUNT_OF(eu), country);
    if (strcmp(region, "EU") == 0) {
        return in_eu;
    }
    if (strcmp(region, "EEA") == 0) {
        return in_eu || model_is_among(eea_only, KW_COUNT_OF(eea_only), country);
    }
    bool in_country = strncmp(region, country, 2) == 0;
    return region[2] == 0 ? in_country : in_country && strcmp(region + 3, suffix) == 0;
}

static const char *const world_countries[] = {"US", "DE", "EE", "FR", "GF", "IS", "LI", "NO", "CH", "SK", "AT", "AD"};
static const char *const world_suffixes[] = {"", "CA", "C", "CAL", "37", "US", "EU"};

static bool model_covers(const char *granted, const char *wanted)
{
    for (size_t c = 0; c < KW_COUNT_OF(world_countries); c++) {
        for (size_t s = 0; s < KW_COUNT_OF(world_suffixes); s++) {
            if (model_lies_in(world_countries[c], world_suffixes[s], wanted) &&
                !model_lies_in(world_countries[c], world_suffixes[s], granted)) {
                return false;
            }
        }
    }
    return true;
}

#define TEXT_SIZE 8

static void random_region(struct test *t, char out[TEXT_SIZE])
{
    memset(out, 0, TEXT_SIZE);
    uint64_t kind = test_random_below(t, 6);
    const char *country = world_countries[test_random_below(t, KW_COUNT_OF(world_countries))];
    const char *suffix = world_suffixes[test_random_below(t, KW_COUNT_OF(world_suffixes))];
    if (kind < 2) {
        memcpy(out, kind == 0 ? "EU" : "EEA", 2 + kind);
        return;
    }
    memcpy(out, country, 2);
    if (suffix[0] != 0) {
        out[2] = '-';
        memcpy(out + 3, suffix, strlen(suffix));
    }
}

static void the_table_is_the_standard_s(struct test *t)
{
    int count = 0;
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            char code[3] = {(char)first, (char)second, 0};
            bool expected = model_is_country(code);
            bool group = strcmp(code, "EU") == 0;
            struct kw_place place = {kw_bytes_of(code, 2), {NULL, 0}};
            count += expected;
            CHECK(t, kw_region_valid(kw_bytes_of(code, 2)) == (expected || group));
            CHECK(t, kw_place_valid(&place) == expected);
            bool in_eu = model_is_among(eu, KW_COUNT_OF(eu), code);
            bool in_eea = in_eu || model_is_among(eea_only, KW_COUNT_OF(eea_only), code);
            CHECK(t, kw_region_covers(KW_BYTES("EU"), kw_bytes_of(code, 2)) == (in_eu || group));
            CHECK(t, kw_region_covers(KW_BYTES("EEA"), kw_bytes_of(code, 2)) == (in_eea || group));
        }
    }
    CHECK_I64(t, count, 249);
    CHECK_I64(t, KW_COUNT_OF(eu), 27);
}

static void forms_by_example(struct test *t)
{
    static const char *const valid[] = {"US", "US-CA", "US-C", "FR-75C", "GB-ENG", "NO-03", "EU", "EEA", "ZW", "AD"};
    static const char *const invalid[] = {"",    "U",     "us",  "US-", "US-ca", "US-CALI",    "US_CA",
                                          "-CA", "USA",   "UK",  "XK",  "EU-DE", "EEA-",       "EEA-DE",
                                          "eea", "US CA", " US", "US ", "US-C-", "US--A",      "US-CA-",
                                          "AA",  "ZZ",    "*",   "EEB", "XX-CA", "US-\xc3\x84"};
    for (size_t i = 0; i < KW_COUNT_OF(valid); i++) {
        if (!kw_region_valid(kw_bytes_of_text(valid[i]))) {
            test_fail(t, __FILE__, __LINE__, "\"%s\"", valid[i]);
        }
    }
    for (size_t i = 0; i < KW_COUNT_OF(invalid); i++) {
        if (kw_region_valid(kw_bytes_of_text(invalid[i]))) {
            test_fail(t, __FILE__, __LINE__, "\"%s\"", invalid[i]);
        }
    }
    CHECK(t, !kw_region_valid((struct kw_bytes){NULL, 0}));
    CHECK(t, !kw_region_valid(KW_BYTES("US\0")));
}

static void forms_agree_with_a_regular_expression(struct test *t)
{
    regex_t form;
    REQUIRE(t, regcomp(&form, "^[A-Z][A-Z]-[A-Z0-9]{1,3}$", REG_EXTENDED | REG_NOSUB) == 0);
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    int valid = 0;
    for (int i = 0; i < 60000; i++) {
        struct kw_bytes text = random_text(t, &arena, i % 2 == 0 ? "US-E" : "DEU--1Aa", 0, 7);
        char ended[8] = {0};
        if (text.size != 0) {
            memcpy(ended, text.data, text.size);
        }
        bool group = strcmp(ended, "EU") == 0 || strcmp(ended, "EEA") == 0;
        bool expected = group || (model_is_country(ended) && (ended[2] == 0 || regexec(&form, ended, 0, NULL, 0) == 0));
        valid += expected;
        if (kw_region_valid(text) != expected) {
            test_fail(t, __FILE__, __LINE__, "\"%s\"", ended);
        }
        kw_arena_reset(&arena);
    }
    CHECK(t, valid > 1000);
    regfree(&form);
}

static void covering_agrees_with_the_model(struct test *t)
{
    int covered = 0;
    for (int i = 0; i < 20000; i++) {
        char granted[TEXT_SIZE];
        char wanted[TEXT_SIZE];
        random_region(t, granted);
        random_region(t, wanted);
        bool expected = model_covers(granted, wanted);
        covered += expected;
        if (kw_region_covers(kw_bytes_of_text(granted), kw_bytes_of_text(wanted)) != expected) {
            test_fail(t, __FILE__, __LINE__, "%s, %s", granted, wanted);
        }
    }
    CHECK(t, covered > 1000 && covered < 19000);
}

#define REGIONS_MAX 4

struct regions {
    char items[REGIONS_MAX][TEXT_SIZE];
    size_t count;
    struct kw_list list;
};

static void random_regions(struct test *t, struct kw_arena *arena, struct regions *regions)
{
    struct kw_bytes items[REGIONS_MAX];
    regions->count = test_random_below(t, REGIONS_MAX + 1);
    for (size_t i = 0; i < regions->count; i++) {
        random_region(t, regions->items[i]);
        items[i] = kw_bytes_of_text(regions->items[i]);
    }
    regions->list = list_of(arena, items, regions->count);
}

static bool model_any_covers(const struct regions *regions, const char *wanted)
{
    for (size_t i = 0; i < regions->count; i++) {
        if (model_covers(regions->items[i], wanted)) {
            return true;
        }
    }
    return false;
}

static void lists_agree_with_the_model(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 12);
    int held = 0;
    int within = 0;
    for (int i = 0; i < 10000; i++) {
        struct regions inner;
        struct regions outer;
        random_regions(t, &arena, &inner);
        random_regions(t, &arena, &outer);
        const char *country = world_countries[test_random_below(t, KW_COUNT_OF(world_countries))];
        const char *suffix = world_suffixes[test_random_below(t, KW_COUNT_OF(world_suffixes))];
        char whole[TEXT_SIZE] = {country[0], country[1], suffix[0] == 0 ? 0 : '-'};
        memcpy(whole + 3, suffix, strlen(suffix));
        bool expected = model_any_covers(&inner, whole);
        held += expected;
        struct kw_place place = {kw_bytes_of_text(country), kw_bytes_of_text(suffix)};
        CHECK(t, kw_place_valid(&place) && kw_regions_hold(inner.list.packed, &place) == expected);
        place.region = kw_bytes_of_text(suffix[0] == 0 ? "" : whole);
        CHECK(t, kw_place_valid(&place) && kw_regions_hold(inner.list.packed, &place) == expected);
        expected = true;
        for (size_t n = 0; n < inner.count; n++) {
            expected &= model_any_covers(&outer, inner.items[n]);
        }
        within += expected && inner.count != 0;
        CHECK(t, kw_regions_within(&inner.list, &outer.list) == expected);
        CHECK(t, kw_regions_within(&inner.list, &inner.list));
        kw_arena_reset(&arena);
    }
    CHECK(t, held > 1000 && held < 9000);
    CHECK(t, within > 500 && within < 9500);
}

static void places_by_example(struct test *t)
{
    static const struct {
        const char *country, *region;
        bool valid, held; /* held by a rule on US-CA */
    } rows[] = {
        {"US", "US-CA", true, true}, {"US", "CA", true, true},      {"US", "", true, false},
        {"US", "NY", true, false},   {"US", "US-NY", true, false},  {"US", "US", true, false},
        {"CA", "CA", true, false},   {"CA", "", true, false},       {"US", "CA-CA", false, false},
        {"US", "US-", false, false}, {"US", "ca", false, false},    {"US", "CALI", false, false},
        {"", "US-CA", false, false}, {"us", "CA", false, false},    {"EU", "", false, false},
        {"USA", "CA", false, false}, {"U", "CA", false, false},     {"US", "US-CA-", false, false},
        {"US", "USA", true, false},  {"US", "USACA", false, false}, {"DE", "US-CA", false, false},
    };
    struct kw_list california = {KW_BYTES("\x05US-CA"), 1};
    struct kw_list damaged = {KW_BYTES("\x05US-C"), 1};
    struct kw_list odd = {KW_BYTES("\x01U\x00"), 2};
    for (size_t i = 0; i < KW_COUNT_OF(rows); i++) {
        struct kw_place place = {kw_bytes_of_text(rows[i].country), kw_bytes_of_text(rows[i].region)};
        if (kw_place_valid(&place) != rows[i].valid ||
            (rows[i].valid && kw_regions_hold(california.packed, &place) != rows[i].held)) {
            test_fail(t, __FILE__, __LINE__, "%s, %s", rows[i].country, rows[i].region);
        }
        (void)kw_regions_hold(california.packed,
                              &place); /* even of an invalid one, nothing is read that is not there */
        CHECK(t, !kw_regions_hold(damaged.packed, &place) && !kw_regions_hold(odd.packed, &place));
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(the_table_is_the_standard_s),
        TEST_CASE(forms_by_example),
        TEST_CASE(forms_agree_with_a_regular_expression),
        TEST_CASE(covering_agrees_with_the_model),
        TEST_CASE(lists_agree_with_the_model),
        TEST_CASE(places_by_example),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
