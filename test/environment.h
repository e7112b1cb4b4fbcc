/* environment.h - config_load() with a test's environment, and what it complains about. */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include "unit.h"

#include <stdio.h>

#include "../config.h"

/* A test's environment: NAME=value, NULL-terminated; later ones win. */
static const char *const *extra;

static const char *const base[] = { "KUBERNETES_SERVICE_HOST=10.0.0.1",
				    "KUBERNETES_SERVICE_PORT=443", "JOB_ID=12-70788",
				    "NAMESPACE=panda", NULL };

static const char *lookup(const char *const *env, const char *name)
{
	size_t      n = strlen(name);
	const char *found = NULL;

	for (; env && *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			found = *env + n + 1;
	return found;
}

static const char *from_table(const char *name)
{
	const char *v = lookup(extra, name);

	return v ? v : lookup(base, name);
}

struct complaints {
	unsigned count;      /* errors */
	char     text[4096]; /* of these, one a line */
	unsigned warning_count;
	char     warnings[4096];
};

static void note(void *arg, enum log_level level, const char *complaint)
{
	struct complaints *c = arg;
	bool               error = level == LOG_ERROR;
	char              *text = error ? c->text : c->warnings;
	size_t             n = strlen(text);

	assert_true(error || level == LOG_WARN);
	++*(error ? &c->count : &c->warning_count);
	(void)snprintf(text + n, sizeof(c->text) - n, "%s\n", complaint);
}

/* @host NULL: for a sweep. */
static struct complaints load(struct config *cfg, const char *const *env, const char *host)
{
	static struct complaints c;

	c = (struct complaints){ 0 };
	extra = env;
	int r = host ? config_load(cfg, from_table, host, note, &c)
		     : config_load_for_sweep(cfg, from_table, note, &c);
	assert_int_equal(r, c.count ? -EINVAL : 0);
	return c;
}

#define ENV(...) ((const char *const[]){ __VA_ARGS__, NULL })

#endif
