/* CPU checks on their grid, the hold, the pending clock, and the last look before an act. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app.h"

/* ---- The hold ---- */

static bool held(const struct app *a)
{
	return hold_holds(target_hold(&a->target.job, app_api_ms(a), NULL));
}

/*
 * The readings so far count no more, nor how long a DELETE that rested on them was tried. (A mere
 * gap in the readings clears the count only: our own tries make gaps, and must come to an end.)
 */
static void clear_count(struct idle *i)
{
	idle_count_clear(&i->count);
	i->acting_ms = 0;
}

/* Logs where a hold starts, changes or ends, and keeps the count at zero while it lasts. */
/* Whether the log says by now what the annotation says; it may have changed during any request. */
static bool hold_is_told(const struct app *a)
{
	const struct idle *i = &a->idle;

	if (!hold_holds(target_hold(&a->target.job, app_api_ms(a), NULL)))
		return !i->hold_told;
	return i->hold_told && strcmp(i->hold, a->target.job.hold) == 0;
}

static void hold_run(struct app *a)
{
	struct idle *i = &a->idle;
	enum hold    h = target_hold(&a->target.job, app_api_ms(a), NULL);

	if (hold_holds(h)) {
		bool told = hold_is_told(a);
		clear_count(i);
		i->reading = READING_UNKNOWN;
		if (told)
			return;
		i->hold_told = true;
		(void)copy_str(i->hold, sizeof(i->hold), a->target.job.hold); /* same size */
		if (h == HOLD_INVALID)
			log_warn("held, by a value that is neither \"true\" nor an RFC 3339 time",
				 LS("job", a->cfg->target_job),
				 LS("annotation", K8S_HOLD_ANNOTATION), LS("value", i->hold));
		else
			log_info("held", LS("job", a->cfg->target_job),
				 LS("annotation", K8S_HOLD_ANNOTATION), LS("value", i->hold));
	} else if (i->hold_told) {
		i->hold_told = false;
		log_info("hold ended", LS("job", a->cfg->target_job), LS("value", i->hold));
	}
}

/* ---- The Job's pods ---- */

/* NULL if the pods bear the reading out, else why they do not. */
static const char *pods_contradict(const struct k8s_pods *pods, const struct pod_metrics *m)
{
	size_t running = 0;

	for (size_t i = 0; i < pods->count; i++) {
		const struct k8s_pod *p = &pods->items[i];

		if (p->finished)
			continue;
		if (p->waiting[0])
			return "a container waits";
		if (!p->running)
			return "a pod is not running yet";
		running++;
		for (size_t c = 0; c < p->running_container_count; c++)
			if (!pod_metrics_has(m, p->name, p->running_containers[c]))
				return "a running container is not in the metrics";
	}
	return running ? NULL : "no pod is running";
}

/* Returns 0 with *@ret to be freed; -EACCES if pods may not be listed; -EAGAIN; -ECANCELED. */
static int list_pods(struct app *a, struct k8s_pods *ret)
{
	struct k8s_request q = { .verb = K8S_LIST,
				 .resource = K8S_PODS,
				 .label_selector = a->target.job.selector };
	struct k8s_result  r;
	struct err         err = { 0 };

	if (a->idle.pods_forbidden)
		return -EACCES;
	if (!a->target.job.selector[0])
		return -EAGAIN;
	int status = app_call(a, &q, &r);
	if (status < 0)
		return status;
	if (r.answer == K8S_OK && k8s_pods_decode(r.body.data, r.body.len, ret, &err) < 0)
		k8s_result_refuse(&r, &err);
	if (r.answer == K8S_FORBIDDEN) {
		log_forbidden(a, &q, "no last look at the pods");
		a->idle.pods_forbidden = true;
		status = -EACCES;
	} else if (r.answer != K8S_OK) {
		k8s_trouble_on(&a->api_trouble, &q, &r, -1);
		status = -EAGAIN;
	}
	k8s_result_fini(&r);
	return status;
}

static bool any_ready(const struct k8s_pods *pods)
{
	for (size_t i = 0; i < pods->count; i++)
		if (pods->items[i].ready)
			return true;
	return false;
}

/* Only servers without status.ready need this: was a pod of the Job ever ready? */
static void look_for_ready_pod(struct app *a)
{
	struct k8s_pods pods = { 0 };

	if (list_pods(a, &pods) == 0)
		a->target.ever_ready |= any_ready(&pods);
	k8s_pods_fini(&pods);
}

/* ---- One check ---- */

static void unknown(struct app *a, const char *why)
{
	struct idle *i = &a->idle;

	if (i->reading != READING_UNKNOWN || !i->why || strcmp(i->why, why) != 0)
		log_info("cpu unknown", LS("why", why), LI("count", i->count.count));
	i->reading = READING_UNKNOWN;
	i->why = why;
}

