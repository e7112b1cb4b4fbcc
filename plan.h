/*
 * plan.h - what is to be done next, decided from scratch each time from what is known (world.h): one
 * request, a wait, or the end. Pure: no requests, no clocks, no log.
 */
#ifndef PLAN_H
#define PLAN_H

#include "world.h"

enum step_kind { STEP_ASK, STEP_WAIT, STEP_END };

enum end {
	END_TORN_DOWN, /* nothing of ours is left but, at most, queues */
	END_LEFT,      /* something is left */
	END_SIGNALLED, /* before anything was decided, or while a finished Job is kept */
	END_DRY_RUN,   /* all that follows would be a change */
};

struct step {
	enum step_kind kind;
	enum ask       ask;      /* STEP_ASK */
	bool           urgent;   /* STEP_ASK: what is under way and can be asked again gives way to it */
	int64_t        limit_ms; /* STEP_ASK: for the whole exchange; 0 = as usual */
	enum end       end;      /* STEP_END */
	int64_t        until_ms; /* not STEP_END: look again then at the latest */
	const char    *rule;     /* STEP_ASK: the rule's words, for the log */
};

struct step plan_next(const struct world *w, const struct config *cfg, int64_t now);

/* What became, or has become so far, of an object; fate_name() is its word in the summary. */
enum fate {
	FATE_NONE, /* not settled yet, or not tried */
	FATE_OFF,  /* not asked for */
	FATE_DELETED,
	FATE_ABSENT,
	FATE_NEWCOMER,  /* another one has its name by now: left alone */
	FATE_DELETING,  /* accepted, but finalizers keep it */
	FATE_FORBIDDEN, /* refused */
	FATE_LEFT,      /* out of time */
};

struct fates {
	enum fate job, pods, service, queues, self;
};

/* At @now; behind the deadline, what is not settled counts as left. */
struct fates plan_fates(const struct world *w, const struct config *cfg, int64_t now);

static inline bool fate_is_left(enum fate f)
{
	return f >= FATE_DELETING;
}

/* Neither queues nor our own Job count: these must not hold a slot, and that has a TTL. */
static inline bool fates_are_complete(const struct fates *f)
{
	return !fate_is_left(f->job) && !fate_is_left(f->pods) && !fate_is_left(f->service);
}

#endif
