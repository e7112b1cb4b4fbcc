#include "run.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "rabbitmq.h"
#include "report.h"
#include "survey.h"
#include "waits.h"

#define WATCH_MIN_S      240 /* timeoutSeconds is random in 240..360 */
#define WATCH_SPREAD_S   121
#define EVENT_MS         INT64_C(2000) /* for what is told at the very end */
#define HURRIED_EVENT_MS INT64_C(400)  /* ... behind a second signal */

/* The request under way: at most one, beside the watch. */
struct flight {
	struct http_exchange *exchange; /* owned; NULL = none */
	enum ask              ask;
	uint64_t              sent; /* as world_sent() returned it */
	int64_t               sent_ms;
	bool                  broker;          /* of the broker's, not of the API server's */
	struct k8s_request    request;         /* of the API server's; its name is @name */
	char                  name[NAME_SIZE]; /* of the object; "" = none */
};

/* The watch of the Job. */
struct watch {
	struct http_exchange *exchange; /* owned; NULL = not open */
	struct k8s_request    request;
	struct lines          lines;
	struct err            bad;     /* why we cut the stream off */
	bool                  expired; /* the stream said 410 */
};

struct run {
	struct app          *app; /* borrowed */
	const struct config *cfg; /* borrowed */
	struct report        report;
	struct flight        flight;
	struct watch         watch;
	struct world         world; /* the last, as its queues are: the rest is in few pages */
};

/* ---- Sending ---- */

/* What one request is about, filled in for each kind. @selector: room for a label selector. */
static void describe(const struct run *r, enum ask a, struct k8s_request *q, char *name,
		     char selector[K8S_SELECTOR_SIZE])
{
	static const struct {
		enum k8s_verb     verb;
		enum k8s_resource resource;
	} what[ASKS] = {
		[ASK_SELF] = { K8S_GET, K8S_JOBS },
		[ASK_LIST] = { K8S_LIST, K8S_JOBS },
		[ASK_WATCH] = { K8S_WATCH, K8S_JOBS },
		[ASK_JOB] = { K8S_GET, K8S_JOBS },
		[ASK_SERVICE] = { K8S_GET, K8S_SERVICES },
		[ASK_ADOPT] = { K8S_PATCH, K8S_SERVICES },
		[ASK_METRICS] = { K8S_LIST, K8S_POD_METRICS },
		[ASK_POD_METRICS] = { K8S_GET, K8S_POD_METRICS },
		[ASK_PODS] = { K8S_LIST, K8S_PODS },
		[ASK_DELETE_JOB] = { K8S_DELETE, K8S_JOBS },
		[ASK_DELETE_POD] = { K8S_DELETE, K8S_PODS },
		[ASK_DELETE_SERVICE] = { K8S_DELETE, K8S_SERVICES },
		[ASK_EVENT] = { K8S_CREATE, K8S_EVENTS },
		[ASK_NEIGHBOUR] = { K8S_GET, K8S_JOBS },
		[ASK_DELETE_SELF] = { K8S_DELETE, K8S_JOBS },
	};
	const struct world   *w = &r->world;
	const struct config  *cfg = r->cfg;
	const struct k8s_pod *pod = a == ASK_POD_METRICS ? pod_to_gather(w) : staying_pod(w);

	*q = (struct k8s_request){ .verb = what[a].verb, .resource = what[a].resource };
	if (a == ASK_LIST || a == ASK_WATCH)
		q->only_name = cfg->target_job;
	else if (a == ASK_NEIGHBOUR)
		queues_neighbour(&w->queues, cfg, name, NAME_SIZE);
	else if (a == ASK_DELETE_POD || a == ASK_POD_METRICS)
		(void)copy_str(name, NAME_SIZE, pod ? pod->name : "");
	else
		(void)copy_str(name, NAME_SIZE,
			       a == ASK_SELF || a == ASK_DELETE_SELF ? cfg->self_job
			       : q->resource == K8S_SERVICES         ? cfg->target_service
			       : q->resource == K8S_JOBS             ? cfg->target_job
								     : "");
	q->name = name[0] ? name : NULL;
	if (a == ASK_METRICS || (a == ASK_PODS && !w->over.trigger && w->job.selector[0]))
		(void)copy_str(selector, K8S_SELECTOR_SIZE, w->job.selector); /* same size */
	else if (a == ASK_PODS)
		(void)snprintf(selector, K8S_SELECTOR_SIZE, "%s=%s",
			       job_seen(w) ? "controller-uid" : "job-name",
			       job_seen(w) ? w->job.uid : cfg->target_job);
	q->label_selector = a == ASK_METRICS || a == ASK_PODS ? selector : NULL;
}

