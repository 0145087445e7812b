/*
 * What `keyward serve` says to the person who starts it.
 */
#ifndef KW_CLI_BANNER_H
#define KW_CLI_BANNER_H

#include "cli/cli.h"
#include "cli/root_key.h"

struct kw_banner {
    const struct kw_data_folder *folder;
    const struct kw_root_key *root;
    const char *listen; /* as it was given */
    uint16_t port;      /* that was got */
    bool tls;
};

/* "http://127.0.0.1:7411": where this machine reaches the server, also when it listens on every address. */
void kw_banner_url(const struct kw_banner *banner, struct kw_buffer *url);
void kw_banner_write(const struct kw_banner *banner, struct kw_output *out);

#endif
