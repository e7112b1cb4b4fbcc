#!/bin/bash
# static/openssl.sh DIR - a static OpenSSL with what a client of TLS 1.2 and 1.3 uses, and no more
#
# Certificates: RSA, ECDSA, Ed25519 (and Ed448). Ciphers: AES-GCM, ChaCha20-Poly1305, AES-CCM, AES-CBC.
# Key exchange: X25519, the NIST curves (and X448). Security level 2, as in Debian.
# Leaves DIR/lib/libssl.a, libcrypto.a and pkgconfig, and DIR/include. docs/footprint.md says what it
# is worth. static/openssl.sh --test DIR builds OpenSSL's own tests with the same options, and runs
# them (static/openssl-test.sh).
set -euo pipefail

usage="usage: $0 [--test] DIR   (CC, CFLAGS, HOST and APT_ETC=/etc/apt from the environment)"
here=$(cd "$(dirname "$0")" && pwd)
test=
[ "${1:-}" != --test ] || { test=yes && shift; }
out=$(realpath -m "${1:?$usage}")
# shellcheck source=static/source.sh
. "$here/source.sh"

# no-autoerrinit, but not no-err: no strings are loaded (100 kB of heap) or linked, unless the program
# asks for them. no-threads: only one uses it (a resolver's thread knows nothing of TLS).
OFF="shared module dso engine dynamic-engine afalgeng async autoload-config autoerrinit threads
     aria bf blake2 camellia cast cmac cmp cms comp ct des dh dsa dtls dtls1 dtls1-method dtls1_2
     dtls1_2-method ec2m gost idea ktls legacy md2 md4 mdc2 multiblock nextprotoneg ocb ocsp psk rc2
     rc4 rc5 rfc3779 rmd160 scrypt sctp seed siphash siv sm2 sm3 sm4 srp srtp ssl-trace ssl3
     ssl3-method tls1 tls1-method tls1_1 tls1_1-method ts ui-console uplink weak-ssl-ciphers
     whirlpool zlib"
# of OpenSSL 3.5; Configure of an older one would not know them
OFF_NEW="argon2 http integrity-only-ciphers ml-dsa ml-kem quic slh-dsa sm2-precomp tls-deprecated-ec"

# No options exist for these, which TLS does not use. Each algorithm of a provider costs memory when
# the first of its kind is fetched. (The stitched CBC-HMAC ones are only faster.)
UNUSED='AES_\d+_(CBC_CTS|OFB|CFB[18]?|XTS|WRAP\w*|CBC_HMAC_SHA\d+)|AES_192_\w+
|SHA2_512_2\d\d|SHA3_\d+|SHAKE_128|KECCAK_KMAC_\d+|KMAC_\d+|GMAC|POLY1305
|SSKDF|SSHKDF|PKCS12KDF|X963KDF|X942KDF_ASN1|KBKDF|KRB5KDF|HASH_DRBG|TEST_RAND
|AES_\d+_GCM_SIV|SHA2_256_192|KECCAK_\d+|HMAC_DRBG_KDF|(RSA|ECDSA)_SHA\w+|ED(25519|448)(ph|ctx)'
# Code for AVX-512 and AVX-IFMA is left out as for an assembler that does not know them: 0.7 MB in
# OpenSSL 3.5, to encrypt what a check never has enough of.
drop_unused() {
	grep -rlE --include='*.pl' '^\$avx(512vaes|512ifma|ifma) *=' crypto |
		xargs perl -pi -e 's/^( +\$avx(?:512vaes|512ifma|ifma)) *= *\(.*/$1 = 0;/'
	perl -0pi -e 's/^[ \t]*(?:ALGC?\(|\{ )PROV_NAMES_(?:'"${UNUSED//$'\n'/}"'),.*?[)}],\n//msg' \
		providers/defltprov.c
}

target() {
	case ${HOST:-$($CC -dumpmachine)} in
	x86_64*) echo linux-x86_64 ;;
	aarch64*) echo linux-aarch64 ;;
	*) echo "linux-generic64" ;;
	esac
}

config() { # the words that decide what is built
	target
	echo --prefix=/usr --libdir=lib --openssldir=/etc/ssl -DOPENSSL_TLS_SECURITY_LEVEL=2
	for f in $OFF; do echo "no-$f"; done
}

configure() { # configure WORD...
	for f in $OFF_NEW; do ! grep -q "\"$f\"" Configure || set -- "$@" "no-$f"; done
	# shellcheck disable=SC2046 # words on purpose
	CC=$CC AR=${HOST:+$HOST-}ar RANLIB=${HOST:+$HOST-}ranlib \
		logged configure ./Configure $(config) "$@" "$CFLAGS"
}

build() {
	drop_unused
	configure no-tests
	logged make make -j"$jobs" build_generated libcrypto.a libssl.a
	logged install make DESTDIR="$dest" install_dev
}

if [ -n "$test" ]; then
	# shellcheck source=static/openssl-test.sh
	. "$here/openssl-test.sh"
else
	# The distribution's security patches come before size; who wants the small binary at any rate
	# sets UPSTREAM_TARBALL=1 (static/source.sh says what that leaves out).
	make_from openssl archive:libssl-dev ${UPSTREAM_TARBALL:+tarball}
fi
