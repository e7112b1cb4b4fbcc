/* Which ids of a namespace are leftovers; and the pages that they are read from. */
#include <stdio.h>
#include <stdlib.h>

#include "../leftover.h"
#include "unit.h"

#define BEFORE INT64_C(1795480000000) /* Unix ms: what is younger stays */

/*
 * One thing a word, in the order of a sweep's lists: `job:ID`, `service:ID`, `cleaner:ID`,
 * `pod:ID/UID`, `queue:NAME`. MODs behind a comma: `age=-5` (seconds before
 * BEFORE; default -1), `ended`, `held`, `active`, `deleting`, `unknown` (its age).
 * What is left is told as `ID:job,service ...`, with the number of its pods; `ID/UID` are orphans.
 */
static void add_word(struct leftovers *l, char *word)
{
	static char    name[600];
	char          *id = strchr(word, ':') + 1, *mods = strchr(id, ',');
	char          *uid = strchr(id, '/');
	struct k8s_job job = { .uid = "A", .finished_ms = -1, .ttl_ms = -1 };

	if (mods)
		*mods++ = '\0';
	else
		mods = id + strlen(id);
	if (uid)
		*uid++ = '\0';
	const char *age = strstr(mods, "age=");
	int64_t     created = strstr(mods, "unknown")
				      ? -1
				      : BEFORE + (age ? strtoll(age + 4, NULL, 10) : -1) * 1000;
	job.created_ms = created;
	if (strstr(mods, "ended")) {
		job.finished = JOB_COMPLETE;
		job.finished_ms = created;
	}
	job.has_hold = strstr(mods, "held");
	job.active = strstr(mods, "active") != NULL;
	struct k8s_item item = { .name = name,
				 .label_job = "",
				 .label_uid = uid ? uid : "",
				 .created_ms = created,
				 .deleting = strstr(mods, "deleting"),
				 .job = &job };
	if (strncmp(word, "job", 3) == 0 || strncmp(word, "cleaner", 7) == 0) {
		(void)snprintf(name, sizeof(name), "%s%s",
			       word[0] == 'j' ? JOB_PREFIX : SELF_PREFIX, id);
		leftovers_add_job(l, &item);
	} else if (strncmp(word, "service", 7) == 0) {
		(void)snprintf(name, sizeof(name), SERVICE_PREFIX "%s", id);
		leftovers_add_service(l, &item);
	} else if (strncmp(word, "pod", 3) == 0) {
		(void)snprintf(name, sizeof(name), JOB_PREFIX "%s", id);
		item.label_job = name;
		leftovers_add_pod(l, &item);
	} else {
		leftovers_add_queue(l, id, created);
	}
}

static void tell(const struct leftovers *l, struct buf *b)
{
	static const char *const words[] = { "job",  "ended",  "service", "cleaner", "active",
					     "pods", "queues", "orphans", "shared" };

	for (size_t i = 0; i < l->count; i++) {
		const struct leftover *o = &l->all[i];
		if (!leftover_is_one(l, o))
			continue;
		const char *sep = ":";
		assert_int_equal(buf_printf(b, "%s%s", b->len ? " " : "", o->id), 0);
		if (o->has & HAS_ORPHANS)
			assert_int_equal(buf_printf(b, "/%s", o->uid), 0);
		for (size_t w = 0; w < ARRAY_SIZE(words); w++)
			if (o->has & (1u << w)) {
				assert_int_equal(buf_printf(b, "%s%s", sep, words[w]), 0);
				sep = ",";
			}
		if (o->pods)
			assert_int_equal(buf_printf(b, "(%u)", o->pods), 0);
	}
}

struct row {
	const char *sentence, *there, *left;
};

