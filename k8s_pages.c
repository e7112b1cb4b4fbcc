#include "k8s_pages.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

/* "": it is absent, of another type, or has a NUL in it. */
static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_text(o, key);

	return s ? s : "";
}

static int take_item(const json_t *o, bool is_job, k8s_item_fn *fn, void *arg, struct err *err)
{
	const json_t   *meta = json_object_get(o, "metadata");
	const json_t   *labels = json_object_get(meta, "labels");
	struct k8s_job  job = { 0 };
	struct k8s_item item = { .name = text_of(meta, "name"),
				 .label_job = text_of(labels, "job-name"),
				 .label_uid = text_of(labels, "controller-uid"),
				 .created_ms = json_time(meta, "creationTimestamp"),
				 .deleting = text_of(meta, "deletionTimestamp")[0] != '\0',
				 .job = is_job ? &job : NULL };

	if (!item.name[0])
		return err_set(err, EBADMSG, "an item without a name");
	int r = is_job ? k8s_job_from(o, NULL, &job, err) : 0;
	if (r == 0)
		fn(arg, &item);
	return r;
}

int k8s_page_decode(const char *p, size_t n, const char *kind, k8s_item_fn *fn, void *arg,
		    char ret_next[K8S_NEXT_SIZE], struct err *err)
{
	char              list[32];
	AUTO_JSON json_t *root = json_read(p, n, err);
	const json_t     *meta = json_object_get(root, "metadata");
	const json_t     *items = json_object_get(root, "items");
	const json_t     *next = json_object_get(meta, "continue");

	(void)snprintf(list, sizeof(list), "%sList", kind);
	if (!root)
		return -EBADMSG;
	/* what is no list of these, or cut short, must not read as "there are none" */
	if (!json_has(root, "kind", list) || !json_is_object(meta) ||
	    !text_of(meta, "resourceVersion")[0] || !json_is_array(items))
		return err_set(err, EBADMSG, "not a %s", list);
	if (next && (!json_is_string(next) || json_string_length(next) >= K8S_NEXT_SIZE))
		return err_set(err, EBADMSG, "metadata.continue: too long, or of another type");
	for (size_t i = 0; i < json_array_size(items); i++)
		if (take_item(json_array_get(items, i), strcmp(kind, "Job") == 0, fn, arg, err) < 0)
			return -EBADMSG;
	(void)snprintf(ret_next, K8S_NEXT_SIZE, "%s", text_of(meta, "continue"));
	return 0;
}
