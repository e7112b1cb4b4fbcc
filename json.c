#include "json.h"

#include <errno.h>
#include <unistd.h>

#include "log.h"

/*
 * When memory runs out in the middle of a string, jansson 2.14 drops a character and goes on, which
 * can read another uid out of ours, or write past its buffer. So there is no going on: Kubernetes
 * starts the program again, and it needs no saved state.
 */
static void *malloc_or_exit(size_t n)
{
	void *p = malloc(n);

	if (!p) {
		log_error("cannot go on", LS("error", "out of memory"));
		_exit(EXIT_FAILURE);
	}
	return p;
}

void json_init(void)
{
	json_set_alloc_funcs(malloc_or_exit, free);
}

json_t *json_read(const char *p, size_t n, struct err *err)
{
	json_error_t je;
	json_t      *root =
		json_loadb(p ? p : "", p ? n : 0, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);

	if (!root)
		err_set(err, EBADMSG, "not JSON: %s at byte %d", je.text, je.position);
	else if (!json_is_object(root))
		err_set(err, EBADMSG, "not a JSON object");
	else
		return root;
	json_decref(root);
	return NULL;
}
