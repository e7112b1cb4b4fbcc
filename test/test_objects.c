/* Decoders of k8s_objects.c against what real control planes answered, and against rubbish. */
#include "unit.h"

#include "../k8s_objects.h"
#include "recording.h"

static const char *const versions[] = { "1.26", "1.34" };

static int decode_job(const char *version, const char *recording, const char *name,
		      struct k8s_job *ret, struct err *err)
{
	char *body = recording_body(version, recording);
	int   r = k8s_job_decode(body, strlen(body), name, ret, err);

	free(body);
	return r;
}

struct job_row {
	const char       *recording, *name;
	enum job_finished finished;
	uint32_t          active;
	int32_t           ready;
	bool              suspended, deleting;
};

static const struct job_row job_rows[] = {
	{ "job-get-pending", "grpc-job-1-1", JOB_NOT_FINISHED, 1, 0, false, false },
	{ "job-get-running", "grpc-job-1-1", JOB_NOT_FINISHED, 1, 1, false, false },
	{ "job-get-complete", "grpc-job-1-1", JOB_COMPLETE, 0, 0, false, false },
	{ "job-get-failed", "grpc-job-2-2", JOB_FAILED, 0, 0, false, false },
	{ "job-get-suspended", "grpc-job-3-3", JOB_NOT_FINISHED, 0, 0, true, false },
	/* its condition Suspended is False: it was resumed */
	{ "job-get-deleting", "grpc-job-3-3", JOB_NOT_FINISHED, 1, 1, false, true },
};

static void recorded_jobs(void **state)
{
	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(versions); v++)
		for (size_t i = 0; i < ARRAY_SIZE(job_rows); i++) {
			const struct job_row *row = &job_rows[i];
			struct k8s_job        j;
			struct err            err = { 0 };

			print_message("  %s %s\n", versions[v], row->recording);
			assert_int_equal(
				decode_job(versions[v], row->recording, row->name, &j, &err), 0);
			assert_string_equal(j.name, row->name);
			assert_int_equal(strlen(j.uid), 36);
			assert_true(j.version[0] != '\0');
			assert_int_equal(j.finished, row->finished);
			assert_int_equal(j.active, row->active);
			assert_int_equal(j.ready, row->ready);
			assert_int_equal(j.suspended, row->suspended);
			assert_int_equal(j.deleting, row->deleting);
			assert_true(j.created_ms > INT64_C(1700000000000));
			assert_int_equal(j.finished_ms > 0, row->finished != JOB_NOT_FINISHED);
			assert_false(j.has_hold);
		}
}

static void selector_is_the_jobs_own(void **state)
{
	static const char *const keys[] = { "controller-uid=",
					    "batch.kubernetes.io/controller-uid=" };

	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
		struct k8s_job j;
		char           want[K8S_SELECTOR_SIZE];

		assert_int_equal(
			decode_job(versions[v], "job-get-running", "grpc-job-1-1", &j, NULL), 0);
		(void)snprintf(want, sizeof(want), "%s%s", keys[v], j.uid);
		assert_string_equal(j.selector, want);
	}
}

