/* Whose cleaner is this: the pod's name in a token or a host name, and the JOB_ID in that name. */
#include "unit.h"

#include <stdio.h>
#include <sys/stat.h>

#include "../identity.h"
#include "jwt.h"

static void the_job_id_in_a_pods_name(void **state)
{
	static const struct {
		const char *pod, *want; /* NULL: refused */
	} rows[] = {
		{ "cleanup-job-12-70788-x7k2p", "12-70788" },
		{ "cleanup-job-1-bcdfg", "1" },
		{ "cleanup-job-a-b-c-24567", "a-b-c" },
		{ "cleanup-job-12-70788", NULL }, /* no suffix: job 12 is somebody else */
		{ "cleanup-job-12-70788-x7k2", NULL },
		{ "cleanup-job-12-70788x7k2p", NULL },
		{ "cleanup-job-12-abcde", NULL }, /* vowels, 0, 1 and 3 are never in it */
		{ "cleanup-job-12-x7k2o", NULL },
		{ "cleanup-job-12-07k2p", NULL },
		{ "cleanup-job-12-x1k2p", NULL },
		{ "cleanup-job-12-x7k3p", NULL },
		{ "cleanup-job-12-X7K2P", NULL },
		{ "cleanup-job-", NULL },
		{ "cleanup-job-x7k2p", NULL },
		{ "cleanup-job--x7k2p", NULL },
		{ "cleanup-job--1-x7k2p", NULL },
		{ "cleanup-job-A-x7k2p", NULL },
		{ "cleanup-job-$JOB_ID-x7k2p", NULL },
		{ "cleanup-job-../x-x7k2p", NULL },
		{ "cleanup-jobs-12-x7k2p", NULL },
		{ "my-cleanup-job-12-x7k2p", NULL },
		{ "other-job-12-x7k2p", NULL },
		{ "x7k2p", NULL },
		{ "", NULL },
		/* an id of 44: 62 letters in all; one of 45, as long as a pod's name may be */
		{ "cleanup-job-45678901234567890123456789012345678901234567-bcdfg",
		  "45678901234567890123456789012345678901234567" },
		{ "cleanup-job-456789012345678901234567890123456789012345678-bcdfg", NULL },
		{ "cleanup-job-4567890123456789012345678901234567890123456789-bcdfg", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char id[IDENTITY_POD_SIZE] = "as it was";

		print_message("  '%s'\n", rows[i].pod);
		assert_int_equal(identity_job_id(rows[i].pod, id), rows[i].want != NULL);
		assert_string_equal(id, rows[i].want ? rows[i].want : "as it was");
	}
}

static void ids_of_every_length(void **state)
{
	(void)state;
	for (int n = 1; n <= 60; n++) {
		char pod[128], id[IDENTITY_POD_SIZE];

		(void)snprintf(pod, sizeof(pod), "cleanup-job-%0*d-x7k2p", n, 7);
		assert_int_equal(identity_job_id(pod, id), n <= 44);
		if (n <= 44)
			assert_int_equal(strlen(id), n);
	}
}

#define POD(name) "{\"kubernetes.io\":{\"pod\":{\"name\":" name "}}}"

static void the_pod_in_a_tokens_claims(void **state)
{
	static const struct {
		const char *claims, *want; /* NULL: none */
	} rows[] = {
		{ "{\"aud\":[\"https://"
		  "kubernetes.default.svc\"],\"exp\":1795480000,\"iat\":1763944000,"
		  "\"iss\":\"https://kubernetes.default.svc\",\"jti\":\"x\",\"kubernetes.io\":"
		  "{\"namespace\":\"panda\",\"node\":{\"name\":\"n1\",\"uid\":\"u\"},\"pod\":{"
		  "\"name\":"
		  "\"cleanup-job-12-70788-bcdfg\",\"uid\":\"u\"},\"serviceaccount\":{\"name\":"
		  "\"cleanup-sa\",\"uid\":\"u\"},\"warnafter\":1763947607},\"nbf\":1763944000,"
		  "\"sub\":"
		  "\"system:serviceaccount:panda:cleanup-sa\"}",
		  "cleanup-job-12-70788-bcdfg" },
		{ POD("\"p\""), "p" },
		{ POD("\"pp\""), "pp" }, /* each remainder of base64 */
		{ POD("\"ppp\""), "ppp" },
		{ POD("\"\xc3\xbf\xc3\xbe?>~\""), "\xc3\xbf\xc3\xbe?>~" }, /* each letter of it */
		{ POD("\"\""), NULL },
		{ POD("\"a\\u0000b\""), NULL },
		{ POD("7"), NULL },
		{ POD("null"), NULL },
		{ POD("\"a\",\"name\":\"b\""), NULL },
		{ "{\"kubernetes.io\":{\"pod\":\"p\"}}", NULL },
		{ "{\"kubernetes.io\":{\"namespace\":\"n\"}}", NULL }, /* not bound to a pod */
		{ "{\"kubernetes.io/serviceaccount/namespace\":\"n\",\"iss\":\"x\"}", NULL },
		{ "{\"pod\":{\"name\":\"p\"}}", NULL },
		{ "[]", NULL },
		{ "{", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf token = { .max = 4096 };
		char       pod[IDENTITY_POD_SIZE] = "as it was";

		print_message("  %s\n", rows[i].claims);
		jwt(rows[i].claims, strlen(rows[i].claims), &token);
		assert_int_equal(identity_pod_of_token(token.data, token.len, pod),
				 rows[i].want != NULL);
		assert_string_equal(pod, rows[i].want ? rows[i].want : "as it was");
		buf_fini(&token);
	}
}

static void a_pods_name_is_never_cut(void **state)
{
	(void)state;
	for (int n = IDENTITY_POD_SIZE - 2; n <= IDENTITY_POD_SIZE + 1; n++) {
		struct buf claims = { .max = 4096 }, token = { .max = 4096 };
		char       pod[IDENTITY_POD_SIZE];

		(void)buf_printf(&claims, POD("\"%0*d\""), n, 7);
		jwt(claims.data, claims.len, &token);
		assert_int_equal(identity_pod_of_token(token.data, token.len, pod),
				 n < IDENTITY_POD_SIZE);
		buf_fini(&claims);
		buf_fini(&token);
	}
}

static void what_is_no_jwt_has_no_pod(void **state)
{
	static const char *const tokens[] = {
		"",        ".",   "..", "a.b.c",           "x",        "only.two", "eyJhIjoxfQ",
		"a.e30.c", "a.!", "\n", "a.ey JhIjoxfQ.c", "a.e30=.c", "a.e.c",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
		char pod[IDENTITY_POD_SIZE];

		print_message("  '%s'\n", tokens[i]);
		assert_false(identity_pod_of_token(tokens[i], strlen(tokens[i]), pod));
	}
	char pod[IDENTITY_POD_SIZE];
	assert_false(identity_pod_of_token(NULL, 0, pod)); /* an empty file */
}

/* Claims of 3 * n bytes, so that one letter more would add none to them. */
static void another_alphabet_is_none(void **state)
{
	static const char claims[] = POD("\"pp\"");

	(void)state;
	_Static_assert((sizeof(claims) - 1) % 3 == 0, "no remainder");
	for (const char *p = "A=+/ \n"; *p; p++) {
		struct buf token = { .max = 4096 };
		char       pod[IDENTITY_POD_SIZE];

		(void)buf_printf(&token, "e30.");
		base64url(claims, sizeof(claims) - 1, &token);
		(void)buf_printf(&token, "%c.x", *p);
		assert_int_equal(identity_pod_of_token(token.data, token.len, pod), *p == 'A');
		buf_fini(&token);
	}
}

/* Claims that end anywhere, and a token that does: none may be read behind its end. */
static void a_token_that_was_cut(void **state)
{
	struct buf token = { .max = 4096 };
	char       pod[IDENTITY_POD_SIZE];

	(void)state;
	jwt(POD("\"p\""), strlen(POD("\"p\"")), &token);
	size_t dot = (size_t)(strrchr(token.data, '.') - token.data);
	for (size_t n = 0; n <= token.len; n++) {
		char *exact = malloc(n + 1);
		assert_non_null(exact);
		memcpy(exact, token.data, n);
		assert_int_equal(identity_pod_of_token(exact, n, pod), n > dot);
		free(exact);
	}
	buf_fini(&token);
}

static char account[64];

static void write_token(const char *claims)
{
	struct buf token = { .max = 4096 };
	char       path[128];

	if (claims)
		jwt(claims, strlen(claims), &token);
	(void)snprintf(path, sizeof(path), "%s/token", account);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(token.len ? token.data : "\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	buf_fini(&token);
}

static void check_identity(const char *host, const char *want, bool bound)
{
	struct identity id;

	identity_load(&id, account, host);
	assert_string_equal(id.pod, want);
	assert_int_equal(id.bound, bound);
}

static void the_token_comes_first_then_the_host_name(void **state)
{
	static char long_name[400];
	char        path[128];

	(void)state;
	(void)copy_str(account, sizeof(account), "/tmp/test_identity_XXXXXX");
	assert_non_null(mkdtemp(account));
	check_identity("cleanup-job-1-bcdfg", "cleanup-job-1-bcdfg", false); /* no file */
	write_token(POD("\"cleanup-job-2-bcdfg\""));
	check_identity("cleanup-job-1-bcdfg", "cleanup-job-2-bcdfg", true);
	write_token(POD("\"a.b\""));
	check_identity("x", "a.b", true); /* only a host name has a domain behind it */
	write_token("{}");
	check_identity("cleanup-job-1-bcdfg", "cleanup-job-1-bcdfg", false);
	write_token(NULL);
	check_identity("cleanup-job-1-bcdfg.jobs.panda.svc.cluster.local", "cleanup-job-1-bcdfg",
		       false);
	check_identity(".", "", false);
	check_identity("", "", false);
	memset(long_name, 'x', sizeof(long_name) - 1);
	struct identity id;
	identity_load(&id, account, long_name);
	assert_int_equal(strlen(id.pod), IDENTITY_POD_SIZE - 1);
	(void)snprintf(path, sizeof(path), "%s/token", account);
	(void)unlink(path);
	(void)rmdir(account);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_job_id_in_a_pods_name),
		cmocka_unit_test(ids_of_every_length),
		cmocka_unit_test(the_pod_in_a_tokens_claims),
		cmocka_unit_test(a_pods_name_is_never_cut),
		cmocka_unit_test(what_is_no_jwt_has_no_pod),
		cmocka_unit_test(another_alphabet_is_none),
		cmocka_unit_test(a_token_that_was_cut),
		cmocka_unit_test(the_token_comes_first_then_the_host_name),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
