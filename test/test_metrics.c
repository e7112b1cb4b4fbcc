/* Quantities to nanocores, and PodMetricsLists: those recorded, and each trap. */
#include "unit.h"

#include "../metrics.h"
#include "recording.h"

static const struct {
	const char *text;
	int         status;
	int64_t     nanocores;
} quantity_rows[] = {
	{ "0", 0, 0 },
	{ "00", 0, 0 },
	{ "-0", 0, 0 },
	{ "1", 0, 1000000000 },
	{ "+1", 0, 1000000000 },
	{ "0010", 0, 10000000000 },
	{ "1n", 0, 1 },
	{ "499990833n", 0, 499990833 },
	{ "2500u", 0, 2500000 },
	{ "2m", 0, 2000000 },
	{ "0.004", 0, 4000000 },
	{ ".5", 0, 500000000 },
	{ "5.", 0, 5000000000 },
	{ "0.5m", 0, 500000 },
	{ "1k", 0, 1000000000000 },
	{ "1M", 0, 1000000000000000 },
	{ "9G", 0, 9000000000000000000 },
	{ "1Ki", 0, 1024000000000 },
	{ "0.5Ki", 0, 512000000000 },
	{ "1Mi", 0, 1048576000000000 },
	{ "1e3", 0, 1000000000000 },
	{ "1E3", 0, 1000000000000 },
	{ "1e+3", 0, 1000000000000 },
	{ "1e-3", 0, 1000000 },
	{ "5E-3", 0, 5000000 },
	{ "1e-9", 0, 1 },
	{ "9223372036.854775807", 0, INT64_MAX },
	{ "9223372036854775807n", 0, INT64_MAX },
	{ "0.000001T", 0, 1000000000000000 },
	{ "0.000001P", 0, 1000000000000000000 },
	{ "0.000000001E", 0, 1000000000000000000 },
	{ "1Gi", 0, 1073741824000000000 },
	{ "0.001Ti", 0, 1099511627776000000 },
	{ "0.000001Pi", 0, 1125899906842624000 },
	{ "0.000000001Ei", 0, 1152921504606846976 },
	{ "1000000000000e-12", 0, 1000000000 },
	{ "1.0n", 0, 1 },
	/* finer than a nanocore: rounded up, as the API does */
	{ "0.1n", 0, 1 },
	{ "1.5n", 0, 2 },
	{ "0.0000000001", 0, 1 },
	{ "1e-100", 0, 1 },
	{ "1e-999999999999", 0, 1 },
	{ "0e999999", 0, 0 },
	{ "1.00000000000000000000000001", 0, 1000000001 },
	{ "1.000000000000000000000000010", 0, 1000000001 },
	{ "0.00000000000000000000000000000000000000001Ki", 0, 1 },
	/* too much */
	{ "1E", -ERANGE, 0 },
	{ "1Ei", -ERANGE, 0 },
	{ "10G", -ERANGE, 0 },
	{ "9223372036854775808n", -ERANGE, 0 },
	{ "9223372036.8547758071", -ERANGE, 0 },
	{ "1e10", -ERANGE, 0 },
	{ "1e999999999999", -ERANGE, 0 },
	{ "99999999999999999999999999999999999999999999999", -ERANGE, 0 },
	/* no quantities, or no reading */
	{ "", -EINVAL, 0 },
	{ "-", -EINVAL, 0 },
	{ ".", -EINVAL, 0 },
	{ "m", -EINVAL, 0 },
	{ "-513m", -EINVAL, 0 },
	{ "-1e-100", -EINVAL, 0 },
	{ "1x", -EINVAL, 0 },
	{ "1 m", -EINVAL, 0 },
	{ " 1m", -EINVAL, 0 },
	{ "1m ", -EINVAL, 0 },
	{ "1mm", -EINVAL, 0 },
	{ "1.2.3", -EINVAL, 0 },
	{ "1K", -EINVAL, 0 },
	{ "1ki", -EINVAL, 0 },
	{ "1e", -EINVAL, 0 },
	{ "1e+", -EINVAL, 0 },
	{ "1e3m", -EINVAL, 0 },
	{ "1e3.5", -EINVAL, 0 },
	{ "0x10", -EINVAL, 0 },
	{ "nan", -EINVAL, 0 },
	{ "++1", -EINVAL, 0 },
};

