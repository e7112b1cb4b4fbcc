/* What each answer and event proves: see world.h. */
#include <stdio.h>
#include <string.h>

#include "world.h"

#define SLACK_MS INT64_C(15000) /* of API servers' clocks, and of the answer with their Date */
#define WATCH_SHORT_MS                                                                             \
	INT64_C(10000) /* one that ended before this is resumed slowly: no hot loop */

static bool is_same(const char *uid, const char *other)
{
	return strcmp(uid, other) == 0;
}

/* All uids have the same size. */
static void set_uid(char dst[K8S_UID_SIZE], const char *uid)
{
	(void)copy_str(dst, K8S_UID_SIZE, uid);
}

/*
 * A Date has whole seconds, so that what it tells of the other clock is up to a second behind,
 * never ahead. What moves by more is a clock that was set.
 */
static void note_date(struct world *w, int64_t date_ms, int64_t now)
{
	int64_t skew = date_ms - now;

	if (!w->skewed || skew > w->skew_ms || skew < w->skew_ms - 2000)
		w->skew_ms = skew;
	w->skewed = true;
}

/* When that was, by the clock that there is now; @unix_ms -1 = nobody tells. */
static int64_t happened_ms(const struct world *w, int64_t unix_ms, int64_t now)
{
	return unix_ms >= 0 && w->skewed ? min_ms(now, unix_ms - w->skew_ms) : now;
}

static void note_answer(struct world *w, const struct answer *r, int64_t now)
{
	unsigned believed = r->ask == ASK_PODS ? FORBIDDEN_BELIEVED : REFUSED_BELIEVED;

	if (r->date_ms >= 0) {
		if (!w->skewed) /* not sooner was that Date written */
			w->started_unix_ms = r->date_ms - (r->is.sent_ms - w->started_ms);
		note_date(w, r->date_ms, now);
	}
	asked_take(&w->asked[r->ask], &r->is, ++w->seq, believed, w->over.trigger, now);
}

/* A sweep that comes upon something young has been overtaken: see fate.h. */
static void note_age(struct world *w, const struct config *cfg, int64_t created_ms)
{
	w->young |= created_ms < 0 || created_ms > cfg->swept_before_ms;
}

/* ---- Who has the name ---- */

/* Behind the read of a Service, our Job still had its name: so no newcomer can have made it. */
static void claim_service(struct world *w, uint64_t sent)
{
	struct service *s = &w->service;

	if (s->known == THERE && sent > w->asked[ASK_SERVICE].told_at) {
		set_uid(s->ours, s->uid);
		s->theirs = false;
	}
}

/* A sight of our Job by a read. What is final stays, whatever an older replica says. */
static void take_job(struct world *w, const struct k8s_job *job, uint64_t sent, int64_t now)
{
	enum job_finished finished = w->job.finished;
	int64_t           finished_ms = w->job.finished_ms;

	if (!job_seen(w))
		w->pending_since_ms = now;
	if (job->ready != w->job.ready || job->active != w->job.active)
		w->pods.news = w->seq;
	w->job = *job;
	w->name = NAME_OURS;
	if (finished) {
		w->job.finished = finished;
		w->job.finished_ms = finished_ms;
	}
	w->ever_ran |= job->ready > 0;
	if (!job->deleting)
		w->deleting_ms = 0;
	else if (!w->deleting_ms)
		w->deleting_ms = now;
	if (w->accepted && !job->deleting) { /* and yet it did not happen: a refusal of some kind */
		w->accepted = false;
		w->asked[ASK_DELETE_JOB].due_ms = now + REFUSED_MIN_MS;
	}
	claim_service(w, sent);
}

static void take_sight(struct world *w, const struct k8s_job *job, uint64_t sent, int64_t now)
{
	if (!job_seen(w) || is_same(w->job.uid, job->uid))
		take_job(w, job, sent, now);
	else {
		w->name = NAME_OTHER;
		w->newcomer = true;
	}
}

