/*
 * api.h - the API server: what a request asks for, whether its user may, what it does to the
 * cluster, and the answer, in the words of the recorded ones (answers.c).
 */
#ifndef SIM_API_H
#define SIM_API_H

#include "cluster.h"

enum verb { VERB_GET, VERB_LIST, VERB_WATCH, VERB_CREATE, VERB_PATCH, VERB_DELETE };
enum resource {
	RES_JOBS,
	RES_SERVICES,
	RES_PODS,
	RES_EVENTS,
	RES_METRICS,
	RES_REVIEWS,
	RES_QUEUES
};
#define RESOURCES (RES_QUEUES + 1)

/* What a DELETE of the Job rests on, when it is sent; it may arrive when the program is another. */
struct basis {
	const char *why; /* why the count is no higher */
	int         count, distinct;
	int64_t     age_ms; /* of the last reading; NEVER = it was not idle */
	bool        look_good, look_ended, look_left_out, read_fresh, versioned, knows_metrics,
		told_foreground;
	int64_t read_ms, looked_ms;
};

struct request {
	struct basis  basis;
	enum verb     verb;
	enum resource resource;
	char          name[300];   /* decoded; "" = none */
	char          label[1200]; /* labelSelector, decoded */
	uint64_t      rv;          /* of a watch */
	int           timeout_s;
	int           page, page_size; /* of the broker's */
	int           limit;           /* of a LIST; 0 = all */
	int           from;            /* ... behind so many places */
	uint64_t      from_rv;         /* ... of a list that began at this */
	bool          sweeps;          /* it is a sweep's, not the cleaner's */
	bool          token_fits;
	char          prefix[300]; /* of the broker's filter */
	/* of a body */
	char uid[UID_BYTES], version[24], policy[16];
	int  grace_s; /* -1 = none */
	bool blocks_owner, keeps_owners;
	char owner_uid[UID_BYTES], owner_name[NAME_BYTES];
	char event_reason[40];
	char review_verb[12], review_group[32], review_resource[32], review_name[NAME_BYTES];
};

/* What an answer tells, for the promises: the simulator knows it without reading JSON. */
enum told { TOLD_NOTHING, TOLD_JOB, TOLD_NO_JOB, TOLD_METRICS, TOLD_PODS, TOLD_SERVICE };

struct tale {
	enum told  told;
	bool       forbidden;
	int64_t    at_ms; /* true time at which it was so */
	struct job job;   /* TOLD_JOB: as it was */
	/* TOLD_METRICS */
	enum { READ_UNKNOWN, READ_IDLE, READ_ACTIVE } reading;
	int64_t  oldest_ms, window_ms, sum;
	int      items, active; /* in the answer; that the Job has */
	uint64_t pods;          /* a hash of the set of pods */
	bool     lacks;         /* a pod of it is without TARGET_CONTAINER */
	bool     usable;        /* it tells the CPU of some container */
	int      named;         /* containers, for the last look */
	struct {
		char        pod_uid[UID_BYTES];
		const char *container;
	} has[2 * PODS];
	/* TOLD_PODS: as they were */
	int        pod_count;
	struct pod pods_seen[PODS];
};

struct answer {
	int         status;
	int         retry_after_s;
	const char *type; /* literal: content type */
	struct text body;
	struct tale tale;
};

extern const char *const verb_words[], *const resource_words[], *const group_words[];

#define LONG_LABEL "example.com/long-" /* keys of labels that all pods of our Job have */

/* Rights of the service account: a bit for each verb. */
extern unsigned rights[RESOURCES];
#define RIGHT(verb) (1u << (verb))
bool may(enum verb v, enum resource r);

/* The token that it knows our account by; any other is answered with 401. */
extern char api_token[80];

void api_reset(void);

/* False: nothing that an API server or the broker serves; @ret_why gets a literal. */
bool request_parse(const char *method, const char *url, const char *body, struct request *ret,
		   const char **ret_why);

/* What metrics answers leave out or make up; each for as long as it is set. */
struct metrics_quirks {
	bool twice, no_pod, no_container, extra_entry, negative, no_time, empty, frozen;
};
extern struct metrics_quirks quirks;

/* Does what is asked, and answers. A watch that may begin is answered with status 200, no body. */
void api_answer(const struct request *q, struct answer *a);

/* ---- answers.c ---- */

void answer_status(struct answer *a, int code, const char *reason, const char *message,
		   const char *details); /* JSON of details, or "" */
void answer_text(struct answer *a, int code, const char *text);
void answer_not_found(struct answer *a, enum resource r, const char *name);
void answer_forbidden(struct answer *a, const struct request *q, const char *user);
void answer_conflict(struct answer *a, enum resource r, const char *name, const char *why);
void job_json(struct text *t, const struct job *j, bool in_list);
void job_list_json(struct text *t, const struct job *j);  /* NULL: empty */
void change_json(struct text *t, const struct change *c); /* of a watch, as the next two */
void expired_json(struct text *t, uint64_t rv);
void bookmark_json(struct text *t);
void service_json(struct text *t, const struct service *s);
void pod_json(struct text *t, const struct pod *p, bool in_list);
void pods_json(struct text *t, const char *label);
void page_json(struct text *t, const struct request *q);
void deleted_json(struct text *t, enum resource r, const char *name, const char *uid);
void event_json(struct text *t, const struct request *q);
void review_json(struct text *t, const struct request *q, bool allowed);
void time_add(struct text *t, int64_t ms); /* RFC 3339, of true time, in quotes */
bool label_matches(const char *label, const char *job_uid, const char *job_name);

/* ---- metrics_api.c ---- */

void metrics_answer(const struct request *q, struct answer *a);

#endif
