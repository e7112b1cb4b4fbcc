#!/bin/bash
# test/image-test.sh VERSION [RELEASE] - builds the image as the Dockerfile says, and tries it out
#
# Needs root (or sudo) and a mirror of the distribution's packages, but no registry and no container
# engine: the build stage's base image is made with debootstrap from the mirror that this machine's
# apt uses, and buildah builds with chroot isolation. The base is kept in build/image, and buildah's
# storage is there, too. Prints "N passed, N failed"; skips where buildah cannot run, unless CI=true.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?usage: $0 VERSION [RELEASE]}
release=${2:-$(sed -n 's/^ARG DEBIAN_RELEASE=//p' Dockerfile)}
dir=$PWD/build/image
base=localhost/debian-base:$release
image=localhost/cleanup-grpc:$version
passed=0 failed=0

skip() {
	echo "image test: SKIPPED: $*"
	[ "${CI:-}" = true ] && echo "image test: CI=true must not skip it" && exit 1
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}

if [ "$(id -u)" != 0 ]; then
	sudo -n true 2>/dev/null || skip "needs root, for debootstrap and chroot"
	exec sudo -n env CI="${CI:-}" "$0" "$@"
fi
for tool in buildah debootstrap chroot unshare openssl; do
	[ -x "$(command -v $tool)" ] || skip "$tool is not installed, and could not be"
done

bah() { buildah --root "$dir/storage" --runroot "$dir/run" --storage-driver vfs "$@"; }

step() { echo "image test: $*"; }

check() { # check WHAT COMMAND...
	local what=$1
	shift
	if "$@"; then
		echo "ok      $what"
		passed=$((passed + 1))
	else
		echo "FAILED  $what"
		failed=$((failed + 1))
	fi
}

# ---- The base image, from the machine's own apt configuration ----

mirror() { # the first archive in apt's configuration that is the distribution's own
	cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
		sed -n -E 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] *)?([^ ]+) .*/\2/p' | head -n 1
}

# The tree's apt gets this machine's mirrors, for $release, and how this machine reaches them.
# (A proxy's password, if there is one, stays in build/: the final stage takes only the binary.)
copy_apt_setup() {
	local tree=$1 codename f
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	rm -f "$tree/etc/apt/sources.list"
	for f in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
		[ ! -s "$f" ] || sed "s/\b$codename\b/$release/g" "$f" >"$tree${f}"
	done
	apt-config dump | grep -E '^Acquire::(https?|Check|Retries|AllowReleaseInfoChange)\b' \
		>"$tree/etc/apt/apt.conf.d/99host" || true
	if [ -r /etc/ssl/certs/ca-certificates.crt ]; then # the mirror may be https, with a CA of the site's
		install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt"
	fi
}

make_base() {
	local tree=$dir/tree tar=$dir/debian-$release.tar c
	if [ ! -s "$tar" ]; then
		step "making a base image of $release with debootstrap"
		rm -rf "$tree"
		debootstrap --variant=minbase "$release" "$tree" "$(mirror)" >"$dir/debootstrap.log" 2>&1 ||
			{ tail -n 20 "$dir/debootstrap.log" && exit 1; }
		rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
		copy_apt_setup "$tree"
		tar -C "$tree" --exclude=./dev -cf "$tar.new" . && mv "$tar.new" "$tar"
		rm -rf "$tree"
	fi
	if ! bah inspect --type image "$base" >/dev/null 2>&1; then
		c=$(bah from scratch)
		bah add --quiet "$c" "$tar" / >/dev/null
		bah commit --quiet --rm "$c" "$base" >/dev/null
	fi
}

# ---- What must hold ----

field() { # field GO_TEMPLATE: of the image's configuration
	bah inspect --type image --format "$1" "$image"
}

label() { field "{{index .OCIv1.Config.Labels \"org.opencontainers.image.$1\"}}"; }

is() { # is WANT COMMAND...
	local want=$1 got
	shift
	got=$("$@") || true
	[ "$got" = "$want" ] || { echo "        want '$want', got '$got'" && false; }
}

links() { (cd "$root" && find . -type l -printf '%p->%l\n' | sort | tr '\n' ' '); }

size() { find "$root" -type f -exec cat {} + | wc -c; }

files() { (cd "$root" && find . -mindepth 1 -type f | sort | tr '\n' ' '); }

chroot=$(command -v chroot)
run() { env -i "$chroot" --userspec=65532:65532 "$root" /cleanup-grpc "$@"; }

