#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>
#include <openssl/ssl.h>

#include "api.h"
#include "cluster.h"
#include "http_sim.h"
#include "promises.h"
#include "settings.h"
#include "sweeper.h"

#define KILLED        (-1)
#define FIRST_BACKOFF SEC(10)
#define BACKOFFS      6 /* 10 s, 20 s ... 300 s */
#define TERM_TO_KILL  SEC(30)

int cleanup_main(int argc, char **argv);

struct process process;

static char    directory[64];
static char    token_path[80];
static jmp_buf out_of_the_program;
static int     signal_fd = -1;    /* the program's signalfd: a descriptor of nothing */
static int     signals_unread[4]; /* numbers of signals that it has not read */
static int     unread;
static int     incarnation; /* of timers that belong to one start */

/* ---- What the program keeps between two starts: nothing. Its statics are put back ---- */

extern char __start_prog_data[], __stop_prog_data[], __start_prog_bss[], __stop_prog_bss[];

/* so that there are such sections, whatever the program has */
static char no_data __attribute__((section("prog_data"), used)) = 1;
static char no_bss __attribute__((section("prog_bss"), used));

static char *first_data;

__attribute__((no_sanitize_address)) static void copy_bytes(char *to, const char *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile char *)to)[i] = from[i]; /* NOLINT(clang-analyzer-core*): the linker's */
}

__attribute__((no_sanitize_address)) static void zero_bytes(char *from, const char *to)
{
	for (char *p = from; p < to; p++)
		*(volatile char *)p = 0;
}

static void fresh_data(void)
{
	size_t n = (size_t)(__stop_prog_data - __start_prog_data);

	if (first_data)
		return;
	first_data = malloc(n + 1);
	if (!first_data)
		sim_fatal("out of memory");
	copy_bytes(first_data, __start_prog_data, n);
}

static void fresh_statics(void)
{
	size_t n = (size_t)(__stop_prog_data - __start_prog_data);

	fresh_data();
	copy_bytes(__start_prog_data, first_data, n);
	zero_bytes(__start_prog_bss, __stop_prog_bss);
	optind = 0; /* getopt's own */
}

/* ---- Its files ---- */

static void write_file(const char *path, const char *text)
{
	static time_t         writes; /* each at a time of its own, whatever the real clock says */
	const struct timespec at[2] = { { .tv_sec = ++writes }, { .tv_sec = writes } };
	int                   fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t                n = strlen(text);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n || futimens(fd, at) < 0 || close(fd) < 0)
		sim_fatal("%s: %s", path, strerror(errno));
}

void process_token(const char *token)
{
	if (token && token[0])
		(void)snprintf(api_token, sizeof(api_token), "%s", token);
	if (token)
		write_file(token_path, token);
	else
		(void)unlink(token_path);
	trace("node", "the token's file is %s", !token ? "gone" : token[0] ? "written" : "empty");
}

static void in_directory(char *out, size_t size, const char *file)
{
	(void)snprintf(out, size, "%s/%s", directory, file);
}

void process_setup(void)
{
	static const char *const files[] = { "ca.crt", "namespace", "termination-log" };
	char                     path[80];

	(void)snprintf(directory, sizeof(directory), "%s/sim-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(directory))
		sim_fatal("%s: %s", directory, strerror(errno));
	in_directory(token_path, sizeof(token_path), "token");
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		in_directory(path, sizeof(path), files[i]);
		write_file(path, i == 1 ? "panda" : "");
	}
	process_token(SIM_TOKEN);
}

void process_teardown(void)
{
	static const char *const files[] = { "ca.crt", "namespace", "termination-log", "token" };
	char                     path[80];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		in_directory(path, sizeof(path), files[i]);
		(void)unlink(path);
	}
	(void)rmdir(directory);
}

void process_reset(void)
{
	process = (struct process){ 0 };
	incarnation++;
	settings_export(cluster.id, directory);
	process_token(SIM_TOKEN);
}

