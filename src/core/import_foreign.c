#include "base/error.h"
#include "core/id.h"
#include "core/import_parts.h"
#include "core/internal.h"
#include "core/schema_parts.h"
#include "core/transition.h"

#define LAST_FOUR_FROM 16 /* bytes of a key of which four may be shown */

static enum kw_status read_id(struct kw__draft *draft, const struct kw_json_token *token)
{
    struct kw_import_item *item = draft->item;
    struct kw_bytes text = token->text;
    if (token->type == KW_JSON_NULL) {
        return KW_OK;
    }
    if (token->type != KW_JSON_STRING && token->type != KW_JSON_NUMBER) {
        return kw__draft_refuse(draft, "id", "must be a string");
    }
    enum kw_status status = kw__text_check(text, KW_IMPORT_FOREIGN_ID_MAX, "id", draft->error);
    if (status == KW_OK && text.size > 0 && !kw_id_parse(text, &item->record.id)) {
        item->foreign_id = text;
    }
    return status;
}

static enum kw_status read_algorithm(struct kw__draft *draft, const struct kw_json_token *token, struct kw__hash *hash)
{
    bool is_name = token->type == KW_JSON_STRING && kw_digest_scheme_of_name(token->text, &hash->algorithm);
    return is_name && (hash->algorithm == KW_DIGEST_SHA256 || hash->algorithm == KW_DIGEST_SHA512)
               ? KW_OK
               : kw__draft_refuse(draft, "algorithm", "must be \"sha256\" or \"sha512\"");
}

static enum kw_status read_place(struct kw__draft *draft, const struct kw_json_token *token, struct kw__hash *hash)
{
    hash->has_place = true;
    hash->salt_before = token->type == KW_JSON_STRING && kw_bytes_equal(token->text, KW_BYTES("before"));
    bool is_after = token->type == KW_JSON_STRING && kw_bytes_equal(token->text, KW_BYTES("after"));
    return hash->salt_before || is_after ? KW_OK
                                         : kw__draft_refuse(draft, "saltPlace", "must be \"before\" or \"after\"");
}

/* The key itself. What is wrong with it is said without a piece of it. */
static enum kw_status read_key(struct kw__draft *draft, const struct kw_json_token *token)
{
    struct kw_bytes key = token->text;
    if (token->type == KW_JSON_NULL) {
        return KW_OK;
    }
    if (token->type != KW_JSON_STRING || key.size < KW_FOREIGN_SIZE_MIN || key.size > KW_KEY_SIZE_MAX ||
        kw_bytes_has_control(key)) {
        return kw_refuse(draft->error, KW_CODE_INVALID_FIELD, "key",
                         "must be a string of %d to %d bytes without control characters", KW_FOREIGN_SIZE_MIN,
                         KW_KEY_SIZE_MAX);
    }
    draft->item->key = key;
    return KW_OK;
}

/* A member of metadata that is no field, or one that stands elsewhere: it stays where it is. */
static enum kw_status keep_member(struct kw__draft *draft, struct kw_bytes name, const struct kw_json_token *token,
                                  struct kw__rest *rest)
{
    struct kw_bytes raw;
    enum kw_status status = kw_json_skip(&draft->reader, token, &raw, draft->error);
    if (status == KW_OK) {
        kw_json_name_bytes(&rest->writer, name);
        kw_json_raw(&rest->writer, raw);
    }
    return status;
}

static enum kw_status read_metadata(struct kw__draft *draft, const struct kw_json_token *first, struct kw__rest *rest)
{
    if (first->type == KW_JSON_NULL) {
        return KW_OK;
    }
    if (first->type != KW_JSON_OBJECT_BEGIN) {
        return kw__draft_refuse(draft, "metadata", "must be an object");
    }
    for (;;) {
        struct kw_json_token name, token;
        enum kw_status status = kw__draft_next(draft, &name);
        if (status != KW_OK || name.type == KW_JSON_OBJECT_END) {
            return status;
        }
        status = kw__draft_next(draft, &token);
        bool is_known = false;
        if (status == KW_OK) {
            status = kw__draft_field(draft, name.text, KW__IN_FOREIGN, &token, &is_known);
        }
        if (status == KW_OK && !is_known) {
            status = keep_member(draft, name.text, &token, rest);
        }
        if (status != KW_OK) {
            return status;
        }
    }
}

static bool is_metadata(struct kw_bytes name)
{
    return kw_bytes_equal(name, KW_BYTES("metadata"));
}

