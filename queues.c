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
	if (p->count < ARRAY_SIZE(p->names)) /* those beyond are not named */
		(void)copy_str(p->names[p->count++], sizeof(p->names[0]), name); /* same size */
}

const char *queues_name(const struct queues *q)
{
	return q->page.names[q->next];
}

/* Where the id that continues ours would end: at the first dash behind @from; NULL = at none. */
static const char *next_dash(const char *name, const char *prefix, size_t from)
{
	size_t start = strlen(prefix);

	while (name[start] == '-')
		start++;
	if (from < start + 1)
		from = start + 1; /* an id has at least a letter */
	return strlen(name) < from ? NULL : strchr(name + from, '-');
}

void queues_neighbour(const struct queues *q, struct naming n, char *out, size_t size)
{
	const char *name = queues_name(q), *dash = next_dash(name, n.prefix, q->asked);
	size_t      start = strlen(n.prefix);

	while (name[start] == '-')
		start++;
	(void)snprintf(out, size, "%s-%.*s", n.job,
		       dash ? (int)(dash - name - (ptrdiff_t)start) : 0, name + start);
}

/* No Job can have such a name: nothing is to be asked. */
static bool is_possible(const struct queues *q, struct naming n)
{
	char name[NAME_SIZE + RABBITMQ_NAME_SIZE];

	queues_neighbour(q, n, name, sizeof(name));
	return is_rfc1123_name(name, NAME_SIZE - 1);
}

static void end_walk(struct queues *q)
{
	q->step = QUEUES_WALKED;
	q->walks = q->refused.count ? q->walks + 1 : 0;
}

/* All of the page is dealt with. Where queues went, those behind have moved up: the same again. */
static void end_page(struct queues *q)
{
	q->step = QUEUES_LIST;
	if (!q->went && q->page.last)
		end_walk(q);
	else if (!q->went)
		q->number++;
	if (!q->went)
		q->before.count = 0;
	if (q->lists >= QUEUES_MAX_PAGES && q->step == QUEUES_LIST) {
		(void)copy_str(q->why, sizeof(q->why), "more pages than can be"); /* fits */
		q->hopeless = false;
		add(&q->refused, "...");
		end_walk(q);
	}
}

/* What is to be done about the queue at hand, or about the next one that needs something. */
static void look(struct queues *q, struct naming n)
{
	for (; q->next < q->page.count; q->next++, q->asked = 0) {
		const char *name = queues_name(q);

		if (has(&q->before, name) && !has(&q->refused, name)) {
			(void)copy_str(q->why, sizeof(q->why), "it is still there"); /* fits */
			q->hopeless = q->answered = false;
			add(&q->refused, name);
		}
		if (has(&q->refused, name))
			continue;
		for (const char *dash; (dash = next_dash(name, n.prefix, q->asked)) != NULL;) {
			q->step = QUEUES_NEIGHBOUR;
			if (is_possible(q, n))
				return;
			q->asked = (size_t)(dash - name) + 1;
		}
		q->step = QUEUES_DELETE;
		return;
	}
	end_page(q);
}

static void next(struct queues *q, struct naming n)
{
	q->next++;
	q->asked = 0;
	look(q, n);
}

void queues_restart(struct queues *q)
{
	q->step = QUEUES_LIST;
	q->number = 1;
	q->lists = 0;
}

static void take_page(struct queues *q, const struct rabbitmq_page *page, uint64_t sent,
		      uint64_t seq)
{
	if (!q->lists) { /* not sooner: until then the last walk's are still to be named */
		q->refused.count = 0;
		q->before.count = 0;
		q->hopeless = q->answered = true;
		q->began = sent;
	}
	q->page = *page;
	q->page_at = seq;
	q->lists++;
	q->next = q->asked = 0;
	if (!q->went)
		q->before.count = 0;
	q->went = 0;
}

void queues_fold_list(struct queues *q, struct naming n, const struct asked_answer *r,
		      const struct rabbitmq_page *page, uint64_t seq, int64_t now)
{
	static const struct rabbitmq_page none = { .last = true };
	bool                              beyond = r->what == K8S_ABSENT || r->what == K8S_CONFLICT;

	q->since_ms = q->since_ms ? q->since_ms : now;
	if (r->what == K8S_OK || (beyond && q->number > 1)) { /* the pages have become fewer */
		take_page(q, r->what == K8S_OK ? page : &none, r->sent, seq);
		look(q, n);
	} else if (r->what == K8S_ABSENT || r->what == K8S_REFUSED) {
		q->final = true; /* no such virtual host; the user may not */
	}
}

/* The queue at hand stays for now: after an answer, or for want of one. */
static void stays(struct queues *q, struct naming n, const char *why, enum k8s_answer answer)
{
	(void)snprintf(q->why, sizeof(q->why), "%s", why);
	q->hopeless &= answer == K8S_REFUSED;
	q->answered &= answer == K8S_REFUSED || answer == K8S_CONFLICT;
	add(&q->refused, queues_name(q));
	next(q, n);
}

void queues_fold_neighbour(struct queues *q, struct naming n, const struct asked_answer *r)
{
	const char *name = queues_name(q), *dash = next_dash(name, n.prefix, q->asked);

	if (r->what == K8S_OK) { /* it is that Job's */
		next(q, n);
	} else if (r->what == K8S_ABSENT) {
		q->asked = dash ? (size_t)(dash - name) + 1 : strlen(name) + 1;
		look(q, n);
	} else {
		stays(q, n, "it may be another job's", K8S_TROUBLE);
	}
}

void queues_fold_delete(struct queues *q, struct naming n, const struct asked_answer *r,
			int64_t now)
{
	if (r->what != K8S_OK && r->what != K8S_ABSENT) {
		stays(q, n, r->words ? r->words : "", r->what);
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
	next(q, n);
}
