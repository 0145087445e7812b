/* Families in the store: opened again, while the index is still filling, and where the store fails. */
#include "core/id.h"
#include "kin.h"
#include "shelf.h"

#define CALLS_MAX 400

/* Members of one family, each in another trouble, and what is said of them. */
enum {
    FIRST,
    CHILD,
    GRANDCHILD,
    DISABLED,
    BELOW_DISABLED,
    REVOKED,
    BELOW_REVOKED,
    ERASED,
    BELOW_ERASED,
    DISABLED_BELOW_REVOKED,
    ROTATED,
    BELOW_ROTATED,
    MEMBERS
};

static const struct {
    int parent;
    enum kw_op_kind kinds[2]; /* done to it, in this order; KW_OP_GET: nothing */
    enum kw_code expected;
} members[MEMBERS] = {
    [FIRST] = {-1, {KW_OP_GET, KW_OP_GET}, KW_CODE_NONE},
    [CHILD] = {FIRST, {KW_OP_GET, KW_OP_GET}, KW_CODE_NONE},
    [GRANDCHILD] = {CHILD, {KW_OP_GET, KW_OP_GET}, KW_CODE_NONE},
    [DISABLED] = {FIRST, {KW_OP_DISABLE, KW_OP_GET}, KW_CODE_DISABLED},
    [BELOW_DISABLED] = {DISABLED, {KW_OP_GET, KW_OP_GET}, KW_CODE_DISABLED},
    [REVOKED] = {CHILD, {KW_OP_REVOKE, KW_OP_GET}, KW_CODE_REVOKED},
    [BELOW_REVOKED] = {REVOKED, {KW_OP_GET, KW_OP_GET}, KW_CODE_REVOKED},
    [ERASED] = {CHILD, {KW_OP_REVOKE, KW_OP_ERASE}, KW_CODE_INVALID_KEY},
    [BELOW_ERASED] = {ERASED, {KW_OP_DISABLE, KW_OP_GET}, KW_CODE_REVOKED},
    [DISABLED_BELOW_REVOKED] = {REVOKED, {KW_OP_DISABLE, KW_OP_GET}, KW_CODE_REVOKED},
    [ROTATED] = {CHILD, {KW_OP_ROTATE, KW_OP_ROTATE}, KW_CODE_NONE},
    [BELOW_ROTATED] = {ROTATED, {KW_OP_GET, KW_OP_GET}, KW_CODE_NONE},
};

static bool make_family(struct test *t, struct test_engine *fixture, struct kin family[MEMBERS])
{
    for (int i = 0; i < MEMBERS; i++) {
        const struct kin *parent = members[i].parent < 0 ? NULL : &family[members[i].parent];
        if (!kin_make(t, fixture, parent, &kin_reads, &family[i])) {
            return false;
        }
    }
    for (int i = 0; i < MEMBERS; i++) {
        for (size_t n = 0; n < 2; n++) {
            if (members[i].kinds[n] != KW_OP_GET) {
                CHECK_STATUS(t, kin_change(fixture, &family[i], members[i].kinds[n], NULL, 0, NULL), KW_OK);
            }
        }
    }
    return true;
}

static void check_family(struct test *t, struct test_engine *fixture, const struct kin family[MEMBERS], int i)
{
    enum kw_code code = kin_verify(fixture, &family[i], NULL, NULL);
    if (code != members[i].expected) {
        test_fail(t, __FILE__, __LINE__, "member %d is %s instead of %s", i, kw_code_info(code)->name,
                  kw_code_info(members[i].expected)->name);
    }
}

static void a_family_is_the_same_when_opened_again(struct test *t)
{
    struct test_engine fixture;
    struct kw_store *store;
    struct kin family[MEMBERS];
    REQUIRE(t, shelf_open(&store));
    REQUIRE(t, test_engine_open(t, &fixture, store));
    REQUIRE(t, make_family(t, &fixture, family));
    for (int i = 0; i < MEMBERS; i++) {
        check_family(t, &fixture, family, i);
    }
    test_engine_close(&fixture);
    REQUIRE(t, test_engine_open(t, &fixture, store));
    kw_engine_wait_filled(fixture.engine);
    for (int i = 0; i < MEMBERS; i++) {
        check_family(t, &fixture, family, i);
        CHECK_I64(t, kin_explain(&fixture, &family[i]), members[i].expected); /* a dry run says the same */
    }
    test_engine_close(&fixture);
    shelf_close(store);
}

