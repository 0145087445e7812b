#include "server/geo.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <maxminddb.h>
#include <netinet/in.h>

struct kw_geo {
    MMDB_s database;
};

static const char *const country_path[] = {"country", "iso_code", NULL};
static const char *const region_path[] = {"subdivisions", "0", "iso_code", NULL};

/* The text at a path of a record; MMDB_SUCCESS with no bytes where there is none. */
static int text_at(MMDB_entry_s *entry, const char *const *path, struct kw_bytes *text_out)
{
    MMDB_entry_data_s data;
    int failed = MMDB_aget_value(entry, &data, path);
    if (failed == MMDB_LOOKUP_PATH_DOES_NOT_MATCH_DATA_ERROR) {
        failed = MMDB_SUCCESS;
        data.has_data = false;
    }
    if (failed == MMDB_SUCCESS) {
        bool is_text = data.has_data && data.type == MMDB_DATA_TYPE_UTF8_STRING;
        *text_out = is_text ? kw_bytes_of(data.utf8_string, data.data_size) : (struct kw_bytes){NULL, 0};
    }
    return failed;
}

static int place_at(MMDB_entry_s *entry, struct kw_place *place_out)
{
    *place_out = (struct kw_place){0};
    int failed = text_at(entry, country_path, &place_out->country);
    return failed != MMDB_SUCCESS ? failed : text_at(entry, region_path, &place_out->region);
}

/* One side of a node: sets `has_country` when there is a record behind it, and that tells one. */
static int look_at_record(uint8_t type, MMDB_entry_s *entry, bool *has_country)
{
    if (type == MMDB_RECORD_TYPE_INVALID) {
        return MMDB_CORRUPT_SEARCH_TREE_ERROR;
    }
    if (type != MMDB_RECORD_TYPE_DATA || *has_country) {
        return MMDB_SUCCESS;
    }
    struct kw_place place;
    int failed = place_at(entry, &place);
    *has_country = failed == MMDB_SUCCESS && kw_place_valid(&(struct kw_place){.country = place.country});
    return failed;
}

/* In the order of the file, so that a damaged tree leads nowhere. */
static int look_through(const MMDB_s *database, bool *has_country_out)
{
    int failed = MMDB_SUCCESS;
    *has_country_out = false;
    for (uint32_t at = 0; at < database->metadata.node_count && failed == MMDB_SUCCESS; at++) {
        MMDB_search_node_s node;
        failed = MMDB_read_node(database, at, &node);
        if (failed == MMDB_SUCCESS) {
            failed = look_at_record(node.left_record_type, &node.left_record_entry, has_country_out);
        }
        if (failed == MMDB_SUCCESS) {
            failed = look_at_record(node.right_record_type, &node.right_record_entry, has_country_out);
        }
    }
    return failed;
}

enum kw_status kw_geo_open(const char *path, struct kw_geo **geo_out, struct kw_error *error_out)
{
    struct kw_geo *geo = kw_alloc(1, sizeof *geo);
    if (geo == NULL) {
        return kw_fail(error_out, KW_E_MEMORY, "INTERNAL", NULL, "there is no memory for the database of addresses");
    }
    int failed = MMDB_open(path, MMDB_MODE_MMAP, &geo->database);
    if (failed != MMDB_SUCCESS) {
        const char *why = failed == MMDB_FILE_OPEN_ERROR ? strerror(errno) : MMDB_strerror(failed);
        enum kw_status status = kw_fail(error_out, KW_E_INVALID, "FILE_UNUSABLE", NULL,
                                        "the database of addresses %s cannot be used: %s", path, why);
        kw_free(geo);
        return status;
    }
    bool has_country;
    failed = look_through(&geo->database, &has_country);
    if (failed != MMDB_SUCCESS || !has_country) {
        const char *why =
            failed != MMDB_SUCCESS ? MMDB_strerror(failed) : "it tells no countries (country.iso_code) of addresses";
        enum kw_status status = kw_fail(error_out, KW_E_INVALID, "FILE_UNUSABLE", NULL,
                                        "the database of addresses %s cannot be used: %s", path, why);
        kw_geo_close(geo);
        return status;
    }
    *geo_out = geo;
    return KW_OK;
}

void kw_geo_close(struct kw_geo *geo)
{
    if (geo == NULL) {
        return;
    }
    MMDB_close(&geo->database);
    kw_free(geo);
}

static MMDB_lookup_result_s look_up(const struct kw_geo *geo, const struct kw_address *address, int *failed_out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    memcpy(&v4.sin_addr, address->bytes + sizeof address->bytes - sizeof v4.sin_addr, sizeof v4.sin_addr);
    memcpy(&v6.sin6_addr, address->bytes, sizeof v6.sin6_addr);
    const void *either = kw_address_is_ipv4(address) ? (const void *)&v4 : (const void *)&v6;
    return MMDB_lookup_sockaddr(&geo->database, either, failed_out);
}

bool kw_geo_find(const struct kw_geo *geo, const struct kw_address *address, struct kw_place *place_out)
{
    int failed = MMDB_SUCCESS;
    MMDB_lookup_result_s found = look_up(geo, address, &failed);
    struct kw_place place;
    if (failed != MMDB_SUCCESS || !found.found_entry || place_at(&found.entry, &place) != MMDB_SUCCESS) {
        return false;
    }
    if (!kw_place_valid(&place)) {
        place.region = (struct kw_bytes){NULL, 0};
    }
    if (!kw_place_valid(&place)) {
        return false;
    }
    *place_out = place;
    return true;
}
