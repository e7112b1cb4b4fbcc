#include "plan.h"

#include <string.h>

#include "look.h"
#include "waits.h"

#define LOOK_MS        INT64_C(2000)  /* no more may an Event take, or a look that may fail */
#define SIGNAL_READ_MS INT64_C(1000)  /* the one read behind a signal */
#define NEWS_MS        INT64_C(500)   /* events come in bursts: no more than two reads a second */
#define REREAD_MS      INT64_C(60000) /* the Job is read again at least this often */
#define REREAD_CHECKS  6              /* ... and with every sixth check */
#define RECENT_MS      INT64_C(2000)  /* adoption follows a read of the Job as closely, ... */
#define POLL_MIN_MS    INT64_C(100)
#define POLL_MAX_MS    INT64_C(2000)
#define PODS_GRACE_MS  INT64_C(20000) /* then the controllers are down, and we delete the pods */

/* ---- The rules: each says when its request is due, NEVER if it is not wanted ---- */

typedef int64_t due_fn(const struct world *w, const struct config *cfg, int64_t now);

#define UNUSED __attribute__((unused))
#define RULE(due)                                                                                  \
	static int64_t due(const struct world *w, UNUSED const struct config *cfg,                 \
			   UNUSED int64_t now)

/* A poll that slows down: soon at first, then ever as long as it has lasted. */
static int64_t poll_due_ms(const struct world *w, enum ask a, int64_t since_ms)
{
	int64_t last = w->asked[a].sent_ms;

	if (last < since_ms)
		return since_ms;
	return last + min_ms(max_ms(last - since_ms, POLL_MIN_MS), POLL_MAX_MS);
}

RULE(read_behind_signal)
{
	bool decided = w->over.trigger && now >= job_kept_until_ms(w, cfg);

	return w->signals && !decided && !signal_is_answered(w) ? 0 : NEVER;
}

RULE(read_self)
{
	bool when = !w->over.trigger || (self_is_next(w, cfg, now) && !self_fate(w, cfg));

	return cfg->delete_self && w->self == UNKNOWN && when ? 0 : NEVER;
}

/* The Job is to go for good. Somebody else's DELETE is left alone, unless it would orphan pods. */
static bool job_is_to_go(const struct world *w)
{
	if (!w->ripe || w->name != NAME_OURS || w->accepted || w->doubt > w->asked[ASK_JOB].told)
		return false;
	return !w->deleting_ms || (w->job.orphaning && !w->job.foreground);
}

/* One try, for its owner may have created it anew: it is ours if the Job is, behind the read. */
RULE(read_service_first)
{
	bool on_its_way = w->ripe && w->deleting_ms && !w->accepted && w->name == NAME_OURS;

	return (job_is_to_go(w) || on_its_way) && w->asked[ASK_SERVICE].sent < w->ripe ? 0 : NEVER;
}

RULE(delete_ended_job)
{
	return job_is_to_go(w) ? 0 : NEVER;
}

/* ---- The last look ---- */

/* Not before the DELETE may be tried again. */
static int64_t look_due_ms(const struct world *w)
{
	return w->idle.look ? w->asked[ASK_DELETE_JOB].due_ms : NEVER;
}

RULE(look_at_service)
{
	return w->asked[ASK_SERVICE].sent < w->idle.look ? look_due_ms(w) : NEVER;
}

RULE(look_at_pods)
{
	return look_has_pods(w, cfg, now) ? NEVER : look_due_ms(w);
}

RULE(look_at_job)
{
	return look_has_pods(w, cfg, now) && !look_has_job(w, cfg, now) ? look_due_ms(w) : NEVER;
}

RULE(delete_live_job)
{
	return look_is_done(w, cfg, now) ? look_due_ms(w) : NEVER;
}

/* ---- The Job, read again ---- */

/* A finish that an event tells is acted on at once, behind the read that shows it. */
RULE(read_on_finish)
{
	return w->finish > w->asked[ASK_JOB].told && w->name != NAME_OTHER ? 0 : NEVER;
}

