/*
 * What is deleted, and in which order. The Job goes first: its deletion is the guarded decision,
 * and all else follows from the Job being gone. Every step may be repeated; absent is success.
 */
#include <string.h>

#include "teardown.h"

#define SELF_TRIES 3

enum fate told(const char *what, const char *name, enum fate f)
{
	if (fate_is_left(f))
		log_warn(what, LS("name", name), LS("outcome", fate_name(f)));
	else
		log_info(what, LS("name", name), LS("outcome", fate_name(f)));
	return f;
}

/* ---- Requests that are repeated until their answer settles something ---- */

static bool is_settled(enum k8s_answer answer)
{
	return answer == K8S_OK || answer == K8S_ABSENT || answer == K8S_CONFLICT ||
	       answer == K8S_FORBIDDEN;
}

bool pause_after(struct app *a, unsigned *attempt, const struct k8s_request *q,
		 const struct k8s_result *r)
{
	int64_t wait = backoff_ms((*attempt)++, random_u32());

	if (wait < r->retry_after_ms)
		wait = r->retry_after_ms;
	k8s_trouble_on(&a->api_trouble, q, r, wait);
	return app_sleep(a, now_ms() + wait);
}

enum k8s_answer call_until_settled(struct app *a, const struct k8s_request *q, const char *lost,
				   decode_fn *decode, void *ret)
{
	for (unsigned attempt = 0;;) {
		struct k8s_result r;
		struct err        err = { 0 };

		if (app_call(a, q, &r) < 0)
			return K8S_UNREACHABLE;
		if (r.answer == K8S_OK && decode && decode(q, &r.body, ret, &err) < 0)
			k8s_result_refuse(&r, &err);
		k8s_result_fini(&r);
		if (is_settled(r.answer)) {
			trouble_off(&a->api_trouble);
			if (r.answer == K8S_FORBIDDEN)
				log_forbidden(a, q, lost);
			return r.answer;
		}
		if (!pause_after(a, &attempt, q, &r))
			return K8S_UNREACHABLE;
	}
}

static int decode_job(const struct k8s_request *q, const struct buf *b, void *ret, struct err *err)
{
	return k8s_job_decode(b->data, b->len, q->name, ret, err);
}

enum sight look_at_job(struct app *a, struct k8s_job *ret_job)
{
	struct k8s_request q = { .verb = K8S_GET,
				 .resource = K8S_JOBS,
				 .name = a->cfg->target_job };
	struct k8s_job     job;

	switch (call_until_settled(a, &q, "nobody can tell what became of the Job", decode_job,
				   &job)) {
	case K8S_OK: break;
	case K8S_ABSENT: return SIGHT_ABSENT;
	case K8S_FORBIDDEN: return SIGHT_FORBIDDEN;
	case K8S_CONFLICT:
	case K8S_EXPIRED:
	case K8S_UNAUTHORIZED:
	case K8S_UNREACHABLE:
	case K8S_TROUBLE: return SIGHT_OUT_OF_TIME;
	}
	if (strcmp(job.uid, a->target.job.uid) != 0)
		return SIGHT_NEWCOMER;
	*ret_job = job;
	return SIGHT_OURS;
}

/* ---- Step 5: our own Job ---- */

/* Best effort; ttlSecondsAfterFinished is the backstop. */
static enum fate delete_self(struct app *a)
{
	struct k8s_request q = { .verb = K8S_GET, .resource = K8S_JOBS, .name = a->cfg->self_job };
	enum fate          f = FATE_LEFT;
	unsigned           attempt = 0;

	for (int tries = 0; f == FATE_LEFT && tries < SELF_TRIES; tries++) {
		struct k8s_result r;
		struct k8s_job    self;
		bool              ask = !a->self_uid[0];
		AUTO_FREE char *body = ask ? NULL : k8s_delete_options_new(a->self_uid, NULL, true);

		q.verb = ask ? K8S_GET : K8S_DELETE;
		q.body = body;
		if ((!ask && !body) || app_call(a, &q, &r) < 0)
			return FATE_LEFT;
		if (r.answer == K8S_ABSENT)
			f = FATE_ABSENT;
		else if (r.answer == K8S_CONFLICT)
			f = FATE_NEWCOMER;
		else if (r.answer == K8S_FORBIDDEN)
			f = FATE_FORBIDDEN;
		else if (r.answer == K8S_OK && !ask)
			f = FATE_DELETED;
		else if (r.answer == K8S_OK &&
			 k8s_job_decode(r.body.data, r.body.len, q.name, &self, NULL) == 0)
			(void)copy_str(a->self_uid, sizeof(a->self_uid), self.uid);
		else if (!pause_after(a, &attempt, &q, &r))
			tries = SELF_TRIES;
		k8s_result_fini(&r);
	}
	return f;
}

/* ---- All of it ---- */

static enum outcome dry_run(const struct teardown *t)
{
	const struct config *cfg = t->a->cfg;

