/*
 * app.h - one run of the program: its state, and the two calls that all its parts wait with.
 *
 *   cleanup.c   main and the lifecycle           observe.c   the Job and its Service, as they are
 *   app.c       waiting, and failing requests    idle.c      CPU checks and the last look
 *   teardown.c  what is deleted, in which order  report.c    what people are told of it
 *
 * One thread; requests read as if they blocked, but every wait goes through app_wait(), where the
 * watch, the signals and the answers meet.
 */
#ifndef APP_H
#define APP_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "http.h"
#include "k8s_client.h"
#include "metrics.h"
#include "target.h"
#include "util.h"

#define REREAD_MS             INT64_C(60000) /* the Job is read again at least this often */
#define REREAD_INTERVALS      6              /* ... and as often as every sixth check */
#define TROUBLE_LINE_EVERY_MS INT64_C(60000) /* while something fails: one line a minute */

enum trigger {
	TRIGGER_NONE,
	TRIGGER_COMPLETED,
	TRIGGER_FAILED,
	TRIGGER_IDLE,
	TRIGGER_PENDING,
	TRIGGER_GONE,
	TRIGGER_MISSING,
};

/* Something that fails and recovers: the first failure is told, then one line a minute. */
struct trouble {
	const char *what; /* literal, for the log */
	bool        failing;
	bool        told; /* of this failure a line was logged */
	int64_t     since_ms;
	int64_t     line_ms; /* when the last line was logged; 0 = never */
	unsigned    attempt; /* for backoff_ms() */
};

/* The watch of the Job, and when the Job is to be read besides. */
struct watch {
	struct http_exchange *exchange; /* owned; NULL = not open */
	struct k8s_request    request;  /* that of @exchange */
	struct lines          lines;
	char                  version[K8S_VERSION_SIZE]; /* resume behind this; "" = LIST first */
	bool                  refused;                   /* 403 to list or watch: GETs instead */
	bool                  expired;                   /* the stream said 410 */
	struct err            bad;                       /* why we cut the stream off */
	unsigned              attempt;                   /* short-lived watches in a row */
	unsigned              read_attempt;              /* reads refused in a row */
	int64_t               started_ms;
	int64_t               list_due_ms; /* next LIST of the Job; INT64_MAX: none is due */
	int64_t               read_due_ms; /* next GET of it */
	int64_t               absent_ms;   /* when a read last said that there is no such Job */
};

struct service {
	bool     noted;   /* @uid is that of the Service while the Job lived */
	bool     settled; /* nothing more to do: noted, and adopted if it is to be */
	char     uid[K8S_UID_SIZE];
	int64_t  due_ms; /* next look for it */
	unsigned attempt;
};

struct idle {
	struct idle_count  count;
	struct pod_metrics metrics;      /* the last decoded answer; for the last look */
	enum reading       reading;      /* the last one */
	const char        *why;          /* literal: why it was unknown */
	int64_t            last_cpu;     /* nanocores of the last idle reading */
	int64_t            check_ms;     /* next check, on its grid */
	unsigned           look_attempt; /* last looks since the job was last active */
	int64_t            look_due_ms;  /* a last look is not taken before this */
	char               look_version[K8S_VERSION_SIZE]; /* of the Job as the last look read it */
	int64_t            acting_ms; /* first DELETE since it was last active or held; 0 = none */
	bool               pods_forbidden;   /* list of pods: 403; told once */
	int64_t            pending_since_ms; /* monotonic; the Job waits for a ready pod since */
	bool               was_suspended;    /* at the last turn: that clock starts at the resume */
	bool               hold_told;
	char               hold[K8S_HOLD_SIZE]; /* the value that was told */
};

