#include "core/limit.h"

#include "base/time.h"

#include <assert.h>

#define RING (KW_LIMIT_BUCKET_COUNT - 2)
#define NOTE_FORM 1

static_assert(sizeof(struct kw_limit_state) <= 252,
              "with what the ledger keeps beside it a state fits its slot (engine/ledger_room.h)");
static_assert(KW_RATE_LIMIT_WINDOW_MS_MAX < UINT32_MAX, "the age of a bucket at the newest spending fits its low bits");
static_assert(KW_RATE_LIMIT_REQUESTS_MAX / KW_LIMIT_BUCKET_COUNT + 1 < 1 << 24, "what a bucket holds fits 24 bits");

static uint32_t bucket_cost_of(const struct kw_limit_state *state)
{
    return kw_limit_bucket_cost(state->requests);
}

/* Of a bucket between the oldest and the newest. */
static size_t place_of(const struct kw_limit_state *state, size_t bucket)
{
    size_t place = state->first + bucket - 1;
    return place < RING ? place : place - RING;
}

static uint32_t cost_of(const struct kw_limit_state *state, size_t bucket)
{
    return bucket + 1 == state->count ? state->newest_cost : bucket_cost_of(state);
}

static int64_t end_of(const struct kw_limit_state *state, size_t bucket)
{
    if (bucket + 1 == state->count) {
        return state->newest_ms;
    }
    uint32_t end = bucket == 0 ? state->oldest_end : state->inner_ends[place_of(state, bucket)];
    return state->newest_ms - (uint32_t)((uint32_t)state->newest_ms - end);
}

/* The clock, but never before what is written down. */
static int64_t time_of(const struct kw_limit_state *state, int64_t now_ms)
{
    return state->count > 0 && state->newest_ms > now_ms ? state->newest_ms : now_ms;
}

/* How many of the oldest buckets have left the window. */
static size_t count_expired(const struct kw_limit_state *state, int64_t window_ms, int64_t now_ms)
{
    int64_t time_ms = time_of(state, now_ms);
    if (state->count == 0 || time_ms - state->newest_ms >= window_ms) {
        return state->count;
    }
    size_t expired = 0;
    while (time_ms - end_of(state, expired) >= window_ms) { /* the newest has not */
        expired++;
    }
    return expired;
}

/* What the buckets from that one on hold. */
static uint64_t cost_from(const struct kw_limit_state *state, size_t bucket)
{
    return bucket >= state->count ? 0
                                  : (uint64_t)(state->count - bucket - 1) * bucket_cost_of(state) + state->newest_cost;
}

/* When as much has left the window that the cost fits; it is no more than the limit. */
static int64_t admits_at(const struct kw_limit_state *state, const struct kw_rate_limit *limit, uint32_t cost)
{
    uint64_t allowed = (uint64_t)(limit->requests - cost);
    size_t bucket = 0;
    while (cost_from(state, bucket + 1) > allowed) {
        bucket++;
    }
    return end_of(state, bucket) + limit->window_ms;
}

static struct kw_limit_answer look(const struct kw_limit_state *state, const struct kw_rate_limit *limit,
                                   int64_t now_ms, uint32_t cost, size_t expired)
{
    uint64_t requests = (uint64_t)limit->requests;
    uint64_t spent = cost_from(state, expired);
    struct kw_limit_answer answer = {
        .is_asked = true,
        .is_admitted = spent + cost <= requests,
        .is_never = cost > requests,
        .remaining = spent < requests ? (uint32_t)(requests - spent) : 0,
        .resets_at_ms = spent > 0 ? state->newest_ms + limit->window_ms : now_ms,
    };
    if (!answer.is_admitted && !answer.is_never) {
        answer.retry_after_ms = admits_at(state, limit, cost) - now_ms;
    }
    return answer;
}

struct kw_limit_answer kw_limit_look(const struct kw_limit_state *state, const struct kw_rate_limit *limit,
                                     int64_t now_ms, uint32_t cost)
{
    assert(cost > 0 && limit->requests > 0 && limit->window_ms > 0 && limit->window_ms <= KW_RATE_LIMIT_WINDOW_MS_MAX);
    return look(state, limit, now_ms, cost, count_expired(state, limit->window_ms, now_ms));
}

