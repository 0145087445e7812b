/* Which bytes are read as a record: one form for each record, within the caps, and nothing else. */
#include "core/record.h"
#include "records.h"

#define ID "01019b76daa8000102030405060708090a"
#define PROJECT "020764656661756c74"
#define SCHEME "1201"
#define VERSION "1f01"
/* Of a rate limit with a name of one letter: whose it is, requests, window, the number that stands for the name. */
#define RATE(per, requests, window, name) "0e" per requests window name
#define ONE "00000001"
#define A \
    "af63dc4c" \
    "61"
#define B \
    "af63df4c" \
    "62"
/* Of a quota: what it does, limit, marks, throttle, the number of what it counts, metric, name. */
#define QUOTA(size, does, limit, marks, throttle, number, metric, name) \
    size does limit marks throttle number metric name
#define LIMIT "00000000000f4240" /* 1 */
#define MARKS "0250640000"
#define NONE "0000000000000000"
#define RANGE(ipv4, bits) \
    "11" \
    "00000000000000000000ffff" ipv4 bits

/* clang-format off */
static const struct {
    const char *hex;
    enum kw_status status;
} forms[] = {
    {"01" ID PROJECT SCHEME VERSION, KW_OK},
    {"", KW_E_CORRUPT},
    {"00" ID PROJECT SCHEME VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME VERSION, KW_OK},
    {"03" ID PROJECT SCHEME VERSION, KW_E_NEWER},
    {"01" ID PROJECT "03" "01" "61" SCHEME VERSION, KW_OK}, /* what is read first has moved between the versions */
    {"01" ID "03" "01" "61" PROJECT SCHEME VERSION, KW_E_CORRUPT},
    {"02" ID "03" "01" "61" PROJECT SCHEME VERSION, KW_OK},
    {"02" ID PROJECT "03" "01" "61" SCHEME VERSION, KW_E_CORRUPT},
    {"02" ID "03" "01" "61" "22" "01" "02" "4445" PROJECT SCHEME VERSION, KW_OK},
    {"02" ID "22" "01" "02" "4445" "03" "01" "61" PROJECT SCHEME VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME VERSION "2f", KW_E_NEWER}, /* a tag of tomorrow */
    {"01" ID PROJECT SCHEME "27" VERSION, KW_OK},
    {"01" ID PROJECT SCHEME "2727" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME VERSION "ff", KW_E_NEWER},
    {"01" "00" ID PROJECT SCHEME VERSION, KW_E_CORRUPT},                              /* tag 0 */
    {"01" PROJECT SCHEME VERSION, KW_E_CORRUPT}, /* what every record has is missing */
    {"01" ID SCHEME VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME, KW_E_CORRUPT},
    {"01" PROJECT ID SCHEME VERSION, KW_E_CORRUPT},    /* descending */
    {"01" ID ID PROJECT SCHEME VERSION, KW_E_CORRUPT}, /* twice */
    {"01" "01" "00000000000000000000000000000000" PROJECT SCHEME VERSION, KW_E_CORRUPT},
    {"01" ID "02" "00" SCHEME VERSION, KW_E_CORRUPT}, /* an empty text */
    {"01" ID "02" "8700" "64656661756c74" SCHEME VERSION, KW_E_CORRUPT}, /* a length in a longer form */
    {"01" ID "02" "ffffffffffffffffff01" "64" SCHEME VERSION, KW_E_CORRUPT},
    {"01" ID "02" "ffffffffffffffffff02" "64" SCHEME VERSION, KW_E_CORRUPT}, /* beyond 64 bits */
    {"01" ID PROJECT "05" "00000000" SCHEME VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT "07" SCHEME VERSION, KW_E_CORRUPT}, /* status is never kept */
    {"01" ID PROJECT "09" "01" "34" SCHEME VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT "0e" "00" SCHEME VERSION, KW_E_CORRUPT}, /* an empty list */
    {"01" ID PROJECT "0e" "01" "01" "61" SCHEME VERSION, KW_OK},
    {"01" ID PROJECT "0e" "02" "01" "61" "01" "62" SCHEME VERSION, KW_OK},
    {"01" ID PROJECT "0e" "02" "01" "62" "01" "61" SCHEME VERSION, KW_E_CORRUPT}, /* not sorted */
    {"01" ID PROJECT "0e" "02" "01" "61" "01" "61" SCHEME VERSION, KW_E_CORRUPT}, /* doubled */
    {"01" ID PROJECT "0e" "02" "02" "6162" "01" "61" SCHEME VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT "0e" "02" "01" "61" "02" "6162" SCHEME VERSION, KW_OK},
    {"01" ID PROJECT "0e" "01" "00" SCHEME VERSION, KW_E_CORRUPT}, /* an empty item */
    {"01" ID PROJECT "11" "01" "03" "743a31" "02" "01" "61" SCHEME VERSION, KW_OK},
    {"01" ID PROJECT "11" "01" "03" "743a31" "00" SCHEME VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT "11" "01" "03" "743a31" "03" "01" "61" "01" SCHEME VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT "11" "01" "03" "743a31" "04" "01" "62" "01" "61" SCHEME VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT "12" "00" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT "12" "06" VERSION, KW_E_NEWER},
    {"01" ID PROJECT SCHEME "13" "000000000000" VERSION, KW_E_CORRUPT}, /* a time of none */
    {"01" ID PROJECT SCHEME "13" "e677d21fdbff" VERSION, KW_OK}, /* 9999-12-31T23:59:59.999Z */
    {"01" ID PROJECT SCHEME "13" "e677d21fdc00" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "13" "000000000001" "15" "000000000001" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "13" "000000000001" "15" "000000000000" VERSION, KW_OK},
    {"01" ID PROJECT SCHEME "15" "000000000000" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "1b" "00000000000000000000000000000000" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "1e" "019b76daa8000102030405060708090a" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "1e" "00000000000000000000000000000000" VERSION, KW_OK},
    {"01" ID PROJECT SCHEME "1f" "00", KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "1f" "8000", KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "1f" "ffffffffffffffffff02", KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "1f" "ffffffffffffffffff01", KW_OK},
    {"01" ID PROJECT SCHEME "20" "01" RANGE("0a000000", "68") VERSION, KW_OK}, /* 10.0.0.0/8 */
    {"01" ID PROJECT SCHEME "21" "01" RANGE("0a000000", "68") VERSION, KW_OK},
    {"01" ID PROJECT SCHEME "20" "01" RANGE("0a000001", "80") VERSION, KW_OK},
    {"01" ID PROJECT SCHEME "20" "01" RANGE("0a000001", "68") VERSION, KW_E_CORRUPT}, /* bits behind the prefix */
    {"01" ID PROJECT SCHEME "21" "01" RANGE("0a000001", "7f") VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "20" "01" RANGE("0a000000", "81") VERSION, KW_E_CORRUPT}, /* 129 bits */
    {"01" ID PROJECT SCHEME "20" "01" "10" "00000000000000000000ffff0a000000" VERSION, KW_E_CORRUPT}, /* 16 bytes */
    {"01" ID PROJECT SCHEME "20" "01" "12" "00000000000000000000ffff0a0000006800" VERSION, KW_E_CORRUPT}, /* 18 */
    {"01" ID PROJECT SCHEME "20" "01" RANGE("0a0000", "68") VERSION, KW_E_CORRUPT}, /* cut off */
    {"01" ID PROJECT SCHEME "20" "00" VERSION, KW_E_CORRUPT}, /* a rule without a range */
    {"01" ID PROJECT SCHEME "20" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "20" "02" RANGE("0a000000", "68") RANGE("0b000000", "68") VERSION, KW_OK},
    {"01" ID PROJECT SCHEME "20" "02" RANGE("0b000000", "68") RANGE("0a000000", "68") VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "20" "02" RANGE("0a000000", "68") RANGE("0a000000", "68") VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "21" "01" RANGE("0a000000", "68") "20" "01" RANGE("0a000000", "68") VERSION,
     KW_E_CORRUPT}, /* blocked before allowed */
    {"01" ID PROJECT SCHEME "22" "02" "02" "4445" "05" "55532d4341" VERSION, KW_OK}, /* DE, US-CA */
    {"01" ID PROJECT SCHEME "23" "01" "02" "4445" VERSION, KW_OK},
    {"01" ID PROJECT SCHEME "22" "02" "05" "55532d4341" "02" "4445" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "22" "02" "02" "4445" "02" "4445" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "22" "01" "00" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "23" "00" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "22" "01" "07" "55532d43414c41" VERSION, KW_E_CORRUPT}, /* US-CALA: too long */
    {"01" ID PROJECT SCHEME "22" "01" "02" "5858" VERSION, KW_OK}, /* XX: a country that is none today */
    {"01" ID PROJECT SCHEME "24" "00" VERSION, KW_E_CORRUPT}, /* an empty policy, template, parent */
    {"01" ID PROJECT SCHEME "25" "00" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "26" "00000000000000000000000000000000" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "26" "0000000000000000000000000000" VERSION, KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "26" "00000000000000000000000000000001" "28" VERSION, KW_OK},
    {"01" ID PROJECT SCHEME "29" "06" VERSION, KW_E_CORRUPT}, /* of version 2 only */
    {"02" ID PROJECT SCHEME "29" "06" "2a" VERSION, KW_OK}, /* a method beyond the schemes' own, and imported */
    {"02" ID PROJECT SCHEME "29" "ff01" VERSION, KW_OK},
    {"02" ID PROJECT SCHEME "29" "8002" VERSION, KW_E_CORRUPT}, /* 256 */
    {"02" ID PROJECT SCHEME "29" "00" VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "29" "01" VERSION, KW_E_CORRUPT}, /* the scheme's own is not said twice */
    {"01" ID PROJECT SCHEME "2b" "01" RATE("00", "00000064", "000003e8", A) VERSION, KW_E_CORRUPT}, /* of version 2 only */
    {"02" ID PROJECT SCHEME "2b" "01" RATE("00", "00000064", "000003e8", A) VERSION, KW_OK}, /* a: 100 in 1000 ms */
    {"02" ID PROJECT SCHEME "2b" "02" RATE("00", "00000064", "000003e8", A) RATE("00", ONE, ONE, B) VERSION, KW_OK},
    {"02" ID PROJECT SCHEME "2b" "02" RATE("00", ONE, ONE, B) RATE("00", "00000064", "000003e8", A) VERSION,
     KW_E_CORRUPT}, /* sorted by name, which stands last */
    {"02" ID PROJECT SCHEME "2b" "02" RATE("00", ONE, ONE, A) RATE("00", "00000064", "000003e8", A) VERSION,
     KW_E_CORRUPT}, /* a twice */
    {"02" ID PROJECT SCHEME "2b" "00" VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2b" "01" RATE("00", "00000000", ONE, A) VERSION, KW_E_CORRUPT}, /* no requests, no window */
    {"02" ID PROJECT SCHEME "2b" "01" RATE("00", ONE, "00000000", A) VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2b" "01" "0d" "00" ONE ONE "84222325" VERSION, KW_E_CORRUPT}, /* no name */
    {"02" ID PROJECT SCHEME "2b" "01" RATE("00", ONE, ONE, "af63df4c" "61") VERSION, KW_E_CORRUPT}, /* the number of b */
    {"02" ID PROJECT SCHEME "2b" "01" RATE("01", ONE, ONE, A) VERSION, KW_OK}, /* per owner, and org */
    {"02" ID PROJECT SCHEME "2b" "01" RATE("02", ONE, ONE, A) VERSION, KW_OK},
    {"02" ID PROJECT SCHEME "2b" "01" RATE("03", ONE, ONE, A) VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2b" "01" RATE("00", "3b9aca01", ONE, A) VERSION, KW_E_CORRUPT}, /* 1000000001 requests */
    {"02" ID PROJECT SCHEME "2b" "01" RATE("00", "3b9aca00", ONE, A) VERSION, KW_OK},
    {"02" ID PROJECT SCHEME "2b" "01" RATE("00", ONE, "9fa52401", A) VERSION, KW_E_CORRUPT}, /* 31 days and 1 ms */
    {"02" ID PROJECT SCHEME "2b" "01" RATE("00", ONE, "9fa52400", A) VERSION, KW_OK},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "02", LIMIT, MARKS, NONE, "ea9cf718", "01" "6d", "61") VERSION, KW_OK},
    {"01" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "02", LIMIT, MARKS, NONE, "ea9cf718", "01" "6d", "61") VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "02" QUOTA("1d", "02", LIMIT, MARKS, NONE, "ea9cf718", "01" "6d", "61")
     QUOTA("1d", "01", LIMIT, MARKS, NONE, "d0a6a018", "01" "6d", "62") VERSION, KW_OK}, /* sorted by name, which stands last */
    {"02" ID PROJECT SCHEME "2c" "02" QUOTA("1d", "01", LIMIT, MARKS, NONE, "d0a6a018", "01" "6d", "62")
     QUOTA("1d", "02", LIMIT, MARKS, NONE, "ea9cf718", "01" "6d", "61") VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "02" QUOTA("1d", "01", LIMIT, MARKS, NONE, "d0a6a018", "01" "6d", "61")
     QUOTA("1d", "02", LIMIT, MARKS, NONE, "ea9cf718", "01" "6d", "61") VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "00" VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "01" "16" "02" LIMIT MARKS NONE VERSION, KW_E_CORRUPT}, /* cut off */
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "02", LIMIT, MARKS, NONE, "ea9cf718", "02" "6d", "61") VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "02", LIMIT, MARKS, NONE, "ea9cf718", "03" "6d", "61") VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1c", "02", LIMIT, MARKS, NONE, "08395307", "00", "61") VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "00", LIMIT, MARKS, NONE, "d949c918", "01" "6d", "61") VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "06", LIMIT, MARKS, NONE, "c7f65318", "01" "6d", "61") VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "1a", LIMIT, MARKS, NONE, "ea9cf718", "01" "6d", "61") VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "c2", LIMIT, MARKS, NONE, "ea9cf718", "01" "6d", "61") VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "82", LIMIT, MARKS, NONE, "ea9cf718", "01" "6d", "61") VERSION, KW_OK},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "22", LIMIT, MARKS, NONE, "eaa01b18", "01" "6d", "61") VERSION, KW_OK},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "62", LIMIT, MARKS, NONE, "eaa01b18", "01" "6d", "61") VERSION,
     KW_E_CORRUPT}, /* an owner's, from the key's creation on */
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "02", "0de0b6b3a7640000", MARKS, NONE, "ea9cf718", "01" "6d", "61") VERSION,
     KW_OK},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "02", "0de0b6b3a7640001", MARKS, NONE, "ea9cf718", "01" "6d", "61") VERSION,
     KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "02", LIMIT, "0000000000", NONE, "ea9cf718", "01" "6d", "61") VERSION,
     KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "02", LIMIT, "0150640000", NONE, "ea9cf718", "01" "6d", "61") VERSION,
     KW_E_CORRUPT}, /* something behind the last mark */
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "02", LIMIT, "0550640000", NONE, "ea9cf718", "01" "6d", "61") VERSION,
     KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "12", LIMIT, MARKS, NONE, "ea9cf718", "01" "6d", "61") VERSION, KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "12", LIMIT, MARKS, "0000000100000001", "ea9cf718", "01" "6d", "61") VERSION,
     KW_OK},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "02", LIMIT, MARKS, "0000000100000001", "ea9cf718", "01" "6d", "61") VERSION,
     KW_E_CORRUPT},
    {"02" ID PROJECT SCHEME "2c" "01" QUOTA("1d", "02", LIMIT, MARKS, NONE, "00000000", "01" "6d", "61") VERSION,
     KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME VERSION "28", KW_E_CORRUPT}, /* the version comes last */
    {"01" ID PROJECT SCHEME "28", KW_E_CORRUPT},
    {"01" ID PROJECT SCHEME "28" "28" VERSION, KW_E_CORRUPT},
};
/* clang-format on */

