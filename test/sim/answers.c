/* The bodies of answers: the shapes and words that a real API server was recorded with. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api.h"

#define NS         "panda"
#define LONG_VALUE "a-value-of-a-label-that-goes-on-and-on-for-63-characters-at-mos"

const char *const verb_words[] = { "get", "list", "watch", "create", "patch", "delete" };
const char *const resource_words[] = { "jobs",   "services", "pods",
				       "events", "pods",     "selfsubjectaccessreviews",
				       "queues" };
const char *const group_words[] = { "batch", "", "", "", "metrics.k8s.io", "authorization.k8s.io",
				    "" };

void time_add(struct text *t, int64_t ms)
{
	time_t    s = (time_t)((SIM_EPOCH_MS + ms) / 1000);
	struct tm tm;
	char      out[32];

	if (!gmtime_r(&s, &tm))
		sim_fatal("gmtime_r");
	text_bytes(t, out, strftime(out, sizeof(out), "\"%Y-%m-%dT%H:%M:%SZ\"", &tm));
}

/* ---- Status ---- */

void answer_status(struct answer *a, int code, const char *reason, const char *message,
		   const char *details)
{
	a->status = code;
	a->type = "application/json";
	text_reset(&a->body);
	text_add(&a->body, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
			   "\"status\":\"Failure\",\"message\":\"");
	text_add(&a->body, message);
	text_add(&a->body, "\"");
	if (reason[0])
		text_printf(&a->body, ",\"reason\":\"%s\"", reason);
	if (details[0])
		text_printf(&a->body, ",\"details\":%s", details);
	text_printf(&a->body, ",\"code\":%d}\n", code);
}

void answer_text(struct answer *a, int code, const char *text)
{
	a->status = code;
	a->type = "text/plain; charset=utf-8";
	text_reset(&a->body);
	text_add(&a->body, text);
}

/* `jobs.batch`, `services` */
static void plural(char *out, size_t size, enum resource r)
{
	(void)snprintf(out, size, "%s%s%s", resource_words[r], group_words[r][0] ? "." : "",
		       group_words[r]);
}

static void details_of(char *out, size_t size, enum resource r, const char *name, const char *kind)
{
	size_t n = (size_t)snprintf(out, size, "{");

	if (name[0])
		n += (size_t)snprintf(out + n, size - n, "\"name\":\"%s\",", name);
	if (group_words[r][0])
		n += (size_t)snprintf(out + n, size - n, "\"group\":\"%s\",", group_words[r]);
	(void)snprintf(out + n, size - n, "\"kind\":\"%s\"}", kind);
}

void answer_not_found(struct answer *a, enum resource r, const char *name)
{
	char what[64], message[400], details[400];

	plural(what, sizeof(what), r);
	(void)snprintf(message, sizeof(message), "%s \\\"%s\\\" not found", what, name);
	details_of(details, sizeof(details), r, name, resource_words[r]);
	answer_status(a, 404, "NotFound", message, details);
}

void answer_forbidden(struct answer *a, const struct request *q, const char *user)
{
	char what[64], message[900], details[400], name[340] = "";

	plural(what, sizeof(what), q->resource);
	if (q->name[0] && q->verb != VERB_CREATE)
		(void)snprintf(name, sizeof(name), " \\\"%s\\\"", q->name);
	(void)snprintf(message, sizeof(message),
		       "%s%s is forbidden: User \\\"%s\\\" cannot %s resource \\\"%s\\\" in API "
		       "group \\\"%s\\\" in the namespace \\\"" NS "\\\"",
		       what, name, user, verb_words[q->verb], resource_words[q->resource],
		       group_words[q->resource]);
	details_of(details, sizeof(details), q->resource, q->verb == VERB_CREATE ? "" : q->name,
		   resource_words[q->resource]);
	answer_status(a, 403, "Forbidden", message, details);
}

static const char *kind_of(enum resource r)
{
	return r == RES_JOBS ? "Job" : r == RES_SERVICES ? "Service" : "Pod";
}

