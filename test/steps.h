/* steps.h - what the plan says of a stage's world, as text; and lives that follow it. */
#ifndef STEPS_H
#define STEPS_H

#include "facts.h"

static const char *const end_words[] = { "torn-down", "left", "signalled", "dry-run", "spared" };

/* The rule's words; `wait 12.5` (seconds from the start), `wait never`; `end torn-down`. */
static inline const char *step_text(const struct step *p)
{
	static char text[64];

	if (p->kind == STEP_ASK)
		return p->rule;
	(void)snprintf(text, sizeof(text), "%s %s", p->kind == STEP_WAIT ? "wait" : "end",
		       p->kind == STEP_END ? end_words[p->end] : at_text(p->until_ms));
	return text;
}

static inline struct step step_at(struct stage *s, int64_t now)
{
	world_tick(&s->w, &s->cfg, now);
	waits_tick(&s->w, &s->cfg, now);
	return plan_next(&s->w, &s->cfg, now);
}

/*
 * A wait is until something is due: it does not end sooner by itself, nor is the same asked for
 * once more when it ends.
 */
static inline bool wait_is_true(struct stage *s, int64_t until)
{
	int64_t sooner[] = { s->now + 1, (s->now + until) / 2, until - 1 };

	if (until == NEVER)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(sooner); i++) {
		int64_t     t = max_ms(s->now, sooner[i]);
		struct step p = step_at(s, t);
		if (t < until && (p.kind != STEP_WAIT || p.until_ms < until)) {
			print_error("    wait until %lld, but then at %lld: %s\n",
				    (long long)(until - START), (long long)(t - START),
				    step_text(&p));
			return false;
		}
	}
	struct step p = step_at(s, until);
	if (p.kind == STEP_WAIT && p.until_ms <= until)
		print_error("    then it waits once more\n");
	return p.kind != STEP_WAIT || p.until_ms > until;
}

struct scene {
	const char *sentence, *tale, *step;
};

static inline bool scene_holds(const struct scene *c)
{
	static struct stage s;
	bool                holds;

	print_message("  %s: %s\n", c->sentence, c->tale);
	stage_open(&s, c->tale);
	struct step p = step_at(&s, s.now);
	holds = strcmp(step_text(&p), c->step) == 0;
	if (!holds)
		print_error("    %s, and not %s\n", step_text(&p), c->step);
	if (p.kind == STEP_WAIT)
		holds &= wait_is_true(&s, p.until_ms);
	stage_close(&s);
	return holds;
}

static inline void assert_scenes(const struct scene *c, size_t n)
{
	bool hold = true;

	for (size_t i = 0; i < n; i++)
		hold &= scene_holds(&c[i]);
	assert_true(hold);
}

/* ---- Lives ---- */

/*
 * The plan is followed: each request is answered by the first of @answers that is for it, which is
 * used up unless it is the last one; by the stage's default if there is none. @log gets what was
 * asked, `+10` where there was a wait, and the end. No longer than until @limit_ms.
 */
struct life {
	const char *sentence, *tale, *answers;
	int         seconds;
	const char *log;
};

static inline void next_answer(char *answers, const char *name, char *out, size_t size)
{
	char  *found = NULL;
	size_t n = strlen(name);
	bool   more = false;

	for (char *p = answers; *p && !more; p += strcspn(p, " "), p += strspn(p, " ")) {
		bool it = strncmp(p, name, n) == 0 && strchr(": ", p[n]);
		more = it && found;
		found = it && !found ? p : found;
	}
	(void)snprintf(out, size, "%.*s", (int)(found ? strcspn(found, " ") : n),
		       found ? found : name);
	if (more)
		found[0] = '#'; /* used up */
}

static inline void log_add(struct buf *log, const char *text)
{
	assert_int_equal(buf_printf(log, "%s%s", log->len ? " " : "", text), 0);
}

static inline void live(struct stage *s, char *answers, int64_t limit, struct buf *log)
{
	for (int n = 0; n < 2000; n++) {
		struct step p = step_at(s, s->now);
		char        word[256];

		if (p.kind == STEP_END) {
			log_add(log, step_text(&p));
			return;
		}
		if (p.kind == STEP_WAIT) {
			if (p.until_ms > limit)
				return;
			(void)snprintf(word, sizeof(word), "+%g",
				       (double)(p.until_ms - s->now) / 1000);
			log_add(log, word);
			s->now = p.until_ms;
			continue;
		}
		log_add(log, ask_words[p.ask]);
		next_answer(answers, ask_words[p.ask], word, sizeof(word));
		stage_word(s, word);
	}
	log_add(log, "... for ever");
}

static inline bool life_holds(const struct life *l)
{
	static struct stage s;
	struct buf          log = { .max = 100000 };
	char                answers[2000];

	print_message("  %s: %s\n", l->sentence, l->tale);
	(void)snprintf(answers, sizeof(answers), "%s", l->answers);
	stage_open(&s, l->tale);
	live(&s, answers, s.now + l->seconds * INT64_C(1000), &log);
	bool holds = strcmp(log.data ? log.data : "", l->log) == 0;
	if (!holds)
		print_error("    %s\n    and not\n    %s\n", log.data ? log.data : "", l->log);
	buf_fini(&log);
	stage_close(&s);
	return holds;
}

static inline void assert_lives(const struct life *l, size_t n)
{
	bool hold = true;

	for (size_t i = 0; i < n; i++)
		hold &= life_holds(&l[i]);
	assert_true(hold);
}

/* A test of many scenes. */
#define SCENES(name, ...)                                                                          \
	static const struct scene name##_scenes[] = __VA_ARGS__;                                   \
	static void               name(void **state)                                               \
	{                                                                                          \
		(void)state;                                                                       \
		assert_scenes(name##_scenes, ARRAY_SIZE(name##_scenes));                           \
	}

#endif