static void only_the_canonical_form_is_read(struct test *t)
{
    for (size_t i = 0; i < KW_COUNT_OF(forms); i++) {
        uint8_t bytes[256];
        size_t size = strlen(forms[i].hex) / 2;
        REQUIRE(t, kw_hex_decode(kw_bytes_of_text(forms[i].hex), bytes, size));
        enum kw_status status = decode_exactly(t, bytes, size);
        if (status != forms[i].status) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", forms[i].hex, kw_status_name(status));
        }
    }
}

/* A text, or a list of texts, one byte or item beyond its cap. */
static void caps_are_kept(struct test *t)
{
    static const struct {
        uint8_t tag;
        size_t size_max;
    } texts[] = {{2, KW_PROJECT_MAX},  {3, KW_ENV_MAX},    {4, KW_PREFIX_MAX},       {10, KW_OWNER_MAX},
                 {11, KW_OWNER_MAX},   {12, KW_NAME_MAX},  {13, KW_DESCRIPTION_MAX}, {15, KW_METADATA_MAX},
                 {20, KW_ACTOR_MAX},   {25, KW_ACTOR_MAX}, {26, KW_REASON_MAX},      {36, KW_POLICY_MAX},
                 {37, KW_TEMPLATE_MAX}};
    static uint8_t bytes[3 * KW_METADATA_MAX];
    static const uint8_t head[] = {1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 'p'};
    for (size_t i = 0; i < KW_COUNT_OF(texts); i++) {
        for (size_t beyond = 0; beyond < 2; beyond++) {
            struct kw_buffer buffer;
            kw_buffer_init_fixed(&buffer, bytes, sizeof bytes);
            size_t size = texts[i].size_max + beyond;
            uint8_t text[KW_METADATA_MAX + 1];
            memset(text, 'x', size);
            kw_buffer_add(&buffer, kw_bytes_of(head, texts[i].tag == 2 ? 18 : sizeof head));
            bool before_scheme = texts[i].tag < 18;
            if (!before_scheme) {
                kw_buffer_add(&buffer, KW_BYTES("\x12\x01"));
            }
            kw_buffer_add_byte(&buffer, texts[i].tag);
            kw_list_add(&buffer, kw_bytes_of(text, size));
            if (before_scheme) {
                kw_buffer_add(&buffer, KW_BYTES("\x12\x01"));
            }
            kw_buffer_add(&buffer, KW_BYTES("\x1f\x01"));
            CHECK_STATUS(t, decode_exactly(t, bytes, buffer.size), beyond == 0 ? KW_OK : KW_E_CORRUPT);
        }
    }
    static const uint8_t too_large[KW_RECORD_MAX + 1] = {1};
    CHECK_STATUS(t, decode_exactly(t, too_large, sizeof too_large), KW_E_CORRUPT);
}

