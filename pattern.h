/*
 * pattern.h - which queues are a job's: a name, or what names begin with, with the job's id in it;
 * and whose else a queue could be by the same pattern. Pure.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "util.h"

#define QUEUE_NAME_SIZE 256 /* AMQP 0-9-1: a queue's name has at most 255 bytes */
#define PATTERNS        16  /* of one list */

/* One id for another: so the same setting of another job reads. */
struct pattern {
	char text[QUEUE_NAME_SIZE]; /* a control character stands for each id in it */
	bool prefix;                /* all names that start so; else this one name */
};

/*
 * Parses @n bytes, a `*` at their end meaning a prefix: `$JOB_ID` stands for @id, and so does the
 * id itself where it stands by itself: `1` is not in `grpc-job-12-`. Without either it is refused:
 * no pattern may mean every queue. @id `$JOB_ID` itself: a sweep's, for every id. Returns 0, or
 * -EINVAL with what is allowed in @err.
 */
int pattern_parse(const char *s, size_t n, const char *id, struct pattern *ret, struct err *err);

/*
 * What it is of job @id: the name, or what names begin with. False: of an id other than it was
 * parsed for that may be more than the 255 bytes of a name; it is cut.
 */
bool pattern_text(const struct pattern *p, const char *id, char ret[QUEUE_NAME_SIZE]);

/* What all names begin with, whoever's; may be "". */
void pattern_start(const struct pattern *p, char ret[QUEUE_NAME_SIZE]);

/* Is @name a queue of the job whose id has @n bytes at @id? */
bool pattern_matches(const struct pattern *p, const char *id, size_t n, const char *name);

/*
 * The next id by which @name could be another job's, no shorter than ours: it begins where the
 * first id of the pattern does, *@ret_start, and ends behind @from. Returns its end; 0 = no more.
 * @id "": any job's.
 */
size_t pattern_rival(const struct pattern *p, const char *id, const char *name, size_t from,
		     size_t *ret_start);

#endif
