/* What an answer means (k8s_judge), and what is put into a request, without a network. */
#include "unit.h"

#include "../k8s_client.h"
#include "recording.h"

static struct k8s_result judge(const struct k8s_request *q, CURLcode transport, long status,
			       const char *body)
{
	struct http_response r = { .transport = transport,
				   .status = status,
				   .date_ms = -1,
				   .body.max = HTTP_MAX_BODY_BYTES };
	struct k8s_result    ret;

	(void)copy_str(r.detail, sizeof(r.detail), transport ? "connection refused" : "");
	assert_int_equal(buf_append(&r.body, body, strlen(body)), 0);
	k8s_judge(q, &r, &ret);
	buf_fini(&r.body);
	return ret;
}

static const struct k8s_request get_job = { .verb = K8S_GET,
					    .resource = K8S_JOBS,
					    .name = "grpc-job-9-9" };
static const struct k8s_request delete_job = { .verb = K8S_DELETE,
					       .resource = K8S_JOBS,
					       .name = "grpc-job-9-9" };
static const struct k8s_request get_service = { .verb = K8S_GET,
						.resource = K8S_SERVICES,
						.name = "grpc-service-2-2" };

static const struct k8s_request get_metrics = { .verb = K8S_GET,
						.resource = K8S_POD_METRICS,
						.name = "p-x7k2p" };

#define MISSING(name, kind, group)                                                                 \
	"{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"NotFound\",\"details\":{"        \
	"\"name\":\"" name "\",\"group\":\"" group "\",\"kind\":\"" kind "\"},\"code\":404}"
#define FORBIDDEN(user)                                                                            \
	"{\"kind\":\"Status\",\"message\":\"jobs.batch is forbidden: User \\\"" user               \
	"\\\" cannot get\",\"reason\":\"Forbidden\",\"code\":403}"

