#include "k8s_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define URL_BYTES      4096  /* a selector may be three times as long, escaped */
#define WATCH_SLACK_MS 10000 /* the server ends a watch; this much later we do */

struct k8s_client {
	struct http         *http;  /* borrowed */
	const struct config *cfg;   /* borrowed */
	struct buf           token; /* the last good one; secret */
	char                 token_file[PATH_SIZE + 8];
	struct stat          token_seen; /* of @token's file; all 0: to be read again */
	char                 ca_file[PATH_SIZE + 8];
};

static const char *const verb_names[] = { "get", "list", "watch", "create", "patch", "delete" };
_Static_assert(ARRAY_SIZE(verb_names) == K8S_DELETE + 1, "name every verb");

static const char *const verb_methods[] = { "GET", "GET", "GET", "POST", "PATCH", "DELETE" };
_Static_assert(ARRAY_SIZE(verb_methods) == K8S_DELETE + 1, "a method for every verb");

static const struct resource {
	const char *group;
	const char *api; /* path up to the namespace */
	const char *name;
	const char *kind;     /* of one */
	size_t      max_body; /* of an answer */
} resources[] = {
	[K8S_JOBS] = { "batch", "/apis/batch/v1", "jobs", "Job", K8S_MAX_OBJECT_BYTES },
	[K8S_SERVICES] = { "", "/api/v1", "services", "Service", K8S_MAX_OBJECT_BYTES },
	[K8S_PODS] = { "", "/api/v1", "pods", "Pod", K8S_MAX_PODS_BYTES },
	[K8S_EVENTS] = { "", "/api/v1", "events", "Event", K8S_MAX_OBJECT_BYTES },
	[K8S_POD_METRICS] = { "metrics.k8s.io", "/apis/metrics.k8s.io/v1beta1", "pods",
			      "PodMetrics", K8S_MAX_METRICS_BYTES },
	[K8S_ACCESS_REVIEWS] = { "authorization.k8s.io", "/apis/authorization.k8s.io/v1",
				 "selfsubjectaccessreviews", "SelfSubjectAccessReview",
				 K8S_MAX_OBJECT_BYTES },
};

const char *k8s_verb_name(enum k8s_verb v)
{
	return verb_names[v];
}

const char *k8s_resource_name(enum k8s_resource r)
{
	return resources[r].name;
}

const char *k8s_resource_group(enum k8s_resource r)
{
	return resources[r].group;
}

struct k8s_client *k8s_client_new(struct http *http, const struct config *cfg, struct err *err)
{
	struct k8s_client *c = calloc(1, sizeof(*c));

	if (!c) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	c->http = http;
	c->cfg = cfg;
	c->token.max = K8S_MAX_TOKEN_BYTES;
	(void)snprintf(c->token_file, sizeof(c->token_file), "%s/token", cfg->service_account_dir);
	(void)snprintf(c->ca_file, sizeof(c->ca_file), "%s/ca.crt", cfg->service_account_dir);
	return c;
}

void k8s_client_free(struct k8s_client *c)
{
	if (!c)
		return;
	wipe(c->token.data, c->token.len);
	buf_fini(&c->token);
	free(c);
}

void k8s_result_fini(struct k8s_result *r)
{
	buf_fini(&r->body);
}

void k8s_result_refuse(struct k8s_result *r, const struct err *err)
{
	r->answer = K8S_TROUBLE;
	(void)snprintf(r->words, sizeof(r->words), "%s", err->msg);
}

/* A token is one word of printable ASCII; anything else could end the header line. */
static bool is_header_word(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return n > 0;
}

/*
 * The kubelet swaps the file about hourly, and it may be missing or empty for a moment: then the
 * last good token goes on serving.
 */
static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A file so young may be written once more within the same tick of the clock that dates it. */
static bool is_settled(const struct stat *s)
{
	return wall_ms() / 1000 - s->st_mtim.tv_sec > 1;
}

