#include "base/memory.h"

#include "support/test.h"

#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>

static bool all_bytes_are(const void *data, size_t size, uint8_t value)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != value) {
            return false;
        }
    }
    return true;
}

static void wiping_clears_all(struct test *t)
{
    uint8_t secret[100];
    memset(secret, 'k', sizeof secret);
    kw_wipe(secret + 1, sizeof secret - 2);
    CHECK(t, secret[0] == 'k' && secret[99] == 'k');
    CHECK(t, all_bytes_are(secret + 1, sizeof secret - 2, 0));
    kw_wipe(NULL, 0);
}

static void pieces_are_aligned_zeroed_and_apart(struct test *t)
{
    static uint8_t first[512];
    for (int round = 0; round < 200; round++) {
        size_t shift = test_random_below(t, 20);
        memset(first, 0xaa, sizeof first);
        struct kw_arena arena;
        kw_arena_init(&arena, first + shift, test_random_below(t, sizeof first - shift), 1 << 20);
        uint8_t *pieces[50];
        size_t sizes[50];
        for (size_t i = 0; i < KW_COUNT_OF(pieces); i++) {
            sizes[i] = test_random_below(t, i % 10 == 9 ? 9000 : 60);
            pieces[i] = kw_arena_take(&arena, sizes[i]);
            REQUIRE(t, pieces[i] != NULL);
            CHECK_I64(t, (uintptr_t)pieces[i] % alignof(max_align_t), 0);
            CHECK(t, all_bytes_are(pieces[i], sizes[i], 0));
            memset(pieces[i], (int)i + 1, sizes[i]);
        }
        for (size_t i = 0; i < KW_COUNT_OF(pieces); i++) {
            CHECK(t, all_bytes_are(pieces[i], sizes[i], (uint8_t)(i + 1)));
        }
        CHECK(t, arena.total <= arena.size_max);
        kw_arena_reset(&arena);
    }
}

static void the_first_block_is_used_before_the_heap(struct test *t)
{
    alignas(max_align_t) uint8_t first[64];
    struct kw_arena arena;
    kw_arena_init(&arena, first, sizeof first, 4096);
    kw_alloc_fail_after(1);
    uint8_t *a = kw_arena_take(&arena, 16);
    uint8_t *b = kw_arena_take(&arena, 48);
    void *c = kw_arena_take(&arena, 1);
    kw_alloc_fail_after(-1);
    CHECK(t, a == first && b == first + 16);
    CHECK(t, c == NULL);
    CHECK_STATUS(t, kw_arena_refusal(&arena, 1), KW_E_MEMORY);
    CHECK(t, kw_arena_take(&arena, 1) != NULL);
    kw_arena_reset(&arena);
}

static void an_arena_keeps_to_its_cap(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 100);
    CHECK(t, kw_arena_take(&arena, 101) == NULL);
    CHECK_STATUS(t, kw_arena_refusal(&arena, 101), KW_E_LIMIT);
    CHECK(t, kw_arena_take(&arena, 100) != NULL);
    CHECK(t, kw_arena_take(&arena, 1) == NULL);
    CHECK(t, kw_arena_take(&arena, SIZE_MAX) == NULL);
    kw_arena_reset(&arena);
    CHECK(t, kw_arena_take(&arena, 100) != NULL);
    kw_arena_reset(&arena);

    uint8_t first[64];
    kw_arena_init(&arena, first, sizeof first, 32);
    CHECK(t, kw_arena_take(&arena, 33) == NULL);
    kw_arena_reset(&arena);
    kw_arena_init(&arena, NULL, 0, 0);
    CHECK(t, kw_arena_take(&arena, 1) == NULL);
    kw_arena_reset(&arena);
}

static void the_cap_counts_all_blocks(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 100000);
    size_t taken = 0;
    while (kw_arena_take(&arena, 10) != NULL) {
        taken += 16;
    }
    CHECK(t, taken > 90000 && taken <= 100000);
    kw_arena_reset(&arena);
    kw_arena_init(&arena, NULL, 0, SIZE_MAX);
    CHECK(t, kw_arena_take(&arena, SIZE_MAX - 4) == NULL);
    CHECK(t, kw_arena_take(&arena, 5) != NULL);
    kw_arena_reset(&arena);
}

