/* http.h on virtual time: requests travel to the simulated servers, answers and bytes travel back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../http.h"
#include "api.h"
#include "evidence.h"
#include "faults.h"
#include "http_sim.h"
#include "process.h"
#include "promises.h"
#include "story.h"
#include "watch.h"

#define EXCHANGES      64
#define IDLE_WAITS_MAX 2000 /* waits in a row in which no time passes */

enum stage { STAGE_FREE, STAGE_QUEUED, STAGE_SENT, STAGE_STREAMS, STAGE_DONE };

struct http {
	int unused;
};

struct http_exchange {
	enum stage           stage;
	bool                 abandoned; /* by the program; the server may still do it */
	int                  generation;
	int                  nth;
	struct request       q;
	struct fate          fate;
	struct answer        answer;
	http_data_fn        *on_data;
	void                *arg;
	int64_t              sent_ms;
	int64_t              deadline_ms; /* monotonic */
	struct http_response response;
	/* a watch */
	uint64_t    told_rv;
	struct text out;    /* not yet delivered */
	size_t      out_at; /* delivered up to here */
	uint64_t    told;   /* place of the last change whose line is in @out */
	bool        has_told;
	CURLcode    end; /* when @out is delivered: CURLE_AGAIN = goes on */
	bool        ending;
};

static struct http_exchange exchanges[EXCHANGES];
static int                  in_use; /* those from here on are free */
static int                  generation;
static bool                 delivered;
static int                  idle_waits;
static int64_t              last_wait_ms;
static struct rng           rng_bytes;
static int                  request_count;
static int64_t              last_stream_ms;

int http_sim_requests(void)
{
	return request_count;
}

int64_t http_sim_stream_ms(void)
{
	for (int i = 0; i < in_use; i++)
		if (exchanges[i].stage == STAGE_STREAMS && !exchanges[i].abandoned)
			return sim_ms();
	return last_stream_ms;
}

void http_sim_reset(uint64_t seed)
{
	for (int i = 0; i < EXCHANGES; i++) {
		buf_fini(&exchanges[i].response.body);
		exchanges[i].stage = STAGE_FREE;
	}
	in_use = 0;
	rng_bytes = rng_of(seed, 4);
	request_count = 0;
	last_stream_ms = 0;
	idle_waits = 0;
	delivered = false;
}

/* The program is gone, and its connections with it; what is on its way still arrives. */
void http_sim_abandon(void)
{
	for (int i = 0; i < in_use; i++)
		if (exchanges[i].stage != STAGE_FREE && exchanges[i].q.sweeps == process.sweeps)
			http_end(NULL, &exchanges[i]);
}

void http_sim_wake(void)
{
	delivered = true;
}

static int tag(const struct http_exchange *x)
{
	return (int)(x - exchanges) | x->generation << 8;
}

static struct http_exchange *tagged(int arg)
{
	struct http_exchange *x = &exchanges[arg & 0xff];

	return x->stage != STAGE_FREE && x->generation == arg >> 8 ? x : NULL;
}

struct http *http_new(const char *user_agent, struct err *err)
{
	(void)user_agent;
	struct http *h = calloc(1, sizeof(*h));
	if (!h)
		err_set(err, ENOMEM, "out of memory");
	return h;
}

void http_free(struct http *h)
{
	free(h);
}

/* ---- Connections ---- */

static void send_now(struct http_exchange *x);

static int connections(const struct http_exchange *like)
{
	int n = 0;

	for (int i = 0; i < in_use; i++)
		n += exchanges[i].q.sweeps == like->q.sweeps &&
		     (exchanges[i].stage == STAGE_SENT || exchanges[i].stage == STAGE_STREAMS) &&
		     !exchanges[i].abandoned &&
		     (exchanges[i].q.resource == RES_QUEUES) == (like->q.resource == RES_QUEUES);
	return n;
}

