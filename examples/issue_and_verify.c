/*
 * libkeyward in one sitting: issues a key, verifies it, revokes it, verifies it again, and lists what there is.
 *
 *     cc issue_and_verify.c -o issue_and_verify $(pkg-config --cflags --libs keyward)
 *     ./issue_and_verify ./data
 */
#include <keyward/keyward.h>
#include <stdio.h>

static int fail(const char *what, const struct kw_error *error)
{
    fprintf(stderr, "%s: %s (%s)\n", what, error->message, error->code);
    return 1;
}

/* Asks what a program in front of an API would ask: may whoever sent this key read orders? */
static void verify(struct keyward *keyward, const char *key)
{
    const struct kw_bytes scopes[] = {KW_BYTES("orders:read")};
    const struct kw_verify_request request = {.key = kw_text(key), .scopes = scopes, .scope_count = 1};
    struct kw_verdict verdict;
    enum kw_status status = kw_verify(keyward, &request, &verdict);
    if (status != KW_OK) {
        printf("Nobody can tell now (%s): let nobody in.\n", kw_status_name(status));
    } else if (verdict.code != KW_CODE_NONE) {
        printf("Refused, %s: %s\n", kw_code_info(verdict.code)->name, kw_code_info(verdict.code)->meaning);
    } else {
        printf("Valid: come in.\n");
    }
}

static enum kw_status print_record(void *context, const struct kw_record *record)
{
    const int64_t *now_ms = context;
    static const char *const names[] = {"active", "disabled", "expired", "revoked"};
    char id[KW_ID_TEXT_SIZE + 1];
    kw_id_to_text(&record->id, id);
    printf("  %s  %.*s  %s\n", id, (int)record->name.size, (const char *)record->name.data,
           names[kw_status_of(record, *now_ms)]);
    return KW_OK;
}

static int list(struct keyward *keyward)
{
    struct kw_list_request request = {.owner = KW_BYTES("user:1"), .limit = 100};
    struct kw_error error;
    int64_t now_ms = 0; /* no key of this program expires */
    bool has_more = true;
    printf("Keys of user:1:\n");
    while (has_more) {
        if (kw_list(keyward, &request, print_record, &now_ms, &has_more, &request.after, &error) != KW_OK) {
            return fail("The keys cannot be listed", &error);
        }
    }
    return 0;
}

/* The life of one key. */
static int issue_and_verify(struct keyward *keyward)
{
    const struct kw_bytes scopes[] = {KW_BYTES("orders:*")};
    const struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_NAME | KW_GIVEN_SCOPES,
                                         .owner = KW_BYTES("user:1"),
                                         .name = KW_BYTES("Nightly export"),
                                         .scopes = scopes,
                                         .scope_count = 1};
    struct kw_error error;
    struct kw_new_key made;
    if (kw_create(keyward, &(struct kw_change_request){.params = &params}, &made, &error) != KW_OK) {
        return fail("No key was made", &error);
    }
    printf("Your new key, shown this once: %s\n", made.key);
    verify(keyward, made.key);

    const struct kw_change_request revocation = {.id = made.held.record.id, .reason = KW_BYTES("end of the example")};
    int failed = 0;
    if (kw_revoke(keyward, &revocation, NULL, &error) != KW_OK) {
        failed = fail("The key was not revoked", &error);
    }
    verify(keyward, made.key);
    kw_new_key_clear(&made);
    return failed != 0 ? failed : list(keyward);
}

int main(int count, char **arguments)
{
    struct keyward *keyward;
    struct kw_error error;
    const struct kw_options options = {.data = count > 1 ? arguments[1] : "./data"};
    if (kw_open(&options, &keyward, &error) != KW_OK) {
        return fail("The data folder cannot be opened", &error);
    }
    int failed = issue_and_verify(keyward);
    kw_close(keyward);
    return failed;
}
