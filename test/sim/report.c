#include "report.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int kind_of(struct kind *kinds, int *count, const char *name)
{
	for (int i = 0; i < *count; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return i;
	if (*count == KINDS)
		sim_fatal("more than %d kinds", KINDS);
	(void)snprintf(kinds[*count].name, sizeof(kinds[0].name), "%s", name);
	kinds[*count].seed = UINT64_MAX;
	return (*count)++;
}

static void add_kind(struct kind *k, uint64_t lives, uint64_t seed, const char *words)
{
	k->lives += lives;
	if (seed < k->seed) {
		k->seed = seed;
		(void)snprintf(k->words, sizeof(k->words), "%s", words);
	}
}

void report_life(struct report *r, uint64_t seed, const struct verdict *v,
		 const struct life_stats *s)
{
	r->lives++;
	r->failed_lives += v->count > 0;
	r->requests += (uint64_t)s->requests;
	r->starts += (uint64_t)s->starts;
	r->virtual_ms += s->virtual_ms;
	for (int i = 0; i < v->count; i++) {
		int k = kind_of(r->kinds, &r->kind_count, v->broken[i].kind);
		add_kind(&r->kinds[k], 1, seed, v->broken[i].words);
	}
	for (int i = 0; i < v->window_count; i++)
		add_kind(&r->windows[kind_of(r->windows, &r->window_count, v->windows[i])], 1, seed,
			 "");
}

void report_crash(struct report *r, uint64_t seed, int status)
{
	bool hangs = WIFSIGNALED(status) && WTERMSIG(status) == SIGVTALRM;
	char words[80];
	int  k = kind_of(r->kinds, &r->kind_count, hangs ? "hang" : "crash");

	if (WIFSIGNALED(status))
		(void)snprintf(words, sizeof(words), "the code under test %s",
			       hangs ? "takes seconds" : strsignal(WTERMSIG(status)));
	else /* a sanitizer's, most likely */
		(void)snprintf(words, sizeof(words), "the code under test ends with status %d",
			       WEXITSTATUS(status));
	add_kind(&r->kinds[k], 1, seed, words);
	r->failed_lives++;
	r->lives++;
}

bool report_write(const struct report *r, int fd)
{
	const char *p = (const char *)r;

	for (size_t n = sizeof(*r); n;) {
		ssize_t w = write(fd, p, n);
		if (w <= 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

void report_read(struct report *total, int fd)
{
	static struct report r;
	char                *p = (char *)&r;
	size_t               got = 0;

	while (got < sizeof(r)) {
		ssize_t n = read(fd, p + got, sizeof(r) - got);
		if (n <= 0)
			return; /* it died: its lives are played again */
		got += (size_t)n;
	}
	total->lives += r.lives;
	total->failed_lives += r.failed_lives;
	total->requests += r.requests;
	total->starts += r.starts;
	total->virtual_ms += r.virtual_ms;
	for (int i = 0; i < r.kind_count; i++)
		add_kind(&total->kinds[kind_of(total->kinds, &total->kind_count, r.kinds[i].name)],
			 r.kinds[i].lives, r.kinds[i].seed, r.kinds[i].words);
	for (int i = 0; i < r.window_count; i++)
		add_kind(&total->windows[kind_of(total->windows, &total->window_count,
						 r.windows[i].name)],
			 r.windows[i].lives, r.windows[i].seed, "");
}

/* ---- What people read ---- */

static void print_kind(const struct kind *k, const char *what, name_fn *name_of)
{
	char name[200];

	(void)snprintf(name, sizeof(name), "seed %llu", (unsigned long long)k->seed);
	if (name_of)
		name_of(k->seed, name, sizeof(name));
	(void)printf("%s %-24s %7llu lives, %s%s%s\n", what, k->name, (unsigned long long)k->lives,
		     name, k->words[0] ? ": " : "", k->words);
}

int report_print(const struct report *r, double seconds, name_fn *name_of)
{
	for (int i = 0; i < r->window_count; i++)
		print_kind(&r->windows[i], "window", name_of);
	for (int i = 0; i < r->kind_count; i++)
		print_kind(&r->kinds[i], "FAILED", name_of);
	(void)printf("%llu lives in %.1f s, %.0f a second; %.1f virtual years, %llu requests, %llu "
		     "starts\n",
		     (unsigned long long)r->lives, seconds, (double)r->lives / seconds,
		     (double)r->virtual_ms / 1000 / 86400 / 365, (unsigned long long)r->requests,
		     (unsigned long long)r->starts);
	(void)printf("%llu passed, %llu failed\n", (unsigned long long)(r->lives - r->failed_lives),
		     (unsigned long long)r->failed_lives);
	return r->failed_lives ? 1 : 0;
}
