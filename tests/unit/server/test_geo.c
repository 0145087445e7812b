/* The database of addresses (tests/support/mmdb.py makes it; KW_TEST_PLACES is its path), whole and damaged. */
#include "base/error.h"
#include "base/memory.h"
#include "server/geo.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_MAX 65536

/* "US-CA", "US", or "" where nobody knows. */
static const char *find(const struct kw_geo *geo, const char *text, char out[KW_REGION_MAX + 2])
{
    struct kw_address address;
    struct kw_place place;
    if (!kw_address_parse(kw_bytes_of_text(text), &address)) {
        return "no address";
    }
    out[0] = '\0';
    if (kw_geo_find(geo, &address, &place)) {
        snprintf(out, KW_REGION_MAX + 2, "%.*s%s%.*s", (int)place.country.size, (const char *)place.country.data,
                 place.region.size == 0 ? "" : "-", (int)place.region.size, (const char *)place.region.data);
    }
    return out;
}

static const struct {
    const char *address, *place;
} places[] = {
    {"192.0.2.0", "US-CA"},     {"192.0.2.127", "US-CA"}, /* the largest of its parts */
    {"192.0.2.128", "US"},      {"192.0.1.255", ""},
    {"192.0.3.0", ""},          {"::ffff:192.0.2.1", "US-CA"},
    {"198.51.100.1", "FR-IDF"}, /* where it is, not where it is registered */
    {"203.0.113.1", ""},        /* registered in the US, and nobody knows where it is */
    {"203.0.113.65", ""},       /* XX is no country */
    {"203.0.113.129", "GB"},    /* what is no code of a part is left out */
    {"203.0.113.193", ""},      /* a number for a code */
    {"2001:db8:1::", "JP-13"},  {"2001:db8:1:ffff:ffff:ffff:ffff:ffff", "JP-13"},
    {"2001:db8:2::1", "NO"},    {"2001:db8:3::", ""},
    {"2001:db8::", ""},         {"::", ""},
};

static void addresses_lie_where_the_database_says(struct test *t)
{
    struct kw_geo *geo = NULL;
    char text[KW_REGION_MAX + 2];
    REQUIRE(t, getenv("KW_TEST_PLACES") != NULL);
    REQUIRE_OK(t, kw_geo_open(getenv("KW_TEST_PLACES"), &geo, NULL));
    for (size_t i = 0; i < KW_COUNT_OF(places); i++) {
        CHECK_TEXT(t, find(geo, places[i].address, text), places[i].place);
    }
    kw_geo_close(geo);
    kw_geo_close(NULL);
}

static void opening_may_fail(struct test *t)
{
    struct kw_geo *geo = NULL;
    struct kw_error error;
    CHECK_STATUS(t, kw_geo_open("/nowhere/places.mmdb", &geo, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.code, "FILE_UNUSABLE");
    CHECK_TEXT(t, error.message,
               "the database of addresses /nowhere/places.mmdb cannot be used: No such file or directory");
    kw_alloc_fail_after(1);
    CHECK_STATUS(t, kw_geo_open(getenv("KW_TEST_PLACES"), &geo, &error), KW_E_MEMORY);
    kw_alloc_fail_after(-1);
    CHECK(t, geo == NULL);
}

static size_t read_whole(const char *path, uint8_t *out)
{
    FILE *file = fopen(path, "rb");
    size_t size = file == NULL ? 0 : fread(out, 1, FILE_MAX, file);
    if (file != NULL) {
        fclose(file);
    }
    return size;
}

static bool write_whole(int fd, const uint8_t *data, size_t size)
{
    return ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size;
}

/*
 * Whatever is in the tree and in the records: it is refused, or what it says is a place or nothing. The metadata behind
 * them stays whole: libmaxminddb 1.7 leaks some memory where it gives up on that, once and at the start.
 */
static void a_damaged_database_is_no_danger(struct test *t)
{
    static uint8_t whole[FILE_MAX], damaged[FILE_MAX];
    size_t size = read_whole(getenv("KW_TEST_PLACES"), whole);
    const uint8_t *metadata = memmem(whole, size, "\xab\xcd\xefMaxMind.com", 14);
    char path[] = "/tmp/keyward-geo-XXXXXX";
    int fd = mkstemp(path);
    unsigned opened = 0, refused = 0, known = 0;
    REQUIRE(t, fd >= 0 && size > 1000 && size < FILE_MAX && metadata != NULL);
    size_t body = (size_t)(metadata - whole);
    for (unsigned round = 0; round < 4000 && t->failures == 0; round++) {
        memcpy(damaged, whole, size);
        size_t kept = test_random_below(t, 8) == 0 ? (size_t)test_random_below(t, body) : size;
        for (uint64_t changes = 1 + test_random_below(t, 4); changes > 0; changes--) {
            damaged[test_random_below(t, body)] ^= (uint8_t)(1 + test_random_below(t, 255));
        }
        struct kw_geo *geo = NULL;
        struct kw_error error;
        REQUIRE(t, write_whole(fd, damaged, kept));
        if (kw_geo_open(path, &geo, &error) != KW_OK) {
            CHECK(t, strstr(error.message, path) != NULL);
            refused++;
            continue;
        }
        opened++;
        for (size_t i = 0; i < KW_COUNT_OF(places); i++) {
            struct kw_address address = {0};
            struct kw_place place;
            CHECK(t, kw_address_parse(kw_bytes_of_text(places[i].address), &address));
            bool is_known = kw_geo_find(geo, &address, &place);
            CHECK(t, !is_known || kw_place_valid(&place));
            known += is_known;
        }
        kw_geo_close(geo);
    }
    CHECK(t, opened > 100 && refused > 100 && known > opened);
    close(fd);
    unlink(path);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(addresses_lie_where_the_database_says),
        TEST_CASE(opening_may_fail),
        TEST_CASE(a_damaged_database_is_no_danger),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
