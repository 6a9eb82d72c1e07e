#pragma once

/*
 * Zipkin: a list of Zipkin v2 spans, as JSON or protobuf (zipkin.proto3.ListOfSpans), to the
 * bytes of an ExportTraceServiceRequest. The good spans of a list are kept, the bad ones
 * counted. Pure.
 *
 * Rules: zipkin-api's zipkin2-api.yaml and zipkin.proto; OpenTelemetry specification,
 * trace/sdk_exporters/zipkin.md, for what becomes of each member; lenient in the types of numbers,
 * for senders are (istio/istio#32026).
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct arena;

struct zipkin_result {
    struct str request; /* in the arena; passes the skim */
    uint32_t   n_spans;
    uint32_t   n_bad;  /* spans that were left out */
    struct str reason; /* what is wrong with the first of those; in the arena or a constant */
};

/*
 * 0; -EBADMSG when the document itself cannot be read (also: it is v1), and `ret_result->reason`
 * says why; -E2BIG when the result would be more than `max_bytes`; -ENOMEM.
 * A usual list takes its own size of the arena (in protobuf, twice that) and a little more; one
 * whose spans grow takes several times as much, within the arena's budget.
 */
int zipkin_read_json(struct str json, size_t max_bytes, struct arena *arena,
                     struct zipkin_result *ret_result);
int zipkin_read_protobuf(struct str list, size_t max_bytes, struct arena *arena,
                         struct zipkin_result *ret_result);
