#include "contract/contract.h"

#include "core/record.h"
#include <stdarg.h>
#include <stdio.h>

#define TEXT_MAX 1024
#define KEPT_FIRST 8

struct kw_bytes contract_copy(struct contract *c, struct kw_bytes bytes)
{
    struct kw_bytes copy = {NULL, 0};
    if (kw_arena_copy(&c->arena, bytes, &copy) != KW_OK) {
        test_fail(c->t, __FILE__, __LINE__, "the arena is full");
    }
    return copy;
}

struct kw_bytes contract_format(struct contract *c, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return contract_copy(c, kw_bytes_of_text(text));
}

struct kw_list contract_tags(struct contract *c, const char *names)
{
    struct kw_bytes rest = kw_bytes_of_text(names);
    uint8_t memory[TEXT_MAX];
    struct kw_buffer packed;
    struct kw_list tags = {0};
    kw_buffer_init_fixed(&packed, memory, sizeof memory);
    while (rest.size > 0) {
        struct kw_bytes name;
        kw_bytes_split(rest, ',', &name, &rest);
        kw_list_add(&packed, name);
        tags.count++;
    }
    tags.packed = contract_copy(c, kw_buffer_bytes(&packed));
    return tags;
}

struct kw_id contract_id(uint64_t number)
{
    struct kw_id id = {0};
    for (size_t i = 0; i < sizeof number; i++) {
        id.bytes[sizeof id.bytes - 1 - i] = (uint8_t)(number >> (8 * i));
    }
    id.bytes[0] = 1;
    return id;
}

struct kw_bytes contract_digest(struct contract *c, uint64_t number)
{
    uint8_t digest[32];
    struct test random = {.random = number};
    for (size_t i = 0; i < sizeof digest; i++) {
        digest[i] = (uint8_t)test_random(&random);
    }
    return contract_copy(c, kw_bytes_of(digest, sizeof digest));
}

struct kw_store_put contract_put(struct contract *c, uint64_t number, uint64_t replaces)
{
    return (struct kw_store_put){
        .row = {.id = contract_id(number),
                .digest = contract_digest(c, number),
                .digest_scheme = KW_DIGEST_HMAC_SHA256,
                .project = KW_BYTES("default"),
                .env = KW_BYTES("live"),
                .owner = KW_BYTES("user:1"),
                .version = replaces + 1,
                .record = contract_format(c, "record %u at version %u", (unsigned)number, (unsigned)replaces + 1)},
        .replaces = replaces,
    };
}

struct kw_store_put contract_tombstone(struct contract *c, uint64_t number, uint64_t replaces)
{
    struct kw_store_put put = contract_put(c, number, replaces);
    put.row.erased = true;
    put.row.owner = (struct kw_bytes){NULL, 0};
    put.row.record = KW_BYTES("gone");
    return put;
}

struct kw_store_audit contract_audit(struct contract *c, uint64_t number, int64_t at_ms)
{
    return (struct kw_store_audit){
        .at_ms = at_ms,
        .project = KW_BYTES("default"),
        .key_id = contract_id(number),
        .owner = KW_BYTES("user:1"),
        .actor = KW_BYTES("root"),
        .action = KW_BYTES("key.created"),
        .context = contract_format(c, "{\"reason\":\"%u\"}", (unsigned)number),
        .body = contract_format(c, "{\"line\":%u}", (unsigned)number),
    };
}

struct kw_store_event contract_event(struct contract *c, uint64_t number, int64_t at_ms)
{
    return (struct kw_store_event){
        .id = contract_id(number),
        .at_ms = at_ms,
        .project = KW_BYTES("default"),
        .key_id = contract_id(number + 1),
        .env = KW_BYTES("live"),
        .owner = KW_BYTES("user:1"),
        .type = KW_BYTES("key.created"),
        .body = contract_format(c, "{\"event\":%u}", (unsigned)number),
    };
}

struct kw_store_request contract_request(uint64_t number, int64_t at_ms)
{
    struct kw_store_request request = {.key_id = contract_id(number), .at_ms = at_ms};
    struct test random = {.random = number};
    for (size_t i = 0; i < KW_STORE_REQUEST_SIZE; i++) {
        request.name[i] = (uint8_t)test_random(&random);
        request.digest[i] = (uint8_t)~request.name[i];
    }
    return request;
}

