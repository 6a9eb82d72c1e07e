#include "common/base/text.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/arena.h"

static const struct str replacement = STR_INIT("\xEF\xBF\xBD"); /* U+FFFD */

static char *grow_in_arena(struct text *text, size_t capacity)
{
    char *grown = arena_alloc(text->arena, capacity);
    if (grown && text->len > 0)
        memcpy(grown, text->at, text->len);
    return grown;
}

static char *grow(struct text *text, size_t capacity)
{
    if (text->is_heap)
        return realloc(text->at, capacity);
    return text->arena ? grow_in_arena(text, capacity) : NULL;
}

/* Room for `size` more bytes; at least doubles, and settles for less when that is too much. */
static bool reserve(struct text *text, size_t size)
{
    if (text->capacity - text->len >= size)
        return true;
    if (size > SIZE_MAX / 2 - text->len)
        return false;

    size_t least = text->len + size;
    size_t capacity = 2 * text->capacity > least ? 2 * text->capacity : least;
    char  *grown = grow(text, capacity);
    if (!grown)
        grown = grow(text, capacity = least);
    if (!grown)
        return false;

    text->at = grown;
    text->capacity = capacity;
    return true;
}

struct text text_in_arena(struct arena *arena, size_t capacity)
{
    struct text text = {.arena = arena};
    text.is_cut = !reserve(&text, capacity);
    return text;
}

struct text text_in_buffer(char *buffer, size_t capacity)
{
    return (struct text){.at = buffer, .capacity = capacity};
}

struct text text_on_heap(size_t capacity)
{
    struct text text = {.is_heap = true};
    text.is_cut = !reserve(&text, capacity);
    return text;
}

void text_done(struct text *text)
{
    if (text->is_heap)
        free(text->at);
    *text = (struct text){0};
}

struct str text_view(const struct text *text)
{
    return (struct str){text->at, text->len};
}

/* Once cut, nothing more is added: what is there is always a beginning of the whole. */
void text_add(struct text *text, struct str s)
{
    if (text->is_cut || s.len == 0)
        return;

    if (!reserve(text, s.len)) {
        text->is_cut = true;
        s.len = text->capacity - text->len;
        if (s.len == 0)
            return;
    }
    memcpy(text->at + text->len, s.at, s.len);
    text->len += s.len;
}

void text_add_char(struct text *text, char c)
{
    text_add(text, (struct str){&c, 1});
}

void text_add_uint(struct text *text, uint64_t value)
{
    char   digits[20];
    size_t first = sizeof(digits);

    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    text_add(text, (struct str){digits + first, sizeof(digits) - first});
}

void text_add_int(struct text *text, int64_t value)
{
    if (value < 0)
        text_add_char(text, '-');
    text_add_uint(text, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

/* vsnprintf ends with a NUL, for which there must be room: 0, or the room that was missing. */
static size_t add_formatted(struct text *text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static size_t add_formatted(struct text *text, const char *format, va_list arguments)
{
    size_t room = text->capacity - text->len;
    char  *end = room > 0 ? text->at + text->len : NULL;
    int    len = vsnprintf(end, room, format, arguments);

    if (len >= 0 && (size_t)len >= room)
        return (size_t)len + 1;
    text->len += len > 0 ? (size_t)len : 0;
    return 0;
}

static void cut_formatted(struct text *text)
{
    text->is_cut = true;
    if (text->capacity > text->len)
        text->len = text->capacity - 1;
}

void text_add_format(struct text *text, const char *format, ...)
{
    if (text->is_cut)
        return;

    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    size_t missing = add_formatted(text, format, arguments);
    if (missing > 0) {
        if (reserve(text, missing))
            (void)add_formatted(text, format, again);
        else
            cut_formatted(text);
    }
    va_end(again);
    va_end(arguments);
}

/* Adds `s`, which is UTF-8, in the form that a place needs. */
typedef void add_fn(struct text *text, struct str s);

static void add_mended(struct text *text, struct str s, add_fn *add)
{
    while (s.len > 0) {
        size_t good = str_utf8_prefix(s);
        add(text, (struct str){s.at, good});
        if (good == s.len)
            break;

        text_add(text, replacement);
        s.at += good + 1;
        s.len -= good + 1;
    }
}

void text_add_utf8(struct text *text, struct str s)
{
    add_mended(text, s, text_add);
}

static bool needs_json_escape(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

static void add_json_escape(struct text *text, char c)
{
    static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < sizeof(names) - 1; i += 2)
        if (c == names[i]) {
            text_add(text, (struct str){(char[]){'\\', names[i + 1]}, 2});
            return;
        }
    text_add(text, (struct str){(char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 0xF]}, 6});
}

static void add_json_escaped(struct text *text, struct str s)
{
    size_t plain = 0; /* where what is copied as it is begins */

    for (size_t i = 0; i < s.len; i++) {
        if (!needs_json_escape(s.at[i]))
            continue;
        text_add(text, (struct str){s.at + plain, i - plain});
        add_json_escape(text, s.at[i]);
        plain = i + 1;
    }
    text_add(text, (struct str){s.at + plain, s.len - plain});
}

void text_add_json(struct text *text, struct str s)
{
    text_add_char(text, '"');
    add_mended(text, s, add_json_escaped);
    text_add_char(text, '"');
}

static struct str html_entity(char c)
{
    switch (c) {
    case '&':
        return STR("&amp;");
    case '<':
        return STR("&lt;");
    case '>':
        return STR("&gt;");
    case '"':
        return STR("&quot;");
    case '\'':
        return STR("&#39;");
    default:
        return (struct str){0};
    }
}

static void add_html_escaped(struct text *text, struct str s)
{
    size_t plain = 0;

    for (size_t i = 0; i < s.len; i++) {
        struct str entity = html_entity(s.at[i]);
        if (!entity.at)
            continue;
        text_add(text, (struct str){s.at + plain, i - plain});
        text_add(text, entity);
        plain = i + 1;
    }
    text_add(text, (struct str){s.at + plain, s.len - plain});
}

void text_add_html(struct text *text, struct str s)
{
    add_mended(text, s, add_html_escaped);
}