static void fold_job(struct world *w, const struct answer *r, int64_t now)
{
	if (r->is.what == K8S_OK) {
		take_sight(w, &r->job, r->is.sent, now);
	} else if (r->is.what == K8S_ABSENT) {
		w->name = NAME_ABSENT;
		w->absent = true;
	}
}

/* A LIST is as good as a GET where it shows the Job; an empty one must be confirmed. */
static void fold_list(struct world *w, const struct answer *r, int64_t now)
{
	if (r->is.what != K8S_OK)
		return;
	(void)copy_str(w->version, sizeof(w->version), r->version); /* same size */
	w->relist = false;
	if (r->found) {
		w->asked[ASK_JOB].told = r->is.sent;
		w->asked[ASK_JOB].told_at = w->seq;
		w->asked[ASK_JOB].told_ms = r->is.sent_ms;
		take_sight(w, &r->job, r->is.sent, now);
	} else if (w->name != NAME_ABSENT) {
		w->news = w->seq;
	}
}

/* ---- The decision ---- */

static enum trigger why_over(const struct world *w, const struct config *cfg)
{
	const struct asked *read = &w->asked[ASK_JOB];

	if (!job_seen(w))
		return w->name == NAME_ABSENT && w->absent &&
				       read->told_ms >= w->started_ms + cfg->missing_timeout_ms
			       ? TRIGGER_MISSING
			       : TRIGGER_NONE;
	if (w->job.finished)
		return w->job.finished == JOB_COMPLETE ? TRIGGER_COMPLETED : TRIGGER_FAILED;
	if (w->deleting_ms || job_is_gone(w))
		return w->acting ? w->acting : TRIGGER_GONE;
	return TRIGGER_NONE;
}

/* A Service that is there when our Job has gone: whose is it? A noted one keeps its uid. */
static void judge_service(struct world *w)
{
	struct service *s = &w->service;
	bool            read = w->asked[ASK_JOB].told > w->asked[ASK_SERVICE].told_at;

	if (w->name == NAME_OTHER)
		s->theirs = true;
	if (s->known != THERE || is_same(s->uid, s->ours) || !read || w->name != NAME_ABSENT ||
	    !w->absent)
		return;
	if (s->ours[0])
		s->theirs = true;
	else
		set_uid(s->ours, s->uid);
}

/* What was refused of a Job that lived on, or not there yet, is asked anew of one that has ended.
 */
static void begin(struct world *w, enum trigger t, int64_t now)
{
	static const enum ask anew[] = { ASK_DELETE_JOB, ASK_SERVICE, ASK_SELF };

	w->over = (struct over){ t, now, happened_ms(w, w->job.finished_ms, now), w->seq };
	w->pods.empty = 0;
	queues_restart(
		&w->queues); /* what was there when a Job seemed to be missing tells nothing */
	for (size_t i = 0; i < ARRAY_SIZE(anew); i++) {
		struct asked *a = &w->asked[anew[i]];
		if (a->refused || (anew[i] == ASK_SERVICE && w->service.absent))
			a->due_ms = a->patience_ms;
	}
}

/* What follows from all that is known by now, and since when. */
static void settle(struct world *w, const struct config *cfg, int64_t now)
{
	bool gone = job_is_gone(w);

	if (gone && !w->gone_ms) {
		w->gone_ms = now;
		w->gone = w->seq;
	} else if (!gone) {
		w->gone_ms = 0;
	}
	enum trigger t = why_over(w, cfg), before = w->over.trigger;
	bool         late = before == TRIGGER_MISSING && t != before; /* it came after all */
	if (!t) {
		w->over = (struct over){ .trigger = TRIGGER_NONE };
	} else if (!before || late) {
		begin(w, t, now);
	}
	if (w->over.trigger)
		judge_service(w);
	else
		w->service.theirs = false;
}

/* ---- Readings ---- */

