/*
 * What is deleted, and in which order. The Job goes first: its deletion is the guarded decision,
 * and all else follows from the Job being gone. Every step may be repeated; absent is success.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "teardown.h"

#define POLL_FIRST_MS INT64_C(100)
#define POLL_MAX_MS   INT64_C(2000)
#define PODS_GRACE_MS INT64_C(20000) /* then the controllers are down, and we delete the pods */
#define FINALIZER_MS  INT64_C(30000) /* a Job kept by finalizers holds the rest up no longer */
#define SELF_TRIES    3

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

/* Says what failed and waits before the next try, the longer the more tries; false: time is up. */
static bool pause_after(struct app *a, unsigned *attempt, const struct k8s_request *q,
			const struct k8s_result *r)
{
	int64_t wait = backoff_ms((*attempt)++, random_u32());

	if (wait < r->retry_after_ms)
		wait = r->retry_after_ms;
	k8s_trouble_on(&a->api_trouble, q, r, wait);
	return app_sleep(a, now_ms() + wait);
}

/*
 * @lost: what a missing permission means for the teardown. The caller frees @ret.
 * K8S_UNREACHABLE: out of time.
 */
static enum k8s_answer call_until_settled(struct app *a, const struct k8s_request *q,
					  const char *lost, struct k8s_result *ret)
{
	for (unsigned attempt = 0;;) {
		if (app_call(a, q, ret) < 0)
			return K8S_UNREACHABLE;
		if (is_settled(ret->answer)) {
			trouble_off(&a->api_trouble);
			if (ret->answer == K8S_FORBIDDEN)
				log_forbidden(a, q, lost);
			return ret->answer;
		}
		k8s_result_fini(ret);
		if (!pause_after(a, &attempt, q, ret))
			return K8S_UNREACHABLE;
	}
}

enum sight look_at_job(struct app *a, struct k8s_job *ret_job)
{
	struct k8s_request q = { .verb = K8S_GET,
				 .resource = K8S_JOBS,
				 .name = a->cfg->target_job };
	struct k8s_result  r;
	struct k8s_job     job;
	enum sight         sight = SIGHT_OUT_OF_TIME;
	unsigned           attempt = 0;

	for (bool again = true; again;) {
		struct err      err = { 0 };
		enum k8s_answer answer =
			call_until_settled(a, &q, "nobody can tell what became of the Job", &r);

		again = false;
		if (answer == K8S_ABSENT) {
			sight = SIGHT_ABSENT;
		} else if (answer == K8S_FORBIDDEN) {
			sight = SIGHT_FORBIDDEN;
		} else if (answer == K8S_OK &&
			   k8s_job_decode(r.body.data, r.body.len, q.name, &job, &err) == 0) {
			bool ours = strcmp(job.uid, a->target.job.uid) == 0;
			sight = ours ? SIGHT_OURS : SIGHT_NEWCOMER;
			if (ours)
				*ret_job = job;
		} else if (answer != K8S_UNREACHABLE) {
			k8s_result_refuse(&r, &err);
			again = pause_after(a, &attempt, &q, &r);
		}
		k8s_result_fini(&r);
	}
	return sight;
}

/* ---- Step 2: the Job and its pods ---- */

/* A precondition failed, or nobody knows what became of the DELETE: reading tells. */
static void settle_by_reading(struct teardown *t, bool versioned_conflict)
{
	struct k8s_job job;

	switch (look_at_job(t->a, &job)) {
	case SIGHT_ABSENT: t->job = FATE_DELETED; break;
	case SIGHT_NEWCOMER: t->job = FATE_NEWCOMER; break;
	case SIGHT_OURS:
		if (job.deleting)
			t->job = FATE_DELETING;
		else
			t->look_again = versioned_conflict; /* a hold or a finish came between */
		break;
	case SIGHT_FORBIDDEN: t->job = FATE_FORBIDDEN; break;
	case SIGHT_OUT_OF_TIME: t->job = FATE_LEFT; break;
	}
}

/* One answer to the DELETE; FATE_NONE: to be sent again. @attempt: how often it was, so far. */
static void take_delete_answer(struct teardown *t, const struct k8s_request *q,
			       const struct k8s_result *r, bool versioned, unsigned *attempt)
{
	switch (r->answer) {
	case K8S_OK:
		t->job = FATE_DELETING; /* 200 is not "gone" */
		break;
	case K8S_ABSENT: t->job = FATE_ABSENT; break;
	case K8S_FORBIDDEN:
		log_forbidden(t->a, q, "the Job stays");
		t->job = FATE_FORBIDDEN;
		break;
	case K8S_CONFLICT:
		settle_by_reading(t, versioned);
		if (t->job == FATE_NONE && !t->look_again && !pause_after(t->a, attempt, q, r))
			t->job = FATE_LEFT;
		break;
	case K8S_EXPIRED:
	case K8S_UNAUTHORIZED:
	case K8S_UNREACHABLE:
	case K8S_TROUBLE:
		if (pause_after(t->a, attempt, q, r))
			settle_by_reading(t, false);
		else
			t->job = FATE_LEFT;
		break;
	}
}

