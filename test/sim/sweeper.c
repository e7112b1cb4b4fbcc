#include "sweeper.h"

#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "promises.h"
#include "settings.h"
#include "story.h"

#define JOB      "grpc-job-"
#define SERVICE  "grpc-service-"
#define CLEANER  "cleanup-job-"
#define READS    300
#define AFTER_MS SEC(SWEEP_AFTER_S)
#define SLOW_MS  SEC(1500)

/* What it was told of a Job by a GET of it. */
struct read {
	char       name[NAME_BYTES];
	int64_t    at_ms;
	bool       there;
	struct job job;
};

static struct {
	int64_t     begun_ms;  /* monotonic */
	int64_t     before_ms; /* what was created later is young; -1 = it was told no time yet */
	struct read reads[READS];
	int         count;
	struct {
		char service[UID_BYTES], cleaner[UID_BYTES];
		char id[NAME_BYTES];
	} left[SERVICES + JOBS]; /* old, and without a Job, when it began */
	int  left_count;
	bool untold; /* of a cleaner: an empty list of Jobs, or that another one has its name */
} s;

static const char *behind(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(name, prefix, n) == 0 && name[n] ? name + n : NULL;
}

static void with_id(char out[NAME_BYTES], const char *prefix, const char *id)
{
	(void)snprintf(out, NAME_BYTES, "%s%s", prefix, id);
}

/* ---- What is a leftover, in truth ---- */

static bool is_young(int64_t created_ms)
{
	return created_ms / 1000 * 1000 > (s.before_ms < 0 ? sim_ms() - AFTER_MS : s.before_ms);
}

/* Nobody has the Job's name, and nothing of the id is young. */
static bool is_left(const char *id)
{
	char                  job[NAME_BYTES], service[NAME_BYTES], self[NAME_BYTES];
	const struct service *its_service;
	const struct job     *its_cleaner;

	with_id(job, JOB, id);
	with_id(service, SERVICE, id);
	with_id(self, CLEANER, id);
	its_service = service_of(service);
	its_cleaner = job_of(self);
	if (job_of(job) || (its_service && is_young(its_service->created_ms)) ||
	    (its_cleaner && is_young(its_cleaner->created_ms)))
		return false;
	for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		if (p->there && strcmp(p->job_name, job) == 0)
			return false; /* pods take time; the next sweep's */
	return true;
}

static void note_left(const char *id, const char *service, const char *cleaner)
{
	int n = s.left_count++;

	with_id(s.left[n].id, "", id);
	(void)snprintf(s.left[n].service, UID_BYTES, "%s", service);
	(void)snprintf(s.left[n].cleaner, UID_BYTES, "%s", cleaner);
}

void sweeper_begins(void)
{
	memset(&s, 0, sizeof(s));
	s.begun_ms = clock_monotonic_ms();
	s.before_ms = -1;
	for (struct service *v = cluster.services; v < cluster.services + SERVICES; v++) {
		const char *id = v->there ? behind(v->name, SERVICE) : NULL;
		if (id && is_left(id) && !is_young(v->created_ms + 2000))
			note_left(id, v->uid, "");
	}
	for (struct job *j = cluster.jobs; j < cluster.jobs + JOBS; j++) {
		const char *id = j->there ? behind(j->name, CLEANER) : NULL;
		if (id && is_left(id) && !is_young(j->created_ms + 2000))
			note_left(id, "", j->uid);
	}
}

/* ---- What it asks, and is told ---- */

void sweeper_on_request(const struct request *q)
{
	if (q->verb == VERB_DELETE && q->resource != RES_QUEUES && !q->uid[0])
		broken("sweep-request", "a DELETE of %s %s without a uid",
		       resource_words[q->resource], q->name);
	if (q->verb == VERB_DELETE && q->resource == RES_JOBS &&
	    strcmp(q->policy, "Background") != 0)
		broken("sweep-request", "a DELETE of a Job with the policy '%s'", q->policy);
	if (q->verb == VERB_PATCH || q->verb == VERB_WATCH || q->resource == RES_METRICS)
		broken("sweep-request", "a sweep sends %s %s", verb_words[q->verb],
		       resource_words[q->resource]);
}

static struct read *read_of(const char *name)
{
	for (int i = 0; i < s.count; i++)
		if (strcmp(s.reads[i].name, name) == 0)
			return &s.reads[i];
	return NULL;
}

void sweeper_on_answer(const struct request *q, const struct answer *a)
{
	const struct tale *t = &a->tale;

	if (s.before_ms < 0 && q->verb == VERB_LIST && q->resource != RES_QUEUES &&
	    a->status == 200)
		s.before_ms = sim_ms() / 1000 * 1000 - AFTER_MS;
	s.untold |= q->resource == RES_JOBS &&
		    (q->verb == VERB_LIST ? t->told == TOLD_NO_JOB
					  : q->verb == VERB_DELETE && a->status == 409);
	if (q->verb != VERB_GET || (t->told != TOLD_JOB && t->told != TOLD_NO_JOB))
		return;
	struct read *r = read_of(q->name);
	if (!r && s.count < READS)
		r = &s.reads[s.count++];
	if (!r)
		sim_fatal("more than %d Jobs are read", READS);
	(void)snprintf(r->name, sizeof(r->name), "%s", q->name);
	r->at_ms = t->at_ms;
	r->there = t->told == TOLD_JOB;
	r->job = t->job;
}

