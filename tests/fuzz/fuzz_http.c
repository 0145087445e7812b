/*
 * HTTP streams: whatever pieces the bytes come in, the same requests come out, with the same bodies and the same
 * refusal. What comes out keeps the promises of server/call.h.
 */
#include "base/bytes.h"
#include "server/message.h"

#undef NDEBUG
#include <assert.h>

/* What came out, as bytes to compare. */
struct outcome {
    struct kw_buffer text;
    bool is_refused;
};

static void check_visible(struct kw_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        assert(bytes.data[i] > 0x20 && bytes.data[i] < 0x7f);
    }
}

static void take_request(struct outcome *outcome, const struct kw_message *message)
{
    assert(message->path.size > 0 && message->path.data[0] == '/');
    assert(message->path.size + message->query.size < KW_MESSAGE_LINE_MAX);
    assert(message->body.size <= KW_CALL_BODY_MAX);
    check_visible(message->path);
    check_visible(message->query);
    kw_buffer_add_format(&outcome->text, "%d %d %d ", (int)message->method, message->keep_alive, message->is_http10);
    kw_buffer_add(&outcome->text, message->path);
    kw_buffer_add(&outcome->text, KW_BYTES("?"));
    kw_buffer_add(&outcome->text, message->query);
    for (int i = 0; i < KW_FIELD_COUNT; i++) {
        struct kw_bytes value = message->fields[i];
        for (size_t at = 0; at < value.size; at++) {
            assert((value.data[at] >= 0x20 && value.data[at] != 0x7f) || value.data[at] == '\t');
        }
        kw_buffer_add_format(&outcome->text, " %d:", i);
        kw_buffer_add(&outcome->text, value);
    }
    kw_buffer_add_format(&outcome->text, " %zu:", message->body.size);
    kw_buffer_add(&outcome->text, message->body);
    kw_buffer_add(&outcome->text, KW_BYTES("\n"));
}

/* In random pieces of at most `piece_max` bytes; 0: in one. */
static void run(struct kw_message *message, struct kw_bytes stream, uint64_t seed, size_t piece_max,
                struct outcome *outcome)
{
    struct kw_message_parser parser = {0};
    size_t start = 0;
    size_t end = 0;
    kw_message_reset(message);
    while (end < stream.size && !outcome->is_refused) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t more = piece_max == 0 ? stream.size : 1 + (size_t)(seed >> 33) % piece_max;
        end = more > stream.size - end ? stream.size : end + more;
        enum kw_parse parsed;
        do {
            size_t taken;
            /* A copy of its own: nothing may be read beyond the piece, and nothing may point into it later. */
            size_t size = end - start;
            uint8_t *piece = malloc(size == 0 ? 1 : size);
            memcpy(piece, stream.data + start, size);
            parsed = kw_message_feed(&parser, message, kw_bytes_of(piece, size), &taken);
            free(piece);
            assert(taken <= size);
            start += taken;
            if (parsed == KW_PARSE_REQUEST) {
                take_request(outcome, message);
                kw_message_reset(message);
            } else if (parsed == KW_PARSE_REFUSED) {
                outcome->is_refused = true;
                kw_buffer_add_text(&outcome->text, kw_code_info(message->refusal)->name);
            }
        } while ((parsed == KW_PARSE_REQUEST || parsed == KW_PARSE_CONTINUE) && start < end);
    }
}

static void outcome_init(struct outcome *outcome)
{
    outcome->is_refused = false;
    kw_buffer_init(&outcome->text, SIZE_MAX / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t piece_maxima[] = {1, 3, 20, 200};
    struct kw_message *message = kw_alloc(1, sizeof *message);
    struct kw_bytes stream = kw_bytes_of(data, size);
    struct outcome whole;
    outcome_init(&whole);
    kw_message_init(message);
    run(message, stream, 0, 0, &whole);
    for (size_t i = 0; i < KW_COUNT_OF(piece_maxima); i++) {
        struct outcome pieces;
        outcome_init(&pieces);
        run(message, stream, size * 31 + (size > 0 ? data[size / 2] : 0), piece_maxima[i], &pieces);
        assert(whole.is_refused == pieces.is_refused);
        assert(kw_bytes_equal(kw_buffer_bytes(&whole.text), kw_buffer_bytes(&pieces.text)));
        kw_buffer_deinit(&pieces.text);
    }
    kw_buffer_deinit(&whole.text);
    kw_message_deinit(message);
    kw_free(message);
    return 0;
}
