#pragma once

/*
 * Status page: the collector's books as JSON, for people and tests: what came in, what the
 * journal holds, and for each destination what became of every span.
 *
 * Threads: the admin server's.
 */

#include "collector/config.h"
#include "collector/intake.h"
#include "common/base/text.h"

struct relay;

struct status_page {
    const struct collector_config *config;
    const struct intake           *intake;
    struct journal                *journal; /* NULL, as the relay: no destinations */
    struct relay                  *relay;
};

void status_page_render(const struct status_page *page, struct text *to);
