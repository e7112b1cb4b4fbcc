#!/bin/bash
# static/parts.sh DIR CC - what a binary that is linked in DIR is made of: DIR/parts, for people and for
# spdx.sh, one part a line, and DIR/parts.h, for --version --verbose.
#
# The libraries are what static/*.sh left in DIR; the C library and gcc's are the packages that own the
# archives that CC links.
set -euo pipefail

usage="usage: $0 DIR CC"
dir=${1:?$usage} cc=${2:?$usage}
distribution=$(. /etc/os-release && echo "$ID")

part() { # part NAME VERSION LICENCE FROM [NOT_HELD]; a version without a revision is upstream's
	local purl="pkg:generic/$1@${2//+/%2B}"
	case $2 in
	*-*) purl="pkg:deb/$distribution/$1@${2//+/%2B}?arch=source" ;;
	esac
	echo "$1|$2|$4${5:+; source listed, but not to be fetched: $5}|$3|$purl"
}

library() { # library DIRECTORY DEV_PACKAGE LICENCE
	local p v
	if [ -e "$dir/$1/source-version" ]; then
		part "$(cat "$dir/$1/source-package")" "$(cat "$dir/$1/source-version")" "$3" \
			"$(cat "$dir/$1/origin")" "$(cat "$dir/$1/not-held" 2>/dev/null || true)"
	else
		read -r p v < <(dpkg-query -W -f '${source:Package} ${source:Version}\n' "$2")
		part "$p" "$v" "$3" "archive of package $2"
	fi
}

# Cross packages have sources of their own, but the version of what they hold.
archive() { # archive NAME LICENCE COMPILER_OPTION: the package with the archive that CC takes
	local package v
	package=$(dpkg -S "$(realpath "$("$cc" "$3")")" | sed 's/[:,].*//;q')
	v=$(dpkg-query -W -f '${Version}\n' "$package" | head -n 1)
	part "$1" "${v%cross*}" "$2" "archive of package $package"
}

parts() {
	library libcurl libcurl4-openssl-dev curl
	library openssl libssl-dev Apache-2.0
	library jansson libjansson-dev MIT
	if [ -e "$dir/libc/source-version" ]; then
		library libc libc6-dev LGPL-2.1-or-later
	else
		archive glibc LGPL-2.1-or-later -print-file-name=libc.a
	fi
	archive "gcc-$("$cc" -dumpversion | cut -d. -f1)" 'GPL-3.0-or-later WITH GCC-exception-3.1' \
		-print-libgcc-file-name
}

parts >"$dir/parts"
{
	echo '#define PARTS \'
	sed -E 's/^([^|]*)\|([^|]*)\|([^|]*)\|.*/"\1 \2: \3\\n" \\/' "$dir/parts"
	echo '""'
} >"$dir/parts.h"
