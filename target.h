/*
 * target.h - what is known of the Job that we watch, folded from reads and watch events.
 * Pure: no requests, no clocks.
 */
#ifndef TARGET_H
#define TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "k8s_objects.h"

enum target_state {
	TARGET_AWAITED,   /* never seen yet */
	TARGET_LIVE,      /* there, and not finished */
	TARGET_COMPLETED, /* these two are final for this uid */
	TARGET_FAILED,
	TARGET_GONE,     /* deleted, or being deleted */
	TARGET_NEWCOMER, /* another uid has our Job's name */
};

const char *target_state_name(enum target_state s);

struct target {
	enum target_state state;
	struct k8s_job    job;        /* as last seen under our uid; valid once seen */
	bool              ever_ready; /* a pod of it has been ready */
};

static inline bool target_seen(const struct target *t)
{
	return t->job.uid[0] != '\0';
}

/* There is nothing to wait for any more: the state calls for an act. */
static inline bool target_is_over(const struct target *t)
{
	return t->state > TARGET_LIVE;
}

/*
 * Folds in one sight of a Job of our name. The first one seen is ours: its uid is kept. States
 * only move forward: a late event cannot make a finished Job live again.
 */
void target_saw(struct target *t, const struct k8s_job *job);

/* A read answered that no Job of this name exists, or a watch that the Job @uid was deleted. */
void target_absent(struct target *t);
void target_deleted(struct target *t, const char *uid);

/*
 * A read shows the Job alive, of which an event or an empty list had said that it is gone: the read
 * is right.
 */
void target_returned(struct target *t, const struct k8s_job *job);

/* What the annotation cleanup-grpc/hold says at a time. */
enum hold {
	HOLD_NONE,
	HOLD_ON,      /* `true`, or a time that has not come yet */
	HOLD_INVALID, /* neither: it holds, which is the safe side, and somebody is told */
	HOLD_OVER,    /* a time that has passed */
};

/* @ret_until_ms: Unix time at which HOLD_ON ends, INT64_MAX if it does not; may be NULL. */
enum hold target_hold(const struct k8s_job *job, int64_t unix_now_ms, int64_t *ret_until_ms);

static inline bool hold_holds(enum hold h)
{
	return h == HOLD_ON || h == HOLD_INVALID;
}

#endif
