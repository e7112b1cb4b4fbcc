/*
 * look.h - the last look before an idle or pending Job goes: what of it is there, and young enough.
 * It begins when the trigger is due (world.h: idle.look), and anew with each reading and each
 * DELETE that came to nothing. Pure.
 */
#ifndef LOOK_H
#define LOOK_H

#include "world.h"

/* The pods were listed; or they may not be listed, for now. */
bool look_has_pods(const struct world *w, const struct config *cfg, int64_t now);

/* The Job was read, behind the pods: its version is the precondition of the DELETE. */
bool look_has_job(const struct world *w, const struct config *cfg, int64_t now);

/* The idle readings are enough, and the last of them is too old for a DELETE. */
bool look_wants_reading(const struct world *w, const struct config *cfg, int64_t now);

/* All of it is there, and bears out what is due. Pending: where pods may not be listed, nobody can
 * know without status.ready; then never. */
bool look_is_done(const struct world *w, const struct config *cfg, int64_t now);

#endif
