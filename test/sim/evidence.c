#include "evidence.h"

#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "process.h"
#include "settings.h"
#include "story.h"

struct evidence evidence;

#define e evidence

void evidence_reset(void)
{
	memset(&e, 0, sizeof(e));
	evidence_start();
}

void evidence_start(void)
{
	bool cleaner_deleted = e.cleaner_deleted;

	memset(&e, 0, offsetof(struct evidence, metrics));
	memset((char *)&e + offsetof(struct evidence, read_ms), 0,
	       sizeof(e) - offsetof(struct evidence, read_ms));
	e.cleaner_deleted = cleaner_deleted;
	e.last_at_ms = e.last_idle_ms = e.read_ms = e.looked_ms = -1;
	e.metrics.named = e.parts.named = 0;
}

/* ---- Idle readings ---- */

static void start_anew(const char *why)
{
	e.anew_why = why;
	e.count = e.distinct = 0;
	e.newest_ms = -1;
}

static int64_t gap_of(const struct tale *t)
{
	int64_t longest = t->window_ms > settings.interval_ms ? t->window_ms : settings.interval_ms;

	return 3 * longest + SEC(12); /* what an answer may take is not its fault */
}

/* Of the job's start; the cluster tells it in whole seconds. */
static bool in_startup_grace(int64_t at_ms)
{
	const struct job *j = our_job();

	if (!j || !settings.startup_grace_ms)
		return false;
	int64_t start_ms = j->started_ms >= 0 ? j->started_ms : j->created_ms;
	return at_ms < start_ms + settings.startup_grace_ms - SEC(1);
}

static void take_reading(const struct tale *t)
{
	bool short_of_pods = t->items < t->active && t->items < e.told_active;
	bool gap = e.count && t->at_ms - e.last_idle_ms > e.gap_ms;

	if (gap)
		start_anew("idle-after-gap");
	e.metrics = *t;
	e.knows_metrics |= t->usable;
	if (t->reading == READ_UNKNOWN || short_of_pods || in_startup_grace(t->at_ms)) {
		e.last_at_ms = -1;
		return;
	}
	if (t->reading == READ_ACTIVE)
		start_anew("idle-after-active");
	else if (t->pods != e.pods && e.count)
		start_anew("idle-after-other-pods");
	e.pods = t->pods;
	if (t->reading == READ_ACTIVE) {
		e.last_at_ms = -1;
		return;
	}
	e.count++;
	if (!e.distinct || t->oldest_ms > e.newest_ms) {
		e.distinct++;
		e.newest_ms = t->oldest_ms;
	}
	e.last_at_ms = e.last_idle_ms = t->at_ms;
	e.gap_ms = gap_of(t);
}

static bool has_pod(const struct tale *t, const char *uid)
{
	for (int i = 0; i < t->named; i++)
		if (strcmp(t->has[i].pod_uid, uid) == 0)
			return true;
	return false;
}

/* The metrics of one pod by its name: a reading, once there are those of each that is active. */
static void take_part(const struct tale *t)
{
	struct tale *all = &e.parts;

	if (!t->named || has_pod(all, t->has[0].pod_uid))
		all->named = 0; /* the next round */
	if (!all->named) {
		*all = *t;
	} else {
		for (int i = 0; i < t->named && all->named < 2 * PODS; i++)
			all->has[all->named++] = t->has[i];
		all->sum += t->sum;
		all->oldest_ms = t->oldest_ms < all->oldest_ms ? t->oldest_ms : all->oldest_ms;
		all->at_ms = t->at_ms;
		all->pods += t->pods; /* in whatever order they were asked for */
		if (t->reading == READ_UNKNOWN)
			all->reading = READ_UNKNOWN;
	}
	for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		if (pod_counts(p) && strcmp(p->job_uid, our_uid()) == 0 && !has_pod(all, p->uid))
			return;
	if (all->reading != READ_UNKNOWN)
		all->reading = all->sum > settings.threshold ? READ_ACTIVE : READ_IDLE;
	take_reading(all);
	all->named = 0;
}

void evidence_on_told_job(const struct job *j)
{
	if (strcmp(j->name, cluster.job_name) != 0)
		return;
	e.told_active = j->active;
	e.told_foreground = j->whose == OURS && (j->finalizers & FINALIZER_FOREGROUND);
	if (job_is_held(j) || j->suspend) {
		start_anew(j->suspend ? "idle-after-suspend" : "idle-after-hold");
		e.last_at_ms = -1;
	}
}

