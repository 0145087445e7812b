#include "base/error.h"
#include "core/id.h"
#include "core/import_parts.h"
#include "core/internal.h"
#include "core/record.h"
#include "core/schema_parts.h"

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
    status = status != KW_OK ? status : kw__org_check(params, record, draft->error);
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
    item->digest.size = is_long ? KW__SHA512_HEX / 2 : KW__SHA256_HEX / 2;
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
        status =
            status != KW_OK ? status : kw__draft_text(draft, members[i].name, &token, KW__SHA512_HEX, members[i].text);
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
        if (status == KW_OK && kw_bytes_equal(name.text, KW_BYTES("version")) && number != KW_EXPORT_VERSION) {
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

/* Members beside the fields, of which each may stand once; `seen` has a bit for each. */
static enum kw_status refuse_double(struct kw__draft *draft, struct kw_bytes name, uint8_t *seen)
{
    static const char *const singles[] = {"record", "digest", "kept", "id", "keyHash", "key", "metadata", "salt"};
    for (size_t i = 0; i < KW_COUNT_OF(singles); i++) {
        if (!kw_bytes_equal(kw_bytes_of_text(singles[i]), name)) {
            continue;
        }
        if ((*seen >> i & 1) != 0) {
            return kw_refuse(draft->error, KW_CODE_DUPLICATE_FIELD, singles[i], "stands twice");
        }
        *seen |= (uint8_t)(1 << i);
    }
    return KW_OK;
}

static enum kw_status read_members(struct kw__draft *draft, struct kw__hash *hash, struct kw__rest *rest)
{
    struct kw_json_token name, token;
    uint8_t single = 0;
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
        status = refuse_double(draft, name.text, &single);
        if (status != KW_OK) {
            return status;
        }
        status = draft->item->is_own ? read_own_member(draft, name.text, &token)
                                     : kw__foreign_member(draft, name.text, &token, hash, rest);
        if (status != KW_OK) {
            return status;
        }
    }
}

static enum kw_status read_item(struct kw__draft *draft, struct kw__hash *hash, struct kw__rest *rest)
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
    status = draft->item->is_own ? finish_own(draft) : kw__foreign_finish(draft, hash, rest);
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
    struct kw__hash hash = {.text = {NULL, 0}};
    struct kw__rest rest;
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
