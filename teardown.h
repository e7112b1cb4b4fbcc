/*
 * teardown.h - what became of each object of a teardown, and how it is told (report.c).
 */
#ifndef TEARDOWN_H
#define TEARDOWN_H

#include "app.h"

/* What became of an object; fate_name() is its word in the summary. */
enum fate {
	FATE_NONE, /* not tried */
	FATE_DELETED,
	FATE_ABSENT,
	FATE_NEWCOMER,  /* another one has its name by now: left alone */
	FATE_DELETING,  /* accepted, but finalizers keep it */
	FATE_FORBIDDEN, /* 403 */
	FATE_LEFT,      /* out of time */
};

struct teardown {
	struct app  *a; /* borrowed */
	enum trigger trigger;
	int64_t      start_ms; /* monotonic */
	enum fate    job, pods, service, self;
	bool         look_again; /* the Job changed: decide anew */
};

static inline bool fate_is_left(enum fate f)
{
	return f >= FATE_DELETING;
}

/* Our own Job does not count: ttlSecondsAfterFinished is its backstop. */
static inline bool teardown_is_complete(const struct teardown *t)
{
	return !fate_is_left(t->job) && !fate_is_left(t->pods) && !fate_is_left(t->service);
}

const char *fate_name(enum fate f);
const char *trigger_name(enum trigger t);

/* What was seen, in words that a person can act on; cut to @size. */
void report_words(const struct app *a, enum trigger t, char *out, size_t size);

/* Records the Event on the Job. Best effort: one try of two seconds. */
void report_event(struct app *a, enum trigger t, const char *words);

/* The last line: to the log, and as JSON to the termination log if that can be written. */
void report_summary(const struct teardown *t);

#endif
