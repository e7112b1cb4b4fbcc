/*
 * run.h - carries out what plan.h names: sends the request, waits, decodes and classifies its
 * answer, folds it into what is known (world.h), and asks for the next. The watch is one more
 * source of news.
 */
#ifndef RUN_H
#define RUN_H

#include "app.h"
#include "plan.h"

/* From the first look at the Job of a->cfg to the end. Blocks for as long as that takes. */
enum end run(struct app *a);

#endif
