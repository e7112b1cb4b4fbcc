/*
 * cleanup-grpc - watches one streaming job and tears it down when it has ended.
 */
#include <errno.h>
#include <getopt.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include <openssl/ssl.h>

#include "app.h"
#include "check.h"
#include "invocation.h"
#include "json.h"
#include "run.h"
#include "sweep.h"

enum exit_status {
	EXIT_DONE = 0,        /* torn down, or nothing to do */
	EXIT_INCOMPLETE = 1,  /* something is left (of --check: missing); it has been named */
	EXIT_CONFIG = 2,      /* bad configuration or command line */
	EXIT_NO_SHELL = 127,  /* called as one: what a shell's caller takes for "not found" */
	EXIT_SIGNALLED = 143, /* 128 + SIGTERM: as if it had not been caught */
};

/* ---- The lifecycle ---- */

static int status_of(enum end end)
{
	switch (end) {
	case END_TORN_DOWN:
	case END_SPARED:
	case END_DRY_RUN: return EXIT_DONE;
	case END_SIGNALLED: return EXIT_SIGNALLED;
	case END_LEFT: break;
	}
	return EXIT_INCOMPLETE;
}

static int check(struct app *a)
{
	return check_run(a) ? EXIT_DONE : EXIT_INCOMPLETE;
}

/* ---- The command line ---- */

static void complain(void *arg, enum log_level level, const char *complaint)
{
	const struct config *cfg = arg;

	log_setup(cfg->log_level, cfg->log_format);
	if (level == LOG_ERROR)
		log_error("bad configuration", LS("error", complaint));
	else
		log_warn("doubtful configuration", LS("warning", complaint));
}

static const char *env(const char *name)
{
	return getenv(name);
}

/* @format: NULL, or `markdown` for the table alone, as it stands in the README. */
static int print_help(const char *format)
{
	struct buf table = { .max = 64 << 10 };
	bool       markdown = format && strcmp(format, "markdown") == 0;
	int        r = config_describe(&table, markdown);

	if (r == 0 && markdown)
		(void)fputs(table.data, stdout);
	else if (r == 0)
		(void)printf(
			"cleanup-grpc " VERSION " - watches one streaming job and tears it "
			"down when it has ended\n\n"
			"Usage: cleanup-grpc [--check | --sweep [--yes]] [--dry-run] | "
			"--help[=markdown] | --version [--verbose]\n\n"
			"  --check     is all there that it needs? Asks, and changes nothing\n"
			"  --dry-run   as DRY_RUN=true: log what would be deleted, change nothing\n"
			"  --sweep     remove what no cleaner is left to remove, of all jobs of "
			"the "
			"namespace;\n              --yes: even if that is too much to be normal\n"
			"  --help      this text; =markdown: only the table of settings\n"
			"  --version   the version; --verbose: what is linked in, and where "
			"it was taken from\n\n"
			"Everything else is set by the environment:\n\n%s\n"
			"Exit status: 0 torn down, or nothing to do; 1 teardown incomplete (what "
			"is left is named);\n2 bad configuration; 143 stopped by SIGTERM or "
			"SIGINT before a teardown. --check: 0 all that\nis required is there, 1 "
			"it is not. Called as a shell: 127.\n",
			table.data);
	buf_fini(&table);
	return r == 0 ? EXIT_DONE : EXIT_INCOMPLETE;
}

#ifndef PARTS /* what `make static` knows of each library (static/parts.sh) */
#define PARTS "shared libraries, of this machine's packages\n"
#endif
static int print_version(bool verbose)
{
	(void)printf("cleanup-grpc " VERSION "\n");
	if (verbose)
		(void)printf("with %s jansson/%s glibc/%s\n%s", curl_version(),
			     jansson_version_str(), gnu_get_libc_version(), PARTS);
	return EXIT_DONE;
}

struct options {
	bool version;
	bool verbose;
	bool check;
	bool sweep;
	bool yes;
	bool dry_run;
	bool for_script; /* the arguments are an old script, and were not looked at */
};

