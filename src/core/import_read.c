#include "base/error.h"
#include "core/id.h"
#include "core/import_parts.h"
#include "core/internal.h"
#include "core/record.h"
#include "core/schema_parts.h"

#define VERSION_KNOWN 1 /* of Keyward's own exports */
#define SHA256_HEX 64
#define SHA512_HEX 128
#define KEY_SIZE_MIN 8
#define LAST_FOUR_FROM 16 /* bytes of a key of which four may be shown */

/* What is said of an item's hash beside the options. */
struct hash {
    struct kw_bytes text; /* hexadecimal */
    enum kw_digest_scheme algorithm;
    struct kw_bytes salt;
    bool has_place, salt_before;
};

/* Members of an item's metadata that are no fields. */
struct rest {
    struct kw_buffer json;
    struct kw_json_writer writer;
};

static enum kw_status refuse_name(struct kw__draft *draft, struct kw_bytes name, const char *why)
{
    return kw__schema_refuse_name(KW_CODE_UNKNOWN_FIELD, name, why, draft->error);
}

/* --- what is common to all items --- */

static enum kw_status check_record(struct kw__draft *draft)
{
    struct kw_record *record = &draft->item->record;
    struct kw_key_params *params = &draft->params;
    if (params->owner.size == 0) {
        params->owner = draft->options->owner;
        params->given |= KW_GIVEN_OWNER;
    }
    if (params->owner.size == 0) {
        return kw_refuse(draft->error, KW_CODE_MISSING_FIELD, "ownerId",
                         "is required: give ownerId or owner here, or an owner for all that name none");
    }
    /* Times of the past are what an import brings. */
    enum kw_status status = kw_key_params_check(params, 0, draft->arena, draft->error);
    status = status != KW_OK ? status : kw__params_apply(params, 0, draft->arena, record, draft->error);
    if (status != KW_OK) {
        return status;
    }
    /* Texts of the record that say nothing are as if they were not there. */
    if (record->env.size == 0) {
        record->env = draft->options->env;
    }
    if (record->lapsed_at_ms != 0 && record->expires_at_ms == 0) {
        return kw__draft_refuse(draft, "lapsedAt", "says that an expiry has passed, and there is none");
    }
    record->updated_at_ms = record->updated_at_ms == 0 ? record->created_at_ms : record->updated_at_ms;
    return KW_OK;
}

/* --- Keyward's own export --- */

/* Members of an object that are fields; `where` says which ones. */
static enum kw_status read_fields(struct kw__draft *draft, unsigned where, const char *member,
                                  const struct kw_json_token *first)
{
    if (first->type != KW_JSON_OBJECT_BEGIN) {
        return kw__draft_refuse(draft, member, "must be an object");
    }
    for (;;) {
        struct kw_json_token name, token;
        enum kw_status status = kw__draft_next(draft, &name);
        if (status != KW_OK || name.type == KW_JSON_OBJECT_END) {
            return status;
        }
        status = kw__draft_next(draft, &token);
        bool is_known = false;
        status = status != KW_OK ? status : kw__draft_field(draft, name.text, where, &token, &is_known);
        if (status == KW_OK && !is_known) {
            status = refuse_name(draft, name.text, "is not known here: is the export of a newer Keyward?");
        }
        if (status != KW_OK) {
            return kw__schema_under(status, member, draft->error);
        }
    }
}

struct own_digest {
    struct kw_bytes scheme, value, pepper, salt, place;
};

static enum kw_status decode_hex(struct kw__draft *draft, const char *field, struct kw_bytes hex, uint8_t *out,
                                 size_t size)
{
    return hex.size == 2 * size && kw_hex_decode(hex, out, size)
               ? KW_OK
               : kw_refuse(draft->error, KW_CODE_INVALID_FIELD, field, "must be %zu hexadecimal characters", 2 * size);
}

