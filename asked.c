#include "asked.h"

#include <stdio.h>

static int64_t pause_ms(unsigned refused, unsigned believed, bool hurry)
{
	bool     soon = hurry || refused < believed;
	unsigned doubled = soon ? refused - 1 : refused - believed;
	int64_t  first = soon ? REFUSED_SOON_MS : REFUSED_MIN_MS;
	int64_t  most = soon ? REFUSED_MIN_MS : REFUSED_MAX_MS;

	return doubled < 8 ? min_ms(first << doubled, most) : most;
}

void asked_later(struct asked *a, uint32_t rnd, int64_t now)
{
	a->due_ms = max_ms(a->patience_ms, now + backoff_ms(a->failed++, rnd));
}

static void take_refusal(struct asked *a, const struct asked_answer *r, unsigned believed,
			 bool hurry, int64_t now)
{
	int64_t pause = pause_ms(++a->refused, believed, hurry);

	a->failed = 0;
	a->due_ms = max_ms(a->patience_ms, now + pause + r->rnd % (pause / 8 + 1));
	(void)copy_str(a->words, sizeof(a->words),
		       r->words ? r->words : ""); /* as k8s_judge() cuts */
}

void asked_take(struct asked *a, const struct asked_answer *r, uint64_t seq, unsigned believed,
		bool hurry, int64_t now)
{
	a->sent = r->sent;
	a->sent_ms = r->sent_ms;
	a->status = r->status;
	a->patience_ms =
		r->retry_after_ms ? now + min_ms(r->retry_after_ms, RETRY_AFTER_MAX_MS) : 0;
	if (r->what == K8S_REFUSED) {
		take_refusal(a, r, believed, hurry, now);
	} else if (r->what != K8S_OK && r->what != K8S_ABSENT) {
		asked_later(a, r->rnd, now);
	} else {
		a->told = r->sent;
		a->told_at = seq;
		a->told_ms = r->sent_ms;
		a->due_ms = 0;
		a->failed = a->refused = 0;
	}
}
