#include "leftover.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define MANY 10 /* ids: of more, at most half may be leftovers */

/* @p, if there is memory for it. */
static void *sure(void *p)
{
	if (!p) {
		log_error("cannot go on", LS("error", "out of memory"));
		_exit(EXIT_FAILURE);
	}
	return p;
}

void leftovers_fini(struct leftovers *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->all[i].id);
		free(l->all[i].uid);
	}
	free(l->all);
	*l = (struct leftovers){ .cfg = l->cfg };
}

/* ---- The set ---- */

static int compare(const struct leftover *o, const char *id, size_t n, const char *orphans)
{
	int c = strncmp(o->id, id, n);

	if (c == 0)
		c = o->id[n] != '\0';
	return c ? c : strcmp(o->has & HAS_ORPHANS ? o->uid : "", orphans);
}

/* Where it is, or would be. */
static size_t place(const struct leftovers *l, const char *id, size_t n, const char *orphans)
{
	size_t least = 0, most = l->count;

	while (least < most) {
		size_t mid = least + (most - least) / 2;
		if (compare(&l->all[mid], id, n, orphans) < 0)
			least = mid + 1;
		else
			most = mid;
	}
	return least;
}

/* NULL: there is nothing of it. @n letters of @id. */
static struct leftover *find(const struct leftovers *l, const char *id, size_t n)
{
	size_t i = place(l, id, n, "");

	return i < l->count && compare(&l->all[i], id, n, "") == 0 ? &l->all[i] : NULL;
}

/* Room for one more, at @i. */
static struct leftover *insert(struct leftovers *l, size_t i)
{
	l->all = sure(reallocarray(l->all, l->count + 1, sizeof(*l->all)));
	struct leftover *o = &l->all[i];
	memmove(o + 1, o, (l->count++ - i) * sizeof(*o));
	return o;
}

/* @orphans: the uid of the Job that has left them, or "". */
static struct leftover *add(struct leftovers *l, const char *id, size_t n, const char *orphans,
			    int64_t created_ms)
{
	size_t           i = place(l, id, n, orphans);
	bool             there = i < l->count && compare(&l->all[i], id, n, orphans) == 0;
	struct leftover *o = there ? &l->all[i] : insert(l, i);

	if (!there) {
		*o = (struct leftover){ .id = sure(strndup(id, n)), .newest_ms = INT64_MIN };
		if (orphans[0]) {
			o->uid = sure(strdup(orphans));
			o->has = HAS_ORPHANS;
		}
	}
	o->newest_ms = max_ms(o->newest_ms, created_ms < 0 ? NEVER : created_ms);
	return o;
}

/* ---- Names ---- */

/*
 * The id behind @prefix, or NULL: of a name that only looks alike, or that no JOB_ID can have made.
 * @name may be a label's value: it need not be a name.
 */
static const char *id_of(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(name, prefix, n) == 0 && is_rfc1123_name(name + n, NAME_SIZE - 1) ? name + n
											 : NULL;
}

/* ---- What there is ---- */

void leftovers_add_job(void *leftovers, const struct k8s_item *item)
{
	struct leftovers *l = leftovers;
	const char       *id = id_of(item->name, JOB_PREFIX);
	const char       *cleaner = id_of(item->name, SELF_PREFIX);

	if (id) {
		struct leftover *o = add(l, id, strlen(id), "", item->created_ms);
		o->has |= HAS_JOB | (job_is_left(item->job, l->cfg) ? HAS_ENDED_JOB : 0);
		free(o->uid);
		o->uid = sure(strdup(item->job->uid));
	} else if (cleaner) {
		struct leftover *o = add(l, cleaner, strlen(cleaner), "", item->created_ms);
		o->has |= HAS_CLEANER | (item->job->active ? HAS_ACTIVE_CLEANER : 0);
	}
}

void leftovers_add_service(void *leftovers, const struct k8s_item *item)
{
	struct leftovers *l = leftovers;
	const char       *id = id_of(item->name, SERVICE_PREFIX);

	if (id)
		add(l, id, strlen(id), "", item->created_ms)->has |= HAS_SERVICE;
}

