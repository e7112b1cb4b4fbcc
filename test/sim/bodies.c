/*
 * The answers to the requests that a real API server was recorded with, under the recordings'
 * names: test_sim_bodies.py holds the two together.
 */
#include "bodies.h"

#include <stdio.h>
#include <string.h>

#include "api.h"
#include "faults.h"
#include "promises.h"
#include "story.h"

#define API     "https://10.0.0.1:443"
#define JOBS_   API "/apis/batch/v1/namespaces/panda/jobs"
#define SERVE   API "/api/v1/namespaces/panda/services"
#define PODS_   API "/api/v1/namespaces/panda/pods"
#define EVENTS  API "/api/v1/namespaces/panda/events"
#define METRICS API "/apis/metrics.k8s.io/v1beta1/namespaces/panda/pods"
#define REVIEWS API "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
#define NAME_   "grpc-job-12-70788"
#define OPTIONS "{\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"%s\"%s}"
#define WRONG   ",\"preconditions\":{\"uid\":\"11111111-2222-3333-4444-555555555555\"}"
#define STALE   ",\"preconditions\":{\"resourceVersion\":\"1\"}"
#define PATCH_                                                                                     \
	"{\"metadata\":{\"uid\":\"%s\",\"ownerReferences\":[{\"name\":\"" NAME_                    \
	"\",\"uid\":\"%s\"}]}}"

static struct answer answer;

static void print(const char *name)
{
	(void)printf("== %s %d %s\n%s\n", name, answer.status, answer.type,
		     answer.body.p ? answer.body.p : "");
}

static void ask_with(const char *name, enum fault fault, const char *method, const char *url,
		     const char *body)
{
	struct request q;
	const char    *why;

	if (!request_parse(method, url, body, &q, &why))
		sim_fatal("%s: %s", name, why);
	q.token_fits = true;
	answer.retry_after_s = 0;
	if (!fault_answer(fault, &q, &answer))
		api_answer(&q, &answer);
	print(name);
}

static void ask(const char *name, const char *method, const char *url)
{
	ask_with(name, FAULT_NONE, method, url, NULL);
}

static void ask_delete(const char *name, const char *url, const char *policy, const char *rest)
{
	char body[200];

	(void)snprintf(body, sizeof(body), OPTIONS, policy, rest);
	ask_with(name, FAULT_NONE, "DELETE", url, body);
}

static void ask_patch(const char *name, const char *service_uid)
{
	char body[300];

	(void)snprintf(body, sizeof(body), PATCH_, service_uid, our_uid());
	ask_with(name, FAULT_NONE, "PATCH", SERVE "/grpc-service-12-70788", body);
}

static void refusals(void)
{
	static const char review[] =
		"{\"spec\":{\"resourceAttributes\":{\"namespace\":\"panda\",\"verb\":\"delete\","
		"\"group\":\"batch\",\"resource\":\"jobs\",\"name\":\"" NAME_ "\"}}}";
	unsigned all[RESOURCES];

	ask_with("access-review-allowed", FAULT_NONE, "POST", REVIEWS, review);
	memcpy(all, rights, sizeof(all));
	for (int r = 0; r < RES_REVIEWS; r++)
		rights[r] = 0;
	ask("job-get-forbidden", "GET", JOBS_ "/" NAME_);
	ask("watch-forbidden", "GET", JOBS_ "?watch=1&fieldSelector=metadata.name%3D" NAME_);
	ask_delete("job-delete-forbidden", JOBS_ "/" NAME_, "Background", "");
	ask_delete("service-delete-forbidden", SERVE "/grpc-service-12-70788", "Background", "");
	ask_patch("service-patch-forbidden", "1");
	ask("metrics-forbidden", "GET", METRICS "?labelSelector=job-name%3D" NAME_);
	ask_with("event-create-forbidden", FAULT_NONE, "POST", EVENTS,
		 "{\"metadata\":{\"name\":\"e\"},\"reason\":\"CleanupIdle\"}");
	ask_with("access-review-denied", FAULT_NONE, "POST", REVIEWS, review);
	memcpy(rights, all, sizeof(all));
	ask_with("job-get-anonymous", FAULT_S403_ANONYMOUS, "GET", JOBS_ "/" NAME_, NULL);
	ask_with("job-get-unauthorized", FAULT_S401, "GET", JOBS_ "/" NAME_, NULL);
	ask_with("throttled", FAULT_S429, "GET", JOBS_, NULL);
}