RULE(read_on_news)
{
	const struct asked *a = &w->asked[ASK_JOB];

	if (w->news <= a->told || w->name == NAME_OTHER)
		return NEVER;
	return a->sent_ms ? a->sent_ms + NEWS_MS : 0;
}

RULE(read_until_gone)
{
	if (!w->deleting_ms || w->gone_ms)
		return NEVER;
	return poll_due_ms(w, ASK_JOB, w->deleting_ms);
}

/* Of a Job that was never seen: it may have come since. */
static bool name_is_old(const struct world *w)
{
	return !job_seen(w) && w->asked[ASK_JOB].told < w->asked[ASK_SERVICE].told_at;
}

/* What could be a newcomer's by now is not touched before the name was read behind it. */
RULE(read_whose)
{
	uint64_t              read = w->asked[ASK_JOB].told;
	const struct service *s = &w->service;
	bool                  service = s->known == THERE && strcmp(s->uid, s->ours) != 0 &&
		       read < w->asked[ASK_SERVICE].told_at;
	bool pods = !job_seen(w) && staying_pod(w) && read < w->asked[ASK_PODS].told_at;
	bool queue = w->queues.step == QUEUES_NEIGHBOUR || w->queues.step == QUEUES_DELETE;
	bool late = name_is_old(w) && self_is_next(w, cfg, now);

	if (!w->over.trigger || w->name == NAME_OTHER)
		return NEVER;
	if (service || pods || late)
		return 0;
	return queue ? queues_are_told_until_ms(w) : NEVER;
}

/* ---- What follows the Job: its pods, its Service, its queues ---- */

/* Once at least, whatever was answered while the Job lived. */
RULE(list_pods_first)
{
	return job_has_ended(w) && w->asked[ASK_PODS].sent < job_ended_at(w) ? 0 : NEVER;
}

/* A pod that stays is listed until it goes; one that terminates, while it may declare a queue. */
RULE(list_pods)
{
	bool may_declare = cfg->rabbitmq_url[0] && !w->pods.empty && w->name != NAME_OTHER &&
			   now < job_ended_ms(w) + LAST_POD_MS;

	if (!job_has_ended(w)) /* the Job is kept by finalizers; its pods may run on */
		return w->deleting_ms ? max_ms(w->deleting_ms + PODS_GRACE_MS,
					       poll_due_ms(w, ASK_PODS, w->deleting_ms))
				      : NEVER;
	if (pods_fate(w) == FATE_OFF || (pods_fate(w) && !may_declare))
		return NEVER;
	return pods_are_known(w) ? poll_due_ms(w, ASK_PODS, job_ended_ms(w)) : 0;
}

/* Pods of a Job that was never seen are found by its name: they go if nobody has that by now. */
RULE(delete_pod)
{
	int64_t since = w->gone_ms ? w->gone_ms : w->deleting_ms ? w->deleting_ms : w->over.ms;

	if (!w->over.trigger || !staying_pod(w) || !(w->deleting_ms || job_has_ended(w)))
		return NEVER;
	if (!job_seen(w) &&
	    (w->name != NAME_ABSENT || w->asked[ASK_JOB].told < w->asked[ASK_PODS].told_at))
		return NEVER;
	if (job_seen(w) && w->asked[ASK_PODS].told < w->over.seq)
		return NEVER; /* listed for the last look */
	return max_ms(w->pods.act_ms, since + min_ms(PODS_GRACE_MS, cfg->teardown_timeout_ms / 2));
}

/* When Service and queues may go: nothing of a Job does while it lives on. */
static int64_t rest_due_ms(const struct world *w, const struct config *cfg)
{
	if (!w->over.trigger || w->name == NAME_OTHER)
		return NEVER;
	if (job_has_ended(w))
		return pods_fate(w) || w->asked[ASK_PODS].refused
			       ? 0
			       : held_up_until_ms(w, cfg, job_ended_ms(w));
	if (w->deleting_ms)
		return held_up_until_ms(w, cfg, w->deleting_ms);
	return job_kept_until_ms(w, cfg) || is_refused(w, ASK_DELETE_JOB)
		       ? w->over.ms
		       : held_up_until_ms(w, cfg, w->over.ms);
}

