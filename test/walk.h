/*
 * walk.h - a walk over the broker's queues, as a row of a table tells it: answers, and what is at
 * hand before each. The names are told without `ours`.
 */
#ifndef WALK_H
#define WALK_H

#include "unit.h"

#include <stdio.h>

#include "../queues.h"

#define JOB    "grpc-job-12"
#define PREFIX JOB "-"

static const char *ours = PREFIX; /* names are told without it */

static struct config cfg = { .job_id = "12",
			     .target_job = JOB,
			     .queues = { { .text = "grpc-job-\1-", .prefix = true } },
			     .queue_count = 1 };

/* What is at hand: `list 1`, `job 70788`, `delete x`, `walked`. */
static inline const char *at_hand(const struct queues *q)
{
	static char text[1000];
	char        name[600];

	switch (q->step) {
	case QUEUES_LIST:
		if (*ours)
			(void)snprintf(text, sizeof(text), "list %u", q->number);
		else
			(void)snprintf(text, sizeof(text), "list %zu/%u", q->pattern,
				       queues_page(q, &cfg));
		break;
	case QUEUES_NEIGHBOUR:
		queues_neighbour(q, &cfg, name, sizeof(name));
		assert_int_equal(strncmp(name, ours, strlen(ours)), 0);
		(void)snprintf(text, sizeof(text), "job %s", name + strlen(ours));
		break;
	case QUEUES_DELETE:
		assert_int_equal(strncmp(queues_name(q), ours, strlen(ours)), 0);
		(void)snprintf(text, sizeof(text), "delete %s", queues_name(q) + strlen(ours));
		break;
	case QUEUES_WALKED:
		(void)snprintf(text, sizeof(text), "walked%s", q->refused.count ? ", stays:" : "");
		for (size_t i = 0; i < q->refused.count; i++) {
			const char *stays = q->refused.names[i];
			bool        is_ours = strncmp(stays, ours, strlen(ours)) == 0;
			size_t      n = strlen(text);
			(void)snprintf(text + n, sizeof(text) - n, " %s",
				       stays + (is_ours ? strlen(ours) : 0));
		}
	}
	return text;
}

/* A page: its names, and `+` if there is another one behind it. */
static inline void take_page(struct queues *q, const char *text, uint64_t seq, int64_t now)
{
	static struct rabbitmq_page page;
	struct asked_answer         r = { .what = K8S_OK, .sent = seq };

	page = (struct rabbitmq_page){ .last = true };
	for (const char *p = text + strspn(text, " "); *p;
	     p += strcspn(p, " "), p += strspn(p, " ")) {
		if (*p == '+')
			page.last = false;
		else
			(void)snprintf(page.names[page.count++], RABBITMQ_NAME_SIZE, "%s%.*s", ours,
				       (int)strcspn(p, " "), p);
	}
	queues_fold_list(q, &cfg, &r, &page, seq + 1, now);
}

/* One answer to what is at hand: `[a b +]` a page, or a word. */
static inline void take_answer(struct queues *q, const char *text, uint64_t seq, int64_t now)
{
	static const struct {
		const char     *word;
		enum k8s_answer what;
		long            status;
	} words[] = {
		{ "ok", K8S_OK, 204 },           { "absent", K8S_ABSENT, 404 },
		{ "in-use", K8S_CONFLICT, 400 }, { "denied", K8S_REFUSED, 403 },
		{ "login", K8S_REFUSED, 401 },   { "trouble", K8S_TROUBLE, 503 },
	};
	struct asked_answer r = { .what = K8S_TROUBLE, .words = text };
	size_t              i = 0;

	while (i < ARRAY_SIZE(words) && strcmp(words[i].word, text) != 0)
		i++;
	if (text[0] == '[') {
		take_page(q, text + 1, seq, now);
		return;
	}
	assert_true(i < ARRAY_SIZE(words));
	r.what = words[i].what;
	r.status = words[i].status;
	if (q->step == QUEUES_LIST)
		queues_fold_list(q, &cfg, &r, NULL, seq + 1, now);
	else if (q->step == QUEUES_NEIGHBOUR)
		queues_fold_neighbour(q, &cfg, &r);
	else
		queues_fold_delete(q, &cfg, &r, now);
}

/* Answers, one behind the other; what was at hand before each, and at the end, is the walk. */
struct row {
	const char *sentence;
	const char *answers[16];
	const char *walk[17];
};

static inline void play(const struct row *row, bool final)
{
	static struct queues q;
	size_t               a = 0;

	print_message("  %s\n", row->sentence);
	q = (struct queues){ 0 };
	queues_restart(&q);
	for (; a < 16 && row->answers[a]; a++) {
		assert_string_equal(at_hand(&q), row->walk[a]);
		take_answer(&q, row->answers[a], 10 * a + 10, 5000);
	}
	assert_string_equal(at_hand(&q), row->walk[a]);
	assert_null(row->walk[a + 1]);
	assert_int_equal(q.final, final);
}

#endif