/* The body of a change; new, NULL when out of memory, or when none is needed. */
static char *body_new(const struct run *r, enum ask a)
{
	const struct world   *w = &r->world;
	const struct k8s_pod *pod = staying_pod(w);
	const char           *service = service_to_delete(w);

	switch (a) {
	case ASK_ADOPT: return k8s_owner_patch_new(w->service.uid, r->cfg->target_job, w->job.uid);
	case ASK_DELETE_JOB: /* of one that has not ended, or by a sweep: only as it was looked at
			      */
		return k8s_delete_options_new(
			w->job.uid,
			!w->over.trigger || r->cfg->swept_before_ms ? w->job.version : NULL, true);
	case ASK_DELETE_POD: return pod ? k8s_delete_options_new(pod->uid, NULL, false) : NULL;
	case ASK_DELETE_SERVICE:
		return service ? k8s_delete_options_new(service, NULL, false) : NULL;
	case ASK_DELETE_SELF: return k8s_delete_options_new(w->self_uid, NULL, true);
	case ASK_EVENT: return report_event_new(w, r->cfg);
	case ASK_SELF:
	case ASK_LIST:
	case ASK_WATCH:
	case ASK_JOB:
	case ASK_SERVICE:
	case ASK_METRICS:
	case ASK_POD_METRICS:
	case ASK_PODS:
	case ASK_QUEUES:
	case ASK_NEIGHBOUR:
	case ASK_DELETE_QUEUE: break;
	}
	return NULL;
}

static bool is_change(enum ask a)
{
	return a == ASK_ADOPT || a == ASK_EVENT ||
	       (a >= ASK_DELETE_JOB && a <= ASK_DELETE_SERVICE) || a == ASK_DELETE_SELF;
}

static struct http_exchange *start(struct run *r, const struct step *s, struct err *err)
{
	struct flight       *f = &r->flight;
	const struct queues *q = &r->world.queues;
	AUTO_FREE char      *body = body_new(r, s->ask);
	char                 selector[K8S_SELECTOR_SIZE] = "";

	if (s->ask == ASK_QUEUES)
		return rabbitmq_list(r->app->http, r->cfg, &r->cfg->queues[q->pattern],
				     queues_page(q, r->cfg), err);
	if (s->ask == ASK_DELETE_QUEUE)
		return rabbitmq_delete(r->app->http, r->cfg, queues_name(q), err);
	describe(r, s->ask, &f->request, f->name, selector);
	f->request.body = body;
	f->request.total_ms = s->limit_ms;
	if (is_change(s->ask) && !body) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	struct http_exchange *x = k8s_start(r->app->k8s, &f->request, err);
	f->request.body = f->request.label_selector = NULL; /* were borrowed until now */
	return x;
}

/* ---- Answers ---- */

/* The body of an answer into @x, as the request has it. Returns 0 or -errno. */
static int decode(const struct run *r, struct answer *x, const struct k8s_request *q,
		  const struct buf *b, struct err *err)
{
	const struct config *cfg = r->cfg;
	const struct queues *queues = &r->world.queues;

	switch (x->ask) {
	case ASK_SELF:
	case ASK_NEIGHBOUR:
	case ASK_JOB: return k8s_job_decode(b->data, b->len, q->name, &x->job, err);
	case ASK_LIST:
		return k8s_job_list_decode(b->data, b->len, cfg->target_job, &x->found, &x->job,
					   x->version, err);
	case ASK_ADOPT: /* as it is now */
	case ASK_SERVICE:
		return k8s_service_decode(b->data, b->len, q->name, r->world.job.uid, &x->service,
					  err);
	case ASK_POD_METRICS:
	case ASK_METRICS: return pod_metrics_decode(b->data, b->len, &x->metrics, err);
	case ASK_PODS: return k8s_pods_decode(b->data, b->len, &x->pods, err);
	case ASK_QUEUES:
		return rabbitmq_page_decode(b->data, b->len, &cfg->queues[queues->pattern],
					    cfg->job_id, queues_page(queues, cfg), x->page, err);
	case ASK_WATCH:
	case ASK_DELETE_JOB:
	case ASK_DELETE_POD:
	case ASK_DELETE_SERVICE:
	case ASK_EVENT:
	case ASK_DELETE_QUEUE:
	case ASK_DELETE_SELF: break;
	}
	return 0;
}

