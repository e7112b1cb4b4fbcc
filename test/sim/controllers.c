/*
 * What Kubernetes does by itself: the job controller, the garbage collector, the TTL controller,
 * and each node's kubelet. Level-triggered: they look at all there is a moment after any change,
 * but not while they are down.
 */
#include <string.h>

#include "cluster.h"
#include "process.h"

static bool woken;

static void    look(int arg); /* 0: something changed; 1: something is due by itself */
static int64_t next_look_ms;  /* a timer is set for it; NEVER = none */

/* One timer, for the earliest time at which something is due by itself. */
static void look_at(int64_t ms)
{
	if (ms >= next_look_ms && next_look_ms > sim_ms())
		return;
	next_look_ms = ms;
	sim_at(ms, look, 1);
}

void controllers_reset(void)
{
	woken = false;
	next_look_ms = NEVER;
}

void controllers_wake(void)
{
	if (woken)
		return;
	woken = true;
	sim_after(delay(5, 120), look, 0);
}

/* ---- The kubelets ---- */

static void pod_starts(struct pod *p)
{
	struct job *j = job_by_uid(p->job_uid);

	p->phase = POD_RUNNING;
	p->running_ms = sim_ms();
	for (int i = 0; i < p->containers; i++)
		p->c[i].since_ms = sim_ms();
	if (j && !j->ran)
		j->ran_ms = sim_ms();
	if (j)
		j->ran = true;
	trace("cluster", "pod %s runs", p->name);
	pod_changed(p);
}

void pod_exits(struct pod *p, bool success)
{
	p->phase = success ? POD_SUCCEEDED : POD_FAILED;
	p->ended_ms = sim_ms();
	for (int i = 0; i < p->containers; i++) {
		if (p->c[i].state != CONTAINER_ENDED) {
			p->c[i].exit_code = success ? 0 : 1;
			p->c[i].ended_ms = sim_ms();
		}
		p->c[i].state = CONTAINER_ENDED;
		container_cpu(&p->c[i], 0);
	}
	trace("cluster", "pod %s has ended", p->name);
	pod_changed(p);
}

static void kubelet(struct pod *p)
{
	if (p->dead_node)
		return;
	if (p->phase == POD_PENDING && !p->stuck && p->deleted_ms < 0) {
		int64_t starts_ms = p->created_ms + 500 + (int64_t)(mix(p->rv, 3) % 4000);
		if (sim_ms() >= starts_ms)
			pod_starts(p);
		else
			look_at(starts_ms);
	}
	if (p->stops_ms == NEVER)
		return;
	if (sim_ms() < p->stops_ms) {
		look_at(p->stops_ms);
		return;
	}
	if (p->phase <= POD_RUNNING)
		pod_exits(p, false);
	if (!p->tracked) {
		p->there = false;
		trace("cluster", "pod %s is gone", p->name);
		controllers_wake();
	}
}

/* ---- The job controller ---- */

static void count_pods(const struct job *j, int *active, int *ready, int *terminating, int *ended)
{
	*active = *ready = *terminating = *ended = 0;
	for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++) {
		if (!p->there || strcmp(p->job_uid, j->uid) != 0)
			continue;
		if (p->phase > POD_RUNNING) {
			(*ended)++;
		} else if (p->deleted_ms >= 0) {
			(*terminating)++;
		} else {
			(*active)++;
			*ready += pod_is_ready(p);
		}
	}
}

static void job_finishes(struct job *j)
{
	j->end = j->wanted;
	j->finished_ms = sim_ms();
	j->active = j->ready = 0;
	trace("cluster", "Job %s is %s", j->name, j->end == END_COMPLETE ? "complete" : "failed");
	job_changed(j, "MODIFIED");
}

/* Its pods have exited: on 1.34 that it ends is told first, and the end when none terminates. */
static void job_ends(struct job *j, int terminating)
{
	if (j->ending_ms < 0) {
		j->ending_ms = sim_ms();
		job_changed(j, "MODIFIED");
		return;
	}
	if (!cluster.v1_34 || !terminating)
		job_finishes(j);
}

