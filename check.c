/* --check: is all there that the program will need? Asks, and changes nothing. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "identity.h"
#include "metrics.h"
#include "survey.h"

#define FOUND_MAX 20 /* queues of a pattern that are named */

enum state { STATE_OK, STATE_MISSING, STATE_OPTIONAL };

static const char *const state_names[] = { "ok", "missing", "optional" };
_Static_assert(ARRAY_SIZE(state_names) == STATE_OPTIONAL + 1, "name every state");

static const char *const state_colours[] = { "\033[32m", "\033[31m", "\033[33m" };
_Static_assert(ARRAY_SIZE(state_colours) == STATE_OPTIONAL + 1, "colour every state");

struct check {
	struct app *a; /* borrowed */
	bool        json;
	bool        colour;
	unsigned    missing; /* rows that are required, and not there */
	bool        may[K8S_DELETE + 1][K8S_ACCESS_REVIEWS + 1]; /* ... that are */
};

/* One row. @without: what is lost without it, what went wrong, or what is there; @rule: of a Role;
 * "" = none. */
static void row(struct check *c, enum state s, const char *what, const char *without,
		const char *rule)
{
	c->missing += s == STATE_MISSING;
	if (c->json) {
		json_auto_t    *o = json_pack("{s:s, s:s, s:s, s:s}", "check", what, "state",
					      state_names[s], "without_it", without, "rule", rule);
		AUTO_FREE char *line = o ? json_dumps(o, JSON_COMPACT) : NULL;
		(void)printf("%s\n", line ? line : "{}");
		return;
	}
	(void)printf("%s%-8s%s  %s%s%s\n", c->colour ? state_colours[s] : "", state_names[s],
		     c->colour ? "\033[0m" : "", what, without[0] ? ": " : "", without);
	if (rule[0])
		(void)printf("          to allow it, add to the Role: %s\n", rule);
}

/* ---- Permissions ---- */

enum whose { NOBODY, TARGET_JOB, TARGET_SERVICE, SELF_JOB };

static const struct need {
	enum k8s_verb     verb;
	enum k8s_resource resource;
	enum whose        whose;
	const char       *without; /* NULL: required */
} needs[] = {
	{ K8S_GET, K8S_JOBS, TARGET_JOB, NULL },
	{ K8S_DELETE, K8S_JOBS, TARGET_JOB, NULL },
	{ K8S_LIST, K8S_JOBS, TARGET_JOB, "no watch, the Job is read at each check instead" },
	{ K8S_WATCH, K8S_JOBS, TARGET_JOB, "no watch, the Job is read at each check instead" },
	{ K8S_GET, K8S_SERVICES, TARGET_SERVICE, NULL },
	{ K8S_DELETE, K8S_SERVICES, TARGET_SERVICE, NULL },
	{ K8S_PATCH, K8S_SERVICES, TARGET_SERVICE,
	  "the Service is not adopted, and stays if the cleaner dies first" },
	{ K8S_LIST, K8S_POD_METRICS, NOBODY,
	  "each pod's metrics are read by name, if get on them and list on pods are there" },
	{ K8S_GET, K8S_POD_METRICS, NOBODY, "no idle trigger, where list is missing, too" },
	{ K8S_LIST, K8S_PODS, NOBODY, "no last look at the pods, no wait for them to go" },
	{ K8S_DELETE, K8S_PODS, NOBODY, "pods stay while the cluster's controllers are down" },
	{ K8S_CREATE, K8S_EVENTS, NOBODY, "no Events on the Job" },
	{ K8S_GET, K8S_JOBS, SELF_JOB, "the cleaner's own Job waits for its TTL" },
	{ K8S_DELETE, K8S_JOBS, SELF_JOB, "the cleaner's own Job waits for its TTL" },
};

static const char *name_of(const struct config *cfg, enum whose whose)
{
	switch (whose) {
	case TARGET_JOB: return cfg->target_job;
	case TARGET_SERVICE: return cfg->target_service;
	case SELF_JOB: return cfg->self_job;
	case NOBODY: break;
	}
	return "";
}

/* Whether these settings ever ask for it. */
static bool is_wanted(const struct config *cfg, const struct need *n)
{
	if (n->resource == K8S_POD_METRICS)
		return cfg->check_cpu;
	if (n->verb == K8S_PATCH)
		return cfg->adopt_service;
	return n->whose != SELF_JOB || cfg->delete_self;
}

