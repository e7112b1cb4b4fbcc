/* A random story of a seed: how the job lives and ends, who comes by, and what goes wrong. */
#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "faults.h"
#include "story.h"

static struct rng r;

static int64_t in(int64_t least, int64_t most)
{
	return rng_in(&r, least, most);
}

static bool odds(int permille)
{
	return rng_permille(&r, permille);
}

/* ---- The cluster and the settings ---- */

static void draw_rights(void)
{
	static const struct {
		enum verb     verb;
		enum resource resource;
	} optional[] = {
		{ VERB_WATCH, RES_JOBS },    { VERB_LIST, RES_JOBS }, { VERB_PATCH, RES_SERVICES },
		{ VERB_LIST, RES_METRICS },  { VERB_LIST, RES_PODS }, { VERB_DELETE, RES_PODS },
		{ VERB_CREATE, RES_EVENTS },
	};

	if (!odds(250))
		return;
	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		if (odds(300))
			story.no_right[optional[i].resource] |= RIGHT(optional[i].verb);
}

/* What 1.1's Role may have been: what is required, and some of what idleness needs, for ever. */
static void draw_role_of_old(void)
{
	uint64_t which = mix(story.seed, 32) % 8;

	if (mix(story.seed, 33) % 20)
		return;
	story.no_right[RES_JOBS] |= RIGHT(VERB_LIST) | RIGHT(VERB_WATCH);
	story.no_right[RES_SERVICES] |= RIGHT(VERB_PATCH);
	story.no_right[RES_EVENTS] |= RIGHT(VERB_CREATE);
	story.no_right[RES_PODS] |= RIGHT(VERB_DELETE) | (which & 1 ? 0 : RIGHT(VERB_LIST));
	story.no_right[RES_METRICS] |=
		(which & 2 ? 0 : RIGHT(VERB_LIST)) | (which & 4 ? 0 : RIGHT(VERB_GET));
}

static void draw_settings(void)
{
	static const int64_t intervals[] = { 1000, 5000, 20000, 60000, 120000 };
	struct settings     *s = &story.settings;

	if (odds(150))
		s->interval_ms = intervals[in(0, 4)];
	if (odds(100))
		s->max_count = (int)in(1, 8);
	else if (s->interval_ms == 1000 && odds(300))
		s->max_count = 60;
	if (s->min_distinct > s->max_count)
		s->min_distinct = s->max_count;
	if (odds(50))
		s->check_cpu = false;
	if (odds(80))
		s->startup_grace_ms = SEC(in(10, 60));
	if (odds(150))
		s->completed_grace_ms = s->failed_grace_ms = SEC(in(5, 200));
	if (odds(80))
		s->missing_ms = SEC(in(1, 30));
	if (odds(60))
		s->teardown_ms = SEC(in(5, 120));
	if (odds(80))
		s->min_distinct = (int)in(1, s->max_count);
	s->dry_run = odds(15);
	s->delete_self = !odds(40);
	s->adopt = !odds(150);
	s->broker = odds(400);
	s->queues = (int)(mix(story.seed, 34) % 10); /* the default for half of them */
	s->queues = s->queues < QUEUE_SETTINGS ? s->queues : 0;
	s->target_container = odds(40);
}

static void draw_cluster(void)
{
	static const int64_t resolutions[] = { 15000, 15000, 15000, 60000, 120000 };

	story.v1_34 = odds(700);
	story.lean = mix(story.seed, 8) % 8 != 0;
	story.resolution_ms = resolutions[in(0, 4)];
	story.parallelism = odds(150) ? 2 : 1;
	story.ttl_s = odds(800) ? 120 : odds(500) ? (int)in(0, 60) : -1;
	story.long_selector = odds(10);
	story.latency_ms = odds(100) ? (int)in(100, 3000) : (int)in(2, 40);
	if (odds(300))
		(void)snprintf(story.id, sizeof(story.id), "12");
	if (odds(300))
		story.redeclares = (int)in(200, 1000);
}

/* ---- How the job lives ---- */

static void begins(void)
{
	int64_t late = odds(80) ? in(0, SEC(90)) : 0;
	bool    never = odds(20);

	if (!never)
		story_add(late, HAPPEN_JOB, 0, 0);
	if (!odds(40))
		story_add(late + in(0, 300), HAPPEN_SERVICE, 0, 0);
	story_add(in(0, 500), HAPPEN_CLEANER, 0, 0);
	if (story.settings.broker)
		story_add(late + in(300, 6000), HAPPEN_QUEUES, odds(60) ? in(90, 230) : in(1, 4),
			  0);
	if (odds(120))
		story_add(in(0, SEC(60)), HAPPEN_NEIGHBOUR, 0, 0);
}

