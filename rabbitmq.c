#include "rabbitmq.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

#define URL_BYTES      4096
#define PASSWORD_BYTES 1024
#define ALL_PAGE_SIZE  500 /* the most that the broker gives; each page costs it a look at all */
#define MAX_BODY_BYTES ((size_t)512 << 10) /* a page of the longest names, every letter escaped */

/* ---- Requests ---- */

/* The password into @b: of the file as it is now (a mounted Secret may change), or the variable. */
static int read_password(const struct config *cfg, struct buf *b, struct err *err)
{
	const char *file = cfg->rabbitmq_password_file;

	if (!file[0])
		return buf_append(b, cfg->rabbitmq_password, strlen(cfg->rabbitmq_password)) < 0
			       ? err_set(err, ENOMEM, "out of memory")
			       : 0;
	int r = read_file(file, b, err);
	buf_trim(b, "\r\n");
	return r == 0 && !b->len ? err_set(err, ENOENT, "%s: empty", file) : r;
}

/* Steals @url. */
static struct http_exchange *start(struct http *h, const struct config *cfg, const char *method,
				   struct buf *url, int url_status, struct err *err)
{
	bool                  tls = strncmp(cfg->rabbitmq_url, "https:", 6) == 0;
	struct buf            password = { .max = PASSWORD_BYTES };
	struct http_exchange *x = NULL;

	if (url_status < 0)
		err_set(err, -url_status, "URL: %s", strerror(-url_status));
	else if (read_password(cfg, &password, err) == 0)
		x = http_start(h,
			       &(struct http_request){
				       .method = method,
				       .url = url->data,
				       .ca_file = tls ? cfg->rabbitmq_ca_file : NULL,
				       .user = cfg->rabbitmq_user,
				       .password = password.data,
				       .max_body = MAX_BODY_BYTES,
			       },
			       err);
	wipe(password.data, password.len);
	buf_fini(&password);
	buf_fini(url);
	return x;
}

static int url_of_queues(const struct config *cfg, struct buf *url)
{
	int r = buf_printf(url, "%s/api/queues/", cfg->rabbitmq_url);

	return r < 0 ? r : http_escape(url, cfg->rabbitmq_vhost);
}

/* The broker's filter takes any part of a name, in upper or lower case: it only narrows. */
static struct http_exchange *list(struct http *h, const struct config *cfg, const char *columns,
				  const char *filter, unsigned page, unsigned size, struct err *err)
{
	struct buf url = { .max = URL_BYTES };
	int        r = url_of_queues(cfg, &url);

	r = r < 0 ? r
		  : buf_printf(&url, "?columns=%s&sort=name&page=%u&page_size=%u&name=", columns,
			       page, size);
	r = r < 0 ? r : http_escape(&url, filter);
	return start(h, cfg, "GET", &url, r, err);
}

struct http_exchange *rabbitmq_list(struct http *h, const struct config *cfg,
				    const struct pattern *p, unsigned page, struct err *err)
{
	struct buf url = { .max = URL_BYTES };
	char       text[QUEUE_NAME_SIZE];

	(void)pattern_text(p, cfg->job_id, text);
	if (page)
		return list(h, cfg, "name", text, page, RABBITMQ_PAGE_SIZE, err);
	int r = url_of_queues(cfg, &url);
	r = r < 0 ? r : buf_append(&url, "/", 1);
	r = r < 0 ? r : http_escape(&url, text);
	r = r < 0 ? r : buf_printf(&url, "?columns=name");
	return start(h, cfg, "GET", &url, r, err);
}

struct http_exchange *rabbitmq_list_used(struct http *h, const struct config *cfg,
					 const struct pattern *p, unsigned page, struct err *err)
{
	char text[QUEUE_NAME_SIZE];

	pattern_start(p, text);
	return list(h, cfg, "name,idle_since", text, page, ALL_PAGE_SIZE, err);
}

struct http_exchange *rabbitmq_delete(struct http *h, const struct config *cfg, const char *name,
				      struct err *err)
{
	struct buf url = { .max = URL_BYTES };
	int        r = name[0] ? url_of_queues(cfg, &url) : -EINVAL;

	r = r < 0 ? r : buf_append(&url, "/", 1);
	r = r < 0 ? r : http_escape(&url, name);
	return start(h, cfg, "DELETE", &url, r, err);
}

/* ---- Answers ---- */

/* {"error": ..., "reason": ...}, or the start of whatever else came. Returns if it is the former.
 */
