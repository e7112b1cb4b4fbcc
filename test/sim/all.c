#include "all.h"

#include <stdio.h>

#include "faults.h"
#include "life.h"
#include "story.h"

#define STORIES 40

/* At one request: every fault that there is, and every thing that people and nodes do. */
static const int singles[] = {
	FAULT_REFUSED,
	FAULT_LOST_BEFORE,
	FAULT_LOST_AFTER,
	FAULT_LATE,
	FAULT_LATE_ANSWER,
	FAULT_TWICE,
	FAULT_CUT,
	FAULT_CUT_CLEAN,
	FAULT_SLOW,
	FAULT_HUNG,
	FAULT_HUNG_AFTER,
	FAULT_S400,
	FAULT_S401,
	FAULT_S403,
	FAULT_S403_ANONYMOUS,
	FAULT_S403_WEBHOOK,
	FAULT_S404_TEXT,
	FAULT_S409,
	FAULT_S410,
	FAULT_S422_POLICY,
	FAULT_S429,
	FAULT_S429_HOUR,
	FAULT_S500,
	FAULT_S500_WEBHOOK,
	FAULT_S503,
	FAULT_S503_HOUR,
	FAULT_S504,
	FAULT_S504_AFTER,
	FAULT_HTML,
	FAULT_KILLED_BEFORE,
	FAULT_KILLED_AFTER,
	FAULT_TERMED,
	FAULT_FROZEN,
	AT(CPU),
	AT(HOLD),
	AT(SUSPEND),
	AT(COMPLETE),
	AT(FAIL),
	AT(DELETE),
	AT(DELETE_FOREGROUND),
	AT(DELETE_ORPHAN),
	AT(SERVICE_ANEW),
	AT(SERVICE_GONE),
	AT(POD_REPLACED),
	AT(POD_LOST),
	AT(NEWCOMER),
	AT(TOUCH),
	AT(WATCH_CUT),
	AT(WATCH_END),
	AT(COMPACT),
	AT(TOKEN_NEW),
	AT(CLEANER_DELETED),
};

/* Of pairs: one of each sort. */
static const int pairs[] = {
	FAULT_LOST_BEFORE, FAULT_LOST_AFTER,   FAULT_LATE, FAULT_TWICE,  FAULT_S403, FAULT_S503,
	FAULT_S504_AFTER,  FAULT_KILLED_AFTER, AT(DELETE), AT(NEWCOMER), AT(HOLD),   AT(COMPLETE),
};

#define COUNT(a) ((uint64_t)(sizeof(a) / sizeof((a)[0])))

static struct {
	const char *file;
	uint64_t    requests;
	uint64_t    first; /* number of its first life */
} stories[STORIES];
static int story_count;

static uint64_t pair_placements(uint64_t requests)
{
	return requests * (requests - 1) / 2;
}

static uint64_t lives_of(uint64_t requests)
{
	return 1 + requests * COUNT(singles) +
	       pair_placements(requests) * COUNT(pairs) * COUNT(pairs);
}

uint64_t all_prepare(char *const *files, int count)
{
	uint64_t total = 0;

	for (int i = 0; i < count && i < STORIES; i++) {
		story_read(files[i]);
		life_play();
		stories[story_count].file = files[i];
		stories[story_count].requests = (uint64_t)life_stats.to_place;
		stories[story_count++].first = total;
		total += lives_of((uint64_t)life_stats.to_place);
		(void)printf("%-44s %3d requests, %8llu lives\n", files[i], life_stats.to_place,
			     (unsigned long long)lives_of((uint64_t)life_stats.to_place));
	}
	return total;
}

/* Where and what, out of the number of a life in its story. */
static void place(uint64_t n, uint64_t requests, struct placed out[2])
{
	out[0] = out[1] = (struct placed){ 0 };
	if (n == 0)
		return;
	n--;
	if (n < requests * COUNT(singles)) {
		out[0].nth = (int)(n / COUNT(singles)) + 1;
		out[0].fault = singles[n % COUNT(singles)];
		return;
	}
	n -= requests * COUNT(singles);
	out[0].fault = pairs[n % COUNT(pairs)];
	n /= COUNT(pairs);
	out[1].fault = pairs[n % COUNT(pairs)];
	n /= COUNT(pairs);
	for (uint64_t first = 1; first < requests; first++) {
		if (n < requests - first) {
			out[0].nth = (int)first;
			out[1].nth = (int)(first + 1 + n);
			return;
		}
		n -= requests - first;
	}
}

static int story_of(uint64_t number)
{
	int s = story_count - 1;

	while (s && stories[s].first > number)
		s--;
	return s;
}

void all_draw(uint64_t number)
{
	static int read = -1;
	int        s = story_of(number);

	if (read != s)
		story_read(stories[s].file);
	read = s;
	place(number - stories[s].first, stories[s].requests, story.placed);
}

void all_name(uint64_t number, char *out, unsigned size)
{
	int           s = story_of(number);
	struct placed p[2];
	unsigned      n = (unsigned)snprintf(out, size, "--story %s", stories[s].file);

	place(number - stories[s].first, stories[s].requests, p);
	for (int i = 0; i < 2 && n < size; i++)
		if (p[i].nth)
			n += (unsigned)snprintf(out + n, size - n, " --place %d:%s", p[i].nth,
						placed_name(p[i].fault));
}