static void send_queued(void)
{
	for (int i = 0; i < in_use; i++)
		if (exchanges[i].stage == STAGE_QUEUED &&
		    connections(&exchanges[i]) < HTTP_HOST_CONNECTIONS)
			send_now(&exchanges[i]);
}

/* ---- Answers ---- */

static void done(struct http_exchange *x, CURLcode transport, const char *detail)
{
	struct http_response *r = &x->response;

	if (x->stage == STAGE_STREAMS)
		last_stream_ms = sim_ms();
	x->stage = STAGE_DONE;
	r->transport = transport;
	(void)snprintf(r->detail, sizeof(r->detail), "%s", detail);
	delivered = true;
	if (transport && !x->abandoned)
		promise_on_no_answer(&x->q);
	if (transport)
		trace("answer", "%d: %s", x->nth, detail);
	send_queued();
}

static void fill(struct http_exchange *x, size_t cut_to)
{
	struct http_response *r = &x->response;
	struct answer        *a = &x->answer;
	size_t                n = a->body.n < cut_to ? a->body.n : cut_to;

	r->status = a->status;
	r->retry_after_ms = a->retry_after_s * INT64_C(1000);
	r->date_ms = (SIM_EPOCH_MS + sim_ms()) / 1000 * 1000;
	if (n > r->body.max) {
		done(x, CURLE_WRITE_ERROR, "the body is too large");
		return;
	}
	if (n && buf_append(&r->body, a->body.p, n) < 0)
		sim_fatal("out of memory");
}

static void on_reply(int arg)
{
	struct http_exchange *x = tagged(arg);

	if (!x)
		return;
	if (x->abandoned) {
		x->stage = STAGE_FREE;
		return;
	}
	if (x->stage != STAGE_SENT)
		return;
	if (x->fate.fault == FAULT_LOST_BEFORE || x->fate.fault == FAULT_LOST_AFTER) {
		done(x, CURLE_RECV_ERROR, "Recv failure: Connection reset by peer");
		return;
	}
	bool cut = x->fate.fault == FAULT_CUT || x->fate.fault == FAULT_CUT_CLEAN;
	fill(x, cut ? x->answer.body.n / 2 : SIZE_MAX);
	if (x->stage == STAGE_DONE)
		return;
	trace("answer", "%d: %d%s %.*s", x->nth, x->answer.status, cut ? ", cut" : "",
	      x->answer.status >= 300 ? (int)x->answer.body.n : 0,
	      x->answer.body.p ? x->answer.body.p : "");
	if (x->fate.fault == FAULT_CUT) {
		done(x, CURLE_PARTIAL_FILE, "transfer closed with outstanding read data remaining");
		return;
	}
	if (!cut)
		promise_on_answer(&x->q, &x->answer);
	else if (!x->q.sweeps)
		evidence_on_status(&x->q, x->answer.status);
	done(x, CURLE_OK, "");
}

static void on_timeout(int arg)
{
	struct http_exchange *x = tagged(arg);

	if (!x || x->stage == STAGE_DONE || x->abandoned)
		return;
	if (clock_monotonic_ms() < x->deadline_ms) { /* the node slept meanwhile */
		sim_at(clock_true_ms(x->deadline_ms), on_timeout, arg);
		return;
	}
	bool pending = x->stage == STAGE_SENT;
	done(x, CURLE_OPERATION_TIMEDOUT, "Operation timed out");
	if (pending) { /* a ghost goes on, which the server may still serve */
		struct http_exchange *ghost = http_sim_free();
		int                   g = ghost->generation;
		ghost->q = x->q;
		ghost->fate = x->fate;
		ghost->nth = x->nth;
		ghost->generation = g;
		ghost->stage = x->answer.status ? STAGE_FREE : STAGE_SENT;
		ghost->abandoned = true;
		if (x->fate.fault == FAULT_LATE)
			sim_at(x->sent_ms + x->fate.arrives_ms, http_sim_on_arrival, tag(ghost));
		else
			ghost->stage = STAGE_FREE;
	}
}

