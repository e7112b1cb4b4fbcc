#include "k8s_objects.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "k8s_pages.h"

/* ---- Reading JSON: absent or null is the default, another type is an error ---- */

static int bad(struct err *err, const char *what)
{
	return err_set(err, EBADMSG, "%s: missing, too long, or of another type", what);
}

/* Borrowed; *@ret NULL if absent. */
static int get_typed(const json_t *o, const char *key, json_type type, json_t **ret,
		     struct err *err)
{
	json_t *v = json_object_get(o, key);

	*ret = NULL;
	if (!v || json_is_null(v))
		return 0;
	if (json_typeof(v) != type)
		return bad(err, key);
	*ret = v;
	return 0;
}

/* Copies a string that must fit whole; absent leaves "". */
static int get_str(const json_t *o, const char *key, char *dst, size_t size, struct err *err)
{
	json_t *v;
	int     r = get_typed(o, key, JSON_STRING, &v, err);

	if (r < 0)
		return r;
	dst[0] = '\0';
	if (v && (strlen(json_string_value(v)) != json_string_length(v) ||
		  copy_str(dst, size, json_string_value(v)) < 0))
		return bad(err, key);
	return 0;
}

static int need_str(const json_t *o, const char *key, char *dst, size_t size, struct err *err)
{
	int r = get_str(o, key, dst, size, err);

	return r < 0 ? r : dst[0] ? 0 : bad(err, key);
}

/* The string itself, or NULL: of another type, or with a NUL in it, and so not what it seems. */
static const char *text_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	const char   *s = json_string_value(v);

	return s && strlen(s) == json_string_length(v) ? s : NULL;
}

/* Words for people, or a value that is only compared: what is too long is cut. */
static void get_words(const json_t *o, const char *key, char *dst, size_t size)
{
	const char *s = text_of(o, key);

	(void)snprintf(dst, size, "%s", s ? s : "");
}

static int get_count(const json_t *o, const char *key, int64_t absent, int64_t *ret,
		     struct err *err)
{
	json_t *v;
	int     r = get_typed(o, key, JSON_INTEGER, &v, err);

	if (r < 0)
		return r;
	*ret = v ? json_integer_value(v) : absent;
	return *ret < absent || *ret > INT32_MAX ? bad(err, key) : 0;
}

static int get_bool(const json_t *o, const char *key, bool *ret, struct err *err)
{
	json_t *v = json_object_get(o, key);

	if (v && !json_is_null(v) && !json_is_boolean(v))
		return bad(err, key);
	*ret = json_is_true(v);
	return 0;
}

/* A time that cannot be read is as good as none. */
static int64_t get_time(const json_t *o, const char *key)
{
	const char *s = text_of(o, key);
	int64_t     ms;

	return s && rfc3339_parse(s, &ms) == 0 ? ms : -1;
}

/* A uid and a resourceVersion go into selectors and preconditions. */
static bool is_token(const char *s)
{
	return s[0] && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789-_.") == strlen(s);
}

static int need_token(const json_t *o, const char *key, char *dst, size_t size, struct err *err)
{
	int r = need_str(o, key, dst, size, err);

	return r < 0 ? r : is_token(dst) ? 0 : bad(err, key);
}

static bool has_text(const json_t *o, const char *key, const char *value)
{
	const char *s = text_of(o, key);

	return s && strcmp(s, value) == 0;
}

static int need_kind(const json_t *o, const char *kind, struct err *err)
{
	return has_text(o, "kind", kind) ? 0 : err_set(err, EBADMSG, "not a %s", kind);
}

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
		const char *v = text_of(labels, key);
		if (r == 0 && (!v || strpbrk(key, ",=!()") || strpbrk(v, ",=!()")))
			r = -EBADMSG;
		if (r == 0)
			r = buf_printf(&b, "%s%s=%s", b.len ? "," : "", key, v);
	}
	if (r == 0 && b.len)
		(void)copy_str(j->selector, sizeof(j->selector), b.data); /* it fits */
	buf_fini(&b);
}