void answer_conflict(struct answer *a, enum resource r, const char *name, const char *why)
{
	char message[700], details[400], dot[40];

	(void)snprintf(dot, sizeof(dot), "%s%s", group_words[r][0] ? "." : "", group_words[r]);
	(void)snprintf(message, sizeof(message),
		       "Operation cannot be fulfilled on %s%s \\\"%s\\\": %s", kind_of(r), dot,
		       name, why);
	details_of(details, sizeof(details), r, name, kind_of(r));
	answer_status(a, 409, "Conflict", message, details);
}

void deleted_json(struct text *t, enum resource r, const char *name, const char *uid)
{
	text_printf(t,
		    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
		    "\"Success\",\"details\":{\"name\":\"%s\",",
		    name);
	if (group_words[r][0])
		text_printf(t, "\"group\":\"%s\",", group_words[r]);
	text_printf(t, "\"kind\":\"%s\",\"uid\":\"%s\"}}\n", resource_words[r], uid);
}

/* ---- Jobs ---- */

#define NEW_LABELS                                                                                 \
	"\"batch.kubernetes.io/controller-uid\":\"%s\",\"batch.kubernetes.io/job-name\":\"%s\","

static void job_labels(struct text *t, const char *uid, const char *name)
{
	text_printf(t, "\"labels\":{\"app\":\"%s\",", name);
	if (cluster.v1_34)
		text_printf(t, NEW_LABELS, uid, name);
	text_printf(t, "\"controller-uid\":\"%s\",\"job-name\":\"%s\"}", uid, name);
}

static void job_metadata(struct text *t, const struct job *j)
{
	const char *sep = "";

	text_printf(t,
		    "\"metadata\":{\"name\":\"%s\",\"namespace\":\"" NS
		    "\",\"uid\":\"%s\",\"resourceVersion\":\"%llu\",\"generation\":1,"
		    "\"creationTimestamp\":",
		    j->name, j->uid, (unsigned long long)j->rv);
	time_add(t, j->created_ms);
	text_add(t, ",");
	if (j->deleted_ms >= 0) {
		text_add(t, "\"deletionTimestamp\":");
		time_add(t, j->deleted_ms);
		text_add(t, ",\"deletionGracePeriodSeconds\":0,");
	}
	if (!cluster.lean) {
		job_labels(t, j->uid, j->name);
		text_add(t, ",");
	}
	text_add(t, "\"annotations\":{");
	if (!cluster.v1_34) {
		text_add(t, "\"batch.kubernetes.io/job-tracking\":\"\"");
		sep = ",";
	}
	if (j->hold[0])
		text_printf(t, "%s\"cleanup-grpc/hold\":\"%s\"", sep, j->hold);
	text_add(t, "}");
	sep = "";
	if (j->finalizers) {
		text_add(t, ",\"finalizers\":[");
		if (j->finalizers & FINALIZER_CUSTOM) {
			text_add(t, "\"example.com/kept\"");
			sep = ",";
		}
		if (j->finalizers & FINALIZER_FOREGROUND)
			text_printf(t, "%s\"foregroundDeletion\"", sep);
		if (j->finalizers & FINALIZER_ORPHAN)
			text_printf(t, "%s\"orphan\"", sep);
		text_add(t, "]");
	}
	text_add(t, "},");
}

#define CONTAINER_JSON                                                                             \
	"{\"name\":\"%s\",\"image\":\"x\",\"resources\":{},\"terminationMessagePath\":"            \
	"\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":"      \
	"\"Always\"}"

static void containers_json(struct text *t)
{
	text_add(t, "\"containers\":[");
	text_printf(t, CONTAINER_JSON ",", "grpc-server");
	text_printf(t, CONTAINER_JSON "],", "helper");
	text_add(t, "\"restartPolicy\":\"Never\",\"terminationGracePeriodSeconds\":30,"
		    "\"dnsPolicy\":\"ClusterFirst\",\"securityContext\":{},"
		    "\"schedulerName\":\"default-scheduler\"");
}