static void job_pods(struct job *j)
{
	int active, ready, terminating, ended;

	count_pods(j, &active, &ready, &terminating, &ended);
	if (j->suspend) {
		j->started_ms = -1;
		for (struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
			if (pod_counts(p) && strcmp(p->job_uid, j->uid) == 0)
				pod_delete(p, -1, BY_CLUSTER);
	} else if (j->deleted_ms < 0 && j->wanted == END_NONE) {
		if (j->started_ms < 0)
			j->started_ms = sim_ms();
		for (int n = active; n < j->parallelism; n++)
			(void)pod_create(j);
	}
	count_pods(j, &active, &ready, &terminating, &ended);
	if (active != j->active || ready != j->ready || terminating != j->terminating) {
		j->active = active;
		j->ready = ready;
		j->terminating = terminating;
		job_changed(j, "MODIFIED");
	} else if (j->wanted != END_NONE && !active) {
		job_ends(j, terminating);
	}
}

static void job_controller(struct job *j)
{
	if (j->cleaners)
		return;
	if (j->end == END_NONE)
		job_pods(j);
}

static void ttl_controller(struct job *j)
{
	int64_t due_ms = j->finished_ms + SEC(j->ttl_s);

	if (j->end == END_NONE || j->deleted_ms >= 0 || j->ttl_s < 0)
		return;
	if (sim_ms() >= due_ms)
		job_delete(j, FOREGROUND, BY_CLUSTER);
	else
		look_at(due_ms);
}

/* ---- The garbage collector ---- */

/* Foreground: the pods first. Orphan: the pods are let go. Then the finalizer goes. */
static void finalize(struct job *j)
{
	int waiting = 0;

	if (j->deleted_ms < 0)
		return;
	for (struct pod *p = cluster.pods; p < cluster.pods + PODS; p++) {
		if (!p->there || !p->owned || strcmp(p->job_uid, j->uid) != 0)
			continue;
		if (j->finalizers & FINALIZER_ORPHAN) {
			p->owned = false;
			pod_changed(p);
		} else if (j->finalizers & FINALIZER_FOREGROUND) {
			waiting++;
			if (p->deleted_ms < 0)
				pod_delete(p, -1, BY_CLUSTER);
		}
	}
	if (waiting)
		return;
	unsigned before = j->finalizers;
	j->finalizers &= FINALIZER_CUSTOM;
	if (!j->finalizers)
		job_delete(j, BACKGROUND, BY_CLUSTER);
	else if (before != j->finalizers)
		job_changed(j, "MODIFIED");
}

static void collect_pod(struct pod *p)
{
	if (p->owned && p->deleted_ms < 0 && !job_by_uid(p->job_uid))
		pod_delete(p, -1, BY_CLUSTER);
	/* the job controller lets go of pods that have ended, or whose Job is gone */
	if (p->tracked && (p->phase > POD_RUNNING || p->deleted_ms >= 0 || !p->owned)) {
		p->tracked = false;
		pod_changed(p);
	}
}

static void collect_service(struct service *s)
{
	int left = 0;

	if (!s->owner_count)
		return;
	for (int i = 0; i < s->owner_count; i++) {
		if (job_by_uid(s->owners[i].uid))
			s->owners[left++] = s->owners[i];
	}
	if (!left)
		service_delete(s, BY_CLUSTER);
	else
		s->owner_count = left;
}

static void look(int arg)
{
	if (!arg)
		woken = false;
	else
		next_look_ms = NEVER;
	for (struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		if (p->there)
			kubelet(p);
	process_look(); /* the kubelet of the cleaner's own node */
	if (cluster.controllers_down)
		return; /* whoever starts them wakes them */
	for (struct job *j = cluster.jobs; j < cluster.jobs + JOBS; j++) {
		if (j->there)
			job_controller(j);
		if (j->there)
			ttl_controller(j);
		if (j->there)
			finalize(j);
	}
	for (struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		if (p->there)
			collect_pod(p);
	for (struct service *s = cluster.services; s < cluster.services + SERVICES; s++)
		if (s->there)
			collect_service(s);
}
