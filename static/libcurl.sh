#!/bin/bash
# static/libcurl.sh DIR - a static libcurl with HTTP and HTTPS only, from the distribution's source
#
# Why: Debian's own libcurl.a cannot be linked (it wants krb5 and ldap, which have no archives), and
# its source package is where Debian's security patches are. Leaves DIR/lib/libcurl.a,
# DIR/include/curl and DIR/lib/pkgconfig/libcurl.pc; DIR/source-version says what it was made from.
# A second run with the same version and flags does nothing. Needs no root, and leaves the machine's
# apt configuration as it is: a private copy of its entries, "deb" changed to "deb-src", is used.
#
# The resolver is c-ares, for two reasons that were measured (Debian 12, static binary, empty root
# with only /etc/resolv.conf, DNS server on loopback):
#  - libcurl's threaded resolver works there, too: glibc >= 2.34 has the files and dns services built
#    in. But with a DNS server that does not answer, curl_multi_cleanup() waits for the thread: 19 s
#    after the program wanted to leave. With c-ares it is 0 s, and there is no second thread.
#  - c-ares costs 50 kB, and treats search domains, ndots and /etc/hosts as glibc does.
# An API server given as an address asks no resolver at all.
set -euo pipefail

usage="usage: $0 DIR   (CC, CFLAGS and APT_ETC=/etc/apt from the environment)"
out=$(realpath -m "${1:?$usage}")
work=$out.work
APT_ETC=${APT_ETC:-/etc/apt}
CFLAGS=${CFLAGS:--Os -fPIE}
unset LIBRARY_PATH CPATH C_INCLUDE_PATH PKG_CONFIG_PATH # of this machine, not of this build

# What we use: GET, POST, PATCH, DELETE with a body in memory, Basic and Bearer, the Date header.
# (CURLOPT_PROXY must exist to be switched off.) Options that a version lacks are only warned about.
OFF="ftp file ldap ldaps rtsp dict telnet tftp pop3 imap smb smtp gopher mqtt manual libcurl-option
     ntlm tls-srp unix-sockets cookies doh netrc progress-meter alt-svc hsts websockets mime form-api
     get-easy-options crypto-auth digest-auth negotiate-auth kerberos-auth aws bindlocal ipfs docs
     openssl-auto-load-config httpsrr ca-search"
WITHOUT="ca-bundle ca-path zlib brotli zstd libpsl libgsasl libssh libssh2 libidn2 nghttp2 nghttp3
     ngtcp2 librtmp zsh-functions-dir fish-functions-dir"
configure_args() {
	echo --disable-shared --enable-static --disable-dependency-tracking --with-openssl --enable-ipv6 \
		--enable-ares
	for f in $OFF; do echo "--disable-$f"; done
	for f in $WITHOUT; do echo "--without-$f"; done
}

say() { echo "static/libcurl.sh: $*"; }

private_apt() { # private_apt COMMAND ARG...: sees deb-src entries, keeps its lists under $work
	local cmd=$1
	shift
	"$cmd" -q -o Dir::Etc::SourceList="$work/apt/sources.list" -o Dir::Etc::SourceParts="$work/apt/parts" \
		-o Dir::State::Lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

apt_setup() { # the machine's entries (with their Signed-By), for source packages
	local f
	mkdir -p "$work"/apt/{parts,lists/partial,cache/archives/partial}
	: >"$work/apt/sources.list"
	for f in "$APT_ETC/sources.list" "$APT_ETC"/sources.list.d/*.list; do
		[ ! -r "$f" ] || sed -n -E 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$f" >>"$work/apt/sources.list"
	done
	for f in "$APT_ETC"/sources.list.d/*.sources; do
		[ ! -r "$f" ] || sed -E 's/^[Tt]ypes:.*/Types: deb-src/' "$f" >"$work/apt/parts/${f##*/}"
	done
	sort -u -o "$work/apt/sources.list" "$work/apt/sources.list"
	say "reading the source package lists"
	private_apt apt-get update >"$work/apt.log" 2>&1 || {
		say "apt-get update had errors, going on with what it got:"
		grep -E '^[EW]:' "$work/apt.log" | head -n 5 || true
	}
}

versions() { # newest first, without backports
	private_apt apt-cache showsrc --only-source curl 2>/dev/null |
		sed -n 's/^Version: //p' | grep -v '~bpo' | sort -Vru || true
}

fetch() { # sets $version: the newest that can be had; a mirror can list what it does not hold yet
	local v
	apt_setup
	for v in $(versions); do
		[ "$v" != "$(cat "$out/source-version" 2>/dev/null)" ] || { version=$v && return; }
		rm -rf "$work/src" && mkdir -p "$work/src"
		if (cd "$work/src" && private_apt apt-get source --download-only "curl=$v") >"$work/apt.log" 2>&1; then
			version=$v
			return
		fi
		say "curl $v is listed but cannot be fetched, trying the next older one:"
		grep -m 1 '^E:' "$work/apt.log" | sed -E 's#[a-z]+://\S*/##' || true
	done
	say "no source package of curl can be fetched; entries used:" >&2
	cat "$work/apt/sources.list" "$work"/apt/parts/* >&2 2>/dev/null || true
	exit 1
}

build() {
	local src=$work/src/curl
	dpkg-source --no-check -x "$work"/src/curl_*.dsc "$src" >"$work/dpkg-source.log" # apt has checked
	cd "$src"
	[ -x configure ] || autoreconf -fi >"$work/autoreconf.log" 2>&1
	# shellcheck disable=SC2046 # words on purpose
	CFLAGS=$CFLAGS ./configure --quiet --prefix="$out" $(configure_args) >"$work/configure.log" 2>&1 ||
		{ tail -n 30 "$work/configure.log" >&2 && exit 1; }
	rm -rf "$out"
	{ make -C lib -j"$(nproc)" install && make -C include install && make install-pkgconfigDATA; } \
		>"$work/make.log" 2>&1 || { tail -n 30 "$work/make.log" >&2 && exit 1; }
	cd /
	rm -rf "$src"
}

stamp=$(configure_args | cat - <(echo "${CC:-cc} $CFLAGS") "$0" | sha256sum)
# Fetched and built within a day with these flags: not even the package lists are read again.
if [ "$stamp" = "$(cat "$out/stamp" 2>/dev/null)" ] && [ -n "$(find "$out/stamp" -mmin -1440)" ]; then
	say "libcurl from curl $(cat "$out/source-version") is there already"
	exit 0
fi
[ "$stamp" = "$(cat "$out/stamp" 2>/dev/null)" ] || rm -f "$out/source-version"
fetch
if [ "$version" = "$(cat "$out/source-version" 2>/dev/null)" ]; then
	touch "$out/stamp"
	say "libcurl from curl $version is still the newest"
	exit 0
fi
say "building libcurl from curl $version"
build
echo "$version" >"$out/source-version"
echo "$stamp" >"$out/stamp"
