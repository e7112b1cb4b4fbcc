/*
 * Step 4 of a teardown: the job's queues at the broker. Behind the Job, so that a broken broker
 * never keeps a GPU busy; and only while no newcomer has the Job's name, whose queues they would
 * be.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rabbitmq.h"
#include "teardown.h"

#define BROKER_MS INT64_C(60000) /* this long without a queue that went: give up, and say so */
#define PAGES_MAX 20 /* of queues that stay, and of others' that the filter lets through */

struct sweep {
	struct app          *a;        /* borrowed */
	int64_t              until_ms; /* moves on with each queue that went */
	int64_t              retry_after_ms;
	unsigned             deleted;
	struct rabbitmq_page refused; /* queues that the broker did not delete in the last walk */
	char                 why_refused[256]; /* the last of them */
	char                 why[256];         /* the broker's last words that were no answer */
	long                 status;           /* of the broker's last answer */
	bool                 denied;           /* our user may not: final */
};

/*
 * The broker's answer to @x (NULL: not sent, @err says why); @queue is NULL for a list. What a log
 * says of it has been said; the body of RABBITMQ_OK goes to @ret_body, other words to s->why.
 */
static enum rabbitmq_answer talk(struct sweep *s, const char *verb, const char *queue,
				 struct http_exchange *x, const struct err *err,
				 struct buf *ret_body)
{
	struct trouble *trouble = &s->a->broker_trouble;

	if (!x) {
		trouble_on(trouble, verb, "queues", 0, err->msg, -1);
		return RABBITMQ_TROUBLE;
	}
	if (app_answer(s->a, x) < 0)
		return RABBITMQ_TROUBLE; /* out of time: nothing to be said of the broker */

	const struct http_response *r = http_response(x);
	enum rabbitmq_answer        answer = rabbitmq_judge(r, s->why, sizeof(s->why));
	s->status = r->status;
	if (answer == RABBITMQ_DENIED) {
		log_warn("the broker refuses our user", LS("user", s->a->cfg->rabbitmq_user),
			 LS("verb", verb), LIF(queue != NULL, LS("queue", queue)),
			 LI("status", r->status), LS("error", s->why));
		s->denied = true;
	} else if (answer == RABBITMQ_TROUBLE) {
		trouble_on(trouble, verb, "queues", r->status, s->why, -1);
		s->retry_after_ms = r->retry_after_ms;
	}
	if (answer == RABBITMQ_OK)
		*ret_body = http_take_body(x);
	http_end(s->a->http, x);
	return answer;
}

/* Returns 0 or -EAGAIN. */
static int list(struct sweep *s, unsigned number, struct rabbitmq_page *ret)
{
	const struct config  *cfg = s->a->cfg;
	struct trouble       *trouble = &s->a->broker_trouble;
	struct err            err = { 0 };
	struct buf            body = { 0 };
	struct http_exchange *x = rabbitmq_list(s->a->http, cfg, number, &err);
	int                   r = -EAGAIN;

	switch (talk(s, "list", NULL, x, &err, &body)) {
	case RABBITMQ_OK:
		r = rabbitmq_page_decode(body.data, body.len, cfg->rabbitmq_queue_prefix, ret,
					 &err);
		if (r < 0)
			trouble_on(trouble, "list", "queues", 200, err.msg, -1);
		else
			trouble_off(trouble);
		break;
	case RABBITMQ_ABSENT: /* most likely the virtual host */
	case RABBITMQ_REFUSED:
		r = number > 1 ? 0 : -EAGAIN; /* the pages have become fewer */
		if (r == 0)
			*ret = (struct rabbitmq_page){ .last = true };
		else
			trouble_on(trouble, "list", "queues", s->status, s->why, -1);
		break;
	case RABBITMQ_DENIED:
	case RABBITMQ_TROUBLE: break; /* has been logged */
	}
	buf_fini(&body);
	return r < 0 ? -EAGAIN : 0;
}

static bool has(const struct rabbitmq_page *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->names[i], name) == 0)
			return true;
	return false;
}

static void note_refused(struct sweep *s, const char *name)
{
	struct rabbitmq_page *p = &s->refused;

	if (p->count < ARRAY_SIZE(p->names)) /* those beyond are not named, but they count */
		(void)copy_str(p->names[p->count++], sizeof(p->names[0]), name); /* same size */
	(void)copy_str(s->why_refused, sizeof(s->why_refused), s->why);          /* same size */
	log_debug("queue", LS("name", name), LS("outcome", "refused"), LS("error", s->why));
}

