#include "report.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const fate_names[] = { "none",     "off",      "deleted",   "absent",
					  "newcomer", "deleting", "forbidden", "left" };
_Static_assert(ARRAY_SIZE(fate_names) == FATE_LEFT + 1, "name every fate");

static const char *const trigger_names[] = { "none",    "completed", "failed", "idle",
					     "pending", "gone",      "missing" };
_Static_assert(ARRAY_SIZE(trigger_names) == TRIGGER_MISSING + 1, "name every trigger");

static const char *const server_names[] = { "API server trouble", "metrics API trouble",
					    "broker trouble" };
_Static_assert(ARRAY_SIZE(server_names) == SERVER_BROKER + 1, "name every server");

const char *fate_name(enum fate f)
{
	return fate_names[f];
}

const char *trigger_name(enum trigger t)
{
	return trigger_names[t];
}

/* ---- What has changed ---- */

static void tell_state(struct report *r, const struct world *w, const struct config *cfg)
{
	const char *state = job_state(w), *before = r->state ? r->state : "awaited";

	r->state = state;
	if (strcmp(state, before) != 0)
		log_info("job state", LS("job", cfg->target_job), LS("from", before),
			 LS("to", state),
			 LS(w->name == NAME_OTHER ? "our_uid" : "uid", w->job.uid));
	if (w->name == NAME_OTHER && strcmp(state, before) != 0)
		log_warn("another job has our job's name, it and what belongs to it are left alone",
			 LS("job", cfg->target_job), LS("our_uid", w->job.uid));
}

static void tell_hold(struct report *r, const struct world *w, const struct config *cfg,
		      int64_t now)
{
	enum hold h = job_hold(w, now, NULL);
	bool      held = h == HOLD_ON || h == HOLD_INVALID;

	if (!job_is_live(w) || (held == r->held && (!held || strcmp(r->hold, w->job.hold) == 0)))
		return;
	if (held)
		(void)copy_str(r->hold, sizeof(r->hold), w->job.hold); /* same size */
	r->held = held;
	if (!held)
		log_info("hold ended", LS("job", cfg->target_job), LS("value", r->hold));
	else if (h == HOLD_INVALID)
		log_warn("held, by a value that is neither \"true\" nor an RFC 3339 time",
			 LS("job", cfg->target_job), LS("annotation", K8S_HOLD_ANNOTATION),
			 LS("value", r->hold));
	else
		log_info("held", LS("job", cfg->target_job), LS("annotation", K8S_HOLD_ANNOTATION),
			 LS("value", r->hold));
}

static void tell_adoption(struct report *r, const struct world *w, const struct config *cfg)
{
	const char *uid = w->service.adopted;

	if (strcmp(r->adopted, uid) == 0)
		return;
	(void)copy_str(r->adopted, sizeof(r->adopted), uid); /* same size */
	r->not_adopted = false;
	log_info("service adopted", LS("service", cfg->target_service),
		 LS("owner", cfg->target_job));
}

static void tell_trigger(struct report *r, const struct world *w, const struct config *cfg)
{
	enum trigger t = world_trigger(w);
	char         words[128];

	if (t == r->trigger)
		return;
	r->trigger = t;
	if (!t || w->name == NAME_OTHER)
		return;
	report_words(w, cfg, t, words, sizeof(words));
	log_info("teardown", LS("trigger", trigger_name(t)), LS("job", cfg->target_job),
		 LS("uid", w->job.uid), LS("why", words));
}

static void tell_grace(struct report *r, const struct world *w, const struct config *cfg,
		       int64_t now)
{
	int64_t until = job_kept_until_ms(w, cfg), ttl = w->job.ttl_ms;

	if (r->kept || until <= now || cfg->dry_run)
		return;
	r->kept = true;
	log_info("finished job is kept", LS("job", cfg->target_job),
		 LI("seconds", (until - now) / 1000));
	int64_t grace =
		w->job.finished == JOB_COMPLETE ? cfg->completed_grace_ms : cfg->failed_grace_ms;
	if (ttl >= 0 && grace > ttl)
		log_warn(
			"the grace is longer than the Job's ttlSecondsAfterFinished, which ends it",
			LS("job", cfg->target_job), LI("grace_s", grace / 1000),
			LI("ttl_s", ttl / 1000));
}

