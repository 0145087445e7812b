#include "core/region.h"

#include "core/internal.h"

#define CODE_SIZE 2
#define SUFFIX_MAX 3 /* of a subdivision */

/* Sorted, without anything between the codes. */
static const char countries[] = "ADAEAFAGAIALAMAOAQARASATAUAWAXAZ"
                                "BABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZ"
                                "CACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCXCYCZ"
                                "DEDJDKDMDODZ"
                                "ECEEEGEHERESET"
                                "FIFJFKFMFOFR"
                                "GAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGY"
                                "HKHMHNHRHTHU"
                                "IDIEILIMINIOIQIRISIT"
                                "JEJMJOJP"
                                "KEKGKHKIKMKNKPKRKWKYKZ"
                                "LALBLCLILKLRLSLTLULVLY"
                                "MAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZ"
                                "NANCNENFNGNINLNONPNRNUNZ"
                                "OM"
                                "PAPEPFPGPHPKPLPMPNPRPSPTPWPY"
                                "QA"
                                "RERORSRURW"
                                "SASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZ"
                                "TCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZ"
                                "UAUGUMUSUYUZ"
                                "VAVCVEVGVIVNVU"
                                "WFWS"
                                "YEYT"
                                "ZAZMZW";

/* The members since 2020. */
static const char eu_countries[] = "ATBEBGCYCZDEDKEEESFIFRGRHRHUIEITLTLULVMTNLPLPTROSESISK";
static const char eea_beside_eu[] = "ISLINO";

_Static_assert(sizeof countries - 1 == (size_t)249 * CODE_SIZE, "all assigned codes");
_Static_assert(sizeof eu_countries - 1 == (size_t)27 * CODE_SIZE, "all members");

static bool is_among(struct kw_bytes codes, const uint8_t code[CODE_SIZE])
{
    size_t first = 0;
    size_t end = codes.size / CODE_SIZE;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        int order = memcmp(code, codes.data + middle * CODE_SIZE, CODE_SIZE);
        if (order == 0) {
            return true;
        }
        if (order < 0) {
            end = middle;
        } else {
            first = middle + 1;
        }
    }
    return false;
}

static bool is_in_eu(const uint8_t code[CODE_SIZE])
{
    return is_among(KW_BYTES(eu_countries), code);
}

static bool is_country(struct kw_bytes text)
{
    return text.size == CODE_SIZE && is_among(KW_BYTES(countries), text.data);
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

bool kw_regions_hold(const struct kw_list *regions, const struct kw_place *place)
{
    if (place->country.size != CODE_SIZE) {
        return false;
    }
    if (place->region.size == 0) {
        return any_covers(regions->packed, place->country);
    }
    if (is_whole(place)) {
        return any_covers(regions->packed, place->region);
    }
    if (place->region.size > SUFFIX_MAX) {
        return false;
    }
    uint8_t whole[KW_REGION_MAX] = {place->country.data[0], place->country.data[1], '-'};
    memcpy(whole + CODE_SIZE + 1, place->region.data, place->region.size);
    return any_covers(regions->packed, kw_bytes_of(whole, CODE_SIZE + 1 + place->region.size));
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
