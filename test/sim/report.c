#include "report.h"

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

static void add_set(struct report *r, uint64_t set, uint64_t lives)
{
	int i = 0;

	while (i < r->set_count && r->sets[i] != set)
		i++;
	if (i == 256)
		i = 255; /* too many: they are counted with the last one, and fail with it */
	else if (i == r->set_count)
		r->set_count++;
	r->sets[i] |= set;
	r->set_lives[i] += lives;
}

void report_life(struct report *r, uint64_t seed, const struct verdict *v,
		 const struct life_stats *s)
{
	uint64_t set = 0;

	r->lives++;
	r->broken_lives += v->count > 0;
	r->requests += (uint64_t)s->requests;
	r->starts += (uint64_t)s->starts;
	r->virtual_ms += s->virtual_ms;
	for (int i = 0; i < v->count; i++) {
		int k = kind_of(r->kinds, &r->kind_count, v->broken[i].kind);
		add_kind(&r->kinds[k], 1, seed, v->broken[i].words);
		set |= UINT64_C(1) << k;
	}
	if (set)
		add_set(r, set, 1);
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
	add_set(r, UINT64_C(1) << k, 1);
	r->lives++;
	r->broken_lives++;
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
	total->broken_lives += r.broken_lives;
	total->requests += r.requests;
	total->starts += r.starts;
	total->virtual_ms += r.virtual_ms;
	int place[KINDS] = { 0 };
	for (int i = 0; i < r.kind_count; i++) {
		place[i] = kind_of(total->kinds, &total->kind_count, r.kinds[i].name);
		add_kind(&total->kinds[place[i]], r.kinds[i].lives, r.kinds[i].seed,
			 r.kinds[i].words);
	}
	for (int i = 0; i < r.window_count; i++)
		add_kind(&total->windows[kind_of(total->windows, &total->window_count,
						 r.windows[i].name)],
			 r.windows[i].lives, r.windows[i].seed, "");
	for (int i = 0; i < r.set_count; i++) {
		uint64_t set = 0;
		for (int k = 0; k < r.kind_count; k++)
			if (r.sets[i] & UINT64_C(1) << k)
				set |= UINT64_C(1) << place[k];
		add_set(total, set, r.set_lives[i]);
	}
}

/* ---- What people read ---- */

#define KNOWN_LIVES 20000 /* in so many, what is known should be seen */

/* Which kinds are named in the file, one `kind: rule` a line; -1 if it cannot be read. */
static uint64_t read_known(const struct report *r, const char *file, double lives)
{
	FILE    *f = file ? fopen(file, "re") : NULL;
	char     line[300];
	uint64_t known = 0;

	while (f && fgets(line, sizeof(line), f)) {
		size_t n = strcspn(line, ":");
		bool   seen = false;
		if (line[0] == '#' || line[n] != ':')
			continue;
		for (int i = 0; i < r->kind_count; i++)
			if (strlen(r->kinds[i].name) == n &&
			    strncmp(r->kinds[i].name, line, n) == 0) {
				known |= UINT64_C(1) << i;
				seen = true;
			}
		if (!seen && lives >= KNOWN_LIVES)
			(void)printf("known, and not seen any more: %.*s\n", (int)n, line);
	}
	if (f)
		(void)fclose(f);
	return known;
}

static void print_kind(const struct kind *k, const char *what, name_fn *name_of)
{
	char name[200];

	(void)snprintf(name, sizeof(name), "seed %llu", (unsigned long long)k->seed);
	if (name_of)
		name_of(k->seed, name, sizeof(name));
	(void)printf("%s %-24s %7llu lives, %s%s%s\n", what, k->name, (unsigned long long)k->lives,
		     name, k->words[0] ? ": " : "", k->words);
}

int report_print(const struct report *r, const char *file, double seconds, name_fn *name_of)
{
	uint64_t known = read_known(r, file, name_of ? 0 : (double)r->lives), failed = 0;

	for (int i = 0; i < r->window_count; i++)
		print_kind(&r->windows[i], "window", name_of);
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < r->kind_count; i++) {
			bool is_known = known & UINT64_C(1) << i;
			if (is_known == (pass == 0))
				print_kind(&r->kinds[i], is_known ? "known " : "FAILED", name_of);
		}
	for (int i = 0; i < r->set_count; i++)
		if (r->sets[i] & ~known)
			failed += r->set_lives[i];
	(void)printf("%llu lives in %.1f s, %.0f a second; %.1f virtual years, %llu requests, %llu "
		     "starts; %llu broke only what is known\n",
		     (unsigned long long)r->lives, seconds, (double)r->lives / seconds,
		     (double)r->virtual_ms / 1000 / 86400 / 365, (unsigned long long)r->requests,
		     (unsigned long long)r->starts, (unsigned long long)(r->broken_lives - failed));
	(void)printf("%llu passed, %llu failed\n", (unsigned long long)(r->lives - failed),
		     (unsigned long long)failed);
	return failed ? 1 : 0;
}