static bool in_startup_grace(const struct world *w, const struct config *cfg, int64_t date_ms)
{
	const struct k8s_job *j = &w->job;
	int64_t               start_ms = j->started_ms >= 0 ? j->started_ms : j->created_ms;

	if (!cfg->startup_grace_ms)
		return false;
	return start_ms < 0 || date_ms < 0 || date_ms - start_ms < cfg->startup_grace_ms;
}

/* Moves @m. */
static void take_reading(struct world *w, const struct config *cfg, struct pod_metrics *m,
			 int64_t date_ms)
{
	struct idle *i = &w->idle;
	const char  *why = "";

	pod_metrics_fini(&i->metrics);
	i->metrics = *m;
	*m = (struct pod_metrics){ 0 };
	w->ever_ran |= i->metrics.pods > 0;
	const char *target = cfg->target_container;
	bool        lacks = target[0] && !pod_metrics_only(&i->metrics, target);
	i->reading =
		metrics_judge(&i->metrics, cfg->threshold_nanocores, w->job.active, date_ms, &why);
	if (lacks && i->reading != READING_UNKNOWN) {
		i->reading = READING_UNKNOWN;
		why = "TARGET_CONTAINER is not in the metrics of each pod";
		w->pods.news = i->why == why ? w->pods.news : w->seq; /* has it ended? */
	}
	if (in_startup_grace(w, cfg, date_ms)) {
		i->reading = READING_UNKNOWN;
		why = "start-up grace";
	}
	if (i->reading == READING_IDLE)
		i->cpu = i->metrics.nanocores;
	i->why = why;
}

/* A check is over, with a reading, or with none (@m NULL). */
static void count_reading(struct world *w, const struct config *cfg, const struct pod_metrics *m,
			  int64_t sent_ms)
{
	struct idle *i = &w->idle;
	int64_t      late = i->grid_ms ? (sent_ms - i->grid_ms) % cfg->interval_ms : 0;

	i->grid_ms = sent_ms - late; /* points that were missed are left out */
	i->reading_ms = sent_ms;
	i->gathering = 0;
	i->cleared = idle_count_add(&i->count, i->reading, m, i->grid_ms, cfg->interval_ms);
	i->look = w->seq; /* is behind the last reading; world_tick() tells if one is due */
}

static void no_reading(struct world *w, const struct config *cfg, const struct answer *r)
{
	idle_unknown(&w->idle, r->is.what == K8S_REFUSED  ? "no permission to read metrics"
			       : r->is.what == K8S_ABSENT ? "metrics of some pods are missing"
							  : "the metrics API did not answer");
	count_reading(w, cfg, NULL, r->is.sent_ms);
}

static void fold_metrics(struct world *w, const struct config *cfg, struct answer *r)
{
	struct asked *a = &w->asked[ASK_METRICS];

	if (r->is.what != K8S_OK && r->is.what != K8S_REFUSED)
		a->due_ms = a->patience_ms; /* the grid is pace enough */
	if (r->is.what != K8S_OK) {
		no_reading(w, cfg, r);
		return;
	}
	take_reading(w, cfg, &r->metrics, r->date_ms);
	count_reading(w, cfg, &w->idle.metrics, r->is.sent_ms);
}

/* One pod's. When the last one is there, that is a reading like any other, as old as its first. */
static void fold_pod_metrics(struct world *w, const struct config *cfg, struct answer *r)
{
	struct idle          *i = &w->idle;
	const struct k8s_pod *pod = pod_to_gather(w);
	int64_t               sent_ms = w->asked[ASK_PODS].told_ms;

	if (r->is.what != K8S_REFUSED) /* the grid is pace enough */
		w->asked[ASK_POD_METRICS].due_ms = w->asked[ASK_POD_METRICS].patience_ms;
	if (r->is.what != K8S_OK || !pod || pod_metrics_join(&i->gathered, &r->metrics) < 0) {
		no_reading(w, cfg, r);
		return;
	}
	i->date_ms = i->next ? i->date_ms : r->date_ms;
	i->next = (size_t)(pod - w->pods.list.items) + 1;
	if (pod_to_gather(w))
		return;
	take_reading(w, cfg, &i->gathered, i->date_ms);
	count_reading(w, cfg, &i->metrics, sent_ms);
}

