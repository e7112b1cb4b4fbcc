/*
 * k8s_objects.h - the few fields of Kubernetes objects that the program needs, decoded from JSON,
 * and the few bodies that it sends. No json_t leaves this file; nothing here knows HTTP or time.
 *
 * Decoders copy what they need, refuse what does not fit (a name that one deletes by is never cut)
 * and return 0, or -EBADMSG / -ENOMEM with *err set; on failure *ret is untouched.
 */
#ifndef K8S_OBJECTS_H
#define K8S_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

#define K8S_NAME_SIZE     254
#define K8S_UID_SIZE      64
#define K8S_VERSION_SIZE  64   /* a resourceVersion: opaque */
#define K8S_SELECTOR_SIZE 1024 /* `key=value,key=value`; it goes into a URL */
#define K8S_HOLD_SIZE     64
#define K8S_WORDS_SIZE    512
#define K8S_MESSAGE_SIZE  301 /* of the cluster's words, in a line of ours */

#define K8S_HOLD_ANNOTATION "cleanup-grpc/hold"

enum job_finished { JOB_NOT_FINISHED, JOB_COMPLETE, JOB_FAILED };

struct k8s_job {
	char name[K8S_NAME_SIZE];
	char uid[K8S_UID_SIZE];
	char version[K8S_VERSION_SIZE];
	char selector[K8S_SELECTOR_SIZE]; /* spec.selector.matchLabels; "" = unusable */
	enum job_finished finished;       /* condition Complete or Failed is True */
	int64_t           finished_ms;    /* Unix, of that condition; -1 unknown */
	int64_t           created_ms;     /* Unix; -1 unknown */
	int64_t           started_ms;     /* Unix, status.startTime; -1 unknown */
	int64_t           ttl_ms;         /* ttlSecondsAfterFinished; -1 none */
	uint32_t          active;         /* status.active: pods not finished */
	bool              one_pod;        /* no second one is or will be wanted beside its pod */
	bool              retries;        /* should that one fail, another takes its place */
	int32_t           ready;          /* status.ready; -1: the server has none */
	bool              suspended;      /* spec.suspend or condition Suspended */
	bool              deleting;       /* has a deletionTimestamp */
	bool              foreground;     /* finalizer foregroundDeletion */
	bool              orphaning;      /* finalizer orphan: its pods would stay */
	bool              has_hold;       /* has the annotation */
	char              hold[K8S_HOLD_SIZE]; /* its value, cut to fit (then: no time) */
	char ending[K8S_WORDS_SIZE]; /* FailureTarget, SuccessCriteriaMet since when; "" */
};

struct k8s_service {
	char    uid[K8S_UID_SIZE];
	int64_t created_ms; /* Unix; -1 unknown */
	bool    owned;      /* by the Job whose uid was asked about */
	bool    deleting;
};

/* An error, or the outcome of a DELETE. Every field may be empty. */
struct k8s_status {
	bool    success; /* status: Success */
	char    reason[64];
	char    message[K8S_WORDS_SIZE]; /* cut to fit; for people only */
	char    name[K8S_NAME_SIZE];     /* details.* */
	char    kind[64];
	char    group[64];
	char    uid[K8S_UID_SIZE];
	int     code;
	int64_t retry_after_ms;
};

/* A container as its pod's status has it. */
struct k8s_container {
	char   *name; /* owned */
	bool    main; /* neither an init container nor a sidecar that is one */
	bool    running;
	bool    ended;    /* terminated, */
	bool    for_good; /* ... and by the pod's restartPolicy not started again in this pod */
	int     exit_code;
	int64_t ended_ms; /* Unix; -1 unknown */
};

struct k8s_pod {
	char                  name[K8S_NAME_SIZE];
	char                  uid[K8S_UID_SIZE];
	int64_t               created_ms; /* Unix; -1 unknown */
	bool                  running;    /* phase Running */
	bool                  finished;   /* phase Succeeded or Failed */
	bool                  deleting;
	int64_t               deletion_ms; /* Unix, when it should be gone by; -1 without */
	bool                  ready;       /* condition Ready is True */
	bool                  ran;         /* a container (no init container) runs, or has run */
	char                  waiting[64]; /* reason of the first container that waits; "" = none */
	bool                  unscheduled; /* condition PodScheduled is False */
	char                  stuck[K8S_WORDS_SIZE]; /* of these two, in the cluster's words; "" */
	struct k8s_container *containers;            /* owned; those that have a status */
	size_t                container_count;
};

