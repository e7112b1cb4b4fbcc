/*
 * survey.h - which queues there are: the walk over them without a DELETE, for --check and a dry
 * run. Blocks.
 */
#ifndef SURVEY_H
#define SURVEY_H

#include "app.h"

/* Gets each queue that a pattern finds; @whose: the Job whose it is, or may be; NULL = ours. */
typedef void survey_fn(void *arg, size_t pattern, const char *name, const char *whose);

/* One try for each request. Returns 0, or -errno and the broker's words in @err. */
int survey_queues(struct app *a, survey_fn *found, void *arg, struct err *err);

#endif
