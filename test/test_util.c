/* Errors, bounded buffers, lines in every chunk size, times, numbers, names, backoff. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

static clockid_t asked;

/* In the place of libc's. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): glibc has them in __ */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	asked = id;
	return (int)syscall(SYS_clock_gettime, id, ts);
}

/* Evidence ages while the machine sleeps: CLOCK_MONOTONIC would stand still. */
static void the_clock_goes_on_while_the_machine_sleeps(void **state)
{
	(void)state;
	assert_true(now_ms() > 0);
	assert_int_equal(asked, CLOCK_BOOTTIME);
}

static void the_first_cause_wins(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(err_set(&err, EINVAL, "first %d", 1), -EINVAL);
	assert_int_equal(err_set(&err, ENOMEM, "second"), -ENOMEM);
	assert_int_equal(err.code, EINVAL);
	assert_string_equal(err.msg, "first 1");
	assert_int_equal(err_set(NULL, EIO, "nobody listens"), -EIO);
}

static void buffers_keep_their_limit(void **state)
{
	struct buf b = { .max = 5 };

	(void)state;
	assert_int_equal(buf_append(&b, "abc", 3), 0);
	assert_int_equal(buf_append(&b, "def", 3), -EFBIG);
	assert_string_equal(b.data, "abc"); /* as it was */
	assert_int_equal(buf_printf(&b, "%s", "def"), -EFBIG);
	assert_int_equal(buf_append(&b, "de", 2), 0);
	assert_string_equal(b.data, "abcde");
	assert_int_equal(buf_append(&b, "", 0), 0);
	buf_reset(&b);
	assert_int_equal(buf_printf(&b, "%d", 12345), 0);
	assert_string_equal(b.data, "12345");
	buf_fini(&b);
	assert_int_equal(buf_append(&b, "again", 5), 0);
	buf_fini(&b);

	struct buf big = { .max = SIZE_MAX };
	assert_int_equal(buf_append(&big, "x", 1), 0);
	buf_fini(&big);
}

static int collect(void *arg, const char *line, size_t len)
{
	struct buf *b = arg;

	assert_int_equal(strlen(line), len);
	if (strcmp(line, "stop") == 0)
		return -ECANCELED;
	assert_int_equal(buf_printf(b, "%s|", line), 0);
	return 0;
}

/* Feeds @in in steps of @step; returns how many calls said that a line was too long. */
static int feed(const char *in, size_t step, struct buf *out)
{
	struct lines l = { .tail.max = 8 };
	int          too_long = 0;

	for (size_t i = 0, n = strlen(in); i < n; i += step) {
		int r = lines_feed(&l, in + i, n - i < step ? n - i : step, collect, out);
		assert_true(r == 0 || r == -EFBIG);
		too_long += r == -EFBIG;
	}
	lines_fini(&l);
	return too_long;
}

static void lines_in_every_chunk_size(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "one\ntwo\n\n\nthree\nfour", "one|two|three|" },
		{ "\n\n", "" },
		{ "12345678\n1234567\n", "12345678|1234567|" }, /* exactly the limit */
		{ "", "" },
		{ "no end", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t step = 1; step <= strlen(rows[i].in) + 1; step++) {
			struct buf out = { .max = 1000 };

			assert_int_equal(feed(rows[i].in, step, &out), 0);
			assert_string_equal(out.data ? out.data : "", rows[i].want);
			buf_fini(&out);
		}
}

/* A line that is too long is dropped; what stands behind it, in later chunks, is read. */
static void too_long_a_line_does_not_jam(void **state)
{
	(void)state;
	for (size_t step = 1; step <= 8; step++) {
		struct buf out = { .max = 1000 };

		assert_int_equal(
			feed("ok\n123456789012345678901234567890\nafter\nend\n", step, &out), 1);
		assert_non_null(strstr(out.data, "ok|"));
		assert_non_null(strstr(out.data, "end|"));
		assert_null(strstr(out.data, "9"));
		buf_fini(&out);
	}
}

