/* How the program was called: every form in which a template of 1.1 has its script. */
#include "unit.h"

#include "../invocation.h"

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

static char loop[] = "while ! kubectl get job \"$JOB\"; do sleep 10; done";

static const struct {
	const char *const *argv;
	enum invocation    as_container, otherwise;
} rows[] = {
	{ ARGV("/bin/sh", "-c", loop), INVOKED_FOR_SCRIPT, INVOKED_FOR_SCRIPT },
	{ ARGV("/bin/bash", "-c", loop), INVOKED_FOR_SCRIPT, INVOKED_FOR_SCRIPT },
	{ ARGV("sh", "-c", loop), INVOKED_FOR_SCRIPT, INVOKED_FOR_SCRIPT },
	{ ARGV("bash", "-euo", "pipefail", "-c", loop), INVOKED_FOR_SCRIPT, INVOKED_FOR_SCRIPT },
	{ ARGV("/usr/bin/env", "bash", "-c", loop), INVOKED_FOR_SCRIPT, INVOKED_FOR_SCRIPT },
	{ ARGV("env", "KUBECONFIG=/x", "kubectl", "get", "job"), INVOKED_FOR_SCRIPT,
	  INVOKED_FOR_SCRIPT },
	/* a script in a file may be 1.1's, if a container consists of it */
	{ ARGV("/bin/sh", "/app/cleanup.sh"), INVOKED_FOR_SCRIPT, INVOKED_AS_SHELL },
	{ ARGV("/usr/bin/env", "bash", "cleanup.sh"), INVOKED_FOR_SCRIPT, INVOKED_AS_SHELL },
	{ ARGV("sh", "--check"), INVOKED_FOR_SCRIPT, INVOKED_AS_SHELL },
	{ ARGV("-sh"), INVOKED_FOR_SCRIPT, INVOKED_AS_SHELL },
	/* kubectl exec, a probe, a preStop hook */
	{ ARGV("sh"), INVOKED_FOR_SCRIPT, INVOKED_AS_SHELL },
	{ ARGV("bash", "-l"), INVOKED_FOR_SCRIPT, INVOKED_AS_SHELL },
	{ ARGV("/bin/sh", "-c", "test -f /tmp/ready"), INVOKED_FOR_SCRIPT, INVOKED_AS_SHELL },
	{ ARGV("env"), INVOKED_FOR_SCRIPT, INVOKED_AS_SHELL },
	/* args of a template that leaves the command to the image */
	{ ARGV("/cleanup-grpc", "-c", "sleep 1"), INVOKED_FOR_SCRIPT, INVOKED_FOR_SCRIPT },
	{ ARGV("/cleanup-grpc", "-ec", "sleep 1"), INVOKED_FOR_SCRIPT, INVOKED_FOR_SCRIPT },
	{ ARGV("/cleanup-grpc", "/app/cleanup.sh"), INVOKED_FOR_SCRIPT, INVOKED_FOR_SCRIPT },
	{ ARGV("/cleanup-grpc", "/bin/sh", "-c", loop), INVOKED_FOR_SCRIPT, INVOKED_FOR_SCRIPT },
	{ ARGV("/cleanup-grpc", "sh", "-c", loop), INVOKED_FOR_SCRIPT, INVOKED_FOR_SCRIPT },
	/* by itself; what it cannot read there is a bad command line */
	{ ARGV("/cleanup-grpc"), INVOKED_BY_ITSELF, INVOKED_BY_ITSELF },
	{ ARGV("cleanup-grpc", "--check"), INVOKED_BY_ITSELF, INVOKED_BY_ITSELF },
	{ ARGV("cleanup-grpc", "--dry-run", "/x"), INVOKED_BY_ITSELF, INVOKED_BY_ITSELF },
	{ ARGV("cleanup-grpc", "-check"), INVOKED_BY_ITSELF, INVOKED_BY_ITSELF },
	{ ARGV("cleanup-grpc", "-"), INVOKED_BY_ITSELF, INVOKED_BY_ITSELF },
	{ ARGV("cleanup-grpc", "c"), INVOKED_BY_ITSELF, INVOKED_BY_ITSELF },
	{ ARGV("cleanup-grpc", ""), INVOKED_BY_ITSELF, INVOKED_BY_ITSELF },
	{ ARGV("cleanup-grpc", "job"), INVOKED_BY_ITSELF, INVOKED_BY_ITSELF },
	{ ARGV("/bin/fish"), INVOKED_BY_ITSELF, INVOKED_BY_ITSELF },
	{ ARGV("/bin/shell"), INVOKED_BY_ITSELF, INVOKED_BY_ITSELF },
	{ ARGV("/sh/cleanup-grpc"), INVOKED_BY_ITSELF, INVOKED_BY_ITSELF },
	{ ARGV(""), INVOKED_BY_ITSELF, INVOKED_BY_ITSELF },
	{ ARGV(NULL), INVOKED_BY_ITSELF, INVOKED_BY_ITSELF },
};

static void every_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *const *argv = rows[i].argv;

		print_message("  %s %s\n", argv[0] ? argv[0] : "-",
			      argv[0] && argv[1] ? argv[1] : "");
		assert_int_equal(invocation_of(argv, true), rows[i].as_container);
		assert_int_equal(invocation_of(argv, false), rows[i].otherwise);
	}
}

/* With shareProcessNamespace pid 1 is another, and the script may be a file of a ConfigMap. */
static void a_script_in_a_file(void **state)
{
	static const struct {
		const char     *script;
		enum invocation want;
	} rows_of_files[] = {
		{ "#!/bin/sh\nkubectl get job\n", INVOKED_FOR_SCRIPT },
		{ "#!/bin/sh\ntest -f /tmp/ready\n", INVOKED_AS_SHELL },
		{ "", INVOKED_AS_SHELL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows_of_files); i++) {
		char path[] = "/tmp/test_invocation_XXXXXX";
		int  fd = mkstemp(path);

		assert_true(fd >= 0);
		size_t n = strlen(rows_of_files[i].script);
		assert_int_equal(write(fd, rows_of_files[i].script, n), n);
		assert_int_equal(invocation_of(ARGV("sh", "-e", path), false),
				 rows_of_files[i].want);
		(void)close(fd);
		(void)unlink(path);
	}
	assert_int_equal(invocation_of(ARGV("sh", "/tmp"), false), INVOKED_AS_SHELL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form),
		cmocka_unit_test(a_script_in_a_file),
	};

	return cmocka_run_group_tests_name("invocation", tests, NULL, NULL);
}