/* Each member asked about first, on an index that knows nothing. */
static void a_family_is_the_same_while_the_index_fills(struct test *t)
{
    struct test_engine fixture;
    struct kw_store *store;
    struct kin family[MEMBERS];
    REQUIRE(t, shelf_open(&store));
    REQUIRE(t, test_engine_open(t, &fixture, store));
    REQUIRE(t, make_family(t, &fixture, family));
    test_engine_close(&fixture);
    shelf_hold_back(true);
    for (int first = 0; first < MEMBERS; first++) {
        REQUIRE(t, test_engine_open(t, &fixture, store));
        for (int i = 0; i < MEMBERS; i++) {
            int member = (first + i) % MEMBERS;
            enum kw_code code = kin_verify(&fixture, &family[member], NULL, NULL);
            /* A line that was erased cannot be told from one whose first key was: nobody says yes or no until all is
             * read. */
            bool is_open = member == BELOW_ERASED && code == KW_CODE_STORE_UNAVAILABLE;
            if (code != members[member].expected && !is_open) {
                test_fail(t, __FILE__, __LINE__, "asked first: %d; member %d is %s", first, member,
                          kw_code_info(code)->name);
            }
        }
        test_engine_close(&fixture);
    }
    shelf_hold_back(false);
    shelf_close(store);
}

static enum kw_status search(struct test_engine *fixture, enum kw_op_kind kind, const struct kw_id *parent, int status,
                             struct kw_op *op)
{
    const struct kw_list_query query = {.has_status = status >= 0,
                                        .status = status < 0 ? KW_KEY_ACTIVE : (enum kw_key_status)status,
                                        .parent_id = parent == NULL ? (struct kw_id){{0}} : *parent,
                                        .limit = 100};
    kw_op_init(op, kind, KW_PROJECT_DEFAULT);
    op->query = &query;
    enum kw_status done = kw_engine_run(fixture->engine, op);
    op->query = NULL;
    return done;
}

/* How many a list finds, and a count, which must be the same; of children -1 where one of them says nothing of its
 * ancestors. */
static int find(struct test *t, struct test_engine *fixture, const struct kw_id *parent, int status)
{
    struct kw_op op;
    CHECK_STATUS(t, search(fixture, KW_OP_LIST, parent, status, &op), KW_OK);
    struct kw_bytes rest = kw_buffer_bytes(&op.result);
    struct kw_bytes others = kw_buffer_bytes(&op.other);
    struct kw_bytes encoding;
    int count = 0;
    bool is_whole = true;
    while (kw_op_next(&rest, &encoding)) {
        struct kw_listed listed = kw_op_next_listed(&others);
        count++;
        is_whole = is_whole && (parent == NULL || listed.above.has_word);
    }
    kw_op_deinit(&op);
    CHECK_STATUS(t, search(fixture, KW_OP_COUNT, parent, status, &op), KW_OK);
    CHECK_I64(t, op.count, count);
    kw_op_deinit(&op);
    return is_whole ? count : -1;
}

