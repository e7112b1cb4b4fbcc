#include "queues.h"

#include <stdio.h>
#include <string.h>

#include "util.h"

static bool has(const struct rabbitmq_page *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->names[i], name) == 0)
			return true;
	return false;
}

static void add(struct rabbitmq_page *p, const char *name)
{
	if (p->count < ARRAY_SIZE(p->names))
		(void)copy_str(p->names[p->count++], sizeof(p->names[0]), name); /* same size */
}

static void stay(struct queues *q, const char *name)
{
	q->more += q->refused.count == ARRAY_SIZE(q->refused.names);
	add(&q->refused, name);
}

unsigned queues_page(const struct queues *q, const struct config *cfg)
{
	return cfg->queues[q->pattern].prefix || q->doubted ? q->number : 0;
}

const char *queues_name(const struct queues *q)
{
	return q->page.names[q->next];
}

/* Where ours is not made of its id, another one's has the usual name. */
void queues_neighbour(const struct queues *q, const struct config *cfg, char *out, size_t size)
{
	size_t job = strlen(cfg->target_job), id = strlen(cfg->job_id);
	bool   usual = job <= id || strcmp(cfg->target_job + job - id, cfg->job_id) != 0;

	(void)snprintf(out, size, "%.*s%.*s", usual ? -1 : (int)(job - id),
		       usual ? JOB_PREFIX : cfg->target_job, (int)(q->rival.end - q->rival.start),
		       queues_name(q) + q->rival.start);
}

/* The next Job whose it may be, of those that there can be: `grpc-job-X` is none. */
static bool find_rival(struct queues *q, const struct config *cfg)
{
	struct rival *r = &q->rival;
	char          job[NAME_SIZE + RABBITMQ_NAME_SIZE];

	for (; r->pattern < cfg->queue_count; r->pattern++, r->end = 0) {
		const struct pattern *p = &cfg->queues[r->pattern];

		while ((r->end = pattern_rival(p, cfg->job_id, queues_name(q), r->end,
					       &r->start)) != 0) {
			queues_neighbour(q, cfg, job, sizeof(job));
			if (is_rfc1123_name(job, NAME_SIZE - 1))
				return true;
		}
	}
	return false;
}

static void end_walk(struct queues *q)
{
	q->step = QUEUES_WALKED;
	q->walks = q->refused.count ? q->walks + 1 : 0;
}

static void begin_pattern(struct queues *q, size_t pattern)
{
	q->step = QUEUES_LIST;
	q->pattern = pattern;
	q->number = 1;
	q->doubted = false;
}

/* All of the page is dealt with. Where queues went, those behind have moved up: the same again. */
static void end_page(struct queues *q, const struct config *cfg)
{
	q->step = QUEUES_LIST;
	if (!q->went && q->page.last)
		begin_pattern(q, q->pattern + 1);
	else if (!q->went)
		q->number++;
	if (q->pattern >= cfg->queue_count)
		end_walk(q);
	if (q->lists >= QUEUES_MAX_PAGES && q->step == QUEUES_LIST) {
		(void)copy_str(q->why, sizeof(q->why), "more pages than can be"); /* fits */
		q->hopeless = false;
		stay(q, "...");
		end_walk(q);
	}
}

/* What is to be done about the queue at hand, or about the next one that needs something. */
static void look(struct queues *q, const struct config *cfg)
{
	for (; q->next < q->page.count; q->next++, q->rival = (struct rival){ 0 }) {
		const char *name = queues_name(q);

		if (has(&q->before, name) && !has(&q->refused, name)) {
			(void)copy_str(q->why, sizeof(q->why), "it is still there"); /* fits */
			q->hopeless = q->answered = false;
			stay(q, name);
		}
		if (has(&q->refused, name))
			continue;
		q->step = find_rival(q, cfg) ? QUEUES_NEIGHBOUR : QUEUES_DELETE;
		return;
	}
	end_page(q, cfg);
}

static void next(struct queues *q, const struct config *cfg)
{
	q->next++;
	q->rival = (struct rival){ 0 };
	look(q, cfg);
}

void queues_restart(struct queues *q)
{
	begin_pattern(q, 0);
	q->lists = 0;
}

static void take_page(struct queues *q, const struct rabbitmq_page *page, uint64_t sent,
		      uint64_t seq)
{
	if (!q->lists) { /* not sooner: until then the last walk's are still to be named */
		q->refused.count = q->more = q->more_before = 0;
		q->before.count = 0;
		q->hopeless = q->answered = true;
		q->began = sent;
	}
	q->page = *page;
	q->page_at = seq;
	q->lists++;
	q->next = 0;
	q->rival = (struct rival){ 0 };
	if (!q->went)
		q->before.count = 0;
	if (q->went) /* it is the same one */
		q->more = q->more_before;
	q->more_before = q->more;
	q->went = 0;
}

void queues_fold_list(struct queues *q, const struct config *cfg, const struct asked_answer *r,
		      const struct rabbitmq_page *page, uint64_t seq, int64_t now)
{
	static const struct rabbitmq_page none = { .last = true };
	unsigned                          page_asked = queues_page(q, cfg);
	bool                              absent = r->what == K8S_ABSENT;
	bool fewer = page_asked ? page_asked > 1 && (absent || r->what == K8S_CONFLICT) : absent;

	q->since_ms = q->since_ms ? q->since_ms : now;
	q->known |= r->what == K8S_OK;
	if (fewer && !page_asked && !q->known) {
		q->doubted = true; /* no such queue, or no such virtual host? A list tells */
	} else if (r->what == K8S_OK || fewer) {
		take_page(q, r->what == K8S_OK ? page : &none, r->sent, seq);
		look(q, cfg);
	} else if (absent || r->what == K8S_REFUSED) {
		q->final = true; /* no such virtual host; the user may not */
	}
}

/* The queue at hand stays for now: after an answer, or for want of one. */
static void stays(struct queues *q, const struct config *cfg, const char *why,
		  enum k8s_answer answer)
{
	(void)snprintf(q->why, sizeof(q->why), "%s", why);
	q->hopeless &= answer == K8S_REFUSED;
	q->answered &= answer == K8S_REFUSED || answer == K8S_CONFLICT;
	stay(q, queues_name(q));
	next(q, cfg);
}

void queues_fold_neighbour(struct queues *q, const struct config *cfg, const struct asked_answer *r)
{
	if (r->what == K8S_OK) /* it is that Job's */
		next(q, cfg);
	else if (r->what == K8S_ABSENT)
		look(q, cfg);
	else
		stays(q, cfg, "it may be another job's", K8S_TROUBLE);
}

void queues_fold_delete(struct queues *q, const struct config *cfg, const struct asked_answer *r,
			int64_t now)
{
	if (r->what != K8S_OK && r->what != K8S_ABSENT) {
		stays(q, cfg, r->words ? r->words : "", r->what);
		return;
	}
	if (!q->went)
		q->before.count = 0;
	q->went++;
	add(&q->before, queues_name(q));
	if (r->what == K8S_OK) {
		q->deleted++;
		q->since_ms = now;
	}
	next(q, cfg);
}
