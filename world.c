#include "world.h"

#include <string.h>

#define TICK_MAX_MS INT64_C(90000) /* the loop turns more often than that */

void world_init(struct world *w, int64_t now)
{
	w->started_ms = now;
	queues_restart(&w->queues);
}

void world_fini(struct world *w)
{
	pod_metrics_fini(&w->idle.metrics);
	pod_metrics_fini(&w->idle.gathered);
	k8s_pods_fini(&w->pods.list);
}

static bool is_same(const char *uid, const char *other)
{
	return strcmp(uid, other) == 0;
}

/* ---- What follows from it ---- */

bool job_is_gone(const struct world *w)
{
	return job_seen(w) && (w->name == NAME_OTHER || (w->name == NAME_ABSENT && w->absent));
}

bool job_is_live(const struct world *w)
{
	return job_seen(w) && !w->over.trigger && w->name == NAME_OURS;
}

const char *job_state(const struct world *w)
{
	if (w->name == NAME_OTHER)
		return "newcomer";
	if (w->job.finished)
		return w->job.finished == JOB_COMPLETE ? "completed" : "failed";
	if (w->deleting_ms || w->gone_ms)
		return "gone";
	return job_seen(w) ? "live" : "awaited";
}

enum trigger world_trigger(const struct world *w)
{
	return w->over.trigger ? w->over.trigger : w->acting;
}

int64_t world_unix_ms(const struct world *w, int64_t now)
{
	return now + w->skew_ms;
}

enum hold job_hold(const struct world *w, int64_t now, int64_t *ret_until_ms)
{
	int64_t   until_ms = NEVER;
	enum hold h = HOLD_INVALID;

	if (!w->job.has_hold)
		h = HOLD_NONE;
	else if (strcmp(w->job.hold, "true") == 0)
		h = HOLD_ON;
	else if (rfc3339_parse(w->job.hold, &until_ms) == 0)
		h = world_unix_ms(w, now) < until_ms ? HOLD_ON : HOLD_OVER;
	if (ret_until_ms)
		*ret_until_ms = until_ms == NEVER ? NEVER : until_ms - w->skew_ms;
	return h;
}

bool job_is_on_hold(const struct world *w, int64_t now)
{
	enum hold h = job_hold(w, now, NULL);

	return h == HOLD_ON || h == HOLD_INVALID;
}

int64_t job_kept_until_ms(const struct world *w, const struct config *cfg)
{
	enum trigger t = w->over.trigger;
	int64_t      grace = t == TRIGGER_COMPLETED ? cfg->completed_grace_ms
			     : t == TRIGGER_FAILED  ? cfg->failed_grace_ms
						    : 0;

	if (!grace || !w->job.finished || job_is_gone(w))
		return 0;
	return w->over.ended_ms + grace; /* a restarted cleaner does not start over */
}

int64_t ended_due_ms(const struct world *w, const struct config *cfg)
{
	const struct ended *e = &w->ended;
	bool                counts = w->job.one_pod && w->job.active == 1 && !w->job.suspended;

	if (!e->how || !job_is_live(w) || !counts || (e->how == JOB_FAILED && w->job.retries))
		return NEVER;
	return e->ms + (e->how == JOB_COMPLETE ? cfg->completed_grace_ms : cfg->failed_grace_ms);
}

bool job_is_left(const struct k8s_job *j, const struct config *cfg)
{
	int64_t grace =
		j->finished == JOB_COMPLETE ? cfg->completed_grace_ms : cfg->failed_grace_ms;
	int64_t kept = max_ms(max_ms(j->ttl_ms, 0), grace);

	return j->finished && j->finished_ms >= 0 && !j->has_hold && j->created_ms >= 0 &&
	       j->created_ms <= cfg->swept_before_ms &&
	       j->finished_ms + kept <= cfg->swept_before_ms;
}

bool idle_is_due(const struct world *w, const struct config *cfg, int64_t now)
{
	const struct idle *i = &w->idle;

	return job_is_live(w) && !w->job.suspended && !job_is_on_hold(w, now) &&
	       i->reading == READING_IDLE && i->metrics.pods >= w->job.active &&
	       idle_count_triggers(&i->count, cfg->max_idle_count, cfg->min_distinct_samples);
}

int64_t pending_due_ms(const struct world *w, const struct config *cfg)
{
	if (!cfg->pending_timeout_ms || !job_is_live(w) || w->ever_ran || w->job.suspended)
		return NEVER;
	return w->pending_since_ms + cfg->pending_timeout_ms;
}

enum trigger trigger_due(const struct world *w, const struct config *cfg, int64_t now)
{
	if (ended_due_ms(w, cfg) <= now)
		return w->ended.how == JOB_COMPLETE ? TRIGGER_COMPLETED : TRIGGER_FAILED;
	if (idle_is_due(w, cfg, now))
		return TRIGGER_IDLE;
	return pending_due_ms(w, cfg) <= now && !job_is_on_hold(w, now) ? TRIGGER_PENDING
									: TRIGGER_NONE;
}

int64_t check_due_ms(const struct world *w, const struct config *cfg)
{
	if (!cfg->check_cpu || !job_is_live(w) || !w->job.selector[0] || w->job.suspended)
		return NEVER;
	return w->idle.grid_ms ? w->idle.grid_ms + cfg->interval_ms : 0;
}

bool metrics_are_gathered(const struct world *w, int64_t now)
{
	const struct asked *a = &w->asked[ASK_METRICS];

	return a->refused >= REFUSED_BELIEVED && a->status == 403 && now < a->due_ms;
}

