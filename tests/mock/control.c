#include "tests/mock/control.h"

#include "tests/mock/backend.h"

enum { FIRST_ANSWER_BYTES = 4096 };

static void respond_json(struct http_request *request, const struct text *body)
{
    http_respond(request, &(struct http_response){.code = 200,
                                                  .content_type = STR("application/json"),
                                                  .body = text_view(body)});
}

static void take_script(struct http_request *request, struct backend *backend)
{
    struct script script;

    if (script_parse(http_request_body(request), &script) < 0) {
        http_respond_text(request, 400, STR("not a script"));
        return;
    }
    backend_follow(backend, &script);
    http_respond_text(request, 200, STR("ok"));
}

static void answer_counts(struct http_request *request, struct backend *backend)
{
    struct text body = text_in_arena(http_request_arena(request), FIRST_ANSWER_BYTES);

    backend_render_counts(backend, &body);
    respond_json(request, &body);
}

static void answer_look(struct http_request *request, struct backend *backend)
{
    struct text body = text_in_arena(http_request_arena(request), FIRST_ANSWER_BYTES);

    if (backend_render_look(backend, http_request_body(request), &body) < 0)
        http_respond_text(request, 400, STR("lines of \"FIRST END\", please"));
    else
        respond_json(request, &body);
}

void control_handle(struct http_request *request, void *context)
{
    struct str path = http_request_path(request);

    if (str_equal(path, STR("/script")))
        take_script(request, context);
    else if (str_equal(path, STR("/counts")))
        answer_counts(request, context);
    else if (str_equal(path, STR("/look")))
        answer_look(request, context);
    else
        http_respond_text(request, 404, STR("here are /script, /counts and /look"));
}