static void deletions(void **state)
{
	static const struct {
		const char *body;
		int         status;
		bool        kept;
	} rows[] = {
		{ "{\"kind\":\"Status\",\"status\":\"Success\"}", 0, false },
		{ "{\"kind\":\"Job\",\"metadata\":{\"name\":\"j\"}}", 0, false },
		{ "{\"kind\":\"Job\",\"metadata\":{\"deletionTimestamp\":\"2026-11-24T00:00:10Z\"}"
		  "}",
		  0, true },
		{ "{\"kind\":\"Job\",\"metadata\":{\"deletionTimestamp\":null}}", 0, false },
		{ "{\"kind\":\"Status\",\"status\":\"Failure\"}", -EBADMSG, false },
		{ "{\"kind\":\"Service\"}", -EBADMSG, false },
		{ "{}", -EBADMSG, false },
		{ "<html>", -EBADMSG, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool kept = false;

		assert_int_equal(
			k8s_deleted_decode(rows[i].body, strlen(rows[i].body), "Job", &kept, NULL),
			rows[i].status);
		assert_int_equal(kept, rows[i].kept);
		assert_int_equal(
			k8s_deleted_decode(rows[i].body, strlen(rows[i].body), "Job", NULL, NULL),
			rows[i].status);
	}
}

static void job_lists(void **state)
{
	struct k8s_job j;
	char           version[K8S_VERSION_SIZE];
	bool           found;

	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
		char *body = recording_body(versions[v], "jobs-list-one");
		assert_int_equal(k8s_job_list_decode(body, strlen(body), "grpc-job-1-1", &found, &j,
						     version, NULL),
				 0);
		assert_true(found);
		assert_string_not_equal(version, j.version); /* the list's own, not the object's */
		free(body);
	}
	static const char empty[] =
		"{\"kind\":\"JobList\",\"metadata\":{\"resourceVersion\":\"9\"},"
		"\"items\":[]}";
	assert_int_equal(k8s_job_list_decode(empty, strlen(empty), "j", &found, &j, version, NULL),
			 0);
	assert_false(found);
	assert_string_equal(version, "9");

	static const char *const bad[] = {
		"{\"kind\":\"JobList\",\"metadata\":{\"resourceVersion\":\"9\"}}", /* no items */
		"{\"kind\":\"JobList\",\"metadata\":{},\"items\":[]}",
		"{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[]}",
		"{\"kind\":\"JobList\",\"metadata\":{\"resourceVersion\":\"9\"},\"items\":{}}",
		"{\"kind\":\"JobList\",\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[1]}",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)copy_str(version, sizeof(version), "untouched");
		assert_int_equal(
			k8s_job_list_decode(bad[i], strlen(bad[i]), "j", &found, &j, version, NULL),
			-EBADMSG);
		assert_string_equal(version, "untouched");
	}
}

static void recorded_statuses(void **state)
{
	static const struct {
		const char *recording, *reason, *kind, *group, *name;
		int         code;
	} rows[] = {
		{ "job-get-missing", "NotFound", "jobs", "batch", "grpc-job-9-9", 404 },
		{ "service-delete-missing", "NotFound", "services", "", "grpc-service-2-2", 404 },
		{ "job-delete-wrong-uid", "Conflict", "Job", "batch", "grpc-job-2-2", 409 },
		{ "job-get-forbidden", "Forbidden", "jobs", "batch", "grpc-job-2-2", 403 },
		{ "job-get-unauthorized", "Unauthorized", "", "", "", 401 },
	};

	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(versions); v++)
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct k8s_status s;
			char             *body = recording_body(versions[v], rows[i].recording);

			print_message("  %s %s\n", versions[v], rows[i].recording);
			assert_int_equal(k8s_status_decode(body, strlen(body), &s, NULL), 0);
			assert_string_equal(s.reason, rows[i].reason);
			assert_string_equal(s.kind, rows[i].kind);
			assert_string_equal(s.group, rows[i].group);
			assert_string_equal(s.name, rows[i].name);
			assert_int_equal(s.code, rows[i].code);
			assert_false(s.success);
			free(body);
		}
	/* a time-out's body: JSON without a kind */
	static const char bare[] = "{\"metadata\":{},\"status\":\"Failure\",\"reason\":\"Timeout\","
				   "\"details\":{\"retryAfterSeconds\":2},\"code\":504}";
	struct k8s_status s;
	assert_int_equal(k8s_status_decode(bare, strlen(bare), &s, NULL), 0);
	assert_int_equal(s.retry_after_ms, 2000);
	assert_int_equal(s.code, 504);
}

static void recorded_watch(void **state)
{
	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
		struct watch_event ev = { 0 };
		size_t             finished_at = 0, n = 0;

		for (char *line; (line = recording_line(versions[v], "watch-until-complete", n));) {
			assert_int_equal(
				k8s_watch_decode(line, strlen(line), "grpc-job-1-1", &ev, NULL), 0);
			n++;
			if (!finished_at && ev.type == WATCH_MODIFIED && ev.job.finished)
				finished_at = n;
			assert_true(ev.version[0] != '\0');
			free(line);
		}
		assert_true(n >= 3);
		assert_true(finished_at >= 3); /* two events after the pod has ended */
	}
}

