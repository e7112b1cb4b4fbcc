#include "app.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

static int signals_open(struct err *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_set(err, errno, "block signals: %s", strerror(errno));
	if (sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL) < 0)
		return err_set(err, errno, "ignore SIGPIPE: %s", strerror(errno));
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_set(err, errno, "signalfd: %s", strerror(errno)) : fd;
}

int app_open(struct app *a, const struct config *cfg, struct err *err)
{
	*a = (struct app){ .cfg = cfg, .sigfd = -1 };
	a->sigfd = signals_open(err);
	if (a->sigfd < 0)
		return a->sigfd;
	a->http = http_new("cleanup-grpc/" VERSION, err);
	a->k8s = a->http ? k8s_client_new(a->http, cfg, err) : NULL;
	return a->k8s ? 0 : -ENOMEM;
}

void app_close(struct app *a) /* safe after a failed app_open() */
{
	k8s_client_free(a->k8s);
	http_free(a->http);
	close_p(&a->sigfd);
}

static void read_signals(struct app *a)
{
	struct signalfd_siginfo info;

	while (read(a->sigfd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		a->signals++;
		log_info("signal", LS("name", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM"),
			 LI("count", a->signals));
	}
}

void app_wait(struct app *a, int64_t until_ms)
{
	struct err err = { 0 };

	int r = http_wait(a->http, a->sigfd, until_ms, &err);

	if (r < 0 && !a->broken) {
		log_error("cannot go on", LS("error", err.msg));
		a->broken = true;
	}
	if (r != 0)
		read_signals(a);
}

int app_answer(struct app *a, struct http_exchange *x)
{
	unsigned before = a->signals;

	while (!http_response(x)) {
		if (a->signals > before || a->broken) {
			http_end(a->http, x);
			return -ECANCELED;
		}
		app_wait(a, INT64_MAX);
	}
	return 0;
}

int app_call(struct app *a, const struct k8s_request *q, struct k8s_result *ret)
{
	struct err            err = { 0 };
	struct http_exchange *x = k8s_start(a->k8s, q, &err);

	*ret = (struct k8s_result){ .answer = K8S_UNREACHABLE, .date_ms = -1 };
	if (!x) {
		(void)snprintf(ret->words, sizeof(ret->words), "%s", err.msg);
		return 0;
	}
	if (app_answer(a, x) < 0)
		return -ECANCELED;
	k8s_finish(a->k8s, q, x, ret);
	return 0;
}