static void quantities(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(quantity_rows); i++) {
		int64_t n = -7;

		print_message("  '%s'\n", quantity_rows[i].text);
		assert_int_equal(cpu_parse(quantity_rows[i].text, &n), quantity_rows[i].status);
		assert_true(n == (quantity_rows[i].status ? -7 : quantity_rows[i].nanocores));
	}
}

static void a_long_quantity_ends(void **state)
{
	static char text[100001];
	int64_t     n;

	(void)state;
	memset(text, '9', sizeof(text) - 1);
	assert_int_equal(cpu_parse(text, &n), -ERANGE);
	text[1] = '.';
	assert_int_equal(cpu_parse(text, &n), 0);
	assert_true(n == 10000000000);
	memset(text, '0', 201);
	text[0] = '1';
	memcpy(text + 201, "e-200", 6);
	assert_int_equal(cpu_parse(text, &n), 0);
	assert_true(n == 1000000000);
}

static void thresholds(void **state)
{
	static const struct {
		const char *text;
		int         status;
		int64_t     nanocores;
	} rows[] = {
		{ "4", 0, 4000000 },      { "0", 0, 0 },
		{ "0.5", 0, 500000 },     { "4m", 0, 4000000 },
		{ "250000n", 0, 250000 }, { "500u", 0, 500000 },
		{ "1e-3", 0, 1000000 },   { "1k", 0, 1000000000000 },
		{ "-4", -EINVAL, 0 },     { "-4m", -EINVAL, 0 },
		{ "four", -EINVAL, 0 },   { "", -EINVAL, 0 },
		{ "4 ", -EINVAL, 0 },     { "99999999999999", -ERANGE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t n = -7;

		print_message("  '%s'\n", rows[i].text);
		assert_int_equal(cpu_parse_threshold(rows[i].text, &n), rows[i].status);
		assert_true(n == (rows[i].status ? -7 : rows[i].nanocores));
	}
}

static void formats(void **state)
{
	static const struct {
		int64_t     nanocores;
		const char *want;
	} rows[] = { { 0, "0m" },
		     { 2000000, "2m" },
		     { 500000, "0.5m" },
		     { 1, "0.000001m" },
		     { 499990833, "499.990833m" },
		     { 10000000, "10m" },
		     { INT64_MAX, "9223372036854.775807m" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[CPU_TEXT_SIZE];

		cpu_format(text, rows[i].nanocores);
		assert_string_equal(text, rows[i].want);
	}
}

static void recorded_metrics(void **state)
{
	static const char *const versions[] = { "1.26", "1.34" };
	static const struct {
		const char *recording;
		int         status;
		size_t      pods;
		int64_t     least, most; /* the sum */
	} rows[] = {
		{ "metrics-idle", 0, 1, 0, 4000000 },
		{ "metrics-busy", 0, 1, 1400000000, 1600000000 },
		{ "metrics-zero", 0, 1, 0, 0 },
		{ "metrics-none-yet", 0, 0, 0, 0 },
		{ "metrics-after-exit", 0, 0, 0, 0 },
		{ "metrics-api-absent", -EBADMSG, 0, 0, 0 },
		{ "metrics-server-down", -EBADMSG, 0, 0, 0 },
		{ "metrics-forbidden", -EBADMSG, 0, 0, 0 },
	};

	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(versions); v++)
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct pod_metrics m = { 0 };
			struct err         err = { 0 };
			char              *body = recording_body(versions[v], rows[i].recording);

			print_message("  %s %s\n", versions[v], rows[i].recording);
			assert_int_equal(pod_metrics_decode(body, strlen(body), &m, &err),
					 rows[i].status);
			assert_int_equal(m.pods, rows[i].pods);
			assert_true(m.nanocores >= rows[i].least && m.nanocores <= rows[i].most);
			assert_int_equal(m.oldest_ms > 0, rows[i].pods > 0);
			assert_int_equal(m.container_count, 2 * rows[i].pods);
			pod_metrics_fini(&m);
			free(body);
		}
}