struct k8s_pods {
	struct k8s_pod *items; /* owned */
	size_t          count;
};

enum watch_type { WATCH_ADDED, WATCH_MODIFIED, WATCH_DELETED, WATCH_BOOKMARK, WATCH_ERROR };

struct watch_event {
	enum watch_type   type;
	struct k8s_job    job;                       /* ADDED, MODIFIED, DELETED */
	char              version[K8S_VERSION_SIZE]; /* all but ERROR: where to resume from */
	struct k8s_status status;                    /* ERROR */
};

/*
 * A Job of the name @name; another name is an error. Who it is (name, uid, version) and whether it
 * has ended must be readable; a field that is wanted for one thing only does not cost the others: a
 * selector that cannot be used is none, a suspension that cannot be read is one.
 */
int k8s_job_decode(const char *p, size_t n, const char *name, struct k8s_job *ret, struct err *err);

/*
 * A JobList narrowed to one name. *@ret_found tells whether @ret_job was written; @ret_version is
 * the list's own resourceVersion, the one to watch from.
 */
int k8s_job_list_decode(const char *p, size_t n, const char *name, bool *ret_found,
			struct k8s_job *ret_job, char ret_version[K8S_VERSION_SIZE],
			struct err *err);

/* One line of a watch of Jobs. A type that is not known is an error. */
int k8s_watch_decode(const char *p, size_t n, const char *name, struct watch_event *ret,
		     struct err *err);

int k8s_service_decode(const char *p, size_t n, const char *name, const char *owner_uid,
		       struct k8s_service *ret, struct err *err);

/* Any JSON object with the fields of a Status, `kind` or not: a time-out's body has none. */
int k8s_status_decode(const char *p, size_t n, struct k8s_status *ret, struct err *err);

/*
 * The answer to a DELETE of a @kind that was accepted: a Status that says so, or the object.
 * *@ret_kept tells whether finalizers keep the object (it has a deletionTimestamp); may be NULL.
 */
int k8s_deleted_decode(const char *p, size_t n, const char *kind, bool *ret_kept, struct err *err);

/* The answer to a SelfSubjectAccessReview: its status.allowed. */
int k8s_review_decode(const char *p, size_t n, bool *ret_allowed, struct err *err);

int  k8s_pods_decode(const char *p, size_t n, struct k8s_pods *ret, struct err *err);
void k8s_pods_fini(struct k8s_pods *p);

/* Its main container of that name, or NULL. */
const struct k8s_container *k8s_pod_container(const struct k8s_pod *pod, const char *name);

/* ---- Bodies: a new string for free(), NULL when out of memory ---- */

/*
 * DeleteOptions with Background and the uid as a precondition, and the resourceVersion too unless
 * @version is NULL. @no_grace sets gracePeriodSeconds 0: right for a Job, which has no graceful
 * deletion; wrong for a Pod, whose containers would outlive its object.
 */
char *k8s_delete_options_new(const char *uid, const char *version, bool no_grace);

/* Strategic merge patch that adds the Job to the Service's owners; guarded by @service_uid. */
char *k8s_owner_patch_new(const char *service_uid, const char *job_name, const char *job_uid);

/*
 * core/v1 Event on the Job. Its name is made of the Job's, the reason and @cause, so that a repeat
 * is a 409 and no second Event: of the same POST (libcurl's, when a kept connection breaks), and by
 * a cleaner that was started again.
 * @cause    any number that stands for what was seen, such as when
 * @job_uid  "" = not known
 * @warning  type Warning instead of Normal
 */
char *k8s_event_new(const char *ns, const char *job_name, const char *job_uid, const char *reason,
		    const char *message, bool warning, int64_t cause, int64_t unix_ms);

/* SelfSubjectAccessReview: may we do this in namespace @ns? @name "": to any object. */
char *k8s_review_new(const char *ns, const char *verb, const char *group, const char *resource,
		     const char *name);

#endif
