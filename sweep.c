#include "sweep.h"

#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "identity.h"
#include "leftover.h"
#include "rabbitmq.h"
#include "run.h"

#define PAGE_SIZE   50 /* objects: a Job is 10 kB of text at most, and ten times that in memory */
#define STARTS      4  /* a continue token that has expired: from the beginning, so often */
#define TRIES       6  /* of one page, some 15 s */
#define REFUSALS    4  /* ... that make one: an API server's first second has some */
#define PATIENCE_MS INT64_C(120000) /* for one id; what takes longer is the next sweep's */
#define HURRIED_MS  INT64_C(10000)  /* ... once one was left: a role, an outage */
#define CLEANER_MS  INT64_C(60000)  /* a cleaner that may be at work is given so long */
#define EVENT_MS    INT64_C(2000)

struct sweep {
	struct app      *a;       /* borrowed */
	struct config    cfg;     /* of the namespace; its swept_before_ms is by the first answer */
	int64_t          unix_ms; /* by the API server's clock, when the first answer came */
	int64_t          begun_ms;
	struct leftovers found;
	bool             partial; /* something could not be listed, and no more than that */
	size_t           removed, left, spared;
};

/* ---- Listing ---- */

enum listed { LISTED, LISTED_NOTHING, LIST_EXPIRED, LIST_FAILED };

/* Waits, but for a signal. False: one came. */
static bool wait_until(struct app *a, int64_t until_ms)
{
	while (!a->signals && !a->broken && now_ms() < until_ms)
		app_wait(a, until_ms);
	return !a->signals && !a->broken;
}

/* One page, tried again as any request is. The caller frees @res in either case. */
static enum listed ask_page(struct sweep *s, const struct k8s_request *q, struct k8s_result *res)
{
	struct asked asked = { 0 };

	for (;;) {
		int64_t sent_ms = now_ms();
		if (app_call(s->a, q, res) < 0)
			return LIST_FAILED;
		if (res->answer == K8S_OK)
			return LISTED;
		if (res->answer == K8S_EXPIRED)
			return LIST_EXPIRED;
		asked_take(&asked,
			   &(struct asked_answer){ .what = res->answer,
						   .sent_ms = sent_ms,
						   .status = res->status,
						   .retry_after_ms = res->retry_after_ms,
						   .rnd = random_u32() },
			   1, REFUSALS, true, now_ms());
		log_warn(res->by_role ? "permission missing" : "API server trouble",
			 LS("verb", "list"), LS("resource", k8s_resource_name(q->resource)),
			 LI("status", res->status), LS("error", res->words));
		if (asked.refused >= REFUSALS)
			return LISTED_NOTHING;
		if (asked.failed >= TRIES || !wait_until(s->a, asked.due_ms))
			return LIST_FAILED;
		k8s_result_fini(res);
	}
}

/* What divides young from old: by the first answer, so that all seems younger rather than older. */
static bool take_time(struct sweep *s, const struct k8s_result *res)
{
	if (s->cfg.swept_before_ms)
		return true;
	s->unix_ms = res->date_ms;
	s->cfg.swept_before_ms = res->date_ms - s->cfg.sweep_after_ms;
	if (res->date_ms >= 0)
		return true;
	log_error("cannot sweep", LS("error", "the API server's answers have no Date"));
	return false;
}

static enum listed take_page(struct sweep *s, const struct k8s_result *res, const char *kind,
			     k8s_item_fn *fn, char next[K8S_NEXT_SIZE])
{
	struct err err = { 0 };

	if (!take_time(s, res))
		return LIST_FAILED;
	if (k8s_page_decode(res->body.data, res->body.len, kind, fn, &s->found, next, &err) == 0)
		return LISTED;
	log_error("a list that cannot be used", LS("kind", kind), LS("error", err.msg));
	return LIST_FAILED;
}

static enum listed list_all(struct sweep *s, enum k8s_resource resource, const char *kind,
			    const char *selector, k8s_item_fn *fn)
{
	char               next[K8S_NEXT_SIZE] = "";
	struct k8s_request q = { .verb = K8S_LIST,
				 .resource = resource,
				 .label_selector = selector,
				 .limit = PAGE_SIZE };
	enum listed        l;

	do {
		struct k8s_result res = { 0 };
		q.next = next[0] ? next : NULL;
		l = ask_page(s, &q, &res);
		if (l == LISTED)
			l = take_page(s, &res, kind, fn, next);
		k8s_result_fini(&res);
		(void)malloc_trim(0);
	} while (l == LISTED && next[0]);
	s->partial |= l == LISTED_NOTHING;
	return l;
}

/* A list that was cut anywhere tells nothing: then all of them are read anew. */
static enum listed list_objects(struct sweep *s)
{
	enum listed l = LIST_EXPIRED;

