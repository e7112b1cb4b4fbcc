#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define LINE_BYTES  4096
#define VALUE_BYTES 1024 /* of one value; what is longer is cut and marked */

static enum log_level  threshold = LOG_INFO;
static enum log_format format = LOG_TEXT;

static const char *const level_names[] = { "debug", "info", "warn", "error" };
_Static_assert(ARRAY_SIZE(level_names) == LOG_ERROR + 1, "name every level");

/* A line under construction; a field that does not fit is left out whole, so JSON stays JSON. */
struct line {
	char   text[LINE_BYTES];
	size_t len;
	bool   full; /* something was dropped since this was last cleared */
};

#define CLOSING_BYTES 2 /* brace and newline */

void log_setup(enum log_level t, enum log_format f)
{
	threshold = t;
	format = f;
}

static void put(struct line *l, const char *s, size_t n)
{
	if (n > sizeof(l->text) - CLOSING_BYTES - l->len) {
		l->full = true;
		return;
	}
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

static void put_str(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

/* The same escapes serve both formats; what is not text becomes U+FFFD. */
static void put_escaped(struct line *l, const char *str)
{
	const unsigned char *s = (const unsigned char *)str;
	const unsigned char *start = s;

	while (*s && s - start < VALUE_BYTES) {
		size_t n = *s < 0x80 ? 1 : utf8_len(s);
		char   esc[8];

		if (n == 0) {
			put_str(l, "\xef\xbf\xbd");
			s++;
			continue;
		}
		if (*s == '"' || *s == '\\') {
			(void)snprintf(esc, sizeof(esc), "\\%c", *s);
			put_str(l, esc);
		} else if (*s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0)) {
			(void)snprintf(esc, sizeof(esc), "\\u%04x",
				       n == 2 ? s[1] : *s); /* C0, C1 */
			put_str(l, esc);
		} else {
			put(l, (const char *)s, n);
		}
		s += n;
	}
	if (*s)
		put_str(l, "...");
}

static bool is_plain(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' || (unsigned char)*s >= 0x7f)
			return false;
	return true;
}

static void put_field(struct line *l, const struct log_field *f)
{
	size_t start = l->len;
	char   num[24];

	l->full = false;
	put_str(l, format == LOG_JSON ? ",\"" : " ");
	put_str(l, f->key);
	put_str(l, format == LOG_JSON ? "\":" : "=");
	if (!f->str) {
		(void)snprintf(num, sizeof(num), "%" PRId64, f->num);
		put_str(l, num);
	} else if (format == LOG_TEXT && is_plain(f->str)) {
		put_escaped(l, f->str);
	} else {
		put_str(l, "\"");
		put_escaped(l, f->str);
		put_str(l, "\"");
	}
	if (l->full)
		l->len = start;
}

void log_fields(enum log_level level, const char *msg, const struct log_field *f, size_t n)
{
	int         saved = errno;
	char        ts[RFC3339_SIZE];
	struct line l;

	if (level < threshold)
		return;
	l.len = 0;
	rfc3339_format(ts, wall_ms(), true);
	put_str(&l, format == LOG_JSON ? "{\"ts\":\"" : "ts=");
	put_str(&l, ts);
	put_str(&l, format == LOG_JSON ? "\",\"level\":\"" : " level=");
	put_str(&l, level_names[level]);
	put_str(&l, format == LOG_JSON ? "\"" : "");
	put_field(&l, &(struct log_field){ .key = "msg", .str = msg });
	for (size_t i = 0; i < n; i++)
		if (f[i].key)
			put_field(&l, &f[i]);
	if (format == LOG_JSON)
		l.text[l.len++] = '}';
	l.text[l.len++] = '\n';
	(void)!write(STDERR_FILENO, l.text, l.len); /* nowhere to complain about stderr */
	errno = saved;
}