static void log_reading(struct app *a, enum reading reading, bool cleared)
{
	struct idle *i = &a->idle;
	char         cpu[CPU_TEXT_SIZE], limit[CPU_TEXT_SIZE], check[32], samples[32];
	bool         waits = i->count.count >= a->cfg->max_idle_count &&
		     i->count.distinct < a->cfg->min_distinct_samples;

	cpu_format(cpu, i->metrics.nanocores);
	cpu_format(limit, a->cfg->threshold_nanocores);
	(void)snprintf(check, sizeof(check), "%u/%u", i->count.count, a->cfg->max_idle_count);
	(void)snprintf(samples, sizeof(samples), "%u/%u", i->count.distinct,
		       a->cfg->min_distinct_samples);
	if (reading == READING_IDLE)
		log_info("idle check", LS("check", check), LS("cpu", cpu), LS("threshold", limit),
			 LIF(waits, LS("samples", samples))); /* what it still waits for */
	else if (cleared || i->reading != READING_ACTIVE)
		log_info("active", LS("check", check), LS("cpu", cpu), LS("threshold", limit));
	else
		log_debug("active", LS("check", check), LS("cpu", cpu), LS("threshold", limit));
	i->reading = reading;
	i->why = NULL;
}

static bool in_startup_grace(const struct app *a, int64_t date_ms)
{
	const struct k8s_job *j = &a->target.job;
	int64_t               start_ms = j->started_ms >= 0 ? j->started_ms : j->created_ms;

	if (!a->cfg->startup_grace_ms)
		return false;
	return start_ms < 0 || date_ms < 0 || date_ms - start_ms < a->cfg->startup_grace_ms;
}

/* A decoded answer to a reading; the reading to the count. */
static void take_reading(struct app *a, int64_t date_ms, int64_t at_ms)
{
	struct idle *i = &a->idle;
	const char  *why = "";
	enum reading reading = metrics_judge(&i->metrics, a->cfg->threshold_nanocores,
					     a->target.job.active, date_ms, &why);

	if (in_startup_grace(a, date_ms)) {
		reading = READING_UNKNOWN;
		why = "start-up grace";
	}
	if (reading == READING_ACTIVE) {
		i->look_attempt = 0;
		i->acting_ms = 0;
	}
	bool cleared = idle_count_add(&i->count, reading, i->metrics.oldest_ms, at_ms,
				      a->cfg->interval_ms);
	if (reading == READING_UNKNOWN) {
		unknown(a, why);
		return;
	}
	if (reading == READING_IDLE)
		i->last_cpu = i->metrics.nanocores;
	log_reading(a, reading, cleared);
}

static void no_reading(struct app *a, const char *why, int64_t at_ms)
{
	(void)idle_count_add(&a->idle.count, READING_UNKNOWN, 0, at_ms, a->cfg->interval_ms);
	unknown(a, why);
}

static void metrics_failed(struct app *a, const struct k8s_request *q, const struct k8s_result *r,
			   int64_t at_ms)
{
	if (r->retry_after_ms) { /* skip the points of the grid that lie before it */
		int64_t not_before = now_ms() + r->retry_after_ms;
		while (a->idle.check_ms < not_before)
			a->idle.check_ms += a->cfg->interval_ms;
	}
	if (r->answer == K8S_FORBIDDEN) {
		log_forbidden(a, q, "no idle trigger");
		no_reading(a, "no permission to read metrics", at_ms);
		return;
	}
	k8s_trouble_on(r->answer == K8S_UNREACHABLE ? &a->api_trouble : &a->metrics_trouble, q, r,
		       a->idle.check_ms - now_ms());
	no_reading(a, "the metrics API did not answer", at_ms);
}

static void check_cpu(struct app *a, int64_t at_ms)
{
	struct k8s_request q = { .verb = K8S_LIST,
				 .resource = K8S_POD_METRICS,
				 .label_selector = a->target.job.selector };
	struct pod_metrics m;
	struct k8s_result  r;
	struct err         err = { 0 };

	if (app_call(a, &q, &r) < 0)
		return;
	if (r.answer != K8S_OK) {
		metrics_failed(a, &q, &r, at_ms);
	} else if (pod_metrics_decode(r.body.data, r.body.len, &m, &err) < 0) {
		k8s_result_refuse(&r, &err);
		k8s_trouble_on(&a->metrics_trouble, &q, &r, -1);
		no_reading(a, "the metrics answer could not be used", at_ms);
	} else {
		trouble_off(&a->metrics_trouble);
		pod_metrics_fini(&a->idle.metrics);
		a->idle.metrics = m;
		take_reading(a, r.date_ms, at_ms);
	}
	k8s_result_fini(&r);
}

static void check(struct app *a, int64_t at_ms)
{
	const struct k8s_job *j = &a->target.job;

	if (a->cfg->pending_timeout_ms && j->ready < 0 && !a->target.ever_ready)
		look_for_ready_pod(a);
	if (!a->cfg->check_cpu)
		return;
	if (held(a))
		no_reading(a, "held", at_ms);
	else if (j->suspended)
		no_reading(a, "the job is suspended", at_ms);
	else if (!j->selector[0])
		no_reading(a, "the job has no selector by labels", at_ms);
	else
		check_cpu(a, at_ms);
}

/* ---- What is due ---- */

