/* The people around a job: who starts it, uses it, holds it, ends it, and starts the next one. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker.h"
#include "cluster.h"
#include "evidence.h"
#include "process.h"
#include "story.h"

/*
 * A newcomer takes the names one by one, as soon as each is free. A Service that stays in its way
 * is taken over (kubectl apply says "unchanged").
 */
static struct {
	bool    coming, has_job, has_service, has_cleaner, inherits, service_first;
	int64_t since_ms; /* its Job is there */
} newcomer;

static int64_t touch_until_ms;

void owner_reset(void)
{
	newcomer.coming = newcomer.has_job = newcomer.has_service = newcomer.has_cleaner = false;
	newcomer.inherits = newcomer.service_first = false;
	touch_until_ms = 0;
}

/* ---- The job ---- */

static void make_job(void)
{
	if (our_uid()[0] || job_of(cluster.job_name))
		return; /* a newcomer was faster */
	struct job *j = job_create(OURS, cluster.job_name, false);
	j->parallelism = story.parallelism;
	j->retries = story.retries;
	j->on_failure = story.on_failure;
	j->ttl_s = story.ttl_s;
	j->cpu = story.cpu;
}

static void make_queues(int64_t n)
{
	char name[200];

	if (!our_job() || !pods_of(our_uid()))
		return; /* it is the pod that declares them */
	for (int64_t i = 0; i < n; i++) {
		queue_name(name, sizeof(name), cluster.id, i);
		queue_declare(OURS, name);
	}
	/* somebody's that are called alike, whatever Jobs there are */
	(void)snprintf(name, sizeof(name), "z.focus_baby.%s", cluster.id);
	queue_declare(NEIGHBOURS, name);
	(void)snprintf(name, sizeof(name), "focus_baby.%s_", cluster.id);
	queue_declare(NEIGHBOURS, name);
}

