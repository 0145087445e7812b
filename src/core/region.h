/*
 * Regions: where a key may be used from. A region is a country (ISO 3166-1 alpha-2, the officially assigned codes), a
 * subdivision of one (ISO 3166-2: "US-CA"), or a group of countries: "EU", or "EEA", which is the EU and
 * Iceland, Liechtenstein and Norway. All in upper case. Where a caller is, others find out; nothing here looks it up.
 */
#ifndef KW_CORE_REGION_H
#define KW_CORE_REGION_H

#include <keyward/record.h>

/*
 * A country, "EU", "EEA", or a country's code, '-' and 1 to 3 of A-Z and 0-9 (ISO 3166-2, 5.2). Which subdivisions a
 * country really has changes every year and is not looked at: that is kw_region_known. Lower case is refused, as are
 * reserved codes ("UK").
 */
KW_MUST_USE bool kw_region_valid(struct kw_bytes region);
/*
 * Of a valid region: whether it is in the standard as the build knew it. A country of which that has no subdivisions
 * may have any. Rules are held to it when they are given; places, which are facts and may be newer, are not.
 */
KW_MUST_USE bool kw_region_known(struct kw_bytes region);

/* The table that tools/generate_subdivisions.py makes: of the countries from AA to ZZ, 26 to a letter, the place of
 * each one's first subdivision; behind the last of its own stands the next one's. */
#define KW__COUNTRY_PLACES ((size_t)26 * 26)
extern const uint16_t kw__subdivision_starts[KW__COUNTRY_PLACES + 1];
extern const uint16_t kw__subdivisions[];

/*
 * Of two valid regions: a region covers itself, a country also its subdivisions, a group its countries and theirs, the
 * EEA also the EU. Territories with a code of their own (GF, PR) are not covered by the country that they belong to.
 */
bool kw_region_covers(struct kw_bytes granted, struct kw_bytes wanted);

/* Where a caller states to be. */
struct kw_place {
    struct kw_bytes country; /* "US" */
    struct kw_bytes region;  /* "US-CA", or "CA" alone; empty when it is not known */
};

/* True when the country is one, and the region, if there is one, has the form of a subdivision of that country. */
KW_MUST_USE bool kw_place_valid(const struct kw_place *place);

/*
 * True when one of the regions covers the place, which is valid. A subdivision does not cover a place of which only the
 * country is known: who blocks by such a list has to see to that.
 */
bool kw_regions_hold(struct kw_bytes packed_regions, const struct kw_place *place);

/*
 * True when every region of `inner` is covered by one of `outer`. Never true where `inner` covers more; but regions of
 * `outer` are not put together: "EEA" is not within "EU", "IS", "LI" and "NO".
 */
bool kw_regions_within(const struct kw_list *inner, const struct kw_list *outer);

#endif
