/*
 * waits.h - why nothing is decided: told after ten minutes, and every ten minutes, in the cluster's
 * own words. For that the pods are listed once, which decides nothing. Pure.
 */
#ifndef WAITS_H
#define WAITS_H

#include "world.h"

/* Behind world_tick(): a line may be due by now, and is worked out (world.h: waiting). */
void waits_tick(struct world *w, const struct config *cfg, int64_t now);

/* When the pods are to be listed for the next line; NEVER: they were, or they may not be. */
int64_t waits_pods_due_ms(const struct world *w);

/* When the next line is due, whatever becomes of that list. */
int64_t waits_due_ms(const struct world *w);

#endif
