/* json.h - parsing with jansson, as all decoders do it. */
#ifndef JSON_H
#define JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h"

/*
 * Before anything else of jansson, and by json_read(): from then on, the program ends (1) where its
 * memory runs out.
 */
void json_init(void);

/*
 * Parses an object. NULL + *err -EBADMSG: not JSON, a key twice, not an object. A string may have a
 * NUL in it: compare json_string_length(). The document is for reading, and has one owner, who
 * drops it (AUTO_JSON): it is not counted in references, and json_decref() is not for it.
 */
json_t *json_read(const char *p, size_t n, struct err *err);
void    json_drop(json_t **root); /* NULL in it is fine */
#define AUTO_JSON __attribute__((cleanup(json_drop)))

/*
 * ---- One member of an object: absent or null is the default, another type is -EBADMSG and *err
 * ----
 */

int json_bad(struct err *err, const char *what); /* such an error, about @what */

/* *@ret is borrowed; NULL if absent. */
int json_typed(const json_t *o, const char *key, json_type type, json_t **ret, struct err *err);

/* Copies a string that must fit whole; absent leaves "", or is an error (need). */
int json_str(const json_t *o, const char *key, char *dst, size_t size, struct err *err);
int json_need_str(const json_t *o, const char *key, char *dst, size_t size, struct err *err);
int json_need_token(const json_t *o, const char *key, char *dst, size_t size, struct err *err);

/* No negative number but @absent itself, nor one beyond 31 bits. */
int json_count(const json_t *o, const char *key, int64_t absent, int64_t *ret, struct err *err);
int json_bool(const json_t *o, const char *key, bool *ret, struct err *err);

/* The string itself, or NULL: of another type, or with a NUL in it, and so not what it seems. */
const char *json_text(const json_t *o, const char *key);
bool        json_has(const json_t *o, const char *key, const char *value);

/* Words for people, or a value that is only compared: what is too long is cut. */
void json_words(const json_t *o, const char *key, char *dst, size_t size);

/* RFC 3339, Unix ms; one that cannot be read is as good as none: -1. */
int64_t json_time(const json_t *o, const char *key);

int json_need_kind(const json_t *o, const char *kind, struct err *err);

#endif
