/* What is sent: the bodies of DELETE, PATCH and POST, as k8s_objects.h declares them. */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>

#include "k8s_objects.h"

/* Steals @o, which may be NULL. */
static char *dump(json_t *o)
{
	char *s = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	return s;
}

char *k8s_delete_options_new(const char *uid, const char *version, bool no_grace)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:{s:s, s:s*}}", "apiVersion", "v1", "kind",
			      "DeleteOptions", "propagationPolicy", "Background", "preconditions",
			      "uid", uid, "resourceVersion", version);

	if (no_grace && json_object_set_new(o, "gracePeriodSeconds", json_integer(0)) < 0) {
		json_decref(o);
		return NULL;
	}
	return dump(o);
}

char *k8s_owner_patch_new(const char *service_uid, const char *job_name, const char *job_uid)
{
	return dump(json_pack("{s:{s:s, s:[{s:s, s:s, s:s, s:s}]}}", "metadata", "uid", service_uid,
			      "ownerReferences", "apiVersion", "batch/v1", "kind", "Job", "name",
			      job_name, "uid", job_uid));
}

char *k8s_event_new(const char *ns, const char *job_name, const char *job_uid, const char *reason,
		    const char *message, bool warning, int64_t cause, int64_t unix_ms)
{
	char at[RFC3339_SIZE], name[K8S_NAME_SIZE], words[1024]; /* as many as an Event takes */

	(void)snprintf(words, sizeof(words), "%s", message);
	utf8_clean(words); /* a proxy's page, a server's words that were cut, a setting */
	rfc3339_format(at, unix_ms, false);
	(void)snprintf(name, sizeof(name), "%.63s.%.8s.%s.%llx", job_name,
		       job_uid[0] ? job_uid : "0", reason, (unsigned long long)cause);
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return dump(json_pack(
		"{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s, s:s, s:s*}, s:s, s:s, s:s,"
		" s:{s:s}, s:s, s:s, s:i}",
		"apiVersion", "v1", "kind", "Event", "metadata", "name", name, "namespace", ns,
		"involvedObject", "apiVersion", "batch/v1", "kind", "Job", "name", job_name,
		"namespace", ns, "uid", job_uid[0] ? job_uid : NULL, "reason", reason, "message",
		words, "type", warning ? "Warning" : "Normal", "source", "component",
		"cleanup-grpc", "firstTimestamp", at, "lastTimestamp", at, "count", 1));
}

char *k8s_review_new(const char *ns, const char *verb, const char *group, const char *resource,
		     const char *name)
{
	return dump(json_pack("{s:s, s:s, s:{s:{s:s, s:s, s:s, s:s, s:s*}}}", "apiVersion",
			      "authorization.k8s.io/v1", "kind", "SelfSubjectAccessReview", "spec",
			      "resourceAttributes", "namespace", ns, "verb", verb, "group", group,
			      "resource", resource, "name", name[0] ? name : NULL));
}
