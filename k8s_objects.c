#include "k8s_objects.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "k8s_pages.h"

/* ---- Job ---- */

/* What cannot go into a query, or does not fit, leaves "": then nobody asks for the pods by it. */
static void job_selector(const json_t *spec, struct k8s_job *j)
{
	struct buf  b = { .max = K8S_SELECTOR_SIZE - 1 };
	json_t     *labels = json_object_get(json_object_get(spec, "selector"), "matchLabels");
	json_t     *value;
	const char *key;
	int         r = 0;

	json_object_foreach(labels, key, value) {
		const char *v = json_text(labels, key);
		if (r == 0 && (!v || strpbrk(key, ",=!()") || strpbrk(v, ",=!()")))
			r = -EBADMSG;
		if (r == 0)
			r = buf_printf(&b, "%s%s=%s", b.len ? "," : "", key, v);
	}
	if (r == 0 && b.len)
		(void)copy_str(j->selector, sizeof(j->selector), b.data); /* it fits */
	buf_fini(&b);
}

/* It is about to end, when the last of its pods has. */
static void job_ending(const json_t *condition, struct k8s_job *j)
{
	char type[24], since[40], words[K8S_MESSAGE_SIZE];

	json_words(condition, "type", type, sizeof(type));
	json_words(condition, "lastTransitionTime", since, sizeof(since));
	json_words(condition, "message", words, sizeof(words));
	(void)snprintf(j->ending, sizeof(j->ending), "%s since %s%s%s", type, since,
		       words[0] ? ": " : "", words);
}

/* Only a True condition counts, wherever in the list it stands. */
static int job_conditions(const json_t *status, struct k8s_job *j, struct err *err)
{
	json_t *list, *c;
	size_t  i;
	int     r = json_typed(status, "conditions", JSON_ARRAY, &list, err);

	if (r < 0)
		return r;
	json_array_foreach(list, i, c) {
		if (!json_has(c, "status", "True"))
			continue;
		if (json_has(c, "type", "Suspended"))
			j->suspended = true;
		if (json_has(c, "type", "FailureTarget") ||
		    json_has(c, "type", "SuccessCriteriaMet"))
			job_ending(c, j);
		bool complete = json_has(c, "type", "Complete");
		if (complete || json_has(c, "type", "Failed")) {
			j->finished = complete ? JOB_COMPLETE : JOB_FAILED;
			j->finished_ms = json_time(c, "lastTransitionTime");
		}
	}
	return 0;
}

static bool has_finalizer(const json_t *meta, const char *name)
{
	json_t *f;
	size_t  i;

	json_array_foreach(json_object_get(meta, "finalizers"), i, f) {
		if (json_is_string(f) && strcmp(json_string_value(f), name) == 0)
			return true;
	}
	return false;
}

static int job_metadata(const json_t *root, const char *name, struct k8s_job *j, struct err *err)
{
	json_t *meta;
	int     r = json_typed(root, "metadata", JSON_OBJECT, &meta, err);

	r = r < 0 ? r : json_need_str(meta, "name", j->name, sizeof(j->name), err);
	r = r < 0 ? r : json_need_token(meta, "uid", j->uid, sizeof(j->uid), err);
	r = r < 0 ? r
		  : json_need_token(meta, "resourceVersion", j->version, sizeof(j->version), err);
	if (r < 0)
		return r;
	if (name && strcmp(j->name, name) != 0)
		return err_set(err, EBADMSG, "a Job of another name: %s", j->name);
	const json_t *deleted = json_object_get(meta, "deletionTimestamp");
	const json_t *notes = json_object_get(meta, "annotations");
	j->deleting = deleted && !json_is_null(deleted);
	j->foreground = has_finalizer(meta, "foregroundDeletion");
	j->orphaning = has_finalizer(meta, "orphan");
	j->created_ms = json_time(meta, "creationTimestamp");
	j->has_hold = json_object_get(notes, K8S_HOLD_ANNOTATION) != NULL;
	json_words(notes, K8S_HOLD_ANNOTATION, j->hold, sizeof(j->hold));
	return 0;
}

static int job_status(const json_t *root, struct k8s_job *j, struct err *err)
{
	int64_t active = 0, ready = -1;
	json_t *status;
	int     r = json_typed(root, "status", JSON_OBJECT, &status, err);

	r = r < 0 ? r : job_conditions(status, j, err);
	if (r < 0)
		return r;
	if (json_count(status, "active", 0, &active, NULL) < 0)
		active = UINT32_MAX; /* no number of pods is enough */
	if (json_count(status, "ready", -1, &ready, NULL) < 0)
		ready = -1;
	j->active = (uint32_t)active;
	j->ready = (int32_t)ready;
	j->started_ms = json_time(status, "startTime");
	return 0;
}

