#include "core/audit_seal.h"

#include "base/bytes.h"
#include "core/digest.h"

#define PLAIN_VERSION 1
#define ERASED_VERSION 2
#define FIELDS_ALL ((1U << KW_AUDIT_VEILED_COUNT) - 1)
#define QUOTED_MAX (2 + KW_ACTOR_MAX + KW_OWNER_MAX)

/* --- bytes --- */

static size_t size_of(const struct kw_audit_seal *seal, size_t number)
{
    return (seal->erased >> number & 1) != 0 ? KW_AUDIT_LINK_SIZE : KW_AUDIT_SALT_SIZE;
}

static size_t encode_erased(const struct kw_audit_seal *seal, uint8_t *out)
{
    size_t at = 0;
    out[at++] = seal->erased;
    for (size_t i = 0; i < KW_AUDIT_VEILED_COUNT; i++) {
        memcpy(out + at, seal->veils[i], size_of(seal, i));
        at += size_of(seal, i);
    }
    memcpy(out + at, seal->signature, sizeof seal->signature);
    return at + sizeof seal->signature;
}

size_t kw_audit_seal_encode(const struct kw_audit_seal *seal, uint8_t out[KW_AUDIT_SEAL_MAX])
{
    bool is_plain = seal->erased == 0;
    out[0] = is_plain ? PLAIN_VERSION : ERASED_VERSION;
    kw__store_u64(seal->place, out + 1);
    if (is_plain) {
        memcpy(out + 9, seal->salt, sizeof seal->salt);
        memcpy(out + 9 + sizeof seal->salt, seal->link, sizeof seal->link);
        return KW_AUDIT_SEAL_SIZE;
    }
    memcpy(out + 9, seal->link, sizeof seal->link);
    return 9 + sizeof seal->link + encode_erased(seal, out + 9 + sizeof seal->link);
}

static bool decode_erased(struct kw_bytes bytes, struct kw_audit_seal *seal)
{
    if (bytes.size == 0 || bytes.data[0] == 0 || bytes.data[0] > FIELDS_ALL) {
        return false;
    }
    seal->erased = bytes.data[0];
    bytes = kw_bytes_skip(bytes, 1);
    for (size_t i = 0; i < KW_AUDIT_VEILED_COUNT; i++) {
        size_t size = size_of(seal, i);
        if (bytes.size < size) {
            return false;
        }
        memcpy(seal->veils[i], bytes.data, size);
        bytes = kw_bytes_skip(bytes, size);
    }
    if (bytes.size != sizeof seal->signature) {
        return false;
    }
    memcpy(seal->signature, bytes.data, bytes.size);
    return true;
}

bool kw_audit_seal_decode(struct kw_bytes bytes, struct kw_audit_seal *seal_out)
{
    struct kw_audit_seal seal = {.erased = 0};
    if (bytes.size < KW_AUDIT_SEAL_SIZE) {
        return false;
    }
    seal.place = kw__load_u64(bytes.data + 1);
    bool is_seal = bytes.data[0] == PLAIN_VERSION && bytes.size == KW_AUDIT_SEAL_SIZE;
    if (is_seal) {
        memcpy(seal.salt, bytes.data + 9, sizeof seal.salt);
        memcpy(seal.link, bytes.data + 9 + sizeof seal.salt, sizeof seal.link);
    } else if (bytes.data[0] == ERASED_VERSION) {
        memcpy(seal.link, bytes.data + 9, sizeof seal.link);
        is_seal = decode_erased(kw_bytes_skip(bytes, 9 + sizeof seal.link), &seal);
    }
    if (is_seal) {
        *seal_out = seal;
    }
    return is_seal;
}

/* --- erasing --- */

/* Whether a JSON text has that as a string, or as the value of one. */
static bool mentions(struct kw_bytes json, struct kw_bytes name)
{
    char memory[6 * QUOTED_MAX];
    struct kw_buffer quoted;
    kw_buffer_init_fixed(&quoted, memory, sizeof memory);
    kw_json_write_string(&quoted, name);
    return json.size > 0 && kw_buffer_status(&quoted) == KW_OK &&
           memmem(json.data, json.size, quoted.data, quoted.size) != NULL;
}

