/* What is read of a Job, row by row: a field that is wanted for one thing does not cost the others.
 */
#include "unit.h"

#include <stdio.h>

#include "../k8s_objects.h"

#define META            "\"metadata\":{\"name\":\"j\",\"uid\":\"u-1\",\"resourceVersion\":\"7\""
#define JOB(meta, rest) "{\"kind\":\"Job\"," META meta "}" rest "}"

struct made_row {
	const char       *name, *json;
	int               status; /* of the decoder */
	enum job_finished finished;
	bool              suspended;
	const char       *hold; /* NULL: no annotation */
	const char       *selector;
};

#define COND(type, status) "{\"type\":\"" type "\",\"status\":\"" status "\"}"
#define CONDS(list)        ",\"status\":{\"conditions\":[" list "]}"
#define HOLD(value)        ",\"annotations\":{\"cleanup-grpc/hold\":" value "}"
#define LABELS(l)          ",\"spec\":{\"selector\":{\"matchLabels\":" l "}}"

static const struct made_row made_rows[] = {
	{ "bare", JOB("", ""), 0, JOB_NOT_FINISHED, false, NULL, "" },
	{ "Complete False", JOB("", CONDS(COND("Complete", "False"))), 0, JOB_NOT_FINISHED, false,
	  NULL, "" },
	{ "Failed Unknown", JOB("", CONDS(COND("Failed", "Unknown"))), 0, JOB_NOT_FINISHED, false,
	  NULL, "" },
	{ "only the interim conditions",
	  JOB("", CONDS(COND("SuccessCriteriaMet", "True") "," COND("FailureTarget", "True"))), 0,
	  JOB_NOT_FINISHED, false, NULL, "" },
	{ "the terminal one first",
	  JOB("", CONDS(COND("Complete", "True") "," COND("SuccessCriteriaMet", "True"))), 0,
	  JOB_COMPLETE, false, NULL, "" },
	{ "the terminal one last",
	  JOB("", CONDS(COND("Suspended", "False") "," COND("FailureTarget",
							    "True") "," COND("Failed", "True"))),
	  0, JOB_FAILED, false, NULL, "" },
	{ "counters do not finish a job", JOB("", ",\"status\":{\"failed\":1,\"succeeded\":1}"), 0,
	  JOB_NOT_FINISHED, false, NULL, "" },
	{ "spec.suspend", JOB("", ",\"spec\":{\"suspend\":true}"), 0, JOB_NOT_FINISHED, true, NULL,
	  "" },
	{ "condition Suspended", JOB("", CONDS(COND("Suspended", "True"))), 0, JOB_NOT_FINISHED,
	  true, NULL, "" },
	{ "Suspended False", JOB("", CONDS(COND("Suspended", "False"))), 0, JOB_NOT_FINISHED, false,
	  NULL, "" },
	{ "hold", JOB(HOLD("\"true\""), ""), 0, JOB_NOT_FINISHED, false, "true", "" },
	{ "empty hold", JOB(HOLD("\"\""), ""), 0, JOB_NOT_FINISHED, false, "", "" },
	{ "hold of another type", JOB(HOLD("1"), ""), 0, JOB_NOT_FINISHED, false, "", "" },
	{ "two labels", JOB("", LABELS("{\"a\":\"1\",\"b\":\"2\"}")), 0, JOB_NOT_FINISHED, false,
	  NULL, "a=1,b=2" },
	/* a selector that cannot be used is none, and costs nothing else */
	{ "label that would end the selector",
	  JOB(HOLD("\"true\""), LABELS("{\"a\":\"1,b!=2\"}") CONDS(COND("Complete", "True"))), 0,
	  JOB_COMPLETE, false, "true", "" },
	{ "key that would end it", JOB("", LABELS("{\"b\":\"1\",\"a!\":\"1\"}")), 0,
	  JOB_NOT_FINISHED, false, NULL, "" },
	{ "label no string", JOB("", LABELS("{\"a\":1,\"b\":\"2\"}")), 0, JOB_NOT_FINISHED, false,
	  NULL, "" },
	{ "label null", JOB("", LABELS("{\"a\":null}")), 0, JOB_NOT_FINISHED, false, NULL, "" },
	{ "label with a NUL", JOB("", LABELS("{\"a\":\"1\\u0000\"}")), 0, JOB_NOT_FINISHED, false,
	  NULL, "" },
	{ "labels no object", JOB("", LABELS("[\"a\"]")), 0, JOB_NOT_FINISHED, false, NULL, "" },
	{ "spec no object", JOB("", ",\"spec\":[]"), 0, JOB_NOT_FINISHED, false, NULL, "" },
	/* a suspension that cannot be read is one */
	{ "suspend as text", JOB("", ",\"spec\":{\"suspend\":\"false\"}"), 0, JOB_NOT_FINISHED,
	  true, NULL, "" },
	{ "suspend null", JOB("", ",\"spec\":{\"suspend\":null}"), 0, JOB_NOT_FINISHED, false, NULL,
	  "" },
	{ "no kind", "{" META "}}", -EBADMSG, 0, 0, NULL, NULL },
	{ "a Pod", "{\"kind\":\"Pod\"," META "}}", -EBADMSG, 0, 0, NULL, NULL },
	{ "no metadata", "{\"kind\":\"Job\"}", -EBADMSG, 0, 0, NULL, NULL },
	{ "no uid", "{\"kind\":\"Job\",\"metadata\":{\"name\":\"j\",\"resourceVersion\":\"1\"}}",
	  -EBADMSG, 0, 0, NULL, NULL },
	{ "empty uid",
	  "{\"kind\":\"Job\",\"metadata\":{\"name\":\"j\",\"uid\":\"\",\"resourceVersion\":\"1\"}}",
	  -EBADMSG, 0, 0, NULL, NULL },
	{ "uid with a comma",
	  "{\"kind\":\"Job\",\"metadata\":{\"name\":\"j\",\"uid\":\"a,b\",\"resourceVersion\":"
	  "\"1\"}}",
	  -EBADMSG, 0, 0, NULL, NULL },
	{ "another name",
	  "{\"kind\":\"Job\",\"metadata\":{\"name\":\"k\",\"uid\":\"u\",\"resourceVersion\":\"1\"}"
	  "}",
	  -EBADMSG, 0, 0, NULL, NULL },
	{ "name with a NUL",
	  "{\"kind\":\"Job\",\"metadata\":{\"name\":\"j\\u0000\",\"uid\":\"u\","
	  "\"resourceVersion\":\"1\"}}",
	  -EBADMSG, 0, 0, NULL, NULL },
	{ "conditions no list", JOB("", ",\"status\":{\"conditions\":{}}"), -EBADMSG, 0, 0, NULL,
	  NULL },
	{ "status no object", JOB("", ",\"status\":[]"), -EBADMSG, 0, 0, NULL, NULL },
	{ "duplicate key", JOB("", ",\"status\":{},\"status\":{}"), -EBADMSG, 0, 0, NULL, NULL },
	{ "a list", "[]", -EBADMSG, 0, 0, NULL, NULL },
	{ "null", "null", -EBADMSG, 0, 0, NULL, NULL },
	{ "cut off", "{\"kind\":\"Job\",\"metada", -EBADMSG, 0, 0, NULL, NULL },
	{ "empty", "", -EBADMSG, 0, 0, NULL, NULL },
	{ "a page", "<html>not found</html>", -EBADMSG, 0, 0, NULL, NULL },
};