static enum fate tell_fate(const char *what, const char *name, enum fate before, enum fate f)
{
	if (f == before || f == FATE_NONE || f == FATE_OFF)
		return f;
	if (fate_is_left(f))
		log_warn(what, LS("name", name), LS("outcome", fate_name(f)));
	else
		log_info(what, LS("name", name), LS("outcome", fate_name(f)));
	return f;
}

/* The queues that stay, as far as they are known: refused ones, and those not come to; or NULL. */
static const char *queue_left(const struct queues *q, size_t i)
{
	bool   pending = q->step == QUEUES_NEIGHBOUR || q->step == QUEUES_DELETE;
	size_t next = q->next + (i - q->refused.count);

	if (i < q->refused.count)
		return q->refused.names[i];
	return pending && next < q->page.count ? q->page.names[next] : NULL;
}

static void tell_queues(const struct world *w, const struct config *cfg, enum fate before,
			enum fate f)
{
	const struct queues *q = &w->queues;
	const char          *name;

	if (f == before || f == FATE_NONE || f == FATE_OFF)
		return;
	for (size_t i = 0; fate_is_left(f) && (name = queue_left(q, i)) != NULL; i++)
		log_warn("queue", LS("name", name),
			 LS("outcome", i < q->refused.count ? "refused" : "left"),
			 LIF(i < q->refused.count, LS("error", q->why)));
	LOG_(fate_is_left(f) ? LOG_WARN : LOG_INFO, "queues", LS("names", cfg->rabbitmq_queues),
	     LS("outcome", fate_name(f)), LI("count", q->deleted));
}

static void tell_fates(struct report *r, const struct world *w, const struct config *cfg,
		       int64_t now)
{
	struct fates f = fates_of(w, cfg, now), *told = &r->fates;

	if (!w->over.trigger) {
		*told = (struct fates){ 0 };
		return;
	}
	told->job = tell_fate("job", cfg->target_job, told->job, f.job);
	if (fate_is_left(f.pods))
		told->pods = tell_fate("pods", cfg->target_job, told->pods, f.pods);
	told->service = tell_fate("service", cfg->target_service, told->service, f.service);
	tell_queues(w, cfg, told->queues, f.queues);
	told->queues = f.queues;
	if (w->asked[ASK_DELETE_SELF].sent)
		told->self = tell_fate("self", cfg->self_job, told->self, f.self);
}

void report_changes(struct report *r, const struct world *w, const struct config *cfg, int64_t now)
{
	tell_state(r, w, cfg);
	tell_hold(r, w, cfg, now);
	tell_adoption(r, w, cfg);
	tell_trigger(r, w, cfg);
	tell_grace(r, w, cfg, now);
	report_container(r, w, cfg, now);
	report_waiting(r, w, cfg, now);
	if (!cfg->dry_run)
		tell_fates(r, w, cfg, now);
	/* unknown without a reading: suspended, or the last look did not bear it out */
	if (job_is_live(w) && w->idle.reading == READING_UNKNOWN && r->why != w->idle.why &&
	    !job_is_on_hold(w, now))
		report_reading(r, w, cfg);
}

/* ---- Requests that fail ---- */

/* What is lost without it, where that is a permission; NULL: nothing is to be said. */
static const char *lost_without(const struct world *w, enum ask a)
{
	switch (a) {
	case ASK_LIST:
	case ASK_WATCH: return "no watch: the Job is read at each check instead";
	case ASK_JOB: return "the Job cannot be read, and no job is torn down";
	case ASK_SERVICE: return "the Service's uid is not known, and it stays";
	case ASK_ADOPT: return "the Service is not adopted";
	case ASK_METRICS: return "no idle trigger, unless each pod's metrics may be read";
	case ASK_POD_METRICS: return "no idle trigger";
	case ASK_PODS: return "no last look at the pods, no wait for them";
	case ASK_DELETE_JOB:
		return w->over.trigger ? "the Job stays"
				       : "the Job stays, and is watched as before";
	case ASK_DELETE_POD: return "a pod outlives its job";
	case ASK_DELETE_SERVICE: return "the Service stays";
	case ASK_EVENT: return "no events";
	case ASK_SELF:
	case ASK_DELETE_SELF: return "our own Job waits for its TTL";
	case ASK_NEIGHBOUR:
	case ASK_QUEUES:
	case ASK_DELETE_QUEUE: break;
	}
	return "queues may stay";
}

