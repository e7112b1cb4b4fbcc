/*
 * libFuzzer on each input from outside, with ASan and UBSan: `make fuzz`. One program for each
 * target, -DTARGET=fuzz_job and so on; the corpora start from test/recordings (fuzz_corpus.py).
 * Beyond "no crash, no leak", each target asserts what one would delete by.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../config.h"
#include "../identity.h"
#include "../k8s_client.h"
#include "../k8s_pages.h"
#include "../leftover.h"
#include "../metrics.h"
#include "../rabbitmq.h"
#include "../world.h"
#include "jwt.h"

#ifndef TARGET
#define TARGET fuzz_job /* for the analysers */
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each target gets the input NUL-terminated and by length: a buffer of exactly that size. */
typedef void target_fn(const char *p, size_t n);

static void check_job(const struct k8s_job *j)
{
	assert(strlen(j->uid) > 0 && strlen(j->uid) < sizeof(j->uid));
	assert(strcmp(j->name, "grpc-job-3-3") == 0);
	assert(j->ready >= -1);
	struct world w;
	w = (struct world){ 0 };
	world_init(&w, 0);
	w.job = *j;
	(void)job_hold(&w, 1795480000000, NULL);
	world_fini(&w);
}

/* What a sweep makes of a page: leftovers have ids that JOB_ID may be. */
static void check_page(const char *p, size_t n, const char *kind, k8s_item_fn *fn)
{
	static const struct config cfg = { .swept_before_ms = INT64_MAX - 1, .sweep_max = 1 };
	struct leftovers           l = { .cfg = &cfg };
	char                       next[K8S_NEXT_SIZE] = "";

	(void)k8s_page_decode(p, n, kind, fn, &l, next, NULL);
	for (size_t i = 0; i < l.count; i++)
		assert(is_rfc1123_name(l.all[i].id, NAME_SIZE - 1));
	leftovers_fini(&l);
}

static inline void fuzz_job(const char *p, size_t n)
{
	struct k8s_job job;
	char           version[K8S_VERSION_SIZE];
	bool           found = false;

	if (k8s_job_decode(p, n, "grpc-job-3-3", &job, NULL) == 0)
		check_job(&job);
	if (k8s_job_list_decode(p, n, "grpc-job-3-3", &found, &job, version, NULL) == 0 && found)
		check_job(&job);
	check_page(p, n, "Job", leftovers_add_job);
}

static inline void fuzz_metrics(const char *p, size_t n)
{
	struct pod_metrics m = { 0 };
	const char        *why;

	if (pod_metrics_decode(p, n, &m, NULL) < 0)
		return;
	assert(m.nanocores >= 0);
	enum reading r = metrics_judge(&m, 4000000, 1, 1795480000000, &why);
	assert(r != READING_IDLE || (m.pods > 0 && m.container_count >= m.pods));
	assert(m.window_ms >= 0 && m.window_ms <= METRICS_MAX_WINDOW_MS);
	for (size_t i = 0; i < m.container_count; i++)
		assert(m.containers[i].name[0] && m.containers[i].nanocores <= m.nanocores);
	pod_metrics_fini(&m);
}

static inline void fuzz_quantity(const char *p, size_t n)
{
	char    text[CPU_TEXT_SIZE];
	int64_t v = -1, again = -1;

	(void)n;
	if (cpu_parse_threshold(p, &v) == 0)
		assert(v >= 0);
	if (cpu_parse(p, &v) < 0)
		return;
	assert(v >= 0);
	cpu_format(text, v);
	assert(cpu_parse(text, &again) == 0 && again == v); /* what is logged is what was read */
}

static inline void fuzz_status(const char *p, size_t n)
{
	struct k8s_request   q = { .verb = K8S_GET, .resource = K8S_JOBS, .name = "grpc-job-3-3" };
	struct http_response r = { .status = 404, .date_ms = -1, .body.max = HTTP_MAX_BODY_BYTES };
	struct k8s_result    result;
	struct k8s_service   service;
	struct k8s_pods      pods = { 0 };
	bool                 allowed;

	if (buf_append(&r.body, p, n) == 0) {
		k8s_judge(&q, &r, &result);
		assert(result.answer == K8S_ABSENT || result.answer == K8S_TROUBLE);
		assert(result.answer != K8S_ABSENT || strstr(p, "NotFound") || strchr(p, '\\'));
		k8s_result_fini(&result);
	}
	buf_fini(&r.body);
	if (k8s_service_decode(p, n, "grpc-service-3-3", "u", &service, NULL) == 0)
		assert(service.uid[0]);
	if (k8s_pods_decode(p, n, &pods, NULL) == 0)
		for (size_t i = 0; i < pods.count; i++)
			assert(pods.items[i].name[0] && !strchr(pods.items[i].name, '/'));
	k8s_pods_fini(&pods);
	(void)k8s_review_decode(p, n, &allowed, NULL);
	check_page(p, n, "Pod", leftovers_add_pod);
	check_page(p, n, "Service", leftovers_add_service);
}

