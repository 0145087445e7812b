/*
 * What the audit log and the events say of an import: every new key once, in lines for many; what becomes of a key that
 * is here already, by itself; and nothing of what was refused.
 */
#include "core/id.h"
#include "engine/internal.h"
#include "engine/library.h"
#include "import_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#define MANY 2300 /* two full lines and a part of one */
#define TEXT_MAX ((size_t)1 << 20)

/* What a log says: how many lines there are of each kind, and how often it names an id. */
struct account {
    struct kw_bytes action; /* that is looked for; "" finds all */
    char id[KW_ID_TEXT_SIZE + 1];
    size_t lines, with_key, naming;
};

static void count_line(struct account *account, struct kw_bytes action, const struct kw_id *key_id,
                       struct kw_bytes body)
{
    if (account->action.size > 0 && !kw_bytes_equal(account->action, action)) {
        return;
    }
    account->lines++;
    account->with_key += !kw_id_is_none(key_id);
    if (account->id[0] != '\0') {
        account->naming += memmem(body.data, body.size, account->id, KW_ID_TEXT_SIZE) != NULL;
    }
}

static enum kw_status count_audit(void *context, const struct kw_store_audit *audit)
{
    count_line(context, audit->action, &audit->key_id, audit->body);
    return KW_OK;
}

static enum kw_status count_event(void *context, const struct kw_store_event *event)
{
    count_line(context, event->type, &event->key_id, event->body);
    return KW_OK;
}

static struct account audits_of(struct place *place, const char *action, const struct kw_id *named)
{
    struct kw_store *store = place->library.keyward->engine->store;
    struct account account = {.action = kw_text(action)};
    if (named != NULL) {
        kw_id_format(named, account.id);
    }
    struct kw_store_audit_filter filter = {.limit = KW_STORE_LIST_MAX};
    CHECK_STATUS(place->t, store->ops->audit_query(store, &filter, count_audit, &account), KW_OK);
    return account;
}

/* The same of events, which are left claimed: so this is to be asked once. */
static struct account events_of(struct place *place, const char *type, const struct kw_id *named)
{
    struct kw_store *store = place->library.keyward->engine->store;
    struct account account = {.action = kw_text(type)};
    if (named != NULL) {
        kw_id_format(named, account.id);
    }
    CHECK_STATUS(place->t,
                 store->ops->events_claim(store, LIBRARY_NOW_MS, LIBRARY_NOW_MS + 1000, KW_STORE_LIST_MAX, count_event,
                                          &account),
                 KW_OK);
    return account;
}

/* The id that the key was given. */
static struct kw_id id_of(struct place *place, const char *key)
{
    struct kw_held_record held = {0};
    struct kw_id id = {0};
    if (find(place, key, &held)) {
        id = held.record.id;
    }
    CHECK(place->t, !kw_id_is_none(&id));
    kw_held_record_clear(&held);
    return id;
}

static void key_of(int number, char key[32])
{
    snprintf(key, 32, "foreign_%04d_0123456789", number);
}

/* A line for each number from `first` on. */
static void write_lines(char *text, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char key[32];
        key_of(i, key);
        text += snprintf(text, 128, "{\"id\":\"k%d\",\"key\":\"%s\",\"ownerId\":\"1\"}\n", i, key);
    }
}

static struct kw_import_counts import_lines(struct place *place, const char *text, enum kw_import_conflict on_conflict)
{
    struct kw_import_counts counts = {0};
    struct kw_error error = {0};
    struct kw_import_request request = {.text = kw_text(text), .options.on_conflict = on_conflict};
    CHECK_STATUS(place->t, kw_import_many(place->library.keyward, &request, NULL, NULL, &counts, &error), KW_OK);
    return counts;
}