static void tell_refusal(struct report *r, const struct world *w, const struct config *cfg,
			 const struct answer *x, const struct k8s_request *q, bool by_role,
			 const char *words)
{
	unsigned count = w->asked[x->ask].refused;
	bool     once = x->ask == ASK_EVENT; /* there is no second try */
	char     rule[128];

	if (count != (once ? 1 : REFUSED_BELIEVED)) {
		log_debug("refused", LS("verb", k8s_verb_name(q->verb)),
			  LS("resource", k8s_resource_name(q->resource)), LS("error", words));
		return;
	}
	r->refused[x->ask] = true;
	(void)snprintf(rule, sizeof(rule),
		       "{apiGroups: [\"%s\"], resources: [\"%s\"], verbs: [\"%s\"]}",
		       k8s_resource_group(q->resource), k8s_resource_name(q->resource),
		       k8s_verb_name(q->verb));
	log_warn(by_role ? "permission missing" : "request refused",
		 LS("verb", k8s_verb_name(q->verb)), LS("resource", k8s_resource_name(q->resource)),
		 LS("api_group", k8s_resource_group(q->resource)), LS("namespace", cfg->ns),
		 LI("status", x->is.status), LS("without_it", lost_without(w, x->ask)),
		 LS("error", words), LIF(by_role, LS("rule", rule)));
}

static enum server server_of(const struct answer *x)
{
	if (x->ask == ASK_QUEUES || x->ask == ASK_DELETE_QUEUE)
		return SERVER_BROKER;
	return (x->ask == ASK_METRICS || x->ask == ASK_POD_METRICS) && x->is.what != K8S_UNREACHABLE
		       ? SERVER_METRICS
		       : SERVER_API;
}

static void tell_failure(struct report *r, const struct world *w, const struct answer *x,
			 const char *verb, const char *resource, const char *words, int64_t now)
{
	struct trouble *t = &r->troubles[x->ask];
	enum server     s = server_of(x);

	if (!t->since_ms) {
		t->since_ms = now;
		t->told = false;
	}
	if (r->line_ms[s] && now - r->line_ms[s] < TROUBLE_LINE_EVERY_MS)
		return;
	r->line_ms[s] = now;
	t->told = true;
	t->server = s;
	int64_t retry = w->asked[x->ask].due_ms - now;
	log_warn(server_names[s], LS("verb", verb), LS("resource", resource),
		 LI("status", x->is.status), LS("error", words),
		 LI("failing_s", (now - t->since_ms) / 1000),
		 LI("retry_ms", retry > 0 ? retry : 0));
}

static void tell_recovery(struct report *r, const struct answer *x, const struct k8s_request *q,
			  int64_t now)
{
	struct trouble *t = &r->troubles[x->ask];
	const char *verb = q ? k8s_verb_name(q->verb) : x->ask == ASK_QUEUES ? "list" : "delete";
	const char *resource = q ? k8s_resource_name(q->resource) : "queues";

	if (t->since_ms && t->told)
		log_info("recovered", LS("from", server_names[t->server]), LS("verb", verb),
			 LS("resource", resource), LI("failed_s", (now - t->since_ms) / 1000));
	else if (r->refused[x->ask])
		log_info("no longer refused", LS("verb", verb), LS("resource", resource));
	t->since_ms = 0;
	r->refused[x->ask] = false;
}