#define LIST(items) "{\"kind\":\"PodMetricsList\",\"items\":[" items "]}"
#define ITEM(name, at, c)                                                                          \
	"{\"metadata\":{\"name\":\"" name "\"},\"timestamp\":" at ",\"containers\":" c "}"
#define C(name, cpu) "{\"name\":\"" name "\",\"usage\":{\"cpu\":" cpu "}}"
#define AT           "\"2026-11-24T00:00:10Z\""
#define EARLIER      "\"2026-11-24T00:00:05Z\""

static const struct {
	const char *name, *body;
	int         status;
	int64_t     nanocores;
} made_metrics_rows[] = {
	{ "two pods",
	  LIST(ITEM("p", AT, "[" C("a", "\"1m\"") "," C("b", "\"500u\"") "]") "," ITEM(
		  "q", EARLIER, "[" C("a", "\"1n\"") "]")),
	  0, 1500001 },
	{ "no items", LIST(""), 0, 0 },
	{ "items null", "{\"kind\":\"PodMetricsList\",\"items\":null}", 0, 0 },
	{ "one bad quantity spoils the sum",
	  LIST(ITEM("p", AT, "[" C("a", "\"1m\"") "," C("b", "\"1x\"") "]")), -EBADMSG, 0 },
	{ "negative", LIST(ITEM("p", AT, "[" C("a", "\"-513m\"") "]")), -EBADMSG, 0 },
	{ "overflow of one", LIST(ITEM("p", AT, "[" C("a", "\"1E\"") "]")), -EBADMSG, 0 },
	{ "overflow of the sum", LIST(ITEM("p", AT, "[" C("a", "\"9G\"") "," C("b", "\"9G\"") "]")),
	  -EBADMSG, 0 },
	{ "cpu a number", LIST(ITEM("p", AT, "[" C("a", "1") "]")), -EBADMSG, 0 },
	{ "cpu null", LIST(ITEM("p", AT, "[" C("a", "null") "]")), -EBADMSG, 0 },
	{ "no usage", LIST(ITEM("p", AT, "[{\"name\":\"a\"}]")), -EBADMSG, 0 },
	/* the pod's own total, and its sandbox: no containers */
	{ "an entry without a name",
	  LIST(ITEM("p", AT, "[" C("a", "\"1m\"") ",{\"usage\":{\"cpu\":\"9m\"}}]")), 0, 1000000 },
	{ "a name that is null",
	  LIST(ITEM("p", AT, "[" C("a", "\"1m\"") ",{\"name\":null,\"usage\":{\"cpu\":\"9m\"}}]")),
	  0, 1000000 },
	{ "an empty name", LIST(ITEM("p", AT, "[" C("a", "\"1m\"") "," C("", "\"9m\"") "]")), 0,
	  1000000 },
	{ "the sandbox", LIST(ITEM("p", AT, "[" C("POD", "\"9m\"") "," C("a", "\"1m\"") "]")), 0,
	  1000000 },
	{ "the sandbox without cpu",
	  LIST(ITEM("p", AT, "[{\"name\":\"POD\"}," C("a", "\"1m\"") "]")), 0, 1000000 },
	{ "only an entry without a name", LIST(ITEM("p", AT, "[{\"usage\":{\"cpu\":\"1m\"}}]")),
	  -EBADMSG, 0 },
	{ "only the sandbox", LIST(ITEM("p", AT, "[" C("POD", "\"1m\"") "]")), -EBADMSG, 0 },
	{ "a name of another type", LIST(ITEM("p", AT, "[" C("a", "\"1m\"") ",{\"name\":1}]")),
	  -EBADMSG, 0 },
	{ "a container that is no object", LIST(ITEM("p", AT, "[" C("a", "\"1m\"") ",1]")),
	  -EBADMSG, 0 },
	/* what comes twice counts once, with the larger value */
	{ "a container twice, the larger last",
	  LIST(ITEM("p", AT, "[" C("a", "\"1m\"") "," C("a", "\"3m\"") "]")), 0, 3000000 },
	{ "a container twice, the larger first",
	  LIST(ITEM("p", AT, "[" C("a", "\"3m\"") "," C("a", "\"1m\"") "]")), 0, 3000000 },
	{ "a pod twice",
	  LIST(ITEM("p", AT, "[" C("a", "\"1m\"") "]") "," ITEM("p", EARLIER,
								"[" C("a", "\"2m\"") "]")),
	  0, 2000000 },
	{ "another container of a pod that comes twice",
	  LIST(ITEM("p", AT, "[" C("a", "\"1m\"") "]") "," ITEM("p", EARLIER,
								"[" C("b", "\"2m\"") "]")),
	  0, 3000000 },
	{ "one name in two pods",
	  LIST(ITEM("p", AT, "[" C("a", "\"1m\"") "]") "," ITEM("q", AT, "[" C("a", "\"2m\"") "]")),
	  0, 3000000 },
	/* the metrics of one pod, by its name */
	{ "one pod",
	  "{\"kind\":\"PodMetrics\",\"metadata\":{\"name\":\"p\"},\"timestamp\":" AT
	  ",\"containers\":[" C("a", "\"1m\"") "]}",
	  0, 1000000 },
	{ "one pod without containers",
	  "{\"kind\":\"PodMetrics\",\"metadata\":{\"name\":\"p\"},\"timestamp\":" AT "}", -EBADMSG,
	  0 },
	{ "item without a name",
	  LIST("{\"timestamp\":" AT ",\"containers\":[" C("a", "\"1m\"") "]}"), -EBADMSG, 0 },
	{ "item with an empty name", LIST(ITEM("", AT, "[" C("a", "\"1m\"") "]")), -EBADMSG, 0 },
	{ "containers empty", LIST(ITEM("p", AT, "[]")), -EBADMSG, 0 },
	{ "containers null", LIST(ITEM("p", AT, "null")), -EBADMSG, 0 },
	{ "containers empty in the second pod",
	  LIST(ITEM("p", AT, "[" C("a", "\"1m\"") "]") "," ITEM("q", AT, "[]")), -EBADMSG, 0 },
	{ "timestamp null", LIST(ITEM("p", "null", "[" C("a", "\"1m\"") "]")), -EBADMSG, 0 },
	{ "timestamp no time", LIST(ITEM("p", "\"now\"", "[" C("a", "\"1m\"") "]")), -EBADMSG, 0 },
	{ "item no object", LIST("1"), -EBADMSG, 0 },
	{ "items an object", "{\"kind\":\"PodMetricsList\",\"items\":{}}", -EBADMSG, 0 },
	{ "no items at all", "{\"kind\":\"PodMetricsList\"}", -EBADMSG, 0 },
	{ "another kind", "{\"kind\":\"PodList\",\"items\":[]}", -EBADMSG, 0 },
	{ "duplicate keys", "{\"kind\":\"PodMetricsList\",\"items\":[],\"items\":[]}", -EBADMSG,
	  0 },
	{ "cut off", "{\"kind\":\"PodMetricsList\",\"items\":[", -EBADMSG, 0 },
	{ "text", "error trying to reach service", -EBADMSG, 0 },
	{ "empty", "", -EBADMSG, 0 },
	{ "null", "null", -EBADMSG, 0 },
};

