#!/bin/bash
# static/libcurl.sh DIR - a static libcurl with HTTP and HTTPS only, from the distribution's source
#
# Links with the OpenSSL that is beside DIR (openssl.sh), or, where that could not be made, with the
# distribution's. Leaves DIR/lib/libcurl.a, DIR/include/curl and DIR/lib/pkgconfig/libcurl.pc.
#
# It has no resolver that waits elsewhere, neither threads nor c-ares: the program looks names up by
# itself (resolve.h), and gives it addresses.
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
     openssl-auto-load-config httpsrr ca-search ares threaded-resolver"
WITHOUT="ca-bundle ca-path zlib brotli zstd libpsl libgsasl libssh libssh2 libidn2 nghttp2 nghttp3
     ngtcp2 librtmp zsh-functions-dir fish-functions-dir"
# Tables for hundreds of sockets and connections, of which we have four: 32 kB in each process.
SMALL="-DCURL_SOCKET_HASH_TABLE_SIZE=7 -DCURL_CONNECTION_HASH_TABLE_SIZE=7
     -DCURL_DNS_HASH_TABLE_SIZE=7"
configure_args() {
	echo --with-openssl --enable-ipv6
	for f in $OFF; do echo "--disable-$f"; done
	for f in $WITHOUT; do echo "--without-$f"; done
}

config() {
	configure_args
	echo "$SMALL"
	cat "$beside"/openssl/{stamp,source-version} 2>/dev/null || true
}

build() {
	export PKG_CONFIG_PATH=$beside/openssl/lib/pkgconfig
	[ -z "$HOST" ] || export PKG_CONFIG_LIBDIR=/nonexistent
	# shellcheck disable=SC2046 # words on purpose
	autoconf_build $(configure_args) CPPFLAGS="$(echo $SMALL)"
	logged make make -C lib -j"$jobs" DESTDIR="$dest" install
	logged install make DESTDIR="$dest" install-pkgconfigDATA
	logged include make -C include DESTDIR="$dest" install
}

make_from curl
