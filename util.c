#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define BUF_FIRST_BYTES 256

int err_set(struct err *err, int code, const char *fmt, ...)
{
	if (err && !err->code) {
		va_list ap;

		err->code = code;
		va_start(ap, fmt);
		(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap); /* cut, if need be */
		va_end(ap);
	}
	return -code;
}

static int buf_reserve(struct buf *b, size_t n)
{
	if (n > b->max - b->len)
		return -EFBIG; /* len <= max always, so nothing below overflows */
	size_t want = b->len + n + 1;
	if (want <= b->cap)
		return 0;
	size_t cap = b->cap ? b->cap : BUF_FIRST_BYTES;
	while (cap < want)
		cap *= 2;
	char *p = realloc(b->data, cap);
	if (!p)
		return -ENOMEM; /* b->data is still valid and still owned */
	b->data = p;
	b->cap = cap;
	return 0;
}

int buf_append(struct buf *b, const void *p, size_t n)
{
	int r = buf_reserve(b, n);
	if (r < 0)
		return r;
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	int r = buf_reserve(b, (size_t)n);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

void buf_trim(struct buf *b, const char *set)
{
	if (b->len && strlen(b->data) == b->len) /* a NUL in it: then it is no text */
		b->len = trim_end(b->data, set);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

void buf_fini(struct buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}

static int line_end(struct lines *l, const char *p, size_t n, lines_fn *fn, void *arg)
{
	int r = 0;

	if (l->skipping) {
		l->skipping = false; /* the end of the line that was too long */
	} else {
		r = buf_append(&l->tail, p, n);
		if (r == 0 && l->tail.len)
			r = fn(arg, l->tail.data, l->tail.len);
	}
	buf_reset(&l->tail);
	return r;
}

int lines_feed(struct lines *l, const char *p, size_t n, lines_fn *fn, void *arg)
{
	for (const char *nl; n && (nl = memchr(p, '\n', n)) != NULL;) {
		size_t len = (size_t)(nl - p);
		int    r = line_end(l, p, len, fn, arg);
		if (r < 0)
			return r;
		n -= len + 1;
		p = nl + 1;
	}
	if (l->skipping || !n)
		return 0;
	int r = buf_append(&l->tail, p, n);
	if (r == -EFBIG) {
		buf_fini(&l->tail);
		l->skipping = true;
	}
	return r;
}

void lines_fini(struct lines *l)
{
	buf_fini(&l->tail);
	l->skipping = false;
}

static int64_t clock_ms(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts); /* cannot fail for the two clocks used here */
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t now_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

int64_t wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

/* Reads exactly @n digits at *@s and steps over them. */
static bool take_digits(const char **s, int n, int *ret)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (!isdigit((unsigned char)**s))
			return false;
		v = v * 10 + (*(*s)++ - '0');
	}
	*ret = v;
	return true;
}

static bool take_char(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

/* `Z`, `+hh:mm` or `-hh:mm`, and nothing behind it. */
static bool take_offset(const char *s, int *ret_minutes)
{
	int hours, minutes;

	if (*s == 'Z' || *s == 'z') {
		*ret_minutes = 0;
		return s[1] == '\0';
	}
	if (*s != '+' && *s != '-')
		return false;
	int sign = *s++ == '-' ? -1 : 1;
	if (!take_digits(&s, 2, &hours) || !take_char(&s, ':') || !take_digits(&s, 2, &minutes))
		return false;
	*ret_minutes = sign * (hours * 60 + minutes);
	return hours < 24 && minutes < 60 && *s == '\0';
}

static bool take_fraction(const char **s, int64_t *ret_ms)
{
	int64_t scale = 100;

	*ret_ms = 0;
	if (!take_char(s, '.'))
		return true;
	if (!isdigit((unsigned char)**s))
		return false;
	for (; isdigit((unsigned char)**s); (*s)++, scale /= 10)
		*ret_ms += (**s - '0') * scale;
	return true;
}

int rfc3339_parse(const char *s, int64_t *ret_unix_ms)
{
	struct tm tm = { 0 };
	int       year, month, offset;
	int64_t   fraction_ms;

	if (!take_digits(&s, 4, &year) || !take_char(&s, '-') || !take_digits(&s, 2, &month) ||
	    !take_char(&s, '-') || !take_digits(&s, 2, &tm.tm_mday) ||
	    (!take_char(&s, 'T') && !take_char(&s, 't')))
		return -EINVAL;
	if (!take_digits(&s, 2, &tm.tm_hour) || !take_char(&s, ':') ||
	    !take_digits(&s, 2, &tm.tm_min) || !take_char(&s, ':') ||
	    !take_digits(&s, 2, &tm.tm_sec) || !take_fraction(&s, &fraction_ms) ||
	    !take_offset(s, &offset))
		return -EINVAL;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	struct tm asked = tm;
	time_t    t = timegm(&tm); /* normalises: 31 February would become 3 March */
	if (asked.tm_sec != tm.tm_sec || asked.tm_min != tm.tm_min || asked.tm_hour != tm.tm_hour ||
	    asked.tm_mday != tm.tm_mday || asked.tm_mon != tm.tm_mon)
		return -EINVAL;
	*ret_unix_ms = ((int64_t)t - (int64_t)offset * 60) * 1000 + fraction_ms;
	return 0;
}

void rfc3339_format(char out[RFC3339_SIZE], int64_t unix_ms, bool with_ms)
{
	time_t    t = (time_t)(unix_ms / 1000);
	struct tm tm;

	if (!gmtime_r(&t, &tm)) {
		out[0] = '\0';
		return;
	}
	size_t n = strftime(out, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	if (with_ms)
		(void)snprintf(out + n, RFC3339_SIZE - n, ".%03dZ", (int)(unix_ms % 1000));
	else
		(void)snprintf(out + n, RFC3339_SIZE - n, "Z");
}

int parse_u32(const char *s, uint32_t min, uint32_t max, uint32_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)s[0])) /* strtoull() would take " -5" */
		return -EINVAL;
	errno = 0;
	unsigned long long v = strtoull(s, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno || v < min || v > max)
		return -ERANGE;
	*ret = (uint32_t)v;
	return 0;
}

