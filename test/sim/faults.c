/* Adversity: what goes wrong with a request, with the servers, and with the process. */
#include "faults.h"

#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "process.h"
#include "story.h"
#include "watch.h"

#define X(id, name) name,
const char *const fault_names[] = { FAULTS(X) };
#undef X

#define TROUBLES 8

/* Requests of one kind that fail for a while. */
static struct trouble {
	int64_t which, until_ms;
} troubles[TROUBLES];

static int64_t api_down_until_ms, api_starts_until_ms, etcd_hangs_until_ms;
static bool    denied_for_ever;

struct watch_weather watch_weather;

void faults_reset(void)
{
	for (int i = 0; i < TROUBLES; i++)
		troubles[i].until_ms = -1;
	api_down_until_ms = api_starts_until_ms = etcd_hangs_until_ms = -1;
	watch_weather = (struct watch_weather){ 0 };
	denied_for_ever = false;
}

static bool matches(int64_t which, const struct request *q)
{
	int64_t verb = which & 15, resource = which >> 4 & 15;

	return (verb == ANY || verb == (int64_t)q->verb) &&
	       (resource == ANY ? q->resource != RES_QUEUES : resource == (int64_t)q->resource);
}

bool faults_last(enum verb v, enum resource r)
{
	struct request q = { .verb = v, .resource = r };

	for (int i = 0; i < TROUBLES; i++)
		if (troubles[i].until_ms == FOR_EVER && matches(troubles[i].which, &q))
			return true;
	return false;
}

bool faults_deny_for_ever(void)
{
	return denied_for_ever;
}

/* ---- Answers that the fault gives ---- */

static void role_words(const struct request *q, struct answer *a)
{
	answer_forbidden(a, q, SIM_USER);
	a->tale.forbidden = true;
}

static void denied(const struct request *q, struct answer *a, int code)
{
	char message[500];

	if (code == 403) {
		answer_status(a, 403, "Forbidden",
			      "admission webhook \\\"guard.example.com\\\" denied the request: "
			      "ask the owner first",
			      "{}");
		return;
	}
	(void)snprintf(message, sizeof(message),
		       "%s \\\"%s\\\" is forbidden: ValidatingAdmissionPolicy 'guard' with binding "
		       "'guard' denied request: ask the owner first",
		       resource_words[q->resource], q->name);
	answer_status(a, code, "Invalid", message, "{}");
}

static bool other_answer(enum fault f, const struct request *q, struct answer *a)
{
	static const char timeout[] =
		"Timeout: request did not complete within requested timeout - "
		"context deadline exceeded";

	switch ((int)f) {
	case FAULT_S429_HOUR: a->retry_after_s = 3600; /* fall through */
	case FAULT_S429:
		if (!a->retry_after_s)
			a->retry_after_s = 1;
		answer_text(a, 429, "Too many requests, please try again later.\n");
		return true;
	case FAULT_S500:
		answer_status(a, 500, "InternalError", "etcdserver: leader changed", "{}");
		return true;
	case FAULT_S500_WEBHOOK:
		answer_status(a, 500, "InternalError",
			      "Internal error occurred: failed calling webhook \\\"guard."
			      "example.com\\\": connection refused",
			      "{}");
		return true;
	case FAULT_S503_HOUR: a->retry_after_s = 3600; /* fall through */
	case FAULT_S503: answer_text(a, 503, "service unavailable\n"); return true;
	case FAULT_S504: answer_status(a, 504, "Timeout", timeout, "{}"); return true;
	case FAULT_S504_AFTER:
		api_answer(q, a);
		a->tale.told = TOLD_NOTHING; /* it is done, and not told */
		answer_status(a, 504, "Timeout", timeout, "{}");
		return true;
	case FAULT_EMPTY_LIST: /* of an API server that is behind the others */
		if (q->resource != RES_JOBS || q->verb != VERB_LIST)
			return false;
		text_reset(&a->body);
		a->status = 200;
		a->type = "application/json";
		a->tale.told = TOLD_NO_JOB;
		a->tale.at_ms = sim_ms();
		job_list_json(&a->body, NULL);
		return true;
	case FAULT_HTML:
		answer_text(a, 200, "<html><body><h1>Sign in</h1></body></html>");
		return true;
	default: return false;
	}
}

bool fault_answer(enum fault f, const struct request *q, struct answer *a)
{
	a->tale.told = TOLD_NOTHING;
	switch ((int)f) {
	case FAULT_S400:
		answer_status(a, 400, "BadRequest", "the server rejected our request", "{}");
		return true;
	case FAULT_S401: answer_status(a, 401, "Unauthorized", "Unauthorized", ""); return true;
	case FAULT_S403: role_words(q, a); return true;
	case FAULT_S403_ANONYMOUS: answer_forbidden(a, q, "system:anonymous"); return true;
	case FAULT_S403_WEBHOOK: denied(q, a, 403); return true;
	case FAULT_S422_POLICY: denied(q, a, 422); return true;
	case FAULT_S404_TEXT: answer_text(a, 404, "404 page not found\n"); return true;
	case FAULT_S409:
		answer_conflict(a, RES_JOBS, q->name, "the object has been modified");
		return true;
	case FAULT_S410:
		answer_status(a, 410, "Expired", "The resourceVersion is too old", "");
		return true;
	default: return other_answer(f, q, a);
	}
}