static void ends(int64_t at)
{
	static const enum happen how[] = {
		HAPPEN_COMPLETE, HAPPEN_COMPLETE,          HAPPEN_FAIL,
		HAPPEN_DELETE,   HAPPEN_DELETE_FOREGROUND, HAPPEN_DELETE_ORPHAN
	};

	if (odds(80))
		story_add(in(0, at), HAPPEN_KEEP, 0, 0);
	story_add(at, how[in(0, 5)], 0, 0);
	story_add(at + in(SEC(1), SEC(90)), HAPPEN_UNKEEP, 0, 0);
}

static void idles(void)
{
	int64_t t = 0;

	if (odds(400)) {
		story.cpu = in(5, 900) * 1000000;
		t = in(SEC(5), SEC(60));
		story_add(t, HAPPEN_CPU, in(0, 4) * 1000000, 0);
	}
	if (odds(250)) { /* it comes to life for a moment, perhaps at the last one */
		t += in(SEC(5), SEC(70));
		story_add(t, HAPPEN_CPU, in(5, 900) * 1000000, 0);
		story_add(t + in(SEC(1), SEC(40)), HAPPEN_CPU, 0, 0);
	}
	if (odds(250)) {
		t = in(SEC(2), SEC(60));
		bool for_good = odds(700);
		story_add(t, for_good ? HAPPEN_HOLD : HAPPEN_HOLD_UNTIL,
			  for_good ? odds(100) : in(SEC(5), SEC(60)), 0);
		if (for_good || odds(300))
			story_add(t + in(SEC(1), SEC(50)), HAPPEN_UNHOLD, 0, 0);
	}
	if (odds(150)) {
		t = in(SEC(2), SEC(60));
		story_add(t, HAPPEN_SUSPEND, 0, 0);
		story_add(t + in(SEC(1), SEC(50)), HAPPEN_RESUME, 0, 0);
	}
}

static void pods_change(void)
{
	static const enum happen what[] = { HAPPEN_POD_REPLACED, HAPPEN_POD_REPLACED,
					    HAPPEN_POD_LOST, HAPPEN_POD_CRASHES,
					    HAPPEN_POD_UNREADY };
	enum happen              w = what[in(0, 4)];
	int64_t                  t = in(SEC(5), SEC(60));

	story_add(t, w, 0, 0);
	if (w == HAPPEN_POD_CRASHES)
		story_add(t + in(SEC(10), SEC(60)), HAPPEN_POD_HEALS, 0, 0);
}

static void waits_for_a_node(void)
{
	story.settings.pending_ms = SEC(in(5, 90));
	if (odds(500))
		story_add(300, HAPPEN_POD_STUCK, 0, 0);
	else if (odds(500))
		story_add(in(100, SEC(3)), HAPPEN_POD_UNREADY, 0, 0);
	story.cpu = odds(500) ? 900000000 : 0;
}

static void lives(void)
{
	int64_t end = in(SEC(3), SEC(70));

	switch (in(0, 9)) {
	case 0:
	case 1:
	case 2: idles(); break;
	case 3: waits_for_a_node(); break;
	case 4: /* busy to the end */
		story.cpu = in(5, 900) * 1000000;
		if (odds(300))
			break;
		ends(in(SEC(3), SEC(200)));
		break;
	case 5:
		idles();
		ends(end);
		break;
	default:
		story.cpu = in(5, 900) * 1000000;
		ends(end);
		break;
	}
	if (odds(200))
		pods_change();
	if (odds(100))
		story_add(in(SEC(1), SEC(70)),
			  odds(800) ? HAPPEN_SERVICE_ANEW : HAPPEN_SERVICE_GONE, 0, 0);
	if (odds(40))
		story_add(in(SEC(20), SEC(60)), HAPPEN_TOUCH_OFTEN, 0, SEC(in(10, 60)));
	if (story.settings.target_container && odds(600)) {
		story_add(in(SEC(10), SEC(60)), HAPPEN_CONTAINER_ENDS, odds(400) ? 3 : 0, 0);
		story.retries = odds(300) ? 3 : 0;
		story.on_failure = odds(200);
	}
	if (odds(60))
		story_add(in(SEC(5), SEC(90)), HAPPEN_CLEANER_DELETED, 0, 0);
	if (odds(250))
		story_add(in(SEC(3), SEC(90)),
			  odds(700)   ? HAPPEN_NEWCOMER
			  : odds(500) ? HAPPEN_NEWCOMER_INHERITS
				      : HAPPEN_NEWCOMER_SERVICE_FIRST,
			  0, 0);
}

