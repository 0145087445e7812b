#include "cli/banner.h"

#include "cli/text.h"

#include <stdlib.h>

/* The host of "ADDRESS:PORT", as a URL writes it. */
static struct kw_bytes host_of(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    return kw_bytes_of(listen, colon == NULL ? strlen(listen) : (size_t)(colon - listen));
}

/* The address at which this machine reaches a server that listens on all of them; the host itself otherwise. */
static struct kw_bytes reachable(struct kw_bytes host)
{
    if (kw_bytes_equal(host, KW_BYTES("0.0.0.0"))) {
        return KW_BYTES("127.0.0.1");
    }
    return kw_bytes_equal(host, KW_BYTES("[::]")) ? KW_BYTES("[::1]") : host;
}

void kw_banner_url(const struct kw_banner *banner, struct kw_buffer *url)
{
    kw_buffer_add_text(url, banner->tls ? "https://" : "http://");
    kw_buffer_add(url, reachable(host_of(banner->listen)));
    kw_buffer_add_format(url, ":%u", (unsigned)banner->port);
}

/* DIR/root-key as a path that holds wherever the line is pasted. */
static void add_key_path(const struct kw_banner *banner, struct kw_buffer *text)
{
    char resolved[4096];
    const char *folder = realpath(banner->folder->path, resolved) == NULL ? banner->folder->path : resolved;
    kw_buffer_add_text(text, folder);
    kw_buffer_add_text(text, "/" KW_ROOT_KEY_FILE_NAME);
}

/*
 * The server's certificate may name another host than the address of this machine that the line goes to, so it is not
 * compared; the connection does not leave the machine.
 */
static void add_curl_line(const struct kw_banner *banner, struct kw_buffer *text)
{
    kw_buffer_add_text(text, banner->tls ? "  curl --insecure " : "  curl ");
    kw_banner_url(banner, text);
    kw_buffer_add_text(text, "/v1/keys -H 'Content-Type: application/json'");
    if (banner->root->place == KW_ROOT_KEY_TERMINAL) {
        kw_buffer_add_text(text, " -H 'Authorization: Bearer ");
        kw_buffer_add(text, kw_secret_expose(&banner->root->key));
        kw_buffer_add_byte(text, '\'');
    } else {
        struct kw_buffer path;
        kw_buffer_init(&path, 8192);
        add_key_path(banner, &path);
        kw_buffer_add_text(text, " -H \"Authorization: Bearer $(cat ");
        kw_text_shell_quote(text, kw_buffer_bytes(&path));
        kw_buffer_add_text(text, ")\"");
        kw_buffer_deinit(&path);
    }
    kw_buffer_add_text(text, " -d '{\"owner\": \"user:1\", \"name\": \"My first key\"}'\n\n");
}

static void add_count(const struct kw_banner *banner, struct kw_buffer *text)
{
    unsigned long long count = banner->folder->key_count;
    kw_buffer_add_format(text, "Keyward found its data in %s: %llu key%s.\n", banner->folder->path, count,
                         count == 1 ? "" : "s");
}

static void add_new_root(const struct kw_banner *banner, struct kw_output *out)
{
    struct kw_buffer *text = &out->text;
    if (banner->root->again) {
        kw_buffer_add_text(text,
                           "The last start ended before its root key was shown for certain. This is a new one; the "
                           "one before is retired.\n");
    }
    if (banner->root->place == KW_ROOT_KEY_FILE) {
        kw_buffer_add_text(text, "The root management key is in ");
        add_key_path(banner, text);
        kw_buffer_add_text(text, ", which only its owner may read.\n");
    } else {
        kw_buffer_add_text(text, "\nThe root management key, which may do everything. Keep it now: it is not shown "
                                 "again.\n\n  ");
        kw_buffer_add_text(text, out->colour ? KW_COLOUR_BOLD : "");
        kw_buffer_add(text, kw_secret_expose(&banner->root->key));
        kw_buffer_add_text(text, out->colour ? KW_COLOUR_RESET "\n" : "\n");
    }
    bool first = banner->folder->key_count == 0;
    kw_buffer_add_format(text, "\nThis line creates a %skey:\n\n", first ? "first " : "");
    add_curl_line(banner, text);
}

static void add_old_root(const struct kw_banner *banner, struct kw_buffer *text)
{
    if (banner->root->place == KW_ROOT_KEY_CHOSEN) {
        kw_buffer_add_text(text, "The root management key is the one in KEYWARD_ROOT_KEY; any other is retired.\n");
        return;
    }
    if (banner->root->has_file) {
        kw_buffer_add_text(text, "The root management key is in ");
        add_key_path(banner, text);
    } else {
        kw_buffer_add_text(text, "The root management key was shown or set when it was made, on ");
        kw_text_time(text, banner->root->created_at_ms);
    }
    kw_buffer_add_text(text, ". 'keyward serve --new-root-key' makes another one.\n");
}

void kw_banner_write(const struct kw_banner *banner, struct kw_output *out)
{
    struct kw_buffer *text = &out->text;
    bool made = banner->root->place == KW_ROOT_KEY_TERMINAL || banner->root->place == KW_ROOT_KEY_FILE;
    if (banner->folder->was_there) {
        add_count(banner, text);
    } else {
        kw_buffer_add_format(text,
                             "Keyward made its data folder %s. Its pepper belongs to the keys: back it up, apart "
                             "from the database.\n",
                             banner->folder->path);
    }
    if (made) {
        add_new_root(banner, out);
    } else {
        add_old_root(banner, text);
    }
    kw_buffer_add_text(text, "Keyward " KEYWARD_VERSION " listens on ");
    kw_banner_url(banner, text);
    bool everywhere = !kw_bytes_equal(reachable(host_of(banner->listen)), host_of(banner->listen));
    kw_buffer_add_text(text, everywhere ? " and on every other address of this machine\n" : "\n");
}