static void list_counts_are_kept(struct test *t)
{
    static const struct {
        uint8_t tag;
        uint32_t count_max;
    } lists[] = {{14, KW_TAG_COUNT_MAX}, {16, KW_SCOPE_COUNT_MAX}, {17, KW_RESOURCE_COUNT_MAX}};
    static const uint8_t head[] = {1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 'p'};
    for (size_t i = 0; i < KW_COUNT_OF(lists); i++) {
        for (uint32_t beyond = 0; beyond < 2; beyond++) {
            uint8_t bytes[4096];
            struct kw_buffer buffer;
            kw_buffer_init_fixed(&buffer, bytes, sizeof bytes);
            uint32_t count = lists[i].count_max + beyond;
            kw_buffer_add(&buffer, kw_bytes_of(head, sizeof head));
            kw_buffer_add_byte(&buffer, lists[i].tag);
            if (count >= 128) {
                kw_buffer_add_byte(&buffer, (uint8_t)(count | 128));
            }
            kw_buffer_add_byte(&buffer, (uint8_t)(count >= 128 ? count >> 7 : count));
            for (uint32_t n = 0; n < count; n++) {
                uint8_t item[] = {'a', (uint8_t)('0' + n / 12), (uint8_t)('0' + n % 12)};
                kw_list_add(&buffer, kw_bytes_of(item, sizeof item));
                if (lists[i].tag == 17) {
                    kw_list_add(&buffer, KW_BYTES("\x01s"));
                }
            }
            kw_buffer_add(&buffer, KW_BYTES("\x12\x01\x1f\x01"));
            CHECK_STATUS(t, decode_exactly(t, bytes, buffer.size), beyond == 0 ? KW_OK : KW_E_CORRUPT);
        }
    }
}

