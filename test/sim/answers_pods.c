/* The bodies of answers, second half: pods, Events, access reviews. */
#include <stdio.h>
#include <string.h>

#include "api.h"

#define NS "panda"

/* Each `key=value` of the selector must hold of the job's labels. */
bool label_matches(const char *label, const char *job_uid, const char *job_name)
{
	for (const char *p = label; *p;) {
		const char *eq = strchr(p, '=');
		size_t      n = strcspn(p, ",");
		const char *want = NULL;

		if (!eq || (size_t)(eq - p) > n)
			return false;
		size_t key = (size_t)(eq - p);
		if (key > strlen(LONG_LABEL) && strncmp(p, LONG_LABEL, strlen(LONG_LABEL)) == 0) {
			p += n;
			p += *p == ',';
			continue;
		}
		if (key > 20 && strncmp(p, "batch.kubernetes.io/", 20) == 0) {
			p += 20;
			key -= 20;
			n -= 20;
		}
		if (key == 14 && strncmp(p, "controller-uid", 14) == 0)
			want = job_uid;
		else if ((key == 8 && strncmp(p, "job-name", 8) == 0) ||
			 (key == 3 && strncmp(p, "app", 3) == 0))
			want = job_name;
		if (!want || strlen(want) != n - key - 1 || strncmp(eq + 1, want, n - key - 1) != 0)
			return false;
		p += n;
		p += *p == ',';
	}
	return true;
}

static void pod_metadata(struct text *t, const struct pod *p)
{
	text_printf(t,
		    "\"metadata\":{\"name\":\"%s\",\"generateName\":\"%s-\",\"namespace\":\"" NS
		    "\",\"uid\":\"%s\",\"resourceVersion\":\"%llu\",%s\"creationTimestamp\":",
		    p->name, p->job_name, p->uid, (unsigned long long)p->rv,
		    cluster.v1_34 ? "\"generation\":1," : "");
	time_add(t, p->created_ms);
	if (p->deleted_ms >= 0) {
		text_add(t, ",\"deletionTimestamp\":");
		time_add(t, p->deleted_ms);
		text_add(t, ",\"deletionGracePeriodSeconds\":30");
	}
	text_printf(t, ",\"labels\":{\"app\":\"%s\",", p->job_name);
	if (cluster.v1_34)
		text_printf(t,
			    "\"batch.kubernetes.io/controller-uid\":\"%s\","
			    "\"batch.kubernetes.io/job-name\":\"%s\",",
			    p->job_uid, p->job_name);
	text_printf(t, "\"controller-uid\":\"%s\",\"job-name\":\"%s\"}", p->job_uid, p->job_name);
	if (p->owned)
		text_printf(t,
			    ",\"ownerReferences\":[{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\","
			    "\"name\":\"%s\",\"uid\":\"%s\",\"controller\":true,"
			    "\"blockOwnerDeletion\":true}]",
			    p->job_name, p->job_uid);
	if (p->tracked)
		text_add(t, ",\"finalizers\":[\"batch.kubernetes.io/job-tracking\"]");
	text_add(t, "},");
}

static void container_status(struct text *t, const struct pod *p, const struct container *c)
{
	text_printf(t, "{\"name\":\"%s\",\"state\":{", c->name);
	if (c->state == CONTAINER_WAITING) {
		text_printf(t, "\"waiting\":{\"reason\":\"%s\"}", c->reason);
	} else if (c->state == CONTAINER_ENDED) {
		text_printf(t, "\"terminated\":{\"exitCode\":%d,\"reason\":\"%s\",\"startedAt\":",
			    c->exit_code, c->exit_code ? "Error" : "Completed");
		time_add(t, p->running_ms < 0 ? p->created_ms : p->running_ms);
		text_add(t, ",\"finishedAt\":");
		time_add(t, c->ended_ms);
		text_add(t, "}");
	} else {
		text_add(t, "\"running\":{\"startedAt\":");
		time_add(t, p->running_ms);
		text_add(t, "}");
	}
	text_printf(t,
		    "},\"lastState\":{},\"ready\":%s,\"restartCount\":%d,\"image\":\"x\","
		    "\"imageID\":\"\",\"containerID\":\"lab://%s\",\"started\":%s}",
		    c->state == CONTAINER_RUNNING ? "true" : "false", c->restarts, p->uid,
		    c->state == CONTAINER_RUNNING ? "true" : "false");
}

static void pod_condition(struct text *t, const char *type, bool is_true, int64_t at_ms,
			  const char *end)
{
	text_printf(t,
		    "{\"type\":\"%s\",\"status\":\"%s\",\"lastProbeTime\":null,"
		    "\"lastTransitionTime\":",
		    type, is_true ? "True" : "False");
	time_add(t, at_ms);
	text_add(t, end);
}