/* A status is what a verification would say, with all that a key stands under. */
static void keys_are_found_by_what_their_family_leaves_of_them(struct test *t)
{
    struct test_engine fixture;
    struct kw_store *store;
    struct kin family[MEMBERS];
    struct kw_op op;
    REQUIRE(t, shelf_open(&store));
    REQUIRE(t, test_engine_open(t, &fixture, store));
    REQUIRE(t, make_family(t, &fixture, family));
    for (int is_filling = 0; is_filling < 2; is_filling++) {
        CHECK_I64(t, find(t, &fixture, &family[FIRST].id, KW_KEY_ACTIVE), 1);
        CHECK_I64(t, find(t, &fixture, &family[FIRST].id, KW_KEY_DISABLED), 1);
        CHECK_I64(t, find(t, &fixture, &family[DISABLED].id, KW_KEY_ACTIVE), 0);
        CHECK_I64(t, find(t, &fixture, &family[DISABLED].id, KW_KEY_DISABLED), 1);
        CHECK_I64(t, find(t, &fixture, &family[REVOKED].id, KW_KEY_DISABLED), 0);
        CHECK_I64(t, find(t, &fixture, &family[REVOKED].id, KW_KEY_REVOKED), 2);
        CHECK_I64(t, find(t, &fixture, &family[REVOKED].id, -1), 2);
        CHECK_I64(t, find(t, &fixture, &family[ROTATED].id, KW_KEY_ACTIVE), 1);
        if (is_filling == 0) {
            CHECK_I64(t, find(t, &fixture, NULL, KW_KEY_ACTIVE), 5);
            CHECK_I64(t, find(t, &fixture, NULL, KW_KEY_REVOKED), 6); /* with the two that were rotated */
            test_engine_close(&fixture);
            shelf_hold_back(true);
            REQUIRE(t, test_engine_open(t, &fixture, store));
        }
    }
    /* Of a line that was erased nothing can be said until all was read: it is shown without. */
    CHECK_STATUS(t, search(&fixture, KW_OP_LIST, NULL, KW_KEY_ACTIVE, &op), KW_E_UNAVAILABLE);
    kw_op_deinit(&op);
    CHECK_I64(t, find(t, &fixture, NULL, -1), MEMBERS + 1); /* one is erased, and two were rotated */
    test_engine_close(&fixture);
    shelf_hold_back(false);
    shelf_close(store);
}

static enum kw_status change_policy(struct test_engine *fixture, enum kw_op_kind kind, const char *json,
                                    char narrowed[256])
{
    struct kw_op op;
    kw_op_init(&op, kind, KW_PROJECT_DEFAULT);
    op.document = KW_DOCUMENT_POLICY;
    op.name = KW_BYTES("p");
    op.json = kw_bytes_of_text(json);
    op.actor = KW_BYTES("test");
    op.is_dry_run = kind == KW_OP_DOCUMENT_UPDATE;
    enum kw_status status = kw_engine_run(fixture->engine, &op);
    struct kw_bytes text = kw_buffer_bytes(&op.other);
    size_t size = text.size < 255 ? text.size : 255;
    memcpy(narrowed, text.data + text.size - size, size);
    narrowed[size] = '\0';
    kw_op_deinit(&op);
    return status;
}

/* Of three generations the first and the last name the policy; each is told of, and those that stand above are asked.
 */
static void a_policy_narrows_the_same_while_the_index_fills(struct test *t)
{
    struct test_engine fixture;
    struct kw_store *store;
    struct kin kin[3];
    char narrowed[256];
    struct kw_key_params params = kin_reads;
    REQUIRE(t, shelf_open(&store));
    REQUIRE(t, test_engine_open(t, &fixture, store));
    REQUIRE_OK(t, change_policy(&fixture, KW_OP_DOCUMENT_CREATE, "{\"name\":\"p\"}", narrowed));
    params.given |= KW_GIVEN_OWNER | KW_GIVEN_POLICY;
    params.owner = KW_BYTES("user:1");
    params.policy = KW_BYTES("p");
    for (size_t i = 0; i < 3; i++) {
        REQUIRE(t, kin_make(t, &fixture, i == 0 ? NULL : &kin[i - 1], i == 1 ? &kin_reads : &params, &kin[i]));
    }
    for (int is_filling = 0; is_filling < 2; is_filling++) {
        REQUIRE_OK(t, change_policy(&fixture, KW_OP_DOCUMENT_UPDATE, "{\"scopes\":[\"write\"]}", narrowed));
        CHECK(t, strstr(narrowed, "\"count\":3,\"exact\":true") != NULL);
        CHECK(t, strstr(narrowed, "\"ancestorId\":\"key_") != NULL);
        test_engine_close(&fixture);
        shelf_hold_back(true);
        REQUIRE(t, test_engine_open(t, &fixture, store));
    }
    test_engine_close(&fixture);
    shelf_hold_back(false);
    shelf_close(store);
}