struct kw_store_reservation contract_reservation(int64_t limit, int64_t amount)
{
    return (struct kw_store_reservation){.lineage_id = contract_id(1),
                                         .name = KW_BYTES("day"),
                                         .period_start_ms = 1000,
                                         .limit = limit,
                                         .amount = amount,
                                         .until_ms = 2000};
}

enum kw_status contract_commit(struct contract *c, struct kw_store_batch *batch)
{
    enum kw_status status = c->store->ops->commit(c->store, batch, 1);
    CHECK(c->t, status == KW_OK || batch->outcome == status);
    return batch->outcome;
}

enum kw_status contract_commit_put(struct contract *c, struct kw_store_put put)
{
    return contract_commit_puts(c, &put, 1);
}

enum kw_status contract_commit_puts(struct contract *c, const struct kw_store_put *puts, size_t count)
{
    struct kw_store_batch batch = {.puts = puts, .put_count = count};
    return contract_commit(c, &batch);
}

struct contract_rows contract_rows(struct contract *c)
{
    return (struct contract_rows){.c = c};
}

struct contract_audits contract_audits(struct contract *c)
{
    return (struct contract_audits){.c = c};
}

struct contract_checkpoints contract_checkpoints(struct contract *c)
{
    return (struct contract_checkpoints){.c = c};
}

struct contract_events contract_events(struct contract *c)
{
    return (struct contract_events){.c = c};
}

struct contract_usages contract_usages(struct contract *c)
{
    return (struct contract_usages){.c = c};
}

struct contract_reservations contract_reservations(struct contract *c)
{
    return (struct contract_reservations){.c = c};
}

struct contract_settings contract_settings(struct contract *c)
{
    return (struct contract_settings){.c = c};
}

/* Room for one more item: `items` as it is, or a copy twice as long. NULL: no memory. */
static void *grown(struct contract *c, void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return items;
    }
    size_t wanted = *capacity == 0 ? KEPT_FIRST : *capacity * 2;
    void *longer = kw_arena_take_array(&c->arena, wanted, size);
    if (longer == NULL) {
        test_fail(c->t, __FILE__, __LINE__, "the arena is full");
        return NULL;
    }
    if (count > 0) {
        memcpy(longer, items, count * size);
    }
    *capacity = wanted;
    return longer;
}

#define MAKE_ROOM(kept) \
    do { \
        void *items = grown((kept)->c, (kept)->items, (kept)->count, &(kept)->capacity, sizeof *(kept)->items); \
        if (items == NULL) { \
            return KW_E_MEMORY; \
        } \
        (kept)->items = items; \
    } while (0)
#define STOP_OR_GO_ON(kept) ((kept)->stop_after > 0 && (kept)->count >= (kept)->stop_after ? (kept)->answer : KW_OK)

enum kw_status contract_keep_row(void *context, const struct kw_store_row *row)
{
    struct contract_rows *kept = context;
    MAKE_ROOM(kept);
    struct kw_store_row *copy = &kept->items[kept->count++];
    *copy = *row;
    copy->digest = contract_copy(kept->c, row->digest);
    copy->project = contract_copy(kept->c, row->project);
    copy->env = contract_copy(kept->c, row->env);
    copy->owner = contract_copy(kept->c, row->owner);
    copy->org_id = contract_copy(kept->c, row->org_id);
    copy->tags.packed = contract_copy(kept->c, row->tags.packed);
    copy->policy = contract_copy(kept->c, row->policy);
    copy->record = contract_copy(kept->c, row->record);
    copy->used_address = contract_copy(kept->c, row->used_address);
    copy->used_region = contract_copy(kept->c, row->used_region);
    return STOP_OR_GO_ON(kept);
}

enum kw_status contract_keep_audit(void *context, const struct kw_store_audit *audit)
{
    struct contract_audits *kept = context;
    MAKE_ROOM(kept);
    struct kw_store_audit *copy = &kept->items[kept->count++];
    *copy = *audit;
    copy->project = contract_copy(kept->c, audit->project);
    copy->owner = contract_copy(kept->c, audit->owner);
    copy->actor = contract_copy(kept->c, audit->actor);
    copy->action = contract_copy(kept->c, audit->action);
    copy->context = contract_copy(kept->c, audit->context);
    copy->body = contract_copy(kept->c, audit->body);
    copy->seal = contract_copy(kept->c, audit->seal);
    return STOP_OR_GO_ON(kept);
}

