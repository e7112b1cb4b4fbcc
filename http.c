#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "http_tls.h"
#include "loop.h"
#include "resolve.h"
#include "url.h"

#define PIN_S 1 /* how long libcurl may keep an address; it needs it at once */

/* A handle that has ended is used again; but never one that knew a password. */
struct http {
	CURLM                *multi;      /* owned */
	CURL                 *spare;      /* owned, reset; NULL = none */
	struct loop           loop;       /* of @multi */
	struct resolver      *resolver;   /* owned */
	struct tls            tls;        /* of all connections */
	struct http_exchange *exchanges;  /* all of them; borrowed */
	const char           *user_agent; /* borrowed */
};

struct http_exchange {
	struct http_exchange  *next;
	CURL                  *easy;    /* owned */
	struct curl_slist     *headers; /* owned */
	struct curl_slist     *pin;     /* owned: the address that is tried */
	struct tls            *tls;     /* borrowed */
	char                  *ca_file; /* owned */
	http_data_fn          *on_data; /* NULL: collect the body */
	void                  *arg;     /* borrowed */
	struct url             url;
	struct lookup         *lookup;     /* joined; NULL = none */
	const struct addrinfo *untried[2]; /* of @lookup: of the first one's family, of the other */
	int64_t                since_ms;   /* of what it waits for now */
	int64_t                limit_ms;
	int64_t                end_ms; /* whatever it waits for; INT64_MAX = none */
	bool                   wants_addresses;
	bool                   waits_for_name;
	bool                   connected;
	bool                   too_big;
	bool                   done;
	bool                   had_password;
	struct http_response   response;
};

struct http *http_new(const char *user_agent, struct err *err)
{
	struct http *h = calloc(1, sizeof(*h));

	if (!h) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	h->user_agent = user_agent;
	h->loop.wakeup = -1;
	h->multi = curl_multi_init();
	h->resolver = h->multi ? resolver_new(loop_wake, &h->loop) : NULL;
	CURLMcode mc = h->resolver ? CURLM_OK : CURLM_OUT_OF_MEMORY;
	mc = mc ? mc
		: curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
				    (long)HTTP_HOST_CONNECTIONS);
	mc = mc ? mc : curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	if (mc)
		err_set(err, EIO, "libcurl: %s", curl_multi_strerror(mc));
	if (mc || loop_init(&h->loop, h->multi, err) < 0) {
		http_free(h);
		return NULL;
	}
	return h;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	resolver_free(h->resolver);
	curl_easy_cleanup(h->spare);
	if (h->multi)
		(void)curl_multi_cleanup(h->multi);
	loop_fini(&h->loop);
	free(h);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct http_exchange *x = arg;
	long                  status = 0;

	(void)size; /* always 1 */
	if (x->on_data && curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
	    status == 200)
		return x->on_data(x->arg, p, n) < 0 ? 0 : n;
	int r = buf_append(&x->response.body, p, n);
	x->too_big = r == -EFBIG;
	return r < 0 ? 0 : n;
}

/* Appended, not printed: a token is long, and printf() goes through it byte by byte, twice. */
static CURLcode add_header(struct http_exchange *x, const char *prefix, const char *value)
{
	struct buf line = { .max = 64 << 10 };
	CURLcode   rc = CURLE_OUT_OF_MEMORY;

	if (buf_append(&line, prefix, strlen(prefix)) == 0 &&
	    buf_append(&line, value, strlen(value)) == 0) {
		struct curl_slist *l = curl_slist_append(x->headers, line.data);
		if (l) {
			x->headers = l;
			rc = CURLE_OK;
		}
	}
	wipe(line.data, line.len); /* may be the token */
	buf_fini(&line);
	return rc;
}

static CURLcode set_headers(struct http_exchange *x, const struct http_request *q)
{
	CURLcode rc = add_header(x, "Accept: ", "application/json");

	if (!rc && q->content_type)
		rc = add_header(x, "Content-Type: ", q->content_type);
	if (!rc && q->bearer)
		rc = add_header(x, "Authorization: Bearer ", q->bearer);
	return rc ? rc : curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
}

static CURLcode on_ssl_ctx(CURL *e, void *ssl_ctx, void *arg)
{
	const struct http_exchange *x = arg;

	(void)e;
	return tls_trust(x->tls, ssl_ctx, x->ca_file);
}

/*
 * What may be talked to, and whom to believe. Proxies and redirects would carry the token away,
 * CAPATH would add the machine's CAs, a resumed session or a cached store would outlive the CA.
 */