static void drop_oldest(struct kw_limit_state *state, size_t count)
{
    size_t left = state->count - count;
    if (count > 0 && left > 1) {
        state->oldest_end = state->inner_ends[place_of(state, count)];
        state->first = (uint8_t)place_of(state, count + 1);
    }
    state->count = left & 0x7fU;
}

/* Behind the newest, whose time is `newest_ms` no longer. */
static void open_bucket(struct kw_limit_state *state, uint32_t newest_end)
{
    assert(state->count < KW_LIMIT_BUCKET_COUNT);
    if (state->count == 1) {
        state->oldest_end = newest_end;
        state->first = 0;
    } else if (state->count > 1) {
        state->inner_ends[place_of(state, state->count - 1U)] = newest_end;
    }
    state->count++;
    state->newest_cost = 0;
}

/* Fills the newest bucket up, and as many further ones as it takes. The times of calls never fall. */
static void put(struct kw_limit_state *state, int64_t time_ms, uint32_t cost)
{
    uint32_t bucket_cost = bucket_cost_of(state);
    uint32_t newest_end = (uint32_t)state->newest_ms;
    while (cost > 0) {
        if (state->count == 0 || state->newest_cost == bucket_cost) {
            open_bucket(state, newest_end);
        }
        uint32_t room = bucket_cost - state->newest_cost;
        uint32_t part = cost < room ? cost : room;
        state->newest_cost = (state->newest_cost + part) & 0xffffffU;
        cost -= part;
        newest_end = (uint32_t)time_ms;
    }
    state->newest_ms = time_ms;
}

/*
 * Pours what is there into buckets of another cost, since the limit was changed. What is there and is yet to be put is
 * no more than the new limit, so it fits.
 */
static void change_buckets(struct kw_limit_state *state, uint32_t requests)
{
    struct kw_limit_state old = *state;
    state->requests = requests;
    state->count = 0;
    for (size_t bucket = 0; bucket < old.count; bucket++) {
        put(state, end_of(&old, bucket), cost_of(&old, bucket));
    }
}

static void spend(struct kw_limit_use *use, int64_t now_ms, uint32_t cost)
{
    struct kw_limit_state *state = use->state;
    drop_oldest(state, count_expired(state, use->limit->window_ms, now_ms));
    uint32_t requests = (uint32_t)use->limit->requests;
    if (bucket_cost_of(state) != kw_limit_bucket_cost(requests)) {
        change_buckets(state, requests);
    }
    state->requests = requests;
    put(state, time_of(state, now_ms), cost);
    use->answer.remaining -= cost;
    use->answer.resets_at_ms = state->newest_ms + use->limit->window_ms;
}

bool kw_limits_look(struct kw_limit_use *uses, size_t count, int64_t now_ms, uint32_t cost)
{
    bool is_admitted = true;
    for (size_t i = 0; i < count; i++) {
        uses[i].answer = kw_limit_look(uses[i].state, uses[i].limit, now_ms, cost);
        is_admitted = is_admitted && uses[i].answer.is_admitted;
    }
    return is_admitted;
}

void kw_limits_spend(struct kw_limit_use *uses, size_t count, int64_t now_ms, uint32_t cost)
{
    for (size_t i = 0; i < count; i++) {
        spend(&uses[i], now_ms, cost);
    }
}

bool kw_limits_take(struct kw_limit_use *uses, size_t count, int64_t now_ms, uint32_t cost)
{
    bool is_admitted = kw_limits_look(uses, count, now_ms, cost);
    if (is_admitted) {
        kw_limits_spend(uses, count, now_ms, cost);
    }
    return is_admitted;
}

bool kw_limit_is_idle(const struct kw_limit_state *state, const struct kw_rate_limit *limit, int64_t now_ms)
{
    return count_expired(state, limit->window_ms, now_ms) == state->count;
}

static uint8_t *write_number(uint8_t *to, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(number >> (8 * i));
    }
    return to + size;
}

static uint64_t read_number(const uint8_t **from, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number |= (uint64_t)(*from)[i] << (8 * i);
    }
    *from += size;
    return number;
}

#define NOTE_HEAD 30

static_assert(NOTE_HEAD + 4 * (KW_LIMIT_BUCKET_COUNT - 1) <= KW_LIMIT_NOTE_MAX, "every state fits");

