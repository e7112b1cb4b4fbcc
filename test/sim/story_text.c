/*
 * A story as text, one line a thing: what differs from the defaults, then what happens and when.
 *
 *   interval 0.5                             a number of seconds, or a word for on and off
 *   at 3.2 complete                          seconds; an argument may follow, and "for 30"
 *   at 5 faulty delete jobs 503 for 10       which requests (any = all), and what becomes of them
 *   expect job gone, cleaner gone            for whoever plays it; this program prints what came
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "story.h"

/* ---- Numbers and names that differ from the defaults ---- */

enum unit { UNIT_MS, UNIT_NUMBER, UNIT_BOOL, UNIT_CPU };

static const struct field {
	const char *name;
	enum unit   unit;
	void       *value; /* int64_t, int, bool, int64_t */
} fields[] = {
	{ "metrics", UNIT_MS, &story.resolution_ms },
	{ "pods", UNIT_NUMBER, &story.parallelism },
	{ "ttl", UNIT_NUMBER, &story.ttl_s },
	{ "retries", UNIT_NUMBER, &story.retries },
	{ "on-failure", UNIT_BOOL, &story.on_failure },
	{ "cpu", UNIT_CPU, &story.cpu },
	{ "redeclares", UNIT_NUMBER, &story.redeclares },
	{ "fault-odds", UNIT_NUMBER, &story.fault_odds },
	{ "latency-ms", UNIT_NUMBER, &story.latency_ms },
	{ "calm", UNIT_MS, &story.calm_ms },
	{ "kubernetes-1.34", UNIT_BOOL, &story.v1_34 },
	{ "lean", UNIT_BOOL, &story.lean },
	{ "long-selector", UNIT_BOOL, &story.long_selector },
	{ "undisturbed", UNIT_BOOL, &story.undisturbed },
	{ "threshold", UNIT_CPU, &story.settings.threshold },
	{ "count", UNIT_NUMBER, &story.settings.max_count },
	{ "samples", UNIT_NUMBER, &story.settings.min_distinct },
	{ "check-cpu", UNIT_BOOL, &story.settings.check_cpu },
	{ "interval", UNIT_MS, &story.settings.interval_ms },
	{ "startup-grace", UNIT_MS, &story.settings.startup_grace_ms },
	{ "pending", UNIT_MS, &story.settings.pending_ms },
	{ "missing", UNIT_MS, &story.settings.missing_ms },
	{ "completed-grace", UNIT_MS, &story.settings.completed_grace_ms },
	{ "failed-grace", UNIT_MS, &story.settings.failed_grace_ms },
	{ "teardown", UNIT_MS, &story.settings.teardown_ms },
	{ "adopt", UNIT_BOOL, &story.settings.adopt },
	{ "delete-self", UNIT_BOOL, &story.settings.delete_self },
	{ "dry-run", UNIT_BOOL, &story.settings.dry_run },
	{ "broker", UNIT_BOOL, &story.settings.broker },
	{ "queue-names", UNIT_NUMBER, &story.settings.queues },
	{ "target-container", UNIT_BOOL, &story.settings.target_container },
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static int64_t get(const struct field *f)
{
	switch (f->unit) {
	case UNIT_NUMBER: return *(int *)f->value;
	case UNIT_BOOL: return *(bool *)f->value;
	case UNIT_MS:
	case UNIT_CPU: break;
	}
	return *(int64_t *)f->value;
}

static int64_t to_ms(const char *s)
{
	double ms = strtod(s, NULL) * 1000;

	return (int64_t)(ms + (ms < 0 ? -0.5 : 0.5));
}

static void set(const struct field *f, const char *s)
{
	switch (f->unit) {
	case UNIT_MS: *(int64_t *)f->value = to_ms(s); break;
	case UNIT_CPU: *(int64_t *)f->value = strtoll(s, NULL, 10) * 1000000; break;
	case UNIT_NUMBER: *(int *)f->value = (int)strtol(s, NULL, 10); break;
	case UNIT_BOOL: *(bool *)f->value = strcmp(s, "on") == 0; break;
	}
}

static void print_fields(void)
{
	int64_t      now[FIELDS];
	struct story asked = story;

	for (size_t i = 0; i < FIELDS; i++)
		now[i] = get(&fields[i]);
	story_reset();
	for (size_t i = 0; i < FIELDS; i++) {
		if (now[i] == get(&fields[i]))
			continue;
		(void)printf("%s ", fields[i].name);
		switch (fields[i].unit) {
		case UNIT_MS: (void)printf("%g\n", (double)now[i] / 1000); break;
		case UNIT_CPU: (void)printf("%g\n", (double)now[i] / 1e6); break;
		case UNIT_NUMBER: (void)printf("%lld\n", (long long)now[i]); break;
		case UNIT_BOOL: (void)printf("%s\n", now[i] ? "on" : "off"); break;
		}
	}
	story = asked;
}

/* ---- Happenings ---- */

static const char *resource_name(int64_t r)
{
	return r == ANY ? "any" : r == RES_METRICS ? "metrics" : resource_words[r];
}

static const char *verb_name(int64_t v)
{
	return v == ANY ? "any" : verb_words[v];
}

static bool has_which(enum happen h)
{
	return h == HAPPEN_FAULTY || h == HAPPEN_RIGHT_LOST;
}

static bool arg_is_cpu(enum happen h)
{
	return h == HAPPEN_CPU;
}

static bool arg_is_time(enum happen h)
{
	return h == HAPPEN_HOLD_UNTIL || h == HAPPEN_WALL_JUMP || h == HAPPEN_WATCH_LATE;
}

static void print_happening(const struct happening *h)
{
	(void)printf("at %.3f %s", (double)h->at_ms / 1000, happen_names[h->what]);
	if (has_which(h->what))
		(void)printf(" %s %s", verb_name(h->arg & 15), resource_name(h->arg >> 4 & 15));
	if (h->what == HAPPEN_FAULTY)
		(void)printf(" %s", fault_names[h->arg >> 8]);
	else if (arg_is_cpu(h->what))
		(void)printf(" %g", (double)h->arg / 1e6);
	else if (arg_is_time(h->what))
		(void)printf(" %g", (double)h->arg / 1000);
	else if (h->arg && !has_which(h->what))
		(void)printf(" %lld", (long long)h->arg);
	if (h->for_ms == FOR_EVER)
		(void)printf(" for ever");
	else if (h->for_ms)
		(void)printf(" for %.3f", (double)h->for_ms / 1000);
	(void)putchar('\n');
}

static int compare(const void *a, const void *b)
{
	const struct happening *x = a, *y = b;

	return (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms);
}

void story_print(void)
{
	struct happening sorted[HAPPENINGS_MAX];

	(void)printf("# seed %llu\nid %s\n", (unsigned long long)story.seed, story.id);
	print_fields();
	for (int r = 0; r < RESOURCES; r++)
		for (int v = 0; v <= VERB_DELETE; v++)
			if (story.no_right[r] & RIGHT(v))
				(void)printf("no-right %s %s\n", verb_words[v], resource_name(r));
	memcpy(sorted, story.h, sizeof(sorted));
	qsort(sorted, (size_t)story.count, sizeof(sorted[0]), compare);
	for (int i = 0; i < story.count; i++)
		print_happening(&sorted[i]);
}

static int64_t index_of(const char *const *names, int64_t count, const char *word)
{
	for (int64_t i = 0; i < count; i++)
		if (strcmp(names[i], word) == 0)
			return i;
	sim_fatal("'%s' is not known", word);
}

static int64_t read_verb(const char *word)
{
	return strcmp(word, "any") == 0 ? ANY : index_of(verb_words, VERB_DELETE + 1, word);
}

static int64_t read_resource(const char *word)
{
	if (strcmp(word, "any") == 0)
		return ANY;
	return strcmp(word, "metrics") == 0 ? RES_METRICS
					    : index_of(resource_words, RESOURCES, word);
}

static int fault_of(const char *name)
{
	return (int)index_of(fault_names, FAULT_COUNT, name);
}

const char *placed_name(int fault)
{
	return fault >= 1000 ? happen_names[fault - 1000] : fault_names[fault];
}

int placed_of(const char *name)
{
	for (int h = 0; h < HAPPEN_COUNT; h++)
		if (strcmp(happen_names[h], name) == 0)
			return 1000 + h;
	return fault_of(name);
}

static int64_t read_arg(enum happen what, char **w, int n)
{
	if (has_which(what) && n < (what == HAPPEN_FAULTY ? 3 : 2))
		sim_fatal("'%s' wants more words", happen_names[what]);
	if (has_which(what))
		return WHICH(read_verb(w[0]), read_resource(w[1]),
			     what == HAPPEN_FAULTY ? fault_of(w[2]) : 0);
	if (!n)
		return 0;
	return arg_is_cpu(what)    ? strtoll(w[0], NULL, 10) * 1000000
	       : arg_is_time(what) ? to_ms(w[0])
				   : strtoll(w[0], NULL, 10);
}

/* at TIME WHAT [ARG...] [for TIME|ever] */
static void read_happening(char **w, int n)
{
	if (n < 3)
		sim_fatal("at when happens what?");
	enum happen what = (enum happen)index_of(happen_names, HAPPEN_COUNT, w[2]);
	int64_t     for_ms = 0;
	int         args = n - 3;
	if (args >= 2 && strcmp(w[n - 2], "for") == 0) {
		for_ms = strcmp(w[n - 1], "ever") == 0 ? FOR_EVER : to_ms(w[n - 1]);
		args -= 2;
	}
	story_add(to_ms(w[1]), what, read_arg(what, w + 3, args), for_ms);
}

static void read_line(char *line)
{
	char *w[16];
	int   n = 0;

	while (n < 16 && (w[n] = strsep(&line, " \t\n")) != NULL)
		n += w[n][0] != '\0';
	if (!n || w[0][0] == '#' || strcmp(w[0], "expect") == 0)
		return;
	if (strcmp(w[0], "at") == 0) {
		read_happening(w, n);
		return;
	}
	if (strcmp(w[0], "no-right") == 0 && n == 3) {
		story.no_right[read_resource(w[2])] |= RIGHT(read_verb(w[1]));
		return;
	}
	if (n != 2)
		sim_fatal("'%s' wants a value", w[0]);
	if (strcmp(w[0], "id") == 0) {
		(void)snprintf(story.id, sizeof(story.id), "%s", w[1]);
		return;
	}
	for (size_t i = 0; i < FIELDS; i++)
		if (strcmp(fields[i].name, w[0]) == 0) {
			set(&fields[i], w[1]);
			return;
		}
	sim_fatal("'%s' is not known", w[0]);
}

void story_read(const char *file)
{
	FILE *f = fopen(file, "re");
	char  line[300];

	if (!f)
		sim_fatal("%s: %s", file, strerror(errno));
	story_reset();
	story.seed = 1;
	while (fgets(line, sizeof(line), f))
		read_line(line);
	(void)fclose(f);
	if (!story.calm_ms)
		story.calm_ms = story_last_ms() + SEC(1);
}
