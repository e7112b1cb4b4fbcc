/*
 * sweep.h - --sweep: removes what no cleaner is left to remove, of all jobs of the namespace. Lists
 * and chooses (leftover.h); each deletion is run.h's, one job after the other.
 */
#ifndef SWEEP_H
#define SWEEP_H

#include "app.h"
#include "plan.h"

/*
 * Prints what it found. @yes: even if that is too much to be normal. Returns END_TORN_DOWN: nothing
 * is left; END_LEFT: something is, or could not be looked for; END_SIGNALLED.
 */
enum end sweep_run(struct app *a, bool yes);

#endif
