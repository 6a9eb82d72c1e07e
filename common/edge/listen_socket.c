#include "common/edge/listen_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int look_up(const struct listen_address *address, struct addrinfo **ret_found)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    char            host[NI_MAXHOST], port[sizeof("65535")];

    if (address->host.len >= sizeof(host))
        return -EADDRNOTAVAIL;
    (void)snprintf(host, sizeof(host), "%.*s", STR_ARGS(address->host));
    (void)snprintf(port, sizeof(port), "%u", (unsigned)address->port);

    switch (getaddrinfo(host[0] ? host : NULL, port, &hints, ret_found)) {
    case 0:
        return 0;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return -errno;
    default:
        return -EADDRNOTAVAIL;
    }
}

static int bind_and_listen(int fd, const struct addrinfo *found)
{
    static const int on = 1, off = 0;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -errno;
    if (found->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0)
        return -errno;
    return 0;
}

static int open_at(const struct addrinfo *found, int *ret_fd)
{
    int fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    found->ai_protocol);
    if (fd < 0)
        return -errno;

    int r = bind_and_listen(fd, found);
    if (r < 0)
        close(fd);
    else
        *ret_fd = fd;
    return r;
}

static int port_of(int fd, uint16_t *ret_port)
{
    union {
        struct sockaddr     any;
        struct sockaddr_in  ipv4;
        struct sockaddr_in6 ipv6;
    } bound = {0};
    socklen_t size = sizeof(bound);

    if (getsockname(fd, &bound.any, &size) < 0)
        return -errno;
    *ret_port = ntohs(bound.any.sa_family == AF_INET6 ? bound.ipv6.sin6_port : bound.ipv4.sin_port);
    return 0;
}

int listen_socket_open(const struct listen_address *address, int *ret_fd, uint16_t *ret_port)
{
    struct addrinfo *found;
    int              fd = -1;

    int r = look_up(address, &found);
    if (r < 0)
        return r;

    r = -EADDRNOTAVAIL;
    for (const struct addrinfo *each = found; each && r < 0; each = each->ai_next)
        r = open_at(each, &fd);
    freeaddrinfo(found);
    if (r < 0)
        return r;

    r = port_of(fd, ret_port);
    if (r < 0)
        close(fd);
    else
        *ret_fd = fd;
    return r;
}