static void bookmark_and_error(void **state)
{
	/* a bookmark has no uid and no status; no recording caught one */
	static const char bookmark[] =
		"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Job\",\"apiVersion\":\"batch/v1\","
		"\"metadata\":{\"resourceVersion\":\"337\",\"creationTimestamp\":null},\"spec\":"
		"{\"template\":{\"metadata\":{},\"spec\":{\"containers\":null}}},\"status\":{}}}";
	struct watch_event ev = { 0 };

	(void)state;
	assert_int_equal(k8s_watch_decode(bookmark, strlen(bookmark), "j", &ev, NULL), 0);
	assert_int_equal(ev.type, WATCH_BOOKMARK);
	assert_string_equal(ev.version, "337");

	char *line = recording_line("1.26", "watch-expired", 0);
	assert_int_equal(k8s_watch_decode(line, strlen(line), "grpc-job-1-1", &ev, NULL), 0);
	assert_int_equal(ev.type, WATCH_ERROR);
	assert_int_equal(ev.status.code, 410);
	free(line);
}

static void bad_watch_lines(void **state)
{
	static const char *const rows[] = {
		"{}",
		"{\"type\":\"GROWN\",\"object\":{}}",
		"{\"type\":\"ADDED\"}",
		"{\"type\":\"ADDED\",\"object\":null}",
		"{\"type\":\"ADDED\",\"object\":{}}",
		"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{}}}",
		"{\"type\":5,\"object\":{}}",
		"nonsense",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct watch_event ev = { .type = WATCH_ERROR };
		struct err         err = { 0 };

		assert_int_equal(k8s_watch_decode(rows[i], strlen(rows[i]), "j", &ev, &err),
				 -EBADMSG);
		assert_int_equal(ev.type, WATCH_ERROR); /* untouched */
		assert_true(err.msg[0] != '\0');
	}
}

static void recorded_pods(void **state)
{
	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
		struct k8s_pods pods = { 0 };
		char           *body = recording_body(versions[v], "pods-list-running");

		assert_int_equal(k8s_pods_decode(body, strlen(body), &pods, NULL), 0);
		assert_int_equal(pods.count, 1);
		assert_true(pods.items[0].running && pods.items[0].ready);
		assert_false(pods.items[0].deleting || pods.items[0].finished);
		assert_string_equal(pods.items[0].waiting, "");
		assert_int_equal(pods.items[0].container_count, 2);
		assert_string_equal(pods.items[0].containers[1].name, "helper");
		assert_true(pods.items[0].containers[1].running &&
			    pods.items[0].containers[1].main);
		k8s_pods_fini(&pods);
		free(body);

		body = recording_body(versions[v], "pods-list-pending");
		assert_int_equal(k8s_pods_decode(body, strlen(body), &pods, NULL), 0);
		assert_int_equal(pods.count, 1);
		assert_false(pods.items[0].running || pods.items[0].ready);
		k8s_pods_fini(&pods);
		free(body);
	}
}

static void made_pods(void **state)
{
	static const char waiting[] =
		"{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"p\",\"uid\":\"u\"},"
		"\"status\":"
		"{\"phase\":\"Running\",\"initContainerStatuses\":[{\"name\":\"side\",\"state\":"
		"{\"running\":{}}}],\"containerStatuses\":[{\"name\":\"a\",\"state\":{\"waiting\":"
		"{\"reason\":\"CrashLoopBackOff\"}}},{\"name\":\"b\",\"state\":{\"terminated\":{}}}"
		"]}}]}";
	static const char *const bad[] = {
		"{\"kind\":\"PodList\"}",
		"{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"../"
		"x\",\"uid\":\"u\"}}]}",
		"{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"p\"}}]}",
		"{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"p\",\"uid\":\"u\"},"
		"\"status\":"
		"{\"containerStatuses\":[{\"state\":{\"running\":{}}}]}}]}",
	};
	struct k8s_pods pods = { 0 };

	(void)state;
	assert_int_equal(k8s_pods_decode(waiting, strlen(waiting), &pods, NULL), 0);
	assert_string_equal(pods.items[0].waiting, "CrashLoopBackOff");
	assert_string_equal(pods.items[0].stuck, "container a waits: CrashLoopBackOff");
	assert_int_equal(pods.items[0].container_count, 3);
	assert_true(pods.items[0].containers[2].running && !pods.items[0].containers[2].main);
	assert_null(k8s_pod_container(&pods.items[0], "side"));
	k8s_pods_fini(&pods);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(k8s_pods_decode(bad[i], strlen(bad[i]), &pods, NULL), -EBADMSG);
		assert_int_equal(pods.count, 0);
	}
}

#define POD(meta, status)                                                                          \
	"{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"p\",\"uid\":\"u\"" meta        \
	"},\"status\":{" status "}}]}"
