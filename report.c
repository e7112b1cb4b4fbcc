/* What people are told of a teardown: the Event, the last log line, the termination log. */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>

#include "teardown.h"

#define EVENT_MS INT64_C(2000) /* one try: it must not hold the teardown up */

static const char *const fate_names[] = { "none",     "off",      "deleted",   "absent",
					  "newcomer", "deleting", "forbidden", "left" };
_Static_assert(ARRAY_SIZE(fate_names) == FATE_LEFT + 1, "name every fate");

static const char *const trigger_names[] = { "none",    "completed", "failed", "idle",
					     "pending", "gone",      "missing" };
_Static_assert(ARRAY_SIZE(trigger_names) == TRIGGER_MISSING + 1, "name every trigger");

const char *fate_name(enum fate f)
{
	return fate_names[f];
}

const char *trigger_name(enum trigger t)
{
	return trigger_names[t];
}

static void idle_words(const struct app *a, char *out, size_t size)
{
	const struct idle *i = &a->idle;
	char               cpu[CPU_TEXT_SIZE], limit[CPU_TEXT_SIZE];

	cpu_format(cpu, i->last_cpu);
	cpu_format(limit, a->cfg->threshold_nanocores);
	(void)snprintf(out, size, "CPU %s <= %s at %u checks over %llds", cpu, limit,
		       i->count.count,
		       (long long)((i->count.last_ms - i->count.first_ms + 500) / 1000));
}

void report_words(const struct app *a, enum trigger t, char *out, size_t size)
{
	switch (t) {
	case TRIGGER_IDLE: idle_words(a, out, size); break;
	case TRIGGER_PENDING:
		(void)snprintf(out, size, "no pod was ready for %llds",
			       (long long)(a->cfg->pending_timeout_ms / 1000));
		break;
	case TRIGGER_COMPLETED: (void)snprintf(out, size, "the Job completed"); break;
	case TRIGGER_FAILED: (void)snprintf(out, size, "the Job failed"); break;
	case TRIGGER_GONE: (void)snprintf(out, size, "the Job was deleted"); break;
	case TRIGGER_MISSING:
		(void)snprintf(out, size, "the Job never appeared within %llds",
			       (long long)(a->cfg->missing_timeout_ms / 1000));
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
	return NULL;
}

/* Records an Event on the Job. Best effort: one try, which must not hold the teardown up. */
static void record_event(struct app *a, const char *reason, const char *words, bool warning,
			 int64_t cause)
{
	AUTO_FREE char    *body = k8s_event_new(a->cfg->ns, a->cfg->target_job, a->target.job.uid,
						reason, words, warning, cause, wall_ms());
	struct k8s_request q = {
		.verb = K8S_CREATE, .resource = K8S_EVENTS, .body = body, .total_ms = EVENT_MS
	};
	struct k8s_result r;

	if (!body || app_call(a, &q, &r) < 0)
		return;
	if (r.answer == K8S_FORBIDDEN)
		log_forbidden(a, &q, "no events");
	else if (r.answer != K8S_OK && r.answer != K8S_CONFLICT) /* 409: it is there already */
		log_info("event not recorded", LI("status", r.status), LS("error", r.words));
	k8s_result_fini(&r);
}

void report_event(struct app *a, enum trigger t, const char *words)
{
	const char *reason = event_reason(t);
	int64_t     cause = t == TRIGGER_IDLE      ? a->idle.count.first_ms
			    : t == TRIGGER_PENDING ? a->idle.pending_since_ms
						   : a->target.job.finished_ms;

	if (reason)
		record_event(a, reason, words, false, cause);
}

static void put_left(struct buf *b, const char *what, const char *name, enum fate f)
{
	if (fate_is_left(f)) /* too long to fit: left out, the log has it */
		(void)buf_printf(b, "%s%s %s (%s)", b->len ? ", " : "left behind: ", what, name,
				 fate_name(f));
}

void report_incomplete(const struct teardown *t)
{
	struct app          *a = t->a;
	const struct config *cfg = a->cfg;
	struct buf           words = { .max = 900 }; /* an Event's message: 1024 bytes */

	put_left(&words, "Job", cfg->target_job, t->job);
	put_left(&words, "pods of", cfg->target_job, t->pods);
	put_left(&words, "Service", cfg->target_service, t->service);
	put_left(&words, "queues that start with", cfg->rabbitmq_queue_prefix, t->queues);
	if (!a->signals && now_ms() + EVENT_MS > a->give_up_ms)
		a->give_up_ms = now_ms() + EVENT_MS; /* out of time, but for telling so */
	if (words.len)
		record_event(a, "CleanupIncomplete", words.data, true, t->start_ms);
	buf_fini(&words);
}

/* One line, new; NULL when out of memory. The kubelet keeps 4096 bytes. */
static char *summary_json(const struct teardown *t, int64_t ms)
{
	bool         queues_left = fate_is_left(t->queues);
	json_auto_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:s*, s:s*}", "trigger",
				   trigger_name(t->trigger), "job", fate_name(t->job), "service",
				   fate_name(t->service), "queues", fate_name(t->queues), "self",
				   fate_name(t->self), "seconds", (double)ms / 1000, "queue_prefix",
				   queues_left ? t->a->cfg->rabbitmq_queue_prefix : NULL, "pods",
				   fate_is_left(t->pods) ? fate_name(t->pods) : NULL);

	return o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
}

/* What kubectl describe shows of an ended container; the kubelet has made the file. */
static void write_termination_log(const struct app *a, const char *line)
{
	AUTO_CLOSE int fd = open(a->cfg->termination_log, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd >= 0)
		(void)!dprintf(fd, "%s\n", line);
}

void report_summary(const struct teardown *t)
{
	char            seconds[32];
	int64_t         ms = now_ms() - t->start_ms;
	AUTO_FREE char *json = summary_json(t, ms);

	if (json)
		write_termination_log(t->a, json);
	(void)snprintf(seconds, sizeof(seconds), "%lld.%03d", (long long)(ms / 1000),
		       (int)(ms % 1000));
	LOG_(teardown_is_complete(t) ? LOG_INFO : LOG_ERROR,
	     !teardown_is_complete(t)     ? "teardown incomplete"
	     : t->trigger == TRIGGER_NONE ? "nothing torn down"
					  : "torn down",
	     LS("trigger", trigger_name(t->trigger)), LS("job", fate_name(t->job)),
	     LIF(fate_is_left(t->pods), LS("pods", fate_name(t->pods))),
	     LS("service", fate_name(t->service)), LS("queues", fate_name(t->queues)),
	     LIF(fate_is_left(t->queues), LS("queue_prefix", t->a->cfg->rabbitmq_queue_prefix)),
	     LS("self", fate_name(t->self)), LS("seconds", seconds));
}
