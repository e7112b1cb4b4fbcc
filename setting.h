/*
 * setting.h - one setting: the kind of value that it takes, and that value out of its text.
 */
#ifndef SETTING_H
#define SETTING_H

#include <stddef.h>
#include <stdint.h>

#include "util.h"

enum setting_kind {
	SETTING_U32,     /* uint32_t */
	SETTING_SECONDS, /* int64_t, milliseconds, as are min and max */
	SETTING_BOOL,
	SETTING_CPU,   /* int64_t, nanocores */
	SETTING_NAME,  /* RFC 1123 subdomain */
	SETTING_LABEL, /* RFC 1123 label */
	SETTING_TEXT,
	SETTING_SECRET,  /* text that is never shown */
	SETTING_URL,     /* http(s)://host[:port][/path] */
	SETTING_API_URL, /* the same; http only to a loopback address */
	SETTING_LOG_LEVEL,
	SETTING_LOG_FORMAT,
	SETTING_ADDRESS, /* a part of a URL that others are made of: nothing is stored */
};

struct setting {
	const char       *env;
	enum setting_kind kind;
	size_t            offset; /* of its field in the struct that holds them all */
	size_t            size;   /* of the field; texts only */
	const char       *def;    /* as one would set it; NULL: unset, or worked out */
	int64_t           min, max;
	const char       *shown;   /* default as shown, where it is worked out */
	const char       *meaning; /* one line, for --help and the README */
};

/*
 * Parses @value, which has no white space around it, into the field of @s in the struct @config.
 * Returns 0; or -EINVAL with what is allowed in @err, and the field is as it was.
 */
int setting_parse(const struct setting *s, const char *value, void *config, struct err *err);

/* The value as it may be shown: *** for a secret, and for a URL that may have a password in it. */
const char *setting_shown(const struct setting *s, const char *value);

#endif