	for (int i = 0; i < STARTS && l == LIST_EXPIRED; i++) {
		leftovers_fini(&s->found);
		l = list_all(s, K8S_JOBS, "Job", NULL, leftovers_add_job);
		if (l == LISTED_NOTHING) /* without Jobs nothing can be said of anything */
			return LIST_FAILED;
		if (l == LISTED)
			l = list_all(s, K8S_SERVICES, "Service", NULL, leftovers_add_service);
		if (l == LISTED || l == LISTED_NOTHING)
			l = list_all(s, K8S_PODS, "Pod", "job-name", leftovers_add_pod);
	}
	return l == LISTED_NOTHING ? LISTED : l;
}

/* Of the queues that a pattern may mean. Returns if it is the last page. */
static bool list_queues_page(struct sweep *s, const struct pattern *p, unsigned page,
			     struct err *err)
{
	bool                  last = true;
	char                  words[K8S_WORDS_SIZE] = "";
	struct http_exchange *x = rabbitmq_list_used(s->a->http, &s->cfg, p, page, err);

	if (!x)
		return last;
	if (app_answer(s->a, x) < 0) {
		err_set(err, EINTR, "interrupted");
		return last;
	}
	const struct http_response *r = http_response(x);
	if (rabbitmq_judge(r, words, sizeof(words)) != RABBITMQ_OK)
		err_set(err, EIO, "%s (status %ld)", words, r->status);
	else
		(void)rabbitmq_used_decode(r->body.data, r->body.len, leftovers_add_queue,
					   &s->found, &last, err);
	http_end(s->a->http, x);
	return last;
}

/* One try for each page: what is missed is the next sweep's. */
static void list_queues(struct sweep *s)
{
	struct err err = { 0 };

	for (size_t i = 0; i < s->cfg.queue_count && !err.code; i++)
		for (unsigned page = 1; !list_queues_page(s, &s->cfg.queues[i], page, &err);)
			page++;
	if (!err.code)
		return;
	s->partial = true;
	log_warn("broker trouble", LS("verb", "list"), LS("resource", "queues"),
		 LS("error", err.msg));
}

/* ---- What is told ---- */

static void age_of(const struct sweep *s, const struct leftover *o, char *out, size_t size)
{
	long long min = (s->unix_ms - o->newest_ms) / 60000;

	if (min < 120)
		(void)snprintf(out, size, "%lldm", min);
	else if (min < 2880)
		(void)snprintf(out, size, "%lldh", min / 60);
	else
		(void)snprintf(out, size, "%lldd", min / 1440);
}

static const char *yes(const struct leftover *o, unsigned what)
{
	return o->has & what ? "yes" : "-";
}

static void print_row(const struct sweep *s, const struct leftover *o)
{
	char        age[24];
	const char *why = leftover_why(o);
	const char *job = o->has & HAS_ORPHANS ? "another" : o->has & HAS_JOB ? "ended" : "-";

	age_of(s, o, age, sizeof(age));
	if (s->cfg.log_format == LOG_JSON) {
		json_auto_t *row = json_pack(
			"{s:s, s:s, s:b, s:b, s:i, s:b, s:I, s:s}", "id", o->id, "job",
			job[0] == '-' ? "absent" : job, "service", (o->has & HAS_SERVICE) != 0,
			"cleaner", (o->has & HAS_CLEANER) != 0, "pods", (int)o->pods, "queues",
			(o->has & HAS_QUEUES) != 0, "age_seconds",
			(json_int_t)((s->unix_ms - o->newest_ms) / 1000), "why", why);
		AUTO_FREE char *line = row ? json_dumps(row, JSON_COMPACT) : NULL;
		(void)printf("%s\n", line ? line : "{}");
		return;
	}
	(void)printf("%-20s %-8s %-8s %-8s %4u  %-7s %5s  %s\n", o->id, job, yes(o, HAS_SERVICE),
		     yes(o, HAS_CLEANER), o->pods, yes(o, HAS_QUEUES), age, why);
}

static void print_found(const struct sweep *s)
{
	const struct leftovers *l = &s->found;
	size_t                  n = leftovers_count(l);
	bool                    text = s->cfg.log_format == LOG_TEXT;

	if (text)
		(void)printf("cleanup-grpc " VERSION
			     " in namespace %s: of %zu ids %zu are leftovers\n",
			     s->cfg.ns, l->count, n);
	if (text && n)
		(void)printf("%-20s %-8s %-8s %-8s %4s  %-7s %5s  %s\n", "ID", "JOB", "SERVICE",
			     "CLEANER", "PODS", "QUEUES", "AGE", "WHY");
	for (size_t i = 0; i < l->count; i++)
		if (leftover_is_one(l, &l->all[i]))
			print_row(s, &l->all[i]);
	(void)fflush(stdout);
}

