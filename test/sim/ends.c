/* How the program ends, and how a life does: what is left, and whether what stays is watched. */
#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "evidence.h"
#include "faults.h"
#include "http_sim.h"
#include "process.h"
#include "settings.h"
#include "story.h"

#define STOP_MS    SEC(27)  /* after SIGTERM: 25 s, and what a machine needs */
#define REFUSED_MS SEC(330) /* a refusal may be believed for 5 minutes */
#define REREAD_MS  SEC(75)
#define WAITS_MS   SEC(600)

static struct {
	int64_t read_ms, metrics_ms; /* the last answers of these; -1 = none in this start */
	int64_t signal_ms;           /* -1 = none */
	int64_t given_up_ms;         /* our own Job went then; -1 = not */
	int64_t alone_ms;            /* since when our own Job alone is left; -1 = it is not */
	int64_t job_gone_ms;         /* about; -1 = it is not */
	int64_t waiting_ms;          /* the last line that said why it waits; -1 = none */
	int64_t known_ms;            /* this start was first told of our Job; -1 = not yet */
	bool    blind;               /* our own Job went while nobody could tell about pods */
	bool    untold;              /* ... whose the queues are, for a minute */
} seen;

void ends_reset(void)
{
	seen.read_ms = seen.metrics_ms = seen.signal_ms = seen.given_up_ms = seen.alone_ms = -1;
	seen.job_gone_ms = seen.waiting_ms = seen.known_ms = -1;
	seen.blind = seen.untold = false;
}

void ends_on_answer(const struct request *q, const struct answer *a)
{
	if (a->tale.told == TOLD_JOB || a->tale.told == TOLD_NO_JOB)
		seen.read_ms = sim_ms();
	if (a->tale.told == TOLD_JOB && !strcmp(a->tale.job.name, cluster.job_name) &&
	    seen.known_ms < process.started_ms)
		seen.known_ms = sim_ms();
	if (q->resource == RES_METRICS && (a->status == 200 || q->verb == VERB_GET))
		seen.metrics_ms = sim_ms();
}

void ends_on_self_gone(void)
{
	if (seen.given_up_ms < 0)
		seen.given_up_ms = sim_ms();
	seen.blind |= !may(VERB_LIST, RES_PODS);
}

/* A Job that is made when nobody waits for it any more: behind the last read, or behind the end. */
bool job_is_too_late(const struct job *j)
{
	if (!j || has_window("LATE_JOB"))
		return has_window("LATE_JOB");
	return (seen.given_up_ms >= 0 && j->created_ms > seen.given_up_ms) ||
	       (evidence.read_absent && !evidence.knows_ours && j->created_ms >= evidence.read_ms);
}

static int64_t calm_for_ms(void)
{
	return sim_ms() - story.calm_ms;
}

/* ---- Signals ---- */

static void on_late(int start)
{
	if (process.state == PROCESS_RUNS && process.starts == start && !process.doomed &&
	    process.frozen_until_ms < seen.signal_ms)
		broken("slow-to-stop", "it runs on 27 s after SIGTERM");
}

void promise_on_signal(void)
{
	if (process.signals > 1)
		return;
	seen.signal_ms = sim_ms();
	sim_after(STOP_MS, on_late, process.starts);
}

/* One read behind the signal; and what that says is acted on. */
static void on_signalled_exit(void)
{
	const struct evidence *e = &evidence;

	if (!e->knows_ours || sim_ms() - seen.signal_ms > SEC(5) || e->delete_accepted)
		return;
	if (e->read_sent_ms < seen.signal_ms)
		broken("signal-unread", "it is stopped, and does not look whether its Job is over");
	else if (e->read_ms >= seen.signal_ms && !settings.completed_grace_ms &&
		 (e->read_absent || e->read_over))
		broken("signal-while-over", "it is stopped, and has read that its Job is over");
}

/* ---- Exits ---- */

static bool newcomer_is_there(void)
{
	const struct job *j = job_of(cluster.job_name);

	return j && j->whose == NEWCOMERS;
}

static void on_success(void)
{
	if (seen.given_up_ms < 0 && !job_lives(our_job()))
		seen.given_up_ms = sim_ms();
	seen.untold |= evidence.untold >= 2 && sim_ms() - evidence.read_ms >= SEC(60);
	if (settings.dry_run)
		return;
	if (job_lives(our_job()) && !job_is_too_late(our_job()))
		broken("exit-beside-live-job", "it ends with 0, and its Job lives");
	if (newcomer_is_there() && evidence.knows_ours && !evidence.read_gone &&
	    !evidence.delete_accepted)
		broken("newcomer-by-event", "it leaves a newcomer that no read has shown");
	if (evidence.knows_ours && pods_of(our_uid()) && evidence_pods_are_its_business())
		broken("exit-beside-pods", "it ends with 0, and pods of its Job run on");
}

