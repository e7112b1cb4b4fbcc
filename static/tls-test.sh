#!/bin/bash
# static/tls-test.sh BINARY - what kinds of API servers BINARY can talk to, and which it must refuse
#
# The server is the distribution's `openssl s_server`; what it must say is the version, cipher and
# request that came. Prints "N passed, N failed".
set -euo pipefail
bin=$(realpath "${1:?usage: $0 BINARY}")
dir=$(mktemp -d)
server='' client=''
passed=0 failed=0

stop() {
	for pid in $client $server; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
	client='' server=''
}
trap 'stop; rm -rf "$dir"' EXIT

certificates() { # certificates NAME GENPKEY_OPTION...: a CA and a server's certificate of one kind
	local name=$1
	shift
	for who in ca server; do openssl genpkey -quiet "$@" -out "$dir/$name-$who.key" 2>/dev/null ||
		openssl genpkey "$@" -out "$dir/$name-$who.key" 2>/dev/null; done
	openssl req -x509 -key "$dir/$name-ca.key" -subj "/CN=$name" -days 9 -out "$dir/$name-ca.crt"
	openssl req -x509 -key "$dir/$name-server.key" -subj /CN=api -days 9 -out "$dir/$name-server.crt" \
		-CA "$dir/$name-ca.crt" -CAkey "$dir/$name-ca.key" -addext subjectAltName=IP:127.0.0.1 \
		-addext basicConstraints=critical,CA:FALSE
}

start() { # start SERVER_CERTIFICATE CA S_SERVER_OPTION...: both, until it is clear how it went
	local cert=$1 ca=$2
	shift 2
	stop
	mkfifo "$dir/in" 2>/dev/null || true
	: >"$dir/server.log" && : >"$dir/client.log" # the last ones, else, until both have started
	openssl s_server -accept 127.0.0.1:0 -cert "$dir/$cert-server.crt" -key "$dir/$cert-server.key" \
		"$@" <>"$dir/in" >"$dir/server.log" 2>&1 &
	server=$!
	local port=
	for _ in $(seq 100); do
		port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$dir/server.log")
		[ -z "$port" ] && kill -0 $server 2>/dev/null || break
		sleep 0.05
	done
	cp "$dir/$ca-ca.crt" "$dir/ca.crt"
	env -i KUBE_API_URL="https://127.0.0.1:${port:-1}" SERVICE_ACCOUNT_DIR="$dir" JOB_ID=1-1 \
		LOG_LEVEL=debug ${RUN:-} "$bin" >"$dir/client.log" 2>&1 &
	client=$!
	for _ in $(seq 200); do
		grep -q '^GET /' "$dir/server.log" && break
		grep -qiE 'error=' "$dir/client.log" && break
		sleep 0.05
	done
}

result() { # result OK WHAT
	if [ "$1" = yes ]; then
		echo "ok      $2"
		passed=$((passed + 1))
	else
		echo "FAILED  $2"
		sed 's/^/        server: /' "$dir/server.log" | grep -vE 'BEGIN|END|^[A-Za-z0-9+/=]*$' | tail -n 8 || true
		sed 's/^/        client: /' "$dir/client.log" | tail -n 3
		failed=$((failed + 1))
	fi
}

talks() { # talks CERTIFICATE WANT_IN_LOG OPTION...
	local cert=$1 want=$2 ok=yes
	shift 2
	start "$cert" "$cert" "$@"
	grep -q '^GET /' "$dir/server.log" || ok=no
	grep -q "$want" "$dir/server.log" || ok=no
	result $ok "$cert, $*"
}

refuses() { # refuses CERTIFICATE CA OPTION...
	local ok=yes
	start "$@"
	! grep -q '^GET /' "$dir/server.log" || ok=no
	grep -qiE 'ssl|tls|certificate' "$dir/client.log" || ok=no
	result $ok "refused: $1's certificate, $2's CA, ${*:3}"
}

echo token >"$dir/token"
echo default >"$dir/namespace"
certificates rsa2048 -algorithm RSA -pkeyopt rsa_keygen_bits:2048
certificates rsa4096 -algorithm RSA -pkeyopt rsa_keygen_bits:4096
certificates rsa-pss -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048
for c in P-256 P-384 P-521; do certificates $c -algorithm EC -pkeyopt ec_paramgen_curve:$c; done
certificates ed25519 -algorithm ED25519
certificates ed448 -algorithm ED448

for cert in rsa2048 rsa4096 rsa-pss P-256 P-384 P-521 ed25519 ed448; do
	talks $cert 'CIPHER is TLS_' -tls1_3
	talks $cert 'CIPHER is ECDHE-' -tls1_2
done
for cipher in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
	talks P-256 "CIPHER is $cipher" -tls1_3 -ciphersuites $cipher
done
for cipher in AES128-GCM-SHA256 AES256-GCM-SHA384 CHACHA20-POLY1305; do
	talks rsa2048 "CIPHER is ECDHE-RSA-$cipher" -tls1_2 -cipher "ECDHE-RSA-$cipher"
	talks P-256 "CIPHER is ECDHE-ECDSA-$cipher" -tls1_2 -cipher "ECDHE-ECDSA-$cipher"
done
# What 1.2 servers may still be held to: CBC, and no forward secrecy
for cipher in ECDHE-RSA-AES128-SHA ECDHE-RSA-AES256-SHA384 AES128-GCM-SHA256; do
	talks rsa2048 "CIPHER is $cipher" -tls1_2 -cipher $cipher
done
for group in X25519 P-256 P-384 P-521 X448; do
	talks P-256 'CIPHER is TLS_' -tls1_3 -groups $group
	talks rsa2048 'CIPHER is ECDHE-' -tls1_2 -groups $group
done

refuses P-256 P-384 -tls1_3
refuses rsa2048 P-256 -tls1_2
refuses rsa2048 rsa2048 -tls1_1 -cipher ALL:@SECLEVEL=0
refuses rsa2048 rsa2048 -tls1 -cipher ALL:@SECLEVEL=0
echo "$passed passed, $failed failed"
[ $failed = 0 ]