	if (target_seen(&t->a->target) && t->trigger != TRIGGER_GONE)
		log_info("dry run: would delete", LS("job", cfg->target_job),
			 LS("uid", t->a->target.job.uid));
	log_info("dry run: would delete", LS("service", cfg->target_service));
	dry_run_queues(t->a);
	if (cfg->delete_self)
		log_info("dry run: would delete", LS("self", cfg->self_job));
	return OUTCOME_DONE;
}

/* How much longer a finished Job is kept. */
static int64_t grace_left_ms(const struct teardown *t)
{
	const struct config  *cfg = t->a->cfg;
	const struct k8s_job *j = &t->a->target.job;
	int64_t               grace = t->trigger == TRIGGER_COMPLETED ? cfg->completed_grace_ms
				      : t->trigger == TRIGGER_FAILED  ? cfg->failed_grace_ms
								      : 0;

	int64_t age = app_api_ms(t->a) - j->finished_ms;
	if (j->finished_ms >= 0 && age > 0)
		grace -= age; /* a restarted cleaner does not start over */
	return grace > 0 ? grace : 0;
}

/* Keeps the finished Job for its logs; its Service is gone by then. False: a signal came. */
static bool keep_job(struct teardown *t, int64_t until_ms)
{
	struct app *a = t->a;

	log_info("finished job is kept", LS("job", a->cfg->target_job),
		 LI("seconds", (until_ms - now_ms()) / 1000));
	a->give_up_ms = INT64_MAX;
	while (!a->signals && !a->broken && now_ms() < until_ms)
		app_wait(a, until_ms);
	a->give_up_ms = now_ms() + a->cfg->teardown_timeout_ms;
	return !a->signals && !a->broken;
}

static void step_queues(struct teardown *t)
{
	t->queues = delete_queues(t->a);
	if (t->queues == FATE_NEWCOMER && t->trigger == TRIGGER_MISSING)
		t->look_again = true; /* our Job is late, but there after all */
}

/* Steps 3 and 4, as far as they are not done yet. */
static void step_rest(struct teardown *t)
{
	if (t->service == FATE_NONE || t->service == FATE_LEFT)
		delete_service(t);
	if (!t->look_again && (t->queues == FATE_NONE || t->queues == FATE_LEFT))
		step_queues(t);
}

static enum outcome newcomer(const struct teardown *t)
{
	log_warn("another job has our job's name, it and what belongs to it are left alone",
		 LS("job", t->a->cfg->target_job), LS("our_uid", t->a->target.job.uid));
	report_summary(t);
	return OUTCOME_DONE;
}

static enum outcome run_steps(struct teardown *t)
{
	struct app *a = t->a;
	int64_t     until_ms = now_ms() + grace_left_ms(t);

	if (until_ms > now_ms()) {
		step_rest(t);
		if (!keep_job(t, until_ms)) {
			log_info("stopped by a signal, the finished job is left as it is",
				 LS("job", a->cfg->target_job));
			return OUTCOME_SIGNALLED;
		}
	}
	if (t->trigger != TRIGGER_GONE && target_seen(&a->target))
		look_at_service(t);
	delete_job(t);
	if (t->job == FATE_NEWCOMER)
		return newcomer(t);
	if (!t->look_again)
		step_rest(t);
	if (t->look_again)
		return OUTCOME_LOOK_AGAIN;
	await_job(t);
	if (!t->look_again && t->service == FATE_LEFT && !app_interrupted(a))
		delete_service(t); /* once more, with the time that is left */
	if (t->look_again)
		return OUTCOME_LOOK_AGAIN;
	if (teardown_is_complete(t) && a->cfg->delete_self)
		t->self = told("self", a->cfg->self_job, delete_self(a));
	if (!teardown_is_complete(t))
		report_incomplete(t);
	report_summary(t);
	return teardown_is_complete(t) ? OUTCOME_DONE : OUTCOME_LEFT;
}

enum outcome teardown_none(struct app *a)
{
	return newcomer(&(struct teardown){
		.a = a, .trigger = TRIGGER_NONE, .start_ms = now_ms(), .job = FATE_NEWCOMER });
}

/* Since when it is torn down: an idle Job is looked at anew for each DELETE, which does not count.
 */
static int64_t since_ms(struct app *a, enum trigger trigger)
{
	if (trigger != TRIGGER_IDLE && trigger != TRIGGER_PENDING)
		return now_ms();
	if (!a->idle.acting_ms)
		a->idle.acting_ms = now_ms();
	return a->idle.acting_ms;
}

enum outcome teardown_run(struct app *a, enum trigger trigger)
{
	struct teardown t = { .a = a, .trigger = trigger, .start_ms = now_ms() };
	char            words[128];

	observe_stop(a);
	report_words(a, trigger, words, sizeof(words));
	log_info("teardown", LS("trigger", trigger_name(trigger)), LS("job", a->cfg->target_job),
		 LS("uid", a->target.job.uid), LS("why", words));
	a->give_up_ms = since_ms(a, trigger) + a->cfg->teardown_timeout_ms;
	if (a->cfg->dry_run)
		return dry_run(&t);
	report_event(a, trigger, words);
	enum outcome o = run_steps(&t);
	a->give_up_ms = INT64_MAX;
	return o;
}
