/* life.h - one life: a story, played from its beginning to its end. */
#ifndef SIM_LIFE_H
#define SIM_LIFE_H

#include <stdint.h>

void life_play(void); /* the story as it stands in `story`; the outcome is in `verdict` */

struct life_stats {
	int64_t virtual_ms;
	int     requests;
	int     starts;
	int to_place; /* requests at which something can go wrong: not those of watching for ever */
};
extern struct life_stats life_stats;
extern char              life_outcome[160]; /* what is there and what is gone at its end */

#endif