static void a_handler_can_stop(void **state)
{
	struct lines l = { .tail.max = 100 };
	struct buf   out = { .max = 100 };

	(void)state;
	assert_int_equal(lines_feed(&l, "a\nstop\nb\n", 9, collect, &out), -ECANCELED);
	assert_string_equal(out.data, "a|");
	lines_fini(&l);
	buf_fini(&out);
}

static void rfc3339(void **state)
{
	static const struct {
		const char *text;
		int         status;
		int64_t     ms;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0, 0 },
		{ "2026-11-24T00:33:30Z", 0, 1795480410000 },
		{ "2026-11-24t00:33:30z", 0, 1795480410000 },
		{ "2026-11-24T00:33:30.5Z", 0, 1795480410500 },
		{ "2026-11-24T00:33:30.123456789Z", 0, 1795480410123 },
		{ "2026-11-24T01:33:30+01:00", 0, 1795480410000 },
		{ "2026-11-23T23:03:30-01:30", 0, 1795480410000 },
		{ "2024-02-29T00:00:00Z", 0, 1709164800000 },
		{ "2026-02-29T00:00:00Z", -EINVAL, 0 },
		{ "2026-13-01T00:00:00Z", -EINVAL, 0 },
		{ "2026-00-01T00:00:00Z", -EINVAL, 0 },
		{ "2026-11-24T24:00:00Z", -EINVAL, 0 },
		{ "2026-11-24T00:60:00Z", -EINVAL, 0 },
		{ "2026-11-24T00:00:60Z", -EINVAL, 0 },
		{ "2026-11-24T00:00:00", -EINVAL, 0 },
		{ "2026-11-24T00:00:00.Z", -EINVAL, 0 },
		{ "2026-11-24T00:00:00+1:00", -EINVAL, 0 },
		{ "2026-11-24T00:00:00+24:00", -EINVAL, 0 },
		{ "2026-11-24T00:00:00Z ", -EINVAL, 0 },
		{ "2026-11-24 00:00:00Z", -EINVAL, 0 },
		{ "26-11-24T00:00:00Z", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
	};
	char text[RFC3339_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t ms = -7;

		print_message("  '%s'\n", rows[i].text);
		assert_int_equal(rfc3339_parse(rows[i].text, &ms), rows[i].status);
		assert_true(ms == (rows[i].status ? -7 : rows[i].ms));
	}
	rfc3339_format(text, 1795480410123, true);
	assert_string_equal(text, "2026-11-24T00:33:30.123Z");
	rfc3339_format(text, 1795480410123, false);
	assert_string_equal(text, "2026-11-24T00:33:30Z");
}

