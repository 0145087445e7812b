#include "server/key_place.h"

#include "base/bytes.h"
#include "base/secret.h"
#include "server/request.h"

/* The key of one place; `is_clear` until another one in the same place contradicts it. */
struct finding {
    struct kw_bytes key;
    bool is_clear;
};

static void find(struct finding *finding, struct kw_bytes key)
{
    if (key.size == 0) {
        return;
    }
    if (finding->key.size == 0) {
        finding->key = key;
    } else if (!kw_constant_time_equal(finding->key, key)) {
        finding->is_clear = false;
    }
}

static struct kw_bytes trimmed(struct kw_bytes text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = kw_bytes_skip(text, 1);
    }
    while (text.size > 0 && strchr(" \t\r", text.data[text.size - 1]) != NULL) {
        text.size--;
    }
    return text;
}

/* The transport has seen to the form of the head: a line a header, none of them folded. */
static void find_in_header(const struct kw_call *call, struct kw_bytes header, struct finding *finding)
{
    struct kw_bytes line, rest;
    kw_bytes_split(call->head, '\n', &line, &rest);
    while (rest.size > 0) {
        struct kw_bytes name, value;
        struct kw_bytes from = rest;
        kw_bytes_split(from, '\n', &line, &rest);
        if (kw_bytes_split(line, ':', &name, &value) && kw_bytes_equal_ignoring_case(name, header)) {
            find(finding, trimmed(value));
        }
    }
}

static enum kw_status refuse_parameter(struct kw_bytes parameter, struct kw_error *error_out)
{
    return kw_refuse(
        error_out, KW_CODE_INVALID_REQUEST, NULL,
        "In the parameter %.*s of the address a %% is not followed by two hexadecimal digits: write %%25 for "
        "the sign itself.",
        (int)parameter.size, (const char *)parameter.data);
}

/* Keys from elsewhere may hold any character, and may also be encoded where they need not be. A plus is a plus. */
static enum kw_status find_in_query(struct kw_call *call, struct kw_bytes parameter, struct finding *finding,
                                    struct kw_error *error_out)
{
    struct kw_bytes rest = call->query;
    while (rest.size > 0) {
        struct kw_bytes pair, name, value;
        struct kw_bytes from = rest;
        kw_bytes_split(from, '&', &pair, &rest);
        if (!kw_bytes_split(pair, '=', &name, &value) || !kw_bytes_equal(name, parameter)) {
            continue;
        }
        uint8_t *key = kw_arena_take(&call->arena, value.size);
        size_t size;
        if (key == NULL) {
            return kw_refuse(error_out, KW_CODE_TOO_BUSY, NULL,
                             "There is no memory left for this request: try again later.");
        }
        if (!kw_bytes_percent_decode(value, key, &size)) {
            return refuse_parameter(parameter, error_out);
        }
        find(finding, kw_bytes_of(key, size));
    }
    return KW_OK;
}

enum kw_status kw__key_of_call(struct kw_call *call, const struct kw_project *project, struct kw_bytes *key_out,
                               struct kw_error *error_out)
{
    struct finding finding = {.is_clear = true};
    for (size_t i = 0; i < project->key_place_count && finding.key.size == 0; i++) {
        const struct kw_key_place *place = &project->key_places[i];
        struct kw_bytes token;
        if (place->kind == KW_KEY_IN_X_API_KEY) {
            find(&finding, call->headers[KW_HEADER_X_API_KEY]);
        } else if (place->kind == KW_KEY_IN_HEADER) {
            find_in_header(call, place->header, &finding);
        } else if (kw__bearer_token(call->headers[KW_HEADER_AUTHORIZATION], &token)) {
            find(&finding, token); /* another scheme is meant for somebody else */
        }
    }
    enum kw_status status = KW_OK;
    if (project->key_parameter.size > 0 && finding.key.size == 0) {
        status = find_in_query(call, project->key_parameter, &finding, error_out);
    }
    if (status == KW_OK && !finding.is_clear) {
        return kw_refuse(error_out, KW_CODE_INVALID_REQUEST, NULL,
                         "The header or parameter that holds the key stands twice, with different keys: send one of "
                         "them.");
    }
    if (status == KW_OK) {
        *key_out = finding.key;
    }
    return status;
}
