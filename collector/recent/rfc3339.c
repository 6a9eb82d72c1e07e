#include "collector/recent/rfc3339.h"

#include <errno.h>
#include <stdbool.h>
#include <time.h>

#include "common/base/clock.h"

/* Cuts exactly `n` digits off `s`. */
static bool cut_number(struct str *s, size_t n, int *ret_number)
{
    int number = 0;

    if (s->len < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s->at[i] < '0' || s->at[i] > '9')
            return false;
        number = number * 10 + (s->at[i] - '0');
    }
    *s = (struct str){s->at + n, s->len - n};
    *ret_number = number;
    return true;
}

static bool cut_char(struct str *s, char c)
{
    if (s->len == 0 || s->at[0] != c)
        return false;

    *s = (struct str){s->at + 1, s->len - 1};
    return true;
}

static bool cut_date(struct str *s, struct tm *date)
{
    if (!cut_number(s, 4, &date->tm_year) || !cut_char(s, '-') ||
        !cut_number(s, 2, &date->tm_mon) || !cut_char(s, '-') || !cut_number(s, 2, &date->tm_mday))
        return false;

    date->tm_year -= 1900;
    date->tm_mon -= 1;
    return true;
}

/* Both letters may be in lower case. */
static bool cut_time(struct str *s, struct tm *time)
{
    return (cut_char(s, 'T') || cut_char(s, 't')) && cut_number(s, 2, &time->tm_hour) &&
           cut_char(s, ':') && cut_number(s, 2, &time->tm_min) && cut_char(s, ':') &&
           cut_number(s, 2, &time->tm_sec) && time->tm_hour < 24 && time->tm_min < 60 &&
           time->tm_sec < 60;
}

static bool cut_fraction(struct str *s, int64_t *ret_ns)
{
    int64_t ns = 0;
    int64_t unit = NS_PER_S / 10;
    int     digit;

    if (cut_char(s, '.')) {
        if (!cut_number(s, 1, &digit))
            return false;
        do {
            ns += digit * unit;
            unit /= 10;
        } while (cut_number(s, 1, &digit));
    }
    *ret_ns = ns;
    return true;
}

static bool cut_offset(struct str *s, int64_t *ret_s)
{
    int  hours, minutes;
    bool is_east = cut_char(s, '+');

    if (!is_east && (cut_char(s, 'Z') || cut_char(s, 'z'))) {
        *ret_s = 0;
        return true;
    }
    if ((!is_east && !cut_char(s, '-')) || !cut_number(s, 2, &hours) || !cut_char(s, ':') ||
        !cut_number(s, 2, &minutes) || hours >= 24 || minutes >= 60)
        return false;

    int64_t offset_s = hours * 3600 + minutes * 60;
    *ret_s = is_east ? offset_s : -offset_s;
    return true;
}

/* timegm counts February 30 as March 2, and tells by changing the date. */
static bool seconds_since_1970(struct tm time, int64_t *ret_s)
{
    struct tm normal = time;

    *ret_s = timegm(&normal);
    return normal.tm_mday == time.tm_mday && normal.tm_mon == time.tm_mon;
}

int rfc3339_parse(struct str s, uint64_t *ret_ns)
{
    struct tm time = {0};
    int64_t   second_s, fraction_ns, offset_s;

    if (!cut_date(&s, &time) || !cut_time(&s, &time) || !cut_fraction(&s, &fraction_ns) ||
        !cut_offset(&s, &offset_s) || s.len > 0 || !seconds_since_1970(time, &second_s))
        return -EINVAL;

    second_s -= offset_s;
    if (second_s < 0)
        *ret_ns = 0;
    else if ((uint64_t)second_s >= UINT64_MAX / NS_PER_S)
        *ret_ns = UINT64_MAX;
    else
        *ret_ns = (uint64_t)second_s * NS_PER_S + (uint64_t)fraction_ns;
    return 0;
}