static void seconds(void **state)
{
	static const struct {
		const char *text;
		int         status;
		int64_t     ms;
	} rows[] = {
		{ "10", 0, 10000 },
		{ "0.05", 0, 50 },
		{ "0.050", 0, 50 },
		{ "0.0500000", 0, 50 },
		{ "3600", 0, 3600000 },
		{ "3600.000", 0, 3600000 },
		{ "007", 0, 7000 },
		{ "0.0501", -EINVAL, 0 },
		{ "0.049", -ERANGE, 0 },
		{ "3600.001", -ERANGE, 0 },
		{ "0", -ERANGE, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1.", -EINVAL, 0 },
		{ ".5", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
		{ "1s", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "99999999999999999999999999", -ERANGE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t ms = -7;

		print_message("  '%s'\n", rows[i].text);
		assert_int_equal(parse_seconds(rows[i].text, 50, 3600000, &ms), rows[i].status);
		assert_true(ms == (rows[i].status ? -7 : rows[i].ms));
	}
}

static void whole_numbers(void **state)
{
	static const struct {
		const char *text;
		int         status;
		uint32_t    n;
	} rows[] = {
		{ "1", 0, 1 },
		{ "10000", 0, 10000 },
		{ "005", 0, 5 },
		{ "0", -ERANGE, 0 },
		{ "10001", -ERANGE, 0 },
		{ "-5", -EINVAL, 0 },
		{ " 5", -EINVAL, 0 },
		{ "5 ", -EINVAL, 0 },
		{ "5.0", -EINVAL, 0 },
		{ "0x5", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "five", -EINVAL, 0 },
		{ "4294967301", -ERANGE, 0 },
		{ "99999999999999999999999", -ERANGE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t n = 77;

		print_message("  '%s'\n", rows[i].text);
		assert_int_equal(parse_u32(rows[i].text, 1, 10000, &n), rows[i].status);
		assert_int_equal(n, rows[i].status ? 77 : rows[i].n);
	}
}

static void names(void **state)
{
	static const char *const good[] = {
		"a",
		"1",
		"12-70788",
		"grpc-job-12-70788",
		"a.b",
		"a--b",
		"123456789012345678901234567890123456789012345678901234567890123"
	};
	static const char *const bad[] = {
		"",
		"-a",
		"a-",
		".a",
		"a.",
		"a..b",
		"a.-b",
		"a-.b",
		"A",
		"a_b",
		"a/b",
		"..",
		"a%2f",
		"a b",
		"a\n",
		"\xc3\xa4",
		"1234567890123456789012345678901234567890123456789012345678901234"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		print_message("  good '%s'\n", good[i]);
		assert_true(is_rfc1123_name(good[i], 63));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		print_message("  bad '%s'\n", bad[i]);
		assert_false(is_rfc1123_name(bad[i], 63));
	}
}

static void names_are_never_cut(void **state)
{
	char dst[4] = "old";

	(void)state;
	assert_int_equal(copy_str(dst, sizeof(dst), "four"), -ENAMETOOLONG);
	assert_string_equal(dst, "old");
	assert_int_equal(copy_str(dst, sizeof(dst), "new"), 0);
	assert_string_equal(dst, "new");
}

static void backoff_between_half_a_second_and_thirty(void **state)
{
	static const struct {
		unsigned attempt;
		uint32_t least, most;
	} rows[] = { { 0, 500, 1000 },    { 1, 1000, 2000 },   { 4, 8000, 16000 },
		     { 5, 15000, 30000 }, { 6, 15000, 30000 }, { 4000000000U, 15000, 30000 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(backoff_ms(rows[i].attempt, 0), rows[i].least);
		for (uint32_t rnd = 0; rnd < 100000; rnd += 777) {
			uint32_t ms = backoff_ms(rows[i].attempt, rnd);
			assert_in_range(ms, rows[i].least, rows[i].most);
		}
		assert_int_equal(backoff_ms(rows[i].attempt, rows[i].least), rows[i].most);
	}
}

static void files(void **state)
{
	struct buf b = { .max = 10 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(read_file("/nonexistent/token", &b, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent/token"));
	err = (struct err){ 0 };
	assert_int_equal(read_file("/proc/self/maps", &b, &err), -EFBIG);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_clock_goes_on_while_the_machine_sleeps),
		cmocka_unit_test(the_first_cause_wins),
		cmocka_unit_test(buffers_keep_their_limit),
		cmocka_unit_test(lines_in_every_chunk_size),
		cmocka_unit_test(too_long_a_line_does_not_jam),
		cmocka_unit_test(a_handler_can_stop),
		cmocka_unit_test(rfc3339),
		cmocka_unit_test(seconds),
		cmocka_unit_test(whole_numbers),
		cmocka_unit_test(names),
		cmocka_unit_test(names_are_never_cut),
		cmocka_unit_test(backoff_between_half_a_second_and_thirty),
		cmocka_unit_test(files),
	};

	return cmocka_run_group_tests_name("util", tests, NULL, NULL);
}
