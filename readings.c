/* What is told while nothing is decided: each reading, the container that is judged. See report.h.
 */
#include <stdio.h>
#include <string.h>

#include "report.h"

/* ---- Readings ---- */

static void tell_unknown(struct report *r, const struct world *w)
{
	const struct idle *i = &w->idle;
	bool               same =
		r->reading == READING_UNKNOWN && r->why && i->why && strcmp(r->why, i->why) == 0;

	r->reading = READING_UNKNOWN;
	r->why = i->why;
	if (!same || i->cleared)
		log_info("cpu unknown", LS("why", i->why), LI("count", i->count.count),
			 LIF(i->cleared != NULL, LS("cleared", i->cleared)));
}

void report_reading(struct report *r, const struct world *w, const struct config *cfg)
{
	const struct idle *i = &w->idle;
	char               cpu[CPU_TEXT_SIZE], limit[CPU_TEXT_SIZE], check[32], samples[32];
	bool               idle = i->reading == READING_IDLE;
	bool               waits = idle && i->count.count >= cfg->max_idle_count &&
		     i->count.distinct < cfg->min_distinct_samples;
	bool changed = i->cleared || r->reading != i->reading;

	if (i->reading == READING_UNKNOWN) {
		tell_unknown(r, w);
		return;
	}
	cpu_format(cpu, i->metrics.nanocores);
	cpu_format(limit, cfg->threshold_nanocores);
	(void)snprintf(check, sizeof(check), "%u/%u", i->count.count, cfg->max_idle_count);
	(void)snprintf(samples, sizeof(samples), "%u/%u", i->count.distinct,
		       cfg->min_distinct_samples);
	LOG_(idle || changed ? LOG_INFO : LOG_DEBUG, idle ? "idle check" : "active",
	     LS("check", check), LS("cpu", cpu), LS("threshold", limit),
	     LIF(waits, LS("samples", samples)), /* what it still waits for */
	     LIF(idle && i->cleared, LS("cleared", i->cleared)));
	r->reading = i->reading;
	r->why = NULL;
}

/* ---- TARGET_CONTAINER ---- */

/* It is in no pod that tells of its containers: then nothing of this job is ever idle. */
static void tell_absent(struct report *r, const struct world *w, const struct config *cfg)
{
	const struct k8s_pod *seen = NULL;
	char                  there[200] = "";

	for (size_t i = 0; i < w->pods.list.count; i++) {
		const struct k8s_pod *p = &w->pods.list.items[i];
		seen = p->container_count ? p : seen;
		if (k8s_pod_container(p, cfg->target_container))
			return;
	}
	if (!seen || r->no_container)
		return;
	r->no_container = true;
	for (size_t i = 0, n = 0; i < seen->container_count && n < sizeof(there); i++)
		n += (size_t)snprintf(there + n, sizeof(there) - n, "%s%s", i ? " " : "",
				      seen->containers[i].name);
	log_warn("TARGET_CONTAINER is no container of the job's pods",
		 LS("container", cfg->target_container), LS("pod", seen->name), LS("there", there),
		 LS("without_it", "no idle trigger"));
}

void report_container(struct report *r, const struct world *w, const struct config *cfg,
		      int64_t now)
{
	int64_t due = ended_due_ms(w, cfg);

	if (!cfg->target_container[0] || !job_is_live(w))
		return;
	tell_absent(r, w, cfg);
	if ((due != NEVER) != r->ended && due != NEVER)
		log_info("TARGET_CONTAINER has ended", LS("container", cfg->target_container),
			 LI("exit_code", w->ended.exit_code),
			 LI("kept_s", max_ms(due - now, 0) / 1000));
	r->ended = due != NEVER;
}

/* ---- Why it waits ---- */

void report_waiting(struct report *r, const struct world *w, const struct config *cfg, int64_t now)
{
	const struct waiting *t = &w->waiting;

	if (r->waits == t->lines)
		return;
	r->waits = t->lines;
	log_info("waiting", LS("job", cfg->target_job), LS("reason", t->reason),
		 LS("why", t->words), LI("undecided_s", (now - t->since_ms) / 1000));
}
