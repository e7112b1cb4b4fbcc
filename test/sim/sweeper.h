/*
 * sweeper.h - the program as `--sweep`, run beside the cleaner and all others, and what it
 * promises: judged by what it deletes, and by what it was told of the Job first.
 */
#ifndef SIM_SWEEPER_H
#define SIM_SWEEPER_H

#include "api.h"

#define SWEEP_AFTER_S 60

void sweeper_begins(void);
void sweeper_on_request(const struct request *q);
void sweeper_on_answer(const struct request *q, const struct answer *a);
void sweeper_on_job_delete(const struct job *j);
void sweeper_on_service_delete(const struct service *v);
void sweeper_on_pod_delete(const struct pod *p, int grace_s);
struct queue;
void sweeper_on_queue_delete(const struct queue *queue);
void sweeper_on_exit(int status); /* -1: it was killed */

#endif
