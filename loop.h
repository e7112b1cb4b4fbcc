/*
 * loop.h - what libcurl waits for, a lookup's end, and one more descriptor: in one poll(2).
 * libcurl says which sockets and what time (curl_multi_socket_action(3)), and is called for those
 * that have something only: curl_multi_perform() asks the kernel about each of them, each time.
 */
#ifndef LOOP_H
#define LOOP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "util.h"

struct loop {
	CURLM         *multi; /* borrowed */
	struct pollfd *fds;   /* owned: @fd of loop_wait(), @wakeup, libcurl's sockets */
	size_t         count;
	int64_t        timer_ms; /* when libcurl is to be called; INT64_MAX = not at a time */
	int            wakeup;   /* owned eventfd, -1 = none */
};

/* @l stays where it is. Returns 0 or -errno + *err. */
int  loop_init(struct loop *l, CURLM *multi, struct err *err);
void loop_fini(struct loop *l); /* behind the last call of loop_wake(); before that of @multi */

/* Ends a loop_wait(), now or the next one; @loop is a struct loop. For any thread. */
void loop_wake(void *loop);

/* Lets libcurl do what its time has come for, such as what was added since. Does not block. */
CURLMcode loop_act(struct loop *l);

/*
 * Waits until @fd can be read, libcurl did something, loop_wake() was called, or @until_ms
 * (now_ms()) has come. *@ret: whether @fd can be read.
 */
CURLMcode loop_wait(struct loop *l, int fd, int64_t until_ms, bool *ret);

#endif
