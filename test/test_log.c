/* One event is one line, whatever is in it; a JSON line is always JSON. */
#include "unit.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>

#include "../log.h"

/* Runs the statement with stderr in a pipe; @line gets what was written, which must be one line. */
static char line[8192];
static int  saved_stderr, pipe_read;

static void capture_start(void)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	saved_stderr = dup(STDERR_FILENO);
	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	(void)close(fds[1]);
	pipe_read = fds[0];
}

static size_t capture_end(void)
{
	ssize_t n = read(pipe_read, line, sizeof(line) - 1);

	(void)dup2(saved_stderr, STDERR_FILENO);
	(void)close(saved_stderr);
	(void)close(pipe_read);
	line[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

#define CAPTURE(statement)                                                                         \
	({                                                                                         \
		capture_start();                                                                   \
		statement;                                                                         \
		capture_end();                                                                     \
	})

static void text(void **state)
{
	(void)state;
	log_setup(LOG_INFO, LOG_TEXT);
	assert_true(CAPTURE(log_info("idle check", LS("check", "3/5"), LS("cpu", "2m"), LI("n", -7),
				     LIF(false, LS("absent", "x")))) > 0);
	assert_memory_equal(line, "ts=20", 5);
	assert_non_null(strstr(line, "Z level=info msg=\"idle check\" check=3/5 cpu=2m n=-7\n"));
	assert_null(strstr(line, "absent"));
}

static void levels(void **state)
{
	(void)state;
	log_setup(LOG_WARN, LOG_TEXT);
	assert_int_equal(CAPTURE(log_info("x", LI("n", 1))), 0);
	assert_true(CAPTURE(log_warn("x", LI("n", 1))) > 0);
	assert_true(CAPTURE(log_error("x", LI("n", 1))) > 0);
	log_setup(LOG_DEBUG, LOG_TEXT);
	assert_true(CAPTURE(log_debug("x", LI("n", 1))) > 0);
}

static const char *const nasty[] = {
	"",
	"plain",
	"two words",
	"a=b",
	"quote \" and \\ backslash",
	"line\nbreak\r\ttab",
	"\x01\x1f\x7f control",
	"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
	"\xff\xfe invalid \xc3",
	"\xc0\x80 overlong \xed\xa0\x80 surrogate \xf4\x90\x80\x80 beyond",
};

static void nasty_values_stay_one_line(void **state)
{
	(void)state;
	for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
		log_setup(LOG_INFO, (enum log_format)format);
		for (size_t i = 0; i < ARRAY_SIZE(nasty); i++) {
			size_t n =
				CAPTURE(log_info("m", LS("value", nasty[i]), LS("after", "here")));

			assert_true(n > 0);
			assert_ptr_equal(strchr(line, '\n'), line + n - 1); /* only at the end */
			assert_non_null(strstr(line, "after"));
			for (size_t c = 0; c + 1 < n; c++)
				assert_true((unsigned char)line[c] >= 0x20 && line[c] != 0x7f);
		}
	}
}

static void json_says_what_was_put_in(void **state)
{
	(void)state;
	log_setup(LOG_INFO, LOG_JSON);
	for (size_t i = 0; i < ARRAY_SIZE(nasty); i++) {
		size_t  n = CAPTURE(log_info("m", LS("value", nasty[i]), LI("n", INT64_MIN)));
		json_t *o = json_loadb(line, n, 0, NULL);

		assert_non_null(o);
		assert_string_equal(json_string_value(json_object_get(o, "level")), "info");
		assert_string_equal(json_string_value(json_object_get(o, "msg")), "m");
		assert_non_null(json_object_get(o, "ts"));
		assert_true(json_integer_value(json_object_get(o, "n")) == INT64_MIN);
		if (i < 8) /* well-formed text comes out as it went in */
			assert_string_equal(json_string_value(json_object_get(o, "value")),
					    nasty[i]);
		json_decref(o);
	}
}

static void too_much_is_cut_and_stays_json(void **state)
{
	static char long_text[20000], control[3000];

	(void)state;
	log_setup(LOG_INFO, LOG_JSON);
	memset(long_text, 'x', sizeof(long_text) - 1);
	memset(control, '\x01', sizeof(control) - 1);
	for (int round = 0; round < 2; round++) {
		const char *v = round ? control : long_text;
		size_t  n = CAPTURE(log_info("m", LS("a", v), LS("b", v), LS("c", v), LS("d", v),
					     LS("e", v), LS("last", "short")));
		json_t *o = json_loadb(line, n, 0, NULL);

		assert_non_null(o);
		assert_true(n <= 4096);
		assert_string_equal(json_string_value(json_object_get(o, "last")), "short");
		json_decref(o);
	}
}

static void errno_is_kept(void **state)
{
	(void)state;
	log_setup(LOG_INFO, LOG_TEXT);
	capture_start();
	(void)close(STDERR_FILENO);
	errno = EADDRINUSE;
	log_info("m", LI("n", 1));
	int kept = errno;
	(void)capture_end();
	assert_int_equal(kept, EADDRINUSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text),
		cmocka_unit_test(levels),
		cmocka_unit_test(nasty_values_stay_one_line),
		cmocka_unit_test(json_says_what_was_put_in),
		cmocka_unit_test(too_much_is_cut_and_stays_json),
		cmocka_unit_test(errno_is_kept),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
