#include "identity.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "util.h"

#define JOB_PREFIX      "cleanup-job-"
#define SUFFIX_LENGTH   5
#define POD_NAME_MAX    63 /* the Job's name is cut so that the pod's is no longer */
#define MAX_TOKEN_BYTES ((size_t)32 << 10)

/* The value of a letter of base64url (RFC 4648, 5); -1: it is none. */
static int base64url_value(char c)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-_";
	const char       *p = c ? strchr(letters, c) : NULL;

	return p ? (int)(p - letters) : -1;
}

static int base64url_decode(const char *p, size_t n, struct buf *ret)
{
	unsigned bits = 0;

	for (size_t i = 0; i < n; i++) {
		int v = base64url_value(p[i]);
		if (v < 0)
			return -1;
		bits = bits << 6 | (unsigned)v;
		char byte = (char)(bits >> (6 - i % 4 * 2) & 0xff);
		if (i % 4 && buf_append(ret, &byte, 1) < 0)
			return -1;
	}
	return 0;
}

/* The claims are the second of three parts, between two dots. */
static int claims_of(const char *token, size_t n, struct buf *ret)
{
	const char *end = token + n;
	const char *from = n ? memchr(token, '.', n) : NULL;
	const char *to = from ? memchr(from + 1, '.', (size_t)(end - from - 1)) : NULL;

	return to ? base64url_decode(from + 1, (size_t)(to - from - 1), ret) : -1;
}

static bool pod_of_claims(const char *p, size_t n, char ret[IDENTITY_POD_SIZE])
{
	AUTO_JSON json_t *claims = json_read(p, n, NULL);
	const char       *name;
	size_t            len;

	if (!claims ||
	    json_unpack(claims, "{s:{s:{s:s%}}}", "kubernetes.io", "pod", "name", &name, &len) < 0)
		return false;
	return len > 0 && len == strlen(name) && copy_str(ret, IDENTITY_POD_SIZE, name) == 0;
}

bool identity_pod_of_token(const char *token, size_t n, char ret[IDENTITY_POD_SIZE])
{
	struct buf claims = { .max = MAX_TOKEN_BYTES };
	bool       found =
		claims_of(token, n, &claims) == 0 && pod_of_claims(claims.data, claims.len, ret);

	buf_fini(&claims);
	return found;
}

void identity_load(struct identity *ret, const char *account_dir, const char *hostname)
{
	struct buf token = { .max = MAX_TOKEN_BYTES };
	struct buf path = { .max = 4096 };

	ret->bound = buf_printf(&path, "%s/token", account_dir) == 0 &&
		     read_file(path.data, &token, NULL) == 0 &&
		     identity_pod_of_token(token.data, token.len, ret->pod);
	if (!ret->bound)
		(void)snprintf(ret->pod, sizeof(ret->pod), "%.*s", (int)strcspn(hostname, "."),
			       hostname);
	wipe(token.data, token.len);
	buf_fini(&token);
	buf_fini(&path);
}

static bool is_cleanup_pod(const char *pod, size_t n)
{
	size_t shortest = sizeof(JOB_PREFIX) - 1 + 1 + 1 + SUFFIX_LENGTH;

	return n >= shortest && strncmp(pod, JOB_PREFIX, sizeof(JOB_PREFIX) - 1) == 0 &&
	       pod[n - SUFFIX_LENGTH - 1] == '-' &&
	       strspn(pod + n - SUFFIX_LENGTH, IDENTITY_SUFFIX_LETTERS) == SUFFIX_LENGTH;
}

bool identity_job_id(const char *pod, char ret[IDENTITY_POD_SIZE])
{
	char        id[POD_NAME_MAX];
	size_t      n = strlen(pod);
	const char *from = pod + sizeof(JOB_PREFIX) - 1;

	if (n >= POD_NAME_MAX || !is_cleanup_pod(pod, n))
		return false; /* of the full length: the Job's name may have been longer */
	(void)snprintf(id, sizeof(id), "%.*s", (int)(pod + n - SUFFIX_LENGTH - 1 - from), from);
	return is_rfc1123_name(id, sizeof(id) - 1) && copy_str(ret, IDENTITY_POD_SIZE, id) == 0;
}