static void job_spec(const json_t *spec, struct k8s_job *j)
{
	bool    suspend = false;
	int64_t ttl_s = -1;

	if (json_bool(spec, "suspend", &suspend, NULL) < 0 || suspend)
		j->suspended = true;
	(void)json_count(spec, "ttlSecondsAfterFinished", -1, &ttl_s, NULL);
	j->ttl_ms = ttl_s < 0 ? -1 : min_ms(ttl_s, INT32_MAX) * 1000; /* an int32 in the API */
	job_selector(spec, j);
}

/* What cannot be read is taken for several pods, and for one that is tried again. */
static void job_pods(const json_t *spec, const json_t *status, struct k8s_job *j)
{
	int64_t parallelism, completions, limit, succeeded, failed;

	j->one_pod = json_count(spec, "parallelism", 1, &parallelism, NULL) == 0 &&
		     json_count(spec, "completions", 1, &completions, NULL) == 0 &&
		     json_count(status, "succeeded", 0, &succeeded, NULL) == 0 &&
		     parallelism == 1 && completions - succeeded <= 1;
	j->retries = json_count(spec, "backoffLimit", -1, &limit, NULL) < 0 || limit < 0 ||
		     json_count(status, "failed", 0, &failed, NULL) < 0 || failed < limit ||
		     json_object_get(spec, "podFailurePolicy");
}

int k8s_job_from(const json_t *root, const char *name, struct k8s_job *ret, struct err *err)
{
	struct k8s_job j = { .finished_ms = -1 };
	int            r = job_metadata(root, name, &j, err);

	r = r < 0 ? r : job_status(root, &j, err);
	if (r < 0)
		return r;
	job_spec(json_object_get(root, "spec"), &j);
	job_pods(json_object_get(root, "spec"), json_object_get(root, "status"), &j);
	*ret = j;
	return 0;
}

int k8s_job_decode(const char *p, size_t n, const char *name, struct k8s_job *ret, struct err *err)
{
	AUTO_JSON json_t *root = json_read(p, n, err);

	if (!root)
		return -EBADMSG;
	int r = json_need_kind(root, "Job", err);
	return r < 0 ? r : k8s_job_from(root, name, ret, err);
}

int k8s_job_list_decode(const char *p, size_t n, const char *name, bool *ret_found,
			struct k8s_job *ret_job, char ret_version[K8S_VERSION_SIZE],
			struct err *err)
{
	char              version[K8S_VERSION_SIZE];
	AUTO_JSON json_t *root = json_read(p, n, err);
	json_t           *meta, *items;

	if (!root)
		return -EBADMSG;
	int r = json_need_kind(root, "JobList", err);
	r = r < 0 ? r : json_typed(root, "metadata", JSON_OBJECT, &meta, err);
	r = r < 0 ? r : json_need_token(meta, "resourceVersion", version, sizeof(version), err);
	r = r < 0 ? r : json_typed(root, "items", JSON_ARRAY, &items, err);
	if (r == 0 && !json_object_get(root, "items"))
		r = json_bad(err, "items"); /* a list cut short must not read as "no such Job" */
	if (r == 0 && json_array_size(items) > 1)
		r = err_set(err, EBADMSG, "more than one Job of one name");
	if (r == 0 && json_array_size(items) == 1)
		r = k8s_job_from(json_array_get(items, 0), name, ret_job, err);
	if (r < 0)
		return r;
	*ret_found = json_array_size(items) == 1;
	return copy_str(ret_version, K8S_VERSION_SIZE, version);
}

/* ---- Status ---- */

static int status_from(const json_t *root, struct k8s_status *ret)
{
	struct k8s_status s = { .success = json_has(root, "status", "Success") };
	const json_t     *details = json_object_get(root, "details");

	json_words(root, "reason", s.reason, sizeof(s.reason));
	json_words(root, "message", s.message, sizeof(s.message));
	json_words(details, "name", s.name, sizeof(s.name));
	json_words(details, "kind", s.kind, sizeof(s.kind));
	json_words(details, "group", s.group, sizeof(s.group));
	json_words(details, "uid", s.uid, sizeof(s.uid));
	s.code = (int)json_integer_value(json_object_get(root, "code"));
	int64_t wait_s = json_integer_value(json_object_get(details, "retryAfterSeconds"));
	s.retry_after_ms = wait_s > 0 ? (wait_s < 86400 ? wait_s : 86400) * 1000 : 0;
	*ret = s;
	return 0;
}

int k8s_status_decode(const char *p, size_t n, struct k8s_status *ret, struct err *err)
{
	AUTO_JSON json_t *root = json_read(p, n, err);

	return root ? status_from(root, ret) : -EBADMSG;
}

