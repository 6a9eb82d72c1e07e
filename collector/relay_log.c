#include "collector/relay_log.h"

#include "common/base/clock.h"
#include "common/base/log.h"

enum { REFUSALS_EVERY_S = 10 };

static void log_retry(const struct relay_books *books)
{
    log_warning("a destination does not take spans; they wait in the journal",
                log_str("destination", books->name), log_text("why", books->last_error),
                log_int("retry_in_ms", books->retry_in_ns / NS_PER_MS),
                log_int("queued_spans", (int64_t)books->queued));
}

static void log_refusal(const struct relay_books *books)
{
    static struct log_limit limit = {.interval_ns = (int64_t)REFUSALS_EVERY_S * NS_PER_S};
    uint64_t                suppressed;

    if (log_limit_allows(&limit, clock_monotonic_ns(), &suppressed))
        log_warning("a destination refused spans for good; they are counted and dropped",
                    log_str("destination", books->name), log_text("why", books->last_error),
                    log_int("not_logged", (int64_t)suppressed));
}

void relay_log_event(enum relay_event event, const struct relay_books *books, void *context)
{
    (void)context;

    switch (event) {
    case RELAY_FAILS:
        log_retry(books);
        break;
    case RELAY_WORKS:
        log_info("a destination takes spans again", log_str("destination", books->name),
                 log_int("queued_spans", (int64_t)books->queued));
        break;
    case RELAY_REFUSES:
        log_refusal(books);
        break;
    }
}

void relay_log_left(struct relay *relay)
{
    for (size_t i = 0; i < relay_destinations(relay); i++) {
        struct relay_books books;

        relay_read_books(relay, i, &books);
        if (books.queued > 0)
            log_warning("not everything was delivered; the rest stays in the journal",
                        log_str("destination", books.name),
                        log_int("spans", (int64_t)books.queued));
    }
}
