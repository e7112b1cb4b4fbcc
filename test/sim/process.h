/*
 * process.h - the program as a process: started by a kubelet, killed, frozen, signalled, started
 * again; its files and its log.
 */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include "sim.h"

enum process_state { PROCESS_NONE, PROCESS_WAITS, PROCESS_RUNS };

struct process {
	enum process_state state;
	int64_t            starts_ms;  /* PROCESS_WAITS */
	int64_t            started_ms; /* PROCESS_RUNS */
	int64_t            frozen_until_ms;
	int                restarts, starts;
	int                signals;     /* that it was sent */
	bool               signal_news; /* ... since it last looked */
	bool               doomed;      /* to be killed at its next wait */
	bool               over;        /* the life is: nothing more to be seen */
	int                last_status;
	bool               sweeps;       /* what runs now is a sweep; the cleaner stands still */
	bool               sweep_doomed; /* that one is to be killed at its next wait */
};
extern struct process process;

void process_setup(void);    /* once: its directory */
void process_teardown(void); /* removes that again */
void process_reset(void);
void process_look(void);  /* its kubelet */
void process_run(void);   /* from its start to its end, which is in process.last_status */
void process_sweep(void); /* a sweep from its start to its end, whatever else runs */
void process_leave(void) __attribute__((noreturn)); /* out of the program, as a SIGKILL does */
void process_signal(int number);
void process_freeze(int64_t ms);
void process_token(const char *token); /* NULL: the file is gone */

#endif