static enum k8s_answer of_broker(enum rabbitmq_answer a)
{
	switch (a) {
	case RABBITMQ_OK: return K8S_OK;
	case RABBITMQ_ABSENT: return K8S_ABSENT;
	case RABBITMQ_DENIED: return K8S_REFUSED;
	case RABBITMQ_REFUSED: return K8S_CONFLICT;
	case RABBITMQ_TROUBLE: break;
	}
	return K8S_TROUBLE;
}

/* What the broker answered, in the words of the API server. Ends the exchange. */
static void judge_broker(struct run *r, struct http_exchange *x, struct k8s_result *ret)
{
	const struct http_response *h = http_response(x);

	*ret = (struct k8s_result){ .status = h->status,
				    .date_ms = -1,
				    .retry_after_ms = h->retry_after_ms,
				    .body.max = HTTP_MAX_BODY_BYTES };
	ret->answer = of_broker(rabbitmq_judge(h, ret->words, sizeof(ret->words)));
	if (ret->answer == K8S_OK)
		ret->body = http_take_body(x);
	http_end(r->app->http, x);
}

/* Of a queue that went, a line; of a pod that we had to delete, a warning. Before it is folded. */
static void tell_deletion(const struct run *r, const struct answer *x)
{
	if (x->ask == ASK_DELETE_QUEUE && (x->is.what == K8S_OK || x->is.what == K8S_ABSENT))
		log_info("queue", LS("name", queues_name(&r->world.queues)),
			 LS("outcome", x->is.what == K8S_OK ? "deleted" : "absent"));
	if (x->ask == ASK_DELETE_POD && x->is.what == K8S_OK)
		log_warn("pod outlived its job, deleted", LS("pod", r->flight.name));
}

/* What is to be known of an answer for its being asked again. */
static struct asked_answer told(const struct k8s_result *res, uint64_t sent, int64_t sent_ms)
{
	return (struct asked_answer){ .what = res->answer,
				      .sent = sent,
				      .sent_ms = sent_ms,
				      .status = res->status,
				      .retry_after_ms = res->retry_after_ms,
				      .words = res->words,
				      .rnd = random_u32() };
}

/* Decodes, folds, tells. @res: of the request under way, or of one that could not be sent. */
static void take_answer(struct run *r, struct k8s_result *res)
{
	static struct rabbitmq_page page; /* 25 kB */
	struct flight              *f = &r->flight;
	struct answer               x = { .ask = f->ask,
					  .is = told(res, f->sent, f->sent_ms),
					  .date_ms = res->date_ms,
					  .kept = res->kept,
					  .page = &page };
	struct err                  err = { 0 };

	if (res->answer == K8S_OK && decode(r, &x, &f->request, &res->body, &err) < 0)
		k8s_result_refuse(res, &err);
	x.is.what = res->answer;
	int64_t      now = now_ms();
	int64_t      at = r->world.idle.reading_ms;
	enum reading reading = r->world.idle.reading;
	tell_deletion(r, &x);
	world_fold(&r->world, r->cfg, &x, now);
	report_answer(&r->report, &r->world, r->cfg, &x, f->broker ? NULL : &f->request,
		      res->by_role, res->words, now);
	if (at != r->world.idle.reading_ms || reading != r->world.idle.reading) /* or unmade */
		report_reading(&r->report, &r->world, r->cfg);
	if (f->ask == ASK_JOB)
		(void)malloc_trim(0); /* what handshakes and long answers left */
	k8s_pods_fini(&x.pods);
	pod_metrics_fini(&x.metrics);
	k8s_result_fini(res);
}

static void on_answered(struct run *r)
{
	struct flight    *f = &r->flight;
	struct k8s_result res;

	if (f->broker)
		judge_broker(r, TAKE_PTR(f->exchange), &res);
	else
		k8s_finish(r->app->k8s, &f->request, TAKE_PTR(f->exchange), &res);
	take_answer(r, &res);
}

static void send_request(struct run *r, const struct step *s)
{
	struct flight *f = &r->flight;
	struct err     err = { 0 };
	int64_t        now = now_ms();

	log_debug("request", LS("rule", s->rule));
	*f = (struct flight){ .ask = s->ask,
			      .broker = s->ask == ASK_QUEUES || s->ask == ASK_DELETE_QUEUE,
			      .sent_ms = now };
	f->sent = world_sent(&r->world, r->cfg, s->ask, now); /* a walk may begin anew */
	f->exchange = start(r, s, &err);
	if (f->exchange)
		return;
	struct k8s_result res = { .answer = K8S_UNREACHABLE, .date_ms = -1 };
	(void)snprintf(res.words, sizeof(res.words), "%s", err.msg);
	take_answer(r, &res);
}