/* Only a True condition counts, wherever in the list it stands. */
static int job_conditions(const json_t *status, struct k8s_job *j, struct err *err)
{
	json_t *list, *c;
	size_t  i;
	int     r = get_typed(status, "conditions", JSON_ARRAY, &list, err);

	if (r < 0)
		return r;
	json_array_foreach(list, i, c) {
		if (!has_text(c, "status", "True"))
			continue;
		if (has_text(c, "type", "Suspended"))
			j->suspended = true;
		bool complete = has_text(c, "type", "Complete");
		if (complete || has_text(c, "type", "Failed")) {
			j->finished = complete ? JOB_COMPLETE : JOB_FAILED;
			j->finished_ms = get_time(c, "lastTransitionTime");
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
	int     r = get_typed(root, "metadata", JSON_OBJECT, &meta, err);

	r = r < 0 ? r : need_str(meta, "name", j->name, sizeof(j->name), err);
	r = r < 0 ? r : need_token(meta, "uid", j->uid, sizeof(j->uid), err);
	r = r < 0 ? r : need_token(meta, "resourceVersion", j->version, sizeof(j->version), err);
	if (r < 0)
		return r;
	if (name && strcmp(j->name, name) != 0)
		return err_set(err, EBADMSG, "a Job of another name: %s", j->name);
	const json_t *deleted = json_object_get(meta, "deletionTimestamp");
	const json_t *notes = json_object_get(meta, "annotations");
	j->deleting = deleted && !json_is_null(deleted);
	j->foreground = has_finalizer(meta, "foregroundDeletion");
	j->orphaning = has_finalizer(meta, "orphan");
	j->created_ms = get_time(meta, "creationTimestamp");
	j->has_hold = json_object_get(notes, K8S_HOLD_ANNOTATION) != NULL;
	get_words(notes, K8S_HOLD_ANNOTATION, j->hold, sizeof(j->hold));
	return 0;
}

static int job_status(const json_t *root, struct k8s_job *j, struct err *err)
{
	int64_t active = 0, ready = -1;
	json_t *status;
	int     r = get_typed(root, "status", JSON_OBJECT, &status, err);

	r = r < 0 ? r : job_conditions(status, j, err);
	if (r < 0)
		return r;
	if (get_count(status, "active", 0, &active, NULL) < 0)
		active = UINT32_MAX; /* no number of pods is enough */
	if (get_count(status, "ready", -1, &ready, NULL) < 0)
		ready = -1;
	j->active = (uint32_t)active;
	j->ready = (int32_t)ready;
	j->started_ms = get_time(status, "startTime");
	return 0;
}

static void job_spec(const json_t *spec, struct k8s_job *j)
{
	bool    suspend = false;
	int64_t ttl_s = -1;

	if (get_bool(spec, "suspend", &suspend, NULL) < 0 || suspend)
		j->suspended = true;
	(void)get_count(spec, "ttlSecondsAfterFinished", -1, &ttl_s, NULL);
	j->ttl_ms = ttl_s < 0 ? -1 : min_ms(ttl_s, INT32_MAX) * 1000; /* an int32 in the API */
	job_selector(spec, j);
}

int k8s_job_from(const json_t *root, const char *name, struct k8s_job *ret, struct err *err)
{
	struct k8s_job j = { .finished_ms = -1 };
	int            r = job_metadata(root, name, &j, err);

	r = r < 0 ? r : job_status(root, &j, err);
	if (r < 0)
		return r;
	job_spec(json_object_get(root, "spec"), &j);
	*ret = j;
	return 0;
}

int k8s_job_decode(const char *p, size_t n, const char *name, struct k8s_job *ret, struct err *err)
{
	json_auto_t *root = json_read(p, n, err);

	if (!root)
		return -EBADMSG;
	int r = need_kind(root, "Job", err);
	return r < 0 ? r : k8s_job_from(root, name, ret, err);
}

int k8s_job_list_decode(const char *p, size_t n, const char *name, bool *ret_found,
			struct k8s_job *ret_job, char ret_version[K8S_VERSION_SIZE],
			struct err *err)
{
	char         version[K8S_VERSION_SIZE];
	json_auto_t *root = json_read(p, n, err);
	json_t      *meta, *items;

	if (!root)
		return -EBADMSG;
	int r = need_kind(root, "JobList", err);
	r = r < 0 ? r : get_typed(root, "metadata", JSON_OBJECT, &meta, err);
	r = r < 0 ? r : need_token(meta, "resourceVersion", version, sizeof(version), err);
	r = r < 0 ? r : get_typed(root, "items", JSON_ARRAY, &items, err);
	if (r == 0 && !json_object_get(root, "items"))
		r = bad(err, "items"); /* a list cut short must not read as "no such Job" */
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
	struct k8s_status s = { .success = has_text(root, "status", "Success") };
	const json_t     *details = json_object_get(root, "details");

	get_words(root, "reason", s.reason, sizeof(s.reason));
	get_words(root, "message", s.message, sizeof(s.message));
	get_words(details, "name", s.name, sizeof(s.name));
	get_words(details, "kind", s.kind, sizeof(s.kind));
	get_words(details, "group", s.group, sizeof(s.group));
	get_words(details, "uid", s.uid, sizeof(s.uid));
	s.code = (int)json_integer_value(json_object_get(root, "code"));
	int64_t wait_s = json_integer_value(json_object_get(details, "retryAfterSeconds"));
	s.retry_after_ms = wait_s > 0 ? (wait_s < 86400 ? wait_s : 86400) * 1000 : 0;
	*ret = s;
	return 0;
}

int k8s_status_decode(const char *p, size_t n, struct k8s_status *ret, struct err *err)
{
	json_auto_t *root = json_read(p, n, err);

	return root ? status_from(root, ret) : -EBADMSG;
}

int k8s_deleted_decode(const char *p, size_t n, const char *kind, bool *ret_kept, struct err *err)
{
	json_auto_t *root = json_read(p, n, err);

	if (!root)
		return -EBADMSG;
	if (ret_kept)
		*ret_kept = text_of(json_object_get(root, "metadata"), "deletionTimestamp") != NULL;
	if (has_text(root, "kind", kind) ||
	    (has_text(root, "kind", "Status") && has_text(root, "status", "Success")))
		return 0;
	return err_set(err, EBADMSG, "neither a Status of success nor a %s", kind);
}

/* ---- Watch ---- */

static const char *const watch_names[] = { "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR" };
_Static_assert(ARRAY_SIZE(watch_names) == WATCH_ERROR + 1, "name every type");

static int watch_type(const json_t *root, enum watch_type *ret, struct err *err)
{
	char word[16];
	int  r = need_str(root, "type", word, sizeof(word), err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(watch_names); i++)
		if (strcmp(word, watch_names[i]) == 0) {
			*ret = (enum watch_type)i;
			return 0;
		}
	return r < 0 ? r : bad(err, "type");
}

/* A bookmark carries a resourceVersion and nothing else. */
static int bookmark_from(const json_t *object, struct watch_event *ev, struct err *err)
{
	json_t *meta;
	int     r = get_typed(object, "metadata", JSON_OBJECT, &meta, err);

	return r < 0 ? r
		     : need_token(meta, "resourceVersion", ev->version, sizeof(ev->version), err);
}

int k8s_watch_decode(const char *p, size_t n, const char *name, struct watch_event *ret,
		     struct err *err)
{
	struct watch_event ev = { 0 };
	json_auto_t       *root = json_read(p, n, err);
	json_t            *object = NULL;

	if (!root)
		return -EBADMSG;
	int r = watch_type(root, &ev.type, err);
	r = r < 0 ? r : get_typed(root, "object", JSON_OBJECT, &object, err);
	if (r == 0 && !object)
		r = bad(err, "object");
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
		if (has_text(owner, "uid", uid))
			return true;
	}
	return false;
}

int k8s_service_decode(const char *p, size_t n, const char *name, const char *owner_uid,
		       struct k8s_service *ret, struct err *err)
{
	struct k8s_service s = { 0 };
	json_auto_t       *root = json_read(p, n, err);
	json_t            *meta;

	if (!root)
		return -EBADMSG;
	int r = need_kind(root, "Service", err);
	r = r < 0 ? r : get_typed(root, "metadata", JSON_OBJECT, &meta, err);
	r = r < 0 ? r : need_token(meta, "uid", s.uid, sizeof(s.uid), err);
	if (r == 0 && !has_text(meta, "name", name))
		r = err_set(err, EBADMSG, "a Service of another name");
	if (r < 0)
		return r;
	s.created_ms = get_time(meta, "creationTimestamp");
	s.owned = owned_by(meta, owner_uid);
	s.deleting = json_is_string(json_object_get(meta, "deletionTimestamp"));
	*ret = s;
	return 0;
}

/* ---- Pods ---- */

static void pod_fini(struct k8s_pod *pod)
{
	for (size_t i = 0; i < pod->running_container_count; i++)
		free(pod->running_containers[i]);
	free(pod->running_containers);
}

void k8s_pods_fini(struct k8s_pods *p)
{
	for (size_t i = 0; i < p->count; i++)
		pod_fini(&p->items[i]);
	free(p->items);
	*p = (struct k8s_pods){ 0 };
}

/* One containerStatuses list; room for its names has been made. */
static int pod_containers(const json_t *list, struct k8s_pod *pod, struct err *err)
{
	json_t *c;
	size_t  i;

	json_array_foreach(list, i, c) {
		const json_t *state = json_object_get(c, "state");
		const json_t *waiting = json_object_get(state, "waiting");
		const char   *name = json_string_value(json_object_get(c, "name"));

		if (json_is_object(waiting) && !pod->waiting[0]) {
			get_words(waiting, "reason", pod->waiting, sizeof(pod->waiting));
			if (!pod->waiting[0])
				(void)copy_str(pod->waiting, sizeof(pod->waiting), "waiting");
		}
		if (!json_is_object(json_object_get(state, "running")))
			continue;
		char *copy = name ? strdup(name) : NULL;
		if (!copy)
			return bad(err, "containerStatuses");
		pod->running_containers[pod->running_container_count++] = copy;
	}
	return 0;
}

static bool container_ran(const json_t *c)
{
	const json_t *state = json_object_get(c, "state");

	return json_is_object(json_object_get(state, "running")) ||
	       json_is_object(json_object_get(state, "terminated")) ||
	       json_is_object(json_object_get(json_object_get(c, "lastState"), "terminated")) ||
	       json_integer_value(json_object_get(c, "restartCount")) > 0;
}

static int pod_status(const json_t *status, struct k8s_pod *pod, struct err *err)
{
	const json_t *main = json_object_get(status, "containerStatuses");
	const json_t *init = json_object_get(status, "initContainerStatuses");
	size_t        n = json_array_size(main) + json_array_size(init);
	json_t       *c;
	size_t        i;

	pod->running = has_text(status, "phase", "Running");
	pod->finished =
		has_text(status, "phase", "Succeeded") || has_text(status, "phase", "Failed");
	json_array_foreach(json_object_get(status, "conditions"), i, c) {
		if (has_text(c, "type", "Ready") && has_text(c, "status", "True"))
			pod->ready = true;
	}
	json_array_foreach(main, i, c) {
		if (container_ran(c))
			pod->ran = true;
	}
	pod->running_containers = calloc(n ? n : 1, sizeof(*pod->running_containers));
	if (!pod->running_containers)
		return err_set(err, ENOMEM, "out of memory");
	int r = pod_containers(main, pod, err);
	return r < 0 ? r : pod_containers(init, pod, err);
}

static int pod_from(const json_t *item, struct k8s_pod *pod, struct err *err)
{
	json_t *meta;
	int     r = get_typed(item, "metadata", JSON_OBJECT, &meta, err);

	r = r < 0 ? r : need_str(meta, "name", pod->name, sizeof(pod->name), err);
	r = r < 0 ? r : need_token(meta, "uid", pod->uid, sizeof(pod->uid), err);
	if (r < 0)
		return r;
	if (!is_rfc1123_name(pod->name, sizeof(pod->name) - 1))
		return bad(err, "metadata.name");
	pod->deleting = json_is_string(json_object_get(meta, "deletionTimestamp"));
	pod->deletion_ms = get_time(meta, "deletionTimestamp");
	pod->created_ms = get_time(meta, "creationTimestamp");
	return pod_status(json_object_get(item, "status"), pod, err);
}

int k8s_pods_decode(const char *p, size_t n, struct k8s_pods *ret, struct err *err)
{
	struct k8s_pods pods = { 0 };
	json_auto_t    *root = json_read(p, n, err);
	json_t         *items = NULL;

	if (!root)
		return -EBADMSG;
	int r = need_kind(root, "PodList", err);
	r = r < 0 ? r : get_typed(root, "items", JSON_ARRAY, &items, err);
	if (r == 0 && !json_object_get(root, "items"))
		r = bad(err, "items");
	size_t listed = json_array_size(items);
	if (r == 0 && listed) {
		pods.items = calloc(listed, sizeof(*pods.items));
		if (!pods.items)
			return err_set(err, ENOMEM, "out of memory");
	}
	while (r == 0 && pods.count < listed) {
		size_t i = pods.count++; /* counted first: a half-built pod is freed, too */
		r = pod_from(json_array_get(items, i), &pods.items[i], err);
	}
	if (r < 0)
		k8s_pods_fini(&pods);
	else
		*ret = pods;
	return r;
}

/* ---- SelfSubjectAccessReview ---- */

int k8s_review_decode(const char *p, size_t n, bool *ret_allowed, struct err *err)
{
	json_auto_t *root = json_read(p, n, err);
	bool         allowed = false;
	json_t      *status;

	if (!root)
		return -EBADMSG;
	int r = need_kind(root, "SelfSubjectAccessReview", err);
	r = r < 0 ? r : get_typed(root, "status", JSON_OBJECT, &status, err);
	r = r < 0 ? r : get_bool(status, "allowed", &allowed, err);
	if (r == 0)
		*ret_allowed = allowed;
	return r;
}