/* The pods whose metrics are to be read. Without any, nothing can be read. */
static void start_gathering(struct world *w, const struct config *cfg, const struct answer *r)
{
	pod_metrics_fini(&w->idle.gathered);
	w->idle.next = 0;
	if (!pod_to_gather(w)) {
		idle_unknown(&w->idle, r->is.what == K8S_OK ? "no metrics of the job's pods"
							    : "no permission to read metrics");
		count_reading(w, cfg, NULL, r->is.sent_ms);
	}
}

/* One that is being deleted is replaced, and one that has ended is for the Job's own status. */
static void judge_container(struct world *w, const struct config *cfg, int64_t now)
{
	const struct k8s_pod       *p = only_pod(w, now);
	const struct k8s_container *c = p && p->running && !p->deleting
						? k8s_pod_container(p, cfg->target_container)
						: NULL;

	if (!c || !c->for_good) {
		w->ended.how = JOB_NOT_FINISHED;
		return;
	}
	w->ended = (struct ended){ .how = c->exit_code ? JOB_FAILED : JOB_COMPLETE,
				   .exit_code = c->exit_code,
				   .unix_ms = c->ended_ms,
				   .ms = w->ended.how ? w->ended.ms
						      : happened_ms(w, c->ended_ms, now) };
}

static void fold_pods(struct world *w, const struct config *cfg, struct answer *r, int64_t now)
{
	if (r->is.what != K8S_OK && w->idle.gathering)
		start_gathering(w, cfg, r); /* which ends it */
	if (r->is.what != K8S_OK)
		return;
	k8s_pods_fini(&w->pods.list);
	w->pods.list = r->pods;
	r->pods = (struct k8s_pods){ 0 };
	for (size_t i = 0; i < w->pods.list.count; i++) {
		const struct k8s_pod *p = &w->pods.list.items[i];
		w->ever_ran |= p->ready || p->ran;
		note_age(w, cfg, p->created_ms);
	}
	if ((w->gone_ms && r->is.sent > w->gone) || w->over.trigger == TRIGGER_MISSING)
		w->pods.empty = w->pods.list.count ? 0 : w->pods.empty ? w->pods.empty : w->seq;
	if (w->idle.gathering && r->is.sent >= w->idle.gathering)
		start_gathering(w, cfg, r);
	if (!w->over.trigger)
		judge_container(w, cfg, now);
	bool        rests_on_it = w->idle.look && trigger_due(w, cfg, now) == TRIGGER_IDLE;
	const char *why = rests_on_it ? pods_contradict(w, cfg, now) : NULL;
	if (why) {
		idle_forget(&w->idle);
		idle_unknown(&w->idle, why);
		w->idle.cleared = why;
	}
}

/* ---- Deleting ---- */

/* @open: what became of an earlier DELETE is not known. */
static void fold_delete_job(struct world *w, const struct answer *r, bool open, int64_t now)
{
	w->idle.look = w->seq; /* each DELETE rests on a look of its own */
	switch (r->is.what) {
	case K8S_OK:
		w->accepted = true;
		w->event_due = true;
		w->deleting_ms = w->deleting_ms ? w->deleting_ms : now;
		claim_service(w, r->is.sent);
		break;
	case K8S_ABSENT:
		w->name = NAME_ABSENT;
		w->absent = true;
		w->acting = open ? w->acting : TRIGGER_NONE;
		break;
	case K8S_REFUSED:
		if (w->asked[ASK_DELETE_JOB].refused < REFUSED_BELIEVED)
			break;
		w->refusal_due |= w->asked[ASK_DELETE_JOB].refused == REFUSED_BELIEVED;
		w->acting = TRIGGER_NONE;
		idle_forget(&w->idle);
		break;
	case K8S_CONFLICT:
		w->acting = open ? w->acting : TRIGGER_NONE;
		w->doubt = w->news = w->seq;
		break;
	case K8S_EXPIRED:
	case K8S_UNAUTHORIZED:
	case K8S_UNREACHABLE:
	case K8S_TROUBLE: w->doubt = w->news = w->seq; break;
	}
}

