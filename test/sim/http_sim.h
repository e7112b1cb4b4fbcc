/* http_sim.h - what the simulator needs of its own http.h. */
#ifndef SIM_HTTP_SIM_H
#define SIM_HTTP_SIM_H

#include <stdbool.h>
#include <stdint.h>

#define HTTP_SIM_WAIT_MAX_MS 60000

struct http_exchange;

void                  http_sim_reset(uint64_t seed);
void                  http_sim_abandon(void);   /* the program died */
int                   http_sim_requests(void);  /* of this life so far */
int64_t               http_sim_stream_ms(void); /* when a watch was open last */
void                  http_sim_wake(void);      /* its wait ends, for no reason */
struct http_exchange *http_sim_free(void);
void                  http_sim_on_arrival(int arg);

#endif
