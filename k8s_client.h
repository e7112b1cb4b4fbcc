/*
 * k8s_client.h - one API server: its address, token and CA, the paths of its resources, and what
 * an answer means. Does not know when anything is to be asked or deleted.
 */
#ifndef K8S_CLIENT_H
#define K8S_CLIENT_H

#include "config.h"
#include "http.h"
#include "k8s_objects.h"
#include "util.h"

#define K8S_MAX_LINE_BYTES  ((size_t)2 << 20) /* one watch event */
#define K8S_MAX_TOKEN_BYTES ((size_t)32 << 10)
/*
 * A tree of JSON can take thirty times its text, and the template allows 32 MB in all: so a list is
 * bounded by what a Job can have, some 500 pods, and one object by what etcd can hold.
 */
#define K8S_MAX_METRICS_BYTES ((size_t)256 << 10)
#define K8S_MAX_PODS_BYTES    ((size_t)2 << 20)
#define K8S_MAX_OBJECT_BYTES  ((size_t)2 << 20)

enum k8s_verb { K8S_GET, K8S_LIST, K8S_WATCH, K8S_CREATE, K8S_PATCH, K8S_DELETE };
enum k8s_resource {
	K8S_JOBS,
	K8S_SERVICES,
	K8S_PODS,
	K8S_EVENTS,
	K8S_POD_METRICS,
	K8S_ACCESS_REVIEWS, /* SelfSubjectAccessReview; not in a namespace */
};

/* "get", "jobs", "batch" ("" = core): as a Role spells them. */
const char *k8s_verb_name(enum k8s_verb v);
const char *k8s_resource_name(enum k8s_resource r);
const char *k8s_resource_group(enum k8s_resource r);

/* All strings are borrowed until k8s_start() returns; NULL = none. */
struct k8s_request {
	enum k8s_verb     verb;
	enum k8s_resource resource;
	const char       *name;           /* GET, PATCH, DELETE: required, an RFC 1123 name */
	const char       *only_name;      /* LIST, WATCH: fieldSelector metadata.name */
	const char       *label_selector; /* LIST */
	uint32_t          limit;          /* LIST: a page of so many; 0 = all at once */
	const char       *next;           /* LIST: ... the one behind, as its answer says */
	const char       *version;        /* WATCH: resourceVersion to start behind */
	uint32_t          watch_s;        /* WATCH: timeoutSeconds */
	const char       *body;           /* JSON: CREATE, PATCH, DELETE */
	int64_t           total_ms;       /* 0 = the client's default; of a watch: its own */
	http_data_fn     *on_data;        /* WATCH */
	void             *arg;            /* borrowed until the exchange is ended */
};

/* What an answer means for the one who asked. Decided by status code and reason, not by words. */
enum k8s_answer {
	K8S_OK,           /* 2xx */
	K8S_ABSENT,       /* 404 whose Status names this very object: it does not exist */
	K8S_CONFLICT,     /* 409: a precondition failed, or the name exists already */
	K8S_EXPIRED,      /* 410: the resourceVersion is too old */
	K8S_UNAUTHORIZED, /* 401, or 403 for system:anonymous: the token is no good (now) */
	K8S_REFUSED,      /* any other 4xx but 404, 408, 429: an answer, and no outage */
	K8S_UNREACHABLE,  /* no HTTP answer at all, or half of one */
	K8S_TROUBLE,      /* everything else: try again later */
};

struct k8s_result {
	enum k8s_answer   answer;
	long              status;                /* HTTP; 0 if none arrived */
	int64_t           date_ms;               /* Unix time of the Date header; -1 without */
	int64_t           retry_after_ms;        /* 0: nothing said */
	struct k8s_status why;                   /* of an answer that is not K8S_OK; may be empty */
	bool              kept;                  /* DELETE: accepted, but finalizers keep it */
	bool              by_role;               /* K8S_REFUSED: no Role allows it */
	struct buf        body;                  /* owned; of K8S_OK */
	char              words[K8S_WORDS_SIZE]; /* one line for a log; "" when K8S_OK */
};

void k8s_result_fini(struct k8s_result *r); /* a zeroed one is fine */

/* Turns an answer that came, but could not be used, into K8S_TROUBLE with the words of @err. */
void k8s_result_refuse(struct k8s_result *r, const struct err *err);

struct k8s_client; /* opaque */

/* @http and @cfg are borrowed and outlive the client. NULL + *err when out of memory. */
struct k8s_client *k8s_client_new(struct http *http, const struct config *cfg, struct err *err);
void               k8s_client_free(struct k8s_client *c); /* NULL is fine */

/*
 * Starts one request; does not block, but for reading the token file, which is read anew for each
 * request. When it is missing or empty the last good token serves; an empty one is never sent.
 * Returns the exchange, for http_response() and k8s_end(), or NULL + *err: -EINVAL (no name where
 * one is required, or not an RFC 1123 name), -ENOENT (no token yet; *err names the path),
 * -ENOMEM, -EIO.
 */
struct http_exchange *k8s_start(struct k8s_client *c, const struct k8s_request *q, struct err *err);

/*
 * Ends an exchange that has been answered and says what the answer means. The caller owns @ret,
 * also after a failed request.
 */
void k8s_finish(struct k8s_client *c, const struct k8s_request *q, struct http_exchange *x,
		struct k8s_result *ret);

/* Cuts an exchange off. NULL is fine. */
void k8s_cancel(struct k8s_client *c, struct http_exchange *x);

/* Pure: the meaning of an answer to @q; fills all of @ret but the body. */
void k8s_judge(const struct k8s_request *q, const struct http_response *r, struct k8s_result *ret);

#endif
