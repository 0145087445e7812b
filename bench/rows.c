#include "rows.h"

#include "base/bytes.h"
#include "core/id.h"
#include "core/key.h"
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>

void bench_key_text(uint64_t number, uint8_t out[BENCH_KEY_SIZE])
{
    static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint64_t state = number * UINT64_C(0xd1342543de82ef95) + 1;
    uint8_t random[32];
    memcpy(out, "sk_live_", 8);
    for (size_t i = 0; i < sizeof random; i += 8) {
        uint64_t word = bench_random(&state);
        memcpy(random + i, &word, 8);
    }
    for (size_t i = 0; i < sizeof random; i++) {
        out[8 + i] = (uint8_t)base62[random[i] % 62];
    }
    uint32_t crc = kw_crc32(kw_bytes_of(out, 40));
    for (size_t i = 6; i-- > 0; crc /= 62) {
        out[40 + i] = (uint8_t)base62[crc % 62];
    }
}

static struct kw_bytes numbered(char *out, size_t size, const char *start, uint64_t number)
{
    int length = snprintf(out, size, "%s%llu", start, (unsigned long long)number);
    return kw_bytes_of(out, (size_t)length);
}

uint64_t bench_row_number(const struct kw_id *id)
{
    uint64_t number = 0;
    for (size_t i = 8; i < sizeof id->bytes; i++) {
        number = number << 8 | id->bytes[i];
    }
    return number;
}

static struct kw_id id_of(uint64_t number)
{
    uint8_t random[KW_ID_RANDOM_SIZE] = {0};
    for (size_t i = sizeof random; i-- > 2; number >>= 8) {
        random[i] = (uint8_t)number;
    }
    return kw_id_make(BENCH_NOW_MS, random);
}

void bench_row_make(const struct kw_digester *digester, uint64_t number, struct bench_row *row_out)
{
    static const char *const texts[] = {"invoices:read", "read", "reports:*", "production"};
    struct kw_buffer packed;
    struct kw_buffer encoding;
    size_t scopes_size = 0;
    kw_buffer_init_fixed(&packed, row_out->packed, sizeof row_out->packed);
    kw_buffer_init_fixed(&encoding, row_out->encoding, sizeof row_out->encoding);
    for (size_t i = 0; i < KW_COUNT_OF(texts); i++) {
        scopes_size = i == 3 ? packed.size : scopes_size;
        kw_list_add(&packed, kw_bytes_of_text(texts[i]));
    }
    struct kw_record record = {
        .id = id_of(number),
        .version = 1,
        .project = KW_BYTES("default"),
        .env = KW_BYTES("live"),
        .prefix = KW_BYTES("sk_live_"),
        .last_four = {'a', 'b', 'c', 'd'},
        .enabled = true,
        .digest_scheme = kw_digester_scheme(digester),
        .owner = numbered(row_out->owner, sizeof row_out->owner, "user:", number / 3),
        .name = numbered(row_out->name, sizeof row_out->name, "Server ", number),
        .scopes = {kw_bytes_of(packed.data, scopes_size), 3},
        .tags = {kw_bytes_of(packed.data + scopes_size, packed.size - scopes_size), 1},
        .created_by = KW_BYTES("operator"),
        .created_at_ms = BENCH_NOW_MS,
        .updated_at_ms = BENCH_NOW_MS,
        .expires_at_ms = BENCH_NOW_MS + INT64_C(1000) * 86400 * 3650,
        .lineage_id = id_of(number),
    };
    uint8_t key[BENCH_KEY_SIZE];
    bench_key_text(number, key);
    kw_digest_key(digester, kw_bytes_of(key, sizeof key), &row_out->digest);
    if (kw_record_encode(&record, &encoding) != KW_OK) {
        abort();
    }
    row_out->row = (struct kw_store_row){
        .id = record.id,
        .digest = kw_bytes_of(row_out->digest.bytes, row_out->digest.size),
        .digest_scheme = (uint8_t)record.digest_scheme,
        .project = record.project,
        .env = record.env,
        .owner = record.owner,
        .tags = record.tags,
        .last_four = {'a', 'b', 'c', 'd'},
        .expires_at_ms = record.expires_at_ms,
        .version = 1,
        .record = kw_buffer_bytes(&encoding),
    };
}
