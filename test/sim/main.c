/* Seeds in batches, each batch a process of its own; what they broke, by kind; replay of one. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "all.h"
#include "bodies.h"
#include "life.h"
#include "process.h"
#include "promises.h"
#include "report.h"
#include "story.h"

#define BATCH    500
#define WATCHDOG 5 /* seconds of CPU for one life: it hangs */

static struct {
	uint64_t      first, lives;
	int           workers;
	bool          one;
	bool          list, all;
	const char   *story;
	struct placed placed[2];
	int           placed_count;
	char        **files;
	int           file_count;
} options = { .first = 1, .lives = 100000, .workers = 2 };

/* What the workers share: the next seed to take, and each one's present seed. */
static struct shared {
	uint64_t next;
	uint64_t at[64];
} * shared;

/* ---- A worker ---- */

static void watchdog(void)
{
	struct itimerval t = { .it_value.tv_sec = WATCHDOG };

	(void)setitimer(ITIMER_VIRTUAL, &t, NULL);
}

/* One line, and so one write, for a life that broke something. */
static void list_broken(uint64_t seed)
{
	char   line[500];
	size_t n = (size_t)snprintf(line, sizeof(line), "%llu", (unsigned long long)seed);

	for (int i = 0; i < verdict.count && n < sizeof(line); i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " %s", verdict.broken[i].kind);
	(void)printf("%s\n", line);
	(void)fflush(stdout);
}

static void play(uint64_t seed, struct report *r)
{
	if (options.all)
		all_draw(seed);
	else
		story_draw(seed);
	watchdog();
	life_play();
	report_life(r, seed, &verdict, &life_stats);
	if (options.list && verdict.count)
		list_broken(seed);
}

/* Plays seeds until none is left or the batch is over; writes what was seen to @fd. */
static void work(int worker, uint64_t first, uint64_t end, int fd)
{
	static struct report r;

	process_setup();
	for (uint64_t seed = first; seed < end; seed++) {
		shared->at[worker] = seed;
		play(seed, &r);
	}
	process_teardown();
	if (!report_write(&r, fd))
		_exit(3);
	_exit(0);
}

struct worker {
	pid_t    pid;
	int      fd;
	uint64_t first, end;
};

static void start(struct worker *w, int number)
{
	int fds[2];

	(void)fflush(stdout);
	if (pipe(fds) < 0)
		sim_fatal("pipe: %s", strerror(errno));
	w->pid = fork();
	if (w->pid < 0)
		sim_fatal("fork: %s", strerror(errno));
	if (w->pid == 0) {
		(void)close(fds[0]);
		work(number, w->first, w->end, fds[1]);
	}
	(void)close(fds[1]);
	w->fd = fds[0];
}

/* What is left of batches that died. */
static struct range {
	uint64_t first, end;
} redo[256];
static int redo_count;

static void add_redo(uint64_t first, uint64_t end)
{
	if (first < end && redo_count < 256)
		redo[redo_count++] = (struct range){ first, end };
}

static bool next_batch(struct worker *w)
{
	uint64_t end = options.first + options.lives;

	if (redo_count) {
		w->first = redo[--redo_count].first;
		w->end = redo[redo_count].end;
		return true;
	}
	if (shared->next >= end)
		return false;
	w->first = shared->next;
	w->end = w->first + BATCH < end ? w->first + BATCH : end;
	shared->next = w->end;
	return true;
}

/* A batch that died: the life at which it did is a finding, the others are played once more. */
static void note_death(const struct worker *w, int number, int status, struct report *total)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	uint64_t seed = shared->at[number];
	report_crash(total, seed, status);
	add_redo(w->first, seed);
	add_redo(seed + 1, w->end);
}

static void run_workers(struct report *total)
{
	struct worker workers[64] = { 0 };
	int           running = 0;

	for (int i = 0; i < options.workers; i++)
		if (next_batch(&workers[i])) {
			start(&workers[i], i);
			running++;
		}
	while (running) {
		int   status;
		pid_t pid = 0;
		int   i = 0;
		/* each worker writes its report at its end, which fits into the pipe */
		pid = wait(&status);
		if (pid < 0)
			sim_fatal("wait: %s", strerror(errno));
		while (i < options.workers && workers[i].pid != pid)
			i++;
		if (i == options.workers)
			continue;
		report_read(total, workers[i].fd);
		(void)close(workers[i].fd);
		note_death(&workers[i], i, status, total);
		if (next_batch(&workers[i]))
			start(&workers[i], i);
		else
			running--;
	}
}