static void pod_status(struct text *t, const struct pod *p)
{
	static const char *const phases[] = { "Pending", "Running", "Succeeded", "Failed" };
	bool                     ready = pod_is_ready(p);

	text_printf(t, "\"status\":{\"phase\":\"%s\",", phases[p->phase]);
	if (p->phase != POD_PENDING) {
		text_add(t, "\"conditions\":[");
		if (!cluster.lean)
			pod_condition(t, "Initialized", true, p->running_ms, "},");
		pod_condition(t, "Ready", ready, p->running_ms, "},");
		pod_condition(t, "ContainersReady", ready, p->running_ms, "},");
		pod_condition(t, "PodScheduled", p->phase == POD_RUNNING, p->created_ms, "}],");
		text_add(t, "\"hostIP\":\"127.0.0.1\",\"podIP\":\"127.0.0.1\",\"podIPs\":[{\"ip\":"
			    "\"127.0.0.1\"}],\"startTime\":");
		time_add(t, p->running_ms);
		text_add(t, ",\"containerStatuses\":[");
		for (int i = 0; i < p->containers; i++) {
			text_add(t, i ? "," : "");
			container_status(t, p, &p->c[i]);
		}
		text_add(t, "],");
	}
	if (p->phase == POD_PENDING && p->stuck) {
		text_add(t, "\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\","
			    "\"lastProbeTime\":null,\"lastTransitionTime\":");
		time_add(t, p->created_ms);
		text_add(t,
			 ",\"reason\":\"Unschedulable\",\"message\":\"0/3 nodes are available: 3 "
			 "Insufficient nvidia.com/gpu.shared.\"}],");
	}
	text_add(t, "\"qosClass\":\"BestEffort\"}}");
}

void pod_json(struct text *t, const struct pod *p, bool in_list)
{
	text_add(t, in_list ? "{" : "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",");
	pod_metadata(t, p);
	text_add(t, "\"spec\":{");
	if (!cluster.lean)
		text_add(
			t,
			"\"containers\":[{\"name\":\"grpc-server\",\"image\":\"x\","
			"\"resources\":{}},{\"name\":\"helper\",\"image\":\"z\",\"resources\":{}}],"
			"\"terminationGracePeriodSeconds\":30,");
	text_printf(t, "\"restartPolicy\":\"%s\"},", p->on_failure ? "OnFailure" : "Never");
	pod_status(t, p);
}

void pods_json(struct text *t, const char *label)
{
	bool any = false;

	text_printf(t,
		    "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":"
		    "{\"resourceVersion\":\"%llu\"},\"items\":[",
		    (unsigned long long)cluster.rv);
	for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++) {
		if (!p->there || !label_matches(label, p->job_uid, p->job_name))
			continue;
		text_add(t, any ? "," : "");
		pod_json(t, p, true);
		any = true;
	}
	text_add(t, "]}\n");
}

/* One item of a list that has no kind of its own; false: nobody has that place, or it is not asked.
 */
static bool item_json(struct text *t, const struct request *q, int place, const char *sep)
{
	struct text one = { 0 };
	bool        there = false;

	if (q->resource == RES_JOBS && place < JOBS && cluster.jobs[place].there) {
		job_json(&one, &cluster.jobs[place], true);
		there = true;
	} else if (q->resource == RES_SERVICES && place < SERVICES &&
		   cluster.services[place].there) {
		service_json(&one, &cluster.services[place]);
		there = true;
	} else if (q->resource == RES_PODS && place < PODS && cluster.pods[place].there) {
		pod_json(&one, &cluster.pods[place], true);
		there = true;
	}
	if (there) {
		text_add(t, sep);
		text_bytes(t, one.p, one.n);
	}
	text_free(&one);
	return there;
}

/* Pages of one: whoever asks for fifty is to ask again all the same. */
void page_json(struct text *t, const struct request *q)
{
	static const char *const kinds[] = { "Job", "Service", "Pod" };
	uint64_t                 rv = q->from_rv ? q->from_rv : cluster.rv;
	int places = q->resource == RES_JOBS ? JOBS : q->resource == RES_SERVICES ? SERVICES : PODS;
	int place = q->from, shown = 0;

	text_printf(t, "{\"kind\":\"%sList\",\"apiVersion\":\"v1\",\"items\":[",
		    kinds[q->resource]);
	for (; place < places && shown < 1; place++)
		shown += item_json(t, q, place, shown ? "," : "");
	text_printf(t, "],\"metadata\":{\"resourceVersion\":\"%llu\"", (unsigned long long)rv);
	if (place < places)
		text_printf(t, ",\"continue\":\"%d.%llu\"", place, (unsigned long long)rv);
	text_add(t, "}}\n");
}

void event_json(struct text *t, const struct request *q)
{
	text_printf(t,
		    "{\"kind\":\"Event\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
		    "\"namespace\":\"" NS "\",\"uid\":\"c4b37ee0-c040-455f-8986-3e3814e33de5\","
		    "\"resourceVersion\":\"%llu\",\"creationTimestamp\":",
		    q->name, (unsigned long long)cluster.rv);
	time_add(t, sim_ms());
	text_printf(t, "},\"reason\":\"%s\",\"type\":\"Normal\",\"count\":1}\n", q->event_reason);
}

void review_json(struct text *t, const struct request *q, bool allowed)
{
	text_printf(t,
		    "{\"kind\":\"SelfSubjectAccessReview\",\"apiVersion\":"
		    "\"authorization.k8s.io/v1\",\"metadata\":{%s},\"spec\":"
		    "{\"resourceAttributes\":{\"namespace\":\"" NS
		    "\",\"verb\":\"%s\",\"group\":\"%s\",\"resource\":\"%s\",\"name\":\"%s\"}},"
		    "\"status\":",
		    cluster.v1_34 ? "" : "\"creationTimestamp\":null", q->review_verb,
		    q->review_group, q->review_resource, q->review_name);
	text_add(t, allowed ? "{\"allowed\":true,\"reason\":\"RBAC: allowed by RoleBinding "
			      "\\\"cleanup/panda\\\" of Role \\\"cleanup\\\" to ServiceAccount "
			      "\\\"cleanup-sa/panda\\\"\"}}\n"
			    : "{\"allowed\":false}}\n");
}
