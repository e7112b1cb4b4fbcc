/*
 * cluster.h - what is in the namespace: Jobs, Services, pods, metrics, and who made each. Its
 * controllers (controllers.c) and metrics-server (metrics_server.c) act on their own time.
 */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include "sim.h"

enum whose { OURS, NEWCOMERS, NEIGHBOURS };
enum actor { BY_OWNER, BY_CLEANER, BY_SWEEP, BY_CLUSTER };
enum job_end { END_NONE, END_COMPLETE, END_FAILED };
enum policy { BACKGROUND, FOREGROUND, ORPHAN };

enum { FINALIZER_FOREGROUND = 1, FINALIZER_ORPHAN = 2, FINALIZER_CUSTOM = 4 };

#define NAME_BYTES 100
#define UID_BYTES  40

struct job {
	bool         there;
	bool         cleaners; /* a cleanup-job: its pod is the program, or nobody's */
	enum whose   whose;
	char         name[NAME_BYTES];
	char         uid[UID_BYTES];
	uint64_t     rv;
	int64_t      created_ms, started_ms, finished_ms, deleted_ms; /* -1 = not */
	int64_t      ending_ms;   /* SuccessCriteriaMet, FailureTarget since; -1 = not */
	enum job_end end, wanted; /* what it is; what it will be when its pods have ended */
	bool         suspend, resumed;
	char         hold[48];
	int64_t      hold_until_ms; /* 0 = not held, NEVER = until that changes */
	unsigned     finalizers;
	int          ttl_s; /* -1 = none */
	int          parallelism, active, ready, terminating;
	int          retries;    /* backoffLimit */
	bool         on_failure; /* restartPolicy OnFailure, else Never */
	int64_t      cpu;        /* of each pod that is made for it; nanocores */
	bool         ran;        /* a container of it ran, ever */
	int64_t      ran_ms;     /* the first time */
};

enum phase { POD_PENDING, POD_RUNNING, POD_SUCCEEDED, POD_FAILED };
enum container_state { CONTAINER_RUNNING, CONTAINER_WAITING, CONTAINER_ENDED };

#define CONTAINERS 2

struct container {
	const char          *name; /* literal */
	enum container_state state;
	const char          *reason; /* literal; of CONTAINER_WAITING */
	int64_t              cpu;    /* nanocores, now */
	int64_t              used;   /* nanocores x ms up to @since_ms */
	int64_t              since_ms;
	int                  restarts;
	int                  exit_code; /* CONTAINER_ENDED */
	int64_t              ended_ms;
};

struct pod {
	bool             there;
	enum whose       whose;
	char             name[NAME_BYTES];
	char             uid[UID_BYTES];
	char             job_name[NAME_BYTES];
	char             job_uid[UID_BYTES]; /* its label, also when it is orphaned */
	bool             owned, tracked, unready, stuck, dead_node, on_failure;
	uint64_t         rv;
	enum phase       phase;
	int64_t          created_ms, running_ms, deleted_ms; /* -1; deletionTimestamp */
	int64_t          stops_ms;                           /* when the kubelet is done with it */
	int64_t          ended_ms;
	struct container c[CONTAINERS];
	int              containers;
};

struct owner_ref {
	char name[NAME_BYTES];
	char uid[UID_BYTES];
};

struct service {
	bool             there;
	enum whose       whose;
	char             name[NAME_BYTES];
	char             uid[UID_BYTES];
	uint64_t         rv;
	int64_t          created_ms;
	struct owner_ref owners[4];
	int              owner_count;
	bool             adopted;   /* the cleaner wrote an owner */
	bool             inherited; /* a newcomer took it over as it was */
	bool             anew;      /* its owner made it in place of another one */
};

/* A change of a Job, as watches tell it. */
struct change {
	uint64_t    rv;
	int64_t     at_ms;
	const char *type; /* ADDED, MODIFIED, DELETED */
	struct job  job;
};

/* One item of the metrics API, as metrics-server keeps it. */
struct sample {
	char        pod[NAME_BYTES];
	char        pod_uid[UID_BYTES];
	char        job_name[NAME_BYTES];
	char        job_uid[UID_BYTES];
	int64_t     at_ms, window_ms;
	int         containers;
	const char *names[CONTAINERS];
	int64_t     cpu[CONTAINERS];
};

#define JOBS     8
#define SERVICES 6
#define PODS     24
#define CHANGES  512

struct cluster {
	/* what kind of cluster it is */
	bool    v1_34;         /* else it answers as 1.26 does */
	bool    lean;          /* it leaves out fields that nobody reads, which is faster */
	bool    long_selector; /* our Job\'s selector is longer than half a kilobyte */
	int64_t resolution_ms;
	char    id[48];               /* JOB_ID */
	char    job_name[NAME_BYTES]; /* ours; and so on */
	char    service_name[NAME_BYTES];
	char    self_name[NAME_BYTES];
	/* who is at work */
	bool controllers_down, metrics_down, metrics_absent;
	/* what is in it */
	uint64_t       rv;
	struct job     jobs[JOBS];
	struct service services[SERVICES];
	struct pod     pods[PODS];
	struct sample  samples[PODS];
	int            sample_count;
	struct change  changes[CHANGES]; /* a ring */
	uint64_t       change_count;
	uint64_t       compacted_rv; /* changes up to this cannot be watched any more */
	int            events;
};
extern struct cluster cluster;

void cluster_reset(const char *id);

struct job     *job_of(const char *name); /* NULL: absent */
struct job     *job_by_uid(const char *uid);
struct service *service_of(const char *name);
struct pod     *pod_of(const char *name);
struct job     *our_job(void);                  /* by its uid; NULL: gone */
const char     *our_uid(void);                  /* "" before it was made */
bool            job_lives(const struct job *j); /* there, not finished, not being deleted */
bool            job_is_held(const struct job *j);
bool            pod_counts(const struct pod *p); /* neither ended nor terminating */
bool            pod_runs(const struct pod *p);
bool            pod_is_ready(const struct pod *p);
bool            container_is_over(const struct container *c, const struct job *j); /* for good */
int             pods_of(const char *job_uid);      /* not terminating, not ended */
int             pods_left_of(const char *job_uid); /* there at all, but on a lost node */

struct job     *job_create(enum whose whose, const char *name, bool cleaners);
struct service *service_create(enum whose whose, const char *name);
struct pod     *pod_create(struct job *j);
void            job_changed(struct job *j, const char *type);
void            pod_changed(struct pod *p);

/* What a DELETE that was accepted does. */
void job_delete(struct job *j, enum policy policy, enum actor actor);
void service_delete(struct service *s, enum actor actor);
void pod_delete(struct pod *p, int grace_s, enum actor actor); /* -1: its own */

void container_cpu(struct container *c, int64_t nanocores);

/* ---- controllers.c ---- */

void controllers_reset(void);
void controllers_wake(void); /* something changed: they will look */
void pod_exits(struct pod *p, bool success);

/* ---- metrics_server.c ---- */

void metrics_server_start(void);

#endif
