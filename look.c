#include "look.h"

#define FRESH_MS INT64_C(60000) /* no evidence for a DELETE is older, at long intervals */

static int64_t fresh_ms(const struct config *cfg)
{
	return min_ms(2 * cfg->interval_ms, FRESH_MS);
}

/* Told by a request that was sent behind the last look's beginning, and not long ago. */
static bool is_looked_at(const struct world *w, const struct config *cfg, enum ask a, int64_t now)
{
	return w->asked[a].told > w->idle.look && now - w->asked[a].told_ms < fresh_ms(cfg);
}

/* ... until they may be asked for again. */
static bool look_leaves_pods_out(const struct world *w, int64_t now)
{
	return pods_are_forbidden(w) && now < w->asked[ASK_PODS].due_ms;
}

bool look_has_pods(const struct world *w, const struct config *cfg, int64_t now)
{
	return look_leaves_pods_out(w, now) || is_looked_at(w, cfg, ASK_PODS, now);
}

bool look_has_job(const struct world *w, const struct config *cfg, int64_t now)
{
	return is_looked_at(w, cfg, ASK_JOB, now) &&
	       (look_leaves_pods_out(w, now) ||
		w->asked[ASK_JOB].told > w->asked[ASK_PODS].told_at);
}

bool look_wants_reading(const struct world *w, const struct config *cfg, int64_t now)
{
	return idle_is_due(w, cfg, now) && now - w->idle.reading_ms >= fresh_ms(cfg);
}

/* Without status.ready and without the right to list pods nobody can know: then never. */
static bool look_knows_pending(const struct world *w, int64_t now)
{
	return !look_leaves_pods_out(w, now) || w->job.ready >= 0;
}

bool look_is_done(const struct world *w, const struct config *cfg, int64_t now)
{
	if (!look_has_pods(w, cfg, now) || !look_has_job(w, cfg, now))
		return false;
	switch (trigger_due(w, cfg, now)) {
	case TRIGGER_IDLE: return !look_wants_reading(w, cfg, now);
	case TRIGGER_PENDING: return look_knows_pending(w, now);
	case TRIGGER_COMPLETED: /* by TARGET_CONTAINER: the pods tell, and nothing else */
	case TRIGGER_FAILED: return is_looked_at(w, cfg, ASK_PODS, now);
	case TRIGGER_NONE:
	case TRIGGER_GONE:
	case TRIGGER_MISSING: break;
	}
	return false;
}
