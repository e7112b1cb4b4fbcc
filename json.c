#include "json.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

/* ---- Memory: a document asks for it piece by piece, and gives it back whole ---- */

#define CHUNK_BYTES ((size_t)16 << 10) /* each further one is twice as large */

struct chunk {
	struct chunk *next;
	size_t        used;
	size_t        size; /* of @data */
	max_align_t   data[];
};

static struct {
	struct chunk *chunks; /* owned */
	unsigned      documents;
	bool          reading; /* jansson is at work: what it asks for is the document's */
} arena;

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

static void add_chunk(size_t n)
{
	size_t        size = arena.chunks ? 2 * arena.chunks->size : CHUNK_BYTES;
	struct chunk *c;

	size = size < n ? n : size;
	c = malloc_or_exit(sizeof(*c) + size);
	*c = (struct chunk){ .next = arena.chunks, .size = size };
	arena.chunks = c;
}

static void *give(size_t n)
{
	if (!arena.reading)
		return malloc_or_exit(n);
	n = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (!arena.chunks || n > arena.chunks->size - arena.chunks->used)
		add_chunk(n);
	void *p = (char *)arena.chunks->data + arena.chunks->used;
	arena.chunks->used += n;
	return p;
}

static void take_back(void *p)
{
	if (!arena.reading)
		free(p);
}

void json_init(void)
{
	json_set_alloc_funcs(give, take_back);
}

static void drop(void)
{
	if (arena.documents)
		return;
	for (struct chunk *c; (c = arena.chunks) != NULL;) {
		arena.chunks = c->next;
		free(c);
	}
}

void json_drop(json_t **root)
{
	if (!*root)
		return;
	arena.documents--;
	drop();
}

json_t *json_read(const char *p, size_t n, struct err *err)
{
	json_error_t je;

	json_init();
	arena.reading = true;
	json_t *root =
		json_loadb(p ? p : "", p ? n : 0, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
	arena.reading = false;
	if (!root)
		err_set(err, EBADMSG, "not JSON: %s at byte %d", je.text, je.position);
	else if (!json_is_object(root))
		err_set(err, EBADMSG, "not a JSON object");
	if (json_is_object(root)) {
		arena.documents++;
		return root;
	}
	drop();
	return NULL;
}

/* ---- Reading JSON: absent or null is the default, another type is an error ---- */

int json_bad(struct err *err, const char *what)
{
	return err_set(err, EBADMSG, "%s: missing, too long, or of another type", what);
}

/* Borrowed; *@ret NULL if absent. */
int json_typed(const json_t *o, const char *key, json_type type, json_t **ret, struct err *err)
{
	json_t *v = json_object_get(o, key);

	*ret = NULL;
	if (!v || json_is_null(v))
		return 0;
	if (json_typeof(v) != type)
		return json_bad(err, key);
	*ret = v;
	return 0;
}

/* Copies a string that must fit whole; absent leaves "". */
int json_str(const json_t *o, const char *key, char *dst, size_t size, struct err *err)
{
	json_t *v;
	int     r = json_typed(o, key, JSON_STRING, &v, err);

	if (r < 0)
		return r;
	dst[0] = '\0';
	if (v && (strlen(json_string_value(v)) != json_string_length(v) ||
		  copy_str(dst, size, json_string_value(v)) < 0))
		return json_bad(err, key);
	return 0;
}

int json_need_str(const json_t *o, const char *key, char *dst, size_t size, struct err *err)
{
	int r = json_str(o, key, dst, size, err);

	return r < 0 ? r : dst[0] ? 0 : json_bad(err, key);
}

/* The string itself, or NULL: of another type, or with a NUL in it, and so not what it seems. */
const char *json_text(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	const char   *s = json_string_value(v);

	return s && strlen(s) == json_string_length(v) ? s : NULL;
}

/* Words for people, or a value that is only compared: what is too long is cut. */
void json_words(const json_t *o, const char *key, char *dst, size_t size)
{
	const char *s = json_text(o, key);
	size_t      n = s ? strlen(s) : 0;

	if (n >= size)
		for (n = size - 1; n && ((unsigned char)s[n] & 0xc0) == 0x80;)
			n--; /* not in the middle of a character */
	if (n)
		memcpy(dst, s, n);
	dst[n] = '\0';
}

int json_count(const json_t *o, const char *key, int64_t absent, int64_t *ret, struct err *err)
{
	json_t *v;
	int     r = json_typed(o, key, JSON_INTEGER, &v, err);

	if (r < 0)
		return r;
	*ret = v ? json_integer_value(v) : absent;
	return *ret < absent || *ret > INT32_MAX ? json_bad(err, key) : 0;
}

int json_bool(const json_t *o, const char *key, bool *ret, struct err *err)
{
	json_t *v = json_object_get(o, key);

	if (v && !json_is_null(v) && !json_is_boolean(v))
		return json_bad(err, key);
	*ret = json_is_true(v);
	return 0;
}

/* A time that cannot be read is as good as none. */
int64_t json_time(const json_t *o, const char *key)
{
	const char *s = json_text(o, key);
	int64_t     ms;

	return s && rfc3339_parse(s, &ms) == 0 ? ms : -1;
}

/* A uid and a resourceVersion go into selectors and preconditions. */
static bool is_token(const char *s)
{
	return s[0] && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789-_.") == strlen(s);
}

int json_need_token(const json_t *o, const char *key, char *dst, size_t size, struct err *err)
{
	int r = json_need_str(o, key, dst, size, err);

	return r < 0 ? r : is_token(dst) ? 0 : json_bad(err, key);
}

bool json_has(const json_t *o, const char *key, const char *value)
{
	const char *s = json_text(o, key);

	return s && strcmp(s, value) == 0;
}

int json_need_kind(const json_t *o, const char *kind, struct err *err)
{
	return json_has(o, "kind", kind) ? 0 : err_set(err, EBADMSG, "not a %s", kind);
}
