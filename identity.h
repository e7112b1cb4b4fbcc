/*
 * identity.h - whose cleaner is this? The JOB_ID that stands in the name of its own pod.
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#define IDENTITY_POD_SIZE 254 /* a pod's name and its NUL */

/* What the Job controller puts behind a Job's name to name its pods: five of these. */
#define IDENTITY_SUFFIX_LETTERS "bcdfghjklmnpqrstvwxz2456789"

struct identity {
	char pod[IDENTITY_POD_SIZE]; /* the name of our pod, as far as one can tell */
	bool bound;                  /* the token says so; else it is the host name */
};

/*
 * Finds the name of our pod: in the file `token` of @account_dir, else in @hostname up to its first
 * dot (a host name may be anything, by hostNetwork or hostname; or have a domain behind it, by
 * setHostnameAsFQDN). Blocks on the disk only; cannot fail, but then the name leads nowhere.
 */
void identity_load(struct identity *ret, const char *account_dir, const char *hostname);

/*
 * The pod that a service account's token is bound to: its claim `kubernetes.io`.`pod`.`name`. The
 * signature is not verified: the token is our own. False: no JWT, not bound, not a name.
 */
bool identity_pod_of_token(const char *token, size_t n, char ret[IDENTITY_POD_SIZE]);

/*
 * JOB_ID out of `cleanup-job-<JOB_ID>-<5 letters>`. False if the name is not of this form, or so
 * long that Kubernetes may have cut the id.
 */
bool identity_job_id(const char *pod, char ret[IDENTITY_POD_SIZE]);

#endif
