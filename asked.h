/*
 * asked.h - one kind of request: what its last answers were, and when it may be asked again. One
 * kind of retry, one cap on Retry-After, one way to take a refusal. Pure.
 */
#ifndef ASKED_H
#define ASKED_H

#include <stdint.h>

#include "k8s_client.h"
#include "util.h"

#define RETRY_AFTER_MAX_MS INT64_C(60000)  /* of a server's Retry-After, no more is believed */
#define REFUSED_SOON_MS    INT64_C(1000)   /* a refusal is asked again soon, */
#define REFUSED_MIN_MS     INT64_C(60000)  /* then believed for so long, */
#define REFUSED_MAX_MS     INT64_C(300000) /* and, doubling, for no longer */
#define REFUSED_BELIEVED   2 /* answers that make one: an API server's first second has some */

/* What is known of one kind of request. */
struct asked {
	uint64_t sent;        /* seq of the last one that was answered, in whatever way; 0 = none */
	uint64_t told;        /* seq at which it was sent that last told something */
	uint64_t told_at;     /* seq at which that answer was folded in */
	int64_t  sent_ms;     /* when that one was sent; 0 = never */
	int64_t  told_ms;     /* when the one was sent that last told something; 0 = none */
	int64_t  due_ms;      /* not to be asked again before this */
	int64_t  patience_ms; /* nor, for whatever reason, before this: the server asked for it */
	unsigned failed;      /* failures in a row */
	unsigned refused;     /* refusals in a row */
	long     status;      /* of the last answer */
	char     words[304];  /* the server's, of the last refusal */
};

/* What is to be known of an answer for this. */
struct asked_answer {
	enum k8s_answer what;
	uint64_t        sent; /* seq */
	int64_t         sent_ms;
	long            status;
	int64_t         retry_after_ms;
	const char     *words; /* of a refusal; borrowed */
	uint32_t        rnd;
};

/*
 * Takes an answer. @seq is that of taking it. A refusal is asked again after 1, 2, 4 ... s, up to a
 * minute, until @believed answers have made it one, and if @hurry for ever; else it is believed for
 * a minute, doubling up to five. Other failures: backoff. Never sooner than Retry-After.
 */
void asked_take(struct asked *a, const struct asked_answer *r, uint64_t seq, unsigned believed,
		bool hurry, int64_t now);

/* As if the answer had been a failure: it is asked again after a backoff. */
void asked_later(struct asked *a, uint32_t rnd, int64_t now);

#endif
