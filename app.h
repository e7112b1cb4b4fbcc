/*
 * app.h - what every run of the program has: the client, the signals, and the one wait in which the
 * watch, the request under way and the signals meet. One thread.
 */
#ifndef APP_H
#define APP_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "http.h"
#include "k8s_client.h"
#include "util.h"

struct app {
	const struct config *cfg; /* borrowed */
	struct http         *http;
	struct k8s_client   *k8s;
	int                  sigfd;   /* owned; -1 = closed */
	unsigned             signals; /* SIGTERM and SIGINT that came */
	bool                 broken;  /* libcurl itself failed: there is no going on */
};

/* @cfg is borrowed and outlives @a. Returns 0, or -errno + *err; app_close() in either case. */
int  app_open(struct app *a, const struct config *cfg, struct err *err);
void app_close(struct app *a);

/* Waits until something happened (bytes, an answer, a signal) or @until_ms has come. */
void app_wait(struct app *a, int64_t until_ms);

/*
 * Makes one request and waits for its answer; a signal that comes meanwhile ends it. Returns 0 with
 * @ret filled (a failure to send is K8S_UNREACHABLE), or -ECANCELED. The caller frees @ret in
 * either case.
 */
int app_call(struct app *a, const struct k8s_request *q, struct k8s_result *ret);

/* Waits for the answer to @x. Returns 0, or -ECANCELED when a signal came; then @x is ended. */
int app_answer(struct app *a, struct http_exchange *x);

#endif
