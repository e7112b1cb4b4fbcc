/*
 * queues.h - the walk over the broker's queues, pattern by pattern: which page is to be listed
 * next, which queue is to go, which stay and why. Pure: no requests, no clocks.
 *
 * A queue is deleted by its name alone, and ids can continue each other: `grpc-job-12-70788-x` may
 * be job 12's, or 12-70788's. It is the longest one's whose Job is there: each longer id by which a
 * pattern has that name is a Job to be asked about first.
 */
#ifndef QUEUES_H
#define QUEUES_H

#include <stdbool.h>
#include <stdint.h>

#include "asked.h"
#include "rabbitmq.h"

#define QUEUES_MAX_PAGES                                                                           \
	200 /* of one walk: queues that stay, and others' that the filter lets by */
#define QUEUES_PATIENCE_MS INT64_C(60000) /* a refused queue is tried so long since one went, */
#define QUEUES_WALKS       4              /* and at least so often */

enum queues_step {
	QUEUES_LIST,      /* page `number` of pattern `pattern` */
	QUEUES_NEIGHBOUR, /* GET the Job queues_neighbour(): does it exist? */
	QUEUES_DELETE,    /* queues_name() */
	QUEUES_WALKED,    /* the walk is over: see complete and refused */
};

/* By which pattern a queue may be another Job's, and where in its name the id of that stands. */
struct rival {
	size_t pattern, start, end;
};

struct queues {
	enum queues_step step;
	size_t           next;    /* index into page: the one at hand */
	struct rival     rival;   /* the Job whose it may be instead */
	size_t           pattern; /* whose queues are walked over */
	unsigned         number;  /* of the page at hand, or to be listed, from 1 */
	bool             known;   /* the broker knows our virtual host */
	bool     doubted;  /* ... or the one name was not there, and nobody knows if it does */
	unsigned lists;    /* in this walk */
	unsigned went;     /* of this page */
	unsigned deleted;  /* in all */
	bool     final;    /* the broker's no is final: its user or virtual host is wrong */
	bool     hopeless; /* of all queues that stay it is */
	bool     answered; /* ... the broker has said why; else it had no answer */
	uint64_t began;    /* seq: when the last walk's first list was sent */
	uint64_t page_at;  /* seq: when the page was folded in */
	int64_t  since_ms; /* when the first walk began, or a queue went; 0 = not yet */
	unsigned walks;    /* that ended with queues that stay, in a row */
	char     why[256]; /* the broker's last words on a queue that stays */

	struct rabbitmq_page page; /* as listed last */
	struct rabbitmq_page
		before; /* those that went since the list before it: they should be gone */
	struct rabbitmq_page refused;     /* those that stay, as many as fit; */
	unsigned             more;        /* ... and so many more, */
	unsigned             more_before; /* ... of which not on this page */
};

/* Which page is to be listed; 0 = the one queue, as a name needs no walk over all of them. */
unsigned queues_page(const struct queues *q, const struct config *cfg);

/* The queue at hand; borrowed. */
const char *queues_name(const struct queues *q);

/* The Job whose queue it may be, too: named as ours is, with the other id. */
void queues_neighbour(const struct queues *q, const struct config *cfg, char *out, size_t size);

/* Starts over: a new walk from the first page. */
void queues_restart(struct queues *q);

/* ---- Answers; @seq is that of folding them in ---- */

/* @page is of K8S_OK, and borrowed. */
void queues_fold_list(struct queues *q, const struct config *cfg, const struct asked_answer *r,
		      const struct rabbitmq_page *page, uint64_t seq, int64_t now);

/* To GET of the neighbour: does that Job exist? */
void queues_fold_neighbour(struct queues *q, const struct config *cfg,
			   const struct asked_answer *r);

/* To DELETE of the queue at hand. */
void queues_fold_delete(struct queues *q, const struct config *cfg, const struct asked_answer *r,
			int64_t now);

#endif
