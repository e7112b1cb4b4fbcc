#include "fate.h"

#define SIGNAL_MS     INT64_C(22500) /* a signal leaves 25 s to a teardown; 2 to tell what is left */
#define SIGNAL_TWO_MS INT64_C(500)   /* ... and a second one 1 s */
#define HELD_UP_MS    INT64_C(30000)
#define SELF_TRIES    3
#define WHOSE_MS      INT64_C(30000) /* a slow broker, a sleep: read again */
#define WHOSE_TRIES   3 /* a pause that the server asked for is no answer to them all */

/* ---- Deadlines ---- */

int64_t teardown_deadline_ms(const struct world *w, const struct config *cfg)
{
	if (!w->over.trigger)
		return NEVER;
	int64_t since = w->ripe      ? w->ripe_ms /* a grace is no part of it */
			: w->gone_ms ? w->gone_ms
				     : max_ms(w->over.ms, job_kept_until_ms(w, cfg));
	int64_t d = since + cfg->teardown_timeout_ms;
	if (w->signals)
		d = min_ms(d, w->signal_ms + (w->signals == 1 ? SIGNAL_MS : SIGNAL_TWO_MS));
	return d;
}

int64_t held_up_until_ms(const struct world *w, const struct config *cfg, int64_t since)
{
	int64_t from = w->signals ? max_ms(since, w->signal_ms) : since;

	return min_ms(since + HELD_UP_MS, from + (teardown_deadline_ms(w, cfg) - from) / 4 * 3);
}

int64_t sweep_deadline_ms(const struct world *w, const struct config *cfg)
{
	if (!cfg->swept_before_ms || w->over.trigger)
		return NEVER;
	return is_refused(w, ASK_JOB)
		       ? 0
		       : w->started_ms + cfg->missing_timeout_ms + cfg->teardown_timeout_ms;
}

bool sweep_spares(const struct world *w, const struct config *cfg)
{
	return cfg->swept_before_ms &&
	       (w->young || (w->name == NAME_OURS && !job_is_left(&w->job, cfg)));
}

/* ---- What has become of each thing ---- */

int64_t job_ended_ms(const struct world *w)
{
	return w->gone_ms ? w->gone_ms : w->over.ms;
}

bool job_has_ended(const struct world *w)
{
	return w->gone_ms || w->over.trigger == TRIGGER_MISSING;
}

static enum fate job_fate(const struct world *w)
{
	if (w->name == NAME_OTHER)
		return FATE_NEWCOMER;
	if (!job_has_ended(w))
		return FATE_NONE;
	return w->accepted || w->acting ? FATE_DELETED : FATE_ABSENT;
}

uint64_t job_ended_at(const struct world *w)
{
	return w->gone_ms ? w->gone : w->over.seq;
}

bool pods_are_known(const struct world *w)
{
	return w->asked[ASK_PODS].told > job_ended_at(w);
}

enum fate pods_fate(const struct world *w)
{
	if (!job_has_ended(w))
		return FATE_NONE;
	const struct asked *a = &w->asked[ASK_PODS];
	if (pods_are_forbidden(w) && (a->sent > job_ended_at(w) || a->due_ms > job_ended_ms(w)))
		return FATE_OFF; /* nothing is known of them: Background takes them along */
	return pods_are_known(w) && !staying_pod(w) ? FATE_DELETED : FATE_NONE;
}

enum fate service_fate(const struct world *w)
{
	const struct service *s = &w->service;
	uint64_t              end = w->gone_ms ? w->gone : w->over.seq;
	bool behind = w->asked[ASK_SERVICE].told > end || w->asked[ASK_DELETE_SERVICE].told > end;

	if (w->name == NAME_OTHER || s->theirs)
		return FATE_NEWCOMER;
	if (s->known != ABSENT || !behind)
		return FATE_NONE;
	return s->deleted ? FATE_DELETED : FATE_ABSENT;
}

/* Behind the last pod, or where nobody may tell of pods, the queues are listed once more. */
static bool is_last_walk(const struct world *w)
{
	if (pods_fate(w) == FATE_OFF)
		return w->queues.began > w->asked[ASK_PODS].sent;
	if (w->pods.empty)
		return w->queues.began > w->pods.empty;
	return job_has_ended(w) && w->asked[ASK_QUEUES].told_ms >= job_ended_ms(w) + LAST_POD_MS;
}

/* A refused queue is tried for so long since one went, and since the Job did. */
int64_t queues_patience_ms(const struct world *w)
{
	return job_has_ended(w) ? max_ms(w->queues.since_ms, job_ended_ms(w)) + QUEUES_PATIENCE_MS
				: NEVER;
}

int64_t queues_are_told_until_ms(const struct world *w)
{
	const struct asked *read = &w->asked[ASK_JOB];

	return read->told > w->queues.page_at ? read->told_ms + WHOSE_MS : 0;
}

int64_t whose_patience_ms(const struct world *w)
{
	const struct queues *q = &w->queues;
	const struct asked  *read = &w->asked[ASK_JOB];
	bool                 at_hand = q->step == QUEUES_NEIGHBOUR || q->step == QUEUES_DELETE;
	bool no = is_refused(w, ASK_JOB) || (read->status >= 500 && read->failed >= WHOSE_TRIES);

	return at_hand && no && job_has_ended(w)
		       ? max_ms(w->asked[ASK_QUEUES].told_ms, read->told_ms) + QUEUES_PATIENCE_MS
		       : NEVER;
}