static void made_metrics(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(made_metrics_rows); i++) {
		struct pod_metrics m = { 0 };
		struct err         err = { 0 };

		print_message("  %s\n", made_metrics_rows[i].name);
		assert_int_equal(pod_metrics_decode(made_metrics_rows[i].body,
						    strlen(made_metrics_rows[i].body), &m, &err),
				 made_metrics_rows[i].status);
		assert_true(m.nanocores == made_metrics_rows[i].nanocores);
		assert_int_equal(err.msg[0] != '\0', made_metrics_rows[i].status < 0);
		if (strcmp(made_metrics_rows[i].name, "cut off") == 0)
			assert_string_not_equal(err.msg, "not a PodMetricsList");
		pod_metrics_fini(&m);
	}
}

static void names_and_the_oldest_sample(void **state)
{
	static const char  body[] = LIST(ITEM("p", AT, "[" C("a", "\"0\"") "]") "," ITEM(
		 "q", EARLIER, "[" C("b", "\"0\"") "]"));
	struct pod_metrics m = { 0 };
	int64_t            earlier_ms;

	(void)state;
	assert_int_equal(pod_metrics_decode(body, strlen(body), &m, NULL), 0);
	assert_int_equal(rfc3339_parse("2026-11-24T00:00:05Z", &earlier_ms), 0);
	assert_true(m.oldest_ms == earlier_ms);
	assert_true(pod_metrics_has(&m, "p", "a"));
	assert_true(pod_metrics_has(&m, "q", "b"));
	assert_false(pod_metrics_has(&m, "p", "b"));
	assert_false(pod_metrics_has(&m, "p", ""));
	pod_metrics_fini(&m);
}