/* ---- Signals ---- */

void process_signal(int number)
{
	if (process.state != PROCESS_RUNS)
		return;
	trace("node", "signal %d", number);
	process.signals++;
	process.signal_news = true;
	promise_on_signal();
	if (unread < 4)
		signals_unread[unread++] = number;
}

void process_freeze(int64_t ms)
{
	if (process.state == PROCESS_RUNS && process.frozen_until_ms < sim_ms() + ms)
		process.frozen_until_ms = sim_ms() + ms;
}

/* ---- Its kubelet ---- */

static void on_kill(int arg)
{
	if (arg == incarnation && process.state == PROCESS_RUNS)
		process.doomed = true;
}

static void on_term(int arg)
{
	if (arg != incarnation || process.state != PROCESS_RUNS)
		return;
	process_signal(SIGTERM);
	sim_after(TERM_TO_KILL, on_kill, arg);
}

void process_look(void)
{
	static int        told; /* the incarnation whose pod is being stopped */
	const struct job *self = job_of(cluster.self_name);
	bool              wanted = self && self->whose == OURS && job_lives(self);

	if (wanted && process.state == PROCESS_NONE) {
		process.state = PROCESS_WAITS;
		process.starts_ms = sim_ms() + delay(300, 3000);
	} else if (!wanted && process.state == PROCESS_WAITS) {
		process.state = PROCESS_NONE;
	} else if (!wanted && process.state == PROCESS_RUNS && told != incarnation) {
		told = incarnation;
		sim_after(delay(50, 1500), on_term, incarnation);
	}
}

static void has_ended(int status)
{
	struct job *self = job_of(cluster.self_name);

	process.last_status = status;
	incarnation++;
	trace("node",
	      status == KILLED ? "the cleaner is killed" : "the cleaner ends with status %d",
	      status);
	if (status != KILLED)
		promise_on_exit(status);
	process.state = PROCESS_NONE;
	if (!self || self->whose != OURS || !job_lives(self))
		return;
	if (status == 0) {
		self->end = self->wanted = END_COMPLETE;
		self->finished_ms = sim_ms();
		job_changed(self, "MODIFIED");
		return;
	}
	int n = process.restarts++;
	process.state = PROCESS_WAITS;
	process.starts_ms = sim_ms() + (n < BACKOFFS - 1 ? FIRST_BACKOFF << n : SEC(300));
}

/* ---- Running it ---- */

void process_leave(void)
{
	longjmp(out_of_the_program, 1);
}

void process_run(void)
{
	static char  name[] = "cleanup-grpc";
	char        *argv[] = { name, NULL };
	volatile int status = KILLED;

	process.state = PROCESS_RUNS;
	process.starts++;
	process.started_ms = sim_ms();
	process.signals = 0;
	process.doomed = process.signal_news = false;
	process.frozen_until_ms = 0;
	unread = 0;
	fresh_statics();
	trace("node", "the cleaner starts");
	promise_on_start();
	if (setjmp(out_of_the_program) == 0)
		status = cleanup_main(1, argv);
	http_sim_abandon();
	if (status == KILLED && signal_fd >= 0)
		(void)close(signal_fd);
	signal_fd = -1;
	if (!process.over)
		has_ended(status);
}

/*
 * A node of its own runs it. Where the cleaner waits it does so until the sweep has ended: its
 * statics are put aside, and what has come for it meanwhile is there then.
 */
