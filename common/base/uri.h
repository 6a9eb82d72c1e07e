#pragma once

/*
 * Uri: where another program is to be found: grpc://host:port, or http://host[:port][/path].
 * IPv6 addresses stand in brackets. No user part, no fragment.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/base/text.h"

enum uri_scheme { URI_GRPC, URI_GRPCS, URI_HTTP, URI_HTTPS };

/* Views into the text that was parsed. */
struct uri {
    struct str      text; /* all of it */
    struct str      host; /* without brackets */
    struct str      path; /* with query; "/" when absent */
    enum uri_scheme scheme;
    uint16_t        port; /* from the scheme when the text has none: 80, 443 */
    bool            is_ipv6;
};

/*
 * 0, or -EINVAL with `*ret_reason` saying what is wrong (a constant string; it may be NULL to ask
 * for none).
 */
int uri_parse(struct str text, struct uri *ret_uri, const char **ret_reason);

/*
 * The addresses of one peer, "grpc://a:1|b:2": the first names the scheme, the
 * others may leave it out but not change it. Sets `uris` (at most `max`) and the
 * count. Errors as uri_parse.
 */
int uri_parse_addresses(struct str text, struct uri uris[], size_t max, size_t *ret_count,
                        const char **ret_reason);

/*
 * "host:port" alone, which is no URI: `path` is then "/", and `scheme` means nothing.
 * Errors as uri_parse.
 */
int uri_parse_host_port(struct str text, struct uri *ret_uri, const char **ret_reason);

/* "host:port", with brackets around an IPv6 address; always with the port. */
void uri_add_authority(struct text *text, const struct uri *uri);

/* grpc:// and grpcs:// */
bool uri_is_grpc(const struct uri *uri);

/* A name (RFC 1123, and underscores), or an IPv4 address. */
bool uri_is_host(struct str host);

/* An IPv6 address, without brackets. */
bool uri_is_ipv6_address(struct str host);