/* Trying for TEARDOWN_TIMEOUT_SECONDS includes trying at the end of them. */
static bool gave_up_too_soon(void)
{
	return sim_ms() - process.started_ms < settings.teardown_ms ||
	       sim_ms() - evidence.delete_sent_ms > SEC(60);
}

static bool job_pods_or_service_left(void)
{
	const struct service *s = service_of(cluster.service_name);

	return our_job() || (our_uid()[0] && pods_of(our_uid())) || (s && s->whose == OURS);
}

void promise_on_exit(int status)
{
	if (status == 143 && process.signals > 0) {
		on_signalled_exit();
		return;
	}
	bool lives = evidence.knows_ours && job_lives(our_job());
	if (status == 1 && !process.signals &&
	    (sim_ms() - process.started_ms < settings.teardown_ms || (lives && gave_up_too_soon())))
		broken("gave-up-too-soon",
		       "it ends with 1, and has not tried for as long as it may");
	if (status == 0)
		on_success();
	else if (status != 1)
		broken("exit-status", "it ends with status %d", status);
	else if (calm_for_ms() > SEC(120) && !job_pods_or_service_left() && !process.signals)
		broken("exit-1", "it ends with 1, and nothing but a queue is left");
}

/* ---- What is left ---- */

static const char *left_queue(void)
{
	if (newcomer_has_come() || evidence.broker_final || broker.down)
		return NULL; /* nobody can tell whose they are; or our user may not */
	int64_t late_ms = seen.job_gone_ms < 0 ? NEVER : seen.job_gone_ms + SEC(55);
	for (int i = 0; i < broker.count; i++) {
		const struct queue *q = &broker.queues[i];
		if (q->whose != OURS || q->stubborn)
			continue;
		if (q->by_dying_pod && (q->declared_ms > late_ms || seen.blind))
			window("DYING_PODS");
		else if (seen.untold)
			window("NOT_TOLD");
		else if (settings.teardown_ms < SEC(120) && !evidence.cleaner_deleted)
			window("SHORT_TEARDOWN");
		else
			return "left-queue";
	}
	return NULL;
}

static bool has_lost_pod(const struct job *j)
{
	bool lost = false;

	for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		lost |= p->there && p->dead_node && strcmp(p->job_uid, j->uid) == 0;
	return lost;
}

static bool has_running_pod(const struct job *j)
{
	bool runs = false;

	for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		runs |= p->there && !p->dead_node && p->phase == POD_RUNNING &&
			strcmp(p->job_uid, j->uid) == 0;
	return runs;
}

/* A foreground deletion waits for a pod whose node will not tell that it has ended. */
static bool waits_for_lost_node(const struct job *j)
{
	return has_lost_pod(j) && (j->finalizers & FINALIZER_FOREGROUND);
}

/* TARGET_CONTAINER has ended, and its only pod goes on with a sidecar; it can be seen. */
static bool container_ended(const struct job *j)
{
	if (!settings.target_container || j->parallelism > 1 || !may(VERB_LIST, RES_PODS))
		return false;
	for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		if (pod_counts(p) && strcmp(p->job_uid, j->uid) == 0)
			return container_is_over(&p->c[0], j);
	return false;
}

/* A word for why the Job is there still. */
static const char *left_job(const struct job *j)
{
	if (waits_for_lost_node(j)) {
		window("LOST_NODE");
		return NULL;
	}
	if (!job_lives(j))
		return j->deleted_ms >= 0 ? "left-deleted-job" : "left-finished-job";
	if (container_ended(j))
		return "ended-container";
	if (has_lost_pod(j) && !has_running_pod(j)) {
		window("LOST_NODE"); /* nothing of it can be measured */
		return NULL;
	}
	if (has_lost_pod(j))
		return "idle-beside-lost-pod";
	if (settings.pending_ms && !j->ran)
		return "pending-never-noticed";
	if (!may(VERB_LIST, RES_METRICS))
		return "metrics-by-name";
	return cluster.resolution_ms > SEC(15) ? "idle-seldom-samples" : "idle-never-noticed";
}

static bool pods_are_left(void)
{
	if (!our_uid()[0] || !pods_of(our_uid()))
		return false;
	if (newcomer_has_come() && !evidence.knows_ours) {
		window("RESTART_BESIDE_NEWCOMER");
		return false;
	}
	return true;
}