says_where_openssl_is_from() {
	run --version --verbose | grep -E '^openssl [0-9.]+.*: (source package|upstream.s tarball|archive)'
}

refuses_empty_environment() {
	local status=0 out want
	out=$(run 2>&1) || status=$?
	for want in NAMESPACE KUBERNETES_SERVICE_HOST JOB_ID; do
		grep -q "level=error.*$want" <<<"$out" || { echo "        $want is not named in: $out" && return 1; }
	done
	[ "$status" = 2 ] || { echo "        exit status $status, want 2" && return 1; }
}

# What a probe, a preStop hook or kubectl exec gets: not pid 1, and no kubectl in the script.
no_shell() {
	local status=0 out
	out=$(env -i "$chroot" --userspec=65532:65532 "$root" "$@" 2>&1) || status=$?
	[ "$status" = 127 ] && [ "$out" = "there is no shell in this image" ] ||
		{ echo "        exit status $status: $out" && return 1; }
}

scenario() { unshare --net /usr/bin/python3 test/image_scenario.py "$root" "$1"; }

checks() {
	check "configuration: the user is 65532:65532" is 65532:65532 field '{{.OCIv1.Config.User}}'
	check "configuration: the entrypoint is the binary" is '[/cleanup-grpc]' field '{{.OCIv1.Config.Entrypoint}}'
	check "configuration: no command" is '[]' field '{{.OCIv1.Config.Cmd}}'
	check "label: title" is cleanup-grpc label title
	check "label: version" is "$version" label version
	check "label: licenses" is MIT label licenses
	check "label: description" [ -n "$(label description)" ]
	check "exactly two files: the program, and what it is made of" is "./cleanup-grpc ./sbom.spdx.json " files
	check "the file can be run by anybody, written by root only" is 755:0:0 stat -c %a:%u:%g "$root/cleanup-grpc"
	check "the list can be read by anybody, written by root only" is 644:0:0 stat -c %a:%u:%g "$root/sbom.spdx.json"
	check "the list is SPDX 2.3, of this binary, with the versions that are in it" \
		/usr/bin/python3 static/spdx_check.py "$root/sbom.spdx.json" "$root/cleanup-grpc"
	check "the binary is hardened and small" static/check.sh "$root/cleanup-grpc" "$max"
	check "the image is small" [ "$(size)" -le "$max" ]
	check "the names of a shell are links to it, and there are no others" \
		is "./bin/bash->../cleanup-grpc ./bin/sh->../cleanup-grpc ./usr/bin/env->../../cleanup-grpc " links
	check "--version, as uid 65532 in an empty root" is "cleanup-grpc $version" run --version
	check "--version --verbose says which OpenSSL, and from where" says_where_openssl_is_from
	check "an empty environment: exit status 2, all that is missing is named" refuses_empty_environment
	check "as uid 65532 in an empty root: tears a job down over TLS" scenario address
	check "the API server by its name, by one with a dot at its end" scenario name
	check "as pid 1, with 1.1's script left in command or args: one warning, and the job is torn down" \
		scenario command
	check "/bin/sh of a probe: there is none, exit status 127" no_shell /bin/sh -c 'test -f /tmp/ready'
	check "bash of kubectl exec: there is none, exit status 127" no_shell bash
	check "/usr/bin/env as well" no_shell /usr/bin/env
}

mkdir -p "$dir"
make_base
step "building the image on $release"
start=$SECONDS
bah bud --isolation chroot --layers=false --from "$base" --build-arg VERSION="$version" \
	--build-arg DEBIAN_RELEASE="$release" -t "$image" . >"$dir/build.log" 2>&1 ||
	{ tail -n 40 "$dir/build.log" && exit 1; }
grep -E '^static/[a-z]+\.sh: ' "$dir/build.log" | grep -v 'there already' || true
step "built in $((SECONDS - start)) s"

container=$(bah from "$image")
trap 'bah rm "$container" >/dev/null' EXIT
root=$dir/root
rm -rf "$root"
cp -a "$(bah mount "$container")" "$root"
max=$(sed -n 's/^STATIC_MAX *?= //p' Makefile)
if grep -q "archive of package libssl-dev" "$root/sbom.spdx.json"; then
	max=$(sed -n 's/^ARCHIVE_MAX *:= //p' Makefile)
	step "the distribution's archive of OpenSSL had to be linked: its size is allowed, $max bytes"
fi
checks
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