/* ---- What goes wrong ---- */

/* When things go wrong: mostly where it hurts, around what happens anyway. */
static int64_t when(void)
{
	if (story.count && odds(600)) {
		int64_t t = story.h[in(0, story.count - 1)].at_ms + in(-SEC(3), SEC(8));
		return t > 0 ? t : 0;
	}
	return in(0, SEC(100));
}

static int64_t how_long(void)
{
	return odds(400) ? in(500, 5000) : odds(700) ? in(SEC(5), SEC(60)) : in(SEC(60), SEC(240));
}

static void faulty(void)
{
	static const struct {
		enum verb     verb;
		enum resource resource;
	} what[] = {
		{ ANY, ANY },
		{ VERB_GET, RES_JOBS },
		{ VERB_LIST, RES_JOBS },
		{ VERB_WATCH, RES_JOBS },
		{ VERB_DELETE, RES_JOBS },
		{ VERB_GET, RES_SERVICES },
		{ VERB_DELETE, RES_SERVICES },
		{ VERB_PATCH, RES_SERVICES },
		{ VERB_LIST, RES_METRICS },
		{ VERB_LIST, RES_PODS },
		{ VERB_DELETE, RES_PODS },
		{ VERB_CREATE, RES_EVENTS },
		{ ANY, RES_QUEUES },
		{ VERB_DELETE, RES_QUEUES },
	};
	size_t i = (size_t)in(0, sizeof(what) / sizeof(what[0]) - 1);
	bool   lasts = (what[i].verb == VERB_PATCH || what[i].resource == RES_EVENTS) && odds(200);

	story_add(when(), HAPPEN_FAULTY,
		  WHICH(what[i].verb, what[i].resource, in(FAULT_REFUSED, FAULT_HTML)),
		  lasts ? FOR_EVER : how_long()); /* without these all goes on */
}

static void trouble_of_servers(void)
{
	static const enum happen what[] = { HAPPEN_API_DOWN,         HAPPEN_API_STARTS,
					    HAPPEN_API_STARTS,       HAPPEN_ETCD_HANGS,
					    HAPPEN_CONTROLLERS_DOWN, HAPPEN_METRICS_DOWN,
					    HAPPEN_METRICS_ABSENT,   HAPPEN_BROKER_DOWN,
					    HAPPEN_DENIED,           HAPPEN_DENIED };
	static const int         broker_says[] = { 500, 503, 401, 404 };
	enum happen              w = what[in(0, 9)];

	story_add(when(), w,
		  w == HAPPEN_BROKER_DOWN ? broker_says[in(0, 3)]
		  : w == HAPPEN_DENIED    ? in(0, 2)
					  : 0,
		  w > HAPPEN_CONTROLLERS_DOWN && odds(60) ? FOR_EVER : how_long());
}

static void trouble_of_watches(void)
{
	static const enum happen what[] = { HAPPEN_WATCH_SILENT, HAPPEN_WATCH_LATE,
					    HAPPEN_WATCH_LATE, HAPPEN_WATCH_CUT, HAPPEN_WATCH_END };
	int64_t                  t = when();

	if (odds(300))
		story_add(t, HAPPEN_COMPACT, 0, 0);
	story_add(t, what[in(0, 4)], in(200, 30000), how_long());
}

static void trouble_of_the_process(void)
{
	static const enum happen what[] = { HAPPEN_KILL,       HAPPEN_KILL,      HAPPEN_TERM,
					    HAPPEN_TERM,       HAPPEN_FREEZE,    HAPPEN_SLEEP,
					    HAPPEN_WALL_JUMP,  HAPPEN_TOKEN_NEW, HAPPEN_TOKEN_GONE,
					    HAPPEN_TOKEN_EMPTY };
	enum happen              w = what[in(0, 9)];
	int64_t                  arg = 0, length = how_long();

	if (w == HAPPEN_WALL_JUMP)
		arg = in(-SEC(4000), SEC(4000));
	if (w == HAPPEN_SLEEP && odds(300))
		length = in(SEC(300), SEC(3600));
	story_add(when(), w, arg,
		  w == HAPPEN_KILL || w == HAPPEN_TERM || w == HAPPEN_WALL_JUMP ||
				  w == HAPPEN_TOKEN_NEW
			  ? 0
			  : length);
	if (w == HAPPEN_TERM && odds(200))
		story_add(story.h[story.count - 1].at_ms + in(100, 9000), HAPPEN_TERM, 2, 0);
}

