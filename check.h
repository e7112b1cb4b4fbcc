/* check.h - `cleanup-grpc --check`: what of all that the program needs is there. */
#ifndef CHECK_H
#define CHECK_H

#include "app.h"

/*
 * Asks the API server for every permission that these settings use (SelfSubjectAccessReview), reads
 * the metrics API and the broker once, and prints a row for each on stdout: a table, coloured on a
 * terminal, or with LOG_FORMAT=json an object a line. Each is ok, optional (not there, and what is
 * lost without it) or missing (required, and not there); with the rule to add. Changes nothing; a
 * signal cuts it short. Returns whether all that is required is there.
 */
bool check_run(struct app *a);

#endif
