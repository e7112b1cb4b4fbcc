/*
 * report.h - what people are told: log lines when something has changed, failing requests, Events,
 * the summary. Knows nothing of how anything is decided.
 */
#ifndef REPORT_H
#define REPORT_H

#include "app.h"
#include "plan.h"

#define TROUBLE_LINE_EVERY_MS INT64_C(60000) /* while something fails: one line a minute */

enum server { SERVER_API, SERVER_METRICS, SERVER_BROKER };

/* A request that fails and recovers. */
struct trouble {
	int64_t     since_ms; /* it fails since; 0 = it does not */
	bool        told;     /* of this failure a line was logged, */
	enum server server;   /* ... which named this one */
};

/* What has been told so far; zero is a valid start. */
struct report {
	struct trouble troubles[ASKS];
	bool           refused[ASKS];              /* a line said so */
	int64_t        line_ms[SERVER_BROKER + 1]; /* the last line about a server */
	const char    *state;                      /* of the Job */
	char           hold[K8S_HOLD_SIZE];
	bool           held;
	char           adopted[K8S_UID_SIZE];
	enum trigger   trigger;
	enum reading   reading;
	const char    *why; /* literal: the last unknown reading's */
	bool           kept;
	bool           no_container; /* that no pod has TARGET_CONTAINER */
	bool           ended;        /* that it has */
	unsigned       waits;        /* lines that said why nothing is decided */
	bool           not_adopted;
	struct fates   fates;
};

const char *fate_name(enum fate f);
const char *trigger_name(enum trigger t);

/* Logs what has changed since the last call: the Job's state, the hold, the decision, each fate. */
void report_changes(struct report *r, const struct world *w, const struct config *cfg, int64_t now);

/* One reading of the metrics, as it was folded in. */
void report_reading(struct report *r, const struct world *w, const struct config *cfg);

/* TARGET_CONTAINER, as far as the pods are known: it has ended, or no pod has it. */
void report_container(struct report *r, const struct world *w, const struct config *cfg,
		      int64_t now);

/* Why nothing is decided, where a line is due (waits.h). */
void report_waiting(struct report *r, const struct world *w, const struct config *cfg, int64_t now);

/*
 * What came of a request. The first failure is logged, then one line a minute for each server, then
 * the recovery; a refusal when a second answer has confirmed it, with the server's words.
 * @x  what was asked; @q its request, NULL for the broker's; @words one line, "" = none
 */
void report_answer(struct report *r, const struct world *w, const struct config *cfg,
		   const struct answer *x, const struct k8s_request *q, bool by_role,
		   const char *words, int64_t now);

/* What was seen, in words that a person can act on; cut to @size. */
void report_words(const struct world *w, const struct config *cfg, enum trigger t, char *out,
		  size_t size);

/* The body of the Event that is due; new, for free(). NULL when out of memory. */
char *report_event_new(const struct world *w, const struct config *cfg);

/* The body of the Event that names what is left; NULL if nothing is, or out of memory. */
char *report_left_event_new(const struct world *w, const struct config *cfg, const struct fates *f);

/* The last line: to the log, and as JSON to the termination log if that can be written. */
void report_summary(const struct world *w, const struct config *cfg, const struct fates *f,
		    int64_t now);

#endif
