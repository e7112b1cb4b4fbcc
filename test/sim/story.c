/* A story as data, and its beginning. */
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

int64_t story_last_ms(void)
{
	int64_t last = SEC(5);

	for (int i = 0; i < story.count; i++)
		if (story.h[i].for_ms != FOR_EVER && story.h[i].at_ms + story.h[i].for_ms > last)
			last = story.h[i].at_ms + story.h[i].for_ms;
	return last;
}

bool story_is_calm(void)
{
	return sim_ms() >= story.calm_ms;
}

/* ---- The beginning ---- */

void story_happens(const struct happening *h)
{
	trace("story", "%s", happen_names[h->what]);
	if (!owner_does(h) && !fault_does(h))
		sim_fatal("nobody does '%s'", happen_names[h->what]);
}

static void happens(int i)
{
	story_happens(&story.h[i]);
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
	cluster.long_selector = story.long_selector;
	cluster.resolution_ms = story.resolution_ms;
	broker.redeclares = story.redeclares;
	for (int r = 0; r < RESOURCES; r++)
		rights[r] &= ~story.no_right[r];
	for (int i = 0; i < story.count; i++)
		sim_at(story.h[i].at_ms, happens, i);
	metrics_server_start();
}
