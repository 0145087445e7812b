/*
 * Which country, and which part of it, an address lies in, from a MaxMind database that the operator brings (GeoLite2,
 * GeoIP2, or another one of countries or cities in that format). The only place that knows libmaxminddb. The file is
 * mapped into memory and must not be written to meanwhile; a new one is taken up by the next start.
 */
#ifndef KW_SERVER_GEO_H
#define KW_SERVER_GEO_H

#include "core/address.h"
#include "core/region.h"

struct kw_geo;

/*
 * Maps the file and looks through its search tree. FILE_UNUSABLE, naming the file, when it can not be read, is damaged
 * as far as can be seen from there, or tells no countries.
 */
KW_MUST_USE enum kw_status kw_geo_open(const char *path, struct kw_geo **geo_out, struct kw_error *error_out);
void kw_geo_close(struct kw_geo *geo);

/*
 * Where the address lies; what `place_out` borrows lives as long as the database. A part that has no code of ISO 3166-2
 * is left out. False, with `place_out` untouched, when the database does not say. Any number of threads.
 */
KW_MUST_USE bool kw_geo_find(const struct kw_geo *geo, const struct kw_address *address, struct kw_place *place_out);

#endif
