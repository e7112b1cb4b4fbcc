#!/bin/bash
# static/cares.sh DIR - a static c-ares, the resolver of libcurl (static/libcurl.sh says why)
#
# c-ares 1.18 has two tables for thousands of queries at a time in each channel, 74 kB, and libcurl has
# a channel for each transfer. This program has one query at a time.
set -euo pipefail

usage="usage: $0 DIR   (CC, CFLAGS, HOST and APT_ETC=/etc/apt from the environment)"
here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath -m "${1:?$usage}")
# shellcheck source=static/source.sh
. "$here/source.sh"

config() { echo --disable-tests; }

build() { # newer versions have no such tables
	sed -i -E 's/^(#define ARES_(QID|TIMEOUT)_TABLE_SIZE) .*/\1 16/' src/lib/ares_private.h 2>/dev/null || true
	# shellcheck disable=SC2046 # words on purpose
	autoconf_build $(config)
	logged make make -j"$jobs" DESTDIR="$dest" install
}

make_from c-ares archive:libc-ares-dev
