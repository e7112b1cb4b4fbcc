/*
 * floor URL JOB_URL CA_FILE TOKEN NUMBER PAUSE_MS - the least that a check can cost with these
 * libraries
 *
 * Makes the program's requests: asks for the readings NUMBER times on one connection, with PAUSE_MS
 * between the answers, and for the Job at every sixth; parses what comes with jansson, and does
 * nothing else: no watch, no signals, no log, nothing set up anew, nothing looked at. Prints the
 * milliseconds of CPU for one check, without the first twelve.
 */
#include <curl/curl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define WARM_UP   12
#define JOB_EVERY 6

struct body {
	char   data[64 << 10];
	size_t len;
};

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct body *b = arg;

	(void)size; /* always 1 */
	if (n > sizeof(b->data) - b->len)
		return 0;
	memcpy(b->data + b->len, p, n);
	b->len += n;
	return n;
}

static double cpu_ms(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return 1e3 * (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       1e-3 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void fail(const char *words)
{
	(void)fprintf(stderr, "floor: %s\n", words);
	exit(EXIT_FAILURE);
}

static void ask(CURL *e, const char *url, const char *member, struct body *b)
{
	json_error_t je;

	b->len = 0;
	CURLcode rc = curl_easy_setopt(e, CURLOPT_URL, url);
	rc = rc ? rc : curl_easy_perform(e);
	if (rc)
		fail(curl_easy_strerror(rc));
	json_t *root = json_loadb(b->data, b->len, 0, &je);
	if (!json_object_get(root, member))
		fail("another answer");
	json_decref(root);
}

int main(int argc, char **argv)
{
	static struct body body;
	char               auth[16 << 10];

	if (argc != 7)
		fail("usage: floor URL JOB_URL CA_FILE TOKEN NUMBER PAUSE_MS");
	long  number = strtol(argv[5], NULL, 10);
	int   pause_ms = (int)strtol(argv[6], NULL, 10);
	CURL *e = curl_easy_init();

	(void)snprintf(auth, sizeof(auth), "Authorization: Bearer %s", argv[4]);
	struct curl_slist *headers = curl_slist_append(NULL, auth);
	if (!e || !headers || number <= 0 || curl_easy_setopt(e, CURLOPT_CAINFO, argv[3]) ||
	    curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers) ||
	    curl_easy_setopt(e, CURLOPT_FAILONERROR, 1L) ||
	    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) ||
	    curl_easy_setopt(e, CURLOPT_WRITEDATA, &body))
		fail("cannot start");
	double start = 0;
	for (long i = 0; i < WARM_UP + number; i++) {
		if (i == WARM_UP)
			start = cpu_ms();
		ask(e, argv[1], "items", &body);
		if (i % JOB_EVERY == 0)
			ask(e, argv[2], "status", &body);
		if (pause_ms)
			(void)poll(NULL, 0, pause_ms);
	}
	printf("%.4f\n", (cpu_ms() - start) / (double)number);
	curl_slist_free_all(headers);
	curl_easy_cleanup(e);
	return 0;
}
