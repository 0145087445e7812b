/* Whom a change of a policy narrows below the keys that name it: who is told of, by what, with whom, and how many. */
#include "library_fixture.h"

#include <stdio.h>

#define KEYS_MAX 16
#define MANY 20500

struct shop {
    struct library library;
    struct test *t;
    struct kw_new_key keys[KEYS_MAX];
    size_t count;
    char told[1024]; /* of the last change: "K[scopes] C[scopes]<K", and behind them what the list says of itself */
};

static const char *const read_and_write[] = {"read", "write"};

static void open_shop(struct test *t, struct shop *shop)
{
    *shop = (struct shop){.t = t};
    CHECK(t, library_open(t, &shop->library));
}

static void close_shop(struct shop *shop)
{
    for (size_t i = 0; i < shop->count; i++) {
        kw_new_key_clear(&shop->keys[i]);
    }
    library_end(&shop->library);
}

/* A key of that name, with a policy, below another key, or neither. */
static const struct kw_new_key *make(struct shop *shop, const char *name, const char *policy,
                                     const struct kw_new_key *parent, size_t scope_count)
{
    struct kw_new_key *made = &shop->keys[shop->count++];
    struct kw_bytes scopes[] = {kw_text(read_and_write[0]), kw_text(read_and_write[1])};
    struct kw_error error = {0};
    char parent_id[KW_ID_TEXT_SIZE + 1] = {0};
    struct kw_key_params params = {.given = KW_GIVEN_OWNER | KW_GIVEN_SCOPES | KW_GIVEN_NAME,
                                   .owner = KW_BYTES("user:1"),
                                   .name = kw_text(name),
                                   .scopes = scopes,
                                   .scope_count = scope_count,
                                   .policy = kw_text(policy)};
    params.given |= policy == NULL ? 0 : (uint32_t)KW_GIVEN_POLICY;
    if (parent != NULL) {
        kw_id_to_text(&parent->held.record.id, parent_id);
        params.given |= KW_GIVEN_PARENT;
        params.parent = kw_text(parent_id);
    }
    struct kw_change_request request = {.params = &params};
    CHECK_STATUS(shop->t, kw_create(shop->library.keyward, &request, made, &error), KW_OK);
    return made;
}

static struct kw_change_request of_key(const struct kw_new_key *key)
{
    return (struct kw_change_request){.id = key->held.record.id};
}

static void set_scopes(struct shop *shop, const struct kw_new_key *key, const char *first, const char *second)
{
    struct kw_bytes scopes[] = {kw_text(first), kw_text(second)};
    struct kw_key_params params = {.given = KW_GIVEN_SCOPES, .scopes = scopes, .scope_count = 2};
    struct kw_change_request request = of_key(key);
    struct kw_error error;
    request.params = &params;
    CHECK_STATUS(shop->t, kw_update(shop->library.keyward, &request, NULL, &error), KW_OK);
}

static const char *name_of(const struct shop *shop, const char *id)
{
    for (size_t i = 0; i < shop->count; i++) {
        char text[KW_ID_TEXT_SIZE + 1];
        kw_id_to_text(&shop->keys[i].held.record.id, text);
        if (strncmp(id, text, KW_ID_TEXT_SIZE) == 0) {
            return (const char *)shop->keys[i].held.record.name.data;
        }
    }
    return "?";
}

/* "K[scopes,resources]<P " of {"id":"…","name":"…","ancestorId":"…","fields":["scopes","resources"]}. Names have one
 * letter. */
static void tell(struct shop *shop, const char *json)
{
    size_t size = 0;
    shop->told[0] = '\0';
    const char *items = strstr(json, "\"items\":[");
    const char *end = strstr(json, "],\"count\":");
    REQUIRE(shop->t, items != NULL && end != NULL);
    for (const char *item = strstr(items, "{\"id\":\""); item != NULL && item < end;
         item = strstr(item + 1, "{\"id\":\"")) {
        const char *fields = strstr(item, "\"fields\":[");
        const char *ancestor = strstr(item, "\"ancestorId\":\"");
        REQUIRE(shop->t, fields != NULL && size + 200 < sizeof shop->told);
        size += (size_t)snprintf(shop->told + size, 8, "%.1s[", name_of(shop, item + strlen("{\"id\":\"")));
        for (const char *at = fields + strlen("\"fields\":["); *at != ']'; at++) {
            shop->told[size] = *at;
            size += *at != '"';
        }
        size += (size_t)snprintf(
            shop->told + size, 8, "]%s%.1s ", ancestor != NULL && ancestor < fields ? "<" : "",
            ancestor != NULL && ancestor < fields ? name_of(shop, ancestor + strlen("\"ancestorId\":\"")) : "");
    }
    snprintf(shop->told + size, sizeof shop->told - size, "%s", end + strlen("],"));
}