struct app {
	const struct config *cfg; /* borrowed */
	struct http         *http;
	struct k8s_client   *k8s;
	int                  sigfd;   /* owned; -1 = closed */
	unsigned             signals; /* SIGTERM and SIGINT that came */
	bool                 broken;  /* libcurl itself failed: there is no going on */
	int64_t              started_ms;
	int64_t              give_up_ms; /* INT64_MAX, but in a teardown */
	int64_t              step_ms;    /* INT64_MAX, or till when a step of it may take */
	bool                 watching;   /* requests are dropped when the Job's state calls */
	struct target        target;
	struct watch         watch;
	struct service       service;
	struct idle          idle;
	char                 self_uid[K8S_UID_SIZE]; /* of our own Job; "" = not known */
	bool                 self_asked; /* ... although it was asked for, and answered */
	int64_t              self_due_ms;
	unsigned             self_attempt;
	int64_t              clock_offset_ms; /* the API server's clock less ours */
	uint64_t             forbidden_told;  /* a bit for each verb and resource */
	struct trouble       api_trouble;
	struct trouble       metrics_trouble;
	struct trouble       broker_trouble;
};

/*
 * Waits until something happened (bytes, an answer, a signal) or @until_ms has come. Watch events
 * are folded into a->target before it returns.
 */
void app_wait(struct app *a, int64_t until_ms);

/*
 * Whether what is under way should stop: a signal or, while watching, a Job that calls for an act;
 * in a teardown, its deadline or that of the step.
 */
bool app_interrupted(const struct app *a);

/* Waits until @until_ms; false if it was interrupted before that. */
bool app_sleep(struct app *a, int64_t until_ms);

/* Waits for the answer to @x. Returns 0, or -ECANCELED when interrupted; then @x is ended. */
int app_answer(struct app *a, struct http_exchange *x);

/*
 * Makes one request and waits for its answer. Returns 0 with @ret filled (a failure to send is
 * K8S_UNREACHABLE), or -ECANCELED when interrupted. The caller frees @ret in either case.
 */
int app_call(struct app *a, const struct k8s_request *q, struct k8s_result *ret);

/* Unix milliseconds by the API server's clock, as its last Date header told it. */
int64_t app_api_ms(const struct app *a);

/* ---- observe.c ---- */

/* Does what is due: reads and watches the Job, notes and adopts its Service. */
void    observe_run(struct app *a);
int64_t observe_due_ms(const struct app *a);
void    observe_stop(struct app *a);    /* closes the watch */
void    observe_on_wake(struct app *a); /* reaps the watch if it has ended */
bool    observe_missing(struct app *a); /* the Job did not appear in time, as a read confirmed */

/* One GET of the Job, folded into a->target. Returns 0, or -errno if nothing was learnt. */
int observe_read_job(struct app *a, struct k8s_job *ret_job);

/* ---- idle.c ---- */

void         idle_run(struct app *a); /* the check that is due, the hold, the pending clock */
int64_t      idle_due_ms(const struct app *a);
enum trigger idle_trigger(struct app *a); /* IDLE or PENDING after the last look, else NONE */
void         idle_fini(struct app *a);

/* ---- teardown.c ---- */

enum outcome {
	OUTCOME_DONE,       /* everything is gone: exit 0 */
	OUTCOME_LEFT,       /* something is left: exit 1 */
	OUTCOME_LOOK_AGAIN, /* the Job changed between the last look and the DELETE */
	OUTCOME_SIGNALLED,  /* during the grace of a finished Job: exit 143 */
};

enum outcome teardown_run(struct app *a, enum trigger trigger);

/* Another Job has our Job's name: says so, and touches nothing. */
enum outcome teardown_none(struct app *a);

/* ---- what several of them log ---- */

/* A request failed; @next_ms (>= 0) is when it is tried again, @status 0 if none arrived. */
void trouble_on(struct trouble *t, const char *verb, const char *resource, long status,
		const char *words, int64_t next_ms);
void trouble_off(struct trouble *t);
void k8s_trouble_on(struct trouble *t, const struct k8s_request *q, const struct k8s_result *r,
		    int64_t next_ms);

/* One line, once, for a missing permission: verb, resource, namespace, what is lost without it. */
void log_forbidden(struct app *a, const struct k8s_request *q, const char *lost);

#endif
