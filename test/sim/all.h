/*
 * all.h - the exhaustive half: of each story, one life for every placement of one adverse event at
 * every request, and of every pair of them.
 */
#ifndef SIM_ALL_H
#define SIM_ALL_H

#include <stdint.h>

/* Reads the stories and plays each once, to count its requests. Returns how many lives that makes.
 */
uint64_t all_prepare(char *const *files, int count);

/* Sets the stage for life @number, counted from 0. */
void all_draw(uint64_t number);

/* Which one that is, as arguments that play it again. */
void all_name(uint64_t number, char *out, unsigned size);

#endif
