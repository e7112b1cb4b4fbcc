/*
 * metrics.h - from a PodMetricsList to a reading, and from readings to the idle count.
 * Pure: no sockets, no clocks; every time is passed in.
 */
#ifndef METRICS_H
#define METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

#define METRICS_MAX_AGE_MS    INT64_C(90000)  /* a sample older than this tells nothing */
#define METRICS_MAX_FUTURE_MS INT64_C(60000)  /* nor does one from further ahead */
#define METRICS_MAX_WINDOW_MS INT64_C(600000) /* no window is believed to be longer */

/*
 * Parses a Kubernetes quantity of CPU (resource.Quantity: sign, decimals, suffixes n u m k M G T P
 * E, Ki Mi Gi Ti Pi Ei, exponents e3 E-3) into exact nanocores, rounding up what is finer, as the
 * API does. Returns 0, -EINVAL (not a quantity, or negative), -ERANGE (over INT64_MAX nanocores).
 * Rule: k8s.io/apimachinery/pkg/api/resource/quantity.go.
 */
int cpu_parse(const char *s, int64_t *ret_nanocores);

/*
 * Parses CPU_USAGE_THRESHOLD as version 1.1 had it: a plain number (`4`, `0.5`) is millicores;
 * anything with a suffix or an exponent is a quantity. Same returns as cpu_parse().
 */
int cpu_parse_threshold(const char *s, int64_t *ret_nanocores);

/* Exact text for a log line: `2m`, `0.5m`, `499.990833m`, `0m`. */
#define CPU_TEXT_SIZE 32
void cpu_format(char out[CPU_TEXT_SIZE], int64_t nanocores);

/* A container that the metrics named; the strings are owned by the struct pod_metrics. */
struct metrics_container {
	char   *pod;
	char   *name;
	int64_t nanocores;
};

/* One answer of the metrics API, decoded. Zero is a valid start. */
struct pod_metrics {
	size_t                    pods;       /* different ones */
	uint64_t                  pod_set;    /* a digest of their names, in whatever order */
	int64_t                   nanocores;  /* sum over all pods and containers, or ..._only() */
	int64_t                   oldest_ms;  /* Unix time of the oldest sample; 0 without pods */
	int64_t                   window_ms;  /* the longest of the samples' windows; 0 = unknown */
	struct metrics_container *containers; /* owned; each once */
	size_t                    container_count;
};

/*
 * Decodes @body: a PodMetricsList, or the PodMetrics of one pod. An entry without a name, or named
 * POD, is the pod's total or its sandbox and no container: it is left out. What comes twice counts
 * once, with the larger value. A quantity that is negative or no quantity, a missing or null
 * timestamp, an item without containers, a sum that overflows, JSON of another shape or kind than
 * PodMetricsList: each is an error, because each makes the reading unknown. An empty list is not an
 * error. On success *@ret is overwritten (the caller has passed it empty or called the _fini
 * before) and owned by the caller. Returns 0, -EBADMSG, -ENOMEM.
 */
int  pod_metrics_decode(const char *body, size_t len, struct pod_metrics *ret, struct err *err);
void pod_metrics_fini(struct pod_metrics *m);

/* Adds what @m has to @sum, and empties @m. Returns 0, -EBADMSG (the sum overflows). */
int pod_metrics_join(struct pod_metrics *sum, struct pod_metrics *m);

/* Whether the last answer had this container: exact names. */
bool pod_metrics_has(const struct pod_metrics *m, const char *pod, const char *container);

/*
 * The sum becomes that of the containers of this name. Returns false, and *@m is as it was, if a
 * pod has none: then nothing is known of it.
 */
bool pod_metrics_only(struct pod_metrics *m, const char *container);

enum reading { READING_UNKNOWN, READING_IDLE, READING_ACTIVE };

/*
 * Judges one decoded answer: unknown without pods, with fewer pods than @active_pods, or with a
 * sample that is older than 90 s or twice its window, whichever is longer, or more than 60 s ahead
 * of @date_ms; else active above @threshold_nanocores, idle at or below it.
 * @date_ms   Unix time of the response's own Date header; < 0 if it had none (then: unknown)
 * @ret_why   never NULL: a literal of a few words why it is unknown, "" otherwise
 */
enum reading metrics_judge(const struct pod_metrics *m, int64_t threshold_nanocores,
			   uint32_t active_pods, int64_t date_ms, const char **ret_why);

/* Consecutive idle readings: evidence about these pods at these times. Zero is a valid start. */
struct idle_count {
	uint32_t count;
	uint32_t distinct;         /* different, ever newer sample timestamps it rests on */
	uint64_t pod_set;          /* of all of them */
	int64_t  first_ms;         /* of the first idle check counted */
	int64_t  last_ms;          /* of the last one */
	int64_t  newest_sample_ms; /* Unix; the last sample that was counted in @distinct */
	int64_t  window_ms;        /* of the last one */
};

/* Without an idle reading for longer than this, by whichever clock, the count is about the past. */
int64_t idle_count_gap_ms(const struct idle_count *c, int64_t interval_ms);

/*
 * Counts one check. Idle adds one, and one to @distinct if its sample is newer than every sample so
 * far; active clears; unknown leaves the count (@m is NULL where there was no answer to decode).
 * What clears it first, whatever the reading: a gap since the last idle check, another set of pods,
 * or none; and a gap in the samples' own time.
 * @at_ms     time of the check on its grid (not of the answer), so that exactly three intervals are
 *            no gap
 * Returns NULL, or why the count was cleared from above zero: a literal of a few words.
 */
const char *idle_count_add(struct idle_count *c, enum reading reading, const struct pod_metrics *m,
			   int64_t at_ms, int64_t interval_ms);
void        idle_count_clear(struct idle_count *c);
bool idle_count_triggers(const struct idle_count *c, uint32_t max_count, uint32_t min_distinct);

#endif