/* Sends the DELETE until it is accepted, or pointless. */
static void delete_job(struct teardown *t)
{
	struct app     *a = t->a;
	bool            versioned = t->trigger == TRIGGER_IDLE || t->trigger == TRIGGER_PENDING;
	AUTO_FREE char *body = k8s_delete_options_new(
		a->target.job.uid, versioned ? a->idle.look_version : NULL, true);
	struct k8s_request q = {
		.verb = K8S_DELETE, .resource = K8S_JOBS, .name = a->cfg->target_job, .body = body
	};

	unsigned attempt = 0; /* of the DELETE: the reads between its tries may well succeed */

	t->job = body ? FATE_NONE : FATE_LEFT;
	while (t->job == FATE_NONE && !t->look_again) {
		struct k8s_result r;

		if (app_call(a, &q, &r) < 0)
			t->job = FATE_LEFT;
		else
			take_delete_answer(t, &q, &r, versioned, &attempt);
		k8s_result_fini(&r);
	}
}

static int64_t next_poll_ms(int64_t *delay)
{
	int64_t due = now_ms() + *delay;

	*delay = *delay * 2 < POLL_MAX_MS ? *delay * 2 : POLL_MAX_MS;
	return due;
}

/* Polls until the name is absent or another's, or @until_ms. */
static void await_job_gone(struct teardown *t, int64_t until_ms)
{
	struct k8s_job job;
	int64_t        delay = POLL_FIRST_MS;

	while (t->job == FATE_DELETING) {
		switch (look_at_job(t->a, &job)) {
		case SIGHT_ABSENT: t->job = FATE_DELETED; break;
		case SIGHT_NEWCOMER: /* ours is gone; the name is another's by now */
			t->job = FATE_NEWCOMER;
			break;
		case SIGHT_OURS:
			if (!job.deleting)
				delete_job(t); /* it was accepted, and yet did not happen */
			else if (now_ms() >= until_ms)
				return;
			break;
		case SIGHT_FORBIDDEN: /* the DELETE was accepted: more cannot be known */
			t->job = FATE_DELETED;
			break;
		case SIGHT_OUT_OF_TIME: return;
		}
		if (t->job == FATE_DELETING && !app_sleep(t->a, next_poll_ms(&delay)))
			return;
	}
}

static void delete_pod(struct teardown *t, const struct k8s_pod *pod)
{
	AUTO_FREE char    *body = k8s_delete_options_new(pod->uid, NULL, false);
	struct k8s_request q = {
		.verb = K8S_DELETE, .resource = K8S_PODS, .name = pod->name, .body = body
	};
	struct k8s_result r = { 0 };
	enum k8s_answer   answer = K8S_UNREACHABLE;

	if (body)
		answer = call_until_settled(t->a, &q, "a pod outlives its job", &r);

	if (answer == K8S_FORBIDDEN)
		t->pods = FATE_FORBIDDEN;
	else if (answer != K8S_UNREACHABLE)
		log_warn("pod outlived its job, deleted", LS("pod", pod->name));
	k8s_result_fini(&r);
}

/* How many pods are neither gone nor terminating; deletes these if @act. */
static size_t staying_pods(struct teardown *t, const struct k8s_pods *pods, bool act)
{
	size_t staying = 0;

	for (size_t i = 0; i < pods->count; i++) {
		if (pods->items[i].deleting)
			continue;
		staying++;
		if (act && t->pods == FATE_NONE)
			delete_pod(t, &pods->items[i]);
	}
	return staying;
}

static void await_pods_gone(struct teardown *t)
{
	char selector[K8S_UID_SIZE + sizeof("controller-uid=")];
	(void)snprintf(selector, sizeof(selector), "controller-uid=%s", t->a->target.job.uid);

	struct k8s_request q = { .verb = K8S_LIST,
				 .resource = K8S_PODS,
				 .label_selector = selector };
	int64_t            act_ms = now_ms() + PODS_GRACE_MS, delay = POLL_FIRST_MS;

	if (t->a->idle.pods_forbidden)
		t->pods = FATE_DELETED; /* nobody can look; Background takes them along */
	while (t->pods == FATE_NONE) {
		struct k8s_result r;
		struct k8s_pods   pods = { 0 };
		enum k8s_answer   answer =
			call_until_settled(t->a, &q, "no wait for the job's pods", &r);

		if (answer == K8S_UNREACHABLE)
			t->pods = FATE_LEFT;
		else if (answer != K8S_OK)
			t->pods = FATE_DELETED; /* as above */
		else if (k8s_pods_decode(r.body.data, r.body.len, &pods, NULL) == 0 &&
			 staying_pods(t, &pods, now_ms() >= act_ms) == 0)
			t->pods = FATE_DELETED;
		k8s_pods_fini(&pods);
		k8s_result_fini(&r);
		if (t->pods == FATE_NONE && !app_sleep(t->a, next_poll_ms(&delay)))
			t->pods = FATE_LEFT;
	}
}

