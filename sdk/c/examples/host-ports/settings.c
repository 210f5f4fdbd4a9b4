#include "settings.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define JSMN_STRICT
#include <jsmn.h>

/* One place in the parsed text: the tokens come in the text's order, each before what it contains. */
typedef struct {
    const char *json;
    const jsmntok_t *token;
} place;

static bool is(place at, const char *text)
{
    size_t len = (size_t)(at.token->end - at.token->start);
    return len == strlen(text) && memcmp(at.json + at.token->start, text, len) == 0;
}

static place first_in(place at)
{
    at.token++;
    return at;
}

/* What comes behind a value and all that it contains. */
static place behind(place at)
{
    int left = 1;
    while (left > 0) {
        left += at.token->size - 1;
        at.token++;
    }
    return at;
}

/* The value of a key. Keys are compared as they are written: names of namespaces have nothing to escape. */
static bool member(place object, const char *key, place *value)
{
    if (object.token->type != JSMN_OBJECT)
        return false;
    place at = first_in(object);
    for (int i = 0; i < object.token->size; i++, at = behind(at)) {
        if (is(at, key)) {
            *value = first_in(at);
            return true;
        }
    }
    return false;
}

static bool port(place at, uint16_t *into)
{
    /* strtoul takes a sign, and goes round with it. */
    if (at.token->type != JSMN_PRIMITIVE || at.json[at.token->start] == '-')
        return false;
    char *end;
    unsigned long number = strtoul(at.json + at.token->start, &end, 10);
    *into = (uint16_t)number;
    return end == at.json + at.token->end && number <= UINT16_MAX;
}

static bool range(place at, port_range *into)
{
    place first = first_in(at);
    return at.token->type == JSMN_ARRAY && at.token->size == 2 && port(first, &into->first)
           && port(behind(first), &into->last);
}

static const char *read_namespace(place settings, const char *name, port_ranges *into)
{
    place all, list;
    if (!member(settings, "namespaces", &all) || all.token->type != JSMN_OBJECT)
        return "they have no table `namespaces`";
    if (!member(all, name, &list))
        return NULL;
    if (list.token->type != JSMN_ARRAY)
        return "the ports of the namespace are no list";
    into->list = calloc((size_t)list.token->size + 1, sizeof *into->list);
    if (into->list == NULL)
        return "they do not fit into memory";
    place at = first_in(list);
    for (; into->len < (size_t)list.token->size; into->len++, at = behind(at)) {
        if (!range(at, &into->list[into->len]))
            return "a range of the namespace is not [from, to]";
    }
    return NULL;
}

const char *read_ranges(const char *json, size_t len, const char *name, port_ranges *into)
{
    jsmn_parser parser;
    jsmn_init(&parser);
    int count = jsmn_parse(&parser, json, len, NULL, 0);
    jsmntok_t *tokens = count > 0 ? calloc((size_t)count, sizeof *tokens) : NULL;
    if (tokens == NULL)
        return "they are no JSON";
    jsmn_init(&parser);
    jsmn_parse(&parser, json, len, tokens, (unsigned)count);
    const char *wrong = read_namespace((place){json, tokens}, name, into);
    free(tokens);
    return wrong;
}
