/*
 * fate.h - what has become of each thing of a teardown so far, and until when there is time. Pure.
 */
#ifndef FATE_H
#define FATE_H

#include "world.h"

/* What became of an object; fate_name() is its word in the summary. */
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
struct fates fates_of(const struct world *w, const struct config *cfg, int64_t now);

static inline bool fate_is_left(enum fate f)
{
	return f >= FATE_DELETING;
}

/* Neither queues nor our own Job count: these must not hold a slot, and that has a TTL. */
static inline bool fates_are_complete(const struct fates *f)
{
	return !fate_is_left(f->job) && !fate_is_left(f->pods) && !fate_is_left(f->service);
}

/* A signal has left no time for the queues: whoever is started next goes on with them. */
bool queues_are_cut_short(const struct world *w, const struct config *cfg, int64_t now);

/* Nothing is left that counts. For a sweep all does: it is for what those others have left. */
bool all_is_gone(const struct world *w, const struct config *cfg, const struct fates *f,
		 int64_t now);

/* ---- Each by itself, and as it is: FATE_NONE for what is not settled ---- */

/* The Job has gone, or was never there: since when, by both orders of time. */
bool     job_has_ended(const struct world *w);
int64_t  job_ended_ms(const struct world *w);
uint64_t job_ended_at(const struct world *w);

bool      pods_are_known(const struct world *w); /* ... behind that */
enum fate pods_fate(const struct world *w);
enum fate service_fate(const struct world *w);
enum fate queues_fate(const struct world *w, const struct config *cfg, int64_t now);
enum fate self_fate(const struct world *w, const struct config *cfg);

/* Until when a queue that the broker does not delete is tried. */
int64_t queues_patience_ms(const struct world *w);

/* So long a read of the Job's name tells whose the page of queues at hand is; 0: none has. */
int64_t queues_are_told_until_ms(const struct world *w);

/* Whose they are by now is asked so long of an API server that answers, but not to that. */
int64_t whose_patience_ms(const struct world *w);

/* Until when there is time for a teardown; NEVER: there is none. */
int64_t teardown_deadline_ms(const struct world *w, const struct config *cfg);

/* A Job, or pods, that stay hold up the rest for 30 s, and three quarters of the time that is left.
 */
int64_t held_up_until_ms(const struct world *w, const struct config *cfg, int64_t since);

/*
 * A sweep watches nothing and judges no idleness: a Job that is there is one that ended long ago,
 * or it is left alone, and with it all that has its id; so is an id of which something is young.
 */
bool sweep_spares(const struct world *w, const struct config *cfg);

/* Nor does a sweep wait for ever for an answer to who has the name; NEVER: there is one. */
int64_t sweep_deadline_ms(const struct world *w, const struct config *cfg);

/* All but our own Job is settled, and nothing is left that counts. */
bool self_is_next(const struct world *w, const struct config *cfg, int64_t now);

/* The Job was read behind the last signal. */
static inline bool signal_is_answered(const struct world *w)
{
	return w->asked[ASK_JOB].sent > w->signal_seq;
}

/* A signal while nothing is decided, or while a finished Job is kept for its logs. */
bool teardown_is_stopped(const struct world *w, const struct config *cfg, int64_t now);

/* All is settled, or time is up. */
bool teardown_is_over(const struct world *w, const struct config *cfg, int64_t now);

#define SELF_MS     INT64_C(10000) /* for our own Job, behind the deadline */
#define LAST_POD_MS INT64_C(60000) /* a terminating pod may declare its queue again */

#endif
