#include "metrics.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

/* ---- Quantities ---- */

__extension__ typedef unsigned __int128 u128;

#define MANTISSA_LIMIT UINT64_C(1000000000000000000) /* then 64 bits, and 60 of a suffix, fit */
#define EXPONENT_LIMIT 1000                          /* beyond it all is zero or too much */

/* mantissa * 10^exp10, and whether anything below the mantissa was dropped. */
struct decimal {
	u128 mantissa;
	int  exp10;
	bool rest;
};

static void take_digit(struct decimal *d, char c, bool fraction)
{
	if (d->mantissa >= MANTISSA_LIMIT) {
		d->rest |= c != '0';
		d->exp10 += fraction || d->exp10 > EXPONENT_LIMIT ? 0 : 1;
		return;
	}
	d->mantissa = d->mantissa * 10 + (unsigned)(c - '0');
	d->exp10 -= fraction ? 1 : 0;
}

/* Digits with at most one point among them; returns what follows, NULL without any digit. */
static const char *take_number(const char *s, struct decimal *d)
{
	bool any = false, fraction = false;

	for (;; s++) {
		if (isdigit((unsigned char)*s)) {
			take_digit(d, *s, fraction);
			any = true;
		} else if (*s == '.' && !fraction) {
			fraction = true;
		} else {
			return any ? s : NULL;
		}
	}
}

/* e3, E-3: a sign and digits behind the letter, and nothing behind them. */
static bool take_exponent(const char *s, struct decimal *d)
{
	int exp = 0, sign = s[1] == '-' ? -1 : 1;

	if (s[0] != 'e' && s[0] != 'E')
		return false;
	s += s[1] == '-' || s[1] == '+' ? 2 : 1;
	if (!isdigit((unsigned char)*s))
		return false;
	for (; isdigit((unsigned char)*s); s++)
		if (exp < EXPONENT_LIMIT)
			exp = exp * 10 + (*s - '0');
	d->exp10 += sign * exp;
	return *s == '\0';
}

