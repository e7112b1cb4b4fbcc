#include "loop.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#define WAIT_MAX_MS 60000

enum { LOOP_FD, LOOP_WAKEUP, LOOP_FIRST };

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct loop *l = arg;

	(void)multi;
	l->timer_ms = timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;
	return 0;
}

static bool add_slot(struct loop *l)
{
	struct pollfd *p = realloc(l->fds, (l->count + 1) * sizeof(*p));

	if (!p)
		return false;
	l->fds = p;
	l->count++;
	return true;
}

/* libcurl waits for @fd from now on, or no longer. */
static int on_socket(CURL *e, curl_socket_t fd, int what, void *arg, void *reserved)
{
	struct loop *l = arg;
	size_t       i = LOOP_FIRST;

	(void)e;
	(void)reserved;
	while (i < l->count && l->fds[i].fd != fd)
		i++;
	if (what == CURL_POLL_REMOVE) {
		if (i < l->count)
			l->fds[i] = l->fds[--l->count]; /* if that has news, poll() says so again */
		return 0;
	}
	if (i == l->count && !add_slot(l))
		return -1;
	l->fds[i] = (struct pollfd){ .fd = fd };
	if (what & CURL_POLL_IN)
		l->fds[i].events |= POLLIN;
	if (what & CURL_POLL_OUT)
		l->fds[i].events |= POLLOUT;
	return 0;
}

int loop_init(struct loop *l, CURLM *multi, struct err *err)
{
	*l = (struct loop){ .multi = multi, .timer_ms = INT64_MAX };
	l->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wakeup < 0 || !add_slot(l) || !add_slot(l))
		return err_set(err, errno, "wait for descriptors: %s", strerror(errno));
	CURLMcode mc = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	mc = mc ? mc : curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, l);
	mc = mc ? mc : curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	mc = mc ? mc : curl_multi_setopt(multi, CURLMOPT_TIMERDATA, l);
	return mc ? err_set(err, EIO, "libcurl: %s", curl_multi_strerror(mc)) : 0;
}

void loop_fini(struct loop *l)
{
	close_p(&l->wakeup);
	free(l->fds);
}

void loop_wake(void *loop)
{
	const struct loop *l = loop;

	(void)eventfd_write(l->wakeup, 1);
}

CURLMcode loop_act(struct loop *l)
{
	int running;

	if (l->timer_ms > now_ms())
		return CURLM_OK;
	l->timer_ms = INT64_MAX; /* it says when it wants another */
	return curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

/* Of an error libcurl is not told what it is: it looks at the socket itself. */
static int mask_of(short revents)
{
	return revents == POLLIN ? CURL_CSELECT_IN : revents == POLLOUT ? CURL_CSELECT_OUT : 0;
}

static int ms_until(int64_t deadline_ms)
{
	int64_t d = deadline_ms - now_ms();

	return d < 0 ? 0 : d > WAIT_MAX_MS ? WAIT_MAX_MS : (int)d;
}

CURLMcode loop_wait(struct loop *l, int fd, int64_t until_ms, bool *ret)
{
	CURLMcode mc = CURLM_OK;
	int       running;
	eventfd_t wakes;

	l->fds[LOOP_FD] = (struct pollfd){ .fd = fd, .events = POLLIN };
	l->fds[LOOP_WAKEUP] = (struct pollfd){ .fd = l->wakeup, .events = POLLIN };
	*ret = false;
	int n = poll(l->fds, l->count, ms_until(min_ms(until_ms, l->timer_ms)));
	if (n <= 0)
		return n < 0 && errno != EINTR ? CURLM_UNRECOVERABLE_POLL : loop_act(l);
	*ret = l->fds[LOOP_FD].revents != 0;
	if (l->fds[LOOP_WAKEUP].revents)
		(void)eventfd_read(l->wakeup, &wakes);
	for (size_t i = LOOP_FIRST; i < l->count && !mc; i++) { /* they change meanwhile */
		short r = l->fds[i].revents;
		l->fds[i].revents = 0;
		if (r)
			mc = curl_multi_socket_action(l->multi, l->fds[i].fd, mask_of(r), &running);
	}
	return mc ? mc : loop_act(l);
}
