/* True time, the cleaner's clocks, chance. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "sim.h"

#define TIMERS      4096
#define MONOTONIC_0 INT64_C(5000000) /* a node that was started a while ago, */
#define BOOT_AHEAD  INT64_C(7000000) /* and has slept */

struct timer {
	int64_t  at_ms;
	uint64_t seq; /* of two at one time, the one that was set first */
	sim_fn  *fn;
	int      arg;
};

static struct timer timers[TIMERS]; /* a heap */
static size_t       timer_count;
static uint64_t     timer_seq;
static int64_t      now_true_ms;

struct clocks     clocks;
struct rng        rng_cluster;
static struct rng rng_cleaner; /* what the program gets from getrandom() */

void sim_reset(uint64_t seed)
{
	timer_count = 0;
	timer_seq = 0;
	now_true_ms = 0;
	clocks = (struct clocks){ 0 };
	rng_cluster = rng_of(seed, 1);
	rng_cleaner = rng_of(seed, 2);
}

int64_t sim_ms(void)
{
	return now_true_ms;
}

static bool before(const struct timer *a, const struct timer *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->seq < b->seq;
}

static void swap(struct timer *a, struct timer *b)
{
	struct timer t = *a;

	*a = *b;
	*b = t;
}

void sim_at(int64_t at_ms, sim_fn *fn, int arg)
{
	if (at_ms == NEVER)
		return;
	if (timer_count == TIMERS)
		sim_fatal("more than %d timers", TIMERS);
	size_t i = timer_count++;
	timers[i] = (struct timer){ .at_ms = at_ms > now_true_ms ? at_ms : now_true_ms,
				    .seq = timer_seq++,
				    .fn = fn,
				    .arg = arg };
	for (; i && before(&timers[i], &timers[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&timers[i], &timers[(i - 1) / 2]);
}

void sim_after(int64_t ms, sim_fn *fn, int arg)
{
	sim_at(ms == NEVER ? NEVER : now_true_ms + ms, fn, arg);
}

static struct timer take_first(void)
{
	struct timer first = timers[0];

	timers[0] = timers[--timer_count];
	for (size_t i = 0;;) {
		size_t least = i, l = 2 * i + 1, r = l + 1;
		if (l < timer_count && before(&timers[l], &timers[least]))
			least = l;
		if (r < timer_count && before(&timers[r], &timers[least]))
			least = r;
		if (least == i)
			return first;
		swap(&timers[i], &timers[least]);
		i = least;
	}
}

void sim_step(int64_t until_ms)
{
	if (!timer_count || timers[0].at_ms > until_ms) {
		now_true_ms = until_ms > now_true_ms ? until_ms : now_true_ms;
		return;
	}
	struct timer t = take_first();
	now_true_ms = t.at_ms;
	t.fn(t.arg);
}

void sim_run_until(int64_t until_ms)
{
	while (now_true_ms < until_ms || (timer_count && timers[0].at_ms <= until_ms))
		sim_step(until_ms);
}

/* ---- The cleaner's clocks ---- */

int64_t clock_monotonic_ms(void)
{
	return MONOTONIC_0 + now_true_ms - clocks.asleep_ms;
}

int64_t clock_true_ms(int64_t monotonic_ms)
{
	return monotonic_ms == NEVER ? NEVER : monotonic_ms - MONOTONIC_0 + clocks.asleep_ms;
}

/* The linker gives the program these instead of the C library's (Makefile: --wrap). */
int     __wrap_clock_gettime(clockid_t id, struct timespec *ts);
ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t ms;

	switch (id) {
	case CLOCK_MONOTONIC: ms = clock_monotonic_ms(); break;
	case CLOCK_BOOTTIME: ms = MONOTONIC_0 + BOOT_AHEAD + now_true_ms; break;
	case CLOCK_REALTIME: ms = SIM_EPOCH_MS + now_true_ms + clocks.wall_off_ms; break;
	default: sim_fatal("clock_gettime(%d) is not simulated", (int)id);
	}
	*ts = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000 };
	return 0;
}

ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags)
{
	unsigned char *out = p;

	(void)flags;
	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)rng_u32(&rng_cleaner);
	return (ssize_t)n;
}

/* ---- Chance (splitmix64) ---- */

uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t z = a + UINT64_C(0x9e3779b97f4a7c15) * (b + 1);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

struct rng rng_of(uint64_t seed, uint64_t purpose)
{
	return (struct rng){ .state = mix(mix(seed, 77), purpose) };
}

uint32_t rng_u32(struct rng *r)
{
	r->state += UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(mix(r->state, 0) >> 32);
}

int64_t rng_in(struct rng *r, int64_t least, int64_t most)
{
	return least + (int64_t)(rng_u32(r) % (uint64_t)(most - least + 1));
}

bool rng_permille(struct rng *r, int odds)
{
	return (int)(rng_u32(r) % 1000) < odds;
}

int64_t delay(int64_t least_ms, int64_t most_ms)
{
	return rng_in(&rng_cluster, least_ms, most_ms);
}

/* ---- Text ---- */

void text_reset(struct text *t)
{
	t->n = 0;
	if (t->p)
		t->p[0] = '\0';
}

void text_free(struct text *t)
{
	free(t->p);
	*t = (struct text){ 0 };
}

static void reserve(struct text *t, size_t n)
{
	if (t->n + n + 1 <= t->cap)
		return;
	size_t cap = t->cap ? t->cap : 4096;
	while (cap < t->n + n + 1)
		cap *= 2;
	char *p = realloc(t->p, cap);
	if (!p)
		sim_fatal("out of memory");
	t->p = p;
	t->cap = cap;
}

void text_bytes(struct text *t, const char *p, size_t n)
{
	reserve(t, n);
	memcpy(t->p + t->n, p, n);
	t->n += n;
	t->p[t->n] = '\0';
}

void text_add(struct text *t, const char *s)
{
	text_bytes(t, s, strlen(s));
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;

	reserve(t, 512);
	va_start(ap, fmt);
	int n = vsnprintf(t->p + t->n, t->cap - t->n, fmt, ap);
	va_end(ap);
	if (n < 0)
		sim_fatal("vsnprintf");
	if ((size_t)n >= t->cap - t->n) {
		reserve(t, (size_t)n);
		va_start(ap, fmt);
		(void)vsnprintf(t->p + t->n, t->cap - t->n, fmt, ap);
		va_end(ap);
	}
	t->n += (size_t)n;
}

/* ---- The timeline ---- */

bool sim_verbose;

void trace(const char *who, const char *fmt, ...)
{
	va_list ap;

	if (!sim_verbose)
		return;
	(void)printf("%8.3f %-8s ", (double)now_true_ms / 1000, who);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)putchar('\n');
}

void sim_fatal(const char *fmt, ...)
{
	va_list ap;

	(void)fflush(stdout);
	(void)fprintf(stderr, "sim: at %.3f s: ", (double)now_true_ms / 1000);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	abort();
}
