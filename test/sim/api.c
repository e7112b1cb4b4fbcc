/* What a request asks for, and the judge of it. */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "broker.h"
#include "promises.h"
#include "settings.h"

unsigned rights[RESOURCES];
char     api_token[80];

void api_reset(void)
{
	for (int r = 0; r < RESOURCES; r++)
		rights[r] = ~0u;
	quirks = (struct metrics_quirks){ 0 };
}

bool may(enum verb v, enum resource r)
{
	return (rights[r] & RIGHT(v)) != 0;
}

/* ---- Reading a request ---- */

static void unescape(char *out, size_t size, const char *s, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n && len + 1 < size; i++) {
		if (s[i] == '%' && i + 2 < n && isxdigit((unsigned char)s[i + 1]) &&
		    isxdigit((unsigned char)s[i + 2])) {
			char hex[3] = { s[i + 1], s[i + 2], '\0' };
			out[len++] = (char)strtoul(hex, NULL, 16);
			i += 2;
		} else {
			out[len++] = s[i];
		}
	}
	out[len] = '\0';
}

static void read_query(const char *p, struct request *q)
{
	while (*p) {
		size_t      n = strcspn(p, "&"), key = strcspn(p, "=");
		const char *value = p + key + 1;
		char        text[1200] = "";

		if (key < n)
			unescape(text, sizeof(text), value, n - key - 1);
		if (strncmp(p, "watch=1", n) == 0)
			q->verb = VERB_WATCH;
		else if (strncmp(p, "resourceVersion=", key + 1) == 0)
			q->rv = strtoull(text, NULL, 10);
		else if (strncmp(p, "timeoutSeconds=", key + 1) == 0)
			q->timeout_s = (int)strtol(text, NULL, 10);
		else if (strncmp(p, "fieldSelector=", key + 1) == 0 &&
			 strncmp(text, "metadata.name=", 14) == 0)
			(void)snprintf(q->name, sizeof(q->name), "%s", text + 14);
		else if (strncmp(p, "labelSelector=", key + 1) == 0)
			(void)snprintf(q->label, sizeof(q->label), "%s", text);
		else if (strncmp(p, "limit=", key + 1) == 0)
			q->limit = (int)strtol(text, NULL, 10);
		else if (strncmp(p, "continue=", key + 1) == 0) {
			q->from = (int)strtol(text, NULL, 10);
			q->from_rv =
				strchr(text, '.') ? strtoull(strchr(text, '.') + 1, NULL, 10) : 0;
		} else if (strncmp(p, "page=", key + 1) == 0)
			q->page = (int)strtol(text, NULL, 10);
		else if (strncmp(p, "page_size=", key + 1) == 0)
			q->page_size = (int)strtol(text, NULL, 10);
		else if (strncmp(p, "name=", key + 1) == 0)
			(void)snprintf(q->prefix, sizeof(q->prefix), "%.299s", text);
		p += n;
		p += *p == '&';
	}
}

static const struct {
	const char   *path;
	enum resource resource;
} paths[] = {
	{ "https://10.0.0.1:443/apis/batch/v1/namespaces/panda/jobs", RES_JOBS },
	{ "https://10.0.0.1:443/api/v1/namespaces/panda/services", RES_SERVICES },
	{ "https://10.0.0.1:443/api/v1/namespaces/panda/pods", RES_PODS },
	{ "https://10.0.0.1:443/api/v1/namespaces/panda/events", RES_EVENTS },
	{ "https://10.0.0.1:443/apis/metrics.k8s.io/v1beta1/namespaces/panda/pods", RES_METRICS },
	{ "https://10.0.0.1:443/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
	  RES_REVIEWS },
	{ "http://rabbitmq:15672/api/queues/%2F", RES_QUEUES },
};

static bool read_url(const char *url, struct request *q)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		size_t      n = strlen(paths[i].path);
		const char *p = url + n;

		if (strncmp(url, paths[i].path, n) != 0 || (*p && *p != '/' && *p != '?'))
			continue;
		q->resource = paths[i].resource;
		if (*p == '/') {
			size_t len = strcspn(++p, "?");
			if (memchr(p, '/', len))
				return false;
			unescape(q->name, sizeof(q->name), p, len);
			p += len;
			if (!q->name[0])
				return false;
		}
		if (q->name[0])
			q->verb = VERB_GET;
		if (*p == '?')
			read_query(p + 1, q);
		return true;
	}
	return false;
}

static void copy(char *out, size_t size, const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	(void)snprintf(out, size, "%s", s ? s : "");
}

static void read_owner(const json_t *meta, struct request *q)
{
	const json_t *owner = json_array_get(json_object_get(meta, "ownerReferences"), 0);

	copy(q->owner_uid, sizeof(q->owner_uid), owner, "uid");
	copy(q->owner_name, sizeof(q->owner_name), owner, "name");
	q->blocks_owner = json_is_true(json_object_get(owner, "blockOwnerDeletion"));
}

