#include "common/base/json.h"

#include <assert.h>
#include <errno.h>

#include "common/base/arena.h"
#include "common/base/hex.h"

static_assert(JSON_MAX_DEPTH <= 64, "a level has a bit in `objects`");

enum { HEX_DIGITS = 4 /* of \uXXXX */ };

struct json_cursor json_cursor(struct str document, struct arena *arena)
{
    const char *at = document.at;
    return (struct json_cursor){
        .arena = arena, .start = at, .at = at, .end = document.len > 0 ? at + document.len : at};
}

static bool fail(struct json_cursor *cursor, int error, const char *reason)
{
    if (cursor->error == 0) {
        cursor->error = error;
        cursor->reason = reason;
    }
    return false;
}

static bool is_bad(struct json_cursor *cursor, const char *reason)
{
    return fail(cursor, -EBADMSG, reason);
}

void json_refuse(struct json_cursor *cursor, const char *reason)
{
    (void)is_bad(cursor, reason);
}

static size_t bytes_left(const struct json_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The first character that is not blank, still unread; -1 at the end. */
static int peek(struct json_cursor *cursor)
{
    while (cursor->at < cursor->end && is_blank(*cursor->at))
        cursor->at++;
    return cursor->at < cursor->end ? (unsigned char)*cursor->at : -1;
}

/* The 16 bits of "\uXXXX". */
static bool read_code_unit(struct json_cursor *cursor, unsigned *ret_unit)
{
    struct str digits = {cursor->at + 2, HEX_DIGITS};
    uint8_t    bytes[HEX_DIGITS / 2];

    if (bytes_left(cursor) < 2 + HEX_DIGITS || cursor->at[0] != '\\' || cursor->at[1] != 'u' ||
        !hex_decode(digits, bytes))
        return false;

    cursor->at += 2 + HEX_DIGITS;
    *ret_unit = (unsigned)bytes[0] << 8 | bytes[1];
    return true;
}

static bool is_high_surrogate(unsigned unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(unsigned unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* One or two code units; what lies beyond 16 bits is escaped as two. */
static bool read_code_point(struct json_cursor *cursor, uint32_t *ret_code_point)
{
    unsigned unit, low;
    if (!read_code_unit(cursor, &unit))
        return is_bad(cursor, "an invalid escape");

    *ret_code_point = unit;
    if (!is_high_surrogate(unit) && !is_low_surrogate(unit))
        return true;
    if (is_low_surrogate(unit) || !read_code_unit(cursor, &low) || !is_low_surrogate(low))
        return is_bad(cursor, "an escape of half a surrogate pair");

    *ret_code_point = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

/* What a backslash and `c` stand for; 0 when they stand for nothing. */
static char escaped(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return '\0';
    }
}

static bool read_escape(struct json_cursor *cursor, uint32_t *ret_code_point)
{
    if (bytes_left(cursor) < 2)
        return is_bad(cursor, "a string without an end");
    if (cursor->at[1] == 'u')
        return read_code_point(cursor, ret_code_point);

    *ret_code_point = (unsigned char)escaped(cursor->at[1]);
    if (*ret_code_point == 0)
        return is_bad(cursor, "an invalid escape");
    cursor->at += 2;
    return true;
}

static bool is_plain(char c)
{
    return (unsigned char)c >= ' ' && c != '"' && c != '\\';
}

/* Bit tricks on eight bytes: the highest bit of one is set when it is zero, or below ' '. */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
}

static uint64_t control_bytes(uint64_t word)
{
    return (word - UINT64_C(0x2020202020202020)) & ~word & UINT64_C(0x8080808080808080);
}

static bool is_plain_word(uint64_t word)
{
    return (control_bytes(word) | zero_bytes(word ^ UINT64_C(0x2222222222222222) /* " */) |
            zero_bytes(word ^ UINT64_C(0x5C5C5C5C5C5C5C5C) /* \ */)) == 0;
}

/* Steps over what needs no care, eight bytes at a time as long as there are eight. */
static void skip_plain(struct json_cursor *cursor)
{
    uint64_t word;

    while (bytes_left(cursor) >= sizeof(word)) {
        memcpy(&word, cursor->at, sizeof(word));
        if (!is_plain_word(word))
            break;
        cursor->at += sizeof(word);
    }
    while (cursor->at < cursor->end && is_plain(*cursor->at))
        cursor->at++;
}

/* A string as it is written, between its quotes, known to be good. */
static bool scan_string(struct json_cursor *cursor, struct str *ret_written, bool *ret_has_escapes)
{
    const char *start = ++cursor->at;
    bool        has_escapes = false;
    uint32_t    ignored;

    for (skip_plain(cursor); cursor->at < cursor->end && *cursor->at != '"'; skip_plain(cursor)) {
        if (*cursor->at != '\\')
            return is_bad(cursor, "a control character in a string");
        if (!read_escape(cursor, &ignored))
            return false;
        has_escapes = true;
    }
    if (cursor->at == cursor->end)
        return is_bad(cursor, "a string without an end");

    struct str written = {start, (size_t)(cursor->at - start)};
    if (!str_is_utf8(written))
        return is_bad(cursor, "a string that is not UTF-8");
    cursor->at++;
    *ret_written = written;
    *ret_has_escapes = has_escapes;
    return true;
}

static char *put_utf8(char *to, uint32_t code_point)
{
    if (code_point < 0x80) {
        *to++ = (char)code_point;
        return to;
    }

    unsigned shift = code_point < 0x800 ? 6 : code_point < 0x10000 ? 12 : 18;
    uint32_t first = shift == 6 ? 0xC0 : shift == 12 ? 0xE0 : 0xF0;
    *to++ = (char)(first | code_point >> shift);
    while (shift > 0) {
        shift -= 6;
        *to++ = (char)(0x80 | (code_point >> shift & 0x3F));
    }
    return to;
}

/* In place: an escape is never shorter than what it stands for. */
static size_t unescape(char *text, size_t len)
{
    struct json_cursor cursor = json_cursor((struct str){text, len}, NULL);
    char              *to = text;

    while (cursor.at < cursor.end) {
        const char *plain = cursor.at;
        skip_plain(&cursor);
        memmove(to, plain, (size_t)(cursor.at - plain));
        to += cursor.at - plain;

        uint32_t code_point;
        if (cursor.at < cursor.end && read_escape(&cursor, &code_point))
            to = put_utf8(to, code_point);
    }
    return (size_t)(to - text);
}

static bool read_string(struct json_cursor *cursor, struct str *ret_text)
{
    struct str written;
    bool       has_escapes = false;
    if (!scan_string(cursor, &written, &has_escapes))
        return false;

    *ret_text = written;
    if (!has_escapes)
        return true;

    char *copy = (char *)arena_copy(cursor->arena, written).at;
    if (!copy)
        return fail(cursor, -ENOMEM, "too much text to keep");
    *ret_text = (struct str){copy, unescape(copy, written.len)};
    return true;
}

static bool read_number(struct json_cursor *cursor, struct str *ret_text)
{
    size_t len = json_number_length((struct str){cursor->at, bytes_left(cursor)});
    if (len == 0)
        return is_bad(cursor, "an invalid number");

    *ret_text = (struct str){cursor->at, len};
    cursor->at += len;
    return true;
}

static bool read_word(struct json_cursor *cursor, struct str word)
{
    if (!str_starts_with((struct str){cursor->at, bytes_left(cursor)}, word))
        return is_bad(cursor, "an invalid word");

    cursor->at += word.len;
    return true;
}

static bool enter(struct json_cursor *cursor, bool is_object)
{
    if (cursor->depth == JSON_MAX_DEPTH)
        return is_bad(cursor, "it nests too deep");

    cursor->objects = cursor->objects << 1 | is_object;
    cursor->depth++;
    cursor->is_first = true;
    cursor->at++;
    return true;
}

static void leave(struct json_cursor *cursor)
{
    cursor->objects >>= 1;
    cursor->depth--;
    cursor->is_first = false;
    cursor->at++;
}

static bool is_in_object(const struct json_cursor *cursor)
{
    return cursor->objects & 1;
}

static bool no_value(struct json_cursor *cursor)
{
    return is_bad(cursor, cursor->at == cursor->end ? "it ends too early" : "no value");
}

/* On an object or array it stands behind the bracket afterwards. */
static bool read_value(struct json_cursor *cursor, struct json_value *value)
{
    switch (peek(cursor)) {
    case '{':
        value->kind = JSON_KIND_OBJECT;
        return enter(cursor, true);
    case '[':
        value->kind = JSON_KIND_ARRAY;
        return enter(cursor, false);
    case '"':
        value->kind = JSON_KIND_STRING;
        return read_string(cursor, &value->text);
    case 't':
        value->kind = JSON_KIND_BOOL;
        value->is_true = true;
        return read_word(cursor, STR("true"));
    case 'f':
        value->kind = JSON_KIND_BOOL;
        return read_word(cursor, STR("false"));
    case 'n':
        value->kind = JSON_KIND_NULL;
        return read_word(cursor, STR("null"));
    case '-':
    case '0' ... '9':
        value->kind = JSON_KIND_NUMBER;
        return read_number(cursor, &value->text);
    default:
        return no_value(cursor);
    }
}

/* On to what comes next in the container. False at its end, which is left, and on an error. */
static bool step(struct json_cursor *cursor)
{
    if (cursor->error)
        return false;

    int c = peek(cursor);
    if (c == (is_in_object(cursor) ? '}' : ']')) {
        leave(cursor);
        return false;
    }
    if (!cursor->is_first) {
        if (c != ',')
            return is_bad(cursor, c < 0 ? "it ends too early" : "no comma between two values");
        cursor->at++;
    }
    cursor->is_first = false;
    return true;
}

static bool at_name(struct json_cursor *cursor)
{
    int c = peek(cursor);
    return c == '"' || is_bad(cursor, c < 0 ? "it ends too early" : "no name");
}

static bool read_colon(struct json_cursor *cursor)
{
    if (peek(cursor) != ':')
        return is_bad(cursor, "no colon after a name");

    cursor->at++;
    return true;
}

bool json_root(struct json_cursor *cursor, struct json_value *ret_value)
{
    struct json_value value = {0};
    assert(cursor->at == cursor->start);

    if (!read_value(cursor, &value))
        return false;
    *ret_value = value;
    return true;
}

bool json_next_member(struct json_cursor *cursor, struct str *ret_name,
                      struct json_value *ret_value)
{
    struct str        name;
    struct json_value value = {0};
    assert(cursor->error || (cursor->depth > 0 && is_in_object(cursor)));

    if (!step(cursor) || !at_name(cursor) || !read_string(cursor, &name) || !read_colon(cursor) ||
        !read_value(cursor, &value))
        return false;
    *ret_name = name;
    *ret_value = value;
    return true;
}

bool json_next_element(struct json_cursor *cursor, struct json_value *ret_value)
{
    struct json_value value = {0};
    assert(cursor->error || (cursor->depth > 0 && !is_in_object(cursor)));

    if (!step(cursor) || !read_value(cursor, &value))
        return false;
    *ret_value = value;
    return true;
}

/* Like read_value, but keeps nothing. */
static bool skip_value(struct json_cursor *cursor)
{
    struct json_value ignored;
    struct str        text;
    bool              has_escapes;

    if (peek(cursor) == '"')
        return scan_string(cursor, &text, &has_escapes);
    return read_value(cursor, &ignored);
}

static bool skip_name(struct json_cursor *cursor)
{
    return at_name(cursor) && skip_value(cursor) && read_colon(cursor);
}

void json_skip(struct json_cursor *cursor, const struct json_value *value)
{
    if (value->kind != JSON_KIND_OBJECT && value->kind != JSON_KIND_ARRAY)
        return;

    unsigned outside = cursor->depth - 1;
    while (!cursor->error && cursor->depth > outside)
        if (step(cursor) && (!is_in_object(cursor) || skip_name(cursor)))
            (void)skip_value(cursor);
}

int json_end(struct json_cursor *cursor)
{
    assert(cursor->error || cursor->depth == 0);

    if (cursor->error == 0 && peek(cursor) >= 0)
        json_refuse(cursor, "more after its end");
    return cursor->error;
}

struct str json_complaint(const struct json_cursor *cursor)
{
    size_t     position = (size_t)(cursor->at - cursor->start);
    struct str complaint =
        arena_format(cursor->arena, "JSON, at byte %zu: %s", position, cursor->reason);

    return complaint.at ? complaint : str_from(cursor->reason);
}
