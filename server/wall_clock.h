#pragma once

/*
 * Wall clock: what GET /time answers, so that the lesson about leaving the mesh
 * needs no third party. Pure.
 */

#include <stdint.h>

#include "common/base/text.h"

/* {"time":"12:43:09 AM","milliseconds_since_epoch":1515026589163,"date":"01-04-2018"}, in UTC. */
void wall_clock_render(int64_t realtime_ns, struct text *to);
