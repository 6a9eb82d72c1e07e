#pragma once

/*
 * Load request: an ExportTraceServiceRequest that is made once and sent many times, each time with
 * span ids that count on from another number. Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct load_request {
    char   *bytes;
    size_t  n_bytes;
    size_t  n_spans;
    size_t *id_offsets; /* of the span ids, in order */
};

/* Spans of about `span_bytes`. 0 or -ENOMEM. */
int  load_request_init(struct load_request *request, size_t n_spans, size_t span_bytes);
void load_request_done(struct load_request *request);

/* Writes a copy to `buffer` (n_bytes): ids `first_id`, first_id + 1, ..., all of one trace. */
struct str load_request_number(const struct load_request *request, uint64_t first_id, char *buffer);
