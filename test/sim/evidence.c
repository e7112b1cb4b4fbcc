/* The evidence for a DELETE, kept as the contract has it, from the answers that arrived. */
#include "evidence.h"

#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "process.h"
#include "settings.h"
#include "story.h"

/* Of one start of the program. */
static struct {
	int      count, distinct;
	int64_t  last_at_ms;  /* when the last idle answer was made; -1 = the last was not idle */
	int64_t  gap_ms;      /* longer than this without one, and the count is over */
	int64_t  newest_ms;   /* sample */
	uint64_t pods;        /* the set of pods that it is about */
	int64_t  job_read_ms; /* when the last read of the Job was made */
	bool     name_taken;  /* what that read said: by a newcomer */
	bool     absent;
	int      queues_since_read;
	/* at the time when the last DELETE of the Job was sent */
	int     sent_count, sent_distinct;
	int64_t sent_age_ms; /* of the last idle reading */
} e;

void evidence_reset(void)
{
	memset(&e, 0, sizeof(e));
	e.last_at_ms = e.job_read_ms = -1;
}

void promise_on_start(void)
{
	evidence_reset();
}

static void start_anew(void)
{
	e.count = e.distinct = 0;
	e.newest_ms = -1;
}

static int64_t gap_of(const struct tale *t)
{
	int64_t longest = t->window_ms > settings.interval_ms ? t->window_ms : settings.interval_ms;

	return 3 * longest + SEC(12); /* what an answer may take is not its fault */
}

static void take_reading(const struct tale *t)
{
	if (t->reading == READ_UNKNOWN) {
		e.last_at_ms = -1;
		return;
	}
	if (t->reading == READ_ACTIVE || t->pods != e.pods ||
	    (e.count && t->at_ms - e.newest_ms > e.gap_ms + t->window_ms))
		start_anew();
	e.pods = t->pods;
	if (t->reading != READ_IDLE) {
		e.last_at_ms = -1;
		return;
	}
	e.count++;
	if (!e.distinct || t->oldest_ms > e.newest_ms) {
		e.distinct++;
		e.newest_ms = t->oldest_ms;
	}
	e.last_at_ms = t->at_ms;
	e.gap_ms = gap_of(t);
}

static void told_of_job(const struct job *j)
{
	if (strcmp(j->name, cluster.job_name) != 0)
		return;
	if (j->hold[0] || j->suspend) {
		start_anew();
		e.last_at_ms = -1;
	}
}

void promise_on_told_job(const struct job *j)
{
	told_of_job(j);
}

void promise_on_answer(const struct request *q, const struct answer *a, int64_t sent_ms)
{
	const struct tale *t = &a->tale;

	(void)sent_ms;
	if (q->resource == RES_METRICS)
		take_reading(t->told == TOLD_METRICS ? t
						     : &(struct tale){ .reading = READ_UNKNOWN });
	if (q->resource == RES_JOBS && strcmp(q->name, cluster.job_name) == 0 &&
	    (t->told == TOLD_JOB || t->told == TOLD_NO_JOB)) {
		e.job_read_ms = t->at_ms;
		e.queues_since_read = 0;
		e.absent = t->told == TOLD_NO_JOB;
		e.name_taken = t->told == TOLD_JOB && t->job.whose == NEWCOMERS;
		if (t->told == TOLD_JOB)
			told_of_job(&t->job);
	}
}

/* ---- Requests: their form, and what they rest on ---- */

static void check_form(const struct request *q, const char *bearer, const char *content_type)
{
	if (q->resource != RES_QUEUES && (!bearer || !bearer[0]))
		broken("request", "it is sent without a token");
	if (q->verb == VERB_DELETE && q->resource != RES_QUEUES && !q->uid[0])
		broken("request", "a DELETE of %s %s without a uid", resource_words[q->resource],
		       q->name);
	if (q->verb == VERB_DELETE && q->resource == RES_JOBS &&
	    strcmp(q->policy, "Background") != 0)
		broken("request", "a DELETE of a Job with the policy '%s'", q->policy);
	if (q->verb == VERB_PATCH &&
	    (!q->uid[0] || !content_type ||
	     strcmp(content_type, "application/strategic-merge-patch+json") != 0))
		broken("request", "a PATCH that is not guarded, or not strategic");
}

static void note_delete(const struct request *q)
{
	if (q->verb != VERB_DELETE || strcmp(q->name, cluster.job_name) != 0)
		return;
	e.sent_count = e.count;
	e.sent_distinct = e.distinct;
	e.sent_age_ms = e.last_at_ms < 0 ? NEVER : sim_ms() - e.last_at_ms;
}

#define MINUTE 60
static int     per_second[MINUTE];
static int64_t minute_at_s;

static void count_request(const struct request *q)
{
	int64_t now_s = sim_ms() / 1000;
	int     sum = 0;

	if (now_s < minute_at_s || now_s - minute_at_s >= MINUTE)
		memset(per_second, 0, sizeof(per_second));
	else
		for (int64_t s = minute_at_s + 1; s <= now_s; s++)
			per_second[s % MINUTE] = 0;
	minute_at_s = now_s;
	if (q->resource == RES_QUEUES && q->verb == VERB_DELETE)
		return; /* there may be many */
	per_second[now_s % MINUTE]++;
	for (int i = 0; i < MINUTE; i++)
		sum += per_second[i];
	if (sum > 250)
		broken("hot-loop", "more than 250 requests in a minute, the last one %s %s",
		       verb_words[q->verb], resource_words[q->resource]);
}