static void assert_rows(const struct row *rows, size_t n)
{
	static struct config cfg = {
		.swept_before_ms = BEFORE,
		.sweep_max = 50,
		.queues = { { "\1.in", false }, { "grpc-job-\1-", true }, { "x-\1+\1", true } },
		.queue_count = 3
	};
	bool all = true;

	for (size_t i = 0; i < n; i++) {
		struct leftovers l = { .cfg = &cfg };
		struct buf       b = { .max = 100000 };
		char             there[1000], *save = NULL;

		(void)snprintf(there, sizeof(there), "%s", rows[i].there);
		for (char *w = strtok_r(there, " ", &save); w; w = strtok_r(NULL, " ", &save))
			add_word(&l, w);
		tell(&l, &b);
		if (strcmp(b.data ? b.data : "", rows[i].left) != 0) {
			print_error("%s (%s):\n  %s, and not %s\n", rows[i].sentence, rows[i].there,
				    b.data ? b.data : "nothing", rows[i].left);
			all = false;
		}
		buf_fini(&b);
		leftovers_fini(&l);
	}
	assert_true(all);
}

#define ROWS(name, ...)                                                                            \
	static void name(void **state)                                                             \
	{                                                                                          \
		static const struct row rows[] = __VA_ARGS__;                                      \
		(void)state;                                                                       \
		assert_rows(rows, ARRAY_SIZE(rows));                                               \
	}

#define TEN     "a-23456789"
#define FIFTY   TEN TEN TEN TEN TEN
#define LONGEST FIFTY FIFTY FIFTY FIFTY FIFTY "abc"

ROWS(ids,
     {
	     { "nothing", "", "" },
	     { "a job that lives", "job:1-1 cleaner:1-1 service:1-1 pod:1-1/A", "" },
	     { "a Service alone", "service:1-1", "1-1:service" },
	     { "a cleaner alone", "cleaner:1-1", "1-1:cleaner" },
	     { "... at work, perhaps", "cleaner:1-1,active", "1-1:cleaner,active" },
	     { "both", "cleaner:1-1 service:1-1", "1-1:service,cleaner" },
	     { "an ended Job", "job:1-1,ended", "1-1:job,ended" },
	     { "... held", "job:1-1,ended,held", "" },
	     { "... listed twice", "job:1-1,ended job:1-1,ended", "1-1:job,ended" },
	     { "... behind its cleaner", "cleaner:1-1 job:1-1,ended", "1-1:job,ended,cleaner" },
	     { "... and what is with it", "job:1-1,ended cleaner:1-1 service:1-1",
	       "1-1:job,ended,service,cleaner" },
	     { "an id that continues another", "job:1 service:1-1 job:1-1-1", "1-1:service" },
	     { "in order", "cleaner:9 cleaner:10 service:1 service:9-1",
	       "1:service 10:cleaner 9:cleaner 9-1:service" },
	     { "no id", "service: cleaner: job:", "" },
	     { "as long as can be", "service:" LONGEST, LONGEST ":service" },
	     { "... and longer", "service:" LONGEST "d", "" },
	     { "no id that there can be", "service:-1 cleaner:A service:a_b pod:A_b/B job:1-", "" },
     });

ROWS(ages, {
		   { "as old as can be told", "service:1-1,age=0", "1-1:service" },
		   { "a second younger", "service:1-1,age=1", "" },
		   { "nobody knows", "service:1-1,unknown", "" },
		   { "one thing of it is young", "cleaner:1-1 service:1-1,age=1", "" },
		   { "... a pod", "service:1-1 pod:1-1/B,age=1", "" },
		   { "... one that is going", "service:1-1 pod:1-1/B,age=1,deleting", "" },
		   { "... of another id", "cleaner:1-1 service:1-2,age=1", "1-1:cleaner" },
		   { "an ended Job, young", "job:1-1,ended,age=1 service:1-1", "" },
	   });

