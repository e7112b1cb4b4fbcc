/* Step 3 of a teardown: the Service, by the uid that it had while its Job lived. */
#include <string.h>

#include "teardown.h"

static int decode_service(const struct k8s_request *q, const struct buf *b, void *ret,
			  struct err *err)
{
	return k8s_service_decode(b->data, b->len, q->name, "", ret, err);
}

static enum k8s_answer read_service(struct app *a, struct k8s_service *ret)
{
	struct k8s_request q = { .verb = K8S_GET,
				 .resource = K8S_SERVICES,
				 .name = a->cfg->target_service };

	return call_until_settled(a, &q, "the Service stays", decode_service, ret);
}

/* What an answer says of the Service, if it is not K8S_OK. */
static enum fate fate_of(enum k8s_answer answer)
{
	switch (answer) {
	case K8S_ABSENT: return FATE_ABSENT;
	case K8S_FORBIDDEN: return FATE_FORBIDDEN;
	case K8S_OK:
	case K8S_CONFLICT:
	case K8S_EXPIRED:
	case K8S_UNAUTHORIZED:
	case K8S_UNREACHABLE:
	case K8S_TROUBLE: break;
	}
	return FATE_LEFT;
}

/* The uid was not noted while the Job lived: reads it now. FATE_NONE: it is there, and ours. */
static enum fate find(struct teardown *t)
{
	struct app        *a = t->a;
	struct k8s_service s;
	struct k8s_job     job;
	enum k8s_answer    answer = read_service(a, &s);

	if (answer != K8S_OK)
		return fate_of(answer);
	switch (look_at_job(a, &job)) { /* is it a newcomer's by now? */
	case SIGHT_OUT_OF_TIME: return FATE_LEFT;
	case SIGHT_NEWCOMER:
		t->look_again = t->trigger == TRIGGER_MISSING; /* late, but there after all */
		return FATE_NEWCOMER;
	case SIGHT_OURS:
	case SIGHT_ABSENT:
	case SIGHT_FORBIDDEN: break;
	}
	(void)copy_str(a->service.uid, sizeof(a->service.uid), s.uid); /* same size */
	a->service.noted = true;
	return FATE_NONE;
}

/*
 * The uid did not fit, says an answer to the DELETE. FATE_NONE: once more. A Service that was
 * created anew is ours if our Job, finished and kept, still has its name behind the read of it.
 */
static enum fate look_into_conflict(struct app *a)
{
	struct k8s_service s;
	struct k8s_job     job;
	enum k8s_answer    answer = read_service(a, &s);

	if (answer != K8S_OK)
		return fate_of(answer);
	if (strcmp(s.uid, a->service.uid) == 0)
		return FATE_NONE;
	if (!target_seen(&a->target))
		return FATE_NEWCOMER;
	switch (look_at_job(a, &job)) {
	case SIGHT_OURS: break;
	case SIGHT_OUT_OF_TIME: return FATE_LEFT;
	case SIGHT_NEWCOMER:
	case SIGHT_ABSENT:
	case SIGHT_FORBIDDEN: return FATE_NEWCOMER;
	}
	(void)copy_str(a->service.uid, sizeof(a->service.uid), s.uid); /* same size */
	return FATE_NONE;
}

void look_at_service(struct teardown *t)
{
	struct k8s_request q = { .verb = K8S_GET,
				 .resource = K8S_SERVICES,
				 .name = t->a->cfg->target_service };
	struct k8s_service s;
	struct k8s_result  r;

	t->seen_service[0] = '\0';
	if (app_call(t->a, &q, &r) < 0)
		return;
	if (r.answer == K8S_OK && decode_service(&q, &r.body, &s, NULL) == 0)
		(void)copy_str(t->seen_service, sizeof(t->seen_service), s.uid); /* same size */
	k8s_result_fini(&r);
}

void confirm_service(struct teardown *t)
{
	struct service *s = &t->a->service;

	if (!t->seen_service[0])
		return;
	if (strcmp(s->uid, t->seen_service) != 0)
		t->service = FATE_NONE; /* another one was deleted before the grace */
	(void)copy_str(s->uid, sizeof(s->uid), t->seen_service); /* same size */
	s->noted = true;
}

static enum fate find_and_delete(struct teardown *t)
{
	struct app        *a = t->a;
	struct k8s_request q = { .verb = K8S_DELETE,
				 .resource = K8S_SERVICES,
				 .name = a->cfg->target_service };
	unsigned           attempt = 0;
	enum fate          f = FATE_NONE;

	if (!a->service.noted)
		f = find(t);
	else if (t->service == FATE_LEFT) /* the second round: did the first one's DELETE work? */
		f = look_into_conflict(a);

	while (f == FATE_NONE) {
		AUTO_FREE char *body = k8s_delete_options_new(a->service.uid, NULL, false);
		if (!body)
			return FATE_LEFT;
		q.body = body;
		enum k8s_answer answer = call_until_settled(a, &q, "the Service stays", NULL, NULL);
		f = answer == K8S_OK         ? FATE_DELETED
		    : answer == K8S_CONFLICT ? look_into_conflict(a)
					     : fate_of(answer);
		if (f == FATE_NONE &&
		    !pause_after(a, &attempt, &q, &(struct k8s_result){ .status = 409 }))
			f = FATE_LEFT;
	}
	return f;
}

void delete_service(struct teardown *t)
{
	t->a->step_ms = now_ms() + STEP_MS;
	t->service = find_and_delete(t);
	t->a->step_ms = INT64_MAX;
	if (!t->look_again)
		(void)told("service", t->a->cfg->target_service, t->service);
}
