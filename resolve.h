/*
 * resolve.h - names to addresses, by the C library, in a thread of its own for each name.
 *
 * libcurl has such threads, too, but it throws an answer away that comes after its limit, and asks
 * the same again at the next try: a name for which the C library takes longer (a name server that
 * is silent, at each of six search domains) would never resolve. Here the next try takes up the
 * lookup.
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include <netdb.h>
#include <stdbool.h>

struct resolver; /* opaque */
struct lookup;   /* opaque: one name, asked for or answered */

/* Called in a lookup's thread when it has an answer; never after resolver_free(). */
typedef void resolver_wake_fn(void *arg);

/* @arg is borrowed until resolver_free(). NULL: out of memory. */
struct resolver *resolver_new(resolver_wake_fn *wake, void *arg);
void             resolver_free(struct resolver *r); /* waits for no thread; NULL is fine */

/*
 * Takes up the lookup of @host whose answer nobody has seen yet, or starts one. Returns it, to be
 * given to lookup_leave(), or NULL (no thread, no memory).
 */
struct lookup *lookup_join(struct resolver *r, const char *host);
void lookup_leave(struct lookup *l); /* it may go on for the next who wants it; NULL is fine */

/*
 * Returns whether there is an answer: what getaddrinfo() returned, and the addresses, borrowed
 * until lookup_leave().
 */
bool lookup_answer(struct lookup *l, int *ret_error, const struct addrinfo **ret_addresses);

#endif