RULE(read_service)
{
	const struct service *s = &w->service;
	const struct asked   *a = &w->asked[ASK_SERVICE];
	int64_t               due = rest_due_ms(w, cfg);

	if (due == NEVER || s->theirs)
		return NEVER;
	if (s->deleting)
		return max_ms(due, poll_due_ms(w, ASK_SERVICE, w->over.ms));
	bool known = s->ours[0] && s->known != ABSENT && a->told >= s->doubt;
	bool absent = service_fate(w) != FATE_NONE;
	bool other = s->known == THERE && a->told > job_ended_at(w) && a->told >= s->doubt;
	return known || absent || other ? NEVER : due;
}

RULE(delete_service)
{
	return service_to_delete(w) ? rest_due_ms(w, cfg) : NEVER;
}

/* Whether the broker is to be asked for anything, and since when. */
static int64_t queues_due_ms(const struct world *w, const struct config *cfg, int64_t now)
{
	return queues_fate(w, cfg, now) == FATE_NONE && now < teardown_deadline_ms(w, cfg)
		       ? rest_due_ms(w, cfg)
		       : NEVER;
}

/* A walk that is over is repeated for what stays, and behind the last pod. */
RULE(list_queues)
{
	const struct queues *q = &w->queues;
	int64_t              due = queues_due_ms(w, cfg, now);

	if (due == NEVER || q->step == QUEUES_LIST)
		return due;
	if (q->step != QUEUES_WALKED)
		return NEVER;
	if (q->refused.count || w->pods.empty || pods_fate(w) == FATE_OFF)
		return due;
	return job_has_ended(w) ? job_ended_ms(w) + LAST_POD_MS : NEVER;
}

static int64_t queue_due_ms(const struct world *w, const struct config *cfg, int64_t now,
			    enum queues_step step)
{
	bool told = w->queues.step == step && now < queues_are_told_until_ms(w);

	return told ? queues_due_ms(w, cfg, now) : NEVER;
}

RULE(ask_neighbour)
{
	return queue_due_ms(w, cfg, now, QUEUES_NEIGHBOUR);
}

RULE(delete_queue)
{
	return queue_due_ms(w, cfg, now, QUEUES_DELETE);
}

RULE(tell_event)
{
	return w->event_due || w->refusal_due || w->waiting.event_due ? 0 : NEVER;
}

/* Our own Job is the lock of a slot, which has one Service: that is not there, as of late. */
static bool slot_is_free(const struct world *w, int64_t now)
{
	int64_t read = max_ms(w->asked[ASK_SERVICE].told_ms, w->asked[ASK_DELETE_SERVICE].told_ms);

	return w->service.theirs || now - read < RECENT_MS;
}

RULE(read_service_last)
{
	bool next = self_is_next(w, cfg, now) && self_fate(w, cfg) == FATE_NONE;

	if (!next || w->self != THERE || name_is_old(w) || slot_is_free(w, now))
		return NEVER;
	return w->asked[ASK_DELETE_SELF].due_ms;
}

RULE(delete_self)
{
	bool next = self_is_next(w, cfg, now) && self_fate(w, cfg) == FATE_NONE;

	return next && w->self == THERE && !name_is_old(w) && slot_is_free(w, now) ? 0 : NEVER;
}

/* ---- Watching ---- */

static bool is_watched(const struct world *w, const struct config *cfg)
{
	return !cfg->swept_before_ms && !w->gone_ms && !w->accepted &&
	       w->over.trigger != TRIGGER_MISSING;
}

RULE(open_watch)
{
	return is_watched(w, cfg) && !w->watching && w->version[0] ? 0 : NEVER;
}

RULE(list_job)
{
	if (!is_watched(w, cfg) || (w->version[0] && !w->relist))
		return NEVER;
	return w->asked[ASK_WATCH].due_ms;
}

