/* The verdict on a life, and the promises that concern what is deleted. */
#include "promises.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "evidence.h"
#include "process.h"
#include "settings.h"
#include "story.h"

struct verdict verdict;

void broken(const char *kind, const char *fmt, ...)
{
	va_list ap;

	for (int i = 0; i < verdict.count; i++)
		if (strcmp(verdict.broken[i].kind, kind) == 0)
			return;
	if (verdict.count == BROKEN_MAX)
		return;
	struct broken *b = &verdict.broken[verdict.count++];
	(void)snprintf(b->kind, sizeof(b->kind), "%s", kind);
	b->at_ms = sim_ms();
	va_start(ap, fmt);
	(void)vsnprintf(b->words, sizeof(b->words), fmt, ap);
	va_end(ap);
	trace("BROKEN", "%s: %s", kind, b->words);
}

void window(const char *name)
{
	for (int i = 0; i < verdict.window_count; i++)
		if (strcmp(verdict.windows[i], name) == 0)
			return;
	if (verdict.window_count < 8)
		verdict.windows[verdict.window_count++] = name;
	trace("window", "%s", name);
}

/* ---- What is deleted ---- */

static bool others(const char *what, enum whose whose, const char *name)
{
	if (whose == OURS)
		return false;
	broken(whose == NEWCOMERS ? "newcomer" : "neighbour", "%s %s is deleted", what, name);
	return true;
}

void promise_on_accepted_delete(const struct request *q, const struct job *j)
{
	if (j->finalizers & FINALIZER_FOREGROUND && strcmp(q->policy, "Foreground") != 0)
		broken("foreground", "a foreground deletion of %s is turned into %s", j->name,
		       q->policy);
}

void promise_on_job_delete(const struct job *j, enum actor actor)
{
	if (actor != BY_CLEANER)
		return;
	if (j->cleaners) {
		evidence_on_self_delete(j);
		return;
	}
	if (others("Job", j->whose, j->name) || !job_lives(j))
		return;
	evidence_on_idle_delete(j);
}

void promise_on_job_gone(const struct job *j)
{
	(void)j;
}

void promise_on_service_delete(const struct service *s, enum actor actor)
{
	const struct job *j = our_job();

	if (actor == BY_OWNER)
		return;
	if (s->inherited) {
		window("INHERIT");
		return;
	}
	if (s->whose != OURS) {
		if (actor == BY_CLUSTER && !s->adopted)
			return;
		if (actor == BY_CLEANER && evidence_service_first(s))
			window("SERVICE_FIRST");
		else
			(void)others("Service", s->whose, s->name);
		return;
	}
	if (job_lives(j) && strcmp(s->name, cluster.service_name) == 0)
		broken("service-of-live-job", "Service %s is deleted while its Job lives", s->name);
}

void promise_on_pod_delete(const struct pod *p, int grace_s, enum actor actor)
{
	if (actor != BY_CLEANER || others("pod", p->whose, p->name))
		return;
	if (job_by_uid(p->job_uid) && job_by_uid(p->job_uid)->deleted_ms < 0)
		broken("pod-of-present-job", "pod %s is deleted, and its Job is there", p->name);
	if (grace_s == 0)
		broken("pod-without-grace", "pod %s is deleted with a grace of 0", p->name);
}

void promise_on_queue_delete(const struct queue *q)
{
	if (q->whose != OURS) {
		if (evidence_queue_window(q))
			window("STRICT_QUEUES");
		else
			(void)others("queue", q->whose, q->name);
		return;
	}
	if (job_lives(our_job()))
		broken("queue-of-live-job", "queue %s is deleted while its Job lives", q->name);
}

void promise_on_adoption(const struct service *s, const struct request *q)
{
	const struct job *j = job_by_uid(q->owner_uid);

	if (q->blocks_owner)
		broken("request", "the patch blocks the owner's deletion");
	if (s->whose == NEWCOMERS && j && j->whose == OURS)
		broken("newcomer", "the newcomer's Service %s gets our Job as its owner", s->name);
}

/* ---- Ends ---- */

void promise_on_exit(int status)
{
	const struct job *j = our_job();

	if (status == 143 && process.signals > 0)
		return;
	if (status != 0 && status != 1) {
		broken("exit-status", "it ends with status %d", status);
		return;
	}
	if (status != 0)
		return;
	if (job_lives(j) && !settings.dry_run)
		broken("exit-beside-live-job", "it ends with 0, and its Job lives");
}
