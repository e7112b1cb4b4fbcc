/* The Job and its Service, as they are: reads are the truth, the watch is a hint. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "app.h"

#define WATCH_MIN_S    240 /* timeoutSeconds is random in 240..360 */
#define WATCH_SPREAD_S 121
#define WATCH_SHORT_MS 10000 /* one that ended before this is not simply resumed: no hot loop */

/* ---- What was seen ---- */

static void note_change(const struct app *a, enum target_state before)
{
	const struct target *t = &a->target;

	if (t->state != before)
		log_info("job state", LS("job", a->cfg->target_job),
			 LS("from", target_state_name(before)),
			 LS("to", target_state_name(t->state)),
			 LS(t->state == TARGET_NEWCOMER ? "our_uid" : "uid", t->job.uid));
}

static void saw_job(struct app *a, const struct k8s_job *job)
{
	enum target_state before = a->target.state;

	target_saw(&a->target, job);
	note_change(a, before);
}

static void saw_no_job(struct app *a)
{
	enum target_state before = a->target.state;

	target_absent(&a->target);
	a->watch.absent_ms = now_ms();
	note_change(a, before);
}

/* ---- Reading ---- */

static int64_t missing_deadline_ms(const struct app *a)
{
	return a->started_ms + a->cfg->missing_timeout_ms;
}

/*
 * The next point of the checks' grid, by its phase alone: the grid stands still while nothing is
 * checked, and is ahead while the metrics API asks for patience.
 */
static int64_t next_point_ms(const struct app *a, int64_t now)
{
	int64_t interval = a->cfg->interval_ms;

	if (a->idle.check_ms == INT64_MAX)
		return now + interval; /* no grid yet */
	int64_t ahead = (a->idle.check_ms - now) % interval;
	return now + (ahead > 0 ? ahead : ahead + interval);
}

/* On that grid, too: one wake-up for both. Without a watch each point; at least once a minute. */
static int64_t next_read_ms(const struct app *a)
{
	int64_t now = now_ms(), interval = a->cfg->interval_ms;
	int64_t checks = REREAD_MS / interval;
	int64_t most = a->watch.refused ? 1 : REREAD_INTERVALS;

	if (checks > most)
		checks = most;
	int64_t due = checks ? next_point_ms(a, now) + (checks - 1) * interval : now + REREAD_MS;
	if (!target_seen(&a->target) && now < missing_deadline_ms(a) &&
	    due > missing_deadline_ms(a))
		due = missing_deadline_ms(a); /* only a read can tell that it is missing */
	return due;
}

/* When to try again what failed: backoff, never sooner than the server asked for. */
static int64_t retry_wait_ms(unsigned *attempt, const struct k8s_result *r)
{
	int64_t wait = backoff_ms((*attempt)++, random_u32());

	return wait > r->retry_after_ms ? wait : r->retry_after_ms;
}

static void read_failed(struct app *a, const struct k8s_request *q, const struct k8s_result *r)
{
	int64_t wait = retry_wait_ms(&a->api_trouble.attempt, r);

	k8s_trouble_on(&a->api_trouble, q, r, wait);
	*(q->verb == K8S_GET ? &a->watch.read_due_ms : &a->watch.list_due_ms) = now_ms() + wait;
}

int observe_read_job(struct app *a, struct k8s_job *ret_job)
{
	struct k8s_request q = { .verb = K8S_GET,
				 .resource = K8S_JOBS,
				 .name = a->cfg->target_job };
	struct k8s_result  r;
	struct err         err = { 0 };
	struct k8s_job     job;
	int                status = app_call(a, &q, &r);

	if (status < 0)
		return status;
	if (r.answer == K8S_OK && k8s_job_decode(r.body.data, r.body.len, q.name, &job, &err) < 0)
		k8s_result_refuse(&r, &err);
	if (r.answer == K8S_OK || r.answer == K8S_ABSENT) {
		trouble_off(&a->api_trouble);
		a->watch.read_due_ms = next_read_ms(a);
		a->watch.read_attempt = 0;
	}
	if (r.answer == K8S_OK) {
		saw_job(a, &job);
		*ret_job = job;
	} else if (r.answer == K8S_ABSENT) {
		saw_no_job(a);
		status = -ENOENT;
	} else if (r.answer == K8S_FORBIDDEN) {
		log_forbidden(a, &q, "the Job cannot be read, and no idle job is torn down");
		a->watch.read_due_ms = now_ms() + retry_wait_ms(&a->watch.read_attempt, &r);
		status = -EAGAIN;
	} else {
		read_failed(a, &q, &r);
		status = -EAGAIN;
	}
	k8s_result_fini(&r);
	return status;
}