static void made_jobs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(made_rows); i++) {
		const struct made_row *row = &made_rows[i];
		struct k8s_job         j = { .name = "untouched" };
		struct err             err = { 0 };

		print_message("  %s\n", row->name);
		assert_int_equal(k8s_job_decode(row->json, strlen(row->json), "j", &j, &err),
				 row->status);
		if (row->status < 0) {
			assert_string_equal(j.name, "untouched");
			assert_true(err.msg[0] != '\0');
			continue;
		}
		assert_int_equal(j.finished, row->finished);
		assert_int_equal(j.suspended, row->suspended);
		assert_int_equal(j.has_hold, row->hold != NULL);
		assert_string_equal(j.hold, row->hold ? row->hold : "");
		assert_string_equal(j.selector, row->selector);
		assert_int_equal(j.ready, -1);
	}
}

/* Numbers that are wanted for one thing: what cannot be read is on the safe side. */
static void numbers_of_a_job(void **state)
{
	static const struct {
		const char *json; /* behind the metadata */
		uint32_t    active;
		int32_t     ready;
		int64_t     ttl_ms;
	} rows[] = {
		{ "", 0, -1, -1 },
		{ ",\"status\":{\"active\":2,\"ready\":1}", 2, 1, -1 },
		{ ",\"status\":{\"active\":0,\"ready\":0}", 0, 0, -1 },
		{ ",\"status\":{\"active\":null,\"ready\":null}", 0, -1, -1 },
		{ ",\"status\":{\"active\":-1,\"ready\":1}", UINT32_MAX, 1, -1 },
		{ ",\"status\":{\"active\":\"1\",\"ready\":1}", UINT32_MAX, 1, -1 },
		{ ",\"status\":{\"active\":2147483647}", INT32_MAX, -1, -1 },
		{ ",\"status\":{\"active\":2147483648}", UINT32_MAX, -1, -1 },
		{ ",\"status\":{\"active\":1,\"ready\":\"1\"}", 1, -1, -1 },
		{ ",\"status\":{\"active\":1,\"ready\":-2}", 1, -1, -1 },
		{ ",\"spec\":{\"ttlSecondsAfterFinished\":120}", 0, -1, 120000 },
		{ ",\"spec\":{\"ttlSecondsAfterFinished\":0}", 0, -1, 0 },
		{ ",\"spec\":{\"ttlSecondsAfterFinished\":-5}", 0, -1, -1 },
		{ ",\"spec\":{\"ttlSecondsAfterFinished\":\"120\"}", 0, -1, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char           body[300];
		struct k8s_job j = { 0 };

		print_message("  %s\n", rows[i].json);
		(void)snprintf(body, sizeof(body), "{\"kind\":\"Job\"," META "}%s}", rows[i].json);
		assert_int_equal(k8s_job_decode(body, strlen(body), "j", &j, NULL), 0);
		assert_true(j.active == rows[i].active);
		assert_int_equal(j.ready, rows[i].ready);
		assert_int_equal(j.ttl_ms, rows[i].ttl_ms);
		assert_int_equal(j.finished, JOB_NOT_FINISHED);
	}
}

/* Who else deletes it, and how. */
static void finalizers_of_a_job(void **state)
{
	static const struct {
		const char *meta;
		bool        deleting, foreground, orphaning;
	} rows[] = {
		{ "", false, false, false },
		{ ",\"deletionTimestamp\":\"2026-11-24T00:00:10Z\"", true, false, false },
		{ ",\"deletionTimestamp\":null", false, false, false },
		{ ",\"finalizers\":[\"example.com/x\",\"foregroundDeletion\"]", false, true,
		  false },
		{ ",\"finalizers\":[\"orphan\"]", false, false, true },
		{ ",\"finalizers\":[\"orphans\",1,null]", false, false, false },
		{ ",\"finalizers\":null", false, false, false },
		{ ",\"finalizers\":\"orphan\"", false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char           body[300];
		struct k8s_job j = { 0 };

		print_message("  %s\n", rows[i].meta);
		(void)snprintf(body, sizeof(body), "{\"kind\":\"Job\"," META "%s}}", rows[i].meta);
		assert_int_equal(k8s_job_decode(body, strlen(body), "j", &j, NULL), 0);
		assert_int_equal(j.deleting, rows[i].deleting);
		assert_int_equal(j.foreground, rows[i].foreground);
		assert_int_equal(j.orphaning, rows[i].orphaning);
	}
}

/* Of a Job with a selector of more than a URL can take, the end is seen all the same. */
static void a_selector_that_is_too_long(void **state)
{
	static const struct {
		int  key, value;
		bool fits;
	} rows[] = {
		{ 300, 300, true }, { 500, 522, true }, { 500, 523, false }, { 900, 900, false }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char           body[3000];
		struct k8s_job j = { 0 };

		(void)snprintf(body, sizeof(body),
			       "{\"kind\":\"Job\"," META
			       "},\"spec\":{\"selector\":{\"matchLabels\":{"
			       "\"%0*d\":\"%0*d\"}}}" CONDS(COND("Complete", "True")) "}",
			       rows[i].key, 0, rows[i].value, 0);
		assert_int_equal(k8s_job_decode(body, strlen(body), "j", &j, NULL), 0);
		assert_int_equal(strlen(j.selector),
				 rows[i].fits ? rows[i].key + rows[i].value + 1 : 0);
		assert_int_equal(j.finished, JOB_COMPLETE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_jobs),
		cmocka_unit_test(numbers_of_a_job),
		cmocka_unit_test(finalizers_of_a_job),
		cmocka_unit_test(a_selector_that_is_too_long),
	};

	return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
