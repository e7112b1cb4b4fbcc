/* watch.h - the stream of Job changes, as http_sim.c sends it. */
#ifndef SIM_WATCH_H
#define SIM_WATCH_H

void watch_tell(void); /* a Job changed */
void watch_cut(void);  /* the connections break */
void watch_end(void);  /* they end cleanly */

#endif
