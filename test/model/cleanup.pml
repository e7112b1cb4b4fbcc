/*
 * The protocol of cleanup-grpc, for spin: see docs/model.md; run.sh checks it.
 *
 * A step of the cleaner is what one request does at the API server, with its answer, and what the C
 * code makes of it until the next request. The inlines bear the names of the C functions that they
 * stand for. An object is its uid: 1 is the job's own, 2 a newcomer's under the same name, 3 a
 * Service that was created anew while the job lived, 0 is absent.
 *
 *   FAULTS, CRASHES   how many requests fail, how often the cleaner dies
 *   P_...             the promise to be checked, one a run
 *   JOB_ONLY, NO_IDLE, ONLY_IDLE, ONLY_FINISH   a part of the protocol, to keep the runs short
 *   NEWCOMER, ORPHANS, SERVICE_ANEW, LATE_REQUESTS   more that can happen
 *   INHERIT, SERVICE_FIRST, STRICT_QUEUES, DYING_PODS, BUSY_AT_ALL, ANEW_BETWEEN   windows
 *   the others are mutations: how the program must not be
 */
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#define ENOUGH 2 /* MAX_CPU_USAGE_COUNT and MIN_DISTINCT_SAMPLES */

/* ---- The promises. Without a -DP_ an assertion is a step that does nothing ---- */

#ifdef P_IDLE
#define IDLE_OK(e) assert(e)
#else
#define IDLE_OK(e) skip
#endif
#ifdef P_FRESH
#define FRESH_OK(e) assert(e)
#else
#define FRESH_OK(e) skip
#endif
#ifdef BUSY_AT_ALL
#define STRICT_BUSY true
#else
#define STRICT_BUSY false
#endif
#ifdef P_NEWCOMER
#define NEWCOMER_OK(e) assert(e)
#else
#define NEWCOMER_OK(e) skip
#endif
#ifdef P_ORDER
#define ORDER_OK(e) assert(e)
#else
#define ORDER_OK(e) skip
#endif
#ifdef P_ONCE
#define ONCE_OK(e) assert(e)
#else
#define ONCE_OK(e) skip
#endif
#ifdef P_PODS
#define PODS_OK(e) assert(e)
#else
#define PODS_OK(e) skip
#endif
#ifdef REACH /* what must be reachable, else the promises are empty: spin is to find it */
#define REACHED(n, e) assert(!(REACH == n && (e)))
#else
#define REACHED(n, e) skip
#endif

/* ---- The cluster's state ---- */

#define NO_POD      0
#define RUNNING     1
#define TERMINATING 2
#define SUCCEEDED   3

byte job = 1;       /* its uid */
byte rv = 1;        /* its resourceVersion; a newcomer's is 9 */
bit  held, finished, deleting; /* of the Job */
byte pods = RUNNING; /* of Job 1; those of a newcomer are busy, and need no variable */
bit  busy, orphans; /* of these pods */
byte sample;        /* what metrics-server has of them: 0 nothing, 1 idle, 2 active */
#ifdef JOB_ONLY
#define MORE 0
#else
#define MORE 1
#endif
byte svc = MORE, owner_of_svc;
byte q = MORE;      /* the queue: whose it is; the names are the same */
byte self = 1;      /* the cleaner's own Job */
bit  looked;        /* the cleaner has read the Service, and not deleted the Job yet */
bit  exited;        /* its pod ended with status 0: the Job is complete, and has a TTL */

byte faults, crashes, holds, busys;
bit  n_job, n_svc, n_q, n_self; /* the newcomer has made it */
bit  inherits; /* ... or uses the Service that was there */

/* a request whose client gave up, on its way still */
byte late_what, late_uid, late_rv, late_trigger;
#define JOB     1
#define SERVICE 2
#define SELF    3

/* ---- The cleaner's words ---- */

#define AWAITED  0 /* enum target_state */
#define LIVE     1
#define FINISHED 2
#define GONE     3
#define NEW      4

#define T_NONE    0 /* enum trigger */
#define T_IDLE    1
#define T_FINISH  2
#define T_GONE    3
#define T_MISSING 4

#define F_NONE     0 /* enum fate */
#define F_DELETED  1 /* or absent */
#define F_NEWCOMER 2
#define F_DELETING 3
#define F_LEFT     4 /* held up for a minute: later */

#define A_NONE     0 /* enum k8s_answer */
#define A_OK       1
#define A_ABSENT   2
#define A_CONFLICT 3
#define A_LOST     4
#define OURS       5 /* enum sight */
#define OURS_GOING 6 /* ... with a deletionTimestamp */
#define NEWCOMERS  7

