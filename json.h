/* json.h - parsing with jansson, as all decoders do it. */
#ifndef JSON_H
#define JSON_H

#include <jansson.h>

#include "util.h"

/* Before anything else of jansson: from then on, the program ends (1) where its memory runs out. */
void json_init(void);

/*
 * Parses an object. New reference; NULL + *err -EBADMSG: not JSON, a key twice, not an object. A
 * string may have a NUL in it: compare json_string_length().
 */
json_t *json_read(const char *p, size_t n, struct err *err);

#endif