static void job_template(struct text *t, const struct job *j)
{
	text_printf(t, "\"template\":{\"metadata\":{%s",
		    cluster.v1_34 ? "" : "\"creationTimestamp\":null,");
	job_labels(t, j->uid, j->name);
	text_add(t, "},\"spec\":{");
	containers_json(t);
	text_add(t, "}},");
}

static void job_spec(struct text *t, const struct job *j)
{
	text_printf(t,
		    "\"spec\":{\"parallelism\":%d,\"completions\":%d,\"backoffLimit\":%d,"
		    "\"selector\":{\"matchLabels\":{\"%scontroller-uid\":\"%s\"",
		    j->parallelism, j->parallelism, j->retries,
		    cluster.v1_34 ? "batch.kubernetes.io/" : "", j->uid);
	for (int i = 0; cluster.long_selector && j->whose == OURS && i < 9; i++)
		text_printf(t, ",\"" LONG_LABEL "%d\":\"%s\"", i, LONG_VALUE);
	text_add(t, "}},");
	if (cluster.v1_34)
		text_add(t, "\"manualSelector\":false,");
	if (!cluster.lean)
		job_template(t, j);
	if (j->ttl_s >= 0)
		text_printf(t, "\"ttlSecondsAfterFinished\":%d,", j->ttl_s);
	text_printf(t, "\"completionMode\":\"NonIndexed\",\"suspend\":%s%s},",
		    j->suspend ? "true" : "false",
		    cluster.v1_34 ? ",\"podReplacementPolicy\":\"TerminatingOrFailed\"" : "");
}

/* @sep: whether one stands before it. */
static void condition_json(struct text *t, bool sep, const char *type, bool is_true, int64_t at_ms,
			   const char *reason, const char *message)
{
	text_printf(t, "%s{\"type\":\"%s\",\"status\":\"%s\",\"lastProbeTime\":", sep ? "," : "",
		    type, is_true ? "True" : "False");
	time_add(t, at_ms);
	text_add(t, ",\"lastTransitionTime\":");
	time_add(t, at_ms);
	if (reason[0])
		text_printf(t, ",\"reason\":\"%s\",\"message\":\"%s\"", reason, message);
	text_add(t, "}");
}

static void conditions_json(struct text *t, const struct job *j)
{
	bool        good = j->wanted == END_COMPLETE || j->end == END_COMPLETE, sep = false;
	const char *reason = !good           ? "BackoffLimitExceeded"
			     : cluster.v1_34 ? "CompletionsReached"
					     : "";
	const char *message = good ? "Reached expected number of succeeded pods"
				   : "Job has reached the specified backoff limit";
	bool        interim = cluster.v1_34 && j->ending_ms >= 0;

	if (!interim && j->end == END_NONE && !j->suspend && !j->resumed)
		return;
	text_add(t, "\"conditions\":[");
	if (j->suspend || j->resumed) {
		condition_json(t, sep, "Suspended", j->suspend, j->created_ms,
			       j->suspend ? "JobSuspended" : "JobResumed",
			       j->suspend ? "Job suspended" : "Job resumed");
		sep = true;
	}
	if (interim) {
		condition_json(t, sep, good ? "SuccessCriteriaMet" : "FailureTarget", true,
			       j->ending_ms, reason, message);
		sep = true;
	}
	if (j->end != END_NONE)
		condition_json(t, sep, good ? "Complete" : "Failed", true, j->finished_ms, reason,
			       message);
	text_add(t, "],");
}

static void job_status(struct text *t, const struct job *j)
{
	text_add(t, "\"status\":{");
	conditions_json(t, j);
	if (j->started_ms >= 0) {
		text_add(t, "\"startTime\":");
		time_add(t, j->started_ms);
		text_add(t, ",");
	}
	if (j->end == END_COMPLETE) {
		text_add(t, "\"completionTime\":");
		time_add(t, j->finished_ms);
		text_add(t, ",");
	}
	if (j->active)
		text_printf(t, "\"active\":%d,", j->active);
	if (j->end != END_NONE)
		text_printf(t, "\"%s\":%d,", j->end == END_COMPLETE ? "succeeded" : "failed",
			    j->parallelism);
	if (cluster.v1_34)
		text_printf(t, "\"terminating\":%d,", j->terminating);
	text_printf(t, "\"uncountedTerminatedPods\":{},\"ready\":%d}}", j->ready);
}

