#include "broker.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api.h"
#include "promises.h"
#include "settings.h"
#include "story.h"
#include "sweeper.h"

struct broker broker;

/*
 * What is set, and what a job calls its queues: `%1$s` is its id, `%2$lld` a number behind the
 * first ones. So that a pattern can mean another job's, ids may go on without a dash.
 */
static const struct {
	const char *set, *first, *second, *more;
} names[QUEUE_SETTINGS] = {
	{ "", "grpc-job-%s-in", "grpc-job-%s-out", "grpc-job-%s-%03lld" },
	{ "grpc-job-$JOB_ID-*, focus_baby.$JOB_ID", "grpc-job-%s-in", "focus_baby.%s",
	  "grpc-job-%s-%03lld" },
	{ "focus_baby.$JOB_ID,$JOB_ID.in", "focus_baby.%s", "%s.in", NULL },
	{ "x-$JOB_ID*", "x-%s", "x-%sq", "x-%s.%03lld" },
	{ "a.$JOB_ID.*,b-$JOB_ID-$JOB_ID*", "a.%s.in", "b-%1$s-%1$s", "a.%s.%03lld" },
};

const char *broker_patterns(int which)
{
	return names[which].set;
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
void                   queue_name(char *out, size_t size, const char *id, int64_t i)
{
	const char *more = names[settings.queues].more;

	if (i >= 2 && more)
		(void)snprintf(out, size, more, id, (long long)i);
	else
		(void)snprintf(out, size,
			       i ? names[settings.queues].second : names[settings.queues].first,
			       id);
}

bool queue_is_called(const char *name, const char *id)
{
	char mine[200];

	for (int64_t i = 0; i < 3; i++) {
		queue_name(mine, sizeof(mine), id, i);
		size_t n = strlen(mine) - (i == 2 && names[settings.queues].more ? 3 : 0);
		if (strncmp(name, mine, n) == 0 && (i == 2 || !name[n]))
			return true;
	}
	return false;
}

void broker_reset(void)
{
	broker.count = broker.down = broker.redeclares = 0;
}

void queue_declare(enum whose whose, const char *name)
{
	if (broker.count == QUEUES || !settings.broker)
		return;
	for (int i = 0; i < broker.count; i++)
		if (strcmp(broker.queues[i].name, name) == 0)
			return;
	struct queue *q = &broker.queues[broker.count++];
	*q = (struct queue){ .whose = whose, .declared_ms = sim_ms() };
	(void)snprintf(q->name, sizeof(q->name), "%s", name);
	if (broker.count < 10)
		trace("broker", "queue %s is declared", name);
}

void queue_remove(int index)
{
	for (int i = index; i + 1 < broker.count; i++)
		broker.queues[i] = broker.queues[i + 1];
	broker.count--;
}

/* Its channel closes, and it declares its queue again before it has understood that it is to go. */
static void declare_again(int place)
{
	struct pod *p = &cluster.pods[place];
	char        name[200];

	if (!p->there || p->phase > POD_RUNNING)
		return;
	queue_name(name, sizeof(name), p->job_name + strlen("grpc-job-"), 0);
	int before = broker.count;
	queue_declare(p->whose, name);
	if (broker.count > before)
		broker.queues[broker.count - 1].by_dying_pod = true;
}

void broker_on_pod_stopping(struct pod *p)
{
	if (!broker.redeclares || p->stops_ms == NEVER || p->dead_node)
		return;
	if ((int)(mix(p->rv, 21) % 1000) < broker.redeclares)
		sim_at(p->stops_ms - (p->stops_ms - sim_ms()) / 3, declare_again,
		       (int)(p - cluster.pods));
}

/* ---- The management API ---- */

static void fails(struct answer *a, int code, const char *error, const char *reason)
{
	a->status = code;
	a->type = "application/json";
	text_printf(&a->body, "{\"error\":\"%s\",\"reason\":\"%s\"}", error, reason);
}

/* The filter takes any part of a name, in upper or lower case. */
static bool is_wanted(const struct queue *queue, const struct request *q)
{
	return strcasestr(queue->name, q->prefix) != NULL;
}

static void get(const struct request *q, struct answer *a)
{
	for (int i = 0; i < broker.count; i++) {
		if (strcmp(broker.queues[i].name, q->name) != 0)
			continue;
		a->status = 200;
		a->type = "application/json";
		text_printf(&a->body, "{\"name\":\"%s\"}", q->name);
		return;
	}
	fails(a, 404, "Object Not Found", "Not Found");
}

static void list(const struct request *q, struct answer *a)
{
	int  wanted = 0, first = (q->page - 1) * q->page_size, shown = 0;
	bool any = false;

	for (int i = 0; i < broker.count; i++)
		wanted += is_wanted(&broker.queues[i], q);
	int pages = wanted ? (wanted + q->page_size - 1) / q->page_size : 1;
	if (q->page > pages) {
		fails(a, 400, "page_out_of_range", "Page is out of range");
		return;
	}
	a->status = 200;
	a->type = "application/json";
	text_printf(&a->body,
		    "{\"filtered_count\":%d,\"item_count\":%d,\"page\":%d,\"page_count\":%d,"
		    "\"page_size\":%d,\"total_count\":%d,\"items\":[",
		    wanted, wanted, q->page, pages, q->page_size, broker.count);
	for (int i = 0, n = 0; i < broker.count; i++) {
		if (!is_wanted(&broker.queues[i], q) || n++ < first || shown == q->page_size)
			continue;
		text_printf(&a->body, "%s{\"name\":\"%s\",\"idle_since\":", any ? "," : "",
			    broker.queues[i].name);
		time_add(&a->body, broker.queues[i].declared_ms);
		text_add(&a->body, "}");
		any = true;
		shown++;
	}
	text_add(&a->body, "]}");
}

static void delete_queue(const struct request *q, struct answer *a)
{
	for (int i = 0; i < broker.count; i++) {
		struct queue *queue = &broker.queues[i];
		if (strcmp(queue->name, q->name) != 0)
			continue;
		if (queue->stubborn) {
			fails(a, queue->stubborn, "bad_request",
			      "queue is exclusive to another connection");
			return;
		}
		if (q->sweeps)
			sweeper_on_queue_delete(queue);
		else
			promise_on_queue_delete(queue);
		a->status = 204;
		a->type = "application/json";
		queue_remove(i);
		return;
	}
	fails(a, 404, "Object Not Found", "Not Found");
}

void broker_answer(const struct request *q, struct answer *a)
{
	if (broker.down)
		fails(a, broker.down, broker.down == 401 ? "not_authorised" : "internal",
		      broker.down != 401        ? "the node is down"
		      : mix(story.seed, 51) % 2 ? "Login failed"
						: "HTTP access denied: basic auth disabled");
	else if (q->verb == VERB_DELETE)
		delete_queue(q, a);
	else if (q->name[0])
		get(q, a);
	else
		list(q, a);
}
