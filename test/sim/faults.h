/* faults.h - what becomes of each request on its way, and of the process itself. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "api.h"

#define FAULTS(X)                                                                                  \
	X(NONE, "none")                                                                            \
	X(REFUSED, "refused")                                                                      \
	X(LOST_BEFORE, "lost-before")                                                              \
	X(LOST_AFTER, "lost-after")                                                                \
	X(LATE, "late")                                                                            \
	X(LATE_ANSWER, "late-answer")                                                              \
	X(TWICE, "twice")                                                                          \
	X(CUT, "cut")                                                                              \
	X(CUT_CLEAN, "cut-clean")                                                                  \
	X(SLOW, "slow")                                                                            \
	X(HUNG, "hung")                                                                            \
	X(HUNG_AFTER, "hung-after")                                                                \
	X(S400, "400")                                                                             \
	X(S401, "401")                                                                             \
	X(S403, "403")                                                                             \
	X(S403_ANONYMOUS, "403-anonymous")                                                         \
	X(S403_WEBHOOK, "403-webhook")                                                             \
	X(S404_TEXT, "404-text")                                                                   \
	X(S409, "409")                                                                             \
	X(S410, "410")                                                                             \
	X(S422_POLICY, "422-policy")                                                               \
	X(S429, "429")                                                                             \
	X(S429_HOUR, "429-hour")                                                                   \
	X(S500, "500")                                                                             \
	X(S500_WEBHOOK, "500-webhook")                                                             \
	X(S503, "503")                                                                             \
	X(S503_HOUR, "503-hour")                                                                   \
	X(S504, "504")                                                                             \
	X(S504_AFTER, "504-after")                                                                 \
	X(EMPTY_LIST, "empty-list")                                                                \
	X(HTML, "html")                                                                            \
	X(KILLED_BEFORE, "killed-before")                                                          \
	X(KILLED_AFTER, "killed-after")                                                            \
	X(TERMED, "termed")                                                                        \
	X(FROZEN, "frozen")

#define X(id, name) FAULT_##id,
enum fault { FAULTS(X) FAULT_COUNT };
#undef X
extern const char *const fault_names[];

struct fate {
	enum fault fault;
	int64_t    arrives_ms; /* after it was sent */
	int64_t    answer_ms;  /* after it arrived */
};

void faults_reset(void);
bool faults_last(enum verb v, enum resource r); /* such a request will never be answered well */
bool faults_deny_for_ever(void);                /* nobody may delete a Job */

/* Draws what becomes of the @nth request of this life. */
struct fate fate_draw(const struct request *q, int nth);

/* The answer that the fault gives instead of the cluster's own; false: it gives none. */
bool fault_answer(enum fault f, const struct request *q, struct answer *a);

/* How watches are told at present. */
struct watch_weather {
	bool    silent;
	int64_t late_ms;
};
extern struct watch_weather watch_weather;

#endif