/* The broker's no to a queue, or to us; the rest is trouble like any other. */
static void tell_broker(struct report *r, const struct world *w, const struct config *cfg,
			const struct answer *x, const char *words, int64_t now)
{
	const char *verb = x->ask == ASK_QUEUES ? "list" : "delete";

	bool again = x->ask == ASK_DELETE_QUEUE && w->queues.refused.count > 1;

	if (x->is.what == K8S_ABSENT)
		log_warn("the broker does not know our virtual host",
			 LS("vhost", cfg->rabbitmq_vhost), LS("url", cfg->rabbitmq_url),
			 LI("status", x->is.status), LS("error", words));
	else if (x->is.what == K8S_REFUSED)
		LOG_(again ? LOG_DEBUG : LOG_WARN, "the broker refuses our user",
		     LS("user", cfg->rabbitmq_user), LS("verb", verb), LI("status", x->is.status),
		     LS("error", words));
	else if (x->is.what == K8S_CONFLICT && x->ask == ASK_DELETE_QUEUE)
		log_debug("queue", LS("outcome", "refused"), LS("error", words));
	else
		tell_failure(r, w, x, verb, "queues", words, now);
}

/* Where a request is for one of many things, its success says nothing of the one that fails. */
static bool is_recovery(const struct world *w, enum ask a)
{
	if (a == ASK_DELETE_QUEUE || a == ASK_NEIGHBOUR)
		return !w->queues.refused.count;
	if (a == ASK_POD_METRICS)
		return !w->idle.gathering;
	return a != ASK_DELETE_POD || !staying_pod(w);
}

/* Accepted without effect, or a conflict twice: what is refused has a line of its own. Once. */
static void tell_not_adopted(struct report *r, const struct world *w, const struct config *cfg,
			     const struct answer *x, const char *words)
{
	bool stripped = x->is.what == K8S_OK && !x->service.owned;
	bool conflict = x->is.what == K8S_CONFLICT && w->asked[ASK_ADOPT].failed > 1;

	if (x->ask != ASK_ADOPT || r->not_adopted || !(stripped || conflict))
		return;
	r->not_adopted = true;
	log_warn("service not adopted", LS("service", cfg->target_service),
		 LI("status", x->is.status),
		 LS("error", stripped ? "accepted, but the owner is not in the answer" : words),
		 LS("without_it", "it stays if the cleaner dies before the Job goes"));
}

void report_answer(struct report *r, const struct world *w, const struct config *cfg,
		   const struct answer *x, const struct k8s_request *q, bool by_role,
		   const char *words, int64_t now)
{
	tell_not_adopted(r, w, cfg, x, words);
	switch (x->is.what) {
	case K8S_OK:
	case K8S_ABSENT:
		if (is_recovery(w, x->ask))
			tell_recovery(r, x, q, now);
		if (x->ask == ASK_QUEUES && x->is.what == K8S_ABSENT && w->queues.final)
			tell_broker(r, w, cfg, x, words, now);
		break;
	case K8S_REFUSED:
		r->troubles[x->ask].since_ms = 0;
		if (q)
			tell_refusal(r, w, cfg, x, q, by_role, words);
		else
			tell_broker(r, w, cfg, x, words, now);
		break;
	case K8S_CONFLICT:
		if (x->ask == ASK_EVENT || x->ask == ASK_DELETE_SELF)
			break; /* it is there already; it is another's */
		if (!q)
			tell_broker(r, w, cfg, x, words, now);
		else
			log_debug("conflict", LS("verb", k8s_verb_name(q->verb)),
				  LS("resource", k8s_resource_name(q->resource)),
				  LS("error", words));
		break;
	case K8S_EXPIRED:
	case K8S_UNAUTHORIZED:
	case K8S_UNREACHABLE:
	case K8S_TROUBLE:
		if (x->ask == ASK_EVENT)
			log_info("event not recorded", LI("status", x->is.status),
				 LS("error", words));
		else if (!q)
			tell_broker(r, w, cfg, x, words, now);
		else
			tell_failure(r, w, x, k8s_verb_name(q->verb),
				     k8s_resource_name(q->resource), words, now);
		break;
	}
}

/* ---- Events ---- */

static void idle_words(const struct world *w, const struct config *cfg, char *out, size_t size)
{
	const struct idle_count *c = &w->idle.count;
	char                     cpu[CPU_TEXT_SIZE], limit[CPU_TEXT_SIZE];

	cpu_format(cpu, w->idle.cpu);
	cpu_format(limit, cfg->threshold_nanocores);
	(void)snprintf(out, size, "CPU %s <= %s at %u checks over %llds", cpu, limit, c->count,
		       (long long)((c->last_ms - c->first_ms + 500) / 1000));
}