size_t kw_limit_write(const struct kw_limit_state *state, const struct kw_rate_limit *limit, uint32_t reserve,
                      uint8_t note_out[KW_LIMIT_NOTE_MAX])
{
    uint8_t *to = write_number(note_out, NOTE_FORM, 1);
    to = write_number(to, (uint64_t)limit->requests, 4);
    to = write_number(to, (uint64_t)limit->window_ms, 4);
    to = write_number(to, reserve, 4);
    to = write_number(to, (uint64_t)state->newest_ms, 8);
    to = write_number(to, bucket_cost_of(state), 4);
    to = write_number(to, state->newest_cost, 4);
    to = write_number(to, state->count, 1);
    for (size_t bucket = 0; bucket + 1 < state->count; bucket++) {
        to = write_number(to, (uint32_t)end_of(state, bucket), 4);
    }
    return (size_t)(to - note_out);
}

static bool is_sound(const struct kw_limit_state *state, const struct kw_rate_limit *limit)
{
    return limit->requests > 0 && limit->requests <= KW_RATE_LIMIT_REQUESTS_MAX && limit->window_ms > 0 &&
           limit->window_ms <= KW_RATE_LIMIT_WINDOW_MS_MAX && (state->count == 0 || state->newest_cost > 0);
}

uint32_t kw_limit_note_window(struct kw_bytes note)
{
    const uint8_t *from = note.data;
    if (note.size < NOTE_HEAD || read_number(&from, 1) != NOTE_FORM) {
        return 0;
    }
    (void)read_number(&from, 4);
    return (uint32_t)read_number(&from, 4);
}

/* All of it, also beyond the limit, which may have been raised since it was written down. */
static void add_reserve(struct kw_limit_state *state, const struct kw_rate_limit *limit, int64_t spent_ms,
                        uint32_t reserve)
{
    int64_t spent = (int64_t)cost_from(state, count_expired(state, limit->window_ms, spent_ms));
    int64_t room = KW_RATE_LIMIT_REQUESTS_MAX - spent;
    int64_t cost = reserve < room ? reserve : room;
    struct kw_rate_limit raised = *limit;
    struct kw_limit_use use = {.limit = &raised, .state = state};
    raised.requests = spent + cost > limit->requests ? spent + cost : limit->requests;
    (void)(cost > 0 && kw_limits_take(&use, 1, spent_ms, (uint32_t)cost));
}

enum kw_status kw_limit_read(struct kw_bytes note, int64_t spent_ms, struct kw_limit_state *state_out)
{
    const uint8_t *from = note.data;
    if (note.size < NOTE_HEAD || read_number(&from, 1) != NOTE_FORM) {
        return KW_E_CORRUPT;
    }
    struct kw_limit_state state = {0};
    struct kw_rate_limit limit = {.requests = (int64_t)read_number(&from, 4)};
    limit.window_ms = (int64_t)read_number(&from, 4);
    uint32_t reserve = (uint32_t)read_number(&from, 4);
    int64_t newest_ms = (int64_t)read_number(&from, 8);
    uint64_t bucket_cost = read_number(&from, 4);
    uint64_t newest_cost = read_number(&from, 4);
    uint64_t count = read_number(&from, 1);
    size_t ends = count > 1 ? (size_t)count - 1 : 0;
    bool fits = newest_ms <= KW_TIME_MS_MAX && newest_ms >= -KW_TIME_MS_MAX && newest_cost <= bucket_cost &&
                bucket_cost <= kw_limit_bucket_cost(KW_RATE_LIMIT_REQUESTS_MAX) && count <= KW_LIMIT_BUCKET_COUNT;
    state.newest_ms = fits ? newest_ms : 0;
    state.newest_cost = newest_cost & 0xffffffU;
    state.count = count & 0x7fU;
    state.requests = fits && bucket_cost > 0 ? (uint32_t)(bucket_cost - 1) * KW_LIMIT_BUCKET_COUNT : 0;
    if (!fits || !is_sound(&state, &limit) || note.size != NOTE_HEAD + 4 * ends) {
        return KW_E_CORRUPT;
    }
    for (size_t bucket = 0; bucket < ends; bucket++) {
        uint32_t end = (uint32_t)read_number(&from, 4);
        *(bucket == 0 ? &state.oldest_end : &state.inner_ends[bucket - 1]) = end;
    }
    if (spent_ms != KW_LIMIT_UNSPENT) {
        add_reserve(&state, &limit, spent_ms, reserve);
    }
    *state_out = state;
    return KW_OK;
}
