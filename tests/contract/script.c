#include "contract/script.h"

#include <inttypes.h>

#define ALL 1000
#define PICTURE_MAX (1U << 20)

static enum kw_status worst(struct kw_store_batch *batches, size_t count, enum kw_status status)
{
    for (size_t i = 0; i < count && status == KW_OK; i++) {
        status = batches[i].outcome == KW_E_CONFLICT ? KW_OK : batches[i].outcome;
    }
    return status;
}

static enum kw_status commit(struct contract *c, struct kw_store_batch *batches, size_t count)
{
    return worst(batches, count, c->store->ops->commit(c->store, batches, count));
}

static enum kw_status create_three(struct contract *c)
{
    struct kw_store_put puts[] = {contract_put(c, 1, 0), contract_put(c, 2, 0), contract_put(c, 3, 0)};
    struct kw_store_audit lines[] = {contract_audit(c, 1, 1), contract_audit(c, 2, 2)};
    struct kw_store_event events[] = {contract_event(c, 1, 1), contract_event(c, 2, 2)};
    struct kw_store_setting setting = {KW_BYTES("one"), KW_BYTES("first")};
    struct kw_store_request requests[] = {contract_request(1, 1), contract_request(2, 2)};
    puts[1].row.tags = contract_tags(c, "a,b");
    puts[2].row.org_id = KW_BYTES("acme");
    struct kw_store_batch batch = {.puts = puts,
                                   .put_count = 3,
                                   .audits = lines,
                                   .audit_count = 2,
                                   .events = events,
                                   .event_count = 2,
                                   .settings = &setting,
                                   .setting_count = 1,
                                   .requests = requests,
                                   .request_count = 2};
    return commit(c, &batch, 1);
}

static enum kw_status change_two(struct contract *c)
{
    struct kw_store_put puts[] = {contract_put(c, 2, 1), contract_put(c, 3, 1)};
    struct kw_store_audit line = contract_audit(c, 2, 3);
    puts[0].row.tags = contract_tags(c, "b,c");
    puts[0].row.digest = contract_digest(c, 22);
    struct kw_store_batch batch = {.puts = puts, .put_count = 2, .audits = &line, .audit_count = 1};
    return commit(c, &batch, 1);
}

static enum kw_status conflict(struct contract *c)
{
    struct kw_store_put puts[] = {contract_put(c, 9, 0), contract_put(c, 2, 1)};
    struct kw_store_batch batch = {.puts = puts, .put_count = 2};
    return commit(c, &batch, 1);
}

static enum kw_status several_batches(struct contract *c)
{
    struct kw_store_put created = contract_put(c, 4, 0);
    struct kw_store_put doubled = contract_put(c, 4, 0);
    struct kw_store_put erased = contract_tombstone(c, 1, 1);
    struct kw_store_event event = contract_event(c, 4, 4);
    struct kw_store_setting setting = {KW_BYTES("one"), {NULL, 0}};
    struct kw_store_batch batches[] = {
        {.puts = &created, .put_count = 1, .events = &event, .event_count = 1},
        {.puts = &doubled, .put_count = 1},
        {.puts = &erased, .put_count = 1, .settings = &setting, .setting_count = 1},
    };
    return commit(c, batches, KW_COUNT_OF(batches));
}

static enum kw_status one_more_setting(struct contract *c)
{
    struct kw_store_setting settings[] = {{KW_BYTES("one"), KW_BYTES("again")}, {KW_BYTES("two"), KW_BYTES("2")}};
    struct kw_store_batch batch = {.settings = settings, .setting_count = 2};
    return commit(c, &batch, 1);
}

static enum kw_status find(struct contract *c)
{
    struct contract_rows rows = contract_rows(c);
    return c->store->ops->find_by_digest(c->store, contract_digest(c, 3), contract_keep_row, &rows);
}

static enum kw_status list(struct contract *c)
{
    struct contract_rows rows = contract_rows(c);
    struct kw_store_filter filter = {.project = KW_BYTES("default"),
                                     .tags = &KW_BYTES("b"),
                                     .tag_count = 1,
                                     .owner = KW_BYTES("user:1"),
                                     .limit = ALL};
    return c->store->ops->list(c->store, &filter, contract_keep_row, &rows);
}