void process_sweep(void)
{
	static char    name[] = "cleanup-grpc", option[] = "--sweep";
	static char   *data, *bss;
	static jmp_buf outer;
	char          *argv[] = { name, option, NULL };
	size_t         n = (size_t)(__stop_prog_data - __start_prog_data);
	size_t         m = (size_t)(__stop_prog_bss - __start_prog_bss);
	int            fd = signal_fd;
	volatile int   status = KILLED;

	if (process.sweeps || process.over)
		return;
	data = data ? data : malloc(n + 1);
	bss = bss ? bss : malloc(m + 1);
	if (!data || !bss)
		sim_fatal("out of memory");
	fresh_data();
	copy_bytes(data, __start_prog_data, n);
	copy_bytes(bss, __start_prog_bss, m);
	memcpy(&outer, &out_of_the_program, sizeof(outer));
	fresh_statics();
	int64_t frozen_until_ms = process.frozen_until_ms;
	process.frozen_until_ms = NEVER; /* the cleaner */
	process.sweeps = true;
	process.sweep_doomed = false;
	trace("node", "a sweep starts");
	sweeper_begins();
	if (setjmp(out_of_the_program) == 0)
		status = cleanup_main(2, argv);
	http_sim_abandon();
	if (status == KILLED && signal_fd >= 0 && signal_fd != fd)
		(void)close(signal_fd);
	signal_fd = fd;
	memcpy(&out_of_the_program, &outer, sizeof(outer));
	copy_bytes(__start_prog_data, data, n);
	copy_bytes(__start_prog_bss, bss, m);
	process.sweeps = false;
	process.frozen_until_ms = frozen_until_ms > sim_ms() ? frozen_until_ms : sim_ms();
	http_sim_wake();
	if (!process.over)
		sweeper_on_exit(status);
}

/* Its table is for people. */
int prog_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int prog_puts(const char *text);
int prog_putchar(int c);

int prog_printf(const char *fmt, ...)
{
	(void)fmt;
	return 0;
}

int prog_puts(const char *text)
{
	(void)text;
	return 0;
}

int prog_putchar(int c)
{
	return c;
}

/* ---- What the linker gives the program instead of the C library's and other libraries' ---- */

int     __wrap_signalfd(int fd, const sigset_t *set, int flags);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);
ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __real_write(int fd, const void *p, size_t n);
int     __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old);
int     __wrap_sigaction(int number, const struct sigaction *act, struct sigaction *old);
int     __wrap_prctl(int option, ...);
int     __wrap_malloc_trim(size_t pad);

int __wrap_signalfd(int fd, const sigset_t *set, int flags)
{
	(void)fd;
	(void)set;
	(void)flags;
	signal_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return signal_fd;
}

ssize_t __wrap_read(int fd, void *p, size_t n)
{
	if (fd != signal_fd)
		return __real_read(fd, p, n);
	if (!unread || process.sweeps) { /* they are the cleaner's */
		errno = EAGAIN;
		return -1;
	}
	if (n < sizeof(struct signalfd_siginfo))
		sim_fatal("a read of less than one signal");
	*(struct signalfd_siginfo *)p =
		(struct signalfd_siginfo){ .ssi_signo = (uint32_t)signals_unread[0] };
	memmove(signals_unread, signals_unread + 1, sizeof(signals_unread[0]) * 3);
	unread--;
	return sizeof(struct signalfd_siginfo);
}

/* Its log; other descriptors are not touched. */
ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	if (fd != STDERR_FILENO)
		return __real_write(fd, p, n);
	promise_on_log(p, n);
	if (sim_verbose)
		trace("log", "%.*s", (int)n - 1, (const char *)p);
	return (ssize_t)n;
}

int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	(void)how;
	(void)set;
	(void)old;
	return 0;
}

int __wrap_sigaction(int number, const struct sigaction *act, struct sigaction *old)
{
	(void)number;
	(void)act;
	(void)old;
	return 0;
}

int __wrap_prctl(int option, ...)
{
	(void)option;
	return 0;
}

int __wrap_malloc_trim(size_t pad)
{
	(void)pad;
	return 0;
}

CURLcode curl_global_init(long flags)
{
	(void)flags;
	return CURLE_OK;
}

void curl_global_cleanup(void)
{
}

char *curl_version(void)
{
	return NULL; /* no story asks for it */
}

int OPENSSL_init_ssl(uint64_t opts, const OPENSSL_INIT_SETTINGS *settings_)
{
	(void)opts;
	(void)settings_;
	return 1;
}
