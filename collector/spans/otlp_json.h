#pragma once

/*
 * Otlp json: an ExportTraceServiceRequest from its JSON form to its bytes. Pure.
 *
 * Rules: OTLP specification, "JSON Protobuf Encoding"; protobuf's JSON mapping. Ids are hex in any
 * case; enums are numbers (names are understood too); 64-bit numbers are numbers or strings;
 * unknown members are ignored; null is the default; lone surrogates and more than 64 levels are
 * refused; a member that comes twice counts like a field that comes twice in protobuf.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct arena;

/*
 * 0 and the bytes, in `arena`, which pass the skim; -EBADMSG and what is wrong (in `arena`,
 * or a constant; for the sender); -E2BIG when they would be more than `max_bytes`; -ENOMEM.
 * Takes at most three times the size of `json` of the arena, for a usual one hardly more than once.
 */
int otlp_json_read(struct str json, size_t max_bytes, struct arena *arena, struct str *ret_request,
                   struct str *ret_reason);