/* A Warning on our own Job, if we run as one's pod: its name less the five letters of the pod's. */
static void tell_refusal(struct sweep *s, const char *words)
{
	struct identity   id;
	char             *dash;
	struct k8s_result res = { 0 };

	identity_load(&id, s->cfg.service_account_dir, "");
	dash = strrchr(id.pod, '-');
	if (!id.bound || !dash)
		return;
	*dash = '\0';
	AUTO_FREE char *body = k8s_event_new(s->cfg.ns, id.pod, "", "SweepRefused", words, true,
					     s->unix_ms, s->unix_ms);
	if (body &&
	    app_call(s->a,
		     &(struct k8s_request){ .verb = K8S_CREATE,
					    .resource = K8S_EVENTS,
					    .body = body,
					    .total_ms = EVENT_MS },
		     &res) == 0 &&
	    res.answer != K8S_OK)
		log_info("event not recorded", LI("status", res.status), LS("error", res.words));
	k8s_result_fini(&res);
}

static bool is_refused_for_good(struct sweep *s, bool yes)
{
	char words[300];

	if (yes || !leftovers_are_too_many(&s->found))
		return false;
	(void)snprintf(words, sizeof(words),
		       "%zu of %zu ids seem to be leftovers, which is more than SWEEP_MAX=%u, or "
		       "than half: nothing was deleted. If that is right, run --sweep --yes",
		       leftovers_count(&s->found), s->found.count, s->cfg.sweep_max);
	log_error("too many leftovers", LS("error", words));
	if (!s->cfg.dry_run)
		tell_refusal(s, words);
	return true;
}

/* ---- Removing ---- */

/* The settings of the teardown of @o: those of its own cleaner, but that nothing is watched. */
static int config_of(const struct sweep *s, const struct leftover *o, struct config *ret)
{
	bool    orphans = o->has & HAS_ORPHANS, cleaner = o->has & HAS_ACTIVE_CLEANER;
	int64_t patience = s->left ? HURRIED_MS : PATIENCE_MS;

	*ret = s->cfg;
	if (config_name(ret, o->id) < 0)
		return -EINVAL;
	ret->check_cpu = ret->adopt_service = false;
	ret->target_container[0] = '\0';
	ret->pending_timeout_ms = 0;
	ret->missing_timeout_ms = cleaner ? max_ms(s->begun_ms + CLEANER_MS - now_ms(), 0) : 0;
	ret->teardown_timeout_ms = min_ms(ret->teardown_timeout_ms, patience);
	ret->delete_self = !orphans;
	ret->termination_log[0] = '\0'; /* it is for one summary */
	if (orphans)                    /* all else is the Job's that has the name now */
		(void)copy_str(ret->swept_uid, sizeof(ret->swept_uid), o->uid); /* fits */
	if (orphans || (o->has & HAS_SHARED_QUEUES))
		ret->rabbitmq_url[0] = '\0';
	return 0;
}

/* Returns false if a signal ends it all. */
static bool remove_one(struct sweep *s, const struct leftover *o)
{
	static struct config cfg;

	if (config_of(s, o, &cfg) < 0) {
		log_warn("left: no cleaner can have had an id like this, remove it by hand",
			 LS("id", o->id));
		s->left++;
		return true;
	}
	s->a->cfg = &cfg;
	enum end end = run(s->a);
	s->a->cfg = &s->cfg;
	s->removed += end == END_TORN_DOWN;
	s->spared += end == END_SPARED;
	s->left += end == END_LEFT;
	return end != END_SIGNALLED && !s->a->signals && !s->a->broken;
}

static enum end remove_all(struct sweep *s)
{
	const struct leftovers *l = &s->found;
	bool                    goes_on = !s->a->signals && !s->a->broken;

	for (size_t i = 0; i < l->count && goes_on; i++)
		if (leftover_is_one(l, &l->all[i]))
			goes_on = remove_one(s, &l->all[i]);
	LOG_(s->left ? LOG_ERROR : LOG_INFO, s->left ? "sweep incomplete" : "swept",
	     LI("removed", (int64_t)s->removed), LI("left", (int64_t)s->left),
	     LI("no_leftover_any_more", (int64_t)s->spared));
	if (!goes_on)
		return END_SIGNALLED;
	return s->left || s->partial ? END_LEFT : END_TORN_DOWN;
}

enum end sweep_run(struct app *a, bool yes)
{
	static struct sweep  s;
	const struct config *cfg = a->cfg;
	enum end             end = END_LEFT;

	s = (struct sweep){ .a = a, .cfg = *cfg, .begun_ms = now_ms(), .found.cfg = &s.cfg };
	enum listed l = list_objects(&s);
	if (l == LISTED)
		list_queues(&s);
	if (l != LISTED) {
		log_error("nothing was deleted: what is there could not be listed");
		end = a->signals ? END_SIGNALLED : END_LEFT;
	} else {
		print_found(&s);
		if (s.cfg.dry_run)
			end = leftovers_count(&s.found) || s.partial ? END_LEFT : END_TORN_DOWN;
		if (!is_refused_for_good(&s, yes) && !s.cfg.dry_run)
			end = remove_all(&s);
	}
	leftovers_fini(&s.found);
	a->cfg = cfg;
	return end;
}
