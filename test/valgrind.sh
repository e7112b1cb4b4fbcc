#!/bin/sh
# The program under valgrind: CLEANUP_BIN for `make valgrind`. 99: an error or a definite leak.
here=$(dirname "$0")
exec valgrind -q --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=99 \
	--suppressions="$here/valgrind.supp" "$here/../build/cleanup-grpc" "$@"
