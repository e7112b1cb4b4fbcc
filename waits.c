#include "waits.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WAITS_MS    INT64_C(600000)
#define FRESH_MS    INT64_C(60000) /* a list of the pods that is no older will do */
#define PATIENCE_MS INT64_C(30000) /* for one that does not come */

/* ---- The reasons: each says whether it is one, and its words ---- */

struct words {
	char  *out;
	size_t size;
};

typedef bool why_fn(const struct world *w, const struct config *cfg, int64_t now,
		    struct words words);

#define UNUSED __attribute__((unused))
#define WHY(name)                                                                                  \
	static bool name(UNUSED const struct world *w, UNUSED const struct config *cfg,            \
			 UNUSED int64_t now, UNUSED struct words words)

__attribute__((format(printf, 2, 3))) static bool say(struct words words, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words.out, words.size, fmt, ap);
	va_end(ap);
	return true;
}

WHY(job_is_unread)
{
	const struct asked *a = &w->asked[ASK_JOB];

	if (is_refused(w, ASK_JOB))
		return say(words, "the Job may not be read: %s", a->words);
	return a->failed &&
	       say(words, "the Job cannot be read: no usable answer (status %ld)", a->status);
}

WHY(job_is_awaited)
{
	return !job_seen(w) && say(words, "the Job is not there yet");
}

WHY(job_is_held)
{
	return job_is_on_hold(w, now) &&
	       say(words, "held: %s=%s", K8S_HOLD_ANNOTATION, w->job.hold);
}

WHY(job_is_suspended)
{
	return w->job.suspended && say(words, "the Job is suspended");
}

WHY(delete_is_refused)
{
	return is_refused(w, ASK_DELETE_JOB) && w->idle.reading != READING_ACTIVE &&
	       say(words, "the Job's DELETE was refused: %s", w->asked[ASK_DELETE_JOB].words);
}

WHY(job_is_ending)
{
	return w->job.ending[0] && say(words, "it ends, but has not: %s", w->job.ending);
}

/* As listed for this line, or shortly before. */
static bool pods_are_seen(const struct world *w)
{
	return w->asked[ASK_PODS].told_ms &&
	       w->asked[ASK_PODS].told_ms >= w->waiting.due_ms - FRESH_MS;
}

/* The @i-th of them, or NULL. */
static const struct k8s_pod *pod_at(const struct world *w, size_t i)
{
	return pods_are_seen(w) && i < w->pods.list.count ? &w->pods.list.items[i] : NULL;
}

/* The first that has not ended and of which @is is true, or NULL. */
static const struct k8s_pod *find_pod(const struct world *w, bool (*is)(const struct k8s_pod *))
{
	const struct k8s_pod *p;

	for (size_t i = 0; (p = pod_at(w, i)) != NULL; i++)
		if (!p->finished && is(p))
			return p;
	return NULL;
}

static const char *running_container(const struct k8s_pod *p)
{
	for (size_t i = 0; i < p->container_count; i++)
		if (p->containers[i].running)
			return p->containers[i].name;
	return NULL;
}

/* TARGET_CONTAINER's own end matters; without it, that of any. */
static bool ended_beside(const struct k8s_pod *p, const char *target, struct words words)
{
	const char *runs = running_container(p);

	for (size_t i = 0; i < p->container_count && runs; i++) {
		const struct k8s_container *c = &p->containers[i];
		if (!c->main || !c->ended || (target[0] && strcmp(c->name, target) != 0))
			continue;
		return say(words, "container %s has ended with exit code %d, and %s runs on%s",
			   c->name, c->exit_code, runs,
			   target[0] ? ": it may be started again, or another pod be wanted"
				     : ": see TARGET_CONTAINER");
	}
	return false;
}

WHY(container_has_ended)
{
	const struct k8s_pod *p;

	for (size_t i = 0; (p = pod_at(w, i)) != NULL; i++)
		if (p->running && ended_beside(p, cfg->target_container, words))
			return true;
	return false;
}

WHY(container_is_absent)
{
	const struct k8s_pod *p;
	bool                  seen = false;

	for (size_t i = 0; (p = pod_at(w, i)) != NULL; i++) {
		if (k8s_pod_container(p, cfg->target_container))
			return false;
		seen |= p->container_count > 0;
	}
	return cfg->target_container[0] && seen &&
	       say(words, "no pod has the container TARGET_CONTAINER=%s", cfg->target_container);
}

WHY(job_is_busy)
{
	char cpu[CPU_TEXT_SIZE], limit[CPU_TEXT_SIZE];

	cpu_format(cpu, w->idle.metrics.nanocores);
	cpu_format(limit, cfg->threshold_nanocores);
	return w->idle.reading == READING_ACTIVE && say(words, "in use: CPU %s > %s", cpu, limit);
}

static bool is_unscheduled(const struct k8s_pod *p)
{
	return p->unscheduled;
}

