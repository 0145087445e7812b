#include "base/bytes.h"
#include "server/message.h"
#include "support/test.h"

#include <stdio.h>

#define INPUT_MAX (256 * 1024)
#define LOG_MAX (64 * 1024)

/* What came out of a stream, as text. */
struct outcome {
    struct kw_buffer log;
    char text[LOG_MAX];
    unsigned requests;
    enum kw_code refusal;
    bool is_refused;
};

static void note_request(struct outcome *outcome, const struct kw_message *message)
{
    outcome->requests++;
    kw_buffer_add_format(&outcome->log, "%d %.*s ?%.*s %zu %.*s keep=%d old=%d", (int)message->method,
                         (int)message->path.size, (const char *)message->path.data, (int)message->query.size,
                         (const char *)message->query.data, message->body.size,
                         message->body.size < 100 ? (int)message->body.size : 100, (const char *)message->body.data,
                         message->keep_alive, message->is_http10);
    for (int i = 0; i < KW_HEADER_COUNT; i++) {
        kw_buffer_add_format(&outcome->log, " %d=%.*s", i, (int)message->fields[i].size,
                             (const char *)message->fields[i].data);
    }
    kw_buffer_add_format(&outcome->log, "\n");
}

/*
 * Feeds a stream as a connection does: bytes that were not taken come again with more behind them. `step` says how many
 * more each time; 0: random.
 */
static void feed(struct test *t, struct kw_bytes stream, size_t step, struct outcome *outcome)
{
    struct kw_message *message = kw_alloc(1, sizeof *message);
    struct kw_message_parser parser = {0};
    size_t start = 0;
    size_t end = 0;
    kw_buffer_init_fixed(&outcome->log, outcome->text, LOG_MAX - 1);
    outcome->requests = 0;
    outcome->is_refused = false;
    outcome->refusal = KW_CODE_NONE;
    kw_message_init(message);
    while (end < stream.size && !outcome->is_refused) {
        size_t more = step != 0 ? step : 1 + (size_t)test_random_below(t, 40);
        end = end + more > stream.size ? stream.size : end + more;
        for (;;) {
            size_t taken;
            enum kw_parse parsed =
                kw_message_feed(&parser, message, kw_bytes_of(stream.data + start, end - start), &taken);
            start += taken;
            if (parsed == KW_PARSE_REQUEST) {
                note_request(outcome, message);
                kw_message_reset(message);
            } else if (parsed == KW_PARSE_REFUSED) {
                outcome->is_refused = true;
                outcome->refusal = message->refusal;
                kw_buffer_add_format(&outcome->log, "refused: %s: %s\n", kw_code_info(message->refusal)->name,
                                     message->reason);
                break;
            } else if (parsed == KW_PARSE_MORE) {
                break;
            }
            if (start == end) {
                break;
            }
        }
    }
    outcome->text[outcome->log.size] = '\0';
    kw_message_deinit(message);
    kw_free(message);
}

struct refusal_case {
    const char *name;
    struct kw_bytes stream;
    enum kw_code refusal;
};

#define HOST "Host: a\r\n"
#define REFUSED(name, text) \
    { \
        name, {(const uint8_t *)(text), sizeof(text) - 1}, KW_CODE_INVALID_REQUEST \
    }