static bool take_suffix(const char *s, struct decimal *d)
{
	static const struct {
		char text[3];
		int  exp10, exp2;
	} suffixes[] = {
		{ "n", -9, 0 },  { "u", -6, 0 },  { "m", -3, 0 },  { "", 0, 0 },
		{ "k", 3, 0 },   { "M", 6, 0 },   { "G", 9, 0 },   { "T", 12, 0 },
		{ "P", 15, 0 },  { "E", 18, 0 },  { "Ki", 0, 10 }, { "Mi", 0, 20 },
		{ "Gi", 0, 30 }, { "Ti", 0, 40 }, { "Pi", 0, 50 }, { "Ei", 0, 60 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (strcmp(s, suffixes[i].text) == 0) {
			d->exp10 += suffixes[i].exp10;
			d->mantissa <<= suffixes[i].exp2;
			return true;
		}
	return take_exponent(s, d);
}

/* The whole number at or above the value, as the API rounds. */
static int round_up(struct decimal d, int64_t *ret)
{
	for (; d.exp10 > 0 && d.mantissa; d.exp10--) {
		if (d.mantissa > INT64_MAX)
			return -ERANGE;
		d.mantissa *= 10;
	}
	for (; d.exp10 < 0 && d.mantissa; d.exp10++) {
		d.rest |= d.mantissa % 10 != 0;
		d.mantissa /= 10;
	}
	d.mantissa += d.rest;
	if (d.mantissa > INT64_MAX)
		return -ERANGE;
	*ret = (int64_t)d.mantissa;
	return 0;
}

int cpu_parse(const char *s, int64_t *ret_nanocores)
{
	struct decimal d = { 0 };
	bool           negative = *s == '-';

	if (*s == '-' || *s == '+')
		s++;
	s = take_number(s, &d);
	if (!s || !take_suffix(s, &d))
		return -EINVAL;
	if (negative && (d.mantissa || d.rest))
		return -EINVAL; /* metrics-server 0.5.0 had them: it is no reading */
	d.exp10 += 9;
	return round_up(d, ret_nanocores);
}

int cpu_parse_threshold(const char *s, int64_t *ret_nanocores)
{
	struct decimal d = { 0 };
	const char    *end = take_number(s, &d);

	if (!end)
		return -EINVAL;
	if (*end)
		return cpu_parse(s, ret_nanocores);
	d.exp10 += 6; /* a plain number is millicores */
	return round_up(d, ret_nanocores);
}

void cpu_format(char out[CPU_TEXT_SIZE], int64_t nanocores)
{
	int n = snprintf(out, CPU_TEXT_SIZE, "%" PRId64 ".%06" PRId64, nanocores / 1000000,
			 nanocores % 1000000);

	while (n > 0 && out[n - 1] == '0')
		n--;
	if (n > 0 && out[n - 1] == '.')
		n--;
	(void)snprintf(out + n, CPU_TEXT_SIZE - (size_t)n, "m");
}

/* ---- PodMetricsList ---- */

void pod_metrics_fini(struct pod_metrics *m)
{
	for (size_t i = 0; i < m->container_count; i++) {
		free(m->containers[i].pod);
		free(m->containers[i].name);
	}
	free(m->containers);
	*m = (struct pod_metrics){ 0 };
}

static bool has_pod(const struct pod_metrics *m, const char *pod)
{
	for (size_t i = 0; i < m->container_count; i++)
		if (strcmp(m->containers[i].pod, pod) == 0)
			return true;
	return false;
}

static struct metrics_container *find_container(const struct pod_metrics *m, const char *pod,
						const char *name)
{
	for (size_t i = 0; i < m->container_count; i++)
		if (strcmp(m->containers[i].pod, pod) == 0 &&
		    strcmp(m->containers[i].name, name) == 0)
			return &m->containers[i];
	return NULL;
}

bool pod_metrics_has(const struct pod_metrics *m, const char *pod, const char *container)
{
	return find_container(m, pod, container) != NULL;
}

static int add_container(struct pod_metrics *m, const char *pod, const char *name,
			 int64_t nanocores, struct err *err)
{
	struct metrics_container *twice = find_container(m, pod, name);

	if (twice) {
		if (nanocores > twice->nanocores)
			twice->nanocores = nanocores;
		return 0;
	}
	struct metrics_container  c = { strdup(pod), strdup(name), nanocores };
	struct metrics_container *p =
		reallocarray(m->containers, m->container_count + 1, sizeof(*p));
	if (p)
		m->containers = p;
	if (!p || !c.pod || !c.name) {
		free(c.pod);
		free(c.name);
		return err_set(err, ENOMEM, "out of memory");
	}
	m->containers[m->container_count++] = c;
	return 0;
}

static int container_from(const json_t *c, const char *pod, struct pod_metrics *m, struct err *err)
{
	const json_t *entry = json_object_get(c, "name");
	const char   *name = json_string_value(entry);
	const char   *cpu = json_string_value(json_object_get(json_object_get(c, "usage"), "cpu"));
	int64_t       nanocores;

	if (json_is_object(c) && (!entry || json_is_null(entry)))
		return 0;
	if (!json_is_object(c) || !name)
		return err_set(err, EBADMSG, "pod %s: a container of another type", pod);
	if (!name[0] || strcmp(name, "POD") == 0)
		return 0;
	if (!cpu)
		return err_set(err, EBADMSG, "pod %s: a container without cpu", pod);
	if (cpu_parse(cpu, &nanocores) < 0)
		return err_set(err, EBADMSG, "pod %s: cpu '%.40s' is no usable quantity", pod, cpu);
	return add_container(m, pod, name, nanocores, err);
}

/* FNV-1a; sums of it do not depend on the order. */
static uint64_t digest(const char *s)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
	return h;
}

/* `15.089s`, `1m0s`: what a Go duration of more than a millisecond looks like; 0 if it is none. */
static int64_t window_parse(const char *s)
{
	static const struct {
		const char *unit;
		double      ms;
	} units[] = { { "ms", 1 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 } };
	double ms = 0;

	while (s && *s) {
		char  *end = NULL;
		double v = isdigit((unsigned char)*s) ? strtod(s, &end) : 0;
		size_t u = 0;
		while (end && u < ARRAY_SIZE(units) &&
		       strncmp(end, units[u].unit, strlen(units[u].unit)) != 0)
			u++;
		if (!end || u == ARRAY_SIZE(units))
			return 0;
		ms += v * units[u].ms;
		s = end + strlen(units[u].unit);
	}
	return ms < (double)METRICS_MAX_WINDOW_MS ? (int64_t)ms : METRICS_MAX_WINDOW_MS;
}

static int item_from(const json_t *item, struct pod_metrics *m, struct err *err)
{
	const char *pod =
		json_string_value(json_object_get(json_object_get(item, "metadata"), "name"));
	const char   *at = json_string_value(json_object_get(item, "timestamp"));
	const json_t *list = json_object_get(item, "containers");
	json_t       *c;
	size_t        i;
	int64_t       at_ms;

	if (!pod || !pod[0])
		return err_set(err, EBADMSG, "an item without a name");
	if (!at || rfc3339_parse(at, &at_ms) < 0)
		return err_set(err, EBADMSG, "pod %s: no usable timestamp", pod);
	bool twice = has_pod(m, pod);
	json_array_foreach(list, i, c) {
		int r = container_from(c, pod, m, err);
		if (r < 0)
			return r;
	}
	if (!has_pod(m, pod))
		return err_set(err, EBADMSG, "pod %s: no containers", pod);
	int64_t window_ms = window_parse(json_string_value(json_object_get(item, "window")));
	if (window_ms > m->window_ms)
		m->window_ms = window_ms;
	if (!m->pods || at_ms < m->oldest_ms)
		m->oldest_ms = at_ms;
	m->pods += !twice;
	m->pod_set += twice ? 0 : digest(pod);
	return 0;
}

static int sum_up(struct pod_metrics *m, struct err *err)
{
	for (size_t i = 0; i < m->container_count; i++) {
		if (m->containers[i].nanocores > INT64_MAX - m->nanocores)
			return err_set(err, EBADMSG, "the sum of cpu overflows");
		m->nanocores += m->containers[i].nanocores;
	}
	return 0;
}

int pod_metrics_decode(const char *body, size_t len, struct pod_metrics *ret, struct err *err)
{
	struct pod_metrics m = { 0 };
	AUTO_JSON json_t  *root = json_read(body, len, err);
	const char        *kind = json_string_value(json_object_get(root, "kind"));
	const json_t      *items = json_object_get(root, "items");
	json_t            *item;
	size_t             i;
	int                r = 0;

	bool one = kind && strcmp(kind, "PodMetrics") == 0;
	if (!kind || (!one && (strcmp(kind, "PodMetricsList") != 0 ||
			       !(json_is_array(items) || json_is_null(items)))))
		return err_set(err, EBADMSG, "not a PodMetricsList");
	if (one)
		r = item_from(root, &m, err);
	json_array_foreach(items, i, item) {
		r = r < 0 ? r : item_from(item, &m, err);
	}
	r = r < 0 ? r : sum_up(&m, err);
	if (r < 0)
		pod_metrics_fini(&m);
	else
		*ret = m;
	return r;
}

int pod_metrics_join(struct pod_metrics *sum, struct pod_metrics *m)
{
	size_t                    n = sum->container_count + m->container_count;
	struct metrics_container *p = reallocarray(sum->containers, n ? n : 1, sizeof(*p));

	if (p)
		sum->containers = p;
	if (!p || m->nanocores > INT64_MAX - sum->nanocores) {
		pod_metrics_fini(m);
		return -EBADMSG;
	}
	if (m->container_count) /* memcpy() takes no NULL, whatever the size */
		memcpy(p + sum->container_count, m->containers, m->container_count * sizeof(*p));
	sum->container_count = n;
	if (!sum->pods || m->oldest_ms < sum->oldest_ms)
		sum->oldest_ms = m->oldest_ms;
	if (m->window_ms > sum->window_ms)
		sum->window_ms = m->window_ms;
	sum->pods += m->pods;
	sum->pod_set += m->pod_set;
	sum->nanocores += m->nanocores;
	free(m->containers); /* the strings have moved */
	*m = (struct pod_metrics){ 0 };
	return 0;
}

bool pod_metrics_only(struct pod_metrics *m, const char *container)
{
	size_t  pods = 0; /* each has a container but once */
	int64_t sum = 0;  /* no more than that of all */

	for (size_t i = 0; i < m->container_count; i++)
		if (strcmp(m->containers[i].name, container) == 0) {
			sum += m->containers[i].nanocores;
			pods++;
		}
	if (pods < m->pods)
		return false;
	m->nanocores = sum;
	return true;
}

/* ---- Readings and the idle count ---- */

enum reading metrics_judge(const struct pod_metrics *m, int64_t threshold_nanocores,
			   uint32_t active_pods, int64_t date_ms, const char **ret_why)
{
	*ret_why = "";
	if (m->pods == 0)
		*ret_why = "no metrics of the job's pods";
	else if (m->pods < active_pods)
		*ret_why = "metrics of some pods are missing";
	else if (date_ms < 0)
		*ret_why = "the answer has no date";
	else if (date_ms - m->oldest_ms > max_ms(METRICS_MAX_AGE_MS, 2 * m->window_ms))
		*ret_why = "the sample is old";
	else if (m->oldest_ms - date_ms > METRICS_MAX_FUTURE_MS)
		*ret_why = "the sample is from the future";
	else
		return m->nanocores > threshold_nanocores ? READING_ACTIVE : READING_IDLE;
	return READING_UNKNOWN;
}

void idle_count_clear(struct idle_count *c)
{
	*c = (struct idle_count){ 0 };
}

int64_t idle_count_gap_ms(const struct idle_count *c, int64_t interval_ms)
{
	return 3 * max_ms(interval_ms, c->window_ms);
}

/* NULL if a reading may follow those that were counted. */
static const char *why_not_after(const struct idle_count *c, enum reading reading,
				 const struct pod_metrics *m, int64_t at_ms, int64_t interval_ms)
{
	int64_t gap_ms = idle_count_gap_ms(c, interval_ms);

	if (reading == READING_ACTIVE)
		return "active";
	if (at_ms - c->last_ms > gap_ms)
		return "too long without an idle reading";
	if (m && m->pod_set != c->pod_set)
		return "other pods"; /* or none: one whose container starts anew is left out */
	if (m && reading == READING_IDLE && m->oldest_ms - c->newest_sample_ms > gap_ms)
		return "too long between two samples";
	return NULL;
}

const char *idle_count_add(struct idle_count *c, enum reading reading, const struct pod_metrics *m,
			   int64_t at_ms, int64_t interval_ms)
{
	const char *why = c->count ? why_not_after(c, reading, m, at_ms, interval_ms) : NULL;

	if (why)
		idle_count_clear(c);
	if (reading != READING_IDLE)
		return why;
	if (!c->count)
		c->first_ms = at_ms;
	c->last_ms = at_ms;
	c->pod_set = m->pod_set;
	c->window_ms = m->window_ms;
	c->count++;
	if (!c->distinct || m->oldest_ms > c->newest_sample_ms) {
		c->newest_sample_ms = m->oldest_ms;
		c->distinct++;
	}
	return why;
}

bool idle_count_triggers(const struct idle_count *c, uint32_t max_count, uint32_t min_distinct)
{
	return c->count >= max_count && c->distinct >= min_distinct;
}
