/*
 * LD_PRELOAD: lets chosen allocations fail (test_torture.py). Only those count that the program,
 * libjansson or libcurl make themselves, told by the return address; FAILMALLOC_ALL=1: everybody's.
 *
 *   FAILMALLOC_AT=n       the first that fails; unset or 0: none, they are counted
 *   FAILMALLOC_FOR=k      how many in a row fail; 1
 *   FAILMALLOC_REPORT=f   gets "failed n module+offset" when it happens, "counted n" at exit
 *
 * Built with: cc -shared -fPIC -O2 -o failmalloc.so test/failmalloc.c
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODULES_MAX 3

/* glibc's own, under names that nobody replaces */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

static struct {
	uintptr_t from, to;
} modules[MODULES_MAX];
static size_t        module_count;
static bool          ready, all;
static unsigned long at, count_of_failures = 1;
static const char   *report_path;
static atomic_ulong  counted;

static void report(const char *fmt, ...)
{
	char    line[600];
	va_list ap;
	int fd = report_path ? open(report_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
			     : -1;

	if (fd < 0)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)!write(fd, line, n > 0 ? (size_t)n : 0);
	(void)close(fd);
}

static int note_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	bool program = arg && module_count == 0; /* it comes first */

	(void)size;
	if (!program && !strstr(info->dlpi_name, "/libcurl.") &&
	    !strstr(info->dlpi_name, "/libjansson."))
		return 0;
	for (int i = 0; i < info->dlpi_phnum && module_count < MODULES_MAX; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		if (h->p_type != PT_LOAD || !(h->p_flags & PF_X))
			continue;
		modules[module_count].from = info->dlpi_addr + h->p_vaddr;
		modules[module_count++].to = info->dlpi_addr + h->p_vaddr + h->p_memsz;
	}
	return 0;
}

static unsigned long number(const char *name, unsigned long otherwise)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void start(void)
{
	at = number("FAILMALLOC_AT", 0);
	count_of_failures = number("FAILMALLOC_FOR", 1);
	all = number("FAILMALLOC_ALL", 0) != 0;
	report_path = getenv("FAILMALLOC_REPORT");
	(void)dl_iterate_phdr(note_module, &modules);
	ready = true;
}

__attribute__((destructor)) static void end(void)
{
	ready = false;
	report("counted %lu\n", atomic_load(&counted));
}

/* Whether the allocation that @caller asks for is to fail. */
static bool fails(const void *caller)
{
	bool ours = all;

	if (!ready)
		return false;
	for (size_t i = 0; i < module_count; i++)
		ours |= (uintptr_t)caller >= modules[i].from && (uintptr_t)caller < modules[i].to;
	if (!ours)
		return false;
	unsigned long n = atomic_fetch_add(&counted, 1) + 1;
	if (!at || n < at || n - at >= count_of_failures)
		return false;
	if (n == at) {
		Dl_info where = { 0 };
		(void)dladdr(caller, &where);
		report("failed %lu %s+%#lx\n", n, where.dli_fname ? where.dli_fname : "?",
		       (unsigned long)((uintptr_t)caller - (uintptr_t)where.dli_fbase));
	}
	errno = ENOMEM;
	return true;
}

#define CALLER __builtin_return_address(0)

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): glibc has them in __ */

void *malloc(size_t n)
{
	return fails(CALLER) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails(CALLER) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails(CALLER) ? NULL : __libc_realloc(p, n);
}

void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return fails(CALLER) ? NULL : __libc_realloc(p, bytes);
}

static char *copy(const char *s, size_t n)
{
	char *p = __libc_malloc(n + 1);

	if (p) {
		memcpy(p, s, n);
		p[n] = '\0';
	}
	return p;
}

char *strdup(const char *s)
{
	return fails(CALLER) ? NULL : copy(s, strlen(s));
}

char *strndup(const char *s, size_t n)
{
	return fails(CALLER) ? NULL : copy(s, strnlen(s, n));
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
