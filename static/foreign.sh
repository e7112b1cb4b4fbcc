#!/bin/bash
# static/foreign.sh DIR - for a cross-build (HOST=triplet): the distribution's archives for HOST, of
# jansson, of the C library, and of OpenSSL in case its source cannot be had (static/source.sh), in
# DIR/jansson, DIR/libc and DIR/libssl-dev
#
# Their packages are downloaded and unpacked; nothing is installed, and dpkg is not told of another
# architecture. (libc6-dev-arm64-cross has a C library, too, but without the security updates.) Built
# for this machine, the program links the installed archives, as any program.
set -euo pipefail

usage="usage: $0 DIR   (HOST and APT_ETC=/etc/apt from the environment)"
here=$(cd "$(dirname "$0")" && pwd)
top=$(realpath -m "${1:?$usage}")
out=$top/foreign
# shellcheck source=static/source.sh
. "$here/source.sh"

[ -n "$HOST" ] || exit 0
arch=$(dpkg-architecture -q DEB_HOST_ARCH -t "$HOST" 2>/dev/null)
apt=$apt-$arch
apt_options=(-o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::State::status=/dev/null)

get() { # get NAME PACKAGE SOURCE
	rm -rf "${top:?}/$1" "$work"
	mkdir -p "$top/$1" "$work"
	cd "$work"
	logged download private_apt apt-get download "$2"
	dpkg -x "$2"_*.deb root
	mv root/usr/include "$top/$1/include"
	mv "root/usr/lib/$HOST" "$top/$1/lib"
	find "$top/$1/lib" -name '*.so' -delete
	echo "$3" >"$top/$1/source-package"
	dpkg-deb -f "$2"_*.deb Version >"$top/$1/source-version"
	echo "archive of package $2" >"$top/$1/origin"
}

if [ -n "$(find "$top/libc/source-version" -mmin -1440 2>/dev/null)" ]; then
	say "the archives for $arch are there already"
	exit 0
fi
apt_setup deb
say "downloading the archives for $arch: OpenSSL, jansson, the C library"
get jansson libjansson-dev jansson
get libssl-dev libssl-dev openssl
cp -a "$top/libssl-dev/include/$HOST/." "$top/libssl-dev/include"
# shellcheck disable=SC2016 # pkg-config's variables
sed -i -E 's#^prefix=.*#prefix=${pcfiledir}/../..#; s#^libdir=.*#libdir=${prefix}/lib#' \
	"$top"/{jansson,libssl-dev}/lib/pkgconfig/*.pc
get libc libc6-dev glibc
