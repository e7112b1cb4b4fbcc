/*
 * k8s_pages.h - a LIST of a whole namespace, page by page: of each object only what a sweep needs.
 */
#ifndef K8S_PAGES_H
#define K8S_PAGES_H

#include <jansson.h>

#include "k8s_objects.h"

#define K8S_NEXT_SIZE 2048 /* what leads to the next page: opaque, some 200 letters */

/* Strings are borrowed until the callback returns; "" = has none. */
struct k8s_item {
	const char           *name;
	const char           *label_job;  /* label job-name: of a Job's pod, the Job's name */
	const char           *label_uid;  /* label controller-uid: ..., its uid */
	int64_t               created_ms; /* Unix; -1 unknown */
	bool                  deleting;
	const struct k8s_job *job; /* of a JobList; else NULL */
};

typedef void k8s_item_fn(void *arg, const struct k8s_item *item);

/*
 * Decodes a page: a List of @kind ("Job"), which has `items`, each with a name; of Jobs, each as
 * k8s_job_decode() wants it. Calls @fn for each item, in the list's order; where the page turns out
 * to be bad, it has been called for those before. @ret_next: "" = this page is the last.
 */
int k8s_page_decode(const char *p, size_t n, const char *kind, k8s_item_fn *fn, void *arg,
		    char ret_next[K8S_NEXT_SIZE], struct err *err);

/* As k8s_job_decode(), of a tree; @name NULL = any. For the files that decode; in k8s_objects.c. */
int k8s_job_from(const json_t *root, const char *name, struct k8s_job *ret, struct err *err);

#endif
