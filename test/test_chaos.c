/*
 * Lives by chance: the plan is followed, each request gets any answer that there is. Whatever is
 * answered, nothing is asked for without a pause, a wait is until something is due, and what must
 * never be asked for is not.
 */
#include "steps.h"

#define LIVES 10000
#define STEPS 150
#define MANY  40  /* requests at one time */
#define HOT   150 /* ... in a minute */

static uint32_t chance, life;

static uint32_t draw(uint32_t n)
{
	chance = chance * 1664525 + 1013904223;
	return (chance >> 8) % n;
}

static const char *const settings[] = {
	"",
	"broker",
	"pending=30",
	"completed-grace=45,failed-grace=5",
	"teardown=8",
	"noself",
	"interval=1",
	"interval=600",
	"missing=3",
	"nocheck,broker",
	"count=1,distinct=1",
	"broker,teardown=30,completed-grace=20",
	"noadopt",
	"pending=20,interval=0.05",
};

static const char *const failures[] = {
	"refused",      "unusable", "trouble",         "unreachable",
	"unauthorized", "conflict", "trouble,retry=7", "refused,retry=3600",
	"absent",       "expired",
};

static const char *const jobs[] = {
	"",
	"",
	"",
	"",
	"complete",
	"failed",
	"deleting",
	"deleting,foreground",
	"uid=B",
	"suspended",
	"hold=true",
	"hold=2026-11-24T00:28:00Z",
	"ready=0",
	"ready=-1",
	"active=2",
	"complete,deleting",
	"unselectable",
	"deleting,orphaning",
};

static const char *const others[ASKS][5] = {
	[ASK_SERVICE] = { "", "owned", "uid=T", "deleting", "" },
	[ASK_ADOPT] = { "", "stripped", "", "stripped", "" },
	[ASK_METRICS] = { "", "", "cpu=9", "none", "pods=p+q" },
	[ASK_POD_METRICS] = { "", "", "cpu=9", "none", "pods=q" },
	[ASK_PODS] = { "p", "p", "", "p/deleting,q", "p/waiting,q/lost90" },
	[ASK_DELETE_JOB] = { "", "", "kept", "", "" },
	[ASK_DELETE_SERVICE] = { "", "", "kept", "", "" },
	[ASK_QUEUES] = { "", "names=a+b", "names=7-a", "names=a,more", "more" },
};

static const char *draw_mods(enum ask a)
{
	bool one = a != ASK_LIST && a != ASK_METRICS && a != ASK_PODS && a != ASK_EVENT;

	if (draw(4) == 0) /* the last two are of one object, or of the watch */
		return failures[draw(ARRAY_SIZE(failures) - (one ? 0 : 2))];
	if (a == ASK_LIST && draw(4) == 0)
		return "empty";
	return a == ASK_JOB || a == ASK_LIST ? jobs[draw(ARRAY_SIZE(jobs))] : others[a][draw(5)];
}

static void answer(enum ask a, const char *mods, char *word, size_t size)
{
	(void)snprintf(word, size, "%s:%s%srnd=%u", ask_words[a], mods ? mods : "",
		       mods && mods[0] ? "," : "", draw(100000));
}

/* What the contract never allows, whatever came before. */
static bool is_allowed(const struct stage *s, const struct step *p)
{
	const struct world *w = &s->w;
	bool                over = w->over.trigger, other = w->name == NAME_OTHER;

	if (s->now < w->asked[p->ask].patience_ms)
		return p->ask == ASK_JOB && w->signals; /* one read: test_ends has it */
	if (p->ask == ASK_DELETE_JOB)
		return w->name == NAME_OURS && !w->accepted && job_seen(w) &&
		       (over || (!w->job.suspended && !job_is_on_hold(w, s->now)));
	if (p->ask == ASK_DELETE_SERVICE)
		return over && !other && service_to_delete(w);
	if (p->ask == ASK_DELETE_POD)
		return over && staying_pod(w);
	if (p->ask == ASK_DELETE_QUEUE)
		return over && !other;
	if (p->ask == ASK_DELETE_SELF)
		return over && !other && w->self_uid[0];
	return true;
}

