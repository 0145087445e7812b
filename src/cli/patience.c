#include "cli/patience.h"

#include "base/clock.h"
#include "base/time.h"

#include <poll.h>
#include <stdio.h>

#define NS_A_MS UINT64_C(1000000)
#define CONNECT_TIMEOUT_MS 10000L
#define ASK_AFTER_MS 5000    /* without an answer; then as often, and for as long */
#define SILENCE_MAX_MS 60000 /* without a sign of life */
#define ASKS_A_TIMEOUT 8     /* at least, however short that is */
#define SILENCES_A_TIMEOUT 2
#define QUIET_MAX_MS 45000 /* of a stream, which says every 15 s that it is still there */

void kw_patience_set_up(CURL *curl, const char *ca_file, bool is_loopback)
{
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "keyward/" KEYWARD_VERSION);
    if (is_loopback) {
        (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    }
    if (ca_file != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file);
    }
}

static int64_t at_most(int64_t ms, int64_t timeout_ms, int parts)
{
    return ms < timeout_ms / parts ? ms : timeout_ms / parts;
}

static size_t pass_over(char *piece, size_t one, size_t size, void *context)
{
    (void)piece;
    (void)context;
    return one * size;
}

/* Whatever it answers, it lives. */
static bool is_alive(const struct kw_patience *patience, int64_t wait_ms)
{
    struct kw_buffer url;
    CURL *curl = curl_easy_init();
    kw_buffer_init(&url, 65536);
    kw_buffer_add_text(&url, patience->url);
    kw_buffer_add_text(&url, "/healthz");
    kw_buffer_add_byte(&url, '\0');
    bool lives = false;
    if (curl != NULL && kw_buffer_status(&url) == KW_OK) {
        kw_patience_set_up(curl, patience->ca_file, patience->is_loopback);
        (void)curl_easy_setopt(curl, CURLOPT_URL, (const char *)url.data);
        (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)wait_ms);
        (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, pass_over);
        lives = curl_easy_perform(curl) == CURLE_OK;
    }
    curl_easy_cleanup(curl);
    kw_buffer_deinit(&url);
    return lives;
}

/* Once. A progress bar on the terminal's last line is drawn anew below it. */
static void tell(struct kw_patience *patience)
{
    char limit[KW_DURATION_TEXT_MAX];
    if (patience->notices == NULL || patience->is_told) {
        return;
    }
    patience->is_told = true;
    kw_duration_format(patience->timeout_ms, limit);
    kw_buffer_add_format(&patience->notices->text,
                         "%skeyward: %s is up, but busy, perhaps with a large change: waiting for its answer, up to %s "
                         "(--timeout)\n",
                         patience->notices->is_terminal ? "\r\033[K" : "", patience->url, limit);
    kw_output_say(patience->notices);
}

static void ask(struct kw_patience *patience, int64_t wait_ms)
{
    bool lives = is_alive(patience, wait_ms);
    patience->asked_ns = kw_monotonic_ns();
    if (lives) {
        patience->heard_ns = patience->asked_ns;
        tell(patience);
    }
}

static int watch_stream(struct kw_patience *patience, curl_off_t moved)
{
    struct pollfd signals = {.fd = patience->signals, .events = POLLIN};
    uint64_t now_ns = kw_monotonic_ns();
    if (moved != patience->moved) {
        patience->moved = moved;
        patience->moved_ns = now_ns;
    }
    patience->was_silent = now_ns - patience->moved_ns >= QUIET_MAX_MS * NS_A_MS;
    return patience->was_silent || poll(&signals, 1, 0) > 0 ? 1 : 0;
}

/* libcurl calls this about once a second. Other than 0 ends the transfer. */
static int watch(void *context, curl_off_t down_size, curl_off_t down, curl_off_t up_size, curl_off_t up)
{
    struct kw_patience *patience = context;
    if (patience->follows) {
        return watch_stream(patience, down + up);
    }
    int64_t ask_after_ms = at_most(ASK_AFTER_MS, patience->timeout_ms, ASKS_A_TIMEOUT);
    uint64_t ask_after_ns = (uint64_t)ask_after_ms * NS_A_MS;
    uint64_t now_ns = kw_monotonic_ns();
    (void)down_size;
    (void)up_size;
    if (down + up != patience->moved) {
        patience->moved = down + up;
        patience->moved_ns = patience->heard_ns = now_ns;
    }
    bool is_late = now_ns - patience->moved_ns >= (uint64_t)patience->timeout_ms * NS_A_MS;
    patience->has_given_up = patience->is_endless && is_late;
    bool is_due = now_ns - patience->moved_ns >= ask_after_ns && now_ns - patience->asked_ns >= ask_after_ns;
    if (!patience->has_given_up && is_due) {
        ask(patience, ask_after_ms);
        now_ns = kw_monotonic_ns();
    }
    uint64_t silence_ns = (uint64_t)at_most(SILENCE_MAX_MS, patience->timeout_ms, SILENCES_A_TIMEOUT) * NS_A_MS;
    patience->was_silent = now_ns - patience->heard_ns >= silence_ns;
    return patience->has_given_up || patience->was_silent ? 1 : 0;
}

void kw_patience_begin(struct kw_patience *patience, CURL *curl, bool is_endless)
{
    patience->is_endless = is_endless;
    patience->follows = false;
    patience->is_told = patience->has_given_up = patience->was_silent = false;
    patience->moved = 0;
    patience->moved_ns = patience->heard_ns = patience->asked_ns = kw_monotonic_ns();
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, is_endless ? 0L : (long)patience->timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, patience);
}

void kw_patience_follow(struct kw_patience *patience, int signals)
{
    patience->follows = true;
    patience->signals = signals;
}

const char *kw_patience_end(const struct kw_patience *patience, CURLcode code, char *memory, size_t size)
{
    char limit[KW_DURATION_TEXT_MAX];
    bool is_watched = code == CURLE_ABORTED_BY_CALLBACK;
    if (is_watched && patience->was_silent && !patience->has_given_up) {
        return "does not answer, and shows no other sign of life";
    }
    if (!is_watched && code != CURLE_OPERATION_TIMEDOUT) {
        return NULL;
    }
    kw_duration_format(patience->timeout_ms, limit);
    snprintf(memory, size, "has not answered within %s (--timeout)", limit);
    return memory;
}
