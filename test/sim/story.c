/* A story as data: its text, and its beginning. */
#include "story.h"

#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "faults.h"
#include "process.h"

#define X(id, name) name,
const char *const happen_names[] = { HAPPENINGS(X) };
#undef X

struct story story;

void story_reset(void)
{
	story = (struct story){ .id = "12-70788",
				.v1_34 = true,
				.resolution_ms = SEC(15),
				.parallelism = 1,
				.ttl_s = 120,
				.cpu = 2000000,
				.latency_ms = 20 };
	settings_reset();
	story.settings = settings;
}

void story_add(int64_t at_ms, enum happen what, int64_t arg, int64_t for_ms)
{
	if (story.count == HAPPENINGS_MAX)
		return;
	story.h[story.count++] = (struct happening){ at_ms, what, arg, for_ms };
}

bool story_is_calm(void)
{
	return sim_ms() >= story.calm_ms;
}

static void print_which(const struct happening *h)
{
	int64_t verb = h->arg & 15, resource = h->arg >> 4 & 15, fault = h->arg >> 8;

	(void)printf(" %s %s", verb == ANY ? "any" : verb_words[verb],
		     resource == ANY           ? "any"
		     : resource == RES_METRICS ? "metrics"
					       : resource_words[resource]);
	if (h->what == HAPPEN_FAULTY)
		(void)printf(" %s", fault_names[fault]);
}

void story_print(void)
{
	const struct settings *s = &story.settings;

	(void)printf("story of seed %llu: id %s, Kubernetes %s, metrics every %lld s, %d pods, "
		     "adversity until %lld s, odds %d/10000, latency %d ms\n",
		     (unsigned long long)story.seed, story.id, story.v1_34 ? "1.34" : "1.26",
		     (long long)story.resolution_ms / 1000, story.parallelism,
		     (long long)story.calm_ms / 1000, story.fault_odds, story.latency_ms);
	(void)printf("  settings: count %d, samples %d, interval %lld ms, pending %lld, missing "
		     "%lld, grace %lld/%lld, teardown %lld%s%s%s%s%s\n",
		     s->max_count, s->min_distinct, (long long)s->interval_ms,
		     (long long)s->pending_ms, (long long)s->missing_ms,
		     (long long)s->completed_grace_ms, (long long)s->failed_grace_ms,
		     (long long)s->teardown_ms, s->adopt ? "" : ", no adoption",
		     s->broker ? ", broker" : "", s->check_cpu ? "" : ", no CPU check",
		     s->dry_run ? ", dry run" : "", s->target_container ? ", one container" : "");
	for (int r = 0; r < RESOURCES; r++)
		for (int v = 0; v <= VERB_DELETE; v++)
			if (story.no_right[r] & RIGHT(v))
				(void)printf("  no right to %s %s\n", verb_words[v],
					     r == RES_METRICS ? "metrics" : resource_words[r]);
	for (int i = 0; i < story.count; i++) {
		const struct happening *h = &story.h[i];
		(void)printf("  at %.3f %s", (double)h->at_ms / 1000, happen_names[h->what]);
		if (h->what == HAPPEN_FAULTY || h->what == HAPPEN_RIGHT_LOST)
			print_which(h);
		else if (h->arg)
			(void)printf(" %lld", (long long)h->arg);
		if (h->for_ms == FOR_EVER)
			(void)printf(" for ever");
		else if (h->for_ms)
			(void)printf(" for %.3f", (double)h->for_ms / 1000);
		(void)putchar('\n');
	}
}

/* ---- The beginning ---- */

static void happens(int i)
{
	const struct happening *h = &story.h[i];

	trace("story", "%s", happen_names[h->what]);
	if (!owner_does(h) && !fault_does(h))
		sim_fatal("nobody does '%s'", happen_names[h->what]);
}

void story_begin(void)
{
	cluster_reset(story.id);
	settings = story.settings;
	broker_reset();
	api_reset();
	owner_reset();
	faults_reset();
	controllers_reset();
	cluster.v1_34 = story.v1_34;
	cluster.lean = story.lean;
	cluster.resolution_ms = story.resolution_ms;
	broker.redeclares = story.redeclares;
	for (int r = 0; r < RESOURCES; r++)
		rights[r] &= ~story.no_right[r];
	for (int i = 0; i < story.count; i++)
		sim_at(story.h[i].at_ms, happens, i);
	metrics_server_start();
}
