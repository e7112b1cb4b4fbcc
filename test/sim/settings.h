/* settings.h - the environment that the program is started with in this life. */
#ifndef SIM_SETTINGS_H
#define SIM_SETTINGS_H

#include "sim.h"

#define SIM_USER     "system:serviceaccount:panda:cleanup-sa"
#define SIM_TOKEN    "a-token.of-the-simulation.x"
#define SIM_PASSWORD "hunter2-of-the-broker"

struct settings {
	int64_t threshold; /* nanocores */
	int     max_count, min_distinct;
	bool    check_cpu;
	int64_t interval_ms, startup_grace_ms, pending_ms, missing_ms;
	int64_t completed_grace_ms, failed_grace_ms, teardown_ms;
	bool    adopt, delete_self, dry_run, broker;
	bool    target_container;
	int     queues; /* which RABBITMQ_QUEUES: see broker.c */
};
extern struct settings settings;

void settings_reset(void);                             /* the defaults */
void settings_export(const char *id, const char *dir); /* setenv() of all of them */

#endif