/* What of ours is left, but should not be: a word for the kind, or NULL. */
static const char *left(void)
{
	const struct service *s = service_of(cluster.service_name);
	const struct job     *self = job_of(cluster.self_name);

	if (our_job())
		return faults_deny_for_ever() && our_job()->ttl_s < 0 ? NULL : left_job(our_job());
	if (pods_are_left())
		return evidence_pods_are_its_business() ? "left-pods" : NULL;
	if (s && s->whose == OURS && seen.given_up_ms >= 0 && s->created_ms > seen.given_up_ms)
		window("LATE_JOB");
	else if (s && s->whose == OURS && s->anew)
		window("ANEW_BETWEEN");
	else if (s && s->whose == OURS && !s->inherited && !newcomer_has_come())
		return "left-service";
	if (self && self->whose == OURS && !newcomer_has_come())
		return "left-self";
	return left_queue();
}

bool promises_settled(void)
{
	return process.state == PROCESS_NONE && !left();
}

/* ---- What stays, and is to be watched ---- */

/* By LIST, or by GET of each pod whose name it may know. */
static bool may_measure(void)
{
	return !cluster.metrics_absent && !cluster.metrics_down &&
	       (may(VERB_LIST, RES_METRICS) ||
		(may(VERB_GET, RES_METRICS) && may(VERB_LIST, RES_PODS)));
}

/* Nobody ends it: busy, held, suspended, or nothing can tell that it is idle. */
bool job_stays(void)
{
	const struct job *j = our_job();
	int64_t           cpu = 0;
	bool              waits = false;

	if (newcomer_is_there() && process.state != PROCESS_NONE)
		return true;
	if (!job_lives(j))
		return false;
	for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++) {
		if (!pod_counts(p) || p->whose != OURS)
			continue;
		cpu += p->c[0].cpu;
		waits |= p->phase == POD_PENDING || p->c[0].state == CONTAINER_WAITING ||
			 (settings.target_container && p->c[0].state == CONTAINER_ENDED);
	}
	if (container_ended(j) && !j->suspend && !faults_deny_for_ever())
		return false;
	if (settings.pending_ms && !j->ran && !j->suspend && !job_is_held(j) &&
	    !faults_deny_for_ever())
		return false;
	return j->suspend || job_is_held(j) || story.long_selector || cpu > settings.threshold ||
	       !settings.check_cpu || waits || !may_measure() || faults_deny_for_ever();
}

static void check_watching(void)
{
	const struct service *s = service_of(cluster.service_name);
	bool                  listens = may(VERB_LIST, RES_JOBS) && may(VERB_WATCH, RES_JOBS);
	bool measures = settings.check_cpu && may_measure() && job_lives(our_job()) &&
			(may(VERB_LIST, RES_METRICS) || has_running_pod(our_job())) &&
			!our_job()->suspend && !job_is_held(our_job());

	if (process.state == PROCESS_NONE)
		broken("not-watched", "the job lives, and nobody watches it");
	if (process.state != PROCESS_RUNS || sim_ms() - process.started_ms < REFUSED_MS)
		return;
	if (sim_ms() - seen.read_ms > REREAD_MS)
		broken("not-read", "the Job was not read for %lld s",
		       (long long)(sim_ms() - seen.read_ms) / 1000);
	if (listens && job_lives(our_job()) && sim_ms() - http_sim_stream_ms() > SEC(30))
		broken("not-listening", "there is no watch, and nothing speaks against one");
	/* A refusal is asked about again before it is believed, and ever again. */
	int64_t measured = settings.interval_ms * (may(VERB_LIST, RES_METRICS) ? 1 : 5);
	if (measures && sim_ms() - seen.metrics_ms > measured + SEC(20))
		broken(may(VERB_LIST, RES_METRICS) ? "not-measured" : "metrics-by-name",
		       "no metrics were read for %lld s",
		       (long long)(sim_ms() - seen.metrics_ms) / 1000);
	if (settings.adopt && may(VERB_PATCH, RES_SERVICES) &&
	    !faults_last(VERB_PATCH, RES_SERVICES) && s && s->whose == OURS && !s->anew &&
	    job_lives(our_job()) && !s->owner_count && sim_ms() - s->created_ms > REFUSED_MS)
		broken("not-adopted", "the Service has no owner");
}

void promises_at_end(void)
{
	const char       *what = left();
	const struct job *j = our_job();

	if (settings.dry_run)
		return;
	if (job_is_too_late(j)) {
		window("LATE_JOB");
		return;
	}
	if (job_stays()) {
		if (!evidence.cleaner_deleted)
			check_watching();
		return;
	}
	if (!what)
		return;
	if (evidence.cleaner_deleted)
		window("CLEANER_DELETED");
	else if (job_lives(j) &&
		 settings.min_distinct * cluster.resolution_ms > calm_for_ms() - SEC(300))
		window("SELDOM_SAMPLES"); /* it is not over yet */
	else
		broken(what, "after %lld s of calm%s", (long long)calm_for_ms() / 1000,
		       process.state == PROCESS_NONE ? ", and no cleaner" : "");
}