WHY(pod_is_unscheduled)
{
	const struct k8s_pod *p = find_pod(w, is_unscheduled);

	return p && say(words, "pod %s is %s", p->name, p->stuck);
}

static bool is_waiting(const struct k8s_pod *p)
{
	return p->waiting[0];
}

WHY(container_waits)
{
	const struct k8s_pod *p = find_pod(w, is_waiting);

	return p && say(words, "pod %s: %s", p->name, p->stuck);
}

static bool is_any(const struct k8s_pod *p)
{
	return p->name[0];
}

/* All that would run are: one that is lost beside others is no matter. */
WHY(pod_is_on_lost_node)
{
	const struct k8s_pod *p = find_pod(w, is_any);

	return p && pod_is_lost(w, p, now) && !only_pod(w, now) &&
	       say(words, "pod %s should have gone by now, its node does not tell", p->name);
}

WHY(job_has_no_pod)
{
	return pods_are_seen(w) && !find_pod(w, is_any) &&
	       say(words, "none of its pods is there, or runs");
}

WHY(pods_are_hidden)
{
	bool needed = cfg->target_container[0] || pending_due_ms(w, cfg) <= now;

	return pods_are_forbidden(w) && needed &&
	       say(words, "its pods may not be listed: %s", w->asked[ASK_PODS].words);
}

WHY(nothing_is_checked)
{
	return !cfg->check_cpu && say(words, "it has not ended; idleness is not to be checked");
}

WHY(metrics_are_refused)
{
	return is_refused(w, ASK_METRICS) && w->idle.reading == READING_UNKNOWN &&
	       say(words, "metrics may not be read: %s", w->asked[ASK_METRICS].words);
}

WHY(samples_are_seldom)
{
	const struct idle_count *c = &w->idle.count;

	return w->idle.reading == READING_IDLE && c->count >= cfg->max_idle_count &&
	       c->distinct < cfg->min_distinct_samples &&
	       say(words, "samples come too seldom for the interval: %u of %u in %u idle checks",
		   c->distinct, cfg->min_distinct_samples, c->count);
}

WHY(look_fails)
{
	return idle_is_due(w, cfg, now) &&
	       say(words, "idle, but the last look at it comes to nothing");
}

WHY(it_is_counted)
{
	return w->idle.reading == READING_IDLE &&
	       say(words, "idle at %u of %u checks", w->idle.count.count, cfg->max_idle_count);
}

WHY(cpu_is_unknown)
{
	return say(words, "CPU unknown: %s%s", w->idle.why ? w->idle.why : "no reading yet",
		   pods_are_forbidden(w) ? "; its pods may not be listed" : "");
}

/* In the order in which they are asked; the last one always is. */
static const struct reason {
	const char *name;
	why_fn     *why;
	bool        quiet; /* as it should be: no Event */
} reasons[] = {
	{ "unread", job_is_unread, false },
	{ "awaited", job_is_awaited, false },
	{ "held", job_is_held, false },
	{ "suspended", job_is_suspended, false },
	{ "refused", delete_is_refused, false },
	{ "ending", job_is_ending, false },
	{ "container-ended", container_has_ended, false },
	{ "no-such-container", container_is_absent, false },
	{ "busy", job_is_busy, true },
	{ "unscheduled", pod_is_unscheduled, false },
	{ "container-waits", container_waits, false },
	{ "lost-node", pod_is_on_lost_node, false },
	{ "no-pod", job_has_no_pod, false },
	{ "pods-hidden", pods_are_hidden, false },
	{ "unchecked", nothing_is_checked, true },
	{ "metrics-refused", metrics_are_refused, false },
	{ "samples", samples_are_seldom, false },
	{ "look", look_fails, false },
	{ "counting", it_is_counted, true },
	{ "unknown", cpu_is_unknown, false },
};

/* ---- When ---- */

int64_t waits_pods_due_ms(const struct world *w)
{
	bool listed = w->asked[ASK_PODS].sent_ms >= w->waiting.due_ms - FRESH_MS;

	return job_is_live(w) && !listed && !pods_are_forbidden(w) ? w->waiting.due_ms : NEVER;
}

int64_t waits_due_ms(const struct world *w)
{
	return w->waiting.due_ms + (waits_pods_due_ms(w) == NEVER ? 0 : PATIENCE_MS);
}

void waits_tick(struct world *w, const struct config *cfg, int64_t now)
{
	struct waiting      *t = &w->waiting;
	const struct reason *r = reasons;

	if (w->over.trigger || !t->since_ms) {
		*t = (struct waiting){ .since_ms = now,
				       .due_ms = now + WAITS_MS,
				       .lines = t->lines };
		return;
	}
	if (now < waits_due_ms(w))
		return;
	while (!r->why(w, cfg, now, (struct words){ t->words, sizeof(t->words) }))
		r++;
	t->reason = r->name;
	t->number = (unsigned)(r - reasons);
	t->lines++;
	t->event_due = !r->quiet && job_seen(w) && !cfg->dry_run;
	t->due_ms = now + WAITS_MS;
}
