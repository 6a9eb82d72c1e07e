#include "server/export_log.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/config.h"

enum { REFUSALS_EVERY_S = 10 };

static void log_failure(const struct server_config *config, const char *why)
{
    bool is_grpc = config->settings.otel_protocol == OTLP_GRPC;

    log_warning("the collector does not take spans; they wait, and what finds no room is dropped",
                log_str("collector", config->otlp_endpoint.text),
                log_text("protocol", is_grpc ? "grpc" : "http/protobuf"), log_text("why", why));
}

static void log_refusal(const struct server_config *config, const char *why)
{
    static struct log_limit limit = {.interval_ns = (int64_t)REFUSALS_EVERY_S * NS_PER_S};
    uint64_t                suppressed;

    if (log_limit_allows(&limit, clock_monotonic_ns(), &suppressed))
        log_warning("the collector refused spans for good; they are counted and dropped",
                    log_str("collector", config->otlp_endpoint.text), log_text("why", why),
                    log_int("not_logged", (int64_t)suppressed));
}

void export_log_event(enum span_exporter_event event, const char *why, void *context)
{
    const struct server_config *config = context;

    switch (event) {
    case SPAN_EXPORTER_FAILS:
        log_failure(config, why);
        break;
    case SPAN_EXPORTER_WORKS:
        log_info("the collector takes spans again",
                 log_str("collector", config->otlp_endpoint.text));
        break;
    case SPAN_EXPORTER_REFUSES:
        log_refusal(config, why);
        break;
    }
}