enum fate queues_fate(const struct world *w, const struct config *cfg, int64_t now)
{
	const struct queues *q = &w->queues;

	if (!cfg->rabbitmq_url[0])
		return FATE_OFF;
	if (w->newcomer)
		return FATE_NEWCOMER;
	if (q->final)
		return FATE_FORBIDDEN;
	if (q->step != QUEUES_WALKED)
		return now >= whose_patience_ms(w) ? FATE_LEFT : FATE_NONE;
	bool enough = q->answered && now >= queues_patience_ms(w) && q->walks >= QUEUES_WALKS;
	if (q->refused.count)
		return q->hopeless || enough ? FATE_LEFT : FATE_NONE;
	if (!is_last_walk(w))
		return FATE_NONE;
	return q->deleted ? FATE_DELETED : FATE_ABSENT;
}

enum fate self_fate(const struct world *w, const struct config *cfg)
{
	const struct asked *a = &w->asked[ASK_DELETE_SELF];

	if (!cfg->delete_self)
		return FATE_OFF;
	if (w->self_theirs)
		return FATE_NEWCOMER;
	if (w->self_deleted)
		return FATE_DELETED;
	if (w->self == ABSENT)
		return FATE_ABSENT;
	if (a->refused >= SELF_TRIES)
		return FATE_FORBIDDEN;
	if (w->self == UNKNOWN) {
		a = &w->asked[ASK_SELF];
		bool asked = a->sent > w->over.seq; /* now it counts */
		return asked && a->failed + a->refused >= REFUSED_BELIEVED ? FATE_LEFT : FATE_NONE;
	}
	return a->failed + a->refused >= SELF_TRIES ? FATE_LEFT : FATE_NONE;
}

/* What is not settled when time is up. */
static enum fate unsettled(enum fate f, bool deleting, bool refused)
{
	if (f != FATE_NONE)
		return f;
	return deleting ? FATE_DELETING : refused ? FATE_FORBIDDEN : FATE_LEFT;
}

struct fates fates_of(const struct world *w, const struct config *cfg, int64_t now)
{
	struct fates f = { job_fate(w), pods_fate(w), service_fate(w), queues_fate(w, cfg, now),
			   self_fate(w, cfg) };

	if (now < teardown_deadline_ms(w, cfg))
		return f;
	f.job = unsettled(f.job, w->deleting_ms, is_refused(w, ASK_DELETE_JOB));
	bool unseen = is_refused(w, ASK_PODS) && w->asked[ASK_PODS].status == 403;
	if (job_has_ended(w) && !f.pods)
		f.pods =
			unseen ? FATE_OFF : unsettled(f.pods, false, is_refused(w, ASK_DELETE_POD));
	f.service = unsettled(f.service, w->service.deleting,
			      is_refused(w, ASK_DELETE_SERVICE) || is_refused(w, ASK_SERVICE));
	f.queues = unsettled(f.queues, false, false);
	return f;
}

bool queues_are_cut_short(const struct world *w, const struct config *cfg, int64_t now)
{
	return w->signals && now >= teardown_deadline_ms(w, cfg) &&
	       queues_fate(w, cfg, now) == FATE_NONE;
}

bool all_is_gone(const struct world *w, const struct config *cfg, const struct fates *f,
		 int64_t now)
{
	bool swept = !fate_is_left(f->queues) && !fate_is_left(f->self);

	return fates_are_complete(f) && (swept || !cfg->swept_before_ms) &&
	       !queues_are_cut_short(w, cfg, now);
}

bool self_is_next(const struct world *w, const struct config *cfg, int64_t now)
{
	struct fates f = fates_of(w, cfg, now);

	return w->over.trigger && f.job && f.pods && f.service && f.queues &&
	       fates_are_complete(&f) && f.job != FATE_NEWCOMER &&
	       !queues_are_cut_short(w, cfg, now);
}

/* ---- The end ---- */

bool teardown_is_stopped(const struct world *w, const struct config *cfg, int64_t now)
{
	if (!w->signals)
		return false;
	if (!w->over.trigger)
		return signal_is_answered(w);
	if (now >= job_kept_until_ms(w, cfg))
		return false;
	if (now >= teardown_deadline_ms(w, cfg))
		return true;
	/* the last walk is for whoever comes behind the Job */
	bool queues = queues_fate(w, cfg, now) ||
		      (w->queues.step == QUEUES_WALKED && !w->queues.refused.count);
	return signal_is_answered(w) && service_fate(w) && queues;
}

bool teardown_is_over(const struct world *w, const struct config *cfg, int64_t now)
{
	struct fates f = fates_of(w, cfg, now);
	int64_t      deadline = teardown_deadline_ms(w, cfg);

	if (!f.job || !f.pods || !f.service || !f.queues)
		return now >= deadline;
	if (!self_is_next(w, cfg, now))
		return true;
	return self_fate(w, cfg) || now >= deadline + (w->signals ? 0 : SELF_MS);
}