void promise_on_request(const struct request *q, const char *bearer, const char *url,
			const char *body, const char *content_type)
{
	if (strstr(url, SIM_PASSWORD) || (body && strstr(body, SIM_TOKEN)) ||
	    (body && strstr(body, SIM_PASSWORD)))
		broken("secret", "a secret is in a request");
	check_form(q, bearer, content_type);
	count_request(q);
	note_delete(q);
	if (q->resource == RES_QUEUES && q->verb == VERB_DELETE)
		e.queues_since_read++;
}

void promise_on_malformed(const char *method, const char *url, const char *why)
{
	broken("request", "%s %s: %s", method, url, why);
}

void promise_on_log(const char *line, size_t n)
{
	if (memmem(line, n, SIM_TOKEN, strlen(SIM_TOKEN)) ||
	    memmem(line, n, SIM_PASSWORD, strlen(SIM_PASSWORD)))
		broken("secret", "a secret is in the log");
}

void promise_on_wait(void)
{
}

void promise_on_event(const struct request *q)
{
	(void)q;
}

/* ---- May this living Job go? ---- */

static bool may_be_pending(const struct job *j)
{
	return settings.pending_ms && !j->ran && !j->suspend &&
	       sim_ms() - j->created_ms >= settings.pending_ms;
}

static bool container_has_ended(const struct job *j)
{
	const struct pod *only = NULL;
	int               n = 0;

	for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
		if (p->there && strcmp(p->job_uid, j->uid) == 0) {
			only = p;
			n++;
		}
	return settings.target_container && n == 1 && only->c[0].state == CONTAINER_ENDED;
}

void evidence_on_idle_delete(const struct job *j)
{
	if (j->hold[0] && strcmp(j->hold, "true") == 0)
		broken("held", "a held Job is deleted");
	if (container_has_ended(j) || may_be_pending(j))
		return;
	if (j->ran && !settings.check_cpu)
		broken("pending-of-one-that-ran", "a Job that has run is deleted as pending");
	else if (e.sent_count < settings.max_count)
		broken("idle-count", "a living Job is deleted on %d idle readings of %d",
		       e.sent_count, settings.max_count);
	else if (e.sent_distinct < settings.min_distinct)
		broken("idle-samples", "a living Job is deleted on %d samples of %d",
		       e.sent_distinct, settings.min_distinct);
	else if (e.sent_age_ms == NEVER)
		broken("idle-last", "a living Job is deleted, and the last reading is not idle");
	else if (e.sent_age_ms > 2 * settings.interval_ms)
		broken("idle-fresh", "a living Job is deleted on a reading of %lld ms ago",
		       (long long)e.sent_age_ms);
}

void evidence_on_self_delete(const struct job *self)
{
	const struct service *s = service_of(cluster.service_name);

	if (self->whose != OURS) {
		broken("newcomer", "the newer cleaner's Job is deleted");
		return;
	}
	if (job_lives(our_job()))
		broken("self-too-soon", "our own Job goes before the Job");
	if (s && s->whose == OURS && !s->inherited)
		broken("self-before-service", "our own Job goes before the Service");
	if (our_uid()[0] && pods_of(our_uid()))
		broken("self-before-pods", "our own Job goes before the job's pods");
}

/* A newcomer that makes its Service before its Job; nobody can tell whose it is. */
bool evidence_service_first(const struct service *s)
{
	const struct job *j = job_of(cluster.job_name);

	return !j || j->created_ms > s->created_ms;
}

/* It came between our look at the Job's name and the DELETE of the queue. */
bool evidence_queue_window(const struct queue *q)
{
	return q->declared_ms >= e.job_read_ms && e.queues_since_read <= 101;
}

/* ---- The end of a life ---- */

static bool ours_is_left(char *what, size_t size)
{
	const struct service *s = service_of(cluster.service_name);
	const struct job     *self = job_of(cluster.self_name);

	what[0] = '\0';
	if (our_job())
		(void)snprintf(what, size, "the Job");
	else if (our_uid()[0] && pods_of(our_uid()))
		(void)snprintf(what, size, "pods");
	else if (s && s->whose == OURS && !s->inherited)
		(void)snprintf(what, size, "the Service");
	else if (self && self->whose == OURS)
		(void)snprintf(what, size, "our own Job");
	for (int i = 0; !what[0] && i < broker.count; i++)
		if (broker.queues[i].whose == OURS && !broker.queues[i].stubborn)
			(void)snprintf(what, size, "queue %s", broker.queues[i].name);
	return what[0] != '\0';
}

bool promises_settled(void)
{
	char what[80];

	return process.state == PROCESS_NONE && !ours_is_left(what, sizeof(what));
}

void promises_at_end(void)
{
	char what[330];

	if (ours_is_left(what, sizeof(what)))
		broken("left", "%s is left%s", what,
		       process.state == PROCESS_NONE ? ", and no cleaner" : "");
}

void promises_reset(void)
{
	verdict.count = verdict.window_count = 0;
	evidence_reset();
	memset(per_second, 0, sizeof(per_second));
	minute_at_s = 0;
}