/* ---- The watch ---- */

static int on_watch_line(void *arg, const char *line, size_t len)
{
	struct run        *r = arg;
	struct watch      *t = &r->watch;
	struct watch_event ev;

	if (k8s_watch_decode(line, len, r->cfg->target_job, &ev, &t->bad) < 0)
		return -EBADMSG; /* it may have been the one event that counts: read again */
	world_fold_event(&r->world, &ev);
	if (ev.type != WATCH_ERROR)
		return 0;
	t->expired = ev.status.code == 410;
	return err_set(&t->bad, EPIPE, "%s", ev.status.message);
}

static int on_watch_data(void *arg, const char *p, size_t n)
{
	struct run *r = arg;
	int         s = lines_feed(&r->watch.lines, p, n, on_watch_line, r);

	if (s == -EFBIG)
		err_set(&r->watch.bad, EFBIG, "a line of more than %zu bytes", K8S_MAX_LINE_BYTES);
	return s;
}

/* @words: why, "" = it ended as watches do. */
static void tell_watch_end(struct run *r, struct answer *x, struct k8s_result *res)
{
	struct watch *t = &r->watch;
	int64_t       now = now_ms();

	if (t->bad.code)
		(void)snprintf(res->words, sizeof(res->words), "%s", t->bad.msg);
	log_debug("watch ended", LI("status", res->status), LI("lived_ms", now - r->world.watch_ms),
		  LS("error", res->words));
	x->date_ms = -1; /* it is of the watch's beginning */
	x->is = told(res, r->world.seq, r->world.watch_ms);
	x->is.what = t->bad.code ? K8S_TROUBLE : res->answer;
	world_watch_ended(&r->world, x, now);
	bool cut = res->status == 200 && !t->bad.code; /* as proxies and restarts do it */
	if (x->is.what == K8S_OK || !(cut || t->expired))
		report_answer(&r->report, &r->world, r->cfg, x, &t->request, res->by_role,
			      res->words, now);
}

static void on_watch_ended(struct run *r)
{
	struct watch     *t = &r->watch;
	struct k8s_result res;
	struct answer     x = { .ask = ASK_WATCH };

	k8s_finish(r->app->k8s, &t->request, TAKE_PTR(t->exchange), &res);
	lines_fini(&t->lines);
	tell_watch_end(r, &x, &res);
	k8s_result_fini(&res);
}

static void open_watch(struct run *r)
{
	struct watch *t = &r->watch;
	struct err    err = { 0 };

	t->request = (struct k8s_request){
		.verb = K8S_WATCH,
		.resource = K8S_JOBS,
		.only_name = r->cfg->target_job,
		.version = r->world.version,
		.watch_s = WATCH_MIN_S + random_u32() % WATCH_SPREAD_S,
		.on_data = on_watch_data,
		.arg = r,
	};
	t->expired = false;
	t->bad = (struct err){ 0 };
	(void)world_sent(&r->world, r->cfg, ASK_WATCH, now_ms());
	t->exchange = k8s_start(r->app->k8s, &t->request, &err);
	if (t->exchange)
		return;
	struct k8s_result res = { .answer = K8S_UNREACHABLE };
	struct answer     x = { .ask = ASK_WATCH };
	(void)snprintf(res.words, sizeof(res.words), "%s", err.msg);
	tell_watch_end(r, &x, &res);
}

/* ---- The loop ---- */

/* What can be asked again gives way to what is urgent; a DELETE on its way is never cut off. */
static bool gives_way(const struct flight *f, const struct step *s)
{
	bool again = !is_change(f->ask) || f->ask == ASK_ADOPT;

	return f->exchange && again && s->kind == STEP_ASK && s->urgent && s->ask != f->ask;
}

static void drop(struct run *r)
{
	http_end(r->app->http, TAKE_PTR(r->flight.exchange));
}

static void take_news(struct run *r)
{
	unsigned signals = r->world.signals;

	if (r->flight.exchange && http_response(r->flight.exchange))
		on_answered(r);
	if (r->watch.exchange && http_response(r->watch.exchange))
		on_watch_ended(r);
	while (r->world.signals < r->app->signals)
		world_signal(&r->world, now_ms());
	if (r->world.signals > signals && !r->world.over.trigger && r->flight.exchange &&
	    !is_change(r->flight.ask))
		drop(r); /* an answer is wanted within a second */
}

