/*
 * world.h - all that is known: of the Job, its pods, its Service, its queues and our own Job, when
 * it was learnt, and when each thing may be asked again. Answers and watch events are folded in.
 *
 * Pure: no requests, no clocks, no log; the time and the random numbers are passed in. What will be
 * done about it is for plan.h.
 *
 * Two orders of time. Milliseconds are now_ms(): ages, pauses, deadlines. `seq` counts requests and
 * answers: whether a read was sent behind something else is a matter of order, not of clocks.
 */
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "asked.h"
#include "config.h"
#include "k8s_client.h"
#include "metrics.h"
#include "queues.h"

#define NEVER INT64_MAX

#define FORBIDDEN_BELIEVED 6              /* half a minute of 403: pods are left out of account */
#define POD_LOST_MS        INT64_C(61000) /* a minute past its deletionTimestamp, in whole seconds */

/* Every request that there is. */
enum ask {
	ASK_SELF,        /* GET our own Job: its uid */
	ASK_LIST,        /* LIST the Job by name: where to watch from */
	ASK_WATCH,       /* WATCH it */
	ASK_JOB,         /* GET it: who has the name, and how it is */
	ASK_SERVICE,     /* GET its Service */
	ASK_ADOPT,       /* PATCH the Service: the Job becomes an owner */
	ASK_METRICS,     /* LIST the metrics of its pods */
	ASK_POD_METRICS, /* GET those of one pod, where they may not be listed */
	ASK_PODS,        /* LIST its pods */
	ASK_DELETE_JOB,  /* ... and so on */
	ASK_DELETE_POD,
	ASK_DELETE_SERVICE,
	ASK_EVENT,
	ASK_QUEUES,    /* a page of the broker's queues */
	ASK_NEIGHBOUR, /* GET a Job that a queue may belong to instead */
	ASK_DELETE_QUEUE,
	ASK_DELETE_SELF,
};
#define ASKS (ASK_DELETE_SELF + 1)

enum trigger {
	TRIGGER_NONE,
	TRIGGER_COMPLETED,
	TRIGGER_FAILED,
	TRIGGER_IDLE,
	TRIGGER_PENDING,
	TRIGGER_GONE,
	TRIGGER_MISSING,
};

/* Who has the Job's name, as the last read said. */
enum name { NAME_UNKNOWN, NAME_OURS, NAME_ABSENT, NAME_OTHER };

/* An object under its name; unknown is no absence. */
enum known { UNKNOWN, THERE, ABSENT };

struct service {
	enum known known;
	unsigned   absent;                /* so often in a row, while the Job lives */
	char       uid[K8S_UID_SIZE];     /* THERE: of the one that was read last */
	char       ours[K8S_UID_SIZE];    /* of the one that is our Job's; "" = not known */
	char       adopted[K8S_UID_SIZE]; /* our Job is an owner of this one; "" = of none */
	bool       deleting;              /* THERE: it has a deletionTimestamp */
	bool       deleted;               /* a DELETE of ours was accepted */
	bool       theirs;                /* it is a newcomer's, or nobody can tell: left alone */
	uint64_t   doubt; /* seq: only a read behind this tells which one is there */
};

struct idle {
	struct idle_count  count;
	struct pod_metrics metrics; /* the last decoded answer; owned */
	enum reading       reading; /* the last one */
	const char        *why;     /* literal: why it was unknown */
	const char *cleared;    /* literal: why the last reading cleared the count; NULL = not */
	int64_t     reading_ms; /* when the last one was asked for */
	int64_t     cpu;        /* nanocores of the last idle reading */
	int64_t     grid_ms;    /* a point of the checks' grid, the last one asked; 0 = none */
	uint64_t    look;       /* seq: a last look must be sent behind this; 0 = not due */

	/* a reading pod by pod */
	uint64_t           gathering; /* seq of its LIST of the pods; 0 = none is under way */
	struct pod_metrics gathered;  /* of the pods before @next; owned */
	size_t             next;      /* index into pods.list */
	int64_t            date_ms;   /* of the first answer */
};

/* TARGET_CONTAINER has ended for good in the Job's only pod, as the pods were listed last. */
struct ended {
	enum job_finished how; /* JOB_NOT_FINISHED: it has not */
	int               exit_code;
	int64_t           unix_ms; /* -1 = unknown */
	int64_t           ms; /* when, by the API server's clock as it was when that was noticed */
};

/* Why nothing is decided, told every ten minutes: see waits.h. */
struct waiting {
	int64_t     since_ms; /* nothing was decided since; 0 = no tick yet */
	int64_t     due_ms;   /* the next line */
	unsigned    lines;
	const char *reason; /* literal: of the last one, its name, */
	unsigned    number; /* ... its number, */
	char        words[K8S_WORDS_SIZE];
	bool        event_due; /* an Event is to say so, too */
};

