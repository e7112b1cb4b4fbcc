/*
 * evidence.h - what this start of the program was told, as far as its promises depend on it: the
 * idle readings as the contract counts them, the last looks, who has the Job's name. The answers'
 * meaning comes from the cluster (struct tale), not from the program.
 */
#ifndef SIM_EVIDENCE_H
#define SIM_EVIDENCE_H

#include "promises.h"

struct evidence {
	/* idle readings */
	bool        knows_metrics; /* some CPU was told: an item without any is no reading */
	int         count, distinct;
	const char *anew_why;   /* literal: why the count last started anew, as a kind; NULL = it
				   never did */
	int64_t     last_at_ms; /* when the last idle answer was made; -1 = the last was not idle */
	int64_t     last_idle_ms; /* of any idle answer; -1 = none */
	int64_t     gap_ms;       /* longer than this without one, and the count is over */
	int64_t     newest_ms;    /* sample */
	uint64_t    pods;         /* the set of pods that it is about */
	struct tale metrics;      /* the last answer that was a reading */
	struct tale parts;        /* of single pods, until there is one of each */
	/* reads of the Job */
	int64_t  read_ms; /* when the last one was made; -1 = none */
	uint64_t read_rv;
	bool     read_taken, read_absent; /* that one: by a newcomer; nobody has the name */
	bool     knows_ours;
	bool     saw_newcomer;    /* a read showed one beside ours, at some time */
	bool     serves_newcomer; /* ours was gone when it started: the other one is its Job */
	int      told_active;     /* status.active, as last told */
	bool     told_foreground; /* the last thing that it was told of our Job */
	int64_t  read_sent_ms;    /* when one was sent last */
	bool     read_over;       /* the last one showed ours finished, or being deleted */
	bool     read_gone;       /* a read said that our Job is gone, or its name is another's */
	int      queues_since_read;
	int      untold; /* answers to a GET that told nothing, since one that did */
	/* the last look's pods */
	int64_t looked_ms; /* when the last list of them was made; -1 = none */
	bool    look_good;
	bool    look_ended;    /* it showed TARGET_CONTAINER ended for good in the only pod */
	int     look_refusals; /* in a row; a review that denies counts as two */
	int     pod_delete_refusals;
	bool    delete_accepted;
	int64_t delete_sent_ms; /* 0 = none */
	bool    delete_open;    /* a DELETE of the Job whose outcome no read has told yet */
	bool    broker_final;
	/* of all starts in this life */
	bool         cleaner_deleted; /* a person took our own Job away */
	struct basis basis;           /* of the DELETE of the Job that is being carried out */
};
extern struct evidence evidence;

void evidence_reset(void);
void evidence_start(void);
void evidence_on_request(struct request *q); /* notes what a DELETE of the Job rests on */
void evidence_on_answer(const struct request *q, const struct answer *a);
void evidence_on_status(const struct request *q, int status); /* of one whose body was cut */
void evidence_on_told_job(const struct job *j);
void evidence_on_idle_delete(const struct job *j); /* of a Job that lives: is it allowed? */
/* It may list and delete pods, for all that it was told. */
bool evidence_pods_are_its_business(void);
bool evidence_service_first(const struct service *s);
bool evidence_queue_window(const struct queue *q);

/* ---- pace.c: the form of requests, and how often they come ---- */

void pace_reset(void);
void pace_start(void);
void pace_on_answer(const struct request *q, const struct answer *a);

#endif
