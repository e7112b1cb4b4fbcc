/* util.h - errors as values, buffers with a limit, scope-owned resources, the clock, numbers. */
#ifndef UTIL_H
#define UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- Errors: 0 or -errno is returned, the words are in the caller's struct err ---- */

struct err {
	int  code;     /* positive errno, 0 = none */
	char msg[512]; /* one line, never a secret */
};

/*
 * Sets @err once: the first cause wins, a later call leaves it alone. NULL is fine.
 * Returns -@code, so that a failure reads `return err_set(err, EINVAL, "...")`.
 */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- Scope-owned things; never put these on a borrowed pointer ---- */

static inline void free_p(void *p)
{
	free(*(void **)p);
}

static inline void close_p(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* not retried after EINTR: on Linux the descriptor is gone */
	*fd = -1;
}

#define AUTO_FREE  __attribute__((cleanup(free_p)))
#define AUTO_CLOSE __attribute__((cleanup(close_p)))
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) *pp_ = &(p);                                                         \
		__typeof__(p)  v_ = *pp_;                                                          \
		*pp_ = NULL;                                                                       \
		v_;                                                                                \
	})

/* ---- A byte buffer that knows its limit; always NUL-terminated once it has data ---- */

struct buf {
	char  *data; /* owned; NULL while empty */
	size_t len;  /* bytes in use, without the NUL */
	size_t cap;  /* bytes allocated */
	size_t max;  /* @len never exceeds this */
};

/* Returns 0, -EFBIG if @b would pass its limit, -ENOMEM; on failure @b is as it was. */
int  buf_append(struct buf *b, const void *p, size_t n);
int  buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_trim(struct buf *b, const char *set); /* as trim_end() */
void buf_reset(struct buf *b);                 /* forgets the data, keeps the memory */
void buf_fini(struct buf *b);                  /* frees; @b may be used again with the same limit */

/* ---- Lines out of a stream: knows no JSON and no HTTP ---- */

struct lines {
	struct buf tail;     /* an unfinished line; its limit is the longest line allowed */
	bool       skipping; /* dropping the rest of a line that was too long */
};

/* Gets one line without its '\n', NUL-terminated; borrowed until it returns. < 0 stops. */
typedef int lines_fn(void *arg, const char *line, size_t len);

/*
 * Calls @fn once for each line that @p completes, and keeps the rest for the next call; looks at
 * each byte once. Empty lines are skipped.
 * Returns 0; -EFBIG when a line is longer than the limit (that line is dropped, the next one is
 * read as usual); -ENOMEM; or what @fn returned, if that was negative. Bytes behind the failing
 * line are not looked at.
 */
int  lines_feed(struct lines *l, const char *p, size_t n, lines_fn *fn, void *arg);
void lines_fini(struct lines *l);

/* ---- Time: milliseconds since the boot for deadlines; the wall clock only for log lines ---- */

/* CLOCK_BOOTTIME: never goes back, and goes on while the machine sleeps, as the cluster does. */
int64_t now_ms(void);

/*
 * Parses an RFC 3339 time (`2026-11-24T00:33:30Z`, fractions and offsets allowed) into Unix
 * milliseconds. Returns 0 or -EINVAL.
 */
int rfc3339_parse(const char *s, int64_t *ret_unix_ms);

#define RFC3339_SIZE 32
void rfc3339_format(char out[RFC3339_SIZE], int64_t unix_ms, bool with_ms); /* UTC, `...Z` */

int64_t wall_ms(void); /* CLOCK_REALTIME, Unix milliseconds */

static inline int64_t min_ms(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t max_ms(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* ---- Numbers and names ---- */

/*
 * Parses the whole of @s as a decimal number of seconds (`10`, `0.05`), at most three decimals,
 * into milliseconds. Returns 0, -EINVAL (not such a number), -ERANGE (outside @min..@max).
 */
int parse_seconds(const char *s, int64_t min_ms, int64_t max_ms, int64_t *ret_ms);

/* Whole decimal number; digits only. Returns 0, -EINVAL, -ERANGE. */
int parse_u32(const char *s, uint32_t min, uint32_t max, uint32_t *ret);

/* RFC 1123 subdomain of at most @max bytes: what Kubernetes takes as a name. No '/', '%', '..'. */
bool is_rfc1123_name(const char *s, size_t max);

/* Copies @s whole. Returns 0, or -ENAMETOOLONG and leaves @dst alone: names are never cut. */
int copy_str(char *dst, size_t size, const char *s);

/* Length of the well-formed UTF-8 sequence of more than a byte at @s (2..4), or 0. */
size_t utf8_len(const unsigned char *s);

/* A '?' for each byte that is no UTF-8: JSON takes no other text. */
void utf8_clean(char *s);

/* Takes bytes of @set off the end of @s; returns how many are left. */
size_t trim_end(char *s, const char *set);

/* Overwrites memory in a way that the compiler keeps; for secrets. */
void wipe(void *p, size_t n);

/*
 * Exponential backoff with jitter, the random number passed in: attempt 0 gives 0.5..1 s, doubling
 * up to 15..30 s.
 */
uint32_t backoff_ms(unsigned attempt, uint32_t rnd);
uint32_t random_u32(void); /* getrandom(2): processes started together must not agree */

/*
 * Reads a small file whole into @b (appended; its limit holds). Blocks on the disk only.
 * Returns 0 or -errno with the path in @err.
 */
int read_file(const char *path, struct buf *b, struct err *err);

#endif
