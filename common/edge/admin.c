#include "common/edge/admin.h"

#include "common/base/arena.h"

enum { FIRST_PAGE_BYTES = 16 * 1024 };

static void answer_ready(struct http_request *request, const struct admin *admin)
{
    if (atomic_load(&admin->is_ready))
        http_respond_text(request, 200, STR("ready"));
    else
        http_respond_text(request, 503, STR("not ready: starting or shutting down"));
}

static void answer_metrics(struct http_request *request, const struct admin *admin)
{
    struct str          accept = metadata_find(http_request_headers(request), STR("accept"));
    enum metrics_format format = metrics_negotiate(accept);
    struct text         page = text_on_heap(FIRST_PAGE_BYTES);

    metrics_render(admin->metrics, format, &page);
    http_respond(request, &(struct http_response){.code = 200,
                                                  .content_type = metrics_content_type(format),
                                                  .body = text_view(&page)});
    text_done(&page);
}

static void answer_not_found(struct http_request *request, const struct admin *admin)
{
    struct str line = arena_format(http_request_arena(request),
                                   "not found: here are /healthz, /readyz, /metrics%.*s",
                                   STR_ARGS(admin->other_pages));

    http_respond_text(request, 404, line.at ? line : STR("not found"));
}

void admin_handle(struct http_request *request, void *context)
{
    const struct admin *admin = context;
    struct str          path = http_request_path(request);
    bool                is_health = str_equal(path, STR("/healthz"));
    bool                is_ready = str_equal(path, STR("/readyz"));
    bool                is_metrics = str_equal(path, STR("/metrics"));

    if (!is_health && !is_ready && !is_metrics)
        answer_not_found(request, admin);
    else if (!http_request_is_read(request))
        http_respond_not_allowed(request, STR("GET, HEAD"));
    else if (is_health)
        http_respond_text(request, 200, STR("ok"));
    else if (is_ready)
        answer_ready(request, admin);
    else
        answer_metrics(request, admin);
}

void admin_set_ready(struct admin *admin, bool is_ready)
{
    atomic_store(&admin->is_ready, is_ready);
}
