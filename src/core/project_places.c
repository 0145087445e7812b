#include "core/document_form.h"

#include "base/bytes.h"
#include "base/error.h"
#include "core/internal.h"
#include "core/schema_parts.h"

#include <string.h>

/* Where a project's keys stand in requests. */

struct parameter_body {
    struct kw_bytes parameter;
    bool understood;
};

static const struct kw_field parameter_fields[] = {
    {.name = KW__NAME("parameter"),
     .kind = KW_FIELD_TEXT,
     KW__AT(parameter_body, parameter),
     .size_min = 1,
     .size_max = KW_KEY_HEADER_MAX},
    {.name = KW__NAME("iUnderstandKeysEndUpInLogs"), .kind = KW_FIELD_BOOL, KW__AT(parameter_body, understood)},
};
static const struct kw_schema parameter_schema = {.name = "allowKeyInQuery",
                                                  .size = sizeof(struct parameter_body),
                                                  .given_offset = SIZE_MAX,
                                                  .required = 1U << 0 | 1U << 1,
                                                  .fields = parameter_fields,
                                                  .field_count = KW_COUNT_OF(parameter_fields)};

/* A token of RFC 9110. */
static bool is_token(struct kw_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        uint8_t lower = c | 0x20;
        if (!((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
              (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL))) {
            return false;
        }
    }
    return text.size > 0;
}

/* Headers that mean something else to whoever passes a request on. */
static bool is_taken(struct kw_bytes header)
{
    static const struct kw_bytes taken[] = {
        KW__NAME("Host"),       KW__NAME("Content-Length"), KW__NAME("Transfer-Encoding"),
        KW__NAME("Connection"), KW__NAME("Expect"),         KW__NAME("Content-Type"),
        KW__NAME("Cookie"),     KW__NAME("Upgrade"),        KW__NAME("TE"),
    };
    for (size_t i = 0; i < KW_COUNT_OF(taken); i++) {
        if (kw_bytes_equal_ignoring_case(header, taken[i])) {
            return true;
        }
    }
    return header.size >= 8 && kw_bytes_equal_ignoring_case(kw_bytes_of(header.data, 8), KW_BYTES("Keyward-"));
}

static enum kw_status take_place(struct kw_key_place *places, size_t index, struct kw_bytes header,
                                 struct kw_error *error_out)
{
    if (!is_token(header) || is_taken(header)) {
        return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL,
                         "must be \"Authorization\", \"X-API-Key\" or the name of a header of your own");
    }
    for (size_t i = 0; i < index; i++) {
        if (kw_bytes_equal_ignoring_case(places[i].header, header)) {
            return kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL, "stands twice");
        }
    }
    enum kw_key_place_kind kind = KW_KEY_IN_HEADER;
    if (kw_bytes_equal_ignoring_case(header, KW_BYTES("Authorization"))) {
        kind = KW_KEY_IN_AUTHORIZATION;
    } else if (kw_bytes_equal_ignoring_case(header, KW_BYTES("X-API-Key"))) {
        kind = KW_KEY_IN_X_API_KEY;
    }
    places[index] = (struct kw_key_place){kind, header};
    return KW_OK;
}

enum kw_status kw__take_key_places(struct kw_document *document, const struct kw_bytes *headers, size_t count,
                                   struct kw_error *error_out)
{
    struct kw_key_place *places = kw_arena_take_array(&document->arena, count, sizeof *places);
    if (places == NULL) {
        return kw__no_memory(error_out);
    }
    for (size_t i = 0; i < count; i++) {
        enum kw_status status = take_place(places, i, headers[i], error_out);
        if (status != KW_OK) {
            return kw__document_under(status, "keyHeaders", i, error_out);
        }
    }
    document->is.project.key_places = places;
    document->is.project.key_place_count = count;
    return KW_OK;
}

static bool is_parameter(struct kw_bytes name)
{
    bool good = name.size > 0;
    for (size_t i = 0; good && i < name.size; i++) {
        uint8_t c = name.data[i];
        uint8_t lower = c | 0x20;
        good = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    }
    return good;
}

enum kw_status kw__take_key_parameter(struct kw_document *document, struct kw_bytes json, struct kw_error *error_out)
{
    struct parameter_body body = {.understood = false};
    enum kw_status status = KW_E_INVALID;
    if (json.size == 0 || kw_bytes_equal(json, KW_BYTES("\"never\""))) {
        return KW_OK;
    }
    if (json.data[0] == '{') {
        status = kw_schema_bind_json(&parameter_schema, json, &document->arena, &body, error_out);
    } else {
        status = kw_refuse(error_out, KW_CODE_INVALID_FIELD, NULL,
                           "must be \"never\", or {\"parameter\": NAME, \"iUnderstandKeysEndUpInLogs\": true}");
    }
    if (status == KW_OK && !body.understood) {
        status = kw_refuse(error_out, KW_CODE_INVALID_FIELD, "iUnderstandKeysEndUpInLogs",
                           "must be true: keys in addresses end up in the logs of every server on the way");
    }
    if (status == KW_OK && !is_parameter(body.parameter)) {
        status = kw_refuse(error_out, KW_CODE_INVALID_FIELD, "parameter", "must be letters, digits or any of . _ -");
    }
    if (status != KW_OK) {
        kw_error_nest(error_out, "allowKeyInQuery");
        return status;
    }
    document->is.project.key_parameter = body.parameter;
    return KW_OK;
}