static CURLcode set_trust(struct http_exchange *x, const struct http_request *q)
{
	CURL       *e = x->easy;
	const char *scheme = strncmp(q->url, "https:", 6) == 0 ? "https" : "http";
	CURLcode    rc = curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, scheme);

	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_PROXY, "");
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, x);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	if (q->user) {
		rc = rc ? rc : curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		rc = rc ? rc : curl_easy_setopt(e, CURLOPT_USERNAME, q->user);
		rc = rc ? rc : curl_easy_setopt(e, CURLOPT_PASSWORD, q->password);
	}
	return rc;
}

static CURLcode set_request(CURL *e, const struct http_request *q)
{
	CURLcode rc = curl_easy_setopt(e, CURLOPT_URL, q->url);

	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L); /* a name may be ".." */
	if (q->body) {
		rc = rc ? rc : curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)strlen(q->body));
		rc = rc ? rc : curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, q->body);
	}
	return rc ? rc : curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, q->method);
}

/* ---- Limits: each step of an exchange has its own ---- */

static void set_limit(struct http_exchange *x, int64_t ms)
{
	x->since_ms = now_ms();
	x->limit_ms = min_ms(x->end_ms, x->since_ms + ms);
}

/* A connection is needed, and no address is known: then this transfer ends, and look_up() is next.
 */
static int on_resolve(void *resolver, void *reserved, void *arg)
{
	struct http_exchange *x = arg;

	(void)resolver;
	(void)reserved;
	x->wants_addresses = url_host_is_name(x->url.host);
	return x->wants_addresses;
}

static int on_connected(void *arg, char *remote, char *local, int remote_port, int local_port)
{
	struct http_exchange *x = arg;

	(void)remote;
	(void)local;
	(void)remote_port;
	(void)local_port;
	x->connected = true;
	set_limit(x, x->end_ms == INT64_MAX ? HTTP_ANSWER_MS : x->end_ms - now_ms());
	return CURL_PREREQFUNC_OK;
}

static CURLcode set_steps(struct http_exchange *x)
{
	CURL    *e = x->easy;
	CURLcode rc = curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);

	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_RESOLVER_START_DATA, x);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, (long)PIN_S);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_connected);
	return rc ? rc : curl_easy_setopt(e, CURLOPT_PREREQDATA, x);
}

static CURLMcode add(struct http *h, struct http_exchange *x)
{
	x->connected = false;
	x->response.detail[0] = '\0';
	set_limit(x, HTTP_CONNECT_MS + HTTP_ANSWER_MS); /* until it is connected */
	return curl_multi_add_handle(h->multi, x->easy);
}

/* The one function that makes a curl handle ready. */
static CURLcode set_up(struct http *h, struct http_exchange *x, const struct http_request *q)
{
	CURL    *e = x->easy;
	CURLcode rc = set_trust(x, q);

	rc = rc ? rc : set_request(e, q);
	rc = rc ? rc : set_headers(x, q);
	rc = rc ? rc : set_steps(x);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_USERAGENT, h->user_agent);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, (long)HTTP_KEEPALIVE_IDLE_S);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, (long)HTTP_KEEPALIVE_PROBE_S);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->response.detail);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
	return rc ? rc : curl_easy_setopt(e, CURLOPT_PRIVATE, x);
}

struct http_exchange *http_start(struct http *h, const struct http_request *q, struct err *err)
{
	struct http_exchange *x = calloc(1, sizeof(*x));

	if (!x) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	x->on_data = q->on_data;
	x->arg = q->arg;
	x->response.body.max = q->max_body ? q->max_body : HTTP_MAX_BODY_BYTES;
	x->response.date_ms = -1;
	x->had_password = q->password != NULL;
	x->end_ms = q->total_ms ? now_ms() + q->total_ms : INT64_MAX;
	x->tls = &h->tls;
	x->ca_file = q->ca_file ? strdup(q->ca_file) : NULL;
	x->next = h->exchanges;
	h->exchanges = x;
	x->easy = h->spare ? h->spare : curl_easy_init();
	h->spare = NULL;
	CURLcode  rc = !url_parse(q->url, &x->url) ? CURLE_URL_MALFORMAT
		       : !x->easy                  ? CURLE_OUT_OF_MEMORY
						   : set_up(h, x, q);
	CURLMcode mc = rc ? CURLM_INTERNAL_ERROR : add(h, x);
	if (mc) {
		err_set(err, EIO, "libcurl: %s",
			rc ? curl_easy_strerror(rc) : curl_multi_strerror(mc));
		http_end(h, x);
		return NULL;
	}
	return x;
}