static enum kw_status take_own_salt(struct kw__draft *draft, const struct own_digest *digest)
{
    struct kw_import_item *item = draft->item;
    size_t size = digest->salt.size / 2;
    if (size == 0 || size > KW_IMPORT_SALT_MAX) {
        return kw_refuse(draft->error, KW_CODE_INVALID_FIELD, "digest.salt",
                         "must be the hexadecimal form of 1 to %d bytes", KW_IMPORT_SALT_MAX);
    }
    bool is_after = kw_bytes_equal(digest->place, KW_BYTES("after"));
    if (!is_after && !kw_bytes_equal(digest->place, KW_BYTES("before"))) {
        return kw__draft_refuse(draft, "digest.saltPlace", "must be \"before\" or \"after\"");
    }
    item->salt_size = (uint8_t)size;
    item->salt_before = !is_after;
    return decode_hex(draft, "digest.salt", digest->salt, item->salt, size);
}

static enum kw_status take_own_digest(struct kw__draft *draft, const struct own_digest *digest)
{
    struct kw_import_item *item = draft->item;
    if (!kw_digest_scheme_of_name(digest->scheme, &item->scheme)) {
        return kw__draft_refuse(draft, "digest.scheme",
                                "must be hmac-sha256, sha256, sha512, sha256-salted or sha512-salted");
    }
    bool is_long = item->scheme == KW_DIGEST_SHA512 || item->scheme == KW_DIGEST_SHA512_SALTED;
    item->digest.size = is_long ? SHA512_HEX / 2 : SHA256_HEX / 2;
    enum kw_status status = decode_hex(draft, "digest.value", digest->value, item->digest.bytes, item->digest.size);
    if (status == KW_OK && item->scheme == KW_DIGEST_HMAC_SHA256) {
        status = decode_hex(draft, "digest.pepper", digest->pepper, item->fingerprint, sizeof item->fingerprint);
    }
    bool is_salted = item->scheme == KW_DIGEST_SHA256_SALTED || item->scheme == KW_DIGEST_SHA512_SALTED;
    return status == KW_OK && is_salted ? take_own_salt(draft, digest) : status;
}

static enum kw_status read_own_digest(struct kw__draft *draft, const struct kw_json_token *first)
{
    struct own_digest digest = {.scheme = {NULL, 0}};
    const struct {
        const char *name;
        struct kw_bytes *text;
    } members[] = {{"scheme", &digest.scheme},
                   {"value", &digest.value},
                   {"pepper", &digest.pepper},
                   {"salt", &digest.salt},
                   {"saltPlace", &digest.place}};
    if (first->type != KW_JSON_OBJECT_BEGIN) {
        return kw__draft_refuse(draft, "digest", "must be an object");
    }
    for (;;) {
        struct kw_json_token name, token;
        enum kw_status status = kw__draft_next(draft, &name);
        if (status != KW_OK || name.type == KW_JSON_OBJECT_END) {
            return status == KW_OK ? take_own_digest(draft, &digest) : status;
        }
        size_t i = 0;
        while (i < KW_COUNT_OF(members) && !kw_bytes_equal(kw_bytes_of_text(members[i].name), name.text)) {
            i++;
        }
        if (i == KW_COUNT_OF(members)) {
            return kw__schema_under(refuse_name(draft, name.text, "is not known here"), "digest", draft->error);
        }
        status = kw__draft_next(draft, &token);
        status = status != KW_OK ? status : kw__draft_text(draft, members[i].name, &token, SHA512_HEX, members[i].text);
        if (status != KW_OK) {
            return kw__schema_under(status, "digest", draft->error);
        }
    }
}