static void watch_refused(struct app *a, const struct k8s_request *q)
{
	log_forbidden(a, q, "no watch: the Job is read at each check instead");
	a->watch.refused = true;
	a->watch.version[0] = '\0';
	a->watch.list_due_ms = INT64_MAX;
	a->watch.read_due_ms = now_ms();
}

/* LIST by name: the Job, and the resourceVersion to watch from. */
static void list_job(struct app *a)
{
	struct k8s_request q = { .verb = K8S_LIST,
				 .resource = K8S_JOBS,
				 .only_name = a->cfg->target_job };
	struct k8s_result  r;
	struct err         err = { 0 };
	struct k8s_job     job;
	bool               found = false;

	if (app_call(a, &q, &r) < 0)
		return;
	if (r.answer == K8S_OK && k8s_job_list_decode(r.body.data, r.body.len, q.only_name, &found,
						      &job, a->watch.version, &err) < 0)
		k8s_result_refuse(&r, &err);
	if (r.answer == K8S_OK) {
		trouble_off(&a->api_trouble);
		a->watch.list_due_ms = INT64_MAX;
		a->watch.read_due_ms = next_read_ms(a);
		if (found)
			saw_job(a, &job);
		else
			saw_no_job(a);
	} else if (r.answer == K8S_FORBIDDEN) {
		watch_refused(a, &q);
	} else {
		read_failed(a, &q, &r);
	}
	k8s_result_fini(&r);
}

/* ---- Watching ---- */

static int on_watch_line(void *arg, const char *line, size_t len)
{
	struct app        *a = arg;
	struct watch      *w = &a->watch;
	struct watch_event ev;

	if (k8s_watch_decode(line, len, a->cfg->target_job, &ev, &w->bad) < 0)
		return -EBADMSG; /* it may have been the one event that counts: read again */
	switch (ev.type) {
	case WATCH_ADDED:
	case WATCH_MODIFIED: saw_job(a, &ev.job); break;
	case WATCH_DELETED: {
		enum target_state before = a->target.state;
		target_deleted(&a->target, ev.job.uid);
		note_change(a, before);
		break;
	}
	case WATCH_BOOKMARK: break;
	case WATCH_ERROR:
		w->expired = ev.status.code == 410;
		return err_set(&w->bad, EPIPE, "%s", ev.status.message);
	}
	return copy_str(w->version, sizeof(w->version), ev.version);
}

static int on_watch_data(void *arg, const char *p, size_t n)
{
	struct app *a = arg;
	int         r = lines_feed(&a->watch.lines, p, n, on_watch_line, a);

	if (r == -EFBIG)
		err_set(&a->watch.bad, EFBIG, "a line of more than %zu bytes", K8S_MAX_LINE_BYTES);
	return r;
}

static void watch_open(struct app *a)
{
	struct watch *w = &a->watch;
	struct err    err = { 0 };

	w->request = (struct k8s_request){
		.verb = K8S_WATCH,
		.resource = K8S_JOBS,
		.only_name = a->cfg->target_job,
		.version = w->version,
		.watch_s = WATCH_MIN_S + random_u32() % WATCH_SPREAD_S,
		.on_data = on_watch_data,
		.arg = a,
	};
	w->expired = false;
	w->bad = (struct err){ 0 };
	w->started_ms = now_ms();
	w->exchange = k8s_start(a->k8s, &w->request, &err);
	if (!w->exchange) {
		struct k8s_result r = { .answer = K8S_UNREACHABLE };
		k8s_result_refuse(&r, &err);
		w->version[0] = '\0';
		read_failed(a, &w->request, &r);
	}
}

