#include "server/page.h"

#include "common/base/cleanup.h"

/* One header that a request may carry, as something to fill in. */
struct control {
    struct str name;
    struct str purpose;
    struct str examples[4]; /* up to the first empty one */
};

static const struct control controls[] = {
    {STR_INIT("fail"),
     STR_INIT("what shall go wrong, and where"),
     {STR_INIT("0.3"), STR_INIT("backend=1"), STR_INIT("middleware/canary=1"),
      STR_INIT("first-2")}},
    {STR_INIT("delay"),
     STR_INIT("what shall be slow"),
     {STR_INIT("200ms"), STR_INIT("backend=100ms"), STR_INIT("1s:0.1")}},
    {STR_INIT("x-dev-user"), STR_INIT("who asks"), {STR_INIT("super-secret")}},
};

/* The script makes a button of each example. */
static void add_examples(struct text *to, const struct control *control)
{
    for (size_t i = 0; i < ARRAY_LENGTH(control->examples); i++)
        page_add_around(to, STR(" <code data-example>"), control->examples[i], STR("</code>"));
}

static void add_control(struct text *to, const struct control *control, struct str value)
{
    struct str name = control->name;

    text_add_format(to,
                    "<div class=\"control\">\n"
                    "<label for=\"%.*s\"><code>%.*s</code> %.*s</label>\n"
                    "<input id=\"%.*s\" name=\"%.*s\" value=\"",
                    STR_ARGS(name), STR_ARGS(name), STR_ARGS(control->purpose), STR_ARGS(name),
                    STR_ARGS(name));
    text_add_html(to, value);
    text_add_format(to,
                    "\" aria-describedby=\"%.*s-examples\" autocomplete=\"off\" "
                    "autocapitalize=\"none\" spellcheck=\"false\">\n"
                    "<p id=\"%.*s-examples\" class=\"examples\">like",
                    STR_ARGS(name), STR_ARGS(name));
    add_examples(to, control);
    text_add(to, STR("</p>\n</div>\n"));
}

/* What is marked `data-scripted` is shown by the script, which gives it its meaning. */
void page_add_form(struct text *to, const struct request_headers *asked)
{
    const struct str values[] = {asked->fail, asked->delay, asked->user};

    text_add(to, STR("<form class=\"card\" method=\"get\" action=\"?\" aria-labelledby=\"form\">\n"
                     "<h2 id=\"form\">Ask again</h2>\n<div class=\"controls\">\n"));
    for (size_t i = 0; i < ARRAY_LENGTH(controls); i++)
        add_control(to, &controls[i], values[i]);
    text_add(to, STR("</div>\n<p class=\"buttons\">\n"
                     "<button data-count=\"1\">Send<span data-scripted hidden> 1</span></button>\n"
                     "<button data-count=\"20\" data-scripted hidden>Send 20</button>\n"
                     "<button data-count=\"100\" data-scripted hidden>Send 100</button>\n"
                     "<a href=\"?\">Clear</a>\n"
                     "</p>\n</form>\n"));
}