static int token_refresh(struct k8s_client *c, struct err *err)
{
	struct stat now = { 0 };
	bool        there = stat(c->token_file, &now) == 0;

	if (there && c->token.len && is_same_file(&now, &c->token_seen))
		return 0;
	struct buf fresh = { .max = K8S_MAX_TOKEN_BYTES };
	struct err why = { 0 };
	int        r = read_file(c->token_file, &fresh, &why);

	buf_trim(&fresh, " \r\n");
	if (r == 0 && !is_header_word(fresh.data, fresh.len))
		r = err_set(&why, ENOENT, "%s: empty, or not a token", c->token_file);
	struct buf *drop = r == 0 ? &c->token : &fresh;
	wipe(drop->data, drop->len);
	buf_fini(drop);
	if (r == 0) {
		c->token = fresh;
		c->token_seen = there && is_settled(&now) ? now : (struct stat){ 0 };
	}
	return c->token.len ? 0 : err_set(err, ENOENT, "no token: %s", why.msg);
}

static int url_query(struct buf *url, const struct k8s_request *q)
{
	char sep = '?';
	int  r = 0;

	if (q->verb == K8S_WATCH) {
		r = buf_printf(url,
			       "?watch=1&allowWatchBookmarks=true&timeoutSeconds=%u"
			       "&resourceVersion=",
			       q->watch_s);
		r = r < 0 ? r : http_escape(url, q->version);
		sep = '&';
	}
	if (r == 0 && q->only_name) {
		r = buf_printf(url, "%cfieldSelector=metadata.name%%3D", sep);
		r = r < 0 ? r : http_escape(url, q->only_name);
		sep = '&';
	}
	if (r == 0 && q->label_selector) {
		r = buf_printf(url, "%clabelSelector=", sep);
		r = r < 0 ? r : http_escape(url, q->label_selector);
		sep = '&';
	}
	if (r == 0 && q->limit)
		r = buf_printf(url, "%climit=%u", sep, q->limit);
	if (r == 0 && q->limit && q->next) {
		r = buf_printf(url, "&continue=");
		r = r < 0 ? r : http_escape(url, q->next);
	}
	return r;
}

/* An empty name on DELETE would mean every object of the namespace: it cannot be built. */
static int url_build(const struct k8s_client *c, const struct k8s_request *q, struct buf *url,
		     struct err *err)
{
	const struct resource *res = &resources[q->resource];
	bool one = q->verb == K8S_GET || q->verb == K8S_PATCH || q->verb == K8S_DELETE;

	if (one && (!q->name || !is_rfc1123_name(q->name, NAME_SIZE - 1)))
		return err_set(err, EINVAL, "%s %s: not a name: '%s'", verb_names[q->verb],
			       res->name, q->name ? q->name : "");
	int r = buf_printf(url, "%s%s", c->cfg->api_url, res->api);
	if (r == 0 && q->resource != K8S_ACCESS_REVIEWS)
		r = buf_printf(url, "/namespaces/%s", c->cfg->ns);
	r = r < 0 ? r : buf_printf(url, "/%s", res->name);
	if (r == 0 && one)
		r = buf_printf(url, "/%s", q->name);
	r = r < 0 ? r : url_query(url, q);
	return r < 0 ? err_set(err, -r, "%s %s: URL: %s", verb_names[q->verb], res->name,
			       strerror(-r))
		     : 0;
}

static const char *content_type(const struct k8s_request *q)
{
	if (!q->body)
		return NULL;
	return q->verb == K8S_PATCH ? "application/strategic-merge-patch+json" : "application/json";
}

struct http_exchange *k8s_start(struct k8s_client *c, const struct k8s_request *q, struct err *err)
{
	bool                  tls = strncmp(c->cfg->api_url, "https:", 6) == 0;
	struct buf            url = { .max = URL_BYTES };
	struct http_exchange *x = NULL;

	if (url_build(c, q, &url, err) == 0 && (!tls || token_refresh(c, err) == 0)) {
		x = http_start(
			c->http,
			&(struct http_request){
				.method = verb_methods[q->verb],
				.url = url.data,
				.ca_file = tls ? c->ca_file : NULL,
				.bearer = tls ? c->token.data : NULL, /* never in clear */
				.content_type = content_type(q),
				.body = q->body,
				.total_ms = q->verb == K8S_WATCH
						    ? q->watch_s * INT64_C(1000) + WATCH_SLACK_MS
						    : q->total_ms,
				.max_body = resources[q->resource].max_body,
				.on_data = q->on_data,
				.arg = q->arg,
			},
			err);
	}
	buf_fini(&url);
	return x;
}

