#pragma once

/*
 * Skim: one look at the bytes of an ExportTraceServiceRequest from a stranger, before they
 * are kept and sent on as they came. What it accepts, every other parser must accept too
 * (protobuf for Go and for C++, the OpenTelemetry Collector's pdata), for one request that
 * a destination cannot parse would spoil the batch it travels in. Allocates nothing; pure.
 *
 * Refused: what wire_next refuses (groups, field 0, varints and lengths out of range), a known
 * field with another wire type, an id that is neither empty nor of its full length, a string
 * that is not UTF-8, more than SKIM_MAX_DEPTH nested messages, 2 GiB and more, the field that came
 * before scope_spans and that the Collector still reads. Other unknown fields pass.
 */

#include <stdint.h>

#include "common/base/str.h"

enum { SKIM_MAX_DEPTH = 64 };

/*
 * 0 and the number of spans (0 of them is fine), or -EBADMSG and what is wrong (a constant
 * string, for the sender). Outputs may not be NULL.
 */
int skim_request(struct str request, uint32_t *ret_n_spans, const char **ret_reason);