/* Not below what is gone for good; below what may come back it is. */
static void a_key_is_rotated_where_the_new_one_may_be_used_one_day(struct test *t)
{
    struct test_engine fixture;
    struct kin family[MEMBERS];
    struct kw_error error;
    REQUIRE(t, test_engine_open(t, &fixture, NULL));
    REQUIRE(t, make_family(t, &fixture, family));
    static const int dead[] = {BELOW_REVOKED, DISABLED_BELOW_REVOKED, BELOW_ERASED};
    for (size_t i = 0; i < KW_COUNT_OF(dead); i++) {
        CHECK_STATUS(t, kin_change(&fixture, &family[dead[i]], KW_OP_ROTATE, NULL, 0, &error), KW_E_INVALID);
        CHECK_TEXT(t, error.code, "INVALID_FIELD");
        CHECK_TEXT(t, error.field, "parentId");
    }
    CHECK_STATUS(t, kin_change(&fixture, &family[BELOW_DISABLED], KW_OP_ROTATE, NULL, 0, &error), KW_OK);
    CHECK_STATUS(t, kin_change(&fixture, &family[BELOW_ROTATED], KW_OP_ROTATE, NULL, 0, &error), KW_OK);
    CHECK_STATUS(t, kin_change(&fixture, &family[DISABLED_BELOW_REVOKED], KW_OP_ENABLE, NULL, 0, &error), KW_OK);
    CHECK_STATUS(t, kin_change(&fixture, &family[CHILD], KW_OP_REVOKE, NULL, 0, &error), KW_OK);
    CHECK_STATUS(t, kin_change(&fixture, &family[BELOW_ROTATED], KW_OP_ROTATE, NULL, 0, &error), KW_E_INVALID);
    CHECK(t, strstr(error.message, "which is revoked") != NULL);
    test_engine_close(&fixture);
}

/* Changes of a child whose family is not in the index yet. */
static void children_are_checked_while_the_index_fills(struct test *t)
{
    struct test_engine fixture;
    struct kw_store *store;
    struct kin family[MEMBERS];
    struct kin made;
    struct kw_error error;
    REQUIRE(t, shelf_open(&store));
    REQUIRE(t, test_engine_open(t, &fixture, store));
    REQUIRE(t, make_family(t, &fixture, family));
    test_engine_close(&fixture);
    shelf_hold_back(true);
    REQUIRE(t, test_engine_open(t, &fixture, store));
    CHECK_STATUS(t, kin_change(&fixture, &family[BELOW_ROTATED], KW_OP_UPDATE, &kin_reads_and_writes, 0, &error),
                 KW_E_INVALID);
    CHECK_TEXT(t, error.code, "EXCEEDS_PARENT");
    CHECK_STATUS(t, kin_try(&fixture, &family[GRANDCHILD], &kin_reads_and_writes, &made, &error), KW_E_INVALID);
    CHECK_TEXT(t, error.code, "EXCEEDS_PARENT");
    REQUIRE(t, kin_make(t, &fixture, &family[BELOW_ROTATED], &kin_reads, &made));
    CHECK_KIN(t, &fixture, &made, KW_CODE_NONE);
    REQUIRE_OK(t, kin_change(&fixture, &family[ROTATED], KW_OP_DISABLE, NULL, 0, NULL));
    CHECK_KIN(t, &fixture, &made, KW_CODE_DISABLED);
    shelf_hold_back(false);
    kw_engine_wait_filled(fixture.engine);
    CHECK_KIN(t, &fixture, &made, KW_CODE_DISABLED);
    CHECK_KIN(t, &fixture, &family[GRANDCHILD], KW_CODE_NONE);
    test_engine_close(&fixture);
    shelf_close(store);
}

