#pragma once

/*
 * Otlp render: messages of the schema from their bytes to JSON, the other way of otlp_json. Pure.
 * 64-bit numbers are strings, ids hex, bytes base64, enums numbers; defaults are left out, as
 * the protobuf JSON mapping says. Unknown fields are left out.
 *
 * Of a field that does not repeat the last one counts; messages that come in pieces are not
 * merged. Bytes that were not skimmed are rendered as far as they can be read, to JSON still.
 */

#include "collector/spans/otlp_schema.h"
#include "common/base/text.h"

/* One JSON object. */
void otlp_render(const struct otlp_message *type, struct str message, struct text *to);
