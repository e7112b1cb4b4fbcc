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

#define METRICS_MAX_AGE_MS    INT64_C(90000) /* a sample older than this tells nothing */
#define METRICS_MAX_FUTURE_MS INT64_C(60000) /* nor does one from further ahead */

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

/* A container that the metrics named; both owned by the struct pod_metrics. */
struct metrics_container {
	char *pod;
	char *name;
};

/* One answer of the metrics API, decoded. Zero is a valid start. */
struct pod_metrics {
	size_t                    pods;       /* items in the list */
	int64_t                   nanocores;  /* sum over all pods and containers */
	int64_t                   oldest_ms;  /* Unix time of the oldest sample; 0 without pods */
	struct metrics_container *containers; /* owned */
	size_t                    container_count;
};

/*
 * Decodes @body. A quantity that is negative or no quantity, a missing or null timestamp, an item
 * without containers, a sum that overflows, JSON of another shape or kind than PodMetricsList:
 * each is an error, because each makes the reading unknown. An empty list is not an error.
 * On success *@ret is overwritten (the caller has passed it empty or called the _fini before) and
 * owned by the caller. Returns 0, -EBADMSG, -ENOMEM.
 */
int  pod_metrics_decode(const char *body, size_t len, struct pod_metrics *ret, struct err *err);
void pod_metrics_fini(struct pod_metrics *m);

/* Whether the last answer had this container: exact names. */
bool pod_metrics_has(const struct pod_metrics *m, const char *pod, const char *container);

enum reading { READING_UNKNOWN, READING_IDLE, READING_ACTIVE };

/*
 * Judges one decoded answer: unknown without pods, with fewer pods than @active_pods, or with a
 * sample that is older than 90 s or more than 60 s ahead of @date_ms; else active above
 * @threshold_nanocores, idle at or below it.
 * @date_ms   Unix time of the response's own Date header; < 0 if it had none (then: unknown)
 * @ret_why   never NULL: a literal of a few words why it is unknown, "" otherwise
 */
enum reading metrics_judge(const struct pod_metrics *m, int64_t threshold_nanocores,
			   uint32_t active_pods, int64_t date_ms, const char **ret_why);

/* Consecutive idle readings. Zero is a valid start. */
struct idle_count {
	uint32_t count;
	uint32_t distinct;         /* different, ever newer sample timestamps it rests on */
	int64_t  first_ms;         /* monotonic, of the first idle check counted */
	int64_t  last_ms;          /* monotonic, of the last one */
	int64_t  newest_sample_ms; /* Unix; the last sample that was counted in @distinct */
};

/*
 * Counts one check. Active clears; idle adds one, and one to @distinct if @sample_ms is newer
 * than every sample so far; unknown leaves the count, but a gap of more than three intervals since
 * the last idle check clears it first, whatever the reading.
 * @at_ms     monotonic time of the check on its grid (not of the answer), so that exactly three
 *            intervals are no gap
 * Returns whether the count was cleared from above zero.
 */
bool idle_count_add(struct idle_count *c, enum reading reading, int64_t sample_ms, int64_t at_ms,
		    int64_t interval_ms);
void idle_count_clear(struct idle_count *c);
bool idle_count_triggers(const struct idle_count *c, uint32_t max_count, uint32_t min_distinct);

#endif
