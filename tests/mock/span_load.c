/*
 * A source of spans: export requests one after the other, a number of them in flight, span ids
 * counting up. What is not acknowledged is not sent again, and a receiver that has gone away is
 * looked for every few milliseconds, so a test can kill it as often as it likes.
 *
 *     span_load --target grpc://127.0.0.1:4317 --spans 5 --in-flight 64 --requests 10000
 *
 * Standard output: "acknowledged SPANS" now and then, and at the end one line of JSON with all
 * figures and the acknowledged ids as ranges. It ends on SIGTERM, and after the last request, or,
 * when their number is not given, when standard input is closed.
 *
 * Threads: main waits and prints; everything else happens on one gRPC worker.
 */

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/base/settings.h"
#include "common/trace/otlp_sender.h"
#include "tests/mock/load_figures.h"
#include "tests/mock/load_request.h"

enum {
    CALLS_PER_SENDER = 8, /* otlp_sender's own limit over HTTP */
    MAX_IN_FLIGHT = 1024,
    LOOK_AGAIN_NS = 5 * NS_PER_MS,
    CALL_TIMEOUT_S = 30,
    PROGRESS_INTERVAL_MS = 10,
    SETTINGS_ARENA_BYTES = 64 * 1024,
};

struct settings {
    struct str target;
    uint64_t   spans, span_bytes, in_flight, requests, first_id;
};

#define AT(member) offsetof(struct settings, member)

/* clang-format off */
static const struct setting table[] = {
    {"TARGET", SETTING_TEXT, AT(target), "grpc://127.0.0.1:4317", .help = "grpc://HOST:PORT, or http://HOST:PORT/v1/traces."},
    {"SPANS", SETTING_INTEGER, AT(spans), "5", .min = 1, .max = 1e6, .help = "Spans in a request."},
    {"SPAN_BYTES", SETTING_INTEGER, AT(span_bytes), "500", .max = 1e6, .help = "Bytes of a span, roughly."},
    {"IN_FLIGHT", SETTING_INTEGER, AT(in_flight), "8", .min = 1, .max = MAX_IN_FLIGHT, .help = "Requests that wait for their answer at once."},
    {"REQUESTS", SETTING_INTEGER, AT(requests), "0", .help = "How many; 0: until it is stopped."},
    {"FIRST_ID", SETTING_INTEGER, AT(first_id), "1", .min = 1, .help = "The first span id."},
};
/* clang-format on */

/* A request in flight, or the place of one. */
struct slot {
    struct otlp_call  call;
    struct load      *load;
    char             *buffer;
    struct load_range ids;
    int64_t           start_ns;
};

struct load {
    struct settings     settings;
    struct uri          target;
    enum otlp_protocol  protocol;
    struct rpc_worker  *worker;
    int                 ended_fd; /* written to when the last call has ended */
    struct load_request request;
    struct slot        *slots;
    _Atomic uint64_t    acknowledged_spans;
    _Atomic bool        is_stopping;

    /* The worker's own until it has ended. */
    struct rpc_task      begin;
    struct rpc_timer     look_again;
    struct otlp_sender **senders;
    size_t               n_senders;
    size_t               n_in_flight;
    bool                is_lost; /* nobody answers: wait until all calls have ended, connect anew */
    uint64_t            n_requests, n_refused, n_failed;
    int64_t             start_ns, end_ns;
    struct load_figures figures;
};

static bool has_more(const struct load *load)
{
    return !atomic_load(&load->is_stopping) &&
           (load->settings.requests == 0 || load->n_requests < load->settings.requests);
}

static void send_next(struct slot *slot)
{
    struct load *load = slot->load;
    size_t       number = (size_t)(slot - load->slots);
    uint64_t     first_id = load->settings.first_id + load->n_requests * load->settings.spans;

    slot->ids = (struct load_range){first_id, first_id + load->settings.spans};
    slot->start_ns = clock_monotonic_ns();
    load->n_requests++;
    load->n_in_flight++;
    otlp_send(load->senders[number / CALLS_PER_SENDER], &slot->call,
              load_request_number(&load->request, first_id, slot->buffer),
              slot->start_ns + (int64_t)CALL_TIMEOUT_S * NS_PER_S);
}