void job_json(struct text *t, const struct job *j, bool in_list)
{
	text_add(t, in_list ? "{" : "{\"kind\":\"Job\",\"apiVersion\":\"batch/v1\",");
	job_metadata(t, j);
	job_spec(t, j);
	job_status(t, j);
}

void job_list_json(struct text *t, const struct job *j)
{
	text_printf(t,
		    "{\"kind\":\"JobList\",\"apiVersion\":\"batch/v1\",\"metadata\":"
		    "{\"resourceVersion\":\"%llu\"},\"items\":[",
		    (unsigned long long)cluster.rv);
	if (j)
		job_json(t, j, true);
	text_add(t, "]}\n");
}

/* ---- The lines of a watch ---- */

void change_json(struct text *t, const struct change *c)
{
	text_printf(t, "{\"type\":\"%s\",\"object\":", c->type);
	job_json(t, &c->job, false);
	text_add(t, "}\n");
}

void expired_json(struct text *t, uint64_t rv)
{
	text_printf(t,
		    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\","
		    "\"metadata\":{},\"status\":\"Failure\",\"message\":\"too old resource "
		    "version: %llu (%llu)\",\"reason\":\"Expired\",\"code\":410}}\n",
		    (unsigned long long)rv, (unsigned long long)cluster.rv);
}

void bookmark_json(struct text *t)
{
	text_printf(
		t,
		"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Job\",\"apiVersion\":\"batch/v1\","
		"\"metadata\":{\"resourceVersion\":\"%llu\"%s},\"spec\":{\"template\":{"
		"\"metadata\":{%s},"
		"\"spec\":{\"containers\":null}}},\"status\":{}}}\n",
		(unsigned long long)cluster.rv, cluster.v1_34 ? "" : ",\"creationTimestamp\":null",
		cluster.v1_34 ? "" : "\"creationTimestamp\":null");
}

/* ---- Services ---- */

void service_json(struct text *t, const struct service *s)
{
	text_printf(t,
		    "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
		    "\"namespace\":\"" NS "\",\"uid\":\"%s\",\"resourceVersion\":\"%llu\","
		    "\"creationTimestamp\":",
		    s->name, s->uid, (unsigned long long)s->rv);
	time_add(t, s->created_ms);
	text_printf(t, ",\"labels\":{\"app\":\"%s\"}", s->name);
	for (int i = 0; i < s->owner_count; i++)
		text_printf(t,
			    "%s{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"name\":\"%s\","
			    "\"uid\":\"%s\"}%s",
			    i ? "," : ",\"ownerReferences\":[", s->owners[i].name, s->owners[i].uid,
			    i + 1 == s->owner_count ? "]" : "");
	if (cluster.lean) {
		text_add(t, "}}\n");
		return;
	}
	text_add(t, "},\"spec\":{\"ports\":[{\"name\":\"5000-5000\",\"protocol\":\"TCP\","
		    "\"port\":5000,\"targetPort\":5000,\"nodePort\":31256}],");
	text_printf(t,
		    "\"selector\":{\"app\":\"%s\"},\"clusterIP\":\"10.0.0.88\",\"clusterIPs\":"
		    "[\"10.0.0.88\"],",
		    s->name);
	text_add(t, "\"type\":\"NodePort\",\"sessionAffinity\":\"None\","
		    "\"externalTrafficPolicy\":\"Cluster\",\"ipFamilies\":[\"IPv4\"],"
		    "\"ipFamilyPolicy\":\"SingleStack\",\"internalTrafficPolicy\":\"Cluster\"},"
		    "\"status\":{\"loadBalancer\":{}}}\n");
}
