/*
 * metrics-server: at each tick of its resolution it takes the usage of every running container
 * since the tick before, and forgets what it had.
 */
#include <stdio.h>

#include "api.h"

static struct {
	char    uid[UID_BYTES];
	int64_t at_ms;
	int64_t used[CONTAINERS];
} points[PODS]; /* of the tick before, by the pod's place */

static void take_sample(size_t place, const struct pod *p)
{
	struct sample *s = &cluster.samples[cluster.sample_count++];

	*s = (struct sample){ .at_ms = sim_ms() - (int64_t)(mix(p->rv, 9) % 3000),
			      .window_ms = sim_ms() - points[place].at_ms,
			      .containers = 0 };
	(void)snprintf(s->pod, sizeof(s->pod), "%s", p->name);
	(void)snprintf(s->pod_uid, sizeof(s->pod_uid), "%s", p->uid);
	(void)snprintf(s->job_name, sizeof(s->job_name), "%s", p->job_name);
	(void)snprintf(s->job_uid, sizeof(s->job_uid), "%s", p->job_uid);
	for (int i = 0; i < p->containers; i++) {
		if (p->c[i].state != CONTAINER_RUNNING)
			continue; /* the kubelet does not list it */
		s->names[s->containers] = p->c[i].name;
		s->cpu[s->containers++] = (p->c[i].used - points[place].used[i]) / s->window_ms;
	}
}

static bool same_pod(size_t place, const struct pod *p)
{
	for (int i = 0; p->uid[i] || points[place].uid[i]; i++)
		if (p->uid[i] != points[place].uid[i])
			return false;
	return true;
}

static void tick(int arg)
{
	(void)arg;
	bool works = !cluster.metrics_down && !quirks.frozen;
	if (works)
		cluster.sample_count = 0;
	for (size_t i = 0; i < PODS && works; i++) {
		struct pod *p = &cluster.pods[i];
		if (!pod_runs(p) || p->dead_node)
			continue;
		for (int c = 0; c < p->containers; c++)
			container_cpu(&p->c[c], p->c[c].cpu);
		if (same_pod(i, p) && points[i].at_ms < sim_ms())
			take_sample(i, p);
		(void)snprintf(points[i].uid, sizeof(points[i].uid), "%s", p->uid);
		points[i].at_ms = sim_ms();
		for (int c = 0; c < p->containers; c++)
			points[i].used[c] = p->c[c].used;
	}
	sim_after(cluster.resolution_ms, tick, 0);
}

void metrics_server_start(void)
{
	for (size_t i = 0; i < PODS; i++)
		points[i].uid[0] = '\0';
	sim_after(delay(0, cluster.resolution_ms), tick, 0);
}
