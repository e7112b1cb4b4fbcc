#include "json.h"

#include <errno.h>

/*
 * jansson 2.14 drops a character of a string when its buffer cannot grow, and goes on. A uid that
 * is read like this would be another Job's: so what was parsed while memory ran out is thrown away.
 */
static bool starved;

static void *watched_malloc(size_t n)
{
	void *p = malloc(n);

	starved |= !p;
	return p;
}

void json_init(void)
{
	json_set_alloc_funcs(watched_malloc, free);
}

json_t *json_read(const char *p, size_t n, struct err *err)
{
	json_error_t je;

	starved = false;
	json_t *root =
		json_loadb(p ? p : "", p ? n : 0, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
	if (starved)
		err_set(err, ENOMEM, "out of memory");
	else if (!root)
		err_set(err, EBADMSG, "not JSON: %s at byte %d", je.text, je.position);
	else if (!json_is_object(root))
		err_set(err, EBADMSG, "not a JSON object");
	else
		return root;
	json_decref(root);
	return NULL;
}