static void count(struct slot *slot, int64_t now_ns)
{
    struct load *load = slot->load;

    switch (slot->call.verdict.answer) {
    case OTLP_TAKEN:
        if (load_figures_acknowledge(&load->figures, slot->ids, now_ns - slot->start_ns) < 0)
            abort();
        (void)atomic_fetch_add(&load->acknowledged_spans, load->settings.spans);
        break;
    case OTLP_LATER:
    case OTLP_UNREACHABLE:
        load->n_failed++;
        load->is_lost = true;
        break;
    default:
        load->n_refused++;
        break;
    }
}

static void end(struct load *load, int64_t now_ns)
{
    load->end_ns = now_ns;
    (void)eventfd_write(load->ended_fd, 1);
}

static void call_ended(struct otlp_call *call)
{
    struct slot *slot = container_of(call, struct slot, call);
    struct load *load = slot->load;
    int64_t      now_ns = clock_monotonic_ns();

    load->n_in_flight--;
    count(slot, now_ns);
    if (!load->is_lost && has_more(load))
        send_next(slot);
    else if (load->n_in_flight > 0)
        return;
    else if (has_more(load))
        rpc_worker_arm(load->worker, &load->look_again, now_ns + LOOK_AGAIN_NS);
    else
        end(load, now_ns);
}

static void close_senders(struct load *load)
{
    for (size_t i = 0; i < load->n_senders; i++)
        otlp_sender_free(load->senders[i]);
}

static void open_senders(struct load *load)
{
    for (size_t i = 0; i < load->n_senders; i++)
        if (otlp_sender_new(&load->senders[i], load->protocol, &load->target, load->worker) < 0)
            abort();
}

/* Nothing is in flight. */
static void fill_slots(struct load *load)
{
    for (size_t i = 0; i < load->settings.in_flight && has_more(load); i++)
        send_next(&load->slots[i]);
    if (load->n_in_flight == 0)
        end(load, clock_monotonic_ns());
}

/* Fresh senders know nothing of the failures before them, and so do not back off. */
static void connect_anew(struct rpc_timer *timer)
{
    struct load *load = container_of(timer, struct load, look_again);

    load->is_lost = false;
    close_senders(load);
    open_senders(load);
    fill_slots(load);
}

static void begin(struct rpc_task *task)
{
    struct load *load = container_of(task, struct load, begin);

    load->start_ns = clock_monotonic_ns();
    open_senders(load);
    fill_slots(load);
}

static void print_progress(struct load *load, uint64_t *printed)
{
    uint64_t acknowledged = atomic_load(&load->acknowledged_spans);

    if (acknowledged != *printed)
        printf("acknowledged %ju\n", (uintmax_t)acknowledged);
    *printed = acknowledged;
}

/* Until the last call has ended; standard input and signals only say that no more shall start. */
static void wait_for_end(struct load *load, const sigset_t *signals)
{
    uint64_t      printed = 0;
    struct pollfd descriptors[] = {
        {.fd = load->ended_fd, .events = POLLIN},
        {.fd = signalfd(-1, signals, SFD_CLOEXEC), .events = POLLIN},
        {.fd = load->settings.requests == 0 ? STDIN_FILENO : -1, .events = POLLIN},
    };

    while (!(descriptors[0].revents & POLLIN)) {
        (void)poll(descriptors, ARRAY_LENGTH(descriptors), PROGRESS_INTERVAL_MS);
        print_progress(load, &printed);
        for (size_t i = 1; i < ARRAY_LENGTH(descriptors); i++) {
            if (descriptors[i].revents == 0)
                continue;
            atomic_store(&load->is_stopping, true);
            descriptors[i].fd = -1;
        }
    }
}

