/*
 * The form of a key. The input is a text that may be a key, and again a format and random bytes: a format that passes
 * its check makes keys that are well formed, and a text that is well formed has exactly one checksum.
 */
#include "core/key.h"

#include "base/bytes.h"
#include "base/error.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "not true: %s\n", what);
        abort();
    }
}

static void try_text(struct kw_bytes text)
{
    if (!kw_key_well_formed(text)) {
        return;
    }
    require(text.size > KW_KEY_CHECKSUM_SIZE && text.size <= KW_KEY_SIZE_MAX, "a key has a possible size");
    uint8_t changed[KW_KEY_SIZE_MAX];
    memcpy(changed, text.data, text.size);
    for (size_t i = 0; i < text.size; i++) {
        changed[i] ^= 1;
        require(!kw_key_well_formed(kw_bytes_of(changed, text.size)), "a changed character is caught");
        changed[i] ^= 1;
    }
}

/* Length, size of the prefix, size of the alphabet; prefix; alphabet; what is left are random bytes. */
static void try_format(struct kw_bytes input)
{
    if (input.size < 3) {
        return;
    }
    struct kw_bytes rest = kw_bytes_skip(input, 3);
    struct kw_bytes prefix = kw_bytes_of(rest.data, input.data[1] < rest.size ? input.data[1] : rest.size);
    rest = kw_bytes_skip(rest, prefix.size);
    struct kw_bytes alphabet = kw_bytes_of(rest.data, input.data[2] < rest.size ? input.data[2] : rest.size);
    rest = kw_bytes_skip(rest, alphabet.size);
    struct kw_key_format format = {prefix, input.data[0], alphabet};
    struct kw_error error;
    if (kw_key_format_check(&format, &error) != KW_OK) {
        require(error.message[0] != 0 && error.field[0] != 0, "a refusal says what is wrong");
        return;
    }
    struct kw_secret key KW_WIPED = {.size = 0};
    enum kw_status status = kw_key_generate(&format, rest, &key);
    require(status == KW_OK || status == KW_E_LIMIT, "only random bytes may be lacking");
    if (status == KW_OK) {
        struct kw_bytes text = kw_secret_expose(&key);
        require(text.size == prefix.size + format.length + KW_KEY_CHECKSUM_SIZE, "a key has the size asked for");
        require(kw_key_well_formed(text), "a generated key is well formed");
        try_text(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_text(kw_bytes_of(data, size));
    try_format(kw_bytes_of(data, size));
    return 0;
}
