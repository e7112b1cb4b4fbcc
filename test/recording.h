/* recording.h - bodies of recorded API answers, for the unit tests. */
#ifndef RECORDING_H
#define RECORDING_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static inline json_t *recording_response(const char *version, const char *name)
{
	const char  *dir = getenv("TEST_DATA");
	char         path[512];
	json_error_t je;

	(void)snprintf(path, sizeof(path), "%s/%s/%s.json", dir ? dir : "test/recordings", version,
		       name);
	json_t *file = json_load_file(path, 0, &je);
	if (!file) {
		(void)fprintf(stderr, "%s: %s\n", path, je.text);
		abort();
	}
	json_t *response = json_incref(json_object_get(file, "response"));
	json_decref(file);
	return response;
}

/* The body as the server sent it, JSON or text; for free(). */
static inline char *recording_body(const char *version, const char *name)
{
	json_t     *response = recording_response(version, name);
	json_t     *body = json_object_get(response, "body");
	const char *text = json_string_value(json_object_get(response, "body_text"));
	char       *s = body ? json_dumps(body, JSON_COMPACT) : strdup(text ? text : "");

	json_decref(response);
	if (!s)
		abort();
	return s;
}

/* One line of a recorded watch, without '\n'; NULL behind the last. For free(). */
static inline char *recording_line(const char *version, const char *name, size_t i)
{
	json_t *response = recording_response(version, name);
	json_t *line = json_array_get(json_object_get(response, "stream"), i);
	char   *s = line ? json_dumps(line, JSON_COMPACT) : NULL;

	json_decref(response);
	return s;
}

#endif
