#include "target.h"

#include <string.h>

static const char *const state_names[] = { "awaited", "live", "completed",
					   "failed",  "gone", "newcomer" };
_Static_assert(ARRAY_SIZE(state_names) == TARGET_NEWCOMER + 1, "name every state");

const char *target_state_name(enum target_state s)
{
	return state_names[s];
}

static void advance(struct target *t, enum target_state s)
{
	if (s > t->state)
		t->state = s;
}

void target_saw(struct target *t, const struct k8s_job *job)
{
	if (target_seen(t) && strcmp(t->job.uid, job->uid) != 0) {
		advance(t, TARGET_NEWCOMER);
		return;
	}
	t->job = *job;
	if (job->ready > 0)
		t->ever_ready = true;
	advance(t, TARGET_LIVE);
	if (job->deleting)
		advance(t, TARGET_GONE);
	else if (job->finished != JOB_NOT_FINISHED && t->state == TARGET_LIVE)
		t->state = job->finished == JOB_COMPLETE ? TARGET_COMPLETED : TARGET_FAILED;
}

void target_absent(struct target *t)
{
	if (target_seen(t))
		advance(t, TARGET_GONE);
}

void target_deleted(struct target *t, const char *uid)
{
	if (strcmp(t->job.uid, uid) == 0)
		advance(t, TARGET_GONE);
}

void target_returned(struct target *t, const struct k8s_job *job)
{
	t->state = TARGET_LIVE;
	target_saw(t, job);
}

enum hold target_hold(const struct k8s_job *job, int64_t unix_now_ms, int64_t *ret_until_ms)
{
	int64_t   until_ms = INT64_MAX;
	enum hold h = HOLD_INVALID;

	if (!job->has_hold)
		h = HOLD_NONE;
	else if (strcmp(job->hold, "true") == 0)
		h = HOLD_ON;
	else if (rfc3339_parse(job->hold, &until_ms) == 0)
		h = unix_now_ms < until_ms ? HOLD_ON : HOLD_OVER;
	if (ret_until_ms)
		*ret_until_ms = until_ms;
	return h;
}
