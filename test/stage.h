/*
 * stage.h - worlds for the unit tests, told in words: each word is one thing that happens, folded
 * in by the functions that the program has for it, followed by world_tick(), as run() does.
 *
 *   +10                 ten seconds later
 *   asleep:s=3600       so much later, and the loop has not turned meanwhile
 *   frozen:s=3600       ... nor does it before the next word
 *   job:complete        a request was sent and answered: NAME[:MOD,MOD...]
 *   >job ... <job:...   it was sent; later it is answered
 *   seen:deleted        an event of the watch about the Job; `bookmark:version=9`, `error`
 *   ended:trouble       the watch has ended
 *   signal              SIGTERM
 *   cfg:pending=60      a setting other than the default; before all else
 *   ours:B              it is for the Job with this uid alone
 *
 * The Job is A, its Service S, its pods p, q ...; MODs that are not given have the values of a Job
 * that lives, idle, with one pod.
 */
#ifndef STAGE_H
#define STAGE_H

#include <stdio.h>
#include <stdlib.h>

#include "../plan.h"
#include "../waits.h"
#include "unit.h"

#define START  INT64_C(1000)          /* now_ms() at the start: the machine has just booted */
#define UNIX   INT64_C(1795480000000) /* by the API server's clock, then */
#define JOB_ID "12-70788"
#define JOB    "grpc-job-" JOB_ID

struct stage {
	struct world  w;
	struct config cfg;
	int64_t       now;
	uint64_t      sent[ASKS]; /* by `>name`, not answered yet */
	int64_t       sent_ms[ASKS];
};

static const char *const ask_words[ASKS] = {
	[ASK_SELF] = "self",
	[ASK_LIST] = "list",
	[ASK_WATCH] = "watch",
	[ASK_JOB] = "job",
	[ASK_SERVICE] = "service",
	[ASK_ADOPT] = "adopt",
	[ASK_METRICS] = "metrics",
	[ASK_POD_METRICS] = "pod-metrics",
	[ASK_PODS] = "pods",
	[ASK_DELETE_JOB] = "delete-job",
	[ASK_DELETE_POD] = "delete-pod",
	[ASK_DELETE_SERVICE] = "delete-service",
	[ASK_EVENT] = "tell",
	[ASK_QUEUES] = "queues",
	[ASK_NEIGHBOUR] = "neighbour",
	[ASK_DELETE_QUEUE] = "delete-queue",
	[ASK_DELETE_SELF] = "delete-self",
};

/* ---- Modifiers ---- */

/* The value of `key=value` or, of `key` alone, ""; NULL: there is no such modifier. */
static inline const char *mod(const char *mods, const char *key)
{
	static char value[256];
	size_t      n = strlen(key);

	for (const char *p = mods; *p; p += strcspn(p, ","), p += *p == ',') {
		if (strncmp(p, key, n) != 0 || (p[n] && p[n] != ',' && p[n] != '='))
			continue;
		p += n;
		p += *p == '=';
		(void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(p, ","), p);
		return value;
	}
	return NULL;
}

/* Seconds, in ms. */
static inline int64_t mod_ms(const char *mods, const char *key, int64_t absent)
{
	const char *v = mod(mods, key);

	return v ? (int64_t)(strtod(v, NULL) * 1000 + (v[0] == '-' ? -0.5 : 0.5)) : absent;
}

static inline int64_t mod_n(const char *mods, const char *key, int64_t absent)
{
	const char *v = mod(mods, key);

	return v ? strtoll(v, NULL, 10) : absent;
}

static inline void mod_str(const char *mods, const char *key, const char *absent, char *out,
			   size_t size)
{
	const char *v = mod(mods, key);

	assert_int_equal(copy_str(out, size, v ? v : absent), 0);
}

/* ---- Answers ---- */

static inline int64_t stage_unix_ms(const struct stage *s)
{
	return UNIX + s->now - START;
}

