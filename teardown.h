/*
 * teardown.h - what became of each object of a teardown: for its steps (teardown.c, queues.c), and
 * for how it is told (report.c).
 */
#ifndef TEARDOWN_H
#define TEARDOWN_H

#include "app.h"

#define STEP_MS INT64_C(60000) /* what is held up for so long does not hold up the other steps */

/* What became of an object; fate_name() is its word in the summary. */
enum fate {
	FATE_NONE, /* not tried */
	FATE_OFF,  /* not asked for */
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
	enum fate    job, pods, service, queues, self;
	bool         look_again;                 /* the Job changed: decide anew */
	char         seen_service[K8S_UID_SIZE]; /* read before the Job's DELETE; "" = not */
};

static inline bool fate_is_left(enum fate f)
{
	return f >= FATE_DELETING;
}

/* Our own Job does not count: ttlSecondsAfterFinished is its backstop. */
static inline bool teardown_is_complete(const struct teardown *t)
{
	return !fate_is_left(t->job) && !fate_is_left(t->pods) && !fate_is_left(t->service) &&
	       !fate_is_left(t->queues);
}

/* ---- teardown.c: what the steps have in common ---- */

/* Decodes the body of an answer to @q into @ret; 0 or -errno. */
typedef int decode_fn(const struct k8s_request *q, const struct buf *body, void *ret,
		      struct err *err);

/*
 * Repeats @q until its answer settles something: OK (its body went through @decode, unless that is
 * NULL), ABSENT, CONFLICT, or FORBIDDEN, which is logged with what is @lost by it. UNREACHABLE: out
 * of time.
 */
enum k8s_answer call_until_settled(struct app *a, const struct k8s_request *q, const char *lost,
				   decode_fn *decode, void *ret);

/* Says what failed and waits before the next try, the longer the more tries; false: time is up. */
bool pause_after(struct app *a, unsigned *attempt, const struct k8s_request *q,
		 const struct k8s_result *r);

enum sight { SIGHT_OURS, SIGHT_ABSENT, SIGHT_NEWCOMER, SIGHT_FORBIDDEN, SIGHT_OUT_OF_TIME };

/* Reads, until there is an answer: who has the Job's name now? @ret_job: for SIGHT_OURS. */
enum sight look_at_job(struct app *a, struct k8s_job *ret_job);

/* Logs what became of @what (a literal), and returns @f. */
enum fate told(const char *what, const char *name, enum fate f);

/* ---- job.c ---- */

/* Step 2: deletes the Job and waits until it and its pods are gone; but see await_job(). */
void delete_job(struct teardown *t);

/* The pods of a Job that is gone, and a Job that finalizers keep: waits for as long as there is. */
void await_job(struct teardown *t);

/* ---- service.c ---- */

void delete_service(struct teardown *t); /* step 3 */

/*
 * The owner may have created the Service anew since it was noted. So its uid is read once more
 * before the Job's DELETE, and is ours if that is accepted: then our Job had its name behind the
 * read, and no newcomer can have made the Service. One try; without it the noted uid stays.
 */
void look_at_service(struct teardown *t);
void confirm_service(struct teardown *t);

/* ---- queues.c ---- */

/*
 * Step 4: deletes the broker's queues whose names start with the prefix; waits. A broker that does
 * not answer, and a queue that is in use, are tried for 60 s. Returns FATE_OFF without a broker,
 * FATE_NEWCOMER if the Job's name is another's by now.
 */
enum fate delete_queues(struct app *a);

/* Logs which queues would be deleted. One try. */
void dry_run_queues(struct app *a);

const char *fate_name(enum fate f);
const char *trigger_name(enum trigger t);

/* What was seen, in words that a person can act on; cut to @size. */
void report_words(const struct app *a, enum trigger t, char *out, size_t size);

/* Records the Event on the Job. Best effort: one try of two seconds. */
void report_event(struct app *a, enum trigger t, const char *words);

/* Records the Event (a Warning) that names what is left. Best effort, as above. */
void report_incomplete(const struct teardown *t);

/* The last line: to the log, and as JSON to the termination log if that can be written. */
void report_summary(const struct teardown *t);

#endif
