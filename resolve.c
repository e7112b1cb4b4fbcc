#include "resolve.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define ANSWER_KEPT_MS 60000 /* for the next try, which has waited as long as a backoff is */

struct lookup {
	struct resolver *resolver;
	struct lookup   *next;
	unsigned         users;
	bool             seen; /* its answer: it is not for others */
	bool             done; /* from here on nothing below changes */
	int64_t          done_ms;
	int              error;
	struct addrinfo *addresses; /* owned */
	char             host[];
};

/* Everything but the name is under the lock: a thread may be at its end at any time. */
struct resolver {
	pthread_mutex_t   lock;
	resolver_wake_fn *wake; /* NULL: its owner has left */
	void             *arg;
	struct lookup    *lookups; /* owned */
};

struct resolver *resolver_new(resolver_wake_fn *wake, void *arg)
{
	struct resolver *r = calloc(1, sizeof(*r));

	(void)mallopt(M_ARENA_MAX, 1); /* else each thread gets a heap of its own, and keeps it */
	if (r)
		*r = (struct resolver){ .lock = PTHREAD_MUTEX_INITIALIZER,
					.wake = wake,
					.arg = arg };
	return r;
}

/* Frees what nobody waits for, and nobody will. Returns whether all is gone, the owner, too. */
static bool sweep(struct resolver *r)
{
	for (struct lookup **p = &r->lookups, *l; (l = *p) != NULL;) {
		if (!l->done || l->users || !(l->seen || !r->wake)) {
			p = &l->next;
			continue;
		}
		*p = l->next;
		if (l->addresses)
			freeaddrinfo(l->addresses);
		free(l);
	}
	return !r->wake && !r->lookups;
}

static void unlock(struct resolver *r)
{
	bool last = sweep(r);

	(void)pthread_mutex_unlock(&r->lock);
	if (last)
		free(r);
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	(void)pthread_mutex_lock(&r->lock);
	r->wake = NULL; /* the last thread frees it, if there is one */
	unlock(r);
}

static void *look_up(void *arg)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct lookup               *l = arg;
	struct resolver             *r = l->resolver;
	struct addrinfo             *addresses = NULL;
	int                          error = getaddrinfo(l->host, NULL, &hints, &addresses);

	(void)pthread_mutex_lock(&r->lock);
	l->error = error;
	l->addresses = error ? NULL : addresses;
	l->done_ms = now_ms();
	l->done = true;
	if (r->wake)
		r->wake(r->arg);
	unlock(r);
	return NULL;
}

/* The thread starts with the signals blocked that the program reads from a descriptor. */
static bool start(struct lookup *l)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, look_up, l) != 0)
		return false;
	(void)pthread_detach(thread);
	return true;
}

static struct lookup *lookup_new(struct resolver *r, const char *host)
{
	size_t         size = strlen(host) + 1;
	struct lookup *l = calloc(1, sizeof(*l) + size);

	if (!l)
		return NULL;
	l->resolver = r;
	memcpy(l->host, host, size);
	if (!start(l)) {
		free(l);
		return NULL;
	}
	l->next = r->lookups;
	r->lookups = l;
	return l;
}

struct lookup *lookup_join(struct resolver *r, const char *host)
{
	(void)pthread_mutex_lock(&r->lock);
	int64_t        oldest = now_ms() - ANSWER_KEPT_MS;
	struct lookup *l = r->lookups;
	for (; l; l = l->next) {
		l->seen |= l->done && l->done_ms < oldest;
		if (!l->seen && strcmp(l->host, host) == 0)
			break;
	}
	l = l ? l : lookup_new(r, host);
	if (l)
		l->users++;
	unlock(r);
	return l;
}

void lookup_leave(struct lookup *l)
{
	if (!l)
		return;
	struct resolver *r = l->resolver;
	(void)pthread_mutex_lock(&r->lock);
	l->users--;
	unlock(r);
}

bool lookup_answer(struct lookup *l, int *ret_error, const struct addrinfo **ret_addresses)
{
	struct resolver *r = l->resolver;

	(void)pthread_mutex_lock(&r->lock);
	bool done = l->done;
	l->seen |= done;
	*ret_error = l->error;
	*ret_addresses = l->addresses;
	(void)pthread_mutex_unlock(&r->lock);
	return done;
}