void report_words(const struct world *w, const struct config *cfg, enum trigger t, char *out,
		  size_t size)
{
	switch (t) {
	case TRIGGER_IDLE: idle_words(w, cfg, out, size); break;
	case TRIGGER_PENDING:
		(void)snprintf(out, size, "no pod was ready for %llds",
			       (long long)(cfg->pending_timeout_ms / 1000));
		break;
	case TRIGGER_COMPLETED:
	case TRIGGER_FAILED:
		if (w->job.finished)
			(void)snprintf(out, size, "the Job %s", trigger_name(t));
		else
			(void)snprintf(out, size, "container %s ended with exit code %d",
				       cfg->target_container, w->ended.exit_code);
		break;
	case TRIGGER_GONE: (void)snprintf(out, size, "the Job was deleted"); break;
	case TRIGGER_MISSING:
		if (cfg->swept_before_ms)
			(void)snprintf(out, size, "the Job does not exist");
		else
			(void)snprintf(out, size, "the Job never appeared within %llds",
				       (long long)(cfg->missing_timeout_ms / 1000));
		break;
	case TRIGGER_NONE: out[0] = '\0'; break;
	}
}

static const char *event_reason(enum trigger t)
{
	switch (t) {
	case TRIGGER_COMPLETED: return "CleanupCompleted";
	case TRIGGER_FAILED: return "CleanupFailed";
	case TRIGGER_IDLE: return "CleanupIdle";
	case TRIGGER_PENDING: return "CleanupPending";
	case TRIGGER_NONE:
	case TRIGGER_GONE:
	case TRIGGER_MISSING: break;
	}
	return "CleanupGone"; /* one that was being deleted, by us in the end */
}

static char *event_new(const struct world *w, const struct config *cfg, const char *reason,
		       const char *words, bool warning, int64_t cause)
{
	return k8s_event_new(cfg->ns, cfg->target_job, w->job.uid, reason, words, warning, cause,
			     wall_ms());
}

char *report_event_new(const struct world *w, const struct config *cfg)
{
	enum trigger t = world_trigger(w);
	char         words[400];

	if (!w->event_due && !w->refusal_due) /* its name is fixed: a restart does not double it */
		return event_new(w, cfg, "CleanupWaiting", w->waiting.words, false,
				 w->waiting.number);
	if (!w->event_due) {
		(void)snprintf(words, sizeof(words), "the Job's DELETE was refused, %s: %.300s",
			       w->over.trigger ? "it is tried again" : "it is watched as before",
			       w->asked[ASK_DELETE_JOB].words);
		return event_new(w, cfg, "CleanupRefused", words, true,
				 w->asked[ASK_DELETE_JOB].sent_ms);
	}
	int64_t cause = t == TRIGGER_IDLE      ? w->idle.count.first_ms
			: t == TRIGGER_PENDING ? w->pending_since_ms
			: w->job.finished      ? w->job.finished_ms
					       : w->ended.unix_ms;
	report_words(w, cfg, t, words, sizeof(words));
	return event_new(w, cfg, event_reason(t), words, false, cause);
}

static void put_left(struct buf *b, const char *what, const char *name, enum fate f)
{
	if (fate_is_left(f)) /* too long to fit: left out, the log has it */
		(void)buf_printf(b, "%s%s %s (%s)", b->len ? ", " : "left behind: ", what, name,
				 fate_name(f));
}

/* As many as fit, and how many do not. */
static void put_queues(struct buf *b, const char *before, const struct queues *q)
{
	size_t      max = b->max, count = 0, more = q->more;
	const char *name;

	b->max -= sizeof(", and 12345678 more");
	while ((name = queue_left(q, count++)) != NULL)
		more += more > q->more ||
			buf_printf(b, "%s%s", count > 1 ? ", " : before, name) < 0;
	b->max = max;
	if (more)
		(void)buf_printf(b, ", and %zu more", more);
}

