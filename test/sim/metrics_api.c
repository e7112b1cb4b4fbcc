/* The metrics API: the samples of the pods that a selector means, and what such an answer tells. */
#include <stdio.h>
#include <string.h>

#include "api.h"
#include "settings.h"

struct metrics_quirks quirks;

static void usage_json(struct text *t, const char *sep, const char *name, int64_t cpu)
{
	char quantity[32];

	if (cpu % 1000000 == 0 && cpu)
		(void)snprintf(quantity, sizeof(quantity), "%lldm", (long long)cpu / 1000000);
	else
		(void)snprintf(quantity, sizeof(quantity), "%lld%s", (long long)cpu,
			       cpu ? "n" : "");
	text_printf(t, "%s{\"name\":\"%s\",\"usage\":{\"cpu\":\"%s\",\"memory\":\"50000000\"}}",
		    sep, name, quantity);
}

static void item_json(struct text *t, const struct sample *s)
{
	int     skip = quirks.no_container ? s->containers - 1 : -1;
	int64_t sum = 0;

	text_printf(t,
		    "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"panda\","
		    "\"creationTimestamp\":",
		    s->pod);
	time_add(t, sim_ms());
	text_printf(t, ",\"labels\":{\"app\":\"%s\",", s->job_name);
	if (cluster.v1_34)
		text_printf(t,
			    "\"batch.kubernetes.io/controller-uid\":\"%s\","
			    "\"batch.kubernetes.io/job-name\":\"%s\",",
			    s->job_uid, s->job_name);
	text_printf(t, "\"controller-uid\":\"%s\",\"job-name\":\"%s\"}},\"timestamp\":", s->job_uid,
		    s->job_name);
	if (quirks.no_time)
		text_add(t, "null");
	else
		time_add(t, s->at_ms);
	text_printf(t, ",\"window\":\"%lld.%03llds\",\"containers\":[",
		    (long long)s->window_ms / 1000, (long long)s->window_ms % 1000);
	const char *sep = "";
	for (int i = 0; i < s->containers && !quirks.empty; i++) {
		sum += s->cpu[i];
		if (i == skip)
			continue;
		usage_json(t, sep, s->names[i], quirks.negative && i == 0 ? -513000000 : s->cpu[i]);
		sep = ",";
	}
	if (quirks.extra_entry && !quirks.empty) { /* the pod's own total, or its sandbox */
		usage_json(t, sep, mix((uint64_t)s->at_ms, 5) % 2 ? "" : "POD", sum);
	}
	text_add(t, "]}");
}

/* What a careful reader would make of it (SPEC 4), out of the samples themselves. */
static void tell(struct tale *tale, const struct sample *s, int64_t *sum)
{
	int skip = quirks.no_container ? s->containers - 1 : -1;

	int64_t at_ms = s->at_ms - s->at_ms % 1000; /* what is told are whole seconds */

	if (!tale->named || at_ms < tale->oldest_ms)
		tale->oldest_ms = at_ms;
	if (s->window_ms > tale->window_ms)
		tale->window_ms = s->window_ms;
	uint64_t hash = 0;
	for (const char *p = s->pod_uid; *p; p++)
		hash = mix(hash, (uint64_t)*p);
	tale->pods += hash;
	bool judged = !settings.target_container;
	for (int i = 0; i < s->containers; i++) {
		if (i == skip || tale->named == 2 * PODS)
			continue;
		bool named = strcmp(s->names[i], "grpc-server") == 0;
		judged |= named;
		if (!settings.target_container || named)
			*sum += s->cpu[i];
		(void)snprintf(tale->has[tale->named].pod_uid, UID_BYTES, "%s", s->pod_uid);
		tale->has[tale->named++].container = s->names[i];
	}
	tale->lacks |= !judged;
}

static int active_pods(const char *label)
{
	for (const struct job *j = cluster.jobs; j < cluster.jobs + JOBS; j++)
		if (j->there && !j->cleaners && label_matches(label, j->uid, j->name))
			return j->active;
	return 0;
}

static bool useless(void)
{
	return quirks.no_time || quirks.empty || quirks.negative;
}

static void judge(struct tale *tale, const char *label, int items, int64_t sum)
{
	int64_t age_ms = sim_ms() - tale->oldest_ms, most_ms = 2 * tale->window_ms;

	if (most_ms < SEC(90))
		most_ms = SEC(90);
	tale->told = TOLD_METRICS;
	tale->at_ms = sim_ms();
	tale->items = items;
	tale->active = active_pods(label);
	tale->usable = tale->named && !useless();
	tale->reading = items == 0 || !tale->usable || tale->lacks || age_ms > most_ms + SEC(2)
				? READ_UNKNOWN
			: sum > settings.threshold ? READ_ACTIVE
						   : READ_IDLE;
}

static bool asked_for(const struct request *q, const struct sample *s)
{
	if (q->verb == VERB_GET)
		return strcmp(q->name, s->pod) == 0;
	return label_matches(q->label, s->job_uid, s->job_name);
}

static void get_one(const struct request *q, struct answer *a)
{
	for (int i = 0; i < cluster.sample_count; i++) {
		if (!asked_for(q, &cluster.samples[i]))
			continue;
		text_add(&a->body, "{\"kind\":\"PodMetrics\",\"apiVersion\":"
				   "\"metrics.k8s.io/v1beta1\",");
		struct text item = { 0 };
		int64_t     sum = 0;
		a->tale.told = TOLD_METRICS;
		a->tale.at_ms = sim_ms();
		tell(&a->tale, &cluster.samples[i], &sum);
		a->tale.sum = sum;
		a->tale.usable = a->tale.named && !useless();
		a->tale.reading = a->tale.usable && !a->tale.lacks ? READ_IDLE
								   : READ_UNKNOWN; /* no sum yet */
		item_json(&item, &cluster.samples[i]);
		text_add(&a->body, item.p + 1);
		text_free(&item);
		return;
	}
	char words[400], details[400];
	(void)snprintf(words, sizeof(words), "podmetrics.metrics.k8s.io \\\"panda/%s\\\" not found",
		       q->name);
	(void)snprintf(
		details, sizeof(details),
		"{\"name\":\"panda/%s\",\"group\":\"metrics.k8s.io\",\"kind\":\"podmetrics\"}",
		q->name);
	answer_status(a, 404, "NotFound", words, details);
}

void metrics_answer(const struct request *q, struct answer *a)
{
	int64_t     sum = 0;
	int         items = 0;
	const char *sep = "";

	if (cluster.metrics_absent) {
		answer_text(a, 404, "404 page not found\n");
		return;
	}
	if (cluster.metrics_down) {
		answer_text(a, 503,
			    "error trying to reach service: dial tcp 127.0.0.1:4443: "
			    "connect: connection refused\n");
		return;
	}
	a->status = 200;
	a->type = "application/json";
	if (q->verb == VERB_GET) {
		get_one(q, a);
		return;
	}
	text_add(&a->body, "{\"kind\":\"PodMetricsList\",\"apiVersion\":\"metrics.k8s.io/v1beta1\","
			   "\"metadata\":{},\"items\":[");
	for (int i = 0; i < cluster.sample_count; i++) {
		const struct sample *s = &cluster.samples[i];
		if (!asked_for(q, s) || (quirks.no_pod && i == 0))
			continue;
		for (int times = 0; times < (quirks.twice ? 2 : 1); times++) {
			text_add(&a->body, sep);
			item_json(&a->body, s);
			sep = ",";
		}
		tell(&a->tale, s, &sum);
		items++;
	}
	text_add(&a->body, "]}\n");
	judge(&a->tale, q->label, items, sum);
}