/* ---- What it deletes ---- */

static void check_age(const char *what, const char *name, int64_t created_ms)
{
	if (is_young(created_ms))
		broken("sweep-too-young", "%s %s is deleted %lld s after it was created", what,
		       name, (long long)(sim_ms() - created_ms) / 1000);
}

/* An ended Job, as it was read: is it nobody's? */
static void check_ended(const struct job *j, const struct read *r)
{
	int64_t grace =
		j->end == END_COMPLETE ? settings.completed_grace_ms : settings.failed_grace_ms;
	int64_t kept = SEC(j->ttl_s > 0 ? j->ttl_s : 0);

	if (r->job.hold[0])
		broken("sweep-held", "%s is held", j->name);
	if (j->finished_ms + (kept > grace ? kept : grace) > s.before_ms + 999)
		broken("sweep-ttl", "%s ended %lld s ago, and may stay", j->name,
		       (long long)(sim_ms() - j->finished_ms) / 1000);
}

/* Something of this id goes: was its Job read, and is it gone, or ended long ago? */
static void check_job(const char *what, const char *id)
{
	char name[NAME_BYTES];

	with_id(name, JOB, id);
	const struct read *r = read_of(name);
	const struct job  *j = job_of(name);
	if (!r)
		broken("sweep-unread", "%s of %s is deleted, and nobody has read its Job", what,
		       id);
	else if (j && j->created_ms > r->at_ms)
		window("SWEEP_BETWEEN");
	else if (j && j->end == END_NONE)
		broken("sweep-live-job", "%s of %s is deleted, and its Job lives", what, id);
	else if (j)
		check_ended(j, r);
}

void sweeper_on_job_delete(const struct job *j)
{
	const char *id = behind(j->name, JOB), *cleaner = behind(j->name, CLEANER);

	check_age("Job", j->name, j->created_ms);
	if (id)
		check_job("the Job", id);
	else if (cleaner)
		check_job("the cleaner's Job", cleaner);
	else
		broken("sweep-request", "Job %s is deleted", j->name);
}

void sweeper_on_service_delete(const struct service *v)
{
	check_age("Service", v->name, v->created_ms);
	if (behind(v->name, SERVICE))
		check_job("the Service", behind(v->name, SERVICE));
}

void sweeper_on_pod_delete(const struct pod *p, int grace_s)
{
	const struct job *j = job_by_uid(p->job_uid);

	check_age("pod", p->name, p->created_ms);
	if (j && j->deleted_ms < 0)
		broken("sweep-live-pod", "pod %s is deleted, and its Job is there", p->name);
	if (grace_s == 0)
		broken("sweep-request", "pod %s is deleted with a grace of 0", p->name);
}

/* A queue has no precondition: a Job that has come since the last read may have declared it. */
void sweeper_on_queue_delete(const struct queue *queue)
{
	for (const struct job *j = cluster.jobs; j < cluster.jobs + JOBS; j++) {
		const char *id = j->there && !j->cleaners ? behind(j->name, JOB) : NULL;
		if (!id || !queue_is_called(queue->name, id) || !job_lives(j))
			continue;
		const struct read *r = read_of(j->name);
		if (r && j->created_ms > r->at_ms)
			window("STRICT_QUEUES");
		else
			broken("sweep-queue", "queue %s is deleted, and %s lives", queue->name,
			       j->name);
	}
}

/* ---- The end ---- */

static bool is_there_still(int i)
{
	for (const struct service *v = cluster.services; v < cluster.services + SERVICES; v++)
		if (v->there && strcmp(v->uid, s.left[i].service) == 0)
			return true;
	for (const struct job *j = cluster.jobs; j < cluster.jobs + JOBS; j++)
		if (j->there && j->deleted_ms < 0 && strcmp(j->uid, s.left[i].cleaner) == 0)
			return !s.untold; /* that is the next sweep's */
	return false;
}

void sweeper_on_exit(int status)
{
	trace("node", "the sweep ends with status %d", status);
	if (status < 0)
		return;
	if (status != 0 && status != 1 && status != 143)
		broken("sweep-exit", "a sweep ends with status %d", status);
	if (clock_monotonic_ms() - s.begun_ms > SLOW_MS) /* without what its node has slept */
		broken("sweep-slow", "a sweep takes %lld s",
		       (long long)(clock_monotonic_ms() - s.begun_ms) / 1000);
	for (int i = 0; i < s.left_count && status == 0 && !settings.dry_run; i++)
		if (is_there_still(i) && is_left(s.left[i].id))
			broken("sweep-left", "a sweep ends with 0, and something of %s is left",
			       s.left[i].id);
}
