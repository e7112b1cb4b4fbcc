/*
 * rabbitmq.h - RabbitMQ's management API: list queues by a pattern, delete one, what an answer
 * means. Knows nothing of Kubernetes, nor when a queue is to go.
 */
#ifndef RABBITMQ_H
#define RABBITMQ_H

#include "config.h"
#include "http.h"
#include "util.h"

#define RABBITMQ_PAGE_SIZE 100 /* names a page: some 30 kB at the most */
#define RABBITMQ_NAME_SIZE QUEUE_NAME_SIZE

/* One page of the broker's queues; of these, only the names that the pattern does match. */
struct rabbitmq_page {
	char   names[RABBITMQ_PAGE_SIZE][RABBITMQ_NAME_SIZE];
	size_t count;
	bool   last; /* there is no page behind this one */
};

enum rabbitmq_answer {
	RABBITMQ_OK,
	RABBITMQ_ABSENT,  /* 404 in the broker's own words: of a queue, it does not exist */
	RABBITMQ_DENIED,  /* 401, 403: the user, the password, or a permission */
	RABBITMQ_REFUSED, /* another 4xx: of a queue, it is exclusive to a connection */
	RABBITMQ_TROUBLE, /* everything else: try again later */
};

/*
 * Start one request; they do not block, but for reading RABBITMQ_PASSWORD_FILE. Return the
 * exchange, for http_response() and http_end(), or NULL + *err: -ENOENT (no password: *err names
 * the file), -ENOMEM, -EIO. All arguments are borrowed until they return.
 * @page counts from 1; a page that does not exist is answered with an error. 0: the one queue that
 * has the pattern's text for its name. rabbitmq_list_used(): what may be any job's by the pattern,
 * and when each was used.
 */
struct http_exchange *rabbitmq_list(struct http *h, const struct config *cfg,
				    const struct pattern *p, unsigned page, struct err *err);
struct http_exchange *rabbitmq_list_used(struct http *h, const struct config *cfg,
					 const struct pattern *p, unsigned page, struct err *err);
struct http_exchange *rabbitmq_delete(struct http *h, const struct config *cfg, const char *name,
				      struct err *err);

/* Pure: what an answer means; @words gets one line for a log, "" when it is RABBITMQ_OK. */
enum rabbitmq_answer rabbitmq_judge(const struct http_response *r, char *words, size_t size);

/*
 * Pure: decodes the answer to page @number. Names are compared with the pattern byte by byte,
 * whatever the broker's filter thought; one that is too long for AMQP or has a NUL in it is an
 * error. *@ret is written only on success. Returns 0, -EBADMSG.
 */
int rabbitmq_page_decode(const char *json, size_t n, const struct pattern *p, const char *id,
			 unsigned number, struct rabbitmq_page *ret, struct err *err);

/*
 * Pure: decodes a page of rabbitmq_list_used(), and calls @fn for each queue. @used_ms: Unix, since
 * when it is idle, by the broker's clock; -1: it is in use, or the broker does not tell. Returns 0
 * with *@ret_last set, or -EBADMSG.
 */
typedef void rabbitmq_used_fn(void *arg, const char *name, int64_t used_ms);
int          rabbitmq_used_decode(const char *json, size_t n, rabbitmq_used_fn *fn, void *arg,
				  bool *ret_last, struct err *err);

#endif
