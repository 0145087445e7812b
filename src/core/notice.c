#include "core/notice.h"

#include "base/bytes.h"
#include "base/time.h"

#define ARENA_MAX ((size_t)4 * 1024 * 1024)

static const char *const part_names[KW_NOTICE_PART_COUNT] = {
    [KW_NOTICE_KEY_ID] = "keyId",
    [KW_NOTICE_NAME] = "name",
    [KW_NOTICE_LAST_FOUR] = "lastFour",
    [KW_NOTICE_ENV] = "env",
    [KW_NOTICE_OWNER] = "owner",
    [KW_NOTICE_ACTOR] = "actor",
    [KW_NOTICE_REASON] = "reason",
    [KW_NOTICE_REVOKED_BY] = "revokedBy",
    [KW_NOTICE_GRACE_UNTIL] = "graceUntil",
    [KW_NOTICE_EXPIRES_AT] = "expiresAt",
    [KW_NOTICE_QUOTA] = "quota",
    [KW_NOTICE_PERIOD] = "period",
    [KW_NOTICE_PERCENT] = "percent",
    [KW_NOTICE_LIMIT] = "limit",
    [KW_NOTICE_COUNT] = "count",
    [KW_NOTICE_CHANGE] = "change",
    [KW_NOTICE_FINGERPRINT] = "fingerprint",
    [KW_NOTICE_LAST_USED_AT] = "lastUsedAt",
    [KW_NOTICE_ENDING] = NULL,
    [KW_NOTICE_ENDING_AT] = NULL,
};

/* A character that shows nothing, or changes how others are shown: line ends, and marks that turn the direction. */
static bool is_hidden(struct kw_bytes one)
{
    const uint8_t *c = one.data;
    if (one.size == 1) {
        return c[0] < 0x20 || c[0] == 0x7f;
    }
    if (one.size == 2) {
        return c[0] == 0xc2 && c[1] < 0xa0;
    }
    if (one.size != 3 || c[0] != 0xe2) {
        return false;
    }
    bool is_early = c[1] == 0x80 && ((c[2] >= 0x8b && c[2] <= 0x8f) || (c[2] >= 0xa8 && c[2] <= 0xae));
    return is_early || (c[1] == 0x81 && c[2] >= 0xa0 && c[2] <= 0xaf);
}

/* Cuts at the end of a character, and says that there was more. */
static void take_text(struct kw_bytes text, char out[KW_NOTICE_TEXT_MAX + 1])
{
    static const char more[] = "\xe2\x80\xa6";
    size_t size = 0;
    size_t last = 0; /* where there is still room to say so */
    while (text.size > 0) {
        size_t step = kw_utf8_sequence(text);
        struct kw_bytes one = step == 0 ? KW_BYTES("?") : kw_bytes_of(text.data, step);
        one = is_hidden(one) ? KW_BYTES(" ") : one;
        if (size + one.size > KW_NOTICE_TEXT_MAX) {
            size = last;
            memcpy(out + size, more, sizeof more - 1);
            size += sizeof more - 1;
            break;
        }
        memcpy(out + size, one.data, one.size);
        size += one.size;
        last = size + sizeof more - 1 <= KW_NOTICE_TEXT_MAX ? size : last;
        text = kw_bytes_skip(text, step == 0 ? 1 : step);
    }
    out[size] = '\0';
}

static char *part_of(struct kw_notice *notice, struct kw_bytes name)
{
    for (size_t i = 0; i < KW_NOTICE_PART_COUNT; i++) {
        if (part_names[i] != NULL && kw_bytes_equal(name, kw_bytes_of_text(part_names[i]))) {
            return notice->parts[i];
        }
    }
    return NULL;
}