static void arrays_whose_size_overflows_are_refused(struct test *t)
{
    struct kw_arena arena;
    kw_arena_init(&arena, NULL, 0, 1 << 20);
    CHECK(t, kw_arena_take_array(&arena, SIZE_MAX / 8 + 2, 8) == NULL);
    CHECK(t, kw_arena_take_array(&arena, 8, SIZE_MAX / 8 + 2) == NULL);
    uint64_t *numbers = kw_arena_take_array(&arena, 1000, sizeof *numbers);
    REQUIRE(t, numbers != NULL);
    CHECK(t, all_bytes_are(numbers, 8000, 0));
    CHECK(t, kw_arena_take_array(&arena, 0, 8) != NULL);
    kw_arena_reset(&arena);
}

static void a_reset_wipes_and_gives_all_room_back(struct test *t)
{
    uint8_t first[256];
    struct kw_arena arena;
    for (size_t more = 0; more < 2; more++) {
        kw_arena_init(&arena, first, sizeof first, 4096);
        uint8_t *piece = kw_arena_take(&arena, 200);
        REQUIRE(t, piece != NULL);
        memset(piece, 's', 200);
        if (more) {
            REQUIRE(t, kw_arena_take(&arena, 1000) != NULL);
        }
        kw_arena_reset(&arena);
        CHECK(t, all_bytes_are(piece, 200, 0));
        CHECK_I64(t, arena.total, sizeof first);
        CHECK(t, kw_arena_take(&arena, 200) == piece);
        kw_arena_reset(&arena);
    }
    kw_arena_reset(NULL);
}

static void copies_are_copies(struct test *t)
{
    char text[] = "sk_live_1";
    struct kw_arena arena;
    struct kw_bytes copy = KW_BYTES("untouched");
    kw_arena_init(&arena, NULL, 0, 64);
    REQUIRE_OK(t, kw_arena_copy(&arena, kw_bytes_of_text(text), &copy));
    text[0] = '?';
    CHECK_BYTES(t, copy, KW_BYTES("sk_live_1"));
    CHECK_STATUS(t, kw_arena_copy(&arena, kw_bytes_of(text, 65), &copy), KW_E_LIMIT);
    CHECK_BYTES(t, copy, KW_BYTES("sk_live_1"));
    REQUIRE_OK(t, kw_arena_copy(&arena, KW_BYTES(""), &copy));
    CHECK(t, copy.size == 0 && copy.data != NULL);
    REQUIRE_OK(t, kw_arena_copy(&arena, (struct kw_bytes){NULL, 0}, &copy));
    CHECK(t, copy.size == 0 && copy.data == NULL);
    kw_arena_reset(&arena);
    kw_alloc_fail_after(1);
    CHECK_STATUS(t, kw_arena_copy(&arena, kw_bytes_of_text(text), &copy), KW_E_MEMORY);
    kw_alloc_fail_after(-1);
}

static void a_buffer_grows_to_its_cap_and_no_further(struct test *t)
{
    struct kw_buffer buffer;
    kw_buffer_init(&buffer, 1000);
    CHECK(t, buffer.data == NULL);
    for (int i = 0; i < 100; i++) {
        kw_buffer_add(&buffer, KW_BYTES("0123456789"));
    }
    REQUIRE_OK(t, kw_buffer_status(&buffer));
    CHECK_I64(t, buffer.size, 1000);
    CHECK(t, buffer.capacity <= 1000);
    kw_buffer_add_byte(&buffer, 'x');
    CHECK_STATUS(t, kw_buffer_status(&buffer), KW_E_LIMIT);
    CHECK_I64(t, buffer.size, 1000);
    kw_buffer_reset(&buffer);
    REQUIRE_OK(t, kw_buffer_status(&buffer));
    kw_buffer_add_text(&buffer, "again");
    CHECK_BYTES(t, kw_buffer_bytes(&buffer), KW_BYTES("again"));
    kw_buffer_deinit(&buffer);
    CHECK(t, buffer.data == NULL && buffer.size == 0 && buffer.size_max == 1000);
    kw_buffer_add_text(&buffer, "reborn");
    CHECK_BYTES(t, kw_buffer_bytes(&buffer), KW_BYTES("reborn"));
    kw_buffer_deinit(&buffer);
    kw_buffer_deinit(NULL);
}

