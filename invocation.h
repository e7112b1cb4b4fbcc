/*
 * invocation.h - how the program was called: by itself, or in the place of a script.
 *
 * A template of 1.1 has its loop as a shell script in `command` or `args`. So the image has the
 * program under the names of a shell, too, and it does the script's work instead.
 */
#ifndef INVOCATION_H
#define INVOCATION_H

#include <stdbool.h>

enum invocation {
	INVOKED_BY_ITSELF,  /* its arguments are its options */
	INVOKED_FOR_SCRIPT, /* in the place of 1.1's script, which its arguments are */
	INVOKED_AS_SHELL,   /* somebody looks for a shell: a probe, a preStop hook, kubectl exec */
};

/*
 * @is_container: we are the container's own process, pid 1. @argv ends with a NULL. Where it is not
 * clear from these, a file that is among the arguments of a shell is read.
 */
enum invocation invocation_of(const char *const *argv, bool is_container);

#endif