static enum kw_status add_use(struct contract *c)
{
    struct kw_store_usage use[] = {{contract_id(1), KW_BYTES("verify"), 10, 5},
                                   {contract_id(2), KW_BYTES("verify"), 10, 7},
                                   {contract_id(1), KW_BYTES("verify"), 10, 1}};
    return c->store->ops->usage_add(c->store, use, KW_COUNT_OF(use), NULL, 0);
}

static enum kw_status defer_use(struct contract *c)
{
    struct kw_store_deferred pieces[] = {{4, KW_BYTES("one"), 0}, {9, KW_BYTES("two"), 0}, {4, KW_BYTES("three"), 0}};
    uint64_t waiting = 0;
    return c->store->ops->usage_defer(c->store, pieces, KW_COUNT_OF(pieces), &waiting);
}

static enum kw_status settle_use(struct contract *c)
{
    struct kw_store_usage use = {contract_id(1), KW_BYTES("verify"), 10, 100};
    struct kw_store_deferred last = {.part = 4, .sequence = INT64_MAX};
    return c->store->ops->usage_settle(c->store, &last, &use, 1, NULL, 0);
}

/* Of three periods, the first of them twice; the rows are in the order of their ends backwards. */
static enum kw_status take_some(struct contract *c)
{
    struct kw_store_reservation reservations[4];
    for (size_t i = 0; i < KW_COUNT_OF(reservations); i++) {
        reservations[i] = contract_reservation(50, 15);
        reservations[i].period_start_ms = (int64_t)(i % 3);
        reservations[i].until_ms = 1000 - (int64_t)i;
    }
    struct kw_store_batch batch = {.reservations = reservations, .reservation_count = KW_COUNT_OF(reservations)};
    return commit(c, &batch, 1);
}

/* Of the first lines that the script wrote; the setting goes with them. */
static enum kw_status seal_lines(struct contract *c)
{
    const struct kw_store_seal seals[] = {{1, KW_BYTES("a seal")}, {2, KW_BYTES("another")}};
    struct kw_store_setting setting = {KW_BYTES("two"), KW_BYTES("sealed")};
    struct kw_store_batch batch = {
        .seals = seals, .seal_count = KW_COUNT_OF(seals), .settings = &setting, .setting_count = 1};
    return commit(c, &batch, 1);
}

static enum kw_status give_some_back(struct contract *c)
{
    struct kw_store_reservation reservation = contract_reservation(50, -10);
    struct kw_store_audit line = contract_audit(c, 1, 9);
    reservation.period_start_ms = 1;
    reservation.until_ms = 1001;
    reservation.is_credit = true;
    struct kw_store_batch batch = {
        .audits = &line, .audit_count = 1, .reservations = &reservation, .reservation_count = 1};
    return commit(c, &batch, 1);
}

/* The first has taken something when the put comes to nothing. */
static enum kw_status take_in_vain(struct contract *c)
{
    struct kw_store_reservation reservations[] = {contract_reservation(50, 5), contract_reservation(50, 7)};
    struct kw_store_put put = contract_put(c, 2, 0);
    struct kw_store_batch batches[] = {
        {.reservations = reservations, .reservation_count = 1},
        {.puts = &put, .put_count = 1, .reservations = &reservations[1], .reservation_count = 1},
    };
    return commit(c, batches, KW_COUNT_OF(batches));
}

static enum kw_status prune_reservations(struct contract *c)
{
    uint64_t removed = 0;
    return c->store->ops->reservations_prune(c->store, 999, 1, &removed);
}

static enum kw_status claim(struct contract *c)
{
    struct contract_events events = contract_events(c);
    return c->store->ops->events_claim(c->store, 0, 100, 2, contract_keep_event, &events);
}

static enum kw_status settle(struct contract *c)
{
    struct kw_id id = contract_id(1);
    enum kw_status status = c->store->ops->events_settle(c->store, &id);
    return status == KW_E_NOT_FOUND ? KW_OK : status;
}

static enum kw_status list_events(struct contract *c)
{
    struct contract_events events = contract_events(c);
    struct kw_store_event_filter filter = {.project = KW_BYTES("default"), .is_back = true, .limit = 2};
    return c->store->ops->events_list(c->store, &filter, contract_keep_event, &events);
}

static enum kw_status prune_events(struct contract *c)
{
    uint64_t removed = 0;
    return c->store->ops->events_prune(c->store, KW_BYTES("default"), 2, 1, &removed);
}

static enum kw_status prune(struct contract *c)
{
    uint64_t removed = 0;
    return c->store->ops->audit_prune(c->store, KW_BYTES("default"), 2, 1, &removed);
}

