#include "server/transport.h"

#include "base/bytes.h"
#include "base/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_OPTION "--listen"

static enum kw_status refuse_address(const char *text, struct kw_error *error_out)
{
    return kw_fail(error_out, KW_E_INVALID, "INVALID_FIELD", LISTEN_OPTION,
                   "must be ADDRESS:PORT, such as 127.0.0.1:7411, 0.0.0.0:7411 or [::1]:7411, not \"%.80s\"", text);
}

enum kw_status kw__address_parse(const char *text, struct kw__address *address_out, struct kw_error *error_out)
{
    struct kw_bytes all = kw_bytes_of_text(text);
    bool is_v6 = all.size > 0 && all.data[0] == '[';
    const char *colon = text == NULL ? NULL : strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || !kw_bytes_to_u64(kw_bytes_of_text(colon + 1), &port) || port > UINT16_MAX) {
        return refuse_address(text == NULL ? "" : text, error_out);
    }
    char host[INET6_ADDRSTRLEN];
    struct kw_bytes name = kw_bytes_of(text, (size_t)(colon - text));
    if (is_v6) {
        if (name.size < 2 || name.data[name.size - 1] != ']') {
            return refuse_address(text, error_out);
        }
        name = kw_bytes_of(name.data + 1, name.size - 2);
    }
    if (name.size == 0 || name.size >= sizeof host) {
        return refuse_address(text, error_out);
    }
    memcpy(host, name.data, name.size);
    host[name.size] = '\0';
    struct kw__address address = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    address.size = is_v6 ? sizeof v6 : sizeof v4;
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, host, is_v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) != 1) {
        return refuse_address(text, error_out);
    }
    memcpy(&address.storage, is_v6 ? (void *)&v6 : (void *)&v4, address.size);
    *address_out = address;
    return KW_OK;
}

static uint16_t port_of(const struct kw__address *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, &address->storage, sizeof v4);
    memcpy(&v6, &address->storage, sizeof v6);
    return ntohs(address->storage.ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
}

static void set_port(struct kw__address *address, uint16_t port)
{
    uint16_t wire = htons(port);
    size_t at = address->storage.ss_family == AF_INET6 ? offsetof(struct sockaddr_in6, sin6_port)
                                                       : offsetof(struct sockaddr_in, sin_port);
    memcpy((uint8_t *)&address->storage + at, &wire, sizeof wire);
}

static enum kw_status fail_bind(const struct kw__address *address, int why, struct kw_error *error_out)
{
    unsigned port = port_of(address);
    switch (why) {
    case EADDRINUSE:
        return kw_fail(error_out, KW_E_BUSY, "INVALID_FIELD", LISTEN_OPTION,
                       "port %u is in use by another program: stop it or choose another with --listen", port);
    case EACCES:
        return kw_fail(error_out, KW_E_DENIED, "INVALID_FIELD", LISTEN_OPTION,
                       "port %u is for privileged programs: choose one above 1023 with --listen, or grant "
                       "CAP_NET_BIND_SERVICE",
                       port);
    case EADDRNOTAVAIL:
        return kw_fail(error_out, KW_E_INVALID, "INVALID_FIELD", LISTEN_OPTION,
                       "the address does not belong to this machine: choose another with --listen");
    default:
        return kw_fail(error_out, KW_E_SYSTEM, "INVALID_FIELD", LISTEN_OPTION, "port %u cannot be listened on: %s",
                       port, strerror(why));
    }
}

static bool set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/*
 * The first socket is bound alone, so that another program on the port is noticed, also one that shares it; only then
 * does it begin to share with its siblings, which share from the start. It also listens already, since TCP tells only
 * then of a listener that was bound at the same time.
 */
static bool prepare(int fd, const struct kw__address *address, bool is_first, bool is_shared)
{
    /* Answers are written whole: connections inherit that nothing waits for more to send. */
    if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) || !set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1)) {
        return false;
    }
    if (!is_first && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) {
        return false;
    }
    if (bind(fd, (const struct sockaddr *)&address->storage, address->size) != 0) {
        return false;
    }
    if (!is_first) {
        return true;
    }
    return (!is_shared || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) && listen(fd, SOMAXCONN) == 0;
}

/* A bound socket, or -1 and why. An address without a port gets the one that was had. */
static int open_one(struct kw__address *address, bool is_first, bool is_shared, int cpu, int *why_out)
{
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !prepare(fd, address, is_first, is_shared)) {
        *why_out = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    if (cpu >= 0) {
        (void)set_option(fd, SOL_SOCKET, SO_INCOMING_CPU, cpu);
    }
    struct kw__address bound = *address;
    if (is_first && getsockname(fd, (struct sockaddr *)&bound.storage, &bound.size) == 0) {
        set_port(address, port_of(&bound));
    }
    return fd;
}

enum kw_status kw__listen(const struct kw__address *address, const int *cpus, unsigned count, int *fds_out,
                          uint16_t *port_out, struct kw_error *error_out)
{
    struct kw__address wanted = *address;
    int fds[KW_SERVER_LOOPS_MAX] = {0};
    for (unsigned i = 0; i < count; i++) {
        int why = 0;
        fds[i] = open_one(&wanted, i == 0, count > 1, cpus[i], &why);
        if (fds[i] < 0) {
            while (i-- > 0) {
                (void)close(fds[i]);
            }
            return fail_bind(&wanted, why, error_out);
        }
    }
    memcpy(fds_out, fds, count * sizeof fds[0]);
    *port_out = port_of(&wanted);
    return KW_OK;
}

void kw__listen_anywhere(int fd)
{
    (void)set_option(fd, SOL_SOCKET, SO_INCOMING_CPU, -1);
}