/* Old keys of a parent's line, the first among them, are erased: its children do not feel it. */
static void erasing_old_keys_of_a_parents_line_does_no_harm(struct test *t)
{
    struct test_engine fixture;
    struct kw_store *store;
    struct kin line[4];
    struct kin child;
    struct kin grandchild;
    REQUIRE(t, shelf_open(&store));
    REQUIRE(t, test_engine_open(t, &fixture, store));
    REQUIRE(t, kin_make(t, &fixture, NULL, &kin_reads, &line[0]));
    REQUIRE(t, kin_make(t, &fixture, &line[0], &kin_reads, &child));
    for (size_t i = 1; i < KW_COUNT_OF(line); i++) {
        line[i] = line[i - 1];
        REQUIRE_OK(t, kin_change(&fixture, &line[i], KW_OP_ROTATE, NULL, 0, NULL));
    }
    for (size_t i = 0; i + 1 < KW_COUNT_OF(line); i++) {
        REQUIRE_OK(t, kin_change(&fixture, &line[i], KW_OP_ERASE, NULL, 0, NULL));
        CHECK_KIN(t, &fixture, &child, KW_CODE_NONE);
    }
    CHECK_STATUS(t, kin_change(&fixture, &child, KW_OP_ROTATE, &kin_reads, 0, NULL), KW_OK);
    test_engine_close(&fixture);
    shelf_hold_back(true);
    REQUIRE(t, test_engine_open(t, &fixture, store));
    enum kw_code code = kin_verify(&fixture, &child, NULL, NULL); /* not yet known, which is no refusal */
    CHECK(t, code == KW_CODE_NONE || code == KW_CODE_STORE_UNAVAILABLE);
    struct kw_error error;
    enum kw_status status = kin_change(&fixture, &child, KW_OP_UPDATE, &kin_reads, 0, &error);
    CHECK(t, status == KW_OK || status == KW_E_UNAVAILABLE);
    shelf_hold_back(false);
    kw_engine_wait_filled(fixture.engine);
    CHECK_KIN(t, &fixture, &child, KW_CODE_NONE);
    REQUIRE_OK(t, kin_change(&fixture, &child, KW_OP_UPDATE, &kin_reads, 0, NULL));
    REQUIRE(t, kin_make(t, &fixture, &child, &kin_reads, &grandchild));
    REQUIRE(t, kin_make(t, &fixture, &line[3], &kin_reads, &grandchild));
    REQUIRE_OK(t, kin_change(&fixture, &line[3], KW_OP_REVOKE, NULL, 0, NULL));
    CHECK_KIN(t, &fixture, &child, KW_CODE_REVOKED);
    test_engine_close(&fixture);
    shelf_close(store);
}

static void the_children_of_an_erased_line_are_dead_and_can_be_tidied(struct test *t)
{
    struct test_engine fixture;
    struct kw_store *store;
    struct kin family[MEMBERS];
    struct kin made;
    struct kw_error error;
    struct kw_key_params named = {.given = KW_GIVEN_NAME, .name = KW_BYTES("Left over")};
    REQUIRE(t, shelf_open(&store));
    REQUIRE(t, test_engine_open(t, &fixture, store));
    REQUIRE(t, make_family(t, &fixture, family));
    for (int opened = 0; opened < 2; opened++) {
        kw_engine_wait_filled(fixture.engine);
        CHECK_STATUS(t, kin_change(&fixture, &family[BELOW_ERASED], KW_OP_UPDATE, &named, 0, NULL), KW_OK);
        CHECK_STATUS(t, kin_change(&fixture, &family[BELOW_ERASED], KW_OP_ROTATE, &kin_reads, 0, &error), KW_E_INVALID);
        CHECK_TEXT(t, error.field, "parentId");
        CHECK_KIN(t, &fixture, &family[BELOW_ERASED], KW_CODE_REVOKED);
        CHECK_STATUS(t, kin_try(&fixture, &family[ERASED], NULL, &made, &error), KW_E_INVALID);
        CHECK_TEXT(t, error.field, "parentId");
        if (kin_try(&fixture, &family[BELOW_ERASED], &kin_reads, &made, &error) == KW_OK) {
            CHECK_KIN(t, &fixture, &made, KW_CODE_REVOKED);
        } else {
            CHECK_TEXT(t, error.field, "parentId");
        }
        test_engine_close(&fixture);
        REQUIRE(t, test_engine_open(t, &fixture, store));
    }
    test_engine_close(&fixture);
    shelf_close(store);
}

/* --- A store whose n-th call fails --- */

struct census {
    struct kw_store *store;
    size_t orphans, children;
};

static enum kw_status parent_sink(void *context, const struct kw_store_row *row)
{
    struct kw_record record;
    *(bool *)context = kw_record_decode(row->record, &record) == KW_OK && record.has_children;
    return KW_OK;
}

struct ids {
    struct kw_id ids[16];
    size_t count;
};

