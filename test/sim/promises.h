/*
 * promises.h - what the program promises (the contract), watched at each change and at the end; and
 * the windows that the API leaves open, each by its name, so that one is not taken for a fault.
 */
#ifndef SIM_PROMISES_H
#define SIM_PROMISES_H

#include "api.h"

struct broken {
	char    kind[40];
	int64_t at_ms;
	char    words[300];
};

#define BROKEN_MAX  8
#define WINDOWS_MAX 8

struct verdict {
	struct broken broken[BROKEN_MAX]; /* each kind once */
	int           count;
	const char   *windows[WINDOWS_MAX]; /* literals */
	int           window_count;
};
extern struct verdict verdict;

void promises_reset(void);
void broken(const char *kind, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void window(const char *name); /* a literal */
bool has_window(const char *name);

/* ---- What happens ---- */

void promise_on_start(void); /* the program starts: it knows nothing */
void promise_on_request(struct request *q, const char *bearer, const char *url, const char *body,
			const char *content_type);
void promise_on_malformed(const char *method, const char *url, const char *why);
void promise_on_answer(const struct request *q, const struct answer *a);
void promise_on_no_answer(const struct request *q); /* or half of one, or one that is no answer */
void promise_on_told_job(const struct job *j);      /* by a watch event */
void promise_on_accepted_delete(const struct request *q, const struct job *j);
void promise_on_job_delete(const struct job *j, enum actor actor);
void promise_on_service_delete(const struct service *s, enum actor actor);
void promise_on_pod_delete(const struct pod *p, int grace_s, enum actor actor);
struct queue;
void promise_on_queue_delete(const struct queue *q);
void promise_on_adoption(const struct service *s, const struct request *q);
void promise_on_event(const struct request *q);
void promise_on_log(const char *line, size_t n);
void promise_on_exit(int status);
void promise_on_signal(void);

/* ---- ends.c ---- */

void ends_reset(void);
void ends_on_answer(const struct request *q, const struct answer *a);
void ends_on_self_gone(void);
void ends_on_waiting(void); /* a line says why it waits */
bool job_is_too_late(const struct job *j);
void promises_audit(void);   /* from time to time */
bool promises_settled(void); /* the cleaner is gone, and so is all that should be */
bool job_stays(void);        /* nobody ends it: it is to be watched for ever */
void promises_at_end(void);
void promises_outcome(char *out, size_t size);

#endif