enum kw_status contract_keep_checkpoint(void *context, const struct kw_store_checkpoint *checkpoint)
{
    struct contract_checkpoints *kept = context;
    MAKE_ROOM(kept);
    struct kw_store_checkpoint *copy = &kept->items[kept->count++];
    *copy = *checkpoint;
    copy->project = contract_copy(kept->c, checkpoint->project);
    copy->bytes = contract_copy(kept->c, checkpoint->bytes);
    return STOP_OR_GO_ON(kept);
}

enum kw_status contract_keep_event(void *context, const struct kw_store_event *event)
{
    struct contract_events *kept = context;
    MAKE_ROOM(kept);
    struct kw_store_event *copy = &kept->items[kept->count++];
    *copy = *event;
    copy->project = contract_copy(kept->c, event->project);
    copy->env = contract_copy(kept->c, event->env);
    copy->owner = contract_copy(kept->c, event->owner);
    copy->type = contract_copy(kept->c, event->type);
    copy->body = contract_copy(kept->c, event->body);
    return STOP_OR_GO_ON(kept);
}

enum kw_status contract_keep_usage(void *context, const struct kw_store_usage *usage)
{
    struct contract_usages *kept = context;
    MAKE_ROOM(kept);
    struct kw_store_usage *copy = &kept->items[kept->count++];
    *copy = *usage;
    copy->value = contract_copy(kept->c, usage->value);
    copy->project = contract_copy(kept->c, usage->project);
    return STOP_OR_GO_ON(kept);
}

enum kw_status contract_keep_reservation(void *context, const struct kw_store_reservation *reservation)
{
    struct contract_reservations *kept = context;
    MAKE_ROOM(kept);
    struct kw_store_reservation *copy = &kept->items[kept->count++];
    *copy = *reservation;
    copy->name = contract_copy(kept->c, reservation->name);
    return STOP_OR_GO_ON(kept);
}

enum kw_status contract_keep_setting(void *context, const struct kw_store_setting *setting)
{
    struct contract_settings *kept = context;
    MAKE_ROOM(kept);
    struct kw_store_setting *copy = &kept->items[kept->count++];
    copy->name = contract_copy(kept->c, setting->name);
    copy->value = contract_copy(kept->c, setting->value);
    return STOP_OR_GO_ON(kept);
}

bool contract_id_equal(struct kw_id a, struct kw_id b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

void contract_check_row(struct contract *c, const struct kw_store_row *actual, const struct kw_store_row *expected)
{
    CHECK(c->t, contract_id_equal(actual->id, expected->id));
    CHECK_BYTES(c->t, actual->digest, expected->digest);
    CHECK_I64(c->t, actual->digest_scheme, expected->digest_scheme);
    CHECK_BYTES(c->t, actual->project, expected->project);
    CHECK_BYTES(c->t, actual->env, expected->env);
    CHECK_BYTES(c->t, actual->owner, expected->owner);
    CHECK_BYTES(c->t, actual->org_id, expected->org_id);
    CHECK_BYTES(c->t, actual->tags.packed, expected->tags.packed);
    CHECK_I64(c->t, actual->tags.count, expected->tags.count);
    CHECK(c->t, contract_id_equal(actual->parent_id, expected->parent_id));
    CHECK_BYTES(c->t, actual->policy, expected->policy);
    CHECK_BYTES(c->t, kw_bytes_of(actual->last_four, sizeof actual->last_four),
                kw_bytes_of(expected->last_four, sizeof expected->last_four));
    CHECK_I64(c->t, actual->expires_at_ms, expected->expires_at_ms);
    CHECK_I64(c->t, actual->due_at_ms, expected->erased ? 0 : expected->due_at_ms);
    CHECK_I64(c->t, actual->version, expected->version);
    CHECK_I64(c->t, actual->erased, expected->erased);
    CHECK_BYTES(c->t, actual->record, expected->record);
}

void contract_check_found(struct contract *c, uint64_t number, const struct kw_store_put *put)
{
    struct contract_rows found = contract_rows(c);
    struct kw_id id = contract_id(number);
    enum kw_status status = c->store->ops->find_by_id(c->store, &id, contract_keep_row, &found);
    CHECK_STATUS(c->t, status, put == NULL ? KW_E_NOT_FOUND : KW_OK);
    CHECK_I64(c->t, found.count, put == NULL ? 0 : 1);
    if (put != NULL && found.count == 1) {
        contract_check_row(c, &found.items[0], &put->row);
    }
}