static enum kw_status finish_own(struct kw__draft *draft)
{
    struct kw_record *record = &draft->item->record;
    static const char *const required[] = {"id", "env", "prefix", "createdAt"};
    for (size_t i = 0; i < KW_COUNT_OF(required); i++) {
        if (!kw__draft_has(draft, required[i])) {
            enum kw_status status = kw_refuse(draft->error, KW_CODE_MISSING_FIELD, required[i], "is required");
            return kw__schema_under(status, "record", draft->error);
        }
    }
    if (draft->item->digest.size == 0) {
        return kw_refuse(draft->error, KW_CODE_MISSING_FIELD, "digest", "is required");
    }
    record->lineage_id = kw_id_is_none(&record->lineage_id) ? record->id : record->lineage_id;
    if (record->grace_until_ms != 0 && kw_id_is_none(&record->rotated_to)) {
        return kw__draft_refuse(draft, "record.graceUntil", "needs rotatedTo: only a rotated key has a grace period");
    }
    return KW_OK;
}

/* --- items of other forms --- */

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

static enum kw_status read_algorithm(struct kw__draft *draft, const struct kw_json_token *token, struct hash *hash)
{
    bool is_name = token->type == KW_JSON_STRING && kw_digest_scheme_of_name(token->text, &hash->algorithm);
    return is_name && (hash->algorithm == KW_DIGEST_SHA256 || hash->algorithm == KW_DIGEST_SHA512)
               ? KW_OK
               : kw__draft_refuse(draft, "algorithm", "must be \"sha256\" or \"sha512\"");
}

static enum kw_status read_place(struct kw__draft *draft, const struct kw_json_token *token, struct hash *hash)
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
    if (token->type != KW_JSON_STRING || key.size < KEY_SIZE_MIN || key.size > KW_KEY_SIZE_MAX ||
        kw_bytes_has_control(key)) {
        return kw_refuse(draft->error, KW_CODE_INVALID_FIELD, "key",
                         "must be a string of %d to %d bytes without control characters", KEY_SIZE_MIN,
                         KW_KEY_SIZE_MAX);
    }
    draft->item->key = key;
    return KW_OK;
}

/* A member of metadata that is no field, or one that stands elsewhere: it stays where it is. */
static enum kw_status keep_member(struct kw__draft *draft, struct kw_bytes name, const struct kw_json_token *token,
                                  struct rest *rest)
{
    struct kw_bytes raw;
    enum kw_status status = kw_json_skip(&draft->reader, token, &raw, draft->error);
    if (status == KW_OK) {
        kw_json_name_bytes(&rest->writer, name);
        kw_json_raw(&rest->writer, raw);
    }
    return status;
}

static enum kw_status read_metadata(struct kw__draft *draft, const struct kw_json_token *first, struct rest *rest)
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