enum kw_status kw__foreign_member(struct kw__draft *draft, struct kw_bytes name, const struct kw_json_token *token,
                                  struct kw__hash *hash, struct kw__rest *rest)
{
    if (is_metadata(name)) {
        return read_metadata(draft, token, rest);
    }
    if (kw_bytes_equal(name, KW_BYTES("id"))) {
        return read_id(draft, token);
    }
    if (kw_bytes_equal(name, KW_BYTES("keyHash"))) {
        return token->type == KW_JSON_NULL ? KW_OK
                                           : kw__draft_text(draft, "keyHash", token, KW__SHA512_HEX, &hash->text);
    }
    if (kw_bytes_equal(name, KW_BYTES("key"))) {
        return read_key(draft, token);
    }
    if (kw_bytes_equal(name, KW_BYTES("algorithm"))) {
        return read_algorithm(draft, token, hash);
    }
    if (kw_bytes_equal(name, KW_BYTES("salt"))) {
        return kw__draft_text(draft, "salt", token, KW_IMPORT_SALT_MAX, &hash->salt);
    }
    if (kw_bytes_equal(name, KW_BYTES("saltPlace"))) {
        return read_place(draft, token, hash);
    }
    bool is_known = false;
    enum kw_status status = kw__draft_field(draft, name, KW__IN_FOREIGN, token, &is_known);
    return status != KW_OK || is_known
               ? status
               : kw__schema_refuse_name(KW_CODE_UNKNOWN_FIELD, name,
                                        "is not known here: what is your own belongs into metadata", draft->error);
}

static enum kw_status take_hash(struct kw__draft *draft, const struct kw__hash *hash)
{
    struct kw_import_item *item = draft->item;
    const struct kw_import_options *options = draft->options;
    enum kw_digest_scheme algorithm = hash->algorithm != 0 ? hash->algorithm : options->algorithm;
    bool is_named = algorithm != 0;
    if (!is_named) {
        algorithm = hash->text.size == KW__SHA512_HEX ? KW_DIGEST_SHA512 : KW_DIGEST_SHA256;
    }
    bool is_long = algorithm == KW_DIGEST_SHA512;
    item->digest.size = is_long ? KW__SHA512_HEX / 2 : KW__SHA256_HEX / 2;
    if (hash->text.size != 2U * item->digest.size ||
        !kw_hex_decode(hash->text, item->digest.bytes, item->digest.size)) {
        return is_named ? kw_refuse(draft->error, KW_CODE_INVALID_FIELD, "keyHash",
                                    "must be %d hexadecimal characters: that is what %s makes", 2 * item->digest.size,
                                    is_long ? "sha512" : "sha256")
                        : kw_refuse(draft->error, KW_CODE_INVALID_FIELD, "keyHash",
                                    "must be %d hexadecimal characters, made by sha256, or %d, by sha512: other hashes "
                                    "are not understood",
                                    KW__SHA256_HEX, KW__SHA512_HEX);
    }
    struct kw_bytes salt = hash->salt.size > 0 ? hash->salt : options->salt;
    item->scheme = algorithm;
    if (salt.size > 0) {
        item->scheme = is_long ? KW_DIGEST_SHA512_SALTED : KW_DIGEST_SHA256_SALTED;
        item->salt_size = (uint8_t)salt.size;
        item->salt_before = hash->has_place ? hash->salt_before : options->salt_before;
        memcpy(item->salt, salt.data, salt.size);
    }
    return KW_OK;
}

/* An id of Keyward's form that is the same at every import: of the time that the source names, and of its own id. */
static struct kw_id id_of(struct kw_bytes foreign, int64_t created_at_ms)
{
    const struct kw_bytes parts[] = {KW_BYTES("keyward import id"), foreign};
    uint8_t hash[32];
    kw_digest_parts(parts, KW_COUNT_OF(parts), hash);
    return kw_id_make(created_at_ms, hash);
}

enum kw_status kw__foreign_finish(struct kw__draft *draft, const struct kw__hash *hash, struct kw__rest *rest)
{
    struct kw_import_item *item = draft->item;
    struct kw_record *record = &item->record;
    if (hash->text.size == 0 && item->key.size == 0) {
        return kw_refuse(draft->error, KW_CODE_MISSING_FIELD, "keyHash",
                         "is required: give keyHash, or the key itself as key");
    }
    if (hash->text.size > 0 && item->key.size > 0) {
        return kw_refuse(draft->error, KW_CODE_INVALID_FIELD, "keyHash",
                         "cannot stand beside key: give one of the two");
    }
    enum kw_status status = kw_key_regions_check(&draft->params, NULL, draft->error);
    if (status != KW_OK) {
        return status;
    }
    if (item->foreign_id.size > 0) {
        record->id = id_of(item->foreign_id, record->created_at_ms);
        kw_json_name(&rest->writer, KW_IMPORT_FOREIGN_ID_NAME);
        kw_json_string(&rest->writer, item->foreign_id);
    }
    record->lineage_id = record->id;
    if (item->key.size >= LAST_FOUR_FROM && !kw__draft_has(draft, "lastFour")) {
        memcpy(record->last_four, item->key.data + item->key.size - 4, 4);
    }
    if (record->prefix.size == 0) {
        record->prefix = draft->options->prefix;
    }
    if (rest->json.size > 1) {
        draft->params.given |= KW_GIVEN_METADATA;
    }
    return hash->text.size > 0 ? take_hash(draft, hash) : KW_OK;
}
