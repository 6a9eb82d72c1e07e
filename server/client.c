#include "server/client.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "common/base/arena.h"
#include "server/render.h"

enum { CALL_ARENA_BYTES = 8 * 1024 * 1024, FIRST_TEXT_BYTES = 512 };

static const char call_flag[] = "--call";
static const char header_flag[] = "--header";

/* The value of `flag` at argv[*at], which stands in the same word or in the next; NULL: no such
 * flag. */
static const char *flag_value(const char *flag, int argc, char *argv[], int *at)
{
    size_t      length = strlen(flag);
    const char *word = argv[*at];

    assert(word);
    if (strncmp(word, flag, length) != 0)
        return NULL;
    if (word[length] == '=')
        return word + length + 1;
    if (word[length] != '\0')
        return NULL;
    return *at + 1 < argc ? argv[++*at] : "";
}

static bool is_call(int argc, char *argv[])
{
    for (int i = 1; i < argc; i++) {
        if (flag_value(call_flag, argc, argv, &i))
            return true;
    }
    return false;
}

/* "name: value", as curl takes it. */
static int add_header(struct client_options *options, struct arena *arena, const char *text,
                      struct complaint complaint)
{
    struct str before = {0};
    struct str after = {0};

    bool       is_header = str_split(str_from(text), ':', &before, &after);
    struct str value = str_trim(after);
    struct str name = arena_lower(arena, str_trim(before));
    if (!is_header || str_is_empty(name) || !metadata_is_value(value))
        return complain(complaint, "%s %s: that is no header; it is written 'name: value'",
                        header_flag, text);
    return metadata_add(&options->headers, arena, name, value);
}

/* The URI of the call is the hop's one upstream. */
static int keep_uri(char **ret_word, const char *uri, struct arena *arena,
                    struct complaint complaint)
{
    if (!*uri || strchr(uri, ','))
        return complain(complaint, "%s %s: one URI is wanted", call_flag, uri);

    struct str word = arena_format(arena, "--upstream-uri=%s", uri);
    if (!word.at)
        return -ENOMEM;
    *ret_word = (char *)word.at;
    return 0;
}

int client_options_take(int *argc, char *argv[], struct arena *arena,
                        struct client_options *ret_options, struct complaint complaint)
{
    struct client_options options = {.is_wanted = is_call(*argc, argv)};
    int                   n_left = 1;

    for (int i = 1, r = 0; options.is_wanted && i < *argc; i++) {
        const char *uri = flag_value(call_flag, *argc, argv, &i);
        const char *header = uri ? NULL : flag_value(header_flag, *argc, argv, &i);

        if (uri)
            r = keep_uri(&argv[n_left++], uri, arena, complaint);
        else if (header)
            r = add_header(&options, arena, header, complaint);
        else
            argv[n_left++] = argv[i];
        if (r < 0)
            return r;
    }
    if (options.is_wanted) {
        *argc = n_left;
        argv[n_left] = NULL;
    }
    *ret_options = options;
    return 0;
}

/* One call, which starts and ends on the worker, and the main thread that waits for it. */
struct inquiry {
    struct upstream_call call;
    struct span          span;
    struct rpc_task      task;
    pthread_mutex_t      lock;
    pthread_cond_t       news;

    struct {
        bool is_over;
    } locked;
};

static void end(struct inquiry *inquiry)
{
    pthread_mutex_lock(&inquiry->lock);
    inquiry->locked.is_over = true;
    pthread_cond_signal(&inquiry->news);
    pthread_mutex_unlock(&inquiry->lock);
}

static void call_ended(struct upstream_call *call)
{
    end(call->context);
}

static void start(struct rpc_task *task)
{
    struct inquiry *inquiry = container_of(task, struct inquiry, task);

    if (!upstream_call_start(&inquiry->call))
        end(inquiry);
}

static void wait_for_end(struct inquiry *inquiry)
{
    pthread_mutex_lock(&inquiry->lock);
    while (!inquiry->locked.is_over)
        pthread_cond_wait(&inquiry->news, &inquiry->lock);
    pthread_mutex_unlock(&inquiry->lock);
}

/* The caller as the root of the tree; it is no hop, so it costs nothing. */
static int print(const struct hop *hop, struct upstream_result *result, struct arena *arena,
                 FILE *to)
{
    struct text           text = text_in_arena(arena, FIRST_TEXT_BYTES);
    const struct failure *failure = chain_failure(result, 1, FAILURE_PROPAGATES);
    struct reply          self = {.name = hop->config->name,
                                  .duration_us = result->duration_us,
                                  .calls = chain_calls(result, 1) - 1,
                                  .upstreams = result,
                                  .n_upstreams = 1};

    render_text(&(struct rendering){.reply = &self, .failure = failure, .is_detailed = true},
                &text);
    if (text.is_cut)
        return -ENOMEM;
    fwrite(text_view(&text).at, 1, text_view(&text).len, to);
    return failure ? -EREMOTEIO : 0;
}

int client_call(struct hop *hop, const struct metadata *headers, FILE *to)
{
    cleanup_with(arena_free_at) struct arena *arena = arena_new(CALL_ARENA_BYTES);
    struct inquiry inquiry = {.lock = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER};
    struct instant now = clock_instant();
    if (!arena)
        return -ENOMEM;

    tracer_begin_server(hop->tracer, &inquiry.span, STR("call"), headers, (struct span_id){0},
                        now.realtime_ns);
    inquiry.task.run = start;
    inquiry.call = (struct upstream_call){
        .hop = hop,
        .upstream = &hop->upstreams[0],
        .worker = hop->workers[0].rpc,
        .arena = arena,
        .parent = &inquiry.span,
        .headers = headers,
        .anchor = now,
        .deadline_ns = now.monotonic_ns + hop->config->settings.upstream_timeout_ns,
        .done = call_ended,
        .context = &inquiry,
    };
    int r = rpc_worker_start(hop->workers[0].rpc);
    if (r < 0)
        return r;
    rpc_worker_post(hop->workers[0].rpc, &inquiry.task);
    wait_for_end(&inquiry);
    /* What ended the call may still be on its way out of it. */
    rpc_worker_stop(hop->workers[0].rpc);
    tracer_end(hop->tracer, &inquiry.span, instant_realtime_ns(now, clock_monotonic_ns()));
    return print(hop, &inquiry.call.result, arena, to);
}
