#include "collector/front_admin.h"

#include "collector/recent/api_v3.h"

enum { FIRST_PAGE_BYTES = 4096 };

static void answer_status(struct http_request *request, const struct status_page *status)
{
    struct text page = text_on_heap(FIRST_PAGE_BYTES);

    status_page_render(status, &page);
    http_respond(request, &(struct http_response){.code = 200,
                                                  .content_type = STR("application/json"),
                                                  .body = text_view(&page)});
    text_done(&page);
}

static void answer_own(struct http_request *request, const struct front_admin *front,
                       bool is_status)
{
    if (!http_request_is_read(request))
        http_respond_not_allowed(request, STR("GET, HEAD"));
    else if (is_status)
        answer_status(request, &front->status);
    else if (front->recent)
        api_v3_handle(request, front->recent);
    else
        http_respond_text(request, 404, STR("not found: RECENT_TRACES is 0, none are kept"));
}

void front_admin_handle(struct http_request *request, void *context)
{
    struct front_admin *front = context;
    struct str          path = http_request_path(request);
    bool                is_status = str_equal(path, STR("/status"));

    if (is_status || str_starts_with(path, STR("/api/v3/")))
        answer_own(request, front, is_status);
    else
        admin_handle(request, &front->admin);
}