static bool read_body(const char *body, struct request *q)
{
	json_auto_t  *root = json_loads(body, 0, NULL);
	const json_t *pre = json_object_get(root, "preconditions");
	const json_t *meta = json_object_get(root, "metadata");
	const json_t *grace = json_object_get(root, "gracePeriodSeconds");
	const json_t *review = json_object_get(json_object_get(root, "spec"), "resourceAttributes");

	if (!root)
		return false;
	if (q->verb == VERB_DELETE) {
		copy(q->uid, sizeof(q->uid), pre, "uid");
		copy(q->version, sizeof(q->version), pre, "resourceVersion");
		copy(q->policy, sizeof(q->policy), root, "propagationPolicy");
		if (grace)
			q->grace_s = (int)json_integer_value(grace);
	} else if (q->verb == VERB_PATCH) {
		copy(q->uid, sizeof(q->uid), meta, "uid");
		read_owner(meta, q);
	} else if (q->resource == RES_EVENTS) {
		copy(q->name, sizeof(q->name), meta, "name");
		copy(q->event_reason, sizeof(q->event_reason), root, "reason");
	} else {
		copy(q->review_verb, sizeof(q->review_verb), review, "verb");
		copy(q->review_group, sizeof(q->review_group), review, "group");
		copy(q->review_resource, sizeof(q->review_resource), review, "resource");
		copy(q->review_name, sizeof(q->review_name), review, "name");
	}
	return true;
}

bool request_parse(const char *method, const char *url, const char *body, struct request *ret,
		   const char **ret_why)
{
	struct request *q = ret;

	*q = (struct request){ .verb = VERB_LIST, .grace_s = -1, .page = 1, .page_size = 100 };
	*ret_why = "a URL that nobody serves";
	if (!read_url(url, q))
		return false;
	*ret_why = "a method without its object";
	if (strcmp(method, "DELETE") == 0)
		q->verb = VERB_DELETE;
	else if (strcmp(method, "PATCH") == 0)
		q->verb = VERB_PATCH;
	else if (strcmp(method, "POST") == 0)
		q->verb = VERB_CREATE;
	else if (strcmp(method, "GET") != 0)
		return false;
	if ((q->verb == VERB_DELETE || q->verb == VERB_PATCH) && !q->name[0])
		return false;
	if (q->verb == VERB_LIST && q->name[0] && q->resource != RES_JOBS)
		q->verb = VERB_GET;
	*ret_why = "a body that is no JSON";
	return !body || read_body(body, q);
}

/* ---- Doing it ---- */

static bool conflicts(const struct request *q, struct answer *a, const char *uid, uint64_t rv)
{
	char why[300], version[24];

	(void)snprintf(version, sizeof(version), "%llu", (unsigned long long)rv);
	if (q->uid[0] && strcmp(q->uid, uid) != 0)
		(void)snprintf(why, sizeof(why),
			       "the UID in the precondition (%s) does not match the UID in record "
			       "(%s). The object might have been deleted and then recreated",
			       q->uid, uid);
	else if (q->version[0] && strcmp(q->version, version) != 0)
		(void)snprintf(why, sizeof(why),
			       "the ResourceVersion in the precondition (%s) does not match the "
			       "ResourceVersion in record (%s). The object might have been "
			       "modified",
			       q->version, version);
	else
		return false;
	answer_conflict(a, q->resource, q->name, why);
	return true;
}

static void ok(struct answer *a)
{
	a->status = 200;
	a->type = "application/json";
}

static enum policy policy_of(const struct request *q)
{
	return strcmp(q->policy, "Background") == 0   ? BACKGROUND
	       : strcmp(q->policy, "Foreground") == 0 ? FOREGROUND
						      : ORPHAN;
}

static enum actor actor_of(const struct request *q)
{
	return q->sweeps ? BY_SWEEP : BY_CLEANER;
}

/* A page of all that there are; of a list that began before a compaction nobody can tell the rest.
 */
static void list_page(const struct request *q, struct answer *a)
{
	if (q->from_rv && q->from_rv < cluster.compacted_rv) {
		answer_status(a, 410, "Expired",
			      "The provided continue parameter is too old to display a consistent "
			      "list result.",
			      "");
		return;
	}
	ok(a);
	page_json(&a->body, q);
}

static void delete_job(const struct request *q, struct answer *a)
{
	struct job *j = job_of(q->name);

	if (!j) {
		answer_not_found(a, RES_JOBS, q->name);
		return;
	}
	if (conflicts(q, a, j->uid, j->rv))
		return;
	ok(a);
	promise_on_accepted_delete(q, j);
	job_delete(j, policy_of(q), actor_of(q));
	if (j->there)
		job_json(&a->body, j, false);
	else
		deleted_json(&a->body, RES_JOBS, q->name, j->uid);
}

static void jobs(const struct request *q, struct answer *a)
{
	struct job *j = job_of(q->name);

	if (q->verb == VERB_DELETE) {
		delete_job(q, a);
		return;
	}
	a->tale.told = j ? TOLD_JOB : TOLD_NO_JOB;
	a->tale.at_ms = sim_ms();
	if (j)
		a->tale.job = *j;
	ok(a);
	if (q->verb == VERB_LIST)
		job_list_json(&a->body, j);
	else if (q->verb == VERB_GET && j)
		job_json(&a->body, j, false);
	else if (q->verb == VERB_GET)
		answer_not_found(a, RES_JOBS, q->name);
}

