/* broker.h - RabbitMQ's management API, and the queues. */
#ifndef SIM_BROKER_H
#define SIM_BROKER_H

#include "cluster.h"

struct request;
struct answer;

struct queue {
	char       name[300];
	enum whose whose;
	int64_t    declared_ms;
	bool       by_dying_pod;
	int        stubborn; /* the broker answers this to a DELETE; 0 = it goes */
};

#define QUEUES 400

struct broker {
	struct queue queues[QUEUES];
	int          count;
	int          down;       /* answers this to everything; 0 = it is up */
	int          redeclares; /* in 1000: a pod that terminates declares its queue again */
};
extern struct broker broker;

/* How the queues of a job are called, by RABBITMQ_QUEUES of this life; the @i-th of job @id. */
#define QUEUE_SETTINGS 5
const char *broker_patterns(int which);
void        queue_name(char *out, size_t size, const char *id, int64_t i);
bool        queue_is_called(const char *name, const char *id); /* as one of these is */

void broker_reset(void);
void queue_declare(enum whose whose, const char *name);
void queue_remove(int index);
void broker_on_pod_stopping(struct pod *p);
void broker_answer(const struct request *q, struct answer *a);

#endif