/* ---- Watches ---- */

static void put_change(struct http_exchange *x, const struct change *c, uint64_t place)
{
	change_json(&x->out, c);
	x->told_rv = c->rv;
	x->told = place;
	x->has_told = true;
}

static void end_stream(struct http_exchange *x, CURLcode how)
{
	x->ending = true;
	x->end = how;
}

/* Brings the stream up to what happened @late_ms ago. */
static void on_pump(int arg)
{
	struct http_exchange *x = tagged(arg);

	if (!x || x->stage != STAGE_STREAMS || x->abandoned || x->ending || watch_weather.silent)
		return;
	uint64_t first = cluster.change_count > CHANGES ? cluster.change_count - CHANGES : 0;
	for (uint64_t i = first; i < cluster.change_count; i++) {
		const struct change *c = &cluster.changes[i % CHANGES];
		if (c->rv > x->told_rv && strcmp(c->job.name, x->q.name) == 0 &&
		    c->at_ms + watch_weather.late_ms <= sim_ms())
			put_change(x, c, i);
	}
}

void watch_tell(void)
{
	for (int i = 0; i < in_use; i++) {
		struct http_exchange *x = &exchanges[i];
		if (x->stage == STAGE_STREAMS && !x->abandoned)
			sim_after(delay(1, 30) + watch_weather.late_ms, on_pump, tag(x));
	}
}

static void end_streams(CURLcode how)
{
	for (int i = 0; i < in_use; i++)
		if (exchanges[i].stage == STAGE_STREAMS)
			end_stream(&exchanges[i], how);
}

/* In the middle of a line, as a rule. */
static void put_half_a_line(struct http_exchange *x)
{
	const struct change *last = &cluster.changes[(cluster.change_count - 1) % CHANGES];
	struct text          line = { 0 };

	change_json(&line, last);
	text_bytes(&x->out, line.p, line.n / 2);
	text_free(&line);
}

void watch_cut(void)
{
	for (int i = 0; i < in_use; i++)
		if (exchanges[i].stage == STAGE_STREAMS && !exchanges[i].ending &&
		    cluster.change_count % 2)
			put_half_a_line(&exchanges[i]);
	end_streams(CURLE_RECV_ERROR);
}

void watch_end(void)
{
	end_streams(CURLE_OK);
}

static void on_watch_over(int arg)
{
	struct http_exchange *x = tagged(arg);

	if (x && x->stage == STAGE_STREAMS && !x->ending)
		end_stream(x, CURLE_OK);
}

static void on_bookmark(int arg)
{
	struct http_exchange *x = tagged(arg);

	if (!x || x->stage != STAGE_STREAMS || x->ending)
		return;
	if (!watch_weather.silent && !watch_weather.late_ms) {
		on_pump(arg);
		bookmark_json(&x->out);
		x->told_rv = cluster.rv;
	}
	sim_after(delay(55000, 65000), on_bookmark, arg);
}

static void open_stream(struct http_exchange *x)
{
	x->stage = STAGE_STREAMS;
	x->response.status = 200;
	x->told_rv = x->q.rv;
	trace("answer", "%d: 200, the stream is open", x->nth);
	if (x->q.rv < cluster.compacted_rv) {
		expired_json(&x->out, x->told_rv);
		end_stream(x, CURLE_OK);
		return;
	}
	sim_after(SEC(x->q.timeout_s), on_watch_over, tag(x));
	sim_after(delay(55000, 65000), on_bookmark, tag(x));
	sim_after(watch_weather.late_ms, on_pump, tag(x));
}

/* ---- Travelling there ---- */

static bool *doom_of(const struct http_exchange *x)
{
	return x->q.sweeps ? &process.sweep_doomed : &process.doomed;
}