static void counts_of_places_are_kept(struct test *t)
{
    static const struct {
        uint8_t tag;
        uint32_t count_max;
    } lists[] = {{32, KW_IP_COUNT_MAX}, {33, KW_IP_COUNT_MAX}, {34, KW_REGION_COUNT_MAX}, {35, KW_REGION_COUNT_MAX}};
    static const uint8_t head[] = {1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 'p', 18, 1};
    for (size_t i = 0; i < KW_COUNT_OF(lists); i++) {
        for (uint32_t beyond = 0; beyond < 2; beyond++) {
            uint8_t bytes[4096];
            struct kw_buffer buffer;
            kw_buffer_init_fixed(&buffer, bytes, sizeof bytes);
            uint32_t count = lists[i].count_max + beyond;
            kw_buffer_add(&buffer, kw_bytes_of(head, sizeof head));
            kw_buffer_add_byte(&buffer, lists[i].tag);
            if (count >= 128) {
                kw_buffer_add_byte(&buffer, (uint8_t)(count | 128));
            }
            kw_buffer_add_byte(&buffer, (uint8_t)(count >= 128 ? count >> 7 : count));
            for (uint32_t n = 0; n < count; n++) {
                uint8_t range[17] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = (uint8_t)n, [16] = 128};
                uint8_t region[] = {'U', 'S', '-', (uint8_t)('A' + n / 16), (uint8_t)('A' + n % 16)};
                kw_list_add(&buffer, lists[i].tag < 34 ? kw_bytes_of(range, 17) : kw_bytes_of(region, 5));
            }
            kw_buffer_add(&buffer, KW_BYTES("\x1f\x01"));
            CHECK_STATUS(t, decode_exactly(t, bytes, buffer.size), beyond == 0 ? KW_OK : KW_E_CORRUPT);
        }
    }
}

