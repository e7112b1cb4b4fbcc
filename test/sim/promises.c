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
#include "sweeper.h"

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
	if (verdict.window_count < WINDOWS_MAX)
		verdict.windows[verdict.window_count++] = name;
	trace("window", "%s", name);
}

bool has_window(const char *name)
{
	for (int i = 0; i < verdict.window_count; i++)
		if (strcmp(verdict.windows[i], name) == 0)
			return true;
	return false;
}

void promises_reset(void)
{
	verdict.count = verdict.window_count = 0;
	evidence_reset();
	pace_reset();
	ends_reset();
}

/* ---- What the program is told ---- */

void promise_on_start(void)
{
	evidence_start();
	pace_start();
}

void promise_on_told_job(const struct job *j)
{
	if (j->rv < evidence.read_rv)
		return; /* a read has told later news */
	evidence_on_told_job(j);
}

static bool is_our_job_delete(const struct request *q)
{
	return q->verb == VERB_DELETE && q->resource == RES_JOBS &&
	       strcmp(q->name, cluster.job_name) == 0;
}

/* Nobody knows what became of it. */
void promise_on_no_answer(const struct request *q)
{
	if (!q->sweeps && is_our_job_delete(q))
		evidence.delete_open = true;
}

void promise_on_answer(const struct request *q, const struct answer *a)
{
	if (q->sweeps) {
		sweeper_on_answer(q, a);
		return;
	}
	if (a->status == 504)
		promise_on_no_answer(q);
	evidence_on_answer(q, a);
	pace_on_answer(q, a);
	ends_on_answer(q, a);
}

/* ---- What is deleted ---- */

static void others(const char *what, enum whose whose, const char *name)
{
	if (whose == NEWCOMERS && !evidence.knows_ours &&
	    (evidence.serves_newcomer || !job_of(cluster.job_name))) {
		window("RESTART_BESIDE_NEWCOMER"); /* for all that it can know, that is its own */
		return;
	}
	char kind[40];
	(void)snprintf(kind, sizeof(kind), "%s-%s", whose == NEWCOMERS ? "newcomers" : "neighbours",
		       what);
	broken(kind, "%s is deleted", name);
}

void promise_on_accepted_delete(const struct request *q, const struct job *j)
{
	if (q->sweeps)
		return;
	evidence.basis = q->basis;
	if (!(j->finalizers & FINALIZER_FOREGROUND) || j->whose != OURS ||
	    strcmp(q->policy, "Foreground") == 0)
		return;
	if (q->basis.told_foreground)
		broken("foreground", "a foreground deletion of %s is turned into %s", j->name,
		       q->policy);
	else
		window("FOREGROUND_BETWEEN");
}

static void on_self_delete(const struct job *self)
{
	const struct service *s = service_of(cluster.service_name);

	if (self->whose != OURS) {
		others("cleaner", self->whose, self->name);
		return;
	}
	if (job_is_too_late(our_job())) {
		window("LATE_JOB");
		return;
	}
	if (evidence.serves_newcomer && !evidence.knows_ours) {
		window("RESTART_BESIDE_NEWCOMER");
		return;
	}
	if (our_job())
		broken("self-too-soon", "our own Job goes before the Job");
	if (s && s->whose == OURS && !s->inherited && !newcomer_has_come()) {
		if (s->anew)
			window("ANEW_BETWEEN");
		else
			broken("self-before-service", "our own Job goes before the Service");
	}
	if (our_uid()[0] && pods_of(our_uid()) && evidence_pods_are_its_business())
		broken("self-before-pods", "our own Job goes before the job's pods");
}

/* With a grace for its logs, a finished Job stays for that long; the cluster tells whole seconds.
 */
static void on_finished_delete(const struct job *j)
{
	int64_t took_ms = sim_ms() - j->finished_ms;
	int64_t grace =
		j->end == END_COMPLETE ? settings.completed_grace_ms : settings.failed_grace_ms;

	if (j->end != END_NONE && j->deleted_ms < 0 && story.undisturbed && !grace &&
	    process.started_ms < j->finished_ms - SEC(10) && took_ms > SEC(1))
		broken("slow-finish", "a finished Job is deleted after %lld ms",
		       (long long)took_ms);
	if (j->end != END_NONE && j->deleted_ms < 0 && sim_ms() < j->finished_ms + grace - SEC(1))
		broken("grace", "a finished Job is deleted %lld ms before its grace is over",
		       (long long)(j->finished_ms + grace - sim_ms()));
}

