/*
 * Step 2 of a teardown: the Job, by uid, and its pods. A DELETE that was accepted is not "gone",
 * and without the cluster's controllers the pods of a Job that is gone run on: both are looked at.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "teardown.h"

#define POLL_FIRST_MS INT64_C(100)
#define POLL_MAX_MS   INT64_C(2000)
#define PODS_GRACE_MS INT64_C(20000) /* then the controllers are down, and we delete the pods */
#define FINALIZER_MS  INT64_C(30000) /* a Job kept by finalizers holds the rest up no longer */

/* ---- The DELETE ---- */

/*
 * A precondition failed (a hold or a finish came between), or nobody knows what became of the
 * DELETE, or of the Job: reading tells. @decide_anew: if it lives on, look at it again.
 */
static void settle_by_reading(struct teardown *t, bool decide_anew)
{
	struct k8s_job job;

	switch (look_at_job(t->a, &job)) {
	case SIGHT_ABSENT: t->job = FATE_DELETED; break;
	case SIGHT_NEWCOMER: t->job = FATE_NEWCOMER; break;
	case SIGHT_OURS:
		if (job.deleting)
			t->job = FATE_DELETING;
		else
			t->look_again = decide_anew || t->trigger == TRIGGER_GONE;
		if (t->trigger == TRIGGER_GONE && t->look_again)
			target_returned(&t->a->target, &job); /* the event was wrong */
		break;
	case SIGHT_FORBIDDEN: /* gone: then the event that said so must do */
		t->job = t->trigger == TRIGGER_GONE ? FATE_ABSENT : FATE_FORBIDDEN;
		break;
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
		confirm_service(t);
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
			settle_by_reading(t, versioned); /* idle a while ago is not idle now */
		else
			t->job = FATE_LEFT;
		break;
	}
}

/* Sends the DELETE until it is accepted, or pointless. */
static void send_delete(struct teardown *t)
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
				send_delete(t); /* it was accepted, and yet did not happen */
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

/* ---- The pods ---- */

static void delete_pod(struct teardown *t, const struct k8s_pod *pod)
{
	AUTO_FREE char    *body = k8s_delete_options_new(pod->uid, NULL, false);
	struct k8s_request q = {
		.verb = K8S_DELETE, .resource = K8S_PODS, .name = pod->name, .body = body
	};
	enum k8s_answer answer = K8S_UNREACHABLE;

	if (body)
		answer = call_until_settled(t->a, &q, "a pod outlives its job", NULL, NULL);
	if (answer == K8S_FORBIDDEN)
		t->pods = FATE_FORBIDDEN;
	else if (answer == K8S_OK)
		log_warn("pod outlived its job, deleted", LS("pod", pod->name));
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

static int decode_pods(const struct k8s_request *q, const struct buf *b, void *ret, struct err *err)
{
	(void)q;
	return k8s_pods_decode(b->data, b->len, ret, err);
}

/*
 * Whether pods that were just listed may be deleted: those of our uid always; those of a Job that
 * we never saw (by name) only if a read, later than the list, says that no Job has the name.
 */
static bool are_orphans(struct teardown *t)
{
	struct k8s_job job;

	if (target_seen(&t->a->target))
		return true;
	switch (look_at_job(t->a, &job)) {
	case SIGHT_ABSENT: return true;
	case SIGHT_OURS:
	case SIGHT_NEWCOMER: t->look_again = true; break; /* late, but there after all */
	case SIGHT_FORBIDDEN:
	case SIGHT_OUT_OF_TIME: t->pods = FATE_LEFT; break;
	}
	return false;
}

/* Once over the pods; true if there are some that stay. */
static bool look_at_pods(struct teardown *t, const struct k8s_request *q, int64_t *act_ms)
{
	struct k8s_pods pods = { 0 };
	size_t          staying = 0;
	enum k8s_answer answer =
		call_until_settled(t->a, q, "no wait for the job's pods", decode_pods, &pods);

	if (answer == K8S_UNREACHABLE)
		t->pods = FATE_LEFT;
	else if (answer == K8S_OK)
		staying = staying_pods(t, &pods, false);
	if (staying && are_orphans(t) && now_ms() >= *act_ms) {
		(void)staying_pods(t, &pods, true);
		*act_ms = now_ms() +
			  PODS_GRACE_MS; /* those that stay nevertheless: once more, then */
	}
	k8s_pods_fini(&pods);
	return staying > 0;
}

static void await_pods(struct teardown *t)
{
	const struct app  *a = t->a;
	bool               seen = target_seen(&a->target);
	char               selector[K8S_NAME_SIZE + sizeof("controller-uid=")];
	struct k8s_request q = { .verb = K8S_LIST,
				 .resource = K8S_PODS,
				 .label_selector = selector };
	int64_t            act_ms = now_ms() + PODS_GRACE_MS, delay = POLL_FIRST_MS;

	(void)snprintf(selector, sizeof(selector), "%s=%s", seen ? "controller-uid" : "job-name",
		       seen ? a->target.job.uid : a->cfg->target_job);
	/* without the right to look: Background takes them along */
	t->pods = a->idle.pods_forbidden ? FATE_DELETED : FATE_NONE;
	while (t->pods == FATE_NONE && !t->look_again) {
		if (!look_at_pods(t, &q, &act_ms) && t->pods == FATE_NONE)
			t->pods = FATE_DELETED;
		if (t->pods == FATE_NONE && !t->look_again &&
		    !app_sleep(t->a, next_poll_ms(&delay)))
			t->pods = FATE_LEFT;
	}
}

/* ---- The step ---- */

void delete_job(struct teardown *t)
{
	struct app *a = t->a;

	if (!target_seen(&a->target))
		t->job = FATE_ABSENT;
	else if (t->trigger == TRIGGER_GONE)
		settle_by_reading(t, false); /* mostly it is: then there is nothing to delete */
	if (!t->look_again && (t->job == FATE_NONE || t->job == FATE_DELETING))
		send_delete(
			t); /* also while somebody else's DELETE goes on, which may orphan pods */
	if (t->look_again)
		return;
	a->step_ms = now_ms() + STEP_MS;
	await_job_gone(t, now_ms() + FINALIZER_MS);
	if (!t->look_again)
		(void)told("job", a->cfg->target_job, t->job);
	if (!t->look_again && t->job != FATE_FORBIDDEN && t->job != FATE_LEFT)
		await_pods(t);
	a->step_ms = INT64_MAX;
	if (fate_is_left(t->pods))
		(void)told("pods", a->cfg->target_job, t->pods);
}

void await_job(struct teardown *t)
{
	bool was_deleting = t->job == FATE_DELETING;

	await_job_gone(t, INT64_MAX);
	if (t->pods == FATE_LEFT || was_deleting)
		await_pods(t);
}