static void patch_service(const struct request *q, struct answer *a, struct service *s)
{
	char message[400];

	if (q->uid[0] && strcmp(q->uid, s->uid) != 0) {
		(void)snprintf(message, sizeof(message),
			       "Service \\\"%s\\\" is invalid: metadata.uid: Invalid value: "
			       "\\\"%s\\\": field is immutable",
			       q->name, q->uid);
		char details[300];
		(void)snprintf(details, sizeof(details),
			       "{\"name\":\"%s\",\"kind\":\"Service\",\"causes\":[{\"reason\":"
			       "\"FieldValueInvalid\",\"field\":\"metadata.uid\"}]}",
			       q->name);
		answer_status(a, 422, "Invalid", message, details);
		return;
	}
	ok(a);
	bool known = false;
	for (int i = 0; i < s->owner_count; i++)
		known |= strcmp(s->owners[i].uid, q->owner_uid) == 0;
	if (!known && q->owner_uid[0] && s->owner_count < 4) {
		struct owner_ref *o = &s->owners[s->owner_count++];
		(void)snprintf(o->uid, sizeof(o->uid), "%s", q->owner_uid);
		(void)snprintf(o->name, sizeof(o->name), "%s", q->owner_name);
		s->rv = ++cluster.rv;
		s->adopted = true;
		promise_on_adoption(s, q);
		trace("cluster", "Service %s is owned by Job uid %.8s", s->name, q->owner_uid);
		controllers_wake();
	}
	service_json(&a->body, s);
}

static void services(const struct request *q, struct answer *a)
{
	struct service *s = service_of(q->name);

	if (!s) {
		answer_not_found(a, RES_SERVICES, q->name);
	} else if (q->verb == VERB_PATCH) {
		patch_service(q, a, s);
	} else if (q->verb == VERB_GET) {
		ok(a);
		service_json(&a->body, s);
	} else if (!conflicts(q, a, s->uid, s->rv)) {
		ok(a);
		service_json(&a->body, s);
		service_delete(s, actor_of(q));
	}
}

static void pods(const struct request *q, struct answer *a)
{
	if (q->verb == VERB_LIST) {
		ok(a);
		pods_json(&a->body, q->label);
		a->tale.told = TOLD_PODS;
		a->tale.at_ms = sim_ms();
		for (const struct pod *p = cluster.pods; p < cluster.pods + PODS; p++)
			if (p->there && label_matches(q->label, p->job_uid, p->job_name))
				a->tale.pods_seen[a->tale.pod_count++] = *p;
		return;
	}
	struct pod *p = pod_of(q->name);
	if (!p) {
		answer_not_found(a, RES_PODS, q->name);
	} else if (!conflicts(q, a, p->uid, p->rv)) {
		ok(a);
		if (q->verb == VERB_DELETE)
			pod_delete(p, q->grace_s, actor_of(q));
		pod_json(&a->body, p, false);
	}
}

static void reviews(const struct request *q, struct answer *a)
{
	bool allowed = false;

	for (int v = VERB_GET; v <= VERB_DELETE; v++)
		for (int r = 0; r < RES_REVIEWS; r++)
			if (strcmp(verb_words[v], q->review_verb) == 0 &&
			    strcmp(resource_words[r], q->review_resource) == 0 &&
			    strcmp(group_words[r], q->review_group) == 0)
				allowed |= may((enum verb)v, (enum resource)r);
	ok(a);
	a->status = 201;
	review_json(&a->body, q, allowed);
}

void api_answer(const struct request *q, struct answer *a)
{
	text_reset(&a->body);
	a->tale.told = TOLD_NOTHING;
	a->tale.named = a->tale.pod_count = 0;
	a->tale.lacks = a->tale.usable = false;
	a->tale.pods = 0;
	a->tale.items = a->tale.active = 0;
	a->tale.oldest_ms = a->tale.window_ms = 0;
	if (q->resource == RES_QUEUES) {
		broker_answer(q, a);
		return;
	}
	if (!q->token_fits) {
		answer_status(a, 401, "Unauthorized", "Unauthorized", "");
		return;
	}
	if (!may(q->verb, q->resource)) {
		answer_forbidden(a, q, SIM_USER);
		a->tale.forbidden = true;
		return;
	}
	if (q->verb == VERB_LIST && q->limit) {
		list_page(q, a);
		return;
	}
	switch (q->resource) {
	case RES_JOBS: jobs(q, a); break;
	case RES_SERVICES: services(q, a); break;
	case RES_PODS: pods(q, a); break;
	case RES_EVENTS:
		ok(a);
		a->status = 201;
		cluster.events++;
		promise_on_event(q);
		event_json(&a->body, q);
		break;
	case RES_METRICS: metrics_answer(q, a); break;
	case RES_REVIEWS: reviews(q, a); break;
	case RES_QUEUES: break;
	}
}
