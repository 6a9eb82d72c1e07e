#pragma once

/*
 * What settings.c, settings_value.c and settings_help.c share: storing one
 * value, naming a setting and describing what it takes.
 */

#include "common/base/settings.h"
#include "common/base/text.h"

/* Where a value goes, and what it is. */
struct setting_slot {
    const struct setting *setting;
    struct str            text;
    struct arena         *arena;
    void                 *at;
    double                number; /* what the limits are for, in the kinds that have them */
};

/* Reads the slot's text and stores its value. 0, -EINVAL, -ERANGE or -ENOMEM. */
int setting_store(struct setting_slot *slot);

/* "--http-listen" */
void setting_add_flag(struct text *text, const struct setting *setting);

/* "a whole number" */
void setting_add_form(struct text *text, const struct setting *setting);

/* A limit, as a user would write it. */
void setting_add_number(struct text *text, const struct setting *setting, double number);