static void step_job(struct teardown *t)
{
	if (!target_seen(&t->a->target)) {
		t->job = FATE_ABSENT;
		return;
	}
	if (t->trigger == TRIGGER_GONE)
		settle_by_reading(t, false); /* mostly it is: then there is nothing to delete */
	if (t->trigger != TRIGGER_GONE || t->job == FATE_DELETING)
		delete_job(
			t); /* Background, also if somebody else deletes it, but orphans the pods */
	if (t->look_again)
		return;
	await_job_gone(t, now_ms() + FINALIZER_MS);
	if (t->look_again)
		return;
	(void)told("job", t->a->cfg->target_job, t->job);
	if (t->job == FATE_FORBIDDEN || t->job == FATE_LEFT)
		return;
	await_pods_gone(t);
	if (fate_is_left(t->pods))
		(void)told("pods", t->a->cfg->target_job, t->pods);
}

/* ---- Step 3: the Service ---- */

/* The uid was not noted while the Job lived: get it now. False: *@ret_fate says why not. */
static bool find_service(struct teardown *t, enum fate *ret_fate)
{
	struct app        *a = t->a;
	struct k8s_request q = { .verb = K8S_GET,
				 .resource = K8S_SERVICES,
				 .name = a->cfg->target_service };
	struct k8s_result  r;
	struct k8s_service s;
	struct k8s_job     job;
	enum k8s_answer    answer = call_until_settled(a, &q, "the Service stays", &r);
	bool               found = answer == K8S_OK &&
		     k8s_service_decode(r.body.data, r.body.len, q.name, "", &s, NULL) == 0;

	k8s_result_fini(&r);
	*ret_fate = answer == K8S_ABSENT      ? FATE_ABSENT
		    : answer == K8S_FORBIDDEN ? FATE_FORBIDDEN
					      : FATE_LEFT;
	if (!found)
		return false;
	enum sight sight = look_at_job(a, &job); /* is it a newcomer's by now? */
	if (sight == SIGHT_NEWCOMER) {
		t->look_again = t->trigger == TRIGGER_MISSING; /* late, but there after all */
		*ret_fate = FATE_NEWCOMER;
		return false;
	}
	(void)copy_str(a->service.uid, sizeof(a->service.uid), s.uid); /* same size */
	a->service.noted = true;
	return sight != SIGHT_OUT_OF_TIME;
}

static enum fate delete_service(struct teardown *t)
{
	struct app        *a = t->a;
	struct k8s_request q = { .verb = K8S_DELETE,
				 .resource = K8S_SERVICES,
				 .name = a->cfg->target_service };
	struct k8s_result  r = { 0 };
	enum fate          f = FATE_LEFT;

	if (!a->service.noted && !find_service(t, &f))
		return f;
	AUTO_FREE char *body = k8s_delete_options_new(a->service.uid, NULL, false);
	q.body = body;
	enum k8s_answer answer = K8S_UNREACHABLE;
	if (body)
		answer = call_until_settled(a, &q, "the Service stays", &r);
	k8s_result_fini(&r);
	if (answer == K8S_OK)
		return FATE_DELETED;
	if (answer == K8S_ABSENT)
		return FATE_ABSENT;
	if (answer == K8S_CONFLICT)
		return FATE_NEWCOMER; /* re-created meanwhile: not the one that we knew */
	return answer == K8S_FORBIDDEN ? FATE_FORBIDDEN : FATE_LEFT;
}

static void step_service(struct teardown *t)
{
	t->service = delete_service(t);
	if (!t->look_again)
		(void)told("service", t->a->cfg->target_service, t->service);
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

	if (target_seen(&t->a->target))
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
	if (t->service == FATE_NONE || fate_is_left(t->service))
		step_service(t);
	if (!t->look_again && (t->queues == FATE_NONE || fate_is_left(t->queues)))
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
	step_job(t);
	if (t->job == FATE_NEWCOMER)
		return newcomer(t);
	if (!t->look_again)
		step_rest(t);
	if (t->look_again)
		return OUTCOME_LOOK_AGAIN;
	await_job_gone(t, INT64_MAX);
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

enum outcome teardown_run(struct app *a, enum trigger trigger)
{
	struct teardown t = { .a = a, .trigger = trigger, .start_ms = now_ms() };
	char            words[128];

	observe_stop(a);
	report_words(a, trigger, words, sizeof(words));
	log_info("teardown", LS("trigger", trigger_name(trigger)), LS("job", a->cfg->target_job),
		 LS("uid", a->target.job.uid), LS("why", words));
	if (a->cfg->dry_run)
		return dry_run(&t);
	a->give_up_ms = now_ms() + a->cfg->teardown_timeout_ms;
	report_event(a, trigger, words);
	enum outcome o = run_steps(&t);
	a->give_up_ms = INT64_MAX;
	return o;
}