static const struct {
	const char               *name;
	const struct k8s_request *q;
	CURLcode                  transport;
	long                      status;
	const char               *body;
	enum k8s_answer           want;
} answer_rows[] = {
	{ "200", &get_job, CURLE_OK, 200, "{}", K8S_OK },
	{ "202", &get_job, CURLE_OK, 202, "{}", K8S_OK },
	{ "refused", &get_job, CURLE_COULDNT_CONNECT, 0, "", K8S_UNREACHABLE },
	{ "cut in the body of a 200", &get_job, CURLE_PARTIAL_FILE, 200, "{", K8S_UNREACHABLE },
	{ "cut in the body of a 404", &get_job, CURLE_PARTIAL_FILE, 404,
	  MISSING("grpc-job-9-9", "jobs", "batch"), K8S_UNREACHABLE },
	{ "404 of this very Job", &get_job, CURLE_OK, 404, MISSING("grpc-job-9-9", "jobs", "batch"),
	  K8S_ABSENT },
	{ "404 of another Job", &get_job, CURLE_OK, 404, MISSING("grpc-job-9-8", "jobs", "batch"),
	  K8S_TROUBLE },
	{ "404 of another kind", &get_job, CURLE_OK, 404, MISSING("grpc-job-9-9", "pods", "batch"),
	  K8S_TROUBLE },
	{ "404 of another group", &get_job, CURLE_OK, 404, MISSING("grpc-job-9-9", "jobs", ""),
	  K8S_TROUBLE },
	{ "404 of the path", &get_job, CURLE_OK, 404,
	  "{\"kind\":\"Status\",\"message\":\"the server could not find the requested "
	  "resource\","
	  "\"reason\":\"NotFound\",\"details\":{},\"code\":404}",
	  K8S_TROUBLE },
	{ "404 of the namespace", &get_job, CURLE_OK, 404,
	  "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"details\":{\"name\":\"gone\","
	  "\"kind\":\"namespaces\"},\"code\":404}",
	  K8S_TROUBLE },
	{ "404 in plain text", &get_job, CURLE_OK, 404, "404 page not found\n", K8S_TROUBLE },
	{ "404 empty", &get_job, CURLE_OK, 404, "", K8S_TROUBLE },
	{ "404 of a proxy", &get_job, CURLE_OK, 404, "<html>Not Found</html>", K8S_TROUBLE },
	{ "404 without the reason", &get_job, CURLE_OK, 404,
	  "{\"kind\":\"Status\",\"details\":{\"name\":\"grpc-job-9-9\",\"group\":\"batch\","
	  "\"kind\":\"jobs\"},\"code\":404}",
	  K8S_TROUBLE },
	{ "a Service's 404 has no group", &get_service, CURLE_OK, 404,
	  "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"details\":{\"name\":"
	  "\"grpc-service-2-2\",\"kind\":\"services\"},\"code\":404}",
	  K8S_ABSENT },
	/* whatever the version of metrics-server calls it; a reading is unknown then */
	{ "404 of metrics", &get_metrics, CURLE_OK, 404,
	  MISSING("ns/p-x7k2p", "podmetrics", "metrics.k8s.io"), K8S_ABSENT },
	{ "404 of their pod", &get_metrics, CURLE_OK, 404, MISSING("p-x7k2p", "pods", ""),
	  K8S_ABSENT },
	{ "404 of another pod's", &get_metrics, CURLE_OK, 404,
	  MISSING("ns/p-x7k2q", "podmetrics", "metrics.k8s.io"), K8S_TROUBLE },
	{ "404 without metrics", &get_metrics, CURLE_OK, 404, "404 page not found\n", K8S_TROUBLE },
	{ "401", &get_job, CURLE_OK, 401, "", K8S_UNAUTHORIZED },
	{ "403", &get_job, CURLE_OK, 403, FORBIDDEN("system:serviceaccount:ns:sa"), K8S_REFUSED },
	{ "403 for nobody", &get_job, CURLE_OK, 403, FORBIDDEN("system:anonymous"),
	  K8S_UNAUTHORIZED },
	{ "403 in plain text", &get_job, CURLE_OK, 403, "denied", K8S_REFUSED },
	{ "409 to a GET", &get_job, CURLE_OK, 409, "", K8S_TROUBLE },
	{ "409 to a DELETE", &delete_job, CURLE_OK, 409, "", K8S_CONFLICT },
	{ "a page to a DELETE", &delete_job, CURLE_OK, 200, "<html>OK</html>", K8S_TROUBLE },
	{ "nothing to a DELETE", &delete_job, CURLE_OK, 200, "", K8S_TROUBLE },
	{ "a failure to a DELETE", &delete_job, CURLE_OK, 200,
	  "{\"kind\":\"Status\",\"status\":\"Failure\"}", K8S_TROUBLE },
	{ "410", &get_job, CURLE_OK, 410, "", K8S_EXPIRED },
	{ "redirect", &get_job, CURLE_OK, 302, "", K8S_TROUBLE },
	{ "400", &delete_job, CURLE_OK, 400, "", K8S_REFUSED },
	{ "405", &get_job, CURLE_OK, 405, "", K8S_REFUSED },
	{ "408", &get_job, CURLE_OK, 408, "", K8S_TROUBLE },
	{ "415", &get_job, CURLE_OK, 415, "", K8S_REFUSED },
	{ "422", &delete_job, CURLE_OK, 422, "", K8S_REFUSED },
	{ "499", &get_job, CURLE_OK, 499, "", K8S_REFUSED },
	{ "100", &get_job, CURLE_OK, 100, "", K8S_TROUBLE },
	{ "199", &get_job, CURLE_OK, 199, "", K8S_TROUBLE },
	{ "300", &get_job, CURLE_OK, 300, "", K8S_TROUBLE },
	{ "399", &get_job, CURLE_OK, 399, "", K8S_TROUBLE },
	{ "429", &get_job, CURLE_OK, 429, "Too many requests", K8S_TROUBLE },
	{ "500", &get_job, CURLE_OK, 500, "", K8S_TROUBLE },
	{ "504", &get_job, CURLE_OK, 504, "{\"metadata\":{},\"code\":504}", K8S_TROUBLE },
};