/*
 * A clean end is normal: resume behind the last event or bookmark, and read again. Everything else
 * starts over with a LIST, and one that lived for a moment only starts over slowly.
 */
static void watch_ended(struct app *a)
{
	struct watch     *w = &a->watch;
	int64_t           now = now_ms();
	bool              brief = now - w->started_ms < WATCH_SHORT_MS;
	struct k8s_result r;

	k8s_finish(a->k8s, &w->request, TAKE_PTR(w->exchange), &r);
	lines_fini(&w->lines);
	if (w->bad.code)
		(void)snprintf(r.words, sizeof(r.words), "%s", w->bad.msg);
	log_debug("watch ended", LI("status", r.status), LI("lived_ms", now - w->started_ms),
		  LS("error", r.words));
	w->attempt = brief ? w->attempt : 0;
	if (r.answer == K8S_FORBIDDEN) {
		watch_refused(a, &w->request);
	} else if (r.answer == K8S_OK && !brief) {
		w->list_due_ms = now;
	} else {
		int64_t wait = retry_wait_ms(&w->attempt, &r);
		w->version[0] = '\0';
		w->list_due_ms = now + wait;
		if (!w->expired && r.answer != K8S_OK && (r.status != 200 || w->bad.code))
			k8s_trouble_on(&a->api_trouble, &w->request, &r, wait);
	}
	k8s_result_fini(&r);
}

void observe_on_wake(struct app *a)
{
	if (a->watch.exchange && http_response(a->watch.exchange))
		watch_ended(a);
}

void observe_stop(struct app *a)
{
	k8s_cancel(a->k8s, TAKE_PTR(a->watch.exchange));
	lines_fini(&a->watch.lines);
	a->watch.version[0] = '\0';
	a->watch.absent_ms = 0; /* if we come back, only a new read can tell */
	a->watch.list_due_ms = a->watch.refused ? INT64_MAX : now_ms();
	a->watch.read_due_ms = a->watch.refused ? now_ms() : INT64_MAX;
}

/* ---- The Service: its uid while the Job lives, and its owner ---- */

static void service_later(struct app *a, const struct k8s_result *r)
{
	a->service.due_ms = now_ms() + retry_wait_ms(&a->service.attempt, r);
}

/*
 * The Job becomes an owner of the Service, so that Kubernetes' garbage collector takes the Service
 * with the Job even when no cleaner runs. An owner that does not exist would have it deleted at
 * once: so this follows right behind a read that returned the Job's uid.
 */
static void adopt(struct app *a)
{
	struct k8s_request q = { .verb = K8S_PATCH,
				 .resource = K8S_SERVICES,
				 .name = a->cfg->target_service };
	struct k8s_result  r;

	AUTO_FREE char *body =
		k8s_owner_patch_new(a->service.uid, a->cfg->target_job, a->target.job.uid);
	q.body = body;
	if (!body)
		service_later(a, &(struct k8s_result){ 0 });
	if (!body || app_call(a, &q, &r) < 0)
		return;
	if (r.answer == K8S_OK) {
		log_info("service adopted", LS("service", q.name), LS("owner", a->cfg->target_job));
		a->service.settled = true;
	} else if (r.answer == K8S_FORBIDDEN) {
		log_forbidden(a, &q, "the Service is not adopted");
		a->service.settled = true;
	} else {
		log_debug("service not adopted yet", LI("status", r.status), LS("error", r.words));
		service_later(a, &r);
	}
	k8s_result_fini(&r);
}