/* {"action": "revoke", "at": "…"} */
static enum kw_status read_ending(struct kw_json_reader *reader, struct kw_notice *notice)
{
    struct kw_error error;
    struct kw_json_token token;
    enum kw_status status = kw_json_next(reader, &token, &error);
    while (status == KW_OK && token.type == KW_JSON_NAME) {
        char *part = kw_bytes_equal(token.text, KW_BYTES("action")) ? notice->parts[KW_NOTICE_ENDING]
                     : kw_bytes_equal(token.text, KW_BYTES("at"))   ? notice->parts[KW_NOTICE_ENDING_AT]
                                                                    : NULL;
        status = kw_json_next(reader, &token, &error);
        if (status == KW_OK && part != NULL && token.type == KW_JSON_STRING) {
            take_text(token.text, part);
        } else if (status == KW_OK) {
            status = kw_json_pass(reader, &token, &error);
        }
        status = status == KW_OK ? kw_json_next(reader, &token, &error) : status;
    }
    return status;
}

/* The members of an object: texts and numbers into the notice's parts, all else is passed. */
static enum kw_status read_data(struct kw_json_reader *reader, struct kw_notice *notice)
{
    struct kw_error error;
    struct kw_json_token token;
    enum kw_status status = kw_json_next(reader, &token, &error);
    while (status == KW_OK && token.type == KW_JSON_NAME) {
        char *part = part_of(notice, token.text);
        bool is_ending = kw_bytes_equal(token.text, KW_BYTES("expiring"));
        status = kw_json_next(reader, &token, &error);
        if (status == KW_OK && part != NULL && (token.type == KW_JSON_STRING || token.type == KW_JSON_NUMBER)) {
            take_text(token.text, part);
        } else if (status == KW_OK && is_ending && token.type == KW_JSON_OBJECT_BEGIN) {
            status = read_ending(reader, notice);
        } else if (status == KW_OK) {
            status = kw_json_pass(reader, &token, &error);
        }
        status = status == KW_OK ? kw_json_next(reader, &token, &error) : status;
    }
    return status == KW_OK && token.type != KW_JSON_OBJECT_END ? KW_E_CORRUPT : status;
}

static enum kw_status read_member(struct kw_json_reader *reader, struct kw_bytes name, struct kw_notice *notice)
{
    struct kw_error error;
    struct kw_json_token token;
    enum kw_status status = kw_json_next(reader, &token, &error);
    if (status != KW_OK) {
        return status;
    }
    if (kw_bytes_equal(name, KW_BYTES("data"))) {
        return token.type == KW_JSON_OBJECT_BEGIN ? read_data(reader, notice) : KW_E_CORRUPT;
    }
    if (kw_bytes_equal(name, KW_BYTES("event")) && token.type == KW_JSON_STRING &&
        token.text.size <= KW_EVENT_NAME_MAX && !kw_bytes_has_control(token.text)) {
        memcpy(notice->event, token.text.data, token.text.size);
        notice->event[token.text.size] = '\0';
        return KW_OK;
    }
    if (kw_bytes_equal(name, KW_BYTES("timestamp")) && token.type == KW_JSON_STRING) {
        return kw_time_parse(token.text, &notice->at_ms) ? KW_OK : KW_E_CORRUPT;
    }
    return kw_json_pass(reader, &token, &error);
}

enum kw_status kw_notice_read(struct kw_bytes body, struct kw_notice *notice_out)
{
    struct kw_error error;
    struct kw_json_reader reader;
    struct kw_json_token token;
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, ARENA_MAX);
    kw_json_reader_init(&reader, body, &arena);
    memset(notice_out, 0, sizeof *notice_out);
    enum kw_status status = kw_json_next(&reader, &token, &error);
    bool is_object = status == KW_OK && token.type == KW_JSON_OBJECT_BEGIN;
    while (is_object && status == KW_OK) {
        status = kw_json_next(&reader, &token, &error);
        if (status != KW_OK || token.type != KW_JSON_NAME) {
            break;
        }
        status = read_member(&reader, token.text, notice_out);
    }
    kw_arena_reset(&arena);
    bool good = status == KW_OK && is_object && notice_out->event[0] != '\0';
    return status == KW_E_MEMORY ? KW_E_MEMORY : good ? KW_OK : KW_E_CORRUPT;
}
