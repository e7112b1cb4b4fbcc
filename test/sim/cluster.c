/* The objects of the namespace, and what becomes of them when they are made or deleted. */
#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "cluster.h"
#include "promises.h"
#include "settings.h"
#include "watch.h"

#define POD_GRACE_S 30

struct cluster cluster;

static char first_uid[UID_BYTES]; /* of our Job */

static const char *const whose_names[] = { "our", "the newcomer's", "the neighbour's" };

void cluster_reset(const char *id)
{
	cluster = (struct cluster){ .rv = 100, .resolution_ms = SEC(15) };
	first_uid[0] = '\0';
	(void)snprintf(cluster.id, sizeof(cluster.id), "%s", id);
	(void)snprintf(cluster.job_name, NAME_BYTES, "grpc-job-%s", id);
	(void)snprintf(cluster.service_name, NAME_BYTES, "grpc-service-%s", id);
	(void)snprintf(cluster.self_name, NAME_BYTES, "cleanup-job-%s", id);
}

/* ---- Finding ---- */

struct job *job_of(const char *name)
{
	for (struct job *j = cluster.jobs; j < cluster.jobs + JOBS; j++)
		if (j->there && strcmp(j->name, name) == 0)
			return j;
	return NULL;
}

struct job *job_by_uid(const char *uid)
{
	for (struct job *j = cluster.jobs; j < cluster.jobs + JOBS; j++)
		if (j->there && strcmp(j->uid, uid) == 0)
			return j;
	return NULL;
}