static enum kw_status child_sink(void *context, const struct kw_store_row *row)
{
    struct ids *parents = context;
    struct kw_record record;
    if (kw_record_decode(row->record, &record) == KW_OK && !kw_id_is_none(&record.parent_id) &&
        parents->count < KW_COUNT_OF(parents->ids)) {
        parents->ids[parents->count++] = record.parent_id;
    }
    return KW_OK;
}

/* Every child that the store has, and those among them whose parent does not say so. */
static struct census count_children(struct kw_store *store)
{
    struct census census = {.store = store};
    struct ids parents = {.count = 0};
    struct kw_store_filter filter = {.limit = 100};
    (void)store->ops->list(store, &filter, child_sink, &parents);
    for (size_t i = 0; i < parents.count; i++) {
        bool is_marked = false;
        (void)store->ops->find_by_id(store, &parents.ids[i], parent_sink, &is_marked);
        census.children++;
        census.orphans += !is_marked;
    }
    return census;
}

/* False when the fault did not come to pass any more. */
static bool found_a_family(struct test *t, enum kw_fault_kind kind, uint64_t nth)
{
    struct test_engine fixture;
    struct kw_store *inner;
    struct kw_store *faulty;
    struct kin parent;
    struct kin child = {.key = {.size = 0}};
    if (kw_store_memory_open(&inner) != KW_OK || kw_store_fault_open(inner, t->seed + nth, &faulty) != KW_OK ||
        !test_engine_open(t, &fixture, faulty) || !kin_make(t, &fixture, NULL, &kin_reads, &parent)) {
        test_fail(t, __FILE__, __LINE__, "no engine");
        return false;
    }
    kw_engine_wait_filled(fixture.engine);
    kw_store_fault_arm(faulty, kind, nth);
    size_t made = 0;
    for (int attempt = 0; attempt < 4; attempt++) {
        struct kw_error error = {0};
        enum kw_status status = kin_try(&fixture, &parent, &kin_reads, &child, &error);
        struct census census = count_children(inner);
        CHECK_I64(t, census.orphans, 0);
        CHECK(t, census.children == made + 1 || (status != KW_OK && census.children == made));
        CHECK(t, status == KW_OK || status == KW_E_UNCERTAIN || census.children == made);
        made = census.children;
        if (status == KW_OK) {
            CHECK_KIN(t, &fixture, &child, KW_CODE_NONE);
        }
        CHECK_KIN(t, &fixture, &parent, KW_CODE_NONE);
    }
    CHECK(t, child.key.size != 0);
    bool came_to_pass = kw_store_fault_calls(faulty) >= nth;
    kw_store_fault_arm(faulty, kind, 0);
    CHECK_STATUS(t, kin_change(&fixture, &parent, KW_OP_REVOKE, NULL, 0, NULL), KW_OK);
    CHECK_KIN(t, &fixture, &child, KW_CODE_REVOKED);
    test_engine_close(&fixture);
    return came_to_pass;
}

static void sweep(struct test *t, enum kw_fault_kind kind)
{
    uint64_t nth = 1;
    while (nth < CALLS_MAX && found_a_family(t, kind, nth)) {
        nth++;
    }
    CHECK(t, nth > 4 && nth < CALLS_MAX);
}

static void a_child_comes_whole_or_not_at_all(struct test *t)
{
    sweep(t, KW_FAULT_UNAVAILABLE);
}

static void an_uncertain_child_is_whole_or_not_there(struct test *t)
{
    sweep(t, KW_FAULT_UNCERTAIN);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(a_family_is_the_same_when_opened_again),
        TEST_CASE(a_family_is_the_same_while_the_index_fills),
        TEST_CASE(a_policy_narrows_the_same_while_the_index_fills),
        TEST_CASE(keys_are_found_by_what_their_family_leaves_of_them),
        TEST_CASE(a_key_is_rotated_where_the_new_one_may_be_used_one_day),
        TEST_CASE(children_are_checked_while_the_index_fills),
        TEST_CASE(erasing_old_keys_of_a_parents_line_does_no_harm),
        TEST_CASE(the_children_of_an_erased_line_are_dead_and_can_be_tidied),
        TEST_CASE(a_child_comes_whole_or_not_at_all),
        TEST_CASE(an_uncertain_child_is_whole_or_not_there),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
