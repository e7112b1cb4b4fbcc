/*
 * leftover.h - the ids of a namespace: what there is of each, and whether that is nobody's any
 * more. Pure: no requests, no clocks. What is said here only chooses; before anything is deleted,
 * run.h reads it again, and has the last word.
 */
#ifndef LEFTOVER_H
#define LEFTOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "k8s_pages.h"

enum {
	HAS_JOB = 1,
	HAS_ENDED_JOB = 2, /* ... which ended so long ago that it is nobody's any more */
	HAS_SERVICE = 4,
	HAS_CLEANER = 8,
	HAS_ACTIVE_CLEANER = 16, /* ... which has a pod that may be at work */
	HAS_PODS = 32,
	HAS_QUEUES = 64,
	HAS_ORPHANS = 128,       /* pods of a Job that is gone, beside another one of its name */
	HAS_SHARED_QUEUES = 256, /* they may be a shorter id's, whose Job lives: all of them stay */
};

/* What goes as one: all of an id, or the orphans that one Job has left. */
struct leftover {
	char    *id;        /* owned */
	char    *uid;       /* owned: of the Job; of orphans, of the one that has left them */
	int64_t  newest_ms; /* Unix: when the youngest thing of it was created; NEVER = unknown */
	unsigned has;
	unsigned pods;
};

/* Sorted by id, and orphans by uid. Zero is a valid start, but for @cfg. */
struct leftovers {
	const struct config *cfg; /* borrowed; cfg->swept_before_ms divides young from old */
	struct leftover     *all; /* owned */
	size_t               count;
};

void leftovers_fini(struct leftovers *l);

/* In this order: Jobs, Services, pods, queues; all of one before the next. */
void leftovers_add_job(void *leftovers, const struct k8s_item *item);
void leftovers_add_service(void *leftovers, const struct k8s_item *item);
void leftovers_add_pod(void *leftovers, const struct k8s_item *item);

/* By cfg->queues, of a sweep. @used_ms: Unix, since when nobody uses it; -1 = in use, or unknown.
 */
void leftovers_add_queue(void *leftovers, const char *name, int64_t used_ms);

/* Nobody's any more, and all of it old. */
bool leftover_is_one(const struct leftovers *l, const struct leftover *o);

/* Literal: why it is one. */
const char *leftover_why(const struct leftover *o);

size_t leftovers_count(const struct leftovers *l);

/* So many that something else must be wrong: cfg->sweep_max, or more than half of many. */
bool leftovers_are_too_many(const struct leftovers *l);

#endif
