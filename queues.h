/*
 * queues.h - the walk over the broker's queues: which page is to be listed next, which queue is to
 * go, which stay and why. Pure: no requests, no clocks.
 *
 * A queue is deleted by its name alone, and names can continue each other: `grpc-job-12-70788-x` may
 * be job 12's, or 12-70788's. So each dash behind our prefix is a Job to be asked about first.
 */
#ifndef QUEUES_H
#define QUEUES_H

#include <stdbool.h>
#include <stdint.h>

#include "rabbitmq.h"

#define QUEUES_MAX_PAGES  200 /* of one walk: queues that stay, and others' that the filter lets by */
#define QUEUES_PATIENCE_MS INT64_C(60000) /* a refused queue is tried so long since one went */

enum queues_step {
	QUEUES_LIST,      /* page `number` */
	QUEUES_NEIGHBOUR, /* GET the Job queues_neighbour(): does it exist? */
	QUEUES_DELETE,    /* queues_name() */
	QUEUES_WALKED,    /* the walk is over: see complete and refused */
};

struct queues {
	struct rabbitmq_page page;   /* as listed last */
	struct rabbitmq_page before; /* those that went since the list before it: they should be gone */
	struct rabbitmq_page refused; /* those that stay; some more may not be named */
	enum queues_step     step;
	size_t               next;   /* index into page: the one at hand */
	size_t               asked;  /* so much of its name belongs to no other Job */
	unsigned             number; /* of the page at hand, or to be listed, from 1; 0 = not begun */
	unsigned             lists;  /* in this walk */
	unsigned             went;   /* of this page */
	unsigned             deleted;  /* in all */
	bool                 final;    /* the broker's no is final: its user or virtual host is wrong */
	bool                 hopeless; /* of all refused queues it is */
	uint64_t             began;    /* seq: when the last walk's first list was sent */
	uint64_t             page_at;  /* seq: when the page was folded in */
	int64_t              since_ms; /* when the first walk began, or a queue went; 0 = not yet */
	unsigned             walks;    /* that ended with queues that stay, in a row */
	char                 why[256]; /* the broker's last words on a queue that stays */
};

/* The queue at hand; borrowed. */
const char *queues_name(const struct queues *q);

/* The Job whose queue it would be, too: @job-<what follows @prefix up to a dash>. */
void queues_neighbour(const struct queues *q, const char *job, const char *prefix, char *out,
		      size_t size);

/* Starts over: a new walk from the first page. */
void queues_restart(struct queues *q);

/* @job and @prefix: the streaming Job's name, and what our queues' names begin with. */
void queues_listed(struct queues *q, const struct rabbitmq_page *page, const char *job,
		   const char *prefix, uint64_t sent, uint64_t at, int64_t now);

/* That Job exists: the queue is not ours, and stays. */
void queues_is_theirs(struct queues *q, const char *job, const char *prefix);
void queues_is_ours(struct queues *q, const char *job, const char *prefix); /* as for that dash */

/* The queue at hand is gone; @deleted: by us. */
void queues_went(struct queues *q, bool deleted, const char *job, const char *prefix, int64_t now);

/* It stays for now; @final: another try will not help. */
void queues_stays(struct queues *q, const char *why, bool final, const char *job,
		  const char *prefix);

#endif