ROWS(pods,
     {
	     { "of no Job", "pod:1-1/B", "1-1:pods(1)" },
	     { "... beside its Service", "service:1-1 pod:1-1/B", "1-1:service,pods(1)" },
	     { "... going already", "pod:1-1/B,deleting", "" },
	     { "... one of two", "pod:1-1/B pod:1-1/C,deleting", "1-1:pods(1)" },
	     { "of a Job that is there", "job:1-1 pod:1-1/A", "" },
	     { "of one before it", "job:1-1 pod:1-1/A pod:1-1/B pod:1-1/B pod:1-1/C",
	       "1-1/B:orphans(2) 1-1/C:orphans(1)" },
	     { "... young", "job:1-1 pod:1-1/B,age=1", "" },
	     { "... though that Job is young", "job:1-1,age=1 pod:1-1/B", "1-1/B:orphans(1)" },
	     { "... and going", "job:1-1 pod:1-1/B,deleting", "" },
	     { "nobody knows of which", "job:1-1 pod:1-1", "" },
	     { "beside an ended one, both", "job:1-1,ended pod:1-1/B",
	       "1-1:job,ended 1-1/B:orphans(1)" },
     });

ROWS(queues,
     {
	     { "of a job that lives", "job:1-1 queue:grpc-job-1-1-in", "" },
	     { "of nobody", "queue:grpc-job-1-1-in queue:grpc-job-1-1-out", "1-1:queues" },
	     { "... of figures", "queue:grpc-job-12-70788-in", "12-70788:queues" },
	     { "... used lately", "queue:grpc-job-1-1-in queue:grpc-job-1-1-out,age=1", "" },
	     { "... in use", "queue:grpc-job-1-1-in,unknown", "" },
	     { "of nobody, and no id that can be told",
	       "queue:grpc-job-x-in queue:grpc-job-1-in queue:grpc-job-1-1 queue:grpc-job-1-1a-in",
	       "" },
	     { "of an id that something else is left of", "service:x queue:grpc-job-x-in,age=9",
	       "x:service,queues" },
	     { "of the longest such id", "service:1 service:1-1 queue:grpc-job-1-1-in",
	       "1:service 1-1:service,queues" },
	     { "... by whichever pattern",
	       "service:1-1 service:grpc-job-1-1-a queue:grpc-job-1-1-a.in",
	       "1-1:service grpc-job-1-1-a:service,queues" },
	     { "perhaps of a job that lives, by a shorter id", "job:1 queue:grpc-job-1-1-in", "" },
	     { "... and more is left of the longer one", "job:1 service:1-1 queue:grpc-job-1-1-in",
	       "1-1:service,shared" },
	     { "... or of the shorter one", "service:1 job:1-1 queue:grpc-job-1-1-in",
	       "1:service" },
	     { "... by a longer one", "job:1-1-2 queue:grpc-job-1-1-2-in", "" },
	     { "of an ended Job", "job:1-1,ended queue:grpc-job-1-1-in", "1-1:job,ended,queues" },
	     { "by a name: an id of the usual form", "queue:1-1.in", "1-1:queues" },
	     { "... of any form, of which there is more", "service:a-b queue:a-b.in",
	       "a-b:service,queues" },
	     { "... of a job that lives", "job:1-1 queue:1-1.in", "" },
	     { "another name", "queue:1-1.in2 queue:1-1.out queue:a.1-1.in", "" },
	     { "the same id twice", "queue:x-1-1+1-1 queue:x-2-2+2-22", "1-1:queues 2-2:queues" },
	     { "... two", "queue:x-1-1+2-1", "" },
     });