/* ---- The last look ---- */

static bool named(const struct tale *m, const struct pod *p, const struct container *c)
{
	for (int i = 0; i < m->named; i++)
		if (strcmp(m->has[i].pod_uid, p->uid) == 0 &&
		    strcmp(m->has[i].container, c->name) == 0)
			return true;
	return false;
}

/* Do the pods bear the last reading out? */
static bool pods_agree(const struct tale *pods, const struct tale *metrics)
{
	int running = 0;

	for (int i = 0; i < pods->pod_count; i++) {
		const struct pod *p = &pods->pods_seen[i];

		if (p->phase > POD_RUNNING ||
		    (p->deleted_ms >= 0 && p->deleted_ms + SEC(60) < pods->at_ms))
			continue;
		if (p->phase != POD_RUNNING)
			return false;
		running++;
		if (settings.target_container && p->c[0].state != CONTAINER_RUNNING)
			return false;
		for (int c = 0; c < p->containers; c++) {
			if (p->c[c].state == CONTAINER_WAITING)
				return false;
			if (p->c[c].state == CONTAINER_RUNNING && !named(metrics, p, &p->c[c]))
				return false;
		}
	}
	return running > 0;
}

/* Whether TARGET_CONTAINER has ended for good in the only one of these that has not. */
static bool container_has_ended(const struct pod *pods, int n, int64_t at_ms)
{
	const struct pod *only = NULL;
	int               found = 0;

	for (const struct pod *p = pods; p < pods + n; p++) {
		bool lost = p->deleted_ms >= 0 && p->deleted_ms + SEC(60) < at_ms;
		if (!p->there || strcmp(p->job_uid, our_uid()) != 0 || p->phase > POD_RUNNING ||
		    lost)
			continue;
		only = p;
		found++;
	}
	return settings.target_container && found == 1 && our_job() && !our_job()->suspend &&
	       our_job()->parallelism == 1 && only->phase == POD_RUNNING &&
	       container_is_over(&only->c[0], our_job());
}

static bool none_terminates(const struct tale *t)
{
	for (int i = 0; i < t->pod_count; i++)
		if (t->pods_seen[i].deleted_ms >= 0 && t->pods_seen[i].phase <= POD_RUNNING &&
		    t->pods_seen[i].deleted_ms + SEC(60) >= t->at_ms)
			return false;
	return true;
}

static bool is_refusal(int status)
{
	return status >= 400 && status < 500 && status != 401 && status != 404 && status != 408 &&
	       status != 409 && status != 410 && status != 429;
}

static void take_pods(const struct request *q, const struct answer *a)
{
	if (a->tale.told == TOLD_PODS) {
		e.parts.named = 0; /* a round of parts begins with a list */
		e.looked_ms = a->tale.at_ms;
		e.look_good = pods_agree(&a->tale, &e.metrics);
		e.look_ended =
			none_terminates(&a->tale) &&
			container_has_ended(a->tale.pods_seen, a->tale.pod_count, a->tale.at_ms);
		e.look_refusals = 0;
	} else if (q->verb == VERB_LIST && is_refusal(a->status)) {
		e.look_refusals++;
	} else if (q->verb == VERB_DELETE && is_refusal(a->status)) {
		e.pod_delete_refusals++;
	}
}

/* ---- What arrives ---- */

static void take_job(const struct tale *t)
{
	e.read_ms = t->at_ms;
	e.read_rv = t->told == TOLD_JOB ? t->job.rv : 0;
	e.queues_since_read = e.untold = 0;
	e.delete_open = false;
	e.read_over = t->told == TOLD_JOB && t->job.whose == OURS &&
		      (t->job.end != END_NONE || t->job.deleted_ms >= 0);
	e.read_absent = t->told == TOLD_NO_JOB;
	e.read_taken = t->told == TOLD_JOB && t->job.whose == NEWCOMERS;
	e.read_gone |= e.knows_ours && (e.read_taken || e.read_absent);
	if (t->told != TOLD_JOB)
		return;
	evidence_on_told_job(&t->job);
	e.saw_newcomer |= e.read_taken && e.knows_ours;
	if (t->job.whose == OURS) /* reads alone tell whose it is */
		e.knows_ours = true;
	else if (!e.knows_ours)
		e.serves_newcomer = true;
}

