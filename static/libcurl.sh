#!/bin/bash
# static/libcurl.sh DIR - a static libcurl with HTTP and HTTPS only, from the distribution's source
#
# Links with the OpenSSL and the c-ares that are beside DIR (openssl.sh, cares.sh), or, where these
# could not be made, with the distribution's. Leaves DIR/lib/libcurl.a, DIR/include/curl and
# DIR/lib/pkgconfig/libcurl.pc.
#
# The resolver is c-ares, for two reasons that were measured (Debian 12, static binary, empty root
# with only /etc/resolv.conf, DNS server on loopback):
#  - libcurl's threaded resolver works there, too: glibc >= 2.34 has the files and dns services built
#    in. But with a DNS server that does not answer, curl_multi_cleanup() waits for the thread: 19 s
#    after the program wanted to leave. With c-ares it is 0 s, and there is no second thread.
#  - c-ares costs 50 kB, and treats search domains, ndots and /etc/hosts as glibc does.
# An API server given as an address asks no resolver at all.
set -euo pipefail

usage="usage: $0 DIR   (CC, CFLAGS, HOST and APT_ETC=/etc/apt from the environment)"
here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath -m "${1:?$usage}")
# shellcheck source=static/source.sh
. "$here/source.sh"
beside=$(dirname "$out")

# What we use: GET, POST, PATCH, DELETE with a body in memory, Basic and Bearer, the Date header.
# (CURLOPT_PROXY must exist to be switched off.) Options that a version lacks are only warned about.
OFF="ftp file ldap ldaps rtsp dict telnet tftp pop3 imap smb smtp gopher mqtt manual libcurl-option
     ntlm tls-srp unix-sockets cookies doh netrc progress-meter alt-svc hsts websockets mime form-api
     get-easy-options crypto-auth digest-auth negotiate-auth kerberos-auth aws bindlocal ipfs docs
     openssl-auto-load-config httpsrr ca-search"
WITHOUT="ca-bundle ca-path zlib brotli zstd libpsl libgsasl libssh libssh2 libidn2 nghttp2 nghttp3
     ngtcp2 librtmp zsh-functions-dir fish-functions-dir"
configure_args() {
	echo --with-openssl --enable-ipv6 --enable-ares
	for f in $OFF; do echo "--disable-$f"; done
	for f in $WITHOUT; do echo "--without-$f"; done
}

config() {
	configure_args
	cat "$beside"/{openssl,cares}/{stamp,source-version} 2>/dev/null || true
}

build() {
	export PKG_CONFIG_PATH=$beside/openssl/lib/pkgconfig:$beside/cares/lib/pkgconfig
	[ -z "$HOST" ] || export PKG_CONFIG_LIBDIR=/nonexistent
	# shellcheck disable=SC2046 # words on purpose
	autoconf_build $(configure_args)
	logged make make -C lib -j"$jobs" DESTDIR="$dest" install
	logged install make DESTDIR="$dest" install-pkgconfigDATA
	logged include make -C include DESTDIR="$dest" install
}

make_from curl