/* The point of the checks' grid that @ms lies on, or behind. */
static int64_t grid_floor_ms(const struct world *w, const struct config *cfg, int64_t ms)
{
	int64_t rest = w->idle.grid_ms ? (ms - w->idle.grid_ms) % cfg->interval_ms : 0;

	return ms - (rest < 0 ? rest + cfg->interval_ms : rest);
}

/* On the grid, too: one wake-up for both. Without a watch at each point. */
RULE(read_again)
{
	int64_t last = w->asked[ASK_JOB].told_ms;
	int64_t interval = cfg->interval_ms;
	int64_t period = w->watching ? min_ms(REREAD_MS, REREAD_CHECKS * interval)
				     : min_ms(REREAD_MS, interval);
	int64_t missing = w->started_ms + cfg->missing_timeout_ms;

	if (w->deleting_ms && !w->gone_ms)
		return NEVER; /* it is polled */
	if (!is_watched(w, cfg))
		period = REREAD_MS;
	if (!last)
		return 0;
	int64_t due = grid_floor_ms(w, cfg, last + period);
	if (due <= last)
		due = last + period; /* at least once a minute, grid or not */
	return !job_seen(w) && last < missing ? min_ms(due, missing) : due;
}

static bool service_is_noted(const struct world *w)
{
	return w->service.known == THERE && strcmp(w->service.uid, w->service.ours) == 0;
}

RULE(note_service)
{
	return job_is_live(w) && w->service.known != THERE ? 0 : NEVER;
}

static bool adoption_is_wanted(const struct world *w, const struct config *cfg)
{
	const struct service *s = &w->service;

	return cfg->adopt_service && !cfg->dry_run && job_is_live(w) && service_is_noted(w) &&
	       !s->deleting && strcmp(s->adopted, s->uid) != 0;
}

/* The uid of an owner that is gone would cost the Service its life: right behind a read of it. */
static bool adoption_is_safe(const struct world *w, int64_t now)
{
	const struct asked *read = &w->asked[ASK_JOB];

	return read->told > w->asked[ASK_SERVICE].told_at &&
	       read->told > w->asked[ASK_ADOPT].sent && now - read->told_ms < RECENT_MS &&
	       w->news <= read->told;
}

RULE(read_for_service)
{
	if (!job_is_live(w) || w->service.known != THERE)
		return NEVER;
	if (!service_is_noted(w))
		return w->asked[ASK_JOB].told < w->asked[ASK_SERVICE].told_at ? 0 : NEVER;
	return adoption_is_wanted(w, cfg) && !adoption_is_safe(w, now) ? w->asked[ASK_ADOPT].due_ms
								       : NEVER;
}

RULE(adopt)
{
	return adoption_is_wanted(w, cfg) && adoption_is_safe(w, now) ? 0 : NEVER;
}

/* On the grid; at once, where what rests on the last reading waits for a fresh one. */
static int64_t reading_due_ms(const struct world *w, const struct config *cfg, int64_t now)
{
	int64_t due = check_due_ms(w, cfg);

	if (due == NEVER || job_is_on_hold(w, now))
		return NEVER;
	return look_wants_reading(w, cfg, now) ? 0 : due;
}

RULE(check_cpu)
{
	return reading_due_ms(w, cfg, now); /* where they are gathered, it may not be asked now */
}

RULE(list_pods_to_check)
{
	bool listed = w->idle.gathering && w->asked[ASK_PODS].told >= w->idle.gathering;

	if (!metrics_are_gathered(w, now) || listed)
		return NEVER;
	return max_ms(reading_due_ms(w, cfg, now), w->asked[ASK_POD_METRICS].due_ms);
}

RULE(check_pod)
{
	return pod_to_gather(w) && job_is_live(w) ? 0 : NEVER;
}

/* Asked once early on: the last look and the teardown are no time to find out. */
RULE(may_list_pods)
{
	if (!job_is_live(w) || !(cfg->check_cpu || cfg->pending_timeout_ms))
		return NEVER;
	return w->asked[ASK_PODS].told || pods_are_forbidden(w) ? NEVER : 0;
}