/* ---- Drawing ---- */

/* Of faults that one request meets, how often each: what is common is common. */
static const enum fault passing[] = {
	FAULT_REFUSED,      FAULT_LOST_BEFORE, FAULT_LOST_AFTER,    FAULT_LOST_AFTER,
	FAULT_LATE,         FAULT_LATE,        FAULT_LATE_ANSWER,   FAULT_TWICE,
	FAULT_TWICE,        FAULT_CUT,         FAULT_CUT_CLEAN,     FAULT_SLOW,
	FAULT_HUNG,         FAULT_HUNG_AFTER,  FAULT_S400,          FAULT_S401,
	FAULT_S403,         FAULT_S403,        FAULT_S403,          FAULT_S403_ANONYMOUS,
	FAULT_S403_WEBHOOK, FAULT_S404_TEXT,   FAULT_S410,          FAULT_S422_POLICY,
	FAULT_S429,         FAULT_S429_HOUR,   FAULT_S500,          FAULT_S500_WEBHOOK,
	FAULT_S503,         FAULT_S503_HOUR,   FAULT_S504,          FAULT_S504_AFTER,
	FAULT_HTML,         FAULT_EMPTY_LIST,  FAULT_KILLED_BEFORE, FAULT_KILLED_AFTER,
	FAULT_TERMED,       FAULT_FROZEN,
};

static enum fault server_fault(const struct request *q)
{
	if (q->resource == RES_QUEUES)
		return FAULT_NONE;
	if (sim_ms() < api_down_until_ms)
		return FAULT_REFUSED;
	if (sim_ms() < api_starts_until_ms)
		return FAULT_S403;
	if (sim_ms() < etcd_hangs_until_ms)
		return q->verb == VERB_WATCH ? FAULT_NONE : FAULT_HUNG;
	return FAULT_NONE;
}

static void happens_now(int what)
{
	story_happens(&(struct happening){ .what = (enum happen)what,
					   .arg = what == HAPPEN_CPU ? 900000000 : 0 });
}

/* What happens while a request is on its way happens before it arrives. */
static enum fault placed(int fault)
{
	if (fault < 1000)
		return (enum fault)fault;
	sim_after(0, happens_now, fault - 1000);
	return FAULT_NONE;
}

static enum fault draw(const struct request *q, int nth)
{
	for (size_t i = 0; i < sizeof(story.placed) / sizeof(story.placed[0]); i++)
		if (story.placed[i].nth == nth)
			return placed(story.placed[i].fault);
	for (int i = 0; i < TROUBLES; i++)
		if (sim_ms() < troubles[i].until_ms && matches(troubles[i].which, q))
			return (enum fault)(troubles[i].which >> 8);
	if (story_is_calm())
		return FAULT_NONE;
	enum fault f = server_fault(q);
	if (f != FAULT_NONE)
		return f;
	if ((int)(mix(mix(story.seed, 31), (uint64_t)nth) % 10000) >= story.fault_odds)
		return FAULT_NONE;
	return passing[mix(mix(story.seed, 32), (uint64_t)nth) %
		       (sizeof(passing) / sizeof(passing[0]))];
}

struct fate fate_draw(const struct request *q, int nth)
{
	struct rng  r = rng_of(mix(story.seed, 33), (uint64_t)nth);
	struct fate f = { .fault = draw(q, nth) };
	int64_t     most = story_is_calm() ? 20 : story.latency_ms;

	f.arrives_ms = rng_in(&r, 1, most / 2 + 1);
	f.answer_ms = rng_in(&r, 1, most / 2 + 1);
	if (f.fault == FAULT_LATE)
		f.arrives_ms = rng_in(&r, 1000, 25000);
	else if (f.fault == FAULT_LATE_ANSWER || f.fault == FAULT_SLOW)
		f.answer_ms = rng_in(&r, 1000, 15000);
	if (f.fault != FAULT_NONE)
		trace("fault", "%d: %s", nth, fault_names[f.fault]);
	return f;
}

/* ---- What happens to the servers and to the process ---- */

static void add_trouble(int64_t which, int64_t for_ms)
{
	static int next; /* a ring */

	troubles[next++ % TROUBLES] =
		(struct trouble){ which, for_ms == FOR_EVER ? FOR_EVER : sim_ms() + for_ms };
}