static void print_figures(const struct load *load)
{
    double      seconds = (double)(load->end_ns - load->start_ns) / NS_PER_S;
    uint64_t    n_requests = load->n_requests - load->n_refused - load->n_failed;
    struct text line = text_on_heap(4096);

    text_add_format(&line,
                    "{\"sent_requests\":%ju,\"acknowledged_requests\":%ju,"
                    "\"acknowledged_spans\":%ju,\"refused_requests\":%ju,\"failed_requests\":%ju,",
                    (uintmax_t)load->n_requests, (uintmax_t)n_requests,
                    (uintmax_t)load->acknowledged_spans, (uintmax_t)load->n_refused,
                    (uintmax_t)load->n_failed);
    text_add_format(&line, "\"request_bytes\":%zu,\"seconds\":%.3f,\"requests_per_second\":%.0f,",
                    load->request.n_bytes, seconds, (double)n_requests / seconds);
    text_add_format(&line, "\"p50_us\":%.1f,\"p99_us\":%.1f,\"acknowledged\":",
                    (double)load_figures_percentile_ns(&load->figures, 50) / NS_PER_US,
                    (double)load_figures_percentile_ns(&load->figures, 99) / NS_PER_US);
    load_figures_render_ranges(&load->figures, &line);
    text_add_char(&line, '}');
    printf("%.*s\n", STR_ARGS(text_view(&line)));
    text_done(&line);
}

static int prepare(struct load *load)
{
    const struct settings *settings = &load->settings;

    if (uri_parse(settings->target, &load->target, NULL) < 0)
        return -EINVAL;
    load->protocol = uri_is_grpc(&load->target) ? OTLP_GRPC : OTLP_HTTP_PROTOBUF;
    load->n_senders = (settings->in_flight + CALLS_PER_SENDER - 1) / CALLS_PER_SENDER;
    load->senders = calloc(load->n_senders, sizeof(struct otlp_sender *));
    load->slots = calloc(settings->in_flight, sizeof(*load->slots));
    load->begin.run = begin;
    load->look_again.run = connect_anew;
    load->ended_fd = eventfd(0, EFD_CLOEXEC);
    if (!load->senders || !load->slots || load->ended_fd < 0)
        return -ENOMEM;

    int r = load_request_init(&load->request, settings->spans, settings->span_bytes);
    for (size_t i = 0; r == 0 && i < settings->in_flight; i++) {
        struct slot *slot = &load->slots[i];
        *slot = (struct slot){
            .load = load, .call.done = call_ended, .buffer = malloc(load->request.n_bytes)};
        r = slot->buffer ? 0 : -ENOMEM;
    }
    return r;
}

static void release(struct load *load)
{
    for (size_t i = 0; i < load->settings.in_flight; i++)
        free(load->slots[i].buffer);
    free(load->slots);
    free(load->senders);
    load_request_done(&load->request);
    load_figures_done(&load->figures);
    close(load->ended_fd);
}

static int run(struct load *load, const sigset_t *signals)
{
    int r = rpc_worker_new(&load->worker, "load");
    if (r == 0)
        r = rpc_worker_start(load->worker);
    if (r < 0)
        return process_complain("the worker", r);

    rpc_worker_post(load->worker, &load->begin);
    wait_for_end(load, signals);
    rpc_worker_stop(load->worker);
    close_senders(load);
    print_figures(load);
    rpc_worker_free(load->worker);
    return 0;
}

int main(int argc, char *argv[])
{
    static struct load                        load;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(SETTINGS_ARENA_BYTES);
    sigset_t                                  signals;
    char                                      error[256];

    if (settings_read(table, ARRAY_LENGTH(table), &load.settings, argc, argv, getenv, arena, error,
                      sizeof(error)) != SETTINGS_READY ||
        prepare(&load) < 0) {
        settings_print_help(table, ARRAY_LENGTH(table), stderr);
        return 2;
    }
    log_configure(LOG_INFO, LOG_JSON);
    setvbuf(stdout, NULL, _IOLBF, 0);
    process_block_signals(&signals);
    process_raise_descriptor_limit();
    rpc_init();
    int r = run(&load, &signals);
    rpc_shutdown();
    release(&load);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
