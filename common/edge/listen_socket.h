#pragma once

/*
 * Listen socket: binds what a listen address names.
 */

#include <stdint.h>

#include "common/base/settings.h"

/*
 * Sets a listening socket, close-on-exec and non-blocking, and its port. A wildcard
 * IPv6 address takes IPv4 too. 0 or -errno of the last address tried:
 * -EADDRINUSE when somebody else listens there, -EADDRNOTAVAIL also for a name
 * that nobody knows.
 */
int listen_socket_open(const struct listen_address *address, int *ret_fd, uint16_t *ret_port);
