#pragma once

/*
 * Client: one call from the command line, for places that have neither curl nor
 * grpcurl, such as an image of nothing but our programs:
 *
 *     tracehop-server --call grpc://backend:9090 --header 'fail: 0.3'
 *
 * Threads: the main one; the call itself runs on a worker of the hop.
 */

#include <stdio.h>

#include "common/base/complaint.h"
#include "server/hop.h"

struct client_options {
    bool            is_wanted;
    struct metadata headers;
};

/*
 * Takes the headers out of argv, and leaves the URI there as the setting of the
 * only upstream. Without --call nothing is touched. 0, or -EINVAL or -ENOMEM with
 * a line for the user.
 */
int client_options_take(int *argc, char *argv[], struct arena *arena,
                        struct client_options *ret_options, struct complaint complaint);

/*
 * Calls the hop's upstream on its first worker, which it starts and stops, and
 * prints the tree. Blocks until the answer or UPSTREAM_TIMEOUT. 0; -EREMOTEIO when
 * the call failed, which is printed, too; -ENOMEM or what kept the worker from
 * starting.
 */
int client_call(struct hop *hop, const struct metadata *headers, FILE *to);
