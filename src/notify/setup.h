/*
 * What the operator sets up for notices, in the configuration file and nowhere else: the relay that takes mail, and
 * commands that channels may name. All of it is read before the server starts, and does not change.
 */
#ifndef KW_NOTIFY_SETUP_H
#define KW_NOTIFY_SETUP_H

#include "base/secret.h"
#include "core/channel.h"
#include "core/guard.h"

#define KW_COMMANDS_MAX 64
#define KW_COMMAND_ARGUMENTS_MAX 32
#define KW_COMMAND_TIMEOUT_MS 10000
#define KW_COMMAND_TIMEOUT_MAX_MS 60000

enum kw_mail_tls {
    KW_MAIL_STARTTLS, /* the relay must offer it */
    KW_MAIL_TLS,      /* from the first byte */
    KW_MAIL_NO_TLS,
};

struct kw_mail_relay {
    const char *host; /* NULL: there is no relay */
    uint16_t port;
    enum kw_mail_tls tls;
    const char *from;    /* an address */
    const char *user;    /* NULL: it wants none */
    const char *ca_file; /* who vouches for its certificate; NULL: whom the system trusts */
    struct kw_secret password;
    struct kw_guard guard; /* what is opened for it alone */
};

struct kw_notice_command {
    const char *name;
    const char *arguments[KW_COMMAND_ARGUMENTS_MAX + 2]; /* the program's path first, NULL behind the last */
    int64_t timeout_ms;
};

struct kw_notify_setup {
    struct kw_mail_relay relay;
    const struct kw_notice_command *commands;
    size_t command_count;
};

#endif
