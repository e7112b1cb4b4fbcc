/* report.h - many lives in a few lines: kinds of broken promises, and windows. */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

#include "life.h"
#include "promises.h"

#define KINDS 80

struct kind {
	char     name[40];
	uint64_t lives;
	uint64_t seed; /* the least one */
	char     words[300];
};

struct report {
	uint64_t    lives, failed_lives, requests, starts;
	int64_t     virtual_ms;
	struct kind kinds[KINDS];
	int         kind_count;
	struct kind windows[KINDS];
	int         window_count;
};

void report_life(struct report *r, uint64_t seed, const struct verdict *v,
		 const struct life_stats *s);
void report_crash(struct report *r, uint64_t seed, int status); /* of wait() */
bool report_write(const struct report *r, int fd);
void report_read(struct report *total, int fd); /* adds it */

/* What a life is called, if not by its seed. */
typedef void name_fn(uint64_t number, char *out, unsigned size);

/* Returns the exit status: 0 if nothing failed. */
int report_print(const struct report *r, double seconds, name_fn *name_of);

#endif