void promise_on_job_delete(const struct job *j, enum actor actor)
{
	if (j->cleaners && j->whose == OURS) {
		evidence.cleaner_deleted |= actor == BY_OWNER || actor == BY_SWEEP;
		ends_on_self_gone();
	}
	if (actor == BY_SWEEP)
		sweeper_on_job_delete(j);
	if (actor != BY_CLEANER)
		return;
	if (j->cleaners)
		on_self_delete(j);
	else if (j->whose != OURS)
		others("job", j->whose, j->name);
	else if (job_lives(j))
		evidence_on_idle_delete(j);
	else
		on_finished_delete(j);
}

void promise_on_service_delete(const struct service *s, enum actor actor)
{
	if (actor == BY_SWEEP)
		sweeper_on_service_delete(s);
	if (actor == BY_OWNER || actor == BY_SWEEP)
		return;
	bool sent_before = process.state == PROCESS_NONE; /* it has been on its way since */
	if (s->inherited && (actor != BY_CLEANER || !evidence.read_taken || sent_before)) {
		window("INHERIT");
		return;
	}
	if (s->inherited) {
		others("service", NEWCOMERS, s->name);
		return;
	}
	if (s->whose == OURS) {
		if (job_lives(our_job()))
			broken("service-of-live-job", "Service %s is deleted while its Job lives",
			       s->name);
		return;
	}
	if (actor == BY_CLUSTER && !s->adopted)
		return;
	if (actor == BY_CLEANER && evidence_service_first(s))
		window("SERVICE_FIRST");
	else
		others("service", s->whose, s->name);
}

void promise_on_pod_delete(const struct pod *p, int grace_s, enum actor actor)
{
	const struct job *j = job_by_uid(p->job_uid);

	if (actor == BY_SWEEP)
		sweeper_on_pod_delete(p, grace_s);
	if (actor != BY_CLEANER)
		return;
	if (p->whose != OURS)
		others("pod", p->whose, p->name);
	else if (j && j->deleted_ms < 0)
		broken("pod-of-present-job", "pod %s is deleted, and its Job is there", p->name);
	else if (j && p->phase > POD_RUNNING && p->ended_ms < evidence.looked_ms)
		broken("finished-pod", "pod %s is deleted, which has ended", p->name);
	if (grace_s == 0)
		broken("pod-without-grace", "pod %s is deleted with a grace of 0", p->name);
}

void promise_on_queue_delete(const struct queue *q)
{
	if (q->whose != OURS) {
		if (evidence_queue_window(q))
			window("STRICT_QUEUES");
		else if (q->whose == NEWCOMERS && !job_of(cluster.job_name) &&
			 !evidence.saw_newcomer)
			window("NEWCOMER_GONE"); /* what it left has the names of ours */
		else
			others("queue", q->whose, q->name);
	} else if (job_lives(our_job())) {
		broken("queue-of-live-job", "queue %s is deleted while its Job lives", q->name);
	}
}

void promise_on_adoption(const struct service *s, const struct request *q)
{
	const struct job *j = job_by_uid(q->owner_uid);

	if (q->blocks_owner)
		broken("request", "the patch blocks the owner's deletion");
	if (s->whose == NEWCOMERS && j && j->whose == OURS)
		broken("newcomers-service", "the newcomer's Service %s gets our Job as its owner",
		       s->name);
}

/* Of a teardown, that is: what is told of one that cannot go on is a warning, with its own reason.
 */
void promise_on_event(const struct request *q)
{
	const struct job *j = our_job();
	bool              teardown = strcmp(q->event_reason, "CleanupCompleted") == 0 ||
			strcmp(q->event_reason, "CleanupFailed") == 0 ||
			strcmp(q->event_reason, "CleanupIdle") == 0 ||
			strcmp(q->event_reason, "CleanupPending") == 0;

	if (!q->sweeps && strcmp(q->event_reason, "CleanupWaiting") == 0 && !job_lives(j) &&
	    !newcomer_has_come() && evidence.read_over)
		broken("event-too-late", "CleanupWaiting is recorded of a Job that has ended");
	if (!q->sweeps && teardown && j && j->deleted_ms < 0 && !evidence.delete_accepted)
		broken("event-too-soon", "%s is recorded before the DELETE was accepted",
		       q->event_reason);
}
