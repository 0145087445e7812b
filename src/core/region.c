#include "core/region.h"

#include "core/internal.h"

#define CODE_SIZE 2
#define SUFFIX_MAX 3 /* of a subdivision */

/* All assigned codes, by their first letter: a bit for each second one. Asked on the way of every verification that
 * states a country. */
#define X(letter) (UINT32_C(1) << ((letter) - 'A'))
/* clang-format off */
static const uint32_t countries[26] = {
    ['A' - 'A'] = X('D') | X('E') | X('F') | X('G') | X('I') | X('L') | X('M') | X('O') | X('Q') | X('R') | X('S') |
        X('T') | X('U') | X('W') | X('X') | X('Z'),
    ['B' - 'A'] = X('A') | X('B') | X('D') | X('E') | X('F') | X('G') | X('H') | X('I') | X('J') | X('L') | X('M') |
        X('N') | X('O') | X('Q') | X('R') | X('S') | X('T') | X('V') | X('W') | X('Y') | X('Z'),
    ['C' - 'A'] = X('A') | X('C') | X('D') | X('F') | X('G') | X('H') | X('I') | X('K') | X('L') | X('M') | X('N') |
        X('O') | X('R') | X('U') | X('V') | X('W') | X('X') | X('Y') | X('Z'),
    ['D' - 'A'] = X('E') | X('J') | X('K') | X('M') | X('O') | X('Z'),
    ['E' - 'A'] = X('C') | X('E') | X('G') | X('H') | X('R') | X('S') | X('T'),
    ['F' - 'A'] = X('I') | X('J') | X('K') | X('M') | X('O') | X('R'),
    ['G' - 'A'] = X('A') | X('B') | X('D') | X('E') | X('F') | X('G') | X('H') | X('I') | X('L') | X('M') | X('N') |
        X('P') | X('Q') | X('R') | X('S') | X('T') | X('U') | X('W') | X('Y'),
    ['H' - 'A'] = X('K') | X('M') | X('N') | X('R') | X('T') | X('U'),
    ['I' - 'A'] = X('D') | X('E') | X('L') | X('M') | X('N') | X('O') | X('Q') | X('R') | X('S') | X('T'),
    ['J' - 'A'] = X('E') | X('M') | X('O') | X('P'),
    ['K' - 'A'] = X('E') | X('G') | X('H') | X('I') | X('M') | X('N') | X('P') | X('R') | X('W') | X('Y') | X('Z'),
    ['L' - 'A'] = X('A') | X('B') | X('C') | X('I') | X('K') | X('R') | X('S') | X('T') | X('U') | X('V') | X('Y'),
    ['M' - 'A'] = X('A') | X('C') | X('D') | X('E') | X('F') | X('G') | X('H') | X('K') | X('L') | X('M') | X('N') |
        X('O') | X('P') | X('Q') | X('R') | X('S') | X('T') | X('U') | X('V') | X('W') | X('X') | X('Y') | X('Z'),
    ['N' - 'A'] = X('A') | X('C') | X('E') | X('F') | X('G') | X('I') | X('L') | X('O') | X('P') | X('R') | X('U') |
        X('Z'),
    ['O' - 'A'] = X('M'),
    ['P' - 'A'] = X('A') | X('E') | X('F') | X('G') | X('H') | X('K') | X('L') | X('M') | X('N') | X('R') | X('S') |
        X('T') | X('W') | X('Y'),
    ['Q' - 'A'] = X('A'),
    ['R' - 'A'] = X('E') | X('O') | X('S') | X('U') | X('W'),
    ['S' - 'A'] = X('A') | X('B') | X('C') | X('D') | X('E') | X('G') | X('H') | X('I') | X('J') | X('K') | X('L') |
        X('M') | X('N') | X('O') | X('R') | X('S') | X('T') | X('V') | X('X') | X('Y') | X('Z'),
    ['T' - 'A'] = X('C') | X('D') | X('F') | X('G') | X('H') | X('J') | X('K') | X('L') | X('M') | X('N') | X('O') |
        X('R') | X('T') | X('V') | X('W') | X('Z'),
    ['U' - 'A'] = X('A') | X('G') | X('M') | X('S') | X('Y') | X('Z'),
    ['V' - 'A'] = X('A') | X('C') | X('E') | X('G') | X('I') | X('N') | X('U'),
    ['W' - 'A'] = X('F') | X('S'),
    ['Y' - 'A'] = X('E') | X('T'),
    ['Z' - 'A'] = X('A') | X('M') | X('W'),
};
/* clang-format on */
#undef X

/* The members since 2020; sorted, without anything between the codes, as is the next. */
static const char eu_countries[] = "ATBEBGCYCZDEDKEEESFIFRGRHRHUIEITLTLULVMTNLPLPTROSESISK";
static const char eea_beside_eu[] = "ISLINO";

_Static_assert(sizeof eu_countries - 1 == (size_t)27 * CODE_SIZE, "all members");

static inline unsigned number_of(const uint8_t code[CODE_SIZE])
{
    return (unsigned)code[0] << 8 | code[1];
}

/* Halves what is left without asking for equality: so no step waits for what a branch would have to guess. */
static bool is_among(struct kw_bytes codes, const uint8_t code[CODE_SIZE])
{
    unsigned wanted = number_of(code);
    const uint8_t *first = codes.data;
    size_t left = codes.size / CODE_SIZE;
    while (left > 1) {
        size_t half = left / 2;
        first = number_of(first + half * CODE_SIZE) <= wanted ? first + half * CODE_SIZE : first;
        left -= half;
    }
    return left == 1 && number_of(first) == wanted;
}