static void a_write_that_does_not_fit_writes_nothing_and_ends_all(struct test *t)
{
    char memory[8] = "........";
    struct kw_buffer buffer;
    kw_buffer_init_fixed(&buffer, memory, 6);
    kw_buffer_add_text(&buffer, "abcd");
    kw_buffer_add_text(&buffer, "efg");
    CHECK_STATUS(t, kw_buffer_status(&buffer), KW_E_LIMIT);
    kw_buffer_add_text(&buffer, "e");
    kw_buffer_add_u64(&buffer, 1);
    kw_buffer_add_i64(&buffer, -1);
    kw_buffer_add_format(&buffer, "%d", 1);
    CHECK(t, kw_buffer_reserve(&buffer, 0) == NULL);
    CHECK_BYTES(t, kw_buffer_bytes(&buffer), KW_BYTES("abcd"));
    CHECK_BYTES(t, kw_bytes_of(memory + 4, 4), KW_BYTES("...."));
    kw_buffer_reset(&buffer);
    kw_buffer_add_text(&buffer, "abcdef");
    REQUIRE_OK(t, kw_buffer_status(&buffer));
    kw_buffer_add(&buffer, (struct kw_bytes){NULL, 0});
    REQUIRE_OK(t, kw_buffer_status(&buffer));
    kw_buffer_add_i64(&buffer, -5);
    CHECK_BYTES(t, kw_buffer_bytes(&buffer), KW_BYTES("abcdef"));
    kw_buffer_deinit(&buffer);
    CHECK(t, buffer.data == (uint8_t *)memory && buffer.size == 0);
    kw_buffer_init_fixed(&buffer, NULL, 0);
    CHECK(t, kw_buffer_reserve(&buffer, 0) == NULL);
    CHECK_STATUS(t, kw_buffer_status(&buffer), KW_E_LIMIT);
}

static void growing_is_geometric(struct test *t)
{
    struct kw_buffer buffer;
    kw_buffer_init(&buffer, 1 << 24);
    int moves = 0;
    size_t capacity = 0;
    for (int i = 0; i < 1 << 20; i++) {
        kw_buffer_add_byte(&buffer, 'x');
        moves += buffer.capacity != capacity;
        capacity = buffer.capacity;
    }
    CHECK(t, moves <= 20);
    CHECK(t, capacity <= 2 << 20);
    CHECK(t, all_bytes_are(buffer.data, buffer.size, 'x'));
    kw_buffer_deinit(&buffer);
}

static void reserved_room_is_the_callers_to_fill(struct test *t)
{
    struct kw_buffer buffer;
    kw_buffer_init(&buffer, 100);
    uint8_t *room = kw_buffer_reserve(&buffer, 100);
    REQUIRE(t, room != NULL);
    memset(room, 'r', 100);
    buffer.size += 3;
    CHECK_BYTES(t, kw_buffer_bytes(&buffer), KW_BYTES("rrr"));
    CHECK(t, kw_buffer_reserve(&buffer, 98) == NULL);
    CHECK_STATUS(t, kw_buffer_status(&buffer), KW_E_LIMIT);
    kw_buffer_reset(&buffer);
    CHECK(t, kw_buffer_reserve(&buffer, SIZE_MAX) == NULL);
    kw_buffer_deinit(&buffer);
    CHECK(t, kw_buffer_reserve(&buffer, 0) != NULL);
    kw_buffer_deinit(&buffer);
}

static void memory_that_runs_out_is_told_from_the_cap(struct test *t)
{
    struct kw_buffer buffer;
    kw_buffer_init(&buffer, 1 << 20);
    kw_buffer_add_text(&buffer, "kept");
    kw_alloc_fail_after(1);
    kw_buffer_add(&buffer, kw_bytes_of("", 1));
    for (int i = 0; i < 100; i++) {
        kw_buffer_add_text(&buffer, "more");
    }
    kw_alloc_fail_after(-1);
    CHECK_STATUS(t, kw_buffer_status(&buffer), KW_E_MEMORY);
    CHECK(t, kw_bytes_starts_with(kw_buffer_bytes(&buffer), KW_BYTES("kept")));
    kw_buffer_deinit(&buffer);
}

static void secrets_are_wiped_when_emptied(struct test *t)
{
    struct kw_buffer buffer;
    kw_buffer_init_secret(&buffer, 4096);
    for (int i = 0; i < 300; i++) {
        kw_buffer_add_text(&buffer, "secret");
    }
    REQUIRE_OK(t, kw_buffer_status(&buffer));
    CHECK_I64(t, buffer.size, 1800);
    CHECK(t, kw_bytes_starts_with(kw_bytes_skip(kw_buffer_bytes(&buffer), 1794), KW_BYTES("secret")));
    size_t size = buffer.size;
    kw_buffer_reset(&buffer);
    CHECK(t, all_bytes_are(buffer.data, size, 0));
    kw_buffer_deinit(&buffer);
    CHECK(t, buffer.secret);
}