static void set_false(int arg)
{
	switch ((enum happen)arg) {
	case HAPPEN_CONTROLLERS_DOWN:
		cluster.controllers_down = false;
		controllers_wake();
		break;
	case HAPPEN_METRICS_DOWN: cluster.metrics_down = false; break;
	case HAPPEN_METRICS_ABSENT: cluster.metrics_absent = false; break;
	case HAPPEN_BROKER_DOWN: broker.down = 0; break;
	case HAPPEN_WATCH_SILENT:
		watch_weather.silent = false;
		watch_tell();
		break;
	case HAPPEN_WATCH_LATE:
		watch_weather.late_ms = 0;
		watch_tell();
		break;
	case HAPPEN_QUIRK: quirks = (struct metrics_quirks){ 0 }; break;
	case HAPPEN_TOKEN_GONE:
	case HAPPEN_TOKEN_EMPTY: process_token(SIM_TOKEN); break;
	default: break;
	}
	trace("cluster", "over: %s", happen_names[arg]);
}

static void set_quirk(int64_t which)
{
	bool *const all[] = { &quirks.twice,       &quirks.no_pod,   &quirks.no_container,
			      &quirks.extra_entry, &quirks.negative, &quirks.no_time,
			      &quirks.empty,       &quirks.frozen };

	if (which == 8) /* the one that is busy is missing, and another one there twice */
		quirks.twice = quirks.no_pod = true;
	else
		*all[which % 8] = true;
}

static void right_back(int arg)
{
	rights[arg >> 4 & 15] |= RIGHT(arg & 15);
	trace("cluster", "the right to %s %s is back", verb_words[arg & 15],
	      resource_words[arg >> 4 & 15]);
}

static void stop_servers(const struct happening *h)
{
	int64_t until = sim_ms() + h->for_ms;

	if (h->what == HAPPEN_ETCD_HANGS) {
		etcd_hangs_until_ms = until;
		watch_weather.silent = true;
		sim_after(h->for_ms, set_false, HAPPEN_WATCH_SILENT);
		return;
	}
	api_down_until_ms = until;
	watch_end();
	if (h->what == HAPPEN_API_STARTS) /* up, and for a moment it knows no roles */
		api_starts_until_ms = until + 1000;
}

static bool server_does(const struct happening *h)
{
	switch (h->what) {
	case HAPPEN_API_DOWN:
	case HAPPEN_API_STARTS:
	case HAPPEN_ETCD_HANGS: stop_servers(h); return true;
	case HAPPEN_CONTROLLERS_DOWN: cluster.controllers_down = true; break;
	case HAPPEN_METRICS_DOWN: cluster.metrics_down = true; break;
	case HAPPEN_METRICS_ABSENT: cluster.metrics_absent = true; break;
	case HAPPEN_BROKER_DOWN: broker.down = h->arg ? (int)h->arg : 500; break;
	case HAPPEN_WATCH_SILENT: watch_weather.silent = true; break;
	case HAPPEN_WATCH_LATE: watch_weather.late_ms = h->arg; break;
	case HAPPEN_QUIRK: set_quirk(h->arg); break;
	default: return false;
	}
	sim_after(h->for_ms, set_false, (int)h->what);
	return true;
}

static bool process_does(const struct happening *h)
{
	switch (h->what) {
	case HAPPEN_KILL:
		if (process.state == PROCESS_RUNS)
			process.doomed = true;
		return true;
	case HAPPEN_TERM: process_signal((int)h->arg ? (int)h->arg : 15); return true;
	case HAPPEN_SLEEP:
		if (process.frozen_until_ms > sim_ms())
			return true; /* it does already: two sleeps do not add up */
		clocks.asleep_ms += h->for_ms;
		/* fall through */
	case HAPPEN_FREEZE: process_freeze(h->for_ms); return true;
	case HAPPEN_WALL_JUMP: clocks.wall_off_ms += h->arg; return true;
	case HAPPEN_TOKEN_NEW: process_token(SIM_TOKEN "2"); return true;
	case HAPPEN_TOKEN_GONE: process_token(NULL); break;
	case HAPPEN_TOKEN_EMPTY: process_token(""); break;
	default: return false;
	}
	sim_after(h->for_ms, set_false, (int)h->what);
	return true;
}

bool fault_does(const struct happening *h)
{
	switch (h->what) {
	case HAPPEN_FAULTY: add_trouble(h->arg, h->for_ms); return true;
	case HAPPEN_RIGHT_LOST:
		rights[h->arg >> 4 & 15] &= ~RIGHT(h->arg & 15);
		sim_after(h->for_ms, right_back, (int)(h->arg & 255));
		return true;
	case HAPPEN_DENIED:
		add_trouble(WHICH(VERB_DELETE, RES_JOBS,
				  h->arg == 0   ? FAULT_S403_WEBHOOK
				  : h->arg == 1 ? FAULT_S422_POLICY
						: FAULT_S500_WEBHOOK),
			    h->for_ms);
		denied_for_ever |= h->for_ms == FOR_EVER;
		return true;
	case HAPPEN_WATCH_CUT: watch_cut(); return true;
	case HAPPEN_WATCH_END: watch_end(); return true;
	case HAPPEN_COMPACT: cluster.compacted_rv = cluster.rv; return true;
	default: return server_does(h) || process_does(h);
	}
}
