#include "invocation.h"

#include <stddef.h>
#include <string.h>

#include "util.h"

#define MAX_SCRIPT_BYTES ((size_t)1 << 20) /* what Kubernetes takes as a ConfigMap */

/* `sh`, `/bin/bash`, `-sh` (a login shell), `/usr/bin/env`. */
static bool is_shell(const char *arg)
{
	static const char *const shells[] = { "sh", "bash", "env" };
	const char              *slash = strrchr(arg, '/');
	const char              *name = slash ? slash + 1 : arg + (*arg == '-');

	for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
		if (strcmp(name, shells[i]) == 0)
			return true;
	return false;
}

/* `-c` alone or behind other flags of a shell (`-ec`, `-euxc`): a script follows. */
static bool is_shell_flag(const char *arg)
{
	size_t n = strlen(arg);

	return n >= 2 && arg[0] == '-' && arg[n - 1] == 'c' &&
	       strspn(arg + 1, "aefiluvxc") == n - 1;
}

static bool file_names_kubectl(const char *path)
{
	struct buf text = { .max = MAX_SCRIPT_BYTES };
	bool       found = read_file(path, &text, NULL) == 0 && text.len &&
		     memmem(text.data, text.len, "kubectl", strlen("kubectl"));

	buf_fini(&text);
	return found;
}

/* In the script itself, or in the file that it stands in. */
static bool names_kubectl(const char *const *args)
{
	for (; *args; args++)
		if (strstr(*args, "kubectl") || file_names_kubectl(*args))
			return true;
	return false;
}

enum invocation invocation_of(const char *const *argv, bool is_container)
{
	const char *const *args = argv[0] ? argv + 1 : argv;

	if (argv[0] && is_shell(argv[0]))
		return is_container || names_kubectl(args) ? INVOKED_FOR_SCRIPT : INVOKED_AS_SHELL;
	if (args[0] && (args[0][0] == '/' || is_shell(args[0]) || is_shell_flag(args[0])))
		return INVOKED_FOR_SCRIPT;
	return INVOKED_BY_ITSELF;
}