struct pods {
	struct k8s_pods list;   /* as listed last; owned */
	uint64_t        empty;  /* seq: when a list behind the Job's end showed that none is left */
	int64_t         act_ms; /* those that stay are not deleted once more before this */
	char            kept[K8S_UID_SIZE]; /* whose DELETE failed last: those behind it are next */
	uint64_t        news; /* seq: they may be other than as listed: for TARGET_CONTAINER */
};

/* Since when and why our Job is over: what starts the teardown. */
struct over {
	enum trigger trigger; /* NONE: it is not */
	int64_t      ms;
	int64_t      ended_ms; /* when it was, by the API server's clock as it was then */
	uint64_t     seq;
};

struct world {
	uint64_t seq;
	int64_t  started_ms;
	int64_t  tick_ms; /* the last world_tick() */
	int64_t  skew_ms; /* the API server's Unix time less now_ms(), by its last Date header */
	bool     skewed;  /* ... of which there has been one */
	int64_t  started_unix_ms; /* skewed: when we started, or later, by the first */

	struct asked asked[ASKS];

	/* the Job */
	struct k8s_job job; /* as last read under our uid; no uid: it was never read */
	enum name      name;
	bool           absent;   /* NAME_ABSENT was said by a GET: a LIST alone is not believed */
	bool           newcomer; /* NAME_OTHER, at some time: its queues are not told from ours */
	bool           accepted; /* our DELETE was accepted, and no read has shown it undone */
	uint64_t       news;     /* seq of an event that calls for a read */
	uint64_t       finish;   /* seq of one that says that our Job has ended */
	uint64_t     doubt; /* seq: what became of a DELETE of it, only a read behind this tells */
	int64_t      deleting_ms;      /* since when it is known to be deleted; 0 = it is not */
	int64_t      gone_ms;          /* since when it is known to be gone; 0 = it is not */
	uint64_t     gone;             /* seq of that */
	int64_t      pending_since_ms; /* it waits for its first pod since */
	bool         ever_ran;         /* a pod of it was ready, or has run */
	struct ended ended;
	enum trigger acting; /* its DELETE was sent while it lived, for this reason */
	struct over  over;
	uint64_t     ripe; /* seq: an ended Job is to go, or on its way; 0 = it is not */
	int64_t      ripe_ms;

	/* the watch of it */
	bool    watching;                  /* it is open */
	bool    relist;                    /* it was resumed, and a LIST is to come besides */
	char    version[K8S_VERSION_SIZE]; /* where it resumes; "" = LIST first */
	int64_t watch_ms;                  /* when it was opened */

	struct idle    idle;
	struct waiting waiting;
	struct pods    pods;
	struct service service;

	/* our own Job */
	enum known self;
	char       self_uid[K8S_UID_SIZE];
	bool       self_deleted;
	bool       self_theirs; /* another one has its name by now */

	bool young; /* of a sweep: something of it is younger than that may take, or may be */

	bool event_due;   /* an Event is to be recorded: that the Job's DELETE was accepted */
	bool refusal_due; /* ... or that it was refused */

	/* signals that came */
	unsigned signals;
	int64_t  signal_ms; /* when the last one did */
	uint64_t signal_seq;

	struct queues queues; /* the last: most of it, of 80 kB, is only written in a teardown */
};

/* @w: all zero. It has room for pages of queues: what is never needed is not touched. */
void world_init(struct world *w, int64_t now);
void world_fini(struct world *w);

/* What was counted is about the past. */
static inline void idle_forget(struct idle *i)
{
	idle_count_clear(&i->count);
	i->look = 0;
}

/* @why: a literal. */
static inline void idle_unknown(struct idle *i, const char *why)
{
	i->reading = READING_UNKNOWN;
	i->why = why;
}

/* ---- What follows from it ---- */

static inline bool job_seen(const struct world *w)
{
	return w->job.uid[0] != '\0';
}

/* Nobody has the name but, at most, another Job: ours is gone. */
bool job_is_gone(const struct world *w);

/* There, and neither ended nor on its way out. */
bool job_is_live(const struct world *w);

/* A word for the log: awaited, live, completed, failed, gone, newcomer. */
const char *job_state(const struct world *w);

/* Why it goes: over.trigger, or what its DELETE was sent for. */
enum trigger world_trigger(const struct world *w);

/* Unix milliseconds by the API server's clock. */
int64_t world_unix_ms(const struct world *w, int64_t now);

/* A refusal that a second answer has confirmed. */
static inline bool is_refused(const struct world *w, enum ask a)
{
	return w->asked[a].refused >= REFUSED_BELIEVED;
}