void http_end(struct http *h, struct http_exchange *x)
{
	if (!x)
		return;
	for (struct http_exchange **p = &h->exchanges; *p; p = &(*p)->next)
		if (*p == x) {
			*p = x->next;
			break;
		}
	if (x->easy) {
		(void)curl_multi_remove_handle(h->multi, x->easy); /* no-op if not in it */
		if (h->spare || x->had_password) {
			curl_easy_cleanup(x->easy);
		} else {
			curl_easy_reset(x->easy); /* forgets all but the connections */
			h->spare = x->easy;
		}
	}
	for (struct curl_slist *l = x->headers; l; l = l->next)
		wipe(l->data, strlen(l->data));
	curl_slist_free_all(x->headers);
	curl_slist_free_all(x->pin);
	lookup_leave(x->lookup);
	buf_fini(&x->response.body);
	free(x->ca_file);
	free(x);
}

const struct http_response *http_response(const struct http_exchange *x)
{
	return x->done ? &x->response : NULL;
}

struct buf http_take_body(struct http_exchange *x)
{
	struct buf body = x->response.body;

	x->response.body = (struct buf){ .max = body.max };
	return body;
}

static int64_t date_header_ms(CURL *e)
{
	struct curl_header *hdr;

	if (curl_easy_header(e, "Date", 0, CURLH_HEADER, -1, &hdr) != CURLHE_OK)
		return -1;
	time_t t = curl_getdate(hdr->value, NULL);
	return t < 0 ? -1 : (int64_t)t * 1000;
}

/*
 * Why there was no answer: what became of it at last, then libcurl's details, which may be of an
 * earlier try (it repeats a request by itself when a kept connection turns out to be broken).
 */
static void describe(struct http_exchange *x)
{
	struct http_response *r = &x->response;
	char                  detail[CURL_ERROR_SIZE];

	if (x->too_big) {
		(void)snprintf(r->detail, sizeof(r->detail), "body of more than %zu bytes",
			       r->body.max);
	} else if (r->transport) {
		if (r->transport == CURLE_SSL_CONNECT_ERROR ||
		    r->transport == CURLE_SSL_CACERT_BADFILE ||
		    r->transport == CURLE_PEER_FAILED_VERIFICATION)
			tls_explain(x->tls, r->detail, sizeof(r->detail));
		memcpy(detail, r->detail, sizeof(detail));
		(void)snprintf(r->detail, sizeof(r->detail), "%s%s%.180s",
			       curl_easy_strerror(r->transport), detail[0] ? ": " : "", detail);
	}
}

static void on_answer(struct http_exchange *x, CURLcode transport)
{
	struct http_response *r = &x->response;
	curl_off_t            retry_after_s = 0;

	x->done = true;
	r->transport = transport;
	(void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &r->status);
	if (curl_easy_getinfo(x->easy, CURLINFO_RETRY_AFTER, &retry_after_s) == CURLE_OK &&
	    retry_after_s > 0)
		r->retry_after_ms = retry_after_s < 86400 ? retry_after_s * 1000 : 86400000;
	r->date_ms = date_header_ms(x->easy);
	describe(x);
}

