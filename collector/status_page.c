#include "collector/status_page.h"

#include <string.h>

/* One member; `*is_first` leaves out the comma. */
static void add_key(struct text *to, bool *is_first, struct str key)
{
    if (!*is_first)
        text_add_char(to, ',');
    *is_first = false;
    text_add_json(to, key);
    text_add_char(to, ':');
}

static void add_number(struct text *to, bool *is_first, struct str key, uint64_t value)
{
    add_key(to, is_first, key);
    text_add_uint(to, value);
}

static void add_text(struct text *to, bool *is_first, struct str key, struct str value)
{
    add_key(to, is_first, key);
    text_add_json(to, value);
}

static void render_receivers(const struct intake *intake, struct text *to)
{
    bool is_first = true;

    text_add_char(to, '{');
    for (unsigned receiver = 0; receiver < RECEIVER_COUNT; receiver++) {
        bool is_first_figure = true;

        add_key(to, &is_first, receiver_name((enum receiver)receiver));
        text_add_char(to, '{');
        add_number(to, &is_first_figure, STR("requests"),
                   metrics_value(intake->requests[receiver]));
        add_number(to, &is_first_figure, STR("spans"), metrics_value(intake->spans[receiver]));
        add_number(to, &is_first_figure, STR("bad_spans"),
                   metrics_value(intake->bad_spans[receiver]));
        text_add_char(to, '}');
    }
    text_add_char(to, '}');
}

static void render_journal(const struct status_page *page, struct text *to)
{
    static const char *const durabilities[] = {"sync", "interval", "none"};
    struct journal_figures   figures = journal_figures(page->journal);
    struct journal_position  begin = journal_begin(page->journal);
    struct journal_position  end = journal_end(page->journal);
    bool                     is_first = true;

    text_add_char(to, '{');
    add_text(to, &is_first, STR("directory"), str_from(page->config->journal_dir));
    add_text(to, &is_first, STR("durability"),
             str_from(durabilities[page->config->settings.durability]));
    add_text(to, &is_first, STR("trouble"),
             str_from(figures.trouble < 0 ? strerror(-figures.trouble) : ""));
    add_number(to, &is_first, STR("max_bytes"), page->config->settings.journal_max_bytes);
    add_number(to, &is_first, STR("disk_bytes"), journal_disk_bytes(page->journal));
    add_number(to, &is_first, STR("waiting_bytes"), figures.waiting_bytes);
    add_number(to, &is_first, STR("begin_span"), begin.span);
    add_number(to, &is_first, STR("end_span"), end.span);
    add_number(to, &is_first, STR("appended_spans"), figures.appended_spans);
    add_number(to, &is_first, STR("appended_records"), figures.appended_records);
    add_number(to, &is_first, STR("groups"), figures.groups);
    add_number(to, &is_first, STR("syncs"), figures.syncs);
    add_number(to, &is_first, STR("failed_writes"), figures.failed_writes);
    add_number(to, &is_first, STR("skipped_bytes"), figures.skipped_bytes);
    text_add_char(to, '}');
}

static void render_counts(const struct relay_books *books, struct text *to, bool *is_first,
                          struct str group, enum relay_count first, enum relay_count last)
{
    bool is_first_count = true;

    add_key(to, is_first, group);
    text_add_char(to, '{');
    for (unsigned count = first; count <= last; count++)
        add_number(to, &is_first_count, relay_count_reason((enum relay_count)count),
                   books->counts[count]);
    text_add_char(to, '}');
}

static void render_destination(const struct relay_books *books, struct text *to)
{
    bool is_first = true;

    text_add_char(to, '{');
    add_text(to, &is_first, STR("name"), books->name);
    add_number(to, &is_first, STR("received"), books->received);
    add_number(to, &is_first, STR("delivered"), books->counts[RELAY_DELIVERED]);
    add_number(to, &is_first, STR("queued"), books->queued);
    render_counts(books, to, &is_first, STR("rejected"), RELAY_REJECTED_REFUSED,
                  RELAY_REJECTED_TOO_LARGE);
    render_counts(books, to, &is_first, STR("expired"), RELAY_EXPIRED_SIZE, RELAY_EXPIRED_AGE);
    render_counts(books, to, &is_first, STR("lost"), RELAY_LOST_DAMAGED, RELAY_LOST_DAMAGED);
    add_number(to, &is_first, STR("queued_bytes"), books->queued_bytes);
    add_number(to, &is_first, STR("in_flight_calls"), books->in_flight_calls);
    add_number(to, &is_first, STR("in_flight_spans"), books->in_flight_spans);
    add_number(to, &is_first, STR("calls"), books->calls);
    add_number(to, &is_first, STR("retries"), books->retries);
    add_number(to, &is_first, STR("duplicates_at_most"), books->duplicates_at_most);
    add_number(to, &is_first, STR("batch_limit_bytes"), books->batch_limit_bytes);
    add_key(to, &is_first, STR("is_backing_off"));
    text_add(to, books->is_backing_off ? STR("true") : STR("false"));
    add_text(to, &is_first, STR("last_error"), str_from(books->last_error));
    text_add_char(to, '}');
}

static void render_destinations(struct relay *relay, struct text *to)
{
    text_add_char(to, '[');
    for (size_t i = 0; i < relay_destinations(relay); i++) {
        struct relay_books books;

        relay_read_books(relay, i, &books);
        if (i > 0)
            text_add_char(to, ',');
        render_destination(&books, to);
    }
    text_add_char(to, ']');
}

void status_page_render(const struct status_page *page, struct text *to)
{
    bool is_first = true;

    text_add_char(to, '{');
    add_text(to, &is_first, STR("program"), STR("tracehop-collector"));
    add_text(to, &is_first, STR("version"), STR(TRACEHOP_VERSION));
    add_key(to, &is_first, STR("receivers"));
    render_receivers(page->intake, to);
    if (page->journal) {
        add_key(to, &is_first, STR("journal"));
        render_journal(page, to);
    }
    add_key(to, &is_first, STR("destinations"));
    if (page->relay)
        render_destinations(page->relay, to);
    else
        text_add(to, STR("[]"));
    text_add(to, STR("}\n"));
}