static void carry_out(struct run *r, const struct step *s)
{
	if (s->kind == STEP_ASK && s->ask == ASK_WATCH)
		open_watch(r);
	else if (s->kind == STEP_ASK && !r->flight.exchange)
		send_request(r, s);
	else
		app_wait(r->app, s->until_ms);
}

/* ---- The end ---- */

static void would_delete(void *arg, size_t pattern, const char *name, const char *whose)
{
	(void)arg;
	(void)pattern;
	if (whose)
		log_info("dry run: would leave", LS("queue", name), LS("job", whose));
	else
		log_info("dry run: would delete", LS("queue", name));
}

static void dry_run(struct run *r)
{
	const struct config *cfg = r->cfg;
	struct world        *w = &r->world;
	struct err           err = { 0 };

	if (w->name == NAME_OTHER)
		return;
	if (!w->over.trigger) {
		w->acting = trigger_due(w, cfg, now_ms());
		report_changes(&r->report, w, cfg, now_ms());
	}
	if (w->name == NAME_OURS && !w->deleting_ms)
		log_info("dry run: would delete", LS("job", cfg->target_job),
			 LS("uid", w->job.uid));
	log_info("dry run: would delete", LS("service", cfg->target_service));
	if (cfg->rabbitmq_url[0] && survey_queues(r->app, would_delete, NULL, &err) < 0)
		log_warn("broker trouble", LS("verb", "list"), LS("resource", "queues"),
			 LS("error", err.msg));
	if (cfg->delete_self)
		log_info("dry run: would delete", LS("self", cfg->self_job));
}

/* The Event that names what is left. Best effort: one try of two seconds. */
static void tell_left(struct run *r, const struct fates *f)
{
	AUTO_FREE char    *body = report_left_event_new(&r->world, r->cfg, f);
	struct k8s_request q = { .verb = K8S_CREATE,
				 .resource = K8S_EVENTS,
				 .body = body,
				 .total_ms = r->world.signals > 1 ? HURRIED_EVENT_MS : EVENT_MS };
	struct k8s_result  res = { 0 };

	if (now_ms() < r->world.asked[ASK_EVENT].patience_ms)
		return; /* the server has asked not to be asked; the log tells, too */
	if (body && app_call(r->app, &q, &res) == 0 && res.answer != K8S_OK &&
	    res.answer != K8S_CONFLICT)
		log_info("event not recorded", LI("status", res.status), LS("error", res.words));
	k8s_result_fini(&res);
}

static void finish(struct run *r, enum end end)
{
	int64_t      now = now_ms();
	struct fates f = fates_of(&r->world, r->cfg, now);

	switch (end) {
	case END_SIGNALLED:
		log_info(r->world.over.trigger
				 ? "stopped by a signal, the finished job is left as it is"
				 : "stopped by a signal, nothing was touched",
			 LS("job", r->cfg->target_job));
		break;
	case END_DRY_RUN: dry_run(r); break;
	case END_SPARED:
		log_info("no leftover, left alone", LS("job", r->cfg->target_job),
			 LS("state", job_state(&r->world)),
			 LIF(r->world.young, LS("why", "something of it is young")));
		break;
	case END_TORN_DOWN:
	case END_LEFT:
		tell_left(r, &f);
		report_summary(&r->world, r->cfg, &f, now);
		break;
	}
}

enum end run(struct app *a)
{
	static struct run r; /* 100 kB with its pages of queues, which only a teardown touches */
	struct step       s = { .end = END_LEFT };

	r.app = a;
	r.cfg = a->cfg;
	r.watch.lines.tail.max = K8S_MAX_LINE_BYTES;
	world_init(&r.world, now_ms());
	(void)copy_str(r.world.job.uid, K8S_UID_SIZE, a->cfg->swept_uid); /* same size */
	while (!a->broken) {
		take_news(&r);
		int64_t now = now_ms(); /* of one moment: nothing ends that was not told */
		world_tick(&r.world, r.cfg, now);
		waits_tick(&r.world, r.cfg, now);
		report_changes(&r.report, &r.world, r.cfg, now);
		s = plan_next(&r.world, r.cfg, now);
		if (s.kind == STEP_END || gives_way(&r.flight, &s))
			drop(&r);
		if (s.kind == STEP_END)
			break;
		carry_out(&r, &s);
	}
	k8s_cancel(a->k8s, TAKE_PTR(r.watch.exchange));
	if (a->broken)
		s.end = END_LEFT;
	else
		finish(&r, s.end);
	lines_fini(&r.watch.lines);
	world_fini(&r.world);
	r = (struct run){ 0 }; /* as the next one is to find it */
	return s.end;
}