chan watch = [1] of { byte, byte, bit }; /* events that have not arrived yet; may never arrive */
bit  watching;

/*
 * What becomes of a request: it is answered; done, but nobody knows; not done; done when nobody
 * waits for it any more. Or the cleaner dies before it. All within an atomic step of the cleaner.
 */
#define FAULT faults < FAULTS -> faults++
#define LOST(request) \
	:: FAULT; request; ans = A_LOST; printf("    ... its answer is lost\n") \
	:: FAULT; ans = A_LOST; printf("  a request is lost\n")
#ifdef LATE_REQUESTS
#define LATE(what, u, v, t) \
	:: late_what == 0 && FAULT; late_what = what; late_uid = u; late_rv = v; \
		late_trigger = t; ans = A_LOST; printf("  a request is late\n")
#else
#define LATE(what, u, v, t)
#endif
#define CRASH :: crashes < CRASHES -> crashes++; printf("  cleaner: dies\n"); goto restart

/* ---- The API server: each of these is one atomic step ---- */

inline emit(state) /* a watch event; a watch that nobody reads is cut off */
{
	if
	:: watching ->
		if
		:: nfull(watch) -> watch ! job, state, held
		:: full(watch)
		fi
	:: !watching
	fi
}

inline job_is_gone()
{
	emit(GONE);
	atomic { job = 0; held = 0; finished = 0; deleting = 0 }
}

inline job_goes() /* at once, or when its finalizers let it */
{
	if
	:: job_is_gone()
	:: deleting = 1; rv++; emit(GONE)
	fi
}

inline api_delete_job(u, v, t, is_late)
{
	printf("  DELETE Job uid=%d rv=%d (is: uid=%d rv=%d)\n", u, v, job, rv);
	if
	:: job == 0 -> ans = A_ABSENT
	:: job != 0 && u != 0 && job != u -> ans = A_CONFLICT; REACHED(3, true)
	:: job != 0 && (u == 0 || job == u) && v != 0 && v != rv ->
		ans = A_CONFLICT; REACHED(4, held)
	:: job != 0 && (u == 0 || job == u) && (v == 0 || v == rv) ->
		NEWCOMER_OK(job == 1);
		IDLE_OK(t != T_IDLE || (!held && !finished && !deleting));
		IDLE_OK(t != T_IDLE || is_late || (g_idle >= ENOUGH && g_last));
		FRESH_OK(t != T_IDLE || is_late || !(busy && (g_stale || STRICT_BUSY)));
		ONCE_OK(t == T_GONE || is_late || !g_sent);
		REACHED(1, t == T_IDLE && !is_late && crashes > 0);
		REACHED(2, is_late && t == T_IDLE);
		g_sent = g_sent || !is_late;
		ans = A_OK;
		if
		:: deleting
		:: !deleting -> job_goes()
		fi
	fi
}

inline api_delete_service(u)
{
	printf("  DELETE Service uid=%d (is: %d)\n", u, svc);
	if
	:: svc == 0 -> ans = A_ABSENT
	:: svc != 0 && u != 0 && svc != u -> 
		ans = A_CONFLICT; REACHED(5, true)
	:: svc != 0 && (u == 0 || svc == u) ->
		NEWCOMER_OK(svc != 2);
		NEWCOMER_OK(!inherits);
		ORDER_OK(job != 1 || deleting || finished);
		svc = 0; owner_of_svc = 0; ans = A_OK
	fi
}

inline api_delete_queue()
{
	printf("  DELETE queue (is: of %d)\n", q);
	ans = A_OK;
	if
	:: q != 0 ->
#ifdef STRICT_QUEUES
		NEWCOMER_OK(q == 1);
#else
		NEWCOMER_OK(q == 1 || g_look);
#endif
		ORDER_OK(job != 1 || deleting || finished);
		q = 0
	:: else
	fi
}

inline api_delete_self(u)
{
	printf("  DELETE own Job uid=%d (is: %d)\n", u, self);
	if
	:: self == 0 -> ans = A_ABSENT
	:: self != 0 && u != 0 && self != u -> ans = A_CONFLICT; REACHED(6, true)
	:: self != 0 && (u == 0 || self == u) ->
		NEWCOMER_OK(self == 1);
		ORDER_OK(job == 2 || (job == 0 && svc == 0 && q == 0));
		PODS_OK(job == 2 || pods == NO_POD || pods == TERMINATING);
		REACHED(8, crashes == CRASHES && faults == FAULTS && holds > 0);
		self = 0; ans = A_OK
	fi
}

/* ---- Garbage collector, TTL controller, the network ---- */