static void answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answer_rows); i++) {
		struct k8s_result r = judge(answer_rows[i].q, answer_rows[i].transport,
					    answer_rows[i].status, answer_rows[i].body);

		print_message("  %s\n", answer_rows[i].name);
		assert_int_equal(r.answer, answer_rows[i].want);
		assert_int_equal(r.words[0] == '\0', r.answer == K8S_OK);
	}
}

static const struct {
	const char        *recording;
	struct k8s_request q;
	enum k8s_answer    want;
} recorded_rows[] = {
	{ "job-get-running", { .resource = K8S_JOBS, .name = "grpc-job-1-1" }, K8S_OK },
	{ "job-get-missing", { .resource = K8S_JOBS, .name = "grpc-job-9-9" }, K8S_ABSENT },
	{ "job-get-missing", { .resource = K8S_JOBS, .name = "grpc-job-9" }, K8S_TROUBLE },
	{ "job-get-forbidden", { .resource = K8S_JOBS, .name = "grpc-job-2-2" }, K8S_REFUSED },
	{ "job-get-anonymous", { .resource = K8S_JOBS, .name = "grpc-job-2-2" }, K8S_UNAUTHORIZED },
	{ "job-get-unauthorized",
	  { .resource = K8S_JOBS, .name = "grpc-job-2-2" },
	  K8S_UNAUTHORIZED },
	{ "job-delete-wrong-uid",
	  { .verb = K8S_DELETE, .resource = K8S_JOBS, .name = "grpc-job-2-2" },
	  K8S_CONFLICT },
	{ "job-delete-background",
	  { .verb = K8S_DELETE, .resource = K8S_JOBS, .name = "grpc-job-2-2" },
	  K8S_OK },
	{ "job-delete-foreground",
	  { .verb = K8S_DELETE, .resource = K8S_JOBS, .name = "grpc-job-2-2" },
	  K8S_OK },
	{ "service-delete",
	  { .verb = K8S_DELETE, .resource = K8S_SERVICES, .name = "grpc-service-2-2" },
	  K8S_OK },
	{ "job-get-running", /* not what a DELETE of a Service answers */
	  { .verb = K8S_DELETE, .resource = K8S_SERVICES, .name = "grpc-service-2-2" },
	  K8S_TROUBLE },
	{ "service-delete-missing",
	  { .resource = K8S_SERVICES, .name = "grpc-service-2-2" },
	  K8S_ABSENT },
	{ "metrics-api-absent", { .verb = K8S_LIST, .resource = K8S_POD_METRICS }, K8S_TROUBLE },
	{ "metrics-server-down", { .verb = K8S_LIST, .resource = K8S_POD_METRICS }, K8S_TROUBLE },
	{ "metrics-forbidden", { .verb = K8S_LIST, .resource = K8S_POD_METRICS }, K8S_REFUSED },
};

static void recorded_answers(void **state)
{
	static const char *const versions[] = { "1.26", "1.34" };

	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(versions); v++)
		for (size_t i = 0; i < ARRAY_SIZE(recorded_rows); i++) {
			json_t *response =
				recording_response(versions[v], recorded_rows[i].recording);
			long  status = json_integer_value(json_object_get(response, "status"));
			char *body = recording_body(versions[v], recorded_rows[i].recording);

			print_message("  %s %s\n", versions[v], recorded_rows[i].recording);
			assert_int_equal(judge(&recorded_rows[i].q, CURLE_OK, status, body).answer,
					 recorded_rows[i].want);
			free(body);
			json_decref(response);
		}
}