static void fail(struct http_exchange *x, CURLcode transport, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void fail(struct http_exchange *x, CURLcode transport, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(x->response.detail, sizeof(x->response.detail), fmt, ap);
	va_end(ap);
	on_answer(x, transport);
}

/* ---- Names and addresses ---- */

/* False: there is no thread, no memory. */
static bool look_up(struct http *h, struct http_exchange *x)
{
	lookup_leave(x->lookup);
	x->lookup = lookup_join(h->resolver, x->url.host);
	x->waits_for_name = x->lookup != NULL;
	x->wants_addresses = false;
	set_limit(x, HTTP_RESOLVE_MS);
	return x->waits_for_name;
}

/* The first of this family from here on (@same), or of the other. */
static const struct addrinfo *next_of(const struct addrinfo *a, int family, bool same)
{
	while (a && (a->ai_family == family) != same)
		a = a->ai_next;
	return a;
}

static int add_address(struct buf *pin, const struct addrinfo *a)
{
	const struct sockaddr_in  *v4 = (const void *)a->ai_addr;
	const struct sockaddr_in6 *v6 = (const void *)a->ai_addr;
	bool                       is_v6 = a->ai_family == AF_INET6;
	char                       text[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(a->ai_family, is_v6 ? (const void *)&v6->sin6_addr : &v4->sin_addr, text,
			sizeof(text));
	return buf_printf(pin, "%s[%s]", pin->data[pin->len - 1] == ']' ? "," : "", text);
}

/*
 * The next address, with the next one of the other family beside it, as far as there are any: of
 * all of them at once, libcurl would give the first one half of the time, and the last ones none.
 */
static bool try_next(struct http *h, struct http_exchange *x)
{
	struct buf pin = { .max = 512 };
	int        r = buf_printf(&pin, "+%s:%u:", x->url.host, (unsigned)x->url.port);
	bool       any = x->untried[0] || x->untried[1];

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(x->untried); i++) {
		const struct addrinfo *a = x->untried[i];
		r = a ? add_address(&pin, a) : 0;
		x->untried[i] = a ? next_of(a->ai_next, a->ai_family, true) : NULL;
	}
	curl_slist_free_all(x->pin);
	x->pin = any && r == 0 ? curl_slist_append(NULL, pin.data) : NULL;
	buf_fini(&pin);
	return x->pin && curl_easy_setopt(x->easy, CURLOPT_RESOLVE, x->pin) == CURLE_OK &&
	       add(h, x) == CURLM_OK;
}

static void take_addresses(struct http *h, struct http_exchange *x)
{
	const struct addrinfo *found;
	int                    error;

	if (x->done || !x->waits_for_name || !lookup_answer(x->lookup, &error, &found))
		return;
	x->waits_for_name = false;
	if (error) {
		fail(x, CURLE_COULDNT_RESOLVE_HOST, "%s: %s", x->url.host, gai_strerror(error));
		return;
	}
	x->untried[0] = found;
	x->untried[1] = next_of(found, found->ai_family, false);
	if (!try_next(h, x))
		fail(x, CURLE_OUT_OF_MEMORY, "%s", x->url.host);
}

/*
 * A transfer has ended, but not the exchange: the name is to be looked up (also where another's
 * address was at hand, and failed), or the next address tried.
 */
static bool goes_on(struct http *h, struct http_exchange *x, CURLcode transport)
{
	bool unconnected = !x->connected && (transport == CURLE_COULDNT_CONNECT ||
					     transport == CURLE_OPERATION_TIMEDOUT);

	(void)curl_multi_remove_handle(h->multi, x->easy);
	if (x->wants_addresses || (unconnected && !x->lookup && url_host_is_name(x->url.host)))
		return look_up(h, x);
	return unconnected && try_next(h, x);
}

static void reap(struct http *h)
{
	int queued;

	for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &queued)) != NULL;) {
		char    *p = NULL;
		CURLcode transport = m->data.result; /* m dies with the handle's removal */

		if (m->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &p) != CURLE_OK)
			continue;
		struct http_exchange *x = (void *)p;
		if (!goes_on(h, x, transport))
			on_answer(x, transport);
	}
}

/* ---- Waiting ---- */

static void give_up(struct http *h, struct http_exchange *x)
{
	int64_t now = now_ms();
	double  waited_s = (double)(now - x->since_ms) / 1e3;

	if (x->done || now < x->limit_ms)
		return;
	(void)curl_multi_remove_handle(h->multi, x->easy);
	if (x->waits_for_name)
		fail(x, CURLE_OPERATION_TIMEDOUT, "%s: no answer from the name servers in %.1f s",
		     x->url.host, waited_s);
	else
		fail(x, CURLE_OPERATION_TIMEDOUT, "no answer in %.1f s", waited_s);
}

/* What has come to an end. */
static void settle(struct http *h)
{
	reap(h);
	for (struct http_exchange *x = h->exchanges; x; x = x->next) {
		take_addresses(h, x);
		give_up(h, x);
	}
}

/* An answer that nobody has taken yet is not waited for. */
static int64_t next_limit(const struct http *h, int64_t until_ms)
{
	for (const struct http_exchange *x = h->exchanges; x; x = x->next)
		until_ms = min_ms(until_ms, x->done ? 0 : x->limit_ms);
	return until_ms;
}

int http_wait(struct http *h, int fd, int64_t until_ms, struct err *err)
{
	bool      readable = false;
	CURLMcode mc = loop_act(&h->loop); /* what was started since */

	settle(h);
	mc = mc ? mc : loop_wait(&h->loop, fd, next_limit(h, until_ms), &readable);
	settle(h);
	return mc ? err_set(err, EIO, "libcurl: %s", curl_multi_strerror(mc)) : readable;
}

int http_escape(struct buf *b, const char *s)
{
	char *e = curl_easy_escape(NULL, s, 0);
	int   r = e ? buf_append(b, e, strlen(e)) : -ENOMEM;

	curl_free(e);
	return r;
}