static void limits(void **state)
{
	static const struct {
		unsigned leftovers, others, max;
		bool     too_many;
	} rows[] = {
		{ 50, 60, 50, false }, { 51, 60, 50, true }, { 6, 5, 50, true },
		{ 5, 6, 50, false },   { 10, 0, 50, false }, { 11, 0, 50, true },
		{ 6, 6, 50, false },   { 2, 9, 1, true },    { 0, 0, 1, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config    cfg = { .swept_before_ms = BEFORE, .sweep_max = rows[i].max };
		struct leftovers l = { .cfg = &cfg };
		char             word[40];

		for (unsigned n = 0; n < rows[i].leftovers + rows[i].others; n++) {
			(void)snprintf(word, sizeof(word), "%s:%u-1",
				       n < rows[i].leftovers ? "service" : "job", n);
			add_word(&l, word);
		}
		assert_int_equal(leftovers_count(&l), rows[i].leftovers);
		assert_int_equal(leftovers_are_too_many(&l), rows[i].too_many);
		leftovers_fini(&l);
	}
}

/* ---- Pages ---- */

static void note(void *arg, const struct k8s_item *item)
{
	struct buf *b = arg;

	assert_int_equal(buf_printf(b, "%s %s %s %lld%s%s;", item->name, item->label_job,
				    item->label_uid, (long long)item->created_ms,
				    item->deleting ? " deleting" : "",
				    item->job ? item->job->uid : ""),
			 0);
}

#define META "\"metadata\":{\"resourceVersion\":\"7\"}"
#define POD                                                                                        \
	"{\"metadata\":{\"name\":\"p\",\"creationTimestamp\":\"1970-01-01T00:00:02Z\","            \
	"\"labels\":{\"job-name\":\"j\",\"controller-uid\":\"u\"}}}"
#define JOB_A                                                                                      \
	"{\"metadata\":{\"name\":\"j\",\"uid\":\"A\",\"resourceVersion\":\"1\","                   \
	"\"deletionTimestamp\":\"1970-01-01T00:00:02Z\"}}"

static void pages(void **state)
{
	static const struct {
		const char *kind, *text, *items, *next; /* items NULL: an error */
	} rows[] = {
		{ "Pod", "{\"kind\":\"PodList\"," META ",\"items\":[]}", "", "" },
		{ "Pod", "{\"kind\":\"PodList\"," META ",\"items\":[" POD "," POD "]}",
		  "p j u 2000;p j u 2000;", "" },
		{ "Job", "{\"kind\":\"JobList\"," META ",\"items\":[" JOB_A "]}",
		  "j   -1 deletingA;", "" },
		{ "Pod",
		  "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\",\"continue\":"
		  "\"xyz\","
		  "\"remainingItemCount\":3},\"items\":[]}",
		  "", "xyz" },
		{ "Pod", "{\"kind\":\"PodList\"," META ",\"items\":null}", NULL, "" },
		{ "Pod", "{\"kind\":\"PodList\"," META "}", NULL, "" },
		{ "Pod", "{\"kind\":\"PodList\",\"items\":[]}", NULL, "" },
		{ "Pod", "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[]}", NULL, "" },
		{ "Pod", "{\"kind\":\"JobList\"," META ",\"items\":[]}", NULL, "" },
		{ "Pod", "{\"kind\":\"Status\"," META ",\"items\":[]}", NULL, "" },
		{ "Pod", "{\"kind\":\"PodList\"," META ",\"items\":[{}]}", NULL, "" },
		{ "Pod", "{\"kind\":\"PodList\"," META ",\"items\":[" POD, NULL, "" },
		{ "Pod",
		  "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\",\"continue\":{}},"
		  "\"items\":[]}",
		  NULL, "" },
		{ "Job", "{\"kind\":\"JobList\"," META ",\"items\":[" POD "]}", NULL, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf b = { .max = 10000 };
		char       next[K8S_NEXT_SIZE] = "as it was";
		struct err err = { 0 };
		int r = k8s_page_decode(rows[i].text, strlen(rows[i].text), rows[i].kind, note, &b,
					next, &err);

		print_message("  %s\n", rows[i].text);
		assert_int_equal(r, rows[i].items ? 0 : -EBADMSG);
		assert_string_equal(next, rows[i].items ? rows[i].next : "as it was");
		if (rows[i].items)
			assert_string_equal(b.data ? b.data : "", rows[i].items);
		else
			assert_true(err.msg[0]);
		buf_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids),    cmocka_unit_test(ages),   cmocka_unit_test(pods),
		cmocka_unit_test(queues), cmocka_unit_test(limits), cmocka_unit_test(pages),
	};

	return cmocka_run_group_tests_name("leftover", tests, NULL, NULL);
}