/* The pods may not be listed: what follows from them is left out. Less than that is no answer. */
static inline bool pods_are_forbidden(const struct world *w)
{
	const struct asked *a = &w->asked[ASK_PODS];

	return a->refused >= FORBIDDEN_BELIEVED && a->status == 403;
}

enum hold {
	HOLD_NONE,
	HOLD_ON,      /* `true`, or a time that has not come yet */
	HOLD_INVALID, /* neither: it holds, which is the safe side, and somebody is told */
	HOLD_OVER,    /* a time that has passed */
};

/* @ret_until_ms: now_ms() at which HOLD_ON ends, NEVER if it does not; may be NULL. */
enum hold job_hold(const struct world *w, int64_t now, int64_t *ret_until_ms);
bool      job_is_on_hold(const struct world *w, int64_t now);

/* How long a finished Job is kept: until this time; 0 without a grace. */
int64_t job_kept_until_ms(const struct world *w, const struct config *cfg);

/*
 * Of a sweep's: this Job, as it was read, is nobody's any more: it ended so long ago that neither
 * its TTL nor a grace keeps it, and nobody holds it.
 */
bool job_is_left(const struct k8s_job *j, const struct config *cfg);

/* Enough idle readings, the last one among them, of a Job that may be judged. */
bool idle_is_due(const struct world *w, const struct config *cfg, int64_t now);

/* When no pod of it was ready for too long; NEVER if that is no matter. */
int64_t pending_due_ms(const struct world *w, const struct config *cfg);

/* When it counts as finished, as TARGET_CONTAINER has ended and the grace is over; else NEVER. */
int64_t ended_due_ms(const struct world *w, const struct config *cfg);

/* What a Job that lives is to be deleted for, once a last look bears it out. */
enum trigger trigger_due(const struct world *w, const struct config *cfg, int64_t now);

/* A reading is due, on the grid or because the last one is too old for what rests on it. */
int64_t check_due_ms(const struct world *w, const struct config *cfg);

/* The metrics may not be listed (for now): they are read pod by pod. */
bool metrics_are_gathered(const struct world *w, int64_t now);

/* The next pod of such a reading, or NULL. */
const struct k8s_pod *pod_to_gather(const struct world *w);

/* A pod of ours that neither is gone nor going; NULL = none. Finished ones only once the Job is. */
const struct k8s_pod *staying_pod(const struct world *w);

/* The uid of the Service that is to be deleted, or NULL: none, or not known. */
const char *service_to_delete(const struct world *w);

/* NULL if the pods, as they were listed, bear the last reading out, else why not (a literal). */
const char *pods_contradict(const struct world *w, const struct config *cfg, int64_t now);

/* Of a node that does not tell any more that its pod has ended. */
bool pod_is_lost(const struct world *w, const struct k8s_pod *p, int64_t now);

/* The one that has not ended and is not lost; NULL: none, or several. */
const struct k8s_pod *only_pod(const struct world *w, int64_t now);

/* ---- Folding ---- */

/* An answer, classified and decoded. */
struct answer {
	enum ask            ask;
	struct asked_answer is; /* a broker's, too: CONFLICT is a queue that it does not delete */
	int64_t             date_ms; /* of the Date header, Unix; -1 = none */

	/* of K8S_OK, as the request has it */
	bool                  found;                     /* ASK_LIST */
	bool                  kept;                      /* ASK_DELETE_...: finalizers keep it */
	struct k8s_job        job;                       /* ASK_JOB, ASK_LIST, ASK_SELF */
	struct k8s_service    service;                   /* ASK_SERVICE */
	char                  version[K8S_VERSION_SIZE]; /* ASK_LIST */
	struct k8s_pods       pods;                      /* moved out of it */
	struct pod_metrics    metrics;                   /* moved out of it */
	struct rabbitmq_page *page;                      /* ASK_QUEUES; borrowed */
};

/* A request goes out. Returns its seq. */
uint64_t world_sent(struct world *w, const struct config *cfg, enum ask a, int64_t now);

void world_fold(struct world *w, const struct config *cfg, struct answer *r, int64_t now);

/* One event of the watch. */
void world_fold_event(struct world *w, const struct watch_event *ev);

/* The watch has ended. @r: as its answer was judged; OK: a clean end, as servers do it. */
void world_watch_ended(struct world *w, const struct answer *r, int64_t now);

void world_signal(struct world *w, int64_t now);

/*
 * The process was frozen, or the machine slept: that is no time in which anything was tried. Before
 * anything is dated @now; world_fold() and world_tick() do so themselves.
 */
void world_forgive(struct world *w, int64_t now);

/*
 * What time alone changes: a hold that begins or ends, a Job whose grace is over, a look that is
 * due. Before each plan, and at least once a minute.
 */
void world_tick(struct world *w, const struct config *cfg, int64_t now);

#endif
