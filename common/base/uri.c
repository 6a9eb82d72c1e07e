#include "common/base/uri.h"

#include <arpa/inet.h>
#include <errno.h>

#include "common/base/cleanup.h"

enum { MAX_HOST_LENGTH = 253, MAX_LABEL_LENGTH = 63 };

static const struct {
    struct str name;
    uint16_t   default_port; /* 0: the port must be given */
} schemes[] = {
    [URI_GRPC] = {STR_INIT("grpc"), 0},
    [URI_GRPCS] = {STR_INIT("grpcs"), 0},
    [URI_HTTP] = {STR_INIT("http"), 80},
    [URI_HTTPS] = {STR_INIT("https"), 443},
};

/* The parts below answer with what is wrong, or NULL. */

static const char *parse_scheme(struct str name, enum uri_scheme *ret_scheme)
{
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++)
        if (str_equal_ignore_case(name, schemes[i].name)) {
            *ret_scheme = (enum uri_scheme)i;
            return NULL;
        }
    return "the scheme is none of grpc, grpcs, http, https";
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alphanumeric(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_address(int family, struct str host)
{
    char text[INET6_ADDRSTRLEN];
    char address[sizeof(struct in6_addr)];

    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    return strlen(text) == host.len && inet_pton(family, text, address) == 1;
}

/* The underscore is in no host's name by RFC 1123, but in many a container's. */
static bool is_label(struct str label)
{
    if (label.len == 0 || label.len > MAX_LABEL_LENGTH)
        return false;
    if (label.at[0] == '-' || label.at[label.len - 1] == '-')
        return false;

    for (size_t i = 0; i < label.len; i++)
        if (!is_alphanumeric(label.at[i]) && label.at[i] != '-' && label.at[i] != '_')
            return false;
    return true;
}

static bool is_all_digits(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.at[i]))
            return false;
    return true;
}

static const char *check_name(struct str host)
{
    struct str rest = host, label = {0};

    if (str_is_empty(host))
        return "the host is missing";
    if (host.len > MAX_HOST_LENGTH)
        return "the host is longer than 253 characters";

    while (str_cut(&rest, '.', &label))
        if (!is_label(label))
            return "the host is not a name";
    /* No top-level domain is a number, so this is an address or a mistake. */
    if (is_all_digits(label) && !is_address(AF_INET, host))
        return "the host is not an IPv4 address";
    return NULL;
}

static const char *parse_port(struct str text, uint16_t *ret_port)
{
    uint64_t port;

    if (str_to_uint64(text, &port) < 0 || port == 0 || port > UINT16_MAX)
        return "the port is not a number from 1 to 65535";
    *ret_port = (uint16_t)port;
    return NULL;
}

static const char *parse_ipv6(struct str authority, struct uri *uri, struct str *ret_port)
{
    struct str host, after;

    authority.at++;
    authority.len--;
    if (!str_split(authority, ']', &host, &after) || !uri_is_ipv6_address(host))
        return "the host in brackets is not an IPv6 address";
    if (!str_is_empty(after) && after.at[0] != ':')
        return "after the host in brackets comes a colon and a port, or nothing";

    uri->host = host;
    uri->is_ipv6 = true;
    if (!str_is_empty(after))
        *ret_port = (struct str){after.at + 1, after.len - 1};
    return NULL;
}

static const char *parse_host(struct str authority, struct uri *uri, struct str *ret_port)
{
    if (str_starts_with(authority, STR("[")))
        return parse_ipv6(authority, uri, ret_port);

    uri->host = authority;
    (void)str_split(authority, ':', &uri->host, ret_port);
    return check_name(uri->host);
}

