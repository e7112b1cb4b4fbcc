#include "life.h"

#include "cluster.h"
#include "http_sim.h"
#include "process.h"
#include "promises.h"
#include "story.h"

#define AUDIT_MS   SEC(5)
#define PATIENCE   SEC(1500) /* for all to be gone, from the calm on */
#define WATCH_IDLY SEC(420)  /* a busy job is watched for so long in the calm */
#define WATCH_LONG SEC(1400) /* ... or for so long, to see that it says why it waits */
#define START_BY   SEC(20)
#define CALM_MS    SEC(10)

static int  requests_at_calm;
static bool ended_running;

struct life_stats life_stats;
char              life_outcome[160];

static void life_ends(void)
{
	promises_at_end();
	promises_outcome(life_outcome, sizeof(life_outcome));
	ended_running = process.state == PROCESS_RUNS;
	process.over = true;
}

static void audit(int arg)
{
	int64_t calm = sim_ms() - story.calm_ms;

	(void)arg;
	promises_audit();
	if (calm < CALM_MS)
		requests_at_calm = http_sim_requests();
	int64_t idly = mix(story.seed, 77) % 8 == 0 ? WATCH_LONG : WATCH_IDLY;
	if (calm > 0 && sim_ms() > START_BY &&
	    (promises_settled() || calm > PATIENCE || (calm > idly && job_stays())))
		life_ends();
	else
		sim_after(AUDIT_MS, audit, 0);
}

void life_play(void)
{
	sim_reset(story.seed);
	http_sim_reset(story.seed);
	promises_reset();
	story_begin();
	process_reset();
	sim_after(AUDIT_MS, audit, 0);
	while (!process.over) {
		if (process.state == PROCESS_WAITS && sim_ms() >= process.starts_ms)
			process_run();
		else
			sim_step(process.state == PROCESS_WAITS ? process.starts_ms
								: sim_ms() + SEC(3600));
	}
	life_stats = (struct life_stats){ .virtual_ms = sim_ms(),
					  .requests = http_sim_requests(),
					  .starts = process.starts,
					  .to_place = ended_running ? requests_at_calm
								    : http_sim_requests() };
}
