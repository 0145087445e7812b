/* Requests that were done: found by name, done once, together with what came of them. */
#include "contract/behaviours.h"

static enum kw_status find(struct contract *c, uint64_t number, struct kw_store_request *found_out)
{
    struct kw_store_request wanted = contract_request(number, 0);
    return c->store->ops->request_find(c->store, wanted.name, found_out);
}

static void check_found(struct contract *c, uint64_t number, int64_t at_ms)
{
    struct kw_store_request expected = contract_request(number, at_ms);
    struct kw_store_request found = {.at_ms = -1};
    REQUIRE_OK(c->t, find(c, number, &found));
    CHECK_BYTES(c->t, kw_bytes_of(found.name, sizeof found.name), kw_bytes_of(expected.name, sizeof expected.name));
    CHECK_BYTES(c->t, kw_bytes_of(found.digest, sizeof found.digest),
                kw_bytes_of(expected.digest, sizeof expected.digest));
    CHECK(c->t, contract_id_equal(found.key_id, expected.key_id));
    CHECK_I64(c->t, found.at_ms, at_ms);
}

static void check_unknown(struct contract *c, uint64_t number)
{
    struct kw_store_request found = {.at_ms = 77};
    CHECK_STATUS(c->t, find(c, number, &found), KW_E_NOT_FOUND);
    CHECK_I64(c->t, found.at_ms, 77); /* untouched */
}

/* Key `number` by the request `request_number`. */
static enum kw_status do_request(struct contract *c, uint64_t number, uint64_t request_number, int64_t at_ms)
{
    struct kw_store_put put = contract_put(c, number, 0);
    struct kw_store_request request = contract_request(request_number, at_ms);
    struct kw_store_batch batch = {.puts = &put, .put_count = 1, .requests = &request, .request_count = 1};
    return contract_commit(c, &batch);
}

void a_request_is_found_by_its_name(struct contract *c)
{
    check_unknown(c, 1);
    REQUIRE_OK(c->t, do_request(c, 1, 1, 1000));
    REQUIRE_OK(c->t, do_request(c, 2, 2, INT64_MAX));
    REQUIRE(c->t, contract_reopen(c));
    check_found(c, 1, 1000);
    check_found(c, 2, INT64_MAX);
    check_unknown(c, 3);
}

void a_request_is_done_once(struct contract *c)
{
    struct kw_store_put put = contract_put(c, 1, 0);
    REQUIRE_OK(c->t, do_request(c, 1, 1, 1000));
    CHECK_STATUS(c->t, do_request(c, 2, 1, 2000), KW_E_CONFLICT);
    contract_check_found(c, 1, &put);
    contract_check_found(c, 2, NULL);
    check_found(c, 1, 1000);
    REQUIRE_OK(c->t, do_request(c, 2, 2, 2000));
}

void a_request_of_a_batch_that_failed_is_not_done(struct contract *c)
{
    REQUIRE_OK(c->t, do_request(c, 1, 1, 1000));
    CHECK_STATUS(c->t, do_request(c, 1, 2, 2000), KW_E_CONFLICT); /* the key is there */
    check_unknown(c, 2);
    struct kw_store_request twins[] = {contract_request(3, 1), contract_request(3, 2)};
    struct kw_store_batch batch = {.requests = twins, .request_count = 2};
    CHECK_STATUS(c->t, contract_commit(c, &batch), KW_E_CONFLICT);
    REQUIRE(c->t, contract_reopen(c));
    check_unknown(c, 2);
    check_unknown(c, 3);
}

void two_batches_of_one_request_make_one_key(struct contract *c)
{
    struct kw_store_put puts[] = {contract_put(c, 1, 0), contract_put(c, 2, 0), contract_put(c, 3, 0)};
    struct kw_store_request requests[] = {contract_request(7, 1), contract_request(7, 2), contract_request(8, 3)};
    struct kw_store_batch batches[KW_COUNT_OF(puts)] = {0};
    for (size_t i = 0; i < KW_COUNT_OF(puts); i++) {
        batches[i] =
            (struct kw_store_batch){.puts = &puts[i], .put_count = 1, .requests = &requests[i], .request_count = 1};
    }
    requests[1].key_id = contract_id(2);
    REQUIRE_OK(c->t, c->store->ops->commit(c->store, batches, KW_COUNT_OF(batches)));
    CHECK_STATUS(c->t, batches[0].outcome, KW_OK);
    CHECK_STATUS(c->t, batches[1].outcome, KW_E_CONFLICT);
    CHECK_STATUS(c->t, batches[2].outcome, KW_OK);
    contract_check_found(c, 1, &puts[0]);
    contract_check_found(c, 2, NULL);
    contract_check_found(c, 3, &puts[2]);
    check_found(c, 7, 1);
    check_found(c, 8, 3);
}

void old_requests_are_pruned_in_steps(struct contract *c)
{
    for (uint64_t i = 1; i <= 5; i++) {
        REQUIRE_OK(c->t, do_request(c, i, i, (int64_t)(6 - i)));
    }
    const uint64_t expected[] = {2, 1, 0};
    for (size_t i = 0; i < KW_COUNT_OF(expected); i++) {
        uint64_t removed = 99;
        REQUIRE_OK(c->t, c->store->ops->request_prune(c->store, 4, 2, &removed));
        CHECK_I64(c->t, removed, expected[i]);
    }
    REQUIRE(c->t, contract_reopen(c));
    for (uint64_t i = 3; i <= 5; i++) {
        check_unknown(c, i);
    }
    check_found(c, 1, 5);
    check_found(c, 2, 4);
    CHECK_STATUS(c->t, do_request(c, 6, 5, 6), KW_OK); /* its name is free again */
    uint64_t removed = 99;
    CHECK_STATUS(c->t, c->store->ops->request_prune(c->store, 4, 0, &removed), KW_E_LIMIT);
    CHECK_STATUS(c->t, c->store->ops->request_prune(c->store, 4, KW_STORE_LIST_MAX + 1, &removed), KW_E_LIMIT);
    CHECK_I64(c->t, removed, 99);
}

void a_request_without_a_key_is_refused(struct contract *c)
{
    struct kw_store_request request = contract_request(1, 1);
    struct kw_store_batch batch = {.requests = &request, .request_count = 1};
    request.key_id = (struct kw_id){0};
    CHECK_STATUS(c->t, contract_commit(c, &batch), KW_E_INVALID);
    check_unknown(c, 1);
}