static inline enum k8s_answer stage_what(const char *mods, long *ret_status)
{
	static const struct {
		const char     *word;
		enum k8s_answer what;
		long            status;
	} words[] = {
		{ "absent", K8S_ABSENT, 404 },         { "conflict", K8S_CONFLICT, 409 },
		{ "expired", K8S_EXPIRED, 410 },       { "unauthorized", K8S_UNAUTHORIZED, 401 },
		{ "refused", K8S_REFUSED, 403 },       { "unusable", K8S_REFUSED, 422 },
		{ "unreachable", K8S_UNREACHABLE, 0 }, { "trouble", K8S_TROUBLE, 503 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (mod(mods, words[i].word)) {
			*ret_status = words[i].status;
			return words[i].what;
		}
	*ret_status = 200;
	return K8S_OK;
}

static inline struct k8s_job stage_job(const char *mods)
{
	struct k8s_job j = { .finished = mod(mods, "complete") ? JOB_COMPLETE
					 : mod(mods, "failed") ? JOB_FAILED
							       : JOB_NOT_FINISHED,
			     .finished_ms = -1,
			     .created_ms = -1,
			     .started_ms = -1,
			     .ttl_ms = mod_ms(mods, "ttl", -1),
			     .active = (uint32_t)mod_n(mods, "active", 1),
			     .ready = (int32_t)mod_n(mods, "ready", 1),
			     .suspended = mod(mods, "suspended"),
			     .deleting = mod(mods, "deleting"),
			     .foreground = mod(mods, "foreground"),
			     .orphaning = mod(mods, "orphaning"),
			     .one_pod = !mod(mods, "parallel"),
			     .retries = mod(mods, "retries"),
			     .has_hold = mod(mods, "hold") };

	mod_str(mods, "uid", "A", j.uid, sizeof(j.uid));
	mod_str(mods, "version", "1", j.version, sizeof(j.version));
	mod_str(mods, "hold", "", j.hold, sizeof(j.hold));
	mod_str(mods, "ending", "", j.ending, sizeof(j.ending));
	if (!mod(mods, "unselectable"))
		(void)snprintf(j.selector, sizeof(j.selector), "controller-uid=%s", j.uid);
	if (mod(mods, "finished"))
		j.finished_ms = UNIX + mod_ms(mods, "finished", 0);
	if (mod(mods, "created"))
		j.created_ms = UNIX + mod_ms(mods, "created", 0);
	if (mod(mods, "started"))
		j.started_ms = UNIX + mod_ms(mods, "started", 0);
	return j;
}

/* `pods=p+q` (default p), `cpu=9` (millicores of each; default 1), `at=30` (s of the sample),
 * `container=x`, `side=900` (one more container, and its CPU), `none`. */
static inline struct pod_metrics stage_metrics(const struct stage *s, const char *mods)
{
	struct pod_metrics m = { 0 };
	struct buf         b = { .max = 10000 };
	char               names[64], container[64], side[100] = "", at[RFC3339_SIZE];
	const char        *sep = "";

	mod_str(mods, "pods", "p", names, sizeof(names));
	mod_str(mods, "container", "grpc", container, sizeof(container));
	if (mod(mods, "side"))
		(void)snprintf(side, sizeof(side),
			       ",{\"name\":\"side\",\"usage\":{\"cpu\":\"%dm\"}}",
			       (int)mod_n(mods, "side", 0));
	rfc3339_format(at, UNIX + mod_ms(mods, "at", s->now - START), false);
	assert_int_equal(buf_printf(&b, "{\"kind\":\"PodMetricsList\",\"items\":["), 0);
	for (const char *p = mod(mods, "none") ? "" : names; *p; p++) {
		if (*p == '+')
			continue;
		assert_int_equal(
			buf_printf(&b,
				   "%s{\"metadata\":{\"name\":\"%c\"},\"timestamp\":\"%s\","
				   "\"window\":\"15s\",\"containers\":[{\"name\":\"%s\",\"usage\":{"
				   "\"cpu\":\"%dm\"}}%s]}",
				   sep, *p, at, container, (int)mod_n(mods, "cpu", 1), side),
			0);
		sep = ",";
	}
	assert_int_equal(buf_printf(&b, "]}"), 0);
	assert_int_equal(pod_metrics_decode(b.data, b.len, &m, NULL), 0);
	buf_fini(&b);
	return m;
}

/* @ended: `/ended3`: with exit code 3, for good; `/ended3?`: not for good. NULL: it runs. */
static inline void stage_container(struct k8s_pod *p, const char *name, const char *ended)
{
	p->containers[p->container_count++] = (struct k8s_container){
		.name = strdup(name),
		.main = true,
		.running = !ended,
		.ended = ended,
		.for_good = ended && !strchr(ended, '?'),
		.exit_code = ended ? (int)strtol(ended + 6, NULL, 10) : 0,
		.ended_ms = -1,
	};
}

static inline void stage_pod(const struct stage *s, const char *text, struct k8s_pod *p)
{
	*p = (struct k8s_pod){ .deletion_ms = -1,
			       .created_ms = strstr(text, "/young")     ? UNIX
					     : strstr(text, "/ageless") ? -1
									: UNIX - 86400000 };
	p->name[0] = text[0];
	(void)snprintf(p->uid, sizeof(p->uid), "uid-%c", text[0]);
	p->finished = strstr(text, "/finished");
	p->running = !p->finished && !strstr(text, "/pending");
	p->ready = p->running && !strstr(text, "/unready");
	p->ran = p->ready || strstr(text, "/ran");
	p->deleting = strstr(text, "/deleting") || strstr(text, "/lost");
	if (strstr(text, "/deleting"))
		p->deletion_ms = stage_unix_ms(s) + 30000;
	if (strstr(text, "/lost")) /* for so many seconds */
		p->deletion_ms = stage_unix_ms(s) -
				 (int64_t)(strtod(strstr(text, "/lost") + 5, NULL) * 1000);
	if (strstr(text, "/waiting"))
		(void)copy_str(p->waiting, sizeof(p->waiting), "CrashLoopBackOff");
	if (strstr(text, "/unscheduled"))
		p->unscheduled = true;
	p->containers = calloc(2, sizeof(*p->containers));
	assert_non_null(p->containers);
	if (p->running)
		stage_container(p, "grpc", strstr(text, "/ended"));
	if (strstr(text, "/side"))
		stage_container(p, "side", NULL);
}

/* `p`, `q/deleting` ...: names have one letter. */
static inline struct k8s_pods stage_pods(const struct stage *s, const char *mods)
{
	struct k8s_pods pods = { .items = calloc(20, sizeof(struct k8s_pod)) };

	assert_non_null(pods.items);
	for (const char *p = mods; *p; p += strcspn(p, ","), p += *p == ',') {
		char text[64];
		(void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(p, ","), p);
		if (strlen(text) == 1 || text[1] == '/')
			stage_pod(s, text, &pods.items[pods.count++]);
	}
	return pods;
}

/* `x+y`: the names behind our prefix; `more`: there is a page behind it. */
static inline void stage_page(const char *mods, struct rabbitmq_page *page)
{
	char names[256];

	*page = (struct rabbitmq_page){ .last = !mod(mods, "more") };
	mod_str(mods, "names", "", names, sizeof(names));
	for (const char *p = names; *p; p += strcspn(p, "+"), p += *p == '+')
		(void)snprintf(page->names[page->count++], RABBITMQ_NAME_SIZE, JOB "-%.*s",
			       (int)strcspn(p, "+"), p);
}

static inline void stage_body(const struct stage *s, const char *mods, struct answer *r)
{
	if (r->ask == ASK_SELF || r->ask == ASK_JOB || r->ask == ASK_LIST)
		r->job = stage_job(mods);
	if (r->ask == ASK_SELF)
		(void)copy_str(r->job.uid, sizeof(r->job.uid), "SELF");
	if (r->ask == ASK_SELF && s->cfg.swept_before_ms && !mod(mods, "created"))
		r->job.created_ms = UNIX - 86400000;
	if (r->ask == ASK_LIST) {
		r->found = !mod(mods, "empty");
		(void)copy_str(r->version, sizeof(r->version), "100");
	}
	if (r->ask == ASK_SERVICE || r->ask == ASK_ADOPT) {
		mod_str(mods, "uid", "S", r->service.uid, sizeof(r->service.uid));
		r->service.created_ms = UNIX + mod_ms(mods, "created", -86400000);
		r->service.owned =
			mod(mods, "owned") || (r->ask == ASK_ADOPT && !mod(mods, "stripped"));
		r->service.deleting = mod(mods, "deleting");
	}
	if (r->ask == ASK_METRICS || r->ask == ASK_POD_METRICS)
		r->metrics = stage_metrics(s, mods);
	if (r->ask == ASK_PODS)
		r->pods = stage_pods(s, mods);
	if (r->ask == ASK_QUEUES)
		stage_page(mods, r->page);
	r->kept = mod(mods, "kept");
}

static inline void stage_answer(struct stage *s, enum ask a, const char *mods)
{
	static struct rabbitmq_page page;
	struct answer               r = { .ask = a,
					  .date_ms = mod(mods, "nodate")
							     ? -1
							     : stage_unix_ms(s) + mod_ms(mods, "clock", 0),
					  .page = &page };
	char                        words[300];

	assert_true(s->sent[a]); /* it was sent */
	mod_str(mods, "words", "no", words, sizeof(words));
	r.is = (struct asked_answer){ .sent = s->sent[a],
				      .sent_ms = s->sent_ms[a],
				      .retry_after_ms = mod_ms(mods, "retry", 0),
				      .words = words,
				      .rnd = (uint32_t)mod_n(mods, "rnd", 0) };
	r.is.what = stage_what(mods, &r.is.status);
	r.is.status = mod_n(mods, "status", r.is.status);
	if (r.is.what == K8S_OK)
		stage_body(s, mods, &r);
	s->sent[a] = 0;
	world_fold(&s->w, &s->cfg, &r, s->now);
	k8s_pods_fini(&r.pods);
	pod_metrics_fini(&r.metrics);
}

static inline void stage_send(struct stage *s, enum ask a)
{
	s->sent[a] = world_sent(&s->w, &s->cfg, a, s->now);
	s->sent_ms[a] = s->now;
}

static inline void stage_event(struct stage *s, const char *mods)
{
	struct watch_event ev = { .type = mod(mods, "deleted") ? WATCH_DELETED : WATCH_MODIFIED,
				  .job = stage_job(mods) };

	mod_str(mods, "version", "200", ev.version, sizeof(ev.version));
	world_fold_event(&s->w, &ev);
}

static inline void stage_other_event(struct stage *s, enum watch_type type, const char *mods)
{
	struct watch_event ev = { .type = type };

	mod_str(mods, "version", "300", ev.version, sizeof(ev.version));
	world_fold_event(&s->w, &ev);
}

static inline void stage_watch_ended(struct stage *s, const char *mods)
{
	struct answer r = { .ask = ASK_WATCH, .date_ms = -1 };

	r.is = (struct asked_answer){ .sent = s->w.seq,
				      .sent_ms = s->w.watch_ms,
				      .retry_after_ms = mod_ms(mods, "retry", 0),
				      .words = "no",
				      .rnd = (uint32_t)mod_n(mods, "rnd", 0) };
	r.is.what = stage_what(mods, &r.is.status);
	world_watch_ended(&s->w, &r, s->now);
}

/* ---- Settings ---- */

static inline void stage_defaults(struct config *cfg)
{
	*cfg = (struct config){ .target_job = JOB,
				.target_service = "grpc-service-12-70788",
				.self_job = "cleanup-job-12-70788",
				.ns = "ns",
				.threshold_nanocores = 4000000,
				.max_idle_count = 5,
				.check_cpu = true,
				.interval_ms = 10000,
				.min_distinct_samples = 2,
				.missing_timeout_ms = 60000,
				.adopt_service = true,
				.delete_self = true,
				.teardown_timeout_ms = 600000,
				.job_id = JOB_ID,
				.queues = { { .text = "grpc-job-\1-", .prefix = true } },
				.queue_count = 1 };
}

static inline void stage_config(struct config *cfg, const char *mods)
{
	cfg->check_cpu = !mod(mods, "nocheck");
	cfg->delete_self = !mod(mods, "noself");
	cfg->adopt_service = !mod(mods, "noadopt");
	cfg->dry_run = mod(mods, "dry");
	if (mod(mods, "broker"))
		(void)copy_str(cfg->rabbitmq_url, sizeof(cfg->rabbitmq_url), "http://broker:15672");
	mod_str(mods, "container", "", cfg->target_container, sizeof(cfg->target_container));
	cfg->max_idle_count = (uint32_t)mod_n(mods, "count", cfg->max_idle_count);
	cfg->min_distinct_samples = (uint32_t)mod_n(mods, "distinct", cfg->min_distinct_samples);
	cfg->interval_ms = mod_ms(mods, "interval", cfg->interval_ms);
	cfg->startup_grace_ms = mod_ms(mods, "startup", 0);
	cfg->pending_timeout_ms = mod_ms(mods, "pending", 0);
	cfg->missing_timeout_ms = mod_ms(mods, "missing", cfg->missing_timeout_ms);
	cfg->completed_grace_ms = mod_ms(mods, "completed-grace", 0);
	cfg->failed_grace_ms = mod_ms(mods, "failed-grace", 0);
	cfg->swept_before_ms = mod(mods, "sweep") ? UNIX + mod_ms(mods, "sweep", 0) : 0;
	cfg->teardown_timeout_ms = mod_ms(mods, "teardown", cfg->teardown_timeout_ms);
}

/* ---- The tale ---- */

static inline void stage_ask_word(struct stage *s, const char *name, const char *mods, char how)
{
	for (enum ask a = 0; a < ASKS; a++)
		if (strcmp(ask_words[a], name) == 0) {
			if (how != '<')
				stage_send(s, a);
			if (how != '>' && a != ASK_WATCH)
				stage_answer(s, a, mods);
			return;
		}
	fail_msg("no such word: %s", name);
}

static inline void stage_tick(struct stage *s)
{
	world_tick(&s->w, &s->cfg, s->now);
	waits_tick(&s->w, &s->cfg, s->now);
}

/* The loop turns once a minute at least. */
static inline void stage_wait(struct stage *s, int64_t ms)
{
	int64_t until = s->now + ms;

	while (s->now < until) {
		s->now = min_ms(s->now + 30000, until);
		stage_tick(s);
	}
}

static inline void stage_word(struct stage *s, char *word)
{
	char  how = strchr("<>+", *word) ? *word++ : ' ';
	char *mods = word + strcspn(word, ":");

	if (*mods)
		*mods++ = '\0';
	if (how == '+')
		stage_wait(s, (int64_t)(strtod(word, NULL) * 1000 + 0.5));
	else if (strcmp(word, "asleep") == 0 || strcmp(word, "frozen") == 0)
		s->now += mod_ms(mods, "s", 0);
	else if (strcmp(word, "cfg") == 0)
		stage_config(&s->cfg, mods);
	else if (strcmp(word, "ours") == 0)
		assert_int_equal(copy_str(s->w.job.uid, sizeof(s->w.job.uid), mods), 0);
	else if (strcmp(word, "seen") == 0)
		stage_event(s, mods);
	else if (strcmp(word, "bookmark") == 0)
		stage_other_event(s, WATCH_BOOKMARK, mods);
	else if (strcmp(word, "error") == 0)
		stage_other_event(s, WATCH_ERROR, mods);
	else if (strcmp(word, "ended") == 0)
		stage_watch_ended(s, mods);
	else if (strcmp(word, "signal") == 0)
		world_signal(&s->w, s->now);
	else
		stage_ask_word(s, word, mods, how);
	if (strcmp(word, "frozen") != 0)
		stage_tick(s);
}

/* What has happened so far; more may be told by stage_tell(). */
static inline void stage_tell(struct stage *s, const char *tale)
{
	for (const char *p = tale + strspn(tale, " "); *p; p += strspn(p, " ")) {
		char word[600];
		(void)snprintf(word, sizeof(word), "%.*s", (int)strcspn(p, " "), p);
		p += strcspn(p, " ");
		stage_word(s, word);
	}
}

static inline void stage_open(struct stage *s, const char *tale)
{
	*s = (struct stage){ .now = START };
	stage_defaults(&s->cfg);
	world_init(&s->w, s->now);
	stage_tell(s, tale);
}

static inline void stage_close(struct stage *s)
{
	world_fini(&s->w);
}

#endif