/* Whose words they are: a Role's, to which the rule can be named that is missing, or not. */
static void refused_by_a_role(void **state)
{
	static const char webhook[] =
		"{\"kind\":\"Status\",\"message\":\"admission webhook \\\"policy.example.com\\\" "
		"denied the request: the job is precious\",\"reason\":\"Forbidden\",\"code\":403}";
	static const struct {
		const char *body;
		long        status;
		bool        by_role;
		const char *words;
	} rows[] = {
		{ FORBIDDEN("system:serviceaccount:ns:sa"), 403, true,
		  "jobs.batch is forbidden: User \"system:serviceaccount:ns:sa\" cannot get" },
		{ FORBIDDEN("sa"), 422, false, "jobs.batch is forbidden: User \"sa\" cannot get" },
		{ webhook, 403, false,
		  "admission webhook \"policy.example.com\" denied the request: the job is "
		  "precious" },
		{ "denied", 403, false, "denied" },
		{ "denied\r\n", 403, false, "denied" },
		{ "", 403, false, "no body" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct k8s_result r = judge(&delete_job, CURLE_OK, rows[i].status, rows[i].body);

		assert_int_equal(r.answer, K8S_REFUSED);
		assert_int_equal(r.by_role, rows[i].by_role);
		assert_string_equal(r.words, rows[i].words);
	}
}

/* Cut at 300 characters. */
static void long_words_are_cut(void **state)
{
	char body[1000] = "{\"message\":\"";

	(void)state;
	memset(body + 12, 'x', 400);
	memcpy(body + 412, "\"}", 3);
	struct k8s_result r = judge(&delete_job, CURLE_OK, 400, body);
	assert_int_equal(strlen(r.words), 300);
}

/* 200 to a DELETE is not "gone": the object that came back says whether finalizers keep it. */
static void kept_by_finalizers(void **state)
{
	static const struct {
		const char *body;
		bool        kept;
	} rows[] = {
		{ "{\"kind\":\"Status\",\"status\":\"Success\"}", false },
		{ "{\"kind\":\"Job\",\"metadata\":{}}", false },
		{ "{\"kind\":\"Job\",\"metadata\":{\"deletionTimestamp\":null}}", false },
		{ "{\"kind\":\"Job\",\"metadata\":{\"deletionTimestamp\":"
		  "\"2026-11-24T00:00:10Z\"}}",
		  true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct k8s_result r = judge(&delete_job, CURLE_OK, 200, rows[i].body);

		assert_int_equal(r.answer, K8S_OK);
		assert_int_equal(r.kept, rows[i].kept);
	}
}

static void retry_after_of_header_or_body(void **state)
{
	static const char    body[] = "{\"details\":{\"retryAfterSeconds\":7}}";
	struct http_response r = { .status = 503, .body.max = 1000 };
	struct k8s_result    ret;

	(void)state;
	assert_int_equal(buf_append(&r.body, body, strlen(body)), 0);
	k8s_judge(&get_job, &r, &ret);
	assert_int_equal(ret.retry_after_ms, 7000);
	r.retry_after_ms = 3000;
	k8s_judge(&get_job, &r, &ret);
	assert_int_equal(ret.retry_after_ms, 3000);
	buf_fini(&r.body);
}

/* On DELETE an empty name would mean every object of the namespace. */
static void no_name_no_request(void **state)
{
	static const char *const   bad[] = { NULL,   "",      "/",  "a/b", "..",  "a..b", "A",
					     "a%2f", "a?b=c", "-a", "a-",  "a b", "a\n" };
	static const enum k8s_verb verbs[] = { K8S_GET, K8S_PATCH, K8S_DELETE };
	static struct config       cfg = { .api_url = "http://127.0.0.1:1", .ns = "ns" };
	struct err                 err = { 0 };
	struct http               *http = http_new("test", &err);
	struct k8s_client         *c = k8s_client_new(http, &cfg, &err);

	(void)state;
	assert_non_null(c);
	for (size_t v = 0; v < ARRAY_SIZE(verbs); v++)
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			struct k8s_request q = { .verb = verbs[v],
						 .resource = K8S_JOBS,
						 .name = bad[i] };

			err = (struct err){ 0 };
			assert_null(k8s_start(c, &q, &err));
			assert_int_equal(err.code, EINVAL);
		}
	k8s_client_free(c);
	http_free(http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(recorded_answers),
		cmocka_unit_test(refused_by_a_role),
		cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(kept_by_finalizers),
		cmocka_unit_test(retry_after_of_header_or_body),
		cmocka_unit_test(no_name_no_request),
	};

	return cmocka_run_group_tests_name("k8s_client", tests, NULL, NULL);
}
