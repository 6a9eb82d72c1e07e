#include "server/wall_clock.h"

#include <time.h>

#include "common/base/clock.h"

void wall_clock_render(int64_t realtime_ns, struct text *to)
{
    time_t    seconds = realtime_ns / NS_PER_S;
    struct tm utc;
    gmtime_r(&seconds, &utc);

    int hour = utc.tm_hour % 12 == 0 ? 12 : utc.tm_hour % 12;
    text_add_format(to, "{\"time\":\"%02d:%02d:%02d %s\",", hour, utc.tm_min, utc.tm_sec,
                    utc.tm_hour < 12 ? "AM" : "PM");
    text_add_format(to, "\"milliseconds_since_epoch\":%lld,", (long long)(realtime_ns / NS_PER_MS));
    text_add_format(to, "\"date\":\"%02d-%02d-%04d\"}", utc.tm_mon + 1, utc.tm_mday,
                    utc.tm_year + 1900);
}