bool pod_is_lost(const struct world *w, const struct k8s_pod *p, int64_t now)
{
	return p->deletion_ms >= 0 && w->skewed &&
	       world_unix_ms(w, now) - p->deletion_ms > POD_LOST_MS;
}

const struct k8s_pod *only_pod(const struct world *w, int64_t now)
{
	const struct k8s_pod *only = NULL;

	for (size_t i = 0; i < w->pods.list.count; i++) {
		const struct k8s_pod *p = &w->pods.list.items[i];
		if (p->finished || pod_is_lost(w, p, now))
			continue;
		if (only)
			return NULL;
		only = p;
	}
	return only;
}

const struct k8s_pod *pod_to_gather(const struct world *w)
{
	if (!w->idle.gathering || w->asked[ASK_PODS].told < w->idle.gathering)
		return NULL;
	for (size_t i = w->idle.next; i < w->pods.list.count; i++)
		if (!w->pods.list.items[i].finished &&
		    !pod_is_lost(w, &w->pods.list.items[i], w->tick_ms))
			return &w->pods.list.items[i];
	return NULL;
}

const struct k8s_pod *staying_pod(const struct world *w)
{
	const struct k8s_pods *list = &w->pods.list;
	size_t                 first = 0;

	for (size_t i = 0; i < list->count; i++)
		if (is_same(list->items[i].uid, w->pods.kept))
			first = i + 1;
	for (size_t i = 0; i < list->count; i++) {
		const struct k8s_pod *p = &list->items[(first + i) % list->count];
		if (!p->deleting && (!p->finished || w->gone_ms || !job_seen(w)))
			return p;
	}
	return NULL;
}

const char *service_to_delete(const struct world *w)
{
	const struct service *s = &w->service;

	if (!s->ours[0] || s->theirs || s->known == ABSENT || s->deleting)
		return NULL;
	if (s->doubt > w->asked[ASK_SERVICE].told)
		return NULL;
	return s->known == THERE && !is_same(s->uid, s->ours) ? NULL : s->ours;
}

/* NULL if this pod bears the last reading out. */
static const char *pod_contradicts(const struct k8s_pod *p, const struct pod_metrics *m,
				   const char *target)
{
	const struct k8s_container *judged = k8s_pod_container(p, target);

	if (p->waiting[0])
		return "a container waits";
	if (!p->running)
		return "a pod is not running yet";
	if (target[0] && !(judged && judged->running))
		return "TARGET_CONTAINER does not run";
	for (size_t c = 0; c < p->container_count; c++)
		if (p->containers[c].running && !pod_metrics_has(m, p->name, p->containers[c].name))
			return "a running container is not in the metrics";
	return NULL;
}

const char *pods_contradict(const struct world *w, const struct config *cfg, int64_t now)
{
	size_t running = 0;

	for (size_t i = 0; i < w->pods.list.count; i++) {
		const struct k8s_pod *p = &w->pods.list.items[i];
		if (p->finished || pod_is_lost(w, p, now))
			continue;
		const char *why = pod_contradicts(p, &w->idle.metrics, cfg->target_container);
		if (why)
			return why;
		running++;
	}
	return running ? NULL : "no pod is running";
}

/* ---- What happens besides answers ---- */

uint64_t world_sent(struct world *w, const struct config *cfg, enum ask a, int64_t now)
{
	if (a == ASK_DELETE_JOB && !w->over.trigger)
		w->acting = trigger_due(w, cfg, now);
	if (a == ASK_QUEUES && w->queues.step == QUEUES_WALKED)
		queues_restart(&w->queues);
	if (a == ASK_PODS && metrics_are_gathered(w, now) && check_due_ms(w, cfg) <= now)
		w->idle.gathering = w->seq + 1;
	if (a == ASK_WATCH) {
		w->watching = true;
		w->watch_ms = now;
	}
	return ++w->seq;
}

void world_signal(struct world *w, int64_t now)
{
	w->signals++;
	w->signal_ms = now;
	w->signal_seq = ++w->seq;
}

void world_forgive(struct world *w, int64_t now)
{
	int64_t lost = w->tick_ms ? now - w->tick_ms : 0;

	w->tick_ms = now;
	if (lost <= TICK_MAX_MS || !w->over.trigger)
		return;
	w->over.ms += lost;
	w->ripe_ms += lost;
	w->gone_ms += w->gone_ms ? lost : 0;
	w->deleting_ms += w->deleting_ms ? lost : 0;
	w->queues.since_ms += w->queues.since_ms ? lost : 0;
}

void world_tick(struct world *w, const struct config *cfg, int64_t now)
{
	world_forgive(w, now);
	bool live = job_is_live(w);

	bool ripe = (w->job.finished && now >= job_kept_until_ms(w, cfg)) || w->deleting_ms;
	if (!w->over.trigger || !ripe)
		w->ripe = 0;
	else if (!w->ripe) {
		w->ripe = ++w->seq;
		w->ripe_ms = now;
	}
	if (live && w->job.suspended)
		w->pending_since_ms = now; /* a suspended Job is not waiting for a node */
	if (live && (w->job.suspended || job_is_on_hold(w, now))) {
		idle_count_clear(&w->idle.count); /* a look for another reason goes on */
		idle_unknown(&w->idle, w->job.suspended ? "the job is suspended" : "held");
	} else if (live && !w->job.selector[0]) {
		idle_unknown(&w->idle, "the job has no selector by labels that can be used");
	}
	if (!trigger_due(w, cfg, now))
		w->idle.look = 0;
	else if (!w->idle.look)
		w->idle.look = ++w->seq;
}
