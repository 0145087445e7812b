#include "cli/secret_input.h"

#include <stdlib.h>

/* Overwritten, not only unset: /proc/PID/environ shows the memory that the process was started with. */
static enum kw_status take_secret(const char *name, struct kw_secret *secret_out, struct kw_error *error_out)
{
    char *value = getenv(name);
    if (value == NULL) {
        return KW_OK;
    }
    struct kw_bytes bytes = kw_bytes_of_text(value);
    /* A variable that was filled from a file often ends in a line break. */
    enum kw_status status = kw_secret_set(secret_out, kw_trim(bytes));
    kw_wipe(value, bytes.size);
    unsetenv(name);
    if (status != KW_OK) {
        return kw_fail(error_out, status, KW_CLI_FAILED, name, "is longer than the %d bytes that it may have",
                       KW_SECRET_MAX);
    }
    return KW_OK;
}

static enum kw_status take_peppers(struct kw_buffer *peppers_out, struct kw_error *error_out)
{
    static const char name[] = "KEYWARD_PEPPER";
    char *value = getenv(name);
    kw_buffer_init_secret(peppers_out, KW_SECRET_INPUT_MAX);
    if (value == NULL) {
        return KW_OK;
    }
    struct kw_bytes bytes = kw_bytes_of_text(value);
    kw_buffer_add(peppers_out, kw_trim(bytes));
    kw_wipe(value, bytes.size);
    unsetenv(name);
    enum kw_status status = kw_buffer_status(peppers_out);
    return status == KW_OK ? KW_OK
                           : kw_fail(error_out, status, KW_CLI_FAILED, name,
                                     "is longer than the %d bytes that it may have", KW_SECRET_INPUT_MAX);
}

static bool is_set(const char *value)
{
    return value != NULL && value[0] != '\0';
}

enum kw_status kw_environment_take(struct kw_environment_values *values_out, struct kw_error *error_out)
{
    static const char *const names[] = {"KEYWARD_KEY", "KEYWARD_ROOT_KEY"};
    struct kw_secret *const secrets[] = {&values_out->key, &values_out->root_key};
    enum kw_status status = take_peppers(&values_out->pepper, error_out);
    for (size_t i = 0; i < KW_COUNT_OF(names); i++) {
        struct kw_error error = {0};
        enum kw_status taken = take_secret(names[i], secrets[i], &error);
        if (taken != KW_OK) {
            status = taken;
            *error_out = error;
        }
    }
    const char *url = getenv("KEYWARD_URL");
    const char *term = getenv("TERM");
    values_out->url = is_set(url) ? url : NULL;
    values_out->no_colour = is_set(getenv("NO_COLOR")) || (term != NULL && strcmp(term, "dumb") == 0);
    return status;
}
