#include "setting.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "log.h"
#include "metrics.h"
#include "url.h"

/* The number of the first word that @value is, in any case; -1: of none. */
static int find_word(const char *value, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(value, words[i]) == 0)
			return (int)i;
	return -1;
}

static int parse_bool(const char *value, bool *ret, struct err *err)
{
	static const char *const words[] = { "false", "true", "0", "1", "no", "yes", "off", "on" };
	int                      i = find_word(value, words, ARRAY_SIZE(words));

	if (i < 0)
		return err_set(err, EINVAL, "want true or false, 1 or 0, yes or no, on or off");
	*ret = i % 2;
	return 0;
}

static int parse_level(const char *value, enum log_level *ret, struct err *err)
{
	static const char *const words[] = { "debug", "info", "warn", "error" };
	int                      i = find_word(value, words, ARRAY_SIZE(words));

	if (i < 0)
		return err_set(err, EINVAL, "want debug, info, warn or error");
	*ret = (enum log_level)i;
	return 0;
}

static int parse_format(const char *value, enum log_format *ret, struct err *err)
{
	static const char *const words[] = { "text", "json" };
	int                      i = find_word(value, words, ARRAY_SIZE(words));

	if (i < 0)
		return err_set(err, EINVAL, "want text or json");
	*ret = (enum log_format)i;
	return 0;
}

static int parse_number(const struct setting *s, const char *value, uint32_t *ret, struct err *err)
{
	if (parse_u32(value, (uint32_t)s->min, (uint32_t)s->max, ret) == 0)
		return 0;
	return err_set(err, EINVAL, "want a whole number, %lld..%lld", (long long)s->min,
		       (long long)s->max);
}

static int parse_duration(const struct setting *s, const char *value, int64_t *ret, struct err *err)
{
	if (parse_seconds(value, s->min, s->max, ret) == 0)
		return 0;
	return err_set(err, EINVAL, "want seconds, at most three decimals, %g..%g",
		       (double)s->min / 1000, (double)s->max / 1000);
}

static int parse_cpu(const char *value, int64_t *ret, struct err *err)
{
	if (cpu_parse_threshold(value, ret) == 0)
		return 0;
	return err_set(err, EINVAL,
		       "want millicores (4, 0.5) or a Kubernetes quantity (4m, 250000n), not "
		       "negative");
}

static int parse_name(const struct setting *s, const char *value, char *ret, struct err *err)
{
	bool label = s->kind == SETTING_LABEL;

	if (is_rfc1123_name(value, s->size - 1) && !(label && strchr(value, '.')))
		return copy_str(ret, s->size, value);
	return err_set(err, EINVAL,
		       "want an RFC 1123 %s: at most %zu of a-z 0-9 -%s, a letter or digit at each "
		       "end",
		       label ? "label" : "name", s->size - 1, label ? "" : " .");
}

static int parse_text(const struct setting *s, const char *value, char *ret, struct err *err)
{
	bool bad = strlen(value) >= s->size;

	for (const char *p = value; *p; p++)
		bad |= iscntrl((unsigned char)*p);
	if (!bad)
		return copy_str(ret, s->size, value);
	return err_set(err, EINVAL, "want at most %zu characters, no control characters",
		       s->size - 1);
}

/* Segments of plain letters: nothing encoded, no query, no `..`, nothing that is another path. */
static bool is_plain_path(const char *p)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~:";

	while (*p == '/' && p[1]) {
		size_t n = strspn(++p, plain);
		if (n == 0 || (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.'))))
			return false;
		p += n;
	}
	return *p == '\0' || strcmp(p, "/") == 0;
}

static bool may_have_password(const char *url)
{
	return strchr(url, '@') != NULL;
}

static int parse_url(const struct setting *s, const char *value, char *ret, struct err *err)
{
	bool       api = s->kind == SETTING_API_URL;
	struct url url;

	if (may_have_password(value))
		return err_set(err, EINVAL, "no user info in the URL");
	if (strlen(value) >= s->size || !url_parse(value, &url) || !is_plain_path(url.path))
		return err_set(err, EINVAL,
			       "want http(s)://host[:port][/path], the path of plain letters");
	if (api && !url.tls && !url_is_loopback(url.host))
		return err_set(err, EINVAL, "want https://; http:// only to a loopback address");
	(void)copy_str(ret, s->size, value);
	trim_end(ret, "/");
	return 0;
}

int setting_parse(const struct setting *s, const char *value, void *config, struct err *err)
{
	void *field = (char *)config + s->offset;

	switch (s->kind) {
	case SETTING_U32: return parse_number(s, value, field, err);
	case SETTING_SECONDS: return parse_duration(s, value, field, err);
	case SETTING_BOOL: return parse_bool(value, field, err);
	case SETTING_CPU: return parse_cpu(value, field, err);
	case SETTING_NAME:
	case SETTING_LABEL: return parse_name(s, value, field, err);
	case SETTING_TEXT:
	case SETTING_SECRET: return parse_text(s, value, field, err);
	case SETTING_URL:
	case SETTING_API_URL: return parse_url(s, value, field, err);
	case SETTING_LOG_LEVEL: return parse_level(value, field, err);
	case SETTING_LOG_FORMAT: return parse_format(value, field, err);
	case SETTING_ADDRESS: break;
	}
	return 0;
}

const char *setting_shown(const struct setting *s, const char *value)
{
	bool url = s->kind == SETTING_URL || s->kind == SETTING_API_URL;

	return s->kind == SETTING_SECRET || (url && may_have_password(value)) ? "***" : value;
}