#define CONTAINER(rest) "\"containerStatuses\":[{\"name\":\"a\"" rest "}]"

/* Whether a pod ever ran: any of its containers, but for the init containers. */
static void pods_that_ran(void **state)
{
	static const struct {
		const char *body;
		bool        ran;
	} rows[] = {
		{ POD("", "\"phase\":\"Pending\""), false },
		{ POD("", "\"phase\":\"Running\""), false },
		{ POD("", CONTAINER("")), false },
		{ POD("", CONTAINER(",\"state\":{\"waiting\":{}}")), false },
		{ POD("", CONTAINER(",\"state\":{\"running\":{}}")), true },
		{ POD("", CONTAINER(",\"state\":{\"terminated\":{}}")), true },
		{ POD("",
		      CONTAINER(",\"state\":{\"waiting\":{}},\"lastState\":{\"terminated\":{}}")),
		  true },
		{ POD("", CONTAINER(",\"restartCount\":1")), true },
		{ POD("", CONTAINER(",\"restartCount\":0,\"lastState\":{}")), false },
		{ POD("",
		      "\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{\"running\":{}}}]"),
		  false },
		{ POD("", "\"containerStatuses\":[{\"name\":\"a\"},{\"name\":\"b\","
			  "\"restartCount\":2}]"),
		  true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct k8s_pods pods = { 0 };

		print_message("  %s\n", rows[i].body);
		assert_int_equal(k8s_pods_decode(rows[i].body, strlen(rows[i].body), &pods, NULL),
				 0);
		assert_int_equal(pods.items[0].ran, rows[i].ran);
		k8s_pods_fini(&pods);
	}
}

static void pods_that_go(void **state)
{
	static const struct {
		const char *body;
		bool        deleting;
		int64_t     deletion_ms;
	} rows[] = {
		{ POD("", ""), false, -1 },
		{ POD(",\"deletionTimestamp\":null", ""), false, -1 },
		{ POD(",\"deletionTimestamp\":\"1970-01-01T00:00:10Z\"", ""), true, 10000 },
		{ POD(",\"deletionTimestamp\":\"soon\"", ""), true, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct k8s_pods pods = { 0 };

		assert_int_equal(k8s_pods_decode(rows[i].body, strlen(rows[i].body), &pods, NULL),
				 0);
		assert_int_equal(pods.items[0].deleting, rows[i].deleting);
		assert_int_equal(pods.items[0].deletion_ms, rows[i].deletion_ms);
		k8s_pods_fini(&pods);
	}
}

static void recorded_services(void **state)
{
	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
		struct k8s_service s;
		char              *body = recording_body(versions[v], "service-get");

		assert_int_equal(
			k8s_service_decode(body, strlen(body), "grpc-service-3-3", "x", &s, NULL),
			0);
		assert_false(s.owned || s.deleting);
		assert_int_equal(
			k8s_service_decode(body, strlen(body), "grpc-service-3-4", "x", &s, NULL),
			-EBADMSG);
		free(body);

		json_t *response = recording_response(versions[v], "service-patch-owner");
		json_t *owners = json_object_get(
			json_object_get(json_object_get(response, "body"), "metadata"),
			"ownerReferences");
		const char *uid =
			json_string_value(json_object_get(json_array_get(owners, 0), "uid"));
		body = recording_body(versions[v], "service-patch-owner");
		assert_int_equal(
			k8s_service_decode(body, strlen(body), "grpc-service-3-3", uid, &s, NULL),
			0);
		assert_true(s.owned);
		free(body);
		json_decref(response);
	}
}

static void bodies(void **state)
{
	static const struct {
		const char *version;
		bool        no_grace;
		const char *want;
	} rows[] = {
		{ NULL, false,
		  "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":"
		  "\"Background\","
		  "\"preconditions\":{\"uid\":\"u\"}}" },
		{ "5", true,
		  "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":"
		  "\"Background\","
		  "\"preconditions\":{\"uid\":\"u\",\"resourceVersion\":\"5\"},"
		  "\"gracePeriodSeconds\":0}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *s = k8s_delete_options_new("u", rows[i].version, rows[i].no_grace);
		assert_string_equal(s, rows[i].want);
		free(s);
	}
	char *patch = k8s_owner_patch_new("s", "j", "u");
	assert_string_equal(patch,
			    "{\"metadata\":{\"uid\":\"s\",\"ownerReferences\":[{\"apiVersion\":"
			    "\"batch/v1\",\"kind\":\"Job\",\"name\":\"j\",\"uid\":\"u\"}]}}");
	free(patch);
	char *event = k8s_event_new("ns", "j", "u", "CleanupIdle", "CPU \"2m\"", false, 10, 0);
	assert_non_null(strstr(event, "\"message\":\"CPU \\\"2m\\\"\""));
	assert_non_null(strstr(event, "\"firstTimestamp\":\"1970-01-01T00:00:00Z\""));
	assert_non_null(strstr(event, "\"name\":\"j.u.cleanupidle.a\""));
	free(event);
	event = k8s_event_new("ns", "j", "u", "CleanupRefused", "f\xfcr \xc3\xb6, cut: \xc3", true,
			      0, 0);
	assert_non_null(strstr(event, "\"message\":\"f?r \xc3\xb6, cut: ?\"")); /* no UTF-8 */
	free(event);
}

static void access_reviews(void **state)
{
	static const struct {
		const char *body; /* NULL: the recording */
		const char *recording;
		int         r;
		bool        allowed;
	} rows[] = {
		{ NULL, "access-review-allowed", 0, true },
		{ NULL, "access-review-denied", 0, false },
		{ "{\"kind\":\"SelfSubjectAccessReview\"}", NULL, 0, false },
		{ "{\"kind\":\"SelfSubjectAccessReview\",\"status\":{\"allowed\":\"yes\"}}", NULL,
		  -EBADMSG, false },
		{ "{\"kind\":\"Status\",\"status\":\"Success\"}", NULL, -EBADMSG, false },
		{ "[]", NULL, -EBADMSG, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *body = rows[i].body ? strdup(rows[i].body)
					  : recording_body("1.34", rows[i].recording);
		bool  allowed = false;
		assert_int_equal(k8s_review_decode(body, strlen(body), &allowed, NULL), rows[i].r);
		assert_int_equal(allowed, rows[i].allowed);
		free(body);
	}
	char *review = k8s_review_new("ns", "list", "", "pods", "");
	assert_non_null(strstr(review, "{\"namespace\":\"ns\",\"verb\":\"list\",\"group\":\"\","
				       "\"resource\":\"pods\"}"));
	free(review);
}

/* Each allocation made to fail in turn: an error, no crash, no leak (ASan looks on). */
static int allocations_left;

static void *failing_malloc(size_t n)
{
	return allocations_left-- > 0 ? malloc(n) : NULL;
}

static void out_of_memory(void **state)
{
	char *job = recording_body("1.34", "job-get-running");
	char *pods = recording_body("1.34", "pods-list-running");
	int   r = -1;

	(void)state;
	json_set_alloc_funcs(failing_malloc, free);
	for (int n = 0; r < 0; n++) {
		struct k8s_job j;
		struct err     err = { 0 };

		assert_true(n < 100000);
		allocations_left = n;
		r = k8s_job_decode(job, strlen(job), "grpc-job-1-1", &j, &err);
		assert_true(r == 0 || err.code != 0);
	}
	r = -1;
	for (int n = 0; r < 0; n++) {
		struct k8s_pods p = { 0 };

		assert_true(n < 100000);
		allocations_left = n;
		r = k8s_pods_decode(pods, strlen(pods), &p, NULL);
		k8s_pods_fini(&p);
	}
	char *body = NULL;
	for (int n = 0; !body; n++) {
		assert_true(n < 1000);
		allocations_left = n;
		body = k8s_delete_options_new("u", "1", true);
	}
	json_set_alloc_funcs(malloc, free);
	assert_non_null(strstr(body, "preconditions"));
	free(body);
	free(job);
	free(pods);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_jobs),     cmocka_unit_test(selector_is_the_jobs_own),
		cmocka_unit_test(job_lists),         cmocka_unit_test(recorded_statuses),
		cmocka_unit_test(recorded_watch),    cmocka_unit_test(bookmark_and_error),
		cmocka_unit_test(bad_watch_lines),   cmocka_unit_test(recorded_pods),
		cmocka_unit_test(made_pods),         cmocka_unit_test(pods_that_ran),
		cmocka_unit_test(pods_that_go),

		cmocka_unit_test(deletions),

		cmocka_unit_test(recorded_services), cmocka_unit_test(bodies),
		cmocka_unit_test(access_reviews),    cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests_name("objects", tests, NULL, NULL);
}