static void numbers_are_written_in_decimal(struct test *t)
{
    static const uint64_t edges[] = {0, 9, 10, 99, 100, 999, 1000, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    for (int i = 0; i < 100000 && t->failures == 0; i++) {
        uint64_t value = (size_t)i < KW_COUNT_OF(edges) ? edges[i] : test_random(t) >> test_random_below(t, 64);
        uint8_t memory[64];
        char expected[64];
        struct kw_buffer buffer;
        kw_buffer_init_fixed(&buffer, memory, sizeof memory);
        kw_buffer_add_u64(&buffer, value);
        kw_buffer_add_byte(&buffer, ' ');
        kw_buffer_add_i64(&buffer, (int64_t)value);
        kw_buffer_add_byte(&buffer, ' ');
        kw_buffer_add_i64(&buffer, (int64_t)-value);
        snprintf(expected, sizeof expected, "%" PRIu64 " %" PRId64 " %" PRId64, value, (int64_t)value, (int64_t)-value);
        CHECK_BYTES(t, kw_buffer_bytes(&buffer), kw_bytes_of_text(expected));
    }
}

static void formatted_text_has_any_length(struct test *t)
{
    for (int width = 1; width <= 600; width++) {
        uint8_t memory[600];
        char expected[601];
        struct kw_buffer buffer;
        kw_buffer_init_fixed(&buffer, memory, (size_t)width);
        kw_buffer_add_format(&buffer, "%*d", width, 7);
        snprintf(expected, sizeof expected, "%*d", width, 7);
        CHECK_BYTES(t, kw_buffer_bytes(&buffer), kw_bytes_of_text(expected));
        kw_buffer_init_fixed(&buffer, memory, (size_t)width - 1);
        kw_buffer_add_format(&buffer, "%*d", width, 7);
        CHECK_STATUS(t, kw_buffer_status(&buffer), KW_E_LIMIT);
        CHECK_I64(t, buffer.size, 0);
    }
    struct kw_buffer buffer;
    kw_buffer_init(&buffer, 10000);
    REQUIRE(t, kw_buffer_reserve(&buffer, 1000) != NULL);
    kw_alloc_fail_after(1);
    kw_buffer_add_format(&buffer, "%500d", 7);
    kw_alloc_fail_after(-1);
    CHECK_STATUS(t, kw_buffer_status(&buffer), KW_E_MEMORY);
    kw_buffer_deinit(&buffer);
}

static void the_chosen_allocation_fails_and_all_after_it(struct test *t)
{
    for (int64_t count = 0; count < 5; count++) {
        kw_alloc_fail_after(count);
        for (int64_t i = 1; i < 8; i++) {
            bool expected = i < count;
            void *memory = i % 2 == 0 ? kw_alloc(1, 8) : kw_realloc(NULL, 8);
            CHECK(t, (memory != NULL) == expected);
            kw_free(memory);
        }
    }
    kw_alloc_fail_after(-1);
    uint8_t *memory = kw_alloc(3, 7);
    REQUIRE(t, memory != NULL);
    CHECK(t, all_bytes_are(memory, 21, 0));
    kw_free(memory);
    memory = kw_alloc(0, 7);
    CHECK(t, memory != NULL);
    kw_free(memory);
    volatile size_t much = SIZE_MAX / 2;
    CHECK(t, kw_alloc(much, 4) == NULL);
    kw_free(NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(wiping_clears_all),
        TEST_CASE(pieces_are_aligned_zeroed_and_apart),
        TEST_CASE(the_first_block_is_used_before_the_heap),
        TEST_CASE(an_arena_keeps_to_its_cap),
        TEST_CASE(the_cap_counts_all_blocks),
        TEST_CASE(arrays_whose_size_overflows_are_refused),
        TEST_CASE(a_reset_wipes_and_gives_all_room_back),
        TEST_CASE(copies_are_copies),
        TEST_CASE(a_buffer_grows_to_its_cap_and_no_further),
        TEST_CASE(a_write_that_does_not_fit_writes_nothing_and_ends_all),
        TEST_CASE(growing_is_geometric),
        TEST_CASE(reserved_room_is_the_callers_to_fill),
        TEST_CASE(memory_that_runs_out_is_told_from_the_cap),
        TEST_CASE(secrets_are_wiped_when_emptied),
        TEST_CASE(numbers_are_written_in_decimal),
        TEST_CASE(formatted_text_has_any_length),
        TEST_CASE(the_chosen_allocation_fails_and_all_after_it),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