static struct pod_metrics decoded(const char *body)
{
	struct pod_metrics m = { 0 };
	struct err         err = { 0 };

	assert_int_equal(pod_metrics_decode(body, strlen(body), &m, &err), 0);
	return m;
}

/* Pods are counted, not items; a set of them has a digest that does not depend on the order. */
static void different_pods(void **state)
{
#define P(name) ITEM(name, AT, "[" C("a", "\"0\"") "]")
	static const struct {
		const char *body;
		size_t      pods;
		bool        same; /* the set {p, q} */
	} rows[] = {
		{ LIST(P("p") "," P("q")), 2, true },
		{ LIST(P("q") "," P("p")), 2, true },
		{ LIST(P("p") "," P("q") "," P("p")), 2, true },
		{ LIST(P("p") "," P("p")), 1, false },
		{ LIST(P("p")), 1, false },
		{ LIST(P("q")), 1, false },
		{ LIST(P("p") "," P("r")), 2, false },
		{ LIST(""), 0, false },
		{ LIST(P("pq")), 1, false },
	};

	(void)state;
	struct pod_metrics want = decoded(rows[0].body);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pod_metrics m = decoded(rows[i].body);

		print_message("  %s\n", rows[i].body);
		assert_int_equal(m.pods, rows[i].pods);
		assert_int_equal(m.pod_set == want.pod_set, rows[i].same);
		assert_int_equal(m.pod_set == 0, m.pods == 0);
		pod_metrics_fini(&m);
	}
	pod_metrics_fini(&want);
#undef P
}