static const char *parse_authority(struct str authority, struct uri *uri)
{
    struct str port = {0};

    if (authority.len > 0 && memchr(authority.at, '@', authority.len))
        return "a user has no place in it";

    const char *reason = parse_host(authority, uri, &port);
    if (reason)
        return reason;
    if (port.at)
        return parse_port(port, &uri->port);

    uri->port = schemes[uri->scheme].default_port;
    return uri->port == 0 ? "the port is missing" : NULL;
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* RFC 3986, sections 3.3 and 3.4. */
static bool is_path_character(struct str path, size_t i)
{
    if (path.at[i] == '%')
        return path.len - i > 2 && is_hex(path.at[i + 1]) && is_hex(path.at[i + 2]);
    return is_alphanumeric(path.at[i]) ||
           (path.at[i] != '\0' && strchr("-._~!$&'()*+,;=:@/?", path.at[i]));
}

static const char *parse_path(struct str path, struct uri *uri)
{
    uri->path = str_is_empty(path) ? STR("/") : path;
    if (uri_is_grpc(uri) && !str_equal(uri->path, STR("/")))
        return "a path has no place after grpc:// and grpcs://";
    if (uri->path.at[0] == '?')
        return "a query needs a path before it";

    for (size_t i = 0; i < path.len; i++) {
        if (path.at[i] == '#')
            return "a fragment has no place in it";
        if (!is_path_character(path, i))
            return "the path has a character that must be percent-encoded";
    }
    return NULL;
}

/* `rest` is what follows "scheme://". */
static const char *parse_rest(struct str rest, struct uri *uri)
{
    size_t len = 0;
    while (len < rest.len && !(rest.at[len] && strchr("/?#", rest.at[len])))
        len++;

    const char *reason = parse_authority((struct str){rest.at, len}, uri);
    return reason ? reason : parse_path((struct str){rest.at + len, rest.len - len}, uri);
}

/* Cuts "scheme:" off; false when the text begins with no scheme. */
static bool cut_scheme(struct str *text, struct str *ret_scheme)
{
    struct str scheme, after;

    if (!str_split(*text, ':', &scheme, &after) || !str_starts_with(after, STR("//")))
        return false;
    *ret_scheme = scheme;
    *text = (struct str){after.at + 2, after.len - 2};
    return true;
}

/* The scheme comes from `first` when the text has none. */
static const char *parse(struct str text, const struct uri *first, struct uri *uri)
{
    struct str  scheme, rest = text;
    const char *reason = NULL;

    uri->text = text;
    if (cut_scheme(&rest, &scheme))
        reason = parse_scheme(scheme, &uri->scheme);
    else if (first)
        uri->scheme = first->scheme;
    else
        return "it does not begin with a scheme, such as grpc:// or http://";

    if (reason)
        return reason;
    if (first && uri->scheme != first->scheme)
        return "the addresses of one peer have one scheme";
    return parse_rest(rest, uri);
}

static int refuse(const char *reason, const char **ret_reason)
{
    if (ret_reason)
        *ret_reason = reason;
    return -EINVAL;
}

int uri_parse(struct str text, struct uri *ret_uri, const char **ret_reason)
{
    struct uri  uri = {0};
    const char *reason = parse(text, NULL, &uri);

    if (reason)
        return refuse(reason, ret_reason);
    *ret_uri = uri;
    return 0;
}

int uri_parse_host_port(struct str text, struct uri *ret_uri, const char **ret_reason)
{
    struct uri  uri = {.text = text, .path = STR("/"), .scheme = URI_GRPC};
    const char *reason = parse_authority(text, &uri);

    if (reason)
        return refuse(reason, ret_reason);
    *ret_uri = uri;
    return 0;
}

void uri_add_authority(struct text *text, const struct uri *uri)
{
    text_add_format(text, uri->is_ipv6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARGS(uri->host), uri->port);
}

int uri_parse_addresses(struct str text, struct uri uris[], size_t max, size_t *ret_count,
                        const char **ret_reason)
{
    struct str address, rest = text;
    size_t     count = 0;
    bool       is_last;

    do {
        is_last = !str_split(rest, '|', &address, &rest);
        if (is_last)
            address = rest;
        if (count == max)
            return refuse("it has too many addresses", ret_reason);

        struct uri  uri = {0};
        const char *reason = parse(address, count > 0 ? &uris[0] : NULL, &uri);
        if (reason)
            return refuse(reason, ret_reason);
        uris[count++] = uri;
    } while (!is_last);

    *ret_count = count;
    return 0;
}

bool uri_is_grpc(const struct uri *uri)
{
    return uri->scheme == URI_GRPC || uri->scheme == URI_GRPCS;
}

bool uri_is_host(struct str host)
{
    return !check_name(host);
}

bool uri_is_ipv6_address(struct str host)
{
    return is_address(AF_INET6, host);
}
