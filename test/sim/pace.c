/* The form of requests and the pace at which they and the log's lines come; secrets in either. */
#include <stdio.h>
#include <string.h>

#include "evidence.h"
#include "process.h"
#include "settings.h"
#include "story.h"
#include "sweeper.h"

#define SECONDS        60
#define REQUESTS_MAX   250 /* in a minute; DELETEs of queues, of which there may be many, aside */
#define LINES_MAX      400
#define REFUSALS_MAX   10      /* of one kind in two minutes */
#define RETRY_AFTER_MS SEC(60) /* of it, this much is believed */

/* How many of something in the last minute, by the second. */
struct rate {
	int     per_second[SECONDS];
	int64_t at_s;
};

static struct rate request_rate, line_rate;

/* What one kind of request was answered lately. */
static struct kind_of_request {
	int64_t not_before_ms;            /* Retry-After */
	int64_t refused_ms[REFUSALS_MAX]; /* a ring */
	int     refusals;
} kinds[RESOURCES][VERB_DELETE + 1][3]; /* of our own Job, of another one, of anything else */

void pace_reset(void)
{
	memset(&request_rate, 0, sizeof(request_rate));
	memset(&line_rate, 0, sizeof(line_rate));
	pace_start();
}

void pace_start(void)
{
	memset(kinds, 0, sizeof(kinds));
}

static int count(struct rate *r)
{
	int64_t now_s = sim_ms() / 1000;
	int     sum = 0;

	if (now_s - r->at_s >= SECONDS)
		memset(r->per_second, 0, sizeof(r->per_second));
	else
		for (int64_t s = r->at_s + 1; s <= now_s; s++)
			r->per_second[s % SECONDS] = 0;
	r->at_s = now_s;
	r->per_second[now_s % SECONDS]++;
	for (int i = 0; i < SECONDS; i++)
		sum += r->per_second[i];
	return sum;
}

static struct kind_of_request *kind_of(const struct request *q)
{
	int whose = strcmp(q->name, cluster.self_name) == 0                             ? 0
		    : q->resource == RES_JOBS && strcmp(q->name, cluster.job_name) != 0 ? 1
											: 2;

	return &kinds[q->resource][q->verb][whose];
}

/* ---- Requests ---- */

static void check_form(const struct request *q, const char *bearer, const char *content_type)
{
	if (q->resource != RES_QUEUES && (!bearer || !bearer[0]))
		broken("request", "it is sent without a token");
	if (q->resource == RES_QUEUES && bearer)
		broken("secret", "the broker is sent the token");
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
	if (settings.dry_run && (q->verb >= VERB_PATCH || q->resource == RES_EVENTS))
		broken("dry-run", "a dry run sends %s %s", verb_words[q->verb],
		       resource_words[q->resource]);
}

static void check_pace(const struct request *q)
{
	const struct kind_of_request *k = kind_of(q);

	if (sim_ms() < k->not_before_ms && !process.signals) /* then it has no time to wait */
		broken("retry-after", "%s %s %lld ms before the server asked for it",
		       verb_words[q->verb], resource_words[q->resource],
		       (long long)(k->not_before_ms - sim_ms()));
	if (q->resource == RES_QUEUES && q->verb == VERB_DELETE)
		return;
	if (q->resource == RES_JOBS && q->verb == VERB_GET &&
	    strcmp(q->name, cluster.job_name) != 0 && strcmp(q->name, cluster.self_name) != 0)
		return; /* whose a queue is: so many as there are queues */
	int checks = (int)(SEC(60) / settings.interval_ms); /* of up to four requests each */
	if (count(&request_rate) <= REQUESTS_MAX + 2 * checks)
		return;
	broken("hot-loop", "more than %d requests in a minute, the last one %s %s", REQUESTS_MAX,
	       verb_words[q->verb], resource_words[q->resource]);
	process.over = true; /* nothing else is to be learnt of this life */
}

void promise_on_request(struct request *q, const char *bearer, const char *url, const char *body,
			const char *content_type)
{
	if (strstr(url, SIM_PASSWORD) || (body && strstr(body, SIM_TOKEN)) ||
	    (body && strstr(body, SIM_PASSWORD)))
		broken("secret", "a secret is in a request");
	if (q->sweeps) {
		sweeper_on_request(q);
		return;
	}
	check_form(q, bearer, content_type);
	check_pace(q);
	evidence_on_request(q);
}

static bool is_refusal(int status)
{
	return status == 400 || status == 403 || status == 422;
}

void pace_on_answer(const struct request *q, const struct answer *a)
{
	struct kind_of_request *k = kind_of(q);
	int64_t                 wait = SEC(a->retry_after_s);

	k->not_before_ms = 0;
	if (wait && q->resource != RES_QUEUES)
		k->not_before_ms = sim_ms() + (wait < RETRY_AFTER_MS ? wait : RETRY_AFTER_MS);
	bool refused = is_refusal(a->status) && !strstr(a->body.p, "system:anonymous");
	if (!refused || q->resource == RES_QUEUES) {
		k->refusals = 0;
		return;
	}
	int64_t *oldest = &k->refused_ms[k->refusals++ % REFUSALS_MAX];
	if (k->refusals > REFUSALS_MAX && sim_ms() - *oldest < SEC(120))
		broken("refusal-hammered", "%s %s is refused more than %d times in two minutes",
		       verb_words[q->verb], resource_words[q->resource], REFUSALS_MAX);
	*oldest = sim_ms();
}

void promise_on_malformed(const char *method, const char *url, const char *why)
{
	broken("request", "%s %s: %s", method, url, why);
}

/* ---- The log ---- */

void promise_on_log(const char *line, size_t n)
{
	if (memmem(line, n, SIM_TOKEN, strlen(SIM_TOKEN)) ||
	    memmem(line, n, SIM_PASSWORD, strlen(SIM_PASSWORD)))
		broken("secret", "a secret is in the log");
	if (memmem(line, n, "msg=waiting ", 12))
		ends_on_waiting();
	bool debug = memmem(line, n, "level=debug", 11) != NULL;
	bool queue = memmem(line, n, "msg=queue ", 10) != NULL; /* one for each */
	if (!debug && !queue && !process.sweeps && count(&line_rate) > LINES_MAX)
		broken("log-flood", "more than %d lines in a minute", LINES_MAX);
}
