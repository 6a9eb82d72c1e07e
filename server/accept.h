#pragma once

/*
 * Accept: which form of the answer a client would like best. Pure. Rules: RFC 9110, 12.5.1.
 */

#include "common/base/str.h"

enum form { FORM_TEXT, FORM_JSON, FORM_HTML, FORM_COUNT };

/*
 * The form with the highest quality; of equals the one whose range is more
 * specific, then the order text, JSON, HTML. An absent or malformed header, and
 * one that accepts none of the three, give FORM_TEXT.
 */
enum form accept_negotiate(struct str accept);

/* "text/plain; charset=utf-8", ... */
struct str form_content_type(enum form form);