/* Something else than an answer; seldom. */
static void news(struct stage *s, bool watched)
{
	static const char *const words[] = { "seen",       "seen:complete", "seen:deleted",
					     "seen:uid=B", "error",         "bookmark",
					     "ended",      "ended:refused", "ended:expired",
					     "signal" };
	char                     word[64];
	uint32_t                 i = draw(3 * ARRAY_SIZE(words));

	if (i >= ARRAY_SIZE(words) || (!watched && i < 9))
		return;
	(void)snprintf(word, sizeof(word), "%s", words[i]);
	if (getenv("LIFE"))
		print_message("%9.3f %s\n", (double)(s->now - START) / 1000, word);
	stage_word(s, word);
}

static void one_life(uint32_t seed)
{

	static struct stage s;
	char                word[256];
	unsigned            asked = 0;

	chance = seed * 2654435761u;
	stage_open(&s, "");
	(void)snprintf(word, sizeof(word), "cfg:%s", settings[draw(ARRAY_SIZE(settings))]);
	stage_word(&s, word);
	for (int n = 0; n < STEPS; n++) {
		struct step p = step_at(&s, s.now);

		if (p.kind == STEP_END)
			break;
		if (p.kind == STEP_ASK) {
			if (!is_allowed(&s, &p))
				fail_msg("life %u: not allowed: %s", seed, p.rule);
			answer(p.ask, draw_mods(p.ask), word, sizeof(word));
			if (getenv("LIFE"))
				print_message("%9.3f %s (%s)\n", (double)(s.now - START) / 1000,
					      word, p.rule);
			stage_word(&s, word);
			if (++asked > MANY)
				fail_msg("life %u: %u requests at once, the last for %s", seed,
					 asked, p.rule);
			continue;
		}
		if (p.until_ms == NEVER || p.until_ms <= s.now || !wait_is_true(&s, p.until_ms))
			fail_msg("life %u: a wait of %lld ms", seed,
				 (long long)(p.until_ms - s.now));
		if (p.until_ms > s.now + 340000)
			fail_msg("life %u: nothing for %lld ms", seed,
				 (long long)(p.until_ms - s.now));
		s.now = draw(3) ? p.until_ms : s.now + 1 + draw((uint32_t)(p.until_ms - s.now));
		asked = 0;
		news(&s, s.w.watching);
	}
	stage_close(&s);
}

static void lives_by_chance(void **state)
{
	const char *only = getenv("LIFE");

	(void)state;
	for (life = 1; life <= LIVES; life++)
		if (!only || strtoul(only, NULL, 10) == life)
			one_life(life);
}

/* Answers that never change, and do not agree: a Job that a DELETE is accepted of lives on ... */
static void stubborn_life(uint32_t seed)
{
	static struct stage s;
	const char         *mods[ASKS];
	char                word[256];
	unsigned            asked = 0;
	int64_t             minute = START;

	chance = seed * 2654435761u;
	stage_open(&s, "");
	(void)snprintf(word, sizeof(word), "cfg:%s", settings[draw(13)]);
	stage_word(&s, word);
	for (enum ask a = 0; a < ASKS; a++)
		mods[a] = draw(4) || a == ASK_QUEUES ? NULL : draw_mods(a);
	if (draw(4) == 0) /* pages without end have their own (test_queues) */
		mods[ASK_QUEUES] = draw(2) ? "names=a+b" : failures[draw(ARRAY_SIZE(failures))];
	for (struct step p = step_at(&s, s.now); p.kind != STEP_END && s.now < START + 120000;
	     p = step_at(&s, s.now)) {
		if (s.now >= minute + 60000) {
			minute = s.now;
			asked = 0;
		}
		if (p.kind == STEP_WAIT) {
			s.now = p.until_ms;
			continue;
		}
		answer(p.ask, mods[p.ask], word, sizeof(word));
		if (getenv("LIFE"))
			print_message("%9.3f %s (%s)\n", (double)(s.now - START) / 1000, word,
				      p.rule);
		stage_word(&s, word);
		if (++asked > HOT + INT64_C(240000) / s.cfg.interval_ms)
			fail_msg("life %u: %u requests in a minute, the last for %s", seed, asked,
				 p.rule);
	}
	stage_close(&s);
}

static void stubborn_lives(void **state)
{
	const char *only = getenv("LIFE");

	(void)state;
	for (life = 1; life <= LIVES; life++)
		if (!only || strtoul(only, NULL, 10) == life)
			stubborn_life(life);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lives_by_chance),
		cmocka_unit_test(stubborn_lives),
	};

	return cmocka_run_group_tests_name("chaos", tests, NULL, NULL);
}
