#include "survey.h"

#include <errno.h>

#include "queues.h"

/* What the broker says to the page that is to be listed. K8S_TROUBLE: see *err. */
static enum k8s_answer list(struct app *a, const struct queues *q, struct rabbitmq_page *ret,
			    struct err *err)
{
	const struct config  *cfg = a->cfg;
	const struct pattern *p = &cfg->queues[q->pattern];
	unsigned              number = queues_page(q, cfg);
	char                  words[K8S_WORDS_SIZE];
	struct http_exchange *x = rabbitmq_list(a->http, cfg, p, number, err);

	if (!x || app_answer(a, x) < 0) {
		err_set(err, EINTR, "interrupted");
		return K8S_TROUBLE;
	}
	const struct http_response *r = http_response(x);
	enum rabbitmq_answer        answer = rabbitmq_judge(r, words, sizeof(words));
	bool absent = answer == RABBITMQ_ABSENT && number != 1; /* else there is no such vhost */
	if (answer == RABBITMQ_OK)
		(void)rabbitmq_page_decode(r->body.data, r->body.len, p, cfg->job_id, number, ret,
					   err);
	else if (!absent)
		err_set(err, EIO, "%s (status %ld)%s", words, r->status,
			answer == RABBITMQ_ABSENT
				? ": no such virtual host, or the API has another path"
				: "");
	http_end(a->http, x);
	return err->code ? K8S_TROUBLE : absent ? K8S_ABSENT : K8S_OK;
}

static enum k8s_answer read_neighbour(struct app *a, const char *name, struct err *err)
{
	struct k8s_request q = { .verb = K8S_GET, .resource = K8S_JOBS, .name = name };
	struct k8s_result  r;

	if (app_call(a, &q, &r) < 0)
		err_set(err, EINTR, "interrupted");
	k8s_result_fini(&r);
	return r.answer;
}

int survey_queues(struct app *a, survey_fn *found, void *arg, struct err *err)
{
	static struct rabbitmq_page page;
	static struct queues        q; /* 75 kB */
	char                        job[NAME_SIZE];

	queues_restart(&q);
	while (q.step != QUEUES_WALKED && !err->code) {
		struct asked_answer r = { .what = K8S_REFUSED }; /* each is taken to stay */

		switch (q.step) {
		case QUEUES_LIST:
			r.what = list(a, &q, &page, err);
			queues_fold_list(&q, a->cfg, &r, &page, 0, 0);
			break;
		case QUEUES_NEIGHBOUR:
			queues_neighbour(&q, a->cfg, job, sizeof(job));
			r.what = read_neighbour(a, job, err);
			if (r.what != K8S_ABSENT)
				found(arg, q.pattern, queues_name(&q), job);
			queues_fold_neighbour(&q, a->cfg, &r);
			break;
		case QUEUES_DELETE:
			found(arg, q.pattern, queues_name(&q), NULL);
			queues_fold_delete(&q, a->cfg, &r, 0);
			break;
		case QUEUES_WALKED: break;
		}
	}
	return -err->code;
}
