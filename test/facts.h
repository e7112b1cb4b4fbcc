/* facts.h - what is known of a stage's world, as text: `key=value` each. */
#ifndef FACTS_H
#define FACTS_H

#include "../look.h"
#include "stage.h"

static const char *const trigger_words[] = {
	[TRIGGER_NONE] = "none",       [TRIGGER_COMPLETED] = "completed",
	[TRIGGER_FAILED] = "failed",   [TRIGGER_IDLE] = "idle",
	[TRIGGER_PENDING] = "pending", [TRIGGER_GONE] = "gone",
	[TRIGGER_MISSING] = "missing",
};
static const char *const name_words[] = { "unknown", "ours", "absent", "other" };
static const char *const known_words[] = { "unknown", "there", "absent" };
static const char *const hold_words[] = { "none", "on", "invalid", "over" };
static const char *const reading_words[] = { "unknown", "idle", "active" };
static const char *const fate_words[] = { "none",     "off",      "deleted",   "absent",
					  "newcomer", "deleting", "forbidden", "left" };

/* Words in one: `no-metrics-of-the-job's-pods`. */
static inline const char *joined_text(const char *words)
{
	static char text[100];

	(void)snprintf(text, sizeof(text), "%s", words && words[0] ? words : "-");
	for (char *p = text; *p; p++)
		*p = *p == ' ' ? '-' : *p;
	return text;
}

static inline const char *text_or(const char *s, const char *otherwise)
{
	return s && s[0] ? s : otherwise;
}

/* Seconds from the start; `never`, `-` for 0. */
static inline const char *at_text(int64_t ms)
{
	static char text[32];

	if (ms == NEVER || ms == 0)
		return ms ? "never" : "-";
	(void)snprintf(text, sizeof(text), "%g", (double)(ms - START) / 1000);
	return text;
}

static inline const char *number_text(int64_t n)
{
	static char text[32];

	(void)snprintf(text, sizeof(text), "%lld", (long long)n);
	return text;
}

static inline const char *job_fact(const struct stage *s, const char *key)
{
	const struct world *w = &s->w;
	int64_t             until;

	if (strcmp(key, "state") == 0)
		return job_state(w);
	if (strcmp(key, "name") == 0)
		return name_words[w->name];
	if (strcmp(key, "uid") == 0)
		return text_or(w->job.uid, "-");
	if (strcmp(key, "live") == 0)
		return job_is_live(w) ? "yes" : "no";
	if (strcmp(key, "gone") == 0)
		return at_text(w->gone_ms);
	if (strcmp(key, "deleting") == 0)
		return at_text(w->deleting_ms);
	if (strcmp(key, "accepted") == 0)
		return w->accepted ? "yes" : "no";
	if (strcmp(key, "trigger") == 0)
		return trigger_words[world_trigger(w)];
	if (strcmp(key, "over") == 0)
		return trigger_words[w->over.trigger];
	if (strcmp(key, "since") == 0)
		return at_text(w->over.ms);
	if (strcmp(key, "ripe") == 0)
		return w->ripe ? "yes" : "no";
	if (strcmp(key, "ran") == 0)
		return w->ever_ran ? "yes" : "no";
	if (strcmp(key, "hold") == 0)
		return hold_words[job_hold(w, s->now, NULL)];
	if (strcmp(key, "held") == 0)
		return job_is_on_hold(w, s->now) ? "yes" : "no";
	if (strcmp(key, "held-until") == 0)
		return job_hold(w, s->now, &until) == HOLD_ON ? at_text(until) : "-";
	if (strcmp(key, "kept") == 0)
		return at_text(job_kept_until_ms(w, &s->cfg));
	return NULL;
}

static inline const char *idle_fact(const struct stage *s, const char *key)
{
	const struct world *w = &s->w;

	if (strcmp(key, "count") == 0)
		return number_text(w->idle.count.count);
	if (strcmp(key, "reading") == 0)
		return reading_words[w->idle.reading];
	if (strcmp(key, "idle") == 0)
		return idle_is_due(w, &s->cfg, s->now) ? "due" : "no";
	if (strcmp(key, "ended") == 0)
		return ended_due_ms(w, &s->cfg) > s->now ? "no"
		       : w->ended.how == JOB_COMPLETE    ? "completed"
							 : "failed";
	if (strcmp(key, "looked") == 0)
		return look_is_done(w, &s->cfg, s->now) ? "yes" : "no";
	if (strcmp(key, "look") == 0)
		return w->idle.look ? "due" : "no";
	if (strcmp(key, "grid") == 0)
		return at_text(w->idle.grid_ms);
	if (strcmp(key, "check") == 0)
		return at_text(check_due_ms(w, &s->cfg));
	if (strcmp(key, "pending") == 0)
		return at_text(pending_due_ms(w, &s->cfg));
	if (strcmp(key, "why") == 0)
		return joined_text(w->idle.why);
	if (strcmp(key, "cleared") == 0)
		return joined_text(w->idle.cleared);
	if (strcmp(key, "gather") == 0)
		return pod_to_gather(w) ? pod_to_gather(w)->name : "-";
	if (strcmp(key, "cpu") == 0)
		return number_text(w->idle.cpu / 1000000);
	return NULL;
}