#define RUN_LATE(request) \
	printf("late:"); request; ans = 0; \
	late_what = 0; late_uid = 0; late_rv = 0; late_trigger = 0

active proctype cluster()
{
	byte ans; /* for late requests, made of the cleaner's inlines */
	bit  g_idle, g_last, g_stale, g_sent;

end:
	do
	:: atomic { deleting -> printf("collector: the Job is gone\n"); job_is_gone() }
	:: atomic { (job != 1 || deleting) && !orphans && pods == RUNNING ->
		printf("collector: the pods terminate\n"); pods = TERMINATING; busy = 0 }
	:: atomic { (job != 1 || deleting) && !orphans && pods == SUCCEEDED -> pods = NO_POD }
	:: atomic { pods == TERMINATING -> printf("collector: the pods are gone\n"); pods = NO_POD }
	:: atomic { svc != 0 && owner_of_svc != 0 && job != owner_of_svc ->
		NEWCOMER_OK(svc != 2 && !inherits);
		printf("collector: Service %d goes with Job %d\n", svc, owner_of_svc);
		svc = 0; owner_of_svc = 0 }
	:: atomic { exited && self == 1 -> printf("TTL: the cleaner's Job goes\n"); self = 0 }
	:: atomic { late_what == JOB ->
		RUN_LATE(api_delete_job(late_uid, late_rv, late_trigger, true)) }
	:: atomic { late_what == SERVICE -> RUN_LATE(api_delete_service(late_uid)) }
	:: atomic { late_what == SELF -> RUN_LATE(api_delete_self(late_uid)) }
#ifdef DYING_PODS
	:: atomic { (pods == RUNNING || pods == TERMINATING) && job != 1 && q == 0 && !n_q ->
		printf("a dying pod declares its queue again\n"); n_q = 1; q = 1 }
#endif
	od
}

/* ---- The owner of the job, its users, and who comes after ---- */

