/* Pods out of JSON, as k8s_objects.h declares them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "k8s_objects.h"

static void pod_fini(struct k8s_pod *pod)
{
	for (size_t i = 0; i < pod->container_count; i++)
		free(pod->containers[i].name);
	free(pod->containers);
}

void k8s_pods_fini(struct k8s_pods *p)
{
	for (size_t i = 0; i < p->count; i++)
		pod_fini(&p->items[i]);
	free(p->items);
	*p = (struct k8s_pods){ 0 };
}

const struct k8s_container *k8s_pod_container(const struct k8s_pod *pod, const char *name)
{
	for (size_t i = 0; i < pod->container_count; i++)
		if (pod->containers[i].main && strcmp(pod->containers[i].name, name) == 0)
			return &pod->containers[i];
	return NULL;
}

/* ---- Containers ---- */

static bool has_rules(const json_t *containers)
{
	json_t *c;
	size_t  i;

	json_array_foreach(containers, i, c) {
		if (json_array_size(json_object_get(c, "restartPolicyRules")))
			return true;
	}
	return false;
}

/* The policy that this container is under: its own, or else the pod's. NULL: it cannot be told. */
static const char *restart_policy(const json_t *spec, const char *name)
{
	const json_t *main = json_object_get(spec, "containers");
	const char   *own = NULL;
	json_t       *c;
	size_t        i;

	/* a rule of one container may restart all of them */
	if (has_rules(main) || has_rules(json_object_get(spec, "initContainers")))
		return NULL;
	json_array_foreach(main, i, c) {
		if (json_has(c, "name", name))
			own = json_text(c, "restartPolicy");
	}
	return own ? own : json_text(spec, "restartPolicy");
}

/* The kubelet will not start it again in this pod. */
static bool has_ended_for_good(const json_t *spec, const struct k8s_container *c)
{
	const char *policy = restart_policy(spec, c->name);

	if (!policy || !c->main || !c->ended)
		return false;
	return strcmp(policy, "Never") == 0 ||
	       (strcmp(policy, "OnFailure") == 0 && c->exit_code == 0);
}

static void note_waiting(const json_t *waiting, const char *name, struct k8s_pod *pod)
{
	char reason[sizeof(pod->waiting)], message[K8S_MESSAGE_SIZE];

	if (!json_is_object(waiting) || pod->waiting[0])
		return;
	json_words(waiting, "reason", reason, sizeof(reason));
	json_words(waiting, "message", message, sizeof(message));
	(void)copy_str(pod->waiting, sizeof(pod->waiting), reason[0] ? reason : "waiting");
	(void)snprintf(pod->stuck, sizeof(pod->stuck), "container %.63s waits: %s%s%s", name,
		       pod->waiting, message[0] ? ": " : "", message);
}

/* One containerStatuses list; room for its names has been made. */
static int pod_containers(const json_t *list, const json_t *spec, bool main, struct k8s_pod *pod,
			  struct err *err)
{
	json_t *s;
	size_t  i;

	json_array_foreach(list, i, s) {
		const json_t *state = json_object_get(s, "state");
		const json_t *ended = json_object_get(state, "terminated");
		const char   *name = json_text(s, "name");

		if (!name)
			return json_bad(err, "containerStatuses");
		struct k8s_container *c = &pod->containers[pod->container_count];
		*c = (struct k8s_container){
			.name = strdup(name),
			.main = main,
			.running = json_is_object(json_object_get(state, "running")),
			.ended = json_is_object(ended),
			.exit_code = (int)json_integer_value(json_object_get(ended, "exitCode")),
			.ended_ms = json_time(ended, "finishedAt"),
		};
		if (!c->name)
			return err_set(err, ENOMEM, "out of memory");
		pod->container_count++;
		c->for_good = has_ended_for_good(spec, c);
		note_waiting(json_object_get(state, "waiting"), name, pod);
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

/* ---- Pods ---- */

static void pod_conditions(const json_t *status, struct k8s_pod *pod)
{
	json_t *c;
	size_t  i;

	json_array_foreach(json_object_get(status, "conditions"), i, c) {
		if (json_has(c, "type", "Ready") && json_has(c, "status", "True"))
			pod->ready = true;
		if (json_has(c, "type", "PodScheduled") && json_has(c, "status", "False")) {
			char reason[64], message[K8S_MESSAGE_SIZE];
			json_words(c, "reason", reason, sizeof(reason));
			json_words(c, "message", message, sizeof(message));
			pod->unscheduled = true;
			(void)snprintf(pod->stuck, sizeof(pod->stuck), "not scheduled: %s%s%s",
				       reason, message[0] ? ": " : "", message);
		}
	}
}

static int pod_status(const json_t *status, const json_t *spec, struct k8s_pod *pod,
		      struct err *err)
{
	const json_t *main = json_object_get(status, "containerStatuses");
	const json_t *init = json_object_get(status, "initContainerStatuses");
	size_t        n = json_array_size(main) + json_array_size(init);
	json_t       *c;
	size_t        i;

	pod->running = json_has(status, "phase", "Running");
	pod->finished =
		json_has(status, "phase", "Succeeded") || json_has(status, "phase", "Failed");
	json_array_foreach(main, i, c) {
		if (container_ran(c))
			pod->ran = true;
	}
	pod->containers = calloc(n ? n : 1, sizeof(*pod->containers));
	if (!pod->containers)
		return err_set(err, ENOMEM, "out of memory");
	int r = pod_containers(main, spec, true, pod, err);
	r = r < 0 ? r : pod_containers(init, spec, false, pod, err);
	pod_conditions(status, pod); /* a pod that has no node waits for nothing else */
	return r;
}

static int pod_from(const json_t *item, struct k8s_pod *pod, struct err *err)
{
	json_t *meta;
	int     r = json_typed(item, "metadata", JSON_OBJECT, &meta, err);

	r = r < 0 ? r : json_need_str(meta, "name", pod->name, sizeof(pod->name), err);
	r = r < 0 ? r : json_need_token(meta, "uid", pod->uid, sizeof(pod->uid), err);
	if (r < 0)
		return r;
	if (!is_rfc1123_name(pod->name, sizeof(pod->name) - 1))
		return json_bad(err, "metadata.name");
	pod->deleting = json_is_string(json_object_get(meta, "deletionTimestamp"));
	pod->deletion_ms = json_time(meta, "deletionTimestamp");
	pod->created_ms = json_time(meta, "creationTimestamp");
	return pod_status(json_object_get(item, "status"), json_object_get(item, "spec"), pod, err);
}

int k8s_pods_decode(const char *p, size_t n, struct k8s_pods *ret, struct err *err)
{
	struct k8s_pods   pods = { 0 };
	AUTO_JSON json_t *root = json_read(p, n, err);
	json_t           *items = NULL;

	if (!root)
		return -EBADMSG;
	int r = json_need_kind(root, "PodList", err);
	r = r < 0 ? r : json_typed(root, "items", JSON_ARRAY, &items, err);
	if (r == 0 && !json_object_get(root, "items"))
		r = json_bad(err, "items");
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