/* Returns -1 to go on, else the status to exit with; as does the next one. */
static int parse_options(int argc, char **argv, struct options *ret)
{
	static const struct option options[] = {
		{ "check", no_argument, NULL, 'c' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "sweep", no_argument, NULL, 's' },
		{ "yes", no_argument, NULL, 'y' },
		{ "help", optional_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ "verbose", no_argument, NULL, 'V' }, /* of --version */
		{ NULL, 0, NULL, 0 },
	};

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'c': ret->check = true; break;
		case 'n': ret->dry_run = true; break;
		case 's': ret->sweep = true; break;
		case 'y': ret->yes = true; break;
		case 'h': return print_help(optarg);
		case 'v': ret->version = true; break;
		case 'V': ret->verbose = true; break;
		default: (void)fprintf(stderr, "Try 'cleanup-grpc --help'.\n"); return EXIT_CONFIG;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr,
			      "cleanup-grpc: takes no arguments, got '%s'. Try "
			      "'cleanup-grpc --help'.\n",
			      argv[optind]);
		return EXIT_CONFIG;
	}
	if (ret->verbose && !ret->version) {
		(void)fprintf(stderr, "cleanup-grpc: --verbose goes with --version. Try "
				      "'cleanup-grpc --help'.\n");
		return EXIT_CONFIG;
	}
	return ret->version ? print_version(ret->verbose) : -1;
}

static int parse_command_line(int argc, char **argv, struct options *ret)
{
	switch (invocation_of((const char *const *)argv, getpid() == 1)) {
	case INVOKED_BY_ITSELF: return parse_options(argc, argv, ret);
	case INVOKED_FOR_SCRIPT: ret->for_script = true; return -1;
	case INVOKED_AS_SHELL: break;
	}
	(void)fprintf(stderr, "there is no shell in this image\n");
	return EXIT_NO_SHELL;
}

static int configure(struct config *cfg, const struct options *o)
{
	char host[256] = "";

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0'; /* then JOB_ID must be set, and the complaint says so */
	int r = o->sweep ? config_load_for_sweep(cfg, env, complain, cfg)
			 : config_load(cfg, env, host, complain, cfg);
	log_setup(cfg->log_level, cfg->log_format);
	if (o->for_script) /* its words are not shown: there may be a password in them */
		log_warn("the template's old script was not run: this image does its work itself",
			 LS("fix", "take command and args out of the cleanup Job's container"));
	if (r < 0)
		return r;
	cfg->dry_run |= o->dry_run;
	if (o->check && cfg->log_level < LOG_WARN)
		cfg->log_level = LOG_WARN; /* its table is what counts */
	log_setup(cfg->log_level, cfg->log_format);
	if (o->sweep) {
		log_info("cleanup-grpc " VERSION, LS("sweep", cfg->ns));
		return 0;
	}
	log_info("cleanup-grpc " VERSION, LS("job", cfg->target_job),
		 LS("service", cfg->target_service), LS("self", cfg->self_job),
		 LS("namespace", cfg->ns));
	config_log(cfg);
	return 0;
}

/*
 * OpenSSL without its configuration file, which no image from scratch has, and without its error
 * strings, 60 kB in each process: why a certificate is not trusted is said in words all the same.
 */
static bool start_libraries(void)
{
	return OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_SSL_STRINGS |
					OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS,
				NULL) == 1 &&
	       curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

int main(int argc, char **argv)
{
	static struct config cfg;
	static struct app    app;
	struct err           err = { 0 };
	struct options       options = { 0 };

	int status = parse_command_line(argc, argv, &options);
	if (status >= 0)
		return status;
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* no core file may hold the token */
	json_init();
	if (configure(&cfg, &options) < 0)
		return EXIT_CONFIG;
	if (!start_libraries()) {
		log_error("cannot start", LS("error", "libcurl or OpenSSL"));
		return EXIT_INCOMPLETE;
	}
	if (app_open(&app, &cfg, &err) == 0) {
		status = options.check   ? check(&app)
			 : options.sweep ? status_of(sweep_run(&app, options.yes))
					 : status_of(run(&app));
	} else {
		log_error("cannot start", LS("error", err.msg));
		status = EXIT_INCOMPLETE;
	}
	app_close(&app);
	curl_global_cleanup();
	return status;
}
