/* The one place that waits, and what is logged of requests that fail. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

#include "app.h"

/* ---- Waiting ---- */

static void on_signal(struct app *a)
{
	struct signalfd_siginfo info;

	while (read(a->sigfd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		a->signals++;
		log_info("signal", LS("name", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM"),
			 LI("count", a->signals));
		if (a->give_up_ms == INT64_MAX)
			continue; /* not in a teardown: app_interrupted() sees it */
		int64_t limit = now_ms() + (a->signals == 1 ? 25000 : 1000);
		if (limit < a->give_up_ms)
			a->give_up_ms = limit;
	}
}

void app_wait(struct app *a, int64_t until_ms)
{
	struct err err = { 0 };

	if (http_wait(a->http, a->sigfd, until_ms, &err) < 0 && !a->broken) {
		log_error("cannot go on", LS("error", err.msg));
		a->broken = true;
	}
	on_signal(a);
	observe_on_wake(a);
}

static int64_t deadline_ms(const struct app *a)
{
	return a->step_ms < a->give_up_ms ? a->step_ms : a->give_up_ms;
}

bool app_interrupted(const struct app *a)
{
	if (a->broken)
		return true;
	if (a->watching)
		return a->signals > 0 || target_is_over(&a->target);
	return now_ms() >= deadline_ms(a);
}

bool app_sleep(struct app *a, int64_t until_ms)
{
	while (!app_interrupted(a)) {
		if (now_ms() >= until_ms)
			return true;
		app_wait(a, until_ms < deadline_ms(a) ? until_ms : deadline_ms(a));
	}
	return false;
}

int app_answer(struct app *a, struct http_exchange *x)
{
	while (!http_response(x)) {
		if (app_interrupted(a)) {
			http_end(a->http, x);
			return -ECANCELED;
		}
		app_wait(a, deadline_ms(a));
	}
	return 0;
}

int app_call(struct app *a, const struct k8s_request *q, struct k8s_result *ret)
{
	struct err            err = { 0 };
	struct http_exchange *x = k8s_start(a->k8s, q, &err);

	*ret = (struct k8s_result){ .answer = K8S_UNREACHABLE, .date_ms = -1 };
	if (!x) {
		(void)snprintf(ret->words, sizeof(ret->words), "%s", err.msg);
		return 0;
	}
	if (app_answer(a, x) < 0)
		return -ECANCELED;
	k8s_finish(a->k8s, q, x, ret);
	if (ret->date_ms >= 0)
		a->clock_offset_ms = ret->date_ms - wall_ms();
	return 0;
}

int64_t app_api_ms(const struct app *a)
{
	return wall_ms() + a->clock_offset_ms;
}

/* ---- What is logged of failing requests ---- */

void trouble_on(struct trouble *t, const char *verb, const char *resource, long status,
		const char *words, int64_t next_ms)
{
	int64_t now = now_ms();

	if (!t->failing) {
		t->failing = true;
		t->told = false;
		t->since_ms = now;
	}
	if (t->line_ms && now - t->line_ms < TROUBLE_LINE_EVERY_MS)
		return;
	t->line_ms = now;
	t->told = true;
	log_warn(t->what, LS("verb", verb), LS("resource", resource), LI("status", status),
		 LS("error", words), LI("failing_s", (now - t->since_ms) / 1000),
		 LIF(next_ms >= 0, LI("retry_ms", next_ms)));
}

void k8s_trouble_on(struct trouble *t, const struct k8s_request *q, const struct k8s_result *r,
		    int64_t next_ms)
{
	trouble_on(t, k8s_verb_name(q->verb), k8s_resource_name(q->resource), r->status, r->words,
		   next_ms);
}

void trouble_off(struct trouble *t)
{
	if (t->failing && t->told)
		log_info("recovered", LS("from", t->what),
			 LI("failed_s", (now_ms() - t->since_ms) / 1000));
	t->failing = false;
	t->attempt = 0;
}

void log_forbidden(struct app *a, const struct k8s_request *q, const char *lost)
{
	_Static_assert((K8S_DELETE + 1) * (K8S_ACCESS_REVIEWS + 1) <= 64, "one bit for each");
	uint64_t bit = UINT64_C(1) << ((unsigned)q->verb * (K8S_ACCESS_REVIEWS + 1) + q->resource);

	if (a->forbidden_told & bit)
		return;
	a->forbidden_told |= bit;
	/* without adoption all works, as long as the cleaner does */
	LOG_(q->verb == K8S_PATCH ? LOG_INFO : LOG_WARN, "permission missing",
	     LS("verb", k8s_verb_name(q->verb)), LS("resource", k8s_resource_name(q->resource)),
	     LS("api_group", k8s_resource_group(q->resource)), LS("namespace", a->cfg->ns),
	     LS("without_it", lost));
}
