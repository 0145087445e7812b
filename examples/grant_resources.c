/*
 * Grants on single resources, put together from what a program knows: one builder for each key, here first from a list
 * and then from the record of a key that is there already, with less.
 *
 *     cc grant_resources.c -o grant_resources $(pkg-config --cflags --libs keyward)
 *     ./grant_resources ./data
 */
#include <keyward/keyward.h>
#include <stdio.h>

static int fail(const char *what, const struct kw_error *error)
{
    fprintf(stderr, "%s: %s%s%s (%s)\n", what, error->field, error->field[0] == '\0' ? "" : " ", error->message,
            error->code);
    return 1;
}

/* May whoever holds this key do this to that website? */
static void ask(struct keyward *keyward, const char *key, const char *scope, const char *website)
{
    const struct kw_bytes scopes[] = {kw_text(scope)};
    const struct kw_verify_request request = {
        .key = kw_text(key), .resource = kw_text(website), .resource_scopes = scopes, .resource_scope_count = 1};
    struct kw_verdict verdict;
    if (kw_verify(keyward, &request, &verdict) != KW_OK) {
        printf("  %s %s: nobody can tell now\n", scope, website);
    } else {
        printf("  %s %s: %s\n", scope, website,
               verdict.code == KW_CODE_NONE ? "yes" : kw_code_info(verdict.code)->name);
    }
}

static void ask_all(struct keyward *keyward, const char *whose, const char *key)
{
    printf("%s:\n", whose);
    ask(keyward, key, "read", "website:123");
    ask(keyward, key, "write", "website:123");
    ask(keyward, key, "list", "website:7");
}

static int create(struct keyward *keyward, struct kw_resources *resources, struct kw_new_key *made)
{
    struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = KW_BYTES("team:9")};
    struct kw_error error;
    kw_resources_build(resources, &params);
    if (kw_create(keyward, &(struct kw_change_request){.params = &params}, made, &error) != KW_OK) {
        return fail("No key was made", &error);
    }
    return 0;
}

/* The editors' key may read and write one website and list them all. */
static int make_editors_key(struct keyward *keyward, struct kw_resources *resources, struct kw_new_key *made)
{
    const struct kw_bytes both[] = {KW_BYTES("read"), KW_BYTES("write")};
    struct kw_error error;
    if (kw_resources_add_many(resources, kw_text("website"), kw_text("123"), both, 2, &error) != KW_OK ||
        kw_resources_add_json(resources, kw_text("{\"website:*\": [\"list\"]}"), &error) != KW_OK) {
        return fail("This cannot be granted", &error);
    }
    return create(keyward, resources, made);
}

/* The readers' key has what the editors' has, but for writing. */
static int make_readers_key(struct keyward *keyward, const struct kw_record *editors, struct kw_resources *resources,
                            struct kw_new_key *made)
{
    struct kw_error error;
    if (kw_resources_add_record(resources, editors, &error) != KW_OK) {
        return fail("This cannot be granted", &error);
    }
    kw_resources_remove(resources, kw_text("website"), kw_text("123"), kw_text("write"));
    return create(keyward, resources, made);
}

static int grant(struct keyward *keyward)
{
    struct kw_resources *editors = kw_resources_new();
    struct kw_resources *readers = kw_resources_new();
    struct kw_new_key editors_key = {.is_replay = false};
    struct kw_new_key readers_key = {.is_replay = false};
    int failed = make_editors_key(keyward, editors, &editors_key);
    if (failed == 0) {
        failed = make_readers_key(keyward, &editors_key.held.record, readers, &readers_key);
    }
    if (failed == 0) {
        ask_all(keyward, "Editors", editors_key.key);
        ask_all(keyward, "Readers", readers_key.key);
    }
    struct kw_error error;
    if (failed == 0 &&
        kw_resources_add(readers, kw_text("website"), kw_text("12 3"), kw_text("read"), &error) != KW_OK) {
        printf("Refused: %s %s\n", error.field, error.code);
    }
    kw_new_key_clear(&editors_key);
    kw_new_key_clear(&readers_key);
    kw_resources_free(editors);
    kw_resources_free(readers);
    return failed;
}

int main(int count, char **arguments)
{
    struct keyward *keyward;
    struct kw_error error;
    const struct kw_options options = {.data = count > 1 ? arguments[1] : "./data"};
    if (kw_open(&options, &keyward, &error) != KW_OK) {
        return fail("The data folder cannot be opened", &error);
    }
    int failed = grant(keyward);
    kw_close(keyward);
    return failed;
}
