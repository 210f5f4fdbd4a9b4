/* The settings of the policy: which ports of the host a namespace has. */

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint16_t first, last;
} port_range;

typedef struct {
    size_t len;
    port_range *list;
} port_ranges;

/* Reads those of one namespace, none if it is not there. Answers what is wrong with the settings, or NULL. */
const char *read_ranges(const char *json, size_t len, const char *name, port_ranges *into);
