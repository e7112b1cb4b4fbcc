/*
 * sim.h - the ground of the simulated cluster: true time and what is due in it, chance, text, and
 * the timeline that -v prints. One life at a time; sim_reset() begins the next one.
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEC(n) (INT64_C(1000) * (n))
#define NEVER  INT64_MAX

/* The wall clock of the cluster at the start of each life: 2026-11-24T00:00:00Z. */
#define SIM_EPOCH_MS INT64_C(1795478400000)

/* ---- Time: milliseconds since the life began, as the cluster counts them ---- */

typedef void sim_fn(int arg);

void    sim_reset(uint64_t seed);
int64_t sim_ms(void);
void    sim_at(int64_t at_ms, sim_fn *fn, int arg); /* in the past: at once */
void    sim_after(int64_t ms, sim_fn *fn, int arg);

/* Moves time to the next thing that is due, and does it; but not beyond @until_ms. */
void sim_step(int64_t until_ms);
void sim_run_until(int64_t until_ms);

/* ---- The cleaner's clocks, which may stand still or jump ---- */

struct clocks {
	int64_t asleep_ms;   /* CLOCK_MONOTONIC stood still for so long */
	int64_t wall_off_ms; /* CLOCK_REALTIME is so far ahead of the cluster's */
};
extern struct clocks clocks;

int64_t clock_monotonic_ms(void);
int64_t clock_true_ms(int64_t monotonic_ms); /* when it will be, if the node stays awake */

/* ---- Chance: each purpose has its own stream, so that one does not shift another ---- */

struct rng {
	uint64_t state;
};

extern struct rng rng_cluster; /* delays of the cluster */

uint64_t   mix(uint64_t a, uint64_t b);
struct rng rng_of(uint64_t seed, uint64_t purpose);
uint32_t   rng_u32(struct rng *r);
int64_t    rng_in(struct rng *r, int64_t least, int64_t most);
bool       rng_permille(struct rng *r, int odds);
int64_t    delay(int64_t least_ms, int64_t most_ms); /* of rng_cluster */

/* ---- Text that grows ---- */

struct text {
	char  *p;
	size_t n, cap;
};

void text_reset(struct text *t);
void text_free(struct text *t);
void text_bytes(struct text *t, const char *p, size_t n);
void text_add(struct text *t, const char *s);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- The timeline ---- */

extern bool sim_verbose;
void        trace(const char *who, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void sim_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