static void tell_many(struct place *place)
{
    char *text = calloc(1, TEXT_MAX);
    char last[32];
    REQUIRE(place->t, text != NULL);
    write_lines(text, 0, MANY);
    struct kw_import_counts counts = import_lines(place, text, KW_IMPORT_SKIP);
    CHECK_I64(place->t, counts.created, MANY);
    CHECK_I64(place->t, keys_in(place), MANY);
    key_of(MANY - 1, last);
    struct kw_id id = id_of(place, last);
    struct account audits = audits_of(place, "keys.imported", &id);
    CHECK_I64(place->t, audits.lines, 3);
    CHECK_I64(place->t, audits.naming, 1);
    CHECK_I64(place->t, audits.with_key, 0);
    CHECK_I64(place->t, audits_of(place, "key.imported", NULL).lines, 0);
    struct account events = events_of(place, "keys.imported", &id);
    CHECK_I64(place->t, events.lines, 3);
    CHECK_I64(place->t, events.naming, 1);
    /* What was there before is told by itself, what is new beside it together, and what is skipped not at all. */
    write_lines(text, MANY - 1, 2);
    counts = import_lines(place, text, KW_IMPORT_SKIP);
    CHECK(place->t, counts.created == 1 && counts.skipped == 1);
    CHECK_I64(place->t, audits_of(place, "keys.imported", &id).naming, 1);
    CHECK_I64(place->t, audits_of(place, "keys.imported", NULL).lines, 4);
    write_lines(text, MANY, 2);
    counts = import_lines(place, text, KW_IMPORT_OVERWRITE);
    CHECK(place->t, counts.created == 1 && counts.overwritten == 1);
    CHECK_I64(place->t, audits_of(place, "keys.imported", NULL).lines, 5);
    CHECK_I64(place->t, audits_of(place, "key.imported", NULL).with_key, 1);
    free(text);
}

static void new_keys_are_told_together_and_named(struct test *t)
{
    on_both(t, tell_many);
}

/*
 * The store finds an id that is taken only when it is to commit: then it is refused alone, and the others, which were
 * to be committed with it, are there and told as if it had not been.
 */
static void meet_taken_id(struct place *place)
{
    struct kw_import_counts counts;
    counts = import_lines(place, "{\"id\":\"k1\",\"key\":\"taken_0_0123456789\",\"ownerId\":\"1\"}\n", KW_IMPORT_SKIP);
    CHECK_I64(place->t, counts.created, 1);
    char text[1024];
    write_lines(text, 0, 3);
    counts = import_lines(place, text, KW_IMPORT_ERROR);
    CHECK(place->t, counts.created == 2 && counts.refused == 1);
    for (int i = 0; i < 3; i++) {
        char key[32];
        key_of(i, key);
        CHECK_CODE(place->t, verify(place, key), i == 1 ? KW_CODE_INVALID_KEY : KW_CODE_NONE);
    }
    struct kw_id id = id_of(place, "foreign_0002_0123456789");
    CHECK_I64(place->t, audits_of(place, "", &id).naming, 1);
    CHECK_I64(place->t, audits_of(place, "keys.imported", NULL).lines, 2);
}

static void a_taken_id_spoils_only_its_own_item(struct test *t)
{
    on_both(t, meet_taken_id);
}

/* The id of a tombstone is looked for only where the store has refused it. */
static void meet_tombstone(struct place *place)
{
    IMPORT(place, "{\"id\":\"k1\",\"key\":\"taken_0_0123456789\",\"ownerId\":\"1\"}\n", "1 created|");
    end_key(place, "taken_0_0123456789", true);
    char text[1024];
    write_lines(text, 0, 3);
    IMPORT(place, text, "1 created|2 skipped CANNOT_MODIFY_REVOKED|3 created|");
    struct kw_id id = id_of(place, "foreign_0002_0123456789");
    CHECK_I64(place->t, audits_of(place, "", &id).naming, 1);
    CHECK_I64(place->t, audits_of(place, "key.imported", NULL).with_key, 0);
    CHECK_I64(place->t, audits_of(place, "keys.imported", NULL).lines,
              2); /* the others are told together all the same */
    CHECK_I64(place->t, events_of(place, "", &id).naming, 1);
}

static void an_erased_id_spoils_only_its_own_item(struct test *t)
{
    on_both(t, meet_tombstone);
}

static void rehearse(struct place *place)
{
    char text[1024];
    write_lines(text, 0, 3);
    size_t before = audits_of(place, "", NULL).lines;
    IMPORT_AS(place, text, "1 created|2 created|3 created|", .dry_run = true);
    CHECK_I64(place->t, keys_in(place), 0);
    CHECK_I64(place->t, audits_of(place, "", NULL).lines, before);
}

static void a_rehearsal_is_not_told(struct test *t)
{
    on_both(t, rehearse);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(new_keys_are_told_together_and_named),
        TEST_CASE(a_taken_id_spoils_only_its_own_item),
        TEST_CASE(an_erased_id_spoils_only_its_own_item),
        TEST_CASE(a_rehearsal_is_not_told),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