static void rule_of(const struct need *n, char *out, size_t size)
{
	(void)snprintf(out, size, "{apiGroups: [\"%s\"], resources: [\"%s\"], verbs: [\"%s\"]}",
		       k8s_resource_group(n->resource), k8s_resource_name(n->resource),
		       k8s_verb_name(n->verb));
}

/* Asks the API server; false and *@ret_words if it did not say. */
static bool review(struct check *c, const struct need *n, bool *ret_allowed, char *words,
		   size_t size)
{
	const struct config *cfg = c->a->cfg;
	AUTO_FREE char      *body =
		k8s_review_new(cfg->ns, k8s_verb_name(n->verb), k8s_resource_group(n->resource),
			       k8s_resource_name(n->resource), name_of(cfg, n->whose));
	struct k8s_request q = { .verb = K8S_CREATE, .resource = K8S_ACCESS_REVIEWS, .body = body };
	struct k8s_result  r = { 0 };
	struct err         err = { 0 };

	if (!body || app_call(c->a, &q, &r) < 0)
		err_set(&err, EINTR, body ? "interrupted" : "out of memory");
	else if (r.answer != K8S_OK)
		err_set(&err, EIO, "%s", r.words);
	else
		(void)k8s_review_decode(r.body.data, r.body.len, ret_allowed, &err);
	k8s_result_fini(&r);
	(void)snprintf(words, size, "%s", err.msg);
	return !err.code;
}

/* Returns false where the API server did not answer: then nothing more can be asked of it. */
static bool check_need(struct check *c, const struct need *n)
{
	const char *group = k8s_resource_group(n->resource);
	const char *name = name_of(c->a->cfg, n->whose);
	char        what[NAME_SIZE + 64], rule[128], words[K8S_WORDS_SIZE];
	bool        allowed = false;

	(void)snprintf(what, sizeof(what), "may %s %s%s%s%s%s", k8s_verb_name(n->verb),
		       k8s_resource_name(n->resource), group[0] ? "." : "", group,
		       name[0] ? " " : "", name);
	rule_of(n, rule, sizeof(rule));
	if (!review(c, n, &allowed, words, sizeof(words))) {
		row(c, STATE_MISSING, "API server answers", words, "");
		return false;
	}
	c->may[n->verb][n->resource] |= allowed;
	if (allowed)
		row(c, STATE_OK, what, "", "");
	else if (n->resource == K8S_PODS && n->verb == K8S_LIST && c->a->cfg->target_container[0])
		row(c, STATE_OPTIONAL, what,
		    "nothing tells when TARGET_CONTAINER has ended; no last look at the pods",
		    rule);
	else
		row(c, n->without ? STATE_OPTIONAL : STATE_MISSING, what,
		    n->without ? n->without : "nothing can be torn down without it", rule);
	return true;
}

/* ---- What else is needed ---- */

/* One LIST, whatever it holds: a Job that has not started has no metrics. Pod by pod, no pod has
 * the Job's name: that there is none is an answer. */
static void check_metrics(struct check *c)
{
	bool one = !c->may[K8S_LIST][K8S_POD_METRICS] && c->may[K8S_GET][K8S_POD_METRICS] &&
		   c->may[K8S_LIST][K8S_PODS];
	char               selector[NAME_SIZE + 16], lost[K8S_WORDS_SIZE + 32] = "";
	struct k8s_request q = { .verb = one ? K8S_GET : K8S_LIST,
				 .resource = K8S_POD_METRICS,
				 .name = one ? c->a->cfg->target_job : NULL,
				 .label_selector = one ? NULL : selector };
	struct pod_metrics m;
	struct k8s_result  r = { 0 };
	struct err         err = { 0 };

	(void)snprintf(selector, sizeof(selector), "job-name=%s", c->a->cfg->target_job);
	if (app_call(c->a, &q, &r) < 0)
		err_set(&err, EINTR, "interrupted");
	else if (r.answer != K8S_OK && !(one && r.answer == K8S_ABSENT))
		err_set(&err, EIO, "%ld %s", r.status, r.words);
	else if (!one && pod_metrics_decode(r.body.data, r.body.len, &m, &err) == 0)
		pod_metrics_fini(&m);
	if (err.code)
		(void)snprintf(lost, sizeof(lost), "no idle trigger (%s)", err.msg);
	row(c, err.code ? STATE_OPTIONAL : STATE_OK, "metrics API answers", lost, "");
	k8s_result_fini(&r);
}