static void fold_delete_pod(struct world *w, const struct answer *r, int64_t now)
{
	struct k8s_pods      *list = &w->pods.list;
	const struct k8s_pod *pod = staying_pod(w);

	if (r->is.what != K8S_OK && r->is.what != K8S_ABSENT) {
		if (pod) /* a conflict, too: the list tells if it is another's by now */
			set_uid(w->pods.kept, pod->uid);
		return;
	}
	for (size_t i = 0; i < list->count; i++)
		list->items[i].deleting |= &list->items[i] == pod;
	if (!staying_pod(w)) /* those that stay nevertheless: once more, then */
		w->pods.act_ms = now + 20000;
}

static void fold_service(struct world *w, const struct config *cfg, const struct answer *r,
			 int64_t now)
{
	struct service *s = &w->service;

	if (r->is.what == K8S_OK) {
		note_age(w, cfg, r->service.created_ms);
		s->known = THERE;
		s->absent = 0;
		set_uid(s->uid, r->service.uid);
		s->deleting = r->service.deleting;
		if (r->service.owned) { /* it says itself whose it is */
			set_uid(s->ours, s->uid);
			set_uid(s->adopted, s->uid);
		}
	} else if (r->is.what == K8S_ABSENT) {
		s->known = ABSENT;
		s->deleting = false;
		if (!w->over.trigger) { /* it may come later */
			w->asked[ASK_SERVICE].failed = s->absent++;
			asked_later(&w->asked[ASK_SERVICE], r->is.rnd, now);
		}
	}
}

static void fold_delete_service(struct world *w, const struct answer *r)
{
	struct service *s = &w->service;

	if (r->is.what == K8S_OK) {
		s->deleted = true;
		s->known = r->kept ? THERE : ABSENT;
		s->deleting = r->kept;
		set_uid(s->uid, s->ours);
	} else if (r->is.what == K8S_ABSENT) {
		s->known = ABSENT;
	} else {
		s->doubt = w->seq; /* another one has the name, or the collector took it, or who
				      knows */
	}
}

static void fold_adopt(struct world *w, const struct answer *r, int64_t now)
{
	if (r->is.what == K8S_OK && r->service.owned && is_same(r->service.uid, w->service.uid)) {
		set_uid(w->service.adopted, r->service.uid);
		return;
	}
	w->service.known = UNKNOWN; /* it may have been created anew: 422 */
	if (r->is.what == K8S_OK || r->is.what == K8S_ABSENT) /* not done: a refusal of some kind */
		w->asked[ASK_ADOPT].due_ms = now + REFUSED_MIN_MS;
}

/* Read late, one that was created since we started is a newer cleaner's. */
static void fold_self(struct world *w, const struct config *cfg, const struct answer *r)
{
	if (r->is.what == K8S_OK) {
		note_age(w, cfg, r->job.created_ms);
		set_uid(w->self_uid, r->job.uid);
		w->self_theirs = w->over.trigger && w->skewed &&
				 r->job.created_ms > w->started_unix_ms + SLACK_MS;
	}
	if (r->is.what == K8S_OK || r->is.what == K8S_ABSENT)
		w->self = r->is.what == K8S_OK ? THERE : ABSENT;
}

static void fold_delete_self(struct world *w, const struct answer *r)
{
	w->self_deleted |= r->is.what == K8S_OK;
	w->self_theirs |= r->is.what == K8S_CONFLICT;
	if (r->is.what == K8S_ABSENT)
		w->self = ABSENT;
}

/* ---- The queues ---- */

