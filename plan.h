/*
 * plan.h - what is to be done next, decided from scratch each time from what is known (world.h):
 * one request, a wait, or the end. Pure: no requests, no clocks, no log.
 */
#ifndef PLAN_H
#define PLAN_H

#include "fate.h"
#include "world.h"

enum step_kind { STEP_ASK, STEP_WAIT, STEP_END };

enum end {
	END_TORN_DOWN, /* nothing of ours is left but, at most, queues */
	END_LEFT,      /* something is left */
	END_SIGNALLED, /* before anything was decided, or while a finished Job is kept */
	END_DRY_RUN,   /* all that follows would be a change */
	END_SPARED,    /* of a sweep: it is no leftover, or not any more */
};

struct step {
	enum step_kind kind;
	enum ask       ask; /* STEP_ASK */
	bool        urgent; /* STEP_ASK: what is under way and can be asked again gives way to it */
	int64_t     limit_ms; /* STEP_ASK: for the whole exchange; 0 = as usual */
	enum end    end;      /* STEP_END */
	int64_t     until_ms; /* not STEP_END: look again then at the latest */
	const char *rule;     /* STEP_ASK: the rule's words, for the log */
};

struct step plan_next(const struct world *w, const struct config *cfg, int64_t now);

#endif
