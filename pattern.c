#include "pattern.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ID       '\1' /* no setting has control characters in it */
#define VARIABLE "$JOB_ID"

/* A digit beside a digit, a letter beside a letter: no id ends, or begins, between them. */
static bool is_joined(char a, char b)
{
	unsigned char x = (unsigned char)a, y = (unsigned char)b;

	return (isdigit(x) && isdigit(y)) || (isalpha(x) && isalpha(y));
}

/* How much of the @n bytes at @s stands for the id; @before: the byte in front of them. */
static size_t id_length(const char *s, size_t n, char before, const char *id)
{
	size_t var = strlen(VARIABLE), len = strlen(id);

	if (n >= var && memcmp(s, VARIABLE, var) == 0)
		return var;
	if (n < len || memcmp(s, id, len) != 0 || is_joined(before, s[0]) ||
	    (n > len && is_joined(s[len - 1], s[len])))
		return 0;
	return len;
}

int pattern_parse(const char *s, size_t n, const char *id, struct pattern *ret, struct err *err)
{
	struct pattern p = { .prefix = n && s[n - 1] == '*' };
	size_t         len = 0, ids = 0, rest = n - p.prefix;

	if (!n || !id[0])
		return err_set(err, EINVAL, "an empty name: is there a comma too many?");
	for (size_t i = 0; i < rest;) {
		size_t skip = id_length(s + i, rest - i, i ? s[i - 1] : '\0', id);
		ids += skip > 0;
		if (len + 1 + ids * (strlen(id) - 1) >= sizeof(p.text))
			return err_set(err, EINVAL, "'%.40s...': want at most %zu bytes", s,
				       sizeof(p.text) - 1);
		p.text[len++] = skip ? ID : s[i];
		i += skip ? skip : 1;
	}
	bool any = strcmp(id, VARIABLE) == 0; /* a sweep: for every id */
	if (!ids)
		return err_set(err, EINVAL,
			       "'%.*s': want the job's id in each, " VARIABLE
			       "%s%s%s: others' queues are never to be meant",
			       (int)n, s, any ? "" : " or '", any ? "" : id, any ? "" : "'");
	*ret = p;
	return 0;
}

bool pattern_text(const struct pattern *p, const char *id, char ret[QUEUE_NAME_SIZE])
{
	size_t      len = 0, n = strlen(id);
	const char *t = p->text;

	for (; *t; t++) {
		size_t step = *t == ID ? n : 1;
		if (len + step >= QUEUE_NAME_SIZE)
			break; /* pattern_parse() takes none so long */
		memcpy(ret + len, *t == ID ? id : t, step);
		len += step;
	}
	ret[len] = '\0';
	return !*t;
}

void pattern_start(const struct pattern *p, char ret[QUEUE_NAME_SIZE])
{
	(void)snprintf(ret, QUEUE_NAME_SIZE, "%.*s", (int)strcspn(p->text, (char[]){ ID, '\0' }),
		       p->text);
}

bool pattern_matches(const struct pattern *p, const char *id, size_t n, const char *name)
{
	for (const char *t = p->text; *t; t++) {
		size_t step = *t == ID ? n : 1;
		if (strncmp(name, *t == ID ? id : t, step) != 0)
			return false;
		name += step;
	}
	return p->prefix || !*name;
}

size_t pattern_rival(const struct pattern *p, const char *id, const char *name, size_t from,
		     size_t *ret_start)
{
	char   text[QUEUE_NAME_SIZE];
	size_t start = strcspn(p->text, (char[]){ ID, '\0' }), n = strlen(id), len = strlen(name);
	bool   ours = n && pattern_matches(p, id, n, name);

	if (strncmp(name, p->text, start) != 0)
		return 0;
	(void)pattern_text(p, id, text);
	*ret_start = start;
	for (size_t end = start + n > from ? start + n : from + 1; end <= len; end++) {
		/* what stands behind our id in the setting may be the rest of another's */
		bool within = ours && end <= strlen(text) && !is_joined(text[end - 1], text[end]);
		bool same = end - start == n && memcmp(name + start, id, n) == 0;
		if (!same && isalnum((unsigned char)name[end - 1]) &&
		    (within || pattern_matches(p, name + start, end - start, name)))
			return end;
	}
	return 0;
}