static void change_policy(struct shop *shop, const char *json, bool is_dry_run)
{
    static char text[131072];
    struct kw_error error = {0};
    struct kw_held_document held = {0};
    struct kw_document_request request = {
        .kind = KW_DOCUMENT_POLICY, .name = kw_text("p"), .json = kw_text(json), .is_dry_run = is_dry_run};
    REQUIRE_OK(shop->t, kw_document_update(shop->library.keyward, &request, &held, &error));
    REQUIRE(shop->t, held.narrowed.size < sizeof text);
    memcpy(text, held.narrowed.data, held.narrowed.size);
    text[held.narrowed.size] = '\0';
    kw_held_document_clear(&held);
    tell(shop, text);
}

static void make_policy(struct shop *shop)
{
    struct kw_error error;
    struct kw_document_request request = {.kind = KW_DOCUMENT_POLICY, .json = kw_text("{\"name\":\"p\"}")};
    CHECK_STATUS(shop->t, kw_document_create(shop->library.keyward, &request, NULL, &error), KW_OK);
    request.json = kw_text("{\"name\":\"q\"}");
    CHECK_STATUS(shop->t, kw_document_create(shop->library.keyward, &request, NULL, &error), KW_OK);
}

static void descendants_are_told_of_behind_the_keys_under_it(struct test *t)
{
    struct shop shop;
    open_shop(t, &shop);
    make_policy(&shop);
    const struct kw_new_key *top = make(&shop, "T", "p", NULL, 2);
    const struct kw_new_key *child = make(&shop, "C", NULL, top, 2);
    (void)make(&shop, "R", NULL, child, 1); /* only reads */
    (void)make(&shop, "W", "q", child, 2);
    const struct kw_new_key *other = make(&shop, "O", "p", NULL, 1);
    (void)make(&shop, "S", NULL, other, 1);
    (void)make(&shop, "D", NULL, top, 2);
    for (int is_dry_run = 1; is_dry_run >= 0; is_dry_run--) {
        change_policy(&shop, "{\"scopes\":[\"read\"]}", is_dry_run != 0);
        CHECK_TEXT(t, shop.told,
                   "T[scopes] C[scopes]<T W[scopes]<T D[scopes]<T \"count\":4,\"exact\":true,\"more\":false}");
    }
    change_policy(&shop, "{\"scopes\":[\"read\"],\"description\":\"takes nothing\"}", false);
    CHECK_TEXT(t, shop.told, "\"count\":0,\"exact\":true,\"more\":false}");
    change_policy(&shop, "{\"requireIP\":true}", false); /* with a key that is refused go all below it */
    CHECK_TEXT(t, shop.told,
               "T[allowedIPs] O[allowedIPs] C[allowedIPs]<T R[allowedIPs]<T W[allowedIPs]<T D[allowedIPs]<T "
               "S[allowedIPs]<O \"count\":7,\"exact\":true,\"more\":false}");
    close_shop(&shop);
}

static void who_names_the_policy_below_another_is_told_of_once(struct test *t)
{
    struct shop shop;
    struct kw_error error;
    open_shop(t, &shop);
    make_policy(&shop);
    const struct kw_new_key *top = make(&shop, "T", "p", NULL, 2);
    const struct kw_new_key *child = make(&shop, "C", NULL, top, 2);
    const struct kw_new_key *same = make(&shop, "S", "p", child, 2);
    (void)make(&shop, "L", NULL, same, 2);
    change_policy(&shop, "{\"scopes\":[\"read\"]}", false);
    CHECK_TEXT(t, shop.told, "T[scopes] S[scopes] C[scopes]<T L[scopes]<S \"count\":4,\"exact\":true,\"more\":false}");
    /* What it loses for its ancestor's sake is said of it, too. */
    struct kw_bytes ip = KW_BYTES("10.0.0.0/8");
    struct kw_bytes read = KW_BYTES("read");
    struct kw_key_params params = {.given = KW_GIVEN_ALLOWED_IPS | KW_GIVEN_SCOPES,
                                   .allowed_ips = &ip,
                                   .allowed_ip_count = 1,
                                   .scopes = &read,
                                   .scope_count = 1};
    struct kw_change_request request = of_key(same);
    request.params = &params;
    REQUIRE_OK(t, kw_update(shop.library.keyward, &request, NULL, &error));
    change_policy(&shop, "{\"requireIP\":true}", true);
    CHECK_TEXT(
        t, shop.told,
        "T[allowedIPs] S[allowedIPs] C[allowedIPs]<T L[allowedIPs]<S \"count\":4,\"exact\":true,\"more\":false}");
    close_shop(&shop);
}

