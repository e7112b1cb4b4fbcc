/*
 * queues.h - the walk over the broker's queues: which page is to be listed next, which queue is to
 * go, which stay and why. Pure: no requests, no clocks.
 *
 * A queue is deleted by its name alone, and names can continue each other: `grpc-job-12-70788-x`
 * may be job 12's, or 12-70788's. So each dash behind our prefix is a Job to be asked about first.
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
	QUEUES_LIST,      /* page `number` */
	QUEUES_NEIGHBOUR, /* GET the Job queues_neighbour(): does it exist? */
	QUEUES_DELETE,    /* queues_name() */
	QUEUES_WALKED,    /* the walk is over: see complete and refused */
};

struct queues {
	enum queues_step step;
	size_t           next;     /* index into page: the one at hand */
	size_t           asked;    /* so much of its name belongs to no other Job */
	unsigned         number;   /* of the page at hand, or to be listed, from 1; 0 = not begun */
	unsigned         lists;    /* in this walk */
	unsigned         went;     /* of this page */
	unsigned         deleted;  /* in all */
	bool             final;    /* the broker's no is final: its user or virtual host is wrong */
	bool             hopeless; /* of all queues that stay it is */
	bool             answered; /* ... the broker has said why; else it had no answer */
	uint64_t         began;    /* seq: when the last walk's first list was sent */
	uint64_t         page_at;  /* seq: when the page was folded in */
	int64_t          since_ms; /* when the first walk began, or a queue went; 0 = not yet */
	unsigned         walks;    /* that ended with queues that stay, in a row */
	char             why[256]; /* the broker's last words on a queue that stays */

	struct rabbitmq_page page; /* as listed last */
	struct rabbitmq_page
		before; /* those that went since the list before it: they should be gone */
	struct rabbitmq_page refused; /* those that stay; some more may not be named */
};

/* What a queue's name is compared with: the streaming Job's, and what our queues' names begin with.
 */
struct naming {
	const char *job;    /* borrowed */
	const char *prefix; /* borrowed */
};

/* The queue at hand; borrowed. */
const char *queues_name(const struct queues *q);

/* The Job whose queue it would be, too: `<job>-<what follows the prefix up to a dash>`. */
void queues_neighbour(const struct queues *q, struct naming n, char *out, size_t size);

/* Starts over: a new walk from the first page. */
void queues_restart(struct queues *q);

/* ---- Answers; @seq is that of folding them in ---- */

/* @page is of K8S_OK, and borrowed. */
void queues_fold_list(struct queues *q, struct naming n, const struct asked_answer *r,
		      const struct rabbitmq_page *page, uint64_t seq, int64_t now);

/* To GET of the neighbour: does that Job exist? */
void queues_fold_neighbour(struct queues *q, struct naming n, const struct asked_answer *r);

/* To DELETE of the queue at hand. */
void queues_fold_delete(struct queues *q, struct naming n, const struct asked_answer *r,
			int64_t now);

#endif