/* Whether the broker's answer is about the queue at hand, about a page, or about another Job. */
static void fold_broker(struct world *w, const struct config *cfg, const struct answer *r,
			int64_t now)
{
	struct queues *q = &w->queues;

	if (r->ask == ASK_QUEUES)
		queues_fold_list(q, cfg, &r->is, r->page, w->seq, now);
	else if (r->ask == ASK_NEIGHBOUR)
		queues_fold_neighbour(q, cfg, &r->is);
	else
		queues_fold_delete(q, cfg, &r->is, now);
	struct asked *del = &w->asked[ASK_DELETE_QUEUE], *list = &w->asked[ASK_QUEUES];
	if (r->is.what == K8S_REFUSED || r->is.what == K8S_CONFLICT)
		del->due_ms = del->patience_ms; /* of the next one this says nothing */
	if (q->step == QUEUES_WALKED && q->refused.count)
		list->due_ms = max_ms(list->patience_ms, now + backoff_ms(q->walks, r->is.rnd));
}

void world_fold(struct world *w, const struct config *cfg, struct answer *r, int64_t now)
{
	bool open = w->asked[r->ask].failed > 0;

	world_forgive(w, now);
	note_answer(w, r, now);
	switch (r->ask) {
	case ASK_SELF: fold_self(w, cfg, r); break;
	case ASK_LIST: fold_list(w, r, now); break;
	case ASK_WATCH: break; /* world_watch_ended() */
	case ASK_JOB: fold_job(w, r, now); break;
	case ASK_SERVICE: fold_service(w, cfg, r, now); break;
	case ASK_ADOPT: fold_adopt(w, r, now); break;
	case ASK_METRICS: fold_metrics(w, cfg, r); break;
	case ASK_POD_METRICS: fold_pod_metrics(w, cfg, r); break;
	case ASK_PODS: fold_pods(w, cfg, r, now); break;
	case ASK_DELETE_JOB: fold_delete_job(w, r, open, now); break;
	case ASK_DELETE_POD: fold_delete_pod(w, r, now); break;
	case ASK_DELETE_SERVICE: fold_delete_service(w, r); break;
	case ASK_EVENT: /* one try, in the order of report_event_new() */
		if (w->event_due)
			w->event_due = false;
		else if (w->refusal_due)
			w->refusal_due = false;
		else
			w->waiting.event_due = false;
		break;
	case ASK_QUEUES:
	case ASK_NEIGHBOUR:
	case ASK_DELETE_QUEUE: fold_broker(w, cfg, r, now); break;
	case ASK_DELETE_SELF: fold_delete_self(w, r); break;
	}
	settle(w, cfg, now);
}

/* What may be over, or have changed back, by the time of the read. */
static void heed_event(struct world *w, const struct k8s_job *job)
{
	bool held = job->has_hold && !is_same(job->hold, w->job.hold);

	if (job->finished && !w->job.finished)
		w->finish = w->seq;
	if (job->deleting)
		w->doubt = w->seq; /* somebody else's deletion is theirs */
	if (held || job->suspended)
		idle_forget(&w->idle);
}

/* An event only says that it is time to look: reading is the truth. */
void world_fold_event(struct world *w, const struct watch_event *ev)
{
	w->seq++;
	if (ev->type == WATCH_ERROR)
		return;
	(void)copy_str(w->version, sizeof(w->version), ev->version); /* same size */
	if (ev->type == WATCH_BOOKMARK)
		return;
	w->news = w->seq;
	if (is_same(ev->job.uid, w->job.uid))
		heed_event(w, &ev->job);
}

void world_watch_ended(struct world *w, const struct answer *r, int64_t now)
{
	struct asked *a = &w->asked[ASK_WATCH];
	bool          brief = now - w->watch_ms < WATCH_SHORT_MS;
	unsigned      failed = brief ? a->failed : 0;

	w->watching = false;
	note_answer(w, r, now);
	if (r->is.what != K8S_REFUSED) {
		a->failed = failed;
		a->due_ms = a->patience_ms;
	}
	w->relist = r->is.what == K8S_OK && !brief;
	if (!w->relist) {
		w->version[0] = '\0';
		if (r->is.what != K8S_REFUSED)
			asked_later(a, r->is.rnd, now);
	}
}