/* Only servers without status.ready need this: was a pod of the Job ever ready? */
RULE(look_for_ready_pod)
{
	if (pending_due_ms(w, cfg) == NEVER || w->job.ready >= 0)
		return NEVER;
	return w->asked[ASK_PODS].sent_ms + max_ms(cfg->interval_ms, 1000);
}

/* TARGET_CONTAINER may have ended: no watch tells, but the Job's counters and the metrics hint. */
RULE(look_for_ended_container)
{
	int64_t last = w->asked[ASK_PODS].sent_ms;

	if (!cfg->target_container[0] || !job_is_live(w) || w->job.suspended)
		return NEVER;
	return w->pods.news > w->asked[ASK_PODS].told ? last + NEWS_MS : last + REREAD_MS;
}

/* For a line that says why it waits. Nothing is decided by it. */
RULE(look_why_it_waits)
{
	return waits_pods_due_ms(w);
}

enum how {
	WHEN_IT_MAY = 0, /* not before it may be asked again */
	URGENT = 1,      /* what is under way and can be asked again gives way to it */
	AT_ONCE = 2,     /* whenever it may be asked again */
	EVEN_SO = 4,     /* one try, and no time to wait as the server has asked us to */
};

/* In the order in which they are wanted. The words are the contract's. */
static const struct rule {
	const char *words;
	enum ask    ask;
	due_fn     *due;
	unsigned    how;
	int64_t     limit_ms; /* for the whole exchange; 0 = as usual */
} rules[] = {
	{ "a signal: one read of the Job", ASK_JOB, read_behind_signal, URGENT | EVEN_SO,
	  SIGNAL_READ_MS },
	{ "our own uid, before anybody can have replaced us", ASK_SELF, read_self, 0, 0 },
	{ "the Service as it is before its Job goes", ASK_SERVICE, read_service_first,
	  URGENT | AT_ONCE, LOOK_MS },
	{ "an ended Job goes at once, by its uid", ASK_DELETE_JOB, delete_ended_job, URGENT, 0 },
	{ "the last look: the Service", ASK_SERVICE, look_at_service, 0, LOOK_MS },
	{ "the last look: the pods", ASK_PODS, look_at_pods, 0, 0 },
	{ "the last look: the Job", ASK_JOB, look_at_job, 0, 0 },
	{ "an idle or pending Job goes as it was looked at", ASK_DELETE_JOB, delete_live_job, 0,
	  0 },
	{ "an event of its end: the Job is read", ASK_JOB, read_on_finish, URGENT, 0 },
	{ "news of the Job: it is read", ASK_JOB, read_on_news, 0, 0 },
	{ "200 is not gone", ASK_JOB, read_until_gone, 0, 0 },
	{ "whose is it? The Job's name tells", ASK_JOB, read_whose, 0, 0 },
	{ "its pods, behind its end", ASK_PODS, list_pods_first, AT_ONCE, 0 },
	{ "its pods are gone or terminating", ASK_PODS, list_pods, 0, 0 },
	{ "a pod that outlives its Job goes", ASK_DELETE_POD, delete_pod, 0, 0 },
	{ "which Service is there", ASK_SERVICE, read_service, 0, 0 },
	{ "the Service goes when the Job is gone or has ended", ASK_DELETE_SERVICE, delete_service,
	  0, 0 },
	{ "an Event on the Job, best effort", ASK_EVENT, tell_event, AT_ONCE, LOOK_MS },
	{ "the queues, behind the Job", ASK_QUEUES, list_queues, 0, 0 },
	{ "a queue of a Job whose id continues ours stays", ASK_NEIGHBOUR, ask_neighbour, 0, 0 },
	{ "a queue goes", ASK_DELETE_QUEUE, delete_queue, 0, 0 },
	{ "no slot is free while its Service is there", ASK_SERVICE, read_service_last, 0, 0 },
	{ "our own Job is the last", ASK_DELETE_SELF, delete_self, 0, 0 },
	{ "a watch resumes behind the last event", ASK_WATCH, open_watch, 0, 0 },
	{ "where to watch from", ASK_LIST, list_job, 0, 0 },
	{ "the Job is read again at least once a minute", ASK_JOB, read_again, 0, 0 },
	{ "the Service is noted while the Job lives", ASK_SERVICE, note_service, 0, 0 },
	{ "it is ours if the Job lives behind that", ASK_JOB, read_for_service, 0, 0 },
	{ "the Service is adopted, right behind a read of the Job", ASK_ADOPT, adopt, 0, 0 },
	{ "a check on its grid", ASK_METRICS, check_cpu, 0, 0 },
	{ "a check pod by pod, where metrics may not be listed", ASK_PODS, list_pods_to_check, 0,
	  0 },
	{ "... one pod's", ASK_POD_METRICS, check_pod, 0, 0 },
	{ "may the pods be listed", ASK_PODS, may_list_pods, 0, 0 },
	{ "was a pod ever ready", ASK_PODS, look_for_ready_pod, 0, 0 },
	{ "has the container that is judged ended", ASK_PODS, look_for_ended_container, 0, 0 },
	{ "why does it wait", ASK_PODS, look_why_it_waits, 0, 0 },
};

