#include "common/edge/rpc_client.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>

#include "common/base/arena.h"
#include "common/base/text.h"
#include "common/edge/rpc_call.h"
#include "common/edge/rpc_codec.h"

enum { MAX_ADDRESS_TEXT = 512 };

/*
 * Each address has a channel of its own. A name may stand for several hosts;
 * its channel sees them all, and takes turns.
 */
struct rpc_channel {
    grpc_channel *channel;
    void         *method;
};

struct rpc_peer {
    char              *method; /* the registration borrows it */
    size_t             n_channels;
    _Atomic size_t     turn;
    struct rpc_channel channels[];
};

struct rpc_outbound {
    struct rpc_tag           tag;
    struct rpc_request       request;
    grpc_call               *call;
    struct rpc_sent_metadata sent;
    grpc_byte_buffer        *message;
    grpc_metadata_array      headers;
    grpc_metadata_array      trailers;
    grpc_byte_buffer        *response;
    grpc_status_code         status;
    grpc_slice               status_message;
};

static const char service_config[] = "{\"loadBalancingConfig\":[{\"round_robin\":{}}]}";

static grpc_arg string_arg(const char *key, const char *value)
{
    return (grpc_arg){.type = GRPC_ARG_STRING, .key = (char *)key, .value.string = (char *)value};
}

/* Both texts are NUL-terminated. */
static grpc_channel *library_channel_new(const char *target, const char *authority,
                                         const struct rpc_client_options *options)
{
    grpc_arg args[] = {
        string_arg(GRPC_ARG_DEFAULT_AUTHORITY, authority),
        rpc_integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)options->max_message_bytes),
        rpc_integer_arg(GRPC_ARG_MAX_METADATA_SIZE, (int)options->max_metadata_bytes),
        string_arg(GRPC_ARG_SERVICE_CONFIG, service_config),
        /* Else a TXT record could replace it. */
        rpc_integer_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        /* Retries are the mesh's to make, and to be seen making. */
        rpc_integer_arg(GRPC_ARG_ENABLE_RETRIES, 0),
        /* Else http_proxy in the environment would take the calls. */
        rpc_integer_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        rpc_integer_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
                        1 << GRPC_COMPRESS_NONE),
        /* Nobody asks for the library's own statistics, and each call pays for them. */
        rpc_integer_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
        rpc_integer_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200),
        rpc_integer_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
                        options->max_reconnect_ms > 0 ? options->max_reconnect_ms : 3000),
        rpc_integer_arg(GRPC_ARG_KEEPALIVE_TIME_MS,
                        options->keepalive_ms > 0 ? options->keepalive_ms : INT_MAX),
        rpc_integer_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000),
        rpc_integer_arg(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 2000),
    };
    grpc_channel_args         all = {.num_args = ARRAY_LENGTH(args), .args = args};
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_channel             *channel = grpc_channel_create(target, credentials, &all);

    grpc_channel_credentials_release(credentials);
    return channel;
}

/* "scheme" and the address as text in `buffer`, which has room for any. */
static const char *address_text(char buffer[static MAX_ADDRESS_TEXT], const char *scheme,
                                const struct uri *address)
{
    struct text text = text_in_buffer(buffer, MAX_ADDRESS_TEXT - 1);

    text_add(&text, str_from(scheme));
    uri_add_authority(&text, address);
    assert(!text.is_cut);
    buffer[text.len] = '\0';
    return buffer;
}

static void channel_open(struct rpc_channel *channel, const struct uri *address, const char *method,
                         const struct rpc_client_options *options)
{
    const struct uri *target = options->connect_to ? options->connect_to : address;
    char              target_buffer[MAX_ADDRESS_TEXT], authority_buffer[MAX_ADDRESS_TEXT];

    channel->channel = library_channel_new(address_text(target_buffer, "dns:///", target),
                                           address_text(authority_buffer, "", address), options);
    channel->method = grpc_channel_register_call(channel->channel, method, NULL, NULL);
    grpc_channel_check_connectivity_state(channel->channel, /* try_to_connect= */ 1);
}

int rpc_peer_new(struct rpc_peer **ret_peer, const struct uri addresses[], size_t n_addresses,
                 const char *method, const struct rpc_client_options *options)
{
    assert(n_addresses > 0);

    struct rpc_peer *peer = calloc(1, sizeof(*peer) + n_addresses * sizeof(peer->channels[0]));
    if (!peer)
        return -ENOMEM;
    peer->method = strdup(method);
    if (!peer->method) {
        free(peer);
        return -ENOMEM;
    }

    for (size_t i = 0; i < n_addresses; i++)
        channel_open(&peer->channels[i], &addresses[i], peer->method, options);
    peer->n_channels = n_addresses;

    *ret_peer = peer;
    return 0;
}

void rpc_peer_free(struct rpc_peer *peer)
{
    if (!peer)
        return;

    for (size_t i = 0; i < peer->n_channels; i++)
        grpc_channel_destroy(peer->channels[i].channel);
    free(peer->method);
    free(peer);
}