static bool is_in_eu(const uint8_t code[CODE_SIZE])
{
    return is_among(KW_BYTES(eu_countries), code);
}

static bool is_country(struct kw_bytes text)
{
    bool is_code = text.size == CODE_SIZE && text.data[0] >= 'A' && text.data[0] <= 'Z' && text.data[1] >= 'A' &&
                   text.data[1] <= 'Z';
    return is_code && (countries[text.data[0] - 'A'] >> (text.data[1] - 'A') & 1) != 0;
}

static bool is_eu(struct kw_bytes region)
{
    return kw_bytes_equal(region, KW_BYTES("EU"));
}

static bool is_eea(struct kw_bytes region)
{
    return kw_bytes_equal(region, KW_BYTES("EEA"));
}

/* What follows the '-'. */
static bool is_suffix(struct kw_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if ((c < 'A' || c > 'Z') && (c < '0' || c > '9')) {
            return false;
        }
    }
    return text.size >= 1 && text.size <= SUFFIX_MAX;
}

bool kw_region_valid(struct kw_bytes region)
{
    struct kw_bytes country;
    struct kw_bytes suffix;
    if (kw_bytes_split(region, '-', &country, &suffix)) {
        return is_country(country) && is_suffix(suffix);
    }
    return is_country(region) || is_eu(region) || is_eea(region);
}

/* As the generator counts: three digits of base 37 from the left. */
static unsigned subdivision_number(struct kw_bytes suffix)
{
    unsigned number = 0;
    for (size_t i = 0; i < SUFFIX_MAX; i++) {
        unsigned c = i < suffix.size ? suffix.data[i] : 0;
        unsigned digit = c == 0 ? 0 : c <= '9' ? 1 + c - '0' : 11 + c - 'A';
        number = number * 37 + digit;
    }
    return number;
}

bool kw_region_known(struct kw_bytes region)
{
    if (region.size <= CODE_SIZE + 1) {
        return true;
    }
    size_t place = (size_t)(region.data[0] - 'A') * 26 + (size_t)(region.data[1] - 'A');
    size_t first = kw__subdivision_starts[place];
    size_t end = kw__subdivision_starts[place + 1];
    unsigned wanted = subdivision_number(kw_bytes_skip(region, CODE_SIZE + 1));
    bool has_any = first < end;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (kw__subdivisions[middle] == wanted) {
            return true;
        }
        first = kw__subdivisions[middle] < wanted ? middle + 1 : first;
        end = kw__subdivisions[middle] < wanted ? end : middle;
    }
    return !has_any;
}

/* Whether a region is that country or lies in it: "EEA" does not lie in "EE". */
static bool lies_in(struct kw_bytes region, struct kw_bytes country)
{
    return kw_bytes_starts_with(region, country) && (region.size == CODE_SIZE || region.data[CODE_SIZE] == '-');
}

bool kw_region_covers(struct kw_bytes granted, struct kw_bytes wanted)
{
    if (kw_bytes_equal(granted, wanted)) {
        return true;
    }
    if (wanted.size < CODE_SIZE || is_eea(wanted)) {
        return false;
    }
    if (is_eea(granted)) {
        return is_eu(wanted) || is_in_eu(wanted.data) || is_among(KW_BYTES(eea_beside_eu), wanted.data);
    }
    if (is_eu(granted)) {
        return is_in_eu(wanted.data);
    }
    return granted.size == CODE_SIZE && lies_in(wanted, granted);
}

/* A subdivision with its country before it, whichever way it was stated. */
static bool is_whole(const struct kw_place *place)
{
    return place->region.size > CODE_SIZE && lies_in(place->region, place->country);
}

bool kw_place_valid(const struct kw_place *place)
{
    if (!is_country(place->country)) {
        return false;
    }
    return place->region.size == 0 ||
           is_suffix(is_whole(place) ? kw_bytes_skip(place->region, CODE_SIZE + 1) : place->region);
}

static bool is_named(struct kw_bytes rest, struct kw_bytes wanted)
{
    struct kw_bytes granted;
    while (kw__list_next(&rest, &granted)) {
        if (kw_bytes_equal(granted, wanted)) {
            return true;
        }
    }
    return false;
}

static bool any_covers(struct kw_bytes rest, struct kw_bytes wanted)
{
    struct kw_bytes granted;
    while (kw__list_next(&rest, &granted)) {
        if (kw_region_covers(granted, wanted)) {
            return true;
        }
    }
    return false;
}

bool kw_regions_hold(struct kw_bytes packed_regions, const struct kw_place *place)
{
    if (place->country.size != CODE_SIZE) {
        return false;
    }
    if (place->region.size == 0) { /* what is named itself needs no look into the groups */
        return is_named(packed_regions, place->country) || any_covers(packed_regions, place->country);
    }
    if (is_whole(place)) {
        return any_covers(packed_regions, place->region);
    }
    if (place->region.size > SUFFIX_MAX) {
        return false;
    }
    uint8_t whole[KW_REGION_MAX] = {place->country.data[0], place->country.data[1], '-'};
    memcpy(whole + CODE_SIZE + 1, place->region.data, place->region.size);
    return any_covers(packed_regions, kw_bytes_of(whole, CODE_SIZE + 1 + place->region.size));
}

bool kw_regions_within(const struct kw_list *inner, const struct kw_list *outer)
{
    struct kw_bytes rest = inner->packed;
    struct kw_bytes region;
    while (kw__list_next(&rest, &region)) {
        if (!any_covers(outer->packed, region)) {
            return false;
        }
    }
    return true;
}