static void metrics(void)
{
	cluster.metrics_down = true;
	ask("metrics-server-down", "GET", METRICS "?labelSelector=job-name%3D" NAME_);
	cluster.metrics_down = false;
	cluster.metrics_absent = true;
	ask("metrics-api-absent", "GET", METRICS "?labelSelector=job-name%3D" NAME_);
	cluster.metrics_absent = false;
	ask("metrics-idle", "GET", METRICS "?labelSelector=job-name%3D" NAME_);
}

static void services(void)
{
	ask("service-get", "GET", SERVE "/grpc-service-12-70788");
	ask_patch("service-patch-wrong-uid", "11111111-2222-3333-4444-555555555555");
	ask_patch("service-patch-owner", service_of("grpc-service-12-70788")->uid);
	ask_patch("service-patch-owner-again", service_of("grpc-service-12-70788")->uid);
	ask_delete("service-delete-wrong-uid", SERVE "/grpc-service-12-70788", "Background", WRONG);
	service_delete(service_of("grpc-service-12-70788"), BY_OWNER);
	(void)service_create(OURS, "grpc-service-12-70788");
	ask_delete("service-delete", SERVE "/grpc-service-12-70788", "Background", "");
	ask_delete("service-delete-missing", SERVE "/grpc-service-12-70788", "Background", "");
}

static void watch_expired(void)
{
	answer.status = 200;
	answer.type = "application/json";
	text_reset(&answer.body);
	expired_json(&answer.body, 1);
	print("watch-expired");
}

static void last_change(const char *name)
{
	answer.status = 200;
	answer.type = "application/json";
	text_reset(&answer.body);
	change_json(&answer.body, &cluster.changes[(cluster.change_count - 1) % CHANGES]);
	print(name);
}

/* Does what the story says at a time of its own, and lets the controllers work. */
static void happens(enum happen what)
{
	story_happens(&(struct happening){ .what = what });
	sim_run_until(sim_ms() + SEC(1));
}

static void begin(bool v1_34)
{
	story_reset();
	story.seed = 1;
	story.v1_34 = v1_34;
	sim_reset(1);
	promises_reset();
	story_begin();
	story_happens(&(struct happening){ .what = HAPPEN_JOB });
	story_happens(&(struct happening){ .what = HAPPEN_SERVICE });
}

static void job_states(void)
{
	sim_run_until(200);
	ask("metrics-none-yet", "GET", METRICS "?labelSelector=job-name%3D" NAME_);
	ask("pods-list-pending", "GET", PODS_ "?labelSelector=job-name%3D" NAME_);
	ask("job-get-pending", "GET", JOBS_ "/" NAME_);
	sim_run_until(SEC(40));
	ask("job-get-running", "GET", JOBS_ "/" NAME_);
	ask("jobs-list-one", "GET", JOBS_ "?fieldSelector=metadata.name%3D" NAME_);
	ask("pods-list-running", "GET", PODS_ "?labelSelector=job-name%3D" NAME_);
	ask("job-get-missing", "GET", JOBS_ "/grpc-job-9-9");
	ask_delete("job-delete-missing", JOBS_ "/grpc-job-9-9", "Background", "");
	ask_delete("job-delete-wrong-uid", JOBS_ "/" NAME_, "Background", WRONG);
	ask_delete("job-delete-stale-version", JOBS_ "/" NAME_, "Background", STALE);
}

void bodies_print(bool v1_34)
{
	begin(v1_34);
	job_states();
	refusals();
	metrics();
	services();
	watch_expired();
	happens(HAPPEN_SUSPEND);
	sim_run_until(sim_ms() + SEC(40));
	ask("job-get-suspended", "GET", JOBS_ "/" NAME_);
	happens(HAPPEN_RESUME);
	sim_run_until(sim_ms() + SEC(10));
	ask_delete("job-delete-foreground", JOBS_ "/" NAME_, "Foreground", "");
	begin(v1_34);
	sim_run_until(SEC(10));
	happens(HAPPEN_FAIL);
	ask("job-get-failed", "GET", JOBS_ "/" NAME_);
	begin(v1_34);
	sim_run_until(SEC(10));
	happens(HAPPEN_COMPLETE);
	last_change("watch-until-complete");
	ask("job-get-complete", "GET", JOBS_ "/" NAME_);
	ask("metrics-after-exit", "GET", METRICS "?labelSelector=job-name%3Dnone");
	ask_delete("job-delete-background", JOBS_ "/" NAME_, "Background", "");
	begin(v1_34);
	sim_run_until(SEC(10));
	happens(HAPPEN_COMPLETE);
	ask_delete("job-delete-no-policy", JOBS_ "/" NAME_, "", "");
	sim_run_until(sim_ms() + SEC(1));
	ask("pods-list-orphaned", "GET", PODS_ "?labelSelector=job-name%3D" NAME_);
}