/* How willing a channel is: connected, about to be, or lately failed. Lower is better. */
static int reluctance(grpc_channel *channel)
{
    switch (grpc_channel_check_connectivity_state(channel, /* try_to_connect= */ 1)) {
    case GRPC_CHANNEL_READY:
        return 0;
    case GRPC_CHANNEL_IDLE:
    case GRPC_CHANNEL_CONNECTING:
        return 1;
    default:
        return 2;
    }
}

static struct rpc_channel *pick_channel(struct rpc_peer *peer)
{
    if (peer->n_channels == 1)
        return &peer->channels[0];

    size_t              turn = atomic_fetch_add_explicit(&peer->turn, 1, memory_order_relaxed);
    struct rpc_channel *best = NULL;
    int                 least = 3;
    for (size_t i = 0; i < peer->n_channels && least > 0; i++) {
        struct rpc_channel *candidate = &peer->channels[(turn + i) % peer->n_channels];
        int                 reluctant = reluctance(candidate->channel);
        if (reluctant < least) {
            best = candidate;
            least = reluctant;
        }
    }
    return best;
}

static struct str copy_slice(struct arena *arena, const grpc_slice *slice)
{
    return arena_copy(arena, rpc_slice_view(slice));
}

static void read_failure(struct rpc_outbound *outbound, struct rpc_outcome *outcome)
{
    struct arena *arena = outbound->request.arena;
    struct str    details = rpc_metadata_details(&outbound->trailers);

    outcome->message = copy_slice(arena, &outbound->status_message);
    outcome->details = details.at ? arena_copy(arena, details) : (struct str){0};
}

/* What came, in the request's arena. Without memory for it the call counts as failed. */
static struct rpc_outcome read_outcome(struct rpc_outbound *outbound)
{
    struct rpc_outcome outcome = {.status = (enum status)outbound->status};

    if (outbound->response)
        outcome.response = rpc_buffer_read(outbound->response, outbound->request.arena);
    if (outcome.status == STATUS_OK && !outcome.response.at) {
        outcome.status = STATUS_INTERNAL;
        outcome.message = STR("the answer has no message");
    } else if (outcome.status != STATUS_OK) {
        read_failure(outbound, &outcome);
    }
    return outcome;
}

static void outbound_release(struct rpc_outbound *outbound)
{
    rpc_metadata_release(&outbound->sent);
    grpc_byte_buffer_destroy(outbound->message);
    grpc_byte_buffer_destroy(outbound->response);
    grpc_slice_unref(outbound->status_message);
    grpc_metadata_array_destroy(&outbound->headers);
    grpc_metadata_array_destroy(&outbound->trailers);
    grpc_call_unref(take(outbound->call));
}

/* `done` may end the request and its arena, the outbound in it: it comes last. */
static void call_done(struct rpc_tag *tag, bool ok)
{
    struct rpc_outbound *outbound = container_of(tag, struct rpc_outbound, tag);
    struct rpc_outcome   outcome = read_outcome(outbound);
    (void)ok; /* a batch with a status in it always succeeds */

    outbound_release(outbound);
    outbound->request.done(outbound, &outcome);
}

static void start_batch(struct rpc_outbound *outbound)
{
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .data.send_initial_metadata = {.count = outbound->sent.count,
                                        .metadata = outbound->sent.fields}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = outbound->message},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &outbound->headers},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &outbound->response},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &outbound->trailers,
                                        .status = &outbound->status,
                                        .status_details = &outbound->status_message}},
    };

    grpc_call_error error =
        grpc_call_start_batch(outbound->call, ops, ARRAY_LENGTH(ops), &outbound->tag, NULL);
    assert(error == GRPC_CALL_OK);
}

struct rpc_outbound *rpc_start(struct rpc_peer *peer, const struct rpc_request *request)
{
    struct rpc_outbound *outbound = arena_zalloc(request->arena, sizeof(*outbound));
    if (!outbound)
        return NULL;

    struct rpc_channel *channel = pick_channel(peer);
    outbound->request = *request;
    outbound->tag.run = call_done;
    outbound->status_message = grpc_empty_slice();
    grpc_metadata_array_init(&outbound->headers);
    grpc_metadata_array_init(&outbound->trailers);
    outbound->sent = rpc_metadata_write(request->metadata, (struct str){0}, request->arena);
    outbound->message = request->release ? rpc_buffer_lend(request->message, request->release,
                                                           request->message_owner)
                                         : rpc_buffer_copy(request->message);
    if (request->parent)
        rpc_call_watch(request->parent);
    outbound->call = grpc_channel_create_registered_call(
        channel->channel, request->parent ? rpc_call_handle(request->parent) : NULL,
        GRPC_PROPAGATE_DEFAULTS, rpc_worker_queue(request->worker), channel->method,
        rpc_time_from_ns(request->deadline_ns), NULL);
    start_batch(outbound);
    return outbound;
}

void *rpc_outbound_context(const struct rpc_outbound *outbound)
{
    return outbound->request.context;
}

void rpc_cancel(struct rpc_outbound *outbound)
{
    grpc_call_cancel(outbound->call, NULL);
}