static void quirk(void)
{
	int64_t which = in(0, 8);
	bool    lasts = (which == 0 || which == 3) && odds(200); /* one can live with these */

	story_add(when(), HAPPEN_QUIRK, which, lasts ? FOR_EVER : how_long());
}

static void adversity(void)
{
	switch (in(0, 7)) {
	case 0:
	case 1: faulty(); break;
	case 2:
	case 3: trouble_of_servers(); break;
	case 4: trouble_of_watches(); break;
	case 5: quirk(); break;
	case 6:
		if (story.settings.broker && odds(500)) {
			story_add(in(SEC(3), SEC(30)), HAPPEN_QUEUE_STUBBORN, odds(500) ? 500 : 400,
				  0);
			break;
		}
		story_add(when(), HAPPEN_RIGHT_LOST,
			  WHICH(in(VERB_GET, VERB_DELETE), in(RES_JOBS, RES_METRICS), 0),
			  how_long());
		break;
	default: trouble_of_the_process(); break;
	}
}

static bool has_all_rights(void)
{
	for (int i = 0; i < RESOURCES; i++)
		if (story.no_right[i])
			return false;
	return true;
}

/* No cleaner; the Service, or the Job, comes while a sweep is at work, and the other a while later.
 */
static void comes_under_a_sweep(bool service)
{
	int64_t at = in(SEC(62), SEC(120));

	story_add(in(SEC(1), SEC(5)), HAPPEN_CLEANER_FAILS, 0, 0);
	for (int i = 0; i < story.count; i++) {
		if (story.h[i].what == HAPPEN_SERVICE)
			story.h[i].at_ms = service ? at : 0;
		else if (story.h[i].what == HAPPEN_JOB)
			story.h[i].at_ms = service ? at + in(SEC(1), SEC(50)) : at;
	}
	story_add(at - in(-100, INT64_C(8) * story.latency_ms), HAPPEN_SWEEP, 0, 0);
}

/*
 * Sweeps, in one life of eight, and what makes work for them: no cleaner, no TTL, newcomers late, a
 * clock of their own.
 */
static void draw_sweeps(void)
{
	struct rng before = r;

	r = rng_of(story.seed, 78);
	if (odds(400))
		comes_under_a_sweep(odds(500));
	else if (odds(400))
		story_add(in(SEC(1), SEC(60)),
			  odds(500) ? HAPPEN_CLEANER_DELETED : HAPPEN_CLEANER_FAILS, 0, 0);
	if (odds(400))
		story.ttl_s = odds(500) ? -1 : (int)in(60, 300);
	if (odds(200))
		story_add(in(0, SEC(30)), HAPPEN_WALL_JUMP, SEC(in(-3600, 3600)), 0);
	if (odds(300))
		story_add(in(SEC(30), SEC(150)), HAPPEN_HOLD, 0, 0);
	if (odds(400))
		story_add(in(SEC(60), SEC(250)),
			  odds(500)   ? HAPPEN_NEWCOMER
			  : odds(500) ? HAPPEN_NEWCOMER_INHERITS
				      : HAPPEN_NEWCOMER_SERVICE_FIRST,
			  0, 0);
	for (int64_t n = in(1, 4); n > 0; n--)
		story_add(in(SEC(30), SEC(400)), HAPPEN_SWEEP, 0, 0);
	r = before;
}

void story_draw(uint64_t seed)
{
	story_reset();
	story.seed = seed;
	r = rng_of(seed, 3);
	draw_cluster();
	draw_rights();
	draw_role_of_old();
	draw_settings();
	begins();
	if (story.settings.broker && mix(story.seed, 35) % 25 == 0)
		story_add(0, HAPPEN_BROKER_DOWN, 401, FOR_EVER);
	lives();
	if (mix(seed, 9) % 8 == 0)
		draw_sweeps();
	int64_t n = odds(100) ? 0 : odds(450) ? 1 : odds(700) ? in(2, 4) : in(5, 12);
	if (odds(350))
		story.fault_odds = (int)(odds(600) ? in(20, 300) : in(300, 2500));
	for (int64_t i = 0; i < n; i++)
		adversity();
	story.undisturbed = !n && !story.fault_odds && story.latency_ms <= 40 && has_all_rights();
	story.calm_ms = story_last_ms() + SEC(1);
	if (story.fault_odds && story.calm_ms < SEC(90))
		story.calm_ms = SEC(90);
}