int parse_seconds(const char *s, int64_t min_ms, int64_t max_ms, int64_t *ret_ms)
{
	int64_t ms = 0;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	for (; isdigit((unsigned char)*s); s++) {
		if (ms > INT64_MAX / 100000)
			return -ERANGE;
		ms = ms * 10 + (*s - '0') * INT64_C(1000);
	}
	if (*s == '.') {
		int64_t unit = 100;

		if (!isdigit((unsigned char)*++s))
			return -EINVAL;
		for (; isdigit((unsigned char)*s); s++, unit /= 10) {
			if (!unit && *s != '0')
				return -EINVAL; /* finer than a millisecond */
			ms += (*s - '0') * unit;
		}
	}
	if (*s)
		return -EINVAL;
	if (ms < min_ms || ms > max_ms)
		return -ERANGE;
	*ret_ms = ms;
	return 0;
}

static bool is_alnum_lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_rfc1123_name(const char *s, size_t max)
{
	size_t n = strlen(s);

	if (n == 0 || n > max)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool edge = i == 0 || i == n - 1 || s[i - 1] == '.' || s[i + 1] == '.';
		if (is_alnum_lower(s[i]))
			continue;
		if (edge || (s[i] != '-' && s[i] != '.'))
			return false; /* each label starts and ends with a letter or digit */
	}
	return true;
}

size_t utf8_len(const unsigned char *s)
{
	size_t n = s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;

	if (s[0] >= 0xf5)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0)))
		return 0; /* overlong, surrogates */
	if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90)))
		return 0;
	return n;
}

void utf8_clean(char *s)
{
	for (size_t n; *s; s += n) {
		n = (unsigned char)*s < 0x80 ? 1 : utf8_len((const unsigned char *)s);
		if (!n)
			*s = '?';
		n += !n;
	}
}

int copy_str(char *dst, size_t size, const char *s)
{
	size_t n = strlen(s);

	if (n >= size)
		return -ENAMETOOLONG;
	memcpy(dst, s, n + 1);
	return 0;
}

size_t trim_end(char *s, const char *set)
{
	size_t n = strlen(s);

	while (n && strchr(set, s[n - 1]))
		s[--n] = '\0';
	return n;
}

void wipe(void *p, size_t n)
{
	if (p)
		explicit_bzero(p, n);
}

uint32_t backoff_ms(unsigned attempt, uint32_t rnd)
{
	uint32_t base = attempt < 5 ? UINT32_C(500) << attempt : UINT32_C(15000);

	return base + rnd % (base + 1);
}

uint32_t random_u32(void)
{
	uint32_t v;

	if (getrandom(&v, sizeof(v), 0) != (ssize_t)sizeof(v))
		v = (uint32_t)now_ms() ^ ((uint32_t)getpid() << 16); /* jitter only, no secret */
	return v;
}

int read_file(const char *path, struct buf *b, struct err *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char           chunk[4096];
	int            r = 0;

	if (fd < 0)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	for (ssize_t n; (n = read(fd, chunk, sizeof(chunk))) != 0;) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = err_set(err, errno, "%s: %s", path, strerror(errno));
		else if (buf_append(b, chunk, (size_t)n) < 0)
			r = err_set(err, EFBIG, "%s: more than %zu bytes", path, b->max);
		if (r < 0)
			break;
	}
	wipe(chunk, sizeof(chunk)); /* it may have held the token */
	return r;
}