/* ---- One seed, in full ---- */

static int replay(uint64_t seed)
{
	process_setup();
	if (options.story)
		story_read(options.story);
	else
		story_draw(seed);
	memcpy(story.placed, options.placed, sizeof(story.placed));
	if (sim_verbose)
		story_print();
	watchdog();
	life_play();
	process_teardown();
	for (int i = 0; i < verdict.window_count; i++)
		(void)printf("window %s\n", verdict.windows[i]);
	for (int i = 0; i < verdict.count; i++)
		(void)printf("%s at %.3f s: %s\n", verdict.broken[i].kind,
			     (double)verdict.broken[i].at_ms / 1000, verdict.broken[i].words);
	(void)printf("%s\n", life_outcome);
	(void)printf("seed %llu: %s; %.1f virtual s, %d requests, %d starts\n",
		     (unsigned long long)seed, verdict.count ? "broken" : "kept",
		     (double)life_stats.virtual_ms / 1000, life_stats.requests, life_stats.starts);
	return verdict.count ? 1 : 0;
}

static double seconds(void)
{
	struct timeval tv;

	(void)gettimeofday(&tv, NULL);
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static int usage(void)
{
	(void)fputs("usage: sim [--lives N] [--first SEED] [--workers N] [--list]\n"
		    "       sim [...] --all STORY...   every adverse event at every request\n"
		    "       sim --seed N [-v]          one life; -v prints its timeline\n"
		    "       sim --story FILE [--place NTH:WHAT]... [-v]\n",
		    stderr);
	return 2;
}

/* NTH:WHAT */
static bool parse_place(const char *s)
{
	const char *colon = strchr(s, ':');

	if (!colon || options.placed_count == 2)
		return false;
	options.placed[options.placed_count++] =
		(struct placed){ (int)strtol(s, NULL, 10), placed_of(colon + 1) };
	return true;
}

static bool parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "-v") == 0) {
			sim_verbose = true;
			continue;
		}
		if (strcmp(argv[i], "--all") == 0) {
			options.all = true;
			options.files = argv + i + 1;
			options.file_count = argc - i - 1;
			return options.file_count > 0;
		}
		if (strcmp(argv[i], "--list") == 0) {
			options.list = true;
			continue;
		}
		if (!value)
			return false;
		i++;
		if (strcmp(argv[i - 1], "--story") == 0) {
			options.one = true;
			options.story = value;
		} else if (strcmp(argv[i - 1], "--place") == 0) {
			if (!parse_place(value))
				return false;
		} else if (strcmp(argv[i - 1], "--seed") == 0) {
			options.one = true;
			options.first = strtoull(value, NULL, 10);
		} else if (strcmp(argv[i - 1], "--first") == 0) {
			options.first = strtoull(value, NULL, 10);
		} else if (strcmp(argv[i - 1], "--lives") == 0) {
			options.lives = strtoull(value, NULL, 10);
		} else if (strcmp(argv[i - 1], "--workers") == 0) {
			options.workers = (int)strtol(value, NULL, 10);
		} else {
			return false;
		}
	}
	return options.workers > 0 && options.workers <= 64;
}

#undef main /* of the program, which has another name here */
int main(int argc, char **argv)
{
	static struct report total;

	if (argc == 3 && strcmp(argv[1], "--bodies") == 0) {
		bodies_print(strcmp(argv[2], "1.34") == 0);
		return 0;
	}
	if (!parse(argc, argv))
		return usage();
	if (options.one)
		return replay(options.first);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		sim_fatal("mmap: %s", strerror(errno));
	if (options.all) {
		process_setup();
		options.first = 0;
		options.lives = all_prepare(options.files, options.file_count);
		process_teardown();
	}
	shared->next = options.first;
	double began = seconds();
	run_workers(&total);
	return report_print(&total, seconds() - began, options.all ? all_name : NULL);
}
