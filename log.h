/*
 * log.h - one line an event on stderr, as key=value or JSON.
 *
 *   log_info("job is idle", LS("job", name), LI("count", 3));
 *   ts=2026-11-24T00:33:30.000Z level=info msg="job is idle" job=grpc-job-1 count=3
 *
 * One call is one line is one write(2). Values from outside are escaped, and cut when they are
 * long; whoever logs a secret has done so in full view. errno is kept.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

struct log_field {
	const char *key; /* NULL: this field is left out */
	const char *str; /* borrowed; NULL: @num counts */
	int64_t     num;
};

static inline struct log_field LS(const char *key, const char *str) {
	return (struct log_field){ .key = key, .str = str ? str : "" };
}

static inline struct log_field
LI(const char *key, int64_t num) {
	return (struct log_field){ .key = key, .num = num };
}

static inline struct log_field
LIF(bool cond, struct log_field f) /* left out unless @cond */
{
	return cond ? f : (struct log_field){ .key = NULL };
}

void log_setup(enum log_level threshold, enum log_format format);

void log_fields(enum log_level level, const char *msg, const struct log_field *f, size_t n);

#define LOG_(level, msg, ...)                                                                      \
	log_fields((level), (msg), (const struct log_field[]){ __VA_ARGS__ },                      \
		   sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))
#define log_debug(msg, ...) LOG_(LOG_DEBUG, msg, __VA_ARGS__)
#define log_info(msg, ...)  LOG_(LOG_INFO, msg, __VA_ARGS__)
#define log_warn(msg, ...)  LOG_(LOG_WARN, msg, __VA_ARGS__)
#define log_error(msg, ...) LOG_(LOG_ERROR, msg, __VA_ARGS__)

#endif
