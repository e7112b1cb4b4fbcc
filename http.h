/*
 * http.h - HTTP exchanges over one libcurl multi handle, and the one place where the program waits.
 * Knows TLS, limits and time-outs; knows neither Kubernetes nor RabbitMQ.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "util.h"

#define HTTP_MAX_BODY_BYTES    ((size_t)4 << 20)
#define HTTP_RESOLVE_MS        15000 /* the lookup goes on, for the next exchange (resolve.h) */
#define HTTP_CONNECT_MS        5000  /* for each address */
#define HTTP_ANSWER_MS         10000 /* from when it is connected */
#define HTTP_HOST_CONNECTIONS  2     /* the watch, and everything else */
#define HTTP_KEEPALIVE_IDLE_S  30
#define HTTP_KEEPALIVE_PROBE_S 10

struct http;          /* opaque */
struct http_exchange; /* opaque: one request on its way, or answered */

/* Gets each piece of a 200 answer's body; < 0 ends the exchange. */
typedef int http_data_fn(void *arg, const char *p, size_t n);

/* All pointers are borrowed until http_start() returns; NULL = none. */
struct http_request {
	const char   *method;
	const char   *url;     /* http:// or https://, already percent-encoded */
	const char   *ca_file; /* PEM; read for each new connection, nothing else is trusted */
	const char   *bearer;  /* secret */
	const char   *user;
	const char   *password; /* secret */
	const char   *content_type;
	const char   *body;
	int64_t       total_ms; /* for the whole exchange; 0 = the limits above, for each step */
	size_t        max_body; /* 0 = HTTP_MAX_BODY_BYTES */
	http_data_fn *on_data;  /* instead of collecting a 200 answer's body */
	void         *arg;      /* for @on_data; borrowed until http_end() */
};

/* The three layers of an answer, in the order in which they are to be looked at. */
struct http_response {
	CURLcode   transport;               /* != CURLE_OK: no answer, or not all of it */
	long       status;                  /* HTTP status, 0 if none arrived */
	struct buf body;                    /* owned; whole when @transport is CURLE_OK */
	int64_t    date_ms;                 /* Unix time of the Date header, -1 without */
	int64_t    retry_after_ms;          /* Retry-After, 0 without */
	char       detail[CURL_ERROR_SIZE]; /* of @transport, in libcurl's words */
};

/* @user_agent is borrowed and outlives the handle. NULL + *err on failure. */
struct http *http_new(const char *user_agent, struct err *err);
void         http_free(struct http *h); /* NULL is fine; every exchange must have been ended */

/*
 * Starts one exchange; does not block. http_wait() drives it. Returns it, to be given to
 * http_end(), or NULL + *err.
 */
struct http_exchange *http_start(struct http *h, const struct http_request *q, struct err *err);

/* The answer once there is one, else NULL. Borrowed until http_end(). */
const struct http_response *http_response(const struct http_exchange *x);

/* Moves the body of an answered exchange to the caller, who frees it with buf_fini(). */
struct buf http_take_body(struct http_exchange *x);

/* Frees; an exchange that is still on its way is cut off with its connection. NULL is fine. */
void http_end(struct http *h, struct http_exchange *x);

/*
 * Waits until @fd can be read, bytes or an answer arrived, or @until_ms (now_ms()) has come; may
 * return early for no reason. The only function of the program that waits.
 * Returns whether @fd can be read, or -EIO + *err (libcurl itself failed).
 */
int http_wait(struct http *h, int fd, int64_t until_ms, struct err *err);

/* Appends @s percent-encoded (everything but unreserved characters). Returns 0 or -errno. */
int http_escape(struct buf *b, const char *s);

#endif
