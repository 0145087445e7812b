#include "base/bytes.h"
#include "base/error.h"
#include "core/transition.h"

/* clang-format off */
static const struct kw_code_info infos[KW_CODE_COUNT] = {
    [KW_CODE_NONE] = {"VALID", 200, "The key is valid.", "Nothing is left to do."},
#define X(name, http, meaning, advice) [KW_CODE_##name] = {#name, http, meaning, advice},
    KW_VERDICT_CODES(X)
    KW_ERROR_CODES(X)
    KW_NOTE_CODES(X)
#undef X
};
/* clang-format on */

/* Codes whose HTTP status alone does not tell what happened. */
static const struct {
    enum kw_code code;
    enum kw_status status;
} status_by_code[] = {
    {KW_CODE_TOO_BUSY, KW_E_BUSY},
    {KW_CODE_STORE_UNAVAILABLE, KW_E_UNAVAILABLE},
    {KW_CODE_OUTCOME_UNCERTAIN, KW_E_UNCERTAIN},
    {KW_CODE_STORE_CORRUPT, KW_E_CORRUPT},
    {KW_CODE_STORE_NEWER, KW_E_NEWER},
    {KW_CODE_DATA_IN_USE, KW_E_BUSY},
    {KW_CODE_PEPPER_MISMATCH, KW_E_INVALID},
    {KW_CODE_TOO_MANY_KEYS, KW_E_LIMIT},
};

static const struct {
    uint16_t http_status;
    enum kw_status status;
} status_by_http[] = {
    {400, KW_E_INVALID}, {401, KW_E_DENIED},   {403, KW_E_DENIED}, {404, KW_E_NOT_FOUND},   {405, KW_E_INVALID},
    {408, KW_E_INVALID}, {409, KW_E_CONFLICT}, {413, KW_E_LIMIT},  {414, KW_E_LIMIT},       {415, KW_E_INVALID},
    {422, KW_E_INVALID}, {429, KW_E_BUSY},     {431, KW_E_LIMIT},  {503, KW_E_UNAVAILABLE}, {507, KW_E_FULL},
};

const struct kw_code_info *kw_code_info(enum kw_code code)
{
    bool known = (unsigned)code < KW_CODE_COUNT;
    return &infos[known ? code : KW_CODE_INTERNAL];
}

enum kw_code kw_code_of_name(const char *name)
{
    if (name == NULL) {
        return KW_CODE_NONE;
    }
    for (unsigned code = KW_CODE_NONE + 1; code < KW_CODE_COUNT; code++) {
        if (strcmp(infos[code].name, name) == 0) {
            return (enum kw_code)code;
        }
    }
    return KW_CODE_NONE;
}

static enum kw_status status_of_code(enum kw_code code)
{
    for (size_t i = 0; i < KW_COUNT_OF(status_by_code); i++) {
        if (status_by_code[i].code == code) {
            return status_by_code[i].status;
        }
    }
    uint16_t http_status = kw_code_info(code)->http_status;
    for (size_t i = 0; i < KW_COUNT_OF(status_by_http); i++) {
        if (status_by_http[i].http_status == http_status) {
            return status_by_http[i].status;
        }
    }
    return KW_E_SYSTEM;
}

enum kw_status kw_refuse(struct kw_error *error_out, enum kw_code code, const char *field, const char *message, ...)
{
    va_list arguments;
    va_start(arguments, message);
    enum kw_status status =
        kw_fail_va(error_out, status_of_code(code), kw_code_info(code)->name, field, message, arguments);
    va_end(arguments);
    return status;
}