static enum kw_status read_foreign_member(struct kw__draft *draft, struct kw_bytes name,
                                          const struct kw_json_token *token, struct hash *hash, struct rest *rest)
{
    if (is_metadata(name)) {
        return read_metadata(draft, token, rest);
    }
    if (kw_bytes_equal(name, KW_BYTES("id"))) {
        return read_id(draft, token);
    }
    if (kw_bytes_equal(name, KW_BYTES("keyHash"))) {
        return token->type == KW_JSON_NULL ? KW_OK : kw__draft_text(draft, "keyHash", token, SHA512_HEX, &hash->text);
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
               : refuse_name(draft, name, "is not known here: what is your own belongs into metadata");
}

static enum kw_status take_hash(struct kw__draft *draft, const struct hash *hash)
{
    struct kw_import_item *item = draft->item;
    const struct kw_import_options *options = draft->options;
    enum kw_digest_scheme algorithm = hash->algorithm != 0 ? hash->algorithm : options->algorithm;
    if (algorithm == 0) {
        algorithm = hash->text.size == SHA512_HEX ? KW_DIGEST_SHA512 : KW_DIGEST_SHA256;
    }
    bool is_long = algorithm == KW_DIGEST_SHA512;
    item->digest.size = is_long ? SHA512_HEX / 2 : SHA256_HEX / 2;
    if (hash->text.size != 2U * item->digest.size ||
        !kw_hex_decode(hash->text, item->digest.bytes, item->digest.size)) {
        return kw_refuse(draft->error, KW_CODE_INVALID_FIELD, "keyHash",
                         "must be %d hexadecimal characters: that is what %s makes", 2 * item->digest.size,
                         is_long ? "sha512" : "sha256");
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

static enum kw_status finish_foreign(struct kw__draft *draft, const struct hash *hash, struct rest *rest)
{
    struct kw_import_item *item = draft->item;
    struct kw_record *record = &item->record;
    if ((hash->text.size > 0) == (item->key.size > 0)) {
        return kw_refuse(draft->error, KW_CODE_MISSING_FIELD, "keyHash", "is required: give keyHash or key, not both");
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

/* --- lines of an export that are no keys --- */

static enum kw_status read_envelope(struct kw__draft *draft, const struct kw_json_token *what)
{
    bool is_tail = what->type == KW_JSON_STRING && kw_bytes_equal(what->text, KW_BYTES("end"));
    if (!is_tail && (what->type != KW_JSON_STRING || !kw_bytes_equal(what->text, KW_BYTES("export")))) {
        return kw__draft_refuse(draft, "keyward", "must be \"export\" or \"end\"");
    }
    draft->item->kind = is_tail ? KW_IMPORT_TAIL : KW_IMPORT_HEAD;
    for (;;) {
        struct kw_json_token name, token;
        struct kw_bytes raw;
        enum kw_status status = kw__draft_next(draft, &name);
        if (status != KW_OK || name.type == KW_JSON_OBJECT_END) {
            return status;
        }
        if (kw_bytes_equal(name.text, KW_BYTES("keys")) && !is_tail) {
            return kw_refuse(draft->error, KW_CODE_INVALID_JSON, NULL,
                             "this is the export's form as one JSON document: import it as format json");
        }
        status = kw__draft_next(draft, &token);
        int64_t number = 0;
        bool is_number = status == KW_OK && token.type == KW_JSON_NUMBER && kw_json_to_i64(token.text, &number);
        if (status == KW_OK && kw_bytes_equal(name.text, KW_BYTES("version")) && number != VERSION_KNOWN) {
            return kw_refuse(draft->error, KW_CODE_STORE_NEWER, "version",
                             "the export is of a newer form: import it with that version of Keyward or a later one");
        }
        if (is_number && number >= 0 && kw_bytes_equal(name.text, KW_BYTES("keys"))) {
            draft->item->tail_count = (uint64_t)number;
        }
        status = status != KW_OK ? status : kw_json_skip(&draft->reader, &token, &raw, draft->error);
        if (status != KW_OK) {
            return status;
        }
    }
}

/* --- an item --- */

static enum kw_status read_own_member(struct kw__draft *draft, struct kw_bytes name, const struct kw_json_token *token)
{
    if (kw_bytes_equal(name, KW_BYTES("record"))) {
        return read_fields(draft, KW__IN_RECORD, "record", token);
    }
    if (kw_bytes_equal(name, KW_BYTES("digest"))) {
        return read_own_digest(draft, token);
    }
    return kw_bytes_equal(name, KW_BYTES("kept"))
               ? read_fields(draft, KW__IN_KEPT, "kept", token)
               : refuse_name(draft, name, "is not known here: is the export of a newer Keyward?");
}

/* Which form it has its first member says; where that could be of both, it is no own export. */
static bool begins_own(struct kw_bytes name)
{
    return kw_bytes_equal(name, KW_BYTES("record")) || kw_bytes_equal(name, KW_BYTES("digest")) ||
           kw_bytes_equal(name, KW_BYTES("kept"));
}

static enum kw_status read_members(struct kw__draft *draft, struct hash *hash, struct rest *rest)
{
    struct kw_json_token name, token;
    uint8_t single = 0; /* members beside the fields that may stand once */
    bool is_first = true;
    for (;;) {
        enum kw_status status = kw__draft_next(draft, &name);
        if (status != KW_OK || name.type == KW_JSON_OBJECT_END) {
            return status;
        }
        status = kw__draft_next(draft, &token);
        if (status != KW_OK) {
            return status;
        }
        if (is_first && kw_bytes_equal(name.text, KW_BYTES("keyward"))) {
            return read_envelope(draft, &token);
        }
        if (is_first) {
            draft->item->is_own = begins_own(name.text);
            is_first = false;
            if (!draft->item->is_own) {
                kw_json_begin_object(&rest->writer);
            }
        }
        static const char *const singles[] = {"record", "digest", "kept", "id", "keyHash", "key", "metadata", "salt"};
        for (size_t i = 0; i < KW_COUNT_OF(singles); i++) {
            if (!kw_bytes_equal(kw_bytes_of_text(singles[i]), name.text)) {
                continue;
            }
            if ((single >> i & 1) != 0) {
                return kw_refuse(draft->error, KW_CODE_DUPLICATE_FIELD, singles[i], "stands twice");
            }
            single |= (uint8_t)(1 << i);
        }
        status = draft->item->is_own ? read_own_member(draft, name.text, &token)
                                     : read_foreign_member(draft, name.text, &token, hash, rest);
        if (status != KW_OK) {
            return status;
        }
    }
}

static enum kw_status read_item(struct kw__draft *draft, struct hash *hash, struct rest *rest)
{
    struct kw_json_token token;
    enum kw_status status = kw__draft_next(draft, &token);
    if (status == KW_OK && token.type != KW_JSON_OBJECT_BEGIN) {
        return kw_refuse(draft->error, KW_CODE_INVALID_JSON, NULL, "must be a JSON object");
    }
    status = status == KW_OK ? read_members(draft, hash, rest) : status;
    status = status == KW_OK ? kw__draft_next(draft, &token) : status; /* the end, or what must not follow */
    if (status != KW_OK || draft->item->kind != KW_IMPORT_KEY) {
        return status;
    }
    status = draft->item->is_own ? finish_own(draft) : finish_foreign(draft, hash, rest);
    if (!draft->item->is_own) {
        kw_json_end_object(&rest->writer);
        draft->params.metadata = kw_buffer_bytes(&rest->json);
    }
    if (status == KW_OK && kw_buffer_status(&rest->json) != KW_OK) {
        return kw_refuse(draft->error, KW_CODE_INVALID_FIELD, "metadata", "is too large: at most %d bytes of JSON",
                         KW_METADATA_MAX);
    }
    return status == KW_OK ? check_record(draft) : status;
}

enum kw_status kw_import_read(struct kw_bytes json, const struct kw_import_options *options, struct kw_arena *arena,
                              struct kw_import_item *item_out, struct kw_error *error_out)
{
    struct kw__draft draft = {.arena = arena, .error = error_out, .options = options, .item = item_out};
    struct hash hash = {.text = {NULL, 0}};
    struct rest rest;
    *item_out = (struct kw_import_item){.record.enabled = true};
    kw_buffer_init(&rest.json, (size_t)2 * KW_METADATA_MAX);
    kw_json_writer_init(&rest.writer, &rest.json);
    kw_json_reader_init(&draft.reader, json, arena);
    enum kw_status status = read_item(&draft, &hash, &rest);
    kw_buffer_deinit(&rest.json); /* the record has its own copy of what is kept */
    return status;
}

enum kw_status kw_import_options_check(const struct kw_import_options *options, struct kw_error *error_out)
{
    uint8_t memory[256];
    struct kw_arena arena;
    kw_arena_init(&arena, memory, sizeof memory, sizeof memory);
    struct kw_key_params params = {.owner = options->owner, .env = options->env};
    params.given |= options->owner.size > 0 ? KW_GIVEN_OWNER : 0;
    params.given |= options->env.size > 0 ? KW_GIVEN_ENV : 0;
    enum kw_status status = kw_key_params_check(&params, 0, &arena, error_out);
    status = status != KW_OK ? status : kw__text_check(options->prefix, KW_PREFIX_MAX, "prefix", error_out);
    status = status != KW_OK ? status : kw__text_check(options->salt, KW_IMPORT_SALT_MAX, "salt", error_out);
    kw_arena_reset(&arena);
    return status;
}