static void note_service(struct app *a)
{
	struct k8s_request q = { .verb = K8S_GET,
				 .resource = K8S_SERVICES,
				 .name = a->cfg->target_service };
	struct k8s_service s = { 0 };
	struct k8s_job     job;
	struct k8s_result  r;
	struct err         err = { 0 };

	if (app_call(a, &q, &r) < 0)
		return;
	if (r.answer == K8S_OK &&
	    k8s_service_decode(r.body.data, r.body.len, q.name, a->target.job.uid, &s, &err) < 0)
		k8s_result_refuse(&r, &err);
	k8s_result_fini(&r);
	/* ours, if it says so itself, or if our Job was still there behind the read of it */
	if (r.answer == K8S_OK && !s.owned &&
	    (observe_read_job(a, &job) < 0 || a->target.state != TARGET_LIVE)) {
		service_later(a, &(struct k8s_result){ 0 });
		return;
	}
	if (r.answer == K8S_OK) {
		a->service.noted = true;
		(void)copy_str(a->service.uid, sizeof(a->service.uid), s.uid); /* same size */
		if (s.owned || s.deleting || !a->cfg->adopt_service || a->cfg->dry_run)
			a->service.settled = true;
		else
			adopt(a);
	} else if (r.answer == K8S_FORBIDDEN) {
		log_forbidden(a, &q, "the Service's uid is not known before the teardown");
		a->service.settled = true;
	} else {
		if (r.answer != K8S_ABSENT)
			k8s_trouble_on(&a->api_trouble, &q, &r, -1);
		service_later(a, &r);
	}
}

/* Our own Job's uid, so that a newer cleaner under the same name is never deleted in its stead. */
static void note_self(struct app *a)
{
	struct k8s_request q = { .verb = K8S_GET, .resource = K8S_JOBS, .name = a->cfg->self_job };
	struct k8s_result  r;
	struct k8s_job     self;
	struct err         err = { 0 };

	if (app_call(a, &q, &r) < 0)
		return;
	if (r.answer == K8S_OK && k8s_job_decode(r.body.data, r.body.len, q.name, &self, &err) < 0)
		k8s_result_refuse(&r, &err);
	if (r.answer == K8S_OK)
		(void)copy_str(a->self_uid, sizeof(a->self_uid), self.uid); /* same size */
	a->self_asked = r.answer == K8S_OK || r.answer == K8S_ABSENT || r.answer == K8S_FORBIDDEN;
	if (!a->self_asked) {
		k8s_trouble_on(&a->api_trouble, &q, &r, -1);
		a->self_due_ms = now_ms() + retry_wait_ms(&a->self_attempt, &r);
	}
	k8s_result_fini(&r);
}

/* ---- What is due ---- */

static bool service_wanted(const struct app *a)
{
	return a->target.state == TARGET_LIVE && !a->service.settled;
}

static bool self_wanted(const struct app *a)
{
	return !target_is_over(&a->target) && a->cfg->delete_self && !a->self_asked;
}

int64_t observe_due_ms(const struct app *a)
{
	int64_t due = a->watch.read_due_ms;

	if (a->watch.list_due_ms < due)
		due = a->watch.list_due_ms;

	if (!a->watch.exchange && a->watch.version[0])
		return 0; /* to be opened */
	if (service_wanted(a) && a->service.due_ms < due)
		due = a->service.due_ms;
	if (self_wanted(a) && a->self_due_ms < due)
		due = a->self_due_ms;
	return due;
}

void observe_run(struct app *a)
{
	struct watch  *w = &a->watch;
	struct k8s_job job;

	if (!w->exchange && w->version[0])
		watch_open(a);
	if (self_wanted(a) && now_ms() >= a->self_due_ms)
		note_self(a); /* first: nobody can have replaced us yet */
	if (now_ms() >= w->list_due_ms) {
		list_job(a);
	} else if (now_ms() >= w->read_due_ms) {
		(void)observe_read_job(a, &job); /* logged, and due again, where it fails */
		(void)malloc_trim(0);            /* what handshakes and long answers left */
	}
	if (!w->exchange && w->version[0] && !app_interrupted(a))
		watch_open(a);
	if (service_wanted(a) && now_ms() >= a->service.due_ms && !app_interrupted(a))
		note_service(a);
}

bool observe_missing(struct app *a)
{
	return a->target.state == TARGET_AWAITED && a->watch.absent_ms &&
	       a->watch.absent_ms >= missing_deadline_ms(a);
}
