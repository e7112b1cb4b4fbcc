/*
 * story.h - what one life is made of, as data: the cluster, the settings, and what happens when.
 * Drawn from a seed (draw.c) or read from a text (story.c); it can be printed as that text.
 */
#ifndef SIM_STORY_H
#define SIM_STORY_H

#include "api.h"
#include "settings.h"

/* What may happen; the names are those of the text. @arg and @for_ms as owner.c, faults.c say. */
#define HAPPENINGS(X)                                                                              \
	X(JOB, "job")                                                                              \
	X(SERVICE, "service")                                                                      \
	X(CLEANER, "cleaner")                                                                      \
	X(QUEUES, "queues")                                                                        \
	X(CPU, "cpu")                                                                              \
	X(HOLD, "hold")                                                                            \
	X(HOLD_UNTIL, "hold-until")                                                                \
	X(UNHOLD, "unhold")                                                                        \
	X(SUSPEND, "suspend")                                                                      \
	X(RESUME, "resume")                                                                        \
	X(COMPLETE, "complete")                                                                    \
	X(FAIL, "fail")                                                                            \
	X(DELETE, "delete")                                                                        \
	X(DELETE_FOREGROUND, "delete-foreground")                                                  \
	X(DELETE_ORPHAN, "delete-orphan")                                                          \
	X(KEEP, "keep")                                                                            \
	X(UNKEEP, "unkeep")                                                                        \
	X(SERVICE_ANEW, "service-anew")                                                            \
	X(SERVICE_GONE, "service-gone")                                                            \
	X(POD_REPLACED, "pod-replaced")                                                            \
	X(POD_LOST, "pod-lost")                                                                    \
	X(POD_CRASHES, "pod-crashes")                                                              \
	X(POD_HEALS, "pod-heals")                                                                  \
	X(POD_STUCK, "pod-stuck")                                                                  \
	X(POD_UNREADY, "pod-unready")                                                              \
	X(CONTAINER_ENDS, "container-ends")                                                        \
	X(TOUCH, "touch")                                                                          \
	X(TOUCH_OFTEN, "touch-often")                                                              \
	X(CLEANER_DELETED, "cleaner-deleted")                                                      \
	X(CLEANER_FAILS, "cleaner-fails")                                                          \
	X(NEWCOMER, "newcomer")                                                                    \
	X(NEWCOMER_INHERITS, "newcomer-inherits")                                                  \
	X(NEWCOMER_SERVICE_FIRST, "newcomer-service-first")                                        \
	X(NEIGHBOUR, "neighbour")                                                                  \
	X(SWEEP, "sweep")                                                                          \
	X(QUEUE_STUBBORN, "queue-stubborn")                                                        \
	X(API_DOWN, "api-down")                                                                    \
	X(API_STARTS, "api-starts")                                                                \
	X(ETCD_HANGS, "etcd-hangs")                                                                \
	X(CONTROLLERS_DOWN, "controllers-down")                                                    \
	X(METRICS_DOWN, "metrics-down")                                                            \
	X(METRICS_ABSENT, "metrics-absent")                                                        \
	X(BROKER_DOWN, "broker-down")                                                              \
	X(FAULTY, "faulty")                                                                        \
	X(RIGHT_LOST, "right-lost")                                                                \
	X(DENIED, "denied")                                                                        \
	X(WATCH_SILENT, "watch-silent")                                                            \
	X(WATCH_LATE, "watch-late")                                                                \
	X(WATCH_CUT, "watch-cut")                                                                  \
	X(WATCH_END, "watch-end")                                                                  \
	X(COMPACT, "compact")                                                                      \
	X(KILL, "kill")                                                                            \
	X(TERM, "term")                                                                            \
	X(FREEZE, "freeze")                                                                        \
	X(WALL_JUMP, "wall-jump")                                                                  \
	X(SLEEP, "sleep")                                                                          \
	X(TOKEN_NEW, "token-new")                                                                  \
	X(TOKEN_GONE, "token-gone")                                                                \
	X(TOKEN_EMPTY, "token-empty")                                                              \
	X(QUIRK, "quirk")

#define X(id, name) HAPPEN_##id,
enum happen { HAPPENINGS(X) HAPPEN_COUNT };
#undef X

/* FAULTY, RIGHT_LOST: which requests; ANY = all. */
#define ANY 15
#define WHICH(verb, resource, fault)                                                               \
	((int64_t)(verb) | (int64_t)(resource) << 4 | (int64_t)(fault) << 8)

struct happening {
	int64_t     at_ms;
	enum happen what;
	int64_t     arg;
	int64_t     for_ms;
};

#define HAPPENINGS_MAX 96
#define FOR_EVER       NEVER /* as @for_ms: also in the calm */

/* One adverse event at one request: the @nth of the life, counted from 1. */
struct placed {
	int nth;
	int fault; /* enum fault, or AT() what happens while it is on its way */
};
#define AT(happen) (1000 + HAPPEN_##happen)
const char *placed_name(int fault);
int         placed_of(const char *name);

struct story {
	uint64_t         seed;
	char             id[48];
	bool             v1_34;
	bool             lean; /* answers leave out what nobody reads */
	int64_t          resolution_ms;
	int              parallelism;
	int              ttl_s;               /* of the job; -1 = none */
	int              retries;             /* its backoffLimit */
	bool             on_failure;          /* its pods' restartPolicy, else Never */
	bool             long_selector;       /* of more than half a kilobyte */
	bool             undisturbed;         /* nothing goes wrong in it */
	int64_t          cpu;                 /* of the job's pods at first */
	int              redeclares;          /* in 1000 */
	unsigned         no_right[RESOURCES]; /* for ever */
	int              fault_odds;          /* in 10,000: of each request before @calm_ms */
	int              latency_ms;          /* the most that a healthy answer takes */
	int64_t          calm_ms;             /* no adversity from here on */
	struct settings  settings;
	struct happening h[HAPPENINGS_MAX];
	int              count;
	struct placed    placed[2];
};
extern struct story story;

void    story_reset(void);
void    story_add(int64_t at_ms, enum happen what, int64_t arg, int64_t for_ms);
void    story_draw(uint64_t seed);
void    story_read(const char *file);
void    story_print(void);   /* as such a file */
int64_t story_last_ms(void); /* when the last thing that happens is over */
void    story_begin(void);   /* sets the stage, and timers for all that happens */
void    story_happens(const struct happening *h); /* now */
bool    story_is_calm(void);

extern const char *const happen_names[];

/* ---- owner.c, faults.c: carry out one happening; false: not theirs ---- */

bool owner_does(const struct happening *h);
bool fault_does(const struct happening *h);
void owner_reset(void);
bool newcomer_has_come(void); /* it may be gone again */

#endif