void evidence_on_status(const struct request *q, int status)
{
	e.look_refusals += q->resource == RES_PODS && status == 403;
	e.broker_final |= q->resource == RES_QUEUES && (status == 401 || status == 403);
}

void evidence_on_answer(const struct request *q, const struct answer *a)
{
	const struct tale *t = &a->tale;

	switch (q->resource) {
	case RES_METRICS:
		if (q->verb == VERB_GET && t->told == TOLD_METRICS)
			take_part(t);
		else if (t->told == TOLD_METRICS)
			take_reading(t);
		else
			e.last_at_ms = -1;
		break;
	case RES_PODS: take_pods(q, a); break;
	case RES_REVIEWS:
		if (a->status == 201 && strstr(a->body.p, "\"allowed\":false") &&
		    strcmp(q->review_resource, "pods") == 0)
			e.look_refusals = 2;
		break;
	case RES_QUEUES:
		e.broker_final |= a->status == 401 || a->status == 403 ||
				  (q->verb == VERB_LIST && a->status >= 400 && a->status < 500);
		break;
	case RES_JOBS:
		if (strcmp(q->name, cluster.job_name) != 0)
			break;
		if (t->told == TOLD_JOB || t->told == TOLD_NO_JOB)
			take_job(t);
		else if (q->verb == VERB_GET)
			e.untold++;
		if (q->verb == VERB_DELETE && a->status < 300)
			e.delete_accepted = true;
		e.read_gone |= q->verb == VERB_DELETE && a->status == 404;
		break;
	default: break;
	}
}

/* A DELETE of the Job rests on what is known when it is sent. */
void evidence_on_request(struct request *q)
{
	if (q->resource == RES_JOBS && q->verb <= VERB_LIST &&
	    strcmp(q->name, cluster.job_name) == 0)
		e.read_sent_ms = sim_ms();
	if (q->resource == RES_QUEUES && q->verb == VERB_DELETE)
		e.queues_since_read++;
	if (q->verb != VERB_DELETE || strcmp(q->name, cluster.job_name) != 0)
		return;
	if (e.delete_open)
		broken("blind-retry",
		       "the DELETE is sent again before a read tells what became of it");
	e.delete_sent_ms = sim_ms();
	char rv[24];
	(void)snprintf(rv, sizeof(rv), "%llu", (unsigned long long)e.read_rv);
	q->basis = (struct basis){
		.count = e.count,
		.why = e.anew_why,
		.distinct = e.distinct,
		.age_ms = e.last_at_ms < 0 ? NEVER : sim_ms() - e.last_at_ms,
		.look_good = e.look_good && e.looked_ms >= e.last_at_ms,
		.look_ended = e.look_ended,
		.look_left_out = e.look_refusals >= 2,
		.read_fresh = e.read_ms >= e.last_at_ms,
		.versioned = strcmp(q->version, rv) == 0,
		.knows_metrics = e.knows_metrics,
		.told_foreground = e.told_foreground,
		.read_ms = e.read_ms,
		.looked_ms = e.looked_ms,
	};
}

/* ---- May this living Job go? ---- */

static bool may_be_pending(const struct job *j)
{
	return settings.pending_ms && !j->ran && !j->suspend &&
	       sim_ms() - j->created_ms >= settings.pending_ms;
}

/* It has run, but nothing could tell: a moment ago; or long before this start; or to those only who
 * may see pods or metrics. */
static bool runs_unseen(const struct job *j)
{
	bool    left_out = e.basis.look_left_out || !may(VERB_LIST, RES_PODS);
	int64_t seen_ms = left_out ? e.basis.read_ms : e.basis.looked_ms;

	if (j->ran_ms >= seen_ms || (left_out && !e.basis.knows_metrics))
		return true;
	for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		if (p->there && p->running_ms >= 0 && strcmp(p->job_uid, j->uid) == 0)
			return false;
	return process.started_ms > j->ran_ms;
}

static int64_t cpu_now(const struct job *j)
{
	int64_t sum = 0;

	for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		if (pod_runs(p) && strcmp(p->job_uid, j->uid) == 0)
			sum += p->c[0].cpu + (settings.target_container ? 0 : p->c[1].cpu);
	return sum;
}