/* A sample's window, as Go writes a duration; what cannot be read is none. */
static void windows(void **state)
{
	static const struct {
		const char *text; /* with its quotes */
		int64_t     ms;
	} rows[] = {
		{ "\"15s\"", 15000 },
		{ "\"15.089s\"", 15089 },
		{ "\"1m0s\"", 60000 },
		{ "\"1m1.5s\"", 61500 },
		{ "\"10m0s\"", 600000 },
		{ "\"10m0.001s\"", 600000 }, /* no longer than that is believed */
		{ "\"1h0m0s\"", 600000 },
		{ "\"0.01h\"", 36000 },
		{ "\"250ms\"", 250 },
		{ "\"0s\"", 0 },
		{ "\"\"", 0 },
		{ "null", 0 },
		{ "15", 0 },
		{ "\"15\"", 0 },
		{ "\"-15s\"", 0 },
		{ "\"+15s\"", 0 },
		{ "\"s\"", 0 },
		{ "\"15s1\"", 0 },
		{ "\"15x\"", 0 },
		{ "\"nans\"", 0 },
		{ "\" 15s\"", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char body[300];

		print_message("  %s\n", rows[i].text);
		(void)snprintf(body, sizeof(body),
			       "{\"kind\":\"PodMetrics\",\"metadata\":{\"name\":\"p\"},"
			       "\"window\":%s,\"timestamp\":" AT
			       ",\"containers\":[" C("a", "\"1m\"") "]}",
			       rows[i].text);
		struct pod_metrics m = decoded(body);
		assert_int_equal(m.window_ms, rows[i].ms);
		pod_metrics_fini(&m);
	}
}

#define ONE(name, at, window, cpu)                                                                 \
	"{\"metadata\":{\"name\":\"" name "\"},\"timestamp\":" at ",\"window\":\"" window          \
	"\",\"containers\":[" C("a", cpu) "]}"

/* The longest window counts, and the oldest sample, wherever in the list. */
static void the_worst_of_all_samples(void **state)
{
	static const char *const rows[] = {
		LIST(ONE("p", AT, "15s", "\"1\"") "," ONE("q", EARLIER, "60s", "\"1\"")),
		LIST(ONE("p", EARLIER, "60s", "\"1\"") "," ONE("q", AT, "15s", "\"1\"")),
		LIST(ONE("p", EARLIER, "60s", "\"1\"") "," ONE("p", AT, "15s", "\"1\"")),
		LIST(ONE("p", AT, "15s", "\"1\"") "," ONE("p", EARLIER, "60s", "\"1\"")),
	};
	int64_t earlier_ms;

	(void)state;
	assert_int_equal(rfc3339_parse("2026-11-24T00:00:05Z", &earlier_ms), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pod_metrics m = decoded(rows[i]);

		assert_int_equal(m.window_ms, 60000);
		assert_true(m.oldest_ms == earlier_ms);
		pod_metrics_fini(&m);
	}
}

/* Readings pod by pod make the same as one list of them. */
static void joined(void **state)
{
	static const char *const one[] = {
		LIST(ONE("p", AT, "15s", "\"1m\"")),
		LIST(ONE("q", EARLIER, "60s", "\"2m\"")),
		LIST(ONE("r", AT, "15s", "\"4m\"")),
	};
	struct pod_metrics sum = { 0 }, all = decoded(LIST(ONE("p", AT, "15s", "\"1m\"") "," ONE(
						"q", EARLIER, "60s",
						"\"2m\"") "," ONE("r", AT, "15s", "\"4m\"")));

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(one); i++) {
		struct pod_metrics m = decoded(one[i]);

		assert_int_equal(pod_metrics_join(&sum, &m), 0);
		assert_true(m.containers == NULL && m.pods == 0);
	}
	assert_int_equal(sum.pods, all.pods);
	assert_int_equal(sum.container_count, all.container_count);
	assert_true(sum.pod_set == all.pod_set && sum.nanocores == all.nanocores);
	assert_true(sum.oldest_ms == all.oldest_ms && sum.window_ms == all.window_ms);
	assert_true(pod_metrics_has(&sum, "p", "a") && pod_metrics_has(&sum, "r", "a"));

	struct pod_metrics most = decoded(LIST(ONE("s", AT, "15s", "\"9223372036847775807n\"")));
	assert_int_equal(pod_metrics_join(&sum, &most), 0); /* to the last nanocore */
	struct pod_metrics drop = decoded(LIST(ONE("t", AT, "15s", "\"1n\"")));
	assert_int_equal(pod_metrics_join(&sum, &drop), -EBADMSG);
	assert_true(drop.containers == NULL);
	assert_int_equal(sum.pods, 4);
	assert_int_equal(sum.container_count, 4);
	pod_metrics_fini(&sum);
	pod_metrics_fini(&all);
}

static int allocations_left;

static void *failing_malloc(size_t n)
{
	return allocations_left-- > 0 ? malloc(n) : NULL;
}

static void out_of_memory(void **state)
{
	char *body = recording_body("1.34", "metrics-busy");
	int   r = -1;

	(void)state;
	json_set_alloc_funcs(failing_malloc, free);
	for (int n = 0; r < 0; n++) {
		struct pod_metrics m = { 0 };

		assert_true(n < 10000);
		allocations_left = n;
		r = pod_metrics_decode(body, strlen(body), &m, NULL);
		pod_metrics_fini(&m);
	}
	json_set_alloc_funcs(malloc, free);
	free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantities),
		cmocka_unit_test(a_long_quantity_ends),
		cmocka_unit_test(thresholds),
		cmocka_unit_test(formats),
		cmocka_unit_test(recorded_metrics),
		cmocka_unit_test(made_metrics),
		cmocka_unit_test(names_and_the_oldest_sample),
		cmocka_unit_test(different_pods),
		cmocka_unit_test(windows),
		cmocka_unit_test(the_worst_of_all_samples),
		cmocka_unit_test(joined),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