static inline const char *other_fact(const struct stage *s, const char *key)
{
	const struct world   *w = &s->w;
	const struct k8s_pod *pod = staying_pod(w);

	if (strcmp(key, "service") == 0)
		return known_words[w->service.known];
	if (strcmp(key, "service-uid") == 0)
		return text_or(w->service.uid, "-");
	if (strcmp(key, "ours") == 0)
		return text_or(w->service.ours, "-");
	if (strcmp(key, "delete") == 0)
		return text_or(service_to_delete(w), "-");
	if (strcmp(key, "theirs") == 0)
		return w->service.theirs ? "yes" : "no";
	if (strcmp(key, "adopted") == 0)
		return text_or(w->service.adopted, "-");
	if (strcmp(key, "staying") == 0)
		return pod ? pod->name : "-";
	if (strcmp(key, "pods-forbidden") == 0)
		return pods_are_forbidden(w) ? "yes" : "no";
	if (strcmp(key, "last-pod") == 0)
		return w->pods.empty ? "gone" : "-";
	if (strcmp(key, "page") == 0)
		return number_text(w->queues.number);
	if (strcmp(key, "watching") == 0)
		return w->watching ? "yes" : "no";
	if (strcmp(key, "version") == 0)
		return text_or(w->version, "-");
	if (strcmp(key, "relist") == 0)
		return w->relist ? "yes" : "no";
	if (strcmp(key, "news") == 0)
		return w->news > w->asked[ASK_JOB].told ? "yes" : "no";
	if (strcmp(key, "finish") == 0)
		return w->finish > w->asked[ASK_JOB].told ? "yes" : "no";
	if (strcmp(key, "self") == 0)
		return known_words[w->self];
	if (strcmp(key, "refusal") == 0)
		return text_or(w->asked[ASK_DELETE_JOB].words, "-");
	if (strcmp(key, "event") == 0)
		return w->event_due ? "accepted" : w->refusal_due ? "refused" : "-";
	return NULL;
}

static inline const char *fate_fact(const struct stage *s, const char *key)
{
	struct fates f = fates_of(&s->w, &s->cfg, s->now);

	if (strcmp(key, "job-fate") == 0)
		return fate_words[f.job];
	if (strcmp(key, "pods-fate") == 0)
		return fate_words[f.pods];
	if (strcmp(key, "service-fate") == 0)
		return fate_words[f.service];
	if (strcmp(key, "queues-fate") == 0)
		return fate_words[f.queues];
	if (strcmp(key, "self-fate") == 0)
		return fate_words[f.self];
	if (strcmp(key, "complete") == 0)
		return fates_are_complete(&f) ? "yes" : "no";
	if (strcmp(key, "self-next") == 0)
		return self_is_next(&s->w, &s->cfg, s->now) ? "yes" : "no";
	if (strcmp(key, "deadline") == 0)
		return at_text(teardown_deadline_ms(&s->w, &s->cfg));
	if (strcmp(key, "cut-short") == 0)
		return queues_are_cut_short(&s->w, &s->cfg, s->now) ? "yes" : "no";
	return NULL;
}

/* `due.job`: when it may be asked again. */
static inline const char *due_fact(const struct stage *s, const char *key)
{
	for (enum ask a = 0; strncmp(key, "due.", 4) == 0 && a < ASKS; a++)
		if (strcmp(ask_words[a], key + 4) == 0)
			return at_text(s->w.asked[a].due_ms);
	return NULL;
}

static inline const char *fact(const struct stage *s, const char *key)
{
	const char *v = job_fact(s, key);

	v = v ? v : idle_fact(s, key);
	v = v ? v : other_fact(s, key);
	v = v ? v : fate_fact(s, key);
	v = v ? v : due_fact(s, key);
	if (!v)
		fail_msg("no such fact: %s", key);
	return v;
}

/* Whether all of @facts hold; those that do not are printed. */
static inline bool facts_hold(const struct stage *s, const char *facts)
{
	bool hold = true;

	for (const char *p = facts + strspn(facts, " "); *p; p += strspn(p, " ")) {
		char        want[128], key[64];
		int         n = (int)strcspn(p, " ");
		const char *value = memchr(p, '=', (size_t)n);

		assert_non_null(value);
		(void)snprintf(key, sizeof(key), "%.*s", (int)(value - p), p);
		(void)snprintf(want, sizeof(want), "%.*s", n - (int)(value + 1 - p), value + 1);
		p += n;
		const char *is = fact(s, key);
		if (strcmp(is, want) != 0)
			print_error("    %s is %s, and not %s\n", key, is, want);
		hold &= strcmp(is, want) == 0;
	}
	return hold;
}

struct tale {
	const char *sentence, *tale, *facts;
};

static inline void assert_tales(const struct tale *t, size_t n)
{
	static struct stage s; /* 100 kB */
	bool                hold = true;

	for (size_t i = 0; i < n; i++) {
		print_message("  %s: %s\n", t[i].sentence, t[i].tale);
		stage_open(&s, t[i].tale);
		hold &= facts_hold(&s, t[i].facts);
		stage_close(&s);
	}
	assert_true(hold);
}

/* Idle readings: one short of the trigger, and enough for it. */
#define IDLE4 "metrics +10 metrics +10 metrics +10 metrics"
#define IDLE5 IDLE4 " +10 metrics"

/* A test of many tales. */
#define TALES(name, ...)                                                                           \
	static const struct tale name##_tales[] = __VA_ARGS__;                                     \
	static void              name(void **state)                                                \
	{                                                                                          \
		(void)state;                                                                       \
		assert_tales(name##_tales, ARRAY_SIZE(name##_tales));                              \
	}

#endif