/* On the first container of each pod; other pods of the job stay as they are. */
static void set_cpu(int64_t nanocores)
{
	struct job *j = our_job();

	if (j)
		j->cpu = nanocores;
	for (struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		if (pod_counts(p) && p->whose == OURS && p->c[0].state == CONTAINER_RUNNING)
			container_cpu(&p->c[0], nanocores);
}

static void hold(const char *value, int64_t until_ms)
{
	struct job *j = our_job();

	if (!j || j->deleted_ms >= 0)
		return;
	(void)snprintf(j->hold, sizeof(j->hold), "%s", value);
	j->hold_until_ms = until_ms;
	trace("owner", "hold '%s'", value);
	job_changed(j, "MODIFIED");
}

static void hold_until(int64_t ms)
{
	char      value[40];
	time_t    t = (time_t)((SIM_EPOCH_MS + sim_ms() + ms) / 1000);
	struct tm tm;

	if (gmtime_r(&t, &tm) && strftime(value, sizeof(value), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		hold(value, (sim_ms() + ms) / 1000 * 1000);
}

static void suspend(bool yes)
{
	struct job *j = our_job();

	if (!job_lives(j) || j->suspend == yes)
		return;
	j->resumed |= j->suspend && !yes;
	j->suspend = yes;
	trace("owner", yes ? "suspends the job" : "resumes the job");
	job_changed(j, "MODIFIED");
}

static void finish(enum job_end how)
{
	struct job *j = our_job();

	if (!job_lives(j) || j->suspend)
		return;
	j->wanted = how;
	for (struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		if (pod_counts(p) && strcmp(p->job_uid, j->uid) == 0)
			pod_exits(p, how == END_COMPLETE);
	controllers_wake();
}

static void delete_it(enum policy policy)
{
	struct job *j = our_job();

	if (!j)
		return;
	trace("owner", "deletes the job");
	job_delete(j, policy, BY_OWNER);
}

static void keep(bool yes)
{
	struct job *j = our_job();

	if (!j)
		return;
	if (yes && j->deleted_ms < 0)
		j->finalizers |= FINALIZER_CUSTOM;
	else if (!yes)
		j->finalizers &= ~(unsigned)FINALIZER_CUSTOM;
	if (!yes && j->deleted_ms >= 0 && !j->finalizers)
		job_delete(j, BACKGROUND, BY_OWNER);
	else
		job_changed(j, "MODIFIED");
}

static void touch(int arg)
{
	struct job *j = our_job();

	(void)arg;
	if (j && j->deleted_ms < 0)
		job_changed(j, "MODIFIED");
	if (sim_ms() < touch_until_ms)
		sim_after(150, touch, 0);
}

/* ---- Its pods ---- */

/* A kubelet that starts one that failed again, under restartPolicy OnFailure. */
static void starts_again(int place)
{
	struct pod *p = &cluster.pods[place];

	if (!p->there || p->phase != POD_RUNNING || !p->on_failure || !p->c[0].exit_code)
		return;
	p->c[0].state = CONTAINER_RUNNING;
	p->c[0].restarts++;
	container_cpu(&p->c[0], story.cpu);
	pod_changed(p);
}

static void container_ends(struct pod *p, int exit_code)
{
	if (p->phase != POD_RUNNING || p->c[0].state != CONTAINER_RUNNING)
		return;
	p->c[0].state = CONTAINER_ENDED;
	p->c[0].exit_code = exit_code;
	p->c[0].ended_ms = sim_ms();
	container_cpu(&p->c[0], 0);
	trace("owner", "container %s of %s ends with %d", p->c[0].name, p->name, exit_code);
	if (exit_code && p->on_failure)
		sim_after(delay(SEC(1), SEC(20)), starts_again, (int)(p - cluster.pods));
}

static void on_pod(enum happen what, int arg)
{
	for (struct pod *p = cluster.pods; p < cluster.pods + PODS; p++) {
		if (!p->there || p->whose != OURS || p->deleted_ms >= 0)
			continue;
		switch (what) {
		case HAPPEN_POD_REPLACED: pod_delete(p, -1, BY_OWNER); return;
		case HAPPEN_POD_LOST:
			p->dead_node = true;
			pod_delete(p, -1, BY_OWNER);
			return;
		case HAPPEN_POD_CRASHES:
			if (p->c[0].state == CONTAINER_ENDED)
				break;
			p->c[0].state = CONTAINER_WAITING;
			p->c[0].reason = "CrashLoopBackOff";
			container_cpu(&p->c[0], 0);
			p->c[0].restarts++;
			break;
		case HAPPEN_POD_HEALS:
			if (p->c[0].state == CONTAINER_ENDED)
				break;
			p->c[0].state = CONTAINER_RUNNING;
			container_cpu(&p->c[0], story.cpu);
			break;
		case HAPPEN_POD_STUCK: p->stuck = true; break;
		case HAPPEN_POD_UNREADY: p->unready = true; break;
		case HAPPEN_CONTAINER_ENDS: container_ends(p, arg); break;
		default: return;
		}
		pod_changed(p);
	}
}

/* ---- Those who come after, and beside ---- */

static void newcomers_service(void)
{
	struct service *s = service_of(cluster.service_name);

	if (newcomer.has_service)
		return;
	if (s &&
	    (newcomer.inherits || (newcomer.has_job && sim_ms() > newcomer.since_ms + SEC(5)))) {
		s->inherited = newcomer.has_service = true;
		trace("owner", "the newcomer takes over Service uid %.8s", s->uid);
	} else if (!s) {
		(void)service_create(NEWCOMERS, cluster.service_name);
		newcomer.has_service = true;
	}
}

bool newcomer_has_come(void)
{
	return newcomer.has_job;
}

/* It is a job like ours: it goes quiet one day, or ends. */
static void newcomer_lives_on(int arg)
{
	struct job *j = job_of(cluster.job_name);

	if (!job_lives(j) || j->whose != NEWCOMERS)
		return;
	trace("owner", arg ? "the newcomer goes quiet" : "the newcomer ends");
	j->cpu = 0;
	if (!arg)
		j->wanted = END_COMPLETE;
	for (struct pod *p = cluster.pods; p < cluster.pods + PODS; p++) {
		if (!pod_counts(p) || strcmp(p->job_uid, j->uid) != 0)
			continue;
		if (arg)
			container_cpu(&p->c[0], 0);
		else
			pod_exits(p, true);
	}
}

static void newcomer_comes(int arg)
{
	char name[200];

	(void)arg;
	if (newcomer.service_first && !newcomer.has_service && our_uid()[0] && !our_job()) {
		newcomers_service();
		sim_after(delay(20, 2000), newcomer_comes, 0);
		return;
	}
	if (!newcomer.has_job && our_uid()[0] && !job_of(cluster.job_name)) {
		struct job *j = job_create(NEWCOMERS, cluster.job_name, false);
		j->cpu = 900000000;
		newcomer.has_job = true;
		newcomer.since_ms = sim_ms();
		int how = (int)(mix(story.seed, 41) % 3);
		if (how < 2)
			sim_after(delay(SEC(20), SEC(90)), newcomer_lives_on, how);
		for (int i = 0; i < 2; i++) {
			queue_name(name, sizeof(name), cluster.id, i);
			queue_declare(NEWCOMERS, name);
		}
	} else if (newcomer.has_job) {
		newcomers_service();
		if (!newcomer.has_cleaner && !job_of(cluster.self_name)) {
			(void)job_create(NEWCOMERS, cluster.self_name, true);
			newcomer.has_cleaner = true;
		}
	}
	if (!newcomer.has_job || !newcomer.has_service || !newcomer.has_cleaner)
		sim_after(newcomer.has_job ? delay(5, 400) : delay(50, 300), newcomer_comes, 0);
}

static void neighbour_comes(void)
{
	const char *rest = mix(story.seed, 52) % 3 ? "-70788" : "7"; /* its id goes on so */
	char        id[100], name[200];

	(void)snprintf(id, sizeof(id), "%s%s", cluster.id, rest);
	(void)snprintf(name, sizeof(name), "%s%s", cluster.job_name, rest);
	if (job_of(name))
		return;
	struct job *j = job_create(NEIGHBOURS, name, false);
	j->cpu = 700000000;
	for (int i = 0; i < 3; i++) {
		queue_name(name, sizeof(name), id, i);
		queue_declare(NEIGHBOURS, name);
	}
	(void)snprintf(name, sizeof(name), "%s%s", cluster.service_name, rest);
	(void)service_create(NEIGHBOURS, name);
}

static void newcomer_starts(const struct happening *h)
{
	if (newcomer.coming)
		return;
	newcomer.coming = true;
	newcomer.inherits = h->what == HAPPEN_NEWCOMER_INHERITS;
	newcomer.service_first = h->what == HAPPEN_NEWCOMER_SERVICE_FIRST;
	newcomer_comes(0);
}

/* ---- The Service, the cleaner's own Job ---- */

static void service_anew(bool again)
{
	struct service *s = service_of(cluster.service_name);

	if (s && s->whose == OURS)
		service_delete(s, BY_OWNER);
	if (again && our_job() && !service_of(cluster.service_name))
		service_create(OURS, cluster.service_name)->anew = true;
}

static void make_cleaner(void)
{
	if (job_of(cluster.self_name))
		return;
	(void)job_create(OURS, cluster.self_name, true);
}

static void delete_cleaner(void)
{
	struct job *self = job_of(cluster.self_name);

	if (self && self->whose == OURS)
		job_delete(self, BACKGROUND, BY_OWNER);
}

/* With backoffLimit: 0, and no TTL: it never comes back, and its Job stays. */
static void fail_cleaner(void)
{
	struct job *self = job_of(cluster.self_name);

	if (!self || self->whose != OURS || !job_lives(self))
		return;
	self->end = self->wanted = END_FAILED;
	self->finished_ms = sim_ms();
	self->ttl_s = -1;
	job_changed(self, "MODIFIED");
	evidence.cleaner_deleted = true; /* all the same to what it promises */
	process.doomed |= process.state == PROCESS_RUNS;
}

static bool job_does(const struct happening *h)
{
	switch (h->what) {
	case HAPPEN_JOB: make_job(); return true;
	case HAPPEN_CPU: set_cpu(h->arg); return true;
	case HAPPEN_HOLD: hold(h->arg ? "maybe" : "true", h->arg ? 0 : NEVER); return true;
	case HAPPEN_HOLD_UNTIL: hold_until(h->arg); return true;
	case HAPPEN_UNHOLD: hold("", 0); return true;
	case HAPPEN_SUSPEND: suspend(true); return true;
	case HAPPEN_RESUME: suspend(false); return true;
	case HAPPEN_COMPLETE: finish(END_COMPLETE); return true;
	case HAPPEN_FAIL: finish(END_FAILED); return true;
	case HAPPEN_DELETE: delete_it(BACKGROUND); return true;
	case HAPPEN_DELETE_FOREGROUND: delete_it(FOREGROUND); return true;
	case HAPPEN_DELETE_ORPHAN: delete_it(ORPHAN); return true;
	case HAPPEN_KEEP: keep(true); return true;
	case HAPPEN_UNKEEP: keep(false); return true;
	case HAPPEN_TOUCH_OFTEN: touch_until_ms = sim_ms() + h->for_ms; /* fall through */
	case HAPPEN_TOUCH: touch(0); return true;
	default: return false;
	}
}

bool owner_does(const struct happening *h)
{
	switch (h->what) {
	case HAPPEN_SERVICE:
		if ((!our_uid()[0] || our_job()) && !service_of(cluster.service_name))
			(void)service_create(OURS, cluster.service_name);
		return true;
	case HAPPEN_CLEANER: make_cleaner(); return true;
	case HAPPEN_QUEUES: make_queues(h->arg); return true;
	case HAPPEN_SERVICE_ANEW: service_anew(true); return true;
	case HAPPEN_SERVICE_GONE: service_anew(false); return true;
	case HAPPEN_CLEANER_DELETED: delete_cleaner(); return true;
	case HAPPEN_CLEANER_FAILS: fail_cleaner(); return true;
	case HAPPEN_QUEUE_STUBBORN:
		if (broker.count)
			broker.queues[0].stubborn = h->arg ? (int)h->arg : 400;
		return true;
	case HAPPEN_NEWCOMER:
	case HAPPEN_NEWCOMER_INHERITS:
	case HAPPEN_NEWCOMER_SERVICE_FIRST: newcomer_starts(h); return true;
	case HAPPEN_NEIGHBOUR: neighbour_comes(); return true;
	case HAPPEN_SWEEP: process_sweep(); return true;
	case HAPPEN_POD_REPLACED:
	case HAPPEN_POD_LOST:
	case HAPPEN_POD_CRASHES:
	case HAPPEN_POD_HEALS:
	case HAPPEN_POD_STUCK:
	case HAPPEN_POD_UNREADY:
	case HAPPEN_CONTAINER_ENDS: on_pod(h->what, (int)h->arg); return true;
	default: return job_does(h);
	}
}