/* Of the line that pruning leaves, whose seal may be there or be put by another step. */
static enum kw_status sign_and_erase(struct contract *c)
{
    struct kw_store_checkpoint checkpoints[] = {{KW_BYTES("default"), 1, KW_BYTES("")},
                                                {KW_BYTES("default"), 2, KW_BYTES("signed")}};
    struct kw_store_erasure erasure = {.sequence = 2, .actor = true, .body = true, .seal = KW_BYTES("anew")};
    struct kw_store_batch batch = {
        .checkpoints = checkpoints, .checkpoint_count = 2, .erasures = &erasure, .erasure_count = 1};
    return commit(c, &batch, 1);
}

static enum kw_status request_again(struct contract *c)
{
    struct kw_store_put put = contract_put(c, 8, 0);
    struct kw_store_request requests[] = {contract_request(8, 8), contract_request(2, 8)};
    struct kw_store_batch batch = {.puts = &put, .put_count = 1, .requests = requests, .request_count = 2};
    return commit(c, &batch, 1);
}

static enum kw_status find_request(struct contract *c)
{
    struct kw_store_request wanted = contract_request(2, 2);
    struct kw_store_request found;
    return c->store->ops->request_find(c->store, wanted.name, &found);
}

static enum kw_status prune_requests(struct contract *c)
{
    uint64_t removed = 0;
    return c->store->ops->request_prune(c->store, 2, 1, &removed);
}

static const struct {
    enum kw_status (*run)(struct contract *c);
    bool is_single;
} steps[] = {
    /* clang-format off */
    {create_three, true},       {find, true},           {change_two, true},
    {conflict, true},           {add_use, true},        {take_some, true},
    {claim, true},              {list, true},           {several_batches, false},
    {add_use, true},            {settle, true},         {settle, true},
    {seal_lines, true},         {prune, true},          {take_in_vain, false},
    {one_more_setting, true},   {give_some_back, true}, {claim, true},
    {prune_reservations, true}, {take_some, true},      {request_again, true},
    {find_request, true},       {prune_requests, true}, {list_events, true},
    {prune_events, true},
    {defer_use, true},          {settle_use, true},
    {defer_use, true},          {settle_use, true},
    {sign_and_erase, true},
    /* clang-format on */
};
const size_t script_step_count = KW_COUNT_OF(steps);

enum kw_status script_step(struct contract *c, size_t step)
{
    return steps[step].run(c);
}

bool script_is_single(size_t step)
{
    return steps[step].is_single;
}

static enum kw_status draw_checkpoint(void *context, const struct kw_store_checkpoint *checkpoint)
{
    kw_buffer_add_format(context, "\ncheckpoint %" PRIu64 " '%.*s'", checkpoint->place, (int)checkpoint->bytes.size,
                         (const char *)checkpoint->bytes.data);
    return KW_OK;
}

static void draw_id(struct kw_buffer *buffer, const char *name, struct kw_id id)
{
    char hex[2 * sizeof id.bytes];
    kw_hex_encode(kw_bytes_of(id.bytes, sizeof id.bytes), hex);
    kw_buffer_add_format(buffer, " %s %.*s", name, (int)sizeof hex, hex);
}

static void draw_bytes(struct kw_buffer *buffer, const char *name, struct kw_bytes bytes)
{
    kw_buffer_add_format(buffer, " %s '", name);
    kw_buffer_add(buffer, bytes);
    kw_buffer_add_text(buffer, "'");
}

static enum kw_status draw_row(void *context, const struct kw_store_row *row)
{
    struct kw_buffer *buffer = context;
    kw_buffer_add_format(buffer, "\nrow sequence %" PRIu64 " version %" PRIu64 " erased %d scheme %d tags %u",
                         row->sequence, row->version, row->erased, row->digest_scheme, row->tags.count);
    draw_id(buffer, "id", row->id);
    draw_bytes(buffer, "digest", row->digest);
    draw_bytes(buffer, "project", row->project);
    draw_bytes(buffer, "env", row->env);
    draw_bytes(buffer, "owner", row->owner);
    draw_bytes(buffer, "org", row->org_id);
    draw_bytes(buffer, "tags", row->tags.packed);
    draw_bytes(buffer, "record", row->record);
    return kw_buffer_status(buffer);
}