/* A resource's scopes are capped like the key's own. */
static void scopes_of_a_resource_are_capped(struct test *t)
{
    static const uint8_t head[] = {1, 1, 1, 0, 0, 0, 0,   0,  0, 0, 0,   0,   0,  0,
                                   0, 0, 0, 0, 2, 1, 'p', 17, 1, 3, 't', ':', '1'};
    for (size_t count = KW_SCOPE_COUNT_MAX; count <= KW_SCOPE_COUNT_MAX + 1; count++) {
        uint8_t bytes[2048];
        uint8_t packed[1024];
        struct kw_buffer buffer;
        struct kw_buffer scopes;
        kw_buffer_init_fixed(&buffer, bytes, sizeof bytes);
        kw_buffer_init_fixed(&scopes, packed, sizeof packed);
        for (size_t n = 0; n < count; n++) {
            uint8_t item[] = {'a', (uint8_t)('0' + n / 12), (uint8_t)('0' + n % 12)};
            kw_list_add(&scopes, kw_bytes_of(item, sizeof item));
        }
        kw_buffer_add(&buffer, kw_bytes_of(head, sizeof head));
        kw_list_add(&buffer, kw_buffer_bytes(&scopes));
        kw_buffer_add(&buffer, KW_BYTES("\x12\x01\x1f\x01"));
        CHECK_STATUS(t, decode_exactly(t, bytes, buffer.size), count == KW_SCOPE_COUNT_MAX ? KW_OK : KW_E_CORRUPT);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(only_the_canonical_form_is_read),
        TEST_CASE(caps_are_kept),
        TEST_CASE(list_counts_are_kept),
        TEST_CASE(counts_of_places_are_kept),
        TEST_CASE(scopes_of_a_resource_are_capped),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