static bool words_of(const struct buf *body, char *words, size_t size)
{
	AUTO_JSON json_t *root = json_read(body->data, body->len, NULL);
	const char       *reason = json_string_value(json_object_get(root, "reason"));
	bool              its_own = json_object_get(root, "error") != NULL;

	bool off = reason && strstr(reason, "basic auth disabled"); /* whatever the password is */

	(void)snprintf(words, size, "%.200s%s",
		       reason      ? reason
		       : body->len ? body->data
				   : "no body",
		       off ? " (management.disable_basic_auth: it takes no passwords)" : "");
	trim_end(words, "\r\n");
	return its_own;
}

enum rabbitmq_answer rabbitmq_judge(const struct http_response *r, char *words, size_t size)
{
	words[0] = '\0';
	if (r->transport != CURLE_OK) {
		(void)snprintf(words, size, "%s", r->detail);
		return RABBITMQ_TROUBLE;
	}
	if (r->status >= 200 && r->status < 300)
		return RABBITMQ_OK;
	bool its_own = words_of(&r->body, words, size); /* and not some proxy's */
	switch (r->status) {
	case 401:
	case 403: return RABBITMQ_DENIED;
	case 404: return its_own ? RABBITMQ_ABSENT : RABBITMQ_TROUBLE;
	case 408:
	case 429: return RABBITMQ_TROUBLE;
	default:
		return its_own && r->status >= 400 && r->status < 500 ? RABBITMQ_REFUSED
								      : RABBITMQ_TROUBLE;
	}
}

static int take_name(const json_t *item, const struct pattern *p, const char *id,
		     struct rabbitmq_page *page, struct err *err)
{
	const json_t *string = json_object_get(item, "name");
	const char   *name = json_string_value(string);

	if (!name)
		return err_set(err, EBADMSG, "a queue without a name");
	if (!pattern_matches(p, id, strlen(id), name))
		return 0;
	if (strlen(name) != json_string_length(string))
		return err_set(err, EBADMSG, "a queue's name with a NUL in it: %s", name);
	if (page->count == ARRAY_SIZE(page->names))
		return err_set(err, EBADMSG, "more queues than were asked for");
	if (copy_str(page->names[page->count], sizeof(page->names[0]), name) < 0)
		return err_set(err, EBADMSG, "a queue's name of %zu bytes", strlen(name));
	page->count++;
	return 0;
}

int rabbitmq_page_decode(const char *json, size_t n, const struct pattern *p, const char *id,
			 unsigned number, struct rabbitmq_page *ret, struct err *err)
{
	struct rabbitmq_page page = { .last = true };
	AUTO_JSON json_t    *root = json_read(json, n, err);
	const json_t        *items = json_object_get(root, "items");
	const json_t        *at = json_object_get(root, "page");
	const json_t        *pages = json_object_get(root, "page_count");

	if (!root || (!number && take_name(root, p, id, &page, err) < 0))
		return -EBADMSG;
	if (!number && !page.count)
		return err_set(err, EBADMSG, "another queue than was asked for");
	if (number && (!json_is_array(items) || !json_is_integer(at) || !json_is_integer(pages)))
		return err_set(err, EBADMSG, "not a page of queues");
	for (size_t i = 0; i < json_array_size(items); i++)
		if (number && take_name(json_array_get(items, i), p, id, &page, err) < 0)
			return -EBADMSG;
	if (number)
		page.last = json_integer_value(at) >= json_integer_value(pages);
	*ret = page;
	return 0;
}

int rabbitmq_used_decode(const char *json, size_t n, rabbitmq_used_fn *fn, void *arg,
			 bool *ret_last, struct err *err)
{
	AUTO_JSON json_t *root = json_read(json, n, err);
	const json_t     *items = json_object_get(root, "items");
	const json_t     *number = json_object_get(root, "page");
	const json_t     *pages = json_object_get(root, "page_count");

	if (!root)
		return -EBADMSG;
	if (!json_is_array(items) || !json_is_integer(number) || !json_is_integer(pages))
		return err_set(err, EBADMSG, "not a page of queues");
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *q = json_array_get(items, i);
		const char   *name = json_text(q, "name");

		if (!name)
			return err_set(err, EBADMSG, "a queue without a name, or with a NUL in it");
		fn(arg, name, json_time(q, "idle_since"));
	}
	*ret_last = json_integer_value(number) >= json_integer_value(pages);
	return 0;
}