/* ---- The end ---- */

/* Whether a dry run would change something now, for good. */
static bool is_dry_end(const struct world *w, const struct config *cfg, int64_t now)
{
	return cfg->dry_run && (w->over.trigger || delete_live_job(w, cfg, now) <= now);
}

static bool is_end(const struct world *w, const struct config *cfg, int64_t now, enum end *ret)
{
	struct fates f = fates_of(w, cfg, now);

	if (teardown_is_stopped(w, cfg, now))
		*ret = END_SIGNALLED;
	else if (sweep_spares(w, cfg))
		*ret = END_SPARED;
	else if (now >= sweep_deadline_ms(w, cfg))
		*ret = END_LEFT;
	else if (is_dry_end(w, cfg, now))
		*ret = END_DRY_RUN;
	else if (teardown_is_over(w, cfg, now) && !w->event_due)
		*ret = all_is_gone(w, cfg, &f, now) ? END_TORN_DOWN : END_LEFT;
	else
		return false;
	return true;
}

static int64_t later(int64_t wake, int64_t at, int64_t now)
{
	return at > now ? min_ms(wake, at) : wake;
}

/* What time alone will change: look again then. */
static int64_t wake_ms(const struct world *w, const struct config *cfg, int64_t now)
{
	int64_t deadline = teardown_deadline_ms(w, cfg), hold, wake = NEVER;

	wake = later(wake, min_ms(deadline, sweep_deadline_ms(w, cfg)), now);
	if (deadline != NEVER)
		wake = later(wake, deadline + SELF_MS, now);
	wake = later(wake, job_kept_until_ms(w, cfg), now);
	if (!w->over.trigger && job_hold(w, now, &hold) == HOLD_ON)
		wake = later(wake, hold, now);
	if (w->queues.refused.count)
		wake = later(wake, queues_patience_ms(w), now);
	wake = later(wake, whose_patience_ms(w), now);
	if (!w->over.trigger)
		wake = later(wake, waits_due_ms(w), now);
	wake = later(wake, ended_due_ms(w, cfg), now);
	return later(wake, pending_due_ms(w, cfg), now);
}

struct step plan_next(const struct world *w, const struct config *cfg, int64_t now)
{
	struct step s = { .kind = STEP_WAIT, .until_ms = wake_ms(w, cfg, now) };

	if (is_end(w, cfg, now, &s.end)) {
		s.kind = STEP_END;
		return s;
	}
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct rule *r = &rules[i];
		int64_t            due = r->due(w, cfg, now);

		if (due != NEVER && !(r->how & EVEN_SO))
			due = max_ms(due, r->how & AT_ONCE ? w->asked[r->ask].patience_ms
							   : w->asked[r->ask].due_ms);
		if (due <= now) {
			s.kind = STEP_ASK;
			s.ask = r->ask;
			s.urgent = r->how & URGENT;
			s.limit_ms = r->limit_ms;
			s.rule = r->words;
			return s;
		}
		s.until_ms = min_ms(s.until_ms, due);
	}
	return s;
}