/* A pod that is going already is nothing that can be taken; but it may be young. */
void leftovers_add_pod(void *leftovers, const struct k8s_item *item)
{
	struct leftovers *l = leftovers;
	const char       *id = id_of(item->label_job, JOB_PREFIX);
	struct leftover  *o = id ? find(l, id, strlen(id)) : NULL;

	if (!id || (o && o->uid && (!item->label_uid[0] || strcmp(o->uid, item->label_uid) == 0)))
		return; /* that Job's own */
	bool beside = o && (o->has & HAS_JOB);
	if (item->deleting && (!o || beside))
		return;
	o = add(l, id, strlen(id), beside ? item->label_uid : "", item->created_ms);
	if (!item->deleting && !beside)
		o->has |= HAS_PODS;
	o->pods += !item->deleting;
}

/* `<number>-<number>` */
static bool is_usual(const char *id, size_t n)
{
	size_t slot = strspn(id, "0123456789");
	size_t number = id[slot] == '-' ? strspn(id + slot + 1, "0123456789") : 0;

	return slot && number && slot + 1 + number >= n && n > slot + 1 && n < NAME_SIZE;
}

/* What the patterns make of a queue's name. */
struct found_ids {
	struct leftover *owner; /* the longest id of which there is something, */
	const char      *usual; /* and the longest one of the usual form */
	size_t           owner_length, usual_length;
	bool             live; /* there is a Job of one of them */
};

static bool has_live_job(const struct leftover *o)
{
	return o && (o->has & HAS_JOB) && !(o->has & HAS_ENDED_JOB);
}

static void read_by(const struct leftovers *l, const struct pattern *p, const char *name,
		    struct found_ids *r)
{
	size_t start;

	for (size_t end = 0; (end = pattern_rival(p, "", name, end, &start)) != 0;) {
		size_t           n = end - start;
		struct leftover *o = find(l, name + start, n);

		r->live |= has_live_job(o);
		if (o && n > r->owner_length) {
			r->owner = o;
			r->owner_length = n;
		}
		if (n > r->usual_length && is_usual(name + start, n)) {
			r->usual = name + start;
			r->usual_length = n;
		}
	}
}

/*
 * A queue's name has an id in it, but by a prefix no end of the id: it may be several. It is some
 * Job's while there is a Job of any of these; run.h asks only for the longer ones. A queue that
 * nothing else is left of must have an id of the usual form.
 */
void leftovers_add_queue(void *leftovers, const char *name, int64_t used_ms)
{
	struct leftovers *l = leftovers;
	struct found_ids  r = { 0 };

	for (size_t i = 0; i < l->cfg->queue_count; i++)
		read_by(l, &l->cfg->queues[i], name, &r);
	if (has_live_job(r.owner))
		return; /* run.h asks for it */
	if (r.live && r.owner)
		r.owner->has |= HAS_SHARED_QUEUES;
	else if (r.owner && r.owner->has != HAS_QUEUES)
		r.owner->has |= HAS_QUEUES;
	else if (r.usual)
		add(l, r.usual, r.usual_length, "", used_ms)->has = HAS_QUEUES;
}

/* ---- The verdict ---- */

bool leftover_is_one(const struct leftovers *l, const struct leftover *o)
{
	unsigned things = HAS_SERVICE | HAS_CLEANER | HAS_PODS | HAS_QUEUES | HAS_ORPHANS;

	if (o->newest_ms > l->cfg->swept_before_ms)
		return false;
	return o->has & HAS_JOB ? (o->has & HAS_ENDED_JOB) != 0 : (o->has & things) != 0;
}

const char *leftover_why(const struct leftover *o)
{
	return o->has & HAS_ORPHANS ? "pods of a Job that is gone, beside another of its name"
	       : o->has & HAS_JOB   ? "its Job ended long ago"
				    : "its Job does not exist";
}

size_t leftovers_count(const struct leftovers *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->count; i++)
		n += leftover_is_one(l, &l->all[i]);
	return n;
}

bool leftovers_are_too_many(const struct leftovers *l)
{
	size_t n = leftovers_count(l);

	return n > l->cfg->sweep_max || (l->count > MANY && n > l->count / 2);
}