static enum kw_status draw_audit(void *context, const struct kw_store_audit *audit)
{
    struct kw_buffer *buffer = context;
    kw_buffer_add_format(buffer, "\naudit sequence %" PRIu64 " at %" PRId64, audit->sequence, audit->at_ms);
    draw_id(buffer, "key", audit->key_id);
    draw_bytes(buffer, "context", audit->context);
    draw_bytes(buffer, "body", audit->body);
    draw_bytes(buffer, "seal", audit->seal);
    return kw_buffer_status(buffer);
}

static enum kw_status draw_event(void *context, const struct kw_store_event *event)
{
    struct kw_buffer *buffer = context;
    kw_buffer_add_format(buffer, "\nevent sequence %" PRIu64 " at %" PRId64 " attempts %u", event->sequence,
                         event->at_ms, event->attempts);
    draw_id(buffer, "id", event->id);
    draw_bytes(buffer, "body", event->body);
    return kw_buffer_status(buffer);
}

static enum kw_status draw_usage(void *context, const struct kw_store_usage *usage)
{
    struct kw_buffer *buffer = context;
    kw_buffer_add_format(buffer, "\nuse bucket %" PRId64 " amount %" PRId64, usage->bucket_start_ms, usage->amount);
    draw_id(buffer, "lineage", usage->lineage_id);
    draw_bytes(buffer, "value", usage->value);
    return kw_buffer_status(buffer);
}

static enum kw_status draw_deferred(void *context, const struct kw_store_deferred *piece)
{
    struct kw_buffer *buffer = context;
    kw_buffer_add_format(buffer, "\ndeferred part %u", piece->part);
    draw_bytes(buffer, "bytes", piece->bytes);
    return kw_buffer_status(buffer);
}

static void draw_all_deferred(struct contract *c, struct kw_buffer *buffer)
{
    uint64_t waiting = 0;
    CHECK_STATUS(c->t, c->store->ops->usage_deferred(c->store, 0, ALL, draw_deferred, buffer), KW_OK);
    CHECK_STATUS(c->t, c->store->ops->usage_deferred(c->store, 5, ALL, draw_deferred, buffer), KW_OK);
    CHECK_STATUS(c->t, c->store->ops->usage_defer(c->store, NULL, 0, &waiting), KW_OK);
    kw_buffer_add_format(buffer, "\ndeferred bytes %" PRIu64, waiting);
}

static enum kw_status draw_reservation(void *context, const struct kw_store_reservation *reservation)
{
    struct kw_buffer *buffer = context;
    kw_buffer_add_format(buffer, "\nreserved %" PRId64 " of %" PRId64 " until %" PRId64, reservation->taken,
                         reservation->period_start_ms, reservation->until_ms);
    draw_bytes(buffer, "name", reservation->name);
    return kw_buffer_status(buffer);
}

/* What pruning finds is what reading finds, though it goes another way. */
static void draw_reservations(struct contract *c, struct kw_buffer *buffer)
{
    struct kw_id id = contract_id(1);
    uint64_t removed = 0;
    CHECK_STATUS(c->t,
                 c->store->ops->reservations_read(c->store, &id, KW_BYTES("day"), INT64_MIN, draw_reservation, buffer),
                 KW_OK);
    for (int64_t before_ms = 997; before_ms <= 1001; before_ms++) {
        CHECK_STATUS(c->t, c->store->ops->reservations_prune(c->store, before_ms, ALL, &removed), KW_OK);
        kw_buffer_add_format(buffer, "\nended %" PRIu64, removed);
    }
}

static void draw_setting(struct contract *c, struct kw_buffer *buffer, const char *name)
{
    uint8_t value[64];
    size_t size = 0;
    enum kw_status status = c->store->ops->setting(c->store, kw_bytes_of_text(name), value, sizeof value, &size);
    kw_buffer_add_format(buffer, "\nsetting %s %s", name, kw_status_name(status));
    draw_bytes(buffer, "value", kw_bytes_of(value, status == KW_OK ? size : 0));
}

static void draw_requests(struct contract *c, struct kw_buffer *buffer)
{
    const uint64_t numbers[] = {1, 2, 8};
    for (size_t i = 0; i < KW_COUNT_OF(numbers); i++) {
        struct kw_store_request request = contract_request(numbers[i], 0);
        enum kw_status status = c->store->ops->request_find(c->store, request.name, &request);
        kw_buffer_add_format(buffer, "\nrequest %s at %" PRId64, kw_status_name(status), request.at_ms);
        draw_id(buffer, "key", request.key_id);
    }
}