int k8s_deleted_decode(const char *p, size_t n, const char *kind, bool *ret_kept, struct err *err)
{
	AUTO_JSON json_t *root = json_read(p, n, err);

	if (!root)
		return -EBADMSG;
	if (ret_kept)
		*ret_kept =
			json_text(json_object_get(root, "metadata"), "deletionTimestamp") != NULL;
	if (json_has(root, "kind", kind) ||
	    (json_has(root, "kind", "Status") && json_has(root, "status", "Success")))
		return 0;
	return err_set(err, EBADMSG, "neither a Status of success nor a %s", kind);
}

/* ---- Watch ---- */

static const char *const watch_names[] = { "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR" };
_Static_assert(ARRAY_SIZE(watch_names) == WATCH_ERROR + 1, "name every type");

static int watch_type(const json_t *root, enum watch_type *ret, struct err *err)
{
	char word[16];
	int  r = json_need_str(root, "type", word, sizeof(word), err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(watch_names); i++)
		if (strcmp(word, watch_names[i]) == 0) {
			*ret = (enum watch_type)i;
			return 0;
		}
	return r < 0 ? r : json_bad(err, "type");
}

/* A bookmark carries a resourceVersion and nothing else. */
static int bookmark_from(const json_t *object, struct watch_event *ev, struct err *err)
{
	json_t *meta;
	int     r = json_typed(object, "metadata", JSON_OBJECT, &meta, err);

	return r < 0 ? r
		     : json_need_token(meta, "resourceVersion", ev->version, sizeof(ev->version),
				       err);
}

int k8s_watch_decode(const char *p, size_t n, const char *name, struct watch_event *ret,
		     struct err *err)
{
	struct watch_event ev = { 0 };
	AUTO_JSON json_t  *root = json_read(p, n, err);
	json_t            *object = NULL;

	if (!root)
		return -EBADMSG;
	int r = watch_type(root, &ev.type, err);
	r = r < 0 ? r : json_typed(root, "object", JSON_OBJECT, &object, err);
	if (r == 0 && !object)
		r = json_bad(err, "object");
	if (r < 0)
		return r;
	switch (ev.type) {
	case WATCH_ADDED:
	case WATCH_MODIFIED:
	case WATCH_DELETED:
		r = k8s_job_from(object, name, &ev.job, err);
		(void)copy_str(ev.version, sizeof(ev.version), ev.job.version); /* same size */
		break;
	case WATCH_BOOKMARK: r = bookmark_from(object, &ev, err); break;
	case WATCH_ERROR: r = status_from(object, &ev.status); break;
	}
	if (r == 0)
		*ret = ev;
	return r;
}

/* ---- Service ---- */

static bool owned_by(const json_t *meta, const char *uid)
{
	json_t *owner;
	size_t  i;

	json_array_foreach(json_object_get(meta, "ownerReferences"), i, owner) {
		if (json_has(owner, "uid", uid))
			return true;
	}
	return false;
}

int k8s_service_decode(const char *p, size_t n, const char *name, const char *owner_uid,
		       struct k8s_service *ret, struct err *err)
{
	struct k8s_service s = { 0 };
	AUTO_JSON json_t  *root = json_read(p, n, err);
	json_t            *meta;

	if (!root)
		return -EBADMSG;
	int r = json_need_kind(root, "Service", err);
	r = r < 0 ? r : json_typed(root, "metadata", JSON_OBJECT, &meta, err);
	r = r < 0 ? r : json_need_token(meta, "uid", s.uid, sizeof(s.uid), err);
	if (r == 0 && !json_has(meta, "name", name))
		r = err_set(err, EBADMSG, "a Service of another name");
	if (r < 0)
		return r;
	s.created_ms = json_time(meta, "creationTimestamp");
	s.owned = owned_by(meta, owner_uid);
	s.deleting = json_is_string(json_object_get(meta, "deletionTimestamp"));
	*ret = s;
	return 0;
}

/* ---- SelfSubjectAccessReview ---- */

int k8s_review_decode(const char *p, size_t n, bool *ret_allowed, struct err *err)
{
	AUTO_JSON json_t *root = json_read(p, n, err);
	bool              allowed = false;
	json_t           *status;

	if (!root)
		return -EBADMSG;
	int r = json_need_kind(root, "SelfSubjectAccessReview", err);
	r = r < 0 ? r : json_typed(root, "status", JSON_OBJECT, &status, err);
	r = r < 0 ? r : json_bool(status, "allowed", &allowed, err);
	if (r == 0)
		*ret_allowed = allowed;
	return r;
}