void http_sim_on_arrival(int arg)
{
	struct http_exchange *x = tagged(arg);

	if (!x || x->stage != STAGE_SENT)
		return;
	enum fault f = x->fate.fault;
	if (f == FAULT_HUNG)
		return; /* it arrives nowhere */
	if (f == FAULT_LOST_BEFORE) {
		on_reply(arg);
		return;
	}
	x->answer.retry_after_s = 0;
	x->answer.tale.forbidden = false;
	if (!fault_answer(f, &x->q, &x->answer)) {
		api_answer(&x->q, &x->answer);
		if (f == FAULT_TWICE)
			api_answer(&x->q, &x->answer);
		if (x->q.verb == VERB_WATCH && x->answer.status == 200) {
			if (x->abandoned)
				x->stage = STAGE_FREE;
			else
				open_stream(x);
			return;
		}
	}
	if (f == FAULT_HUNG_AFTER)
		return;
	if (f == FAULT_KILLED_AFTER)
		*doom_of(x) = true;
	sim_after(x->fate.answer_ms, on_reply, arg);
}

static void on_refused(int arg)
{
	struct http_exchange *x = tagged(arg);

	if (x && x->stage == STAGE_SENT && !x->abandoned)
		done(x, CURLE_COULDNT_CONNECT, "Failed to connect: Connection refused");
}

static void send_now(struct http_exchange *x)
{
	x->stage = STAGE_SENT;
	x->sent_ms = sim_ms();
	x->fate = fate_draw(&x->q, x->nth);
	if (x->fate.fault == FAULT_REFUSED)
		sim_after(1, on_refused, tag(x));
	else
		sim_after(x->fate.arrives_ms, http_sim_on_arrival, tag(x));
	if (x->fate.fault == FAULT_KILLED_BEFORE)
		*doom_of(x) = true;
	else if (x->fate.fault == FAULT_TERMED)
		process_signal(15);
	else if (x->fate.fault == FAULT_FROZEN)
		process_freeze(delay(SEC(30), SEC(300)));
}

struct http_exchange *http_sim_free(void)
{
	for (int i = 0; i < EXCHANGES; i++) {
		struct http_exchange *x = &exchanges[i];
		if (x->stage != STAGE_FREE)
			continue;
		in_use = i + 1 > in_use ? i + 1 : in_use;
		x->generation = generation++ & 0xffff;
		x->abandoned = x->ending = false;
		x->answer.status = 0;
		x->has_told = false;
		x->out_at = 0;
		x->end = CURLE_AGAIN;
		text_reset(&x->out);
		return x;
	}
	sim_fatal("more than %d exchanges", EXCHANGES);
}

struct http_exchange *http_start(struct http *h, const struct http_request *q, struct err *err)
{
	struct http_exchange *x = http_sim_free();
	const char           *why;

	(void)h;
	if (!request_parse(q->method, q->url, q->body, &x->q, &why)) {
		promise_on_malformed(q->method, q->url, why);
		err_set(err, EIO, "%s", why);
		return NULL;
	}
	x->nth = ++request_count;
	x->q.sweeps = process.sweeps;
	trace("request", "%d: %s %s %s", x->nth, q->method, q->url + 20, q->body ? q->body : "");
	x->q.token_fits = q->bearer && strcmp(q->bearer, api_token) == 0;
	promise_on_request(&x->q, q->bearer, q->url, q->body, q->content_type);
	x->on_data = q->on_data;
	x->arg = q->arg;
	x->response =
		(struct http_response){ .body.max = q->max_body ? q->max_body : HTTP_MAX_BODY_BYTES,
					.date_ms = -1 };
	x->deadline_ms = clock_monotonic_ms() + (q->total_ms ? q->total_ms : HTTP_ANSWER_MS);
	x->stage = STAGE_QUEUED;
	sim_at(clock_true_ms(x->deadline_ms), on_timeout, tag(x));
	send_queued();
	return x;
}