/* Of the many 404s only one says that the object is gone: its Status names the object itself. */
static bool names_object(const struct k8s_status *s, const struct k8s_request *q)
{
	const struct resource *res = &resources[q->resource];
	const char            *slash = strchr(s->name, '/');

	if (!q->name || strcmp(s->reason, "NotFound") != 0)
		return false;
	if (q->resource == K8S_POD_METRICS) /* metrics-server: pod NAME, or podmetrics NS/NAME */
		return strcmp(slash ? slash + 1 : s->name, q->name) == 0 &&
		       strncmp(s->kind, "pod", 3) == 0;
	return strcmp(s->name, q->name) == 0 && strcmp(s->kind, res->name) == 0 &&
	       strcmp(s->group, res->group) == 0;
}

static bool reads(const struct k8s_request *q)
{
	return q->verb == K8S_GET || q->verb == K8S_LIST || q->verb == K8S_WATCH;
}

static enum k8s_answer answer_of(const struct k8s_request *q, const struct http_response *r,
				 const struct k8s_status *s)
{
	if (r->transport != CURLE_OK)
		return K8S_UNREACHABLE;
	if (r->status >= 200 && r->status < 300)
		return K8S_OK;
	switch (r->status) {
	case 401: return K8S_UNAUTHORIZED;
	case 403: /* what no token gets; only the words tell it from a missing permission */
		return strstr(s->message, "\"system:anonymous\"") ? K8S_UNAUTHORIZED : K8S_REFUSED;
	case 404: return names_object(s, q) ? K8S_ABSENT : K8S_TROUBLE;
	case 408:
	case 429: return K8S_TROUBLE;
	case 409: return reads(q) ? K8S_TROUBLE : K8S_CONFLICT;
	case 410: return K8S_EXPIRED;
	default: return r->status >= 400 && r->status < 500 ? K8S_REFUSED : K8S_TROUBLE;
	}
}

/* One line of what came: the Status' words, or the start of a body that is none. */
static void result_words(const struct http_response *r, struct k8s_result *ret)
{
	if (ret->answer == K8S_OK)
		ret->words[0] = '\0';
	else if (ret->answer == K8S_UNREACHABLE)
		(void)snprintf(ret->words, sizeof(ret->words), "%s", r->detail);
	else if (ret->why.message[0])
		(void)snprintf(ret->words, sizeof(ret->words), "%.300s", ret->why.message);
	else
		(void)snprintf(ret->words, sizeof(ret->words), "%.80s",
			       r->body.len ? r->body.data : "no body");
	trim_end(ret->words, "\r\n");
}

void k8s_judge(const struct k8s_request *q, const struct http_response *r, struct k8s_result *ret)
{
	*ret = (struct k8s_result){
		.status = r->status,
		.date_ms = r->date_ms,
		.body.max = HTTP_MAX_BODY_BYTES,
	};
	bool refused = r->transport == CURLE_OK && (r->status < 200 || r->status >= 300);
	if (refused && r->body.len) /* not of half a body, which may be megabytes of rubbish */
		(void)k8s_status_decode(r->body.data, r->body.len, &ret->why, NULL);
	ret->retry_after_ms = r->retry_after_ms ? r->retry_after_ms : ret->why.retry_after_ms;
	ret->answer = answer_of(q, r, &ret->why);
	ret->by_role = r->status == 403 && strstr(ret->why.message, "\" cannot ") != NULL;
	result_words(r, ret);
	struct err err = { 0 };
	if (ret->answer == K8S_OK && q->verb == K8S_DELETE &&
	    k8s_deleted_decode(r->body.data, r->body.len, resources[q->resource].kind, &ret->kept,
			       &err) < 0)
		k8s_result_refuse(ret, &err); /* some proxy's page: nothing was deleted */
}

void k8s_finish(struct k8s_client *c, const struct k8s_request *q, struct http_exchange *x,
		struct k8s_result *ret)
{
	const struct http_response *r = http_response(x);

	k8s_judge(q, r, ret);
	if (ret->answer == K8S_OK)
		ret->body = http_take_body(x);
	http_end(c->http, x);
}

void k8s_cancel(struct k8s_client *c, struct http_exchange *x)
{
	http_end(c->http, x);
}