static bool is_named(const char *job, const char *id)
{
	size_t n = strlen(JOB_PREFIX);

	return strncmp(job, JOB_PREFIX, n) == 0 && strcmp(job + n, id) == 0;
}

/* What guard.yml goes by. Nothing is tried: a server may take a DELETE that is none at its word. */
static void check_token(struct check *c)
{
	struct identity id;
	char            what[NAME_SIZE + 64], job_id[IDENTITY_POD_SIZE] = "";

	identity_load(&id, c->a->cfg->service_account_dir, "");
	(void)snprintf(what, sizeof(what), "token is bound to pod %s",
		       id.bound ? id.pod : "(none)");
	if (!id.bound)
		row(c, STATE_OPTIONAL, what, "under guard.yml nothing may be deleted", "");
	else if (!identity_job_id(id.pod, job_id) || !is_named(c->a->cfg->target_job, job_id))
		row(c, STATE_OPTIONAL, what, "under guard.yml nothing of another id may be deleted",
		    "");
	else
		row(c, STATE_OK, what, "", "");
}

/* What each pattern finds now. */
struct found {
	struct {
		struct buf names; /* the first ones */
		unsigned   count;
	} of[PATTERNS];
};

static void on_found(void *arg, size_t pattern, const char *name, const char *whose)
{
	struct found *f = arg;
	struct buf   *b = &f->of[pattern].names;

	b->max = 4096;
	if (f->of[pattern].count++ >= FOUND_MAX)
		return;
	(void)buf_printf(b, "%s%s", b->len ? ", " : "", name); /* too long: its count tells */
	if (whose)
		(void)buf_printf(b, " (of %s)", whose);
}

static void tell_found(struct check *c, struct found *f)
{
	char what[QUEUE_NAME_SIZE + 32], text[QUEUE_NAME_SIZE], found[4200];

	for (size_t i = 0; i < c->a->cfg->queue_count; i++) {
		const struct pattern *p = &c->a->cfg->queues[i];
		unsigned              n = f->of[i].count;

		(void)pattern_text(p, c->a->cfg->job_id, text);
		(void)snprintf(what, sizeof(what), "queues %s%s", text, p->prefix ? "*" : "");
		(void)snprintf(found, sizeof(found), "%u now%s%s%s", n, n ? ": " : "",
			       n ? f->of[i].names.data : "", n > FOUND_MAX ? ", ..." : "");
		row(c, STATE_OK, what, found, "");
		buf_fini(&f->of[i].names);
	}
}

static void check_broker(struct check *c)
{
	static struct found found;
	struct err          err = { 0 };
	char                what[URL_SIZE + 64];
	int                 r = survey_queues(c->a, on_found, &found, &err);

	(void)snprintf(what, sizeof(what), "broker answers %s", c->a->cfg->rabbitmq_url);
	row(c, r < 0 ? STATE_MISSING : STATE_OK, what, err.msg, "");
	if (r == 0)
		tell_found(c, &found);
}

bool check_run(struct app *a)
{
	struct check c = { .a = a,
			   .json = a->cfg->log_format == LOG_JSON,
			   .colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR") };

	if (!c.json)
		(void)printf("cleanup-grpc %s in namespace %s: Job %s, Service %s\n", VERSION,
			     a->cfg->ns, a->cfg->target_job, a->cfg->target_service);
	bool answers = true;
	for (size_t i = 0; answers && i < ARRAY_SIZE(needs); i++)
		if (is_wanted(a->cfg, &needs[i]))
			answers = check_need(&c, &needs[i]);
	if (answers)
		row(&c, STATE_OK, "API server answers", "", "");
	if (answers)
		check_token(&c);
	if (answers && a->cfg->check_cpu)
		check_metrics(&c);
	if (a->cfg->rabbitmq_url[0])
		check_broker(&c);
	if (!c.json)
		(void)printf("%s\n", c.missing ? "something that is required is missing"
					       : "everything that is required is there");
	return c.missing == 0;
}
