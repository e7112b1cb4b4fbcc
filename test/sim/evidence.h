/*
 * evidence.h - what the program was told, as far as its promises depend on it: idle readings, last
 * looks, who has the Job's name.
 */
#ifndef SIM_EVIDENCE_H
#define SIM_EVIDENCE_H

#include "promises.h"

void evidence_reset(void);
void evidence_on_idle_delete(const struct job *j); /* of a Job that lives: is it allowed? */
void evidence_on_self_delete(const struct job *self);
bool evidence_service_first(const struct service *s);
bool evidence_queue_window(const struct queue *q);

#endif
