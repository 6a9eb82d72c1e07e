#pragma once

/*
 * Fault: what the headers `fail` and `delay` ask of a hop. Pure: text in, plan
 * out; plan, hop, attempt and a draw in, decision out.
 *
 *     value  = item *( ";" item )
 *     item   = [ role [ "/" version ] "=" ] what *( ":" option )
 *     fail:  what = probability | "first-" N     option = status | "trailers"
 *     delay: what = duration                     option = probability
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/base/str.h"

struct arena;

enum { FAULT_MAX_ITEMS = 32, FAULT_MAX_DELAY_S = 30 };

struct fault_target {
    struct str role, version; /* empty: any */
};

struct fault_status {
    enum status status;
    int         http_code;
};

struct fail_item {
    struct fault_target target;
    uint32_t            first_attempts; /* fail attempts 1 to this one; 0: by probability */
    double              probability;
    struct fault_status status;
    bool                headers_first; /* :trailers */
};

struct delay_item {
    struct fault_target target;
    int64_t             delay_ns; /* at most FAULT_MAX_DELAY_S */
    double              probability;
};

/*
 * Views into the headers. What cannot be parsed is left out and kept in `bad`: all
 * of it counted, the first items named.
 */
struct fault_plan {
    struct fail_item  fails[FAULT_MAX_ITEMS];
    size_t            n_fails;
    struct delay_item delays[FAULT_MAX_ITEMS];
    size_t            n_delays;
    struct str        bad[4];
    size_t            n_bad;
};

/* Either value may be empty. Items beyond FAULT_MAX_ITEMS count as bad. */
void fault_plan_parse(struct str fail, struct str delay, struct fault_plan *ret_plan);

/* Counts one more as bad, which was so before it came to be parsed. Borrows `item`. */
void fault_plan_add_bad(struct fault_plan *plan, struct str item);

/* The item for this hop: role and version before role before any, of equals the last; or NULL. */
const struct fail_item  *fault_plan_fail_for(const struct fault_plan *plan, struct str role,
                                             struct str version);
const struct delay_item *fault_plan_delay_for(const struct fault_plan *plan, struct str role,
                                              struct str version);

/* Whether a role or version has this name: [A-Za-z0-9_.-]+, so that an item can aim at it. */
bool fault_name_is_valid(struct str name);

/* `draw` is in [0, 1); `attempt` counts from 1. */
bool fail_item_strikes(const struct fail_item *item, uint32_t attempt, double draw);
bool delay_item_strikes(const struct delay_item *item, double draw);

/*
 * What x-tracehop-warning says about the ignored items: names the first ones, as
 * visible ASCII, shortened. Empty when there is nothing to say.
 */
struct str fault_plan_warning(const struct fault_plan *plan, struct arena *arena);