/* ---- While a life goes on, every few seconds ---- */

/* Nothing is left but queues, and our own Job holds the slot. */
static void audit_slot(void)
{
	const struct job *self = job_of(cluster.self_name);
	int64_t           longest = settings.teardown_ms + settings.missing_ms + SEC(300 + 120);

	if (seen.given_up_ms >= 0 && job_is_too_late(our_job()))
		window("LATE_JOB");
	if (our_job() || !our_uid()[0])
		seen.job_gone_ms = -1;
	else if (seen.job_gone_ms < 0)
		seen.job_gone_ms = sim_ms();
	if (calm_for_ms() < 0 || !self || self->whose != OURS || job_of(cluster.job_name) ||
	    !our_uid()[0] || job_pods_or_service_left() || settings.dry_run ||
	    evidence.cleaner_deleted) {
		seen.alone_ms = -1;
		return;
	}
	if (seen.alone_ms < 0)
		seen.alone_ms = sim_ms();
	if (sim_ms() - seen.alone_ms > longest)
		broken("slot-held", "our own Job is there %lld s after all else went",
		       (long long)(sim_ms() - seen.alone_ms) / 1000);
}

/* Since when it has had nothing to say about this wait: one that comes late may have been missing.
 */
static int64_t silent_since_ms(void)
{
	int64_t since_ms = process.started_ms;

	if (our_job() && since_ms < our_job()->created_ms)
		since_ms = seen.known_ms < since_ms ? our_job()->created_ms : seen.known_ms;
	return since_ms < seen.waiting_ms ? seen.waiting_ms : since_ms;
}

void ends_on_waiting(void)
{
	if (sim_ms() - process.started_ms < WAITS_MS - SEC(1) ||
	    (seen.waiting_ms > process.started_ms &&
	     sim_ms() - seen.waiting_ms < WAITS_MS - SEC(1)))
		broken("waits-too-often",
		       "it says why it waits less than ten minutes after it did");
	seen.waiting_ms = sim_ms();
}

/* Nothing is decided: every ten minutes a line says why. */
static void audit_waiting(void)
{
	if (process.state != PROCESS_RUNS || process.doomed || process.signals ||
	    process.frozen_until_ms > sim_ms() - SEC(75) || !job_lives(our_job()) ||
	    evidence.delete_accepted)
		return;
	if (sim_ms() - silent_since_ms() > WAITS_MS + SEC(75))
		broken("waits-silently", "it has waited for %lld s without a word",
		       (long long)(sim_ms() - silent_since_ms()) / 1000);
}

void promises_audit(void)
{
	audit_slot();
	audit_waiting();

	const struct job     *j = our_job();
	const struct service *s = service_of(cluster.service_name);

	if (!j || job_lives(j) || calm_for_ms() < REFUSED_MS || process.state != PROCESS_RUNS ||
	    sim_ms() - process.started_ms < REREAD_MS || settings.dry_run || faults_deny_for_ever())
		return;
	int64_t over_ms = j->deleted_ms >= 0 ? j->deleted_ms : j->finished_ms;
	if (over_ms < process.started_ms)
		over_ms = process.started_ms;
	if (s && s->whose == OURS && !s->inherited && sim_ms() - over_ms > 2 * REREAD_MS)
		broken("service-held-up", "the Job ended %lld s ago, and the Service is there",
		       (long long)(sim_ms() - over_ms) / 1000);
	int64_t grace =
		j->end == END_COMPLETE ? settings.completed_grace_ms : settings.failed_grace_ms;
	if (j->deleted_ms < 0 && sim_ms() - over_ms > grace + 2 * REREAD_MS)
		broken("late", "the Job finished %lld s ago, and is there",
		       (long long)(sim_ms() - j->finished_ms) / 1000);
}

/* ---- What one life has come to, for people and for test_stories.py ---- */

static const char *there(bool is)
{
	return is ? "there" : "gone";
}

void promises_outcome(char *out, size_t size)
{
	const struct service *s = service_of(cluster.service_name);
	const struct job     *self = job_of(cluster.self_name), *j = job_of(cluster.job_name);
	const char           *status = process.last_status == 0     ? "0"
				       : process.last_status == 1   ? "1"
				       : process.last_status == 143 ? "143"
								    : "none";

	(void)snprintf(out, size,
		       "outcome: job %s, service %s, pods %s, cleaner %s, newcomer %s, status %s",
		       there(our_job() != NULL), there(s && s->whose == OURS),
		       there(our_uid()[0] && pods_of(our_uid()) > 0),
		       there(self && self->whose == OURS), there(j && j->whose == NEWCOMERS),
		       process.state == PROCESS_RUNS ? "running" : status);
}