static int on_line(void *arg, const char *line, size_t len)
{
	struct watch_event ev;

	assert(line[len] == '\0' && !memchr(line, '\n', len));
	if (k8s_watch_decode(line, len, "grpc-job-3-3", &ev, NULL) == 0)
		world_fold_event(arg, &ev);
	return 0;
}

/* The first byte says in which chunks the rest arrives. */
static inline void fuzz_watch(const char *p, size_t n)
{
	static struct world w;
	struct lines        l = { .tail.max = 1000 };
	size_t              step = n ? (uint8_t)*p % 61 + 1 : 1;

	w = (struct world){ 0 };
	world_init(&w, 0);
	for (size_t at = 1; at < n; at += step)
		(void)lines_feed(&l, p + at, n - at < step ? n - at : step, on_line, &w);
	lines_fini(&l);
	assert(!w.job.uid[0] && w.name == NAME_UNKNOWN); /* no event says who has a name */
	world_fini(&w);
}

static inline void fuzz_queues(const char *text, size_t n)
{
	static const struct pattern p = { .text = "grpc-job-\1-", .prefix = true };
	struct rabbitmq_page        page;
	struct http_response r = { .status = 400, .body = { .data = (char *)text, .len = n } };
	char                 words[256];
	static const struct config cfg = { .swept_before_ms = INT64_MAX - 1,
					   .queues = { { "\1.q", false },
						       { "grpc-job-\1-", true } },
					   .queue_count = 2 };
	struct leftovers           l = { .cfg = &cfg };
	bool                       last = false;

	(void)rabbitmq_judge(&r, words, sizeof(words));
	(void)rabbitmq_used_decode(text, n, leftovers_add_queue, &l, &last, NULL);
	for (size_t i = 0; i < l.count; i++)
		assert(is_rfc1123_name(l.all[i].id, NAME_SIZE - 1));
	leftovers_fini(&l);
	if (rabbitmq_page_decode(text, n, &p, "1-1", n % 2, &page, NULL) < 0)
		return;
	for (size_t i = 0; i < page.count; i++)
		assert(strncmp(page.names[i], "grpc-job-1-1-", 13) == 0);
}

static void check_pod(const char *token, size_t n)
{
	char pod[IDENTITY_POD_SIZE], id[IDENTITY_POD_SIZE], made[2 * IDENTITY_POD_SIZE];

	if (!identity_pod_of_token(token, n, pod) || !identity_job_id(pod, id))
		return;
	assert(is_rfc1123_name(id, 44));
	(void)snprintf(made, sizeof(made), "cleanup-job-%s-%s", id, pod + strlen(pod) - 5);
	assert(strcmp(made, pod) == 0);
}

/* As a token, and as the claims of one: few inputs would be base64 by chance. */
static inline void fuzz_token(const char *p, size_t n)
{
	struct buf token = { .max = 64 << 10 };

	check_pod(p, n);
	jwt(p, n, &token);
	check_pod(token.data, token.len);
	buf_fini(&token);
}

static const char *env_text; /* NAME=value lines */

static const char *fuzz_getenv(const char *name)
{
	static char value[4096];
	size_t      len = strlen(name);

	for (const char *p = env_text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		if (strncmp(p, name, len) != 0 || p[len] != '=')
			continue;
		(void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(p + len + 1, "\n"),
			       p + len + 1);
		return value;
	}
	return NULL;
}

/* It finds what is ours, and, without our id in it, nothing at all. */
static void check_pattern(const struct pattern *p, const char *id)
{
	char text[QUEUE_NAME_SIZE];

	pattern_text(p, id, text);
	assert(strstr(text, id) && pattern_matches(p, id, strlen(id), text));
	memset(text, '#', strlen(text));
	assert(!pattern_matches(p, id, strlen(id), text));
}

static void on_complaint(void *arg, enum log_level level, const char *complaint)
{
	assert(strncmp(complaint, "RABBITMQ_PASSWORD=", 18) != 0 || !strstr(complaint, "geheim"));
	*(unsigned *)arg += level == LOG_ERROR;
}

static inline void fuzz_env(const char *p, size_t n)
{
	static struct config cfg;
	unsigned             complaints = 0;

	(void)n;
	env_text = p;
	if (config_load(&cfg, fuzz_getenv, "cleanup-job-1-x7k2p", on_complaint, &complaints) < 0) {
		assert(complaints > 0);
		return;
	}
	assert(complaints == 0);
	assert(is_rfc1123_name(cfg.target_job, sizeof(cfg.target_job) - 1));
	assert(is_rfc1123_name(cfg.target_service, sizeof(cfg.target_service) - 1));
	assert(is_rfc1123_name(cfg.ns, sizeof(cfg.ns) - 1));
	assert(cfg.min_distinct_samples <= cfg.max_idle_count);
	assert(!cfg.rabbitmq_url[0] || cfg.queue_count);
	for (size_t i = 0; i < cfg.queue_count; i++)
		check_pattern(&cfg.queues[i], cfg.job_id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static target_fn *const target = TARGET;
	char                   *copy = malloc(size + 1);

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	target(copy, size);
	free(copy);
	return 0;
}