static void who_has_ended_loses_nothing(struct test *t)
{
    struct shop shop;
    struct kw_error error;
    struct kw_new_key *rotated;
    open_shop(t, &shop);
    make_policy(&shop);
    const struct kw_new_key *top = make(&shop, "T", "p", NULL, 2);
    const struct kw_new_key *gone = make(&shop, "G", NULL, top, 2);
    (void)make(&shop, "B", NULL, gone, 2);
    (void)make(&shop, "U", "p", gone, 2); /* names it itself */
    const struct kw_new_key *paused = make(&shop, "P", NULL, top, 2);
    struct kw_change_request request = of_key(gone);
    REQUIRE_OK(t, kw_revoke(shop.library.keyward, &request, NULL, &error));
    request = of_key(paused);
    REQUIRE_OK(t, kw_disable(shop.library.keyward, &request, NULL, &error));
    /* The children of a key that was rotated stand below the new one, and are told of with that alone. */
    rotated = &shop.keys[shop.count++];
    request = of_key(top);
    request.grace_ms = 60000;
    REQUIRE_OK(t, kw_rotate(shop.library.keyward, &request, rotated, &error));
    change_policy(&shop, "{\"scopes\":[\"read\"]}", false);
    const char *const expected = "T[scopes] T[scopes] P[scopes]<T \"count\":3,\"exact\":true,\"more\":false}";
    CHECK_TEXT(t, shop.told, expected);
    REQUIRE(t, library_reopen(t, &shop.library, 0));
    change_policy(&shop, "{\"scopes\":null}", false);
    change_policy(&shop, "{\"scopes\":[\"read\"]}", false);
    CHECK_TEXT(t, shop.told, expected);
    close_shop(&shop);
}

/* Both go beyond the policy, and what they have in common does not. */
static void what_was_lost_before_is_not_lost_again(struct test *t)
{
    struct shop shop;
    open_shop(t, &shop);
    make_policy(&shop);
    const struct kw_new_key *top = make(&shop, "T", "p", NULL, 2);
    const struct kw_new_key *child = make(&shop, "C", NULL, top, 2);
    (void)make(&shop, "R", NULL, child, 1);
    set_scopes(&shop, top, "read", "orders:*");
    change_policy(&shop, "{\"scopes\":[\"read\"]}", true);
    CHECK_TEXT(t, shop.told, "T[scopes] \"count\":1,\"exact\":true,\"more\":false}");
    change_policy(&shop, "{\"scopes\":[\"orders:*\"]}", true);
    CHECK_TEXT(t, shop.told, "T[scopes] C[scopes]<T R[scopes]<T \"count\":3,\"exact\":true,\"more\":false}");
    close_shop(&shop);
}

static void make_many(struct shop *shop, const struct kw_new_key *parent, size_t count)
{
    static struct kw_change_item items[KW_TOGETHER_MAX];
    static struct kw_outcome outcomes[KW_TOGETHER_MAX];
    char parent_id[KW_ID_TEXT_SIZE + 1];
    kw_id_to_text(&parent->held.record.id, parent_id);
    struct kw_bytes write = KW_BYTES("write");
    const struct kw_key_params params = {
        .given = KW_GIVEN_PARENT | KW_GIVEN_SCOPES, .parent = kw_text(parent_id), .scopes = &write, .scope_count = 1};
    for (size_t made = 0; made < count; made += KW_TOGETHER_MAX) {
        size_t size = count - made < KW_TOGETHER_MAX ? count - made : KW_TOGETHER_MAX;
        for (size_t i = 0; i < size; i++) {
            items[i] = (struct kw_change_item){KW_CHANGE_CREATE, {.params = &params}};
        }
        REQUIRE_OK(shop->t, kw_change_many(shop->library.keyward, items, size, true, outcomes));
        CHECK_STATUS(shop->t, outcomes[0].status, KW_OK);
        kw_outcomes_clear(outcomes, size);
    }
}

/* Those under the policy are all counted first; of so many below them it only says that there are more. */
static void of_too_many_it_says_that_there_are_more(struct test *t)
{
    struct shop shop;
    open_shop(t, &shop);
    make_policy(&shop);
    const struct kw_new_key *top = make(&shop, "T", "p", NULL, 2);
    const struct kw_new_key *child = make(&shop, "C", NULL, top, 2);
    make_many(&shop, child, 150);
    (void)make(&shop, "L", "p", NULL, 2);
    struct kw_error error = {0};
    struct kw_held_document held = {0};
    struct kw_document_request request = {.kind = KW_DOCUMENT_POLICY,
                                          .name = kw_text("p"),
                                          .json = kw_text("{\"scopes\":[\"read\"]}"),
                                          .is_dry_run = true};
    for (size_t round = 0; round < 2; round++) {
        REQUIRE_OK(t, kw_document_update(shop.library.keyward, &request, &held, &error));
        static const char *const ends[] = {"],\"count\":153,\"exact\":true,\"more\":true}",
                                           "],\"count\":20002,\"exact\":false,\"more\":true}"};
        size_t size = strlen(ends[round]);
        REQUIRE(t, held.narrowed.size > size);
        CHECK_BYTES(t, kw_bytes_of(held.narrowed.data + held.narrowed.size - size, size), kw_text(ends[round]));
        size_t items = 0;
        for (size_t i = 0; i + 7 < held.narrowed.size; i++) {
            items += memcmp(held.narrowed.data + i, "{\"id\":\"", 7) == 0;
        }
        CHECK_I64(t, items, 100);
        kw_held_document_clear(&held);
        if (round == 0) {
            make_many(&shop, child, MANY);
        }
    }
    close_shop(&shop);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(descendants_are_told_of_behind_the_keys_under_it),
        TEST_CASE(who_names_the_policy_below_another_is_told_of_once),
        TEST_CASE(who_has_ended_loses_nothing),
        TEST_CASE(what_was_lost_before_is_not_lost_again),
        TEST_CASE(of_too_many_it_says_that_there_are_more),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