static const struct refusal_case refusals[] = {
    REFUSED("two lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
    REFUSED("two lengths that differ", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\naa"),
    REFUSED("a list of lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\na"),
    REFUSED("length and chunks",
            "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    REFUSED("chunks and length",
            "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    REFUSED("signed length", "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\na"),
    REFUSED("negative length", "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\na"),
    REFUSED("empty length", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"),
    REFUSED("hexadecimal length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\na"),
    REFUSED("endless length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\na"),
    REFUSED("gzip, chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    REFUSED("chunked, chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    REFUSED("chunked twice",
            "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    REFUSED("identity", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n"),
    REFUSED("xchunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    REFUSED("quoted chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    REFUSED("chunked with a tab", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n"),
    REFUSED("empty encoding", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n"),
    REFUSED("chunks in 1.0", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    REFUSED("space before the colon", "POST / HTTP/1.1\r\n" HOST "Content-Length : 1\r\n\r\na"),
    REFUSED("tab before the colon", "GET / HTTP/1.1\r\n" HOST "X\t: 1\r\n\r\n"),
    REFUSED("folded", "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n"),
    REFUSED("folded with a tab", "GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n"),
    REFUSED("folded before the first", "GET / HTTP/1.1\r\n " HOST "\r\n"),
    REFUSED("empty value folded", "GET / HTTP/1.1\r\n" HOST "X:\r\n b\r\n\r\n"),
    REFUSED("bare CR in a value", "GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n"),
    REFUSED("bare CR before a value", "GET / HTTP/1.1\r\n" HOST "X: \rb\r\n\r\n"),
    REFUSED("bare CR in a name", "GET / HTTP/1.1\r\n" HOST "X\rY: b\r\n\r\n"),
    REFUSED("CR CR LF", "GET / HTTP/1.1\r\n" HOST "X: b\r\r\n\r\n"),
    REFUSED("LF alone", "GET / HTTP/1.1\n" HOST "\r\n"),
    REFUSED("LF alone after a header", "GET / HTTP/1.1\r\nHost: a\n\r\n"),
    REFUSED("LF alone at the end", "GET / HTTP/1.1\r\n" HOST "\n"),
    REFUSED("NUL in a value", "GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n"),
    REFUSED("NUL in a name", "GET / HTTP/1.1\r\n" HOST "X\0: a\r\n\r\n"),
    REFUSED("NUL in the target", "GET /\0 HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED("DEL in a value", "GET / HTTP/1.1\r\n" HOST "X: \x7f\r\n\r\n"),
    REFUSED("escape in a value", "GET / HTTP/1.1\r\n" HOST "X: \x1b\r\n\r\n"),
    REFUSED("no name", "GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n"),
    REFUSED("no colon", "GET / HTTP/1.1\r\n" HOST "X\r\n\r\n"),
    REFUSED("no host", "GET / HTTP/1.1\r\n\r\n"),
    REFUSED("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    REFUSED("two hosts in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nhOST: b\r\n\r\n"),
    REFUSED("empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    REFUSED("host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    REFUSED("host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    REFUSED("list of hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    REFUSED("host with a bad port", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"),
    REFUSED("two authorizations", "GET / HTTP/1.1\r\n" HOST "Authorization: a\r\nauthorization: b\r\n\r\n"),
    REFUSED("other expectation", "GET / HTTP/1.1\r\n" HOST "Expect: 200-maybe\r\n\r\n"),
    REFUSED("whole address", "GET http://a/ HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED("authority", "CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED("asterisk", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED("fragment", "GET /#a HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED("two spaces", "GET  / HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED("space behind the version", "GET / HTTP/1.1 \r\n" HOST "\r\n"),
    REFUSED("tab for a space", "GET\t/ HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED("space in the target", "GET /a b HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED("beyond ASCII in the target", "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED("HTTP/0.9", "GET /\r\n"
                        "\r\n"),
    REFUSED("HTTP/2.0", "GET / HTTP/2.0\r\n" HOST "\r\n"),
    REFUSED("HTTP/1.2", "GET / HTTP/1.2\r\n" HOST "\r\n"),
    REFUSED("http/1.1", "GET / http/1.1\r\n" HOST "\r\n"),
    REFUSED("RTSP", "SETUP / RTSP/1.0\r\n" HOST "\r\n"),
    REFUSED("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    REFUSED("unknown method", "FROB / HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED("small letters", "get / HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    REFUSED("two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED("LF first", "\nGET / HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED("a chunk without a size", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n\r\n"),
    REFUSED("a chunk of size x", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nx\r\n"),
    REFUSED("a chunk of size -1", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n-1\r\n"),
    REFUSED("a chunk of size 0x1", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n"),
    REFUSED("space behind a chunk's size", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n"),
    REFUSED("LF behind a chunk's size", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\na\r\n"),
    REFUSED("LF behind a chunk", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n"),
    REFUSED("a chunk too long", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n"),
    REFUSED("a chunk of 2^64", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n"),
    REFUSED("LF after the last chunk", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\n"),
    REFUSED("LF in a trailer", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\n\r\n"),
    REFUSED("folded trailer", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n b\r\n\r\n"),
    {"a large length",
     {(const uint8_t *)"POST / HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n", 53},
     KW_CODE_BODY_TOO_LARGE},
    {"a large chunk",
     {(const uint8_t *)"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n100001\r\n", 64},
     KW_CODE_BODY_TOO_LARGE},
};

static void doubtful_requests_are_refused(struct test *t)
{
    struct outcome *outcome = kw_alloc(1, sizeof *outcome);
    struct outcome *pieces = kw_alloc(1, sizeof *pieces);
    for (size_t i = 0; i < KW_COUNT_OF(refusals); i++) {
        const struct refusal_case *one = &refusals[i];
        feed(t, one->stream, one->stream.size, outcome);
        if (!outcome->is_refused || outcome->refusal != one->refusal || outcome->requests != 0) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", one->name, outcome->log.size == 0 ? "waits" : outcome->text);
        }
        feed(t, one->stream, 1, pieces);
        if (strcmp(outcome->text, pieces->text) != 0) {
            test_fail(t, __FILE__, __LINE__, "%s, byte by byte: %s", one->name, pieces->text);
        }
    }
    kw_free(outcome);
    kw_free(pieces);
}

static const char stream_text[] =
    "GET /a?b=c HTTP/1.1\r\nHost: example.com:80\r\nUser-Agent:  me \t\r\nX-Other: x\r\n\r\n"
    "POST /b HTTP/1.1\r\nhost: [::1]:1\r\ncontent-length: 5\r\nContent-Type: a/b\r\n\r\nhello"
    "\r\n"
    "PUT /c HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: Chunked\r\nIf-Match: \"1\"\r\n\r\n"
    "5;name=value\r\nhello\r\n0000A;x;y\r\n, world...\r\n0\r\nX-Trailer: t\r\nHost: b\r\n\r\n"
    "PATCH /d HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
    "Transfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n"
    "DELETE /e? HTTP/1.1\r\nHost: a\r\nX-Api-Key:\r\nContent-Length: 0\r\n\r\n"
    "OPTIONS /f HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    "HEAD /g HTTP/1.0\r\n\r\n"
    "GET /h HTTP/1.1\r\nHost: a\r\nConnection: Close\r\nExpect: 100-Continue\r\n\r\n"
    "TRACE /i HTTP/1.1\r\nHost: a\r\nX-Request-Id: \xc3\xa4\r\n\r\n";

static const char stream_outcome[] = "0 /a ?b=c 0  keep=1 old=0 0= 1= 2= 3= 4= 5= 6= 7=me 8=\n"
                                     "2 /b ? 5 hello keep=1 old=0 0= 1= 2= 3=a/b 4= 5= 6= 7= 8=\n"
                                     "3 /c ? 15 hello, world... keep=1 old=0 0= 1= 2= 3= 4=\"1\" 5= 6= 7= 8=\n"
                                     "4 /d ? 1 z keep=1 old=0 0= 1= 2= 3= 4= 5= 6= 7= 8=\n"
                                     "5 /e ? 0  keep=1 old=0 0= 1= 2= 3= 4= 5= 6= 7= 8=\n"
                                     "6 /f ? 0  keep=1 old=1 0= 1= 2= 3= 4= 5= 6= 7= 8=\n"
                                     "1 /g ? 0  keep=0 old=1 0= 1= 2= 3= 4= 5= 6= 7= 8=\n"
                                     "0 /h ? 0  keep=0 old=0 0= 1= 2= 3= 4= 5= 6= 7= 8=\n"
                                     "7 /i ? 0  keep=1 old=0 0= 1= 2= 3= 4= 5= 6=\xc3\xa4 7= 8=\n";

static void pieces_change_nothing(struct test *t)
{
    struct outcome *outcome = kw_alloc(1, sizeof *outcome);
    struct kw_bytes stream = KW_BYTES(stream_text);
    for (size_t step = 0; step <= stream.size && t->failures == 0; step++) {
        feed(t, stream, step, outcome);
        CHECK_TEXT(t, outcome->text, stream_outcome);
    }
    for (int i = 0; i < 500 && t->failures == 0; i++) {
        feed(t, stream, 0, outcome);
        CHECK_TEXT(t, outcome->text, stream_outcome);
    }
    kw_free(outcome);
}

/* `count` times `byte` between two texts. */
static struct kw_bytes padded(uint8_t *memory, const char *before, size_t count, uint8_t byte, const char *after)
{
    size_t at = strlen(before);
    memcpy(memory, before, at);
    memset(memory + at, byte, count);
    memcpy(memory + at + count, after, strlen(after));
    return kw_bytes_of(memory, at + count + strlen(after));
}

/* What becomes of a stream, whole, in pieces of 1000 bytes, and in random pieces: a code, or the requests. */
static enum kw_code refusal_of(struct test *t, struct kw_bytes stream)
{
    struct outcome *outcome = kw_alloc(1, sizeof *outcome);
    enum kw_code codes[3];
    static const size_t steps[] = {INPUT_MAX, 1000, 0};
    for (size_t i = 0; i < KW_COUNT_OF(steps); i++) {
        feed(t, stream, steps[i], outcome);
        codes[i] = outcome->refusal;
        CHECK(t, outcome->is_refused || outcome->requests == 1);
    }
    CHECK(t, codes[0] == codes[1] && codes[1] == codes[2]);
    kw_free(outcome);
    return codes[0];
}

static void limits_are_exact(struct test *t)
{
    uint8_t *memory = kw_alloc(1, INPUT_MAX);
    const char *end = " HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t line_rest = strlen("GET /") + strlen(" HTTP/1.1");
    CHECK_I64(t, refusal_of(t, padded(memory, "GET /", KW_MESSAGE_LINE_MAX - line_rest, 'a', end)), KW_CODE_NONE);
    CHECK_I64(t, refusal_of(t, padded(memory, "GET /", KW_MESSAGE_LINE_MAX - line_rest + 1, 'a', end)),
              KW_CODE_URI_TOO_LONG);
    CHECK_I64(t, refusal_of(t, padded(memory, "GET /", 100000, 'a', end)), KW_CODE_URI_TOO_LONG);
    const char *head = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    CHECK_I64(t, refusal_of(t, padded(memory, head, KW_MESSAGE_HEAD_MAX - strlen(head) - 2, 'a', "\r\n\r\n")),
              KW_CODE_NONE);
    CHECK_I64(t, refusal_of(t, padded(memory, head, KW_MESSAGE_HEAD_MAX - strlen(head) + 1, 'a', "\r\n\r\n")),
              KW_CODE_HEADERS_TOO_LARGE);
    CHECK_I64(t, refusal_of(t, padded(memory, head, 100000, '\t', "\r\n\r\n")), KW_CODE_HEADERS_TOO_LARGE);
    const char *chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    CHECK_I64(t, refusal_of(t, padded(memory, chunked, 100000, '0', "\r\n\r\n")), KW_CODE_NONE);
    char extended[100];
    snprintf(extended, sizeof extended, "%s1;a=", chunked);
    CHECK_I64(t, refusal_of(t, padded(memory, extended, 4000, 'a', "\r\na\r\n0\r\n\r\n")), KW_CODE_NONE);
    CHECK_I64(t, refusal_of(t, padded(memory, extended, 5000, 'a', "\r\na\r\n0\r\n\r\n")), KW_CODE_INVALID_REQUEST);
    snprintf(extended, sizeof extended, "%s0\r\nX: ", chunked);
    CHECK_I64(t, refusal_of(t, padded(memory, extended, 8000, 'a', "\r\n\r\n")), KW_CODE_NONE);
    CHECK_I64(t, refusal_of(t, padded(memory, extended, 9000, 'a', "\r\n\r\n")), KW_CODE_HEADERS_TOO_LARGE);
    kw_free(memory);
}

static void headers_are_counted(struct test *t)
{
    for (unsigned count = KW_MESSAGE_HEADERS_MAX; count <= KW_MESSAGE_HEADERS_MAX + 1; count++) {
        struct kw_buffer stream;
        kw_buffer_init(&stream, INPUT_MAX);
        kw_buffer_add_text(&stream, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (unsigned i = 1; i < count; i++) {
            kw_buffer_add_format(&stream, "X-%u: a\r\n", i);
        }
        kw_buffer_add_text(&stream, "\r\n");
        CHECK_I64(t, refusal_of(t, kw_buffer_bytes(&stream)),
                  count <= KW_MESSAGE_HEADERS_MAX ? KW_CODE_NONE : KW_CODE_HEADERS_TOO_LARGE);
        kw_buffer_deinit(&stream);
    }
}

static void large_bodies_arrive_whole(struct test *t)
{
    struct outcome *outcome = kw_alloc(1, sizeof *outcome);
    struct kw_buffer stream;
    kw_buffer_init(&stream, 16 * KW_CALL_BODY_MAX);
    kw_buffer_add_format(&stream, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", KW_CALL_BODY_MAX);
    for (size_t i = 0; i < KW_CALL_BODY_MAX; i++) {
        kw_buffer_add_byte(&stream, (uint8_t)i);
    }
    kw_buffer_add_text(&stream, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < KW_CALL_BODY_MAX; i++) {
        kw_buffer_add_text(&stream, "1\r\na\r\n");
    }
    kw_buffer_add_text(&stream, "0\r\n\r\n");
    feed(t, kw_buffer_bytes(&stream), 65536, outcome);
    CHECK_I64(t, outcome->requests, 2);
    CHECK(t, strstr(outcome->text, "? 1048576 ") != NULL);
    kw_buffer_reset(&stream);
    kw_buffer_add_text(&stream, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < 9; i++) {
        size_t size = 1024 * 1024;
        uint8_t *zeros = kw_buffer_reserve(&stream, size);
        REQUIRE(t, zeros != NULL);
        memset(zeros, '0', size);
        stream.size += size;
    }
    feed(t, kw_buffer_bytes(&stream), 65536, outcome);
    CHECK_I64(t, outcome->refusal, KW_CODE_BODY_TOO_LARGE);
    kw_buffer_deinit(&stream);
    kw_free(outcome);
}

static void waiting_clients_are_told_once(struct test *t)
{
    struct kw_message *message = kw_alloc(1, sizeof *message);
    struct kw_message_parser parser = {0};
    struct kw_bytes head = KW_BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    size_t taken;
    kw_message_init(message);
    CHECK_I64(t, kw_message_feed(&parser, message, head, &taken), KW_PARSE_CONTINUE);
    CHECK_I64(t, (int64_t)taken, (int64_t)head.size);
    CHECK_I64(t, kw_message_feed(&parser, message, KW_BYTES("a"), &taken), KW_PARSE_MORE);
    CHECK_I64(t, kw_message_feed(&parser, message, KW_BYTES("b"), &taken), KW_PARSE_REQUEST);
    CHECK_BYTES(t, message->body, KW_BYTES("ab"));
    kw_message_reset(message);
    struct kw_bytes whole =
        KW_BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\na");
    CHECK_I64(t, kw_message_feed(&parser, message, whole, &taken), KW_PARSE_MORE);
    kw_message_deinit(message);
    kw_free(message);
}

static void a_reset_leaves_nothing(struct test *t)
{
    struct kw_message *message = kw_alloc(1, sizeof *message);
    struct kw_message_parser parser = {0};
    struct kw_bytes stream = KW_BYTES("POST /canary HTTP/1.1\r\nHost: a\r\nX-Api-Key: canary\r\nContent-Length: "
                                      "6\r\n\r\ncanary");
    size_t taken;
    kw_message_init(message);
    CHECK_I64(t, kw_message_feed(&parser, message, stream, &taken), KW_PARSE_REQUEST);
    kw_message_reset(message);
    CHECK(t, memmem(message, sizeof *message, "canary", 6) == NULL);
    CHECK(t, memmem(message->body_buffer.data, message->body_buffer.capacity, "canary", 6) == NULL);
    kw_message_deinit(message);
    kw_free(message);
}

/* Proxies add headers of their own: all of one name are kept, the last where there are many, none for the next request.
 */
static void forwarded_headers_follow_each_other(struct test *t)
{
    struct kw_message *message = kw_alloc(1, sizeof *message);
    struct kw_message_parser parser = {0};
    const struct kw_forwarded *forwarded = &message->forwarded;
    size_t taken;
    kw_message_init(message);
    struct kw_bytes three = KW_BYTES("GET / HTTP/1.1\r\nX-Forwarded-For: a, b\r\nHost: a\r\nx-forwarded-FOR:\r\n"
                                     "X-Forwarded-For: c \t\r\nX-Forwarded-Fox: d\r\nX-Forwarded-By: e\r\n\r\n");
    CHECK_I64(t, kw_message_feed(&parser, message, three, &taken), KW_PARSE_REQUEST);
    REQUIRE(t, forwarded->count == 3);
    CHECK_BYTES(t, forwarded->lines[0], KW_BYTES("a, b"));
    CHECK_I64(t, (int64_t)forwarded->lines[1].size, 0);
    CHECK(t, kw_bytes_starts_with(forwarded->lines[2], KW_BYTES("c"))); /* whoever reads it takes the spaces off */
    kw_message_reset(message);
    CHECK_I64(t, kw_message_feed(&parser, message, KW_BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), &taken),
              KW_PARSE_REQUEST);
    CHECK_I64(t, (int64_t)forwarded->count, 0);
    kw_message_reset(message);

    struct kw_buffer stream;
    kw_buffer_init(&stream, INPUT_MAX);
    kw_buffer_add_text(&stream, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (unsigned i = 0; i < KW_MESSAGE_HEADERS_MAX - 1; i++) {
        kw_buffer_add_format(&stream, "X-Forwarded-For: %02u\r\n", i);
    }
    kw_buffer_add_text(&stream, "\r\n");
    CHECK_I64(t, kw_message_feed(&parser, message, kw_buffer_bytes(&stream), &taken), KW_PARSE_REQUEST);
    CHECK_I64(t, (int64_t)forwarded->count, KW_MESSAGE_HEADERS_MAX - 1);
    for (unsigned i = KW_MESSAGE_HEADERS_MAX - 1 - KW_FORWARDED_LINES_MAX; i < KW_MESSAGE_HEADERS_MAX - 1; i++) {
        char expected[4];
        snprintf(expected, sizeof expected, "%02u", i);
        CHECK_BYTES(t, forwarded->lines[i % KW_FORWARDED_LINES_MAX], kw_bytes_of_text(expected));
    }
    kw_buffer_deinit(&stream);
    kw_message_deinit(message);
    kw_free(message);
}

static void hosts(struct test *t)
{
    static const char *const good[] = {"a",     "a.b", "a:1", "a:", "127.0.0.1:65535", "[::1]", "[::ffff:1.2.3.4]:80",
                                       "a_b~-c"};
    static const char *const bad[] = {"",       ":80",   "a b",  "a:65536",  "a:x",   "[::1",    "[]",
                                      "[::1]x", "[g::]", "u@a",  "a/b",      "a,b",   "a:1:2",   "a\\b",
                                      "::1",    "a:-1",  "a:+1", "a:000080", "a%20b", "\xc3\xa4"};
    for (size_t i = 0; i < KW_COUNT_OF(good); i++) {
        CHECK(t, kw_host_valid(kw_bytes_of_text(good[i])));
    }
    for (size_t i = 0; i < KW_COUNT_OF(bad); i++) {
        CHECK(t, !kw_host_valid(kw_bytes_of_text(bad[i])));
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(doubtful_requests_are_refused),
        TEST_CASE(pieces_change_nothing),
        TEST_CASE(limits_are_exact),
        TEST_CASE(headers_are_counted),
        TEST_CASE(large_bodies_arrive_whole),
        TEST_CASE(waiting_clients_are_told_once),
        TEST_CASE(a_reset_leaves_nothing),
        TEST_CASE(forwarded_headers_follow_each_other),
        TEST_CASE(hosts),
    };
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