/* Returns 1 if the queue went, 0 if it stays for now, -EAGAIN. */
static int delete (struct sweep *s, const char *name)
{
	struct err            err = { 0 };
	struct buf            body = { 0 };
	struct http_exchange *x = rabbitmq_delete(s->a->http, s->a->cfg, name, &err);
	enum rabbitmq_answer  answer = talk(s, "delete", name, x, &err, &body);

	buf_fini(&body);
	switch (answer) {
	case RABBITMQ_OK:
		trouble_off(&s->a->broker_trouble);
		s->deleted++;
		s->until_ms = now_ms() + BROKER_MS;
		(void)told("queue", name, FATE_DELETED);
		return 1;
	case RABBITMQ_ABSENT: (void)told("queue", name, FATE_ABSENT); return 1;
	case RABBITMQ_REFUSED: note_refused(s, name); return 0;
	case RABBITMQ_DENIED:
	case RABBITMQ_TROUBLE: break;
	}
	return -EAGAIN;
}

/* Returns how many of the page went, or -EAGAIN. @before: what went just now, and should be gone.
 */
static int delete_page(struct sweep *s, const struct rabbitmq_page *page,
		       const struct rabbitmq_page *before)
{
	int went = 0;

	for (size_t i = 0; i < page->count; i++) {
		const char *name = page->names[i];
		int         r = 0;

		if (has(&s->refused, name))
			continue;
		if (has(before, name)) {
			(void)copy_str(s->why, sizeof(s->why), "it is still there"); /* fits */
			note_refused(s, name);
		} else {
			r = delete (s, name);
		}
		if (r < 0)
			return r;
		went += r;
	}
	return went;
}

/*
 * Once over all pages. Where queues went, those behind have moved up: the same page again.
 * Returns 0 when no queue is left but the refused ones, or -EAGAIN.
 */
static int walk(struct sweep *s)
{
	struct rabbitmq_page page, before = { .count = 0 };

	s->retry_after_ms = 0;
	for (unsigned number = 1, lists = 0; number <= PAGES_MAX; lists++) {
		if (list(s, number, &page) < 0)
			return -EAGAIN;
		if (!lists)
			s->refused.count =
				0; /* not sooner: without a list they are still to be named */
		int went = delete_page(s, &page, &before);
		if (went < 0)
			return went;
		if (!went && page.last)
			return 0;
		number += went ? 0 : 1;
		before.count = 0;
		if (went)
			before = page;
	}
	trouble_on(&s->a->broker_trouble, "list", "queues", 200, "more pages than can be", -1);
	return -EAGAIN;
}

/* One try; FATE_NONE: another one may help. */
static enum fate try_once(struct sweep *s)
{
	struct k8s_job job;

	switch (look_at_job(s->a, &job)) {
	case SIGHT_NEWCOMER: return FATE_NEWCOMER;
	case SIGHT_OUT_OF_TIME: return FATE_LEFT;
	case SIGHT_OURS:
	case SIGHT_ABSENT:
	case SIGHT_FORBIDDEN: break;
	}
	int r = walk(s);
	if (s->denied)
		return FATE_FORBIDDEN;
	if (r == 0 && !s->refused.count)
		return s->deleted ? FATE_DELETED : FATE_ABSENT;
	return FATE_NONE;
}

static void report(const struct sweep *s, enum fate f)
{
	for (size_t i = 0; f == FATE_LEFT && i < s->refused.count; i++)
		log_warn("queue", LS("name", s->refused.names[i]), LS("outcome", "refused"),
			 LS("error", s->why_refused));
	LOG_(fate_is_left(f) ? LOG_WARN : LOG_INFO, "queues",
	     LS("prefix", s->a->cfg->rabbitmq_queue_prefix), LS("outcome", fate_name(f)),
	     LI("count", s->deleted));
}

enum fate delete_queues(struct app *a)
{
	struct sweep s = { .a = a, .until_ms = now_ms() + BROKER_MS };
	enum fate    f = a->cfg->rabbitmq_url[0] ? FATE_NONE : FATE_OFF;

	if (f == FATE_OFF)
		return f;
	for (unsigned attempt = 0; f == FATE_NONE; attempt++) {
		f = try_once(&s);
		if (f != FATE_NONE)
			break;
		int64_t wait = backoff_ms(attempt, random_u32());
		int64_t next = now_ms() + (wait > s.retry_after_ms ? wait : s.retry_after_ms);
		if (next >= s.until_ms || !app_sleep(a, next))
			f = FATE_LEFT;
	}
	report(&s, f);
	return f;
}

void dry_run_queues(struct app *a)
{
	struct sweep         s = { .a = a };
	struct rabbitmq_page page = { .last = !a->cfg->rabbitmq_url[0] };

	for (unsigned number = 1; !page.last; number++) {
		if (list(&s, number, &page) < 0)
			return; /* it has been said why */
		for (size_t i = 0; i < page.count; i++)
			log_info("dry run: would delete", LS("queue", page.names[i]));
	}
}