const struct http_response *http_response(const struct http_exchange *x)
{
	return x->stage == STAGE_DONE ? &x->response : NULL;
}

struct buf http_take_body(struct http_exchange *x)
{
	struct buf body = x->response.body;

	x->response.body = (struct buf){ .max = body.max };
	return body;
}

void http_end(struct http *h, struct http_exchange *x)
{
	(void)h;
	if (!x)
		return;
	buf_fini(&x->response.body);
	if (x->stage == STAGE_SENT && x->fate.fault != FAULT_HUNG &&
	    x->fate.fault != FAULT_HUNG_AFTER && x->fate.fault != FAULT_REFUSED)
		x->abandoned = true; /* what was sent may still be done */
	else
		x->stage = STAGE_FREE;
	send_queued();
}

/* ---- Waiting ---- */

/* The bytes of a watch, split anywhere. */
static void deliver_bytes(struct http_exchange *x)
{
	while (x->out_at < x->out.n) {
		size_t left = x->out.n - x->out_at;
		size_t n = rng_permille(&rng_bytes, 300)
				   ? (size_t)rng_in(&rng_bytes, 1, (int64_t)left)
				   : left;
		int    r = x->on_data(x->arg, x->out.p + x->out_at, n);
		x->out_at += n;
		delivered = true;
		if (r < 0) {
			done(x, CURLE_WRITE_ERROR, "Failed writing received data");
			return;
		}
	}
	if (x->has_told) /* of what comes at once, the last state counts */
		promise_on_told_job(&cluster.changes[x->told % CHANGES].job);
	x->has_told = false;
	x->out_at = 0;
	text_reset(&x->out);
	if (x->ending)
		done(x, x->end, x->end == CURLE_OK ? "" : "Recv failure: Connection reset by peer");
}

static void deliver(void)
{
	for (int i = 0; i < in_use; i++) {
		struct http_exchange *x = &exchanges[i];
		if (x->stage == STAGE_STREAMS && !x->abandoned && (x->out.n || x->ending) &&
		    !process.sweeps) /* a sweep watches nothing */
			deliver_bytes(x);
	}
}

static void count_wait(void)
{
	idle_waits = sim_ms() == last_wait_ms ? idle_waits + 1 : 0;
	last_wait_ms = sim_ms();
	if (idle_waits == IDLE_WAITS_MAX) {
		broken("hot-loop", "%d waits in which no time passed", IDLE_WAITS_MAX);
		process_leave();
	}
}

int http_wait(struct http *h, int fd, int64_t until_ms, struct err *err)
{
	(void)h;
	(void)fd;
	(void)err;
	count_wait();
	/* as the real one: the way to go is measured by the program's clock, and waited by poll()'s
	 */
	int64_t way = until_ms - now_ms(), start = clock_monotonic_ms();
	int64_t end = way > INT64_MAX / 2 ? NEVER : start + (way < 0 ? 0 : way);
	for (;;) {
		if (process.frozen_until_ms > sim_ms() && !process.sweeps)
			sim_run_until(process.frozen_until_ms);
		if ((process.sweeps ? process.sweep_doomed : process.doomed) || process.over)
			process_leave();
		deliver();
		if (delivered || process.signal_news || clock_monotonic_ms() >= end)
			break;
		int64_t most = sim_ms() + HTTP_SIM_WAIT_MAX_MS, until = clock_true_ms(end);
		sim_step(until < most ? until : most);
	}
	bool signal = process.signal_news;
	delivered = process.signal_news = false;
	return signal;
}

int http_escape(struct buf *b, const char *s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		char          out[3] = { '%', hex[c >> 4], hex[c & 15] };
		bool          plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || strchr("-._~", c);
		int r = plain ? buf_append(b, s, 1) : buf_append(b, out, 3);
		if (r < 0)
			return r;
	}
	return 0;
}
