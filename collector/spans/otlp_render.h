#pragma once

/*
 * Otlp render: messages of the schema from their bytes to JSON, the other way of otlp_json. Pure.
 * 64-bit numbers are strings, ids hex, bytes base64, enums numbers; defaults are left out, as
 * the protobuf JSON mapping says. Unknown fields are left out.
 */

#include "collector/spans/otlp_schema.h"
#include "common/base/text.h"

/* One JSON object. */
void otlp_render(const struct otlp_message *type, struct str message, struct text *to);