active proctype owner()
{
end:
	do
#ifndef NO_IDLE
	:: atomic { pods == RUNNING && !busy && busys < 1 ->
		printf("job: busy\n"); busys++; busy = 1 }
	:: atomic { busy -> printf("job: quiet\n"); busy = 0 }
#endif
#ifndef NO_IDLE
	:: atomic { job == 1 && !deleting && !held && holds < 1 ->
		printf("owner: holds the Job\n"); holds++; held = 1; rv++; emit(LIVE) }
	:: atomic { job == 1 && !deleting && held ->
		printf("owner: holds it no more\n"); held = 0; rv++; emit(LIVE) }
#endif
#ifndef ONLY_IDLE
	:: atomic { job == 1 && !deleting && !finished && pods == RUNNING ->
		printf("job: finishes\n");
		finished = 1; pods = SUCCEEDED; busy = 0; rv++; emit(FINISHED) }
#ifndef ONLY_FINISH
	:: atomic { job == 1 && !deleting -> printf("owner: deletes the Job\n"); job_goes() }
#ifdef ORPHANS
	:: atomic { job == 1 && !deleting && pods == RUNNING ->
		printf("owner: deletes the Job, not its pods\n"); orphans = 1; job_is_gone() }
#endif
#endif
#endif
#ifdef SERVICE_ANEW
#ifdef ANEW_BETWEEN
	:: atomic { job == 1 && svc == 1 && !deleting ->
#else
	:: atomic { job == 1 && svc == 1 && !deleting && !looked ->
#endif
		printf("owner: creates the Service anew (3)\n"); svc = 3; owner_of_svc = 0 }
#endif
#ifdef NEWCOMER
	:: atomic { job == 0 && !n_job -> printf("newcomer: Job 2\n");
		n_job = 1; job = 2; rv = 9; emit(LIVE) }
#ifndef JOB_ONLY
#ifdef SERVICE_FIRST
	:: atomic { job != 1 && !n_svc ->
#else
	:: atomic { job == 2 && !n_svc ->
#endif
		n_svc = 1;
		if
#ifdef INHERIT
		:: svc != 0 -> printf("newcomer: takes over Service %d\n", svc); inherits = 1
#else
		:: svc != 0 -> printf("newcomer: Service 2 in place of %d\n", svc);
			svc = 2; owner_of_svc = 0
#endif
		:: svc == 0 -> printf("newcomer: Service 2\n"); svc = 2; owner_of_svc = 0
		fi }
	:: atomic { job == 2 && !n_q -> printf("newcomer: queue 2\n"); n_q = 1; q = 2 }
	:: atomic { job == 2 && n_svc && !n_self ->
		printf("newcomer: own cleaner\n"); n_self = 1; self = 2 }
#endif
#endif
	od
}

/* ---- The cleaner: what it knows. Each step ends behind a request ---- */

inline saw(u, state, h) /* target_saw(), target_deleted() */
{
	if
	:: ours != 0 && ours != u -> st = NEW
	:: else ->
		ours = u; c_held = h;
		if
		:: st == AWAITED && state == LIVE -> st = LIVE
		:: st <= LIVE && state == FINISHED -> st = FINISHED
		:: st < GONE && state == GONE -> st = GONE
		:: else
		fi
	fi
}

inline saw_what_is_there()
{
	watching = 1;
	if
	:: job == 0 ->
		if
		:: ours != 0 && st < GONE -> st = GONE
		:: ours != 0 && st >= GONE
		:: ours == 0 && !waited -> waited = 1 /* MISSING_JOB_TIMEOUT_SECONDS: */
		:: ours == 0 -> missing = 1           /* over now, or the next time */
		fi
	:: job != 0 && deleting -> saw(job, GONE, held)
	:: job != 0 && !deleting && finished -> saw(job, FINISHED, held)
	:: job != 0 && !deleting && !finished -> saw(job, LIVE, held)
	fi;
	printf("  read: Job=%d held=%d finished=%d deleting=%d rv=%d\n", job, held, finished,
	       deleting, rv)
}

inline hint() /* on_watch_line(): an event arrives before the next answer, or does not */
{
	if
	:: watch ? e_uid, e_state, e_held ->
		printf("  event: Job=%d state=%d held=%d\n", e_uid, e_state, e_held);
		missing = 0;
		saw(e_uid, e_state, e_held);
#ifdef VERSION_OF_THE_EVENT
		look_rv = (look_rv != 0 -> rv : 0);
#endif
		e_uid = 0; e_state = 0; e_held = 0
	:: true
	fi
}

inline observe_read_job()
{
	if
	:: saw_what_is_there(); ok = 1
	:: FAULT; ok = 0; printf("  the read of the Job fails\n")
	CRASH
	fi
}

inline note_self()
{
	if
	:: st == LIVE && !self_asked ->
		if
		:: self_uid = self; self_asked = 1; printf("  read: own Job=%d\n", self)
		:: FAULT; printf("  the read of the own Job fails\n")
		CRASH
		fi
	:: else
	fi
}

inline api_patch_service(u)
{
	if
#ifdef PATCH_WITHOUT_UID
	:: svc != 0 -> owner_of_svc = ours; ans = A_OK
	:: svc == 0 -> ans = A_CONFLICT
#else
	:: svc == u -> owner_of_svc = ours; ans = A_OK
	:: svc != u -> ans = A_CONFLICT
#endif
	fi;
	printf("  PATCH Service uid=%d, owner Job %d: %d\n", u, ours, ans)
}

inline note_service() /* and adopt() */
{
	atomic {
		hint();
		if
		:: st == LIVE && !settled ->
			if
			:: found = svc; printf("  read: Service=%d\n", svc)
			:: FAULT; printf("  the read of the Service fails\n")
			CRASH
			fi;
#ifdef NOTE_UNCONFIRMED
			if
			:: found != 0 && adopts -> noted = found
			:: found != 0 && !adopts -> noted = found; found = 0; settled = 1
			:: found == 0
			fi
#endif
		:: else
		fi
	};
	if
	:: found == 0
	:: found != 0 ->
		atomic {
			hint();
			ok = 0;
			if
			:: st > LIVE
			:: else ->
				observe_read_job();
				ok = ok && st == LIVE;
				if
				:: ok -> noted = found; settled = !adopts
				:: else
				fi
			fi;
			found = 0
		};
		atomic {
			hint();
			if
			:: !ok || st > LIVE || settled
			:: else ->
				if
				:: api_patch_service(noted)
				LOST(api_patch_service(noted))
				CRASH
				fi;
				settled = (ans == A_OK); ans = 0
			fi;
			ok = 0
		}
	fi
}

/* ---- Idleness ---- */

inline forget_count()
{
	count = 0; distinct = 0
}

inline take_reading() /* idle_count_add() */
{
	if
	:: sample == 2 ->
#ifndef ACTIVE_KEEPS_COUNT
		forget_count();
#endif
		idle = 0
	:: sample == 1 ->
		idle = 1;
		if
		:: count < ENOUGH -> count++
		:: else
		fi;
#ifdef ONE_SAMPLE_COUNTS
		distinct = ENOUGH
#else
		if
		:: distinct < ENOUGH && (fresh || distinct == 0) -> distinct++
		:: else
		fi
#endif
	fi;
	/* for the promises, the same in other words */
	if
	:: sample == 2 -> g_idle = 0
	:: sample == 1 && (fresh || g_idle == 0) && g_idle < ENOUGH -> g_idle++
	:: else
	fi;
	g_last = (sample == 1); g_stale = 0; fresh = 0;
	printf("  metrics: sample=%d (1 idle 2 active) count=%d\n", sample, count)
}

inline no_reading()
{
#ifdef UNKNOWN_IS_IDLE
	idle = 1; count = ENOUGH; distinct = ENOUGH;
#else
	idle = 0;
#endif
	g_last = 0; g_stale = 0
}

inline check()
{
	if
	:: st == LIVE && c_held -> no_reading(); forget_count(); idle = 0 /* hold_run() */
	:: st == LIVE && !c_held && ours == 1 ->
		if
		:: pods == RUNNING -> /* metrics-server has taken another sample */
			sample = (busy -> 2 : 1); fresh = 1; old = 0; take_reading()
		:: pods == RUNNING && sample != 0 && !old -> /* not yet */
#ifdef P_LEFT
			old = 1;
#endif
			take_reading()
		:: pods != RUNNING -> no_reading()
		:: FAULT; printf("  the metrics API does not answer\n"); no_reading()
		CRASH
		fi
	:: else /* also: a newcomer, to a cleaner that was started late, is its job, and active */
	fi
}

inline last_look()
{
	atomic {
		hint();
		ok = 0;
		if
		:: st == LIVE && idle && count >= ENOUGH && distinct >= ENOUGH && !c_held ->
			observe_read_job();
			ok = ok && st == LIVE;
			if
			:: ok && c_held -> ok = 0; forget_count()
			:: ok && !c_held -> look_rv = rv
			:: else
			fi
		:: else
		fi
	};
	if
	:: !ok
	:: ok ->
		atomic {
			hint();
			if
			:: pods == RUNNING && st == LIVE -> trigger = T_IDLE /* look_at_idle_pods() */
			:: pods != RUNNING && st == LIVE -> forget_count(); idle = 0
			:: st > LIVE
			:: FAULT; printf("  the read of the pods fails\n")
			CRASH
			fi;
			look_rv = (trigger == T_IDLE -> look_rv : 0);
			ok = 0
		}
	fi
}

/* ---- The teardown ---- */

inline look_at_job()
{
	if
	:: job == 0 -> ans = A_ABSENT
	:: job != 0 && job == ours && !deleting -> ans = OURS
	:: job != 0 && job == ours && deleting -> ans = OURS_GOING
	:: job != 0 && job != ours -> ans = NEWCOMERS
	CRASH
	fi;
	g_look = (job != 2);
	printf("  read: Job=%d deleting=%d rv=%d\n", job, deleting, rv)
}

inline settle_by_reading(look_anew)
{
	look_at_job();
	if
	:: ans == A_ABSENT -> f_job = F_DELETED
	:: ans == NEWCOMERS -> f_job = F_NEWCOMER
	:: ans == OURS_GOING -> f_job = F_DELETING
	:: ans == OURS -> look_again = look_anew
	fi;
	ans = 0
}

#ifdef NO_UID_PRECONDITION
#define UID 0
#else
#define UID ours
#endif
#ifdef RETRY_ON_OLD_LOOK
#define LOOK_ANEW false
#else
#define LOOK_ANEW (trigger == T_IDLE)
#endif

inline send_delete()
{
	do
	:: f_job != F_NONE || look_again -> break
	:: atomic { f_job == F_NONE && !look_again ->
		if
		:: api_delete_job(UID, look_rv, trigger, false)
		LOST(api_delete_job(UID, look_rv, trigger, false))
		LATE(JOB, UID, look_rv, trigger)
		CRASH
		fi;
		if /* take_delete_answer() */
#ifdef ACCEPTED_IS_GONE
		:: ans == A_OK -> f_job = F_DELETED; ans = 0
#else
		:: ans == A_OK -> f_job = F_DELETING; ans = 0;
			noted = (seen != 0 -> seen : noted) /* confirm_service() */
#endif
		:: ans == A_ABSENT -> f_job = F_DELETED; ans = 0
		:: ans == A_CONFLICT
		:: ans == A_LOST -> g_stale = 1
#ifdef RETRY_BLINDLY
			; ans = 0
#endif
		fi
		};
		if
		:: ans == A_NONE
		:: atomic { ans == A_CONFLICT -> settle_by_reading(trigger == T_IDLE) }
		:: atomic { ans == A_LOST -> settle_by_reading(LOOK_ANEW) }
		fi
	od
}

inline await_job_gone(for_ever)
{
	do
	:: f_job != F_DELETING -> break
	:: atomic { f_job == F_DELETING ->
		look_at_job();
		assert(ans != OURS); /* a Job that is being deleted does not come back to life */
		if
		:: ans == A_ABSENT -> f_job = F_DELETED; ans = 0
		:: ans == NEWCOMERS -> f_job = F_NEWCOMER; ans = 0
		:: ans == OURS_GOING && !for_ever -> ans = 0; break /* FINALIZER_MS are over */
		:: ans == OURS_GOING -> ans = 0
		fi }
	od
}

#define STAY (pods == RUNNING || pods == SUCCEEDED)

inline await_pods() /* staying_pods(), are_orphans(), delete_pod() */
{
	f_pods = F_NONE;
	do
	:: f_pods != F_NONE || look_again -> break
	:: atomic { f_pods == F_NONE && !look_again ->
		if
		:: (!STAY || ours == 2) && (job != 2 || ours != 0) -> f_pods = F_DELETED
		:: STAY && ours != 2 -> printf("  read: pods stay\n")
		:: job == 2 && ours == 0 -> printf("  read: pods stay (newcomer's)\n") /* by job-name */
		CRASH
		fi };
		if
		:: atomic { f_pods == F_NONE && ours == 0 ->
			look_at_job();
			look_again = (ans == NEWCOMERS); ans = 0 }
		:: f_pods != F_NONE || ours != 0
		fi;
		if
		:: f_pods != F_NONE || look_again
		:: atomic { f_pods == F_NONE && !look_again -> /* PODS_GRACE_MS are over */
			if
			:: STAY ->
				ORDER_OK(job != 1 || deleting);
				printf("  DELETE pod\n");
				pods = (pods == RUNNING -> TERMINATING : NO_POD); busy = 0
			:: !STAY
			:: FAULT; printf("  a request is lost\n")
			:: FAULT; f_pods = F_LEFT; printf("  out of time for the pods\n") /* STEP_MS */
			CRASH
			fi }
		fi
	od
}

inline delete_job()
{
	if
	:: trigger == T_MISSING -> f_job = F_DELETED
	:: atomic { trigger == T_GONE -> settle_by_reading(false);
		assert(f_job != F_NONE); /* gone, and yet alive: cannot happen here */
		f_job = (f_job == F_DELETING -> F_NONE : f_job) }
	:: trigger == T_IDLE || trigger == T_FINISH
	fi;
	send_delete();
	if
	:: look_again
	:: !look_again ->
		await_job_gone(false);
#ifndef NO_WAIT_FOR_PODS
#ifdef MISSING_IGNORES_PODS
		if
		:: trigger == T_MISSING
		:: trigger != T_MISSING -> await_pods()
		fi
#else
		await_pods()
#endif
#endif
	fi
}

inline look_at_service() /* its uid is ours if the DELETE of the Job, behind this, is accepted */
{
#if !defined(SERVICE_NOTED_ONCE) && !defined(JOB_ONLY)
	if
	:: atomic { trigger == T_IDLE || trigger == T_FINISH ->
		if
		:: seen = svc; looked = 1; printf("  read: Service=%d\n", svc)
		:: FAULT; printf("  the read of the Service fails\n")
		CRASH
		fi }
	:: else
	fi
#else
	skip
#endif
}

#ifdef SERVICE_WITHOUT_UID
#define SERVICE_UID 0
#else
#define SERVICE_UID noted
#endif

inline find()
{
	atomic {
		if
		:: found = svc; printf("  read: Service=%d\n", svc);
			f_svc = (found == 0 -> F_DELETED : F_NONE)
		:: FAULT; f_svc = F_LEFT; printf("  out of time for the Service\n") /* STEP_MS */
		CRASH
		fi
	};
	if
	:: found == 0
	:: atomic { found != 0 ->
#ifndef NO_LOOK_BEFORE_SERVICE
		look_at_job();
#endif
		if
		:: ans == NEWCOMERS -> f_svc = F_NEWCOMER; look_again = (trigger == T_MISSING)
		:: else -> noted = found
		fi;
		ans = 0; found = 0 }
	fi
}

inline delete_service() /* find_and_delete(), look_into_conflict() */
{
	f_svc = F_NONE;
	do
	:: f_svc != F_NONE -> break
	:: f_svc == F_NONE && noted == 0 -> find()
	:: atomic { f_svc == F_NONE && noted != 0 ->
		if
		:: api_delete_service(SERVICE_UID)
		LOST(api_delete_service(SERVICE_UID))
		LATE(SERVICE, SERVICE_UID, 0, 0)
		CRASH
		fi };
		atomic {
		if
		:: ans == A_OK || ans == A_ABSENT -> f_svc = F_DELETED
		:: ans == A_CONFLICT && svc == 0 -> f_svc = F_DELETED
		:: ans == A_CONFLICT && svc == noted
		:: ans == A_CONFLICT && svc != 0 && svc != noted -> found = svc /* re-created: by whom? */
		:: ans == A_LOST
		:: ans == A_LOST -> f_svc = F_LEFT /* out of time, too */
		fi;
		ans = 0 };
		if
		:: found == 0
		:: atomic { found != 0 -> /* look_into_conflict() */
#ifndef SERVICE_409_IS_FINAL
			look_at_job();
#endif
			if
			:: ans == OURS || ans == OURS_GOING -> noted = found
			:: else -> f_svc = F_NEWCOMER
			fi;
			ans = 0; found = 0 }
		fi
	od
}

inline walk() /* in queues.c; ans: A_LOST if it broke off */
{
	do
	:: atomic {
		if
		:: q == 0 -> printf("  read: no queue\n"); break
		:: q != 0 -> printf("  read: a queue (of %d)\n", q)
		CRASH
		fi }
		atomic {
		if
		:: api_delete_queue()
		LOST(api_delete_queue())
		CRASH
		fi;
		if
		:: ans == A_LOST -> break
		:: else -> ans = 0
		fi }
	od
}

inline step_queues() /* delete_queues(), try_once() */
{
	do
	:: f_q != F_NONE || look_again -> break
	:: atomic { f_q == F_NONE && !look_again ->
		g_look = 0;
#ifndef NO_LOOK_BEFORE_QUEUES
		look_at_job();
#endif
		if
		:: ans == NEWCOMERS -> f_q = F_NEWCOMER; look_again = (trigger == T_MISSING)
		:: else
		fi;
		ans = 0 };
		if
		:: f_q != F_NONE
		:: f_q == F_NONE ->
			walk();
			atomic { f_q = (ans == A_LOST -> F_NONE : F_DELETED); ans = 0; g_look = 0 }
		fi
	od
}

inline step_rest()
{
#ifndef JOB_ONLY
	if
	:: f_svc == F_NONE || f_svc == F_LEFT -> delete_service()
	:: else
	fi;
	step_queues()
#else
	skip
#endif
}

inline delete_self()
{
	do
	:: self_tries == 2 -> break
	:: atomic { self_tries < 2 ->
		if
#ifdef ASK_SELF_LATE
		:: self_uid == 0 ->
			if
			:: self_uid = self; printf("  read: own Job=%d\n", self)
			:: FAULT; printf("  the read of the own Job fails\n")
			CRASH
			fi;
			self_tries = (self_uid == 0 -> self_tries + 1 : self_tries)
#else
		:: self_uid == 0 -> self_tries = 2 /* its TTL will do */
#endif
		:: else ->
			if
			:: api_delete_self(self_uid)
			LOST(api_delete_self(self_uid))
			LATE(SELF, self_uid, 0, 0)
			CRASH
			fi;
			self_tries = (ans == A_LOST -> self_tries + 1 : 2); ans = 0
		fi }
	od
}

inline forget_teardown()
{
	f_job = 0; f_pods = 0; f_svc = 0; f_q = 0; trigger = 0; look_again = 0; look_rv = 0; self_tries = 0;
	seen = 0; looked = 0
}

inline close_watch() /* observe_stop() */
{
	watching = 0;
	if
	:: nempty(watch) -> watch ? e_uid, e_state, e_held
	:: empty(watch)
	fi;
	e_uid = 0; e_state = 0; e_held = 0
}

inline forget_all()
{
	forget_teardown(); forget_count();
	st = 0; ours = 0; c_held = 0; idle = 0; fresh = 0; waited = 0; missing = 0; noted = 0;
	found = 0; self_uid = 0; settled = 0; self_asked = 0; ans = 0; ok = 0;
	g_idle = 0; g_last = 0; g_stale = 0; g_sent = 0; g_look = 0
}

#define IS_OVER (st > LIVE || trigger == T_IDLE || (missing && st == AWAITED))

/* ---- The cleaner ---- */

active proctype cleaner()
{
	byte st, ours; /* struct target */
	bit  c_held;
	byte trigger, look_rv, count, distinct;
	bit  idle, fresh, old, read_skipped, waited, missing;
	byte noted, seen, found, self_uid, self_tries;
	bit  settled, self_asked, adopts;
	byte f_job, f_pods, f_svc, f_q; /* struct teardown */
	bit  look_again, ok;
	byte ans, e_uid, e_state; /* of the last answer, or event */
	bit  e_held;

	/* known for the promises alone */
	byte g_idle;  /* different idle samples that this cleaner read since the last active one */
	bit  g_last;  /* its last check was answered, and idle */
	bit  g_stale; /* a DELETE has failed since that check */
	bit  g_look;  /* its look before the queues has seen that no newcomer is there */
	bit  g_sent;  /* its DELETE of the Job was accepted */

#ifndef JOB_ONLY
	if
	:: adopts = 1 /* ADOPT_SERVICE */
	:: adopts = 0
	fi;
#endif
	goto start;
restart: /* by Kubernetes, if the pod's Job is there still */
#ifdef NO_RESTART
	atomic { forget_all(); close_watch(); goto dead };
#endif
start:
	atomic {
		forget_all(); close_watch();
		if
		:: self != 1 -> goto dead
		:: else
		fi;
#if !defined(ASK_SELF_LATE) || defined(JOB_ONLY)
		self_asked = 1;
		if
		:: self_uid = self
#ifndef JOB_ONLY
		:: FAULT; printf("  the read of the own Job fails\n")
#endif
		fi
#endif
	};
watch_again: /* app_watch() */
	atomic { forget_teardown(); read_skipped = 1 };
	do
	:: IS_OVER -> break
	:: atomic { !IS_OVER -> /* observe_run() */
#ifdef TRUST_WATCH_ONLY
		if
		:: st == AWAITED -> observe_read_job()
		:: else
		fi;
#else
		if
		:: read_skipped = 0; observe_read_job()
#ifdef P_LEFT
		:: !read_skipped && st != AWAITED -> read_skipped = 1 /* not due yet, but the next time */
#else
		:: st != AWAITED /* not due yet */
#endif
		fi;
#endif
		ok = 0 };
#ifndef JOB_ONLY
		atomic { hint(); note_self() };
		note_service();
#endif
#ifndef NO_IDLE
		atomic { hint(); check() }; /* idle_run() */
		last_look() /* idle_trigger() */
#else
		atomic { hint() }
#endif
	od;
	atomic {
		if
		:: st == NEW -> goto exit_0 /* on_newcomer() */
		:: st == GONE -> trigger = T_GONE
		:: st == FINISHED -> trigger = T_FINISH
		:: st == AWAITED -> trigger = T_MISSING /* observe_missing() */
		:: else /* T_IDLE */
		fi;
		missing = 0;
#ifdef NO_RV_PRECONDITION
		look_rv = 0;
#endif
		look_rv = (trigger == T_IDLE -> look_rv : 0);
		close_watch();
		printf("cleaner: teardown, trigger=%d (1 idle 2 finished 3 gone 4 missing)\n", trigger)
	};
	/* teardown_run(), run_steps() */
#ifdef SELF_FIRST
	delete_self();
#endif
#ifdef QUEUES_FIRST
	step_queues();
#endif
	if
	:: trigger == T_FINISH -> step_rest() /* ... with a grace; keep_job() */
	:: true
	fi;
	look_at_service();
	delete_job();
	looked = 0;
	if
	:: f_job == F_NEWCOMER -> REACHED(7, crashes > 0); goto exit_0
	:: f_job != F_NEWCOMER
	fi;
	if
	:: !look_again -> step_rest()
	:: look_again
	fi;
	if
	:: look_again -> goto watch_again
	:: !look_again
	fi;
	/* await_job(): with the time that is left */
	if
	:: f_job == F_DELETING || f_pods == F_LEFT -> await_job_gone(true); await_pods()
	:: else
	fi;
	if
	:: f_svc == F_LEFT -> delete_service()
	:: else
	fi;
#ifndef LATE_JOB_IGNORED
	if
	:: look_again -> goto watch_again
	:: !look_again
	fi;
#endif
	if
	:: f_pods == F_LEFT || f_svc == F_LEFT -> goto restart /* exit 1 */
	:: else
	fi;
	ORDER_OK(!look_again);
	delete_self();
exit_0:
	atomic { forget_all(); close_watch(); exited = 1; printf("cleaner: exit 0\n") };
dead:
#ifdef P_LEFT
	do /* what is left now stays for ever, as an infinite run */
	:: ok = 1; ok = 0
	od
#else
	skip
#endif
}

#ifdef P_LEFT
ltl left { <>[] (job == 0 && pods == NO_POD && svc == 0 && q == 0 && self == 0) }
#endif