uint8_t kw_audit_tells_of(const struct kw_audit_line *line, const struct kw_audit_person *person)
{
    const struct kw_bytes names[] = {person->owner, person->actor};
    uint8_t fields = 0;
    bool is_owner = person->owner.size > 0 && kw_bytes_equal(line->owner, person->owner);
    bool is_actor = person->actor.size > 0 && kw_bytes_equal(line->actor, person->actor);
    fields |= (uint8_t)(is_owner ? 1U << KW_AUDIT_OWNER | 1U << KW_AUDIT_DETAILS : 0);
    fields |= (uint8_t)(is_actor ? 1U << KW_AUDIT_ACTOR | 1U << KW_AUDIT_CONTEXT : 0);
    for (size_t i = 0; i < KW_COUNT_OF(names); i++) {
        if (names[i].size > 0) {
            fields |= (uint8_t)(mentions(line->context, names[i]) ? 1U << KW_AUDIT_CONTEXT : 0);
            fields |= (uint8_t)(mentions(line->details, names[i]) ? 1U << KW_AUDIT_DETAILS : 0);
        }
    }
    for (size_t i = 0; i < KW_AUDIT_VEILED_COUNT; i++) {
        bool is_empty = kw__audit_veiled(line, i).size == 0;
        fields &= (uint8_t) ~(is_empty ? 1U << i : 0U);
    }
    return fields;
}

/* What is signed: which fields are gone, of which line. */
static void signed_digest(const struct kw_audit_line *line, const struct kw_audit_seal *seal,
                          uint8_t out[KW_AUDIT_LINK_SIZE])
{
    uint8_t place[8];
    kw__store_u64(seal->place, place);
    const struct kw_bytes parts[] = {KW_BYTES("keyward audit erasure, version 1"), line->project,
                                     kw_bytes_of(place, sizeof place), kw_bytes_of(seal->link, sizeof seal->link),
                                     kw_bytes_of(&seal->erased, 1)};
    kw_digest_parts(parts, KW_COUNT_OF(parts), out);
}

enum kw_status kw_audit_erase(const struct kw_audit_line *line, uint8_t fields, const struct kw_secret *seed,
                              struct kw_audit_seal *seal)
{
    struct kw_audit_seal made = *seal;
    uint8_t digest[KW_AUDIT_LINK_SIZE];
    for (size_t i = 0; i < KW_AUDIT_VEILED_COUNT; i++) {
        bool goes = (fields >> i & 1) != 0 || (seal->erased >> i & 1) != 0;
        if (goes) {
            kw__audit_veil(seal, (uint8_t)i, kw__audit_veiled(line, i), made.veils[i]);
        } else if (seal->erased == 0) {
            kw__audit_field_salt(seal->salt, (uint8_t)i, made.veils[i]);
        }
    }
    made.erased = (uint8_t)((fields | seal->erased) & FIELDS_ALL);
    memset(made.salt, 0, sizeof made.salt);
    signed_digest(line, &made, digest);
    enum kw_status status = kw_sign(seed, kw_bytes_of(digest, sizeof digest), made.signature);
    if (status == KW_OK) {
        *seal = made;
    }
    return status;
}

bool kw__audit_erasure_holds(const struct kw_audit_line *line, const struct kw_audit_seal *seal,
                             const uint8_t signer[KW_PUBLIC_KEY_SIZE])
{
    uint8_t digest[KW_AUDIT_LINK_SIZE];
    bool is_gone = true;
    for (size_t i = 0; i < KW_AUDIT_VEILED_COUNT; i++) {
        is_gone = is_gone && ((seal->erased >> i & 1) == 0 || kw__audit_veiled(line, i).size == 0);
    }
    signed_digest(line, seal, digest);
    return is_gone && kw_signature_holds(signer, kw_bytes_of(digest, sizeof digest), seal->signature);
}