struct service *service_of(const char *name)
{
	for (struct service *s = cluster.services; s < cluster.services + SERVICES; s++)
		if (s->there && strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

struct pod *pod_of(const char *name)
{
	for (struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		if (p->there && strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

const char *our_uid(void)
{
	return first_uid;
}

struct job *our_job(void)
{
	return first_uid[0] ? job_by_uid(first_uid) : NULL;
}

bool job_lives(const struct job *j)
{
	return j && j->there && j->end == END_NONE && j->deleted_ms < 0;
}

bool job_is_held(const struct job *j)
{
	return sim_ms() < j->hold_until_ms;
}

bool pod_counts(const struct pod *p)
{
	return p->there && p->deleted_ms < 0 && p->phase <= POD_RUNNING;
}

bool pod_runs(const struct pod *p)
{
	return p->there && p->phase == POD_RUNNING;
}

bool pod_is_ready(const struct pod *p)
{
	bool ready = p->phase == POD_RUNNING && !p->unready;

	for (int i = 0; i < p->containers; i++)
		ready &= p->c[i].state == CONTAINER_RUNNING;
	return ready;
}

/* Neither the kubelet starts it again, nor the job controller a pod in place of its pod. */
bool container_is_over(const struct container *c, const struct job *j)
{
	return c->state == CONTAINER_ENDED &&
	       (c->exit_code == 0 || (!j->on_failure && !j->retries));
}

int pods_of(const char *job_uid)
{
	int n = 0;

	for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		n += pod_counts(p) && strcmp(p->job_uid, job_uid) == 0;
	return n;
}

int pods_left_of(const char *job_uid)
{
	int n = 0;

	for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		n += p->there && !(p->dead_node && p->deleted_ms >= 0) &&
		     strcmp(p->job_uid, job_uid) == 0;
	return n;
}

/* ---- Making ---- */

static void new_uid(char uid[UID_BYTES])
{
	(void)snprintf(uid, UID_BYTES, "%08x-%04x-4%03x-8%03x-%08x%04x", rng_u32(&rng_cluster),
		       rng_u32(&rng_cluster) & 0xffff, rng_u32(&rng_cluster) & 0xfff,
		       rng_u32(&rng_cluster) & 0xfff, rng_u32(&rng_cluster),
		       rng_u32(&rng_cluster) & 0xffff);
}

static struct job *free_job(void)
{
	for (struct job *j = cluster.jobs; j < cluster.jobs + JOBS; j++)
		if (!j->there)
			return j;
	sim_fatal("more than %d Jobs", JOBS);
}

struct job *job_create(enum whose whose, const char *name, bool cleaners)
{
	struct job *j = free_job();

	*j = (struct job){ .there = true,
			   .cleaners = cleaners,
			   .whose = whose,
			   .created_ms = sim_ms(),
			   .started_ms = -1,
			   .finished_ms = -1,
			   .deleted_ms = -1,
			   .ending_ms = -1,
			   .ttl_s = cleaners ? 10 : 120,
			   .parallelism = 1 };
	(void)snprintf(j->name, sizeof(j->name), "%s", name);
	new_uid(j->uid);
	if (whose == OURS && !cleaners && !first_uid[0])
		(void)snprintf(first_uid, sizeof(first_uid), "%s", j->uid);
	trace("cluster", "%s Job %s is made, uid %.8s", whose_names[whose], name, j->uid);
	job_changed(j, "ADDED");
	return j;
}

struct service *service_create(enum whose whose, const char *name)
{
	for (struct service *s = cluster.services; s < cluster.services + SERVICES; s++) {
		if (s->there)
			continue;
		*s = (struct service){
			.there = true, .whose = whose, .rv = ++cluster.rv, .created_ms = sim_ms()
		};
		(void)snprintf(s->name, sizeof(s->name), "%s", name);
		new_uid(s->uid);
		trace("cluster", "%s Service %s is made, uid %.8s", whose_names[whose], name,
		      s->uid);
		return s;
	}
	sim_fatal("more than %d Services", SERVICES);
}

struct pod *pod_create(struct job *j)
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	char              suffix[6] = "";

	for (int i = 0; i < 5; i++)
		suffix[i] = letters[rng_u32(&rng_cluster) % (sizeof(letters) - 1)];
	for (struct pod *p = cluster.pods; p < cluster.pods + PODS; p++) {
		if (p->there)
			continue;
		*p = (struct pod){ .there = true,
				   .whose = j->whose,
				   .owned = true,
				   .tracked = true,
				   .on_failure = j->on_failure,
				   .created_ms = sim_ms(),
				   .running_ms = -1,
				   .deleted_ms = -1,
				   .stops_ms = NEVER,
				   .containers = CONTAINERS };
		(void)snprintf(p->name, sizeof(p->name), "%.80s-%s", j->name, suffix);
		(void)snprintf(p->job_name, sizeof(p->job_name), "%s", j->name);
		(void)snprintf(p->job_uid, sizeof(p->job_uid), "%s", j->uid);
		p->c[0].name = "grpc-server";
		p->c[0].cpu = j->cpu;
		p->c[1].name = "helper";
		p->c[1].cpu = settings.target_container ? 50000000 : 0; /* a sidecar that works */
		new_uid(p->uid);
		trace("cluster", "pod %s is made", p->name);
		pod_changed(p);
		return p;
	}
	sim_fatal("more than %d pods", PODS);
}

/* ---- Changes ---- */

void job_changed(struct job *j, const char *type)
{
	struct change *c = &cluster.changes[cluster.change_count++ % CHANGES];

	j->rv = ++cluster.rv;
	*c = (struct change){ .rv = j->rv, .at_ms = sim_ms(), .type = type, .job = *j };
	watch_tell();
	controllers_wake();
}

void pod_changed(struct pod *p)
{
	p->rv = ++cluster.rv;
	controllers_wake();
}

void container_cpu(struct container *c, int64_t nanocores)
{
	c->used += c->cpu * (sim_ms() - c->since_ms);
	c->since_ms = sim_ms();
	c->cpu = nanocores;
}

/* ---- Deleting ---- */

static void job_remove(struct job *j)
{
	trace("cluster", "%s Job %s is gone", whose_names[j->whose], j->name);
	job_changed(j, "DELETED");
	j->there = false;
}

void job_delete(struct job *j, enum policy policy, enum actor actor)
{
	promise_on_job_delete(j, actor);
	j->finalizers &= ~(unsigned)(FINALIZER_FOREGROUND | FINALIZER_ORPHAN);
	j->finalizers |= policy == FOREGROUND ? FINALIZER_FOREGROUND
			 : policy == ORPHAN   ? FINALIZER_ORPHAN
					      : 0;
	if (!j->finalizers) {
		job_remove(j);
		return;
	}
	if (j->deleted_ms < 0)
		j->deleted_ms = sim_ms();
	trace("cluster", "Job %s is being deleted, finalizers %u", j->name, j->finalizers);
	job_changed(j, "MODIFIED");
}

void service_delete(struct service *s, enum actor actor)
{
	promise_on_service_delete(s, actor);
	trace("cluster", "%s Service %s is gone, uid %.8s", whose_names[s->whose], s->name, s->uid);
	s->there = false;
	cluster.rv++;
}

void pod_delete(struct pod *p, int grace_s, enum actor actor)
{
	promise_on_pod_delete(p, grace_s, actor);
	if (p->deleted_ms >= 0 && grace_s != 0)
		return;
	int64_t grace = grace_s < 0 ? SEC(POD_GRACE_S) : SEC(grace_s);
	p->deleted_ms = sim_ms() + grace;
	p->stops_ms = sim_ms() + (grace ? delay(50, grace) : 0);
	broker_on_pod_stopping(p);
	trace("cluster", "pod %s is terminating", p->name);
	pod_changed(p);
}