char *report_left_event_new(const struct world *w, const struct config *cfg, const struct fates *f)
{
	struct buf words = { .max = 900 }; /* an Event's message: 1024 bytes */
	char      *event = NULL;

	put_left(&words, "Job", cfg->target_job, f->job);
	put_left(&words, "pods of", cfg->target_job, f->pods);
	put_left(&words, "Service", cfg->target_service, f->service);
	put_left(&words, "queues", cfg->rabbitmq_queues, f->queues);
	if (fate_is_left(f->queues) && queue_left(&w->queues, 0))
		put_queues(&words, ": ", &w->queues);
	if (words.len)
		event = event_new(w, cfg, "CleanupIncomplete", words.data, true, w->over.ms);
	buf_fini(&words);
	return event;
}

/* ---- The summary ---- */

#define SUMMARY_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(9))
#define SUMMARY_BYTES 4000 /* the kubelet keeps 4096 */

/* As many names as fit into the line, and how many do not. */
static void add_queues_left(json_t *o, const struct queues *q)
{
	json_t     *names = json_array();
	const char *name;
	size_t      count = 0, more = q->more;

	if (json_object_set_new(o, "queues_left", names) < 0)
		return;
	while ((name = queue_left(q, count)) != NULL) {
		count++;
		if (json_array_size(names) + 1 < count) /* the line is full */
			continue;
		(void)json_array_append_new(names, json_string(name));
		if (json_dumpb(o, NULL, 0, SUMMARY_FLAGS) > SUMMARY_BYTES)
			(void)json_array_remove(names, json_array_size(names) - 1);
	}
	more += count - json_array_size(names);
	if (more)
		(void)json_object_set_new(o, "queues_left_more", json_integer((json_int_t)more));
}

/* One line, new; NULL when out of memory. */
static char *summary_json(const struct world *w, const struct config *cfg, const struct fates *f,
			  int64_t ms)
{
	bool         queues_left = fate_is_left(f->queues);
	json_auto_t *o =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:o*, s:s*}", "trigger",
			  trigger_name(world_trigger(w)), "job", fate_name(f->job), "service",
			  fate_name(f->service), "queues", fate_name(f->queues), "self",
			  fate_name(f->self), "seconds", (double)ms / 1000, "queue_names",
			  /* names that are no UTF-8 cost themselves, and not the line */
			  queues_left ? json_string(cfg->rabbitmq_queues) : NULL, "pods",
			  fate_is_left(f->pods) ? fate_name(f->pods) : NULL);

	if (o && queues_left)
		add_queues_left(o, &w->queues);
	return o ? json_dumps(o, SUMMARY_FLAGS) : NULL;
}

/* What kubectl describe shows of an ended container; the kubelet has made the file. */
static void write_termination_log(const struct config *cfg, const char *line)
{
	AUTO_CLOSE int fd = open(cfg->termination_log, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd >= 0)
		(void)!dprintf(fd, "%s\n", line);
}

void report_summary(const struct world *w, const struct config *cfg, const struct fates *f,
		    int64_t now)
{
	bool            complete = fates_are_complete(f) && !queues_are_cut_short(w, cfg, now);
	int64_t         ms = now - w->over.ms;
	AUTO_FREE char *json = summary_json(w, cfg, f, ms);
	struct buf      left = { .max = 900 };
	char            seconds[32];

	if (fate_is_left(f->queues))
		put_queues(&left, "", &w->queues);

	if (json)
		write_termination_log(cfg, json);
	(void)snprintf(seconds, sizeof(seconds), "%lld.%03d", (long long)(ms / 1000),
		       (int)(ms % 1000));
	LOG_(complete ? LOG_INFO : LOG_ERROR,
	     !complete                 ? "teardown incomplete"
	     : f->job == FATE_NEWCOMER ? "nothing torn down"
				       : "torn down",
	     LS("trigger", trigger_name(world_trigger(w))), LS("job", fate_name(f->job)),
	     LIF(fate_is_left(f->pods), LS("pods", fate_name(f->pods))),
	     LS("service", fate_name(f->service)), LS("queues", fate_name(f->queues)),
	     LIF(fate_is_left(f->queues), LS("queue_names", cfg->rabbitmq_queues)),
	     LIF(left.len > 0, LS("queues_left", left.data)), LS("self", fate_name(f->self)),
	     LS("seconds", seconds));
	buf_fini(&left);
}