static bool needs_grid(const struct app *a)
{
	return a->cfg->check_cpu || a->cfg->pending_timeout_ms;
}

static int64_t pending_due_ms(const struct app *a)
{
	if (!a->cfg->pending_timeout_ms || a->target.ever_ready || !a->idle.pending_since_ms)
		return INT64_MAX;
	return a->idle.pending_since_ms + a->cfg->pending_timeout_ms;
}

/* Enough idle readings, and the last one was idle, too: nothing is done on an unknown one. */
static bool idle_is_due(const struct app *a)
{
	return a->idle.reading == READING_IDLE &&
	       idle_count_triggers(&a->idle.count, a->cfg->max_idle_count,
				   a->cfg->min_distinct_samples);
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int64_t idle_due_ms(const struct app *a)
{
	int64_t due = INT64_MAX, hold_until_ms;

	if (a->target.state != TARGET_LIVE)
		return due;
	if (!hold_is_told(a))
		return 0;
	if (needs_grid(a))
		due = a->idle.check_ms == INT64_MAX ? 0 : a->idle.check_ms;
	if (target_hold(&a->target.job, app_api_ms(a), &hold_until_ms) == HOLD_ON &&
	    hold_until_ms != INT64_MAX) {
		int64_t end = now_ms() + (hold_until_ms - app_api_ms(a));
		due = end < due ? end : due;
	}
	int64_t look = idle_is_due(a) ? a->idle.look_due_ms
				      : later(pending_due_ms(a), a->idle.look_due_ms);
	return look < due && !held(a) ? look : due;
}

void idle_run(struct app *a)
{
	struct idle *i = &a->idle;
	int64_t      now = now_ms();

	if (a->target.state != TARGET_LIVE)
		return;
	hold_run(a);
	bool suspended = a->target.job.suspended;
	if (!i->pending_since_ms || suspended || i->was_suspended)
		i->pending_since_ms = now; /* a suspended Job is not waiting for a node */
	i->was_suspended = suspended;
	if (i->check_ms == INT64_MAX)
		i->check_ms = now; /* the first check comes at once, and the grid starts with it */
	if (!needs_grid(a) || now < i->check_ms)
		return;
	while (i->check_ms <= now)
		i->check_ms += a->cfg->interval_ms; /* points that were missed are left out */
	check(a, i->check_ms - a->cfg->interval_ms);
}

/* ---- The last look ---- */

/* Whether an idle count is borne out by the pods; if not, the reading was unknown. */
static bool look_at_idle_pods(struct app *a)
{
	struct k8s_pods pods = { 0 };
	int             r = list_pods(a, &pods);
	const char     *why = r == 0 ? pods_contradict(&pods, &a->idle.metrics) : NULL;

	if (why) {
		clear_count(&a->idle);
		unknown(a, why);
	}
	k8s_pods_fini(&pods);
	return !why && (r == 0 || r == -EACCES);
}

/* Without status.ready and without the right to list pods nobody can know: then never. */
static bool look_at_pending_pods(struct app *a)
{
	struct k8s_pods pods = { 0 };
	int             r = list_pods(a, &pods);
	bool            known = r == 0 || a->target.job.ready >= 0;

	if (r == 0)
		a->target.ever_ready |= any_ready(&pods);
	else if (r == -EACCES && !known)
		a->target.ever_ready = true; /* for all that can be told */
	k8s_pods_fini(&pods);
	return !a->target.ever_ready && (r == 0 || (r == -EACCES && known));
}

/*
 * Reads the Job once more: what happened meanwhile is acted on instead. True if nothing speaks
 * against tearing it down.
 */
static bool last_look(struct app *a, enum trigger t)
{
	struct k8s_job job;

	if (observe_read_job(a, &job) < 0 || app_interrupted(a))
		return false;
	hold_run(a);
	if (held(a) || job.suspended) {
		clear_count(&a->idle);
		return false;
	}
	/* the DELETE's precondition: of this read, not of a watch event that may still come */
	(void)copy_str(a->idle.look_version, sizeof(a->idle.look_version), job.version);
	return t == TRIGGER_IDLE ? look_at_idle_pods(a) : look_at_pending_pods(a);
}

enum trigger idle_trigger(struct app *a)
{
	enum trigger t = TRIGGER_NONE;
	int64_t      now = now_ms();

	if (a->target.state != TARGET_LIVE || now < a->idle.look_due_ms || held(a))
		return TRIGGER_NONE;
	if (idle_is_due(a))
		t = TRIGGER_IDLE;
	else if (now >= pending_due_ms(a) && !a->target.job.suspended)
		t = TRIGGER_PENDING;
	if (!t)
		return TRIGGER_NONE;
	bool act = last_look(a, t);
	bool still_due = idle_is_due(a) || now_ms() >= pending_due_ms(a);
	if (act || still_due) /* there may be another look, but not at once */
		a->idle.look_due_ms = now_ms() + backoff_ms(a->idle.look_attempt++, random_u32());
	return act && !app_interrupted(a) ? t : TRIGGER_NONE;
}

void idle_fini(struct app *a)
{
	pod_metrics_fini(&a->idle.metrics);
}