/* Events that are claimed until later show only once the claim has run out. */
static void draw_events(struct contract *c, struct kw_buffer *buffer)
{
    const int64_t moments[] = {0, 100, INT64_MAX};
    const struct kw_store_event_filter all = {.limit = ALL};
    kw_buffer_add_text(buffer, "\nlog of events");
    CHECK_STATUS(c->t, c->store->ops->events_list(c->store, &all, draw_event, buffer), KW_OK);
    for (size_t i = 0; i < KW_COUNT_OF(moments); i++) {
        kw_buffer_add_format(buffer, "\nevents at %" PRId64, moments[i]);
        CHECK_STATUS(c->t, c->store->ops->events_claim(c->store, moments[i], INT64_MAX, ALL, draw_event, buffer),
                     KW_OK);
    }
}

struct kw_bytes script_picture(struct contract *c)
{
    const struct kw_store_ops *ops = c->store->ops;
    struct kw_store_filter everything = {.limit = ALL};
    struct kw_store_filter tagged = {
        .project = KW_BYTES("default"), .tags = &KW_BYTES("b"), .tag_count = 1, .limit = ALL};
    struct kw_store_filter of_org = {.project = KW_BYTES("default"), .org_id = KW_BYTES("acme"), .limit = ALL};
    struct kw_store_audit_filter lines = {.limit = ALL};
    struct kw_id lineages[] = {contract_id(1), contract_id(2)};
    struct kw_buffer buffer;
    uint64_t count = 0;
    kw_buffer_init(&buffer, PICTURE_MAX);
    CHECK_STATUS(c->t, ops->list(c->store, &everything, draw_row, &buffer), KW_OK);
    kw_buffer_add_text(&buffer, "\nchanges");
    CHECK_STATUS(c->t, ops->changes(c->store, 0, ALL, draw_row, &buffer), KW_OK);
    kw_buffer_add_text(&buffer, "\ntombstones");
    CHECK_STATUS(c->t, ops->tombstones(c->store, &(struct kw_id){{0}}, ALL, draw_row, &buffer), KW_OK);
    kw_buffer_add_text(&buffer, "\nby tag and organization");
    CHECK_STATUS(c->t, ops->list(c->store, &tagged, draw_row, &buffer), KW_OK);
    CHECK_STATUS(c->t, ops->list(c->store, &of_org, draw_row, &buffer), KW_OK);
    CHECK_STATUS(c->t, ops->count(c->store, KW_BYTES("default"), &count), KW_OK);
    CHECK_STATUS(c->t, ops->audit_query(c->store, &lines, draw_audit, &buffer), KW_OK);
    CHECK_STATUS(c->t, ops->audit_checkpoints(c->store, KW_BYTES("default"), 0, false, ALL, draw_checkpoint, &buffer),
                 KW_OK);
    draw_setting(c, &buffer, "one");
    draw_setting(c, &buffer, "two");
    draw_requests(c, &buffer);
    CHECK_STATUS(c->t, ops->usage_read(c->store, KW_BYTES(""), &lineages[0], INT64_MIN, INT64_MAX, draw_usage, &buffer),
                 KW_OK);
    CHECK_STATUS(c->t, ops->usage_read(c->store, KW_BYTES(""), &lineages[1], INT64_MIN, INT64_MAX, draw_usage, &buffer),
                 KW_OK);
    kw_buffer_add_format(&buffer, "\ncount %" PRIu64, count);
    draw_all_deferred(c, &buffer);
    draw_reservations(c, &buffer);
    draw_events(c, &buffer);
    CHECK_STATUS(c->t, kw_buffer_status(&buffer), KW_OK);
    struct kw_bytes picture = contract_copy(c, kw_buffer_bytes(&buffer));
    kw_buffer_deinit(&buffer);
    return picture;
}

struct kw_bytes *script_expectations(struct contract *c)
{
    struct kw_bytes *pictures = kw_arena_take_array(&c->arena, script_step_count + 1, sizeof *pictures);
    for (size_t count = 0; pictures != NULL && count <= script_step_count; count++) {
        struct contract sound;
        if (contract_begin(&sound, c->t, &contract_memory) && contract_open(&sound)) {
            for (size_t step = 0; step < count; step++) {
                CHECK_STATUS(c->t, script_step(&sound, step), KW_OK);
            }
            pictures[count] = contract_copy(c, script_picture(&sound));
        }
        contract_end(&sound);
    }
    return pictures;
}