static void check_count(void)
{
	if (e.basis.count < settings.max_count)
		broken(e.basis.why ? e.basis.why : "idle-on-unknown",
		       "a living Job is deleted on %d idle readings of %d", e.basis.count,
		       settings.max_count);
	else if (e.basis.distinct < settings.min_distinct)
		broken("idle-samples", "a living Job is deleted on %d samples of %d",
		       e.basis.distinct, settings.min_distinct);
	else if (e.basis.age_ms == NEVER)
		broken("idle-last", "a living Job is deleted, and the last reading is not idle");
	else if (e.basis.age_ms > 2 * settings.interval_ms)
		broken("idle-fresh", "a living Job is deleted on a reading of %lld ms ago",
		       (long long)e.basis.age_ms);
	else if (!e.basis.look_good && !e.basis.look_left_out)
		broken("idle-pods", "a living Job is deleted without a look at its pods that bears "
				    "the reading out");
}

/* Then the other one that terminates has to go first. */
static bool pods_were_replaced(void)
{
	for (int i = 0; i < story.count; i++)
		if (story.h[i].what == HAPPEN_POD_REPLACED)
			return true;
	return false;
}

/* TARGET_CONTAINER has ended: it counts as finished, held or not. */
static void on_ended_delete(const struct job *j)
{
	const struct pod *p = cluster.pods;
	int64_t           took_ms;

	while (!p->there || p->phase != POD_RUNNING || strcmp(p->job_uid, j->uid) != 0)
		p++;
	int64_t grace = p->c[0].exit_code ? settings.failed_grace_ms : settings.completed_grace_ms;
	took_ms = sim_ms() - p->c[0].ended_ms;
	if (took_ms < grace - SEC(1))
		broken("grace",
		       "an ended container's Job is deleted %lld ms before its grace is over",
		       (long long)(grace - took_ms));
	if (story.undisturbed && !grace && took_ms > SEC(5) && !p->unready &&
	    !pods_were_replaced() && process.started_ms < p->c[0].ended_ms - SEC(10))
		broken("slow-finish", "the Job of an ended container is deleted after %lld ms",
		       (long long)took_ms);
	if (!e.basis.versioned || !e.basis.read_fresh)
		broken("ended-version", "such a Job is deleted, whatever came since the last look");
}

void evidence_on_idle_delete(const struct job *j)
{
	if (e.basis.look_ended && container_has_ended(cluster.pods, PODS, sim_ms())) {
		on_ended_delete(j);
		return;
	}
	if (sim_ms() + SEC(1) < j->hold_until_ms)
		broken("held", "a held Job is deleted");
	if (j->suspend)
		broken("suspended", "a suspended Job is deleted");
	if (!e.basis.versioned)
		broken("idle-version",
		       "a living Job is deleted, whatever came since the last look");
	else if (!e.basis.read_fresh)
		broken("idle-look", "a living Job is deleted without a last look at it");
	if (may_be_pending(j))
		return;
	bool idle = e.basis.count >= settings.max_count;
	if (!idle && settings.pending_ms && j->ran && runs_unseen(j))
		window("UNSEEN_RUN");
	else if (!idle && settings.pending_ms && j->ran)
		broken("pending-of-one-that-ran", "a Job that has run is deleted as pending");
	else
		check_count();
	if (idle && cpu_now(j) > settings.threshold)
		window("BUSY_AT_ALL");
}

bool evidence_pods_are_its_business(void)
{
	return may(VERB_LIST, RES_PODS) && may(VERB_DELETE, RES_PODS) && e.look_refusals < 2 &&
	       !e.pod_delete_refusals;
}

/* ---- Windows ---- */

/* A newcomer that makes its Service before its Job; nobody can tell whose it is. */
bool evidence_service_first(const struct service *s)
{
	const struct job *j = job_of(cluster.job_name);

	return !e.read_taken && (!j || j->created_ms >= s->created_ms);
}

/* It came between our look at the Job's name and the DELETE of the queue, which is of that page. */
bool evidence_queue_window(const struct queue *q)
{
	return q->declared_ms >= e.read_ms && e.queues_since_read <= 101 &&
	       sim_ms() - e.read_ms <= SEC(60);
}
